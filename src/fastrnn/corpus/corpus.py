"""Texts to learn from, of any size: files, strings, or the help that every CPython carries."""

from __future__ import annotations

import bisect
import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.corpus import textfiles
from fastrnn.corpus.codes import IN_MEMORY, PIECE, Codes
from fastrnn.corpus.vocabulary import (
    ADVICE,
    ERROR,
    Symbols,
    check_text,
    code_points,
    from_code_points,
)


class Corpus:
    """A text that may be larger than memory, made from files or from a string.

    What takes a text, takes a corpus: :meth:`fastrnn.CharRNN.fit` and
    :meth:`~fastrnn.CharRNN.evaluate`. ``len(corpus)`` is its number of characters, and
    ``corpus[start:stop]`` is a part of it, a corpus too, which copies nothing.

    It is read once, from beginning to end, when it is made: each character becomes a number of one
    byte, or of two or four where the text has more than 256 or 65,536 distinct ones. Up to 16 MiB
    of these numbers are in memory, more in a temporary file, for which ``TMPDIR`` names the folder.
    That file goes with the corpus, with the ``with`` block around it, or with the process however
    it ends.

    Attributes
    ----------
    files : tuple of str
        The names of the files, in the order in which they were read; none for a string.

    Examples
    --------
    >>> corpus = Corpus.from_text("to be or not to be. " * 40)
    >>> corpus
    Corpus(800 characters of a string)
    >>> corpus[720:].text()[:20]
    'to be or not to be. '
    >>> corpus.characters(max_size=3)
    ' ot'
    """

    def __init__(self, store: _Store | None = None, start: int = 0, stop: int = 0) -> None:
        if not isinstance(store, _Store):
            raise TypeError(
                f"a Corpus is made by Corpus.from_files(files) or Corpus.from_text(text), "
                f"got {_check.describe(store)}"
            )
        self._store, self._start, self._stop = store, start, stop
        self._counted: np.ndarray | None = None

    @classmethod
    def from_files(cls, files: textfiles.PathLike | Iterable[textfiles.PathLike]) -> Corpus:
        """Return the text of files, one after the other and with nothing in between.

        Text is UTF-8, compressed with gzip or not, whatever the file is called. Every character
        is kept, so lines end as they do in the file; but a byte order mark at the beginning of a
        file is no character.

        Parameters
        ----------
        files : path or iterable of paths
            Each is a file, ``"-"`` for standard input, or a pattern such as ``"books/**/*.txt"``,
            which stands for the files that match it, sorted by name.

        Raises
        ------
        TypeError
            If ``files`` is no path and not several.
        OSError
            If a file does not exist, is a folder or cannot be read, if no file matches a pattern,
            or if there is no room for the temporary file.
        ValueError
            If there is no file or no text in them, or one is binary, is not valid UTF-8, or is a
            gzip file that is cut short or damaged.

        Examples
        --------
        >>> import pydoc_data
        >>> with Corpus.from_files(pydoc_data.__path__[0] + "/*.py") as corpus:
        ...     "topics = {" in corpus[:10_000].text()
        True
        """
        names = textfiles.expand(files)
        builder = _Builder(IN_MEMORY)
        with builder:
            for name in names:
                builder.begin(name)
                for text in textfiles.read(name):
                    builder.append(text)
            if not len(builder.codes):
                what = textfiles.label(names[0]) if len(names) == 1 else f"each of {names}"
                raise ValueError(f"{what} is empty; a text to read was expected")
        return cls(builder.store(), 0, len(builder.codes))

    @classmethod
    def from_text(cls, text: str) -> Corpus:
        """Return a string as a corpus, which is in memory whatever its size.

        Raises
        ------
        TypeError
            If ``text`` is not a string.
        """
        check_text("text", text, 0)
        builder = _Builder(None)
        for start in range(0, len(text), PIECE):
            builder.append(text[start : start + PIECE])
        return cls(builder.store(), 0, len(text))

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files, in the order in which they were read."""
        return tuple(self._store.files)

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, part: slice) -> Corpus:
        if not isinstance(part, slice):
            raise TypeError(
                f"a part of a corpus is a slice, such as corpus[:1000], got {_check.describe(part)}"
            )
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError(f"a part of a corpus has step 1, got {step}")
        return Corpus(self._store, self._start + start, self._start + max(start, stop))

    def __repr__(self) -> str:
        count = len(self.files)
        source = f"{count:,} file{'s' * (count != 1)}" if count else "a string"
        return f"Corpus({len(self):,} characters of {source})"

    def __enter__(self) -> Corpus:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary file now. Neither the corpus nor a part of it can be read then."""
        self._store.codes.close()

    def text(self) -> str:
        """Return all of it as one string, in memory."""
        return "".join(self._strings())

    def characters(self, min_count: int = 1, max_size: int | None = None) -> str:
        """Return the distinct characters, in code point order: a vocabulary for a model.

        Parameters
        ----------
        min_count : int
            Only characters that occur so often.
        max_size : int, optional
            Only so many, the most frequent; among equals those of lower code points.

        Raises
        ------
        TypeError, ValueError
            If ``min_count`` or ``max_size`` is not an integer of at least 1.

        Examples
        --------
        >>> Corpus.from_text("banana bread").characters(min_count=2)
        'abn'
        """
        min_count = _check.integer("min_count", min_count)
        counts = self._counts()
        points, counts = self._store.points[counts > 0], counts[counts > 0]
        most = len(points) if max_size is None else _check.integer("max_size", max_size)
        frequent = np.lexsort((points, -counts))[:most]
        return from_code_points(np.sort(points[frequent[counts[frequent] >= min_count]]))

    def _strings(self) -> Iterator[str]:
        """Yield the text piece by piece."""
        for piece in self._pieces():
            yield from_code_points(self._store.points[piece])

    def _encode(
        self,
        symbols: Symbols,
        unknown: str = ERROR,
        *,
        name: str = "text",
        advice: str = ADVICE,
    ) -> CorpusIds:
        """Return the ids of the text in a model's symbols, made when they are read.

        Parameters
        ----------
        symbols : Symbols
            The characters or bytes of the model.
        unknown : str
            What becomes of characters that are not among them.
        name : str
            What to call the text in an error message if it has no file.
        advice : str
            What the caller can do about an unknown character, for the error message.

        Raises
        ------
        UnknownCharacterError
            If a character is unknown and ``unknown`` is ``"error"``.
        """
        spellings = self._spellings(symbols, unknown, name, advice)
        if all(len(spelling) == 1 for spelling in spellings):
            table = np.concatenate([_NEVER_READ[:0], *spellings])
            return CorpusIds(self._store.codes, table, self._start, self._stop)
        codes = self._spelled_out(spellings, len(symbols))
        return CorpusIds(codes, np.arange(len(symbols)), 0, len(codes))

    def _length_in(self, symbols: Symbols, unknown: str) -> int:
        """Return how many ids :meth:`_encode` gives."""
        lengths = [len(spelling) for spelling in self._spellings(symbols, unknown)]
        return int(self._counts() @ np.array(lengths, np.int64))

    def _spellings(
        self, symbols: Symbols, unknown: str, name: str = "text", advice: str = ADVICE
    ) -> Sequence[np.ndarray]:
        """Return the ids of each character that the store has; any of one that this part lacks."""
        symbols.check_policy(unknown)
        alphabet = from_code_points(self._store.points)
        lacking = symbols.lacks(alphabet)
        there = np.ones(len(alphabet), bool)
        if lacking.any():
            there = self._counts() > 0
            if unknown == ERROR and (lacking & there).any():
                raise self._refusal(symbols, lacking, name, advice)
        return [
            symbols.encode(character, unknown=unknown) if is_there else _NEVER_READ
            for character, is_there in zip(alphabet, there.tolist(), strict=True)
        ]

    def _spelled_out(self, spellings: Sequence[np.ndarray], size: int) -> Codes:
        """Return the ids, below ``size``, where a character is spelled with none or several."""
        lengths = np.array([len(spelling) for spelling in spellings])
        firsts = np.cumsum(lengths) - lengths
        letters = np.concatenate(spellings)
        ids = Codes(_smallest(size), self._store.in_memory)
        for codes in self._pieces():
            ends = np.cumsum(lengths[codes])
            shift = np.repeat(firsts[codes] + lengths[codes] - ends, lengths[codes])
            ids.append(letters[np.arange(ends[-1]) + shift])
        return ids

    def _pieces(self) -> Iterator[np.ndarray]:
        return self._store.codes.pieces(self._start, self._stop)

    def _counts(self) -> np.ndarray:
        """Return how often each character of the store occurs in this part."""
        if self._counted is None:
            size = len(self._store.points)
            counts = np.zeros(size, np.int64)
            for piece in self._pieces():
                counts += np.bincount(piece, minlength=size)
            self._counted = counts
        return self._counted

    def _refusal(self, symbols: Symbols, lacking: np.ndarray, name: str, advice: str) -> Exception:
        """Return the error for the first of the characters that are lacking."""
        position = self._start
        for codes in self._pieces():
            found = lacking[codes]
            if found.any():
                first = int(np.argmax(found))
                character = from_code_points(self._store.points[codes[first : first + 1]])
                if not self._store.files:
                    within = position + first - self._start
                    return symbols.refusal(character, name, within, advice)
                file, within = self._store.place(position + first)
                return symbols.refusal(character, file, within, advice)
            position += len(codes)
        raise AssertionError("a character that was counted is not there")


class CorpusIds:
    """A text as a model's ids: int64 arrays for its slices, made one by one."""

    def __init__(self, codes: Codes, table: np.ndarray, start: int, stop: int) -> None:
        self._codes, self._table = codes, table
        self._start, self._stop = start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, piece: slice, /) -> np.ndarray:
        start, stop, _ = piece.indices(len(self))
        return np.take(self._table, self._codes[self._start + start : self._start + stop])


@dataclass(frozen=True)
class _Store:
    """A text as codes, the code point of each code, and where each file begins."""

    codes: Codes
    points: np.ndarray
    files: list[str]
    begins: list[int]
    in_memory: int | None

    def place(self, position: int) -> tuple[str, int]:
        """Return what to call the file that a position is in, and the position in it."""
        file = bisect.bisect_right(self.begins, position) - 1
        return textfiles.label(self.files[file]), position - self.begins[file]


class _Builder:
    """Gives each new character the next code."""

    def __init__(self, in_memory: int | None) -> None:
        self.codes = Codes(np.uint8, in_memory)
        self._in_memory = in_memory
        self._files: list[str] = []
        self._begins: list[int] = []
        self._points: list[int] = []
        # From code point to one more than its code; the system hands out zeros for nothing.
        self._code_after = np.zeros(sys.maxunicode + 1, np.uint32)

    def __enter__(self) -> _Builder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.codes.close()

    def begin(self, file: str) -> None:
        """Have what follows belong to another file."""
        self._files.append(file)
        self._begins.append(len(self.codes))

    def append(self, text: str) -> None:
        """Add a piece of the text."""
        points = code_points(text)
        after = self._code_after[points]
        if not after.all():
            self._learn(np.unique(points[after == 0]))
            after = self._code_after[points]
        self.codes.append(after - 1)

    def store(self) -> _Store:
        """Return what there is."""
        points = np.array(self._points, np.uint32)
        return _Store(self.codes, points, self._files, self._begins, self._in_memory)

    def _learn(self, points: np.ndarray) -> None:
        known = len(self._points)
        self._code_after[points] = np.arange(known + 1, known + 1 + len(points))
        self._points += points.tolist()
        dtype = _smallest(len(self._points))
        if dtype != self.codes.dtype:
            self.codes = self.codes.widened(dtype)


_NEVER_READ = np.zeros(1, np.int64)


def as_corpus(name: str, text: Any) -> Corpus:
    """Return a corpus, or a string as one."""
    if isinstance(text, Corpus):
        return text
    if not isinstance(text, str):
        files = "; Corpus.from_files reads files" if isinstance(text, os.PathLike) else ""
        raise TypeError(f"{name} must be a str or a Corpus, got {_check.describe(text)}{files}")
    return Corpus.from_text(text)


def _smallest(size: int) -> np.dtype[Any]:
    """Return the smallest unsigned type that holds every number below ``size``."""
    return np.min_scalar_type(max(0, size - 1))


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
