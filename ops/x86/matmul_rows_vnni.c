/* SPDX-License-Identifier: Apache-2.0 */
/* Integer rows for AVX512_VNNI: every block type against 8-bit activations. A unit is 16 blocks of 32 weights; it comes apart
 * into eight vectors that hold four bytes of each block, a lane a block, and then serves up to eight tokens: eight multiply-adds
 * and one scaling for 16 blocks. The instruction multiplies unsigned by signed bytes, so weights are offset by 8, 16, 32 or 128 and
 * the sums of the activations take the offset out again. Contracts: ops/matmul.h; layouts: docs/ops/quant.md. */
#include "ops/x86/matmul_512.h"
#include "ops/x86/matmul_k.h"

enum {
    UNIT_TOKENS_NEAR = 32,   /* 22 KiB */
    PAIR_TOKENS = 8          /* so many take rows in pairs: with four it was slower */
};

/* Byte l of the block in lane e (muse_q8_lane) is byte l % 4 of lane e of q[l / 4]. more: Q4_K, Q5_K, Q5_1: minima; Q6_K: the scales
 * of the second halves */
typedef struct Unit {
    __m512i q[8];
    __m512  d, more;
} Unit;

INLINE size_t unit_columns(const int type) { (void)type; return MUSE_Q8_GROUP; }

INLINE size_t unit_bytes(const int type)
{
    return type == MUSE_WEIGHT_Q8_0 ? 16 * MUSE_Q8_0_BYTES : type == MUSE_WEIGHT_Q4_0 ? 16 * MUSE_Q4_0_BYTES
         : type == MUSE_WEIGHT_Q5_0 ? 16 * MUSE_Q5_0_BYTES : type == MUSE_WEIGHT_Q5_1 ? 16 * MUSE_Q5_1_BYTES
         : type == MUSE_WEIGHT_Q4_K ? 2 * MUSE_Q4_K_BYTES : type == MUSE_WEIGHT_Q5_K ? 2 * MUSE_Q5_K_BYTES : 2 * MUSE_Q6_K_BYTES;
}

#include "ops/x86/matmul_rows_512.h"

INLINE __m512i load64(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE __m512i nibbles(__m512i v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
INLINE __m512i every_lane(int w0, int w1, int w2, int w3) { return _mm512_set4_epi32(w3, w2, w1, w0); }

/* word j of each 128-bit lane of v[0..3] side by side in q[j] */
INLINE void turn(__m512i *q, const __m512i v[4])
{
    const __m512i a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpackhi_epi32(v[0], v[1]);
    const __m512i c = _mm512_unpacklo_epi32(v[2], v[3]), d = _mm512_unpackhi_epi32(v[2], v[3]);
    q[0] = _mm512_unpacklo_epi64(a, c);
    q[1] = _mm512_unpackhi_epi64(a, c);
    q[2] = _mm512_unpacklo_epi64(b, d);
    q[3] = _mm512_unpackhi_epi64(b, d);
}

/* 72 bytes for four blocks; a block is 9 words of 16 bits: a scale and 8 words of nibbles */
INLINE Unit load_q4_0(const uint8_t *p)
{
    const __m512i order = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 25, 24, 23, 22, 21, 20, 19, 18, 16, 15, 14, 13, 12, 11, 10, 9, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i scales = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 63, 27, 63, 27, 54, 18, 54, 18, 45, 9, 45, 9, 36, 0, 36, 0);
    __m512i v[4];
    UNROLL for (size_t g = 0; g < 4; g++) {
        const __m512i three = _mm512_permutexvar_epi16(order, load64(p + 72 * g + 2));
        v[g] = _mm512_mask_broadcast_i32x4(three, 0xf000, load16(p + 72 * g + 56));
    }
    Unit u;
    turn(u.q, v);
    UNROLL for (int j = 0; j < 4; j++) {
        u.q[4 + j] = nibbles(_mm512_srli_epi16(u.q[j], 4));
        u.q[j] = nibbles(u.q[j]);
    }
    const __m512i first = _mm512_permutex2var_epi16(load64(p), scales, load64(p + 64));
    const __m512i second = _mm512_permutex2var_epi16(load64(p + 144), scales, load64(p + 208));
    u.d = _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_mask_mov_epi16(first, 0xcccc, second)));
    u.more = u.d;
    return u;
}

INLINE __m512i lanes(const uint8_t *p)   /* 16 bytes of each of four Q8_0 blocks */
{
    __m512i v = _mm512_broadcast_i32x4(load16(p));
    v = _mm512_mask_broadcast_i32x4(v, 0x00f0, load16(p + MUSE_Q8_0_BYTES));
    v = _mm512_mask_broadcast_i32x4(v, 0x0f00, load16(p + 2 * MUSE_Q8_0_BYTES));
    return _mm512_mask_broadcast_i32x4(v, 0xf000, load16(p + 3 * MUSE_Q8_0_BYTES));
}

/* 136 bytes for four blocks; their scales are words 0, 17, 34, 51 */
INLINE Unit load_q8_0(const uint8_t *p)
{
    const __m512i scales = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 51, 51, 51, 51, 34, 34, 34, 34, 17, 17, 17, 17, 0, 0, 0, 0);
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    __m512i low[4], high[4], d = _mm512_setzero_si512();
    UNROLL for (size_t g = 0; g < 4; g++) {
        const uint8_t *at = p + 136 * g;
        low[g] = lanes(at + 2);
        high[g] = lanes(at + 18);
        d = _mm512_or_si512(d, _mm512_maskz_permutex2var_epi16((__mmask32)(0x1111 << g), load64(at), scales, load64(at + 64)));
    }
    Unit u;
    turn(u.q, low);
    turn(u.q + 4, high);
    UNROLL for (int j = 0; j < 8; j++) u.q[j] = _mm512_xor_si512(u.q[j], offset);
    u.d = u.more = _mm512_cvtph_ps(_mm512_castsi512_si256(d));
    return u;
}

/* Words of 16 bits of four blocks of `words` each, of which `at` of block k stands in all lanes 4 k to 4 k + 3. The two loads that
 * reach all of them begin at word 0 and where the second ends with the last block. */
#define WORD(words, w) ((w) < 32 ? (w) : 64 + (w) - 4 * (words))
#define FOUR(words, at) WORD(words, at), WORD(words, at), WORD(words, at), WORD(words, at)
#define HEADS(words, at) _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FOUR(words, 3 * (words) + (at)), FOUR(words, 2 * (words) + (at)), \
                                          FOUR(words, (words) + (at)), FOUR(words, at))
#define PAIR(words, at) WORD(words, (at) + 1), WORD(words, at)
#define PAIRS(words, at) PAIR(words, at), PAIR(words, at), PAIR(words, at), PAIR(words, at)
#define BITS(words, at) _mm512_set_epi16(PAIRS(words, 3 * (words) + (at)), PAIRS(words, 2 * (words) + (at)), PAIRS(words, (words) + (at)), PAIRS(words, at))
#define EIGHT(words, at) PAIR(words, (at) + 6), PAIR(words, (at) + 4), PAIR(words, (at) + 2), PAIR(words, at)
#define NIBBLES(words, at) _mm512_set_epi16(EIGHT(words, 3 * (words) + (at)), EIGHT(words, 2 * (words) + (at)), EIGHT(words, (words) + (at)), EIGHT(words, at))

/* Blocks of 11 words (Q5_0: d) or 12 (Q5_1: d, minimum), then 32 fifth bits and 16 bytes of nibbles. Bit 4 j + l of a block goes
 * to byte l of its lane in vector j: a table of 16 lanes has the four bytes of each four bits. */
INLINE Unit load_q5(const uint8_t *p, const int words)
{
    const bool minima = words == 12;
    const __m512i d_at = minima ? HEADS(12, 0) : HEADS(11, 0), m_at = HEADS(12, 1);
    const __m512i bits_at = minima ? BITS(12, 2) : BITS(11, 1), nibbles_at = minima ? NIBBLES(12, 4) : NIBBLES(11, 3);
    const __m512i spread = _mm512_set_epi32(0x10101010, 0x10101000, 0x10100010, 0x10100000, 0x10001010, 0x10001000, 0x10000010, 0x10000000,
                                            0x00101010, 0x00101000, 0x00100010, 0x00100000, 0x00001010, 0x00001000, 0x00000010, 0x00000000);
    __m512i v[4], d = _mm512_setzero_si512(), more = d, bits = d;
    UNROLL for (int g = 0; g < 4; g++) {
        const uint8_t *at = p + 8 * words * g;
        const __m512i a = load64(at), b = load64(at + 8 * words - 64);
        v[g] = _mm512_permutex2var_epi16(a, nibbles_at, b);
        d = _mm512_or_si512(d, _mm512_maskz_permutex2var_epi16((__mmask32)(0x1111 << g), a, d_at, b));
        bits = _mm512_mask_mov_epi32(bits, (__mmask16)(0x1111 << g), _mm512_permutex2var_epi16(a, bits_at, b));
        if (minima) more = _mm512_or_si512(more, _mm512_maskz_permutex2var_epi16((__mmask32)(0x1111 << g), a, m_at, b));
    }
    Unit u;
    turn(u.q, v);
    UNROLL for (int j = 0; j < 4; j++) {
        u.q[4 + j] = nibbles(_mm512_srli_epi16(u.q[j], 4));
        u.q[j] = nibbles(u.q[j]);
    }
    UNROLL for (unsigned j = 0; j < 8; j++) u.q[j] = _mm512_or_si512(u.q[j], _mm512_permutexvar_epi32(_mm512_srli_epi32(bits, 4 * j), spread));
    u.d = u.more = _mm512_cvtph_ps(_mm512_castsi512_si256(d));
    if (minima) u.more = _mm512_xor_ps(_mm512_cvtph_ps(_mm512_castsi512_si256(more)), _mm512_set1_ps(-0.0f));   /* subtracted, as of K types */
    return u;
}

/* Two super-blocks of Q4_K (high_bytes 0) or Q5_K (32). Turned, a lane has words of first or second halves of sub-blocks 4 v + l
 * with l even in the low nibbles and odd in the high ones, v the place within the lane. */
INLINE Unit load_k45(const uint8_t *p, const size_t bytes, const size_t high_bytes)
{
    const uint8_t *other = p + bytes, *qs = p + 16 + high_bytes;
    const __m512i v[4] = { load64(qs), load64(qs + 64), load64(qs + bytes), load64(qs + bytes + 64) };
    const __m512i fifth = _mm512_set1_epi8(16);
    /* bit 4 v % 8 + l of each byte, to bit 4 */
    const __m512i turns = _mm512_set_epi32(2, 30, 2, 30, 2, 30, 2, 30, 0, 28, 0, 28, 0, 28, 0, 28);
    __m512i t[4];
    Unit u;
    turn(t, v);
    UNROLL for (int j = 0; j < 4; j++) {
        __m512i low = nibbles(t[j]), high = nibbles(_mm512_srli_epi16(t[j], 4));
        if (high_bytes) {
            const __m512 a = _mm512_castsi512_ps(_mm512_broadcast_i64x4(load32(p + 16)));
            const __m512 b = _mm512_castsi512_ps(_mm512_broadcast_i64x4(load32(other + 16)));
            const __m512 words = j == 0 ? _mm512_shuffle_ps(a, b, 0x00) : j == 1 ? _mm512_shuffle_ps(a, b, 0x55)
                               : j == 2 ? _mm512_shuffle_ps(a, b, 0xaa) : _mm512_shuffle_ps(a, b, 0xff);
            const __m512i bits = _mm512_rorv_epi32(_mm512_castps_si512(words), turns);
            low = _mm512_or_si512(low, _mm512_and_si512(bits, fifth));
            high = _mm512_or_si512(high, _mm512_and_si512(_mm512_ror_epi32(bits, 1), fifth));
        }
        u.q[j] = _mm512_mask_permutex_epi64(low, 0xcc, high, 0x4e);
        u.q[4 + j] = _mm512_mask_permutex_epi64(high, 0x33, low, 0x4e);
    }
    __m128i scale, min;
    const __m512 d = _mm512_broadcast_f32x4(k_scales(p, other, &scale, &min));
    u.d = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(scale)), _mm512_moveldup_ps(d));
    u.more = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(min)), _mm512_movehdup_ps(d));
    return u;
}

/* Turned, lanes 0 and 2 have words of first halves of sub-blocks 4 v + 0 and 1 (low nibbles), 2 and 3 (high); 1 and 3 of second
 * halves. Bits 2 l of the bytes above belong to sub-block 4 v + l. */
INLINE Unit load_q6_k(const uint8_t *p)
{
    const uint8_t *other = p + MUSE_Q6_K_BYTES;
    const __m512i v[4] = { load64(p), load64(p + 64), load64(other), load64(other + 64) };
    const __m512i a = load64(p + 128), b = load64(other + 128), two = _mm512_set1_epi8(0x30);
    const __m512i turns = _mm512_set_epi32(2, 2, 2, 2, 0, 0, 0, 0, 30, 30, 30, 30, 28, 28, 28, 28);
    __m512i t[4];
    Unit u;
    turn(t, v);
    UNROLL for (int j = 0; j < 4; j++) {
        const __m512i low = nibbles(t[j]), high = nibbles(_mm512_srli_epi16(t[j], 4));
        const __m512i first = _mm512_permutex2var_epi32(a, every_lane(j, 8 + j, 16 + j, 24 + j), b);
        const __m512i second = _mm512_permutex2var_epi32(a, every_lane(4 + j, 12 + j, 20 + j, 28 + j), b);
        u.q[j] = _mm512_or_si512(_mm512_shuffle_i32x4(low, high, 0x88), _mm512_and_si512(_mm512_rorv_epi32(first, turns), two));
        u.q[4 + j] = _mm512_or_si512(_mm512_shuffle_i32x4(low, high, 0xdd), _mm512_and_si512(_mm512_rorv_epi32(second, turns), two));
    }
    const __m256i order = _mm256_set_epi16(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);   /* a sub-block's two scales: 16 bits */
    const __m256i scales = _mm256_permutexvar_epi16(order, _mm256_set_m128i(load16(other + 192), load16(p + 192)));
    const __m512i s = _mm512_cvtepi16_epi32(scales);
    const __m512 d = _mm512_broadcast_f32x4(two_f16(p + 208, other + 208));
    u.d = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(s, 24), 24)), d);
    u.more = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_srai_epi32(s, 8)), d);
    return u;
}

INLINE Unit load_unit(const uint8_t *p, const int type)
{
    return type == MUSE_WEIGHT_Q8_0 ? load_q8_0(p) : type == MUSE_WEIGHT_Q4_0 ? load_q4_0(p)
         : type == MUSE_WEIGHT_Q5_0 ? load_q5(p, 11) : type == MUSE_WEIGHT_Q5_1 ? load_q5(p, 12)
         : type == MUSE_WEIGHT_Q4_K ? load_k45(p, MUSE_Q4_K_BYTES, 0) : type == MUSE_WEIGHT_Q5_K ? load_k45(p, MUSE_Q5_K_BYTES, 32) : load_q6_k(p);
}

/* A unit of each of `rows` rows times a group of one token, added to the rows' sums. Its two halves run side by side: of Q6_K they
 * have scales of their own, of the others they are one sum. */
INLINE void add_units(__m512 *acc, const Unit *u, const int rows, const MuseQ8Group *g, const int type)
{
    const bool halves = type == MUSE_WEIGHT_Q6_K, minima = type == MUSE_WEIGHT_Q4_K || type == MUSE_WEIGHT_Q5_K || type == MUSE_WEIGHT_Q5_1;
    const __m512i zero = _mm512_setzero_si512(), sum = _mm512_loadu_si512(g->minus_sum), low = _mm512_loadu_si512(g->minus_low);
    const __m512i first = halves ? _mm512_slli_epi32(low, 5) : minima ? zero : _mm512_slli_epi32(sum, type == MUSE_WEIGHT_Q8_0 ? 7 : type == MUSE_WEIGHT_Q5_0 ? 4 : 3);
    const __m512i second = halves ? _mm512_slli_epi32(_mm512_sub_epi32(sum, low), 5) : zero;
    __m512i a[2], b[2];
    UNROLL for (int r = 0; r < rows; r++) a[r] = first, b[r] = second;
    UNROLL for (int j = 0; j < 4; j++) {
        __m512i x = _mm512_loadu_si512(g->q[j]), y = _mm512_loadu_si512(g->q[4 + j]);
        if (rows > 1) __asm__("" : "+v"(x), "+v"(y));   /* else the compiler loads them once a row */
        UNROLL for (int r = 0; r < rows; r++) a[r] = _mm512_dpbusd_epi32(a[r], u[r].q[j], x), b[r] = _mm512_dpbusd_epi32(b[r], u[r].q[4 + j], y);
    }
    UNROLL for (int r = 0; r < rows; r++) {
        const __m512 dot = _mm512_cvtepi32_ps(halves ? a[r] : _mm512_add_epi32(a[r], b[r]));
        __m512 v;
        if (minima) v = _mm512_fmadd_ps(dot, u[r].d, _mm512_mul_ps(_mm512_cvtepi32_ps(sum), u[r].more));
        else v = _mm512_mul_ps(dot, u[r].d);
        if (halves) v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(b[r]), u[r].more, v);
        acc[r] = _mm512_fmadd_ps(v, _mm512_loadu_ps(g->d), acc[r]);
    }
}

/* Where a row's bytes begin, and how far they may be read */
typedef struct Row { const uint8_t *w, *end; size_t ahead; } Row;

INLINE Row row_of(const MuseRowsArgs *a, const Pass *pass, size_t i, size_t r, const int type)
{
    const uint8_t *w = (const uint8_t *)a->w + i * a->w_stride;
    /* rows without gaps may be read as far as the last one goes: copying a short end costs more than the products */
    const size_t row_bytes = a->k * unit_bytes(type) / MUSE_Q8_GROUP, last = a->w_stride == row_bytes ? a->m - 1 : i;
    return (Row){ w, (const uint8_t *)a->w + last * a->w_stride + row_bytes, ahead_of_row(a, pass, r) };
}

/* Unit g of a row; asks for what comes later. */
INLINE Unit unit_at(const MuseRowsArgs *a, const Pass *pass, const Row *row, size_t g, const int type)
{
    const size_t bytes = unit_bytes(type), whole = a->k / MUSE_Q8_GROUP;
    uint8_t padded[16 * MUSE_Q8_0_BYTES];
    const uint8_t *at = row->w + g * bytes;
    for (size_t b = 0; b < bytes; b += 64) prefetch(at + row->ahead + b);
    if (g == whole && at + bytes > row->end) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, at, a->k % MUSE_Q8_GROUP * bytes / MUSE_Q8_GROUP);
        at = padded;
    }
    Unit u = load_unit(at, type);
    if (g + 1 == pass->units) {   /* what follows a row's last blocks belongs to the next row */
        u.d = _mm512_maskz_mov_ps(pass->present, u.d);
        u.more = _mm512_maskz_mov_ps(pass->present, u.more);
    }
    return u;
}

INLINE const MuseQ8Group *group_at(const Pass *pass, size_t p, size_t g) { return (const MuseQ8Group *)(const void *)(pass->x[p] + g * sizeof(MuseQ8Group)); }

/* Two rows side by side: what is loaded of a token serves both. Their sums wait in memory, weights take the registers. */
INLINE void some_rows(const MuseRowsArgs *a, Pass *pass, size_t i, size_t r, const int rows, const int tokens, const int type)
{
    Row row[2];
    __m512 sums[TOKENS][2], acc[TOKENS];
    UNROLL for (int k = 0; k < rows; k++) {
        row[k] = row_of(a, pass, i + (size_t)k, r + (size_t)k, type);
        UNROLL for (int p = 0; p < tokens; p++) sums[p][k] = pass->from ? pass->sums[r + (size_t)k][p] : _mm512_setzero_ps();
    }
    for (size_t g = pass->from; g < pass->to; g++) {
        Unit u[2];
        UNROLL for (int k = 0; k < rows; k++) u[k] = unit_at(a, pass, &row[k], g, type);
        if (rows > 1) for (int p = 0; p < tokens; p++) add_units(sums[p], u, rows, group_at(pass, (size_t)p, g), type);
        else UNROLL for (int p = 0; p < tokens; p++) add_units(sums[p], u, rows, group_at(pass, (size_t)p, g), type);
    }
    UNROLL for (int k = 0; k < rows; k++) {
        UNROLL for (int p = 0; p < tokens; p++) acc[p] = sums[p][k];
        if (pass->to == pass->units) put_row(a, pass, i + (size_t)k, acc, tokens);
        else UNROLL for (int p = 0; p < tokens; p++) pass->sums[r + (size_t)k][p] = acc[p];
    }
}

INLINE size_t rows_at(const MuseRowsArgs *a, Pass *pass, size_t i, size_t r, const int tokens, const int type)
{
    const bool pair = tokens >= PAIR_TOKENS && r + 1 < BLOCK && i + 1 < a->m;
    if (pair) some_rows(a, pass, i, r, 2, tokens, type);
    else some_rows(a, pass, i, r, 1, tokens, type);
    return pair ? 2 : 1;
}

void muse_rows_q8_0_q8_vnni(const MuseRowsArgs *a) { rows_all(a, MUSE_WEIGHT_Q8_0); }
void muse_rows_q4_0_q8_vnni(const MuseRowsArgs *a) { rows_all(a, MUSE_WEIGHT_Q4_0); }
void muse_rows_q4_k_q8_vnni(const MuseRowsArgs *a) { rows_all(a, MUSE_WEIGHT_Q4_K); }
void muse_rows_q5_k_q8_vnni(const MuseRowsArgs *a) { rows_all(a, MUSE_WEIGHT_Q5_K); }
void muse_rows_q6_k_q8_vnni(const MuseRowsArgs *a) { rows_all(a, MUSE_WEIGHT_Q6_K); }
void muse_rows_q5_0_q8_vnni(const MuseRowsArgs *a) { rows_all(a, MUSE_WEIGHT_Q5_0); }
void muse_rows_q5_1_q8_vnni(const MuseRowsArgs *a) { rows_all(a, MUSE_WEIGHT_Q5_1); }
