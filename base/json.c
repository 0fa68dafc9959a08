/* SPDX-License-Identifier: Apache-2.0 */
/* A tree over yajl's events. Nodes lie in blocks of an append-only list; strings without escapes are slices of the input. */
#include "base/json.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "base/utf8.h"

enum { DEPTH_MAX = 128, BLOCK_BYTES = 1 << 16 };

struct MuseJsonBlock {
    struct MuseJsonBlock *next;
    size_t used, cap;
    _Alignas(16) uint8_t bytes[];
};

typedef struct Level {
    MuseJsonValue *container;
    MuseJsonValue *last;     /* its newest child */
} Level;

typedef struct Builder {
    MuseJson *doc;
    const MuseAllocator *alloc;
    const char *input, *input_end;
    Level levels[DEPTH_MAX];
    int depth;
    MuseJsonValue *root;
    const char *key;
    uint32_t key_len;
    int failed;              /* MUSE_ERR_NOMEM, or MUSE_ERR_FORMAT with `why` */
    const char *why;
    struct YajlBlock *yajl_blocks;
    jmp_buf out_of_memory;
} Builder;

static void *take(Builder *b, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    struct MuseJsonBlock *block = b->doc->blocks;
    if (!block || size > block->cap - block->used) {
        const size_t cap = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = muse_alloc(b->alloc, sizeof *block + cap);
        if (!block) {
            b->failed = MUSE_ERR_NOMEM;
            return NULL;
        }
        *block = (struct MuseJsonBlock){ .next = b->doc->blocks, .cap = cap };
        b->doc->blocks = block;
        b->doc->memory_bytes += sizeof *block + cap;
    }
    void *at = block->bytes + block->used;
    block->used += size;
    return at;
}

/* a string that outlives the event: a slice of the input if yajl handed one out, else a copy */
static const char *keep(Builder *b, const unsigned char *text, size_t n)
{
    const char *s = (const char *)text;
    if (s >= b->input && s < b->input_end) return s;
    if (n == 0) return "";
    char *copy = take(b, n);
    if (copy) memcpy(copy, text, n);
    return copy;
}

static int refuse(Builder *b, const char *why)
{
    b->failed = MUSE_ERR_FORMAT;
    b->why = why;
    return 0;
}

static MuseJsonValue *add(Builder *b, MuseJsonType type)
{
    MuseJsonValue *v = take(b, sizeof *v);
    if (!v) return NULL;
    *v = (MuseJsonValue){ .key = b->key, .key_len = b->key_len, .type = (uint8_t)type };
    b->key = NULL;
    b->key_len = 0;
    if (b->depth == 0) {
        b->root = v;
        return v;
    }
    Level *level = &b->levels[b->depth - 1];
    if (level->container->len == UINT32_MAX) {
        refuse(b, "too many members");
        return NULL;
    }
    if (level->last) level->last->next = v;
    else level->container->u.first = v;
    level->last = v;
    level->container->len++;
    return v;
}

static int on_null(void *ctx) { return add(ctx, MUSE_JSON_NULL) != NULL; }

static int on_bool(void *ctx, int value)
{
    MuseJsonValue *v = add(ctx, MUSE_JSON_BOOL);
    if (v) v->u.integer = value != 0;
    return v != NULL;
}

static int on_number(void *ctx, const char *text, size_t n)
{
    Builder *b = ctx;
    char digits[64];
    if (n >= sizeof digits) return refuse(b, "a number of over 63 characters");
    memcpy(digits, text, n);
    digits[n] = 0;
    const bool whole = !memchr(digits, '.', n) && !memchr(digits, 'e', n) && !memchr(digits, 'E', n);
    char *end;
    errno = 0;
    const long long integer = whole ? strtoll(digits, &end, 10) : 0;
    const bool fits = whole && errno == 0;
    MuseJsonValue *v = add(b, fits ? MUSE_JSON_INT : MUSE_JSON_DOUBLE);
    if (!v) return 0;
    v->whole = whole;
    if (fits) v->u.integer = integer;
    else v->u.number = strtod(digits, &end);
    return 1;
}

static int on_string(void *ctx, const unsigned char *text, size_t n)
{
    Builder *b = ctx;
    if (n > UINT32_MAX) return refuse(b, "a string of over 4 GiB");
    MuseJsonValue *v = add(b, MUSE_JSON_STRING);
    if (!v) return 0;
    v->u.string = keep(b, text, n);
    v->len = (uint32_t)n;
    return v->u.string != NULL;
}

static int on_key(void *ctx, const unsigned char *text, size_t n)
{
    Builder *b = ctx;
    if (n > UINT32_MAX) return refuse(b, "a key of over 4 GiB");
    b->key = keep(b, text, n);
    b->key_len = (uint32_t)n;
    return b->key != NULL;
}

static int open_level(Builder *b, MuseJsonType type)
{
    if (b->depth == DEPTH_MAX) return refuse(b, "nested deeper than 128 levels");
    MuseJsonValue *v = add(b, type);
    if (!v) return 0;
    b->levels[b->depth++] = (Level){ v, NULL };
    return 1;
}

static int on_open_object(void *ctx) { return open_level(ctx, MUSE_JSON_OBJECT); }
static int on_open_array(void *ctx) { return open_level(ctx, MUSE_JSON_ARRAY); }

static int on_close(void *ctx)
{
    ((Builder *)ctx)->depth--;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null, .yajl_boolean = on_bool, .yajl_number = on_number, .yajl_string = on_string,
    .yajl_start_map = on_open_object, .yajl_map_key = on_key, .yajl_end_map = on_close,
    .yajl_start_array = on_open_array, .yajl_end_array = on_close,
};

/* yajl does not check its allocations, so these never return NULL: they leave the parse by longjmp, and every block of
 * yajl's is on a list that is released afterwards. */
typedef struct YajlBlock {
    struct YajlBlock *prev, *next;
    size_t size;
    _Alignas(16) uint8_t bytes[];
} YajlBlock;

static YajlBlock *yajl_block(void *ptr) { return (YajlBlock *)(void *)((uint8_t *)ptr - offsetof(YajlBlock, bytes)); }

static void *yajl_take(void *ctx, size_t size)
{
    Builder *b = ctx;
    size_t total;
    YajlBlock *block = muse_add_size(size, sizeof *block, &total) ? muse_alloc(b->alloc, total) : NULL;
    if (!block) {
        b->failed = MUSE_ERR_NOMEM;
        longjmp(b->out_of_memory, 1);
    }
    *block = (YajlBlock){ NULL, b->yajl_blocks, size };
    if (block->next) block->next->prev = block;
    b->yajl_blocks = block;
    return block->bytes;
}

static void yajl_give(void *ctx, void *ptr)
{
    Builder *b = ctx;
    if (!ptr) return;
    YajlBlock *block = yajl_block(ptr);
    if (block->prev) block->prev->next = block->next;
    else b->yajl_blocks = block->next;
    if (block->next) block->next->prev = block->prev;
    muse_free(block);
}

static void *yajl_again(void *ctx, void *ptr, size_t size)
{
    void *moved = yajl_take(ctx, size);
    if (ptr) memcpy(moved, ptr, size < yajl_block(ptr)->size ? size : yajl_block(ptr)->size);
    yajl_give(ctx, ptr);
    return moved;
}

static int fail_at(const Builder *b, const unsigned char *text, size_t at, const char *why, MuseError *err)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return muse_fail(err, b->failed ? b->failed : MUSE_ERR_FORMAT, "JSON line %zu, column %zu: %s", line, column, why);
}

/* yajl's own words hold quotes of the input over several lines; the first line is the reason */
static int fail_yajl(const Builder *b, yajl_handle parser, const unsigned char *text, size_t size, size_t at, MuseError *err)
{
    unsigned char *words = yajl_get_error(parser, 0, text, size);
    char why[160] = "not valid JSON";
    if (words) snprintf(why, sizeof why, "%.*s", (int)strcspn((const char *)words, "\n"), (const char *)words);
    if (words) yajl_free_error(parser, words);
    return fail_at(b, text, at <= size ? at : size, why, err);
}

/* everything that may leave by longjmp; b is on the heap and no local changes after setjmp */
static int parse(Builder *b, const unsigned char *text, size_t size, MuseError *err)
{
    if (setjmp(b->out_of_memory)) return muse_fail(err, MUSE_ERR_NOMEM, "no memory for %zu bytes of JSON", size);
    yajl_alloc_funcs memory = { yajl_take, yajl_again, yajl_give, b };
    yajl_handle parser = yajl_alloc(&callbacks, &memory, b);
    yajl_status status = yajl_parse(parser, text, size);
    size_t at = yajl_get_bytes_consumed(parser);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(parser);   /* forgets how far it was */
        at = size;
    }
    if (b->failed == MUSE_ERR_NOMEM) return muse_fail(err, MUSE_ERR_NOMEM, "no memory for %zu bytes of JSON", size);
    if (b->failed) return fail_at(b, text, at, b->why, err);
    if (status != yajl_status_ok) return fail_yajl(b, parser, text, size, at, err);
    return b->root ? 0 : fail_at(b, text, size, "empty", err);
}

int muse_json_parse(MuseJson *doc, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err)
{
    *doc = (MuseJson){ 0 };
    const unsigned char *text = size ? bytes : (const unsigned char *)"";
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3, size -= 3;   /* a byte order mark */
    Builder *b = muse_zalloc(a, sizeof *b);
    if (!b) return MUSE_NOMEM(err, sizeof *b);
    b->doc = doc;
    b->alloc = a;
    b->input = (const char *)text;
    b->input_end = b->input + size;
    int rc = MUSE_ERR_NOMEM;
    const locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);   /* strtod must not follow the program's locale */
    if (!plain) {
        MUSE_NOMEM(err, 1);
    } else {
        const locale_t own = uselocale(plain);
        rc = parse(b, text, size, err);
        uselocale(own);
        freelocale(plain);
    }
    while (b->yajl_blocks) yajl_give(b, b->yajl_blocks->bytes);
    doc->root = b->root;
    muse_free(b);
    if (rc < 0) muse_json_close(doc);
    return rc;
}

void muse_json_close(MuseJson *doc)
{
    while (doc->blocks) {
        struct MuseJsonBlock *next = doc->blocks->next;
        muse_free(doc->blocks);
        doc->blocks = next;
    }
    *doc = (MuseJson){ 0 };
}

bool muse_json_is(const MuseJsonValue *v, MuseJsonType type) { return v && v->type == type; }

const MuseJsonValue *muse_json_get(const MuseJsonValue *v, const char *key)
{
    if (!muse_json_is(v, MUSE_JSON_OBJECT)) return NULL;
    const size_t n = strlen(key);
    const MuseJsonValue *found = NULL;
    for (const MuseJsonValue *m = v->u.first; m; m = m->next)
        if (m->key_len == n && memcmp(m->key, key, n) == 0) found = m;
    return found;
}

bool muse_json_equal(const MuseJsonValue *v, const char *text)
{
    return muse_json_is(v, MUSE_JSON_STRING) && v->len == strlen(text) && memcmp(v->u.string, text, v->len) == 0;
}

static bool absent(const MuseJsonValue *v) { return !v || v->type == MUSE_JSON_NULL; }

bool muse_json_read_bool(const MuseJsonValue *v, bool fallback, bool *out)
{
    if (!absent(v) && v->type != MUSE_JSON_BOOL) return false;
    *out = absent(v) ? fallback : v->u.integer != 0;
    return true;
}

bool muse_json_read_i64(const MuseJsonValue *v, int64_t fallback, int64_t *out)
{
    if (absent(v)) {
        *out = fallback;
    } else if (v->type == MUSE_JSON_INT) {
        *out = v->u.integer;
    } else {
        if (v->type != MUSE_JSON_DOUBLE || v->u.number != floor(v->u.number) || fabs(v->u.number) > 0x1p53) return false;
        *out = (int64_t)v->u.number;
    }
    return true;
}

bool muse_json_read_f64(const MuseJsonValue *v, double fallback, double *out)
{
    if (absent(v)) *out = fallback;
    else if (v->type == MUSE_JSON_INT) *out = (double)v->u.integer;
    else if (v->type == MUSE_JSON_DOUBLE) *out = v->u.number;
    else return false;
    return true;
}

int muse_json_write_string(MuseBuf *b, const char *text, size_t n)
{
    int rc = muse_buf_append(b, "\"", 1);
    for (size_t i = 0; i < n && rc == 0;) {
        const unsigned char c = (unsigned char)text[i];
        const size_t bytes = muse_utf8_char((const uint8_t *)text + i, n - i, NULL);
        if (bytes == 0) rc = muse_buf_append(b, "\xef\xbf\xbd", 3);
        else if (c == '"' || c == '\\') rc = muse_buf_append(b, c == '"' ? "\\\"" : "\\\\", 2);
        else if (c == '\n') rc = muse_buf_append(b, "\\n", 2);
        else if (c < 0x20 || c == 0x7f) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\u%04x", c);
            rc = muse_buf_append(b, escape, 6);
        } else rc = muse_buf_append(b, text + i, bytes);
        i += bytes ? bytes : 1;
    }
    return rc < 0 ? rc : muse_buf_append(b, "\"", 1);
}
