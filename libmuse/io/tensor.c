/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of a weight file: types, sizes, sorted names. Called by the readers of safetensors and GGUF. */
#include "libmuse/io/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Blocks of the quantised types: ggml's block_q8_0, block_q4_0, block_q4_K, block_q5_K, block_q6_K, block_q5_0, block_q5_1. */
static const MuseTensorType types[] = {
    { "F32", MUSE_TENSOR_F32, 1, 4, true },     { "F16", MUSE_TENSOR_F16, 1, 2, true },      { "BF16", MUSE_TENSOR_BF16, 1, 2, true },
    { "Q8_0", MUSE_TENSOR_Q8_0, 32, 34, true }, { "Q4_0", MUSE_TENSOR_Q4_0, 32, 18, true },  { "Q4_K", MUSE_TENSOR_Q4_K, 256, 144, true },
    { "Q5_K", MUSE_TENSOR_Q5_K, 256, 176, true }, { "Q6_K", MUSE_TENSOR_Q6_K, 256, 210, true },
    { "Q5_0", MUSE_TENSOR_Q5_0, 32, 22, true }, { "Q5_1", MUSE_TENSOR_Q5_1, 32, 24, true },
    { "I8", MUSE_TENSOR_I8, 1, 1, false },      { "U8", MUSE_TENSOR_U8, 1, 1, false },       { "I32", MUSE_TENSOR_I32, 1, 4, false },
    { "I64", MUSE_TENSOR_I64, 1, 8, false },
};

const MuseTensorType *muse_tensor_type(uint32_t type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type) return &types[i];
    return NULL;
}

bool muse_tensor_values(const MuseTensor *t, uint64_t *values)
{
    uint64_t product = 1;
    bool fits = true, zero = false;
    for (uint32_t i = 0; i < t->rank; i++) {
        zero |= t->shape[i] == 0;
        if (t->shape[i] && product > UINT64_MAX / t->shape[i]) fits = false;
        else product *= t->shape[i];
    }
    *values = zero ? 0 : product;
    return fits;
}

int muse_tensor_measure(MuseTensor *t, const char *name, size_t n_name, MuseError *err)
{
    const int show = n_name < 200 ? (int)n_name : 200;
    const MuseTensorType *type = muse_tensor_type(t->type);
    uint64_t values;
    const uint64_t row = t->rank ? t->shape[t->rank - 1] : 1;
    if (!muse_tensor_values(t, &values) || values / type->values > (UINT64_MAX >> 1) / type->bytes)
        return muse_fail(err, MUSE_ERR_FORMAT, "tensor \"%.*s\": its shape asks for more than 2^63 bytes", show, name);
    if (row % type->values)
        return muse_fail(err, MUSE_ERR_FORMAT, "tensor \"%.*s\": rows of %" PRIu64 " values are not whole blocks of %u, as type %s has them", show, name, row,
                         type->values, type->name);
    t->bytes = values / type->values * type->bytes;
    return 0;
}

int muse_tensors_reserve(MuseTensors *list, size_t n, MuseError *err)
{
    size_t cap;
    if (!muse_add_size(list->n, n, &cap)) return MUSE_NOMEM(err, n);
    if (cap <= list->cap) return 0;
    MuseTensor *items = muse_realloc_array(list->alloc, list->items, cap, sizeof *items);
    if (!items) return MUSE_NOMEM(err, cap * sizeof *items);
    list->items = items;
    list->cap = cap;
    return 0;
}

int muse_tensors_add(MuseTensors *list, const MuseTensor *t, const char *name, size_t n_name, MuseError *err)
{
    if (n_name == 0 || memchr(name, 0, n_name)) return muse_fail(err, MUSE_ERR_FORMAT, "a tensor has a name of %zu bytes that is empty or holds a NUL", n_name);
    if (list->n == list->cap) {
        const int rc = muse_tensors_reserve(list, list->cap ? list->cap : 16, err);
        if (rc < 0) return rc;
    }
    char *copy = muse_alloc(list->alloc, n_name + 1);
    if (!copy) return MUSE_NOMEM(err, n_name + 1);
    memcpy(copy, name, n_name);
    copy[n_name] = 0;
    list->items[list->n] = *t;
    list->items[list->n++].name = copy;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const MuseTensor *)a)->name, ((const MuseTensor *)b)->name);
}

int muse_tensors_sort(MuseTensors *list, MuseError *err)
{
    if (list->n > 1) qsort(list->items, list->n, sizeof *list->items, by_name);
    for (size_t i = 1; i < list->n; i++)
        if (strcmp(list->items[i - 1].name, list->items[i].name) == 0)
            return muse_fail(err, MUSE_ERR_FORMAT, "tensor \"%.200s\" is there twice", list->items[i].name);
    return 0;
}

const MuseTensor *muse_tensors_find(const MuseTensors *list, const char *name)
{
    size_t low = 0, high = list->n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = strcmp(list->items[mid].name, name);
        if (order == 0) return &list->items[mid];
        if (order < 0) low = mid + 1;
        else high = mid;
    }
    return NULL;
}

/* an empty tensor lies before one that starts at the same byte */
static int by_place(const void *a, const void *b)
{
    const MuseTensor *x = *(const MuseTensor *const *)a, *y = *(const MuseTensor *const *)b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

const MuseTensor **muse_tensors_by_place(const MuseTensors *list, uint32_t part, size_t *n)
{
    const MuseTensor **order = muse_alloc_array(list->alloc, list->n ? list->n : 1, sizeof *order);
    *n = 0;
    if (!order) return NULL;
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].part == part) order[(*n)++] = &list->items[i];
    if (*n > 1) qsort(order, *n, sizeof *order, by_place);
    return order;
}

void muse_tensors_clear(MuseTensors *list)
{
    for (size_t i = 0; i < list->n; i++) muse_free((void *)(uintptr_t)list->items[i].name);
    muse_free(list->items);
    *list = (MuseTensors){ .alloc = list->alloc };
}

const char *muse_shape_text(const uint64_t *shape, uint32_t rank, char *text, size_t cap)
{
    size_t at = (size_t)snprintf(text, cap, "[");
    for (uint32_t i = 0; i < rank && at < cap; i++) at += (size_t)snprintf(text + at, cap - at, i ? ", %" PRIu64 : "%" PRIu64, shape[i]);
    if (at < cap) snprintf(text + at, cap - at, "]");
    return text;
}
