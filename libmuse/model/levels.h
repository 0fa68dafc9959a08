/* SPDX-License-Identifier: Apache-2.0 */
/* What LayerNorm takes from a patch, given back beside it: how bright it is in red, green and blue, and its contrast.
 * docs/FORMATS.md, "The muse family". Knows nothing of models. */
#ifndef MUSE_LIBMUSE_MODEL_LEVELS_H
#define MUSE_LIBMUSE_MODEL_LEVELS_H

#include <math.h>
#include <stddef.h>

enum { MUSE_LEVELS = 4 };

/* patch: n values in 0..1, red, green, blue in turn. Means around middle gray and the standard deviation, all times 4. */
static inline void muse_patch_levels(const float *patch, size_t n, float out[MUSE_LEVELS])
{
    double sum[3] = { 0 }, square = 0;   /* a few hundred values a patch, beside products of a hundred thousand: no kernel of ops */
    for (size_t i = 0; i < n; i += 3)
        for (size_t c = 0; c < 3; c++) sum[c] += (double)patch[i + c];
    const double mean = (sum[0] + sum[1] + sum[2]) / (double)n;
    for (size_t i = 0; i < n; i++) square += ((double)patch[i] - mean) * ((double)patch[i] - mean);
    for (size_t c = 0; c < 3; c++) out[c] = (float)(4 * (sum[c] * 3 / (double)n - 0.5));
    out[3] = (float)(4 * sqrt(square / (double)n));
}

#endif
