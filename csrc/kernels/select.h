/* The most probable tokens: the top_k largest, or the fewest largest that reach top_p.
 *
 * What stays depends on sums that are defined serially, in descending order. They are first taken
 * in whatever order is fastest, of a row that is not sorted; only where the difference could
 * decide, which is next to never, is the whole row sorted.
 */
#define BLOCK 128    /* is summed, or passed over, at once */
#define SORT_FEW 128 /* up to here comparing all pairs is faster than a heap */
#define SPARE 24     /* so many more are sorted rather than that another pass leaves fewer */
#define PASSES 32
#define IDLE_PASSES 4 /* that separate nothing: what is left is equal, or nearly so */
/* Times their total: more than two sums of the same numbers, none negative, can differ by. */
#define DOUBT(size) (8 * DBL_EPSILON * (double)(size))
#define sift_down FR_NAME(sift_down)
#define heap_sort FR_NAME(heap_sort)
#define sort_descending FR_NAME(sort_descending)
#define sum_block FR_NAME(sum_block)
#define sum_above FR_NAME(sum_above)
#define weigh_above FR_NAME(weigh_above)
#define bounds FR_NAME(bounds)
#define narrow FR_NAME(narrow)
#define collect FR_NAME(collect)
#define cut FR_NAME(cut)
#define reach FR_NAME(reach)
#define find_top_k FR_NAME(find_top_k)
#define find_top_p FR_NAME(find_top_p)
#define cut_off FR_NAME(cut_off)

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

/* In place, and no worse than size log size on any input: the heap's least goes to the end. */
static void heap_sort(REAL *x, ptrdiff_t size) {
    for (ptrdiff_t i = size / 2 - 1; i >= 0; i--) sift_down(x, i, size);
    for (ptrdiff_t last = size - 1; last > 0; last--) {
        const REAL smallest = x[0];
        x[0] = x[last];
        x[last] = smallest;
        sift_down(x, 0, last);
    }
}

/* Not for NaN. Of a few, each is placed by how many are larger, or equal and before it, so that no
 * branch depends on what they are. */
static void sort_descending(REAL *x, ptrdiff_t size) {
    REAL sorted[SORT_FEW];
    if (size > SORT_FEW) {
        heap_sort(x, size);
        return;
    }
    for (ptrdiff_t i = 0; i < size; i++) {
        const REAL one = x[i];
        int rank = 0;
        for (ptrdiff_t j = 0; j < i; j++) rank += x[j] >= one;
        for (ptrdiff_t j = i + 1; j < size; j++) rank += x[j] > one;
        sorted[rank] = one;
    }
    for (ptrdiff_t i = 0; i < size; i++) x[i] = sorted[i];
}

/* Sixteen sums side by side make vectors of doubles. */
static double sum_block(const REAL *p) {
    double lanes[16] = {0}, sum = 0;
    for (int i = 0; i < BLOCK; i += 16)
        for (int j = 0; j < 16; j++) lanes[j] += (double)p[i + j];
    for (int j = 0; j < 16; j++) sum += lanes[j];
    return sum;
}

/* The sum of what is above `least`. */
static double sum_above(const REAL *p, ptrdiff_t size, REAL least) {
    const vec bound = v_set1(least);
    double sum = 0;
    for (ptrdiff_t i = 0; i < size; i += BLOCK) {
        REAL above[BLOCK] = {0};
        const ptrdiff_t left = size - i < BLOCK ? size - i : BLOCK;
        for (ptrdiff_t j = 0; j < left; j += LANES) {
            const vec x = v_load_tail(p + i + j, left - j);
            v_store(above + j, v_where_positive(v_sub(x, bound), x));
        }
        sum += sum_block(above);
    }
    return sum;
}

/* The same, less exact, and how many there are. */
static double weigh_above(const REAL *p, ptrdiff_t size, REAL least, double *count) {
    const vec bound = v_set1(least), one = v_set1(1);
    vec ones_above = v_set1(0);
    double sum = 0;
    for (ptrdiff_t i = 0; i < size;) {
        vec run = v_set1(0);
        for (int j = 0; j < SUM_RUN && i < size; j++, i += LANES) {
            const vec x = v_load_tail(p + i, size - i), excess = v_sub(x, bound);
            run = v_add(run, v_where_positive(excess, x));
            ones_above = v_add(ones_above, v_where_positive(excess, one));
        }
        sum += (double)v_sum(run);
    }
    *count = (double)v_sum(ones_above);
    return sum;
}

/* The least that stays is above low and at most high. */
typedef struct {
    REAL low, high;
} bounds;

/* Halves the ratio of the bounds until few are between them. What stays is at most top_k and,
 * without its last, less than `least` together; if that is infinite, all above low is counted. */
static bounds narrow(bounds found, REAL middle, const REAL *p, ptrdiff_t size, ptrdiff_t top_k,
                     double least) {
    double above_low = (double)size, above_high = 0;
    for (int i = 0, idle = 0; i < PASSES && idle < IDLE_PASSES; i++) {
        const double enough = least < HUGE_VAL ? above_high : (double)top_k;
        if (above_low <= enough + SPARE || !(middle > found.low && middle < found.high)) break;
        double count;
        const double sum = weigh_above(p, size, middle, &count);
        if (fabs(sum - least) < 1e-5 * least) break; /* too near for a sum in REAL */
        idle = count == above_low || count == above_high ? idle + 1 : 0;
        if (count < (double)top_k && sum < least)
            found.high = middle, above_high = count;
        else
            found.low = middle, above_low = count;
        middle = (REAL)sqrt(fmax((double)found.low, 1e-30) * (double)found.high);
    }
    return found;
}

/* Copies what is above `low` and at most `high`; returns how many. */
static ptrdiff_t collect(REAL *found, const REAL *p, ptrdiff_t size, REAL low, REAL high) {
    ptrdiff_t count = 0;
    for (ptrdiff_t start = 0; start < size; start += BLOCK) {
        const ptrdiff_t stop = start + BLOCK < size ? start + BLOCK : size;
        int any = 0;
        for (ptrdiff_t i = start; i < stop; i++) any |= (p[i] > low) & (p[i] <= high);
        if (!any) continue;
        for (ptrdiff_t i = start; i < stop; i++) {
            found[count] = p[i];
            count += (p[i] > low) & (p[i] <= high);
        }
    }
    return count;
}

/* What stays of a row: all above the threshold and, from the lowest index on, some equal to it. */
typedef struct {
    REAL threshold;
    ptrdiff_t ties;
    double sum;
} cut;

/* The first of what is sorted, at least one, that bring the sum from `above` to `least`. */
static cut reach(const REAL *sorted, ptrdiff_t size, double above, double least) {
    cut found = {0, 0, above};
    for (ptrdiff_t i = 0; i < size && (i == 0 || found.sum < least); i++) {
        found.sum += (double)sorted[i];
        found.ties = sorted[i] == found.threshold ? found.ties + 1 : 1;
        found.threshold = sorted[i];
    }
    return found;
}

/* `mean`, roughly that of p, is where to begin. */
static cut find_top_k(const REAL *p, REAL *scratch, ptrdiff_t size, ptrdiff_t top_k, double top_p,
                      double mean) {
    const bounds all = {0, 2};
    const REAL low = narrow(all, (REAL)mean, p, size, top_k, HUGE_VAL).low;
    const ptrdiff_t found = collect(scratch, p, size, low, 2);
    const ptrdiff_t kept = found < top_k ? found : top_k; /* fewer: the others are 0 */
    sort_descending(scratch, found);
    double total = 0;
    for (ptrdiff_t i = 0; i < kept; i++) total += (double)scratch[i];
    return reach(scratch, kept, 0, top_p * total);
}

static cut find_top_p(const REAL *p, REAL *scratch, ptrdiff_t size, double top_p) {
    const double total = sum_above(p, size, 0), least = top_p * total, doubt = DOUBT(size) * total;
    const double mean = total / (double)size;
    /* Those far below the mean hold too little together. */
    const bounds all = {(REAL)(0.9 * (1 - top_p) * mean), 2};
    const bounds near = narrow(all, (REAL)mean, p, size, size, least);
    const ptrdiff_t found = collect(scratch, p, size, near.low, near.high);
    sort_descending(scratch, found);
    const cut kept = reach(scratch, found, sum_above(p, size, near.high), least);
    const double before = kept.sum - (double)kept.threshold;
    const int sure = before < least - doubt && kept.sum > least + doubt;
    return sure ? kept : find_top_k(p, scratch, size, size, top_p, mean);
}

/* Zeroes all but the top_k largest probabilities and, of those (renormalised), all but the
 * fewest that reach top_p. Ties are kept from the lowest index on. Returns the sum kept. */
static double cut_off(REAL *p, REAL *scratch, ptrdiff_t size, ptrdiff_t top_k, double top_p,
                      double mean) {
    const cut kept = top_k < size ? find_top_k(p, scratch, size, top_k, top_p, mean)
                                  : find_top_p(p, scratch, size, top_p);
    ptrdiff_t surplus = 0;
    for (ptrdiff_t i = 0; i < size; i++) {
        surplus += p[i] == kept.threshold;
        p[i] = p[i] < kept.threshold ? 0 : p[i];
    }
    for (ptrdiff_t i = size - 1; i >= 0 && surplus > kept.ties; i--) {
        if (p[i] != kept.threshold) continue;
        p[i] = 0;
        surplus--;
    }
    return kept.sum;
}
