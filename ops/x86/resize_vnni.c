/* SPDX-License-Identifier: Apache-2.0 */
/* Resampling by 8-bit dot products (AVX-512 VNNI): vpdpbusd adds four products of an unsigned sample and a signed weight to
 * each 32-bit sum, exactly. A weight of 16 bits is two halves, each with a sum of its own: 256 * high + low. Samples are never
 * widened, and sums may wrap on the way, for the whole does not. Called through ops/resize.h.
 *
 * Across: a 32-bit element of a vector is a row, and holds four neighbouring samples of one channel of that row. The tile
 * keeps 16 rows so, transposed once for all outputs that see them. Element 4q + j of a result is row j of quad q: packing
 * four neighbouring samples to bytes gives each 128-bit lane the four words of its quad.
 * Down: a 32-bit element is a column, its four bytes the rows of a quad; nothing is rearranged but the bytes of the result.
 *
 * Tables without halves, and windows longer than a tile, go to C. */
#include <immintrin.h>
#include <string.h>

#include "ops/resize.h"

#define INLINE static inline __attribute__((always_inline))

typedef __m512i Vec;

enum {
    GROUP    = MUSE_RESIZE_GROUP,
    QUADS    = MUSE_RESIZE_ROWS / GROUP,   /* one a lane */
    TILE     = 384                         /* vectors: 24 KiB, half of the first-level cache */
};
_Static_assert(QUADS == 4, "a lane for each quad");

/* Where four quads of rows lie: row j of quad q begins at quad[q] + row[j]. */
typedef struct Source { const uint8_t *quad[QUADS]; size_t row[GROUP]; } Source;

INLINE __m128i load16(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

/* 16 bytes of one row of each quad. Masked broadcasts merge in the load; inserts would compete with the shuffles. */
INLINE Vec load_quads(const uint8_t *q0, const uint8_t *q1, const uint8_t *q2, const uint8_t *q3, size_t at)
{
    Vec v = _mm512_castsi128_si512(load16(q0 + at));
    v = _mm512_mask_broadcast_i32x4(v, 0x00f0, load16(q1 + at));
    v = _mm512_mask_broadcast_i32x4(v, 0x0f00, load16(q2 + at));
    return _mm512_mask_broadcast_i32x4(v, 0xf000, load16(q3 + at));
}

/* In each lane, four bytes of each channel together; grey is so already. */
INLINE Vec by_channel(Vec v, size_t channels)
{
    if (channels == 1) return v;
    const __m128i rgb = _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, 12, 13, 14, 15);
    const __m128i rgba = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(channels == 3 ? rgb : rgba));
}

/* Runs of 4 pixels of colour or 16 of grey, 16 bytes a row, from `at` on, as far as they begin before `end`. Transposes 32-bit
 * words lane by lane. */
INLINE void fill_runs(Vec *tile, const Source *s, size_t channels, size_t at, size_t end)
{
    const size_t bytes = channels == 1 ? 16 : GROUP * channels, vectors = channels == 1 ? 4 : channels;
    const uint8_t *const q0 = s->quad[0], *const q1 = s->quad[1], *const q2 = s->quad[2], *const q3 = s->quad[3];
    const size_t r1 = s->row[1], r2 = s->row[2], r3 = s->row[3];
    for (; at < end; at += bytes, tile += vectors) {
        const Vec a = by_channel(load_quads(q0, q1, q2, q3, at), channels), b = by_channel(load_quads(q0, q1, q2, q3, at + r1), channels);
        const Vec c = by_channel(load_quads(q0, q1, q2, q3, at + r2), channels), d = by_channel(load_quads(q0, q1, q2, q3, at + r3), channels);
        const Vec ab = _mm512_unpacklo_epi32(a, b), cd = _mm512_unpacklo_epi32(c, d);
        const Vec ef = _mm512_unpackhi_epi32(a, b), gh = _mm512_unpackhi_epi32(c, d);
        tile[0] = _mm512_unpacklo_epi64(ab, cd);
        tile[1] = _mm512_unpackhi_epi64(ab, cd);
        tile[2] = _mm512_unpacklo_epi64(ef, gh);
        if (channels != 3) tile[3] = _mm512_unpackhi_epi64(ef, gh);
    }
}

/* functions of their own: registers for all those pointers */
static __attribute__((noinline)) void fill_grey(Vec *tile, const Source *s, size_t at, size_t end) { fill_runs(tile, s, 1, at, end); }
static __attribute__((noinline)) void fill_rgb(Vec *tile, const Source *s, size_t at, size_t end) { fill_runs(tile, s, 3, at, end); }
static __attribute__((noinline)) void fill_rgba(Vec *tile, const Source *s, size_t at, size_t end) { fill_runs(tile, s, 4, at, end); }

INLINE void fill_any(Vec *tile, const Source *s, size_t channels, size_t at, size_t end)
{
    if (channels == 1) fill_grey(tile, s, at, end);
    else if (channels == 3) fill_rgb(tile, s, at, end);
    else fill_rgba(tile, s, at, end);
}

/* Source pixels from .. from+n-1, zeros past the end of the row. */
INLINE void fill(Vec *tile, const Source *src, const MuseResizeAxis *axis, size_t channels, size_t from, size_t n)
{
    const size_t bytes = channels == 1 ? 16 : GROUP * channels, vectors = channels == 1 ? 4 : channels;
    const size_t row = axis->n_in * channels, begin = from * channels, end = (from + n) * channels;
    const size_t inside = row - begin < 16 ? begin : row - 15, plain = inside < end ? inside : end;   /* runs that begin before it lie in the row */
    fill_any(tile, src, channels, begin, plain);
    const size_t done = plain > begin ? (plain - begin + bytes - 1) / bytes : 0;
    tile += done * vectors;
    for (size_t at = begin + done * bytes; at < end; at += bytes, tile += vectors) {
        uint8_t edge[QUADS * GROUP][16] = { { 0 } };
        Source s = { .row = { 0, 16, 32, 48 } };
        for (size_t q = 0; q < QUADS; q++) {
            s.quad[q] = edge[GROUP * q];
            for (size_t j = 0; at < row && j < GROUP; j++) memcpy(edge[GROUP * q + j], src->quad[q] + src->row[j] + at, row - at < 16 ? row - at : 16);
        }
        fill_any(tile, &s, channels, 0, bytes);
    }
}

INLINE Vec four_weights(const int8_t *w)
{
    int32_t four;
    memcpy(&four, w, sizeof four);
    return _mm512_set1_epi32(four);
}

INLINE Vec level(Vec high, Vec low, __m128i shift) { return _mm512_sra_epi32(_mm512_add_epi32(_mm512_slli_epi32(high, 8), low), shift); }

/* What a call works on; channels are a literal where a function is instantiated. */
typedef struct Job {
    uint8_t *const *dst;
    size_t n_quads;
    Source src;
    const MuseResizeAxis *axis;
    size_t begin, end;
} Job;

/* One output pixel of all rows: its channels to out[]. Sums are plain variables, for compilers lose arrays of vectors to memory. */
INLINE void one_output(Vec *out, const Vec *px, const Job *job, size_t o, size_t channels)
{
    const int8_t *w = job->axis->halves + o * job->axis->slots * 2;
    const __m128i shift = _mm_cvtsi32_si128(job->axis->shift);
    Vec h0 = _mm512_setzero_si512(), h1 = h0, h2 = h0, h3 = h0;
    Vec l0 = _mm512_set1_epi32(1 << (job->axis->shift - 1)), l1 = l0, l2 = l0, l3 = l0;
    for (size_t k = 0; k < job->axis->count[o]; k += GROUP, px += channels, w += 2 * GROUP) {
        const Vec high = four_weights(w), low = four_weights(w + GROUP);
        h0 = _mm512_dpbusd_epi32(h0, px[0], high), l0 = _mm512_dpbusd_epi32(l0, px[0], low);
        if (channels == 1) continue;
        h1 = _mm512_dpbusd_epi32(h1, px[1], high), l1 = _mm512_dpbusd_epi32(l1, px[1], low);
        h2 = _mm512_dpbusd_epi32(h2, px[2], high), l2 = _mm512_dpbusd_epi32(l2, px[2], low);
        if (channels == 3) continue;
        h3 = _mm512_dpbusd_epi32(h3, px[3], high), l3 = _mm512_dpbusd_epi32(l3, px[3], low);
    }
    out[0] = level(h0, l0, shift);
    if (channels == 1) return;
    out[1] = level(h1, l1, shift);
    out[2] = level(h2, l2, shift);
    if (channels == 4) out[3] = level(h3, l3, shift);
}

INLINE Vec to_bytes(Vec a, Vec b, Vec c, Vec d) { return _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)); }

/* The first n <= 4 words of each lane to its quad. */
INLINE void store_words(const Job *job, size_t at, Vec v, size_t n)
{
    const __m128i lane[QUADS] = { _mm512_castsi512_si128(v), _mm512_extracti32x4_epi32(v, 1), _mm512_extracti32x4_epi32(v, 2),
                                  _mm512_extracti32x4_epi32(v, 3) };
    for (size_t q = 0; q < QUADS && q < job->n_quads; q++) {
        if (n >= GROUP) _mm_storeu_si128((__m128i *)(void *)(job->dst[q] + GROUP * at), lane[q]);
        else _mm_mask_storeu_epi32(job->dst[q] + GROUP * at, (__mmask8)((1u << n) - 1), lane[q]);
    }
}

/* Outputs i .. i+n-1, n <= 4, from a tile that holds the source from pixel `from` on. */
INLINE void four_outputs(const Vec *tile, const Job *job, size_t channels, size_t from, size_t i, size_t n)
{
    Vec px[4 * GROUP];
    for (size_t p = 0; p < GROUP; p++) {
        const size_t o = p < n ? i + p : i;
        one_output(px + p * channels, tile + (job->axis->first[o] - from) / GROUP * channels, job, o, channels);
    }
    for (size_t t = 0; t < channels; t++) {
        const Vec v = to_bytes(px[4 * t], px[4 * t + 1], px[4 * t + 2], px[4 * t + 3]);
        if (n == GROUP) store_words(job, i * channels + 4 * t, v, GROUP);
        else if (n * channels > 4 * t) store_words(job, i * channels + 4 * t, v, n * channels - 4 * t);
    }
}

INLINE void across(const Job *job, size_t channels)
{
    const MuseResizeAxis *axis = job->axis;
    const size_t tile_px = TILE / channels * GROUP;
    Vec tile[TILE];
    for (size_t i = job->begin; i < job->end;) {
        const size_t from = axis->first[i];
        size_t stop = i + 1;
        while (stop < job->end && axis->first[stop] + axis->slots <= from + tile_px) stop++;
        fill(tile, &job->src, axis, channels, from, axis->first[stop - 1] + axis->slots - from);
        for (; i < stop; i += GROUP) four_outputs(tile, job, channels, from, i, stop - i < GROUP ? stop - i : GROUP);
        i = stop;
    }
}

static void across_grey(const Job *job) { across(job, 1); }
static void across_rgb(const Job *job) { across(job, 3); }
static void across_rgba(const Job *job) { across(job, 4); }

void muse_resize_across_quads_u8_vnni(const MuseResizeRows *rows, const MuseResizeAxis *axis)
{
    if (!axis->halves || axis->slots > TILE / rows->channels * GROUP) {
        muse_resize_across_quads_u8_c(rows, axis);
        return;
    }
    void (*const run)(const Job *) = rows->channels == 1 ? across_grey : rows->channels == 3 ? across_rgb : across_rgba;
    const size_t whole = rows->n_rows / GROUP, rest = rows->n_rows % GROUP;
    Job job = { .dst = rows->dst, .axis = axis, .begin = rows->begin, .end = rows->end };
    if (whole) {
        job.n_quads = whole;
        for (size_t q = 0; q < QUADS; q++) job.src.quad[q] = rows->src + (q < whole ? q : 0) * GROUP * rows->src_stride;
        for (size_t j = 0; j < GROUP; j++) job.src.row[j] = j * rows->src_stride;
        run(&job);
    }
    if (rest) {   /* the last row again where there is none */
        job.dst = rows->dst + whole;
        job.n_quads = 1;
        for (size_t q = 0; q < QUADS; q++) job.src.quad[q] = rows->src + whole * GROUP * rows->src_stride;
        for (size_t j = 0; j < GROUP; j++) job.src.row[j] = (j < rest ? j : rest - 1) * rows->src_stride;
        run(&job);
    }
}

enum { COLUMNS = 16, BLOCK = 4 * COLUMNS };   /* of a vector; of a step down, whose eight sums hide the latency */

/* n columns' words from p on, zeros for those there are not */
INLINE Vec load_words(const uint8_t *p, size_t n, size_t skip)
{
    if (n >= BLOCK) return _mm512_loadu_si512(p + GROUP * skip);
    const __mmask16 mask = n >= skip + COLUMNS ? 0xffff : n > skip ? (__mmask16)((1u << (n - skip)) - 1) : 0;
    return _mm512_maskz_loadu_epi32(mask, p + GROUP * skip);
}

/* Columns x .. x+n-1; n is a literal where it is BLOCK. */
INLINE void down_block(uint8_t *dst, const uint8_t *const quads[], size_t x, size_t n, const MuseResizeAxis *axis, size_t index)
{
    const int8_t *w = axis->halves + index * axis->slots * 2;
    const __m128i shift = _mm_cvtsi32_si128(axis->shift);
    Vec h0 = _mm512_setzero_si512(), h1 = h0, h2 = h0, h3 = h0;
    Vec l0 = _mm512_set1_epi32(1 << (axis->shift - 1)), l1 = l0, l2 = l0, l3 = l0;
    for (size_t k = 0; k < axis->count[index]; k += GROUP, w += 2 * GROUP) {
        const Vec high = four_weights(w), low = four_weights(w + GROUP);
        const uint8_t *p = quads[k / GROUP] + GROUP * x;
        const Vec a = load_words(p, n, 0), b = load_words(p, n, COLUMNS), c = load_words(p, n, 2 * COLUMNS), d = load_words(p, n, 3 * COLUMNS);
        h0 = _mm512_dpbusd_epi32(h0, a, high), l0 = _mm512_dpbusd_epi32(l0, a, low);
        h1 = _mm512_dpbusd_epi32(h1, b, high), l1 = _mm512_dpbusd_epi32(l1, b, low);
        h2 = _mm512_dpbusd_epi32(h2, c, high), l2 = _mm512_dpbusd_epi32(l2, c, low);
        h3 = _mm512_dpbusd_epi32(h3, d, high), l3 = _mm512_dpbusd_epi32(l3, d, low);
    }
    const Vec v = to_bytes(level(h0, l0, shift), level(h1, l1, shift), level(h2, l2, shift), level(h3, l3, shift));
    const Vec order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const Vec bytes = _mm512_permutexvar_epi32(order, v);
    if (n >= BLOCK) _mm512_storeu_si512(dst + x, bytes);
    else _mm512_mask_storeu_epi8(dst + x, (1ull << n) - 1, bytes);
}

void muse_resize_down_quads_u8_vnni(uint8_t *dst, const uint8_t *const rows[], size_t n, const MuseResizeAxis *axis, size_t index)
{
    if (!axis->halves) {
        muse_resize_down_quads_u8_c(dst, rows, n, axis, index);
        return;
    }
    size_t x = 0;
    for (; x + BLOCK <= n; x += BLOCK) down_block(dst, rows, x, BLOCK, axis, index);
    if (x < n) down_block(dst, rows, x, n - x, axis, index);
}

/* 64 samples of four rows. 32-bit elements are spread over the lanes first, so that the bytes come out in order. */
INLINE void quad_block(Vec r0, Vec r1, Vec r2, Vec r3, Vec out[4])
{
    const Vec order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    r0 = _mm512_permutexvar_epi32(order, r0), r1 = _mm512_permutexvar_epi32(order, r1);
    r2 = _mm512_permutexvar_epi32(order, r2), r3 = _mm512_permutexvar_epi32(order, r3);
    const Vec lo01 = _mm512_unpacklo_epi8(r0, r1), hi01 = _mm512_unpackhi_epi8(r0, r1);
    const Vec lo23 = _mm512_unpacklo_epi8(r2, r3), hi23 = _mm512_unpackhi_epi8(r2, r3);
    out[0] = _mm512_unpacklo_epi16(lo01, lo23), out[1] = _mm512_unpackhi_epi16(lo01, lo23);
    out[2] = _mm512_unpacklo_epi16(hi01, hi23), out[3] = _mm512_unpackhi_epi16(hi01, hi23);
}

void muse_resize_quad_u8_vnni(uint8_t *quad, const uint8_t *rows, size_t stride, size_t n_rows, size_t n)
{
    const uint8_t *const r0 = rows, *const r1 = rows + (n_rows > 1 ? 1 : 0) * stride;
    const uint8_t *const r2 = rows + (n_rows > 2 ? 2 : n_rows - 1) * stride, *const r3 = rows + (n_rows - 1) * stride;
    Vec out[4];
    size_t x = 0;
    for (; x + BLOCK <= n; x += BLOCK) {
        quad_block(_mm512_loadu_si512(r0 + x), _mm512_loadu_si512(r1 + x), _mm512_loadu_si512(r2 + x), _mm512_loadu_si512(r3 + x), out);
        for (size_t v = 0; v < 4; v++) _mm512_storeu_si512(quad + GROUP * x + 64 * v, out[v]);
    }
    if (x == n) return;
    const __mmask64 some = (1ull << (n - x)) - 1;
    quad_block(_mm512_maskz_loadu_epi8(some, r0 + x), _mm512_maskz_loadu_epi8(some, r1 + x), _mm512_maskz_loadu_epi8(some, r2 + x),
               _mm512_maskz_loadu_epi8(some, r3 + x), out);
    for (size_t v = 0; v < 4 && x + COLUMNS * v < n; v++) {
        const size_t left = n - x - COLUMNS * v;
        _mm512_mask_storeu_epi32(quad + GROUP * x + 64 * v, left >= COLUMNS ? 0xffff : (__mmask16)((1u << left) - 1), out[v]);
    }
}
