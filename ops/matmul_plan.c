/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: which kernels serve a weight, and the loops over threads, tokens, rows and blocks of k around them.
 *
 *   few tokens:   x -> the form rows want (f32, bf16, 8-bit groups) -> rows of all jobs, shared out among threads
 *   many tokens:  chunks of 512: x -> panels of 16 tokens -> each thread: blocks of rows x blocks of k fetched to its own buffer
 *                 -> tile kernel against all panels
 * No arithmetic of its own. Contract: ops/matmul_plan.h. */
#include "ops/matmul_plan.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "ops/runtime.h"

enum {
    BLOCK_ROWS = 64,        /* rows fetched at a time: with BLOCK_K bf16 they take a quarter of a 1 MiB L2, panels the rest; of bytes twice as many */
    BLOCK_K = 2048,         /* of bf16 or bytes; half as many f32 */
    ROW_PAD = 64,           /* bytes between fetched rows: a power-of-two stride would put all of them in one cache set */
    UNIT = 8,               /* rows that are given to threads together */
    THREAD_PRODUCTS = 1 << 18,  /* least work that is worth another thread: some five microseconds, several times what waking it takes */
    THREAD_VALUES = 1 << 16     /* the same for activations to convert */
};

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

static size_t block_k(unsigned form) { return form == MUSE_FORM_F32 ? BLOCK_K / 2 : BLOCK_K; }

/* bytes of one token's row of k activations in a form; for bf16 padded as rows want it */
static size_t form_row(unsigned form, size_t k)
{
    if (form == MUSE_FORM_F32) return 4 * k;
    if (form == MUSE_FORM_BF16) return 2 * round_up(k, MUSE_MATMUL_BF16_STEP);
    return round_up(k, MUSE_Q8_GROUP) / MUSE_Q8_GROUP * sizeof(MuseQ8Group);
}

static size_t block_rows(unsigned form) { return form == MUSE_FORM_Q8 ? 2 * BLOCK_ROWS : BLOCK_ROWS; }

static size_t block_stride(unsigned form) { return (form == MUSE_FORM_F32 ? 4 : form == MUSE_FORM_BF16 ? 2 : 1) * block_k(form) + ROW_PAD; }

/* bytes of a thread's fetched block: weights, then scales */
static size_t fetch_bytes(unsigned form)
{
    return block_rows(form) * (block_stride(form) + (form == MUSE_FORM_Q8 ? BLOCK_K / 32 * sizeof(float) : 0));
}

/* the largest of all forms */
static size_t fetch_room(void)
{
    const size_t f32 = fetch_bytes(MUSE_FORM_F32), q8 = fetch_bytes(MUSE_FORM_Q8);
    return round_up(f32 > q8 ? f32 : q8, MUSE_ALIGN);
}

/* room for each thread: a panel's tokens in bf16 or 8-bit groups on the way to it, or a decoded row of weights */
static size_t scratch_bytes(size_t k)
{
    const size_t bf16 = form_row(MUSE_FORM_BF16, k), q8 = form_row(MUSE_FORM_Q8, k);
    return round_up(MUSE_MATMUL_PANEL * (bf16 > q8 ? bf16 : q8), MUSE_ALIGN);
}

bool muse_matmul_workspace(const MuseMatmulPlan *plan, size_t n_max, size_t *bytes)
{
    const size_t k = plan->weight.k, tokens = round_up(n_max < MUSE_MATMUL_CHUNK ? n_max : MUSE_MATMUL_CHUNK, MUSE_MATMUL_PANEL);
    size_t x, each, all;
    if (k > SIZE_MAX / 4096) return false;
    /* the widest form: f32 of whole groups */
    const size_t row = form_row(MUSE_FORM_F32, round_up(k, MUSE_Q8_GROUP));
    return muse_mul_size(row, tokens, &x) && muse_add_size(scratch_bytes(k), fetch_room(), &each)
        && muse_mul_size(each, plan->rt->team.threads, &all) && muse_add_size(x, all, bytes);
}

/* ---- choice ---- */

static bool has(unsigned cpu, unsigned bits) { return (cpu & bits) == bits; }

static MuseMatmulRows *q8_rows(const MuseMatmulOps *ops, unsigned type)
{
    switch (type) {
    case MUSE_WEIGHT_Q8_0: return ops->rows_q8_0_q8;
    case MUSE_WEIGHT_Q4_0: return ops->rows_q4_0_q8;
    case MUSE_WEIGHT_Q4_K: return ops->rows_q4_k_q8;
    case MUSE_WEIGHT_Q5_K: return ops->rows_q5_k_q8;
    case MUSE_WEIGHT_Q6_K: return ops->rows_q6_k_q8;
    case MUSE_WEIGHT_Q5_0: return ops->rows_q5_0_q8;
    case MUSE_WEIGHT_Q5_1: return ops->rows_q5_1_q8;
    default: return NULL;
    }
}

/* A C kernel among wide ones is slower than another way round; where C is all there is, it serves. */
static bool worth(MuseAnyKernel *fn, MuseAnyKernel *c, unsigned cpu) { return fn && (fn != c || !has(cpu, MUSE_X86_AVX2)); }

static void choose_rows(MuseMatmulPlan *p)
{
    const MuseOps *ops = &p->rt->ops;
    const MuseMatmulOps *mm = &ops->matmul;
    static MuseMatmulRows *const q8_c[MUSE_WEIGHT_TYPES] = { [MUSE_WEIGHT_Q8_0] = muse_rows_q8_0_q8_c, [MUSE_WEIGHT_Q4_0] = muse_rows_q4_0_q8_c,
        [MUSE_WEIGHT_Q4_K] = muse_rows_q4_k_q8_c, [MUSE_WEIGHT_Q5_K] = muse_rows_q5_k_q8_c, [MUSE_WEIGHT_Q6_K] = muse_rows_q6_k_q8_c,
        [MUSE_WEIGHT_Q5_0] = muse_rows_q5_0_q8_c, [MUSE_WEIGHT_Q5_1] = muse_rows_q5_1_q8_c };
    const unsigned type = p->weight.type;
    p->rows_form = MUSE_FORM_F32;
    p->rows = type == MUSE_WEIGHT_F16 ? mm->rows_f16 : type == MUSE_WEIGHT_BF16 ? mm->rows_bf16 : mm->rows_f32;
    if (type > MUSE_WEIGHT_BF16) p->decode = muse_quant_dequant(&ops->quant, type);
    if (p->compute >= MUSE_COMPUTE_BF16 && type == MUSE_WEIGHT_BF16
        && worth((MuseAnyKernel *)mm->rows_bf16_bf16, (MuseAnyKernel *)muse_rows_bf16_bf16_c, p->rt->cpu)) {
        p->rows = mm->rows_bf16_bf16;
        p->rows_form = MUSE_FORM_BF16;
    }
    MuseMatmulRows *const q8 = q8_rows(mm, type);
    if (p->compute == MUSE_COMPUTE_INT8 && worth((MuseAnyKernel *)q8, (MuseAnyKernel *)q8_c[type], p->rt->cpu)) {
        p->rows = q8;
        p->decode = NULL;
        p->rows_form = MUSE_FORM_Q8;
    }
}

/* Tokens from which tiles win, measured: docs/ops/matmul.md, "Where tiles begin" */
static size_t tiles_from(const MuseMatmulPlan *p)
{
    const bool integer_rows = p->rows_form == MUSE_FORM_Q8;
    if (p->tile_form == MUSE_FORM_Q8) return p->weight.type == MUSE_WEIGHT_Q4_0 ? 17 : 13;
    if (integer_rows) return 32;                /* against wider tiles */
    if (p->tile_form == MUSE_FORM_BF16) return p->rows_form == MUSE_FORM_BF16 ? 9 : 10;
    return p->weight.k < 4096 ? 7 : 6;          /* f32 rows read all tokens again for each row, and these no longer fit L1 */
}

static void choose_tile(MuseMatmulPlan *p)
{
    const MuseOps *ops = &p->rt->ops;
    const MuseMatmulOps *mm = &ops->matmul;
    const unsigned type = p->weight.type, cpu = p->rt->cpu;
    if (mm->tile_f32 == muse_tile_f32_c) return;   /* in C the rows are as good */
    p->fetch = muse_quant_dequant(&ops->quant, type);
    p->tile = mm->tile_f32;
    p->tile_form = MUSE_FORM_F32;
    if (p->compute >= MUSE_COMPUTE_BF16 && worth((MuseAnyKernel *)mm->tile_bf16, (MuseAnyKernel *)muse_tile_bf16_c, cpu)) {
        p->tile = mm->tile_bf16;
        p->tile_form = MUSE_FORM_BF16;
    }
    p->fetch_q8 = type == MUSE_WEIGHT_Q8_0 ? mm->fetch_q8_0 : type == MUSE_WEIGHT_Q4_0 ? mm->fetch_q4_0 : NULL;
    /* AMX takes as long for a block of 32 bytes as for 32 bf16, and bytes are to be scaled after each: bf16 serves all types. */
    if (p->compute == MUSE_COMPUTE_INT8 && p->fetch_q8 && !has(cpu, MUSE_X86_AMX) && worth((MuseAnyKernel *)mm->tile_q8, (MuseAnyKernel *)muse_tile_q8_c, cpu)) {
        p->tile = mm->tile_q8;
        p->tile_form = MUSE_FORM_Q8;
    }
    p->tile_from = tiles_from(p);
}

static void say(const MuseMatmulPlan *p, MuseCompute asked)
{
    static const char *const modes[] = { "auto", "f32", "bf16", "int8" };
    static const char *const forms[] = { "f32", "bf16", "8-bit" };
    const MuseWeight *w = &p->weight;
    const MuseLog *log = &p->rt->log;
    const unsigned wanted = asked == MUSE_COMPUTE_INT8 || asked == MUSE_COMPUTE_BF16 ? (unsigned)p->compute - 1 : 0;
    if (asked == MUSE_COMPUTE_INT8 && w->type <= MUSE_WEIGHT_BF16)
        muse_log(log, MUSE_LOG_INFO, "matmul %zu x %zu %s: int8 is for block types, bf16 serves", w->m, w->k, muse_weight_type_info(w->type)->name);
    if (p->rows_form < wanted || (p->tile && p->tile_form < wanted))
        muse_log(log, MUSE_LOG_INFO, "matmul %zu x %zu %s: %s asked for, %s activations for few tokens, %s for many: no faster kernel here",
                 w->m, w->k, muse_weight_type_info(w->type)->name, modes[asked], forms[p->rows_form], p->tile ? forms[p->tile_form] : forms[p->rows_form]);
    muse_log(log, MUSE_LOG_DEBUG, "matmul %zu x %zu %s %s: %s%s, from %zu tokens %s", w->m, w->k, muse_weight_type_info(w->type)->name,
             modes[p->compute], muse_matmul_kernel_name((MuseAnyKernel *)p->rows), p->decode ? " after decoding" : "", p->tile_from,
             p->tile ? muse_matmul_kernel_name((MuseAnyKernel *)p->tile) : "the same");
}

int muse_matmul_plan_open(MuseMatmulPlan *plan, const MuseRuntime *rt, const MuseWeight *w, MuseCompute compute, MuseError *err)
{
    MUSE_REQUIRE(err, plan);
    *plan = (MuseMatmulPlan){ 0 };
    MUSE_REQUIRE(err, rt && w && w->data && w->m && w->k);
    MUSE_REQUIRE(err, w->type < MUSE_WEIGHT_TYPES && (unsigned)compute <= MUSE_COMPUTE_INT8);
    const MuseWeightTypeInfo *t = muse_weight_type_info(w->type);
    size_t row = 0, bytes = 0;
    if (w->k % t->block)
        return muse_fail(err, MUSE_ERR_FORMAT, "rows of %zu weights of type %s: not a multiple of %u", w->k, t->name, (unsigned)t->block);
    if (!muse_weight_row_bytes(w->type, w->k, &row) || !muse_mul_size(row, w->m, &bytes))
        return muse_fail(err, MUSE_ERR_LIMIT, "a weight of %zu x %zu passes this machine's addresses", w->m, w->k);
    if (w->bytes < bytes)
        return muse_fail(err, MUSE_ERR_FORMAT, "a %s weight of %zu x %zu needs %zu bytes, there are %zu", t->name, w->m, w->k, bytes, w->bytes);
    plan->rt = rt;
    plan->weight = *w;
    plan->row_bytes = row;
    plan->compute = compute != MUSE_COMPUTE_AUTO ? compute : w->type == MUSE_WEIGHT_F32 ? MUSE_COMPUTE_F32
                  : w->type <= MUSE_WEIGHT_BF16 ? MUSE_COMPUTE_BF16 : MUSE_COMPUTE_INT8;
    if (plan->compute == MUSE_COMPUTE_INT8 && w->type <= MUSE_WEIGHT_BF16) plan->compute = MUSE_COMPUTE_BF16;
    choose_rows(plan);
    choose_tile(plan);
    if (!muse_matmul_workspace(plan, MUSE_MATMUL_CHUNK, &bytes)) {
        *plan = (MuseMatmulPlan){ 0 };
        return muse_fail(err, MUSE_ERR_LIMIT, "activations of %zu columns pass this machine's addresses", w->k);
    }
    say(plan, compute);
    return 0;
}

void muse_matmul_plan_close(MuseMatmulPlan *plan)
{
    if (plan) *plan = (MuseMatmulPlan){ 0 };
}

/* ---- running ---- */

/* Jobs that take x in the same form, a chunk of tokens, and where its parts of the workspace lie */
typedef struct Run {
    const MuseRuntime *rt;
    const MuseMatmulJob *jobs;
    size_t n_jobs;
    bool   tiles;
    unsigned form;
    const float *x;
    size_t n, k;
    size_t first, total;    /* of the whole call: the token that x starts with, and how many */
    size_t x_stride;        /* bytes between prepared tokens, or between panels */
    uint8_t *prepared;
    uint8_t *slots;         /* one a thread, slot_bytes apart: scratch, then the fetched block */
    size_t slot_bytes, n_slots, units;
} Run;

/* kind of a job in a call of n tokens: its form, and FORMS more for tiles */
enum { FORMS = MUSE_FORM_Q8 + 1, KINDS = 2 * FORMS };

static unsigned kind_of(const MuseMatmulPlan *p, size_t n) { return p->tile && n >= p->tile_from ? p->tile_form + FORMS : p->rows_form; }

static bool uses(const Run *r, const MuseMatmulJob *job) { return kind_of(job->plan, r->total) == r->form + (r->tiles ? FORMS : 0u); }

/* tokens' rows in the form, one after another at out */
static void convert(const Run *r, uint8_t *out, size_t stride, size_t token, size_t n)
{
    const MuseQuantOps *q = &r->rt->ops.quant;
    for (size_t t = 0; t < n; t++, out += stride) {
        const float *x = r->x + (token + t) * r->k;
        if (r->form == MUSE_FORM_Q8) {
            q->quant_q8_groups((MuseQ8Group *)(void *)out, x, r->k);
        } else {
            q->f32_to_bf16((uint16_t *)(void *)out, x, r->k);
            memset(out + 2 * r->k, 0, stride - 2 * r->k);
        }
    }
}

static void prepare_rows(void *user, size_t begin, size_t end)
{
    const Run *r = user;
    convert(r, r->prepared + begin * r->x_stride, r->x_stride, begin, end - begin);
}

/* slot s packs panels s, s + n_slots ... */
static void prepare_panels(void *user, size_t begin, size_t end)
{
    const Run *r = user;
    const size_t stride = form_row(r->form, r->k);
    for (size_t s = begin; s < end; s++)
        for (size_t p = s; p * MUSE_MATMUL_PANEL < r->n; p += r->n_slots) {
            const size_t token = p * MUSE_MATMUL_PANEL, left = r->n - token, n = left < MUSE_MATMUL_PANEL ? left : MUSE_MATMUL_PANEL;
            const void *rows = r->x + token * r->k;
            if (r->form != MUSE_FORM_F32) {
                uint8_t *scratch = r->slots + s * r->slot_bytes;
                convert(r, scratch, stride, token, n);
                rows = scratch;
            }
            r->rt->ops.matmul.pack((uint32_t *)(void *)(r->prepared + p * r->x_stride), rows, stride, stride / 4, n);
        }
}

/* rows of one job, few tokens */
static void run_rows(const Run *r, const MuseMatmulJob *job, size_t begin, size_t end, uint8_t *slot)
{
    const MuseMatmulPlan *p = job->plan;
    const size_t y_stride = job->y_stride ? job->y_stride : p->weight.m;
    MuseRowsArgs a = { .y = job->y + r->first * y_stride + begin, .y_stride = y_stride, .n = r->n, .k = r->k,
        .w = (const uint8_t *)p->weight.data + begin * p->row_bytes, .w_stride = p->row_bytes, .m = end - begin,
        .x = r->form == MUSE_FORM_F32 ? (const void *)r->x : r->prepared, .x_stride = r->form == MUSE_FORM_F32 ? 4 * r->k : r->x_stride,
        .bias = job->bias ? job->bias + begin : NULL };
    if (!p->decode) {
        p->rows(&a);
        return;
    }
    const uint8_t *w = a.w;
    a.w = slot;
    a.m = 1;
    for (size_t i = begin; i < end; i++, w += p->row_bytes, a.y++) {
        p->decode((float *)(void *)slot, w, r->k);
        a.bias = job->bias ? job->bias + i : NULL;
        p->rows(&a);
    }
}

/* Weights come from memory once, by rows that hardware does not see coming: ask for the row after the next. */
static void ask_for(const uint8_t *p, size_t bytes)
{
#if defined(__GNUC__)
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i);
#else
    (void)p, (void)bytes;
#endif
}

static size_t bytes_of(const MuseMatmulPlan *p, size_t k)
{
    const MuseWeightTypeInfo *t = muse_weight_type_info(p->weight.type);
    return k / t->block * t->bytes;
}

static const uint8_t *weights_at(const MuseMatmulPlan *p, size_t row, size_t column)
{
    return (const uint8_t *)p->weight.data + row * p->row_bytes + bytes_of(p, column);
}

/* m rows from `row`, columns at .. at + k, to the tile's form; rows are written up to a multiple of the tile's */
static void fetch_block(const MuseMatmulPlan *p, MuseTileArgs *a, uint8_t *block, size_t row, size_t at, size_t k)
{
    const size_t item = p->tile_form == MUSE_FORM_F32 ? 4 : p->tile_form == MUSE_FORM_BF16 ? 2 : 1;
    a->w_stride = block_stride(p->tile_form);
    a->scale_stride = BLOCK_K / 32;
    float *scales = (float *)(void *)(block + block_rows(p->tile_form) * a->w_stride);
    const uint8_t *from = weights_at(p, row, at);
    for (size_t i = 0; i < round_up(a->m, MUSE_MATMUL_TILE_ROWS); i++, from += p->row_bytes, block += a->w_stride, scales += a->scale_stride) {
        if (i + 2 < a->m) ask_for(from + 2 * p->row_bytes, bytes_of(p, k));
        if (i >= a->m) {   /* read by the kernel, never used: but defined */
            memset(block, 0, item * k);
            if (p->tile_form == MUSE_FORM_Q8) memset(scales, 0, k / 32 * sizeof *scales);
        } else if (p->tile_form == MUSE_FORM_Q8) {
            p->fetch_q8(block, scales, from, k);
        } else if (p->tile_form == MUSE_FORM_F32) {
            p->fetch((float *)(void *)block, from, k);
        } else if (p->weight.type == MUSE_WEIGHT_BF16) {
            memcpy(block, from, 2 * k);
        } else {
            float wide[MUSE_QUANT_SUPER];
            for (size_t j = 0; j < k; j += MUSE_QUANT_SUPER) {
                const size_t n = k - j < MUSE_QUANT_SUPER ? k - j : MUSE_QUANT_SUPER;
                p->fetch(wide, from + bytes_of(p, j), n);
                p->rt->ops.quant.f32_to_bf16((uint16_t *)(void *)(block + 2 * j), wide, n);
            }
        }
        if (p->tile_form == MUSE_FORM_BF16 && k % 2) memset(block + 2 * k, 0, 2);
    }
}

/* rows of one job, many tokens */
static void run_tiles(const Run *r, const MuseMatmulJob *job, size_t begin, size_t end, uint8_t *slot)
{
    const MuseMatmulPlan *p = job->plan;
    const size_t step = block_k(p->tile_form), rows = block_rows(p->tile_form), y_stride = job->y_stride ? job->y_stride : p->weight.m;
    /* bytes of a panel from one group of 512 columns to the next */
    const size_t group = MUSE_MATMUL_PANEL * form_row(p->tile_form, MUSE_Q8_GROUP);
    uint8_t *block = slot + scratch_bytes(r->k);
    for (size_t i = begin; i < end; i += rows)
        for (size_t at = 0; at < r->k; at += step) {
            const size_t k = r->k - at < step ? r->k - at : step;
            MuseTileArgs a = { .y = job->y + r->first * y_stride + i, .y_stride = y_stride, .m = end - i < rows ? end - i : rows,
                .n = r->n, .k = p->tile_form == MUSE_FORM_BF16 ? round_up(k, 2) : k, .x = r->prepared + at / MUSE_Q8_GROUP * group, .x_panel = r->x_stride,
                .bias = job->bias && !at ? job->bias + i : NULL, .add = at > 0, .w = block };
            fetch_block(p, &a, block, i, at, k);
            const bool last = at + step >= r->k;   /* what comes next: more columns of these rows, or the rows below */
            const size_t next_row = last ? i + rows : i, next_at = last ? 0 : at + step, left = r->k - next_at;
            if (next_row < end) {
                a.ahead = weights_at(p, next_row, next_at);
                a.ahead_stride = p->row_bytes;
                a.ahead_bytes = bytes_of(p, left < step ? left : step);
            }
            a.w_scale = (const float *)(const void *)(block + rows * a.w_stride);
            p->tile(&a);
        }
}

/* Slot s has units s * units / n_slots and on, counted over all jobs of the form, each UNIT rows. */
static void run_slots(void *user, size_t first, size_t last)
{
    const Run *r = user;
    for (size_t s = first; s < last; s++) {
        size_t begin = s * r->units / r->n_slots, end = (s + 1) * r->units / r->n_slots;
        for (const MuseMatmulJob *job = r->jobs; job < r->jobs + r->n_jobs && end; job++) {
            if (!uses(r, job)) continue;
            const size_t m = job->plan->weight.m, units = (m + UNIT - 1) / UNIT;
            const size_t b = begin < units ? begin : units, e = end < units ? end : units;
            if (b < e) (r->tiles ? run_tiles : run_rows)(r, job, b * UNIT, e * UNIT < m ? e * UNIT : m, r->slots + s * r->slot_bytes);
            begin -= b;
            end -= e;
        }
    }
}

static void run_form(Run *r)
{
    r->units = 0;
    for (size_t i = 0; i < r->n_jobs; i++)
        if (uses(r, &r->jobs[i])) r->units += (r->jobs[i].plan->weight.m + UNIT - 1) / UNIT;
    const MuseTeam *team = &r->rt->team;
    const size_t worth_waking = r->units * UNIT / (THREAD_PRODUCTS / (r->k * r->n) + 1);
    r->n_slots = team->threads < r->units ? team->threads : r->units;
    if (r->n_slots > worth_waking) r->n_slots = worth_waking ? worth_waking : 1;
    r->x_stride = form_row(r->form, r->k) * (r->tiles ? MUSE_MATMUL_PANEL : 1);
    if (r->tiles) muse_parallel_for(team, r->n_slots, 1, prepare_panels, r);
    else if (r->form != MUSE_FORM_F32) muse_parallel_for(team, r->n, THREAD_VALUES / r->k + 1, prepare_rows, r);
    muse_parallel_for(team, r->n_slots, 1, run_slots, r);
}

void muse_matmul_run(const MuseMatmulJob *jobs, size_t n_jobs, const float *x, size_t n, void *workspace)
{
    if (!n_jobs || !n) return;
    const MuseMatmulPlan *p = jobs[0].plan;
    size_t chunk = n < MUSE_MATMUL_CHUNK ? n : MUSE_MATMUL_CHUNK;
    bool used[KINDS] = { false };
    for (size_t i = 0; i < n_jobs; i++) {
        assert(jobs[i].plan->weight.k == p->weight.k && jobs[i].plan->rt == p->rt);
        used[kind_of(jobs[i].plan, n)] = true;
    }
    const size_t row = form_row(MUSE_FORM_F32, round_up(p->weight.k, MUSE_Q8_GROUP));
    Run r = { .rt = p->rt, .jobs = jobs, .n_jobs = n_jobs, .total = n, .k = p->weight.k, .prepared = workspace,
        .slots = (uint8_t *)workspace + row * round_up(chunk, MUSE_MATMUL_PANEL),
        .slot_bytes = scratch_bytes(p->weight.k) + fetch_room() };
    for (r.first = 0; r.first < n; r.first += chunk) {
        r.x = x + r.first * r.k;
        r.n = n - r.first < chunk ? n - r.first : chunk;
        for (unsigned kind = 0; kind < KINDS; kind++) {
            r.tiles = kind >= FORMS;
            r.form = kind % FORMS;
            if (used[kind]) run_form(&r);
        }
    }
}
