/* SPDX-License-Identifier: Apache-2.0 */
/* PGM and PPM, text (P2, P3) and binary (P5, P6), any maxval. Bitmaps and PAM are not read. Own code: the format is a few
 * numbers and a comment rule. Called through its vtable. Source: netpbm's pgm(5) and ppm(5). */
#include <math.h>

#include "base/bytes.h"
#include "tokenizers/image/decode.h"

enum { MAXVAL_MAX = 65535 };

typedef struct PnmReader {
    const MuseDecodeJob *job;
    MusePictureHead head;
    MuseBytes  in;           /* at the first sample after open */
    bool       text;
    uint32_t   maxval;
    size_t     sample_bytes; /* binary: 1 or 2 */
    uint8_t   *level;        /* [maxval + 1] 8-bit values; NULL for maxval 255 */
    MuseWindow window;
    uint32_t   next;         /* row of the picture */
} PnmReader;

static bool is_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool probe(const uint8_t *b, size_t size)
{
    return size >= 3 && b[0] == 'P' && (b[1] == '2' || b[1] == '3' || b[1] == '5' || b[1] == '6') && (is_space(b[2]) || b[2] == '#');
}

static int peek(const MuseBytes *in) { return in->pos < in->size ? in->data[in->pos] : -1; }

static void skip_blank(MuseBytes *in)
{
    for (int c = peek(in); is_space(c) || c == '#'; c = peek(in)) {
        if (c == '#')
            while (peek(in) >= 0 && peek(in) != '\n' && peek(in) != '\r') in->pos++;
        else
            in->pos++;
    }
}

/* A decimal number behind blanks and comments. */
static int read_number(MuseBytes *in, const char *what, uint32_t max, uint32_t *out, MuseError *err)
{
    skip_blank(in);
    const size_t at = in->pos;
    uint64_t v = 0;
    for (int c = peek(in); c >= '0' && c <= '9'; c = peek(in)) {
        v = v * 10 + (uint32_t)(c - '0');
        if (v > max) return muse_fail(err, MUSE_ERR_FORMAT, "%s at byte %zu is above %u", what, at, max);
        in->pos++;
    }
    if (in->pos == at) {
        if (at >= in->size) return muse_fail(err, MUSE_ERR_FORMAT, "truncated: the file ends at byte %zu, where %s should be", at, what);
        return muse_fail(err, MUSE_ERR_FORMAT, "%s at byte %zu is no number", what, at);
    }
    *out = (uint32_t)v;
    return 0;
}

static int read_head(PnmReader *r, MusePictureHead *head, MuseError *err)
{
    MuseBytes *in = &r->in;
    *in = muse_bytes(r->job->source->bytes, r->job->source->size);
    const uint8_t *magic = muse_bytes_take(in, 2);
    r->text = magic[1] == '2' || magic[1] == '3';
    head->channels = head->samples = magic[1] == '2' || magic[1] == '5' ? 1 : 3;
    int rc = read_number(in, "the width", UINT32_MAX, &head->width, err);
    if (rc == 0) rc = read_number(in, "the height", UINT32_MAX, &head->height, err);
    if (rc == 0) rc = read_number(in, "the maxval", MAXVAL_MAX, &r->maxval, err);
    if (rc < 0) return rc;
    if (r->maxval == 0) return muse_fail(err, MUSE_ERR_FORMAT, "the maxval is 0");
    while (r->maxval >> head->bits) head->bits++;
    r->sample_bytes = r->maxval > 255 ? 2 : 1;
    if (!is_space(peek(in))) return muse_fail(err, MUSE_ERR_FORMAT, "no blank after the maxval at byte %zu", in->pos);
    in->pos++;
    return 0;
}

static int open_pnm(void *priv, const MuseDecodeJob *job, MusePictureHead *head, MuseError *err)
{
    PnmReader *r = priv;
    r->job = job;
    const int rc = read_head(r, head, err);
    r->head = *head;
    return rc;
}

/* Levels as Pillow rounds them: ties to even. */
static int make_levels(PnmReader *r, MuseError *err)
{
    if (r->maxval == 255) return 0;
    r->level = muse_alloc(&r->job->rt->alloc, r->maxval + 1);
    if (!r->level) return MUSE_NOMEM(err, r->maxval + 1);
    for (uint32_t v = 0; v <= r->maxval; v++) r->level[v] = (uint8_t)rint((double)v / r->maxval * 255);
    return 0;
}

static int start(void *priv, const MuseWindow *window, MuseError *err)
{
    PnmReader *r = priv;
    r->window = *window;
    /* height * row bytes stay far below 2^64: both sides are under 2^32 and a pixel has at most 6 bytes */
    const uint64_t samples = (uint64_t)r->head.width * r->head.samples;
    const uint64_t least = r->text ? 2 : r->sample_bytes, left = r->in.size - r->in.pos;
    if (samples > (left + 1) / least / r->head.height)
        return muse_fail(err, MUSE_ERR_FORMAT, "truncated: %ux%u pixels do not fit into the %llu bytes after the header", r->head.width,
                         r->head.height, (unsigned long long)left);
    return make_levels(r, err);
}

/* Samples x .. x+n-1 of a row, n_all in all; dst NULL: dropped. */
static int text_row(PnmReader *r, uint8_t *dst, size_t x, size_t n, size_t n_all, MuseError *err)
{
    for (size_t i = 0; i < n_all; i++) {
        uint32_t v;
        const int rc = read_number(&r->in, "a sample", r->maxval, &v, err);
        if (rc < 0) return muse_fail_prefix(err, rc, "row %u", r->next);
        if (dst && i >= x && i - x < n) dst[i - x] = r->level ? r->level[v] : (uint8_t)v;
    }
    return 0;
}

static int binary_row(PnmReader *r, uint8_t *dst, size_t x, size_t n, size_t n_all, MuseError *err)
{
    const size_t at = r->in.pos;
    const uint8_t *p = muse_bytes_take(&r->in, n_all * r->sample_bytes);
    if (!p) return muse_fail(err, MUSE_ERR_FORMAT, "truncated: row %u starts at byte %zu, the file ends at %zu", r->next, at, r->in.size);
    if (!dst) return 0;
    p += x * r->sample_bytes;
    if (!r->level) {
        memcpy(dst, p, n);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        const uint32_t v = r->sample_bytes == 2 ? (uint32_t)p[2 * i] << 8 | p[2 * i + 1] : p[i];
        if (v > r->maxval)
            return muse_fail(err, MUSE_ERR_FORMAT, "row %u: sample %zu is %u, above the maxval %u", r->next, x + i, v, r->maxval);
        dst[i] = r->level[v];
    }
    return 0;
}

static int read_row(PnmReader *r, uint8_t *dst, MuseError *err)
{
    const size_t samples = r->head.samples, n_all = r->head.width * samples;
    const size_t x = r->window.x * samples, n = r->window.width * samples;
    const int rc = r->text ? text_row(r, dst, x, n, n_all, err) : binary_row(r, dst, x, n, n_all, err);
    r->next++;
    return rc;
}

static int rows(void *priv, uint8_t *dst, size_t stride, uint32_t n, MuseError *err)
{
    PnmReader *r = priv;
    int rc = 0;
    while (rc == 0 && r->next < r->window.y) {
        if (r->next % MUSE_DECODE_ROWS == 0 && muse_decode_cancelled(r->job))
            return muse_fail(err, MUSE_ERR_CANCELLED, "cancelled at row %u", r->next);
        rc = read_row(r, NULL, err);
    }
    for (uint32_t i = 0; rc == 0 && i < n; i++) rc = read_row(r, dst + i * stride, err);
    return rc;
}

static void close_pnm(void *priv) { muse_free(((PnmReader *)priv)->level); }

const MusePictureReader muse_pnm_reader = { "pnm", sizeof(PnmReader), probe, open_pnm, start, rows, close_pnm };
