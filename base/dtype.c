/* SPDX-License-Identifier: Apache-2.0 */
/* f16 conversions by bit arithmetic, exact and independent of the CPU: the reference for the wide versions. */
#include "base/dtype.h"

float muse_f16_f32(MuseF16 h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu;
    if (exponent == 31) return muse_bits_f32(sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0));
    if (exponent) return muse_bits_f32(sign | (exponent + 112) << 23 | mantissa << 13);
    const float small = (float)mantissa * 0x1p-24f;   /* zero or subnormal, exact */
    return sign ? -small : small;
}

MuseF16 muse_f32_f16(float f)
{
    const uint32_t u = muse_f32_bits(f), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (MuseF16)(sign | 0x7e00u | ((a >> 13) & 0x3ffu));   /* NaN, quiet */
    if (a >= 0x477ff000u) return (MuseF16)(sign | 0x7c00u);                         /* rounds to 65536 or more */
    if (a >= 0x38800000u) {                                                          /* normal */
        const uint32_t r = a - 0x38000000u;
        return (MuseF16)(sign | ((r + 0xfffu + ((r >> 13) & 1u)) >> 13));
    }
    if (a < 0x33000000u) return (MuseF16)sign;                                       /* under half the smallest */
    const uint32_t shift = 126u - (a >> 23), m = (a & 0x7fffffu) | 0x800000u;        /* subnormal: 14..24 */
    const uint32_t half = 1u << (shift - 1), cut = m >> shift, rest = m & ((1u << shift) - 1);
    return (MuseF16)(sign | (cut + (rest > half || (rest == half && (cut & 1u)))));
}
