/* SPDX-License-Identifier: Apache-2.0 */
/* Text for the faces of a trace: formatted pieces, numbers, escapes for JSON and HTML, pictures as data: URLs. Knows no steps.
 * Called by trace_json.c and trace_html.c. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "libmuse/trace/trace.h"

void muse_out_bytes(MuseOut *o, const void *bytes, size_t n)
{
    if (o->rc == 0 && n) o->rc = muse_buf_append(&o->buf, bytes, n);
}

void muse_out_put(MuseOut *o, const char *fmt, ...)
{
    char text[1024];   /* what is longer is put by muse_out_bytes() */
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    muse_out_bytes(o, text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static void number(MuseOut *o, double v, bool f32)
{
    char text[40] = "", plain[40];
    size_t n = 0;
    const bool whole = v == floor(v) && fabs(v) < 1e15;   /* 10, not 1e+01 */
    for (int digits = 1; digits <= 17; digits++) {
        if (whole) snprintf(text, sizeof text, "%.0f", v);
        else snprintf(text, sizeof text, "%.*g", digits, v);
        const double back = strtod(text, NULL);
        if (back == v || (f32 && (float)back == (float)v)) break;
    }
    for (const char *c = text; *c; c++) {
        if (strchr("0123456789+-e", *c)) plain[n++] = *c;
        else if (n && plain[n - 1] != '.') plain[n++] = '.';   /* a locale's point may be several bytes */
    }
    muse_out_bytes(o, plain, n);
}

void muse_out_number(MuseOut *o, double v) { number(o, v, false); }
void muse_out_f32(MuseOut *o, float v) { number(o, (double)v, true); }

void muse_out_json_string(MuseOut *o, const char *text, size_t n)
{
    if (o->rc == 0) o->rc = muse_json_write_string(&o->buf, text, n);
}

/* what HTML forbids in text: controls but tab and line end, and the non-characters. WHATWG HTML, 13.1.4 */
static bool allowed(uint32_t c)
{
    if (c < 0x20) return c == '\t' || c == '\n';
    return !(c >= 0x7f && c < 0xa0) && !(c >= 0xfdd0 && c <= 0xfdef) && (c & 0xfffe) != 0xfffe;
}

/* marks that turn the direction of what follows: a hostile text could reorder the page's own words. Unicode TR 9 */
static bool turns(uint32_t c) { return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069); }

void muse_out_html(MuseOut *o, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        const unsigned bytes = muse_utf8_char((const uint8_t *)text + i, n - i, &c);
        const char *as = NULL;
        if (!bytes || !allowed(c) || turns(c)) as = "\xef\xbf\xbd";
        else if (c == '&') as = "&amp;";
        else if (c == '<') as = "&lt;";
        else if (c == '>') as = "&gt;";
        else if (c == '"') as = "&quot;";
        else if (c == '\'') as = "&#39;";
        if (as) muse_out_bytes(o, as, strlen(as));
        else muse_out_bytes(o, text + i, bytes);
        i += bytes ? bytes : 1;
    }
}

void muse_out_base64(MuseOut *o, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";   /* RFC 4648 */
    if (o->rc == 0 && n < SIZE_MAX / 2) o->rc = muse_buf_reserve(&o->buf, n / 3 * 4 + 4);
    for (size_t i = 0; i < n; i += 3) {
        const uint32_t b = (uint32_t)bytes[i] << 16 | (uint32_t)(i + 1 < n ? bytes[i + 1] : 0) << 8 | (i + 2 < n ? bytes[i + 2] : 0);
        const char four[4] = { digits[b >> 18], digits[b >> 12 & 63], i + 1 < n ? digits[b >> 6 & 63] : '=', i + 2 < n ? digits[b & 63] : '=' };
        muse_out_bytes(o, four, 4);
    }
}

int muse_out_take(MuseOut *o, char **text, size_t *size, MuseError *err)
{
    muse_out_bytes(o, "", 1);
    const int rc = o->rc;
    if (rc < 0) {
        muse_buf_clear(&o->buf);
        return MUSE_NOMEM(err, o->buf.len);
    }
    *text = (char *)o->buf.data;
    if (size) *size = o->buf.len - 1;
    return 0;
}

int muse_trace_pixels(MuseRuntime *rt, const MuseImage *image, uint32_t width, uint32_t height, uint8_t **rgb, MuseError *err)
{
    MuseImageInfo info;
    *rgb = NULL;
    int rc = muse_image_info(image, &info);
    if (rc < 0) return rc;
    size_t bytes = 0, to_bytes = 0;
    const bool fits = muse_mul_size((size_t)info.width * 3, info.height, &bytes) && muse_mul_size((size_t)width * 3, height, &to_bytes);
    uint8_t *own = fits ? muse_alloc(&rt->alloc, bytes) : NULL;
    if (!own) return MUSE_NOMEM(err, bytes);
    rc = muse_image_read_rgb(image, MUSE_ALPHA_OVER, NULL, own, 0, err);
    if (rc == 0 && (info.width != width || info.height != height)) {
        uint8_t *scaled = muse_alloc(&rt->alloc, to_bytes);
        rc = scaled ? muse_image_resize(rt, own, info.width, info.height, 0, 3, MUSE_FILTER_BICUBIC, MUSE_PRECISION_PILLOW, scaled, width, height, err) : MUSE_NOMEM(err, to_bytes);
        muse_free(own);
        own = scaled;
    }
    if (rc < 0) {
        muse_free(own);
        return rc;
    }
    *rgb = own;
    return 0;
}

int muse_out_picture(MuseOut *o, MuseRuntime *rt, const MuseImage *image, MuseRect part, uint32_t max_side, MuseError *err)
{
    MuseImage *cut = NULL;
    uint8_t *rgb = NULL;
    void *png = NULL;
    size_t size = 0;
    MuseImageInfo info;
    int rc = muse_image_region(&cut, image, part, err);
    if (rc == 0) rc = muse_image_info(cut, &info);
    if (rc == 0) {
        const uint32_t longer = info.width > info.height ? info.width : info.height;
        const double scale = max_side && longer > max_side ? (double)max_side / longer : 1;
        const uint32_t w = (uint32_t)fmax(1, info.width * scale + 0.5), h = (uint32_t)fmax(1, info.height * scale + 0.5);
        rc = muse_trace_pixels(rt, cut, w, h, &rgb, err);
        if (rc == 0) rc = muse_png_write_memory(rt, &png, &size, rgb, w, h, 0, MUSE_PIXELS_RGB, err);
    }
    if (rc == 0) {
        muse_out_put(o, "data:image/png;base64,");
        muse_out_base64(o, png, size);
    }
    muse_free(png);
    muse_free(rgb);
    muse_image_close(&cut);
    return rc;
}
