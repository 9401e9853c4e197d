"""Tables of numbers in CSV files, as strangers write them."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fastrnn.corpus import textfiles

# In this order, because commas also stand in numbers and in prose.
DELIMITERS = ("\t", ";", "|", ",")

# How many lines decide what separates fields.
_LOOKED_AT = 50

_MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "?", "-", "--", "."}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}([ ,.'\u00a0\u202f_]\d{3})+([.,]\d+)?", re.ASCII)

# What stands beside numbers that are prices or shares.
_UNITS = "$\u00a3\u00a5\u20ac% "


@dataclass(frozen=True)
class Table:
    """The fields of a CSV file.

    Attributes
    ----------
    path : str
        The file, "-" for standard input.
    names : list of str
        Of the columns; the number of a column, from 1, where it has no name.
    rows : list of list of str
        Fields without the blanks around them, as many in each row as there are names.
    lines : list of int
        The line of the file on which each row ends, from 1.
    """

    path: str
    names: list[str]
    rows: list[list[str]]
    lines: list[int]

    @property
    def source(self) -> str:
        """What to call the file in messages."""
        return textfiles.label(self.path)

    def find(self, column: str) -> int:
        """Return the place of a column that is named, or counted from 1.

        Raises
        ------
        ValueError
            If there is none, or more than one of that name.
        """
        places = [place for place, name in enumerate(self.names) if name == column]
        if len(places) == 1:
            return places[0]
        if places:
            listed = " and ".join(str(place + 1) for place in places)
            raise ValueError(
                f"{self.source} has {len(places)} columns {column!r}; give the number of one, "
                f"which are {listed}"
            )
        if column.isdecimal() and 1 <= int(column) <= len(self.names):
            return int(column) - 1
        raise ValueError(f"{self.source} has no column {column!r}; it has {self._listed()}")

    def texts(self, place: int) -> list[str]:
        """Return the fields of a column."""
        return [row[place] for row in self.rows]

    def holds_numbers(self, place: int) -> bool:
        """Say whether every field of a column is a number."""
        return all(_NUMBER.fullmatch(text) for text in self.texts(place))

    def is_meant_as_numbers(self, place: int) -> bool:
        """Say whether most fields of a column are numbers, of those in which something is.

        Numbers are here also those that :meth:`numbers` refuses for how they are written.
        """
        there = [text for text in self.texts(place) if text.lower() not in _MISSING]
        return 2 * sum(map(_is_meant_as_number, there)) > len(there)

    def numbers(self, place: int) -> np.ndarray:
        """Return the numbers of a column, (rows,).

        Raises
        ------
        ValueError
            If one is missing or is no number, saying where and what to do.
        """
        return np.array(
            [
                self._number(text, line, place)
                for text, line in zip(self.texts(place), self.lines, strict=True)
            ],
            dtype=np.float64,
        )

    def _number(self, text: str, line: int, place: int) -> float:
        if _NUMBER.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
        where = f"{self.source}, line {line}, column {self.names[place]!r}"
        shown = text if len(text) <= 40 else text[:37] + "..."
        if text.lower() in _MISSING:
            found = f"{shown!r}" if text else "nothing"
            raise ValueError(
                f"{where}: a number is missing ({found} is there); "
                f"fill it in, or leave out rows at the beginning or the end"
            )
        if _DECIMAL_COMMA.fullmatch(text):
            raise ValueError(
                f"{where}: {shown!r} has a decimal comma; write numbers with a point, "
                f"{text.replace(',', '.')}, and separate fields by something else than a comma "
                f"or put them in quotes"
            )
        if _GROUPED.fullmatch(text):
            raise ValueError(
                f"{where}: {shown!r} has its digits in groups; write numbers without, as 1234.5"
            )
        raise ValueError(f"{where}: {shown!r} is not a number, such as -1234.5 or 1e-3")

    def _listed(self) -> str:
        names = ", ".join(repr(name) for name in self.names[:20])
        return names if len(self.names) <= 20 else f"{names} and {len(self.names) - 20} more"


def read_table(
    path: str | os.PathLike[str], *, delimiter: str | None = None, header: bool = True
) -> Table:
    """Return the table in a CSV file, or in standard input if ``path`` is ``"-"``.

    Lines without any field are skipped, also those at the end that hold only delimiters. Between
    the rows of a single column an empty line is a missing field.

    Parameters
    ----------
    path : path-like
        A text in UTF-8, also one that gzip has packed.
    delimiter : str, optional
        What separates fields; by default the first of tab, semicolon, bar and comma that cuts the
        first lines into fields of one number, or that the first line has most of.
    header : bool
        Whether the first line names the columns.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no text in UTF-8, has no rows, or rows of different lengths.
    """
    path = os.fspath(path)
    text = "".join(textfiles.read(path)).replace("\r\n", "\n").replace("\r", "\n")
    source = textfiles.label(path)
    delimiter = _delimiter(text) if delimiter is None else delimiter
    records = [
        (line, [field.strip() for field in row]) for line, row in _records(text, delimiter, source)
    ]
    first = next((row for _, row in records if _is_filled(row)), [])
    names = [str(place + 1) for place in range(len(first))]
    if header and first:
        names = [name or number for name, number in zip(first, names, strict=True)]
        _refuse_numbers(source, first)
        records = records[[row for _, row in records].index(first) + 1 :]
    records = _without_blanks(records, inside=len(names) > 1)
    rows, lines = [row for _, row in records], [line for line, _ in records]
    if not rows:
        raise ValueError(f"{source} has no rows of data")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(names):
            raise ValueError(
                f"{source}, line {line} has {len(row)} field{'s' * (len(row) != 1)}, expected "
                f"{len(names)} as in its first line, separated by {delimiter!r}"
            )
    return Table(path, names, rows, lines)


def _is_meant_as_number(text: str) -> bool:
    bare = text.strip(_UNITS)
    return any(style.fullmatch(bare) for style in (_NUMBER, _DECIMAL_COMMA, _GROUPED))


def _records(text: str, delimiter: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line and its fields, one or more."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            yield reader.line_num, row or [""]
    except csv.Error as error:
        raise ValueError(
            f"{source}, line {reader.line_num} cannot be read as CSV: {error}"
        ) from None


def _is_filled(row: list[str]) -> bool:
    return len(row) > 1 or row[0] != ""


def _without_blanks(
    records: list[tuple[int, list[str]]], *, inside: bool
) -> list[tuple[int, list[str]]]:
    """Drop lines without a field at both ends, and also those between rows if asked to."""
    filled = [place for place, (_, row) in enumerate(records) if _is_filled(row)]
    while filled and not any(records[filled[-1]][1]):
        filled.pop()
    if inside or not filled:
        return [records[place] for place in filled]
    return records[filled[0] : filled[-1] + 1]


def _delimiter(text: str) -> str:
    """Return what separates the fields of a text."""
    lines = [line for line in text.split("\n") if line.strip()][:_LOOKED_AT]
    for delimiter in DELIMITERS:
        try:
            widths = {
                len(row) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
            }
        except csv.Error:
            continue
        if len(widths) == 1 and widths != {1}:
            return delimiter
    return max(reversed(DELIMITERS), key=lambda one: lines[0].count(one) if lines else 0)


def _refuse_numbers(source: str, first: list[str]) -> None:
    if all(_NUMBER.fullmatch(field) for field in first):
        raise ValueError(
            f"{source} begins with numbers ({', '.join(first[:3])}) where names of columns are "
            f"expected; if it has none, say --no-header"
        )
