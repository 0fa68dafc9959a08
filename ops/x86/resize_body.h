/* SPDX-License-Identifier: Apache-2.0 */
/* The resampling passes in vectors of any width. Included once by each resize_<isa>.c, which first defines:
 *   Vec, VEC(op)                 the vector type and its intrinsics, such as _mm512_##op
 *   LANES                        128-bit lanes of a vector
 *   NAME(name)                   the exported functions: name with the instruction set
 *   add_madd(sum, a, b)          sum + the 16-bit multiply-add of a and b
 *   spread(m128)                 a 128-bit value in every lane
 *   load_lanes(p, stride)        16 bytes of LANES rows;  load_grey(p, stride): 8 bytes of each, widened to 16 bits
 *   store_lanes(dst, at, v, n, room)  the first n <= 16 bytes of each lane to its row; room: 16 may be written
 *   load_part(p, n), store_part(p, v, n)  min(n, sizeof(Vec)) bytes
 *
 * Across: each 128-bit lane holds a row, so that one weight serves all and no sum crosses lanes; two taps of a channel are
 * paired for the multiply-add. Groups of pixels are first gathered into a tile, lane by lane, because neighbouring outputs
 * see the same groups about five times each when a picture shrinks, and loads would bound this pass. Down: two rows are paired sample by sample. Windows longer
 * than a tile (shrinking by more than 100 at once) go to C. */
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    SETS_MAX    = 2,      /* vectors of rows that share the loads of weights */
    SPLIT_BITS  = 12,     /* log2 of MUSE_RESIZE_SPLIT */
    TILE_GROUPS = 128,    /* of colour pixels: 16 KiB at the most, a third of the first-level cache */
    TILE_GREY   = 2048,   /* grey pixels of a row */
};
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

/* a tile: the groups of `sets` vectors of rows, or rows of grey */
typedef union Tile {
    Vec     colour[TILE_GROUPS][SETS_MAX];
    uint8_t grey[SETS_MAX * LANES][TILE_GREY + 8];
} Tile;

/* Source pixels from .. from+n-1 of `sets` vectors of rows, zeros past the end of the row. */
INLINE void fill_colour(Tile *tile, Source src, int sets, const MuseResizeAxis *axis, size_t channels, size_t from, size_t n)
{
    const size_t row = axis->n_in * channels, step = MUSE_RESIZE_GROUP * channels, begin = from * channels, groups = n / MUSE_RESIZE_GROUP;
    /* groups whose 16 bytes are in the row; pixels are, and 4 bytes of the next are read with three channels */
    const size_t inside = row - begin < 16 ? 0 : (row - begin - 16) / step + 1, plain = inside < groups ? inside : groups;
    for (int s = 0; s < sets; s++) {
        const uint8_t *p = src.rows + (size_t)(LANES * s) * src.stride + begin;
        for (size_t g = 0; g < plain; g++) tile->colour[g][s] = load_lanes(p + g * step, src.stride);
        for (size_t g = plain; g < groups; g++) {
            uint8_t edge[LANES][16] = { { 0 } };
            const size_t at = begin + g * step;
            for (size_t r = 0; at < row && r < LANES; r++) memcpy(edge[r], p + r * src.stride + g * step, row - at);
            tile->colour[g][s] = load_lanes(edge[0], sizeof *edge);
        }
    }
}

INLINE void fill_grey(Tile *tile, Source src, int sets, const MuseResizeAxis *axis, size_t from, size_t n)
{
    const size_t inside = axis->n_in - from < n ? axis->n_in - from : n;
    for (size_t r = 0; r < (size_t)(sets * LANES); r++) {
        memcpy(tile->grey[r], src.rows + r * src.stride + from, inside);
        memset(tile->grey[r] + inside, 0, n + 8 - inside);
    }
}

/* Where results of four outputs wait to be packed: 32-bit levels not yet clamped. */
typedef struct Levels { Vec px[SETS_MAX][4]; } Levels;

INLINE Vec level(Vec low, Vec high, const MuseResizeAxis *axis, int parts)
{
    const Vec v = VEC(add_epi32)(low, VEC(set1_epi32)(1 << (axis->shift - 1)));
    return VEC(sra_epi32)(parts == 2 ? VEC(add_epi32)(v, VEC(slli_epi32)(high, SPLIT_BITS)) : v, _mm_cvtsi32_si128(axis->shift));
}

/* Output o: the groups of the tile from `group` on, times their weights. Sums are plain variables, for compilers lose
 * arrays of vectors to memory. */
INLINE void colour_output(Levels *out, size_t slot, const Vec *group, int sets, const MuseResizeAxis *axis, size_t o, size_t channels, int parts)
{
    const Vec m01 = pair_mask(channels, 0), m23 = pair_mask(channels, (int)(2 * channels));
    const int16_t *w0 = axis->part[0] + o * axis->slots, *w1 = parts == 2 ? axis->part[1] + o * axis->slots : w0;
    Vec low0 = VEC(set1_epi32)(0), low1 = low0, high0 = low0, high1 = low0;
    for (size_t k = 0; k < axis->count[o]; k += MUSE_RESIZE_GROUP, group += SETS_MAX) {
        const Vec a01 = two_weights(w1 + k), a23 = two_weights(w1 + k + 2);
        const Vec r01 = VEC(shuffle_epi8)(group[0], m01), r23 = VEC(shuffle_epi8)(group[0], m23);
        const Vec s01 = VEC(shuffle_epi8)(group[sets - 1], m01), s23 = VEC(shuffle_epi8)(group[sets - 1], m23);
        low0 = add_madd(add_madd(low0, r01, a01), r23, a23);
        if (sets == 2) low1 = add_madd(add_madd(low1, s01, a01), s23, a23);
        if (parts == 1) continue;
        const Vec b01 = two_weights(w0 + k), b23 = two_weights(w0 + k + 2);
        high0 = add_madd(add_madd(high0, r01, b01), r23, b23);
        if (sets == 2) high1 = add_madd(add_madd(high1, s01, b01), s23, b23);
    }
    out->px[0][slot] = level(low0, high0, axis, parts);
    if (sets == 2) out->px[1][slot] = level(low1, high1, axis, parts);
}

/* 8 weights in every lane */
INLINE Vec grey_weights(const int16_t *w) { return spread(_mm_loadu_si128((const __m128i *)(const void *)w)); }

/* The same for grey; each lane is left with four partial sums, which finish_grey() adds. */
INLINE void grey_output(Levels *low, Levels *high, size_t slot, const uint8_t *px, size_t stride, int sets, const MuseResizeAxis *axis, size_t o,
                        int parts)
{
    const int16_t *w0 = axis->part[0] + o * axis->slots, *w1 = parts == 2 ? axis->part[1] + o * axis->slots : w0;
    Vec low0 = VEC(set1_epi32)(0), low1 = low0, high0 = low0, high1 = low0;
    for (size_t k = 0; k < axis->count[o]; k += 8) {
        const Vec r = load_grey(px + k, stride), w = grey_weights(w1 + k);
        low0 = add_madd(low0, r, w);
        const Vec s = sets == 2 ? load_grey(px + LANES * stride + k, stride) : r;
        if (sets == 2) low1 = add_madd(low1, s, w);
        if (parts == 1) continue;
        const Vec v = grey_weights(w0 + k);
        high0 = add_madd(high0, r, v);
        if (sets == 2) high1 = add_madd(high1, s, v);
    }
    low->px[0][slot] = low0, low->px[1][slot] = low1;
    if (parts == 2) high->px[0][slot] = high0, high->px[1][slot] = high1;
}

INLINE Vec finish_colour(const Vec px[4], size_t channels)
{
    const Vec v = VEC(packus_epi16)(VEC(packs_epi32)(px[0], px[1]), VEC(packs_epi32)(px[2], px[3]));
    return channels == 4 ? v : VEC(shuffle_epi8)(v, spread(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15)));
}

/* lane by lane, the sum of px[p]'s four numbers at place p */
INLINE Vec sum_lanes(const Vec px[4])
{
    const Vec ab = VEC(add_epi32)(VEC(unpacklo_epi32)(px[0], px[1]), VEC(unpackhi_epi32)(px[0], px[1]));
    const Vec cd = VEC(add_epi32)(VEC(unpacklo_epi32)(px[2], px[3]), VEC(unpackhi_epi32)(px[2], px[3]));
    return VEC(add_epi32)(VEC(unpacklo_epi64)(ab, cd), VEC(unpackhi_epi64)(ab, cd));
}

INLINE Vec finish_grey(const Vec low[4], const Vec high[4], const MuseResizeAxis *axis, int parts)
{
    const Vec v = level(sum_lanes(low), parts == 2 ? sum_lanes(high) : VEC(set1_epi32)(0), axis, parts);
    const Vec w = VEC(packs_epi32)(v, v);
    return VEC(packus_epi16)(w, w);
}

/* what a call works on; sets, channels and parts are literals where a function is instantiated */
typedef struct Job {
    uint8_t *const *dst;
    Source src;
    const MuseResizeAxis *axis;
    size_t begin, end;
} Job;

/* Outputs i .. i+n-1, n <= 4, from a tile that holds the source from pixel `from` on. */
INLINE void four_outputs(const Tile *tile, const Job *job, int sets, size_t channels, int parts, size_t from, size_t i, size_t n)
{
    Levels low, high;
    for (size_t p = 0; p < 4; p++) {
        const size_t o = p < n ? i + p : i, at = job->axis->first[o] - from;
        if (channels == 1) grey_output(&low, &high, p, &tile->grey[0][at], sizeof *tile->grey, sets, job->axis, o, parts);
        else colour_output(&low, p, tile->colour[at / MUSE_RESIZE_GROUP], sets, job->axis, o, channels, parts);
    }
    for (int s = 0; s < sets; s++) {
        const Vec v = channels == 1 ? finish_grey(low.px[s], high.px[s], job->axis, parts) : finish_colour(low.px[s], channels);
        store_lanes(job->dst + LANES * s, i * channels, v, n * channels, (job->end - i) * channels >= 16);
    }
}

INLINE void across(const Job *job, int sets, size_t channels, int parts)
{
    const MuseResizeAxis *axis = job->axis;
    const size_t tile_px = channels == 1 ? TILE_GREY : TILE_GROUPS * MUSE_RESIZE_GROUP;
    Tile tile;
    for (size_t i = job->begin; i < job->end;) {
        const size_t from = axis->first[i];
        size_t stop = i + 1;
        while (stop < job->end && axis->first[stop] + axis->slots <= from + tile_px) stop++;
        const size_t n = axis->first[stop - 1] + axis->slots - from;
        if (channels == 1) fill_grey(&tile, job->src, sets, axis, from, n);
        else fill_colour(&tile, job->src, sets, axis, channels, from, n);
        for (; i < stop; i += 4) four_outputs(&tile, job, sets, channels, parts, from, i, stop - i < 4 ? stop - i : 4);
        i = stop;
    }
}

INLINE void across_sets(const Job *job, int sets, size_t channels)
{
    const int parts = job->axis->parts;
    if (channels == 1 && parts == 1) across(job, sets, 1, 1);
    else if (channels == 1) across(job, sets, 1, 2);
    else if (channels == 3 && parts == 1) across(job, sets, 3, 1);
    else if (channels == 3) across(job, sets, 3, 2);
    else if (parts == 1) across(job, sets, 4, 1);
    else across(job, sets, 4, 2);
}

void NAME(muse_resize_across_u8)(const MuseResizeRows *rows, const MuseResizeAxis *axis)
{
    if (axis->slots > (rows->channels == 1 ? TILE_GREY : TILE_GROUPS * MUSE_RESIZE_GROUP)) {
        muse_resize_across_u8_c(rows, axis);
        return;
    }
    Job job = { rows->dst, { rows->src, rows->src_stride }, axis, rows->begin, rows->end };
    size_t left = rows->n_rows;
    for (; left >= 2 * LANES; left -= 2 * LANES, job.dst += 2 * LANES, job.src.rows += 2 * LANES * job.src.stride) across_sets(&job, 2, rows->channels);
    for (; left >= LANES; left -= LANES, job.dst += LANES, job.src.rows += LANES * job.src.stride) across_sets(&job, 1, rows->channels);
    for (size_t r = rows->n_rows - left; r < rows->n_rows; r++) {   /* one row in all lanes */
        uint8_t *same[LANES];
        for (int k = 0; k < LANES; k++) same[k] = rows->dst[r];
        const Job one = { same, { rows->src + r * rows->src_stride, 0 }, axis, rows->begin, rows->end };
        across_sets(&one, 1, rows->channels);
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
    if (axis->parts == 1) down_rows(dst, rows, n, axis, index, 1);
    else down_rows(dst, rows, n, axis, index, 2);
}
