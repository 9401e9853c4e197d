"""What more threads gain: ``python -m benchmarks.threads`` prints times on one and on two.

By itself the grid cannot say: on a shared machine two runs differ by more than what is asked. Here
the same networks take turns on one thread and on more, in the grid's way to time
(`fastrnn.bench.timing`), in one process that may use as many cores as there are threads.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import fastrnn
from fastrnn.bench import launch, peers, report
from fastrnn.bench.peers import Contender
from fastrnn.bench.problem import Problem
from fastrnn.bench.rows import Row, select
from fastrnn.bench.timing import measure

ROWS = "^(batch|train) .* B(32|64|256) "
LOOP_SECONDS = 0.03


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let fastrnn use so many threads from here on."""
    fastrnn.set_num_threads(count)
    yield


def times(row: Row, counts: tuple[int, int], repeats: int) -> list[float]:
    """Return the seconds of a call on as many threads as each count says."""
    (contender,) = peers.contenders(peers.load(report.OURS, max(counts)), Problem(row))
    on: list[Contender] = [replace(contender, context=partial(threads, count)) for count in counts]
    return measure(on, repeats, LOOP_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="how many to set beside one")
    parser.add_argument("--rows", default=ROWS, help="a regular expression for the grid's rows")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    many = arguments.threads
    rows = select(arguments.rows)
    if not rows:
        parser.error(f"no row of the grid matches {arguments.rows!r}")
    launch.pin(many, is_process=True)
    print(f"| µs, {fastrnn.cpu.active()} | 1 thread | {many} threads | ratio |")
    print("|---|--:|--:|--:|")
    for row in rows:
        one, shared = times(row, (1, many), arguments.repeats)
        print(f"| {row.name} | {1e6 * one:.0f} | {1e6 * shared:.0f} | {one / shared:.2f} |")


if __name__ == "__main__":
    main()
