/* Dropout: G. E. Hinton et al., arXiv:1207.0580, scaled so that expectations stay.
 *
 * Whether an element is dropped is a function of the seed, its row and its column alone: the
 * gradient's mask is computed again instead of kept, and does not depend on how rows are split
 * over threads. The function is splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
 * number generators", OOPSLA 2014) of a counter; each of its outputs decides for four elements.
 */
#ifndef DROPOUT_RUN
#define DROPOUT_RUN 256

FR_INLINE uint64_t splitmix64(uint64_t counter) {
    uint64_t z = (counter + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
#endif

static void FR_NAME(dropout)(REAL *out, const REAL *x, uint64_t seed, int64_t first_row,
                             ptrdiff_t m, ptrdiff_t n, int32_t threshold) {
    const REAL scale = (REAL)(65536.0 / (65536.0 - (double)threshold));
    uint64_t draws[DROPOUT_RUN / 4];
    uint16_t bits[DROPOUT_RUN];
    for (ptrdiff_t r = 0; r < m; r++, x += n, out += n) {
        const uint64_t row = splitmix64(seed ^ splitmix64((uint64_t)(first_row + r)));
        for (ptrdiff_t start = 0; start < n; start += DROPOUT_RUN) {
            const ptrdiff_t size = n - start < DROPOUT_RUN ? n - start : DROPOUT_RUN;
            for (ptrdiff_t i = 0; i < (size + 3) / 4; i++)
                draws[i] = splitmix64(row + (uint64_t)(start / 4 + i));
            memcpy(bits, draws, (size_t)(size + 3) / 4 * sizeof *draws);
            for (ptrdiff_t i = 0; i < size; i++)
                out[start + i] = bits[i] >= threshold ? x[start + i] * scale : 0;
        }
    }
}
