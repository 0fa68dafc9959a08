/* SPDX-License-Identifier: Apache-2.0 */
/* The mixture: a round has as many samples of a source as its weight says, in turn; so sample n is arithmetic and needs no
 * history. Random tokens for measuring speed are a source too. */
#include "libmuse/train/data.h"

#include <stdio.h>
#include <string.h>

struct MuseData {
    MuseRuntime *rt;
    const MuseTrainConfig *c;
    const MuseConfig *model;
    MuseJsonl *files[MUSE_DATA_MAX];
    uint32_t round;
};

typedef struct RandomSample {
    MuseTrainPart part;
    MuseTrainBranch branch;
} RandomSample;

/* A Feistel network over the smallest even number of bits that holds n, walked until it falls below n (Black and Rogaway 2002). */
uint64_t muse_shuffle(uint64_t number, uint64_t n, uint64_t seed)
{
    unsigned half = 1;
    while (half < 31 && (UINT64_C(1) << 2 * half) < n) half++;
    const uint64_t mask = (UINT64_C(1) << half) - 1;
    uint64_t v = number;
    do {
        uint64_t left = v >> half, right = v & mask;
        for (uint64_t round = 0; round < 4; round++) {
            MuseRandom r = { seed ^ (right * 4 + round) * UINT64_C(0xd1342543de82ef95) };
            const uint64_t mixed = left ^ (muse_random_next(&r) & mask);
            left = right;
            right = mixed;
        }
        v = left << half | right;
    } while (v >= n);
    return v;
}

static int make_random(const MuseData *d, const MuseDataConfig *c, uint64_t number, MuseTrainSample *out, MuseError *err)
{
    RandomSample *s = muse_zalloc(&d->rt->alloc, sizeof *s + (size_t)c->length * (sizeof(int32_t) + sizeof(float)));
    if (!s) return MUSE_NOMEM(err, sizeof *s);
    int32_t *ids = (int32_t *)(s + 1);
    float *weights = (float *)(ids + c->length);
    MuseRandom r = { number * UINT64_C(0xd1342543de82ef95) + d->c->seed };   /* not the generator's own stride: streams would overlap */
    for (uint32_t i = 0; i < c->length; i++) {
        ids[i] = (int32_t)(muse_random_next(&r) % d->model->vocab);
        weights[i] = i > 0;
    }
    s->part = (MuseTrainPart){ .modality = MUSE_TEXT, .n = c->length, .ids = ids, .weights = weights };
    s->branch = (MuseTrainBranch){ &s->part, 1, UINT32_MAX, 0 };
    out->branches = &s->branch;
    out->n_branches = 1;
    out->handle = s;
    return 0;
}

static const MuseDataConfig *pick(const MuseData *d, uint64_t number, uint32_t *source, uint64_t *inner)
{
    uint32_t at = (uint32_t)(number % d->round), i = 0;
    while (at >= d->c->data[i].weight) at -= d->c->data[i++].weight;
    *source = i;
    *inner = number / d->round * d->c->data[i].weight + at;
    return &d->c->data[i];
}

static int make(void *user, uint64_t number, MuseTrainSample *out, MuseError *err)
{
    MuseData *d = user;
    uint32_t source;
    uint64_t inner;
    const MuseDataConfig *c = pick(d, number, &source, &inner);
    return c->kind == MUSE_DATA_RANDOM ? make_random(d, c, inner, out, err) : muse_jsonl_make(d->files[source], inner, out, err);
}

int muse_data_where(const MuseData *d, uint64_t number, char *name, size_t cap, bool *skips, MuseError *err)
{
    uint32_t source;
    uint64_t inner;
    const MuseDataConfig *c = pick(d, number, &source, &inner);
    *skips = c->skip_broken;
    if (c->kind != MUSE_DATA_RANDOM) return muse_jsonl_name(d->files[source], inner, name, cap, err);
    snprintf(name, cap, "random sample %llu", (unsigned long long)inner);
    return 0;
}

/* random samples and JSONL ones are told apart by who made them: the latter's branches lie elsewhere */
static void release(void *user, MuseTrainSample *s)
{
    (void)user;
    const RandomSample *r = s->handle;
    if (r && s->branches == &r->branch) muse_free(s->handle);
    else muse_draft_release(s);
}

MuseTrainSource muse_data_source(MuseData *d) { return (MuseTrainSource){ sizeof(MuseTrainSource), make, release, d }; }

int muse_data_open(MuseData **out, MuseRuntime *rt, const MuseTrainConfig *c, const MuseConfig *model, const MuseTextTokenizer *tokenizer, MuseError *err)
{
    int rc = 0;
    MuseData *d = *out = muse_zalloc(&rt->alloc, sizeof *d);
    if (!d) return MUSE_NOMEM(err, sizeof *d);
    *d = (MuseData){ .rt = rt, .c = c, .model = model };
    for (uint32_t i = 0; i < c->n_data && rc == 0; i++) {
        const MuseDataConfig *data = &c->data[i];
        d->round += data->weight;
        if (data->kind == MUSE_DATA_CALLER) rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "\"data\": \"worlds\" are made by the muse program, or by a source of the caller's");
        if (data->kind != MUSE_DATA_JSONL) continue;
        const MuseJsonlRules rules = { rt, model, tokenizer, (const char *const *)c->tasks, c->n_tasks, c->seed + i, data->shuffle, data->skip_broken };
        rc = tokenizer ? muse_jsonl_open(&d->files[i], data->path, &rules, err) : muse_fail(err, MUSE_ERR_FORMAT, "\"data\": text needs a \"tokenizer\"");
    }
    if (rc == 0 && c->n_data == 0) rc = muse_fail(err, MUSE_ERR_FORMAT, "training document: \"data\" is missing");
    if (rc < 0) muse_data_close(out);
    return rc;
}

void muse_data_close(MuseData **out)
{
    MuseData *d = *out;
    for (uint32_t i = 0; d && i < MUSE_DATA_MAX; i++) muse_jsonl_close(&d->files[i]);
    muse_free(d);
    *out = NULL;
}
