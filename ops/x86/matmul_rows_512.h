/* SPDX-License-Identifier: Apache-2.0 */
/* What row kernels for AVX-512 that serve up to eight tokens at a time share: the order in which rows and columns are passed
 * over, and sums over lanes. The including file gives UNIT_TOKENS_NEAR (units of x, of all tokens together, that stay in L1),
 * unit_columns(type), unit_bytes(type) and rows_at(). Users: matmul_rows_vnni.c, matmul_bf16.c. */

#include "ops/x86/matmul_512.h"

enum {
    TOKENS = 8,
    BLOCK = 8       /* rows that pass by before the next columns come in */
};

/* What a pass over some columns of a block of rows needs: x of the tokens (the last one again where there are fewer), how far
 * ahead the next bytes lie, and sums on their way from one piece of columns to the next. */
typedef struct Pass {
    const uint8_t *x[TOKENS];
    size_t token, tokens;               /* the first, and how many of them count */
    size_t units, from, to;             /* units of a row, and of this piece */
    size_t bytes, ahead;                /* of a unit; rows from this piece to the one to ask for, 0 if rows run on */
    __mmask16 present;                  /* 8-bit groups: lanes of the last group whose blocks exist, all if it is whole */
    __m512 sums[BLOCK][2 * TOKENS];
} Pass;

/* Bytes from a row's piece to the one to ask for while it is read */
INLINE size_t ahead_of_row(const MuseRowsArgs *a, const Pass *pass, size_t r)
{
    if (!pass->ahead) return AHEAD;
    if (r + pass->ahead < BLOCK) return pass->ahead * a->w_stride;
    const size_t next = pass->to < pass->units ? (pass->to - pass->from) * pass->bytes : BLOCK * a->w_stride - pass->from * pass->bytes;
    return next - (BLOCK - pass->ahead) * a->w_stride;   /* of a row above: may wrap round */
}

/* Units pass->from .. to of row i, which is row r of the block, or of more rows from there on: how many. tokens and type are
 * constants. */
INLINE size_t rows_at(const MuseRowsArgs *a, Pass *pass, size_t i, size_t r, const int tokens, const int type);

/* A token's lanes are added in one order, alone or beside seven others: words of a 128-bit lane, then lanes. */
INLINE float sum_one(__m512 v)
{
    v = _mm512_add_ps(v, _mm512_permute_ps(v, 0x4e));
    v = _mm512_add_ps(v, _mm512_permute_ps(v, 0xb1));
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    return _mm_cvtss_f32(_mm_add_ss(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1)));
}

INLINE __m512 sum_words(const __m512 *s)   /* lane l: sums of lane l of s[0], s[1], s[2], s[3] */
{
    const __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(s[0], s[1]), _mm512_unpackhi_ps(s[0], s[1]));
    const __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(s[2], s[3]), _mm512_unpackhi_ps(s[2], s[3]));
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b))),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b))));
}

INLINE void sum_eight(float *out, const __m512 s[TOKENS])
{
    const __m512 a = sum_words(s), b = sum_words(s + 4);
    const __m512 h = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    const __m512 even = _mm512_shuffle_f32x4(h, h, 0x08), odd = _mm512_shuffle_f32x4(h, h, 0x0d);
    _mm256_storeu_ps(out, _mm512_castps512_ps256(_mm512_add_ps(even, odd)));
}

INLINE void put_row(const MuseRowsArgs *a, const Pass *pass, size_t i, const __m512 *acc, const int tokens)
{
    __m512 s[TOKENS];
    float out[TOKENS];
    UNROLL for (int p = 0; p < TOKENS; p++) s[p] = p < tokens ? acc[p] : _mm512_setzero_ps();
    if (tokens == 1) out[0] = sum_one(s[0]);
    else sum_eight(out, s);
    for (size_t p = 0; p < pass->tokens; p++) a->y[(pass->token + p) * a->y_stride + i] = out[p] + (a->bias ? a->bias[i] : 0.0f);
}

/* Columns come in pieces of which x stays in L1. One piece: rows run on, and reads are asked for at a fixed distance. Several:
 * as many rows further down, or up again in the next piece of columns. */
INLINE void rows_of(const MuseRowsArgs *a, size_t token, const int tokens, const int type)
{
    const size_t columns = unit_columns(type), piece = UNIT_TOKENS_NEAR / (size_t)tokens;
    Pass pass = { .token = token, .tokens = a->n - token < (size_t)tokens ? a->n - token : (size_t)tokens,
        .units = (a->k + columns - 1) / columns, .bytes = unit_bytes(type) };
    if (pass.units > piece + piece / 2) {
        pass.ahead = AHEAD / (piece * pass.bytes);
        pass.ahead = pass.ahead < 1 ? 1 : pass.ahead > BLOCK ? BLOCK : pass.ahead;
    }
    for (size_t p = 0; p < (size_t)tokens; p++)
        pass.x[p] = (const uint8_t *)a->x + (token + (p < pass.tokens ? p : pass.tokens - 1)) * a->x_stride;
    for (size_t b = 0; b < a->k % MUSE_Q8_GROUP / MUSE_QUANT_BLOCK; b++) pass.present |= (__mmask16)(1u << muse_q8_lane(b));
    if (!pass.present) pass.present = 0xffff;
    for (size_t i = 0; i < a->m; i += BLOCK)
        for (pass.from = 0; pass.from < pass.units; pass.from = pass.to) {
            pass.to = pass.units - pass.from <= piece + piece / 2 ? pass.units : pass.from + piece;
            for (size_t r = 0; r < BLOCK && i + r < a->m;) r += rows_at(a, &pass, i + r, r, tokens, type);
        }
}

INLINE void rows_all(const MuseRowsArgs *a, const int type)
{
    for (size_t t = 0; t < a->n; t += TOKENS) {
        const size_t left = a->n - t;
        if (left > 4) rows_of(a, t, 8, type);
        else if (left > 2) rows_of(a, t, 4, type);
        else if (left == 2) rows_of(a, t, 2, type);
        else rows_of(a, t, 1, type);
    }
}
