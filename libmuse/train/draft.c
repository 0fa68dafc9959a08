/* SPDX-License-Identifier: Apache-2.0 */
/* A training sample that is put together part by part, and owns what it points to. What the parts are: jsonl.c, rollout.c. */
#include <string.h>

#include "libmuse/train/data.h"

typedef struct PartDraft {
    MuseTrainPart part;
    size_t at;                 /* first value in ids (and weights) or features */
    bool   weighted;
} PartDraft;

typedef struct SampleBlock {   /* what a sample's handle points to */
    MuseTrainPart *parts;
    uint8_t *branches, *ids, *weights, *features;
} SampleBlock;

static size_t count(const MuseBuf *b, size_t item) { return b->len / item; }

static int add(MuseBuf *b, const void *bytes, size_t n, MuseError *err) { return muse_buf_append(b, bytes, n) < 0 ? MUSE_NOMEM(err, b->len + n) : 0; }

void muse_draft_begin(MuseSampleDraft *d, const MuseAllocator *a)
{
    memset(d, 0, sizeof *d);
    d->parts.alloc = d->ids.alloc = d->weights.alloc = d->features.alloc = d->branches.alloc = a;
}

void muse_draft_clear(MuseSampleDraft *d)
{
    MuseBuf *const all[] = { &d->parts, &d->ids, &d->weights, &d->features, &d->branches };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) muse_buf_clear(all[i]);
}

/* n_parts: until finish, the number of its first part */
int muse_draft_branch(MuseSampleDraft *d, uint32_t task, uint32_t group, MuseError *err)
{
    const MuseTrainBranch b = { .n_parts = count(&d->parts, sizeof(PartDraft)), .task = task, .group = group };
    return add(&d->branches, &b, sizeof b, err);
}

int muse_draft_ids(MuseSampleDraft *d, const int32_t *ids, const float *weights, size_t n, MuseError *err)
{
    static const float none = 0;
    PartDraft p = { .part = { .modality = MUSE_TEXT, .n = n }, .at = count(&d->ids, sizeof *ids) };
    int rc = n ? add(&d->ids, ids, n * sizeof *ids, err) : 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        p.weighted = p.weighted || (weights && weights[i] != 0);
        rc = add(&d->weights, weights ? &weights[i] : &none, sizeof none, err);
    }
    return rc < 0 || n == 0 ? rc : add(&d->parts, &p, sizeof p, err);
}

int muse_draft_features(MuseSampleDraft *d, int32_t modality, uint32_t grid_width, uint32_t grid_height, size_t n, size_t width, float **to, MuseError *err)
{
    const PartDraft p = { .part = { .modality = modality, .grid_width = grid_width, .grid_height = grid_height, .n = n }, .at = count(&d->features, sizeof(float)) };
    size_t bytes;
    if (!muse_mul_size(n, width, &bytes) || !muse_mul_size(bytes, sizeof(float), &bytes) || muse_buf_reserve(&d->features, bytes) < 0) return MUSE_NOMEM(err, n * sizeof(float));
    *to = (float *)(void *)(d->features.data + d->features.len);
    d->features.len += bytes;
    return add(&d->parts, &p, sizeof p, err);
}

static void take(uint8_t **to, MuseBuf *from)
{
    *to = from->data;
    *from = (MuseBuf){ .alloc = from->alloc };
}

int muse_draft_finish(MuseSampleDraft *d, MuseTrainSample *out, MuseError *err)
{
    const MuseAllocator *a = d->parts.alloc;
    const size_t n = count(&d->parts, sizeof(PartDraft)), n_branches = count(&d->branches, sizeof(MuseTrainBranch));
    SampleBlock *s = muse_zalloc(a, sizeof *s);
    if (s && n) s->parts = muse_zalloc_array(a, n, sizeof *s->parts);
    if (!s || (n && !s->parts)) {
        muse_free(s);
        return MUSE_NOMEM(err, n * sizeof *s->parts);
    }
    for (size_t i = 0; i < n; i++) {
        const PartDraft *p = &((const PartDraft *)(const void *)d->parts.data)[i];
        s->parts[i] = p->part;
        if (p->part.modality == MUSE_TEXT) {
            s->parts[i].ids = (const int32_t *)(const void *)d->ids.data + p->at;
            if (p->weighted) s->parts[i].weights = (const float *)(const void *)d->weights.data + p->at;
        } else s->parts[i].features = (const float *)(const void *)d->features.data + p->at;
    }
    take(&s->branches, &d->branches);
    take(&s->ids, &d->ids);
    take(&s->weights, &d->weights);
    take(&s->features, &d->features);
    MuseTrainBranch *branches = (MuseTrainBranch *)(void *)s->branches;
    *out = (MuseTrainSample){ .prefix = s->parts, .n_prefix = n_branches ? branches[0].n_parts : n, .branches = branches, .n_branches = n_branches, .handle = s };
    for (size_t i = 0; i < n_branches; i++) {
        const size_t first = branches[i].n_parts, end = i + 1 < n_branches ? branches[i + 1].n_parts : n;
        branches[i].parts = s->parts + first;
        branches[i].n_parts = end - first;
    }
    return 0;
}

void muse_draft_release(MuseTrainSample *s)
{
    SampleBlock *b = s->handle;
    if (!b) return;
    void *const blocks[] = { b->parts, b->branches, b->ids, b->weights, b->features };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) muse_free(blocks[i]);
    muse_free(b);
    memset(s, 0, sizeof *s);
}
