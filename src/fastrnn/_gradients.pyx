"""The gradients of a recurrent layer's parameters: products over all rows at once.

Parts are stripes of units, for the team's threads: no element is ever computed in two ways, so the
bits do not depend on the split. The layers check shapes and own all buffers.
"""

from cython cimport floating
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

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


def weight_sums(floating[::1] sums, floating[:, ::1] token_grads, floating[:, ::1] grad_ih,
                floating[:, ::1] grad_hh, const floating[:, ::1] dz, const floating[:, ::1] x,
                const int64_t[::1] ids, const floating[:, ::1] h_before, Py_ssize_t hidden,
                tuple input_blocks, tuple hidden_blocks, Py_ssize_t r0, Py_ssize_t r1,
                int threads):
    """Add what rows r0 to r1 give.

    To sums dz's columns, to grad_hh dz^T h_before, to grad_ih dz^T x, or with ids in place of x
    token_grads[ids[r]] += dz[r]. A gate is ``hidden`` columns of dz.
    """
    cdef GradientArgs a
    if r0 >= r1:
        return
    memset(&a, 0, sizeof(a))
    a.single = floating is float
    a.hidden, a.recurrent, a.width, a.rows = hidden, h_before.shape[1], dz.shape[1], r1 - r0
    a.sums, a.dz, a.h_before = &sums[0], &dz[r0, 0], &h_before[r0, 0]
    a.grad_ih, a.grad_hh = &grad_ih[0, 0], &grad_hh[0, 0]
    if ids is None:
        a.x, a.inputs = &x[r0, 0], x.shape[1]
    else:
        a.ids, a.token_grads, a.columns = &ids[r0], &token_grads[0, 0], token_grads.shape[1]
    read_blocks(a.input_blocks, input_blocks)
    read_blocks(a.hidden_blocks, hidden_blocks)
    with nogil:
        run_parts(gradient_part, &a, stripes(a.hidden), threads)


def share_sums(const floating[::1] sums, const floating[:, ::1] token_grads,
               floating[:, ::1] grad_ih, floating[::1] grad_bias_ih, floating[::1] grad_bias_hh,
               Py_ssize_t hidden, tuple input_blocks, tuple hidden_blocks):
    """Add ``sums`` to the biases' gradients, and token_grads^T to W_ih's; each may be None."""
    cdef Block blocks[2][MAX_BLOCKS]
    cdef Py_ssize_t i, j, k, begin, at, inputs = grad_ih.shape[1]
    cdef floating *biases[2]
    memset(blocks, 0, sizeof(blocks))
    read_blocks(blocks[0], input_blocks)
    read_blocks(blocks[1], hidden_blocks)
    biases[0] = NULL if grad_bias_ih is None else &grad_bias_ih[0]
    biases[1] = NULL if grad_bias_hh is None else &grad_bias_hh[0]
    with nogil:
        for j in range(2):
            for i in range(MAX_BLOCKS):
                begin, at = blocks[j][i].row * hidden, blocks[j][i].parameter * hidden
                if biases[j] != NULL:
                    for k in range(blocks[j][i].gates * hidden):
                        biases[j][at + k] += sums[begin + k]
                if j == 0 and token_grads is not None and blocks[j][i].gates > 0:
                    k_add_transposed(&grad_ih[at, 0], inputs, &grad_ih[at, 0], inputs,
                                     &token_grads[0, begin], token_grads.shape[1],
                                     blocks[j][i].gates * hidden, inputs)
