"""Forward and BPTT over time: typed, without the GIL, calling the kernel table.

Time-major throughout. ``h`` has a row more than there are steps: h[0] is the initial state and
h[t + 1] the state after step t, so that h[:-1] are the previous states and h[1:] the output; so
it is with the LSTM's ``c``. Each loop has a part that does some rows of the batch, or some units
of a gradient, and is shared by ``threads`` of the team; a single sequence is shared turn by turn,
each thread doing some units of every step. No element is ever computed in two ways, so the bits do
not depend on the split. What parts are given lies in a struct, as the team's threads
hold no GIL; its untyped pointers are of one type, which ``single`` tells.

The layers check shapes and own all buffers; nothing here allocates or checks.
"""

from cython cimport floating
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from fastrnn._dispatch cimport (
    CELL_LSTM,
    CELL_RNN,
    Cell,
    cell_backward,
    cell_forward,
    k_column_sums,
    k_gemm_tn,
    k_scatter_rows,
    project,
    share_start,
)
from fastrnn._kernels cimport (
    FR_STORED_REAL,
    fr_fpmode_flush,
    fr_fpmode_restore,
    fr_nonlinearity,
)
from fastrnn._team cimport STRIPE, run_parts, stripes, take_turns

# Bytes of input projection computed at a time before the steps that use it: what they displace
# from L2, the steps have to read again. Of 32 to 256 KB, 64 were fastest or equal for all cells.
cdef Py_ssize_t PROJECTION_BYTES = 1 << 16

# In a smaller batch than this, input projections of many steps are computed at once: a product of
# so few rows is bound by reading its weights. In a larger one, a step's projection is part of its
# own product and never leaves the registers.
cdef Py_ssize_t BATCH_TO_FUSE = 4

# Rows and columns of dz that are used for all gradients before the next: a quarter of a 1 MB L2 in
# float32, as much as the rows of h and the part of the gradient beside them at H = 256.
cdef Py_ssize_t GRADIENT_BLOCK = 256


def projection_steps(Py_ssize_t steps, Py_ssize_t batch, Py_ssize_t row_bytes,
                     Py_ssize_t threads):
    """Return for how many steps at a time input projections are computed, 0 if in the step.

    Threads that share a sequence share them too: each has a few steps.
    """
    if batch >= BATCH_TO_FUSE:
        return 0
    cdef Py_ssize_t few = 4 * threads if batch == 1 else 1
    return min(steps, max(few, PROJECTION_BYTES // (batch * row_bytes)))


cdef struct ForwardArgs:
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
    Py_ssize_t batch, hidden, inputs, width, columns, together, t0, t1


cdef void project_steps(const ForwardArgs *a, floating *projection, Py_ssize_t t, Py_ssize_t stop,
                        Py_ssize_t b0, Py_ssize_t b1) noexcept nogil:
    """projection[s - t, b0:b1] from x[s], for t <= s < stop."""
    cdef Py_ssize_t s, batch = a.batch, inputs = a.inputs, width = a.width
    cdef const floating *x = <const floating *>a.x
    cdef const floating *bias = <const floating *>a.bias
    if b1 - b0 == batch:
        project(FR_STORED_REAL, projection, width, &x[t * batch * inputs], inputs,
                <const floating *>a.packed_ih, bias, a.columns, (stop - t) * batch)
        return
    for s in range(t, stop):
        project(FR_STORED_REAL, &projection[((s - t) * batch + b0) * width], width,
                &x[(s * batch + b0) * inputs], inputs, <const floating *>a.packed_ih, bias,
                a.columns, b1 - b0)


cdef void forward_step(const ForwardArgs *a, floating *h, Py_ssize_t s, Py_ssize_t from_step,
                       Py_ssize_t b0, Py_ssize_t b1, Py_ssize_t u0, Py_ssize_t u1) noexcept nogil:
    """Step s of rows b0 to b1 and units u0 to u1, projections beginning with those of from_step."""
    cdef Py_ssize_t batch = a.batch, hidden = a.hidden, width = a.width, at = s * batch + b0
    cdef bint in_step = a.has_x and not a.together
    cdef floating *kept = NULL
    cdef floating *c_prev = NULL
    cdef floating *c_new = NULL
    cdef const floating *input
    if a.gates != NULL:
        kept = &(<floating *>a.gates)[at * width]
    if a.cell == CELL_LSTM:
        c_prev = &(<floating *>a.c)[(at if a.kept_c else b0) * hidden]
        c_new = c_prev + (batch * hidden if a.kept_c else 0)
    if a.together:
        input = &(<const floating *>a.projection)[((s - from_step) * batch + b0) * width]
    else:
        input = <const floating *>a.bias if a.has_x else <const floating *>a.token_rows
    cell_forward(a.cell, a.nonlinearity, &h[(at + batch) * hidden], c_new, kept, input,
                 0 if in_step else width, NULL if a.has_x else &a.ids[at],
                 &(<const floating *>a.x)[at * a.inputs] if in_step else NULL,
                 <const floating *>a.packed_ih_gates, a.inputs, <const floating *>&h[at * hidden],
                 <const floating *>c_prev, <const floating *>a.packed_hh, b1 - b0, hidden, u0, u1,
                 s & 1)


cdef void forward_rows(const ForwardArgs *a, floating *h, Py_ssize_t b0,
                       Py_ssize_t b1) noexcept nogil:
    cdef Py_ssize_t t = a.t0, s, stop
    while t < a.t1:
        stop = min(t + a.together, a.t1) if a.together else a.t1
        if a.together:
            project_steps(a, <floating *>a.projection, t, stop, b0, b1)
        for s in range(t, stop):
            forward_step(a, h, s, t, b0, b1, 0, a.hidden)
        t = stop


cdef Py_ssize_t forward_turns(const ForwardArgs *a) noexcept nogil:
    """How many turns there are: a step is one, and so are the projections of those together."""
    cdef Py_ssize_t steps = a.t1 - a.t0
    return steps + ((steps + a.together - 1) // a.together if a.together else 0)


cdef void forward_units(const ForwardArgs *a, floating *h, Py_ssize_t turn, int share,
                        int shares) noexcept nogil:
    """A share of a turn of one sequence: some steps' projections, or some units of a step."""
    cdef Py_ssize_t t = a.t0, number = turn, steps, first
    if a.together:
        t += turn // (a.together + 1) * a.together
        number = turn % (a.together + 1) - 1
    if number < 0:
        steps = min(a.together, a.t1 - t)
        first = steps * share // shares
        project_steps(a, &(<floating *>a.projection)[first * a.width], t + first,
                      t + steps * (share + 1) // shares, 0, 1)
    else:
        forward_step(a, h, t + number, t, 0, 1, share_start(a.single, a.hidden, share, shares),
                     share_start(a.single, a.hidden, share + 1, shares))


cdef void forward_turn(const void *args, Py_ssize_t turn, int share, int shares) noexcept nogil:
    cdef const ForwardArgs *a = <const ForwardArgs *>args
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        forward_units(a, <float *>a.h, turn, share, shares)
    else:
        forward_units(a, <double *>a.h, turn, share, shares)
    fr_fpmode_restore(mode)


cdef void forward_part(const void *args, Py_ssize_t part, Py_ssize_t b0,
                       Py_ssize_t b1) noexcept nogil:
    cdef const ForwardArgs *a = <const ForwardArgs *>args
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        forward_rows(a, <float *>a.h, b0, b1)
    else:
        forward_rows(a, <double *>a.h, b0, b1)
    fr_fpmode_restore(mode)


def forward(int cell, int nonlinearity, floating[:, :, ::1] h, floating[:, :, ::1] c,
            floating[:, :, ::1] gates, const floating[:, :, ::1] x, const int64_t[:, ::1] ids,
            const floating[::1] packed_ih, const floating[::1] packed_ih_gates,
            const floating[::1] bias, const floating[:, ::1] token_rows,
            const floating[::1] packed_hh, floating[:, :, ::1] projection, Py_ssize_t columns,
            Py_ssize_t t0, Py_ssize_t t1, int threads):
    """h[t + 1] and c[t + 1] from x[t] or ids[t], h[t] and c[t], for t0 <= t < t1.

    x is None when there are ids, c unless the cell is an LSTM, and gates unless they are kept for
    the way back. c has a single row of states unless it is kept.

    x's projection, `columns` wide, is computed for as many steps at once as ``projection`` has, or
    where that is None in the step itself. The bits are the same: the multiply-adds of an element
    come in the same order.
    """
    cdef ForwardArgs a
    memset(&a, 0, sizeof(a))
    a.single = floating is float
    a.cell, a.nonlinearity = <Cell>cell, <fr_nonlinearity>nonlinearity
    a.batch, a.hidden, a.width, a.columns = h.shape[1], h.shape[2], bias.shape[0], columns
    a.t0, a.t1 = t0, t1
    a.h, a.bias, a.packed_hh = &h[0, 0, 0], &bias[0], &packed_hh[0]
    if c is not None:
        a.c, a.kept_c = &c[0, 0, 0], c.shape[0] == h.shape[0]
    if gates is not None:
        a.gates = &gates[0, 0, 0]
    if x is not None:
        a.has_x, a.x, a.inputs = True, &x[0, 0, 0], x.shape[2]
    else:
        a.ids, a.token_rows = &ids[0, 0], &token_rows[0, 0]
    if projection is not None:
        a.together, a.projection = projection.shape[0], &projection[0, 0, 0]
        a.packed_ih = &packed_ih[0]
    elif x is not None:
        a.packed_ih_gates = &packed_ih_gates[0]
    with nogil:
        if a.batch == 1 and threads > 1:
            take_turns(forward_turn, &a, forward_turns(&a), threads)
        else:
            run_parts(forward_part, &a, a.batch, threads)


cdef struct BackwardArgs:
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
    Py_ssize_t batch, hidden, width, last, t0, t1


cdef void backward_step(const BackwardArgs *a, floating *dz, Py_ssize_t t, Py_ssize_t b0,
                        Py_ssize_t b1, Py_ssize_t u0, Py_ssize_t u1) noexcept nogil:
    """Step t of rows b0 to b1 and units u0 to u1."""
    cdef Py_ssize_t batch = a.batch, hidden = a.hidden, width = a.width, at = t * batch + b0
    cdef const floating *h = <const floating *>a.h
    cdef const floating *dh
    cdef const floating *dz_next
    cdef const floating *z = NULL
    cdef const floating *c_prev = NULL
    cdef const floating *c_new = NULL
    cdef floating *past = NULL
    if t == a.last:
        dh = &(<const floating *>a.grad_last)[b0 * hidden] if a.grad_last != NULL else NULL
    else:
        dh = &(<const floating *>a.grad_output)[at * hidden] if a.grad_output != NULL else NULL
    dz_next = NULL if t == a.last else <const floating *>&dz[(at + batch) * width]
    if a.cell != CELL_RNN:
        z = &(<const floating *>a.gates)[at * width]
        past = &(<floating *>a.carry)[b0 * hidden]
    if a.cell == CELL_LSTM:
        c_prev = &(<const floating *>a.c)[at * hidden]
        c_new = c_prev + batch * hidden
    cell_backward(a.cell, a.nonlinearity, &dz[at * width], past, z, &h[(at + batch) * hidden],
                  &h[at * hidden], c_new, c_prev, dh, dz_next, <const floating *>a.packed_hh_t,
                  b1 - b0, hidden, u0, u1)


cdef void backward_rows(const BackwardArgs *a, floating *dz, Py_ssize_t b0,
                        Py_ssize_t b1) noexcept nogil:
    cdef Py_ssize_t t = a.t1 - 1
    while t >= a.t0:
        backward_step(a, dz, t, b0, b1, 0, a.hidden)
        t -= 1


cdef void backward_turn(const void *args, Py_ssize_t turn, int share, int shares) noexcept nogil:
    """Some units of a step of one sequence."""
    cdef const BackwardArgs *a = <const BackwardArgs *>args
    cdef Py_ssize_t t = a.t1 - 1 - turn
    cdef Py_ssize_t u0 = share_start(a.single, a.hidden, share, shares)
    cdef Py_ssize_t u1 = share_start(a.single, a.hidden, share + 1, shares)
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        backward_step(a, <float *>a.dz, t, 0, 1, u0, u1)
    else:
        backward_step(a, <double *>a.dz, t, 0, 1, u0, u1)
    fr_fpmode_restore(mode)


cdef void backward_part(const void *args, Py_ssize_t part, Py_ssize_t b0,
                        Py_ssize_t b1) noexcept nogil:
    cdef const BackwardArgs *a = <const BackwardArgs *>args
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        backward_rows(a, <float *>a.dz, b0, b1)
    else:
        backward_rows(a, <double *>a.dz, b0, b1)
    fr_fpmode_restore(mode)


def backward(int cell, int nonlinearity, floating[:, :, ::1] dz, floating[:, ::1] carry,
             const floating[:, :, ::1] h, const floating[:, :, ::1] c,
             const floating[:, :, ::1] gates, const floating[:, :, ::1] grad_output,
             const floating[:, ::1] grad_last, const floating[::1] packed_hh_t,
             Py_ssize_t t0, Py_ssize_t t1, int threads):
    """dz[t], the gradient of step t's pre-activations, from t1 - 1 down to t0.

    What reaches h[t + 1] from outside is grad_output[t] (zero when that is None); of the very last
    step it is grad_last. Only dz is computed here: every other gradient is a product over all
    steps at once. dz may be gates.
    """
    cdef BackwardArgs a
    memset(&a, 0, sizeof(a))
    a.single = floating is float
    a.cell, a.nonlinearity = <Cell>cell, <fr_nonlinearity>nonlinearity
    a.batch, a.hidden, a.width, a.last = h.shape[1], h.shape[2], dz.shape[2], dz.shape[0] - 1
    a.t0, a.t1 = t0, t1
    a.dz, a.h, a.packed_hh_t = &dz[0, 0, 0], &h[0, 0, 0], &packed_hh_t[0]
    if a.cell != CELL_RNN:
        a.carry, a.gates = &carry[0, 0], &gates[0, 0, 0]
    if a.cell == CELL_LSTM:
        a.c = &c[0, 0, 0]
    if grad_output is not None:
        a.grad_output = &grad_output[0, 0, 0]
    if grad_last is not None:
        a.grad_last = &grad_last[0, 0]
    with nogil:
        if a.batch == 1 and threads > 1:
            take_turns(backward_turn, &a, t1 - t0, threads)
        else:
            run_parts(backward_part, &a, a.batch, threads)


cdef enum:
    MAX_BLOCKS = 3

# Gates that stand together: from one of a row of pre-activations on, and of a parameter.
cdef struct Block:
    Py_ssize_t row, parameter, gates

cdef struct GradientArgs:
    bint single
    void *sums
    void *token_grads
    void *grad_ih
    void *grad_hh
    const void *dz
    const void *x
    const int64_t *ids
    const void *h
    Block input_blocks[MAX_BLOCKS]
    Block hidden_blocks[MAX_BLOCKS]
    Py_ssize_t hidden, inputs, width, columns, rows


cdef void weight_grads(const GradientArgs *a, const Block *blocks, floating *grad,
                       const floating *dz, const floating *factor, Py_ssize_t inputs,
                       Py_ssize_t m0, Py_ssize_t m1, Py_ssize_t rows) noexcept nogil:
    """grad += dz^T factor, for columns m0 to m1 of dz and the parameter's rows that they are."""
    cdef Py_ssize_t i, column, begin, end, row
    for i in range(MAX_BLOCKS):
        column = blocks[i].row * a.hidden
        begin, end = max(m0, column), min(m1, column + blocks[i].gates * a.hidden)
        if begin < end:
            row = blocks[i].parameter * a.hidden + begin - column
            k_gemm_tn(&grad[row * inputs], inputs, &dz[begin], a.width, factor, inputs,
                      end - begin, inputs, rows)


cdef void gradient_block(const GradientArgs *a, const floating *dz, Py_ssize_t m0, Py_ssize_t m1,
                         Py_ssize_t r0, Py_ssize_t rows) noexcept nogil:
    """What rows r0 to r0 + rows of columns m0 to m1 of dz give to the gradients."""
    cdef Py_ssize_t stop = min(m1, a.columns)
    dz += r0 * a.width
    k_column_sums(&(<floating *>a.sums)[m0], &dz[m0], a.width, rows, m1 - m0)
    weight_grads(a, a.hidden_blocks, <floating *>a.grad_hh, dz,
                 &(<const floating *>a.h)[r0 * a.hidden], a.hidden, m0, m1, rows)
    if a.ids == NULL:
        weight_grads(a, a.input_blocks, <floating *>a.grad_ih, dz,
                     &(<const floating *>a.x)[r0 * a.inputs], a.inputs, m0, m1, rows)
    elif m0 < stop:
        k_scatter_rows(&(<floating *>a.token_grads)[m0], a.columns, &dz[m0], a.width, &a.ids[r0],
                       rows, stop - m0)


cdef void gradient_columns(const GradientArgs *a, const floating *dz, Py_ssize_t m0,
                           Py_ssize_t m1) noexcept nogil:
    cdef Py_ssize_t r, m = m0
    while m < m1:
        r = 0
        while r < a.rows:
            gradient_block(a, dz, m, min(m + GRADIENT_BLOCK, m1), r,
                           min(GRADIENT_BLOCK, a.rows - r))
            r += GRADIENT_BLOCK
        m += GRADIENT_BLOCK


cdef void gradient_part(const void *args, Py_ssize_t part, Py_ssize_t first,
                        Py_ssize_t last) noexcept nogil:
    """The same units of all gates: gates differ in how many products they are part of."""
    cdef const GradientArgs *a = <const GradientArgs *>args
    cdef Py_ssize_t m0 = first * STRIPE, m1 = min(last * STRIPE, a.hidden), gate = 0
    cdef uint64_t mode = fr_fpmode_flush()
    while gate < a.width:
        if a.single:
            gradient_columns(a, <const float *>a.dz, gate + m0, gate + m1)
        else:
            gradient_columns(a, <const double *>a.dz, gate + m0, gate + m1)
        gate += a.hidden
    fr_fpmode_restore(mode)


def parameter_grads(floating[::1] sums, floating[:, ::1] token_grads, floating[:, ::1] grad_ih,
                    floating[:, ::1] grad_hh, const floating[:, :, ::1] dz,
                    const floating[:, :, ::1] x, const int64_t[:, ::1] ids,
                    const floating[:, :, ::1] h, tuple input_blocks, tuple hidden_blocks,
                    Py_ssize_t t0, Py_ssize_t t1, int threads):
    """Add what steps t0 to t1 give to the gradients of all parameters.

    To sums dz's columns, to grad_hh dz^T h, and dz^T x to grad_ih, or with ids in place of x
    token_grads[ids[t, b]] += dz[t, b].
    """
    cdef GradientArgs a
    cdef int i
    if t0 >= t1:
        return
    memset(&a, 0, sizeof(a))
    a.single = floating is float
    a.hidden, a.width, a.rows = h.shape[2], dz.shape[2], (t1 - t0) * dz.shape[1]
    a.sums, a.dz, a.h = &sums[0], &dz[t0, 0, 0], &h[t0, 0, 0]
    a.grad_ih, a.grad_hh = &grad_ih[0, 0], &grad_hh[0, 0]
    if ids is None:
        a.x, a.inputs = &x[t0, 0, 0], x.shape[2]
    else:
        a.ids, a.token_grads, a.columns = &ids[t0, 0], &token_grads[0, 0], token_grads.shape[1]
    for i, (row, parameter, gates) in enumerate(input_blocks):
        a.input_blocks[i] = Block(row, parameter, gates)
    for i, (row, parameter, gates) in enumerate(hidden_blocks):
        a.hidden_blocks[i] = Block(row, parameter, gates)
    with nogil:
        run_parts(gradient_part, &a, stripes(a.hidden), threads)
