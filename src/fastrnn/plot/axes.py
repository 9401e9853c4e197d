"""What all pictures share: colours, and the axes and figures that they are drawn on."""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrnn import _check, checkpoint

# Okabe and Ito's colours, which readers with any colour vision tell apart.
BLUE, ORANGE, GREEN, SKY = "#0072b2", "#d55e00", "#009e73", "#56b4e9"
PINK, AMBER, BLACK = "#cc79a7", "#e69f00", "#000000"

# For lines and points, in this order; the eighth of theirs, yellow, is too light on white.
CYCLE = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY, BLACK)

GRID = {"color": "#e0e0e0", "linewidth": 0.6}

# Of a letter of text: points at most, and how far Matplotlib's monospaced font goes on in its size.
_LETTER, _ADVANCE = 8.5, 0.602

_HOW = "needs Matplotlib, which the extra 'plot' brings: python -m pip install 'fastrnn[plot]'"

# Of a background: below it white letters are read more easily than black ones (the luminance at
# which both have the same contrast, by the Web Content Accessibility Guidelines 2.1).
_DARK = 0.179


def check_available() -> None:
    """Raise a ValueError that says what to install, where Matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(f"--plot {_HOW}")


def current(ax: Any = None) -> Any:
    """Return the axes ``ax``, or those that pyplot draws on if there are none."""
    module = pyplot()
    if ax is None:
        return module.gca()
    if not isinstance(ax, module.Axes):
        raise TypeError(f"ax must be Matplotlib's Axes, got {_check.describe(ax)}")
    return ax


def figure(fig: Any, size: tuple[float, float]) -> Any:
    """Return the figure ``fig``, or a new one of pyplot's, ``size`` in inches, if there is none."""
    module = pyplot()
    if fig is None:
        return module.figure(figsize=size, layout="constrained")
    from matplotlib.figure import FigureBase

    if not isinstance(fig, FigureBase):
        raise TypeError(f"fig must be Matplotlib's Figure or SubFigure, got {_check.describe(fig)}")
    return fig


def save(fig: Any, file: Any) -> None:
    """Write a figure to a file, whole or not at all, in the format that its name ends in."""
    file = _check.path("file", file)
    ending = os.path.splitext(file)[1]
    if not ending:
        raise ValueError(f"file must end in a format, such as .png or .svg, got {file!r}")
    drawn = io.BytesIO()
    fig.savefig(drawn, format=ending[1:].lower(), dpi=150)
    checkpoint.replace(file, drawn.getvalue())


def pyplot() -> Any:
    """Return pyplot, or raise an ImportError that says what to install."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(f"a picture {_HOW}") from None
    return pyplot


def diverging() -> Any:
    """Return the colour map of signed numbers: blue below zero, white at zero, orange above."""
    return _map("fastrnn_diverging", [BLUE, "#ffffff", ORANGE])


def sequential() -> Any:
    """Return the colour map of numbers from zero on: from white to blue."""
    return _map("fastrnn_sequential", ["#ffffff", BLUE])


def _map(name: str, colours: list[str]) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(name, colours)


def ink(background: Any) -> str:
    """Return the colour, black or white, in which letters are read best on a background.

    Parameters
    ----------
    background : sequence of float
        Red, green and blue in [0, 1]; what follows is not read.
    """
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in background[:3]
    )
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < _DARK else "black"


def head(ax: Any, title: str, drawn: Sequence[Any]) -> None:
    """Write a title above axes, at the left, and at the right of it a legend of what was drawn."""
    ax.set_title(title, loc="left")
    handles = legend_handles(ax, drawn)
    legend(
        ax, handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles),
        borderaxespad=0.2, columnspacing=1, fontsize="small", frameon=False,
    )  # fmt: skip


def legend_handles(ax: Any, drawn: Sequence[Any]) -> list[Any]:
    """Return what a legend shall name: all that axes had before, and ``drawn`` on them now."""
    found, _ = ax.get_legend_handles_labels()
    return [one for one in found if not any(one is other for other in drawn)] + list(drawn)


def legend(place: Any, handles: Sequence[Any], **options: Any) -> Any:
    """Give axes or a figure a legend of handles by their labels, whatever these begin with."""
    # Matplotlib leaves out what begins with an underscore, so labels come in afterwards.
    made = place.legend(handles, ["?"] * len(handles), **options)
    for text, handle in zip(made.get_texts(), handles, strict=True):
        text.set_text(handle.get_label())
    return made


def whole_numbers(axis: Any) -> None:
    """Have ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def heatmap(ax: Any, values: Any, **options: Any) -> Any:
    """Draw an array (rows, columns), a cell for each number, the first row at the top."""
    ax.tick_params(length=2)
    return ax.imshow(values, aspect="auto", interpolation="nearest", origin="upper", **options)


def write_in_cells(ax: Any, image: Any, cells: dict[tuple[int, int], str]) -> None:
    """Write characters in cells (row, column) of a heatmap, as large as fit beside each other.

    What stands for a character that has no form of its own is smaller. A cell may be blank.
    """
    from matplotlib.colors import to_rgba

    array = image.get_array()
    blank = ink(to_rgba(ax.get_facecolor()))
    width = ax.get_window_extent().width * 72 / ax.figure.dpi / array.shape[1]  # in points
    size = min(_LETTER, width / _ADVANCE)
    for (row, column), symbol in cells.items():
        several = len(symbol.lstrip("\\")) > 1
        number = array[row, column]
        colour = blank if np.ma.is_masked(number) else ink(image.to_rgba(number))
        ax.text(
            column, row, symbol, family="monospace", fontsize=0.6 * size if several else size,
            ha="center", va="center_baseline", color=colour,
        )  # fmt: skip
