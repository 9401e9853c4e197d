"""What a model expects of a text, character by character, and how much the text surprises it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.plot import values
from fastrnn.plot.axes import BLUE, GRID, ORANGE, current, head, heatmap, sequential, write_in_cells
from fastrnn.plot.texts import line_places, write_colored

STYLES = ("bars", "text")
_USUAL_K = 5

# Each is written by itself, which takes about a millisecond; letters of more would be dots.
MOST_CELLS = 4000


def next_characters(
    probs: Any,
    text: str | bytes,
    vocabulary: str | bytes,
    *,
    k: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw the characters that are likeliest to come next, after each character of a text.

    Parameters
    ----------
    probs : array_like of shape (T, V)
        After each character, the probability of every one to come next, as
        :meth:`fastrnn.CharRNN.next_probs` gives them.
    text : str or bytes
        The T characters or bytes that were read; ``T * k`` must be at most 4000.
    vocabulary : str or bytes
        The V characters, ``model.vocabulary``; of a model of bytes ``bytes(range(256))``.
    k : int, optional
        How many of them to show, at most V; five, or all if there are fewer, unless given.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on pyplot's current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on: a column for each character of the text, the likeliest at the top, and
        a frame around what did come.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument does not hold what it must, or does not fit the others.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import plot
    >>> model = fastrnn.CharRNN(hidden_size=8, vocabulary="to be or not")
    >>> probs = model.next_probs("to be")
    >>> ax = plot.next_characters(probs, "to be", model.vocabulary)  # doctest: +SKIP
    """
    probs = values.table("probs", probs)
    if probs.min() < 0 or probs.max() > 1:
        raise ValueError(
            f"probs must be probabilities from 0 to 1, got {probs.min():g} to {probs.max():g}"
        )
    read = values.symbols("text", text, len(probs), "one for each row of probs")
    if isinstance(text, str) != isinstance(vocabulary, str):
        kind = "str" if isinstance(text, str) else "bytes"
        raise TypeError(
            f"vocabulary must be a {kind}, as text is, got {_check.describe(vocabulary)}"
        )
    names = values.symbols("vocabulary", vocabulary, probs.shape[1], "one for each column of probs")
    size = len(names)
    k = min(_USUAL_K, size) if k is None else _check.integer("k", k, 1, size)
    if len(read) * k > MOST_CELLS:
        raise ValueError(
            f"text times k must be at most {MOST_CELLS} cells, got {len(read)} × {k}; draw a part "
            f"of the text, or a smaller k"
        )
    ax = current(ax)
    likeliest = np.argsort(-probs, axis=1, kind="stable")[:, :k]
    shares = np.take_along_axis(probs, likeliest, axis=1)
    image = heatmap(ax, shares.T, cmap=sequential(), vmin=0, vmax=1)
    came = [
        (t, rank)
        for t, rank in np.ndindex(len(text) - 1, k)
        if vocabulary[likeliest[t, rank]] == text[t + 1]
    ]
    frame = _frame(ax, came)
    ax.figure.colorbar(image, ax=ax, label="probability")
    cells = {(rank, t): names[symbol] for (t, rank), symbol in np.ndenumerate(likeliest)}
    write_in_cells(ax, image, cells)
    head(ax, "Which character comes next?", [frame])
    ax.set_ylabel("likeliest next")
    ax.set_yticks(range(k), [f"{rank}." for rank in range(1, k + 1)])
    values.write_below(ax, read, len(read), "read so far, up to this character")
    return ax


def _frame(ax: Any, cells: list[tuple[int, int]]) -> Any:
    """Draw a frame around cells, and return what stands for it in a legend."""
    from matplotlib.patches import Rectangle

    for t, rank in cells:
        place = (t - 0.5, rank - 0.5)
        ax.add_patch(Rectangle(place, 1, 1, facecolor="none", edgecolor=ORANGE, linewidth=1.8))
    (frame,) = ax.plot(
        [], [], "s", markersize=9, fillstyle="none", color=ORANGE, label="what did come"
    )
    return frame


def surprise(
    log_probs: Any, text: str | bytes, *, style: str = "bars", width: int = 64, ax: Any = None
) -> Any:
    r"""Draw how much each character of a text surprises a model, in bits.

    .. math:: -\log_2 p(x_t \mid x_1, …, x_{t-1})

    is the number of bits that the character takes in a code made of the model's predictions
    (C. E. Shannon, Bell System Technical Journal 27, 1948): 0 for what was certain, 1 for the fall
    of a coin.

    Parameters
    ----------
    log_probs : array_like of shape (T - 1,)
        Natural logarithms of the probabilities of all characters but the first, as
        :meth:`fastrnn.CharRNN.log_probs` gives them.
    text : str or bytes
        The T characters or bytes.
    style : {"bars", "text"}
        A bar for each character, for a line of text, or the text on colours, for more.
    width : int
        Characters of a line of coloured text.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on pyplot's current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on. Bars stand at the characters' places in the text, from 1 on; as text
        the first character, of which nothing is said, stands on blank.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument does not hold what it must, or does not fit the others.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import plot
    >>> model = fastrnn.CharRNN(hidden_size=8, vocabulary="to be or not")
    >>> ax = plot.surprise(model.log_probs("to be"), "to be")  # doctest: +SKIP
    """
    log_probs = values.row("log_probs", log_probs)
    if log_probs.max() > 0:
        raise ValueError(
            f"log_probs must be logarithms of probabilities, at most 0, got {log_probs.max():g}"
        )
    written = values.symbols("text", text, len(log_probs) + 1, "one more than log_probs")
    _check.choice("style", style, STYLES)
    _check.integer("width", width)
    bits = -log_probs / math.log(2.0) + 0.0  # of what is certain 0, not -0
    mean = bits.mean()
    if style == "text":
        ax = current(ax)
        numbers = np.concatenate([[np.nan], bits])
        write_colored(ax, written, numbers, line_places(text, width), "surprise (bits)")
        ax.set_title(f"Surprise, on average {mean:.2f} bits", loc="left")
        return ax
    ax = current(ax)
    bars = ax.bar(range(1, len(text)), bits, color=BLUE, width=0.8, label="surprise")
    average = ax.axhline(
        mean, color=ORANGE, linewidth=1, linestyle="--", label=f"average: {mean:.2f}"
    )
    ax.set_ylabel("surprise (bits)")
    ax.grid(axis="y", **GRID)
    ax.set_axisbelow(True)
    head(ax, "How surprising is each character?", [average, bars])
    values.write_below(ax, written, len(text), "character")
    return ax
