/* What XLA calls: buffers in, buffers out, rows shared among threads. */

/* Work on rows (pairs or atoms) that adds to up to two arrays of sums and has scratch memory of its own. */
typedef struct {
    void (*run)(const void *what, long begin, long end, REAL *first, REAL *second, REAL *scratch);
    const void *what;
    long rows, scratch_size, sizes[2], shares;
    REAL *results[2], *memory;
} Work;

static REAL *sums_of(const Work *work, long share) {
    return work->memory + work->shares * work->scratch_size + (share - 1) * (work->sizes[0] + work->sizes[1]);
}

/* One share: whole blocks of rows. The first adds to the results themselves, the others to sums of their own. */
static void do_share(void *data, long share) {
    const Work *work = data;
    const long blocks = (work->rows + BLOCK - 1) / BLOCK, begin = blocks * share / work->shares * BLOCK;
    const long stop = blocks * (share + 1) / work->shares * BLOCK, end = stop < work->rows ? stop : work->rows;
    REAL *first = work->results[0], *second = work->results[1];
    if (share > 0) {
        first = sums_of(work, share);
        second = first + work->sizes[0];
    }
    if (work->sizes[0]) memset(first, 0, work->sizes[0] * sizeof(REAL));
    if (work->sizes[1]) memset(second, 0, work->sizes[1] * sizeof(REAL));
    work->run(work->what, begin, end, first, second, work->memory + share * work->scratch_size);
}

/* All rows, on as many threads as there are. */
static XLA_FFI_Error *do_rows(XLA_FFI_CallFrame *frame, Work work) {
    work.shares = shares_of(frame, work.rows);
    work.scratch_size += 4 * LANES; /* vectors may be read a little further than what is used */
    const long size = work.sizes[0] + work.sizes[1];
    work.memory = malloc((work.shares * work.scratch_size + (work.shares - 1) * size) * sizeof(REAL));
    if (!work.memory) return out_of_memory(frame);
    if (work.shares == 1) do_share(&work, 0);
    else share_out(frame, do_share, &work, work.shares);
    for (long share = 1; share < work.shares; share++) {
        const REAL *other = sums_of(&work, share);
        for (long n = 0; n < work.sizes[0]; n++) work.results[0][n] += other[n];
        for (long n = 0; n < work.sizes[1]; n++) work.results[1][n] += other[work.sizes[0] + n];
    }
    free(work.memory);
    return 0;
}

static void run_attend(const void *what, long begin, long end, REAL *dx, REAL *dchi, REAL *scratch) {
    attend_pairs(what, begin, end, dx, dchi, scratch);
}

static void run_attend_back(const void *what, long begin, long end, REAL *qkv, REAL *chi, REAL *scratch) {
    attend_pairs_back(what, begin, end, qkv, chi, scratch);
}

static void run_first(const void *what, long begin, long end, REAL *dx, REAL *dchi, REAL *scratch) {
    (void)scratch;
    first_pairs(what, begin, end, dx, dchi);
}

static void run_first_back(const void *what, long begin, long end, REAL *first, REAL *second, REAL *scratch) {
    (void)first, (void)second, (void)scratch;
    first_pairs_back(what, begin, end);
}

static void run_project(const void *what, long begin, long end, REAL *first, REAL *second, REAL *scratch) {
    (void)first, (void)second;
    project_rows(what, begin, end, scratch);
}

static void run_project_back(const void *what, long begin, long end, REAL *first, REAL *second, REAL *scratch) {
    (void)first, (void)second;
    project_rows_back(what, begin, end, scratch);
}

static void run_update(const void *what, long begin, long end, REAL *first, REAL *second, REAL *scratch) {
    (void)first, (void)second;
    update_atoms(what, begin, end, scratch);
}

static void run_update_back(const void *what, long begin, long end, REAL *first, REAL *second, REAL *scratch) {
    (void)first, (void)second;
    update_atoms_back(what, begin, end, scratch);
}

static void run_geometry(const void *what, long begin, long end, REAL *first, REAL *second, REAL *scratch) {
    (void)first, (void)second;
    geometry_pairs(what, begin, end, scratch);
}

static void run_geometry_back(const void *what, long begin, long end, REAL *positions, REAL *strain, REAL *scratch) {
    geometry_back(what, begin, end, positions, strain, scratch);
}

static void run_far(const void *what, long begin, long end, REAL *dispersion, REAL *coulomb, REAL *scratch) {
    (void)scratch;
    far_energies(what, begin, end, dispersion, coulomb);
}

static void run_far_back(const void *what, long begin, long end, REAL *positions, REAL *others, REAL *scratch) {
    (void)scratch;
    far_back(what, begin, end, positions, others);
}

/* The first inputs of attention, and its heads: those of the features, then 2l + 1 for each degree. */
static void read_layer(XLA_FFI_CallFrame *frame, Layer *s) {
    s->i = in(frame, 0), s->j = in(frame, 1);
    s->scale = in(frame, 2), s->harmonics = in(frame, 3);
    s->pairs = size_of(frame, 2, 0), s->orders = size_of(frame, 3, 1);
    const int *heads = in(frame, 4);
    s->orders_of = heads + 1;
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
    Layer s = {0};
    read_attention(frame, &s);
    s.radial = in(frame, 9), s.basis = size_of(frame, 9, 1);
    s.forward = in(frame, 10), s.bias = in(frame, 11);
    s.filters = out(frame, 2), s.raw = out(frame, 3);
    return do_rows(frame, (Work){.run = run_attend, .what = &s, .rows = s.pairs,
                                 .scratch_size = 2 * BLOCK * (s.basis + s.hidden) + 2 * s.hidden + s.orders,
                                 .sizes = {s.atoms * s.features, s.atoms * s.orders},
                                 .results = {out(frame, 0), out(frame, 1)}});
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_attend_back)(XLA_FFI_CallFrame *frame) {
    if (asks_for_version(frame)) return 0;
    Layer s = {0};
    read_attention(frame, &s);
    s.radial_back = in(frame, 9), s.hidden_back = in(frame, 10);
    s.filters = (REAL *)in(frame, 11), s.raw = (REAL *)in(frame, 12);
    s.grad_x = in(frame, 13), s.grad_chi = in(frame, 14);
    s.grad_radial = out(frame, 2), s.grad_scale = out(frame, 3), s.grad_harmonics = out(frame, 4);
    s.basis = result_size(frame, 2, 1);
    const long scratch = BLOCK * (2 * s.features + WHOLE(s.basis, LANES) + 2 * s.hidden) + 2 * s.hidden + s.orders;
    return do_rows(frame, (Work){.run = run_attend_back, .what = &s, .rows = s.pairs, .scratch_size = scratch,
                                 .sizes = {s.atoms * 5 * s.features, s.atoms * s.orders},
                                 .results = {out(frame, 0), out(frame, 1)}});
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
    return do_rows(frame, (Work){.run = run_first, .what = &t, .rows = s->pairs,
                                 .sizes = {s->atoms * s->features, s->atoms * s->orders},
                                 .results = {out(frame, 0), out(frame, 1)}});
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
    return do_rows(frame, (Work){.run = run_first_back, .what = &t, .rows = s->pairs});
}

static XLA_FFI_Error *project(XLA_FFI_CallFrame *frame, int back) {
    if (asks_for_version(frame)) return 0;
    Projection s = {0};
    s.from = in(frame, 0), s.features_map = in(frame, 1), s.euclidean_map = in(frame, 2), s.to = out(frame, 0);
    s.atoms = size_of(frame, 0, 0), s.features = size_of(frame, 0, 1) / (back ? 5 : 1);
    return do_rows(frame, (Work){.run = back ? run_project_back : run_project, .what = &s, .rows = s.atoms,
                                 .scratch_size = BLOCK * 7 * s.features});
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_project)(XLA_FFI_CallFrame *frame) { return project(frame, 0); }
EXPORT XLA_FFI_Error *EXPORTED(so3lab_project_back)(XLA_FFI_CallFrame *frame) { return project(frame, 1); }

static Norm read_norm(XLA_FFI_CallFrame *frame, int n) {
    const REAL *rows = in(frame, n);
    return (Norm){rows, rows + size_of(frame, n, 1), size_of(frame, n, 0) > 0};
}

static Network read_network(XLA_FFI_CallFrame *frame, int n) {
    return (Network){in(frame, n), in(frame, n + 1), in(frame, n + 2), in(frame, n + 3), in(frame, n + 4),
                     in(frame, n + 5), size_of(frame, n, 0) > 0};
}

static XLA_FFI_Error *update(XLA_FFI_CallFrame *frame, int back) {
    if (asks_for_version(frame)) return 0;
    Update s = {0};
    const int *heads = in(frame, 0);
    s.orders_of = heads + 1;
    s.first_norm = read_norm(frame, 1), s.first_network = read_network(frame, 2);
    s.exchange = in(frame, 8), s.exchange_bias = in(frame, 9), s.exchange_back = in(frame, 10);
    s.last_network = read_network(frame, 11), s.last_norm = read_norm(frame, 17);
    if (back) {
        s.kept = (REAL *)in(frame, 18), s.grad_new_x = in(frame, 19), s.grad_new_chi = in(frame, 20);
        s.atoms = size_of(frame, 19, 0), s.features = size_of(frame, 19, 1), s.orders = size_of(frame, 20, 1);
        s.grad_x = out(frame, 0), s.grad_dx = out(frame, 1), s.grad_chi = out(frame, 2);
    } else {
        s.x = in(frame, 18), s.dx = in(frame, 19), s.chi = in(frame, 20), s.dchi = in(frame, 21);
        s.atoms = size_of(frame, 18, 0), s.features = size_of(frame, 18, 1), s.orders = size_of(frame, 20, 1);
        s.new_x = out(frame, 0), s.new_chi = out(frame, 1), s.kept = out(frame, 2);
    }
    const long room = WHOLE(s.features + DEGREES, LANES);
    return do_rows(frame, (Work){.run = back ? run_update_back : run_update, .what = &s, .rows = s.atoms,
                                 .scratch_size = BLOCK * (4 * s.features + 2 * room)});
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_update)(XLA_FFI_CallFrame *frame) { return update(frame, 0); }
EXPORT XLA_FFI_Error *EXPORTED(so3lab_update_back)(XLA_FFI_CallFrame *frame) { return update(frame, 1); }

/* Eight inputs from the first on. */
static Places read_places(XLA_FFI_CallFrame *frame) {
    return (Places){.i = in(frame, 0), .j = in(frame, 1), .mask = in(frame, 2),
                    .images = size_of(frame, 3, 0) ? in(frame, 3) : 0, .structure = in(frame, 4),
                    .positions = in(frame, 5), .cells = in(frame, 6), .strain = size_of(frame, 7, 0) ? in(frame, 7) : 0};
}

static XLA_FFI_Error *geometry(XLA_FFI_CallFrame *frame, int back) {
    if (asks_for_version(frame)) return 0;
    Geometry s = {.places = read_places(frame), .pairs = size_of(frame, 0, 0)};
    const int *told = in(frame, 8); /* kind of cutoff, then degrees */
    const REAL *numbers = in(frame, 9);
    s.kind = told[0], s.degree = told + 1;
    s.cutoff = numbers[0], s.decay = numbers[1], s.shortest = numbers[2];
    s.mixing = in(frame, 10), s.room = size_of(frame, 10, 1);
    while (s.side * s.side < size_of(frame, 10, 0)) s.side++;
    for (long d = 0; d < DEGREES; d++) s.orders += 2 * s.degree[d] + 1;
    Work work = {.run = back ? run_geometry_back : run_geometry, .what = &s, .rows = s.pairs,
                 .scratch_size = BLOCK * (s.side * s.side + s.room)};
    if (back) {
        s.grad_distances = in(frame, 11), s.grad_weights = in(frame, 12), s.grad_harmonics = in(frame, 13);
        s.grad_radial = in(frame, 14), s.basis = size_of(frame, 14, 1);
        work.results[0] = out(frame, 0), work.results[1] = out(frame, 1);
        work.sizes[0] = result_size(frame, 0, 0) * 3, work.sizes[1] = result_size(frame, 1, 0);
    } else {
        s.distances = out(frame, 0), s.weights = out(frame, 1), s.harmonics = out(frame, 2), s.radial = out(frame, 3);
        s.basis = result_size(frame, 3, 1);
    }
    return do_rows(frame, work);
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_geometry)(XLA_FFI_CallFrame *frame) { return geometry(frame, 0); }
EXPORT XLA_FFI_Error *EXPORTED(so3lab_geometry_back)(XLA_FFI_CallFrame *frame) { return geometry(frame, 1); }

static XLA_FFI_Error *far(XLA_FFI_CallFrame *frame, int back) {
    if (asks_for_version(frame)) return 0;
    Far s = {.places = read_places(frame), .pairs = size_of(frame, 0, 0), .atoms = size_of(frame, 5, 0)};
    s.kind = in(frame, 8), s.structures = size_of(frame, 8, 0);
    s.polarizability = in(frame, 9), s.ratio = in(frame, 10), s.charges = in(frame, 11);
    const REAL *numbers = in(frame, 12);
    s.bohr = numbers[0], s.hartree = numbers[1], s.coulomb = numbers[2], s.scale = numbers[3];
    s.cutoff = numbers[4], s.window = numbers[5], s.screening = numbers[6];
    s.coulomb_end = numbers[7], s.coulomb_end_slope = numbers[8], s.blend_start = numbers[9];
    Work work = {.run = back ? run_far_back : run_far, .what = &s, .rows = s.pairs, .sizes = {s.atoms, s.atoms},
                 .results = {out(frame, 0), out(frame, 1)}};
    if (back) {
        s.kept = (REAL *)in(frame, 13), s.grad_dispersion = in(frame, 14), s.grad_coulomb = in(frame, 15);
        work.sizes[0] = 3 * s.atoms, work.sizes[1] = 2 * s.atoms + 9 * s.structures;
    } else s.kept = out(frame, 2);
    return do_rows(frame, work);
}

EXPORT XLA_FFI_Error *EXPORTED(so3lab_far)(XLA_FFI_CallFrame *frame) { return far(frame, 0); }
EXPORT XLA_FFI_Error *EXPORTED(so3lab_far_back)(XLA_FFI_CallFrame *frame) { return far(frame, 1); }
