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
from fastrnn._gradients cimport add_share
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore
from fastrnn._rows cimport Runs, beside, row_of, together
from fastrnn._team cimport run_parts

# Columns of the weights' gradient that are shared out together: on x86 a multiple of what the
# products pack together; on NEON, which packs 12, the last ones are padded.
cdef enum:
    COLUMNS = 32


cdef void losses_of(const ReadOut *a, floating *logits, Py_ssize_t at,
                    Py_ssize_t rows) noexcept nogil:
    """The losses of rows ``at`` on; with grad_h wanted, logits become the gradient.

    From the last row to the first, as the kernel does it within.
    """
    cdef const int64_t *targets = &a.targets[at]
    cdef double *losses = &a.losses[at]
    cdef Py_ssize_t r = rows - 1
    cdef double weight = 1
    while r >= 0:
        if a.weights != NULL:
            weight = a.weights[targets[r]]
        if a.grad_h == NULL:
            losses[r] = weight * k_cross_entropy(
                <const floating *>&logits[r * a.classes], &targets[r], 1, a.classes)
        else:
            losses[r] = weight * k_cross_entropy_grad(
                &logits[r * a.classes], &targets[r], 1, a.classes, weight * a.scale)
        r -= 1


cdef void run_rows(const ReadOut *a, floating *logits, Py_ssize_t at, Py_ssize_t i,
                   Py_ssize_t rows) noexcept nogil:
    """Logits, from the i-th of the block on, losses and the states' gradient of rows ``at`` on."""
    cdef Py_ssize_t hidden = a.hidden, classes = a.classes
    cdef const floating *h = &(<const floating *>a.h)[at * hidden]
    cdef floating *dropped
    cdef floating *grad_h
    if a.threshold > 0:
        dropped = &(<floating *>a.dropped)[i * hidden]
        k_dropout(dropped, h, a.seed, a.row + at, rows, hidden, a.threshold)
        h = dropped
    logits += i * classes
    k_gemm(logits, classes, h, hidden, <const floating *>a.packed_w, <const floating *>a.bias,
           rows, classes, hidden)
    losses_of(a, logits, at, rows)
    if a.grad_h == NULL:
        return
    grad_h = &(<floating *>a.grad_h)[i * hidden]
    k_gemm(grad_h, hidden, <const floating *>logits, classes, <const floating *>a.packed_w_t,
           <const floating *>NULL, rows, hidden, classes)
    if a.threshold > 0:
        k_dropout(grad_h, <const floating *>grad_h, a.seed, a.row + at, rows, hidden, a.threshold)


cdef void block_rows(const ReadOut *a, floating *logits, Py_ssize_t i,
                     Py_ssize_t end) noexcept nogil:
    """All of the i-th row of a block to the one before ``end``."""
    cdef Py_ssize_t n
    while i < end:
        n = beside(&a.runs, i, end)
        run_rows(a, logits, row_of(&a.runs, i), i, n)
        i += n


cdef void block_columns(const ReadOut *a, const floating *logits, Py_ssize_t first,
                        Py_ssize_t last) noexcept nogil:
    """Add to columns first to last of the weights' gradient, with the first to the bias'."""
    cdef Py_ssize_t hidden = a.hidden, classes = a.classes, run = min(a.rows, a.runs.length), i
    cdef Py_ssize_t stride = a.spacing if a.threshold > 0 else a.runs.stride
    cdef const floating *h = <const floating *>(a.dropped if a.threshold > 0 else a.h)
    k_gemm_tn(&(<floating *>a.grad_w)[first], hidden, logits, classes, a.spacing * classes,
              &h[first], hidden, stride * hidden, classes, last - first, a.rows, run)
    if first == 0:
        for i in range(a.rows // run):
            k_column_sums(<floating *>a.grad_bias, &logits[i * a.spacing * classes], classes, run,
                          classes)


cdef void rows_part(const void *args, Py_ssize_t part, Py_ssize_t first,
                    Py_ssize_t last) noexcept nogil:
    cdef const ReadOut *a = <const ReadOut *>args
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        block_rows(a, <float *>a.logits, first, last)
    else:
        block_rows(a, <double *>a.logits, first, last)
    fr_fpmode_restore(mode)


cdef void columns_part(const void *args, Py_ssize_t part, Py_ssize_t first,
                       Py_ssize_t last) noexcept nogil:
    cdef const ReadOut *a = <const ReadOut *>args
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


cdef void add_block(const ReadOut *block, const ReadOut *of, Py_ssize_t group, Py_ssize_t groups,
                    int threads) noexcept nogil:
    """Add what a block of some groups gives to one of them; its columns are shared by threads."""
    cdef ReadOut a = block[0]
    cdef Py_ssize_t item = sizeof(float) if a.single else sizeof(double), first
    a.grad_w, a.grad_bias = of[group].grad_w, of[group].grad_bias
    if groups > 1:
        first = of[group].first_sequence - of.first_sequence
        a.rows = a.rows // a.runs.length * of[group].batch
        a.runs.length = of[group].batch
        a.h = <const char *>a.h + first * a.hidden * item
        a.logits = <char *>a.logits + first * a.classes * item
        if a.threshold > 0:
            a.dropped = <char *>a.dropped + first * a.hidden * item
    run_parts(columns_part, &a, (a.hidden + COLUMNS - 1) // COLUMNS, threads)


cdef void read_out(const ReadOut *of, Py_ssize_t groups, char *grad_h, Py_ssize_t row,
                   Py_ssize_t rows, Runs runs, int threads) noexcept nogil:
    """Do so many rows from this one on, of so many groups together, those of a block at a time.

    Unless grad_h is NULL, their gradient is written to it, row after row, and that of the read-out
    added to each group's. Runs of several groups are not longer than a block.
    """
    cdef ReadOut a = of[0]
    cdef Py_ssize_t item = sizeof(float) if a.single else sizeof(double)
    cdef Py_ssize_t i = 0, at, group, blocks, most
    cdef Py_ssize_t cut = rows if runs.length <= a.most else runs.length
    a.runs, a.spacing = runs, runs.length
    blocks = (cut + a.most - 1) // a.most  # of nearly equal size
    most = (cut + blocks - 1) // blocks
    if runs.length <= a.most:  # whole runs
        most = min((most + runs.length - 1) // runs.length * runs.length, a.most)
    while i < rows:
        at, a.rows = row_of(&runs, i), together(&runs, most, i, rows)
        a.row = row + at
        a.h = <const char *>of.h + a.row * a.hidden * item
        a.targets, a.losses = &of.targets[a.row], &of.losses[a.row]
        if grad_h != NULL:
            a.grad_h = grad_h + i * a.hidden * item
        run_parts(rows_part, &a, a.rows, threads)
        if grad_h != NULL:
            for group in range(groups):
                add_block(&a, of, group, groups, threads)
        i += a.rows


cdef void join_readouts(const ReadOut *a, const ReadOut *other, Py_ssize_t first, Py_ssize_t last,
                        Py_ssize_t shares) noexcept nogil:
    """Add some shares, of so many, of another group's gradients."""
    add_share(a.single, a.grad_w, other.grad_w, a.classes * a.hidden, first, last, shares)
    add_share(a.single, a.grad_bias, other.grad_bias, a.classes, first, last, shares)


cdef class CrossEntropyRows:
    """The cross-entropy of softmax(h W^T + bias) by rows, and its gradients, some rows at a time.

    ``logits`` (groups, most, V) says how many rows of a group of sequences are done at a time at
    most, so that they stay in cache and no array of all rows by all classes is made. A target of
    class v counts weights[v], 1 if these are None. With a threshold above 0, threshold / 65536 of h
    is dropped, in ``dropped``, (groups, most, H). All groups but the first have gradients of their
    own, ``apart``, (groups - 1, sizes of grad_w and grad_bias). What these and ``losses`` hold at
    first does not count.
    """

    def __cinit__(self, cnp.ndarray logits not None, cnp.ndarray dropped,
                  cnp.ndarray losses not None, cnp.ndarray grad_w not None,
                  cnp.ndarray grad_bias not None, cnp.ndarray apart, cnp.ndarray h not None,
                  cnp.ndarray targets not None, cnp.ndarray packed_w not None,
                  cnp.ndarray packed_w_t not None, cnp.ndarray bias not None, cnp.ndarray weights,
                  uint64_t seed, int32_t threshold, double scale, Py_ssize_t segment):
        cdef int number = kind(h)
        memset(&self.a, 0, sizeof(self.a))
        self.number, self.count, self.segment = number, h.shape[0], segment
        self.item, self.a.most = cnp.PyArray_ITEMSIZE(h), logits.shape[1]
        self.arrays = (logits, dropped, losses, grad_w, grad_bias, apart, h, targets, packed_w,
                       packed_w_t, bias, weights)
        self.a.single, self.a.hidden = number == cnp.NPY_FLOAT32, h.shape[1]
        self.a.classes = bias.shape[0]
        self.a.logits, self.a.dropped = written(logits, number, 3), written(dropped, number, 3)
        self.a.losses = <double *>written(losses, cnp.NPY_FLOAT64, 1)
        self.a.grad_w = written(grad_w, number, 2)
        self.a.grad_bias = written(grad_bias, number, 1)
        self.apart = <char *>written(apart, number, 2)
        self.a.h, self.a.targets = read(h, number, 2), <const int64_t *>read(
            targets, cnp.NPY_INT64, 1)
        self.a.packed_w, self.a.packed_w_t = read(packed_w, number, 1), read(packed_w_t, number, 1)
        self.a.bias = read(bias, number, 1)
        self.a.weights = <const double *>read(weights, cnp.NPY_FLOAT64, 1)
        self.a.seed, self.a.threshold, self.a.scale = seed, threshold, scale

    cdef ReadOut of_group(self, Py_ssize_t group) noexcept nogil:
        """What does blocks of a group's rows."""
        cdef ReadOut a = self.a
        cdef Py_ssize_t of_w = a.classes * a.hidden
        a.logits = <char *>a.logits + group * a.most * a.classes * self.item
        if a.threshold > 0:
            a.dropped = <char *>a.dropped + group * a.most * a.hidden * self.item
        if group > 0:
            a.apart_bytes = (of_w + a.classes) * self.item
            a.grad_w = self.apart + (group - 1) * a.apart_bytes
            a.grad_bias = <char *>a.grad_w + of_w * self.item
        return a

    def total(self):
        """Return the sum of all losses."""
        cdef double[4] sums
        cdef Py_ssize_t i
        sums[0] = sums[1] = sums[2] = sums[3] = 0
        for i in range(self.count):
            sums[i % 4] += self.a.losses[i]
        return sums[0] + sums[1] + (sums[2] + sums[3])

    def run(self, cnp.ndarray grad_h, int threads):
        """Set the losses of all rows; signals are looked at every ``segment`` rows.

        Unless grad_h is None, the gradients of scale times their sum are written to it and added to
        grad_w and grad_bias.
        """
        cdef char *grads = <char *>written(grad_h, self.number, 2)
        cdef Py_ssize_t row = 0, rows
        while row < self.count:
            rows = min(self.segment, self.count - row)
            with nogil:
                read_out(&self.a, 1, grads, row, rows, Runs(rows, rows), threads)
            row += rows
            if grads != NULL:
                grads += rows * self.a.hidden * self.item
            PyErr_CheckSignals()
