/* What XLA calls: buffers in, buffers out, pairs shared among threads. */

static long scratch_size(const Layer *s) {
    long forward = 2 * BLOCK * (s->basis + s->hidden);
    long backward = 2 * BLOCK * s->features + BLOCK * WHOLE(s->basis, LANES) + 2 * BLOCK * s->hidden;
    return (forward > backward ? forward : backward) + 2 * s->hidden + s->orders + 4 * LANES;
}

/* Work on a share of atoms. */
typedef struct {
    Projection projection;
    int back;
    long shares;
    REAL *scratch;
} AtomWork;

static long rows_size(const Projection *s) { return BLOCK * 7 * s->features + 2 * LANES; }

static void do_atoms(void *data, long share) {
    const AtomWork *work = data;
    const Projection *s = &work->projection;
    const long blocks = (s->atoms + BLOCK - 1) / BLOCK, begin = blocks * share / work->shares * BLOCK;
    long end = blocks * (share + 1) / work->shares * BLOCK;
    if (end > s->atoms) end = s->atoms;
    REAL *scratch = work->scratch + share * rows_size(s);
    if (s->heads == 4 && s->degrees == 4) {
        if (work->back) project_rows_back(s, 4, 4, begin, end, scratch);
        else project_rows(s, 4, 4, begin, end, scratch);
    } else if (work->back) project_rows_back(s, s->heads, s->degrees, begin, end, scratch);
    else project_rows(s, s->heads, s->degrees, begin, end, scratch);
}

static XLA_FFI_Error *project(XLA_FFI_CallFrame *frame, int back) {
    if (asks_for_version(frame)) return 0;
    const int *heads = in(frame, 0);
    AtomWork work = {.back = back};
    Projection *s = &work.projection;
    s->from = in(frame, 1), s->features_map = in(frame, 2), s->euclidean_map = in(frame, 3), s->to = out(frame, 0);
    s->atoms = size_of(frame, 1, 0), s->features = size_of(frame, 1, 1) / (back ? 5 : 1);
    s->heads = heads[0], s->degrees = size_of(frame, 0, 0) - 1;
    work.shares = shares_of(frame, s->atoms);
    work.scratch = malloc(work.shares * rows_size(s) * sizeof(REAL));
    if (!work.scratch) return out_of_memory(frame);
    if (work.shares == 1) do_atoms(&work, 0);
    else share_out(frame, do_atoms, &work, work.shares);
    free(work.scratch);
    return 0;
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_project)(XLA_FFI_CallFrame *frame) { return project(frame, 0); }
EXPORT XLA_FFI_Error *EXPORTED(so3lab_project_back)(XLA_FFI_CallFrame *frame) { return project(frame, 1); }

/* Work on a share of the pairs, with sums and scratch of its own: share 0 adds to the results themselves. */
typedef struct {
    const FirstLayer *layer;
    int kind; /* 0 attend, 1 attend back, 2 first layer, 3 first layer back */
    long shares;
    REAL *results[2], *others;
    long sizes[2];
} Work;

static void do_share(void *data, long share) {
    const Work *work = data;
    const FirstLayer *t = work->layer;
    const Layer *s = &t->layer;
    const long blocks = (s->pairs + BLOCK - 1) / BLOCK, size = work->sizes[0] + work->sizes[1];
    const long begin = blocks * share / work->shares * BLOCK;
    long end = blocks * (share + 1) / work->shares * BLOCK;
    if (end > s->pairs) end = s->pairs;
    REAL *first = work->results[0], *second = work->results[1], *scratch = work->others + share * scratch_size(s);
    if (share > 0) {
        first = work->others + work->shares * scratch_size(s) + (share - 1) * size;
        second = first + work->sizes[0];
    }
    if (work->kind != 3) {
        memset(first, 0, work->sizes[0] * sizeof(REAL));
        memset(second, 0, work->sizes[1] * sizeof(REAL));
    }
#define CALL(function, ...)                                                            \
    if (s->heads == 4 && s->degrees == 4) function(__VA_ARGS__, 4, 4, begin, end ARGS); \
    else function(__VA_ARGS__, s->heads, s->degrees, begin, end ARGS)
#define ARGS , first, second, scratch
    if (work->kind == 0) { CALL(attend_pairs, s); }
    if (work->kind == 1) { CALL(attend_pairs_back, s); }
    if (work->kind == 2) { CALL(first_pairs, t); }
#undef ARGS
#define ARGS
    if (work->kind == 3) { CALL(first_pairs_back, t); }
#undef ARGS
#undef CALL
}

/* All pairs, on as many threads as there are; returns 0 when memory is short. */
static int do_pairs(XLA_FFI_CallFrame *frame, const FirstLayer *t, int kind, REAL *first, long first_size,
                          REAL *second, long second_size) {
    const Layer *s = &t->layer;
    const long shares = shares_of(frame, s->pairs);
    Work work = {t, kind, shares, {first, second}, 0, {first_size, second_size}};
    const long size = first_size + second_size;
    work.others = malloc((shares * scratch_size(s) + (shares - 1) * size) * sizeof(REAL));
    if (!work.others) return 0;
    if (shares == 1) do_share(&work, 0);
    else share_out(frame, do_share, &work, shares);
    if (kind != 3)
        for (long share = 1; share < shares; share++) {
            const REAL *other = work.others + shares * scratch_size(s) + (share - 1) * size;
            for (long n = 0; n < first_size; n++) first[n] += other[n];
            for (long n = 0; n < second_size; n++) second[n] += other[first_size + n];
        }
    free(work.others);
    return 1;
}

static void read_layer(XLA_FFI_CallFrame *frame, Layer *s) {
    s->i = in(frame, 0), s->j = in(frame, 1);
    s->scale = in(frame, 2), s->harmonics = in(frame, 3);
    s->pairs = size_of(frame, 2, 0), s->orders = size_of(frame, 3, 1);
    const int *heads = in(frame, 4); /* heads of the features, then 2l + 1 of each degree */
    s->heads = heads[0], s->orders_of = heads + 1, s->degrees = size_of(frame, 4, 0) - 1;
    s->qkv = in(frame, 5), s->atoms = size_of(frame, 5, 0);
}

static void read_attention(XLA_FFI_CallFrame *frame, Layer *s) {
    read_layer(frame, s);
    s->features = size_of(frame, 5, 1) / 5;
    s->chi = in(frame, 6);
    s->first = in(frame, 7), s->first_bias = in(frame, 8), s->hidden = size_of(frame, 8, 0) / 2;
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_attend)(XLA_FFI_CallFrame *frame) {
    if (asks_for_version(frame)) return 0;
    FirstLayer t = {0};
    Layer *s = &t.layer;
    read_attention(frame, s);
    s->radial = in(frame, 9), s->basis = size_of(frame, 9, 1);
    s->forward = in(frame, 10), s->bias = in(frame, 11);
    s->filters = out(frame, 2), s->raw = out(frame, 3);
    return do_pairs(frame, &t, 0, out(frame, 0), s->atoms * s->features, out(frame, 1), s->atoms * s->orders)
               ? 0 : out_of_memory(frame);
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_attend_back)(XLA_FFI_CallFrame *frame) {
    if (asks_for_version(frame)) return 0;
    FirstLayer t = {0};
    Layer *s = &t.layer;
    read_attention(frame, s);
    s->radial_back = in(frame, 9), s->hidden_back = in(frame, 10);
    s->filters = (REAL *)in(frame, 11), s->raw = (REAL *)in(frame, 12);
    s->grad_x = in(frame, 13), s->grad_chi = in(frame, 14);
    s->grad_radial = out(frame, 2), s->grad_scale = out(frame, 3), s->grad_harmonics = out(frame, 4);
    s->basis = result_size(frame, 2, 1);
    return do_pairs(frame, &t, 1, out(frame, 0), s->atoms * 5 * s->features, out(frame, 1), s->atoms * s->orders)
               ? 0 : out_of_memory(frame);
}

static void read_first(XLA_FFI_CallFrame *frame, FirstLayer *t) {
    read_layer(frame, &t->layer);
    t->layer.features = size_of(frame, 5, 1);
    t->species = in(frame, 6);
    t->number = size_of(frame, 7, 0);
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_first)(XLA_FFI_CallFrame *frame) {
    if (asks_for_version(frame)) return 0;
    FirstLayer t = {0};
    Layer *s = &t.layer;
    read_first(frame, &t);
    t.table = in(frame, 7);
    s->radial = in(frame, 8), s->basis = size_of(frame, 8, 1);
    s->raw = out(frame, 2);
    return do_pairs(frame, &t, 2, out(frame, 0), s->atoms * s->features, out(frame, 1), s->atoms * s->orders)
               ? 0 : out_of_memory(frame);
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_first_back)(XLA_FFI_CallFrame *frame) {
    if (asks_for_version(frame)) return 0;
    FirstLayer t = {0};
    Layer *s = &t.layer;
    read_first(frame, &t);
    t.backward = in(frame, 7);
    s->raw = (REAL *)in(frame, 8), s->grad_x = in(frame, 9), s->grad_chi = in(frame, 10);
    s->grad_radial = out(frame, 0), s->grad_scale = out(frame, 1), s->grad_harmonics = out(frame, 2);
    s->basis = result_size(frame, 0, 1);
    return do_pairs(frame, &t, 3, 0, 0, 0, 0) ? 0 : out_of_memory(frame);
}

/* Work on a share of the far pairs. */
typedef struct {
    const Far *far;
    int back;
    long shares, sizes[2];
    REAL *results[2], *others;
} FarWork;

static void do_far(void *data, long share) {
    const FarWork *work = data;
    const long begin = work->far->pairs * share / work->shares, end = work->far->pairs * (share + 1) / work->shares;
    REAL *first = work->results[0], *second = work->results[1];
    if (share > 0) {
        first = work->others + (share - 1) * (work->sizes[0] + work->sizes[1]);
        second = first + work->sizes[0];
    }
    memset(first, 0, work->sizes[0] * sizeof(REAL));
    memset(second, 0, work->sizes[1] * sizeof(REAL));
    if (work->back) far_back(work->far, begin, end, first, second);
    else far_energies(work->far, begin, end, first, second);
}

static XLA_FFI_Error *far(XLA_FFI_CallFrame *frame, int back) {
    if (asks_for_version(frame)) return 0;
    Far s = {0};
    s.i = in(frame, 0), s.j = in(frame, 1), s.mask = in(frame, 2), s.pairs = size_of(frame, 0, 0);
    s.images = size_of(frame, 3, 0) ? in(frame, 3) : 0;
    s.structure = in(frame, 4), s.kind = in(frame, 5), s.structures = size_of(frame, 5, 0);
    s.positions = in(frame, 6), s.cells = in(frame, 7), s.atoms = size_of(frame, 6, 0);
    s.strain = size_of(frame, 8, 0) ? in(frame, 8) : 0;
    s.polarizability = in(frame, 9), s.ratio = in(frame, 10), s.charges = in(frame, 11);
    const REAL *numbers = in(frame, 12);
    s.bohr = numbers[0], s.hartree = numbers[1], s.coulomb = numbers[2], s.scale = numbers[3];
    s.cutoff = numbers[4], s.window = numbers[5], s.screening = numbers[6];
    FarWork work = {&s, back, shares_of(frame, s.pairs), {s.atoms, s.atoms}, {out(frame, 0), out(frame, 1)}, 0};
    if (back) {
        s.kept = (REAL *)in(frame, 13), s.grad_dispersion = in(frame, 14), s.grad_coulomb = in(frame, 15);
        work.sizes[0] = 3 * s.atoms, work.sizes[1] = 2 * s.atoms + 9 * s.structures;
    } else s.kept = out(frame, 2);
    const long size = work.sizes[0] + work.sizes[1];
    work.others = malloc(work.shares * size * sizeof(REAL));
    if (!work.others) return out_of_memory(frame);
    if (work.shares == 1) do_far(&work, 0);
    else share_out(frame, do_far, &work, work.shares);
    for (long share = 1; share < work.shares; share++) {
        const REAL *other = work.others + (share - 1) * size;
        for (long n = 0; n < work.sizes[0]; n++) work.results[0][n] += other[n];
        for (long n = 0; n < work.sizes[1]; n++) work.results[1][n] += other[work.sizes[0] + n];
    }
    free(work.others);
    return 0;
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_far)(XLA_FFI_CallFrame *frame) { return far(frame, 0); }
EXPORT XLA_FFI_Error *EXPORTED(so3lab_far_back)(XLA_FFI_CallFrame *frame) { return far(frame, 1); }
