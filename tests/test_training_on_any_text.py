"""Corpora, bytes and policies go with checkpoints, held-out text and growth as strings do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrnn
from fastrnn import CharRNN, Corpus, StopTraining
from fastrnn.corpus import codes
from fastrnn.training import resume

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20
SCRIPT = "日本語 naïve café\n" * 60
OPTIONS = {"epochs": 3, "batch_size": 3, "seq_len": 30, "dropout": 0.2, "lr": 0.01}
HELD_OUT = {"evaluate_every": 3, "patience": 50}


def stopping_after(step: int):
    def stop(done: fastrnn.TrainingStep) -> None:
        if done.step == step:
            raise StopTraining

    return stop


def saved(model: CharRNN, path: Path) -> bytes:
    model.save(path)
    return path.read_bytes()


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """VERSE in two files, all of it on the disk and read in small pieces."""
    monkeypatch.setattr("fastrnn.corpus.corpus.IN_MEMORY", 0)
    monkeypatch.setattr(codes, "PIECE", 100)
    (tmp_path / "a.txt").write_text(VERSE[:333])
    (tmp_path / "b.txt").write_text(VERSE[333:])
    with Corpus.from_files(tmp_path / "*.txt") as both:
        yield both


# A corpus


@pytest.mark.parametrize("validation", [None, 0.2, "the cat sat on the log"])
def test_a_corpus_gives_the_bits_of_its_string(corpus, tmp_path, validation) -> None:
    options = {**OPTIONS, **(HELD_OUT if validation else {})}
    whole = CharRNN("gru", 8).fit(VERSE, **options, validation=validation)
    if isinstance(validation, str):
        validation = Corpus.from_text(validation)
    model = CharRNN("gru", 8).fit(corpus, **options, validation=validation)
    assert model.history == whole.history
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


@pytest.mark.parametrize("first", [VERSE, "corpus"])
@pytest.mark.parametrize("second", [VERSE, "corpus"])
def test_what_began_with_one_goes_on_with_the_other(corpus, tmp_path, first, second) -> None:
    options = {**OPTIONS, **HELD_OUT, "validation": 0.2}
    whole = CharRNN("lstm", 8).fit(VERSE, **options)
    options.update(checkpoint=tmp_path / "run", resume=True)
    texts = [corpus if text == "corpus" else text for text in (first, second)]
    CharRNN("lstm", 8).fit(texts[0], **options, callbacks=[stopping_after(7)])
    model = CharRNN("lstm", 8).fit(texts[1], **options)
    assert model.history == whole.history
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_a_held_out_corpus_goes_on_as_its_string(corpus, tmp_path) -> None:
    options = {**OPTIONS, **HELD_OUT, "checkpoint": tmp_path / "run", "resume": True}
    whole = CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, **HELD_OUT, validation=VERSE)
    stop = [stopping_after(7)]
    CharRNN(hidden_size=8).fit(VERSE, **options, validation=corpus, callbacks=stop)
    model = CharRNN(hidden_size=8).fit(VERSE, **options, validation=VERSE)
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_another_corpus_is_refused(corpus, tmp_path) -> None:
    options = {**OPTIONS, "checkpoint": tmp_path / "run", "resume": True}
    CharRNN(hidden_size=8).fit(corpus, **options, callbacks=[stopping_after(2)])
    with pytest.raises(ValueError, match="this training has a text of 919 characters with SHA-256"):
        CharRNN(hidden_size=8).fit(corpus[1:], **options)


@given(st.text(st.characters(exclude_categories=()), max_size=300), st.integers(1, 40))
def test_the_hash_is_that_of_utf_8_however_the_text_is_kept(text: str, piece: int) -> None:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    expected = {"characters": len(text), "sha256": digest}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "PIECE", piece)
        assert resume.fingerprint(Corpus.from_text("é" + text + "z")[1:-1]) == expected


def test_no_part_of_a_training_reads_a_corpus_whole(corpus, tmp_path, monkeypatch) -> None:
    longest = [0]
    original = codes.Codes.__getitem__

    def watched(self, piece: slice):
        start, stop, _ = piece.indices(len(self))
        longest.append(stop - start)
        return original(self, piece)

    monkeypatch.setattr(codes.Codes, "__getitem__", watched)
    monkeypatch.setattr("fastrnn.corpus.streams._BLOCK", 100)
    monkeypatch.setattr(Corpus, "text", lambda _: pytest.fail("it was read whole"))
    # What is held out is one stream, of which no more than a chunk is read at a time.
    options = {**OPTIONS, "validation": 0.5, "checkpoint": tmp_path / "run", "resume": True}
    CharRNN(hidden_size=8).fit(corpus, **options, callbacks=[stopping_after(5)])
    model = CharRNN(hidden_size=8).fit(corpus, **options)
    model.fit(corpus, steps=2, grow_vocabulary=True)
    assert 30 < max(longest) <= 101


def test_an_unknown_character_is_told_with_its_text_and_place(corpus, tmp_path) -> None:
    model = CharRNN(hidden_size=4, vocabulary="ab")
    for text, validation, place in (
        (corpus, None, r"/a\.txt' holds the character 't' .* at position 0,"),
        (corpus[400:], None, r"/b\.txt' holds the character 't' .* at position 68,"),
        ("ab" * 99, corpus, r"/a\.txt' holds the character 't'"),
        ("ab" * 99, "abc", "validation holds the character 'c' .* at position 2,"),
        ("ab" * 99 + "abc", 0.1, "validation holds the character 'c' .* at position 19,"),
    ):
        with pytest.raises(fastrnn.UnknownCharacterError, match=place):
            model.fit(text, validation=validation)


def test_a_model_grows_by_the_characters_of_corpora(corpus) -> None:
    model = CharRNN(hidden_size=4).fit("ab" * 99, steps=1)
    model.fit(corpus, steps=1, grow_vocabulary=True, validation=Corpus.from_text("xyz"))
    assert set(model.vocabulary) == {*"abxyz", *VERSE}


# Bytes


def test_a_training_of_a_model_of_bytes_goes_on_to_the_same_bits(tmp_path) -> None:
    options = {**OPTIONS, **HELD_OUT, "validation": 0.2}
    whole = CharRNN(hidden_size=8, symbols="bytes").fit(SCRIPT, **options)
    options.update(checkpoint=tmp_path / "run", resume=True)
    stop = [stopping_after(9)]
    CharRNN(hidden_size=8, symbols="bytes").fit(SCRIPT, **options, callbacks=stop)
    assert fastrnn.load(tmp_path / "run").symbols == "bytes"
    model = CharRNN(hidden_size=8, symbols="bytes").fit(Corpus.from_text(SCRIPT), **options)
    assert model.history == whole.history
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_what_is_held_out_of_bytes_is_cut_at_a_character_and_measured_in_bytes() -> None:
    model = CharRNN(hidden_size=8, symbols="bytes", dtype="float64")
    model.fit(SCRIPT, steps=1, validation=0.1)
    held_out = SCRIPT[len(SCRIPT) - int(0.1 * len(SCRIPT)) :]
    loss = model.history[-1]["validation_loss"]
    assert loss == pytest.approx(model.evaluate(held_out)["loss"], rel=1e-12)


def test_lengths_of_bytes_are_counted_in_bytes() -> None:
    model = CharRNN(hidden_size=4, symbols="bytes")
    model.fit("日" * 30, steps=1, seq_len=64, validation="日")  # 90 bytes, 3 bytes
    with pytest.raises(ValueError, match=r"leaves 63 bytes to learn from, .* seq_len \+ 1 = 65"):
        model.fit("日" * 30, seq_len=64, validation=0.3)
    with pytest.raises(ValueError, match="validation has 1 byte, at least 2 are expected"):
        model.fit("日" * 30, seq_len=64, validation="a")


def test_a_checkpoint_of_bytes_is_not_one_of_characters(tmp_path) -> None:
    options = {**OPTIONS, "checkpoint": tmp_path / "run", "resume": True}
    stop = [stopping_after(2)]
    CharRNN(hidden_size=8, symbols="bytes").fit(VERSE, **options, callbacks=stop)
    with pytest.raises(ValueError, match="symbols='bytes', this training has symbols='chars'"):
        CharRNN(hidden_size=8).fit(VERSE, **options)


# What is unknown


def test_what_is_unknown_in_either_text_is_skipped_as_if_it_were_not_there(tmp_path) -> None:
    model = CharRNN(hidden_size=8, vocabulary=VERSE, unknown="skip")
    text, held_out = VERSE.replace("cat", "ca!t"), VERSE[:200].replace("sat", "?sat?")
    model.fit(text, **OPTIONS, **HELD_OUT, validation=held_out)
    whole = CharRNN(hidden_size=8, vocabulary=VERSE, unknown="skip")
    whole.fit(VERSE, **OPTIONS, **HELD_OUT, validation=VERSE[:200])
    assert model.history == whole.history
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


@pytest.mark.parametrize(
    ("unknown", "vocabulary"), [("error", "abz"), ("skip", "ab"), ("?", "?ab"), ("z", "abz")]
)
def test_a_policy_says_what_becomes_of_characters_that_only_the_held_out_text_has(
    unknown: str, vocabulary: str
) -> None:
    model = CharRNN(hidden_size=4, unknown=unknown)
    model.fit("ab" * 200, steps=1, validation="azba")
    assert model.vocabulary == vocabulary
    assert CharRNN(hidden_size=4).fit("ab" * 200 + "z" * 9, validation=0.1).vocabulary == "abz"


def test_what_is_left_of_a_held_out_text_has_to_be_enough() -> None:
    model = CharRNN(hidden_size=4, vocabulary="ab", unknown="skip")
    with pytest.raises(ValueError, match="validation has 1 character, at least 2 are expected"):
        model.fit("ab" * 200, validation="xyaz")
    with pytest.raises(ValueError, match=r"validation=0\.5 of 65 characters are 0, at least 2"):
        model.fit("a" * 65 + "z" * 65, validation=0.5)
    assert model.history == []


def test_the_policy_of_a_call_and_that_of_the_model_must_be_as_they_were(tmp_path) -> None:
    text, path = VERSE.replace("cat", "c!at"), tmp_path / "run"
    options = {**OPTIONS, "checkpoint": path, "resume": True}

    def model(**settings: str) -> CharRNN:
        return CharRNN(hidden_size=8, vocabulary=VERSE, **settings)

    whole = model().fit(text, **OPTIONS, unknown="skip")
    model().fit(text, **options, unknown="skip", callbacks=[stopping_after(5)])
    with pytest.raises(ValueError, match="unknown='skip', this training has unknown='error'"):
        model().fit(text, **options)
    with pytest.raises(ValueError, match="unknown='error', this training has unknown='skip'"):
        model(unknown="skip").fit(text, **options)
    resumed = model().fit(text, **options, unknown="skip")
    assert saved(resumed, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_a_model_s_own_character_is_known_though_its_first_training_has_another(tmp_path) -> None:
    model = CharRNN(hidden_size=4, unknown="?").fit("ab" * 99, steps=1, unknown="error")
    assert model.vocabulary == "?ab"
    model.save(tmp_path / "model")
    assert fastrnn.load(tmp_path / "model").unknown == "?"


@pytest.mark.parametrize("policy", ["skip", "?"])
def test_growing_and_a_policy_exclude_each_other(policy: str) -> None:
    refused = pytest.raises(ValueError, match=r"grow_vocabulary=True and unknown=.* exclude each")
    of_model = CharRNN(hidden_size=4, vocabulary="ab", unknown=policy)
    with refused:
        of_model.fit("abc" * 99, grow_vocabulary=True)
    with refused:
        CharRNN(hidden_size=4, vocabulary="ab?").fit("abc", grow_vocabulary=True, unknown=policy)
    assert "c" not in of_model.vocabulary
    of_model.fit("abc" * 99, steps=1, grow_vocabulary=True, unknown="error")
    assert "c" in of_model.vocabulary


def test_a_model_of_bytes_does_not_grow() -> None:
    model = CharRNN(hidden_size=4, symbols="bytes")
    with pytest.raises(ValueError, match="grow_vocabulary=True is not for a model with symbols="):
        model.fit(SCRIPT, grow_vocabulary=True)
