"""Tables of numbers that a reader may change, each with a message beside what cannot be taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import param
from panel.custom import JSComponent

from fastrnn.demo.controls import STYLE, number

_ASSETS = Path(__file__).parent / "assets"

Texts = list[list[list[str]]]


class NumberTables(JSComponent):  # type: ignore[misc]
    """Matrices as tables of fields.

    All fields are one component: a hundred of their own would take seconds to appear. A field's
    ``name`` is its table's number, its row's and its column's, as in ``number-0-1-3``.

    Parameters
    ----------
    changed : callable
        Given the number of a table and its numbers, whenever one of them was changed.
    least, most : float
        What numbers are taken.
    """

    tables = param.List(doc="Of each: symbol, title, and the names of rows and columns.")
    texts = param.List(doc="What stands in the fields: table, row, column.")
    messages = param.List(doc="What is wrong with it, likewise; empty where nothing is.")

    _esm = (_ASSETS / "number_tables.js").read_text(encoding="utf-8")
    _stylesheets = (STYLE, (_ASSETS / "number_tables.css").read_text(encoding="utf-8"))

    _debounce: ClassVar[int] = 0  # as of all controls

    def __init__(
        self, changed: Callable[[int, np.ndarray], None], least: float, most: float, **params: Any
    ) -> None:
        self._changed, self._least, self._most = changed, least, most
        self._values: list[np.ndarray] = []
        self._known: Texts = []
        super().__init__(**{"sizing_mode": "stretch_width", **params})
        self.param.watch(self._take, "texts")

    def show(
        self,
        tables: Sequence[tuple[str, str, Sequence[str], Sequence[str]]],
        values: Sequence[np.ndarray],
    ) -> None:
        """Show other numbers: of each table (symbol, title, rows, columns), and a matrix."""
        self._values = [
            np.reshape(value, (len(rows), len(columns))).copy()
            for value, (_, _, rows, columns) in zip(values, tables, strict=True)
        ]
        self._known = [
            [[_short(number) for number in row] for row in value] for value in self._values
        ]
        names = ("symbol", "title", "rows", "columns")
        self.param.update(
            tables=[
                dict(zip(names, (symbol, title, [*rows], [*columns]), strict=True))
                for symbol, title, rows, columns in tables
            ],
            texts=self._known,
            messages=_like(self._known),
        )

    def _take(self, event: Any) -> None:
        """Read the fields whose text is new; what cannot be read leaves its number as it was."""
        texts, known = self.texts, self._known
        if texts == known or _like(texts) != _like(known):
            return  # the program's own change, or one of fields that are no longer there
        messages = [[[*row] for row in table] for table in self.messages]
        touched = set()
        for table, row, column in (
            (i, j, k)
            for i, rows in enumerate(texts)
            for j, cells in enumerate(rows)
            for k, text in enumerate(cells)
            if text != known[i][j][k]
        ):
            try:
                value = number(texts[table][row][column], self._least, self._most)
            except ValueError as error:
                messages[table][row][column] = str(error)
                continue
            messages[table][row][column] = ""
            self._values[table][row, column] = value
            touched.add(table)
        self._known = texts
        self.messages = messages
        for table in touched:
            self._changed(table, self._values[table].copy())


def _short(number: float) -> str:
    """Return a number in seven characters at most, so that a narrow field shows all of it.

    Of numbers up to 9999; what is left out is still in the number.
    """
    if 0 < abs(number) < 0.001:
        return f"{number:.0e}"
    if abs(number) < 10:
        return f"{round(number, 4) + 0.0:.6g}"
    return f"{number:.4g}"


def _like(texts: Texts) -> Texts:
    """Return empty texts in the same places."""
    return [[["" for _ in row] for row in table] for table in texts]
