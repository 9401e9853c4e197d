"""Pictures, where Matplotlib is installed.

Functions draw on the axes ``ax`` that they are given, on the current ones of pyplot by default, and
return them.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from fastrnn import _check

# Okabe and Ito's colours, which readers with any colour vision tell apart.
PAST, AHEAD = "#0072b2", "#d55e00"

_FLOAT64 = np.dtype(np.float64)
_HOW = "needs Matplotlib, which the extra 'plot' brings: python -m pip install 'fastrnn[plot]'"


def check_available() -> None:
    """Raise a ValueError that says what to install, where Matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(f"--plot {_HOW}")


def forecast(
    series: Any,
    forecast: Any,
    bounds: Any = None,
    *,
    bounds_label: str = "interval",
    ax: Any = None,
) -> Any:
    """Draw a series and its forecast, with 0 at its last value.

    Parameters
    ----------
    series : array_like of shape (n,)
        What was, or the last of it.
    forecast : array_like of shape (steps,)
        What comes after it.
    bounds : pair of array_like of shape (steps,), optional
        The lower and the upper bounds of prediction intervals.
    bounds_label : str
        What the legend calls them.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on pyplot's current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument does not hold finite real numbers, or has another shape.

    Examples
    --------
    >>> from fastrnn import Forecaster, data, plot
    >>> wave = data.sine(200, periods=8)
    >>> forecaster = Forecaster(10, hidden_size=8).fit(wave, epochs=5, calibration=0.3)
    >>> ahead, lower, upper = forecaster.forecast_interval(5)
    >>> ax = plot.forecast(wave[-50:], ahead, (lower, upper))  # doctest: +SKIP
    """
    past = _row("series", series)
    ahead = _row("forecast", forecast)
    if bounds is not None:
        if not isinstance(bounds, (tuple, list, np.ndarray)) or len(bounds) != 2:
            raise ValueError(f"bounds must be a pair of arrays, got {_check.describe(bounds)}")
        bounds = [_row("bounds", bound) for bound in bounds]
        for bound in bounds:
            _check.shape("bounds", bound, ahead.shape)
    ax = _current() if ax is None else ax
    steps = range(1, len(ahead) + 1)
    ax.plot(range(1 - len(past), 1), past, color=PAST, label="series")
    if bounds is not None:
        ax.fill_between(steps, *bounds, color=AHEAD, alpha=0.25, linewidth=0, label=bounds_label)
    ax.plot(steps, ahead, color=AHEAD, label="forecast")
    ax.grid(color="#e0e0e0", linewidth=0.6)
    ax.legend(loc="upper left", fontsize="small")
    return ax


def _row(name: str, value: Any) -> np.ndarray:
    row = _check.reals(name, value, _FLOAT64)
    if row.ndim != 1 or len(row) == 0:
        raise ValueError(f"{name} must be one-dimensional and not empty, got shape {row.shape}")
    return row


def _current() -> Any:
    """Return the axes that pyplot draws on."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(f"a picture {_HOW}") from None
    return pyplot.gca()
