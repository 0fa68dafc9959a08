/* SPDX-License-Identifier: Apache-2.0 */
/* ops/act.h against its definition in long double. */
#include "check.h"

#include <math.h>
#include <string.h>

#include "ops/act.h"

static const size_t widths[] = { 1, 2, 7, 8, 9, 15, 16, 17, 33, 100, 1000 };
enum { BENCH = 8192 };

/* The exponent of the gate: silu and gelu are x / (1 + exp(-z)). */
static long double silu_z(long double x) { return x; }
static long double gelu_z(long double x) { return 2 * sqrtl(2 / acosl(-1)) * (x + 0.044715L * x * x * x); }

/* Limit in ulp: 4 for the last steps, and for negative z what rounding of z in f32 does to exp(z). Below the least normal
 * result for the u at hand nothing is asked. */
static void check_gate(Check *c, const float *got, const float *g, const float *u, size_t n, long double (*z_of)(long double))
{
    for (size_t i = 0; i < n; i++) {
        const long double z = z_of(g[i]);
        const long double gate = g[i] / (1 + expl(-z));
        const float want = (float)(gate * u[i]);
        if (isinf(u[i]) && fabsl(gate) < 1e-35L) continue;   /* the gate may be 0, the product NaN */
        const double limit = 4 + (z < 0 ? 3 * fmin((double)-z, 200) : 0);
        if (!check_close(c, got + i, &want, 1, limit, fmaxf(1e-35f, 1e-35f * fabsf(u[i])))) return;
    }
}

static void check_mul(Check *c, MuseActMul *fn, long double (*z_of)(long double))
{
    static const float ranges[] = { 1, 8, 120 };
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++)
            for (int form = 0; form < 9; form++) {   /* three ranges; y apart, y is g, y is u */
                const size_t n = widths[i];
                const float range = ranges[form / 3];
                check_note(c, "n=%zu %s times %g, form %d", n, check_kind_name((CheckKind)kind), (double)range, form % 3);
                float *g = check_f32(c, n, (CheckKind)kind), *u = check_f32(c, n, kind % 2 ? CHECK_RANDOM : (CheckKind)kind), *y = check_out_f32(c, n);
                for (size_t j = 0; j < n; j++) g[j] *= range;
                if (form % 3) memcpy(y, form % 3 == 1 ? g : u, n * sizeof *y);
                fn(y, form % 3 == 1 ? y : g, form % 3 == 2 ? y : u, n);
                check_gate(c, y, g, u, n, z_of);
                check_done(c);
            }
    float *g = check_rand(c, BENCH), *u = check_rand(c, BENCH), *y = check_out_f32(c, BENCH);
    check_bench(c, "n=8192", 12 * BENCH, fn(y, g, u, BENCH));
    check_done(c);
}

static void check_silu_mul(Check *c, CheckFn *any) { check_mul(c, (MuseActMul *)any, silu_z); }
static void check_gelu_tanh_mul(Check *c, CheckFn *any) { check_mul(c, (MuseActMul *)any, gelu_z); }

static void check_relu2(Check *c, CheckFn *any)
{
    MuseActRelu2 *fn = (MuseActRelu2 *)any;
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++) {
            const size_t n = widths[i];
            check_note(c, "n=%zu %s", n, check_kind_name((CheckKind)kind));
            const float *x = check_f32(c, n, (CheckKind)kind);
            float *want = check_out_f32(c, n), *got = check_out_f32(c, n), *same = check_out_f32(c, n);
            for (size_t j = 0; j < n; j++) want[j] = isnan(x[j]) ? NAN : x[j] > 0 ? x[j] * x[j] : 0;
            memcpy(same, x, n * sizeof *x);
            fn(got, x, n);
            fn(same, same, n);
            check_close(c, got, want, n, 0, 1e-40f);
            check_close(c, same, want, n, 0, 1e-40f);
            check_done(c);
        }
    const float *x = check_rand(c, BENCH);
    float *y = check_out_f32(c, BENCH);
    check_bench(c, "n=8192", 8 * BENCH, fn(y, x, BENCH));
    check_done(c);
}

/* Limit 5 ulp: a division, the tanh (3), a product; small x keep their digits, so the unit is that of the result. */
static void check_softcap(Check *c, CheckFn *any)
{
    MuseActSoftcap *fn = (MuseActSoftcap *)any;
    static const float caps[] = { 30, 0.7f, 1e-3f };
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++)
            for (size_t k = 0; k < CHECK_COUNT(caps); k++) {
                const size_t n = widths[i];
                check_note(c, "n=%zu %s cap=%g", n, check_kind_name((CheckKind)kind), (double)caps[k]);
                const float *x = check_f32(c, n, (CheckKind)kind);
                float *want = check_out_f32(c, n), *got = check_out_f32(c, n), *same = check_out_f32(c, n);
                for (size_t j = 0; j < n; j++) want[j] = (float)(caps[k] * tanhl((long double)x[j] / caps[k]));
                memcpy(same, x, n * sizeof *x);
                fn(got, x, n, caps[k]);
                fn(same, same, n, caps[k]);
                check_close(c, got, want, n, 5, 1e-30f);
                check_close(c, same, want, n, 5, 1e-30f);
                check_done(c);
            }
    const float *x = check_rand(c, BENCH);
    float *y = check_out_f32(c, BENCH);
    check_bench(c, "n=8192", 8 * BENCH, fn(y, x, BENCH, 30));
    check_done(c);
}

static void check_add_scaled(Check *c, CheckFn *any)
{
    MuseActAdd *fn = (MuseActAdd *)any;
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++) {
            const size_t n = widths[i];
            check_note(c, "n=%zu %s", n, check_kind_name((CheckKind)kind));
            const float *x = check_f32(c, n, (CheckKind)kind), *before = check_rand(c, n);
            float *want = check_out_f32(c, n), *got = check_out_f32(c, n);
            for (size_t j = 0; j < n; j++) {
                const volatile float sum = before[j] + x[j];   /* rounded before the product */
                want[j] = sum * 0.3f;
            }
            memcpy(got, before, n * sizeof *got);
            fn(got, x, n, 0.3f);
            check_close(c, got, want, n, 0, 1e-40f);
            check_done(c);
        }
    const float *x = check_rand(c, BENCH);
    float *y = check_out_f32(c, BENCH);
    memset(y, 0, BENCH * sizeof *y);
    check_bench(c, "n=8192", 12 * BENCH, fn(y, x, BENCH, 0.5f));
    check_done(c);
}

static const CheckVariant variants[] = {
#define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name)
#include "ops/act_kernels.inc"
#undef KERNEL
};
const CheckFamily check_act = { "act", variants, CHECK_COUNT(variants) };
