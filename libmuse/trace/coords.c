/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where coordinates are converted: place tokens, 0..1000, patches <-> pixels of the original. Clips nothing: what does
 * not lie in the frame is an error. Called by whoever reads or writes a model's numbers. */
#include <math.h>
#include <stdbool.h>

#include "base/status.h"
#include "muse/trace.h"

/* A pixel edge goes through two divisions; what is this close to a cell's border is on it. */
#define CELL_EPS 1e-9

MuseCoords muse_coords_places(MuseRect frame) { return (MuseCoords){ frame, 64, 64, 1, 0 }; }
MuseCoords muse_coords_thousand(MuseRect frame, int y_first) { return (MuseCoords){ frame, 1000, 1000, 0, y_first }; }

MuseCoords muse_coords_patches(const MuseImagePlan *plan, MuseRect source)
{
    MuseCoords c = { source, 0, 0, 1, 0 };
    if (!plan || !plan->unit) return c;
    c.units_x = (double)plan->used_width / plan->unit;
    c.units_y = (double)plan->used_height / plan->unit;
    return c;
}

static int check(const MuseCoords *c, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, c && (n == 2 || n == 4));
    const MuseRect f = c->frame;
    if (!isfinite(f.x0) || !isfinite(f.y0) || !isfinite(f.x1) || !isfinite(f.y1) || !(f.x1 > f.x0) || !(f.y1 > f.y0))
        return muse_fail(err, MUSE_ERR_ARG, "coordinates: the frame [%g, %g, %g, %g] has no area", f.x0, f.y0, f.x1, f.y1);
    if (!isfinite(c->units_x) || !isfinite(c->units_y) || !(c->units_x > 0) || !(c->units_y > 0))
        return muse_fail(err, MUSE_ERR_ARG, "coordinates: %g x %g units", c->units_x, c->units_y);
    return 0;
}

/* one axis: numbers first, last (equal for a point) -> pixels */
static int axis_to_pixels(const MuseCoords *c, char axis, double first, double last, bool point, double from, double to, double units, double *low, double *high, MuseError *err)
{
    const double most = c->whole ? ceil(units - CELL_EPS) - 1 : units;
    if (!isfinite(first) || !isfinite(last) || first < 0 || last > most || (c->whole && (first != floor(first) || last != floor(last))))
        return muse_fail(err, MUSE_ERR_ARG, "coordinates: %c is %g to %g, not %s 0 to %g", axis, first, last, c->whole ? "whole numbers" : "within", most);
    if (!point && (c->whole ? first > last : first >= last)) return muse_fail(err, MUSE_ERR_ARG, "coordinates: %c goes from %g to %g: no area", axis, first, last);
    const double scale = (to - from) / units;
    double a = first, b = last;
    if (c->whole) b = fmin(last + 1, units);
    if (c->whole && point) a = b = (first + b) / 2;
    *low = a >= units ? to : from + a * scale;
    *high = b >= units ? to : from + b * scale;   /* exact at the far edge */
    return 0;
}

int muse_coords_to_rect(const MuseCoords *c, const double *v, size_t n, MuseRect *out, MuseError *err)
{
    MUSE_REQUIRE(err, v && out);
    int rc = check(c, n, err);
    if (rc < 0) return rc;
    const size_t x = c->y_first ? 1 : 0, y = 1 - x, end = n == 4 ? 2 : 0;
    MuseRect r;
    rc = axis_to_pixels(c, 'x', v[x], v[x + end], n == 2, c->frame.x0, c->frame.x1, c->units_x, &r.x0, &r.x1, err);
    if (rc == 0) rc = axis_to_pixels(c, 'y', v[y], v[y + end], n == 2, c->frame.y0, c->frame.y1, c->units_y, &r.y0, &r.y1, err);
    if (rc == 0) *out = r;
    return rc;
}

static int axis_from_pixels(const MuseCoords *c, char axis, double low, double high, bool point, double from, double to, double units, double *first, double *last, MuseError *err)
{
    if (!isfinite(low) || !isfinite(high) || low < from || high > to || low > high)
        return muse_fail(err, MUSE_ERR_ARG, "coordinates: %c is %g to %g, not within %g to %g", axis, low, high, from, to);
    if (!point && !(high > low)) return muse_fail(err, MUSE_ERR_ARG, "coordinates: %c goes from %g to %g: no area", axis, low, high);
    const double scale = units / (to - from), most = ceil(units - CELL_EPS) - 1;
    if (point) low = high = low + (high - low) / 2;
    *first = (low - from) * scale;
    *last = (high - from) * scale;
    if (!c->whole) return 0;
    *first = fmin(floor(*first + CELL_EPS), most);   /* a point on the far edge lies in the last cell */
    *last = point ? *first : fmax(fmin(ceil(*last - CELL_EPS) - 1, most), *first);
    return 0;
}

int muse_coords_from_rect(const MuseCoords *c, MuseRect r, double *v, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, v);
    int rc = check(c, n, err);
    if (rc < 0) return rc;
    const size_t x = c->y_first ? 1 : 0, y = 1 - x, end = n == 4 ? 2 : 0;
    double x0 = 0, x1 = 0, y0 = 0, y1 = 0;
    rc = axis_from_pixels(c, 'x', r.x0, r.x1, n == 2, c->frame.x0, c->frame.x1, c->units_x, &x0, &x1, err);
    if (rc == 0) rc = axis_from_pixels(c, 'y', r.y0, r.y1, n == 2, c->frame.y0, c->frame.y1, c->units_y, &y0, &y1, err);
    if (rc < 0) return rc;
    v[x] = x0;
    v[y] = y0;
    v[x + end] = x1;
    v[y + end] = y1;
    return 0;
}
