# The read-out, its loss and their gradients, for the way back of several loops at once.

from libc.stdint cimport int32_t, int64_t, uint64_t

from fastrnn._rows cimport Runs

# Some rows, ``most`` of them at most: ``row`` is the first, and every pointer to rows is to it. The
# runs of logits and dropped begin ``spacing`` rows apart. ``apart_bytes`` of gradients, from grad_w
# on, are a group's own and to be cleared when it begins; it has ``sequences`` from the
# ``sequence``-th on.
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
    Runs runs
    Py_ssize_t row, rows, most, spacing, hidden, classes, apart_bytes, sequence, sequences
    uint64_t seed
    int32_t threshold
    double scale

cdef void read_out(const Block *of, Py_ssize_t groups, char *grad_h, Py_ssize_t row,
                   Py_ssize_t rows, Runs runs, int threads) noexcept nogil

cdef void join_readouts(const Block *a, const Block *other, Py_ssize_t first, Py_ssize_t last,
                        Py_ssize_t shares) noexcept nogil

cdef class CrossEntropyRows:
    cdef Block a
    cdef int number
    cdef Py_ssize_t count, item, segment
    cdef char *apart
    cdef tuple arrays  # that the pointers are into
    cdef Block of_group(self, Py_ssize_t group) noexcept nogil
