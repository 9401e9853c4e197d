/* aarch64: the generic vectors with a fused multiply-add and a tile for 32 registers. */
#include <arm_neon.h>

#define FR_FUSED
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
