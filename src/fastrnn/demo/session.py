"""What belongs to one open page: nobody else sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

COOKIE = "fastrnn-theme"


class Session:
    """One open page, while it is open.

    Attributes
    ----------
    dark : bool
        Whether its colours are the dark ones.
    """

    def __init__(self, *, dark: bool = False) -> None:
        self.dark = dark
        self.document: Any = None
        self._recolour: list[Callable[[bool], None]] = []
        self._at_end: list[Callable[[], None]] = []
        self._hear: Callable[[str], None] = lambda text: None

    def on_theme(self, recolour: Callable[[bool], None]) -> None:
        """Call ``recolour(dark)`` now and whenever the reader switches the colours."""
        self._recolour.append(recolour)
        recolour(self.dark)

    def set_dark(self, dark: bool) -> None:
        """Switch the colours of everything that asked for it."""
        if dark != self.dark:
            self.dark = dark
            for recolour in self._recolour:
                recolour(dark)

    def announce(self, text: str) -> None:
        """Have screen readers say a text."""
        self._hear(text)

    def on_announcement(self, hear: Callable[[str], None]) -> None:
        """Have ``hear`` do so."""
        self._hear = hear

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call back when the page is closed."""
        self._at_end.append(callback)

    def end(self) -> None:
        """Say that the page is closed."""
        for callback in self._at_end:
            callback()
        self._at_end.clear()
