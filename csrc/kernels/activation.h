/* f and f' by name. f' is taken from the output h = f(z), the only thing BPTT has to keep:
 *   tanh: 1 - h^2    sigmoid: h (1 - h)    ReLU: [h > 0]    linear: 1
 */

#define row_activate FR_NAME(row_activate)

/* The loops are written per function so that the choice is made once, not per vector. */
#define FR_BY_NAME(nonlinearity, EACH)                  \
    switch (nonlinearity) {                             \
        case FR_TANH: EACH(v_tanh(z)); break;           \
        case FR_RELU: EACH(v_max(v_set1(0), z)); break; \
        case FR_SIGMOID: EACH(v_sigmoid(z)); break;     \
        case FR_LINEAR: EACH(z); break;                 \
    }
#define FR_ELEMENTS(expression)                      \
    for (ptrdiff_t i = 0; i < size; i += LANES) {    \
        const vec z = v_load_tail(x + i, size - i);  \
        v_store_tail(out + i, expression, size - i); \
    }
#define FR_VECTORS(expression)        \
    FR_UNROLL                         \
    for (int j = 0; j < width; j++) { \
        const vec z = row[j];         \
        row[j] = expression;          \
    }

static void FR_NAME(activate)(REAL *out, const REAL *x, ptrdiff_t size,
                              fr_nonlinearity nonlinearity) {
    FR_BY_NAME(nonlinearity, FR_ELEMENTS);
}

/* The same in registers. */
FR_INLINE void row_activate(vec *row, const int width, fr_nonlinearity nonlinearity) {
    FR_BY_NAME(nonlinearity, FR_VECTORS);
}
#undef FR_VECTORS
#undef FR_ELEMENTS
#undef FR_BY_NAME

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
