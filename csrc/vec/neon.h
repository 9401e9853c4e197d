/* aarch64: the generic vectors with a fused multiply-add, widening loads and a tile for
 * 32 registers. */
#include <arm_neon.h>

#define FR_FUSED
#define FR_WIDENS
/* 8 x 3 accumulators, 3 weights, 1 broadcast: 28 of 32 registers. */
#define TILE_ROWS 8
#define TILE_VECS 3
#include "generic.h"

FR_INLINE vec_f32 v_fma_f32(vec_f32 a, vec_f32 b, vec_f32 c) {
    return (vec_f32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
FR_INLINE vec_f64 v_fma_f64(vec_f64 a, vec_f64 b, vec_f64 c) {
    return (vec_f64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
FR_INLINE vec_f32 v_load_bf16(const uint16_t *p, const int j) {
    return (vec_f32)vshll_n_u16(vld1_u16(p + 4 * j), 16);
}
FR_INLINE vec_f32 v_load_int8(const int8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
    return (vec_f32)vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
}
