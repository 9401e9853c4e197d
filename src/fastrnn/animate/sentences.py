"""The state of a network while it reads a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check, sentiment
from fastrnn.animate import drawing, film
from fastrnn.animate.drawing import INK, OUTPUT, PALE, QUIET
from fastrnn.plot.axes import BLUE, ORANGE
from fastrnn.sentiment import Reading, Sentiment

# More words would be written over each other.
MOST_WORDS = 12

# A probability that moves by less is said to stay.
_MOVES = 0.1

# One that is so far from even is an opinion.
_DECIDED = 0.25

# Where the words' columns begin and end.
_LEFT, _RIGHT = 1.9, 15.6


@dataclass(frozen=True, eq=False, kw_only=True)
class Word(film.Scene):
    """A moment of :func:`hidden_states`.

    Attributes
    ----------
    read : int
        How many words have been read.
    state : ndarray of shape (hidden_size,)
        The state after them.
    probability : float or None
        Of a positive sentence; None before the first word.
    """

    read: int
    state: np.ndarray
    probability: float | None


def hidden_states(
    text: str = "the film was not boring at all",
    model: Sentiment | None = None,
    *,
    hold: int = 12,
    figure: Any = None,
) -> Any:
    """Read a sentence word by word, and show the state and what it makes of the sentence.

    Parameters
    ----------
    text : str
        Of 1 to 12 words, one of which the model must know.
    model : fastrnn.sentiment.Sentiment, optional
        Trained on the spot unless given (:func:`fastrnn.sentiment.train`).
    hold : int
        For how many frames a new caption stands.
    figure : matplotlib.figure.Figure, optional
        Where to draw, emptied before; a new one of 640 × 440 pixels unless given.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        To be saved by :func:`save`, or shown.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> from fastrnn import animate
    >>> animation = animate.hidden_states("this book was never boring")  # doctest: +SKIP
    >>> animate.save(animation, "states.gif")  # doctest: +SKIP
    """
    figure = film.stage(figure)
    if model is None:
        model = sentiment.train()
    elif not isinstance(model, Sentiment):
        raise TypeError(f"model must be a Sentiment, got {_check.describe(model)}")
    reading = model.read(text)
    if len(reading.words) > MOST_WORDS:
        raise ValueError(
            f"text must have at most {MOST_WORDS} words to be drawn, got {len(reading.words)}"
        )
    return film.film(
        figure,
        "What a network has in mind while it reads",
        words(reading, hold),
        lambda ax, scene: _draw(ax, reading, scene),
    )


def words(reading: Reading, hold: int) -> list[Word]:
    """Return the scenes of :func:`hidden_states`."""
    long, _ = film.checked_hold(hold)
    count, size = reading.states.shape
    scenes = [
        Word(
            caption="This network has just learned from a few hundred sentences whether they are "
            f"meant well. Its memory, the state, is {size} numbers, all 0 now.",
            hold=2 * long, read=0, state=np.zeros(size), probability=None,
        )
    ]  # fmt: skip
    scenes += [
        Word(
            caption=_said(reading, t), hold=long, read=t + 1, state=reading.states[t],
            probability=float(reading.probabilities[t]),
        )
        for t in range(count)
    ]  # fmt: skip
    last = scenes[-1]
    scenes.append(
        Word(
            caption=f"The sentence is over. The network takes it to be "
            f"{'positive' if reading.positive else 'negative'}, judging by nothing but these "
            f"{size} numbers.",
            hold=2 * long, read=count, state=last.state, probability=last.probability,
        )
    )  # fmt: skip
    return scenes


def _said(reading: Reading, t: int) -> str:
    """Say what a word does."""
    word, now = f"“{reading.words[t]}”", reading.probabilities[t]
    if not reading.known[t]:
        return f"{word} is a word that it has never met. It is passed over, nothing changes."
    if t == 0:
        return f"It reads {word}. The numbers of the state change: blue is below 0, orange above."
    moved = now - reading.probabilities[t - 1]
    if abs(moved) < _MOVES and abs(now - 0.5) > _DECIDED:
        return f"It reads {word}. Its mind is made up: {now:.0%} for positive."
    if abs(moved) < _MOVES:
        return (
            f"It reads {word}. Its opinion stays much as it was, but the state has changed: "
            f"this is how a word is remembered."
        )
    more = "more" if moved > 0 else "less"
    return (
        f"It reads {word}. Together with what it remembers, that makes a positive sentence "
        f"{more} probable: {now:.0%}."
    )


def _draw(ax: Any, reading: Reading, scene: Word) -> None:
    count = len(reading.words)
    column = (_RIGHT - _LEFT) / count
    for t, word in enumerate(reading.words):
        middle, is_read = _LEFT + (t + 0.5) * column, t < scene.read
        now = t == scene.read - 1
        many = count > 7
        drawing.write(
            ax, middle, 9.72, word, size=8 if many else 11, rotation=20 if many else 0,
            weight="bold" if now else "normal", color=INK if is_read else QUIET,
        )  # fmt: skip
        if is_read:
            _draw_probability(ax, middle, column, float(reading.probabilities[t]))
    limit = drawing.limit_of_states(reading.states)
    drawing.bar(ax, _LEFT, 6.7, _RIGHT - _LEFT, 2.6, PALE)
    if scene.read:
        rows = reading.states[: scene.read].T
        drawing.heat(ax, _LEFT, 6.7, column * scene.read, 2.6, rows, limit)
    drawing.write(ax, 0.9, 8.0, "state\nafter\neach\nword", size=9)
    drawing.write(ax, 0.9, 5.37, "positive?", size=9, color=OUTPUT)
    drawing.bar(ax, _LEFT, 5.35, _RIGHT - _LEFT, 0.03, QUIET)
    _draw_state(ax, scene.state, limit)


def _draw_probability(ax: Any, middle: float, column: float, probability: float) -> None:
    """Draw a column that begins at even odds, up for positive."""
    width, height = 0.5 * column, 1.6 * (probability - 0.5)
    drawing.bar(ax, middle - width / 2, 5.365, width, height, OUTPUT)
    y = 5.365 + height + (0.25 if height >= 0 else -0.25)
    drawing.write(ax, middle, y, f"{probability:.0%}", size=8)


def _draw_state(ax: Any, state: np.ndarray, limit: float) -> None:
    """Draw the state as it is now, as bars."""
    drawing.write(ax, 0.9, 3.2, "state\nnow", size=9)
    drawing.bar(ax, _LEFT, 3.185, _RIGHT - _LEFT, 0.03, QUIET)
    wide = (_RIGHT - _LEFT) / len(state)
    for k, value in enumerate(state):
        color = ORANGE if value >= 0 else BLUE
        drawing.bar(
            ax, _LEFT + (k + 0.15) * wide, 3.2, 0.7 * wide, 0.95 * float(value) / limit, color
        )
