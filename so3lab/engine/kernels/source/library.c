/* A trained SO3krates network's work on pairs and atoms, for XLA on CPU.

   XLA's loops over pairs run at a tenth of what the processor can: gathers are not vectorised and every product of
   rows passes through memory. Here a block of pairs or atoms stays in cache from its first number to its last. The
   functions are XLA's foreign functions (c_api.h comes with jaxlib); the modules of so3lab/kernels say what each
   computes. The compiler is told VARIANT, a suffix of their names, HEADS and DEGREES, which are constants in all
   loops, and DOUBLE for float64. */

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "xla/ffi/api/c_api.h"

#define INLINE inline __attribute__((always_inline))
#define EXPORT __attribute__((visibility("default")))
#define BLOCK 48           /* pairs; a multiple of ROWS */
#define SMALLEST_SHARE 192 /* pairs or atoms that are worth a thread */
#define PATIENCE 2000 /* turns of waiting, some tens of µs, before a processor that others want is given to them */
#define WHOLE(number, of) (((number) + (of)-1) / (of) * (of))
#define ROWS 6             /* rows and vectors that a product keeps in registers */
#ifdef __AVX512F__
#define WIDEST 4
#else
#define WIDEST 1
#endif

static const void *in(XLA_FFI_CallFrame *frame, int n) { return ((XLA_FFI_Buffer *)frame->args.args[n])->data; }
static void *out(XLA_FFI_CallFrame *frame, int n) { return ((XLA_FFI_Buffer *)frame->rets.rets[n])->data; }
static long size_of(XLA_FFI_CallFrame *frame, int n, int axis) {
    return ((XLA_FFI_Buffer *)frame->args.args[n])->dims[axis];
}
static long result_size(XLA_FFI_CallFrame *frame, int n, int axis) {
    return ((XLA_FFI_Buffer *)frame->rets.rets[n])->dims[axis];
}

/* XLA asks every function once which version of its interface it was made for. */
static int asks_for_version(XLA_FFI_CallFrame *frame) {
    XLA_FFI_Metadata_Extension *extension = (void *)frame->extension_start;
    if (!extension || extension->extension_base.type != XLA_FFI_Extension_Metadata) return 0;
    XLA_FFI_Metadata *metadata = extension->metadata;
    metadata->api_version.major_version = XLA_FFI_API_MAJOR;
    metadata->api_version.minor_version = XLA_FFI_API_MINOR;
    return 1;
}

static XLA_FFI_Error *out_of_memory(XLA_FFI_CallFrame *frame) {
    XLA_FFI_Error_Create_Args args = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, 0, "no memory for the sums over pairs",
                                      XLA_FFI_Error_Code_RESOURCE_EXHAUSTED};
    return frame->api->XLA_FFI_Error_Create(&args);
}

static void forget(XLA_FFI_CallFrame *frame, XLA_FFI_Error *error) {
    XLA_FFI_Error_Destroy_Args args = {XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, 0, error};
    frame->api->XLA_FFI_Error_Destroy(&args);
}

static long number_of_threads(XLA_FFI_CallFrame *frame) {
    int64_t threads = 1;
    XLA_FFI_ThreadPool_NumThreads_Args args = {XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE, 0, frame->ctx, &threads};
    XLA_FFI_Error *error = frame->api->XLA_FFI_ThreadPool_NumThreads(&args);
    if (error) {
        forget(frame, error);
        return 1;
    }
    return threads;
}

/* Shares of one piece of work, taken by whoever is free. The caller takes them too, so that it never waits for a
   thread that has not begun; the last one out frees the record, since a helper may come when all is done. */
typedef struct {
    void (*work)(void *, long);
    void *data;
    long shares;
    atomic_long next, done, holders;
} Shares;

static void take_shares(Shares *s) {
    for (long share; (share = atomic_fetch_add(&s->next, 1)) < s->shares;) {
        s->work(s->data, share);
        atomic_fetch_add(&s->done, 1);
    }
}

static void leave(Shares *s) {
    if (atomic_fetch_sub(&s->holders, 1) == 1) free(s);
}

static void help(void *data) {
    take_shares(data);
    leave(data);
}

static void share_out(XLA_FFI_CallFrame *frame, void (*work)(void *, long), void *data, long shares) {
    Shares *s = malloc(sizeof(Shares));
    if (!s) {
        for (long share = 0; share < shares; share++) work(data, share);
        return;
    }
    *s = (Shares){.work = work, .data = data, .shares = shares};
    atomic_init(&s->next, 0);
    atomic_init(&s->done, 0);
    atomic_init(&s->holders, shares);
    for (long n = 1; n < shares; n++) {
        XLA_FFI_ThreadPool_Schedule_Args args = {XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE, 0, frame->ctx, help, s};
        XLA_FFI_Error *error = frame->api->XLA_FFI_ThreadPool_Schedule(&args);
        if (error) {
            forget(frame, error);
            leave(s);
        }
    }
    take_shares(s);
    for (long turn = 0; atomic_load(&s->done) < shares; turn++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
        if (turn > PATIENCE) sched_yield();
    }
    leave(s);
}

/* How many threads share so many pairs or atoms. */
static long shares_of(XLA_FFI_CallFrame *frame, long rows) {
    const long shares = rows / SMALLEST_SHARE, threads = shares > 1 ? number_of_threads(frame) : 1;
    return shares > threads ? threads : shares > 1 ? shares : 1;
}

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLED(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
#else
#define SHUFFLED(v, ...) __builtin_shuffle(v, (Whole){__VA_ARGS__})
#endif
#define JOINED(name, variant) name##_##variant
#define NAMED(name, variant) JOINED(name, variant)
#define EXPORTED(name) NAMED(name, VARIANT)
#define ROTATED(v, by) ROTATED_##by(v)

#ifndef DOUBLE
#define REAL float
#define INTEGER int32_t
#define LANES 16
#define ROOT sqrtf
#define EXP expf
#define SIN sinf
#define COS cosf
#define ERF erff
#define SIX_SEVENTHS 913159899
#define SEVENTH_ROOT_STEPS 4
#define EXP_MAGIC 12582912.0f
#define EXP_LIMIT 87.0f
#define EXP_BIAS 127
#define EXP_SHIFT 23
#define EXP_TERMS 7
#define LN2_HIGH 0.693359375
#define LN2_LOW -2.12194440054690583e-4
#define ROTATED_8(v) SHUFFLED(v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define ROTATED_4(v) SHUFFLED(v, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3)
#define ROTATED_2(v) SHUFFLED(v, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1)
#define ROTATED_1(v) SHUFFLED(v, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0)
#else
#define REAL double
#define INTEGER int64_t
#define LANES 8
#define ROOT sqrt
#define EXP exp
#define SIN sin
#define COS cos
#define ERF erf
#define SIX_SEVENTHS 3949013501828586349
#define SEVENTH_ROOT_STEPS 5
#define EXP_MAGIC 6755399441055744.0
#define EXP_LIMIT 708.0
#define EXP_BIAS 1023
#define EXP_SHIFT 52
#define EXP_TERMS 14
#define LN2_HIGH 0.693145751953125
#define LN2_LOW 1.42860682030941723212e-6
#define ROTATED_4(v) SHUFFLED(v, 4, 5, 6, 7, 0, 1, 2, 3)
#define ROTATED_2(v) SHUFFLED(v, 2, 3, 4, 5, 6, 7, 0, 1)
#define ROTATED_1(v) SHUFFLED(v, 1, 2, 3, 4, 5, 6, 7, 0)
#endif

#include "vectors.h"
#include "attention.h"
#include "first_layer.h"
#include "projection.h"
#include "update.h"
#include "geometry.h"
#include "far_pairs.h"
#include "calls.h"
