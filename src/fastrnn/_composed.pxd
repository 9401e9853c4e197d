# What _cells.pyx needs of a composed cell: one step of it.

from fastrnn._dispatch cimport Cell
from fastrnn._kernels cimport fr_nonlinearity
from fastrnn._rows cimport Rows

# What a loop is given by name, in this order; layers/composed.py says what each is.
cdef enum:
    STATES
    INNER
    C
    GATES
    PASSED
    NORMAL_IH
    SPREAD_IH
    NORMAL_HH
    SPREAD_HH
    NORMAL_C
    SPREAD_C
    ROW
    PRODUCT
    DZ
    DZ_HH
    DY
    D_INNER
    D_NORMAL_C
    CARRY
    X
    IDS
    PACKED_IH
    BIAS
    TOKEN_ROWS
    PACKED_HH
    MASK
    PACKED_OUT
    BIAS_OUT
    GAIN_IH
    GAIN_HH
    GAIN_C
    BIAS_C
    GRAD_OUTPUT
    GRAD_LAST
    BUFFERS

# What both ways share: ``recurrent`` is the size of the state that is fed back, ``columns`` the
# gates of W_hh, which stand at the end of a row of ``width``. Unless ``kept``, what is between the
# input and the states has a row for each sequence, and not for each step of it.
cdef struct Args:
    Rows rows
    bint single, kept
    Cell cell
    fr_nonlinearity nonlinearity, output
    Py_ssize_t steps, hidden, recurrent, inputs, width, columns, t0, t1
    void *buffers[BUFFERS]

cdef class Loop:
    cdef Args args
    cdef dict _owned
    cdef void step(self, const void *x, const void *ids, Py_ssize_t rows) noexcept nogil
