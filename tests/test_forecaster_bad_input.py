"""What a forecaster cannot work with is refused with a sentence, and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from fastrnn import CharRNN, Forecaster, data

SERIES = data.sine(30)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"window": 0}, ValueError, "window must be between 1 and"),
        ({"window": -3}, ValueError, "window must be between 1 and .*, got -3"),
        ({"window": 2.0}, TypeError, "window must be an integer, got 2.0"),
        ({"window": True}, TypeError, "window must be an integer, got True"),
        ({"window": 1, "scaling": "window"}, ValueError, "window must be at least 2 with scaling"),
        ({"cell": "lstmm"}, ValueError, "cell must be one of 'rnn'.*, got 'lstmm'"),
        ({"cell": None}, TypeError, "cell must be one of"),
        ({"hidden_size": 0}, ValueError, "hidden_size must be between 1 and"),
        ({"hidden_size": "32"}, TypeError, "hidden_size must be an integer, got '32'"),
        ({"hidden_size": 2**40}, ValueError, "hidden_size must be between 1 and"),
        ({"hidden_size": 2**31 - 1}, MemoryError, "would take"),
        ({"nonlinearity": "softplus"}, ValueError, "nonlinearity must be one of"),
        ({"scaling": "standard"}, ValueError, "scaling must be one of 'global', 'window', 'none'"),
        ({"scaling": None}, TypeError, "scaling must be one of 'global', 'window', 'none'"),
        ({"dtype": np.float16}, TypeError, "dtype must be float32 or float64, got float16"),
        ({"dtype": "nothing"}, TypeError, "dtype must be float32 or float64, got 'nothing'"),
        ({"seed": -1}, ValueError, "seed must be between 0 and"),
        ({"seed": 0.5}, TypeError, "seed must be an integer, got 0.5"),
        ({"seed": True}, TypeError, "seed must be an integer, got True"),
        ({"seed": 2**63}, ValueError, "seed must be between 0 and 9223372036854775807"),
    ],
)
def test_an_impossible_forecaster_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        Forecaster(**{"window": 5, **options})


@pytest.mark.parametrize(
    ("series", "error", "message"),
    [
        ([], ValueError, "series has 0 values, too short for a window of 5"),
        ([1, 2, 3, 4, 5], ValueError, "series has 5 values, too short .* at least 6"),
        (np.zeros((10, 1)), ValueError, r"series must be one-dimensional, got shape \(10, 1\)"),
        (3.0, ValueError, r"series must be one-dimensional, got shape \(\)"),
        ([1, 2, np.nan, 4, 5, 6, 7], ValueError, "series must be finite, got nan at index 2"),
        ([1, 2, 3, 4, 5, 6, -np.inf], ValueError, "series must be finite, got -inf at index 6"),
        (np.zeros(10, complex), TypeError, "series must hold real numbers"),
        (np.zeros(10, bool), TypeError, "series must hold real numbers"),
        ("0123456789", TypeError, "series must hold numbers"),
        ([None] * 10, TypeError, "series must hold numbers"),
        ([[1, 2], [3]], ValueError, "series cannot be read as an array"),
        (np.ma.masked_equal(np.arange(10.0), 3), ValueError, "series has masked values"),
        (np.array([0, 1e308, -1e308] * 4), ValueError, "differ by more than float64 can hold"),
    ],
)
def test_a_series_that_cannot_be_learned_is_refused(series, error, message):
    with pytest.raises(error, match=message):
        Forecaster(5, scaling="window").fit(series)


@pytest.mark.parametrize("scaling", ["global", "window", "none"])
def test_values_beyond_the_dtype_are_refused_before_training(scaling):
    forecaster = Forecaster(2, scaling=scaling)
    with pytest.raises(ValueError, match="divide the series by a constant first"):
        forecaster.fit(np.array([1e308, -1e308, 1e308, -1e308]))
    assert forecaster.network is None


@pytest.mark.parametrize(
    ("windows", "targets", "error", "message"),
    [
        (np.zeros((3, 4)), np.zeros(3), ValueError, r"shape \(3, 4\), expected \(N, 5\)"),
        (np.zeros(5), np.zeros(1), ValueError, r"windows has shape \(5,\), expected \(N, 5\)"),
        (np.zeros((0, 5)), np.zeros(0), ValueError, r"shape \(0, 5\), .* N at least 1"),
        (np.zeros((3, 5)), np.zeros(2), ValueError, r"targets has shape \(2,\), expected \(3,\)"),
        (np.zeros((3, 5)), np.zeros((3, 1)), ValueError, r"targets has shape \(3, 1\), expected"),
        (np.zeros((1, 5)), [np.nan], ValueError, "targets must be finite, got nan at index 0"),
        (np.full((1, 5), np.inf), [1], ValueError, r"windows must be finite, got inf at index"),
        (np.zeros((1, 5)), ["a"], TypeError, "targets must hold numbers"),
    ],
)
def test_windows_and_targets_that_do_not_fit_are_refused(windows, targets, error, message):
    with pytest.raises(error, match=message):
        Forecaster(5).fit(windows, targets)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": -1}, ValueError, "epochs must be between 0 and"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer, got 1.5"),
        ({"batch_size": 0}, ValueError, "batch_size must be between 1 and"),
        ({"batch_size": "all"}, TypeError, "batch_size must be an integer, got 'all'"),
        ({"optimizer": "adamm"}, ValueError, "optimizer must be one of .*, got 'adamm'"),
        ({"optimizer": None}, TypeError, "optimizer must be one of"),
        ({"lr": 0}, ValueError, "lr must be greater than 0, got 0"),
        ({"lr": np.nan}, ValueError, "lr must be finite, got nan"),
        ({"lr": "fast"}, TypeError, "lr must be a number, got 'fast'"),
        ({"schedule": "step"}, ValueError, "schedule must be one of .*, got 'step'"),
        ({"clip_norm": -1}, ValueError, "clip_norm must be greater than 0, got -1"),
        ({"num_threads": 0}, ValueError, "num_threads must be between 1 and"),
        ({"num_threads": True}, TypeError, "num_threads must be an integer"),
        ({"progress": "no"}, TypeError, "progress must be True or False, got 'no'"),
    ],
)
def test_an_impossible_option_is_refused_and_keeps_the_last_fit(options, error, message):
    forecaster = Forecaster(5, hidden_size=4).fit(SERIES, epochs=1)
    before = forecaster.forecast(2)
    with pytest.raises(error, match=message):
        forecaster.fit(2 * SERIES, **{"epochs": 1, **options})
    assert np.array_equal(forecaster.forecast(2), before)
    assert len(forecaster.history) == 1


def test_errors_of_more_steps_than_fit_in_memory_are_refused(monkeypatch):
    forecaster = Forecaster(5, hidden_size=4).fit(SERIES, epochs=1)
    with pytest.raises(MemoryError, match=r"the forecasts of \d+ steps from \d+ places would take"):
        forecaster.evaluate(SERIES, steps=2**31 - 1)


def test_windows_that_would_not_fit_in_memory_are_refused(monkeypatch):
    monkeypatch.setattr("fastrnn._check._physical_memory", lambda: 2**20)
    forecaster = Forecaster(500, hidden_size=4)
    with pytest.raises(MemoryError, match="the windows of the series would take"):
        forecaster.fit(np.zeros(1500))


@pytest.mark.parametrize("call", [lambda f: f.predict([1, 2, 3, 4, 5]), lambda f: f.forecast(1)])
def test_nothing_is_predicted_before_fit(call):
    with pytest.raises(RuntimeError, match=r"has not been fitted; call fit\(series\) first"):
        call(Forecaster(5))


@pytest.mark.parametrize("seed", [2**31, 2**63 - 1])
def test_seeds_may_be_as_large_as_those_of_a_text_model(seed):
    assert Forecaster(5, seed=seed).seed == CharRNN(seed=seed).seed == seed


def test_before_fit_there_is_no_network_and_no_history():
    assert Forecaster(5).network is None
    assert Forecaster(5).history == []


@pytest.fixture(scope="module")
def fitted():
    return Forecaster(5, hidden_size=4).fit(SERIES, epochs=1)


@pytest.mark.parametrize(
    ("windows", "error", "message"),
    [
        ([], ValueError, r"windows has shape \(1, 0\), expected \(N, 5\)"),
        (1.0, ValueError, r"windows has shape \(\), expected \(N, 5\)"),
        ([1, 2, 3, 4], ValueError, r"windows has shape \(1, 4\), expected \(N, 5\)"),
        (np.zeros((2, 6)), ValueError, r"windows has shape \(2, 6\), expected \(N, 5\)"),
        (np.zeros((0, 5)), ValueError, "N at least 1"),
        (np.zeros((1, 1, 5)), ValueError, r"windows has shape \(1, 1, 5\), expected \(N, 5\)"),
        ([1, 2, 3, np.nan, 5], ValueError, "windows must be finite, got nan"),
        (["a"] * 5, TypeError, "windows must hold numbers"),
        ([1e300] * 5, ValueError, "leave the range of float32"),
    ],
)
def test_windows_that_cannot_be_read_are_refused(fitted, windows, error, message):
    with pytest.raises(error, match=message):
        fitted.predict(windows)


@pytest.mark.parametrize(
    ("steps", "last_window", "error", "message"),
    [
        (0, None, ValueError, "steps must be between 1 and"),
        (2.5, None, TypeError, "steps must be an integer, got 2.5"),
        (1, [1, 2], ValueError, r"last_window has shape \(2,\), expected \(5,\)"),
        (1, [[1, 2, 3, 4, 5]], ValueError, r"last_window has shape \(1, 5\), expected \(5,\)"),
        (1, [1, 2, 3, 4, np.inf], ValueError, "last_window must be finite, got inf at index 4"),
    ],
)
def test_a_forecast_that_cannot_be_made_is_refused(fitted, steps, last_window, error, message):
    with pytest.raises(error, match=message):
        fitted.forecast(steps, last_window=last_window)


def test_windows_have_no_end_to_forecast_from():
    forecaster = Forecaster(5, hidden_size=4).fit(*data.windows(SERIES, 5), epochs=1)
    with pytest.raises(RuntimeError, match="fitted on windows, not on a series"):
        forecaster.forecast(1)
    assert forecaster.forecast(2, last_window=SERIES[-5:]).shape == (2,)
