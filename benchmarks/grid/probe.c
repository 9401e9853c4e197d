/* What one core of this machine can do: clock, multiply-adds, reads. Built with the compiler's
   own instruction set (-march=native) by probe.py, which divides work by the seconds returned. */

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX__)
#define WIDTH 8
#else
#define WIDTH 4
#endif

typedef float vec
    __attribute__((vector_size(WIDTH * sizeof(float)), aligned(sizeof(float)), may_alias));

/* Accumulators of the multiply-adds: enough to hide a latency of 4 cycles on 2 to 3 units, few
   enough for the 16 registers of AVX2 with the two operands. */
#define ACCUMULATORS 12
/* Vectors read per turn of the loop that measures bandwidth. */
#define STREAMS 8

/* What a result is written to, so that the compiler cannot leave out its computation. */
static volatile float sink;

static double now(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int probe_width(void) { return WIDTH; }

/* Seconds for 16 * turns dependent additions of registers, one cycle each. */
double probe_cycles(long turns) {
    uint64_t x = 1, y = (uint64_t)turns;
    double start = now();
    for (long i = 0; i < turns; i++) {
#pragma GCC unroll 16
        for (int k = 0; k < 16; k++) {
            x += y;
            __asm__ volatile("" : "+r"(x));
        }
    }
    double seconds = now() - start;
    sink = (float)x;
    return seconds;
}

/* Seconds for turns * ACCUMULATORS vector multiply-adds, 2 * WIDTH operations each. */
double probe_multiply_adds(long turns) {
    vec sum[ACCUMULATORS], a, b;
    for (int k = 0; k < WIDTH; k++) a[k] = 0.5f, b[k] = 1.0f;
    for (int k = 0; k < ACCUMULATORS; k++) sum[k] = a;
    double start = now();
    for (long i = 0; i < turns; i++) {
#pragma GCC unroll 12
        for (int k = 0; k < ACCUMULATORS; k++) sum[k] = a * sum[k] + b;
    }
    double seconds = now() - start;
    for (int k = 0; k < ACCUMULATORS; k++) sink = sum[k][0];
    return seconds;
}

int probe_accumulators(void) { return ACCUMULATORS; }

/* Seconds to read `count` floats `passes` times, one addition per vector. */
double probe_reads(const float *data, long count, long passes) {
    vec sum[STREAMS] = {0};
    double start = now();
    for (long pass = 0; pass < passes; pass++) {
        for (const float *p = data; p + STREAMS * WIDTH <= data + count; p += STREAMS * WIDTH) {
#pragma GCC unroll 8
            for (int k = 0; k < STREAMS; k++) sum[k] += *(const vec *)(p + k * WIDTH);
        }
        __asm__ volatile("" : : "r"(data) : "memory"); /* the next pass reads anew */
    }
    double seconds = now() - start;
    for (int k = 0; k < STREAMS; k++) sink = sum[k][0];
    return seconds;
}
