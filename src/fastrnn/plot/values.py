"""What pictures are drawn from, checked: rows, tables and the labels of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.plot.axes import whole_numbers

_FLOAT64 = np.dtype(np.float64)

# What stands for a character that leaves no mark on paper.
SPACE = "␣"
_MARKS = {" ": SPACE, "\n": "⏎", "\t": "⇥"}

# More labels than this would be written over each other in a figure of usual width.
_MOST_LABELS = 100


def row(name: str, value: Any) -> np.ndarray:
    """Return finite numbers of shape (n,), at least one, as float64."""
    return _of_dimensions(name, value, 1)


def table(name: str, value: Any) -> np.ndarray:
    """Return finite numbers of shape (rows, columns), at least one, as float64."""
    return _of_dimensions(name, value, 2)


def _of_dimensions(name: str, value: Any, count: int) -> np.ndarray:
    array = _check.reals(name, value, _FLOAT64)
    if array.ndim != count or array.size == 0:
        dimensions = {1: "one-dimensional", 2: "two-dimensional"}[count]
        raise ValueError(f"{name} must be {dimensions} and not empty, got shape {array.shape}")
    return array


def plain(text: str) -> str:
    r"""Return what Matplotlib draws as this text, and not as a formula.

    Examples
    --------
    >>> plain("$5")
    '\\$5'
    """
    return text.replace("$", r"\$")


def shown(symbol: str | int) -> str:
    """Return what to write for a character, or a byte given as an integer.

    Examples
    --------
    >>> shown("a"), shown(" "), shown(chr(0)), shown(0x41), shown(0xC3)
    ('a', '␣', '00', 'A', 'c3')
    """
    if isinstance(symbol, int):
        return shown(chr(symbol)) if symbol < 128 else f"{symbol:02x}"
    if symbol in _MARKS:
        return _MARKS[symbol]
    return plain(symbol) if symbol.isprintable() else f"{ord(symbol):02x}"


def symbols(name: str, value: str | bytes, count: int, of: str) -> list[str]:
    """Return what to write for each character or byte of a text that must have ``count``."""
    if not isinstance(value, (str, bytes)):
        raise TypeError(f"{name} must be a str or bytes, got {_check.describe(value)}")
    _require_as_many(name, len(value), count, of)
    return [shown(symbol) for symbol in value]


def labels(name: str, value: Any, count: int, of: str) -> list[str]:
    r"""Return what to write for each of ``count`` steps.

    Parameters
    ----------
    name : str
        What to call ``value`` in an error message.
    value : str, bytes, or sequence of str or of numbers
        A character, a byte, a word or a number for each step.
    count : int
        How many steps there are.
    of : str
        Why there must be so many, for an error message.

    Examples
    --------
    >>> labels("labels", "no\n", 3, "each step"), labels("labels", [0.25, 1], 2, "each step")
    (['n', 'o', '⏎'], ['0.25', '1'])
    """
    if isinstance(value, (str, bytes)):
        return symbols(name, value, count, of)
    is_row = isinstance(value, np.ndarray) and value.ndim == 1
    if not is_row and (isinstance(value, np.ndarray) or not isinstance(value, Sequence)):
        raise TypeError(
            f"{name} must be a text, or a sequence of words or numbers, "
            f"got {_check.describe(value)}"
        )
    _require_as_many(name, len(value), count, of)
    return [_label(name, one) for one in value]


def _label(name: str, value: Any) -> str:
    if isinstance(value, str):
        return shown(value) if len(value) == 1 else plain(value)
    return f"{_check.number(f'each of {name}', value):.3g}"


def text_argument(name: str, value: Any) -> str:
    """Return ``value``, which must be a string, as Matplotlib writes it."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, got {_check.describe(value)}")
    return plain(value)


def _require_as_many(name: str, length: int, count: int, of: str) -> None:
    if length != count:
        noun = "entry" if count == 1 else "entries"
        raise ValueError(f"{name} must have {count} {noun}, {of}, got {length}")


def write_below(ax: Any, written: list[str] | None, count: int, what: str = "input $x_t$") -> None:
    """Write the labels of ``count`` steps below axes whose x is the number of the step, from 0."""
    ax.set_xlim(-0.5, count - 0.5)
    if written is None:
        whole_numbers(ax.xaxis)
        ax.set_xlabel("step $t$")
        return
    every = -(-count // _MOST_LABELS)
    if max(map(len, written)) > 2 and count > 8:
        ax.tick_params(axis="x", labelrotation=90)
    ax.set_xticks(range(0, count, every), written[::every], family="monospace", fontsize="small")
    ax.set_xlabel(what)
