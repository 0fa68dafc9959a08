/* SPDX-License-Identifier: Apache-2.0 */
/* ops/mel.h against its C version. */
#include "check.h"

#include <math.h>
#include <string.h>

#include "ops/mel.h"

static const size_t lengths[] = { 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 201, 400, 1024 };

/* one product, rounded once: equal bits */
static void check_mel_window_f32(Check *c, CheckFn *any)
{
    MuseMelWindowF32 *fn = (MuseMelWindowF32 *)any;
    for (size_t i = 0; i < CHECK_COUNT(lengths); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++)
            for (int in_place = 0; in_place < 2; in_place++) {
                const size_t n = lengths[i];
                check_note(c, "n=%zu %s%s", n, check_kind_name((CheckKind)kind), in_place ? " in place" : "");
                const float *x = check_f32(c, n, (CheckKind)kind), *w = check_rand(c, n);
                float *want = check_out_f32(c, n), *got = check_out_f32(c, n);
                muse_mel_window_f32_c(want, x, w, n);
                if (in_place) memcpy(got, x, n * sizeof *x);
                fn(got, in_place ? got : x, w, n);
                if (kind == CHECK_NAN || kind == CHECK_INFINITE) check_close(c, got, want, n, 0, 0);
                else check_equal(c, got, want, n * sizeof *got);
                if (n == 400 && kind == CHECK_RANDOM && !in_place) check_bench(c, "n=400", 12 * n, fn(got, x, w, n));
                check_done(c);
            }
}

/* two products and a sum: 1.5 roundings against one */
static void check_mel_power_f32(Check *c, CheckFn *any)
{
    MuseMelPowerF32 *fn = (MuseMelPowerF32 *)any;
    for (size_t i = 0; i < CHECK_COUNT(lengths); i++)
        for (int kind = 0; kind < CHECK_KINDS; kind++) {
            const size_t n = lengths[i];
            check_note(c, "n=%zu %s", n, check_kind_name((CheckKind)kind));
            const float *x = check_f32(c, 2 * n, (CheckKind)kind);
            float *want = check_out_f32(c, n), *got = check_out_f32(c, n);
            muse_mel_power_f32_c(want, x, n);
            fn(got, x, n);
            check_close(c, got, want, n, 2, 1e-37f);
            if (n == 201 && kind == CHECK_RANDOM) check_bench(c, "n=201", 12 * n, fn(got, x, n));
            check_done(c);
        }
}

/* Sums of non-negative products (powers, weights), so that the error is relative: half an ulp a term at most. */
static void check_mel_bands_f32(Check *c, CheckFn *any)
{
    MuseMelBandsF32 *fn = (MuseMelBandsF32 *)any;
    for (int kind = 0; kind < CHECK_INFINITE; kind++)
        for (uint32_t longest = 1; longest <= 40; longest += longest < 18 ? 1 : 11) {
            enum { BANDS = 80, POWER = 201 };
            check_note(c, "bands of up to %u, %s", longest, check_kind_name((CheckKind)kind));
            uint32_t first[BANDS], len[BANDS], at[BANDS], used = 0;
            for (uint32_t b = 0; b < BANDS; b++) {
                len[b] = b == 0 ? longest : check_random(c) % (longest + 1);
                first[b] = b == 1 ? POWER - len[b] : check_random(c) % (POWER - len[b]);
                at[b] = used;
                used += len[b];
            }
            const float *x = check_f32(c, POWER, (CheckKind)kind), *w = check_rand(c, used);
            float *p = check_out_f32(c, POWER), *weight = check_out_f32(c, used), *want = check_out_f32(c, BANDS), *got = check_out_f32(c, BANDS);
            for (uint32_t k = 0; k < POWER; k++) p[k] = fabsf(x[k]);
            for (uint32_t k = 0; k < used; k++) weight[k] = fabsf(w[k]);
            const MuseMelBank bank = { BANDS, first, len, at, weight };
            muse_mel_bands_f32_c(want, p, &bank);
            fn(got, p, &bank);
            check_close(c, got, want, BANDS, 2 + longest / 2.0, 1e-37f);
            if (longest == 7 && kind == CHECK_RANDOM) check_bench(c, "80 bands of up to 7", 0, fn(got, p, &bank));
            check_done(c);
        }
}

/* limit stated in ops/mel.h, and half an ulp for the reference's own rounding */
static void check_mel_log10_f32(Check *c, CheckFn *any)
{
    MuseMelLog10F32 *fn = (MuseMelLog10F32 *)any;
    for (size_t i = 0; i < CHECK_COUNT(lengths); i++)
        for (int kind = 0; kind < CHECK_KINDS + 2; kind++)
            for (int in_place = 0; in_place < 2; in_place++) {
                const size_t n = lengths[i];
                const CheckKind base = kind < CHECK_KINDS ? (CheckKind)kind : CHECK_RANDOM;
                check_note(c, "n=%zu %s%s",
                    n, kind < CHECK_KINDS ? check_kind_name(base) : kind == CHECK_KINDS ? "all magnitudes" : "near 1", in_place ? " in place" : "");
                float *x = check_f32(c, n, base), *want = check_out_f32(c, n), *got = check_out_f32(c, n);
                for (size_t k = 0; kind >= CHECK_KINDS && k < n; k++) x[k] = kind == CHECK_KINDS ? powf(10.0f, 48 * x[k] + 1 > 38 ? x[k] : 48 * x[k] + 1) : 1 + x[k] * 1e-3f;
                muse_mel_log10_f32_c(want, x, n);
                if (in_place) memcpy(got, x, n * sizeof *x);
                fn(got, in_place ? got : x, n);
                check_close(c, got, want, n, 3.5, 1e-30f);
                if (n == 400 && kind == CHECK_KINDS && !in_place) check_bench(c, "n=400", 8 * n, fn(got, x, n));
                check_done(c);
            }
}

/* rounded like its C version, bit for bit */
static void check_mel_scale_f32(Check *c, CheckFn *any)
{
    MuseMelScaleF32 *fn = (MuseMelScaleF32 *)any;
    const float *x = check_f32(c, 1000, CHECK_OFFSET);
    float *want = check_out_f32(c, 1000), *got = check_out_f32(c, 1000);
    memcpy(want, x, 1000 * sizeof *x);
    memcpy(got, x, 1000 * sizeof *x);
    muse_mel_scale_f32_c(want, 1000, 1000.0f);
    fn(got, 1000, 1000.0f);
    check_equal(c, got, want, 1000 * sizeof *x);
    check_bench(c, "n=1000", 8000, fn(got, 1000, 0.0f));
    check_done(c);
}

static const CheckVariant variants[] = {
#define KERNEL(op, Type, need, name) CHECK_VARIANT(op, need, name)
#include "ops/mel_kernels.inc"
#undef KERNEL
};
const CheckFamily check_mel = { "mel", variants, CHECK_COUNT(variants) };
