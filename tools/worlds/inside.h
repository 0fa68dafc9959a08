/* SPDX-License-Identifier: Apache-2.0 */
/* What the generator's files share: the maker's buffers, drawing, writing of branches, scenes. Users: tools/worlds only. */
#ifndef TOOLS_WORLDS_INSIDE_H
#define TOOLS_WORLDS_INSIDE_H

#include "tools/worlds/random.h"
#include "tools/worlds/worlds.h"

enum { IMAGES_MAX = 6, OBJECTS_MAX = 64, BRANCHES_MAX = 32, PARTS_MAX = 2048, REFS_MAX = 1024, ACCEPTS_MAX = 1024, TEXT_MAX = 1 << 17 };
enum { SIDE_MIN = 64, SIDE_MAX = 1024, PCM_MAX = 16000 * 8, SCENE_MAX = 12 };

/* ---- outlines ---- */

/* Closed contours, y down. Shapes: centred, radius 1. Glyphs: origin at the left of the base line, height of an H 1. */
typedef struct Outline {
    float    *xy;        /* [n_points][2] */
    uint16_t *ends;      /* one behind each contour's last point */
    uint16_t  n_contours;
    float     advance;   /* glyphs */
    float     x0, y0, x1, y1;
} Outline;

enum { GLYPH_FIRST = 32, GLYPH_LAST = 126, GLYPHS = GLYPH_LAST - GLYPH_FIRST + 1 };
typedef struct Font { Outline glyphs[GLYPHS]; } Font;

struct MuseWorlds {
    Outline  shapes[MUSE_WORLDS_HEART + 1];
    Font    *fonts;
    unsigned n_fonts, n_train_fonts;   /* those of TRAIN first; equal with the built-in font */
    int16_t  gauss[1024];              /* quantiles of the normal distribution, times 256 */
};

int muse_wd_fonts_open(MuseWorlds *w, const MuseWorldsParams *params, MuseError *err);
void muse_wd_fonts_close(MuseWorlds *w);
int muse_wd_shapes_open(MuseWorlds *w);
void muse_wd_outline_free(Outline *o);
int muse_wd_error(MuseError *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
extern const uint8_t muse_wd_bitmap_font[GLYPHS][13];

/* ---- the maker ---- */

typedef struct Rgb { uint8_t r, g, b; } Rgb;

struct MuseWorldsMaker {
    const MuseWorlds *worlds;
    MuseWorldsOptions options;
    Rng     lay, paint, ask;   /* where things are; pixels; words */
    MuseWorldsSample sample;
    MuseWorldsImage  images[IMAGES_MAX];
    uint8_t         *rgb[IMAGES_MAX];
    size_t           rgb_cap[IMAGES_MAX];
    MuseWorldsObject objects[OBJECTS_MAX];
    MuseWorldsBranch branches[BRANCHES_MAX];
    MuseWorldsPart   parts[PARTS_MAX];
    MuseWorldsRef    refs[REFS_MAX];
    const char      *accepts[ACCEPTS_MAX];
    char            *text;             /* TEXT_MAX bytes */
    size_t           n_parts, n_refs, n_accepts, text_len;
    bool             full;             /* a fixed buffer was too small: the sample is refused */
    bool             no_memory;
    float           *cover;
    size_t           cover_cap;
    uint8_t         *spare;            /* blur */
    size_t           spare_cap;
    int16_t         *pcm;              /* PCM_MAX samples, on first use */
    unsigned         font;             /* of the sample's glyph objects */
    uint64_t         topic, topics[BRANCHES_MAX];   /* what a branch asks, hashed: nothing is asked twice */
    double           think_share;      /* of the branches under MUSE_WORLDS_MIX */
};
typedef struct MuseWorldsMaker Maker;

bool muse_wd_wants(const Maker *m, const char *kind);

/* ---- canvas: drawing into picture i ---- */

/* A new picture; false: no memory (noted). */
bool muse_wd_picture(Maker *m, int width, int height);
/* o scaled by size, turned by angle, moved to (x, y); *box, if not NULL, becomes its tight box inside the picture. */
void muse_wd_fill(Maker *m, size_t image, const Outline *o, double x, double y, double size, double angle, Rgb color, MuseRect *box);
void muse_wd_polygon(Maker *m, size_t image, const float *xy, size_t n, Rgb color, MuseRect *box);
void muse_wd_rect(Maker *m, size_t image, MuseRect r, Rgb color);
void muse_wd_line(Maker *m, size_t image, double x0, double y0, double x1, double y1, double width, Rgb color);
/* Text with its left end at x and its base line at y, capitals cap pixels high; returns its width. color NULL: only measured. */
double muse_wd_write(Maker *m, size_t image, unsigned font, const char *text, double x, double y, double cap, const Rgb *color, MuseRect *box);

/* ---- ground and finish ---- */

typedef struct Ground { int kind; Rgb a, b; double angle, step; uint64_t seed; unsigned colors; /* bits of the object colours that stand out */ } Ground;
typedef struct Finish { double gain, gain_x, gain_y, noise; int blur, quality; } Finish;

Ground muse_wd_ground(Maker *m, bool plain);
void muse_wd_paint_ground(Maker *m, size_t image, const Ground *g);
Finish muse_wd_finish(Maker *m, bool gentle);
void muse_wd_apply(Maker *m, size_t image, const Finish *f);
Rgb muse_wd_color(Maker *m, int color);             /* with a little jitter */
unsigned muse_wd_pick_font(Maker *m);
void muse_wd_side(Maker *m, uint32_t low, uint32_t high, bool square, int *width, int *height);

/* ---- descriptions ---- */

/* 0 = any. kind LETTER or DIGIT with a mark names that glyph. */
typedef struct Desc { int size, color, kind; char mark; } Desc;
bool muse_wd_matches(const MuseWorldsObject *o, Desc d);
int muse_wd_count(const Maker *m, size_t image, Desc d, int *first);   /* among scene objects */
Desc muse_wd_full(const MuseWorldsObject *o, bool size);               /* colour and kind, mark; size if wanted */
bool muse_wd_unique(Maker *m, size_t image, int object, Desc *out);    /* a description that fits this one only, drawn by lot */
bool muse_wd_known(const Maker *m, Desc d);                            /* may be named in this split */

/* ---- branches ---- */

bool muse_wd_begin(Maker *m, const char *kind);     /* starts a branch; true: with a chain of thought */
void muse_wd_part(Maker *m, int role, bool learn);
void muse_wd_put(Maker *m, const char *text);
void muse_wd_int(Maker *m, int value);
void muse_wd_char(Maker *m, char c);
void muse_wd_point(Maker *m, size_t image, double x, double y);
void muse_wd_box(Maker *m, size_t image, MuseRect r);
void muse_wd_at(Maker *m, int object);              /* the object's point */
void muse_wd_name(Maker *m, Desc d, int object);    /* " red star"; object < 0: no reference */
void muse_wd_think(Maker *m);                       /* starts the thought */
void muse_wd_view(Maker *m, size_t image, MuseRect r);   /* then goes on in a new part like the one before */
MuseRect muse_wd_look(Maker *m, MuseRect box);          /* the box in picture 0, its view, which is returned */
void muse_wd_answer(Maker *m);                      /* closes a thought, starts the answer */
void muse_wd_accept(Maker *m, const char *text);    /* static text */
void muse_wd_accept_number(Maker *m, int n);
void muse_wd_accept_name(Maker *m, const MuseWorldsObject *o);   /* other ways to name it */
void muse_wd_accept_near(Maker *m, size_t image, double x, double y);   /* points up to 2 places away */
void muse_wd_end(Maker *m);
int muse_wd_place(double v, double side);           /* 0..63 */

/* A question from templates: %a a description, %A with its article, %s its plural; %b, %B, %t the same of the second; %r a word. */
typedef struct Ask { Desc a, b; int ia, ib; const char *r; } Ask;
void muse_wd_ask(Maker *m, const char *const *templates, size_t n, const Ask *ask);
#define ASK(m, templates, ...) muse_wd_ask(m, templates, sizeof(templates) / sizeof *(templates), &(const Ask){ __VA_ARGS__ })

/* ---- shared chains; a given part of a drill is not learned ---- */

typedef struct Spot { Desc desc; int object; int px, py; } Spot;   /* a named place */
void muse_wd_spot_put(Maker *m, const Spot *s);
void muse_wd_relation(Maker *m, const char *kind, const Spot *a, const Spot *b, bool across, bool yes_no, bool drill);
void muse_wd_sum_chain(Maker *m, int a, char op, int b);   /* column by column, then nothing: the answer follows */
void muse_wd_same_chain(Maker *m, char a, char b, bool drill);
void muse_wd_distance(Maker *m, double dx, double dy, double side);
void muse_wd_drill_think(Maker *m);                 /* after a drill's question: a thought whose beginning is given */
char muse_wd_glyph(Rng *r);                         /* A-Z without I and O, 2-9: no two look alike */

/* ---- scenes ---- */

typedef struct Plan { int n; bool distinct, shapes_only; unsigned colors; double gap; } Plan;
/* Places, sizes, colours and kinds of plan.n objects for picture `image` of this size; at least 1; fewer if they do not fit. */
void muse_wd_lay(Maker *m, size_t image, int width, int height, Plan plan);
void muse_wd_add(Maker *m, const MuseWorldsObject *o);
void muse_wd_draw(Maker *m, size_t image);          /* all objects of the picture, boxes are set */
void muse_wd_draw_one(Maker *m, MuseWorldsObject *o, double angle);
MuseWorldsObject muse_wd_object(Maker *m, size_t image, int width, int height, const Plan *plan);
bool muse_wd_free(const Maker *m, const MuseWorldsObject *o, double gap);
static inline int muse_wd_least(const Maker *m, int least, int crowded) { return m->options.split == MUSE_WORLDS_HARD ? crowded : least; }
double muse_wd_radius(Maker *m, int size, int width, int height);
int muse_wd_pick_color(Maker *m, unsigned colors);
int muse_wd_sorted(const Maker *m, size_t image, uint8_t *order);   /* reading order */

void muse_wd_ask_attribute(Maker *m, char attribute);   /* 'c' colour, 'k' kind, 's' size, of something in picture 0 */

void muse_wd_make_scenes(Maker *m);
void muse_wd_make_odd(Maker *m);
void muse_wd_make_solid(Maker *m);
void muse_wd_make_pairs(Maker *m);
void muse_wd_make_print(Maker *m);
void muse_wd_make_charts(Maker *m);
void muse_wd_make_text(Maker *m);
void muse_wd_make_track(Maker *m);
void muse_wd_make_tables(Maker *m);
void muse_wd_make_svg(Maker *m);
void muse_wd_make_drills(Maker *m);
void muse_wd_drill_lookup(Maker *m);
void muse_wd_drill_svg(Maker *m);
void muse_wd_drill_odd(Maker *m);
void muse_wd_drill_tallest(Maker *m);
void muse_wd_make_tones(Maker *m);

#endif
