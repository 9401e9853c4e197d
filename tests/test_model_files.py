"""A model file comes back as the same model, or is refused with a sentence; saving is atomic."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import stat
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as to_bytes
from tolerances import assert_within, rounding

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


def read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    with checkpoint.opened(path) as file:
        return file.description, file.tensors()


# Round trips


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dtype": "float64"},
        {"nonlinearity": "relu", "seed": 7},
        {"cell": "jordan"},
        {"cell": "jordan", "hidden_size": 40},  # more than characters, and no H x H weight
        {"cell": "jordan", "hidden_size": 40, "embedding_size": 3, "layer_norm": True},
        {"recurrent_dropout": np.float32(0.25), "layer_norm": np.True_},
        {"vocabulary": 'quotes "\\ \x00 naïve 日本語 🦓 \ud800'},
    ],
)
def test_a_loaded_model_is_the_saved_one(tmp_path: Path, options) -> None:
    model = CharRNN(**{"hidden_size": 5, "vocabulary": VERSE, **options})
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


def test_a_file_of_the_first_version_is_read() -> None:
    """It was saved before models had symbols to choose and a policy for unknown characters."""
    model = fastrnn.load(Path(__file__).parent / "golden" / "char_rnn_format_1.safetensors")
    assert (model.cell, model.hidden_size, model.seed) == ("gru", 12, 3)
    assert model.vocabulary == "\n acdeghlmnost"
    scores = model.evaluate("the cat sat on the mat\nthe dog sat on the log\n")
    assert_within(scores["loss"], 0.09096440438204241, rounding(np.float32))


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
        ("hidden_size", 2**31 - 1, r"shape \(14, 6\), expected \(14, 2147483647\)"),
        ("num_layers", 2**31 - 1, "6 tensors are too few for num_layers 2,147,483,647"),
        ("embedding_size", 2**31 - 1, r"lacks the tensors embedding\.weight"),
        ("embedding_size", "2", "embedding_size must be an integer"),
        ("layer_norm", "yes", "layer_norm must be True or False"),
        ("tied", 1, "tied must be True or False"),
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
    description, tensors = read(path)
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
    description, tensors = read(path)
    checkpoint.write(path, {**description, key: value}, tensors)
    with pytest.raises(ModelFileError, match=message):
        fastrnn.load(path)


def test_a_flipped_bit_in_any_tensor_is_refused(path: Path) -> None:
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for position in range(start, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=r"model.safetensors' is damaged: its tensors"):
            fastrnn.load(path)


def test_two_tensors_that_changed_places_are_refused(path: Path) -> None:
    content = path.read_bytes()
    swapped = content.replace(b"bias_ih", b"bias_xx").replace(b"bias_hh", b"bias_ih")
    path.write_bytes(swapped.replace(b"bias_xx", b"bias_hh"))
    with pytest.raises(ModelFileError, match="is damaged"):
        fastrnn.load(path)


def test_a_file_without_a_checksum_is_refused(path: Path) -> None:
    content = path.read_bytes()
    assert content.count(b"sha256") == 1
    path.write_bytes(content.replace(b"sha256", b"sha257"))
    with pytest.raises(ModelFileError, match=r"is damaged: .* no checksum"):
        fastrnn.load(path)


@pytest.mark.parametrize("key", ["kind", "config", "vocabulary"])
def test_a_description_that_lacks_something_is_refused(path: Path, key: str) -> None:
    description, tensors = read(path)
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
        (lambda w: np.zeros(2**20, np.float32), "shape"),
        (lambda w: w.astype(np.float64), "dtype"),
        (lambda w: w.astype(np.float16), "has type F16"),
        (lambda w: w.astype(np.int32), "has type I32"),
    ],
)
def test_a_weight_that_does_not_fit_is_refused_unread(path, monkeypatch, spoil, message) -> None:
    description, tensors = read(path)
    tensors["rnn.weight_ih_l0"] = spoil(tensors["rnn.weight_ih_l0"])
    checkpoint.write(path, description, tensors)
    monkeypatch.setattr(checkpoint.ModelFile, "tensors", lambda file: pytest.fail("it was read"))
    with pytest.raises(ModelFileError, match=message):
        fastrnn.load(path)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_weight_that_is_not_finite_is_refused(path: Path, value: float) -> None:
    description, tensors = read(path)
    tensors["rnn.weight_ih_l0"][3, 2] = value
    checkpoint.write(path, description, tensors)
    with pytest.raises(ModelFileError, match="weight_ih_l0 must be finite"):
        fastrnn.load(path)


def test_a_missing_or_an_extra_weight_is_refused_unread(path: Path, monkeypatch) -> None:
    description, tensors = read(path)
    monkeypatch.setattr(checkpoint.ModelFile, "tensors", lambda file: pytest.fail("it was read"))
    junk = np.zeros(2**20, np.float32)
    for wrong, message in (
        ({name: tensors[name] for name in tensors if name != "readout.bias"}, "lacks .*out.bias$"),
        ({**tensors, "readout.bias_2": junk}, "another kind of model, 'readout.bias_2'"),
        ({**tensors, "other": junk}, "another kind of model, 'other'"),
        ({}, "too few"),
    ):
        checkpoint.write(path, description, wrong)
        with pytest.raises(ModelFileError, match=message):
            fastrnn.load(path)


def claim(path: Path, name: str, shape: list[int]) -> None:
    """Have the file hold one more tensor, of zeros that take no room on the disk."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    end = max(entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__")
    size = int(np.prod(shape, dtype=np.uint64)) * 4
    header.pop(name, None)
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + content[start:])
    try:
        os.truncate(path, 8 + len(encoded) + end + size)
    except OSError as error:
        pytest.skip(f"no file of {size} bytes can be made here: {error}")


def test_many_small_tensors_that_are_no_model_take_no_memory(tmp_path: Path) -> None:
    """Each layer described is as large as the largest tensor, and there are as many as tensors."""
    model = CharRNN("rnn", 128, vocabulary=VERSE)
    model.save(tmp_path / "model")
    description, tensors = read(tmp_path / "model")
    description["config"]["num_layers"] = 1000
    small = {f"rnn.bias_ih_l{k}": np.zeros(1, np.float32) for k in range(1, 1000)}
    checkpoint.write(tmp_path / "model", description, {**tensors, **small})
    tracemalloc.start()
    with pytest.raises(ModelFileError, match=r"lacks the tensors rnn\.weight_ih_l1, "):
        fastrnn.load(tmp_path / "model")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_a_tensor_larger_than_memory_is_refused(path: Path, capfd) -> None:
    claim(path, "junk", [2**40])
    with pytest.raises(ModelFileError, match="GiB"):
        fastrnn.load(path)
    assert capfd.readouterr().err == ""


def test_a_model_larger_than_memory_is_refused(path: Path, tmp_path: Path) -> None:
    description, _ = read(path)
    description["config"]["hidden_size"] = 2**20
    checkpoint.write(path, description, {"rnn.bias_ih_l0": np.zeros(1, np.float32)})
    claim(path, "rnn.weight_hh_l0", [2**20, 2**20])
    with pytest.raises(ModelFileError, match="GiB"):
        fastrnn.load(path)


def test_a_file_that_cannot_be_mapped_is_refused(path: Path, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError("Cannot allocate memory (os error 12)")

    monkeypatch.setattr(checkpoint, "safe_open", fail)
    with pytest.raises(ModelFileError, match="does not fit in memory"):
        fastrnn.load(path)


def test_a_panic_of_the_reader_is_a_model_file_error(path: Path, monkeypatch) -> None:
    class PanicException(BaseException):
        pass

    class Panics:
        def get_tensor(self, name: str) -> None:
            raise PanicException("PyObject pointer is null")

    original = checkpoint.opened

    @contextlib.contextmanager
    def panicking(path):
        with original(path) as file:
            yield checkpoint.ModelFile(file.path, file.description, file.layout, Panics())

    monkeypatch.setattr(checkpoint, "opened", panicking)
    with pytest.raises(ModelFileError, match="do not fit in memory"):
        fastrnn.load(path)


def test_a_missing_file_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fastrnn.load(tmp_path / "nowhere")
    for path in (tmp_path, os.devnull):
        with pytest.raises(ModelFileError, match="not a regular file"):
            fastrnn.load(path)


@pytest.mark.parametrize("wrong", [None, 0, 5, 1.5, ["model"]])
def test_what_is_no_path_is_a_type_error_that_names_it(model: CharRNN, wrong: object) -> None:
    for call in (fastrnn.load, CharRNN.load, model.save):
        with pytest.raises(TypeError, match="path must be a path, got"):
            call(wrong)


@pytest.mark.parametrize("wrong", ["", "a\0b", b"a\0b"])
def test_an_impossible_path_is_a_value_error_that_names_it(model: CharRNN, wrong) -> None:
    for call in (fastrnn.load, model.save):
        with pytest.raises(ValueError, match="path must be a path, got"):
            call(wrong)


def test_a_path_may_be_bytes(model: CharRNN, path: Path) -> None:
    model.save(os.fsencode(path))
    assert fastrnn.load(os.fsencode(path)).vocabulary == model.vocabulary


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
    with pytest.raises(type(failure)) as caught:
        model.save(path)
    if isinstance(failure, OSError):
        assert caught.value.filename == os.path.realpath(path)
        assert str(caught.value).endswith(f"No space left on device: {os.path.realpath(path)!r}")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_saving_leaves_one_file_with_the_permissions_of_any_new_file(path: Path) -> None:
    other = path.parent / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode
    assert sorted(path.parent.iterdir()) == [path, other]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_saving_again_keeps_the_permissions_of_the_file(model, path: Path, mode: int) -> None:
    path.chmod(mode)
    model.fit(VERSE, steps=1).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert fastrnn.load(path).evaluate(VERSE) == model.evaluate(VERSE)


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
    with pytest.raises(OSError, match="too long"):
        checkpoint.check_writable(tmp_path / ("x" * 300))
