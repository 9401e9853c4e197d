"""Results as a table to read and as JSON to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.grid import PEERS
from benchmarks.grid.peers import Contender
from benchmarks.grid.probe import Constants
from benchmarks.grid.rows import Row

OURS = "fastrnn"
RATIOS_TO = ("numpy", "torch")


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
        """The time of a library's fastest form."""
        return min(self.forms[library].values()) if library in self.forms else None

    @property
    def ours(self) -> float:
        """fastrnn's time."""
        return min(self.forms[OURS].values())

    def slower(self, library: str) -> float | None:
        """How many times fastrnn's time a library takes."""
        theirs = self.best(library)
        return None if theirs is None else theirs / self.ours

    @property
    def lead(self) -> float | None:
        """How many times fastrnn's time the best peer takes."""
        return min(filter(None, (self.slower(peer) for peer in PEERS)), default=None)

    @property
    def over_limit(self) -> float | None:
        """How many times the estimated limit fastrnn takes."""
        return None if self.limit is None else self.ours / self.limit

    def as_json(self) -> dict[str, Any]:
        """The row with its sizes, every form's time and the ratios of the table."""
        return {
            "name": self.row.name,
            **asdict(self.row),
            "microseconds": self.forms,
            "estimated_limit_microseconds": self.limit,
            "best_peer_over_fastrnn": self.lead,
            "peer_over_fastrnn": {peer: self.slower(peer) for peer in PEERS},
            "fastrnn_over_estimated_limit": self.over_limit,
        }


HEADINGS = (
    "row (µs)",
    OURS,
    *PEERS,
    "estimated limit",
    f"best peer / {OURS}",
    *(f"{peer} / {OURS}" for peer in RATIOS_TO),
    f"{OURS} / estimated limit",
)
NAME_WIDTH = 24


def table_head() -> str:
    """The two first lines of the table."""
    rule = ["-" * _width(0), *("-" * (_width(i) - 1) + ":" for i in range(1, len(HEADINGS)))]
    return f"{_line(HEADINGS)}\n{_line(rule)}"


def table_line(result: Result) -> str:
    """One row of the table."""
    times = (result.best(library) for library in (OURS, *PEERS))
    return _line(
        (
            result.row.name,
            *map(_time, times),
            _time(result.limit),
            _ratio(result.lead),
            *(_ratio(result.slower(peer)) for peer in RATIOS_TO),
            _ratio(result.over_limit),
        )
    )


def summary(results: Sequence[Result]) -> str:
    """How many rows fastrnn leads."""
    led = [result.lead for result in results if result.lead is not None]
    if not led:
        return "No peer was measured."
    ahead = sum(lead > 1 for lead in led)
    return f"fastrnn is ahead of every measured peer in {ahead} of {len(led)} rows."


def constants_line(constants: Constants) -> str:
    """The machine's constants in one sentence."""
    sizes = " / ".join(f"{size // 1024}" for size in constants.cache_bytes)
    rates = " / ".join(f"{rate:.0f}" for rate in constants.read_gbytes)
    return (
        f"One core, measured in this run: {constants.clock_ghz:.2f} GHz, "
        f"{constants.peak_gflops:.0f} GFLOP/s float32 in {constants.vector_bits}-bit vectors, "
        f"reads {rates} GB/s from L1 / L2 / L3 ({sizes} KiB)."
    )


def heading(machine: dict[str, Any]) -> str:
    """The machine, the versions and how busy it was, a line each."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['isa']}, {machine['threads']} thread(s), "
        f"{machine['date']}, commit {machine['commit']}.\n"
        f"Python {machine['python']}, {versions}.\n"
        f"Load average at the start: {_load(machine['load_average'])}."
    )


def _load(averages: list[float] | None) -> str:
    if averages is None:
        return "unknown"
    return " / ".join(f"{average:.2f}" for average in averages) + " over 1 / 5 / 15 minutes"


def _width(column: int) -> int:
    return NAME_WIDTH if column == 0 else max(8, len(HEADINGS[column]))


def _line(cells: Sequence[str]) -> str:
    padded = [cells[0].ljust(_width(0))]
    padded += [cell.rjust(_width(i)) for i, cell in enumerate(cells[1:], start=1)]
    return f"| {' | '.join(padded)} |"


def _time(microseconds: float | None) -> str:
    return "–" if microseconds is None else _digits(microseconds)


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}×"


def _digits(value: float) -> str:
    """Three significant digits, and no exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
