"""On what the benchmark ran: CPU, instruction set, load, versions, commit, date."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import fastrnn.cpu
from fastrnn.layers import sweep

PACKAGES = ("fastrnn", "numpy", "torch", "jax", "jaxlib", "onnx", "onnxruntime", "openvino")

# What chooses the instruction set of a library, where it is set.
INSTRUCTION_SETS = (
    "FASTRNN_ISA",
    "NPY_DISABLE_CPU_FEATURES",
    "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)
XLA_INSTRUCTION_SET = "--xla_cpu_max_isa="


def describe(threads: int) -> dict[str, object]:
    """Everything that a reader needs to place the numbers, ready for JSON."""
    return {
        "cpu": _cpu_name(),
        "isa": fastrnn.cpu.active(),
        "threads": threads,
        "modules": "interpreted" if sweep.__file__.endswith(".py") else "compiled",
        "environment": _environment(),
        "cores": os.cpu_count(),
        "load_average": _load_average(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": _versions(),
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def _environment() -> dict[str, str]:
    """Return what is set that holds a library to an instruction set."""
    given = {name: os.environ[name] for name in INSTRUCTION_SETS if name in os.environ}
    flags = os.environ.get("XLA_FLAGS", "").split()
    of_xla = [flag for flag in flags if flag.startswith(XLA_INSTRUCTION_SET)]
    return given | ({"XLA_FLAGS": of_xla[-1]} if of_xla else {})


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


def _commit() -> str | None:
    """Return the checked-out commit, with a "+" where tracked files differ from it.

    None where the package is installed and not run from a checkout.
    """
    root = Path(__file__).parents[3]
    if not (root / ".git").exists() or not (root / "csrc" / "fastrnn.h").exists():
        return None
    command = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
