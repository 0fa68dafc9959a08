/* SPDX-License-Identifier: Apache-2.0 */
/* The source: which world makes which sample, and a maker for each thread that asks. See worlds_source.h. */
#include "tools/nano/worlds_source.h"

#include <string.h>

const NanoMix *nano_plan_at(const NanoPlan *plan, uint64_t number)
{
    const NanoStage *s = plan->stages;
    for (size_t i = 0; i + 1 < plan->n_stages && number >= s->samples; i++, s++) number -= s->samples;
    uint32_t at = (uint32_t)(number % s->round), i = 0;
    while (at >= s->mix[i].weight) at -= s->mix[i++].weight;
    return &s->mix[i];
}

/* taken off the pile, or a new one: there are never more than threads */
static int take_maker(NanoSource *s, MuseWorldsMaker **out, MuseError *err)
{
    *out = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->n_idle) *out = s->idle[--s->n_idle];
    pthread_mutex_unlock(&s->lock);
    return *out ? 0 : muse_worlds_maker_open(out, s->worlds, err);
}

static void put_maker(NanoSource *s, MuseWorldsMaker *maker)
{
    pthread_mutex_lock(&s->lock);
    if (s->n_idle < NANO_THREADS_MAX) {
        s->idle[s->n_idle++] = maker;
        maker = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    muse_worlds_maker_close(&maker);
}

static uint64_t positions(const MuseTrainSample *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_prefix; i++) n += s->prefix[i].n;
    for (size_t b = 0; b < s->n_branches; b++)
        for (size_t i = 0; i < s->branches[b].n_parts; i++) n += s->branches[b].parts[i].n;
    return n;
}

/* A sample that happens to be longer than a pass is left out, and counted by the trainer: a long run must not end there. */
static int make(void *user, uint64_t number, MuseTrainSample *out, MuseError *err)
{
    NanoSource *s = user;
    const NanoMix *mix = nano_plan_at(&s->plan, number);
    MuseWorldsOptions options = mix->options;
    const MuseWorldsSample *sample;
    MuseWorldsMaker *maker;
    options.only = mix->only[0] ? mix->only : NULL;
    int rc = take_maker(s, &maker, err);
    if (rc < 0) return rc;
    rc = muse_worlds_make(maker, mix->task, s->plan.seed, number, &options, &sample, err);
    if (rc == 0) rc = nano_sample_make(s, sample, out, err);
    put_maker(s, maker);
    if (rc < 0 || positions(out) <= s->plan.positions) return rc;
    nano_sample_release(s, out);
    return MUSE_AGAIN;
}

MuseTrainSource nano_source(NanoSource *s) { return (MuseTrainSource){ sizeof(MuseTrainSource), make, nano_sample_release, s }; }

int nano_source_open(NanoSource *s, const MuseTextTokenizer *tokenizer, MuseError *err)
{
    MuseRuntimeParams runtime;
    muse_runtime_params_init(&runtime);
    runtime.threads = 1;
    s->tokenizer = tokenizer;
    s->family = muse_family_find("muse");
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        *err = (MuseError){ MUSE_ERR_NOMEM, "no memory for a lock" };
        return MUSE_ERR_NOMEM;
    }
    s->has_lock = 1;
    int rc = muse_runtime_open(&s->rt, &runtime, err);
    MuseWorldsParams params;
    muse_worlds_params_init(&params);
    params.fonts = s->plan.fonts;
    return rc < 0 ? rc : muse_worlds_open(&s->worlds, &params, err);
}

void nano_source_close(NanoSource *s)
{
    while (s->n_idle) muse_worlds_maker_close(&s->idle[--s->n_idle]);
    muse_worlds_close(&s->worlds);
    muse_runtime_close(&s->rt);
    if (s->has_lock) pthread_mutex_destroy(&s->lock);
    s->has_lock = 0;
}
