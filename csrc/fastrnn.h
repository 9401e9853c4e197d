/* The kernel table: everything the Cython loops may call.
 *
 * kernels.def lists the kernels once; it is expanded here into two structs of function
 * pointers (float32 and float64), and in targets/ into one const table per ISA.
 */
#ifndef FASTRNN_H
#define FASTRNN_H

#include <stddef.h>
#include <stdint.h>

/* f in h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh). */
typedef enum {
    FR_LINEAR = 0,
    FR_TANH = 1,
    FR_RELU = 2,
    FR_SIGMOID = 3,
} fr_nonlinearity;

/* What packed weights are stored as. */
typedef enum {
    FR_STORED_REAL = 0,
    FR_STORED_BF16 = 1, /* the upper half of a float, rounded to nearest even */
    FR_STORED_INT8 = 2, /* multiples of max |w| / 127 of their row of W */
} fr_stored;

/* How a token is drawn; see `sample` in kernels.def. */
typedef struct {
    double repetition_penalty; /* 1: none */
    double temperature;
    ptrdiff_t top_k;
    double top_p, min_p;
} fr_sampling;

#define REAL float
typedef struct {
#define FR_KERNEL(result, name, args) result(*name) args;
#define FR_KERNEL_F32 FR_KERNEL
#include "kernels.def"
#undef FR_KERNEL
#undef FR_KERNEL_F32
} fr_kernels_f32;
#undef REAL

#define REAL double
typedef struct {
#define FR_KERNEL(result, name, args) result(*name) args;
#define FR_KERNEL_F32(result, name, args)
#include "kernels.def"
#undef FR_KERNEL
#undef FR_KERNEL_F32
} fr_kernels_f64;
#undef REAL

typedef struct {
    const char *isa;
    fr_kernels_f32 f32;
    fr_kernels_f64 f64;
} fr_kernels;

/* The ISAs compiled into this build that this processor can run, best last.
 * Returns how many; writes at most `room` pointers. */
int fr_available(const fr_kernels **tables, int room);

/* Flush subnormals to zero for the calling thread; returns what fr_fpmode_restore needs.
 * Vanishing gradients become subnormal, and those cost about a hundred cycles each. */
uint64_t fr_fpmode_flush(void);
void fr_fpmode_restore(uint64_t saved);

#endif
