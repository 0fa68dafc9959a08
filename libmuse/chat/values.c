/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as the published templates print it: they run in Python, so numbers, order and escapes are Python's. Used by the formats. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "libmuse/chat/chat.h"

typedef struct Sorted {
    const MuseJsonValue *member;
    size_t place;
} Sorted;

/* one character of a key, in lower case; -1 at the end (keys are valid UTF-8) */
static int32_t lower_next(const MuseJsonValue *m, size_t *at)
{
    uint32_t cp = 0;
    const unsigned n = muse_utf8_char((const uint8_t *)m->key + *at, m->key_len - *at, &cp);
    if (n == 0) return -1;
    *at += n;
    return utf8proc_tolower((utf8proc_int32_t)cp);
}

static int by_lower(const void *va, const void *vb)
{
    const Sorted *a = va, *b = vb;
    for (size_t i = 0, j = 0;;) {
        const int32_t x = lower_next(a->member, &i), y = lower_next(b->member, &j);
        if (x != y) return x < y ? -1 : 1;
        if (x < 0) return a->place < b->place ? -1 : 1;   /* as they stood */
    }
}

static int by_bytes(const void *va, const void *vb)
{
    const MuseJsonValue *a = ((const Sorted *)va)->member, *b = ((const Sorted *)vb)->member;
    const uint32_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
    const int c = n ? memcmp(a->key, b->key, n) : 0;
    return c ? c : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

/* NULL: no memory. object has members */
static Sorted *sorted(const MuseAllocator *a, const MuseJsonValue *object, int (*order)(const void *, const void *))
{
    Sorted *list = muse_alloc_array(a, object->len, sizeof *list);
    if (!list) return NULL;
    size_t n = 0;
    for (const MuseJsonValue *m = object->u.first; m; m = m->next, n++) list[n] = (Sorted){ m, n };
    qsort(list, n, sizeof *list, order);
    return list;
}

const MuseJsonValue **muse_json_sorted(MuseRender *r, const MuseJsonValue *object, size_t *n)
{
    *n = 0;
    if (!muse_json_is(object, MUSE_JSON_OBJECT) || object->len == 0) return NULL;
    const MuseAllocator *a = &r->chat->rt->alloc;
    Sorted *list = sorted(a, object, by_lower);
    const MuseJsonValue **members = list ? muse_alloc_array(a, object->len, sizeof *members) : NULL;
    if (!members) {
        muse_render_fail(r, MUSE_ERR_NOMEM, "no memory to sort an object");
    } else {
        *n = object->len;
        for (size_t i = 0; i < *n; i++) members[i] = list[i].member;
    }
    muse_free(list);
    return members;
}

static int check_keys(const MuseAllocator *a, const MuseJsonValue *object, const char *what, MuseError *err)
{
    if (object->len < 2) return 0;
    Sorted *list = sorted(a, object, by_bytes);
    if (!list) return MUSE_NOMEM(err, object->len * sizeof *list);
    int rc = 0;
    for (size_t i = 1; i < object->len && rc == 0; i++)
        if (by_bytes(&list[i - 1], &list[i]) == 0)
            rc = muse_fail(err, MUSE_ERR_FORMAT, "%s: the key \"%.*s\" stands twice in one object", what,
                           (int)(list[i].member->key_len < 64 ? list[i].member->key_len : 64), list[i].member->key);
    muse_free(list);
    return rc;
}

/* depth is bounded by the parser */
int muse_json_check(const MuseAllocator *a, const MuseJsonValue *v, const char *what, MuseError *err)
{
    if (v->type == MUSE_JSON_DOUBLE) {
        if (v->whole) return muse_fail(err, MUSE_ERR_LIMIT, "%s: an integer beyond 64 bits", what);
        if (!isfinite(v->u.number)) return muse_fail(err, MUSE_ERR_FORMAT, "%s: a number too large for a double", what);
    }
    int rc = v->type == MUSE_JSON_OBJECT ? check_keys(a, v, what, err) : 0;
    if (v->type != MUSE_JSON_OBJECT && v->type != MUSE_JSON_ARRAY) return 0;
    for (const MuseJsonValue *m = v->u.first; m && rc == 0; m = m->next) rc = muse_json_check(a, m, what, err);
    return rc;
}

/* The shortest digits that read back as the same number; an exponent below 1e-4 and from 1e16 on (CPython's repr). */
static void python_float(double x, char out[MUSE_NUMBER_BYTES])
{
    char text[40], digits[24];
    int precision = 0;
    do snprintf(text, sizeof text, "%.*e", precision, x); while (strtod(text, NULL) != x && ++precision < 17);
    size_t n = 0;
    const char *c = text;
    for (; *c && *c != 'e'; c++)   /* whatever the locale's decimal point is */
        if (isdigit((unsigned char)*c)) digits[n++] = *c;
    digits[n] = 0;
    const int e = atoi(c + 1);
    const char *sign = signbit(x) ? "-" : "";
    if (e < -4 || e >= 16)
        snprintf(out, MUSE_NUMBER_BYTES, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "", digits + 1, e < 0 ? '-' : '+', abs(e));
    else if (e < 0)
        snprintf(out, MUSE_NUMBER_BYTES, "%s0.%.*s%s", sign, -e - 1, "0000", digits);
    else if (n <= (size_t)e + 1)
        snprintf(out, MUSE_NUMBER_BYTES, "%s%s%.*s.0", sign, digits, e + 1 - (int)n, "0000000000000000");
    else
        snprintf(out, MUSE_NUMBER_BYTES, "%s%.*s.%s", sign, e + 1, digits, digits + e + 1);
}

void muse_python_number(const MuseJsonValue *v, char out[MUSE_NUMBER_BYTES])
{
    if (v->type == MUSE_JSON_INT) snprintf(out, MUSE_NUMBER_BYTES, "%lld", (long long)v->u.integer);
    else python_float(v->u.number, out);
}

/* json.dumps(ensure_ascii=False): short escapes, \u00xx for other controls, everything else as it is */
static int dump_string(MuseBuf *b, const char *text, size_t n)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    int rc = muse_buf_append(b, "\"", 1);
    for (size_t i = 0; i < n && rc == 0; i++) {
        const char *s = NULL;
        for (const char *p = shorts; *p && !s; p += 2)
            if (*p == text[i]) s = p;
        char escape[8];
        if (s) snprintf(escape, sizeof escape, "\\%c", s[1]);
        else snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)text[i]);
        if (s || (unsigned char)text[i] < 0x20) rc = muse_buf_append(b, escape, strlen(escape));
        else rc = muse_buf_append(b, text + i, 1);
    }
    return rc < 0 ? rc : muse_buf_append(b, "\"", 1);
}

static int dump_members(MuseBuf *b, const MuseJsonValue *v)
{
    const bool object = v->type == MUSE_JSON_OBJECT;
    int rc = muse_buf_append(b, object ? "{" : "[", 1);
    for (const MuseJsonValue *m = v->u.first; m && rc == 0; m = m->next) {
        if (m != v->u.first) rc = muse_buf_append(b, ", ", 2);
        if (rc == 0 && object) rc = dump_string(b, m->key, m->key_len);
        if (rc == 0 && object) rc = muse_buf_append(b, ": ", 2);
        if (rc == 0) rc = muse_json_dump(b, m);
    }
    return rc < 0 ? rc : muse_buf_append(b, object ? "}" : "]", 1);
}

int muse_json_dump(MuseBuf *b, const MuseJsonValue *v)
{
    char number[MUSE_NUMBER_BYTES];
    switch ((MuseJsonType)v->type) {
    case MUSE_JSON_STRING: return dump_string(b, v->u.string, v->len);
    case MUSE_JSON_ARRAY: case MUSE_JSON_OBJECT: return dump_members(b, v);
    case MUSE_JSON_BOOL: return v->u.integer ? muse_buf_append(b, "true", 4) : muse_buf_append(b, "false", 5);
    case MUSE_JSON_NULL: return muse_buf_append(b, "null", 4);
    default: break;
    }
    muse_python_number(v, number);
    return muse_buf_append(b, number, strlen(number));
}
