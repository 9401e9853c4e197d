"""The unrolled network is the network: its copies add up to what one call gives."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import unrolled

CELLS = [fastrnn.RNN, fastrnn.LSTM, fastrnn.GRU]
EXACT = rounding(np.float64)


def network(cell: Any, **options: Any) -> fastrnn.Network:
    layer = cell(5, 7, seed=0, dtype=np.float64, **options)
    return fastrnn.Network(layer, fastrnn.Linear(7, 5, seed=1, dtype=np.float64))


def gradients(net: fastrnn.Network) -> dict[str, np.ndarray]:
    parts = {"rnn": net.layer, "readout": net.readout}
    return {f"{p}.{n}": grad.copy() for p, part in parts.items() for n, grad in part.grad.items()}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_the_copies_add_up_to_one_call(cell: Any, layers: int, loss: str) -> None:
    net, rng = network(cell, num_layers=layers), np.random.default_rng(0)
    if loss == "mse":
        x, target = rng.standard_normal((6, 5)), rng.standard_normal((6, 5))
    else:
        x, target = rng.integers(0, 5, (2, 6))
    copies = unrolled.backpropagate(net, x, target, loss=loss)
    assert not any(grad.any() for grad in gradients(net).values()), "its own gradients stay"
    value, state = net.loss_and_grad(x, target, loss=loss, reduction="sum")
    assert sum(copy.loss for copy in copies) == pytest.approx(value, rel=EXACT)
    for name, grad in gradients(net).items():
        assert_within(sum(copy.grads[name] for copy in copies), grad, EXACT)
    parts = state if isinstance(state, tuple) else (state,)
    for part, last in zip(parts, copies[-1].state, strict=True):
        np.testing.assert_array_equal(part, last)


def test_each_copy_hands_on_to_the_next_and_back_to_the_one_before() -> None:
    copies = unrolled.backpropagate(network(fastrnn.LSTM), [0, 3, 1, 2], [3, 1, 2, 0])
    for one, after in pairwise(copies):
        np.testing.assert_array_equal(one.state, after.state_before)
        np.testing.assert_array_equal(one.grad_state, after.grad_state_before)
    assert not np.array(copies[-1].grad_state).any()
    assert [copy.input for copy in copies] == [0, 3, 1, 2]


@given(cell=st.sampled_from(CELLS), steps=st.integers(1, 6), seed=st.integers(0, 99))
def test_gradient_norms_are_those_of_backward_from_each_state(
    cell: Any, steps: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    layer = cell(3, 4, dtype=np.float64, seed=seed)
    x, grad = rng.standard_normal((steps, 3)), rng.standard_normal((1, 4))
    norms = unrolled.gradient_norms(layer, x, grad_h_n=grad)
    assert norms[0] == pytest.approx(np.linalg.norm(grad))
    for k in range(1, steps + 1):
        start = steps - k
        state = layer(x[:start])[1] if start else None
        layer(x[start:], state)
        _, before = layer.backward(None, grad)
        assert norms[k] == pytest.approx(np.linalg.norm(np.array(before)), rel=EXACT)


def test_a_given_state_is_where_it_begins() -> None:
    layer, h_0 = fastrnn.RNN(2, 3, seed=0), np.ones((1, 3), np.float32)
    net = fastrnn.Network(layer, fastrnn.Linear(3, 2, seed=1))
    copies = unrolled.backpropagate(net, [0, 1], [1, 0], h_0)
    np.testing.assert_array_equal(copies[0].state_before[0], h_0)
    np.testing.assert_array_equal(copies[-1].state[0], layer([0, 1], h_0)[1])


def test_lists_are_taken_as_the_layer_takes_them() -> None:
    net = fastrnn.Network(fastrnn.RNN(1, 3, seed=0), fastrnn.Linear(3, 1, seed=1))
    copies = unrolled.backpropagate(net, [[0.5], [-1.0]], [[1.0], [0.0]], loss="mse")
    x, target = np.array([[0.5], [-1]], np.float32), np.array([[1], [0]], np.float32)
    value, _ = net.loss(x, target, loss="mse", reduction="sum")
    assert sum(copy.loss for copy in copies) == pytest.approx(value)
    assert len(unrolled.gradient_norms(net.layer, [[0.5], [-1.0]])) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (fastrnn.RNN(2, 3, bidirectional=True), fastrnn.Linear(6, 2)), "one direction"),
        (lambda: (fastrnn.RNN(2, 3, recurrent_dropout=0.5), fastrnn.Linear(3, 2)), "drop nothing"),
        (lambda: (fastrnn.Jordan(2, 3, 2), None), "read-out"),
    ],
)
def test_what_cannot_be_unrolled_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unrolled.backpropagate(fastrnn.Network(*make()), [0, 1], [1, 0])


@pytest.mark.parametrize(
    "layer", [fastrnn.RNN(2, 3, bidirectional=True), fastrnn.RNN(2, 3, recurrent_dropout=0.5)]
)
def test_what_is_refused_is_called_by_the_arguments_name(layer: Any) -> None:
    net = fastrnn.Network(layer, fastrnn.Linear(layer.output_size, 2))
    with pytest.raises(ValueError, match=r"^network must .* got Network\("):
        unrolled.backpropagate(net, [0, 1], [1, 0])
    with pytest.raises(ValueError, match=r"^layer must .* got RNN\("):
        unrolled.gradient_norms(layer, [0, 1])


def test_bad_sequences_are_refused() -> None:
    net = network(fastrnn.RNN)
    with pytest.raises(ValueError, match="without a batch"):
        unrolled.backpropagate(net, [[0], [1]], [[1], [0]])
    with pytest.raises(ValueError, match="target"):
        unrolled.backpropagate(net, [0, 1], [1, 9])
    with pytest.raises(ValueError, match="without a batch"):
        unrolled.gradient_norms(net.layer, np.zeros((2, 1, 5)))
    with pytest.raises(TypeError, match="network must be"):
        unrolled.backpropagate(net.layer, [0, 1], [1, 0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="grad_h_n has shape"):
        unrolled.gradient_norms(net.layer, [0, 1], grad_h_n=np.ones(7))


def test_a_state_is_taken_as_the_layer_takes_it() -> None:
    layer, x = fastrnn.LSTM(2, 3, seed=0), np.array([0, 1])
    h, c = np.full((2, 1, 3), 0.5, np.float32)
    for state in [h, c], (h, c), (h.tolist(), c.tolist()):
        expected = unrolled.gradient_norms(layer, x, (h, c))
        np.testing.assert_array_equal(unrolled.gradient_norms(layer, x, state), expected)
    net = fastrnn.Network(layer, fastrnn.Linear(3, 2, seed=1))
    copies = unrolled.backpropagate(net, x, x, [h, c])
    np.testing.assert_array_equal(copies[0].state_before, [h, c])


@pytest.mark.parametrize(
    ("cell", "state", "error", "message"),
    [
        (fastrnn.RNN, np.array([["1", "2", "3"]]), TypeError, "state must hold numbers"),
        (fastrnn.RNN, np.ones((1, 3), complex), TypeError, "state has dtype complex128"),
        (fastrnn.RNN, np.ones((1, 3)), TypeError, "state has dtype float64, expected float32"),
        (fastrnn.RNN, [[1, 2, 3]], TypeError, "state has dtype int64"),
        (fastrnn.RNN, np.ones((1, 1, 3), np.float32), ValueError, r"state has shape \(1, 1, 3\)"),
        (fastrnn.RNN, (np.ones((1, 3), np.float32),), TypeError, "state must be one array"),
        (fastrnn.LSTM, np.ones((1, 3), np.float32), TypeError, r"state must be a tuple \(h_0, c_0"),
        (fastrnn.LSTM, (np.ones((1, 3)),) * 2, TypeError, "h_0 has dtype float64"),
        (
            fastrnn.LSTM,
            [np.ones((1, 3), np.float32), np.ones((1, 4), np.float32)],
            ValueError,
            r"c_0 has shape \(1, 4\), expected \(1, 3\)",
        ),
    ],
)
def test_a_state_that_the_layer_refuses_is_refused(
    cell: Any, state: Any, error: Any, message: str
) -> None:
    layer = cell(2, 3, seed=0)
    with pytest.raises((TypeError, ValueError)):
        layer([0, 1], state)
    with pytest.raises(error, match=message):
        unrolled.gradient_norms(layer, [0, 1], state)
    net = fastrnn.Network(layer, fastrnn.Linear(3, 2, seed=1))
    with pytest.raises(error, match=message):
        unrolled.backpropagate(net, [0, 1], [1, 0], state)
