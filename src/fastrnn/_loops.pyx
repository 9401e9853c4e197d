"""Forward and BPTT over time: typed, without the GIL, calling the kernel table.

Time-major throughout. ``h`` has a row more than there are steps: h[0] is the initial state and
h[t + 1] the state after step t, so that h[:-1] are the previous states and h[1:] the output.
``b0`` and ``b1`` bound the rows of the batch, ``m0`` and ``m1`` the hidden units, that a call
works on: callers split work over threads with them, and no element is ever computed in two
ways, so the bits do not depend on the split.

The layers check shapes and own all buffers; nothing here allocates or checks.
"""

from cython cimport floating
from libc.stdint cimport int64_t, uint64_t

from fastrnn._dispatch cimport (
    k_column_sums,
    k_cross_entropy,
    k_cross_entropy_grad,
    k_gemm,
    k_gemm_tn,
    k_rnn_backward,
    k_rnn_forward,
    k_scatter_rows,
)
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore, fr_nonlinearity

# Bytes of input projection computed at a time before the steps that use it: a quarter of a
# 1 MB L2, so that weights and states stay there beside it.
cdef Py_ssize_t PROJECTION_BYTES = 1 << 18


def rnn_forward(floating[:, :, ::1] h, const floating[:, :, ::1] x,
                const floating[::1] packed_ih, const floating[::1] bias,
                const floating[::1] packed_hh, int nonlinearity,
                Py_ssize_t t0, Py_ssize_t t1, Py_ssize_t b0, Py_ssize_t b1):
    """h[t + 1] = f(x[t] W_ih^T + bias + h[t] W_hh^T) for t0 <= t < t1.

    The projection of x is written where the state will be and becomes it in place. It does
    not depend on the state, so it is computed for many steps at once.
    """
    cdef Py_ssize_t inputs = x.shape[2], hidden = h.shape[2], rows = b1 - b0
    cdef Py_ssize_t t, s, stop, steps
    cdef uint64_t mode
    if t0 >= t1 or rows <= 0:
        return
    with nogil:
        mode = fr_fpmode_flush()
        steps = max(1, PROJECTION_BYTES // (rows * hidden * <Py_ssize_t>sizeof(floating)))
        t = t0
        while t < t1:
            stop = min(t + steps, t1)
            if rows == h.shape[1]:
                k_gemm(&h[t + 1, 0, 0], hidden, &x[t, 0, 0], inputs, &packed_ih[0], &bias[0],
                       (stop - t) * rows, hidden, inputs)
            else:
                for s in range(t, stop):
                    k_gemm(&h[s + 1, b0, 0], hidden, &x[s, b0, 0], inputs, &packed_ih[0],
                           &bias[0], rows, hidden, inputs)
            for s in range(t, stop):
                k_rnn_forward(&h[s + 1, b0, 0], <const floating *>&h[s + 1, b0, 0], NULL,
                              <const floating *>&h[s, b0, 0], &packed_hh[0], rows, hidden,
                              <fr_nonlinearity>nonlinearity)
            t = stop
        fr_fpmode_restore(mode)


def rnn_forward_ids(floating[:, :, ::1] h, const int64_t[:, ::1] ids,
                    const floating[:, ::1] table, const floating[::1] packed_hh,
                    int nonlinearity, Py_ssize_t t0, Py_ssize_t t1,
                    Py_ssize_t b0, Py_ssize_t b1):
    """h[t + 1] = f(table[ids[t]] + h[t] W_hh^T); table[v] = W_ih[:, v] + b_ih + b_hh."""
    cdef Py_ssize_t hidden = h.shape[2], t
    cdef uint64_t mode
    if t0 >= t1 or b0 >= b1:
        return
    with nogil:
        mode = fr_fpmode_flush()
        for t in range(t0, t1):
            k_rnn_forward(&h[t + 1, b0, 0], &table[0, 0], &ids[t, b0],
                          <const floating *>&h[t, b0, 0], &packed_hh[0], b1 - b0, hidden,
                          <fr_nonlinearity>nonlinearity)
        fr_fpmode_restore(mode)


def rnn_backward(floating[:, :, ::1] dz, const floating[:, :, ::1] h,
                 const floating[:, :, ::1] grad_output, const floating[:, ::1] grad_last,
                 const floating[::1] packed_hh_t, int nonlinearity,
                 Py_ssize_t t0, Py_ssize_t t1, Py_ssize_t b0, Py_ssize_t b1):
    """dz[t] = (dh[t] + dz[t + 1] W_hh) * f'(z[t]), from t1 - 1 down to t0.

    dh[t] is grad_output[t] (zero when that is None); of the very last step it is grad_last.
    Only dz is computed here: every other gradient is a product over all steps at once.
    """
    cdef Py_ssize_t hidden = h.shape[2], last = dz.shape[0] - 1, t
    cdef const floating *dh
    cdef const floating *dz_next
    cdef bint has_output = grad_output is not None
    cdef uint64_t mode
    if t0 >= t1 or b0 >= b1:
        return
    with nogil:
        mode = fr_fpmode_flush()
        t = t1 - 1
        while t >= t0:
            if t == last:
                dh = &grad_last[b0, 0]
            else:
                dh = &grad_output[t, b0, 0] if has_output else NULL
            dz_next = NULL if t == last else &dz[t + 1, b0, 0]
            k_rnn_backward(&dz[t, b0, 0], &h[t + 1, b0, 0], dh, dz_next, &packed_hh_t[0],
                           b1 - b0, hidden, <fr_nonlinearity>nonlinearity)
            t -= 1
        fr_fpmode_restore(mode)


def rnn_weight_grads(floating[:, ::1] grad_hh, floating[::1] grad_bias,
                     const floating[:, :, ::1] dz, const floating[:, :, ::1] h,
                     Py_ssize_t t0, Py_ssize_t t1, Py_ssize_t m0, Py_ssize_t m1):
    """grad_hh[m] += sum_t,b dz[t, b, m] h[t, b]; grad_bias[m] += sum_t,b dz[t, b, m]."""
    cdef Py_ssize_t hidden = h.shape[2], rows = (t1 - t0) * dz.shape[1]
    cdef uint64_t mode
    if rows <= 0 or m0 >= m1:
        return
    with nogil:
        mode = fr_fpmode_flush()
        k_gemm_tn(&grad_hh[m0, 0], hidden, &dz[t0, 0, m0], hidden, &h[t0, 0, 0], hidden,
                  m1 - m0, hidden, rows)
        k_column_sums(&grad_bias[m0], &dz[t0, 0, m0], hidden, rows, m1 - m0)
        fr_fpmode_restore(mode)


def rnn_input_weight_grads(floating[:, ::1] grad_ih, const floating[:, :, ::1] dz,
                           const floating[:, :, ::1] x, Py_ssize_t t0, Py_ssize_t t1,
                           Py_ssize_t m0, Py_ssize_t m1):
    """grad_ih[m] += sum_t,b dz[t, b, m] x[t, b]."""
    cdef Py_ssize_t hidden = dz.shape[2], inputs = x.shape[2], rows = (t1 - t0) * dz.shape[1]
    cdef uint64_t mode
    if rows <= 0 or m0 >= m1:
        return
    with nogil:
        mode = fr_fpmode_flush()
        k_gemm_tn(&grad_ih[m0, 0], inputs, &dz[t0, 0, m0], hidden, &x[t0, 0, 0], inputs,
                  m1 - m0, inputs, rows)
        fr_fpmode_restore(mode)


def rnn_table_grads(floating[:, ::1] grad_table, const floating[:, :, ::1] dz,
                    const int64_t[:, ::1] ids, Py_ssize_t t0, Py_ssize_t t1,
                    Py_ssize_t m0, Py_ssize_t m1):
    """grad_table[ids[t, b], m] += dz[t, b, m]: each thread owns a stripe of columns."""
    cdef Py_ssize_t hidden = dz.shape[2], rows = (t1 - t0) * dz.shape[1]
    cdef uint64_t mode
    if rows <= 0 or m0 >= m1:
        return
    with nogil:
        mode = fr_fpmode_flush()
        k_scatter_rows(&grad_table[0, m0], hidden, &dz[t0, 0, m0], hidden, &ids[t0, 0], rows,
                       m1 - m0)
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
                                floating[:, ::1] scratch_logits, double scale,
                                Py_ssize_t r0, Py_ssize_t r1):
    """The same, with the gradients of scale times the loss.

    grad_h[r0:r1] is written; grad_w and grad_bias are added to. Each block's logits become
    its gradients in place and are used three times while they are in cache.
    """
    cdef Py_ssize_t hidden = h.shape[1], classes = scratch_logits.shape[1]
    cdef Py_ssize_t block = scratch_logits.shape[0], r, rows
    cdef double loss = 0
    cdef floating *logits = &scratch_logits[0, 0]
    cdef uint64_t mode
    if r0 >= r1:
        return 0.0
    with nogil:
        mode = fr_fpmode_flush()
        r = r0
        while r < r1:
            rows = min(block, r1 - r)
            k_gemm(logits, classes, &h[r, 0], hidden, &packed_w[0], &bias[0], rows, classes,
                   hidden)
            loss += k_cross_entropy_grad(logits, &targets[r], rows, classes, scale)
            k_gemm(&grad_h[r, 0], hidden, <const floating *>logits, classes, &packed_w_t[0],
                   <const floating *>NULL, rows, hidden, classes)
            k_gemm_tn(&grad_w[0, 0], hidden, <const floating *>logits, classes, &h[r, 0],
                      hidden, classes, hidden, rows)
            k_column_sums(&grad_bias[0], <const floating *>logits, classes, rows, classes)
            r += rows
        fr_fpmode_restore(mode)
    return loss
