"""The learning curve of a training, written step by step to a file or for TensorBoard."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, BinaryIO, Protocol

from fastrnn import _check, checkpoint

COLUMNS = ("step", "chars", "lr", "loss", "validation_loss")
_HEADER = (",".join(COLUMNS) + "\n").encode()

# The names under which TensorBoard shows a record's numbers.
_TAGS = {"loss": "loss/training", "validation_loss": "loss/validation", "lr": "lr"}


class Recorder(Protocol):
    """What takes the record of each step, as :class:`fastrnn.CharRNN` describes them."""

    def write(self, record: dict[str, Any]) -> None:
        """Add a record."""

    def flush(self) -> None:
        """Have all that was added survive whatever happens next."""

    def close(self) -> None:
        """Add nothing any more."""


class CsvFile:
    """A CSV file with a row for every step, each complete as soon as it was made.

    A file that is there stays as it is until the first row comes.

    Parameters
    ----------
    path : path-like
        A history that is there keeps its rows of steps up to ``after_step``. All others are
        dropped: those of another training, those that an interrupted training made after its
        last checkpoint, and one that was cut short.
    after_step : int
        The number of the last step that is not to be written.

    Raises
    ------
    TypeError, ValueError
        If ``path`` is no path, or a file that holds something else.
    OSError
        If the file cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str], after_step: int) -> None:
        self._path = _check.path("history_file", path)
        self._after_step = after_step
        self._file: BinaryIO | None = None
        checkpoint.check_writable(self._path)
        _rows(self._path, after_step)

    def write(self, record: dict[str, Any]) -> None:
        """Append a row."""
        row = ",".join(repr(record[key]) if key in record else "" for key in COLUMNS)
        file = self._file or self._begin()
        try:
            file.write(row.encode() + b"\n")
            file.flush()
        except OSError as error:
            error.filename = self._path
            raise

    def _begin(self) -> BinaryIO:
        """Drop the rows that are not kept, and open the file for as long as the training."""
        checkpoint.replace(self._path, _HEADER + _rows(self._path, self._after_step))
        self._file = open(self._path, "ab")  # noqa: SIM115 - see above
        return self._file

    def flush(self) -> None:
        """Wait until the rows are on the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def read(name: str, path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the records of a history file that :class:`CsvFile` wrote, or writes still.

    Parameters
    ----------
    name : str
        What to call ``path`` in an error message.
    path : path-like
        The file. A last row that is not complete yet is left out.

    Raises
    ------
    TypeError, ValueError
        If ``path`` is no path, or a file that holds something else.
    OSError
        If the file cannot be read.
    """
    path = _check.path(name, path)
    with open(path, "rb") as file:
        header, *rows = file.read().split(b"\n")[:-1] or [b""]
    if header + b"\n" != _HEADER:
        raise ValueError(
            f"{name} {path!r} is not a history that fastrnn wrote, whose first line is "
            f"{_HEADER.decode().strip()!r}"
        )
    return [_record(name, path, line, row) for line, row in enumerate(rows, start=2)]


def _record(name: str, path: str, line: int, row: bytes) -> dict[str, Any]:
    try:
        cells = dict(zip(COLUMNS, row.decode().split(","), strict=True))
        return {
            key: int(cell) if key in ("step", "chars") else float(cell)
            for key, cell in cells.items()
            if cell
        }
    except ValueError:
        raise ValueError(
            f"{name} {path!r} has no record of a training in line {line}, got {row[:60]!r}"
        ) from None


def _rows(path: str, after_step: int) -> bytes:
    """Return the complete rows of steps up to ``after_step`` that a history at ``path`` has."""
    try:
        with open(path, "rb") as file:
            header, kept = file.readline(len(_HEADER)), []
            if header not in (b"", _HEADER):
                raise ValueError(
                    f"history_file {path!r} exists and is not a history that fastrnn wrote, whose "
                    f"first line is {_HEADER.decode().strip()!r}; choose another file"
                )
            for row in file:
                step = row.split(b",", 1)[0]
                if not (row.endswith(b"\n") and step.isdigit() and int(step) <= after_step):
                    break
                kept.append(row)
    except FileNotFoundError:
        return b""
    return b"".join(kept)


class TensorBoard:
    """Writes records for TensorBoard to show, from the first on.

    Parameters
    ----------
    folder : path-like
        Made if it is not there. What is there of steps after ``after_step``, TensorBoard shows
        no more.
    after_step : int
        The number of the last step that is not to be written.

    Raises
    ------
    ImportError
        If tensorboardX is missing.
    TypeError, ValueError
        If ``folder`` is no path.
    OSError
        If it cannot be written to.
    """

    def __init__(self, folder: str | os.PathLike[str], after_step: int) -> None:
        folder = _check.path("tensorboard", folder)
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ImportError(
                "tensorboard needs tensorboardX, which the extra 'tensorboard' brings: "
                "python -m pip install 'fastrnn[tensorboard]'"
            ) from None
        os.makedirs(folder, exist_ok=True)
        # Files are named by the second. A second file of the same one must not replace the first,
        # and TensorBoard reads them in the order of their names.
        suffix = f".{after_step:012}"
        self._make = partial(
            SummaryWriter, folder, purge_step=after_step + 1, filename_suffix=suffix
        )
        self._writer: Any = None

    def write(self, record: dict[str, Any]) -> None:
        """Add a record's losses and its learning rate."""
        if self._writer is None:
            self._writer = self._make()
        for key, tag in _TAGS.items():
            if key in record:
                self._writer.add_scalar(tag, record[key], record["step"])

    def flush(self) -> None:
        """Write what waits."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Write what waits, and stop."""
        if self._writer is not None:
            self._writer.close()
