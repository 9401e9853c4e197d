/* 16-byte vectors in the GCC/Clang vector extension: SSE2 on x86-64, NEON on aarch64, whatever
 * the compiler has elsewhere. neon.h replaces the multiply-add by a fused one, and the loads that
 * widen. */
#include <math.h>
#include <string.h>

typedef float vec_f32 __attribute__((vector_size(16)));
typedef double vec_f64 __attribute__((vector_size(16)));
typedef int32_t veci_f32 __attribute__((vector_size(16)));
typedef int64_t veci_f64 __attribute__((vector_size(16)));
enum { VEC_LANES_f32 = 4, VEC_LANES_f64 = 2 };
#ifndef TILE_ROWS
/* 6 x 2 accumulators, 2 weights, 1 broadcast, 1 product: 16 registers. */
#define TILE_ROWS 6
#define TILE_VECS 2
#endif
/* Sums of gates that wait for an activation would be kept in memory: GRU with SSE2 at half the
 * speed. */
#define GATES_IN_REGISTERS 0

#define FR_GENERIC_VEC(T, V, VI)                                                     \
    FR_INLINE V v_load_##T(const FR_TYPE_##T *p) {                                   \
        V a;                                                                         \
        memcpy(&a, p, sizeof a);                                                     \
        return a;                                                                    \
    }                                                                                \
    FR_INLINE void v_store_##T(FR_TYPE_##T *p, V a) { memcpy(p, &a, sizeof a); }     \
    FR_INLINE V v_load_tail_##T(const FR_TYPE_##T *p, ptrdiff_t n) {                 \
        if (n >= VEC_LANES_##T) return v_load_##T(p);                                \
        V a = {0};                                                                   \
        for (ptrdiff_t i = 0; i < n; i++) a[i] = p[i];                               \
        return a;                                                                    \
    }                                                                                \
    FR_INLINE void v_store_tail_##T(FR_TYPE_##T *p, V a, ptrdiff_t n) {              \
        if (n >= VEC_LANES_##T)                                                      \
            v_store_##T(p, a);                                                       \
        else                                                                         \
            for (ptrdiff_t i = 0; i < n; i++) p[i] = a[i];                           \
    }                                                                                \
    FR_INLINE V v_set1_##T(FR_TYPE_##T x) { return (V){0} + x; }                     \
    FR_INLINE V v_add_##T(V a, V b) { return a + b; }                                \
    FR_INLINE V v_sub_##T(V a, V b) { return a - b; }                                \
    FR_INLINE V v_mul_##T(V a, V b) { return a * b; }                                \
    FR_INLINE V v_div_##T(V a, V b) { return a / b; }                                \
    FR_INLINE V v_sqrt_##T(V a) {                                                    \
        for (int i = 0; i < VEC_LANES_##T; i++) a[i] = FR_SQRT_##T(a[i]);            \
        return a;                                                                    \
    }                                                                                \
    FR_INLINE V v_max_##T(V a, V b) {                                                \
        VI m = a > b;                                                                \
        return (V)((m & (VI)a) | (~m & (VI)b));                                      \
    }                                                                                \
    FR_INLINE V v_min_##T(V a, V b) {                                                \
        VI m = a < b;                                                                \
        return (V)((m & (VI)a) | (~m & (VI)b));                                      \
    }                                                                                \
    FR_INLINE V v_where_positive_##T(V x, V a) { return (V)((x > (V){0}) & (VI)a); } \
    FR_INLINE FR_TYPE_##T v_sum_##T(V a) {                                           \
        FR_TYPE_##T sum = a[0];                                                      \
        for (int i = 1; i < VEC_LANES_##T; i++) sum += a[i];                         \
        return sum;                                                                  \
    }                                                                                \
    FR_INLINE FR_TYPE_##T v_largest_##T(V a) {                                       \
        FR_TYPE_##T most = a[0];                                                     \
        for (int i = 1; i < VEC_LANES_##T; i++) most = a[i] > most ? a[i] : most;    \
        return most;                                                                 \
    }

#define FR_TYPE_f32 float
#define FR_TYPE_f64 double
#define FR_SQRT_f32 sqrtf
#define FR_SQRT_f64 sqrt
FR_GENERIC_VEC(f32, vec_f32, veci_f32)
FR_GENERIC_VEC(f64, vec_f64, veci_f64)

#ifndef FR_FUSED
FR_INLINE vec_f32 v_fma_f32(vec_f32 a, vec_f32 b, vec_f32 c) { return a * b + c; }
FR_INLINE vec_f64 v_fma_f64(vec_f64 a, vec_f64 b, vec_f64 c) { return a * b + c; }
#endif

/* 2^n, where the low bits of `biased` are n + 127. */
FR_INLINE vec_f32 v_pow2_f32(vec_f32 biased) {
    typedef uint32_t vecu __attribute__((vector_size(16)));
    return (vec_f32)((vecu)biased << 23);
}

#define BF16_PAIRS 0
#ifdef FR_WIDENS
#elif defined(__SSE2__) /* GCC takes such narrow vectors apart, element by element. */
#include <emmintrin.h>
FR_INLINE vec_f32 v_load_bf16(const uint16_t *p, const int j) {
    const __m128i a = _mm_loadl_epi64((const void *)(p + 4 * j));
    return (vec_f32)_mm_unpacklo_epi16(_mm_setzero_si128(), a);
}
FR_INLINE vec_f32 v_load_int8(const int8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    __m128i a = _mm_cvtsi32_si128(four);
    a = _mm_unpacklo_epi8(a, a);
    a = _mm_unpacklo_epi16(a, a);
    return (vec_f32)_mm_cvtepi32_ps(_mm_srai_epi32(a, 24));
}
#else
FR_INLINE vec_f32 v_load_bf16(const uint16_t *p, const int j) {
    typedef uint16_t half __attribute__((vector_size(8)));
    typedef uint32_t whole __attribute__((vector_size(16)));
    half a;
    memcpy(&a, p + 4 * j, sizeof a);
    return (vec_f32)(__builtin_convertvector(a, whole) << 16);
}
FR_INLINE vec_f32 v_load_int8(const int8_t *p) {
    typedef int8_t quarter __attribute__((vector_size(4)));
    quarter a;
    memcpy(&a, p, sizeof a);
    return __builtin_convertvector(__builtin_convertvector(a, veci_f32), vec_f32);
}
#endif
