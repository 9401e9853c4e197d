"""The same number of threads for every library, which most of them read when they are imported."""

from __future__ import annotations

import os
import sys

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "FASTRNN_NUM_THREADS",
)


def pin(threads: int, *, is_process: bool) -> None:
    """Give this process ``threads`` cores and every library as many threads.

    NumPy has been imported by now. Where it read another number, the process starts over with the
    right one; a program that called the command as a function cannot be started over.

    Raises
    ------
    ValueError
        If the environment has other numbers and ``is_process`` is false.
    """
    wanted = _environment(threads)
    ready = all(os.environ.get(name) == value for name, value in wanted.items())
    if not ready and not is_process:
        settings = " ".join(f"{name}='{value}'" for name, value in wanted.items())
        raise ValueError(f"threads are set before NumPy is imported: start Python with {settings}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    if not ready:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | wanted)


def _environment(threads: int) -> dict[str, str]:
    environment = dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        flag = "--xla_cpu_multi_thread_eigen=false"
        others = [given for given in os.environ.get("XLA_FLAGS", "").split() if given != flag]
        environment["XLA_FLAGS"] = " ".join([*others, flag])
    return environment
