"""Compiled gradients are derivatives of compiled results, by differences in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracles.finite_differences import central_difference
from oracles.implementations import (
    CELLS,
    KINDS,
    LAYERS,
    Case,
    by_name,
    compiled_layer,
    compiled_pass,
    in_layer_form,
    make_case,
)
from oracles.sweeps import floats_and_ids
from tolerances import FINITE_DIFFERENCES, assert_within, rounding

import fastrnn

STATE_ARGUMENTS = ("h_0", "c_0")


def moved(case: Case, name: str, value: np.ndarray) -> Case:
    if name in case.weights:
        return replace(case, weights=case.weights | {name: value})
    return replace(case, **{name: value})


@floats_and_ids
@pytest.mark.parametrize("kind", KINDS)
def test_bptt_is_the_derivative_of_the_forward_pass(kind: str, ids: bool) -> None:
    case = make_case(5, (4, 3, 2, 5), kind, ids=ids)
    gradients = compiled_pass(case)

    def loss(case: Case) -> float:
        output, state = compiled_layer(case)(case.x, case.state)
        value = float((output * case.grad_output).sum())
        for name, part in by_name(case.cell, state, "grad_{}_n").items():
            value += float((part * case.arrays[name]).sum())
        return value

    at = case.weights | {n: a for n, a in case.arrays.items() if n in STATE_ARGUMENTS}
    at |= {} if ids else {"x": case.x}
    for name, value in at.items():
        numeric = central_difference(lambda v, name=name: loss(moved(case, name, v)), value)
        assert_within(gradients[f"grad/{name}"], numeric, FINITE_DIFFERENCES)


@pytest.mark.parametrize("outputs", ["all", "last"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@floats_and_ids
@pytest.mark.parametrize("cell", CELLS)
def test_the_gradients_of_a_network_are_the_derivative_of_its_loss(
    cell: str, ids: bool, loss: str, outputs: str
) -> None:
    case = make_case(21, (4, 3, 5, 4), "tanh" if cell == "rnn" else cell, ids=ids)
    rng = np.random.default_rng(22)
    shape = (4, 3) if outputs == "all" else (3,)
    target = rng.standard_normal((*shape, 2)) if loss == "mse" else rng.integers(2, size=shape)
    options: dict[str, Any] = {"loss": loss, "outputs": outputs}
    readout = fastrnn.Linear(4, 2, dtype=np.float64, seed=1)
    network = fastrnn.Network(compiled_layer(case), readout)
    value, _ = network.loss_and_grad(case.x, target, case.state, **options)
    only_loss, _ = network.loss(case.x, target, case.state, **options)
    assert_within(value, only_loss, rounding(np.float64))
    gradients = [(m, n, g.copy()) for m in network.modules for n, g in m.grad.items()]

    for module, name, gradient in gradients:
        start = module.state_dict()[name]

        def loss_at(value: np.ndarray, module: Any = module, name: str = name) -> float:
            setattr(module, name, value)
            return network.loss(case.x, target, case.state, **options)[0]

        assert_within(gradient, central_difference(loss_at, start), FINITE_DIFFERENCES)
        setattr(module, name, start)


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_of_a_network_stops_at_the_state_it_was_given(cell: str) -> None:
    layer = LAYERS[cell](3, 4, dtype=np.float64, seed=0)
    network = fastrnn.Network(layer, fastrnn.Linear(4, 2, dtype=np.float64, seed=1))
    rng = np.random.default_rng(2)
    x, target = rng.standard_normal((6, 2, 3)), rng.integers(2, size=(6, 2))
    _, carried = network.loss_and_grad(x[:3], target[:3])
    network.zero_grad()
    network.loss_and_grad(x[3:], target[3:], carried)
    expected = {name: gradient.copy() for name, gradient in layer.grad.items()}
    network.zero_grad()
    state = in_layer_form(cell, by_name(cell, carried, "{}"), "{}")
    network.loss_and_grad(x[3:], target[3:], state)
    for name, gradient in layer.grad.items():
        np.testing.assert_array_equal(gradient, expected[name])
