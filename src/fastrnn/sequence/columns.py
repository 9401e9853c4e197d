"""The scaling of the columns of a table, each by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# A window whose values differ by no more than this, relative to its last value, is constant but
# for the rounding of the arithmetic that made it: a few units in the last place of float64.
ROUNDING = 8 * float(np.finfo(np.float64).eps)

TOO_FAR = "the values differ by more than float64 can hold; divide the series by a constant first"


@dataclass(frozen=True)
class Columns:
    """A scaling of its own for each column of a table: w enters as (w - c) / s.

    Attributes
    ----------
    center, spread : np.ndarray of float64, shape (columns,)
        c, the mean of a column, and s, the mean distance from it; 0 and 1 if nothing is scaled.
    """

    center: np.ndarray
    spread: np.ndarray

    @classmethod
    def fit(cls, rows: np.ndarray, *, scaled: bool = True) -> Columns:
        """Return the scaling of a table (n, columns).

        Examples
        --------
        >>> columns = Columns.fit(np.array([[0.0, 5.0], [4.0, 5.0]]))
        >>> columns.inputs(np.array([[6.0, 5.0]]), np.dtype("float32")).tolist()
        [[2.0, 0.0]]
        """
        if not scaled:
            return cls(np.zeros(rows.shape[1]), np.ones(rows.shape[1]))
        with np.errstate(over="ignore", invalid="ignore"):
            center = rows.mean(axis=0)
            spread = np.abs(rows - center).mean(axis=0)
        constant = spread <= ROUNDING * np.abs(center)
        if not (np.isfinite(center).all() and np.isfinite(spread).all()):
            raise ValueError(TOO_FAR)
        return cls(center, np.where(constant, 1.0, spread))

    def inputs(self, rows: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
        """Return rows (..., columns) as the network reads them."""
        with np.errstate(over="ignore", invalid="ignore"):
            return representable(((rows - self.center) / self.spread).astype(dtype))

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Return the numbers that a network's outputs (..., columns) mean, in float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.center + self.spread * outputs.astype(np.float64)


def representable(scaled: np.ndarray) -> np.ndarray:
    """Return what was scaled if its dtype can hold it, and refuse it otherwise."""
    if not np.isfinite(scaled).all():
        raise ValueError(
            f"the scaled values leave the range of {scaled.dtype}; divide the series by a "
            f"constant first, or choose another scaling"
        )
    return scaled
