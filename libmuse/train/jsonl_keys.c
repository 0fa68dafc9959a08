/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of a data set's line that have no effect where they stand. A misspelt one would be a thought, a question or a right answer
 * that is missing without a word. Called by jsonl.c and jsonl_prompt.c, for lines that were read. */
#include <string.h>

#include "libmuse/train/data.h"

/* with what muse worlds and muse eval know besides, which has no effect on purpose */
static const char *const part_keys[] = { "text", "given", "image", "audio", "region", "budget", "learn", NULL };
static const char *const branch_keys[] = { "task", "group", "parts", "thought", "answer", "accept", "given", "views", NULL };
static const char *const line_keys[] = { "task", "group", "parts", "thought", "answer", "accept", "given", "views", "system", "turns", "world", "split", "seed", "index", "objects", NULL };
static const char *const shared_keys[] = { "parts", "branches", "system", "world", "split", "seed", "index", "objects", NULL };   /* of a line with branches */

static void tell(const MuseJsonlTeller *t, const MuseJsonValue *object, const char *const *known)
{
    for (const MuseJsonValue *v = muse_json_is(object, MUSE_JSON_OBJECT) ? object->u.first : NULL; v; v = v->next) {
        unsigned hash = 0;
        const char *const *k = known;
        while (*k && !(strlen(*k) == v->key_len && memcmp(*k, v->key, v->key_len) == 0)) k++;
        for (size_t i = 0; i < v->key_len; i++) hash = hash * 31 + (unsigned char)v->key[i];
        const unsigned long long bit = 1ull << hash % 61;
        if (*k || (atomic_fetch_or(t->told, bit) & bit)) continue;
        muse_log(t->log, MUSE_LOG_WARN, "%s:%llu: key \"%.*s\" has no effect here; said once a file", t->path, (unsigned long long)t->line, v->key_len < 60 ? (int)v->key_len : 60, v->key);
    }
}

static const MuseJsonValue *first_of(const MuseJsonValue *object, const char *list)
{
    const MuseJsonValue *v = muse_json_get(object, list);
    return muse_json_is(v, MUSE_JSON_ARRAY) ? v->u.first : NULL;
}

static void tell_turn(const MuseJsonlTeller *t, const MuseJsonValue *turn, const char *const *known)
{
    tell(t, turn, known);
    for (const MuseJsonValue *v = first_of(turn, "parts"); v; v = v->next) tell(t, v, part_keys);
    for (const MuseJsonValue *v = first_of(turn, "thought"); v; v = v->next) tell(t, v, part_keys);
}

void muse_jsonl_tell_keys(const MuseJsonlTeller *t, const MuseJsonValue *line)
{
    tell_turn(t, line, muse_json_get(line, "branches") ? shared_keys : line_keys);
    for (const MuseJsonValue *v = first_of(line, "branches"); v; v = v->next) tell_turn(t, v, branch_keys);
    for (const MuseJsonValue *v = first_of(line, "turns"); v; v = v->next) tell_turn(t, v, branch_keys);
}
