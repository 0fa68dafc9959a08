/* SPDX-License-Identifier: Apache-2.0 */
/* ops/rope.h against its definition, and all variants bit for bit against C. */
#include "check.h"

#include <math.h>
#include <string.h>

#include "ops/rope.h"

/* One head turned in double; the limit is two roundings of products and one of their sum, in units of the larger product. */
static void check_head(Check *c, const float *got, const float *x, const float *cosine, const float *sine, size_t pairs, size_t half, bool neighbours)
{
    for (size_t i = 0; i < pairs; i++) {
        const size_t ia = neighbours ? 2 * i : i, ib = neighbours ? 2 * i + 1 : i + half;
        const double a = x[ia], b = x[ib], s = sine[i], k = cosine[i];
        const float first = (float)(a * k - b * s), second = (float)(b * k + a * s);
        check_close(c, got + ia, &first, 1, 2, (float)fmax(fabs(a * k), fabs(b * s)) + 1e-37f);
        check_close(c, got + ib, &second, 1, 2, (float)fmax(fabs(b * k), fabs(a * s)) + 1e-37f);
    }
}

static void check_turn(Check *c, MuseRopeF32 *fn, MuseRopeF32 *reference, bool neighbours)
{
    static const size_t counts[] = { 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 32, 40, 64, 128, 129 };
    for (size_t i = 0; i < CHECK_COUNT(counts); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++) {
            const size_t n = 1 + i % 3, pairs = counts[i], half = pairs + (neighbours ? 0 : i % 4), stride = 2 * half + i % 5;
            const size_t size = (n - 1) * stride + 2 * half;
            check_note(c, "heads=%zu pairs=%zu half=%zu stride=%zu %s", n, pairs, half, stride, check_kind_name((CheckKind)kind));
            const float *x = check_f32(c, size, (CheckKind)kind), *angles = check_rand(c, pairs);
            float *cosine = check_out_f32(c, pairs), *sine = check_out_f32(c, pairs), *got = check_out_f32(c, size), *want = check_out_f32(c, size);
            for (size_t j = 0; j < pairs; j++) {
                cosine[j] = cosf(100 * angles[j]);
                sine[j] = sinf(100 * angles[j]);
            }
            memcpy(got, x, size * sizeof *x);
            memcpy(want, x, size * sizeof *x);
            fn(got, n, stride, cosine, sine, pairs, half);
            reference(want, n, stride, cosine, sine, pairs, half);
            check_close(c, got, want, size, 0, 1e-40f);   /* also: nothing beside the pairs changed */
            for (size_t h = 0; h < n; h++) check_head(c, got + h * stride, x + h * stride, cosine, sine, pairs, half, neighbours);
            check_done(c);
        }
    float *x = check_rand(c, 32 * 128), *cosine = check_f32(c, 64, CHECK_ZEROS), *sine = check_f32(c, 64, CHECK_ZEROS);
    for (size_t j = 0; j < 64; j++) cosine[j] = 1;
    check_bench(c, "32 heads of 128", 2 * 4 * 32 * 128, fn(x, 32, 128, cosine, sine, 64, 64));
    check_done(c);
}

static void check_rope_halves(Check *c, CheckFn *any) { check_turn(c, (MuseRopeF32 *)any, muse_rope_halves_c, false); }
static void check_rope_neighbours(Check *c, CheckFn *any) { check_turn(c, (MuseRopeF32 *)any, muse_rope_neighbours_c, true); }

static const CheckVariant variants[] = {
#define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name)
#include "ops/rope_kernels.inc"
#undef KERNEL
};
const CheckFamily check_rope = { "rope", variants, CHECK_COUNT(variants) };
