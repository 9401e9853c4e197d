/* AVX-512 (F, VL, BW, DQ): 32 registers of 16 floats or 8 doubles; tails by mask. */
#include <immintrin.h>

typedef __m512 vec_f32;
typedef __m512d vec_f64;
enum { VEC_LANES_f32 = 16, VEC_LANES_f64 = 8 };
/* 14 x 2 accumulators, 2 weights, 1 broadcast: 31 of 32 registers. */
#define TILE_ROWS 14
#define TILE_VECS 2
#define GATES_IN_REGISTERS 1

FR_INLINE __mmask16 mask_f32(ptrdiff_t n) { return (__mmask16)((1u << n) - 1u); }
FR_INLINE __mmask8 mask_f64(ptrdiff_t n) { return (__mmask8)((1u << n) - 1u); }

FR_INLINE vec_f32 v_load_f32(const float *p) { return _mm512_loadu_ps(p); }
FR_INLINE void v_store_f32(float *p, vec_f32 a) { _mm512_storeu_ps(p, a); }
FR_INLINE vec_f32 v_load_tail_f32(const float *p, ptrdiff_t n) {
    return n >= 16 ? v_load_f32(p) : _mm512_maskz_loadu_ps(mask_f32(n), p);
}
FR_INLINE void v_store_tail_f32(float *p, vec_f32 a, ptrdiff_t n) {
    if (n >= 16)
        v_store_f32(p, a);
    else
        _mm512_mask_storeu_ps(p, mask_f32(n), a);
}
FR_INLINE vec_f32 v_set1_f32(float x) { return _mm512_set1_ps(x); }
FR_INLINE vec_f32 v_add_f32(vec_f32 a, vec_f32 b) { return _mm512_add_ps(a, b); }
FR_INLINE vec_f32 v_sub_f32(vec_f32 a, vec_f32 b) { return _mm512_sub_ps(a, b); }
FR_INLINE vec_f32 v_mul_f32(vec_f32 a, vec_f32 b) { return _mm512_mul_ps(a, b); }
FR_INLINE vec_f32 v_div_f32(vec_f32 a, vec_f32 b) { return _mm512_div_ps(a, b); }
FR_INLINE vec_f32 v_sqrt_f32(vec_f32 a) { return _mm512_sqrt_ps(a); }
FR_INLINE vec_f32 v_fma_f32(vec_f32 a, vec_f32 b, vec_f32 c) { return _mm512_fmadd_ps(a, b, c); }
FR_INLINE vec_f32 v_max_f32(vec_f32 a, vec_f32 b) { return _mm512_max_ps(a, b); }
FR_INLINE vec_f32 v_min_f32(vec_f32 a, vec_f32 b) { return _mm512_min_ps(a, b); }
FR_INLINE float v_sum_f32(vec_f32 a) { return _mm512_reduce_add_ps(a); }
FR_INLINE float v_largest_f32(vec_f32 a) { return _mm512_reduce_max_ps(a); }
FR_INLINE vec_f32 v_where_positive_f32(vec_f32 x, vec_f32 a) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), a);
}
/* Pairs of elements, pairs of pairs, then quarters of a vector change places. */
#define TRANSPOSES_F32
FR_INLINE void v_transpose_f32(vec_f32 *rows) {
    __m512d pairs[16];
    FR_UNROLL
    for (int i = 0; i < 16; i += 2) {
        pairs[i] = _mm512_castps_pd(_mm512_unpacklo_ps(rows[i], rows[i + 1]));
        pairs[i + 1] = _mm512_castps_pd(_mm512_unpackhi_ps(rows[i], rows[i + 1]));
    }
    FR_UNROLL
    for (int i = 0; i < 16; i += 4) {
        rows[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(pairs[i], pairs[i + 2]));
        rows[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pairs[i], pairs[i + 2]));
        rows[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(pairs[i + 1], pairs[i + 3]));
        rows[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(pairs[i + 1], pairs[i + 3]));
    }
    FR_UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512 even_0 = _mm512_shuffle_f32x4(rows[i], rows[i + 4], 0x88);
        const __m512 odd_0 = _mm512_shuffle_f32x4(rows[i], rows[i + 4], 0xdd);
        const __m512 even_1 = _mm512_shuffle_f32x4(rows[i + 8], rows[i + 12], 0x88);
        const __m512 odd_1 = _mm512_shuffle_f32x4(rows[i + 8], rows[i + 12], 0xdd);
        rows[i] = _mm512_shuffle_f32x4(even_0, even_1, 0x88);
        rows[i + 4] = _mm512_shuffle_f32x4(odd_0, odd_1, 0x88);
        rows[i + 8] = _mm512_shuffle_f32x4(even_0, even_1, 0xdd);
        rows[i + 12] = _mm512_shuffle_f32x4(odd_0, odd_1, 0xdd);
    }
}
FR_INLINE vec_f32 v_pow2_f32(vec_f32 biased) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(biased), 23));
}

/* Two vectors lie in pairs of elements, so that either takes one operation. */
#define BF16_PAIRS 1
FR_INLINE vec_f32 v_load_bf16(const uint16_t *p, const int j) {
    const __m512i pairs = _mm512_loadu_si512((const void *)(p + j / 2 * 32));
    return _mm512_castsi512_ps(j % 2 ? _mm512_and_si512(pairs, _mm512_set1_epi32(-0x10000))
                                     : _mm512_slli_epi32(pairs, 16));
}
FR_INLINE vec_f32 v_load_int8(const int8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}

FR_INLINE vec_f64 v_load_f64(const double *p) { return _mm512_loadu_pd(p); }
FR_INLINE void v_store_f64(double *p, vec_f64 a) { _mm512_storeu_pd(p, a); }
FR_INLINE vec_f64 v_load_tail_f64(const double *p, ptrdiff_t n) {
    return n >= 8 ? v_load_f64(p) : _mm512_maskz_loadu_pd(mask_f64(n), p);
}
FR_INLINE void v_store_tail_f64(double *p, vec_f64 a, ptrdiff_t n) {
    if (n >= 8)
        v_store_f64(p, a);
    else
        _mm512_mask_storeu_pd(p, mask_f64(n), a);
}
FR_INLINE vec_f64 v_set1_f64(double x) { return _mm512_set1_pd(x); }
FR_INLINE vec_f64 v_add_f64(vec_f64 a, vec_f64 b) { return _mm512_add_pd(a, b); }
FR_INLINE vec_f64 v_sub_f64(vec_f64 a, vec_f64 b) { return _mm512_sub_pd(a, b); }
FR_INLINE vec_f64 v_mul_f64(vec_f64 a, vec_f64 b) { return _mm512_mul_pd(a, b); }
FR_INLINE vec_f64 v_div_f64(vec_f64 a, vec_f64 b) { return _mm512_div_pd(a, b); }
FR_INLINE vec_f64 v_sqrt_f64(vec_f64 a) { return _mm512_sqrt_pd(a); }
FR_INLINE vec_f64 v_fma_f64(vec_f64 a, vec_f64 b, vec_f64 c) { return _mm512_fmadd_pd(a, b, c); }
FR_INLINE vec_f64 v_max_f64(vec_f64 a, vec_f64 b) { return _mm512_max_pd(a, b); }
FR_INLINE vec_f64 v_min_f64(vec_f64 a, vec_f64 b) { return _mm512_min_pd(a, b); }
FR_INLINE double v_sum_f64(vec_f64 a) { return _mm512_reduce_add_pd(a); }
FR_INLINE double v_largest_f64(vec_f64 a) { return _mm512_reduce_max_pd(a); }
FR_INLINE vec_f64 v_where_positive_f64(vec_f64 x, vec_f64 a) {
    return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(x, _mm512_setzero_pd(), _CMP_GT_OQ), a);
}
