"""The read-out, the losses and networks of a layer and a read-out agree with the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracles.implementations import (
    KINDS,
    Case,
    by_name,
    compiled_layer,
    make_case,
    reference_gradients,
    reference_states,
)
from oracles.sweeps import DTYPES, SIZES, floats_and_ids
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import _reference as reference


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dimension", ["rows", "in_features", "out_features"])
def test_the_readout_and_its_gradients_at_every_size(dimension: str, size: int, dtype: Any) -> None:
    sizes = {"rows": 3, "in_features": 5, "out_features": 7} | {dimension: size}
    rows, in_features, out_features = sizes.values()
    rng = np.random.default_rng(size)
    layer = fastrnn.Linear(in_features, out_features, dtype=dtype, seed=size)
    weights = layer.state_dict()
    x = rng.standard_normal((2, rows, in_features)).astype(dtype)
    grad_y = rng.standard_normal((2, rows, out_features)).astype(dtype)
    assert_within(layer(x), reference.linear_forward(x, **weights), rounding(dtype))
    expected = reference.linear_backward(x, weights["weight"], grad_y)
    assert_within(layer.backward(grad_y), expected["x"], rounding(dtype))
    for name, value in layer.grad.items():
        assert_within(value, expected[name], rounding(dtype))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", SIZES)
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_losses_and_their_gradients_at_every_size(
    loss: str, classes: int, dtype: Any, reduction: str
) -> None:
    rng = np.random.default_rng(classes)
    scores = (5 * rng.standard_normal((4, 3, classes))).astype(dtype)
    values = rng.standard_normal(scores.shape).astype(dtype)
    target = values if loss == "mse" else rng.integers(classes, size=scores.shape[:2])
    value, grad = getattr(fastrnn.losses, loss)(scores, target, reduction)
    expected_value, expected_grad = getattr(reference, loss)(scores, target, reduction)
    terms = 1.0 if reduction == "sum" else 1.0 / target.size
    assert_within(value, expected_value, rounding(dtype))
    assert_within(grad, expected_grad, rounding(dtype), scale=terms)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_far_apart_give_a_finite_loss(dtype: Any) -> None:
    logits = np.array([[1000.0, 0.0, -1000.0], [80.0, 90.0, 100.0]], dtype)
    target = np.array([2, 0])
    value, grad = fastrnn.losses.cross_entropy(logits, target, "sum")
    expected_value, expected_grad = reference.cross_entropy(logits, target, "sum")
    assert_within(value, expected_value, rounding(dtype))
    assert_within(grad, expected_grad, rounding(dtype))


def make_network(case: Case, outputs: int, **options: Any) -> fastrnn.Network:
    readout = fastrnn.Linear(case.hidden_size, outputs, dtype=case.dtype, seed=1)
    return fastrnn.Network(compiled_layer(case), readout, **options)


def check_state(case: Case, state: Any, expected: dict[str, np.ndarray]) -> None:
    for name, value in by_name(case.cell, state, "{}").items():
        assert_within(value, expected[name][-1:], rounding(case.dtype))


@pytest.mark.parametrize("which", ["all", "last"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("outputs", SIZES)
def test_softmax_outputs_at_every_size(outputs: int, dtype: Any, which: str) -> None:
    for kind in KINDS:
        case = make_case(13, (4, 3, 5, 7), kind, dtype)
        network = make_network(case, outputs, output="softmax")
        y, state = network(case.x, case.state, outputs=which)
        states = reference_states(case)
        logits = reference.linear_forward(states["h"][1:], **network.readout.state_dict())
        expected = reference.softmax(logits)
        assert_within(y, expected if which == "all" else expected[-1], rounding(dtype))
        check_state(case, state, states)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unbatched_sequence_is_a_batch_of_one(kind: str) -> None:
    case = make_case(15, (4, 1, 5, 7), kind)
    network = make_network(case, outputs=6)
    alone = case.each(lambda array: array[:, 0])
    target = np.arange(4)
    calls = [
        lambda case, target: network(case.x, case.state),
        lambda case, target: network(case.x, case.state, outputs="last"),
        lambda case, target: network.loss(case.x, target, case.state),
        lambda case, target: network.loss_and_grad(case.x, target, case.state),
    ]
    for call in calls:
        value, state = call(case, target[:, np.newaxis])
        value_alone, state_alone = call(alone, target)
        np.testing.assert_array_equal(np.squeeze(value), np.squeeze(value_alone))
        expected = by_name(case.cell, state, "{}")
        for name, part in by_name(case.cell, state_alone, "{}").items():
            np.testing.assert_array_equal(part, expected[name][:, 0])


@floats_and_ids
@pytest.mark.parametrize("which", ["all", "last"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_loss_of_a_network_and_all_its_gradients(
    dtype: Any, loss: str, reduction: str, which: str, ids: bool
) -> None:
    options = {"loss": loss, "reduction": reduction, "outputs": which}
    for kind in KINDS:
        check_network(make_case(14, (5, 3, 4, 17), kind, dtype, ids=ids), options)


def check_network(case: Case, options: dict[str, Any]) -> None:
    network = make_network(case, outputs=6)
    loss, reduction, which = options["loss"], options["reduction"], options["outputs"]
    rng = np.random.default_rng(15)
    shape = (5, 3) if which == "all" else (3,)
    values = rng.standard_normal((*shape, 6)).astype(case.dtype)
    target = values if loss == "mse" else rng.integers(6, size=shape)

    states = reference_states(case)
    h, weights = states["h"], network.readout.state_dict()
    read = h[1:] if which == "all" else h[-1]
    y = reference.linear_forward(read, **weights)
    expected_loss, grad_y = getattr(reference, loss)(y, target, reduction)
    readout = reference.linear_backward(read, weights["weight"], grad_y)
    grad_output = np.zeros_like(h[1:])
    grad_output[slice(None) if which == "all" else -1] = readout["x"]
    case = replace(case, grad_output=grad_output, grad_h_n=None, grad_c_n=None)
    layer = reference_gradients(case, states)

    only_loss, _ = network.loss(case.x, target, case.state, **options)
    value, state = network.loss_and_grad(case.x, target, case.state, **options)
    bound = rounding(case.dtype)
    terms = 1.0 if reduction == "sum" else 1.0 / target.size
    assert_within(only_loss, expected_loss, bound)
    assert_within(value, expected_loss, bound)
    check_state(case, state, states)
    for name, gradient in network.layer.grad.items():
        assert_within(gradient, layer[f"grad/{name}"], bound, scale=terms)
    for name, gradient in network.readout.grad.items():
        assert_within(gradient, readout[name], bound, scale=terms)
