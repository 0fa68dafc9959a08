/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over pages, compiled once for each instruction set. Rows go in groups of TILE (the rest in 4, 2, 1): scores of a
 * group over a page, softmax of each row, then the values. Every sum of a row runs in the order of positions with one
 * accumulator, whatever the group, so a row does not depend on those beside it. Positions that a row does not see are left out
 * of its loops: they may hold anything. Contract: ops/attend.h; layouts, errors, measurements: docs/ops/attend.md. */
#include "ops/attend.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "ops/x86/vec.h"

/* F32 and BF16: pages with f32 arithmetic. WORDS: BF16 pages, two bf16 products at a time. Q8: scores from integers, queries as
 * 16 bits with a scale for each block; values in f32, or (Q8_WORDS) bf16 products of the values' integers, which are exact, and weights times scales */
typedef enum Form { F32, BF16, Q8, WORDS } Form;

enum { COLS = 2, TILE = LANES / 2, PAIRS = MUSE_KV_PAGE / 2, VECS = MUSE_KV_PAGE / LANES };

/* Bytes ahead of what is read that memory is asked for: of 3, 4, 6, 8, 10, 12 KiB the best or as good (docs/ops/attend.md) */
enum { AHEAD = 8192 };

/* What a call reads of a page goes on, at `edge`, in the next page: addresses below it ask for what lies `near` further, others `far`. That this is
 * computed for each line does no harm: with a constant in its place, which a tighter loop adds, BF16 pages took 5 % longer (docs/ops/attend.md). */
typedef struct Ahead { uintptr_t edge, near, far; } Ahead;

/* One page for one group of rows */
typedef struct Block {
    const uint8_t *keys, *values;   /* of this page */
    Ahead   ahead;
    size_t  width;
    const float *q;                 /* the group's queries, as pack() leaves them */
    float  *const *o;               /* [rows] */
    float  *s, *p;                  /* [rows][32]; in words: p is [rows][16] words, 32 floats apart */
    bool   first;                   /* of the groups that look at this head */
    size_t p_block;                 /* floats from the weights for a block of dimensions to those for the next */
    float  keep[TILE];              /* what o is to be multiplied with before the next sum is added */
} Block;

INLINE size_t words_of(const Form form, size_t width)
{
    if (form == F32) return width;
    return form == Q8 ? (width + MUSE_KV_BLOCK - 1) / MUSE_KV_BLOCK * (MUSE_KV_BLOCK / 4) : (width + 1) / 2;
}

/* multipliers in a key word; Q8: pairs of 16-bit integers */
INLINE int units_of(const Form form) { return form == F32 || form == WORDS ? 1 : 2; }

INLINE Vec step(const Form form, Vec a, Vec b, Vec sum)
{
#if defined(__AVX512BF16__)
    if (form == WORDS || form == Q8) return _mm512_dpbf16_ps(sum, (__m512bh)v_bits(a), (__m512bh)v_bits(b));
#endif
    (void)form;
    return v_fma(a, b, sum);
}

#if defined(__AVX512BF16__)
enum { Q8_WORDS = 1 };
#else
enum { Q8_WORDS = 0 };
#endif

/* two positions' values in a word */
INLINE bool in_words(const Form form) { return form == WORDS || (form == Q8 && Q8_WORDS); }

/* p is being read */
INLINE void prefetch(const Block *b, const uint8_t *p)
{
    const uintptr_t at = (uintptr_t)p;
    _mm_prefetch((const char *)(at + (at < b->ahead.edge ? b->ahead.near : b->ahead.far)), _MM_HINT_T0);
}

/* ---- scores: 16 positions across the lanes ---- */

INLINE Vec key_unit(const Form form, VecInt word, int unit)
{
    return vi_bits(form != BF16 ? word : unit ? vi_and(word, 0xffff0000u) : vi_left(word, 16));
}

/* The column of positions at `at` + LANES c of a page's keys, its bytes from word to word 64 apart */
INLINE const uint8_t *key_column(const uint8_t *keys, size_t panel, size_t at, int c)
{
    const size_t pos = at + (size_t)c * LANES;
    return keys + pos / MUSE_KV_PANEL * panel + 4 * (pos % MUSE_KV_PANEL);
}

INLINE void scores(const Form form, const int rows, const Block *b)
{
    const size_t words = words_of(form, b->width), panel = words * 64;
    for (size_t at = 0; at < MUSE_KV_PAGE; at += COLS * LANES) {
        const float *q = b->q;
        Vec sum[TILE][COLS];
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < COLS; c++) sum[r][c] = v_set(0);
        for (size_t w = 0; w < words; w++) {
            VecInt word[COLS];
            UNROLL for (int c = 0; c < COLS; c++) {
                word[c] = vi_load(key_column(b->keys, panel, at, c) + 64 * w);
                if (!c || LANES == 16) prefetch(b, key_column(b->keys, panel, at, c) + 64 * w);
            }
            UNROLL for (int u = 0; u < units_of(form); u++, q += rows) {
                Vec key[COLS];
                UNROLL for (int c = 0; c < COLS; c++) key[c] = key_unit(form, word[c], u);
                UNROLL for (int r = 0; r < rows; r++)
                    UNROLL for (int c = 0; c < COLS; c++) sum[r][c] = step(form, v_set(q[r]), key[c], sum[r][c]);
            }
        }
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int c = 0; c < COLS; c++) v_store(b->s + MUSE_KV_PAGE * r + at + (size_t)c * LANES, sum[r][c]);
    }
}

/* The same for Q8. A block's sum is exact: 32 products of at most 32767 * 128. */
INLINE void scores_q8(const int rows, const Block *b)
{
    enum { BLOCK_WORDS = MUSE_KV_BLOCK / 4 };
    const size_t words = words_of(Q8, b->width), panel = words * 64;
    for (size_t at = 0; at < MUSE_KV_PAGE; at += COLS * LANES) {
        const float *q = b->q, *q_scale = q + 2 * words * (size_t)rows;
        const uint8_t *scale_at = b->keys + 2 * panel + 2 * at;
        Vec sum[TILE][COLS];
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < COLS; c++) sum[r][c] = v_set(0);
        for (size_t w0 = 0; w0 < words; w0 += BLOCK_WORDS, scale_at += 2 * MUSE_KV_PAGE, q_scale += rows) {
            VecDot dot[TILE][COLS], more[TILE][COLS];   /* few rows: a second sum each, or they would wait for each other */
            UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < COLS; c++) dot[r][c] = more[r][c] = (VecDot)vi_zero();
            if (!at) {   /* of the scales */
                prefetch(b, b->keys + 2 * panel + 8 * w0);
                if (b->values) prefetch(b, b->values + 2 * panel + 8 * w0);   /* weights alone have none */
            }
            for (size_t w = w0; w < w0 + BLOCK_WORDS; w++, q += 2 * rows) {
                VecInt even[COLS], odd[COLS];
                UNROLL for (int c = 0; c < COLS; c++) {
                    const VecInt word = vi_load(key_column(b->keys, panel, at, c) + 64 * w);
                    if (!c || LANES == 16) prefetch(b, key_column(b->keys, panel, at, c) + 64 * w);
                    even[c] = vi_right16(vi_left16(word, 8), 8);
                    odd[c] = vi_right16(word, 8);
                }
                UNROLL for (int r = 0; r < rows; r++)
                    UNROLL for (int c = 0; c < COLS; c++) {
                        VecDot *sum_odd = 4 * rows <= LANES ? &more[r][c] : &dot[r][c];
                        dot[r][c] = vi_dot16(dot[r][c], v_bits(v_set(q[r])), even[c]);
                        *sum_odd = vi_dot16(*sum_odd, v_bits(v_set(q[rows + r])), odd[c]);
                    }
            }
            UNROLL for (int c = 0; c < COLS; c++) {
                const Vec scale = vi_bits(vi_left(vi_load_u16(scale_at + 2 * LANES * c), 16));
                UNROLL for (int r = 0; r < rows; r++) sum[r][c] = v_fma(vi_f32((VecInt)(dot[r][c] + more[r][c])), v_mul(scale, v_set(q_scale[r])), sum[r][c]);
            }
        }
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int c = 0; c < COLS; c++) v_store(b->s + MUSE_KV_PAGE * r + at + (size_t)c * LANES, sum[r][c]);
    }
}

/* ---- softmax: one row, slots from .. to - 1 ---- */

INLINE float soften(const Form form, const MuseAttendArgs *a, size_t row, const float *s, float *p, int from, int to, float *sum)
{
    Vec t[VECS], most = v_set(a->max[row]);
    VecMask see[VECS];
    int above = 0;
    UNROLL for (int i = 0; i < VECS; i++) {
        t[i] = v_mul(v_load(s + i * LANES), v_set(a->scale));
        if (a->softcap > 0) t[i] = v_mul(v_set(a->softcap), v_tanh(v_div(t[i], v_set(a->softcap))));
        see[i] = v_between(from - i * LANES, to - i * LANES);
        above |= v_any_above(see[i], t[i], most);
    }
    float keep = 1;
    if (above) {   /* rare once a row has seen some pages */
        UNROLL for (int i = 0; i < VECS; i++) most = v_max(v_where(see[i], t[i], v_set(-INFINITY)), most);
        const float now = v_most(most);
        float kept[LANES];
        v_store(kept, v_exp(v_set(a->max[row] - now)));
        keep = kept[0];
        a->max[row] = now;
        most = v_set(now);
    }
    Vec all = v_mul(v_load(sum), v_set(keep));
    UNROLL for (int i = 0; i < VECS; i++) {
        t[i] = v_where(see[i], v_exp(v_sub(t[i], most)), v_set(0));
        all = v_add(all, t[i]);
    }
    v_store(sum, all);
#if defined(__AVX512BF16__)
    if (form == WORDS) {
        _mm512_storeu_si512(p, (__m512i)_mm512_cvtne2ps_pbh(t[1], t[0]));
        return keep;
    }
#endif
    (void)form;
    UNROLL for (int i = 0; i < VECS; i++) v_store(p + i * LANES, t[i]);
    return keep;
}

/* ---- values: dimensions across the lanes ---- */

INLINE VecInt words_n(const uint8_t *p, size_t n, const bool whole)
{
    return whole ? vi_load(p) : v_bits(v_load_n((const float *)(const void *)p, n));
}

/* Values from dimension d on of pair j: of its position `half`, or (in words) of both. n of them are there. */
INLINE Vec value_unit(const Form form, const Block *b, size_t j, int half, size_t d, size_t n, const bool whole)
{
    if (form == F32) return vi_bits(words_n(b->values + 4 * ((2 * j + (size_t)half) * b->width + d), n, whole));
    if (form == Q8 && !Q8_WORDS) {
        const size_t blocks = (b->width + MUSE_KV_BLOCK - 1) / MUSE_KV_BLOCK, pos = 2 * j + (size_t)half;
        uint16_t scale;
        memcpy(&scale, b->values + MUSE_KV_PAGE * MUSE_KV_BLOCK * blocks + 2 * (pos * blocks + d / MUSE_KV_BLOCK), sizeof scale);
        return v_mul(vi_f32(vi_load_s8(b->values + pos * MUSE_KV_BLOCK * blocks + d)), v_set(muse_bf16_f32(scale)));
    }
    const VecInt word = words_n(b->values + 4 * (j * b->width + d), n, whole);
    if (in_words(form)) return vi_bits(word);
    return vi_bits(half ? vi_and(word, 0xffff0000u) : vi_left(word, 16));
}

INLINE void prefetch_values(const Form form, const Block *b, size_t j, size_t d)
{
    const size_t line = form == Q8 ? 2 * j * words_of(Q8, b->width) * 4 + d : form == F32 ? 4 * (2 * j * b->width + d) : 4 * (j * b->width + d);
    const uint8_t *p = b->values + line;
    prefetch(b, p);
    if (form != Q8 && LANES == 16) prefetch(b, p + 64);
    if (form == Q8) prefetch(b, p + words_of(Q8, b->width) * 4);
    if (form == F32) prefetch(b, p + 4 * b->width);
    if (form == F32 && LANES == 16) prefetch(b, p + 4 * b->width + 64);
}

/* o += p times values over whole pairs, dimensions d .. d + COLS * LANES - 1, of which n exist */
INLINE void strip(const Form form, const int rows, const Block *b, size_t row, size_t begin, size_t end, size_t d, size_t n, const bool whole)
{
    const int halves = in_words(form) ? 1 : 2;
    Vec sum[TILE][COLS];
    size_t left[COLS] = { LANES, LANES };
    if (!whole) {
        left[0] = n < LANES ? n : LANES;
        left[1] = n - left[0];
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < COLS; c++) {
            const float *o = b->o[row + (size_t)r] + d + (size_t)c * LANES;
            sum[r][c] = v_mul(whole ? v_load(o) : v_load_n(o, left[c]), v_set(b->keep[row + (size_t)r]));
        }
    for (size_t j = begin; j < end; j++) {
        const float *p = b->p + d / MUSE_KV_BLOCK * b->p_block + MUSE_KV_PAGE * row + (size_t)halves * j;
        if (whole && !(form == Q8 && Q8_WORDS)) prefetch_values(form, b, j, d);
        UNROLL for (int h = 0; h < halves; h++) {
            Vec v[COLS];
            UNROLL for (int c = 0; c < COLS; c++) v[c] = value_unit(form, b, j, h, d + (size_t)c * LANES, left[c], whole);
            UNROLL for (int r = 0; r < rows; r++)
                UNROLL for (int c = 0; c < COLS; c++) sum[r][c] = step(form, v_set(p[MUSE_KV_PAGE * r + h]), v[c], sum[r][c]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < COLS; c++) {
            float *o = b->o[row + (size_t)r] + d + (size_t)c * LANES;
            if (whole) v_store(o, sum[r][c]);
            else v_store_n(o, sum[r][c], left[c]);
        }
}

INLINE void pairs(const Form form, const int rows, Block *b, size_t row, size_t begin, size_t end)
{
    if (begin >= end) return;
    size_t d = 0;
    for (; d + COLS * LANES <= b->width; d += COLS * LANES) strip(form, rows, b, row, begin, end, d, 0, true);
    if (d < b->width) strip(form, rows, b, row, begin, end, d, b->width - d, false);
    for (int r = 0; r < rows; r++) b->keep[row + (size_t)r] = 1;
}

/* one position of a pair, for one row */
INLINE void lone(const Form form, Block *b, size_t row, size_t pos)
{
    const size_t j = pos / 2;
    const int half = (int)(pos % 2);
    const Vec p = v_set(b->p[MUSE_KV_PAGE * row + (form == WORDS ? j : pos)]), keep = v_set(b->keep[row]);
    float *o = b->o[row];
    for (size_t d = 0; d < b->width; d += LANES) {
        const size_t n = b->width - d;
        Vec v = value_unit(form, b, j, half, d, n < LANES ? n : LANES, false);
        if (form == WORDS) v = vi_bits(vi_and(v_bits(v), half ? 0xffff0000u : 0xffffu));
        v_store_n(o + d, step(form, p, v, v_mul(v_load_n(o + d, n), keep)), n);
    }
    b->keep[row] = 1;
}

/* slots from .. to - 1 for one row; none if to is not above from */
INLINE void row_part(const Form form, Block *b, size_t row, size_t from, size_t to)
{
    if (from >= to) return;
    if (from % 2) lone(form, b, row, from);
    pairs(form, 1, b, row, (from + 1) / 2, to / 2);
    if (to % 2) lone(form, b, row, to - 1);
}

/* Seldom needed: not worth a copy for each size of group */
static __attribute__((noinline)) void row_by_form(Form form, Block *b, size_t row, int from, int to)
{
#if defined(__AVX512BF16__)
    if (form == WORDS) row_part(WORDS, b, row, (size_t)from, (size_t)to);
#elif defined(__AVX512VNNI__)
    if (form == Q8) row_part(Q8, b, row, (size_t)from, (size_t)to);
#else
    if (form == F32) row_part(F32, b, row, (size_t)from, (size_t)to);
    else if (form == BF16) row_part(BF16, b, row, (size_t)from, (size_t)to);
    else row_part(Q8, b, row, (size_t)from, (size_t)to);
#endif
}

typedef struct Seen { int from, to; } Seen;   /* slots of the page that a row sees */

#if defined(__AVX512BF16__)
/* ---- values of a Q8 page as words ---- */

enum { BLOCKS_MAX = MUSE_ATTEND_WIDTH / MUSE_KV_BLOCK, Q8_PACKED_MAX = MUSE_ATTEND_WIDTH / 2 + BLOCKS_MAX };   /* floats of a packed query, at most */

/* A page's values for one head, and the weights of a group of rows. Lies behind the packed queries, whose room is for twice as many floats. */
typedef struct Words {
    uint32_t value[MUSE_ATTEND_WIDTH * PAIRS];            /* as in a BF16 page */
    float    scale[BLOCKS_MAX][MUSE_KV_PAGE];
    float    weight[BLOCKS_MAX][TILE][MUSE_KV_PAGE];      /* 16 words, times the scales */
} Words;
_Static_assert(sizeof(Words) <= sizeof(float) * MUSE_ATTEND_ROWS * (MUSE_ATTEND_WIDTH - Q8_PACKED_MAX), "room in the scratch");

INLINE Words *words_in(const MuseAttendArgs *a) { return (Words *)(void *)((float *)a->scratch + MUSE_ATTEND_ROWS * Q8_PACKED_MAX); }

/* Scales of a block for all positions: each is the upper half of a word that begins 2 bytes before it. */
INLINE void turn_scales(float *to, const uint8_t *scales, size_t blocks, size_t block)
{
    const VecInt lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), apart = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)blocks));
    UNROLL for (size_t i = 0; i < VECS; i++)
        v_store(to + i * LANES, vi_bits(vi_and(_mm512_i32gather_epi32(apart, scales + 2 * (i * LANES * blocks + block) - 2, 2), 0xffff0000u)));
}

/* The same for heads of two blocks: a word holds both scales of a position. */
INLINE void turn_scales_of_two(float to[2][MUSE_KV_PAGE], const uint8_t *scales)
{
    UNROLL for (size_t i = 0; i < VECS; i++) {
        const VecInt both = vi_load(scales + 4 * LANES * i);
        v_store(to[0] + i * LANES, vi_bits(vi_left(both, 16)));
        v_store(to[1] + i * LANES, vi_bits(vi_and(both, 0xffff0000u)));
    }
}

/* (even, odd) of 16 dimensions */
INLINE Vec turn_pair(const uint8_t *even, const uint8_t *odd)
{
    const VecInt e = _mm512_srli_epi32(v_bits(vi_f32(vi_load_s8(even))), 16), o = v_bits(vi_f32(vi_load_s8(odd)));
    return vi_bits(_mm512_ternarylogic_epi32(e, o, _mm512_set1_epi32((int)0xffff0000u), 0xf8));   /* e | (o & mask) */
}

INLINE void turn_values(const Block *b, Words *to)
{
    const size_t blocks = (b->width + MUSE_KV_BLOCK - 1) / MUSE_KV_BLOCK, across = blocks * MUSE_KV_BLOCK;
    float *word = (float *)to->value;
    for (size_t j = 0; j < PAIRS; j++) {
        const uint8_t *even = b->values + 2 * j * across, *odd = even + across;
        size_t d = 0;
        for (; d + COLS * LANES <= b->width; d += COLS * LANES, word += COLS * LANES) {
            UNROLL for (size_t c = 0; c < COLS; c++) v_store(word + c * LANES, turn_pair(even + d + c * LANES, odd + d + c * LANES));
            prefetch(b, even + 2 * d);
        }
        for (; d < b->width; d += LANES) v_store_n(word + d % (COLS * LANES), turn_pair(even + d, odd + d), b->width - d);
        word += b->width % (COLS * LANES);
    }
    const uint8_t *scales = b->values + MUSE_KV_PAGE * across;
    if (blocks == 2) turn_scales_of_two(to->scale, scales);
    else for (size_t k = 0; k < blocks; k++) turn_scales(to->scale[k], scales, blocks, k);
}

/* What a row does not see has weight 0, whatever its scale is; its values are finite. */
INLINE void weigh_words(const int rows, Block *b, Words *w, const Seen seen[TILE])
{
    if (b->first) turn_values(b, w);
    for (int r = 0; r < rows; r++) {
        const float *p = b->p + MUSE_KV_PAGE * r;
        const uint32_t slots = (uint32_t)((UINT64_C(1) << seen[r].to) - (UINT64_C(1) << seen[r].from));
        for (size_t k = 0; MUSE_KV_BLOCK * k < b->width; k++) {
            Vec x[VECS];
            UNROLL for (int i = 0; i < VECS; i++) x[i] = _mm512_maskz_mul_ps((__mmask16)(slots >> (i * LANES)), v_load(p + i * LANES), v_load(w->scale[k] + i * LANES));
            v_store(w->weight[k][r], (Vec)_mm512_cvtne2ps_pbh(x[1], x[0]));
        }
    }
    b->values = (const uint8_t *)w->value;
    b->p = w->weight[0][0];
    b->p_block = TILE * MUSE_KV_PAGE;
    pairs(Q8, rows, b, 0, 0, PAIRS);
}
#endif

/* ---- a group of rows over a page ---- */

static inline bool see(const MuseAttendArgs *a, size_t row, size_t rows, size_t page, Seen seen[TILE])
{
    const size_t begin = page * MUSE_KV_PAGE, end = begin + MUSE_KV_PAGE;
    bool any = false;
    for (size_t r = 0; r < rows; r++) {
        const size_t lo = a->lo[row + r] > begin ? a->lo[row + r] : begin, hi = a->hi[row + r] < end ? a->hi[row + r] : end;
        seen[r] = lo < hi ? (Seen){ (int)(lo - begin), (int)(hi - begin) } : (Seen){ 0, 0 };
        any |= lo < hi;
    }
    return any;
}

/* What all rows see goes as one; what only some see, before and after it, row by row. */
INLINE void weigh(const Form form, const int rows, Block *b, const Seen seen[TILE])
{
    int first = 0, last = PAIRS;
    for (int r = 0; r < rows; r++) {
        if ((seen[r].from + 1) / 2 > first) first = (seen[r].from + 1) / 2;
        if (seen[r].to / 2 < last) last = seen[r].to / 2;
    }
    if (first >= last) first = last = PAIRS;
    for (int r = 0; r < rows; r++) row_by_form(form, b, (size_t)r, seen[r].from, seen[r].to < 2 * first ? seen[r].to : 2 * first);
    if (first < last) pairs(form, rows, b, 0, (size_t)first, (size_t)last);
    for (int r = 0; r < rows; r++) row_by_form(form, b, (size_t)r, seen[r].from > 2 * last ? seen[r].from : 2 * last, seen[r].to);
}

INLINE void group(const Form form, const int rows, const MuseAttendArgs *a, size_t row, Block *b, const Seen seen[TILE], float *sums)
{
    if (form == Q8) scores_q8(rows, b);
    else scores(form, rows, b);
    for (int r = 0; r < rows; r++)
        b->keep[r] = seen[r].from < seen[r].to
            ? soften(form, a, row + (size_t)r, b->s + MUSE_KV_PAGE * r, b->p + MUSE_KV_PAGE * r, seen[r].from, seen[r].to, sums + LANES * r) : 1;
#if defined(__AVX512BF16__)
    if (form == Q8) {
        weigh_words(rows, b, words_in(a), seen);
        return;
    }
#endif
    weigh(form, rows, b, seen);
}

INLINE size_t group_size(size_t left) { return left >= TILE ? TILE : left >= 4 ? 4 : left >= 2 ? 2 : 1; }

/* floats of a row's query as the kernel wants it */
INLINE size_t packed_size(const Form form, size_t width)
{
    const size_t words = words_of(form, width);
    return words * (size_t)units_of(form) + (form == Q8 ? words * 4 / MUSE_KV_BLOCK : 0);
}

/* A query as integers: word by word dimensions 0 and 2, then 1 and 3, as key words come apart; then the blocks' scales, NaN
 * where something is not finite. */
INLINE void pack_q8(float *to, const float *q, size_t width, size_t rows)
{
    const size_t words = words_of(Q8, width);
    for (size_t at = 0; at < 4 * words; at += MUSE_KV_BLOCK) {
        float x[MUSE_KV_BLOCK] = { 0 }, most = 0, wrong = 0;
        int16_t i16[MUSE_KV_BLOCK];
        memcpy(x, q + at, (width - at < MUSE_KV_BLOCK ? width - at : MUSE_KV_BLOCK) * sizeof *x);
        for (size_t i = 0; i < MUSE_KV_BLOCK; i++) {
            most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
            wrong += x[i] - x[i];   /* 0, or NaN */
        }
        const float inverse = most > 1e-30f && wrong == 0 ? 32767 / most : 0;
        for (size_t i = 0; i < MUSE_KV_BLOCK; i++) i16[i] = (int16_t)lrintf(inverse > 0 ? x[i] * inverse : 0);
        for (size_t w = 0; w < MUSE_KV_BLOCK / 4; w++)
            for (size_t u = 0; u < 2; u++)
                to[((at / 4 + w) * 2 + u) * rows] = muse_bits_f32((uint16_t)i16[4 * w + u] | (uint32_t)(uint16_t)i16[4 * w + u + 2] << 16);
        to[(2 * words + at / MUSE_KV_BLOCK) * rows] = most / 32767 + wrong;
    }
}

/* queries of a group: unit after unit, the rows side by side */
INLINE void pack(const Form form, float *to, const MuseAttendArgs *a, size_t row, size_t rows)
{
    for (size_t r = 0; r < rows; r++) {
        const float *q = a->q[row + r];
        if (form == Q8) {
            pack_q8(to + r, q, a->width, rows);
            continue;
        }
        for (size_t i = 0; i < packed_size(form, a->width); i++) {
            if (form == WORDS)
                to[i * rows + r] = muse_bits_f32(muse_f32_bf16(q[2 * i]) | (2 * i + 1 < a->width ? (uint32_t)muse_f32_bf16(q[2 * i + 1]) << 16 : 0));
            else
                to[i * rows + r] = i < a->width ? q[i] : 0;
        }
    }
}

/* where page i of the call ends for its heads, and where they go on */
static inline Ahead ahead_of(const MuseAttendArgs *a, size_t i)
{
    const size_t span = a->heads * a->head_stride, ahead = span < AHEAD ? span : AHEAD;
    const uint8_t *page = a->pages[i], *next = i + 1 < a->first_page + a->n_pages ? a->pages[i + 1] : NULL;
    const uintptr_t end = (uintptr_t)page + a->k_offset + span, begin = (uintptr_t)(next ? next : page) + a->k_offset;
    return (Ahead){ end - ahead, ahead, begin - end + ahead };
}

/* page i for the rows of head h */
INLINE void head_page(const Form form, const MuseAttendArgs *a, size_t i, size_t h, Ahead ahead, float *q, float *s, float *p, float *sums)
{
    const size_t packed = packed_size(form, a->width), end = (h + 1) * (a->rows / a->heads);
    const uint8_t *page = a->pages[i] + h * a->head_stride;
    bool first = true;
    for (size_t row = h * (a->rows / a->heads), rows; row < end; row += rows) {
        Seen seen[TILE];
        rows = group_size(end - row);
        if (!see(a, row, rows, i, seen)) continue;
        Block b = { page + a->k_offset, page + a->v_offset, ahead, a->width, q + row * packed, a->o + row, s, p, first, 0, { 0 } };
        if (rows == TILE) group(form, TILE, a, row, &b, seen, sums + row * LANES);
        else if (TILE > 4 && rows == 4) group(form, 4, a, row, &b, seen, sums + row * LANES);
        else if (rows == 2) group(form, 2, a, row, &b, seen, sums + row * LANES);
        else group(form, 1, a, row, &b, seen, sums + row * LANES);
        ahead = (Ahead){ 0, 0, 0 };   /* the first group has asked */
        first = false;
    }
}

INLINE void attend(const Form form, const MuseAttendArgs *a)
{
    assert(a->heads > 0 && a->rows % a->heads == 0);
    const size_t packed = packed_size(form, a->width), per_head = a->rows / a->heads;
    float *q = a->scratch, *s = q + MUSE_ATTEND_ROWS * MUSE_ATTEND_WIDTH, *p = s + TILE * MUSE_KV_PAGE, *sums = p + TILE * MUSE_KV_PAGE;
    for (size_t row = 0, rows; row < a->rows; row += rows) {
        rows = group_size(per_head - row % per_head);
        pack(form, q + row * packed, a, row, rows);
    }
    memset(sums, 0, a->rows * LANES * sizeof *sums);
    for (size_t r = 0; r < a->rows; r++) {
        if (a->start) {
            a->max[r] = -INFINITY;
            memset(a->o[r], 0, a->width * sizeof(float));
        } else {
            sums[r * LANES] = a->sum[r];
        }
    }
    for (size_t i = a->first_page; i < a->first_page + a->n_pages; i++) {
        if (!a->pages[i]) continue;   /* no row sees it */
        const Ahead ahead = ahead_of(a, i);
        for (size_t h = 0; h < a->heads; h++) head_page(form, a, i, h, ahead, q, s, p, sums);
    }
    for (size_t r = 0; r < a->rows; r++) {
        a->sum[r] = v_sum(v_load(sums + r * LANES));
        if (!a->finish) continue;
        const Vec scale = v_set(a->sum[r] > 0 || a->sum[r] != a->sum[r] ? 1 / a->sum[r] : 0);
        for (size_t d = 0; d < a->width; d += LANES) v_store_n(a->o[r] + d, v_mul(v_load_n(a->o[r] + d, a->width - d), scale), a->width - d);
    }
}

#if !defined(__AVX512BF16__) && !defined(__AVX512VNNI__)
/* ---- weights of a finished row ---- */

/* slots from .. to - 1 of a page whose scores are in s */
INLINE void weigh_again(const MuseAttendArgs *a, size_t row, float *s, float *w, size_t from, size_t to)
{
    UNROLL for (int i = 0; i < VECS; i++) {
        Vec t = v_mul(v_load(s + i * LANES), v_set(a->scale));
        if (a->softcap > 0) t = v_mul(v_set(a->softcap), v_tanh(v_div(t, v_set(a->softcap))));
        v_store(s + i * LANES, v_div(v_exp(v_sub(t, v_set(a->max[row]))), v_set(a->sum[row])));
    }
    memcpy(w, s + from, (to - from) * sizeof *w);
}

INLINE void weights(const Form form, const MuseAttendArgs *a, size_t row, size_t first, size_t n, float *w)
{
    float *q = a->scratch, *s = q + MUSE_ATTEND_ROWS * MUSE_ATTEND_WIDTH;
    const size_t lo = a->lo[row] > first ? a->lo[row] : first, hi = a->hi[row] < first + n ? a->hi[row] : first + n;
    pack(form, q, a, row, 1);
    memset(w, 0, n * sizeof *w);
    for (size_t p = lo, end; p < hi; p = end) {
        const size_t begin = p - p % MUSE_KV_PAGE;
        const uint8_t *page = a->pages[p / MUSE_KV_PAGE];
        end = begin + MUSE_KV_PAGE < hi ? begin + MUSE_KV_PAGE : hi;
        if (!page) continue;
        const uintptr_t next = (uintptr_t)(end < hi && a->pages[p / MUSE_KV_PAGE + 1] ? a->pages[p / MUSE_KV_PAGE + 1] : page);
        const Block b = { .keys = page + a->k_offset, .ahead = { .far = next - (uintptr_t)page }, .width = a->width, .q = q, .s = s };
        if (form == Q8) scores_q8(1, &b);
        else scores(form, 1, &b);
        weigh_again(a, row, s, w + (p - first), p - begin, end - begin);
    }
}

void NAME(attend_weights_f32)(const MuseAttendArgs *a, size_t row, size_t first, size_t n, float *w) { weights(F32, a, row, first, n, w); }
void NAME(attend_weights_bf16)(const MuseAttendArgs *a, size_t row, size_t first, size_t n, float *w) { weights(BF16, a, row, first, n, w); }
void NAME(attend_weights_q8)(const MuseAttendArgs *a, size_t row, size_t first, size_t n, float *w) { weights(Q8, a, row, first, n, w); }
#endif

#if defined(__AVX512BF16__)
void muse_attend_bf16_bf16_avx512bf16(const MuseAttendArgs *a) { attend(WORDS, a); }
void muse_attend_q8_avx512bf16(const MuseAttendArgs *a) { attend(Q8, a); }
#elif defined(__AVX512VNNI__)
void muse_attend_q8_vnni(const MuseAttendArgs *a) { attend(Q8, a); }
#else
void NAME(attend_f32)(const MuseAttendArgs *a) { attend(F32, a); }
void NAME(attend_bf16)(const MuseAttendArgs *a) { attend(BF16, a); }
void NAME(attend_q8)(const MuseAttendArgs *a) { attend(Q8, a); }
#endif
