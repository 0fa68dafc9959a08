/* SPDX-License-Identifier: Apache-2.0 */
/* Integer matrix kernels for AVX512_VNNI. The instruction multiplies unsigned by signed bytes: weights are the unsigned side,
 * offset by 8 (Q4_0) or 128, and sums start at minus the offset times the sum of the activations. Contracts: ops/matmul.h. */
#include "ops/x86/matmul_512.h"

/* Four blocks of a row: a 128-bit lane a block, first halves in lo, second halves in hi, scales repeated over the lane */
typedef struct Four {
    __m512i lo, hi;
    __m512  d;
} Four;

INLINE __m128i load16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

/* 72 bytes; a block is 9 words of 16 bits: a scale and 8 words of nibbles */
INLINE Four load_q4_0(const uint8_t *p)
{
    const __m512i order = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 25, 24, 23, 22, 21, 20, 19, 18, 16, 15, 14, 13, 12, 11, 10, 9, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i scales = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 27, 27, 27, 27, 18, 18, 18, 18, 9, 9, 9, 9, 0, 0, 0, 0);
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i v = _mm512_permutexvar_epi16(order, _mm512_loadu_si512(p + 2));
    v = _mm512_mask_broadcast_i32x4(v, 0xf000, load16(p + 56));
    Four f;
    f.d = _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_permutexvar_epi16(scales, _mm512_loadu_si512(p))));
    f.lo = _mm512_and_si512(v, nibble);
    f.hi = _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble);
    return f;
}

INLINE __m512i lanes(const uint8_t *p)   /* 16 bytes of each of four Q8_0 blocks */
{
    __m512i v = _mm512_broadcast_i32x4(load16(p));
    v = _mm512_mask_broadcast_i32x4(v, 0x00f0, load16(p + MUSE_Q8_0_BYTES));
    v = _mm512_mask_broadcast_i32x4(v, 0x0f00, load16(p + 2 * MUSE_Q8_0_BYTES));
    return _mm512_mask_broadcast_i32x4(v, 0xf000, load16(p + 3 * MUSE_Q8_0_BYTES));
}

/* 136 bytes; scales are words 0, 17, 34, 51 */
INLINE Four load_q8_0(const uint8_t *p)
{
    const __m512i scales = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 51, 51, 51, 51, 34, 34, 34, 34, 17, 17, 17, 17, 0, 0, 0, 0);
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    Four f;
    f.d = _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_permutex2var_epi16(_mm512_loadu_si512(p), scales, _mm512_loadu_si512(p + 64))));
    f.lo = _mm512_xor_si512(lanes(p + 2), offset);
    f.hi = _mm512_xor_si512(lanes(p + 18), offset);
    return f;
}

INLINE __m512 add_four(__m512 acc, Four f, const MuseQ8Group *g, const int offset_bits)
{
    __m512i dot = _mm512_slli_epi32(_mm512_loadu_si512(g->minus_sum), (unsigned)offset_bits);
    dot = _mm512_dpbusd_epi32(dot, f.lo, _mm512_loadu_si512(g->lo));
    dot = _mm512_dpbusd_epi32(dot, f.hi, _mm512_loadu_si512(g->hi));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(f.d, _mm512_loadu_ps(g->d)), acc);
}

/* `rows` rows from i and `tokens` tokens from t: two rows share loads of x and hide each other's latencies */
INLINE void rows_at(const MuseRowsArgs *a, size_t i, size_t t, const int rows, const int tokens, const bool four_bits)
{
    const size_t bytes = four_bits ? 4 * MUSE_Q4_0_BYTES : 4 * MUSE_Q8_0_BYTES, groups = a->k / MUSE_Q8_GROUP;
    const int offset_bits = four_bits ? 3 : 7;
    const uint8_t *w = (const uint8_t *)a->w + i * a->w_stride, *x = (const uint8_t *)a->x + t * a->x_stride;
    __m512 acc[2][4];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int p = 0; p < tokens; p++) acc[r][p] = _mm512_setzero_ps();
    for (size_t g = 0; g < groups; g++, w += bytes, x += sizeof(MuseQ8Group))
        UNROLL for (int r = 0; r < rows; r++) {
            const uint8_t *at = w + (size_t)r * a->w_stride;
            prefetch(at + AHEAD);
            if (!four_bits) prefetch(at + AHEAD + 64);
            const Four f = four_bits ? load_q4_0(at) : load_q8_0(at);
            UNROLL for (int p = 0; p < tokens; p++)
                acc[r][p] = add_four(acc[r][p], f, (const MuseQ8Group *)(const void *)(x + (size_t)p * a->x_stride), offset_bits);
        }
    const size_t rest = a->k % MUSE_Q8_GROUP / MUSE_QUANT_BLOCK * (bytes / 4);
    if (rest)   /* the missing blocks have scale 0 */
        UNROLL for (int r = 0; r < rows; r++) {
            uint8_t padded[4 * MUSE_Q8_0_BYTES] = { 0 };
            memcpy(padded, w + (size_t)r * a->w_stride, rest);
            const Four f = four_bits ? load_q4_0(padded) : load_q8_0(padded);
            UNROLL for (int p = 0; p < tokens; p++)
                acc[r][p] = add_four(acc[r][p], f, (const MuseQ8Group *)(const void *)(x + (size_t)p * a->x_stride), offset_bits);
        }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int p = 0; p < tokens; p++)
            a->y[(t + (size_t)p) * a->y_stride + i + (size_t)r] = _mm512_reduce_add_ps(acc[r][p]) + (a->bias ? a->bias[i + (size_t)r] : 0.0f);
}

INLINE void rows_q(const MuseRowsArgs *a, const bool four_bits)
{
    for (size_t i = 0; i < a->m; i++) {
        size_t t = 0;
        for (; t + 4 <= a->n; t += 4) rows_at(a, i, t, 1, 4, four_bits);
        for (; t + 2 <= a->n; t += 2) rows_at(a, i, t, 1, 2, four_bits);
        if (t < a->n) rows_at(a, i, t, 1, 1, four_bits);
    }
}

void muse_rows_q8_0_q8_vnni(const MuseRowsArgs *a) { rows_q(a, false); }
void muse_rows_q4_0_q8_vnni(const MuseRowsArgs *a) { rows_q(a, true); }

enum { PANELS = 3, GROUP_WORDS = 64 };

typedef struct Sums { _Alignas(64) float at[PANELS][ROWS][LANES]; } Sums;

/* One block of 32: word 4 b + j of its lo half, 16 + 4 b + j of its hi half, scale in word 32 + 4 b, sums in 48 + 4 b, + 1 */
INLINE void tile_q8_block(const MuseTileArgs *a, const uint8_t *w, const float *d, const uint8_t *x, Sums *sums, const int panels)
{
    __m512i dot[PANELS][ROWS];
    UNROLL for (int p = 0; p < panels; p++) {
        const uint8_t *s = x + (size_t)p * a->x_panel + 48 * 64;
        const __m512i start = _mm512_slli_epi32(_mm512_add_epi32(_mm512_loadu_si512(s), _mm512_loadu_si512(s + 64)), 7);
        UNROLL for (int r = 0; r < ROWS; r++) dot[p][r] = start;
    }
    UNROLL for (int j = 0; j < 8; j++) {
        __m512i v[PANELS];
        UNROLL for (int p = 0; p < panels; p++) v[p] = _mm512_loadu_si512(x + (size_t)p * a->x_panel + 64 * (j < 4 ? j : 12 + j));
        UNROLL for (int r = 0; r < ROWS; r++) {
            int word;
            memcpy(&word, w + (size_t)r * a->w_stride + 4 * j, 4);
            const __m512i u = _mm512_set1_epi32(word);
            UNROLL for (int p = 0; p < panels; p++) dot[p][r] = _mm512_dpbusd_epi32(dot[p][r], u, v[p]);
        }
    }
    __asm__ volatile("" : : "r"(sums) : "memory");   /* else the float sums are loaded early, and spilled */
    UNROLL for (int p = 0; p < panels; p++) {
        const __m512 dx = _mm512_loadu_ps(x + (size_t)p * a->x_panel + 32 * 64);
        UNROLL for (int r = 0; r < ROWS; r++) {
            const __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(dot[p][r]), dx);
            _mm512_storeu_ps(sums->at[p][r], _mm512_fmadd_ps(v, _mm512_set1_ps(d[(size_t)r * a->scale_stride]), _mm512_loadu_ps(sums->at[p][r])));
        }
    }
}

/* The integer sums fill the registers; the float sums, touched once a block, stay in memory on purpose. */
INLINE void tile_q8(const MuseTileArgs *a, size_t row, size_t token, const int panels)
{
    const uint8_t *w = (const uint8_t *)a->w + row * a->w_stride;
    const float *d = a->w_scale + row * a->scale_stride;
    const uint8_t *x = (const uint8_t *)a->x + token / LANES * a->x_panel;
    Sums sums;
    UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int r = 0; r < ROWS; r++) _mm512_store_ps(sums.at[p][r], _mm512_setzero_ps());
    const size_t blocks = a->k / MUSE_QUANT_BLOCK;
    Ahead next = ahead_of(a, row, token);
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *line = ahead_column(&next);
        for (int r = 0; r < ROWS; r++, line += next.stride) prefetch_l2(line);
        tile_q8_block(a, w + 32 * b, d + b, x + b / 4 * (GROUP_WORDS * 64) + b % 4 * 256, &sums, panels);
        __asm__ volatile("" : : "r"(&sums) : "memory");
    }
    UNROLL for (int p = 0; p < panels; p++) {
        __m512 s[ROWS];
        UNROLL for (int r = 0; r < ROWS; r++) s[r] = _mm512_load_ps(sums.at[p][r]);
        put_tile(a, s, row, token + (size_t)p * LANES);
    }
}

void muse_tile_q8_vnni(const MuseTileArgs *a)
{
    for (size_t t = 0; t < a->n;) {
        const size_t panels = (a->n - t + LANES - 1) / LANES;
        for (size_t i = 0; i < a->m; i += ROWS) {
            if (panels >= 3) tile_q8(a, i, t, 3);
            else if (panels == 2) tile_q8(a, i, t, 2);
            else tile_q8(a, i, t, 1);
        }
        t += LANES * (panels < PANELS ? panels : PANELS);
    }
}
