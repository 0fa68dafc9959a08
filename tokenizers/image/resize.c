/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a picture that arrives in rows through the two passes of ops/resize.h, keeping only the rows the vertical one
 * still needs. Does not decode, and knows nothing of patches. Called by the image encoder and muse_image_resize().
 *
 *   horizontal first:  push -> [waiting] -> across -> ring (width D) -> down -> dst
 *   vertical first:    push -> [waiting] -> ring (width S) -> down -> between -> across -> dst
 *
 * A pass over an axis whose size does not change is left out: its rows are copied. Where the CPU has kernels for it, the
 * ring holds quads: four rows interleaved (ops/resize.h). */
#include "tokenizers/image/resize.h"

#include <string.h>

#include "base/status.h"
#include "base/thread.h"
#include "muse/family.h"
#include "ops/resize.h"
#include "ops/runtime.h"

enum {
    ROUND_MAX  = 64,        /* most rows of a round: more would only cost ring memory */
    MAKE_GRAIN = 4,         /* output rows of a thread */
    /* Multiply-adds that are worth a thread. They take 5 us (VNNI) to 130 us (C); starting and joining a second thread 1.2 us on
     * idle CPUs, and a time slice, 0.7 ms in the mean, where others compute: small pictures must not pay that (docs/ops/resize.md). */
    SHARE_WORK = 1 << 19
};

struct MuseResizer {
    MuseRuntime    *rt;
    MuseTeam        team;
    MuseResizeSpec  spec;
    MuseResizeAxis  across, down;          /* n_out 0: the axis keeps its size */
    uint8_t        *dst;
    size_t          dst_stride;
    size_t          src_bytes, dst_bytes;  /* of a row */
    uint32_t        round;                 /* rows that go through a pass at once, over all threads */
    uint32_t        done, n_waiting;       /* source rows that are past the first step; rows pushed after those */
    uint32_t        next;                  /* output row */
    uint8_t        *waiting;               /* [MUSE_RESIZE_ROWS, src_bytes] */
    bool            quads;                 /* the ring's lines are quads, else rows */
    uint8_t        *ring;                  /* [ring_lines, ring_stride]; line i is at i % ring_lines */
    const uint8_t **ring_at;               /* [2 * ring_lines]: lines of the ring, twice, so that any window is one run */
    size_t          ring_lines, ring_bytes, ring_stride;   /* ring_bytes: samples of a row */
    uint8_t        *between;               /* [round, src_bytes], only where both passes are on, vertical first */
};

/* What the team works on: source rows from number `first` on, or output rows. */
typedef struct Rows {
    MuseResizer   *r;
    const uint8_t *src;
    size_t         stride;
    uint32_t       first, n;
} Rows;

static bool across_on(const MuseResizer *r) { return r->across.n_out != 0; }
static bool down_on(const MuseResizer *r) { return r->down.n_out != 0; }
static bool down_then_across(const MuseResizer *r) { return (r->spec.turn & MUSE_TURN_TRANSPOSE) && across_on(r) && down_on(r); }

static uint32_t ring_line(const MuseResizer *r, uint32_t y) { return r->quads ? y / MUSE_RESIZE_GROUP : y; }
static uint8_t *ring_row(const MuseResizer *r, uint32_t y) { return r->ring + ring_line(r, y) % r->ring_lines * r->ring_stride; }
static uint8_t *dst_row(const MuseResizer *r, uint32_t y) { return r->dst + y * r->dst_stride; }

static void go_across(const MuseResizer *r, uint8_t *const dst[], const uint8_t *src, size_t stride, size_t n_rows)
{
    const MuseResizeRows rows = { dst, src, stride, n_rows, (size_t)r->spec.channels, 0, r->across.n_out };
    if (r->quads && !down_then_across(r)) r->rt->ops.resize.across_quads_u8(&rows, &r->across);
    else r->rt->ops.resize.across_u8(&rows, &r->across);
}

/* Blocks of MUSE_RESIZE_ROWS source rows into the ring, or to dst if there is no vertical pass; through the horizontal pass if
 * its turn is now. */
static void take_rows(void *user, size_t begin, size_t end)
{
    const Rows *job = user;
    const MuseResizer *r = job->r;
    const bool across = across_on(r) && !down_then_across(r);
    for (size_t y = begin * MUSE_RESIZE_ROWS; y < job->n && y < end * MUSE_RESIZE_ROWS; y += MUSE_RESIZE_ROWS) {
        const size_t n = job->n - y < MUSE_RESIZE_ROWS ? job->n - y : MUSE_RESIZE_ROWS, step = r->quads ? MUSE_RESIZE_GROUP : 1;
        const uint8_t *src = job->src + y * job->stride;
        uint8_t *dst[MUSE_RESIZE_ROWS];
        for (size_t k = 0; k < n; k += step) {
            const uint32_t row = job->first + (uint32_t)(y + k);
            dst[k / step] = down_on(r) ? ring_row(r, row) : dst_row(r, row);
            if (across) continue;
            if (r->quads) r->rt->ops.resize.quad_u8(dst[k / step], src + k * job->stride, job->stride, n - k < step ? n - k : step, r->src_bytes);
            else memcpy(dst[k], src + k * job->stride, r->src_bytes);
        }
        if (across) go_across(r, dst, src, job->stride, n);
    }
}

/* Output rows whose source rows are all in the ring. */
static void make_rows(void *user, size_t begin, size_t end)
{
    const Rows *job = user;
    const MuseResizer *r = job->r;
    MuseResizeDownU8 *down = r->quads ? r->rt->ops.resize.down_quads_u8 : r->rt->ops.resize.down_u8;
    for (size_t y = begin; y < end; y += MUSE_RESIZE_ROWS) {
        const size_t n = end - y < MUSE_RESIZE_ROWS ? end - y : MUSE_RESIZE_ROWS;
        uint8_t *dst[MUSE_RESIZE_ROWS];
        for (size_t k = 0; k < n; k++) {
            const uint32_t row = job->first + (uint32_t)(y + k);
            uint8_t *out = dst[k] = dst_row(r, row);
            if (down_then_across(r)) out = r->between + (y + k) * r->src_bytes;
            down(out, r->ring_at + ring_line(r, r->down.first[row]) % r->ring_lines, r->ring_bytes, &r->down, row);
        }
        if (down_then_across(r)) go_across(r, dst, r->between + y * r->src_bytes, r->src_bytes, n);
    }
}

/* n pieces of `work` multiply-adds each, on as many threads as that is worth */
static void share(const MuseResizer *r, size_t n, double work, size_t grain, MuseRangeFn *fn, Rows *job)
{
    const double worth = (double)n * work / SHARE_WORK;
    MuseTeam team = r->team;
    if (worth < team.threads) team.threads = worth < 1 ? 1 : (uint32_t)worth;
    muse_parallel_for(&team, n, grain, fn, job);
}

/* n rows, at most `round`, through everything that they complete */
static void run_round(MuseResizer *r, const uint8_t *src, size_t stride, uint32_t n)
{
    Rows job = { r, src, stride, r->done, n };
    const double across = (double)r->dst_bytes * (double)r->across.taps;
    const double take = across_on(r) && !down_then_across(r) ? across : (double)r->src_bytes;
    const double make = (double)r->ring_bytes * (double)r->down.taps + (down_then_across(r) ? across : 0);
    share(r, (n + MUSE_RESIZE_ROWS - 1) / MUSE_RESIZE_ROWS, take * MUSE_RESIZE_ROWS, 1, take_rows, &job);
    r->done += n;
    if (!down_on(r)) return;
    for (;;) {
        uint32_t ready = 0;
        while (ready < r->round && r->next + ready < r->down.n_out &&
               r->down.first[r->next + ready] + r->down.count[r->next + ready] <= r->done)
            ready++;
        if (!ready) return;
        job.first = r->next;
        share(r, ready, make, MAKE_GRAIN, make_rows, &job);
        r->next += ready;
    }
}

int muse_resizer_push(MuseResizer *r, const uint8_t *rows, size_t stride, uint32_t n_rows, MuseError *err)
{
    MUSE_REQUIRE(err, r && (rows || !n_rows));
    const uint32_t left = r->spec.src_height - r->done - r->n_waiting;
    if (n_rows > left)
        return muse_fail(err, MUSE_ERR_ARG, "resize: %u rows pushed, %u of %u are left", n_rows, left, r->spec.src_height);
    if (stride == 0) stride = r->src_bytes;
    if (stride < r->src_bytes)
        return muse_fail(err, MUSE_ERR_ARG, "resize: a stride of %zu bytes for rows of %zu", stride, r->src_bytes);
    while (n_rows) {
        const bool last = r->done + r->n_waiting + n_rows == r->spec.src_height;
        uint32_t n = n_rows < r->round ? n_rows : r->round;
        if (!last || n_rows > r->round) n -= n % MUSE_RESIZE_ROWS;
        if (r->n_waiting == 0 && n) {
            run_round(r, rows, stride, n);
        } else {
            n = MUSE_RESIZE_ROWS - r->n_waiting;
            if (n > n_rows) n = n_rows;
            for (uint32_t k = 0; k < n; k++) memcpy(r->waiting + (r->n_waiting + k) * r->src_bytes, rows + k * stride, r->src_bytes);
            r->n_waiting += n;
            if (r->n_waiting == MUSE_RESIZE_ROWS || (last && n == n_rows)) {
                run_round(r, r->waiting, r->src_bytes, r->n_waiting);
                r->n_waiting = 0;
            }
        }
        rows += n * stride;
        n_rows -= n;
    }
    return 0;
}

static int check_spec(const MuseResizeSpec *s, size_t dst_stride, MuseError *err)
{
    size_t bytes = 0;
    if (!s->src_width || !s->src_height || !s->dst_width || !s->dst_height)
        return muse_fail(err, MUSE_ERR_ARG, "resize: %ux%u -> %ux%u", s->src_width, s->src_height, s->dst_width, s->dst_height);
    if (s->channels != 1 && s->channels != 3 && s->channels != 4)
        return muse_fail(err, MUSE_ERR_ARG, "resize: %d channels; 1, 3 or 4 are possible", s->channels);
    if (s->filter < MUSE_FILTER_BOX || s->filter > MUSE_FILTER_BICUBIC)
        return muse_fail(err, MUSE_ERR_ARG, "resize: %u is not a MUSE_FILTER_ value", s->filter);
    if (s->precision > MUSE_PRECISION_PILLOW)
        return muse_fail(err, MUSE_ERR_ARG, "resize: %u is not a MUSE_PRECISION_ value", s->precision);
    if (s->turn > (MUSE_TURN_TRANSPOSE | MUSE_TURN_MIRROR_X | MUSE_TURN_MIRROR_Y))
        return muse_fail(err, MUSE_ERR_ARG, "resize: %u is not a set of MUSE_TURN_ values", s->turn);
    if (!muse_mul_size(s->src_width, (size_t)s->channels, &bytes) || !muse_mul_size(s->dst_width, (size_t)s->channels, &bytes))
        return muse_fail(err, MUSE_ERR_ARG, "resize: a row passes the address space");
    if (dst_stride && dst_stride < bytes)
        return muse_fail(err, MUSE_ERR_ARG, "resize: a stride of %zu bytes for result rows of %zu", dst_stride, bytes);
    return 0;
}

/* Quads pay where kernels were written for them: the portable ones are their definition. */
static bool quads_pay(const MuseResizer *r)
{
    const MuseResizeOps *ops = &r->rt->ops.resize;
    return ops->across_quads_u8 != muse_resize_across_quads_u8_c && ops->down_quads_u8 != muse_resize_down_quads_u8_c &&
           ops->quad_u8 != muse_resize_quad_u8_c && r->spec.precision == MUSE_PRECISION_TORCH;
}

static int open_tables(MuseResizer *r, MuseError *err)
{
    const MuseResizeSpec *s = &r->spec;
    const MuseAllocator *a = &r->rt->alloc;
    const bool across = s->src_width != s->dst_width, down = s->src_height != s->dst_height, quads = down && quads_pay(r);
    const bool into_ring = across && !(s->turn & MUSE_TURN_TRANSPOSE);   /* the pass across makes the quads */
    int rc = 0;
    if (across) {
        const unsigned flags = MUSE_RESIZE_GROUPED | (quads && into_ring ? MUSE_RESIZE_HALVES : 0) |
                               ((s->turn & MUSE_TURN_MIRROR_X) ? MUSE_RESIZE_MIRROR : 0);
        rc = muse_resize_axis_open(&r->across, a, s->src_width, s->dst_width, s->filter, s->precision, flags, err);
    }
    if (rc == 0 && down) {
        const unsigned flags = (quads ? MUSE_RESIZE_GROUPED | MUSE_RESIZE_HALVES : 0) | ((s->turn & MUSE_TURN_MIRROR_Y) ? MUSE_RESIZE_MIRROR : 0);
        rc = muse_resize_axis_open(&r->down, a, s->src_height, s->dst_height, s->filter, s->precision, flags, err);
    }
    r->quads = r->down.halves && (!into_ring || r->across.halves);
    return rc;
}

static int allocate(MuseResizer *r, MuseError *err)
{
    const MuseAllocator *a = &r->rt->alloc;
    r->waiting = muse_alloc_array(a, MUSE_RESIZE_ROWS, r->src_bytes);
    if (!r->waiting) return MUSE_NOMEM(err, MUSE_RESIZE_ROWS * r->src_bytes);
    if (!down_on(r)) return 0;
    r->ring_bytes = across_on(r) && !down_then_across(r) ? r->dst_bytes : r->src_bytes;
    /* A window that is not complete yet begins less than its length before `done`, which is whole quads until the last round. */
    size_t rows = r->down.taps + r->round - 1;
    if (r->down.grouped) rows += MUSE_RESIZE_GROUP - 1;
    if (rows > r->spec.src_height) rows = r->spec.src_height;
    r->ring_lines = r->quads ? (rows + MUSE_RESIZE_GROUP - 1) / MUSE_RESIZE_GROUP : rows;
    if (!muse_mul_size(r->ring_bytes, r->quads ? MUSE_RESIZE_GROUP : 1, &r->ring_stride))
        return muse_fail(err, MUSE_ERR_NOMEM, "resize: four rows of %zu bytes pass the address space", r->ring_bytes);
    r->ring = muse_alloc_array(a, r->ring_lines, r->ring_stride);
    r->ring_at = muse_alloc_array(a, 2 * r->ring_lines, sizeof *r->ring_at);
    if (!r->ring || !r->ring_at)
        return muse_fail(err, MUSE_ERR_NOMEM, "resize: no memory for %zu times %zu bytes", r->ring_lines, r->ring_stride);
    for (size_t i = 0; i < 2 * r->ring_lines; i++) r->ring_at[i] = r->ring + i % r->ring_lines * r->ring_stride;
    if (!down_then_across(r)) return 0;
    r->between = muse_alloc_array(a, r->round, r->src_bytes);
    return r->between ? 0 : MUSE_NOMEM(err, r->round * r->src_bytes);
}

int muse_resizer_open(MuseResizer **out, MuseRuntime *rt, const MuseResizeSpec *spec, uint8_t *dst, size_t dst_stride, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, rt && spec && dst);
    int rc = check_spec(spec, dst_stride, err);
    if (rc < 0) return rc;
    MuseResizer *r = muse_zalloc(&rt->alloc, sizeof *r);
    if (!r) return MUSE_NOMEM(err, sizeof *r);
    r->rt = rt;
    r->team = rt->team;
    r->spec = *spec;
    r->src_bytes = (size_t)spec->src_width * (size_t)spec->channels;
    r->dst_bytes = (size_t)spec->dst_width * (size_t)spec->channels;
    r->dst = dst;
    r->dst_stride = dst_stride ? dst_stride : r->dst_bytes;
    r->round = rt->team.threads > 1 ? MUSE_RESIZE_ROWS * rt->team.threads : MUSE_RESIZE_ROWS;
    if (r->round > ROUND_MAX) r->round = ROUND_MAX;
    rc = open_tables(r, err);
    if (rc < 0) goto fail;
    rc = allocate(r, err);
    if (rc < 0) goto fail;
    *out = r;
    return 0;
fail:
    muse_resizer_close(&r);
    return rc;
}

void muse_resizer_alone(MuseResizer *r) { r->team.threads = 1; }

void muse_resizer_close(MuseResizer **r)
{
    if (!r || !*r) return;
    MuseResizer *it = *r;
    muse_resize_axis_close(&it->across);
    muse_resize_axis_close(&it->down);
    muse_free(it->waiting);
    muse_free(it->ring);
    muse_free(it->ring_at);
    muse_free(it->between);
    muse_free(it);
    *r = NULL;
}
