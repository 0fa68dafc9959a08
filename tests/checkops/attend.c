/* SPDX-License-Identifier: Apache-2.0 */
/* ops/attend.h against a plain softmax in double over keys and values read back by this file's own reading of the layouts. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "ops/attend.h"

enum { PAGES_MAX = 256, LAST_MODE = 8 };

typedef enum Mode { CAUSAL, WINDOW, RANDOM, DECODE, PIECES, BACKWARDS, NOT_A_NUMBER, INFINITE, HUGE_SCORES } Mode;
static const char *const mode_names[] = { "causal", "window", "random", "decode", "pieces", "backwards", "nan", "infinite", "huge" };

typedef struct Case {
    MuseKvType type;
    bool words;                    /* q and weights may be rounded to bf16 */
    bool may_be_nan;               /* Q8 with an infinite q */
    size_t rows, width, n, pages, stride;
    uint8_t *page[PAGES_MAX];
    const float *q[MUSE_ATTEND_ROWS];
    float *o[MUSE_ATTEND_ROWS];
    uint32_t lo[MUSE_ATTEND_ROWS], hi[MUSE_ATTEND_ROWS];
    float *keys, *values;          /* [n][width], as stored */
    uint8_t *scratch;
    MuseAttendArgs args;
} Case;

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p) { fprintf(stderr, "checkops: no memory\n"); exit(1); }
    memset(p, 0xff, (bytes + 63) / 64 * 64);   /* NaN in every type */
    return p;
}

static uint16_t u16(const uint8_t *p, size_t i)
{
    uint16_t v;
    memcpy(&v, p + 2 * i, 2);
    return v;
}

/* The layouts of ops/attend.h, read by their description. */
static float stored(MuseKvType type, bool key, const uint8_t *b, size_t slot, size_t i, size_t width)
{
    const size_t panel = slot / 16, lane = slot % 16, blocks = (width + 31) / 32, words = (width + 1) / 2;
    float f;
    if (type == MUSE_KV_TYPE_F32) {
        memcpy(&f, b + 4 * (key ? panel * width * 16 + i * 16 + lane : slot * width + i), 4);
        return f;
    }
    if (type == MUSE_KV_TYPE_BF16)
        return muse_bf16_f32(u16(b, key ? 2 * (panel * words * 16 + i / 2 * 16 + lane) + i % 2 : 2 * (slot / 2 * width + i) + slot % 2));
    const int8_t q = (int8_t)b[key ? 4 * (panel * blocks * 8 * 16 + i / 4 * 16 + lane) + i % 4 : slot * blocks * 32 + i];
    return (float)q * muse_bf16_f32(u16(b + 32 * blocks * 32, key ? i / 32 * 32 + slot : slot * blocks + i / 32));
}

/* How far what is kept may be from what was given: half a step of bf16, or of a Q8 block whose largest value is below 1. A NaN
 * takes its Q8 block with it. */
static void check_stored(Check *c, MuseKvType type, float got, float given, bool nan_beside)
{
    const float limit = type == MUSE_KV_TYPE_F32 ? 0 : type == MUSE_KV_TYPE_BF16 ? fabsf(given) / 256 : 0.51f / 127;
    if (!(fabsf(got - given) <= limit) && !(isnan(got) && (isnan(given) || nan_beside))) check_true(c, false, "a key or value was not kept");
}

static void fill_pages(Check *c, Case *t, float *k, float *v, bool nan)
{
    const size_t bytes = muse_kv_head_bytes(t->type, t->width);
    t->args.k_offset = 64;
    t->args.v_offset = 64 + bytes + 128;
    t->stride = 64 + bytes + 128 + bytes;
    for (size_t i = 0; i < t->pages; i++) t->page[i] = aligned(t->stride);
    for (size_t i = 0; i < t->pages; i++) {   /* unordered */
        const size_t j = check_random(c) % t->pages;
        uint8_t *p = t->page[i];
        t->page[i] = t->page[j];
        t->page[j] = p;
    }
    for (size_t p = 0; p < t->n; p++) {
        uint8_t *page = t->page[p / 32];
        muse_kv_put(t->type, page + 64, page + t->args.v_offset, p % 32, k + p * t->width, v + p * t->width, t->width);
    }
    for (size_t p = 0; p < t->n; p++)
        for (size_t i = 0; i < t->width; i++) {
            const uint8_t *page = t->page[p / 32];
            float *key = k + p * t->width + i, *value = v + p * t->width + i;
            const float got_k = stored(t->type, true, page + 64, p % 32, i, t->width), got_v = stored(t->type, false, page + t->args.v_offset, p % 32, i, t->width);
            check_stored(c, t->type, got_k, *key, nan && t->type == MUSE_KV_TYPE_Q8);
            check_stored(c, t->type, got_v, *value, nan && t->type == MUSE_KV_TYPE_Q8);
            *key = got_k;
            *value = got_v;
        }
    t->keys = k;
    t->values = v;
}

static void set_ranges(Check *c, Case *t, Mode mode)
{
    for (size_t r = 0; r < t->rows; r++) {
        const size_t back = (t->rows - 1 - r) / 4;   /* four query heads a position */
        t->hi[r] = (uint32_t)(t->n > back ? t->n - back : 0);
        t->lo[r] = mode == WINDOW && t->hi[r] > 37 ? t->hi[r] - 37 : 0;
        if (mode == DECODE) t->hi[r] = (uint32_t)t->n;
        if (mode == RANDOM) {
            t->lo[r] = check_random(c) % (uint32_t)(t->n + 1);
            t->hi[r] = check_random(c) % (uint32_t)(t->n + 1);   /* a third sees nothing */
            if (r % 3) {
                const uint32_t a = t->lo[r], b = t->hi[r];
                t->lo[r] = a < b ? a : b;
                t->hi[r] = a < b ? b : a;
            }
        }
    }
    for (size_t i = 0; i < t->pages; i++) {
        bool seen = false;
        for (size_t r = 0; r < t->rows; r++) seen |= t->lo[r] < t->hi[r] && t->lo[r] < 32 * (i + 1) && t->hi[r] > 32 * i;
        if (seen) continue;
        free(t->page[i]);
        t->page[i] = NULL;
    }
}

/* All pages in one call, or in pieces: in order, or the later ones first. */
static void attend(MuseAttend *fn, const Case *t, MuseAttendArgs a, Mode mode)
{
    const size_t cut = t->pages / 2;
    const bool whole = mode != PIECES && mode != BACKWARDS;
    for (int piece = 0; piece < (whole ? 1 : 2); piece++) {
        const bool later = piece != (mode == BACKWARDS);
        a.start = piece == 0;
        a.finish = whole || piece == 1;
        a.first_page = whole || !later ? 0 : cut;
        a.n_pages = whole ? t->pages : later ? t->pages - cut : cut;
        fn(&a);
    }
}

/* What row r must give, and how far a result may be from it. With w the weights: an error e in every score and weight moves
 * the result by at most 2 e sum w |v|. e: f32 dot products, sums and exponentials; q rounded to bf16 moves a score by 2^-8 of
 * sum |q k|; a weight rounded to bf16 by 2^-8 of itself. */
static bool row_close(const Case *t, size_t r)
{
    const MuseAttendArgs *a = &t->args;
    const size_t lo = t->lo[r], hi = t->hi[r] > lo ? t->hi[r] : lo, n = hi - lo, width = t->width;
    double *s = malloc((n + 1) * sizeof *s), most = -INFINITY, sum = 0, size = 0, error, reach = 0;
    bool ok = s != NULL, nan = false;
    for (size_t j = 0; j < n && ok; j++) {
        double dot = 0, abs = 0;
        for (size_t i = 0; i < width; i++) {
            const double x = (double)t->q[r][i] * (double)t->keys[(lo + j) * width + i];
            dot += x;
            abs += fabs(x);
        }
        s[j] = dot * (double)a->scale;
        if (a->softcap > 0) s[j] = (double)a->softcap * tanh(s[j] / (double)a->softcap);
        size = fmax(size, abs * (double)a->scale);
        most = fmax(most, s[j]);
        reach = fmax(reach, fabs(s[j]));
        nan |= isnan(s[j]);
    }
    for (size_t j = 0; j < n && ok; j++) sum += s[j] = nan ? (double)NAN : exp(s[j] - most);
    error = ldexp(size * (4 + sqrt((double)width)) + 4 * reach + 16 + 4 * sqrt((double)n), -24) + (t->words ? ldexp(size, -8) : 0);
    for (size_t i = 0; i < width && ok; i++) {
        double want = 0, across = 0;
        for (size_t j = 0; j < n; j++) {
            want += s[j] / sum * (double)t->values[(lo + j) * width + i];
            across += s[j] / sum * fabs((double)t->values[(lo + j) * width + i]);
        }
        const double got = (double)t->o[r][i], limit = across * (2 * error + (t->words ? ldexp(1, -8) : 0)) + 1e-30;
        ok = isnan(want) ? isnan(got) : isnan(got) ? t->may_be_nan : !(fabs(got - want) > limit);
        if (!ok) printf("  row %zu dim %zu: %g, not %g, limit %g\n", r, i, got, want, limit);
    }
    free(s);
    return ok;
}

/* Row r by itself must give the same bits. */
static void check_alone(Check *c, MuseAttend *fn, const Case *t, size_t r, Mode mode)
{
    float *o = check_out_f32(c, t->width), *max = check_out_f32(c, 1), *sum = check_out_f32(c, 1);
    MuseAttendArgs a = t->args;
    a.rows = a.heads = 1;
    a.q += r;
    a.o = &o;
    a.lo += r;
    a.hi += r;
    a.max = max;
    a.sum = sum;
    attend(fn, t, a, mode);
    for (size_t i = 0; i < t->width; i++)
        if (isnan(o[i]) && isnan(t->o[r][i])) o[i] = t->o[r][i];   /* of NaN the bits do not count */
    check_equal(c, o, t->o[r], t->width * sizeof *o);
    if (!isnan(*sum)) check_equal(c, sum, &t->args.sum[r], sizeof *sum);
}

/* Two heads side by side, the second with the pages of the first in another order: each must give what it gives alone. */
static void check_heads(Check *c, MuseAttend *fn, const Case *t, Mode mode)
{
    const size_t half = t->rows / 2;
    uint8_t *both[PAGES_MAX];
    const uint8_t *second[PAGES_MAX];
    float *o[MUSE_ATTEND_ROWS], *alone = check_out_f32(c, t->rows * t->width), *side = check_out_f32(c, t->rows * t->width);
    for (size_t i = 0; i < t->pages; i++) {
        const uint8_t *other = t->page[t->pages - 1 - i];
        second[i] = !t->page[i] ? NULL : other ? other : t->page[i];
        both[i] = t->page[i] ? aligned(2 * t->stride) : NULL;
        if (!both[i]) continue;
        memcpy(both[i], t->page[i], t->stride);
        memcpy(both[i] + t->stride, second[i], t->stride);
    }
    MuseAttendArgs a = t->args;
    a.rows = half;
    a.max = check_out_f32(c, t->rows);
    a.sum = check_out_f32(c, t->rows);
    a.o = o;
    for (size_t h = 0; h < 2; h++) {
        for (size_t r = 0; r < half; r++) o[r] = alone + (h * half + r) * t->width;
        if (h) a.pages = second;
        attend(fn, t, a, mode);
        a.q += half;
        a.lo += half;
        a.hi += half;
    }
    a = t->args;
    a.max = check_out_f32(c, t->rows);
    a.sum = check_out_f32(c, t->rows);
    a.o = o;
    for (size_t r = 0; r < t->rows; r++) o[r] = side + r * t->width;
    a.pages = (const uint8_t *const *)both;
    a.heads = 2;
    attend(fn, t, a, mode);
    for (size_t i = 0; i < t->rows * t->width; i++)
        if (isnan(side[i]) && isnan(alone[i])) side[i] = alone[i];
    check_equal(c, side, alone, t->rows * t->width * sizeof *side);
    for (size_t i = 0; i < t->pages; i++) free(both[i]);
}

static MuseAttendWeights *const weights_c[] = { [MUSE_KV_TYPE_F32] = muse_attend_weights_f32_c, [MUSE_KV_TYPE_BF16] = muse_attend_weights_bf16_c,
                                                [MUSE_KV_TYPE_Q8] = muse_attend_weights_q8_c };

/* the maximum and sum that a variant leaves serve the weights */
static void check_weights_sum(Check *c, const Case *t, size_t r)
{
    float *w = check_out_f32(c, t->n + 1);
    double sum = 0;
    weights_c[t->type](&t->args, r, 0, t->n, w);
    for (size_t p = 0; p < t->n; p++) {
        sum += (double)w[p];
        if ((p < t->lo[r] || p >= t->hi[r]) && w[p] != 0) check_true(c, false, "a weight where the row sees nothing");
    }
    if (t->lo[r] < t->hi[r] && fabs(sum - 1) > (t->words ? 0.1 : 1e-3)) check_true(c, false, "the weights' sum is not 1");
}

enum { GAP = 3 };   /* floats between result rows */

static void prepare(Check *c, Case *t, Mode mode)
{
    const size_t k_size = t->n * t->width;
    float *k = check_rand(c, k_size + 1), *v = check_rand(c, k_size + 1), *q = check_rand(c, t->rows * t->width);
    for (size_t i = 0; i < t->rows * t->width; i++) {
        if (mode == HUGE_SCORES) q[i] *= 1e6f;
        if (mode == RANDOM) q[i] *= 20;
        if (t->words && mode != CAUSAL && mode != PIECES) q[i] = muse_bf16_f32(muse_f32_bf16(q[i]));   /* nothing left to round */
    }
    if (mode == NOT_A_NUMBER) {
        k[(t->n / 2) * t->width + t->width / 2] = NAN;
        v[(t->n - 1) * t->width] = NAN;
        if (t->rows > 2) q[t->width] = NAN;
    }
    if (mode == INFINITE) q[t->width / 2] = INFINITY;
    t->may_be_nan = mode == INFINITE && t->type == MUSE_KV_TYPE_Q8;
    fill_pages(c, t, k, v, mode == NOT_A_NUMBER);
    set_ranges(c, t, mode == NOT_A_NUMBER ? RANDOM : mode);
    float *o = check_out_f32(c, t->rows * (t->width + GAP));
    for (size_t r = 0; r < t->rows; r++) {
        t->q[r] = q + r * t->width;
        t->o[r] = o + r * (t->width + GAP);
    }
    t->scratch = aligned(MUSE_ATTEND_SCRATCH + 64);
    t->args = (MuseAttendArgs){ .rows = t->rows, .heads = 1, .width = t->width, .q = t->q, .o = t->o, .max = check_out_f32(c, t->rows),
        .sum = check_out_f32(c, t->rows), .lo = t->lo, .hi = t->hi, .scale = 1 / sqrtf((float)t->width), .softcap = t->args.softcap,
        .pages = (const uint8_t *const *)t->page, .k_offset = t->args.k_offset, .v_offset = t->args.v_offset, .head_stride = t->stride, .scratch = t->scratch };
}

static void release(Check *c, Case *t)
{
    for (size_t i = 0; i < t->pages; i++) free(t->page[i]);
    free(t->scratch);
    check_done(c);
}

static void check_case(Check *c, MuseAttend *fn, Case *t, Mode mode)
{
    prepare(c, t, mode);
    attend(fn, t, t->args, mode);
    bool ok = true;
    for (size_t r = 0; r < t->rows && ok; r++) {
        ok = row_close(t, r);
        for (size_t i = 0; i < GAP; i++) {
            uint32_t bits = muse_f32_bits(t->o[r][t->width + i]);
            if (bits != 0xc7c7c7c7u) check_true(c, false, "wrote beside a row");
        }
    }
    check_true(c, ok, "a row is wrong");
    for (size_t i = 0; i < 64; i++)
        if (t->scratch[MUSE_ATTEND_SCRATCH + i] != 0xff) check_true(c, false, "wrote past the scratch");
    const size_t r = check_random(c) % t->rows;
    check_alone(c, fn, t, r, mode);
    if (t->rows % 2 == 0) check_heads(c, fn, t, mode);
    if (mode != NOT_A_NUMBER && mode != INFINITE && mode != HUGE_SCORES) check_weights_sum(c, t, r);
    release(c, t);
}

typedef struct Shape { const char *label; size_t rows, width, n; } Shape;

static void bench(Check *c, MuseAttend *fn, MuseKvType type)
{
    static const Shape shapes[] = {
        { "decode 4 x 64, 4096, B", 4, 64, 4096 }, { "decode 4 x 128, 4096, B", 4, 128, 4096 }, { "decode 1 x 128, 4096, B", 1, 128, 4096 },
        { "shared 32 x 128, 2048, Gop", 32, 128, 2048 },
        { "prefill 64 x 64, 1024, Gop", 64, 64, 1024 }, { "prefill 64 x 128, 1024, Gop", 64, 128, 1024 }, { "prefill 64 x 256, 1024, Gop", 64, 256, 1024 },
    };
    for (size_t s = 0; s < CHECK_COUNT(shapes); s++) {
        Case t = { .type = type, .rows = shapes[s].rows, .width = shapes[s].width, .n = shapes[s].n, .pages = shapes[s].n / 32 };
        float *k = check_rand(c, t.n * t.width), *v = check_rand(c, t.n * t.width), *q = check_rand(c, t.rows * t.width), *o = check_out_f32(c, t.rows * t.width);
        const size_t bytes = 2 * t.pages * muse_kv_head_bytes(type, t.width);
        fill_pages(c, &t, k, v, false);
        for (size_t r = 0; r < t.rows; r++) {
            t.q[r] = q + r * t.width;
            t.o[r] = o + r * t.width;
            t.hi[r] = (uint32_t)t.n;
        }
        t.scratch = aligned(MUSE_ATTEND_SCRATCH);
        t.args = (MuseAttendArgs){ .rows = t.rows, .heads = 1, .width = t.width, .q = t.q, .o = t.o, .max = check_out_f32(c, t.rows), .sum = check_out_f32(c, t.rows),
            .lo = t.lo, .hi = t.hi, .scale = 1 / sqrtf((float)t.width), .pages = (const uint8_t *const *)t.page, .n_pages = t.pages,
            .k_offset = t.args.k_offset, .v_offset = t.args.v_offset, .head_stride = t.stride, .start = true, .finish = true, .scratch = t.scratch };
        check_bench(c, shapes[s].label, t.rows > 4 ? 4 * t.rows * t.width * t.n : bytes, fn(&t.args));
        release(c, &t);
    }
}

static void check_attend_type(Check *c, CheckFn *any, MuseKvType type, bool words)
{
    static const size_t widths[] = { 1, 2, 15, 32, 64, 80, 96, 128, 256, 512 };
    static const size_t rows[] = { 1, 2, 3, 4, 7, 8, 13, 32, 64 };
    MuseAttend *fn = (MuseAttend *)any;
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (size_t k = 0; k < CHECK_COUNT(rows); k++)
            for (int mode = 0; mode <= LAST_MODE; mode++) {
                if (rows[k] * widths[i] > 4096 && (i + k + (size_t)mode) % 5) continue;   /* large ones: a fifth */
                Case t = { .type = type, .words = words, .rows = rows[k], .width = widths[i], .n = 1 + check_random(c) % 150 };
                t.pages = (t.n + 31) / 32 + 1;
                t.args.softcap = (i + k + (size_t)mode) % 4 ? 0 : 5;
                check_note(c, "type=%d rows=%zu width=%zu n=%zu %s%s", (int)type, t.rows, t.width, t.n, mode_names[mode], t.args.softcap > 0 ? " softcap" : "");
                check_case(c, fn, &t, (Mode)mode);
            }
    bench(c, fn, type);
}

/* ---- weights of a finished row ---- */

/* Position p of row r, and how far a result may be from it. An error e of the score is a factor of exp(e): f32 dot products and
 * exponentials; Q8: q in steps of its largest value / 32767, so half of that times sum |k|. */
static bool weight_close(const Case *t, size_t r, size_t p, float got)
{
    const MuseAttendArgs *a = &t->args;
    double dot = 0, abs = 0, keys = 0, most = 0;
    if (p < t->lo[r] || p >= t->hi[r]) return got == 0;
    for (size_t i = 0; i < t->width; i++) {
        const double q = (double)t->q[r][i], k = (double)t->keys[p * t->width + i];
        dot += q * k;
        abs += fabs(q * k);
        keys += fabs(k);
        most = fmax(most, fabs(q));
    }
    double s = dot * (double)a->scale;
    if (a->softcap > 0) s = (double)a->softcap * tanh(s / (double)a->softcap);
    const double want = exp(s - (double)a->max[r]) / (double)a->sum[r];
    const double error = ldexp(abs * (double)a->scale * (4 + sqrt((double)t->width)) + 4 * fabs(s) + 4 * fabs((double)a->max[r]) + 16, -24) +
                         (t->type == MUSE_KV_TYPE_Q8 ? most / 65534 * keys * (double)a->scale : 0);
    if (isnan(want)) return isnan(got);
    if (isnan(got)) return t->may_be_nan;
    return (double)got >= want * exp(-error) - 1e-30 && (double)got <= want * exp(error) + 1e-30;
}

static void check_weights_case(Check *c, MuseAttendWeights *fn, Case *t, Mode mode)
{
    static MuseAttend *const attend_c[] = { [MUSE_KV_TYPE_F32] = muse_attend_f32_c, [MUSE_KV_TYPE_BF16] = muse_attend_bf16_c, [MUSE_KV_TYPE_Q8] = muse_attend_q8_c };
    prepare(c, t, mode);
    attend(attend_c[t->type], t, t->args, mode);
    const size_t r = check_random(c) % t->rows, first = check_random(c) % (t->n + 1), n = check_random(c) % (t->n - first + 20) + 1;
    float *w = check_out_f32(c, n);
    fn(&t->args, r, first, n, w);
    for (size_t j = 0; j < n; j++)
        if (!weight_close(t, r, first + j, w[j])) {
            printf("  row %zu position %zu: %g\n", r, first + j, (double)w[j]);
            check_true(c, false, "a weight is wrong");
            break;
        }
    for (size_t i = 0; i < 64; i++)
        if (t->scratch[MUSE_ATTEND_SCRATCH + i] != 0xff) check_true(c, false, "wrote past the scratch");
    release(c, t);
}

static void bench_weights(Check *c, MuseAttendWeights *fn, MuseKvType type)
{
    Case t = { .type = type, .rows = 1, .width = 64, .n = 320, .pages = 10 };   /* a picture behind some text */
    prepare(c, &t, DECODE);
    attend(type == MUSE_KV_TYPE_F32 ? muse_attend_f32_c : type == MUSE_KV_TYPE_BF16 ? muse_attend_bf16_c : muse_attend_q8_c, &t, t.args, DECODE);
    float *w = check_out_f32(c, 280);
    check_bench(c, "280 x 64, B", t.pages * muse_kv_head_bytes(type, 64), fn(&t.args, 0, 30, 280, w));
    release(c, &t);
}

static void check_weights_type(Check *c, CheckFn *any, MuseKvType type)
{
    static const size_t widths[] = { 1, 2, 15, 32, 64, 80, 128, 256, 512 };
    MuseAttendWeights *fn = (MuseAttendWeights *)any;
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (size_t k = 0; k < 6; k++)
            for (int mode = 0; mode <= LAST_MODE; mode++) {
                Case t = { .type = type, .rows = 1 + k, .width = widths[i], .n = 1 + check_random(c) % 150 };
                t.pages = (t.n + 31) / 32 + 1;
                t.args.softcap = (i + k + (size_t)mode) % 4 ? 0 : 5;
                check_note(c, "type=%d rows=%zu width=%zu n=%zu %s%s", (int)type, t.rows, t.width, t.n, mode_names[mode], t.args.softcap > 0 ? " softcap" : "");
                check_weights_case(c, fn, &t, (Mode)mode);
            }
    bench_weights(c, fn, type);
}

static void check_weights_f32(Check *c, CheckFn *fn) { check_weights_type(c, fn, MUSE_KV_TYPE_F32); }
static void check_weights_bf16(Check *c, CheckFn *fn) { check_weights_type(c, fn, MUSE_KV_TYPE_BF16); }
static void check_weights_q8(Check *c, CheckFn *fn) { check_weights_type(c, fn, MUSE_KV_TYPE_Q8); }

static void check_attend_f32(Check *c, CheckFn *fn) { check_attend_type(c, fn, MUSE_KV_TYPE_F32, false); }
static void check_attend_bf16(Check *c, CheckFn *fn) { check_attend_type(c, fn, MUSE_KV_TYPE_BF16, false); }
static void check_attend_bf16_bf16(Check *c, CheckFn *fn) { check_attend_type(c, fn, MUSE_KV_TYPE_BF16, true); }
static void check_attend_q8(Check *c, CheckFn *fn) { check_attend_type(c, fn, MUSE_KV_TYPE_Q8, true); }

static const CheckVariant variants[] = {
#define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name)
#include "ops/attend_kernels.inc"
#undef KERNEL
};
const CheckFamily check_attend = { "attend", variants, CHECK_COUNT(variants) };
