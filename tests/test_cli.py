"""The command line: what it prints, what it refuses, and its exit status."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastrnn
from fastrnn.command import cli, train_command
from fastrnn.command.recipe import recipe

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 40
SMALL = ["--hidden-size", "16", "--epochs", "3", "--lr", "0.01", "--quiet"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def text() -> str:
    Path("verse.txt").write_text(VERSE)
    return "verse.txt"


@pytest.fixture
def model() -> str:
    fastrnn.CharRNN(hidden_size=8, vocabulary=VERSE).save("model")
    return "model"


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    status = cli.main(arguments)
    return (status, *capsys.readouterr())


def refused(capsys, *arguments: str) -> str:
    """Run a command that must fail with one line on standard error, and return that line."""
    status, _, errors = run(capsys, *arguments)
    assert status == 1
    assert errors.startswith("fastrnn: error: ")
    assert errors.count("\n") == 1
    assert errors.endswith("\n")
    return errors


# train


def test_train_reports_held_out_scores_a_sample_and_the_next_command(capsys, text) -> None:
    status, output, errors = run(capsys, "train", text, *SMALL)
    assert (status, errors) == (0, "")
    assert "1,840 characters, 14 distinct; the last 184 are held out" in output
    losses = [float(loss) for loss in re.findall(r"([\d.]+) nats", output)]
    bits = [float(bits) for bits in re.findall(r"([\d.]+) bits per character", output)]
    assert losses[1] < 0.95 * losses[0]
    assert bits == pytest.approx([loss * 1.4427 for loss in losses], rel=1e-3)
    assert "saved      fastrnn-model.safetensors" in output
    assert output.endswith("next       fastrnn generate fastrnn-model.safetensors --prompt=the\n")


def test_what_train_reports_is_what_evaluate_measures(capsys, text) -> None:
    _, output, _ = run(capsys, "train", text, *SMALL, "--out", "m")
    after = re.findall(r"([\d.]+) nats", output)[1]
    held_out = fastrnn.load("m").evaluate(VERSE[-184:])
    assert f"{held_out['loss']:.4f}" == after


@pytest.mark.parametrize("start", ["the", "---", "it's", "\u3000"])
def test_the_suggested_command_runs(capsys, start: str) -> None:
    Path("a text").write_text(start + " " + VERSE, encoding="utf-8")
    _, output, _ = run(capsys, "train", "a text", *SMALL, "--out", "a model")
    command = shlex.split(output.splitlines()[-1])[2:]
    status, output, _ = run(capsys, *command)
    assert status == 0
    assert output.startswith(start.strip())
    assert len(output) == len(command[-1].removeprefix("--prompt=")) + 501


def test_train_options_reach_the_model(capsys, text) -> None:
    options = ["--nonlinearity", "relu", "--seed", "5", "--threads", "1", "--batch-size", "2"]
    options += ["--seq-len", "20", "--optimizer", "rmsprop", "--schedule", "constant"]
    assert run(capsys, "train", text, *SMALL, *options, "--clip", "0", "--out", "m")[0] == 0
    expected = fastrnn.CharRNN("rnn", 16, nonlinearity="relu", seed=5, vocabulary=VERSE)
    expected.fit(
        VERSE[:-184],
        epochs=3,
        lr=0.01,
        batch_size=2,
        seq_len=20,
        optimizer="rmsprop",
        schedule="constant",
        warmup=recipe(len(VERSE)).warmup,
        dropout=recipe(len(VERSE)).dropout,
        weight_decay=recipe(len(VERSE)).weight_decay,
        clip_norm=None,
    )
    expected.save("expected")
    assert Path("m").read_bytes() == Path("expected").read_bytes()


@pytest.fixture
def threads_used(monkeypatch) -> list[tuple[str, object]]:
    """What the models' methods are told about threads, in the order of the calls."""
    told: list[tuple[str, object]] = []
    for name in ("fit", "evaluate"):
        original = getattr(fastrnn.CharRNN, name)

        @functools.wraps(original)
        def watched(self, *arguments, name=name, original=original, **options):
            told.append((name, options.get("num_threads")))
            return original(self, *arguments, **options)

        monkeypatch.setattr(fastrnn.CharRNN, name, watched)
    return told


def test_the_threads_asked_for_are_those_used(capsys, text, model, threads_used) -> None:
    run(capsys, "train", text, *SMALL, "--threads", "3")
    run(capsys, "evaluate", model, text, "--threads", "5")
    assert threads_used == [("evaluate", 3), ("fit", 3), ("evaluate", 3), ("evaluate", 5)]


def options_of_fit(capsys, monkeypatch, *arguments: str) -> dict[str, object]:
    """What ``fastrnn train`` gives to ``fit``, and its model."""
    given: dict[str, object] = {}

    @functools.wraps(fastrnn.CharRNN.fit)
    def watched(model, text, **options):
        given.update(options, model=model)
        raise KeyboardInterrupt

    monkeypatch.setattr(fastrnn.CharRNN, "fit", watched)
    assert run(capsys, "train", *arguments)[0] == 130
    return given


def test_what_is_not_given_suits_the_text_and_the_time(capsys, text, monkeypatch) -> None:
    given = options_of_fit(capsys, monkeypatch, text)
    model = given.pop("model")
    expected = dataclasses.asdict(recipe(len(VERSE), 1.0))
    assert (model.cell, model.hidden_size) == (expected.pop("cell"), expected.pop("hidden_size"))
    assert given.pop("minutes") == 1.0
    assert {name: given[name] for name in expected} == expected


def test_passes_are_made_without_a_time_limit_unless_one_is_given(
    capsys, text, monkeypatch
) -> None:
    given = options_of_fit(capsys, monkeypatch, text, "--epochs", "7")
    assert (given["epochs"], given["minutes"]) == (7, None)
    given = options_of_fit(capsys, monkeypatch, text, "--epochs", "7", "--minutes", "2")
    assert (given["epochs"], given["minutes"]) == (7, 2.0)


def test_a_nonlinearity_asks_for_an_elman_network(capsys, text, monkeypatch) -> None:
    given = options_of_fit(capsys, monkeypatch, text, "--nonlinearity", "relu")
    assert (given["model"].cell, given["model"].nonlinearity) == ("rnn", "relu")


def test_a_recipe_for_a_short_text_drops_out_more_and_passes_fewer_times() -> None:
    chosen = [recipe(chars) for chars in (1_000_000, 500_000, 150_000, 30_000)]
    assert [one.dropout for one in chosen] == [0.2, 0.4, 0.5, 0.5]
    assert [one.epochs for one in chosen] == [20, 20, 24, 60]
    assert recipe(150_000, 0.1).dropout == 0  # few passes of it
    assert recipe(1).dropout == 0.5


def test_a_recipe_grows_with_text_and_time() -> None:
    sizes = [
        recipe(chars, minutes).hidden_size
        for chars, minutes in (
            (1_000, 1.0),
            (100_000, 1.0),
            (1_000_000, 0.03),
            (1_000_000, 0.2),
            (1_000_000, 1.0),
        )
    ]
    assert sizes[0] < sizes[1] < sizes[4]
    assert sizes[2] < sizes[3] < sizes[4]


def test_every_nonlinearity_can_be_trained(capsys, text) -> None:
    for nonlinearity in fastrnn._ops.NONLINEARITIES:
        arguments = ("train", text, *SMALL, "--nonlinearity", nonlinearity)
        assert run(capsys, *arguments)[0] == 0


def test_the_suggested_prompt_is_the_first_word_up_to_twenty_characters(capsys) -> None:
    for word in ("abc", "x" * 20, "x" * 30):
        Path("text").write_text(f"\n {word} " + VERSE)
        _, output, _ = run(capsys, "train", "text", *SMALL)
        assert output.endswith(f" --prompt={word[:20]}\n")


def test_train_without_a_file_learns_from_python_s_help(capsys, monkeypatch) -> None:
    monkeypatch.setattr(train_command, "python_help", lambda: VERSE)
    status, output, _ = run(capsys, "train", *SMALL)
    assert status == 0
    assert "Python's help (pydoc_data.topics): 1,840 characters" in output


def test_train_reads_standard_input(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(VERSE.encode())))
    status, output, _ = run(capsys, "train", "-", *SMALL)
    assert status == 0
    assert "standard input: 1,840 characters" in output


def test_train_shows_progress_unless_quiet(capsys, text) -> None:
    _, _, errors = run(capsys, "train", text, *SMALL[:-1])
    assert "char/s" in errors


def test_held_out_characters_are_known_even_if_the_rest_lacks_them(capsys) -> None:
    Path("text").write_text("abc" * 100 + "é", encoding="utf-8")
    assert run(capsys, "train", "text", *SMALL)[0] == 0


def test_train_replaces_an_older_model_but_nothing_else(capsys, text, model) -> None:
    assert run(capsys, "train", text, *SMALL, "--out", model)[0] == 0
    message = refused(capsys, "train", text, *SMALL, "--out", text)
    assert "'verse.txt' exists and is not a fastrnn model" in message
    assert Path(text).read_text() == VERSE
    message = refused(capsys, "train", text, *SMALL, "--out", text, "--force")
    assert "FILE and --out must be two files, got 'verse.txt' twice" in message
    assert Path(text).read_text() == VERSE
    Path("notes").write_text("to be overwritten")
    assert run(capsys, "train", text, *SMALL, "--out", "notes", "--force")[0] == 0
    assert fastrnn.load("notes").hidden_size == 16


@pytest.mark.parametrize("out", ["absent/model", ".", os.devnull])
def test_an_output_that_cannot_be_written_is_refused_before_training(
    capsys, text, monkeypatch, out
) -> None:
    monkeypatch.setattr(
        "fastrnn.training.train.Training.run", lambda *_, **__: pytest.fail("it trained")
    )
    assert out in refused(capsys, "train", text, "--out", out, "--force")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\0\1\2", "binary"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"short", "5 characters, of which 10% are held out and 3 left to learn from"),
        (b"short", "use a longer text, or a --seq-len below 3"),
        (b"a", "1 character, of which 10% are held out and 0 left"),
    ],
)
def test_a_text_that_cannot_be_learned_is_refused(capsys, content, message) -> None:
    Path("text").write_bytes(content)
    assert message in refused(capsys, "train", "text")
    assert os.listdir() == ["text"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--hidden-size", "2000000000", "GiB"),
        ("--lr", "1e300", "well below --lr 1e+300 or a smaller --clip than 1"),
        ("--seq-len", "5000", "needs at least 5,001"),
    ],
)
def test_train_refuses_what_cannot_be_done_in_one_line(
    capsys, text, option, value, message
) -> None:
    assert message in refused(capsys, "train", text, *SMALL, option, value)
    assert os.listdir() == ["verse.txt"]


def usage_error(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"usage: fastrnn {arguments[0]} ")
    return errors.splitlines()[-1]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--hidden-size", "0", "it must be between 1 and 2147483647, got 0"),
        ("--epochs", "0", "it must be between 1"),
        ("--epochs", "many", "it must be a whole number, got 'many'"),
        ("--lr", "-1", "it must be greater than 0, got -1"),
        ("--lr", "nan", "it must be finite"),
        ("--lr", "fast", "it must be a number, got 'fast'"),
        ("--clip", "-1", "it must be at least 0, got -1"),
        ("--seed", "-1", "it must be between 0"),
        ("--threads", "0", "it must be between 1"),
        ("--batch-size", "0", "it must be between 1"),
        ("--out", "-", "a model is saved to a file, whose name was expected, got '-'"),
        ("--out", "", "a model is saved to a file, whose name was expected, got ''"),
    ],
)
def test_a_value_that_is_wrong_in_itself_is_refused_before_the_text_is_read(
    capsys, option, value, message
) -> None:
    line = usage_error(capsys, "train", "no such text", option, value)
    assert line.startswith("fastrnn train: error: argument ")
    assert f"{option}: {message}" in line


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--temperature", "-1", "it must be at least 0"),
        ("--top-p", "2", "it must be at most 1"),
        ("--top-p", "0", "it must be greater than 0"),
        ("--top-k", "0", "it must be between 1"),
        ("--length", "0", "it must be between 1"),
        ("--num-samples", "0", "it must be between 1"),
        ("--prompt", "caf\udce9", r"'caf\udce9' is not valid text in this locale"),
        ("--unknown", "\udce9", r"'\udce9' is not valid text in this locale"),
        ("--unknown", "xyz", "it must be 'error', 'skip' or one character, got 'xyz'"),
    ],
)
def test_generate_refuses_a_value_that_is_wrong_in_itself(capsys, option, value, message) -> None:
    line = usage_error(capsys, "generate", "no such model", option, value)
    assert f"argument {option}: {message}" in line


def test_a_wrong_option_is_answered_with_the_usage_of_its_command(capsys) -> None:
    assert usage_error(capsys, "train", "--layers=2").endswith(
        "fastrnn train: error: unrecognized arguments: --layers=2"
    )


def test_the_batch_size_in_use_is_shown(capsys, text) -> None:
    _, output, _ = run(capsys, "train", text, *SMALL, "--batch-size", "100000")
    assert "\ntraining   batch size 25, all that a text so short makes; 3 passes;" in output
    _, output, _ = run(capsys, "train", text, *SMALL, "--batch-size", "25", "-o", "short")
    assert "\ntraining   batch size 25; 3 passes; Ctrl-C" in output
    assert Path("short").exists()


def test_an_interrupt_before_training_saves_nothing(capsys, text, monkeypatch) -> None:
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastrnn.CharRNN, "evaluate", interrupted)
    status, output, errors = run(capsys, "train", text, *SMALL)
    assert (status, errors) == (130, "fastrnn: interrupted\n")
    assert "the untrained model" in output.splitlines()[-1]
    assert os.listdir() == ["verse.txt"]


def test_an_interrupt_after_training_says_where_the_model_is(capsys, text, monkeypatch) -> None:
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_command, "_show_what_next", interrupted)
    status, _, errors = run(capsys, "train", text, *SMALL, "--out", "m")
    assert (status, errors) == (
        130,
        "fastrnn: interrupted after training; the model was saved to m\n",
    )
    assert fastrnn.load("m").hidden_size == 16


def test_a_disk_without_room_for_the_model_is_refused_before_training(
    capsys, text, monkeypatch
) -> None:
    monkeypatch.setattr(
        "fastrnn.training.train.Training.run", lambda *_, **__: pytest.fail("it trained")
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    message = refused(capsys, "train", text, *SMALL, "--out", "m")
    assert f"{os.path.realpath('m')!r}: No space left on device: the model takes" in message
    assert os.listdir() == ["verse.txt"]


def test_a_disk_that_is_full_at_the_end_is_an_error_that_names_the_file(
    capsys, text, monkeypatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = refused(capsys, "train", text, *SMALL, "--out", "m")
    assert message.endswith(f"{os.path.realpath('m')!r}: No space left on device\n")


def test_progress_in_a_file_is_a_line_for_each_tenth(capsys, text) -> None:
    arguments = ("train", text, *SMALL[:-1], "--epochs", "100")
    errors = run(capsys, *arguments)[2]
    assert "\r" not in errors
    assert [line.split("%")[0].strip() for line in errors.splitlines()] == [
        str(percent) for percent in range(10, 101, 10)
    ]


# generate


def test_generate_prints_the_prompt_and_its_continuation(capsys, model) -> None:
    arguments = ("generate", model, "--prompt", "the ", "--length", "30", "--seed", "3")
    status, output, _ = run(capsys, *arguments, "--temperature", "0.5", "--top-k", "4")
    expected = fastrnn.load(model).generate("the ", 30, temperature=0.5, top_k=4, seed=3)
    assert (status, output) == (0, expected + "\n")


def test_generate_prints_several_samples_with_their_numbers(capsys, model) -> None:
    _, output, _ = run(capsys, "generate", model, "--length", "5", "--num-samples", "3")
    assert [f"--- sample {n} of 3 ---\n" in output for n in (1, 2, 3)] == [True] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "thé"], "prompt holds the character 'é' (U+00E9) at position 2"),
        (["--prompt", "thé"], "; pass --unknown and one of those to have it stand in"),
        (["--unknown", "Z"], "--unknown must be 'error', 'skip' or one character of the model's"),
        (["--num-samples", "2147483647", "--length", "2147483647"], "GiB"),
    ],
)
def test_generate_refuses_what_cannot_be_done_in_one_line(
    capsys, model, arguments, message
) -> None:
    assert message in refused(capsys, "generate", model, *arguments)


def test_generate_takes_a_character_to_stand_in_for_unknown_ones(capsys, model) -> None:
    _, output, _ = run(capsys, "generate", model, "--prompt", "thé", "--unknown", "e")
    assert output.startswith("thé")


# evaluate and info


def test_evaluate_prints_loss_bits_and_perplexity(capsys, model, text) -> None:
    status, output, _ = run(capsys, "evaluate", model, text)
    scores = fastrnn.load(model).evaluate(VERSE)
    assert status == 0
    assert f"{scores['loss']:.4f} nats" in output
    assert f"{scores['bits_per_char']:.4f} bits per character" in output
    assert f"perplexity {scores['perplexity']:.4g}" in output


def test_evaluate_names_an_unknown_character_or_replaces_it(capsys, model) -> None:
    Path("other").write_text("the cow")
    assert "'w' (U+0077) at position 6" in refused(capsys, "evaluate", model, "other")
    assert run(capsys, "evaluate", model, "other", "--unknown", " ")[0] == 0


def test_info_describes_the_installation(capsys) -> None:
    status, output, _ = run(capsys, "info")
    assert status == 0
    for fact in (fastrnn.__version__, *fastrnn.cpu.available(), "threads", "NumPy"):
        assert fact in output


def test_info_describes_a_model(capsys, model) -> None:
    status, output, _ = run(capsys, "info", model)
    assert status == 0
    assert "rnn, 8 hidden units, tanh, float32: 318 parameters" in output
    assert "14 characters: '\\n acdeghlmnost'" in output


@pytest.mark.parametrize("command", [["generate"], ["info"], ["evaluate", "verse.txt"]])
def test_a_file_that_is_no_model_is_refused_in_one_line(capsys, text, command) -> None:
    command.insert(1, text)
    assert "'verse.txt' is not a fastrnn model" in refused(capsys, *command)
    command[1] = "nowhere"
    assert "'nowhere': No such file" in refused(capsys, *command)


# The process


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastrnn", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", **options)


def test_python_m_fastrnn_is_the_command(model) -> None:
    done = process("--version")
    assert (done.returncode, done.stdout) == (0, f"fastrnn {fastrnn.__version__}\n")
    assert process("generate", "nowhere").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["train", "--epochs", "many"], ["generate"], ["train", "--cell", "x"]],
)
def test_a_wrong_command_line_exits_with_2_and_the_usage(capsys, arguments) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: fastrnn")


@pytest.mark.parametrize("command", [[], ["train"], ["generate"], ["evaluate"], ["info"]])
def test_every_command_has_help_with_an_example(capsys, command) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([*command, "--help"])
    assert left.value.code == 0
    assert "example" in capsys.readouterr().out


def test_a_terminal_without_unicode_shows_escapes(model) -> None:
    fastrnn.CharRNN(hidden_size=4, vocabulary="é").save("model")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = process("generate", "model", "--length", "3", env=environment)
    assert (done.returncode, done.stdout) == (0, "\\xe9" * 3 + "\n")


def test_a_reader_that_leaves_early_is_no_traceback(model) -> None:
    command = [sys.executable, "-m", "fastrnn", "generate", model, "--length", "150000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        writer.stdout.read(5)
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 1


needs_a_shell = pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="redirects to /dev/full in a shell"
)


def shell(redirection: str, *arguments: str) -> tuple[int, str, str]:
    """Run the command with streams redirected; return status, output and errors."""
    command = [sys.executable, "-m", "fastrnn", *arguments]
    line = f"{shlex.join(command)} {redirection}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@needs_a_shell
@pytest.mark.parametrize("command", [["generate", "model"], ["info"], ["train", "verse.txt"]])
@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        (">/dev/full", "fastrnn: error: standard output: No space left on device\n"),
        (">&-", "fastrnn: error: standard output is closed\n"),
    ],
)
def test_an_output_that_is_broken_or_closed_is_one_line(
    text, model, command, redirection, message
) -> None:
    assert shell(redirection, *command) == (1, "", message)


@needs_a_shell
def test_a_closed_input_is_one_line() -> None:
    status, _, errors = shell("<&-", "train", "-")
    assert status == 1
    assert errors == ("fastrnn: error: standard input is closed; a text to read was expected\n")


@needs_a_shell
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_training_goes_on_where_nothing_can_be_shown(text, redirection) -> None:
    status, output, _ = shell(redirection, "train", text, *SMALL[:-1])
    assert (status, output.splitlines()[-1][:7]) == (0, "next   ")
    assert shell(redirection, "generate", "nowhere") == (1, "", "")
