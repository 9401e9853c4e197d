"""The minimum of several repeats, the contenders taking turns."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from itertools import repeat

from fastrnn.bench.peers import Contender

# Seconds until the threads of the contender before have stopped spinning (OpenMP's do for some
# milliseconds), which would take a core from the next.
SETTLE = 0.02


def measure(contenders: Sequence[Contender], repeats: int, seconds: float) -> list[float]:
    """Seconds per call of each contender.

    Each is called in loops of about ``seconds`` (once where a call takes longer). All do one loop
    before any does its next, so that a slow moment of the machine does not fall on one alone.
    """
    loops = [_loop_length(contender, seconds) for contender in contenders]
    best = [float("inf")] * len(contenders)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(repeats):
            for index, contender in enumerate(contenders):
                _settle()
                best[index] = min(best[index], _time(contender, loops[index]))
    finally:
        if collecting:
            gc.enable()
    return best


def _settle() -> None:
    """Wait, awake: a core that has slept is slower at first."""
    end = time.perf_counter() + SETTLE
    while time.perf_counter() < end:
        pass


def _loop_length(contender: Contender, seconds: float) -> int:
    length = 1
    while (taken := _time(contender, length) * length) < seconds:
        length = max(2 * length, int(0.8 * length * seconds / max(taken, 1e-9)))
    return length


def _time(contender: Contender, loops: int) -> float:
    call = contender.call
    with contender.context():
        call()  # finds its weights in the caches and its threads awake, whoever ran before
        start = time.perf_counter()
        for _ in repeat(None, loops):
            call()
        return (time.perf_counter() - start) / loops
