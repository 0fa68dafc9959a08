/* SPDX-License-Identifier: Apache-2.0 */
/* A PNG file from 8-bit pixels, through libpng, in memory first. libpng leaves by longjmp; write_png() is the only place it
 * comes back to. Called through the public API. */
#include <setjmp.h>

#include <png.h>

#include "base/bytes.h"
#include "muse/image.h"
#include "ops/runtime.h"

typedef struct PngWriter {
    png_structp png;
    png_infop   info;
    jmp_buf     jump;
    MuseError  *err;
    int         code;
    MuseBuf     buf;
} PngWriter;

static _Noreturn void on_error(png_structp png, png_const_charp text)
{
    PngWriter *w = png_get_error_ptr(png);
    if (w->code == 0) w->code = muse_fail(w->err, MUSE_ERR_UNSUPPORTED, "png: %s", text);
    longjmp(w->jump, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;   /* about chunks that are never written here */
}

static void on_write(png_structp png, png_bytep bytes, size_t n)
{
    PngWriter *w = png_get_io_ptr(png);
    if (muse_buf_append(&w->buf, bytes, n) == 0) return;
    w->code = MUSE_NOMEM(w->err, w->buf.len + n);
    png_error(png, "no memory");
}

static void on_flush(png_structp png) { (void)png; }

static int write_png(PngWriter *w, const uint8_t *pixels, uint32_t width, uint32_t height, size_t stride, int layout)
{
    if (setjmp(w->jump)) return w->code;
    w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, w, on_error, on_warning);
    if (w->png) w->info = png_create_info_struct(w->png);
    if (!w->info) return muse_fail(w->err, MUSE_ERR_NOMEM, "libpng got no memory");
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_user_limits(w->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    const int colour = layout == MUSE_PIXELS_GREY ? PNG_COLOR_TYPE_GRAY : layout == MUSE_PIXELS_RGB ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_RGB_ALPHA;
    png_set_IHDR(w->png, w->info, width, height, 8, colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    for (size_t y = 0; y < height; y++) png_write_row(w->png, pixels + y * stride);
    png_write_end(w->png, NULL);
    return 0;
}

static int check_arguments(const uint8_t *pixels, uint32_t width, uint32_t height, size_t *stride, int layout, MuseError *err)
{
    MUSE_REQUIRE(err, pixels && width && height);
    MUSE_REQUIRE(err, width <= PNG_UINT_31_MAX && height <= PNG_UINT_31_MAX);
    MUSE_REQUIRE(err, layout == MUSE_PIXELS_GREY || layout == MUSE_PIXELS_RGB || layout == MUSE_PIXELS_RGBA);
    const size_t row = (size_t)width * (size_t)layout;
    if (!*stride) *stride = row;
    MUSE_REQUIRE(err, *stride >= row);
    return 0;
}

/* On success buf holds the file. */
static int encode(MuseBuf *buf, const MuseAllocator *a, const uint8_t *pixels, uint32_t width, uint32_t height, size_t stride, int layout, MuseError *err)
{
    int rc = check_arguments(pixels, width, height, &stride, layout, err);
    if (rc < 0) return rc;
    PngWriter w = { .err = err, .buf = { .alloc = a } };
    rc = write_png(&w, pixels, width, height, stride, layout);
    if (w.png) png_destroy_write_struct(&w.png, &w.info);
    if (rc < 0) muse_buf_clear(&w.buf);
    *buf = w.buf;
    return rc;
}

int muse_png_write_memory(MuseRuntime *rt, void **bytes, size_t *size, const uint8_t *pixels, uint32_t width, uint32_t height, size_t stride,
                          int layout, MuseError *err)
{
    MUSE_REQUIRE(err, bytes && size);
    *bytes = NULL;
    *size = 0;
    MuseBuf buf;
    const int rc = encode(&buf, rt ? &rt->alloc : NULL, pixels, width, height, stride, layout, err);
    if (rc < 0) return rc;
    *bytes = buf.data;
    *size = buf.len;
    return 0;
}

int muse_png_write_file(const char *path, const uint8_t *pixels, uint32_t width, uint32_t height, size_t stride, int layout, MuseError *err)
{
    MUSE_REQUIRE(err, path);
    MuseBuf buf;
    int rc = encode(&buf, NULL, pixels, width, height, stride, layout, err);
    if (rc < 0) return muse_fail_prefix(err, rc, "%s", path);
    rc = muse_file_write(path, buf.data, buf.len, err);
    muse_buf_clear(&buf);
    return rc;
}
