# The C header (csrc/fastrnn.h, csrc/kernels.def), nothing else.

from libc.stdint cimport int32_t, int64_t, uint64_t


cdef extern from "fastrnn.h" nogil:
    ctypedef enum fr_nonlinearity:
        FR_LINEAR
        FR_TANH
        FR_RELU
        FR_SIGMOID

    ctypedef enum fr_stored:
        FR_STORED_REAL
        FR_STORED_BF16
        FR_STORED_INT8

    ctypedef struct fr_sampling:
        double repetition_penalty
        double temperature
        Py_ssize_t top_k
        double top_p, min_p

    ctypedef struct fr_kernels_f32:
        Py_ssize_t (*unit_block)() noexcept nogil
        Py_ssize_t (*pack_size)(Py_ssize_t k, Py_ssize_t n) noexcept nogil
        void (*pack)(float *packed, Py_ssize_t depth, const float *matrix, Py_ssize_t row_stride,
                     Py_ssize_t column_stride, Py_ssize_t k, Py_ssize_t n) noexcept nogil
        void (*gemm)(float *c, Py_ssize_t ldc, const float *a, Py_ssize_t lda,
                     const float *packed, const float *bias, Py_ssize_t m, Py_ssize_t n,
                     Py_ssize_t k) noexcept nogil
        void (*gemm_tn)(float *c, Py_ssize_t ldc, const float *a, Py_ssize_t lda,
                        Py_ssize_t a_run, const float *b, Py_ssize_t ldb, Py_ssize_t b_run,
                        Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, Py_ssize_t run) noexcept nogil
        void (*column_sums)(float *sums, const float *a, Py_ssize_t lda, Py_ssize_t m,
                            Py_ssize_t n) noexcept nogil
        void (*scatter_rows)(float *table, Py_ssize_t ld_table, const float *a, Py_ssize_t lda,
                             const int64_t *ids, Py_ssize_t m, Py_ssize_t n) noexcept nogil
        void (*add_transposed)(float *out, Py_ssize_t ld_out, const float *start,
                               Py_ssize_t ld_start, const float *a, Py_ssize_t lda,
                               Py_ssize_t m, Py_ssize_t n) noexcept nogil
        void (*rnn_forward)(float *h, const float *input, Py_ssize_t ld_input,
                            const int64_t *ids, const float *x, const float *packed_ih,
                            Py_ssize_t inputs, const float *h_prev, const float *packed_hh,
                            Py_ssize_t batch, Py_ssize_t hidden,
                            Py_ssize_t first, Py_ssize_t last, int reverse,
                            fr_nonlinearity nonlinearity) noexcept nogil
        void (*rnn_backward)(float *dz, const float *h, const float *dh, const float *dz_next,
                             const float *packed_hh_t, Py_ssize_t batch, Py_ssize_t hidden,
                             Py_ssize_t first, Py_ssize_t last,
                             fr_nonlinearity nonlinearity) noexcept nogil
        Py_ssize_t (*pack_gates_size)(Py_ssize_t gates, Py_ssize_t hidden,
                                      Py_ssize_t k) noexcept nogil
        void (*pack_gates)(float *packed, const float *weight, Py_ssize_t gates,
                           Py_ssize_t hidden, Py_ssize_t k) noexcept nogil
        void (*lstm_forward)(float *h, float *c, float *gates, const float *input,
                             Py_ssize_t ld_input, const int64_t *ids, const float *x,
                             const float *packed_ih, Py_ssize_t inputs, const float *h_prev,
                             const float *c_prev, const float *packed_hh, Py_ssize_t batch,
                             Py_ssize_t hidden,
                             Py_ssize_t first, Py_ssize_t last, int reverse) noexcept nogil
        void (*lstm_backward)(float *dz, float *dc, const float *gates, const float *c,
                              const float *c_prev, const float *dh, const float *dz_next,
                              const float *packed_hh_t, Py_ssize_t batch,
                              Py_ssize_t hidden, Py_ssize_t first, Py_ssize_t last) noexcept nogil
        void (*gru_forward)(float *h, float *gates, const float *input, Py_ssize_t ld_input,
                            const int64_t *ids, const float *x, const float *packed_ih,
                            Py_ssize_t inputs, const float *h_prev, const float *packed_hh,
                            Py_ssize_t batch, Py_ssize_t hidden,
                            Py_ssize_t first, Py_ssize_t last, int reverse) noexcept nogil
        void (*gru_backward)(float *dz, float *dh_past, const float *gates, const float *h_prev,
                             const float *dh, const float *dz_next, const float *packed_hh_t,
                             Py_ssize_t batch, Py_ssize_t hidden,
                             Py_ssize_t first, Py_ssize_t last) noexcept nogil
        Py_ssize_t (*small_size)(Py_ssize_t gates, Py_ssize_t hidden, Py_ssize_t k,
                                 fr_stored stored) noexcept nogil
        void (*pack_small)(void *packed, const float *weight, Py_ssize_t gates,
                           Py_ssize_t hidden, Py_ssize_t k, fr_stored stored) noexcept nogil
        void (*gemm_small)(float *c, Py_ssize_t ldc, const float *a, Py_ssize_t lda,
                           const void *packed, const float *bias, Py_ssize_t m, Py_ssize_t n,
                           Py_ssize_t k, fr_stored stored) noexcept nogil
        void (*rnn_forward_small)(float *h, const float *input, Py_ssize_t ld_input,
                                  const int64_t *ids, const float *h_prev, const void *packed_hh,
                                  Py_ssize_t batch, Py_ssize_t hidden, int reverse,
                                  fr_nonlinearity nonlinearity,
                                  fr_stored stored) noexcept nogil
        void (*lstm_forward_small)(float *h, float *c, const float *input, Py_ssize_t ld_input,
                                   const int64_t *ids, const float *h_prev, const float *c_prev,
                                   const void *packed_hh, Py_ssize_t batch, Py_ssize_t hidden,
                                   int reverse, fr_stored stored) noexcept nogil
        void (*gru_forward_small)(float *h, const float *input, Py_ssize_t ld_input,
                                  const int64_t *ids, const float *h_prev, const void *packed_hh,
                                  Py_ssize_t batch, Py_ssize_t hidden,
                                  int reverse, fr_stored stored) noexcept nogil
        void (*softmax)(float *logits, Py_ssize_t m, Py_ssize_t classes) noexcept nogil
        double (*cross_entropy)(const float *logits, const int64_t *targets, Py_ssize_t m,
                                Py_ssize_t classes) noexcept nogil
        double (*cross_entropy_grad)(float *logits, const int64_t *targets, Py_ssize_t m,
                                     Py_ssize_t classes, double scale) noexcept nogil
        void (*dropout)(float *out, const float *x, uint64_t seed, int64_t first_row, Py_ssize_t m,
                        Py_ssize_t n, int32_t threshold) noexcept nogil
        void (*normalise)(float *normal, float *spread, const float *x, Py_ssize_t ldx,
                          Py_ssize_t m, Py_ssize_t n) noexcept nogil
        void (*normalise_back)(float *dx, const float *normal, const float *spread,
                               const float *dy, Py_ssize_t ldy, const float *gain,
                               Py_ssize_t m, Py_ssize_t n) noexcept nogil
        Py_ssize_t (*sample)(float *logits, float *scratch, const int32_t *seen,
                             Py_ssize_t classes, const fr_sampling *options,
                             double uniform) noexcept nogil
        double (*sum_of_squares)(const float *x, Py_ssize_t size) noexcept nogil
        void (*sgd)(float *param, float *momentum_buffer, const float *grad, double scale,
                    double lr, double momentum, double dampening, double weight_decay,
                    int nesterov, int first, Py_ssize_t size) noexcept nogil
        void (*rmsprop)(float *param, float *square_avg, float *grad_avg,
                        float *momentum_buffer, const float *grad, double scale, double lr,
                        double alpha, double eps, double weight_decay, double momentum,
                        Py_ssize_t size) noexcept nogil
        void (*adam)(float *param, float *exp_avg, float *exp_avg_sq, const float *grad,
                     double scale, double lr, double beta1, double beta2, double correction1,
                     double correction2, double eps, double weight_decay, int decoupled,
                     Py_ssize_t size) noexcept nogil
        void (*activate)(float *out, const float *x, Py_ssize_t size,
                         fr_nonlinearity nonlinearity) noexcept nogil
        Py_ssize_t (*probe_chain)(Py_ssize_t length) noexcept nogil
        double (*probe_multiply_adds)(float *result, Py_ssize_t turns) noexcept nogil
        Py_ssize_t (*probe_lanes)() noexcept nogil
        void (*probe_reads)(float *result, const float *x, Py_ssize_t size,
                            Py_ssize_t passes) noexcept nogil

    ctypedef struct fr_kernels_f64:
        Py_ssize_t (*unit_block)() noexcept nogil
        Py_ssize_t (*pack_size)(Py_ssize_t k, Py_ssize_t n) noexcept nogil
        void (*pack)(double *packed, Py_ssize_t depth, const double *matrix, Py_ssize_t row_stride,
                     Py_ssize_t column_stride, Py_ssize_t k, Py_ssize_t n) noexcept nogil
        void (*gemm)(double *c, Py_ssize_t ldc, const double *a, Py_ssize_t lda,
                     const double *packed, const double *bias, Py_ssize_t m, Py_ssize_t n,
                     Py_ssize_t k) noexcept nogil
        void (*gemm_tn)(double *c, Py_ssize_t ldc, const double *a, Py_ssize_t lda,
                        Py_ssize_t a_run, const double *b, Py_ssize_t ldb, Py_ssize_t b_run,
                        Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, Py_ssize_t run) noexcept nogil
        void (*column_sums)(double *sums, const double *a, Py_ssize_t lda, Py_ssize_t m,
                            Py_ssize_t n) noexcept nogil
        void (*scatter_rows)(double *table, Py_ssize_t ld_table, const double *a, Py_ssize_t lda,
                             const int64_t *ids, Py_ssize_t m, Py_ssize_t n) noexcept nogil
        void (*add_transposed)(double *out, Py_ssize_t ld_out, const double *start,
                               Py_ssize_t ld_start, const double *a, Py_ssize_t lda,
                               Py_ssize_t m, Py_ssize_t n) noexcept nogil
        void (*rnn_forward)(double *h, const double *input, Py_ssize_t ld_input,
                            const int64_t *ids, const double *x, const double *packed_ih,
                            Py_ssize_t inputs, const double *h_prev, const double *packed_hh,
                            Py_ssize_t batch, Py_ssize_t hidden,
                            Py_ssize_t first, Py_ssize_t last, int reverse,
                            fr_nonlinearity nonlinearity) noexcept nogil
        void (*rnn_backward)(double *dz, const double *h, const double *dh, const double *dz_next,
                             const double *packed_hh_t, Py_ssize_t batch, Py_ssize_t hidden,
                             Py_ssize_t first, Py_ssize_t last,
                             fr_nonlinearity nonlinearity) noexcept nogil
        Py_ssize_t (*pack_gates_size)(Py_ssize_t gates, Py_ssize_t hidden,
                                      Py_ssize_t k) noexcept nogil
        void (*pack_gates)(double *packed, const double *weight, Py_ssize_t gates,
                           Py_ssize_t hidden, Py_ssize_t k) noexcept nogil
        void (*lstm_forward)(double *h, double *c, double *gates, const double *input,
                             Py_ssize_t ld_input, const int64_t *ids, const double *x,
                             const double *packed_ih, Py_ssize_t inputs, const double *h_prev,
                             const double *c_prev, const double *packed_hh, Py_ssize_t batch,
                             Py_ssize_t hidden,
                             Py_ssize_t first, Py_ssize_t last, int reverse) noexcept nogil
        void (*lstm_backward)(double *dz, double *dc, const double *gates, const double *c,
                              const double *c_prev, const double *dh, const double *dz_next,
                              const double *packed_hh_t, Py_ssize_t batch,
                              Py_ssize_t hidden, Py_ssize_t first, Py_ssize_t last) noexcept nogil
        void (*gru_forward)(double *h, double *gates, const double *input, Py_ssize_t ld_input,
                            const int64_t *ids, const double *x, const double *packed_ih,
                            Py_ssize_t inputs, const double *h_prev, const double *packed_hh,
                            Py_ssize_t batch, Py_ssize_t hidden,
                            Py_ssize_t first, Py_ssize_t last, int reverse) noexcept nogil
        void (*gru_backward)(double *dz, double *dh_past, const double *gates, const double *h_prev,
                             const double *dh, const double *dz_next, const double *packed_hh_t,
                             Py_ssize_t batch, Py_ssize_t hidden,
                             Py_ssize_t first, Py_ssize_t last) noexcept nogil
        void (*softmax)(double *logits, Py_ssize_t m, Py_ssize_t classes) noexcept nogil
        double (*cross_entropy)(const double *logits, const int64_t *targets, Py_ssize_t m,
                                Py_ssize_t classes) noexcept nogil
        double (*cross_entropy_grad)(double *logits, const int64_t *targets, Py_ssize_t m,
                                     Py_ssize_t classes, double scale) noexcept nogil
        void (*dropout)(double *out, const double *x, uint64_t seed, int64_t first_row,
                        Py_ssize_t m, Py_ssize_t n, int32_t threshold) noexcept nogil
        void (*normalise)(double *normal, double *spread, const double *x, Py_ssize_t ldx,
                          Py_ssize_t m, Py_ssize_t n) noexcept nogil
        void (*normalise_back)(double *dx, const double *normal, const double *spread,
                               const double *dy, Py_ssize_t ldy, const double *gain,
                               Py_ssize_t m, Py_ssize_t n) noexcept nogil
        Py_ssize_t (*sample)(double *logits, double *scratch, const int32_t *seen,
                             Py_ssize_t classes, const fr_sampling *options,
                             double uniform) noexcept nogil
        double (*sum_of_squares)(const double *x, Py_ssize_t size) noexcept nogil
        void (*sgd)(double *param, double *momentum_buffer, const double *grad, double scale,
                    double lr, double momentum, double dampening, double weight_decay,
                    int nesterov, int first, Py_ssize_t size) noexcept nogil
        void (*rmsprop)(double *param, double *square_avg, double *grad_avg,
                        double *momentum_buffer, const double *grad, double scale, double lr,
                        double alpha, double eps, double weight_decay, double momentum,
                        Py_ssize_t size) noexcept nogil
        void (*adam)(double *param, double *exp_avg, double *exp_avg_sq, const double *grad,
                     double scale, double lr, double beta1, double beta2, double correction1,
                     double correction2, double eps, double weight_decay, int decoupled,
                     Py_ssize_t size) noexcept nogil
        void (*activate)(double *out, const double *x, Py_ssize_t size,
                         fr_nonlinearity nonlinearity) noexcept nogil
        Py_ssize_t (*probe_chain)(Py_ssize_t length) noexcept nogil
        double (*probe_multiply_adds)(double *result, Py_ssize_t turns) noexcept nogil
        Py_ssize_t (*probe_lanes)() noexcept nogil
        void (*probe_reads)(double *result, const double *x, Py_ssize_t size,
                            Py_ssize_t passes) noexcept nogil

    ctypedef struct fr_kernels:
        const char *isa
        fr_kernels_f32 f32
        fr_kernels_f64 f64

    int fr_available(const fr_kernels **tables, int room)
    uint64_t fr_fpmode_flush()
    void fr_fpmode_restore(uint64_t saved)
