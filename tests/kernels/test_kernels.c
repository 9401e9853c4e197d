/* Every kernel of every ISA that this machine runs, in both precisions, against plain loops in
 * double, over odd sizes. Buffers are allocated to the element, so that AddressSanitizer sees a
 * tail that reads or writes one too far.
 *
 * Prints a line per ISA; the exit status is the number of failures (at most 100).
 */
#include "fastrnn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ptrdiff_t SIZES[] = {1, 2, 3, 5, 7, 15, 16, 17, 31, 33, 63, 65, 97, 129};
enum { NUM_SIZES = sizeof SIZES / sizeof *SIZES };

static int failures;
static uint64_t random_state = 88172645463325252u;

/* xorshift64: uniform in [-1, 1). */
static double uniform(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 4503599627370496.0 - 1.0;
}

static double reference_f(double z, fr_nonlinearity f) {
    switch (f) {
        case FR_TANH: return tanh(z);
        case FR_RELU: return z > 0 ? z : 0;
        case FR_SIGMOID: return 1 / (1 + exp(-z));
        case FR_LINEAR: break;
    }
    return z;
}

static double reference_derivative(double h, fr_nonlinearity f) {
    switch (f) {
        case FR_TANH: return 1 - h * h;
        case FR_RELU: return h > 0 ? 1 : 0;
        case FR_SIGMOID: return h * (1 - h);
        case FR_LINEAR: break;
    }
    return 1;
}

static void check(const char *isa, const char *kernel, ptrdiff_t m, ptrdiff_t n, double got,
                  double expected, double tolerance) {
    if (fabs(got - expected) <= tolerance * (1 + fabs(expected))) return;
    if (failures++ < 20)
        fprintf(stderr, "%s %s (%td, %td): got %.9g, expected %.9g\n", isa, kernel, m, n, got,
                expected);
}

#define REAL float
#define SUFFIX f32
#define TOLERANCE 1e-5
#include "kernel_cases.h"
#include "small_cases.h"
#undef REAL
#undef SUFFIX
#undef TOLERANCE

#define REAL double
#define SUFFIX f64
#define TOLERANCE 1e-13
#include "kernel_cases.h"

/* A subnormal product is flushed inside, and exact again outside. */
static void check_fpmode(void) {
    volatile double tiny = 1e-300, small = 1e-10;
    const uint64_t saved = fr_fpmode_flush();
    const double inside = tiny * small;
    fr_fpmode_restore(saved);
    const double outside = tiny * small;
#if defined(__x86_64__) || defined(__aarch64__)
    check("fpmode", "flush", 0, 0, inside, 0, 0);
#else
    (void)inside;
#endif
    check("fpmode", "restore", 0, 0, outside > 0, 1, 0);
}

int main(void) {
    const fr_kernels *tables[8];
    const int count = fr_available(tables, 8);
    for (int i = 0; i < count; i++) {
        run_f32(tables[i]->isa, &tables[i]->f32);
        run_f64(tables[i]->isa, &tables[i]->f64);
        run_small(tables[i]->isa, &tables[i]->f32);
        printf("%s: %s\n", tables[i]->isa, failures ? "FAILED" : "ok");
    }
    check_fpmode();
    return failures < 100 ? failures : 100;
}
