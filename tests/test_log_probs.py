"""The log-probability of each character of a text is what the model predicted for it."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from oracles.implementations import CELLS, Case, reference_states
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import CharRNN, scoring
from fastrnn._reference import log_softmax

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 30


def model(cell: str = "gru", **options: Any) -> CharRNN:
    return CharRNN(cell, hidden_size=11, vocabulary=VERSE, seed=2, **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
def test_they_are_the_log_softmax_of_the_reference(cell: str, dtype: Any) -> None:
    net = model(cell, dtype=dtype).network
    ids = np.array([model().vocabulary.index(c) for c in VERSE])
    kind = "tanh" if cell == "rnn" else cell
    case = Case(kind=kind, weights=net.layer.state_dict(), x=ids[:-1, None])
    logits = reference_states(case)["h"][1:, 0] @ net.readout.weight.T + net.readout.bias
    expected = log_softmax(logits)[np.arange(len(ids) - 1), ids[1:]]
    measured = model(cell, dtype=dtype).log_probs(VERSE)
    assert measured.dtype == np.float64
    assert_within(measured, expected, rounding(dtype))


@pytest.mark.parametrize("weights", [None, "float32", "bfloat16", "int8"])
@pytest.mark.parametrize("cell", CELLS)
def test_their_mean_is_minus_the_loss(cell: str, weights: str | None) -> None:
    loss = model(cell).evaluate(VERSE, weights=weights)["loss"]
    log_probs = model(cell).log_probs(VERSE, weights=weights)
    assert len(log_probs) == len(VERSE) - 1
    assert math.isclose(-log_probs.mean(), loss, rel_tol=1e-12)


@pytest.mark.parametrize("weights", [None, "int8"])
def test_the_size_of_a_chunk_changes_no_bit(monkeypatch, weights: str | None) -> None:
    whole = model().log_probs(VERSE, weights=weights)
    for size in (1, 7, len(VERSE) - 2, len(VERSE) - 1):
        monkeypatch.setattr(scoring, "_CHUNK", size)
        np.testing.assert_array_equal(model().log_probs(VERSE, weights=weights), whole)


def test_the_weights_as_they_are_give_the_same_bits_either_way() -> None:
    np.testing.assert_array_equal(
        model().log_probs(VERSE, weights="float32"), model().log_probs(VERSE)
    )


def test_smaller_weights_change_them_a_little() -> None:
    exact, rough = model().log_probs(VERSE), model().log_probs(VERSE, weights="int8")
    assert 0 < np.abs(exact - rough).max() < 0.1


def test_the_memory_is_that_of_a_chunk_and_of_the_result() -> None:
    """All logits of this text would take 80 MB."""
    large = CharRNN(hidden_size=4, vocabulary="".join(map(chr, range(32, 1032))))
    text = large.vocabulary * 20
    large.log_probs(text[:5000])
    tracemalloc.start()
    large.log_probs(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_many_characters_are_read_in_smaller_chunks(monkeypatch) -> None:
    monkeypatch.setattr(scoring, "_CHUNK_LOGITS", 100)
    network, ids = model().network, np.zeros(30, np.int64)
    sizes = [len(part) for part in scoring.log_probs(network, ids)]
    assert sizes == [7, 7, 7, 7, 1]  # of 14 characters each


def test_two_characters_are_one_number_and_one_character_is_none() -> None:
    assert model().log_probs("th").shape == (1,)
    with pytest.raises(ValueError, match="text has 1 character, at least 2 are expected"):
        model().log_probs("t")


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="text must be a str"):
        model().log_probs(b"the")
    with pytest.raises(fastrnn.UnknownCharacterError, match="'x'"):
        model().log_probs("text")
    np.testing.assert_array_equal(model().log_probs("text", unknown="h"), model().log_probs("teht"))
    with pytest.raises(ValueError, match="num_threads must be between 1"):
        model().log_probs("the", num_threads=0)
    with pytest.raises(RuntimeError, match=r"call fit\(text\) first"):
        CharRNN().log_probs("the")


@pytest.mark.parametrize("weights", [None, "float32"])
def test_outputs_that_are_no_numbers_are_an_error(weights: str | None) -> None:
    broken = model()
    broken.network.readout.weight = np.full_like(broken.network.readout.weight, 3e38)
    with pytest.raises(fastrnn.NonFiniteLossError, match="float32"):
        broken.log_probs(VERSE, weights=weights)
