"""Long work on the page runs in a thread, shows how far it is, and can be stopped."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("panel")

from fastrnn.demo.session import Session
from fastrnn.demo.work import Runner, Stopped

PATIENCE = 20.0


class Document:
    """Stands for a session's document: makes at once what is left for its thread."""

    def __init__(self) -> None:
        self.made = threading.Event()

    def add_next_tick_callback(self, callback) -> None:
        callback()
        self.made.set()


@pytest.fixture
def session() -> Session:
    session = Session()
    session.document = Document()
    return session


def join(runner: Runner) -> None:
    runner.thread.join(PATIENCE)
    assert not runner.thread.is_alive()


def finished(runner: Runner) -> None:
    join(runner)
    assert not runner.running


def test_work_gives_its_result_to_the_page(session) -> None:
    results = []

    def work(report, number):
        report.show(lambda: runner.progress(0.5, "half"))
        return 2 * number

    runner = Runner(session, "Train", work, begin=lambda: (21,), done=results.append)
    runner.start()
    finished(runner)
    assert results == [42]
    assert runner.bar.text == "Done."
    assert not runner.button.disabled


@pytest.mark.parametrize("how", ["the button", "the end of the session"])
def test_work_stops_when_it_is_told_to(session, how) -> None:
    reported = threading.Event()

    def work(report):
        while True:
            report.show(reported.set)

    runner = Runner(session, "Train", work, done=lambda result: pytest.fail("it was stopped"))
    runner.start()
    assert reported.wait(PATIENCE)
    assert runner.button.disabled
    runner.stop() if how == "the button" else session.end()
    finished(runner)
    assert runner.bar.text == "Stopped."


def test_work_ends_in_silence_when_its_page_was_taken_apart(session) -> None:
    begun, left = threading.Event(), threading.Event()

    def gone(callback):
        raise AttributeError("'DocumentCallbackManager' object has no attribute ...")

    def work(report):
        begun.set()
        assert left.wait(PATIENCE)
        report.show(lambda: None)

    runner = Runner(session, "Train", work, done=lambda result: pytest.fail("it was stopped"))
    runner.start()
    assert begun.wait(PATIENCE)
    session.document.add_next_tick_callback = gone
    session.end()
    left.set()
    join(runner)  # an exception in a thread is a warning, which is an error


def test_work_that_fails_says_why_and_the_page_lives_on(session) -> None:
    def work(report):
        raise ValueError("text must have at least 2 characters")

    runner = Runner(session, "Train", work)
    for _ in range(2):
        runner.start()
        finished(runner)
        assert runner.bar.text == "That did not work: text must have at least 2 characters"


def test_of_many_changes_only_the_latest_waits_for_the_page(session) -> None:
    waiting = []
    session.document.add_next_tick_callback = waiting.append
    shown = []

    def work(report):
        for number in range(1000):
            report.show(lambda number=number: shown.append(number))

    runner = Runner(session, "Train", work)
    runner.start()
    join(runner)
    assert len(waiting) == 1
    waiting[0]()
    assert shown == [999]
    assert not runner.running


def test_a_change_that_fails_does_not_keep_the_work_from_ending(session) -> None:
    waiting, shown = [], []
    session.document.add_next_tick_callback = waiting.append

    def work(report):
        report.show(lambda: 1 / 0, "broken")
        report.show(lambda: shown.append("other"))

    runner = Runner(session, "Train", work, done=lambda result: shown.append("done"))
    runner.start()
    join(runner)
    with pytest.raises(ZeroDivisionError):
        waiting[0]()
    assert shown == ["other", "done"]
    assert not runner.running
    assert not runner.button.disabled


def test_a_result_that_cannot_be_shown_says_so_and_the_button_works_again(session) -> None:
    said: list[str] = []
    session.on_announcement(said.append)
    runner = Runner(session, "Train", lambda report: 0.0, done=lambda result: 1 / result)
    runner.start()
    finished(runner)
    assert runner.bar.text == "That did not work: float division by zero"
    assert said == ["Train: begun", "Train: That did not work: float division by zero"]
    assert not runner.button.disabled


def test_work_that_cannot_begin_says_why(session) -> None:
    def begin():
        raise ValueError("Steps: Expected a number.")

    runner = Runner(session, "Train", lambda report: pytest.fail("it began"), begin=begin)
    runner.start()
    assert not runner.running
    assert runner.bar.text == "Steps: Expected a number."
    assert not runner.button.disabled


def test_work_that_returns_what_it_has_when_it_is_stopped_is_said_to_have_stopped(session) -> None:
    results, reported = [], threading.Event()

    def work(report):
        try:
            while True:
                report.show(reported.set)
        except Stopped:
            return "half"

    runner = Runner(session, "Train", work, done=results.append)
    runner.start()
    assert reported.wait(PATIENCE)
    runner.stop()
    finished(runner)
    assert (results, runner.bar.text) == (["half"], "Stopped.")
