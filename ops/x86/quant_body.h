/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of block formats, shared by quant_avx2.c and quant_avx512.c: integers of 32 weights come apart in 256-bit vectors;
 * the including file gives NAME(op) and put32(y, q, step0, step1, low), which writes y[i] = q[i] * step - low, rounded after
 * each of the two operations, step1 from weight 16 on. Contracts: ops/quant.h. */

static inline float f16_at(const uint8_t *p)
{
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
}

static inline __m256i load32(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }

static inline __m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
static inline __m256i high_nibbles(__m256i v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }

void NAME(dequant_q8_0)(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_BLOCK, p += MUSE_Q8_0_BYTES, y += MUSE_QUANT_BLOCK) {
        const float d = f16_at(p);
        put32(y, load32(p + 2), d, d, 0);
    }
}

void NAME(dequant_q4_0)(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_BLOCK, p += MUSE_Q4_0_BYTES, y += MUSE_QUANT_BLOCK) {
        const float d = f16_at(p);
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 2));
        const __m256i q = low_nibbles(_mm256_set_m128i(_mm_srli_epi16(v, 4), v));
        put32(y, _mm256_sub_epi8(q, _mm256_set1_epi8(8)), d, d, 0);
    }
}

/* Q5_0 and Q5_1: fifth bits at `high`, a bit a weight, nibbles behind them */
static inline __m256i load_q5(const uint8_t *high)
{
    int bits;
    memcpy(&bits, high, sizeof bits);
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(high + 4));
    const __m256i q = low_nibbles(_mm256_set_m128i(_mm_srli_epi16(v, 4), v)), bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    const __m256i byte_of = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), byte_of);
    return _mm256_or_si256(q, _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit), _mm256_set1_epi8(16)));
}

void NAME(dequant_q5_0)(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_BLOCK, p += MUSE_Q5_0_BYTES, y += MUSE_QUANT_BLOCK) {
        const float d = f16_at(p);
        put32(y, _mm256_sub_epi8(load_q5(p + 2), _mm256_set1_epi8(16)), d, d, 0);
    }
}

void NAME(dequant_q5_1)(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_BLOCK, p += MUSE_Q5_1_BYTES, y += MUSE_QUANT_BLOCK) {
        const float d = f16_at(p);
        put32(y, load_q5(p + 4), d, d, -f16_at(p + 2));
    }
}

/* high: NULL for Q4_K, the 32 bytes of fifth bits for Q5_K */
static inline void dequant_k45(float *y, const uint8_t *head, const uint8_t *high, const uint8_t *qs)
{
    const float d = f16_at(head), dmin = f16_at(head + 2);
    const __m256i h = high ? load32(high) : _mm256_setzero_si256();
    for (unsigned j = 0; j < 8; j++) {
        uint8_t scale, min;
        muse_k_scale_min(head + 4, j, &scale, &min);
        const float step = d * (float)scale, low = dmin * (float)min;
        const __m256i v = load32(qs + 32 * (j / 2));
        __m256i q = j & 1 ? high_nibbles(v) : low_nibbles(v);
        if (high) {
            const __m256i bit = _mm256_set1_epi8((char)(1u << j));
            q = _mm256_or_si256(q, _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(h, bit), bit), _mm256_set1_epi8(16)));
        }
        put32(y + 32 * j, q, step, step, low);
    }
}

void NAME(dequant_q4_k)(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_SUPER, p += MUSE_Q4_K_BYTES, y += MUSE_QUANT_SUPER) dequant_k45(y, p, NULL, p + 16);
}

void NAME(dequant_q5_k)(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_SUPER, p += MUSE_Q5_K_BYTES, y += MUSE_QUANT_SUPER) dequant_k45(y, p, p + 16, p + 48);
}

void NAME(dequant_q6_k)(float *y, const void *x, size_t n)
{
    const uint8_t *p = x;
    for (; n; n -= MUSE_QUANT_SUPER, p += MUSE_Q6_K_BYTES, y += MUSE_QUANT_SUPER) {
        const float d = f16_at(p + 208);
        for (int c = 0; c < 8; c++) {   /* 32 weights: half c / 4, quarter c % 4 */
            const __m256i v = load32(p + 64 * (c / 4) + 32 * (c % 2)), top = load32(p + 128 + 32 * (c / 4));
            const __m256i nibbles = c & 2 ? high_nibbles(v) : low_nibbles(v);
            const __m256i two = _mm256_and_si256(_mm256_srl_epi16(top, _mm_cvtsi32_si128(2 * (c % 4))), _mm256_set1_epi8(3));
            const __m256i q = _mm256_sub_epi8(_mm256_or_si256(nibbles, _mm256_slli_epi16(two, 4)), _mm256_set1_epi8(32));
            put32(y + 32 * c, q, d * (float)(int8_t)p[192 + 2 * c], d * (float)(int8_t)p[193 + 2 * c], 0);
        }
    }
}

/* quant_q8_group(g, x) is of the including file. */
void NAME(quant_q8_groups)(MuseQ8Group *g, const float *x, size_t k)
{
    for (; k >= MUSE_Q8_GROUP; k -= MUSE_Q8_GROUP, x += MUSE_Q8_GROUP, g++) quant_q8_group(g, x);
    if (k) {
        float rest[MUSE_Q8_GROUP] = { 0 };
        memcpy(rest, x, k * sizeof *x);
        quant_q8_group(g, rest);
    }
}
