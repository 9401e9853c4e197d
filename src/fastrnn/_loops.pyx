"""Forward and BPTT over time: typed, without the GIL, calling the kernel table.

Time-major throughout. ``h`` has a row more than there are steps: h[0] is the initial state and
h[t + 1] the state after step t, so that h[:-1] are the previous states and h[1:] the output; so
it is with the LSTM's ``c``. ``b0`` and ``b1`` bound the rows of the batch, ``m0`` and ``m1`` the
hidden units, that a call works on: callers split work over threads with them, and no element is
ever computed in two ways, so the bits do not depend on the split.

The layers check shapes and own all buffers; nothing here allocates or checks.
"""

from cython cimport floating
from libc.stdint cimport int32_t, int64_t, uint64_t

from fastrnn._dispatch cimport (
    CELL_LSTM,
    CELL_RNN,
    Cell,
    cell_backward,
    cell_forward,
    k_column_sums,
    k_cross_entropy,
    k_cross_entropy_grad,
    k_dropout,
    k_gemm,
    k_gemm_tn,
    k_scatter_rows,
    project,
)
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore, fr_nonlinearity

# Bytes of input projection computed at a time before the steps that use it: a quarter of a
# 1 MB L2, so that weights and states stay there beside it.
cdef Py_ssize_t PROJECTION_BYTES = 1 << 18

# In a smaller batch than this, input projections of many steps are computed at once: a product of
# so few rows is bound by reading its weights. In a larger one, a step's projection is part of its
# own product and never leaves the registers.
cdef Py_ssize_t BATCH_TO_FUSE = 4


def projection_steps(Py_ssize_t steps, Py_ssize_t batch, Py_ssize_t row_bytes):
    """Return for how many steps at a time input projections are computed, 0 if in the step."""
    if batch >= BATCH_TO_FUSE:
        return 0
    return max(1, min(steps, PROJECTION_BYTES // (batch * row_bytes)))


def forward(int cell, int nonlinearity, floating[:, :, ::1] h, floating[:, :, ::1] c,
            floating[:, :, ::1] gates, const floating[:, :, ::1] x, const int64_t[:, ::1] ids,
            const floating[::1] packed_ih, const floating[::1] packed_ih_gates,
            const floating[::1] bias, const floating[:, ::1] token_rows,
            const floating[::1] packed_hh, floating[:, :, ::1] projection, Py_ssize_t columns,
            Py_ssize_t t0, Py_ssize_t t1, Py_ssize_t b0, Py_ssize_t b1):
    """h[t + 1] and c[t + 1] from x[t] or ids[t], h[t] and c[t], for t0 <= t < t1.

    x is None when there are ids, c unless the cell is an LSTM, and gates unless they are kept for
    the way back. c has a single row of states unless it is kept.

    x's projection, `columns` wide, is computed for as many steps at once as ``projection`` has, or
    where that is None in the step itself. The bits are the same: the multiply-adds of an element
    come in the same order.
    """
    cdef Py_ssize_t hidden = h.shape[2], batch = h.shape[1], rows = b1 - b0, width = bias.shape[0]
    cdef Py_ssize_t inputs = 0 if x is None else x.shape[2], t, s, stop
    cdef Py_ssize_t together = 0 if projection is None else projection.shape[0]
    cdef bint kept_c = c is not None and c.shape[0] == h.shape[0]
    cdef floating *kept = NULL
    cdef floating *c_prev = NULL
    cdef floating *c_new = NULL
    cdef const floating *input = NULL
    cdef const floating *weights_ih = NULL
    cdef uint64_t mode
    if t0 >= t1 or rows <= 0:
        return
    with nogil:
        mode = fr_fpmode_flush()
        t = t0
        while t < t1:
            stop = min(t + together, t1) if together else t1
            if together and rows == batch:
                project(&projection[0, 0, 0], width, &x[t, 0, 0], inputs, &packed_ih[0], &bias[0],
                        columns, (stop - t) * rows)
            elif together:
                for s in range(t, stop):
                    project(&projection[s - t, b0, 0], width, &x[s, b0, 0], inputs,
                            &packed_ih[0], &bias[0], columns, rows)
            elif inputs:
                weights_ih = &packed_ih_gates[0]
            for s in range(t, stop):
                if gates is not None:
                    kept = &gates[s, b0, 0]
                if cell == CELL_LSTM:
                    c_prev = &c[s if kept_c else 0, b0, 0]
                    c_new = &c[s + 1 if kept_c else 0, b0, 0]
                if together:
                    input = <const floating *>&projection[s - t, b0, 0]
                else:
                    input = &bias[0] if inputs else &token_rows[0, 0]
                cell_forward(<Cell>cell, <fr_nonlinearity>nonlinearity, &h[s + 1, b0, 0], c_new,
                             kept, input, 0 if inputs and not together else width,
                             NULL if inputs else &ids[s, b0],
                             &x[s, b0, 0] if inputs and not together else NULL, weights_ih,
                             inputs, <const floating *>&h[s, b0, 0], <const floating *>c_prev,
                             &packed_hh[0], rows, hidden, s & 1)
            t = stop
        fr_fpmode_restore(mode)


def backward(int cell, int nonlinearity, floating[:, :, ::1] dz, floating[:, ::1] carry,
             const floating[:, :, ::1] h, const floating[:, :, ::1] c,
             const floating[:, :, ::1] gates, const floating[:, :, ::1] grad_output,
             const floating[:, ::1] grad_last, const floating[::1] packed_hh_t,
             Py_ssize_t t0, Py_ssize_t t1, Py_ssize_t b0, Py_ssize_t b1):
    """dz[t], the gradient of step t's pre-activations, from t1 - 1 down to t0.

    What reaches h[t + 1] from outside is grad_output[t] (zero when that is None); of the very last
    step it is grad_last. Only dz is computed here: every other gradient is a product over all
    steps at once. dz may be gates.
    """
    cdef Py_ssize_t hidden = h.shape[2], last = dz.shape[0] - 1, t
    cdef const floating *dh
    cdef const floating *dz_next
    cdef const floating *z = NULL
    cdef const floating *c_prev = NULL
    cdef const floating *c_new = NULL
    cdef floating *past = NULL
    cdef bint has_output = grad_output is not None, has_last = grad_last is not None
    cdef uint64_t mode
    if t0 >= t1 or b0 >= b1:
        return
    with nogil:
        mode = fr_fpmode_flush()
        t = t1 - 1
        while t >= t0:
            if t == last:
                dh = &grad_last[b0, 0] if has_last else NULL
            else:
                dh = &grad_output[t, b0, 0] if has_output else NULL
            dz_next = NULL if t == last else &dz[t + 1, b0, 0]
            if cell != CELL_RNN:
                z, past = &gates[t, b0, 0], &carry[b0, 0]
            if cell == CELL_LSTM:
                c_prev, c_new = &c[t, b0, 0], &c[t + 1, b0, 0]
            cell_backward(<Cell>cell, <fr_nonlinearity>nonlinearity, &dz[t, b0, 0], past, z,
                          &h[t + 1, b0, 0], &h[t, b0, 0], c_new, c_prev, dh, dz_next,
                          &packed_hh_t[0], b1 - b0, hidden)
            t -= 1
        fr_fpmode_restore(mode)


def weight_grads(floating[:, ::1] grad, Py_ssize_t row, const floating[:, :, ::1] dz,
                 Py_ssize_t column, const floating[:, :, ::1] a, Py_ssize_t t0, Py_ssize_t t1,
                 Py_ssize_t m0, Py_ssize_t m1):
    """grad[row + m] += sum_t,b dz[t, b, column + m] a[t, b]; of a, the first t1 steps count."""
    cdef Py_ssize_t width = dz.shape[2], inputs = a.shape[2], rows = (t1 - t0) * dz.shape[1]
    cdef uint64_t mode
    if rows <= 0 or m0 >= m1:
        return
    with nogil:
        mode = fr_fpmode_flush()
        k_gemm_tn(&grad[row + m0, 0], inputs, &dz[t0, 0, column + m0], width, &a[t0, 0, 0], inputs,
                  m1 - m0, inputs, rows)
        fr_fpmode_restore(mode)


def bias_grads(floating[::1] sums, const floating[:, :, ::1] dz, Py_ssize_t t0, Py_ssize_t t1,
               Py_ssize_t m0, Py_ssize_t m1):
    """sums[m] += sum_t,b dz[t, b, m]."""
    cdef Py_ssize_t width = dz.shape[2], rows = (t1 - t0) * dz.shape[1]
    cdef uint64_t mode
    if rows <= 0 or m0 >= m1:
        return
    with nogil:
        mode = fr_fpmode_flush()
        k_column_sums(&sums[m0], &dz[t0, 0, m0], width, rows, m1 - m0)
        fr_fpmode_restore(mode)


def token_grads(floating[:, ::1] grad_rows, const floating[:, :, ::1] dz,
                const int64_t[:, ::1] ids, Py_ssize_t t0, Py_ssize_t t1, Py_ssize_t m0,
                Py_ssize_t m1):
    """grad_rows[ids[t, b], m] += dz[t, b, m]: each thread owns a stripe of columns."""
    cdef Py_ssize_t width = dz.shape[2], rows = (t1 - t0) * dz.shape[1]
    cdef uint64_t mode
    if rows <= 0 or m0 >= m1:
        return
    with nogil:
        mode = fr_fpmode_flush()
        k_scatter_rows(&grad_rows[0, m0], grad_rows.shape[1], &dz[t0, 0, m0], width, &ids[t0, 0],
                       rows, m1 - m0)
        fr_fpmode_restore(mode)


def readout_cross_entropy(const floating[:, ::1] h, const int64_t[::1] targets,
                          const floating[::1] packed_w, const floating[::1] bias,
                          floating[:, ::1] scratch_logits, Py_ssize_t r0, Py_ssize_t r1):
    """Return the summed cross-entropy of softmax(h W^T + bias) over rows r0 to r1.

    Logits exist for as many rows at a time as ``scratch_logits`` has, so that they stay in
    cache and no array of all rows by all classes is made.
    """
    cdef Py_ssize_t hidden = h.shape[1], classes = scratch_logits.shape[1]
    cdef Py_ssize_t block = scratch_logits.shape[0], r, rows
    cdef double loss = 0
    cdef uint64_t mode
    if r0 >= r1:
        return 0.0
    with nogil:
        mode = fr_fpmode_flush()
        r = r0
        while r < r1:
            rows = min(block, r1 - r)
            k_gemm(&scratch_logits[0, 0], classes, &h[r, 0], hidden, &packed_w[0], &bias[0],
                   rows, classes, hidden)
            loss += k_cross_entropy(<const floating *>&scratch_logits[0, 0], &targets[r], rows,
                                    classes)
            r += rows
        fr_fpmode_restore(mode)
    return loss


def readout_cross_entropy_grads(floating[:, ::1] grad_h, floating[:, ::1] grad_w,
                                floating[::1] grad_bias, const floating[:, ::1] h,
                                const int64_t[::1] targets, const floating[::1] packed_w,
                                const floating[::1] packed_w_t, const floating[::1] bias,
                                floating[:, ::1] scratch_logits, floating[:, ::1] scratch_h,
                                uint64_t seed, int32_t threshold, double scale,
                                Py_ssize_t r0, Py_ssize_t r1):
    """The same, with the gradients of scale times the loss.

    grad_h[r0:r1] is written; grad_w and grad_bias are added to. Each block's logits become
    its gradients in place and are used three times while they are in cache. With a threshold
    above 0, threshold / 65536 of h is dropped, in ``scratch_h``, which has rows as
    ``scratch_logits`` has.
    """
    cdef Py_ssize_t hidden = h.shape[1], classes = scratch_logits.shape[1]
    cdef Py_ssize_t block = scratch_logits.shape[0], r, rows
    cdef double loss = 0
    cdef floating *logits = &scratch_logits[0, 0]
    cdef const floating *rows_h
    cdef uint64_t mode
    if r0 >= r1:
        return 0.0
    with nogil:
        mode = fr_fpmode_flush()
        r = r0
        while r < r1:
            rows = min(block, r1 - r)
            rows_h = &h[r, 0]
            if threshold > 0:
                k_dropout(&scratch_h[0, 0], rows_h, seed, r, rows, hidden, threshold)
                rows_h = <const floating *>&scratch_h[0, 0]
            k_gemm(logits, classes, rows_h, hidden, &packed_w[0], &bias[0], rows, classes,
                   hidden)
            loss += k_cross_entropy_grad(logits, &targets[r], rows, classes, scale)
            k_gemm(&grad_h[r, 0], hidden, <const floating *>logits, classes, &packed_w_t[0],
                   <const floating *>NULL, rows, hidden, classes)
            if threshold > 0:
                k_dropout(&grad_h[r, 0], <const floating *>&grad_h[r, 0], seed, r, rows, hidden,
                          threshold)
            k_gemm_tn(&grad_w[0, 0], hidden, <const floating *>logits, classes, rows_h, hidden,
                      classes, hidden, rows)
            k_column_sums(&grad_bias[0], <const floating *>logits, classes, rows, classes)
            r += rows
        fr_fpmode_restore(mode)
    return loss
