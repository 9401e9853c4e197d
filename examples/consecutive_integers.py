"""Five consecutive integers, what comes next? Trained on starts from 0 to 49, asked beyond.

A tutorial's PyTorch network answers 14.11, 29.26 and 44.53 where 15, 30 and 105 are due: it
scales nothing and, outside the range it was trained on, gives about the largest number it knows.
Scaling by one mean and one spread for all windows ("global") has the same limit. Scaling every
window by its own ("window") makes [100..104] look like [10..14], which is why it can be answered.
"""

from __future__ import annotations

import numpy as np

import fastrnn

TUTORIAL = (14.11, 29.26, 44.53)

starts = np.random.default_rng(0).integers(0, 50, size=100)
windows, targets = fastrnn.data.counting_windows(starts, window=5)
questions, answers = fastrnn.data.counting_windows([10, 25, 100], window=5)


def predictions(scaling: str, epochs: int) -> np.ndarray:
    """Answers of a network of 20 units with this scaling after so many epochs."""
    forecaster = fastrnn.Forecaster(window=5, hidden_size=20, scaling=scaling)
    return forecaster.fit(windows, targets, epochs=epochs).predict(questions)


columns = {
    "next": answers,
    'fastrnn, "window"': predictions("window", 300),
    "untrained": predictions("window", 0),
    '"global"': predictions("global", 300),
    "tutorial": TUTORIAL,
}
print("window     ", "  ".join(columns))
for first, row in zip(questions[:, 0], zip(*columns.values(), strict=True), strict=True):
    name = f"[{first:.0f}..{first + 4:.0f}]"
    cells = (f"{value:{len(title)}.2f}" for title, value in zip(columns, row, strict=True))
    print(f"{name:11}", "  ".join(cells))
