"""The compiled nonlinearities stay within their stated error, and within their range."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from tolerances import ACTIVATION_ULPS, rounding

from fastrnn import _ops

EXACT = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
}


def arguments() -> np.ndarray:
    """Both signs, every magnitude from subnormal to where exp(-x) leaves float32."""
    sizes = np.geomspace(1e-38, 87, 400_000)
    dense = np.linspace(-12, 12, 600_000)
    return np.concatenate([-sizes, sizes, dense]).astype(np.float32)


def activate(name: str, x: np.ndarray) -> np.ndarray:
    return _ops.activate(x, _ops.NONLINEARITIES[name])


def ulps(got: np.ndarray, exact: np.ndarray) -> np.ndarray:
    unit = np.spacing(np.maximum(np.abs(exact), 1e-37).astype(np.float32)).astype(np.float64)
    return np.abs(got - exact) / unit


@pytest.mark.parametrize("name", ACTIVATION_ULPS)
def test_float32_stays_within_its_bound_of_units_in_the_last_place(name: str) -> None:
    x = arguments()
    error = ulps(activate(name, x), EXACT[name](x.astype(np.float64)))
    assert error.max() <= ACTIVATION_ULPS[name], f"{error.max()} at {x[error.argmax()]}"


@pytest.mark.parametrize(
    ("name", "function"),
    [("tanh", math.tanh), ("sigmoid", lambda x: 1 / (1 + math.exp(-x)))],
)
def test_float64_is_that_of_the_system_library(
    name: str, function: Callable[[float], float]
) -> None:
    x = arguments()[::97].astype(np.float64)
    np.testing.assert_array_equal(activate(name, x), [function(value) for value in x])


@pytest.mark.parametrize("name", ["relu", "linear"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_and_linear_are_exact(name: str, dtype: type) -> None:
    x = arguments().astype(dtype)
    np.testing.assert_array_equal(activate(name, x), EXACT[name](x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_never_leave_the_range_so_that_no_slope_is_negative(dtype: type) -> None:
    x = np.concatenate([arguments(), np.float32([-3e38, 3e38, -np.inf, np.inf])]).astype(dtype)
    h = activate("tanh", x)
    assert (1 - h * h).min() >= 0
    s = activate("sigmoid", x)
    assert s.min() >= 0
    assert s.max() <= 1


def test_sigmoid_saturates_beyond_what_exp_can_represent() -> None:
    ones = activate("sigmoid", np.float32([87, 88, 89, 1e30, np.inf]))
    np.testing.assert_array_equal(ones, 1)
    assert activate("sigmoid", np.float32([-88, -89, -1e30, -np.inf])).max() < 1e-38


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_passes_through(name: str, dtype: type) -> None:
    x = np.array([0.5, np.nan, -0.5] * 11, dtype)
    np.testing.assert_array_equal(np.isnan(activate(name, x)), np.isnan(x))


@pytest.mark.parametrize("name", EXACT)
def test_nan_passes_through_whatever_its_bits(name: str) -> None:
    bits = np.random.default_rng(0).integers(1, 2**23, 4096, dtype=np.uint32)
    x = np.concatenate([bits | 0x7F800000, bits | 0xFF800000]).astype(np.uint32).view(np.float32)
    assert np.isnan(activate(name, x)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_is_right_down_to_the_smallest_probabilities(dtype: type) -> None:
    logits = np.linspace(-86, 0, 97).astype(dtype)[None]
    exact = np.exp(logits.astype(np.float64))
    probabilities = logits.copy()
    _ops.softmax(probabilities)
    np.testing.assert_allclose(probabilities, exact / exact.sum(), rtol=rounding(dtype))
