"""A forecaster learns from several series and variables and known inputs, and answers horizons."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import assert_within, rounding

from fastrnn import Forecaster, data

WAVE = data.sine(120, periods=6)
OTHER = 5 + 2 * data.sine(90, periods=9)
BOTH = np.column_stack([WAVE, np.roll(WAVE, 5)])
CELLS = ["rnn", "lstm", "gru"]


def assert_same_network(one: Forecaster, other: Forecaster) -> None:
    for name, weight in one.network.state_dict().items():
        assert np.array_equal(weight, other.network.state_dict()[name]), name


# Several series


def test_one_series_in_a_list_trains_the_same_network() -> None:
    alone = Forecaster(8, hidden_size=6).fit(WAVE, epochs=4)
    listed = Forecaster(8, hidden_size=6).fit([WAVE], epochs=4)
    assert_same_network(alone, listed)
    assert np.array_equal(listed.forecast(7), alone.forecast(7)[None])


def test_several_series_are_all_learned_and_no_window_crosses_from_one_to_the_next() -> None:
    pairs = [data.windows(series, 8) for series in (WAVE, OTHER)]
    by_windows = Forecaster(8, hidden_size=6).fit(
        np.concatenate([windows for windows, _ in pairs]),
        np.concatenate([targets for _, targets in pairs]),
        epochs=4,
        batch_size=16,
    )
    by_series = Forecaster(8, hidden_size=6).fit([WAVE, OTHER], epochs=4, batch_size=16)
    assert_same_network(by_series, by_windows)


def test_each_of_several_series_is_continued_as_if_alone() -> None:
    forecaster = Forecaster(8, hidden_size=6, scaling="window").fit([WAVE, OTHER], epochs=4)
    forecasts = forecaster.forecast(9)
    assert forecasts.shape == (2, 9)
    for series, forecast in zip((WAVE, OTHER), forecasts, strict=True):
        assert np.array_equal(forecaster.forecast(9, last_window=series[-8:]), forecast)
    ends = np.stack([OTHER[-8:], WAVE[-8:], OTHER[-8:]])
    assert np.array_equal(forecaster.forecast(9, last_window=ends), forecasts[[1, 0, 1]])


def test_a_series_changed_after_fit_changes_no_forecast() -> None:
    series = WAVE.copy()
    forecaster = Forecaster(8, hidden_size=6).fit(series, epochs=2, calibration=0.3)
    before = forecaster.forecast_interval(3, 0.8)
    series[:] = 0
    for one, other in zip(before, forecaster.forecast_interval(3, 0.8), strict=True):
        assert np.array_equal(one, other)


# Several variables


def test_one_variable_with_its_axis_is_the_same_network() -> None:
    plain = Forecaster(8, hidden_size=6, seed=2).fit(WAVE, epochs=4)
    column = Forecaster(8, hidden_size=6, seed=2, variables=1).fit(WAVE[:, None], epochs=4)
    assert_same_network(plain, column)
    assert np.array_equal(column.forecast(5)[:, 0], plain.forecast(5))
    windows, _ = data.windows(WAVE, 8)
    assert np.array_equal(column.predict(windows[:, :, None])[:, 0], plain.predict(windows))


@pytest.mark.parametrize("cell", CELLS)
def test_variables_are_learned_together(cell: str) -> None:
    forecaster = Forecaster(10, cell=cell, hidden_size=12, variables=2)
    forecaster.fit(BOTH[:100], epochs=150)
    forecast = forecaster.forecast(5)
    assert forecast.shape == (5, 2)
    assert np.abs(forecast - BOTH[100:105]).max() < 0.2


def test_a_variable_that_leads_tells_what_the_other_will_be() -> None:
    leader = np.random.default_rng(0).normal(0, 1, 400)
    follower = np.roll(leader, 1)
    table = np.column_stack([leader, follower])[1:]
    both = Forecaster(3, hidden_size=8, variables=2).fit(table[:300], epochs=150)
    alone = Forecaster(3, hidden_size=8).fit(table[:300, 1], epochs=150)
    windows = np.stack([table[i : i + 3] for i in range(300, 396)])
    truth = table[303:, 1]
    assert np.abs(both.predict(windows)[:, 1] - truth).mean() < 0.25
    assert np.abs(alone.predict(windows[:, :, 1]) - truth).mean() > 0.6


def test_variables_do_not_depend_on_each_other_s_unit() -> None:
    units = np.array([1.0, 2.0**20])
    one, other = (
        Forecaster(8, hidden_size=6, variables=2, scaling=scaling).fit(BOTH * factor, epochs=4)
        for factor, scaling in ((1.0, "window"), (units, "window"))
    )
    assert np.array_equal(one.forecast(6) * units, other.forecast(6))


# Horizons


@pytest.mark.parametrize("cell", CELLS)
def test_a_horizon_is_answered_at_once(cell: str) -> None:
    forecaster = Forecaster(10, cell=cell, hidden_size=12, horizon=5).fit(WAVE[:110], epochs=200)
    windows, targets = data.windows(WAVE[:110], 10, horizon=5)
    predictions = forecaster.predict(windows)
    assert predictions.shape == (96, 5)
    assert np.abs(predictions - targets).mean() < 0.1
    assert np.array_equal(forecaster.forecast(5), forecaster.predict(WAVE[100:110])[0])
    assert np.array_equal(forecaster.forecast(3), forecaster.forecast(5)[:3])


def test_beyond_its_horizon_a_forecast_reads_itself() -> None:
    forecaster = Forecaster(6, hidden_size=6, horizon=4).fit(WAVE, epochs=4)
    first = forecaster.forecast(4)
    second = forecaster.predict(np.append(WAVE, first)[-6:])[0]
    third = forecaster.predict(np.concatenate([WAVE, first, second])[-6:])[0]
    assert np.array_equal(forecaster.forecast(10), np.concatenate([first, second, third[:2]]))


def test_a_horizon_of_windows_is_that_of_their_series() -> None:
    by_series = Forecaster(6, hidden_size=6, horizon=3).fit(WAVE, epochs=3)
    by_windows = Forecaster(6, hidden_size=6, horizon=3).fit(*data.windows(WAVE, 6, 3), epochs=3)
    assert_same_network(by_series, by_windows)


def test_windows_with_a_horizon_are_the_series_in_pieces() -> None:
    windows, targets = data.windows([3, 1, 4, 1, 5], window=2, horizon=2)
    assert windows.tolist() == [[3, 1], [1, 4]]
    assert targets.tolist() == [[4, 1], [1, 5]]


# Known inputs


def events(n: int) -> np.ndarray:
    return (np.random.default_rng(3).random(n) < 0.3).astype(float)


@pytest.mark.parametrize("horizon", [1, 3])
def test_what_is_known_of_the_future_is_used(horizon: int) -> None:
    known = events(406)
    series = np.random.default_rng(4).normal(0, 0.1, 400) + 5 * known[:400]
    forecaster = Forecaster(4, hidden_size=10, horizon=horizon)
    forecaster.fit(series, exogenous=known[:400], epochs=200)
    forecast = forecaster.forecast(6, future=known[400:])
    assert np.abs(forecast - 5 * known[400:]).max() < 1
    other = forecaster.forecast(6, future=1 - known[400:])
    assert np.abs(other - 5 * (1 - known[400:])).max() < 1


def test_known_inputs_of_a_given_window_are_those_of_the_series_end() -> None:
    known = np.column_stack([events(123), np.arange(123)])
    forecaster = Forecaster(8, hidden_size=6).fit(WAVE, exogenous=known[:120], epochs=3)
    expected = forecaster.forecast(3, future=known[120:])
    again = forecaster.forecast(
        3, last_window=WAVE[-8:], last_exogenous=known[112:120], future=known[120:]
    )
    assert np.array_equal(again, expected)
    first = forecaster.predict(WAVE[-8:], exogenous=known[None, 112:121])
    assert first[0] == expected[0]


def test_several_series_have_known_inputs_each() -> None:
    known = [events(124), 1 - events(94)]
    forecaster = Forecaster(8, hidden_size=6, scaling="window")
    forecaster.fit([WAVE, OTHER], exogenous=[known[0][:120], known[1][:90]], epochs=3)
    future = np.stack([known[0][120:], known[1][90:]])
    forecasts = forecaster.forecast(4, future=future)
    alone = forecaster.forecast(
        4, last_window=OTHER[-8:], last_exogenous=known[1][82:90], future=future[1]
    )
    assert np.array_equal(forecasts[1], alone)


@settings(max_examples=25)
@given(
    window=st.integers(2, 6),
    horizon=st.integers(1, 4),
    variables=st.none() | st.integers(1, 3),
    columns=st.integers(0, 2),
    count=st.integers(1, 3),
    steps=st.integers(1, 6),
    scaling=st.sampled_from(["global", "window", "none"]),
)
def test_every_combination_has_the_shapes_it_promises(
    window: int,
    horizon: int,
    variables: int | None,
    columns: int,
    count: int,
    steps: int,
    scaling: str,
) -> None:
    rng = np.random.default_rng(0)
    axis = () if variables is None else (variables,)
    series = [rng.normal(0, 1, (12 + i, *axis)) for i in range(count)]
    known = [rng.normal(0, 1, (len(one), columns)) for one in series] if columns else None
    options = {"horizon": horizon, "variables": variables, "scaling": scaling}
    forecaster = Forecaster(window, hidden_size=3, **options)
    forecaster.fit(series, exogenous=known, epochs=1, batch_size=5)
    ahead = -(-steps // horizon) * horizon
    future = rng.normal(0, 1, (count, ahead, columns)) if columns else None
    forecasts = forecaster.forecast(steps, future=future)
    assert forecasts.shape == (count, steps, *axis)
    assert forecasts.dtype == np.float64
    longer = forecaster.forecast(ahead, future=future)
    assert np.array_equal(longer[:, :steps], forecasts)


def test_the_same_seed_and_any_number_of_threads_give_the_same_bits() -> None:
    table = np.random.default_rng(0).normal(0, 1, (500, 3))
    known = np.random.default_rng(1).normal(0, 1, (500, 2))
    forecasters = [
        Forecaster(30, hidden_size=64, horizon=4, variables=3).fit(
            table, exogenous=known, epochs=2, batch_size=200, num_threads=threads
        )
        for threads in (1, 2, 2)
    ]
    assert_same_network(forecasters[0], forecasters[1])
    assert_same_network(forecasters[1], forecasters[2])


def test_a_copy_forecasts_the_same() -> None:
    known = events(124)
    forecaster = Forecaster(8, hidden_size=6, horizon=2, variables=2)
    forecaster.fit(BOTH, exogenous=known[:120], epochs=2, calibration=0.3)
    expected = forecaster.forecast(4, future=known[120:])
    for twin in (copy.deepcopy(forecaster), pickle.loads(pickle.dumps(forecaster))):
        assert np.array_equal(twin.forecast(4, future=known[120:]), expected)


def test_it_prints_what_was_asked_for_beyond_one_value() -> None:
    shown = repr(Forecaster(4, horizon=3, variables=2))
    assert "scaling='global', horizon=3, variables=2, dtype" in shown


def test_the_first_loss_of_a_horizon_is_the_mean_over_its_steps_and_variables() -> None:
    options = {"hidden_size": 4, "horizon": 3, "variables": 2, "dtype": np.float64}
    forecaster = Forecaster(8, scaling="none", **options)
    untrained = forecaster.fit(BOTH, epochs=0)
    windows = np.stack([BOTH[i : i + 8] for i in range(110)])
    targets = np.stack([BOTH[i + 8 : i + 11] for i in range(110)])
    error = untrained.predict(windows) - targets
    first = forecaster.fit(BOTH, epochs=1).history[0]["loss"]
    assert_within(first, np.mean(error**2), rounding(np.float64))


# Bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Forecaster(4, horizon=0), ValueError, "horizon must be between 1"),
        (lambda: Forecaster(4, horizon=1.5), TypeError, "horizon must be an integer"),
        (lambda: Forecaster(4, variables=0), ValueError, "variables must be between 1"),
        (lambda: Forecaster(4).fit(BOTH), ValueError, r"\(120, 2\); for a series of several var"),
        (
            lambda: Forecaster(4, variables=3).fit(BOTH),
            ValueError,
            r"series has shape \(120, 2\), expected \(n, 3\)",
        ),
        (
            lambda: Forecaster(4).fit([WAVE, WAVE[:4]]),
            ValueError,
            r"series\[1\] has 4 values, too short for a window of 4 and the value after it",
        ),
        (
            lambda: Forecaster(4, horizon=3).fit(WAVE[:6]),
            ValueError,
            "window of 4 and the 3 values after it; at least 7 are expected",
        ),
        (
            lambda: Forecaster(4).fit([WAVE, np.append(WAVE, np.nan)]),
            ValueError,
            r"series\[1\] must be finite, got nan at index 120",
        ),
        (
            lambda: Forecaster(4).fit([WAVE, BOTH]),
            ValueError,
            r"series\[1\] must be one-dimensional, got shape \(120, 2\)",
        ),
        (
            lambda: Forecaster(4).fit(WAVE, exogenous=np.zeros(119)),
            ValueError,
            r"exogenous has shape \(119,\), expected \(120, columns\)",
        ),
        (
            lambda: Forecaster(4).fit(WAVE, exogenous=np.zeros((120, 0))),
            ValueError,
            r"exogenous has shape \(120, 0\)",
        ),
        (
            lambda: Forecaster(4).fit([WAVE, OTHER], exogenous=[np.zeros(120)]),
            ValueError,
            "exogenous must be a list of 2 arrays",
        ),
        (
            lambda: Forecaster(4).fit([WAVE, OTHER], exogenous=[np.zeros(120), None]),
            TypeError,
            r"exogenous\[1\] must hold numbers",
        ),
        (
            lambda: Forecaster(4).fit(
                [WAVE, OTHER], exogenous=[np.zeros((120, 1)), np.zeros((90, 2))]
            ),
            ValueError,
            r"exogenous\[1\] has shape \(90, 2\), expected \(90, 1\)",
        ),
        (
            lambda: Forecaster(4, horizon=2).fit(np.zeros((3, 4)), np.zeros(3)),
            ValueError,
            r"targets has shape \(3,\), expected \(3, 2\)",
        ),
        (
            lambda: Forecaster(4).fit(np.zeros((3, 4)), np.zeros(3), exogenous=np.zeros((3, 4, 1))),
            ValueError,
            r"exogenous has shape \(3, 4, 1\), expected \(3, 5, columns\)",
        ),
        (
            lambda: Forecaster(4).fit(np.zeros((3, 4)), np.zeros(3), calibration=0.2),
            ValueError,
            "calibration is for series",
        ),
        (lambda: Forecaster(4).fit(WAVE, calibration=1), ValueError, "calibration must be less"),
        (
            lambda: Forecaster(4).fit(WAVE[:10], calibration=0.7),
            ValueError,
            "calibration=0.7 holds out 7 of the 10 values of series and leaves 3 to learn from",
        ),
        (
            lambda: Forecaster(4).fit(WAVE[:10], calibration=0.01),
            ValueError,
            "calibration=0.01 holds out 0 of the 10 values",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.fixture(scope="module")
def informed() -> Forecaster:
    return Forecaster(4, hidden_size=3, horizon=2).fit(
        WAVE, exogenous=np.column_stack([events(120), events(120)]), epochs=1
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"future is missing: fit was given exogenous, so an array of shape \(4, 2\)"),
        ({"future": np.zeros((3, 2))}, r"future has shape \(3, 2\), expected \(4, 2\)"),
        ({"future": np.zeros((5, 2))}, r"future has shape \(5, 2\), expected \(4, 2\)"),
        ({"future": np.zeros(4)}, r"future has shape \(4,\), expected \(4, 2\)"),
        ({"future": np.full((4, 2), np.nan)}, "future must be finite, got nan"),
        ({"future": np.zeros((4, 2)), "last_window": WAVE[:4]}, "last_exogenous is missing"),
        (
            {"future": np.zeros((4, 2)), "last_exogenous": np.zeros((4, 2))},
            "last_exogenous is of last_window, which was not given",
        ),
    ],
)
def test_a_future_that_does_not_fit_is_refused(informed, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        informed.forecast(3, **options)


def test_known_inputs_are_refused_where_there_were_none() -> None:
    forecaster = Forecaster(4, hidden_size=3).fit(WAVE, epochs=1)
    with pytest.raises(ValueError, match="future was given, but fit was not given exogenous"):
        forecaster.forecast(2, future=np.zeros(2))
    with pytest.raises(ValueError, match="exogenous has 1 columns, expected the 0"):
        forecaster.predict(WAVE[:4], exogenous=np.zeros((1, 5, 1)))
    with pytest.raises(ValueError, match="exogenous has 1 columns, expected the 0"):
        forecaster.evaluate(WAVE, exogenous=np.zeros(120))


def test_known_inputs_are_missed_where_there_were_some(informed) -> None:
    with pytest.raises(ValueError, match="exogenous is missing: fit was given exogenous of 2"):
        informed.predict(WAVE[:4])
    with pytest.raises(ValueError, match="exogenous is missing"):
        informed.evaluate(WAVE)


def test_last_windows_of_several_series_need_a_fit_on_several() -> None:
    forecaster = Forecaster(4, hidden_size=3).fit(WAVE, epochs=1)
    with pytest.raises(ValueError, match=r"last_window has shape \(2, 4\), expected \(4,\)"):
        forecaster.forecast(2, last_window=np.zeros((2, 4)))
