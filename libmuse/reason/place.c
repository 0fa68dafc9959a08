/* SPDX-License-Identifier: Apache-2.0 */
/* The rectangle that is shown for a look. Arithmetic only; how places are written: muse/trace.h, MuseCoords. */
#include <math.h>

#include "muse/reason.h"

/* The rule that the model is trained with: docs/worlds.md, "Looks". */
static const double VIEW_SCALE = 1.15, VIEW_MIN = 64;

MuseRect muse_look_view(uint32_t width, uint32_t height, MuseRect r)
{
    const double side = fmax(VIEW_MIN, VIEW_SCALE * fmax(r.x1 - r.x0, r.y1 - r.y0)), w = fmin(side, width), h = fmin(side, height);
    const double x = floor(fmin(fmax((r.x0 + r.x1) / 2 - w / 2, 0), width - w)), y = floor(fmin(fmax((r.y0 + r.y1) / 2 - h / 2, 0), height - h));
    return (MuseRect){ x, y, x + ceil(w), y + ceil(h) };
}
