"""Prediction intervals hold what comes as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn import Forecaster
from fastrnn.sequence.intervals import bounds


def autoregressive(seed: int, n: int) -> np.ndarray:
    """x_t = 0.8 x_{t-1} + e_t, with errors that lean to one side."""
    errors = np.random.default_rng(seed).exponential(1.0, n)
    series = np.zeros(n)
    for t in range(1, n):
        series[t] = 0.8 * series[t - 1] + errors[t]
    return series


@pytest.mark.parametrize(("n", "coverage"), [(19, 0.9), (39, 0.9), (50, 0.8), (200, 0.95)])
def test_one_more_exchangeable_score_lies_between_the_bounds_as_often_as_proved(
    n: int, coverage: float
) -> None:
    trials = 20_000
    draws = np.random.default_rng(n).normal(0, 1, (n + 1, trials))
    scores, new = draws[:n, None, :], draws[n]
    lower, upper = bounds(scores, coverage)
    held = np.mean((lower[0] <= new) & (new <= upper[0]))
    rank = math.floor((1 - coverage) / 2 * (n + 1) + 1e-9)
    exact = 1 - 2 * rank / (n + 1)
    assert coverage - 1e-12 <= exact < coverage + 2 / (n + 1)
    assert abs(held - exact) < 4 * math.sqrt(exact * (1 - exact) / trials)


@pytest.mark.unsanitized
@pytest.mark.parametrize("scaling", ["global", "window"])
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_of_a_stationary_series_hold_what_comes(scaling: str, coverage: float) -> None:
    series = autoregressive(0, 8000)
    forecaster = Forecaster(6, hidden_size=6, scaling=scaling)
    forecaster.fit([series[:4000]], epochs=40, calibration=0.5)
    places = np.lib.stride_tricks.sliding_window_view(series[4010:], 9)
    _, lower, upper = forecaster.forecast_interval(3, coverage, last_window=places[:, :6])
    held = (lower <= places[:, 6:]) & (places[:, 6:] <= upper)
    # Some 4000 places, which resemble their neighbours, and 2000 held-out errors: two
    # standard deviations of a count of 300 independent ones.
    allowed = 2 * math.sqrt(coverage * (1 - coverage) / 300)
    assert np.abs(np.mean(held, axis=0) - coverage).max() < allowed


def test_the_forecast_between_is_the_one_that_forecast_gives() -> None:
    forecaster = Forecaster(6, hidden_size=6).fit(autoregressive(1, 300), epochs=3, calibration=0.3)
    interval = forecaster.forecast_interval(4)
    assert np.array_equal(interval.forecast, forecaster.forecast(4))
    assert interval.lower.shape == interval.upper.shape == (4,)
    assert (interval.lower < interval.upper).all()


def test_what_was_held_out_is_not_learned_but_continued() -> None:
    series = autoregressive(2, 200)
    forecaster = Forecaster(6, hidden_size=6).fit(series, epochs=3, calibration=0.25)
    learned = Forecaster(6, hidden_size=6).fit(series[:150], epochs=3)
    expected = learned.forecast(3, last_window=series[-6:])
    assert np.array_equal(forecaster.forecast(3), expected)


def test_bounds_are_the_ranked_errors_of_what_was_held_out() -> None:
    series = autoregressive(3, 119)
    forecaster = Forecaster(6, hidden_size=6, horizon=2).fit(series, epochs=3, calibration=0.17)
    held_out = int(0.17 * 119)
    errors: list[list[float]] = [[], [], []]
    for origin in range(119 - held_out, 119):
        forecast = forecaster.forecast(3, last_window=series[origin - 6 : origin])
        for k in range(min(3, 119 - origin)):
            errors[k].append(series[origin + k] - forecast[k])
    interval = forecaster.forecast_interval(3, 0.8)
    for k in range(3):
        rank = math.floor(0.1 * (len(errors[k]) + 1))
        ordered = sorted(errors[k])
        assert interval.lower[k] == pytest.approx(interval.forecast[k] + ordered[rank - 1])
        assert interval.upper[k] == pytest.approx(interval.forecast[k] + ordered[-rank])


def test_scaled_by_window_intervals_grow_with_the_window() -> None:
    series = autoregressive(4, 300)
    forecaster = Forecaster(6, hidden_size=4, scaling="window", dtype=np.float64)
    forecaster.fit(series, epochs=2, calibration=0.3)
    small, large = (
        forecaster.forecast_interval(2, last_window=unit * series[-6:]) for unit in (1.0, 16.0)
    )
    assert large.upper - large.lower == pytest.approx(16 * (small.upper - small.lower))


def test_the_bounds_of_a_constant_series_hold_it_though_not_the_forecast() -> None:
    forecaster = Forecaster(4, hidden_size=3).fit(np.full(100, 7.0), epochs=2, calibration=0.4)
    forecast, lower, upper = forecaster.forecast_interval(1)
    assert abs(lower - 7) < 1e-6
    assert abs(upper - 7) < 1e-6
    assert not lower <= forecast <= upper


def test_each_series_and_variable_has_bounds_of_its_own() -> None:
    tables = [
        np.column_stack([autoregressive(seed, 200), 10 * autoregressive(seed + 9, 200)])
        for seed in (5, 6)
    ]
    forecaster = Forecaster(4, hidden_size=4, variables=2).fit(tables, epochs=2, calibration=0.3)
    interval = forecaster.forecast_interval(3)
    assert interval.lower.shape == (2, 3, 2)
    width = interval.upper - interval.lower
    assert (width[..., 1] > 4 * width[..., 0]).all()


@given(coverage=st.floats(0.01, 0.99), n=st.integers(1, 400))
def test_more_coverage_is_never_narrower_and_too_few_errors_are_refused(
    coverage: float, n: int
) -> None:
    scores = np.random.default_rng(n).normal(0, 1, (n, 1, 1))
    needed = math.ceil(2 / (1 - coverage) - 1e-9) - 1
    if n < needed:
        with pytest.raises(ValueError, match=f"at least {needed} held-out values .*, got {n} for"):
            bounds(scores, coverage)
        return
    lower, upper = bounds(scores, coverage)
    narrower, wider = bounds(scores, coverage / 2)
    assert lower <= narrower
    assert wider <= upper


@pytest.mark.parametrize(
    ("steps", "coverage", "error", "message"),
    [
        (1, 0, ValueError, "coverage must be greater than 0"),
        (1, 1, ValueError, "coverage must be less than 1"),
        (1, "0.9", TypeError, "coverage must be a number"),
        (0, 0.9, ValueError, "steps must be between 1"),
        (1, 0.99, ValueError, "coverage=0.99 needs at least 199 held-out values .* got 60"),
        (50, 0.9, ValueError, "needs at least 19 held-out values for every step, got 18 for step"),
    ],
)
def test_an_interval_that_cannot_be_given_is_refused(steps, coverage, error, message) -> None:
    forecaster = Forecaster(4, hidden_size=3).fit(autoregressive(7, 200), epochs=1, calibration=0.3)
    with pytest.raises(error, match=message):
        forecaster.forecast_interval(steps, coverage)


def test_too_few_errors_are_seen_before_any_forecast(monkeypatch) -> None:
    series = autoregressive(1, 300)
    known = np.zeros((300, 1))
    plain = Forecaster(5, hidden_size=3).fit(series, epochs=1, calibration=0.2)
    told = Forecaster(5, hidden_size=3, horizon=3)
    told.fit([series, series], exogenous=[known, known], epochs=1, calibration=0.1)
    needed = {True: 2 * 28, False: 60}
    for forecaster, future in ((plain, None), (told, np.zeros((2, 3, 1)))):
        count = needed[future is not None]
        enough = 1 - 2 / (count + 1)
        forecaster.forecast_interval(1, enough, future=future)
        with monkeypatch.context() as patched:
            patched.setattr("fastrnn.sequence.model.Model.rolling", None)
            with pytest.raises(ValueError, match=f"got {count} for step 1"):
                forecaster.forecast_interval(1, 1 - 1.9 / (count + 1), future=future)


def test_without_a_calibration_there_is_no_interval() -> None:
    forecaster = Forecaster(4, hidden_size=3).fit(autoregressive(7, 50), epochs=1)
    with pytest.raises(RuntimeError, match=r"nothing was held out .* fit with calibration=0\.2"):
        forecaster.forecast_interval(1)
