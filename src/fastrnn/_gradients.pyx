"""The gradients of a recurrent layer's parameters: products over many rows at once.

Parts are stripes of units, for the team's threads: no element is ever computed in two ways, so the
bits do not depend on the split. The layers check shapes and own all buffers.
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cython cimport floating
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from fastrnn._arrays cimport kind, read, written
from fastrnn._dispatch cimport k_add_transposed, k_column_sums, k_gemm_tn, k_scatter_rows
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore
from fastrnn._rows cimport Runs, beside, row_of, together
from fastrnn._team cimport STRIPE, run_parts, stripes

# Rows and columns of dz that are used for all gradients before the next: a quarter of a 1 MB L2 in
# float32, as much as the rows of h and the part of the gradient beside them at H = 256.
cdef Py_ssize_t GRADIENT_BLOCK = 256


cdef void weight_grads(const GradientArgs *a, const Block *blocks, floating *grad,
                       const floating *dz, const floating *factor, Py_ssize_t inputs,
                       Py_ssize_t m0, Py_ssize_t m1, Py_ssize_t rows) noexcept nogil:
    """grad += dz^T factor, for columns m0 to m1 of dz and the parameter's rows that they are."""
    cdef Py_ssize_t i, column, begin, end, row, stride = a.runs.stride
    cdef Py_ssize_t dz_stride = a.dz_runs.stride
    for i in range(MAX_BLOCKS):
        column = blocks[i].row * a.hidden
        begin, end = max(m0, column), min(m1, column + blocks[i].gates * a.hidden)
        if begin < end:
            row = blocks[i].parameter * a.hidden + begin - column
            k_gemm_tn(&grad[row * inputs], inputs, &dz[begin], a.width, dz_stride * a.width,
                      factor, inputs, stride * inputs, end - begin, inputs, rows,
                      min(rows, a.runs.length))


cdef void gradient_block(const GradientArgs *a, const floating *dz, Py_ssize_t m0, Py_ssize_t m1,
                         Py_ssize_t i, Py_ssize_t rows) noexcept nogil:
    """What so many rows from the i-th on of columns m0 to m1 of dz give to the gradients."""
    cdef Py_ssize_t stop = min(m1, a.columns), end = i + rows, first = row_of(&a.runs, i), n
    cdef Py_ssize_t first_dz = row_of(&a.dz_runs, i)
    cdef const floating *run
    while i < end:
        run, n = &dz[row_of(&a.dz_runs, i) * a.width + m0], beside(&a.runs, i, end)
        k_column_sums(&(<floating *>a.sums)[m0], run, a.width, n, m1 - m0)
        if a.ids != NULL and m0 < stop:
            k_scatter_rows(&(<floating *>a.token_grads)[m0], a.columns, run, a.width,
                           &a.ids[row_of(&a.runs, i)], n, stop - m0)
        i += n
    dz += first_dz * a.width
    weight_grads(a, a.hidden_blocks, <floating *>a.grad_hh, dz,
                 &(<const floating *>a.h_before)[first * a.recurrent], a.recurrent, m0, m1, rows)
    if a.ids == NULL:
        weight_grads(a, a.input_blocks, <floating *>a.grad_ih, dz,
                     &(<const floating *>a.x)[first * a.inputs], a.inputs, m0, m1, rows)


cdef void gradient_columns(const GradientArgs *a, const floating *dz, Py_ssize_t m0,
                           Py_ssize_t m1) noexcept nogil:
    cdef Py_ssize_t i, rows, m = m0
    while m < m1:
        i = 0
        while i < a.rows:
            rows = together(&a.runs, GRADIENT_BLOCK, i, a.rows)
            gradient_block(a, dz, m, min(m + GRADIENT_BLOCK, m1), i, rows)
            i += rows
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


cdef void add_gradients(const GradientArgs *of, const void *dz, Py_ssize_t row, Py_ssize_t rows,
                        Runs runs, Py_ssize_t dz_stride, int threads) noexcept nogil:
    """Add what so many rows from this one on give; units are shared by threads.

    dz begins with these rows, whose runs begin ``dz_stride`` apart in it.
    """
    cdef GradientArgs a = of[0]
    cdef Py_ssize_t item = sizeof(float) if a.single else sizeof(double)
    a.dz, a.rows, a.runs, a.dz_runs = dz, rows, runs, Runs(runs.length, dz_stride)
    a.h_before = <const char *>of.h_before + row * a.recurrent * item
    if a.ids == NULL:
        a.x = <const char *>of.x + row * a.inputs * item
    else:
        a.ids = &of.ids[row]
    run_parts(gradient_part, &a, stripes(a.hidden), threads)


cdef void add_share(bint single, void *sums, const void *others, Py_ssize_t n, Py_ssize_t first,
                    Py_ssize_t last, Py_ssize_t shares) noexcept nogil:
    """Add some shares, of so many, of n numbers."""
    cdef Py_ssize_t start = n * first // shares, count = n * last // shares - start
    if single:
        k_column_sums(&(<float *>sums)[start], &(<const float *>others)[start], count, 1, count)
    else:
        k_column_sums(&(<double *>sums)[start], &(<const double *>others)[start], count, 1, count)


cdef void clear_sums(const GradientArgs *a) noexcept nogil:
    """Set to zero what is a group's own."""
    cdef Py_ssize_t item = sizeof(float) if a.single else sizeof(double)
    memset(a.sums, 0, a.width * item)
    memset(a.grad_hh, 0, a.apart_bytes)
    if a.token_grads != NULL:
        memset(a.token_grads, 0, a.token_size * item)


cdef void join_sums(const GradientArgs *a, const GradientArgs *other, Py_ssize_t first,
                    Py_ssize_t last, Py_ssize_t shares) noexcept nogil:
    """Add some shares, of so many, of another group's gradients."""
    add_share(a.single, a.sums, other.sums, a.width, first, last, shares)
    add_share(a.single, a.token_grads, other.token_grads, a.token_size, first, last, shares)
    add_share(a.single, a.grad_hh, other.grad_hh, a.hh_size, first, last, shares)
    add_share(a.single, a.grad_ih, other.grad_ih, a.ih_size, first, last, shares)


cdef void read_blocks(Block *blocks, tuple given) except *:
    if len(given) > MAX_BLOCKS:
        raise ValueError(f"expected at most {MAX_BLOCKS} blocks, got {len(given)}")
    for i, (row, parameter, gates) in enumerate(given):
        blocks[i] = Block(row, parameter, gates)


cdef class WeightSums:
    """What rows of dz give to the gradients of a layer's weights, some rows at a time.

    To sums dz's columns, to grad_hh dz^T h_before, to grad_ih dz^T x, or with ids in place of x
    token_grads[ids[r]] += dz[r]. A gate is ``hidden`` columns of dz.

    Each group of sequences has sums, (groups, width), and token_grads, (groups, V, columns), of its
    own, and all but the first have gradients of the weights, ``apart``, (groups - 1, sizes of
    both). What these hold at first does not count.
    """

    def __cinit__(self, cnp.ndarray sums not None, cnp.ndarray token_grads, cnp.ndarray grad_ih,
                  cnp.ndarray grad_hh not None, cnp.ndarray apart, cnp.ndarray x, cnp.ndarray ids,
                  cnp.ndarray h_before not None, Py_ssize_t hidden, tuple input_blocks,
                  tuple hidden_blocks, Py_ssize_t segment, int threads):
        cdef int number = kind(sums)
        memset(&self.a, 0, sizeof(self.a))
        self.number, self.threads, self.item = number, threads, cnp.PyArray_ITEMSIZE(sums)
        self.segment = segment
        self.arrays = sums, token_grads, grad_ih, grad_hh, apart, x, ids, h_before
        self.a.single = number == cnp.NPY_FLOAT32
        self.a.hidden, self.a.recurrent = hidden, h_before.shape[1]
        self.a.width, self.a.sums = sums.shape[1], written(sums, number, 2)
        self.a.h_before = read(h_before, number, 2)
        self.a.grad_ih, self.a.grad_hh = written(grad_ih, number, 2), written(grad_hh, number, 2)
        self.a.hh_size, self.apart = cnp.PyArray_SIZE(grad_hh), <char *>written(apart, number, 2)
        if ids is None:
            self.a.inputs, self.a.x = x.shape[1], read(x, number, 2)
            self.a.ih_size = cnp.PyArray_SIZE(grad_ih)
        else:
            self.a.ids = <const int64_t *>read(ids, cnp.NPY_INT64, 1)
            self.a.columns = token_grads.shape[2]
            self.a.token_size = token_grads.shape[1] * token_grads.shape[2]
            self.a.token_grads = written(token_grads, number, 3)
        read_blocks(self.a.input_blocks, input_blocks)
        read_blocks(self.a.hidden_blocks, hidden_blocks)

    cdef GradientArgs of_group(self, Py_ssize_t group) noexcept nogil:
        """What adds to a group's gradients."""
        cdef GradientArgs a = self.a
        if group > 0:
            a.apart_bytes = (a.hh_size + a.ih_size) * self.item
            a.grad_hh = self.apart + (group - 1) * a.apart_bytes
            a.grad_ih = <char *>a.grad_hh + a.hh_size * self.item
            a.sums = <char *>a.sums + group * a.width * self.item
            if a.token_grads != NULL:
                a.token_grads = <char *>a.token_grads + group * a.token_size * self.item
        return a

    def add(self, cnp.ndarray dz not None):
        """Add what all rows give, in one group. Signals are looked at every ``segment`` rows."""
        cdef const char *first = <const char *>read(dz, self.number, 2)
        cdef Py_ssize_t row = 0, count = dz.shape[0], rows
        clear_sums(&self.a)
        while row < count:
            rows = min(self.segment, count - row)
            with nogil:
                add_gradients(&self.a, first + row * self.a.width * self.item, row, rows,
                              Runs(rows, rows), rows, self.threads)
            row += rows
            PyErr_CheckSignals()


cdef void share(const GradientArgs *a, floating *bias_ih, floating *bias_hh) noexcept nogil:
    cdef Py_ssize_t i, j, k, begin, to
    cdef const Block *blocks = a.input_blocks
    cdef const floating *sums = <const floating *>a.sums
    cdef floating *bias = bias_ih
    cdef floating *weight
    for j in range(2):
        for i in range(MAX_BLOCKS):
            begin, to = blocks[i].row * a.hidden, blocks[i].parameter * a.hidden
            if bias != NULL:
                for k in range(blocks[i].gates * a.hidden):
                    bias[to + k] += sums[begin + k]
            if j == 0 and a.token_grads != NULL and blocks[i].gates > 0:
                weight = &(<floating *>a.grad_ih)[to * a.inputs]
                k_add_transposed(weight, a.inputs, weight, a.inputs,
                                 &(<const floating *>a.token_grads)[begin], a.columns,
                                 blocks[i].gates * a.hidden, a.inputs)
        blocks, bias = a.hidden_blocks, bias_hh


def share_sums(cnp.ndarray sums not None, cnp.ndarray token_grads, cnp.ndarray grad_ih not None,
               cnp.ndarray grad_bias_ih, cnp.ndarray grad_bias_hh, Py_ssize_t hidden,
               tuple input_blocks, tuple hidden_blocks):
    """Add ``sums`` to the biases' gradients, and token_grads^T to W_ih's; each may be None."""
    cdef GradientArgs a
    cdef int number = kind(sums)
    cdef void *bias_ih = written(grad_bias_ih, number, 1)
    cdef void *bias_hh = written(grad_bias_hh, number, 1)
    memset(&a, 0, sizeof(a))
    a.hidden, a.inputs = hidden, grad_ih.shape[1]
    a.sums, a.grad_ih = <void *>read(sums, number, 1), written(grad_ih, number, 2)
    if token_grads is not None:
        a.token_grads, a.columns = <void *>read(token_grads, number, 2), token_grads.shape[1]
    read_blocks(a.input_blocks, input_blocks)
    read_blocks(a.hidden_blocks, hidden_blocks)
    with nogil:
        if number == cnp.NPY_FLOAT32:
            share(&a, <float *>bias_ih, <float *>bias_hh)
        else:
            share(&a, <double *>bias_ih, <double *>bias_hh)
