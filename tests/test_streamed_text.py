"""A stream gives, piece by piece, the text that generate gives at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from oracles.implementations import CELLS

from fastrnn import CharRNN, sampling

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20


@pytest.fixture(scope="module", params=CELLS)
def model(request: pytest.FixtureRequest) -> CharRNN:
    return CharRNN(request.param, hidden_size=24, vocabulary=VERSE, seed=1)


def joined(pieces: Iterable[Any]) -> Any:
    """The texts that the pieces make."""
    pieces = list(pieces)
    if isinstance(pieces[0], str):
        return "".join(pieces)
    return ["".join(parts) for parts in zip(*pieces, strict=True)]


@pytest.mark.parametrize("prompt", ["", "the cat"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0},
        {"length": 1},
        {"length": 64, "num_samples": 3},
        {"top_k": 4, "top_p": 0.9, "min_p": 0.1, "seed": 9},
        {"repetition_penalty": 1.5, "repetition_window": 40},
        {"repetition_penalty": 1.5},
        {"stop": ["th", "a"], "num_samples": 7},
        {"stop": "the cat sat", "num_samples": 2},
        {"weights": "int8"},
        {"weights": "bfloat16", "num_samples": 2},
    ],
)
def test_the_pieces_are_together_the_text_of_generate(
    model: CharRNN, prompt: str, options: dict[str, Any]
) -> None:
    assert joined(model.stream(prompt, **options)) == model.generate(prompt, **options)


def test_the_prompt_comes_first_and_then_a_few_characters_at_a_time(model: CharRNN) -> None:
    pieces = list(model.stream("the ", 1000))
    assert pieces[0] == "the "
    assert len(pieces) > 20
    assert max(len(piece) for piece in pieces) <= 64
    assert all(model.stream("", 100))


def test_a_large_model_gives_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_PIECE_WORK", 1.0)
    model = CharRNN(hidden_size=8, vocabulary="ab")
    assert [len(piece) for piece in model.stream("a", 10)] == [1] * 11


def test_a_stop_string_may_cross_pieces(model: CharRNN, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = model.generate("a", 2000, stop="tha", seed=5, temperature=1.5)
    for size in (1, 2, 3, 5):
        monkeypatch.setattr(sampling, "_PIECE", size)
        assert joined(model.stream("a", 2000, stop="tha", seed=5, temperature=1.5)) == expected
    assert len(expected) < 2000


def test_of_a_sample_that_has_ended_the_pieces_are_empty() -> None:
    model = CharRNN(hidden_size=8, vocabulary="ab")
    *_, last = model.stream("a", 10_000, stop="b" * 8, num_samples=5)
    assert len(last) == 5
    assert any(last)
    assert not all(last)


def test_nothing_is_computed_ahead_and_a_stream_takes_no_memory_for_its_length() -> None:
    model = CharRNN(hidden_size=8, vocabulary="ab")
    stream = model.stream("a", 2**31 - 1)
    assert next(stream) == "a"
    assert set(next(stream)) <= {"a", "b"}
    stream.close()
    assert list(stream) == []


def test_bad_arguments_are_refused_by_the_call_and_not_by_the_first_piece(model: CharRNN) -> None:
    with pytest.raises(ValueError, match="top_p must be at most 1"):
        model.stream("the", top_p=2)
    with pytest.raises(ValueError, match="length must be between 1"):
        model.stream("the", length=0)
    with pytest.raises(TypeError, match="seed must be an integer"):
        model.stream("the", seed=1.0)
    with pytest.raises(RuntimeError, match=r"call fit\(text\) first"):
        CharRNN().stream()


@pytest.mark.parametrize("weights", [None, "int8"])
def test_a_stream_has_the_weights_of_when_it_was_made(weights: str | None) -> None:
    model = CharRNN(hidden_size=16, vocabulary=VERSE)
    expected = model.generate("the", 300, seed=1, weights=weights)
    stream = model.stream("the", 300, seed=1, weights=weights)
    text = str(next(stream)) + str(next(stream))
    for module in model.network.modules:
        for name, value in module.parameters().items():
            setattr(module, name, np.zeros_like(value))
    assert text + joined(stream) == expected
    assert model.generate("the", 300, seed=1) != expected


def test_streams_of_one_model_do_not_disturb_each_other(model: CharRNN) -> None:
    streams = [model.stream("the", 200, seed=seed) for seed in (1, 2)]
    texts = [joined(parts) for parts in zip(*zip(*streams, strict=True), strict=True)]
    assert texts == [model.generate("the", 200, seed=seed) for seed in (1, 2)]
