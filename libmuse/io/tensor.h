/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of a weight file as a directory: what each is called, its type and shape, where its bytes lie. Nothing is read or
 * converted here. Users: the readers of this folder, libmuse/model. */
#ifndef LIBMUSE_IO_TENSOR_H
#define LIBMUSE_IO_TENSOR_H

#include "base/alloc.h"
#include "base/status.h"

/* Numbers as GGUF writes them. I8 to I64 and U8 may lie in a file, but no weight is one. */
enum {
    MUSE_TENSOR_F32 = 0, MUSE_TENSOR_F16 = 1, MUSE_TENSOR_Q4_0 = 2, MUSE_TENSOR_Q5_0 = 6, MUSE_TENSOR_Q5_1 = 7, MUSE_TENSOR_Q8_0 = 8, MUSE_TENSOR_Q4_K = 12, MUSE_TENSOR_Q5_K = 13,
    MUSE_TENSOR_Q6_K = 14, MUSE_TENSOR_I8 = 24, MUSE_TENSOR_I32 = 26, MUSE_TENSOR_I64 = 27, MUSE_TENSOR_BF16 = 30,
    MUSE_TENSOR_U8 = 62,       /* not in GGUF */
    MUSE_TENSOR_TYPES_MAX = 64
};

/* How a type is stored: blocks of `values` values in `bytes` bytes each. */
typedef struct MuseTensorType {
    const char *name;          /* "F32", "Q4_K", ... */
    uint32_t    type;          /* MUSE_TENSOR_* */
    uint32_t    values, bytes;
    bool        is_weight;     /* a model may be made of it */
} MuseTensorType;

/* NULL: not a type that is known here. */
const MuseTensorType *muse_tensor_type(uint32_t type);

enum { MUSE_RANK_MAX = 4 };

typedef struct MuseTensor {
    const char    *name;                  /* terminated; of the list it came from */
    uint32_t       type;                  /* MUSE_TENSOR_* */
    uint32_t       rank;                  /* 0 is a single value */
    uint64_t       shape[MUSE_RANK_MAX];  /* outermost first, as Hugging Face writes it; unused ones are 1 */
    const uint8_t *data;                  /* in the mapped file; any alignment */
    uint64_t       bytes;
    uint32_t       part;                  /* number of the file it lies in */
} MuseTensor;

/* A directory under construction, then sorted. Start with zeros and an allocator; release with muse_tensors_clear(). */
typedef struct MuseTensors {
    const MuseAllocator *alloc;
    MuseTensor *items;
    size_t      n, cap;
} MuseTensors;

/* Product of the shape; false when it does not fit 64 bits. */
bool muse_tensor_values(const MuseTensor *t, uint64_t *values);
/* Bytes that type and shape ask for, into t->bytes. MUSE_ERR_FORMAT: rows do not hold whole blocks, or it does not fit. */
int  muse_tensor_measure(MuseTensor *t, const char *name, size_t n_name, MuseError *err);

/* Room for n more, then one more each; the name is copied and must not hold a NUL. */
int  muse_tensors_reserve(MuseTensors *list, size_t n, MuseError *err);
int  muse_tensors_add(MuseTensors *list, const MuseTensor *t, const char *name, size_t n_name, MuseError *err);
/* Sort by name, for muse_tensors_find(). MUSE_ERR_FORMAT: two of one name. */
int  muse_tensors_sort(MuseTensors *list, MuseError *err);
const MuseTensor *muse_tensors_find(const MuseTensors *list, const char *name);   /* NULL if none */
/* The items by place in their file (those of one part): an array of pointers to release with muse_free(). NULL: no memory. */
const MuseTensor **muse_tensors_by_place(const MuseTensors *list, uint32_t part, size_t *n);
void muse_tensors_clear(MuseTensors *list);

/* "[2048, 512]" into text; for messages. */
const char *muse_shape_text(const uint64_t *shape, uint32_t rank, char *text, size_t cap);

#endif
