/* SPDX-License-Identifier: Apache-2.0 */
/* Reading keys of a JSON object one after the other: after the first error the rest does nothing, so a reader is a list of
 * lines. Users: config_json.c, config_extra.c. */
#ifndef LIBMUSE_MODEL_CONFIG_READ_H
#define LIBMUSE_MODEL_CONFIG_READ_H

#include "base/json.h"
#include "base/status.h"

typedef struct MuseReader {
    const MuseJsonValue *object;
    const char *where;         /* "config.json", for messages */
    MuseError  *err;
    int         rc;            /* 0 until the first error */
} MuseReader;

int  muse_read_fail(MuseReader *r, int code, const char *key, const char *why);   /* keeps the first error */
bool muse_read_has(const MuseReader *r, const char *key);                         /* there, and not null */
/* Needed numbers, in low .. high. */
void muse_read_u32(MuseReader *r, const char *key, uint32_t low, uint32_t high, uint32_t *out);
void muse_read_f64(MuseReader *r, const char *key, double low, double high, double *out);
void muse_read_f32(MuseReader *r, const char *key, double low, double high, float *out);
/* *out keeps its value if the key is absent or null. */
void muse_read_maybe_u32(MuseReader *r, const char *key, uint32_t low, uint32_t high, uint32_t *out);
void muse_read_maybe_id(MuseReader *r, const char *key, int32_t *out);
void muse_read_maybe_bool(MuseReader *r, const char *key, bool *out);
void muse_read_bool(MuseReader *r, const char *key, bool *out);                   /* needed */
/* A text that must be this one; needed says whether it may be absent. */
void muse_read_expect(MuseReader *r, const char *key, const char *text, bool needed);
/* A number that must be this one, if it is there. */
void muse_read_same(MuseReader *r, const char *key, uint32_t value);
/* A member object: NULL if absent, null or (an error) something else. */
const MuseJsonValue *muse_read_object(MuseReader *r, const char *key);

#endif
