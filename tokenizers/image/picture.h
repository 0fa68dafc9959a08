/* SPDX-License-Identifier: Apache-2.0 */
/* MuseImage from the inside, and its pixels as a stream of rows. Users: picture.c, patches.c, stored.c; libmuse/session. */
#ifndef TOKENIZERS_IMAGE_PICTURE_H
#define TOKENIZERS_IMAGE_PICTURE_H

#include <stdatomic.h>

#include "base/bytes.h"
#include "tokenizers/image/orient.h"

struct MuseImage {
    atomic_int   refs;
    MuseRuntime *rt;
    MuseImage   *root;         /* a region: the picture it is cut from, one reference held. Else NULL */
    MuseWindow   seen;         /* place in the root's picture, as seen */
    bool         is_view;      /* a region that stands for the whole picture: how far that is reduced was said of it */
    /* root only */
    char        *name;         /* the path, for errors; NULL if there is none */
    const char  *format;
    MusePictureSource source;  /* what is decoded: the file, or pixels */
    MusePictureHead   head;    /* what the file holds */
    MuseOrient   orient;
    uint64_t     max_pixels;
    MuseFile     file;
    uint8_t     *owned;        /* a copy of the caller's bytes, or kept pixels */
    MuseReleaseFn *release;    /* of borrowed bytes, or NULL */
    void        *release_user;
};

static inline const MuseImage *muse_picture_root(const MuseImage *img) { return img->root ? img->root : img; }

/* The kept original as a file may hold it. */
typedef struct MuseStoredImage {
    bool     is_pixels;        /* else the bytes of a picture file */
    MusePictureHead head;
    uint32_t format;           /* number of MuseImageInfo.format */
    const uint8_t *bytes;      /* is_pixels: head.height rows of head.width * head.samples bytes, stride apart */
    size_t   size, stride;     /* size: without what lies between rows */
} MuseStoredImage;

/* Of img's root; lives as long as img. */
MuseStoredImage muse_image_store(const MuseImage *img);
/* The root again; bytes are copied, stride is not read: there are no gaps. 0; MUSE_ERR_FORMAT: fields that contradict each other or the bytes; as
 * muse_image_open_memory(). */
int muse_image_from_stored(MuseImage **out, MuseRuntime *rt, const MuseStoredImage *stored, MuseError *err);

/* While a root is held, its pixels come out of memory: for many cuts of one picture. Nobody else may use it meanwhile. */
typedef struct MuseHeldPicture {
    MuseImage *root;           /* NULL: nothing is held */
    MusePictureSource source;  /* its own */
    uint8_t   *pixels;
} MuseHeldPicture;

/* Decodes all of root. 0 (kept pixels need no holding and stay as they are); as muse_image_read_rgb(). */
int  muse_picture_hold(MuseHeldPicture *h, MuseImage *root, MuseError *err);
void muse_picture_release(MuseHeldPicture *h);

/* How rows are wanted. */
typedef struct MuseRowsSpec {
    bool          keep_grey;   /* grey pictures: 1 sample a pixel, not 3 */
    bool          overlap;     /* fn does real work: large pictures call it from a second thread while the next rows are decoded */
    uint32_t      alpha;       /* MUSE_ALPHA_* */
    uint8_t       background[3];
    MuseCancelFn *cancel;      /* NULL = never */
    void         *cancel_user;
} MuseRowsSpec;

/* Samples a pixel that muse_picture_rows() gives: 1 or 3. */
uint32_t muse_picture_samples(const MuseImage *img, const MuseRowsSpec *spec);

/* img's place in the stored picture. */
MuseWindow muse_picture_window(const MuseImage *img);

/* Decode and hand out rows first .. first+n-1 of the stored window, without gaps, in order; stops at the first error. */
typedef int MuseRowsFn(void *user, const uint8_t *rows, uint32_t first, uint32_t n, MuseError *err);
int muse_picture_rows(const MuseImage *img, const MuseRowsSpec *spec, MuseRowsFn *fn, void *user, MuseError *err);

#endif
