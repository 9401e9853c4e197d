# One inline function per kernel that picks the float32 or the float64 entry of the table when
# Cython specialises the caller; a pointer is taken per call, never per element.

from cython cimport floating
from libc.stdint cimport int32_t, int64_t, uint64_t

from fastrnn.cpu cimport table
from fastrnn._kernels cimport FR_STORED_REAL, fr_nonlinearity, fr_sampling, fr_stored


cdef inline void k_gemm(floating *c, Py_ssize_t ldc, const floating *a, Py_ssize_t lda,
                        const floating *packed, const floating *bias, Py_ssize_t m,
                        Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    if floating is float:
        table.f32.gemm(c, ldc, a, lda, packed, bias, m, n, k)
    else:
        table.f64.gemm(c, ldc, a, lda, packed, bias, m, n, k)


cdef inline void k_gemm_tn(floating *c, Py_ssize_t ldc, const floating *a, Py_ssize_t lda,
                           Py_ssize_t a_run, const floating *b, Py_ssize_t ldb,
                           Py_ssize_t b_run, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
                           Py_ssize_t run) noexcept nogil:
    if floating is float:
        table.f32.gemm_tn(c, ldc, a, lda, a_run, b, ldb, b_run, m, n, k, run)
    else:
        table.f64.gemm_tn(c, ldc, a, lda, a_run, b, ldb, b_run, m, n, k, run)


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


cdef inline void k_add_transposed(floating *out, Py_ssize_t ld_out, floating *start,
                                  Py_ssize_t ld_start, const floating *a, Py_ssize_t lda,
                                  Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    if floating is float:
        table.f32.add_transposed(out, ld_out, start, ld_start, a, lda, m, n)
    else:
        table.f64.add_transposed(out, ld_out, start, ld_start, a, lda, m, n)


cdef inline void k_gemm_stored(fr_stored stored, floating *c, Py_ssize_t ldc, const floating *a,
                               Py_ssize_t lda, const floating *packed, const floating *bias,
                               Py_ssize_t m, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """k_gemm, of weights that may be smaller than float32."""
    if floating is float:
        if stored != FR_STORED_REAL:
            table.f32.gemm_small(c, ldc, a, lda, packed, bias, m, n, k, stored)
            return
    k_gemm(c, ldc, a, lda, packed, bias, m, n, k)


cdef inline Py_ssize_t share_start(bint single, Py_ssize_t hidden, int share,
                                   int shares) noexcept nogil:
    """The first of a share's units: all their blocks, shared in nearly equal numbers."""
    cdef Py_ssize_t size = table.f32.unit_block() if single else table.f64.unit_block()
    return min((hidden + size - 1) // size * share // shares * size, hidden)


# The cells: one step of whichever it is.
cdef enum Cell:
    CELL_RNN
    CELL_LSTM
    CELL_GRU


cdef inline void cell_forward(Cell cell, fr_nonlinearity nonlinearity, floating *h, floating *c,
                              floating *gates, const floating *rows, Py_ssize_t ld_rows,
                              const int64_t *ids, const floating *x, const floating *packed_ih,
                              Py_ssize_t inputs, const floating *h_prev, const floating *c_prev,
                              const floating *packed_hh, Py_ssize_t batch, Py_ssize_t hidden,
                              Py_ssize_t first, Py_ssize_t last, bint reverse) noexcept nogil:
    """One step; see csrc/kernels.def."""
    if floating is float:
        if cell == CELL_LSTM:
            table.f32.lstm_forward(h, c, gates, rows, ld_rows, ids, x, packed_ih, inputs, h_prev,
                                   c_prev, packed_hh, batch, hidden, first, last, reverse)
        elif cell == CELL_GRU:
            table.f32.gru_forward(h, gates, rows, ld_rows, ids, x, packed_ih, inputs, h_prev,
                                  packed_hh, batch, hidden, first, last, reverse)
        else:
            table.f32.rnn_forward(h, rows, ld_rows, ids, x, packed_ih, inputs, h_prev, packed_hh,
                                  batch, hidden, first, last, reverse, nonlinearity)
    else:
        if cell == CELL_LSTM:
            table.f64.lstm_forward(h, c, gates, rows, ld_rows, ids, x, packed_ih, inputs, h_prev,
                                   c_prev, packed_hh, batch, hidden, first, last, reverse)
        elif cell == CELL_GRU:
            table.f64.gru_forward(h, gates, rows, ld_rows, ids, x, packed_ih, inputs, h_prev,
                                  packed_hh, batch, hidden, first, last, reverse)
        else:
            table.f64.rnn_forward(h, rows, ld_rows, ids, x, packed_ih, inputs, h_prev, packed_hh,
                                  batch, hidden, first, last, reverse, nonlinearity)


cdef inline void cell_step(Cell cell, fr_nonlinearity nonlinearity, fr_stored stored, floating *h,
                           floating *c, const floating *rows, Py_ssize_t ld_rows,
                           const int64_t *ids, const floating *h_prev,
                           const floating *packed_hh, Py_ssize_t batch, Py_ssize_t hidden,
                           bint reverse) noexcept nogil:
    """One step whose weights may be smaller than float32, in place in c."""
    if floating is float:
        if stored != FR_STORED_REAL:
            if cell == CELL_LSTM:
                table.f32.lstm_forward_small(h, c, rows, ld_rows, ids, h_prev, c, packed_hh,
                                             batch, hidden, reverse, stored)
            elif cell == CELL_GRU:
                table.f32.gru_forward_small(h, rows, ld_rows, ids, h_prev, packed_hh, batch,
                                            hidden, reverse, stored)
            else:
                table.f32.rnn_forward_small(h, rows, ld_rows, ids, h_prev, packed_hh, batch,
                                            hidden, reverse, nonlinearity, stored)
            return
    cell_forward(cell, nonlinearity, h, c, <floating *>NULL, rows, ld_rows, ids,
                 <const floating *>NULL, <const floating *>NULL, 0, h_prev, <const floating *>c,
                 packed_hh, batch, hidden, 0, hidden, reverse)


cdef inline void cell_backward(Cell cell, fr_nonlinearity nonlinearity, floating *dz,
                               floating *carry, const floating *z, const floating *h,
                               const floating *h_prev, const floating *c,
                               const floating *c_prev, const floating *dh,
                               const floating *dz_next, const floating *packed_hh_t,
                               Py_ssize_t batch, Py_ssize_t hidden, Py_ssize_t first,
                               Py_ssize_t last) noexcept nogil:
    """One step back; carry is what reaches the state past the weights, from step to step."""
    if floating is float:
        if cell == CELL_LSTM:
            table.f32.lstm_backward(dz, carry, z, c, c_prev, dh, dz_next, packed_hh_t, batch,
                                    hidden, first, last)
        elif cell == CELL_GRU:
            table.f32.gru_backward(dz, carry, z, h_prev, dh, dz_next, packed_hh_t, batch, hidden,
                                   first, last)
        else:
            table.f32.rnn_backward(dz, h, dh, dz_next, packed_hh_t, batch, hidden, first, last,
                                   nonlinearity)
    else:
        if cell == CELL_LSTM:
            table.f64.lstm_backward(dz, carry, z, c, c_prev, dh, dz_next, packed_hh_t, batch,
                                    hidden, first, last)
        elif cell == CELL_GRU:
            table.f64.gru_backward(dz, carry, z, h_prev, dh, dz_next, packed_hh_t, batch, hidden,
                                   first, last)
        else:
            table.f64.rnn_backward(dz, h, dh, dz_next, packed_hh_t, batch, hidden, first, last,
                                   nonlinearity)


cdef inline void project(fr_stored stored, floating *z, Py_ssize_t width, const floating *x,
                         Py_ssize_t inputs, const floating *packed_ih, const floating *bias,
                         Py_ssize_t columns, Py_ssize_t rows) noexcept nogil:
    """z (rows, width) = x W_ih^T + bias in the first columns, and bias alone in the rest."""
    k_gemm_stored(stored, z, width, x, inputs, packed_ih, bias, rows, columns, inputs)
    if columns < width:
        k_gemm(z + columns, width, x, inputs, packed_ih, bias + columns, rows, width - columns, 0)


cdef inline void k_softmax(floating *logits, Py_ssize_t m, Py_ssize_t classes) noexcept nogil:
    if floating is float:
        table.f32.softmax(logits, m, classes)
    else:
        table.f64.softmax(logits, m, classes)


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


cdef inline void k_activate(floating *x, Py_ssize_t size,
                            fr_nonlinearity nonlinearity) noexcept nogil:
    """x = f(x)."""
    if floating is float:
        table.f32.activate(x, x, size, nonlinearity)
    else:
        table.f64.activate(x, x, size, nonlinearity)


cdef inline void k_normalise(floating *normal, floating *spread, const floating *x, Py_ssize_t ldx,
                             Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    if floating is float:
        table.f32.normalise(normal, spread, x, ldx, m, n)
    else:
        table.f64.normalise(normal, spread, x, ldx, m, n)


cdef inline void k_normalise_back(floating *dx, const floating *normal, const floating *spread,
                                  const floating *dy, Py_ssize_t ldy, const floating *gain,
                                  Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    if floating is float:
        table.f32.normalise_back(dx, normal, spread, dy, ldy, gain, m, n)
    else:
        table.f64.normalise_back(dx, normal, spread, dy, ldy, gain, m, n)


cdef inline void k_dropout(floating *out, const floating *x, uint64_t seed, int64_t first_row,
                           Py_ssize_t m, Py_ssize_t n, int32_t threshold) noexcept nogil:
    if floating is float:
        table.f32.dropout(out, x, seed, first_row, m, n, threshold)
    else:
        table.f64.dropout(out, x, seed, first_row, m, n, threshold)


cdef inline Py_ssize_t k_sample(floating *logits, floating *scratch, const int32_t *seen,
                                Py_ssize_t classes, const fr_sampling *options,
                                double uniform) noexcept nogil:
    if floating is float:
        return table.f32.sample(logits, scratch, seen, classes, options, uniform)
    else:
        return table.f64.sample(logits, scratch, seen, classes, options, uniform)


cdef inline void k_pack(floating *packed, Py_ssize_t depth, const floating *matrix,
                        Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t k,
                        Py_ssize_t n) noexcept nogil:
    if floating is float:
        table.f32.pack(packed, depth, matrix, row_stride, column_stride, k, n)
    else:
        table.f64.pack(packed, depth, matrix, row_stride, column_stride, k, n)


cdef inline double k_sum_of_squares(const floating *x, Py_ssize_t size) noexcept nogil:
    if floating is float:
        return table.f32.sum_of_squares(x, size)
    else:
        return table.f64.sum_of_squares(x, size)


cdef inline void k_sgd(floating *param, floating *momentum_buffer, const floating *grad,
                       double scale, double lr, double momentum, double dampening,
                       double weight_decay, int nesterov, int first,
                       Py_ssize_t size) noexcept nogil:
    if floating is float:
        table.f32.sgd(param, momentum_buffer, grad, scale, lr, momentum, dampening,
                      weight_decay, nesterov, first, size)
    else:
        table.f64.sgd(param, momentum_buffer, grad, scale, lr, momentum, dampening,
                      weight_decay, nesterov, first, size)


cdef inline void k_rmsprop(floating *param, floating *square_avg, floating *grad_avg,
                           floating *momentum_buffer, const floating *grad, double scale,
                           double lr, double alpha, double eps, double weight_decay,
                           double momentum, Py_ssize_t size) noexcept nogil:
    if floating is float:
        table.f32.rmsprop(param, square_avg, grad_avg, momentum_buffer, grad, scale, lr, alpha,
                          eps, weight_decay, momentum, size)
    else:
        table.f64.rmsprop(param, square_avg, grad_avg, momentum_buffer, grad, scale, lr, alpha,
                          eps, weight_decay, momentum, size)


cdef inline void k_adam(floating *param, floating *exp_avg, floating *exp_avg_sq,
                        const floating *grad, double scale, double lr, double beta1,
                        double beta2, double correction1, double correction2, double eps,
                        double weight_decay, int decoupled, Py_ssize_t size) noexcept nogil:
    if floating is float:
        table.f32.adam(param, exp_avg, exp_avg_sq, grad, scale, lr, beta1, beta2, correction1,
                       correction2, eps, weight_decay, decoupled, size)
    else:
        table.f64.adam(param, exp_avg, exp_avg_sq, grad, scale, lr, beta1, beta2, correction1,
                       correction2, eps, weight_decay, decoupled, size)
