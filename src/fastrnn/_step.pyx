"""One step at a time: streams that keep the state."""

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from libc.stdint cimport int64_t, uint64_t

from fastrnn import _check, _threads
from fastrnn._cells cimport Cells
from fastrnn._dispatch cimport k_softmax
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore

cnp.import_array()

# Multiply-adds from which on a step lets other Python threads run: some 20 microseconds, beside
# which what that costs does not count.
cdef double WORTH_RELEASING = 2e6


@cython.final
cdef class Stream:
    """A layer or network fed one step at a time; see :meth:`fastrnn.RNN.stream`,
    :meth:`fastrnn.Network.stream`.

    It is for one Python thread at a time: a second one is refused while the first uses it.
    """

    cdef readonly Py_ssize_t input_size, output_size, batch_size
    cdef Cells _cells
    cdef object _dtype
    cdef tuple _names, _sizes
    cdef int _typenum
    cdef bint _is_softmax, _is_busy
    cdef cnp.ndarray _ids
    cdef const int64_t *_copied  # those of _ids
    cdef Py_ssize_t _num_tokens, _num_features

    def __init__(self, Cells cells, tuple state_names, tuple state_sizes, num_tokens=None,
                 is_softmax=False):
        """``state_sizes`` are the last dimensions of the parts of the state.

        With ``num_tokens`` it takes so many ids and no floats, else as many ids as features.
        """
        self._cells, self._dtype = cells, cells.dtype
        self._names, self._sizes = state_names, state_sizes
        self.input_size, self.output_size = cells.input_size, cells.classes
        self.batch_size, self._is_softmax = cells.capacity, is_softmax
        self._typenum = cnp.NPY_FLOAT32 if cells.is_float else cnp.NPY_FLOAT64
        self._ids = np.empty(self.batch_size, np.int64)
        self._copied = <const int64_t *>cnp.PyArray_DATA(self._ids)
        self._num_features = self.input_size if num_tokens is None else -1
        self._num_tokens = self.input_size if num_tokens is None else num_tokens

    def __reduce__(self):
        raise TypeError(
            "a Stream can be neither copied nor pickled; make another one with its layer's "
            "stream() and give it this one's state: other.reset(stream.state)"
        )

    @property
    def state(self):
        """A copy of the state, shaped as the layer's initial one: (num_layers, batch_size, size);
        of an LSTM the tuple (h, c)."""
        self._occupy()
        try:
            parts = self._cells.state()
        finally:
            self._is_busy = False
        return parts[0] if len(parts) == 1 else tuple(parts)

    def reset(self, state=None, rows=None):
        """Start afresh.

        Parameters
        ----------
        state : array_like or tuple of two, optional
            Shaped as :attr:`state`, or with only as many sequences as ``rows`` says. Zero unless
            given.
        rows : array_like, optional
            Which sequences: booleans (batch_size,), or their numbers. All unless given.

        Raises
        ------
        TypeError, ValueError
            For a state or rows of the wrong dtype or shape, or a number out of range; the state is
            as before then.
        """
        chosen = np.arange(self.batch_size) if rows is None else self._chosen(rows)
        given = _check.named_state(state, self._names)
        if given is None:
            self._set_state(0, chosen)
            return
        checked = []
        for (name, part), size in zip(given, self._sizes, strict=True):
            array = _check.floats(name, part, self._dtype)
            _check.shape(name, array, (self._cells.count, len(chosen), size))
            checked.append(array)
        self._set_state(checked, chosen)

    cdef _set_state(self, parts, rows):
        self._occupy()
        try:
            self._cells.set_state(parts, rows)
        finally:
            self._is_busy = False

    def _chosen(self, rows):
        """Return the numbers of the sequences that are meant."""
        array = _check.as_array("rows", rows)
        if array.dtype == np.bool_:
            _check.shape("rows", array, (self.batch_size,))
            return np.flatnonzero(array)
        array = _check.integers("rows", rows, "booleans or integers")
        if array.ndim != 1:
            raise TypeError(f"rows must have one dimension, got {_check.describe(array)}")
        for row in array.tolist():
            _check.integer("every row", row, 0, self.batch_size - 1)
        return array

    def step(self, x, out=None):
        """Advance by one step and return the new state, or a network's output.

        Parameters
        ----------
        x : array_like or int
            The input of this step: floats of shape (batch_size, input_size), or
            (input_size,) when batch_size is 1; or token ids: integers of shape
            (batch_size,), or one integer when batch_size is 1.
        out : ndarray, optional
            Where to write what is returned, contiguous and of its shape and dtype: then nothing
            is allocated. It must not overlap x.

        Returns
        -------
        ndarray
            The last layer's state or the network's output, shape (batch_size, output_size), or
            (output_size,) for an input without a batch dimension; ``out`` if it was given.

        Raises
        ------
        TypeError, ValueError
            For an input or out of the wrong dtype or shape, or an id out of range; the state is
            as before then.
        RuntimeError
            If another Python thread is using this stream.
        """
        cdef cnp.ndarray array
        cdef int ndim, overflow = 0
        cdef int64_t token
        result = None
        if cnp.PyArray_CheckExact(x):
            array = <cnp.ndarray>x
            if cnp.PyArray_TYPE(array) == self._typenum and cnp.PyArray_ISCARRAY_RO(array):
                ndim = cnp.PyArray_NDIM(array)
                if (ndim == 2 and cnp.PyArray_DIM(array, 0) == self.batch_size
                        and cnp.PyArray_DIM(array, 1) == self._num_features):
                    return self._advance(cnp.PyArray_DATA(array), NULL, 2, out)
                if (ndim == 1 and self.batch_size == 1
                        and cnp.PyArray_DIM(array, 0) == self._num_features):
                    return self._advance(cnp.PyArray_DATA(array), NULL, 1, out)
            if (cnp.PyArray_TYPE(array) == cnp.NPY_INT64 and cnp.PyArray_ISCARRAY_RO(array)
                    and cnp.PyArray_NDIM(array) == 1
                    and cnp.PyArray_DIM(array, 0) == self.batch_size):
                result = self._advance(NULL, <const int64_t *>cnp.PyArray_DATA(array), 2, out)
        elif PyLong_CheckExact(x) and self.batch_size == 1:
            token = PyLong_AsLongLongAndOverflow(x, &overflow)
            if not overflow:
                result = self._advance(NULL, &token, 1, out)
        return self._step_any(x, out) if result is None else result

    cdef object _step_any(self, x, out):
        """The cases that need a conversion, or end in an error."""
        cdef cnp.ndarray ids
        if type(x) is int and self.batch_size == 1:
            _check.integer("x", x, 0, self._num_tokens - 1)
        array = _check.as_array("x", x)
        if array.dtype.kind in "iu" and array.ndim <= 1:
            if self.batch_size == 1 and array.ndim == 0:
                token = _check.integer("x", int(array), 0, self._num_tokens - 1)
                ids = np.array([token], np.int64)
            else:
                _check.shape("x", array, (self.batch_size,))
                ids = _check.token_ids("x", array, self._num_tokens)
            return self._advance(NULL, <const int64_t *>cnp.PyArray_DATA(ids),
                                 2 if array.ndim else 1, out)
        if self._num_features < 0:
            raise TypeError(f"x must be token ids, integers, got {_check.describe(x)}")
        converted = _check.floats("x", x, self._dtype)
        unbatched = self.batch_size == 1 and converted.ndim <= 1
        expected = [self.batch_size, self.input_size]
        _check.shape("x", converted, tuple(expected[1:] if unbatched else expected))
        return self._advance(cnp.PyArray_DATA(converted), NULL, 1 if unbatched else 2, out)

    cdef object _advance(self, const void *x, const int64_t *ids, int ndim, out):
        """Compute the next state and return it in an array of 1 or 2 dimensions.

        Or None if an id is out of range, and nothing has changed.
        """
        cdef cnp.npy_intp dims[2]
        cdef cnp.ndarray result
        cdef uint64_t mode
        dims[0], dims[1] = self.batch_size, self.output_size
        if out is None:
            result = cnp.PyArray_EMPTY(ndim, &dims[2 - ndim], self._typenum, 0)
        else:
            result = self._checked_out(out, ndim)
        if self.batch_size * <double>self._cells.work >= WORTH_RELEASING:
            if not self._advance_together(cnp.PyArray_DATA(result), x, ids):
                return None
        else:  # releasing the GIL would cost more than the step takes
            if not self._began(ids):
                return None
            mode = fr_fpmode_flush()
            self._cells.advance(cnp.PyArray_DATA(result), x, self._own(ids), 1)
            fr_fpmode_restore(mode)
            self._is_busy = False
        if self._is_softmax and self._typenum == cnp.NPY_FLOAT32:
            k_softmax(<float *>cnp.PyArray_DATA(result), self.batch_size, self.output_size)
        elif self._is_softmax:
            k_softmax(<double *>cnp.PyArray_DATA(result), self.batch_size, self.output_size)
        return result

    cdef bint _advance_together(self, void *out, const void *x, const int64_t *ids) except -1:
        """Compute a long step without the GIL, its sequences shared by threads."""
        cdef int threads
        cdef uint64_t mode
        with _threads.call:
            threads = self._cells.threads(self._cells.work, self.batch_size)
            if not self._began(ids):
                return False
            with nogil:
                mode = fr_fpmode_flush()
                self._cells.advance(out, x, self._own(ids), threads)
                fr_fpmode_restore(mode)
            self._is_busy = False
        return True

    cdef bint _began(self, const int64_t *ids) except -1:
        """Keep others out and copy ids, if there are any; whether these are in range.

        Between this and the end of a step, what holds the GIL runs no Python code, which another
        thread or a signal's handler could use for a step of its own.
        """
        cdef int64_t *own = <int64_t *>cnp.PyArray_DATA(self._ids)
        cdef Py_ssize_t i
        self._occupy()
        if ids != NULL:
            for i in range(self.batch_size):
                own[i] = ids[i]
                if not 0 <= own[i] < self._num_tokens:
                    self._is_busy = False
                    return False
        return True

    cdef const int64_t *_own(self, const int64_t *ids) noexcept nogil:
        return NULL if ids == NULL else self._copied

    cdef int _occupy(self) except -1:
        if self._is_busy:
            raise RuntimeError("another thread is using this stream; give each its own")
        self._is_busy = True
        return 0

    cdef cnp.ndarray _checked_out(self, out, int ndim):
        if (cnp.PyArray_CheckExact(out) and cnp.PyArray_TYPE(out) == self._typenum
                and cnp.PyArray_ISCARRAY(out) and cnp.PyArray_NDIM(out) == ndim
                and cnp.PyArray_DIM(out, ndim - 1) == self.output_size
                and (ndim == 1 or cnp.PyArray_DIM(out, 0) == self.batch_size)):
            return out
        if not isinstance(out, np.ndarray) or not out.flags.carray or out.dtype != self._dtype:
            raise TypeError(
                f"out must be a contiguous, writeable array of {self._dtype}, "
                f"got {_check.describe(out)}"
            )
        expected = [self.batch_size, self.output_size]
        _check.shape("out", out, tuple(expected[1:] if ndim == 1 else expected))
        return out
