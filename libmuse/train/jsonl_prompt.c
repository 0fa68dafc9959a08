/* SPDX-License-Identifier: Apache-2.0 */
/* A line of a data set as a prompt: its parts as an agent takes them, the answers that are right, and the views of its thought as
 * places worth a look. A line with branches gives another branch in each pass over the file. */
#include <string.h>

#include "libmuse/train/rl.h"
#include "muse/image.h"

enum { PARTS_MAX = 64, ANSWERS_MAX = 64, VIEWS_MAX = 32 };

typedef struct PromptBlock {
    MuseJson doc;                        /* texts point into it */
    MuseReasonPart parts[PARTS_MAX];
    char      *answers[ANSWERS_MAX];
    MuseFocus  views[VIEWS_MAX];
    uint32_t   n_images;
} PromptBlock;

typedef struct Reader {
    const MuseJsonlRules *rules;
    const char  *folder;
    PromptBlock *b;
    MuseTrainPrompt *out;
    MuseError   *err;
} Reader;

static char *copy(const MuseAllocator *a, const MuseJsonValue *v) { return muse_train_path(a, NULL, v->u.string, v->len); }

static int open_media(Reader *r, const MuseJsonValue *name, MuseReasonPart *p)
{
    if (name->type != MUSE_JSON_STRING || name->len == 0 || name->len > 4096 || memchr(name->u.string, 0, name->len)) return muse_fail(r->err, MUSE_ERR_FORMAT, "a picture or sound is not a path");
    char *path = muse_train_path(&r->rules->rt->alloc, r->folder, name->u.string, name->len);
    if (!path) return MUSE_NOMEM(r->err, name->len);
    MuseImageParams params;
    muse_image_params_init(&params);
    params.keep = MUSE_KEEP_PIXELS;      /* decoded once, for all looks */
    const int rc = p->modality == MUSE_IMAGE ? muse_image_open_file(&p->image, r->rules->rt, path, &params, r->err) : muse_audio_open_file(&p->audio, r->rules->rt, path, NULL, r->err);
    muse_free(path);
    return rc;
}

static int read_part(Reader *r, const MuseJsonValue *v)
{
    const MuseJsonValue *text = muse_json_get(v, "text"), *image = muse_json_get(v, "image"), *audio = muse_json_get(v, "audio");
    int64_t budget = 0;
    if (!muse_json_is(v, MUSE_JSON_OBJECT) || (text != NULL) + (image != NULL) + (audio != NULL) != 1) return muse_fail(r->err, MUSE_ERR_FORMAT, "a part of a prompt is not an object with one of text, image, audio");
    if (!muse_json_read_i64(muse_json_get(v, "budget"), 0, &budget) || budget < 0 || budget > UINT32_MAX) return muse_fail(r->err, MUSE_ERR_FORMAT, "\"budget\" is not a number of patches");
    if (text && text->type != MUSE_JSON_STRING) return muse_fail(r->err, MUSE_ERR_FORMAT, "\"text\" is not a text");
    if (text && text->len == 0) return 0;
    if (r->out->n_parts == PARTS_MAX) return muse_fail(r->err, MUSE_ERR_LIMIT, "more than %d parts", PARTS_MAX);
    MuseReasonPart *p = &r->b->parts[r->out->n_parts++];
    *p = (MuseReasonPart){ .modality = text ? MUSE_TEXT : image ? MUSE_IMAGE : MUSE_AUDIO, .budget = (uint32_t)budget };
    if (text) p->text = text->u.string, p->n = text->len;
    r->b->n_images += image != NULL;
    return text ? 0 : open_media(r, image ? image : audio, p);
}

static int read_parts(Reader *r, const MuseJsonValue *list)
{
    int rc = muse_json_is(list, MUSE_JSON_ARRAY) ? 0 : muse_fail(r->err, MUSE_ERR_FORMAT, "\"parts\" is not a list");
    for (const MuseJsonValue *v = rc == 0 ? list->u.first : NULL; v && rc == 0; v = v->next) rc = read_part(r, v);
    return rc;
}

static int add_answer(Reader *r, const MuseJsonValue *v)
{
    if (!muse_json_is(v, MUSE_JSON_STRING)) return muse_fail(r->err, MUSE_ERR_FORMAT, "\"answer\" is missing, or something in \"accept\" is no text");
    if (r->out->n_answers == ANSWERS_MAX) return muse_fail(r->err, MUSE_ERR_LIMIT, "more than %d answers", ANSWERS_MAX);
    char *text = copy(&r->rules->rt->alloc, v);
    if (!text) return MUSE_NOMEM(r->err, v->len);
    r->b->answers[r->out->n_answers++] = text;
    return 0;
}

/* "views": pictures counted from 0, as muse worlds writes them */
static int add_view(Reader *r, const MuseJsonValue *v)
{
    double at[4] = { 0 };
    int64_t image = -1;
    const MuseJsonValue *box = muse_json_get(v, "box");
    bool good = muse_json_is(v, MUSE_JSON_OBJECT) && muse_json_read_i64(muse_json_get(v, "image"), -1, &image) && image >= 0 && image < r->b->n_images && muse_json_is(box, MUSE_JSON_ARRAY) &&
        box->len == 4;
    const MuseJsonValue *e = good ? box->u.first : NULL;
    for (int i = 0; i < 4 && good; i++, e = e->next) good = e->type != MUSE_JSON_NULL && muse_json_read_f64(e, 0, &at[i]);
    if (!good) return muse_fail(r->err, MUSE_ERR_FORMAT, "\"views\" is not a list of {\"image\", \"box\"}");
    if (r->out->n_views == VIEWS_MAX) return muse_fail(r->err, MUSE_ERR_LIMIT, "more than %d views", VIEWS_MAX);
    r->b->views[r->out->n_views++] = (MuseFocus){ (uint32_t)image + 1, { at[0], at[1], at[2], at[3] } };
    return 0;
}

static int read_task(Reader *r, const MuseJsonValue *v)
{
    const MuseJsonValue *name = muse_json_get(v, "task");
    r->out->task = UINT32_MAX;
    for (uint32_t i = 0; name && i < r->rules->n_tasks; i++)
        if (muse_json_equal(name, r->rules->tasks[i])) r->out->task = i;
    return name && r->rules->n_tasks && r->out->task == UINT32_MAX ? muse_fail(r->err, MUSE_ERR_FORMAT, "its task is not among the document's \"tasks\"") : 0;
}

/* each element of a list that may be absent or null */
static int each(Reader *r, const MuseJsonValue *v, const char *key, int (*add)(Reader *r, const MuseJsonValue *v))
{
    const MuseJsonValue *list = muse_json_get(v, key);
    int rc = 0;
    if (!list || list->type == MUSE_JSON_NULL) return 0;
    if (list->type != MUSE_JSON_ARRAY) return muse_fail(r->err, MUSE_ERR_FORMAT, "\"%s\" is not a list", key);
    for (const MuseJsonValue *e = list->u.first; e && rc == 0; e = e->next) rc = add(r, e);
    return rc;
}

static int read_line(Reader *r, uint64_t pass)
{
    const MuseJsonValue *root = r->b->doc.root, *branches = muse_json_get(root, "branches"), *v = root;
    if (!muse_json_is(root, MUSE_JSON_OBJECT)) return muse_fail(r->err, MUSE_ERR_FORMAT, "not a JSON object");
    if (muse_json_get(root, "system") || muse_json_get(root, "turns")) return muse_fail(r->err, MUSE_ERR_UNSUPPORTED, "a prompt has neither \"system\" nor \"turns\"");
    int rc = read_parts(r, muse_json_get(root, "parts"));
    if (rc == 0 && branches) {
        if (branches->type != MUSE_JSON_ARRAY || branches->len == 0) return muse_fail(r->err, MUSE_ERR_FORMAT, "\"branches\" is not a list with an element");
        v = branches->u.first;
        for (uint64_t i = pass % branches->len; i > 0; i--) v = v->next;
        if (muse_json_get(v, "parts")) rc = read_parts(r, muse_json_get(v, "parts"));
    }
    if (rc == 0) rc = read_task(r, v);
    if (rc == 0) rc = add_answer(r, muse_json_get(v, "answer"));
    if (rc == 0) rc = each(r, v, "accept", add_answer);
    if (rc == 0) rc = each(r, v, "views", add_view);
    return rc == 0 && r->out->n_parts == 0 ? muse_fail(r->err, MUSE_ERR_FORMAT, "a prompt without parts") : rc;
}

int muse_jsonl_prompt_line(const MuseJsonlRules *rules, const char *folder, const char *text, size_t n, uint64_t pass, const MuseJsonlTeller *teller, MuseTrainPrompt *out, MuseError *err)
{
    const MuseAllocator *a = &rules->rt->alloc;
    PromptBlock *b = muse_zalloc(a, sizeof *b);
    *out = (MuseTrainPrompt){ 0 };
    if (!b) return MUSE_NOMEM(err, sizeof *b);
    *out = (MuseTrainPrompt){ .parts = b->parts, .answers = (const char *const *)b->answers, .views = b->views, .handle = b };
    Reader r = { rules, folder, b, out, err };
    int rc = muse_json_parse(&b->doc, a, text, n, err);
    if (rc == 0) rc = read_line(&r, pass);
    if (rc == 0 && teller) muse_jsonl_tell_keys(teller, b->doc.root);
    if (rc < 0) muse_jsonl_prompt_release(out);
    return rc;
}

int muse_jsonl_prompt(MuseJsonl *j, uint64_t number, MuseTrainPrompt *out, MuseError *err)
{
    MuseJsonlLine line;
    int rc = muse_jsonl_line(j, number, &line, err);
    if (rc < 0) return rc;
    rc = muse_jsonl_prompt_line(line.rules, line.folder, line.text, line.n, line.pass, &line.teller, out, err);
    muse_free(line.folder);
    return rc < 0 ? muse_fail_prefix(err, rc, "%s:%llu", line.path, (unsigned long long)line.number) : 0;
}

void muse_jsonl_prompt_release(MuseTrainPrompt *p)
{
    PromptBlock *b = p->handle;
    if (!b) return;
    for (size_t i = 0; i < p->n_parts; i++) {
        muse_image_close(&b->parts[i].image);
        muse_audio_close(&b->parts[i].audio);
    }
    for (size_t i = 0; i < p->n_answers; i++) muse_free(b->answers[i]);
    muse_json_close(&b->doc);
    muse_free(b);
    *p = (MuseTrainPrompt){ 0 };
}
