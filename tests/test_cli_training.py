"""``fastrnn train``: going on, held-out text, files on the way, fine-tuning."""

from __future__ import annotations

import gzip
import io
import math
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastrnn
from fastrnn import CharRNN
from fastrnn.command import cli
from fastrnn.command.recipe import recipe

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 40
SMALL = ["--hidden-size", "8", "--epochs", "3", "--lr", "0.01", "--quiet"]


@pytest.fixture(autouse=True)
def in_a_folder_with_a_text(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text(VERSE)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    status = cli.main(["train", *arguments])
    return (status, *capsys.readouterr())


def done(capsys, *arguments: str) -> str:
    status, output, errors = run(capsys, *arguments)
    assert (status, errors) == (0, "")
    return output


def refused(capsys, *arguments: str) -> str:
    """Run a command that must fail with one line on standard error, and return that line."""
    status, _, errors = run(capsys, *arguments)
    assert status == 1
    assert errors.startswith("fastrnn: error: ")
    assert errors.count("\n") == 1
    return errors


def interrupt_after(monkeypatch, step: int):
    """Interrupt the training, as Ctrl-C does, when so many of its steps are made."""
    original = fastrnn.training.train.Training._step
    calls = [0]

    def interrupted(self, *arguments):
        record = original(self, *arguments)
        calls[0] += 1
        if calls[0] == step:
            raise KeyboardInterrupt
        return record

    monkeypatch.setattr(fastrnn.training.train.Training, "_step", interrupted)


# Going on


def test_an_interrupted_training_goes_on_to_the_same_model(capsys, monkeypatch) -> None:
    done(capsys, "text", *SMALL, "--out", "whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 20)
        status, _, errors = run(capsys, "text", *SMALL, "--checkpoint", "run", "--out", "m")
    assert status == 130
    assert errors == (
        "fastrnn: interrupted after 20 training steps; the model as it is was saved to m; "
        "--resume run goes on\n"
    )
    output = done(capsys, "text", "--quiet", "--resume", "run", "--out", "m")
    assert "resuming   run, after step 20\n" in output
    assert "before training" not in output
    assert Path("m").read_bytes() == Path("whole").read_bytes()


def test_options_that_are_not_given_are_as_they_were(capsys, monkeypatch) -> None:
    options = ["--epochs", "2", "--clip", "0", "--schedule", "step_decay", "--lr-decay", "0.5"]
    options += ["--validation", "0.2", "--patience", "9", "--evaluate-every", "7", "--seed", "3"]
    options += ["--nonlinearity", "relu", "--seq-len", "20", "--dropout", "0.3", "--lr", "0.002"]
    done(capsys, "text", "--hidden-size", "8", "--quiet", *options, "--out", "whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 15)
        first = ["text", "--hidden-size", "8", "--quiet", *options, "--checkpoint", "run"]
        assert run(capsys, *first)[0] == 130
    done(capsys, "text", "--quiet", "--resume", "run", "--out", "m")
    assert Path("m").read_bytes() == Path("whole").read_bytes()


def test_resume_begins_where_there_is_no_checkpoint(capsys) -> None:
    output = done(capsys, "text", *SMALL, "--resume", "run")
    assert "resuming" not in output
    assert "; checkpoints in run; Ctrl-C" in output


def test_resuming_a_finished_training_says_how_to_train_further(capsys) -> None:
    done(capsys, "text", *SMALL, "--checkpoint", "run")
    resumed = done(capsys, "text", *SMALL, "--resume", "run")
    advice = re.search(r"after step \d+, its last: (--from run) trains its model further", resumed)
    assert advice is not None
    further = done(capsys, "text", *SMALL, *advice[1].split(), "--out", "further")
    assert "resuming" not in further


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["text", "--lr", "0.5"], "'run' was made with --lr 0.01, this training has --lr 0.5"),
        (["text", "--epochs", "4"], "made with --epochs 3, this training has --epochs 4"),
        (["text", "--hidden-size", "9"], "--hidden-size 9 is not that of 'run', which has 8"),
        (["text", "--cell", "gru"], "--cell 'gru' is not that of 'run', which has 'lstm'"),
        (["other"], "made with a text of 1,656 characters with SHA-256"),
        (["text", "--validation", "0.3"], "--validation None, this training has --validation 0.3"),
        (["text", "--checkpoint", "other"], "--checkpoint and --resume must name one file"),
        (["text", "--out", "run"], "--checkpoint and --out must be two files"),
    ],
)
def test_what_is_not_the_training_of_the_checkpoint_is_refused(capsys, arguments, message) -> None:
    Path("other").write_text(VERSE.replace("mat", "zoo"))
    done(capsys, "text", *SMALL, "--checkpoint", "run")
    before = Path("run").read_bytes()
    assert message in refused(capsys, *arguments, "--quiet", "--resume", "run")
    assert Path("run").read_bytes() == before


@pytest.mark.parametrize("option", ["--patience", "--evaluate-every"])
def test_what_needs_validation_is_refused_before_anything_is_measured(
    capsys, monkeypatch, option
) -> None:
    monkeypatch.setattr(CharRNN, "evaluate", lambda *_, **__: pytest.fail("it was measured"))
    assert f"{option} needs --validation" in refused(capsys, "text", *SMALL, option, "3")


def test_a_new_training_does_not_overwrite_a_checkpoint_or_another_file(
    capsys, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(patch, 5)
        run(capsys, "text", *SMALL, "--checkpoint", "run")
    message = refused(capsys, "text", *SMALL, "--checkpoint", "run")
    assert (
        "'run' holds a training that is not finished; go on with it by --resume FILE, or delete it"
        in message
    )
    message = refused(capsys, "text", *SMALL, "--checkpoint", "text")
    assert "checkpoint 'text' exists and is not a checkpoint that this fastrnn reads" in message
    assert Path("text").read_text() == VERSE


def test_a_model_is_no_checkpoint(capsys) -> None:
    CharRNN(hidden_size=8, vocabulary=VERSE).save("model")
    message = refused(capsys, "text", "--resume", "model")
    assert "'model' is a model but not a checkpoint; --from goes on from a model" in message


def test_info_says_how_far_a_checkpoint_has_come(capsys, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(patch, 5)
        run(capsys, "text", *SMALL, "--checkpoint", "run")
    cli.main(["info", "run"])
    assert "checkpoint after step 5, to be gone on with by --resume" in capsys.readouterr().out
    done(capsys, "text", *SMALL, "--resume", "run")
    cli.main(["info", "run"])
    assert re.search(r"checkpoint after step \d+, finished", capsys.readouterr().out)


# Held-out text


def test_a_share_is_held_out_evaluated_and_measured(capsys) -> None:
    output = done(capsys, "text", *SMALL, "--validation", "0.25", "--out", "m")
    assert "1,840 characters, 14 distinct; the last 460 are held out" in output
    kept = re.search(r"; kept: step [\d,]+, validation ([\d.]+)\n", output)
    after = re.findall(r"([\d.]+) nats", output)[1]
    assert kept is not None
    assert float(kept[1]) == pytest.approx(float(after), abs=2e-4)
    assert f"{fastrnn.load('m').evaluate(VERSE[-460:])['loss']:.4f}" == after


def test_a_text_of_its_own_leaves_the_other_whole(capsys) -> None:
    Path("held").write_text("the zebra sat on the log\n" * 5)
    output = done(capsys, "text", *SMALL, "--validation", "held", "--out", "m")
    assert "1,840 characters, 14 distinct; held, 125 characters, is held out" in output
    assert "vocabulary 17 characters; unknown characters are refused" in output
    expected = CharRNN("lstm", 8, vocabulary=VERSE + "zebra")
    assert fastrnn.load("m").vocabulary == expected.vocabulary


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--validation", "absent"], "'absent': No such file"),
        (["--validation", "1.5"], "--validation must be less than 1, got 1.5"),
        (["--validation", "nan"], "--validation must be finite"),
        (["--validation", "0.99"], "--validation 0.99 leaves 19 characters to learn from"),
        (["--patience", "3"], "--patience needs --validation, a share of"),
        (["--evaluate-every", "3"], "--evaluate-every needs --validation"),
        (["--checkpoint-every", "3"], "--checkpoint-every needs checkpoint, the file"),
        (["--checkpoint-minutes", "3"], "--checkpoint-minutes needs checkpoint"),
        (["--lr-decay", "0.5"], "--lr-decay is for schedule 'step_decay'"),
        (["--schedule", "one_cycle", "--warmup", "0.1"], "--warmup must be 0 with schedule"),
        (["--keep-vocabulary"], "--keep-vocabulary needs --from"),
        (["--history", "text"], "FILE and --history must be two files, got 'text' twice"),
        (["--out", "text", "--force"], "FILE and --out must be two files"),
        (["--checkpoint", "./new", "--history", "new"], "--checkpoint and --history must be two"),
        (["--history", "new", "--out", "new"], "--history and --out must be two files"),
        (["--out", "new", "--resume", "new"], "--checkpoint and --out must be two files"),
        (["--cell", "jordan", "--dropout", "0.3"], "--dropout must be 0 with cell 'jordan', which"),
        (["--cell", "jordan", "--tied"], "--tied needs a read-out, whose rows are"),
        (["--from", "absent"], "'absent': No such file"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(capsys, arguments, message) -> None:
    assert message in refused(capsys, "text", *SMALL, *arguments)
    assert os.listdir() == ["text"]
    assert Path("text").read_text() == VERSE


def test_a_held_out_text_and_a_history_are_two_files(capsys) -> None:
    Path("held").write_text("step,chars,lr,loss,validation_loss\n" * 9)
    before = Path("held").read_bytes()
    message = refused(capsys, "text", *SMALL, "--validation", "held", "--history", "held")
    assert "--validation and --history must be two files, got 'held' twice" in message
    assert Path("held").read_bytes() == before


def test_a_held_out_text_without_a_name_is_a_wrong_option(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "text", "--validation", ""])
    message = capsys.readouterr().err
    assert "argument --validation: it must be a share of the text, or the name of a file" in message


def test_what_is_kept_is_said_of_the_step_and_not_of_a_merged_record(capsys, monkeypatch) -> None:
    monkeypatch.setattr("fastrnn.training.history.MOST_RECORDS", 4)
    Path("held").write_text(VERSE[::-1])  # what is learned of a verse soon predicts it worse
    options = ["--validation", "held", "--evaluate-every", "1", "--lr", "0.1"]
    done(capsys, "text", *SMALL, *options, "--history", "curve.csv", "--checkpoint", "run")
    rows = [line.split(",") for line in Path("curve.csv").read_text().splitlines()[1:]]
    loss, step = min((float(row[4]), int(row[0])) for row in rows)
    assert step < len(rows)
    said = f"; kept: step {step:,}, validation {loss:.4f}\n"
    for option in ("--checkpoint", "--resume"):
        assert said in done(capsys, "text", *SMALL, *options, option, "run")


# Files on the way


def test_the_curve_is_written(capsys) -> None:
    done(capsys, "text", *SMALL, "--history", "curve.csv", "--schedule", "one_cycle")
    rows = Path("curve.csv").read_text().splitlines()
    assert rows[0] == "step,chars,lr,loss,validation_loss"
    assert float(rows[1].split(",")[2]) == pytest.approx(0.01 / 25)


def test_tensorboard_gets_its_folder(capsys) -> None:
    pytest.importorskip("tensorboardX", reason="of the extra fastrnn[tensorboard]")
    done(capsys, "text", *SMALL, "--tensorboard", "board")
    assert len(os.listdir("board")) == 1


def test_without_tensorboardx_one_line_names_the_extra(capsys, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    message = refused(capsys, "text", *SMALL, "--tensorboard", "board")
    assert "python -m pip install 'fastrnn[tensorboard]'" in message


@pytest.mark.parametrize("held_out", [[], ["--validation", "0.2", "--evaluate-every", "2"]])
@pytest.mark.parametrize("failure", [float("inf"), MemoryError("3 GiB")])
def test_a_step_that_fails_does_not_lose_the_training(
    capsys, monkeypatch, failure, held_out
) -> None:
    original, calls = fastrnn.Network.loss_and_grad, [0]

    def failing(*arguments, **rest):
        calls[0] += 1
        if calls[0] == 8 and isinstance(failure, Exception):
            raise failure
        loss, state = original(*arguments, **rest)
        return (failure if calls[0] == 8 else loss), state

    with monkeypatch.context() as patch:
        patch.setattr(fastrnn.Network, "loss_and_grad", failing)
        status, _, errors = run(capsys, "text", *SMALL, *held_out, "--out", "m")
    assert status == 1
    saved, error = errors.splitlines()
    assert saved == "fastrnn: the model as it is was saved to m"
    assert re.match(r"fastrnn: error: (3 GiB|the loss of training step 8 is not finite)", error)
    assert fastrnn.load("m").evaluate(VERSE)["loss"] < math.log(14)  # that of a new model


def test_a_first_step_that_fails_saves_nothing(capsys, monkeypatch) -> None:
    monkeypatch.setattr(fastrnn.Network, "loss_and_grad", lambda *_, **__: (float("nan"), None))
    assert "training step 1 is not finite" in refused(capsys, "text", *SMALL, "--out", "m")
    assert not Path("m").exists()


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_resume_that_ends_before_its_first_step_saves_nothing(
    capsys, monkeypatch, failure
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(patch, 20)
        assert run(capsys, "text", *SMALL, "--resume", "run", "--out", "m")[0] == 130
    Path("m").unlink()

    def fail(*_):
        raise failure

    monkeypatch.setattr(fastrnn.training.resume, "check_room", fail)
    status, _, errors = run(capsys, "text", "--quiet", "--resume", "run", "--out", "m")
    assert status == (1 if isinstance(failure, OSError) else 130)
    assert errors in (
        "fastrnn: error: [Errno 28] No space left on device\n",
        "fastrnn: interrupted before another training step, nothing saved\n",
    )
    assert not Path("m").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.update(facts={}),
        lambda entry: entry["facts"].pop("finished"),
        lambda entry: entry["facts"].update(step="x"),
        lambda entry: entry["facts"].update(chars=None),
        lambda entry: entry["options"].update(validation={}),
        lambda entry: entry["options"].update(validation="text"),
        lambda entry: entry["options"].update(lr="high"),
        lambda entry: entry["options"].update(out="elsewhere"),
        lambda entry: entry["options"].update(unknown=3),
        lambda entry: entry["options"].pop("grow_vocabulary"),
        lambda entry: entry.update(options={}),
    ],
)
def test_a_forged_checkpoint_is_refused_in_one_line(capsys, monkeypatch, change) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(patch, 5)
        run(capsys, "text", *SMALL, "--checkpoint", "run")
    with fastrnn.checkpoint.opened("run") as file:
        description, tensors = file.description, file.tensors()
    entry = description["training"]
    change(entry)
    del entry["sha256"]
    entry["sha256"] = fastrnn.training.resume._digest(entry)
    fastrnn.checkpoint.write("run", description, tensors)
    assert "'run' cannot be gone on with, its parts do not fit: " in refused(
        capsys, "text", "--quiet", "--resume", "run"
    )
    assert cli.main(["info", "run"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("fastrnn: error: 'run' cannot be gone on with, its parts do not fit: ")


@pytest.mark.parametrize(
    "options",
    [{"steps": 30}, {"minutes": 0.01}, {}, {"epochs": 2, "clip_value": 0.1}, {"clip_norm": None}],
    ids=lambda options: "".join(options),
)
def test_a_training_from_python_goes_on(capsys, options) -> None:
    options = {**options, "batch_size": 2, "validation": 0.2, "grow_vocabulary": True}

    def stop(step: fastrnn.TrainingStep) -> None:
        if step.step == 3:
            raise fastrnn.StopTraining

    CharRNN(hidden_size=8).fit(VERSE, **options, checkpoint="run", callbacks=[stop])
    output = done(capsys, "text", "--quiet", "--resume", "run", "--out", "m")
    assert "resuming   run, after step 3" in output
    if "minutes" not in options:
        CharRNN(hidden_size=8).fit(VERSE, **options).save("whole")
        assert Path("m").read_bytes() == Path("whole").read_bytes()


# Fine-tuning

NEW = "the zebra sat at the zoo!\n" * 60


@pytest.fixture
def base() -> str:
    CharRNN("gru", 8, seed=5).fit(VERSE, steps=20).save("base")
    Path("new").write_text(NEW)
    return "base"


def test_from_goes_on_with_a_model_and_its_vocabulary_grows(capsys, base) -> None:
    output = done(capsys, "new", "--from", base, "--epochs", "2", "--quiet", "--out", "m")
    assert "gru, 8 hidden units" in output
    assert "parameters, with 4 new characters: '!brz'" in output
    assert "measuring  the given model" in output
    losses = [float(loss) for loss in re.findall(r"([\d.]+) nats", output)]
    assert losses[1] < losses[0]
    model = fastrnn.load("m")
    assert set(model.vocabulary) == {*VERSE, *NEW}
    assert (model.cell, model.hidden_size, model.seed) == ("gru", 8, 5)


def test_the_vocabulary_may_be_kept(capsys, base) -> None:
    message = refused(capsys, "new", "--from", base, "--epochs", "1", "--keep-vocabulary")
    assert "holds the character 'z' (U+007A)" in message
    Path("new").write_text(NEW.translate(dict.fromkeys(map(ord, "zebr!"), "o")))
    options = ["--epochs", "1", "--keep-vocabulary", "--quiet", "--out", "m"]
    done(capsys, "new", "--from", base, *options)
    assert fastrnn.load("m").vocabulary == fastrnn.load(base).vocabulary


def test_what_is_gone_on_with_is_not_replaced_on_the_way(capsys, base) -> None:
    CharRNN("gru", 8).fit(VERSE, steps=9, checkpoint="finished")
    for file in (base, "finished"):
        before = Path(file).read_bytes()
        for option in ("--checkpoint", "--resume"):
            message = refused(capsys, "new", "--from", file, option, file)
            assert f"--from and --checkpoint must be two files, got '{file}' twice" in message
        assert Path(file).read_bytes() == before


def test_its_learning_rate_is_half_of_a_new_one_s_unless_given(capsys, base) -> None:
    for options, factor in (([], 0.5), (["--lr", "0.004"], None)):
        arguments = ["new", "--from", base, "--epochs", "1", "--schedule", "constant", *options]
        done(capsys, *arguments, "--warmup", "0", "--quiet", "--history", "curve")
        rate = float(Path("curve").read_text().splitlines()[1].split(",")[2])
        new = recipe(len(NEW), cell="gru").lr
        assert rate == (0.004 if factor is None else factor * new)


def test_a_training_that_diverges_keeps_the_model_that_was_there(capsys) -> None:
    assert run(capsys, "text", *SMALL, "--out", "m")[0] == 0
    before = Path("m").read_bytes()
    status, _, errors = run(capsys, "text", *SMALL, "--lr", "1e30", "--out", "m")
    assert status == 1
    kept, error = errors.splitlines()
    assert kept == "fastrnn: m was kept as it was before this training"
    assert "is not finite" in error
    assert Path("m").read_bytes() == before


def test_a_checkpoint_that_cannot_be_written_does_not_lose_the_training(
    capsys, monkeypatch
) -> None:
    original = fastrnn.checkpoint.write

    def full(path, *arguments):
        if str(path) == "run":
            raise OSError(28, "No space left on device", "run")
        original(path, *arguments)

    monkeypatch.setattr(fastrnn.checkpoint, "write", full)
    options = ["--checkpoint", "run", "--checkpoint-every", "5", "--out", "m"]
    status, _, errors = run(capsys, "text", *SMALL, *options)
    assert status == 1
    assert errors.splitlines() == [
        "fastrnn: the model as it is was saved to m",
        "fastrnn: error: 'run': No space left on device",
    ]
    assert fastrnn.load("m").hidden_size == 8


def test_settings_that_are_not_the_model_s_are_refused(capsys, base) -> None:
    message = refused(capsys, "new", "--from", base, "--hidden-size", "9")
    assert "--hidden-size 9 is not that of 'base', which has 8" in message
    done(capsys, "new", "--from", base, "--hidden-size", "8", "--epochs", "1", "--quiet")


def test_an_interrupted_fine_tuning_goes_on_to_the_same_model(capsys, base, monkeypatch) -> None:
    options = ["new", "--from", base, "--epochs", "3", "--quiet", "--seq-len", "20"]
    done(capsys, *options, "--out", "whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 5)
        assert run(capsys, *options, "--resume", "run", "--out", "m")[0] == 130
    for again in (options, ["new", "--quiet"]):
        done(capsys, *again, "--resume", "run", "--out", "m")
        assert Path("m").read_bytes() == Path("whole").read_bytes()


# Texts, symbols and unknown characters


def test_a_training_on_several_files_goes_on_and_may_be_held_out_from_one(
    capsys, monkeypatch
) -> None:
    Path("held").write_bytes(gzip.compress(VERSE[:300].encode()))
    Path("part.1").write_text(VERSE[:500])
    Path("part.2").write_bytes(gzip.compress(VERSE[500:].encode()))
    options = [*SMALL, "--validation", "held"]
    done(capsys, "text", *options, "--out", "whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 20)
        assert run(capsys, "part.*", *options, "--resume", "run", "--out", "m")[0] == 130
    stdin = SimpleNamespace(buffer=io.BytesIO(VERSE[:500].encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    output = done(capsys, "-", "part.2", *options, "--resume", "run", "--out", "m")
    assert "standard input, part.2: 1,840 characters, 14 distinct; held, 300" in output
    assert "resuming   run, after step 20" in output
    assert Path("m").read_bytes() == Path("whole").read_bytes()


def test_standard_input_is_one_text(capsys) -> None:
    message = refused(capsys, "-", *SMALL, "--validation", "-")
    assert "FILE and --validation must be two texts, got standard input, '-', twice" in message


def test_a_model_of_bytes_goes_on(capsys, monkeypatch) -> None:
    Path("script").write_text("日本語 naïve\n" * 90, encoding="utf-8")
    options = ["script", *SMALL, "--symbols", "bytes", "--validation", "0.1"]
    done(capsys, *options, "--out", "whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        assert run(capsys, *options, "--checkpoint", "run", "--out", "m")[0] == 130
    cli.main(["info", "run"])
    said = capsys.readouterr().out
    assert "symbols    256 bytes, of UTF-8\nunknown    characters are refused\n" in said
    assert "checkpoint after step 3, to be gone on with by --resume" in said
    message = refused(capsys, "script", "--resume", "run", "--symbols", "chars")
    assert "--symbols 'chars' is not that of 'run', which has 'bytes'" in message
    output = done(capsys, "script", "--quiet", "--resume", "run", "--out", "m")
    assert " bytes/s; kept: step" in output
    assert Path("m").read_bytes() == Path("whole").read_bytes()


def test_rare_characters_and_the_policy_for_them_are_as_they_were(capsys, monkeypatch) -> None:
    Path("held").write_text("the zebra sat on the log\n" * 5)
    Path("text").write_text(VERSE + "éü" + VERSE, encoding="utf-8")
    rare = ["--min-count", "2", "--unknown", "skip"]
    options = ["text", *SMALL, "--validation", "held"]
    done(capsys, *options, *rare, "--out", "whole")
    assert fastrnn.load("whole").vocabulary == "".join(sorted(set(VERSE)))
    for again in ([], ["--unknown", "skip"], rare):
        Path("run").unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            interrupt_after(patch, 20)
            assert run(capsys, *options, *rare, "--checkpoint", "run")[0] == 130
        done(capsys, *options, *again, "--resume", "run", "--out", "m")
        assert Path("m").read_bytes() == Path("whole").read_bytes()
    message = refused(capsys, *options, "--resume", "run", "--unknown", "error")
    assert "'run' was made with --unknown 'skip', this training has --unknown 'error'" in message
    message = refused(capsys, *options, "--resume", "run", "--min-count", "200")
    assert "--min-count 200 is not that of 'run', whose model has another" in message


def test_a_policy_for_fine_tuning_is_instead_of_new_characters(capsys, base) -> None:
    options = ["new", "--from", base, "--epochs", "1", "--quiet", "--out", "m"]
    done(capsys, *options, "--unknown", "skip")
    model = fastrnn.load("m")
    assert (model.unknown, model.vocabulary) == ("skip", fastrnn.load(base).vocabulary)
    assert "unknown must be 'error', 'skip' or one character" in refused(
        capsys, *options, "--unknown", "z"
    )
    # A model that has a policy keeps it, and its vocabulary.
    output = done(capsys, "new", "--from", "m", "--epochs", "1", "--quiet", "--out", "m2")
    assert "new character" not in output
    assert fastrnn.load("m2").vocabulary == model.vocabulary
    with pytest.raises(SystemExit):
        cli.main(["train", *options, "--min-count", "2", "--unknown", "skip"])
    assert "argument --min-count: not with --from" in capsys.readouterr().err


def test_a_model_of_bytes_is_fine_tuned(capsys) -> None:
    CharRNN("gru", 8, symbols="bytes").fit(VERSE, steps=5).save("base")
    Path("new").write_text("日本語\n" * 90, encoding="utf-8")
    output = done(capsys, "new", "--from", "base", "--epochs", "1", "--quiet", "--out", "m")
    assert "new character" not in output
    assert fastrnn.load("m").symbols == "bytes"
