/* SPDX-License-Identifier: Apache-2.0 */
/* ops/train.h one by one, every instruction set that this machine runs: forwards against plain double formulas, backwards against
 * central differences of those; bf16 tables against the f32 one on the same rounded values; products of both orientations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/dtype.h"
#include "ops/gemm.h"
#include "ops/runtime.h"
#include "ops/train.h"

enum { N = 3, D = 37, HEADS = 2, WIDTH = 10, MAX = 512 };

static MuseError err;
static float noise_at(unsigned i) { return sinf((float)i * 12.9898f) * 1.3f + 0.2f * cosf((float)i * 3.7f); }

static void fill(float *x, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) x[i] = noise_at((unsigned)i * 7 + seed * 131);
}

/* the tables of this machine */
typedef void Check(const MuseTrainOps *ops);
static void all_tables(Check *check)
{
    static const unsigned levels[] = { MUSE_CPU_C, MUSE_CPU_AVX2, MUSE_CPU_AVX512 };
    const MuseTrainOps *before = NULL;
    for (int i = 0; i < 3; i++) {
        const unsigned bits = i ? muse_cpu_detect() & muse_cpu_bits_of_level(levels[i]) : 0;
        const MuseTrainOps *ops = muse_train_ops(bits, false);
        if (ops != before) check(ops);
        before = ops;
    }
}

/* f(x) = sum_i g_i y_i(x) in double; its slope in every x must be the backward's dx */
typedef double Function(const double *x, const float *g);
static void check_slope(const char *what, Function *f, float *x, const float *g, const float *dx, size_t n)
{
    double *v = malloc(n * sizeof *v);
    for (size_t i = 0; i < n; i++) v[i] = (double)x[i];
    for (size_t i = 0; i < n; i++) {
        const double old = v[i], step = 1e-5;
        v[i] = old + step;
        const double up = f(v, g);
        v[i] = old - step;
        const double slope = (up - f(v, g)) / (2 * step);
        v[i] = old;
        /* f32 with sums of at most 64 terms of about 1: 2e-5 absolute and relative */
        if (!(fabs(slope - (double)dx[i]) <= 2e-5 * (1 + fabs(slope)))) fail_msg("%s [%zu]: backward %.8g, difference %.8g", what, i, (double)dx[i], slope);
    }
    free(v);
}

/* ---- norms: x [N, D] then w [D] ---- */

static double norm_loss(const double *x, const float *g)
{
    double loss = 0;
    const double *w = x + N * D;
    for (size_t t = 0; t < N; t++) {
        double sum = 0;
        for (size_t i = 0; i < D; i++) sum += x[t * D + i] * x[t * D + i];
        for (size_t i = 0; i < D; i++) loss += (double)g[t * D + i] * x[t * D + i] / sqrt(sum / D + 1e-3) * w[i];
    }
    return loss;
}

static void check_norm(const MuseTrainOps *ops)
{
    float x[(N + 1) * D], g[N * D], y[N * D], unit[N * D], rstd[N], dx[(N + 1) * D] = { 0 }, act[N * D];
    double want = 0, got = 0;
    fill(x, (N + 1) * D, 1);
    fill(g, N * D, 2);
    ops->norm(y, unit, rstd, x, x + N * D, N, D, 1e-3f);
    ops->norm_back(dx, act, dx + N * D, g, unit, rstd, x + N * D, N, D);
    assert_memory_equal(act, dx, sizeof act);
    double v[(N + 1) * D];
    for (size_t i = 0; i < (N + 1) * D; i++) v[i] = (double)x[i];
    want = norm_loss(v, g);
    for (size_t i = 0; i < N * D; i++) got += (double)(g[i] * y[i]);
    assert_true(fabs(got - want) < 1e-4 * (1 + fabs(want)));
    check_slope("norm", norm_loss, x, g, dx, (N + 1) * D);
}

/* w [D], b [D]; the pixels are fixed */
static float pixels[N * D];
static double layernorm_loss(const double *p, const float *g)
{
    double loss = 0;
    for (size_t t = 0; t < N; t++) {
        double mean = 0, var = 0;
        for (size_t i = 0; i < D; i++) mean += (double)pixels[t * D + i] / D;
        for (size_t i = 0; i < D; i++) var += ((double)pixels[t * D + i] - mean) * ((double)pixels[t * D + i] - mean) / D;
        for (size_t i = 0; i < D; i++) loss += (double)g[t * D + i] * (((double)pixels[t * D + i] - mean) / sqrt(var + 1e-5) * p[i] + p[D + i]);
    }
    return loss;
}

static void check_layernorm(const MuseTrainOps *ops)
{
    float p[2 * D], g[N * D], y[N * D], unit[N * D], dp[2 * D] = { 0 };
    double v[2 * D], got = 0;
    fill(pixels, N * D, 3);
    fill(p, 2 * D, 4);
    fill(g, N * D, 5);
    ops->layernorm(y, unit, pixels, p, p + D, N, D, 1e-5f);
    ops->layernorm_back(dp, dp + D, g, unit, N, D);
    for (size_t i = 0; i < 2 * D; i++) v[i] = (double)p[i];
    for (size_t i = 0; i < N * D; i++) got += (double)(g[i] * y[i]);
    assert_true(fabs(got - layernorm_loss(v, g)) < 1e-4 * (1 + fabs(got)));
    check_slope("layernorm", layernorm_loss, p, g, dp, 2 * D);
}

/* ---- heads: x [N, HEADS, WIDTH] then w [WIDTH] ---- */

static float turn_cos[N * WIDTH / 2], turn_sin[N * WIDTH / 2];
static double turn_any(const double *x, const float *g, bool normed)
{
    double loss = 0;
    const double *w = x + N * HEADS * WIDTH;
    for (size_t t = 0; t < N; t++)
        for (size_t h = 0; h < HEADS; h++) {
            const double *v = x + (t * HEADS + h) * WIDTH;
            const float *gh = g + (t * HEADS + h) * WIDTH;
            double sum = 0, u[WIDTH];
            for (size_t i = 0; i < WIDTH; i++) sum += v[i] * v[i];
            for (size_t i = 0; i < WIDTH; i++) u[i] = normed ? v[i] / sqrt(sum / WIDTH + 1e-3) * w[i] : v[i];
            for (size_t i = 0; i < WIDTH / 2; i++) {
                const double c = (double)turn_cos[t * WIDTH / 2 + i], s = (double)turn_sin[t * WIDTH / 2 + i];
                loss += (double)gh[i] * (u[i] * c - u[i + WIDTH / 2] * s) + (double)gh[i + WIDTH / 2] * (u[i + WIDTH / 2] * c + u[i] * s);
            }
        }
    return loss;
}
static double turn_normed(const double *x, const float *g) { return turn_any(x, g, true); }
static double turn_plain(const double *x, const float *g) { return turn_any(x, g, false); }

static void check_turn(const MuseTrainOps *ops)
{
    enum { ALL = N * HEADS * WIDTH };
    for (int normed = 0; normed < 2; normed++) {
        float x[ALL + WIDTH], g[ALL], y[ALL], rstd[N * HEADS], dx[ALL + WIDTH] = { 0 };
        double v[ALL + WIDTH], got = 0;
        for (int i = 0; i < N * WIDTH / 2; i++) turn_cos[i] = cosf((float)i), turn_sin[i] = sinf((float)i);
        fill(x, ALL + WIDTH, 6);
        fill(g, ALL, 7);
        const float *w = normed ? x + ALL : NULL;
        ops->turn(y, HEADS * WIDTH, rstd, x, HEADS * WIDTH, w, turn_cos, turn_sin, N, HEADS, WIDTH, 1e-3f);
        memcpy(dx, g, sizeof g);   /* in place */
        ops->turn_back(dx, HEADS * WIDTH, dx + ALL, dx, HEADS * WIDTH, x, HEADS * WIDTH, rstd, w, turn_cos, turn_sin, N, HEADS, WIDTH);
        for (size_t i = 0; i < ALL + WIDTH; i++) v[i] = (double)x[i];
        for (size_t i = 0; i < ALL; i++) got += (double)(g[i] * y[i]);
        assert_true(fabs(got - turn_any(v, g, normed)) < 1e-4 * (1 + fabs(got)));
        check_slope("turn", normed ? turn_normed : turn_plain, x, g, dx, normed ? ALL + WIDTH : ALL);
    }
}

/* ---- MLP ---- */

static double relu2_loss(const double *u, const float *g)
{
    double loss = 0;
    for (size_t i = 0; i < N * D; i++) loss += (double)g[i] * (u[i] > 0 ? u[i] * u[i] : 0);
    return loss;
}

static double silu_loss(const double *gu, const float *g)
{
    double loss = 0;
    for (size_t t = 0; t < N; t++)
        for (size_t i = 0; i < D; i++) loss += (double)g[t * D + i] * gu[2 * t * D + i] / (1 + exp(-gu[2 * t * D + i])) * gu[2 * t * D + D + i];
    return loss;
}

static double bias_loss(const double *b, const float *g)
{
    double loss = 0;
    for (size_t i = 0; i < N * D; i++) loss += (double)g[i] * b[i % D];
    return loss;
}

static void check_mlp(const MuseTrainOps *ops)
{
    float u[2 * N * D], g[N * D], y[N * D], du[2 * N * D], db[D] = { 0 }, zero[N * D] = { 0 }, b[D];
    double v[2 * N * D], got = 0;
    fill(u, 2 * N * D, 8);
    fill(g, N * D, 9);
    fill(b, D, 10);
    for (size_t i = 0; i < 2 * N * D; i++) v[i] = (double)u[i];
    ops->relu2(y, u, N * D);
    for (size_t i = 0; i < N * D; i++) got += (double)(g[i] * y[i]);
    assert_true(fabs(got - relu2_loss(v, g)) < 1e-4 * (1 + fabs(got)));
    memcpy(du, g, sizeof g);
    ops->relu2_back(du, du, u, N * D);
    check_slope("relu2", relu2_loss, u, g, du, N * D);
    u[0] = -80, u[1] = 40, v[0] = -80, v[1] = 40;   /* where exp ends */
    ops->silu(y, u, N, D);
    got = 0;
    for (size_t i = 0; i < N * D; i++) got += (double)(g[i] * y[i]);
    assert_true(fabs(got - silu_loss(v, g)) < 1e-4 * (1 + fabs(got)));
    ops->silu_back(du, g, u, N, D);
    check_slope("silu", silu_loss, u, g, du, 2 * N * D);
    ops->bias(zero, b, N, D);
    for (size_t i = 0; i < N * D; i++) assert_true(zero[i] == b[i % D]);
    ops->bias_back(db, g, N, D);
    check_slope("bias", bias_loss, b, g, db, D);
}

/* ---- attention weights: s [N, COLS]; y = p / sum ---- */

enum { COLS = 40, STRIDE = 48 };
static const MuseSeen seen[N] = { { 0, 5, 9, 30 }, { 3, 40, 40, 40 }, { 0, 0, 17, 18 } };
static const float attend_scale = 0.7f;

static bool sees(size_t t, size_t i) { return (i >= seen[t].lo0 && i < seen[t].hi0) || (i >= seen[t].lo1 && i < seen[t].hi1); }

static double weights_loss(const double *s, const float *g)
{
    double loss = 0;
    for (size_t t = 0; t < N; t++) {
        double sum = 0;
        for (size_t i = 0; i < COLS; i++) sum += sees(t, i) ? exp(s[t * STRIDE + i] * (double)attend_scale) : 0;
        for (size_t i = 0; i < COLS; i++) loss += sees(t, i) ? (double)g[t * STRIDE + i] * exp(s[t * STRIDE + i] * (double)attend_scale) / sum : 0;
    }
    return loss;
}

static void check_weights(const MuseTrainOps *ops)
{
    float s[N * STRIDE], work[N * STRIDE], g[N * STRIDE], p[N * STRIDE], p2[N * STRIDE], ds[N * STRIDE] = { 0 }, inv[N], lse[N], delta[N];
    fill(s, N * STRIDE, 11);
    fill(g, N * STRIDE, 12);
    for (int i = 0; i < N * STRIDE; i++) s[i] *= 20, p[i] = p2[i] = 99;
    memcpy(work, s, sizeof s);
    ops->weights(p, inv, lse, work, seen, N, COLS, STRIDE, attend_scale);
    for (size_t t = 0; t < N; t++) {
        double sum = 0;
        delta[t] = 0;
        for (size_t i = 0; i < COLS; i++) {
            if (!sees(t, i)) assert_true(p[t * STRIDE + i] == 0);
            sum += (double)(p[t * STRIDE + i] * inv[t]);
            delta[t] += g[t * STRIDE + i] * p[t * STRIDE + i] * inv[t];
        }
        assert_true(fabs(sum - 1) < 1e-5);
    }
    ops->weights_back(p2, ds, s, g, lse, delta, NULL, seen, N, COLS, STRIDE, attend_scale);
    for (size_t i = 0; i < N * STRIDE; i++)
        if (i % STRIDE < COLS) assert_true(fabsf(p2[i] - p[i] * inv[i / STRIDE]) < 1e-5f);
    for (int i = 0; i < N * STRIDE; i++) ds[i] = i % STRIDE < COLS ? ds[i] : 0;
    check_slope("weights", weights_loss, s, g, ds, N * STRIDE);
    const MuseSeen none[1] = { { 7, 7, 7, 7 } };
    ops->weights(p, inv, lse, work, none, 1, COLS, STRIDE, attend_scale);
    assert_true(inv[0] == 0 && lse[0] == 0 && p[7] == 0);
}

/* ---- loss: logits [N, D] then bias [D] ---- */

static const float half[] = { 0.2f, 0.5f, 0.3f };
static MuseSoftTarget targets[N];
static float cap;
static double cross_loss(const double *z, const float *g)
{
    double loss = 0;
    (void)g;
    for (size_t t = 0; t < N; t++) {
        double sum = 0;
        for (int pass = 0; pass < 2; pass++)
            for (size_t i = 0; i < D; i++) {
                double v = z[t * D + i] + z[N * D + i];
                if (cap > 0) v = (double)cap * tanh(v / (double)cap);
                if (pass == 0) sum += exp(v);
                else if (i >= targets[t].first && i < targets[t].first + targets[t].n) loss += (double)targets[t].weight * (double)targets[t].p[i - targets[t].first] * (log(sum) - v);
            }
    }
    return loss;
}

static void check_cross_entropy(const MuseTrainOps *ops)
{
    for (int capped = 0; capped < 2; capped++) {
        float z[(N + 1) * D], dz[(N + 1) * D] = { 0 }, loss[N];
        uint8_t hit[N];
        double v[(N + 1) * D], got = 0;
        cap = capped ? 3.0f : 0;
        fill(z, (N + 1) * D, 13);
        targets[0] = (MuseSoftTarget){ 4, 3, half, 1.5f };
        targets[1] = (MuseSoftTarget){ 0 };
        targets[2] = (MuseSoftTarget){ 36, 1, half + 1, 0.5f };
        const float one = 1;
        targets[2].p = &one;
        ops->cross_entropy(dz, loss, hit, z, z + N * D, targets, N, D, cap);
        ops->bias_back(dz + N * D, dz, N, D);
        for (size_t i = 0; i < (N + 1) * D; i++) v[i] = (double)z[i];
        for (size_t t = 0; t < N; t++) got += (double)(loss[t] * targets[t].weight);
        assert_true(fabs(got - cross_loss(v, NULL)) < 1e-4 * (1 + fabs(got)));
        check_slope("cross-entropy", cross_loss, z, NULL, dz, (N + 1) * D);
    }
}

/* ---- optimiser steps against their formulas ---- */

static void check_steps(const MuseTrainOps *ops)
{
    float w[D], m[D], v[D], g[D], y[D], work[D], w0[D], m0[D], v0[D];
    fill(w, D, 14);
    fill(m, D, 15);
    fill(g, D, 16);
    for (int i = 0; i < D; i++) v[i] = 0.1f + 0.01f * (float)i;
    memcpy(w0, w, sizeof w), memcpy(m0, m, sizeof m), memcpy(v0, v, sizeof v);
    ops->adam(work, w, m, v, g, D, 0.5f, 0.01f, 0.001f, 0.9f, 0.98f, 1e-8f, 1.7f, 2.5f);
    for (int i = 0; i < D; i++) {
        const double d = 0.5 * (double)g[i], mi = 0.9 * (double)m0[i] + 0.1 * d, vi = 0.98 * (double)v0[i] + 0.02 * d * d;
        const double want = (double)w0[i] * 0.999 - 0.01 * mi * 1.7 / (sqrt(vi * 2.5) + 1e-8);
        assert_true(fabs((double)w[i] - want) < 1e-6 && work[i] == w[i]);
    }
    double sum = 0;
    memcpy(m0, m, sizeof m);
    const double got = ops->momentum(y, m, g, D, 0.5f, 0.95f);
    for (int i = 0; i < D; i++) {
        const double d = 0.5 * (double)g[i], mi = 0.95 * (double)m0[i] + d;
        assert_true(fabs((double)y[i] - (0.95 * mi + d)) < 1e-6);
        sum += (double)y[i] * (double)y[i];
    }
    assert_true(fabs(got - sum) < 1e-5 * sum && fabs(ops->sum_squares(y, D) - sum) < 1e-5 * sum);
    memcpy(w0, w, sizeof w);
    ops->descend(work, w, y, D, 0.1f, 0.01f);
    for (int i = 0; i < D; i++) assert_true(fabs((double)w[i] - ((double)w0[i] * 0.99 - 0.1 * (double)y[i])) < 1e-6);
    memcpy(w0, w, sizeof w);
    ops->average(w, y, D, 0.75f);
    ops->mix(work, y, g, D, 2, -3);
    for (int i = 0; i < D; i++) assert_true(fabs((double)w[i] - (0.75 * (double)w0[i] + 0.25 * (double)y[i])) < 1e-6 && fabs((double)work[i] - (2 * (double)y[i] - 3 * (double)g[i])) < 1e-5);
}

#define TEST(name) static void test_##name(void **state) { (void)state; all_tables(check_##name); }
TEST(norm)
TEST(layernorm)
TEST(turn)
TEST(mlp)
TEST(weights)
TEST(cross_entropy)
TEST(steps)

/* ---- bf16 against f32 on values that bf16 holds: one rounding at the end, 2^-8 of the value ---- */

static void round_all(float *x, MuseBf16 *h, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = muse_bf16_f32(h[i] = muse_f32_bf16(x[i]));
}

static void near_bf16(const char *what, const MuseBf16 *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(muse_bf16_f32(got[i]) - want[i]) <= 0.005f * fabsf(want[i]) + 1e-6f)) fail_msg("%s [%zu]: %g, f32 has %g", what, i, (double)muse_bf16_f32(got[i]), (double)want[i]);
}

static void near_f32(const char *what, const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-5f * (1 + fabsf(want[i])))) fail_msg("%s [%zu]: %g, f32 has %g", what, i, (double)got[i], (double)want[i]);
}

/* the bf16 table h against the f32 one f, on values that bf16 holds exactly */
static void check_bf16_back(const MuseTrainOps *f, const MuseTrainOps *h, const float *x, const MuseBf16 *xh, const float *dy, const MuseBf16 *dyh, const float *w)
{
    enum { WIDE = 36, ROWS = 3 };
    const float r[ROWS] = { 0.5f, 2, 1.25f };
    float dx[N * D], dx2[N * D], act[N * D], dw[D] = { 0 }, dw2[D] = { 0 }, y[ROWS * WIDE], cs[ROWS * WIDE / 2], sn[ROWS * WIDE / 2], r1[ROWS], r2[ROWS];
    MuseBf16 acth[N * D], yh[ROWS * WIDE];
    for (int gain = 0; gain < 2; gain++) {
        fill(dx, N * D, 23);
        memcpy(dx2, dx, sizeof dx);
        f->norm_back(dx, act, gain ? dw : NULL, dy, x, r, gain ? w : NULL, N, D);
        h->norm_back(dx2, acth, gain ? dw2 : NULL, dy, xh, r, gain ? w : NULL, N, D);
        near_f32("norm_back", dx2, dx, N * D), near_f32("norm_back, gain", dw2, dw, D), near_bf16("norm_back, act", acth, dx2, N * D);
    }
    for (size_t i = 0; i < ROWS * WIDE / 2; i++) cs[i] = cosf(0.7f * (float)i), sn[i] = sinf(0.7f * (float)i);
    for (int gain = 0; gain < 2; gain++) {
        float dw3[WIDE] = { 0 }, dw4[WIDE] = { 0 };
        f->turn(y, WIDE, r1, x, WIDE, gain ? w : NULL, cs, sn, ROWS, 1, WIDE, 1e-5f), h->turn(yh, WIDE, r2, xh, WIDE, gain ? w : NULL, cs, sn, ROWS, 1, WIDE, 1e-5f);
        near_bf16("turn", yh, y, ROWS * WIDE);
        if (gain) near_f32("turn, rstd", r2, r1, ROWS);
        f->turn_back(y, WIDE, dw3, dy, WIDE, x, WIDE, r, gain ? w : NULL, cs, sn, ROWS, 1, WIDE);
        memcpy(yh, dyh, sizeof yh);   /* in place */
        h->turn_back(yh, WIDE, dw4, yh, WIDE, xh, WIDE, r, gain ? w : NULL, cs, sn, ROWS, 1, WIDE);
        near_bf16("turn_back", yh, y, ROWS * WIDE), near_f32("turn_back, gain", dw4, dw3, WIDE);
    }
    f->mix(act, x, dy, N * D, 2, -3), h->mix(acth, x, dy, N * D, 2, -3), near_bf16("mix", acth, act, N * D);
    f->dots(r1, x, D, dy, D, N, D - 1), h->dots(r2, xh, D, dyh, D, N, D - 1), near_f32("dots", r2, r1, N);
}

static void check_bf16_attention(const MuseTrainOps *f, const MuseTrainOps *h, const float *s, const float *dp)
{
    static const MuseSeen ranges[] = { { 2, 20, 20, 37 }, { 0, 17, 30, 31 }, { 5, 5, 5, 5 } };
    float p[N * D], ds[N * D], inv[N], inv2[N], lse[N], lse2[N], delta[N] = { 0.1f, -0.2f, 0 }, extra[N * D];
    MuseBf16 ph[N * D], dsh[N * D];
    fill(extra, N * D, 24);
    f->weights(p, inv, lse, s, ranges, N, D, D, 0.5f), h->weights(ph, inv2, lse2, s, ranges, N, D, D, 0.5f);
    near_bf16("weights", ph, p, N * D), near_f32("weights, sums", inv2, inv, N), near_f32("weights, lse", lse2, lse, N);
    for (int more = 0; more < 2; more++) {
        f->weights_back(p, ds, s, dp, lse, delta, more ? extra : NULL, ranges, N, D, D, 0.5f), h->weights_back(ph, dsh, s, dp, lse, delta, more ? extra : NULL, ranges, N, D, D, 0.5f);
        near_bf16("weights_back", ph, p, N * D), near_bf16("weights_back, ds", dsh, ds, N * D);
    }
}

static void check_bf16_loss(const MuseTrainOps *f, const MuseTrainOps *h, const float *z)
{
    const float share[] = { 0.25f, 0.5f, 0.25f };
    const MuseSoftTarget wanted[] = { { 3, 3, share, 2 }, { 36, 1, share, -0.5f }, { 0 } };
    float dl[N * D], loss[N], loss2[N], bias[D];
    MuseBf16 dlh[N * D];
    uint8_t hit[N], hit2[N];
    fill(bias, D, 25);
    for (int k = 0; k < 3; k++) {
        const float *b = k == 1 ? bias : NULL, most = k == 2 ? 3 : 0;
        f->cross_entropy(dl, loss, hit, z, b, wanted, N, D, most), h->cross_entropy(dlh, loss2, hit2, z, b, wanted, N, D, most);
        near_bf16("cross_entropy", dlh, dl, N * D), near_f32("cross_entropy, loss", loss2, loss, N);
        assert_memory_equal(hit, hit2, N);
    }
}

static void test_bf16_tables(void **state)
{
    (void)state;
    static const unsigned levels[] = { MUSE_CPU_C, MUSE_CPU_AVX2, MUSE_CPU_AVX512, MUSE_CPU_AVX512 };
    if (!(muse_cpu_detect() & MUSE_X86_BF16)) print_message("not run: the tables with AVX512_BF16, which this CPU has not\n");
    for (int k = 0; k < 4; k++) {   /* the last with and without AVX512_BF16 */
        const unsigned bits = k ? muse_cpu_detect() & muse_cpu_bits_of_level(levels[k]) & (k == 2 ? ~(unsigned)MUSE_X86_BF16 : ~0u) : 0;
        const MuseTrainOps *f = muse_train_ops(bits, false), *h = muse_train_ops(bits, true);
        float x[2 * N * D], y[2 * N * D], dy[N * D], back[N * D], w[D], r[N], r2[N], unit[N * D];
        MuseBf16 xh[2 * N * D], yh[2 * N * D], dyh[N * D], unith[N * D];
        fill(x, 2 * N * D, 20);
        fill(dy, N * D, 21);
        fill(w, D, 22);
        round_all(x, xh, 2 * N * D);
        round_all(dy, dyh, N * D);
        assert_int_equal(h->act_bytes, 2);
        h->load(back, xh, N * D);
        assert_memory_equal(back, x, sizeof back);
        f->relu2(y, x, N * D), h->relu2(yh, xh, N * D), near_bf16("relu2", yh, y, N * D);
        f->relu2_back(y, dy, x, N * D), h->relu2_back(yh, dyh, xh, N * D), near_bf16("relu2_back", yh, y, N * D);
        f->silu(y, x, N, D), h->silu(yh, xh, N, D), near_bf16("silu", yh, y, N * D);
        f->silu_back(y, dy, x, N, D), h->silu_back(yh, dyh, xh, N, D), near_bf16("silu_back", yh, y, 2 * N * D);
        f->norm(y, unit, r, x, w, N, D, 1e-5f), h->norm(yh, unith, r2, x, w, N, D, 1e-5f), near_bf16("norm", yh, y, N * D), near_bf16("unit", unith, unit, N * D);
        f->store_scaled(y, D, x, D, r, N, D), h->store_scaled(yh, D, x, D, r, N, D), near_bf16("store_scaled", yh, y, N * D);
        check_bf16_back(f, h, x, xh, dy, dyh, w);
        check_bf16_attention(f, h, x, dy);
        check_bf16_loss(f, h, x);
    }
}

/* ---- products ---- */

static double product_at(const MuseGemmArgs *g, const float *a, const float *b, size_t i, size_t j, double *size)
{
    double sum = 0;
    *size = 0;
    for (size_t s = 0; s < g->k; s++) {
        const double term = (double)(g->turn_a ? a[s * g->lda + i] : a[i * g->lda + s]) * (double)(g->turn_b ? b[j * g->ldb + s] : b[s * g->ldb + j]);
        sum += term;
        *size += fabs(term);
    }
    return sum;
}

/* one product on a lane of a runtime; what lies beside C must stay */
static void check_product(size_t m, size_t n, size_t k, int kind, uint32_t level, size_t lane)
{
    const bool turn_a = kind & 1, turn_b = kind & 2, add = kind & 4, bf16 = kind & 8, c_bf16 = kind & 16;
    const size_t lda = (turn_a ? m : k) + 3, ldb = (turn_b ? k : n) + 5, ldc = n + 1, n_a = lda * (turn_a ? k : m), n_b = ldb * (turn_b ? n : k);
    float *a = calloc(n_a, sizeof *a), *b = calloc(n_b, sizeof *b), *before = calloc(m * ldc, sizeof *before), *y = calloc(m * ldc, sizeof *y);
    MuseBf16 *ah = calloc(n_a, sizeof *ah), *bh = calloc(n_b, sizeof *bh);
    MuseRuntimeParams p;
    MuseRuntime *rt;
    MuseGemm *g;
    muse_runtime_params_init(&p);
    p.threads = 2;
    p.cpu_level = level;
    assert_int_equal(muse_runtime_open(&rt, &p, &err), 0);
    assert_int_equal(muse_gemm_open(&g, rt, &err), 0);
    fill(a, n_a, 30);
    fill(b, n_b, 31);
    fill(before, m * ldc, 32);
    if (bf16) round_all(a, ah, n_a), round_all(b, bh, n_b);
    const MuseGemmArgs args = { m, n, k, bf16 ? (void *)ah : a, bf16 ? (void *)bh : b, y, lda, ldb, ldc, turn_a, turn_b, add, bf16, c_bf16 };
    for (int repeat = 0; repeat < 2; repeat++) {   /* made, then found again */
        memcpy(y, before, m * ldc * sizeof *y);
        muse_gemm_run(g, lane, &args);
    }
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < ldc; j++) {
            const double was = c_bf16 ? (double)muse_bf16_f32(((MuseBf16 *)before)[i * ldc + j]) : (double)before[i * ldc + j];
            const double got = c_bf16 ? (double)muse_bf16_f32(((MuseBf16 *)y)[i * ldc + j]) : (double)y[i * ldc + j];
            if (j == n) {
                assert_true(got == was || (isnan(got) && isnan(was)));
                continue;
            }
            double size;
            const double old = add ? was : 0, sum = product_at(&args, a, b, i, j, &size) + old;
            if (!(fabs(sum - got) <= 3e-6 * (size + fabs(old)) + (c_bf16 ? fabs(sum) / 256 : 0)))
                fail_msg("%zu x %zu x %zu, kind %d, level %u, lane %zu, [%zu, %zu]: %g, want %g", m, n, k, kind, level, lane, i, j, got, sum);
        }
    muse_gemm_close(&g);
    muse_runtime_close(&rt);
    void *const blocks[] = { a, b, before, y, ah, bh };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
}

static void test_products(void **state)
{
    (void)state;
    /* tails of tiles, odd k; several pieces of k, panels of B, blocks of a turned A; more than a block of B */
    static const struct { size_t m, n, k; } shapes[] = { { 33, 20, 47 }, { 33, 20, 46 }, { 1, 1, 2 }, { 5, 65, 1 }, { 13, 150, 64 }, { 250, 70, 1100 }, { 2, 1500, 520 }, { 7, 3, 6000 } };
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int kind = 0; kind < 24; kind++) {
            if (kind >= 16 && (kind & 4)) continue;      /* C in bf16 is not added to */
            const int k = kind < 16 ? kind : kind + 8;   /* and comes of bf16 only */
            const bool large = shapes[s].m * shapes[s].n * shapes[s].k > 1 << 16;
            check_product(shapes[s].m, shapes[s].n, shapes[s].k, k, MUSE_CPU_AUTO, 0);
            check_product(shapes[s].m, shapes[s].n, shapes[s].k, k, MUSE_CPU_AUTO, 1);
            if (!large) check_product(shapes[s].m, shapes[s].n, shapes[s].k, k, MUSE_CPU_C, 0);
        }
}

#if MUSE_HAVE_AVX512
/* The own kernel by itself: it takes the shapes that gemm.h says, writes nothing of the others, and rows are the same in three ranges */
static void test_own_products(void **state)
{
    (void)state;
    enum { M = 37, N_OWN = 70, K_MOST = 1100 };
    static MuseBf16 a[(K_MOST + 3) * (M + 3) + K_MOST * M], b[K_MOST * (N_OWN + 3)];
    static float x[(K_MOST + 3) * (M + 3) + K_MOST * M], whole[M * N_OWN], parts[M * N_OWN];
    if (!(muse_cpu_detect() & MUSE_X86_BF16)) skip();
    fill(x, sizeof x / sizeof *x, 33);
    round_all(x, a, sizeof a / sizeof *a);
    round_all(x, b, sizeof b / sizeof *b);
    void *room = aligned_alloc(64, MUSE_GEMM_ROOM);
    static const size_t depths[] = { 1, 2, 46, 47, K_MOST };
    for (int kind = 0; kind < 4; kind++)
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
            const bool turn_a = kind & 1, turn_b = kind & 2;
            const size_t k = depths[d];
            MuseGemmArgs g = { M, N_OWN, k, a, b, whole, turn_a ? M : k, turn_b ? k : N_OWN, N_OWN, turn_a, turn_b, false, true, false };
            memset(whole, 0x7f, sizeof whole);
            memcpy(parts, whole, sizeof parts);
            const bool takes = turn_a || k % 2 == 0;
            if (muse_gemm_bf16_avx512bf16(&g, 0, M, room) != takes) fail_msg("kind %d, k %zu: not %s", kind, k, takes ? "taken" : "declined");
            if (!takes) assert_memory_equal(whole, parts, sizeof whole);
            g.c = parts;
            for (size_t p = 0; p < 3; p++) muse_gemm_bf16_avx512bf16(&g, M * p / 3, M * (p + 1) / 3, room);
            assert_memory_equal(whole, parts, sizeof whole);
        }
    free(room);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#if MUSE_HAVE_AVX512
        cmocka_unit_test(test_own_products),
#endif
        cmocka_unit_test(test_norm), cmocka_unit_test(test_layernorm), cmocka_unit_test(test_turn), cmocka_unit_test(test_mlp), cmocka_unit_test(test_weights),
        cmocka_unit_test(test_cross_entropy), cmocka_unit_test(test_steps), cmocka_unit_test(test_bf16_tables), cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
