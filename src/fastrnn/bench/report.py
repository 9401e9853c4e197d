"""Results as a table to read and as JSON to compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastrnn.bench.peers import Contender
from fastrnn.bench.probe import Constants
from fastrnn.bench.rows import Row

OURS = "fastrnn"

LEGEND = f"""\
Rows: B sequences (one without it), T steps, I features, H hidden units; microseconds of a call, in
gen rows of a character. 'best peer / {OURS}' above 1: {OURS} is ahead. The estimated limit is what
the arithmetic takes at this core's rate, or reading the weights from its caches; 1 is the limit."""


@dataclass(frozen=True)
class Result:
    """One row's microseconds per unit: ``forms[library][form]``, and the estimated limit."""

    row: Row
    forms: dict[str, dict[str, float]]
    limit: float | None

    @classmethod
    def of(
        cls, row: Row, contenders: Sequence[Contender], seconds: list[float], limit: float | None
    ) -> Result:
        """Collect the seconds per call of each contender."""
        forms: dict[str, dict[str, float]] = {}
        for contender, taken in zip(contenders, seconds, strict=True):
            forms.setdefault(contender.library, {})[contender.form] = 1e6 * taken / row.units
        return cls(row, forms, None if limit is None else 1e6 * limit)

    def best(self, library: str) -> float | None:
        """Return the time of a library's fastest form."""
        return min(self.forms[library].values()) if library in self.forms else None

    @property
    def ours(self) -> float:
        """Return fastrnn's time."""
        return min(self.forms[OURS].values())

    @property
    def best_peer(self) -> str | None:
        """The fastest other library, where there is one."""
        peers = [library for library in self.forms if library != OURS]
        return min(peers, key=lambda peer: min(self.forms[peer].values()), default=None)

    def slower(self, library: str) -> float | None:
        """How many times fastrnn's time a library takes."""
        theirs = self.best(library)
        return None if theirs is None else theirs / self.ours

    @property
    def lead(self) -> float | None:
        """How many times fastrnn's time the best peer takes."""
        return None if self.best_peer is None else self.slower(self.best_peer)

    @property
    def over_limit(self) -> float | None:
        """How many times the estimated limit fastrnn takes."""
        return None if self.limit is None else self.ours / self.limit

    def as_json(self) -> dict[str, Any]:
        """Return the row with its sizes, every form's time and the ratios of the table."""
        return {
            "name": self.row.name,
            **asdict(self.row),
            "microseconds": self.forms,
            "estimated_limit_microseconds": self.limit,
            "best_peer": self.best_peer,
            "best_peer_over_fastrnn": self.lead,
            "peer_over_fastrnn": {
                library: self.slower(library) for library in self.forms if library != OURS
            },
            "fastrnn_over_estimated_limit": self.over_limit,
        }


class Table:
    """The grid as a table in Markdown, printed line by line.

    Parameters
    ----------
    libraries : which libraries have a column, fastrnn first
    """

    NAME_WIDTH = 25

    def __init__(self, libraries: Iterable[str]) -> None:
        self.libraries = tuple(libraries)
        self.headings = (
            "row (µs)",
            *self.libraries,
            "estimated limit",
            f"best peer / {OURS}",
            f"{OURS} / limit",
        )
        self.widths = [self.NAME_WIDTH, *(max(7, len(text)) for text in self.headings[1:])]

    def head(self) -> str:
        """Return the two first lines."""
        name, *others = self.widths
        rule = ["-" * name, *("-" * (width - 1) + ":" for width in others)]
        return f"{self._line(self.headings)}\n{self._line(rule)}"

    def line(self, result: Result) -> str:
        """One row."""
        times = (result.best(library) for library in self.libraries)
        cells = (*map(_time, times), _time(result.limit), _ratio(result.lead))
        return self._line((result.row.name, *cells, _ratio(result.over_limit)))

    def _line(self, cells: Sequence[str]) -> str:
        name, *others = zip(cells, self.widths, strict=True)
        padded = [name[0].ljust(name[1]), *(text.rjust(width) for text, width in others)]
        return f"| {' | '.join(padded)} |"


def summary(results: Sequence[Result]) -> str:
    """How many rows fastrnn leads, and ahead of whom."""
    led = [result.lead for result in results if result.lead is not None]
    if not led:
        return "No peer was measured."
    peers = dict.fromkeys(peer for result in results for peer in result.forms if peer != OURS)
    ahead = sum(lead > 1 for lead in led)
    return (
        f"fastrnn is ahead of every measured peer ({', '.join(peers)}) in {ahead} of {len(led)} "
        "rows."
    )


def constants_line(constants: Constants) -> str:
    """Return the machine's constants in one sentence."""
    sizes = " / ".join(f"{size // 1024}" for size in constants.cache_bytes)
    rates = " / ".join(f"{rate:.0f}" for rate in constants.read_gbytes)
    return (
        f"One core, measured in this run: {constants.clock_ghz:.2f} GHz, "
        f"{constants.peak_gflops:.0f} GFLOP/s float32 in {constants.vector_bits}-bit vectors, "
        f"reads {rates} GB/s from L1 / L2 / L3 ({sizes} KiB)."
    )


def heading(machine: dict[str, Any]) -> str:
    """Return the machine, the versions and how busy it was, a line each."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    commit = f", commit {machine['commit']}" if machine["commit"] else ""
    forced = " ".join(f"{name}={value}" for name, value in machine["environment"].items())
    return (
        f"{machine['cpu']}, {machine['isa']}, {machine['threads']} thread(s), its layers "
        f"{machine['modules']}, {machine['date']}{commit}.\n"
        f"Python {machine['python']}, {versions}.\n"
        + (f"Set in the environment: {forced}.\n" if forced else "")
        + f"Load average at the start: {_load(machine['load_average'])}."
    )


def _load(averages: list[float] | None) -> str:
    if averages is None:
        return "unknown"
    return " / ".join(f"{average:.2f}" for average in averages) + " over 1 / 5 / 15 minutes"


def _time(microseconds: float | None) -> str:
    return "–" if microseconds is None else _digits(microseconds)


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}×"


def _digits(value: float) -> str:
    """Three significant digits, and no exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
