"""Character models: loss with every gradient, a whole training step, generated text."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pytest_benchmark.fixture import BenchmarkFixture

from fastrnn import _reference as reference
from fastrnn.layers import RNN, Linear
from fastrnn.network import Network
from fastrnn.optim import Adam, clip_grad_norm
from fastrnn.sampling import generate_ids

VOCABULARY = 65
# (seq_len, batch, hidden_size)
SHAPES = [(25, 1, 100), (50, 32, 128), (100, 32, 256), (100, 64, 512)]
# float32 in another order of summation, over up to 6400 positions
TOLERANCE = 1e-4

shapes = pytest.mark.parametrize(
    ("seq_len", "batch", "hidden_size"), SHAPES, ids=[f"T{t}-B{b}-H{h}" for t, b, h in SHAPES]
)


def network(hidden_size: int) -> Network:
    """A seeded character model."""
    return Network(RNN(VOCABULARY, hidden_size, seed=0), Linear(hidden_size, VOCABULARY, seed=1))


def characters(seq_len: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Random ids and targets of shape (seq_len, batch)."""
    ids, targets = np.random.default_rng(2).integers(VOCABULARY, size=(2, seq_len, batch))
    return ids, targets


def reference_loss(net: Network, ids: np.ndarray, targets: np.ndarray) -> float:
    """Mean cross-entropy in nats by the reference."""
    layer, readout = net.modules
    h_0 = np.zeros((ids.shape[1], layer.hidden_size), np.float32)
    h = reference.rnn_forward(ids, h_0, *layer.state_dict().values(), "tanh")
    logits = reference.linear_forward(h[1:], **readout.state_dict())
    return reference.cross_entropy(logits, targets)[0]


@shapes
def test_loss_and_grad(
    benchmark: BenchmarkFixture, seq_len: int, batch: int, hidden_size: int
) -> None:
    net = network(hidden_size)
    ids, targets = characters(seq_len, batch)

    def loss_and_grad() -> float:
        net.zero_grad()
        net.invalidate()
        return net.loss_and_grad(ids, targets)[0]

    loss = benchmark(loss_and_grad)
    assert_allclose(loss, reference_loss(net, ids, targets), rtol=TOLERANCE)


@shapes
def test_train_step(
    benchmark: BenchmarkFixture, seq_len: int, batch: int, hidden_size: int
) -> None:
    net = network(hidden_size)
    ids, targets = characters(seq_len, batch)
    optimizer = Adam(net.modules, lr=1e-3)
    before = reference_loss(net, ids, targets)

    def step() -> None:
        net.zero_grad()
        net.loss_and_grad(ids, targets)
        clip_grad_norm(net.modules, 5.0)
        optimizer.step()

    benchmark(step)
    assert reference_loss(net, ids, targets) < before


@pytest.mark.parametrize("hidden_size", [64, 128, 256, 512])
def test_generate(benchmark: BenchmarkFixture, hidden_size: int) -> None:
    net = network(hidden_size)
    prompt, length = np.zeros(1, np.int64), 1000

    def generate(temperature: float) -> np.ndarray:
        return generate_ids(net, prompt, length, temperature=temperature)[0]

    ids = benchmark(generate, 1.0)
    assert ids.shape == (length,)
    assert set(ids.tolist()) <= set(range(VOCABULARY))

    greedy = generate(0.0)
    layer, readout = net.modules
    seen = np.concatenate((prompt, greedy[:-1]))[:, np.newaxis]
    h_0 = np.zeros((1, hidden_size), np.float32)
    h = reference.rnn_forward(seen, h_0, *layer.state_dict().values(), "tanh")
    logits = reference.linear_forward(h[1:, 0], **readout.state_dict())
    chosen = logits[np.arange(length), greedy]
    # Two logits may lie closer together than float32 can tell, so ask for the largest in value.
    assert_allclose(chosen, logits.max(axis=1), atol=TOLERANCE)
