"""Text from files: patterns, compression, encodings, and what is wrong where."""

from __future__ import annotations

import codecs
import contextlib
import errno
import glob
import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Any, cast

from fastrnn import _check

PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]

STANDARD_INPUT = "-"

# Bytes read at a time.
_PIECE = 2**18

_GZIP = b"\x1f\x8b"  # RFC 1952, 2.3.1; UTF-8 has no 0x8b there

# UTF-32 comes first: in little-endian order its mark begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def expand(files: PathLike | Iterable[PathLike]) -> list[str]:
    """Return the names of the files that are meant, in the order in which they are read.

    Parameters
    ----------
    files : path or iterable of paths
        Each is a file, ``"-"`` for standard input, or a pattern as of :func:`glob.glob`, ``**``
        included, which stands for the files that match it, sorted. A file whose name happens to
        be a pattern is that file.

    Raises
    ------
    TypeError
        If one is no path.
    OSError
        If one does not exist, is a folder, or is a pattern that matches no file.
    ValueError
        If there is none, or standard input is among them more than once.
    """
    if isinstance(files, (str, bytes, os.PathLike)):
        files = [files]
    elif not isinstance(files, Iterable):
        raise TypeError(f"files must be a path or several, got {_check.describe(files)}")
    names = [name for one in files for name in _meant(_check.path("files", one))]
    if not names:
        raise ValueError("files must name at least one file, got none")
    if names.count(STANDARD_INPUT) > 1:
        raise ValueError("files must name standard input, '-', only once")
    return names


def label(name: str) -> str:
    """Return what to call a file in a message."""
    return "standard input" if name == STANDARD_INPUT else repr(name)


def read(name: str) -> Iterator[str]:
    r"""Yield the text of a file piece by piece, decompressed if it is a gzip file.

    A byte order mark at the beginning is dropped, for it belongs to the encoding; else every
    character is kept, ``"\r"`` too.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not valid UTF-8, binary (it holds a zero byte), a gzip file that is cut short or
        damaged, or standard input that is closed.
    """
    offset, rest = 0, b""
    with _opened(name) as (source, what):
        while (piece := _next(name, source)) or rest:
            content = rest + piece
            if offset == 0:
                _check_encoding(what, content)
            text, used = _decoded(what, content, offset, final=not piece)
            text = text[1:] if offset == 0 and text.startswith("\ufeff") else text
            if text:
                yield text
            offset, rest = offset + used, content[used:]


def _meant(name: str) -> list[str]:
    if name == STANDARD_INPUT:
        return [name]
    if any(sign in name for sign in "*?[") and not os.path.lexists(name):
        found = sorted(one for one in glob.glob(name, recursive=True) if not os.path.isdir(one))
        if not found:
            raise FileNotFoundError(errno.ENOENT, "No file matches this pattern", name)
        return found
    os.stat(name)
    if os.path.isdir(name):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    return [name]


@contextlib.contextmanager
def _opened(name: str) -> Iterator[tuple[IO[bytes], str]]:
    """Open a file; yield what to read from and what to call it."""
    with _binary(name) as file:
        # A second buffer, which is full before anyone peeks, though a pipe may come byte by byte.
        reader = io.BufferedReader(file)
        try:
            with _naming(name):
                zipped = reader.peek(2)[:2] == _GZIP
            if zipped:
                yield (
                    cast(IO[bytes], gzip.GzipFile(fileobj=reader)),
                    f"{label(name)}, decompressed,",
                )
            else:
                yield reader, label(name)
        finally:
            reader.detach()


def _binary(name: str) -> AbstractContextManager[Any]:
    if name != STANDARD_INPUT:
        return open(name, "rb")
    if sys.stdin is None:
        raise ValueError("standard input is closed; a text to read was expected")
    return contextlib.nullcontext(sys.stdin.buffer)


def _next(name: str, source: IO[bytes]) -> bytes:
    try:
        with _naming(name):
            return source.read(_PIECE)
    except EOFError:
        raise ValueError(
            f"{label(name)} is a gzip file that is cut short: its end is missing"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{label(name)} is a gzip file that is damaged: {error}") from None


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Have an OSError name the file: a failing read, unlike a failing open, does not."""
    try:
        yield
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        error.filename = "standard input" if name == STANDARD_INPUT else name
        raise


def _check_encoding(what: str, content: bytes) -> None:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            raise ValueError(
                f"{what} is not text in UTF-8: it begins with the byte order mark of {encoding}; "
                f"convert it to UTF-8 first, for example with iconv -f {encoding} -t UTF-8"
            )


def _decoded(what: str, content: bytes, offset: int, *, final: bool) -> tuple[str, int]:
    """Return the text of ``content``, and how many bytes of it that took."""
    zero = content.find(0)
    if zero >= 0:
        raise ValueError(
            f"{what} is a binary file (byte {offset + zero:,} is zero); "
            f"a text in UTF-8 was expected"
        )
    try:
        return codecs.utf_8_decode(content, "strict", final)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{what} is not text in UTF-8: byte {offset + error.start:,} is "
            f"0x{content[error.start]:02x} ({error.reason}); convert it to UTF-8 first"
        ) from None
