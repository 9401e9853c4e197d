"""A training that a reader watches moves its curve, and its thread ends when it is stopped."""

from __future__ import annotations

import pytest

pytest.importorskip("panel")

from fastrnn.demo.models import predict, write
from fastrnn.demo.session import Session
from fastrnn.demo.views.learning import Learning

PATIENCE = 20.0
TEXT = "to be or not to be, that is the question. " * 20


class Document:
    """Stands for a session's document: makes at once what is left for its thread."""

    def add_next_tick_callback(self, callback) -> None:
        callback()


class Reader:
    """A session with a training, and what the view behind it is told."""

    def __init__(self, make) -> None:
        self.session = Session()
        self.session.document = Document()
        self.seen, self.over = [], []
        self.learning = Learning(
            self.session, make, seen=self.see, done=self.over.append, x_label="x", y_label="y"
        )
        self.at_sight = lambda: None

    def see(self, lesson) -> None:
        self.seen.append(lesson)
        self.at_sight()

    def run(self) -> None:
        self.learning.start()
        self.learning.thread.join(PATIENCE)
        assert not self.learning.thread.is_alive()
        assert not self.learning.running


def long_text() -> write.Lesson:
    return write.Lesson(TEXT, "rnn", 8, steps=10**7)


def long_series() -> predict.Lesson:
    return predict.Lesson(
        predict.counting(), window=8, cell="rnn", hidden_size=4, scaling="window", epochs=10**7
    )


@pytest.mark.parametrize("make", [long_text, long_series])
@pytest.mark.parametrize("how", ["the button", "the end of the session"])
def test_the_thread_ends_when_it_is_stopped_and_what_was_learned_stays(make, how) -> None:
    reader = Reader(make)
    stop = {"the button": reader.learning.stop, "the end of the session": reader.session.end}[how]
    reader.at_sight = stop
    reader.run()
    assert reader.over == reader.seen[:1]
    model = getattr(reader.over[0], "model", None) or reader.over[0].forecaster
    assert len(model.history) > 0


def test_a_training_that_was_put_aside_does_not_come_back() -> None:
    reader = Reader(long_text)
    reader.at_sight = reader.learning.clear
    reader.run()
    assert reader.over == []
    assert reader.learning.bar.text == ""


def test_a_finished_training_says_its_loss() -> None:
    reader = Reader(lambda: write.Lesson(TEXT, "rnn", 8, steps=20))
    reader.run()
    (lesson,) = reader.over
    loss = lesson.model.history[-1]["loss"]
    assert reader.learning.bar.text == f"Done after 20: loss {loss:.3g}."
    label = reader.learning.figure.html_attributes["aria-label"]
    assert label.endswith(f"{loss:.3g} at step 20")


@pytest.mark.parametrize(
    ("loss", "shown"),
    [
        (0.0001234, "0.000123"),
        (0.0000314159, "0.0000314"),
        (0.0, "0"),
        (2.5, "2.5"),
        (12345.6, "12,346"),
    ],
)
def test_a_loss_of_any_size_has_digits(loss, shown) -> None:
    class Lesson:
        curve = ((1, loss),)

        def __call__(self, report) -> None:
            report(1.0)

    reader = Reader(Lesson)
    reader.run()
    assert reader.learning.bar.text == f"Done after 1: loss {shown}."


def test_what_cannot_be_learned_is_told_and_begins_nothing() -> None:
    reader = Reader(lambda: write.Lesson("too short", "rnn", 8, steps=20))
    reader.learning.start()
    assert not reader.learning.running
    assert "The text has 9 characters" in reader.learning.bar.text
