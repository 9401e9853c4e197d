"""The machine's constants, measured by probe.c at the time of the benchmark."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SOURCE = Path(__file__).with_name("probe.c")
REPEATS = 15
CACHE_DIRECTORIES = Path("/sys/devices/system/cpu/cpu0/cache")


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
    """Compile the probe and run it on the calling thread, in about a tenth of a second."""
    sizes = _cache_sizes()
    with tempfile.TemporaryDirectory() as directory:
        library = _build(Path(directory))
        width, accumulators = library.probe_width(), library.probe_accumulators()
        cycles, turns = 16 * 100_000, 100_000
        clock = cycles / _fastest(library.probe_cycles, cycles // 16)
        operations = 2 * width * accumulators * turns
        peak = operations / _fastest(library.probe_multiply_adds, turns)
        # What a pass finds in that cache and no nearer one: half of L1, the quarter of L2 that a
        # recurrent matrix of 256 units fills in 1 MiB, and eight times what L2 holds.
        working_sets = sizes[0] // 2, sizes[1] // 4, min(8 * sizes[1], sizes[2] // 2)
        reads = tuple(_bandwidth(library, size) for size in working_sets)
    return Constants(clock / 1e9, peak / 1e9, 32 * width, sizes, reads)  # type: ignore[arg-type]


def _bandwidth(library: Any, size: int) -> float:
    """GB/s of reading ``size`` bytes again and again."""
    count = size // 4
    padded = np.ones(count + 16, np.float32)
    start = -padded.ctypes.data % 64 // 4
    passes = max(1, (1 << 23) // size)
    data = padded[start : start + count].ctypes.data
    return 4 * count * passes / _fastest(library.probe_reads, data, count, passes) / 1e9


def _fastest(function: Callable[..., float], *arguments: int) -> float:
    return min(function(*arguments) for _ in range(REPEATS))


def _build(directory: Path) -> ctypes.CDLL:
    candidates = os.environ.get("CC", "cc"), "gcc", "clang"
    compiler = next((name for name in candidates if shutil.which(name)), None)
    if compiler is None:
        raise ProbeError("there is no C compiler")
    target = directory / "probe.so"
    # Clang for ARM names the machine by -mcpu and does not take -march=native.
    for machine in ("-march=native", "-mcpu=native"):
        command = [compiler, "-O3", machine, "-ffp-contract=fast", "-shared", "-fPIC"]
        done = subprocess.run(
            [*command, str(SOURCE), "-o", str(target)], capture_output=True, text=True
        )
        if done.returncode == 0:
            break
    else:
        raise ProbeError(f"{compiler} cannot compile {SOURCE.name}: {done.stderr.strip()}")

    library = ctypes.CDLL(str(target))
    for name, *arguments in (
        ("probe_cycles", ctypes.c_long),
        ("probe_multiply_adds", ctypes.c_long),
        ("probe_reads", ctypes.c_void_p, ctypes.c_long, ctypes.c_long),
    ):
        getattr(library, name).argtypes = arguments
        getattr(library, name).restype = ctypes.c_double
    return library


def _cache_sizes() -> tuple[int, int, int]:
    sizes = _sizes_from_sysfs() or _sizes_from_sysconf()
    if len(sizes) < 3 or not all(sizes):
        raise ProbeError("the sizes of the caches are not known")
    return sizes[0], sizes[1], sizes[2]


def _sizes_from_sysfs() -> list[int]:
    sizes = {}
    for index in CACHE_DIRECTORIES.glob("index*"):
        if (index / "type").read_text().strip() != "Instruction":
            kilobytes = (index / "size").read_text().strip().removesuffix("K")
            sizes[int((index / "level").read_text())] = 1024 * int(kilobytes)
    return [sizes.get(level, 0) for level in (1, 2, 3)] if sizes else []


def _sizes_from_sysconf() -> list[int]:
    names = "SC_LEVEL1_DCACHE_SIZE", "SC_LEVEL2_CACHE_SIZE", "SC_LEVEL3_CACHE_SIZE"
    if not all(name in os.sysconf_names for name in names):
        return []
    return [os.sysconf(name) for name in names]
