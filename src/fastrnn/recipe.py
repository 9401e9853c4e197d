"""What to train, and how, when only a text and a time are given.

The values come from trials on a text of one million characters; ``docs/training.md`` has the
figures.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    clip_norm: float
    epochs: int


# Minutes of training on two cores -> hidden units and learning rate: a larger network learns more
# from each character, and sees fewer of them.
_SIZES = ((0.07, 128, 1.5e-2), (0.5, 256, 1e-2), (3.0, 384, 8e-3), (float("inf"), 512, 6e-3))

# More passes than this teach a network nothing that is true of another text.
_EPOCHS = 60


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
        An LSTM whose recurrent weights are no more than the text has characters, with dropout if
        it will see the text several times.

    Examples
    --------
    >>> recipe(1_000_000, 1.0).hidden_size, recipe(50_000, 1.0).hidden_size
    (384, 96)
    """
    hidden, lr = next((hidden, lr) for limit, hidden, lr in _SIZES if minutes <= limit)
    while hidden > 32 and 4 * hidden * hidden > chars:
        hidden -= 32
    if cell == "rnn":
        lr = min(lr, 3e-3)  # without gates, steps as large as theirs diverge
    return Recipe(
        cell=cell or "lstm",
        hidden_size=hidden,
        batch_size=max(4, min(32, chars // 4096)),  # at least 64 updates in a pass
        seq_len=64,
        optimizer="adamw",
        lr=lr,
        schedule="cosine",
        warmup=0.02,
        dropout=0.0 if minutes < 0.07 else 0.1 if minutes < 0.5 else 0.2,
        clip_norm=1.0,
        epochs=_EPOCHS,
    )
