/* What cells with gates share: the tiles of all gates of the same units, and their gradients.
 *
 * Rows hold the gates one after the other, H units each. Packed, the panels of all gates of PANEL
 * units stand together, so that a tile's units are complete when its gates have been walked:
 *
 *     packed_gates[block][gate][k][PANEL] = W[gate * H + block * PANEL + column][k]
 *
 * A tile's gates go to a buffer on the stack, one gate after the other, padded to whole panels:
 * there the activations run over many vectors in a row, which hides their latency.
 */
#define GATE_SIZE (TILE_ROWS * PANEL)
#define gate_input FR_CAT(gate_input, SUFFIX)
#define gate_part FR_CAT(gate_part, SUFFIX)
#define part_of FR_NAME(part_of)
#define gate_tiles FR_NAME(gate_tiles)
#define gate_row FR_NAME(gate_row)
#define is_plain_row FR_NAME(is_plain_row)
#define scattered_back FR_NAME(scattered_back)
#define unit_after FR_NAME(unit_after)
#define clear_narrow FR_NAME(clear_narrow)
#define gradient_tile FR_NAME(gradient_tile)
#define each_tanh FR_NAME(each_tanh)
#define each_sigmoid FR_NAME(each_sigmoid)

static ptrdiff_t FR_NAME(pack_gates_size)(ptrdiff_t gates, ptrdiff_t hidden, ptrdiff_t k) {
    return PANELS_OF(hidden) * PANEL * gates * k;
}

static void FR_NAME(pack_gates)(REAL *packed_gates, const REAL *weight, ptrdiff_t gates,
                                ptrdiff_t hidden, ptrdiff_t k) {
    for (ptrdiff_t unit = 0; unit < hidden; unit += PANEL) {
        const ptrdiff_t width = hidden - unit < PANEL ? hidden - unit : PANEL;
        for (ptrdiff_t gate = 0; gate < gates; gate++, packed_gates += PANEL * k)
            FR_NAME(pack)(packed_gates, k, weight + (gate * hidden + unit) * k, 1, k, k, width);
    }
}

/* In what order the cells of a tile's rows are finished. A prefetcher that sees rows follow at one
 * distance takes up to 16 more: the next tile's, but past a thread's last row another thread's, out
 * of that one's cache. A share of few rows is finished `scattered`, so that no distance follows
 * itself; of many, what the prefetcher gains is more (docs/performance.md, "Rows beside another
 * thread's"). */
#ifndef FEW_ROWS
#define FEW_ROWS 28
#define PAGE 4096
static const signed char row_orders[2][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15},
};
_Static_assert(TILE_ROWS <= 16, "row_orders have all rows of a tile");
#define EACH_ROW(r, rows, scattered)                     \
    for (int turn = 0, more = rows, r; more > 0; turn++) \
        if ((r = row_orders[scattered][turn]) < (rows) && more--)
#endif

/* On the way back rows that are a page apart are faster one after the other. */
FR_INLINE int scattered_back(ptrdiff_t batch, ptrdiff_t width) {
    return batch <= FEW_ROWS && width * (ptrdiff_t)sizeof(REAL) < PAGE;
}

/* What a row of pre-activations starts from, and what is added to it. */
typedef struct {
    const REAL *rows; /* row r is rows + (ids ? ids[r] : r) * ld, its gates `hidden` apart */
    ptrdiff_t ld;
    const int64_t *ids;
    const REAL *x; /* (rows, inputs), or NULL */
    const REAL *packed_ih;
    ptrdiff_t inputs;
    const REAL *h;         /* (rows, hidden) */
    const void *packed_hh; /* NULL: no product */
    ptrdiff_t hidden;
    fr_stored stored;      /* packed_hh; other than REAL needs x to be NULL */
    int reverse;           /* walk the units from the last to the first */
    ptrdiff_t first, last; /* of the units to compute */
} gate_input;

/* A tile's part of a step. */
typedef struct {
    ptrdiff_t row, unit;
    int rows;
    ptrdiff_t tile, tiles; /* of the rows */
    ptrdiff_t next;        /* how many blocks of units further the next one is; 0: it is the last */
} gate_part;

/* A last panel of a single vector leaves the rest of its row in z as it was: zero, so that the
 * activations have something to work on. Wide tiles write whole panels. */
FR_INLINE void clear_narrow(REAL *z, ptrdiff_t hidden) {
    if ((hidden - 1) % PANEL < LANES)
        for (ptrdiff_t i = 0; i < 4 * GATE_SIZE; i += LANES) v_store(z + i, v_set1(0));
}

/* z[gate] <- rows + x W_ih^T + h W_hh^T for a part's rows, the PANEL units from its `unit` on, and
 * `gates` gates from `first` of a row on; these are of `of` gates of W_ih, from `first_in` on, and
 * of W_hh, from `first_of` on. A negative first: no product. */
FR_INLINE void gate_tiles(REAL *z, const gate_input *in, const gate_part *part, int gates,
                          int first, int first_in, int first_of, const int of) {
    const ptrdiff_t hidden = in->hidden, row = part->row, unit = part->unit;
    const ptrdiff_t next = part->next * of;
    const ptrdiff_t weights = of * hidden * (hidden + (in->x ? in->inputs : 0));
    const int rows = part->rows;
    tile_args t = {
        .c = z,
        .ldc = PANEL,
        .c_stride = GATE_SIZE,
        .c_left = PANEL,
        .init = in->rows + (in->ids ? 0 : row * in->ld) + first * hidden + unit,
        .ld_init = in->ld,
        .init_stride = hidden,
        .init_left = hidden - unit,
        .ids = in->ids ? in->ids + row : NULL,
    };
    const ptrdiff_t panel = unit / PANEL * of;
    if (in->x && first_in >= 0)
        t.factors[t.count++] =
            (factor){in->x + row * in->inputs,
                     in->inputs,
                     0,
                     panel_at(in->packed_ih, panel + first_in, in->inputs, FR_STORED_REAL),
                     in->inputs,
                     bytes_ahead(weights, in->inputs, next, part->tile, part->tiles)};
    if (in->packed_hh && first_of >= 0) {
        t.factors[t.count++] =
            (factor){in->h + row * hidden,
                     hidden,
                     0,
                     panel_at(in->packed_hh, panel + first_of, hidden, in->stored),
                     hidden,
                     bytes_ahead(weights, hidden, next, part->tile, part->tiles)};
        t.stored = in->stored;
    }
    if (rows <= WIDE_ROWS) {
        tile_of(&t, rows, gates);
        return;
    }
    for (int gate = 0; gate < gates; gate++) {
        tile_of(&t, rows, 1);
        t.c += GATE_SIZE;
        t.init += hidden;
        for (int f = 0; f < t.count; f++)
            t.factors[f].packed = panel_at(t.factors[f].packed, 1, t.factors[f].k, t.stored);
    }
}

/* Gates of a single row without x, as gate_tiles has them, but gate g's vector j in
 * z[g * TILE_VECS + j], where its activation follows without a way to memory. */
FR_INLINE void gate_row(vec *z, const gate_input *in, ptrdiff_t unit, const int gates,
                        const int first, const int of, const fr_stored stored) {
    const ptrdiff_t hidden = in->hidden;
    const tile_args t = {
        .init = in->rows + first * hidden + unit,
        .ld_init = in->ld,
        .init_stride = hidden,
        .init_left = hidden - unit,
        .ids = in->ids,
        .factors = {{in->h, hidden, NULL,
                     panel_at(in->packed_hh, unit / PANEL * of, hidden, stored), hidden, 0}},
        .count = 1,
    };
    tile_sums(&t, z, 1, gates * TILE_VECS, stored);
}

/* Whether that is for it, and worth it: float64's activations are libm's, and call for all
 * registers.
 */
FR_INLINE int is_plain_row(const gate_input *in, ptrdiff_t batch) {
    return GATES_IN_REGISTERS && sizeof(REAL) == sizeof(float) && batch == 1 && !in->x &&
           in->packed_hh;
}

/* Where the block of units starts that comes after so many others. */
FR_INLINE ptrdiff_t unit_after(const gate_input *in, ptrdiff_t done) {
    const ptrdiff_t blocks = PANELS_OF(in->last - in->first);
    return in->first + (in->reverse ? blocks - 1 - done : done) * PANEL;
}

/* Tile `tile` of `tiles` of the rows, in the block of units that comes after so many others. */
FR_INLINE gate_part part_of(const gate_input *in, ptrdiff_t done, ptrdiff_t batch, ptrdiff_t tile,
                            ptrdiff_t tiles) {
    const ptrdiff_t row = tile_start(batch, tile, tiles), blocks = PANELS_OF(in->last - in->first);
    return (gate_part){row,
                       unit_after(in, done),
                       (int)(tile_start(batch, tile + 1, tiles) - row),
                       tile,
                       tiles,
                       done + 1 == blocks ? 0
                       : in->reverse      ? -1
                                          : 1};
}

FR_INLINE void each_sigmoid(REAL *z, ptrdiff_t size) {
    for (ptrdiff_t i = 0; i < size; i += LANES) v_store(z + i, v_sigmoid(v_load(z + i)));
}

FR_INLINE void each_tanh(REAL *z, ptrdiff_t size) {
    for (ptrdiff_t i = 0; i < size; i += LANES) v_store(z + i, v_tanh(v_load(z + i)));
}

/* to (rows, panels * PANEL) <- dh + dz_next @ packed_hh_t, for the units from `unit` on. `ahead` is
 * the factor's. */
FR_INLINE void gradient_tile(REAL *to, const REAL *dh, const REAL *dz_next, ptrdiff_t ldz,
                             ptrdiff_t depth, const REAL *packed_hh_t, int rows, int panels,
                             ptrdiff_t unit, ptrdiff_t hidden, ptrdiff_t ahead) {
    const tile_args t = {
        .c = to,
        .ldc = panels * PANEL,
        .c_stride = PANEL,
        .c_left = panels * PANEL,
        .init = dh ? dh + unit : NULL,
        .ld_init = hidden,
        .init_stride = PANEL,
        .init_left = hidden - unit,
        .step = PANEL,
        .factors = {{dz_next, ldz, NULL, packed_hh_t + unit * depth, depth, ahead}},
        .count = dz_next ? 1 : 0,
    };
    tile_of(&t, rows, panels);
}
