/* What one core can do at best: the constants of the benchmark's estimated limit. The caller
 * divides what a kernel says it did by the time it took. */
#define READ_STREAMS 8

static ptrdiff_t FR_NAME(probe_chain)(ptrdiff_t length) {
    ptrdiff_t x = 0, one = 1;
    /* An addition of two registers takes one cycle everywhere. The barrier keeps the compiler from
     * adding several at once. */
    for (ptrdiff_t i = 0; i < length; i += 16) {
        FR_UNROLL
        for (int k = 0; k < 16; k++) {
            x += one;
            __asm__ volatile("" : "+r"(x), "+r"(one));
        }
    }
    return x;
}

/* As many chains as the tile of tile.h, which hide the latency of all units that there are. */
static double FR_NAME(probe_multiply_adds)(REAL *result, ptrdiff_t turns) {
    vec sum[TILE_ROWS * TILE_VECS];
    const vec half = v_set1((REAL)0.5), one = v_set1(1);
    for (int k = 0; k < TILE_ROWS * TILE_VECS; k++) sum[k] = v_set1((REAL)k);
    for (ptrdiff_t i = 0; i < turns; i++) {
        FR_UNROLL
        for (int k = 0; k < TILE_ROWS * TILE_VECS; k++) sum[k] = v_fma(half, sum[k], one);
    }
    vec total = sum[0];
    for (int k = 1; k < TILE_ROWS * TILE_VECS; k++) total = v_add(total, sum[k]);
    v_store(result, total);
    return 2.0 * LANES * TILE_ROWS * TILE_VECS * (double)turns;
}

static ptrdiff_t FR_NAME(probe_lanes)(void) { return LANES; }

static void FR_NAME(probe_reads)(REAL *result, const REAL *x, ptrdiff_t size, ptrdiff_t passes) {
    vec sum[READ_STREAMS];
    for (int k = 0; k < READ_STREAMS; k++) sum[k] = v_set1(0);
    for (ptrdiff_t pass = 0; pass < passes; pass++) {
        ptrdiff_t i = 0;
        for (; i + READ_STREAMS * LANES <= size; i += READ_STREAMS * LANES) {
            FR_UNROLL
            for (int k = 0; k < READ_STREAMS; k++)
                sum[k] = v_add(sum[k], v_load(x + i + k * LANES));
        }
        for (; i < size; i += LANES) sum[0] = v_add(sum[0], v_load_tail(x + i, size - i));
        __asm__ volatile("" : : "r"(x) : "memory"); /* the next pass reads anew */
    }
    for (int k = 1; k < READ_STREAMS; k++) sum[0] = v_add(sum[0], sum[k]);
    v_store(result, sum[0]);
}
