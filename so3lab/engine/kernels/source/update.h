/* What follows the attention of a layer: normalisation, residual networks and exchange, for blocks of atoms.

   Features come and go head after head, the attention's sums of messages head-minor. */

typedef struct {
    const REAL *first, *first_bias, *second, *second_bias; /* x + second silu(first silu(x)) */
    const REAL *first_back, *second_back;                  /* transposed */
    int present;
} Network;

typedef struct {
    const REAL *scale, *shift;
    int present;
} Norm;

typedef struct {
    long atoms, features, orders;
    const int *orders_of;
    Norm first_norm, last_norm;
    Network first_network, last_network;
    const REAL *exchange, *exchange_bias, *exchange_back; /* [features + degrees, the same in whole vectors] */
    const REAL *x, *dx, *chi, *dchi;
    REAL *new_x, *new_chi;
    REAL *kept; /* [atoms, kept_size]: before the first norm, hidden, exchanged, hidden, before the last norm, chi, gates */
    const REAL *grad_new_x, *grad_new_chi;
    REAL *grad_x, *grad_dx, *grad_chi;
} Update;

static long kept_size(const Update *s) { return 5 * s->features + s->orders + DEGREES; }

static INLINE REAL total_of(VEC v) { return sum_within(v, 1)[0]; }

#define NORM_EPSILON ((REAL)1e-6)

/* Mean and inverse deviation of a row. */
static INLINE REAL moments(const REAL *x, long features, REAL *mean) {
    VEC sum = {0}, squares = {0};
    for (long c = 0; c < features; c += LANES) sum += load(x + c);
    *mean = total_of(sum) / features;
    for (long c = 0; c < features; c += LANES) {
        VEC off = load(x + c) - *mean;
        squares += off * off;
    }
    return (REAL)1 / ROOT(total_of(squares) / features + NORM_EPSILON);
}

static INLINE void normalise(const Norm *norm, const REAL *x, long features, REAL *to) {
    REAL mean, inverse = moments(x, features, &mean);
    for (long c = 0; c < features; c += LANES)
        store(to + c, (load(x + c) - mean) * inverse * load(norm->scale + c) + load(norm->shift + c));
}

/* grad: of the normalised row, then of the row x itself. */
static INLINE void normalise_back(const Norm *norm, const REAL *x, long features, REAL *grad) {
    REAL mean, inverse = moments(x, features, &mean);
    VEC sum = {0}, along = {0};
    for (long c = 0; c < features; c += LANES) {
        VEC g = load(grad + c) * load(norm->scale + c);
        sum += g;
        along += g * (load(x + c) - mean);
    }
    const REAL shift = total_of(sum) / features, slope = total_of(along) * inverse * inverse / features;
    for (long c = 0; c < features; c += LANES) {
        VEC g = load(grad + c) * load(norm->scale + c);
        store(grad + c, (g - shift - (load(x + c) - mean) * slope) * inverse);
    }
}

static INLINE void silu_rows(const REAL *from, long count, REAL *to) {
    for (long c = 0; c < count; c += LANES) {
        VEC at = load(from + c);
        store(to + c, at * sigmoid(at));
    }
}

/* to times the derivative of silu at x. */
static INLINE void silu_back(const REAL *x, long count, REAL *to) {
    for (long c = 0; c < count; c += LANES) {
        VEC at = load(x + c), part = sigmoid(at);
        store(to + c, load(to + c) * part * ((REAL)1 + at * ((REAL)1 - part)));
    }
}

/* rows of x become x + network(x); hidden keeps what the way back needs. */
static void apply_network(const Network *n, long rows, long features, REAL *x, REAL *hidden, REAL *work) {
    REAL *result = work + rows * features;
    silu_rows(x, rows * features, work);
    plain_product(rows, features, work, features, features, n->first, features, n->first_bias, hidden, features);
    silu_rows(hidden, rows * features, work);
    plain_product(rows, features, work, features, features, n->second, features, n->second_bias, result, features);
    for (long c = 0; c < rows * features; c += LANES) store(x + c, load(x + c) + load(result + c));
}

/* grad: of the network's result, then of its input x. */
static void network_back(const Network *n, long rows, long features, const REAL *x, const REAL *hidden, REAL *grad,
                         REAL *work) {
    REAL *result = work + rows * features;
    plain_product(rows, features, grad, features, features, n->second_back, features, 0, work, features);
    silu_back(hidden, rows * features, work);
    plain_product(rows, features, work, features, features, n->first_back, features, 0, result, features);
    silu_back(x, rows * features, result);
    for (long c = 0; c < rows * features; c += LANES) store(grad + c, load(grad + c) + load(result + c));
}

/* Rows of a block out of or into the record that is kept. */
static void keep_rows(const Update *s, long start, long count, long at, const REAL *rows) {
    for (long r = 0; r < count; r++)
        memcpy(s->kept + (start + r) * kept_size(s) + at, rows + r * s->features, s->features * sizeof(REAL));
}

static void kept_rows(const Update *s, long start, long count, long rows, long at, REAL *to) {
    for (long r = 0; r < count; r++)
        memcpy(to + r * s->features, s->kept + (start + r) * kept_size(s) + at, s->features * sizeof(REAL));
    memset(to + count * s->features, 0, (rows - count) * s->features * sizeof(REAL));
}

static void update_atoms(const Update *s, long begin, long end, REAL *scratch) {
    const long features = s->features, wide = features + DEGREES, room = WHOLE(wide, LANES), size = kept_size(s);
    REAL *x = scratch, *hidden = x + BLOCK * features, *mixed = hidden + BLOCK * features;
    REAL *inputs = mixed + BLOCK * room, *work = inputs + BLOCK * room;
    for (long start = begin; start < end; start += BLOCK) {
        const long count = end - start < BLOCK ? end - start : BLOCK, rows = WHOLE(count, ROWS);
        memcpy(x, s->x + start * features, count * features * sizeof(REAL));
        memset(x + count * features, 0, (rows - count) * features * sizeof(REAL));
        for (long r = 0; r < count; r++)
            add_in_order(s->dx + (start + r) * features, features, HEADS, x + r * features);
        keep_rows(s, start, count, 0, x);
        if (s->first_norm.present)
            for (long r = 0; r < rows; r++) normalise(&s->first_norm, x + r * features, features, x + r * features);
        if (s->first_network.present) {
            apply_network(&s->first_network, rows, features, x, hidden, work);
            keep_rows(s, start, count, features, hidden);
        }
        for (long r = 0; r < rows; r++) {
            REAL *input = inputs + r * wide;
            memcpy(input, x + r * features, features * sizeof(REAL));
            if (r >= count) {
                memset(input + features, 0, DEGREES * sizeof(REAL));
                continue;
            }
            REAL *chi = s->kept + (start + r) * size + 5 * features;
            for (long l = 0, m = 0; l < DEGREES; l++) {
                REAL sum = 0;
                for (int n = 0; n < s->orders_of[l]; n++, m++) {
                    const long at = (start + r) * s->orders + m;
                    chi[m] = s->chi[at] + s->dchi[at];
                    sum += chi[m] * chi[m];
                }
                input[features + l] = sum / ROOT((REAL)s->orders_of[l]);
            }
        }
        plain_product(rows, room, inputs, wide, wide, s->exchange, room, s->exchange_bias, mixed, room);
        for (long r = 0; r < rows; r++)
            for (long c = 0; c < features; c += LANES)
                store(x + r * features + c, load(x + r * features + c) + load(mixed + r * room + c));
        for (long r = 0; r < count; r++) {
            REAL *chi = s->kept + (start + r) * size + 5 * features, *gates = chi + s->orders;
            for (long l = 0, m = 0; l < DEGREES; l++) {
                gates[l] = 1 + mixed[r * room + features + l];
                for (int n = 0; n < s->orders_of[l]; n++, m++)
                    s->new_chi[(start + r) * s->orders + m] = gates[l] * chi[m];
            }
        }
        keep_rows(s, start, count, 2 * features, x);
        if (s->last_network.present) {
            apply_network(&s->last_network, rows, features, x, hidden, work);
            keep_rows(s, start, count, 3 * features, hidden);
        }
        keep_rows(s, start, count, 4 * features, x);
        for (long r = 0; r < count; r++) {
            REAL *to = s->new_x + (start + r) * features;
            if (s->last_norm.present) normalise(&s->last_norm, x + r * features, features, to);
            else memcpy(to, x + r * features, features * sizeof(REAL));
        }
    }
}

static void update_atoms_back(const Update *s, long begin, long end, REAL *scratch) {
    const long features = s->features, wide = features + DEGREES, room = WHOLE(wide, LANES), size = kept_size(s);
    REAL *grad = scratch, *hidden = grad + BLOCK * features, *mixed = hidden + BLOCK * features;
    REAL *inputs = mixed + BLOCK * room, *work = inputs + BLOCK * room;
    for (long start = begin; start < end; start += BLOCK) {
        const long count = end - start < BLOCK ? end - start : BLOCK, rows = WHOLE(count, ROWS);
        memcpy(grad, s->grad_new_x + start * features, count * features * sizeof(REAL));
        memset(grad + count * features, 0, (rows - count) * features * sizeof(REAL));
        if (s->last_norm.present)
            for (long r = 0; r < count; r++)
                normalise_back(&s->last_norm, s->kept + (start + r) * size + 4 * features, features,
                               grad + r * features);
        if (s->last_network.present) {
            kept_rows(s, start, count, rows, 2 * features, inputs);
            kept_rows(s, start, count, rows, 3 * features, hidden);
            network_back(&s->last_network, rows, features, inputs, hidden, grad, work);
        }
        for (long r = 0; r < rows; r++) {
            REAL *input = inputs + r * wide;
            memcpy(input, grad + r * features, features * sizeof(REAL));
            if (r >= count) {
                memset(input + features, 0, DEGREES * sizeof(REAL));
                continue;
            }
            const REAL *chi = s->kept + (start + r) * size + 5 * features, *given = s->grad_new_chi + (start + r) * s->orders;
            for (long l = 0, m = 0; l < DEGREES; l++) {
                REAL sum = 0;
                for (int n = 0; n < s->orders_of[l]; n++, m++) sum += given[m] * chi[m];
                input[features + l] = sum;
            }
        }
        plain_product(rows, room, inputs, wide, wide, s->exchange_back, room, 0, mixed, room);
        for (long r = 0; r < rows; r++)
            for (long c = 0; c < features; c += LANES)
                store(grad + r * features + c, load(grad + r * features + c) + load(mixed + r * room + c));
        for (long r = 0; r < count; r++) {
            const REAL *chi = s->kept + (start + r) * size + 5 * features, *gates = chi + s->orders;
            const REAL *given = s->grad_new_chi + (start + r) * s->orders, *norms = mixed + r * room + features;
            for (long l = 0, m = 0; l < DEGREES; l++) {
                const REAL inner = 2 * norms[l] / ROOT((REAL)s->orders_of[l]);
                for (int n = 0; n < s->orders_of[l]; n++, m++)
                    s->grad_chi[(start + r) * s->orders + m] = given[m] * gates[l] + inner * chi[m];
            }
        }
        if (s->first_network.present) {
            kept_rows(s, start, count, rows, 0, inputs);
            if (s->first_norm.present)
                for (long r = 0; r < count; r++)
                    normalise(&s->first_norm, inputs + r * features, features, inputs + r * features);
            kept_rows(s, start, count, rows, features, hidden);
            network_back(&s->first_network, rows, features, inputs, hidden, grad, work);
        }
        for (long r = 0; r < count; r++) {
            REAL *g = grad + r * features;
            if (s->first_norm.present) normalise_back(&s->first_norm, s->kept + (start + r) * size, features, g);
            memcpy(s->grad_x + (start + r) * features, g, features * sizeof(REAL));
            interleave(g, features, HEADS, s->grad_dx + (start + r) * features);
        }
    }
}
