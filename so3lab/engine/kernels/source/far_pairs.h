/* Dispersion and screened Coulomb energy of far pairs, LANES pairs at a time; formulas in so3lab/network/pairwise.

   The way forth keeps five numbers for each pair, so that the way back only gathers and scatters. */

enum { SLOPE, ENERGY, PER_POLARIZABILITY, COULOMB, COULOMB_SLOPE, KEPT }; /* slopes: derivative over distance */
enum { TRUNCATED = 1, COULOMB_BY_PAIRS = 2, COULOMB_ENDS = 4 };           /* of a structure */

typedef struct {
    Places places;
    long atoms, pairs, structures;
    const int *kind; /* of structures */
    const REAL *polarizability, *ratio, *charges; /* ratio: polarizability squared over C6 */
    REAL bohr, hartree, scale, cutoff, window, screening, coulomb;
    REAL coulomb_end, coulomb_end_slope, blend_start; /* of the screened interaction at the cutoff; Å */
    REAL *kept;                                   /* [pairs, KEPT] */
    const REAL *grad_dispersion, *grad_coulomb;   /* [atoms] */
} Far;

/* By Newton's method, from the exponent's seventh; SIX_SEVENTHS of the bits of 1 make up for its bias. */
static INLINE VEC seventh_root(VEC x) {
    Bits start = {.real = x};
    start.whole = __builtin_convertvector(__builtin_convertvector(start.whole, VEC) / (REAL)7, Whole) + SIX_SEVENTHS;
    VEC y = start.real;
    for (int n = 0; n < SEVENTH_ROOT_STEPS; n++) {
        VEC square = y * y;
        y = ((REAL)6 * y + x / (square * square * square)) / (REAL)7;
    }
    return y;
}

/* exp(-1/x) for positive x, else 0, and x in places where it is used. */
static INLINE VEC smooth_step(VEC x, VEC *inside) {
    *inside = chosen(x > (REAL)0.012, x, constant(1));
    return chosen(x > (REAL)0.012, exponential(constant(-1) / *inside), constant(0));
}

/* What switches from 1 to 0 between begin and end, and its derivative over distance. */
static INLINE VEC fading(VEC distance, REAL begin, REAL end, VEC *slope) {
    VEC inside, outside, c = (distance - begin) / (end - begin);
    VEC rising = smooth_step(c, &inside), falling = smooth_step((REAL)1 - c, &outside), sum = rising + falling;
    VEC fade = falling / sum;
    *slope = -fade * (rising / sum) * ((REAL)1 / (inside * inside) + (REAL)1 / (outside * outside)) / (end - begin);
    return fade;
}

/* Dispersion of LANES pairs: energies, and derivatives by squared distance and by mean polarizability. */
static INLINE VEC dispersion(const Far *s, VEC square, VEC mean, VEC c6, VEC *by_square, VEC *by_mean) {
    VEC far2 = square / (s->bohr * s->bohr);
    const VEC beyond = constant((REAL)1e6);
    VEC moves = chosen(far2 < beyond, constant(1), constant(0));
    far2 = chosen(far2 < beyond, far2, beyond);
    VEC root = seventh_root(mean), radius = root * (REAL)2.552796100231019; /* fine structure constant^(-4/21) */
    VEC width = radius * ((REAL)0.24428889 + radius * ((REAL)0.04125273 - (REAL)0.00078893 * radius)) - (REAL)0.00433008;
    VEC steep = (REAL)0.24428889 + radius * ((REAL)(2 * 0.04125273) - (REAL)(3 * 0.00078893) * radius);
    VEC twice = (REAL)2 * width * width, twice_slope = (REAL)4 * width * steep * radius; /* by ln root */
    VEC c8 = (REAL)5 * c6 * twice, c10 = (REAL)30.625 * c6 * twice * twice;
    VEC near2 = (REAL)(2 * 2.54) * s->scale * root;
    near2 = near2 * near2;
    VEC far4 = far2 * far2, near4 = near2 * near2, far6 = far4 * far2, near6 = near4 * near2;
    VEC one6 = (REAL)1 / (far6 + near6), one8 = (REAL)1 / (far4 * far4 + near4 * near4);
    VEC one10 = (REAL)1 / (far6 * far4 + near6 * near4);
    VEC e6 = c6 * one6, e8 = c8 * one8, e10 = c10 * one10;
    VEC s6 = e6 * one6, s8 = e8 * one8, s10 = e10 * one10;
    VEC by_far2 = (REAL)3 * s6 * far4 + (REAL)4 * s8 * far6 + (REAL)5 * s10 * far4 * far4;
    VEC by_ln_root = (REAL)6 * s6 * near6 + (REAL)8 * s8 * near4 * near4 + (REAL)10 * s10 * near6 * near4 -
                     twice_slope * ((REAL)5 * c6 * one8 + (REAL)61.25 * c6 * twice * one10);
    *by_square = moves * by_far2 * (s->hartree / (s->bohr * s->bohr));
    *by_mean = by_ln_root * (s->hartree / (REAL)7) / mean;
    return -s->hartree * (e6 + e8 + e10);
}

/* erf(x) / x and its derivative over x, at x = distance / screening length. */
static INLINE REAL screened(REAL x, REAL *slope) {
    const REAL gauss = (REAL)1.1283791670955126, square = x * x;
    if (x < (REAL)0.5) { /* (-x²)^n / (n! (2n + 1)), and its derivative over x */
        REAL power = gauss, sum = gauss, slopes = 0;
        for (int n = 1; n < 13; n++) {
            slopes -= power * 2 / (2 * n + 1); /* (-x²)^(n-1) / (n-1)! times -2 / (2n + 1) */
            power *= -square / n;
            sum += power / (2 * n + 1);
        }
        *slope = slopes;
        return sum;
    }
    const REAL value = ERF(x) / x;
    *slope = (gauss * EXP(-square) - value) / square;
    return value;
}

static void far_block(const Far *s, const long *pairs, int count, REAL squares[LANES], REAL *dispersion_of,
                      REAL *coulomb_of) {
    REAL means[LANES], c6s[LANES], fades[LANES];
    int coulomb = 0;
    for (int l = 0; l < LANES; l++) {
        const long pair = pairs[l < count ? l : 0];
        const REAL a = s->polarizability[s->places.i[pair]], b = s->polarizability[s->places.j[pair]];
        if (l >= count) squares[l] = squares[0];
        means[l] = (REAL)0.5 * (a + b);
        c6s[l] = 2 * a * b / (s->ratio[s->places.i[pair]] + s->ratio[s->places.j[pair]]);
        const int kind = s->kind[s->places.structure[s->places.i[pair]]];
        fades[l] = kind & TRUNCATED ? 1 : 0;
        coulomb |= kind;
    }
    VEC square = load(squares), by_square, by_mean;
    VEC energy = dispersion(s, square, load(means), load(c6s), &by_square, &by_mean);
    VEC slope = (REAL)2 * by_square, distance = constant(0);
    for (int l = 0; l < LANES; l++) distance[l] = ROOT(square[l]);
    if (coulomb & TRUNCATED) {
        VEC steep, fade = fading(distance, s->cutoff - s->window, s->cutoff, &steep);
        VEC flags = load(fades);
        fade = chosen(flags > (REAL)0, fade, constant(1));
        steep = chosen(flags > (REAL)0, steep, constant(0));
        slope = fade * slope + steep * energy / distance;
        energy *= fade;
        by_mean *= fade;
    }
    VEC shift = constant(0), shift_slope = constant(0); /* so that the interaction ends smoothly; slope over distance */
    if (coulomb & COULOMB_ENDS) {
        VEC steep, blend = (REAL)1 - fading(distance, s->blend_start, s->cutoff, &steep), short_of = distance - s->cutoff;
        shift = -s->coulomb_end - blend * s->coulomb_end_slope * short_of;
        shift_slope = (steep * short_of - blend) * s->coulomb_end_slope / distance;
    }
    for (int l = 0; l < count; l++) {
        const long pair = pairs[l], i = s->places.i[pair], j = s->places.j[pair];
        const int kind = s->kind[s->places.structure[i]];
        REAL *kept = s->kept + pair * KEPT;
        kept[SLOPE] = slope[l], kept[ENERGY] = energy[l], kept[PER_POLARIZABILITY] = by_mean[l];
        kept[COULOMB] = kept[COULOMB_SLOPE] = 0;
        dispersion_of[i] += (REAL)0.5 * energy[l];
        dispersion_of[j] += (REAL)0.5 * energy[l];
        if (kind & COULOMB_BY_PAIRS) {
            REAL by_x, value = screened(distance[l] / s->screening, &by_x) / s->screening;
            REAL by_distance = by_x / (s->screening * s->screening * s->screening);
            if (kind & COULOMB_ENDS) value += shift[l], by_distance += shift_slope[l];
            kept[COULOMB] = s->coulomb * value;
            kept[COULOMB_SLOPE] = s->coulomb * by_distance;
            const REAL half = (REAL)0.5 * s->charges[i] * s->charges[j] * kept[COULOMB];
            coulomb_of[i] += half;
            coulomb_of[j] += half;
        }
    }
}

static void far_energies(const Far *s, long begin, long end, REAL *dispersion_of, REAL *coulomb_of) {
    long waiting[LANES];
    REAL squares[LANES], vector[3], plain[3];
    int count = 0;
    for (long pair = begin; pair < end; pair++) {
        const int kind = s->kind[s->places.structure[s->places.i[pair]]];
        REAL square = 0;
        if (s->places.mask[pair]) {
            pair_vector(&s->places, pair, vector, plain);
            square = vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2];
        }
        const int ends = kind == TRUNCATED || (kind & TRUNCATED && kind & COULOMB_ENDS);
        if (!s->places.mask[pair] || (ends && square >= s->cutoff * s->cutoff)) {
            memset(s->kept + pair * KEPT, 0, KEPT * sizeof(REAL));
            continue;
        }
        waiting[count] = pair, squares[count] = square;
        if (++count == LANES) {
            far_block(s, waiting, count, squares, dispersion_of, coulomb_of);
            count = 0;
        }
    }
    if (count) far_block(s, waiting, count, squares, dispersion_of, coulomb_of);
}

/* grad_positions: [atoms, 3], then gradients of the polarizabilities, the charges, and the strains. */
static void far_back(const Far *s, long begin, long end, REAL *grad_positions, REAL *grad_others) {
    REAL *grad_polarizability = grad_others, *grad_charges = grad_others + s->atoms;
    REAL *grad_strain = grad_others + 2 * s->atoms, vector[3], plain[3];
    for (long pair = begin; pair < end; pair++) {
        const REAL *kept = s->kept + pair * KEPT;
        if (kept[SLOPE] == 0 && kept[ENERGY] == 0 && kept[COULOMB] == 0) continue;
        const long i = s->places.i[pair], j = s->places.j[pair];
        pair_vector(&s->places, pair, vector, plain);
        const REAL dispersed = (REAL)0.5 * (s->grad_dispersion[i] + s->grad_dispersion[j]);
        const REAL charged = (REAL)0.5 * (s->grad_coulomb[i] + s->grad_coulomb[j]);
        const REAL a = s->polarizability[i], b = s->polarizability[j], q_i = s->charges[i], q_j = s->charges[j];
        const REAL slope = dispersed * kept[SLOPE] + charged * q_i * q_j * kept[COULOMB_SLOPE];
        const REAL half = (REAL)0.5 * dispersed * kept[PER_POLARIZABILITY], share = dispersed * kept[ENERGY];
        grad_polarizability[i] += half + share / a;
        grad_polarizability[j] += half + share / b;
        grad_charges[i] += charged * kept[COULOMB] * q_j;
        grad_charges[j] += charged * kept[COULOMB] * q_i;
        const REAL grad[3] = {slope * vector[0], slope * vector[1], slope * vector[2]};
        vector_back(&s->places, pair, grad, grad_positions, grad_strain);
    }
}
