/* SPDX-License-Identifier: Apache-2.0 */
/* The safetensors reader: header to directory. Opens no files and converts no values. Called by libmuse/io/weights.c. */
#include "libmuse/io/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/json.h"

enum { LENGTH_BYTES = 8, SHARD_NAME_MAX = 255 };

static int show(size_t n) { return n < 200 ? (int)n : 200; }   /* how much of a foreign name is quoted */

static const struct { const char *name; uint32_t type; } dtypes[] = {
    { "F32", MUSE_TENSOR_F32 }, { "F16", MUSE_TENSOR_F16 }, { "BF16", MUSE_TENSOR_BF16 }, { "I8", MUSE_TENSOR_I8 },
    { "U8", MUSE_TENSOR_U8 },   { "I32", MUSE_TENSOR_I32 }, { "I64", MUSE_TENSOR_I64 },
};

static int read_dtype(const MuseJsonValue *v, uint32_t *type, MuseError *err)
{
    const MuseJsonValue *dtype = muse_json_get(v, "dtype");
    if (!muse_json_is(dtype, MUSE_JSON_STRING)) return muse_fail(err, MUSE_ERR_FORMAT, "tensor \"%.*s\" has no dtype", show(v->key_len), v->key);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (muse_json_equal(dtype, dtypes[i].name)) {
            *type = dtypes[i].type;
            return 0;
        }
    return muse_fail(err, MUSE_ERR_UNSUPPORTED, "tensor \"%.*s\" is of type %.*s, which is not supported", show(v->key_len), v->key, show(dtype->len), dtype->u.string);
}

static int read_shape(const MuseJsonValue *v, MuseTensor *t, MuseError *err)
{
    const MuseJsonValue *shape = muse_json_get(v, "shape");
    if (!muse_json_is(shape, MUSE_JSON_ARRAY)) return muse_fail(err, MUSE_ERR_FORMAT, "tensor \"%.*s\" has no shape", show(v->key_len), v->key);
    if (shape->len > MUSE_RANK_MAX)
        return muse_fail(err, MUSE_ERR_UNSUPPORTED, "tensor \"%.*s\" has %u dimensions, more than %d", show(v->key_len), v->key, shape->len, MUSE_RANK_MAX);
    t->rank = shape->len;
    uint32_t i = 0;
    for (; i < MUSE_RANK_MAX; i++) t->shape[i] = 1;
    i = 0;
    for (const MuseJsonValue *d = shape->u.first; d; d = d->next) {
        if (d->type != MUSE_JSON_INT || d->u.integer < 0) return muse_fail(err, MUSE_ERR_FORMAT, "tensor \"%.*s\": dimension %u is not a size", show(v->key_len), v->key, i);
        t->shape[i++] = (uint64_t)d->u.integer;
    }
    return 0;
}

static int read_offsets(const MuseJsonValue *v, const uint8_t *data, uint64_t data_bytes, MuseTensor *t, MuseError *err)
{
    const MuseJsonValue *pair = muse_json_get(v, "data_offsets");
    const MuseJsonValue *begin = muse_json_is(pair, MUSE_JSON_ARRAY) && pair->len == 2 ? pair->u.first : NULL;
    if (!begin || begin->type != MUSE_JSON_INT || begin->next->type != MUSE_JSON_INT)
        return muse_fail(err, MUSE_ERR_FORMAT, "tensor \"%.*s\" has no two data_offsets", show(v->key_len), v->key);
    const int64_t from = begin->u.integer, to = begin->next->u.integer;
    if (from < 0 || to < from || (uint64_t)to > data_bytes)
        return muse_fail(err, MUSE_ERR_FORMAT, "tensor \"%.*s\" lies at %" PRId64 " to %" PRId64 " of %" PRIu64 " bytes of data%s", show(v->key_len), v->key, from, to,
                         data_bytes, to >= from && from >= 0 ? " (is the file whole?)" : "");
    if ((uint64_t)(to - from) != t->bytes)
        return muse_fail(err, MUSE_ERR_FORMAT, "tensor \"%.*s\" has %" PRId64 " bytes, but its shape and type ask for %" PRIu64, show(v->key_len), v->key, to - from, t->bytes);
    t->data = data + from;
    return 0;
}

/* "__metadata__": texts, which mean nothing here */
static int check_metadata(const MuseJsonValue *v, MuseError *err)
{
    if (v->type != MUSE_JSON_OBJECT) return muse_fail(err, MUSE_ERR_FORMAT, "__metadata__ is not an object");
    for (const MuseJsonValue *m = v->u.first; m; m = m->next)
        if (m->type != MUSE_JSON_STRING) return muse_fail(err, MUSE_ERR_FORMAT, "__metadata__: \"%.*s\" is not a text", show(m->key_len), m->key);
    return 0;
}

static int read_entry(MuseTensors *list, const MuseJsonValue *v, const uint8_t *data, uint64_t data_bytes, uint32_t part, MuseError *err)
{
    MuseTensor t = { .part = part };
    if (v->type != MUSE_JSON_OBJECT) return muse_fail(err, MUSE_ERR_FORMAT, "tensor \"%.*s\" is not described by an object", show(v->key_len), v->key);
    int rc = read_dtype(v, &t.type, err);
    if (rc == 0) rc = read_shape(v, &t, err);
    if (rc == 0) rc = muse_tensor_measure(&t, v->key, v->key_len, err);
    if (rc == 0) rc = read_offsets(v, data, data_bytes, &t, err);
    return rc < 0 ? rc : muse_tensors_add(list, &t, v->key, v->key_len, err);
}

/* The tensors fill the data: one after the other, none over another, nothing between or after them. */
static int check_cover(const MuseTensors *list, const uint8_t *data, uint64_t data_bytes, uint32_t part, MuseError *err)
{
    size_t n;
    const MuseTensor **order = muse_tensors_by_place(list, part, &n);
    if (!order) return MUSE_NOMEM(err, list->n * sizeof *order);
    uint64_t at = 0;
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const uint64_t from = (uint64_t)(order[i]->data - data);
        if (from < at) rc = muse_fail(err, MUSE_ERR_FORMAT, "tensors \"%.180s\" and \"%.180s\" overlap at byte %" PRIu64 " of the data", order[i - 1]->name, order[i]->name, from);
        else if (from > at) rc = muse_fail(err, MUSE_ERR_FORMAT, "%" PRIu64 " bytes before tensor \"%.200s\" belong to none", from - at, order[i]->name);
        at = from + order[i]->bytes;
    }
    if (rc == 0 && at != data_bytes) rc = muse_fail(err, MUSE_ERR_FORMAT, "the last %" PRIu64 " bytes of data belong to no tensor", data_bytes - at);
    muse_free(order);
    return rc;
}

static int read_header(MuseTensors *list, const MuseJsonValue *root, const uint8_t *data, uint64_t data_bytes, uint32_t part, MuseError *err)
{
    if (!muse_json_is(root, MUSE_JSON_OBJECT)) return muse_fail(err, MUSE_ERR_FORMAT, "the header is not a JSON object");
    int rc = muse_tensors_reserve(list, root->len, err);
    for (const MuseJsonValue *v = root->u.first; v && rc == 0; v = v->next) {
        if (v->key_len == 12 && memcmp(v->key, "__metadata__", 12) == 0) rc = check_metadata(v, err);
        else rc = read_entry(list, v, data, data_bytes, part, err);
    }
    return rc < 0 ? rc : check_cover(list, data, data_bytes, part, err);
}

int muse_safetensors_read(MuseTensors *list, const void *bytes, size_t size, uint32_t part, MuseError *err)
{
    MuseBytes b = muse_bytes(bytes, size);
    const uint64_t n = muse_bytes_u64le(&b);
    if (b.failed) return muse_fail(err, MUSE_ERR_FORMAT, "a safetensors file of %zu bytes: too short", size);
    if (n >> 40)   /* as of most other files: letters */
        return muse_fail(err, MUSE_ERR_FORMAT, "neither a GGUF nor a safetensors file; a model is a folder with model.safetensors in it, or a GGUF file");
    if (n > MUSE_SAFETENSORS_HEADER_MAX) return muse_fail(err, MUSE_ERR_FORMAT, "a safetensors header of %" PRIu64 " bytes (%d at most)", n, MUSE_SAFETENSORS_HEADER_MAX);
    const uint8_t *header = muse_bytes_take(&b, n);
    if (!header || n == 0 || header[0] != '{')
        return muse_fail(err, MUSE_ERR_FORMAT, header ? "the safetensors header (%" PRIu64 " bytes) is not a JSON object" : "the file ends inside its header of %" PRIu64 " bytes", n);
    MuseJson doc;
    int rc = muse_json_parse(&doc, list->alloc, header, (size_t)n, err);
    if (rc < 0) return muse_fail_prefix(err, rc, "safetensors header");
    rc = read_header(list, doc.root, header + n, size - b.pos, part, err);
    if (rc == 0) rc = muse_tensors_sort(list, err);
    muse_json_close(&doc);
    return rc;
}

/* ---- the index of a model in several files ---- */

/* a file of the same folder, and one that can hold tensors (so that an index can't name itself) */
static bool is_shard_name(const char *s, size_t n)
{
    static const char end[] = ".safetensors";
    const size_t n_end = sizeof end - 1;
    if (n <= n_end || n > SHARD_NAME_MAX || s[0] == '.' || memcmp(s + n - n_end, end, n_end) != 0) return false;
    for (size_t i = 0; i < n; i++)
        if (s[i] == '/' || s[i] == '\\' || (unsigned char)s[i] < 0x20) return false;
    return true;
}

/* published indexes list a shard's tensors in runs, so the last file is looked at first */
static int find_file(MuseShardIndex *index, const MuseAllocator *a, const MuseJsonValue *v, uint32_t *shard, MuseError *err)
{
    for (size_t i = index->n_files; i-- > 0;)
        if (muse_json_equal(v, index->files[i])) {
            *shard = (uint32_t)i;
            return 0;
        }
    if (index->n_files == MUSE_SHARDS_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "the index names more than %d files", MUSE_SHARDS_MAX);
    char **files = muse_realloc_array(a, index->files, index->n_files + 1, sizeof *files);
    if (!files) return MUSE_NOMEM(err, (index->n_files + 1) * sizeof *files);
    index->files = files;
    char *copy = muse_alloc(a, (size_t)v->len + 1);
    if (!copy) return MUSE_NOMEM(err, (size_t)v->len + 1);
    memcpy(copy, v->u.string, v->len);
    copy[v->len] = 0;
    *shard = (uint32_t)index->n_files;
    files[index->n_files++] = copy;
    return 0;
}

static int by_entry(const void *a, const void *b) { return strcmp(((const MuseShardEntry *)a)->name, ((const MuseShardEntry *)b)->name); }

static int read_map(MuseShardIndex *index, const MuseAllocator *a, const MuseJsonValue *map, MuseError *err)
{
    size_t text_bytes = 1;
    for (const MuseJsonValue *v = map->u.first; v; v = v->next) text_bytes += (size_t)v->key_len + 1;   /* slices of a parsed text: fits */
    index->text = muse_alloc(a, text_bytes);
    index->entries = muse_zalloc_array(a, map->len, sizeof *index->entries);
    if (!index->text || !index->entries) return MUSE_NOMEM(err, text_bytes + map->len * sizeof *index->entries);
    char *at = index->text;
    for (const MuseJsonValue *v = map->u.first; v; v = v->next) {
        if (v->key_len == 0 || memchr(v->key, 0, v->key_len)) return muse_fail(err, MUSE_ERR_FORMAT, "weight_map holds a tensor name that is empty or holds a NUL");
        if (v->type != MUSE_JSON_STRING || !is_shard_name(v->u.string, v->len))
            return muse_fail(err, MUSE_ERR_FORMAT, "weight_map: tensor \"%.*s\" is said to lie in \"%.*s\", which is not a .safetensors file of the same folder",
                             show(v->key_len), v->key, v->type == MUSE_JSON_STRING ? show(v->len) : 0, v->type == MUSE_JSON_STRING ? v->u.string : "");
        MuseShardEntry *entry = &index->entries[index->n_entries];
        const int rc = find_file(index, a, v, &entry->shard, err);
        if (rc < 0) return rc;
        entry->name = memcpy(at, v->key, v->key_len);
        at[v->key_len] = 0;
        at += (size_t)v->key_len + 1;
        index->n_entries++;
    }
    qsort(index->entries, index->n_entries, sizeof *index->entries, by_entry);
    for (size_t i = 1; i < index->n_entries; i++)
        if (strcmp(index->entries[i - 1].name, index->entries[i].name) == 0)
            return muse_fail(err, MUSE_ERR_FORMAT, "weight_map names tensor \"%.200s\" twice", index->entries[i].name);
    return 0;
}

int muse_shard_index_read(MuseShardIndex *index, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err)
{
    *index = (MuseShardIndex){ 0 };
    if (size > MUSE_SHARD_INDEX_BYTES_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "an index of %zu bytes, more than %d", size, MUSE_SHARD_INDEX_BYTES_MAX);
    MuseJson doc;
    int rc = muse_json_parse(&doc, a, bytes, size, err);
    if (rc < 0) return rc;
    const MuseJsonValue *map = muse_json_get(doc.root, "weight_map");
    if (!muse_json_is(map, MUSE_JSON_OBJECT) || map->len == 0) rc = muse_fail(err, MUSE_ERR_FORMAT, "there is no weight_map, or it is empty");
    else rc = read_map(index, a, map, err);
    muse_json_close(&doc);
    if (rc < 0) muse_shard_index_clear(index);
    return rc;
}

void muse_shard_index_clear(MuseShardIndex *index)
{
    for (size_t i = 0; i < index->n_files; i++) muse_free(index->files[i]);
    muse_free(index->files);
    muse_free(index->entries);
    muse_free(index->text);
    *index = (MuseShardIndex){ 0 };
}
