"""The grid: one row after the other is prepared, checked, timed and reported."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastrnn import plot
from fastrnn.bench import machine, peers, probe, report
from fastrnn.bench.limit import limit_seconds
from fastrnn.bench.peers import Contender
from fastrnn.bench.problem import Problem
from fastrnn.bench.rows import Row
from fastrnn.bench.timing import measure
from fastrnn.checkpoint import check_writable
from fastrnn.plot.axes import check_available, save


@dataclass(frozen=True)
class Effort:
    """How many repeats a row gets, and how long the loop of each lasts in seconds."""

    repeats: int
    seconds: float


FULL = Effort(repeats=5, seconds=0.03)
QUICK = Effort(repeats=4, seconds=0.008)


@dataclass(frozen=True)
class Files:
    """Where the results go, besides to the screen."""

    json: str | None = None
    markdown: str | None = None
    plot: str | None = None

    def check(self) -> None:
        """Raise now what writing would raise after all the work."""
        for file in filter(None, (self.json, self.markdown, self.plot)):
            check_writable(file)
        if self.plot is not None:
            check_available()


def run(
    rows: Sequence[Row],
    peer_names: Sequence[str],
    threads: int,
    effort: Effort,
    files: Files,
    say: Callable[[str], None],
) -> None:
    """Run ``rows``, give each line of the report to ``say`` and write the files."""
    files.check()
    lines: list[str] = []

    def note(text: str) -> None:
        say(text)
        lines.append(text)

    about = machine.describe(threads)
    note(report.heading(about) + "\n")
    libraries = _load(peer_names, threads, note)
    constants = _constants(note)
    note(report.LEGEND + "\n")
    table = report.Table(libraries)
    note(table.head())

    results = []
    for row in rows:
        result = _measure(row, libraries.values(), constants, threads, effort)
        note(table.line(result))
        results.append(result)
    note("\n" + report.summary(results))

    document = _document(about, constants, effort, results)
    if files.json is not None:
        Path(files.json).write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    if files.markdown is not None:
        Path(files.markdown).write_text("\n".join(lines) + "\n", "utf-8")
    if files.plot is not None:
        _draw(files.plot, document)


def _load(names: Sequence[str], threads: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Return fastrnn and the peers of these names that are installed."""
    libraries = {report.OURS: peers.load(report.OURS, threads)}
    for name in names:
        missing = peers.missing(name)
        if missing:
            packages = " and ".join(missing)
            note(
                f"{name} is left out: {packages} cannot be imported; it comes with "
                f"pip install 'fastrnn[bench]'.\n"
            )
        else:
            libraries[name] = peers.load(name, threads)
    return libraries


def _constants(note: Callable[[str], None]) -> probe.Constants | None:
    try:
        constants = probe.measure()
    except probe.ProbeError as error:
        note(f"No estimated limit: {error}.\n")
        return None
    note(report.constants_line(constants) + "\n")
    return constants


def _measure(
    row: Row,
    libraries: Iterable[Any],
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


def _document(
    about: dict[str, Any],
    constants: probe.Constants | None,
    effort: Effort,
    results: Sequence[report.Result],
) -> dict[str, Any]:
    return {
        "machine": about,
        "constants": None if constants is None else asdict(constants),
        "effort": asdict(effort),
        "rows": [result.as_json() for result in results],
    }


def _draw(file: str, document: dict[str, Any]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=plot.grid_size(document), layout="constrained")
    plot.grid(document, fig=figure)
    save(figure, file)
