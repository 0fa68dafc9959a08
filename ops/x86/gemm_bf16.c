/* SPDX-License-Identifier: Apache-2.0 */
/* General products of bf16 matrices for AVX512_BF16: 6 rows by 64 columns of C in registers. B is packed, 64 columns at a time;
 * A is read where it lies, or packed where it is turned. The instruction adds two products at a time and takes denormals as 0.
 * Contract: ops/gemm.h. Caller: ops/gemm.c. */
#include "ops/gemm.h"
#include "ops/x86/matmul_512.h"

enum {
    TILE = 6, VECTORS = 4, COLS = VECTORS * LANES,   /* 24 sums, 4 vectors of B and one value of A: 29 of 32 registers */
    PIECE = 512,                     /* of k at a time, where C is f32 and can be added to */
    B_BYTES = 640 << 10, A_BYTES = 192 << 10,        /* a block of each beside C in 1 MiB of L2 */
    A_NEAR = 128 << 10,
    AHEAD_ROWS = 16,                 /* of what is packed, asked for */
    STEP = 96                        /* rows of a turned A: whole tiles and whole lines */
};
_Static_assert(B_BYTES + A_BYTES <= MUSE_GEMM_ROOM, "a thread's room");

typedef struct Tile {
    const MuseGemmArgs *g;
    const uint8_t *a;                /* pairs of A: rows and pairs so many bytes apart */
    size_t a_row, a_pair;
    const uint8_t *b;                /* [pairs][COLS] pairs */
    size_t pairs, row, col;          /* of C */
    bool add;
} Tile;

INLINE void put(const Tile *t, __m512 s[TILE][VECTORS], const int rows, const bool bf16, const bool add, const bool whole)
{
    const MuseGemmArgs *g = t->g;
    const size_t left = g->n - t->col;
    UNROLL for (int j = 0; j < VECTORS; j++) {
        const size_t at = (size_t)j * LANES;
        if (!whole && left <= at) return;
        const __mmask16 k = whole || left - at >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << (left - at)) - 1);
        UNROLL for (int i = 0; i < rows; i++) {
            const size_t place = (t->row + (size_t)i) * g->ldc + t->col + at;
            if (bf16) {
                uint16_t *c = (uint16_t *)g->c + place;
                const __m256i h = (__m256i)_mm512_cvtneps_pbh(s[i][j]);
                if (whole) _mm256_storeu_si256((__m256i *)c, h);   /* a masked store of 16-bit values is slow on AMD */
                else _mm256_mask_storeu_epi16(c, k, h);
            } else {
                float *c = (float *)g->c + place;
                _mm512_mask_storeu_ps(c, k, add ? _mm512_add_ps(s[i][j], _mm512_maskz_loadu_ps(k, c)) : s[i][j]);
            }
        }
    }
}

INLINE void tile_of(const Tile *t, const int rows)
{
    __m512 s[TILE][VECTORS];
    const uint8_t *a = t->a, *b = t->b;
    const size_t row_bytes = t->g->ldc * (t->g->c_bf16 ? 2 : 4);
    const uint8_t *c = (const uint8_t *)t->g->c + t->row * row_bytes + t->col * (t->g->c_bf16 ? 2 : 4);
    UNROLL for (int i = 0; i < rows; i++) {
        UNROLL for (int j = 0; j < VECTORS; j++) s[i][j] = _mm512_setzero_ps();
        UNROLL for (int j = 0; j < VECTORS; j++) _mm_prefetch((const char *)c + (size_t)i * row_bytes + 64 * j, _MM_HINT_T0);
    }
    for (size_t p = 0; p < t->pairs; p++, a += t->a_pair, b += 4 * COLS) {
        __m512i w[VECTORS];
        UNROLL for (int j = 0; j < VECTORS; j++) w[j] = _mm512_load_si512(b + 64 * j);
        UNROLL for (int i = 0; i < rows; i++) {
            int32_t pair;
            memcpy(&pair, a + (size_t)i * t->a_row, sizeof pair);
            const __m512i x = _mm512_set1_epi32(pair);
            UNROLL for (int j = 0; j < VECTORS; j++) s[i][j] = _mm512_dpbf16_ps(s[i][j], (__m512bh)x, (__m512bh)w[j]);
        }
    }
    const bool whole = t->g->n - t->col >= COLS;
    if (t->g->c_bf16 && whole) put(t, s, rows, true, false, true);
    else if (t->g->c_bf16) put(t, s, rows, true, false, false);
    else if (t->add) put(t, s, rows, false, true, false);
    else put(t, s, rows, false, false, false);
}

static void __attribute__((noinline)) tile_6(const Tile *t) { tile_of(t, 6); }
static void __attribute__((noinline)) tile_4(const Tile *t) { tile_of(t, 4); }
static void __attribute__((noinline)) tile_2(const Tile *t) { tile_of(t, 2); }
static void __attribute__((noinline)) tile_1(const Tile *t) { tile_of(t, 1); }

/* the first n values; whole vectors apart: masked loads of 16-bit values are slow on AMD */
INLINE __m512i load_some(const uint16_t *p, size_t n) { return n >= 32 ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi16((__mmask32)((1u << n) - 1), p); }

/* Rows 2 p and 2 p + 1 of `from`, value beside value, for each pair of k rows, `pair` bytes apart; a missing last row is zeros.
 * Each 64 columns begin `panel` bytes behind those before. */
static void interleave(uint8_t *to, size_t pair, size_t panel, const uint16_t *from, size_t ld, size_t k, size_t cols)
{
    uint16_t order[2][32];
    for (uint16_t i = 0; i < 32; i++)
        for (uint16_t h = 0; h < 2; h++) order[h][i] = (uint16_t)(i / 2 + 16 * h + (i & 1 ? 32 : 0));
    const __m512i low = _mm512_loadu_si512(order[0]), high = _mm512_loadu_si512(order[1]);
    for (size_t p = 0; p < k; p += 2, to += pair, from += 2 * ld) {
        const bool both = p + 1 < k;
        for (size_t at = 0; at < cols; at += 32) {
            _mm_prefetch((const char *)(from + AHEAD_ROWS * ld + at), _MM_HINT_T0);
            _mm_prefetch((const char *)(from + (AHEAD_ROWS + 1) * ld + at), _MM_HINT_T0);
            const __m512i x = load_some(from + at, cols - at), y = both ? load_some(from + ld + at, cols - at) : _mm512_setzero_si512();
            uint8_t *out = to + at / COLS * panel + at % COLS * 4;
            _mm512_store_si512(out, _mm512_permutex2var_epi16(x, low, y));
            _mm512_store_si512(out + 64, _mm512_permutex2var_epi16(x, high, y));
        }
    }
}

/* The same for rows of `from` that run along k */
static void turn(uint8_t *to, const uint16_t *from, size_t ld, size_t k, size_t cols)
{
    for (size_t j = 0; j < COLS; j += LANES)
        for (size_t p = 0; p < k; p += 32) {
            __m512i r[16];
            UNROLL for (size_t i = 0; i < 16; i++) r[i] = j + i < cols ? load_some(from + (j + i) * ld + p, k - p) : _mm512_setzero_si512();
            turn_words(r);
            UNROLL for (size_t i = 0; i < 16; i++) {
                if (p + 2 * i < k) _mm512_store_si512(to + (p / 2 + i) * 4 * COLS + 4 * j, r[i]);
            }
        }
}

static void tiles(Tile *t, size_t rows)
{
    for (; rows >= TILE; rows -= TILE, t->row += TILE, t->a += TILE * t->a_row) tile_6(t);
    for (; rows; ) {
        const size_t n = rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
        if (n == 4) tile_4(t);
        else if (n == 2) tile_2(t);
        else tile_1(t);
        rows -= n, t->row += n, t->a += n * t->a_row;
    }
}

/* Rows begin .. end - 1 of C, columns col .. col + n - 1, for k values from `from` on; b: packed */
static void block(const MuseGemmArgs *g, const uint8_t *b, uint8_t *room, size_t begin, size_t end, size_t col, size_t n, size_t from, size_t k)
{
    const size_t pairs = (k + 1) / 2, near = (g->turn_a ? A_BYTES - 64 * pairs : A_NEAR) / (4 * pairs);
    const size_t some = g->turn_a ? near / STEP * STEP : near / TILE * TILE + TILE;
    for (size_t row = begin; row < end; row += some) {
        const size_t m = end - row < some ? end - row : some;
        Tile t = { .g = g, .pairs = pairs, .add = g->add || from > 0 };
        const size_t odd = 64 * ((m + 31) / 32 * 2 + 1);   /* an odd number of lines, so that a column of pairs lies in all sets of L1 */
        if (g->turn_a) interleave(room, odd, 4 * COLS, (const uint16_t *)g->a + from * g->lda + row, g->lda, k, m);
        for (size_t j = 0; j < n; j += COLS) {
            t.row = row;
            t.col = col + j;
            t.a = g->turn_a ? room : (const uint8_t *)((const uint16_t *)g->a + row * g->lda + from);
            t.a_row = g->turn_a ? 4 : 2 * g->lda;
            t.a_pair = g->turn_a ? odd : 4;
            t.b = b + j / COLS * pairs * 4 * COLS;
            tiles(&t, m);
        }
    }
}

/* B's columns col .. col + n - 1 for k values from `from` on, as panels [pairs][COLS] of pairs; what lies beyond n is not read */
static void pack(const MuseGemmArgs *g, uint8_t *to, size_t col, size_t n, size_t from, size_t k)
{
    const uint16_t *b = g->b;
    const size_t panel = (k + 1) / 2 * 4 * COLS;
    if (!g->turn_b) interleave(to, 4 * COLS, panel, b + from * g->ldb + col, g->ldb, k, n);
    else
        for (size_t j = 0; j < n; j += COLS) turn(to + j / COLS * panel, b + (col + j) * g->ldb + from, g->ldb, k, n - j < COLS ? n - j : COLS);
}

bool muse_gemm_bf16_avx512bf16(const MuseGemmArgs *g, size_t begin, size_t end, void *room)
{
    const size_t piece = g->c_bf16 || g->k < PIECE ? g->k : PIECE, pairs = (piece + 1) / 2, panels = B_BYTES / (pairs * 4 * COLS);
    if (panels == 0 || (!g->turn_a && (g->k & 1)) || (g->turn_a && pairs * (4 * STEP + 64) > A_BYTES)) return false;
    for (size_t from = 0; from < g->k; from += piece)
        for (size_t col = 0; col < g->n; col += panels * COLS) {
            const size_t k = g->k - from < piece ? g->k - from : piece, n = g->n - col < panels * COLS ? g->n - col : panels * COLS;
            pack(g, room, col, n, from, k);
            block(g, room, (uint8_t *)room + B_BYTES, begin, end, col, n, from, k);
        }
    return true;
}
