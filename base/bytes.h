/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded reading of foreign bytes, and whole files. Users: every reader of a file format. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

/* A cursor that never leaves its bytes. A read past the end gives 0, sets failed, and moves nothing more. */
typedef struct MuseBytes {
    const uint8_t *data;
    size_t size, pos;
    bool   failed;
} MuseBytes;

static inline MuseBytes muse_bytes(const void *data, size_t size)
{
    MuseBytes b = { (const uint8_t *)data, size, 0, false };
    return b;
}

static inline size_t muse_bytes_left(const MuseBytes *b) { return b->failed ? 0 : b->size - b->pos; }

/* n bytes at the cursor, which moves past them; NULL (and failed) if there are fewer */
static inline const uint8_t *muse_bytes_take(MuseBytes *b, uint64_t n)
{
    if (b->failed || n > b->size - b->pos) { b->failed = true; return NULL; }
    const uint8_t *p = b->data + b->pos;
    b->pos += (size_t)n;
    return p;
}

uint8_t  muse_bytes_u8(MuseBytes *b);
uint16_t muse_bytes_u16le(MuseBytes *b);
uint32_t muse_bytes_u32le(MuseBytes *b);
uint64_t muse_bytes_u64le(MuseBytes *b);
float    muse_bytes_f32le(MuseBytes *b);
double   muse_bytes_f64le(MuseBytes *b);
uint16_t muse_bytes_u16be(MuseBytes *b);
uint32_t muse_bytes_u32be(MuseBytes *b);

/* A whole file: read, or mapped read-only when over 64 MiB. Start with zeros; muse_file_close() accepts a half-open one.
 * A mapped file must not be shortened by others while it is open: the system answers with SIGBUS. */
typedef struct MuseFile {
    const uint8_t *data;          /* NULL for an empty file */
    size_t size;
    bool   mapped;
    const MuseAllocator *alloc;   /* set before opening; NULL = malloc */
} MuseFile;

/* max_bytes: larger files are MUSE_ERR_LIMIT. Errors name the path. Folders, devices and pipes are refused,
 * and so are pointers of Git LFS (MUSE_ERR_FORMAT). */
int  muse_file_open(MuseFile *f, const char *path, uint64_t max_bytes, MuseError *err);
void muse_file_close(MuseFile *f);

/* Write a whole file or nothing: a temporary file beside it is renamed over path (over the target of a link; the mode of a
 * file that is replaced is kept). Devices and pipes are written to. Any thread. */
int muse_file_write(const char *path, const void *data, size_t size, MuseError *err);

#endif
