"""One step at a time: streams that keep the state."""

import numpy as np

cimport cython
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from fastrnn import _check, _ops
from fastrnn._dispatch cimport CELL_LSTM, CELL_RNN, Cell, cell_step, project
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore, fr_nonlinearity, fr_stored

cnp.import_array()


@cython.final
cdef class Stream:
    """A recurrent layer fed one step at a time; see :meth:`fastrnn.RNN.stream`.

    Holds two states and writes each step into the one that is not the previous.
    """

    cdef readonly Py_ssize_t input_size, hidden_size, batch_size
    cdef object _dtype
    cdef tuple _states, _owned
    cdef cnp.ndarray _cell_state
    cdef Py_ssize_t _width, _columns
    cdef size_t _state_bytes
    cdef Cell _cell
    cdef int _now, _typenum, _nonlinearity, _stored
    cdef bint _is_float
    cdef void *_hh
    cdef void *_ih
    cdef void *_bias_row
    cdef void *_token_rows
    cdef void *_projection
    cdef void *_c
    cdef void *_state[2]

    def __cinit__(self, int cell, int nonlinearity, int stored, packed_ih, bias, packed_hh,
                  token_rows, Py_ssize_t columns, Py_ssize_t hidden_size,
                  Py_ssize_t batch_size):
        self._cell, self._nonlinearity, self._stored = <Cell>cell, nonlinearity, stored
        self._dtype = bias.dtype
        self.input_size, self._width = token_rows.shape
        self.hidden_size, self.batch_size, self._columns = hidden_size, batch_size, columns
        self._is_float = self._dtype == np.float32
        self._typenum = cnp.NPY_FLOAT32 if self._is_float else cnp.NPY_FLOAT64
        shape = (batch_size, hidden_size)
        self._states = _ops.empty(shape, self._dtype), _ops.empty(shape, self._dtype)
        self._state_bytes = self._states[0].nbytes
        projection = _ops.empty((batch_size, self._width), self._dtype)
        self._owned = packed_ih, bias, packed_hh, token_rows, projection
        self._ih = cnp.PyArray_DATA(packed_ih)
        self._hh = cnp.PyArray_DATA(packed_hh)
        self._bias_row = cnp.PyArray_DATA(bias)
        self._token_rows = cnp.PyArray_DATA(token_rows)
        self._projection = cnp.PyArray_DATA(projection)
        self._state[0] = cnp.PyArray_DATA(self._states[0])
        self._state[1] = cnp.PyArray_DATA(self._states[1])
        self._cell_state, self._c = None, NULL
        if cell == CELL_LSTM:
            self._cell_state = _ops.empty(shape, self._dtype)
            self._c = cnp.PyArray_DATA(self._cell_state)
        self._now = 0
        self.reset()

    @property
    def state(self):
        """A copy of the state, shaped as the layer's initial one: (1, batch_size, hidden_size);
        of an LSTM the tuple (h, c)."""
        h = self._states[self._now][None].copy()
        return h if self._cell_state is None else (h, self._cell_state[None].copy())

    def reset(self, state=None):
        """Start afresh from ``state``, shaped as :attr:`state`, or from zero."""
        parts = self._parts(state)
        self._states[self._now][...] = parts[0]
        if self._cell_state is not None:
            self._cell_state[...] = parts[1]

    def _parts(self, state):
        names = ("h_0",) if self._cell_state is None else ("h_0", "c_0")
        arrays = _check.state("state", state, names)
        if arrays is None:
            return 0, 0
        checked = [_check.floats(n, a, self._dtype) for n, a in zip(names, arrays, strict=True)]
        for name, array in zip(names, checked, strict=True):
            _check.shape(name, array, (1, self.batch_size, self.hidden_size))
        return [array[0] for array in checked]

    def step(self, x, out=None):
        """Advance by one step and return the new state.

        Parameters
        ----------
        x : array_like or int
            The input of this step: floats of shape (batch_size, input_size), or
            (input_size,) when batch_size is 1; or token ids: integers of shape
            (batch_size,), or one integer when batch_size is 1.
        out : ndarray, optional
            Where to write the state, contiguous and of its shape and dtype: then nothing is
            allocated. It must not overlap x.

        Returns
        -------
        ndarray
            The state, shape (batch_size, hidden_size), or (hidden_size,) for an input without
            a batch dimension; ``out`` if it was given.

        Raises
        ------
        TypeError, ValueError
            For an input or out of the wrong dtype or shape, or an id out of range; the state is
            as before then.
        """
        cdef cnp.ndarray array
        cdef int ndim
        if cnp.PyArray_CheckExact(x):
            array = <cnp.ndarray>x
            if cnp.PyArray_TYPE(array) == self._typenum and cnp.PyArray_ISCARRAY_RO(array):
                ndim = cnp.PyArray_NDIM(array)
                if (ndim == 2 and cnp.PyArray_DIM(array, 0) == self.batch_size
                        and cnp.PyArray_DIM(array, 1) == self.input_size):
                    return self._advance(cnp.PyArray_DATA(array), NULL, 2, out)
                if (ndim == 1 and self.batch_size == 1
                        and cnp.PyArray_DIM(array, 0) == self.input_size):
                    return self._advance(cnp.PyArray_DATA(array), NULL, 1, out)
        return self._step_any(x, out)

    cdef object _step_any(self, x, out):
        """The cases that need a conversion, or end in an error."""
        cdef cnp.ndarray ids
        array = _check.as_array("x", x)
        if array.dtype.kind in "iu" and array.ndim <= 1:
            if self.batch_size == 1 and array.ndim == 0:
                token = _check.integer("x", int(array), 0, self.input_size - 1)
                ids = np.array([token], np.int64)
            else:
                _check.shape("x", array, (self.batch_size,))
                ids = _check.token_ids("x", array, self.input_size)
            return self._advance(NULL, <const int64_t *>cnp.PyArray_DATA(ids),
                                 2 if array.ndim else 1, out)
        converted = _check.floats("x", x, self._dtype)
        unbatched = self.batch_size == 1 and converted.ndim == 1
        expected = [self.batch_size, self.input_size]
        _check.shape("x", converted, tuple(expected[1:] if unbatched else expected))
        return self._advance(cnp.PyArray_DATA(converted), NULL, 1 if unbatched else 2, out)

    cdef object _advance(self, const void *x, const int64_t *ids, int ndim, out):
        """Compute the next state and return it in an array of 1 or 2 dimensions."""
        cdef cnp.npy_intp dims[2]
        cdef cnp.ndarray result
        dims[0], dims[1] = self.batch_size, self.hidden_size
        if out is None:
            result = cnp.PyArray_EMPTY(ndim, &dims[2 - ndim], self._typenum, 0)
        else:
            result = self._checked_out(out, ndim)
        if self._is_float:
            self._advance_typed(<float *>NULL, x, ids)
        else:
            self._advance_typed(<double *>NULL, x, ids)
        self._now = 1 - self._now
        memcpy(cnp.PyArray_DATA(result), self._state[self._now], self._state_bytes)
        return result

    cdef cnp.ndarray _checked_out(self, out, int ndim):
        if not isinstance(out, np.ndarray) or not out.flags.carray or out.dtype != self._dtype:
            raise TypeError(
                f"out must be a contiguous, writeable array of {self._dtype}, "
                f"got {_check.describe(out)}"
            )
        expected = [self.batch_size, self.hidden_size]
        _check.shape("out", out, tuple(expected[1:] if ndim == 1 else expected))
        return out

    cdef void _advance_typed(self, floating *tag, const void *x,
                             const int64_t *ids) noexcept:
        cdef floating *new = <floating *>self._state[1 - self._now]
        cdef const floating *old = <const floating *>self._state[self._now]
        cdef floating *z = new if self._cell == CELL_RNN else <floating *>self._projection
        cdef const floating *rows = z
        cdef uint64_t mode
        # The GIL is kept: releasing it costs more than most steps take.
        mode = fr_fpmode_flush()
        if ids == NULL:
            project(<fr_stored>self._stored, z, self._width, <const floating *>x,
                    self.input_size, <const floating *>self._ih,
                    <const floating *>self._bias_row, self._columns, self.batch_size)
        else:
            rows = <const floating *>self._token_rows
        cell_step(self._cell, <fr_nonlinearity>self._nonlinearity, <fr_stored>self._stored, new,
                  <floating *>self._c, rows, self._width, ids, old, <const floating *>self._hh,
                  self.batch_size, self.hidden_size, self._now)
        fr_fpmode_restore(mode)
