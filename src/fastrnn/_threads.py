"""How many threads share a loop, and the team that they are from.

Parts are compiled loops that hold no GIL. The team sleeps between calls (nothing spins), is
made anew in a forked child, and may be used by several Python threads at once; csrc/team.c says
how.
"""

from __future__ import annotations

import os
from threading import Lock, Thread

from fastrnn import _check, _team

# Waking a sleeping thread and waiting for it takes 10 to 20 microseconds; a share of this many
# multiply-adds takes about 30 at 250 GFLOP/s, so that it is worth waking one for.
MINIMUM_SHARE = 4_000_000

# Threads that share one sequence wait for each other at every step, which takes 0.1 to 0.3
# microseconds; as many multiply-adds as this take 0.6 to 1.2 where weights come from L2.
MINIMUM_TURN = 30_000

# Multiply-adds between two looks at the signals: a tenth of a second at the 20 GFLOP/s that a
# core without AVX reaches in float64, or a fifth if it is shared.
SEGMENT_WORK = 1e9

# What a row of a loop takes at least, in multiply-adds: some 50 nanoseconds.
ROW_WORK = 500

# Rows that a thread takes at least where rows alone are shared and weights are read by each: two
# threads' rows done by one, as when the other gets no processor, then read few weights twice.
ROWS_OF_SHARE = 8

# While it is entered, threads that have done their part wait awake for the next loop: around
# what shares several.
call = _team.Call()

_lock = Lock()
_workers = 0
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


def rouse(workers: int) -> None:
    """Wake so many of the threads that there are ahead of their part, within a call."""
    if workers > 0:
        _team.rouse(workers)


def threads_for(work: float, parts: int, num_threads: int | None) -> int:
    """Return how many threads to use for ``work`` multiply-adds that split into ``parts``.

    Within a call, they wake up meanwhile.
    """
    limit = None if num_threads is None else _check.integer("num_threads", num_threads)
    if parts == 1 or work < 2 * MINIMUM_SHARE:
        return 1
    useful = min(parts, int(work // MINIMUM_SHARE), _team.MAX_WORKERS + 1)
    threads = min(useful, get_num_threads() if limit is None else limit)
    if threads > 1:
        if _workers < threads - 1:
            _start(threads - 1)
        _team.rouse(threads - 1)
    return threads


def threads_for_rows(row_work: float, rows: int) -> int:
    """Return how many threads to use for a step of so many rows, of so many multiply-adds each."""
    return threads_for(rows * row_work, max(1, rows // ROWS_OF_SHARE), None)


def unit_parts(work: float) -> int:
    """Return in how many parts the units of a step can be shared, of so many multiply-adds."""
    return max(1, min(_team.MAX_SHARES, int(work // MINIMUM_TURN)))


def segment_size(work: float, rows: int = 1) -> int:
    """Return how many elements to do between two looks at the signals.

    Each has ``rows`` rows of so many multiply-adds.
    """
    return max(1, int(SEGMENT_WORK // (max(1, rows) * max(work, ROW_WORK))))


def segments(count: int, work: float, rows: int = 1) -> list[tuple[int, int]]:
    """Cut range(count) where Ctrl-C is to be seen; ``work`` and ``rows`` are an element's."""
    size = segment_size(work, rows)
    if count <= size:
        return [(0, count)]
    return [(i, min(i + size, count)) for i in range(0, count, size)]


def _start(wanted: int) -> None:
    """Start threads until the team has so many, or until no more can be started.

    None can be once the interpreter is shutting down while threads of the program still run.
    """
    global _workers
    with _lock:
        while _workers < wanted:
            # They hold no GIL and sleep when the interpreter ends: nothing has to be joined.
            worker = Thread(target=_team.work, name=f"fastrnn_{_workers}", daemon=True)
            try:
                worker.start()
            except RuntimeError:
                return
            _workers += 1


def processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget_team() -> None:
    # A forked child has none of the threads.
    global _workers, _lock
    _workers, _lock = 0, Lock()
    _team.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_team)
