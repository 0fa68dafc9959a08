/* SPDX-License-Identifier: Apache-2.0 */
/* Looks: what is cut, whether a budget allows it, showing it; and looks that the caller asks for. */
#include <math.h>

#include "libmuse/reason/agent.h"

MuseRect muse_agent_to_original(const MuseImage *image, MuseRect r)
{
    MuseImageInfo info;
    muse_image_info(image, &info);
    return (MuseRect){ r.x0 + info.source.x0, r.y0 + info.source.y0, r.x1 + info.source.x0, r.y1 + info.source.y0 };
}

static MuseRect from_original(const MuseImage *image, MuseRect r)
{
    MuseImageInfo info;
    muse_image_info(image, &info);
    return (MuseRect){ r.x0 - info.source.x0, r.y0 - info.source.y0, r.x1 - info.source.x0, r.y1 - info.source.y0 };
}

/* how the model writes places in a picture of the sequence, in that picture's own pixels */
static MuseCoords coords_of(const MuseAgent *a, uint32_t number)
{
    const double n = a->shared->words.n_places;
    MuseImageInfo info;
    muse_image_info(a->pictures[number - 1].image, &info);
    return (MuseCoords){ .frame = { 0, 0, info.width, info.height }, .units_x = n, .units_y = n, .whole = 1 };
}

bool muse_agent_place(const MuseAgent *a, int kind, uint32_t number, MuseRect *out)
{
    const MuseChain *c = &a->chain;
    const int second = kind == MUSE_REASON_POINT ? 0 : 2;
    const double place[4] = { c->v[0], c->v[1], c->v[second], c->v[second + 1] };
    const MuseCoords coords = coords_of(a, number);
    return muse_coords_to_rect(&coords, place, 4, out, NULL) == 0;
}

/* positions that a picture of this size takes, markers included */
static int positions_of(const MuseAgent *a, uint32_t width, uint32_t height, uint64_t *n, MuseError *err)
{
    const MuseFamily *f = muse_model_family(a->shared->model);
    MuseImagePlan plan;
    const int rc = muse_image_plan(&f->image, width, height, a->shared->p.look_budget, &plan, err);
    if (rc == 0) *n = (uint64_t)plan.n_patches + (f->image_begin.text != NULL) + (f->image_end.text != NULL) + (f->image_row_end.text ? plan.grid_height : 0);
    return rc;
}

int muse_agent_cut(MuseAgent *a, const MusePicture *from, MuseRect rect, MuseImage **cut, MuseRect *view, uint64_t *n, const char **why, MuseError *err)
{
    const MuseAgentShared *sh = a->shared;
    MuseImageInfo info;
    *cut = NULL;
    *why = NULL;
    muse_image_info(from->image, &info);
    *view = muse_look_view(info.width, info.height, rect);
    if (sh->p.no_look) *why = "looks are off";
    else if (a->looks >= sh->p.looks) *why = "the looks are spent";
    if (*why) return 0;
    int rc = muse_image_region(cut, from->image, *view, err);
    if (rc == 0) rc = muse_image_info(*cut, &info);
    if (rc == 0) rc = positions_of(a, info.width, info.height, n, err);
    if (rc == 0 && a->view_positions + *n > sh->p.look_positions) *why = "the positions for looks are spent";
    else if (rc == 0 && *n + muse_agent_reserve(a) > muse_agent_room(a)) *why = "the sequence has no room for it";
    else if (rc == MUSE_ERR_LIMIT || rc == MUSE_ERR_UNSUPPORTED) *why = "the model takes no picture of this shape", rc = 0;
    if (rc < 0 || *why) muse_image_close(cut);
    return rc;
}

/* How often this turn has shown it, up to a sixteenth of its side: a place more or less shows the same. Of tools' pictures, which have no number,
 * nobody knows. */
static uint32_t times_shown(const MuseAgent *a, uint32_t image, MuseRect v)
{
    uint32_t n = 0;
    const double slack = fmax(v.x1 - v.x0, v.y1 - v.y0) / 16;
    for (size_t i = a->n_steps; image && i > 0 && a->steps[i - 1].token > a->turn_first; i--) {
        const MuseReasonStep *s = &a->steps[i - 1];
        const MuseRect o = s->view;
        if (s->kind == MUSE_REASON_LOOK && !s->refused && s->image == image &&
            fmax(fmax(fabs(v.x0 - o.x0), fabs(v.y0 - o.y0)), fmax(fabs(v.x1 - o.x1), fabs(v.y1 - o.y1))) <= slack) n++;
    }
    return n;
}

int muse_agent_show(MuseAgent *a, MuseError *err)
{
    MuseReasonStep s = a->due;
    const MusePicture from = a->pictures[s.shown];
    MuseImageOptions options;
    MuseImage *cut;
    MuseError reason = { 0 };
    const char *why;
    uint64_t n = 0;
    int rc = muse_agent_cut(a, &from, from_original(from.image, s.rect), &cut, &s.view, &n, &why, err);
    if (rc < 0) return rc;
    const bool again = !why && !s.forced && times_shown(a, s.image, muse_agent_to_original(from.image, s.view)) >= MUSE_SHOWN_MAX;
    if (again) why = "it was shown often enough";
    muse_image_options_init(&options);
    options.budget = a->shared->p.look_budget;
    options.cancel = a->shared->p.cancel;
    options.cancel_user = a->shared->p.cancel_user;
    s.position = a->s->seq->length;
    if (!why) rc = muse_sequence_append_image(muse_session_sequence(a->s), cut, &options, &reason);
    if (rc == MUSE_ERR_NOT_FOUND) why = "the model has no number for another picture";   /* <image 8> is the last, say */
    else if (rc < 0) muse_fail_copy(err, &reason);
    if (rc == 0 && !why && (rc = muse_agent_add_picture(a, (MusePicture){ .image = cut, .origin = from.origin, .traced = from.traced }, err)) < 0) muse_session_rewind(a->s, s.position, NULL);
    muse_image_close(&cut);
    if (rc < 0 && rc != MUSE_ERR_NOT_FOUND) return rc;
    s.view = muse_agent_to_original(from.image, s.view);
    s.refused = why != NULL;
    s.shown = why ? 0 : (uint32_t)a->n_pictures;
    a->again = again ? a->again + 1 : 0;
    if (why) a->refused++;
    else {
        a->looks++;
        a->view_positions += n;
    }
    a->look_due = false;   /* it is there: never twice */
    rc = muse_agent_add_step(a, s, NULL, why, err);
    a->broken = rc < 0;
    return rc;
}

/* ---- looks of the caller's ---- */

/* where a look may be put in now */
static int may_force(const MuseAgent *a, size_t n, MuseError *err)
{
    const MuseAgentShared *sh = a->shared;
    if (!sh->chains && !sh->offers_look) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "the model has neither place tokens nor tools that take a picture, or looks are off");
    if (a->finish || a->broken) return muse_fail(err, MUSE_ERR_STATE, "agent %u has ended", a->number);
    if (sh->chains && (!muse_chat_parser_in_thought(a->parser) || a->chain.state != MUSE_CHAIN_TEXT || a->chain.look || a->closing))
        return muse_fail(err, MUSE_ERR_STATE, "agent %u is not in a thought, or in the middle of a place", a->number);
    if (!sh->chains && (muse_agent_count(a) != a->turn_first || a->forced.len)) return muse_fail(err, MUSE_ERR_STATE, "agent %u is in the middle of its turn", a->number);
    if (sh->p.no_look || a->looks + a->n_exact + n > sh->p.looks) return muse_fail(err, MUSE_ERR_LIMIT, "agent %u may have %u looks", a->number, sh->p.no_look ? 0 : sh->p.looks);
    return a->n_exact + n > MUSE_EXACT_MAX ? muse_fail(err, MUSE_ERR_LIMIT, "at most %d looks are put in before a run", MUSE_EXACT_MAX) : 0;
}

/* `<image k>` if it is another one, `<look><box>` and the places that rect touches */
static int chain_look(MuseAgent *a, uint32_t number, MuseRect rect, MuseError *err)
{
    const MuseWords *w = &a->shared->words;
    const MuseCoords coords = coords_of(a, number);
    double place[4];
    int32_t ids[8];
    size_t n = 0;
    const int rc = muse_coords_from_rect(&coords, rect, place, 4, err);
    if (rc < 0) return rc;
    if (a->n_pictures > 1 && number <= MUSE_NAMED_IMAGES && w->image[number - 1] >= 0) ids[n++] = w->image[number - 1];
    if (w->look >= 0) ids[n++] = w->look;
    ids[n++] = w->box;
    for (int i = 0; i < 4; i++) ids[n++] = w->place[i % 2][(uint32_t)place[i]];
    return muse_agent_force(a, ids, n, err);
}

/* rect cut to the picture; the picture's number in the sequence */
static int locate(const MuseAgent *a, uint32_t image, MuseRect *rect, uint32_t *number, MuseError *err)
{
    MuseImageInfo info;
    for (*number = 1; *number <= a->n_pictures && a->pictures[*number - 1].origin != image; ++*number) continue;
    if (image < 1 || *number > a->n_pictures) return muse_fail(err, MUSE_ERR_ARG, "there is no picture %u among the parts", image);
    const MuseImage *picture = a->pictures[*number - 1].image;
    muse_image_info(picture, &info);
    const MuseRect r = from_original(picture, *rect);
    const MuseRect cut = { fmax(r.x0, 0), fmax(r.y0, 0), fmin(r.x1, info.width), fmin(r.y1, info.height) };   /* as muse_image_region() */
    if (!isfinite(r.x0 + r.y0 + r.x1 + r.y1) || !(cut.x0 < cut.x1 && cut.y0 < cut.y1))
        return muse_fail(err, MUSE_ERR_ARG, "nothing of the rectangle %g, %g .. %g, %g lies inside picture %u", r.x0, r.y0, r.x1, r.y1, image);
    *rect = cut;
    return 0;
}

static int force_looks(MuseAgent *a, const MuseFocus *focus, size_t n, bool compare, MuseError *err)
{
    const size_t forced = a->forced.len, n_exact = a->n_exact;
    const MuseWords *w = &a->shared->words;
    const bool chains = a->shared->chains;
    MuseFocus called[MUSE_EXACT_MAX];   /* in pixels of the pictures of the sequence */
    int rc = may_force(a, n, err);
    if (rc == 0 && chains && w->look < 0) rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "the model has no look tokens");
    for (size_t i = 0; i < n && rc == 0; i++) {
        MuseFocus f = focus[i];
        uint32_t number;
        rc = locate(a, f.image, &f.rect, &number, err);
        if (rc < 0) break;
        called[i] = (MuseFocus){ number, f.rect };
        if (chains) rc = chain_look(a, number, f.rect, err);
        f.rect = muse_agent_to_original(a->pictures[number - 1].image, f.rect);
        a->exact[a->n_exact++] = f;
    }
    if (rc == 0 && !chains) rc = muse_agent_call_ids(a, called, n, err);   /* of one turn: both are shown before it goes on */
    compare = compare && chains;
    if (rc == 0 && compare && w->compare < 0) rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "the model has no token for a comparison");
    if (rc == 0 && compare) rc = muse_agent_force(a, &w->compare, 1, err);
    if (rc < 0) {
        a->forced.len = forced;
        a->n_exact = n_exact;
    }
    return rc;
}

int muse_look(MuseAgent *a, uint32_t image, MuseRect rect, MuseError *err)
{
    MUSE_REQUIRE(err, a);
    const MuseFocus f = { image, rect };
    return force_looks(a, &f, 1, false, err);
}

int muse_compare(MuseAgent *a, uint32_t image_a, MuseRect rect_a, uint32_t image_b, MuseRect rect_b, MuseError *err)
{
    MUSE_REQUIRE(err, a);
    const MuseFocus f[] = { { image_a, rect_a }, { image_b, rect_b } };
    return force_looks(a, f, 2, true, err);
}
