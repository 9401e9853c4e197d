"""The machine's constants, measured at the time of the benchmark."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastrnn import _ops
from fastrnn.bench import _probe

REPEATS = 15
CACHE_DIRECTORIES = Path("/sys/devices/system/cpu/cpu0/cache")

# Each call takes some tenths of a millisecond, beside which a Python call is nothing.
ADDITIONS = 2_000_000
TURNS = 100_000
BYTES_READ = 1 << 25


class ProbeError(RuntimeError):
    """The constants cannot be measured here."""


@dataclass(frozen=True)
class Constants:
    """What one core can do.

    Attributes
    ----------
    clock_ghz : cycles per nanosecond
    peak_gflops : float32 multiply-adds in the widest vectors, two operations each
    vector_bits : their width
    cache_bytes : sizes of the data caches L1, L2, L3
    read_gbytes : bandwidth in GB/s of reading data that stays in L1, L2, L3
    """

    clock_ghz: float
    peak_gflops: float
    vector_bits: int
    cache_bytes: tuple[int, int, int]
    read_gbytes: tuple[float, float, float]


def measure() -> Constants:
    """Measure on the calling thread, in about a tenth of a second."""
    sizes = _cache_sizes()
    # What a pass finds in that cache and no nearer one: half of L1, the quarter of L2 that a
    # recurrent matrix of 256 units fills in 1 MiB, and eight times what L2 holds.
    l1, l2, l3 = sizes[0] // 2, sizes[1] // 4, min(8 * sizes[1], sizes[2] // 2)
    return Constants(
        clock_ghz=_rate(lambda: _probe.chain(ADDITIONS)),
        peak_gflops=_rate(lambda: _probe.multiply_adds(TURNS)),
        vector_bits=_probe.vector_bits(),
        cache_bytes=sizes,
        read_gbytes=(_bandwidth(l1), _bandwidth(l2), _bandwidth(l3)),
    )


def _rate(work: Callable[[], float]) -> float:
    """Return the most work that is done in a nanosecond."""
    best = 0.0
    for _ in range(REPEATS):
        start = time.perf_counter_ns()
        done = work()
        best = max(best, done / (time.perf_counter_ns() - start))
    return best


def _bandwidth(size: int) -> float:
    """GB/s of reading ``size`` bytes again and again."""
    data = _ops.empty(size // 4, np.float32)
    data[:] = 1
    passes = max(1, BYTES_READ // data.nbytes)
    return _rate(lambda: 4 * _probe.reads(data, passes))


def _cache_sizes() -> tuple[int, int, int]:
    sizes = _sizes_from_sysfs() or _sizes_from_sysconf()
    if len(sizes) < 3 or not all(sizes):
        raise ProbeError("the sizes of the caches are not known")
    return sizes[0], sizes[1], sizes[2]


def _sizes_from_sysfs() -> list[int]:
    sizes = {}
    for index in CACHE_DIRECTORIES.glob("index*"):
        try:
            if (index / "type").read_text().strip() != "Instruction":
                kilobytes = (index / "size").read_text().strip().removesuffix("K")
                sizes[int((index / "level").read_text())] = 1024 * int(kilobytes)
        except (OSError, ValueError):  # some virtual machines leave entries out
            continue
    return [sizes.get(level, 0) for level in (1, 2, 3)] if sizes else []


def _sizes_from_sysconf() -> list[int]:
    names = "SC_LEVEL1_DCACHE_SIZE", "SC_LEVEL2_CACHE_SIZE", "SC_LEVEL3_CACHE_SIZE"
    if not all(name in os.sysconf_names for name in names):
        return []
    return [os.sysconf(name) for name in names]
