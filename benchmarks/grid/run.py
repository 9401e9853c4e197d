"""The grid: one row after the other is prepared, checked, timed and reported."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.grid import machine, peers, probe, report
from benchmarks.grid.limit import limit_seconds
from benchmarks.grid.peers import Contender
from benchmarks.grid.problem import Problem
from benchmarks.grid.rows import Row
from benchmarks.grid.timing import measure


@dataclass(frozen=True)
class Effort:
    """How many repeats a row gets, and how long the loop of each lasts in seconds."""

    repeats: int
    seconds: float


FULL = Effort(repeats=9, seconds=0.05)
QUICK = Effort(repeats=2, seconds=0.004)


def run(
    rows: Sequence[Row],
    peer_names: Sequence[str],
    threads: int,
    effort: Effort,
    json_file: Path | None = None,
    markdown_file: Path | None = None,
) -> None:
    """Run ``rows``, print the table and write the files that are asked for."""
    for file in filter(None, (json_file, markdown_file)):
        file.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)

    about = machine.describe(threads)
    say(report.heading(about) + "\n")
    libraries = [peers.load(report.OURS, threads)]
    for name in peer_names:
        if peers.is_installed(name):
            libraries.append(peers.load(name, threads))
        else:
            say(f"{name} is left out: it is not installed, or not all that it needs.\n")
    constants = _constants(say)
    say(report.table_head())

    results = []
    for row in rows:
        result = _measure(row, libraries, constants, threads, effort)
        say(report.table_line(result))
        results.append(result)
    say("\n" + report.summary(results))

    if json_file is not None:
        json_file.write_text(_as_json(about, constants, effort, results) + "\n", "utf-8")
    if markdown_file is not None:
        markdown_file.write_text("\n".join(lines) + "\n", "utf-8")


def _constants(say: Callable[[str], None]) -> probe.Constants | None:
    try:
        constants = probe.measure()
    except probe.ProbeError as error:
        say(f"No estimated limit: {error}.\n")
        return None
    say(report.constants_line(constants) + "\n")
    return constants


def _measure(
    row: Row,
    libraries: Sequence[Any],
    constants: probe.Constants | None,
    threads: int,
    effort: Effort,
) -> report.Result:
    problem = Problem(row)
    contenders = [c for library in libraries for c in peers.contenders(library, problem)]
    for contender in contenders:
        _check(problem, contender)
    seconds = measure(contenders, effort.repeats, effort.seconds)
    limit = None if constants is None else limit_seconds(row, constants, threads)
    result = report.Result.of(row, contenders, seconds, limit)
    del contenders, problem
    gc.collect()  # the largest rows hold hundreds of megabytes
    return result


def _check(problem: Problem, contender: Contender) -> None:
    with contender.context():
        problem.check(contender.who, contender.outcome())


def _as_json(
    about: dict[str, Any],
    constants: probe.Constants | None,
    effort: Effort,
    results: Sequence[report.Result],
) -> str:
    document = {
        "machine": about,
        "constants": None if constants is None else asdict(constants),
        "effort": asdict(effort),
        "rows": [result.as_json() for result in results],
    }
    return json.dumps(document, indent=1)
