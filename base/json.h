/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON document as a tree, parsed by yajl. Strings are slices with a length: NUL is allowed, unescaped ones point into
 * the input, so the input must outlive the tree. Depth is limited to 128, so no recursion runs away.
 * Users: tokenizer.json, config.json, safetensors headers. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/alloc.h"
#include "base/status.h"

typedef enum MuseJsonType { MUSE_JSON_NULL, MUSE_JSON_BOOL, MUSE_JSON_INT, MUSE_JSON_DOUBLE, MUSE_JSON_STRING, MUSE_JSON_ARRAY, MUSE_JSON_OBJECT } MuseJsonType;

typedef struct MuseJsonValue {
    const char *key;               /* member name inside an object, else NULL; not terminated */
    uint32_t key_len;
    uint8_t  type;                 /* MuseJsonType */
    uint8_t  whole;                /* number: written without fraction or exponent; DOUBLE then means beyond 64 bits */
    uint32_t len;                  /* string: bytes; array, object: members */
    union {
        int64_t     integer;       /* BOOL, INT */
        double      number;        /* DOUBLE; integers beyond 64 bits too */
        const char *string;        /* not terminated */
        const struct MuseJsonValue *first;   /* array, object: first child */
    } u;
    const struct MuseJsonValue *next;        /* next sibling */
} MuseJsonValue;

typedef struct MuseJson {
    const MuseJsonValue *root;
    struct MuseJsonBlock *blocks;  /* nodes and unescaped strings */
    size_t memory_bytes;
} MuseJson;

/* Parse size bytes. 0; MUSE_ERR_FORMAT with line and column; MUSE_ERR_NOMEM. Close accepts a zeroed or failed document. */
int  muse_json_parse(MuseJson *doc, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err);
void muse_json_close(MuseJson *doc);

/* Member of an object by name; the last one of that name; NULL if none or v is no object (or NULL). Linear. */
const MuseJsonValue *muse_json_get(const MuseJsonValue *v, const char *key);
bool muse_json_is(const MuseJsonValue *v, MuseJsonType type);                 /* false for NULL */
bool muse_json_equal(const MuseJsonValue *v, const char *text);               /* a string with exactly this text */
/* Typed reads: fallback if v is NULL or JSON null; false if it is of another type or out of range. */
bool muse_json_read_bool(const MuseJsonValue *v, bool fallback, bool *out);
bool muse_json_read_i64(const MuseJsonValue *v, int64_t fallback, int64_t *out);   /* 3.0 counts as 3 */
bool muse_json_read_f64(const MuseJsonValue *v, double fallback, double *out);

/* Append text to b as a JSON string with quotes; invalid UTF-8 becomes U+FFFD, DEL and controls are escaped. 0 or NOMEM. */
int muse_json_write_string(MuseBuf *b, const char *text, size_t n);

#endif
