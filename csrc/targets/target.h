/* Builds one kernel table. A target names its ISA and vector header, then includes this. */
#include "../fastrnn.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define FR_INLINE static inline __attribute__((always_inline, unused))
#if defined(__clang__)
#define FR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FR_UNROLL _Pragma("GCC unroll 64")
#endif

/* Hides from the compiler how a pointer was computed. */
#define FR_OPAQUE(pointer) __asm__("" : "+r"(pointer))

#include FR_VEC

#include "../kernels/math.h"

#define REAL float
#define SUFFIX f32
#define SMALL_WEIGHTS 1
#include "../kernels/all.h"
#undef REAL
#undef SUFFIX
#undef SMALL_WEIGHTS

#define REAL double
#define SUFFIX f64
#define SMALL_WEIGHTS 0
#include "../kernels/all.h"
#undef REAL
#undef SUFFIX
#undef SMALL_WEIGHTS

#define FR_STRING_(x) #x
#define FR_STRING(x) FR_STRING_(x)
#define FR_TABLE_(isa) fr_kernels_##isa
#define FR_TABLE(isa) FR_TABLE_(isa)

const fr_kernels FR_TABLE(FR_ISA) = {
    .isa = FR_STRING(FR_ISA),
#define FR_KERNEL(result, name, args) .name = name##_f32,
#define FR_KERNEL_F32 FR_KERNEL
    .f32 =
        {
#include "../kernels.def"
        },
#undef FR_KERNEL
#undef FR_KERNEL_F32
#define FR_KERNEL(result, name, args) .name = name##_f64,
#define FR_KERNEL_F32(result, name, args)
    .f64 =
        {
#include "../kernels.def"
        },
#undef FR_KERNEL
#undef FR_KERNEL_F32
};
