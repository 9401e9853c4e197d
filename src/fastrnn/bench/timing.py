"""The minimum of several repeats, the contenders taking turns."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from itertools import repeat

from fastrnn.bench.peers import Contender

# Seconds between two contenders. The threads of the one before may still spin, OpenMP's for ten
# milliseconds, OpenBLAS's for a hundred, and would take a core from the next: it waits for them, in
# looks of LOOK seconds, but not for ever.
SETTLE, LOOK, MOST_LOOKS = 0.015, 0.005, 60


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
    """Wait until no other thread of the process is at work.

    Awake: a core that has slept is slower at first.
    """
    _stay_awake(SETTLE)
    for _ in range(MOST_LOOKS):
        used = time.process_time()
        _stay_awake(LOOK)
        if time.process_time() - used < 1.2 * LOOK:
            return


def _stay_awake(seconds: float) -> None:
    end = time.perf_counter() + seconds
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
