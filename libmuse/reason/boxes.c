/* SPDX-License-Identifier: Apache-2.0 */
/* Reads boxes and points out of an answer in JSON. Names and numbers only: what they mean in pixels is record_boxes.c's, which calls this. */
#include "libmuse/reason/boxes.h"

#include <string.h>

#include "base/json.h"

/* Gemma and Gemini write box_2d, Qwen the other two */
static const struct { const char *key; size_t n; } keys[] = { { "box_2d", 4 }, { "bbox_2d", 4 }, { "point_2d", 2 } };

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static const char *find(const char *text, const char *end, const char *what) { return memmem(text, (size_t)(end - text), what, strlen(what)); }

/* The JSON of an answer, or false: all of it, or what stands between its only two fences */
static bool find_json(const char **text, size_t *n)
{
    static const char fence[] = "```", word[] = "json";
    const char *from = *text, *end = from + *n, *open = find(from, end, fence);
    if (open) {
        from = open + 3;
        if (end - from > 4 && memcmp(from, word, 4) == 0) from += 4;
        const char *close = find(from, end, fence);
        if (!close || find(close + 3, end, fence)) return false;
        end = close;
    }
    while (from < end && is_space(*from)) from++;
    *text = from;
    *n = (size_t)(end - from);
    return from < end && (*from == '[' || *from == '{');
}

static bool names_a_box(const char *text, size_t n)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (find(text, text + n, keys[i].key)) return true;
    return false;
}

/* a box of its own for each member with one of the keys */
static int read_object(const MuseJsonValue *object, MuseBoxFn *fn, void *user)
{
    const MuseJsonValue *label = muse_json_get(object, "label"), *image = muse_json_get(object, "image");
    MuseBox box = { 0 };
    int rc = 0;
    if (muse_json_is(label, MUSE_JSON_STRING)) box.label = label->u.string, box.n_label = label->len;
    const bool numbered = muse_json_is(image, MUSE_JSON_INT) || muse_json_is(image, MUSE_JSON_DOUBLE);   /* a file's name, say, tells nothing */
    if (numbered && (!muse_json_read_i64(image, 0, &box.image) || box.image < 1)) box.image = -1;
    for (const MuseJsonValue *m = object->u.first; m && rc == 0; m = m->next)
        for (size_t i = 0; i < sizeof keys / sizeof *keys && rc == 0; i++) {
            if (m->key_len != strlen(keys[i].key) || memcmp(m->key, keys[i].key, m->key_len) != 0) continue;
            box.n = m->type == MUSE_JSON_ARRAY && m->len == keys[i].n ? keys[i].n : 0;
            const MuseJsonValue *v = box.n ? m->u.first : NULL;
            for (size_t k = 0; v; v = v->next, k++)
                if (v->type == MUSE_JSON_NULL || !muse_json_read_f64(v, 0, &box.v[k])) box.n = 0;
            rc = fn(user, &box);
        }
    return rc;
}

/* objects of it at any depth, which the parser limits */
static int walk(const MuseJsonValue *v, MuseBoxFn *fn, void *user)
{
    if (v->type != MUSE_JSON_ARRAY && v->type != MUSE_JSON_OBJECT) return 0;
    int rc = v->type == MUSE_JSON_OBJECT ? read_object(v, fn, user) : 0;
    for (const MuseJsonValue *m = v->u.first; m && rc == 0; m = m->next) rc = walk(m, fn, user);
    return rc;
}

int muse_read_boxes(const MuseAllocator *alloc, const char *text, size_t n, MuseBoxFn *fn, void *user, MuseError *err)
{
    MuseJson doc = { 0 };
    if (!n || !find_json(&text, &n) || !names_a_box(text, n)) return 0;
    int rc = muse_json_parse(&doc, alloc, text, n, err);
    if (rc == 0) rc = walk(doc.root, fn, user);
    muse_json_close(&doc);
    return rc;
}
