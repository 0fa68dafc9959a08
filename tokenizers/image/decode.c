/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the reader for some bytes and drives it: limits, cancelling, errors that name the kind. Knows no format and turns
 * nothing upright. Called by picture.c and patches.c. */
#include <string.h>

#include "tokenizers/image/decode.h"

static const MusePictureReader *const readers[] = { &muse_jpeg_reader, &muse_png_reader, &muse_webp_reader, &muse_pnm_reader };

/* Kinds that people do try, told apart from noise so that the error helps. */
static const char *known_stranger(const uint8_t *b, size_t size)
{
    static const struct { const char *name; uint8_t offset, size; char bytes[8]; } strangers[] = {
        { "GIF", 0, 4, "GIF8" }, { "BMP", 0, 2, "BM" }, { "TIFF", 0, 4, "II*" }, { "TIFF", 0, 4, { 'M', 'M', 0, '*' } },
        { "AVIF", 4, 8, "ftypavif" }, { "HEIF", 4, 7, "ftyphei" }, { "HEIF", 4, 8, "ftypmif1" },
        { "JPEG XL", 0, 2, { '\xff', '\x0a' } }, { "JPEG 2000", 4, 4, "jP  " }, { "PDF", 0, 5, "%PDF-" },
        { "PBM or PAM", 0, 2, "P1" }, { "PBM or PAM", 0, 2, "P4" }, { "PBM or PAM", 0, 2, "P7" }, { "SVG", 0, 4, "<svg" },
        { "ICO", 0, 4, "\0\0\1" }, { "HTML or XML", 0, 2, "<!" }, { "HTML or XML", 0, 5, "<html" }, { "HTML or XML", 0, 5, "<?xml" },
    };
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (size >= (size_t)strangers[i].offset + strangers[i].size &&
            memcmp(b + strangers[i].offset, strangers[i].bytes, strangers[i].size) == 0)
            return strangers[i].name;
    return NULL;
}

const MusePictureReader *muse_picture_probe(const uint8_t *bytes, size_t size, MuseError *err)
{
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (readers[i]->probe(bytes, size)) return readers[i];
    const char *stranger = known_stranger(bytes, size);
    if (stranger) {
        muse_fail(err, MUSE_ERR_UNSUPPORTED, "%s, which is not read; JPEG, PNG, WebP, PGM and PPM are", stranger);
    } else if (size == 0) {
        muse_fail(err, MUSE_ERR_FORMAT, "an empty file is no picture");
    } else {
        char hex[3 * 8 + 1] = "";
        const size_t n = size < 8 ? size : 8;
        for (size_t i = 0; i < n; i++) {
            hex[3 * i] = ' ';
            hex[3 * i + 1] = "0123456789abcdef"[bytes[i] >> 4];
            hex[3 * i + 2] = "0123456789abcdef"[bytes[i] & 15];
        }
        muse_fail(err, MUSE_ERR_FORMAT, "no known kind of picture: %zu bytes that start with%s", size, hex);
    }
    return NULL;
}

static int check_head(const MuseDecodeJob *job, const MusePictureHead *h, MuseError *err)
{
    if (!h->width || !h->height) return muse_fail(err, MUSE_ERR_FORMAT, "a picture of %ux%u pixels", h->width, h->height);
    if ((uint64_t)h->width * h->height > job->max_pixels)
        return muse_fail(err, MUSE_ERR_LIMIT, "%ux%u pixels, the limit is %llu", h->width, h->height, (unsigned long long)job->max_pixels);
    return 0;
}

static int name_kind(const MuseDecoder *d, int rc, MuseError *err)
{
    return rc < 0 && rc != MUSE_ERR_CANCELLED ? muse_fail_prefix(err, rc, "%s", d->reader->name) : rc;
}

int muse_picture_decoder_open(MuseDecoder *d, const MuseDecodeJob *job, MuseError *err)
{
    *d = (MuseDecoder){ .job = *job, .reader = job->source->reader };
    d->priv = muse_zalloc(&job->rt->alloc, d->reader->priv_size);
    if (!d->priv) return MUSE_NOMEM(err, d->reader->priv_size);
    d->head.orientation = 1;
    int rc = d->reader->open(d->priv, &d->job, &d->head, err);
    if (rc == 0) rc = check_head(&d->job, &d->head, err);
    return name_kind(d, rc, err);
}

int muse_picture_decoder_start(MuseDecoder *d, const MuseWindow *window, MuseError *err)
{
    d->window = *window;
    return name_kind(d, d->reader->start(d->priv, &d->window, err), err);
}

int muse_picture_decoder_rows(MuseDecoder *d, uint8_t *dst, size_t stride, uint32_t n, MuseError *err)
{
    if (muse_decode_cancelled(&d->job))
        return muse_fail(err, MUSE_ERR_CANCELLED, "cancelled at row %u of %u", d->window.y + d->done, d->head.height);
    const int rc = d->reader->rows(d->priv, dst, stride, n, err);
    d->done += n;
    return name_kind(d, rc, err);
}

void muse_picture_decoder_close(MuseDecoder *d)
{
    if (d->priv) {
        d->reader->close(d->priv);
        muse_free(d->priv);
    }
    *d = (MuseDecoder){ 0 };
}
