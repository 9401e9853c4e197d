# The biases of a layer as a row of its pre-activations has them.

cimport numpy as cnp

from fastrnn._gradients cimport MAX_BLOCKS, Block

cdef struct BiasRow:
    bint single
    void *row
    Py_ssize_t width, hidden
    const void *of_input
    const void *of_state
    Block input_blocks[MAX_BLOCKS]
    Block hidden_blocks[MAX_BLOCKS]

cdef void fill_row(const BiasRow *r) noexcept nogil
cdef BiasRow read_row(cnp.ndarray row, cnp.ndarray of_input, cnp.ndarray of_state,
                      tuple input_blocks, tuple hidden_blocks, Py_ssize_t hidden)
