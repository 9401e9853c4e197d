"""Errors of forecasts, beside those of forecasts that need no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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


def naive_error(several: Sequence[Series]) -> np.ndarray:
    """Return the mean distance of each value from the one before it, of each variable (V,)."""
    return mean_distance(
        *(np.concatenate([one.values[i:j] for one in several]) for i, j in ((1, None), (None, -1)))
    )


def mean_distance(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how far apart rows (N, V) lie on average, (V,); infinite if float64 cannot tell."""
    with np.errstate(over="ignore"):
        return np.asarray(np.abs(ones - others).mean(axis=0))


def scores(
    model: Model, several: Sequence[Series], steps: int, season: int | None, unit: np.ndarray
) -> dict[str, float]:
    """Return the errors that :meth:`fastrnn.Forecaster.evaluate` describes.

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
    rolled = [(one.values, model.rolling(one, steps, first)) for one in several]
    error = np.concatenate([rolling.forecasts - rolling.actual for _, rolling in rolled])
    missing = np.isnan(error)

    def scaled_of_baseline(*options: int) -> float:
        guess = seasonal_naive if options else naive
        parts = [
            guess(v, rolling.origins, steps, *options) - rolling.actual for v, rolling in rolled
        ]
        return _scaled(np.where(missing, np.nan, np.concatenate(parts)), unit)

    result = {
        "mae": float(_means(np.abs(error)).mean()),
        "rmse": float(np.sqrt(_means(error**2)).mean()),
        "mase": _scaled(error, unit),
        "naive_mase": scaled_of_baseline(),
    }
    if season is not None:
        result["seasonal_naive_mase"] = scaled_of_baseline(season)
    return result


def _means(errors: np.ndarray) -> np.ndarray:
    """Return the means over places and steps (N, steps, V) where there is something, (V,)."""
    return np.asarray(np.nanmean(errors, axis=(0, 1)))


def _scaled(error: np.ndarray, unit: np.ndarray) -> float:
    """Mean absolute scaled error, the mean over variables; NaN where nothing ever changed."""
    known = (unit > 0) & np.isfinite(unit)
    return float((_means(np.abs(error)) / np.where(known, unit, np.nan)).mean())
