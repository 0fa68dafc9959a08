/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file worlds.h
 * A seeded generator of pictures and sounds with questions, chains of thought, answers and true boxes.
 *
 * A sample is drawn from (seed, world, index, split) alone: it is the same whatever was made before it, by whichever thread.
 * The fonts that are installed and the platform's libm are the only outside influence. docs/worlds.md describes the worlds,
 * the wording and the chains. Users: the muse program (muse worlds), trainers, tests.
 */
#ifndef TOOLS_WORLDS_WORLDS_H
#define TOOLS_WORLDS_WORLDS_H

#include "muse/muse.h"

/** Places a side: `<x0>`..`<x63>` and `<y0>`..`<y63>`, whatever the picture's size; reasons in docs/worlds.md. */
enum { MUSE_WORLDS_PLACES = 64 };

/** Splits. TRAIN never shows or names a held-out colour-shape pair, more than 8 objects, or a held-out font. */
enum {
    MUSE_WORLDS_TRAIN = 0,
    MUSE_WORLDS_TEST  = 1, ///< as TRAIN, from random numbers of its own
    MUSE_WORLDS_PAIRS = 2, ///< scenes hold a colour-shape pair that TRAIN never has
    MUSE_WORLDS_MANY  = 3, ///< 9 to 12 objects
    MUSE_WORLDS_FONTS = 4, ///< text in fonts that TRAIN never has
    MUSE_WORLDS_HARD  = 5  ///< as TEST, but crowded, mostly of small things, under more noise than TRAIN ever is
};

enum { MUSE_WORLDS_MIX = 0, MUSE_WORLDS_DIRECT = 1, MUSE_WORLDS_THINK = 2 };

/** What an object is. 0 is nothing. */
enum {
    MUSE_WORLDS_CIRCLE = 1, MUSE_WORLDS_SQUARE, MUSE_WORLDS_TRIANGLE, MUSE_WORLDS_STAR, MUSE_WORLDS_CROSS, MUSE_WORLDS_DIAMOND,
    MUSE_WORLDS_HEXAGON, MUSE_WORLDS_HEART, MUSE_WORLDS_LETTER, MUSE_WORLDS_DIGIT, MUSE_WORLDS_BAR, MUSE_WORLDS_POINT,
    MUSE_WORLDS_SLICE, MUSE_WORLDS_COVER, MUSE_WORLDS_TEXT, MUSE_WORLDS_KINDS
};
enum {
    MUSE_WORLDS_RED = 1, MUSE_WORLDS_GREEN, MUSE_WORLDS_BLUE, MUSE_WORLDS_YELLOW, MUSE_WORLDS_ORANGE, MUSE_WORLDS_PURPLE, MUSE_WORLDS_CYAN,
    MUSE_WORLDS_PINK, MUSE_WORLDS_GRAY, MUSE_WORLDS_BLACK, MUSE_WORLDS_WHITE, MUSE_WORLDS_COLORS
};
enum { MUSE_WORLDS_SMALL = 1, MUSE_WORLDS_MEDIUM, MUSE_WORLDS_LARGE, MUSE_WORLDS_SIZES };

/** "circle", "red", "large"; "" for 0 and numbers out of range. Static. */
const char *muse_worlds_kind_name(int kind);
const char *muse_worlds_color_name(int color);
const char *muse_worlds_size_name(int size);
/** 1: this colour and shape never occur together in TRAIN. */
int muse_worlds_held_out(int color, int kind);

/** A true object, in pixels of its picture. */
typedef struct MuseWorldsObject {
    uint8_t  image;         ///< index of its picture
    uint8_t  kind, color, size; ///< as above; 0 = none
    uint8_t  id;            ///< the same thing in several pictures has one number
    uint8_t  hidden;        ///< 1: behind a cover; the box says where it would be
    char     mark[8];       ///< the glyph it is (LETTER, DIGIT), bears, or is labelled with; "" = none
    MuseRect box;           ///< tight
    double   x, y;          ///< where chains point: the centre; the top of a bar
    double   value;         ///< of a chart's entry
} MuseWorldsObject;

enum { MUSE_WORLDS_QUESTION = 0, MUSE_WORLDS_THOUGHT = 1, MUSE_WORLDS_ANSWER = 2, MUSE_WORLDS_VIEW = 3 };

/** A piece of a branch. Concatenated in order they are the branch; nothing stands between them. */
typedef struct MuseWorldsPart {
    uint8_t     role;   ///< MUSE_WORLDS_*
    uint8_t     learn;  ///< 1: the model must write it
    uint8_t     image;  ///< VIEW: of this picture
    const char *text;   ///< UTF-8; "" for VIEW. A thought starts with <think> and ends with </think>
    size_t      size;   ///< bytes
    MuseRect    rect;   ///< VIEW: the runtime shows this rectangle here, in the picture's pixels
} MuseWorldsPart;

/** The name of an object has just ended: where attention can be supervised. */
typedef struct MuseWorldsRef {
    uint16_t part;    ///< of the branch
    uint16_t object;  ///< index into objects
    uint32_t end;     ///< byte offset in the part's text, behind the name
} MuseWorldsRef;

/** One conversation over the sample's pictures; branches do not see each other. */
typedef struct MuseWorldsBranch {
    const char *task;               ///< kind of question, such as "count"
    uint8_t     think;              ///< 1: with a chain of thought
    const MuseWorldsPart *parts;
    size_t      n_parts;
    const MuseWorldsRef *refs;
    size_t      n_refs;
    const char *answer;             ///< without the leading space; "" for dense branches, whose answers are spread over the parts
    const char *const *accept;      ///< also right
    size_t      n_accept;
} MuseWorldsBranch;

typedef struct MuseWorldsImage {
    uint32_t width, height;
    const uint8_t *rgb;             ///< rows without gaps
} MuseWorldsImage;

/** Everything lives until the next muse_worlds_make() of the same maker. */
typedef struct MuseWorldsSample {
    const char *world;
    uint64_t    seed, index;
    int         split;
    const MuseWorldsImage *images;
    size_t      n_images;           ///< 0 for drills
    const int16_t *pcm;             ///< sound, one channel
    size_t      n_pcm;
    uint32_t    rate;
    const MuseWorldsObject *objects;
    size_t      n_objects;
    const MuseWorldsBranch *branches;
    size_t      n_branches;         ///< at least 1
} MuseWorldsSample;

enum { MUSE_WORLDS_FONTS_SYSTEM = 0, MUSE_WORLDS_FONTS_BUILTIN = 1 };

typedef struct MuseWorldsParams {
    size_t      struct_size; ///< set by muse_worlds_params_init()
    int         fonts;       ///< SYSTEM: DejaVu and Liberation, all or an error; BUILTIN: one bitmap font, the same in every split
    const char *font_dir;    ///< folder above dejavu/ and liberation/; NULL = the usual places
} MuseWorldsParams;

typedef struct MuseWorldsOptions {
    size_t      struct_size; ///< set by muse_worlds_options_init()
    int         split;       ///< MUSE_WORLDS_TRAIN ...
    int         form;        ///< MUSE_WORLDS_MIX: half direct, half with a chain
    uint32_t    min_side;    ///< 64..1024; 0 = the world's own (docs/worlds.md)
    uint32_t    max_side;    ///< min_side..1024; 0 = the world's own
    uint32_t    aspect;      ///< longest to shortest side at most, 2..8; 0 = 2. No side is under min_side
    uint32_t    branches;    ///< most branches a sample, 1..32; 0 = 10
    uint32_t    overview;    ///< side of a square overview in pixels: small print is unreadable in it; 0 = 64
    const char *only;        ///< this kind of question only; NULL = all of the world
} MuseWorldsOptions;

typedef struct MuseWorlds MuseWorlds;           ///< fonts; read-only, any thread
typedef struct MuseWorldsMaker MuseWorldsMaker; ///< buffers; one thread at a time

void muse_worlds_params_init(MuseWorldsParams *params);
void muse_worlds_options_init(MuseWorldsOptions *options);

/** @param params NULL = defaults. @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_IO: a font is missing (named, with its
 *  package); MUSE_ERR_FORMAT: not a font; MUSE_ERR_UNSUPPORTED: SYSTEM in a build without FreeType. */
int muse_worlds_open(MuseWorlds **out, const MuseWorldsParams *params, MuseError *err);
void muse_worlds_close(MuseWorlds **worlds);

/** @param worlds Borrowed until the maker is closed. @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM. */
int muse_worlds_maker_open(MuseWorldsMaker **out, const MuseWorlds *worlds, MuseError *err);
void muse_worlds_maker_close(MuseWorldsMaker **maker);

/**
 * Make one sample.
 * @param task    A world ("scenes") or a kind of question ("count": its world, that kind only).
 * @param options NULL = defaults.
 * @param out     Receives a pointer that lives until the maker's next call.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOT_FOUND: no such task, or this world never asks options->only; MUSE_ERR_NOMEM;
 *         MUSE_ERR_LIMIT: the sizes allowed do not hold such a picture.
 */
int muse_worlds_make(MuseWorldsMaker *maker, const char *task, uint64_t seed, uint64_t index, const MuseWorldsOptions *options,
                     const MuseWorldsSample **out, MuseError *err);

/** Non-zero stops and is returned by muse_worlds_run(). */
typedef int MuseWorldsFn(void *user, const MuseWorldsSample *sample);

/** Samples first .. first + n - 1 to fn, in order, on the calling thread. @return as muse_worlds_make(), or fn's value. */
int muse_worlds_run(MuseWorldsMaker *maker, const char *task, uint64_t seed, uint64_t first, uint64_t n, const MuseWorldsOptions *options,
                    MuseWorldsFn *fn, void *user, MuseError *err);

/** The worlds and their kinds of question. kind 0 gives the world's own line. @return NULL beyond the last. Static. */
const char *muse_worlds_name(size_t world);
const char *muse_worlds_about(size_t world);
const char *muse_worlds_kind_of(size_t world, size_t kind);

/** What lies under a patch; for auxiliary heads. */
typedef struct MuseWorldsLabel {
    uint8_t kind;      ///< 0 none, else MUSE_WORLDS_CIRCLE ...
    uint8_t color;     ///< 0 none
    uint8_t size;      ///< 0 none
    uint8_t mark;      ///< 0 none, 1..26 A-Z, 27..36 0-9: the glyph of the patch
    float   dx, dy;    ///< from the patch's centre to the object's, in patches
    float   radius;    ///< half the larger side of its box, in patches
} MuseWorldsLabel;

/**
 * Labels of a grid of patches over a rectangle of a picture: the whole of it for an overview, a view's rect for a view.
 * A patch belongs to the object whose box covers its centre, or whose centre lies in it; the nearest centre wins.
 * @param out  Shape [grid_height, grid_width].
 */
void muse_worlds_labels(const MuseWorldsSample *sample, size_t image, MuseRect rect, uint32_t grid_width, uint32_t grid_height,
                        MuseWorldsLabel *out);

/** The rectangle shown for a look at this box: its centre, 1.15 of its larger side, at least 64 pixels, inside the picture. */
MuseRect muse_worlds_view_rect(uint32_t width, uint32_t height, MuseRect box);

/** Head of an SVG file whose body a "svg" answer is: answers use its shapes. Head + answer + "</svg>" is a file. Static. */
const char *muse_worlds_svg_head(void);

#endif
