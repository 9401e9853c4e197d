"""Threads for splitting a batch: an idle pool, woken once per sequence.

Tasks are compiled loops that hold no GIL. The pool sleeps between calls (nothing spins), is
made anew in a forked child, and may be used by several Python threads at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from threading import Event, Lock
from typing import TypeVar

from fastrnn import _check

# Waking a sleeping thread and waiting for it takes 10 to 20 microseconds; a share of this many
# multiply-adds takes about 30 at 250 GFLOP/s, so that it is worth waking one for.
MINIMUM_SHARE = 4_000_000

# Multiply-adds between two looks at the signals: a tenth of a second at the 20 GFLOP/s that a
# core without AVX reaches in float64, or a fifth if it is shared.
SEGMENT_WORK = 1e9

T = TypeVar("T")

_lock = Lock()
_pool: ThreadPoolExecutor | None = None
_num_threads: int | None = None


def get_num_threads() -> int:
    """Return how many threads a call uses at most.

    Returns
    -------
    int
        The value of :func:`set_num_threads`, else of the environment variable
        ``FASTRNN_NUM_THREADS``, else the number of processors this process may use.

    Raises
    ------
    ValueError
        If ``FASTRNN_NUM_THREADS`` is not a positive integer.

    Examples
    --------
    >>> import fastrnn
    >>> fastrnn.get_num_threads() >= 1
    True
    """
    if _num_threads is not None:
        return _num_threads
    text = os.environ.get("FASTRNN_NUM_THREADS")
    if not text:
        return processors()
    try:
        count = int(text)
    except ValueError:
        raise ValueError(f"FASTRNN_NUM_THREADS must be a positive integer, got {text!r}") from None
    return _check.integer("FASTRNN_NUM_THREADS", count)


def set_num_threads(num_threads: int | None) -> None:
    """Set how many threads a call uses at most.

    Results have the same bits for any number of threads.

    Parameters
    ----------
    num_threads : int or None
        At least 1; None returns to the default of :func:`get_num_threads`.

    Raises
    ------
    TypeError, ValueError
        If it is not a positive integer.

    Examples
    --------
    >>> import fastrnn
    >>> fastrnn.set_num_threads(2)
    >>> fastrnn.get_num_threads()
    2
    >>> fastrnn.set_num_threads(None)
    """
    global _num_threads
    _num_threads = None if num_threads is None else _check.integer("num_threads", num_threads)


def threads_for(work: float, parts: int, num_threads: int | None) -> int:
    """Return how many threads to use for ``work`` multiply-adds that split into ``parts``."""
    limit = None if num_threads is None else _check.integer("num_threads", num_threads)
    useful = min(parts, int(work // MINIMUM_SHARE))
    if useful <= 1:
        return 1
    return min(useful, get_num_threads() if limit is None else limit)


def segments(count: int, work: float) -> list[tuple[int, int]]:
    """Cut range(count), each element so many multiply-adds, where Ctrl-C is to be seen."""
    size = max(1, int(SEGMENT_WORK // max(1, work)))
    return [(i, min(i + size, count)) for i in range(0, count, size)]


def run(task: Callable[[int, int], T], size: int, threads: int) -> list[T]:
    """Call ``task(start, stop)`` on nearly equal parts of range(size), one per thread.

    Returns what the calls returned, in order. The caller's thread does the first part. It
    returns, or raises, only when no part is running any more, so that buffers can be reused.
    """
    if threads <= 1:
        return [task(0, size)]
    bounds = [size * i // threads for i in range(threads + 1)]
    futures: list[Future[T]] = []
    here: list[T] = []
    try:
        unsent = _submit(task, bounds, futures)
        here.append(task(bounds[0], bounds[1]))
        here.extend(task(start, stop) for start, stop in unsent)
    finally:
        _finish(futures)
    return [here[0], *(future.result() for future in futures), *here[1:]]


def _submit(
    task: Callable[[int, int], T], bounds: list[int], futures: list[Future[T]]
) -> list[tuple[int, int]]:
    """Hand all parts but the first to the pool; return those that it does not take.

    It takes none if no thread can be started, or once the interpreter is shutting down while
    threads of the program are still running.
    """
    parts = list(pairwise(bounds))[1:]
    pool = _get_pool(len(parts))
    if pool is None:
        return parts
    for index, part in enumerate(parts):
        try:
            futures.append(pool.submit(task, *part))
        except RuntimeError:
            return parts[index:]
    return []


def _finish(futures: list[Future[T]]) -> None:
    """Wait for all parts, through interrupts, and raise the last of these afterwards."""
    interrupt: BaseException | None = None
    while True:
        try:
            wait(futures)
            break
        except BaseException as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


def _get_pool(workers: int) -> ThreadPoolExecutor | None:
    """Return a pool with at least so many running threads, or None if they cannot be started."""
    global _pool
    with _lock:
        if _pool is None or _pool._max_workers < workers:
            # An outgrown pool ends by itself once nobody holds it.
            _pool = _started_pool(workers)
        return _pool


def _started_pool(workers: int) -> ThreadPoolExecutor | None:
    """Return a pool whose threads all run already.

    An executor that fails to start a thread in ``submit`` has queued the task nevertheless; run
    by the caller too, it would add its gradients twice. With all threads running, ``submit``
    starts none.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fastrnn")
    all_started = Event()
    try:
        for _ in range(workers):
            pool.submit(all_started.wait)
    except RuntimeError:
        pool.shutdown(wait=False)
        return None
    finally:
        all_started.set()
    return pool


def processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget_pool() -> None:
    # A forked child has the pool object but none of its threads.
    global _pool, _lock
    _pool, _lock = None, Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
