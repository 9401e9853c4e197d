"""Text coloured by a number for each character."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.plot import values
from fastrnn.plot.axes import current, diverging, figure, heatmap, sequential, write_in_cells

# How many units are shown unless they are chosen.
_USUAL_UNITS = 4

# Inches of a line of text and of what stands around the lines of a panel.
_LINE, _AROUND = 0.22, 0.45


def colored_text(
    text: str | bytes, numbers: Any, *, label: str = "", width: int = 64, ax: Any = None
) -> Any:
    """Write a text whose characters stand on colours that say a number each.

    Numbers of both signs go from blue over white, which is 0, to orange, others from white to
    blue.

    Parameters
    ----------
    text : str or bytes
        n characters or bytes. A line ends after a newline, or with the last word that fits.
    numbers : array_like of shape (n,)
        A number for each.
    label : str
        What the numbers are, and their unit.
    width : int
        Characters of a line.
    ax : matplotlib.axes.Axes, optional
        Where to write; on pyplot's current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was written on.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument does not hold what it must, or there is not a number for each character.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import plot
    >>> model = fastrnn.CharRNN(hidden_size=8, vocabulary="to be or not")
    >>> unit = model.states("to be")[:, 3]
    >>> ax = plot.colored_text("to be", unit, label="unit 3")  # doctest: +SKIP
    """
    numbers = values.row("numbers", numbers)
    written = values.symbols("text", text, len(numbers), "one for each of numbers")
    width = _check.integer("width", width)
    label = values.text_argument("label", label)
    return write_colored(current(ax), written, numbers, line_places(text, width), label)


def write_colored(
    ax: Any, written: list[str], numbers: np.ndarray, places: list[tuple[int, int]], label: str
) -> Any:
    """Write symbols at their places, blank where their number is NaN, with a colour bar."""
    limit = float(np.nanmax(np.abs(numbers))) or 1.0
    image = _color(ax, numbers, places, (-limit if np.nanmin(numbers) < 0 else 0, limit))
    ax.figure.colorbar(image, ax=ax, label=label, aspect=30)
    _write(ax, image, written, places)
    return ax


def unit_text(
    states: Any,
    text: str | bytes,
    units: Sequence[int] | None = None,
    *,
    width: int = 64,
    fig: Any = None,
) -> Any:
    """Write a text once for each of some hidden units, coloured by what the unit is after reading.

    Units that respond to something a reader can name, such as quotations or the place in a line,
    were found so by A. Karpathy, J. Johnson and L. Fei-Fei, "Visualizing and understanding
    recurrent networks", arXiv:1506.02078.

    Parameters
    ----------
    states : array_like of shape (T, H)
        h_t after each character, as :meth:`fastrnn.CharRNN.states` gives them.
    text : str or bytes
        The T characters or bytes that were read. Of a model of bytes ``text.encode()``.
    units : sequence of int, optional
        Numbers of units from 0 on; the four whose state varies most unless given.
    width : int
        Characters of a line.
    fig : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; in a new figure of pyplot by default. With ``layout="constrained"`` all
        parts find room.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        A panel for each unit, in the order of ``units``.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument does not hold what it must, or there is not a state for each character.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import plot
    >>> model = fastrnn.CharRNN(hidden_size=8, vocabulary="to be or not")
    >>> axes = plot.unit_text(model.states("to be"), "to be", [0, 5])  # doctest: +SKIP
    """
    states = values.table("states", states)
    written = values.symbols("text", text, len(states), "one for each step of states")
    width = _check.integer("width", width)
    chosen = _most_varying(states) if units is None else _chosen(units, states.shape[1])
    places = line_places(text, width)
    lines = places[-1][0] + 1
    size = (max(6.0, 0.125 * width + 1), len(chosen) * (_LINE * lines + _AROUND))
    fig = figure(fig, size)
    axes = fig.subplots(len(chosen), squeeze=False)[:, 0]
    limit = float(np.abs(states[:, chosen]).max()) or 1.0
    images = [
        _color(ax, states[:, unit], places, (-limit, limit))
        for ax, unit in zip(axes, chosen, strict=True)
    ]
    fig.colorbar(images[0], ax=list(axes), label="$h_t$ after the character", aspect=40)
    for ax, image, unit in zip(axes, images, chosen, strict=True):
        _write(ax, image, written, places)
        ax.set_title(f"unit {unit}", fontsize="medium", loc="left")
    return axes


def _most_varying(states: np.ndarray) -> list[int]:
    order = np.argsort(-states.std(axis=0), kind="stable")
    return order[:_USUAL_UNITS].tolist()


def _chosen(units: Any, count: int) -> list[int]:
    if not isinstance(units, (Sequence, np.ndarray)) or isinstance(units, (str, bytes)):
        raise TypeError(f"units must be a sequence of integers, got {_check.describe(units)}")
    if len(units) == 0:
        raise ValueError("units is empty, expected at least one number of a unit")
    return [_check.integer("each of units", unit, 0, count - 1) for unit in units]


def line_places(text: str | bytes, width: int) -> list[tuple[int, int]]:
    """Return the line and the column of each character, words whole where they fit."""
    space, newline = (" ", "\n") if isinstance(text, str) else (b" ", b"\n")
    places: list[tuple[int, int]] = []
    start = line = 0
    while start < len(text):
        part = text[start : start + width]
        end = len(part)
        if newline in part:  # type: ignore[operator]
            end = part.index(newline) + 1  # type: ignore[arg-type]
        elif start + width < len(text) and space in part:  # type: ignore[operator]
            end = part.rindex(space) + 1  # type: ignore[arg-type]
        places += [(line, column) for column in range(end)]
        start, line = start + end, line + 1
    return places


def _color(
    ax: Any, numbers: np.ndarray, places: list[tuple[int, int]], limits: tuple[float, float]
) -> Any:
    """Colour places by their numbers, from one of the limits to the other."""
    lines, columns = zip(*places, strict=True)
    cells = np.full((max(lines) + 1, max(columns) + 1), np.nan)
    cells[lines, columns] = numbers
    colours = diverging() if limits[0] < 0 else sequential()
    image = heatmap(ax, cells, cmap=colours, vmin=limits[0], vmax=limits[1])
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    return image


def _write(ax: Any, image: Any, written: list[str], places: list[tuple[int, int]]) -> None:
    """Write characters at their places; their colours tell where spaces are."""
    cells = dict(zip(places, written, strict=True))
    write_in_cells(ax, image, {at: one for at, one in cells.items() if one != values.SPACE})
