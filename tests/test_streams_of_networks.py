"""A network's stream gives step by step what the network gives for the whole sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles.implementations import CELLS, LAYERS
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import Embedding, Linear, Network

FEATURES, HIDDEN, OUTPUTS, STEPS = 6, 33, 5, 7


def network(cell: str = "gru", dtype: Any = np.float32, **options: Any) -> Network:
    layer = LAYERS[cell](FEATURES, HIDDEN, num_layers=2, dtype=dtype, seed=0)
    return Network(layer, Linear(HIDDEN, OUTPUTS, dtype=dtype, seed=1), **options)


def inputs(batch: int, dtype: Any, *, ids: bool) -> np.ndarray:
    rng = np.random.default_rng(2)
    if ids:
        return rng.integers(0, FEATURES, (STEPS, batch))
    return rng.normal(size=(STEPS, batch, FEATURES)).astype(dtype)


@pytest.mark.parametrize("output", ["linear", "softmax"])
@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [1, 3, 17])
@pytest.mark.parametrize("cell", CELLS)
def test_its_outputs_have_the_bits_of_a_whole_sequence(
    cell: str, batch: int, dtype: Any, ids: bool, output: str
) -> None:
    net = network(cell, dtype, output=output)
    x = inputs(batch, dtype, ids=ids)
    expected, final = net(x)
    stream = net.stream(batch)
    assert (stream.input_size, stream.output_size) == (FEATURES, OUTPUTS)
    np.testing.assert_array_equal([stream.step(x_t) for x_t in x], expected)
    np.testing.assert_array_equal(stream.state, final)


@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
def test_it_writes_where_it_is_told_to_and_drops_the_batch_that_is_not_there(ids: bool) -> None:
    net = network(output="softmax")
    x, out = inputs(1, np.float32, ids=ids)[:, 0], np.empty(OUTPUTS, np.float32)
    expected, _ = net(x)
    stream = net.stream()
    for x_t, y_t in zip(x, expected, strict=True):
        assert stream.step(int(x_t) if ids else x_t, out=out) is out
        np.testing.assert_array_equal(out, y_t)


@pytest.mark.parametrize("embedding", ["own", "tied"])
def test_of_a_network_with_an_embedding_it_takes_token_ids(embedding: str) -> None:
    layer = fastrnn.LSTM(HIDDEN, HIDDEN, seed=0)
    table = Embedding(9, HIDDEN, seed=2) if embedding == "own" else "tied"
    net = Network(layer, Linear(HIDDEN, 9, seed=1), embedding=table)
    ids = np.array([8, 0, 3, 8])
    expected, _ = net(ids)
    stream = net.stream()
    np.testing.assert_array_equal([stream.step(int(token)) for token in ids], expected)
    with pytest.raises(TypeError, match="x must be token ids"):
        stream.step(np.zeros(HIDDEN, np.float32))
    with pytest.raises(ValueError, match="x must be between 0 and 8, got 9"):
        stream.step(9)


def test_without_a_readout_it_gives_the_layers_outputs() -> None:
    layer = fastrnn.Jordan(FEATURES, HIDDEN, OUTPUTS, seed=0)
    x = inputs(2, np.float32, ids=False)
    expected, _ = Network(layer)(x)
    stream = Network(layer).stream(2)
    np.testing.assert_array_equal([stream.step(x_t) for x_t in x], expected)


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_smaller_weights_are_the_readouts_too(weights: str) -> None:
    net = network("lstm")
    rounded = network("lstm")
    rounded.readout.weight = np.zeros_like(rounded.readout.weight)
    x = inputs(1, np.float32, ids=False)[:, 0]
    states = list(map(net.layer.stream(weights=weights).step, x))
    streams = net.stream(weights=weights), rounded.stream(weights=weights)
    for x_t, h_t in zip(x, states, strict=True):
        y_t, bias = (stream.step(x_t) for stream in streams)
        np.testing.assert_array_equal(bias, net.readout.bias)
        exact = net.readout.weight @ h_t + net.readout.bias
        assert not np.array_equal(y_t, exact)
        assert_within(y_t, exact, 0.02)


def test_it_keeps_the_weights_that_its_network_had() -> None:
    net, x_t = network(), np.ones(FEATURES, np.float32)
    stream, expected = net.stream(), net.stream().step(x_t)
    net.readout.bias = net.readout.bias + 1
    np.testing.assert_array_equal(stream.step(x_t), expected)
    assert_within(net.stream().step(x_t), expected + 1, rounding(np.float32))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"weights": "int4"}, ValueError, "weights"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        network().stream(**arguments)


def test_a_network_that_reads_from_both_ends_has_none() -> None:
    layer = fastrnn.RNN(FEATURES, HIDDEN, bidirectional=True)
    with pytest.raises(ValueError, match="bidirectional"):
        Network(layer, Linear(2 * HIDDEN, OUTPUTS)).stream()
