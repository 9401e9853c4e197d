# One inline function per kernel that picks the float32 or the float64 entry of the table when
# Cython specialises the caller; a pointer is taken per call, never per element.

from cython cimport floating
from libc.stdint cimport int64_t

from fastrnn.cpu cimport table
from fastrnn._kernels cimport fr_nonlinearity


cdef inline void k_gemm(floating *c, Py_ssize_t ldc, const floating *a, Py_ssize_t lda,
                        const floating *packed, const floating *bias, Py_ssize_t m,
                        Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    if floating is float:
        table.f32.gemm(c, ldc, a, lda, packed, bias, m, n, k)
    else:
        table.f64.gemm(c, ldc, a, lda, packed, bias, m, n, k)


cdef inline void k_gemm_tn(floating *c, Py_ssize_t ldc, const floating *a, Py_ssize_t lda,
                           const floating *b, Py_ssize_t ldb, Py_ssize_t m, Py_ssize_t n,
                           Py_ssize_t k) noexcept nogil:
    if floating is float:
        table.f32.gemm_tn(c, ldc, a, lda, b, ldb, m, n, k)
    else:
        table.f64.gemm_tn(c, ldc, a, lda, b, ldb, m, n, k)


cdef inline void k_column_sums(floating *sums, const floating *a, Py_ssize_t lda,
                               Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    if floating is float:
        table.f32.column_sums(sums, a, lda, m, n)
    else:
        table.f64.column_sums(sums, a, lda, m, n)


cdef inline void k_scatter_rows(floating *rows, Py_ssize_t ld_rows, const floating *a,
                                Py_ssize_t lda, const int64_t *ids, Py_ssize_t m,
                                Py_ssize_t n) noexcept nogil:
    if floating is float:
        table.f32.scatter_rows(rows, ld_rows, a, lda, ids, m, n)
    else:
        table.f64.scatter_rows(rows, ld_rows, a, lda, ids, m, n)


cdef inline void k_rnn_forward(floating *h, const floating *input, const int64_t *ids,
                               const floating *h_prev, const floating *packed_hh,
                               Py_ssize_t batch, Py_ssize_t hidden,
                               fr_nonlinearity nonlinearity) noexcept nogil:
    if floating is float:
        table.f32.rnn_forward(h, input, ids, h_prev, packed_hh, batch, hidden, nonlinearity)
    else:
        table.f64.rnn_forward(h, input, ids, h_prev, packed_hh, batch, hidden, nonlinearity)


cdef inline void k_rnn_backward(floating *dz, const floating *h, const floating *dh,
                                const floating *dz_next, const floating *packed_hh_t,
                                Py_ssize_t batch, Py_ssize_t hidden,
                                fr_nonlinearity nonlinearity) noexcept nogil:
    if floating is float:
        table.f32.rnn_backward(dz, h, dh, dz_next, packed_hh_t, batch, hidden, nonlinearity)
    else:
        table.f64.rnn_backward(dz, h, dh, dz_next, packed_hh_t, batch, hidden, nonlinearity)


cdef inline double k_cross_entropy(const floating *logits, const int64_t *targets,
                                   Py_ssize_t m, Py_ssize_t classes) noexcept nogil:
    if floating is float:
        return table.f32.cross_entropy(logits, targets, m, classes)
    else:
        return table.f64.cross_entropy(logits, targets, m, classes)


cdef inline double k_cross_entropy_grad(floating *logits, const int64_t *targets, Py_ssize_t m,
                                        Py_ssize_t classes, double scale) noexcept nogil:
    if floating is float:
        return table.f32.cross_entropy_grad(logits, targets, m, classes, scale)
    else:
        return table.f64.cross_entropy_grad(logits, targets, m, classes, scale)


cdef inline Py_ssize_t k_sample(floating *logits, floating *scratch, Py_ssize_t classes,
                                double temperature, Py_ssize_t top_k, double top_p,
                                double uniform) noexcept nogil:
    if floating is float:
        return table.f32.sample(logits, scratch, classes, temperature, top_k, top_p, uniform)
    else:
        return table.f64.sample(logits, scratch, classes, temperature, top_k, top_p, uniform)
