"""What a view says is true of what it shows, whatever was done before: views without a browser."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("panel")

import fastrnn
from fastrnn.demo.models import predict
from fastrnn.demo.session import Session
from fastrnn.demo.views.predict import OWN, Predict, _remark
from fastrnn.demo.views.read import Read
from fastrnn.demo.views.read import _remark as _said_of_reading
from fastrnn.demo.views.states import States
from fastrnn.demo.views.write import Write
from fastrnn.sentiment import Reading


def label(figure) -> str:
    return figure.html_attributes["aria-label"]


def test_a_window_too_large_for_one_series_is_read_anew_for_the_next() -> None:
    view = Predict(Session())
    view.choice.value = OWN
    view._load(b"1\n2\n" * 6, "short.csv")
    view.window.text = "24"
    assert "from 2 to 5, got “24”" in view.window.message
    view.choice.value = "Sunspots"
    assert (view.window.text, view.window.value, view.window.message) == ("24", 24, "")


def test_a_refused_file_leaves_the_forecast_and_says_whose_it_is() -> None:
    view = Predict(Session())
    view.choice.value = OWN
    view._load(b"1\n2\n" * 6, "short.csv")
    lesson = view._make_lesson()
    lesson(lambda progress: None)
    view._trained(lesson)
    before = view.words.object
    with pytest.raises(
        ValueError, match=r"1 row.*\. It is not used: what is shown was chosen before\.$"
    ):
        view._load(b"1\n", "broken.csv")
    assert (view.words.object, view.lesson) == (before, lesson)


def test_a_forecast_of_another_series_goes_when_a_file_is_to_be_chosen() -> None:
    view = Predict(Session())
    lesson = view._make_lesson()
    lesson(lambda progress: None)
    view._trained(lesson)
    view.choice.value = OWN
    assert "Until then the picture still shows: Sine wave." in view.words.object
    with pytest.raises(ValueError, match="Choose a CSV file first"):
        view._make_lesson()


def test_while_it_learns_no_one_is_asked_to_train() -> None:
    view = Predict(Session())
    assert "Press <b>Train</b>" in view.words.object
    lesson = view._make_lesson()
    view.steps.value = 7
    assert "It is learning" in view.words.object
    lesson(lambda progress: None)
    view._trained(lesson)
    forecast = lesson.forecast(7).forecast
    assert label(view.figure).endswith(f"begins with {forecast[0]:.3f} and ends with "
                                       f"{forecast[-1]:.3f}".replace("-", "−"))  # fmt: skip
    view.choice.value = "Counting"
    assert "Press <b>Train</b>" in view.words.object


def ahead(mae: float, naive_mae: float) -> predict.Ahead:
    ones = np.full(2, 0.0000123)
    return predict.Ahead(np.arange(2), ones, ones, ones, mae, naive_mae)


@pytest.mark.parametrize(
    ("mae", "naive_mae", "verdict"),
    [(0.0, 0.0, "Neither"), (1e-5, 2e-5, "The network"), (2e-5, 1e-5, "The naive guess")],
)
def test_small_errors_have_digits_and_a_tie_is_none_ahead(mae, naive_mae, verdict) -> None:
    words, tone = _remark(predict.sine(), ahead(mae, naive_mae), 2)
    assert words.endswith(f"{verdict} is ahead.")
    assert (tone == "good") == (verdict == "The network")
    assert "<b>1.23 × 10<sup>−5</sup></b>" in words


def test_a_prompt_that_one_model_could_not_read_is_read_by_the_next() -> None:
    view = Write(Session())
    view.prompt.text = "Äh"
    assert view.prompt.message
    view._use(fastrnn.CharRNN(hidden_size=4, vocabulary="Äh "), "new")
    assert (view.prompt.value, view.prompt.message) == ("Äh", "")
    assert ">Äh</span>" in view.page.object
    view._use(fastrnn.CharRNN(hidden_size=4, vocabulary="abc"), "new")
    assert (view.prompt.text, view.prompt.value, view.prompt.message) == ("", "", "")


def test_a_model_that_cannot_write_is_refused_and_the_old_one_stays(tmp_path) -> None:
    model = fastrnn.CharRNN(hidden_size=2, vocabulary="ab")
    model.network.readout.weight = np.full((2, 2), 3e38, np.float32)
    model.network.layer.bias_ih_l0 = np.full(2, 5, np.float32)
    model.save(tmp_path / "m")
    view = Write(Session())
    before, used = view.page.object, view.model
    with pytest.raises(ValueError, match="its answers are not finite"):
        view._load((tmp_path / "m").read_bytes(), "m.safetensors")
    assert (view.page.object, view.model) == (before, used)
    view._use(model, "here")
    assert "its answers are not finite" in view.words.object


def test_without_temperature_there_are_no_dice_and_top_k_stands_in_the_formula() -> None:
    view = Write(Session())
    assert "The dice" in view.words.object
    assert "most probable" not in view.formula.object
    view.top_k.value = 3
    assert "over the <b>3</b> most probable alone" in view.formula.object
    view.temperature.value = 0
    assert "most probable alone" not in view.formula.object
    assert "no dice" in view.words.object
    assert "The dice" not in view.words.object


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"cell": "rnn", "nonlinearity": "relu"}, "an RNN (relu) of 4 units"),
        ({"cell": "jordan"}, "a Jordan network (tanh) of"),
        ({"cell": "lstm"}, "an LSTM of"),
        ({"cell": "gru", "num_layers": 2}, "a GRU of 4 units in 2 layers each"),
    ],
)
def test_a_model_is_called_what_it_is(options, named) -> None:
    view = Write(Session())
    view._use(fastrnn.CharRNN(hidden_size=4, vocabulary="abc", **options), "new")
    assert f"At work: {named}" in view.about.object


def test_the_bars_and_the_line_say_their_numbers_to_who_cannot_see_them() -> None:
    view = Write(Session())
    (best,) = re.findall(r"with (\d+\.\d%)", view.words.object)
    assert best in label(view.bars)
    view = Read(Session())
    reading = view.sentence.value
    view.step_back()
    place = len(reading.words) - 2
    assert f"{reading.probabilities[place]:.3f} after “{reading.words[place]}”" in label(view.line)


def test_playing_says_nothing_until_it_pauses_and_writing_by_hand_says_each() -> None:
    said: list[str] = []
    session = Session()
    session.on_announcement(said.append)
    view = Write(session)
    view.step()
    assert said == [view._last]
    view.play._callback = type("Callback", (), {"stop": lambda self: None})()
    view.play._tick()
    assert len(said) == 1
    view.play.pause()
    assert said[1:] == [f"Written: {view._text}"]


def test_unknown_words_and_the_current_one_are_marked_in_words() -> None:
    view = Read(Session())
    view.sentence.text = "the zebra was good"
    assert re.findall(r">(\w+)<span class=.unseen.> \(unknown\)", view.way.object) == ["zebra"]
    assert re.findall(r'aria-current="step">(\w+)', view.way.object) == ["good"]


@pytest.mark.parametrize(
    ("probability", "words", "tone"),
    [
        (0.0, "&lt;0.001</b>. At the end it takes the sentence for <b>blame</b>.", ""),
        (0.3999, "0.400</b>. At the end it takes the sentence for <b>blame</b>.", ""),
        (0.4, "0.400</b>. At the end it is <b>undecided</b>", ""),
        (0.51, "0.510</b>. At the end it is <b>undecided</b>", ""),
        (0.61, "0.610</b>. At the end it takes the sentence for <b>praise</b>.", "good"),
        (0.99951, "&gt;0.999</b>. At the end it takes the sentence for <b>praise</b>.", "good"),
    ],
)
def test_a_probability_is_a_verdict_only_far_from_one_half(probability, words, tone) -> None:
    reading = Reading(("film",), np.array([True]), np.zeros((1, 2)), np.array([probability]))
    said, said_tone = _said_of_reading(reading, 0)
    assert f"praise with a probability of <b>{words}" in said
    assert said_tone == tone


def test_a_long_word_is_cut_where_it_names_a_step() -> None:
    states = States(Session(), x_label="step")
    states.show(["a" * 14, "b" * 15], np.zeros((2, 2)))
    assert states.figure.xaxis[0].major_label_overrides == {1: "a" * 14, 2: "b" * 13 + "…"}


def test_colours_of_states_reach_as_far_as_the_states() -> None:
    states = States(Session(), x_label="step")
    for most, expected in ((0.5, 1.0), (3.04, 3.0), (1.0, 1.0)):
        states.show(["a"], np.array([[most, -0.2]]))
        assert (states._colours.low, states._colours.high) == (-expected, expected)
