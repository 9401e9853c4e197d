"""Loops over time of cells that are composed of more than one product and the cell itself.

A step is made of: what the recurrent weights are multiplied with (the state, or that with a mask);
the product, normalised if the layer is; the cell, given its whole pre-activations; and of cells
whose state is projected, the projection. Rows lie as in _forward.pyx; threads share sequences.
"""

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from fastrnn._arrays cimport read
from fastrnn._dispatch cimport (
    Cell,
    cell_backward,
    cell_forward,
    k_activate,
    k_gemm,
    k_normalise,
    k_normalise_back,
    project,
)
from fastrnn._kernels cimport (
    FR_RELU,
    FR_SIGMOID,
    FR_STORED_REAL,
    FR_TANH,
    fr_fpmode_flush,
    fr_fpmode_restore,
    fr_nonlinearity,
)
from fastrnn._rows cimport (
    first_row,
    row_before,
    rows_of,
    sequence_at,
    sequences,
    work_of,
)
from fastrnn._team cimport run_parts

# As the enum in _composed.pxd has them.
NAMES = (
    "states",
    "inner",
    "c",
    "gates",
    "passed",
    "normal_ih",
    "spread_ih",
    "normal_hh",
    "spread_hh",
    "normal_c",
    "spread_c",
    "row",
    "product",
    "dz",
    "dz_hh",
    "dy",
    "d_inner",
    "d_normal_c",
    "carry",
    "x",
    "ids",
    "packed_ih",
    "bias",
    "token_rows",
    "packed_hh",
    "mask",
    "packed_out",
    "bias_out",
    "gain_ih",
    "gain_hh",
    "gain_c",
    "bias_c",
    "grad_output",
    "grad_last",
)

cdef inline floating *at(const Args *a, int name, Py_ssize_t row, Py_ssize_t size,
                         floating *tag) noexcept nogil:
    """Row ``row`` of a buffer whose rows have ``size`` numbers, or NULL; tag gives its type."""
    return NULL if a.buffers[name] == NULL else &(<floating *>a.buffers[name])[row * size]


cdef void project_input(const Args *a, floating *row, Py_ssize_t r, Py_ssize_t k,
                        Py_ssize_t count) noexcept nogil:
    """row (count, width) from the input's rows from r on; norms are kept from row k on."""
    cdef Py_ssize_t i, j, width = a.width, columns = a.columns
    cdef const floating *bias = <const floating *>a.buffers[BIAS]
    cdef const floating *gain = <const floating *>a.buffers[GAIN_IH]
    cdef const floating *normal
    cdef const int64_t *ids = <const int64_t *>a.buffers[IDS]
    if ids != NULL:
        for i in range(count):
            memcpy(&row[i * width], at(a, TOKEN_ROWS, ids[r + i], width, row),
                   width * sizeof(floating))
        return
    if gain == NULL:
        project(FR_STORED_REAL, row, width, <const floating *>at(a, X, r, a.inputs, row), a.inputs,
                <const floating *>a.buffers[PACKED_IH], bias, columns, count)
        return
    k_gemm(row, width, <const floating *>at(a, X, r, a.inputs, row), a.inputs,
           <const floating *>a.buffers[PACKED_IH], <const floating *>NULL, count, columns, a.inputs)
    k_normalise(at(a, NORMAL_IH, k, columns, row), at(a, SPREAD_IH, k, 1, row),
                <const floating *>row, width, count, columns)
    for i in range(count):
        normal = at(a, NORMAL_IH, k + i, columns, row)
        for j in range(columns):
            row[i * width + j] = gain[j] * normal[j] + bias[j]
        for j in range(columns, width):
            row[i * width + j] = bias[j]


cdef void add_recurrence(const Args *a, floating *row, Py_ssize_t r, Py_ssize_t prev,
                         Py_ssize_t b, Py_ssize_t count) noexcept nogil:
    """row += what the states before, from row ``prev`` on, give by way of mask and norm."""
    cdef Py_ssize_t i, j, size = a.recurrent, columns = a.columns, first = a.width - columns
    cdef const floating *state = at(a, STATES, prev, size, row)
    cdef const floating *mask = at(a, MASK, b, size, row)
    cdef const floating *gain = <const floating *>a.buffers[GAIN_HH]
    cdef floating *passed = at(a, PASSED, r, size, row)
    cdef floating *product = at(a, PRODUCT, b, columns, row)
    if mask == NULL:
        memcpy(passed, state, count * size * sizeof(floating))
    else:
        for i in range(count * size):
            passed[i] = state[i] * mask[i]
    k_gemm(product, columns, <const floating *>passed, size, <const floating *>a.buffers[PACKED_HH],
           <const floating *>NULL, count, columns, size)
    if gain != NULL:
        k_normalise(at(a, NORMAL_HH, r, columns, row), at(a, SPREAD_HH, r, 1, row),
                    <const floating *>product, columns, count, columns)
        product = at(a, NORMAL_HH, r, columns, row)
    for i in range(count):
        for j in range(columns):
            row[i * a.width + first + j] += product[i * columns + j] * (gain[j] if gain != NULL
                                                                        else 1)


cdef void show_normal_c(const Args *a, floating *h, Py_ssize_t r, Py_ssize_t new,
                        Py_ssize_t count) noexcept nogil:
    """h = o * tanh(gain * normalised c + bias): what an LSTM with layer normalisation shows."""
    cdef Py_ssize_t i, j, hidden = a.hidden
    cdef const floating *gain = <const floating *>a.buffers[GAIN_C]
    cdef const floating *bias = <const floating *>a.buffers[BIAS_C]
    cdef const floating *normal = at(a, NORMAL_C, r, hidden, h)
    cdef const floating *o
    k_normalise(at(a, NORMAL_C, r, hidden, h), at(a, SPREAD_C, r, 1, h),
                <const floating *>at(a, C, new, hidden, h), hidden, count, hidden)
    for i in range(count):
        for j in range(hidden):
            h[i * hidden + j] = gain[j] * normal[i * hidden + j] + bias[j]
    k_activate(h, count * hidden, FR_TANH)
    for i in range(count):
        o = at(a, GATES, r + i, a.width, h) + 3 * hidden
        for j in range(hidden):
            h[i * hidden + j] *= o[j]


cdef void forward_step(const Args *a, floating *tag, Py_ssize_t s, Py_ssize_t b0,
                       Py_ssize_t b1) noexcept nogil:
    cdef Py_ssize_t hidden = a.hidden, count = b1 - b0
    cdef Py_ssize_t r = first_row(&a.rows, s) + b0, prev = row_before(&a.rows, s) + b0
    cdef Py_ssize_t new = a.rows.batch + r, k = r if a.kept else b0
    cdef Py_ssize_t c_prev = prev if a.kept else b0, c_new = new if a.kept else b0
    cdef floating *row = at(a, ROW, b0, a.width, tag)
    cdef floating *state = at(a, STATES, new, a.recurrent, tag)
    cdef floating *h = state if a.buffers[INNER] == NULL else at(a, INNER, k, hidden, tag)
    project_input(a, row, r, k, count)
    add_recurrence(a, row, k, prev, b0, count)
    cell_forward(a.cell, a.nonlinearity, h, at(a, C, c_new, hidden, tag),
                 at(a, GATES, k, a.width, tag),
                 <const floating *>row, a.width, NULL, <const floating *>NULL,
                 <const floating *>NULL, 0, <const floating *>at(a, STATES, prev, hidden, tag),
                 <const floating *>at(a, C, c_prev, hidden, tag), <const floating *>NULL, count,
                 hidden, 0, hidden, False)
    if a.buffers[GAIN_C] != NULL:
        show_normal_c(a, h, k, c_new, count)
    if a.buffers[INNER] != NULL:
        k_gemm(state, a.recurrent, <const floating *>h, hidden,
               <const floating *>a.buffers[PACKED_OUT],
               <const floating *>a.buffers[BIAS_OUT], count, a.recurrent, hidden)
        k_activate(state, count * a.recurrent, a.output)


cdef void forward_rows(const Args *a, floating *tag, Py_ssize_t b0, Py_ssize_t b1) noexcept nogil:
    cdef Py_ssize_t s = a.t0
    while s < a.t1 and sequences(&a.rows, s) > b0:
        forward_step(a, tag, s, b0, min(b1, sequences(&a.rows, s)))
        s += 1


cdef void forward_part(const void *args, Py_ssize_t part, Py_ssize_t start,
                       Py_ssize_t stop) noexcept nogil:
    cdef const Args *a = <const Args *>args
    cdef Py_ssize_t b0 = sequence_at(&a.rows, start), b1 = sequence_at(&a.rows, stop)
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        forward_rows(a, <float *>NULL, b0, b1)
    else:
        forward_rows(a, <double *>NULL, b0, b1)
    fr_fpmode_restore(mode)


cdef void reach_states(const Args *a, floating *dy, Py_ssize_t t, Py_ssize_t b0, Py_ssize_t count,
                       bint ends) noexcept nogil:
    """dy (count, R): what reaches the fed back states of step t, through the output's slope."""
    cdef Py_ssize_t i, size = a.recurrent, r = first_row(&a.rows, t) + b0, next_row
    cdef const floating *outside = at(a, GRAD_LAST, b0, size, dy)
    cdef const floating *mask = at(a, MASK, b0, size, dy)
    cdef const floating *y = at(a, STATES, a.rows.batch + r, size, dy)
    if not ends:
        outside = at(a, GRAD_OUTPUT, r, size, dy)
        next_row = first_row(&a.rows, t + 1) + b0
        if a.buffers[DZ_HH] != NULL:
            k_gemm(dy, size, <const floating *>at(a, DZ_HH, next_row, a.columns, dy), a.columns,
                   <const floating *>a.buffers[PACKED_HH], <const floating *>NULL, count, size,
                   a.columns)
        else:
            k_gemm(dy, size,
                   <const floating *>at(a, DZ, next_row, a.width, dy) + a.width - a.columns,
                   a.width, <const floating *>a.buffers[PACKED_HH], <const floating *>NULL, count,
                   size, a.columns)
        if mask != NULL:
            for i in range(count * size):
                dy[i] *= mask[i]
    else:
        memset(dy, 0, count * size * sizeof(floating))
    if outside != NULL:
        for i in range(count * size):
            dy[i] += outside[i]
    if a.output == FR_TANH:
        for i in range(count * size):
            dy[i] *= 1 - y[i] * y[i]
    elif a.output == FR_SIGMOID:
        for i in range(count * size):
            dy[i] *= y[i] * (1 - y[i])
    elif a.output == FR_RELU:
        for i in range(count * size):
            dy[i] = dy[i] if y[i] > 0 else 0


cdef void pass_normal_c(const Args *a, floating *dh, Py_ssize_t r, Py_ssize_t b0,
                        Py_ssize_t count) noexcept nogil:
    """Move what reaches h on to carry, by way of the normalised c; dh becomes the rest: dz of o.

    d_normal_c keeps the gradient of gain * normalised c + bias.
    """
    cdef Py_ssize_t i, j, k, hidden = a.hidden
    cdef const floating *gain = <const floating *>a.buffers[GAIN_C]
    cdef const floating *bias = <const floating *>a.buffers[BIAS_C]
    cdef const floating *normal = at(a, NORMAL_C, r, hidden, dh)
    cdef floating *d = at(a, D_NORMAL_C, r, hidden, dh)
    cdef floating *shown = at(a, ROW, b0, a.width, dh)
    cdef floating *carry = at(a, CARRY, b0, hidden, dh)
    cdef const floating *o
    cdef floating value
    for i in range(count):
        for j in range(hidden):
            shown[i * hidden + j] = gain[j] * normal[i * hidden + j] + bias[j]
    k_activate(shown, count * hidden, FR_TANH)
    for i in range(count):
        o = at(a, GATES, r + i, a.width, dh) + 3 * hidden
        for j in range(hidden):
            k = i * hidden + j
            value = dh[k]
            d[k] = value * o[j] * (1 - shown[k] * shown[k])
            dh[k] = value * shown[k] * o[j] * (1 - o[j])
    k_normalise_back(shown, normal, <const floating *>at(a, SPREAD_C, r, 1, dh),
                     <const floating *>d, hidden, gain, count, hidden)
    for i in range(count * hidden):
        carry[i] += shown[i]


cdef void backward_step(const Args *a, floating *tag, Py_ssize_t t, Py_ssize_t b0,
                        Py_ssize_t b1, bint ends) noexcept nogil:
    cdef Py_ssize_t i, j, hidden = a.hidden, count = b1 - b0, width = a.width
    cdef Py_ssize_t r = first_row(&a.rows, t) + b0, prev = row_before(&a.rows, t) + b0
    cdef Py_ssize_t new = a.rows.batch + r
    cdef floating *dy = at(a, DY, r, a.recurrent, tag)
    cdef floating *dh = dy
    cdef floating *dz = at(a, DZ, r, width, tag)
    cdef const floating *h = at(a, STATES, new, hidden, tag)
    reach_states(a, dy, t, b0, count, ends)
    if a.buffers[INNER] != NULL:
        dh, h = at(a, D_INNER, b0, hidden, tag), at(a, INNER, r, hidden, tag)
        k_gemm(dh, hidden, <const floating *>dy, a.recurrent,
               <const floating *>a.buffers[PACKED_OUT],
               <const floating *>NULL, count, hidden, a.recurrent)
    if a.buffers[GAIN_C] != NULL:
        pass_normal_c(a, dh, r, b0, count)
    cell_backward(a.cell, a.nonlinearity, dz, at(a, CARRY, b0, hidden, tag),
                  <const floating *>at(a, GATES, r, width, tag), h,
                  <const floating *>at(a, STATES, prev, hidden, tag),
                  <const floating *>at(a, C, new, hidden, tag),
                  <const floating *>at(a, C, prev, hidden, tag),
                  <const floating *>NULL if a.buffers[GAIN_C] != NULL else <const floating *>dh,
                  <const floating *>NULL, <const floating *>NULL, count, hidden, 0, hidden)
    if a.buffers[GAIN_C] != NULL:
        for i in range(count):
            for j in range(hidden):
                dz[i * width + 3 * hidden + j] = dh[i * hidden + j]
    if a.buffers[DZ_HH] != NULL:
        k_normalise_back(at(a, DZ_HH, r, a.columns, tag),
                         <const floating *>at(a, NORMAL_HH, r, a.columns, tag),
                         <const floating *>at(a, SPREAD_HH, r, 1, tag),
                         <const floating *>dz + width - a.columns, width,
                         <const floating *>a.buffers[GAIN_HH], count, a.columns)


cdef void backward_rows(const Args *a, floating *tag, Py_ssize_t b0,
                        Py_ssize_t b1) noexcept nogil:
    cdef Py_ssize_t t = a.t1 - 1, stop, going_on
    while t >= a.t0:
        stop = min(b1, sequences(&a.rows, t))
        going_on = 0 if t == a.steps - 1 else min(stop, sequences(&a.rows, t + 1))
        if b0 < going_on:
            backward_step(a, tag, t, b0, going_on, False)
        if max(b0, going_on) < stop:
            backward_step(a, tag, t, max(b0, going_on), stop, True)
        t -= 1


cdef void backward_part(const void *args, Py_ssize_t part, Py_ssize_t start,
                        Py_ssize_t stop) noexcept nogil:
    cdef const Args *a = <const Args *>args
    cdef Py_ssize_t b0 = sequence_at(&a.rows, start), b1 = sequence_at(&a.rows, stop)
    cdef uint64_t mode = fr_fpmode_flush()
    if a.single:
        backward_rows(a, <float *>NULL, b0, b1)
    else:
        backward_rows(a, <double *>NULL, b0, b1)
    fr_fpmode_restore(mode)


cdef class Loop:
    """The buffers of one call, and its loops forward and back.

    Buffers are given by name, float arrays of one dtype and C-contiguous. The layer makes sure that
    they have the shapes that `layers/composed.py` gives them.
    """

    def __cinit__(self, bint single, int cell, int nonlinearity, int output, Py_ssize_t batch,
                  cnp.ndarray starts, cnp.ndarray before, Py_ssize_t steps,
                  Py_ssize_t hidden, Py_ssize_t recurrent, Py_ssize_t inputs, Py_ssize_t width,
                  Py_ssize_t columns, bint kept):
        memset(&self.args, 0, sizeof(self.args))
        self._owned = {"starts": starts, "before": before}
        self.args.single, self.args.kept = single, kept
        self.args.cell, self.args.nonlinearity = <Cell>cell, <fr_nonlinearity>nonlinearity
        self.args.output = <fr_nonlinearity>output
        self.args.rows = rows_of(batch, starts, before)
        self.args.steps, self.args.hidden, self.args.recurrent = steps, hidden, recurrent
        self.args.inputs, self.args.width, self.args.columns = inputs, width, columns

    def take(self, **arrays):
        """Take buffers by name; those that are None are absent."""
        cdef cnp.ndarray array
        cdef int floats = cnp.NPY_FLOAT32 if self.args.single else cnp.NPY_FLOAT64
        for name, array in arrays.items():
            self.args.buffers[NAMES.index(name)] = NULL if array is None else <void *>read(
                array, cnp.NPY_INT64 if name == "ids" else floats, array.ndim)
            self._owned[name] = array

    def forward(self, Py_ssize_t t0, Py_ssize_t t1, int threads):
        """Run steps t0 to t1."""
        self.args.t0, self.args.t1 = t0, t1
        with nogil:
            run_parts(forward_part, &self.args, work_of(&self.args.rows), threads)

    def backward(self, Py_ssize_t t0, Py_ssize_t t1, int threads):
        """Run steps t1 - 1 down to t0."""
        self.args.t0, self.args.t1 = t0, t1
        with nogil:
            run_parts(backward_part, &self.args, work_of(&self.args.rows), threads)

    cdef void step(self, const void *x, const void *ids, Py_ssize_t rows) noexcept nogil:
        """One step of the first ``rows`` sequences, whose states stay where the initial ones are.

        The loop is of a single step.
        """
        cdef Args *a = &self.args
        cdef Py_ssize_t item = sizeof(float) if a.single else sizeof(double)
        a.buffers[X], a.buffers[IDS] = <void *>x, <void *>ids
        if a.single:
            forward_step(a, <float *>NULL, 0, 0, rows)
        else:
            forward_step(a, <double *>NULL, 0, 0, rows)
        keep(<char *>a.buffers[STATES], a.rows.batch, rows * a.recurrent * item,
             a.recurrent * item)
        if a.buffers[C] != NULL:
            keep(<char *>a.buffers[C], a.rows.batch, rows * a.hidden * item, a.hidden * item)


cdef inline void keep(char *states, Py_ssize_t batch, Py_ssize_t size,
                      Py_ssize_t row) noexcept nogil:
    memcpy(states, states + batch * row, size)
