"""A forecaster solves the tasks it is shown, by learning, and keeps the promises of its docs."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import Forecaster, NonFiniteLossError, data, optim
from fastrnn.sequence.scaling import Scaling

SEEDS = range(3)
WAVE = data.sine(120, periods=3)

# Mean squared error of answering the last value on the sine task.
LAST_VALUE_ERROR = 0.000306


def weights(forecaster):
    return forecaster.network.state_dict()


def assert_same_weights(one, other):
    for name, weight in weights(one).items():
        assert np.array_equal(weight, weights(other)[name]), name


# The tasks


def counting_errors(seed, epochs):
    """Largest error on [1, 2, 3], [5, 6, 7] and [10, 11, 12] after [1, 2, 3] … [5, 6, 7]."""
    questions, answers = data.counting_windows([1, 5, 10], 3)
    forecaster = Forecaster(3, scaling="window", seed=seed)
    forecaster.fit(*data.counting_windows(range(1, 6), 3), epochs=epochs)
    return np.abs(forecaster.predict(questions) - answers)


def consecutive_errors(seed, epochs):
    """Largest error on [10..14], [25..29] and [100..104] after 100 windows below 54."""
    questions, answers = data.counting_windows([10, 25, 100], 5)
    starts = np.random.default_rng(seed).integers(0, 50, 100)
    forecaster = Forecaster(5, hidden_size=20, scaling="window", seed=seed)
    forecaster.fit(*data.counting_windows(starts, 5), epochs=epochs)
    return np.abs(forecaster.predict(questions) - answers)


def sine_error(seed, epochs, **options):
    """Mean squared error over all windows of 20 of two periods in 500 points."""
    series = data.sine(500, periods=2)
    windows, targets = data.windows(series, 20)
    forecaster = Forecaster(20, hidden_size=32, scaling="window", seed=seed)
    forecaster.fit(series, epochs=epochs, optimizer="adam", lr=0.01, batch_size=None, **options)
    return np.mean((forecaster.predict(windows) - targets) ** 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_counts_on(seed):
    assert counting_errors(seed, epochs=300).max() < 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_it_continues_consecutive_integers_beyond_those_it_was_trained_on(seed):
    assert consecutive_errors(seed, epochs=300).max() < 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_epochs_beat_the_last_value_on_a_sine(seed):
    assert sine_error(seed, epochs=10) < LAST_VALUE_ERROR


@pytest.mark.unsanitized
@pytest.mark.parametrize("seed", SEEDS)
def test_three_hundred_epochs_learn_the_sine(seed):
    assert sine_error(seed, epochs=300) < 1e-5


@pytest.mark.unsanitized
@pytest.mark.parametrize("seed", SEEDS)
def test_a_learning_rate_that_falls_predicts_the_sine_still_more_closely(seed):
    assert sine_error(seed, epochs=300, schedule="cosine") < 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_what_solves_the_tasks_is_learned(seed):
    assert counting_errors(seed, epochs=0).min() > 0.3
    assert consecutive_errors(seed, epochs=0).min() > 0.3
    assert sine_error(seed, epochs=0) > 0.9 * LAST_VALUE_ERROR


def test_the_naive_error_of_the_sine_is_the_one_quoted():
    windows, targets = data.windows(data.sine(500, periods=2), 20)
    assert round(np.mean((targets - windows[:, -1]) ** 2), 6) == LAST_VALUE_ERROR
    assert round(targets[0], 4) == 0.4826


@pytest.mark.parametrize(
    "series",
    [data.fibonacci(40), data.powers_of_two(40), data.linear(40, 5, 3), data.alternating(40, 3, 7)],
    ids=["fibonacci", "powers of two", "linear", "alternating"],
)
def test_ready_series_are_continued_out_of_their_range(series):
    forecast = Forecaster(4, scaling="window").fit(series[:25]).forecast(15)
    assert np.abs(forecast / series[25:] - 1).max() < 0.02


@pytest.mark.unsanitized
def test_a_series_that_stays_in_its_range_is_continued_for_eight_periods():
    angles = np.arange(400) * 2 * np.pi / 25
    forecast = Forecaster(25).fit(np.sin(angles[:200]), epochs=600).forecast(200)
    assert np.abs(forecast - np.sin(angles[200:])).max() < 0.1


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid", "linear"])
@pytest.mark.parametrize("scaling", ["global", "window", "none"])
def test_every_nonlinearity_learns_with_every_scaling(nonlinearity, scaling):
    forecaster = Forecaster(10, hidden_size=8, nonlinearity=nonlinearity, scaling=scaling)
    losses = [entry["loss"] for entry in forecaster.fit(WAVE, epochs=60).history]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("optimizer", "lr"), [("adam", 0.01), ("adamw", 0.01), ("rmsprop", 0.003), ("sgd", 0.05)]
)
def test_every_optimizer_learns(optimizer, lr):
    forecaster = Forecaster(10, hidden_size=8).fit(WAVE, epochs=40, optimizer=optimizer, lr=lr)
    assert forecaster.history[-1]["loss"] < 0.5 * forecaster.history[0]["loss"]


# Predictions and forecasts


@pytest.fixture(scope="module")
def fitted():
    return Forecaster(10, hidden_size=8).fit(WAVE, epochs=20)


def test_predictions_are_float64_one_for_each_window(fitted):
    windows, _ = data.windows(WAVE, 10)
    predictions = fitted.predict(windows)
    assert predictions.shape == (110,)
    assert predictions.dtype == np.float64


def test_a_single_window_is_a_batch_of_one(fitted):
    window = WAVE[:10]
    assert fitted.predict(window).shape == (1,)
    assert np.array_equal(fitted.predict(window), fitted.predict(window[None]))


def test_windows_may_be_lists_or_not_contiguous(fitted):
    windows, _ = data.windows(WAVE, 10)
    expected = fitted.predict(windows)
    assert np.array_equal(fitted.predict(windows.tolist()), expected)
    assert np.array_equal(fitted.predict(np.asfortranarray(windows)), expected)
    assert np.array_equal(fitted.predict(windows[::2]), expected[::2])


def test_a_forecast_is_predictions_fed_back(fitted):
    window = list(WAVE[-10:])
    for value in fitted.forecast(15):
        assert value == fitted.predict(window)[0]
        window = [*window[1:], value]


def test_a_longer_forecast_begins_with_the_shorter_one(fitted):
    assert np.array_equal(fitted.forecast(12)[:5], fitted.forecast(5))


def test_a_forecast_can_continue_another_window(fitted):
    assert np.array_equal(fitted.forecast(4, last_window=WAVE[-10:]), fitted.forecast(4))
    other = WAVE[20:30]
    assert fitted.forecast(4, last_window=other)[0] == fitted.predict(other)[0]


def test_data_handed_in_is_never_written_to(fitted):
    series, window = WAVE.copy(), WAVE[:10].copy()
    series.flags.writeable = window.flags.writeable = False
    Forecaster(10, hidden_size=4).fit(series, epochs=1)
    fitted.predict(window)
    fitted.forecast(3, last_window=window)
    # Compiled code could write in spite of the flag.
    assert np.array_equal(series, WAVE)
    assert np.array_equal(window, WAVE[:10])


def test_a_series_of_integers_is_one_of_numbers():
    integers, floats = data.linear(20).astype(int), data.linear(20)
    forecasts = [Forecaster(4).fit(series, epochs=3).forecast(2) for series in (integers, floats)]
    assert np.array_equal(*forecasts)


def test_float64_is_kept_throughout():
    forecaster = Forecaster(10, hidden_size=8, dtype=np.float64).fit(WAVE, epochs=3)
    assert {weight.dtype for weight in weights(forecaster).values()} == {np.dtype(np.float64)}
    single = Forecaster(10, hidden_size=8, dtype=np.float32).fit(WAVE, epochs=3)
    difference = forecaster.predict(WAVE[:10]) - single.predict(WAVE[:10])
    assert 0 < abs(difference[0]) < 0.01


# Scaling


def test_scaled_by_window_a_forecast_moves_and_stretches_with_its_window():
    forecaster = Forecaster(10, hidden_size=8, scaling="window", dtype=np.float64)
    forecaster.fit(WAVE, epochs=20)
    windows, _ = data.windows(WAVE, 10)
    expected = 1000 + 8 * forecaster.predict(windows)
    assert_within(forecaster.predict(1000 + 8 * windows), expected, rounding(np.float64))


@pytest.mark.parametrize("scaling", ["global", "window"])
def test_learning_does_not_depend_on_the_unit_of_the_series(scaling):
    histories = []
    for unit in (1.0, 2.0**40, 2.0**-40):
        forecaster = Forecaster(10, hidden_size=8, scaling=scaling).fit(unit * WAVE, epochs=5)
        histories.append(forecaster.history)
    assert histories[0] == histories[1] == histories[2]


def scaled(kind, windows, targets):
    windows, targets = np.array(windows, float), np.array(targets, float)
    frame = Scaling.fit(kind, windows, targets).frame(windows, np.dtype(np.float64))
    return frame.inputs(windows)[:, :, 0].T.tolist(), frame.outputs(targets)[:, 0].tolist()


def test_scaling_by_none_changes_nothing():
    assert scaled("none", [[1, 2], [3, 4]], [5, 6]) == ([[1, 2], [3, 4]], [5, 6])


def test_global_scaling_uses_one_mean_and_one_distance():
    windows, targets = [[0, 4], [4, 8]], [6, 12]  # mean 4, distances 4, 0, 0, 4
    assert scaled("global", windows, targets) == ([[-2, 0], [0, 2]], [1, 4])


def test_scaling_by_window_uses_each_windows_last_value_and_distance():
    windows, targets = [[1, 2, 4], [60, 40, 10]], [6.5, -35]
    first, second = (3 + 2 + 0) / 3, (50 + 30 + 0) / 3
    unit = (2.5 / first + 45 / second) / 2
    inputs, outputs = scaled("window", windows, targets)
    assert_within(inputs, [[-3 / first, -2 / first, 0], [50 / second, 30 / second, 0]], 1e-15)
    assert_within(outputs, [2.5 / first / unit, -45 / second / unit], 1e-15)


@pytest.mark.parametrize("kind", ["global", "window", "none"])
def test_what_is_scaled_comes_back(kind):
    windows, targets = data.windows(np.random.default_rng(3).normal(5, 2, 50), 6)
    frame = Scaling.fit(kind, windows, targets).frame(windows, np.dtype(np.float64))
    assert_within(frame.values(frame.outputs(targets)), targets, rounding(np.float64))


def test_a_constant_window_takes_the_spread_of_the_training_windows():
    windows, targets = np.array([[1.0, 3.0], [7.0, 7.0], [0.0, 6.0]]), np.array([5.0, 8.0, 12.0])
    frame = Scaling.fit("window", windows, targets).frame(windows, np.dtype(np.float64))
    assert frame.spread.tolist() == [1, 4 / 3, 3]


def test_rounding_does_not_make_a_constant_window_vary():
    training, targets = np.array([[0.0, 6.0]]), np.array([12.0])
    almost = np.array([[0.1 + 0.2, 0.3]])
    frame = Scaling.fit("window", training, targets).frame(almost, np.dtype(np.float64))
    assert frame.spread.tolist() == [3]


@pytest.mark.parametrize("scaling", ["global", "window"])
def test_a_constant_series_stays_where_it_is(scaling):
    forecast = Forecaster(4, scaling=scaling).fit(np.full(30, 7.5)).forecast(5)
    assert np.abs(forecast - 7.5).max() < 0.01


# Training


def test_history_has_one_entry_for_each_epoch():
    history = Forecaster(10, hidden_size=4).fit(WAVE, epochs=3, batch_size=7).history
    assert [entry["epoch"] for entry in history] == [1, 2, 3]


def test_the_first_loss_is_that_of_the_untrained_network_in_scaled_units():
    windows, targets = data.windows(WAVE, 10)
    forecaster = Forecaster(10, hidden_size=4, dtype=np.float64)
    errors = forecaster.fit(WAVE, epochs=0).predict(windows) - targets
    spread = np.abs(windows - windows.mean()).mean()
    first = forecaster.fit(WAVE, epochs=1).history[0]["loss"]
    assert_within(first, np.mean((errors / spread) ** 2), rounding(np.float64))


def test_no_epochs_leave_the_initial_weights():
    one, other = Forecaster(10, hidden_size=4), Forecaster(10, hidden_size=4)
    assert one.fit(WAVE, epochs=0).history == []
    other.fit(-3 * WAVE, epochs=0)
    assert_same_weights(one, other)


@pytest.mark.parametrize("batch_size", [None, 16])
def test_the_same_seed_gives_the_same_bits(batch_size):
    forecasts = [
        Forecaster(10, hidden_size=8, seed=seed).fit(WAVE, epochs=4, batch_size=batch_size)
        for seed in (5, 5, 6)
    ]
    first, again, other = (forecaster.forecast(3) for forecaster in forecasts)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_number_of_threads_changes_no_bit():
    one, two = (
        Forecaster(40, hidden_size=64).fit(data.sine(600), epochs=2, num_threads=threads)
        for threads in (1, 2)
    )
    assert_same_weights(one, two)


def test_fitting_again_starts_anew():
    forecaster = Forecaster(10, hidden_size=8).fit(data.linear(40), epochs=5).fit(WAVE, epochs=5)
    assert len(forecaster.history) == 5
    assert_same_weights(forecaster, Forecaster(10, hidden_size=8).fit(WAVE, epochs=5))


def test_a_series_and_its_windows_train_the_same_network():
    by_series = Forecaster(10, hidden_size=8).fit(WAVE, epochs=5)
    by_windows = Forecaster(10, hidden_size=8).fit(*data.windows(WAVE, 10), epochs=5)
    assert_same_weights(by_series, by_windows)


def test_a_batch_size_above_the_number_of_windows_is_the_full_batch():
    full = Forecaster(10, hidden_size=8).fit(WAVE, epochs=3)
    assert_same_weights(full, Forecaster(10, hidden_size=8).fit(WAVE, epochs=3, batch_size=10**6))


def test_batches_hold_every_window_once_each_epoch(monkeypatch):
    seen = []
    original = fastrnn.network.Network.loss_and_grad

    def watched(self, x, target, **options):
        seen.append(x[:, :, 0].T.copy())
        return original(self, x, target, **options)

    monkeypatch.setattr(fastrnn.network.Network, "loss_and_grad", watched)
    Forecaster(3, hidden_size=2, scaling="none").fit(data.linear(13), epochs=2, batch_size=4)
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    orders = [np.concatenate(seen[:3]), np.concatenate(seen[3:])]
    for order in orders:
        assert sorted(order[:, 0]) == list(range(10))
    assert not np.array_equal(*orders)


def test_the_loss_of_an_epoch_counts_every_window_once():
    options = {"epochs": 1, "optimizer": "sgd", "lr": 1e-300}  # too small to learn anything
    losses = [
        Forecaster(10, hidden_size=4, dtype=np.float64)
        .fit(WAVE, batch_size=batch_size, **options)
        .history[0]["loss"]
        for batch_size in (None, 40)  # the last batch is one of 30
    ]
    assert_within(*losses, rounding(np.float64))


def test_the_threads_asked_for_are_those_used(monkeypatch):
    asked = []
    original = fastrnn.Network.loss_and_grad

    def watched(*arguments, num_threads=None, **options):
        asked.append(num_threads)
        return original(*arguments, num_threads=num_threads, **options)

    monkeypatch.setattr(fastrnn.Network, "loss_and_grad", watched)
    Forecaster(10, hidden_size=4).fit(WAVE, epochs=2, num_threads=3)
    assert asked == [3, 3]


def test_the_gradient_is_clipped_to_the_norm_asked_for():
    start, clipped = Forecaster(10, hidden_size=4), Forecaster(10, hidden_size=4)
    start.fit(WAVE, epochs=0)
    clipped.fit(WAVE, epochs=1, optimizer="sgd", lr=1.0, clip_norm=0.001)
    moved = sum(
        float(np.sum((weights(clipped)[name] - weight) ** 2))
        for name, weight in weights(start).items()
    )
    assert np.sqrt(moved) == pytest.approx(0.001, rel=0.01)


def test_the_cosine_lowers_the_learning_rate_every_epoch(monkeypatch):
    rates = []

    class Watched(optim.SGD):
        def _rule(self, step):
            rates.append(self.lr)
            return super()._rule(step)

    monkeypatch.setitem(optim.OPTIMIZERS, "sgd", Watched)
    options = {"epochs": 4, "batch_size": 55, "optimizer": "sgd", "lr": 0.5}
    Forecaster(10, hidden_size=4).fit(WAVE, **options, schedule="cosine")
    cosine = [0.25 * (1 + np.cos(np.pi * epoch / 4)) for epoch in (0, 0, 1, 1, 2, 2, 3, 3)]
    assert_within(rates, cosine, rounding(np.float64))
    rates.clear()
    Forecaster(10, hidden_size=4).fit(WAVE, **options)
    assert rates == [0.5] * 8


def test_progress_is_shown_only_when_asked_for(capsys):
    Forecaster(10, hidden_size=4).fit(WAVE, epochs=2)
    assert capsys.readouterr().err == ""
    Forecaster(10, hidden_size=4).fit(WAVE, epochs=2, progress=True)
    shown = capsys.readouterr().err
    assert "2/2" in shown
    assert "loss" in shown


def test_it_prints_how_it_was_made():
    assert repr(Forecaster(10, scaling="window", seed=3)) == (
        "Forecaster(window=10, cell='rnn', hidden_size=32, nonlinearity='tanh', "
        "scaling='window', dtype='float32', seed=3)"
    )


# Interrupts and divergence


def test_an_interrupted_update_is_undone(monkeypatch):
    """Interrupted once the weights have moved."""
    interrupted, updates = Forecaster(10, hidden_size=4), []
    undisturbed = optim.Optimizer._make

    def make(self, *arguments):
        updates.append(undisturbed(self, *arguments))
        if len(updates) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(optim.Optimizer, "_make", make)
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(WAVE, epochs=9)
    assert len(interrupted.history) == 3
    assert_same_weights(interrupted, Forecaster(10, hidden_size=4).fit(WAVE, epochs=3))


def test_a_loss_that_is_not_finite_stops_training_with_advice():
    forecaster = Forecaster(10, nonlinearity="relu", scaling="none")
    with pytest.raises(NonFiniteLossError, match=r"is not finite.*try a learning rate well below"):
        forecaster.fit(WAVE, epochs=50, optimizer="sgd", lr=1e20, clip_norm=None)
    assert len(forecaster.history) < 50
    assert np.isfinite(forecaster.predict(WAVE[:10])).all()


def test_a_forecast_that_outgrows_float64_says_so():
    forecaster = Forecaster(4, scaling="window").fit(data.powers_of_two(30))
    with pytest.raises(FloatingPointError, match=r"step 99\d cannot be forecast: "):
        forecaster.forecast(2000)
