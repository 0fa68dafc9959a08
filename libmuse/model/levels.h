/* SPDX-License-Identifier: Apache-2.0 */
/* What LayerNorm takes from a patch, given back beside it: how bright it is in red, green and blue, and its contrast.
 * docs/FORMATS.md, "muse". Knows nothing of models. */
#ifndef MUSE_LIBMUSE_MODEL_LEVELS_H
#define MUSE_LIBMUSE_MODEL_LEVELS_H

#include <math.h>
#include <stddef.h>

enum { MUSE_LEVELS = 4 };

/* patch: n values in 0..1, red, green, blue in turn. Means around middle gray and the standard deviation, all times 4. */
static inline void muse_patch_levels(const float *patch, size_t n, float out[MUSE_LEVELS])
{
    float sum[3] = { 0 }, square = 0;
    for (size_t i = 0; i < n; i += 3)
        for (size_t c = 0; c < 3; c++) sum[c] += patch[i + c];
    const float mean = (sum[0] + sum[1] + sum[2]) / (float)n;
    for (size_t i = 0; i < n; i++) square += (patch[i] - mean) * (patch[i] - mean);
    for (size_t c = 0; c < 3; c++) out[c] = 4 * (sum[c] * 3 / (float)n - 0.5f);
    out[3] = 4 * sqrtf(square / (float)n);
}

#endif
