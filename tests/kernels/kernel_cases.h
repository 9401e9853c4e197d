/* The cases of test_kernels.c for one precision: REAL, SUFFIX and TOLERANCE are defined. The
 * tolerance is relative to 1 + |expected|; sums of up to 97 products of numbers below 1 stay
 * well under a hundred roundings. */
#define CAT_(a, b) a##_##b
#define CAT(a, b) CAT_(a, b)
#define NAME(x) CAT(x, SUFFIX)
#define TABLE CAT(fr_kernels, SUFFIX)

static REAL *NAME(make)(ptrdiff_t size) {
    REAL *x = malloc((size_t)size * sizeof(REAL));
    for (ptrdiff_t i = 0; i < size; i++) x[i] = (REAL)uniform();
    return x;
}

static REAL *NAME(copy)(const REAL *x, ptrdiff_t size) {
    REAL *y = malloc((size_t)size * sizeof(REAL));
    memcpy(y, x, (size_t)size * sizeof(REAL));
    return y;
}

static void NAME(gemm_case)(const char *isa, const TABLE *k, ptrdiff_t m, ptrdiff_t n,
                            ptrdiff_t depth) {
    REAL *a = NAME(make)(m * depth), *b = NAME(make)(depth * n), *bias = NAME(make)(n);
    REAL *packed = NAME(make)(k->pack_size(depth, n)), *c = NAME(make)(m * n);
    const ptrdiff_t half = depth / 2;
    k->pack(packed, depth, b, n, 1, half, n);
    k->pack(packed + half * k->unit_block(), depth, b + half * n, n, 1, depth - half, n);
    k->gemm(c, n, a, depth, packed, bias, m, n, depth);
    for (ptrdiff_t i = 0; i < m; i++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            double sum = bias[j];
            for (ptrdiff_t l = 0; l < depth; l++)
                sum += (double)a[i * depth + l] * (double)b[l * n + j];
            check(isa, "gemm", m, n, c[i * n + j], sum, TOLERANCE);
        }
    }
    free(a), free(b), free(bias), free(packed), free(c);
}

static void NAME(transposed_case)(const char *isa, const TABLE *k, ptrdiff_t m, ptrdiff_t n) {
    REAL *a = NAME(make)(m * n), *start = NAME(make)(n), *out = NAME(make)(m * n);
    REAL *sum = NAME(make)(m * n), *before = NAME(copy)(sum, m * n);
    k->add_transposed(out, n, start, 0, a, m, m, n);
    k->add_transposed(sum, n, sum, n, a, m, m, n);
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            check(isa, "add_transposed row", m, n, out[i * n + j], start[j] + a[j * m + i], 0);
            check(isa, "add_transposed", m, n, sum[i * n + j], before[i * n + j] + a[j * m + i], 0);
        }
    free(a), free(start), free(out), free(sum), free(before);
}

/* Rows in runs, with three numbers between a's and 19 between b's. */
static void NAME(gemm_tn_case)(const char *isa, const TABLE *k, ptrdiff_t m, ptrdiff_t n,
                               ptrdiff_t depth, ptrdiff_t run) {
    const ptrdiff_t runs = (depth + run - 1) / run, a_run = run * m + 3, b_run = run * n + 19;
    REAL *a = NAME(make)(runs * a_run), *b = NAME(make)(runs * b_run), *c = NAME(make)(m * n);
    REAL *before = NAME(copy)(c, m * n);
    k->gemm_tn(c, n, a, m, a_run, b, n, b_run, m, n, depth, run);
    for (ptrdiff_t j = 0; j < n; j++)
        for (ptrdiff_t i = 0; i < m; i++) {
            double sum = before[i * n + j];
            for (ptrdiff_t l = 0; l < depth; l++)
                sum += (double)a[l / run * a_run + l % run * m + i] *
                       (double)b[l / run * b_run + l % run * n + j];
            check(isa, "gemm_tn", m, n, c[i * n + j], sum, 4 * TOLERANCE);
        }
    free(a), free(b), free(c), free(before);
}

static void NAME(column_sums_case)(const char *isa, const TABLE *k, ptrdiff_t m, ptrdiff_t n) {
    REAL *a = NAME(make)(m * n), *sums = NAME(make)(n), *before = NAME(copy)(sums, n);
    k->column_sums(sums, a, n, m, n);
    for (ptrdiff_t j = 0; j < n; j++) {
        double sum = before[j];
        for (ptrdiff_t i = 0; i < m; i++) sum += (double)a[i * n + j];
        check(isa, "column_sums", m, n, sums[j], sum, 4 * TOLERANCE);
    }
    free(a), free(sums), free(before);
}

#include "cell_cases.h"

/* What is drawn from a copy of the logits. */
static double NAME(drawn)(const TABLE *k, const REAL *logits, const int32_t *seen, ptrdiff_t n,
                          fr_sampling options, double uniform_number) {
    REAL *row = NAME(copy)(logits, n), *scratch = NAME(make)(n);
    const ptrdiff_t index = k->sample(row, scratch, seen, n, &options, uniform_number);
    free(row), free(scratch);
    return (double)index;
}

/* The least and the largest uniform number draw the first and the last of what is kept. */
static void NAME(check_ends)(const char *isa, const char *what, const TABLE *k, const REAL *logits,
                             ptrdiff_t n, fr_sampling options, const int32_t *kept) {
    ptrdiff_t first = 0, last = n - 1;
    while (!kept[first]) first++;
    while (!kept[last]) last--;
    check(isa, what, 1, n, NAME(drawn)(k, logits, NULL, n, options, 0), first, 0);
    check(isa, what, 1, n, NAME(drawn)(k, logits, NULL, n, options, 0.999999), last, 0);
}

static void NAME(sample_cases)(const char *isa, const TABLE *k, const REAL *logits,
                               const REAL *probabilities, ptrdiff_t n) {
    const fr_sampling plain = {.repetition_penalty = 1, .temperature = 1, .top_k = n, .top_p = 1};
    fr_sampling greedy = plain, one = plain, few = plain, likely = plain;
    greedy.temperature = 0, one.top_k = 1, few.top_p = 1e-6, likely.min_p = 1;
    ptrdiff_t best = 0;
    for (ptrdiff_t j = 1; j < n; j++)
        if (logits[j] > logits[best]) best = j;
    check(isa, "sample, greedy", 1, n, NAME(drawn)(k, logits, NULL, n, greedy, 0.99), best, 0);
    check(isa, "sample, top_k", 1, n, NAME(drawn)(k, logits, NULL, n, one, 0.99), best, 0);
    check(isa, "sample, top_p", 1, n, NAME(drawn)(k, logits, NULL, n, few, 0.99), best, 0);
    check(isa, "sample, min_p", 1, n, NAME(drawn)(k, logits, NULL, n, likely, 0.99), best, 0);

    /* The middle of each slice of the cumulative distribution gives its index. */
    double below = 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        const double p = probabilities[j];
        check(isa, "sample", 1, n, NAME(drawn)(k, logits, NULL, n, plain, below + p / 2), j, 0);
        below += p;
    }

    int32_t *kept = malloc((size_t)n * sizeof(int32_t));
    /* Fewer than top_k tokens are larger than one that stays. */
    for (one.top_k = 1; one.top_k <= n; one.top_k++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            ptrdiff_t larger = 0;
            for (ptrdiff_t i = 0; i < n; i++) larger += probabilities[i] > probabilities[j];
            kept[j] = larger < one.top_k;
        }
        NAME(check_ends)(isa, "sample, top_k", k, logits, n, one, kept);
    }

    /* A min_p just below a token's share of the largest probability keeps that token. */
    for (ptrdiff_t last = 0; last < n; last++) {
        const double least = 0.999 * (double)probabilities[last];
        likely.min_p = least / (double)probabilities[best];
        for (ptrdiff_t j = 0; j < n; j++) kept[j] = (double)probabilities[j] >= least;
        NAME(check_ends)(isa, "sample, min_p", k, logits, n, likely, kept);
    }

    /* A penalty takes from what was seen, whatever its sign, and from nothing else. */
    int32_t *seen = malloc((size_t)n * sizeof(int32_t));
    for (ptrdiff_t j = 0; j < n; j++) seen[j] = j % 3 == 0 ? (int32_t)j + 1 : 0;
    greedy.repetition_penalty = 3;
    ptrdiff_t expected = 0;
    double most = -HUGE_VAL;
    for (ptrdiff_t j = 0; j < n; j++) {
        double x = logits[j];
        if (seen[j]) x = x > 0 ? x / 3 : x * 3;
        if (x > most) most = x, expected = j;
    }
    check(isa, "sample, penalty", 1, n, NAME(drawn)(k, logits, seen, n, greedy, 0), expected, 0);
    greedy.repetition_penalty = 1;
    check(isa, "sample, penalty of 1", 1, n, NAME(drawn)(k, logits, seen, n, greedy, 0), best, 0);
    free(seen), free(kept);
}

static void NAME(row_cases)(const char *isa, const TABLE *k, ptrdiff_t m, ptrdiff_t n) {
    REAL *logits = NAME(make)(m * n), *probabilities = NAME(copy)(logits, m * n);
    REAL *grad = NAME(copy)(logits, m * n);
    REAL *table = NAME(make)(m * n), *before = NAME(copy)(table, m * n);
    int64_t *targets = malloc((size_t)m * sizeof(int64_t));
    int64_t *rows = malloc((size_t)m * sizeof(int64_t));
    for (ptrdiff_t i = 0; i < m; i++) targets[i] = (i * 7) % n, rows[i] = m - 1 - i;
    k->softmax(probabilities, m, n);
    const double loss = k->cross_entropy(logits, targets, m, n);
    const double loss_again = k->cross_entropy_grad(grad, targets, m, n, 0.5);
    k->scatter_rows(table, n, logits, n, rows, m, n);
    double expected_loss = 0;
    for (ptrdiff_t i = 0; i < m; i++) {
        double sum = 0;
        for (ptrdiff_t j = 0; j < n; j++) sum += exp(logits[i * n + j]);
        expected_loss += log(sum) - (double)logits[i * n + targets[i]];
        for (ptrdiff_t j = 0; j < n; j++) {
            const double p = exp(logits[i * n + j]) / sum;
            check(isa, "softmax", m, n, probabilities[i * n + j], p, TOLERANCE);
            check(isa, "cross_entropy_grad", m, n, grad[i * n + j], 0.5 * (p - (j == targets[i])),
                  TOLERANCE);
            check(isa, "scatter_rows", m, n, table[rows[i] * n + j],
                  (double)before[rows[i] * n + j] + (double)logits[i * n + j], TOLERANCE);
        }
    }
    check(isa, "cross_entropy", m, n, loss, expected_loss, TOLERANCE);
    check(isa, "cross_entropy_grad, loss", m, n, loss_again, expected_loss, TOLERANCE);

    NAME(sample_cases)(isa, k, logits, probabilities, n);
    free(logits), free(probabilities), free(grad), free(table), free(before);
    free(targets), free(rows);
}

static void NAME(norm_case)(const char *isa, const TABLE *k, ptrdiff_t m, ptrdiff_t n) {
    REAL *x = NAME(make)(m * n), *normal = NAME(make)(m * n), *spread = NAME(make)(m);
    REAL *dy = NAME(make)(m * (n + 3)), *gain = NAME(make)(n), *dx = NAME(make)(m * n);
    k->normalise(normal, spread, x, n, m, n);
    k->normalise_back(dx, normal, spread, dy, n + 3, gain, m, n);
    for (ptrdiff_t i = 0; i < m; i++) {
        double mean = 0, variance = 0, sum = 0, along = 0;
        for (ptrdiff_t j = 0; j < n; j++) mean += (double)x[i * n + j] / (double)n;
        for (ptrdiff_t j = 0; j < n; j++)
            variance += pow((double)x[i * n + j] - mean, 2) / (double)n;
        const double factor = 1 / sqrt(variance + 1e-5);
        for (ptrdiff_t j = 0; j < n; j++) {
            const double d = (double)dy[i * (n + 3) + j] * (double)gain[j] / (double)n;
            sum += d;
            along += d * ((double)x[i * n + j] - mean) * factor;
        }
        check(isa, "normalise, spread", m, n, (double)spread[i] / factor, 1, TOLERANCE);
        for (ptrdiff_t j = 0; j < n; j++) {
            const double centred = (double)x[i * n + j] - mean;
            const double d = (double)dy[i * (n + 3) + j] * (double)gain[j];
            check(isa, "normalise", m, n, (double)normal[i * n + j] / factor, centred, TOLERANCE);
            check(isa, "normalise_back", m, n, (double)dx[i * n + j] / factor,
                  d - sum - centred * factor * along, 4 * TOLERANCE);
        }
    }
    free(x), free(normal), free(spread), free(dy), free(gain), free(dx);
}

static void NAME(sweep_cases)(const char *isa, const TABLE *k, ptrdiff_t size) {
    REAL *p = NAME(make)(size), *g = NAME(make)(size), *m = NAME(make)(size);
    REAL *p0 = NAME(copy)(p, size), *m0 = NAME(copy)(m, size);
    k->sgd(p, m, g, 0.5, 0.1, 0.9, 0.2, 0.01, 0, 0, size);
    for (ptrdiff_t i = 0; i < size; i++) {
        const double grad = 0.5 * (double)g[i] + 0.01 * (double)p0[i];
        const double buffer = 0.9 * (double)m0[i] + 0.8 * grad;
        check(isa, "sgd", 1, size, p[i], (double)p0[i] - 0.1 * buffer, TOLERANCE);
    }
    REAL *v = NAME(make)(size);
    for (ptrdiff_t i = 0; i < size; i++) v[i] = (REAL)fabs((double)v[i]) + (REAL)0.1;
    REAL *v0 = NAME(copy)(v, size);
    memcpy(p0, p, (size_t)size * sizeof(REAL));
    k->rmsprop(p, v, NULL, NULL, g, 0.5, 0.1, 0.9, 1e-8, 0, 0, size);
    for (ptrdiff_t i = 0; i < size; i++) {
        const double grad = 0.5 * (double)g[i], square = 0.9 * (double)v0[i] + 0.1 * grad * grad;
        check(isa, "rmsprop", 1, size, p[i], (double)p0[i] - 0.1 * grad / (sqrt(square) + 1e-8),
              TOLERANCE);
    }
    memcpy(p0, p, (size_t)size * sizeof(REAL));
    memcpy(m0, m, (size_t)size * sizeof(REAL));
    memcpy(v0, v, (size_t)size * sizeof(REAL));
    const double corrections[] = {1 - pow(0.9, 3), 1 - pow(0.99, 3)};
    k->adam(p, m, v, g, 0.5, 0.1, 0.9, 0.99, corrections[0], corrections[1], 1e-8, 0.01, 1, size);
    double squares = 0;
    for (ptrdiff_t i = 0; i < size; i++) {
        const double grad = 0.5 * (double)g[i], mean = 0.9 * (double)m0[i] + 0.1 * grad;
        const double square = 0.99 * (double)v0[i] + 0.01 * grad * grad;
        const double update = mean / corrections[0] / (sqrt(square / corrections[1]) + 1e-8);
        check(isa, "adam", 1, size, p[i], (double)p0[i] * 0.999 - 0.1 * update, 4 * TOLERANCE);
        squares += (double)g[i] * (double)g[i];
    }
    check(isa, "sum_of_squares", 1, size, k->sum_of_squares(g, size), squares, TOLERANCE);
    for (int f = FR_LINEAR; f <= FR_SIGMOID; f++) {
        k->activate(p, g, size, (fr_nonlinearity)f);
        for (ptrdiff_t i = 0; i < size; i++)
            check(isa, "activate", 1, size, p[i], reference_f(g[i], (fr_nonlinearity)f), TOLERANCE);
    }
    free(p), free(g), free(m), free(p0), free(m0), free(v), free(v0);
}

static void NAME(probe_case)(const char *isa, const TABLE *k, ptrdiff_t size) {
    const ptrdiff_t lanes = k->probe_lanes();
    REAL *result = NAME(make)(lanes), *x = NAME(make)(size);
    double sum = 0, read = 0;
    for (ptrdiff_t i = 0; i < size; i++) sum += (double)x[i];
    k->probe_reads(result, x, size, 3);
    for (ptrdiff_t i = 0; i < lanes; i++) read += (double)result[i];
    check(isa, "probe_reads", 1, size, read, 3 * sum, 100 * TOLERANCE);
    /* Every chain nears 2, the fixed point of x / 2 + 1. */
    const double operations = k->probe_multiply_adds(result, 200);
    const double chains = operations / (2.0 * 200 * (double)lanes);
    check(isa, "probe_multiply_adds", 1, 1, result[lanes - 1], 2 * chains, TOLERANCE);
    check(isa, "probe_chain", 1, size, (double)k->probe_chain(size),
          (double)((size + 15) / 16 * 16), 0);
    free(result), free(x);
}

static void NAME(run)(const char *isa, const TABLE *k) {
    for (int i = 0; i < NUM_SIZES; i++) {
        NAME(sweep_cases)(isa, k, SIZES[i]);
        NAME(probe_case)(isa, k, SIZES[i]);
        for (int j = 0; j < NUM_SIZES; j++) {
            NAME(row_cases)(isa, k, SIZES[i], SIZES[j]);
            NAME(transposed_case)(isa, k, SIZES[i], SIZES[j]);
            NAME(norm_case)(isa, k, SIZES[i], SIZES[j]);
            NAME(bare_cases)(isa, k, SIZES[i], SIZES[j]);
            const ptrdiff_t depth = SIZES[(i * 5 + j * 3) % NUM_SIZES];
            NAME(gemm_case)(isa, k, SIZES[i], SIZES[j], depth);
            NAME(gemm_tn_case)(isa, k, SIZES[i], SIZES[j], depth, depth > 5 ? 5 : depth);
            NAME(column_sums_case)(isa, k, SIZES[i], SIZES[j]);
            const int source = (i + 2 * j) % NUM_SOURCES;
            NAME(rnn_case)(isa, k, SIZES[i], SIZES[j], (fr_nonlinearity)((i + j) % 4), source);
            NAME(lstm_case)(isa, k, SIZES[i], SIZES[j], source);
            NAME(gru_case)(isa, k, SIZES[i], SIZES[j], source);
        }
    }
    /* Deeper than one slice of gemm_tn: one run, runs that a slice has several of, and one and a
     * part of; and every nonlinearity at one size. */
    NAME(gemm_tn_case)(isa, k, 17, 33, 600, 600);
    NAME(gemm_tn_case)(isa, k, 17, 33, 600, 17);
    NAME(gemm_tn_case)(isa, k, 17, 33, 700, 300);
    NAME(gemm_tn_case)(isa, k, 17, 33, 600, 256);
    for (int f = FR_LINEAR; f <= FR_SIGMOID; f++)
        NAME(rnn_case)(isa, k, 17, 33, (fr_nonlinearity)f, FROM_ROWS);
}

#undef CAT_
#undef CAT
#undef NAME
#undef TABLE
