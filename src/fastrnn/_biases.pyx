"""The biases of a layer as a row of its pre-activations has them, before any product."""

cimport numpy as cnp
from cython cimport floating
from libc.string cimport memset

from fastrnn._arrays cimport kind, read, written
from fastrnn._gradients cimport MAX_BLOCKS, Block, read_blocks

cnp.import_array()


cdef void add_biases(floating *row, const floating *bias, const Block *blocks,
                     Py_ssize_t hidden) noexcept nogil:
    cdef Py_ssize_t i, k
    for i in range(MAX_BLOCKS):
        for k in range(blocks[i].gates * hidden):
            row[blocks[i].row * hidden + k] += bias[blocks[i].parameter * hidden + k]


cdef void fill(floating *row, const BiasRow *r) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(r.width):
        row[i] = 0
    if r.of_input != NULL:
        add_biases(row, <const floating *>r.of_input, r.input_blocks, r.hidden)
        add_biases(row, <const floating *>r.of_state, r.hidden_blocks, r.hidden)


cdef void fill_row(const BiasRow *r) noexcept nogil:
    if r.single:
        fill(<float *>r.row, r)
    else:
        fill(<double *>r.row, r)


cdef BiasRow read_row(cnp.ndarray row, cnp.ndarray of_input, cnp.ndarray of_state,
                      tuple input_blocks, tuple hidden_blocks, Py_ssize_t hidden):
    cdef BiasRow r
    cdef int number = kind(row)
    memset(&r, 0, sizeof(r))
    r.single = number == cnp.NPY_FLOAT32
    r.row, r.width, r.hidden = written(row, number, 1), row.shape[0], hidden
    r.of_input, r.of_state = read(of_input, number, 1), read(of_state, number, 1)
    read_blocks(r.input_blocks, input_blocks)
    read_blocks(r.hidden_blocks, hidden_blocks)
    return r


def fill_bias_row(cnp.ndarray row not None, cnp.ndarray of_input, cnp.ndarray of_state,
                  tuple input_blocks, tuple hidden_blocks, Py_ssize_t hidden):
    """Set row to the biases, which may be None, as pre-activations have them.

    Blocks say where gates, of so many units, stand in the row and in the parameter.
    """
    cdef BiasRow r = read_row(row, of_input, of_state, input_blocks, hidden_blocks, hidden)
    fill_row(&r)
