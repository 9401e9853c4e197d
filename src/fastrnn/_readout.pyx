"""The read-out of a sequence of states, its loss and their gradients, block by block of rows.

Parts are slices of rows, for the team's threads; the caller checks shapes and owns all buffers.
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


cdef struct ReadoutArgs:
    bint single, add
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
    Py_ssize_t rows, hidden, classes, block, slice_rows, start, stop
    uint64_t seed
    int32_t threshold
    double scale


cdef double loss_of_rows(const ReadoutArgs *a, floating *logits, Py_ssize_t r,
                         Py_ssize_t rows) noexcept nogil:
    """The loss of rows from r on; with grad_h wanted, logits become the gradient."""
    cdef Py_ssize_t i = 0, each = rows if a.weights == NULL else 1
    cdef double loss = 0, weight = 1, one
    while i < rows:
        if a.weights != NULL:
            weight = a.weights[a.targets[r + i]]
        if a.grad_h == NULL:
            one = k_cross_entropy(<const floating *>&logits[i * a.classes], &a.targets[r + i], each,
                                  a.classes)
        else:
            one = k_cross_entropy_grad(&logits[i * a.classes], &a.targets[r + i], each, a.classes,
                                       weight * a.scale)
        loss += weight * one
        i += each
    return loss


cdef double readout_rows(const ReadoutArgs *a, floating *logits, floating *dropped,
                         floating *grad_w, floating *grad_bias, Py_ssize_t r,
                         Py_ssize_t r1) noexcept nogil:
    """Each block's logits become its gradients in place and are used three times in cache."""
    cdef Py_ssize_t hidden = a.hidden, classes = a.classes, rows
    cdef const floating *h
    cdef floating *grad_h
    cdef double loss = 0
    while r < r1:
        rows = min(a.block, r1 - r)
        h = &(<const floating *>a.h)[r * hidden]
        if a.threshold > 0:
            k_dropout(dropped, h, a.seed, r, rows, hidden, a.threshold)
            h = dropped
        k_gemm(logits, classes, h, hidden, <const floating *>a.packed_w,
               <const floating *>a.bias, rows, classes, hidden)
        loss += loss_of_rows(a, logits, r, rows)
        if a.grad_h != NULL:
            grad_h = &(<floating *>a.grad_h)[r * hidden]
            k_gemm(grad_h, hidden, <const floating *>logits, classes,
                   <const floating *>a.packed_w_t, <const floating *>NULL, rows, hidden, classes)
            if a.threshold > 0:
                k_dropout(grad_h, <const floating *>grad_h, a.seed, r, rows, hidden, a.threshold)
            k_gemm_tn(grad_w, hidden, <const floating *>logits, classes, h, hidden, classes,
                      hidden, rows)
            k_column_sums(grad_bias, <const floating *>logits, classes, rows, classes)
        r += rows
    return loss


cdef void readout_slices(const ReadoutArgs *a, floating *logits, Py_ssize_t part,
                         Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef Py_ssize_t s, size = a.classes * a.hidden
    cdef floating *grad_w = NULL
    cdef floating *grad_bias = NULL
    cdef floating *dropped = NULL
    if a.threshold > 0:
        dropped = &(<floating *>a.dropped)[part * a.block * a.hidden]
    for s in range(first, last):
        if a.grad_h != NULL:
            grad_w = &(<floating *>a.grad_w)[s * size]
            grad_bias = &(<floating *>a.grad_bias)[s * a.classes]
            if not a.add:
                memset(grad_w, 0, size * sizeof(floating))
                memset(grad_bias, 0, a.classes * sizeof(floating))
        a.losses[s] = readout_rows(a, &logits[part * a.block * a.classes], dropped, grad_w,
                                   grad_bias, min(s * a.slice_rows + a.start, a.rows),
                                   min(s * a.slice_rows + a.stop, a.rows))


cdef void readout_part(const void *args, Py_ssize_t part, Py_ssize_t first,
                       Py_ssize_t last) noexcept nogil:
    cdef const ReadoutArgs *a = <const ReadoutArgs *>args
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        readout_slices(a, <float *>a.logits, part, first, last)
    else:
        readout_slices(a, <double *>a.logits, part, first, last)
    fr_fpmode_restore(mode)


def readout_cross_entropy(cnp.ndarray scratch_logits not None, cnp.ndarray scratch_h,
                          cnp.ndarray losses not None, cnp.ndarray grad_h, cnp.ndarray grad_w,
                          cnp.ndarray grad_bias, cnp.ndarray h not None, cnp.ndarray targets,
                          cnp.ndarray packed_w, cnp.ndarray packed_w_t,
                          cnp.ndarray bias not None, cnp.ndarray weights, uint64_t seed,
                          int32_t threshold, double scale, Py_ssize_t slice_rows,
                          Py_ssize_t start, Py_ssize_t stop, bint add, int threads):
    """The cross-entropy of softmax(h W^T + bias), summed over each slice's rows.

    Slice s has slice_rows rows, of which those from start to stop are done, and losses[s]. Unless
    grad_h is None, the gradients of scale times the loss are written to its rows, and written or
    added to grad_w[s] and grad_bias[s]. Logits exist for as many rows at a time as each thread's
    ``scratch_logits`` has, so that they stay in cache and no array of all rows by all classes is
    made. A target of class v counts weights[v], 1 if these are None. With a threshold above 0,
    threshold / 65536 of h is dropped, in ``scratch_h``.
    """
    cdef ReadoutArgs a
    cdef int number = kind(h)
    memset(&a, 0, sizeof(a))
    a.single, a.add = number == cnp.NPY_FLOAT32, add
    a.losses = <double *>written(losses, cnp.NPY_FLOAT64, 1)
    a.logits, a.block = written(scratch_logits, number, 3), scratch_logits.shape[1]
    a.dropped = written(scratch_h, number, 3)
    a.h, a.targets = read(h, number, 2), <const int64_t *>read(targets, cnp.NPY_INT64, 1)
    a.packed_w, a.packed_w_t = read(packed_w, number, 1), read(packed_w_t, number, 1)
    a.bias, a.weights = read(bias, number, 1), <const double *>read(weights, cnp.NPY_FLOAT64, 1)
    a.rows, a.hidden, a.classes = h.shape[0], h.shape[1], bias.shape[0]
    a.slice_rows, a.start, a.stop = slice_rows, start, stop
    a.seed, a.threshold, a.scale = seed, threshold, scale
    a.grad_h, a.grad_w = written(grad_h, number, 2), written(grad_w, number, 3)
    a.grad_bias = written(grad_bias, number, 2)
    with nogil:
        run_parts(readout_part, &a, losses.shape[0], threads)
