/* SPDX-License-Identifier: Apache-2.0 */
/* Resampling for AVX-512 VNNI, which has multiply-add and sum in one; what it does is in resize_body.h. Called through
 * ops/resize.h. */
#include <immintrin.h>

#include "ops/resize.h"
#include "ops/x86/resize_512.h"

#define NAME(name) name##_vnni
static inline Vec add_madd(Vec sum, Vec a, Vec b) { return _mm512_dpwssd_epi32(sum, a, b); }

#include "ops/x86/resize_body.h"
