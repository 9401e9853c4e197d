"""The page's numbers are the library's own, and its trainings can be watched and stopped."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastrnn
from fastrnn import sentiment
from fastrnn.demo.models import predict, read, write

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20


def run(lesson: Callable[[Callable[[float], object]], None]) -> None:
    reports: list[float] = []
    lesson(reports.append)
    assert reports == sorted(reports)
    assert reports[-1] == 1


def stop_after(calls: int) -> Callable[[float], None]:
    """Return a report that ends a training."""
    reports: list[float] = []

    def report(progress: float) -> None:
        reports.append(progress)
        if len(reports) == calls:
            raise fastrnn.StopTraining

    return report


@pytest.fixture(scope="module", params=["rnn", "gru", "lstm"])
def model(request: pytest.FixtureRequest) -> fastrnn.CharRNN:
    return fastrnn.CharRNN(request.param, hidden_size=12).fit(VERSE, steps=30, lr=0.01)


@pytest.mark.parametrize("length", [0, 1, 7, 90])
@pytest.mark.parametrize("prompt", ["", "the ", "the cat sat on the mat\n" * 4])
def test_what_is_written_is_what_generate_returns(
    model: fastrnn.CharRNN, prompt: str, length: int
) -> None:
    options = {"temperature": 0.7, "top_k": 5, "seed": 4}
    written = write.write(model, prompt, length, **options)
    following = model.generate(prompt, length + 1, **options)
    assert prompt + written.text == following[:-1]
    assert [c.symbol for c in written.choices if c.drawn] == [write.name(following[-1])]
    read_so_far = (prompt or "\n") + written.text
    shown = [write.name(symbol) for symbol in read_so_far[-write.SHOWN_STATES :]]
    assert written.symbols == shown
    assert len(written.states) == len(shown)


def test_its_states_are_those_of_the_layer_over_the_whole_text(model: fastrnn.CharRNN) -> None:
    written = write.write(model, "the ", 80, seed=1)
    ids = [model.vocabulary.index(symbol) for symbol in "the " + written.text]
    states, _ = model.network.layer(np.array(ids))
    np.testing.assert_array_equal(written.states, states[-write.SHOWN_STATES :])


def test_its_probabilities_are_those_of_log_probs(model: fastrnn.CharRNN) -> None:
    written = write.write(model, "the do", 0)
    assert len(written.choices) == len(model.vocabulary)
    for choice in written.choices:
        symbol = {"␣": " ", "⏎": "\n"}.get(choice.symbol, choice.symbol)
        log_prob = model.log_probs("the do" + symbol)[-1]
        assert choice.probability == pytest.approx(np.exp(log_prob), rel=1e-5)


def test_draws_follow_the_probabilities_that_are_shown(model: fastrnn.CharRNN) -> None:
    options = {"temperature": 1.6, "top_k": 3}
    written = write.write(model, "the ", 0, **options)
    draws = model.generate("the ", 1, num_samples=4000, **options)
    assert len(written.choices) == 3
    for choice in written.choices:
        share = sum(write.name(text[-1]) == choice.symbol for text in draws) / len(draws)
        assert abs(share - choice.probability) < 4 * np.sqrt(0.25 / len(draws))


def test_temperature_zero_has_one_choice(model: fastrnn.CharRNN) -> None:
    (choice,) = write.write(model, "the ", 0, temperature=0).choices
    assert choice.probability == 1
    assert choice.drawn


def with_bias(bias: list[float]) -> fastrnn.CharRNN:
    model = fastrnn.CharRNN(hidden_size=2, vocabulary="abcd")
    readout = model.network.readout
    readout.weight = np.zeros_like(readout.weight)
    readout.bias = np.float32(bias)
    return model


@pytest.mark.parametrize("seed", range(5))
def test_what_is_drawn_is_among_the_choices_also_where_two_are_alike(seed: int) -> None:
    # In float32 e to the power of these is the same: sampling keeps the lowest.
    model = with_bias([0, 1e-9, 2e-9, 3e-9])
    for top_k in (1, 2, 3):
        written = write.write(model, "a", 3, top_k=top_k, seed=seed)
        assert len(written.choices) == top_k
        assert sum(choice.drawn for choice in written.choices) == 1
        assert sum(choice.probability for choice in written.choices) == pytest.approx(1)


def test_a_low_temperature_is_no_overflow() -> None:
    written = write.write(with_bias([0, 3e38, -3e38, 1]), "a", 0, temperature=0.01)
    assert [choice.probability for choice in written.choices] == [1, 0, 0, 0]
    assert written.choices[0].drawn


def test_a_model_whose_answers_are_not_finite_cannot_write() -> None:
    model = with_bias([3e38] * 4)
    model.network.readout.weight = np.full((4, 2), 3e38, np.float32)
    model.network.layer.bias_ih_l0 = np.full(2, 5, np.float32)
    with pytest.raises(ValueError, match="its answers are not finite"):
        write.write(model, "a", 3)


def test_a_model_of_bytes_writes_too() -> None:
    model = fastrnn.CharRNN(hidden_size=6, symbols="bytes").fit("né " * 99, steps=2)
    written = write.write(model, "n", 20, seed=2)
    assert "n" + written.text == model.generate("n", 20, seed=2)
    assert len(written.symbols) == 21
    assert len(written.choices) == 256
    assert {choice.symbol for choice in written.choices} >= {"n", "c3", "00", "␣"}


def test_a_lesson_gives_the_model_that_fit_gives() -> None:
    lesson = write.Lesson(VERSE, "gru", 10, steps=25)
    run(lesson)
    fitted = fastrnn.CharRNN("gru", 10, seed=0).fit(VERSE, steps=25)
    assert lesson.model.history == fitted.history
    assert [loss for _, loss in lesson.curve] == [record["loss"] for record in fitted.history]
    assert lesson.sample


def test_the_curve_of_a_long_lesson_has_means_of_its_steps(monkeypatch: Any) -> None:
    monkeypatch.setattr(write, "CURVE_POINTS", 5)
    lesson = write.Lesson(VERSE, "rnn", 4, steps=20)
    run(lesson)
    losses = [record["loss"] for record in lesson.model.history]
    assert lesson.curve == [(i, np.mean(losses[i - 4 : i])) for i in range(4, 21, 4)]


@pytest.mark.parametrize("end", [None, 17])
def test_a_curve_ends_with_the_last_step(monkeypatch: Any, end: int | None) -> None:
    monkeypatch.setattr(write, "CURVE_POINTS", 5)
    monkeypatch.setattr(predict, "CURVE_POINTS", 3)
    for lesson in (write.Lesson(VERSE, "rnn", 4, steps=23), lesson_of(predict.sine(), epochs=23)):
        lesson(stop_after(end) if end else lambda progress: None)
        assert lesson.curve[-1][0] == (end or 23)
    assert lesson.curve[-1] == (end or 23, lesson.forecaster.history[-1]["loss"])


def test_a_cancelled_lesson_leaves_the_model_of_its_last_step() -> None:
    lesson = write.Lesson(VERSE, "rnn", 8, steps=50)
    lesson(stop_after(20))
    assert lesson.model.history[-1]["step"] == 20
    assert write.write(lesson.model, "the ", 20).text


def test_a_text_too_short_to_learn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="has 9 characters; paste at least 200"):
        write.Lesson("too short", "rnn", 8, steps=10)


def test_read_gives_what_the_sentiment_model_reads() -> None:
    text = "The zebra was not good"
    reading = read.read(text, "gru")
    expected = sentiment.train(cell="gru").read(text)
    np.testing.assert_array_equal(reading.probabilities, expected.probabilities)
    assert reading.unknown == ("zebra",)
    for place in range(len(reading.words)):
        answer = read.answer(reading, place, "gru")
        by_hand = 1 / (1 + np.exp(answer.negative - answer.positive))
        assert answer.probability == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is no word"),
        (" ?!", "there is no word"),
        ("good " * 61, "61 words; 60 at most"),
        ("zebras", "met none of these words"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read.read(text, "rnn")


@pytest.mark.parametrize("example", read.EXAMPLES)
def test_the_examples_are_known_to_the_last_word(example: str) -> None:
    assert read.read(example, "rnn").known.all()


def lesson_of(series: predict.Series, **options: Any) -> predict.Lesson:
    window = series.window
    defaults = {"window": window, "cell": "rnn", "hidden_size": 8, "scaling": series.scaling}
    return predict.Lesson(series, **{**defaults, "epochs": 30, **options})


@pytest.mark.parametrize("series", [predict.sine(), predict.counting(), predict.sunspots()])
def test_forecasts_are_the_forecasters(series: predict.Series) -> None:
    lesson = lesson_of(series)
    run(lesson)
    learned = series.values[: series.learned]
    forecaster = fastrnn.Forecaster(series.window, hidden_size=8, scaling=series.scaling)
    forecaster.fit(learned, epochs=30, batch_size=256, lr=0.01)
    ahead = lesson.forecast(12)
    np.testing.assert_array_equal(ahead.forecast, forecaster.forecast(12))
    np.testing.assert_array_equal(ahead.naive, np.full(12, learned[-1]))
    np.testing.assert_array_equal(ahead.actual, series.values[len(learned) :][:12])
    errors = forecaster.evaluate(series.values[len(learned) - series.window :], steps=12)
    assert (ahead.mae, ahead.naive_mae) == (errors["mae"], errors["naive_mae"])
    assert lesson.curve == [(r["epoch"], r["loss"]) for r in forecaster.history]
    assert ahead.places[0] == series.first + len(learned)


@pytest.mark.parametrize("scaling", ["global", "window", "none"])
def test_the_sum_of_the_first_step_is_the_first_forecast(scaling: str) -> None:
    lesson = lesson_of(predict.sunspots(), scaling=scaling, epochs=3)
    run(lesson)
    first = lesson.first_step()
    assert first.value == lesson.forecast(1).forecast[0]
    assert first.value == pytest.approx(first.center + first.reach * first.output)
    assert first.scaled == pytest.approx((first.last - first.center) / first.spread)


def test_sunspots_are_foretold_better_than_by_the_last_value() -> None:
    lesson = lesson_of(predict.sunspots(), hidden_size=16, epochs=150)
    run(lesson)
    ahead = lesson.forecast(5)
    assert ahead.mae < 0.7 * ahead.naive_mae


def test_the_sunspots_are_yearly_means_from_1749_to_2008() -> None:
    series = predict.sunspots()
    assert (series.places[0], series.places[-1]) == (1749, 2008)
    # A year without any, and the year with most.
    assert series.values[series.places == 1810] == 0
    assert series.places[np.argmax(series.values)] == 1957


def test_a_cancelled_forecaster_can_forecast() -> None:
    lesson = lesson_of(predict.sine(), epochs=50)
    lesson(stop_after(5))
    assert len(lesson.forecaster.history) == 5
    assert len(lesson.forecast(7).forecast) == 7


def test_forecasts_may_go_beyond_the_end() -> None:
    lesson = lesson_of(predict.counting(), epochs=2)
    run(lesson)
    ahead = lesson.forecast(predict.MAX_STEPS)
    assert len(ahead.forecast) == len(ahead.places) == 60
    assert len(ahead.actual) == 20


def csv(content: str) -> predict.Upload:
    return predict.Upload.read(content.encode(), "shop.csv")


def test_a_csv_file_may_have_names_or_none() -> None:
    numbers = "\n".join(f"{i}" for i in range(12))
    for content, name in (("sold\n" + numbers, "sold"), (numbers, "1")):
        (title, series), *others = csv(content).series.items()
        assert (title, others) == (name, [])
        np.testing.assert_array_equal(series.values, range(12))


def test_columns_of_one_name_are_told_apart_by_their_places() -> None:
    series = csv("a,a,b,a (2)\n" + "1,2,3,4\n" * 10).series
    assert {name: one.values[0] for name, one in series.items()} == {
        "a": 1, "a (2)": 2, "b": 3, "a (2) (4)": 4
    }  # fmt: skip


def test_columns_that_cannot_be_used_are_told_beside_those_that_can() -> None:
    upload = csv("day,sold,note\n" + "1,2,x\n" * 9 + "1,,x\n")
    assert list(upload.series) == ["day"]
    (flaw,) = upload.flaws
    assert flaw.startswith("'shop.csv', line 11, column 'sold': a number is missing")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "'shop.csv' has no rows of data"),
        ("day,weather\n" + "Mo,wet\n" * 10, "no column of numbers; it has 'day', 'weather'"),
        ("a,b\n1,2\n3\n", "'shop.csv', line 3 has 1 field, expected 2"),
        ("a\n" + "1\n" * 9, "'shop.csv' has 9 rows; this page takes 10 to 10,000"),
        ("a\n" + "1\n" * 10_001, "'shop.csv' has 10,001 rows; this page takes 10 to 10,000"),
        ("day,sold\n" + "a,1\n" * 9 + "b,\n", "'shop.csv', line 11, column 'sold': a number is"),
        ("day,sold\n" + "a,1\n" * 9 + "b,x\n", "'shop.csv', line 11, column 'sold': 'x' is not"),
    ],
)
def test_a_broken_csv_file_is_refused(content: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        csv(content)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_table_too_long_is_refused_before_it_is_in_memory(pack, monkeypatch: Any) -> None:
    monkeypatch.setattr(predict, "read_table", None)
    with pytest.raises(ValueError, match=r"^'shop.csv' has more than 2,000,000 characters; this"):
        predict.Upload.read(pack(b"1\n" * 1_000_001), "shop.csv")


def test_a_table_has_so_many_columns_at_most() -> None:
    row = ",".join(map(str, range(100)))
    assert len(csv(f"{row}\n" * 10).series) == 100
    with pytest.raises(ValueError, match=r"'shop.csv' has 101 columns; this page takes 1 to 100"):
        csv(f"{row},100\n" * 10)


def test_a_binary_file_is_no_csv_file() -> None:
    with pytest.raises(ValueError, match=r"'shop.csv' is a binary file"):
        predict.Upload.read(b"\x89PNG\x00\x00", "shop.csv")


def test_a_long_series_is_judged_by_its_last_values() -> None:
    series = predict.Series("long", np.sin(np.arange(9000)))
    assert series.learned == 8600


@pytest.mark.parametrize(
    ("prompt", "told"), [("the zoo", "does not know “z”"), ("a" * 1001, "1,001 characters")]
)
def test_a_prompt_that_cannot_be_read_is_refused(
    model: fastrnn.CharRNN, prompt: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        write.check_prompt(model, prompt)
