/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic over a row of logits. Loops over lanes of fixed number, which compilers turn into vectors of any width without
 * changing a result. Knows nothing of penalties or grammars. Called by sampler.c and row.c. */
#include "libmuse/sample/filter.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { LANES = 16 };

/* exp(x[j]) for x <= 0. 2^n e^r by Cody and Waite's two-part ln 2 and a polynomial for |r| <= ln 2 / 2: the Taylor series to r^7,
 * whose remainder is below 1e-8. Below -87 2^n would leave the normal numbers: there x is clamped and the result cleared, as
 * integers (the bits of negative floats are in reverse order), since a comparison of floats keeps gcc from making vectors. */
static inline void exp_lanes(const float *x, float *out)
{
    const int32_t lowest = INT32_MIN + 0x42ae0000;   /* the bits of -87 */
    int32_t bits[LANES], keep[LANES];
    float y[LANES], two[LANES];
    memcpy(bits, x, sizeof bits);
    for (int j = 0; j < LANES; j++) {
        const int32_t b = bits[j] | INT32_MIN;
        keep[j] = b > lowest ? 0 : -1;
        bits[j] = b > lowest ? lowest : b;
    }
    memcpy(y, bits, sizeof y);
    for (int j = 0; j < LANES; j++) {
        const float n = (y[j] * 1.44269504f + 12582912.0f) - 12582912.0f;   /* log2 e; 1.5 * 2^23 rounds to an integer */
        const float r = y[j] - n * 0.693359375f + n * 2.12194440e-4f;
        float p = 1.0f / 5040.0f;
        p = p * r + 1.0f / 720.0f;
        p = p * r + 1.0f / 120.0f;
        p = p * r + 1.0f / 24.0f;
        p = p * r + 1.0f / 6.0f;
        p = p * r + 0.5f;
        p = p * r + 1.0f;
        y[j] = p * r + 1.0f;
        bits[j] = ((int32_t)n + 127) * (1 << 23);
    }
    memcpy(two, bits, sizeof two);
    for (int j = 0; j < LANES; j++) y[j] *= two[j];
    memcpy(bits, y, sizeof bits);
    for (int j = 0; j < LANES; j++) bits[j] &= keep[j];
    memcpy(out, bits, sizeof bits);
}

float muse_row_exp(float x)
{
    float in[LANES] = { x }, out[LANES];
    exp_lanes(in, out);
    return out[0];
}

static float block_max(const float *x, size_t n, int32_t *bad)
{
    float top[LANES];
    int32_t wrong[LANES] = { 0 };
    size_t i = 0;
    for (int j = 0; j < LANES; j++) top[j] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            const float v = x[i + j];
            wrong[j] |= !(v <= FLT_MAX);
            top[j] = v > top[j] ? v : top[j];
        }
    for (int j = 0; i < n; i++, j++) {
        wrong[j] |= !(x[i] <= FLT_MAX);
        top[j] = x[i] > top[j] ? x[i] : top[j];
    }
    for (int j = 0; j < LANES; j++) *bad |= wrong[j];
    for (int half = LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++) top[j] = top[j + half] > top[j] ? top[j + half] : top[j];
    return top[0];
}

bool muse_row_max(const float *x, size_t V, float *maxima, float *out)
{
    float top = -INFINITY;
    int32_t bad = 0;
    for (size_t b = 0, at = 0; at < V; b++, at += MUSE_ROW_BLOCK) {
        const float m = block_max(x + at, V - at < MUSE_ROW_BLOCK ? V - at : MUSE_ROW_BLOCK, &bad);
        if (maxima) maxima[b] = m;
        top = m > top ? m : top;
    }
    *out = top;
    return !bad;
}

static double block_sum(const float *x, size_t n, float top, float scale)
{
    float sum[LANES] = { 0 }, in[LANES], out[LANES];
    for (size_t i = 0; i < n; i += LANES) {
        const size_t k = n - i < LANES ? n - i : LANES;
        for (size_t j = 0; j < LANES; j++) in[j] = -INFINITY;   /* exp is 0 */
        if (k == LANES) {
            for (int j = 0; j < LANES; j++) in[j] = (x[i + j] - top) * scale;
        } else {
            for (size_t j = 0; j < k; j++) in[j] = (x[i + j] - top) * scale;
        }
        exp_lanes(in, out);
        for (int j = 0; j < LANES; j++) sum[j] += out[j];
    }
    for (int half = LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++) sum[j] += sum[j + half];
    return sum[0];
}

double muse_row_sum_exp(const float *x, size_t V, float top, float scale, double *sums)
{
    double total = 0;
    for (size_t b = 0, at = 0; at < V; b++, at += MUSE_ROW_BLOCK) {
        const double s = block_sum(x + at, V - at < MUSE_ROW_BLOCK ? V - at : MUSE_ROW_BLOCK, top, scale);
        if (sums) sums[b] = s;
        total += s;
    }
    return total;
}

size_t muse_cand_gather(MuseCand *c, const float *x, size_t V, const float *maxima, float floor)
{
    size_t n = 0;
    for (size_t b = 0, at = 0; at < V; b++, at += MUSE_ROW_BLOCK) {
        if (!(maxima[b] >= floor) || maxima[b] == -INFINITY) continue;
        const size_t end = V - at < MUSE_ROW_BLOCK ? V : at + MUSE_ROW_BLOCK;
        for (size_t i = at; i < end; i++)
            if (x[i] >= floor && x[i] > -INFINITY) c[n++] = (MuseCand){ x[i], 1.0f, (uint32_t)i };
    }
    return n;
}

double muse_cand_weigh(MuseCand *c, size_t n, float top, float scale)
{
    float in[LANES], out[LANES];
    double mass = 0;
    for (size_t i = 0; i < n; i += LANES) {
        const size_t k = n - i < LANES ? n - i : LANES;
        for (size_t j = 0; j < LANES; j++) in[j] = j < k ? (c[i + j].x - top) * scale : -INFINITY;
        exp_lanes(in, out);
        for (size_t j = 0; j < k; j++) mass += c[i + j].p = out[j];
    }
    return mass;
}

static inline bool before(const MuseCand *a, const MuseCand *b) { return a->x > b->x || (a->x == b->x && a->id < b->id); }

/* Weighted quickselect: the pivot goes to its place; the side that holds the border is cut again. Pivots by a linear
 * congruential generator (Knuth's MMIX constants), so no order of logits is slow. */
size_t muse_cand_keep(MuseCand *c, size_t n, double target)
{
    size_t lo = 0, hi = n;
    double mass = 0;   /* of [0, lo) */
    uint64_t state = n;
    while (hi - lo > 1) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const size_t at = lo + (size_t)(((state >> 32) * (hi - lo)) >> 32);
        const MuseCand pivot = c[at];
        c[at] = c[hi - 1];
        size_t mid = lo;
        double sum = 0;
        for (size_t i = lo; i < hi - 1; i++)
            if (before(&c[i], &pivot)) {
                const MuseCand t = c[i];
                sum += t.p;
                c[i] = c[mid];
                c[mid++] = t;
            }
        c[hi - 1] = c[mid];
        c[mid] = pivot;
        if (mid > lo && mass + sum >= target) {
            hi = mid;
        } else if (mass + sum + pivot.p >= target) {
            return mid + 1;
        } else {
            mass += sum + pivot.p;
            lo = mid + 1;
        }
    }
    return hi > lo ? lo + 1 : (lo ? lo : 1);
}

float muse_row_floor(const float *maxima, size_t blocks, size_t k, float *scratch)
{
    if (k == 0 || k > blocks) return -INFINITY;
    memcpy(scratch, maxima, blocks * sizeof *scratch);
    size_t lo = 0, hi = blocks;
    uint64_t state = k;
    while (hi - lo > 1) {   /* three-way quickselect: equal maxima are common (-inf) */
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const float pivot = scratch[lo + (size_t)(((state >> 32) * (hi - lo)) >> 32)];
        size_t above = lo, i = lo, below = hi;
        while (i < below) {
            const float v = scratch[i];
            if (v > pivot) {
                scratch[i++] = scratch[above];
                scratch[above++] = v;
            } else if (v < pivot) {
                scratch[i] = scratch[--below];
                scratch[below] = v;
            } else {
                i++;
            }
        }
        if (k - 1 < above) hi = above;
        else if (k - 1 < below) return pivot;
        else lo = below;
    }
    return scratch[lo];
}

void muse_philox(uint64_t key, uint64_t counter, uint32_t out[4])
{
    /* multipliers and Weyl increments of Salmon et al. 2011, section 4.3 */
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = 0, c3 = 0;
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)c0 * UINT32_C(0xD2511F53), b = (uint64_t)c2 * UINT32_C(0xCD9E8D57);
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += UINT32_C(0x9E3779B9);
        k1 += UINT32_C(0xBB67AE85);
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

double muse_uniform(uint64_t seed, uint64_t n)
{
    uint32_t w[4];
    muse_philox(seed, n, w);
    return (double)(((uint64_t)w[1] << 32 | w[0]) >> 11) * 0x1p-53;
}
