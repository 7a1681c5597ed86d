/* Vectors of REAL, whatever the processor calls them: arithmetic, sums within heads, exp, small matrix products.

   library.c defines REAL and LANES. A VEC fills 64 bytes; compilers split it where registers are narrower. Features
   are head-minor, so that lane l of any VEC belongs to head l % heads. */

typedef REAL VEC __attribute__((vector_size(64), aligned(sizeof(REAL)), may_alias));

static INLINE VEC load(const REAL *from) { return *(const VEC *)from; }
static INLINE void store(REAL *to, VEC v) { *(VEC *)to = v; }
static INLINE void add_to(REAL *to, VEC v) { *(VEC *)to += v; }

static INLINE VEC constant(REAL value) { return (VEC){0} + value; }

/* Every lane gets the sum over all lanes of its head; heads is 1, 2, 4 or 8. */
static INLINE VEC sum_within(VEC v, int heads) {
#if LANES == 16
    v += ROTATED(v, 8);
#endif
    if (heads <= 4) v += ROTATED(v, 4);
    if (heads <= 2) v += ROTATED(v, 2);
    if (heads <= 1) v += ROTATED(v, 1);
    return v;
}

/* Values, one per head, in every lane of their head; LANES of them can be read. */
static INLINE VEC spread(const REAL *values, int heads) {
    VEC v = load(values);
#if LANES == 16
    if (heads == 8) return SHUFFLED(v, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
    if (heads == 4) return SHUFFLED(v, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
    if (heads == 2) return SHUFFLED(v, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1);
#else
    if (heads == 8) return v;
    if (heads == 4) return SHUFFLED(v, 0, 1, 2, 3, 0, 1, 2, 3);
    if (heads == 2) return SHUFFLED(v, 0, 1, 0, 1, 0, 1, 0, 1);
#endif
    return constant(values[0]);
}

typedef INTEGER Whole __attribute__((vector_size(64)));
typedef union {
    VEC real;
    Whole whole;
} Bits;

/* a where the mask is set, else b. */
static INLINE VEC chosen(Whole mask, VEC a, VEC b) {
    Bits one = {.real = a}, other = {.real = b};
    one.whole = (mask & one.whole) | (~mask & other.whole);
    return one.real;
}

/* exp by powers of two and a Taylor series on [-ln 2 / 2, ln 2 / 2]; to rounding. */
static INLINE VEC exponential(VEC x) {
    const REAL magic = EXP_MAGIC;
    x = chosen(x < -EXP_LIMIT, constant(-EXP_LIMIT), x);
    x = chosen(x > EXP_LIMIT, constant(EXP_LIMIT), x);
    VEC shifted = x * (REAL)1.4426950408889634 + magic;
    VEC turns = shifted - magic;
    VEC rest = x - turns * (REAL)LN2_HIGH - turns * (REAL)LN2_LOW;
    VEC sum = constant(1);
    for (int k = EXP_TERMS; k > 0; k--) sum = sum * rest * (REAL)(1.0 / k) + (REAL)1;
    Bits bits = {.real = shifted}, zero = {.real = constant(magic)};
    bits.whole = (bits.whole - zero.whole + EXP_BIAS) << EXP_SHIFT;
    return sum * bits.real;
}

static INLINE VEC sigmoid(VEC z) { return (REAL)1 / ((REAL)1 + exponential(-z)); }

/* c = bias + a @ w for `rows` rows and `wide` vectors of columns; both are constants where this is inlined.

   With several heads, row k of w has a column for each of them: it meets `heads` numbers of a, each in its own lanes. */
static INLINE void tile(const int rows, const int wide, const int heads, const REAL *a, long lda, long depth,
                        const REAL *w, long ldw, const REAL *bias, REAL *c, long ldc) {
    VEC sums[ROWS][4];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++) sums[r][v] = bias ? load(bias + v * LANES) : (VEC){0};
    for (long k = 0; k < depth; k++) {
        VEC row[4];
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++) row[v] = load(w + k * ldw + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const VEC at = spread(a + r * lda + k * heads, heads);
#pragma GCC unroll 4
            for (int v = 0; v < wide; v++) sums[r][v] += row[v] * at;
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++) store(c + r * ldc + v * LANES, sums[r][v]);
}

/* The same for rows that are a multiple of ROWS and columns that are a multiple of LANES. */
static INLINE void product(const int heads, long rows, long columns, const REAL *a, long lda, long depth,
                           const REAL *w, long ldw, const REAL *bias, REAL *c, long ldc) {
    for (long first = 0; first < columns;) {
        long left = (columns - first) / LANES;
        int wide = left >= WIDEST ? WIDEST : (int)left;
        const REAL *b = bias ? bias + first : 0;
        for (long r = 0; r < rows; r += ROWS) {
            const REAL *from = a + r * lda;
            REAL *to = c + r * ldc + first;
            switch (wide) {
            case 1: tile(ROWS, 1, heads, from, lda, depth, w + first, ldw, b, to, ldc); break;
            case 2: tile(ROWS, 2, heads, from, lda, depth, w + first, ldw, b, to, ldc); break;
            case 3: tile(ROWS, 3, heads, from, lda, depth, w + first, ldw, b, to, ldc); break;
            default: tile(ROWS, 4, heads, from, lda, depth, w + first, ldw, b, to, ldc);
            }
        }
        first += (long)wide * LANES;
    }
}

static void plain_product(long rows, long columns, const REAL *a, long lda, long depth, const REAL *w, long ldw,
                          const REAL *bias, REAL *c, long ldc) {
    product(1, rows, columns, a, lda, depth, w, ldw, bias, c, ldc);
}
