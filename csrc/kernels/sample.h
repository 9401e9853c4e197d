/* Drawing the next token. */
#define LARGEST (sizeof(REAL) == sizeof(float) ? (double)FLT_MAX : DBL_MAX)
#define sift_down FR_NAME(sift_down)
#define sort_descending FR_NAME(sort_descending)
#define penalise FR_NAME(penalise)
#define cut_off FR_NAME(cut_off)
#define drop_below FR_NAME(drop_below)
#define draw FR_NAME(draw)

static void sift_down(REAL *heap, ptrdiff_t root, ptrdiff_t size) {
    for (;;) {
        ptrdiff_t child = 2 * root + 1;
        if (child >= size) return;
        if (child + 1 < size && heap[child + 1] < heap[child]) child++;
        if (!(heap[child] < heap[root])) return;
        const REAL moved = heap[root];
        heap[root] = heap[child];
        heap[child] = moved;
        root = child;
    }
}

/* Heapsort on a min-heap: in place, and no worse than size log size on any input. */
static void sort_descending(REAL *x, ptrdiff_t size) {
    for (ptrdiff_t i = size / 2 - 1; i >= 0; i--) sift_down(x, i, size);
    for (ptrdiff_t last = size - 1; last > 0; last--) {
        const REAL smallest = x[0];
        x[0] = x[last];
        x[last] = smallest;
        sift_down(x, 0, last);
    }
}

/* Makes less of the tokens that were seen, of their logits whatever the sign. */
static void penalise(REAL *logits, const int32_t *seen, ptrdiff_t size, double penalty) {
    for (ptrdiff_t i = 0; i < size; i++) {
        if (seen[i] == 0) continue;
        const double x = (double)logits[i], scaled = x > 0 ? x / penalty : x * penalty;
        /* Not infinity, of which two have no difference. */
        logits[i] = (REAL)(scaled > LARGEST ? LARGEST : scaled < -LARGEST ? -LARGEST : scaled);
    }
}

/* Zeroes all but the top_k largest probabilities and, of those (renormalised), all but the
 * fewest that reach top_p. Ties are kept from the lowest index on. Returns the sum kept. */
static double cut_off(REAL *p, REAL *sorted, ptrdiff_t size, ptrdiff_t top_k, double top_p) {
    for (ptrdiff_t i = 0; i < size; i++) sorted[i] = p[i];
    sort_descending(sorted, size);
    double total = 0, reached = 0;
    for (ptrdiff_t i = 0; i < top_k; i++) total += (double)sorted[i];
    ptrdiff_t kept = 0;
    while (kept < top_k && (kept == 0 || reached < top_p * total))
        reached += (double)sorted[kept++];
    const REAL threshold = sorted[kept - 1];
    ptrdiff_t ties = 0;
    for (ptrdiff_t i = 0; i < kept; i++) ties += sorted[i] == threshold;
    for (ptrdiff_t i = 0; i < size; i++) {
        if (p[i] == threshold && ties > 0)
            ties--;
        else if (p[i] <= threshold)
            p[i] = 0;
    }
    return reached;
}

/* Zeroes the probabilities below `least`; returns the sum of the others. */
static double drop_below(REAL *p, ptrdiff_t size, double least) {
    double kept = 0;
    for (ptrdiff_t i = 0; i < size; i++) {
        if ((double)p[i] < least) p[i] = 0;
        kept += (double)p[i];
    }
    return kept;
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

static ptrdiff_t FR_NAME(sample)(REAL *logits, REAL *scratch, const int32_t *seen,
                                 ptrdiff_t classes, const fr_sampling *options, double uniform) {
    const double temperature = options->temperature, top_p = options->top_p;
    if (seen && options->repetition_penalty != 1)
        penalise(logits, seen, classes, options->repetition_penalty);
    const REAL largest = row_max(logits, classes);
    if (temperature == 0) {
        ptrdiff_t best = 0;
        while (best < classes - 1 && logits[best] != largest) best++;
        return best;
    }
    for (ptrdiff_t i = 0; i < classes; i++) logits[i] -= largest;
    /* Not infinity, which times the largest logit, now zero, would be NaN. */
    scale_row(logits, classes, fmin(1.0 / temperature, LARGEST));
    double total = sum_exp(logits, logits, classes, 0);
    if (options->top_k < classes || top_p < 1)
        total = cut_off(logits, scratch, classes, options->top_k, top_p);
    /* These are multiples of the largest probability, which is exp(0). */
    if (options->min_p > 0) total = drop_below(logits, classes, options->min_p);
    return draw(logits, classes, total, uniform);
}
