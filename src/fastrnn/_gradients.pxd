# The gradients of a layer's weights, for the way back of several loops at once.

from libc.stdint cimport int64_t

from fastrnn._rows cimport Runs

cdef enum:
    MAX_BLOCKS = 3

# Gates that stand together: from one of a row of pre-activations on, and of a parameter.
cdef struct Block:
    Py_ssize_t row, parameter, gates

# Sums, token_grads and ``apart_bytes`` of gradients, from grad_hh on, are a group's own.
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
    Runs runs, dz_runs
    Py_ssize_t hidden, recurrent, inputs, width, columns, rows, apart_bytes
    Py_ssize_t hh_size, ih_size, token_size

cdef void read_blocks(Block *blocks, tuple given) except *
cdef void add_share(bint single, void *sums, const void *others, Py_ssize_t n, Py_ssize_t first,
                    Py_ssize_t last, Py_ssize_t shares) noexcept nogil
cdef void clear_sums(const GradientArgs *a) noexcept nogil
cdef void join_sums(const GradientArgs *a, const GradientArgs *other, Py_ssize_t first,
                    Py_ssize_t last, Py_ssize_t shares) noexcept nogil
cdef void add_gradients(const GradientArgs *of, const void *dz, Py_ssize_t row, Py_ssize_t rows,
                        Runs runs, Py_ssize_t dz_stride, int threads) noexcept nogil

cdef class WeightSums:
    cdef GradientArgs a
    cdef int number, threads
    cdef Py_ssize_t item, segment
    cdef char *apart
    cdef tuple arrays  # that the pointers are into
    cdef GradientArgs of_group(self, Py_ssize_t group) noexcept nogil
