/* Drawing the next token. */
#define LARGEST (sizeof(REAL) == sizeof(float) ? (double)FLT_MAX : DBL_MAX)
#define penalise FR_NAME(penalise)
#define drop_below FR_NAME(drop_below)
#define draw FR_NAME(draw)
#define draw_fast FR_NAME(draw_fast)
#define serial_total FR_NAME(serial_total)
#define first_of FR_NAME(first_of)

/* Makes less of the tokens that were seen, of their logits whatever the sign. */
static void penalise(REAL *logits, const int32_t *seen, ptrdiff_t size, double penalty) {
    for (ptrdiff_t i = 0; i < size; i++) {
        if (seen[i] == 0) continue;
        const double x = (double)logits[i], scaled = x > 0 ? x / penalty : x * penalty;
        /* Not infinity, of which two have no difference. */
        logits[i] = (REAL)(scaled > LARGEST ? LARGEST : scaled < -LARGEST ? -LARGEST : scaled);
    }
}

/* Zeroes the probabilities below `least`; returns the sum of the others. */
static double drop_below(REAL *p, ptrdiff_t size, double least) {
    for (ptrdiff_t i = 0; i < size; i++) p[i] = (double)p[i] < least ? 0 : p[i];
    return sum_above(p, size, 0);
}

/* The index where the running sum of p first exceeds uniform * total. */
static ptrdiff_t draw(const REAL *p, ptrdiff_t size, double total, double uniform) {
    const double target = uniform * total;
    double sum = 0;
    ptrdiff_t last = 0;
    for (ptrdiff_t i = 0; i < size; i++) {
        if (p[i] <= 0) continue;
        sum += (double)p[i];
        last = i;
        if (sum > target) return i;
    }
    return last;
}

/* The same, or -1 where the order of a sum could decide. */
static ptrdiff_t draw_fast(const REAL *p, ptrdiff_t size, double total, double uniform) {
    const double target = uniform * total, doubt = DOUBT(size) * total;
    double sum = 0;
    ptrdiff_t i = 0;
    for (; i + BLOCK <= size; i += BLOCK) {
        const double next = sum + sum_block(p + i);
        if (next > target - doubt) break;
        sum = next;
    }
    for (; i < size; i++) {
        sum += (double)p[i];
        if (sum > target - doubt) return sum > target + doubt ? i : -1;
    }
    return -1;
}

/* The sum of p in the order that defines it: by index after min_p, else from the largest on. */
static double serial_total(const REAL *p, REAL *scratch, ptrdiff_t size, double min_p) {
    double total = 0;
    if (min_p <= 0) {
        size = collect(scratch, p, size, 0, 2);
        sort_descending(scratch, size);
        p = scratch;
    }
    for (ptrdiff_t i = 0; i < size; i++) total += (double)p[i];
    return total;
}

/* The first of the logits that equals their largest, or -1 where that is no number. */
static ptrdiff_t first_of(const REAL *logits, ptrdiff_t size, REAL largest) {
    ptrdiff_t first = 0;
    int no_number = !((double)largest >= -LARGEST && (double)largest <= LARGEST);
    for (ptrdiff_t i = 0; i < size; i++) no_number |= logits[i] != logits[i];
    while (!no_number && first < size - 1 && logits[first] != largest) first++;
    return no_number ? -1 : first;
}

static ptrdiff_t FR_NAME(sample)(REAL *logits, REAL *scratch, const int32_t *seen,
                                 ptrdiff_t classes, const fr_sampling *options, double uniform) {
    const double temperature = options->temperature, top_p = options->top_p;
    if (seen && options->repetition_penalty != 1) {
        if (first_of(logits, classes, row_max(logits, classes)) < 0) return -1;
        penalise(logits, seen, classes, options->repetition_penalty);
    }
    const REAL largest = row_max(logits, classes);
    if (temperature == 0) return first_of(logits, classes, largest);
    for (ptrdiff_t i = 0; i < classes; i++) logits[i] -= largest;
    /* Not infinity, which times the largest logit, now zero, would be NaN. */
    scale_row(logits, classes, fmin(1.0 / temperature, LARGEST));
    double total = sum_exp(logits, logits, classes, 0);
    if (!(total > 0)) return -1; /* infinity less infinity is NaN too */
    const int cuts = options->top_k < classes || top_p < 1;
    if (cuts)
        total = cut_off(logits, scratch, classes, options->top_k, top_p, total / (double)classes);
    /* These are multiples of the largest probability, which is exp(0). */
    if (options->min_p > 0) total = drop_below(logits, classes, options->min_p);
    const ptrdiff_t drawn = draw_fast(logits, classes, total, uniform);
    if (drawn >= 0) return drawn;
    if (cuts || options->min_p > 0) total = serial_total(logits, scratch, classes, options->min_p);
    return draw(logits, classes, total, uniform);
}
