"""What reaches the output of a layer from outside, on the way back."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from fastrnn._readout import CrossEntropyRows


class OnTheWay(NamedTuple):
    """What computes a gradient of rows on the way back."""

    rows: CrossEntropyRows
    row_work: int  # multiply-adds of a row's outputs
    threads: int  # that share a block


class Outside(Protocol):
    """The gradient of an output: of all rows at once, or else as the way back needs them.

    So it may be computed while the states that it comes from are in the cache.
    """

    def whole(self) -> np.ndarray:
        """Return all rows (N, …), contiguous."""

    def on_the_way(self, groups: int) -> OnTheWay | None:
        """Return what computes rows of so many groups of sequences; None if they are there."""


class Given:
    """A gradient that is there: rows (N, …), contiguous."""

    def __init__(self, gradient: np.ndarray) -> None:
        self._gradient = gradient

    def whole(self) -> np.ndarray:
        """Return all rows."""
        return self._gradient

    def on_the_way(self, groups: int) -> OnTheWay | None:
        """Return None: they are there."""
        return None
