"""What more threads gain: ``python -m benchmarks.threads`` prints times on one and on two.

By itself the grid cannot say: on a shared machine two runs differ by more than what is asked. Here
the same networks take turns on one thread and on more, in the grid's way to time
(`fastrnn.bench.timing`), in one process that may use as many cores as there are threads.

In turns with them, multiply-adds in registers, which share nothing, are done by one thread and by
as many: the ratio that the machine gives meanwhile, to anybody. While that is less than `ENOUGH`
of the cores, others have them: a row is then timed again, up to `ATTEMPTS` times. Its four figures
are the least of all attempts, each by itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial

import fastrnn
from fastrnn.bench import _probe, launch, machine, peers, report
from fastrnn.bench.peers import Contender
from fastrnn.bench.problem import Problem
from fastrnn.bench.rows import Row, select
from fastrnn.bench.timing import measure

ROWS = "^(batch|train) .* B(32|64|256) "
LOOP_SECONDS = 0.03

# Of multiply-adds, a thread's in a call: some 5 milliseconds, beside which waking it is little.
TURNS = 1_500_000

ENOUGH = 0.95
ATTEMPTS = 5


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let fastrnn use so many threads from here on."""
    fastrnn.set_num_threads(count)
    yield


def of_machine(pool: ThreadPoolExecutor, many: int) -> list[Contender]:
    """Return the multiply-adds, all on one thread and shared by many."""

    def shared() -> None:
        list(pool.map(_probe.multiply_adds, [TURNS] * many))

    one = partial(_probe.multiply_adds, many * TURNS)
    return [
        Contender("machine", "multiply_adds", call, dict, nullcontext) for call in (one, shared)
    ]


def times(row: Row, many: int, repeats: int, pool: ThreadPoolExecutor) -> list[float]:
    """Return the seconds of a row on one thread and on many, then the machine's."""
    (contender,) = peers.contenders(peers.load(report.OURS, many), Problem(row))
    on: list[Contender] = [replace(contender, context=partial(threads, n)) for n in (1, many)]
    least = [float("inf")] * 4
    for _ in range(ATTEMPTS):
        least = list(map(min, least, measure(on + of_machine(pool, many), repeats, LOOP_SECONDS)))
        if least[2] / least[3] >= ENOUGH * many:
            break
    return least


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
    modules = machine.describe(many)["modules"]
    print(f"Layers {modules}, {fastrnn.cpu.active()}.\n")
    print(f"| µs | 1 thread | {many} threads | ratio | the machine's |")
    print("|---|--:|--:|--:|--:|")
    with ThreadPoolExecutor(many) as pool:
        for row in rows:
            one, shared, apart, at_once = times(row, many, arguments.repeats, pool)
            print(
                f"| {row.name} | {1e6 * one:.0f} | {1e6 * shared:.0f} | {one / shared:.2f} | "
                f"{apart / at_once:.2f} |"
            )


if __name__ == "__main__":
    main()
