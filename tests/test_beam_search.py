"""Beam search finds the most probable continuations, with their probabilities."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.implementations import CELLS, LAYERS
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import CharRNN, _reference, _team
from fastrnn.sampling import beam_ids, generate_ids


def network(cell: str, classes: int, seed: int, dtype: Any = np.float64) -> fastrnn.Network:
    """One whose predictions depend on much of what it read."""
    layer = LAYERS[cell](classes, 9, dtype=dtype, seed=seed)
    readout = fastrnn.Linear(9, classes, dtype=dtype, seed=seed + 1)
    layer.weight_hh_l0, layer.weight_ih_l0 = 3 * layer.weight_hh_l0, 3 * layer.weight_ih_l0
    readout.weight = 4 * readout.weight
    return fastrnn.Network(layer, readout)


def log_prob(net: fastrnn.Network, prompt: list[int], text: tuple[int, ...]) -> float:
    ids = np.array([*prompt, *text])
    logits, _ = net(ids[:-1])
    chosen = _reference.log_softmax(logits)[np.arange(len(ids) - 1), ids[1:]]
    return float(chosen[len(prompt) - 1 :].sum())


def ended(text: tuple[int, ...], stop: list[list[int]]) -> bool:
    return any(text[-len(end) :] == tuple(end) for end in stop)


def every_text(classes: int, length: int, stop: list[list[int]]) -> list[tuple[int, ...]]:
    """All texts of this length, and the shorter ones that a stop sequence ends."""
    whole, growing = [], [()]
    for _ in range(length):
        longer = [(*text, token) for text in growing for token in range(classes)]
        whole += [text for text in longer if ended(text, stop)]
        growing = [text for text in longer if not ended(text, stop)]
    return whole + growing


def found(tokens: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(row[row >= 0].tolist()) for row in tokens]


@given(
    cell=st.sampled_from(CELLS),
    seed=st.integers(0, 1000),
    classes=st.integers(1, 3),
    length=st.integers(1, 4),
    prompt=st.sampled_from([[0], [0, 0, 0]]),
    stop=st.sampled_from([[], [[0]], [[0, 0]], [[0, 0, 0], [0, 0]]]),
)
def test_a_beam_wide_enough_finds_what_an_exhaustive_search_finds(
    cell: str, seed: int, classes: int, length: int, prompt: list[int], stop: list[list[int]]
) -> None:
    net = network(cell, classes, seed)
    tokens, log_probs = beam_ids(net, prompt, length, classes**length, stop=stop)
    expected = {text: log_prob(net, prompt, text) for text in every_text(classes, length, stop)}
    assert set(found(tokens)) == set(expected)
    assert log_probs.tolist() == sorted(log_probs, reverse=True)
    wanted = [expected[text] for text in found(tokens)]
    assert_within(log_probs, np.array(wanted), rounding(np.float64))


@given(
    cell=st.sampled_from(CELLS),
    seed=st.integers(0, 1000),
    width=st.integers(1, 7),
    stop=st.sampled_from([[], [[1]], [[0, 2], [3, 3]]]),
)
def test_a_narrow_beam_keeps_the_best_of_each_step(
    cell: str, seed: int, width: int, stop: list[list[int]]
) -> None:
    """The definition, one text at a time."""
    net, prompt = network(cell, 4, seed), [2, 1]
    texts: list[tuple[int, ...]] = [()]
    for _ in range(6):
        candidates = []
        for text in texts:
            grown = [text] if ended(text, stop) else [(*text, token) for token in range(4)]
            candidates += grown
        texts = sorted(candidates, key=lambda text: -log_prob(net, prompt, text))[:width]
    tokens, log_probs = beam_ids(net, prompt, 6, width, stop=stop)
    assert found(tokens) == texts
    wanted = [log_prob(net, prompt, text) for text in texts]
    assert_within(log_probs, np.array(wanted), rounding(np.float64))


@pytest.mark.parametrize("weights", [None, "bfloat16", "int8"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_beam_of_one_is_greedy(cell: str, weights: str | None) -> None:
    for seed in range(5):
        net = network(cell, 7, seed, np.float32)
        greedy = generate_ids(net, [3, 1], 50, temperature=0, weights=weights)
        tokens, _ = beam_ids(net, [3, 1], 50, 1, weights=weights)
        np.testing.assert_array_equal(tokens, greedy)


def test_a_wider_beam_finds_a_text_that_greed_misses() -> None:
    net = network("gru", 5, 11)
    best = [float(beam_ids(net, [0], 8, width)[1][0]) for width in (1, 5**4)]
    assert best[1] > best[0] + 0.1


def test_of_equally_probable_texts_the_one_of_lower_ids_comes_first() -> None:
    net = network("rnn", 3, 0)
    net.readout.weight, net.readout.bias = np.zeros((3, 9)), np.zeros(3)
    tokens, log_probs = beam_ids(net, [0], 2, 9)
    assert found(tokens) == list(itertools.product(range(3), repeat=2))
    assert_within(log_probs, np.full(9, -2 * np.log(3)), rounding(np.float64))


# Models


@pytest.fixture(scope="module")
def model() -> CharRNN:
    text = "the cat sat on the mat. the dog sat on the log. " * 30
    return CharRNN("gru", hidden_size=32, seed=1).fit(text, steps=150, lr=0.01)


def test_texts_begin_with_the_prompt_and_carry_their_probability(model: CharRNN) -> None:
    results = model.beam_search("the ", 12, beam_width=4)
    assert len(results) == 4
    assert len({result.text for result in results}) == 4
    for text, probability in results:
        assert text.startswith("the ")
        assert len(text) == 16
        assert_within(
            np.array(probability), np.array(model.log_probs(text)[3:].sum()), rounding(np.float64)
        )


def test_texts_end_with_a_stop_string_or_at_the_length(model: CharRNN) -> None:
    results = model.beam_search("the ", 25, beam_width=6, stop=[".", "sat"])
    assert {text.endswith((".", "sat")) or len(text) == 29 for text, _ in results} == {True}
    assert all(text[4:-1].count(".") == 0 for text, _ in results)
    assert min(len(text) for text, _ in results) < 29


def test_a_search_ends_when_all_its_texts_have(model: CharRNN) -> None:
    """A million steps would take minutes."""
    results = model.beam_search("the ", 1_000_000, beam_width=2, stop=list(model.vocabulary))
    assert [len(text) for text, _ in results] == [5, 5]


def test_an_empty_prompt_starts_as_it_does_for_generate(model: CharRNN) -> None:
    (text, _), *_ = model.beam_search("", 30, beam_width=1)
    assert text == model.generate("", 30, temperature=0)


def test_there_are_no_more_texts_than_exist() -> None:
    model = CharRNN(hidden_size=4, vocabulary="ab")
    assert len(model.beam_search("a", 2, beam_width=100)) == 4
    assert [r.text for r in CharRNN(hidden_size=4, vocabulary="a").beam_search("", 3)] == ["aaa"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prompt": None}, TypeError, "prompt must be a str"),
        ({"prompt": "é"}, fastrnn.UnknownCharacterError, "prompt holds the character 'é'"),
        ({"length": 0}, ValueError, "length must be between 1"),
        ({"beam_width": 0}, ValueError, "beam_width must be between 1"),
        ({"beam_width": 2.0}, TypeError, "beam_width must be an integer"),
        ({"beam_width": 2**31 - 1}, MemoryError, "the beams would take"),
        ({"weights": "int4"}, ValueError, "weights must be one of"),
    ],
)
def test_bad_arguments_are_refused(model: CharRNN, options, error, message) -> None:
    with pytest.raises(error, match=message):
        model.beam_search(**options)


def test_outputs_that_are_no_numbers_are_an_error() -> None:
    model = CharRNN(hidden_size=4, vocabulary="ab")
    model.network.readout.weight = np.full_like(model.network.readout.weight, 3e38)
    model.network.layer.bias_ih_l0 = np.full_like(model.network.layer.bias_ih_l0, 9)
    with pytest.raises(fastrnn.NonFiniteLossError, match="float32"):
        model.beam_search("a", 3)


def test_threads_that_share_the_beams_find_the_same_from_the_first_step_on() -> None:
    net = fastrnn.Network(fastrnn.GRU(9, 512, seed=0), fastrnn.Linear(512, 9, seed=1))

    def found(threads: int) -> tuple[list[list[int]], list[float]]:
        fastrnn.set_num_threads(threads)
        try:
            tokens, log_probs = beam_ids(net, [0], 4, 64)
            return tokens.tolist(), log_probs.tolist()
        finally:
            fastrnn.set_num_threads(None)

    expected, helped = found(1), _team.helped()
    for _ in range(100):
        assert found(2) == expected
        if _team.helped() > helped:
            return
    pytest.fail("no other thread helped in 100 searches")
