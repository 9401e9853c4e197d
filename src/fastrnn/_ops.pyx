"""Single kernels as Python calls on checked, contiguous arrays: packing, products, softmax. The GIL
is released in each.
"""

import numpy as np

cimport cython
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from fastrnn._arrays cimport kind, read
from fastrnn._dispatch cimport (
    k_add_transposed,
    k_column_sums,
    k_cross_entropy,
    k_cross_entropy_grad,
    k_dropout,
    k_gemm_stored,
    k_gemm_tn,
    k_normalise,
    k_normalise_back,
    k_scatter_rows,
    k_softmax,
)
from fastrnn._kernels cimport fr_fpmode_flush, fr_fpmode_restore, fr_nonlinearity, fr_stored
from fastrnn._team cimport STRIPE, run_parts, stripes
from fastrnn.cpu cimport table

cnp.import_array()

NONLINEARITIES = {"linear": 0, "tanh": 1, "relu": 2, "sigmoid": 3}

# What the weights of a step may be stored as: fr_stored by name.
WEIGHTS = {"float32": 0, "bfloat16": 1, "int8": 2}

# A cache line, and the width of the widest vector.
cdef Py_ssize_t ALIGNMENT = 64


# Memory of arrays of at least SMALLEST_KEPT bytes is kept for the next of the same size, up to
# MOST_KEPT bytes and MOST_ARRAYS in all, the latest first to be found: what the system is asked for
# anew it clears page by page, which took half of a small training step (docs/decisions.md).
cdef Py_ssize_t SMALLEST_KEPT = 1 << 16
cdef Py_ssize_t MOST_KEPT = 1 << 26
cdef Py_ssize_t MOST_ARRAYS = 64
cdef list kept = []
cdef Py_ssize_t kept_bytes = 0


@cython.no_gc
cdef class Loan:
    """Gives its memory back when the last array that uses it is gone."""

    cdef cnp.ndarray memory

    def __dealloc__(self):
        global kept_bytes
        # There is no memory if there was none to be had, and no list at the interpreter's end.
        if self.memory is None or kept is None or self.memory.nbytes > MOST_KEPT:
            return
        kept.append(self.memory)
        kept_bytes += self.memory.nbytes
        while kept_bytes > MOST_KEPT or len(kept) > MOST_ARRAYS:
            kept_bytes -= (<cnp.ndarray>kept.pop(0)).nbytes


cdef object borrow(cnp.npy_intp size):
    """Return what keeps ``size`` bytes of memory alive: an array of bytes, or its loan."""
    global kept_bytes
    cdef Loan loan
    cdef Py_ssize_t i
    if size < SMALLEST_KEPT:
        return cnp.PyArray_EMPTY(1, &size, cnp.NPY_UINT8, 0)
    loan = Loan.__new__(Loan)
    for i in range(len(kept) - 1, -1, -1):
        if (<cnp.ndarray>kept[i]).nbytes == size:
            loan.memory = kept.pop(i)
            kept_bytes -= size
            return loan
    loan.memory = cnp.PyArray_EMPTY(1, &size, cnp.NPY_UINT8, 0)
    return loan


def empty(shape, dtype):
    """Return an uninitialised C-contiguous array that starts on a cache line.

    ``shape`` is an integer or a tuple of up to four; ``dtype`` is float32 or float64.
    """
    cdef tuple lengths = shape if isinstance(shape, tuple) else (shape,)
    cdef int ndim = <int>len(lengths), i
    cdef cnp.npy_intp dims[4]
    cdef int number = (dtype if isinstance(dtype, cnp.dtype) else np.dtype(dtype)).num
    if ndim > 4 or number not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
        raise ValueError(f"empty takes up to four dimensions of floats, got {shape} of {dtype}")
    for i in range(ndim):
        dims[i] = lengths[i]
    return aligned(ndim, dims, number)


cdef cnp.ndarray vector(cnp.npy_intp size, int number):
    return aligned(1, &size, number)


cdef cnp.ndarray aligned(int ndim, cnp.npy_intp *dims, int number):
    cdef cnp.npy_intp count = 1
    cdef int i
    for i in range(ndim):
        count *= dims[i]
    owner = borrow(count * (4 if number == cnp.NPY_FLOAT32 else 8) + ALIGNMENT)
    memory = (<Loan>owner).memory if isinstance(owner, Loan) else owner
    cdef size_t start = <size_t>cnp.PyArray_DATA(memory)
    start += <size_t>(-start) % <size_t>ALIGNMENT
    array = cnp.PyArray_SimpleNewFromData(ndim, dims, number, <void *>start)
    cnp.set_array_base(array, owner)
    return array


def unit_blocks(Py_ssize_t hidden, dtype):
    """Return how many blocks of units a recurrent matrix is packed in."""
    cdef bint single = np.dtype(dtype) == np.float32
    cdef Py_ssize_t size = table.f32.unit_block() if single else table.f64.unit_block()
    return (hidden + size - 1) // size


def pack(cnp.ndarray matrix not None):
    """Return matrix (K, N), its rows or its columns contiguous, packed for ``gemm``."""
    cdef int number = kind(matrix)
    cdef Py_ssize_t item = cnp.PyArray_ITEMSIZE(matrix), k, n, row_stride, column_stride
    if matrix.ndim != 2 or (matrix.strides[0] != item and matrix.strides[1] != item):
        raise ValueError("pack takes a matrix whose rows or columns are contiguous")
    k, n = matrix.shape[0], matrix.shape[1]
    row_stride, column_stride = matrix.strides[0] // item, matrix.strides[1] // item
    cdef const void *start = cnp.PyArray_DATA(matrix)
    cdef bint single = number == cnp.NPY_FLOAT32
    cdef Py_ssize_t size = table.f32.pack_size(k, n) if single else table.f64.pack_size(k, n)
    cdef cnp.ndarray packed = vector(size, number)
    cdef void *to = cnp.PyArray_DATA(packed)
    with nogil:
        if single:
            table.f32.pack(<float *>to, k, <const float *>start, row_stride, column_stride, k, n)
        else:
            table.f64.pack(<double *>to, k, <const double *>start, row_stride, column_stride, k, n)
    return packed


def pack_gates(cnp.ndarray weight not None, Py_ssize_t gates):
    """Return weight (G * H, K) packed for the forward steps of cells."""
    cdef int number = kind(weight)
    cdef const void *start = read(weight, number, 2)
    cdef bint single = number == cnp.NPY_FLOAT32
    cdef Py_ssize_t hidden = weight.shape[0] // gates, k = weight.shape[1]
    cdef Py_ssize_t size = (table.f32.pack_gates_size(gates, hidden, k) if single else
                            table.f64.pack_gates_size(gates, hidden, k))
    cdef cnp.ndarray packed = vector(size, number)
    cdef void *to = cnp.PyArray_DATA(packed)
    with nogil:
        if single:
            table.f32.pack_gates(<float *>to, <const float *>start, gates, hidden, k)
        else:
            table.f64.pack_gates(<double *>to, <const double *>start, gates, hidden, k)
    return packed


cdef void add_row(floating *rows, const floating *weight, const floating *bias, Py_ssize_t count,
                  Py_ssize_t columns, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t v
    k_add_transposed(rows, width, <floating *>bias, 0, weight, count, count, columns)
    for v in range(count if columns < width else 0):
        memcpy(&rows[v * width + columns], &bias[columns], (width - columns) * sizeof(floating))


def token_rows(cnp.ndarray weight not None, cnp.ndarray bias not None):
    """Return bias (N,) for each column of weight (M, V), added to its first M: (V, N)."""
    cdef int number = kind(weight)
    cdef const void *start = read(weight, number, 2)
    cdef const void *row = read(bias, number, 1)
    cdef Py_ssize_t columns = weight.shape[0], count = weight.shape[1], width = bias.shape[0]
    cdef cnp.ndarray rows = empty((count, width), weight.dtype)
    cdef void *to = cnp.PyArray_DATA(rows)
    with nogil:
        if number == cnp.NPY_FLOAT32:
            add_row(<float *>to, <const float *>start, <const float *>row, count, columns, width)
        else:
            add_row(<double *>to, <const double *>start, <const double *>row, count, columns,
                    width)
    return rows


def pack_small(const float[:, ::1] weight, Py_ssize_t gates, int stored):
    """Return weight (G * H, K) packed for steps in fewer bits, as bytes that pass for float32."""
    cdef Py_ssize_t hidden = weight.shape[0] // gates, k = weight.shape[1]
    cdef Py_ssize_t size = table.f32.small_size(gates, hidden, k, <fr_stored>stored)
    cdef cnp.ndarray packed = empty((size + 3) // 4, np.float32)
    cdef float *start = <float *>cnp.PyArray_DATA(packed)
    with nogil:
        table.f32.pack_small(start, &weight[0, 0], gates, hidden, k, <fr_stored>stored)
    return packed


cdef struct ProductArgs:
    bint single
    fr_stored stored
    void *c
    const void *a
    const void *factor
    const void *bias
    Py_ssize_t ldc, lda, ldb, m, n, k


cdef void product_part(const void *args, Py_ssize_t part, Py_ssize_t r0,
                       Py_ssize_t r1) noexcept nogil:
    cdef const ProductArgs *p = <const ProductArgs *>args
    cdef uint64_t mode = fr_fpmode_flush()
    if p.single:
        k_gemm_stored(p.stored, &(<float *>p.c)[r0 * p.ldc], p.ldc,
                      &(<const float *>p.a)[r0 * p.lda], p.lda, <const float *>p.factor,
                      <const float *>p.bias, r1 - r0, p.n, p.k)
    else:
        k_gemm_stored(p.stored, &(<double *>p.c)[r0 * p.ldc], p.ldc,
                      &(<const double *>p.a)[r0 * p.lda], p.lda, <const double *>p.factor,
                      <const double *>p.bias, r1 - r0, p.n, p.k)
    fr_fpmode_restore(mode)


def gemm(floating[:, ::1] c, const floating[:, :] a, const floating[::1] packed,
         const floating[::1] bias, Py_ssize_t r0, Py_ssize_t r1, int threads,
         int stored=0):
    """c[r0:r1] = a[r0:r1] @ packed + bias; bias may be None. The columns of a are contiguous.

    ``packed`` is of ``pack``, or of ``pack_small`` if it is stored smaller.
    """
    cdef ProductArgs p
    if r0 >= r1:
        return
    p.single, p.stored = floating is float, <fr_stored>stored
    p.ldc, p.lda = c.shape[1], a.strides[0] // <Py_ssize_t>sizeof(floating)
    p.n, p.k = c.shape[1], a.shape[1]
    p.c, p.a, p.factor = &c[r0, 0], &a[r0, 0], &packed[0]
    p.bias = NULL if bias is None else &bias[0]
    with nogil:
        run_parts(product_part, &p, r1 - r0, threads)


cdef void product_tn_part(const void *args, Py_ssize_t part, Py_ssize_t first,
                          Py_ssize_t last) noexcept nogil:
    cdef const ProductArgs *p = <const ProductArgs *>args
    cdef Py_ssize_t m0 = first * STRIPE, m1 = min(last * STRIPE, p.m)
    cdef uint64_t mode = fr_fpmode_flush()
    if p.single:
        k_gemm_tn(&(<float *>p.c)[m0 * p.ldc], p.ldc, &(<const float *>p.a)[m0], p.lda, 0,
                  <const float *>p.factor, p.ldb, 0, m1 - m0, p.n, p.k, p.k)
    else:
        k_gemm_tn(&(<double *>p.c)[m0 * p.ldc], p.ldc, &(<const double *>p.a)[m0], p.lda, 0,
                  <const double *>p.factor, p.ldb, 0, m1 - m0, p.n, p.k, p.k)
    fr_fpmode_restore(mode)


def gemm_tn(floating[:, ::1] c, const floating[:, ::1] a, const floating[:, ::1] b, int threads):
    """c += a^T @ b."""
    cdef ProductArgs p
    if a.shape[0] == 0:
        return
    p.single = floating is float
    p.ldc, p.lda, p.ldb = c.shape[1], a.shape[1], b.shape[1]
    p.m, p.n, p.k = a.shape[1], b.shape[1], a.shape[0]
    p.c, p.a, p.factor = &c[0, 0], &a[0, 0], &b[0, 0]
    with nogil:
        run_parts(product_tn_part, &p, stripes(p.m), threads)


def are_ids(cnp.ndarray ids not None, int64_t size):
    """Whether all of the numbers, int64 and C-contiguous, are from 0 to size - 1."""
    cdef const uint64_t *values = <const uint64_t *>read(ids, cnp.NPY_INT64, ids.ndim)
    cdef uint64_t signs = 0, largest = <uint64_t>(size - 1)
    cdef Py_ssize_t i, count = cnp.PyArray_SIZE(ids)
    with nogil:
        # Without a comparison: of 64 bits, the vectors of plain x86-64 have none.
        for i in range(count):
            signs |= values[i] | (largest - values[i])
    return signs >> 63 == 0


def column_sums(floating[::1] sums, const floating[:, ::1] a):
    """sums += a.sum(axis=0), row after row."""
    with nogil:
        k_column_sums(&sums[0], &a[0, 0], a.shape[1], a.shape[0], a.shape[1])


def dropout(floating[:, ::1] out, const floating[:, ::1] x, uint64_t seed, int32_t threshold):
    """out = x with threshold / 65536 of it dropped, the rest scaled up; out may be x."""
    with nogil:
        k_dropout(&out[0, 0], &x[0, 0], seed, 0, x.shape[0], x.shape[1], threshold)


def scatter_rows(floating[:, ::1] out, const int64_t[::1] ids, const floating[:, :] a):
    """out[ids[i]] += a[i], row after row; the columns of a are contiguous."""
    with nogil:
        k_scatter_rows(&out[0, 0], out.shape[1], &a[0, 0],
                       a.strides[0] // <Py_ssize_t>sizeof(floating), &ids[0], a.shape[0],
                       a.shape[1])


def normalise(floating[:, ::1] normal, floating[::1] spread, const floating[:, ::1] x):
    """Set normal to the rows of x, each of mean 0 and variance 1, and spread to 1 / deviation."""
    with nogil:
        k_normalise(&normal[0, 0], &spread[0], &x[0, 0], x.shape[1], x.shape[0], x.shape[1])


def normalise_back(floating[:, ::1] dx, const floating[:, ::1] normal, const floating[::1] spread,
                   const floating[:, :] dy, const floating[::1] gain):
    """Set dx to the gradient of what ``normalise`` was given, dy being that of gain * normal."""
    with nogil:
        k_normalise_back(&dx[0, 0], &normal[0, 0], &spread[0], &dy[0, 0],
                         dy.strides[0] // <Py_ssize_t>sizeof(floating), &gain[0], dx.shape[0],
                         dx.shape[1])


def softmax(floating[:, ::1] logits):
    """Replace each row by its softmax."""
    with nogil:
        k_softmax(&logits[0, 0], logits.shape[0], logits.shape[1])


def cross_entropy_grad(floating[:, ::1] logits, const int64_t[::1] targets, double scale):
    """Return the summed loss; logits become scale times its gradient."""
    cdef double loss
    with nogil:
        loss = k_cross_entropy_grad(&logits[0, 0], &targets[0], logits.shape[0],
                                    logits.shape[1], scale)
    return loss


def log_probs(const floating[:, ::1] logits, const int64_t[::1] targets):
    """Return log softmax(logits[i])[targets[i]] for every row, in double."""
    result = np.empty(logits.shape[0])
    cdef double[::1] out = result
    cdef Py_ssize_t i, classes = logits.shape[1]
    with nogil:
        for i in range(logits.shape[0]):
            out[i] = -k_cross_entropy(&logits[i, 0], &targets[i], 1, classes)
    return result


def activate(const floating[::1] x, int nonlinearity):
    """Return f(x)."""
    out = empty(x.shape[0], np.float32 if floating is float else np.float64)
    cdef floating[::1] y = out
    with nogil:
        if floating is float:
            table.f32.activate(&y[0], &x[0], x.shape[0], <fr_nonlinearity>nonlinearity)
        else:
            table.f64.activate(&y[0], &x[0], x.shape[0], <fr_nonlinearity>nonlinearity)
    return out
