/* SPDX-License-Identifier: Apache-2.0 */
/* The tensor directory of GGUF: what base/gguf.c leaves to the reader of weights. Does not read metadata of models. */
#include "libmuse/io/gguf_tensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ggml's type numbers that are not supported, for the message. Source: ggml.h, enum ggml_type. */
static const struct { uint32_t type; const char *name; } refused[] = {
    { 3, "Q4_1" }, { 6, "Q5_0" }, { 7, "Q5_1" }, { 9, "Q8_1" }, { 10, "Q2_K" }, { 11, "Q3_K" }, { 15, "Q8_K" }, { 16, "IQ2_XXS" }, { 17, "IQ2_XS" },
    { 18, "IQ3_XXS" }, { 19, "IQ1_S" }, { 20, "IQ4_NL" }, { 21, "IQ3_S" }, { 22, "IQ2_S" }, { 23, "IQ4_XS" }, { 25, "I16" }, { 28, "F64" }, { 29, "IQ1_M" },
    { 34, "TQ1_0" }, { 35, "TQ2_0" }, { 39, "MXFP4" },
};

static int show(const MuseGgufTensor *t) { return t->name_len < 200 ? (int)t->name_len : 200; }

static int check_type(const MuseGgufTensor *t, MuseError *err)
{
    if (t->type != MUSE_TENSOR_U8 && muse_tensor_type(t->type)) return 0;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (refused[i].type == t->type)
            return muse_fail(err, MUSE_ERR_UNSUPPORTED, "GGUF: tensor \"%.*s\" is of type %s, which is not supported", show(t), t->name, refused[i].name);
    return muse_fail(err, MUSE_ERR_UNSUPPORTED, "GGUF: tensor \"%.*s\" is of type number %u, which is not known", show(t), t->name, t->type);
}

static int read_one(MuseTensors *list, const MuseGguf *g, const MuseGgufTensor *t, uint32_t part, MuseError *err)
{
    int rc = check_type(t, err);
    if (rc < 0) return rc;
    MuseTensor out = { .type = t->type, .rank = t->n_dims, .shape = { 1, 1, 1, 1 }, .part = part };
    for (uint32_t i = 0; i < t->n_dims; i++) out.shape[i] = t->dims[t->n_dims - 1 - i];   /* GGUF writes the innermost first */
    rc = muse_tensor_measure(&out, t->name, t->name_len, err);
    if (rc < 0) return rc;
    const uint64_t room = g->size - g->data_at - t->offset;   /* base/gguf.c: the offset is inside */
    if (out.bytes > room)
        return muse_fail(err, MUSE_ERR_FORMAT, "GGUF: tensor \"%.*s\" needs %" PRIu64 " bytes, but the file ends after %" PRIu64 " (is it whole?)", show(t), t->name, out.bytes, room);
    out.data = g->bytes + g->data_at + t->offset;
    return muse_tensors_add(list, &out, t->name, t->name_len, err);
}

/* Tensors follow each other, each at the next aligned byte: the layout that all writers of the format make. */
static int check_cover(const MuseTensors *list, const MuseGguf *g, uint32_t part, const MuseLog *log, MuseError *err)
{
    size_t n;
    const MuseTensor **order = muse_tensors_by_place(list, part, &n);
    if (!order) return MUSE_NOMEM(err, list->n * sizeof *order);
    const uint8_t *data = g->bytes + g->data_at;
    uint64_t at = 0;   /* where the next one may start */
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const uint64_t from = (uint64_t)(order[i]->data - data);
        if (from < at) rc = muse_fail(err, MUSE_ERR_FORMAT, "GGUF: tensors \"%.180s\" and \"%.180s\" overlap at byte %" PRIu64 " of the data", order[i - 1]->name, order[i]->name, from);
        else if (from - at >= g->alignment) rc = muse_fail(err, MUSE_ERR_FORMAT, "GGUF: %" PRIu64 " bytes before tensor \"%.200s\" belong to none", from - at, order[i]->name);
        at = from + order[i]->bytes;
    }
    const uint64_t rest = rc == 0 ? g->size - g->data_at - at : 0;
    if (rest >= g->alignment) muse_log(log, MUSE_LOG_WARN, "GGUF: the last %" PRIu64 " bytes of the file belong to no tensor and are not used", rest);
    muse_free(order);
    return rc;
}

static int by_key(const void *a, const void *b)
{
    const MuseGgufKey *x = *(const MuseGgufKey *const *)a, *y = *(const MuseGgufKey *const *)b;
    const int order = memcmp(x->name, y->name, x->name_len < y->name_len ? x->name_len : y->name_len);
    return order ? order : x->name_len < y->name_len ? -1 : x->name_len > y->name_len;
}

static int check_keys(const MuseGguf *g, const MuseAllocator *a, MuseError *err)
{
    const MuseGgufKey **order = muse_alloc_array(a, g->n_keys ? g->n_keys : 1, sizeof *order);
    if (!order) return MUSE_NOMEM(err, g->n_keys * sizeof *order);
    for (size_t i = 0; i < g->n_keys; i++) order[i] = &g->keys[i];
    if (g->n_keys > 1) qsort(order, g->n_keys, sizeof *order, by_key);
    int rc = 0;
    for (size_t i = 1; i < g->n_keys && rc == 0; i++)
        if (by_key(&order[i - 1], &order[i]) == 0) rc = muse_fail(err, MUSE_ERR_FORMAT, "GGUF: key \"%.*s\" is there twice", (int)(order[i]->name_len < 200 ? order[i]->name_len : 200), order[i]->name);
    muse_free(order);
    return rc;
}

int muse_gguf_tensors_read(MuseTensors *list, const MuseGguf *g, uint32_t part, const MuseLog *log, MuseError *err)
{
    uint32_t splits;
    int rc = muse_gguf_u32(g, "split.count", 0, &splits, err);
    if (rc == 0 && splits > 1) rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "GGUF: the model is split over %u files (split.count); join them first", splits);
    if (rc == 0) rc = check_keys(g, list->alloc, err);
    if (rc == 0) rc = muse_tensors_reserve(list, g->n_tensors, err);
    for (size_t i = 0; i < g->n_tensors && rc == 0; i++) rc = read_one(list, g, &g->tensors[i], part, err);
    if (rc == 0) rc = check_cover(list, g, part, log, err);
    return rc < 0 ? rc : muse_tensors_sort(list, err);
}
