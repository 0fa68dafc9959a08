/* SPDX-License-Identifier: Apache-2.0 */
/* See train_config.h. One short reader an object; the lists of keys stand beside them. */
#include "libmuse/train/train_config.h"

#include <stdio.h>
#include <string.h>

#include "libmuse/model/config_read.h"

char *muse_train_path(const MuseAllocator *a, const char *folder, const char *name, size_t n)
{
    const size_t before = folder && n && name[0] != '/' ? strlen(folder) + 1 : 0;
    char *path = muse_alloc(a, before + n + 1);
    if (!path) return NULL;
    if (before) {
        memcpy(path, folder, before - 1);
        path[before - 1] = '/';
    }
    memcpy(path + before, name, n);
    path[before + n] = 0;
    return path;
}

static bool is_named(const MuseJsonValue *v, const char *name) { return strlen(name) == v->key_len && memcmp(name, v->key, v->key_len) == 0; }

/* Every member of r's object is in the list of names, which ends with NULL, and stands there once. */
static void only(MuseReader *r, const char *const *names)
{
    if (r->rc < 0) return;
    for (const MuseJsonValue *v = r->object->u.first; v; v = v->next) {
        const char *const *name = names;
        const MuseJsonValue *again = v->next;
        while (*name && !is_named(v, *name)) name++;
        while (*name && again && !is_named(again, *name)) again = again->next;
        if (*name && !again) continue;
        r->rc = muse_fail(r->err, MUSE_ERR_FORMAT, *name ? "%s: \"%.*s\" stands there twice" : "%s: \"%.*s\" is not a key that is known", r->where, v->key_len < 60 ? (int)v->key_len : 60, v->key);
        return;
    }
}
#define ONLY(r, ...) only((r), (const char *const[]){ __VA_ARGS__, NULL })

static void maybe_f64(MuseReader *r, const char *key, double low, double high, double *out)
{
    if (muse_read_has(r, key)) muse_read_f64(r, key, low, high, out);
}

/* NULL if the key is absent or null: both are the default */
static const MuseJsonValue *member(const MuseJsonValue *object, const char *key)
{
    const MuseJsonValue *v = muse_json_get(object, key);
    return v && v->type != MUSE_JSON_NULL ? v : NULL;
}

/* *out NULL if the key is absent */
static void maybe_text(MuseReader *r, const MuseAllocator *a, const char *key, const char *folder, bool path, char **out)
{
    const MuseJsonValue *v = member(r->object, key);
    if (r->rc < 0 || !v) return;
    if (v->type != MUSE_JSON_STRING || v->len == 0 || v->len > 4096 || memchr(v->u.string, 0, v->len)) {
        muse_read_fail(r, MUSE_ERR_FORMAT, key, "is not a text of 1 to 4096 bytes");
        return;
    }
    *out = muse_train_path(a, path ? folder : NULL, v->u.string, v->len);
    if (!*out) r->rc = MUSE_NOMEM(r->err, v->len);
}

/* An element of a list as an object to read; false (and an error) if it is none. */
static bool element(MuseReader *inner, const MuseReader *r, const MuseJsonValue *v, const char *where)
{
    *inner = (MuseReader){ v, where, r->err, r->rc };
    if (r->rc < 0) return false;
    if (v->type != MUSE_JSON_OBJECT) inner->rc = muse_fail(r->err, MUSE_ERR_FORMAT, "%s: not an object", where);
    return inner->rc == 0;
}

/* the first element of a list of at most max; NULL if absent */
static const MuseJsonValue *list(MuseReader *r, const char *key, uint32_t max)
{
    const MuseJsonValue *v = member(r->object, key);
    char why[64];
    if (r->rc < 0 || !v) return NULL;
    snprintf(why, sizeof why, "is not a list of 1 to %u elements", max);
    if (v->type != MUSE_JSON_ARRAY || v->len < 1 || v->len > max) {
        muse_read_fail(r, MUSE_ERR_FORMAT, key, why);
        return NULL;
    }
    return v->u.first;
}

static MuseReader object(MuseReader *r, const char *key)
{
    const MuseJsonValue *v = muse_read_object(r, key);
    return (MuseReader){ v, key, r->err, r->rc };
}

/* ---- writing the model's part again, as a file of its own ---- */

static int write_value(MuseBuf *b, const MuseJsonValue *v)
{
    char text[40];
    int rc = 0;
    switch (v->type) {
    case MUSE_JSON_NULL: return muse_buf_append(b, "null", 4);
    case MUSE_JSON_BOOL: return v->u.integer ? muse_buf_append(b, "true", 4) : muse_buf_append(b, "false", 5);
    case MUSE_JSON_INT: return muse_buf_append(b, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)v->u.integer));
    case MUSE_JSON_DOUBLE: return muse_buf_append(b, text, (size_t)snprintf(text, sizeof text, "%.17g", v->u.number));
    case MUSE_JSON_STRING: return muse_json_write_string(b, v->u.string, v->len);
    default: break;
    }
    const bool is_object = v->type == MUSE_JSON_OBJECT;
    rc = muse_buf_append(b, is_object ? "{" : "[", 1);
    for (const MuseJsonValue *k = v->u.first; k && rc == 0; k = k->next) {
        if (k != v->u.first) rc = muse_buf_append(b, ", ", 2);
        if (is_object && rc == 0) rc = muse_json_write_string(b, k->key, k->key_len);
        if (is_object && rc == 0) rc = muse_buf_append(b, ": ", 2);
        if (rc == 0) rc = write_value(b, k);
    }
    return rc < 0 ? rc : muse_buf_append(b, is_object ? "}" : "]", 1);
}

static void read_model(MuseTrainConfig *c, MuseReader *r, const MuseLog *log, const char *folder)
{
    const MuseJsonValue *v = muse_json_get(r->object, "model");
    if (r->rc < 0) return;
    if (muse_json_is(v, MUSE_JSON_STRING)) {
        maybe_text(r, c->alloc, "model", folder, true, &c->start);
    } else if (muse_json_is(v, MUSE_JSON_OBJECT)) {
        c->model_json.alloc = c->alloc;
        if (write_value(&c->model_json, v) < 0 || muse_buf_append(&c->model_json, "\n", 1) < 0) r->rc = MUSE_NOMEM(r->err, c->model_json.cap);
        else r->rc = muse_config_from_json(&c->model, c->alloc, log, c->model_json.data, c->model_json.len, r->err);
        if (r->rc < 0) muse_fail_prefix(r->err, r->rc, "\"model\"");
        c->has_model = r->rc == 0;
        if (r->rc == 0 && c->model.arch != MUSE_ARCH_MUSE) muse_read_fail(r, MUSE_ERR_UNSUPPORTED, "model", "is not of family muse, the only one that is trained");
    } else {
        muse_read_fail(r, MUSE_ERR_FORMAT, "model", "is neither a configuration nor the path of a model");
    }
}

/* ---- the objects ---- */

static void read_optim(MuseTrainConfig *c, MuseReader *r)
{
    MuseOptimRules *o = &c->optim;
    MuseReader in = object(r, "optimizer");
    o->muon = true;
    const MuseJsonValue *rl = member(r->object, "rl");
    const bool mode = rl && muse_json_equal(member(rl, "stage"), "mode");
    o->rate = 0.02, o->momentum = 0.95, o->adam_rate = 0.003, o->beta1 = 0.9, o->beta2 = 0.98, o->eps = 1e-8, o->clip = 1;   /* measured: docs/train.md */
    if (rl) o->rate = mode ? 0.002 : 0.001, o->adam_rate = mode ? 4e-4 : 2e-4;
    if (in.object) {
        ONLY(&in, "name", "rate", "momentum", "adam_rate", "beta1", "beta2", "eps", "decay", "clip", "ema");
        const MuseJsonValue *name = member(in.object, "name");
        if (muse_json_equal(name, "adamw")) o->muon = false, o->adam_rate = rl ? o->adam_rate : 0.002;
        else if (name && !muse_json_equal(name, "muon")) muse_read_fail(&in, MUSE_ERR_FORMAT, "name", "is neither \"muon\" nor \"adamw\"");
        maybe_f64(&in, "rate", 0, 10, &o->rate);
        maybe_f64(&in, "momentum", 0, 0.9999, &o->momentum);
        maybe_f64(&in, "adam_rate", 0, 10, &o->adam_rate);
        maybe_f64(&in, "beta1", 0, 0.9999, &o->beta1);
        maybe_f64(&in, "beta2", 0, 0.99999, &o->beta2);
        maybe_f64(&in, "eps", 1e-12, 1, &o->eps);
        maybe_f64(&in, "decay", 0, 10, &o->decay);
        maybe_f64(&in, "clip", 0, 1e9, &o->clip);
        maybe_f64(&in, "ema", 0, 0.99999, &o->ema);
        r->rc = in.rc;
    }
    in = object(r, "schedule");
    uint32_t warmup = rl ? 0 : 20;
    o->stable = rl ? 1 : 0.4, o->last = rl ? 1 : 0.02;
    if (in.object) {
        ONLY(&in, "warmup", "stable", "last");
        muse_read_maybe_u32(&in, "warmup", 0, UINT32_MAX, &warmup);
        maybe_f64(&in, "stable", 0, 1, &o->stable);
        maybe_f64(&in, "last", 0, 1, &o->last);
        r->rc = in.rc;
    }
    o->warmup = warmup;
}

static void read_labels(MuseTrainConfig *c, MuseReader *r)
{
    MuseReader in = object(r, "labels"), head;
    if (in.object) {
        ONLY(&in, "tap", "heads");
        muse_read_u32(&in, "tap", 0, MUSE_LAYERS_MAX, &c->tap);
        for (const MuseJsonValue *v = list(&in, "heads", MUSE_LABEL_HEADS_MAX); v && in.rc == 0; v = v->next, c->n_heads++) {
            if (element(&head, &in, v, "labels.heads")) {
                ONLY(&head, "name", "classes", "weight");
                c->head_weight[c->n_heads] = 1;
                muse_read_u32(&head, "classes", 2, 65536, &c->classes[c->n_heads]);
                maybe_f64(&head, "weight", 0, 1e6, &c->head_weight[c->n_heads]);
            }
            in.rc = head.rc;
        }
        if (in.rc == 0 && c->n_heads == 0) muse_read_fail(&in, MUSE_ERR_FORMAT, "heads", "is missing");
        r->rc = in.rc;
    }
    in = object(r, "gaze");
    if (!in.object) return;
    ONLY(&in, "layer", "head", "weight");
    c->gaze_weight = 0.6;
    muse_read_u32(&in, "layer", 0, MUSE_LAYERS_MAX, &c->gaze_layer);
    muse_read_maybe_u32(&in, "head", 0, MUSE_HEADS_MAX, &c->gaze_head);
    maybe_f64(&in, "weight", 1e-9, 1e6, &c->gaze_weight);
    r->rc = in.rc;
}

static bool has_task(const MuseTrainConfig *c, const MuseJsonValue *name)
{
    bool found = false;
    for (uint32_t i = 0; i < c->n_tasks; i++) found = found || muse_json_equal(name, c->tasks[i]);
    return found;
}

static void read_names(MuseTrainConfig *c, MuseReader *r)
{
    MuseReader in;
    for (const MuseJsonValue *v = list(r, "tasks", MUSE_TASKS_MAX); v && r->rc == 0; v = v->next) {
        if (v->type != MUSE_JSON_STRING || v->len == 0 || v->len > 64) muse_read_fail(r, MUSE_ERR_FORMAT, "tasks", "holds something that is no name of 1 to 64 bytes");
        else if (has_task(c, v)) muse_read_fail(r, MUSE_ERR_FORMAT, "tasks", "holds a name twice");
        else if (!(c->tasks[c->n_tasks] = muse_train_path(c->alloc, NULL, v->u.string, v->len))) r->rc = MUSE_NOMEM(r->err, v->len);
        else c->n_tasks++;
    }
    for (const MuseJsonValue *v = list(r, "groups", MUSE_GROUPS_MAX); v && r->rc == 0; v = v->next) {
        double w;
        if (!muse_json_read_f64(v, -1, &w) || !(w >= 0 && w <= 1e6)) muse_read_fail(r, MUSE_ERR_FORMAT, "groups", "holds something that is no weight from 0 to 1e6");
        else c->group_weight[c->n_groups++] = w;
    }
    if (c->n_groups == 0) c->group_weight[c->n_groups++] = 1;
    in = object(r, "places");
    if (!in.object) return;
    ONLY(&in, "first", "count", "sigma");
    muse_read_u32(&in, "first", 0, MUSE_VOCAB_MAX, &c->place_first);
    muse_read_u32(&in, "count", 1, MUSE_VOCAB_MAX, &c->place_count);
    muse_read_f64(&in, "sigma", 0, (double)MUSE_SOFT_RADIUS_MAX / 3, &c->place_sigma);
    r->rc = in.rc;
}

static void read_shared(MuseTrainConfig *c, MuseReader *r)
{
    MuseReader in = object(r, "shared_places");
    if (!in.object) return;
    ONLY(&in, "x", "y", "count", "patches");
    muse_read_u32(&in, "x", 0, MUSE_VOCAB_MAX, &c->shared.x);
    muse_read_u32(&in, "y", 0, MUSE_VOCAB_MAX, &c->shared.y);
    muse_read_u32(&in, "count", 1, MUSE_VOCAB_MAX, &c->shared.count);
    muse_read_u32(&in, "patches", 1, MUSE_VOCAB_MAX, &c->shared.patches);
    r->rc = in.rc;
}

static void read_data(MuseTrainConfig *c, MuseReader *r, const char *folder)
{
    for (const MuseJsonValue *v = list(r, "data", MUSE_DATA_MAX); v && r->rc == 0; v = v->next) {
        MuseReader in;
        MuseDataConfig *d = &c->data[c->n_data];
        *d = (MuseDataConfig){ .weight = 1, .shuffle = true };
        if (element(&in, r, v, "data")) {
            ONLY(&in, "jsonl", "random", "worlds", "weight", "shuffle", "broken");
            c->n_data++;
            muse_read_maybe_u32(&in, "weight", 1, 1000, &d->weight);
            muse_read_maybe_bool(&in, "shuffle", &d->shuffle);
            const MuseJsonValue *broken = member(in.object, "broken");
            d->skip_broken = muse_json_equal(broken, "skip");
            if (broken && !d->skip_broken && !muse_json_equal(broken, "stop")) muse_read_fail(&in, MUSE_ERR_FORMAT, "broken", "is neither \"stop\" nor \"skip\"");
            if (muse_read_has(&in, "jsonl") + muse_read_has(&in, "random") + muse_read_has(&in, "worlds") > 1)
                muse_read_fail(&in, MUSE_ERR_FORMAT, "jsonl", "or \"random\" or \"worlds\": an element is one source");
            MuseReader random = object(&in, "random");
            if (random.object) {
                d->kind = MUSE_DATA_RANDOM;
                ONLY(&random, "length");
                muse_read_u32(&random, "length", 2, 1 << 20, &d->length);
                in.rc = random.rc;
            } else if (member(in.object, "worlds")) {
                d->kind = MUSE_DATA_CALLER;
            } else {
                maybe_text(&in, c->alloc, "jsonl", folder, true, &d->path);
                if (in.rc == 0 && !d->path) muse_read_fail(&in, MUSE_ERR_FORMAT, "jsonl", "is missing (or \"random\")");
            }
        }
        r->rc = in.rc;
    }
}

/* ---- trial and reward ---- */

static void read_reward(MuseRlConfig *rl, MuseReader *r)
{
    MuseReader in = object(r, "reward");
    rl->reward = (MuseRewardRules){ .right = 1, .format = 0.1, .look = 0.2, .iou = 0.2, .cut = 0.3 };
    if (!in.object) return;
    ONLY(&in, "right", "format", "look", "iou", "tokens", "cut");
    maybe_f64(&in, "right", 0, 100, &rl->reward.right);
    maybe_f64(&in, "format", 0, 100, &rl->reward.format);
    maybe_f64(&in, "look", 0, 100, &rl->reward.look);
    maybe_f64(&in, "iou", 0, 100, &rl->reward.iou);
    maybe_f64(&in, "tokens", 0, 100, &rl->reward.tokens);
    maybe_f64(&in, "cut", 0, 1, &rl->reward.cut);
    r->rc = in.rc;
}

static void read_rl_parts(MuseRlConfig *rl, MuseReader *r)
{
    MuseReader in = object(r, "supervised");
    if (in.object) {
        ONLY(&in, "weight", "every");
        maybe_f64(&in, "weight", 0, 1e6, &rl->supervised);
        muse_read_maybe_u32(&in, "every", 1, 1000000, &rl->every);
        r->rc = in.rc;
    }
    in = object(r, "guard");
    if (!in.object) return;
    ONLY(&in, "prompts", "every");
    muse_read_maybe_u32(&in, "prompts", 0, 1000000, &rl->guard_prompts);
    muse_read_maybe_u32(&in, "every", 1, 1000000, &rl->guard_every);
    r->rc = in.rc;
}

/* keys that say nothing in this stage */
static void refuse_other_stage(MuseReader *r, bool mode)
{
    static const struct { const char *key; bool mode; } only[] = { { "reward", false }, { "scale", false }, { "margin", true } };
    for (size_t i = 0; i < sizeof only / sizeof *only; i++)
        if (only[i].mode != mode && muse_read_has(r, only[i].key)) muse_read_fail(r, MUSE_ERR_FORMAT, only[i].key, mode ? "is of stage \"grpo\" only" : "is of stage \"mode\" only");
}

static void read_rl(MuseTrainConfig *c, MuseReader *r, const char *folder)
{
    MuseRlConfig *rl = &c->rl;
    MuseReader in = object(r, "rl");
    if (!in.object) return;
    ONLY(&in, "stage", "jsonl", "held_out", "worlds", "prompts", "samples", "temperature", "thought_tokens", "answer_tokens", "looks", "reward", "scale", "margin", "supervised", "guard");
    const MuseJsonValue *stage = member(in.object, "stage"), *scale = member(in.object, "scale");
    rl->stage = muse_json_equal(stage, "mode") ? MUSE_RL_MODE : MUSE_RL_GRPO;
    if (rl->stage == MUSE_RL_GRPO && !muse_json_equal(stage, "grpo")) muse_read_fail(&in, MUSE_ERR_FORMAT, "stage", "is neither \"grpo\" nor \"mode\"");
    rl->by_task = !muse_json_equal(scale, "none");
    if (scale && rl->by_task && !muse_json_equal(scale, "task")) muse_read_fail(&in, MUSE_ERR_FORMAT, "scale", "is neither \"task\" nor \"none\"");
    const bool mode = rl->stage == MUSE_RL_MODE;   /* docs/train.md, "Trial and reward" */
    refuse_other_stage(&in, mode);
    rl->prompts = mode ? 20 : 8, rl->samples = mode ? 1 : 8, rl->thought_tokens = 256, rl->answer_tokens = 64, rl->looks = 4;
    rl->temperature = mode ? 0 : 1, rl->margin = 0.05, rl->supervised = 0.5, rl->every = 2, rl->guard_prompts = 64, rl->guard_every = 20;
    maybe_text(&in, c->alloc, "jsonl", folder, true, &rl->jsonl);
    maybe_text(&in, c->alloc, "held_out", folder, true, &rl->held_out);
    if (in.rc == 0 && rl->held_out && !rl->jsonl) muse_read_fail(&in, MUSE_ERR_FORMAT, "held_out", "is there without \"jsonl\"");
    if (in.rc == 0 && rl->jsonl && member(in.object, "worlds")) muse_read_fail(&in, MUSE_ERR_FORMAT, "jsonl", "stands beside \"worlds\"");
    muse_read_maybe_u32(&in, "prompts", 1, 4096, &rl->prompts);
    muse_read_maybe_u32(&in, "samples", mode ? 1 : 2, MUSE_AGENTS_MAX, &rl->samples);
    muse_read_maybe_u32(&in, "thought_tokens", 1, 1 << 20, &rl->thought_tokens);
    muse_read_maybe_u32(&in, "answer_tokens", 1, 1 << 20, &rl->answer_tokens);
    muse_read_maybe_u32(&in, "looks", 1, 64, &rl->looks);
    maybe_f64(&in, "temperature", mode ? 0 : 0.01, 100, &rl->temperature);
    if (in.rc == 0 && rl->samples > 1 && rl->temperature == 0) muse_read_fail(&in, MUSE_ERR_FORMAT, "samples", "is more than 1 without \"temperature\": greedy answers are all alike");
    maybe_f64(&in, "margin", 0.001, 1, &rl->margin);
    read_reward(rl, &in);
    read_rl_parts(rl, &in);
    if (in.rc == 0 && c->n_groups == MUSE_GROUPS_MAX) muse_read_fail(&in, MUSE_ERR_FORMAT, "stage", "needs a group of its own: \"groups\" has as many as there can be");
    r->rc = in.rc;
    for (uint32_t i = 0; i < c->n_groups; i++) c->group_weight[i] *= rl->supervised;
    for (uint32_t i = 0; i < c->n_heads; i++) c->head_weight[i] *= rl->supervised;
    c->gaze_weight *= rl->supervised;
    if (r->rc == 0) c->group_weight[c->n_groups++] = 1;
}

static void read_rest(MuseTrainConfig *c, MuseReader *r, const char *folder)
{
    uint32_t steps = 0;
    c->seed = 1, c->samples = 16, c->positions = 4096, c->loaders = 1, c->every = 500, c->keep = 2;
    muse_read_u32(r, "steps", 1, UINT32_MAX, &steps);
    c->optim.steps = steps;
    muse_read_maybe_u32(r, "seed", 0, UINT32_MAX, &c->seed);
    muse_read_maybe_u32(r, "loaders", 0, 64, &c->loaders);
    maybe_text(r, c->alloc, "out", folder, true, &c->out);
    maybe_text(r, c->alloc, "tokenizer", folder, true, &c->tokenizer);
    const MuseJsonValue *compute = member(r->object, "compute");
    c->compute = muse_json_equal(compute, "f32") ? 1 : muse_json_equal(compute, "bf16") ? 2 : 0;
    if (compute && !c->compute && !muse_json_equal(compute, "auto")) muse_read_fail(r, MUSE_ERR_FORMAT, "compute", "is neither \"auto\" nor \"bf16\" nor \"f32\"");
    MuseReader in = object(r, "batch");
    if (in.object) {
        ONLY(&in, "samples", "positions");
        muse_read_maybe_u32(&in, "samples", 1, 1 << 20, &c->samples);
        muse_read_maybe_u32(&in, "positions", 2, 1 << 20, &c->positions);
        r->rc = in.rc;
    }
    in = object(r, "checkpoint");
    if (!in.object) return;
    ONLY(&in, "every", "keep");
    muse_read_maybe_u32(&in, "every", 1, UINT32_MAX, &c->every);
    muse_read_maybe_u32(&in, "keep", 1, 1000, &c->keep);
    r->rc = in.rc;
}

int muse_train_config_read(MuseTrainConfig *c, const MuseAllocator *a, const MuseLog *log, const char *json, size_t size, const char *folder, MuseError *err)
{
    memset(c, 0, sizeof *c);
    c->alloc = a;
    c->json = muse_train_path(a, NULL, json, size);
    if (!c->json) return MUSE_NOMEM(err, size);
    int rc = muse_json_parse(&c->doc, a, c->json, size, err);
    if (rc < 0) return rc;
    if (!muse_json_is(c->doc.root, MUSE_JSON_OBJECT)) return muse_fail(err, MUSE_ERR_FORMAT, "the training document is not a JSON object");
    MuseReader r = { c->doc.root, "training document", err, 0 };
    ONLY(&r, "model", "tokenizer", "out", "seed", "steps", "compute", "batch", "optimizer", "schedule", "labels", "gaze", "tasks", "groups", "places", "shared_places", "data", "checkpoint", "loaders", "rl");
    read_rest(c, &r, folder);
    read_model(c, &r, log, folder);
    read_optim(c, &r);
    read_labels(c, &r);
    read_names(c, &r);
    read_shared(c, &r);
    read_data(c, &r, folder);
    read_rl(c, &r, folder);
    if (r.rc == 0 && c->has_model) r.rc = muse_train_config_check(c, err);
    return r.rc;
}

int muse_train_config_check(const MuseTrainConfig *c, MuseError *err)
{
    const MuseConfig *m = &c->model;
    if (c->n_heads && c->tap > m->n_layers) return muse_fail(err, MUSE_ERR_FORMAT, "\"labels\": tap %u; the model has %u layers", c->tap, m->n_layers);
    if (c->gaze_weight > 0 && (c->gaze_layer >= m->n_layers || c->gaze_head >= m->layers[c->gaze_layer].heads))
        return muse_fail(err, MUSE_ERR_FORMAT, "\"gaze\": layer %u, head %u; the model has no such head", c->gaze_layer, c->gaze_head);
    if (c->place_sigma > 0 && (uint64_t)c->place_first + c->place_count > m->vocab)
        return muse_fail(err, MUSE_ERR_FORMAT, "\"places\": ids from %u on, %u of them; the vocabulary has %u", c->place_first, c->place_count, m->vocab);
    return muse_share_check(&c->shared, m, err);
}

void muse_train_config_clear(MuseTrainConfig *c)
{
    for (uint32_t i = 0; i < c->n_tasks; i++) muse_free(c->tasks[i]);
    for (uint32_t i = 0; i < c->n_data; i++) muse_free(c->data[i].path);
    muse_free(c->rl.jsonl);
    muse_free(c->rl.held_out);
    muse_free(c->start);
    muse_free(c->out);
    muse_free(c->tokenizer);
    muse_config_clear(&c->model);
    muse_buf_clear(&c->model_json);
    muse_json_close(&c->doc);
    muse_free(c->json);
    memset(c, 0, sizeof *c);
}
