/* SPDX-License-Identifier: Apache-2.0 */
/* Labels for each patch of a grid, from the sample's objects. */
#include <math.h>

#include "tools/worlds/inside.h"

static int mark_class(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 1 : c >= '0' && c <= '9' ? c - '0' + 27 : 0; }

static MuseWorldsLabel label(const MuseWorldsSample *s, size_t image, double x, double y, double pw, double ph)
{
    const MuseWorldsObject *best = NULL;
    double least = 1e300;
    for (size_t i = 0; i < s->n_objects; i++) {
        const MuseWorldsObject *o = &s->objects[i];
        if (o->image != image || o->hidden) continue;
        const double cx = (o->box.x0 + o->box.x1) / 2, cy = (o->box.y0 + o->box.y1) / 2, d = hypot(cx - x, cy - y);
        const bool covers = x >= o->box.x0 && x < o->box.x1 && y >= o->box.y0 && y < o->box.y1;
        const bool holds = fabs(cx - x) <= pw / 2 && fabs(cy - y) <= ph / 2;
        if ((!covers && !holds) || d >= least) continue;
        least = d;
        best = o;
    }
    if (!best) return (MuseWorldsLabel){ 0 };
    const MuseRect b = best->box;
    return (MuseWorldsLabel){ .kind = best->kind, .color = best->color, .size = best->size, .mark = (uint8_t)(best->mark[1] ? 0 : mark_class(best->mark[0])),
        .dx = (float)(((b.x0 + b.x1) / 2 - x) / pw), .dy = (float)(((b.y0 + b.y1) / 2 - y) / ph),
        .radius = (float)fmax((b.x1 - b.x0) / pw, (b.y1 - b.y0) / ph) / 2 };
}

void muse_worlds_labels(const MuseWorldsSample *s, size_t image, MuseRect rect, uint32_t gw, uint32_t gh, MuseWorldsLabel *out)
{
    const double pw = (rect.x1 - rect.x0) / gw, ph = (rect.y1 - rect.y0) / gh;
    for (uint32_t y = 0; y < gh; y++)
        for (uint32_t x = 0; x < gw; x++) out[(size_t)y * gw + x] = label(s, image, rect.x0 + (x + 0.5) * pw, rect.y0 + (y + 0.5) * ph, pw, ph);
}
