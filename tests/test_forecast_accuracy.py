"""A forecaster's errors are reported beside those of naive forecasts, as MASE."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tolerances import assert_within, rounding

from fastrnn import Forecaster, data

RNG = np.random.default_rng(0)
SEASONAL = np.tile([1.0, 5.0, 3.0, 8.0, 2.0, 6.0], 40) + RNG.normal(0, 0.2, 240)
TRAIN, TEST = SEASONAL[:180], SEASONAL[172:]
UNIT = np.abs(np.diff(TRAIN)).mean()
EXACT = rounding(np.float64)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(8, hidden_size=12).fit(TRAIN, epochs=200)


def by_hand(forecaster: Forecaster, test: np.ndarray, steps: int, season: int) -> dict:
    """The same scores, one place and step after the other."""
    window = forecaster.window
    errors: dict[str, list[float]] = {"model": [], "naive": [], "seasonal": []}
    for origin in range(max(window, season), len(test)):
        forecast = forecaster.forecast(steps, last_window=test[origin - window : origin])
        for k in range(min(steps, len(test) - origin)):
            actual = test[origin + k]
            errors["model"].append(abs(forecast[k] - actual))
            errors["naive"].append(abs(test[origin - 1] - actual))
            seasons = k // season + 1
            errors["seasonal"].append(abs(test[origin + k - seasons * season] - actual))
    expected = {}
    for name, made in (("", "model"), ("naive_", "naive"), ("seasonal_naive_", "seasonal")):
        expected[name + "mae"] = np.mean(errors[made])
        expected[name + "rmse"] = np.sqrt(np.mean(np.square(errors[made])))
        expected[name + "mase"] = np.mean(errors[made]) / UNIT
    return expected


@pytest.mark.parametrize(("steps", "season"), [(1, 6), (3, 6), (9, 6), (4, 11)])
def test_scores_are_those_counted_by_hand(fitted, steps: int, season: int) -> None:
    scores = fitted.evaluate(TEST, steps=steps, season=season)
    expected = by_hand(fitted, TEST, steps, season)
    assert scores.keys() == expected.keys()
    for name, value in expected.items():
        assert_within(scores[name], value, EXACT)


def test_a_seasonal_series_is_learned_better_than_either_baseline_says(fitted) -> None:
    scores = fitted.evaluate(TEST, season=6)
    assert scores["mase"] < 0.5 * scores["naive_mase"]
    assert scores["mase"] < 1.1 * scores["seasonal_naive_mase"]


def test_in_its_own_training_series_the_naive_forecast_scores_one() -> None:
    forecaster = Forecaster(1, hidden_size=2).fit(TRAIN, epochs=0)
    assert_within(forecaster.evaluate(TRAIN)["naive_mase"], 1.0, EXACT)


def test_without_a_season_there_is_no_seasonal_score(fitted) -> None:
    names = ["mae", "rmse", "mase", "naive_mae", "naive_rmse", "naive_mase"]
    assert list(fitted.evaluate(TEST)) == names


def test_scores_have_the_unit_they_say() -> None:
    one, other = (
        Forecaster(8, hidden_size=4).fit(unit * TRAIN, epochs=3).evaluate(unit * TEST, season=6)
        for unit in (1.0, 1024.0)
    )
    assert other["mae"] == 1024 * one["mae"]
    assert_within(other["rmse"], 1024 * one["rmse"], EXACT)
    for name in ("mase", "naive_mase", "seasonal_naive_mase"):
        assert_within(other[name], one[name], EXACT)


def test_the_steps_measured_are_the_horizon_s_unless_told_otherwise() -> None:
    forecaster = Forecaster(8, hidden_size=4, horizon=3).fit(TRAIN, epochs=3)
    assert forecaster.evaluate(TEST) == forecaster.evaluate(TEST, steps=3)
    assert forecaster.evaluate(TEST) != forecaster.evaluate(TEST, steps=1)


def test_scores_of_variables_and_of_series_are_means() -> None:
    table, test = np.column_stack([TRAIN, -3 * TRAIN]), np.column_stack([TEST, -3 * TEST])
    forecaster = Forecaster(8, hidden_size=4, variables=2, dtype=np.float64).fit(table, epochs=3)
    windows = np.stack([test[i : i + 8] for i in range(len(test) - 8)])
    errors = np.abs(forecaster.predict(windows) - test[8:]).mean(axis=0)
    scores = forecaster.evaluate(test)
    assert_within(scores["mae"], errors.mean(), EXACT)
    assert_within(scores["mase"], (errors / np.array([UNIT, 3 * UNIT])).mean(), EXACT)
    assert_within(forecaster.evaluate(test, average=False)["mae"], errors, EXACT)
    halves = Forecaster(8, hidden_size=4, dtype=np.float64).fit([TRAIN, TRAIN], epochs=3)
    parts = [halves.evaluate(one)["mae"] for one in (TEST[:28], TEST[:48])]
    both = halves.evaluate([TEST[:28], TEST[:48]])["mae"]
    assert_within(both, (20 * parts[0] + 40 * parts[1]) / 60, EXACT)


@pytest.mark.parametrize("horizon", [1, 3])
def test_known_inputs_are_read_while_measuring(horizon: int) -> None:
    known = (np.random.default_rng(1).random(300) < 0.4).astype(float)
    series = 4 * known + np.random.default_rng(2).normal(0, 0.1, 300)
    forecaster = Forecaster(3, hidden_size=8, horizon=horizon)
    forecaster.fit(series[:200], exogenous=known[:200], epochs=150)
    scores = forecaster.evaluate(series[200:], exogenous=known[200:], steps=4)
    assert scores["mase"] < 0.3 * scores["naive_mase"]


def test_only_steps_whose_inputs_are_known_are_measured() -> None:
    known = np.arange(60.0)
    series = np.sin(known)
    forecaster = Forecaster(3, hidden_size=4, horizon=4).fit(series, exogenous=known, epochs=2)
    test, behind = series[:8], known[:8]  # places after 3 and 4 values know 4 more
    windows = np.stack([test[:3], test[1:4]])
    around = np.stack([behind[:7], behind[1:8]])[:, :, None]
    errors = forecaster.predict(windows, exogenous=around) - np.stack([test[3:7], test[4:8]])
    assert_within(forecaster.evaluate(test, exogenous=behind)["mae"], np.abs(errors).mean(), EXACT)


def test_after_windows_the_unit_is_that_of_the_windows() -> None:
    windows, targets = data.windows(TRAIN, 8)
    forecaster = Forecaster(8, hidden_size=4).fit(windows, targets, epochs=2)
    unit = np.abs(targets - windows[:, -1]).mean()
    scores = forecaster.evaluate(TEST)
    assert_within(scores["mase"], scores["mae"] / unit, EXACT)


def test_where_nothing_ever_changed_there_is_no_unit() -> None:
    scores = Forecaster(3, hidden_size=2).fit(np.full(20, 7.0), epochs=1).evaluate(np.full(9, 7.0))
    assert math.isnan(scores["mase"])
    assert math.isfinite(scores["mae"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"series": TEST[:8]}, ValueError, "series has 8 values, expected at least 9: 8 to read"),
        ({"series": TEST[:20], "season": 20}, ValueError, "expected at least 21: 20 to read"),
        ({"series": TEST, "season": 0}, ValueError, "season must be between 1"),
        ({"series": TEST, "average": 1}, TypeError, "average must be True or False"),
        ({"series": TEST, "steps": 0}, ValueError, "steps must be between 1"),
        ({"series": TEST[:, None]}, ValueError, "series must be one-dimensional"),
        ({"series": [TEST, TEST[:3]]}, ValueError, r"series\[1\] has 3 values"),
    ],
)
def test_what_cannot_be_measured_is_refused(fitted, options, error, message) -> None:
    with pytest.raises(error, match=message):
        fitted.evaluate(**options)


def test_nothing_is_measured_before_fit() -> None:
    with pytest.raises(RuntimeError, match="has not been fitted"):
        Forecaster(3).evaluate(TEST)
