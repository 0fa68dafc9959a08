/* SPDX-License-Identifier: Apache-2.0 */
/* MuseTrace from the inside, and the text writer its faces share. Users: this folder, tests. */
#ifndef LIBMUSE_TRACE_TRACE_H
#define LIBMUSE_TRACE_TRACE_H

#include "base/alloc.h"
#include "base/status.h"
#include "muse/trace.h"
#include "ops/runtime.h"

enum {
    MUSE_TRACE_IMAGES_MAX = 1 << 16, MUSE_TRACE_STEPS_MAX = 1 << 20, MUSE_TRACE_MARKS_MAX = 1 << 16, MUSE_TRACE_HEATS_MAX = 1 << 12,
    MUSE_TRACE_CELLS_MAX = 4096      /* of a heat map, a side */
};

/* A step as it is kept: what s points to lies in the buffers. */
typedef struct MuseStepKept {
    MuseTraceStep s;
    MuseBuf text, marks, heats;      /* bytes; MuseTraceMark; MuseTraceHeat, each with a block of values */
} MuseStepKept;

typedef struct MusePictureKept {
    char      *name;
    MuseRect   rect;
    MuseImage *image;                /* a reference, or NULL */
} MusePictureKept;

struct MuseTrace {
    MuseRuntime  *rt;                /* one reference */
    char         *question, *model, *mode;
    MuseTraceFn  *fn;
    void         *user;
    MuseBuf       steps, pictures;   /* MuseStepKept, MusePictureKept */
    MuseTraceSummary summary;
    char         *answer;
};

static inline size_t muse_trace_n_steps(const MuseTrace *t) { return t->steps.len / sizeof(MuseStepKept); }
static inline size_t muse_trace_n_pictures(const MuseTrace *t) { return t->pictures.len / sizeof(MusePictureKept); }
static inline const MuseTraceStep *muse_trace_at(const MuseTrace *t, size_t i) { return &((const MuseStepKept *)(const void *)t->steps.data)[i].s; }
static inline const MusePictureKept *muse_trace_picture(const MuseTrace *t, size_t i) { return &((const MusePictureKept *)(const void *)t->pictures.data)[i]; }

static inline bool muse_rect_is_point(MuseRect r) { return !(r.x1 > r.x0) && !(r.y1 > r.y0); }

/* A picture by its place alone, for traces that come from JSON. As muse_trace_add_image(). */
int muse_trace_add_picture(MuseTrace *t, MuseImage *image, MuseRect rect, const char *name, size_t n_name, MuseError *err);
/* the kind of that name; -1 if there is none */
int muse_step_kind(const char *name, size_t n);
/* The answer has place tokens: the step that has pixels in their place, if the driver wrote one. NULL: people read the summary's answer */
const MuseTraceStep *muse_trace_answer(const MuseTrace *t);
/* The lowest number above `agent` of an agent that has steps; 0: none */
uint32_t muse_trace_next_agent(const MuseTrace *t, uint32_t agent);

/* ---- writing text: after a failure nothing more is written, and rc says which ---- */
typedef struct MuseOut {
    MuseBuf buf;
    int rc;
} MuseOut;

void muse_out_put(MuseOut *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void muse_out_bytes(MuseOut *o, const void *bytes, size_t n);
void muse_out_number(MuseOut *o, double v);                       /* the shortest digits that read back as v, with a point in any locale */
void muse_out_f32(MuseOut *o, float v);                           /* the same for an f32 */
void muse_out_json_string(MuseOut *o, const char *text, size_t n);
void muse_out_html(MuseOut *o, const char *text, size_t n);       /* for element contents and quoted attributes; what is not UTF-8 or not allowed in HTML becomes U+FFFD */
void muse_out_base64(MuseOut *o, const uint8_t *bytes, size_t n);
/* Hand the text over, terminated. Clears o in any case. */
int  muse_out_take(MuseOut *o, char **text, size_t *size, MuseError *err);

/* A PNG of part of a picture as a data: URL, reduced to max_side (0: never). @return 0 or the error of reading it */
int  muse_out_picture(MuseOut *o, MuseRuntime *rt, const MuseImage *image, MuseRect part, uint32_t max_side, MuseError *err);

/* Pixels of a picture as RGB, resized to width x height where those are not its own. *rgb: muse_free(). */
int  muse_trace_pixels(MuseRuntime *rt, const MuseImage *image, uint32_t width, uint32_t height, uint8_t **rgb, MuseError *err);

/* Heat at (x, y) of the picture's pixels, 0..1 of the largest value; bilinear between the middles of cells, 0 outside. top: the largest value */
double muse_heat_at(const MuseTraceHeat *h, double top, double x, double y);
/* colour and cover of a value 0..1 */
void muse_heat_colour(double v, uint8_t rgba[4]);
double muse_heat_top(const MuseTraceHeat *h);
/* Several maps over one picture: each raises values [height][width], which begin as zeros, to its own, on a scale that ends at top, at the pixels of rect; then they cover the n pixels once. */
void muse_heat_raise(const MuseTraceHeat *h, double top, MuseRect rect, float *values, uint32_t width, uint32_t height);
void muse_heat_cover(const float *values, uint8_t *rgb, size_t n, double opacity);
double muse_step_heat_top(const MuseTraceStep *s);   /* of all heat maps of a step; 0: there are none */
void muse_heat_share(double v, char text[24]);   /* "12 %"; a value over 1 as it is */
void muse_heat_over(uint8_t rgb[3], double v, double opacity);   /* v's colour over a pixel, as muse_heat_overlay() lays it */

#endif
