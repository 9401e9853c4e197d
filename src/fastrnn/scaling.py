"""The map between a user's numbers and the small numbers that a network works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SCALINGS = ("global", "window", "none")

# A window whose values differ by no more than this, relative to its last value, is constant but
# for the rounding of the arithmetic that made it: a few units in the last place of float64.
ROUNDING = 8 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Frame:
    """The scaling of N windows: w enters as (w - c) / s, an output o means c + d o.

    Attributes
    ----------
    center, spread, reach : np.ndarray of float64, shape (N,)
        c, s and d of every window.
    dtype : np.dtype
        Type of what enters the network.
    """

    center: np.ndarray
    spread: np.ndarray
    reach: np.ndarray
    dtype: np.dtype[Any]

    def inputs(self, windows: np.ndarray) -> np.ndarray:
        """Return windows (N, window) as the network reads them, (window, N, 1)."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = ((windows - self.center[:, None]) / self.spread[:, None]).astype(self.dtype)
        return np.ascontiguousarray(self._representable(scaled).T[:, :, None])

    def outputs(self, values: np.ndarray) -> np.ndarray:
        """Return next values (N,) as the network should answer them, (N, 1)."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scaled = ((values - self.center) / self.reach).astype(self.dtype)
        return self._representable(scaled)[:, None]

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Return the next values that the network's outputs (N, 1) mean, (N,) in float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.center + self.reach * outputs[:, 0].astype(np.float64)

    def _representable(self, scaled: np.ndarray) -> np.ndarray:
        if not np.isfinite(scaled).all():
            raise ValueError(
                f"the scaled values leave the range of {self.dtype}; divide the series by a "
                f"constant first, or choose another scaling"
            )
        return scaled


@dataclass(frozen=True)
class Scaling:
    """How to scale windows, fitted to those of the training; the rules are Forecaster's.

    Attributes
    ----------
    kind : {"global", "window", "none"}
        Where c and s come from.
    center, spread : float
        c and s of every window. With ``"window"`` every window has its own, and ``spread`` is
        the s of those that are constant.
    unit : float
        d / s.
    """

    kind: str
    center: float = 0.0
    spread: float = 1.0
    unit: float = 1.0

    @classmethod
    def fit(cls, kind: str, windows: np.ndarray, targets: np.ndarray) -> Scaling:
        """Return the scaling for training windows (N, window) and the values after them (N,)."""
        if kind == "none":
            return cls(kind)
        with np.errstate(over="ignore", invalid="ignore"):
            if kind == "global":
                center = float(windows.mean())
                return cls(kind, center, _divisor(np.abs(windows - center).mean()))
            spread = _divisor(_deviation(windows).mean())
            frame = cls(kind, spread=spread).frame(windows, np.dtype(np.float64))
            unit = _divisor(np.abs(frame.outputs(targets)).mean())
        return cls(kind, spread=spread, unit=unit)

    def frame(self, windows: np.ndarray, dtype: np.dtype[Any]) -> Frame:
        """Return c, s and d for every one of the windows (N, window).

        Raises
        ------
        ValueError
            If the values differ by more than float64 can hold.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.kind == "window":
                center, spread = windows[:, -1], _deviation(windows)
                constant = spread <= ROUNDING * np.abs(center)
                spread = np.where(constant, self.spread, spread)
            else:
                center, spread = np.full((2, len(windows)), [[self.center], [self.spread]])
            reach = spread * self.unit
        if not (np.isfinite(center).all() and np.isfinite(reach).all()):
            raise ValueError(
                "the values differ by more than float64 can hold; divide the series by a constant "
                "first"
            )
        return Frame(center, spread, reach, dtype)


def _deviation(windows: np.ndarray) -> np.ndarray:
    """Return the mean distance from the last value of every window, (N,)."""
    return np.abs(windows - windows[:, -1:]).mean(axis=1)


def _divisor(size: float) -> float:
    """Return what to divide by: 1 in place of 0, where nothing differs."""
    return float(size) if size != 0 else 1.0
