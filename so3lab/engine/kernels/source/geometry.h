/* Geometry of the network's pairs: distances, cutoff, spherical harmonics and the shared radial basis.

   Formulas in so3lab/functions and engine/compressed_filters.py; LANES pairs at a time. */

/* Where pairs are. */
typedef struct {
    const int *i, *j, *images, *structure;  /* images: [pairs, 3], or none */
    const unsigned char *mask;
    const REAL *positions, *cells, *strain; /* strain: [structures, 3, 3], or none */
} Places;

/* The vector from i to j, strained and as it was; the structure it belongs to. */
static INLINE long pair_vector(const Places *s, long pair, REAL *vector, REAL *plain) {
    const REAL *from = s->positions + 3 * s->i[pair], *to = s->positions + 3 * s->j[pair];
    const long structure = s->structure[s->i[pair]];
    for (int x = 0; x < 3; x++) plain[x] = to[x] - from[x];
    if (s->images) {
        const int *image = s->images + 3 * pair;
        const REAL *cell = s->cells + 9 * structure;
        if (image[0] | image[1] | image[2])
            for (int x = 0; x < 3; x++)
                plain[x] += image[0] * cell[x] + image[1] * cell[3 + x] + image[2] * cell[6 + x];
    }
    for (int x = 0; x < 3; x++) vector[x] = plain[x];
    if (s->strain) {
        const REAL *strain = s->strain + 9 * structure;
        for (int x = 0; x < 3; x++)
            vector[x] += plain[0] * strain[x] + plain[1] * strain[3 + x] + plain[2] * strain[6 + x];
    }
    return structure;
}

/* Adds the gradient by a pair's vector to those by positions and strain. */
static INLINE void vector_back(const Places *s, long pair, const REAL *grad, REAL *grad_positions, REAL *grad_strain) {
    REAL all[3] = {grad[0], grad[1], grad[2]};
    if (s->strain) {
        REAL vector[3], plain[3];
        const long structure = pair_vector(s, pair, vector, plain);
        const REAL *strain = s->strain + 9 * structure;
        for (int x = 0; x < 3; x++)
            for (int y = 0; y < 3; y++) {
                grad_strain[9 * structure + 3 * x + y] += plain[x] * grad[y];
                all[x] += strain[3 * x + y] * grad[y];
            }
    }
    for (int x = 0; x < 3; x++) {
        grad_positions[3 * s->j[pair] + x] += all[x];
        grad_positions[3 * s->i[pair] + x] -= all[x];
    }
}

enum { PHYS, COSINE, POLYNOMIAL, EXPONENTIAL };

/* Weight of a pair at a distance, and its derivative. */
static INLINE REAL cutoff_weight(int kind, REAL distance, REAL cutoff, REAL *slope) {
    *slope = 0;
    if (!(distance < cutoff)) return distance != distance ? distance : 0;
    const REAL x = distance / cutoff, x2 = x * x;
    if (kind == PHYS) {
        *slope = -x2 * (30 - x * (60 - 30 * x)) / cutoff;
        return 1 - x2 * x * (10 - x * (15 - 6 * x));
    }
    if (kind == COSINE) {
        const REAL pi = (REAL)3.141592653589793;
        *slope = (REAL)-0.5 * pi * SIN(pi * x) / cutoff;
        return (REAL)0.5 * (1 + COS(pi * x));
    }
    const REAL x4 = x2 * x2;
    if (kind == POLYNOMIAL) {
        *slope = -x4 * x * (168 - x * (336 - 168 * x)) / cutoff;
        return 1 - x4 * x2 * (28 - x * (48 - 21 * x));
    }
    const REAL left = (1 - x) * (1 + x);
    if (left < (REAL)1e-6) return EXP(-x2 / (REAL)1e-6);
    const REAL weight = EXP(-x2 / left);
    *slope = -weight * 2 * x / (left * left) / cutoff;
    return weight;
}

/* Harmonics of one degree at unit vectors, and, if wanted, their derivatives by x, y and z as free variables. */
static INLINE void harmonics_of(int degree, VEC x, VEC y, VEC z, VEC *h, VEC (*g)[3]) {
    const VEC xx = x * x, yy = y * y, zz = z * z, none = {0};
#define H(n, value, by_x, by_y, by_z) \
    h[n] = (value) * c;               \
    if (g) g[n][0] = (by_x) * c, g[n][1] = (by_y) * c, g[n][2] = (by_z) * c;
    REAL c;
    if (degree == 1) {
        c = (REAL)0.4886025119029199; /* root of 3 / 4 pi */
        H(0, y, none, none + 1, none)
        H(1, z, none, none, none + 1)
        H(2, x, none + 1, none, none)
    } else if (degree == 2) {
        c = (REAL)1.0925484305920792; /* 15 / 4 pi */
        H(0, x * y, y, x, none)
        H(1, y * z, none, z, y)
        H(3, x * z, z, none, x)
        c = (REAL)0.31539156525252005; /* 5 / 16 pi */
        H(2, 3 * zz - 1, none, none, 6 * z)
        c = (REAL)0.5462742152960396; /* 15 / 16 pi */
        H(4, xx - yy, 2 * x, -2 * y, none)
    } else if (degree == 3) {
        c = (REAL)0.5900435899266435; /* 35 / 32 pi */
        H(0, y * (3 * xx - yy), 6 * x * y, 3 * (xx - yy), none)
        H(6, x * (xx - 3 * yy), 3 * (xx - yy), -6 * x * y, none)
        c = (REAL)2.890611442640554; /* 105 / 4 pi */
        H(1, x * y * z, y * z, x * z, x * y)
        c = (REAL)0.4570457994644658; /* 21 / 32 pi */
        H(2, y * (5 * zz - 1), none, 5 * zz - 1, 10 * y * z)
        H(4, x * (5 * zz - 1), 5 * zz - 1, none, 10 * x * z)
        c = (REAL)0.3731763325901154; /* 7 / 16 pi */
        H(3, z * (5 * zz - 3), none, none, 15 * zz - 3)
        c = (REAL)1.445305721320277; /* 105 / 16 pi */
        H(5, (xx - yy) * z, 2 * x * z, -2 * y * z, xx - yy)
    } else {
        c = (REAL)2.5033429417967046; /* 315 / 16 pi */
        H(0, x * y * (xx - yy), y * (3 * xx - yy), x * (xx - 3 * yy), none)
        c = (REAL)1.7701307697799304; /* 315 / 32 pi */
        H(1, y * z * (3 * xx - yy), 6 * x * y * z, 3 * z * (xx - yy), y * (3 * xx - yy))
        H(7, x * z * (xx - 3 * yy), 3 * z * (xx - yy), -6 * x * y * z, x * (xx - 3 * yy))
        c = (REAL)0.9461746957575601; /* 45 / 16 pi */
        H(2, x * y * (7 * zz - 1), y * (7 * zz - 1), x * (7 * zz - 1), 14 * x * y * z)
        c = (REAL)0.6690465435572892; /* 45 / 32 pi */
        H(3, y * z * (7 * zz - 3), none, z * (7 * zz - 3), y * (21 * zz - 3))
        H(5, x * z * (7 * zz - 3), z * (7 * zz - 3), none, x * (21 * zz - 3))
        c = (REAL)0.10578554691520431; /* 9 / 256 pi */
        H(4, (35 * zz - 30) * zz + 3, none, none, z * (140 * zz - 60))
        c = (REAL)0.47308734787878004; /* 45 / 64 pi */
        H(6, (xx - yy) * (7 * zz - 1), 2 * x * (7 * zz - 1), -2 * y * (7 * zz - 1), 14 * z * (xx - yy))
        c = (REAL)0.6258357354491761; /* 315 / 256 pi */
        H(8, xx * (xx - 6 * yy) + yy * yy, x * (4 * xx - 12 * yy), y * (4 * yy - 12 * xx), none)
    }
#undef H
}

#define MOST_SIDES 16

typedef struct {
    Places places;
    long pairs, orders, basis, side, room; /* side: root of the number of polynomials; room: basis in vectors */
    const int *degree;
    int kind; /* of cutoff */
    REAL cutoff, decay, shortest;
    const REAL *mixing; /* [polynomials, room] */
    REAL *distances, *weights, *harmonics, *radial;
    const REAL *grad_distances, *grad_weights, *grad_harmonics, *grad_radial;
} Geometry;

/* Chebyshev polynomials of degree 0 to count - 1 and their derivatives. */
static INLINE void chebyshev(VEC x, long count, VEC *t, VEC *slope) {
    t[0] = constant(1), t[1] = x, slope[0] = constant(0), slope[1] = constant(1);
    for (long n = 2; n < count; n++) {
        t[n] = (REAL)2 * x * t[n - 1] - t[n - 2];
        slope[n] = (REAL)2 * (t[n - 1] + x * slope[n - 1]) - slope[n - 2];
    }
}

/* All products of polynomials at distances, or the derivatives of these, as rows. */
static INLINE void polynomials(const Geometry *s, VEC distance, int derivatives, REAL *rows) {
    const long side = s->side, count = side * side;
    const REAL high = EXP(-s->decay * s->shortest), low = EXP(-s->decay * s->cutoff);
    VEC short_low = chosen(distance < s->shortest, constant(s->shortest), distance);
    VEC clipped = chosen(short_low > s->cutoff, constant(s->cutoff), short_low);
    VEC t = exponential(clipped * -s->decay), x = ((REAL)2 * t - (high + low)) / (high - low);
    VEC inside = chosen(distance > s->shortest, chosen(distance < s->cutoff, constant(1), constant(0)), constant(0));
    VEC slope = inside * t * (REAL)(-2) * s->decay / (high - low);
    VEC lows[MOST_SIDES + 1], low_slopes[MOST_SIDES + 1], highs[MOST_SIDES], high_slopes[MOST_SIDES];
    chebyshev(x, side + 1, lows, low_slopes);
    chebyshev(lows[side], side, highs, high_slopes);
    for (long a = 0; a < side; a++) {
        VEC by_x = high_slopes[a] * low_slopes[side];
        for (long b = 0; b < side; b++) {
            VEC value = derivatives ? slope * (by_x * lows[b] + highs[a] * low_slopes[b]) : highs[a] * lows[b];
            for (int l = 0; l < LANES; l++) rows[l * count + a * side + b] = value[l];
        }
    }
}

/* Directions and lengths of LANES pairs; padding is (1, 1, 1). */
static INLINE VEC directions(const Geometry *s, long first, long count, VEC *u) {
    VEC vector[3], squares;
    for (int l = 0; l < LANES; l++) {
        REAL one[3] = {1, 1, 1}, plain[3];
        if (l < count && s->places.mask[first + l]) pair_vector(&s->places, first + l, one, plain);
        for (int x = 0; x < 3; x++) vector[x][l] = one[x];
    }
    squares = vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2];
    VEC distance = constant(0);
    for (int l = 0; l < LANES; l++) distance[l] = ROOT(squares[l]);
    for (int x = 0; x < 3; x++) u[x] = vector[x] / distance;
    return distance;
}

static void geometry_pairs(const Geometry *s, long begin, long end, REAL *scratch) {
    const long count = s->side * s->side;
    REAL *rows = scratch, *radial = rows + BLOCK * count;
    for (long start = begin; start < end; start += BLOCK) {
        const long present = end - start < BLOCK ? end - start : BLOCK;
        for (long part = 0; part < BLOCK; part += LANES) {
            const long first = start + part, left = present - part < LANES ? present - part : LANES;
            VEC u[3], h[9], distance = directions(s, first, left, u);
            polynomials(s, distance, 0, rows + part * count);
            for (long l = 0; l < left; l++) {
                REAL slope;
                s->distances[first + l] = distance[l];
                s->weights[first + l] =
                    s->places.mask[first + l] ? cutoff_weight(s->kind, distance[l], s->cutoff, &slope) : 0;
            }
            for (long d = 0, m = 0; d < DEGREES; m += 2 * s->degree[d] + 1, d++) {
                harmonics_of(s->degree[d], u[0], u[1], u[2], h, 0);
                for (int n = 0; n < 2 * s->degree[d] + 1; n++)
                    for (long l = 0; l < left; l++) s->harmonics[(first + l) * s->orders + m + n] = h[n][l];
            }
        }
        plain_product(BLOCK, s->room, rows, count, count, s->mixing, s->room, 0, radial, s->room);
        for (long r = 0; r < present; r++)
            memcpy(s->radial + (start + r) * s->basis, radial + r * s->room, s->basis * sizeof(REAL));
    }
}

static void geometry_back(const Geometry *s, long begin, long end, REAL *grad_positions, REAL *grad_strain,
                          REAL *scratch) {
    const long count = s->side * s->side;
    REAL *rows = scratch, *radial = rows + BLOCK * count;
    for (long start = begin; start < end; start += BLOCK) {
        const long present = end - start < BLOCK ? end - start : BLOCK;
        if (!memchr(s->places.mask + start, 1, present)) continue;
        for (long part = 0; part < BLOCK; part += LANES) {
            VEC u[3], distance = directions(s, start + part, present - part, u);
            polynomials(s, distance, 1, rows + part * count);
        }
        plain_product(BLOCK, s->room, rows, count, count, s->mixing, s->room, 0, radial, s->room);
        for (long part = 0; part < present; part += LANES) {
            const long first = start + part, left = present - part < LANES ? present - part : LANES;
            VEC u[3], h[9], g[9][3], sums[3] = {{0}, {0}, {0}}, distance = directions(s, first, left, u);
            for (long d = 0, m = 0; d < DEGREES; m += 2 * s->degree[d] + 1, d++) {
                harmonics_of(s->degree[d], u[0], u[1], u[2], h, g);
                for (int n = 0; n < 2 * s->degree[d] + 1; n++) {
                    VEC given = {0};
                    for (long l = 0; l < left; l++) given[l] = s->grad_harmonics[(first + l) * s->orders + m + n];
                    for (int x = 0; x < 3; x++) sums[x] += given * g[n][x];
                }
            }
            VEC along = sums[0] * u[0] + sums[1] * u[1] + sums[2] * u[2], by_distance = {0};
            for (long l = 0; l < left; l++) {
                const long pair = first + l;
                REAL slope, sum = s->grad_distances[pair];
                cutoff_weight(s->kind, distance[l], s->cutoff, &slope);
                sum += s->grad_weights[pair] * slope;
                for (long k = 0; k < s->basis; k++)
                    sum += s->grad_radial[pair * s->basis + k] * radial[(part + l) * s->room + k];
                by_distance[l] = sum;
            }
            for (int x = 0; x < 3; x++) sums[x] = (sums[x] - along * u[x]) / distance + by_distance * u[x];
            for (long l = 0; l < left; l++) {
                if (!s->places.mask[first + l]) continue;
                const REAL grad[3] = {sums[0][l], sums[1][l], sums[2][l]};
                vector_back(&s->places, first + l, grad, grad_positions, grad_strain);
            }
        }
    }
}
