"""A training that is killed at any moment goes on to the bits of one that is not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from oracles.implementations import CELLS

import fastrnn
from fastrnn import CharRNN, ModelFileError, StopTraining, checkpoint, optim
from fastrnn.training import records

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20
OPTIONS = {"epochs": 4, "batch_size": 3, "seq_len": 30, "dropout": 0.2, "warmup": 0.1}
HELD_OUT = {"validation": 0.2, "evaluate_every": 3}


def stopping_after(step: int):
    def stop(done: fastrnn.TrainingStep) -> None:
        if done.step == step:
            raise StopTraining

    return stop


def saved(model: CharRNN, path: Path) -> bytes:
    model.save(path)
    return path.read_bytes()


# To the same bits


@pytest.mark.parametrize("held_out", [{}, HELD_OUT])
@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("cell", [*CELLS, "jordan"])
def test_a_training_stopped_anywhere_goes_on_to_the_same_bits(
    tmp_path, cell: str, optimizer: str, held_out: dict
) -> None:
    options = {**OPTIONS, **held_out, "optimizer": optimizer, "lr": 0.02}
    if cell == "jordan":
        options["dropout"] = 0.0  # it has no read-out, before which to drop
    size = 29 if cell == "jordan" else 9  # more than the 14 characters, and fewer
    whole = CharRNN(cell, hidden_size=size, seed=4).fit(VERSE, **options)
    steps = len(whole.history)
    for step in (1, 2, steps // 2, steps - 1, steps):
        path = tmp_path / f"run{step}"
        CharRNN(cell, hidden_size=size, seed=4).fit(
            VERSE, **options, checkpoint=path, callbacks=[stopping_after(step)]
        )
        assert fastrnn.load(path).hidden_size == size
        model = CharRNN(cell, hidden_size=size, seed=4)
        model.fit(VERSE, **options, checkpoint=path, resume=True)
        assert model.history == whole.history
        assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_a_second_training_is_gone_on_with_as_one_in_its_own_right(tmp_path) -> None:
    first = CharRNN(hidden_size=8).fit(VERSE, steps=7)
    first.save(tmp_path / "first")
    first.fit(VERSE[:400], **OPTIONS)
    path = tmp_path / "run"
    for _ in range(3):
        model = CharRNN(hidden_size=8).fit(VERSE, steps=7)
        stop = stopping_after(10 if not path.exists() else 13)
        model.fit(VERSE[:400], **OPTIONS, checkpoint=path, resume=True, callbacks=[stop])
    assert model.history == first.history
    assert saved(model, tmp_path / "model") == saved(first, tmp_path / "whole")


def test_a_second_training_may_be_gone_on_with_by_a_new_model(tmp_path) -> None:
    first = CharRNN(hidden_size=8).fit(VERSE, steps=7)
    whole = CharRNN(hidden_size=8).fit(VERSE, steps=7).fit(VERSE[:400], **OPTIONS)
    stop = [stopping_after(10)]
    first.fit(VERSE[:400], **OPTIONS, checkpoint=tmp_path / "run", callbacks=stop)
    model = CharRNN(hidden_size=8)
    model.fit(VERSE[:400], **OPTIONS, checkpoint=tmp_path / "run", resume=True)
    assert model.history == whole.history
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_the_patience_counts_on(tmp_path) -> None:
    options = {"steps": 60, "lr": 1.0, "validation": 0.3, "evaluate_every": 1, "patience": 4}
    whole = CharRNN(hidden_size=8).fit(VERSE, **options)
    steps = len(whole.history)
    assert 4 < steps < 60
    CharRNN(hidden_size=8).fit(
        VERSE, **options, checkpoint=tmp_path / "run", callbacks=[stopping_after(steps - 2)]
    )
    model = CharRNN(hidden_size=8)
    model.fit(VERSE, **options, checkpoint=tmp_path / "run", resume=True)
    assert model.history == whole.history
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_an_interrupt_between_two_steps_loses_none(tmp_path) -> None:
    def interrupt(done: fastrnn.TrainingStep) -> None:
        if done.step == 11:
            raise KeyboardInterrupt

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, checkpoint=path, callbacks=[interrupt])
    model = CharRNN(hidden_size=8)
    steps = []
    options = {"checkpoint": path, "resume": True, "callbacks": [lambda s: steps.append(s.step)]}
    model.fit(VERSE, **OPTIONS, **options)
    assert steps[0] == 12
    whole = CharRNN(hidden_size=8).fit(VERSE, **OPTIONS)
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_an_interrupt_amid_an_update_leaves_the_checkpoint_from_before(
    tmp_path, monkeypatch
) -> None:
    whole = CharRNN(hidden_size=8).fit(VERSE, **OPTIONS)
    original, path, updates = optim.Optimizer._make, tmp_path / "run", []

    def interrupted(self, *arguments):
        updates.append(original(self, *arguments))
        if len(updates) == 8:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(optim.Optimizer, "_make", interrupted)
        with pytest.raises(KeyboardInterrupt):
            CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, checkpoint=path, checkpoint_every=3)
    steps = []
    model = CharRNN(hidden_size=8)
    options = {"checkpoint": path, "resume": True, "callbacks": [lambda s: steps.append(s.step)]}
    model.fit(VERSE, **OPTIONS, **options)
    assert steps[0] == 7
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_an_interrupt_amid_an_evaluation_has_it_done_again(tmp_path, monkeypatch) -> None:
    options = {**OPTIONS, **HELD_OUT, "checkpoint_every": 2}
    whole = CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, **HELD_OUT)
    original, path, calls = fastrnn.Network.loss, tmp_path / "run", []

    def interrupted(*arguments, **rest):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(*arguments, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(fastrnn.Network, "loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            CharRNN(hidden_size=8).fit(VERSE, **options, checkpoint=path)
    model = CharRNN(hidden_size=8).fit(VERSE, **options, checkpoint=path, resume=True)
    assert model.history == whole.history
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_a_disk_without_room_is_refused_before_training(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**20 + 1000))
    model = CharRNN(hidden_size=8)
    with pytest.raises(OSError, match="No space left on device: the model takes"):
        model.fit(VERSE, **OPTIONS, checkpoint=tmp_path / "run")
    assert (model.network, os.listdir(tmp_path)) == (None, [])


def test_a_loss_that_overflows_after_a_resume_undoes_the_update_before_it(
    tmp_path, monkeypatch
) -> None:
    original, path = fastrnn.Network.loss_and_grad, tmp_path / "run"

    def train(model: CharRNN, stop: int, **options: object) -> dict[str, np.ndarray]:
        calls = [0]

        def overflowing(self, inputs, *arguments, **rest):
            loss, state = original(self, inputs, *arguments, **rest)
            calls[0] += 1
            return (np.inf if calls[0] == stop else loss), state

        monkeypatch.setattr(fastrnn.Network, "loss_and_grad", overflowing)
        with pytest.raises(fastrnn.NonFiniteLossError, match="training step 6 "):
            model.fit(VERSE, **OPTIONS, **options)
        return model.network.state_dict()

    expected = train(CharRNN(hidden_size=8), 6)
    monkeypatch.setattr(fastrnn.Network, "loss_and_grad", original)
    CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, checkpoint=path, callbacks=[stopping_after(5)])
    weights = train(CharRNN(hidden_size=8), 1, checkpoint=path, resume=True)
    for name, weight in expected.items():
        np.testing.assert_array_equal(weights[name], weight)


def test_the_progress_bar_goes_on_where_it_was(tmp_path, capsys) -> None:
    options = {**OPTIONS, "checkpoint": tmp_path / "run"}
    whole = CharRNN(hidden_size=8).fit(VERSE, **OPTIONS)
    half = stopping_after(len(whole.history) // 2)
    CharRNN(hidden_size=8).fit(VERSE, **options, callbacks=[half])
    CharRNN(hidden_size=8).fit(VERSE, **options, resume=True, progress=True)
    shown = [int(line.split("%")[0]) for line in capsys.readouterr().err.splitlines()]
    assert [percent // 10 for percent in shown] == [6, 7, 8, 9, 10]


@pytest.mark.parametrize(("symbols", "unit"), [("chars", "char"), ("bytes", "byte")])
def test_the_progress_bar_says_what_it_counts(capsys, symbols: str, unit: str) -> None:
    CharRNN(hidden_size=8, symbols=symbols).fit(VERSE, **OPTIONS, progress=True)
    assert f"{unit}/s" in capsys.readouterr().err


def test_a_finished_training_is_not_trained_any_further(tmp_path) -> None:
    path = tmp_path / "run"
    whole = CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, checkpoint=path)
    model = CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, checkpoint=path, resume=True)
    assert model.history == whole.history
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def test_the_minutes_that_were_used_count_on(tmp_path) -> None:
    options = {"minutes": 0.02, "batch_size": 2, "seq_len": 20, "checkpoint": tmp_path / "run"}
    seen = []

    def stop(done: fastrnn.TrainingStep) -> None:
        seen.append(done.progress)
        if done.progress > 0.75:
            raise StopTraining

    CharRNN(hidden_size=8).fit(VERSE, **options, callbacks=[stop])
    started = time.monotonic()
    model = CharRNN(hidden_size=8)
    model.fit(VERSE, **options, resume=True, callbacks=[lambda s: seen.append(s.progress)])
    assert time.monotonic() - started < 0.75 * 60 * options["minutes"] + 5
    assert seen == sorted(seen)
    assert seen[-2] < 1 <= seen[-1]
    assert model.history[-1]["step"] == len(seen)


# How often


def test_checkpoints_are_written_after_so_many_steps(tmp_path, monkeypatch) -> None:
    written = watched_steps(monkeypatch)
    options = {"checkpoint": tmp_path / "run", "checkpoint_every": 4}
    CharRNN(hidden_size=4).fit("abc" * 100, steps=10, **options)
    assert written == [4, 8, 10]


def test_checkpoints_are_written_after_so_many_minutes(tmp_path, monkeypatch) -> None:
    written = watched_steps(monkeypatch)
    clock = iter(range(10**6))
    monkeypatch.setattr("fastrnn.training.resume.time.monotonic", lambda: float(next(clock)))
    options = {"checkpoint": tmp_path / "run", "checkpoint_minutes": 10 / 60}
    CharRNN(hidden_size=4).fit("abc" * 100, steps=40, **options)
    assert 2 < len(written) < 12
    assert written[-1] == 40


def watched_steps(monkeypatch) -> list[int]:
    """The number of the step after which each checkpoint is written."""
    written: list[int] = []
    original = checkpoint.write

    def watched(path, description, tensors):
        written.append(description["training"]["facts"]["step"])
        original(path, description, tensors)

    monkeypatch.setattr(checkpoint, "write", watched)
    return written


def test_the_curve_on_disk_is_never_behind_the_checkpoint(tmp_path, monkeypatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(records.CsvFile, "flush", lambda self: order.append("curve"))
    monkeypatch.setattr(checkpoint, "write", lambda *_: order.append("checkpoint"))
    options = {"checkpoint": tmp_path / "run", "checkpoint_every": 3}
    CharRNN(hidden_size=4).fit(VERSE, steps=6, history_file=tmp_path / "csv", **options)
    assert order == ["curve", "checkpoint"] * 2


# A checkpoint is a model


def test_a_checkpoint_is_a_model_file_with_the_weights_of_its_step(tmp_path) -> None:
    path = tmp_path / "run"
    model = CharRNN(hidden_size=8)
    model.fit(VERSE, **OPTIONS, checkpoint=path, callbacks=[stopping_after(5)])
    loaded = fastrnn.load(path)
    assert repr(loaded) == repr(model)
    assert saved(loaded, tmp_path / "loaded") == saved(model, tmp_path / "model")


def test_with_validation_it_has_the_best_weights_so_far(tmp_path) -> None:
    path = tmp_path / "run"
    options = {"steps": 40, "lr": 0.05, "validation": VERSE[::-1]}  # predicted ever less
    model = CharRNN(hidden_size=8).fit(VERSE, **options, evaluate_every=1, checkpoint=path)
    losses = [record["validation_loss"] for record in model.history]
    assert np.argmin(losses) < len(losses) - 1
    assert saved(fastrnn.load(path), tmp_path / "a") == saved(model, tmp_path / "b")


# Refusals


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    options = {"checkpoint": path, "callbacks": [stopping_after(5)]}
    CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, **options)
    return path


@pytest.mark.parametrize(
    ("settings", "options", "text", "message"),
    [
        ({}, {"lr": 0.01}, VERSE, r"lr=0\.003, this training has lr=0\.01"),
        ({}, {"epochs": 5}, VERSE, "epochs=4, this training has epochs=5"),
        ({}, {"seq_len": 31}, VERSE, "seq_len=30"),
        ({}, {"validation": 0.5}, VERSE, r"validation=None, this training has validation=0\.5"),
        ({}, {"validation": VERSE}, VERSE, "this training has validation='a text'"),
        ({}, {"grow_vocabulary": True}, VERSE, "grow_vocabulary=False, this training has grow"),
        ({}, {}, VERSE + "t", r"a text of 920 characters .* this training has a text of 921"),
        ({}, {}, VERSE[1:] + "t", r"SHA-256 (\w{12})….* SHA-256 (?!\1)"),
        ({"hidden_size": 9}, {}, VERSE, "hidden_size=8, this training has hidden_size=9"),
        ({"cell": "gru"}, {}, VERSE, "cell='rnn', this training has cell='gru'"),
        ({"seed": 1}, {}, VERSE, "seed=0, this training has seed=1"),
        ({"vocabulary": VERSE + "z"}, {}, VERSE, "vocabulary="),
    ],
)
def test_another_model_text_or_option_is_refused_by_name(
    run: Path, settings, options, text, message
) -> None:
    model = CharRNN(**{"hidden_size": 8, **settings})
    before = run.read_bytes()
    with pytest.raises(ValueError, match=f"run' was made with .*{message}"):
        model.fit(text, **{**OPTIONS, **options}, checkpoint=run, resume=True)
    assert model.history == []
    assert run.read_bytes() == before


def test_what_does_not_change_the_result_may_differ(run: Path) -> None:
    model = CharRNN(hidden_size=8)
    options = {"num_threads": 1, "checkpoint_every": 100, "callbacks": [lambda _: None]}
    model.fit(VERSE, **OPTIONS, **options, checkpoint=run, resume=True)
    assert len(model.history) > 5


def test_another_held_out_text_is_refused(tmp_path) -> None:
    options = {**OPTIONS, "checkpoint": tmp_path / "run", "resume": True}
    stop = [stopping_after(2)]
    CharRNN(hidden_size=4).fit(VERSE, **options, validation="the cat", callbacks=stop)
    with pytest.raises(ValueError, match="a validation text of 7 characters"):
        CharRNN(hidden_size=4).fit(VERSE, **options, validation="the hat")


def test_a_new_training_does_not_overwrite_one_that_is_not_finished(run: Path) -> None:
    before = run.read_bytes()
    with pytest.raises(ValueError, match="run' holds a training that is not finished; go on with"):
        CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, checkpoint=run)
    assert run.read_bytes() == before
    CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, checkpoint=run, resume=True)
    CharRNN(hidden_size=4).fit(VERSE, **OPTIONS, checkpoint=run)
    assert fastrnn.load(run).hidden_size == 4


@pytest.mark.parametrize("kind", ["text", "model", "damaged", "cut short", "later version"])
def test_a_new_training_replaces_nothing_but_a_finished_checkpoint(
    tmp_path, kind: str, monkeypatch
) -> None:
    path = tmp_path / "file"
    model = CharRNN(hidden_size=8)
    if kind == "model":
        CharRNN(hidden_size=8, vocabulary=VERSE).save(path)
    else:
        CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, checkpoint=path)
    content = path.read_bytes()
    if kind == "text":
        path.write_text(VERSE)
    if kind == "damaged":
        path.write_bytes(content.replace(b'\\"finished\\": true', b'\\"finished\\":false'))
    if kind == "cut short":
        path.write_bytes(content[:-1])
    if kind == "later version":
        path.write_bytes(content.replace(b'version\\": 1', b'version\\": 2'))
    before = path.read_bytes()
    assert (before != content) == (kind != "model")
    for resume in (False, True):
        with pytest.raises((ValueError, ModelFileError), match=r"file' (exists and is |is |has )"):
            model.fit(VERSE, **OPTIONS, checkpoint=path, resume=resume)
        assert path.read_bytes() == before
    assert (model.network, model.history) == (None, [])


def test_a_share_may_be_any_number(tmp_path) -> None:
    path = tmp_path / "run"
    options = {**OPTIONS, "checkpoint": path}
    CharRNN(hidden_size=8).fit(VERSE, **options, validation=np.float32(0.25))
    CharRNN(hidden_size=8).fit(VERSE, **options, validation=0.25, resume=True)


def test_a_resume_that_fails_before_its_first_step_leaves_the_best_weights(
    tmp_path, monkeypatch
) -> None:
    path = tmp_path / "run"
    options = {"steps": 60, "lr": 0.05, "validation": VERSE[::-1], "evaluate_every": 1}
    options["checkpoint"] = path
    model = CharRNN(hidden_size=8).fit(VERSE, **options, callbacks=[stopping_after(40)])
    assert model.best["step"] < 40

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fastrnn.training.resume, "check_room", fail)
    resumed = CharRNN(hidden_size=8)
    with pytest.raises(OSError, match="No space"):
        resumed.fit(VERSE, **options, resume=True)
    assert resumed.history == model.history
    assert resumed.best == model.best
    assert saved(resumed, tmp_path / "a") == saved(model, tmp_path / "b")


def test_a_model_that_is_no_checkpoint_is_refused(tmp_path) -> None:
    path = tmp_path / "model"
    CharRNN(hidden_size=8, vocabulary=VERSE).save(path)
    with pytest.raises(ModelFileError, match="model' is a model but not a checkpoint"):
        CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, checkpoint=path, resume=True)


def test_a_damaged_checkpoint_is_refused(run: Path) -> None:
    content = run.read_bytes()
    for damaged in (
        content[:-1],
        content[:-1] + bytes([content[-1] ^ 1]),
        content.replace(b'\\"step\\": 5', b'\\"step\\": 6'),
        content.replace(b'\\"training\\": {', b'\\"training\\":[{', 1),
        b"nothing of the kind",
    ):
        assert damaged != content
        run.write_bytes(damaged)
        model = CharRNN(hidden_size=8)
        with pytest.raises(ModelFileError, match="run' is"):
            model.fit(VERSE, **OPTIONS, checkpoint=run, resume=True)
        assert (model.network, model.history) == (None, [])


def spoil(tensors: dict[str, np.ndarray], name: str, value: float = np.nan) -> None:
    tensors[name] = np.full_like(tensors[name], value)


def widen(tensors: dict[str, np.ndarray], name: str) -> None:
    tensors[name] = np.zeros((*tensors[name].shape[:-1], 2 * tensors[name].shape[-1]), np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts, tensors: facts.pop("step"), "step"),
        (lambda facts, tensors: facts.update(step="x"), "step must be an integer"),
        (lambda facts, tensors: facts.update(step=6), "history does not lead to the step"),
        (lambda facts, tensors: facts.update(finished=1), "finished must be True or False"),
        (lambda facts, tensors: facts.update(state=None), "recurrent state has None parts"),
        (lambda facts, tensors: facts.clear(), "does not say chars, earlier, finished"),
        (lambda facts, tensors: spoil(tensors, "training.history.step", np.inf), "without step"),
        (lambda facts, tensors: spoil(tensors, "training.history.step", 5), "does not lead to"),
        (lambda facts, tensors: widen(tensors, "training.state.0"), "recurrent state has shape"),
        (lambda facts, tensors: facts.update(step=-1), "step must be between"),
        (lambda facts, tensors: facts.update(seconds="long"), "seconds must be a number"),
        (lambda facts, tensors: tensors.pop("training.updates.optimizer.exp_avg.0"), "exp_avg"),
        (lambda facts, tensors: tensors.pop("training.updates.previous.1"), r"previous\.1"),
        (lambda facts, tensors: tensors.pop("training.state.0"), r"state\.0"),
        (lambda facts, tensors: tensors.pop("training.history.loss"), "history has only"),
        (lambda facts, tensors: spoil(tensors, "training.history.step"), "records without step"),
        (lambda facts, tensors: spoil(tensors, "training.state.0"), "recurrent state must be fin"),
    ],
)
def test_a_checkpoint_whose_parts_do_not_fit_is_refused(run: Path, change, message) -> None:
    from fastrnn.training.resume import _digest

    with checkpoint.opened(run) as file:
        description, tensors = file.description, file.tensors()
    entry = description["training"]
    change(entry["facts"], tensors)
    entry.pop("sha256")
    entry["sha256"] = _digest(entry)
    checkpoint.write(run, description, tensors)
    model = CharRNN(hidden_size=8)
    with pytest.raises(ModelFileError, match=f"cannot be gone on with.*{message}"):
        model.fit(VERSE, **OPTIONS, checkpoint=run, resume=True)
    assert (model.network, model.history) == (None, [])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"resume": True}, ValueError, "resume needs checkpoint, the file to write"),
        ({"checkpoint_every": 5}, ValueError, "checkpoint_every needs checkpoint"),
        ({"checkpoint_minutes": 5}, ValueError, "checkpoint_minutes needs checkpoint"),
        ({"checkpoint": 5}, TypeError, "checkpoint must be a path"),
        ({"checkpoint": "x", "checkpoint_every": 0}, ValueError, "checkpoint_every must be betw"),
        ({"checkpoint": "x", "checkpoint_minutes": -1}, ValueError, "checkpoint_minutes must be"),
        ({"checkpoint": "x", "resume": "yes"}, TypeError, "resume must be True or False"),
        ({"checkpoint": "absent/run"}, FileNotFoundError, "absent"),
        ({"checkpoint": "x", "history_file": "./x"}, ValueError, "must be two files"),
        ({"checkpoint": "."}, IsADirectoryError, "directory"),
    ],
)
def test_bad_options_are_refused_before_training(
    tmp_path, monkeypatch, options, error, message
) -> None:
    monkeypatch.chdir(tmp_path)
    model = CharRNN(hidden_size=4)
    with pytest.raises(error, match=message):
        model.fit(VERSE, **options)
    assert (model.network, model.history, os.listdir()) == (None, [], [])


# Killed

needs_kill = pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")

KILLED_WHILE_WRITING = """
import os, signal, sys
from fastrnn import CharRNN
from test_resume import OPTIONS, VERSE
number, call, path = 0, sys.argv[1], sys.argv[2]
original = getattr(os, call)

def killed(*arguments):
    global number
    number += 1
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)

setattr(os, call, killed)
CharRNN(hidden_size=8).fit(VERSE, **OPTIONS, checkpoint=path, checkpoint_every=3)
"""


@needs_kill
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_kill_amid_writing_leaves_the_older_checkpoint_and_no_litter_after_a_resume(
    tmp_path, call: str
) -> None:
    path = tmp_path / "run"
    if call == "fsync":  # of the folder too, once a file is there: the second is of the first file
        code = KILLED_WHILE_WRITING.replace("number == 2", "number == 3")
    else:
        code = KILLED_WHILE_WRITING
    done = subprocess.run(
        [sys.executable, "-c", code, call, path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])},
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(os.listdir(tmp_path)) == 2
    model, steps = CharRNN(hidden_size=8), []
    options = {"checkpoint": path, "resume": True, "callbacks": [lambda s: steps.append(s.step)]}
    model.fit(VERSE, **OPTIONS, **options)
    assert steps[0] == 4
    assert os.listdir(tmp_path) == ["run"]
    whole = CharRNN(hidden_size=8).fit(VERSE, **OPTIONS)
    assert saved(model, tmp_path / "model") == saved(whole, tmp_path / "whole")


def last_step(history: Path) -> int:
    rows = history.read_bytes().splitlines()[1:] if history.exists() else []
    return int(rows[-1].split(b",")[0] or 0) if rows else 0


def killed_and_resumed(folder: Path, kills: int, epochs: int, seed: int) -> dict[str, list[bytes]]:
    """Kill ``fastrnn train`` so many times; return what it left, and one that ran through.

    A quarter of the kills, the second among them, come a random time after the start, whatever it
    is doing; the others when it has made a step chosen at random.
    """
    (folder / "text").write_text(VERSE * 4)
    command = [sys.executable, "-m", "fastrnn", "train", "text", "--quiet", "--hidden-size", "24"]
    command += ["--epochs", str(epochs), "--validation", "0.1", "--dropout", "0.1"]
    ran_through = [*command, "--checkpoint", "whole-run", "--history", "whole.csv", "--out"]
    subprocess.run([*ran_through, "whole"], cwd=folder, check=True, capture_output=True)
    steps, chance = last_step(folder / "whole.csv"), random.Random(seed)
    command += ["--resume", "run", "--checkpoint-every", "5", "--history", "history.csv"]
    command += ["--out", "model"]
    chosen = sorted(chance.randrange(1, steps * 3 // 4) for _ in range(kills))
    reached = []
    for number, step in enumerate(chosen):
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if number % 4 == 1:
            time.sleep(chance.uniform(0, 0.5))
        else:
            while process.poll() is None and last_step(folder / "history.csv") < step:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.003))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        if (folder / "run").exists():
            with checkpoint.opened(folder / "run") as file:
                reached.append(file.description["training"]["facts"]["step"])
    assert reached == sorted(reached)
    assert 0 < reached[-1] < steps
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    files = {"killed": ("model", "history.csv"), "whole": ("whole", "whole.csv")}
    return {which: [(folder / name).read_bytes() for name in files[which]] for which in files}


@needs_kill
@pytest.mark.unsanitized
def test_a_command_killed_three_times_gives_the_same_model(tmp_path) -> None:
    left = killed_and_resumed(tmp_path, kills=3, epochs=60, seed=0)
    assert left["killed"] == left["whole"]


@needs_kill
@pytest.mark.slow
@pytest.mark.unsanitized
def test_a_command_killed_twenty_times_at_random_gives_the_same_model(tmp_path) -> None:
    left = killed_and_resumed(tmp_path, kills=20, epochs=400, seed=1)
    assert left["killed"] == left["whole"]
