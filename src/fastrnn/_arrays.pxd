# Where the numbers of an array begin, once it is as the loops take it. A typed memoryview for each
# array and a function for each dtype check as much, in 2 to 4 us for a loop's twenty arrays; this
# takes 0.1 us, beside training steps of 100.

cimport numpy as cnp


cdef inline int kind(cnp.ndarray array) except -1:
    """The NumPy number of float32 or float64, whichever ``array`` is of."""
    cdef int number = cnp.PyArray_TYPE(array)
    if number != cnp.NPY_FLOAT32 and number != cnp.NPY_FLOAT64:
        raise TypeError(f"expected an array of float32 or float64, got {array.dtype}")
    return number


cdef inline const void *read(cnp.ndarray array, int number, int ndim) except? NULL:
    """The beginning of a C-contiguous array of NumPy's type ``number``; NULL for None."""
    if array is None:
        return NULL
    if (cnp.PyArray_TYPE(array) != number or cnp.PyArray_NDIM(array) != ndim
            or not cnp.PyArray_IS_C_CONTIGUOUS(array) or not cnp.PyArray_ISNOTSWAPPED(array)):
        raise TypeError(f"expected a C-contiguous array of {ndim} dimensions and NumPy's type "
                        f"{number} in this machine's byte order, got shape "
                        f"{(<object>array).shape} of {array.dtype}, type {array.dtype.num}")
    return cnp.PyArray_DATA(array)


cdef inline void *written(cnp.ndarray array, int number, int ndim) except? NULL:
    """The same of an array that is written to."""
    if array is not None and not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError("expected an array that may be written to, got a read-only one")
    return <void *>read(array, number, ndim)
