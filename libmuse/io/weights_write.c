/* SPDX-License-Identifier: Apache-2.0 */
/* Headers and data of safetensors and GGUF files, streamed. Converts nothing. Sources: docs/FORMATS.md. Called by
 * libmuse/convert. */
#include "libmuse/io/weights_write.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "libmuse/io/safetensors.h"
#include "libmuse/io/weights.h"

/* ---- bytes into a buffer ---- */

static int put_le(MuseBuf *b, uint64_t v, size_t n)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(v >> (8 * i));
    return muse_buf_append(b, bytes, n);
}

static int put_text(MuseBuf *b, const char *text) { return muse_buf_append(b, text, strlen(text)); }

static int put_string(MuseBuf *b, const char *text, size_t n)
{
    const int rc = put_le(b, n, 8);
    return rc < 0 ? rc : muse_buf_append(b, text, n);
}

/* ---- GGUF metadata ---- */

/* name and type, and the value's first bytes if n > 0 */
static void start_key(MuseGgufMeta *m, const char *name, size_t n_name, unsigned type, uint64_t value, size_t n)
{
    if (m->rc == 0) m->rc = put_string(&m->bytes, name, n_name);
    if (m->rc == 0) m->rc = put_le(&m->bytes, type, 4);
    if (m->rc == 0 && n) m->rc = put_le(&m->bytes, value, n);
    m->n_keys++;
}

void muse_meta_u32(MuseGgufMeta *m, const char *key, uint32_t value) { start_key(m, key, strlen(key), MUSE_GGUF_U32, value, 4); }
void muse_meta_i32(MuseGgufMeta *m, const char *key, int32_t value) { start_key(m, key, strlen(key), MUSE_GGUF_I32, (uint32_t)value, 4); }
void muse_meta_bool(MuseGgufMeta *m, const char *key, bool value) { start_key(m, key, strlen(key), MUSE_GGUF_BOOL, value, 1); }

void muse_meta_f32(MuseGgufMeta *m, const char *key, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    start_key(m, key, strlen(key), MUSE_GGUF_F32, bits, 4);
}

void muse_meta_text(MuseGgufMeta *m, const char *key, const char *text, size_t n)
{
    start_key(m, key, strlen(key), MUSE_GGUF_STRING, 0, 0);
    muse_meta_item(m, text, n);
}

void muse_meta_array(MuseGgufMeta *m, const char *key, MuseGgufType elem, uint64_t n)
{
    start_key(m, key, strlen(key), MUSE_GGUF_ARRAY, elem, 4);
    if (m->rc == 0) m->rc = put_le(&m->bytes, n, 8);
}

void muse_meta_item(MuseGgufMeta *m, const char *text, size_t n)
{
    if (m->rc == 0) m->rc = put_string(&m->bytes, text, n);
}

void muse_meta_items(MuseGgufMeta *m, const void *items, size_t bytes)
{
    if (m->rc == 0) m->rc = muse_buf_append(&m->bytes, items, bytes);
}

void muse_meta_copy(MuseGgufMeta *m, const MuseGgufKey *key)
{
    const bool list = key->type == MUSE_GGUF_ARRAY;
    start_key(m, key->name, key->name_len, key->type, key->elem, list ? 4 : 0);
    if (m->rc == 0 && (list || key->type == MUSE_GGUF_STRING)) m->rc = put_le(&m->bytes, key->count, 8);
    if (m->rc == 0) m->rc = muse_buf_append(&m->bytes, key->data, (size_t)key->bytes);
}

void muse_meta_clear(MuseGgufMeta *m) { muse_buf_clear(&m->bytes); }

/* ---- the plan ---- */

static int measure(MuseTensors *plan, MuseError *err)
{
    int rc = 0;
    for (size_t i = 0; i < plan->n && rc == 0; i++) {
        MuseTensor *t = &plan->items[i];
        t->part = 0;
        rc = muse_tensor_measure(t, t->name, strlen(t->name), err);
    }
    return rc;
}

static int start(MuseWeightWriter *w, const MuseAllocator *a, MuseTensors *plan, uint32_t n_files, MuseError *err)
{
    w->alloc = a;
    w->plan = plan;
    w->files = muse_zalloc_array(a, n_files, sizeof *w->files);
    if (!w->files) return MUSE_NOMEM(err, n_files * sizeof *w->files);
    w->n_files = n_files;
    return 0;
}

/* ---- GGUF ---- */

static uint64_t padding(uint64_t at) { return (MUSE_GGUF_ALIGNMENT - at % MUSE_GGUF_ALIGNMENT) % MUSE_GGUF_ALIGNMENT; }

static int gguf_header(MuseBuf *b, const MuseGgufMeta *meta, const MuseTensors *plan)
{
    int rc = put_text(b, "GGUF");
    if (rc == 0) rc = put_le(b, 3, 4);
    if (rc == 0) rc = put_le(b, plan->n, 8);
    if (rc == 0) rc = put_le(b, meta->n_keys, 8);
    if (rc == 0) rc = muse_buf_append(b, meta->bytes.data, meta->bytes.len);
    uint64_t offset = 0;
    for (size_t i = 0; i < plan->n && rc == 0; i++) {
        const MuseTensor *t = &plan->items[i];
        rc = put_string(b, t->name, strlen(t->name));
        if (rc == 0) rc = put_le(b, t->rank, 4);
        for (uint32_t k = t->rank; k > 0 && rc == 0; k--) rc = put_le(b, t->shape[k - 1], 8);   /* innermost first */
        if (rc == 0) rc = put_le(b, t->type, 4);
        if (rc == 0) rc = put_le(b, offset, 8);
        offset += t->bytes + padding(t->bytes);
    }
    static const uint8_t zeros[MUSE_GGUF_ALIGNMENT];
    return rc == 0 ? muse_buf_append(b, zeros, padding(b->len)) : rc;
}

static int next_tensor(MuseWeightWriter *w, MuseError *err);

static int open_file(MuseOutFile *f, const MuseAllocator *a, const char *path, MuseError *err)
{
    const int rc = muse_outfile_open(f, a, path, err);
    f->sync = true;
    return rc;
}

int muse_writer_gguf(MuseWeightWriter *w, const MuseAllocator *a, const char *path, const MuseGgufMeta *meta, MuseTensors *plan, MuseError *err)
{
    MuseBuf header = { .alloc = a };
    int rc = measure(plan, err);
    for (size_t i = 0; i < plan->n && rc == 0; i++)
        if (plan->items[i].type == MUSE_TENSOR_U8) rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "tensor \"%.200s\": GGUF has no type U8", plan->items[i].name);
    if (rc == 0) rc = start(w, a, plan, 1, err);
    if (rc == 0 && (meta->rc < 0 || gguf_header(&header, meta, plan) < 0)) rc = MUSE_NOMEM(err, meta->bytes.len);
    if (rc == 0) rc = open_file(&w->files[0], a, path, err);
    if (rc == 0) rc = muse_outfile_write(&w->files[0], header.data, header.len, err);
    if (rc == 0) rc = next_tensor(w, err);
    muse_buf_clear(&header);
    return rc;
}

/* ---- safetensors ---- */

/* files in the order of the plan, each as full as it may be */
static uint32_t share_out(MuseTensors *plan, uint64_t shard_bytes)
{
    uint64_t used = 0;
    uint32_t part = 0;
    for (size_t i = 0; i < plan->n; i++) {
        MuseTensor *t = &plan->items[i];
        if (shard_bytes && used > 0 && (used >= shard_bytes || t->bytes > shard_bytes - used)) {
            part++;
            used = 0;
        }
        t->part = part;
        used += t->bytes;
    }
    return part + 1;
}

static void shard_name(char name[64], uint32_t part, uint32_t n)
{
    if (n == 1) snprintf(name, 64, "model.safetensors");
    else snprintf(name, 64, "model-%05u-of-%05u.safetensors", part + 1, n);
}

static int put_entry(MuseBuf *b, const MuseTensor *t, uint64_t at)
{
    char text[160];
    int rc = muse_json_write_string(b, t->name, strlen(t->name));
    if (rc < 0) return rc;
    snprintf(text, sizeof text, ":{\"dtype\":\"%s\",\"shape\":[", muse_tensor_type(t->type)->name);
    rc = put_text(b, text);
    for (uint32_t k = 0; k < t->rank && rc == 0; k++) {
        snprintf(text, sizeof text, k ? ",%" PRIu64 : "%" PRIu64, t->shape[k]);
        rc = put_text(b, text);
    }
    snprintf(text, sizeof text, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + t->bytes);
    return rc == 0 ? put_text(b, text) : rc;
}

/* length, then JSON that spaces bring to a multiple of 8, so that data is aligned */
static int safetensors_header(MuseBuf *b, const MuseTensors *plan, uint32_t part)
{
    uint64_t at = 0;
    int rc = put_le(b, 0, 8);
    if (rc == 0) rc = put_text(b, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < plan->n && rc == 0; i++) {
        const MuseTensor *t = &plan->items[i];
        if (t->part != part) continue;
        rc = put_text(b, ",");
        if (rc == 0) rc = put_entry(b, t, at);
        at += t->bytes;
    }
    if (rc == 0) rc = put_text(b, "}");
    while (rc == 0 && b->len % 8) rc = put_text(b, " ");
    for (size_t i = 0; i < 8 && rc == 0; i++) b->data[i] = (uint8_t)((uint64_t)(b->len - 8) >> (8 * i));
    return rc;
}

static int open_shard(MuseWeightWriter *w, uint32_t part, MuseError *err)
{
    MuseBuf header = { .alloc = w->alloc };
    char name[64];
    shard_name(name, part, w->n_files);
    char *path = muse_path_beside(w->alloc, w->folder, name);
    int rc = 0;
    if (!path || safetensors_header(&header, w->plan, part) < 0) rc = MUSE_NOMEM(err, header.len);
    else if (header.len - 8 > MUSE_SAFETENSORS_HEADER_MAX) rc = muse_fail(err, MUSE_ERR_LIMIT, "%s: a header of %zu bytes is over the format's limit", path, header.len - 8);
    if (rc == 0) rc = open_file(&w->files[part], w->alloc, path, err);
    if (rc == 0) rc = muse_outfile_write(&w->files[part], header.data, header.len, err);
    muse_free(path);
    muse_buf_clear(&header);
    return rc;
}

static int index_text(MuseBuf *b, const MuseTensors *plan, uint32_t n_files)
{
    char text[128];
    uint64_t total = 0;
    for (size_t i = 0; i < plan->n; i++) total += plan->items[i].bytes;
    snprintf(text, sizeof text, "{\n  \"metadata\": {\"total_size\": %" PRIu64 "},\n  \"weight_map\": {", total);
    int rc = put_text(b, text);
    for (size_t i = 0; i < plan->n && rc == 0; i++) {
        char name[64];
        shard_name(name, plan->items[i].part, n_files);
        rc = put_text(b, i ? ",\n    " : "\n    ");
        if (rc == 0) rc = muse_json_write_string(b, plan->items[i].name, strlen(plan->items[i].name));
        snprintf(text, sizeof text, ": \"%s\"", name);
        if (rc == 0) rc = put_text(b, text);
    }
    return rc == 0 ? put_text(b, "\n  }\n}\n") : rc;
}

static int write_index(MuseWeightWriter *w, MuseError *err)
{
    MuseBuf text = { .alloc = w->alloc };
    char *path = muse_path_beside(w->alloc, w->folder, "model.safetensors.index.json");
    int rc = path && index_text(&text, w->plan, w->n_files) == 0 ? 0 : MUSE_NOMEM(err, text.len);
    if (rc == 0) rc = open_file(&w->index, w->alloc, path, err);
    if (rc == 0) rc = muse_outfile_write(&w->index, text.data, text.len, err);
    if (rc == 0) rc = muse_outfile_finish(&w->index, err);
    muse_free(path);
    muse_buf_clear(&text);
    return rc;
}

int muse_writer_safetensors(MuseWeightWriter *w, const MuseAllocator *a, const char *folder, MuseTensors *plan, uint64_t shard_bytes, MuseError *err)
{
    int rc = measure(plan, err);
    for (size_t i = 0; i < plan->n && rc == 0; i++)
        if (muse_tensor_type(plan->items[i].type)->values > 1)
            rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "tensor \"%.200s\": safetensors have no type %s", plan->items[i].name, muse_tensor_type(plan->items[i].type)->name);
    if (rc < 0) return rc;
    const uint32_t n = share_out(plan, shard_bytes);
    if (n > MUSE_SHARDS_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "%s: %u files of %" PRIu64 " bytes, the limit is %d", folder, n, shard_bytes, MUSE_SHARDS_MAX);
    rc = start(w, a, plan, n, err);
    if (rc < 0) return rc;
    const size_t size = strlen(folder) + 1;
    w->folder = muse_alloc(a, size);
    if (!w->folder) return MUSE_NOMEM(err, size);
    memcpy(w->folder, folder, size);
    rc = open_shard(w, 0, err);
    if (rc == 0 && n > 1) rc = write_index(w, err);
    return rc < 0 ? rc : next_tensor(w, err);
}

/* ---- data ---- */

/* After a whole tensor: fill up to the next one's place, step into its file; tensors without bytes are done at once. */
static int next_tensor(MuseWeightWriter *w, MuseError *err)
{
    static const uint8_t zeros[MUSE_GGUF_ALIGNMENT];
    int rc = 0;
    while (rc == 0 && w->tensor < w->plan->n && w->done == w->plan->items[w->tensor].bytes) {
        if (!w->folder) rc = muse_outfile_write(&w->files[0], zeros, padding(w->done), err);
        const uint32_t part = w->plan->items[w->tensor].part;
        w->tensor++;
        w->done = 0;
        if (rc < 0 || w->tensor == w->plan->n || w->plan->items[w->tensor].part == part) continue;
        rc = muse_outfile_finish(&w->files[part], err);
        if (rc == 0) rc = open_shard(w, part + 1, err);
    }
    return rc;
}

int muse_writer_data(MuseWeightWriter *w, const void *data, size_t n, MuseError *err)
{
    assert(w->tensor < w->plan->n && n <= w->plan->items[w->tensor].bytes - w->done);
    const int rc = muse_outfile_write(&w->files[w->plan->items[w->tensor].part], data, n, err);
    w->done += n;
    return rc < 0 ? rc : next_tensor(w, err);
}

int muse_writer_commit(MuseWeightWriter *w, MuseError *err)
{
    if (w->tensor < w->plan->n) return muse_fail(err, MUSE_ERR_STATE, "tensor \"%.200s\" is not complete", w->plan->items[w->tensor].name);
    int rc = 0;
    uint32_t done = 0;
    while (done < w->n_files && (rc = muse_outfile_commit(&w->files[done], err)) == 0) w->bytes += w->files[done++].size;
    if (rc == 0 && w->n_files > 1) rc = muse_outfile_commit(&w->index, err);
    if (rc == 0) rc = muse_outfile_sync_name(&w->files[0], err);   /* all lie in the same folder */
    if (rc < 0) muse_writer_take_back(w);   /* shards without an index are no model */
    return rc;
}

void muse_writer_take_back(MuseWeightWriter *w)
{
    for (uint32_t i = 0; i < w->n_files; i++) muse_outfile_take_back(&w->files[i]);
    muse_outfile_take_back(&w->index);
}

void muse_writer_close(MuseWeightWriter *w)
{
    for (uint32_t i = 0; i < w->n_files; i++) muse_outfile_close(&w->files[i]);
    muse_outfile_close(&w->index);
    muse_free(w->files);
    muse_free(w->folder);
    *w = (MuseWeightWriter){ 0 };
}
