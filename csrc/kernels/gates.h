/* What cells with gates share: the tiles of all gates of the same units, and their gradients.
 *
 * Rows hold the gates one after the other, H units each. Packed, the panels of all gates of PANEL
 * units stand together, so that a tile's units are complete when its gates have been walked:
 *
 *     packed_gates[block][gate][k][PANEL] = W_hh[gate * H + block * PANEL + column][k]
 */
#define gate_tiles FR_NAME(gate_tiles)
#define gradient_tile FR_NAME(gradient_tile)

static ptrdiff_t FR_NAME(pack_gates_size)(ptrdiff_t gates, ptrdiff_t hidden) {
    return PANELS_OF(hidden) * PANEL * gates * hidden;
}

static void FR_NAME(pack_gates)(REAL *packed_gates, const REAL *weight_hh, ptrdiff_t gates,
                                ptrdiff_t hidden) {
    for (ptrdiff_t unit = 0; unit < hidden; unit += PANEL) {
        const ptrdiff_t width = hidden - unit < PANEL ? hidden - unit : PANEL;
        for (ptrdiff_t gate = 0; gate < gates; gate++, packed_gates += PANEL * hidden)
            FR_NAME(pack)(packed_gates, weight_hh + (gate * hidden + unit) * hidden, 1, hidden,
                          hidden, width);
    }
}

/* z (B, G * H) <- input rows + h_prev W_hh^T, for `rows` rows and the PANEL units from `unit` on.
 * z, input and ids point to the first of the rows; input may be z. */
FR_INLINE void gate_tiles(REAL *z, ptrdiff_t ldz, const REAL *input, const int64_t *ids,
                          const REAL *h_prev, const REAL *packed_gates, int rows, ptrdiff_t unit,
                          ptrdiff_t hidden, const int gates) {
    tile_args t = {
        .c = z + unit,
        .ldc = ldz,
        .init = input + unit,
        .ld_init = ldz,
        .ids = ids,
        .a = h_prev,
        .row_stride = hidden,
        .k_stride = 1,
        .packed = packed_gates + unit * gates * hidden,
        .k = hidden,
        .left = hidden - unit,
        .stride = hidden,
        .step = 0,
    };
    if (rows <= WIDE_ROWS) {
        wide_tile_of(&t, rows, gates);
        return;
    }
    for (int gate = 0; gate < gates; gate++) {
        tile_of(&t, rows);
        t.c += hidden;
        t.init += hidden;
        t.packed += PANEL * hidden;
    }
}

/* to (rows, panels * PANEL) <- dh + dz_next @ packed_hh_t, for the units from `unit` on. */
FR_INLINE void gradient_tile(REAL *to, const REAL *dh, const REAL *dz_next, ptrdiff_t ldz,
                             ptrdiff_t depth, const REAL *packed_hh_t, int rows, int panels,
                             ptrdiff_t unit, ptrdiff_t hidden) {
    const tile_args t = {
        .c = to,
        .ldc = panels * PANEL,
        .init = dh ? dh + unit : NULL,
        .ld_init = hidden,
        .a = dz_next ? dz_next : to,
        .row_stride = ldz,
        .k_stride = 1,
        .packed = packed_hh_t + unit * depth,
        .k = dz_next ? depth : 0,
        .left = hidden - unit,
        .stride = PANEL,
        .step = PANEL,
    };
    wide_tile_of(&t, rows, panels);
}
