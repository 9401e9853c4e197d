/* AVX2 with FMA: 16 registers of 8 floats or 4 doubles; tails by a vector mask. */
#include <immintrin.h>

typedef __m256 vec_f32;
typedef __m256d vec_f64;
enum { VEC_LANES_f32 = 8, VEC_LANES_f64 = 4 };
/* 6 x 2 accumulators, 2 weights, 1 broadcast: 15 of 16 registers. */
#define TILE_ROWS 6
#define TILE_VECS 2
#define GATES_IN_REGISTERS 1

FR_INLINE __m256i mask_f32(ptrdiff_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}
FR_INLINE __m256i mask_f64(ptrdiff_t n) {
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)n), lane);
}

FR_INLINE vec_f32 v_load_f32(const float *p) { return _mm256_loadu_ps(p); }
FR_INLINE void v_store_f32(float *p, vec_f32 a) { _mm256_storeu_ps(p, a); }
FR_INLINE vec_f32 v_load_tail_f32(const float *p, ptrdiff_t n) {
    return n >= 8 ? v_load_f32(p) : _mm256_maskload_ps(p, mask_f32(n));
}
FR_INLINE void v_store_tail_f32(float *p, vec_f32 a, ptrdiff_t n) {
    if (n >= 8)
        v_store_f32(p, a);
    else
        _mm256_maskstore_ps(p, mask_f32(n), a);
}
FR_INLINE vec_f32 v_set1_f32(float x) { return _mm256_set1_ps(x); }
FR_INLINE vec_f32 v_add_f32(vec_f32 a, vec_f32 b) { return _mm256_add_ps(a, b); }
FR_INLINE vec_f32 v_sub_f32(vec_f32 a, vec_f32 b) { return _mm256_sub_ps(a, b); }
FR_INLINE vec_f32 v_mul_f32(vec_f32 a, vec_f32 b) { return _mm256_mul_ps(a, b); }
FR_INLINE vec_f32 v_div_f32(vec_f32 a, vec_f32 b) { return _mm256_div_ps(a, b); }
FR_INLINE vec_f32 v_sqrt_f32(vec_f32 a) { return _mm256_sqrt_ps(a); }
FR_INLINE vec_f32 v_fma_f32(vec_f32 a, vec_f32 b, vec_f32 c) { return _mm256_fmadd_ps(a, b, c); }
FR_INLINE vec_f32 v_max_f32(vec_f32 a, vec_f32 b) { return _mm256_max_ps(a, b); }
FR_INLINE vec_f32 v_min_f32(vec_f32 a, vec_f32 b) { return _mm256_min_ps(a, b); }
FR_INLINE float v_sum_f32(vec_f32 a) {
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
FR_INLINE float v_largest_f32(vec_f32 a) {
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}
FR_INLINE vec_f32 v_where_positive_f32(vec_f32 x, vec_f32 a) {
    return _mm256_and_ps(_mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ), a);
}
/* Pairs of elements, pairs of pairs, then halves of a vector change places. */
#define TRANSPOSES_F32
FR_INLINE void v_transpose_f32(vec_f32 *rows) {
    __m256d pairs[8];
    FR_UNROLL
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm256_castps_pd(_mm256_unpacklo_ps(rows[i], rows[i + 1]));
        pairs[i + 1] = _mm256_castps_pd(_mm256_unpackhi_ps(rows[i], rows[i + 1]));
    }
    FR_UNROLL
    for (int i = 0; i < 8; i += 4) {
        rows[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(pairs[i], pairs[i + 2]));
        rows[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(pairs[i], pairs[i + 2]));
        rows[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(pairs[i + 1], pairs[i + 3]));
        rows[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(pairs[i + 1], pairs[i + 3]));
    }
    FR_UNROLL
    for (int i = 0; i < 4; i++) {
        const __m256 low = _mm256_permute2f128_ps(rows[i], rows[i + 4], 0x20);
        rows[i + 4] = _mm256_permute2f128_ps(rows[i], rows[i + 4], 0x31);
        rows[i] = low;
    }
}
FR_INLINE vec_f32 v_pow2_f32(vec_f32 biased) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(biased), 23));
}

/* Two vectors lie in pairs of elements, so that either takes one operation. */
#define BF16_PAIRS 1
FR_INLINE vec_f32 v_load_bf16(const uint16_t *p, const int j) {
    const __m256i pairs = _mm256_loadu_si256((const void *)(p + j / 2 * 16));
    return _mm256_castsi256_ps(j % 2 ? _mm256_and_si256(pairs, _mm256_set1_epi32(-0x10000))
                                     : _mm256_slli_epi32(pairs, 16));
}
FR_INLINE vec_f32 v_load_int8(const int8_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
}

FR_INLINE vec_f64 v_load_f64(const double *p) { return _mm256_loadu_pd(p); }
FR_INLINE void v_store_f64(double *p, vec_f64 a) { _mm256_storeu_pd(p, a); }
FR_INLINE vec_f64 v_load_tail_f64(const double *p, ptrdiff_t n) {
    return n >= 4 ? v_load_f64(p) : _mm256_maskload_pd(p, mask_f64(n));
}
FR_INLINE void v_store_tail_f64(double *p, vec_f64 a, ptrdiff_t n) {
    if (n >= 4)
        v_store_f64(p, a);
    else
        _mm256_maskstore_pd(p, mask_f64(n), a);
}
FR_INLINE vec_f64 v_set1_f64(double x) { return _mm256_set1_pd(x); }
FR_INLINE vec_f64 v_add_f64(vec_f64 a, vec_f64 b) { return _mm256_add_pd(a, b); }
FR_INLINE vec_f64 v_sub_f64(vec_f64 a, vec_f64 b) { return _mm256_sub_pd(a, b); }
FR_INLINE vec_f64 v_mul_f64(vec_f64 a, vec_f64 b) { return _mm256_mul_pd(a, b); }
FR_INLINE vec_f64 v_div_f64(vec_f64 a, vec_f64 b) { return _mm256_div_pd(a, b); }
FR_INLINE vec_f64 v_sqrt_f64(vec_f64 a) { return _mm256_sqrt_pd(a); }
FR_INLINE vec_f64 v_fma_f64(vec_f64 a, vec_f64 b, vec_f64 c) { return _mm256_fmadd_pd(a, b, c); }
FR_INLINE vec_f64 v_max_f64(vec_f64 a, vec_f64 b) { return _mm256_max_pd(a, b); }
FR_INLINE vec_f64 v_min_f64(vec_f64 a, vec_f64 b) { return _mm256_min_pd(a, b); }
FR_INLINE double v_sum_f64(vec_f64 a) {
    __m128d b = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b)));
}
FR_INLINE double v_largest_f64(vec_f64 a) {
    __m128d b = _mm_max_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_max_sd(b, _mm_unpackhi_pd(b, b)));
}
FR_INLINE vec_f64 v_where_positive_f64(vec_f64 x, vec_f64 a) {
    return _mm256_and_pd(_mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_GT_OQ), a);
}
