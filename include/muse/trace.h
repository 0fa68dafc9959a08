/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file trace.h
 * The trace: the typed record of one reasoning run, with its faces (JSON, annotated picture, HTML page), and the one place where
 * coordinates are converted.
 *
 *   muse_trace_open(&t, NULL, &params, &err);
 *   muse_trace_add_image(t, picture, "street.jpg", NULL, &err);                 // number 1
 *   step.kind = MUSE_STEP_LOOK; step.marks = &mark; step.n_marks = 1;           // mark: picture 1, pixels of the original
 *   muse_trace_add(t, &step, &number, &err);
 *   muse_trace_html(t, NULL, &page, &size, &err);
 *
 * Pictures, steps, objects and agents are numbered from 1; 0 means none. Coordinates are pixels of the original picture, always: x right, y down,
 * the left and top edge 0. A point is a rectangle without width and height. One thread per handle; a finished trace may be read by several.
 */
#ifndef MUSE_TRACE_H
#define MUSE_TRACE_H

#include "muse/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The record of a reasoning run. One thread at a time; a finished one may be read by several. Close with muse_trace_close(). */
typedef struct MuseTrace MuseTrace;

/* ---- coordinates ---- */

/**
 * How somebody writes places in a picture. The makers below fill one for the conventions in use.
 * Rulers (whole 0): 0 is the left or top edge of frame, units the right or bottom one. Cells (whole 1): numbers count cells from 0; a box is the
 * first and the last cell that it touches, a point the cell it lies in. units need not be whole: a patch grid's last column may be padding in part.
 */
typedef struct MuseCoords {
    MuseRect frame;            ///< what the numbers span, in pixels of the original
    double   units_x, units_y; ///< from edge to edge, above 0
    int      whole;            ///< 1: cells; 0: rulers
    int      y_first;          ///< 1: y before x, as in y0 x0 y1 x1
} MuseCoords;

/** Place tokens: 64 cells a side, x first. @source docs/trace.md, "Coordinates". */
MUSE_API MuseCoords muse_coords_places(MuseRect frame);
/** JSON boxes in 0..1000. @param y_first 1: [y0, x0, y1, x1] (Gemma, Gemini); 0: [x0, y0, x1, y1] (Qwen 3). */
MUSE_API MuseCoords muse_coords_thousand(MuseRect frame, int y_first);
/** Patches of a picture as the model got it, x first. @param source The picture's MuseImageInfo.source (MuseSpanInfo.region): where plan's pixels lie in the original. */
MUSE_API MuseCoords muse_coords_patches(const MuseImagePlan *plan, MuseRect source);

/**
 * Numbers to pixels. Any thread.
 * @param n  2: a point, which of cells is the middle; 4: a box.
 * @return 0; MUSE_ERR_ARG: n, a frame without area, or numbers that are not finite, beyond the edges, not whole (cells), or a box without area:
 *         never clipped. *out is then unchanged.
 */
MUSE_API int muse_coords_to_rect(const MuseCoords *c, const double *numbers, size_t n, MuseRect *out, MuseError *err);
/** Pixels to numbers, the other way. @param n 2: the rectangle's middle; 4: its sides. @return as muse_coords_to_rect(). */
MUSE_API int muse_coords_from_rect(const MuseCoords *c, MuseRect rect, double *numbers, size_t n, MuseError *err);

/* ---- the record ---- */

/** What a step is. The numbers are stable; names for JSON are in brackets. */
enum {
    MUSE_STEP_THOUGHT     = 0,  ///< [thought] text of the chain
    MUSE_STEP_LOOK        = 1,  ///< [look] a region was cut from the original and shown
    MUSE_STEP_BOX         = 2,  ///< [box] a box was named
    MUSE_STEP_POINT       = 3,  ///< [point] a point was named
    MUSE_STEP_CLAIM       = 4,  ///< [claim] something is said of a place: text is the label
    MUSE_STEP_COMPARE     = 5,  ///< [compare] two places, or the same in two pictures
    MUSE_STEP_TRACK       = 6,  ///< [track] one object in several places or pictures
    MUSE_STEP_VERIFY      = 7,  ///< [verify] the draft was checked
    MUSE_STEP_TOOL_CALL   = 8,  ///< [tool_call]
    MUSE_STEP_TOOL_RESULT = 9,  ///< [tool_result]
    MUSE_STEP_ANSWER      = 10, ///< [answer] of one agent, or of all (agent 0)
    MUSE_STEP_END         = 11, ///< [end] an agent or its thought was ended for it: text says why
    MUSE_STEP_KINDS       = 12  ///< how many there are
};

/** The name in JSON, NULL for no kind. Static. Any thread. */
MUSE_API const char *muse_step_name(uint32_t kind);

/** A place in a picture */
typedef struct MuseTraceMark {
    uint32_t image;   ///< number of the picture
    uint32_t object;  ///< equal numbers, the same thing; 0 = not said
    MuseRect rect;    ///< inside the picture
} MuseTraceMark;

/** Weights over a grid of cells, such as attention over a picture's patches */
typedef struct MuseTraceHeat {
    uint32_t     image;          ///< number of the picture
    uint32_t     width, height;  ///< cells across and down, 1..4096
    MuseRect     rect;           ///< what the cells cover in the picture; cells beyond its edges (padding) are allowed
    const float *values;         ///< [height][width], finite and not negative; shown relative to the largest
} MuseTraceHeat;

/** One step of a run. */
typedef struct MuseTraceStep {
    size_t      struct_size;  ///< set by muse_trace_step_init()
    uint32_t    kind;         ///< MUSE_STEP_*
    uint32_t    agent;        ///< whose step; 0 = the run's own
    uint32_t    parent;       ///< an earlier step that this one belongs to; 0 = none
    uint32_t    n_marks;
    const char *text;         ///< UTF-8, n_text bytes, need not be terminated
    size_t      n_text;
    const MuseTraceMark *marks;  ///< [n_marks], in order; tracks and comparisons have several
    const MuseTraceHeat *heats;  ///< [n_heats]
    size_t      n_heats;
    uint64_t    first_token, n_tokens;  ///< its positions in the sequence; n_tokens 0 = not known
    double      confidence;   ///< 0..1; negative = not known, which _init sets
    double      start, end;   ///< seconds from the beginning of the run; end >= start
    int         done;         ///< read only: 1 = completed
} MuseTraceStep;

/** confidence -1, all else 0. Any thread. */
MUSE_API void muse_trace_step_init(MuseTraceStep *step);

/** What a listener is told. */
enum {
    MUSE_TRACE_BEGUN = 0, ///< a step was appended
    MUSE_TRACE_TEXT  = 1, ///< text was added to it
    MUSE_TRACE_DONE  = 2, ///< it is complete
    MUSE_TRACE_END   = 3  ///< the summary was set; number is 0
};

/** Called as the trace grows, from the thread that does it. text: what is new of the step's text. The trace may be read, not changed. */
typedef void MuseTraceFn(void *user, const MuseTrace *trace, int event, uint32_t number, const char *text, size_t n_text);

/** What a trace says of its run, and who hears of it. */
typedef struct MuseTraceParams {
    size_t       struct_size;  ///< set by muse_trace_params_init()
    const char  *question;     ///< terminated UTF-8; copied; NULL = ""
    const char  *model, *mode; ///< names to be shown; copied; NULL = ""
    MuseTraceFn *fn;           ///< NULL: nobody listens
    void        *user;
} MuseTraceParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_trace_params_init(MuseTraceParams *params);

/**
 * An empty trace. Any thread.
 * @param out Receives the handle, or NULL. Release with muse_trace_close().
 * @param rt  NULL = defaults.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_trace_open(MuseTrace **out, MuseRuntime *rt, const MuseTraceParams *params, MuseError *err);
/** Release; *trace becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_trace_close(MuseTrace **trace);
/** A second trace with the same contents (pictures by reference), without the listener. Release it with muse_trace_close().
 * @return as muse_trace_open(). */
MUSE_API int muse_trace_copy(MuseTrace **out, const MuseTrace *trace, MuseError *err);

/** Say anew what the run is about, as MuseTraceParams does; NULL = as it is. Nobody is told. @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM: all is as it was. */
MUSE_API int muse_trace_set_names(MuseTrace *trace, const char *question, const char *model, const char *mode, MuseError *err);

/*
 * Writing. Common errors: MUSE_ERR_ARG: a number that names nothing, a mark that is not finite or not inside its picture (nothing is clipped), values
 * out of range; MUSE_ERR_STATE: the step is completed; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT: 2^16 pictures, 2^20 steps, 2^16 marks or 2^12 heats of a step.
 * On error the trace is unchanged.
 */

/** One more picture, kept by reference. @param name Shown to people; NULL = "". @param number Receives its number; may be NULL. */
MUSE_API int muse_trace_add_image(MuseTrace *trace, MuseImage *image, const char *name, uint32_t *number, MuseError *err);
/** Give pixels to a picture of a trace that was read from JSON. MUSE_ERR_ARG also: another size. */
MUSE_API int muse_trace_set_image(MuseTrace *trace, uint32_t number, MuseImage *image, MuseError *err);

/** A complete step. Everything in it is copied. @param number Receives its number; may be NULL. */
MUSE_API int muse_trace_add(MuseTrace *trace, const MuseTraceStep *step, uint32_t *number, MuseError *err);
/** The same, but it may still grow, until muse_trace_end(). */
MUSE_API int muse_trace_begin(MuseTrace *trace, const MuseTraceStep *step, uint32_t *number, MuseError *err);
/** Add n bytes of text to a step that has begun. */
MUSE_API int muse_trace_text(MuseTrace *trace, uint32_t number, const char *text, size_t n, MuseError *err);
/** Add a mark to a step that has begun. */
MUSE_API int muse_trace_mark(MuseTrace *trace, uint32_t number, const MuseTraceMark *mark, MuseError *err);
/** Allowed after completion too: maps are computed later. */
MUSE_API int muse_trace_heat(MuseTrace *trace, uint32_t number, const MuseTraceHeat *heat, MuseError *err);
/** Complete a step. @param end Seconds. @param confidence 0..1; negative: as it was. */
MUSE_API int muse_trace_end(MuseTrace *trace, uint32_t number, uint64_t n_tokens, double end, double confidence, MuseError *err);

/** How a run ended. */
typedef struct MuseTraceSummary {
    size_t      struct_size;  ///< set by muse_trace_summary_init()
    const char *answer;       ///< n_answer bytes of UTF-8
    size_t      n_answer;
    double      confidence;   ///< 0..1; negative = not known, which _init sets
    uint64_t    prompt_tokens, thought_tokens, look_tokens, answer_tokens; ///< positions of each phase, all agents; look: pictures shown while thinking
    double      seconds;
} MuseTraceSummary;

/** confidence -1, all else 0. Any thread. */
MUSE_API void muse_trace_summary_init(MuseTraceSummary *summary);
/** How the run ended. May be set again. */
MUSE_API int muse_trace_set_summary(MuseTrace *trace, const MuseTraceSummary *summary, MuseError *err);

/* Reading. Pointers live until the trace changes or closes. */

/** How the run ended; as muse_trace_summary_init() leaves it while that was not set. */
MUSE_API void muse_trace_summary(const MuseTrace *trace, MuseTraceSummary *out);
MUSE_API const char *muse_trace_question(const MuseTrace *trace); ///< never NULL but for a NULL trace
MUSE_API const char *muse_trace_model(const MuseTrace *trace);    ///< never NULL but for a NULL trace
MUSE_API const char *muse_trace_mode(const MuseTrace *trace);     ///< never NULL but for a NULL trace
/** Number of steps. 0 if trace is NULL. */
MUSE_API size_t muse_trace_step_count(const MuseTrace *trace);
/** Step number, from 1. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_trace_step(const MuseTrace *trace, uint32_t number, MuseTraceStep *out);

/** A picture of the trace. */
typedef struct MuseTraceImage {
    const char *name;   ///< terminated
    MuseRect    rect;   ///< the picture's place in its original: what marks lie inside of
    MuseImage  *image;  ///< NULL: read from JSON
} MuseTraceImage;

/** Number of pictures. 0 if trace is NULL. */
MUSE_API size_t muse_trace_image_count(const MuseTrace *trace);
/** Picture number, from 1. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_trace_image(const MuseTrace *trace, uint32_t number, MuseTraceImage *out);

/* ---- faces ---- */

/** One JSON object, docs/trace.md. @param text Receives it, terminated; release with muse_free().
 * @param size Receives its bytes without the NUL. @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM. */
MUSE_API int muse_trace_json(const MuseTrace *trace, char **text, size_t *size, MuseError *err);
/**
 * Read what muse_trace_json() wrote; unknown keys are passed over. Pictures come without pixels. Any thread.
 * @param out    Receives the handle, or NULL. Release with muse_trace_close().
 * @param params NULL = nobody listens; question, model and mode come from the text.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_FORMAT; MUSE_ERR_UNSUPPORTED: another version; MUSE_ERR_LIMIT; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_trace_from_json(MuseTrace **out, MuseRuntime *rt, const char *text, size_t size, const MuseTraceParams *params, MuseError *err);

/** What is drawn into the pictures. */
typedef struct MuseTraceDrawParams {
    size_t   struct_size; ///< set by muse_trace_draw_params_init()
    uint32_t max_width;   ///< widest drawing, pixels, 160..32768; 0 = 2400
    uint32_t step;        ///< only this step; 0 = all
    uint32_t agent;       ///< only this agent's steps and the run's own; 0 = all
    int      no_list;     ///< 1: without the list of steps under the pictures
    int      heat;        ///< 1: heat maps of the drawn steps over the pictures, the largest value at each place
} MuseTraceDrawParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_trace_draw_params_init(MuseTraceDrawParams *params);
/**
 * The pictures side by side with boxes, points, tracks and labels, numbered by step, and the steps in words below.
 * A picture without pixels is a grey field. Small pictures are enlarged, large ones reduced, which the heading of each says.
 * @param rgb Receives height rows of width * 3 bytes; release with muse_free(). muse_png_write_file() writes it.
 * @return 0; MUSE_ERR_ARG: no pictures, no such step, or a max_width out of range; MUSE_ERR_LIMIT: over 2^26 pixels; MUSE_ERR_NOMEM; those of muse_image_read_rgb().
 */
MUSE_API int muse_trace_draw(const MuseTrace *trace, const MuseTraceDrawParams *params, uint8_t **rgb, uint32_t *width, uint32_t *height, MuseError *err);

/** How the page is made. */
typedef struct MuseTraceHtmlParams {
    size_t   struct_size; ///< set by muse_trace_html_params_init()
    uint32_t max_side;    ///< pictures are reduced to this many pixels, which the page says; regions that were looked at keep theirs; 0 = 1600
} MuseTraceHtmlParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_trace_html_params_init(MuseTraceHtmlParams *params);
/**
 * One page that steps through the chain beside the pictures: no network, no other files.
 * @param text Receives it, terminated; release with muse_free().
 * @param size Receives its bytes without the NUL.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; those of muse_image_read_rgb().
 */
MUSE_API int muse_trace_html(const MuseTrace *trace, const MuseTraceHtmlParams *params, char **text, size_t *size, MuseError *err);

/**
 * A heat map over the picture it belongs to, in the picture's pixels: bilinear between the middles of cells.
 * @param rgb Shape [height, width, 3] of the picture; changed in place. opacity 0..1 of the largest value.
 * @param width,height Of the drawing of rect.
 * @return 0; MUSE_ERR_ARG.
 */
MUSE_API int muse_heat_overlay(const MuseTraceHeat *heat, MuseRect rect, uint8_t *rgb, uint32_t width, uint32_t height, double opacity, MuseError *err);

#ifdef __cplusplus
}
#endif
#endif
