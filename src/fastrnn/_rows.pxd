# How the rows of several sequences lie over time; layers/rows.py has the same in Python.

cimport numpy as cnp
from libc.stdint cimport int64_t

from fastrnn._arrays cimport read


# Where the rows of each step begin (NULL: everywhere a row for each of the batch), and how many
# rows the sequences before one have in all.
cdef struct Rows:
    const int64_t *starts
    const int64_t *before
    Py_ssize_t batch


cdef inline Rows rows_of(Py_ssize_t batch, cnp.ndarray starts, cnp.ndarray before) except *:
    cdef Rows rows
    rows.batch = batch
    rows.starts = <const int64_t *>read(starts, cnp.NPY_INT64, 1)
    rows.before = <const int64_t *>read(before, cnp.NPY_INT64, 1)
    return rows


cdef inline Py_ssize_t first_row(const Rows *rows, Py_ssize_t t) noexcept nogil:
    return t * rows.batch if rows.starts == NULL else rows.starts[t]


cdef inline Py_ssize_t row_before(const Rows *rows, Py_ssize_t t) noexcept nogil:
    """The row of h and c at which the states begin that step t starts from."""
    return 0 if t == 0 else rows.batch + first_row(rows, t - 1)


cdef inline Py_ssize_t sequences(const Rows *rows, Py_ssize_t t) noexcept nogil:
    """How many sequences have step t."""
    return first_row(rows, t + 1) - first_row(rows, t)


cdef inline Py_ssize_t sequence_at(const Rows *rows, Py_ssize_t work) noexcept nogil:
    """The first sequence that has so much work, counted in rows, before it."""
    cdef Py_ssize_t low = 0, high = rows.batch, middle
    if rows.before == NULL:
        return work
    while low < high:
        middle = (low + high) // 2
        if rows.before[middle] < work:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline Py_ssize_t work_of(const Rows *rows) noexcept nogil:
    """What is split over threads: rows where sequences differ in length, else sequences."""
    return rows.batch if rows.before == NULL else rows.before[rows.batch]


# Where rows lie in an array that begins with one of them.
cdef struct Window:
    Rows rows
    Py_ssize_t first


cdef inline Py_ssize_t row_in(const Window *window, Py_ssize_t t, Py_ssize_t b) noexcept nogil:
    return first_row(&window.rows, t) + b - window.first


# Rows of some sequences over several steps: in runs of ``length`` beside each other, one for each
# step, that begin ``stride`` rows apart.
cdef struct Runs:
    Py_ssize_t length, stride


cdef inline Py_ssize_t row_of(const Runs *runs, Py_ssize_t i) noexcept nogil:
    """How many rows after the first one the i-th lies."""
    return i // runs.length * runs.stride + i % runs.length


cdef inline Py_ssize_t beside(const Runs *runs, Py_ssize_t i, Py_ssize_t stop) noexcept nogil:
    """How many of the rows from the i-th to the one before ``stop`` lie beside each other."""
    if runs.length == runs.stride:
        return stop - i
    return min(stop - i, runs.length - i % runs.length)


cdef inline Py_ssize_t together(const Runs *runs, Py_ssize_t most, Py_ssize_t i,
                                Py_ssize_t stop) noexcept nogil:
    """How many rows to take at a time: whole runs, or a part of one that is longer than ``most``.

    The i-th is the first of a run, or within such a long one.
    """
    if runs.length > most:
        return min(most, min(stop - i, runs.length - i % runs.length))
    return min(most // runs.length * runs.length, stop - i)
