"""The reference agrees with central finite differences in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles.finite_differences import central_difference
from oracles.implementations import Case, make_case
from tolerances import FINITE_DIFFERENCES, assert_within

from fastrnn import _reference as reference

NONLINEARITIES = ("tanh", "relu", "sigmoid", "linear")
Arrays = dict[str, np.ndarray]


def check_gradients(loss: Callable[[Arrays], float], at: Arrays, gradients: Arrays) -> None:
    """Compare ``gradients`` with the differences of ``loss`` in each array of ``at`` in turn."""
    assert gradients.keys() == at.keys()
    for name, value in at.items():
        numeric = central_difference(lambda v, name=name: loss(at | {name: v}), value)
        assert_within(gradients[name], numeric, FINITE_DIFFERENCES)


def check_rnn(case: Case) -> None:
    ids = case.x.dtype.kind == "i"
    fixed: Arrays = {"x": case.x} if ids else {}
    at = case.plain_weights | {"h_0": case.state} | ({} if ids else {"x": case.x})
    grad_output, grad_h_n = case.grad_output, case.grad_h_n[0]

    def loss(arguments: Arrays) -> float:
        h = reference.rnn_forward(**arguments, **fixed, nonlinearity=case.nonlinearity)
        return float((h[1:] * grad_output).sum() + (h[-1] * grad_h_n).sum())

    h = reference.rnn_forward(**at, **fixed, nonlinearity=case.nonlinearity)
    gradients = reference.rnn_backward(
        case.x,
        h,
        case.weights["weight_ih_l0"],
        case.weights["weight_hh_l0"],
        case.nonlinearity,
        grad_output,
        grad_h_n,
    )
    if ids:
        assert gradients.pop("x") is None
    check_gradients(loss, at, gradients)


def distance_to_kink(case: Case) -> float:
    """The smallest |a_t|: differences across the kink of relu are no gradient."""
    weights = case.plain_weights
    h = reference.rnn_forward(case.x, case.state, **weights, nonlinearity=case.nonlinearity)
    a = [
        reference.rnn_step(x_t, h_t, **weights, nonlinearity="linear")
        for x_t, h_t in zip(case.x, h, strict=False)
    ]
    return float(np.abs(a).min())


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_bptt_is_the_derivative_of_the_forward_pass(nonlinearity: str, ids: bool) -> None:
    case = make_case(seed=5, sizes=(4, 3, 2, 5), nonlinearity=nonlinearity, ids=ids)
    assert nonlinearity != "relu" or distance_to_kink(case) > 1e-3
    check_rnn(case)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(*(st.integers(1, largest) for largest in (5, 3, 4, 5))),
    nonlinearity=st.sampled_from(NONLINEARITIES),
    ids=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_bptt_is_the_derivative_for_any_sizes(
    sizes: tuple[int, int, int, int], nonlinearity: str, ids: bool, seed: int
) -> None:
    case = make_case(seed, sizes, nonlinearity, ids=ids)
    assume(nonlinearity != "relu" or distance_to_kink(case) > 1e-3)
    check_rnn(case)


@pytest.mark.parametrize("missing", ["grad_output", "grad_h_n"])
def test_a_missing_gradient_stands_for_zero(missing: str) -> None:
    case = make_case(seed=1, sizes=(4, 3, 2, 5))
    h = reference.rnn_forward(case.x, case.state, **case.plain_weights, nonlinearity="tanh")
    weights = case.weights["weight_ih_l0"], case.weights["weight_hh_l0"]
    given = {"grad_output": case.grad_output, "grad_h_n": case.grad_h_n[0]}
    zero = given | {missing: np.zeros_like(given[missing])}
    absent = given | {missing: None}
    expected = reference.rnn_backward(case.x, h, *weights, "tanh", **zero)
    actual = reference.rnn_backward(case.x, h, *weights, "tanh", **absent)
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name])


def test_the_readout_gradient_is_the_derivative() -> None:
    rng = np.random.default_rng(2)
    at = {
        "x": rng.standard_normal((4, 3, 2)),
        "weight": rng.standard_normal((5, 2)),
        "bias": rng.standard_normal(5),
    }
    grad_y = rng.standard_normal((4, 3, 5))
    gradients = reference.linear_backward(at["x"], at["weight"], grad_y)
    check_gradients(lambda a: (reference.linear_forward(**a) * grad_y).sum(), at, gradients)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_cross_entropy_gradient_is_the_derivative(reduction: str) -> None:
    rng = np.random.default_rng(3)
    logits, target = 3 * rng.standard_normal((4, 3, 5)), rng.integers(5, size=(4, 3))
    _, grad = reference.cross_entropy(logits, target, reduction)
    check_gradients(
        lambda a: reference.cross_entropy(a["logits"], target, reduction)[0],
        {"logits": logits},
        {"logits": grad},
    )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_squared_error_gradient_is_the_derivative(reduction: str) -> None:
    rng = np.random.default_rng(4)
    prediction, target = rng.standard_normal((2, 4, 3, 5))
    _, grad = reference.mse(prediction, target, reduction)
    check_gradients(
        lambda a: reference.mse(a["prediction"], target, reduction)[0],
        {"prediction": prediction},
        {"prediction": grad},
    )
