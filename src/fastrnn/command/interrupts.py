"""Ctrl-C and SIGTERM while the command trains."""

from __future__ import annotations

import math
import signal
import threading
import time
from types import FrameType
from typing import Any

BY_SIGNAL = 128  # plus the signal's number: an exit status as a shell reports it

# A second signal so soon is the same wish: it must not cut short what the first one set off.
PATIENCE = 1.0


class Interrupts:
    """Ctrl-C and SIGTERM as one KeyboardInterrupt, and none after :meth:`hold`.

    A signal that the process ignores, as a background job does Ctrl-C, stays ignored.

    Parameters
    ----------
    ends_process : bool
        Whether the process ends after an interrupt: then further signals are ignored to the end,
        which would otherwise kill it between saving and its exit status.

    Attributes
    ----------
    status : int or None
        The exit status that the first signal asks for.
    """

    def __init__(self, *, ends_process: bool) -> None:
        self._ends_process = ends_process
        self.status: int | None = None
        self._held = False
        self._last = -math.inf
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():  # others may set no handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if handler is not None and handler is not signal.SIG_IGN:
                    self._handlers[number] = handler
                    signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        over = self._ends_process and self.status is not None
        for number, handler in self._handlers.items():
            signal.signal(number, signal.SIG_IGN if over else handler)

    def hold(self) -> None:
        """From now on raise nothing, but note in ``status`` that a signal came."""
        self._held = True

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.status is None:
            self.status = BY_SIGNAL + number
        now = time.monotonic()
        if not self._held and now - self._last > PATIENCE:
            self._last = now
            raise KeyboardInterrupt
