"""Prediction intervals from the errors of forecasts that the training did not see."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fastrnn.sequence.model import Model
from fastrnn.sequence.series import Series


def require_errors(model: Model, several: Sequence[Series], steps: int, coverage: float) -> None:
    """Refuse, before any work, steps of which :func:`scores` would be too few for the coverage."""
    for step in range(1, steps + 1):
        _rank(sum(model.places(one, step) for one in several), coverage, step)


def scores(model: Model, several: Sequence[Series], steps: int) -> np.ndarray:
    """Return how far what came lay above the forecasts, (places, steps, V), NaN where unknown.

    The unit is the s of the window forecast from, so that where windows are scaled by themselves
    errors are too.
    """
    parts = []
    for one in several:
        rolling = model.rolling(one, steps)
        windows = np.stack([one.values[end - model.window : end] for end in rolling.origins])
        spread = model.scaling.frame(windows, np.dtype(np.float64)).spread
        parts.append((rolling.actual - rolling.forecasts) / spread[:, None])
    return np.concatenate(parts)


def bounds(scores: np.ndarray, coverage: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper quantile of the scores of each step and variable, (steps, V).

    With n scores and alpha = 1 - coverage they are the floor(alpha / 2 (n + 1))-th smallest and
    the one as far from the largest. If one more score is exchangeable with the n, it lies between
    them with a probability of at least ``coverage``.

    Raises
    ------
    ValueError
        If there are too few scores for that.

    References
    ----------
    J. Lei et al., "Distribution-free predictive inference for regression", JASA 113 (2018),
    theorem 2; with the two tails apart.

    Examples
    --------
    >>> lower, upper = bounds(np.arange(19.0).reshape(19, 1, 1), 0.9)
    >>> lower.item(), upper.item()
    (0.0, 18.0)
    """
    steps, variables = scores.shape[1:]
    lower, upper = np.empty((2, steps, variables))
    for step in range(steps):
        made = scores[~np.isnan(scores[:, step]).any(axis=1), step]
        rank = _rank(len(made), coverage, step + 1)
        ordered = np.sort(made, axis=0)
        lower[step], upper[step] = ordered[rank - 1], ordered[len(made) - rank]
    return lower, upper


def errors_needed(coverage: float) -> int:
    """Return of how many errors the smallest and the largest bound so many more.

    Examples
    --------
    >>> errors_needed(0.9), errors_needed(0.5)
    (19, 3)
    """
    return math.ceil(2 / (1 - coverage) - 1e-9) - 1


def _rank(count: int, coverage: float, step: int) -> int:
    """Return the rank of the lower quantile of so many errors of a step, at least 1."""
    # What rounding took from a whole number is ignored.
    rank = math.floor((1 - coverage) / 2 * (count + 1) + 1e-9)
    if rank < 1:
        raise ValueError(
            f"coverage={coverage:g} needs at least {errors_needed(coverage)} held-out values "
            f"for every step, got {count} for step {step}: fit with a larger "
            f"calibration, or ask for fewer steps or less coverage"
        )
    return rank
