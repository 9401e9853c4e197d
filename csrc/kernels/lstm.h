/* LSTM, one time step for a slice of the batch.
 *
 *   i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of input_t + h_{t-1} W_hh^T
 *   c_t = f c_{t-1} + i g              h_t = o tanh(c_t)
 *
 * and back, with dh_t and dc_t all that reaches h_t and c_t:
 *
 *   dc_t += dh_t o (1 - tanh(c_t)^2)    dc_{t-1} = dc_t f
 *   dz_i = dc_t g i (1 - i)             dz_f = dc_t c_{t-1} f (1 - f)
 *   dz_g = dc_t i (1 - g^2)             dz_o = dh_t tanh(c_t) o (1 - o)
 *
 * tanh(c_t) is computed again: a tenth of the step's memory would go into keeping it.
 */
#define lstm_units FR_NAME(lstm_units)
#define lstm_cell FR_NAME(lstm_cell)
#define lstm_row FR_NAME(lstm_row)
#define lstm_step FR_NAME(lstm_step)
#define lstm_cell_back FR_NAME(lstm_cell_back)

/* A vector of units, `left` of which exist, from their gates, which are kept unless `gates` is
 * NULL. */
FR_INLINE void lstm_units(REAL *h, REAL *c, REAL *gates, vec i, vec f, vec g, vec o,
                          const REAL *c_prev, ptrdiff_t hidden, ptrdiff_t left) {
    const vec state = v_fma(f, v_load_tail(c_prev, left), v_mul(i, g));
    if (gates) {
        v_store_tail(gates, i, left);
        v_store_tail(gates + hidden, f, left);
        v_store_tail(gates + 2 * hidden, g, left);
        v_store_tail(gates + 3 * hidden, o, left);
    }
    v_store_tail(c, state, left);
    v_store_tail(h, v_mul(o, v_tanh(state)), left);
}

/* `n` units of one row, whose activated gates stand in z. */
FR_INLINE void lstm_cell(REAL *h, REAL *c, REAL *gates, const REAL *z, const REAL *c_prev,
                         ptrdiff_t hidden, ptrdiff_t n) {
    for (ptrdiff_t u = 0; u < n; u += LANES)
        lstm_units(h + u, c + u, gates ? gates + u : NULL, v_load(z + u), v_load(z + GATE_SIZE + u),
                   v_load(z + 2 * GATE_SIZE + u), v_load(z + 3 * GATE_SIZE + u), c_prev + u, hidden,
                   n - u);
}

FR_INLINE void lstm_row(REAL *h, REAL *c, REAL *gates, const gate_input *in, const REAL *c_prev,
                        const fr_stored stored) {
    const ptrdiff_t hidden = in->hidden, blocks = PANELS_OF(in->last - in->first);
    for (ptrdiff_t done = 0; done < blocks; done++) {
        const ptrdiff_t unit = unit_after(in, done);
        vec z[4 * TILE_VECS];
        gate_row(z, in, unit, 4, 0, 4, stored);
        FR_UNROLL
        for (int j = 0; j < TILE_VECS; j++) {
            const ptrdiff_t u = unit + j * LANES;
            if (u < hidden)
                lstm_units(h + u, c + u, gates ? gates + u : NULL, v_sigmoid(z[j]),
                           v_sigmoid(z[TILE_VECS + j]), v_tanh(z[2 * TILE_VECS + j]),
                           v_sigmoid(z[3 * TILE_VECS + j]), c_prev + u, hidden, hidden - u);
        }
    }
}

static void lstm_step(REAL *h, REAL *c, REAL *gates, const gate_input *in, const REAL *c_prev,
                      ptrdiff_t batch) {
    const ptrdiff_t hidden = in->hidden, tiles = ROW_TILES(batch);
    const ptrdiff_t blocks = PANELS_OF(in->last - in->first);
    if (is_plain_row(in, batch)) {
#define FR_CALL(stored) lstm_row(h, c, gates, in, c_prev, stored)
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
            gate_tiles(z, in, &part, 4, 0, 0, 0, 4);
            for (int gate = 0; gate < 4; gate++) {
                if (gate == 2)
                    each_tanh(z + gate * GATE_SIZE, rows * PANEL);
                else
                    each_sigmoid(z + gate * GATE_SIZE, rows * PANEL);
            }
            EACH_ROW(r, rows, batch <= FEW_ROWS) {
                const ptrdiff_t at = (row + r) * hidden + unit;
                lstm_cell(h + at, c + at, gates ? gates + 4 * (row + r) * hidden + unit : NULL,
                          z + r * PANEL, c_prev + at, hidden, n);
            }
        }
    }
}

static void FR_NAME(lstm_forward)(REAL *h, REAL *c, REAL *gates, const REAL *input,
                                  ptrdiff_t ld_input, const int64_t *ids, const REAL *x,
                                  const REAL *packed_ih, ptrdiff_t inputs, const REAL *h_prev,
                                  const REAL *c_prev, const REAL *packed_hh, ptrdiff_t batch,
                                  ptrdiff_t hidden, ptrdiff_t first, ptrdiff_t last, int reverse) {
    const gate_input in = {input,   ld_input, ids,       x,      packed_ih,
                           inputs,  h_prev,   packed_hh, hidden, FR_STORED_REAL,
                           reverse, first,    last};
    lstm_step(h, c, gates, &in, c_prev, batch);
}

FR_INLINE void lstm_cell_back(REAL *dz, REAL *dc, const REAL *gates, const REAL *c,
                              const REAL *c_prev, const REAL *dh, ptrdiff_t hidden, ptrdiff_t n) {
    const vec one = v_set1(1);
    for (ptrdiff_t u = 0; u < n; u += LANES) {
        const ptrdiff_t left = n - u;
        const vec i = v_load_tail(gates + u, left), f = v_load_tail(gates + hidden + u, left);
        const vec g = v_load_tail(gates + 2 * hidden + u, left);
        const vec o = v_load_tail(gates + 3 * hidden + u, left);
        const vec t = v_tanh(v_load_tail(c + u, left)), dh_t = v_load_tail(dh + u, left);
        const vec slope = v_mul(o, v_sub(one, v_mul(t, t)));
        const vec dc_t = v_fma(dh_t, slope, v_load_tail(dc + u, left));
        const vec df = v_mul(dc_t, v_load_tail(c_prev + u, left));
        v_store_tail(dc + u, v_mul(dc_t, f), left);
        v_store_tail(dz + u, v_mul(v_mul(dc_t, g), v_mul(i, v_sub(one, i))), left);
        v_store_tail(dz + hidden + u, v_mul(df, v_mul(f, v_sub(one, f))), left);
        v_store_tail(dz + 2 * hidden + u, v_mul(v_mul(dc_t, i), v_sub(one, v_mul(g, g))), left);
        v_store_tail(dz + 3 * hidden + u, v_mul(v_mul(dh_t, t), v_mul(o, v_sub(one, o))), left);
    }
}

static void FR_NAME(lstm_backward)(REAL *dz, REAL *dc, const REAL *gates, const REAL *c,
                                   const REAL *c_prev, const REAL *dh, const REAL *dz_next,
                                   const REAL *packed_hh_t, ptrdiff_t batch, ptrdiff_t hidden,
                                   ptrdiff_t first, ptrdiff_t last) {
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
                          dz_next ? dz_next + row * width : NULL, width, width, packed_hh_t, rows,
                          panels, unit, hidden, bytes_ahead(width * hidden, width, next, i, tiles));
            EACH_ROW(r, rows, scattered_back(batch, width)) {
                const ptrdiff_t at = (row + r) * hidden + unit, gate = (row + r) * width + unit;
                lstm_cell_back(dz + gate, dc + at, gates + gate, c + at, c_prev + at,
                               reached + r * columns, hidden, n);
            }
        }
        unit += columns;
    }
}
