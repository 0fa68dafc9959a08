/* SPDX-License-Identifier: Apache-2.0 */
/* Settings structs that start with their own size and only grow at the end: 0 is always the default.
 * Users: every public call that takes a params struct. */
#ifndef BASE_PARAMS_H
#define BASE_PARAMS_H

#include "base/status.h"

/* Copies the bytes both sides know into dst (dst_size bytes, zeroed first). src NULL = all defaults. An unknown tail that is
 * not zero asks for something this library does not have: MUSE_ERR_UNSUPPORTED. struct_size 0: MUSE_ERR_ARG (no _init call). */
int muse_params_import(void *dst, size_t dst_size, const void *src, const char *name, MuseError *err);

#define MUSE_PARAMS_INIT(p) do { if (p) { memset((p), 0, sizeof *(p)); (p)->struct_size = sizeof *(p); } } while (0)
#define MUSE_PARAMS_IMPORT(dst, src, name, err) muse_params_import((dst), sizeof *(dst), (src), (name), (err))

#endif
