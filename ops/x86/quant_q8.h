/* SPDX-License-Identifier: Apache-2.0 */
/* The scale of a block of 8-bit activations: the same steps as the C version. User: quant_avx2.c. */
#ifndef OPS_X86_QUANT_Q8_H
#define OPS_X86_QUANT_Q8_H

#include <math.h>
#include <stdbool.h>

#include "base/dtype.h"

/* top: the largest |x| as bits, which order NaN and infinity above the rest. 0 if all integers of the block are to be 0. */
static inline float q8_scale(uint32_t top, float *d)
{
    const float max = muse_bits_f32(top);
    const bool finite = top < 0x7f800000u, tiny = max < 0x1p-100f;
    *d = !finite ? NAN : tiny ? 0.0f : max * (1.0f / 127.0f);
    return finite && !tiny ? 127.0f / max : 0.0f;
}

#endif
