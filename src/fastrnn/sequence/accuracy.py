"""Errors of forecasts, beside those of forecasts that need no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastrnn import _check
from fastrnn.sequence.model import Model
from fastrnn.sequence.series import Series


def naive(values: np.ndarray, origins: np.ndarray, steps: int) -> np.ndarray:
    """Repeat the last value before each origin: values (n, V) give (origins, steps, V).

    Examples
    --------
    >>> naive(np.array([[3.0], [1.0], [4.0]]), np.array([2, 3]), 2)[:, :, 0]
    array([[1., 1.],
           [4., 4.]])
    """
    return np.repeat(values[origins - 1][:, None], steps, axis=1)


def seasonal_naive(values: np.ndarray, origins: np.ndarray, steps: int, season: int) -> np.ndarray:
    """Repeat the last ``season`` values before each origin, (origins, steps, V).

    Examples
    --------
    >>> seasonal_naive(np.array([[3.0], [1.0], [4.0]]), np.array([3]), 3, season=2)[:, :, 0]
    array([[1., 4., 1.]])
    """
    return values[(origins - season)[:, None] + np.arange(steps) % season]


def scores(
    model: Model, several: Sequence[Series], steps: int, season: int | None, unit: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the errors that :meth:`fastrnn.Forecaster.evaluate` describes, of each variable.

    ``unit`` is the naive error of the training series, (V,).
    """
    first = max(model.window, season or 0)
    ahead = 1 if model.scaling.known is None else model.horizon
    for one in several:
        model.require_columns("exogenous", one.known)
        if len(one) < first + ahead:
            raise ValueError(
                f"{one.name} has {len(one)} values, expected at least {first + ahead}: "
                f"{first} to read and what follows them"
            )
    places = sum(len(one) - first for one in several)
    what = f"the forecasts of {steps} steps from {places} places"
    _check.memory(what, places, model.steps_known(steps), len(unit), 8)
    rolled = [(one.values, model.rolling(one, steps, first)) for one in several]
    errors = {"": np.concatenate([rolling.forecasts - rolling.actual for _, rolling in rolled])}
    for name, guess, options in (
        ("naive_", naive, ()),
        *((("seasonal_naive_", seasonal_naive, (season,)),) if season else ()),
    ):
        parts = [
            guess(values, rolling.origins, steps, *options) - rolling.actual
            for values, rolling in rolled
        ]
        errors[name] = np.where(np.isnan(errors[""]), np.nan, np.concatenate(parts))
    return {
        name + score: value
        for name, error in errors.items()
        for score, value in _measures(error, unit).items()
    }


def _measures(error: np.ndarray, unit: np.ndarray) -> dict[str, np.ndarray]:
    """Return means over places and steps (N, steps, V) where there is something, (V,) each."""
    mae = np.nanmean(np.abs(error), axis=(0, 1))
    known = (unit > 0) & np.isfinite(unit)
    return {
        "mae": mae,
        "rmse": np.sqrt(np.nanmean(error**2, axis=(0, 1))),
        "mase": mae / np.where(known, unit, np.nan),
    }
