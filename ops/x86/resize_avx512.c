/* SPDX-License-Identifier: Apache-2.0 */
/* Resampling for AVX-512 BW; what it does is in resize_body.h. Called through ops/resize.h. */
#include <immintrin.h>

#include "ops/resize.h"
#include "ops/x86/resize_512.h"

#define NAME(name) name##_avx512
static inline Vec add_madd(Vec sum, Vec a, Vec b) { return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b)); }

#include "ops/x86/resize_body.h"
