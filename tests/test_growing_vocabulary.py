"""A model that learns new characters goes on as it was with those that it knows."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.implementations import CELLS

import fastrnn
from fastrnn import CharRNN
from fastrnn.training.fitting import grow

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20
NEW = "¡the zebra sat at the zoo! 日本\n" * 20
KNOWN = sorted(set(VERSE))


@pytest.fixture(params=CELLS)
def model(request) -> CharRNN:
    return CharRNN(request.param, hidden_size=13, seed=1).fit(VERSE, steps=20, lr=0.02)


def logits(model: CharRNN, text: str) -> np.ndarray:
    ids = np.array([[model.vocabulary.index(character)] for character in text])
    y, _ = model.network(ids)
    return y[:, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", [*CELLS, "jordan"])
@pytest.mark.parametrize("new", ["!", "zéxyw日", "".join(map(chr, range(200, 400)))])
def test_known_characters_keep_the_bits_of_their_logits(cell: str, dtype: str, new: str) -> None:
    model = CharRNN(cell, hidden_size=13, dtype=dtype).fit(VERSE, steps=20, lr=0.02)
    before = logits(model, VERSE[:100])
    grow(model, new)
    assert model.vocabulary == "".join(sorted({*KNOWN, *new}))
    places = [model.vocabulary.index(character) for character in KNOWN]
    np.testing.assert_array_equal(logits(model, VERSE[:100])[:, places], before)


def test_a_new_character_begins_as_the_mean_of_the_known_ones(model: CharRNN) -> None:
    before = model.network.state_dict()
    grow(model, "z")
    after, place = model.network.state_dict(), model.vocabulary.index("z")
    for name, axis in (("rnn.weight_ih_l0", 1), ("readout.weight", 0), ("readout.bias", 0)):
        np.testing.assert_allclose(
            np.take(after[name], place, axis), before[name].mean(axis=axis), rtol=1e-5, atol=1e-7
        )
    for name in ("rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0"):
        np.testing.assert_array_equal(after[name], before[name])


def test_the_output_of_a_new_character_is_not_fed_back_at_first() -> None:
    model = CharRNN("jordan", hidden_size=13).fit(VERSE, steps=20, lr=0.02)
    grow(model, "z")
    fed_back = model.network.state_dict()["rnn.weight_hh_l0"]
    assert not fed_back[:, model.vocabulary.index("z")].any()


def test_fit_learns_new_characters_where_it_is_told_to(model: CharRNN) -> None:
    known = model.evaluate(VERSE)["loss"]
    model.fit(NEW, steps=1, grow_vocabulary=True, lr=1e-30)
    assert set(model.vocabulary) == {*VERSE, *NEW}
    new = model.evaluate(NEW)["loss"]
    assert model.evaluate(VERSE)["loss"] < known + 1
    model.fit(NEW, steps=60, grow_vocabulary=True, lr=0.02)
    assert model.evaluate(NEW)["loss"] < 0.5 * new
    assert "z" in model.generate("the ", 300)


def test_growing_is_reproducible(tmp_path) -> None:
    for name in ("a", "b"):
        model = CharRNN(hidden_size=8).fit(VERSE, steps=5)
        model.fit(NEW, steps=5, grow_vocabulary=True).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_model_that_has_grown_is_saved_and_loaded(model: CharRNN, tmp_path) -> None:
    model.fit(NEW, steps=3, grow_vocabulary=True).save(tmp_path / "model")
    loaded = fastrnn.load(tmp_path / "model")
    assert loaded.vocabulary == model.vocabulary
    assert loaded.evaluate(NEW) == model.evaluate(NEW)


def test_a_text_without_new_characters_changes_nothing(model: CharRNN) -> None:
    network = model.network
    model.fit(VERSE, steps=1, grow_vocabulary=True)
    assert model.network is network


def test_characters_that_only_the_held_out_text_has_are_learned_too(model: CharRNN) -> None:
    model.fit(VERSE, steps=1, grow_vocabulary=True, validation="the zebra")
    assert {"z", "b", "r"} <= set(model.vocabulary)


def test_without_being_told_to_it_refuses_and_says_how(model: CharRNN) -> None:
    with pytest.raises(fastrnn.UnknownCharacterError, match=", pass grow_vocabulary=True to have"):
        model.fit(NEW)


@pytest.mark.parametrize("wrong", ["yes", 1, None])
def test_what_is_neither_true_nor_false_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="grow_vocabulary must be True or False, got"):
        CharRNN(hidden_size=4).fit(VERSE, steps=1, grow_vocabulary=wrong)


def test_a_fit_that_completes_no_step_leaves_the_model_as_it_was(model, monkeypatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    network, vocabulary = model.network, model.vocabulary
    monkeypatch.setattr(fastrnn.Network, "loss_and_grad", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(NEW, grow_vocabulary=True)
    assert model.network is network
    assert model.vocabulary == vocabulary
    with pytest.raises(ValueError, match="fewer than one window"):
        model.fit("zebra", grow_vocabulary=True)
    assert model.vocabulary == vocabulary


def test_a_fine_tuning_is_gone_on_with(model: CharRNN, tmp_path) -> None:
    def stop(step: fastrnn.TrainingStep) -> None:
        if step.step == 5:
            raise fastrnn.StopTraining

    model.save(tmp_path / "base")
    options = {"steps": 9, "grow_vocabulary": True, "checkpoint": tmp_path / "run", "resume": True}
    whole = fastrnn.load(tmp_path / "base").fit(NEW, steps=9, grow_vocabulary=True)
    fastrnn.load(tmp_path / "base").fit(NEW, **options, callbacks=[stop])
    resumed = fastrnn.load(tmp_path / "base").fit(NEW, **options)
    assert resumed.history == whole.history
    for name, weight in whole.network.state_dict().items():
        np.testing.assert_array_equal(resumed.network.state_dict()[name], weight)
