"""Gradients by central differences: slow, and derived without any calculus of ours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# The truncation error falls as step**2 and the rounding error grows as eps / step; their sum is
# least near the cube root of the float64 epsilon.
STEP = float(np.cbrt(np.finfo(np.float64).eps))


def central_difference(
    loss: Callable[[NDArray[np.float64]], float], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(loss(at + step) - loss(at - step)) / (2 step), one element of ``at`` after the other."""
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        above, below = at.copy(), at.copy()
        above[index] += STEP
        below[index] -= STEP
        gradient[index] = (loss(above) - loss(below)) / (above[index] - below[index])
    return gradient
