/* SPDX-License-Identifier: Apache-2.0 */
/* A GGUF file's metadata and tensor directory, read in place: names and values are slices of the bytes, which must outlive
 * the document. Everything is checked against the size of the file before memory is asked for.
 * Source: the GGUF specification, versions 2 and 3, little-endian. Users: the text tokenizer, the model loader. */
#ifndef BASE_GGUF_H
#define BASE_GGUF_H

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/status.h"

typedef enum MuseGgufType {
    MUSE_GGUF_U8, MUSE_GGUF_I8, MUSE_GGUF_U16, MUSE_GGUF_I16, MUSE_GGUF_U32, MUSE_GGUF_I32, MUSE_GGUF_F32, MUSE_GGUF_BOOL,
    MUSE_GGUF_STRING, MUSE_GGUF_ARRAY, MUSE_GGUF_U64, MUSE_GGUF_I64, MUSE_GGUF_F64
} MuseGgufType;

typedef struct MuseGgufKey {
    const char    *name;      /* not terminated */
    const uint8_t *data;      /* the value; strings: their bytes; arrays: the first element */
    uint64_t       count;     /* strings: bytes; arrays: elements; else 1 */
    uint64_t       bytes;     /* from data to the end of the value */
    uint32_t       name_len;
    uint8_t        type;      /* MuseGgufType */
    uint8_t        elem;      /* arrays: MuseGgufType of the elements, never an array itself */
} MuseGgufKey;

enum { MUSE_GGUF_DIMS_MAX = 4 };

typedef struct MuseGgufTensor {
    const char *name;         /* not terminated */
    uint32_t    name_len;
    uint32_t    n_dims;
    uint64_t    dims[MUSE_GGUF_DIMS_MAX];   /* fastest first, unused ones 1; their product fits 64 bits */
    uint32_t    type;         /* as stored; the reader of weights knows sizes */
    uint64_t    offset;       /* from the start of the data section, inside the file */
} MuseGgufTensor;

typedef struct MuseGguf {
    MuseGgufKey    *keys;
    size_t          n_keys;
    MuseGgufTensor *tensors;
    size_t          n_tensors;
    const uint8_t  *bytes;
    size_t          size;
    uint64_t        data_at;  /* where the data section starts, at most size */
    uint32_t        version, alignment;
} MuseGguf;

bool muse_gguf_is(const void *bytes, size_t size);   /* starts with the magic */

/* 0; MUSE_ERR_FORMAT with the byte; MUSE_ERR_UNSUPPORTED: version, big-endian, nested arrays; MUSE_ERR_NOMEM */
int  muse_gguf_open(MuseGguf *g, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err);
void muse_gguf_close(MuseGguf *g);

const MuseGgufKey *muse_gguf_find(const MuseGguf *g, const char *name);       /* NULL if none */
const MuseGgufTensor *muse_gguf_tensor(const MuseGguf *g, const char *name);  /* NULL if none */

/* Typed reads: fallback if the key is absent; MUSE_ERR_FORMAT if it is of another type or out of range. */
int muse_gguf_u32(const MuseGguf *g, const char *name, uint32_t fallback, uint32_t *out, MuseError *err);   /* any integer type */
int muse_gguf_f32(const MuseGguf *g, const char *name, float fallback, float *out, MuseError *err);         /* f32 or f64 */
int muse_gguf_bool(const MuseGguf *g, const char *name, bool fallback, bool *out, MuseError *err);
/* *text NULL if the key is absent */
int muse_gguf_string(const MuseGguf *g, const char *name, const char **text, size_t *n, MuseError *err);
/* *key NULL if absent; else an array of this element type */
int muse_gguf_array(const MuseGguf *g, const char *name, MuseGgufType elem, const MuseGgufKey **key, MuseError *err);

/* The string at *at inside a string array (validated at open); *at moves on. Start with 0. */
const char *muse_gguf_next_string(const MuseGgufKey *key, size_t *at, size_t *n);
/* element i of an array of f32, or of i32 / u32 */
float   muse_gguf_f32_at(const MuseGgufKey *key, size_t i);
int32_t muse_gguf_i32_at(const MuseGgufKey *key, size_t i);

#endif
