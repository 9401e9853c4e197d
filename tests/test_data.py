"""The ready sequences are exact, and windows cover a series once."""

from __future__ import annotations

import numpy as np
import pytest

from fastrnn import data

MASKED = np.ma.masked_equal(np.arange(6.0), 3)


def test_fibonacci_numbers_are_exact_to_the_last_one_offered():
    series = data.fibonacci(79)
    expected = [0, 1]
    while len(expected) < 79:
        expected.append(expected[-2] + expected[-1])
    assert [int(value) for value in series] == expected


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_shortest_fibonacci_series_are_its_beginnings(n):
    assert data.fibonacci(n).tolist() == [0.0, 1.0, 1.0][:n]


def test_one_more_fibonacci_number_would_have_been_rounded():
    with pytest.raises(ValueError, match="n must be between 1 and 79, got 80"):
        data.fibonacci(80)


def test_a_linear_series_starts_and_steps_as_asked():
    assert data.linear(4, start=3, step=-2).tolist() == [3, 1, -1, -3]


def test_an_alternating_series_takes_turns():
    assert data.alternating(5, first=2, second=7).tolist() == [2, 7, 2, 7, 2]
    assert data.alternating(1, first=2, second=7).tolist() == [2]


def test_powers_of_two_are_exact_to_the_largest_in_float64():
    assert [int(value) for value in data.powers_of_two(1024)] == [2**k for k in range(1024)]


def test_the_sine_is_the_one_linspace_spaces():
    series = data.sine(500, periods=2)
    assert np.array_equal(series, np.sin(np.linspace(0, 4 * np.pi, 500)))


def test_counting_windows_count_on_from_every_start():
    windows, targets = data.counting_windows([5, -1], window=3)
    assert windows.tolist() == [[5, 6, 7], [-1, 0, 1]]
    assert targets.tolist() == [8, 2]


def test_counting_is_exact_up_to_the_largest_start():
    windows, targets = data.counting_windows([2**52], window=2)
    assert [int(value) for value in windows[0]] == [2**52, 2**52 + 1]
    assert int(targets[0]) == 2**52 + 2


def test_windows_cover_the_series_once_and_in_order():
    windows, targets = data.windows([3, 1, 4, 1, 5], window=2)
    assert windows.tolist() == [[3, 1], [1, 4], [4, 1]]
    assert targets.tolist() == [4, 1, 5]


def test_a_series_one_longer_than_the_window_has_one_window():
    windows, targets = data.windows([3, 1, 4], window=2)
    assert windows.tolist() == [[3, 1]]
    assert targets.tolist() == [4]


def test_windows_are_copies_of_the_series():
    series = np.arange(6.0)
    windows, targets = data.windows(series, window=2)
    windows[:] = -1
    targets[:] = -1
    assert series.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_masked_array_without_masked_values_is_a_series():
    windows, _ = data.windows(np.ma.masked_equal(np.arange(4.0), 7), window=2)
    assert type(windows) is np.ndarray
    assert windows.tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    "series",
    [
        data.fibonacci(3),
        data.linear(3),
        data.alternating(3),
        data.powers_of_two(3),
        data.sine(3),
        *data.counting_windows([1], 3),
        *data.windows([1, 2, 3], 2),
    ],
)
def test_everything_is_contiguous_float64(series):
    assert series.dtype == np.float64
    assert series.flags.c_contiguous
    assert series.flags.writeable


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: data.fibonacci(0), ValueError, "n must be between 1 and 79, got 0"),
        (lambda: data.fibonacci(2.0), TypeError, "n must be an integer, got 2.0"),
        (lambda: data.powers_of_two(1025), ValueError, "n must be between 1 and 1024, got 1025"),
        (lambda: data.linear(-1), ValueError, "n must be between 1 and .*, got -1"),
        (lambda: data.linear(2, step="1"), TypeError, "step must be a number, got '1'"),
        (lambda: data.linear(2, start=np.nan), ValueError, "start must be finite, got nan"),
        (lambda: data.linear(3, step=1e308), ValueError, "the series must be finite, got inf"),
        (lambda: data.alternating(2, first=None), TypeError, "first must be a number, got None"),
        (lambda: data.sine(10, periods=0), ValueError, "periods must be greater than 0, got 0"),
        (lambda: data.sine(2**31 - 1), MemoryError, "the series would take"),
        (lambda: data.counting_windows([], 3), ValueError, "at least one integer"),
        (lambda: data.counting_windows([[1], [1, 2]], 3), ValueError, "starts cannot be read as"),
        (lambda: data.counting_windows(MASKED.astype(int), 3), ValueError, "starts has masked"),
        (lambda: data.counting_windows([[1]], 3), ValueError, r"got shape \(1, 1\)"),
        (lambda: data.counting_windows([0.5], 3), TypeError, "starts must hold integers"),
        (lambda: data.counting_windows([2**60], 3), ValueError, "every start must be between"),
        (lambda: data.counting_windows([1], 0), ValueError, "window must be between 1 and"),
        (lambda: data.counting_windows([1], 2**31 - 1), MemoryError, "the windows would take"),
        (lambda: data.windows([1, 2], 2), ValueError, "series has 2 values, too short"),
        (lambda: data.windows([], 2), ValueError, "series has 0 values, too short"),
        (lambda: data.windows([[1], [1, 2]], 1), ValueError, "series cannot be read as an array"),
        (lambda: data.windows(MASKED, 1), ValueError, "series has masked values"),
        (lambda: data.linear(2, step=10**400), ValueError, "step must be finite"),
        (lambda: data.windows([[1, 2]], 1), ValueError, "series must be one-dimensional"),
        (lambda: data.windows([1, np.inf, 2], 1), ValueError, "series must be finite, got inf"),
        (lambda: data.windows(["a", "b"], 1), TypeError, "series must hold numbers"),
        (lambda: data.windows([1j, 2, 3], 1), TypeError, "series must hold real numbers"),
        (lambda: data.windows(np.zeros(10**6), 500_000), MemoryError, "the windows of the series"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(make, error, message, monkeypatch):
    monkeypatch.setattr(data._check, "_physical_memory", lambda: 2**33)
    with pytest.raises(error, match=message):
        make()
