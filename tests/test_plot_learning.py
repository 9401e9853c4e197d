"""A learning curve shows every record that a training left, from the model or from its file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrnn
from fastrnn import data, plot
from fastrnn.plot.learning import running_mean
from fastrnn.training import history as training_history

figure = pytest.importorskip("matplotlib.figure", reason="Matplotlib is not installed")

TEXT = "to be or not to be. " * 40
HISTORY = [
    {"epoch": 2, "loss": 4.0, "validation_loss": 3.0},
    {"epoch": 4, "loss": 2.0},
    {"epoch": 6, "loss": 3.0, "validation_loss": 1.5},
    {"epoch": 8, "loss": 1.0, "validation_loss": 2.5},
]
HEADER = b"step,chars,lr,loss,validation_loss\n"


def draw(history, **options):
    return plot.learning_curve(history, ax=figure.Figure().subplots(), **options)


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_losses_stand_at_their_steps() -> None:
    ax = draw(HISTORY, unit="squared $")
    training, validation, lowest = (line.get_xydata() for line in ax.get_lines())
    np.testing.assert_array_equal(training, [[2, 4], [4, 2], [6, 3], [8, 1]])
    np.testing.assert_array_equal(validation, [[2, 3], [6, 1.5], [8, 2.5]])
    np.testing.assert_array_equal(lowest, [[6, 1.5]])
    assert legend(ax) == ["training, each 2 epochs", "validation", "lowest: 1.5 at epoch 6"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch of training", r"loss (squared \$)")


def test_the_running_mean_is_that_of_the_record_and_those_before_it() -> None:
    ax = draw(HISTORY, window=3)
    each, mean, *_ = ax.get_lines()
    np.testing.assert_array_equal(each.get_ydata(), [4, 2, 3, 1])
    np.testing.assert_allclose(mean.get_ydata(), [4, 3, 3, 2], rtol=1e-15)
    assert legend(ax)[:2] == ["training, each 2 epochs", "training, mean of 6 epochs"]


@pytest.mark.parametrize(
    ("steps", "own", "mean"),
    [
        ([1], "training, each step", "training, mean of 2 steps"),
        ([5, 6, 7], "training, each step", "training, mean of 2 steps"),
        ([4, 8, 12], "training, each 4 steps", "training, mean of 8 steps"),
        ([4, 8, 12, 13], "training, each 4 steps", "training, mean of 8 steps"),
        ([1, 5, 6], "training, each 4 steps", "training, mean of 8 steps"),
        ([1, 5, 6, 9], "training, each record", "training, mean of 2 records"),
        ([1, 2, 4], "training, each record", "training, mean of 2 records"),
        ([3, 3, 3], "training, each record", "training, mean of 2 records"),
    ],
)
def test_the_legend_says_what_a_record_stands_for(steps, own, mean) -> None:
    history = [{"step": step, "loss": 1.0} for step in steps]
    assert legend(draw(history)) == [own]
    assert legend(draw(history, window=2)) == [own, mean]


def test_of_a_history_that_was_merged_it_says_how_many_steps_a_record_has(monkeypatch) -> None:
    monkeypatch.setattr(training_history, "MOST_RECORDS", 4)
    merged: list[dict[str, float]] = []
    for step in range(1, 15):
        training_history.append(merged, "step", {"step": step, "loss": float(step)})
    assert legend(draw(merged)) == ["training, each 4 steps"]
    np.testing.assert_array_equal(draw(merged).get_lines()[0].get_ydata(), [2.5, 6.5, 10.5, 13.5])


@given(
    st.lists(st.floats(0, 1e12), min_size=1, max_size=40),
    st.integers(1, 50),
)
def test_a_running_mean_is_as_exact_as_that_of_its_records_alone(losses, window: int) -> None:
    means = running_mean(np.array(losses), window)
    expected = [np.mean(losses[max(0, end - window) : end]) for end in range(1, len(losses) + 1)]
    np.testing.assert_allclose(means, expected, rtol=1e-13, atol=0)


def test_small_losses_after_a_large_one_are_not_lost() -> None:
    history = [{"step": step, "loss": 1e12 if step == 1 else 1e-6} for step in range(1, 9)]
    _, mean = draw(history, window=3).get_lines()
    np.testing.assert_allclose(mean.get_ydata()[3:], 1e-6, rtol=1e-15)


@pytest.mark.parametrize("inf", [np.inf, np.float32(np.inf)])
def test_a_validation_loss_that_overflowed_is_left_out(inf) -> None:
    history = [one | {"validation_loss": inf} if one["epoch"] == 6 else one for one in HISTORY]
    _, validation, lowest = (line.get_xydata() for line in draw(history).get_lines())
    np.testing.assert_array_equal(validation, [[2, 3], [8, 2.5]])
    np.testing.assert_array_equal(lowest, [[8, 2.5]])


def test_where_every_validation_loss_overflowed_there_is_training_alone(tmp_path) -> None:
    file = tmp_path / "run.csv"
    file.write_bytes(HEADER + b"1,9,0.1,2.5,inf\n2,18,0.1,2.0,inf\n")
    ax = draw(file)
    assert legend(ax) == ["training, each step"]
    assert len(ax.get_lines()) == 1


def test_losses_of_bytes_are_measured_in_what_is_right_for_them_too() -> None:
    model = fastrnn.CharRNN(hidden_size=4, symbols="bytes").fit(TEXT, steps=2)
    assert draw(model.history).get_ylabel() == "loss (nats per symbol)"


def test_a_character_model_s_history_and_its_file_are_the_same_picture(tmp_path) -> None:
    file = tmp_path / "run.csv"
    model = fastrnn.CharRNN(hidden_size=4)
    model.fit(TEXT, steps=7, validation="to be or not", evaluate_every=3, history_file=file)
    first, second = draw(model.history), draw(file)
    for one, other in zip(first.get_lines(), second.get_lines(), strict=True):
        np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())
    assert len(first.get_lines()[0].get_xdata()) == 7
    losses = [record["loss"] for record in model.history]
    np.testing.assert_array_equal(first.get_lines()[0].get_ydata(), losses)
    assert list(first.get_lines()[1].get_xdata()) == [3, 6, 7]
    assert first.get_ylabel() == second.get_ylabel() == "loss (nats per symbol)"


def test_a_row_that_is_being_written_is_left_out(tmp_path) -> None:
    file = tmp_path / "run.csv"
    fastrnn.CharRNN(hidden_size=4).fit(TEXT, steps=3, history_file=file)
    whole = draw(file).get_lines()[0].get_xydata()
    file.write_bytes(file.read_bytes() + b"4,4096,0.0")
    np.testing.assert_array_equal(draw(str(file)).get_lines()[0].get_xydata(), whole)


def test_a_forecaster_has_a_curve_too() -> None:
    forecaster = fastrnn.Forecaster(5, hidden_size=3).fit(data.sine(40), epochs=4)
    ax = draw(forecaster.history)
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), [1, 2, 3, 4])
    assert ax.get_ylabel() == "loss"


@pytest.mark.parametrize(
    ("history", "error", "message"),
    [
        ([], ValueError, "history is empty, expected at least one record"),
        (5, TypeError, "history must be a list of records or a path, got 5"),
        ([1], TypeError, "history must be a list of records or a path"),
        ([{"loss": 1.0}], ValueError, "must have a 'loss' and a 'step' or an 'epoch'"),
        ([{"step": 1}], ValueError, "must have a 'loss' and a 'step' or an 'epoch', got .* 'step'"),
        ([{"step": 1, "loss": "low"}], TypeError, "'loss' of each record of history must be a num"),
        ([{"step": 1, "loss": np.nan}], ValueError, "'loss' of each record .* must be finite"),
        ([{"step": 1, "loss": np.inf}], ValueError, "'loss' of each record .* must be finite"),
        (
            [{"step": 1, "loss": 1, "validation_loss": np.nan}],
            ValueError,
            "'validation_loss' of each record .* must be finite",
        ),
    ],
)
def test_what_is_no_history_is_refused(history, error, message) -> None:
    with pytest.raises(error, match=message):
        draw(history)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a history that fastrnn wrote, whose first line is 'step,chars,lr"),
        (b"a,b\n1,2\n", "is not a history that fastrnn wrote"),
        (HEADER, "history is empty"),
        (HEADER + b"1,2,3,low,\n", "no record of a training in line 2"),
        (HEADER + b"1,2,3\n", "no record of a training in line 2"),
        (HEADER + b"1,2,3,4,\n\xff,,,,\n", "in line 3"),
    ],
)
def test_a_file_that_is_no_history_is_refused(content: bytes, message: str, tmp_path) -> None:
    file = tmp_path / "run.csv"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        draw(file)


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        draw("nowhere.csv")


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="window must be between 1"):
        draw(HISTORY, window=0)
    with pytest.raises(TypeError, match="unit must be a str, got 5"):
        draw(HISTORY, unit=5)
