/* SPDX-License-Identifier: Apache-2.0 */
/* Number types: bf16 and f16 as bit patterns, round to nearest even. Users: ops (reference), io. */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

#include <stdint.h>
#include <string.h>

typedef uint16_t MuseBf16;
typedef uint16_t MuseF16;

static inline uint32_t muse_f32_bits(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }
static inline float muse_bits_f32(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }

static inline float muse_bf16_f32(MuseBf16 h) { return muse_bits_f32((uint32_t)h << 16); }

static inline MuseBf16 muse_f32_bf16(float f)
{
    const uint32_t u = muse_f32_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (MuseBf16)((u >> 16) | 0x40u);   /* NaN stays NaN, quiet */
    return (MuseBf16)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

float   muse_f16_f32(MuseF16 h);
MuseF16 muse_f32_f16(float f);

#endif
