/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of f32 as wide as the flags of the including file allow, so that a kernel is written once and compiled for each
 * instruction set: LANES floats, loads and stores of the first n, exp and tanh. Contains no kernels.
 * Users: act_vec.c, rope_vec.c, attend_vec.c. */
#ifndef OPS_X86_VEC_H
#define OPS_X86_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* Under clang's sanitizers each access is a branch or three: with loops unrolled on demand the many blocks took attend_vec.c minutes (docs/TESTING.md). What
 * is computed, and in which order, is the same. */
#if defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define UNROLL
#else
#define UNROLL _Pragma("clang loop unroll(full)")
#endif
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define NAME(op) muse_##op##_avx512
typedef __m512 Vec;
typedef __m512i VecInt;
typedef int32_t VecDot __attribute__((vector_size(64)));   /* sums of VNNI: as __m512i (64-bit integers) gcc copies each before and after each product */
typedef __mmask16 VecMask;
enum { LANES = 16 };

INLINE Vec v_set(float x) { return _mm512_set1_ps(x); }
INLINE Vec v_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void v_store(float *p, Vec v) { _mm512_storeu_ps(p, v); }
INLINE Vec v_add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
INLINE Vec v_sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
INLINE Vec v_mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
INLINE Vec v_div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
INLINE Vec v_fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
INLINE Vec v_max(Vec a, Vec b) { return _mm512_max_ps(a, b); }   /* b where one is NaN */
INLINE Vec v_min(Vec a, Vec b) { return _mm512_min_ps(a, b); }   /* b where one is NaN */
INLINE Vec v_abs(Vec a) { return _mm512_abs_ps(a); }
INLINE Vec v_sign_of(Vec a, Vec b) { return _mm512_or_ps(v_abs(a), _mm512_and_ps(b, _mm512_set1_ps(-0.0f))); }
INLINE Vec v_round(Vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE Vec v_power2(Vec a, Vec n) { return _mm512_scalef_ps(a, n); }
INLINE Vec v_relu(Vec a) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_NLE_UQ), a); }
INLINE Vec v_if_negative(Vec s, Vec a, Vec b) { return _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(s)), b, a); }
INLINE Vec v_swap(Vec a) { return _mm512_permute_ps(a, 0xb1); }   /* neighbours change places */
INLINE Vec v_twice(Vec a) { return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), a); }
INLINE Vec v_addsub(Vec a, Vec b) { return _mm512_mask_sub_ps(_mm512_add_ps(a, b), 0x5555, a, b); }   /* a - b in even lanes */
INLINE float v_sum(Vec a) { return _mm512_reduce_add_ps(a); }

INLINE __mmask16 v_first(size_t n) { return n >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1); }
INLINE Vec v_load_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(v_first(n), p); }
INLINE void v_store_n(float *p, Vec v, size_t n) { _mm512_mask_storeu_ps(p, v_first(n), v); }

/* lanes first <= lane < end; out of range: none or all of them */
INLINE VecMask v_between(int first, int end)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_mask_cmplt_epi32_mask(_mm512_cmple_epi32_mask(_mm512_set1_epi32(first), lane), lane, _mm512_set1_epi32(end));
}
INLINE Vec v_where(VecMask m, Vec a, Vec b) { return _mm512_mask_blend_ps(m, b, a); }
INLINE int v_any_above(VecMask m, Vec a, Vec b) { return _mm512_mask_cmp_ps_mask(m, a, b, _CMP_NLE_UQ); }   /* or NaN */
INLINE float v_most(Vec a) { return _mm512_reduce_max_ps(a); }

INLINE VecInt vi_load(const void *p) { return _mm512_loadu_si512(p); }
INLINE VecInt vi_load_s8(const void *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)); }
INLINE VecInt vi_load_u16(const void *p) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)); }
INLINE VecInt vi_left(VecInt a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
INLINE VecInt vi_and(VecInt a, uint32_t bits) { return _mm512_and_si512(a, _mm512_set1_epi32((int)bits)); }
INLINE VecInt vi_left16(VecInt a, int n) { return _mm512_slli_epi16(a, (unsigned)n); }
INLINE VecInt vi_right16(VecInt a, int n) { return _mm512_srai_epi16(a, (unsigned)n); }
INLINE VecInt vi_zero(void) { return _mm512_setzero_si512(); }
/* sum + the two products of signed 16-bit halves */
INLINE VecDot vi_dot16(VecDot sum, VecInt a, VecInt b)
{
#if defined(__AVX512VNNI__)
    return (VecDot)_mm512_dpwssd_epi32((VecInt)sum, a, b);
#else
    return sum + (VecDot)_mm512_madd_epi16(a, b);
#endif
}
INLINE Vec vi_f32(VecInt a) { return _mm512_cvtepi32_ps(a); }
INLINE Vec vi_bits(VecInt a) { return _mm512_castsi512_ps(a); }
INLINE VecInt v_bits(Vec a) { return _mm512_castps_si512(a); }
#else
#define NAME(op) muse_##op##_avx2
typedef __m256 Vec;
typedef __m256i VecInt;
typedef int32_t VecDot __attribute__((vector_size(32)));
typedef __m256 VecMask;
enum { LANES = 8 };

INLINE Vec v_set(float x) { return _mm256_set1_ps(x); }
INLINE Vec v_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void v_store(float *p, Vec v) { _mm256_storeu_ps(p, v); }
INLINE Vec v_add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
INLINE Vec v_sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
INLINE Vec v_mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
INLINE Vec v_div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
INLINE Vec v_fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
INLINE Vec v_max(Vec a, Vec b) { return _mm256_max_ps(a, b); }   /* b where one is NaN */
INLINE Vec v_min(Vec a, Vec b) { return _mm256_min_ps(a, b); }   /* b where one is NaN */
INLINE Vec v_abs(Vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
INLINE Vec v_sign_of(Vec a, Vec b) { return _mm256_or_ps(v_abs(a), _mm256_and_ps(b, _mm256_set1_ps(-0.0f))); }
INLINE Vec v_round(Vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE Vec v_relu(Vec a) { return _mm256_and_ps(_mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_NLE_UQ), a); }
INLINE Vec v_if_negative(Vec s, Vec a, Vec b) { return _mm256_blendv_ps(b, a, s); }
INLINE Vec v_swap(Vec a) { return _mm256_permute_ps(a, 0xb1); }   /* neighbours change places */
INLINE Vec v_twice(Vec a) { return _mm256_permutevar8x32_ps(a, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)); }
INLINE Vec v_addsub(Vec a, Vec b) { return _mm256_addsub_ps(a, b); }   /* a - b in even lanes */

/* a * 2^n for -252 <= n <= 254, in two steps, so that a denormal result is right as well */
INLINE Vec v_power2(Vec a, Vec n)
{
    const __m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1), one = _mm256_set1_epi32(127);
    const __m256i p = _mm256_slli_epi32(_mm256_add_epi32(half, one), 23);
    const __m256i q = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(i, half), one), 23);
    return v_mul(v_mul(a, _mm256_castsi256_ps(p)), _mm256_castsi256_ps(q));
}

INLINE float v_sum(Vec a)
{
    __m128 t = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    t = _mm_add_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_add_ss(t, _mm_movehdup_ps(t)));
}

INLINE VecInt v_lanes_below(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n < LANES ? n : LANES)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE Vec v_load_n(const float *p, size_t n) { return n >= LANES ? v_load(p) : _mm256_maskload_ps(p, v_lanes_below(n)); }
INLINE void v_store_n(float *p, Vec v, size_t n)
{
    if (n >= LANES) v_store(p, v);
    else _mm256_maskstore_ps(p, v_lanes_below(n), v);
}

/* lanes first <= lane < end; out of range: none or all of them */
INLINE VecMask v_between(int first, int end)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_castsi256_ps(_mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(first), lane), _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane)));
}
INLINE Vec v_where(VecMask m, Vec a, Vec b) { return _mm256_blendv_ps(b, a, m); }
INLINE int v_any_above(VecMask m, Vec a, Vec b) { return _mm256_movemask_ps(_mm256_and_ps(m, _mm256_cmp_ps(a, b, _CMP_NLE_UQ))); }   /* or NaN */
INLINE float v_most(Vec a)
{
    __m128 t = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    t = _mm_max_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_max_ss(t, _mm_movehdup_ps(t)));
}

INLINE VecInt vi_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE VecInt vi_load_s8(const void *p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
INLINE VecInt vi_load_u16(const void *p) { return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)); }
INLINE VecInt vi_left(VecInt a, int n) { return _mm256_slli_epi32(a, n); }
INLINE VecInt vi_and(VecInt a, uint32_t bits) { return _mm256_and_si256(a, _mm256_set1_epi32((int)bits)); }
INLINE VecInt vi_left16(VecInt a, int n) { return _mm256_slli_epi16(a, n); }
INLINE VecInt vi_right16(VecInt a, int n) { return _mm256_srai_epi16(a, n); }
INLINE VecInt vi_zero(void) { return _mm256_setzero_si256(); }
/* sum + the two products of signed 16-bit halves */
INLINE VecDot vi_dot16(VecDot sum, VecInt a, VecInt b) { return sum + (VecDot)_mm256_madd_epi16(a, b); }
INLINE Vec vi_f32(VecInt a) { return _mm256_cvtepi32_ps(a); }
INLINE Vec vi_bits(VecInt a) { return _mm256_castsi256_ps(a); }
INLINE VecInt v_bits(Vec a) { return _mm256_castps_si256(a); }
#endif

/* e^x = (1 + q) 2^n with |q| < 0.42. The polynomial (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2 was fitted for the least relative
 * error of e^r, 3.3e-9; ln 2 is split so that n times its first part is exact. */
typedef struct VecExp { Vec q, n; } VecExp;

INLINE VecExp v_exp_parts(Vec x)
{
    x = v_min(v_set(89.0f), v_max(v_set(-104.0f), x));   /* beyond: infinity, and less than half of the least denormal; NaN stays */
    const Vec n = v_round(v_mul(x, v_set(1.44269504f)));
    const Vec r = v_fma(n, v_set(2.12194440e-4f), v_fma(n, v_set(-0.693359375f), x));
    Vec p = v_fma(v_set(0.0013813145f), r, v_set(0.0083694188f));
    p = v_fma(p, r, v_set(0.041668456f));
    p = v_fma(p, r, v_set(0.16666515f));
    p = v_fma(p, r, v_set(0.49999994f));
    return (VecExp){ v_fma(p, v_mul(r, r), r), n };
}

/* relative error under 1.5 * 2^-24 where the result is no denormal (docs/ops/act.md) */
INLINE Vec v_exp(Vec x)
{
    const VecExp e = v_exp_parts(x);
    return v_power2(v_add(v_set(1), e.q), e.n);
}

/* (1 - e) / (1 + e), e = e^(-2 |x|), with e - 1 never taken from a rounded e: small x keep their digits */
INLINE Vec v_tanh(Vec x)
{
    const VecExp e = v_exp_parts(v_mul(v_set(-2), v_abs(x)));
    const Vec s = v_power2(v_set(1), e.n), less = v_fma(s, e.q, v_sub(s, v_set(1)));
    return v_sign_of(v_div(less, v_add(v_set(2), less)), x);
}

#endif
