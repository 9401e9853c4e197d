"""The command line reads texts from files of any number and kind, for models of any symbols."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastrnn
from fastrnn.command import cli

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 40
SMALL = ["--hidden-size", "16", "--epochs", "2", "--lr", "0.01", "--quiet", "--out", "m"]


@pytest.fixture(autouse=True)
def in_a_folder_of_texts(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b.txt").write_text(VERSE[1000:])
    Path("a.txt").write_bytes(gzip.compress(VERSE[:1000].encode()))


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    status = cli.main(arguments)
    return (status, *capsys.readouterr())


def refused(capsys, *arguments: str) -> str:
    status, _, errors = run(capsys, *arguments)
    assert status == 1
    assert re.fullmatch("fastrnn: error: .*\n", errors)
    return errors


@pytest.mark.parametrize(
    "files",
    [["a.txt", "b.txt"], ["*.txt"], ["a.txt", "-"], ["a.txt", "--seed", "0", "b.txt"]],
)
def test_train_learns_the_text_of_all_files_in_their_order(capsys, monkeypatch, files) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(VERSE[1000:].encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    status, output, errors = run(capsys, "train", *files, *SMALL)
    assert (status, errors) == (0, "")
    last = "standard input" if "-" in files else "b.txt"
    assert f"text       a.txt, {last}: 1,840 characters, 14 distinct; the last 184" in output
    trained = Path("m").read_bytes()
    Path("whole").write_text(VERSE)
    run(capsys, "train", "whole", *SMALL)
    assert Path("m").read_bytes() == trained


def test_of_many_files_the_first_are_named(capsys) -> None:
    for name in "cdef":
        Path(f"{name}.txt").write_text(VERSE)
    _, output, _ = run(capsys, "train", "*.txt", *SMALL)
    assert "text       a.txt, b.txt, c.txt and 3 more: 9,200 characters" in output


def test_evaluate_measures_the_text_of_all_files(capsys) -> None:
    fastrnn.CharRNN(hidden_size=8, vocabulary=VERSE).save("m")
    status, output, _ = run(capsys, "evaluate", "m", "a.txt", "--threads", "1", "b.txt")
    assert status == 0
    assert "text       a.txt, b.txt: 1,840 characters" in output
    assert f"{fastrnn.load('m').evaluate(VERSE)['loss']:.4f} nats" in output


@pytest.mark.parametrize("command", [["train"], ["evaluate", "m"]])
@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.txt", "nowhere"], "'nowhere': No such file or directory"),
        (["*.md"], "'*.md': No file matches this pattern"),
        (["a.txt", "."], "'.': Is a directory"),
        (["bad"], "'bad' is not text in UTF-8: byte 3 is 0xff"),
        (["cut"], "'cut' is a gzip file that is cut short"),
        (["-", "-"], "files must name standard input, '-', only once"),
    ],
)
def test_a_text_that_cannot_be_read_is_one_line(capsys, command, files, message) -> None:
    fastrnn.CharRNN(hidden_size=8, vocabulary=VERSE).save("m")
    Path("bad").write_bytes(b"caf\xff")
    Path("cut").write_bytes(gzip.compress(VERSE.encode())[:-4])
    assert message in refused(capsys, *command, *files)


def test_what_follows_an_unknown_option_is_no_file(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "a.txt", "--layers", "b.txt"])
    assert "unrecognized arguments: --layers b.txt" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["info", "a.txt", "b.txt"])
    assert "unrecognized arguments: b.txt" in capsys.readouterr().err


def test_a_model_of_bytes_is_trained_measured_and_described(capsys) -> None:
    Path("text").write_text("日本語 naïve\n" * 90, encoding="utf-8")
    status, output, _ = run(capsys, "train", "text", *SMALL, "--symbols", "bytes")
    assert status == 0
    assert "900 characters, 10 distinct" in output
    assert len(re.findall(r"bits per byte (?:before|after)", output + "\n")) == 2
    assert " bytes/s" in output
    assert "per character" not in output
    assert fastrnn.load("m").symbols == "bytes"
    assert "bits per byte, perplexity" in run(capsys, "evaluate", "m", "text")[1]
    _, output, _ = run(capsys, "info", "m")
    assert "symbols    256 bytes, of UTF-8\n" in output
    assert "vocabulary" not in output
    _, output, _ = run(capsys, "generate", "m", "--prompt", "日", "--length", "9")
    assert output.startswith("日")


def test_the_streams_of_a_model_of_bytes_are_counted_in_bytes(capsys) -> None:
    Path("text").write_text("日" * 200, encoding="utf-8")  # 180 characters, 540 bytes are learned
    _, output, _ = run(capsys, "train", "text", *SMALL, "--symbols", "bytes", "--seq-len", "60")
    assert "training   batch size 4;" in output


def test_rare_characters_are_left_to_the_policy_which_is_saved(capsys) -> None:
    Path("text").write_text(VERSE + "éü" + VERSE, encoding="utf-8")
    options = ("--min-count", "2", "--unknown", "?")
    status, output, _ = run(capsys, "train", "text", *SMALL, *options)
    assert status == 0
    assert "3,682 characters, 16 distinct" in output
    said = "characters are read as '?' (U+003F)"
    assert f"vocabulary 15 characters; unknown {said}" in output
    model = fastrnn.load("m")
    assert (model.unknown, "?" in model.vocabulary, "é" in model.vocabulary) == ("?", True, False)
    assert f"unknown    {said}" in run(capsys, "info", "m")[1]
    Path("other").write_text("Xx" + VERSE)
    assert run(capsys, "evaluate", "m", "other")[0] == 0
    assert "'X' (U+0058) at position 0" in refused(
        capsys, "evaluate", "m", "other", "--unknown", "error"
    )
    assert run(capsys, "generate", "m", "--prompt", "X", "--unknown", "skip")[1][0] == "X"


def test_without_a_policy_rare_characters_cannot_be_left_out(capsys) -> None:
    for options, message in (
        (["--min-count", "2"], "give --unknown skip, or --unknown and a character"),
        (["--min-count", "2", "--symbols", "bytes"], "--min-count: not with --symbols bytes"),
    ):
        with pytest.raises(SystemExit) as left:
            cli.main(["train", "a.txt", *SMALL, *options])
        assert left.value.code == 2
        assert message in capsys.readouterr().err
    assert sorted(os.listdir()) == ["a.txt", "b.txt"]


def test_a_vocabulary_without_any_character_is_refused(capsys) -> None:
    options = ("--min-count", "9999", "--unknown", "skip")
    assert "vocabulary has 0 characters" in refused(capsys, "train", "a.txt", *SMALL, *options)
