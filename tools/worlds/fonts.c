/* SPDX-License-Identifier: Apache-2.0 */
/* Outlines of the printable ASCII characters: from font files through FreeType, or from the built-in bitmap font.
 * Unhinted, so that any size and any place is drawn from one outline. Called by muse_worlds_open(). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "tools/worlds/inside.h"

/* Those from `held_out` on are for MUSE_WORLDS_FONTS only: other families and widths, not only other weights. */
static const char *const files[] = {
    "dejavu/DejaVuSans.ttf", "dejavu/DejaVuSans-Bold.ttf", "dejavu/DejaVuSerif.ttf", "dejavu/DejaVuSerif-Bold.ttf", "dejavu/DejaVuSansMono.ttf",
    "liberation/LiberationSans-Regular.ttf", "liberation/LiberationSans-Bold.ttf", "liberation/LiberationMono-Regular.ttf",
    "liberation/LiberationSansNarrow-Regular.ttf", "liberation/LiberationSans-Italic.ttf",
    "liberation/LiberationSerif-Regular.ttf", "liberation/LiberationSerif-Bold.ttf", "dejavu/DejaVuSansMono-Bold.ttf", "liberation/LiberationSansNarrow-Bold.ttf",
};
enum { N_FILES = sizeof files / sizeof *files, HELD_OUT = 10 };

/* ---- growing an outline ---- */

typedef struct Pen { float xy[2 * 2048]; uint16_t ends[64]; size_t n, n_contours; bool full; } Pen;

static void pen_point(Pen *p, double x, double y)
{
    if (p->n >= sizeof p->xy / sizeof *p->xy / 2) {
        p->full = true;
        return;
    }
    p->xy[2 * p->n] = (float)x;
    p->xy[2 * p->n++ + 1] = (float)y;
}

static void pen_close(Pen *p)
{
    if (p->n_contours >= sizeof p->ends / sizeof *p->ends) p->full = true;
    else if (p->n > (p->n_contours ? p->ends[p->n_contours - 1] : 0u)) p->ends[p->n_contours++] = (uint16_t)p->n;
}

static int pen_keep(const Pen *p, Outline *o, float scale, float advance)
{
    if (p->full) return MUSE_ERR_LIMIT;
    *o = (Outline){ .n_contours = (uint16_t)p->n_contours, .advance = advance * scale, .x0 = 1e9f, .y0 = 1e9f, .x1 = -1e9f, .y1 = -1e9f };
    if (p->n_contours == 0) return 0;
    o->xy = malloc(p->n * 2 * sizeof *o->xy);
    o->ends = malloc(p->n_contours * sizeof *o->ends);
    if (!o->xy || !o->ends) return MUSE_ERR_NOMEM;
    memcpy(o->ends, p->ends, p->n_contours * sizeof *o->ends);
    for (size_t i = 0; i < 2 * p->n; i++) o->xy[i] = p->xy[i] * scale;
    for (size_t i = 0; i < p->n; i++) {
        o->x0 = fminf(o->x0, o->xy[2 * i]);
        o->x1 = fmaxf(o->x1, o->xy[2 * i]);
        o->y0 = fminf(o->y0, o->xy[2 * i + 1]);
        o->y1 = fmaxf(o->y1, o->xy[2 * i + 1]);
    }
    return 0;
}

/* ---- the built-in font: 6 x 13 dots, base line under row 10, capitals 9 dots high ---- */

static int open_builtin(MuseWorlds *w)
{
    Pen pen;
    w->n_fonts = w->n_train_fonts = 1;
    for (int c = 0; c < GLYPHS; c++) {
        pen = (Pen){ .n = 0 };
        for (int y = 0; y < 13; y++)
            for (int x = 0, end; x < 6; x = end + 1) {   /* runs of dots */
                for (end = x; end < 6 && muse_wd_bitmap_font[c][y] >> (5 - end) & 1; end++) { }
                if (end == x) continue;
                pen_point(&pen, x, y - 11);
                pen_point(&pen, end, y - 11);
                pen_point(&pen, end, y - 10);
                pen_point(&pen, x, y - 10);
                pen_close(&pen);
            }
        const int rc = pen_keep(&pen, &w->fonts[0].glyphs[c], 1.0f / 9, 6);
        if (rc < 0) return rc;
    }
    return 0;
}

/* ---- font files ---- */

#if MUSE_HAVE_FREETYPE
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H

enum { CURVE_STEPS = 5 };   /* at 40 pixels a capital the chords stay within a tenth of a pixel */

static int move_to(const FT_Vector *to, void *user)
{
    pen_close(user);
    pen_point(user, (double)to->x, -(double)to->y);
    return 0;
}

static int line_to(const FT_Vector *to, void *user)
{
    pen_point(user, (double)to->x, -(double)to->y);
    return 0;
}

static int cubic_to(const FT_Vector *a, const FT_Vector *b, const FT_Vector *to, void *user)
{
    Pen *p = user;
    const double x0 = p->xy[2 * p->n - 2], y0 = p->xy[2 * p->n - 1];
    for (int i = 1; i <= CURVE_STEPS; i++) {
        const double t = (double)i / CURVE_STEPS, s = 1 - t;
        pen_point(p, s * s * s * x0 + 3 * s * s * t * (double)a->x + 3 * s * t * t * (double)b->x + t * t * t * (double)to->x,
                  s * s * s * y0 - 3 * s * s * t * (double)a->y - 3 * s * t * t * (double)b->y - t * t * t * (double)to->y);
    }
    return 0;
}

static int conic_to(const FT_Vector *a, const FT_Vector *to, void *user)
{
    Pen *p = user;
    const double x0 = p->xy[2 * p->n - 2], y0 = p->xy[2 * p->n - 1];
    for (int i = 1; i <= CURVE_STEPS; i++) {
        const double t = (double)i / CURVE_STEPS, s = 1 - t;
        pen_point(p, s * s * x0 + 2 * s * t * (double)a->x + t * t * (double)to->x, s * s * y0 - 2 * s * t * (double)a->y - t * t * (double)to->y);
    }
    return 0;
}

static int take_glyph(FT_Face face, int c, float *cap, Outline *out)
{
    static const FT_Outline_Funcs funcs = { move_to, line_to, conic_to, cubic_to, 0, 0 };
    if (FT_Load_Char(face, (FT_ULong)c, FT_LOAD_NO_SCALE)) return MUSE_ERR_FORMAT;
    Pen pen = { .n = 0 };
    if (FT_Outline_Decompose(&face->glyph->outline, &funcs, &pen)) return MUSE_ERR_FORMAT;
    pen_close(&pen);
    if (*cap == 0) {   /* the first glyph taken is H */
        for (size_t i = 0; i < pen.n; i++) *cap = fmaxf(*cap, -pen.xy[2 * i + 1]);
        return *cap > 0 ? 0 : MUSE_ERR_FORMAT;
    }
    return pen_keep(&pen, out, 1 / *cap, (float)face->glyph->advance.x);
}

static int take_font(FT_Library ft, const char *path, Font *font)
{
    FT_Face face;
    if (FT_New_Face(ft, path, 0, &face)) return MUSE_ERR_FORMAT;
    float cap = 0;
    int rc = take_glyph(face, 'H', &cap, NULL);
    for (int c = 0; rc == 0 && c < GLYPHS; c++) rc = take_glyph(face, c + GLYPH_FIRST, &cap, &font->glyphs[c]);
    FT_Done_Face(face);
    return rc;
}

static bool find_file(const char *dir, const char *name, char *path, size_t size)
{
    static const char *const usual[] = { "/usr/share/fonts/truetype", "/usr/local/share/fonts/truetype", "/usr/share/fonts" };
    for (size_t i = 0; i < (dir ? 1 : sizeof usual / sizeof *usual); i++) {
        snprintf(path, size, "%s/%s", dir ? dir : usual[i], name);
        FILE *f = fopen(path, "rb");
        if (!f) continue;
        fclose(f);
        return true;
    }
    return false;
}

static int open_system(MuseWorlds *w, const char *dir, MuseError *err)
{
    FT_Library ft;
    if (FT_Init_FreeType(&ft)) return muse_wd_error(err, MUSE_ERR_NOMEM, "FreeType does not start");
    w->n_fonts = N_FILES;
    w->n_train_fonts = HELD_OUT;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < N_FILES; i++) {
        char path[1024];
        if (!find_file(dir, files[i], path, sizeof path))
            rc = muse_wd_error(err, MUSE_ERR_IO, "the font %s is not in %s: install the Debian packages fonts-dejavu-core and fonts-liberation, or ask for built-in fonts",
                               files[i], dir ? dir : "/usr/share/fonts/truetype");
        else if ((rc = take_font(ft, path, &w->fonts[i])) < 0) muse_wd_error(err, rc, "%s: %s", path, muse_status_text(rc));
    }
    FT_Done_FreeType(ft);
    return rc;
}
#else
static int open_system(MuseWorlds *w, const char *dir, MuseError *err)
{
    (void)w;
    (void)dir;
    return muse_wd_error(err, MUSE_ERR_UNSUPPORTED, "this build has no FreeType: ask for built-in fonts");
}
#endif

int muse_wd_fonts_open(MuseWorlds *w, const MuseWorldsParams *params, MuseError *err)
{
    w->fonts = calloc(N_FILES, sizeof *w->fonts);
    if (!w->fonts) return MUSE_ERR_NOMEM;
    return params->fonts == MUSE_WORLDS_FONTS_BUILTIN ? open_builtin(w) : open_system(w, params->font_dir, err);
}

void muse_wd_fonts_close(MuseWorlds *w)
{
    for (size_t i = 0; w->fonts && i < N_FILES; i++)
        for (int c = 0; c < GLYPHS; c++) muse_wd_outline_free(&w->fonts[i].glyphs[c]);
    free(w->fonts);
    w->fonts = NULL;
}
