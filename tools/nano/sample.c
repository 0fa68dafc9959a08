/* SPDX-License-Identifier: Apache-2.0 */
/* From a world's sample to a training sample. Text gathers in a run with a weight for each byte and becomes tokens when a
 * picture follows, so it is cut where the runtime cuts it: at added tokens and media, nowhere else. Does no drawing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/nano/worlds_source.h"

enum { RUN_MAX = 8192, REFS_MAX = 256, OFFSET_STEPS = 8, OFFSET_MIDDLE = 20 };
static const float ANSWER_WEIGHT = 2, NONE_WEIGHT = 0.25f;   /* answers are few among what chains write; ground is most of the patches */

typedef struct Vec {
    char  *data;
    size_t n, cap, item;
} Vec;

/* What a sample's handle points to. Pointers into the vectors are offsets until finish(). */
typedef struct Block {
    Vec parts, branches, ids, weights, labels, gazes, targets, media, sounds;   /* media: MusePatches *; sounds: float *, of clips */
    MuseFrames *frames;   /* of the world's own sound */
} Block;

typedef struct Shown { uint32_t part; MuseImagePlan plan; } Shown;

typedef struct Draft {
    const NanoSource *source;
    const MuseWorldsSample *from;
    const NanoSpoken *spoken;      /* NULL: all is typed */
    uint32_t budget;               /* of the pictures; 0: the plan's */
    Rng     rng;                   /* of the clips' sound */
    Block  *b;
    MuseError *err;
    MuseImage *images[8];
    Shown    shown[8];             /* the pictures in the prefix */
    uint32_t branch, first_part;   /* UINT32_MAX: the prefix */
    uint32_t n_shown;              /* pictures and views so far in this conversation */
    char     run[RUN_MAX];
    float    run_weights[RUN_MAX];
    size_t   n_run;
    struct { uint32_t end, object; } refs[REFS_MAX];
    size_t   n_refs;
} Draft;

static int no_memory(MuseError *err)
{
    *err = (MuseError){ MUSE_ERR_NOMEM, "no memory for a sample" };
    return MUSE_ERR_NOMEM;
}

static int push(Draft *d, Vec *v, const void *items, size_t n)
{
    if (v->n + n > v->cap) {
        const size_t cap = 2 * (v->n + n) + 16;
        char *more = realloc(v->data, cap * v->item);
        if (!more) return no_memory(d->err);
        v->data = more;
        v->cap = cap;
    }
    memcpy(v->data + v->n * v->item, items, n * v->item);
    v->n += n;
    return 0;
}

static uint32_t part_number(const Draft *d) { return (uint32_t)d->b->parts.n - d->first_part; }

/* ---- text ---- */

static int say(Draft *d, const char *text, size_t n, float weight)
{
    if (n > RUN_MAX - d->n_run) {
        *d->err = (MuseError){ MUSE_ERR_LIMIT, "a run of text over 8192 bytes" };
        return MUSE_ERR_LIMIT;
    }
    memcpy(d->run + d->n_run, text, n);
    for (size_t i = 0; i < n; i++) d->run_weights[d->n_run + i] = weight;
    d->n_run += n;
    return 0;
}

/* patches of the prefix whose middle lies in the object, or the one that holds its middle */
static int gaze_at(Draft *d, uint32_t part, uint32_t index, const MuseWorldsObject *o)
{
    Block *b = d->b;
    const Shown *s = &d->shown[o->image];
    const size_t first = b->targets.n;
    int rc = 0;
    for (uint32_t i = 0; i < s->plan.n_patches && rc == 0; i++) {
        const MuseRect r = muse_image_plan_rect(&s->plan, i % s->plan.grid_width, i / s->plan.grid_width);
        const double x = (r.x0 + r.x1) / 2, y = (r.y0 + r.y1) / 2, cx = (o->box.x0 + o->box.x1) / 2, cy = (o->box.y0 + o->box.y1) / 2;
        const int covers = x >= o->box.x0 && x < o->box.x1 && y >= o->box.y0 && y < o->box.y1, holds = cx >= r.x0 && cx < r.x1 && cy >= r.y0 && cy < r.y1;
        if (covers || holds) rc = push(d, &b->targets, &i, 1);
    }
    if (rc < 0 || b->targets.n == first) return rc;
    const MuseTrainGaze g = { .branch = d->branch, .part = part, .index = index, .target_part = s->part, .targets = (const uint32_t *)(uintptr_t)first,
                              .n_targets = b->targets.n - first, .weight = 1 };
    return push(d, &b->gazes, &g, 1);
}

/* The run as a part of ids. A token has the weight of its last byte; an object's name gazes where its last token ends. */
static int flush(Draft *d)
{
    int32_t *ids = NULL;
    size_t n = 0, at = 0, ref = 0;
    int rc = d->n_run ? muse_text_encode(d->source->tokenizer, d->run, d->n_run, MUSE_TEXT_ADDED, &ids, &n, d->err) : 0;
    const uint32_t part = part_number(d);
    const MuseTrainPart p = { .modality = MUSE_TEXT, .n = n, .ids = (const int32_t *)(uintptr_t)d->b->ids.n, .weights = (const float *)(uintptr_t)d->b->ids.n };
    for (size_t i = 0; i < n && rc == 0; i++) {
        const char *bytes;
        size_t n_bytes = 0;
        rc = muse_text_token_bytes(d->source->tokenizer, ids[i], &bytes, &n_bytes);
        at += n_bytes;
        if (rc == 0 && (at > d->n_run || n_bytes == 0)) rc = MUSE_ERR_FORMAT;
        if (rc < 0) *d->err = (MuseError){ rc, "the tokenizer changes the text of worlds" };
        if (rc == 0) rc = push(d, &d->b->weights, &d->run_weights[at - 1], 1);
        for (; rc == 0 && ref < d->n_refs && d->refs[ref].end <= at; ref++) rc = gaze_at(d, part, (uint32_t)i, &d->from->objects[d->refs[ref].object]);
    }
    if (rc == 0 && n) rc = push(d, &d->b->ids, ids, n);
    if (rc == 0 && n) rc = push(d, &d->b->parts, &p, 1);
    muse_free(ids);
    d->n_run = d->n_refs = 0;
    return rc;
}

/* ---- pictures and sounds ---- */

static uint32_t offset_class(float v)
{
    const float c = roundf(v * OFFSET_STEPS) + OFFSET_MIDDLE;
    return (uint32_t)fminf(fmaxf(c, 0), 2 * OFFSET_MIDDLE);
}

/* Signs on the ground say nothing of colour or place; a sign too small to be read is no label. */
static int label_patch(Draft *d, const MuseWorldsLabel *l, int readable, uint32_t part, uint32_t index)
{
    const NanoPlan *plan = &d->source->plan;
    const uint32_t values[NANO_LABELS] = { l->kind, l->mark, l->color, l->size, offset_class(l->dx), offset_class(l->dy), 0 };
    int rc = 0;
    for (size_t h = 0; h < plan->n_heads && rc == 0; h++) {
        const int what = plan->heads[h];
        const float weight = what == NANO_LABEL_KIND ? (l->kind ? 1 : NONE_WEIGHT) : what == NANO_LABEL_MARK ? (l->mark && readable)
                           : what == NANO_LABEL_PHONE ? 0 : l->kind != 0;
        const MuseTrainLabel label = { d->branch, part, index, (uint32_t)h, values[what], weight };
        if (weight > 0) rc = push(d, &d->b->labels, &label, 1);
    }
    return rc;
}

static int label_all(Draft *d, size_t image, MuseRect rect, const MuseImagePlan *plan, int readable, uint32_t part)
{
    if (d->source->plan.n_heads == 0) return 0;
    MuseWorldsLabel *labels = malloc(plan->n_patches * sizeof *labels);
    if (!labels) return no_memory(d->err);
    muse_worlds_labels(d->from, image, rect, plan->grid_width, plan->grid_height, labels);
    int rc = 0;
    for (uint32_t i = 0; i < plan->n_patches && rc == 0; i++) rc = label_patch(d, &labels[i], readable, part, i);
    free(labels);
    return rc;
}

/* The picture, or a rectangle of it at full detail, with the family's markers. */
static int show(Draft *d, size_t image, const MuseRect *rect)
{
    const MuseFamily *f = d->source->family;
    char marker[32];
    snprintf(marker, sizeof marker, f->image_begin.text, ++d->n_shown);
    int rc = say(d, marker, strlen(marker), 0);
    if (rc == 0) rc = flush(d);
    MuseImage *cut = NULL;
    MusePatches *patches = NULL;
    if (rc == 0 && rect) rc = muse_image_region(&cut, d->images[image], *rect, d->err);
    if (rc == 0) rc = muse_image_patches(&patches, rect ? cut : d->images[image], &d->source->image, rect ? MUSE_BUDGET_AUTO : d->budget ? d->budget : d->source->plan.budget, NULL, NULL, d->err);
    MuseImageInfo info;
    if (rc == 0) rc = muse_image_info(rect ? cut : d->images[image], &info);
    if (rc == 0) {
        const MuseImagePlan *plan = muse_patches_plan(patches);
        const MuseTrainPart p = { .modality = MUSE_IMAGE, .grid_width = plan->grid_width, .grid_height = plan->grid_height, .n = plan->n_patches, .rgb = muse_patches_rgb(patches),
                                  .values = 3 * (size_t)d->source->image.unit * d->source->image.unit * plan->n_patches };
        const uint32_t part = part_number(d);
        if (!rect) d->shown[image] = (Shown){ part, *plan };
        rc = push(d, &d->b->media, &patches, 1);
        if (rc == 0) {
            rc = push(d, &d->b->parts, &p, 1);
            patches = NULL;
        }
        if (rc == 0) rc = label_all(d, image, info.source, plan, rect || plan->scale_x >= 1 || strcmp(d->from->world, "print") != 0, part);
    }
    muse_patches_close(&patches);
    muse_image_close(&cut);
    return rc == 0 ? say(d, f->image_end.text, strlen(f->image_end.text), 0) : rc;
}

static int play(Draft *d)
{
    const MuseFamily *f = d->source->family;
    MuseAudio *audio = NULL;
    int rc = say(d, f->audio_begin.text, strlen(f->audio_begin.text), 0);
    if (rc == 0) rc = flush(d);
    if (rc == 0) rc = muse_audio_open_pcm(&audio, d->source->rt, d->from->pcm, d->from->n_pcm, MUSE_PCM_S16, d->from->rate, 1, NULL, d->err);
    if (rc == 0) rc = muse_audio_frames(&d->b->frames, audio, &f->audio, NULL, NULL, d->err);
    muse_audio_close(&audio);
    if (rc < 0) return rc;
    const MuseTrainPart p = { .modality = MUSE_AUDIO, .n = (size_t)muse_frames_plan(d->b->frames)->n_frames, .features = muse_frames_data(d->b->frames) };
    rc = push(d, &d->b->parts, &p, 1);
    return rc == 0 ? say(d, f->audio_end.text, strlen(f->audio_end.text), 0) : rc;
}

/* A frame is called what is said in it. Silence is most of the frames of short clips. */
static int label_frames(Draft *d, const uint8_t *phones, size_t n, uint32_t part)
{
    const NanoPlan *plan = &d->source->plan;
    int rc = 0;
    for (size_t h = 0; h < plan->n_heads; h++)
        for (size_t i = 0; plan->heads[h] == NANO_LABEL_PHONE && i < n && rc == 0; i++) {
            const MuseTrainLabel label = { d->branch, part, (uint32_t)i, (uint32_t)h, phones[i], phones[i] ? 1 : NONE_WEIGHT };
            rc = push(d, &d->b->labels, &label, 1);
        }
    return rc;
}

static int play_clip(Draft *d, const NanoClip *clip)
{
    const MuseFamily *f = d->source->family;
    const uint8_t *phones;
    float *frames = NULL;
    size_t n = 0;
    int rc = say(d, f->audio_begin.text, strlen(f->audio_begin.text), 0);
    if (rc == 0) rc = flush(d);
    if (rc == 0 && nano_clip_render(&d->source->clips, clip, &d->rng, &frames, &phones, &n) < 0) rc = no_memory(d->err);
    if (rc == 0 && (rc = push(d, &d->b->sounds, &frames, 1)) < 0) free(frames);
    if (rc < 0) return rc;
    const MuseTrainPart p = { .modality = MUSE_AUDIO, .n = n, .features = frames };
    const uint32_t part = part_number(d);
    rc = push(d, &d->b->parts, &p, 1);
    if (rc == 0) rc = label_frames(d, phones, n, part);
    return rc == 0 ? say(d, f->audio_end.text, strlen(f->audio_end.text), 0) : rc;
}

/* ---- branches ---- */

/* Kinds that never think: the model closes the thought that the prompt opened. Where both occur, the prompt decides. */
static int never_thinks(const char *kind)
{
    static const char *const kinds[] = { "find", "caption", "at", "locate", "box", "drill-facts", "hear" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i]) == 0) return 1;
    return 0;
}

/* skip: bytes of the part that are not said */
static int note_refs(Draft *d, const MuseWorldsBranch *b, size_t part, size_t skip)
{
    for (size_t i = 0; d->source->plan.gaze && i < b->n_refs; i++) {
        const MuseWorldsRef *r = &b->refs[i];
        if (r->part != part || r->object >= d->from->n_objects || d->from->objects[r->object].hidden) continue;
        if (d->n_refs == REFS_MAX) {
            *d->err = (MuseError){ MUSE_ERR_LIMIT, "over 256 names in a run of text" };
            return MUSE_ERR_LIMIT;
        }
        d->refs[d->n_refs].end = (uint32_t)(d->n_run + r->end - skip);
        d->refs[d->n_refs++].object = r->object;
    }
    return 0;
}

/* The question typed, spoken, or (hear) beside the sound it asks about, in either order. */
static int ask(Draft *d, const MuseWorldsBranch *from, const NanoClip *clip, size_t *n)
{
    const int hear = clip && d->spoken->hear, before = hear && rng_chance(&d->rng, 0.5);
    int rc = 0;
    if (clip && (!hear || before)) rc = play_clip(d, clip);
    for (*n = 0; rc == 0 && *n < from->n_parts && from->parts[*n].role == MUSE_WORLDS_QUESTION; ++*n) {
        const MuseWorldsPart *p = &from->parts[*n];
        if (clip && !hear) continue;
        rc = note_refs(d, from, *n, 0);
        if (rc == 0) rc = say(d, p->text, p->size, 0);
    }
    return rc == 0 && hear && !before ? play_clip(d, clip) : rc;
}

/* The prompt ends in <think>; who was spoken to writes down first what was heard, or is given it. */
static int open_thought(Draft *d, const MuseWorldsBranch *from, const NanoClip *clip, int says)
{
    static const char think[] = "<think>", done[] = "</think>";
    int rc = say(d, think, sizeof think - 1, 0);
    if (rc == 0 && !from->think) return say(d, done, sizeof done - 1, (float)never_thinks(from->task));
    if (rc == 0 && clip) rc = say(d, " ", 1, (float)(says != NANO_SPOKEN_GIVEN));
    if (rc == 0 && says == NANO_SPOKEN_GIVEN) return say(d, from->parts[0].text, from->parts[0].size, 0);
    return rc == 0 && clip ? say(d, clip->text, strlen(clip->text), 1) : rc;
}

static int add_branch(Draft *d, const MuseWorldsBranch *from, const NanoClip *clip, int says)
{
    static const char end[] = "<eos>";
    const float answer = *from->answer ? ANSWER_WEIGHT : 1;   /* dense branches are all answer */
    size_t first, skip = from->think ? sizeof "<think>" - 1 : 0;
    d->first_part = (uint32_t)d->b->parts.n;
    int rc = ask(d, from, clip, &first);
    if (rc == 0) rc = open_thought(d, from, clip, says);
    for (size_t i = says == NANO_SPOKEN_HEARD ? from->n_parts : first; i < from->n_parts && rc == 0; i++, skip = 0) {
        const MuseWorldsPart *p = &from->parts[i];
        rc = note_refs(d, from, i, skip);
        if (rc == 0) rc = p->role == MUSE_WORLDS_VIEW ? show(d, p->image, &p->rect)
                                                      : say(d, p->text + skip, p->size - skip, !p->learn ? 0 : p->role == MUSE_WORLDS_ANSWER ? answer : 1);
    }
    if (rc == 0 && says != NANO_SPOKEN_HEARD) rc = say(d, end, sizeof end - 1, 1);
    if (rc == 0) rc = flush(d);
    const NanoPlan *plan = &d->source->plan;
    const char *task = clip && !d->spoken->hear ? "spoken" : from->task;
    MuseTrainBranch b = { .parts = (const MuseTrainPart *)(uintptr_t)d->first_part, .n_parts = d->b->parts.n - d->first_part, .task = UINT32_MAX };
    if (plan->n_groups > 1 && strncmp(from->task, "drill-", 6) == 0) b.group = 1;   /* text alone has a mean of its own */
    if (plan->n_groups > 2 && strcmp(from->task, "hear") == 0) b.group = 2;         /* speech to text too: it is little of a step */
    for (size_t i = 0; i < plan->n_tasks; i++)
        if (strcmp(plan->tasks[i], task) == 0) b.task = (uint32_t)i;
    return rc == 0 ? push(d, &d->b->branches, &b, 1) : rc;
}

static int add_prefix(Draft *d)
{
    const MuseWorldsSample *from = d->from;
    d->branch = UINT32_MAX;
    int rc = say(d, "<bos>", 5, 0);
    for (size_t i = 0; i < from->n_images && rc == 0; i++) {
        const MuseWorldsImage *im = &from->images[i];
        MuseImageParams params;
        muse_image_params_init(&params);
        params.borrow = 1;
        if (i >= sizeof d->images / sizeof *d->images) rc = MUSE_ERR_LIMIT, *d->err = (MuseError){ rc, "over 8 pictures" };
        if (rc == 0) rc = muse_image_open_pixels(&d->images[i], d->source->rt, im->rgb, im->width, im->height, 0, MUSE_PIXELS_RGB, &params, d->err);
        if (rc == 0) rc = show(d, i, NULL);
    }
    if (rc == 0 && from->n_pcm) rc = play(d);
    return rc == 0 ? flush(d) : rc;
}

/* offsets to pointers, now that nothing moves any more */
static void finish(Block *b, size_t n_prefix, MuseTrainSample *out)
{
    MuseTrainPart *parts = (MuseTrainPart *)(void *)b->parts.data;
    MuseTrainBranch *branches = (MuseTrainBranch *)(void *)b->branches.data;
    MuseTrainGaze *gazes = (MuseTrainGaze *)(void *)b->gazes.data;
    for (size_t i = 0; i < b->parts.n; i++) {
        if (parts[i].modality != MUSE_TEXT) continue;
        parts[i].ids = (const int32_t *)(void *)b->ids.data + (uintptr_t)parts[i].ids;
        parts[i].weights = (const float *)(void *)b->weights.data + (uintptr_t)parts[i].weights;
    }
    for (size_t i = 0; i < b->branches.n; i++) branches[i].parts = parts + (uintptr_t)branches[i].parts;
    for (size_t i = 0; i < b->gazes.n; i++) gazes[i].targets = (const uint32_t *)(void *)b->targets.data + (uintptr_t)gazes[i].targets;
    *out = (MuseTrainSample){ .prefix = parts, .n_prefix = n_prefix, .branches = branches, .n_branches = b->branches.n,
                              .labels = (const MuseTrainLabel *)(void *)b->labels.data, .n_labels = b->labels.n, .gazes = gazes, .n_gazes = b->gazes.n, .handle = b };
}

int nano_sample_make(const NanoSource *s, const MuseWorldsSample *from, const NanoSpoken *spoken, uint32_t budget, MuseTrainSample *out, MuseError *err)
{
    MuseError own = { 0 };
    Draft *d = calloc(1, sizeof *d);
    Block *b = calloc(1, sizeof *b);
    if (!d || !b) {
        free(d);
        free(b);
        return no_memory(err ? err : &own);
    }
    b->parts.item = sizeof(MuseTrainPart), b->branches.item = sizeof(MuseTrainBranch), b->ids.item = sizeof(int32_t), b->weights.item = sizeof(float);
    b->labels.item = sizeof(MuseTrainLabel), b->gazes.item = sizeof(MuseTrainGaze), b->targets.item = sizeof(uint32_t), b->media.item = sizeof(MusePatches *), b->sounds.item = sizeof(float *);
    d->source = s, d->from = from, d->spoken = spoken, d->budget = budget, d->b = b, d->err = err ? err : &own;
    if (spoken) d->rng = spoken->rng;
    int rc = add_prefix(d);
    const size_t n_prefix = b->parts.n;
    const uint32_t shown = d->n_shown;
    for (size_t i = 0; i < from->n_branches && rc == 0; i++) {
        d->branch = (uint32_t)i;
        d->n_shown = shown;
        rc = add_branch(d, &from->branches[i], spoken && spoken->clip[i] >= 0 ? &s->clips.clips[spoken->clip[i]] : NULL, spoken ? spoken->says[i] : 0);
    }
    for (size_t i = 0; i < sizeof d->images / sizeof *d->images; i++) muse_image_close(&d->images[i]);
    free(d);
    *out = (MuseTrainSample){ .handle = b };
    if (rc == 0) finish(b, n_prefix, out);
    else nano_sample_release(NULL, out);
    return rc;
}

void nano_sample_release(void *user, MuseTrainSample *sample)
{
    (void)user;
    Block *b = sample->handle;
    if (!b) return;
    MusePatches **patches = (MusePatches **)(void *)b->media.data;
    for (size_t i = 0; i < b->media.n; i++) muse_patches_close(&patches[i]);
    float **sounds = (float **)(void *)b->sounds.data;
    for (size_t i = 0; i < b->sounds.n; i++) free(sounds[i]);
    muse_frames_close(&b->frames);
    Vec *all[] = { &b->parts, &b->branches, &b->ids, &b->weights, &b->labels, &b->gazes, &b->targets, &b->media, &b->sounds };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->data);
    free(b);
    *sample = (MuseTrainSample){ 0 };
}
