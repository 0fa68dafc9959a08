/* SPDX-License-Identifier: Apache-2.0 */
/* Reading safetensors: the header of one file, and the index that spreads a model over several ("shards").
 * Source: the format's description (8-byte little-endian header length, JSON header, data without holes).
 * Bytes are untrusted: everything is checked against the size of the file. Users: libmuse/io/weights.c, fuzzing. */
#ifndef LIBMUSE_IO_SAFETENSORS_H
#define LIBMUSE_IO_SAFETENSORS_H

#include "libmuse/io/tensor.h"

/* What the format's own readers take at most. */
enum { MUSE_SAFETENSORS_HEADER_MAX = 100000000 };

/* Append the tensors of a file of these bytes, which must outlive the list; `part` is noted in each. 0; MUSE_ERR_FORMAT: damaged,
 * lying, overlapping, with holes, a name twice; MUSE_ERR_UNSUPPORTED: a number type that is not known (named); MUSE_ERR_LIMIT;
 * MUSE_ERR_NOMEM. After an error the list holds some of them and is to be cleared. */
int muse_safetensors_read(MuseTensors *list, const void *bytes, size_t size, uint32_t part, MuseError *err);

typedef struct MuseShardEntry {
    const char *name;        /* of a tensor, terminated */
    uint32_t    shard;
} MuseShardEntry;

/* An index: which tensor lies in which file. Start with zeros. */
typedef struct MuseShardIndex {
    char          **files;   /* plain names, terminated: no folders, each once */
    size_t          n_files;
    MuseShardEntry *entries; /* by name, each once */
    size_t          n_entries;
    char           *text;    /* where the names lie */
} MuseShardIndex;

/* generous: the largest published models have under 200 shards and an index of 10 MB */
enum { MUSE_SHARDS_MAX = 1024, MUSE_SHARD_INDEX_BYTES_MAX = 1 << 25 };

/* Read a model.safetensors.index.json; the bytes are borrowed for the call. Names of shards that leave the folder, or are no
 * .safetensors files, are MUSE_ERR_FORMAT. */
int  muse_shard_index_read(MuseShardIndex *index, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err);
void muse_shard_index_clear(MuseShardIndex *index);

#endif
