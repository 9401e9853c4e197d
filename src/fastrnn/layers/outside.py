"""What reaches the output of a layer from outside, on the way back."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Outside(Protocol):
    """The gradient of an output, whose rows are asked for from the last to the first, each once.

    So it may be computed meanwhile, while the states that it comes from are in the cache.
    """

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return rows start to stop, contiguous; they hold until the next are asked for."""


class Given:
    """A gradient that is there: rows (N, …), contiguous."""

    def __init__(self, gradient: np.ndarray) -> None:
        self._gradient = gradient

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return rows start to stop."""
        return self._gradient[start:stop]
