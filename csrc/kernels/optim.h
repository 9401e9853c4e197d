/* Optimisers, element by element, in PyTorch's equations:
 * https://docs.pytorch.org/docs/stable/optim.html
 */
#define EACH_VECTOR(i, n, size) \
    for (ptrdiff_t i = 0, n; n = (size) - (i), (i) < (size); (i) += LANES)

/* SUM_RUN vectors at a time in REAL, lane by lane, and these in double: in one fixed order, for the
 * clipping factor must not depend on threads, and precise for millions of gradients. */
static double FR_NAME(sum_of_squares)(const REAL *x, ptrdiff_t size) {
    double total = 0;
    for (ptrdiff_t i = 0; i < size;) {
        vec run = v_set1(0);
        for (int j = 0; j < SUM_RUN && i < size; j++, i += LANES) {
            const vec a = v_load_tail(x + i, size - i);
            run = v_fma(a, a, run);
        }
        total += (double)v_sum(run);
    }
    return total;
}

static void FR_NAME(sgd)(REAL *param, REAL *momentum_buffer, const REAL *grad, double scale,
                         double lr, double momentum, double dampening, double weight_decay,
                         int nesterov, int first, ptrdiff_t size) {
    const vec factor = v_set1((REAL)scale);
    const vec decay = v_set1((REAL)weight_decay), mu = v_set1((REAL)momentum);
    const vec keep = v_set1((REAL)(1 - dampening)), rate = v_set1((REAL)-lr);
    EACH_VECTOR(i, n, size) {
        const vec p = v_load_tail(param + i, n);
        vec g = v_fma(decay, p, v_mul(factor, v_load_tail(grad + i, n)));
        if (momentum != 0) {
            vec buffer = g;
            if (!first) buffer = v_fma(mu, v_load_tail(momentum_buffer + i, n), v_mul(keep, g));
            v_store_tail(momentum_buffer + i, buffer, n);
            g = nesterov ? v_fma(mu, buffer, g) : buffer;
        }
        v_store_tail(param + i, v_fma(rate, g, p), n);
    }
}

static void FR_NAME(rmsprop)(REAL *param, REAL *square_avg, REAL *grad_avg, REAL *momentum_buffer,
                             const REAL *grad, double scale, double lr, double alpha, double eps,
                             double weight_decay, double momentum, ptrdiff_t size) {
    const vec factor = v_set1((REAL)scale);
    const vec decay = v_set1((REAL)weight_decay), mu = v_set1((REAL)momentum);
    const vec keep = v_set1((REAL)alpha), take = v_set1((REAL)(1 - alpha));
    const vec rate = v_set1((REAL)-lr), epsilon = v_set1((REAL)eps);
    EACH_VECTOR(i, n, size) {
        const vec p = v_load_tail(param + i, n);
        const vec g = v_fma(decay, p, v_mul(factor, v_load_tail(grad + i, n)));
        const vec square = v_fma(keep, v_load_tail(square_avg + i, n), v_mul(take, v_mul(g, g)));
        v_store_tail(square_avg + i, square, n);
        vec variance = square;
        if (grad_avg) {
            const vec old = v_load_tail(grad_avg + i, n);
            const vec mean = v_fma(take, v_sub(g, old), old);
            v_store_tail(grad_avg + i, mean, n);
            variance = v_sub(square, v_mul(mean, mean));
        }
        vec update = v_div(g, v_add(v_sqrt(variance), epsilon));
        if (momentum_buffer) {
            update = v_fma(mu, v_load_tail(momentum_buffer + i, n), update);
            v_store_tail(momentum_buffer + i, update, n);
        }
        v_store_tail(param + i, v_fma(rate, update, p), n);
    }
}

static void FR_NAME(adam)(REAL *param, REAL *exp_avg, REAL *exp_avg_sq, const REAL *grad,
                          double scale, double lr, double beta1, double beta2, double correction1,
                          double correction2, double eps, double weight_decay, int decoupled,
                          ptrdiff_t size) {
    const vec factor = v_set1((REAL)scale);
    const vec shrink = v_set1((REAL)(decoupled ? 1 - lr * weight_decay : 1));
    const vec decay = v_set1((REAL)(decoupled ? 0 : weight_decay));
    const vec take1 = v_set1((REAL)(1 - beta1)), take2 = v_set1((REAL)(1 - beta2));
    const vec keep2 = v_set1((REAL)beta2), epsilon = v_set1((REAL)eps);
    const vec rate = v_set1((REAL)(-lr / correction1));
    const vec root = v_set1((REAL)(1 / sqrt(correction2)));
    EACH_VECTOR(i, n, size) {
        vec p = v_mul(shrink, v_load_tail(param + i, n));
        const vec g = v_fma(decay, p, v_mul(factor, v_load_tail(grad + i, n)));
        const vec old = v_load_tail(exp_avg + i, n);
        const vec mean = v_fma(take1, v_sub(g, old), old);
        const vec square = v_fma(keep2, v_load_tail(exp_avg_sq + i, n), v_mul(take2, v_mul(g, g)));
        v_store_tail(exp_avg + i, mean, n);
        v_store_tail(exp_avg_sq + i, square, n);
        const vec denominator = v_fma(v_sqrt(square), root, epsilon);
        p = v_fma(rate, v_div(mean, denominator), p);
        v_store_tail(param + i, p, n);
    }
}
