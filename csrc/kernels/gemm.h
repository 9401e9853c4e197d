/* Matrix products, all from one register tile.
 *
 * A tile holds TILE_ROWS x TILE_VECS accumulators (times `panels` when there are few rows) and
 * walks k once: one broadcast per row, one load per panel vector. Weights are packed into
 * panels of PANEL columns, k-major and zero-padded, so that a panel is read in one stream:
 *
 *     packed[panel][k][PANEL] = matrix[k][panel * PANEL + column]
 *
 * Every element of the result is a single chain of multiply-adds over k in ascending order,
 * whatever the tile around it: a row's bits do not depend on its neighbours in the batch nor
 * on how rows are split over threads.
 *
 * The activation, or its derivative on the way back, is applied to the tile while it is still
 * in L1, with the choice made once per tile.
 */

#define PANEL (TILE_VECS * LANES)
#define gemm_args FR_CAT(gemm_args, SUFFIX)
#define tile FR_NAME(tile)
#define tile_of FR_NAME(tile_of)
#define wide_tile_of FR_NAME(wide_tile_of)
#define finish FR_NAME(finish)
#define gemm_run FR_NAME(gemm_run)
#define PANELS_OF(n) (((n) + PANEL - 1) / PANEL)

#ifndef MAX_PANELS
#define MAX_PANELS 4
#define WIDE_ROWS (TILE_ROWS / MAX_PANELS)
#define GEMM_TN_DEPTH 256
#endif

typedef struct {
    REAL *c; /* (M, N) */
    ptrdiff_t ldc;
    const REAL *init;  /* row r starts from init[ids ? ids[r] : r]; NULL starts from zero */
    ptrdiff_t ld_init; /* 0: one row for all, a bias */
    const int64_t *ids;
    const REAL *a; /* element (r, k) at a[r * row_stride + k * k_stride] */
    ptrdiff_t row_stride, k_stride;
    const REAL *packed; /* (K, N) in panels */
    ptrdiff_t m, n, k;
    fr_nonlinearity nonlinearity;
    const REAL *h; /* not NULL: the tile is multiplied by f'(z) taken from h (M, N), ld = ldc */
} gemm_args;

/* One tile: rows [row, row + rows), panels [panel, panel + panels). The last two arguments are
 * compile-time constants at every call, so that `acc` lives in registers. */
FR_INLINE void tile(const gemm_args *g, ptrdiff_t row, ptrdiff_t panel, const int rows,
                    const int panels) {
    const int width = panels * TILE_VECS;
    const ptrdiff_t column = panel * PANEL, left = g->n - column;
    vec acc[TILE_ROWS * TILE_VECS];

    for (int r = 0; r < rows; r++) {
        const REAL *from = NULL;
        if (g->init) from = g->init + (g->ids ? g->ids[row + r] : row + r) * g->ld_init + column;
        FR_UNROLL
        for (int j = 0; j < width; j++)
            acc[r * width + j] = from && left > j * LANES
                                     ? v_load_tail(from + j * LANES, left - j * LANES)
                                     : v_set1(0);
    }

    const REAL *a = g->a + row * g->row_stride;
    const REAL *b = g->packed + panel * PANEL * g->k;
    const ptrdiff_t row_stride = g->row_stride, k_stride = g->k_stride, depth = g->k;
    const ptrdiff_t next_panel = PANEL * depth;
    for (ptrdiff_t k = 0; k < depth; k++, a += k_stride, b += PANEL) {
        vec w[MAX_PANELS * TILE_VECS];
        FR_UNROLL
        for (int j = 0; j < width; j++)
            w[j] = v_load(b + (j / TILE_VECS) * next_panel + (j % TILE_VECS) * LANES);
        FR_UNROLL
        for (int r = 0; r < rows; r++) {
            vec x = v_set1(a[r * row_stride]);
            FR_UNROLL
            for (int j = 0; j < width; j++) acc[r * width + j] = v_fma(x, w[j], acc[r * width + j]);
        }
    }

    FR_UNROLL
    for (int r = 0; r < rows; r++) {
        REAL *to = g->c + (row + r) * g->ldc + column;
        FR_UNROLL
        for (int j = 0; j < width; j++)
            if (left > j * LANES)
                v_store_tail(to + j * LANES, acc[r * width + j], left - j * LANES);
    }
}

/* Applies f, or multiplies by f' taken from h, to a stored tile. */
static void finish(const gemm_args *g, ptrdiff_t row, ptrdiff_t panel, int rows, int panels) {
    const ptrdiff_t column = panel * PANEL, left = g->n - column;
    const ptrdiff_t n = left < panels * PANEL ? left : panels * PANEL;
    for (int r = 0; r < rows; r++) {
        REAL *z = g->c + (row + r) * g->ldc + column;
        if (g->h)
            multiply_derivative(z, g->h + (row + r) * g->ldc + column, n, g->nonlinearity);
        else
            FR_NAME(activate)(z, z, n, g->nonlinearity);
    }
}

#define FR_TILE(rows, panels) \
    case rows: tile(g, row, panel, rows, panels); break

/* `rows` <= TILE_ROWS rows of one panel. */
static void tile_of(const gemm_args *g, ptrdiff_t row, ptrdiff_t panel, int rows) {
    switch (rows) {
        FR_TILE(1, 1);
        FR_TILE(2, 1);
        FR_TILE(3, 1);
        FR_TILE(4, 1);
        FR_TILE(5, 1);
        FR_TILE(6, 1);
#if TILE_ROWS > 6
        FR_TILE(7, 1);
        FR_TILE(8, 1);
#endif
#if TILE_ROWS > 8
        FR_TILE(9, 1);
        FR_TILE(10, 1);
        FR_TILE(11, 1);
        FR_TILE(12, 1);
        FR_TILE(13, 1);
        FR_TILE(14, 1);
#endif
    }
}

/* `rows` <= WIDE_ROWS rows of 2 or 4 panels: so few rows of one panel would leave the multipliers
 * waiting for each other. */
static void wide_tile_of(const gemm_args *g, ptrdiff_t row, ptrdiff_t panel, int rows, int panels) {
    if (panels == MAX_PANELS) {
        switch (rows) {
            FR_TILE(1, MAX_PANELS);
#if TILE_ROWS >= 2 * MAX_PANELS
            FR_TILE(2, MAX_PANELS);
#endif
#if TILE_ROWS >= 3 * MAX_PANELS
            FR_TILE(3, MAX_PANELS);
#endif
        }
    } else {
        switch (rows) {
            FR_TILE(1, 2);
#if TILE_ROWS >= 2 * MAX_PANELS
            FR_TILE(2, 2);
#endif
#if TILE_ROWS >= 3 * MAX_PANELS
            FR_TILE(3, 2);
#endif
        }
    }
}
#undef FR_TILE

/* The whole product, row tiles of nearly equal height so that none is left thin. A panel is
 * used for all rows before the next is read. */
static void gemm_run(const gemm_args *g) {
    const ptrdiff_t panels = PANELS_OF(g->n);
    const ptrdiff_t tiles = (g->m + TILE_ROWS - 1) / TILE_ROWS;
    const int finished = g->nonlinearity == FR_LINEAR;
    for (ptrdiff_t panel = 0; panel < panels;) {
        const ptrdiff_t left = g->m <= WIDE_ROWS ? panels - panel : 1;
        const int step = left >= MAX_PANELS ? MAX_PANELS : left >= 2 ? 2 : 1;
        for (ptrdiff_t t = 0; t < tiles; t++) {
            const ptrdiff_t row = g->m * t / tiles;
            const int rows = (int)(g->m * (t + 1) / tiles - row);
            if (step > 1)
                wide_tile_of(g, row, panel, rows, step);
            else
                tile_of(g, row, panel, rows);
            if (!finished) finish(g, row, panel, rows, step);
        }
        panel += step;
    }
}

static ptrdiff_t FR_NAME(pack_size)(ptrdiff_t k, ptrdiff_t n) { return PANELS_OF(n) * PANEL * k; }

static void FR_NAME(pack)(REAL *packed, const REAL *matrix, ptrdiff_t row_stride,
                          ptrdiff_t column_stride, ptrdiff_t k, ptrdiff_t n) {
    for (ptrdiff_t column = 0; column < n; column += PANEL) {
        const ptrdiff_t width = n - column < PANEL ? n - column : PANEL;
        const REAL *from = matrix + column * column_stride;
        for (ptrdiff_t row = 0; row < k; row++, from += row_stride, packed += PANEL) {
            ptrdiff_t j = 0;
            if (column_stride == 1)
                for (; j < width; j++) packed[j] = from[j];
            else
                for (; j < width; j++) packed[j] = from[j * column_stride];
            for (; j < PANEL; j++) packed[j] = 0;
        }
    }
}

static void FR_NAME(gemm)(REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, const REAL *packed,
                          const REAL *bias, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
    const gemm_args g = {
        .c = c,
        .ldc = ldc,
        .init = bias,
        .a = a,
        .row_stride = lda,
        .k_stride = 1,
        .packed = packed,
        .m = m,
        .n = n,
        .k = k,
        .nonlinearity = FR_LINEAR,
    };
    gemm_run(&g);
}

/* k is cut into slices of GEMM_TN_DEPTH rows so that a slice of a and b stays in L2; in each, one
 * panel of b at a time is copied to the stack, contiguous and padded. */
static void FR_NAME(gemm_tn)(REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, const REAL *b,
                             ptrdiff_t ldb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
    _Alignas(64) REAL panel[GEMM_TN_DEPTH * PANEL];
    for (ptrdiff_t k0 = 0; k0 < k; k0 += GEMM_TN_DEPTH) {
        const ptrdiff_t depth = k - k0 < GEMM_TN_DEPTH ? k - k0 : GEMM_TN_DEPTH;
        for (ptrdiff_t column = 0; column < n; column += PANEL) {
            const ptrdiff_t width = n - column < PANEL ? n - column : PANEL;
            for (ptrdiff_t i = 0; i < depth; i++)
                for (ptrdiff_t j = 0; j < PANEL; j += LANES)
                    v_store(panel + i * PANEL + j,
                            j < width ? v_load_tail(b + (k0 + i) * ldb + column + j, width - j)
                                      : v_set1(0));
            REAL *to = c + column;
            const gemm_args g = {
                .c = to,
                .ldc = ldc,
                .init = to,
                .ld_init = ldc,
                .a = a + k0 * lda,
                .row_stride = 1,
                .k_stride = lda,
                .packed = panel,
                .m = m,
                .n = width,
                .k = depth,
                .nonlinearity = FR_LINEAR,
            };
            gemm_run(&g);
        }
    }
}

static void FR_NAME(column_sums)(REAL *sums, const REAL *a, ptrdiff_t lda, ptrdiff_t m,
                                 ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        vec total = v_load_tail(sums + j, n - j);
        for (ptrdiff_t i = 0; i < m; i++) total = v_add(total, v_load_tail(a + i * lda + j, n - j));
        v_store_tail(sums + j, total, n - j);
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
