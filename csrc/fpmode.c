#include "fastrnn.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

/* MXCSR: bit 15 flushes subnormal results, bit 6 reads subnormal inputs as zero. */
uint64_t fr_fpmode_flush(void) {
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | 0x8040u);
    return saved;
}

void fr_fpmode_restore(uint64_t saved) { _mm_setcsr((unsigned)saved); }

#elif defined(__aarch64__)

/* FPCR: bit 24 flushes subnormals. */
uint64_t fr_fpmode_flush(void) {
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"(saved | (UINT64_C(1) << 24)));
    return saved;
}

void fr_fpmode_restore(uint64_t saved) { __asm__ volatile("msr fpcr, %0" : : "r"(saved)); }

#else

uint64_t fr_fpmode_flush(void) { return 0; }

void fr_fpmode_restore(uint64_t saved) { (void)saved; }

#endif
