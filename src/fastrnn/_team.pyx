"""The team of threads of csrc/team.c: what Python starts, and what compiled loops call."""

from fastrnn._team cimport (
    FR_TEAM_SHARES,
    FR_TEAM_WORKERS,
    fr_part,
    fr_turn,
    fr_team_enter,
    fr_team_forget,
    fr_team_helped,
    fr_team_join,
    fr_team_leave,
    fr_team_rouse,
    fr_team_run,
    fr_team_take_turns,
    fr_team_turns_helped,
    fr_team_work,
    stripes,
)

MAX_WORKERS = FR_TEAM_WORKERS
MAX_SHARES = FR_TEAM_SHARES


cdef void run_parts(fr_part part, const void *args, Py_ssize_t size, int parts) noexcept nogil:
    """Call part(args, number, start, stop) for nearly equal parts of range(size), together."""
    fr_team_run(part, args, size, parts)


cdef void take_turns(fr_turn turn, const void *args, Py_ssize_t turns, int shares) noexcept nogil:
    """Call turn(args, number, share, shares) for the shares of range(turns), turn by turn."""
    fr_team_take_turns(turn, args, turns, shares)


def stripe_count(Py_ssize_t rows):
    """Return in how many parts the gradient of a matrix of so many rows can be computed."""
    return stripes(rows)


def work():
    """Be a worker, for ever."""
    cdef int number = fr_team_join()
    if number < 0:
        return
    with nogil:
        fr_team_work(number)


def rouse(int workers):
    """Wake so many workers ahead of their part, if a call is open."""
    fr_team_rouse(workers)


def helped():
    """Return how many times a worker has shared a loop."""
    return fr_team_helped()


def turns_helped():
    """Return how many shares of one sequence's steps workers have done."""
    return fr_team_turns_helped()


def forget():
    """Forget all workers, which a forked child does not have."""
    fr_team_forget()


cdef class Call:
    """While one is entered, workers stay awake from one loop to the next."""

    def __enter__(self):
        fr_team_enter()

    def __exit__(self, *error):
        fr_team_leave()
