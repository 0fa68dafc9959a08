/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels in memory as a picture source: the caller's, or those kept by MUSE_KEEP_PIXELS. Called through its vtable. */
#include <string.h>

#include "tokenizers/image/decode.h"

typedef struct PixelsReader {
    const MusePictureSource *source;
    MuseWindow window;
    uint32_t   next;    /* row of the window */
} PixelsReader;

static bool probe(const uint8_t *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    return false;   /* pixels are announced, never found */
}

static int open_pixels(void *priv, const MuseDecodeJob *job, MusePictureHead *head, MuseError *err)
{
    (void)err;
    PixelsReader *r = priv;
    r->source = job->source;
    *head = job->source->head;
    return 0;
}

static int start(void *priv, const MuseWindow *window, MuseError *err)
{
    (void)err;
    ((PixelsReader *)priv)->window = *window;
    return 0;
}

static int rows(void *priv, uint8_t *dst, size_t stride, uint32_t n, MuseError *err)
{
    (void)err;
    PixelsReader *r = priv;
    for (uint32_t i = 0; i < n; i++, r->next++)
        muse_copy_window(dst + i * stride, r->source->bytes + (size_t)(r->window.y + r->next) * r->source->stride, &r->window,
                         r->source->head.samples);
    return 0;
}

static void close_pixels(void *priv) { (void)priv; }

const MusePictureReader muse_pixels_reader = { "pixels", sizeof(PixelsReader), probe, open_pixels, start, rows, close_pixels };
