/* Softmax and cross-entropy, a row at a time: with m = max(logits),
 *   log softmax_i = logit_i - m - log(sum_j exp(logit_j - m))
 * A sum adds up to SUM_RUN vectors in REAL, lane by lane, and these in double, so that a loss over
 * many rows or classes loses nothing.
 */
#define row_max FR_NAME(row_max)
#define sum_exp FR_NAME(sum_exp)
#define scale_row FR_NAME(scale_row)

static REAL row_max(const REAL *x, ptrdiff_t size) {
    REAL largest = x[0];
    ptrdiff_t i = 0;
    if (size >= LANES) {
        vec most = v_load(x);
        for (i = LANES; i + LANES <= size; i += LANES) most = v_max(v_load(x + i), most);
        largest = v_largest(most);
    }
    for (; i < size; i++) largest = x[i] > largest ? x[i] : largest;
    return largest;
}

/* Adds up exp(x[i] - shift); stores the terms in `terms` unless that is NULL. */
static double sum_exp(REAL *terms, const REAL *x, ptrdiff_t size, REAL shift) {
    const vec offset = v_set1(shift);
    double total = 0;
    ptrdiff_t i = 0;
    while (i + LANES <= size) {
        vec run = v_set1(0);
        for (int j = 0; j < SUM_RUN && i + LANES <= size; j++, i += LANES) {
            const vec e = v_exp(v_sub(v_load(x + i), offset));
            if (terms) v_store(terms + i, e);
            run = v_add(run, e);
        }
        total += (double)v_sum(run);
    }
    if (i < size) {
        REAL lane[LANES];
        const vec e = v_exp(v_sub(v_load_tail(x + i, size - i), offset));
        v_store(lane, e);
        if (terms) v_store_tail(terms + i, e, size - i);
        for (ptrdiff_t j = 0; j < size - i; j++) total += (double)lane[j];
    }
    return total;
}

static void scale_row(REAL *x, ptrdiff_t size, double factor) {
    const vec f = v_set1((REAL)factor);
    for (ptrdiff_t i = 0; i < size; i += LANES)
        v_store_tail(x + i, v_mul(v_load_tail(x + i, size - i), f), size - i);
}

static void FR_NAME(softmax)(REAL *logits, ptrdiff_t m, ptrdiff_t classes) {
    for (ptrdiff_t i = 0; i < m; i++) {
        REAL *row = logits + i * classes;
        scale_row(row, classes, 1.0 / sum_exp(row, row, classes, row_max(row, classes)));
    }
}

static double FR_NAME(cross_entropy)(const REAL *logits, const int64_t *targets, ptrdiff_t m,
                                     ptrdiff_t classes) {
    double loss = 0;
    for (ptrdiff_t i = 0; i < m; i++) {
        const REAL *row = logits + i * classes;
        const REAL largest = row_max(row, classes);
        loss +=
            log(sum_exp(NULL, row, classes, largest)) + (double)largest - (double)row[targets[i]];
    }
    return loss;
}

static double FR_NAME(cross_entropy_grad)(REAL *logits, const int64_t *targets, ptrdiff_t m,
                                          ptrdiff_t classes, double scale) {
    double loss = 0;
    for (ptrdiff_t i = 0; i < m; i++) {
        REAL *row = logits + i * classes;
        const REAL largest = row_max(row, classes);
        const double chosen = (double)row[targets[i]] - (double)largest;
        const double total = sum_exp(row, row, classes, largest);
        loss += log(total) - chosen;
        scale_row(row, classes, scale / total);
        row[targets[i]] -= (REAL)scale;
    }
    return loss;
}
