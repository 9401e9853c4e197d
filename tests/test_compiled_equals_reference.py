"""The compiled library agrees with the NumPy reference at every size, dtype and option."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.finite_differences import central_difference
from oracles.implementations import (
    Case,
    compiled_layer,
    compiled_rnn,
    gradient_sizes,
    make_case,
    reference_gradients,
    reference_rnn,
)
from tolerances import FINITE_DIFFERENCES, LONGEST_SUM, assert_within, rounding

import fastrnn
from fastrnn import _reference as reference
from fastrnn import _threads

# Below, at and above the vector widths (4, 8, 16) and the small multiples of them that a kernel
# may unroll to.
SIZES = (1, 2, 3, 5, 7, 15, 16, 17, 31, 33, 63, 65, 97)
NONLINEARITIES = ("tanh", "relu", "sigmoid", "linear")
DTYPES = (np.float32, np.float64)
SMALL = {"seq_len": 3, "batch": 2, "input_size": 5, "hidden_size": 7}

Sizes = tuple[int, int, int, int]

# Without it, problems as small as those of the tests stay on one thread.
split_small_problems = patch.object(_threads, "MINIMUM_SHARE", 1)


def check(case: Case, num_threads: int | None = None) -> None:
    """Hold one pass against the reference.

    The gradients are those of the reference for the states that the compiled pass itself found:
    where the two round an input of relu to different sides of zero, both gradients are right.
    """
    results = compiled_rnn(case, num_threads=num_threads)
    expected = reference_rnn(case)
    bound = rounding(case.dtype)
    assert_within(results["output"], expected["output"], bound)
    np.testing.assert_array_equal(results["h_n"][0], results["output"][-1])

    h = np.concatenate([case.state[np.newaxis], results["output"]])
    gradients, sizes = reference_gradients(case, h), gradient_sizes(case, h)
    assert {name for name in results if name.startswith("grad/")} == gradients.keys()
    for name, value in gradients.items():
        assert_within(results[name], value, bound, scale=max(1.0, sizes[name]))
        assert results[name].dtype == case.dtype


def test_the_instruction_set_under_test_is_the_one_that_was_asked_for() -> None:
    asked = os.environ.get("FASTRNN_ISA")
    assert fastrnn.cpu.active() in fastrnn.cpu.available()
    assert asked is None or fastrnn.cpu.active() == asked


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dimension", SMALL)
def test_forward_and_bptt_at_every_size(dimension: str, size: int, dtype: Any, ids: bool) -> None:
    sizes = tuple((SMALL | {dimension: size}).values())
    for nonlinearity in NONLINEARITIES:
        check(make_case(size, sizes, nonlinearity, dtype, ids=ids))


@split_small_problems
@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(*[st.sampled_from(SIZES)] * 4).filter(lambda s: s[0] * s[1] <= LONGEST_SUM),
    nonlinearity=st.sampled_from(NONLINEARITIES),
    dtype=st.sampled_from(DTYPES),
    ids=st.booleans(),
    with_h_0=st.booleans(),
    num_threads=st.sampled_from([None, 1, 2, 3]),
    seed=st.integers(0, 2**16),
)
def test_forward_and_bptt_at_any_combination(
    sizes: Sizes,
    nonlinearity: str,
    dtype: Any,
    ids: bool,
    with_h_0: bool,
    num_threads: int | None,
    seed: int,
) -> None:
    case = make_case(seed, sizes, nonlinearity, dtype, ids=ids, with_h_0=with_h_0)
    check(case, num_threads)


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("missing", ["grad_output", "grad_h_n"])
def test_a_missing_gradient_stands_for_zero(missing: str, nonlinearity: str) -> None:
    check(replace(make_case(1, (4, 3, 5, 7), nonlinearity), **{missing: None}))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
def test_token_ids_of_every_integer_type_mean_the_same(dtype: Any) -> None:
    case = make_case(2, (4, 3, 31, 5), ids=True)
    expected, results = compiled_rnn(case), compiled_rnn(replace(case, x=case.x.astype(dtype)))
    for name, value in expected.items():
        np.testing.assert_array_equal(results[name], value)


def one_sequence(case: Case) -> dict[str, np.ndarray]:
    """The results for a batch of one, passed without its batch axis, with the axis put back."""
    layer = compiled_layer(case)
    output, h_n = layer(case.x[:, 0], case.h_0[:, 0])
    assert output.ndim == h_n.ndim == 2
    output, h_n = np.array(output), np.array(h_n)
    grad_x, grad_h_0 = layer.backward(case.grad_output[:, 0], case.grad_h_n[:, 0])
    results = {"output": output, "h_n": h_n, "grad/h_0": grad_h_0}
    if grad_x is not None:
        results["grad/x"] = grad_x
    return {name: value[:, np.newaxis] for name, value in results.items()}


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
def test_an_unbatched_sequence_is_a_batch_of_one(ids: bool) -> None:
    case = make_case(3, (4, 1, 5, 7), ids=ids)
    batched = compiled_rnn(case)
    for name, value in one_sequence(case).items():
        np.testing.assert_array_equal(value, batched[name].reshape(value.shape))


LAYOUTS = {
    "transposed": lambda a: np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1),
    "fortran": np.asfortranarray,
    "every_second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "read_only": lambda a: np.lib.stride_tricks.as_strided(a, writeable=False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_layout_of_the_arguments_changes_no_bit(dtype: Any, ids: bool, layout: str) -> None:
    case = make_case(4, (5, 3, 7, 5), dtype=dtype, ids=ids)
    names = ("x", "h_0", "grad_output", "grad_h_n")
    moved = replace(case, **{name: LAYOUTS[layout](getattr(case, name)) for name in names})
    expected, results = compiled_rnn(case), compiled_rnn(moved)
    for name, value in expected.items():
        np.testing.assert_array_equal(results[name], value)


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_argument_is_written_into(dtype: Any, ids: bool) -> None:
    case = make_case(5, (5, 17, 7, 33), dtype=dtype, ids=ids)
    names = ("x", "h_0", "grad_output", "grad_h_n")
    before = {name: getattr(case, name).copy() for name in names}
    weights = {name: value.copy() for name, value in case.weights.items()}
    compiled_rnn(case)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(case, name), value)
    for name, value in weights.items():
        np.testing.assert_array_equal(case.weights[name], value)


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_integers_through_the_linear_cell_are_exact(size: int, dtype: Any, ids: bool) -> None:
    """Sums of small integers have one result in any order, so every bit must agree.

    The recurrent weights hold one -1, 0 or 1 a row, so that nothing grows with the steps and all
    sums stay below 2^24.
    """
    rng = np.random.default_rng(size)
    case = make_case(size, (5, 3, size, size), "linear", dtype, ids=ids)
    weights = {name: rng.integers(-3, 4, a.shape) for name, a in case.weights.items()}
    columns = rng.permutation(size)
    weights["weight_hh_l0"] = np.zeros((size, size), int)
    weights["weight_hh_l0"][np.arange(size), columns] = rng.integers(-1, 2, size)
    integers = {
        name: rng.integers(-3, 4, getattr(case, name).shape).astype(dtype)
        for name in ("h_0", "grad_output", "grad_h_n")
    }
    if not ids:
        integers["x"] = rng.integers(-3, 4, case.x.shape).astype(dtype)
    case = replace(case, weights={n: a.astype(dtype) for n, a in weights.items()}, **integers)
    results = compiled_rnn(case)
    for name, value in reference_rnn(case).items():
        np.testing.assert_array_equal(results[name], value)


LARGE = (5, 97, 33, 65)


@split_small_problems
@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid"])
def test_any_number_of_threads_gives_the_same_bits(
    nonlinearity: str, dtype: Any, ids: bool
) -> None:
    case = make_case(6, LARGE, nonlinearity, dtype, ids=ids)
    expected = compiled_rnn(case, num_threads=1)
    for num_threads in (2, 3):
        with patch.object(_threads, "run", wraps=_threads.run) as run:
            results = compiled_rnn(case, num_threads=num_threads)
        assert num_threads in {call.args[2] for call in run.call_args_list}
        for name, value in expected.items():
            np.testing.assert_array_equal(results[name], value)


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [[0], [50], [96], [3, 4], [7, 0, 95], list(range(20, 37))])
def test_a_sequence_gives_the_same_bits_whatever_else_is_in_the_batch(
    rows: list[int], dtype: Any, ids: bool
) -> None:
    case = make_case(7, LARGE, dtype=dtype, ids=ids)
    names = ("x", "h_0", "grad_output", "grad_h_n")
    some = replace(case, **{name: getattr(case, name)[:, rows] for name in names})
    whole, part = compiled_rnn(case), compiled_rnn(some)
    for name in {"output", "h_n", "grad/x", "grad/h_0"} & whole.keys():
        np.testing.assert_array_equal(part[name], whole[name][:, rows])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_second_backward_pass_adds_to_the_gradients(dtype: Any) -> None:
    first, second = (make_case(seed, (4, 3, 5, 7), dtype=dtype) for seed in (8, 9))
    second = replace(second, weights=first.weights)
    layer = compiled_layer(first)
    for case in (first, second):
        layer(case.x, case.h_0)
        layer.backward(case.grad_output, case.grad_h_n)
    expected = [reference_rnn(case) for case in (first, second)]
    for name, value in layer.grad.items():
        assert_within(value, sum(e[f"grad/{name}"] for e in expected), rounding(dtype))
    layer.zero_grad()
    assert all(not value.any() for value in layer.grad.values())


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_chunks_with_a_carried_state_give_the_outputs_of_the_whole(nonlinearity: str) -> None:
    case = make_case(10, (7, 3, 5, 17), nonlinearity, np.float32)
    layer = compiled_layer(case)
    whole, h_n = (np.array(a) for a in layer(case.x, case.h_0))
    first, state = (np.array(a) for a in layer(case.x[:3], case.h_0))
    second, last = (np.array(a) for a in layer(case.x[3:], state))
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(last, h_n)


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [1, 2, 3, 17])
@pytest.mark.parametrize("hidden_size", [1, 7, 16, 33, 65])
def test_a_stream_gives_the_reference_states_step_by_step(
    hidden_size: int, batch: int, dtype: Any, ids: bool
) -> None:
    for nonlinearity in NONLINEARITIES:
        case = make_case(11, (5, batch, 3, hidden_size), nonlinearity, dtype, ids=ids)
        expected = reference_rnn(case)["output"]
        stream = compiled_layer(case).stream(batch_size=batch)
        stream.reset(case.h_0)
        for x_t, h_t in zip(case.x, expected, strict=True):
            assert_within(stream.step(x_t), h_t, rounding(dtype))
        assert_within(stream.state, expected[-1:], rounding(dtype))


def test_a_stream_starts_from_zero_and_returns_to_it() -> None:
    case = make_case(12, (4, 1, 3, 5), with_h_0=False)
    expected = reference_rnn(case)["output"][:, 0]
    stream = compiled_layer(case).stream()
    for _ in range(2):
        states = [np.array(stream.step(x_t)) for x_t in case.x[:, 0]]
        assert_within(states, expected, rounding(np.float64))
        stream.reset()


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
    layer = compiled_layer(case)
    readout = fastrnn.Linear(layer.hidden_size, outputs, dtype=case.dtype, seed=1)
    return fastrnn.Network(layer, readout, **options)


@pytest.mark.parametrize("which", ["all", "last"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("outputs", SIZES)
def test_softmax_outputs_at_every_size(outputs: int, dtype: Any, which: str) -> None:
    case = make_case(13, (4, 3, 5, 7), dtype=dtype)
    network = make_network(case, outputs, output="softmax")
    y, h_n = network(case.x, case.h_0, outputs=which)
    h = reference_rnn(case)["output"]
    logits = reference.linear_forward(h, **network.modules[1].state_dict())
    expected = reference.softmax(logits)
    assert_within(y, expected if which == "all" else expected[-1], rounding(dtype))
    assert_within(h_n[0], h[-1], rounding(dtype))


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("which", ["all", "last"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_loss_of_a_network_and_all_its_gradients(
    dtype: Any, loss: str, reduction: str, which: str, ids: bool
) -> None:
    case = make_case(14, (5, 3, 4, 17), dtype=dtype, ids=ids)
    network = make_network(case, outputs=6)
    rng = np.random.default_rng(15)
    shape = (5, 3) if which == "all" else (3,)
    values = rng.standard_normal((*shape, 6)).astype(dtype)
    target = values if loss == "mse" else rng.integers(6, size=shape)
    options = {"loss": loss, "reduction": reduction, "outputs": which}

    h = np.concatenate([case.state[np.newaxis], reference_rnn(case)["output"]])
    read = h[1:] if which == "all" else h[-1]
    weights = network.modules[1].state_dict()
    y = reference.linear_forward(read, **weights)
    expected_loss, grad_y = getattr(reference, loss)(y, target, reduction)
    readout = reference.linear_backward(read, weights["weight"], grad_y)
    grad_output = np.zeros_like(h[1:])
    grad_output[...] = readout["x"] if which == "all" else 0
    if which == "last":
        grad_output[-1] = readout["x"]
    rnn = reference_gradients(replace(case, grad_output=grad_output, grad_h_n=None), h)

    only_loss, _ = network.loss(case.x, target, case.h_0, **options)
    value, h_n = network.loss_and_grad(case.x, target, case.h_0, **options)
    bound = rounding(dtype)
    terms = 1.0 if reduction == "sum" else 1.0 / target.size
    assert_within(only_loss, expected_loss, bound)
    assert_within(value, expected_loss, bound)
    assert_within(h_n[0], h[-1], bound)
    for name, gradient in network.modules[0].grad.items():
        assert_within(gradient, rnn[f"grad/{name}"], bound, scale=terms)
    for name, gradient in network.modules[1].grad.items():
        assert_within(gradient, readout[name], bound, scale=terms)


@split_small_problems
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_number_of_threads_trains_a_network_with_the_same_bits(dtype: Any, loss: str) -> None:
    case = make_case(16, LARGE, dtype=dtype)
    rng = np.random.default_rng(17)
    values = rng.standard_normal((*LARGE[:2], 31)).astype(dtype)
    target = values if loss == "mse" else rng.integers(31, size=LARGE[:2])
    losses, gradients = [], []
    for num_threads in (1, 2, 3):
        network = make_network(case, outputs=31)
        losses.append(network.loss_and_grad(case.x, target, loss=loss, num_threads=num_threads)[0])
        gradients.append([g for module in network.modules for g in module.grad.values()])
    assert losses[0] == losses[1] == losses[2]
    for first, second, third in zip(*gradients, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_compiled_bptt_is_the_derivative_of_the_compiled_forward_pass(
    nonlinearity: str, ids: bool
) -> None:
    case = make_case(5, (4, 3, 2, 5), nonlinearity, ids=ids)
    gradients = compiled_rnn(case)

    def loss_at(name: str, value: np.ndarray) -> float:
        if name in case.weights:
            moved = replace(case, weights=case.weights | {name: value})
        else:
            moved = replace(case, **{name: value})
        output, h_n = compiled_layer(moved)(moved.x, moved.h_0)
        return float((output * case.grad_output).sum() + (h_n * case.grad_h_n).sum())

    at = case.weights | {"h_0": case.h_0} | ({} if ids else {"x": case.x})
    for name, value in at.items():
        numeric = central_difference(lambda v, name=name: loss_at(name, v), value)
        assert_within(gradients[f"grad/{name}"], numeric, FINITE_DIFFERENCES)


def test_a_sequence_longer_than_one_chunk_of_projections_gives_the_bits_of_a_stream() -> None:
    layer = fastrnn.RNN(3, 97, seed=0)
    x = np.random.default_rng(0).normal(size=(1500, 3)).astype(np.float32)
    stream = layer.stream()
    output, _ = layer(x)
    assert output.nbytes > 2 * 2**18
    np.testing.assert_array_equal(output, [stream.step(x_t) for x_t in x])
