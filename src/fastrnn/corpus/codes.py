"""Small integers that are written once and read in slices, however many there are."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

# Beyond so many bytes they are kept in a file. A text that fits needs no room on a disk.
IN_MEMORY = 2**24

# Numbers in a piece: large enough to be fast, small enough to be nothing beside IN_MEMORY.
PIECE = 2**18


class Codes:
    """Non-negative integers of an unsigned type, in memory or in a temporary file.

    The file has no name (or, where the system wants one, goes with the process), so that nothing
    is left of it whatever ends the process. It is read and not mapped: pages of a mapped file
    count as the process's memory, and one that is cut short kills it.

    Parameters
    ----------
    dtype : dtype
        An unsigned type that holds every number.
    in_memory : int or None
        Bytes beyond which they go to a file; None is never.

    Examples
    --------
    >>> codes = Codes(np.uint8)
    >>> codes.append(np.array([3, 1, 4]))
    >>> codes.append(np.array([1, 5]))
    >>> len(codes), codes[1:4]
    (5, array([1, 4, 1], dtype=uint8))
    """

    def __init__(self, dtype: DTypeLike, in_memory: int | None = IN_MEMORY) -> None:
        self.dtype = np.dtype(dtype)
        self._in_memory = in_memory
        self._memory = bytearray()
        self._file: Any = None
        self._lock = threading.Lock()
        self._length = 0
        self._closed = False

    def __len__(self) -> int:
        return self._length

    def append(self, codes: np.ndarray) -> None:
        """Add numbers of any integer type that ``dtype`` holds.

        Raises
        ------
        OSError
            If there is no room for a temporary file.
        """
        content = codes.astype(self.dtype).tobytes()
        full = self._in_memory is not None and len(self._memory) + len(content) > self._in_memory
        if self._file is None and not full:
            self._memory += content
        else:
            self._write(content)
        self._length += len(codes)

    def __getitem__(self, piece: slice, /) -> np.ndarray:
        if self._closed:
            raise ValueError("the corpus is closed; make a new one to read its text again")
        start, stop, _ = piece.indices(self._length)
        size = self.dtype.itemsize
        offset, count = start * size, max(0, stop - start)
        if self._file is None:
            return np.frombuffer(self._memory, self.dtype, count, offset).copy()
        return np.frombuffer(self._read(offset, count * size), self.dtype)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the numbers from ``start`` to ``stop`` in order, a bounded number at a time."""
        stop = self._length if stop is None else stop
        for first in range(start, stop, PIECE):
            yield self[first : min(first + PIECE, stop)]

    def widened(self, dtype: DTypeLike) -> Codes:
        """Return the same numbers as ``dtype``, and close these."""
        wider = Codes(dtype, self._in_memory)
        for piece in self.pieces():
            wider.append(piece)
        self.close()
        return wider

    def close(self) -> None:
        """Give memory and file back; the numbers can no longer be read."""
        self._closed = True
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()

    def _write(self, content: bytes) -> None:
        folder = tempfile.gettempdir()
        try:
            if self._file is None:
                self._file = _nameless_file()
                weakref.finalize(self, self._file.close)
                content = bytes(self._memory) + content
                self._memory = bytearray()
            rest = memoryview(content)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            advice = "this folder holds the temporary file of a large text, TMPDIR names another"
            raise OSError(error.errno, f"{error.strerror}; {advice}", folder) from None

    def _read(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):  # leaves alone the position, which forked processes share
            return os.pread(self._file.fileno(), size, offset)
        with self._lock:
            self._file.seek(offset)
            content: bytes = self._file.read(size)
            return content


def _nameless_file() -> Any:
    return tempfile.TemporaryFile(buffering=0)
