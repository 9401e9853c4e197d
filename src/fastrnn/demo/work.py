"""Long work beside a page that stays alive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from fastrnn.demo import controls, parts
from fastrnn.demo.session import Session


class Stopped(Exception):  # noqa: N818 - it is no error
    """Raised in the work at its next report, when it is to stop."""


class Report:
    """How work in a thread reaches the page; given to the work."""

    def __init__(self, post: Callable[[Any, Callable[[], None]], None]) -> None:
        self._post = post
        self._stop = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether the work is to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Have the work stop at its next report."""
        self._stop.set()

    def show(self, change: Callable[[], None], key: str = "show") -> None:
        """Have the page's own thread make a change; of one key only the latest is made.

        Raises
        ------
        Stopped
            When the work is to stop.
        """
        if self.stopped:
            raise Stopped
        self._post(key, change)


class Runner:
    """Does one long thing at a time in a thread, between a button *begin* and a button *Stop*.

    Parameters
    ----------
    session : Session
    label : str
        What the button says.
    work : callable
        Given a :class:`Report`, in a thread: touches nothing of the page but through it.
    begin : callable, optional
        Called on the page's thread when the button is pressed, before the work; returns what
        the work is given beside the report, such as the values of controls; or raises a
        ValueError whose sentence says why there is nothing to do.
    done : callable, optional
        Given what the work returned, on the page's thread; work that is stopped may catch
        :class:`Stopped` and return what it has.
    """

    def __init__(
        self,
        session: Session,
        label: str,
        work: Callable[..., Any],
        *,
        begin: Callable[[], tuple[Any, ...]] = tuple,
        done: Callable[[Any], None] = lambda result: None,
    ) -> None:
        self._session, self._work, self._begin, self._done = session, work, begin, done
        self._report: Report | None = None
        self._lock = threading.Lock()
        self._pending: dict[Any, Callable[[], None]] = {}
        self.button = controls.Button(label, self.start, primary=True)
        self.stop_button = controls.Button("Stop", self.stop, disabled=True)
        self.bar = controls.Progress(label=f"{label}: progress")
        session.on_end(self.stop)

    def panel(self) -> Any:
        """Return the two buttons and the bar."""
        return parts.buttons(self.button, self.stop_button, self.bar)

    @property
    def running(self) -> bool:
        """Whether work is under way."""
        return self._report is not None

    def start(self) -> None:
        """Begin, unless it runs already."""
        if self.running:
            return
        try:
            given = self._begin()
        except ValueError as error:
            self._end(str(error), fraction=0.0)
            return
        report = self._report = Report(self._post)
        self._show(running=True, fraction=0.0, text="Working …")
        self._session.announce(f"{self.button.label}: begun")
        # A daemon: Ctrl-C in the terminal ends the server whatever is being computed.
        self.thread = threading.Thread(target=self._run, args=(report, given), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Have the work stop at its next report."""
        if self._report is not None:
            self._report.stop()

    def progress(self, fraction: float, words: str) -> None:
        """Move the bar: on the page's thread, so within :meth:`Report.show`."""
        self.bar.param.update(fraction=fraction, text=words)

    def _run(self, report: Report, given: tuple[Any, ...]) -> None:
        try:
            result = self._work(report, *given)
        except Stopped:
            self._post("end", lambda: self._end("Stopped."))
        except Exception as error:
            words = f"That did not work: {error}"
            self._post("end", lambda: self._end(words))
        else:
            words = "Stopped." if report.stopped else "Done."
            self._post("end", lambda: self._end(words, lambda: self._done(result)))

    def _end(
        self, words: str, then: Callable[[], None] = lambda: None, fraction: float = 1.0
    ) -> None:
        self._report = None
        self._show(running=False, fraction=fraction, text=words)
        try:
            then()
        except Exception as error:
            words = self.bar.text = f"That did not work: {error}"
        self._session.announce(f"{self.button.label}: {words}")

    def _show(self, *, running: bool, fraction: float, text: str) -> None:
        self.button.disabled = running
        self.stop_button.disabled = not running
        self.bar.param.update(running=running, fraction=fraction, text=text)

    def _post(self, key: Any, change: Callable[[], None]) -> None:
        """Leave a change for the page's thread, in the place of one that it has not made yet."""
        with self._lock:
            first = not self._pending
            self._pending[key] = change
        if first and self._session.document is not None:
            try:
                self._session.document.add_next_tick_callback(self._make)
            except AttributeError:
                # Bokeh takes a closed page's document apart before it says that it is closed.
                self.stop()

    def _make(self) -> None:
        with self._lock:
            changes, self._pending = list(self._pending.values()), {}
        with ExitStack() as stack:  # makes each of them, also after one that raises
            for change in reversed(changes):
                stack.callback(change)
