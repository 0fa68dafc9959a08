/* SPDX-License-Identifier: Apache-2.0 */
/* See doc.h. */
#include "tools/nano/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "muse/muse.h"

enum { BRACKETS_MAX = 8192 };   /* of objects and lists: the largest document has under 1,000 */

/* yajl frees its tree by recursion, and takes comments: no more brackets than a stack holds, wherever they stand */
static int too_deep(const char *json, size_t size)
{
    size_t brackets = 0;
    for (size_t i = 0; i < size; i++) brackets += json[i] == '{' || json[i] == '[';
    return brackets > BRACKETS_MAX;
}

yajl_val nano_doc_parse(const char *json, size_t size, int *code)
{
    *code = MUSE_ERR_LIMIT;
    if (too_deep(json, size)) return NULL;
    *code = MUSE_ERR_NOMEM;
    char *copy = malloc(size + 1);   /* yajl wants it terminated */
    if (!copy) return NULL;
    memcpy(copy, json, size);
    copy[size] = 0;
    yajl_val doc = yajl_tree_parse(copy, NULL, 0);
    free(copy);
    *code = doc ? 0 : MUSE_ERR_FORMAT;
    return doc;
}

yajl_val nano_doc_get(yajl_val object, const char *key)
{
    for (size_t i = 0; YAJL_IS_OBJECT(object) && i < object->u.object.len; i++)
        if (strcmp(object->u.object.keys[i], key) == 0) return object->u.object.values[i];
    return NULL;
}

const char *nano_doc_odd_key(yajl_val object, const char *const *names, int *twice)
{
    for (size_t i = 0; i < object->u.object.len; i++) {
        const char *key = object->u.object.keys[i];
        size_t k = 0;
        while (names[k] && strcmp(names[k], key) != 0) k++;
        *twice = 0;
        if (!names[k]) return key;
        *twice = 1;
        for (size_t j = 0; j < i; j++)
            if (strcmp(object->u.object.keys[j], key) == 0) return key;
    }
    return NULL;
}

int nano_doc_path(char *out, size_t cap, const char *folder, const char *name)
{
    const int from_root = name[0] == '/';
    return snprintf(out, cap, "%s%s%s", from_root ? "" : folder, from_root ? "" : "/", name) < (int)cap ? 0 : -1;
}
