"""Character models of several layers, with embeddings and with cells that do more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.sweeps import split_small_problems
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import CharRNN

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20

OPTIONS: dict[str, dict[str, Any]] = {
    "layers": {"cell": "gru", "num_layers": 3},
    "embedding": {"cell": "lstm", "embedding_size": 5},
    "tied": {"cell": "rnn", "tied": True, "num_layers": 2},
    "recurrent_dropout": {"cell": "lstm", "recurrent_dropout": 0.25},
    "layer_norm": {"cell": "gru", "layer_norm": True, "embedding_size": 7},
    "jordan": {"cell": "jordan", "nonlinearity": "sigmoid", "embedding_size": 4},
    "bytes": {"cell": "gru", "symbols": "bytes", "tied": True},
    "all": {
        "cell": "lstm",
        "num_layers": 2,
        "tied": True,
        "recurrent_dropout": 0.1,
        "layer_norm": True,
        "dtype": np.float64,
    },
}


def trained(name: str, **options: Any) -> CharRNN:
    model = CharRNN(hidden_size=12, seed=1, **OPTIONS[name])
    return model.fit(VERSE, **({"steps": 25, "seq_len": 16, "lr": 1e-2} | options))


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_part_of_the_model_and_its_file(name: str, tmp_path: Path) -> None:
    model = trained(name)
    model.save(tmp_path / "model.safetensors")
    loaded = fastrnn.load(tmp_path / "model.safetensors")
    for option, value in OPTIONS[name].items():
        assert getattr(loaded, option) == value
    assert repr(loaded) == repr(model)
    for parameter, value in model.network.state_dict().items():
        np.testing.assert_array_equal(loaded.network.state_dict()[parameter], value)
    for seed in range(3):
        assert loaded.generate("the ", 30, seed=seed) == model.generate("the ", 30, seed=seed)
    assert loaded.evaluate(VERSE) == model.evaluate(VERSE)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_kind_of_model_learns(name: str) -> None:
    model = trained(name, steps=150)
    assert model.evaluate(VERSE)["loss"] < 0.6 * model.history[0]["loss"]


@split_small_problems
@pytest.mark.parametrize("name", OPTIONS)
def test_the_number_of_threads_changes_no_bit(name: str) -> None:
    one, several = trained(name, num_threads=1), trained(name, num_threads=3)
    for parameter, value in one.network.state_dict().items():
        np.testing.assert_array_equal(several.network.state_dict()[parameter], value)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_training_that_goes_on_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"

    def stop(step: fastrnn.TrainingStep) -> None:
        if step.step == 11:
            raise fastrnn.StopTraining

    given: dict[str, Any] = {"checkpoint": path, "resume": True}
    trained(name, **given, callbacks=[stop])
    gone_on, whole = trained(name, **given), trained(name)
    assert gone_on.history[-1]["step"] == 25
    for parameter, value in whole.network.state_dict().items():
        np.testing.assert_array_equal(gone_on.network.state_dict()[parameter], value)


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "bytes"])
def test_a_grown_vocabulary_keeps_what_was_learned(name: str) -> None:
    model = trained(name, clip_norm=1.0)
    before = model.log_probs(VERSE[:60])
    known = model.vocabulary
    model.fit(VERSE + "quiz!", steps=1, seq_len=16, lr=1e-12, grow_vocabulary=True)
    assert len(model.vocabulary) == len(known) + 5
    after = model.log_probs(VERSE[:60])
    # New characters take a share of the probability, the same of each known one at a step.
    np.testing.assert_array_less(after, before + 1e-6)


def test_tied_weights_are_one() -> None:
    model = trained("tied")
    assert not any(name.startswith("embedding") for name in model.network.state_dict())
    assert model.network.embedding == "tied"


def test_recurrent_dropout_is_of_training_alone() -> None:
    model = trained("recurrent_dropout")
    plain = CharRNN("lstm", 12, vocabulary=model.vocabulary)
    plain.network.load_state_dict(model.network.state_dict())
    assert_within(plain.log_probs(VERSE), model.log_probs(VERSE), rounding(np.float32))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_layers": 0}, ValueError, r"num_layers must be between 1 and .*, got 0"),
        ({"embedding_size": 0}, ValueError, "embedding_size must be between"),
        ({"tied": True, "embedding_size": 3}, ValueError, "embedding_size must be hidden_size=8"),
        ({"tied": 1}, TypeError, "tied must be True or False"),
        ({"recurrent_dropout": 1.0}, ValueError, "recurrent_dropout must be less than 1"),
        ({"layer_norm": "yes"}, TypeError, "layer_norm must be True or False"),
        ({"cell": "jordan", "num_layers": 2}, ValueError, "cell 'jordan' is one layer"),
        ({"cell": "jordan", "tied": True}, ValueError, "needs a read-out"),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(
    options: dict[str, Any], error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        CharRNN(hidden_size=8, **options)
