/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a training document that libmuse leaves to the muse program: "data": [{"worlds": {...}}], and what samples must
 * know of "labels", "tasks", "groups" and "gaze". libmuse has checked, or will check, everything else. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/nano/doc.h"
#include "tools/nano/worlds_source.h"

typedef struct Reader {
    MuseError *err;
    int rc;
} Reader;

static void __attribute__((format(printf, 2, 3))) refuse(Reader *r, const char *fmt, ...)
{
    if (r->rc < 0) return;
    va_list args;
    va_start(args, fmt);
    r->err->code = r->rc = MUSE_ERR_FORMAT;
    vsnprintf(r->err->text, sizeof r->err->text, fmt, args);
    va_end(args);
}

/* every key of the object is one of these, once */
static void only(Reader *r, yajl_val object, const char *where, const char *const *names)
{
    if (!YAJL_IS_OBJECT(object)) {
        refuse(r, "%s is not an object", where);
        return;
    }
    int twice;
    const char *key = nano_doc_odd_key(object, names, &twice);
    if (key) refuse(r, twice ? "%s: \"%.60s\" stands there twice" : "%s: \"%.60s\" is not a key that is known", where, key);
}
#define ONLY(r, object, where, ...) only(r, object, where, (const char *const[]){ __VA_ARGS__, NULL })

static uint64_t whole(Reader *r, yajl_val object, const char *key, uint64_t low, uint64_t high, uint64_t absent)
{
    yajl_val v = nano_doc_get(object, key);
    if (!v) return absent;
    if (YAJL_IS_INTEGER(v) && YAJL_GET_INTEGER(v) >= 0 && (uint64_t)YAJL_GET_INTEGER(v) >= low && (uint64_t)YAJL_GET_INTEGER(v) <= high) return (uint64_t)YAJL_GET_INTEGER(v);
    refuse(r, "worlds: \"%s\" is not a whole number from %llu to %llu", key, (unsigned long long)low, (unsigned long long)high);
    return absent;
}

/* 0..n-1: which of the names it is */
static int choice(Reader *r, yajl_val object, const char *key, const char *const *names, int absent)
{
    yajl_val v = nano_doc_get(object, key);
    if (!v) return absent;
    for (int i = 0; YAJL_IS_STRING(v) && names[i]; i++)
        if (strcmp(names[i], v->u.string) == 0) return i;
    refuse(r, "worlds: \"%s\" is not one of %s, %s ...", key, names[0], names[1]);
    return absent;
}

static void text(Reader *r, yajl_val object, const char *key, char *out, size_t size)
{
    yajl_val v = nano_doc_get(object, key);
    if (!v) return;
    if (YAJL_IS_STRING(v) && v->u.string[0] && strlen(v->u.string) < size) strcpy(out, v->u.string);
    else refuse(r, "worlds: \"%s\" is not a name of 1 to %zu bytes", key, size - 1);
}

static double share(Reader *r, yajl_val object, const char *key)
{
    yajl_val v = nano_doc_get(object, key);
    if (!v) return 0;
    if (YAJL_IS_NUMBER(v) && YAJL_GET_DOUBLE(v) >= 0 && YAJL_GET_DOUBLE(v) <= 1) return YAJL_GET_DOUBLE(v);
    refuse(r, "worlds: \"%s\" is not a number from 0 to 1", key);
    return 0;
}

static int is_task(const char *name)
{
    for (size_t i = 0; muse_worlds_name(i); i++) {
        if (strcmp(muse_worlds_name(i), name) == 0) return 1;
        for (size_t k = 0; muse_worlds_kind_of(i, k); k++)
            if (strcmp(muse_worlds_kind_of(i, k), name) == 0) return 1;
    }
    return 0;
}

static void read_mix(Reader *r, yajl_val v, int has_speech, NanoMix *m)
{
    static const char *const forms[] = { "mix", "direct", "think", NULL };
    ONLY(r, v, "worlds.mix", "task", "only", "weight", "form", "min_side", "max_side", "aspect", "branches", "overview", "budget", "spoken");
    if (r->rc < 0) return;
    text(r, v, "task", m->task, sizeof m->task);
    text(r, v, "only", m->only, sizeof m->only);
    const int hear = strcmp(m->task, "hear") == 0;
    if (!hear && !is_task(m->task)) refuse(r, "worlds.mix: \"%s\" is no world and no kind of question", m->task);
    m->spoken = share(r, v, "spoken");
    if (!has_speech && (hear || m->spoken > 0)) refuse(r, "worlds.mix: \"hear\" and \"spoken\" need \"speech\"");
    muse_worlds_options_init(&m->options);
    m->weight = (uint32_t)whole(r, v, "weight", 1, 1000, 1);
    m->options.form = choice(r, v, "form", forms, MUSE_WORLDS_MIX);
    m->options.min_side = (uint32_t)whole(r, v, "min_side", 64, 1024, 0);
    m->options.max_side = (uint32_t)whole(r, v, "max_side", m->options.min_side ? m->options.min_side : 64, 1024, 0);
    m->options.aspect = (uint32_t)whole(r, v, "aspect", 2, 8, 0);
    m->options.branches = (uint32_t)whole(r, v, "branches", 1, 32, 0);
    m->options.overview = (uint32_t)whole(r, v, "overview", 16, 1024, 0);
    m->budget = (uint32_t)whole(r, v, "budget", 1, 65536, 0);
}

static void read_mixes(Reader *r, yajl_val v, int has_speech, NanoStage *s)
{
    yajl_val mix = nano_doc_get(v, "mix");
    if (!YAJL_IS_ARRAY(mix) || mix->u.array.len < 1 || mix->u.array.len > NANO_MIX_MAX) refuse(r, "worlds: \"mix\" is not a list of 1 to %d", NANO_MIX_MAX);
    for (; r->rc == 0 && s->n_mix < mix->u.array.len; s->n_mix++) {
        read_mix(r, mix->u.array.values[s->n_mix], has_speech, &s->mix[s->n_mix]);
        s->round += s->mix[s->n_mix].weight;
    }
}

static void read_stage(Reader *r, yajl_val v, int last, int has_speech, NanoStage *s)
{
    ONLY(r, v, "worlds.stages", "samples", "mix");
    if (r->rc == 0 && last != !nano_doc_get(v, "samples")) refuse(r, "worlds.stages: all but the last have \"samples\", and it has none");
    s->samples = whole(r, v, "samples", 1, UINT64_C(1) << 48, UINT64_MAX);
    read_mixes(r, v, has_speech, s);
}

static const char *const fonts[] = { "system", "builtin", NULL };

static void read_worlds(Reader *r, NanoPlan *p, yajl_val worlds)
{
    ONLY(r, worlds, "worlds", "seed", "fonts", "speech", "stages");
    yajl_val stages = nano_doc_get(worlds, "stages");
    if (!YAJL_IS_ARRAY(stages) || stages->u.array.len < 1 || stages->u.array.len > NANO_STAGES_MAX) refuse(r, "worlds: \"stages\" is not a list of 1 to %d", NANO_STAGES_MAX);
    p->seed = whole(r, worlds, "seed", 0, INT64_MAX, 1);
    p->fonts = choice(r, worlds, "fonts", fonts, MUSE_WORLDS_FONTS_SYSTEM);
    text(r, worlds, "speech", p->speech, sizeof p->speech);
    for (; r->rc == 0 && p->n_stages < stages->u.array.len; p->n_stages++)
        read_stage(r, stages->u.array.values[p->n_stages], p->n_stages + 1 == stages->u.array.len, p->speech[0] != 0, &p->stages[p->n_stages]);
}

/* classes of a head must hold what patches and sounds are called */
static void read_heads(Reader *r, NanoPlan *p, yajl_val heads)
{
    static const struct { const char *name; uint32_t classes; } known[NANO_LABELS] = { { "kind", MUSE_WORLDS_KINDS }, { "mark", 37 }, { "color", MUSE_WORLDS_COLORS },
        { "size", MUSE_WORLDS_SIZES }, { "dx", 41 }, { "dy", 41 }, { "phone", NANO_PHONES } };
    for (; YAJL_IS_ARRAY(heads) && p->n_heads < heads->u.array.len && r->rc == 0; p->n_heads++) {
        yajl_val head = heads->u.array.values[p->n_heads], name = nano_doc_get(head, "name");
        int k = 0;
        while (k < NANO_LABELS && !(YAJL_IS_STRING(name) && strcmp(name->u.string, known[k].name) == 0)) k++;
        if (p->n_heads == NANO_HEADS_MAX || k == NANO_LABELS) refuse(r, "labels.heads: worlds have kind, mark, color, size, dx, dy and phone");
        else if (whole(r, head, "classes", 2, 65536, 0) != known[k].classes) refuse(r, "labels.heads: \"%s\" has %u classes", known[k].name, known[k].classes);
        else p->heads[p->n_heads] = k;
    }
}

static void read_tasks(Reader *r, NanoPlan *p, yajl_val tasks)
{
    for (; YAJL_IS_ARRAY(tasks) && p->n_tasks < tasks->u.array.len && r->rc == 0; p->n_tasks++) {
        yajl_val name = tasks->u.array.values[p->n_tasks];
        if (p->n_tasks == NANO_TASKS_MAX || !YAJL_IS_STRING(name) || strlen(name->u.string) >= sizeof *p->tasks) refuse(r, "\"tasks\" is not a list of at most %d names", NANO_TASKS_MAX);
        else strcpy(p->tasks[p->n_tasks], name->u.string);
    }
}

/* What the runtime shows of a picture: the model's own numbers. libmuse checks the rest of them. */
static void read_image(Reader *r, NanoPlan *p, yajl_val model)
{
    yajl_val image = nano_doc_get(model, "image_config"), list = nano_doc_get(image, "budgets");
    p->budget = (uint32_t)whole(r, image, "default_budget", 1, 65536, 0);
    p->unit = (uint32_t)whole(r, image, "patch_size", 1, 256, 0);
    memset(p->budgets, 0, sizeof p->budgets);
    if (list && (!YAJL_IS_ARRAY(list) || list->u.array.len > MUSE_BUDGETS_MAX)) refuse(r, "\"budgets\" is not a list of at most %d numbers", MUSE_BUDGETS_MAX);
    for (size_t i = 0; r->rc == 0 && list && i < list->u.array.len; i++) {
        yajl_val v = list->u.array.values[i];
        const long long n = YAJL_IS_INTEGER(v) ? YAJL_GET_INTEGER(v) : 0;
        if (n < 1 || n > 65536 || (i && n <= (long long)p->budgets[i - 1])) refuse(r, "\"budgets\" does not ascend from 1 to 65536");
        else p->budgets[i] = (uint32_t)n;
    }
}

static void read_rest(Reader *r, NanoPlan *p, yajl_val doc)
{
    yajl_val groups = nano_doc_get(doc, "groups");
    read_heads(r, p, nano_doc_get(nano_doc_get(doc, "labels"), "heads"));
    p->gaze = nano_doc_get(doc, "gaze") != NULL;
    p->positions = whole(r, nano_doc_get(doc, "batch"), "positions", 2, UINT64_C(1) << 48, 4096);   /* libmuse's default */
    p->n_groups = YAJL_IS_ARRAY(groups) ? (uint32_t)groups->u.array.len : 1;
    read_tasks(r, p, nano_doc_get(doc, "tasks"));
    read_image(r, p, nano_doc_get(doc, "model"));
}

int nano_model_path(const char *json, size_t size, char *path, size_t cap)
{
    int code;
    yajl_val doc = nano_doc_parse(json, size, &code), v = nano_doc_get(doc, "model");
    const int good = YAJL_IS_STRING(v) && snprintf(path, cap, "%s/config.json", v->u.string) < (int)cap;
    yajl_tree_free(doc);
    return good ? 0 : MUSE_ERR_NOT_FOUND;
}

int nano_plan_model(NanoPlan *p, const char *json, size_t size, MuseError *err)
{
    Reader r = { err, 0 };
    int code;
    yajl_val doc = nano_doc_parse(json, size, &code);   /* NULL: damaged; libmuse says how */
    read_image(&r, p, doc);
    yajl_tree_free(doc);
    return r.rc;
}

int nano_tokenizer_path(const char *json, size_t size, char *path, size_t cap)
{
    int code;
    yajl_val doc = nano_doc_parse(json, size, &code), v = nano_doc_get(doc, "tokenizer");
    if (!v) v = nano_doc_get(doc, "model");
    const int good = YAJL_IS_STRING(v) && strlen(v->u.string) < cap;
    if (good) strcpy(path, v->u.string);
    yajl_tree_free(doc);
    return good ? 0 : MUSE_ERR_NOT_FOUND;
}

int nano_plan_read(NanoPlan *p, const char *json, size_t size, MuseError *err)
{
    Reader r = { err, 0 };
    int code;
    yajl_val doc = nano_doc_parse(json, size, &code), data = nano_doc_get(doc, "data"), worlds = NULL;   /* doc NULL: damaged; libmuse says how */
    memset(p, 0, sizeof *p);
    for (size_t i = 0; YAJL_IS_ARRAY(data) && i < data->u.array.len; i++)
        if (nano_doc_get(data->u.array.values[i], "worlds")) worlds = nano_doc_get(data->u.array.values[i], "worlds");
    const int has = worlds != NULL;
    if (has && (data->u.array.len > 1 || data->u.array.values[0]->u.object.len > 1)) refuse(&r, "\"data\": worlds stand alone");
    if (has && r.rc == 0) read_worlds(&r, p, worlds);
    if (has && r.rc == 0) read_rest(&r, p, doc);
    yajl_tree_free(doc);
    return r.rc < 0 ? r.rc : has;
}

int nano_prompts_read(NanoPrompts *p, const char *json, size_t size, MuseError *err)
{
    Reader r = { err, 0 };
    int code;
    yajl_val doc = nano_doc_parse(json, size, &code), worlds = nano_doc_get(nano_doc_get(doc, "rl"), "worlds");
    const int has = worlds != NULL;
    memset(p, 0, sizeof *p);
    if (has) {
        ONLY(&r, worlds, "rl.worlds", "seed", "fonts", "mix");
        p->plan.seed = whole(&r, worlds, "seed", 0, INT64_MAX, 2);   /* not the data's own default: other pictures */
        p->plan.fonts = choice(&r, worlds, "fonts", fonts, MUSE_WORLDS_FONTS_SYSTEM);
        p->plan.n_stages = 1;
        p->plan.stages[0].samples = UINT64_MAX;
        if (r.rc == 0) read_mixes(&r, worlds, 0, &p->plan.stages[0]);
        for (size_t i = 0; r.rc == 0 && i < p->plan.stages[0].n_mix; i++)
            if (p->plan.stages[0].mix[i].budget) refuse(&r, "rl.worlds.mix: \"budget\" is for data; what is tried is shown at the model's default");
        read_tasks(&r, &p->plan, nano_doc_get(doc, "tasks"));
    }
    yajl_tree_free(doc);
    return r.rc < 0 ? r.rc : has;
}
