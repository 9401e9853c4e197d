"""The read-out of states, its loss and their gradients, block by block of rows.

A block's rows are shared by the team's threads, then the columns of what its weights' gradient
gets: no element is ever computed in two ways, so the bits do not depend on the split. The caller
checks shapes and owns all buffers.
"""

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from fastrnn._arrays cimport kind, read, written
from fastrnn._dispatch cimport (
    k_column_sums,
    k_cross_entropy,
    k_cross_entropy_grad,
    k_dropout,
    k_gemm,
    k_gemm_tn,
)
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore
from fastrnn._team cimport run_parts

# Columns of the weights' gradient that are shared out together: on x86 a multiple of what the
# products pack together; on NEON, which packs 12, the last ones are padded.
cdef enum:
    COLUMNS = 32

# A block: ``row`` is its first of all rows, every pointer is to its own first row.
cdef struct Block:
    bint single
    double *losses
    void *grad_h
    void *grad_w
    void *grad_bias
    void *logits
    void *dropped
    const void *h
    const int64_t *targets
    const double *weights
    const void *packed_w
    const void *packed_w_t
    const void *bias
    Py_ssize_t row, rows, hidden, classes
    uint64_t seed
    int32_t threshold
    double scale


cdef void losses_of(const Block *a, floating *logits, Py_ssize_t r0, Py_ssize_t r1) noexcept nogil:
    """The rows' losses; with grad_h wanted, logits become the gradient.

    From the last row to the first, as the kernel does it within.
    """
    cdef Py_ssize_t r = r1 - 1
    cdef double weight = 1
    while r >= r0:
        if a.weights != NULL:
            weight = a.weights[a.targets[r]]
        if a.grad_h == NULL:
            a.losses[r] = weight * k_cross_entropy(
                <const floating *>&logits[r * a.classes], &a.targets[r], 1, a.classes)
        else:
            a.losses[r] = weight * k_cross_entropy_grad(
                &logits[r * a.classes], &a.targets[r], 1, a.classes, weight * a.scale)
        r -= 1


cdef void block_rows(const Block *a, floating *logits, Py_ssize_t r0,
                     Py_ssize_t r1) noexcept nogil:
    """Logits, losses and the gradient of the states of rows r0 to r1."""
    cdef Py_ssize_t hidden = a.hidden, classes = a.classes, rows = r1 - r0, row = a.row + r0
    cdef const floating *h = &(<const floating *>a.h)[r0 * hidden]
    cdef floating *dropped
    cdef floating *grad_h
    if a.threshold > 0:
        dropped = &(<floating *>a.dropped)[r0 * hidden]
        k_dropout(dropped, h, a.seed, row, rows, hidden, a.threshold)
        h = dropped
    k_gemm(&logits[r0 * classes], classes, h, hidden, <const floating *>a.packed_w,
           <const floating *>a.bias, rows, classes, hidden)
    losses_of(a, logits, r0, r1)
    if a.grad_h == NULL:
        return
    grad_h = &(<floating *>a.grad_h)[r0 * hidden]
    k_gemm(grad_h, hidden, <const floating *>&logits[r0 * classes], classes,
           <const floating *>a.packed_w_t, <const floating *>NULL, rows, hidden, classes)
    if a.threshold > 0:
        k_dropout(grad_h, <const floating *>grad_h, a.seed, row, rows, hidden, a.threshold)


cdef void block_columns(const Block *a, const floating *logits, Py_ssize_t first,
                        Py_ssize_t last) noexcept nogil:
    """Add to columns first to last of the weights' gradient, with the first to the bias'."""
    cdef Py_ssize_t hidden = a.hidden, classes = a.classes
    cdef const floating *h = <const floating *>(a.dropped if a.threshold > 0 else a.h)
    k_gemm_tn(&(<floating *>a.grad_w)[first], hidden, logits, classes, &h[first], hidden, classes,
              last - first, a.rows)
    if first == 0:
        k_column_sums(<floating *>a.grad_bias, logits, classes, a.rows, classes)


cdef void rows_part(const void *args, Py_ssize_t part, Py_ssize_t first,
                    Py_ssize_t last) noexcept nogil:
    cdef const Block *a = <const Block *>args
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        block_rows(a, <float *>a.logits, first, last)
    else:
        block_rows(a, <double *>a.logits, first, last)
    fr_fpmode_restore(mode)


cdef void columns_part(const void *args, Py_ssize_t part, Py_ssize_t first,
                       Py_ssize_t last) noexcept nogil:
    cdef const Block *a = <const Block *>args
    cdef Py_ssize_t n0 = first * COLUMNS, n1 = min(last * COLUMNS, a.hidden)
    cdef uint64_t mode
    if first == last:  # more threads than columns
        return
    mode = fr_fpmode_flush()
    if a.single:
        block_columns(a, <const float *>a.logits, n0, n1)
    else:
        block_columns(a, <const double *>a.logits, n0, n1)
    fr_fpmode_restore(mode)


def readout_cross_entropy(cnp.ndarray logits not None, cnp.ndarray dropped,
                          cnp.ndarray losses not None, cnp.ndarray grad_h, cnp.ndarray grad_w,
                          cnp.ndarray grad_bias, cnp.ndarray h not None,
                          cnp.ndarray targets not None, cnp.ndarray packed_w not None,
                          cnp.ndarray packed_w_t, cnp.ndarray bias not None, cnp.ndarray weights,
                          uint64_t seed, int32_t threshold, double scale, Py_ssize_t start,
                          Py_ssize_t stop, int threads):
    """Set the losses (N,) of rows start to stop: the cross-entropy of softmax(h W^T + bias).

    Unless grad_h is None, the gradients of scale times their sum are written to it, whose first row
    is that of ``start``, and added to grad_w and grad_bias. ``logits`` (most, V) says how many rows
    are done at a time at most, so that they stay in cache and no array of all rows by all classes
    is made. A target of class v counts weights[v], 1 if these are None. With a threshold above 0,
    threshold / 65536 of h is dropped, in ``dropped``, (most, H).
    """
    cdef Block a
    cdef int number = kind(h)
    cdef Py_ssize_t hidden = h.shape[1], r = start
    cdef Py_ssize_t blocks = (stop - start + logits.shape[0] - 1) // logits.shape[0]
    cdef Py_ssize_t block = (stop - start + blocks - 1) // max(blocks, 1)
    cdef Py_ssize_t row_bytes = hidden * cnp.PyArray_ITEMSIZE(h)
    cdef const char *states = <const char *>read(h, number, 2)
    cdef const int64_t *ids = <const int64_t *>read(targets, cnp.NPY_INT64, 1)
    cdef double *of_rows = <double *>written(losses, cnp.NPY_FLOAT64, 1)
    cdef char *grads = <char *>written(grad_h, number, 2)
    memset(&a, 0, sizeof(a))
    a.single, a.hidden, a.classes = number == cnp.NPY_FLOAT32, hidden, bias.shape[0]
    a.logits, a.dropped = written(logits, number, 2), written(dropped, number, 2)
    a.packed_w, a.packed_w_t = read(packed_w, number, 1), read(packed_w_t, number, 1)
    a.bias, a.weights = read(bias, number, 1), <const double *>read(weights, cnp.NPY_FLOAT64, 1)
    a.grad_w, a.grad_bias = written(grad_w, number, 2), written(grad_bias, number, 1)
    a.seed, a.threshold, a.scale = seed, threshold, scale
    with nogil:
        while r < stop:
            a.row, a.rows = r, min(block, stop - r)
            a.h, a.targets, a.losses = states + r * row_bytes, &ids[r], &of_rows[r]
            if grads != NULL:
                a.grad_h = grads + (r - start) * row_bytes
            run_parts(rows_part, &a, a.rows, threads)
            if grads != NULL:
                run_parts(columns_part, &a, (hidden + COLUMNS - 1) // COLUMNS, threads)
            r += a.rows
