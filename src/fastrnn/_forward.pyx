"""Forward over time: typed, without the GIL, calling the kernel table.

Rows lie step after step: step t's begin at ``starts[t]``, one for each sequence that has this step,
the longest sequences first, so that a step's sequences are the first ones of the step before.
Without ``starts`` all sequences have all steps. ``h`` has ``batch`` rows more, before all others:
the initial states; so has the LSTM's ``c``. Each loop has a part that does some sequences, and is
shared by ``threads`` of the team; of a few sequences of one length units are, turn by turn, each
thread doing some of every step. No element is ever computed in two ways, so the bits do
not depend on the split. What parts are given lies in a struct, as the team's threads
hold no GIL; its untyped pointers are of one type, which ``single`` tells.

The layers check shapes and own all buffers; nothing here allocates, and of an array no more is
checked than that it can be read as what it is taken for.
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cython cimport floating
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from fastrnn._arrays cimport kind, read, written
from fastrnn._dispatch cimport (
    CELL_LSTM,
    Cell,
    cell_forward,
    project,
    share_start,
)
from fastrnn._kernels cimport (
    FR_STORED_REAL,
    fr_fpmode_flush,
    fr_fpmode_restore,
    fr_nonlinearity,
)
from fastrnn._rows cimport (
    Rows,
    first_row,
    row_before,
    rows_of,
    sequence_at,
    sequences,
    work_of,
)
from fastrnn._team cimport run_parts, take_turns

# Bytes of input projection computed at a time before the steps that use it: what they displace
# from L2, the steps have to read again. Of 32 to 256 KB, 64 were fastest or equal for all cells.
cdef Py_ssize_t PROJECTION_BYTES = 1 << 16

# In a smaller batch than this, input projections of many steps are computed at once: a product of
# so few rows is bound by reading its weights. In a larger one, a step's projection is part of its
# own product and never leaves the registers.
cdef Py_ssize_t BATCH_TO_FUSE = 4


def projection_steps(Py_ssize_t steps, Py_ssize_t batch, Py_ssize_t row_bytes,
                     Py_ssize_t shares):
    """Return for how many steps at a time input projections are computed, 0 if in the step.

    Threads that share the units of a step share them too: each has a few steps.
    """
    if batch >= BATCH_TO_FUSE:
        return 0
    cdef Py_ssize_t few = 4 * shares if shares > 1 else 1
    return min(steps, max(few, PROJECTION_BYTES // (batch * row_bytes)))


cdef struct ForwardArgs:
    Rows rows
    bint single, has_x, kept_c
    Cell cell
    fr_nonlinearity nonlinearity
    void *h
    void *c
    void *gates
    const void *x
    const int64_t *ids
    const void *packed_ih
    const void *packed_ih_gates
    const void *bias
    const void *token_rows
    const void *packed_hh
    void *projection
    Py_ssize_t hidden, inputs, width, columns, together, t0, t1


cdef void project_steps(const ForwardArgs *a, floating *projection, Py_ssize_t t, Py_ssize_t stop,
                        Py_ssize_t b0, Py_ssize_t b1) noexcept nogil:
    """The projections of sequences b0 to b1 in steps t to stop, ``batch`` rows for each step.

    Also where fewer have a step: threads share the buffer and are at different blocks of steps.
    """
    cdef Py_ssize_t s, inputs = a.inputs, width = a.width, batch = a.rows.batch, row
    cdef const floating *x = <const floating *>a.x
    cdef const floating *bias = <const floating *>a.bias
    if b1 - b0 == batch and sequences(&a.rows, stop - 1) == batch:
        row = first_row(&a.rows, t)
        project(FR_STORED_REAL, projection, width, &x[row * inputs], inputs,
                <const floating *>a.packed_ih, bias, a.columns, (stop - t) * batch)
        return
    for s in range(t, stop):
        row = first_row(&a.rows, s) + b0
        project(FR_STORED_REAL, &projection[((s - t) * batch + b0) * width], width,
                &x[row * inputs], inputs, <const floating *>a.packed_ih, bias, a.columns,
                min(b1, sequences(&a.rows, s)) - b0)


cdef void forward_step(const ForwardArgs *a, floating *h, Py_ssize_t s, Py_ssize_t from_step,
                       Py_ssize_t b0, Py_ssize_t b1, Py_ssize_t u0, Py_ssize_t u1) noexcept nogil:
    """Step s of sequences b0 to b1, units u0 to u1, projections beginning with from_step's."""
    cdef Py_ssize_t hidden = a.hidden, width = a.width
    cdef Py_ssize_t at = first_row(&a.rows, s) + b0, prev = row_before(&a.rows, s) + b0
    cdef Py_ssize_t new = a.rows.batch + at
    cdef bint in_step = a.has_x and not a.together
    cdef floating *kept = NULL
    cdef floating *c_prev = NULL
    cdef floating *c_new = NULL
    cdef const floating *input
    if a.gates != NULL:
        kept = &(<floating *>a.gates)[at * width]
    if a.cell == CELL_LSTM:
        c_prev = &(<floating *>a.c)[(prev if a.kept_c else b0) * hidden]
        c_new = &(<floating *>a.c)[(new if a.kept_c else b0) * hidden]
    if a.together:
        input = &(<const floating *>a.projection)[((s - from_step) * a.rows.batch + b0) * width]
    else:
        input = <const floating *>a.bias if a.has_x else <const floating *>a.token_rows
    cell_forward(a.cell, a.nonlinearity, &h[new * hidden], c_new, kept, input,
                 0 if in_step else width, NULL if a.has_x else &a.ids[at],
                 &(<const floating *>a.x)[at * a.inputs] if in_step else NULL,
                 <const floating *>a.packed_ih_gates, a.inputs, <const floating *>&h[prev * hidden],
                 <const floating *>c_prev, <const floating *>a.packed_hh, b1 - b0, hidden, u0, u1,
                 s & 1)


cdef void forward_rows(const ForwardArgs *a, floating *h, Py_ssize_t b0,
                       Py_ssize_t b1) noexcept nogil:
    cdef Py_ssize_t t = a.t0, s, stop
    while t < a.t1 and sequences(&a.rows, t) > b0:
        stop = t + 1
        while (stop < a.t1 and (not a.together or stop < t + a.together)
               and sequences(&a.rows, stop) > b0):
            stop += 1
        if a.together:
            project_steps(a, <floating *>a.projection, t, stop, b0, b1)
        for s in range(t, stop):
            forward_step(a, h, s, t, b0, min(b1, sequences(&a.rows, s)), 0, a.hidden)
        t = stop


cdef Py_ssize_t forward_turns(const ForwardArgs *a) noexcept nogil:
    """How many turns there are: a step is one, and so are the projections of those together."""
    cdef Py_ssize_t steps = a.t1 - a.t0
    return steps + ((steps + a.together - 1) // a.together if a.together else 0)


cdef void forward_units(const ForwardArgs *a, floating *h, Py_ssize_t turn, int share,
                        int shares) noexcept nogil:
    """A share of a turn of all sequences: some steps' projections, or some units of a step."""
    cdef Py_ssize_t t = a.t0, number = turn, steps, first, batch = a.rows.batch
    if a.together:
        t += turn // (a.together + 1) * a.together
        number = turn % (a.together + 1) - 1
    if number < 0:
        steps = min(a.together, a.t1 - t)
        first = steps * share // shares
        project_steps(a, &(<floating *>a.projection)[first * batch * a.width], t + first,
                      t + steps * (share + 1) // shares, 0, batch)
    else:
        forward_step(a, h, t + number, t, 0, batch, share_start(a.single, a.hidden, share, shares),
                     share_start(a.single, a.hidden, share + 1, shares))


cdef void forward_turn(const void *args, Py_ssize_t turn, int share, int shares) noexcept nogil:
    cdef const ForwardArgs *a = <const ForwardArgs *>args
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        forward_units(a, <float *>a.h, turn, share, shares)
    else:
        forward_units(a, <double *>a.h, turn, share, shares)
    fr_fpmode_restore(mode)


cdef void forward_part(const void *args, Py_ssize_t part, Py_ssize_t start,
                       Py_ssize_t stop) noexcept nogil:
    cdef const ForwardArgs *a = <const ForwardArgs *>args
    cdef Py_ssize_t b0 = sequence_at(&a.rows, start), b1 = sequence_at(&a.rows, stop)
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        forward_rows(a, <float *>a.h, b0, b1)
    else:
        forward_rows(a, <double *>a.h, b0, b1)
    fr_fpmode_restore(mode)


def forward(int cell, int nonlinearity, Py_ssize_t batch, cnp.ndarray starts, cnp.ndarray before,
            cnp.ndarray h not None, cnp.ndarray c, cnp.ndarray gates, cnp.ndarray x,
            cnp.ndarray ids, cnp.ndarray packed_ih, cnp.ndarray packed_ih_gates,
            cnp.ndarray bias not None, cnp.ndarray token_rows,
            cnp.ndarray packed_hh not None, cnp.ndarray projection, Py_ssize_t together,
            Py_ssize_t columns, Py_ssize_t t0, Py_ssize_t t1, int threads, bint by_units):
    """The states after steps t0 to t1 from x or ids and the states before them.

    ``before[b]`` is how many rows the sequences before b have in all; ``starts`` and ``before``
    are None together. x is None when there are ids, c unless the cell is an LSTM, and gates unless
    they are kept for the way back. c has ``batch`` rows alone unless it is kept.

    x's projection, `columns` wide, is computed for ``together`` steps at once, or where that is 0
    in the step itself. The bits are the same: the multiply-adds of an element
    come in the same order. Signals are looked at first: the caller may be compiled and see none.
    """
    cdef ForwardArgs a
    cdef int number = kind(h)
    PyErr_CheckSignals()
    memset(&a, 0, sizeof(a))
    a.single = number == cnp.NPY_FLOAT32
    a.cell, a.nonlinearity = <Cell>cell, <fr_nonlinearity>nonlinearity
    a.rows = rows_of(batch, starts, before)
    a.hidden, a.width, a.columns = h.shape[1], bias.shape[0], columns
    a.t0, a.t1 = t0, t1
    a.h, a.gates = written(h, number, 2), written(gates, number, 2)
    a.bias, a.packed_hh = read(bias, number, 1), read(packed_hh, number, 1)
    if c is not None:
        a.c, a.kept_c = written(c, number, 2), c.shape[0] == h.shape[0]
    if x is not None:
        a.has_x, a.x, a.inputs = True, read(x, number, 2), x.shape[1]
    else:
        a.ids = <const int64_t *>read(ids, cnp.NPY_INT64, 1)
        a.token_rows = read(token_rows, number, 2)
    if projection is not None:
        a.together, a.projection = together, written(projection, number, 2)
        a.packed_ih = read(packed_ih, number, 1)
    elif x is not None:
        a.packed_ih_gates = read(packed_ih_gates, number, 1)
    with nogil:
        if by_units:
            take_turns(forward_turn, &a, forward_turns(&a), threads)
        else:
            run_parts(forward_part, &a, work_of(&a.rows), threads)
