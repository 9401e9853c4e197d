"""How far two right answers may lie apart: one bound per family, each with its reason."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

# Central differences in float64 with a step of 6e-6: truncation and rounding are each near 4e-11
# times the size of the loss or of its third derivative, and both reach some tens here.
FINITE_DIFFERENCES = 1e-8

# The promise of the library: a hundred training steps on text follow PyTorch's losses this closely.
TEXT_TRAINING = 1e-4

# Compiled float32 nonlinearities, in units in the last place of the exact result. Measured for
# every float32 with and without a fused multiply-add: tanh 4.93 and 5.76, towards its saturation,
# where such a unit is 6e-8; sigmoid, from x = -88 on, 2.49 both times.
ACTIVATION_ULPS = {"tanh": 6.0, "sigmoid": 3.0}

# The steps and sequences over which a gradient is summed, in the largest case that is compared.
LONGEST_SUM = 2048


def rounding(dtype: DTypeLike) -> float:
    """Two correct evaluations of one formula in one dtype, in different orders of summation.

    The sums here have N = 2048 terms at most. Added one after the other they lose, as a random
    walk, about sqrt(N) / 5 = 9 units of the last place of the root of their sum of squares; an
    activation adds a few, and a recurrence of the lengths tested adds a few more. 64 leaves room
    for the worst element of many thousands. Ten training steps at the learning rates of the tests
    add little to one.
    """
    return 64 * float(np.finfo(dtype).eps)


def assert_within(actual: Any, expected: ArrayLike, bound: float, scale: float = 1.0) -> None:
    """Every element lies within ``bound`` of ``expected``, relative to its largest element.

    ``scale`` is the size of what was summed (the root of the sum of squares), so that a result
    that cancels to almost nothing is not asked for more digits than its terms have.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    size = max(scale, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=bound * size)


def assert_prints(actual: Any, expected: ArrayLike, decimals: int) -> None:
    """``actual`` rounds to ``expected``, numbers printed with so many decimals.

    Half a unit of the last decimal, and a little for the rounding of ``actual`` itself.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=0.501 * 10.0**-decimals)
