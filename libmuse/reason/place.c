/* SPDX-License-Identifier: Apache-2.0 */
/* Places as models write them to pixels, and the rectangle that is shown for a look. Arithmetic only. */
#include <math.h>

#include "base/status.h"
#include "muse/reason.h"

/* The rule that the model is trained with: docs/worlds.md, "Looks". */
static const double VIEW_SCALE = 1.15, VIEW_MIN = 64;

MuseRect muse_look_view(uint32_t width, uint32_t height, MuseRect r)
{
    const double side = fmax(VIEW_MIN, VIEW_SCALE * fmax(r.x1 - r.x0, r.y1 - r.y0)), w = fmin(side, width), h = fmin(side, height);
    const double x = floor(fmin(fmax((r.x0 + r.x1) / 2 - w / 2, 0), width - w)), y = floor(fmin(fmax((r.y0 + r.y1) / 2 - h / 2, 0), height - h));
    return (MuseRect){ x, y, x + ceil(w), y + ceil(h) };
}

static double cut(double v, double most) { return fmin(fmax(v, 0), most); }

int muse_place_rect(const MusePlaceFrame *f, const double place[4], uint32_t width, uint32_t height, MuseRect *out)
{
    if (!f || !place || !out || !width || !height || !isfinite(f->range) || f->range < 0) return MUSE_ERR_ARG;
    for (int i = 0; i < 4; i++)
        if (!isfinite(place[i])) return MUSE_ERR_ARG;
    const double sx = f->range > 0 ? width / f->range : 1, sy = f->range > 0 ? height / f->range : 1, last = f->cells ? 1 : 0;
    const int x = f->y_first ? 1 : 0, y = 1 - x;
    const MuseRect r = { cut(place[x] * sx, width), cut(place[y] * sy, height), cut((place[x + 2] + last) * sx, width), cut((place[y + 2] + last) * sy, height) };
    if (!(r.x0 < r.x1 && r.y0 < r.y1)) return MUSE_ERR_ARG;
    *out = r;
    return 0;
}
