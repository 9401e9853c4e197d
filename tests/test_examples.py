"""Every file in examples/ runs as a user would run it, and prints what it promises."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@functools.cache
def run(name: str) -> str:
    result = subprocess.run(
        [sys.executable, "-X", "utf8", "-W", "error", EXAMPLES / name],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def numbers(line: str) -> list[float]:
    return [float(word) for word in re.findall(r"-?\d+\.\d+", line)]


def line_of(output: str, beginning: str) -> str:
    return next(line for line in output.splitlines() if line.startswith(beginning))


def test_every_example_is_run_here():
    tested = {"counting.py", "consecutive_integers.py", "sine.py", "text_generation.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


def test_counting_answers_where_the_tutorial_does_not():
    output = run("counting.py")
    for window, answer, tutorial in (
        ("[1, 2, 3]", 4, "-0.00"),
        ("[5, 6, 7]", 8, "-0.36"),
        ("[10, 11, 12]", 13, "-0.66"),
    ):
        line = line_of(output, window)
        trained, untrained, _ = numbers(line)
        assert abs(trained - answer) < 0.1
        assert abs(untrained - answer) > 0.3
        assert line.endswith(tutorial)


def test_consecutive_integers_are_continued_far_outside_the_training_range():
    output = run("consecutive_integers.py")
    for window, answer, tutorial in (
        ("[10..14]", 15, "14.11"),
        ("[25..29]", 30, "29.26"),
        ("[100..104]", 105, "44.53"),
    ):
        line = line_of(output, window)
        truth, by_window, untrained, _, _ = numbers(line)
        assert truth == answer
        assert abs(by_window - answer) < 0.1
        assert abs(untrained - answer) > 0.3
        assert line.endswith(tutorial)


def test_consecutive_integers_shows_that_global_scaling_does_not_extrapolate():
    by_global = numbers(line_of(run("consecutive_integers.py"), "[100..104]"))[3]
    assert abs(by_global - 105) > 10


def test_sine_beats_the_last_value_in_ten_epochs_and_reports_the_tutorial_honestly():
    output = run("sine.py")
    (last_value,) = numbers(line_of(output, "the last value again"))
    errors = {
        epochs: numbers(line_of(output, f"fastrnn, {epochs:3} epochs"))[0]
        for epochs in (0, 10, 300)
    }
    assert errors[10] < last_value < 0.00031
    assert errors[0] > 0.9 * last_value
    assert errors[300] < 1e-5
    assert line_of(output, "tutorial, 10 epochs, as printed").endswith("0.001102")
    assert line_of(output, "tutorial, 10 epochs, as run").endswith("0.01 to 0.1")
    assert line_of(output, "tutorial, 50 epochs, as run").endswith("0.0002 to 0.002")
    assert "value after the first window: 0.4826" in output
    assert "the tutorial calls it 0.8749" in output


@pytest.mark.unsanitized
def test_text_generation_beats_the_frequencies_it_compares_itself_to():
    pytest.importorskip("pydoc_data.topics")
    output = run("text_generation.py")
    (untrained,) = numbers(line_of(output, "fastrnn before training"))
    (after_the_one_before,) = numbers(line_of(output, "frequency after the one before"))
    (trained,) = numbers(line_of(output, "fastrnn after"))
    assert trained < after_the_one_before < untrained
    sample = output.split("continued by the model:\n\n")[1]
    assert sample.startswith("The statement ")
    assert len(sample.rstrip("\n")) > 250
