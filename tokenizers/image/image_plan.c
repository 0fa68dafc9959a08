/* SPDX-License-Identifier: Apache-2.0 */
/* From a size and a family's rule to a grid of patches. No pixels: this is also how pictures are counted.
 * The arithmetic is in double, in the order of the reference processors, because floor() makes every rounding visible.
 * Called through the public API and by patches.c. Sources: Gemma 4 spec 3.1; Fuyu spec 3. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "muse/image.h"

enum { UNIT_MAX = 256, BUDGET_MAX = 65536 };

static int check_rule(const MuseImageRule *rule, MuseError *err)
{
    if (rule->struct_size < sizeof *rule)
        return muse_fail(err, MUSE_ERR_ARG, "MuseImageRule: struct_size is %zu, not %zu", rule->struct_size, sizeof *rule);
    if (rule->kind == MUSE_IMAGE_NONE) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "this family takes no pictures");
    if (rule->kind != MUSE_IMAGE_FILL && rule->kind != MUSE_IMAGE_FIT && rule->kind != MUSE_IMAGE_FILL_EXACT)
        return muse_fail(err, MUSE_ERR_ARG, "rule kind %u is not a MUSE_IMAGE_ value", rule->kind);
    if (rule->unit < 1 || rule->unit > UNIT_MAX) return muse_fail(err, MUSE_ERR_ARG, "patches of %u pixels; 1 to %d are possible", rule->unit, UNIT_MAX);
    if (rule->filter < MUSE_FILTER_BOX || rule->filter > MUSE_FILTER_BICUBIC)
        return muse_fail(err, MUSE_ERR_ARG, "filter %u is not a MUSE_FILTER_ value", rule->filter);
    if (rule->precision > MUSE_PRECISION_PILLOW) return muse_fail(err, MUSE_ERR_ARG, "precision %u is not a MUSE_PRECISION_ value", rule->precision);
    if (rule->alpha > MUSE_ALPHA_DROP) return muse_fail(err, MUSE_ERR_ARG, "alpha %u is not a MUSE_ALPHA_ value", rule->alpha);
    if (rule->kind == MUSE_IMAGE_FIT && (!rule->max_width || !rule->max_height))
        return muse_fail(err, MUSE_ERR_ARG, "a largest size of %ux%u", rule->max_width, rule->max_height);
    if (rule->kind != MUSE_IMAGE_FIT && ((rule->max_width && rule->max_width < rule->unit) || (rule->max_height && rule->max_height < rule->unit)))
        return muse_fail(err, MUSE_ERR_ARG, "a largest size of %ux%u holds no patch of %u pixels", rule->max_width, rule->max_height, rule->unit);
    return 0;
}

/* "70, 140, 280", for the error text */
static void list_budgets(const MuseImageRule *rule, char *out, size_t size)
{
    size_t at = 0;
    for (int i = 0; i < MUSE_BUDGETS_MAX && rule->budgets[i] && at < size; i++) {
        const int n = snprintf(out + at, size - at, i ? ", %u" : "%u", rule->budgets[i]);
        at += n > 0 ? (size_t)n : 0;
    }
}

/* Smallest budget whose area holds the picture; else the largest. */
static uint32_t auto_budget(const MuseImageRule *rule, uint64_t pixels)
{
    const uint64_t patch = (uint64_t)rule->unit * rule->unit;
    if (!rule->budgets[0]) {
        const uint64_t n = pixels / patch + (pixels % patch != 0);
        return n < BUDGET_MAX ? (uint32_t)n : BUDGET_MAX;
    }
    uint32_t budget = 0;
    for (int i = 0; i < MUSE_BUDGETS_MAX && rule->budgets[i]; i++) {
        budget = rule->budgets[i];
        if (budget * patch >= pixels) break;
    }
    return budget;
}

static int choose_budget(const MuseImageRule *rule, uint64_t pixels, uint32_t budget, uint32_t *out, MuseError *err)
{
    *out = budget == MUSE_BUDGET_AUTO ? auto_budget(rule, pixels) : budget == MUSE_BUDGET_DEFAULT ? rule->budget : budget;
    bool allowed = !rule->budgets[0];
    for (int i = 0; i < MUSE_BUDGETS_MAX && rule->budgets[i]; i++) allowed = allowed || rule->budgets[i] == *out;
    if (allowed && *out >= 1 && *out <= BUDGET_MAX) return 0;
    if (!rule->budgets[0]) return muse_fail(err, MUSE_ERR_ARG, "a budget of %u patches; 1 to %d are possible", *out, BUDGET_MAX);
    char list[16 * MUSE_BUDGETS_MAX] = "";
    list_budgets(rule, list, sizeof list);
    return muse_fail(err, MUSE_ERR_ARG, "a budget of %u patches; this family has %s", *out, list);
}

/* floor(sqrt(budget * a / b)): sides a and b, scaled to fill the budget, in patches */
static uint64_t whole_side(uint32_t budget, uint32_t a, uint32_t b)
{
    const uint64_t square = (uint64_t)budget * a / b;
    uint64_t root = (uint64_t)sqrt((double)square);
    while (root * root > square) root--;
    while ((root + 1) * (root + 1) <= square) root++;
    return root;
}

/* A side of at most so many patches, 0: any number; the other follows by the picture's shape, cut to whole patches, at least one. */
static void keep_to(uint64_t *side, uint64_t *other, uint32_t most, uint32_t shape_other, uint32_t shape_side)
{
    if (!most || *side <= most) return;
    const uint64_t follows = (uint64_t)most * shape_other / shape_side;
    *side = most;
    *other = follows ? follows : 1;
}

/* Fill the budget: sides scaled by one factor, each cut to whole patches. */
static int plan_fill(const MuseImageRule *rule, uint32_t budget, MuseImagePlan *p, MuseError *err)
{
    const uint32_t u = rule->unit;
    const double area = (double)budget * u * u, factor = sqrt(area / ((double)p->width * p->height));
    const bool exact = rule->kind == MUSE_IMAGE_FILL_EXACT;
    uint64_t across = exact ? whole_side(budget, p->width, p->height) : (uint64_t)floor(factor * p->width / u);
    uint64_t down = exact ? whole_side(budget, p->height, p->width) : (uint64_t)floor(factor * p->height / u);
    if (!down) {   /* both are 0 only for a square at budget 1, where the product may round to just below 1: 1x1 follows */
        down = 1;
        across = p->width / p->height < budget ? p->width / p->height : budget;
    } else if (!across) {
        across = 1;
        down = p->height / p->width < budget ? p->height / p->width : budget;
    }
    keep_to(&across, &down, rule->max_width / u, p->height, p->width);
    keep_to(&down, &across, rule->max_height / u, p->width, p->height);
    if (!across || !down || across * down > budget)
        return muse_fail(err, MUSE_ERR_LIMIT, "no grid of at most %u patches fits %ux%u pixels", budget, p->width, p->height);
    p->budget = budget;
    p->grid_width = (uint32_t)across;
    p->grid_height = (uint32_t)down;
    p->used_width = p->grid_width * u;
    p->used_height = p->grid_height * u;
    return 0;
}

/* Only ever smaller; padded to whole patches afterwards. */
static int plan_fit(const MuseImageRule *rule, MuseImagePlan *p, MuseError *err)
{
    p->used_width = p->width;
    p->used_height = p->height;
    if (p->width > rule->max_width || p->height > rule->max_height) {
        const double sy = (double)rule->max_height / p->height, sx = (double)rule->max_width / p->width, s = sy < sx ? sy : sx;
        p->used_width = (uint32_t)(p->width * s);
        p->used_height = (uint32_t)(p->height * s);
    }
    if (!p->used_width || !p->used_height)
        return muse_fail(err, MUSE_ERR_LIMIT, "%ux%u pixels fit into %ux%u only with a side of 0", p->width, p->height, rule->max_width, rule->max_height);
    p->grid_width = p->used_width / rule->unit + (p->used_width % rule->unit != 0);
    p->grid_height = p->used_height / rule->unit + (p->used_height % rule->unit != 0);
    if ((uint64_t)p->grid_width * p->grid_height > UINT32_MAX || (uint64_t)p->grid_width * rule->unit > UINT32_MAX ||
        (uint64_t)p->grid_height * rule->unit > UINT32_MAX)
        return muse_fail(err, MUSE_ERR_LIMIT, "%ux%u pixels make too many patches of %u", p->used_width, p->used_height, rule->unit);
    return 0;
}

int muse_image_plan(const MuseImageRule *rule, uint32_t width, uint32_t height, uint32_t budget, MuseImagePlan *out, MuseError *err)
{
    MUSE_REQUIRE(err, rule && out);
    memset(out, 0, sizeof *out);
    int rc = check_rule(rule, err);
    if (rc < 0) return rc;
    if (!width || !height) return muse_fail(err, MUSE_ERR_ARG, "a picture of %ux%u pixels", width, height);
    MuseImagePlan p = { .width = width, .height = height, .unit = rule->unit };
    if (rule->kind != MUSE_IMAGE_FIT) {
        uint32_t chosen = 0;
        rc = choose_budget(rule, (uint64_t)width * height, budget, &chosen, err);
        if (rc == 0) rc = plan_fill(rule, chosen, &p, err);
    } else {
        if (budget != MUSE_BUDGET_DEFAULT && budget != MUSE_BUDGET_AUTO)
            return muse_fail(err, MUSE_ERR_ARG, "a budget of %u patches; this family has none", budget);
        rc = plan_fit(rule, &p, err);
    }
    if (rc < 0) return rc;
    p.n_patches = p.grid_width * p.grid_height;
    p.scale_x = (double)p.used_width / width;
    p.scale_y = (double)p.used_height / height;
    p.resized = p.used_width != width || p.used_height != height;
    *out = p;
    return 0;
}

/* Position of used pixel `at` in the original, exact at both ends. */
static double to_original(double at, uint32_t used, uint32_t original)
{
    return at >= used ? original : at * original / used;
}

MuseRect muse_image_plan_rect(const MuseImagePlan *p, uint32_t gx, uint32_t gy)
{
    if (!p || !p->used_width || !p->used_height) return (MuseRect){ 0 };
    const double x = (double)gx * p->unit, y = (double)gy * p->unit;
    return (MuseRect){ to_original(x, p->used_width, p->width), to_original(y, p->used_height, p->height),
                       to_original(x + p->unit, p->used_width, p->width), to_original(y + p->unit, p->used_height, p->height) };
}
