"""The recurrent layer alone: forward, backward, one streamed step.

``python -m pytest benchmarks`` times them; each result is compared with the NumPy reference.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pytest_benchmark.fixture import BenchmarkFixture

from fastrnn import _reference as reference
from fastrnn.layers import RNN

INPUT_SIZE = 64
# (seq_len, batch, hidden_size): alone and in batches, from weights in L1 to weights beyond L2
SHAPES = [(1000, 1, 64), (1000, 1, 256), (100, 16, 128), (100, 64, 256), (100, 64, 512)]
# float32 in another order of summation, carried over up to a thousand steps
TOLERANCE = 1e-4

shapes = pytest.mark.parametrize(
    ("seq_len", "batch", "hidden_size"), SHAPES, ids=[f"T{t}-B{b}-H{h}" for t, b, h in SHAPES]
)


def layer_and_input(seq_len: int, batch: int, hidden_size: int) -> tuple[RNN, np.ndarray]:
    """A seeded layer and features of shape (seq_len, batch, INPUT_SIZE)."""
    x = np.random.default_rng(1).standard_normal((seq_len, batch, INPUT_SIZE)).astype(np.float32)
    return RNN(INPUT_SIZE, hidden_size, seed=0), x


def expected_states(layer: RNN, x: np.ndarray) -> np.ndarray:
    """h_0 = 0 and every later state by the reference."""
    h_0 = np.zeros((x.shape[1], layer.hidden_size), np.float32)
    return reference.rnn_forward(x, h_0, *layer.state_dict().values(), "tanh")


def assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    """Agreement relative to the largest element."""
    assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


@shapes
def test_forward(benchmark: BenchmarkFixture, seq_len: int, batch: int, hidden_size: int) -> None:
    layer, x = layer_and_input(seq_len, batch, hidden_size)
    layer.eval()
    output, _ = benchmark(layer, x)
    assert_close(output, expected_states(layer, x)[1:])


@shapes
def test_backward(benchmark: BenchmarkFixture, seq_len: int, batch: int, hidden_size: int) -> None:
    layer, x = layer_and_input(seq_len, batch, hidden_size)
    output, _ = layer(x)
    grad_output = np.random.default_rng(2).standard_normal(output.shape).astype(np.float32)

    def backward() -> np.ndarray | None:
        layer.zero_grad()
        return layer.backward(grad_output)[0]

    grad_x = benchmark(backward)
    parameters = layer.state_dict()
    weights = parameters["weight_ih_l0"], parameters["weight_hh_l0"]
    states = expected_states(layer, x)
    expected = reference.rnn_backward(x, states, *weights, "tanh", grad_output)
    assert grad_x is not None
    assert expected["x"] is not None
    assert_close(grad_x, expected["x"])
    assert_close(layer.grad["weight_ih_l0"], expected["weight_ih"])
    assert_close(layer.grad["weight_hh_l0"], expected["weight_hh"])
    assert_close(layer.grad["bias_hh_l0"], expected["bias_hh"])


@pytest.mark.parametrize("hidden_size", [16, 64, 256])
def test_stream_step(benchmark: BenchmarkFixture, hidden_size: int) -> None:
    layer, x = layer_and_input(5, 1, hidden_size)
    stream = layer.stream()
    benchmark(stream.step, x[0, 0])
    stream.reset()
    states = np.array([stream.step(x_t).copy() for x_t in x[:, 0]])
    assert_close(states, expected_states(layer, x)[1:, 0])
