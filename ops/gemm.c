/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses between own kernels for bf16, oneDNN and plain C. The C loops sum in f32 and are not blocked. */
#include "ops/gemm.h"

#include <stdatomic.h>

#include "base/dtype.h"
#include "config.h"
#include "ops/runtime.h"
#if MUSE_HAVE_ONEDNN
#include "ops/onednn/onednn_gemm.h"
#endif

#if MUSE_HAVE_AVX512
#define OWN_KERNEL muse_gemm_bf16_avx512bf16
#else
#define OWN_KERNEL(args, begin, end, room) ((void)(args), (void)(begin), (void)(end), (void)(room), false)
#endif

struct MuseGemm {
    const MuseRuntime *rt;
    size_t n_lanes;
    uint8_t *rooms;              /* [threads] of MUSE_GEMM_ROOM for own kernels; NULL: none are used */
    atomic_flag said;            /* the log knows that plain C works */
#if MUSE_HAVE_ONEDNN
    MuseOnednnGemm **lanes;      /* NULL: portable C was asked for */
#endif
};

void muse_gemm_close(MuseGemm **g)
{
    if (!g || !*g) return;
#if MUSE_HAVE_ONEDNN
    for (size_t i = 0; (*g)->lanes && i < (*g)->n_lanes; i++) muse_onednn_gemm_close((*g)->lanes[i]);
    muse_free((*g)->lanes);
#endif
    muse_free((*g)->rooms);
    muse_free(*g);
    *g = NULL;
}

int muse_gemm_open(MuseGemm **out, const MuseRuntime *rt, MuseError *err)
{
    MuseGemm *g = *out = muse_zalloc(&rt->alloc, sizeof *g);
    if (!g) return MUSE_NOMEM(err, sizeof *g);
    g->rt = rt;
    g->n_lanes = (size_t)rt->team.threads + 1;
    atomic_flag_clear(&g->said);
    const bool own = (rt->cpu & MUSE_X86_BF16) && !(MUSE_HAVE_ONEDNN && (rt->cpu & MUSE_X86_AMX));   /* oneDNN knows AMX's tiles */
    if (own && !(g->rooms = muse_alloc_array(&rt->alloc, rt->team.threads, MUSE_GEMM_ROOM))) goto fail;
#if MUSE_HAVE_ONEDNN
    if (!(rt->cpu & MUSE_X86_AVX2)) return 0;   /* level c is portable C throughout */
    g->lanes = muse_zalloc_array(&rt->alloc, g->n_lanes, sizeof *g->lanes);
    if (!g->lanes) goto fail;
    for (size_t i = 0; i < g->n_lanes; i++)
        if (!(g->lanes[i] = muse_onednn_gemm_open(&rt->alloc, i ? 1 : rt->team.threads))) goto fail;
#endif
    return 0;
fail:
    muse_gemm_close(out);
    return MUSE_NOMEM(err, MUSE_GEMM_ROOM);
}

/* clang warns where it can't follow, as under sanitizers, and warnings are errors */
#if defined(__GNUC__) && !defined(__clang__)
#define VECTORISE(how) _Pragma(#how)
#else
#define VECTORISE(how)
#endif

static float load(const void *p, size_t i, bool bf16) { return bf16 ? muse_bf16_f32(((const MuseBf16 *)p)[i]) : ((const float *)p)[i]; }

/* f32 in the two orders that vectorise: rows of B added up, or dot products with them. false: not of this kind */
static bool plain_f32(const MuseGemmArgs *g, size_t begin, size_t end)
{
    if (g->bf16 || g->c_bf16 || (g->turn_a && g->turn_b)) return false;
    const size_t a_row = g->turn_a ? 1 : g->lda, a_step = g->turn_a ? g->lda : 1;
    for (size_t i = begin; i < end; i++) {
        const float *a = (const float *)g->a + i * a_row, *b = g->b;
        float *c = (float *)g->c + i * g->ldc;
        for (size_t j = 0; !g->add && j < g->n; j++) c[j] = 0;
        for (size_t p = 0; !g->turn_b && p < g->k; p++) {
            const float v = a[p * a_step];
            VECTORISE(omp simd)
            for (size_t j = 0; j < g->n; j++) c[j] += v * b[p * g->ldb + j];
        }
        for (size_t j = 0; g->turn_b && j < g->n; j++) {
            float sum = 0;
            VECTORISE(omp simd reduction(+:sum))
            for (size_t p = 0; p < g->k; p++) sum += a[p] * b[j * g->ldb + p];
            c[j] += sum;
        }
    }
    return true;
}

static void plain_range(void *user, size_t begin, size_t end)
{
    const MuseGemmArgs *g = user;
    if (plain_f32(g, begin, end)) return;
    const size_t a_row = g->turn_a ? 1 : g->lda, a_step = g->turn_a ? g->lda : 1;
    const size_t b_col = g->turn_b ? g->ldb : 1, b_step = g->turn_b ? 1 : g->ldb;
    for (size_t i = begin; i < end; i++)
        for (size_t j = 0; j < g->n; j++) {
            float sum = 0;
            for (size_t p = 0; p < g->k; p++) sum += load(g->a, i * a_row + p * a_step, g->bf16) * load(g->b, j * b_col + p * b_step, g->bf16);
            if (g->c_bf16) ((MuseBf16 *)g->c)[i * g->ldc + j] = muse_f32_bf16(sum);
            else ((float *)g->c)[i * g->ldc + j] = sum + (g->add ? ((float *)g->c)[i * g->ldc + j] : 0);
        }
}

typedef struct Own { MuseGemm *g; const MuseGemmArgs *args; size_t parts; atomic_bool declined; } Own;

static void own_range(void *user, size_t begin, size_t end)
{
    Own *o = user;
    for (size_t w = begin; w < end; w++) {
        const size_t lo = o->args->m * w / o->parts, hi = o->args->m * (w + 1) / o->parts;
        if (hi > lo && !OWN_KERNEL(o->args, lo, hi, o->g->rooms + w * MUSE_GEMM_ROOM)) atomic_store(&o->declined, true);
    }
}

/* false: not of a kind that own kernels take, which depends on the shape alone */
static bool own_run(MuseGemm *g, size_t lane, const MuseGemmArgs *args)
{
    if (!g->rooms || !args->bf16) return false;
    if (lane != MUSE_GEMM_TEAM) return OWN_KERNEL(args, 0, args->m, g->rooms + (lane - 1) * MUSE_GEMM_ROOM);
    Own own = { .g = g, .args = args, .parts = g->rt->team.threads };
    muse_parallel_for(&g->rt->team, own.parts, 1, own_range, &own);
    return !own.declined;
}

void muse_gemm_run(MuseGemm *g, size_t lane, const MuseGemmArgs *args)
{
    if (own_run(g, lane, args)) return;
#if MUSE_HAVE_ONEDNN
    if (g->lanes && muse_onednn_gemm_run(g->lanes[lane], args)) return;
    if (g->lanes && !atomic_flag_test_and_set(&g->said))
        muse_log(&g->rt->log, MUSE_LOG_WARN, "oneDNN has no %s product %zu x %zu x %zu here: plain C works, slowly", args->bf16 ? "bf16" : "f32", args->m, args->n, args->k);
#endif
    MuseGemmArgs copy = *args;
    if (lane == MUSE_GEMM_TEAM) muse_parallel_for(&g->rt->team, args->m, 1 + (1 << 19) / (args->n * args->k + 1), plain_range, &copy);
    else plain_range(&copy, 0, args->m);
}

bool muse_gemm_has_bf16(MuseGemm *g)
{
    if (g->rooms) return true;
#if MUSE_HAVE_ONEDNN
    const MuseBf16 x[32 * 32] = { 0 };
    float y[32 * 32];
    const MuseGemmArgs probe = { 32, 32, 32, x, x, y, 32, 32, 32, false, true, false, true, false };
    return g->lanes && muse_onednn_gemm_run(g->lanes[MUSE_GEMM_TEAM], &probe);
#else
    (void)g;
    return false;
#endif
}
