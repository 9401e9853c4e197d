"""Models of characters and of bytes: what they know, and what becomes of what they do not."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fastrnn
from fastrnn import CharRNN, Corpus, ModelFileError, UnknownCharacterError, checkpoint
from fastrnn.corpus.vocabulary import Bytes, Vocabulary

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def weights(model: CharRNN) -> np.ndarray:
    return np.concatenate([weight.ravel() for weight in model.network.state_dict().values()])


# Unknown characters: one policy, one meaning

# What a model of "abn\n" reads of "banXana" under each.
READ_AS = {"skip": "banana", "n": "bannana", "\n": "ban\nana"}

every_policy = pytest.mark.parametrize("policy", READ_AS)


def small(**options: object) -> CharRNN:
    return CharRNN(hidden_size=6, vocabulary="abn\n", **options)


@every_policy
@pytest.mark.parametrize("where", ["model", "call"])
def test_a_policy_means_the_same_wherever_text_goes_in(policy: str, where: str) -> None:
    text, read = "banXana", READ_AS[policy]
    model = small(unknown=policy) if where == "model" else small()
    option = {} if where == "model" else {"unknown": policy}
    for weights_kind in (None, "int8"):
        scores = model.evaluate(text, weights=weights_kind, **option)
        assert scores == small().evaluate(read, weights=weights_kind)
    written = model.generate(text, 20, **option)
    assert written == text + small().generate(read, 20)[len(read) :]  # the prompt stays as it was
    for one in (text * 9, Corpus.from_text(text * 9)):
        fitted = CharRNN(hidden_size=6, vocabulary="abn\n").fit(read * 9, steps=3, seq_len=20)
        other = small(unknown=policy) if where == "model" else small()
        other.fit(one, steps=3, seq_len=20, **option)
        np.testing.assert_array_equal(weights(other), weights(fitted))


@pytest.mark.parametrize("where", ["model", "call"])
def test_an_error_names_the_character_wherever_text_goes_in(where: str) -> None:
    model = small() if where == "model" else small(unknown="skip")
    option = {} if where == "model" else {"unknown": "error"}
    for call in (model.evaluate, model.generate, model.fit):
        with pytest.raises(UnknownCharacterError, match=r"'X' \(U\+0058\) at position 3.*unknown="):
            call("banXana", **option)


def test_a_replacement_belongs_to_the_vocabulary_even_if_no_text_holds_it() -> None:
    assert CharRNN(vocabulary="abc", unknown="\ufffd").vocabulary == "abc\ufffd"
    assert CharRNN(unknown="?").fit("abc" * 40, steps=1).vocabulary == "?abc"
    assert CharRNN().fit("abc" * 40, steps=1, unknown="?").vocabulary == "?abc"
    assert CharRNN(unknown="skip").fit("abc" * 40, steps=1).vocabulary == "abc"


def test_rare_characters_become_one_symbol_that_is_learned() -> None:
    corpus = Corpus.from_text("abab" * 60 + "äöü" + "abab" * 60 + "éèê" + "abab" * 60)
    model = CharRNN(hidden_size=8, vocabulary=corpus.characters(min_count=2), unknown="\ufffd").fit(
        corpus, epochs=1
    )
    assert model.vocabulary == "ab\ufffd"
    expected = CharRNN(hidden_size=8, vocabulary="ab\ufffd").fit(
        "".join(c if c in "ab" else "\ufffd" for c in corpus.text()), epochs=1
    )
    np.testing.assert_array_equal(weights(model), weights(expected))


def test_a_text_of_which_too_little_is_left_is_refused() -> None:
    model = small(unknown="skip")
    with pytest.raises(ValueError, match="text has 1 character, at least 2 are expected"):
        model.evaluate("XaX")
    with pytest.raises(ValueError, match="text has 4 characters, fewer than one window"):
        model.fit("aXbX" * 2, seq_len=4)


def test_a_prompt_of_which_nothing_is_left_is_an_empty_one() -> None:
    model = small(unknown="skip")
    assert model.generate("XYZ", 30) == "XYZ" + model.generate("", 30)


@pytest.mark.parametrize(
    ("value", "error"), [("none", ValueError), ("", ValueError), (5, TypeError), (None, TypeError)]
)
def test_a_policy_is_error_skip_or_one_character(value, error) -> None:
    with pytest.raises(error, match="unknown must be 'error', 'skip' or"):
        CharRNN(unknown=value)
    if value is not None:
        for call in (small().evaluate, small().generate, small().fit):
            with pytest.raises(error, match="unknown must be 'error', 'skip' or"):
                call("banana", unknown=value)


def test_a_replacement_in_a_call_is_one_the_model_knows() -> None:
    for call in (small().evaluate, small().generate, small().fit):
        with pytest.raises(ValueError, match=r"character of the model's vocabulary, got '\?'"):
            call("banana", unknown="?")


@every_policy
def test_the_policy_is_saved_with_the_model(tmp_path: Path, policy: str) -> None:
    model = small(unknown=policy)
    model.save(tmp_path / "model")
    loaded = fastrnn.load(tmp_path / "model")
    assert loaded.unknown == policy
    assert loaded.evaluate("banXana") == model.evaluate("banXana")


@pytest.mark.parametrize("symbols", ["chars", "bytes"])
@pytest.mark.parametrize("change", [{"unknown": "?"}, {"unknown": "xx"}, {"unknown": 5}])
def test_a_file_with_an_impossible_policy_is_refused(tmp_path: Path, symbols, change) -> None:
    vocabulary = "abc" if symbols == "chars" else None
    CharRNN(hidden_size=4, symbols=symbols, vocabulary=vocabulary).save(tmp_path / "model")
    with checkpoint.opened(tmp_path / "model") as file:
        description, tensors = file.description, file.tensors()
    description["config"].update(change)
    checkpoint.write(tmp_path / "model", description, tensors)
    if symbols == "bytes" and change == {"unknown": "?"}:
        assert fastrnn.load(tmp_path / "model").unknown == "?"
        return
    with pytest.raises(ModelFileError, match="unknown must be"):
        fastrnn.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("symbols", "vocabulary", "message"),
    [
        ("chars", None, "vocabulary must be a str, got None"),
        ("bytes", "abc", "its vocabulary is not"),
        ("words", "abc", "its symbols must be one of 'chars', 'bytes', got 'words'"),
        (None, "abc", "its symbols must be one of"),
    ],
)
def test_a_file_with_symbols_that_do_not_fit_is_refused(
    tmp_path: Path, symbols, vocabulary, message
) -> None:
    CharRNN(hidden_size=4, vocabulary="abc").save(tmp_path / "model")
    with checkpoint.opened(tmp_path / "model") as file:
        description, tensors = file.description, file.tensors()
    description["config"]["symbols"] = symbols
    description["vocabulary"] = vocabulary
    checkpoint.write(tmp_path / "model", description, tensors)
    with pytest.raises(ModelFileError, match=message):
        fastrnn.load(tmp_path / "model")


# Bytes


@given(ANY_TEXT)
def test_bytes_are_those_of_utf_8(text: str) -> None:
    ids = Bytes().encode(text)
    assert bytes(ids.tolist()) == text.encode()
    assert Bytes().decode(ids) == text


@given(st.binary(), st.lists(st.integers(0, 40)))
@example(b"\xed\xa0", [1])
def test_what_is_decoded_piece_by_piece_is_what_is_decoded_at_once(content, cuts) -> None:
    """Bytes that are no character are U+FFFD, but an incomplete character at the end is nothing.

    Nor are the first two of three bytes that would be a surrogate: Python waits for the third.
    """
    ids = np.frombuffer(content, np.uint8).astype(np.int64)
    decoder, edges = Bytes().decoder(), sorted(min(cut, len(ids)) for cut in cuts)
    parts = [decoder.decode(part) for part in np.split(ids, edges)]
    whole = content.decode(errors="replace")
    assert "".join(parts) == Bytes().decode(ids)
    waiting = 2 if re.search(rb"\xed[\xa0-\xbf]\Z", content) else int(is_incomplete(content))
    assert "".join(parts) == whole[: len(whole) - waiting]


def is_incomplete(content: bytes) -> bool:
    """Whether more bytes could make the end a character."""
    for length in (1, 2, 3):
        start = content[-length:] if len(content) >= length else b""
        for more in (b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\xbf", b"\xbf\x80", b"\xbf\x80\x80"):
            try:
                done = (start + more).decode()
            except UnicodeDecodeError:
                continue
            if start and len(done) == 1:
                return True
    return False


@given(ANY_TEXT.filter(bool), st.integers(0, 9))
def test_a_decoder_of_characters_gives_each_at_once(text: str, cut: int) -> None:
    vocabulary = Vocabulary(text)
    ids, decoder = vocabulary.encode(text), vocabulary.decoder()
    assert decoder.decode(ids[:cut]) == text[:cut]
    assert decoder.decode(ids[cut:]) == text[cut:]


@pytest.fixture(scope="module")
def of_bytes() -> CharRNN:
    model = CharRNN("gru", 32, symbols="bytes", seed=1)
    return model.fit("日本語 naïve\n" * 60, steps=300, batch_size=4, seq_len=32, lr=0.01)


def test_a_model_of_bytes_learns_any_script(of_bytes: CharRNN) -> None:
    assert of_bytes.network.readout.out_features == 256
    assert of_bytes.vocabulary == ""
    assert of_bytes.generate("日", 16, temperature=0) == "日本語 naïve\n"


def test_it_writes_so_many_bytes_and_no_part_of_a_character(of_bytes: CharRNN) -> None:
    whole = "日本語 naïve\n".encode()
    for length in range(1, 16):
        written = of_bytes.generate("日", length, temperature=0)
        assert written == whole[: 3 + length].decode(errors="ignore")


def test_what_is_no_character_is_shown_as_one(of_bytes: CharRNN) -> None:
    text = CharRNN(hidden_size=8, symbols="bytes").generate("x", 200)  # as good as random
    assert "\ufffd" in text
    assert text.encode()


def test_an_empty_prompt_of_bytes_starts_as_after_a_newline(of_bytes: CharRNN) -> None:
    assert "\n" + of_bytes.generate("", 40) == of_bytes.generate("\n", 40)


def test_nothing_but_a_lone_surrogate_is_unknown_to_it(of_bytes: CharRNN) -> None:
    assert of_bytes.evaluate("🦓 \0 ж")["loss"] > 0
    with pytest.raises(UnknownCharacterError, match=r"U\+D800\) at position 1, a lone surrogate"):
        of_bytes.evaluate("a\ud800b")
    with pytest.raises(UnknownCharacterError, match=r"prompt holds .* a lone surrogate"):
        of_bytes.generate("a\ud800b")
    assert of_bytes.evaluate("a\ud800b", unknown="skip") == of_bytes.evaluate("ab")
    assert of_bytes.evaluate("a\ud800b", unknown="日") == of_bytes.evaluate("a日b")


def test_its_scores_are_those_of_bytes(of_bytes: CharRNN) -> None:
    text = "日本語 naïve\n"
    ids = np.frombuffer(text.encode(), np.uint8).astype(np.int64)[:, np.newaxis]
    loss, _ = of_bytes.network.loss(ids[:-1], ids[1:])
    scores = of_bytes.evaluate(text)
    assert scores["loss"] == pytest.approx(loss, rel=1e-6)
    assert scores["bits_per_byte"] == pytest.approx(scores["loss"] / math.log(2))
    assert set(scores) == {"loss", "bits_per_byte", "perplexity"}
    assert "bits_per_char" in small().evaluate("ban")


def test_lengths_are_those_of_bytes() -> None:
    model = CharRNN(hidden_size=4, symbols="bytes")
    with pytest.raises(ValueError, match="text has 6 bytes, fewer than one window of seq_len"):
        model.fit("日本", seq_len=6)
    assert model.fit("日本", seq_len=5).history[-1]["chars"] == 5
    with pytest.raises(ValueError, match="text has 1 byte, at least 2 are expected"):
        model.evaluate("a")


def test_it_is_saved_and_loaded(of_bytes: CharRNN, tmp_path: Path) -> None:
    of_bytes.save(tmp_path / "model")
    loaded = fastrnn.load(tmp_path / "model")
    assert (loaded.symbols, loaded.vocabulary, repr(loaded)) == ("bytes", "", repr(of_bytes))
    assert "256 bytes" in repr(loaded)
    assert loaded.generate("日", 50) == of_bytes.generate("日", 50)
    np.testing.assert_array_equal(weights(loaded), weights(of_bytes))


def test_a_vocabulary_is_not_for_bytes() -> None:
    with pytest.raises(ValueError, match="vocabulary must not be given with symbols='bytes'"):
        CharRNN(symbols="bytes", vocabulary="abc")
    with pytest.raises(ValueError, match="symbols must be one of 'chars', 'bytes', got 'words'"):
        CharRNN(symbols="words")
