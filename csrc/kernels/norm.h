/* Layer normalisation (Ba, Kiros and Hinton, arXiv:1607.06450) of rows, without gain and bias. */
#define row_sum FR_NAME(row_sum)

/* Added to the variance, as PyTorch does. */
#define NORM_EPSILON 1e-5

FR_INLINE double row_sum(const REAL *x, ptrdiff_t n) {
    vec sum = v_set1(0);
    for (ptrdiff_t i = 0; i < n; i += LANES) sum = v_add(sum, v_load_tail(x + i, n - i));
    return (double)v_sum(sum);
}

static void FR_NAME(normalise)(REAL *normal, REAL *spread, const REAL *x, ptrdiff_t ldx,
                               ptrdiff_t m, ptrdiff_t n) {
    for (ptrdiff_t r = 0; r < m; r++, x += ldx, normal += n) {
        const vec mean = v_set1((REAL)(row_sum(x, n) / (double)n));
        for (ptrdiff_t i = 0; i < n; i += LANES)
            v_store_tail(normal + i, v_sub(v_load_tail(x + i, n - i), mean), n - i);
        vec squares = v_set1(0);
        for (ptrdiff_t i = 0; i < n; i += LANES) {
            const vec d = v_load_tail(normal + i, n - i);
            squares = v_fma(d, d, squares);
        }
        spread[r] = (REAL)(1 / sqrt((double)v_sum(squares) / (double)n + NORM_EPSILON));
        const vec factor = v_set1(spread[r]);
        for (ptrdiff_t i = 0; i < n; i += LANES)
            v_store_tail(normal + i, v_mul(v_load_tail(normal + i, n - i), factor), n - i);
    }
}

static void FR_NAME(normalise_back)(REAL *dx, const REAL *normal, const REAL *spread,
                                    const REAL *dy, ptrdiff_t ldy, const REAL *gain, ptrdiff_t m,
                                    ptrdiff_t n) {
    for (ptrdiff_t r = 0; r < m; r++, dx += n, normal += n, dy += ldy) {
        vec sum = v_set1(0), along = v_set1(0);
        for (ptrdiff_t i = 0; i < n; i += LANES) {
            const vec d = v_mul(v_load_tail(dy + i, n - i), v_load_tail(gain + i, n - i));
            sum = v_add(sum, d);
            along = v_fma(d, v_load_tail(normal + i, n - i), along);
        }
        const vec mean = v_set1((REAL)((double)v_sum(sum) / (double)n));
        const vec slope = v_set1((REAL)((double)v_sum(along) / (double)n));
        const vec factor = v_set1(spread[r]);
        for (ptrdiff_t i = 0; i < n; i += LANES) {
            const vec d = v_mul(v_load_tail(dy + i, n - i), v_load_tail(gain + i, n - i));
            const vec past = v_fma(v_load_tail(normal + i, n - i), slope, mean);
            v_store_tail(dx + i, v_mul(v_sub(d, past), factor), n - i);
        }
    }
}
