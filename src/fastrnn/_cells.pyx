"""A stack of cells that keep their states and are advanced step by step, for streams and text.

A read-out may follow them; what a step puts out is its outputs then, else the last layer's states.
"""

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cython cimport floating
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

import numpy as np

from fastrnn import _ops, _threads
from fastrnn._composed cimport Loop
from fastrnn._dispatch cimport CELL_LSTM, CELL_RNN, Cell, cell_step, k_gemm_stored, project
from fastrnn._kernels cimport (
    fr_fpmode_flush,
    fr_fpmode_restore,
    fr_nonlinearity,
    fr_stored,
)
from fastrnn._team cimport run_parts

cnp.import_array()

MOST = MOST_CELLS


cdef class Cells:
    """Layers that read one another's states, ``rows`` sequences side by side.

    Each cell holds two states and writes a step into the one that is not the previous; a composed
    one holds one. It has the weights of when it was made. Threads may share the rows of a step,
    ``is_shared``, unless there is a composed one.
    """

    def __cinit__(self, dtype, Py_ssize_t rows, Py_ssize_t input_size):
        self.dtype, self.capacity, self.rows = dtype, rows, rows
        self.input_size = self.output_size = self.classes = input_size
        self.is_float, self.is_shared = dtype == np.float32, True
        self._owned, self._states = [], []

    def add(self, int cell, int nonlinearity, int stored, packed_ih, bias, packed_hh, token_rows,
            Py_ssize_t columns, Py_ssize_t hidden):
        """Add a layer; ``token_rows`` may be None for one that reads no tokens."""
        cdef OneCell *one = &self.cells[self.count]
        shape = (self.capacity, hidden)
        width = bias.shape[0]
        pairs = [[_ops.empty(shape, self.dtype) for _ in range(2)]]
        if cell == CELL_LSTM:
            pairs.append([_ops.empty(shape, self.dtype) for _ in range(2)])
        projection = _ops.empty((self.capacity, width), self.dtype)
        self._owned.append((packed_ih, bias, packed_hh, token_rows, projection))
        one.loop = NULL
        one.cell, one.nonlinearity = <Cell>cell, <fr_nonlinearity>nonlinearity
        one.stored = <fr_stored>stored
        one.ih, one.hh = cnp.PyArray_DATA(packed_ih), cnp.PyArray_DATA(packed_hh)
        one.bias = cnp.PyArray_DATA(bias)
        one.token_rows = NULL if token_rows is None else cnp.PyArray_DATA(token_rows)
        one.projection = cnp.PyArray_DATA(projection)
        one.width, one.columns = width, columns
        self._place(one, pairs, hidden, hidden)

    def add_composed(self, Loop loop, states, Py_ssize_t hidden, Py_ssize_t output):
        """Add a layer whose steps are those of a loop; ``states`` are what it begins from."""
        cdef OneCell *one = &self.cells[self.count]
        self._owned.append(loop)
        self.is_shared = False
        one.loop = <void *>loop
        one.width = one.columns = loop.args.columns
        self._place(one, [[part, part] for part in states], hidden, output)

    cdef _place(self, OneCell *one, list pairs, Py_ssize_t hidden, Py_ssize_t output):
        cdef int i
        one.inputs, one.hidden, one.output = self.output_size, hidden, output
        one.c[0] = one.c[1] = NULL
        for i in range(2):
            one.h[i] = cnp.PyArray_DATA(pairs[0][i])
            if len(pairs) > 1:
                one.c[i] = cnp.PyArray_DATA(pairs[1][i])
        self._states.append(pairs)
        self.work += hidden * one.width
        self.output_size = self.classes = output
        self.count += 1
        self.set_state(0)

    def add_readout(self, int stored, packed, bias):
        """Put out bias + W h from now on; the bias is copied, the packed weight kept."""
        bias = bias.copy()
        self._owned.append((packed, bias))
        self.stored_out = <fr_stored>stored
        self.packed_out, self.bias_out = cnp.PyArray_DATA(packed), cnp.PyArray_DATA(bias)
        self.classes = len(bias)
        self.work += self.output_size * self.classes

    def state(self):
        """Return copies of the parts of the state, (L, rows, size) each."""
        parts = range(len(self._states[0]))
        return [np.array([self._part(pairs, p) for pairs in self._states]) for p in parts]

    cdef _part(self, list pairs, int part):
        # A composed cell's states stay where they are, and so does c, but for a selection.
        return pairs[part][self.now if part == 0 else 0][: self.capacity]

    def set_state(self, parts, rows=slice(None)):
        """Set the parts of the state, (L, rows, size) each, or all to 0."""
        for i, pairs in enumerate(self._states):
            for p in range(len(pairs)):
                self._part(pairs, p)[rows] = 0 if isinstance(parts, int) else parts[p][i]

    def read(self, const int64_t[::1] ids):
        """Feed ids (T,) to the only row."""
        cdef Py_ssize_t t, start, stop
        cdef uint64_t mode
        for start, stop in _threads.segments(ids.shape[0], self.work):
            PyErr_CheckSignals()
            with nogil:
                mode = fr_fpmode_flush()
                for t in range(start, stop):
                    self.advance(NULL, NULL, &ids[t], 1)
                fr_fpmode_restore(mode)

    cdef int threads(self, Py_ssize_t row_work, Py_ssize_t rows) except 0:
        """How many threads are to share so many rows of a step, each of so many multiply-adds."""
        if not self.is_shared:
            return 1
        return _threads.threads_for_rows(row_work, rows)

    cdef void advance(self, void *out, const void *x, const int64_t *ids,
                      int threads) noexcept nogil:
        """Feed each row its x, (rows, I), or where that is NULL its token.

        What the step puts out is written to ``out``, (rows, classes), unless that is NULL.
        """
        cdef RowsArgs a
        if threads > 1:
            a = RowsArgs(<void *>self, out, x, ids)
            run_parts(rows_part, &a, self.rows, threads)
        else:
            self.advance_rows(out, x, ids, 0, self.rows)
        self.advanced()

    cdef void advanced(self) noexcept nogil:
        """All rows have been fed."""
        self.now = 1 - self.now

    cdef void advance_rows(self, void *out, const void *x, const int64_t *ids, Py_ssize_t first,
                           Py_ssize_t last) noexcept nogil:
        """Feed some of the rows, or all of them unless ``is_shared``."""
        if first == last:  # more threads than rows
            return
        if self.is_float:
            self._advance(<float *>out, x, ids, first, last)
        else:
            self._advance(<double *>out, x, ids, first, last)

    cdef void _advance(self, floating *out, const void *x, const int64_t *ids, Py_ssize_t first,
                       Py_ssize_t last) noexcept nogil:
        cdef int i
        cdef OneCell *one
        for i in range(self.count):
            one = &self.cells[i]
            if one.loop != NULL:
                (<Loop>one.loop).step(x, ids, self.rows)
            else:
                self._step(one, <const floating *>x, ids, <floating *>one.h[1 - self.now], first,
                           last)
            x, ids = one.h[1 - self.now], NULL
        if out != NULL:
            self._put_out(out + first * self.classes,
                          <const floating *>x + first * self.output_size, last - first)

    cdef void _put_out(self, floating *out, const floating *h, Py_ssize_t rows) noexcept nogil:
        if self.packed_out == NULL:
            memcpy(out, h, rows * self.classes * sizeof(floating))
        else:
            k_gemm_stored(self.stored_out, out, self.classes, h, self.output_size,
                          <const floating *>self.packed_out, <const floating *>self.bias_out,
                          rows, self.classes, self.output_size)

    cdef void _step(self, OneCell *one, const floating *x, const int64_t *ids, floating *new,
                    Py_ssize_t first, Py_ssize_t last) noexcept nogil:
        cdef floating *z = new if one.cell == CELL_RNN else <floating *>one.projection
        cdef floating *c = <floating *>one.c[0]
        cdef const floating *rows = z
        cdef const floating *h = <const floating *>one.h[self.now]
        if ids == NULL:
            z += first * one.width
            rows = z
            project(one.stored, z, one.width, x + first * one.inputs, one.inputs,
                    <const floating *>one.ih, <const floating *>one.bias, one.columns,
                    last - first)
        else:
            rows, ids = <const floating *>one.token_rows, ids + first
        if c != NULL:
            c += first * one.hidden
        cell_step(one.cell, one.nonlinearity, one.stored, new + first * one.hidden, c, rows,
                  one.width, ids, h + first * one.hidden, <const floating *>one.hh, last - first,
                  one.hidden, self.now)

    cdef void select(self, const Py_ssize_t *parents, Py_ssize_t rows) noexcept nogil:
        """Go on with copies of these rows, in this order."""
        cdef Py_ssize_t item = 4 if self.is_float else 8
        cdef OneCell *one
        cdef int i, last = self.now
        for i in range(self.count):
            one = &self.cells[i]
            if one.loop != NULL:
                # What follows its states is scratch between steps.
                gather_back(one.h[0], self.capacity, parents, rows, one.output * item)
                if one.c[0] != NULL:
                    gather_back(one.c[0], self.capacity, parents, rows, one.hidden * item)
                continue
            gather(one.h[1 - last], one.h[last], parents, rows, one.hidden * item)
            if one.c[0] != NULL:
                gather(one.c[1], one.c[0], parents, rows, one.hidden * item)
                memcpy(one.c[0], one.c[1], rows * one.hidden * item)
        self.now = 1 - last
        self.rows = rows


cdef struct RowsArgs:
    void *cells
    void *out
    const void *x
    const int64_t *ids


cdef void rows_part(const void *args, Py_ssize_t part, Py_ssize_t start,
                    Py_ssize_t stop) noexcept nogil:
    cdef const RowsArgs *a = <const RowsArgs *>args
    cdef uint64_t mode = fr_fpmode_flush()
    (<Cells>a.cells).advance_rows(a.out, a.x, a.ids, start, stop)
    fr_fpmode_restore(mode)


cdef void gather(void *to, const void *source, const Py_ssize_t *parents, Py_ssize_t rows,
                 Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(rows):
        memcpy(<char *>to + r * size, <const char *>source + parents[r] * size, size)


cdef void gather_back(void *states, Py_ssize_t capacity, const Py_ssize_t *parents,
                      Py_ssize_t rows, Py_ssize_t size) noexcept nogil:
    cdef char *after = <char *>states + capacity * size
    gather(after, states, parents, rows, size)
    memcpy(states, after, rows * size)
