"""What a character model holds and expects along a text is what its compiled network gives."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from oracles.implementations import CELLS, Case, reference_states
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import CharRNN, scoring

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 30


def model(cell: str = "gru", **options: Any) -> CharRNN:
    return CharRNN(cell, hidden_size=11, vocabulary=VERSE, seed=2, **options)


def ids_of(text: str) -> np.ndarray:
    return np.array([model().vocabulary.index(character) for character in text])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
def test_states_are_those_of_the_reference(cell: str, dtype: Any) -> None:
    weights = model(cell, dtype=dtype).network.layer.state_dict()
    kind = "tanh" if cell == "rnn" else cell
    expected = reference_states(Case(kind=kind, weights=weights, x=ids_of(VERSE)[:, None]))
    states = model(cell, dtype=dtype).states(VERSE)
    assert states.dtype == dtype
    assert states.shape == (len(VERSE), 11)
    assert_within(states, expected["h"][1:, 0], rounding(dtype))


@pytest.mark.parametrize("options", [{}, {"embedding_size": 5}, {"tied": True}, {"num_layers": 2}])
def test_the_read_out_makes_the_predictions_of_the_states(options: dict[str, Any]) -> None:
    reader = model(**options)
    logits = reader.network(ids_of(VERSE))[0]
    readout = reader.network.readout
    assert_within(readout(reader.states(VERSE)), logits, rounding(np.float32))


def test_a_network_takes_for_its_states_what_its_layer_takes() -> None:
    layer = fastrnn.LSTM(3, 5, num_layers=2, bidirectional=True, seed=0)
    x = np.random.default_rng(0).normal(size=(6, 2, 3)).astype(np.float32)
    start = tuple(np.full((4, 2, 5), value, np.float32) for value in (0.5, -0.5))
    given: dict[str, Any] = {"lengths": [2, 6], "reset_mask": np.eye(6, 2, dtype=bool)}
    network = fastrnn.Network(layer, fastrnn.Linear(10, 3, seed=1))
    output, state = network.states(x, start, **given)
    expected, final = layer(x, start, **given)
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(state, final)


def test_states_of_a_jordan_network_are_the_outputs_that_it_feeds_back() -> None:
    reader = model("jordan")
    np.testing.assert_array_equal(reader.states(VERSE), reader.network(ids_of(VERSE))[0])


def test_nothing_is_dropped_from_states_whatever_training_drops() -> None:
    reader = model(recurrent_dropout=0.5)
    np.testing.assert_array_equal(reader.states("the cat"), reader.states("the cat"))
    reader.network.layer.eval()
    expected = reader.network.layer(ids_of("the cat"))[0]
    np.testing.assert_array_equal(reader.states("the cat"), expected)


@pytest.mark.parametrize("cell", [*CELLS, "jordan"])
def test_the_probability_of_what_came_next_is_that_of_log_probs(cell: str) -> None:
    probs = model(cell).next_probs(VERSE)
    assert probs.shape == (len(VERSE), len(set(VERSE)))
    assert_within(probs.sum(axis=1), np.ones(len(VERSE)), rounding(np.float32))
    came = probs[np.arange(len(VERSE) - 1), ids_of(VERSE)[1:]]
    assert_within(np.log(came), model(cell).log_probs(VERSE), rounding(np.float32))


@pytest.mark.parametrize("what", ["states", "next_probs"])
def test_the_size_of_a_chunk_changes_no_bit(monkeypatch, what: str) -> None:
    whole = getattr(model(), what)(VERSE)
    for size in (1, 7, len(VERSE) - 1, len(VERSE)):
        monkeypatch.setattr(scoring, "_CHUNK", size)
        np.testing.assert_array_equal(getattr(model(), what)(VERSE), whole)


def test_a_model_of_bytes_has_a_row_for_each_byte() -> None:
    of_bytes = CharRNN(hidden_size=3, symbols="bytes")
    assert of_bytes.states("né").shape == (3, 3)
    assert of_bytes.next_probs("né").shape == (3, 256)


def test_one_character_is_enough_and_none_is_not() -> None:
    assert model().states("t").shape == (1, 11)
    with pytest.raises(ValueError, match="text has 0 characters, at least 1 are expected"):
        model().states("")


@pytest.mark.parametrize("what", ["states", "next_probs"])
def test_bad_arguments_are_refused(what: str) -> None:
    read = getattr(model(), what)
    with pytest.raises(TypeError, match="text must be a str"):
        read(b"the")
    with pytest.raises(fastrnn.UnknownCharacterError, match="'x'"):
        read("text")
    np.testing.assert_array_equal(read("text", unknown="skip"), read("tet"))
    with pytest.raises(ValueError, match="num_threads must be between 1"):
        read("the", num_threads=0)
    with pytest.raises(RuntimeError, match=r"call fit\(text\) first"):
        getattr(CharRNN(), what)("the")


def test_states_that_are_no_numbers_are_an_error() -> None:
    broken = model("rnn", nonlinearity="relu")
    layer = broken.network.layer
    layer.weight_hh_l0 = np.full_like(layer.weight_hh_l0, 1e30)
    layer.bias_ih_l0 = np.full_like(layer.bias_ih_l0, 1e30)
    with pytest.raises(fastrnn.NonFiniteLossError, match="the states along text"):
        broken.states(VERSE)


def test_the_memory_beside_the_result_is_that_of_a_chunk() -> None:
    """All logits of this text would take 80 MB."""
    large = CharRNN(hidden_size=4, vocabulary="".join(map(chr, range(32, 1032))))
    text = large.vocabulary * 20
    large.states(text[:5000])
    tracemalloc.start()
    large.states(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
