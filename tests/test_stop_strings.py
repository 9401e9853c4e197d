"""A text ends as soon as what was generated ends with a stop string."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.implementations import CELLS, LAYERS

import fastrnn
from fastrnn import CharRNN
from fastrnn.sampling import generate_ids

LENGTH = 120


@pytest.fixture(scope="module")
def model() -> CharRNN:
    """One whose next character hardly depends on the last: a, b and a newline in any order."""
    return CharRNN(hidden_size=8, vocabulary="ab\n", seed=3)


def cut(text: str, prompt: str, stops: list[str]) -> str:
    """What is left of a text that was generated without stop strings, by looking at each end."""
    for end in range(len(prompt) + 1, len(text) + 1):
        if any(text[len(prompt) : end].endswith(stop) for stop in stops):
            return text[:end]
    return text


@given(
    stops=st.lists(st.text("ab\n", min_size=1, max_size=7), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    num_samples=st.integers(1, 6),
    prompt=st.sampled_from(["", "a", "abab"]),
)
def test_each_sample_ends_at_the_first_of_the_stop_strings(
    model: CharRNN, stops: list[str], seed: int, num_samples: int, prompt: str
) -> None:
    options: dict[str, Any] = {"seed": seed, "num_samples": num_samples, "temperature": 1.5}
    whole, ended = (
        model.generate(prompt, LENGTH, **options, **stop) for stop in ({}, {"stop": stops})
    )
    if isinstance(whole, str) and isinstance(ended, str):
        whole, ended = [whole], [ended]
    assert list(ended) == [cut(text, prompt, stops) for text in whole]


def test_the_stop_string_is_kept_and_the_prompt_is_not_looked_at(model: CharRNN) -> None:
    text = model.generate("ba\nb", LENGTH, stop="\n", seed=2)
    assert text.endswith("\n")
    assert text.count("\n") == 2
    # Nor do prompt and generated text together make one.
    assert model.generate("a", LENGTH, seed=2, stop="ab") == cut(
        str(model.generate("a", LENGTH, seed=2)), "a", ["ab"]
    )


def test_one_string_is_a_list_of_one(model: CharRNN) -> None:
    for stop in (["aa"], ("aa",)):
        assert model.generate("b", LENGTH, stop=stop) == model.generate("b", LENGTH, stop="aa")


def test_no_stop_strings_are_none(model: CharRNN) -> None:
    assert model.generate("b", LENGTH, stop=[]) == model.generate("b", LENGTH)


@pytest.mark.parametrize("weights", [None, "int8"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_sample_goes_on_as_if_the_others_had_not_ended(cell: str, weights: str | None) -> None:
    """The rows of those that go on move together, states and all."""
    net = fastrnn.Network(LAYERS[cell](5, 21, seed=0), fastrnn.Linear(21, 5, seed=1))
    net.layer.weight_hh_l0 = 4 * net.layer.weight_hh_l0
    net.readout.weight = 6 * net.readout.weight
    stop, options = [[0, 0], [3, 1]], {"repetition_penalty": 1.3, "repetition_window": 4}
    many = generate_ids(net, [2, 1], 60, num_samples=20, stop=stop, weights=weights, **options)
    whole = generate_ids(net, [2, 1], 60, num_samples=20, weights=weights, **options)
    lengths = (many >= 0).sum(axis=1)
    assert len(set(lengths.tolist())) > 5
    for row, length, expected in zip(many, lengths, whole, strict=True):
        np.testing.assert_array_equal(row[:length], expected[:length])
        assert (row[length:] == -1).all()


def test_when_all_samples_have_ended_nothing_more_is_computed() -> None:
    net = fastrnn.Network(fastrnn.RNN(2, 8, seed=0), fastrnn.Linear(8, 2, seed=1))
    tokens = generate_ids(net, [0], 1_000_000, num_samples=3, stop=[[1]])
    assert tokens.shape[1] < 100
    assert [row[row >= 0][-1] for row in tokens] == [1, 1, 1]
    assert (tokens == 1).sum() == 3


def test_greedy_text_ends_too() -> None:
    model = CharRNN(hidden_size=32).fit("one two three " * 50, steps=200, lr=0.01)
    assert model.generate("one", 100, temperature=0, stop="hre") == "one two thre"


@pytest.mark.parametrize(
    ("stop", "error", "message"),
    [
        ("", ValueError, "stop has 0 characters, at least 1 are expected"),
        (["a", ""], ValueError, "each string of stop has 0 characters"),
        (5, TypeError, "stop must be a str or a list of them, got 5"),
        ({"a"}, TypeError, "stop must be a str or a list of them, got {'a'}"),
        (["a", 5], TypeError, "each string of stop must be a str, got 5"),
        (b"a", TypeError, "stop must be a str or a list of them"),
        ("a.", fastrnn.UnknownCharacterError, r"stop holds the character '\.'.*leave it out"),
    ],
)
@pytest.mark.parametrize("method", ["generate", "stream", "beam_search"])
def test_what_cannot_end_a_text_is_refused(
    model: CharRNN, method: str, stop: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(model, method)("a", 10, stop=stop)
