"""Streams and texts of layers with options go on as the layer does over whole sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles.sweeps import DTYPES
from tolerances import assert_within, rounding

import fastrnn
from fastrnn.sampling import beam_ids, generate_ids

INPUTS, HIDDEN = 5, 19

LAYERS: dict[str, Any] = {
    "rnn": lambda **o: fastrnn.RNN(INPUTS, HIDDEN, 3, seed=0, **o),
    "gru": lambda **o: fastrnn.GRU(INPUTS, HIDDEN, 2, seed=0, **o),
    "lstm": lambda **o: fastrnn.LSTM(INPUTS, HIDDEN, 2, seed=0, **o),
    "no_bias": lambda **o: fastrnn.GRU(INPUTS, HIDDEN, 2, bias=False, seed=0, **o),
    "projected": lambda **o: fastrnn.LSTM(INPUTS, HIDDEN, 2, proj_size=7, seed=0, **o),
    "normalised_rnn": lambda **o: fastrnn.RNN(INPUTS, HIDDEN, 2, layer_norm=True, seed=0, **o),
    "normalised_gru": lambda **o: fastrnn.GRU(INPUTS, HIDDEN, layer_norm=True, seed=0, **o),
    "normalised_lstm": lambda **o: fastrnn.LSTM(INPUTS, HIDDEN, 2, layer_norm=True, seed=0, **o),
    "jordan": lambda **o: fastrnn.Jordan(INPUTS, HIDDEN, 4, output="tanh", seed=0, **o),
    "dropped": lambda **o: fastrnn.GRU(
        INPUTS, HIDDEN, 2, dropout=0.5, recurrent_dropout=0.5, seed=0, **o
    ),
}
COMPOSED = ("projected", "normalised_rnn", "normalised_gru", "normalised_lstm", "jordan")


def steps_of(stream: Any, x: np.ndarray) -> np.ndarray:
    return np.array([stream.step(x_t) for x_t in x])


def parts(state: Any) -> tuple[np.ndarray, ...]:
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_a_stream_goes_the_way_of_the_layer(name: str, dtype: Any, ids: bool, batch: int) -> None:
    layer = LAYERS[name](dtype=dtype).eval()
    rng = np.random.default_rng(1)
    x = rng.integers(INPUTS, size=(6, batch))
    if not ids:
        x = rng.standard_normal((6, batch, INPUTS)).astype(dtype)
    expected, final = layer(x)
    stream = layer.stream(batch)
    assert_within(steps_of(stream, x), expected, rounding(dtype))
    for part, wanted in zip(parts(stream.state), parts(final), strict=True):
        assert_within(part, wanted, rounding(dtype))


@pytest.mark.parametrize("name", LAYERS)
def test_a_stream_starts_from_any_state(name: str) -> None:
    layer = LAYERS[name](dtype=np.float64).eval()
    x = np.random.default_rng(2).standard_normal((8, 2, INPUTS))
    expected, _ = layer(x)
    _, middle = layer(x[:5])
    stream = layer.stream(2)
    stream.step(x[0])
    stream.reset(middle)
    assert_within(steps_of(stream, x[5:]), expected[5:], rounding(np.float64))


@pytest.mark.parametrize("rows", [[1], [True, False, True], [2, 0], []], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_only_the_rows_that_are_reset_start_afresh(name: str, rows: list[Any]) -> None:
    layer = LAYERS[name](dtype=np.float64).eval()
    x = np.random.default_rng(3).standard_normal((7, 3, INPUTS))
    chosen = np.asarray(rows) if rows else np.zeros(3, bool)
    mask = np.zeros((7, 3), bool)
    mask[4, chosen] = True
    expected, _ = layer(x, reset_mask=mask)
    stream = layer.stream(3)
    got = steps_of(stream, x[:4])
    stream.reset(rows=chosen)
    got = np.concatenate([got, steps_of(stream, x[4:])])
    assert_within(got, expected, rounding(np.float64))


def test_some_rows_start_from_a_state_given() -> None:
    layer = fastrnn.LSTM(INPUTS, HIDDEN, 2, seed=0)
    stream = layer.stream(4)
    stream.step(np.ones((4, INPUTS), np.float32))
    before = parts(stream.state)
    given = tuple(np.full((2, 2, HIDDEN), value, np.float32) for value in (0.25, 0.5))
    stream.reset(given, rows=[3, 1])
    for was, now, new in zip(before, parts(stream.state), given, strict=True):
        np.testing.assert_array_equal(now[:, [0, 2]], was[:, [0, 2]])
        np.testing.assert_array_equal(now[:, [3, 1]], new)


@pytest.mark.parametrize("rows", [[], (), range(0), np.zeros(0, int), np.zeros(4, bool)])
def test_no_rows_are_none_to_reset(rows: Any) -> None:
    stream = fastrnn.LSTM(INPUTS, HIDDEN, 2, seed=0).stream(4)
    stream.step(np.ones((4, INPUTS), np.float32))
    before = parts(stream.state)
    stream.reset(rows=rows)
    for was, now in zip(before, parts(stream.state), strict=True):
        np.testing.assert_array_equal(now, was)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([0.5], TypeError, "rows must hold booleans or integers"),
        ([[0]], TypeError, "rows must have one dimension"),
        ([True], ValueError, r"rows has shape \(1,\), expected \(3,\)"),
        ([3], ValueError, "every row must be between 0 and 2, got 3"),
        ([-1], ValueError, "every row must be between 0 and 2, got -1"),
    ],
)
def test_rows_that_are_none_are_refused(rows: Any, error: type, message: str) -> None:
    stream = fastrnn.RNN(INPUTS, HIDDEN, seed=0).stream(3)
    with pytest.raises(error, match=message):
        stream.reset(rows=rows)


def test_a_bidirectional_layer_has_no_stream() -> None:
    with pytest.raises(ValueError, match="bidirectional layer reads sequences from their end"):
        fastrnn.GRU(3, 4, bidirectional=True).stream()


@pytest.mark.parametrize("name", COMPOSED)
def test_only_plain_cells_have_smaller_weights(name: str) -> None:
    with pytest.raises(ValueError, match="weights can be stored smaller only for"):
        LAYERS[name](dtype=np.float32).stream(weights="int8")


@pytest.mark.parametrize("name", LAYERS)
def test_later_changes_of_the_layer_do_not_reach_a_stream(name: str) -> None:
    layer = LAYERS[name](dtype=np.float64).eval()
    x = np.random.default_rng(4).standard_normal((4, 1, INPUTS))
    expected, _ = layer(x)
    stream = layer.stream()
    layer.load_state_dict({n: value + 1 for n, value in layer.state_dict().items()})
    assert_within(steps_of(stream, x), expected, rounding(np.float64))


def network(name: str) -> fastrnn.Network:
    layer = LAYERS[name](dtype=np.float64).eval()
    return fastrnn.Network(
        layer, fastrnn.Linear(layer.output_size, INPUTS, dtype=np.float64, seed=1)
    )


@pytest.mark.parametrize("prompt", [[0], [3, 1, 4, 1]], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_greedy_text_is_what_the_network_finds_most_likely(name: str, prompt: list[int]) -> None:
    net, text = network(name), list(prompt)
    for _ in range(12):
        y, _ = net(np.array(text))
        text.append(int(y[-1].argmax()))
    got = generate_ids(net, prompt, 12, temperature=0)
    assert got[0].tolist() == text[len(prompt) :]


@pytest.mark.parametrize("name", LAYERS)
def test_beams_have_the_probabilities_that_the_network_gives_them(name: str) -> None:
    net, prompt = network(name), [2, 0]
    tokens, log_probs = beam_ids(net, prompt, 5, 4)
    for row, log_prob in zip(tokens, log_probs, strict=True):
        text = np.array([*prompt, *row])
        loss, _ = net.loss(text[1:-1], text[2:], net_state(net, text[:1]), reduction="sum")
        assert abs(loss + log_prob) < 1e-9


def net_state(net: fastrnn.Network, ids: np.ndarray) -> Any:
    return net(ids)[1]
