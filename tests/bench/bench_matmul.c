/* SPDX-License-Identifier: Apache-2.0 */
/* Times matrix plans against what the machine can do: decode against streaming reads, prefill against register-only multiply-adds.
 * Limits and kernels take turns; every figure is a median over rounds, every ratio the median of ratios within a round.
 *   bench_matmul [decode|kinds|batch|prefill|small|onednn] [--threads N] [--rounds N] [--level c|avx2|avx512|amx] [--best]
 * Weights come from a buffer far larger than caches, another part of it each time. One thread is timed by its own clock, which
 * stands still while the system gives the core to others; several by the wall clock. --best: the fastest of all short runs on
 * both sides instead of medians, for machines that are not idle. Asserts nothing. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "config.h"
#include "muse/muse.h"
#include "ops/peak.h"
#include "ops/matmul_plan.h"
#include "ops/runtime.h"
#if MUSE_HAVE_ONEDNN
#include "onednn_matmul.h"
#endif

enum { POOL = 512 << 20, PASS = 96 << 20, ROUNDS_MAX = 200 };

static uint8_t *pool;
static MuseRuntime *rt;
static size_t pool_at;      /* where the next pass reads: no two in a row the same bytes */
static int rounds = 15;
static bool best;

static double now(void)
{
    struct timespec t;
    clock_gettime(rt->team.threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* of n figures; best: the largest (sign 1) or smallest (sign -1) */
static double middle(const double *v, int n, int sign)
{
    double s[ROUNDS_MAX];
    memcpy(s, v, (size_t)n * sizeof *s);
    qsort(s, (size_t)n, sizeof *s, compare);
    return !best ? s[n / 2] : sign > 0 ? s[n - 1] : s[0];
}

/* ---- limits ---- */

static volatile uint64_t sink;
static MusePeakOps peak_ops;

static void read_range(void *user, size_t begin, size_t end)
{
    (void)user;
    sink = peak_ops.read(pool + pool_at + begin, end - begin);
}

static size_t next_part(size_t bytes)
{
    if (pool_at + 2 * bytes > POOL) pool_at = 0;
    else pool_at += bytes;
    return pool_at;
}

static double read_bandwidth(void)   /* GB/s */
{
    const size_t part = best ? PASS / 8 : PASS;
    double fastest = 0;
    for (size_t done = 0; done < PASS; done += part) {
        next_part(part);
        const double t = now();
        muse_parallel_for(&rt->team, part, 1 << 20, read_range, NULL);
        const double speed = (double)part / (now() - t) * 1e-9;
        if (speed > fastest) fastest = speed;
    }
    return fastest;
}

enum { PEAK_ROUNDS = 400000 };

static void peak_range(void *user, size_t begin, size_t end) { ((const MusePeak *)user)->fn(PEAK_ROUNDS * (uint64_t)(end - begin)); }

static double peak(MuseMatmulForm form)   /* Gop/s, 0 if the instruction is missing */
{
    MusePeak *const peaks[] = { &peak_ops.fma_f32, &peak_ops.dot_bf16, &peak_ops.dot_int8 };
    if (!peaks[form]->fn) return 0;
    const double t = now();
    muse_parallel_for(&rt->team, rt->team.threads, 1, peak_range, peaks[form]);
    return (double)PEAK_ROUNDS * rt->team.threads * peaks[form]->ops / (now() - t) * 1e-9;
}

/* ---- plans ---- */

typedef struct Bench {
    const char *name;
    unsigned type;
    MuseCompute compute;
    size_t m, k, n;
    float *x, *y;
    void *workspace;
    double seconds[ROUNDS_MAX], ratio[ROUNDS_MAX];
    double bytes, ops;      /* of one run */
    MuseMatmulForm form;
} Bench;

static MuseMatmulPlan open_plan(const Bench *b)
{
    MuseMatmulPlan plan;
    MuseError err;
    const MuseWeight w = { b->type, b->m, b->k, pool + next_part((size_t)b->bytes), (size_t)b->bytes };
    if (muse_matmul_plan_open(&plan, rt, &w, b->compute, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return plan;
}

static void prepare(Bench *b, size_t n)
{
    size_t row = 0, size = 0;
    muse_weight_row_bytes(b->type, b->k, &row);
    b->n = n;
    b->bytes = (double)row * (double)b->m;
    b->ops = 2.0 * (double)b->m * (double)b->k * (double)n;
    const MuseMatmulPlan plan = open_plan(b);
    muse_matmul_workspace(&plan, n, &size);
    b->form = (MuseMatmulForm)(plan.tile && n >= plan.tile_from ? plan.tile_form : plan.rows_form);
    b->workspace = muse_zalloc(NULL, size);
    b->x = muse_zalloc_array(NULL, n * b->k, sizeof *b->x);
    b->y = muse_zalloc_array(NULL, n * b->m, sizeof *b->y);
    for (size_t i = 0; i < n * b->k; i++) b->x[i] = (float)((i * 7919) % 1000) * 0.002f - 1;
}

static double seconds(Bench *b)   /* of one run, out of enough of them to pass over PASS bytes or a good number of operations */
{
    int count = (int)(PASS / b->bytes);
    if (b->n > 16) count = (int)(1e9 * rt->team.threads / b->ops);
    if (count < 1) count = 1;
    double sum = 0, least = 1e9;
    for (int i = 0; i < count; i++) {
        const MuseMatmulPlan plan = open_plan(b);
        const MuseMatmulJob job = { &plan, b->y, 0, NULL };
        const double t = now();
        muse_matmul_run(&job, 1, b->x, b->n, b->workspace);
        const double took = now() - t;
        sum += took;
        if (took < least) least = took;
    }
    return best ? least : sum / count;
}

static const struct { size_t m, k; } shapes[] = { { 2048, 2048 }, { 8192, 2048 }, { 2048, 8192 }, { 128256, 2048 } };
static const struct { const char *name; unsigned type; MuseCompute compute; } kinds[] = {
    { "BF16 bf16", MUSE_WEIGHT_BF16, MUSE_COMPUTE_BF16 }, { "Q8_0 int8", MUSE_WEIGHT_Q8_0, MUSE_COMPUTE_INT8 },
    { "Q4_0 int8", MUSE_WEIGHT_Q4_0, MUSE_COMPUTE_INT8 }, { "F32 f32", MUSE_WEIGHT_F32, MUSE_COMPUTE_F32 },
    { "F16 f32", MUSE_WEIGHT_F16, MUSE_COMPUTE_F32 }, { "BF16 f32", MUSE_WEIGHT_BF16, MUSE_COMPUTE_F32 },
    { "Q4_K int8", MUSE_WEIGHT_Q4_K, MUSE_COMPUTE_INT8 }, { "Q5_K int8", MUSE_WEIGHT_Q5_K, MUSE_COMPUTE_INT8 },
    { "Q6_K int8", MUSE_WEIGHT_Q6_K, MUSE_COMPUTE_INT8 }, { "Q8_0 bf16", MUSE_WEIGHT_Q8_0, MUSE_COMPUTE_BF16 },
    { "Q4_K bf16", MUSE_WEIGHT_Q4_K, MUSE_COMPUTE_BF16 },
};

/* decode: bytes of weights a second against streaming reads; prefill: operations against the peak of the form's instruction */
static void run(size_t n, size_t n_shapes, size_t n_kinds)
{
    static Bench b[64];
    size_t count = 0;
    for (size_t s = 0; s < n_shapes; s++)
        for (size_t c = 0; c < n_kinds; c++, count++) {
            b[count] = (Bench){ .name = kinds[c].name, .type = kinds[c].type, .compute = kinds[c].compute, .m = shapes[s].m, .k = shapes[s].k };
            prepare(&b[count], n);
        }
    double limit[3][ROUNDS_MAX], read[ROUNDS_MAX];
    for (int r = -1; r < rounds; r++)   /* the first round warms up */
        for (size_t i = 0; i < count; i++) {
            const double before = n > 16 ? peak(b[i].form) : read_bandwidth();
            const double t = seconds(&b[i]);
            if (r < 0) continue;
            b[i].seconds[r] = t;
            b[i].ratio[r] = (n > 16 ? b[i].ops : b[i].bytes) / t * 1e-9 / before;
            if (n > 16) limit[b[i].form][r] = before;
            else read[r] = before;
        }
    if (n <= 16) printf("threads %u, read bandwidth %.1f GB/s\n", rt->team.threads, middle(read, rounds, 1));
    for (size_t i = 0; i < count; i++) {
        const double t = middle(b[i].seconds, rounds, -1);
        printf("threads %u  %-10s %6zu x %-5zu n=%-4zu %9.1f us %7.1f GB/s %8.1f Gop/s", rt->team.threads, b[i].name, b[i].m, b[i].k, n, t * 1e6,
               b[i].bytes / t * 1e-9, b[i].ops / t * 1e-9);
        const double top = n > 16 ? middle(limit[b[i].form], rounds, 1) : middle(read, rounds, 1);
        const double share = best ? (n > 16 ? b[i].ops : b[i].bytes) / t * 1e-9 / top : middle(b[i].ratio, rounds, 0);
        printf("   %5.1f %% of %s %.1f\n", 100 * share, n > 16 ? "peak" : "read", top);
        muse_free(b[i].workspace);
        muse_free(b[i].x);
        muse_free(b[i].y);
    }
}

#if MUSE_HAVE_ONEDNN
/* own plan, oneDNN on the weights in place, oneDNN on its own copy, in turn */
static void run_onednn(size_t n)
{
    for (size_t s = 0; s < 3; s++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            Bench b = { .name = bf16 ? "BF16 bf16" : "F32 f32", .type = bf16 ? MUSE_WEIGHT_BF16 : MUSE_WEIGHT_F32,
                        .compute = bf16 ? MUSE_COMPUTE_BF16 : MUSE_COMPUTE_F32, .m = shapes[s].m, .k = shapes[s].k };
            prepare(&b, n);
            OnednnMatmul *plain = onednn_matmul_open(bf16, b.m, b.k, n, pool, false), *packed = onednn_matmul_open(bf16, b.m, b.k, n, pool, true);
            double own[ROUNDS_MAX], in_place[ROUNDS_MAX], copied[ROUNDS_MAX], ratio[2][ROUNDS_MAX];
            for (int r = -1; r < rounds && plain && packed; r++) {
                const double t0 = seconds(&b), t1 = now();
                onednn_matmul_run(plain, b.y, b.x);   /* bf16: the floats' bits serve as well */
                const double t2 = now();
                onednn_matmul_run(packed, b.y, b.x);
                const double t3 = now();
                if (r < 0) continue;
                own[r] = t0, in_place[r] = t2 - t1, copied[r] = t3 - t2;
                ratio[0][r] = in_place[r] / t0, ratio[1][r] = copied[r] / t0;
            }
            if (plain && packed)
                printf("threads %u  %-10s %6zu x %-5zu n=%-4zu own %8.1f Gop/s, oneDNN in place %8.1f (own is %.2f x), packed %8.1f (%.2f x)\n", rt->team.threads,
                       b.name, b.m, b.k, n, b.ops / middle(own, rounds, -1) * 1e-9, b.ops / middle(in_place, rounds, -1) * 1e-9, middle(ratio[0], rounds, 0),
                       b.ops / middle(copied, rounds, -1) * 1e-9, middle(ratio[1], rounds, 0));
            else printf("oneDNN has no %s product here\n", b.name);
            onednn_matmul_close(plain);
            onednn_matmul_close(packed);
            muse_free(b.workspace);
            muse_free(b.x);
            muse_free(b.y);
        }
}
#endif

int main(int argc, char **argv)
{
    const char *what = "all";
    MuseRuntimeParams p;
    muse_runtime_params_init(&p);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--threads") && i + 1 < argc) p.threads = (uint32_t)atoi(argv[++i]);
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc) rounds = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--level") && i + 1 < argc) {
            for (p.cpu_level = MUSE_CPU_AMX; p.cpu_level && strcmp(argv[i + 1], muse_cpu_level_name(p.cpu_level)); p.cpu_level--) {}
            i++;
        } else if (!strcmp(argv[i], "--best")) best = true;
        else what = argv[i];
    }
    if (rounds < 1 || rounds > ROUNDS_MAX) rounds = 15;
    if (muse_runtime_open(&rt, &p, NULL) < 0 || !(pool = muse_alloc(NULL, POOL))) return 1;
    muse_peak_ops_init(&peak_ops, muse_cpu_detect());
    for (size_t i = 0; i < POOL; i++) pool[i] = (uint8_t)(0x2c + (i * 2654435761u >> 13) % 11);   /* moderate numbers in every type */
    const bool all = !strcmp(what, "all");
    if (all || !strcmp(what, "decode")) run(1, 4, 3);
    if (all || !strcmp(what, "kinds")) run(1, 2, 11);
    if (all || !strcmp(what, "batch")) run(8, 3, 3), run(16, 3, 3);
    if (all || !strcmp(what, "prefill")) run(512, 3, 4);
#if MUSE_HAVE_ONEDNN
    if (all || !strcmp(what, "onednn")) run_onednn(512), run_onednn(64);
#endif
    if (!strcmp(what, "small"))   /* where tiles begin to win */
        for (size_t n = 4; n <= 32; n += 4) run(n, 1, 5);
    muse_free(pool);
    muse_runtime_close(&rt);
    return 0;
}
