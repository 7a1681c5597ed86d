/* The first layer's attention: there a weight is a function of distance for each ordered pair of species.

   Features do not depend on positions yet, so that no gradients of values are wanted. Of attention.h's Layer, qkv
   holds the values only. */

typedef struct {
    Layer layer;
    const int *species;   /* [atoms] */
    long number;          /* of species */
    const REAL *table;    /* [number, number, basis + 1, weights in whole vectors]: coefficients and constant */
    const REAL *backward; /* [number, number, weights, basis in whole vectors] */
} FirstLayer;

/* Weights are the heads and degrees of i <- j, then those of j <- i; raw: [pairs, weights]. */
static INLINE void first_pairs(const FirstLayer *t, long begin, long end, REAL *dx, REAL *dchi) {
    const Layer *s = &t->layer;
    const long features = s->features, one = HEADS + DEGREES, both = 2 * one, room = WHOLE(both, LANES);
    for (long pair = begin; pair < end; pair++) {
        const long i = s->i[pair], j = s->j[pair];
        const REAL *b = s->radial + pair * s->basis, scale = s->scale[pair];
        const REAL *table = t->table + (t->species[i] * t->number + t->species[j]) * (s->basis + 1) * room;
        REAL sums[32 + LANES];
        for (long n = 0; n < room; n += LANES) {
            VEC even = load(table + s->basis * room + n), odd = {0};
            long k = 0;
            for (; k + 1 < s->basis; k += 2) {
                even += load(table + k * room + n) * b[k];
                odd += load(table + (k + 1) * room + n) * b[k + 1];
            }
            if (k < s->basis) even += load(table + k * room + n) * b[k];
            store(sums + n, even + odd);
        }
        memcpy(s->raw + pair * both, sums, both * sizeof(REAL));
        if (scale == 0) continue;
        VEC to_i = spread(sums, HEADS) * scale, to_j = spread(sums + one, HEADS) * scale;
        VEC chi_i = spread(sums + HEADS, DEGREES) * scale, chi_j = spread(sums + one + HEADS, DEGREES) * scale;
        for (long c = 0; c < features; c += LANES) {
            add_to(dx + i * features + c, to_i * load(s->qkv + j * features + c));
            add_to(dx + j * features + c, to_j * load(s->qkv + i * features + c));
        }
        send_harmonics(s, pair, chi_i, chi_j, dchi);
    }
}

static INLINE void first_pairs_back(const FirstLayer *t, long begin, long end) {
    const Layer *s = &t->layer;
    const long features = s->features, one = HEADS + DEGREES, both = 2 * one, room = WHOLE(s->basis, LANES);
    for (long pair = begin; pair < end; pair++) {
        const long i = s->i[pair], j = s->j[pair];
        const REAL scale = s->scale[pair], *raw = s->raw + pair * both;
        const REAL *table = t->backward + (t->species[i] * t->number + t->species[j]) * both * room;
        REAL grads[32], weight_i[8], weight_j[8], change = 0, *grad = s->grad_radial + pair * s->basis;
        VEC none = {0}, to_j;
        VEC to_i = sums_back(s->qkv + i * features, s->qkv + j * features, s->grad_x + i * features,
                                   s->grad_x + j * features, 0, 0, none, none, features, HEADS, &to_j);
        for (int h = 0; h < HEADS; h++) grads[h] = to_i[h], grads[one + h] = to_j[h];
        for (int l = 0; l < DEGREES; l++)
            weight_i[l] = scale * raw[HEADS + l], weight_j[l] = scale * raw[one + HEADS + l];
        harmonics_back(s, pair, weight_i, weight_j, grads + HEADS, grads + one + HEADS);
        for (long n = 0; n < both; n++) {
            change += grads[n] * raw[n];
            grads[n] *= scale;
        }
        s->grad_scale[pair] = change;
        for (long k = 0; k < room; k += LANES) {
            VEC even = {0}, odd = {0};
            for (long n = 0; n < both; n += 2) {
                even += load(table + n * room + k) * grads[n];
                odd += load(table + (n + 1) * room + k) * grads[n + 1];
            }
            even += odd;
            memcpy(grad + k, &even, (s->basis - k < LANES ? s->basis - k : LANES) * sizeof(REAL));
        }
    }
}
