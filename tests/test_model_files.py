"""A model file comes back as the same model, or is refused with a sentence; saving is atomic."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

import fastrnn
from fastrnn import CharRNN, ModelFileError, checkpoint

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 5


@pytest.fixture
def model() -> CharRNN:
    return CharRNN(hidden_size=6, seed=2, vocabulary=VERSE)


@pytest.fixture
def path(model: CharRNN, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    model.save(path)
    return path


# Round trips


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dtype": "float64"},
        {"nonlinearity": "relu", "seed": 7},
        {"vocabulary": 'quotes "\\ \x00 naïve 日本語 🦓 \ud800'},
    ],
)
def test_a_loaded_model_is_the_saved_one(tmp_path: Path, options) -> None:
    model = CharRNN(hidden_size=5, **{"vocabulary": VERSE, **options})
    model.fit(model.vocabulary * 20, steps=2)
    model.save(tmp_path / "model")
    loaded = fastrnn.load(tmp_path / "model")
    assert repr(loaded) == repr(model)
    assert (loaded.vocabulary, loaded.seed) == (model.vocabulary, model.seed)
    for name, weight in model.network.state_dict().items():
        np.testing.assert_array_equal(loaded.network.state_dict()[name], weight, strict=True)
    assert loaded.generate(length=50) == model.generate(length=50)
    assert loaded.evaluate(model.vocabulary) == model.evaluate(model.vocabulary)


def test_a_loaded_model_learns_on_as_the_saved_one(
    model: CharRNN, path: Path, tmp_path: Path
) -> None:
    fastrnn.load(path).fit(VERSE, steps=3).save(tmp_path / "loaded")
    model.fit(VERSE, steps=3).save(tmp_path / "saved")
    assert (tmp_path / "loaded").read_bytes() == (tmp_path / "saved").read_bytes()


def test_the_file_is_plain_safetensors_with_names_of_the_field(path: Path) -> None:
    with safe_open(path, framework="np") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in list(file.keys())}
    assert shapes == {
        "rnn.weight_ih_l0": (6, 14),
        "rnn.weight_hh_l0": (6, 6),
        "rnn.bias_ih_l0": (6,),
        "rnn.bias_hh_l0": (6,),
        "readout.weight": (14, 6),
        "readout.bias": (14,),
    }


# Foreign and damaged files


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"hello, this is no model\n" * 10,
        b"\xff" * 100,
        (2**63).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        json.dumps({"config": {}}).encode(),
        to_bytes({"weight": np.ones((2, 2), np.float32)}),
        to_bytes({"weight": np.ones((2, 2), np.float32)}, {"fastrnn": "[" * 100_000}),
        to_bytes({"weight": np.ones((2, 2), np.float32)}, {"fastrnn": '{"format_version": 1}'}),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"file' .*(not a fastrnn model|damaged|cannot be)"):
        fastrnn.load(tmp_path / "file")


def test_loading_a_pickle_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "file").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelFileError):
        fastrnn.load(tmp_path / "file")
    assert not (tmp_path / "ran").exists()


def test_a_file_cut_short_anywhere_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for length in [*range(0, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match="cut short"):
            fastrnn.load(path)


def test_a_file_with_something_appended_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ModelFileError):
        fastrnn.load(path)


def test_a_damaged_header_is_refused_or_harmless(path: Path) -> None:
    content = path.read_bytes()
    header_length = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for position in range(header_length):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 7
        path.write_bytes(damaged)
        try:
            fastrnn.load(path).generate(length=1)
        except ModelFileError:
            refused += 1
    assert refused > 0.9 * header_length


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cell", "transformer", "cell must be one of"),
        ("hidden_size", 7, "hidden_size 7|has shape"),
        ("hidden_size", 2, "shape"),
        ("hidden_size", 0, "hidden_size must be between 1"),
        ("hidden_size", -6, "hidden_size must be between 1"),
        ("hidden_size", 2**31 - 1, "too few for hidden_size 2,147,483,647"),
        ("hidden_size", 10**30, "hidden_size must be between 1"),
        ("hidden_size", True, "hidden_size must be an integer"),
        ("hidden_size", "6", "hidden_size must be an integer"),
        ("nonlinearity", "gelu", "nonlinearity must be one of"),
        ("nonlinearity", ["tanh"], "nonlinearity must be one of"),
        ("dtype", "float16", "dtype must be float32 or float64"),
        ("dtype", "float64", "dtype float32"),
        ("dtype", {}, "dtype must be float32 or float64"),
        ("seed", -1, "seed must be between 0"),
        ("surprise", 1, "config must hold exactly"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(path: Path, key, value, message) -> None:
    description, tensors = checkpoint.read(path)
    description["config"][key] = value
    checkpoint.write(path, description, tensors)
    with pytest.raises(ModelFileError, match=message):
        fastrnn.load(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("kind", "Forecaster", "kind must be one of"),
        ("kind", None, "kind must be one of"),
        ("config", None, "config must hold exactly"),
        ("config", {}, "config must hold exactly"),
        ("vocabulary", "", "vocabulary has 0 characters"),
        ("vocabulary", "cba", "not a sorted set"),
        ("vocabulary", "aabc", "not a sorted set"),
        ("vocabulary", "abc", "shape"),
        ("vocabulary", ["a"], "vocabulary must be a str"),
        ("format_version", 2, "has format version 2, this fastrnn reads 1"),
        ("format_version", "1", "has format version '1'"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(path: Path, key, value, message) -> None:
    description, tensors = checkpoint.read(path)
    checkpoint.write(path, {**description, key: value}, tensors)
    with pytest.raises(ModelFileError, match=message):
        fastrnn.load(path)


@pytest.mark.parametrize("key", ["kind", "config", "vocabulary"])
def test_a_description_that_lacks_something_is_refused(path: Path, key: str) -> None:
    description, tensors = checkpoint.read(path)
    del description[key]
    checkpoint.write(path, description, tensors)
    with pytest.raises(ModelFileError, match=key):
        fastrnn.load(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda w: w[:-1], "shape"),
        (lambda w: w.T.copy(), "shape"),
        (lambda w: w[np.newaxis], "shape"),
        (lambda w: np.zeros((0, 14), np.float32), "too few|shape"),
        (lambda w: w.astype(np.float64), "dtype"),
        (lambda w: w.astype(np.float16), "has type F16"),
        (lambda w: w.astype(np.int32), "has type I32"),
        (lambda w: np.full_like(w, np.nan), "finite"),
        (lambda w: np.full_like(w, -np.inf), "finite"),
    ],
)
def test_a_weight_that_does_not_fit_is_refused(path: Path, spoil, message: str) -> None:
    description, tensors = checkpoint.read(path)
    tensors["rnn.weight_ih_l0"] = spoil(tensors["rnn.weight_ih_l0"])
    checkpoint.write(path, description, tensors)
    with pytest.raises(ModelFileError, match=message):
        fastrnn.load(path)


def test_a_missing_or_an_extra_weight_is_refused(path: Path) -> None:
    description, tensors = checkpoint.read(path)
    for wrong in (
        {name: tensor for name, tensor in tensors.items() if name != "readout.bias"},
        {**tensors, "readout.bias_2": tensors["readout.bias"]},
        {**tensors, "other": tensors["readout.bias"]},
        {},
    ):
        checkpoint.write(path, description, wrong)
        with pytest.raises(ModelFileError):
            fastrnn.load(path)


def test_a_missing_file_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fastrnn.load(tmp_path / "nowhere")
    for path in (tmp_path, os.devnull):
        with pytest.raises(ModelFileError, match="not a regular file"):
            fastrnn.load(path)


# Writing


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    model: CharRNN, path: Path, monkeypatch, failure: BaseException, call: str
) -> None:
    before = path.read_bytes()
    model.fit(VERSE, steps=1)

    def fail(*arguments: object) -> None:
        raise failure

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(failure)):
        model.save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_saving_leaves_one_file_with_the_permissions_of_any_new_file(path: Path) -> None:
    other = path.parent / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode
    assert sorted(path.parent.iterdir()) == [path, other]


def test_saving_through_a_symbolic_link_keeps_the_link(model: CharRNN, path: Path) -> None:
    link = path.parent / "link"
    link.symlink_to(path.name)
    model.fit(VERSE, steps=1).save(link)
    assert link.is_symlink()
    assert fastrnn.load(path).evaluate(VERSE) == model.evaluate(VERSE)


def test_what_must_not_be_replaced_is_refused(model: CharRNN, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        model.save(tmp_path / "absent" / "model")
    with pytest.raises(IsADirectoryError):
        model.save(tmp_path)
    with pytest.raises(OSError, match="Not a regular file"):
        model.save(os.devnull)
