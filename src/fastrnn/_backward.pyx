"""BPTT: the way back over time, and the gradients that it gives, chunk by chunk of steps.

A chunk's read-out, loop back and sums over its rows follow each other, so that what one leaves, the
next finds in the cache. Of the read-out's gradient, and of dz where it is nobody else's, there is
only as much as a chunk needs.

A large batch is done in groups of sequences, which share nothing but the weights: each has
gradients of its own, added up at the end. Threads have a group each, and nothing to wait for or to
fetch from each other; if there are more of them than groups, those of a group share each of its
loops. How many groups there are does not depend on the number of threads, so neither do the bits.

The layers check shapes and own all buffers; see _forward.pyx for how rows lie.
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cython cimport floating
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from fastrnn._arrays cimport kind, read, written
from fastrnn._dispatch cimport CELL_LSTM, CELL_RNN, Cell, cell_backward, share_start
from fastrnn._gradients cimport GradientArgs, WeightSums, add_gradients, clear_sums, join_sums
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore, fr_nonlinearity
from fastrnn._readout cimport CrossEntropyRows, ReadOut, join_readouts, read_out
from fastrnn._rows cimport (
    Rows,
    Runs,
    Window,
    first_row,
    row_before,
    row_in,
    rows_of,
    sequence_at,
    sequences,
    work_of,
)
from fastrnn._team cimport run_parts, take_turns


cdef struct BackwardArgs:
    Rows rows
    bint single
    Cell cell
    fr_nonlinearity nonlinearity
    void *dz
    void *carry
    const void *h
    const void *c
    const void *gates
    const void *grad_output
    const void *grad_last
    const void *packed_hh_t
    Window in_dz, in_grad
    Py_ssize_t steps, hidden, width, b0, t0, t1


cdef void backward_step(const BackwardArgs *a, floating *dz, Py_ssize_t t, Py_ssize_t b0,
                        Py_ssize_t b1, Py_ssize_t u0, Py_ssize_t u1) noexcept nogil:
    """Step t of sequences b0 to b1, units u0 to u1: the last step of all of them, or of none."""
    cdef Py_ssize_t hidden = a.hidden, width = a.width, batch = a.rows.batch
    cdef Py_ssize_t at = first_row(&a.rows, t) + b0, prev = row_before(&a.rows, t) + b0
    cdef bint ends = t == a.steps - 1 or b0 >= sequences(&a.rows, t + 1)
    cdef const floating *h = <const floating *>a.h
    cdef const floating *dh = NULL
    cdef const floating *dz_next = NULL
    cdef const floating *z = NULL
    cdef const floating *c_prev = NULL
    cdef const floating *c_new = NULL
    cdef floating *past = NULL
    if not ends:
        dz_next = <const floating *>&dz[row_in(&a.in_dz, t + 1, b0) * width]
        if a.grad_output != NULL:
            dh = &(<const floating *>a.grad_output)[row_in(&a.in_grad, t, b0) * hidden]
    elif a.grad_last != NULL:
        dh = &(<const floating *>a.grad_last)[b0 * hidden]
    if a.cell != CELL_RNN:
        z = &(<const floating *>a.gates)[at * width]
        past = &(<floating *>a.carry)[b0 * hidden]
    if a.cell == CELL_LSTM:
        c_prev = &(<const floating *>a.c)[prev * hidden]
        c_new = &(<const floating *>a.c)[(batch + at) * hidden]
    cell_backward(a.cell, a.nonlinearity, &dz[row_in(&a.in_dz, t, b0) * width], past, z,
                  &h[(batch + at) * hidden], &h[prev * hidden], c_new, c_prev, dh, dz_next,
                  <const floating *>a.packed_hh_t, b1 - b0, hidden, u0, u1)


cdef void backward_rows(const BackwardArgs *a, floating *dz, Py_ssize_t b0,
                        Py_ssize_t b1) noexcept nogil:
    cdef Py_ssize_t t = a.t1 - 1, stop, going_on
    while t >= a.t0:
        stop = min(b1, sequences(&a.rows, t))
        going_on = 0 if t == a.steps - 1 else min(stop, sequences(&a.rows, t + 1))
        if b0 < going_on:
            backward_step(a, dz, t, b0, going_on, 0, a.hidden)
        if max(b0, going_on) < stop:
            backward_step(a, dz, t, max(b0, going_on), stop, 0, a.hidden)
        t -= 1


cdef void backward_turn(const void *args, Py_ssize_t turn, int share, int shares) noexcept nogil:
    """Some units of a step of all sequences, which all have it."""
    cdef const BackwardArgs *a = <const BackwardArgs *>args
    cdef Py_ssize_t t = a.t1 - 1 - turn
    cdef Py_ssize_t u0 = share_start(a.single, a.hidden, share, shares)
    cdef Py_ssize_t u1 = share_start(a.single, a.hidden, share + 1, shares)
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        backward_step(a, <float *>a.dz, t, 0, a.rows.batch, u0, u1)
    else:
        backward_step(a, <double *>a.dz, t, 0, a.rows.batch, u0, u1)
    fr_fpmode_restore(mode)


cdef void backward_part(const void *args, Py_ssize_t part, Py_ssize_t start,
                        Py_ssize_t stop) noexcept nogil:
    cdef const BackwardArgs *a = <const BackwardArgs *>args
    cdef Py_ssize_t b0 = a.b0 + sequence_at(&a.rows, start)
    cdef Py_ssize_t b1 = a.b0 + sequence_at(&a.rows, stop)
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        backward_rows(a, <float *>a.dz, b0, b1)
    else:
        backward_rows(a, <double *>a.dz, b0, b1)
    fr_fpmode_restore(mode)


# SHARES: in how many the threads share the sums of the groups' gradients.
cdef enum:
    GROUP_ROOM = 4
    SHARES = 64

# Chunks of ``at_once`` steps, from t1 back to t0. Of dz, unless it ``is_whole``, and grad_h there
# is only a chunk that a thread's groups are at; its rows lie together, apart from other threads'.
cdef struct WayBack:
    BackwardArgs loop
    GradientArgs sums[GROUP_ROOM]
    ReadOut readout[GROUP_ROOM]
    char *dz
    char *grad_h
    const char *grad_output
    Py_ssize_t groups, at_once, item, t0, t1
    int threads, loop_threads, sums_threads, readout_threads
    bint by_units, is_whole, has_readout


cdef inline Py_ssize_t group_start(const WayBack *w, Py_ssize_t group) noexcept nogil:
    """A group's first sequence."""
    return w.loop.rows.batch * group // w.groups


cdef void chunk_back(const WayBack *w, Py_ssize_t g0, Py_ssize_t g1, Py_ssize_t t0,
                     Py_ssize_t t1) noexcept nogil:
    """Steps t0 to t1 of groups g0 to g1 together."""
    cdef BackwardArgs a = w.loop
    cdef Py_ssize_t batch = a.rows.batch, first = first_row(&a.rows, t0), steps = t1 - t0
    cdef Py_ssize_t b0 = group_start(w, g0), b1 = group_start(w, g1), rows = steps * (b1 - b0)
    cdef Py_ssize_t dz_row = a.width * w.item, row_bytes = a.hidden * w.item, group, start
    cdef Py_ssize_t dz_stride
    cdef Window among_all = Window(a.rows, first)
    cdef Window apart = Window(Rows(NULL, NULL, b1 - b0), t0 * (b1 - b0) + b0)
    cdef Runs runs = Runs(b1 - b0, batch)
    cdef char *dz
    cdef char *grad_h
    a.in_dz = a.in_grad = among_all
    if w.is_whole:
        dz = w.dz + first * dz_row
    else:
        dz, a.in_dz = w.dz + b0 * (w.at_once + 1) * dz_row, apart
        if t1 < a.steps:  # the step after these was the first of the chunk before
            memcpy(dz + rows * dz_row, dz, (b1 - b0) * dz_row)
    dz_stride = a.in_dz.rows.batch
    if w.groups == 1:
        rows = first_row(&a.rows, t1) - first
        runs, dz_stride = Runs(rows, rows), rows
    if w.has_readout:
        grad_h = w.grad_h + b0 * w.at_once * row_bytes
        read_out(&w.readout[g0], g1 - g0, grad_h, first + b0, rows, runs, w.readout_threads)
        a.grad_output, a.in_grad = grad_h, apart
        if t1 == a.steps:
            a.grad_last = grad_h + row_in(&apart, t1 - 1, 0) * row_bytes
    elif w.grad_output != NULL:
        a.grad_output = w.grad_output + first * row_bytes
    a.dz, a.b0, a.t0, a.t1 = dz, b0, t0, t1
    if w.by_units:
        take_turns(backward_turn, &a, steps, w.loop_threads)
    else:
        run_parts(backward_part, &a, b1 - b0 if w.groups > 1 else work_of(&a.rows),
                  w.loop_threads)
    for group in range(g0, g1):
        start = group_start(w, group)
        if w.groups > 1:
            runs.length = group_start(w, group + 1) - start
            rows = steps * runs.length
        add_gradients(&w.sums[group], dz + row_in(&a.in_dz, t0, start) * dz_row, first + start,
                      rows, runs, dz_stride, w.sums_threads)


cdef void groups_back(const WayBack *w, Py_ssize_t g0, Py_ssize_t g1) noexcept nogil:
    cdef Py_ssize_t group, t = w.t1
    if w.t1 == w.loop.steps:
        for group in range(g0, g1):
            clear_sums(&w.sums[group])
            if w.has_readout:
                memset(w.readout[group].grad_w, 0, w.readout[group].apart_bytes)
    while t > w.t0:
        chunk_back(w, g0, g1, max(w.t0, t - w.at_once), t)
        t -= w.at_once


cdef void groups_part(const void *args, Py_ssize_t part, Py_ssize_t first,
                      Py_ssize_t last) noexcept nogil:
    """The groups of a thread, together if a block of the read-out has room for a step of them."""
    cdef const WayBack *w = <const WayBack *>args
    cdef Py_ssize_t group
    if not w.has_readout or group_start(w, last) - group_start(w, first) <= w.readout[0].most:
        groups_back(w, first, last)
        return
    for group in range(first, last):
        groups_back(w, group, group + 1)


cdef void join_part(const void *args, Py_ssize_t part, Py_ssize_t first,
                    Py_ssize_t last) noexcept nogil:
    """Add some shares of the groups' gradients to the first one's."""
    cdef const WayBack *w = <const WayBack *>args
    cdef Py_ssize_t group
    cdef uint64_t mode = fr_fpmode_flush()
    for group in range(1, w.groups):
        join_sums(w.sums, &w.sums[group], first, last, SHARES)
        if w.has_readout:
            join_readouts(w.readout, &w.readout[group], first, last, SHARES)
    fr_fpmode_restore(mode)


def backward(int cell, int nonlinearity, Py_ssize_t batch, cnp.ndarray starts, cnp.ndarray before,
             Py_ssize_t steps, cnp.ndarray dz not None, cnp.ndarray carry, cnp.ndarray h not None,
             cnp.ndarray c, cnp.ndarray gates, cnp.ndarray packed_hh_t not None,
             cnp.ndarray grad_output, cnp.ndarray grad_last, cnp.ndarray grad_h,
             CrossEntropyRows readout, WeightSums sums not None, bint is_whole, Py_ssize_t groups,
             Py_ssize_t at_once, Py_ssize_t segment, int threads, int loop_threads,
             int sums_threads, int readout_threads, bint by_units):
    """Steps ``steps`` - 1 down to 0: dz, and what it gives to all gradients.

    What reaches the states from outside is the gradient of a read-out, or grad_output (zero when
    that is None), but for each sequence's last grad_last, (batch, H) (zero likewise). What reaches
    the final states past the weights is in ``carry``, and in the end what reaches the initial ones.

    dz has all rows, and may be gates, or unless it ``is_whole`` those of ``at_once`` steps and one
    more; so has grad_h, of the read-out, without the one more. ``threads`` share the groups, the
    others the loops of each. Signals are looked at every ``segment`` steps.
    """
    cdef WayBack w
    cdef int number = kind(h)
    cdef Py_ssize_t group, stretch = max(segment // at_once, 1) * at_once, t = steps
    if not 1 <= groups <= GROUP_ROOM:
        raise ValueError(f"groups must be from 1 to {GROUP_ROOM}, got {groups}")
    memset(&w, 0, sizeof(w))
    w.loop.single, w.item = number == cnp.NPY_FLOAT32, cnp.PyArray_ITEMSIZE(h)
    w.loop.cell, w.loop.nonlinearity = <Cell>cell, <fr_nonlinearity>nonlinearity
    w.loop.rows = rows_of(batch, starts, before)
    w.loop.steps, w.loop.hidden, w.loop.width = steps, h.shape[1], dz.shape[1]
    w.loop.carry, w.loop.h, w.loop.c = written(carry, number, 2), read(h, number, 2), read(
        c, number, 2)
    w.loop.gates, w.loop.packed_hh_t = read(gates, number, 2), read(packed_hh_t, number, 1)
    w.loop.grad_last = read(grad_last, number, 2)
    w.dz, w.grad_h = <char *>written(dz, number, 2), <char *>written(grad_h, number, 2)
    w.grad_output = <const char *>read(grad_output, number, 2)
    w.groups, w.at_once, w.is_whole, w.by_units = groups, at_once, is_whole, by_units
    w.threads, w.loop_threads = threads, loop_threads
    w.sums_threads, w.readout_threads = sums_threads, readout_threads
    w.has_readout = readout is not None
    for group in range(groups):
        w.sums[group] = sums.of_group(group)
        if w.has_readout:
            w.readout[group] = readout.of_group(group)
            w.readout[group].first_sequence = group_start(&w, group)
            w.readout[group].batch = group_start(&w, group + 1) - group_start(&w, group)
    while t > 0:
        w.t0, w.t1 = max(0, t - stretch), t
        with nogil:
            run_parts(groups_part, &w, groups, w.threads)
        t = w.t0
        PyErr_CheckSignals()
    if groups > 1:
        with nogil:
            run_parts(join_part, &w, SHARES, w.threads)
