/* Softmax and cross-entropy, a row at a time: with m = max(logits),
 *   log softmax_i = logit_i - m - log(sum_j exp(logit_j - m))
 * A sum adds up to SUM_RUN vectors in REAL, lane by lane, and these in double, so that a loss over
 * many rows or classes loses nothing.
 */
#define row_max FR_NAME(row_max)
#define sum_exp FR_NAME(sum_exp)
#define scale_row FR_NAME(scale_row)
#define ones FR_NAME(ones)
#define each_cross_entropy FR_NAME(each_cross_entropy)

static const REAL ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static REAL row_max(const REAL *x, ptrdiff_t size) {
    REAL largest = x[0];
    if (size < LANES) {
        for (ptrdiff_t i = 1; i < size; i++) largest = x[i] > largest ? x[i] : largest;
        return largest;
    }
    vec most = v_load(x + size - LANES);
    for (ptrdiff_t i = 0; i + LANES <= size; i += LANES) most = v_max(v_load(x + i), most);
    return v_largest(most);
}

/* Adds up exp(x[i] - shift); stores the terms in `terms` unless that is NULL. */
static double sum_exp(REAL *terms, const REAL *x, ptrdiff_t size, REAL shift) {
    const vec offset = v_set1(shift);
    double total = 0;
    for (ptrdiff_t i = 0; i < size;) {
        vec run = v_set1(0);
        for (int j = 0; j < SUM_RUN && i < size; j++, i += LANES) {
            const ptrdiff_t left = size - i;
            vec e = v_exp(v_sub(v_load_tail(x + i, left), offset));
            if (left < LANES) e = v_where_positive(v_load_tail(ones, left), e);
            if (terms) v_store_tail(terms + i, e, left);
            run = v_add(run, e);
        }
        total += (double)v_sum(run);
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

/* From the last row to the first: a row waits for the store of part of a vector that reaches into
 * it from the row before, though it changes nothing there (60 of 230 cycles a row of 65 classes).
 */
FR_INLINE double each_cross_entropy(REAL *terms, const REAL *logits, const int64_t *targets,
                                    ptrdiff_t m, ptrdiff_t classes, double scale) {
    double loss = 0;
    for (ptrdiff_t i = m - 1; i >= 0; i--) {
        const REAL *row = logits + i * classes;
        REAL *out = terms ? terms + i * classes : NULL;
        const REAL largest = row_max(row, classes);
        const double chosen = (double)row[targets[i]] - (double)largest;
        const double total = sum_exp(out, row, classes, largest);
        loss += log(total) - chosen;
        if (!out) continue;
        scale_row(out, classes, scale / total);
        out[targets[i]] -= (REAL)scale;
    }
    return loss;
}

static double FR_NAME(cross_entropy)(const REAL *logits, const int64_t *targets, ptrdiff_t m,
                                     ptrdiff_t classes) {
    return each_cross_entropy(NULL, logits, targets, m, classes, 0);
}

static double FR_NAME(cross_entropy_grad)(REAL *logits, const int64_t *targets, ptrdiff_t m,
                                          ptrdiff_t classes, double scale) {
    return each_cross_entropy(logits, logits, targets, m, classes, scale);
}
