/* GRU, one time step for a slice of the batch, in PyTorch's form.
 *
 *   r, z = sigmoid of input_t + h_{t-1} W_hr^T, h_{t-1} W_hz^T      m = h_{t-1} W_hn^T + b_hn
 *   n = tanh(input_t + r m)            h_t = (1 - z) n + z h_{t-1}
 *
 * and back, with dh_t all that reaches h_t:
 *
 *   dz_n = dh_t (1 - z) (1 - n^2)           dm = dz_n r
 *   dz_r = dz_n m r (1 - r)                 dz_z = dh_t (h_{t-1} - n) z (1 - z)
 *   dh_{t-1} = dh_t z + (dz_r, dz_z, dm) W_hh
 *
 * Rows hold n, r, z, m: the first three are what the input projection's gradient needs, the last
 * three what the recurrent one's does.
 */
#define gru_units FR_NAME(gru_units)
#define gru_cell FR_NAME(gru_cell)
#define gru_row FR_NAME(gru_row)
#define gru_step FR_NAME(gru_step)
#define gru_cell_back FR_NAME(gru_cell_back)

/* A vector of units, `left` of which exist, from n's projection, r and z activated, and m, which
 * are kept unless `gates` is NULL. */
FR_INLINE void gru_units(REAL *h, REAL *gates, vec input, vec r, vec keep, vec m,
                         const REAL *h_prev, ptrdiff_t hidden, ptrdiff_t left) {
    const vec new = v_tanh(v_fma(r, m, input)), old = v_load_tail(h_prev, left);
    if (gates) {
        v_store_tail(gates, new, left);
        v_store_tail(gates + hidden, r, left);
        v_store_tail(gates + 2 * hidden, keep, left);
        v_store_tail(gates + 3 * hidden, m, left);
    }
    v_store_tail(h, v_fma(keep, v_sub(old, new), new), left);
}

/* `n` units of one row, which stand in z as gru_units takes them. */
FR_INLINE void gru_cell(REAL *h, REAL *gates, const REAL *z, const REAL *h_prev, ptrdiff_t hidden,
                        ptrdiff_t n) {
    for (ptrdiff_t u = 0; u < n; u += LANES)
        gru_units(h + u, gates ? gates + u : NULL, v_load(z + u), v_load(z + GATE_SIZE + u),
                  v_load(z + 2 * GATE_SIZE + u), v_load(z + 3 * GATE_SIZE + u), h_prev + u, hidden,
                  n - u);
}

FR_INLINE void gru_row(REAL *h, REAL *gates, const gate_input *in, const fr_stored stored) {
    const ptrdiff_t hidden = in->hidden, blocks = PANELS_OF(in->last - in->first);
    const REAL *input = in->rows + (in->ids ? in->ids[0] * in->ld : 0), *h_prev = in->h;
    for (ptrdiff_t done = 0; done < blocks; done++) {
        const ptrdiff_t unit = unit_after(in, done);
        vec z[3 * TILE_VECS];
        gate_row(z, in, unit, 3, 1, 3, stored);
        FR_UNROLL
        for (int j = 0; j < TILE_VECS; j++) {
            const ptrdiff_t u = unit + j * LANES;
            if (u < hidden)
                gru_units(h + u, gates ? gates + u : NULL, v_load_tail(input + u, hidden - u),
                          v_sigmoid(z[j]), v_sigmoid(z[TILE_VECS + j]), z[2 * TILE_VECS + j],
                          h_prev + u, hidden, hidden - u);
        }
    }
}

static void gru_step(REAL *h, REAL *gates, const gate_input *in, ptrdiff_t batch) {
    const ptrdiff_t hidden = in->hidden, tiles = ROW_TILES(batch);
    const ptrdiff_t blocks = PANELS_OF(in->last - in->first);
    if (is_plain_row(in, batch)) {
#define FR_CALL(stored) gru_row(h, gates, in, stored)
        FR_BY_STORED(in->stored, FR_CALL);
#undef FR_CALL
        return;
    }
    _Alignas(64) REAL z[4 * GATE_SIZE];
    if (batch > WIDE_ROWS) clear_narrow(z, hidden);
    for (ptrdiff_t done = 0; done < blocks; done++) {
        const ptrdiff_t unit = unit_after(in, done);
        const ptrdiff_t n = hidden - unit < PANEL ? hidden - unit : PANEL;
        for (ptrdiff_t i = 0; i < tiles; i++) {
            const gate_part part = part_of(in, done, batch, i, tiles);
            const ptrdiff_t row = part.row;
            const int rows = part.rows;
            fetch_tile(h + row * hidden + unit, hidden, rows);
            if (in->x) {
                gate_tiles(z, in, &part, 1, 0, 2, -1, 3);
                gate_tiles(z + GATE_SIZE, in, &part, 2, 1, 0, 0, 3);
                gate_tiles(z + 3 * GATE_SIZE, in, &part, 1, 3, -1, 2, 3);
            } else {
                gate_tiles(z, in, &part, 1, 0, -1, -1, 3);
                gate_tiles(z + GATE_SIZE, in, &part, 3, 1, -1, 0, 3);
            }
            for (int gate = 1; gate < 3; gate++) each_sigmoid(z + gate * GATE_SIZE, rows * PANEL);
            EACH_ROW(r, rows, batch <= FEW_ROWS) {
                const ptrdiff_t at = (row + r) * hidden + unit;
                gru_cell(h + at, gates ? gates + 4 * (row + r) * hidden + unit : NULL,
                         z + r * PANEL, in->h + at, hidden, n);
            }
        }
    }
}

static void FR_NAME(gru_forward)(REAL *h, REAL *gates, const REAL *input, ptrdiff_t ld_input,
                                 const int64_t *ids, const REAL *x, const REAL *packed_ih,
                                 ptrdiff_t inputs, const REAL *h_prev, const REAL *packed_hh,
                                 ptrdiff_t batch, ptrdiff_t hidden, ptrdiff_t first, ptrdiff_t last,
                                 int reverse) {
    const gate_input in = {input,   ld_input, ids,       x,      packed_ih,
                           inputs,  h_prev,   packed_hh, hidden, FR_STORED_REAL,
                           reverse, first,    last};
    gru_step(h, gates, &in, batch);
}

FR_INLINE void gru_cell_back(REAL *dz, REAL *dh_past, const REAL *gates, const REAL *h_prev,
                             const REAL *dh, ptrdiff_t hidden, ptrdiff_t n) {
    const vec one = v_set1(1);
    for (ptrdiff_t u = 0; u < n; u += LANES) {
        const ptrdiff_t left = n - u;
        const vec new = v_load_tail(gates + u, left);
        const vec r = v_load_tail(gates + hidden + u, left);
        const vec z = v_load_tail(gates + 2 * hidden + u, left);
        const vec m = v_load_tail(gates + 3 * hidden + u, left);
        const vec dh_t = v_add(v_load_tail(dh + u, left), v_load_tail(dh_past + u, left));
        const vec dz_n = v_mul(v_mul(dh_t, v_sub(one, z)), v_sub(one, v_mul(new, new)));
        const vec change = v_sub(v_load_tail(h_prev + u, left), new);
        v_store_tail(dh_past + u, v_mul(dh_t, z), left);
        v_store_tail(dz + u, dz_n, left);
        v_store_tail(dz + hidden + u, v_mul(v_mul(dz_n, m), v_mul(r, v_sub(one, r))), left);
        v_store_tail(dz + 2 * hidden + u, v_mul(v_mul(dh_t, change), v_mul(z, v_sub(one, z))),
                     left);
        v_store_tail(dz + 3 * hidden + u, v_mul(dz_n, r), left);
    }
}

static void FR_NAME(gru_backward)(REAL *dz, REAL *dh_past, const REAL *gates, const REAL *h_prev,
                                  const REAL *dh, const REAL *dz_next, const REAL *packed_hh_t,
                                  ptrdiff_t batch, ptrdiff_t hidden, ptrdiff_t first,
                                  ptrdiff_t last) {
    const ptrdiff_t width = 4 * hidden, tiles = ROW_TILES(batch);
    _Alignas(64) REAL reached[TILE_ROWS * PANEL];
    for (ptrdiff_t unit = first; unit < last;) {
        const int panels = panels_at_once(batch, PANELS_OF(last - unit));
        const ptrdiff_t columns = panels * PANEL;
        const ptrdiff_t n = last - unit < columns ? last - unit : columns;
        const ptrdiff_t next = unit + columns < last;
        for (ptrdiff_t i = 0; i < tiles; i++) {
            const ptrdiff_t row = tile_start(batch, i, tiles);
            const int rows = (int)(tile_start(batch, i + 1, tiles) - row);
            gradient_tile(reached, dh ? dh + row * hidden : NULL,
                          dz_next ? dz_next + row * width + hidden : NULL, width, 3 * hidden,
                          packed_hh_t, rows, panels, unit, hidden,
                          bytes_ahead(3 * hidden * hidden, 3 * hidden, next, i, tiles));
            EACH_ROW(r, rows, scattered_back(batch, width)) {
                const ptrdiff_t at = (row + r) * hidden + unit, gate = (row + r) * width + unit;
                gru_cell_back(dz + gate, dh_past + at, gates + gate, h_prev + at,
                              reached + r * columns, hidden, n);
            }
        }
        unit += columns;
    }
}
