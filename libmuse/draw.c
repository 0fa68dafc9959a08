/* SPDX-License-Identifier: Apache-2.0 */
/* Draws a sequence as a person would want to see it: one panel a span, top to bottom.
 *   text  ->  tokens as boxes, text above, id below
 *   image ->  the resized picture with its patch grid
 *   audio ->  waveform (raw samples) or spectrum (log-mel) with frame borders and seconds
 * The same code runs twice: first without pixels, to measure the height, then to draw. */
#include <stdio.h>
#include <string.h>

#include "base/params.h"
#include "base/utf8.h"
#include "libmuse/canvas.h"
#include "libmuse/sequence.h"

enum {
    WIDTH_DEFAULT = 1600, WIDTH_MIN = 320, MARGIN = 12, LINE = MUSE_FONT_HEIGHT + 4,
    PICTURE_WIDTH = 1024,            /* pictures are drawn near this wide */
    SOUND_HEIGHT = 128,
    TOKENS_DRAWN_MAX = 2000,         /* a text; the rest is counted, not drawn */
    PIXELS_MAX = 1 << 26
};

static const uint32_t ink = 0x1a1a1a, grey = 0x707070, paper = 0xffffff, accent = 0x0b5fb0, marker_fill = 0xf4d9b0;
static const uint32_t token_fills[] = { 0xdcebfa, 0xe6f4dc };

typedef struct Drawing {
    const MuseSequence *seq;
    MuseCanvas canvas;
    int y;
    MuseError *err;
} Drawing;

static void heading(Drawing *d, const char *text)
{
    muse_canvas_text(&d->canvas, MARGIN, d->y, text, strlen(text), accent);
    d->y += LINE;
}

/* what a token shows: spaces, line ends and control characters made visible; NUL-terminated */
static void visible(char *out, size_t cap, const MusePosition *p)
{
    size_t len = 0;
    for (size_t i = 0, n; i < p->n_bytes; i += n) {
        if (len + 8 >= cap) {
            memcpy(out + len, "...", 3);
            len += 3;
            break;
        }
        uint32_t code = 0;
        n = muse_utf8_char((const uint8_t *)p->bytes + i, p->n_bytes - i, &code);
        if (!n) {
            n = 1;
            len += (size_t)snprintf(out + len, cap - len, "<%02X>", (unsigned char)p->bytes[i]);
        } else if (code == ' ') len += (size_t)snprintf(out + len, cap - len, "\xc2\xb7");
        else if (code == '\n') len += (size_t)snprintf(out + len, cap - len, "\\n");
        else if (code == '\t') len += (size_t)snprintf(out + len, cap - len, "\\t");
        else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) len += (size_t)snprintf(out + len, cap - len, "\\x%02x", code);
        else memcpy(out + len, p->bytes + i, n), len += n;
    }
    out[len] = 0;
}

static size_t characters(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* one token as a box at x; returns the x after it, wrapping first when it does not fit */
static int draw_token(Drawing *d, int x, const MusePosition *p, size_t number)
{
    char text[64] = "", id[16] = "";
    visible(text, sizeof text, p);
    if (p->id >= 0) snprintf(id, sizeof id, "%d", p->id);
    const size_t wide = characters(text, strlen(text)), digits = strlen(id);
    const int w = (int)(wide > digits ? wide : digits) * MUSE_FONT_WIDTH + 8, h = 2 * MUSE_FONT_HEIGHT + 4;
    if (x > MARGIN && x + w > d->canvas.width - MARGIN) {
        x = MARGIN;
        d->y += h + 3;
    }
    const uint32_t fill = p->is_marker ? marker_fill : token_fills[number % 2];
    muse_canvas_fill(&d->canvas, x, d->y, w, h, fill);
    muse_canvas_text(&d->canvas, x + 4, d->y + 1, text, strlen(text), ink);
    muse_canvas_text(&d->canvas, x + 4, d->y + 1 + MUSE_FONT_HEIGHT, id, strlen(id), grey);
    return x + w + 3;
}

static void draw_text(Drawing *d, size_t first, size_t count)
{
    int x = MARGIN;
    MusePosition p;
    const size_t drawn = count < TOKENS_DRAWN_MAX ? count : TOKENS_DRAWN_MAX;
    for (size_t i = 0; i < drawn; i++)
        if (muse_sequence_position(d->seq, first + i, &p) == 0) x = draw_token(d, x, &p, i);
    d->y += 2 * MUSE_FONT_HEIGHT + 8;
    if (drawn == count) return;
    char line[80];
    snprintf(line, sizeof line, "... and %zu more tokens", count - drawn);
    heading(d, line);
}

static void draw_markers(Drawing *d, const MuseSpan *span, bool before)
{
    const size_t at = before ? 0 : span->info.count - 1;
    MusePosition p;
    if ((before ? span->begin_id : span->end_id) < 0 || muse_sequence_position(d->seq, span->info.first + at, &p) < 0) return;
    draw_token(d, MARGIN, &p, 0);
    d->y += 2 * MUSE_FONT_HEIGHT + 8;
}

/* grid lines of a picture drawn w x h at (x, y), and patch numbers where they fit */
static void draw_grid(Drawing *d, const MuseImagePlan *plan, int x, int y, int w, int h)
{
    const int across = (int)plan->grid_width, down = (int)plan->grid_height;
    for (int i = 0; i <= across; i++) muse_canvas_blend(&d->canvas, x + i * w / across, y, 1, h, 0xff2a2a, 150);
    for (int j = 0; j <= down; j++) muse_canvas_blend(&d->canvas, x, y + j * h / down, w, 1, 0xff2a2a, 150);
    const int room = w / across - 4, digits = plan->n_patches > 1000 ? 4 : plan->n_patches > 100 ? 3 : 2;
    const int step = room >= digits * MUSE_FONT_WIDTH + 3 ? 1 : across;
    if (h / down < MUSE_FONT_HEIGHT + 2) return;
    for (int j = 0; j < down; j++)
        for (int i = 0; i < across; i += step) {
            char number[16];
            snprintf(number, sizeof number, "%d", j * across + i);
            muse_canvas_label(&d->canvas, x + i * w / across + 1, y + j * h / down + 1, number, 0xffffff, 0x202020);
        }
}

static int draw_image(Drawing *d, const MuseSpan *span)
{
    const MuseImagePlan *plan = &span->info.image;
    const MuseRect *r = &span->info.region;
    char line[256];
    snprintf(line, sizeof line, "picture %u: %u x %u pixels at (%.0f, %.0f) -> %u x %u, %u x %u patches of %u px = %u; scale %.3f x %.3f%s", span->info.number,
             plan->width, plan->height, r->x0, r->y0, plan->used_width, plan->used_height, plan->grid_width, plan->grid_height, plan->unit,
             plan->n_patches, plan->scale_x, plan->scale_y, plan->scale_x < 1 || plan->scale_y < 1 ? " (detail lost)" : "");
    heading(d, line);
    if (span->row_end_id >= 0) heading(d, "a marker follows each row of patches");
    draw_markers(d, span, true);
    const uint64_t full_w = (uint64_t)plan->grid_width * plan->unit, full_h = (uint64_t)plan->grid_height * plan->unit;
    uint64_t w = PICTURE_WIDTH < d->canvas.width - 2 * MARGIN ? PICTURE_WIDTH : (uint64_t)(d->canvas.width - 2 * MARGIN);
    if (full_w * 16 < w) w = full_w * 16;
    uint64_t h = (full_h * w + full_w / 2) / full_w;
    if (h > 4096) w = w * 4096 / h, h = 4096;   /* a very tall picture */
    if (w < 1) w = 1;
    if (h < 1) h = 1;
    if (d->canvas.rgb && span->patches) {
        uint8_t *scaled = muse_alloc_array(&d->seq->rt->alloc, (size_t)(w * h), 3);
        if (!scaled) return MUSE_NOMEM(d->err, w * h * 3);
        const int rc = muse_image_resize(d->seq->rt, muse_patches_rgb(span->patches), (uint32_t)full_w, (uint32_t)full_h, 0, 3,
                                         full_w < w ? MUSE_FILTER_BOX : MUSE_FILTER_BILINEAR, MUSE_PRECISION_TORCH, scaled, (uint32_t)w, (uint32_t)h, d->err);
        if (rc == 0) muse_canvas_copy(&d->canvas, MARGIN, d->y, scaled, (int)w, (int)h);
        muse_free(scaled);
        if (rc < 0) return rc;
    } else if (!span->patches) {
        muse_canvas_fill(&d->canvas, MARGIN, d->y, (int)w, (int)h, 0xe8e8e8);
    }
    draw_grid(d, plan, MARGIN, d->y, (int)w, (int)h);
    d->y += (int)h + 6;
    draw_markers(d, span, false);
    return 0;
}

/* black - blue - red - yellow - white */
static uint32_t heat(float v)
{
    static const uint8_t stops[5][3] = { { 8, 8, 32 }, { 60, 20, 140 }, { 210, 50, 60 }, { 250, 180, 40 }, { 255, 255, 230 } };
    const float f = !(v > 0) ? 0 : v < 1 ? v * 4 : 4;   /* NaN is black */
    const int i = f >= 4 ? 3 : (int)f;
    uint32_t rgb = 0;
    for (int k = 0; k < 3; k++) rgb = rgb << 8 | (uint32_t)((float)stops[i][k] + (f - (float)i) * (float)(stops[i + 1][k] - stops[i][k]));
    return rgb;
}

static void draw_wave(Drawing *d, const float *data, size_t n, int w)
{
    const int middle = d->y + SOUND_HEIGHT / 2;
    for (int x = 0; x < w; x++) {
        float low = 0, high = 0;
        for (size_t i = n * (size_t)x / (size_t)w; i < n * (size_t)(x + 1) / (size_t)w; i++) {
            if (data[i] < low) low = data[i];
            if (data[i] > high) high = data[i];
        }
        const float most = SOUND_HEIGHT / 2 - 1;
        const int up = (int)((high > 1 ? 1 : high) * most), down = (int)((low < -1 ? 1 : -low) * most);
        muse_canvas_fill(&d->canvas, MARGIN + x, middle - up, 1, up + down + 1, accent);
    }
}

static void draw_mel(Drawing *d, const float *data, const MuseSpan *span, const MuseAudioRule *rule, int w)
{
    const size_t columns = span->info.n_features * rule->stack;
    const float low = (rule->floor_rule == MUSE_MEL_FLOOR_FIXED ? rule->floor_db / 10 + 4 : -1) / 4, floor_value = low < 1 ? low : 1;
    for (int x = 0; x < w; x++) {
        const float *column = data + columns * (size_t)x / (size_t)w * rule->mel_bins;
        for (int y = 0; y < SOUND_HEIGHT; y++) {
            const float v = column[(size_t)(SOUND_HEIGHT - 1 - y) * rule->mel_bins / SOUND_HEIGHT];
            muse_canvas_fill(&d->canvas, MARGIN + x, d->y + y, 1, 1, heat((v - floor_value) / (1.5f - floor_value)));
        }
    }
}

/* borders of frames (every k-th where they lie too close) and a time scale */
static void draw_frames(Drawing *d, const MuseSpan *span, int w)
{
    const size_t n = span->info.n_features;
    size_t step = 1;
    while (n / step > (size_t)w / 6) step *= 2;
    for (size_t i = 0; i <= n; i += step) muse_canvas_blend(&d->canvas, MARGIN + (int)(i * (size_t)w / n), d->y, 1, SOUND_HEIGHT, 0xff2a2a, 110);
    const size_t labels = 1 + n / ((size_t)w / 80 + 1);
    for (size_t i = 0; i < n; i += labels) {
        char text[48];
        snprintf(text, sizeof text, "%.2fs", (double)i * span->info.audio.ms_per_frame / 1000);
        muse_canvas_text(&d->canvas, MARGIN + (int)(i * (size_t)w / n), d->y + SOUND_HEIGHT + 1, text, strlen(text), grey);
    }
}

static void draw_audio(Drawing *d, const MuseSpan *span)
{
    const MuseAudioRule *rule = &d->seq->family.audio;
    char line[256];
    snprintf(line, sizeof line, "sound %u: %.2f s at %u Hz -> %zu frames of %.0f ms, %s%s", span->info.number, (double)span->n_samples / span->rate,
             span->rate, span->info.n_features, span->info.audio.ms_per_frame, rule->kind == MUSE_AUDIO_RAW ? "raw samples" : "log-mel",
             span->info.audio.too_long ? " (longer than the model was made for)" : "");
    heading(d, line);
    draw_markers(d, span, true);
    const int w = d->canvas.width - 2 * MARGIN;
    const float *data = span->frames ? muse_frames_data(span->frames) : NULL;
    muse_canvas_fill(&d->canvas, MARGIN, d->y, w, SOUND_HEIGHT, 0xe8e8e8);
    if (span->info.n_features > 0) {
        if (d->canvas.rgb && data && rule->kind == MUSE_AUDIO_RAW) draw_wave(d, data, span->info.n_features * span->info.feature_width, w);
        if (d->canvas.rgb && data && rule->kind == MUSE_AUDIO_LOGMEL) draw_mel(d, data, span, rule, w);
        draw_frames(d, span, w);
    }
    d->y += SOUND_HEIGHT + LINE + 2;
    draw_markers(d, span, false);
}

static int draw_span(Drawing *d, const MuseSpan *span, size_t k)
{
    char line[160];
    static const char *names[] = { "text", "image", "audio", "rows" };
    const size_t first = span->info.first, count = span->info.count;
    if (count == 0) snprintf(line, sizeof line, "span %zu, %s, no positions", k, names[span->info.modality]);
    else snprintf(line, sizeof line, "span %zu, %s%s, positions %zu to %zu", k, names[span->info.modality],
                  span->info.is_placeholder ? " (placeholder)" : "", first, first + count - 1);
    muse_canvas_fill(&d->canvas, MARGIN, d->y - 4, d->canvas.width - 2 * MARGIN, 1, 0xc8c8c8);
    muse_canvas_text(&d->canvas, MARGIN, d->y, line, strlen(line), grey);
    d->y += LINE;
    int rc = 0;
    if (span->info.modality == MUSE_TEXT) draw_text(d, first, count);
    else if (span->info.modality == MUSE_IMAGE) rc = draw_image(d, span);
    else if (span->info.modality == MUSE_AUDIO) draw_audio(d, span);
    d->y += 8;
    return rc;
}

static int draw_all(Drawing *d)
{
    d->y = MARGIN;
    char line[160];
    snprintf(line, sizeof line, "%zu positions, family %s", d->seq->length, d->seq->family.name);
    muse_canvas_text(&d->canvas, MARGIN, d->y, line, strlen(line), ink);
    d->y += LINE + 8;
    for (size_t k = 0; k < d->seq->n_spans; k++) {
        const int rc = draw_span(d, &d->seq->spans[k], k);
        if (rc < 0) return rc;
        if (d->y > PIXELS_MAX / d->canvas.width)
            return muse_fail(d->err, MUSE_ERR_LIMIT, "the drawing would be over %d pixels; draw a shorter sequence", PIXELS_MAX);
    }
    return 0;
}

void muse_draw_params_init(MuseDrawParams *params) { MUSE_PARAMS_INIT(params); }

int muse_sequence_draw(const MuseSequence *seq, const MuseDrawParams *params, uint8_t **rgb, uint32_t *width, uint32_t *height, MuseError *err)
{
    MUSE_REQUIRE(err, seq && rgb && width && height);
    *rgb = NULL;
    MuseDrawParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseDrawParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, p.max_width == 0 || (p.max_width >= WIDTH_MIN && p.max_width <= 1 << 14));
    Drawing d = { .seq = seq, .canvas = { NULL, p.max_width ? (int)p.max_width : WIDTH_DEFAULT, 0 }, .err = err };
    rc = draw_all(&d);
    if (rc < 0) return rc;
    d.canvas.height = d.y + MARGIN;
    const size_t bytes = (size_t)d.canvas.width * (size_t)d.canvas.height * 3;
    d.canvas.rgb = muse_alloc(&seq->rt->alloc, bytes);
    if (!d.canvas.rgb) return MUSE_NOMEM(err, bytes);
    muse_canvas_fill(&d.canvas, 0, 0, d.canvas.width, d.canvas.height, paper);
    rc = draw_all(&d);
    if (rc < 0) {
        muse_free(d.canvas.rgb);
        return rc;
    }
    *rgb = d.canvas.rgb;
    *width = (uint32_t)d.canvas.width;
    *height = (uint32_t)d.canvas.height;
    return 0;
}
