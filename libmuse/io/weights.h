/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of one model, mapped: a .safetensors file, a Hugging Face folder (one file or shards), or a GGUF file, behind one
 * interface. Read-only after open. Users: libmuse/model. */
#ifndef LIBMUSE_IO_WEIGHTS_H
#define LIBMUSE_IO_WEIGHTS_H

#include "base/bytes.h"
#include "base/gguf.h"
#include "base/log.h"
#include "libmuse/io/tensor.h"

typedef enum MuseWeightFormat { MUSE_WEIGHTS_SAFETENSORS, MUSE_WEIGHTS_GGUF } MuseWeightFormat;

typedef struct MuseWeightPart {
    char    *path;
    MuseFile file;
} MuseWeightPart;

/* Start with zeros. */
typedef struct MuseWeightFile {
    const MuseAllocator *alloc;
    MuseWeightFormat format;
    MuseWeightPart  *parts;      /* the files; MuseTensor.part is an index of this */
    size_t           n_parts;
    MuseGguf         gguf;       /* metadata, GGUF only */
    MuseTensors      tensors;    /* sorted by name */
    uint64_t         file_bytes; /* all parts */
} MuseWeightFile;

/* path: a folder, a .safetensors file, a *.safetensors.index.json, or a GGUF file. 0; MUSE_ERR_IO: a file is missing (named);
 * MUSE_ERR_FORMAT, MUSE_ERR_UNSUPPORTED, MUSE_ERR_LIMIT: see safetensors.h, gguf_tensors.h; MUSE_ERR_NOMEM.
 * On error the file is closed. Close accepts a zeroed one. */
int  muse_weights_open(MuseWeightFile *w, const MuseAllocator *a, const MuseLog *log, const char *path, MuseError *err);
void muse_weights_close(MuseWeightFile *w);

/* By exact name; NULL if none. */
const MuseTensor *muse_weights_find(const MuseWeightFile *w, const char *name);

/* path of a file in (or, if path is no folder, beside) path; muse_free() it. NULL: no memory. */
char *muse_path_beside(const MuseAllocator *a, const char *path, const char *name);
bool  muse_path_is_folder(const char *path);
bool  muse_path_exists(const char *path);

#endif
