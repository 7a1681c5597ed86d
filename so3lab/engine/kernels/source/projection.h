/* Queries, keys and values of atoms: each head of a row of features is multiplied by a matrix of its own.

   Rows come head after head and leave head-minor. With the inputs of all heads next to each other, a product with
   blocks on its diagonal runs as a full one of a quarter of the depth. */

typedef struct {
    long atoms, features;
    const REAL *from;          /* [atoms, features], or on the way back [atoms, 5 features] */
    const REAL *features_map;  /* [features / heads, 3 features], or on the way back [3 features / heads, features] */
    const REAL *euclidean_map; /* [features / degrees, 2 features], or [2 features / degrees, features] */
    REAL *to;
} Projection;

/* From head after head to head-minor. */
static INLINE void interleave(const REAL *from, long features, int heads, REAL *to) {
    const long width = features / heads;
    for (long a = 0; a < width; a++)
        for (int h = 0; h < heads; h++) to[a * heads + h] = from[h * width + a];
}

/* Adds a head-minor row to one of head after head. */
static INLINE void add_in_order(const REAL *from, long features, int heads, REAL *to) {
    const long width = features / heads;
    for (long a = 0; a < width; a++)
        for (int h = 0; h < heads; h++) to[h * width + a] += from[a * heads + h];
}

static INLINE void project_rows(const Projection *s, long begin, long end, REAL *scratch) {
    const long features = s->features, wide = 5 * features;
    REAL *one = scratch, *other = one + BLOCK * features, *result = other + BLOCK * features + LANES;
    for (long start = begin; start < end; start += BLOCK) {
        const long count = end - start < BLOCK ? end - start : BLOCK, rows = WHOLE(count, ROWS);
        REAL *to = rows == count ? s->to + start * wide : result;
        for (long r = 0; r < count; r++) {
            interleave(s->from + (start + r) * features, features, HEADS, one + r * features);
            interleave(s->from + (start + r) * features, features, DEGREES, other + r * features);
        }
        memset(one + count * features, 0, (rows - count) * features * sizeof(REAL));
        memset(other + count * features, 0, (rows - count) * features * sizeof(REAL));
        product(HEADS, rows, 3 * features, one, features, features / HEADS, s->features_map, 3 * features, 0, to, wide);
        product(DEGREES, rows, 2 * features, other, features, features / DEGREES, s->euclidean_map, 2 * features, 0,
                to + 3 * features, wide);
        if (to == result) memcpy(s->to + start * wide, result, count * wide * sizeof(REAL));
    }
}

static INLINE void project_rows_back(const Projection *s, long begin, long end, REAL *scratch) {
    const long features = s->features, wide = 5 * features;
    REAL *one = scratch, *other = one + BLOCK * features, *copied = other + BLOCK * features;
    for (long start = begin; start < end; start += BLOCK) {
        const long count = end - start < BLOCK ? end - start : BLOCK, rows = WHOLE(count, ROWS);
        memcpy(copied, s->from + start * wide, count * wide * sizeof(REAL));
        memset(copied + count * wide, 0, ((rows - count) * wide + LANES) * sizeof(REAL));
        product(HEADS, rows, features, copied, wide, 3 * features / HEADS, s->features_map, features, 0, one, features);
        product(DEGREES, rows, features, copied + 3 * features, wide, 2 * features / DEGREES, s->euclidean_map,
                features, 0, other, features);
        for (long r = 0; r < count; r++) {
            REAL *to = s->to + (start + r) * features;
            memset(to, 0, features * sizeof(REAL));
            add_in_order(one + r * features, features, HEADS, to);
            add_in_order(other + r * features, features, DEGREES, to);
        }
    }
}
