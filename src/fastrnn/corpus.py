"""Texts to learn from: a file of one's own, or the help that every CPython carries."""

from __future__ import annotations

import codecs
import importlib
import os
import sys

from fastrnn import _check

# UTF-32 comes first: in little-endian order its mark begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a UTF-8 file, or of standard input if ``path`` is ``"-"``.

    A byte order mark at the beginning is dropped, and lines end in a newline however they
    ended in the file.

    Raises
    ------
    TypeError
        If ``path`` is no path.
    OSError
        If the file cannot be read.
    ValueError
        If it is empty, binary (it holds a zero byte), or not valid UTF-8, or if standard input
        is closed.
    """
    name, content = _content(path)
    if not content:
        raise ValueError(f"{name} is empty; a text to read was expected")
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            raise ValueError(
                f"{name} is not text in UTF-8: it begins with the byte order mark of {encoding}; "
                f"convert it to UTF-8 first, for example with iconv -f {encoding} -t UTF-8"
            )
    if b"\0" in content:
        raise ValueError(
            f"{name} is a binary file (byte {content.index(0)} is zero); "
            f"a text in UTF-8 was expected"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not text in UTF-8: byte {error.start} is 0x{content[error.start]:02x} "
            f"({error.reason}); convert it to UTF-8 first"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _content(path: str | os.PathLike[str]) -> tuple[str, bytes]:
    """Return what to call a file in messages, and its bytes."""
    if path == "-":
        if sys.stdin is None:
            raise ValueError("standard input is closed; a text to read was expected")
        return "standard input", sys.stdin.buffer.read()
    path = _check.path("path", path)
    try:
        with open(path, "rb") as file:
            return repr(path), file.read()
    except OSError as error:
        error.filename = path  # a failing read, unlike a failing open, does not set it
        raise


def python_help() -> str:
    """Return CPython's help on its language, ``pydoc_data.topics``: plain English, about 0.5 MB.

    The topics come in the order of their names, two newlines apart. The text differs a little
    from one Python version to the next.

    Raises
    ------
    ValueError
        If this Python comes without it.

    Examples
    --------
    >>> "The 'assert' statement" in python_help().replace('"assert"', "'assert'")
    True
    """
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError:
        raise ValueError(
            "this Python comes without pydoc_data.topics, the text to learn from by default; "
            "name a text file instead"
        ) from None
    return "\n\n".join(topics[name] for name in sorted(topics))
