"""A sequence processed step by step, as data and as a table to read.

The numbers come from the compiled layer (see :meth:`fastrnn.RNN.trace`); nothing here repeats its
equations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from fastrnn import _check

TITLES = ("t", "input x_t", "previous state h_{t-1}", "pre-activation a_t", "state h_t")
ELLIPSIS = "…"


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a recurrent layer over one sequence.

    Attributes
    ----------
    input : np.ndarray or int
        x_t: a vector of shape (input_size,), or the token id as an int.
    previous_state : np.ndarray
        h_{t-1}, shape (hidden_size,).
    pre_activation : np.ndarray
        a_t, what the activation is applied to, shape (hidden_size,).
    state : np.ndarray
        h_t = f(a_t), shape (hidden_size,).
    """

    input: np.ndarray | int
    previous_state: np.ndarray
    pre_activation: np.ndarray
    state: np.ndarray


class Trace(Sequence[Step]):
    """The steps of one sequence, in order: a read-only list whose ``str`` is a table.

    Parameters
    ----------
    steps : iterable of Step
        The steps, first to last.
    name : str
        What was traced, printed above the table; nothing is printed when empty.

    Examples
    --------
    >>> h_0, a_1, h_1 = np.zeros(2), np.array([0.5, -2.0]), np.array([0.5, 0.0])
    >>> trace = Trace([Step(3, h_0, a_1, h_1)], name="RNN(5, 2), relu")
    >>> print(trace)
    RNN(5, 2), relu
    t  input x_t  previous state h_{t-1}  pre-activation a_t        state h_t
    1          3         [0.0000 0.0000]   [ 0.5000 -2.0000]  [0.5000 0.0000]
    >>> trace[0].state
    array([0.5, 0. ])
    """

    def __init__(self, steps: Iterable[Step], name: str = "") -> None:
        self._steps = tuple(steps)
        self.name = name

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Step, ...]: ...
    def __getitem__(self, index: int | slice) -> Step | tuple[Step, ...]:
        return self._steps[index]

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)

    def __repr__(self) -> str:
        return f"<Trace of {self.name or 'a layer'}: {len(self)} steps>"

    def __str__(self) -> str:
        return self.table()

    def table(self, decimals: int = 4, max_values: int = 3) -> str:
        """Return the steps as a table, one line per step, t counted from 1.

        Parameters
        ----------
        decimals : int
            Digits after the point, from 0 to 17.
        max_values : int
            Values shown of each vector; "…" stands for the rest.

        Returns
        -------
        str
            The table, with the name above it if there is one.

        Raises
        ------
        TypeError
            If an argument is not an integer.
        ValueError
            If an argument is out of range.
        """
        decimals = _check.integer("decimals", decimals, 0, 17)
        max_values = _check.integer("max_values", max_values)
        columns = [
            [str(t) for t in range(1, len(self) + 1)],
            _column([step.input for step in self], decimals, max_values),
            _column([step.previous_state for step in self], decimals, max_values),
            _column([step.pre_activation for step in self], decimals, max_values),
            _column([step.state for step in self], decimals, max_values),
        ]
        widths = [
            max(map(len, (title, *cells))) for title, cells in zip(TITLES, columns, strict=True)
        ]
        lines = [self.name] if self.name else []
        for row in (TITLES, *zip(*columns, strict=True)):
            lines.append("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)))
        return "\n".join(lines)


def _column(values: list[Any], decimals: int, max_values: int) -> list[str]:
    """Print the values of one column, numbers under numbers."""
    if all(isinstance(value, int) for value in values):
        return [str(value) for value in values]
    rows = [[_number(number, decimals) for number in value[:max_values]] for value in values]
    width = max(len(number) for row in rows for number in row)
    rest = " " + ELLIPSIS if len(values[0]) > max_values else ""
    return [f"[{' '.join(number.rjust(width) for number in row)}{rest}]" for row in rows]


def _number(value: float, decimals: int) -> str:
    """Print in fixed point while that is readable, in scientific notation beyond."""
    style = "f" if abs(value) < 1e5 else "e"
    return f"{value:.{decimals}{style}}"
