"""The read-out of states, its loss and their gradients, block by block of rows.

A block's rows are shared by the team's threads, then the columns of what its weights' gradient
gets: no element is ever computed in two ways, so the bits do not depend on the split. The caller
checks shapes and owns all buffers.
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
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


cdef class CrossEntropyRows:
    """The cross-entropy of softmax(h W^T + bias) by rows, and its gradients, some rows at a time.

    ``logits`` (most, V) says how many rows are done at a time at most, so that they stay in cache
    and no array of all rows by all classes is made. A target of class v counts weights[v], 1 if
    these are None. With a threshold above 0, threshold / 65536 of h is dropped, in ``dropped``,
    (most, H). Signals are looked at every ``segment`` rows.
    """

    cdef Block a
    cdef int number
    cdef Py_ssize_t count, row_bytes, most, segment
    cdef tuple arrays  # that the pointers are into

    def __cinit__(self, cnp.ndarray logits not None, cnp.ndarray dropped,
                  cnp.ndarray losses not None, cnp.ndarray grad_w not None,
                  cnp.ndarray grad_bias not None, cnp.ndarray h not None,
                  cnp.ndarray targets not None, cnp.ndarray packed_w not None,
                  cnp.ndarray packed_w_t not None, cnp.ndarray bias not None, cnp.ndarray weights,
                  uint64_t seed, int32_t threshold, double scale, Py_ssize_t segment):
        cdef int number = kind(h)
        memset(&self.a, 0, sizeof(self.a))
        self.number, self.count, self.most = number, h.shape[0], logits.shape[0]
        self.segment = segment
        self.arrays = (logits, dropped, losses, grad_w, grad_bias, h, targets, packed_w,
                       packed_w_t, bias, weights)
        self.a.single, self.a.hidden = number == cnp.NPY_FLOAT32, h.shape[1]
        self.a.classes = bias.shape[0]
        self.row_bytes = h.shape[1] * cnp.PyArray_ITEMSIZE(h)
        self.a.logits, self.a.dropped = written(logits, number, 2), written(dropped, number, 2)
        self.a.losses = <double *>written(losses, cnp.NPY_FLOAT64, 1)
        self.a.grad_w = written(grad_w, number, 2)
        self.a.grad_bias = written(grad_bias, number, 1)
        self.a.h, self.a.targets = read(h, number, 2), <const int64_t *>read(
            targets, cnp.NPY_INT64, 1)
        self.a.packed_w, self.a.packed_w_t = read(packed_w, number, 1), read(packed_w_t, number, 1)
        self.a.bias = read(bias, number, 1)
        self.a.weights = <const double *>read(weights, cnp.NPY_FLOAT64, 1)
        self.a.seed, self.a.threshold, self.a.scale = seed, threshold, scale

    def total(self):
        """Return the sum of all losses."""
        cdef double[4] sums
        cdef Py_ssize_t i
        sums[0] = sums[1] = sums[2] = sums[3] = 0
        for i in range(self.count):
            sums[i % 4] += self.a.losses[i]
        return sums[0] + sums[1] + (sums[2] + sums[3])

    def run(self, cnp.ndarray grad_h, Py_ssize_t start, Py_ssize_t stop, int threads):
        """Set the losses of rows start to stop.

        Unless grad_h is None, the gradients of scale times their sum are written to it, from its
        first row on, and added to grad_w and grad_bias.
        """
        cdef char *grads = <char *>written(grad_h, self.number, 2)
        cdef Py_ssize_t rows
        while start < stop:
            rows = min(self.segment, stop - start)
            with nogil:
                self.run_rows(grads, start, rows, threads)
            start += rows
            if grads != NULL:
                grads += rows * self.row_bytes
            PyErr_CheckSignals()

    cdef void run_rows(self, char *grads, Py_ssize_t start, Py_ssize_t rows,
                       int threads) noexcept nogil:
        cdef Block a = self.a
        cdef Py_ssize_t blocks = (rows + self.most - 1) // self.most
        cdef Py_ssize_t block = (rows + blocks - 1) // blocks
        cdef Py_ssize_t done = 0
        while done < rows:
            a.row, a.rows = start + done, min(block, rows - done)
            a.h = <const char *>self.a.h + a.row * self.row_bytes
            a.targets, a.losses = &self.a.targets[a.row], &self.a.losses[a.row]
            if grads != NULL:
                a.grad_h = grads + done * self.row_bytes
            run_parts(rows_part, &a, a.rows, threads)
            if grads != NULL:
                run_parts(columns_part, &a, (a.hidden + COLUMNS - 1) // COLUMNS, threads)
            done += a.rows
