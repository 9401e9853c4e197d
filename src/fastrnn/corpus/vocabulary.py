"""The symbols a model knows, and the way from text to ids and back."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np

from fastrnn import _check
from fastrnn.errors import UnknownCharacterError

SYMBOLS = ("chars", "bytes")

# What can be done about a character that a model does not know; beside these, a character that
# stands in for it.
ERROR, SKIP = "error", "skip"

ADVICE = "pass unknown= and one of those to have it stand in, or 'skip' to leave it out"

# "surrogatepass": a Python string may hold lone surrogates, which are characters like any other.
_CODES = ("utf-32-le", "surrogatepass")


class Decoder(Protocol):
    """Turns ids into text as they come, for text that is shown while it is written."""

    def decode(self, ids: np.ndarray | list[int]) -> str:
        """Return the characters that ``ids`` complete; they go on from those given before."""


class Symbols(ABC):
    """What characters and bytes have in common as symbols of a model.

    Attributes
    ----------
    name : str
        One of SYMBOLS.
    unit, short : str
        What to call one of them, in a sentence and in a name.
    characters : str
        The characters, in the order of their ids; empty for bytes.
    start : str
        What an empty prompt begins after.
    """

    name: str
    unit: str
    short: str
    characters: str
    start: str

    @abstractmethod
    def __len__(self) -> int:
        """Return how many symbols there are."""

    @abstractmethod
    def lacks(self, text: str) -> np.ndarray:
        """Return for each character of ``text`` whether it is unknown, (len(text),) of bool."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """Return a decoder at the beginning of a text."""

    @abstractmethod
    def _spell(self, text: str) -> np.ndarray:
        """Return the ids of a text of known characters."""

    @abstractmethod
    def _reason(self) -> str:
        """Return the clause that says why a character is unknown."""

    def decode(self, ids: np.ndarray | list[int]) -> str:
        """Return the text of ``ids``, shape (length,)."""
        return self.decoder().decode(ids)

    def encode(
        self,
        text: str,
        *,
        name: str = "text",
        unknown: str = ERROR,
        advice: str = ADVICE,
    ) -> np.ndarray:
        """Return the ids of ``text``, int64 of shape (number of symbols,).

        Parameters
        ----------
        text : str
            The text.
        name : str
            What to call the text in an error message.
        unknown : str
            What becomes of a character that is not known: ``"error"``, ``"skip"`` to leave it
            out, or a known character that stands in for it.
        advice : str
            What the caller can do about an unknown character, for the error message.

        Raises
        ------
        TypeError
            If ``text`` or ``unknown`` is not a string.
        UnknownCharacterError
            If a character of ``text`` is unknown and ``unknown`` is ``"error"``.
        ValueError
            If ``unknown`` is none of what it can be.
        """
        check_text(name, text, 0)
        self.check_policy(unknown)
        missing = self.lacks(text)
        if missing.any():
            if unknown == ERROR:
                position = int(np.argmax(missing))
                raise self.refusal(text[position], name, position, advice)
            points = code_points(text)
            if unknown == SKIP:
                text = from_code_points(points[~missing])
            else:
                text = from_code_points(np.where(missing, ord(unknown), points))
        return self._spell(text)

    def encode_prompt(self, prompt: str, unknown: str = ERROR) -> np.ndarray:
        """Return the ids of a prompt, or those of ``start`` if nothing of it is left."""
        ids = self.encode(prompt, name="prompt", unknown=unknown)
        return ids if len(ids) else self._spell(self.start)

    def check_policy(self, unknown: str) -> None:
        """Require a policy that these symbols can follow."""
        check_policy("unknown", unknown)
        if replacement(unknown) and self.lacks(unknown).any():
            raise ValueError(
                f"unknown must be 'error', 'skip' or one character of the model's vocabulary, "
                f"got {unknown!r}"
            )

    def refusal(
        self, character: str, name: str, position: int, advice: str
    ) -> UnknownCharacterError:
        """Return the error for an unknown character."""
        return UnknownCharacterError(
            f"{name} holds the character {character!r} (U+{ord(character):04X}) at position "
            f"{position}, {self._reason()}; {advice}"
        )


class Vocabulary(Symbols):
    """Distinct Unicode characters in code point order; a character's id is its place.

    Parameters
    ----------
    text : str
        Any text that holds each character at least once.

    Raises
    ------
    TypeError
        If ``text`` is not a string.
    ValueError
        If ``text`` is empty.

    Examples
    --------
    >>> vocabulary = Vocabulary("hello")
    >>> vocabulary.characters
    'ehlo'
    >>> vocabulary.encode("hole")
    array([1, 3, 2, 0])
    >>> vocabulary.decode([1, 3, 2, 0])
    'hole'
    >>> vocabulary.encode("help", unknown="skip"), vocabulary.encode("help", unknown="o")
    (array([1, 0, 2]), array([1, 0, 2, 3]))
    """

    name, unit, short = "chars", "character", "char"

    def __init__(self, text: str) -> None:
        check_text("text", text, 1)
        self.characters = "".join(sorted(set(text)))
        self.start = "\n" if "\n" in self.characters else self.characters[0]
        self._codes = code_points(self.characters)
        # Lookup table from code point to id; its last entry answers for everything above.
        self._ids = np.full(int(self._codes[-1]) + 2, -1, dtype=np.int64)
        self._ids[self._codes] = np.arange(len(self._codes))

    def __len__(self) -> int:
        return len(self.characters)

    def lacks(self, text: str) -> np.ndarray:
        """Return for each character of ``text`` whether it is unknown, (len(text),) of bool."""
        missing: np.ndarray = self._spell(text) < 0
        return missing

    def decoder(self) -> Decoder:
        """Return a decoder, which has nothing to remember: each id is a whole character."""
        return self

    def decode(self, ids: np.ndarray | list[int]) -> str:
        """Return the text of ``ids``, shape (length,)."""
        return from_code_points(self._codes[np.asarray(ids, dtype=np.int64)])

    def _spell(self, text: str) -> np.ndarray:
        return np.take(self._ids, code_points(text), mode="clip")

    def _reason(self) -> str:
        return f"which is not among the {len(self)} characters the model knows"


class Bytes(Symbols):
    """The 256 bytes, of which UTF-8 makes every character.

    Only lone surrogates, which are not text, are unknown.

    Examples
    --------
    >>> symbols = Bytes()
    >>> symbols.encode("né")
    array([110, 195, 169])
    >>> decoder = symbols.decoder()
    >>> decoder.decode([110, 195]), decoder.decode([169])
    ('n', 'é')
    """

    name, unit, short = "bytes", "byte", "byte"
    characters, start = "", "\n"

    def __len__(self) -> int:
        return 256

    def lacks(self, text: str) -> np.ndarray:
        """Return for each character of ``text`` whether UTF-8 has no bytes for it."""
        points = code_points(text)
        missing: np.ndarray = (points >= 0xD800) & (points <= 0xDFFF)
        return missing

    def decoder(self) -> Decoder:
        """Return a decoder that keeps an incomplete character back until its bytes are there."""
        return _ByteDecoder()

    def _spell(self, text: str) -> np.ndarray:
        return np.frombuffer(text.encode(), np.uint8).astype(np.int64)

    def _reason(self) -> str:
        return "a lone surrogate, which UTF-8 has no bytes for"


class _ByteDecoder:
    """UTF-8 as it comes. What can be no character becomes U+FFFD, as in the Unicode standard."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def decode(self, ids: np.ndarray | list[int]) -> str:
        """Return the characters that ``ids`` complete; they go on from those given before."""
        return self._decoder.decode(np.asarray(ids, np.uint8).tobytes())


def described(symbols: str, characters: Any, unknown: Any) -> Symbols:
    """Return the symbols that a model file describes.

    Parameters
    ----------
    symbols : str
        One of SYMBOLS.
    characters : str or None
        The characters, None for bytes.
    unknown : str
        The policy for characters that are not among them.

    Raises
    ------
    TypeError, ValueError
        If these do not describe a model that can be.
    """
    _check.choice("its symbols", symbols, SYMBOLS)
    result: Symbols = Bytes()
    if symbols == Vocabulary.name:
        check_text("its vocabulary", characters, 1)
        result = Vocabulary(characters)
    if characters != (result.characters or None):
        raise ValueError("its vocabulary is not a sorted set of distinct characters")
    result.check_policy(unknown)
    return result


def check_policy(name: str, value: str) -> None:
    """Require what can be done about unknown characters, in any vocabulary."""
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be 'error', 'skip' or a character, got {_check.describe(value)}"
        )
    if value not in (ERROR, SKIP) and len(value) != 1:
        raise ValueError(f"{name} must be 'error', 'skip' or one character, got {value!r}")


def replacement(policy: str) -> str:
    """Return the character that stands in for unknown ones, empty where none does."""
    return policy if len(policy) == 1 else ""


def check_text(name: str, text: str, minimum: int) -> None:
    """Require a string of at least ``minimum`` characters."""
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str, got {_check.describe(text)}")
    check_length(name, len(text), minimum)


def check_length(name: str, length: int, minimum: int, unit: str = "character") -> None:
    """Require at least ``minimum`` symbols."""
    if length < minimum:
        noun = unit if length == 1 else f"{unit}s"
        raise ValueError(f"{name} has {length:,} {noun}, at least {minimum:,} are expected")


def code_points(text: str) -> np.ndarray:
    """Return the code points of ``text``, uint32 of shape (len(text),).

    Examples
    --------
    >>> code_points("né")
    array([110, 233], dtype=uint32)
    """
    return np.frombuffer(text.encode(*_CODES), dtype="<u4")


def from_code_points(points: np.ndarray) -> str:
    """Return the text of code points.

    Examples
    --------
    >>> from_code_points(np.array([110, 233]))
    'né'
    """
    return points.astype("<u4").tobytes().decode(*_CODES)
