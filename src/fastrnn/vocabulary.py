"""The set of characters a model knows, and the way from text to ids and back."""

from __future__ import annotations

import numpy as np

from fastrnn import _check
from fastrnn.errors import UnknownCharacterError

# "surrogatepass": a Python string may hold lone surrogates, which are characters like any other.
_CODES = ("utf-32-le", "surrogatepass")


class Vocabulary:
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
    """

    def __init__(self, text: str) -> None:
        check_text("text", text, 1)
        self.characters = "".join(sorted(set(text)))
        self._codes = _code_points(self.characters)
        # Lookup table from code point to id; its last entry answers for everything above.
        self._ids = np.full(int(self._codes[-1]) + 2, -1, dtype=np.int64)
        self._ids[self._codes] = np.arange(len(self._codes))

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: str) -> bool:
        return len(character) == 1 and character in self.characters

    def encode(
        self,
        text: str,
        *,
        name: str = "text",
        unknown: str = "error",
        advice: str = "pass unknown= and one of those to have it stand in",
    ) -> np.ndarray:
        """Return the ids of the characters of ``text``, shape (len(text),), int64.

        Parameters
        ----------
        text : str
            The text.
        name : str
            What to call the text in an error message.
        unknown : str
            ``"error"``, or a character of the vocabulary that stands in for each unknown one.
        advice : str
            What the caller can do about an unknown character, for the error message.

        Raises
        ------
        TypeError
            If ``text`` or ``unknown`` is not a string.
        UnknownCharacterError
            If ``text`` holds a character that is not in the vocabulary and ``unknown`` is
            ``"error"``.
        ValueError
            If ``unknown`` is neither ``"error"`` nor a character of the vocabulary.
        """
        check_text(name, text, 0)
        replacement = self._replacement(unknown)
        ids = np.take(self._ids, _code_points(text), mode="clip")
        missing = ids < 0
        if not missing.any():
            return ids
        if replacement is None:
            position = int(np.argmax(missing))
            character = text[position]
            raise UnknownCharacterError(
                f"{name} holds the character {character!r} (U+{ord(character):04X}) at position "
                f"{position}, which is not among the {len(self)} characters the model knows; "
                f"{advice}"
            )
        ids[missing] = replacement
        return ids

    def decode(self, ids: np.ndarray | list[int]) -> str:
        """Return the text of ``ids``, shape (length,)."""
        return self._codes[np.asarray(ids, dtype=np.int64)].tobytes().decode(*_CODES)

    def _replacement(self, unknown: str) -> int | None:
        if not isinstance(unknown, str):
            raise TypeError(
                f"unknown must be 'error' or a character, got {_check.describe(unknown)}"
            )
        if unknown == "error":
            return None
        if unknown not in self:
            raise ValueError(
                f"unknown must be 'error' or one character of the model's vocabulary, "
                f"got {_check.describe(unknown)}"
            )
        return self.characters.index(unknown)


def check_text(name: str, text: str, minimum: int) -> None:
    """Require a string of at least ``minimum`` characters."""
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str, got {_check.describe(text)}")
    if len(text) < minimum:
        noun = "character" if len(text) == 1 else "characters"
        raise ValueError(f"{name} has {len(text):,} {noun}, at least {minimum:,} are expected")


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(*_CODES), dtype="<u4")
