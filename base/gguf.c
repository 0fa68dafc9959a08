/* SPDX-License-Identifier: Apache-2.0 */
/* Reading GGUF metadata. Does not read weights, nor judge what the keys say. Called by the loaders of tokenizers and models. */
#include "base/gguf.h"

enum { KEY_BYTES_MIN = 8 + 4 + 1, TENSOR_BYTES_MIN = 8 + 4 + 4 + 8, NAME_MAX_BYTES = 65535 };
enum { ALIGNMENT_DEFAULT = 32 };   /* general.alignment, when absent */

/* bytes of one value of a fixed-size type; 0: a string, an array or no type */
static size_t type_bytes(uint32_t type)
{
    switch (type) {
    case MUSE_GGUF_U8: case MUSE_GGUF_I8: case MUSE_GGUF_BOOL: return 1;
    case MUSE_GGUF_U16: case MUSE_GGUF_I16: return 2;
    case MUSE_GGUF_U32: case MUSE_GGUF_I32: case MUSE_GGUF_F32: return 4;
    case MUSE_GGUF_U64: case MUSE_GGUF_I64: case MUSE_GGUF_F64: return 8;
    default: return 0;
    }
}

static int truncated(const MuseBytes *b, const char *what, MuseError *err)
{
    return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: the file ends inside %s, byte %zu of %zu", what, b->pos, b->size);
}

static int read_name(MuseBytes *b, const char **name, uint32_t *len, const char *what, MuseError *err)
{
    const uint64_t n = muse_bytes_u64le(b);
    if (!b->failed && (n == 0 || n > NAME_MAX_BYTES)) return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: the name of %s at byte %zu has %llu bytes", what, b->pos, (unsigned long long)n);
    const uint8_t *text = muse_bytes_take(b, n);
    if (!text) return truncated(b, what, err);
    *name = (const char *)text;
    *len = (uint32_t)n;
    return 0;
}

/* walk the strings of an array, so that later readers need no checks */
static int check_strings(MuseBytes *b, uint64_t count, MuseError *err)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t n = muse_bytes_u64le(b);
        if (b->failed || !muse_bytes_take(b, n)) return truncated(b, "an array of strings", err);
    }
    return 0;
}

static int read_value(MuseBytes *b, MuseGgufKey *key, MuseError *err)
{
    const uint32_t type = muse_bytes_u32le(b);
    size_t size = type_bytes(type);
    key->type = (uint8_t)type;
    key->count = 1;
    if (b->failed) return truncated(b, "a value", err);
    if (type == MUSE_GGUF_STRING) {
        key->count = muse_bytes_u64le(b);
        size = 1;
    } else if (type == MUSE_GGUF_ARRAY) {
        const uint32_t elem = muse_bytes_u32le(b);
        key->count = muse_bytes_u64le(b);
        if (b->failed) return truncated(b, "an array", err);
        if (elem == MUSE_GGUF_ARRAY) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "GGUF: key \"%.*s\" is an array of arrays", (int)key->name_len, key->name);
        if (elem > MUSE_GGUF_F64) return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: key \"%.*s\" has elements of type %u", (int)key->name_len, key->name, elem);
        key->elem = (uint8_t)elem;
        size = type_bytes(elem);
    } else if (!size) {
        return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: key \"%.*s\" has type %u", (int)key->name_len, key->name, type);
    }
    const size_t begin = b->pos;
    key->data = b->data + begin;
    if (size == 0) {   /* array of strings */
        int rc = check_strings(b, key->count, err);
        if (rc < 0) return rc;
    } else if (b->failed || key->count > muse_bytes_left(b) / size || !muse_bytes_take(b, key->count * size)) {
        return truncated(b, "a value", err);
    }
    key->bytes = b->pos - begin;
    return 0;
}

static int read_keys(MuseGguf *g, const MuseAllocator *a, MuseBytes *b, uint64_t n, MuseError *err)
{
    if (n > muse_bytes_left(b) / KEY_BYTES_MIN) return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: %llu keys in a file of %zu bytes", (unsigned long long)n, b->size);
    g->keys = muse_zalloc_array(a, n ? (size_t)n : 1, sizeof *g->keys);
    if (!g->keys) return MUSE_NOMEM(err, n * sizeof *g->keys);
    for (uint64_t i = 0; i < n; i++) {
        MuseGgufKey *key = &g->keys[i];
        int rc = read_name(b, &key->name, &key->name_len, "a key", err);
        if (rc == 0) rc = read_value(b, key, err);
        if (rc < 0) return rc;
        g->n_keys++;
    }
    return 0;
}

static int read_tensor(MuseBytes *b, MuseGgufTensor *t, MuseError *err)
{
    int rc = read_name(b, &t->name, &t->name_len, "a tensor", err);
    if (rc < 0) return rc;
    t->n_dims = muse_bytes_u32le(b);
    if (!b->failed && t->n_dims > MUSE_GGUF_DIMS_MAX) return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: tensor \"%.*s\" has %u dimensions", (int)t->name_len, t->name, t->n_dims);
    uint64_t product = 1;
    for (uint32_t i = 0; i < MUSE_GGUF_DIMS_MAX; i++) {
        t->dims[i] = i < t->n_dims && !b->failed ? muse_bytes_u64le(b) : 1;
        if (t->dims[i] && product > UINT64_MAX / t->dims[i]) return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: tensor \"%.*s\" is too large", (int)t->name_len, t->name);
        product *= t->dims[i];
    }
    t->type = muse_bytes_u32le(b);
    t->offset = muse_bytes_u64le(b);
    return b->failed ? truncated(b, "the tensor directory", err) : 0;
}

static int read_tensors(MuseGguf *g, const MuseAllocator *a, MuseBytes *b, uint64_t n, MuseError *err)
{
    if (n > muse_bytes_left(b) / TENSOR_BYTES_MIN) return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: %llu tensors in a file of %zu bytes", (unsigned long long)n, b->size);
    g->tensors = muse_zalloc_array(a, n ? (size_t)n : 1, sizeof *g->tensors);
    if (!g->tensors) return MUSE_NOMEM(err, n * sizeof *g->tensors);
    for (uint64_t i = 0; i < n; i++) {
        int rc = read_tensor(b, &g->tensors[i], err);
        if (rc < 0) return rc;
        g->n_tensors++;
    }
    return 0;
}

/* where the data starts, and that every tensor starts inside it */
static int place_data(MuseGguf *g, const MuseBytes *b, MuseError *err)
{
    int rc = muse_gguf_u32(g, "general.alignment", ALIGNMENT_DEFAULT, &g->alignment, err);
    if (rc < 0) return rc;
    if (g->alignment == 0 || (g->alignment & (g->alignment - 1)) || g->alignment > 1u << 20)
        return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: general.alignment is %u", g->alignment);
    const uint64_t at = ((uint64_t)b->pos + g->alignment - 1) & ~(uint64_t)(g->alignment - 1);
    g->data_at = at < g->size ? at : g->size;   /* a file without tensors may end before the padding */
    for (size_t i = 0; i < g->n_tensors; i++) {
        const MuseGgufTensor *t = &g->tensors[i];
        if (t->offset > g->size - g->data_at || t->offset % g->alignment)
            return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: tensor \"%.*s\" starts at %llu of %llu bytes of data", (int)t->name_len, t->name,
                             (unsigned long long)t->offset, (unsigned long long)(g->size - g->data_at));
    }
    return 0;
}

bool muse_gguf_is(const void *bytes, size_t size) { return size >= 4 && memcmp(bytes, "GGUF", 4) == 0; }

int muse_gguf_open(MuseGguf *g, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err)
{
    *g = (MuseGguf){ .bytes = bytes, .size = size };
    if (!muse_gguf_is(bytes, size)) return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: the magic is missing");
    MuseBytes b = muse_bytes(bytes, size);
    muse_bytes_take(&b, 4);
    g->version = muse_bytes_u32le(&b);
    const uint64_t n_tensors = muse_bytes_u64le(&b), n_keys = muse_bytes_u64le(&b);
    if (b.failed) return truncated(&b, "the header", err);
    if (g->version != 2 && g->version != 3)
        return muse_fail(err, MUSE_ERR_UNSUPPORTED, "GGUF: version %u%s", g->version, g->version & 0xffffu ? "" : " (a big-endian file)");
    int rc = read_keys(g, a, &b, n_keys, err);
    if (rc == 0) rc = read_tensors(g, a, &b, n_tensors, err);
    if (rc == 0) rc = place_data(g, &b, err);
    if (rc < 0) muse_gguf_close(g);
    return rc;
}

void muse_gguf_close(MuseGguf *g)
{
    muse_free(g->keys);
    muse_free(g->tensors);
    *g = (MuseGguf){ 0 };
}

const MuseGgufKey *muse_gguf_find(const MuseGguf *g, const char *name)
{
    const size_t n = strlen(name);
    for (size_t i = 0; i < g->n_keys; i++)
        if (g->keys[i].name_len == n && memcmp(g->keys[i].name, name, n) == 0) return &g->keys[i];
    return NULL;
}

const MuseGgufTensor *muse_gguf_tensor(const MuseGguf *g, const char *name)
{
    const size_t n = strlen(name);
    for (size_t i = 0; i < g->n_tensors; i++)
        if (g->tensors[i].name_len == n && memcmp(g->tensors[i].name, name, n) == 0) return &g->tensors[i];
    return NULL;
}

static uint64_t little(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static int wrong_type(const char *name, const char *wanted, MuseError *err)
{
    return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: key \"%s\" is not %s", name, wanted);
}

int muse_gguf_u32(const MuseGguf *g, const char *name, uint32_t fallback, uint32_t *out, MuseError *err)
{
    const MuseGgufKey *key = muse_gguf_find(g, name);
    *out = fallback;
    if (!key) return 0;
    const size_t n = type_bytes(key->type);
    uint64_t v = n ? little(key->data, n) : 0;
    switch (key->type) {
    case MUSE_GGUF_U8: case MUSE_GGUF_U16: case MUSE_GGUF_U32: case MUSE_GGUF_U64:
        break;
    case MUSE_GGUF_I8: case MUSE_GGUF_I16: case MUSE_GGUF_I32: case MUSE_GGUF_I64:
        if (v >> (8 * n - 1)) return wrong_type(name, "a number from 0 to 2^32 - 1", err);
        break;
    default:
        return wrong_type(name, "a whole number", err);
    }
    if (v > UINT32_MAX) return wrong_type(name, "a number from 0 to 2^32 - 1", err);
    *out = (uint32_t)v;
    return 0;
}

int muse_gguf_f32(const MuseGguf *g, const char *name, float fallback, float *out, MuseError *err)
{
    const MuseGgufKey *key = muse_gguf_find(g, name);
    *out = fallback;
    if (!key) return 0;
    if (key->type != MUSE_GGUF_F32 && key->type != MUSE_GGUF_F64) return wrong_type(name, "a number with a fraction", err);
    MuseBytes b = muse_bytes(key->data, (size_t)key->bytes);
    *out = key->type == MUSE_GGUF_F32 ? muse_bytes_f32le(&b) : (float)muse_bytes_f64le(&b);
    return 0;
}

int muse_gguf_bool(const MuseGguf *g, const char *name, bool fallback, bool *out, MuseError *err)
{
    const MuseGgufKey *key = muse_gguf_find(g, name);
    *out = fallback;
    if (!key) return 0;
    if (key->type != MUSE_GGUF_BOOL || key->data[0] > 1) return wrong_type(name, "true or false", err);
    *out = key->data[0] != 0;
    return 0;
}

int muse_gguf_string(const MuseGguf *g, const char *name, const char **text, size_t *n, MuseError *err)
{
    const MuseGgufKey *key = muse_gguf_find(g, name);
    *text = NULL;
    *n = 0;
    if (!key) return 0;
    if (key->type != MUSE_GGUF_STRING) return wrong_type(name, "a text", err);
    *text = (const char *)key->data;
    *n = (size_t)key->count;
    return 0;
}

int muse_gguf_array(const MuseGguf *g, const char *name, MuseGgufType elem, const MuseGgufKey **key, MuseError *err)
{
    *key = muse_gguf_find(g, name);
    if (!*key) return 0;
    const bool i32 = elem == MUSE_GGUF_I32 && (*key)->elem == MUSE_GGUF_U32;   /* writers use either */
    if ((*key)->type != MUSE_GGUF_ARRAY || ((*key)->elem != elem && !i32)) return wrong_type(name, "an array of the right type", err);
    return 0;
}

const char *muse_gguf_next_string(const MuseGgufKey *key, size_t *at, size_t *n)
{
    *n = (size_t)little(key->data + *at, 8);
    const char *text = (const char *)key->data + *at + 8;
    *at += 8 + *n;
    return text;
}

float muse_gguf_f32_at(const MuseGgufKey *key, size_t i)
{
    const uint32_t bits = (uint32_t)little(key->data + i * 4, 4);
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

int32_t muse_gguf_i32_at(const MuseGgufKey *key, size_t i)
{
    const uint32_t bits = (uint32_t)little(key->data + i * 4, 4);
    int32_t v;
    memcpy(&v, &bits, 4);
    return v;
}
