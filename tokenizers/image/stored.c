/* SPDX-License-Identifier: Apache-2.0 */
/* A picture's kept original on its way into a file and back. The file itself is the session's: libmuse/session. */
#include "tokenizers/image/picture.h"

/* the numbers are part of a file format: docs/FORMATS.md */
static const char *const formats[] = { "pixels", "jpeg", "png", "webp", "pnm" };
enum { FORMATS = sizeof formats / sizeof *formats };

MuseStoredImage muse_image_store(const MuseImage *img)
{
    const MuseImage *root = muse_picture_root(img);
    MuseStoredImage s = { .is_pixels = root->source.reader == &muse_pixels_reader, .head = root->head, .bytes = root->source.bytes,
                          .size = root->source.size, .stride = root->source.stride };
    if (s.is_pixels) s.size = (size_t)s.head.width * s.head.samples * s.head.height;   /* is in memory */
    while (s.format + 1 < FORMATS && strcmp(formats[s.format], root->format) != 0) s.format++;
    return s;
}

static int check(const MuseStoredImage *s, MuseError *err)
{
    const MusePictureHead *h = &s->head;
    const bool samples = h->samples == 1 || h->samples == 3 || h->samples == 4;
    size_t row, size;
    if (!samples || h->orientation < 1 || h->orientation > 8 || h->bits < 1 || h->bits > 16 || h->channels < 1 || h->channels > 4 || s->format >= FORMATS ||
        (unsigned)h->has_alpha > 1 || (unsigned)h->is_cmyk > 1)
        return muse_fail(err, MUSE_ERR_FORMAT, "a picture with impossible numbers (%u samples, orientation %u, %u bits, %u channels, format %u)", h->samples,
                         h->orientation, h->bits, h->channels, s->format);
    if (s->is_pixels && (!muse_mul_size(h->width, h->samples, &row) || !muse_mul_size(row, h->height, &size) || size != s->size))
        return muse_fail(err, MUSE_ERR_FORMAT, "%zu bytes for %u x %u pixels of %u samples", s->size, h->width, h->height, h->samples);
    return 0;
}

/* kept pixels of a file: what is known of it beyond them */
static void put_head(MuseImage *img, const MuseStoredImage *s)
{
    img->head = s->head;
    img->format = formats[s->format];
    img->orient = muse_orient(s->head.orientation);
    img->seen = (MuseWindow){ 0, 0, s->head.width, s->head.height };
    if (img->orient.transpose) img->seen = (MuseWindow){ 0, 0, s->head.height, s->head.width };
}

int muse_image_from_stored(MuseImage **out, MuseRuntime *rt, const MuseStoredImage *s, MuseError *err)
{
    *out = NULL;
    int rc = check(s, err);
    if (rc < 0) return rc;
    MuseImageParams p;
    muse_image_params_init(&p);
    if (s->is_pixels) {
        rc = muse_image_open_pixels(out, rt, s->bytes, s->head.width, s->head.height, 0, (int)s->head.samples, &p, err);
        if (rc == 0) put_head(*out, s);
        return rc;
    }
    p.ignore_orientation = s->head.orientation == 1;   /* the file says otherwise: it was ignored before, too */
    rc = muse_image_open_memory(out, rt, s->bytes, s->size, &p, err);
    if (rc < 0) return rc;
    const MusePictureHead *h = &(*out)->head;
    if (h->width == s->head.width && h->height == s->head.height && h->orientation == s->head.orientation) return 0;
    muse_image_close(out);
    return muse_fail(err, MUSE_ERR_FORMAT, "a picture of %u x %u pixels was announced, and another is there", s->head.width, s->head.height);
}
