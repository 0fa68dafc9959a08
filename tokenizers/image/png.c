/* SPDX-License-Identifier: Apache-2.0 */
/* PNG through libpng: any bit depth, palette, transparency, interlacing. 16-bit samples lose their low byte, as in Pillow.
 * Colour profiles, gamma and text are not applied. libpng leaves by longjmp; each entry sets its own return point.
 * Called through its vtable. */
#include <setjmp.h>

#include <png.h>

#include "base/bytes.h"
#include "tokenizers/image/decode.h"
#include "tokenizers/image/exif.h"

enum {
    CHUNK_MEMORY_MAX = 1 << 20,   /* no chunk that we let libpng keep is near this */
    DEFLATE_RATIO = 1032          /* most that deflate can shrink; zlib's technical notes */
};

typedef struct PngReader {
    png_structp png;
    png_infop   info;
    jmp_buf     jump;
    const MuseDecodeJob *job;
    MuseError  *err;          /* of the running call */
    int         code;
    MuseBytes   in;
    MusePictureHead head;
    MuseWindow  window;
    uint32_t    next;         /* row of the picture */
    uint8_t    *scratch;      /* a row, where the window is narrower */
    uint8_t    *whole;        /* interlaced: the picture */
} PngReader;

static const uint8_t signature[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };

static bool probe(const uint8_t *b, size_t size) { return size >= sizeof signature && memcmp(b, signature, sizeof signature) == 0; }

static _Noreturn void on_error(png_structp png, png_const_charp text)
{
    PngReader *r = png_get_error_ptr(png);
    r->code = muse_fail(r->err, MUSE_ERR_FORMAT, "%s (byte %zu, row %u)", text, r->in.pos, r->next);
    longjmp(r->jump, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    const PngReader *r = png_get_error_ptr(png);
    muse_log(&r->job->rt->log, MUSE_LOG_WARN, "png: %s (byte %zu)", text, r->in.pos);
}

static void on_read(png_structp png, png_bytep out, size_t n)
{
    PngReader *r = png_get_io_ptr(png);
    const uint8_t *p = muse_bytes_take(&r->in, n);
    if (!p) png_error(png, "truncated: the file ends here");
    memcpy(out, p, n);
}

/* Width and height, judged before libpng sees them; EXIF, which may follow the pixels; animation. */
static int survey(const MuseDecodeJob *job, MusePictureHead *head, MuseError *err)
{
    MuseBytes b = muse_bytes(job->source->bytes, job->source->size);
    b.pos = sizeof signature;
    for (bool first = true;; first = false) {
        const size_t at = b.pos;
        const uint32_t length = muse_bytes_u32be(&b);
        const uint8_t *type = muse_bytes_take(&b, 4), *data = muse_bytes_take(&b, length);
        muse_bytes_take(&b, 4);   /* CRC: libpng's to check */
        if (first && (!data || length != 13 || memcmp(type, "IHDR", 4) != 0))
            return muse_fail(err, MUSE_ERR_FORMAT, "no IHDR chunk at byte %zu", at);
        if (first) {
            MuseBytes ihdr = muse_bytes(data, length);
            head->width = muse_bytes_u32be(&ihdr);
            head->height = muse_bytes_u32be(&ihdr);
        } else if (!data || memcmp(type, "IEND", 4) == 0) {
            return 0;   /* a cut end is reported by the call that decodes */
        } else if (memcmp(type, "eXIf", 4) == 0) {
            head->orientation = muse_exif_orientation(data, length, &job->rt->log, "png: eXIf", at);
        } else if (memcmp(type, "acTL", 4) == 0) {
            muse_log(&job->rt->log, MUSE_LOG_WARN, "png: an animation; its still picture is taken");
        }
    }
}

static void describe(PngReader *r, MusePictureHead *head)
{
    const int colour = png_get_color_type(r->png, r->info);
    const bool is_colour = colour & PNG_COLOR_MASK_COLOR;
    head->bits = png_get_bit_depth(r->png, r->info);
    head->has_alpha = (colour & PNG_COLOR_MASK_ALPHA) || png_get_valid(r->png, r->info, PNG_INFO_tRNS);
    head->channels = (is_colour ? 3u : 1u) + (head->has_alpha ? 1u : 0u);
    head->samples = head->has_alpha ? 4 : is_colour ? 3 : 1;
}

/* libpng 1.6 keeps only what decoding needs: all other chunks are walked over, with their CRC checked. */
static void set_limits(PngReader *r)
{
    static const png_byte unused[] = "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0sTER\0tEXt\0tIME\0zTXt";
    png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, unused, sizeof unused / 5);
    png_set_user_limits(r->png, r->head.width, r->head.height);
    png_set_chunk_malloc_max(r->png, CHUNK_MEMORY_MAX);
    png_set_chunk_cache_max(r->png, 1);
}

static int open_png(void *priv, const MuseDecodeJob *job, MusePictureHead *head, MuseError *err)
{
    PngReader *r = priv;
    r->job = job;
    r->err = err;
    int rc = survey(job, head, err);
    if (rc < 0) return rc;
    if (!head->width || !head->height || (uint64_t)head->width * head->height > job->max_pixels) return 0;   /* refused by the caller */
    r->head = *head;
    r->in = muse_bytes(job->source->bytes, job->source->size);
    if (setjmp(r->jump)) return r->code;
    r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
    if (r->png) r->info = png_create_info_struct(r->png);
    if (!r->info) return muse_fail(err, MUSE_ERR_NOMEM, "libpng got no memory");
    png_set_read_fn(r->png, r, on_read);
    set_limits(r);
    png_read_info(r->png, r->info);
    if (png_get_image_width(r->png, r->info) != head->width || png_get_image_height(r->png, r->info) != head->height)
        png_error(r->png, "the file changed while it was read");
    describe(r, head);
    r->head = *head;
    return 0;
}

static int check_length(const PngReader *r, MuseError *err)
{
    const uint64_t raw = (uint64_t)png_get_rowbytes(r->png, r->info) * r->head.height;
    if (raw / DEFLATE_RATIO <= r->job->source->size) return 0;
    return muse_fail(err, MUSE_ERR_FORMAT, "truncated: %zu bytes can't hold %ux%u pixels", r->job->source->size, r->head.width, r->head.height);
}

/* Everything becomes 8-bit grey, RGB or RGBA. */
static void set_transforms(PngReader *r)
{
    png_set_strip_16(r->png);
    png_set_packing(r->png);
    png_set_expand(r->png);   /* palette to RGB, low-bit grey to 8 bits, tRNS to alpha */
    if (r->head.samples == 4) png_set_gray_to_rgb(r->png);
}

static void read_interlaced(PngReader *r, size_t row_bytes)
{
    const int passes = png_set_interlace_handling(r->png);
    for (int pass = 0; pass < passes; pass++)
        for (r->next = 0; r->next < r->head.height; r->next++) {
            if (r->next % MUSE_DECODE_ROWS == 0 && muse_decode_cancelled(r->job)) {
                r->code = muse_fail(r->err, MUSE_ERR_CANCELLED, "cancelled in pass %d", pass);
                longjmp(r->jump, 1);
            }
            png_read_row(r->png, r->whole + r->next * row_bytes, NULL);
        }
    png_read_end(r->png, NULL);
    r->next = 0;
}

static int start(void *priv, const MuseWindow *window, MuseError *err)
{
    PngReader *r = priv;
    r->window = *window;
    r->err = err;
    int rc = check_length(r, err);
    if (rc < 0) return rc;
    const bool interlaced = png_get_interlace_type(r->png, r->info) != PNG_INTERLACE_NONE;
    const size_t row_bytes = (size_t)r->head.width * r->head.samples;   /* fits: under 2^34 */
    if (interlaced) r->whole = muse_alloc_array(&r->job->rt->alloc, r->head.height, row_bytes);
    else if (window->width < r->head.width) r->scratch = muse_alloc(&r->job->rt->alloc, row_bytes);
    if (interlaced && !r->whole)
        return muse_fail(err, MUSE_ERR_NOMEM, "no memory for an interlaced picture of %ux%u pixels", r->head.width, r->head.height);
    if (!interlaced && window->width < r->head.width && !r->scratch) return MUSE_NOMEM(err, row_bytes);
    if (setjmp(r->jump)) return r->code;
    set_transforms(r);
    if (interlaced) png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) != row_bytes) png_error(r->png, "rows of an unexpected length");
    if (interlaced) read_interlaced(r, row_bytes);
    return 0;
}

static void whole_rows(PngReader *r, uint8_t *dst, size_t stride, uint32_t n)
{
    const size_t row_bytes = (size_t)r->head.width * r->head.samples;
    for (uint32_t i = 0; i < n; i++, r->next++)
        muse_copy_window(dst + i * stride, r->whole + (r->window.y + r->next) * row_bytes, &r->window, r->head.samples);
}

static int rows(void *priv, uint8_t *dst, size_t stride, uint32_t n, MuseError *err)
{
    PngReader *r = priv;
    r->err = err;
    if (r->whole) {
        whole_rows(r, dst, stride, n);
        return 0;
    }
    if (setjmp(r->jump)) return r->code;
    const uint32_t end = (r->next < r->window.y ? r->window.y : r->next) + n;
    for (; r->next < end; r->next++) {
        const bool wanted = r->next >= r->window.y;
        uint8_t *to = wanted ? dst + (n - (end - r->next)) * stride : dst;
        if (!wanted && r->next % MUSE_DECODE_ROWS == 0 && muse_decode_cancelled(r->job))
            return muse_fail(err, MUSE_ERR_CANCELLED, "cancelled at row %u", r->next);
        png_read_row(r->png, r->scratch ? r->scratch : to, NULL);
        if (r->scratch && wanted) muse_copy_window(to, r->scratch, &r->window, r->head.samples);
    }
    if (r->next == r->head.height) png_read_end(r->png, NULL);
    return 0;
}

static void close_png(void *priv)
{
    PngReader *r = priv;
    if (r->png) png_destroy_read_struct(&r->png, &r->info, NULL);
    muse_free(r->scratch);
    muse_free(r->whole);
}

const MusePictureReader muse_png_reader = { "png", sizeof(PngReader), probe, open_png, start, rows, close_png };
