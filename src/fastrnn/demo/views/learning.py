"""A training that a reader watches: its buttons, its bar and its curve."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from bokeh.models import ColumnDataSource, Range1d

from fastrnn.demo import parts
from fastrnn.demo.session import Session
from fastrnn.demo.work import Report, Runner, Stopped
from fastrnn.errors import StopTraining
from fastrnn.plot.axes import BLUE, SKY

# So often the page is told of a training: as fast as one can see.
_PERIOD = 0.1


class Lesson(Protocol):
    """A training that has not begun."""

    curve: list[tuple[int, float]]

    def __call__(self, report: Callable[[float], object], /) -> None:
        """Train; tell ``report`` the share that is done, and end where it raises StopTraining."""


class Learning(Runner):
    """Trains in a thread what the controls say, and draws the moving curve of the loss.

    Parameters
    ----------
    session : Session
    make : callable
        Returns the lesson that the controls describe, or raises a ValueError that says why there
        is none.
    seen : callable
        Given the lesson every now and then while it goes on, on the page's thread.
    done : callable
        Given the lesson when it is over, also when it was stopped.
    x_label, y_label : str
        Of the curve.
    """

    def __init__(
        self,
        session: Session,
        make: Callable[[], Any],
        *,
        seen: Callable[[Any], None],
        done: Callable[[Any], None],
        x_label: str,
        y_label: str,
    ) -> None:
        self._make_lesson, self._seen, self._over = make, seen, done
        self._lesson: Any = None
        super().__init__(session, "Train", self._learn, begin=self._first, done=self._last)
        self._curve = ColumnDataSource({"step": [], "loss": []})
        self._steps, self._losses = Range1d(0, 1), Range1d(0, 1)
        self.figure = parts.figure(
            session, "The loss, step by step", x_label=x_label, y_label=y_label,
            x_range=self._steps, y_range=self._losses, height=230,
        )  # fmt: skip
        self.figure.visible = False
        line = self.figure.line("step", "loss", source=self._curve, line_width=2)
        parts.paint(session, line, BLUE, SKY)

    def start(self) -> None:
        """Begin, unless it runs already or the controls describe nothing that can be trained."""
        if self.running:
            return
        try:
            self._lesson = self._make_lesson()
        except ValueError as error:
            self.progress(0.0, str(error))
            self._session.announce(f"{self.button.label}: {error}")
            return
        super().start()

    def clear(self) -> None:
        """Stop, and forget the lesson."""
        self.stop()
        self._lesson = None
        self.figure.visible = False
        if not self.running:
            self.progress(0.0, "")

    def _first(self) -> tuple[Any, ...]:
        self._draw(self._lesson)
        return (self._lesson,)

    def _learn(self, report: Report, lesson: Any) -> tuple[Any, bool]:
        """Train, on a thread of its own."""
        shown = 0.0

        def tell(share: float) -> None:
            nonlocal shown
            if time.monotonic() - shown > _PERIOD:
                shown = time.monotonic()
                try:
                    report.show(lambda: self._watch(lesson, share))
                except Stopped:
                    raise StopTraining from None

        lesson(tell)
        return lesson, report.stopped

    def _watch(self, lesson: Any, share: float) -> None:
        if lesson is self._lesson:
            self._draw(lesson)
            words = f"{share:.0%}"
            if lesson.curve:
                words += f", loss {_digits(lesson.curve[-1][1])}"
            self.progress(share, words)
            self._seen(lesson)

    def _last(self, result: tuple[Any, bool]) -> None:
        lesson, stopped = result
        if lesson is not self._lesson:
            self.progress(0.0, "")
            return
        self._draw(lesson)
        if lesson.curve:
            step, loss = lesson.curve[-1]
            words = "Stopped" if stopped else "Done"
            self.progress(1.0, f"{words} after {step:,}: loss {_digits(loss)}.")
        self._over(lesson)

    def _draw(self, lesson: Any) -> None:
        x, y = zip(*lesson.curve, strict=True) if lesson.curve else ((), ())
        self._curve.data = {"step": list(x), "loss": list(y)}
        self.figure.visible = bool(y)
        if y:
            self._steps.update(start=0, end=x[-1])
            self._losses.update(start=0, end=1.08 * max(y))
            parts.describe(
                self.figure,
                f"The loss, step by step: {_digits(y[0])} at step {x[0]:,}, {_digits(y[-1])} at "
                f"step {x[-1]:,}",
            )


def _digits(loss: float) -> str:
    """Return the first digits of a loss of any size, as plain text."""
    if loss >= 100:
        return f"{loss:,.0f}"
    return np.format_float_positional(float(f"{loss:.3g}"), trim="-")
