/* exp, tanh and sigmoid in float32, and through libm in float64.
 *
 * exp(x) = 2^n exp(r), n = round(x / ln 2), r = x - n ln 2 with ln 2 in two parts, the first
 * short enough that n times it is exact; exp(r) = 1 + r (1 + r P(r)).
 * tanh(x) = x P(x^2) / Q(x^2) up to |x| = 7.98 and constant beyond, where the exact value is
 * within four units in the last place of 1: with this clamp the quotient never exceeds 1, so that
 * 1 - h^2 is never negative.
 * sigmoid(x) = 1 / (1 + exp(-x)); through tanh it would lose its left tail.
 *
 * Coefficients: csrc/derive_activations.py. Measured for every float32: tanh within 5.0 units in
 * the last place (5.8 without a fused multiply-add), sigmoid within 2.5 from x = -88 on, below
 * which it is constant, 6e-39; of a million of them tests/test_activations.py.
 *
 * v_min and v_max return their second operand when either is NaN, so NaN passes through; so it does
 * through the product with 2^n, whatever that is then.
 */
#ifndef FR_MATH_H
#define FR_MATH_H

/* exp(sign x) = factor * power, a power of two, for a sign of 1 or -1. */
typedef struct {
    vec_f32 factor, power;
} exp_parts_f32;

FR_INLINE exp_parts_f32 exp_of_f32(vec_f32 x, const float sign) {
    /* Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the sum; with 127
     * more these are the exponent of 2^n. */
    const vec_f32 round = v_set1_f32(12582912.0f + 127.0f);
    const float low = sign > 0 ? -87.0f : -88.0f, high = sign > 0 ? 88.0f : 87.0f;
    x = v_min_f32(v_set1_f32(high), v_max_f32(v_set1_f32(low), x));
    vec_f32 shifted = v_fma_f32(x, v_set1_f32(sign * 1.44269504f), round);
    vec_f32 n = v_sub_f32(shifted, round);
    vec_f32 r = v_fma_f32(n, v_set1_f32(sign * -0.69314575f), x); /* sign times r */
    r = v_fma_f32(n, v_set1_f32(sign * -1.4286068e-06f), r);
    vec_f32 p = v_set1_f32(0.0013814536f);
    p = v_fma_f32(p, r, v_set1_f32(sign * 0.008368745f));
    p = v_fma_f32(p, r, v_set1_f32(0.04166839f));
    p = v_fma_f32(p, r, v_set1_f32(sign * 0.16666521f));
    p = v_fma_f32(p, r, v_set1_f32(0.49999994f));
    p = v_fma_f32(p, r, v_set1_f32(sign));
    return (exp_parts_f32){v_fma_f32(p, r, v_set1_f32(1.0f)), v_pow2_f32(shifted)};
}

FR_INLINE vec_f32 v_exp_f32(vec_f32 x) {
    const exp_parts_f32 e = exp_of_f32(x, 1);
    return v_mul_f32(e.factor, e.power);
}

FR_INLINE vec_f32 v_tanh_f32(vec_f32 x) {
    x = v_min_f32(v_set1_f32(7.98f), v_max_f32(v_set1_f32(-7.98f), x));
    vec_f32 u = v_mul_f32(x, x);
    vec_f32 p = v_set1_f32(1.5269778e-08f);
    p = v_fma_f32(p, u, v_set1_f32(2.1920436e-05f));
    p = v_fma_f32(p, u, v_set1_f32(0.0035730852f));
    p = v_fma_f32(p, u, v_set1_f32(0.1344573f));
    p = v_fma_f32(p, u, v_set1_f32(1.0f));
    vec_f32 q = v_set1_f32(8.5377053e-07f);
    q = v_fma_f32(q, u, v_set1_f32(0.00034137742f));
    q = v_fma_f32(q, u, v_set1_f32(0.026170038f));
    q = v_fma_f32(q, u, v_set1_f32(0.46779057f));
    q = v_fma_f32(q, u, v_set1_f32(1.0f));
    return v_div_f32(v_mul_f32(x, p), q);
}

FR_INLINE vec_f32 v_sigmoid_f32(vec_f32 x) {
    const vec_f32 one = v_set1_f32(1.0f);
    const exp_parts_f32 e = exp_of_f32(x, -1);
    return v_div_f32(one, v_fma_f32(e.factor, e.power, one));
}

/* rows[i][j] and rows[j][i] change places. */
#define FR_TRANSPOSE(T, R)                                                       \
    FR_INLINE void v_transpose_##T(vec_##T *rows) {                              \
        R square[VEC_LANES_##T][VEC_LANES_##T], column[VEC_LANES_##T];           \
        for (int i = 0; i < VEC_LANES_##T; i++) v_store_##T(square[i], rows[i]); \
        for (int j = 0; j < VEC_LANES_##T; j++) {                                \
            for (int i = 0; i < VEC_LANES_##T; i++) column[i] = square[i][j];    \
            rows[j] = v_load_##T(column);                                        \
        }                                                                        \
    }
#ifndef TRANSPOSES_F32
FR_TRANSPOSE(f32, float)
#endif
FR_TRANSPOSE(f64, double)
#undef FR_TRANSPOSE

static double sigmoid_f64(double x) { return 1.0 / (1.0 + exp(-x)); }

FR_INLINE vec_f64 v_map_f64(vec_f64 x, double (*function)(double)) {
    double lane[VEC_LANES_f64];
    v_store_f64(lane, x);
    for (int i = 0; i < VEC_LANES_f64; i++) lane[i] = function(lane[i]);
    return v_load_f64(lane);
}

FR_INLINE vec_f64 v_exp_f64(vec_f64 x) { return v_map_f64(x, exp); }
FR_INLINE vec_f64 v_tanh_f64(vec_f64 x) { return v_map_f64(x, tanh); }
FR_INLINE vec_f64 v_sigmoid_f64(vec_f64 x) { return v_map_f64(x, sigmoid_f64); }

#endif
