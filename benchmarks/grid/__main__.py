"""``python -m benchmarks.grid``: read the options, pin the threads, then import and run.

Libraries read their thread counts when they are imported, so nothing but the standard library is
imported before `pin`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.grid import PEERS
from benchmarks.grid.rows import select

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "FASTRNN_NUM_THREADS",
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read and check the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grid", description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="threads of everyone (default 1)")
    parser.add_argument("--rows", default="", help="regular expression; only rows with a match")
    every = ",".join(PEERS)
    parser.add_argument("--peers", default=every, help=f"default {every}; '' for none")
    parser.add_argument("--quick", action="store_true", help="few repeats: under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write what is printed")
    options = parser.parse_args(arguments)

    options.peers = [name for name in options.peers.split(",") if name]
    unknown = set(options.peers) - set(PEERS)
    if unknown:
        parser.error(f"--peers has {', '.join(sorted(unknown))}; there are {every}")
    options.rows = select(options.rows)
    if not options.rows:
        parser.error("no row has a match of --rows")
    if not 1 <= options.threads <= len(_cpus()):
        parser.error(f"--threads must be between 1 and {len(_cpus())} on this machine")
    return options


def pin(threads: int) -> None:
    """Give this process ``threads`` cores and every library as many threads."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(_cpus())[-threads:])


def _cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def main() -> None:
    """Run the grid as the command line says."""
    options = parse()
    pin(options.threads)
    from benchmarks.grid.run import FULL, QUICK, run

    run(
        options.rows,
        options.peers,
        options.threads,
        QUICK if options.quick else FULL,
        options.json,
        options.markdown,
    )


if __name__ == "__main__":
    main()
