/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of a GGUF file whose metadata base/gguf.h has read: types, sizes, places checked. Users: libmuse/io/weights.c, fuzzing. */
#ifndef LIBMUSE_IO_GGUF_TENSORS_H
#define LIBMUSE_IO_GGUF_TENSORS_H

#include "base/gguf.h"
#include "base/log.h"
#include "libmuse/io/tensor.h"

/* Append the tensors of g, whose bytes must outlive the list. 0; MUSE_ERR_FORMAT: past the end, overlapping, with gaps beyond
 * the alignment, a tensor or key twice; MUSE_ERR_UNSUPPORTED: a type that is not supported (named), a model split over several
 * files; MUSE_ERR_NOMEM. Bytes after the last tensor are said in the log. */
int muse_gguf_tensors_read(MuseTensors *list, const MuseGguf *g, uint32_t part, const MuseLog *log, MuseError *err);

#endif
