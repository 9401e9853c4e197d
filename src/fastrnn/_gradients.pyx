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
from fastrnn._team cimport STRIPE, run_parts, stripes

# Rows and columns of dz that are used for all gradients before the next: a quarter of a 1 MB L2 in
# float32, as much as the rows of h and the part of the gradient beside them at H = 256.
cdef Py_ssize_t GRADIENT_BLOCK = 256

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
    const void *h_before
    Block input_blocks[MAX_BLOCKS]
    Block hidden_blocks[MAX_BLOCKS]
    Py_ssize_t hidden, recurrent, inputs, width, columns, rows


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
                 &(<const floating *>a.h_before)[r0 * a.recurrent], a.recurrent, m0, m1, rows)
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


cdef void read_blocks(Block *blocks, tuple given):
    for i, (row, parameter, gates) in enumerate(given):
        blocks[i] = Block(row, parameter, gates)


cdef class WeightSums:
    """What rows of dz give to the gradients of a layer's weights, some rows at a time.

    To sums dz's columns, to grad_hh dz^T h_before, to grad_ih dz^T x, or with ids in place of x
    token_grads[ids[r]] += dz[r]. A gate is ``hidden`` columns of dz. Signals are looked at every
    ``segment`` rows.
    """

    cdef GradientArgs a
    cdef int number, threads
    cdef Py_ssize_t item, segment
    cdef tuple arrays  # that the pointers are into

    def __cinit__(self, cnp.ndarray sums not None, cnp.ndarray token_grads, cnp.ndarray grad_ih,
                  cnp.ndarray grad_hh not None, cnp.ndarray x, cnp.ndarray ids,
                  cnp.ndarray h_before not None, Py_ssize_t hidden, tuple input_blocks,
                  tuple hidden_blocks, Py_ssize_t segment, int threads):
        cdef int number = kind(sums)
        memset(&self.a, 0, sizeof(self.a))
        self.number, self.threads, self.item = number, threads, cnp.PyArray_ITEMSIZE(sums)
        self.segment = segment
        self.arrays = sums, token_grads, grad_ih, grad_hh, x, ids, h_before
        self.a.single = number == cnp.NPY_FLOAT32
        self.a.hidden, self.a.recurrent = hidden, h_before.shape[1]
        self.a.width, self.a.sums = sums.shape[0], written(sums, number, 1)
        self.a.h_before = read(h_before, number, 2)
        self.a.grad_ih, self.a.grad_hh = written(grad_ih, number, 2), written(grad_hh, number, 2)
        if ids is None:
            self.a.inputs, self.a.x = x.shape[1], read(x, number, 2)
        else:
            self.a.ids = <const int64_t *>read(ids, cnp.NPY_INT64, 1)
            self.a.columns = token_grads.shape[1]
            self.a.token_grads = written(token_grads, number, 2)
        read_blocks(self.a.input_blocks, input_blocks)
        read_blocks(self.a.hidden_blocks, hidden_blocks)

    def add(self, cnp.ndarray dz not None, Py_ssize_t row, Py_ssize_t r0, Py_ssize_t r1):
        """Add what rows r0 to r1 give, which are dz's from ``row`` on."""
        cdef GradientArgs a = self.a
        cdef const char *first = <const char *>read(dz, self.number, 2)
        while r0 < r1:
            a.rows = min(self.segment, r1 - r0)
            a.dz = first + row * a.width * self.item
            a.h_before = <const char *>self.a.h_before + r0 * a.recurrent * self.item
            if a.ids == NULL:
                a.x = <const char *>self.a.x + r0 * a.inputs * self.item
            else:
                a.ids = &self.a.ids[r0]
            with nogil:
                run_parts(gradient_part, &a, stripes(a.hidden), self.threads)
            r0, row = r0 + a.rows, row + a.rows
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
