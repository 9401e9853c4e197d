"""Training of character models: steps, schedules, held-out text, checkpoints to go on from."""
