/* Elman cell, one time step for a slice of the batch.
 *
 *   h_t  = f(input_t + x_t W_ih^T + h_{t-1} W_hh^T)
 *   dz_t = (dh_t + dz_{t+1} W_hh) * f'(z_t)              dh_t: from the output of step t
 *
 * Everything else of BPTT (dW_ih, dW_hh, db, dx) is a product over many steps at once.
 */

static void FR_NAME(rnn_forward)(REAL *h, const REAL *input, ptrdiff_t ld_input, const int64_t *ids,
                                 const REAL *x, const REAL *packed_ih, ptrdiff_t inputs,
                                 const REAL *h_prev, const REAL *packed_hh, ptrdiff_t batch,
                                 ptrdiff_t hidden, ptrdiff_t first, ptrdiff_t last, int reverse,
                                 fr_nonlinearity nonlinearity) {
    if (batch == 1 && packed_hh && !x) {
        row_run(h, ids ? input + ids[0] * ld_input : input, h_prev, packed_hh, hidden, first, last,
                reverse, nonlinearity, FR_STORED_REAL);
        return;
    }
    const factor from_x = {x, inputs, NULL, packed_ih, inputs, 0};
    const factor from_h = {h_prev, hidden, NULL, packed_hh, hidden, 0};
    gemm_args g = {
        .c = h,
        .ldc = hidden,
        .init = input,
        .ld_init = ld_input,
        .ids = ids,
        .factors = {from_h},
        .count = packed_hh ? 1 : 0,
        .m = batch,
        .n = last,
        .first = first,
        .reverse = reverse,
        .nonlinearity = nonlinearity,
    };
    if (x) {
        g.factors[0] = from_x;
        g.factors[1] = from_h;
        g.count++;
    }
    gemm_run(&g);
}

static void FR_NAME(rnn_backward)(REAL *dz, const REAL *h, const REAL *dh, const REAL *dz_next,
                                  const REAL *packed_hh_t, ptrdiff_t batch, ptrdiff_t hidden,
                                  ptrdiff_t first, ptrdiff_t last, fr_nonlinearity nonlinearity) {
    const gemm_args g = {
        .c = dz,
        .ldc = hidden,
        .init = dh,
        .ld_init = hidden,
        .factors = {{dz_next, hidden, NULL, packed_hh_t, hidden, 0}},
        .count = dz_next ? 1 : 0,
        .m = batch,
        .n = last,
        .first = first,
        .nonlinearity = nonlinearity,
        .h = h,
    };
    gemm_run(&g);
}
