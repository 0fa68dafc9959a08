/* SPDX-License-Identifier: Apache-2.0 */
/* Integer rows for AVX2, FMA and F16C: every block type against 8-bit activations, half a unit of 16 blocks at a time, as
 * matmul_rows_vnni.c does. Contracts: ops/matmul.h; layouts: docs/ops/quant.md. */
#include "ops/matmul.h"
#include "ops/x86/matmul_k.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

enum { TOKENS = 4 };

/* Eight blocks, those of lanes 8 h .. 8 h + 7 (muse_q8_lane): byte l of the block in lane e is byte l % 4 of lane e of q[l / 4],
 * signed for Q8_0, else unsigned. more: Q4_K, Q5_K: minima; Q6_K: the scales of the second halves */
typedef struct Half {
    __m256i q[8];
    __m256  d, more;
} Half;

INLINE size_t unit_bytes(const int type)
{
    return type == MUSE_WEIGHT_Q8_0 ? 16 * MUSE_Q8_0_BYTES : type == MUSE_WEIGHT_Q4_0 ? 16 * MUSE_Q4_0_BYTES
         : type == MUSE_WEIGHT_Q4_K ? 2 * MUSE_Q4_K_BYTES : type == MUSE_WEIGHT_Q5_K ? 2 * MUSE_Q5_K_BYTES : 2 * MUSE_Q6_K_BYTES;
}

INLINE __m256i nibbles(__m256i v, const int high) { return _mm256_and_si256(high ? _mm256_srli_epi16(v, 4) : v, _mm256_set1_epi8(15)); }
INLINE __m256i two_lanes(const uint8_t *low, const uint8_t *high) { return _mm256_set_m128i(load16(high), load16(low)); }
INLINE __m256 to_f32(__m256i v) { return _mm256_cvtepi32_ps(v); }

/* word j of each 128-bit lane of v[0..3] side by side in q[j] */
INLINE void turn(__m256i *q, const __m256i v[4])
{
    const __m256i a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpackhi_epi32(v[0], v[1]);
    const __m256i c = _mm256_unpacklo_epi32(v[2], v[3]), d = _mm256_unpackhi_epi32(v[2], v[3]);
    q[0] = _mm256_unpacklo_epi64(a, c);
    q[1] = _mm256_unpackhi_epi64(a, c);
    q[2] = _mm256_unpacklo_epi64(b, d);
    q[3] = _mm256_unpackhi_epi64(b, d);
}

/* Q8_0 and Q4_0: a lane of two vectors is a block */
INLINE Half load_plain(const uint8_t *p, const size_t h, const bool four_bits)
{
    const size_t bytes = four_bits ? MUSE_Q4_0_BYTES : MUSE_Q8_0_BYTES;
    __m256i low[4], high[4];
    uint16_t d[8];
    Half f;
    UNROLL for (size_t v = 0; v < 4; v++) {
        const uint8_t *block = p + bytes * (4 * v + 2 * h);
        memcpy(&d[v], block, 2);
        memcpy(&d[4 + v], block + bytes, 2);
        low[v] = two_lanes(block + 2, block + bytes + 2);
        if (!four_bits) high[v] = two_lanes(block + 18, block + bytes + 18);
    }
    turn(f.q, low);
    if (!four_bits) turn(f.q + 4, high);
    if (four_bits)
        UNROLL for (int j = 0; j < 4; j++) {
            f.q[4 + j] = nibbles(f.q[j], 1);
            f.q[j] = nibbles(f.q[j], 0);
        }
    f.d = f.more = _mm256_cvtph_ps(_mm_setr_epi16((short)d[0], (short)d[1], (short)d[2], (short)d[3], (short)d[4], (short)d[5], (short)d[6], (short)d[7]));
    return f;
}

/* Q4_K (high_bytes 0) and Q5_K (32): turned, the lanes have words of first and second halves; low nibbles are the first lane's
 * sub-blocks, high ones the second's. */
INLINE Half load_k45(const uint8_t *p, const size_t h, const size_t bytes, const size_t high_bytes)
{
    const uint8_t *other = p + bytes, *qs = p + 16 + high_bytes + 32 * h;
    const __m256i v[4] = { load32(qs), load32(qs + 64), load32(qs + bytes), load32(qs + bytes + 64) };
    const int bit = 0x01010101 << 2 * h;
    const __m256i mask = _mm256_setr_epi32(bit, bit << 4, bit, bit << 4, bit, bit << 4, bit, bit << 4), mask1 = _mm256_add_epi8(mask, mask);
    __m256i t[4];
    Half f;
    turn(t, v);
    UNROLL for (int j = 0; j < 4; j++) {
        __m256i low = nibbles(t[j], 0), high = nibbles(t[j], 1);
        if (high_bytes) {
            const __m256 a = _mm256_castsi256_ps(load32(p + 16)), b = _mm256_castsi256_ps(load32(other + 16));
            const __m256i bits = _mm256_castps_si256(j == 0 ? _mm256_shuffle_ps(a, b, 0x00) : j == 1 ? _mm256_shuffle_ps(a, b, 0x55)
                                                   : j == 2 ? _mm256_shuffle_ps(a, b, 0xaa) : _mm256_shuffle_ps(a, b, 0xff));
            const __m256i fifth = _mm256_set1_epi8(16);
            low = _mm256_or_si256(low, _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bits, mask), mask), fifth));
            high = _mm256_or_si256(high, _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bits, mask1), mask1), fifth));
        }
        f.q[j] = _mm256_permute2x128_si256(low, high, 0x20);
        f.q[4 + j] = _mm256_permute2x128_si256(low, high, 0x31);
    }
    __m128i scale, min;
    const __m128 d4 = k_scales(p, other, &scale, &min);
    const __m256 d = _mm256_set_m128(d4, d4);
    if (h) scale = _mm_srli_si128(scale, 8), min = _mm_srli_si128(min, 8);
    f.d = _mm256_mul_ps(to_f32(_mm256_cvtepu8_epi32(scale)), _mm256_moveldup_ps(d));
    f.more = _mm256_mul_ps(to_f32(_mm256_cvtepu8_epi32(min)), _mm256_movehdup_ps(d));
    return f;
}

/* Q6_K: sub-blocks 0 and 1 of four are low nibbles of the first and the second 32 bytes, 2 and 3 the high ones. */
INLINE Half load_q6_k(const uint8_t *p, const size_t h)
{
    const uint8_t *other = p + MUSE_Q6_K_BYTES;
    const __m256i v[4] = { load32(p), load32(p + 64), load32(other), load32(other + 64) };
    const __m256i w[4] = { load32(p + 32), load32(p + 96), load32(other + 32), load32(other + 96) };
    const __m256i bits[4] = { load32(p + 128), load32(p + 160), load32(other + 128), load32(other + 160) };
    const __m256i two = _mm256_set1_epi8(0x30), left = _mm256_setr_epi32(4, 4, 4, 4, 2, 2, 2, 2), right = _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2);
    __m256i a[4], b[4], t[4];
    Half f;
    turn(a, v);
    turn(b, w);
    turn(t, bits);   /* first halves in the low lane */
    UNROLL for (int j = 0; j < 4; j++) {
        const __m256i na = nibbles(a[j], (int)h), nb = nibbles(b[j], (int)h);
        __m256i first = _mm256_permute2x128_si256(t[j], t[j], 0x00), second = _mm256_permute2x128_si256(t[j], t[j], 0x11);
        first = h ? _mm256_srlv_epi32(first, right) : _mm256_sllv_epi32(first, left);
        second = h ? _mm256_srlv_epi32(second, right) : _mm256_sllv_epi32(second, left);
        f.q[j] = _mm256_or_si256(_mm256_permute2x128_si256(na, nb, 0x20), _mm256_and_si256(first, two));
        f.q[4 + j] = _mm256_or_si256(_mm256_permute2x128_si256(na, nb, 0x31), _mm256_and_si256(second, two));
    }
    __m128i x = load16(p + 192), y = load16(other + 192);   /* a sub-block's two scales: 16 bits */
    x = _mm_unpacklo_epi16(x, _mm_srli_si128(x, 8));
    y = _mm_unpacklo_epi16(y, _mm_srli_si128(y, 8));
    const __m256i s = _mm256_cvtepi16_epi32(h ? _mm_unpackhi_epi32(x, y) : _mm_unpacklo_epi32(x, y));
    const __m128 d4 = two_f16(p + 208, other + 208);
    const __m256 d = _mm256_set_m128(d4, d4);
    f.d = _mm256_mul_ps(to_f32(_mm256_srai_epi32(_mm256_slli_epi32(s, 24), 24)), d);
    f.more = _mm256_mul_ps(to_f32(_mm256_srai_epi32(s, 8)), d);
    return f;
}

INLINE Half load_half(const uint8_t *p, const size_t h, const int type)
{
    return type == MUSE_WEIGHT_Q8_0 ? load_plain(p, h, false) : type == MUSE_WEIGHT_Q4_0 ? load_plain(p, h, true)
         : type == MUSE_WEIGHT_Q4_K ? load_k45(p, h, MUSE_Q4_K_BYTES, 0) : type == MUSE_WEIGHT_Q5_K ? load_k45(p, h, MUSE_Q5_K_BYTES, 32) : load_q6_k(p, h);
}

/* sum + products of four words of each block. Pairs of products are added in 16 bits as long as they fit: 2 * 127 * 15 or
 * 31 four times, * 63 twice. Signed weights go as |w| times x with w's sign, 2 * 127 * 128. */
INLINE __m256i dot4(__m256i sum, const __m256i *q, const int8_t (*x)[64], const size_t h, const int type)
{
    const int fit = type == MUSE_WEIGHT_Q8_0 ? 1 : type == MUSE_WEIGHT_Q6_K ? 2 : 4;
    __m256i pairs = _mm256_setzero_si256();
    UNROLL for (int j = 0; j < 4; j++) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(x[j] + 32 * h));
        const __m256i p = type == MUSE_WEIGHT_Q8_0 ? _mm256_maddubs_epi16(_mm256_abs_epi8(q[j]), _mm256_sign_epi8(v, q[j])) : _mm256_maddubs_epi16(q[j], v);
        pairs = j % fit ? _mm256_add_epi16(pairs, p) : p;
        if (j % fit == fit - 1) sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    return sum;
}

INLINE __m256i lanes_of(const int32_t *p, const size_t h) { return _mm256_loadu_si256((const __m256i *)(const void *)(p + 8 * h)); }

INLINE __m256 add_half(__m256 acc, const Half *f, const MuseQ8Group *g, const size_t h, const int type)
{
    const __m256i sum = lanes_of(g->minus_sum, h), none = _mm256_setzero_si256();
    __m256 v;
    if (type == MUSE_WEIGHT_Q6_K) {
        const __m256i low = lanes_of(g->minus_low, h), high = _mm256_sub_epi32(sum, low);
        v = _mm256_mul_ps(to_f32(dot4(_mm256_slli_epi32(low, 5), f->q, g->q, h, type)), f->d);
        v = _mm256_fmadd_ps(to_f32(dot4(_mm256_slli_epi32(high, 5), f->q + 4, g->q + 4, h, type)), f->more, v);
    } else {
        const __m256i start = type == MUSE_WEIGHT_Q4_0 ? _mm256_slli_epi32(sum, 3) : none;
        v = _mm256_mul_ps(to_f32(dot4(dot4(start, f->q, g->q, h, type), f->q + 4, g->q + 4, h, type)), f->d);
        if (type == MUSE_WEIGHT_Q4_K || type == MUSE_WEIGHT_Q5_K) v = _mm256_fmadd_ps(to_f32(sum), f->more, v);
    }
    return _mm256_fmadd_ps(v, _mm256_loadu_ps(g->d + 8 * h), acc);
}

INLINE float sum8(__m256 v)
{
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 h = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}

INLINE void row_at(const MuseRowsArgs *a, const __m256 present[2], size_t i, size_t t, const int tokens, const int type)
{
    const size_t bytes = unit_bytes(type);
    /* rows without gaps may be read as far as the last one goes: copying a short end costs more than the products */
    const size_t row_bytes = a->k * bytes / MUSE_Q8_GROUP, last = a->w_stride == row_bytes ? a->m - 1 : i;
    const uint8_t *end = (const uint8_t *)a->w + last * a->w_stride + row_bytes;
    const uint8_t *w = (const uint8_t *)a->w + i * a->w_stride, *x = (const uint8_t *)a->x + t * a->x_stride;
    __m256 acc[TOKENS];
    UNROLL for (int p = 0; p < tokens; p++) acc[p] = _mm256_setzero_ps();
    for (size_t j = 0; j < a->k; j += MUSE_Q8_GROUP, w += bytes, x += sizeof(MuseQ8Group)) {
        uint8_t padded[16 * MUSE_Q8_0_BYTES];
        const uint8_t *at = w;
        if (a->k - j < MUSE_Q8_GROUP && at + bytes > end) {
            memset(padded, 0, sizeof padded);
            memcpy(padded, at, (a->k - j) * bytes / MUSE_Q8_GROUP);
            at = padded;
        }
        UNROLL for (size_t h = 0; h < 2; h++) {
            Half f = load_half(at, h, type);
            if (a->k - j < MUSE_Q8_GROUP) {   /* what follows a row's last blocks belongs to the next row */
                f.d = _mm256_and_ps(f.d, present[h]);
                f.more = _mm256_and_ps(f.more, present[h]);
            }
            UNROLL for (int p = 0; p < tokens; p++)
                acc[p] = add_half(acc[p], &f, (const MuseQ8Group *)(const void *)(x + (size_t)p * a->x_stride), h, type);
        }
    }
    UNROLL for (int p = 0; p < tokens; p++) a->y[(t + (size_t)p) * a->y_stride + i] = sum8(acc[p]) + (a->bias ? a->bias[i] : 0.0f);
}

INLINE void rows_q(const MuseRowsArgs *a, const int type)
{
    int32_t lanes[16] = { 0 };
    for (size_t b = 0; b < a->k % MUSE_Q8_GROUP / MUSE_QUANT_BLOCK; b++) lanes[muse_q8_lane(b)] = -1;
    const __m256 present[2] = { _mm256_castsi256_ps(lanes_of(lanes, 0)), _mm256_castsi256_ps(lanes_of(lanes, 1)) };
    for (size_t i = 0; i < a->m; i++) {
        size_t t = 0;
        for (; t + 4 <= a->n; t += 4) row_at(a, present, i, t, 4, type);
        for (; t + 2 <= a->n; t += 2) row_at(a, present, i, t, 2, type);
        if (t < a->n) row_at(a, present, i, t, 1, type);
    }
}

void muse_rows_q8_0_q8_avx2(const MuseRowsArgs *a) { rows_q(a, MUSE_WEIGHT_Q8_0); }
void muse_rows_q4_0_q8_avx2(const MuseRowsArgs *a) { rows_q(a, MUSE_WEIGHT_Q4_0); }
void muse_rows_q4_k_q8_avx2(const MuseRowsArgs *a) { rows_q(a, MUSE_WEIGHT_Q4_K); }
void muse_rows_q5_k_q8_avx2(const MuseRowsArgs *a) { rows_q(a, MUSE_WEIGHT_Q5_K); }
void muse_rows_q6_k_q8_avx2(const MuseRowsArgs *a) { rows_q(a, MUSE_WEIGHT_Q6_K); }
