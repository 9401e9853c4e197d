"""Where arithmetic has no rounding, results agree with the equations to the last bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracles.implementations import (
    GATED_CELLS,
    LAYERS,
    STATES,
    by_name,
    compiled_pass,
    in_layer_form,
    make_case,
    reference_pass,
)
from oracles.sweeps import DTYPES, SIZES, floats_and_ids

STEPS = 5


@floats_and_ids
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_integers_through_the_linear_cell(size: int, dtype: Any, ids: bool) -> None:
    """Sums of small integers have one result in any order, so every bit must agree.

    The recurrent weights hold one -1, 0 or 1 a row, so that nothing grows with the steps and all
    sums stay below 2^24.
    """
    rng = np.random.default_rng(size)
    case = make_case(size, (STEPS, 3, size, size), "linear", dtype, ids=ids)
    weights = {name: rng.integers(-3, 4, a.shape) for name, a in case.weights.items()}
    columns = rng.permutation(size)
    weights["weight_hh_l0"] = np.zeros((size, size), int)
    weights["weight_hh_l0"][np.arange(size), columns] = rng.integers(-1, 2, size)
    case = case.each(
        lambda a: a if a.dtype.kind == "i" else rng.integers(-3, 4, a.shape).astype(dtype)
    )
    case = replace(case, weights={n: a.astype(dtype) for n, a in weights.items()})
    results = compiled_pass(case)
    for name, value in reference_pass(case).items():
        np.testing.assert_array_equal(results[name], value)


def gated_layer(cell: str, size: int, dtype: Any, **blocks: float) -> Any:
    """A layer whose weights are zero and whose biases are what ``blocks`` says of each gate."""
    layer = LAYERS[cell](3, size, dtype=dtype, seed=0)
    for name, value in layer.parameters().items():
        setattr(layer, name, np.zeros_like(value))
    gates = "ifgo" if cell == "lstm" else "rzn"
    layer.bias_ih_l0 = np.repeat([blocks.get(gate, 0.0) for gate in gates], size).astype(dtype)
    return layer


def integers(cell: str, size: int, dtype: Any) -> dict[str, np.ndarray]:
    """A state of whole numbers, none of them zero."""
    rng, shape = np.random.default_rng(size), (1, 3, size)
    return {
        name: (rng.integers(1, 10, shape) * rng.choice([-1, 1], shape)).astype(dtype)
        for name in STATES[cell]
    }


# The part of the state that a gate can hold on to.
MEMORY = {"lstm": "c", "gru": "h"}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", GATED_CELLS)
def test_an_open_gate_keeps_the_memory_and_its_gradient_for_ever(
    cell: str, size: int, dtype: Any
) -> None:
    layer = gated_layer(cell, size, dtype, f=1000, i=-1000, g=1, z=1000)
    state, memory = integers(cell, size, dtype), MEMORY[cell]
    x = np.random.default_rng(1).standard_normal((300, 3, 3)).astype(dtype)
    _, final = layer(x, in_layer_form(cell, state, "{}"))
    np.testing.assert_array_equal(by_name(cell, final, "{}")[memory], state[memory])

    gradient = np.random.default_rng(2).standard_normal((1, 3, size)).astype(dtype)
    _, grad_state = layer.backward(**{f"grad_{memory}_n": gradient})
    np.testing.assert_array_equal(by_name(cell, grad_state, "{}")[memory], gradient)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", GATED_CELLS)
def test_a_gate_without_weights_halves_the_memory_and_its_gradient(
    cell: str, size: int, dtype: Any
) -> None:
    layer = gated_layer(cell, size, dtype)
    state, memory = integers(cell, size, dtype), MEMORY[cell]
    _, final = layer(np.zeros((STEPS, 3, 3), dtype), in_layer_form(cell, state, "{}"))
    np.testing.assert_array_equal(by_name(cell, final, "{}")[memory], state[memory] / 2**STEPS)

    gradient = integers(cell, size, dtype)[memory]
    _, grad_state = layer.backward(**{f"grad_{memory}_n": gradient})
    np.testing.assert_array_equal(by_name(cell, grad_state, "{}")[memory], gradient / 2**STEPS)
