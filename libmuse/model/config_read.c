/* SPDX-License-Identifier: Apache-2.0 */
/* Typed, bounded reads from an object of a JSON file, with messages that name file and key. Called by the readers of configurations. */
#include "libmuse/model/config_read.h"

#include <stdio.h>

int muse_read_fail(MuseReader *r, int code, const char *key, const char *why)
{
    if (r->rc == 0) r->rc = muse_fail(r->err, code, "%s: \"%s\" %s", r->where, key, why);
    return r->rc;
}

static const MuseJsonValue *find(const MuseReader *r, const char *key)
{
    const MuseJsonValue *v = muse_json_get(r->object, key);
    return v && v->type == MUSE_JSON_NULL ? NULL : v;
}

bool muse_read_has(const MuseReader *r, const char *key) { return find(r, key) != NULL; }

void muse_read_maybe_u32(MuseReader *r, const char *key, uint32_t low, uint32_t high, uint32_t *out)
{
    const MuseJsonValue *v = find(r, key);
    int64_t value;
    char why[96];
    if (r->rc < 0 || !v) return;
    snprintf(why, sizeof why, "is not a whole number from %u to %u", low, high);
    if (!muse_json_read_i64(v, 0, &value) || value < low || value > high) muse_read_fail(r, MUSE_ERR_FORMAT, key, why);
    else *out = (uint32_t)value;
}

void muse_read_u32(MuseReader *r, const char *key, uint32_t low, uint32_t high, uint32_t *out)
{
    if (!muse_read_has(r, key)) muse_read_fail(r, MUSE_ERR_FORMAT, key, "is missing");
    muse_read_maybe_u32(r, key, low, high, out);
}

void muse_read_f64(MuseReader *r, const char *key, double low, double high, double *out)
{
    const MuseJsonValue *v = find(r, key);
    double value;
    char why[96];
    if (r->rc < 0) return;
    snprintf(why, sizeof why, "is not a number from %g to %g", low, high);
    if (!v) muse_read_fail(r, MUSE_ERR_FORMAT, key, "is missing");
    else if (!muse_json_read_f64(v, 0, &value) || !(value >= low && value <= high)) muse_read_fail(r, MUSE_ERR_FORMAT, key, why);
    else *out = value;
}

void muse_read_f32(MuseReader *r, const char *key, double low, double high, float *out)
{
    double value = 0;
    muse_read_f64(r, key, low, high, &value);
    if (r->rc == 0) *out = (float)value;
}

void muse_read_maybe_id(MuseReader *r, const char *key, int32_t *out)
{
    uint32_t id = 0;
    if (!muse_read_has(r, key)) return;
    const MuseJsonValue *v = find(r, key);
    if (v->type == MUSE_JSON_INT && v->u.integer == -1) return;   /* writers use it for none */
    muse_read_maybe_u32(r, key, 0, INT32_MAX, &id);
    if (r->rc == 0) *out = (int32_t)id;
}

void muse_read_maybe_bool(MuseReader *r, const char *key, bool *out)
{
    const MuseJsonValue *v = find(r, key);
    if (r->rc < 0 || !v) return;
    if (!muse_json_read_bool(v, false, out)) muse_read_fail(r, MUSE_ERR_FORMAT, key, "is not true or false");
}

void muse_read_bool(MuseReader *r, const char *key, bool *out)
{
    if (!muse_read_has(r, key)) muse_read_fail(r, MUSE_ERR_FORMAT, key, "is missing");
    muse_read_maybe_bool(r, key, out);
}

void muse_read_expect(MuseReader *r, const char *key, const char *text, bool needed)
{
    const MuseJsonValue *v = find(r, key);
    char why[128];
    if (r->rc < 0 || (!v && !needed) || muse_json_equal(v, text)) return;
    if (!v) snprintf(why, sizeof why, "is missing");
    else if (v->type == MUSE_JSON_STRING) snprintf(why, sizeof why, "is \"%.*s\"; only \"%s\" is supported", v->len < 60 ? (int)v->len : 60, v->u.string, text);
    else snprintf(why, sizeof why, "is not a text");
    muse_read_fail(r, v && v->type == MUSE_JSON_STRING ? MUSE_ERR_UNSUPPORTED : MUSE_ERR_FORMAT, key, why);
}

void muse_read_same(MuseReader *r, const char *key, uint32_t value)
{
    const MuseJsonValue *v = find(r, key);
    int64_t given;
    char why[64];
    if (r->rc < 0 || !v) return;
    snprintf(why, sizeof why, "is not %u, the only supported value", value);
    if (!muse_json_read_i64(v, 0, &given) || given != value) muse_read_fail(r, MUSE_ERR_UNSUPPORTED, key, why);
}

const MuseJsonValue *muse_read_object(MuseReader *r, const char *key)
{
    const MuseJsonValue *v = find(r, key);
    if (r->rc < 0 || !v) return NULL;
    if (v->type == MUSE_JSON_OBJECT) return v;
    muse_read_fail(r, MUSE_ERR_FORMAT, key, "is not an object");
    return NULL;
}
