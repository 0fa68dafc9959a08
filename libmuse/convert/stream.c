/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors through memory a few megabytes at a time: read, put in order, convert in parallel, write. Called by to_gguf.c and
 * to_folder.c. */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "libmuse/convert/convert.h"

enum { BATCH_VALUES = 1 << 22, GRAIN_VALUES = 1 << 16 };   /* 16 MiB of f32; rows below the grain stay on one thread */

typedef struct Batch {
    const MusePlanItem *item;
    MuseWeightType from, to;
    size_t     k;                   /* values of a row */
    size_t     from_bytes, to_bytes;  /* of a row */
    uint64_t   first;               /* row number of the batch's first */
    uint64_t   n_rows;              /* of the tensor */
    MuseDequant *decode;
    float     *values, *ordered;    /* [rows of a batch, k]; ordered only with columns */
    uint8_t   *out;                 /* [rows of a batch, to_bytes] */
    atomic_uint_fast64_t bad;       /* lowest row that can't be converted */
} Batch;

static uint64_t source_row(const MusePlanItem *item, uint64_t r)
{
    const uint64_t n = item->n, in = n ? r % n : 0, head = r - in;
    switch (item->rows) {
    case MUSE_ROWS_PERMUTE: return head + in % 2 * (n / 2) + in / 2;
    case MUSE_ROWS_RESTORE: return head + in % (n / 2) * 2 + in / (n / 2);
    case MUSE_ROWS_SPLIT: return in * 2 + r / n;
    case MUSE_ROWS_JOIN: return r % 2 * n + r / 2;
    default: return r;
    }
}

static void convert_rows(void *user, size_t begin, size_t end)
{
    Batch *b = user;
    for (size_t i = begin; i < end; i++) {
        const uint8_t *from = b->item->from->data + source_row(b->item, b->first + i) * b->from_bytes;
        uint8_t *to = b->out + i * b->to_bytes;
        float *x = b->values + begin * b->k;   /* one row of room, which stays in cache */
        if (b->from == b->to && !b->item->columns) {
            memcpy(to, from, b->to_bytes);
            continue;
        }
        b->decode(x, from, b->k);
        if (b->item->columns) {
            float *y = b->ordered + begin * b->k;
            for (size_t c = 0; c < b->k; c++) y[c] = x[b->item->columns[c]];
            x = y;
        }
        if (muse_quantize(b->to, to, x, b->k)) continue;
        uint_fast64_t low = atomic_load(&b->bad);
        while (b->first + i < low && !atomic_compare_exchange_weak(&b->bad, &low, b->first + i)) { }
    }
}

static int step(MuseJob *job, uint64_t bytes, const char *name)
{
    const MuseConvertParams *p = &job->params;
    job->done += bytes;
    if (p->progress) p->progress(p->progress_user, job->done, job->total, name);
    if (p->cancel && p->cancel(p->cancel_user)) return muse_fail(job->err, MUSE_ERR_CANCELLED, "%s: stopped at tensor \"%.200s\"", job->out, name);
    return 0;
}

/* as it lies */
static int copy_tensor(MuseJob *job, const MuseTensor *from, MuseWeightWriter *w, const char *name)
{
    int rc = 0;
    for (uint64_t at = 0; at < from->bytes && rc == 0;) {
        const size_t n = from->bytes - at < 4 * BATCH_VALUES ? (size_t)(from->bytes - at) : 4 * BATCH_VALUES;
        rc = muse_writer_data(w, from->data + at, n, job->err);
        if (rc == 0) rc = step(job, n, name);
        at += n;
    }
    return rc;
}

static int run_batches(MuseJob *job, Batch *b, size_t batch_rows, MuseWeightWriter *w, const char *name)
{
    int rc = 0;
    const size_t grain = b->k < GRAIN_VALUES ? GRAIN_VALUES / b->k : 1;
    for (b->first = 0; b->first < b->n_rows && rc == 0; b->first += batch_rows) {
        const size_t n = b->n_rows - b->first < batch_rows ? (size_t)(b->n_rows - b->first) : batch_rows;
        muse_parallel_for(&job->rt->team, n, grain, convert_rows, b);
        const uint64_t bad = atomic_load(&b->bad);
        if (bad != UINT64_MAX)
            return muse_fail(job->err, MUSE_ERR_UNSUPPORTED, "tensor \"%.200s\", row %" PRIu64 ": a value that %s can't hold (infinite, not a number, or beyond 65504)", name, bad,
                             muse_weight_type_info(b->to)->name);
        rc = muse_writer_data(w, b->out, n * b->to_bytes, job->err);
        if (rc == 0) rc = step(job, n * b->from_bytes, name);
    }
    return rc;
}

static int convert_tensor(MuseJob *job, const MusePlanItem *item, const MuseTensor *out, MuseWeightWriter *w)
{
    const MuseTensor *t = item->from;
    Batch b = { .item = item, .from = muse_weight_type_of_gguf(t->type), .to = muse_weight_type_of_gguf(out->type) };
    uint64_t values;
    if (b.from == MUSE_WEIGHT_TYPES || b.to == MUSE_WEIGHT_TYPES || !muse_tensor_values(t, &values)) return muse_fail(job->err, MUSE_ERR_UNSUPPORTED, "tensor \"%.200s\" can't be converted", out->name);
    if (values == 0) return 0;
    b.k = t->rank ? (size_t)t->shape[t->rank - 1] : 1;
    b.n_rows = values / b.k;
    b.decode = muse_quant_dequant(&job->rt->ops.quant, b.from);
    atomic_init(&b.bad, UINT64_MAX);
    size_t rows = b.k < BATCH_VALUES ? BATCH_VALUES / b.k : 1, n, bytes;
    if (rows > b.n_rows) rows = (size_t)b.n_rows;
    if (!muse_weight_row_bytes(b.from, b.k, &b.from_bytes) || !muse_weight_row_bytes(b.to, b.k, &b.to_bytes) || !muse_mul_size(rows, b.k, &n) || !muse_mul_size(rows, b.to_bytes, &bytes))
        return muse_fail(job->err, MUSE_ERR_LIMIT, "tensor \"%.200s\": rows of %zu values", out->name, b.k);
    b.values = muse_alloc_array(&job->rt->alloc, n, sizeof(float));
    b.ordered = item->columns ? muse_alloc_array(&job->rt->alloc, n, sizeof(float)) : NULL;
    b.out = muse_alloc(&job->rt->alloc, bytes);
    int rc = b.values && b.out && (b.ordered || !item->columns) ? run_batches(job, &b, rows, w, out->name) : MUSE_NOMEM(job->err, bytes + 4 * n);
    muse_free(b.values);
    muse_free(b.ordered);
    muse_free(b.out);
    return rc;
}

int muse_plan_stream(MuseJob *job, const MusePlan *p, MuseWeightWriter *w)
{
    int rc = 0;
    for (size_t i = 0; i < p->out.n && rc == 0; i++) {
        const MusePlanItem *item = &p->items[i];
        const MuseTensor *out = &p->out.items[i];
        const bool same = out->type == item->from->type && item->rows == MUSE_ROWS_SAME && !item->columns;
        rc = same ? copy_tensor(job, item->from, w, out->name) : convert_tensor(job, item, out, w);
    }
    job->info.n_tensors += p->out.n;
    return rc;
}
