"""What all animations are drawn with: a canvas of 16 × 11 units, boxes, arrows, numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from fastrnn.plot import values as plotted
from fastrnn.plot.axes import BLUE, GREEN, ORANGE, PINK, diverging

WIDTH, HEIGHT = 16.0, 11.0
INCHES = (6.4, 4.4)

# What a colour stands for, in every animation.
INPUT, STATE, OUTPUT, BACK = GREEN, BLUE, PINK, ORANGE
INK, QUIET, PALE = "#222222", "#b0b0b0", "#f4f4f4"

# Characters of a caption that fit into a line.
_LINE = 70

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def canvas(figure: Any) -> Any:
    """Return axes that cover the whole figure, which is emptied."""
    figure.clear()
    figure.set_facecolor("white")
    return figure.add_axes((0, 0, 1, 1))


def clear(ax: Any) -> None:
    """Take away all that is drawn."""
    ax.clear()
    ax.set_autoscale_on(False)
    ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    ax.set_axis_off()


def frame(ax: Any, title: str, caption: str, progress: float) -> None:
    """Write the title and the caption, and show how much of the film is over."""
    write(ax, WIDTH / 2, 10.5, title, size=13, weight="bold")
    write(ax, WIDTH / 2, 1.05, lines(caption), size=11, linespacing=1.25)
    bar(ax, 0, 0, WIDTH * progress, 0.1, QUIET)


def lines(caption: str) -> str:
    """Return a caption in as few lines as it needs, which are about equally long."""
    count = len(textwrap.wrap(caption, _LINE))
    for width in range(len(caption) // count, _LINE):
        found = textwrap.wrap(caption, width)
        if len(found) == count:
            return "\n".join(found)
    return textwrap.fill(caption, _LINE)


def write(ax: Any, x: float, y: float, text: str, *, size: float = 10, **options: Any) -> None:
    """Write text around a point, in points of a figure of usual width; no formulas."""
    scale = ax.figure.get_size_inches()[0] / INCHES[0]
    how = {"ha": "center", "va": "center", "color": INK, "parse_math": False}
    ax.text(x, y, text, fontsize=size * scale, **how | options)


def box(
    ax: Any,
    x: float,
    y: float,
    width: float,
    height: float,
    color: str,
    *,
    lit: float = False,
    fill: bool = True,
) -> None:
    """Draw a box around a point, its frame in a colour, and tinted as far as it is lit, up to 1."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import FancyBboxPatch

    face = [1 - 0.25 * lit * (1 - part) for part in to_rgba(color)[:3]]
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height,
            boxstyle="round,pad=0,rounding_size=0.2", facecolor=face, edgecolor=color,
            linewidth=1.3 + 1.2 * lit, fill=fill,
        )
    )  # fmt: skip


def bar(ax: Any, x: float, y: float, width: float, height: float, color: str) -> None:
    """Draw a filled rectangle from its corner."""
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), width, height, facecolor=color, linewidth=0))


def arrow(
    ax: Any,
    start: tuple[float, float],
    end: tuple[float, float],
    color: str,
    *,
    width: float = 1.5,
    alpha: float = 1.0,
    bend: float = 0.0,
) -> None:
    """Draw an arrow from point to point, ``bend`` times their distance off a straight line."""
    from matplotlib.patches import FancyArrowPatch

    # A filled shape has a head that ends where it should, but is no smooth bend.
    filled = f"simple,tail_width={width},head_width={5 + 2 * width},head_length={5 + width}"
    ax.add_patch(
        FancyArrowPatch(
            start, end, color=color, alpha=alpha, shrinkA=0, shrinkB=0,
            arrowstyle="-|>" if bend else filled, mutation_scale=8 + 2 * width if bend else 1,
            linewidth=width if bend else 0, connectionstyle=f"arc3,rad={bend}",
        )
    )  # fmt: skip


def heat(
    ax: Any, x: float, y: float, width: float, height: float, values: np.ndarray, limit: float
) -> None:
    """Draw numbers (rows, columns) as colours from a corner: blue below zero, orange above."""
    from matplotlib.patches import Rectangle

    ax.imshow(
        values, cmap=_colours(), vmin=-limit, vmax=limit, interpolation="nearest", aspect="auto",
        extent=(x, x + width, y, y + height), origin="upper", zorder=2,
    )  # fmt: skip
    ax.add_patch(
        Rectangle((x, y), width, height, fill=False, edgecolor=QUIET, linewidth=0.8, zorder=3)
    )


@cache
def _colours() -> Any:
    """Return the colour map of all frames; to make one takes longer than to draw with it."""
    return diverging()


def limit_of_states(states: Iterable[np.ndarray]) -> float:
    """Return the end of the one scale of all states of a film: that of tanh, or the largest."""
    return max(1.0, *map(limit, states))


def limit(values: np.ndarray) -> float:
    """Return the largest size of a number, to be the end of a scale; 1 if all are 0."""
    return float(np.abs(values).max(initial=0.0)) or 1.0


def indexed(name: str, step: int) -> str:
    """Return a name with a number below, such as h₂."""
    return name + str(step).translate(_SUBSCRIPTS)


def shown(character: str) -> str:
    """Return what a character is shown as: itself, or what stands for one that leaves no mark."""
    return plotted.shown(character).replace(r"\$", "$")  # nothing is read as a formula here


def number(value: float) -> str:
    """Return a number in two or three digits, with a true minus sign."""
    size = abs(value)
    if size == 0 or 0.01 <= size < 9.995:  # what is beyond is rounded to a digit more
        text = f"{value:.2f}"
    elif 0.0001 <= size < 999.5:
        text = f"{value:.3g}" if size > 1 else f"{value:.1g}"
    else:
        text = f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return text.replace("-", "−")
