/* SPDX-License-Identifier: Apache-2.0 */
/* ops/matmul.h: every kernel against sums in double over the values that the kernel is given.
 *
 * Limit: |error| <= (8 + 2 sqrt(k)) 2^-24 sum|x w| in every mode, since each rounds only sums and products in f32 (integer
 * dot products are exact); the square root is how rounding errors of k terms add up, the factor leaves room. Q4_K and Q5_K
 * with 8-bit activations: steps and minima are summed apart, so |step q x| + |min x| counts, at most |w x| + 2 |min x|.
 * Denormals may count as 0: k 2^-126 max(1, |w|) more. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "ops/matmul.h"

enum { X_F32, X_BF16, X_Q8 };

typedef struct Case {
    size_t m, n, k;
    float *w, *x;        /* values as the kernel sees them, [m, k] and [n, k] */
    const float *bias;
    float *low;          /* Q4_K, Q5_K, Q5_1: minima, [m, k / 32]; else NULL */
} Case;

static bool close_to(const Case *c, const float *y, size_t stride, const float *before, double *worst)
{
    for (size_t t = 0; t < c->n; t++)
        for (size_t i = 0; i < c->m; i++) {
            double sum = c->bias ? c->bias[i] : 0, size = fabs(sum);
            for (size_t j = 0; j < c->k; j++) {
                const double p = (double)c->w[i * c->k + j] * (double)c->x[t * c->k + j];
                sum += p, size += fabs(p);
                if (c->low) size += 2 * fabs((double)c->low[(i * c->k + j) / 32] * (double)c->x[t * c->k + j]);
            }
            if (before) sum += before[t * stride + i], size += fabs(before[t * stride + i]);
            const double got = y[t * stride + i], limit = (8 + 2 * sqrt((double)c->k)) * 0x1p-24 * size + (double)c->k * 0x1p-125;
            if (isfinite(sum) ? !(fabs(got - sum) <= limit) : isnan(sum) ? !isnan(got) : got != sum) {
                *worst = fabs(got - sum) / limit;
                return false;
            }
        }
    return true;
}

/* dmin * min of each sub-block of 32 */
static float *make_minima(Check *c, const uint8_t *w, size_t blocks, size_t block_bytes)
{
    float *low = check_f32(c, 8 * blocks, CHECK_ZEROS);
    for (size_t b = 0; b < blocks; b++, w += block_bytes)
        for (unsigned j = 0; j < 8; j++) {
            uint8_t scale, min;
            muse_k_scale_min(w + 4, j, &scale, &min);
            low[8 * b + j] = muse_f16_f32((uint16_t)(w[2] | w[3] << 8)) * (float)min;
        }
    return low;
}

/* rows of random weights of a type in the order of the file, and their values in c->w */
static uint8_t *make_weights(Check *c, Case *at, unsigned type, size_t *stride)
{
    muse_weight_row_bytes(type, at->k, stride);
    MuseQuantOps ops;
    muse_quant_ops_init(&ops, 0);
    float *from = check_rand(c, at->m * at->k);
    uint8_t *w = check_u8(c, at->m * *stride, CHECK_ZEROS);
    at->w = check_f32(c, at->m * at->k, CHECK_ZEROS);
    for (size_t i = 0; i < at->m; i++) {
        check_true(c, muse_quantize(type, w + i * *stride, from + i * at->k, at->k), "weights are made");
        muse_quant_dequant(&ops, type)(at->w + i * at->k, w + i * *stride, at->k);
    }
    if (type == MUSE_WEIGHT_Q4_K || type == MUSE_WEIGHT_Q5_K)
        at->low = make_minima(c, w, at->m * at->k / MUSE_QUANT_SUPER, muse_weight_type_info(type)->bytes);
    if (type == MUSE_WEIGHT_Q5_1) {
        at->low = check_f32(c, at->m * at->k / MUSE_QUANT_BLOCK, CHECK_ZEROS);
        for (size_t b = 0; b < at->m * at->k / MUSE_QUANT_BLOCK; b++) at->low[b] = muse_f16_f32((uint16_t)(w[24 * b + 2] | w[24 * b + 3] << 8));
    }
    return w;
}

/* activations as rows of the wanted form, zero-padded, 4-byte aligned; their values in c->x */
static uint8_t *make_rows(Check *c, Case *at, int form, CheckKind kind, size_t *stride)
{
    const size_t groups = (at->k + MUSE_Q8_GROUP - 1) / MUSE_Q8_GROUP;
    const size_t padded = (at->k + MUSE_MATMUL_BF16_STEP - 1) / MUSE_MATMUL_BF16_STEP * MUSE_MATMUL_BF16_STEP;
    *stride = form == X_F32 ? 4 * at->k : form == X_BF16 ? 2 * padded : groups * sizeof(MuseQ8Group);
    at->x = check_f32(c, at->n * at->k, kind);
    uint8_t *rows = (uint8_t *)(void *)check_f32(c, at->n * *stride / 4, CHECK_ZEROS);
    for (size_t t = 0; t < at->n; t++) {
        float *x = at->x + t * at->k;
        uint8_t *row = rows + t * *stride;
        if (form == X_F32) memcpy(row, x, *stride);
        else if (form == X_BF16) muse_f32_to_bf16_c((uint16_t *)(void *)row, x, at->k);
        else muse_quant_q8_groups_c((MuseQ8Group *)(void *)row, x, at->k);
        for (size_t j = 0; j < at->k; j++) {
            const MuseQ8Group *g = (const MuseQ8Group *)(const void *)row + j / MUSE_Q8_GROUP;
            const size_t lane = muse_q8_lane(j / 32 % 16), l = j % 32;
            if (form == X_BF16) x[j] = muse_bf16_f32(((const uint16_t *)(const void *)row)[j]);
            if (form == X_Q8) x[j] = g->d[lane] * (float)g->q[l / 4][4 * lane + l % 4];
        }
    }
    return rows;
}

/* a token or a row by itself gives the bits it gives among others */
static void check_alone(Check *c, MuseMatmulRows *fn, MuseRowsArgs a, const float *y)
{
    float *alone = check_out_f32(c, a.m);
    const size_t t = a.n - 1, i = a.m - 1;
    MuseRowsArgs one = a;
    one.x = (const uint8_t *)a.x + t * a.x_stride;
    one.y = alone;
    one.n = 1;
    fn(&one);
    check_equal(c, alone, y + t * a.y_stride, a.m * sizeof *y);
    one.w = (const uint8_t *)a.w + i * a.w_stride;
    one.bias = a.bias ? a.bias + i : NULL;
    one.m = 1;
    fn(&one);
    check_equal(c, alone, y + t * a.y_stride + i, sizeof *y);
}

/* a row of NaNs leaves the rows above it alone, also where a kernel reads on into it */
static void check_neighbour(Check *c, MuseMatmulRows *fn, unsigned type, int form)
{
    const size_t block = muse_weight_type_info(type)->block;
    for (size_t k = block; k <= 3 * 256; k += block) {
        Case at = { 6, 5, k, NULL, NULL, NULL, NULL };
        check_note(c, "NaN below, k=%zu", k);
        MuseRowsArgs a = { .m = 6, .n = 5, .k = k, .y_stride = 6 };
        uint8_t *w = make_weights(c, &at, type, &a.w_stride);
        memset(w + 5 * a.w_stride, 0xff, a.w_stride);
        for (size_t j = 0; j < k; j++) at.w[5 * k + j] = NAN;
        a.w = w;
        a.x = make_rows(c, &at, form, CHECK_RANDOM, &a.x_stride);
        a.y = check_out_f32(c, 30);
        fn(&a);
        double worst = 0;
        if (!close_to(&at, a.y, 6, NULL, &worst)) check_true(c, false, "a sum is wrong");
        check_done(c);
        if (block == 1) k += 12;
    }
}

static void check_rows(Check *c, CheckFn *any, unsigned type, int form)
{
    MuseMatmulRows *fn = (MuseMatmulRows *)any;
    check_neighbour(c, fn, type, form);
    static const size_t widths[] = { 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 96, 127, 129, 160, 192, 255, 256, 288, 512, 1000, 1024, 1536 };
    static const size_t tokens[] = { 1, 2, 3, 4, 5, 7, 8, 13, 16, 17 };
    const size_t block = muse_weight_type_info(type)->block;
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (size_t s = 0; s < CHECK_COUNT(tokens); s++)
            for (int kind = 0; kind < CHECK_KINDS; kind++) {
                Case at = { 1 + (i + s) % 5, tokens[s], widths[i], NULL, NULL, NULL, NULL };
                if (at.k % block || (kind && (i + s) % 3)) continue;
                check_note(c, "m=%zu n=%zu k=%zu %s", at.m, at.n, at.k, check_kind_name((CheckKind)kind));
                MuseRowsArgs a = { .m = at.m, .n = at.n, .k = at.k, .y_stride = at.m + s % 2 };
                a.w = make_weights(c, &at, type, &a.w_stride);
                a.x = make_rows(c, &at, form, (CheckKind)kind, &a.x_stride);
                a.bias = at.bias = i % 2 ? check_rand(c, at.m) : NULL;
                a.y = check_out_f32(c, (at.n - 1) * a.y_stride + at.m);
                fn(&a);
                double worst = 0;
                if (!close_to(&at, a.y, a.y_stride, NULL, &worst)) check_true(c, false, "a sum is wrong");
                if (kind != CHECK_NAN && kind != CHECK_INFINITE) check_alone(c, fn, a, a.y);
                check_done(c);
            }
    for (size_t n = 1; n <= 16; n *= 4) {   /* in the cache: what the instructions can do */
        Case at = { 64, n, 2048, NULL, NULL, NULL, NULL };
        MuseRowsArgs a = { .m = at.m, .n = n, .k = at.k, .y_stride = at.m };
        a.w = make_weights(c, &at, type, &a.w_stride);
        a.x = make_rows(c, &at, form, CHECK_RANDOM, &a.x_stride);
        a.y = check_out_f32(c, at.m * n);
        check_bench(c, n == 1 ? "m=64 k=2048 n=1" : n == 4 ? "m=64 k=2048 n=4" : "m=64 k=2048 n=16", at.m * a.w_stride, fn(&a));
        check_done(c);
    }
}

static void check_rows_f32(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_F32, X_F32); }
static void check_rows_f16(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_F16, X_F32); }
static void check_rows_bf16(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_BF16, X_F32); }
static void check_rows_bf16_bf16(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_BF16, X_BF16); }
static void check_rows_q8_0_q8(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_Q8_0, X_Q8); }
static void check_rows_q4_0_q8(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_Q4_0, X_Q8); }
static void check_rows_q4_k_q8(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_Q4_K, X_Q8); }
static void check_rows_q5_k_q8(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_Q5_K, X_Q8); }
static void check_rows_q6_k_q8(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_Q6_K, X_Q8); }
static void check_rows_q5_0_q8(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_Q5_0, X_Q8); }
static void check_rows_q5_1_q8(Check *c, CheckFn *fn) { check_rows(c, fn, MUSE_WEIGHT_Q5_1, X_Q8); }

/* weights as tiles want them, rows up to a whole tile with other values in the extra ones */
static void fetch(Check *c, Case *at, int form, MuseTileArgs *a)
{
    const size_t rows = (at->m + MUSE_MATMUL_TILE_ROWS - 1) / MUSE_MATMUL_TILE_ROWS * MUSE_MATMUL_TILE_ROWS;
    a->w_stride = (form == X_F32 ? 4 : form == X_BF16 ? 2 : 1) * at->k + 64;
    a->scale_stride = at->k / 32 + 3;
    uint8_t *w = (uint8_t *)(void *)check_f32(c, rows * a->w_stride / 4, CHECK_RANDOM);
    float *scale = check_rand(c, rows * a->scale_stride);
    at->w = check_rand(c, at->m * at->k);
    for (size_t i = 0; i < at->m; i++)
        for (size_t j = 0; j < at->k; j++) {
            float *v = &at->w[i * at->k + j];
            uint8_t *row = w + i * a->w_stride;
            if (form == X_F32) memcpy(row + 4 * j, v, 4);
            if (form == X_BF16) {
                const uint16_t h = muse_f32_bf16(*v);
                memcpy(row + 2 * j, &h, 2);
                *v = muse_bf16_f32(h);
            }
            if (form == X_Q8) *v = scale[i * a->scale_stride + j / 32] * (float)((int)row[j] - 128);
        }
    a->w = w;
    a->w_scale = form == X_Q8 ? scale : NULL;
}

static void pack(Check *c, const Case *at, int form, const uint8_t *rows, size_t stride, MuseTileArgs *a)
{
    const size_t panels = (at->n + MUSE_MATMUL_PANEL - 1) / MUSE_MATMUL_PANEL;
    const size_t words = form == X_F32 ? at->k : form == X_BF16 ? at->k / 2 : (at->k + MUSE_Q8_GROUP - 1) / MUSE_Q8_GROUP * (sizeof(MuseQ8Group) / 4);
    a->x_panel = words * MUSE_MATMUL_PANEL * 4 + 64;
    uint8_t *x = (uint8_t *)(void *)check_f32(c, panels * a->x_panel / 4, CHECK_RANDOM);
    for (size_t p = 0; p < panels; p++) {
        const size_t left = at->n - p * MUSE_MATMUL_PANEL;
        muse_matmul_pack_c((uint32_t *)(void *)(x + p * a->x_panel), rows + p * MUSE_MATMUL_PANEL * stride, stride, words, left < 16 ? left : 16);
    }
    a->x = x;
}

static void check_tile(Check *c, CheckFn *any, int form, size_t step)
{
    MuseMatmulTile *fn = (MuseMatmulTile *)any;
    static const size_t widths[] = { 1, 2, 3, 4, 10, 32, 33, 64, 96, 128, 160, 200, 256, 384, 544, 1056 };
    static const size_t tokens[] = { 1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 65, 97 };
    static const size_t outs[] = { 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 23, 33, 51, 139 };
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (size_t s = 0; s < CHECK_COUNT(tokens); s++)
            for (int kind = 0; kind < CHECK_KINDS; kind++) {
                Case at = { outs[(i + 5 * s) % CHECK_COUNT(outs)], tokens[s], widths[i], NULL, NULL, NULL, NULL };
                if (at.k % step || (kind && (i + s) % 3)) continue;
                MuseTileArgs a = { .m = at.m, .n = at.n, .k = at.k, .y_stride = at.m + s % 3, .add = (i + s) % 2 };
                check_note(c, "m=%zu n=%zu k=%zu %s%s", at.m, at.n, at.k, check_kind_name((CheckKind)kind), a.add ? " add" : "");
                size_t stride = 0;
                fetch(c, &at, form, &a);
                const uint8_t *rows = make_rows(c, &at, form, (CheckKind)kind, &stride);
                pack(c, &at, form, rows, stride, &a);
                a.bias = at.bias = i % 2 ? check_rand(c, at.m) : NULL;
                const size_t size = (at.n - 1) * a.y_stride + at.m;
                a.y = check_out_f32(c, size);
                float *before = check_rand(c, size);
                if (a.add) memcpy(a.y, before, size * sizeof *before);
                fn(&a);
                double worst = 0;
                if (!close_to(&at, a.y, a.y_stride, a.add ? before : NULL, &worst)) check_true(c, false, "a sum is wrong");
                check_done(c);
            }
    Case at = { 64, 48, 1024, NULL, NULL, NULL, NULL };
    MuseTileArgs a = { .m = at.m, .n = at.n, .k = at.k, .y_stride = at.m };
    size_t stride = 0;
    fetch(c, &at, form, &a);
    const uint8_t *rows = make_rows(c, &at, form, CHECK_RANDOM, &stride);
    pack(c, &at, form, rows, stride, &a);
    a.y = check_out_f32(c, at.m * at.n);
    check_bench(c, "64 x 48 x 1024, Gop", 2 * 64 * 48 * 1024, fn(&a));
    check_done(c);
}

static void check_tile_f32(Check *c, CheckFn *fn) { check_tile(c, fn, X_F32, 1); }
static void check_tile_bf16(Check *c, CheckFn *fn) { check_tile(c, fn, X_BF16, 2); }
static void check_tile_q8(Check *c, CheckFn *fn) { check_tile(c, fn, X_Q8, 32); }

static void check_pack(Check *c, CheckFn *any)
{
    MuseMatmulPack *fn = (MuseMatmulPack *)any;
    for (size_t words = 1; words < 70; words += words < 34 ? 1 : 5)
        for (size_t n = 1; n <= 16; n += 1 + words % 3) {
            check_note(c, "words=%zu n=%zu", words, n);
            const size_t stride = 4 * (words + n % 3);
            const float *rows = check_rand(c, ((n - 1) * stride + 4 * words) / 4);
            float *want = check_out_f32(c, 16 * words), *got = check_out_f32(c, 16 * words);
            muse_matmul_pack_c((uint32_t *)(void *)want, rows, stride, words, n);
            fn((uint32_t *)(void *)got, rows, stride, words, n);
            for (size_t w = 0; w < words; w++)
                for (size_t t = 0; t < 16; t++) {
                    const uint32_t v = t < n ? muse_f32_bits(rows[t * stride / 4 + w]) : 0;
                    if (muse_f32_bits(want[16 * w + t]) != v) check_true(c, false, "the C version is wrong");
                }
            check_equal(c, got, want, 16 * words * sizeof *got);
            check_done(c);
        }
    const float *rows = check_rand(c, 16 * 2048);
    float *panel = check_out_f32(c, 16 * 2048);
    check_bench(c, "2048 words", 2 * 16 * 2048 * 4, fn((uint32_t *)(void *)panel, rows, 2048 * 4, 2048, 16));
    check_done(c);
}

static void check_fetch(Check *c, CheckFn *any, MuseMatmulFetchQ8 *reference, unsigned type)
{
    MuseMatmulFetchQ8 *fn = (MuseMatmulFetchQ8 *)any;
    for (size_t blocks = 1; blocks < 20; blocks++) {
        const size_t n = 32 * blocks;
        check_note(c, "n=%zu", n);
        Case at = { 1, 1, n, NULL, NULL, NULL, NULL };
        size_t stride = 0;
        const uint8_t *w = make_weights(c, &at, type, &stride);
        uint8_t *want = check_out(c, n), *got = check_out(c, n);
        float *want_d = check_out_f32(c, blocks), *got_d = check_out_f32(c, blocks);
        reference(want, want_d, w, n);
        fn(got, got_d, w, n);
        for (size_t i = 0; i < n; i++)
            if ((float)((int)want[i] - 128) * want_d[i / 32] != at.w[i]) check_true(c, false, "the C version is wrong");
        check_equal(c, got, want, n);
        check_equal(c, got_d, want_d, blocks * sizeof *got_d);
        check_done(c);
    }
}

static void check_fetch_q8_0(Check *c, CheckFn *fn) { check_fetch(c, fn, muse_fetch_q8_0_c, MUSE_WEIGHT_Q8_0); }
static void check_fetch_q4_0(Check *c, CheckFn *fn) { check_fetch(c, fn, muse_fetch_q4_0_c, MUSE_WEIGHT_Q4_0); }

static const CheckVariant variants[] = {
#define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name)
#include "ops/matmul_kernels.inc"
#undef KERNEL
};
const CheckFamily check_matmul = { "matmul", variants, CHECK_COUNT(variants) };
