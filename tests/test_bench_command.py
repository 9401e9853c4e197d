"""``fastrnn bench``: it runs, writes what it is asked to, stops when told, refuses nonsense."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastrnn import cpu
from fastrnn.bench import machine, report
from fastrnn.command import cli
from fastrnn.layers import sweep

COMMAND = [sys.executable, "-m", "fastrnn", "bench", "--quick", "--peers", ""]


def run_grid(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )


def test_small_rows_of_every_kind_and_cell_are_checked_timed_and_written(tmp_path: Path) -> None:
    kinds = ("step", "seq", "batch", "train", "gen")
    pattern = "^(step .* H16|seq .* H16|batch .* B16 T100 H128|train .* B1 T25 H100|gen .* H64)$"
    files = ("--json", "rows.json", "--markdown", "rows.md")
    done = run_grid("--rows", pattern, *files, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")

    document = json.loads((tmp_path / "rows.json").read_text())
    about = document["machine"]
    assert (about["isa"], about["threads"]) == (cpu.active(), 1)
    assert {"cpu", "load_average", "versions", "commit", "date"} <= about.keys()
    names = [row["name"] for row in document["rows"]]
    assert [name.split()[:2] for name in names] == [
        [kind, cell] for kind in kinds for cell in ("RNN", "GRU", "LSTM")
    ]
    for row in document["rows"]:
        assert list(row["microseconds"]) == ["fastrnn"]
        assert all(0 < time < math.inf for time in row["microseconds"]["fastrnn"].values())
        assert row["name"] in done.stdout
    assert (tmp_path / "rows.md").read_text() == done.stdout
    assert "Load average at the start" in done.stdout
    assert "No peer was measured." in done.stdout


def test_what_holds_a_library_to_an_instruction_set_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (*machine.INSTRUCTION_SETS, "XLA_FLAGS"):
        monkeypatch.delenv(name, raising=False)
    assert "environment" not in report.heading(machine.describe(1))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("XLA_FLAGS", "--xla_other=1 --xla_cpu_max_isa=AVX2")
    heading = report.heading(machine.describe(1))
    held = "ONEDNN_MAX_CPU_ISA=AVX2 XLA_FLAGS=--xla_cpu_max_isa=AVX2"
    assert f"Set in the environment: {held}.\n" in heading


@pytest.mark.parametrize(
    ("file", "are"), [("sweep.py", "interpreted"), ("sweep.cpython-311.so", "compiled")]
)
def test_whether_the_layers_are_compiled_is_reported(
    file: str, are: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "__file__", file)
    assert f", its layers {are}, " in report.heading(machine.describe(1))


def test_every_library_gets_as_many_threads(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from fastrnn.bench import launch\n"
        "os.execve = lambda path, arguments, environment: print(environment)\n"
        "launch.pin(1, is_process=True)\n"
        "print(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else 1)\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "7", "XLA_FLAGS": "--xla_other=1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    for library in ("OMP", "OPENBLAS", "MKL", "FASTRNN"):
        assert f"'{library}_NUM_THREADS': '1'" in done.stdout
    assert "'--xla_other=1 --xla_cpu_multi_thread_eigen=false'" in done.stdout
    assert done.stdout.endswith("\n1\n")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process")
def test_ctrl_c_stops_between_rows_without_a_traceback(tmp_path: Path) -> None:
    command = [*COMMAND, "--rows", "^seq", "--json", "rows.json"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell may have started the tests with SIGINT ignored, which a child inherits.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("| row"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "fastrnn: interrupted\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--peers", "cobol,numpy", "they must be among numpy, torch, jax, onnxruntime, openvino"),
        ("--rows", "CNN", "no row has a match of 'CNN'"),
        ("--rows", "(", "it must be a regular expression, got '('"),
        ("--threads", "0", "it must be between 1 and"),
        ("--threads", "100000", "it must be between 1 and"),
        ("--plot", "grid.txt", "it must be the name of a file that ends in .png or .svg"),
        ("--json", "", "it must be the name of a file, got ''"),
    ],
)
def test_a_wrong_option_is_refused(capsys, option: str, value: str, message: str) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["bench", option, value])
    assert left.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"fastrnn bench: error: argument {option}: ")
    assert message in line


def test_a_file_that_cannot_be_written_is_refused_before_any_row(tmp_path: Path) -> None:
    done = run_grid("--rows", "^step", "--json", "absent/rows.json", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("fastrnn: error: ")
    assert "absent" in done.stderr
    assert "| row" not in done.stdout


def test_called_as_a_function_it_does_not_replace_the_process(capsys, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cli.main(["bench", "--rows", "^step", "--peers", ""]) == 1
    assert "start Python with OMP_NUM_THREADS='1'" in capsys.readouterr().err
