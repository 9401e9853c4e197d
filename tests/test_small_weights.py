"""Weights stored as bfloat16 or int8: those of a layer whose weights were rounded so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.implementations import CELLS, KINDS, LAYERS, Case, by_name, compiled_layer, make_case
from oracles.sweeps import SIZES, floats_and_ids
from tolerances import assert_within, rounding

import fastrnn
from fastrnn.command import cli
from fastrnn.sampling import generate_ids

SMALL = ("bfloat16", "int8")
VOCABULARY = 11
TEXT = "the cat sat on the mat\nthe dog sat on the log\n"

smaller = pytest.mark.parametrize("weights", SMALL)
finite = st.floats(-(2.0**60), 2.0**60, width=32).map(lambda x: x if abs(x) > 2.0**-60 else 0.0)


def rounded(matrix: np.ndarray, weights: str) -> np.ndarray:
    """The matrix as it is stored, in float32."""
    if weights == "bfloat16":
        bits = matrix.astype(np.float32).view(np.uint32)
        halfway_and_to_even = 0x7FFF + (bits >> 16 & 1)
        return (bits + halfway_and_to_even & 0xFFFF0000).astype(np.uint32).view(np.float32)
    step = np.abs(matrix).max(axis=1, keepdims=True) / np.float32(127)
    return np.rint(matrix / np.where(step > 0, step, 1)).astype(np.float32) * step


def rounded_case(case: Case, weights: str) -> Case:
    """The case with the weights that a stream stores smaller as they are stored."""
    stored = ("weight_hh_l0",) if case.ids else ("weight_ih_l0", "weight_hh_l0")
    return replace(
        case, weights=case.weights | {name: rounded(case.weights[name], weights) for name in stored}
    )


def states(case: Case, batch: int, weights: str | None = None) -> list[dict[str, np.ndarray]]:
    """The state after each step of a stream."""
    stream = compiled_layer(case).stream(batch, weights)
    stream.reset(case.state)
    told = []
    for x_t in case.x:
        stream.step(x_t)
        told.append(by_name(case.cell, stream.state, "{}"))
    return told


def stored_weights(rows: Any, weights: str) -> np.ndarray:
    """What W_hh is to a stream: the answers of a linear cell to unit vectors."""
    matrix = np.array(rows, np.float32)
    hidden = len(matrix)
    layer = fastrnn.RNN(1, hidden, nonlinearity="linear", seed=0)
    zero = {name: np.zeros_like(value) for name, value in layer.state_dict().items()}
    layer.load_state_dict(zero | {"weight_hh_l0": matrix})
    stream = layer.stream(hidden, weights)
    stream.reset(np.eye(hidden, dtype=np.float32)[None])
    return stream.step(np.zeros((hidden, 1), np.float32)).T


def squares(elements: st.SearchStrategy[float]) -> st.SearchStrategy[list[list[float]]]:
    return st.integers(1, 7).flatmap(
        lambda n: st.lists(st.lists(elements, min_size=n, max_size=n), min_size=n, max_size=n)
    )


def network(cell: str, hidden_size: int = 19, seed: int = 0) -> fastrnn.Network:
    layer = LAYERS[cell](VOCABULARY, hidden_size, seed=seed)
    readout = fastrnn.Linear(hidden_size, VOCABULARY, seed=seed + 1)
    readout.weight = 4 * readout.weight
    return fastrnn.Network(layer, readout)


def round_network(net: fastrnn.Network, weights: str) -> fastrnn.Network:
    """Store in the network what generation with smaller weights takes for its own."""
    net.layer.weight_hh_l0 = rounded(net.layer.weight_hh_l0, weights)
    net.readout.weight = rounded(net.readout.weight, weights)
    return net


def model(cell: str = "gru", **options: Any) -> fastrnn.CharRNN:
    return fastrnn.CharRNN(cell, 33, vocabulary=TEXT, seed=1, **options)


# Streams


@floats_and_ids
@smaller
@pytest.mark.parametrize("hidden_size", [*SIZES, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_is_that_of_a_layer_with_the_rounded_weights(
    kind: str, hidden_size: int, weights: str, ids: bool
) -> None:
    for batch, input_size in zip([1, 2, 3, 5, 17], [33, 1, 3, 17, 5], strict=True):
        case = make_case(1, (3, batch, input_size, hidden_size), kind, np.float32, ids=ids)
        expected = states(rounded_case(case, weights), batch)
        for state, wanted in zip(states(case, batch, weights), expected, strict=True):
            for name, value in state.items():
                assert_within(value, wanted[name], rounding(np.float32))


@floats_and_ids
@pytest.mark.parametrize("kind", KINDS)
def test_with_bfloat16_it_has_the_bits_of_that_layer(kind: str, ids: bool) -> None:
    for batch in (1, 3, 17):
        case = make_case(2, (4, batch, 33, 65), kind, np.float32, ids=ids)
        expected = states(rounded_case(case, "bfloat16"), batch)
        for state, wanted in zip(states(case, batch, "bfloat16"), expected, strict=True):
            for name, value in state.items():
                np.testing.assert_array_equal(value, wanted[name])


@smaller
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0"])
def test_both_weights_of_a_stream_are_rounded(name: str, kind: str, weights: str) -> None:
    case = make_case(3, (2, 1, 5, 33), kind, np.float32)
    case.weights[name] = rounded(case.weights[name], weights)
    stored = states(rounded_case(case, weights), 1)[-1]["h"]
    as_given = states(case, 1)[-1]["h"]
    largest = np.abs(as_given).max()
    assert np.abs(as_given - stored).max() > 10 * rounding(np.float32) * largest
    assert_within(states(case, 1, weights)[-1]["h"], stored, rounding(np.float32))


@floats_and_ids
@smaller
@pytest.mark.parametrize("kind", KINDS)
def test_what_else_is_in_the_batch_changes_nothing(kind: str, weights: str, ids: bool) -> None:
    case = make_case(4, (3, 31, 7, 65), kind, np.float32, ids=ids)
    whole = states(case, 31, weights)
    for rows in ([0], [30], [3, 4], [7, 0, 25], list(range(9, 26))):
        part = states(case.each(lambda a, rows=rows: a[:, rows]), len(rows), weights)
        for state, wanted in zip(part, whole, strict=True):
            for name, value in state.items():
                np.testing.assert_array_equal(value, wanted[name][:, rows])


@given(squares(finite))
def test_bfloat16_is_off_by_half_a_step_at_most(rows: list[list[float]]) -> None:
    matrix = np.array(rows, np.float32)
    _, exponent = np.frexp(matrix.astype(np.float64))
    step = np.ldexp(1.0, exponent - 8)
    assert np.all(np.abs(stored_weights(rows, "bfloat16") - matrix.astype(np.float64)) <= step / 2)


@given(squares(finite))
def test_int8_is_off_by_half_a_step_of_its_row_at_most(rows: list[list[float]]) -> None:
    matrix = np.array(rows, np.float64)
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    off = np.abs(stored_weights(rows, "int8") - matrix)
    assert np.all(off <= largest / 127 / 2 + 4 * np.finfo(np.float32).eps * largest)


@given(squares(st.integers(-127, 127).map(float)))
def test_small_whole_numbers_are_stored_as_they_are(rows: list[list[float]]) -> None:
    for row in rows:
        row[0] = 127.0
    for weights in SMALL:
        np.testing.assert_array_equal(stored_weights(rows, weights), rows)


@smaller
def test_rows_of_zeros_stay_zeros(weights: str) -> None:
    matrix = np.random.default_rng(5).standard_normal((33, 33)).astype(np.float32)
    matrix[[0, 7, 32]] = 0
    stored = stored_weights(matrix, weights)
    np.testing.assert_array_equal(stored[[0, 7, 32]], matrix[[0, 7, 32]])
    assert_within(stored, rounded(matrix, weights), rounding(np.float32))


@smaller
@pytest.mark.parametrize("kind", ["relu", "linear"])
def test_huge_states_are_not_clamped(kind: str, weights: str) -> None:
    case = make_case(6, (1, 2, 3, 65), kind, np.float32)
    assert case.h_0 is not None
    case = replace(case, h_0=case.h_0 * np.float32(1e30))
    state, wanted = states(case, 2, weights)[0]["h"], states(rounded_case(case, weights), 2)[0]["h"]
    assert wanted.max() > 1e28
    assert_within(state, wanted, rounding(np.float32))


@smaller
@pytest.mark.parametrize("cell", CELLS)
def test_a_stream_has_the_weights_that_its_layer_has_now(cell: str, weights: str) -> None:
    layer, x_t = LAYERS[cell](3, 17, seed=0), np.ones(3, np.float32)
    earlier = layer.stream(weights=weights)
    before = layer.stream(weights=weights).step(x_t)
    layer.weight_ih_l0 = 2 * layer.weight_ih_l0
    np.testing.assert_array_equal(earlier.step(x_t), before)
    assert not np.array_equal(layer.stream(weights=weights).step(x_t), before)


@pytest.mark.parametrize("cell", CELLS)
def test_float32_is_what_a_layer_has(cell: str) -> None:
    layer, x_t = LAYERS[cell](3, 17, seed=0), np.ones(3, np.float32)
    expected = layer.stream().step(x_t)
    np.testing.assert_array_equal(layer.stream(weights="float32").step(x_t), expected)


# Generation


@pytest.mark.parametrize("prompt", [[3], [3, 1, 4, 1, 5]])
@smaller
@pytest.mark.parametrize("cell", CELLS)
def test_tokens_are_drawn_as_from_a_network_with_the_rounded_weights(
    cell: str, weights: str, prompt: list[int]
) -> None:
    for seed in range(5):
        options: dict[str, Any] = {"seed": seed, "num_samples": 20}
        drawn = generate_ids(network(cell, seed=seed), prompt, 60, weights=weights, **options)
        rounded_one = round_network(network(cell, seed=seed), weights)
        np.testing.assert_array_equal(drawn, generate_ids(rounded_one, prompt, 60, **options))


@smaller
@pytest.mark.parametrize("part", ["layer", "readout"])
def test_tokens_depend_on_the_smaller_weights_of(part: str, weights: str) -> None:
    net = network("gru")
    net.layer.weight_hh_l0 = 4 * net.layer.weight_hh_l0
    if part == "layer":
        net.readout.weight = rounded(net.readout.weight, weights)
    else:
        net.layer.weight_hh_l0 = rounded(net.layer.weight_hh_l0, weights)
    options: dict[str, Any] = {"seed": 3, "num_samples": 200}
    as_given = generate_ids(net, [2], 200, **options)
    assert not np.array_equal(generate_ids(net, [2], 200, weights=weights, **options), as_given)


@smaller
@pytest.mark.parametrize("cell", CELLS)
def test_a_sample_does_not_depend_on_its_neighbours(cell: str, weights: str) -> None:
    net = network(cell)
    many = generate_ids(net, [5, 2, 0], 40, seed=7, num_samples=5, weights=weights)
    np.testing.assert_array_equal(
        many[:1], generate_ids(net, [5, 2, 0], 40, seed=7, weights=weights)
    )
    assert len({tuple(row) for row in many.tolist()}) == 5


@smaller
@pytest.mark.parametrize("cell", CELLS)
def test_a_model_writes_the_same_text_again(cell: str, weights: str) -> None:
    texts = {model(cell).generate("the ", 100, weights=weights) for _ in range(3)}
    assert len(texts) == 1


@smaller
@pytest.mark.parametrize("cell", CELLS)
def test_evaluate_measures_the_model_with_the_rounded_weights(cell: str, weights: str) -> None:
    trained = model(cell)
    measured = trained.evaluate(TEXT * 30, weights=weights)["loss"]
    as_given = trained.evaluate(TEXT * 30)["loss"]
    assert trained.network is not None
    round_network(trained.network, weights)
    expected = trained.evaluate(TEXT * 30)["loss"]
    assert abs(measured - expected) < rounding(np.float32) * expected
    assert measured != as_given


@smaller
def test_the_command_line_takes_them(weights: str, tmp_path: Any, capsys: Any) -> None:
    path, text = tmp_path / "model", tmp_path / "text"
    text.write_text(TEXT)
    model().save(path)
    assert cli.main(["generate", str(path), "--length", "80", "--weights", weights]) == 0
    assert capsys.readouterr().out == model().generate(length=80, weights=weights) + "\n"
    assert cli.main(["evaluate", str(path), str(text), "--weights", weights]) == 0
    assert f"{model().evaluate(TEXT, weights=weights)['loss']:.4f} nats" in capsys.readouterr().out


# Refusals

USES: dict[str, Callable[[Any, Any], Any]] = {
    "stream": lambda dtype, weights: fastrnn.GRU(3, 5, dtype=dtype).stream(weights=weights),
    "generate_ids": lambda dtype, weights: generate_ids(
        fastrnn.Network(fastrnn.RNN(3, 5, dtype=dtype), fastrnn.Linear(5, 3, dtype=dtype)),
        [0], 5, weights=weights,
    ),
    "generate": lambda dtype, weights: model(dtype=dtype).generate(weights=weights),
    "evaluate": lambda dtype, weights: model(dtype=dtype).evaluate(TEXT, weights=weights),
}  # fmt: skip

every_use = pytest.mark.parametrize("use", USES)


@every_use
@pytest.mark.parametrize("weights", ["float32", *SMALL])
def test_those_of_float64_are_refused(use: str, weights: str) -> None:
    with pytest.raises(ValueError, match="weights must not be given for a layer of dtype float64"):
        USES[use](np.float64, weights)


@every_use
def test_an_unknown_name_is_refused(use: str) -> None:
    expected = "weights must be one of 'float32', 'bfloat16', 'int8', got 'int4'"
    with pytest.raises(ValueError, match=expected):
        USES[use](np.float32, "int4")


@every_use
def test_what_is_no_name_is_refused(use: str) -> None:
    with pytest.raises(TypeError, match="weights must be one of 'float32'"):
        USES[use](np.float32, np.int8)


@smaller
@pytest.mark.parametrize("batch", [1, 3])
def test_every_layer_of_a_stack_is_rounded(batch: int, weights: str) -> None:
    layers = [fastrnn.GRU(5, 33, 3, seed=0).eval() for _ in range(2)]
    for name, value in layers[1].parameters().items():
        if name.startswith("weight"):
            setattr(layers[1], name, rounded(value, weights))
    x = np.random.default_rng(0).standard_normal((6, batch, 5), dtype=np.float32)
    small, plain = layers[0].stream(batch, weights), layers[1].stream(batch)
    for x_t in x:
        assert_within(small.step(x_t), plain.step(x_t).copy(), rounding(np.float32))
    assert not np.array_equal(layers[0](x)[0][-1], plain.state[-1])
