/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a data set to samples, in the positions that chat format muse (docs/chat.md) gives the same conversation. Text gathers
 * in a run until a control token or a medium follows, because the runtime encodes it so. Pictures and sounds go through the
 * tokenizers under the model's own rules. What the model is to write has weight 1, all else 0. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "libmuse/io/weights.h"
#include "libmuse/model/model.h"
#include "libmuse/train/data.h"

struct MuseJsonl {
    MuseJsonlRules rules;
    char     *path;
    MuseFile  file;
    uint64_t *lines;     /* [n]: where each begins; empty lines are left out. One block with the next two */
    uint64_t *ends;      /* behind its last byte */
    uint64_t *numbers;   /* as an editor counts */
    size_t    n;
    atomic_bool reduced;     /* the log was told that a picture is: it is told once */
    atomic_ullong unknown;   /* and of which keys that they are not known, a bit for each (two may share one) */
};

typedef struct Draft {
    const MuseJsonlRules *rules;
    const char *folder;
    MuseJsonl *file;              /* it is a line of; NULL: the log isn't told */
    MuseFamily family;
    MuseError *err;
    MuseSampleDraft s;
    MuseBuf run, run_weights;     /* text that is not encoded yet, and a float for each of its bytes */
    bool    run_added;            /* added tokens count in it */
    MuseImage *images[16];
    uint32_t n_images, n_numbered, n_sounds;
} Draft;

static int add_bytes(Draft *d, MuseBuf *b, const void *bytes, size_t n) { return muse_buf_append(b, bytes, n) < 0 ? MUSE_NOMEM(d->err, b->len + n) : 0; }

/* A token has the weight of its last byte. Weights that differ need a tokenizer that keeps every byte. */
static int weigh(const Draft *d, const int32_t *ids, size_t n, float *to)
{
    const float *from = (const float *)(const void *)d->run_weights.data;
    bool even = true;
    size_t at = 0;
    for (size_t i = 1; i < d->run.len; i++) even = even && from[i] == from[0];
    for (size_t i = 0; i < n; i++) {
        const char *bytes;
        size_t n_bytes = 0;
        to[i] = from[0];
        if (even) continue;
        const int rc = muse_text_token_bytes(d->rules->tokenizer, ids[i], &bytes, &n_bytes);
        at += n_bytes;
        if (rc < 0 || n_bytes == 0 || at > d->run.len) return muse_fail(d->err, MUSE_ERR_UNSUPPORTED, "the tokenizer changes the text, so what of it is given can't be told");
        to[i] = from[at - 1];
    }
    return 0;
}

static int flush(Draft *d)
{
    int32_t *ids = NULL;
    float *weights = NULL;
    size_t n = 0;
    if (d->run.len == 0) return 0;
    int rc = muse_text_encode(d->rules->tokenizer, (const char *)d->run.data, d->run.len, d->run_added ? MUSE_TEXT_ADDED : 0, &ids, &n, d->err);
    if (rc == 0 && n && !(weights = muse_alloc_array(&d->rules->rt->alloc, n, sizeof *weights))) rc = MUSE_NOMEM(d->err, n * sizeof *weights);
    if (rc == 0) rc = weigh(d, ids, n, weights);
    if (rc == 0) rc = muse_draft_ids(&d->s, ids, weights, n, d->err);
    muse_free(ids);
    muse_free(weights);
    d->run.len = d->run_weights.len = 0;
    return rc;
}

static int say(Draft *d, const char *text, size_t n, bool added, float weight)
{
    int rc = d->run.len && d->run_added != added ? flush(d) : 0;
    if (rc == 0) rc = add_bytes(d, &d->run, text, n);
    for (size_t i = 0; i < n && rc == 0; i++) rc = add_bytes(d, &d->run_weights, &weight, sizeof weight);
    d->run_added = added;
    return rc;
}

static int control(Draft *d, const char *text, float weight)
{
    const int32_t id = muse_text_find(d->rules->tokenizer, text, strlen(text));
    int rc = flush(d);
    if (rc == 0 && id < 0) rc = muse_fail(d->err, MUSE_ERR_NOT_FOUND, "the tokenizer has no token %s", text);
    return rc < 0 ? rc : muse_draft_ids(&d->s, &id, &weight, 1, d->err);
}

static int add_marker(Draft *d, const MuseMarker *m, uint32_t number)
{
    char text[64];
    if (!m->text) return flush(d);
    snprintf(text, sizeof text, m->text, number);
    return control(d, text, 0);
}

/* ---- media ---- */

/* pictures of a data set are many and alike: said of the first */
static void tell_reduced(const Draft *d, const char *name, const MuseImagePlan *plan)
{
    if ((plan->scale_x >= 1 && plan->scale_y >= 1) || !d->file || atomic_exchange(&d->file->reduced, true)) return;
    muse_log(&d->rules->rt->log, MUSE_LOG_WARN, "%s: %u x %u pixels are reduced to %u x %u (scale %.3g x %.3g), as other pictures over their budget; said once a file", name,
             plan->width, plan->height, plan->used_width, plan->used_height, plan->scale_x, plan->scale_y);
}

/* name: what a warning calls it */
static int add_picture(Draft *d, const MuseImage *image, uint32_t budget, const char *name)
{
    MusePatches *patches = NULL;
    float *to = NULL;
    int rc = muse_image_patches(&patches, image, &d->family.image, budget, NULL, NULL, d->err);
    if (rc == 0) rc = add_marker(d, &d->family.image_begin, ++d->n_numbered);
    if (rc == 0) {
        const MuseImagePlan *plan = muse_patches_plan(patches);
        tell_reduced(d, name, plan);
        const size_t unit = d->rules->model->image.unit;
        rc = muse_draft_features(&d->s, MUSE_IMAGE, plan->grid_width, plan->grid_height, plan->n_patches, 3 * unit * unit, &to, d->err);
        if (rc == 0) rc = muse_patches_read(patches, 0, plan->n_patches, to);
        if (rc == 0) rc = add_marker(d, &d->family.image_end, d->n_numbered);
    }
    muse_patches_close(&patches);
    return rc;
}

static char *path_of(const Draft *d, const MuseJsonValue *v)
{
    return muse_json_is(v, MUSE_JSON_STRING) && v->len > 0 && v->len <= 4096 && !memchr(v->u.string, 0, v->len)
        ? muse_train_path(&d->rules->rt->alloc, d->folder, v->u.string, v->len) : NULL;
}

static int add_image_file(Draft *d, const MuseJsonValue *v, uint32_t budget)
{
    char *path = path_of(d, v);
    if (!path) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"image\" is not a path");
    if (d->n_images == sizeof d->images / sizeof *d->images) {
        muse_free(path);
        return muse_fail(d->err, MUSE_ERR_LIMIT, "more than %zu pictures", sizeof d->images / sizeof *d->images);
    }
    MuseImageParams params;
    muse_image_params_init(&params);
    params.keep = MUSE_KEEP_PIXELS;   /* decoded once, for all looks */
    MuseImage *image = NULL;
    int rc = muse_image_open_file(&image, d->rules->rt, path, &params, d->err);
    if (rc == 0) {
        d->images[d->n_images++] = image;
        rc = add_picture(d, image, budget, path);
    }
    muse_free(path);
    return rc;
}

static int add_audio_file(Draft *d, const MuseJsonValue *v)
{
    char *path = path_of(d, v);
    if (!path) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"audio\" is not a path");
    MuseAudio *audio = NULL;
    MuseFrames *frames = NULL;
    int rc = muse_audio_open_file(&audio, d->rules->rt, path, NULL, d->err);
    muse_free(path);
    if (rc == 0) rc = muse_audio_frames(&frames, audio, &d->family.audio, NULL, NULL, d->err);
    if (rc == 0) rc = add_marker(d, &d->family.audio_begin, ++d->n_sounds);
    if (rc == 0) {
        const MuseAudioPlan *plan = muse_frames_plan(frames);
        float *to = NULL;
        rc = muse_draft_features(&d->s, MUSE_AUDIO, 0, 0, (size_t)plan->n_frames, plan->frame_width, &to, d->err);
        if (rc == 0) memcpy(to, muse_frames_data(frames), (size_t)plan->n_frames * plan->frame_width * sizeof *to);
        if (rc == 0) rc = add_marker(d, &d->family.audio_end, d->n_sounds);
    }
    muse_frames_close(&frames);
    muse_audio_close(&audio);
    return rc;
}

/* A rectangle of a picture, in its own pixels, at the budget that looks have: nothing is scaled down. */
static int add_cut(Draft *d, int64_t number, const MuseJsonValue *box, uint32_t budget)
{
    double at[4] = { 0 };
    bool good = number >= 1 && number <= d->n_images && muse_json_is(box, MUSE_JSON_ARRAY) && box->len == 4;
    const MuseJsonValue *e = good ? box->u.first : NULL;
    for (int i = 0; i < 4 && good; i++, e = e->next) good = e->type != MUSE_JSON_NULL && muse_json_read_f64(e, 0, &at[i]) && isfinite(at[i]);
    if (!good) return muse_fail(d->err, MUSE_ERR_FORMAT, "a region or view is not of a picture before it, with \"box\": [x0, y0, x1, y1]");
    MuseImage *region = NULL;
    int rc = muse_image_region(&region, d->images[number - 1], (MuseRect){ at[0], at[1], at[2], at[3] }, d->err);
    if (rc == 0) rc = add_picture(d, region, budget ? budget : MUSE_BUDGET_AUTO, "a region");
    muse_image_close(&region);
    return rc;
}

/* {"image": 1, "box": [x0, y0, x1, y1]} */
static int add_region(Draft *d, const MuseJsonValue *v, uint32_t budget)
{
    int64_t image = 0;
    if (!muse_json_is(v, MUSE_JSON_OBJECT) || !muse_json_read_i64(muse_json_get(v, "image"), 1, &image)) image = 0;
    return add_cut(d, image, image ? muse_json_get(v, "box") : NULL, budget);
}

/* ---- parts and branches ---- */

static int add_part(Draft *d, const MuseJsonValue *v, bool written)
{
    int64_t budget = 0;
    const MuseJsonValue *text = muse_json_get(v, "text"), *given = muse_json_get(v, "given"), *image = muse_json_get(v, "image"), *audio = muse_json_get(v, "audio");
    const MuseJsonValue *region = muse_json_get(v, "region");
    const int kinds = (text != NULL) + (given != NULL) + (image != NULL) + (audio != NULL) + (region != NULL);
    if (!muse_json_is(v, MUSE_JSON_OBJECT) || kinds != 1) return muse_fail(d->err, MUSE_ERR_FORMAT, "a part is not an object with one of text, given, image, audio, region");
    if (muse_json_get(v, "learn")) return muse_fail(d->err, MUSE_ERR_UNSUPPORTED, "a part to \"learn\": dense questions of worlds are trained through \"worlds\" only");
    if (!muse_json_read_i64(muse_json_get(v, "budget"), 0, &budget) || budget < 0 || budget > UINT32_MAX) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"budget\" is not a number of patches");
    if (image) return add_image_file(d, image, (uint32_t)budget);
    if (audio) return add_audio_file(d, audio);
    if (region) return add_region(d, region, (uint32_t)budget);
    const MuseJsonValue *t = text ? text : given;
    if (t->type != MUSE_JSON_STRING) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"text\" is not a text");
    return say(d, t->u.string, t->len, written, written && text ? 1 : 0);
}

static int add_parts(Draft *d, const MuseJsonValue *list, bool written)
{
    int rc = 0;
    if (!muse_json_is(list, MUSE_JSON_ARRAY)) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"%s\" is not a list", written ? "thought" : "parts");
    for (const MuseJsonValue *v = list->u.first; v && rc == 0; v = v->next) rc = add_part(d, v, written);
    return rc;
}

/* "given": [[first, end], ...]: bytes of the thought that are not learned; now in the run, which has no other text yet */
static int take_given(Draft *d, const MuseJsonValue *given, size_t from, size_t to)
{
    if (given && given->type != MUSE_JSON_ARRAY) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"given\" is not a list");
    for (const MuseJsonValue *v = given ? given->u.first : NULL; v; v = v->next) {
        int64_t range[2] = { -1, -1 };
        const bool pair = muse_json_is(v, MUSE_JSON_ARRAY) && v->len == 2 && muse_json_read_i64(v->u.first, -1, &range[0]) && muse_json_read_i64(v->u.first->next, -1, &range[1]);
        if (!pair || range[0] < 0 || range[1] < range[0]) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"given\" is not a list of [first byte, end]");
        float *w = (float *)(void *)d->run_weights.data;
        for (size_t i = from; i < to; i++)
            if (i >= (size_t)range[0] && i < (size_t)range[1]) w[i - from] = 0;
    }
    return 0;
}

/* A thought as text: "given" parts of it are not learned, "views" [{at, image (from 0), box}] are shown at their byte. */
static int add_thought_text(Draft *d, const MuseJsonValue *thought, const MuseJsonValue *given, const MuseJsonValue *views)
{
    size_t at = 0;
    int rc = 0;
    if (views && views->type != MUSE_JSON_ARRAY) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"views\" is not a list");
    for (const MuseJsonValue *v = views ? views->u.first : NULL; rc == 0; v = v->next) {
        int64_t to = (int64_t)thought->len, image = -1;
        if (v && (!muse_json_is(v, MUSE_JSON_OBJECT) || !muse_json_read_i64(muse_json_get(v, "at"), -1, &to) || !muse_json_read_i64(muse_json_get(v, "image"), -1, &image) ||
                  to < (int64_t)at || to > (int64_t)thought->len))
            return muse_fail(d->err, MUSE_ERR_FORMAT, "\"views\" is not a list of {\"at\": byte of the thought, ascending, \"image\", \"box\"}");
        rc = say(d, thought->u.string + at, (size_t)to - at, true, 1);
        if (rc == 0) rc = take_given(d, given, at, (size_t)to);
        if (rc == 0 && v) rc = add_cut(d, image < d->n_images ? image + 1 : 0, muse_json_get(v, "box"), 0);
        at = (size_t)to;
        if (!v) break;
    }
    return rc;
}

/* <think> [thought] </think> answer <eos>: as chat format muse ends a prompt and goes on */
static int add_written(Draft *d, const MuseJsonValue *v)
{
    const MuseJsonValue *thought = muse_json_get(v, "thought"), *answer = muse_json_get(v, "answer"), *given = muse_json_get(v, "given"), *views = muse_json_get(v, "views");
    if (!muse_json_is(answer, MUSE_JSON_STRING)) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"answer\" is missing, or no text");
    const bool thinks = thought && thought->type != MUSE_JSON_NULL, text = thinks && thought->type == MUSE_JSON_STRING;
    if (!text && (given || views)) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"given\" and \"views\" belong to a thought that is a text");
    int rc = control(d, "<think>", 0);
    if (rc == 0 && thinks) rc = text ? add_thought_text(d, thought, given, views) : add_parts(d, thought, true);
    if (rc == 0) rc = control(d, "</think>", thinks ? 1 : 0);
    if (rc == 0) rc = say(d, answer->u.string, answer->len, false, 1);
    return rc < 0 ? rc : control(d, "<eos>", 1);
}

static int task_of(const Draft *d, const MuseJsonValue *v, uint32_t *task)
{
    const MuseJsonValue *name = muse_json_get(v, "task");
    *task = UINT32_MAX;
    if (!name || d->rules->n_tasks == 0) return 0;
    for (uint32_t i = 0; i < d->rules->n_tasks; i++)
        if (muse_json_equal(name, d->rules->tasks[i])) *task = i;
    return *task == UINT32_MAX ? muse_fail(d->err, MUSE_ERR_FORMAT, "its task is not among the document's \"tasks\"") : 0;
}

/* tail: text of the prefix behind its last medium. It is encoded with what follows, so it stands in each branch. */
static int add_branch(Draft *d, const MuseJsonValue *v, const MuseJsonValue *turns, const MuseJsonValue *question, const MuseBuf *tail)
{
    uint32_t task;
    int64_t group = 0;
    const uint32_t numbered = d->n_numbered, sounds = d->n_sounds, images = d->n_images;
    int rc = task_of(d, v, &task);
    if (rc == 0 && (!muse_json_read_i64(muse_json_get(v, "group"), 0, &group) || group < 0 || group >= MUSE_GROUPS_MAX)) rc = muse_fail(d->err, MUSE_ERR_FORMAT, "\"group\" is not a group's number");
    if (rc == 0) rc = muse_draft_branch(&d->s, task, (uint32_t)group, d->err);
    if (rc == 0) rc = say(d, (const char *)tail->data, tail->len, false, 0);
    for (const MuseJsonValue *t = turns ? turns->u.first : NULL; t && rc == 0; t = t->next) {
        rc = muse_json_is(t, MUSE_JSON_OBJECT) ? add_parts(d, muse_json_get(t, "parts"), false) : muse_fail(d->err, MUSE_ERR_FORMAT, "a turn is not an object");
        if (rc == 0) rc = add_written(d, t);
    }
    if (rc == 0 && question) rc = add_parts(d, question, false);
    if (rc == 0) rc = add_written(d, v);
    d->n_numbered = numbered, d->n_sounds = sounds;   /* branches do not see each other's media */
    while (d->n_images > images) muse_image_close(&d->images[--d->n_images]);
    return rc;
}

static int add_system(Draft *d, const MuseJsonValue *system)
{
    if (!system) return 0;
    if (system->type != MUSE_JSON_STRING) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"system\" is no text");
    const int rc = say(d, system->u.string, system->len, false, 0);
    return rc < 0 ? rc : control(d, "<eos>", 0);
}

static int add_line(Draft *d, const MuseJsonValue *root)
{
    if (!muse_json_is(root, MUSE_JSON_OBJECT)) return muse_fail(d->err, MUSE_ERR_FORMAT, "not a JSON object");
    const MuseJsonValue *branches = muse_json_get(root, "branches"), *turns = muse_json_get(root, "turns"), *parts = muse_json_get(root, "parts");
    if (turns && (turns->type != MUSE_JSON_ARRAY || turns->len == 0 || branches)) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"turns\" is not a list with an element, or stands beside \"branches\"");
    if (branches && (branches->type != MUSE_JSON_ARRAY || branches->len == 0)) return muse_fail(d->err, MUSE_ERR_FORMAT, "\"branches\" is not a list with an element");
    int rc = control(d, "<bos>", 0);
    if (rc == 0) rc = add_system(d, muse_json_get(root, "system"));
    if (rc == 0 && !turns) rc = add_parts(d, parts, false);
    MuseBuf tail = d->run;   /* all of it given */
    d->run = (MuseBuf){ .alloc = tail.alloc };
    d->run_weights.len = 0;
    if (rc == 0 && !branches) rc = add_branch(d, root, turns, turns ? parts : NULL, &tail);
    for (const MuseJsonValue *v = branches ? branches->u.first : NULL; v && rc == 0; v = v->next) rc = add_branch(d, v, NULL, muse_json_get(v, "parts"), &tail);
    muse_buf_clear(&tail);
    return rc;
}

/* file: what it is a line of; NULL: none */
static int make_sample(const MuseJsonlRules *rules, const char *folder, const char *line, size_t n, MuseJsonl *file, const MuseJsonlTeller *teller, MuseTrainSample *out, MuseError *err)
{
    const MuseAllocator *a = &rules->rt->alloc;
    Draft d = { .rules = rules, .folder = folder, .file = file, .err = err };
    d.run.alloc = d.run_weights.alloc = a;
    muse_draft_begin(&d.s, a);
    MuseJson doc = { 0 };
    memset(out, 0, sizeof *out);
    muse_family_from_config(&d.family, rules->model);
    int rc = muse_json_parse(&doc, a, line, n, err);
    if (rc == 0) rc = add_line(&d, doc.root);
    if (rc == 0) rc = muse_draft_finish(&d.s, out, err);
    if (rc == 0 && teller) muse_jsonl_tell_keys(teller, doc.root);
    if (rc == MUSE_ERR_ARG) {   /* what the tokenizers call the caller's mistake is the file's */
        rc = MUSE_ERR_FORMAT;
        if (err) err->code = rc;
    }
    muse_json_close(&doc);
    for (uint32_t i = 0; i < d.n_images; i++) muse_image_close(&d.images[i]);
    muse_draft_clear(&d.s);
    muse_buf_clear(&d.run);
    muse_buf_clear(&d.run_weights);
    return rc;
}

int muse_jsonl_sample(const MuseJsonlRules *rules, const char *folder, const char *line, size_t n, MuseTrainSample *out, MuseError *err)
{
    return make_sample(rules, folder, line, n, NULL, NULL, out, err);
}

/* ---- the file ---- */

static bool blank(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r') return false;
    return true;
}

/* counts lines, and, with room for them, notes them */
static size_t index_lines(MuseJsonl *j)
{
    size_t n = 0, number = 1;
    for (size_t at = 0; at < j->file.size; number++) {
        const uint8_t *end = memchr(j->file.data + at, '\n', j->file.size - at);
        const size_t stop = end ? (size_t)(end - j->file.data) : j->file.size;
        if (!blank(j->file.data + at, stop - at)) {
            if (j->lines) j->lines[n] = at, j->ends[n] = stop, j->numbers[n] = number;
            n++;
        }
        at = stop + 1;
    }
    return n;
}

int muse_jsonl_open(MuseJsonl **out, const char *path, const MuseJsonlRules *rules, MuseError *err)
{
    const MuseAllocator *a = &rules->rt->alloc;
    MuseJsonl *j = *out = muse_zalloc(a, sizeof *j);
    if (!j) return MUSE_NOMEM(err, sizeof *j);
    j->rules = *rules;
    j->file.alloc = a;
    j->path = muse_train_path(a, NULL, path, strlen(path));
    int rc = j->path ? muse_file_open(&j->file, path, UINT64_MAX, err) : MUSE_NOMEM(err, strlen(path));
    if (rc < 0) goto fail;
    j->n = index_lines(j);
    if (j->n == 0) {
        rc = muse_fail(err, MUSE_ERR_FORMAT, "%s: no lines", path);
        goto fail;
    }
    uint64_t *lines = muse_alloc_array(a, j->n, 3 * sizeof *lines);
    if (!lines) {
        rc = MUSE_NOMEM(err, j->n * 24);
        goto fail;
    }
    j->lines = lines, j->ends = lines + j->n, j->numbers = lines + 2 * j->n;
    index_lines(j);
    return 0;
fail:
    muse_jsonl_close(out);
    return rc;
}

void muse_jsonl_close(MuseJsonl **out)
{
    MuseJsonl *j = *out;
    if (!j) return;
    muse_file_close(&j->file);
    muse_free(j->lines);
    muse_free(j->path);
    muse_free(j);
    *out = NULL;
}

size_t muse_jsonl_lines(const MuseJsonl *j) { return j->n; }

int muse_jsonl_line(MuseJsonl *j, uint64_t number, MuseJsonlLine *out, MuseError *err)
{
    const uint64_t pass = number / j->n, in = number % j->n;
    const size_t at = (size_t)(j->rules.shuffle ? muse_shuffle(in, j->n, j->rules.seed + pass * UINT64_C(0x9e3779b97f4a7c15)) : in);
    const char *slash = strrchr(j->path, '/');
    *out = (MuseJsonlLine){ .rules = &j->rules, .path = j->path, .text = (const char *)j->file.data + j->lines[at], .n = (size_t)(j->ends[at] - j->lines[at]), .pass = pass,
                            .number = j->numbers[at], .teller = { &j->rules.rt->log, &j->unknown, j->path, j->numbers[at] } };
    if (slash && !(out->folder = muse_train_path(&j->rules.rt->alloc, NULL, j->path, (size_t)(slash - j->path)))) return MUSE_NOMEM(err, strlen(j->path));
    return 0;
}

int muse_jsonl_name(MuseJsonl *j, uint64_t number, char *to, size_t cap, MuseError *err)
{
    MuseJsonlLine line;
    const int rc = muse_jsonl_line(j, number, &line, err);
    if (rc < 0) return rc;
    muse_free(line.folder);
    snprintf(to, cap, "%s:%llu", line.path, (unsigned long long)line.number);
    return 0;
}

int muse_jsonl_make(MuseJsonl *j, uint64_t number, MuseTrainSample *out, MuseError *err)
{
    MuseJsonlLine line;
    MuseError own = { 0 };
    int rc = muse_jsonl_line(j, number, &line, err);
    if (rc < 0) return rc;
    rc = make_sample(&j->rules, line.folder, line.text, line.n, j, &line.teller, out, &own);
    muse_free(line.folder);
    if (rc == 0) return 0;
    muse_fail_prefix(&own, rc, "%s:%llu", j->path, (unsigned long long)line.number);
    if (!j->rules.skip_broken || rc == MUSE_ERR_NOMEM) return muse_fail_copy(err, &own);
    muse_log(&j->rules.rt->log, MUSE_LOG_WARN, "left out: %s", own.text);
    return MUSE_AGAIN;
}
