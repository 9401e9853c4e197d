"""The reference agrees with central finite differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles.finite_differences import central_difference
from oracles.implementations import (
    KINDS,
    STATES,
    Arrays,
    Case,
    Sizes,
    make_case,
    reference_backward,
    reference_forward,
    reference_states,
)
from tolerances import FINITE_DIFFERENCES, assert_within, rounding

from fastrnn import _reference as reference


def check_gradients(loss: Callable[[Arrays], float], at: Arrays, gradients: Arrays) -> None:
    """Compare ``gradients`` with the differences of ``loss`` in each array of ``at`` in turn."""
    assert gradients.keys() == at.keys()
    for name, value in at.items():
        numeric = central_difference(lambda v, name=name: loss(at | {name: v}), value)
        assert_within(gradients[name], numeric, FINITE_DIFFERENCES)


def check_cell(case: Case) -> None:
    fixed: Arrays = {"x": case.x} if case.ids else {}
    at = case.plain_weights | case.plain_state | ({} if case.ids else {"x": case.x})

    def loss(arguments: Arrays) -> float:
        states = reference_forward(case.kind, **arguments, **fixed)
        value = float((states["h"][1:] * case.grad_output).sum())
        for name, values in states.items():
            value += float((values[-1] * case.arrays[f"grad_{name}_n"]).sum())
        return value

    gradients = reference_backward(case, reference_states(case))
    if case.ids:
        assert gradients.pop("x") is None
    check_gradients(loss, at, gradients)


def distance_to_kink(case: Case) -> float:
    """The smallest |a_t|: differences across the kink of relu are no gradient."""
    if case.kind != "relu":
        return np.inf
    a = [
        reference.rnn_step(x_t, h_t, **case.plain_weights, nonlinearity="linear")
        for x_t, h_t in zip(case.x, reference_states(case)["h"], strict=False)
    ]
    return float(np.abs(a).min())


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("kind", KINDS)
def test_bptt_is_the_derivative_of_the_forward_pass(kind: str, ids: bool) -> None:
    case = make_case(seed=5, sizes=(4, 3, 2, 5), kind=kind, ids=ids)
    assert distance_to_kink(case) > 1e-3
    check_cell(case)


@settings(max_examples=50)
@given(
    sizes=st.tuples(*(st.integers(1, largest) for largest in (5, 3, 4, 5))),
    kind=st.sampled_from(KINDS),
    ids=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_bptt_is_the_derivative_for_any_sizes(
    sizes: Sizes, kind: str, ids: bool, seed: int
) -> None:
    case = make_case(seed, sizes, kind, ids=ids)
    assume(distance_to_kink(case) > 1e-3)
    check_cell(case)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(kind, name) for kind in ("tanh", "lstm", "gru") for name in ("grad_output", "grad_h_n")]
    + [("lstm", "grad_c_n")],
)
def test_a_missing_gradient_stands_for_zero(kind: str, missing: str) -> None:
    case = make_case(seed=1, sizes=(4, 3, 2, 5), kind=kind)
    states = reference_states(case)
    zero = replace(case, **{missing: np.zeros_like(case.arrays[missing])})
    expected = reference_backward(zero, states)
    actual = reference_backward(replace(case, **{missing: None}), states)
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name])


@pytest.mark.parametrize("kind", KINDS)
def test_token_ids_are_one_hot_rows(kind: str) -> None:
    case = make_case(seed=6, sizes=(4, 3, 5, 7), kind=kind, ids=True)
    rows = replace(case, x=np.eye(5)[case.x])
    states, same = reference_states(case), reference_states(rows)
    for name in STATES[case.cell]:
        np.testing.assert_array_equal(states[name], same[name])
    gradients, same = reference_backward(case, states), reference_backward(rows, states)
    for name in gradients.keys() - {"x"}:
        assert_within(gradients[name], same[name], rounding(np.float64))


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
