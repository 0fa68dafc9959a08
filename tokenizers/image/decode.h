/* SPDX-License-Identifier: Apache-2.0 */
/* Picture files as rows: one small vtable per file kind. A decoder reads a header, then gives the rows of a window, top to
 * bottom, as they are stored (EXIF orientation is not applied), 8 bits a sample.
 * Users: tokenizers/image/picture.c and patches.c, tests. */
#ifndef TOKENIZERS_IMAGE_DECODE_H
#define TOKENIZERS_IMAGE_DECODE_H

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "muse/image.h"
#include "ops/runtime.h"

typedef struct MusePictureHead {
    uint32_t width, height;     /* as stored */
    uint32_t orientation;       /* EXIF, 1..8 */
    uint32_t bits, channels;    /* in the file; 0xffff as maxval of a PNM counts as 16 bits */
    int      has_alpha, is_cmyk;
    uint32_t samples;           /* of a row's pixel: 1 grey, 3 RGB, 4 RGBA */
} MusePictureHead;

/* Part of the stored picture. */
typedef struct MuseWindow { uint32_t x, y, width, height; } MuseWindow;

typedef struct MusePictureReader MusePictureReader;

/* What is read. Everything is borrowed until the decoder is closed. */
typedef struct MusePictureSource {
    const MusePictureReader *reader;
    const uint8_t *bytes;       /* a whole file; for muse_pixels_reader pixels */
    size_t   size;
    size_t   stride;            /* muse_pixels_reader only, with head */
    MusePictureHead head;       /* muse_pixels_reader: given; others: what open found */
} MusePictureSource;

typedef struct MuseDecodeJob {
    MuseRuntime *rt;
    const MusePictureSource *source;
    uint64_t      max_pixels;
    MuseCancelFn *cancel;       /* NULL = never */
    void         *cancel_user;
} MuseDecodeJob;

struct MusePictureReader {
    const char *name;                                        /* MuseImageInfo.format */
    size_t priv_size;                                        /* zeroed before open */
    bool (*probe)(const uint8_t *bytes, size_t size);        /* is it one of ours, judged by its first bytes */
    /* Reads the header; allocates nothing that depends on the size it states. job lives until close. */
    int  (*open)(void *priv, const MuseDecodeJob *job, MusePictureHead *head, MuseError *err);
    /* The window lies inside the picture and is not empty. Once. */
    int  (*start)(void *priv, const MuseWindow *window, MuseError *err);
    /* The next n rows of the window, window width * samples bytes each. When the picture's last row was among them the rest
     * of the file has been checked too. */
    int  (*rows)(void *priv, uint8_t *dst, size_t stride, uint32_t n, MuseError *err);
    void (*close)(void *priv);                               /* safe on a half-open priv */
};

extern const MusePictureReader muse_jpeg_reader, muse_png_reader, muse_webp_reader, muse_pnm_reader, muse_pixels_reader;

/* The reader for these bytes. NULL: none; err then tells what the bytes look like (MUSE_ERR_FORMAT or _UNSUPPORTED). */
const MusePictureReader *muse_picture_probe(const uint8_t *bytes, size_t size, MuseError *err);

enum { MUSE_DECODE_ROWS = 16 };   /* rows asked for at once: an MCU row of 4:2:0, small enough to stay in the cache */

typedef struct MuseDecoder {
    MuseDecodeJob   job;
    const MusePictureReader *reader;   /* job.source may name another by the time of close: MUSE_KEEP_PIXELS */
    MusePictureHead head;
    MuseWindow      window;
    uint32_t        done;         /* rows of the window that were given */
    void           *priv;
} MuseDecoder;

/* Start with zeros; muse_picture_decoder_close() accepts a half-open one. Errors: as muse_image_open_file(), prefixed by the kind. */
int  muse_picture_decoder_open(MuseDecoder *d, const MuseDecodeJob *job, MuseError *err);
int  muse_picture_decoder_start(MuseDecoder *d, const MuseWindow *window, MuseError *err);
/* n rows, at most what is left of the window. Polls job.cancel. */
int  muse_picture_decoder_rows(MuseDecoder *d, uint8_t *dst, size_t stride, uint32_t n, MuseError *err);
void muse_picture_decoder_close(MuseDecoder *d);

/* True when the caller wants to stop. */
static inline bool muse_decode_cancelled(const MuseDecodeJob *job) { return job->cancel && job->cancel(job->cancel_user); }

/* Shared by readers that must give part of a longer row. */
static inline void muse_copy_window(uint8_t *dst, const uint8_t *row, const MuseWindow *w, uint32_t samples)
{
    memcpy(dst, row + (size_t)w->x * samples, (size_t)w->width * samples);
}

#endif
