"""The learning curve on disk: complete up to the last step, and never twice."""

from __future__ import annotations

import csv
import importlib.util
import struct
import sys
from pathlib import Path

import pytest

import fastrnn
from fastrnn import CharRNN, StopTraining

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20
HEADER = "step,chars,lr,loss,validation_loss\n"

needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboardX") is None,
    reason="tensorboardX, of the extra fastrnn[tensorboard], is not installed",
)


def rows_of(path: Path) -> list[dict[str, float]]:
    with open(path, newline="") as file:
        return [
            {key: float(value) for key, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


def stopping_after(step: int):
    def stop(done: fastrnn.TrainingStep) -> None:
        if done.step == step:
            raise StopTraining

    return stop


def test_the_rows_are_the_history(tmp_path) -> None:
    path = tmp_path / "history.csv"
    options = {"validation": 0.2, "evaluate_every": 3, "history_file": path}
    model = CharRNN(hidden_size=4).fit(VERSE, steps=8, **options)
    assert path.read_text().startswith(HEADER)
    assert rows_of(path) == model.history
    assert [row["step"] for row in rows_of(path) if "validation_loss" in row] == [3, 6, 8]


def test_each_row_is_there_as_soon_as_its_step_is_over(tmp_path) -> None:
    path, lengths = tmp_path / "history.csv", []
    model = CharRNN(hidden_size=4)
    watch = [lambda _: lengths.append(len(rows_of(path)))]
    model.fit(VERSE, steps=4, history_file=path, callbacks=watch)
    assert lengths == [1, 2, 3, 4]


def test_it_has_every_step_where_the_history_has_means(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("fastrnn.training.history.MOST_RECORDS", 4)
    path = tmp_path / "history.csv"
    model = CharRNN(hidden_size=4).fit(VERSE, steps=20, history_file=path)
    assert len(model.history) <= 4
    assert [row["step"] for row in rows_of(path)] == list(range(1, 21))


def test_a_second_fit_appends_to_it(tmp_path) -> None:
    path = tmp_path / "history.csv"
    model = CharRNN(hidden_size=4).fit(VERSE, steps=3, history_file=path)
    model.fit(VERSE, steps=3, history_file=path)
    assert rows_of(path) == model.history


def test_another_model_s_rows_are_replaced(tmp_path) -> None:
    path = tmp_path / "history.csv"
    CharRNN(hidden_size=4, seed=1).fit(VERSE, steps=9, history_file=path)
    model = CharRNN(hidden_size=4).fit(VERSE, steps=3, history_file=path)
    assert rows_of(path) == model.history


@pytest.mark.parametrize("end", ["", "1", "4,16", "4,1600,0.1,2.5,", "x\n", "5,1\n5,1\n6,7\n"])
def test_a_resume_drops_what_came_after_its_checkpoint_and_what_was_cut_short(
    tmp_path, end: str
) -> None:
    path, run = tmp_path / "history.csv", tmp_path / "run"
    options = {"steps": 8, "history_file": path, "checkpoint": run}
    whole = CharRNN(hidden_size=4).fit(VERSE, **options)
    expected = path.read_bytes()
    run.unlink()
    CharRNN(hidden_size=4).fit(VERSE, **options, callbacks=[stopping_after(3)])
    path.write_text(path.read_text() + end)
    CharRNN(hidden_size=4).fit(VERSE, **options, resume=True)
    assert path.read_bytes() == expected
    assert rows_of(path) == whole.history


def test_a_training_that_never_starts_leaves_the_rows_of_another(tmp_path, monkeypatch) -> None:
    path = tmp_path / "history.csv"
    CharRNN(hidden_size=4).fit(VERSE, steps=3, history_file=path)
    before = path.read_bytes()
    monkeypatch.setitem(sys.modules, "tensorboardX", None)

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fastrnn.training.resume.check_room", no_room)
    for options, error in (
        ({"checkpoint": tmp_path / "absent" / "run"}, FileNotFoundError),
        ({"checkpoint": tmp_path / "run"}, OSError),
        ({"tensorboard": tmp_path / "board"}, ImportError),
    ):
        with pytest.raises(error):
            CharRNN(hidden_size=4).fit(VERSE, steps=3, history_file=path, **options)
        assert path.read_bytes() == before


@pytest.mark.parametrize("stopped", [5, 8])
def test_two_fits_with_one_history_are_gone_on_with(tmp_path, stopped: int) -> None:
    path = tmp_path / "history.csv"

    def fit_twice(model: CharRNN, stop: int, **options: object) -> CharRNN:
        options = {"history_file": path, "callbacks": [stopping_after(stop)], **options}
        model.fit(VERSE, steps=4, checkpoint=tmp_path / "first", **options)
        return model.fit(VERSE[:500], steps=6, checkpoint=tmp_path / "second", **options)

    whole = fit_twice(CharRNN(hidden_size=4), 99)
    expected = path.read_bytes()
    for name in ("first", "second", "history.csv"):
        (tmp_path / name).unlink()
    fit_twice(CharRNN(hidden_size=4), stopped)
    model = fit_twice(CharRNN(hidden_size=4), 99, resume=True)
    assert model.history == whole.history
    assert path.read_bytes() == expected


@pytest.mark.parametrize("content", ["my notes\n", "step,loss\n1,2\n", HEADER[:-1] + ",\n", "\0"])
def test_a_file_that_is_no_history_is_left_alone(tmp_path, content: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text(content)
    model = CharRNN(hidden_size=4)
    with pytest.raises(ValueError, match=r"history\.csv' exists and is not a history that fastrnn"):
        model.fit(VERSE, steps=3, history_file=path)
    assert path.read_text() == content
    assert (model.network, model.history) == (None, [])


@pytest.mark.parametrize(
    ("path", "error"), [(5, TypeError), ("", ValueError), ("absent/file", FileNotFoundError)]
)
def test_a_file_that_cannot_be_is_refused_before_training(path, error) -> None:
    model = CharRNN(hidden_size=4)
    with pytest.raises(error, match=r"absent|history_file must be a path"):
        model.fit(VERSE, steps=3, history_file=path)
    assert model.history == []


# TensorBoard


def events(folder: Path) -> list[tuple[int, str, float]]:
    """Step, tag and value of all that TensorBoard would show of a folder's files."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    shown: list[tuple[int, str, float]] = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        start = 0
        while start < len(content):
            (length,) = struct.unpack("<Q", content[start : start + 8])
            event = Event.FromString(content[start + 12 : start + 12 + length])
            if event.session_log.status == SessionLog.START:
                shown = [entry for entry in shown if entry[0] < event.step]
            shown += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            start += 16 + length
    return shown


@needs_tensorboard
def test_tensorboard_shows_losses_and_learning_rate_once_after_a_resume(tmp_path) -> None:
    options = {"steps": 6, "validation": 0.2, "evaluate_every": 3, "checkpoint": tmp_path / "run"}
    options["tensorboard"] = tmp_path / "board"
    CharRNN(hidden_size=4).fit(VERSE, **options, callbacks=[stopping_after(4)])
    written = (tmp_path / "run").read_bytes()
    model = CharRNN(hidden_size=4)
    model.fit(VERSE, **options, resume=True, callbacks=[stopping_after(5)])
    (tmp_path / "run").write_bytes(written)  # as if killed before the next checkpoint
    model = CharRNN(hidden_size=4).fit(VERSE, **options, resume=True)
    shown = events(tmp_path / "board")
    tags = {"loss": "loss/training", "validation_loss": "loss/validation", "lr": "lr"}
    for key, tag in tags.items():
        expected = {r["step"]: r[key] for r in model.history if key in r}
        found = [(step, value) for step, name, value in shown if name == tag]
        assert len(found) == len(expected)
        assert dict(found) == pytest.approx(expected, rel=1e-6)


@needs_tensorboard
def test_a_training_with_nothing_left_to_do_writes_nothing(tmp_path) -> None:
    board, path = tmp_path / "board", tmp_path / "history.csv"
    options = {"steps": 3, "checkpoint": tmp_path / "run"}
    options |= {"tensorboard": board, "history_file": path}
    CharRNN(hidden_size=4).fit(VERSE, **options)
    path.write_text(path.read_text() + "4,99,0.1,1.0,\n")
    before = path.read_text(), [(file, file.read_bytes()) for file in board.iterdir()]
    CharRNN(hidden_size=4).fit(VERSE, **options, resume=True)
    assert before == (path.read_text(), [(file, file.read_bytes()) for file in board.iterdir()])


def test_without_tensorboardx_the_error_names_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    path = tmp_path / "history.csv"
    model = CharRNN(hidden_size=4)
    with pytest.raises(ImportError, match=r"'fastrnn\[tensorboard\]'"):
        model.fit(VERSE, steps=3, tensorboard=tmp_path / "board", history_file=path)
    assert (model.network, model.history) == (None, [])


def test_importing_the_package_does_not_import_tensorboardx() -> None:
    import subprocess

    code = "import sys, fastrnn; print('tensorboardX' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"
