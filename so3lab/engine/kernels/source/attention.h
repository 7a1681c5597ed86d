/* One layer's Euclidean attention over undirected pairs, forward and backward, in blocks of pairs.

   A block's filters, hidden layers and products stay in the processor's cache; only filters and unscaled weights are
   written out, for the way back. */

typedef struct {
    long atoms, pairs, features, orders, basis, hidden;
    const int *i, *j, *orders_of; /* orders_of: 2l + 1 of each degree */
    const REAL *qkv;              /* [atoms, 5 features]: q, k, v of features, then q, k of Euclidean variables */
    const REAL *chi;              /* [atoms, orders] */
    const REAL *radial;           /* [pairs, basis] */
    const REAL *scale;            /* [pairs] */
    const REAL *harmonics;        /* [pairs, orders] */
    const REAL *first;            /* [degrees, 2 hidden]: first layers of both geometric networks */
    const REAL *first_bias;       /* [2 hidden] */
    const REAL *forward;          /* [2, basis + hidden, features] */
    const REAL *bias;             /* [2 features] */
    const REAL *radial_back;      /* [2 features, basis in whole vectors] */
    const REAL *hidden_back;      /* [2, features, hidden] */
    REAL *filters;                /* [pairs in whole blocks, 2 features] */
    REAL *raw;                    /* [pairs, 4, LANES]: weights without scale; features i <- j, j <- i, Euclidean */
    const REAL *grad_x, *grad_chi;
    REAL *grad_radial, *grad_scale, *grad_harmonics;
} Layer;

/* chi_j - chi_i, and the hidden layers of both geometric networks before their activation. */
static INLINE void geometric(const Layer *s, long pair, REAL *difference, REAL *z) {
    const REAL *chi_i = s->chi + s->i[pair] * s->orders, *chi_j = s->chi + s->j[pair] * s->orders;
    REAL invariants[8];
    for (long l = 0, m = 0; l < DEGREES; l++) {
        REAL sum = 0;
        for (int n = 0; n < s->orders_of[l]; n++, m++) {
            difference[m] = chi_j[m] - chi_i[m];
            sum += difference[m] * difference[m];
        }
        invariants[l] = sum / ROOT((REAL)s->orders_of[l]);
    }
    for (long c = 0; c < 2 * s->hidden; c += LANES) {
        VEC sum = load(s->first_bias + c);
        for (long l = 0; l < DEGREES; l++) sum += load(s->first + l * 2 * s->hidden + c) * invariants[l];
        store(z + c, sum);
    }
}

/* Messages of a pair to Euclidean variables: to_i Y, and to_j Y with the sign of the reversed direction. */
static INLINE void send_harmonics(const Layer *s, long pair, VEC to_i, VEC to_j, REAL *dchi) {
    const REAL *y = s->harmonics + pair * s->orders;
    REAL *chi_i = dchi + s->i[pair] * s->orders, *chi_j = dchi + s->j[pair] * s->orders;
    for (long l = 0, m = 0; l < DEGREES; l++) {
        REAL a = to_i[l], b = s->orders_of[l] % 4 == 1 ? to_j[l] : -to_j[l];
        for (int n = 0; n < s->orders_of[l]; n++, m++) {
            chi_i[m] += a * y[m];
            chi_j[m] += b * y[m];
        }
    }
}

/* The way back through send_harmonics: gradients of the weights per degree, and of Y. */
static INLINE void harmonics_back(const Layer *s, long pair, const REAL *to_i, const REAL *to_j,
                                        REAL *grad_i, REAL *grad_j) {
    const REAL *y = s->harmonics + pair * s->orders;
    const REAL *g_i = s->grad_chi + s->i[pair] * s->orders, *g_j = s->grad_chi + s->j[pair] * s->orders;
    REAL *grad_y = s->grad_harmonics + pair * s->orders;
    for (long l = 0, m = 0; l < DEGREES; l++) {
        REAL sign = s->orders_of[l] % 4 == 1 ? 1 : -1, sum_i = 0, sum_j = 0;
        for (int n = 0; n < s->orders_of[l]; n++, m++) {
            sum_i += g_i[m] * y[m];
            sum_j += g_j[m] * y[m];
            grad_y[m] = to_i[l] * g_i[m] + sign * to_j[l] * g_j[m];
        }
        grad_i[l] = sum_i;
        grad_j[l] = sign * sum_j;
    }
}

static INLINE VEC both_ways(const REAL *q_i, const REAL *k_i, const REAL *q_j, const REAL *k_j, const REAL *w,
                                  long features, int heads, VEC *to_j) {
    VEC sum_i = {0}, sum_j = {0};
    for (long c = 0; c < features; c += LANES) {
        VEC filter = load(w + c);
        sum_i += load(q_i + c) * load(k_j + c) * filter;
        sum_j += load(q_j + c) * load(k_i + c) * filter;
    }
    *to_j = sum_within(sum_j, heads);
    return sum_within(sum_i, heads);
}

static int all_zero(const REAL *values, long count) {
    for (long n = 0; n < count; n++)
        if (values[n] != 0) return 0;
    return 1;
}

/* Sums of messages of the pairs from begin to end, added to dx and dchi. */
static INLINE void attend_pairs(const Layer *s, long begin, long end, REAL *dx, REAL *dchi, REAL *scratch) {
    const long features = s->features, depth = s->basis + s->hidden, wide = 5 * features;
    REAL *inputs = scratch, *z = scratch + 2 * BLOCK * depth, *difference = z + 2 * s->hidden;
    for (long start = begin; start < end; start += BLOCK) {
        const long count = end - start < BLOCK ? end - start : BLOCK;
        if (all_zero(s->scale + start, count)) {
            memset(s->raw + start * 4 * LANES, 0, count * 4 * LANES * sizeof(REAL));
            continue;
        }
        for (long r = 0; r < count; r++) {
            REAL *f = inputs + r * depth, *e = f + BLOCK * depth;
            memcpy(f, s->radial + (start + r) * s->basis, s->basis * sizeof(REAL));
            memcpy(e, f, s->basis * sizeof(REAL));
            geometric(s, start + r, difference, z);
            for (long c = 0; c < s->hidden; c += LANES) {
                VEC a = load(z + c), b = load(z + s->hidden + c);
                store(f + s->basis + c, a * sigmoid(a));
                store(e + s->basis + c, b * sigmoid(b));
            }
        }
        for (long r = count; r < BLOCK; r++) {
            memset(inputs + r * depth, 0, depth * sizeof(REAL));
            memset(inputs + (BLOCK + r) * depth, 0, depth * sizeof(REAL));
        }
        REAL *filters = s->filters + start * 2 * features;
        plain_product(BLOCK, features, inputs, depth, depth, s->forward, features, s->bias, filters, 2 * features);
        plain_product(BLOCK, features, inputs + BLOCK * depth, depth, depth, s->forward + depth * features, features,
                      s->bias + features, filters + features, 2 * features);
        for (long r = 0; r < count; r++) {
            const long pair = start + r, i = s->i[pair], j = s->j[pair];
            const REAL *of_i = s->qkv + i * wide, *of_j = s->qkv + j * wide, *w = filters + r * 2 * features;
            REAL *raw = s->raw + pair * 4 * LANES, scale = s->scale[pair];
            VEC f_j, e_j;
            VEC f_i = both_ways(of_i, of_i + features, of_j, of_j + features, w, features, HEADS, &f_j);
            VEC e_i = both_ways(of_i + 3 * features, of_i + 4 * features, of_j + 3 * features,
                                      of_j + 4 * features, w + features, features, DEGREES, &e_j);
            store(raw, f_i);
            store(raw + LANES, f_j);
            store(raw + 2 * LANES, e_i);
            store(raw + 3 * LANES, e_j);
            f_i *= scale;
            f_j *= scale;
            for (long c = 0; c < features; c += LANES) {
                add_to(dx + i * features + c, f_i * load(of_j + 2 * features + c));
                add_to(dx + j * features + c, f_j * load(of_i + 2 * features + c));
            }
            send_harmonics(s, pair, e_i * scale, e_j * scale, dchi);
        }
    }
}

/* Gradients with respect to one attention's queries, keys and filters, given those of its weights to_i and to_j. */
static INLINE void both_ways_back(const REAL *of_i, const REAL *of_j, REAL *grad_i, REAL *grad_j, const REAL *w,
                                        REAL *grad_w, long features, VEC to_i, VEC to_j) {
    for (long c = 0; c < features; c += LANES) {
        VEC q_i = load(of_i + c), k_i = load(of_i + features + c);
        VEC q_j = load(of_j + c), k_j = load(of_j + features + c), filter = load(w + c);
        VEC a = to_i * filter, b = to_j * filter;
        add_to(grad_i + c, a * k_j);
        add_to(grad_j + features + c, a * q_i);
        add_to(grad_j + c, b * k_i);
        add_to(grad_i + features + c, b * q_j);
        store(grad_w + c, to_i * q_i * k_j + to_j * q_j * k_i);
    }
}

/* Back through weighted sums of values: gradients of the weights, and of the values into grad_i and grad_j. */
static INLINE VEC sums_back(const REAL *v_i, const REAL *v_j, const REAL *g_i, const REAL *g_j, REAL *grad_i,
                                  REAL *grad_j, VEC weight_i, VEC weight_j, long features, int heads, VEC *to_j) {
    VEC sum_i = {0}, sum_j = {0};
    for (long c = 0; c < features; c += LANES) {
        VEC a = load(g_i + c), b = load(g_j + c);
        sum_i += a * load(v_j + c);
        sum_j += b * load(v_i + c);
        if (grad_i) {
            add_to(grad_j + c, weight_i * a);
            add_to(grad_i + c, weight_j * b);
        }
    }
    *to_j = sum_within(sum_j, heads);
    return sum_within(sum_i, heads);
}

/* Back through the hidden layers of a pair into Euclidean variables; grad_hidden holds both networks' gradients. */
static INLINE void geometric_back(const Layer *s, long pair, REAL *grad_hidden, REAL *grad_chi,
                                        REAL *difference, REAL *z) {
    REAL grads[8], *chi_i = grad_chi + s->i[pair] * s->orders, *chi_j = grad_chi + s->j[pair] * s->orders;
    geometric(s, pair, difference, z);
    for (long c = 0; c < 2 * s->hidden; c += LANES) {
        VEC at = load(z + c), part = sigmoid(at);
        store(grad_hidden + c, load(grad_hidden + c) * part * ((REAL)1 + at * ((REAL)1 - part)));
    }
    for (long l = 0; l < DEGREES; l++) {
        VEC sum = {0};
        for (long c = 0; c < 2 * s->hidden; c += LANES)
            sum += load(grad_hidden + c) * load(s->first + l * 2 * s->hidden + c);
        grads[l] = 2 * sum_within(sum, 1)[0] / ROOT((REAL)s->orders_of[l]);
    }
    for (long l = 0, m = 0; l < DEGREES; l++)
        for (int n = 0; n < s->orders_of[l]; n++, m++) {
            chi_j[m] += grads[l] * difference[m];
            chi_i[m] -= grads[l] * difference[m];
        }
}

/* Gradients of the pairs from begin to end; those of atoms are added to grad_qkv and grad_chi. */
static INLINE void attend_pairs_back(const Layer *s, long begin, long end, REAL *grad_qkv, REAL *grad_chi,
                                     REAL *scratch) {
    const long features = s->features, wide = 5 * features, room = WHOLE(s->basis, LANES);
    REAL *grad_w = scratch, *grad_basis = grad_w + 2 * BLOCK * features, *grad_hidden = grad_basis + BLOCK * room;
    REAL *z = grad_hidden + 2 * BLOCK * s->hidden, *difference = z + 2 * s->hidden;
    for (long start = begin; start < end; start += BLOCK) {
        const long count = end - start < BLOCK ? end - start : BLOCK;
        if (all_zero(s->scale + start, count)) {
            memset(s->grad_radial + start * s->basis, 0, count * s->basis * sizeof(REAL));
            memset(s->grad_scale + start, 0, count * sizeof(REAL));
            memset(s->grad_harmonics + start * s->orders, 0, count * s->orders * sizeof(REAL));
            continue;
        }
        for (long r = 0; r < count; r++) {
            const long pair = start + r, i = s->i[pair], j = s->j[pair];
            const REAL *of_i = s->qkv + i * wide, *of_j = s->qkv + j * wide;
            const REAL *w = s->filters + pair * 2 * features, *raw = s->raw + pair * 4 * LANES, scale = s->scale[pair];
            REAL *grad_i = grad_qkv + i * wide, *grad_j = grad_qkv + j * wide;
            VEC raw_f_i = load(raw), raw_f_j = load(raw + LANES), to_j;
            VEC to_i = sums_back(of_i + 2 * features, of_j + 2 * features, s->grad_x + i * features,
                                       s->grad_x + j * features, grad_i + 2 * features, grad_j + 2 * features,
                                       raw_f_i * scale, raw_f_j * scale, features, HEADS, &to_j);
            VEC change = (to_i * raw_f_i + to_j * raw_f_j) * ((REAL)HEADS / LANES);
            both_ways_back(of_i, of_j, grad_i, grad_j, w, grad_w + r * 2 * features, features, to_i * scale,
                                 to_j * scale);
            REAL weight_i[8], weight_j[8], euclidean_i[LANES], euclidean_j[LANES], sum = 0;
            const REAL *raw_i = raw + 2 * LANES, *raw_j = raw + 3 * LANES;
            for (int l = 0; l < DEGREES; l++) weight_i[l] = scale * raw_i[l], weight_j[l] = scale * raw_j[l];
            harmonics_back(s, pair, weight_i, weight_j, euclidean_i, euclidean_j);
            for (int l = 0; l < DEGREES; l++) sum += euclidean_i[l] * raw_i[l] + euclidean_j[l] * raw_j[l];
            s->grad_scale[pair] = sum + sum_within(change, 1)[0];
            both_ways_back(of_i + 3 * features, of_j + 3 * features, grad_i + 3 * features,
                                 grad_j + 3 * features, w + features, grad_w + (2 * r + 1) * features, features,
                                 spread(euclidean_i, DEGREES) * scale, spread(euclidean_j, DEGREES) * scale);
        }
        for (long r = count; r < BLOCK; r++) memset(grad_w + r * 2 * features, 0, 2 * features * sizeof(REAL));
        plain_product(BLOCK, room, grad_w, 2 * features, 2 * features, s->radial_back, room, 0, grad_basis, room);
        for (int kind = 0; kind < 2; kind++)
            plain_product(BLOCK, s->hidden, grad_w + kind * features, 2 * features, features,
                          s->hidden_back + kind * features * s->hidden, s->hidden, 0, grad_hidden + kind * s->hidden,
                          2 * s->hidden);
        for (long r = 0; r < count; r++) {
            memcpy(s->grad_radial + (start + r) * s->basis, grad_basis + r * room, s->basis * sizeof(REAL));
            geometric_back(s, start + r, grad_hidden + r * 2 * s->hidden, grad_chi, difference, z);
        }
    }
}
