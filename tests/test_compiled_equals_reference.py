"""Compiled layers agree with the NumPy reference at every size, dtype and option."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.implementations import (
    KINDS,
    Case,
    Sizes,
    by_name,
    compiled_backward,
    compiled_layer,
    compiled_pass,
    gradient_sizes,
    make_case,
    reference_gradients,
    reference_pass,
    reference_states,
)
from oracles.sweeps import DTYPES, SIZES, floats_and_ids, split_small_problems
from tolerances import LONGEST_SUM, assert_within, rounding

import fastrnn

SMALL = {"seq_len": 3, "batch": 2, "input_size": 5, "hidden_size": 7}


def check(case: Case, num_threads: int | None = None) -> None:
    """Hold one pass against the reference.

    The gradients are those of the reference for the states that the compiled pass itself found:
    where the two round an input of relu to different sides of zero, both gradients are right.
    """
    results = compiled_pass(case, num_threads=num_threads)
    states = reference_states(case)
    bound = rounding(case.dtype)
    assert_within(results["output"], states["h"][1:], bound)
    np.testing.assert_array_equal(results["h_n"][0], results["output"][-1])
    for name, values in states.items():
        assert_within(results[f"{name}_n"], values[-1:], bound)
        assert results[f"{name}_n"].dtype == case.dtype

    states["h"] = np.concatenate([case.plain_state["h_0"][np.newaxis], results["output"]])
    gradients, sizes = reference_gradients(case, states), gradient_sizes(case, states)
    assert {name for name in results if name.startswith("grad/")} == gradients.keys()
    for name, value in gradients.items():
        assert_within(results[name], value, bound, scale=max(1.0, sizes[name]))
        assert results[name].dtype == case.dtype


def test_the_instruction_set_under_test_is_the_one_that_was_asked_for() -> None:
    asked = os.environ.get("FASTRNN_ISA")
    assert fastrnn.cpu.active() in fastrnn.cpu.available()
    assert asked is None or fastrnn.cpu.active() == asked


@floats_and_ids
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dimension", SMALL)
def test_forward_and_bptt_at_every_size(dimension: str, size: int, dtype: Any, ids: bool) -> None:
    sizes = tuple((SMALL | {dimension: size}).values())
    for kind in KINDS:
        check(make_case(size, sizes, kind, dtype, ids=ids))


@floats_and_ids
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_weights_larger_than_the_caches_near_a_core(kind: str, dtype: Any, ids: bool) -> None:
    check(make_case(4, (2, 17, 5, 301), kind, dtype, ids=ids))


@split_small_problems
@settings(max_examples=75)
@given(
    sizes=st.tuples(*[st.sampled_from(SIZES)] * 4).filter(lambda s: s[0] * s[1] <= LONGEST_SUM),
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    ids=st.booleans(),
    with_state=st.booleans(),
    num_threads=st.sampled_from([None, 1, 2, 3]),
    seed=st.integers(0, 2**16),
)
def test_forward_and_bptt_at_any_combination(
    sizes: Sizes,
    kind: str,
    dtype: Any,
    ids: bool,
    with_state: bool,
    num_threads: int | None,
    seed: int,
) -> None:
    case = make_case(seed, sizes, kind, dtype, ids=ids, with_state=with_state)
    check(case, num_threads)


GRADIENTS = ("grad_output", "grad_h_n", "grad_c_n")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given_gradient", GRADIENTS)
def test_gradients_that_are_not_given_stand_for_zero(given_gradient: str, kind: str) -> None:
    case = make_case(1, (4, 3, 5, 7), kind)
    missing = {name: None for name in GRADIENTS if name in case.arrays}
    if given_gradient in missing:
        del missing[given_gradient]
        check(replace(case, **missing))
    for name in missing:
        check(replace(case, **{name: None}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
def test_token_ids_of_every_integer_type_mean_the_same(dtype: Any, kind: str) -> None:
    case = make_case(2, (4, 3, 31, 5), kind, ids=True)
    expected, results = compiled_pass(case), compiled_pass(replace(case, x=case.x.astype(dtype)))
    for name, value in expected.items():
        np.testing.assert_array_equal(results[name], value)


@floats_and_ids
@pytest.mark.parametrize("kind", KINDS)
def test_an_unbatched_sequence_is_a_batch_of_one(kind: str, ids: bool) -> None:
    case = make_case(3, (4, 1, 5, 7), kind, ids=ids)
    batched = compiled_pass(case)
    unbatched = compiled_pass(case.each(lambda array: array[:, 0]))
    assert unbatched.keys() == batched.keys()
    for name, value in batched.items():
        is_parameter = name.removeprefix("grad/") in case.weights
        np.testing.assert_array_equal(unbatched[name], value if is_parameter else value[:, 0])


@floats_and_ids
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_argument_is_written_into(kind: str, dtype: Any, ids: bool) -> None:
    case = make_case(5, (5, 17, 7, 33), kind, dtype, ids=ids)
    before = case.each(np.copy)
    weights = {name: value.copy() for name, value in case.weights.items()}
    compiled_pass(case)
    for name, value in before.arrays.items():
        np.testing.assert_array_equal(case.arrays[name], value)
    for name, value in weights.items():
        np.testing.assert_array_equal(case.weights[name], value)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_second_backward_pass_adds_to_the_gradients(kind: str, dtype: Any) -> None:
    first, second = (make_case(seed, (4, 3, 5, 7), kind, dtype) for seed in (8, 9))
    second = replace(second, weights=first.weights)
    layer = compiled_layer(first)
    for case in (first, second):
        layer(case.x, case.state)
        compiled_backward(layer, case)
    expected = [reference_pass(case) for case in (first, second)]
    for name, value in layer.grad.items():
        assert_within(value, sum(e[f"grad/{name}"] for e in expected), rounding(dtype))
    layer.zero_grad()
    assert all(not value.any() for value in layer.grad.values())


@pytest.mark.parametrize("kind", KINDS)
def test_backward_may_be_called_again_for_the_same_call(kind: str) -> None:
    case = make_case(10, (4, 3, 5, 7), kind)
    layer = compiled_layer(case)
    layer(case.x, case.state)
    first, second = compiled_backward(layer, case), compiled_backward(layer, case)
    for name in first.keys() - {f"grad/{name}" for name in case.weights}:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_mode_gives_the_same_bits(kind: str) -> None:
    case = make_case(11, (4, 3, 5, 17), kind, np.float32)
    layer = compiled_layer(case)
    results = []
    for mode in (True, False):
        output, state = layer.train(mode)(case.x, case.state)
        results.append({"output": np.array(output)} | by_name(case.cell, state, "{}_n"))
    for name, value in results[0].items():
        np.testing.assert_array_equal(results[1][name], value)
