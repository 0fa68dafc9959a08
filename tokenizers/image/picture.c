/* SPDX-License-Identifier: Apache-2.0 */
/* MuseImage: opening, regions, and pixels as rows or as a whole. Does not resize and knows no family: patches.c does.
 * Called through the public API and by patches.c. */
#include "tokenizers/image/picture.h"

#include <math.h>

#include "base/params.h"
#include "muse/image.h"
#include "tokenizers/image/row_queue.h"

#define MAX_PIXELS_DEFAULT ((uint64_t)1 << 28)
#define MAX_BYTES_DEFAULT  ((uint64_t)1 << 30)

void muse_image_params_init(MuseImageParams *params) { MUSE_PARAMS_INIT(params); }

static int import_params(MuseImageParams *p, const MuseImageParams *params, MuseError *err)
{
    const int rc = MUSE_PARAMS_IMPORT(p, params, "MuseImageParams", err);
    if (rc < 0) return rc;
    if (p->keep > MUSE_KEEP_PIXELS) return muse_fail(err, MUSE_ERR_ARG, "keep %u is not a MUSE_KEEP_ value", p->keep);
    if (p->release && !p->borrow) return muse_fail(err, MUSE_ERR_ARG, "release is told of borrowed bytes, and borrow is 0");
    if (!p->max_pixels) p->max_pixels = MAX_PIXELS_DEFAULT;
    if (!p->max_bytes) p->max_bytes = MAX_BYTES_DEFAULT;
    return 0;
}

static int new_image(MuseImage **out, MuseRuntime *rt, MuseError *err)
{
    rt = muse_runtime_ref(rt);
    if (!rt) return MUSE_NOMEM(err, sizeof *rt);
    MuseImage *img = muse_zalloc(&rt->alloc, sizeof *img);
    if (!img) {
        muse_runtime_close(&rt);
        return MUSE_NOMEM(err, sizeof *img);
    }
    atomic_init(&img->refs, 1);
    img->rt = rt;
    *out = img;
    return 0;
}

void muse_image_close(MuseImage **img)
{
    if (!img || !*img) return;
    MuseImage *it = *img;
    *img = NULL;
    if (atomic_fetch_sub_explicit(&it->refs, 1, memory_order_acq_rel) != 1) return;
    muse_image_close(&it->root);   /* a root has no root: one level deep */
    muse_file_close(&it->file);
    muse_free(it->owned);
    muse_free(it->name);
    if (it->release) it->release(it->release_user);
    MuseRuntime *rt = it->rt;
    muse_free(it);
    muse_runtime_close(&rt);
}

MuseImage *muse_image_ref(MuseImage *img)
{
    if (img) atomic_fetch_add_explicit(&img->refs, 1, memory_order_relaxed);
    return img;
}

/* All pixels as stored; *source: where they lie. Release *out. */
static int decode_all(uint8_t **out, MusePictureSource *source, const MuseImage *img, MuseDecoder *d, MuseError *err)
{
    const size_t stride = (size_t)img->head.width * img->head.samples;
    uint8_t *pixels = muse_alloc_array(&img->rt->alloc, img->head.height, stride);
    if (!pixels) return muse_fail(err, MUSE_ERR_NOMEM, "no memory to keep %ux%u pixels", img->head.width, img->head.height);
    const MuseWindow all = { 0, 0, img->head.width, img->head.height };
    int rc = muse_picture_decoder_start(d, &all, err);
    while (rc == 0 && d->done < all.height) {
        const uint32_t left = all.height - d->done, n = left < MUSE_DECODE_ROWS ? left : MUSE_DECODE_ROWS;
        rc = muse_picture_decoder_rows(d, pixels + d->done * stride, stride, n, err);
    }
    if (rc < 0) {
        muse_free(pixels);
        return rc;
    }
    *out = pixels;
    *source = (MusePictureSource){ &muse_pixels_reader, pixels, stride * all.height, stride, img->head };
    return 0;
}

/* In place of the file: MUSE_KEEP_PIXELS. */
static int keep_pixels(MuseImage *img, MuseDecoder *d, MuseError *err)
{
    uint8_t *pixels;
    MusePictureSource source;
    const int rc = decode_all(&pixels, &source, img, d, err);
    if (rc < 0) return rc;
    muse_file_close(&img->file);
    muse_free(img->owned);
    img->owned = pixels;
    img->source = source;
    return 0;
}

/* The caller has a picture now, and so the picture has the caller's bytes. */
static void hand_over(MuseImage **out, MuseImage *img, const MuseImageParams *p)
{
    img->release = p->release;
    img->release_user = p->release_user;
    *out = img;
}

/* Once img->source has its bytes (and, for pixels, its reader). */
static int finish_open(MuseImage *img, const MuseImageParams *p, MuseError *err)
{
    MuseError why = { 0 };
    if (!img->source.reader) img->source.reader = muse_picture_probe(img->source.bytes, img->source.size, &why);
    if (!img->source.reader) return muse_fail_copy(err, &why);
    const MuseDecodeJob job = { img->rt, &img->source, p->max_pixels, p->cancel, p->cancel_user };
    MuseDecoder d = { 0 };
    int rc = muse_picture_decoder_open(&d, &job, err);
    if (rc == 0) {
        img->head = d.head;
        img->format = img->source.reader->name;
        img->max_pixels = p->max_pixels;
        if (p->ignore_orientation) img->head.orientation = 1;
        img->orient = muse_orient(img->head.orientation);
        img->seen = (MuseWindow){ 0, 0, img->head.width, img->head.height };
        if (img->orient.transpose) img->seen = (MuseWindow){ 0, 0, img->head.height, img->head.width };
        if (p->keep == MUSE_KEEP_PIXELS && img->source.reader != &muse_pixels_reader) rc = keep_pixels(img, &d, err);
    }
    muse_picture_decoder_close(&d);
    return rc;
}

int muse_image_open_file(MuseImage **out, MuseRuntime *rt, const char *path, const MuseImageParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, path);
    MuseImageParams p;
    MuseImage *img = NULL;
    int rc = import_params(&p, params, err);
    if (rc == 0 && p.release) rc = muse_fail(err, MUSE_ERR_ARG, "%s: release is told of borrowed bytes, and a file has none", path);
    if (rc == 0) rc = new_image(&img, rt, err);
    if (rc < 0) return rc;
    img->file.alloc = &img->rt->alloc;
    rc = muse_file_open(&img->file, path, p.max_bytes, err);
    if (rc < 0) goto fail;
    const size_t n = strlen(path) + 1;
    img->name = muse_alloc(&img->rt->alloc, n);
    if (!img->name) {
        rc = MUSE_NOMEM(err, n);
        goto fail;
    }
    memcpy(img->name, path, n);
    img->source.bytes = img->file.data;
    img->source.size = img->file.size;
    rc = finish_open(img, &p, err);
    if (rc < 0) {
        if (rc != MUSE_ERR_CANCELLED) muse_fail_prefix(err, rc, "%s", path);
        goto fail;
    }
    *out = img;
    return 0;
fail:
    muse_image_close(&img);
    return rc;
}

int muse_image_open_memory(MuseImage **out, MuseRuntime *rt, const void *bytes, size_t size, const MuseImageParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, bytes || size == 0);
    MuseImageParams p;
    MuseImage *img = NULL;
    int rc = import_params(&p, params, err);
    if (rc < 0) return rc;
    if (size > p.max_bytes)
        return muse_fail(err, MUSE_ERR_LIMIT, "%zu bytes, the limit is %llu", size, (unsigned long long)p.max_bytes);
    rc = new_image(&img, rt, err);
    if (rc < 0) return rc;
    img->source.bytes = bytes;
    img->source.size = size;
    if (!p.borrow && size) {
        img->owned = muse_alloc(&img->rt->alloc, size);
        if (!img->owned) {
            rc = MUSE_NOMEM(err, size);
            goto fail;
        }
        img->source.bytes = memcpy(img->owned, bytes, size);
    }
    rc = finish_open(img, &p, err);
    if (rc < 0) goto fail;
    hand_over(out, img, &p);
    return 0;
fail:
    muse_image_close(&img);
    return rc;
}

/* Checks what open_pixels was given and puts it into source; the sizes of a row and of all rows are then known to fit. */
static int describe_pixels(MusePictureSource *s, const void *pixels, uint32_t width, uint32_t height, size_t stride, int layout, MuseError *err)
{
    if (layout != MUSE_PIXELS_GREY && layout != MUSE_PIXELS_RGB && layout != MUSE_PIXELS_RGBA)
        return muse_fail(err, MUSE_ERR_ARG, "layout %d is not a MUSE_PIXELS_ value", layout);
    if (!width || !height) return muse_fail(err, MUSE_ERR_ARG, "pixels of %ux%u", width, height);
    const uint32_t samples = (uint32_t)layout;
    const size_t row = (size_t)width * samples;
    if (!stride) stride = row;
    if (stride < row) return muse_fail(err, MUSE_ERR_ARG, "a stride of %zu bytes for rows of %zu", stride, row);
    size_t size;
    if (!muse_mul_size(stride, height - 1, &size) || !muse_add_size(size, row, &size))
        return muse_fail(err, MUSE_ERR_ARG, "%u rows, %zu bytes apart, pass the address space", height, stride);
    *s = (MusePictureSource){ &muse_pixels_reader, pixels, size, stride,
                              { width, height, 1, 8, samples, samples == 4, 0, samples } };
    return 0;
}

static int copy_pixels(MuseImage *img, MuseError *err)
{
    MusePictureSource *s = &img->source;
    const size_t row = (size_t)s->head.width * s->head.samples;
    img->owned = muse_alloc_array(&img->rt->alloc, s->head.height, row);
    if (!img->owned) return muse_fail(err, MUSE_ERR_NOMEM, "no memory for %ux%u pixels", s->head.width, s->head.height);
    for (size_t y = 0; y < s->head.height; y++) memcpy(img->owned + y * row, s->bytes + y * s->stride, row);
    s->bytes = img->owned;
    s->stride = row;
    s->size = row * s->head.height;
    return 0;
}

int muse_image_open_pixels(MuseImage **out, MuseRuntime *rt, const void *pixels, uint32_t width, uint32_t height, size_t stride, int layout,
                           const MuseImageParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, pixels);
    MuseImageParams p;
    MuseImage *img = NULL;
    int rc = import_params(&p, params, err);
    if (rc == 0) rc = new_image(&img, rt, err);
    if (rc < 0) return rc;
    rc = describe_pixels(&img->source, pixels, width, height, stride, layout, err);
    if (rc == 0) rc = finish_open(img, &p, err);   /* before the copy: the limit on pixels is checked there */
    if (rc == 0 && !p.borrow) rc = copy_pixels(img, err);
    if (rc < 0) muse_image_close(&img);
    else hand_over(out, img, &p);
    return rc;
}

int muse_image_info(const MuseImage *img, MuseImageInfo *out)
{
    if (!img || !out) return MUSE_ERR_ARG;
    const MuseImage *root = muse_picture_root(img);
    const MuseWindow *w = &img->seen;
    *out = (MuseImageInfo){
        .width = w->width, .height = w->height, .format = root->format, .orientation = root->head.orientation, .bits = root->head.bits,
        .channels = root->head.channels, .has_alpha = root->head.has_alpha, .is_cmyk = root->head.is_cmyk,
        .source = { w->x, w->y, (double)w->x + w->width, (double)w->y + w->height },
    };
    return 0;
}

/* [a, b) rounded outwards and clipped to 0..n. False: nothing is left. */
static bool clip(double a, double b, uint32_t n, uint32_t *at, uint32_t *size)
{
    a = fmax(floor(a), 0);
    b = fmin(ceil(b), n);
    if (!(a < b)) return false;
    *at = (uint32_t)a;
    *size = (uint32_t)b - *at;
    return true;
}

int muse_image_region(MuseImage **out, const MuseImage *img, MuseRect rect, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, img);
    MUSE_REQUIRE(err, isfinite(rect.x0) && isfinite(rect.y0) && isfinite(rect.x1) && isfinite(rect.y1));
    MuseWindow w;
    if (!(rect.x0 < rect.x1) || !(rect.y0 < rect.y1) || !clip(rect.x0, rect.x1, img->seen.width, &w.x, &w.width) ||
        !clip(rect.y0, rect.y1, img->seen.height, &w.y, &w.height))
        return muse_fail(err, MUSE_ERR_ARG, "region %g,%g..%g,%g holds nothing of a picture of %ux%u pixels", rect.x0, rect.y0, rect.x1, rect.y1,
                         img->seen.width, img->seen.height);
    const MuseImage *root = muse_picture_root(img);
    MuseImage *region = NULL;
    const int rc = new_image(&region, root->rt, err);
    if (rc < 0) return rc;
    region->root = muse_image_ref((MuseImage *)(uintptr_t)root);   /* only its count changes */
    region->seen = (MuseWindow){ img->seen.x + w.x, img->seen.y + w.y, w.width, w.height };
    *out = region;
    return 0;
}

MuseWindow muse_picture_window(const MuseImage *img)
{
    const MuseImage *root = muse_picture_root(img);
    return muse_orient_window(root->orient, root->head.width, root->head.height, img->seen);
}

uint32_t muse_picture_samples(const MuseImage *img, const MuseRowsSpec *spec)
{
    return muse_picture_root(img)->head.samples == 1 && spec->keep_grey ? 1 : 3;
}

static void flatten(const MusePixelOps *ops, uint8_t *dst, const uint8_t *src, size_t n, uint32_t samples, const MuseRowsSpec *spec)
{
    if (samples == 1) ops->grey_to_rgb_u8(dst, src, n);
    else if (spec->alpha == MUSE_ALPHA_OVER) ops->rgba_over_rgb_u8(dst, src, n, spec->background);
    else ops->rgba_drop_rgb_u8(dst, src, n);
}

/* What the user of a block needs. */
typedef struct RowsUser {
    const MuseRowsSpec *spec;
    const MusePixelOps *ops;
    MuseRowsFn *fn;
    void       *user;
    size_t      width;
    uint32_t    samples;
} RowsUser;

static int use_rows(void *user, const MuseRowBlock *b, MuseError *err)
{
    const RowsUser *u = user;
    if (b->flat) flatten(u->ops, b->flat, b->raw, b->n * u->width, u->samples, u->spec);
    return u->fn(u->user, b->flat ? b->flat : b->raw, b->first, b->n, err);
}

static int stream_rows(MuseDecoder *d, MuseRowQueue *q, MuseError *err)
{
    const size_t stride = (size_t)d->window.width * d->head.samples;
    int rc = 0;
    while (rc == 0 && d->done < d->window.height) {
        MuseRowBlock *b = muse_row_queue_next(q);
        if (!b) return 0;   /* muse_row_queue_close() tells why */
        const uint32_t left = d->window.height - d->done;
        b->first = d->done;
        b->n = left < MUSE_DECODE_ROWS ? left : MUSE_DECODE_ROWS;
        rc = muse_picture_decoder_rows(d, b->raw, stride, b->n, err);
        if (rc == 0) muse_row_queue_push(q);
    }
    return rc;
}

/* From here on a second thread pays: it takes some 50 us to start, and decoding this many pixels some milliseconds. */
#define OVERLAP_PIXELS ((uint64_t)1 << 20)

/* libjpeg-turbo writes rows that are aligned past the caches (non-temporal stores in its colour conversion): the resizer, next
 * to read them, would wait for memory. At an odd address no row of even length is aligned. */
enum { ROWS_OFFSET = 1 };

static int open_blocks(MuseRowQueue *q, const MuseAllocator *a, size_t blocks, size_t raw_bytes, size_t flat_bytes, MuseError *err)
{
    for (size_t i = 0; i < blocks; i++) {
        q->block[i].memory = muse_alloc(a, raw_bytes + ROWS_OFFSET);
        if (q->block[i].memory) q->block[i].raw = q->block[i].memory + ROWS_OFFSET;
        if (q->block[i].memory && flat_bytes) q->block[i].flat = muse_alloc(a, flat_bytes);
        if (!q->block[i].memory || (flat_bytes && !q->block[i].flat))
            return muse_fail(err, MUSE_ERR_NOMEM, "no memory for %zu blocks of rows, %zu bytes each", blocks, raw_bytes + flat_bytes);
    }
    return 0;
}

static void close_blocks(MuseRowQueue *q)
{
    for (size_t i = 0; i < MUSE_ROW_BLOCKS; i++) {
        muse_free(q->block[i].memory);
        muse_free(q->block[i].flat);
    }
}

/* A mapped file may have been overwritten since it was opened. */
static bool same_head(const MusePictureHead *a, const MusePictureHead *b)
{
    return a->width == b->width && a->height == b->height && a->samples == b->samples;
}

int muse_picture_rows(const MuseImage *img, const MuseRowsSpec *spec, MuseRowsFn *fn, void *user, MuseError *err)
{
    const MuseImage *root = muse_picture_root(img);
    const MuseAllocator *a = &root->rt->alloc;
    const MuseDecodeJob job = { root->rt, &root->source, root->max_pixels, spec->cancel, spec->cancel_user };
    const MuseWindow window = muse_picture_window(img);
    const uint32_t samples = root->head.samples, wanted = muse_picture_samples(img, spec);
    const size_t block = (size_t)(window.height < MUSE_DECODE_ROWS ? window.height : MUSE_DECODE_ROWS) * window.width;
    const bool overlap = spec->overlap && root->rt->team.threads > 1 && (uint64_t)window.width * window.height >= OVERLAP_PIXELS;
    RowsUser rows = { spec, &root->rt->ops.pixel, fn, user, window.width, samples };
    MuseRowQueue q = { 0 };
    MuseDecoder d = { 0 };
    int rc = muse_picture_decoder_open(&d, &job, err);
    if (rc == 0 && !same_head(&d.head, &root->head)) rc = muse_fail(err, MUSE_ERR_FORMAT, "the file changed after it was opened");
    if (rc == 0) rc = open_blocks(&q, a, overlap ? MUSE_ROW_BLOCKS : 1, block * samples, wanted == samples ? 0 : block * wanted, err);
    if (rc == 0) rc = muse_picture_decoder_start(&d, &window, err);
    if (rc == 0) {
        muse_row_queue_open(&q, overlap, use_rows, &rows);
        rc = stream_rows(&d, &q, err);
        const int used = muse_row_queue_close(&q, rc == 0 ? err : NULL);
        if (rc == 0) rc = used;
    }
    if (rc < 0 && rc != MUSE_ERR_CANCELLED && root->name) muse_fail_prefix(err, rc, "%s", root->name);
    muse_picture_decoder_close(&d);
    close_blocks(&q);
    return rc;
}

int muse_picture_hold(MuseHeldPicture *h, MuseImage *root, MuseError *err)
{
    const MuseDecodeJob job = { root->rt, &root->source, root->max_pixels, NULL, NULL };
    MusePictureSource source;
    MuseDecoder d = { 0 };
    *h = (MuseHeldPicture){ 0 };
    if (root->source.reader == &muse_pixels_reader) return 0;
    int rc = muse_picture_decoder_open(&d, &job, err);
    if (rc == 0 && !same_head(&d.head, &root->head)) rc = muse_fail(err, MUSE_ERR_FORMAT, "the file changed after it was opened");
    if (rc == 0) rc = decode_all(&h->pixels, &source, root, &d, err);
    muse_picture_decoder_close(&d);
    if (rc < 0) return rc;
    h->source = root->source;
    h->root = root;
    root->source = source;
    return 0;
}

void muse_picture_release(MuseHeldPicture *h)
{
    if (h->root) h->root->source = h->source;
    muse_free(h->pixels);
    *h = (MuseHeldPicture){ 0 };
}

typedef struct RgbTarget {
    MuseOrient orient;
    MuseWindow window;   /* stored */
    uint8_t   *rgb;
    size_t     stride;
} RgbTarget;

static int place_rows(void *user, const uint8_t *rows, uint32_t first, uint32_t n, MuseError *err)
{
    (void)err;
    const RgbTarget *t = user;
    muse_orient_rows(t->orient, t->window.width, t->window.height, t->rgb, t->stride, rows, (size_t)t->window.width * 3, first, n);
    return 0;
}

int muse_image_read_rgb(const MuseImage *img, int alpha, const uint8_t background[3], uint8_t *rgb, size_t stride, MuseError *err)
{
    MUSE_REQUIRE(err, img && rgb);
    MUSE_REQUIRE(err, alpha == MUSE_ALPHA_OVER || alpha == MUSE_ALPHA_DROP);
    const size_t row = (size_t)img->seen.width * 3;
    MUSE_REQUIRE(err, stride == 0 || stride >= row);
    static const uint8_t white[3] = { 255, 255, 255 };
    MuseRowsSpec spec = { .alpha = (uint32_t)alpha };
    memcpy(spec.background, background ? background : white, 3);
    RgbTarget target = { muse_picture_root(img)->orient, muse_picture_window(img), rgb, stride ? stride : row };
    return muse_picture_rows(img, &spec, place_rows, &target, err);
}
