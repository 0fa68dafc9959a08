/* SPDX-License-Identifier: Apache-2.0 */
/* ops/norm.h against its definition. */
#include "check.h"

#include <math.h>
#include <string.h>

#include "ops/norm.h"

/* The definition once more, by sums of squares in long double, so that the C version is checked too. */
static void reference(float *y, const float *x, const float *w, const float *b, size_t n, size_t d, float eps)
{
    for (size_t t = 0; t < n; t++, x += d, y += d) {
        long double sum = 0, squares = 0;
        for (size_t i = 0; i < d; i++) {
            sum += x[i];
            squares += (long double)x[i] * x[i];
        }
        const long double mean = sum / (long double)d, var = squares / (long double)d - mean * mean;
        for (size_t i = 0; i < d; i++) y[i] = (float)((x[i] - mean) / sqrtl((var > 0 || var != var ? var : 0) + (long double)eps) * w[i] + b[i]);
    }
}

/* Limit in ulp: rounding of the last steps and, in d, of sums whose terms are rounded to f32. Near zero the unit is that of
 * the bias (1 here), where cancellation between the two terms leaves what rounding there was; and a mean far above the
 * spread costs the digits it occupies. */
static void check_layernorm_f32(Check *c, CheckFn *any)
{
    MuseLayernormF32 *fn = (MuseLayernormF32 *)any;
    static const size_t widths[] = { 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1000, 4096 };
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++)
            for (int in_place = 0; in_place < 2; in_place++) {
                const size_t n = 3, d = widths[i];
                check_note(c, "n=3 d=%zu %s%s", d, check_kind_name((CheckKind)kind), in_place ? " in place" : "");
                const float *x = check_f32(c, n * d, (CheckKind)kind), *w = check_rand(c, d), *b = check_rand(c, d);
                float *want = check_out_f32(c, n * d), *got = check_out_f32(c, n * d);
                reference(want, x, w, b, n, d, 1e-6f);
                if (in_place) memcpy(got, x, n * d * sizeof *x);
                fn(got, in_place ? got : x, w, b, n, d, 1e-6f);
                check_close(c, got, want, n * d, 8 + sqrt((double)d) / 8, 1.0f);
                if (kind == CHECK_RANDOM && d >= 1000 && !in_place)
                    check_bench(c, d == 1000 ? "n=3 d=1000" : "n=3 d=4096", 8 * n * d, fn(got, x, w, b, n, d, 1e-6f));
                check_done(c);
            }
}

static void check_rmsnorm_f32(Check *c, CheckFn *any)
{
    MuseRmsnormF32 *fn = (MuseRmsnormF32 *)any;
    static const size_t widths[] = { 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1000, 4096 };
    for (size_t i = 0; i < CHECK_COUNT(widths); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++)
            for (int form = 0; form < 4; form++) {   /* in place, without weights */
                const size_t n = 3, d = widths[i], stride = d + (size_t)(form & 2);
                check_note(c, "n=3 d=%zu %s form %d", d, check_kind_name((CheckKind)kind), form);
                const float *x = check_f32(c, n * stride, (CheckKind)kind), *w = form & 2 ? NULL : check_rand(c, d);
                float *want = check_out_f32(c, n * stride), *got = check_out_f32(c, n * stride);
                memcpy(want, x, n * stride * sizeof *x);
                memcpy(got, x, n * stride * sizeof *x);
                for (size_t t = 0; t < n; t++) {
                    long double squares = 0;
                    for (size_t j = 0; j < d; j++) squares += (long double)x[t * stride + j] * x[t * stride + j];
                    for (size_t j = 0; j < d; j++) want[t * stride + j] = (float)(x[t * stride + j] / sqrtl(squares / (long double)d + 1e-6L) * (w ? w[j] : 1));
                }
                fn(got, stride, form & 1 ? got : x, stride, w, n, d, 1e-6f);
                check_close(c, got, want, n * stride, 6 + sqrt((double)d) / 8, 1e-30f);
                if (kind == CHECK_RANDOM && d >= 1000 && !form) check_bench(c, d == 1000 ? "n=3 d=1000" : "n=3 d=4096", 8 * n * d, fn(got, d, x, d, w, n, d, 1e-6f));
                check_done(c);
            }
}

static const CheckVariant variants[] = {
#define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name)
#include "ops/norm_kernels.inc"
#undef KERNEL
};
const CheckFamily check_norm = { "norm", variants, CHECK_COUNT(variants) };
