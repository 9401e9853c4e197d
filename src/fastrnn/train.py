"""Training by truncated backpropagation through time.

A sequence of token ids is cut into parallel streams. Each step takes the next chunk of every
stream, starts from the hidden state that the chunk before ended with, and follows the gradient
no further back than the chunk's beginning. (Williams & Peng, "An efficient gradient-based
algorithm for on-line training of recurrent network trajectories", 1990.)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.network import Network
from fastrnn.optim import OPTIMIZERS
from fastrnn.updates import Updates

SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class Options:
    """How to train; :meth:`fastrnn.CharRNN.fit` describes each option."""

    epochs: int | None
    steps: int | None
    batch_size: int
    seq_len: int
    optimizer: str
    lr: float
    schedule: str
    clip_norm: float | None
    clip_value: float | None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise ValueError(
                f"epochs and steps exclude each other, got epochs={self.epochs!r} "
                f"and steps={self.steps!r}"
            )
        for name in ("epochs", "steps"):
            if getattr(self, name) is not None:
                _check.integer(name, getattr(self, name))
        _check.integer("batch_size", self.batch_size)
        _check.integer("seq_len", self.seq_len)
        _check.choice("optimizer", self.optimizer, tuple(OPTIMIZERS))
        _check.choice("schedule", self.schedule, SCHEDULES)
        _check.number("lr", self.lr, above=0)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                _check.number(name, getattr(self, name), above=0)


@dataclass(frozen=True)
class Streams:
    """Token ids and the ids that follow them, as parallel streams.

    Attributes
    ----------
    inputs, targets : ndarray of int64, shape (stream_len, batch_size)
        ``targets[t, b]`` is the id that follows ``inputs[t, b]``.
    """

    inputs: np.ndarray
    targets: np.ndarray

    @classmethod
    def split(cls, ids: np.ndarray, batch_size: int, seq_len: int) -> Streams:
        """Cut ``ids``, shape (n,) with n > ``seq_len``, into contiguous streams of equal length.

        There are ``batch_size`` streams, or as many as hold ``seq_len`` ids and a target each
        if those are fewer. Fewer than one stream's number of ids are left over at the end.
        """
        batch_size = min(batch_size, (len(ids) - 1) // seq_len)
        stream_len = (len(ids) - 1) // batch_size
        used = batch_size * stream_len
        shape = (batch_size, stream_len)
        return cls(ids[:used].reshape(shape).T, ids[1 : used + 1].reshape(shape).T)

    def walk(self, seq_len: int) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
        """Yield (inputs, targets, first) of the next ``seq_len`` steps, over and over.

        ``first`` is true at the beginning of each pass; the last chunk of a pass may be shorter.
        """
        while True:
            for start in range(0, len(self.inputs), seq_len):
                chunk = slice(start, start + seq_len)
                yield self.inputs[chunk], self.targets[chunk], start == 0

    def chunk_count(self, seq_len: int) -> int:
        """Return the number of chunks in one pass."""
        return math.ceil(len(self.inputs) / seq_len)

    def target_count(self, steps: int, seq_len: int) -> int:
        """Return the number of targets in the first ``steps`` chunks."""
        passes, rest = divmod(steps, self.chunk_count(seq_len))
        return self.inputs.size * passes + self.inputs[: rest * seq_len].size


def learning_rate(schedule: str, lr: float, step: int, steps: int) -> float:
    """Return the learning rate of the given step, counted from 0, of ``steps``.

    ``"cosine"`` is lr (1 + cos(pi step / steps)) / 2: it starts at ``lr`` and nears 0 at the
    end (Loshchilov & Hutter, "SGDR", 2017, without restarts). ``"constant"`` stays at ``lr``.

    Examples
    --------
    >>> [round(learning_rate("cosine", 1.0, step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    if schedule == "constant":
        return lr
    return lr * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def train(
    network: Network,
    streams: Streams,
    options: Options,
    *,
    history: list[dict[str, Any]],
    progress: bool = False,
    num_threads: int | None = None,
) -> None:
    """Train ``network`` in place to predict the targets of ``streams``.

    Every pass over the streams starts from a zero hidden state. A record is appended to
    ``history`` after every step: its number ``step``, the mean ``loss`` of the step's chunk in
    nats per token before the update, and ``chars``, the number of targets seen so far.

    Raises
    ------
    NonFiniteLossError
        If a loss or a gradient is NaN or infinite. The network then holds the weights of the
        last step whose loss and gradient were finite, as it does after a KeyboardInterrupt.
    """
    if options.steps is None:
        steps = (options.epochs or 1) * streams.chunk_count(options.seq_len)
    else:
        steps = options.steps
    optimizer = OPTIMIZERS[options.optimizer](network, lr=options.lr)
    done, chars = (history[-1]["step"], history[-1]["chars"]) if history else (0, 0)
    updates = Updates(
        network, optimizer, clip_norm=options.clip_norm, clip_value=options.clip_value
    )
    state = None
    with _progress_bar(progress, streams.target_count(steps, options.seq_len)) as bar:
        chunks = itertools.islice(streams.walk(options.seq_len), steps)
        for step, (inputs, targets, first) in enumerate(chunks):
            optimizer.lr = learning_rate(options.schedule, options.lr, step, steps)
            loss, state = updates.make(
                inputs, targets, None if first else state, num_threads=num_threads
            )
            chars += inputs.size
            history.append({"step": done + step + 1, "loss": loss, "chars": chars})
            bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            bar.update(inputs.size)


def _progress_bar(progress: bool, total: int) -> Any:
    from tqdm import tqdm  # here, because importing fastrnn should stay cheap

    return tqdm(
        total=total,
        unit="char",
        unit_scale=True,
        dynamic_ncols=True,
        mininterval=0.2,
        disable=not progress,
    )
