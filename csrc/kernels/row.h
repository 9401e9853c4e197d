/* The product of a single row, activated before it is stored.
 *
 * Of one sequence a step takes what its latencies add up to, so that stored sums that are loaded
 * again to be activated are time (docs/performance.md, "One row"). The sums are those of a tile, in
 * the same order.
 */
#if MAX_PANELS != 4
#error "row_groups has a case for each number of panels"
#endif
#define row_columns FR_NAME(row_columns)
#define row_groups FR_NAME(row_groups)
#define row_run FR_NAME(row_run)

/* Calls with what weights are stored as for a constant. */
#undef FR_BY_STORED
#if SMALL_WEIGHTS
#define FR_BY_STORED(stored, CALL)                        \
    switch (stored) {                                     \
        case FR_STORED_BF16: CALL(FR_STORED_BF16); break; \
        case FR_STORED_INT8: CALL(FR_STORED_INT8); break; \
        case FR_STORED_REAL: CALL(FR_STORED_REAL); break; \
    }
#else
#define FR_BY_STORED(stored, CALL) CALL(FR_STORED_REAL)
#endif

/* `n` columns, in `width` vectors: of whole panels, or the first of one. */
FR_INLINE void row_columns(REAL *c, const REAL *init, const factor *f, ptrdiff_t n,
                           fr_nonlinearity nonlinearity, const int width, const fr_stored stored) {
    const tile_args t = {
        .c = c,
        .c_stride = PANEL,
        .c_left = n,
        .init = init,
        .init_stride = PANEL,
        .init_left = n,
        .step = PANEL,
        .factors = {*f},
        .count = 1,
    };
    vec z[MAX_PANELS * TILE_VECS];
    tile_sums(&t, z, 1, width, stored);
    row_activate(z, width, nonlinearity);
    store_tile(&t, z, 1, width);
}

#define FR_COLUMNS(panels, width) \
    case panels: row_columns(c + column, from, &f, n, nonlinearity, width, stored); break

FR_INLINE void row_groups(REAL *c, const REAL *init, const REAL *a, const void *packed, ptrdiff_t k,
                          ptrdiff_t first, ptrdiff_t last, int reverse,
                          fr_nonlinearity nonlinearity, const fr_stored stored) {
    const ptrdiff_t most = MAX_PANELS * PANEL, groups = (last - first + most - 1) / most;
    for (ptrdiff_t done = 0; done < groups; done++) {
        const ptrdiff_t column = first + (reverse ? groups - 1 - done : done) * most;
        const ptrdiff_t n = last - column < most ? last - column : most;
        const REAL *from = init ? init + column : NULL;
        const factor f = {a, k, 0, panel_at(packed, column / PANEL, k, stored), k, 0};
        switch (n <= LANES ? 0 : PANELS_OF(n)) { /* 0: not even a panel, one vector */
            FR_COLUMNS(0, 1);
            FR_COLUMNS(1, TILE_VECS);
            FR_COLUMNS(2, 2 * TILE_VECS);
            FR_COLUMNS(3, 3 * TILE_VECS);
            FR_COLUMNS(4, 4 * TILE_VECS);
        }
    }
}
#undef FR_COLUMNS

/* c <- f(init + a @ packed), for columns `first`, which starts a panel, to `last`. `init` may be
 * NULL. */
static void row_run(REAL *c, const REAL *init, const REAL *a, const void *packed, ptrdiff_t k,
                    ptrdiff_t first, ptrdiff_t last, int reverse, fr_nonlinearity nonlinearity,
                    fr_stored stored) {
#define FR_CALL(stored) \
    row_groups(c, init, a, packed, k, first, last, reverse, nonlinearity, stored)
    FR_BY_STORED(stored, FR_CALL);
#undef FR_CALL
    (void)stored;
}
