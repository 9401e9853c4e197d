"""What reaches the output of a layer from outside, on the way back."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from fastrnn._readout import CrossEntropyRows


class OnTheWay(NamedTuple):
    """What computes a gradient of rows on the way back."""

    rows: CrossEntropyRows
    threads: int  # that share a block


class Outside(Protocol):
    """The gradient of an output: of all rows at once, or else as the way back needs them.

    So it may be computed while the states that it comes from are in the cache.
    """

    @property
    def row_work(self) -> int:
        """Multiply-adds of the outputs of a row that is computed on the way back, or 0."""

    def whole(self) -> np.ndarray:
        """Return all rows (N, …), contiguous."""

    def on_the_way(self, groups: int) -> OnTheWay:
        """Return what computes rows of so many groups of sequences, unless row_work is 0."""


class Given:
    """A gradient that is there: rows (N, …), contiguous."""

    row_work = 0

    def __init__(self, gradient: np.ndarray) -> None:
        self._gradient = gradient

    def whole(self) -> np.ndarray:
        """Return all rows."""
        return self._gradient

    def on_the_way(self, groups: int) -> OnTheWay:
        """Return nothing: all rows are there."""
        raise AssertionError("a gradient that is there is not computed on the way")
