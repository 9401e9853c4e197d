/* One step of each cell, forward and back, for one precision. Included by kernel_cases.h.
 *
 * The pre-activations start from a projection (FROM_ROWS), a table by token (FROM_TOKENS), or the
 * biases with the product by x added in the kernel (FROM_X). Gradients of cells with gates sum four
 * times as many products as the other cases and get four times their tolerance. */
#ifndef CELL_CASES_ONCE
#define CELL_CASES_ONCE
enum { FROM_ROWS, FROM_TOKENS, FROM_X, NUM_SOURCES };
enum { TOKENS = 3, INPUTS = 5 };

/* Calls a kernel for the first block of units, then for the rest, of which there may be none. */
#define EACH_HALF(call)                                                               \
    for (int half = 0; half < 2; half++) {                                            \
        const ptrdiff_t middle = hidden < k->unit_block() ? hidden : k->unit_block(); \
        const ptrdiff_t first = half ? middle : 0, last = half ? hidden : middle;     \
        call;                                                                         \
    }
#endif

/* What one step is given: gates of W, gates in a row of pre-activations, and the numbers. */
typedef struct {
    ptrdiff_t batch, hidden, gates, width;
    REAL *w_hh, *w_ih, *packed_hh, *packed_ih, *packed_back;
    REAL *rows, *x, *h_prev, *dh, *dz_next;
    ptrdiff_t ld;
    int64_t *ids;
    int source;
} CAT(step, SUFFIX);
#define STEP CAT(step, SUFFIX)

static STEP NAME(make_step)(const TABLE *k, ptrdiff_t batch, ptrdiff_t hidden, ptrdiff_t gates,
                            ptrdiff_t row_gates, int source) {
    const ptrdiff_t size = batch * hidden, width = row_gates * hidden;
    STEP s = {.batch = batch, .hidden = hidden, .gates = gates, .width = width, .source = source};
    s.w_hh = NAME(make)(gates * hidden * hidden);
    s.w_ih = NAME(make)(gates * hidden * INPUTS);
    s.packed_hh = NAME(make)(k->pack_gates_size(gates, hidden, hidden));
    s.packed_ih = NAME(make)(k->pack_gates_size(gates, hidden, INPUTS));
    s.packed_back = NAME(make)(k->pack_size(gates * hidden, hidden));
    k->pack_gates(s.packed_hh, s.w_hh, gates, hidden, hidden);
    k->pack_gates(s.packed_ih, s.w_ih, gates, hidden, INPUTS);
    k->pack(s.packed_back, gates * hidden, s.w_hh, hidden, 1, gates * hidden, hidden);
    s.rows = NAME(make)(width * (source == FROM_ROWS ? batch : source == FROM_TOKENS ? TOKENS : 1));
    s.ld = source == FROM_X ? 0 : width;
    s.x = NAME(make)(batch * INPUTS);
    s.h_prev = NAME(make)(size);
    s.dh = NAME(make)(size);
    s.dz_next = NAME(make)(batch * width);
    s.ids = malloc((size_t)batch * sizeof(int64_t));
    for (ptrdiff_t i = 0; i < batch; i++) s.ids[i] = (i * 2 + 1) % TOKENS;
    return s;
}

static void NAME(free_step)(STEP *s) {
    free(s->w_hh), free(s->w_ih), free(s->packed_hh), free(s->packed_ih), free(s->packed_back);
    free(s->rows), free(s->x), free(s->h_prev), free(s->dh), free(s->dz_next), free(s->ids);
}

/* Row i's pre-activation in column `slot` * H + j. gate_ih and gate_hh say which gate of W_ih and
 * of W_hh belongs to it; a negative one has none. */
static double NAME(pre_activation)(const STEP *s, ptrdiff_t i, ptrdiff_t j, int slot, int gate_ih,
                                   int gate_hh) {
    const ptrdiff_t row = s->source == FROM_ROWS ? i : s->source == FROM_TOKENS ? s->ids[i] : 0;
    double z = s->rows[row * s->ld + slot * s->hidden + j];
    if (s->source == FROM_X && gate_ih >= 0)
        for (ptrdiff_t l = 0; l < INPUTS; l++)
            z += (double)s->x[i * INPUTS + l] *
                 (double)s->w_ih[(gate_ih * s->hidden + j) * INPUTS + l];
    if (gate_hh >= 0)
        for (ptrdiff_t l = 0; l < s->hidden; l++)
            z += (double)s->h_prev[i * s->hidden + l] *
                 (double)s->w_hh[(gate_hh * s->hidden + j) * s->hidden + l];
    return z;
}

/* What the next step's dz, from column `slot` * H on, sends back to unit j of row i. */
static double NAME(from_next)(const STEP *s, ptrdiff_t i, ptrdiff_t j, int slot) {
    double sum = 0;
    for (ptrdiff_t l = 0; l < s->gates * s->hidden; l++)
        sum += (double)s->dz_next[i * s->width + slot * s->hidden + l] *
               (double)s->w_hh[l * s->hidden + j];
    return sum;
}

/* Numbers that a kernel has not written to. */
static REAL *NAME(make_unwritten)(ptrdiff_t size) {
    REAL *values = NAME(make)(size);
    for (ptrdiff_t i = 0; i < size; i++) values[i] = (REAL)NAN;
    return values;
}

static void NAME(check_unwritten)(const char *isa, const char *what, const REAL *values,
                                  ptrdiff_t batch, ptrdiff_t hidden, ptrdiff_t from) {
    for (ptrdiff_t i = 0; i < batch; i++)
        for (ptrdiff_t j = from; j < hidden; j++)
            check(isa, what, batch, hidden, isnan(values[i * hidden + j]), 1, 0);
}

static void NAME(rnn_case)(const char *isa, const TABLE *k, ptrdiff_t batch, ptrdiff_t hidden,
                           fr_nonlinearity f, int source) {
    STEP s = NAME(make_step)(k, batch, hidden, 1, 1, source);
    const ptrdiff_t size = batch * hidden;
    REAL *h = NAME(make)(size), *dz = NAME(make)(size), *dz_silent = NAME(make)(size);
    REAL *h_again = NAME(make_unwritten)(size);
    const int64_t *ids = source == FROM_TOKENS ? s.ids : NULL;
    const REAL *x = source == FROM_X ? s.x : NULL;
    REAL *dz_last = NAME(copy)(s.dh, size);
    k->rnn_forward(h, s.rows, s.ld, ids, x, s.packed_ih, INPUTS, s.h_prev, s.packed_hh, batch,
                   hidden, 0, hidden, source == FROM_TOKENS, f);
    EACH_HALF({
        k->rnn_forward(h_again, s.rows, s.ld, ids, x, s.packed_ih, INPUTS, s.h_prev, s.packed_hh,
                       batch, hidden, first, last, source == FROM_ROWS, f);
        NAME(check_unwritten)(isa, "rnn_forward's share", h_again, batch, hidden, last);
    });
    k->rnn_backward(dz, h, s.dh, s.dz_next, s.packed_back, batch, hidden, 0, hidden, f);
    k->rnn_backward(dz_last, h, dz_last, NULL, s.packed_back, batch, hidden, 0, hidden, f);
    EACH_HALF(k->rnn_backward(dz_silent, h, NULL, s.dz_next, s.packed_back, batch, hidden, first,
                              last, f));
    for (ptrdiff_t i = 0; i < batch; i++) {
        for (ptrdiff_t j = 0; j < hidden; j++) {
            const ptrdiff_t at = i * hidden + j;
            const double z = NAME(pre_activation)(&s, i, j, 0, 0, 0);
            const double back = NAME(from_next)(&s, i, j, 0);
            const double slope = reference_derivative(h[at], f);
            check(isa, "rnn_forward", batch, hidden, h[at], reference_f(z, f), TOLERANCE);
            check(isa, "rnn_forward again", batch, hidden, h_again[at], h[at], 0);
            check(isa, "rnn_backward", batch, hidden, dz[at], ((double)s.dh[at] + back) * slope,
                  TOLERANCE);
            check(isa, "rnn_backward, last step", batch, hidden, dz_last[at],
                  (double)s.dh[at] * slope, TOLERANCE);
            check(isa, "rnn_backward, no output", batch, hidden, dz_silent[at], back * slope,
                  TOLERANCE);
        }
    }
    free(h), free(h_again), free(dz), free(dz_silent), free(dz_last);
    NAME(free_step)(&s);
}

static void NAME(lstm_case)(const char *isa, const TABLE *k, ptrdiff_t batch, ptrdiff_t hidden,
                            int source) {
    STEP s = NAME(make_step)(k, batch, hidden, 4, 4, source);
    const ptrdiff_t size = batch * hidden;
    REAL *h = NAME(make)(size), *h_again = NAME(make_unwritten)(size), *c = NAME(make)(size);
    REAL *c_prev = NAME(make)(size), *c_in_place = NAME(copy)(c_prev, size);
    REAL *gates = NAME(make)(4 * size), *dc = NAME(make)(size), *dc_before = NAME(copy)(dc, size);
    REAL *dz = NAME(make)(4 * size);
    const int64_t *ids = source == FROM_TOKENS ? s.ids : NULL;
    const REAL *x = source == FROM_X ? s.x : NULL;
    k->lstm_forward(h, c, gates, s.rows, s.ld, ids, x, s.packed_ih, INPUTS, s.h_prev, c_prev,
                    s.packed_hh, batch, hidden, 0, hidden, 0);
    EACH_HALF({
        k->lstm_forward(h_again, c_in_place, NULL, s.rows, s.ld, ids, x, s.packed_ih, INPUTS,
                        s.h_prev, c_in_place, s.packed_hh, batch, hidden, first, last, 1);
        NAME(check_unwritten)(isa, "lstm_forward's share", h_again, batch, hidden, last);
    });
    EACH_HALF(k->lstm_backward(dz, dc, gates, c, c_prev, source == FROM_X ? NULL : s.dh,
                               source == FROM_ROWS ? NULL : s.dz_next, s.packed_back, batch, hidden,
                               first, last));
    for (ptrdiff_t i = 0; i < batch; i++) {
        for (ptrdiff_t j = 0; j < hidden; j++) {
            const ptrdiff_t at = i * hidden + j, row = i * 4 * hidden + j;
            double z[4];
            for (int g = 0; g < 4; g++)
                z[g] = reference_f(NAME(pre_activation)(&s, i, j, g, g, g),
                                   g == 2 ? FR_TANH : FR_SIGMOID);
            const double state = z[1] * (double)c_prev[at] + z[0] * z[2], t = tanh(state);
            check(isa, "lstm_forward c", batch, hidden, c[at], state, TOLERANCE);
            check(isa, "lstm_forward h", batch, hidden, h[at], z[3] * t, TOLERANCE);
            check(isa, "lstm_forward again", batch, hidden, h_again[at], h[at], 0);
            check(isa, "lstm_forward in place", batch, hidden, c_in_place[at], c[at], 0);
            const double dh = (source == FROM_X ? 0 : (double)s.dh[at]) +
                              (source == FROM_ROWS ? 0 : NAME(from_next)(&s, i, j, 0));
            const double dct = (double)dc_before[at] + dh * z[3] * (1 - t * t);
            const double expected[4] = {dct * z[2] * z[0] * (1 - z[0]),
                                        dct * (double)c_prev[at] * z[1] * (1 - z[1]),
                                        dct * z[0] * (1 - z[2] * z[2]), dh * t * z[3] * (1 - z[3])};
            check(isa, "lstm_backward dc", batch, hidden, dc[at], dct * z[1], 4 * TOLERANCE);
            for (int g = 0; g < 4; g++) {
                check(isa, "lstm gates", batch, hidden, gates[row + g * hidden], z[g], TOLERANCE);
                check(isa, "lstm_backward dz", batch, hidden, dz[row + g * hidden], expected[g],
                      4 * TOLERANCE);
            }
        }
    }
    free(h), free(h_again), free(c), free(c_prev), free(c_in_place), free(gates);
    free(dc), free(dc_before), free(dz);
    NAME(free_step)(&s);
}

static void NAME(gru_case)(const char *isa, const TABLE *k, ptrdiff_t batch, ptrdiff_t hidden,
                           int source) {
    STEP s = NAME(make_step)(k, batch, hidden, 3, 4, source);
    const ptrdiff_t size = batch * hidden;
    REAL *h = NAME(make)(size), *h_again = NAME(make_unwritten)(size);
    REAL *gates = NAME(make)(4 * size);
    REAL *past = NAME(make)(size), *past_before = NAME(copy)(past, size);
    REAL *dz = NAME(make)(4 * size);
    const int64_t *ids = source == FROM_TOKENS ? s.ids : NULL;
    const REAL *x = source == FROM_X ? s.x : NULL;
    k->gru_forward(h, gates, s.rows, s.ld, ids, x, s.packed_ih, INPUTS, s.h_prev, s.packed_hh,
                   batch, hidden, 0, hidden, 0);
    EACH_HALF({
        k->gru_forward(h_again, NULL, s.rows, s.ld, ids, x, s.packed_ih, INPUTS, s.h_prev,
                       s.packed_hh, batch, hidden, first, last, 1);
        NAME(check_unwritten)(isa, "gru_forward's share", h_again, batch, hidden, last);
    });
    EACH_HALF(k->gru_backward(dz, past, gates, s.h_prev, source == FROM_X ? NULL : s.dh,
                              source == FROM_ROWS ? NULL : s.dz_next, s.packed_back, batch, hidden,
                              first, last));
    for (ptrdiff_t i = 0; i < batch; i++) {
        for (ptrdiff_t j = 0; j < hidden; j++) {
            const ptrdiff_t at = i * hidden + j, row = i * 4 * hidden + j;
            const double r = reference_f(NAME(pre_activation)(&s, i, j, 1, 0, 0), FR_SIGMOID);
            const double z = reference_f(NAME(pre_activation)(&s, i, j, 2, 1, 1), FR_SIGMOID);
            const double m = NAME(pre_activation)(&s, i, j, 3, -1, 2);
            const double n = tanh(NAME(pre_activation)(&s, i, j, 0, 2, -1) + r * m);
            const double old = s.h_prev[at];
            check(isa, "gru_forward h", batch, hidden, h[at], (1 - z) * n + z * old, TOLERANCE);
            check(isa, "gru_forward again", batch, hidden, h_again[at], h[at], 0);
            const double dh = (double)past_before[at] + (source == FROM_X ? 0 : (double)s.dh[at]) +
                              (source == FROM_ROWS ? 0 : NAME(from_next)(&s, i, j, 1));
            const double dn = dh * (1 - z) * (1 - n * n);
            const double kept[4] = {n, r, z, m};
            const double expected[4] = {dn, dn * m * r * (1 - r), dh * (old - n) * z * (1 - z),
                                        dn * r};
            check(isa, "gru_backward past", batch, hidden, past[at], dh * z, 4 * TOLERANCE);
            for (int g = 0; g < 4; g++) {
                check(isa, "gru gates", batch, hidden, gates[row + g * hidden], kept[g], TOLERANCE);
                check(isa, "gru_backward dz", batch, hidden, dz[row + g * hidden], expected[g],
                      4 * TOLERANCE);
            }
        }
    }
    free(h), free(h_again), free(gates), free(past), free(past_before), free(dz);
    NAME(free_step)(&s);
}

/* A step without a recurrent product is one whose weights are zero, bit for bit. */
static void NAME(bare_cases)(const char *isa, const TABLE *k, ptrdiff_t batch, ptrdiff_t hidden) {
    STEP s = NAME(make_step)(k, batch, hidden, 4, 4, FROM_ROWS);
    const ptrdiff_t size = batch * hidden;
    REAL *zero = calloc((size_t)k->pack_gates_size(4, hidden, hidden), sizeof(REAL));
    REAL *h[6], *c = NAME(make)(size), *c_with = NAME(copy)(c, size);
    for (int i = 0; i < 6; i++) h[i] = NAME(make)(size);
    for (int with = 0; with < 2; with++) {
        const REAL *packed = with ? zero : NULL;
        k->rnn_forward(h[with], s.rows, 4 * hidden, NULL, NULL, NULL, 0, s.h_prev, packed, batch,
                       hidden, 0, hidden, 0, FR_TANH);
        k->lstm_forward(h[2 + with], with ? c_with : c, NULL, s.rows, s.ld, NULL, NULL, NULL, 0,
                        s.h_prev, with ? c_with : c, packed, batch, hidden, 0, hidden, 0);
        k->gru_forward(h[4 + with], NULL, s.rows, s.ld, NULL, NULL, NULL, 0, s.h_prev, packed,
                       batch, hidden, 0, hidden, 0);
    }
    for (ptrdiff_t i = 0; i < size; i++) {
        check(isa, "rnn_forward, no product", batch, hidden, h[0][i], h[1][i], 0);
        check(isa, "lstm_forward, no product", batch, hidden, h[2][i], h[3][i], 0);
        check(isa, "lstm_forward c, no product", batch, hidden, c[i], c_with[i], 0);
        check(isa, "gru_forward, no product", batch, hidden, h[4][i], h[5][i], 0);
    }
    for (int i = 0; i < 6; i++) free(h[i]);
    free(zero), free(c), free(c_with);
    NAME(free_step)(&s);
}

#undef STEP
