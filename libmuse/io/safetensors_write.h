/* SPDX-License-Identifier: Apache-2.0 */
/* Writing safetensors. Users: libmuse/train. */
#ifndef LIBMUSE_IO_SAFETENSORS_WRITE_H
#define LIBMUSE_IO_SAFETENSORS_WRITE_H

#include "libmuse/io/tensor.h"

typedef struct MuseSaveTensor {
    const char  *name;        /* plain ASCII */
    uint32_t     type;        /* MUSE_TENSOR_F32 or MUSE_TENSOR_BF16: rounded to nearest even */
    uint32_t     rank;        /* 1 or 2 */
    uint64_t     shape[2];
    const float *data;
} MuseSaveTensor;

/* Write a file, in the given order, down to the disk (fsync). Not atomic by itself: write beside and rename.
 * 0; MUSE_ERR_IO; MUSE_ERR_NOMEM. On error a part of the file may be left. */
int muse_safetensors_write(const char *path, const MuseAllocator *a, const MuseSaveTensor *tensors, size_t n, MuseError *err);

#endif
