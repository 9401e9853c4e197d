"""What to train, and how, when only a text and a time are given.

The values come from trials on a text of one million characters; ``docs/training.md`` has the
figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Arguments of :class:`fastrnn.CharRNN` and of its :meth:`~fastrnn.CharRNN.fit`."""

    cell: str
    hidden_size: int
    batch_size: int
    seq_len: int
    optimizer: str
    lr: float
    schedule: str
    warmup: float
    dropout: float
    weight_decay: float
    clip_norm: float
    epochs: int


class _Size(NamedTuple):
    """A network for trainings of up to so many minutes on two cores."""

    minutes: float
    cell: str
    hidden_size: int
    lr: float
    dropout: float
    warmup: float


# A larger network learns more from each character, and sees fewer of them; an LSTM starts more
# slowly than a GRU and ends better.
_SIZES = (
    _Size(0.07, "gru", 128, 1.5e-2, 0.0, 0.1),
    _Size(0.3, "gru", 256, 1.4e-2, 0.0, 0.15),
    _Size(0.5, "gru", 256, 1.4e-2, 0.05, 0.15),
    _Size(3.0, "lstm", 384, 1.2e-2, 0.2, 0.05),
    _Size(math.inf, "lstm", 512, 1e-2, 0.25, 0.05),
)

# Of a shorter text than that of the trials there are more passes, which take more dropout.
_CHARS, _MOST_DROPOUT = 1_000_000, 0.5


def _passes(chars: int) -> int:
    """Return after how many passes there is nothing left to learn that is true of another text.

    The smaller networks of short texts learn by heart more slowly.
    """
    return max(20, min(60, 3_600_000 // max(1, chars)))


def recipe(chars: int, minutes: float = 1.0, *, cell: str | None = None) -> Recipe:
    """Return how to learn a text of so many characters in so many minutes.

    Parameters
    ----------
    chars : int
        Length of the text.
    minutes : float
        Time for the training on two cores of 2020 or later.
    cell : str, optional
        A cell to use in place of the one that learns most.

    Returns
    -------
    Recipe
        For a network of no more than about as many weights as the text has characters.

    Examples
    --------
    >>> recipe(1_000_000, 1.0).hidden_size, recipe(50_000, 1.0).hidden_size
    (384, 96)
    """
    size = next(size for size in _SIZES if minutes <= size.minutes)
    hidden, lr = size.hidden_size, size.lr
    while hidden > 32 and 4 * hidden * hidden > chars:
        hidden -= 32
    dropout = min(_MOST_DROPOUT, size.dropout * max(1.0, _CHARS / max(1, chars)))
    if cell in ("rnn", "jordan"):
        lr = min(lr, 3e-3)  # without gates, steps as large as theirs diverge
    return Recipe(
        cell=cell or size.cell,
        hidden_size=hidden,
        batch_size=max(4, min(32, chars // 4096)),  # at least 64 updates in a pass
        seq_len=64,
        optimizer="adamw",
        lr=lr,
        schedule="cosine",
        warmup=size.warmup,
        dropout=0.0 if cell == "jordan" else dropout,  # which has no read-out to drop before
        weight_decay=0.05,
        clip_norm=1.0,
        epochs=_passes(chars),
    )
