"""The unrolled network, drawn: a chain of copies of one cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn.animate import drawing
from fastrnn.animate.drawing import INPUT, OUTPUT, QUIET, STATE, WIDTH

# Heights of inputs, cells and outputs, and sizes of a cell and of the boxes beside it.
INPUTS, CELLS, OUTPUTS = 2.9, 5.1, 7.3
CELL, SMALL = 1.7, 0.95


def places(count: int) -> np.ndarray:
    """Return where the copies stand, from left to right."""
    gap = min(3.6, 14.4 / count)
    return WIDTH / 2 + gap * (np.arange(count) - (count - 1) / 2)


def cell(
    ax: Any, x: float, name: str, values: np.ndarray | None, limit: float, *, lit: bool = False
) -> None:
    """Draw a cell, and its state as colours, from -limit to limit, if it has one."""
    drawing.box(ax, x, CELLS, CELL, CELL, STATE, lit=lit)
    drawing.write(ax, x, CELLS + 0.3, name, size=12, color=STATE, weight="bold")
    if values is not None:
        drawing.heat(ax, x - 0.65, CELLS - 0.6, 1.3, 0.45, values[None], limit)


def small(ax: Any, x: float, y: float, text: str, color: str, *, lit: bool = False) -> None:
    """Draw the box of an input or of an output."""
    drawing.box(ax, x, y, SMALL, SMALL, color, lit=lit)
    drawing.write(ax, x, y, text, size=12 if len(text) < 3 else 8 if len(text) < 6 else 7)


def read(ax: Any, x: float, *, lit: bool = False, color: str = INPUT) -> None:
    """Draw the arrow from an input to its cell."""
    ends = (x, INPUTS + SMALL / 2), (x, CELLS - CELL / 2)
    drawing.arrow(ax, *ends, color if lit else QUIET, width=3.5 if lit else 1.5)


def answer(ax: Any, x: float, *, lit: bool = False, color: str = OUTPUT) -> None:
    """Draw the arrow from a cell to its output."""
    ends = (x, CELLS + CELL / 2), (x, OUTPUTS - SMALL / 2)
    drawing.arrow(ax, *ends, color if lit else QUIET, width=3.5 if lit else 1.5)


def hand_on(
    ax: Any, x: float, after: float, *, lit: bool = False, color: str = STATE, alpha: float = 1.0
) -> None:
    """Draw the arrow from a cell to the next one."""
    ends = (x + CELL / 2, CELLS), (after - CELL / 2, CELLS)
    drawing.arrow(ax, *ends, color if lit else QUIET, width=3.5 if lit else 1.5, alpha=alpha)
