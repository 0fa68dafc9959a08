/* SPDX-License-Identifier: Apache-2.0 */
/* The resampling passes in vectors of any width. Included once by each resize_<isa>.c, which first defines:
 *   Vec, VEC(op)                 the vector type and its intrinsics, such as _mm512_##op
 *   LANES                        128-bit lanes of a vector
 *   NAME(name)                   the exported functions
 *   add_madd(sum, a, b)          sum + the 16-bit multiply-add of a and b
 *   spread(m128)                 a 128-bit value in every lane
 *   load_lanes(p, stride)        16 bytes of LANES rows;  load_grey(p, stride): 8 bytes of each, widened to 16 bits
 *   store_lanes(dst, at, v, n, room)  the first n <= 16 bytes of each lane to its row; room: 16 may be written
 *   load_part(p, n), store_part(p, v, n)  min(n, sizeof(Vec)) bytes
 *
 * Across: each 128-bit lane holds a row, so that one weight serves all and no sum crosses lanes; two taps of a channel are
 * paired for the multiply-add. Down: two rows are paired sample by sample. Tables with 64-bit sums, and outputs whose loads
 * would leave the row, go to C. */
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { SETS_MAX = 2, SPLIT_BITS = 12 };   /* vectors of rows that share the loads of weights; log2 of MUSE_RESIZE_SPLIT */
_Static_assert(1 << SPLIT_BITS == MUSE_RESIZE_SPLIT, "weights of two parts");

/* rows stride bytes apart: one register serves them all */
typedef struct Source { const uint8_t *rows; size_t stride; } Source;

/* two weights in every 32 bits */
INLINE Vec two_weights(const int16_t *w)
{
    int32_t pair;
    memcpy(&pair, w, sizeof pair);
    return VEC(set1_epi32)(pair);
}

/* Zero-extending shuffle that pairs two neighbouring taps of each channel; the first is at byte `from`. */
INLINE Vec pair_mask(size_t channels, int from)
{
    const char z = -128, f = (char)from;
    if (channels == 3)
        return spread(_mm_setr_epi8(f, z, (char)(f + 3), z, (char)(f + 1), z, (char)(f + 4), z, (char)(f + 2), z, (char)(f + 5), z, z, z, z, z));
    return spread(_mm_setr_epi8(f, z, (char)(f + 4), z, (char)(f + 1), z, (char)(f + 5), z, (char)(f + 2), z, (char)(f + 6), z, (char)(f + 3), z,
                                (char)(f + 7), z));
}

/* the channels of output pixel i in each lane, as 32-bit levels not yet clamped */
INLINE void colour_pixel(Vec out[SETS_MAX], Source src, int sets, const MuseResizeAxis *axis, size_t i, size_t channels, int parts)
{
    const Vec m01 = pair_mask(channels, 0), m23 = pair_mask(channels, (int)(2 * channels));
    const int16_t *w0 = axis->part[0] + i * axis->slots, *w1 = parts == 2 ? axis->part[1] + i * axis->slots : w0;
    const uint8_t *p = src.rows + axis->first[i] * channels;
    Vec low[SETS_MAX], high[SETS_MAX];
    for (int s = 0; s < sets; s++) low[s] = VEC(set1_epi32)(1 << (axis->shift - 1)), high[s] = VEC(set1_epi32)(0);
    for (size_t k = 0; k < axis->slots; k += MUSE_RESIZE_GROUP, p += MUSE_RESIZE_GROUP * channels) {
        const Vec a01 = two_weights(w1 + k), a23 = two_weights(w1 + k + 2);
        for (int s = 0; s < sets; s++) {
            const Vec v = load_lanes(p + (size_t)(LANES * s) * src.stride, src.stride);
            const Vec p01 = VEC(shuffle_epi8)(v, m01), p23 = VEC(shuffle_epi8)(v, m23);
            low[s] = add_madd(add_madd(low[s], p01, a01), p23, a23);
            if (parts == 2) high[s] = add_madd(add_madd(high[s], p01, two_weights(w0 + k)), p23, two_weights(w0 + k + 2));
        }
    }
    for (int s = 0; s < sets; s++) {
        if (parts == 2) low[s] = VEC(add_epi32)(low[s], VEC(slli_epi32)(high[s], SPLIT_BITS));
        out[s] = VEC(sra_epi32)(low[s], _mm_cvtsi32_si128(axis->shift));
    }
}

INLINE void across_colour(uint8_t *const *dst, Source src, int sets, const MuseResizeAxis *axis, size_t channels, int parts, size_t begin,
                          size_t end)
{
    const Vec squeeze = spread(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15));
    for (size_t i = begin; i < end; i += 4) {
        const size_t n = end - i < 4 ? end - i : 4;
        Vec px[4][SETS_MAX];
        for (size_t p = 0; p < 4; p++) colour_pixel(px[p], src, sets, axis, p < n ? i + p : i, channels, parts);
        for (int s = 0; s < sets; s++) {
            Vec v = VEC(packus_epi16)(VEC(packs_epi32)(px[0][s], px[1][s]), VEC(packs_epi32)(px[2][s], px[3][s]));
            if (channels == 3) v = VEC(shuffle_epi8)(v, squeeze);
            store_lanes(dst + LANES * s, i * channels, v, n * channels, (end - i) * channels >= 16);
        }
    }
}

/* 8 weights, the last 4 zero where the table ends, in every lane */
INLINE Vec grey_weights(const int16_t *w, size_t left)
{
    const __m128i *p = (const __m128i *)(const void *)w;
    return spread(left >= 8 ? _mm_loadu_si128(p) : _mm_loadl_epi64(p));
}

/* sums of the four products of each lane, of four pixels */
INLINE Vec sum_lanes(const Vec px[4])
{
    const Vec ab = VEC(add_epi32)(VEC(unpacklo_epi32)(px[0], px[1]), VEC(unpackhi_epi32)(px[0], px[1]));
    const Vec cd = VEC(add_epi32)(VEC(unpacklo_epi32)(px[2], px[3]), VEC(unpackhi_epi32)(px[2], px[3]));
    return VEC(add_epi32)(VEC(unpacklo_epi64)(ab, cd), VEC(unpackhi_epi64)(ab, cd));
}

INLINE void across_grey(uint8_t *const *dst, Source src, int sets, const MuseResizeAxis *axis, int parts, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i += 4) {
        const size_t n = end - i < 4 ? end - i : 4;
        Vec low[SETS_MAX][4], high[SETS_MAX][4];
        for (size_t p = 0; p < 4; p++) {
            const size_t o = p < n ? i + p : i;
            const int16_t *w0 = axis->part[0] + o * axis->slots, *w1 = parts == 2 ? axis->part[1] + o * axis->slots : w0;
            for (int s = 0; s < sets; s++) low[s][p] = high[s][p] = VEC(set1_epi32)(0);
            for (size_t k = 0; k < axis->slots; k += 8)
                for (int s = 0; s < sets; s++) {
                    const Vec v = load_grey(src.rows + (size_t)(LANES * s) * src.stride + axis->first[o] + k, src.stride);
                    low[s][p] = add_madd(low[s][p], v, grey_weights(w1 + k, axis->slots - k));
                    if (parts == 2) high[s][p] = add_madd(high[s][p], v, grey_weights(w0 + k, axis->slots - k));
                }
        }
        for (int s = 0; s < sets; s++) {
            Vec v = VEC(add_epi32)(sum_lanes(low[s]), VEC(set1_epi32)(1 << (axis->shift - 1)));
            if (parts == 2) v = VEC(add_epi32)(v, VEC(slli_epi32)(sum_lanes(high[s]), SPLIT_BITS));
            v = VEC(packs_epi32)(VEC(sra_epi32)(v, _mm_cvtsi32_si128(axis->shift)), VEC(set1_epi32)(0));
            store_lanes(dst + LANES * s, i, VEC(packus_epi16)(v, v), n, end - i >= 16);
        }
    }
}

/* end of the outputs whose loads stay inside the row: 16 bytes a group of colour, 8 of grey */
static size_t end_inside(const MuseResizeAxis *axis, size_t channels, size_t begin, size_t end)
{
    const size_t reads = channels == 1 ? (axis->slots + 7) / 8 * 8 : (axis->slots - MUSE_RESIZE_GROUP) * channels + 16;
    while (end > begin && axis->first[end - 1] * channels + reads > axis->n_in * channels) end--;
    return end;
}

INLINE void across_sets(uint8_t *const *dst, Source src, int sets, size_t channels, const MuseResizeAxis *axis, size_t begin, size_t end)
{
    if (channels == 1 && axis->parts == 1) across_grey(dst, src, sets, axis, 1, begin, end);
    else if (channels == 1) across_grey(dst, src, sets, axis, 2, begin, end);
    else if (channels == 3 && axis->parts == 1) across_colour(dst, src, sets, axis, 3, 1, begin, end);
    else if (channels == 3) across_colour(dst, src, sets, axis, 3, 2, begin, end);
    else if (axis->parts == 1) across_colour(dst, src, sets, axis, 4, 1, begin, end);
    else across_colour(dst, src, sets, axis, 4, 2, begin, end);
}

void NAME(muse_resize_across_u8)(const MuseResizeRows *rows, const MuseResizeAxis *axis)
{
    MuseResizeRows rest = *rows;
    rest.begin = axis->wide ? rows->begin : end_inside(axis, rows->channels, rows->begin, rows->end);
    if (rest.begin < rest.end) muse_resize_across_u8_c(&rest, axis);
    if (rest.begin == rows->begin) return;
    Source src = { rows->src, rows->src_stride };
    size_t r = 0;
    for (; r + 2 * LANES <= rows->n_rows; r += 2 * LANES, src.rows += 2 * LANES * src.stride)
        across_sets(rows->dst + r, src, 2, rows->channels, axis, rows->begin, rest.begin);
    for (; r + LANES <= rows->n_rows; r += LANES, src.rows += LANES * src.stride)
        across_sets(rows->dst + r, src, 1, rows->channels, axis, rows->begin, rest.begin);
    for (; r < rows->n_rows; r++) {   /* one row in all lanes */
        uint8_t *same[LANES];
        for (int k = 0; k < LANES; k++) same[k] = rows->dst[r];
        const Source one = { rows->src + r * rows->src_stride, 0 };
        across_sets(same, one, 1, rows->channels, axis, rows->begin, rest.begin);
    }
}

typedef struct Sums { Vec q[4]; } Sums;

/* samples of two rows times two weights */
INLINE void add_rows(Sums *sum, Vec a, Vec b, Vec w)
{
    const Vec zero = VEC(set1_epi32)(0), lo = VEC(unpacklo_epi8)(a, b), hi = VEC(unpackhi_epi8)(a, b);
    sum->q[0] = add_madd(sum->q[0], VEC(unpacklo_epi8)(lo, zero), w);
    sum->q[1] = add_madd(sum->q[1], VEC(unpackhi_epi8)(lo, zero), w);
    sum->q[2] = add_madd(sum->q[2], VEC(unpacklo_epi8)(hi, zero), w);
    sum->q[3] = add_madd(sum->q[3], VEC(unpackhi_epi8)(hi, zero), w);
}

INLINE void down_rows(uint8_t *dst, const uint8_t *const rows[], size_t n, const MuseResizeAxis *axis, size_t index, int parts)
{
    const int16_t *w0 = axis->part[0] + index * axis->slots, *w1 = parts == 2 ? axis->part[1] + index * axis->slots : w0;
    const size_t count = axis->count[index];
    const Vec half = VEC(set1_epi32)(1 << (axis->shift - 1)), zero = VEC(set1_epi32)(0);
    for (size_t x = 0; x < n; x += sizeof(Vec)) {
        Sums low = { { half, half, half, half } }, high = { { zero, zero, zero, zero } };
        for (size_t k = 0; k < count; k += 2) {
            const uint8_t *second = rows[k + 1 < count ? k + 1 : k];   /* weights past count are 0, so any row does */
            const Vec a = load_part(rows[k] + x, n - x), b = load_part(second + x, n - x);
            if (parts == 2) add_rows(&high, a, b, two_weights(w0 + k));
            add_rows(&low, a, b, two_weights(w1 + k));
        }
        for (int q = 0; q < 4; q++) {
            if (parts == 2) low.q[q] = VEC(add_epi32)(low.q[q], VEC(slli_epi32)(high.q[q], SPLIT_BITS));
            low.q[q] = VEC(sra_epi32)(low.q[q], _mm_cvtsi32_si128(axis->shift));
        }
        const Vec v = VEC(packus_epi16)(VEC(packs_epi32)(low.q[0], low.q[1]), VEC(packs_epi32)(low.q[2], low.q[3]));
        store_part(dst + x, v, n - x);
    }
}

void NAME(muse_resize_down_u8)(uint8_t *dst, const uint8_t *const rows[], size_t n, const MuseResizeAxis *axis, size_t index)
{
    if (axis->wide) muse_resize_down_u8_c(dst, rows, n, axis, index);
    else if (axis->parts == 1) down_rows(dst, rows, n, axis, index, 1);
    else down_rows(dst, rows, n, axis, index, 2);
}
