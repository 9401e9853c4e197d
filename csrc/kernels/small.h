/* Weights in 16 or 8 bits: rounding, packing, and the steps with them. For float alone.
 *
 * What bounds a step of one row is reading the weights: half or a quarter of the bytes. States,
 * biases and sums stay float, so that no state, however large, has to be clamped.
 */

/* To nearest, ties to even. What is finite stays finite. */
static uint16_t to_bf16(float w) {
    uint32_t bits;
    memcpy(&bits, &w, sizeof bits);
    if (isnan(w)) return (uint16_t)(bits >> 16 | 0x40);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)(rounded - (isfinite(w) && (rounded & 0x7fff) == 0x7f80));
}

/* The step of a row of W: a row that is not finite gives NaN. Where it would be subnormal, which
 * kernels take for zero, the row is zero. */
static float row_scale(const float *row, ptrdiff_t k) {
    float largest = 0, sum = 0;
    for (ptrdiff_t i = 0; i < k; i++) {
        const float size = fabsf(row[i]);
        largest = size > largest ? size : largest;
        sum += row[i] - row[i];
    }
    const float scale = largest / 127 + sum;
    return scale < FLT_MIN ? 0 : scale;
}

static ptrdiff_t FR_NAME(small_size)(ptrdiff_t gates, ptrdiff_t hidden, ptrdiff_t k,
                                     fr_stored stored) {
    return PANELS_OF(hidden) * gates * panel_size(k, stored);
}

/* With BF16_PAIRS, element i of vectors 2j and 2j + 1 of a panel stand side by side. */
static void pack_bf16(uint16_t *panel, const float *row, ptrdiff_t k, ptrdiff_t column) {
    const ptrdiff_t j = column / LANES;
    const ptrdiff_t at = BF16_PAIRS ? (j - j % 2) * LANES + column % LANES * 2 + j % 2 : column;
    for (ptrdiff_t i = 0; i < k; i++) panel[i * PANEL + at] = to_bf16(row[i]);
}

static void pack_int8(void *panel, const float *row, ptrdiff_t k, ptrdiff_t column) {
    float *const scales = panel;
    int8_t *const multiples = (int8_t *)(scales + PANEL) + column;
    const float scale = scales[column] = row_scale(row, k);
    for (ptrdiff_t i = 0; i < k; i++)
        multiples[i * PANEL] = scale > 0 ? (int8_t)rintf(row[i] / scale) : 0;
}

static void FR_NAME(pack_small)(void *packed, const float *weight, ptrdiff_t gates,
                                ptrdiff_t hidden, ptrdiff_t k, fr_stored stored) {
    char *panel = packed;
    memset(packed, 0, (size_t)FR_NAME(small_size)(gates, hidden, k, stored));
    for (ptrdiff_t unit = 0; unit < hidden; unit += PANEL) {
        for (ptrdiff_t gate = 0; gate < gates; gate++, panel += panel_size(k, stored)) {
            for (ptrdiff_t column = 0; column < PANEL && unit + column < hidden; column++) {
                const float *row = weight + (gate * hidden + unit + column) * k;
                if (stored == FR_STORED_BF16)
                    pack_bf16((void *)panel, row, k, column);
                else
                    pack_int8(panel, row, k, column);
            }
        }
    }
}

static void FR_NAME(gemm_small)(float *c, ptrdiff_t ldc, const float *a, ptrdiff_t lda,
                                const void *packed, const float *bias, ptrdiff_t m, ptrdiff_t n,
                                ptrdiff_t k, fr_stored stored) {
    if (m == 1) {
        row_run(c, bias, a, packed, k, 0, n, 0, FR_LINEAR, stored);
        return;
    }
    const gemm_args g = {
        .c = c,
        .ldc = ldc,
        .init = bias,
        .factors = {{.a = a, .stride = lda, .packed = packed, .k = k}},
        .count = 1,
        .stored = stored,
        .m = m,
        .n = n,
        .nonlinearity = FR_LINEAR,
    };
    gemm_run(&g);
}

static void FR_NAME(rnn_forward_small)(float *h, const float *input, ptrdiff_t ld_input,
                                       const int64_t *ids, const float *h_prev,
                                       const void *packed_hh, ptrdiff_t batch, ptrdiff_t hidden,
                                       int reverse, fr_nonlinearity nonlinearity,
                                       fr_stored stored) {
    if (batch == 1) {
        row_run(h, ids ? input + ids[0] * ld_input : input, h_prev, packed_hh, hidden, 0, hidden,
                reverse, nonlinearity, stored);
        return;
    }
    const gemm_args g = {
        .reverse = reverse,
        .c = h,
        .ldc = hidden,
        .init = input,
        .ld_init = ld_input,
        .ids = ids,
        .factors = {{h_prev, hidden, NULL, packed_hh, hidden, 0}},
        .count = 1,
        .stored = stored,
        .m = batch,
        .n = hidden,
        .nonlinearity = nonlinearity,
    };
    gemm_run(&g);
}

static void FR_NAME(lstm_forward_small)(float *h, float *c, const float *input, ptrdiff_t ld_input,
                                        const int64_t *ids, const float *h_prev,
                                        const float *c_prev, const void *packed_hh, ptrdiff_t batch,
                                        ptrdiff_t hidden, int reverse, fr_stored stored) {
    const gate_input in = {.reverse = reverse,
                           .rows = input,
                           .ld = ld_input,
                           .ids = ids,
                           .h = h_prev,
                           .packed_hh = packed_hh,
                           .hidden = hidden,
                           .last = hidden,
                           .stored = stored};
    lstm_step(h, c, NULL, &in, c_prev, batch);
}

static void FR_NAME(gru_forward_small)(float *h, const float *input, ptrdiff_t ld_input,
                                       const int64_t *ids, const float *h_prev,
                                       const void *packed_hh, ptrdiff_t batch, ptrdiff_t hidden,
                                       int reverse, fr_stored stored) {
    const gate_input in = {.reverse = reverse,
                           .rows = input,
                           .ld = ld_input,
                           .ids = ids,
                           .h = h_prev,
                           .packed_hh = packed_hh,
                           .hidden = hidden,
                           .last = hidden,
                           .stored = stored};
    gru_step(h, NULL, &in, batch);
}
