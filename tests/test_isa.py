"""The instruction set is chosen once, can be forced, and an impossible choice says so."""

import os
import subprocess
import sys

import pytest

import fastrnn.cpu

SHOW = "import fastrnn.cpu; print(fastrnn.cpu.active())"


def run(isa: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SHOW],
        env={**os.environ, "FASTRNN_ISA": isa},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("isa", fastrnn.cpu.available())
def test_every_available_instruction_set_can_be_forced(isa: str) -> None:
    assert run(isa).stdout.strip() == isa


def test_the_best_is_taken_unless_one_is_forced() -> None:
    assert run("").stdout.strip() == fastrnn.cpu.available()[-1]


def test_an_unknown_name_is_an_import_error_with_a_sentence() -> None:
    result = run("pentium")
    assert result.returncode == 1
    assert "FASTRNN_ISA must be one of baseline, x86_v3, x86_v4, neon, got 'pentium'" in (
        result.stderr
    )


def test_one_that_the_machine_lacks_is_an_import_error_with_a_sentence() -> None:
    missing = next(isa for isa in ("neon", "x86_v3") if isa not in fastrnn.cpu.available())
    result = run(missing)
    assert result.returncode == 1
    assert f"FASTRNN_ISA is '{missing}', which this processor or build lacks" in result.stderr


def test_this_run_uses_the_one_it_was_told_to() -> None:
    forced = os.environ.get("FASTRNN_ISA")
    assert fastrnn.cpu.active() == (forced or fastrnn.cpu.available()[-1])
