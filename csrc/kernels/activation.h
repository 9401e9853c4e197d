/* f and f' by name. f' is taken from the output h = f(z), the only thing BPTT has to keep:
 *   tanh: 1 - h^2    sigmoid: h (1 - h)    ReLU: [h > 0]    linear: 1
 */

/* The loops are written per function so that the choice is made once, not per vector. */
#define FR_EACH(expression)                          \
    for (ptrdiff_t i = 0; i < size; i += LANES) {    \
        const vec z = v_load_tail(x + i, size - i);  \
        v_store_tail(out + i, expression, size - i); \
    }                                                \
    break

static void FR_NAME(activate)(REAL *out, const REAL *x, ptrdiff_t size,
                              fr_nonlinearity nonlinearity) {
    switch (nonlinearity) {
        case FR_TANH: FR_EACH(v_tanh(z));
        case FR_RELU: FR_EACH(v_max(v_set1(0), z));
        case FR_SIGMOID: FR_EACH(v_sigmoid(z));
        case FR_LINEAR: FR_EACH(z);
    }
}
#undef FR_EACH

/* d[i] *= f'(z[i]), f' taken from h[i]. */
static void multiply_derivative(REAL *d, const REAL *h, ptrdiff_t size,
                                fr_nonlinearity nonlinearity) {
    const vec one = v_set1(1);
    for (ptrdiff_t i = 0; i < size; i += LANES) {
        const vec dh = v_load_tail(d + i, size - i), y = v_load_tail(h + i, size - i);
        vec dz = dh;
        switch (nonlinearity) {
            case FR_TANH: dz = v_mul(dh, v_sub(one, v_mul(y, y))); break;
            case FR_RELU: dz = v_where_positive(y, dh); break;
            case FR_SIGMOID: dz = v_mul(dh, v_mul(y, v_sub(one, y))); break;
            case FR_LINEAR: break;
        }
        v_store_tail(d + i, dz, size - i);
    }
}
