"""Threads for splitting a batch: an idle pool, woken once per sequence.

Tasks are compiled loops that hold no GIL. The pool sleeps between calls (nothing spins), is
made anew in a forked child, and may be used by several Python threads at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from threading import Lock

from fastrnn import _check

# Waking a sleeping thread and waiting for it takes 10 to 20 microseconds; a share of this many
# multiply-adds takes about 30 at 250 GFLOP/s, so that it is worth waking one for.
MINIMUM_SHARE = 4_000_000

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
        return _processors()
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
    limit = get_num_threads() if num_threads is None else _check.integer("num_threads", num_threads)
    return max(1, min(limit, parts, int(work // MINIMUM_SHARE)))


def run(task: Callable[[int, int], object], size: int, threads: int) -> list[object]:
    """Call ``task(start, stop)`` on nearly equal parts of range(size), one per thread.

    Returns what the calls returned, in order. The caller's thread does the first part. It
    returns, or raises, only when no part is running any more, so that buffers can be reused.
    """
    if threads <= 1:
        return [task(0, size)]
    bounds = [size * i // threads for i in range(threads + 1)]
    pool = _get_pool(threads - 1)
    futures: list[Future[object]] = [
        pool.submit(task, start, stop) for start, stop in pairwise(bounds[1:])
    ]
    try:
        first = task(bounds[0], bounds[1])
    finally:
        _finish(futures)
    return [first, *(future.result() for future in futures)]


def _finish(futures: list[Future[object]]) -> None:
    interrupt: BaseException | None = None
    while True:
        try:
            wait(futures)
            break
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


def _get_pool(workers: int) -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None or _pool._max_workers < workers:
            # An outgrown pool ends by itself once nobody holds it.
            _pool = ThreadPoolExecutor(workers, thread_name_prefix="fastrnn")
        return _pool


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget_pool() -> None:
    # A forked child has the pool object but none of its threads.
    global _pool, _lock
    _pool, _lock = None, Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
