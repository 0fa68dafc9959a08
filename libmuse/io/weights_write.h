/* SPDX-License-Identifier: Apache-2.0 */
/* Writing weight files, tensor after tensor: safetensors in one file or shards with their index, and GGUF version 3. Files appear
 * whole or not at all, also after a power cut; one at a time is open. Users: libmuse/convert, libmuse/train, tests. */
#ifndef LIBMUSE_IO_WEIGHTS_WRITE_H
#define LIBMUSE_IO_WEIGHTS_WRITE_H

#include "base/gguf.h"
#include "base/outfile.h"
#include "libmuse/io/tensor.h"

/* ---- GGUF metadata under construction: start with zeros and an allocator in bytes.alloc ---- */

typedef struct MuseGgufMeta {
    MuseBuf  bytes;
    uint64_t n_keys;
    int      rc;               /* 0, or MUSE_ERR_NOMEM: then the calls below do nothing, and writing fails with it */
} MuseGgufMeta;

void muse_meta_u32(MuseGgufMeta *m, const char *key, uint32_t value);
void muse_meta_i32(MuseGgufMeta *m, const char *key, int32_t value);
void muse_meta_f32(MuseGgufMeta *m, const char *key, float value);
void muse_meta_bool(MuseGgufMeta *m, const char *key, bool value);
void muse_meta_text(MuseGgufMeta *m, const char *key, const char *text, size_t n);
/* An array: then exactly n items, texts by muse_meta_item(), numbers of 4 bytes and truth values of 1 by muse_meta_items(). */
void muse_meta_array(MuseGgufMeta *m, const char *key, MuseGgufType elem, uint64_t n);
void muse_meta_item(MuseGgufMeta *m, const char *text, size_t n);
void muse_meta_items(MuseGgufMeta *m, const void *items, size_t bytes);
void muse_meta_copy(MuseGgufMeta *m, const MuseGgufKey *key);   /* as it is in another file */
void muse_meta_clear(MuseGgufMeta *m);

/* ---- files ---- */

enum { MUSE_GGUF_ALIGNMENT = 32 };   /* what readers take when no key says otherwise */

/* Start with zeros; release with muse_writer_close() also after errors. */
typedef struct MuseWeightWriter {
    const MuseAllocator *alloc;
    MuseTensors *plan;         /* borrowed until closed: what is written, in this order */
    char        *folder;       /* safetensors; NULL: GGUF */
    MuseOutFile *files;        /* plan->items[i].part is an index of this */
    uint32_t     n_files;
    MuseOutFile  index;
    size_t       tensor;       /* the one that is being written */
    uint64_t     done;         /* its bytes so far */
    uint64_t     bytes;        /* of all files, when committed */
} MuseWeightWriter;

/* Begin with a plan of tensors: name, type, rank and shape are set; bytes and part are set here. Then the bytes of all tensors in
 * the plan's order through muse_writer_data(), in pieces of any size that do not reach over a tensor's end; then commit.
 * safetensors: `folder` exists; shard_bytes: largest size of a file's data (a tensor is never cut, so one larger tensor makes one
 * larger file), 0 = one file. 0; MUSE_ERR_UNSUPPORTED: a type the container does not have; MUSE_ERR_LIMIT: over 1,024 shards or
 * a header over the format's limit; MUSE_ERR_IO; MUSE_ERR_NOMEM. */
int muse_writer_safetensors(MuseWeightWriter *w, const MuseAllocator *a, const char *folder, MuseTensors *plan, uint64_t shard_bytes, MuseError *err);
int muse_writer_gguf(MuseWeightWriter *w, const MuseAllocator *a, const char *path, const MuseGgufMeta *meta, MuseTensors *plan, MuseError *err);
/* bytes of the tensor w->tensor. 0; MUSE_ERR_IO: names the file and the cause */
int muse_writer_data(MuseWeightWriter *w, const void *data, size_t n, MuseError *err);
/* Put all files in place, the index last, and wait for the disk. 0; MUSE_ERR_STATE: tensors are not complete; MUSE_ERR_IO: no shard is left either. */
int muse_writer_commit(MuseWeightWriter *w, MuseError *err);
/* After a commit: the files are removed again. */
void muse_writer_take_back(MuseWeightWriter *w);
/* What was not committed is removed. */
void muse_writer_close(MuseWeightWriter *w);

#endif
