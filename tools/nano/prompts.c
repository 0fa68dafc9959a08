/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of worlds as prompts to try: the pictures and the question of one branch, its answers, the views of its chain. Drills and
 * dense branches, which are no questions, and questions that name places, which the chat format can't say, are passed over. */
#include <stdlib.h>
#include <string.h>

#include "tools/nano/worlds_source.h"

enum { IMAGES_MAX = 8, ANSWERS_MAX = 64, VIEWS_MAX = 16, QUESTION_MAX = 4096 };

typedef struct Block {
    MuseReasonPart parts[IMAGES_MAX + 2];
    char      *answers[ANSWERS_MAX];
    MuseFocus  views[VIEWS_MAX];
    char       question[QUESTION_MAX];
} Block;

static void release(void *user, MuseTrainPrompt *p)
{
    (void)user;
    Block *b = p->handle;
    if (!b) return;
    for (size_t i = 0; i < sizeof b->parts / sizeof *b->parts; i++) {
        muse_image_close(&b->parts[i].image);
        muse_audio_close(&b->parts[i].audio);
    }
    for (size_t i = 0; i < ANSWERS_MAX; i++) free(b->answers[i]);
    free(b);
    *p = (MuseTrainPrompt){ 0 };
}

static int fail(MuseError *err, int code, const char *text)
{
    err->code = code;
    strcpy(err->text, text);
    return code;
}

static int add_media(Block *b, MuseRuntime *rt, const MuseWorldsSample *s, MuseTrainPrompt *out, MuseError *err)
{
    int rc = s->n_images > IMAGES_MAX ? fail(err, MUSE_ERR_LIMIT, "over 8 pictures") : 0;
    for (size_t i = 0; i < s->n_images && rc == 0; i++) {
        MuseReasonPart *p = &b->parts[out->n_parts++];
        p->modality = MUSE_IMAGE;
        rc = muse_image_open_pixels(&p->image, rt, s->images[i].rgb, s->images[i].width, s->images[i].height, 0, MUSE_PIXELS_RGB, NULL, err);
    }
    if (rc < 0 || !s->n_pcm) return rc;
    MuseReasonPart *p = &b->parts[out->n_parts++];
    p->modality = MUSE_AUDIO;
    return muse_audio_open_pcm(&p->audio, rt, s->pcm, s->n_pcm, MUSE_PCM_S16, s->rate, 1, NULL, err);
}

static int add_answer(Block *b, const char *text, MuseTrainPrompt *out, MuseError *err)
{
    if (out->n_answers == ANSWERS_MAX) return fail(err, MUSE_ERR_LIMIT, "over 64 answers");
    if (!(b->answers[out->n_answers] = strdup(text))) return fail(err, MUSE_ERR_NOMEM, "no memory for an answer");
    out->n_answers++;
    return 0;
}

static int is_prompt(const MuseWorldsBranch *b)
{
    if (!*b->answer || strncmp(b->task, "drill-", 6) == 0) return 0;
    for (size_t i = 0; i < b->n_parts; i++)
        if (b->parts[i].role == MUSE_WORLDS_QUESTION && memchr(b->parts[i].text, '<', b->parts[i].size)) return 0;
    return 1;
}

static int add_branch(Block *block, const NanoPlan *plan, const MuseWorldsBranch *b, MuseTrainPrompt *out, MuseError *err)
{
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; i < b->n_parts && rc == 0; i++) {
        const MuseWorldsPart *p = &b->parts[i];
        if (p->role == MUSE_WORLDS_VIEW && out->n_views < VIEWS_MAX) block->views[out->n_views++] = (MuseFocus){ p->image + 1u, p->rect };
        if (p->role != MUSE_WORLDS_QUESTION) continue;
        if (p->size >= QUESTION_MAX - n) rc = fail(err, MUSE_ERR_LIMIT, "a question over 4,095 bytes");
        else memcpy(block->question + n, p->text, p->size), n += p->size;
    }
    block->parts[out->n_parts++] = (MuseReasonPart){ .modality = MUSE_TEXT, .text = block->question, .n = n };
    if (rc == 0) rc = add_answer(block, b->answer, out, err);
    for (size_t i = 0; i < b->n_accept && rc == 0; i++) rc = add_answer(block, b->accept[i], out, err);
    out->task = UINT32_MAX;
    for (size_t i = 0; i < plan->n_tasks; i++)
        if (strcmp(plan->tasks[i], b->task) == 0) out->task = (uint32_t)i;
    return rc;
}

static int make(void *user, uint64_t number, int held_out, MuseTrainPrompt *out, MuseError *err)
{
    NanoPrompts *p = user;
    const NanoMix *mix = nano_plan_at(&p->plan, number);
    MuseWorldsOptions options = mix->options;
    const MuseWorldsSample *s;
    options.only = mix->only[0] ? mix->only : NULL;
    options.form = MUSE_WORLDS_THINK;   /* for its views; what it says is not used */
    options.branches = 1;
    options.split = held_out ? MUSE_WORLDS_TEST : MUSE_WORLDS_TRAIN;
    int rc = muse_worlds_make(p->maker, mix->task, p->plan.seed, number, &options, &s, err);
    if (rc < 0) return rc;
    if (!is_prompt(&s->branches[0])) return MUSE_AGAIN;
    Block *b = calloc(1, sizeof *b);
    if (!b) return fail(err, MUSE_ERR_NOMEM, "no memory for a prompt");
    *out = (MuseTrainPrompt){ .parts = b->parts, .answers = (const char *const *)b->answers, .views = b->views, .handle = b };
    rc = add_media(b, p->rt, s, out, err);
    if (rc == 0) rc = add_branch(b, &p->plan, &s->branches[0], out, err);
    if (rc < 0) release(NULL, out);
    return rc;
}

MuseTrainPrompts nano_prompts(NanoPrompts *p) { return (MuseTrainPrompts){ .struct_size = sizeof(MuseTrainPrompts), .make = make, .release = release, .user = p }; }

int nano_prompts_open(NanoPrompts *p, MuseRuntime *rt, MuseError *err)
{
    p->rt = rt;
    MuseWorldsParams params;
    muse_worlds_params_init(&params);
    params.fonts = p->plan.fonts;
    const int rc = muse_worlds_open(&p->worlds, &params, err);
    return rc < 0 ? rc : muse_worlds_maker_open(&p->maker, p->worlds, err);
}

void nano_prompts_close(NanoPrompts *p)
{
    muse_worlds_maker_close(&p->maker);
    muse_worlds_close(&p->worlds);
}
