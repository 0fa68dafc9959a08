/* SPDX-License-Identifier: Apache-2.0 */
/* The page layouts, and attention's reference: one row, one page after another, dot products in double. */
#include "ops/attend.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/dtype.h"

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

size_t muse_kv_head_bytes(MuseKvType type, size_t width)
{
    if (type == MUSE_KV_TYPE_F32) return round_up(4 * width * MUSE_KV_PAGE, 64);
    if (type == MUSE_KV_TYPE_BF16) return 2 * round_up(width, 2) * MUSE_KV_PAGE;
    const size_t blocks = (width + MUSE_KV_BLOCK - 1) / MUSE_KV_BLOCK;
    return blocks * (MUSE_KV_BLOCK + 2) * MUSE_KV_PAGE;
}

/* ---- writing ---- */

/* the least bf16 that is not below x; x >= 0 */
static MuseBf16 bf16_above(float x)
{
    const MuseBf16 b = (MuseBf16)(muse_f32_bits(x) >> 16);
    return muse_bf16_f32(b) < x ? (MuseBf16)(b + 1) : b;
}

/* one block of up to 32 values to bytes and a scale; bytes are `stride` apart in groups of 4 */
static MuseBf16 put_block(int8_t *q, size_t stride, const float *x, size_t n)
{
    float most = 0;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(x[i]) <= most)) most = fabsf(x[i]);
        if (!isfinite(x[i])) finite = false;
    }
    const MuseBf16 scale = finite ? bf16_above(most / 127) : (MuseBf16)0x7fc0;
    const float d = muse_bf16_f32(scale), inverse = finite && d >= 1e-30f ? 1 / d : 0;
    for (size_t i = 0; i < MUSE_KV_BLOCK; i++) {
        float v = i < n && inverse > 0 ? nearbyintf(x[i] * inverse) : 0;
        if (v > 127) v = 127;
        if (v < -127) v = -127;
        q[i / 4 * stride + i % 4] = (int8_t)v;
    }
    return scale;
}

static void put_q8(uint8_t *keys, uint8_t *values, size_t slot, const float *k, const float *v, size_t width)
{
    const size_t blocks = (width + MUSE_KV_BLOCK - 1) / MUSE_KV_BLOCK, across = blocks * MUSE_KV_BLOCK;
    uint16_t *k_scales = (uint16_t *)(void *)(keys + MUSE_KV_PAGE * across), *v_scales = (uint16_t *)(void *)(values + MUSE_KV_PAGE * across);
    uint8_t *panel = keys + slot / MUSE_KV_PANEL * MUSE_KV_PANEL * across + 4 * (slot % MUSE_KV_PANEL);
    for (size_t b = 0; b < blocks; b++) {
        const size_t at = b * MUSE_KV_BLOCK, n = width - at < MUSE_KV_BLOCK ? width - at : MUSE_KV_BLOCK;
        k_scales[b * MUSE_KV_PAGE + slot] = put_block((int8_t *)panel + at / 4 * 64, 64, k + at, n);
        v_scales[slot * blocks + b] = put_block((int8_t *)values + slot * across + at, 4, v + at, n);
    }
}

void muse_kv_put(MuseKvType type, void *keys, void *values, size_t slot, const float *k, const float *v, size_t width)
{
    if (type == MUSE_KV_TYPE_Q8) {
        put_q8(keys, values, slot, k, v, width);
    } else if (type == MUSE_KV_TYPE_F32) {
        float *panel = (float *)keys + slot / MUSE_KV_PANEL * MUSE_KV_PANEL * width + slot % MUSE_KV_PANEL;
        for (size_t i = 0; i < width; i++) panel[i * MUSE_KV_PANEL] = k[i];
        memcpy((float *)values + slot * width, v, width * sizeof *v);
    } else {
        const size_t words = (width + 1) / 2;
        uint16_t *panel = (uint16_t *)keys + 2 * (slot / MUSE_KV_PANEL * MUSE_KV_PANEL * words + slot % MUSE_KV_PANEL);
        for (size_t i = 0; i < 2 * words; i++) panel[i / 2 * 2 * MUSE_KV_PANEL + i % 2] = i < width ? muse_f32_bf16(k[i]) : 0;
        uint16_t *pair = (uint16_t *)values + 2 * (slot / 2 * width) + slot % 2;
        for (size_t i = 0; i < width; i++) pair[2 * i] = muse_f32_bf16(v[i]);
    }
}

/* ---- reading ---- */

static float key_at(MuseKvType type, const uint8_t *keys, size_t slot, size_t i, size_t width)
{
    const size_t panel = slot / MUSE_KV_PANEL, lane = slot % MUSE_KV_PANEL;
    if (type == MUSE_KV_TYPE_F32) return ((const float *)(const void *)keys)[(panel * width + i) * MUSE_KV_PANEL + lane];
    if (type == MUSE_KV_TYPE_BF16)
        return muse_bf16_f32(((const uint16_t *)(const void *)keys)[2 * ((panel * ((width + 1) / 2) + i / 2) * MUSE_KV_PANEL + lane) + i % 2]);
    const size_t across = round_up(width, MUSE_KV_BLOCK);
    const uint16_t *scales = (const uint16_t *)(const void *)(keys + MUSE_KV_PAGE * across);
    const int8_t q = ((const int8_t *)keys)[panel * MUSE_KV_PANEL * across + i / 4 * 64 + 4 * lane + i % 4];
    return (float)q * muse_bf16_f32(scales[i / MUSE_KV_BLOCK * MUSE_KV_PAGE + slot]);
}

static float value_at(MuseKvType type, const uint8_t *values, size_t slot, size_t i, size_t width)
{
    if (type == MUSE_KV_TYPE_F32) return ((const float *)(const void *)values)[slot * width + i];
    if (type == MUSE_KV_TYPE_BF16) return muse_bf16_f32(((const uint16_t *)(const void *)values)[2 * (slot / 2 * width + i) + slot % 2]);
    const size_t blocks = (width + MUSE_KV_BLOCK - 1) / MUSE_KV_BLOCK, across = blocks * MUSE_KV_BLOCK;
    const uint16_t *scales = (const uint16_t *)(const void *)(values + MUSE_KV_PAGE * across);
    return (float)((const int8_t *)values)[slot * across + i] * muse_bf16_f32(scales[slot * blocks + i / MUSE_KV_BLOCK]);
}

static double score(MuseKvType type, const MuseAttendArgs *a, const float *q, const uint8_t *keys, size_t slot)
{
    double dot = 0;
    for (size_t i = 0; i < a->width; i++) dot += (double)q[i] * (double)key_at(type, keys, slot, i, a->width);
    dot *= (double)a->scale;
    return a->softcap > 0 ? (double)a->softcap * tanh(dot / (double)a->softcap) : dot;
}

/* row r against its head's part of one page: slots from..to */
static void attend_page(MuseKvType type, const MuseAttendArgs *a, size_t r, const uint8_t *page, size_t from, size_t to)
{
    double s[MUSE_KV_PAGE], most = (double)a->max[r], sum = 0;
    for (size_t j = from; j < to; j++) {
        s[j] = score(type, a, a->q[r], page + a->k_offset, j);
        if (!(s[j] <= most)) most = s[j];   /* NaN stays */
    }
    const double keep = a->sum[r] > 0 || a->sum[r] != a->sum[r] ? exp((double)a->max[r] - most) : 0;
    for (size_t j = from; j < to; j++) sum += s[j] = exp(s[j] - most);
    for (size_t i = 0; i < a->width; i++) {
        double o = (double)a->o[r][i] * keep;   /* a NaN stays, even where keep is 0 by underflow */
        for (size_t j = from; j < to; j++) o += s[j] * (double)value_at(type, page + a->v_offset, j, i, a->width);
        a->o[r][i] = (float)o;
    }
    a->max[r] = (float)most;
    a->sum[r] = (float)((double)a->sum[r] * keep + sum);
}

static void attend(MuseKvType type, const MuseAttendArgs *a)
{
    assert(a->heads > 0 && a->rows % a->heads == 0);
    for (size_t r = 0; r < a->rows; r++) {
        if (a->start) {
            a->max[r] = -INFINITY;
            a->sum[r] = 0;
            memset(a->o[r], 0, a->width * sizeof(float));
        }
        for (size_t p = a->first_page; p < a->first_page + a->n_pages; p++) {
            const size_t begin = p * MUSE_KV_PAGE, end = begin + MUSE_KV_PAGE;
            const size_t from = a->lo[r] > begin ? a->lo[r] : begin, to = a->hi[r] < end ? a->hi[r] : end;
            if (from < to) attend_page(type, a, r, a->pages[p] + r / (a->rows / a->heads) * a->head_stride, from - begin, to - begin);
        }
        if (a->finish) {
            const float scale = a->sum[r] > 0 || a->sum[r] != a->sum[r] ? 1 / a->sum[r] : 0;
            for (size_t i = 0; i < a->width; i++) a->o[r][i] *= scale;
        }
    }
}

void muse_attend_f32_c(const MuseAttendArgs *a) { attend(MUSE_KV_TYPE_F32, a); }
void muse_attend_bf16_c(const MuseAttendArgs *a) { attend(MUSE_KV_TYPE_BF16, a); }
void muse_attend_q8_c(const MuseAttendArgs *a) { attend(MUSE_KV_TYPE_Q8, a); }

static void weights(MuseKvType type, const MuseAttendArgs *a, size_t row, size_t first, size_t n, float *w)
{
    for (size_t j = 0; j < n; j++) {
        const size_t p = first + j;
        const uint8_t *page = p >= a->lo[row] && p < a->hi[row] ? a->pages[p / MUSE_KV_PAGE] : NULL;
        w[j] = page ? (float)(exp(score(type, a, a->q[row], page + a->k_offset, p % MUSE_KV_PAGE) - (double)a->max[row]) / (double)a->sum[row]) : 0.0f;
    }
}

void muse_attend_weights_f32_c(const MuseAttendArgs *a, size_t row, size_t first, size_t n, float *w) { weights(MUSE_KV_TYPE_F32, a, row, first, n, w); }
void muse_attend_weights_bf16_c(const MuseAttendArgs *a, size_t row, size_t first, size_t n, float *w) { weights(MUSE_KV_TYPE_BF16, a, row, first, n, w); }
void muse_attend_weights_q8_c(const MuseAttendArgs *a, size_t row, size_t first, size_t n, float *w) { weights(MUSE_KV_TYPE_Q8, a, row, first, n, w); }

void muse_attend_ops_init(MuseAttendOps *ops, unsigned cpu)
{
#define KERNEL(op, Type, need, name) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->op = name;
#include "ops/attend_kernels.inc"
#undef KERNEL
}
