"""Training by truncated backpropagation through time.

A sequence of token ids is cut into parallel streams. Each step takes the next chunk of every
stream, starts from the hidden state that the chunk before ended with, and follows the gradient
no further back than the chunk's beginning. (Williams & Peng, "An efficient gradient-based
algorithm for on-line training of recurrent network trajectories", 1990.)
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn import history as curve
from fastrnn.network import Network
from fastrnn.streams import Streams
from fastrnn.updates import Settings, Updates, progress_bar


@dataclass(kw_only=True)
class Options(Settings):
    """How to train on text; :meth:`fastrnn.CharRNN.fit` describes each option."""

    epochs: int | None
    steps: int | None
    minutes: float | None
    batch_size: int
    seq_len: int
    dropout: float
    seed: int

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise ValueError(
                f"epochs and steps exclude each other, got epochs={self.epochs!r} "
                f"and steps={self.steps!r}"
            )
        if self.epochs is not None:
            self.epochs = _check.integer("epochs", self.epochs)
        if self.steps is not None:
            self.steps = _check.integer("steps", self.steps)
        if self.minutes is not None:
            self.minutes = _check.number("minutes", self.minutes, above=0)
        self.dropout = _check.number("dropout", self.dropout, minimum=0, below=1)
        self.batch_size = _check.integer("batch_size", self.batch_size)
        self.seq_len = _check.integer("seq_len", self.seq_len)
        super().__post_init__()


class _Course:
    """How far the training has come, in steps and in time."""

    def __init__(self, streams: Streams, options: Options) -> None:
        self._seconds = math.inf if options.minutes is None else 60 * options.minutes
        self._started = time.monotonic()
        self._shown = 0
        self._steps: float = math.inf
        self._targets = 0
        if options.minutes is None or options.epochs is not None or options.steps is not None:
            steps = options.steps or (options.epochs or 1) * streams.chunk_count(options.seq_len)
            self._steps = steps
            self._targets = streams.target_count(steps, options.seq_len)

    def bar(self, shown: bool) -> Any:
        """Return a progress bar over characters, or over seconds where there is a time limit."""
        if self._seconds == math.inf:
            return progress_bar(shown, self._targets, "char", unit_scale=True)
        return progress_bar(shown, math.ceil(self._seconds), "s")

    def done(self, step: int) -> float:
        """Return the share of the training that is done before ``step``, at least 1 at its end.

        A first step is made in however short a time.
        """
        return max(step / self._steps, self._elapsed() / self._seconds if step > 0 else 0.0)

    def advance(self, bar: Any, chars: int) -> None:
        """Move the bar on by a step."""
        if self._seconds == math.inf:
            bar.update(chars)
            return
        shown = min(int(self._elapsed()), math.ceil(self._seconds))
        bar.update(shown - self._shown)
        self._shown = shown

    def _elapsed(self) -> float:
        return time.monotonic() - self._started


def train(
    network: Network,
    streams: Streams,
    options: Options,
    *,
    history: list[dict[str, Any]],
) -> None:
    """Train ``network`` in place to predict the targets of ``streams``.

    Every pass over the streams starts from a zero hidden state. A record is appended to
    ``history`` after every step: its number ``step``, the mean ``loss`` of the step's chunk in
    nats per token before the update, and ``chars``, the number of targets seen so far.
    :mod:`fastrnn.history` says what becomes of very many.

    Raises
    ------
    NonFiniteLossError
        If a loss or a gradient is NaN or infinite. The network then holds the weights of the
        last step whose loss and gradient were finite, as it does after a KeyboardInterrupt.
    """
    done, chars = (history[-1]["step"], history[-1]["chars"]) if history else (0, 0)
    updates = Updates(network, options, done=done)
    dropped = np.random.SeedSequence(options.seed).generate_state(1, np.uint32).item() << 31
    course = _Course(streams, options)
    state = None
    with course.bar(options.progress) as bar:
        for step, (inputs, targets, first) in enumerate(streams.walk(options.seq_len)):
            progress = course.done(step)
            if progress >= 1:
                break
            updates.schedule(progress)
            loss, state = updates.make(
                inputs,
                targets,
                None if first else state,
                dropout=options.dropout,
                seed=dropped + done + step,
            )
            chars += inputs.size
            record = {"step": done + step + 1, "loss": loss, "chars": chars}
            curve.append(history, "step", record)
            bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            course.advance(bar, inputs.size)
