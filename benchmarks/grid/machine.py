"""On what the benchmark ran: CPU, instruction set, load, versions, commit, date."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import fastrnn.cpu

PACKAGES = ("fastrnn", "numpy", "torch", "jax", "jaxlib", "onnx", "onnxruntime")


def describe(threads: int) -> dict[str, object]:
    """Everything that a reader needs to place the numbers, ready for JSON."""
    return {
        "cpu": _cpu_name(),
        "isa": fastrnn.cpu.active(),
        "threads": threads,
        "cores": os.cpu_count(),
        "load_average": _load_average(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": _versions(),
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def _load_average() -> list[float] | None:
    """Over 1, 5 and 15 minutes, where the system keeps it."""
    try:
        return list(os.getloadavg())
    except (AttributeError, OSError):
        return None


def _cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _commit() -> str:
    """The checked-out commit, with a "+" where tracked files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"
