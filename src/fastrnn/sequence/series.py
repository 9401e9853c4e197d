"""What a forecaster is given: one series or several, of one variable or more, and known inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check, data

FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True)
class Series:
    """A series, checked.

    Attributes
    ----------
    name : str
        What to call it in messages.
    values : ndarray of float64, shape (n, variables)
    known : ndarray of float64, shape (n, columns), or None
        What is known of every step beforehand.
    """

    name: str
    values: np.ndarray
    known: np.ndarray | None

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int | None = None) -> Series:
        """Return a copy of the steps from ``start`` to ``stop``."""
        known = None if self.known is None else self.known[start:stop].copy()
        return Series(self.name, self.values[start:stop].copy(), known)


@dataclass(frozen=True)
class Sizes:
    """How much a forecaster reads and predicts; ``variables`` is None without an axis for them."""

    window: int
    horizon: int
    variables: int | None


@dataclass(frozen=True)
class Windows:
    """Windows (N, window, V), what follows (N, horizon, V), and what is known of all of it."""

    values: np.ndarray
    targets: np.ndarray
    known: np.ndarray | None  # (N, window + horizon, columns)


def are_several(value: Any) -> bool:
    """Say whether this is a list of arrays, rather than an array or a list of numbers."""
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(hasattr(one, "__array__") and np.ndim(one) > 0 for one in value)
    )


def read(name: str, series: Any, exogenous: Any, variables: int | None) -> list[Series]:
    """Return the series that were given, with the known inputs of each."""
    if not are_several(series):
        values = _values(name, series, variables)
        known = None if exogenous is None else known_rows("exogenous", exogenous, len(values))
        return [Series(name, values, known)]
    parts = [None] * len(series) if exogenous is None else exogenous
    if not isinstance(parts, (list, tuple)) or len(parts) != len(series):
        raise ValueError(
            f"exogenous must be a list of {len(series)} arrays, one for each series, "
            f"got {_check.describe(exogenous)}"
        )
    several = []
    for i, (one, known) in enumerate(zip(series, parts, strict=True)):
        values = _values(f"{name}[{i}]", one, variables)
        known = None if exogenous is None else known_rows(f"exogenous[{i}]", known, len(values))
        several.append(Series(f"{name}[{i}]", values, known))
        if known is not None and several[0].known is not None:
            _check.shape(f"exogenous[{i}]", known, (len(values), several[0].known.shape[1]))
    return several


def cut(several: list[Series], sizes: Sizes) -> Windows:
    """Return all windows of all series, one series after the other."""
    window, horizon = sizes.window, sizes.horizon
    parts = [data.cut(one.name, one.values, window, horizon) for one in several]
    known = None
    if several[0].known is not None:
        known = _together(
            [
                data.cut(one.name, one.known, window + horizon, 0)[0]
                for one in several
                if one.known is not None
            ]
        )
    windows, targets = zip(*parts, strict=True)
    return Windows(_together(windows), _together(targets), known)


def _together(parts: Any) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def given(windows: Any, targets: Any, exogenous: Any, sizes: Sizes) -> Windows:
    """Return windows and targets that a user has cut."""
    window, horizon, variables = sizes.window, sizes.horizon, sizes.variables
    values = _check.reals("windows", windows, FLOAT64)
    values = require_windows("windows", values, window, variables)
    targets = _check.reals("targets", targets, FLOAT64)
    shape = (len(values), *steps_and_variables(horizon, variables))
    _check.shape("targets", targets, shape)
    targets = targets.reshape(len(values), horizon, -1)
    return Windows(values, targets, known_of_windows(exogenous, len(values), window + horizon))


def steps_and_variables(steps: int, variables: int | None) -> tuple[int, ...]:
    """Return the shape of what follows one window: one step and one variable take no axis."""
    return (*(() if steps == 1 else (steps,)), *(() if variables is None else (variables,)))


def require_windows(
    name: str, windows: np.ndarray, window: int, variables: int | None
) -> np.ndarray:
    """Return windows (N, window[, variables]) as (N, window, V); refuse others."""
    width = (window,) if variables is None else (window, variables)
    if windows.ndim != 1 + len(width) or windows.shape[1:] != width or len(windows) == 0:
        expected = ", ".join(["N", *map(str, width)])
        raise ValueError(
            f"{name} has shape {windows.shape}, expected ({expected}) with N at least 1"
        )
    return windows.reshape(len(windows), window, -1)


def known_of_windows(exogenous: Any, count: int, steps: int) -> np.ndarray | None:
    """Return the known inputs of windows and of what follows them, (count, steps, columns)."""
    if exogenous is None:
        return None
    known = _check.reals("exogenous", exogenous, FLOAT64)
    if known.ndim != 3 or known.shape[:2] != (count, steps) or known.shape[2] == 0:
        raise ValueError(
            f"exogenous has shape {known.shape}, expected ({count}, {steps}, columns): window and "
            f"horizon of every window"
        )
    return known


def _values(name: str, series: Any, variables: int | None) -> np.ndarray:
    values = _check.reals(name, series, FLOAT64)
    if variables is not None:
        if values.ndim != 2 or values.shape[1] != variables:
            raise ValueError(f"{name} has shape {values.shape}, expected (n, {variables})")
        return values
    if values.ndim != 1:
        hint = "; for a series of several variables, give Forecaster variables=…"
        raise ValueError(
            f"{name} must be one-dimensional, got shape {values.shape}"
            f"{hint if values.ndim == 2 else ''}"
        )
    return values[:, None]


def known_rows(name: str, value: Any, rows: int) -> np.ndarray:
    """Return known inputs as (rows, columns); a single column may come without its axis."""
    known = _check.reals(name, value, FLOAT64)
    known = known[:, None] if known.ndim == 1 else known
    if known.ndim != 2 or len(known) != rows or known.shape[1] == 0:
        raise ValueError(
            f"{name} has shape {np.shape(value)}, expected ({rows}, columns): a row for each step"
        )
    return known
