# The read-out, its loss and their gradients, for the way back of several loops at once.

from libc.stdint cimport int32_t, int64_t, uint64_t

from fastrnn._rows cimport Runs

# A block of rows, ``most`` at most: ``row`` is the first, and every pointer to rows is to it. Those
# of one group are runs too, also among the block's logits and dropped, where they begin ``spacing``
# rows apart. A group has ``batch`` sequences from ``first_sequence`` on, and gradients of its own,
# ``apart_bytes`` from grad_w on, to be cleared when it begins.
cdef struct ReadOut:
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
    Py_ssize_t row, rows, most, spacing, hidden, classes, apart_bytes, first_sequence, batch
    uint64_t seed
    int32_t threshold
    double scale

cdef void read_out(const ReadOut *of, Py_ssize_t groups, char *grad_h, Py_ssize_t row,
                   Py_ssize_t rows, Runs runs, int threads) noexcept nogil

cdef void join_readouts(const ReadOut *a, const ReadOut *other, Py_ssize_t first, Py_ssize_t last,
                        Py_ssize_t shares) noexcept nogil

cdef class CrossEntropyRows:
    cdef ReadOut a
    cdef int number
    cdef Py_ssize_t count, item, segment
    cdef char *apart
    cdef tuple arrays  # that the pointers are into
    cdef ReadOut of_group(self, Py_ssize_t group) noexcept nogil
