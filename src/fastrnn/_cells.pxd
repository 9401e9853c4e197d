# A stack of cells that are advanced step by step.

from cython cimport floating
from libc.stdint cimport int64_t

from fastrnn._composed cimport Loop
from fastrnn._dispatch cimport Cell
from fastrnn._kernels cimport fr_nonlinearity, fr_stored

# One layer. Of a composed one all but the sizes and h[0], c[0] is in ``loop``.
cdef struct OneCell:
    void *loop
    Cell cell
    fr_nonlinearity nonlinearity
    fr_stored stored
    Py_ssize_t inputs, hidden, output, width, columns
    const void *ih
    const void *hh
    const void *bias
    const void *token_rows
    void *projection
    void *h[2]
    void *c[2]

cdef enum:
    MOST_CELLS = 64

cdef class Cells:
    cdef readonly Py_ssize_t capacity, input_size, output_size, classes, work
    cdef readonly object dtype
    cdef Py_ssize_t rows
    cdef int count, now
    cdef bint is_shared
    cdef bint is_float
    cdef OneCell cells[MOST_CELLS]
    cdef fr_stored stored_out
    cdef const void *packed_out
    cdef const void *bias_out
    cdef list _states
    cdef list _owned
    cdef _place(self, OneCell *one, list pairs, Py_ssize_t hidden, Py_ssize_t output)
    cdef _part(self, list pairs, int part)
    cdef int threads(self, Py_ssize_t row_work, Py_ssize_t rows) except 0
    cdef void advance(self, void *out, const void *x, const int64_t *ids,
                      int threads) noexcept nogil
    cdef void advance_rows(self, void *out, const void *x, const int64_t *ids, Py_ssize_t first,
                           Py_ssize_t last) noexcept nogil
    cdef void advanced(self) noexcept nogil
    cdef void _advance(self, floating *out, const void *x, const int64_t *ids, Py_ssize_t first,
                       Py_ssize_t last) noexcept nogil
    cdef void _step(self, OneCell *one, const floating *x, const int64_t *ids, floating *new,
                    Py_ssize_t first, Py_ssize_t last) noexcept nogil
    cdef void _put_out(self, floating *out, const floating *h, Py_ssize_t rows) noexcept nogil
    cdef void select(self, const Py_ssize_t *parents, Py_ssize_t rows) noexcept nogil
