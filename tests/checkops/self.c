/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that are broken on purpose: proof that the harness notices. `need` 1 marks those that must fail. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef void CopyF32(float *y, const float *x, size_t n);

static void copy_sound(float *y, const float *x, size_t n) { memcpy(y, x, n * sizeof *y); }
static void copy_one_ulp(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = nextafterf(x[i], 10);
}
static void copy_four_ulp(float *y, const float *x, size_t n)
{
    copy_sound(y, x, n);
    for (int k = 0; k < 4; k++) y[n - 1] = nextafterf(y[n - 1], 10);
}
static void copy_short(float *y, const float *x, size_t n) { memcpy(y, x, (n - 1) * sizeof *y); }
static void copy_byte_past(float *y, const float *x, size_t n)
{
    copy_sound(y, x, n);
    ((uint8_t *)(void *)y)[n * sizeof *y] = 0;
}
static void copy_far_past(float *y, const float *x, size_t n)
{
    copy_sound(y, x, n);
    ((uint8_t *)(void *)y)[n * sizeof *y + 63] = 0;
}
static void copy_byte_before(float *y, const float *x, size_t n)
{
    copy_sound(y, x, n);
    ((uint8_t *)(void *)y)[-1] = 0;
}
static void copy_nan(float *y, const float *x, size_t n)
{
    copy_sound(y, x, n);
    y[0] = NAN;
}

static void check_copy(Check *c, CheckFn *any)
{
    CopyF32 *fn = (CopyF32 *)any;
    for (size_t n = 1; n < 40; n++) {
        check_note(c, "n=%zu", n);
        const float *x = check_rand(c, n);
        float *y = check_out_f32(c, n);
        fn(y, x, n);
        check_close(c, y, x, n, 2, 1e-30f);
        check_done(c);
    }
}

/* as copy, but bytes must be equal */
static void check_same(Check *c, CheckFn *any)
{
    CopyF32 *fn = (CopyF32 *)any;
    const float *x = check_rand(c, 9);
    float *y = check_out_f32(c, 9);
    fn(y, x, 9);
    check_equal(c, y, x, 9 * sizeof *y);
    check_done(c);
}

static const CheckVariant variants[] = {
    CHECK_VARIANT(copy, 0, copy_sound)
    CHECK_VARIANT(copy, 0, copy_one_ulp)
    CHECK_VARIANT(copy, 1, copy_four_ulp)
    CHECK_VARIANT(copy, 1, copy_short)
    CHECK_VARIANT(copy, 1, copy_byte_past)
    CHECK_VARIANT(copy, 1, copy_far_past)
    CHECK_VARIANT(copy, 1, copy_byte_before)
    CHECK_VARIANT(copy, 1, copy_nan)
    CHECK_VARIANT(same, 0, copy_sound)
    CHECK_VARIANT(same, 1, copy_one_ulp)
    CHECK_VARIANT(same, 1, copy_byte_past)
};
const CheckFamily check_self = { "self", variants, CHECK_COUNT(variants) };
