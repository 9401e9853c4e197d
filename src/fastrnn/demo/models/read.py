"""A sentence as a small model of sentiment reads it, word by word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fastrnn import sentiment

EXAMPLES = (
    "the film was not good at all",
    "at first the food was bad but great in the end",
    "i do not hate this book",
    "nobody thought that the ending was clever",
)
MAX_WORDS = 60


@cache
def model(cell: str) -> sentiment.Sentiment:
    """Return the model of a cell, trained when it is first asked for and read by all."""
    return sentiment.train(cell=cell)


@dataclass(frozen=True)
class Answer:
    """How the probability after a word comes about: 1 / (1 + exp(negative - positive)).

    Attributes
    ----------
    positive, negative : float
        What the read-out answers, W_hy h_t + b_y.
    probability : float
    """

    positive: float
    negative: float
    probability: float


def read(text: str, cell: str) -> sentiment.Reading:
    """Return a sentence as it was read.

    Raises
    ------
    ValueError
        If it has no word, none that the model knows, or more than ``MAX_WORDS``.

    Examples
    --------
    >>> read("not bad", "rnn").words
    ('not', 'bad')
    """
    words = sentiment.split(text)
    if not words:
        raise ValueError("Write a sentence: there is no word in the field.")
    if len(words) > MAX_WORDS:
        raise ValueError(f"The text has {len(words)} words; {MAX_WORDS} at most can be drawn here.")
    reader = model(cell)
    if not set(words) & set(reader.vocabulary):
        raise ValueError(
            f"The network has met none of these words: in its training it learned "
            f"{len(reader.vocabulary)}. Take one of those as well, such as good, bad, not or film."
        )
    return reader.read(text)


def answer(reading: sentiment.Reading, place: int, cell: str) -> Answer:
    """Return how the answer after word ``place``, from 0, comes about."""
    readout = model(cell).network.readout
    assert readout is not None
    negative, positive = readout(reading.states[place])
    return Answer(float(positive), float(negative), float(reading.probabilities[place]))
