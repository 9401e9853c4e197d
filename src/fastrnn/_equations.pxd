# Equations of updates, for the sweep that follows them.

cdef enum:
    OF_SGD, OF_RMSPROP, OF_ADAM

cdef enum:
    MAX_STATES = 3  # running means of one parameter
    MOST_VALUES = 7  # of one update's equation

cdef class Rule:
    cdef int optimizer
    cdef double values[MOST_VALUES]
    cdef bint flags[2]
    cdef bint needs[MAX_STATES]  # which running means
