/* SPDX-License-Identifier: Apache-2.0 */
/* The source: which world makes which sample, what of it is spoken, and a maker for each thread that asks. See worlds_source.h. */
#include "tools/nano/worlds_source.h"

#include <stdio.h>
#include <string.h>

#include "tools/nano/doc.h"

enum { SPEECH_STREAM = 0x737065, HEAR_MAX = 32 };   /* random numbers of speech are not those of any world */

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

/* ---- speech ---- */

enum { NEAR = 64 };

/* Of samples with pictures: sounds have one of their own, drills none. Where there is no clip of a question, as of most that name
 * two things, what hearing leads to and what follows from it are learned apart: a clip that begins alike is written down, and there
 * the branch ends, or any clip is played and the question given as what was heard. */
static void speak(const NanoSource *s, const NanoMix *mix, const MuseWorldsSample *from, NanoSpoken *spoken)
{
    for (size_t i = 0; i < from->n_branches; i++) {
        const MuseWorldsBranch *b = &from->branches[i];
        char key[NANO_CLIP_TEXT_MAX + 1];
        size_t first = 0, n = 0;
        spoken->clip[i] = -1;
        if (!rng_chance(&spoken->rng, mix->spoken)) continue;
        if (!from->n_images || !*b->answer || b->n_parts < 2 || b->parts[1].role == MUSE_WORLDS_QUESTION) continue;
        n = nano_clips_find(&s->clips, b->parts[0].text, b->parts[0].size, &first);
        if (n == 0 && s->clips.n && b->think && nano_clip_key(b->parts[0].text, b->parts[0].size, key)) {
            const size_t near = s->clips.n < NEAR ? s->clips.n : NEAR, at = first > near / 2 ? first - near / 2 : 0;
            spoken->says[i] = rng_chance(&spoken->rng, 0.5) ? NANO_SPOKEN_HEARD : NANO_SPOKEN_GIVEN;
            first = 0, n = s->clips.n;
            if (spoken->says[i] == NANO_SPOKEN_HEARD) first = at + near <= n ? at : n - near, n = near;
        }
        if (n) spoken->clip[i] = (int32_t)(first + rng_below(&spoken->rng, (uint32_t)n));
    }
}

/* Clips to be written down, as a world would put it. */
typedef struct Hearing {
    MuseWorldsSample sample;
    MuseWorldsBranch branches[HEAR_MAX];
    MuseWorldsPart   parts[HEAR_MAX][2];
    char             texts[HEAR_MAX][NANO_CLIP_TEXT_MAX + 2];
} Hearing;

static const MuseWorldsSample *listen(const NanoSource *s, const NanoMix *mix, Hearing *h, NanoSpoken *spoken)
{
    static const char *const asks[] = { "Write down what is said.", "What is said?", "Write down the words.", "Which words do you hear?", "Transcribe this." };
    const size_t n = mix->options.branches ? mix->options.branches : 8;
    spoken->hear = 1;
    h->sample = (MuseWorldsSample){ .world = "hear", .branches = h->branches, .n_branches = n };
    for (size_t i = 0; i < n; i++) {
        const char *ask = asks[rng_below(&spoken->rng, sizeof asks / sizeof *asks)];
        spoken->clip[i] = (int32_t)rng_below(&spoken->rng, (uint32_t)s->clips.n);
        const int size = snprintf(h->texts[i], sizeof h->texts[i], " %s", s->clips.clips[spoken->clip[i]].text);
        h->parts[i][0] = (MuseWorldsPart){ .role = MUSE_WORLDS_QUESTION, .text = ask, .size = strlen(ask) };
        h->parts[i][1] = (MuseWorldsPart){ .role = MUSE_WORLDS_ANSWER, .learn = 1, .text = h->texts[i], .size = (size_t)size };
        h->branches[i] = (MuseWorldsBranch){ .task = "hear", .parts = h->parts[i], .n_parts = 2, .answer = "" };   /* dense: all of it is answer */
    }
    return &h->sample;
}

/* ---- samples ---- */

/* A sample that happens to be longer than a pass is left out, and counted by the trainer: a long run must not end there. */
static int make(void *user, uint64_t number, MuseTrainSample *out, MuseError *err)
{
    NanoSource *s = user;
    const NanoMix *mix = nano_plan_at(&s->plan, number);
    NanoSpoken spoken = { .rng = rng_stream(rng_stream(s->plan.seed, SPEECH_STREAM).key, number) };
    MuseWorldsOptions options = mix->options;
    const MuseWorldsSample *sample;
    MuseWorldsMaker *maker = NULL;
    Hearing hearing;
    int rc = 0;
    options.only = mix->only[0] ? mix->only : NULL;
    if (strcmp(mix->task, "hear") == 0) {
        sample = listen(s, mix, &hearing, &spoken);
    } else {
        rc = take_maker(s, &maker, err);
        if (rc == 0) rc = muse_worlds_make(maker, mix->task, s->plan.seed, number, &options, &sample, err);
        if (rc == 0) speak(s, mix, sample, &spoken);
    }
    if (rc == 0) rc = nano_sample_make(s, sample, &spoken, mix->budget, out, err);
    if (maker) put_maker(s, maker);
    if (rc < 0 || positions(out) <= s->plan.positions) return rc;
    nano_sample_release(s, out);
    return MUSE_AGAIN;
}

MuseTrainSource nano_source(NanoSource *s) { return (MuseTrainSource){ sizeof(MuseTrainSource), make, nano_sample_release, s }; }

static int open_clips(NanoSource *s, const char *folder, MuseError *err)
{
    const char *name = s->plan.speech;
    char in_folder[2048 + sizeof "/clips.bin"], path[4096];
    if (!name[0]) return 0;
    snprintf(in_folder, sizeof in_folder, "%s/clips.bin", name);
    if (nano_doc_path(path, sizeof path, folder, in_folder) < 0) {
        *err = (MuseError){ MUSE_ERR_FORMAT, "worlds: the path of \"speech\" is too long" };
        return MUSE_ERR_FORMAT;
    }
    const int rc = nano_clips_open(&s->clips, path, err);
    const size_t said = strlen(err->text);
    if (rc == MUSE_ERR_IO) snprintf(err->text + said, sizeof err->text - said, " (tools/nano/make_speech.py makes it)");
    return rc;
}

/* before the first sample, not when one comes that has it */
static int check_budgets(const NanoSource *s, MuseError *err)
{
    for (size_t k = 0; k < s->plan.n_stages; k++)
        for (size_t i = 0; i < s->plan.stages[k].n_mix; i++) {
            const NanoMix *mix = &s->plan.stages[k].mix[i];
            size_t b = 0;
            while (b < MUSE_BUDGETS_MAX && s->image.budgets[b] && s->image.budgets[b] != mix->budget) b++;
            if (!mix->budget || (b < MUSE_BUDGETS_MAX && s->image.budgets[b])) continue;
            *err = (MuseError){ MUSE_ERR_FORMAT, "" };
            snprintf(err->text, sizeof err->text, "worlds.mix: \"%s\" has a \"budget\" of %u patches, which is none of the model's", mix->task, mix->budget);
            return MUSE_ERR_FORMAT;
        }
    return 0;
}

int nano_source_open(NanoSource *s, const MuseTextTokenizer *tokenizer, const char *folder, MuseError *err)
{
    MuseRuntimeParams runtime;
    muse_runtime_params_init(&runtime);
    runtime.threads = 1;
    s->tokenizer = tokenizer;
    s->family = muse_family_find("muse");
    s->image = s->family->image;
    if (s->plan.budget) s->image.budget = s->plan.budget;
    if (s->plan.unit) s->image.unit = s->plan.unit;
    if (s->plan.budgets[0]) memcpy(s->image.budgets, s->plan.budgets, sizeof s->image.budgets);
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        *err = (MuseError){ MUSE_ERR_NOMEM, "no memory for a lock" };
        return MUSE_ERR_NOMEM;
    }
    s->has_lock = 1;
    int rc = check_budgets(s, err);
    if (rc == 0) rc = muse_runtime_open(&s->rt, &runtime, err);
    MuseWorldsParams params;
    muse_worlds_params_init(&params);
    params.fonts = s->plan.fonts;
    if (rc == 0) rc = muse_worlds_open(&s->worlds, &params, err);
    return rc < 0 ? rc : open_clips(s, folder, err);
}

void nano_source_close(NanoSource *s)
{
    while (s->n_idle) muse_worlds_maker_close(&s->idle[--s->n_idle]);
    muse_worlds_close(&s->worlds);
    nano_clips_close(&s->clips);
    muse_runtime_close(&s->rt);
    if (s->has_lock) pthread_mutex_destroy(&s->lock);
    s->has_lock = 0;
}
