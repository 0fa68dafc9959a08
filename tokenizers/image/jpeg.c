/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG through libjpeg-turbo, with the settings Pillow decodes with (slow integer DCT, fancy upsampling), so that pixels are
 * equal. Every warning of the library means damaged data and is an error here: it would otherwise go on with grey.
 * libjpeg leaves by longjmp; each entry below sets its own return point and changes no local after it.
 * Called through its vtable. */
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

#include "base/bytes.h"
#include "tokenizers/image/decode.h"
#include "tokenizers/image/exif.h"

enum {
    /* Ten or so are usual. More only serve to keep a decoder busy: each walks over the whole picture. */
    SCANS_MAX = 100,
    /* coefficients of the largest picture: 4 components of 2 bytes, not subsampled; and room for tables */
    MEMORY_PER_PIXEL = 8, MEMORY_BASE = 64 << 20,
    MARKER_SOS = 0xda, MARKER_EOI = 0xd9, MARKER_APP1 = 0xe1
};

typedef struct JpegReader {
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr    errors;
    struct jpeg_progress_mgr progress;
    jmp_buf    jump;
    bool       created;
    const MuseDecodeJob *job;
    MuseError *err;         /* of the running call */
    int        code;        /* why the library was left */
    uint32_t   seen;        /* bit i: component i was in a scan */
    MuseWindow window;
    uint32_t   left;        /* pixels to drop at the left of a decoded row */
    uint8_t   *scratch;     /* a decoded row, where it is not simply the window's */
} JpegReader;

static size_t offset_of(const JpegReader *r)
{
    const size_t left = r->c.src ? r->c.src->bytes_in_buffer : 0;
    return left <= r->job->source->size ? r->job->source->size - left : r->job->source->size;
}

static int code_of(int message)
{
    switch (message) {
    case JERR_OUT_OF_MEMORY: return MUSE_ERR_NOMEM;
    case JERR_NO_BACKING_STORE: case JERR_IMAGE_TOO_BIG: return MUSE_ERR_LIMIT;
    case JERR_BAD_PRECISION: case JERR_ARITH_NOTIMPL: case JERR_SOF_UNSUPPORTED: case JERR_CONVERSION_NOTIMPL:
    case JERR_CCIR601_NOTIMPL: case JERR_FRACT_SAMPLE_NOTIMPL: case JERR_NOTIMPL: case JERR_NOT_COMPILED:
        return MUSE_ERR_UNSUPPORTED;
    default: return MUSE_ERR_FORMAT;
    }
}

static _Noreturn void leave(j_common_ptr c)
{
    JpegReader *r = c->client_data;
    char text[JMSG_LENGTH_MAX];
    c->err->format_message(c, text);
    const size_t at = offset_of(r);
    r->code = muse_fail(r->err, code_of(c->err->msg_code), "%s (byte %zu, row %u)", text, at, r->c.output_scanline);
    longjmp(r->jump, 1);
}

static _Noreturn void leave_with(JpegReader *r, int code, const char *text)
{
    r->code = muse_fail(r->err, code, "%s (byte %zu)", text, offset_of(r));
    longjmp(r->jump, 1);
}

/* Some cameras pad the coded data with zeros or ones before the end marker. Anything else there is damage. */
static bool is_end_padding(const JpegReader *r, const struct jpeg_error_mgr *e)
{
    const uint8_t *bytes = r->job->source->bytes;
    const size_t n = (size_t)e->msg_parm.i[0], near = offset_of(r), size = r->job->source->size;
    if (e->msg_parm.i[1] != MARKER_EOI) return false;
    size_t at = near > 4 ? near - 4 : 0;   /* the library may or may not have counted the marker itself */
    while (at + 1 < size && at < near + 4 && !(bytes[at] == 0xff && bytes[at + 1] == MARKER_EOI)) at++;
    if (at + 1 >= size || at >= near + 4 || n > at) return false;
    for (size_t i = at - n; i < at; i++)
        if (bytes[i] != 0 && bytes[i] != 0xff) return false;
    return true;
}

/* level -1 is a warning, others are traces */
static void on_message(j_common_ptr c, int level)
{
    if (level >= 0) return;
    const JpegReader *r = c->client_data;
    const int code = c->err->msg_code;
    const bool harmless = code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM || code == JWRN_NOT_SEQUENTIAL || (code == JWRN_EXTRANEOUS_DATA && is_end_padding(r, c->err));
    if (!harmless) leave(c);
    char text[JMSG_LENGTH_MAX];
    c->err->format_message(c, text);
    muse_log(&r->job->rt->log, MUSE_LOG_WARN, "jpeg: %s", text);
}

/* Called at least once an MCU row, also while a progressive file's scans are collected. */
static void on_progress(j_common_ptr c)
{
    JpegReader *r = c->client_data;
    for (int i = 0; i < r->c.comps_in_scan; i++) r->seen |= 1u << r->c.cur_comp_info[i]->component_index;
    if (r->c.input_scan_number > SCANS_MAX) leave_with(r, MUSE_ERR_LIMIT, "more than 100 scans");
    if (muse_decode_cancelled(r->job)) leave_with(r, MUSE_ERR_CANCELLED, "cancelled");
}

static bool probe(const uint8_t *b, size_t size) { return size >= 3 && b[0] == 0xff && b[1] == 0xd8 && b[2] == 0xff; }

/* The first EXIF block before the picture data. Walks the marker segments itself: libjpeg would store all of them. */
static uint32_t find_orientation(const MuseDecodeJob *job)
{
    MuseBytes b = muse_bytes(job->source->bytes, job->source->size);
    b.pos = 2;
    for (;;) {
        uint8_t marker = muse_bytes_u8(&b);
        while (marker == 0xff) marker = muse_bytes_u8(&b);
        if (b.failed || marker == MARKER_SOS || marker == MARKER_EOI) return 1;
        if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd8)) continue;   /* no segment follows, or filler */
        const uint16_t length = muse_bytes_u16be(&b);
        const size_t at = b.pos;
        const uint8_t *p = muse_bytes_take(&b, length >= 2 ? length - 2u : 0);
        if (p && marker == MARKER_APP1 && length >= 8 && memcmp(p, "Exif\0", 5) == 0)
            return muse_exif_orientation(p, length - 2u, &job->rt->log, "jpeg: APP1", at);
    }
}

/* A Huffman-coded block takes at least one bit in the scan of its DC value: a file far too short for the size in its header
 * is found out before memory is taken for that size. */
static int check_length(const JpegReader *r, MuseError *err)
{
    if (r->c.arith_code) return 0;
    uint64_t blocks = 0;
    for (int i = 0; i < r->c.num_components; i++) {
        const jpeg_component_info *k = &r->c.comp_info[i];
        const uint64_t across = ((uint64_t)r->c.image_width * (uint32_t)k->h_samp_factor / (uint32_t)r->c.max_h_samp_factor + 7) / 8;
        const uint64_t down = ((uint64_t)r->c.image_height * (uint32_t)k->v_samp_factor / (uint32_t)r->c.max_v_samp_factor + 7) / 8;
        if (across * down > blocks) blocks = across * down;
    }
    if (blocks / 8 <= r->job->source->size) return 0;
    return muse_fail(err, MUSE_ERR_FORMAT, "truncated: %zu bytes can't hold %ux%u pixels", r->job->source->size, r->c.image_width, r->c.image_height);
}

static int describe(const JpegReader *r, MusePictureHead *head, MuseError *err)
{
    const int n = r->c.num_components;
    if (n != 1 && n != 3 && n != 4) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "%d components; 1, 3 or 4 are read", n);
    head->width = r->c.image_width;
    head->height = r->c.image_height;
    head->bits = (uint32_t)r->c.data_precision;
    head->channels = (uint32_t)n;
    head->is_cmyk = n == 4;
    head->samples = n == 1 ? 1 : 3;
    head->orientation = find_orientation(r->job);
    return 0;
}

static int open_jpeg(void *priv, const MuseDecodeJob *job, MusePictureHead *head, MuseError *err)
{
    JpegReader *r = priv;
    r->job = job;
    r->err = err;
    r->c.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = leave;
    r->errors.emit_message = on_message;
    r->progress.progress_monitor = on_progress;
    r->c.client_data = r;
    if (setjmp(r->jump)) return r->code;
    r->created = true;   /* a create that leaves halfway is fit for jpeg_destroy_decompress */
    jpeg_create_decompress(&r->c);
    r->c.progress = &r->progress;
    jpeg_mem_src(&r->c, job->source->bytes, job->source->size);
    jpeg_read_header(&r->c, TRUE);
    return describe(r, head, err);
}

/* Rows above and columns beside the window are left out only where the pixels inside stay the same: in files of one scan,
 * with room for what upsampling reads beyond the edges. */
static void move_to_window(JpegReader *r)
{
    const MuseWindow *w = &r->window;
    r->left = w->x;
    if (jpeg_has_multiple_scans(&r->c)) return;
    const JDIMENSION mcu = (JDIMENSION)r->c.max_h_samp_factor * DCTSIZE;
    if (w->width < r->c.output_width) {
        /* libjpeg widens to whole MCUs on the left; one more on each side feeds the upsampling filter */
        JDIMENSION x = w->x > mcu ? w->x - mcu : 0;
        const JDIMENSION end = r->c.output_width - w->x - w->width > mcu ? w->x + w->width + mcu : r->c.output_width;
        JDIMENSION width = end - x;
        jpeg_crop_scanline(&r->c, &x, &width);
        r->left = w->x - x;
    }
    if (w->y) jpeg_skip_scanlines(&r->c, w->y);
}

static int start(void *priv, const MuseWindow *window, MuseError *err)
{
    JpegReader *r = priv;
    r->window = *window;
    r->err = err;
    int rc = check_length(r, err);
    if (rc < 0) return rc;
    const uint64_t memory = r->job->max_pixels * MEMORY_PER_PIXEL + MEMORY_BASE;
    r->c.mem->max_memory_to_use = memory < (uint64_t)LONG_MAX ? (long)memory : LONG_MAX;
    if (r->c.num_components == 4) r->c.out_color_space = JCS_CMYK;
    else r->c.out_color_space = r->c.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    if (setjmp(r->jump)) return r->code;
    jpeg_start_decompress(&r->c);
    move_to_window(r);
    if (r->c.output_width == window->width && r->c.num_components != 4) return 0;
    const size_t bytes = (size_t)r->c.output_width * (size_t)r->c.output_components;
    r->scratch = muse_alloc(&r->job->rt->alloc, bytes);
    return r->scratch ? 0 : MUSE_NOMEM(err, bytes);
}

static void take_row(const JpegReader *r, uint8_t *dst)
{
    const size_t components = (size_t)r->c.output_components;
    const uint8_t *row = r->scratch + r->left * components;
    /* inverted, with Adobe's marker or without: so does Pillow, and so do the files that exist */
    if (components == 4) r->job->rt->ops.pixel.cmyk_to_rgb_u8(dst, row, r->window.width, 1);
    else memcpy(dst, row, r->window.width * components);
}

static void read_one(JpegReader *r, uint8_t *dst)
{
    JSAMPROW row = r->scratch;
    jpeg_read_scanlines(&r->c, &row, 1);
    if (dst) take_row(r, dst);
}

static void read_block(JpegReader *r, uint8_t *dst, size_t stride, uint32_t n)
{
    JSAMPROW at[MUSE_DECODE_ROWS];
    for (uint32_t i = 0; i < n; i++) at[i] = dst + i * stride;
    for (uint32_t i = 0; i < n;) i += jpeg_read_scanlines(&r->c, at + i, n - i);
}

/* After the last row: the rest must be whole, and every component must have been there. */
static void finish(JpegReader *r)
{
    if (r->seen != (1u << r->c.num_components) - 1) leave_with(r, MUSE_ERR_FORMAT, "a component has no data");
    jpeg_finish_decompress(&r->c);
}

static int rows(void *priv, uint8_t *dst, size_t stride, uint32_t n, MuseError *err)
{
    JpegReader *r = priv;
    r->err = err;
    if (setjmp(r->jump)) return r->code;
    while (r->c.output_scanline < r->window.y) {
        if (!r->scratch) read_block(r, dst, 0, 1);   /* a full-width window below: dst serves as scratch */
        else read_one(r, NULL);
    }
    const uint32_t last = r->c.output_scanline + n;
    while (r->c.output_scanline < last) {
        const uint32_t left = last - r->c.output_scanline, m = left < MUSE_DECODE_ROWS ? left : MUSE_DECODE_ROWS;
        uint8_t *to = dst + (n - left) * stride;
        if (r->scratch) read_one(r, to);
        else read_block(r, to, stride, m);
    }
    if (r->c.output_scanline == r->c.output_height) finish(r);
    return 0;
}

static void close_jpeg(void *priv)
{
    JpegReader *r = priv;
    if (r->created) jpeg_destroy_decompress(&r->c);
    muse_free(r->scratch);
}

const MusePictureReader muse_jpeg_reader = { "jpeg", sizeof(JpegReader), probe, open_jpeg, start, rows, close_jpeg };
