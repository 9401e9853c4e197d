"""A series and its forecast."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.plot import values
from fastrnn.plot.axes import BLUE, GRID, ORANGE, current, head


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
    past = values.row("series", series)
    ahead = values.row("forecast", forecast)
    if bounds is not None:
        if not isinstance(bounds, (tuple, list, np.ndarray)) or len(bounds) != 2:
            raise ValueError(f"bounds must be a pair of arrays, got {_check.describe(bounds)}")
        bounds = [values.row("bounds", bound) for bound in bounds]
        for bound in bounds:
            _check.shape("bounds", bound, ahead.shape)
    bounds_label = values.text_argument("bounds_label", bounds_label)
    ax = current(ax)
    steps = range(1, len(ahead) + 1)
    drawn = ax.plot(range(1 - len(past), 1), past, color=BLUE, label="series")
    if bounds is not None:
        band = {"color": ORANGE, "alpha": 0.25, "linewidth": 0}
        drawn.append(ax.fill_between(steps, *bounds, label=bounds_label, **band))
    drawn += ax.plot(steps, ahead, color=ORANGE, label="forecast")
    ax.set_xlabel("steps after the last value")
    ax.set_ylabel("value")
    ax.grid(**GRID)
    head(ax, "Forecast", drawn)
    return ax
