/* SPDX-License-Identifier: Apache-2.0 */
/* Weight tables of antialiased resampling and the portable passes over them, which define the answer. Does not walk
 * pictures: tokenizers/image/resize.c does. Right shifts of negative sums are arithmetic, as gcc and clang define them. */
#include "ops/resize.h"

#include <math.h>
#include <string.h>

#include "muse/family.h"

enum {
    SHIFT_MAX  = 22,   /* 32 bits - 8 of a sample - 2 for overshoot; Pillow's constant, PyTorch's upper limit */
    SPLIT_BITS = 12    /* log2 of MUSE_RESIZE_SPLIT */
};
_Static_assert(1 << SPLIT_BITS == MUSE_RESIZE_SPLIT, "weights of two parts");

/* w[k] = K((at + k) * inverse), k < count: arithmetic in the order of the definition. Loops of their own per filter: tables are
 * built for every picture. */
typedef void FilterFn(double *w, uint32_t count, double first, double centre, double inverse);

typedef struct Filter {
    double    support;         /* zero from here on, in units of the scale */
    FilterFn *weights;
} Filter;

static void box(double *w, uint32_t count, double first, double centre, double inverse)
{
    for (uint32_t k = 0; k < count; k++) {
        const double x = ((double)k + first - centre + 0.5) * inverse;
        w[k] = x > -0.5 && x <= 0.5 ? 1 : 0;
    }
}

static void bilinear(double *w, uint32_t count, double first, double centre, double inverse)
{
    for (uint32_t k = 0; k < count; k++) {
        const double x = fabs(((double)k + first - centre + 0.5) * inverse);
        w[k] = x < 1 ? 1 - x : 0;
    }
}

/* Keys' cubic with a = -0.5, in Horner form */
static void bicubic(double *w, uint32_t count, double first, double centre, double inverse)
{
    for (uint32_t k = 0; k < count; k++) {
        const double x = fabs(((double)k + first - centre + 0.5) * inverse);
        const double near = (1.5 * x - 2.5) * x * x + 1, far = (((x - 5) * x + 8) * x - 4) * -0.5;
        w[k] = x < 1 ? near : x < 2 ? far : 0;
    }
}

static const Filter *find_filter(uint32_t filter)
{
    static const Filter filters[] = {
        [MUSE_FILTER_BOX] = { 0.5, box }, [MUSE_FILTER_BILINEAR] = { 1, bilinear }, [MUSE_FILTER_BICUBIC] = { 2, bicubic },
    };
    return filter >= MUSE_FILTER_BOX && filter <= MUSE_FILTER_BICUBIC ? &filters[filter] : NULL;
}

static uint32_t mirrored(uint32_t i, uint32_t n) { return n - 1 - i; }

/* The source samples first .. first+count-1 that output i of an axis sees. */
static void window(const MuseResizeAxis *axis, const Filter *f, uint32_t i, uint32_t *first, uint32_t *count)
{
    const double scale = (double)axis->n_in / axis->n_out, support = f->support * (scale > 1 ? scale : 1);
    const double centre = ((axis->mirror ? mirrored(i, axis->n_out) : i) + 0.5) * scale;
    const double lo = centre - support + 0.5, hi = centre + support + 0.5;
    *first = lo > 0 ? (uint32_t)lo : 0;
    *count = (hi < axis->n_in ? (uint32_t)hi : axis->n_in) - *first;
    if (axis->mirror) *first = axis->n_in - *first - *count;
}

/* w[0..count): weights of output i, sum 1. A mirrored axis computes what its counterpart does, sample by sample in the same
 * order, and turns the result: rounding and the edges of the box filter are not symmetric. */
static void window_weights(const MuseResizeAxis *axis, const Filter *f, uint32_t i, uint32_t first, uint32_t count, double *w)
{
    const double scale = (double)axis->n_in / axis->n_out, inverse = 1 / (scale > 1 ? scale : 1);
    const double centre = ((axis->mirror ? mirrored(i, axis->n_out) : i) + 0.5) * scale;
    if (axis->mirror) first = axis->n_in - first - count;
    double sum = 0;
    f->weights(w, count, first, centre, inverse);
    for (uint32_t k = 0; k < count; k++) sum += w[k];
    if (sum != 0)
        for (uint32_t k = 0; k < count; k++) w[k] /= sum;
    for (uint32_t k = 0; axis->mirror && k < count / 2; k++) {
        const double other = w[count - 1 - k];
        w[count - 1 - k] = w[k];
        w[k] = other;
    }
}

/* PyTorch's rule: the most bits for which the largest weight still fits int16 */
static int torch_shift(double largest)
{
    int shift = 1;   /* weights stay below 2, so 1 always fits */
    while (shift < SHIFT_MAX && (int64_t)(0.5 + largest * (double)(1 << (shift + 1))) < (1 << 15)) shift++;
    return shift;
}

/* What storing a table finds out. */
typedef struct Survey {
    double   largest;     /* weight, before rounding */
    double   magnitude;   /* the most that absolute rounded weights of an output sum to */
    uint32_t unfit;       /* the first output with a weight that has no int16 parts; n_out: none */
} Survey;

/* Rounds w into row i of the table, after `lead` zeros. False: a weight has no int16 parts. */
static bool store_weights(MuseResizeAxis *axis, size_t i, uint32_t lead, const double *w, uint32_t count, Survey *s)
{
    const double scale = 1 << axis->shift;
    const size_t at = i * axis->slots + lead;
    double sum = 0;
    for (uint32_t k = 0; k < count; k++) {
        const double v = w[k] * scale + (w[k] < 0 ? -0.5 : 0.5);
        if (!(fabs(v) < INT32_MAX)) return false;
        const int32_t q = (int32_t)v, high = axis->parts == 1 ? q : q >> SPLIT_BITS;
        if (high < INT16_MIN || high > INT16_MAX) return false;
        axis->part[0][at + k] = (int16_t)high;
        if (axis->parts == 2) axis->part[1][at + k] = (int16_t)(q - high * MUSE_RESIZE_SPLIT);
        sum += fabs((double)q);
    }
    if (sum > s->magnitude) s->magnitude = sum;
    return true;
}

static int allocate(MuseResizeAxis *axis, const MuseAllocator *a, MuseError *err)
{
    size_t n = 0;
    if (!muse_mul_size(axis->n_out, axis->slots, &n))
        return muse_fail(err, MUSE_ERR_NOMEM, "resize: %u outputs of %zu weights pass the address space", axis->n_out, axis->slots);
    for (int p = 0; p < axis->parts; p++) {
        axis->part[p] = muse_zalloc_array(a, n, sizeof *axis->part[p]);
        if (!axis->part[p]) return MUSE_NOMEM(err, n * sizeof *axis->part[p]);
    }
    return 0;
}

/* A table whose weights do not all fit goes without: kernels that need halves leave it to others. */
static int split_weights(MuseResizeAxis *axis, const MuseAllocator *a, MuseError *err)
{
    enum { LARGEST = INT8_MAX * 256 + INT8_MAX };
    const size_t n = axis->n_out * axis->slots;   /* whole groups */
    const int16_t *w = axis->part[0];
    for (size_t k = 0; k < n; k++)
        if (w[k] > LARGEST) return 0;
    axis->halves = muse_alloc_array(a, n, 2);
    if (!axis->halves) return MUSE_NOMEM(err, n * 2);
    for (size_t k = 0; k < n; k++) {
        int8_t *high = axis->halves + k / MUSE_RESIZE_GROUP * (2 * MUSE_RESIZE_GROUP) + k % MUSE_RESIZE_GROUP;
        *high = (int8_t)((w[k] + 128) >> 8);
        high[MUSE_RESIZE_GROUP] = (int8_t)(w[k] - *high * 256);
    }
    return 0;
}

static double largest_of(const double *w, uint32_t count, double so_far)
{
    for (uint32_t k = 0; k < count; k++)
        if (w[k] > so_far) so_far = w[k];
    return so_far;
}

/* The largest weight of the first, the middle and the last output. Most often of all: windows cut off at an edge have larger
 * weights, since each window's sum is 1. */
static double guess_largest(const MuseResizeAxis *axis, const Filter *f, double *w)
{
    const uint32_t some[] = { 0, axis->n_out / 2, axis->n_out - 1 };
    double largest = 0;
    for (size_t k = 0; k < sizeof some / sizeof *some; k++) {
        window_weights(axis, f, some[k], axis->first[some[k]], axis->count[some[k]], w);
        largest = largest_of(w, axis->count[some[k]], largest);
    }
    return largest;
}

static uint32_t lead_of(const MuseResizeAxis *axis, uint32_t first) { return axis->grouped ? first % MUSE_RESIZE_GROUP : 0; }

static Survey store_table(MuseResizeAxis *axis, const Filter *f, double *w)
{
    Survey s = { .unfit = axis->n_out };
    for (uint32_t i = 0; i < axis->n_out; i++) {
        window_weights(axis, f, i, axis->first[i], axis->count[i], w);
        s.largest = largest_of(w, axis->count[i], s.largest);
        if (!store_weights(axis, i, lead_of(axis, axis->first[i]), w, axis->count[i], &s) && s.unfit == axis->n_out) s.unfit = i;
    }
    return s;
}

static int build(MuseResizeAxis *axis, const MuseAllocator *a, const Filter *f, uint32_t precision, unsigned flags, double **w, MuseError *err)
{
    for (uint32_t i = 0; i < axis->n_out; i++) {
        window(axis, f, i, &axis->first[i], &axis->count[i]);
        if (axis->count[i] > axis->taps) axis->taps = axis->count[i];
    }
    const size_t most = axis->taps + (axis->grouped ? MUSE_RESIZE_GROUP - 1 : 0);
    axis->slots = (most + MUSE_RESIZE_SLOTS - 1) / MUSE_RESIZE_SLOTS * MUSE_RESIZE_SLOTS;
    *w = muse_alloc_array(a, axis->taps, sizeof **w);
    if (!*w) return MUSE_NOMEM(err, axis->taps * sizeof **w);
    const bool torch = precision == MUSE_PRECISION_TORCH;
    axis->shift = torch ? torch_shift(guess_largest(axis, f, *w)) : SHIFT_MAX;
    axis->parts = torch ? 1 : 2;
    const int rc = allocate(axis, a, err);
    if (rc < 0) return rc;
    Survey s = store_table(axis, f, *w);
    if (torch && torch_shift(s.largest) != axis->shift) {   /* the guess was too low */
        axis->shift = torch_shift(s.largest);
        s = store_table(axis, f, *w);
    }
    if (s.unfit < axis->n_out)
        return muse_fail(err, MUSE_ERR_ARG, "resize %u -> %u: a weight of output %u is out of range", axis->n_in, axis->n_out, s.unfit);
    /* Sums of a single part may wrap on the way, the whole does not: rounding at most doubles the sum of weights (each 0.5
     * becoming 1), and only a box of 2^23 taps comes near, with 2^31 - 2^23. */
    if (255 * s.magnitude + (double)(1 << axis->shift) > INT32_MAX)
        return muse_fail(err, MUSE_ERR_ARG, "resize %u -> %u: sums of %zu samples pass 31 bits", axis->n_in, axis->n_out, axis->taps);
    for (uint32_t i = 0; i < axis->n_out; i++) {
        const uint32_t lead = lead_of(axis, axis->first[i]);
        axis->first[i] -= lead;
        axis->count[i] += lead;
    }
    return torch && (flags & MUSE_RESIZE_HALVES) ? split_weights(axis, a, err) : 0;
}

int muse_resize_axis_open(MuseResizeAxis *axis, const MuseAllocator *a, uint32_t n_in, uint32_t n_out, uint32_t filter,
                          uint32_t precision, unsigned flags, MuseError *err)
{
    *axis = (MuseResizeAxis){ .n_in = n_in, .n_out = n_out, .mirror = flags & MUSE_RESIZE_MIRROR, .grouped = flags & MUSE_RESIZE_GROUPED };
    const Filter *f = find_filter(filter);
    if (!f) return muse_fail(err, MUSE_ERR_ARG, "resize: %u is not a MUSE_FILTER_ value", filter);
    if (precision > MUSE_PRECISION_PILLOW) return muse_fail(err, MUSE_ERR_ARG, "resize: %u is not a MUSE_PRECISION_ value", precision);
    if (!n_in || !n_out) return muse_fail(err, MUSE_ERR_ARG, "resize: %u -> %u samples", n_in, n_out);
    double *w = NULL;
    int rc = 0;
    axis->first = muse_alloc_array(a, n_out, sizeof *axis->first);
    axis->count = muse_alloc_array(a, n_out, sizeof *axis->count);
    if (!axis->first || !axis->count) rc = MUSE_NOMEM(err, n_out * sizeof *axis->first);
    if (rc == 0) rc = build(axis, a, f, precision, flags, &w, err);
    muse_free(w);
    if (rc < 0) muse_resize_axis_close(axis);
    return rc;
}

void muse_resize_axis_close(MuseResizeAxis *axis)
{
    muse_free(axis->first);
    muse_free(axis->count);
    muse_free(axis->part[0]);
    muse_free(axis->part[1]);
    muse_free(axis->halves);
    *axis = (MuseResizeAxis){ 0 };
}

static inline uint8_t clamp_u8(int32_t v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

/* dst: samples `step` bytes apart. channels and parts are literals where this is called, so that the inner loops unroll */
static inline void across_row(uint8_t *dst, size_t step, const uint8_t *src, const MuseResizeAxis *axis, size_t channels, int parts,
                              size_t begin, size_t end)
{
    const int32_t half = 1 << (axis->shift - 1);
    for (size_t i = begin; i < end; i++) {
        const int16_t *w0 = axis->part[0] + i * axis->slots, *w1 = parts == 2 ? axis->part[1] + i * axis->slots : NULL;
        const uint8_t *s = src + axis->first[i] * channels;
        int32_t sum[4] = { half, half, half, half };
        for (size_t k = 0; k < axis->count[i]; k++, s += channels) {
            const int32_t w = parts == 2 ? w0[k] * MUSE_RESIZE_SPLIT + w1[k] : w0[k];
            for (size_t c = 0; c < channels; c++) sum[c] += w * s[c];
        }
        for (size_t c = 0; c < channels; c++) dst[(i * channels + c) * step] = clamp_u8(sum[c] >> axis->shift);
    }
}

static void across_any(uint8_t *dst, size_t step, const uint8_t *src, const MuseResizeRows *rows, const MuseResizeAxis *axis)
{
    const size_t begin = rows->begin, end = rows->end;
    if (rows->channels == 1 && axis->parts == 1) across_row(dst, step, src, axis, 1, 1, begin, end);
    else if (rows->channels == 3 && axis->parts == 1) across_row(dst, step, src, axis, 3, 1, begin, end);
    else if (rows->channels == 4 && axis->parts == 1) across_row(dst, step, src, axis, 4, 1, begin, end);
    else if (rows->channels == 1) across_row(dst, step, src, axis, 1, 2, begin, end);
    else if (rows->channels == 3) across_row(dst, step, src, axis, 3, 2, begin, end);
    else across_row(dst, step, src, axis, 4, 2, begin, end);
}

void muse_resize_across_u8_c(const MuseResizeRows *rows, const MuseResizeAxis *axis)
{
    for (size_t r = 0; r < rows->n_rows; r++) across_any(rows->dst[r], 1, rows->src + r * rows->src_stride, rows, axis);
}

void muse_resize_across_quads_u8_c(const MuseResizeRows *rows, const MuseResizeAxis *axis)
{
    const size_t quad = MUSE_RESIZE_GROUP, whole = (rows->n_rows + quad - 1) / quad * quad;
    for (size_t r = 0; r < whole; r++) {   /* the last row again where there is none */
        const size_t from = r < rows->n_rows ? r : rows->n_rows - 1;
        across_any(rows->dst[r / quad] + r % quad, quad, rows->src + from * rows->src_stride, rows, axis);
    }
}

/* rows: of `step` samples each, interleaved; 1 or 4 */
static inline void down_any(uint8_t *dst, const uint8_t *const rows[], size_t step, size_t n, const MuseResizeAxis *axis, size_t index)
{
    enum { BLOCK = 256 };   /* sums of a block stay in the first-level cache */
    const int32_t half = 1 << (axis->shift - 1);
    for (size_t x = 0; x < n; x += BLOCK) {
        const size_t m = n - x < BLOCK ? n - x : BLOCK;
        int32_t sum[BLOCK];
        for (size_t j = 0; j < m; j++) sum[j] = half;
        for (size_t k = 0; k < axis->count[index]; k++) {
            const int32_t w = muse_resize_weight(axis, index, k);
            const uint8_t *row = rows[k / step] + x * step + k % step;
            for (size_t j = 0; j < m; j++) sum[j] += w * row[j * step];
        }
        for (size_t j = 0; j < m; j++) dst[x + j] = clamp_u8(sum[j] >> axis->shift);
    }
}

void muse_resize_down_u8_c(uint8_t *dst, const uint8_t *const rows[], size_t n, const MuseResizeAxis *axis, size_t index)
{
    down_any(dst, rows, 1, n, axis, index);
}

void muse_resize_down_quads_u8_c(uint8_t *dst, const uint8_t *const rows[], size_t n, const MuseResizeAxis *axis, size_t index)
{
    down_any(dst, rows, MUSE_RESIZE_GROUP, n, axis, index);
}

void muse_resize_quad_u8_c(uint8_t *quad, const uint8_t *rows, size_t stride, size_t n_rows, size_t n)
{
    for (size_t k = 0; k < MUSE_RESIZE_GROUP; k++) {
        const uint8_t *row = rows + (k < n_rows ? k : n_rows - 1) * stride;
        for (size_t x = 0; x < n; x++) quad[MUSE_RESIZE_GROUP * x + k] = row[x];
    }
}

void muse_resize_ops_init(MuseResizeOps *ops, unsigned cpu)
{
#define KERNEL(op, Type, need, name) if ((cpu & (unsigned)(need)) == (unsigned)(need)) ops->op = name;
#include "ops/resize_kernels.inc"
#undef KERNEL
}
