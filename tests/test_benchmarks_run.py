"""The benchmark grid stays runnable: a small row without peers, and the JSON it writes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from fastrnn import cpu

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are not beside these tests"
)


def run_grid(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.grid", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_small_rows_of_every_kind_are_checked_timed_and_written_as_json(tmp_path: Path) -> None:
    names = [
        "step RNN I16 H16",
        "seq RNN B1 T1000 H16",
        "batch RNN B16 T100 H128",
        "train RNN B1 T25 H100",
        "gen RNN H64",
    ]
    file = tmp_path / "rows.json"
    pattern = "|".join(f"^{name}$" for name in names)
    done = run_grid("--quick", "--peers", "", "--rows", pattern, "--json", str(file))
    assert done.returncode == 0, done.stderr

    document = json.loads(file.read_text())
    assert document["machine"]["isa"] == cpu.active()
    assert document["machine"]["threads"] == 1
    assert {"cpu", "load_average", "versions", "commit", "date"} <= document["machine"].keys()
    assert "Load average at the start" in done.stdout
    assert [row["name"] for row in document["rows"]] == names
    for row in document["rows"]:
        assert list(row["microseconds"]) == ["fastrnn"]
        assert all(0 < time < math.inf for time in row["microseconds"]["fastrnn"].values())
        assert row["name"] in done.stdout


def test_an_unknown_peer_or_row_is_refused() -> None:
    assert "there are numpy" in run_grid("--peers", "cobol").stderr
    assert "no row has a match" in run_grid("--rows", "CNN").stderr
