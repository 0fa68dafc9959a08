/* SPDX-License-Identifier: Apache-2.0 */
#include "libmuse/decoder/rope.h"

#include <math.h>

/* Llama spec, section 2: long waves are stretched, short ones kept, those between blended */
static double llama3(const MuseRope *r, double f)
{
    const double wave = 2 * 3.14159265358979323846 / f, original = r->original_positions;
    if (wave < original / r->high_freq) return f;
    if (wave > original / r->low_freq) return f / r->factor;
    const double s = (original / wave - r->low_freq) / (r->high_freq - r->low_freq);
    return (1 - s) * f / r->factor + s * f;
}

void muse_rope_frequencies(const MuseRope *r, double *f, uint8_t *axis)
{
    const bool axes = muse_rope_axes(r);
    for (uint32_t i = 0; i < r->pairs; i++) {
        uint32_t a = 0, j = i;
        while (axes && a < 2 && j >= r->axes[a]) j -= r->axes[a++];
        axis[i] = (uint8_t)a;
        f[i] = pow(r->base, -(axes ? (double)j / r->axes[a] : 2.0 * j / r->width));
        if (r->divisors) f[i] /= (double)r->divisors[i];
        else if (r->factor > 0) f[i] = llama3(r, f[i]);
    }
}
