"""A button that goes on by itself, step by step, until it is pressed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from fastrnn.demo import controls
from fastrnn.demo.session import Session


class Play:
    """The button.

    Parameters
    ----------
    session : Session
    step : callable
        Takes a step.
    is_over : callable
        Returns whether there is no step left.
    period : int
        Milliseconds between steps.
    begin : callable, optional
        Called when the button is pressed to play.
    end : callable, optional
        Called when it no longer plays.

    Attributes
    ----------
    button : controls.Button
    """

    def __init__(
        self,
        session: Session,
        step: Callable[[], None],
        is_over: Callable[[], bool],
        period: int,
        begin: Callable[[], None] = lambda: None,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        self._step, self._is_over, self._period = step, is_over, period
        self._begin, self._end = begin, end
        self._callback: Any = None
        self.button = controls.Button("Play", self.toggle)
        session.on_end(self.pause)

    def toggle(self) -> None:
        """Play, or pause."""
        if self._callback is not None:
            self.pause()
            return
        self._begin()
        self.button.label = "Pause"
        self._callback = pn.state.add_periodic_callback(self._tick, self._period)

    def pause(self) -> None:
        """Stop playing."""
        if self._callback is not None:
            self._callback.stop()
            self._callback = None
            self.button.label = "Play"
            self._end()

    def _tick(self) -> None:
        if not self._is_over():
            with pn.io.hold():
                self._step()
        if self._is_over():
            self.pause()
