/* Elman cell, one time step for a slice of the batch.
 *
 *   h_t  = f(input_t + h_{t-1} W_hh^T)                   input_t = W_ih x_t + b_ih + b_hh
 *   dz_t = (dh_t + dz_{t+1} W_hh) * f'(z_t)              dh_t: from the output of step t
 *
 * Everything else of BPTT (dW_ih, dW_hh, db, dx) is a product over all steps at once.
 */

static void FR_NAME(rnn_forward)(REAL *h, const REAL *input, const int64_t *ids, const REAL *h_prev,
                                 const REAL *packed_hh, ptrdiff_t batch, ptrdiff_t hidden,
                                 fr_nonlinearity nonlinearity) {
    const gemm_args g = {
        .c = h,
        .ldc = hidden,
        .init = input,
        .ld_init = hidden,
        .ids = ids,
        .a = h_prev,
        .row_stride = hidden,
        .k_stride = 1,
        .packed = packed_hh,
        .m = batch,
        .n = hidden,
        .k = hidden,
        .nonlinearity = nonlinearity,
    };
    gemm_run(&g);
}

static void FR_NAME(rnn_backward)(REAL *dz, const REAL *h, const REAL *dh, const REAL *dz_next,
                                  const REAL *packed_hh_t, ptrdiff_t batch, ptrdiff_t hidden,
                                  fr_nonlinearity nonlinearity) {
    const gemm_args g = {
        .c = dz,
        .ldc = hidden,
        .init = dh,
        .ld_init = hidden,
        .a = dz_next ? dz_next : dz,
        .row_stride = hidden,
        .k_stride = 1,
        .packed = packed_hh_t,
        .m = batch,
        .n = hidden,
        .k = dz_next ? hidden : 0,
        .nonlinearity = nonlinearity,
        .h = h,
    };
    gemm_run(&g);
}
