/* Weights stored in 16 and 8 bits: rounded right, and steps that equal those with the rounded
 * weights in float. Of float alone; included after its kernel_cases.h. */

/* What pack_small has to make of `n` rows of k weights. */
static float *rounded(const float *w, ptrdiff_t n, ptrdiff_t k, fr_stored stored) {
    float *to = copy_f32(w, n * k);
    for (ptrdiff_t i = 0; i < n; i++) {
        float largest = 0;
        for (ptrdiff_t j = 0; j < k; j++) largest = fmaxf(largest, fabsf(w[i * k + j]));
        const float step = largest / 127;
        for (ptrdiff_t j = 0; j < k; j++) {
            float *at = to + i * k + j;
            if (stored == FR_STORED_INT8) {
                *at = step > 0 ? rintf(*at / step) * step : 0;
            } else { /* eight bits of significand */
                int exponent;
                const float significand = frexpf(*at, &exponent);
                *at = ldexpf(rintf(significand * 256), exponent - 8);
            }
        }
    }
    return to;
}

static void *packed_small(const fr_kernels_f32 *k, const float *w, ptrdiff_t gates,
                          ptrdiff_t hidden, ptrdiff_t depth, fr_stored stored) {
    void *packed = malloc((size_t)k->small_size(gates, hidden, depth, stored));
    k->pack_small(packed, w, gates, hidden, depth, stored);
    return packed;
}

/* Rows of the identity bring out the weights one by one. */
static void rounding_case(const char *isa, const fr_kernels_f32 *k, fr_stored stored) {
    const float rows[4][6] = {{1, -0.5f, 0.0078125f, 3e-39f, 1e-9f, -1},
                              {0, 0, 0, 0, 0, 0},
                              {3.4e38f, -3.4e38f, 1, 0, -1e38f, 0},
                              {1.00390625f, 1.01171875f, 1.00390637f, -1.00390625f, 127, 0.5f}};
    const float identity[6][6] = {{1, 0, 0, 0, 0, 0}, {0, 1, 0, 0, 0, 0}, {0, 0, 1, 0, 0, 0},
                                  {0, 0, 0, 1, 0, 0}, {0, 0, 0, 0, 1, 0}, {0, 0, 0, 0, 0, 1}};
    const float bf16[4][6] = {{1, -0.5f, 0.0078125f, 3e-39f, 9.98261e-10f, -1},
                              {0, 0, 0, 0, 0, 0},
                              {3.3895314e38f, -3.3895314e38f, 1, 0, -9.96920997e37f, 0},
                              {1, 1.015625f, 1.0078125f, -1, 127, 0.5f}};
    void *packed = packed_small(k, rows[0], 1, 4, 6, stored);
    float *expected =
        stored == FR_STORED_BF16 ? copy_f32(bf16[0], 24) : rounded(rows[0], 4, 6, FR_STORED_INT8);
    float *got = make_f32(24);
    k->gemm_small(got, 4, identity[0], 6, packed, NULL, 6, 4, 6, stored);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 6; j++)
            check(isa, stored == FR_STORED_BF16 ? "bf16" : "int8", i, j, got[j * 4 + i],
                  expected[i * 6 + j], 1e-5);
    free(packed), free(expected), free(got);

    /* What is not finite is not hidden. */
    const float bad[2][2] = {{NAN, 1}, {1, INFINITY}};
    packed = packed_small(k, bad[0], 1, 2, 2, stored);
    float result[2];
    k->gemm_small(result, 2, (const float[2]){1, 1}, 2, packed, NULL, 1, 2, 2, stored);
    for (int i = 0; i < 2; i++) check(isa, "not finite", 1, i, isfinite(result[i]) != 0, 0, 0);
    free(packed);
}

static void small_gemm_case(const char *isa, const fr_kernels_f32 *k, ptrdiff_t m, ptrdiff_t n,
                            ptrdiff_t depth, fr_stored stored) {
    float *a = make_f32(m * depth), *w = make_f32(n * depth), *bias = make_f32(n);
    float *near = rounded(w, n, depth, stored), *c = make_f32(m * n);
    void *packed = packed_small(k, w, 1, n, depth, stored);
    k->gemm_small(c, n, a, depth, packed, bias, m, n, depth, stored);
    for (ptrdiff_t i = 0; i < m; i++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            double sum = bias[j];
            for (ptrdiff_t l = 0; l < depth; l++)
                sum += (double)a[i * depth + l] * (double)near[j * depth + l];
            check(isa, "gemm_small", m, n, c[i * n + j], sum, 1e-5);
        }
    }
    free(a), free(w), free(bias), free(near), free(c), free(packed);
}

/* The steps against the same steps with the rounded weights in float: of bf16 the same bits. */
static void small_step_case(const char *isa, const fr_kernels_f32 *k, ptrdiff_t batch,
                            ptrdiff_t hidden, ptrdiff_t gates, fr_nonlinearity f, int source,
                            fr_stored stored) {
    const ptrdiff_t size = batch * hidden;
    step_f32 s = make_step_f32(k, batch, hidden, gates, gates == 3 ? 4 : gates, source);
    float *near = rounded(s.w_hh, gates * hidden, hidden, stored);
    void *packed = packed_small(k, s.w_hh, gates, hidden, hidden, stored);
    float *h = make_f32(size), *expected = make_f32(size), *c_prev = make_f32(size);
    float *c = copy_f32(c_prev, size), *c_expected = make_f32(size);
    const int64_t *ids = source == FROM_TOKENS ? s.ids : NULL;
    const double tolerance = stored == FR_STORED_BF16 ? 0 : 1e-5;
    k->pack_gates(s.packed_hh, near, gates, hidden, hidden);
    if (gates == 4) {
        k->lstm_forward(expected, c_expected, NULL, s.rows, s.ld, ids, NULL, NULL, 0, s.h_prev,
                        c_prev, s.packed_hh, batch, hidden, 0, hidden, 0);
        k->lstm_forward_small(h, c, s.rows, s.ld, ids, s.h_prev, c, packed, batch, hidden, 1,
                              stored);
        for (ptrdiff_t i = 0; i < size; i++)
            check(isa, "lstm_forward_small c", batch, hidden, c[i], c_expected[i], tolerance);
    } else if (gates == 3) {
        k->gru_forward(expected, NULL, s.rows, s.ld, ids, NULL, NULL, 0, s.h_prev, s.packed_hh,
                       batch, hidden, 0, hidden, 0);
        k->gru_forward_small(h, s.rows, s.ld, ids, s.h_prev, packed, batch, hidden, 1, stored);
    } else {
        k->rnn_forward(expected, s.rows, s.ld, ids, NULL, NULL, 0, s.h_prev, s.packed_hh, batch,
                       hidden, 0, hidden, 0, f);
        if (source == FROM_ROWS) { /* in place */
            memcpy(h, s.rows, (size_t)size * sizeof(float));
            k->rnn_forward_small(h, h, hidden, NULL, s.h_prev, packed, batch, hidden, 1, f, stored);
        } else {
            k->rnn_forward_small(h, s.rows, s.ld, ids, s.h_prev, packed, batch, hidden, 1, f,
                                 stored);
        }
    }
    for (ptrdiff_t i = 0; i < size; i++)
        check(isa, "forward_small", batch, hidden, h[i], expected[i], tolerance);
    free(near), free(packed), free(h), free(expected), free(c_prev), free(c), free(c_expected);
    free_step_f32(&s);
}

static void run_small(const char *isa, const fr_kernels_f32 *k) {
    for (int stored = FR_STORED_BF16; stored <= FR_STORED_INT8; stored++) {
        rounding_case(isa, k, (fr_stored)stored);
        for (int i = 0; i < NUM_SIZES; i++) {
            for (int j = 0; j < NUM_SIZES; j++) {
                const ptrdiff_t depth = SIZES[(i * 5 + j * 3) % NUM_SIZES];
                small_gemm_case(isa, k, SIZES[i], SIZES[j], depth, (fr_stored)stored);
                for (ptrdiff_t gates = 1; gates <= 4; gates += gates == 1 ? 2 : 1)
                    small_step_case(isa, k, SIZES[i], SIZES[j], gates,
                                    (fr_nonlinearity)((i + j) % 4), (i + 2 * j) % NUM_SOURCES,
                                    (fr_stored)stored);
            }
        }
    }
}
