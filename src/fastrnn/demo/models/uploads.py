"""Files that a reader hands to the page, for functions that read paths."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def read(content: bytes, name: str, reader: Callable[[str], T]) -> T:
    """Return what ``reader`` makes of a file with this content.

    Raises
    ------
    ValueError
        What ``reader`` raises as an OSError, a ValueError or a MemoryError, in its own words, which
        call the file ``name``.

    Examples
    --------
    >>> read(b"abc", "letters.txt", lambda path: len(Path(path).read_text()))
    3
    """
    with tempfile.TemporaryDirectory(prefix="fastrnn-demo-") as folder:
        path = str(Path(folder) / "upload")
        Path(path).write_bytes(content)
        try:
            return reader(path)
        except (OSError, ValueError, MemoryError) as error:
            raise ValueError(str(error).replace(path, name)) from None
