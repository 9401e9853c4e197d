"""Ready sequences to try a forecaster on, and the windows it learns from.

Every series is a new one-dimensional float64 array. Series of whole numbers are exact: a length
at which float64 would begin to round them is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastrnn import _check

# F_78 is the last Fibonacci number below 2**53, up to which float64 holds every integer.
MAX_FIBONACCI = 79
# 2**1023 is the largest power of two in float64.
MAX_POWERS_OF_TWO = 1024
# Every integer up to here has a float64 of its own.
MAX_EXACT_INTEGER = 2**53


def fibonacci(n: int) -> np.ndarray:
    """Return the first ``n`` Fibonacci numbers, F_0 = 0, F_1 = 1, F_k = F_{k-1} + F_{k-2}.

    Parameters
    ----------
    n : int
        How many, from 1 to 79 (F_78 is the last that float64 and all before it hold exactly).

    Returns
    -------
    np.ndarray
        Shape (n,).

    Raises
    ------
    TypeError
        If ``n`` is not an integer.
    ValueError
        If ``n`` is out of range.

    Examples
    --------
    >>> fibonacci(8)
    array([ 0.,  1.,  1.,  2.,  3.,  5.,  8., 13.])
    """
    n = _check.integer("n", n, maximum=MAX_FIBONACCI)
    series = np.arange(n, dtype=np.float64)
    for k in range(2, n):
        series[k] = series[k - 1] + series[k - 2]
    return series


def linear(n: int, start: float = 0.0, step: float = 1.0) -> np.ndarray:
    """Return ``start + step * k`` for k = 0 … n - 1.

    Parameters
    ----------
    n : int
        How many values, at least 1.
    start, step : float
        First value and the difference between neighbours.

    Returns
    -------
    np.ndarray
        Shape (n,).

    Raises
    ------
    TypeError
        If ``n`` is not an integer, or ``start`` or ``step`` not a number.
    ValueError
        If ``n`` is below 1, or a value is beyond what float64 holds.
    MemoryError
        If the series would not fit in the machine's memory.

    Examples
    --------
    >>> linear(4, start=10, step=-0.5)
    array([10. ,  9.5,  9. ,  8.5])
    """
    n = _length(n)
    start = _check.number("start", start)
    step = _check.number("step", step)
    with np.errstate(over="ignore", invalid="ignore"):
        series = start + step * np.arange(n, dtype=np.float64)
    _check.finite("the series", series)
    return series


def alternating(n: int, first: float = 1.0, second: float = -1.0) -> np.ndarray:
    """Return ``first, second, first, …``, ``n`` values in all.

    Parameters
    ----------
    n : int
        How many values, at least 1.
    first, second : float
        The two values that take turns.

    Returns
    -------
    np.ndarray
        Shape (n,).

    Raises
    ------
    TypeError
        If ``n`` is not an integer, or ``first`` or ``second`` not a number.
    ValueError
        If ``n`` is below 1, or a value is not finite.
    MemoryError
        If the series would not fit in the machine's memory.

    Examples
    --------
    >>> alternating(5)
    array([ 1., -1.,  1., -1.,  1.])
    """
    series = np.empty(_length(n))
    series[::2] = _check.number("first", first)
    series[1::2] = _check.number("second", second)
    return series


def powers_of_two(n: int) -> np.ndarray:
    """Return 1, 2, 4, … 2**(n - 1).

    Parameters
    ----------
    n : int
        How many, from 1 to 1024 (float64 ends below 2**1024).

    Returns
    -------
    np.ndarray
        Shape (n,).

    Raises
    ------
    TypeError
        If ``n`` is not an integer.
    ValueError
        If ``n`` is out of range.

    Examples
    --------
    >>> powers_of_two(6)
    array([ 1.,  2.,  4.,  8., 16., 32.])
    """
    n = _check.integer("n", n, maximum=MAX_POWERS_OF_TWO)
    return np.ldexp(1.0, np.arange(n))


def sine(n: int = 500, periods: float = 2.0) -> np.ndarray:
    """Return ``n`` samples of sin over ``periods`` periods, both ends included.

    Parameters
    ----------
    n : int
        How many samples, at least 1.
    periods : float
        Periods covered: the angle runs from 0 to 2π ``periods``, as ``linspace`` spaces it.

    Returns
    -------
    np.ndarray
        Shape (n,), values in [-1, 1].

    Raises
    ------
    TypeError
        If ``n`` is not an integer or ``periods`` not a number.
    ValueError
        If ``n`` is below 1, or ``periods`` not above 0 and finite.
    MemoryError
        If the series would not fit in the machine's memory.

    Examples
    --------
    >>> sine(5, periods=1).round(3) + 0.0
    array([ 0.,  1.,  0., -1.,  0.])
    """
    n = _length(n)
    periods = _check.number("periods", periods, above=0, maximum=1e15)
    return np.sin(np.linspace(0.0, 2 * np.pi * periods, n))


def counting_windows(starts: Any, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Return windows of consecutive integers and the integer that follows each.

    Parameters
    ----------
    starts : array_like of int, shape (N,)
        First integer of each window, of magnitude up to 2**52.
    window : int
        Integers per window, at least 1.

    Returns
    -------
    windows : np.ndarray
        Shape (N, window); row i is ``starts[i], starts[i] + 1, …``.
    targets : np.ndarray
        Shape (N,); ``starts[i] + window``.

    Raises
    ------
    TypeError
        If ``starts`` does not hold integers or ``window`` is not one.
    ValueError
        If ``starts`` is empty, not one-dimensional or too large, or ``window`` is below 1.
    MemoryError
        If the windows would not fit in the machine's memory.

    Examples
    --------
    >>> X, y = counting_windows([1, 40], window=3)
    >>> X
    array([[ 1.,  2.,  3.],
           [40., 41., 42.]])
    >>> y
    array([ 4., 43.])
    """
    window = _check.integer("window", window)
    starts = _check.integers("starts", starts)
    if starts.ndim != 1 or starts.size == 0:
        raise ValueError(
            f"starts must be a one-dimensional array of at least one integer, "
            f"got shape {starts.shape}"
        )
    limit = MAX_EXACT_INTEGER // 2
    for extreme in (starts.min(), starts.max()):
        _check.integer("every start", extreme, minimum=-limit, maximum=limit)
    _check.memory("the windows", starts.size, window + 1, 8)
    counted = starts.astype(np.float64)[:, None] + np.arange(window + 1, dtype=np.float64)
    return np.ascontiguousarray(counted[:, :-1]), counted[:, -1].copy()


def windows(series: Any, window: int, horizon: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Cut a series into all its windows and the values that follow each.

    Parameters
    ----------
    series : array_like, shape (n,)
        Finite real numbers, at least ``window + horizon`` of them.
    window : int
        Values per window, at least 1.
    horizon : int
        Values to follow a window, at least 1.

    Returns
    -------
    windows : np.ndarray
        Shape (N, window) with N = n - window - horizon + 1; row i is ``series[i : i + window]``.
    targets : np.ndarray
        Shape (N,); ``series[i + window]``. With a horizon above 1 shape (N, horizon), the values
        from there on.

    Raises
    ------
    TypeError
        If ``series`` does not hold real numbers or ``window`` or ``horizon`` is not an integer.
    ValueError
        If ``series`` is not one-dimensional, not finite, or too short for one window and what
        follows it, or ``window`` or ``horizon`` is below 1.
    MemoryError
        If the windows would not fit in the machine's memory.

    Examples
    --------
    >>> X, y = windows([3, 1, 4, 1, 5], window=3)
    >>> X
    array([[3., 1., 4.],
           [1., 4., 1.]])
    >>> y
    array([1., 5.])
    """
    window = _check.integer("window", window)
    horizon = _check.integer("horizon", horizon)
    series = _check.reals("series", series, np.dtype(np.float64))
    if series.ndim != 1:
        raise ValueError(f"series must be one-dimensional, got shape {series.shape}")
    before, after = cut("series", series[:, None], window, horizon)
    return before[:, :, 0], after[:, 0, 0] if horizon == 1 else after[:, :, 0]


def cut(name: str, values: np.ndarray, window: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all windows (N, window, V) of values (n, V) and what follows, (N, horizon, V)."""
    if len(values) < window + horizon:
        follow = "the value" if horizon == 1 else f"the {horizon} values"
        raise ValueError(
            f"{name} has {len(values)} values, too short for a window of {window} and {follow} "
            f"after it; at least {window + horizon} are expected"
        )
    count = len(values) - window - horizon + 1
    _check.memory(f"the windows of the {name}", count, (window + horizon) * values.shape[1], 8)
    parts = np.moveaxis(sliding_window_view(values, window + horizon, axis=0), 1, 2)
    return parts[:, :window].copy(), parts[:, window:].copy()


def _length(n: int) -> int:
    n = _check.integer("n", n)
    _check.memory("the series", n, 8)
    return n
