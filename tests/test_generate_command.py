"""``fastrnn generate`` and ``fastrnn evaluate --per-char`` from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fastrnn
from fastrnn.command import cli

TEXT = 'the "cat" sat\ton the\\mat.\n' * 20


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fastrnn.CharRNN:
    """The model in the file "model" of an otherwise empty folder."""
    monkeypatch.chdir(tmp_path)
    fastrnn.CharRNN(hidden_size=8, vocabulary=TEXT).save("model")
    return fastrnn.load("model")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last line of a command that must fail."""
    try:
        status = cli.main(arguments)
    except SystemExit as left:
        status = left.code
    assert status in (1, 2)
    return capsys.readouterr().err.splitlines()[-1]


# Options


@pytest.mark.parametrize(
    "given",
    [
        {"temperature": 0.5},
        {"top_k": 3},
        {"top_p": 0.4},
        {"min_p": 0.9},
        {"seed": 4},
        {"repetition_penalty": 3.0},
        {"repetition_penalty": 3.0, "repetition_window": 2},
    ],
)
def test_the_options_of_drawing_reach_the_model(capsys, model, given) -> None:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    output = printed(capsys, "generate", "model", "--prompt", "the", *options)
    assert output == model.generate("the", **given) + "\n"
    given.popitem()
    assert output != model.generate("the", **given) + "\n"


def test_a_text_ends_with_any_of_the_stop_strings(capsys, model) -> None:
    options = ["--length", "2000", "--stop", "at", "--stop", "he", "--num-samples", "2"]
    output = printed(capsys, "generate", "model", *options)
    first, second = model.generate("", 2000, stop=["at", "he"], num_samples=2)
    assert output == f"--- sample 1 of 2 ---\n{first}\n--- sample 2 of 2 ---\n{second}\n"
    assert {first[-2:], second[-2:]} <= {"at", "he"}
    one = printed(capsys, "generate", "model", "--length", "2000", "--stop", "at")
    assert one.endswith("at\n")


def test_a_beam_prints_the_most_probable_text(capsys, model) -> None:
    options = ["--prompt", "the", "--length", "12", "--beam-width", "4", "--stop", "."]
    found = model.beam_search("the", 12, 4, stop=".")
    assert printed(capsys, "generate", "model", *options) == found[0].text + "\n"
    output = printed(capsys, "generate", "model", *options, "--num-samples", "2")
    assert output == "".join(
        f"--- text {i + 1} of 2, {-found[i].log_prob:.4f} nats ---\n{found[i].text}\n"
        for i in range(2)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stop", ""], "each string of stop has 0 characters, at least 1 are expected"),
        (["--stop", "é"], "stop holds the character 'é' (U+00E9)"),
        (["--min-p", "1.1"], "argument --min-p: it must be at most 1"),
        (["--repetition-penalty", "0"], "--repetition-penalty: it must be greater than 0"),
        (["--repetition-window", "0"], "--repetition-window: it must be between 1"),
        (["--beam-width", "0"], "--beam-width: it must be between 1"),
        (["--beam-width", "2", "--num-samples", "3"], "--num-samples must be at most --beam-width"),
        (["--beam-width", "2", "--top-k", "3"], "--top-k: not allowed with argument --beam-width"),
        (["--beam-width", "2", "--temperature", "0"], "--temperature: not allowed with"),
        (["--beam-width", "2", "--repetition-window", "3"], "--repetition-window: not allowed"),
        (["--beam-width", "2000000000"], "the beams would take"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(capsys, options, message) -> None:
    assert message in refused(capsys, "generate", "model", *options)


# Printing as it goes


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "fastrnn", "generate", "model", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell may have started the tests with SIGINT ignored, which a child inherits.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


needs_signals = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process")


@needs_signals
def test_a_text_is_shown_while_it_is_written_and_ctrl_c_ends_its_line() -> None:
    """Of a text that would take an hour."""
    with start("--length", "2000000000", "--prompt", "the ") as process:
        assert process.stdout.read(100).startswith(b"the ")
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        errors = process.stderr.read()
    assert process.returncode == 130
    assert rest.endswith(b"\n")
    assert errors == b"fastrnn: interrupted\n"


@needs_signals
def test_a_reader_that_has_enough_ends_the_writing() -> None:
    with start("--length", "2000000000") as process:
        process.stdout.read(100)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


# evaluate --per-char


def test_a_table_has_a_line_for_each_character_but_the_first(capsys, model) -> None:
    Path("text").write_text(TEXT)
    header, *lines = printed(capsys, "evaluate", "model", "text", "--per-char").splitlines()
    assert header == "position\tcharacter\tlog_prob"
    rows = [line.split("\t") for line in lines]
    assert [int(row[0]) for row in rows] == list(range(1, len(TEXT)))
    assert TEXT[0] + "".join(json.loads(f'"{row[1]}"') for row in rows) == TEXT
    assert [row[2] for row in rows] == [f"{value:.6g}" for value in model.log_probs(TEXT)]


def test_a_table_is_of_the_model_with_the_weights_and_the_stand_in_asked_for(capsys, model) -> None:
    Path("text").write_text("the_cat", encoding="utf-8")
    options = ["--per-char", "--weights", "int8", "--unknown", " "]
    lines = printed(capsys, "evaluate", "model", "text", *options).splitlines()[1:]
    expected = model.log_probs("the_cat", weights="int8", unknown=" ")
    assert [line.split("\t")[2] for line in lines] == [f"{value:.6g}" for value in expected]
    assert lines[2].split("\t")[1] == "_"


def test_a_table_leaves_out_what_the_model_does(capsys, model) -> None:
    Path("text").write_text("Xthe_cat", encoding="utf-8")
    options = ["--per-char", "--unknown", "skip"]
    lines = printed(capsys, "evaluate", "model", "text", *options).splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    assert [(row[0], row[1]) for row in rows] == [(str(i), c) for i, c in enumerate("hecat", 1)]
    expected = model.log_probs("thecat")
    assert [row[2] for row in rows] == [f"{value:.6g}" for value in expected]


def test_a_table_of_a_model_of_bytes_has_a_line_for_each_byte(capsys) -> None:
    fastrnn.CharRNN(hidden_size=8, symbols="bytes").save("of_bytes")
    Path("text").write_text("né\n日", encoding="utf-8")
    lines = printed(capsys, "evaluate", "of_bytes", "text", "--per-char").splitlines()
    assert lines[0] == "position\tbyte\tlog_prob"
    rows = [line.split("\t") for line in lines[1:]]
    assert bytes.fromhex("6e" + "".join(row[1] for row in rows)).decode() == "né\n日"
    expected = fastrnn.load("of_bytes").log_probs("né\n日")
    assert [row[2] for row in rows] == [f"{value:.6g}" for value in expected]


def test_a_long_table_is_whole(capsys, model, monkeypatch) -> None:
    monkeypatch.setattr(cli, "LINES_AT_ONCE", 7)
    Path("text").write_text(TEXT)
    lines = printed(capsys, "evaluate", "model", "text", "--per-char").splitlines()
    assert len(lines) == len(TEXT)
