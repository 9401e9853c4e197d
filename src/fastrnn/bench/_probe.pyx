"""Kernels that do nothing but what a core does best, in its widest vectors, float32.

They are those of the best instruction set that the processor has, also where ``FASTRNN_ISA`` names
another one for everything else.
"""

from fastrnn.cpu cimport widest

# Room for one vector of any instruction set.
cdef enum:
    ROOM = 64


def chain(Py_ssize_t length):
    """Add ``length`` times, each addition waiting for the last; return how often."""
    with nogil:
        length = widest.f32.probe_chain(length)
    return length


def multiply_adds(Py_ssize_t turns):
    """Multiply and add in independent registers; return how many operations that were."""
    cdef float[ROOM] result
    cdef double operations
    with nogil:
        operations = widest.f32.probe_multiply_adds(result, turns)
    return operations


def reads(const float[::1] x, Py_ssize_t passes):
    """Read x again and again; return the sum of all that was read."""
    cdef float[ROOM] result
    cdef Py_ssize_t i
    cdef double total = 0
    with nogil:
        widest.f32.probe_reads(result, &x[0], x.shape[0], passes)
    for i in range(widest.f32.probe_lanes()):
        total += result[i]
    return total


def vector_bits():
    """Return the width of a vector."""
    return 8 * sizeof(float) * widest.f32.probe_lanes()
