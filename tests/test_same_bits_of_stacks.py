"""Layers with options have the same bits for any threads, batch and pieces, as plain ones do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles.sweeps import DTYPES, split_small_problems

import fastrnn

INPUTS, HIDDEN, SEQ_LEN, BATCH = 21, 65, 7, 9
LENGTHS = [3, 0, 7, 5, 7, 4, 1, 2, 6]

LAYERS: dict[str, Any] = {
    "rnn": lambda **o: fastrnn.RNN(INPUTS, HIDDEN, 3, bidirectional=True, seed=0, **o),
    "lstm": lambda **o: fastrnn.LSTM(INPUTS, HIDDEN, 2, bidirectional=True, seed=0, **o),
    "gru": lambda **o: fastrnn.GRU(INPUTS, HIDDEN, 2, seed=0, **o),
    "no_bias": lambda **o: fastrnn.GRU(INPUTS, HIDDEN, 2, bias=False, seed=0, **o),
    "normalised_rnn": lambda **o: fastrnn.RNN(INPUTS, HIDDEN, 2, layer_norm=True, seed=0, **o),
    "normalised_gru": lambda **o: fastrnn.GRU(INPUTS, HIDDEN, 2, layer_norm=True, seed=0, **o),
    "normalised_lstm": lambda **o: fastrnn.LSTM(INPUTS, HIDDEN, 2, layer_norm=True, seed=0, **o),
    "projected": lambda **o: fastrnn.LSTM(INPUTS, HIDDEN, 2, proj_size=17, seed=0, **o),
    "jordan": lambda **o: fastrnn.Jordan(INPUTS, HIDDEN, 19, output="tanh", seed=0, **o),
}
DROPPED = {
    "dropped": lambda **o: fastrnn.GRU(
        INPUTS, HIDDEN, 2, dropout=0.3, recurrent_dropout=0.3, seed=0, **o
    )
}
every_layer = pytest.mark.parametrize("name", LAYERS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def sequences(dtype: Any) -> np.ndarray:
    shape = (SEQ_LEN, BATCH, INPUTS)
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@split_small_problems
@pytest.mark.parametrize("given", ["whole", "lengths", "reset_mask"])
@every_dtype
@pytest.mark.parametrize("name", LAYERS | DROPPED)
def test_the_number_of_threads_changes_nothing(name: str, dtype: Any, given: str) -> None:
    x, results = sequences(dtype), []
    mask = np.random.default_rng(1).random((SEQ_LEN, BATCH)) < 0.2
    options = {"whole": {}, "lengths": {"lengths": LENGTHS}, "reset_mask": {"reset_mask": mask}}
    for num_threads in (1, 2, 3, 5):
        layer = (LAYERS | DROPPED)[name](dtype=dtype)
        output, state = layer(x, num_threads=num_threads, **options[given])
        grad_x, grad_state = layer.backward(np.ones_like(output))
        parts = [state, grad_state] if isinstance(state, np.ndarray) else [*state, *grad_state]
        arrays = [output, grad_x, *parts, *layer.grad.values()]
        results.append([array.tobytes() for array in arrays])
    assert all(result == results[0] for result in results)


@every_dtype
@every_layer
def test_what_else_is_in_the_batch_changes_nothing(name: str, dtype: Any) -> None:
    layer, x = LAYERS[name](dtype=dtype).eval(), sequences(dtype)
    together, _ = layer(x, lengths=LENGTHS)
    for b, length in enumerate(LENGTHS):
        if length:
            alone, _ = layer(x[:length, [b]])
            np.testing.assert_array_equal(together[:length, b], alone[:, 0])


@every_dtype
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("rnn", "lstm")])
def test_a_stream_has_the_bits_of_whole_sequences(name: str, dtype: Any) -> None:
    layer, x = LAYERS[name](dtype=dtype).eval(), sequences(dtype)
    stream, (whole, _) = layer.stream(BATCH), layer(x)
    np.testing.assert_array_equal([stream.step(x_t) for x_t in x], whole)
