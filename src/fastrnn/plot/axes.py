"""What all pictures share: colours, and the axes and figures that they are drawn on."""

from __future__ import annotations

import importlib.util
import io
from typing import Any

from fastrnn import _check, checkpoint

# Okabe and Ito's colours, which readers with any colour vision tell apart.
BLUE, ORANGE, GREEN, SKY = "#0072b2", "#d55e00", "#009e73", "#56b4e9"
PINK, AMBER, YELLOW, BLACK = "#cc79a7", "#e69f00", "#f0e442", "#000000"

# For lines and points, in this order; yellow is too light on white.
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


def save(fig: Any, file: str) -> None:
    """Write a figure to ``file``, whole or not at all, in the format that its name ends in."""
    drawn = io.BytesIO()
    fig.savefig(drawn, format=file.rsplit(".", 1)[-1].lower(), dpi=150)
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


def head(ax: Any, title: str) -> None:
    """Write a title above axes, at the left, and at the right of it their legend."""
    ax.set_title(title, loc="left")
    handles, _ = ax.get_legend_handles_labels()
    ax.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles),
        borderaxespad=0.2, columnspacing=1, fontsize="small", frameon=False,
    )  # fmt: skip


def whole_numbers(axis: Any) -> None:
    """Have ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def heatmap(ax: Any, values: Any, **options: Any) -> Any:
    """Draw an array (rows, columns), a cell for each number, the first row at the top."""
    ax.tick_params(length=2)
    return ax.imshow(values, aspect="auto", interpolation="nearest", **options)


def write_in_cells(ax: Any, image: Any, cells: dict[tuple[int, int], str]) -> None:
    """Write characters in cells (row, column) of a heatmap, as large as fit beside each other.

    What stands for a character that has no form of its own is smaller.
    """
    array = image.get_array()
    width = ax.get_window_extent().width * 72 / ax.figure.dpi / array.shape[1]  # in points
    size = min(_LETTER, width / _ADVANCE)
    for (row, column), symbol in cells.items():
        several = len(symbol.lstrip("\\")) > 1
        ax.text(
            column, row, symbol, family="monospace", fontsize=0.6 * size if several else size,
            ha="center", va="center_baseline", color=ink(image.to_rgba(array[row, column])),
        )  # fmt: skip
