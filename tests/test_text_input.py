"""Text is Unicode; what a model cannot read is refused with a sentence that says where."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn import CharRNN, UnknownCharacterError
from fastrnn.corpus.corpus import python_help
from fastrnn.corpus.vocabulary import Vocabulary

ANY_CHARACTER = st.characters(exclude_categories=())  # lone surrogates too


# Vocabulary


@given(st.text(ANY_CHARACTER, min_size=1))
def test_every_text_is_spelled_by_its_own_vocabulary(text: str) -> None:
    vocabulary = Vocabulary(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.characters == "".join(sorted(set(text)))


@given(st.text(ANY_CHARACTER, min_size=1), st.text(ANY_CHARACTER))
def test_the_first_unknown_character_is_named_with_its_position(known: str, text: str) -> None:
    unknown = [i for i, character in enumerate(text) if character not in known]
    if not unknown:
        assert Vocabulary(known).decode(Vocabulary(known).encode(text)) == text
        return
    with pytest.raises(UnknownCharacterError) as caught:
        Vocabulary(known).encode(text)
    character = text[unknown[0]]
    assert f"{character!r} (U+{ord(character):04X}) at position {unknown[0]}," in str(caught.value)


def test_ids_are_places_in_code_point_order() -> None:
    np.testing.assert_array_equal(Vocabulary("zebra 🦓").encode("🦓 abez"), [6, 0, 1, 2, 3, 5])


@pytest.fixture(scope="module")
def model() -> CharRNN:
    return CharRNN(hidden_size=8, vocabulary="naïve 日本語 🦓\n")


def test_any_script_is_text(model: CharRNN) -> None:
    text = model.generate("日本語 🦓", length=20)
    assert len(text) == 25
    assert model.evaluate(text)["loss"] > 0


@pytest.mark.parametrize("use", ["generate", "evaluate"])
def test_an_unknown_character_is_an_error_unless_a_replacement_is_chosen(model, use) -> None:
    call = getattr(model, use)
    with pytest.raises(UnknownCharacterError, match=r"'x' \(U\+0078\) at position 2.*unknown="):
        call("naxve")
    replaced, chosen = call("naxve", unknown="ï"), call("naïve")
    if use == "generate":  # the prompt stays as it was written
        assert (replaced[:5], replaced[5:]) == ("naxve", chosen[5:])
    else:
        assert replaced == chosen


@pytest.mark.parametrize(
    ("unknown", "error"),
    [("?", ValueError), ("", ValueError), ("na", ValueError), (5, TypeError)],
)
def test_a_replacement_is_one_character_of_the_vocabulary(model, unknown, error) -> None:
    with pytest.raises(error, match="unknown must be 'error', 'skip' or"):
        model.evaluate("naive", unknown=unknown)


# Short texts and other types


@pytest.mark.parametrize("text", ["", "n"])
def test_a_text_without_anything_to_predict_is_refused(model: CharRNN, text: str) -> None:
    noun = "character" if text else "characters"
    with pytest.raises(ValueError, match=f"text has {len(text)} {noun}, at least 2 are expected"):
        model.evaluate(text)
    with pytest.raises(ValueError, match="at least 2 are expected"):
        CharRNN().fit(text, seq_len=1)


def test_a_text_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"text has 64 characters, .* seq_len \+ 1 = 65"):
        CharRNN().fit("ab" * 32)


@pytest.mark.parametrize("text", [b"bytes", None, 5, ["a", "b"]])
def test_only_a_str_is_text(model: CharRNN, text: object) -> None:
    with pytest.raises(TypeError, match="text must be a str or a Corpus, got"):
        model.evaluate(text)
    with pytest.raises(TypeError, match="text must be a str or a Corpus, got"):
        CharRNN().fit(text)


# The text to learn from by default


def test_python_carries_a_text_to_learn_from() -> None:
    text = python_help()
    assert len(text) > 300_000
    assert 80 < len(set(text)) < 300


def test_a_python_without_its_help_says_what_to_do(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(ValueError, match="name a text file instead"):
        python_help()
