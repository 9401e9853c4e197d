"""A result has the same bits whatever the layout, the threads, the company or the cutting."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from oracles.implementations import (
    KINDS,
    STATES,
    by_name,
    compiled_backward,
    compiled_layer,
    compiled_pass,
    make_case,
)
from oracles.sweeps import DTYPES, floats_and_ids, split_small_problems
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import _threads

LARGE = (5, 97, 33, 65)

# One sequence, of enough units for several blocks in every instruction set, the last not whole.
ONE = (40, 1, 33, 165)

_ask = _threads.threads_for

LAYOUTS = {
    "transposed": lambda a: np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1),
    "fortran": np.asfortranarray,
    "every_second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "read_only": lambda a: np.lib.stride_tricks.as_strided(a, writeable=False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@floats_and_ids
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_layout_of_the_arguments_changes_nothing(
    kind: str, dtype: Any, ids: bool, layout: str
) -> None:
    case = make_case(4, (5, 3, 7, 5), kind, dtype, ids=ids)
    expected, results = compiled_pass(case), compiled_pass(case.each(LAYOUTS[layout]))
    for name, value in expected.items():
        np.testing.assert_array_equal(results[name], value)


@split_small_problems
@floats_and_ids
@pytest.mark.parametrize("shape", [LARGE, ONE], ids=["batch", "one_sequence"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_threads_changes_nothing(
    kind: str, dtype: Any, shape: tuple[int, int, int, int], ids: bool
) -> None:
    case = make_case(6, shape, kind, dtype, ids=ids)
    expected = compiled_pass(case, num_threads=1)
    for num_threads in (2, 3, 5):
        used = []

        def threads_for(*arguments: Any, used: list[int] = used) -> int:
            used.append(_ask(*arguments))
            return used[-1]

        with patch.object(_threads, "threads_for", threads_for):
            results = compiled_pass(case, num_threads=num_threads)
        assert num_threads in used
        for name, value in expected.items():
            np.testing.assert_array_equal(results[name], value)


@floats_and_ids
@pytest.mark.parametrize(
    ("shape", "groups"),
    [
        (LARGE, ([0], [50], [96], [3, 4], [7, 0, 95], list(range(20, 37)))),
        ((4, 6, 33, ONE[3]), ([0], [5], [1, 2])),
    ],
    ids=["many_sequences", "many_units"],
)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_else_is_in_the_batch_changes_nothing(
    kind: str,
    dtype: Any,
    ids: bool,
    shape: tuple[int, int, int, int],
    groups: tuple[list[int], ...],
) -> None:
    case = make_case(7, shape, kind, dtype, ids=ids)
    whole = compiled_pass(case)
    for rows in groups:
        part = compiled_pass(case.each(lambda a, rows=rows: a[:, rows]))
        for name in whole.keys() - {f"grad/{name}" for name in case.weights}:
            np.testing.assert_array_equal(part[name], whole[name][:, rows])


@floats_and_ids
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_cutting_a_sequence_where_its_state_is_carried_over_changes_nothing(
    kind: str, dtype: Any, ids: bool
) -> None:
    case = make_case(10, (7, 3, 5, 17), kind, dtype, ids=ids)
    layer = compiled_layer(case)
    whole, last = layer(case.x, case.state)
    whole, last = np.array(whole), by_name(case.cell, last, "{}")
    for cuts in ([0, 3, 7], [0, 1, 2, 3, 4, 5, 6, 7]):
        outputs, state = [], case.state
        for start, stop in pairwise(cuts):
            output, state = layer(case.x[start:stop], state)
            outputs.append(np.array(output))
        np.testing.assert_array_equal(np.concatenate(outputs), whole)
        for name, value in by_name(case.cell, state, "{}").items():
            np.testing.assert_array_equal(value, last[name])


@pytest.mark.parametrize("kind", KINDS)
def test_bptt_through_two_pieces_is_bptt_through_the_whole(kind: str) -> None:
    """The gradient that leaves the second piece by its initial state enters the first."""
    case = make_case(18, (7, 3, 5, 17), kind)
    whole = compiled_pass(case)
    first, second = compiled_layer(case), compiled_layer(case)
    _, middle = first(case.x[:3], case.state)
    second(case.x[3:], middle)
    after = compiled_backward(second, replace(case, grad_output=case.grad_output[3:]))
    between = {f"grad_{name}_n": after[f"grad/{name}_0"] for name in STATES[case.cell]}
    before = compiled_backward(first, replace(case, grad_output=case.grad_output[:3], **between))
    pieces = {
        f"grad/{name}": before[f"grad/{name}"] + after[f"grad/{name}"] for name in case.weights
    }
    pieces["grad/x"] = np.concatenate([before["grad/x"], after["grad/x"]])
    pieces |= {f"grad/{name}_0": before[f"grad/{name}_0"] for name in STATES[case.cell]}
    for name, value in pieces.items():
        assert_within(value, whole[name], rounding(case.dtype))


@split_small_problems
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_threads_changes_nothing_in_a_network(
    kind: str, dtype: Any, loss: str
) -> None:
    case = make_case(16, LARGE, kind, dtype)
    rng = np.random.default_rng(17)
    values = rng.standard_normal((*LARGE[:2], 31)).astype(dtype)
    target = values if loss == "mse" else rng.integers(31, size=LARGE[:2])
    results = []
    for num_threads in (1, 2, 3):
        readout = fastrnn.Linear(LARGE[3], 31, dtype=dtype, seed=1)
        network = fastrnn.Network(compiled_layer(case), readout)
        value, state = network.loss_and_grad(case.x, target, loss=loss, num_threads=num_threads)
        gradients = [g for module in network.modules for g in module.grad.values()]
        results.append([np.array(value), *by_name(case.cell, state, "{}").values(), *gradients])
    for first, second, third in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)
