/* Matrix products, their packing, and sums over rows, on the tile of tile.h.
 *
 * The activation, or its derivative on the way back, is applied to a tile while it is still in L1,
 * with the choice made once per tile.
 */
#define gemm_args FR_CAT(gemm_args, SUFFIX)
#define finish FR_NAME(finish)
#define gemm_run FR_NAME(gemm_run)
#define load_transposed FR_NAME(load_transposed)
#define pack_transposed FR_NAME(pack_transposed)
#define pack_runs FR_NAME(pack_runs)

#ifndef GEMM_TN_DEPTH
#define GEMM_TN_DEPTH 256
#define SUM_VECS 8
#define SUM_RUN 16
#endif

typedef struct {
    REAL *c; /* (M, N) */
    ptrdiff_t ldc;
    const REAL *init;  /* as in tile_args, for row 0 and column 0 */
    ptrdiff_t ld_init; /* 0: one row for all, a bias */
    const int64_t *ids;
    factor factors[2]; /* from row 0; packed from column 0 */
    int count;
    fr_stored stored;
    ptrdiff_t m, n;
    ptrdiff_t first; /* columns before this one, which starts a panel, are left alone */
    int reverse;     /* walk the panels from the last to the first */
    fr_nonlinearity nonlinearity;
    const REAL *h; /* not NULL: the tile is multiplied by f'(z) taken from h (M, N), ld = ldc */
} gemm_args;

/* Applies f, or multiplies by f' taken from h, to a stored tile of `n` columns. */
static void finish(const gemm_args *g, ptrdiff_t row, ptrdiff_t column, int rows, ptrdiff_t n) {
    for (int r = 0; r < rows; r++) {
        REAL *z = g->c + (row + r) * g->ldc + column;
        if (g->h)
            multiply_derivative(z, g->h + (row + r) * g->ldc + column, n, g->nonlinearity);
        else
            FR_NAME(activate)(z, z, n, g->nonlinearity);
    }
}

/* The whole product, row tiles of nearly equal height so that none is left thin. A panel is
 * used for all rows before the next is read. */
static void gemm_run(const gemm_args *g) {
    const ptrdiff_t skipped = PANELS_OF(g->first), panels = PANELS_OF(g->n) - skipped;
    const ptrdiff_t tiles = ROW_TILES(g->m);
    ptrdiff_t weights = 0;
    for (int f = 0; f < g->count; f++) weights += g->n * g->factors[f].k;
    for (ptrdiff_t done = 0; done < panels;) {
        const int together = panels_at_once(g->m, panels - done);
        const ptrdiff_t panel = skipped + (g->reverse ? panels - done - together : done);
        const ptrdiff_t column = panel * PANEL, left = g->n - column;
        const ptrdiff_t next = done + together == panels ? 0 : g->reverse ? -1 : 1;
        for (ptrdiff_t i = 0; i < tiles; i++) {
            const ptrdiff_t row = tile_start(g->m, i, tiles);
            const int rows = (int)(tile_start(g->m, i + 1, tiles) - row);
            tile_args t = {
                .c = g->c + row * g->ldc + column,
                .ldc = g->ldc,
                .c_stride = PANEL,
                .c_left = left,
                .init = g->init ? g->init + (g->ids ? 0 : row * g->ld_init) + column : NULL,
                .ld_init = g->ld_init,
                .init_stride = PANEL,
                .init_left = left,
                .ids = g->ids ? g->ids + row : NULL,
                .step = PANEL,
                .count = g->count,
                .stored = g->stored,
            };
            for (int f = 0; f < g->count; f++) {
                t.factors[f] = g->factors[f];
                t.factors[f].a += row * (g->factors[f].at ? 1 : g->factors[f].stride);
                t.factors[f].packed =
                    panel_at(g->factors[f].packed, panel, g->factors[f].k, g->stored);
                t.factors[f].ahead = bytes_ahead(weights, g->factors[f].k, next, i, tiles);
            }
            if (g->init != g->c) fetch_tile(t.c, t.ldc, rows);
            tile_of(&t, rows, together);
            if (g->nonlinearity != FR_LINEAR)
                finish(g, row, column, rows, left < together * PANEL ? left : together * PANEL);
        }
        done += together;
    }
}

static ptrdiff_t FR_NAME(unit_block)(void) { return PANEL; }

static ptrdiff_t FR_NAME(pack_size)(ptrdiff_t k, ptrdiff_t n) { return PANELS_OF(n) * PANEL * k; }

/* square[i][j] <- a[j * stride + i], or 0 unless i < rows and j < columns. */
FR_INLINE void load_transposed(vec *square, const REAL *a, ptrdiff_t stride, ptrdiff_t rows,
                               ptrdiff_t columns) {
    FR_UNROLL
    for (int j = 0; j < LANES; j++)
        square[j] = j < columns ? v_load_tail(a + j * stride, rows) : v_set1(0);
    v_transpose(square);
}

/* One panel, of a matrix whose columns lie in memory one after the other. */
static void pack_transposed(REAL *packed, const REAL *matrix, ptrdiff_t column_stride, ptrdiff_t k,
                            ptrdiff_t width) {
    vec square[LANES];
    for (ptrdiff_t row = 0; row < k; row += LANES)
        for (ptrdiff_t j = 0; j < PANEL; j += LANES) {
            load_transposed(square, matrix + row + j * column_stride, column_stride, k - row,
                            width - j);
            FR_UNROLL
            for (int i = 0; i < LANES; i++)
                if (i < k - row) v_store(packed + (row + i) * PANEL + j, square[i]);
        }
}

static void FR_NAME(pack)(REAL *packed, ptrdiff_t depth, const REAL *matrix, ptrdiff_t row_stride,
                          ptrdiff_t column_stride, ptrdiff_t k, ptrdiff_t n) {
    for (ptrdiff_t column = 0; column < n; column += PANEL, packed += PANEL * depth) {
        const ptrdiff_t width = n - column < PANEL ? n - column : PANEL;
        const REAL *from = matrix + column * column_stride;
        if (row_stride == 1) {
            pack_transposed(packed, from, column_stride, k, width);
            continue;
        }
        for (ptrdiff_t row = 0; row < k; row++, from += row_stride)
            for (ptrdiff_t j = 0; j < PANEL; j += LANES)
                v_store(packed + row * PANEL + j,
                        j < width ? v_load_tail(from + j, width - j) : v_set1(0));
    }
}

static void FR_NAME(gemm)(REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, const REAL *packed,
                          const REAL *bias, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
    if (m == 1) {
        row_run(c, bias, a, packed, k, 0, n, 0, FR_LINEAR, FR_STORED_REAL);
        return;
    }
    const gemm_args g = {
        .c = c,
        .ldc = ldc,
        .init = bias,
        .factors = {{.a = a, .stride = lda, .packed = packed, .k = k}},
        .count = 1,
        .m = m,
        .n = n,
        .nonlinearity = FR_LINEAR,
    };
    gemm_run(&g);
}

/* Copies the first `width` columns of `depth` rows that come in runs, padded to a panel. */
static void pack_runs(REAL *panel, const REAL *b, ptrdiff_t ldb, ptrdiff_t width, ptrdiff_t depth,
                      ptrdiff_t run, ptrdiff_t skip) {
    for (ptrdiff_t i = 0, left = run; i < depth; i++, left--, b += ldb, panel += PANEL) {
        if (left == 0) {
            left = run;
            b += skip;
        }
        for (ptrdiff_t j = 0; j < PANEL; j += LANES)
            v_store(panel + j, j < width ? v_load_tail(b + j, width - j) : v_set1(0));
    }
}

/* k is cut into slices of up to GEMM_TN_DEPTH rows so that a slice of a and b stays in L2: whole
 * runs, or a part of one. In each, one panel of b at a time is copied to the stack. */
static void FR_NAME(gemm_tn)(REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, ptrdiff_t a_run,
                             const REAL *b, ptrdiff_t ldb, ptrdiff_t b_run, ptrdiff_t m,
                             ptrdiff_t n, ptrdiff_t k, ptrdiff_t run) {
    _Alignas(64) REAL panel[GEMM_TN_DEPTH * PANEL];
    ptrdiff_t at[GEMM_TN_DEPTH + COLUMNS_AHEAD];
    const ptrdiff_t deepest = run < GEMM_TN_DEPTH ? GEMM_TN_DEPTH / run * run : GEMM_TN_DEPTH;
    for (ptrdiff_t k0 = 0, depth; k0 < k; k0 += depth) {
        const ptrdiff_t within = k0 % run;
        depth = k - k0 < deepest ? k - k0 : deepest;
        if (run > deepest && run - within < depth) depth = run - within;
        for (ptrdiff_t i = 0, left = run, from = 0; i < depth; i++, left--, from += lda) {
            if (left == 0) {
                left = run;
                from += a_run - run * lda;
            }
            at[i] = from;
        }
        for (ptrdiff_t i = depth; i < depth + COLUMNS_AHEAD; i++) at[i] = at[i - depth];
        const REAL *from = b + k0 / run * b_run + within * ldb;
        for (ptrdiff_t column = 0; column < n; column += PANEL) {
            const ptrdiff_t width = n - column < PANEL ? n - column : PANEL;
            REAL *to = c + column;
            pack_runs(panel, from + column, ldb, width, depth, run, b_run - run * ldb);
            const gemm_args g = {
                .c = to,
                .ldc = ldc,
                .init = to,
                .ld_init = ldc,
                .factors = {{.a = a + k0 / run * a_run + within * lda,
                             .at = at,
                             .packed = panel,
                             .k = depth}},
                .count = 1,
                .m = m,
                .n = width,
                .nonlinearity = FR_LINEAR,
            };
            gemm_run(&g);
        }
    }
}

/* SUM_VECS vectors at a time: a sum of one column of vectors would visit a cache line per row, all
 * of them in the same few sets of L1 where rows are a power of two apart (24 ms against 5). */
static void FR_NAME(column_sums)(REAL *sums, const REAL *a, ptrdiff_t lda, ptrdiff_t m,
                                 ptrdiff_t n) {
    for (ptrdiff_t column = 0; column < n; column += SUM_VECS * LANES) {
        vec total[SUM_VECS];
        const ptrdiff_t left = n - column;
        const int whole = left >= SUM_VECS * LANES;
        FR_UNROLL
        for (int j = 0; j < SUM_VECS; j++)
            total[j] = left > j * LANES ? v_load_tail(sums + column + j * LANES, left - j * LANES)
                                        : v_set1(0);
        const REAL *row = a + column;
        for (ptrdiff_t i = 0; i < m; i++, row += lda) {
            FR_UNROLL
            for (int j = 0; j < SUM_VECS; j++)
                if (whole || left > j * LANES)
                    total[j] = v_add(total[j], v_load_tail(row + j * LANES, left - j * LANES));
        }
        FR_UNROLL
        for (int j = 0; j < SUM_VECS; j++)
            if (left > j * LANES)
                v_store_tail(sums + column + j * LANES, total[j], left - j * LANES);
    }
}

static void FR_NAME(scatter_rows)(REAL *table, ptrdiff_t ld_table, const REAL *a, ptrdiff_t lda,
                                  const int64_t *ids, ptrdiff_t m, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < m; i++) {
        REAL *row = table + ids[i] * ld_table;
        for (ptrdiff_t j = 0; j < n; j += LANES)
            v_store_tail(row + j,
                         v_add(v_load_tail(row + j, n - j), v_load_tail(a + i * lda + j, n - j)),
                         n - j);
    }
}

/* In squares: element by element, one side would jump a row at each step. */
static void FR_NAME(add_transposed)(REAL *out, ptrdiff_t ld_out, const REAL *start,
                                    ptrdiff_t ld_start, const REAL *a, ptrdiff_t lda, ptrdiff_t m,
                                    ptrdiff_t n) {
    vec square[LANES];
    for (ptrdiff_t i0 = 0; i0 < m; i0 += LANES)
        for (ptrdiff_t j0 = 0; j0 < n; j0 += LANES) {
            load_transposed(square, a + j0 * lda + i0, lda, m - i0, n - j0);
            FR_UNROLL
            for (int i = 0; i < LANES; i++)
                if (i < m - i0)
                    v_store_tail(
                        out + (i0 + i) * ld_out + j0,
                        v_add(v_load_tail(start + (i0 + i) * ld_start + j0, n - j0), square[i]),
                        n - j0);
        }
}
