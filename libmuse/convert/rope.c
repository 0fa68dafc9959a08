/* SPDX-License-Identifier: Apache-2.0 */
/* The llama3 rule as the list of divisors that GGUF stores, and back. Source: Llama spec 2 and 3. Called by plan.c and
 * folder_config.c. */
#include <math.h>

#include "libmuse/convert/convert.h"

void muse_llama3_divisors(const MuseRope *rope, float *divisors, uint32_t n)
{
    const double two_pi = 6.283185307179586476925286766559, original = rope->original_positions;
    for (uint32_t i = 0; i < n; i++) {
        const double wave = two_pi * pow(rope->base, 2.0 * i / rope->width);
        const double smooth = (original / wave - rope->low_freq) / (rope->high_freq - rope->low_freq);
        double d = 1 / ((1 - smooth) / rope->factor + smooth);
        if (wave < original / rope->high_freq) d = 1;
        else if (wave > original / rope->low_freq) d = rope->factor;
        divisors[i] = (float)d;
    }
}

/* All published files have low 1 and high 4, and a power of two for the original length; the factor is the largest divisor. */
bool muse_llama3_find(MuseRope *rope, const float *divisors, uint32_t n)
{
    float made[MUSE_HEAD_WIDTH_MAX / 2];
    if (n < 1 || n > MUSE_HEAD_WIDTH_MAX / 2 || !(divisors[n - 1] >= 1)) return false;
    rope->factor = (double)divisors[n - 1];
    rope->low_freq = 1;
    rope->high_freq = 4;
    for (uint32_t length = 16; length <= 1 << 24; length *= 2) {
        bool same = true;
        rope->original_positions = length;
        muse_llama3_divisors(rope, made, n);
        for (uint32_t i = 0; i < n; i++) same &= fabsf(made[i] - divisors[i]) <= 4e-7f * divisors[i];   /* writers compute in f32 or f64 */
        if (same) return true;
    }
    return false;
}
