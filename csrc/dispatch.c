/* Which kernel tables this build holds, and which of them this processor runs. setup.py
 * defines FR_HAVE_<ISA> for every target it compiled. */
#include "fastrnn.h"

extern const fr_kernels fr_kernels_baseline, fr_kernels_x86_v3, fr_kernels_x86_v4, fr_kernels_neon;

int fr_available(const fr_kernels **tables, int room) {
    int count = 0;
#define FR_OFFER(table, runs)                                   \
    do {                                                        \
        if ((runs) && count < room) tables[count++] = &(table); \
    } while (0)

    FR_OFFER(fr_kernels_baseline, 1);
#ifdef FR_HAVE_X86_V3
    __builtin_cpu_init();
    const int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    FR_OFFER(fr_kernels_x86_v3, v3);
#endif
#ifdef FR_HAVE_X86_V4
    __builtin_cpu_init();
    const int v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    FR_OFFER(fr_kernels_x86_v4, v4);
#endif
#ifdef FR_HAVE_NEON
    FR_OFFER(fr_kernels_neon, 1);
#endif
    return count;
}
