/* The register tile that all matrix products are made of.
 *
 * It holds TILE_ROWS x TILE_VECS accumulators (times `panels` when there are few rows) and
 * walks k once: one broadcast per row, one load per panel vector. Weights are packed into
 * panels of PANEL columns, k-major and zero-padded, so that a panel is read in one stream:
 *
 *     packed[panel][k][PANEL] = matrix[k][panel * PANEL + column]
 *
 * Every element of the result is a single chain of multiply-adds over k in ascending order,
 * whatever the tile around it: a row's bits do not depend on its neighbours in the batch nor
 * on how rows are split over threads.
 *
 * Weights of fewer bits (SMALL_WEIGHTS: of float alone) are widened as they are read. Panels of
 * INT8 begin with the scales of their columns, and an element's chain over multiples is scaled
 * before what it starts from is added.
 */

#define PANEL (TILE_VECS * LANES)
#define PANELS_OF(n) (((n) + PANEL - 1) / PANEL)
#define factor FR_CAT(factor, SUFFIX)
#define tile_args FR_CAT(tile_args, SUFFIX)
#define tile FR_NAME(tile)
#define tile_of FR_NAME(tile_of)
#define panels_at_once FR_NAME(panels_at_once)
#define tile_stored FR_NAME(tile_stored)
#define real_tile_of FR_NAME(real_tile_of)
#define small_tile_of FR_NAME(small_tile_of)
#define weight_size FR_NAME(weight_size)
#define panel_size FR_NAME(panel_size)
#define panel_at FR_NAME(panel_at)
#define load_weights FR_NAME(load_weights)
#define left_of FR_NAME(left_of)
#define start_of FR_NAME(start_of)
#define walk FR_NAME(walk)
#define start_tile FR_NAME(start_tile)
#define store_tile FR_NAME(store_tile)
#define store_vectors FR_NAME(store_vectors)
#define tile_sums FR_NAME(tile_sums)
#define fetch_tile FR_NAME(fetch_tile)
#define fetch_column FR_NAME(fetch_column)
#define bytes_ahead FR_NAME(bytes_ahead)

#ifndef MAX_PANELS
#define MAX_PANELS 4
#define WIDE_ROWS (TILE_ROWS / MAX_PANELS)
#define ROW_GROUP 4
#define LINE 64 /* bytes of a cache's line */
/* Weights of up to so many bytes are left to be found in L2 again. */
#define KEPT_BYTES (1 << 20)
/* Columns of a transposed factor that are fetched before their turn: of 2, 3, 4, 5, 8 and 16 the
 * best (docs/performance.md, "Where L3 is far"). */
#define COLUMNS_AHEAD 4
#define ROW_TILES(rows) (((rows) + TILE_ROWS - 1) / TILE_ROWS)

/* The first row of tile i of so many, of nearly equal height. A division takes as long as four
 * multiply-adds that wait for each other: none where there is a single tile. */
FR_INLINE ptrdiff_t tile_start(ptrdiff_t rows, ptrdiff_t i, ptrdiff_t tiles) {
    return i == 0 ? 0 : i == tiles ? rows : rows * i / tiles;
}
#endif

/* Bytes of a weight, and of a panel of depth k. */
FR_INLINE ptrdiff_t weight_size(const fr_stored stored) {
    return stored == FR_STORED_INT8 ? 1 : stored == FR_STORED_BF16 ? 2 : (ptrdiff_t)sizeof(REAL);
}
FR_INLINE ptrdiff_t panel_size(ptrdiff_t k, const fr_stored stored) {
    const ptrdiff_t scales = stored == FR_STORED_INT8 ? sizeof(REAL) : 0;
    return PANEL * (scales + k * weight_size(stored));
}
FR_INLINE const void *panel_at(const void *packed, ptrdiff_t panel, ptrdiff_t k,
                               const fr_stored stored) {
    return (const char *)packed + panel * panel_size(k, stored);
}

/* Vector j of the weights of one k, which stand at b in the first panel. */
FR_INLINE vec load_weights(const char *b, ptrdiff_t next_panel, const int j,
                           const fr_stored stored) {
    const void *p = b + (j / TILE_VECS) * next_panel;
    const int vector = j % TILE_VECS;
#if SMALL_WEIGHTS
    if (stored == FR_STORED_BF16) return v_load_bf16(p, vector);
    if (stored == FR_STORED_INT8) return v_load_int8((const int8_t *)p + vector * LANES);
#endif
    (void)stored;
    return v_load((const REAL *)p + vector * LANES);
}

/* A factor of a tile: a (rows, k) @ packed (k, panels). */
typedef struct {
    const REAL *a; /* element (r, k) at a[r * stride + k], or if transposed at a[r + at[k]] */
    ptrdiff_t stride;
    const ptrdiff_t *at; /* not NULL: transposed; k + COLUMNS_AHEAD of them */
    const void *packed;  /* panels one after the other, k x PANEL each */
    ptrdiff_t k;
    ptrdiff_t ahead; /* bytes from `packed` to what is fetched into L2 meanwhile */
} factor;

/* Bytes that a tile fetches ahead for each k: a line, or all that a panel has of a k. */
#define FETCHED ((ptrdiff_t)(PANEL * sizeof(REAL) < LINE ? PANEL * sizeof(REAL) : LINE))

/* How far after a panel those weights are that tile `tile` of `tiles` which use it has fetched into
 * L2: of the panel that is `panels` further, where L2 does not keep all of them, each a line per k,
 * one part after the other. Lines in turns gained nothing: for the first tile, neighbours of lines
 * are fetched too, and L3 is too slow for both. 0: of its own panel, which is there: a single tile
 * would wait for L3 all the same. */
FR_INLINE ptrdiff_t bytes_ahead(ptrdiff_t weights, ptrdiff_t k, ptrdiff_t panels, ptrdiff_t tile,
                                ptrdiff_t tiles) {
    const ptrdiff_t row = PANEL * sizeof(REAL), part = tile * LINE;
    const int fetches = tiles > 1 && part < row && weights * (ptrdiff_t)sizeof(REAL) > KEPT_BYTES;
    return fetches && panels ? k * (panels * row + part) : 0;
}

/* Every pointer is to the tile's own first element. Panel p's columns start p * stride after the
 * first's, and left - p * step of them exist: stride = step = PANEL in a plain matrix; step = 0
 * where the panels are gates of the same units. */
typedef struct {
    REAL *c;
    ptrdiff_t ldc, c_stride, c_left;
    const REAL *init;  /* row r starts from init + (ids ? ids[r] : r) * ld_init; NULL: from zero */
    ptrdiff_t ld_init; /* 0: one row for all, a bias */
    ptrdiff_t init_stride, init_left;
    const int64_t *ids;
    ptrdiff_t step;
    factor factors[2]; /* walked in this order */
    int count;
    fr_stored stored; /* INT8: of a single factor */
} tile_args;

/* Elements that exist of vector j and after, where `left` do of the tile's first row. */
FR_INLINE ptrdiff_t left_of(const tile_args *t, ptrdiff_t left, const int j) {
    return left - j / TILE_VECS * t->step - j % TILE_VECS * LANES;
}

/* Fetches the first panel of rows that a tile will be written to: states of many steps exceed L2,
 * and a store to a line from beyond waits for it. Unrolled: a prefetcher goes by the instruction
 * that asks for one row after the other (see gates.h, row_orders). */
FR_INLINE void fetch_tile(const REAL *to, ptrdiff_t stride, int rows) {
    if (rows <= WIDE_ROWS) return;
    FR_UNROLL
    for (int r = 0; r < TILE_ROWS; r++) {
        if (r == rows) return;
        FR_UNROLL
        for (int j = 0; j < PANEL; j += LINE / (int)sizeof(REAL))
            __builtin_prefetch(to + r * stride + j, 1, 3);
    }
}

/* What vector j of row r starts from. */
FR_INLINE vec start_of(const tile_args *t, const int r, const int j, const int whole) {
    const REAL *from = t->init + (t->ids ? t->ids[r] : r) * t->ld_init +
                       j / TILE_VECS * t->init_stride + j % TILE_VECS * LANES;
    if (whole) return v_load(from);
    const ptrdiff_t left = left_of(t, t->init_left, j);
    return left > 0 ? v_load_tail(from, left) : v_set1(0);
}

/* acc <- what the tile starts from. */
FR_INLINE void start_tile(const tile_args *t, vec *acc, const int rows, const int width,
                          const int whole) {
    FR_UNROLL
    for (int r = 0; r < rows; r++) {
        FR_UNROLL
        for (int j = 0; j < width; j++) acc[r * width + j] = start_of(t, r, j, whole);
    }
}

FR_INLINE void store_vectors(const tile_args *t, const vec *acc, const int rows, const int width,
                             const int whole) {
    FR_UNROLL
    for (int r = 0; r < rows; r++) {
        FR_UNROLL
        for (int j = 0; j < width; j++) {
            REAL *to = t->c + r * t->ldc + j / TILE_VECS * t->c_stride + j % TILE_VECS * LANES;
            const ptrdiff_t left = whole ? LANES : left_of(t, t->c_left, j);
            if (left > 0) v_store_tail(to, acc[r * width + j], left);
        }
    }
}

FR_INLINE void store_tile(const tile_args *t, const vec *acc, const int rows, const int width) {
    if (left_of(t, t->c_left, width - 1) >= LANES)
        store_vectors(t, acc, rows, width, 1);
    else
        store_vectors(t, acc, rows, width, 0);
}

/* Fetches rows of a transposed factor's column. These are too far apart for prefetchers that go by
 * distances. */
FR_INLINE void fetch_column(const REAL *column, const int rows) {
    FR_UNROLL
    for (int r = 0; r < rows - 1; r += LINE / (int)sizeof(REAL)) __builtin_prefetch(column + r);
    __builtin_prefetch(column + rows - 1);
}

/* acc += a @ packed, of one factor. Rows are reached from a few pointers, of which each serves
 * ROW_GROUP: an offset for each would not fit into the registers. */
FR_INLINE void walk(const factor *f, vec *acc, const int rows, const int width,
                    const fr_stored stored, const int transposed) {
    const ptrdiff_t stride = f->stride, depth = f->k;
    const ptrdiff_t next_panel = panel_size(depth, stored);
    const char *b = (const char *)f->packed + panel_size(0, stored);
    /* An address, as it may lie outside the array: of smaller weights, that are not fetched. */
    uintptr_t ahead = (uintptr_t)b + (uintptr_t)f->ahead;
    const REAL *group[(TILE_ROWS + ROW_GROUP - 1) / ROW_GROUP];
    FR_UNROLL
    for (int r = 0; r < rows; r += ROW_GROUP) group[r / ROW_GROUP] = f->a + r * stride;
    for (ptrdiff_t k = 0; k < depth; k++, b += PANEL * weight_size(stored), ahead += FETCHED) {
        vec x[TILE_ROWS], w[MAX_PANELS * TILE_VECS];
        /* Weights that have to be widened take a register each, unless they pass one by one. */
        const int one_by_one = stored != FR_STORED_REAL && rows < width;
        FR_UNROLL
        for (int j = 0; !one_by_one && j < width; j++)
            w[j] = load_weights(b, next_panel, j, stored);
        const REAL *column = transposed ? f->a + f->at[k] : NULL;
        if (transposed && rows > WIDE_ROWS)
            fetch_column(f->a + f->at[k + COLUMNS_AHEAD], rows);
        else if (stored == FR_STORED_REAL && rows > WIDE_ROWS)
            __builtin_prefetch((const void *)ahead, 0, 2);
        FR_UNROLL
        for (int r = 0; !transposed && r < rows; r += ROW_GROUP) FR_OPAQUE(group[r / ROW_GROUP]);
        FR_UNROLL
        for (int r = 0; r < rows; r++) {
            const int i = r % ROW_GROUP;
            x[r] = v_set1(transposed ? column[r] : group[r / ROW_GROUP][i * stride]);
            FR_UNROLL
            for (int j = 0; !one_by_one && j < width; j++)
                acc[r * width + j] = v_fma(x[r], w[j], acc[r * width + j]);
        }
        FR_UNROLL
        for (int j = 0; one_by_one && j < width; j++) {
            w[j] = load_weights(b, next_panel, j, stored);
            FR_UNROLL
            for (int r = 0; r < rows; r++)
                acc[r * width + j] = v_fma(x[r], w[j], acc[r * width + j]);
        }
        FR_UNROLL
        for (int r = 0; !transposed && r < rows; r += ROW_GROUP) group[r / ROW_GROUP]++;
    }
}

/* acc <- what the tile starts from and all of its factors give. The last three arguments are
 * compile-time constants at every call, so that `acc` lives in registers. */
FR_INLINE void tile_sums(const tile_args *t, vec *acc, const int rows, const int width,
                         const fr_stored stored) {
    const int whole_init = left_of(t, t->init_left, width - 1) >= LANES;

    if (!t->init || stored == FR_STORED_INT8) {
        FR_UNROLL
        for (int i = 0; i < rows * width; i++) acc[i] = v_set1(0);
    } else if (whole_init)
        start_tile(t, acc, rows, width, 1);
    else
        start_tile(t, acc, rows, width, 0);

    for (const factor *f = t->factors; f < t->factors + t->count; f++) {
        if (f->at)
            walk(f, acc, rows, width, stored, 1);
        else
            walk(f, acc, rows, width, stored, 0);
    }

    if (stored == FR_STORED_INT8) {
        const char *scales = t->factors[0].packed;
        const ptrdiff_t next_panel = panel_size(t->factors[0].k, stored);
        FR_UNROLL
        for (int r = 0; r < rows; r++) {
            FR_UNROLL
            for (int j = 0; j < width; j++) {
                const REAL *at = (const void *)(scales + (j / TILE_VECS) * next_panel);
                acc[r * width + j] = v_fma(acc[r * width + j], v_load(at + j % TILE_VECS * LANES),
                                           t->init ? start_of(t, r, j, whole_init) : v_set1(0));
            }
        }
    }
}

/* One tile, `width` vectors wide: whole panels, or the first vector of one. */
FR_INLINE void tile(const tile_args *of, const int rows, const int width, const fr_stored stored) {
    const tile_args args = *of; /* a store through `of`'s pointers could change `of` */
    vec acc[TILE_ROWS * TILE_VECS];
    tile_sums(&args, acc, rows, width, stored);
    store_tile(&args, acc, rows, width);
}

#define FR_TILE(rows, width) \
    case rows: tile(t, rows, width, stored); break

#define FR_ROWS_2(width) \
    FR_TILE(1, width);   \
    FR_TILE(2, width)
#define FR_ROWS_3(width) \
    FR_ROWS_2(width);    \
    FR_TILE(3, width)
#define FR_ROWS_6(width) \
    FR_ROWS_3(width);    \
    FR_TILE(4, width);   \
    FR_TILE(5, width);   \
    FR_TILE(6, width)
#define FR_ROWS_8(width) \
    FR_ROWS_6(width);    \
    FR_TILE(7, width);   \
    FR_TILE(8, width)
#define FR_ROWS_14(width) \
    FR_ROWS_8(width);     \
    FR_TILE(9, width);    \
    FR_TILE(10, width);   \
    FR_TILE(11, width);   \
    FR_TILE(12, width);   \
    FR_TILE(13, width);   \
    FR_TILE(14, width)

#define FR_TILES(width) FR_CAT(FR_ROWS, TILE_ROWS)(width)
#if WIDE_ROWS == 1
#define FR_WIDE(panels) FR_TILE(1, (panels) * TILE_VECS)
#elif WIDE_ROWS == 2
#define FR_WIDE(panels) FR_ROWS_2((panels) * TILE_VECS)
#else
#define FR_WIDE(panels) FR_ROWS_3((panels) * TILE_VECS)
#endif

/* `rows` <= TILE_ROWS rows of one panel, or `rows` <= WIDE_ROWS rows of several: so few rows of one
 * panel would leave the multipliers waiting for each other. A panel that has no more than a vector
 * left is a narrow one. */
FR_INLINE void tile_stored(const tile_args *t, int rows, int panels, const fr_stored stored) {
    if (panels == 4) switch (rows) {
            FR_WIDE(4);
        }
    else if (panels == 3)
        switch (rows) { FR_WIDE(3); }
    else if (panels == 2)
        switch (rows) { FR_WIDE(2); }
    else if (t->init_left <= LANES && stored == FR_STORED_REAL)
        switch (rows) { FR_TILES(1); }
    else
        switch (rows) { FR_TILES(TILE_VECS); }
}
#undef FR_WIDE
#undef FR_TILES
#undef FR_ROWS_2
#undef FR_ROWS_3
#undef FR_ROWS_6
#undef FR_ROWS_8
#undef FR_ROWS_14
#undef FR_TILE

static void real_tile_of(const tile_args *t, int rows, int panels) {
    tile_stored(t, rows, panels, FR_STORED_REAL);
}

#if SMALL_WEIGHTS
static void small_tile_of(const tile_args *t, int rows, int panels) {
    if (t->stored == FR_STORED_BF16)
        tile_stored(t, rows, panels, FR_STORED_BF16);
    else
        tile_stored(t, rows, panels, FR_STORED_INT8);
}
#endif

static void tile_of(const tile_args *t, int rows, int panels) {
#if SMALL_WEIGHTS
    if (t->stored != FR_STORED_REAL) {
        small_tile_of(t, rows, panels);
        return;
    }
#endif
    real_tile_of(t, rows, panels);
}

/* How many of `left` panels to take together for `rows` rows. */
static int panels_at_once(ptrdiff_t rows, ptrdiff_t left) {
    if (rows > WIDE_ROWS) return 1;
    return left >= MAX_PANELS ? MAX_PANELS : left >= 2 ? 2 : 1;
}
