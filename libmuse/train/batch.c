/* SPDX-License-Identifier: Apache-2.0 */
/* See batch.h. Time, row and column follow libmuse/sequence.c: a picture is one step of time, a token or frame one each, and
 * each branch goes on from the end of the prefix. */
#include "libmuse/train/batch.h"

#include <math.h>
#include <string.h>

bool muse_sample_rows(const MuseTrainSample *s, size_t *rows)
{
    *rows = 0;
    for (size_t i = 0; i < s->n_prefix; i++)
        if (!muse_add_size(*rows, s->prefix[i].n, rows)) return false;
    for (size_t b = 0; b < s->n_branches; b++)
        for (size_t i = 0; i < s->branches[b].n_parts; i++)
            if (!muse_add_size(*rows, s->branches[b].parts[i].n, rows)) return false;
    return true;
}

/* ---- checks ---- */

/* what the caller has, if said, is what will be read */
static int check_values(const MuseTrainPart *p, const char *what, size_t each, MuseError *err)
{
    if (p->values == 0 || (p->values % each == 0 && p->values / each == p->n)) return 0;
    return muse_fail(err, MUSE_ERR_ARG, "%zu values for %zu %s; the model takes %zu each", p->values, p->n, what, each);
}

static int check_part(const MuseBatchRules *r, const MuseTrainPart *p, bool in_prefix, MuseError *err)
{
    const MuseConfig *c = r->config;
    switch (p->modality) {
    case MUSE_TEXT:
        if (p->n && !p->ids) return muse_fail(err, MUSE_ERR_ARG, "a text part has no ids");
        for (size_t i = 0; i < p->n; i++) {
            if (p->ids[i] < 0 || (uint32_t)p->ids[i] >= c->vocab) return muse_fail(err, MUSE_ERR_ARG, "id %d is outside the vocabulary of %u", p->ids[i], c->vocab);
            if (p->weights && !isfinite(p->weights[i])) return muse_fail(err, MUSE_ERR_ARG, "the weight of token %zu is not finite", i);
        }
        return 0;
    case MUSE_IMAGE:
        if (!c->image.live) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "a picture, but the model takes none");
        if (p->n == 0 || (uint64_t)p->grid_width * p->grid_height != p->n || !(p->rgb || p->features))
            return muse_fail(err, MUSE_ERR_ARG, "a picture of %u x %u patches has %zu positions, or no pixels", p->grid_width, p->grid_height, p->n);
        if (p->grid_width > c->image.positions || p->grid_height > c->image.positions)
            return muse_fail(err, MUSE_ERR_ARG, "a picture of %u x %u patches; the model has %u places a side", p->grid_width, p->grid_height, c->image.positions);
        if (p->alone && in_prefix) return muse_fail(err, MUSE_ERR_ARG, "a picture of the prefix can not be alone");
        return check_values(p, "patches", 3 * (size_t)c->image.unit * c->image.unit, err);
    case MUSE_AUDIO:
        if (!c->audio.live) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "a sound, but the model takes none");
        if (p->n && !p->features) return muse_fail(err, MUSE_ERR_ARG, "a sound without frames");
        return check_values(p, "frames", c->audio.frame, err);
    default: return muse_fail(err, MUSE_ERR_ARG, "modality %d is not one that can be trained", p->modality);
    }
}

static const MuseTrainPart *part_at(const MuseTrainSample *s, uint32_t branch, uint32_t part)
{
    if (branch == UINT32_MAX) return part < s->n_prefix ? &s->prefix[part] : NULL;
    return branch < s->n_branches && part < s->branches[branch].n_parts ? &s->branches[branch].parts[part] : NULL;
}

static int check_labels(const MuseBatchRules *r, const MuseTrainSample *s, MuseError *err)
{
    for (size_t i = 0; i < s->n_labels; i++) {
        const MuseTrainLabel *l = &s->labels[i];
        const MuseTrainPart *p = part_at(s, l->branch, l->part);
        if (!p || l->index >= p->n) return muse_fail(err, MUSE_ERR_ARG, "label %zu is at a position that does not exist", i);
        if (l->head >= r->n_heads || l->value >= r->classes[l->head] || !isfinite(l->weight))
            return muse_fail(err, MUSE_ERR_ARG, "label %zu: head %u, class %u is not one the configuration has", i, l->head, l->value);
    }
    for (size_t i = 0; i < s->n_gazes; i++) {
        const MuseTrainGaze *g = &s->gazes[i];
        const MuseTrainPart *p = part_at(s, g->branch, g->part), *target = part_at(s, UINT32_MAX, g->target_part);
        bool good = r->gaze && p && target && g->index < p->n && g->n_targets > 0 && isfinite(g->weight) && g->branch != UINT32_MAX;
        for (size_t k = 0; good && k < g->n_targets; k++) good = g->targets[k] < target->n && (k == 0 || g->targets[k] > g->targets[k - 1]);
        if (!good) return muse_fail(err, MUSE_ERR_ARG, "gaze %zu is not from a branch to positions of the prefix in order, or the configuration has no \"gaze\"", i);
    }
    return 0;
}

/* a target that no row could predict */
static bool first_has_weight(const MuseTrainSample *s, const MuseTrainBranch *b)
{
    for (size_t i = 0; i < s->n_prefix; i++)
        if (s->prefix[i].n) return false;
    for (size_t i = 0; i < b->n_parts; i++)
        if (b->parts[i].n) return b->parts[i].modality == MUSE_TEXT && b->parts[i].weights && b->parts[i].weights[0] != 0;
    return false;
}

static int check_sample(const MuseBatchRules *r, const MuseTrainSample *s, MuseError *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->n_prefix && rc == 0; i++) {
        rc = check_part(r, &s->prefix[i], true, err);
        for (size_t k = 0; rc == 0 && s->prefix[i].weights && k < s->prefix[i].n; k++)
            if (s->prefix[i].weights[k] != 0) rc = muse_fail(err, MUSE_ERR_ARG, "the prefix is given: its tokens can have no weight");
    }
    if (s->n_branches == 0) return muse_fail(err, MUSE_ERR_ARG, "a sample without branches");
    for (size_t b = 0; b < s->n_branches && rc == 0; b++) {
        const MuseTrainBranch *branch = &s->branches[b];
        for (size_t i = 0; i < branch->n_parts && rc == 0; i++) rc = check_part(r, &branch->parts[i], false, err);
        if (rc == 0 && branch->task != UINT32_MAX && branch->task >= r->n_tasks) rc = muse_fail(err, MUSE_ERR_ARG, "task %u; the configuration has %u", branch->task, r->n_tasks);
        if (rc == 0 && first_has_weight(s, branch))
            rc = muse_fail(err, MUSE_ERR_ARG, "the first token of a branch without prefix can have no weight: nothing stands before it");
        if (rc == 0 && branch->group >= r->n_groups) rc = muse_fail(err, MUSE_ERR_ARG, "group %u; the configuration has %u", branch->group, r->n_groups);
    }
    return rc < 0 ? rc : check_labels(r, s, err);
}

/* ---- room ---- */

static bool grow(const MuseAllocator *a, void *array, size_t *cap, size_t need, size_t item)
{
    void *old;
    memcpy(&old, array, sizeof old);
    if (need <= *cap && old) return true;
    const size_t want = need + need / 2 + 64;
    void *moved = muse_realloc_array(a, old, want, item);
    if (!moved) return false;
    memcpy(array, &moved, sizeof moved);
    *cap = want;
    return true;
}

static bool grow_rows(MuseTrainBatch *b, size_t need)
{
    size_t cap[5];
    for (int i = 0; i < 5; i++) cap[i] = b->cap;
    const bool done = grow(b->alloc, &b->id, &cap[0], need, sizeof *b->id) && grow(b->alloc, &b->t, &cap[1], need, sizeof *b->t)
        && grow(b->alloc, &b->y, &cap[2], need, sizeof *b->y) && grow(b->alloc, &b->x, &cap[3], need, sizeof *b->x) && grow(b->alloc, &b->seen, &cap[4], need, sizeof *b->seen);
    if (done) b->cap = cap[0];
    return done;
}

typedef struct Counts { size_t rows, patches, frames, tokens, gaze_rows; } Counts;

static void count_part(Counts *n, const MuseTrainPart *p)
{
    n->rows += p->n;
    n->tokens += p->modality == MUSE_TEXT ? p->n : 0;
    n->patches += p->modality == MUSE_IMAGE ? p->n : 0;
    n->frames += p->modality == MUSE_AUDIO ? p->n : 0;
}

static bool reserve(MuseTrainBatch *b, const MuseBatchRules *r, const MuseTrainSample *s)
{
    Counts n = { 0 };
    for (size_t i = 0; i < s->n_prefix; i++) count_part(&n, &s->prefix[i]);
    for (size_t k = 0; k < s->n_branches; k++)
        for (size_t i = 0; i < s->branches[k].n_parts; i++) count_part(&n, &s->branches[k].parts[i]);
    for (size_t i = 0; i < s->n_gazes; i++) n.gaze_rows += s->gazes[i].n_targets;
    const size_t patch = 3 * (size_t)r->config->image.unit * r->config->image.unit, frame = r->config->audio.frame;
    size_t cap = b->cap_patches, cap_f = b->cap_frames;
    bool done = grow_rows(b, b->n + n.rows) && grow(b->alloc, &b->sample_at, &b->cap_samples, b->n_samples + 2, sizeof *b->sample_at)
        && grow(b->alloc, &b->targets, &b->cap_targets, b->n_targets + n.tokens, sizeof *b->targets)
        && grow(b->alloc, &b->labels, &b->cap_labels, b->n_labels + s->n_labels, sizeof *b->labels)
        && grow(b->alloc, &b->gazes, &b->cap_gazes, b->n_gazes + s->n_gazes, sizeof *b->gazes)
        && grow(b->alloc, &b->gaze_rows, &b->cap_gaze_rows, b->n_gaze_rows + n.gaze_rows, sizeof *b->gaze_rows);
    if (done && n.patches)
        done = grow(b->alloc, &b->patches, &cap, b->n_patches + n.patches, patch * sizeof *b->patches)
            && grow(b->alloc, &b->patch_row, &b->cap_patches, b->n_patches + n.patches, sizeof *b->patch_row);
    if (done && n.frames)
        done = grow(b->alloc, &b->frames, &cap_f, b->n_frames + n.frames, frame * sizeof *b->frames)
            && grow(b->alloc, &b->frame_row, &b->cap_frames, b->n_frames + n.frames, sizeof *b->frame_row);
    return done;
}

/* ---- packing ---- */

/* Where a part stands: the prefix's rows, the branch's first row, the next time. */
typedef struct Cursor {
    const MuseBatchRules *r;
    uint32_t prefix_lo, prefix_hi, branch_lo;
    int32_t  t;
    bool     in_prefix;
    const MuseTrainBranch *branch;
} Cursor;

static void put_row(MuseTrainBatch *b, int32_t id, int32_t t, int32_t y, int32_t x, MuseSeen seen)
{
    b->id[b->n] = id;
    b->t[b->n] = t;
    b->y[b->n] = y;
    b->x[b->n] = x;
    b->seen[b->n] = seen;
    b->n++;
}

/* what a row sees whose own range starts at lo and ends at hi */
static MuseSeen see(const Cursor *c, uint32_t lo, uint32_t hi)
{
    if (c->in_prefix) return (MuseSeen){ c->prefix_lo, hi, hi, hi };
    return (MuseSeen){ c->prefix_lo, c->prefix_hi, lo, hi };
}

static void put_text(MuseTrainBatch *b, Cursor *c, const MuseTrainPart *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const uint32_t row = (uint32_t)b->n;
        /* written after the row before it: of its branch, or, for the first, the end of the prefix */
        const bool first = row == c->branch_lo;
        if (p->weights && p->weights[i] != 0)
            b->targets[b->n_targets++] = (MuseBatchTarget){ first ? c->prefix_hi - 1 : row - 1, c->branch->task, p->ids[i], (uint8_t)c->branch->group, p->weights[i] };
        put_row(b, p->ids[i], c->t++, 0, 0, see(c, c->branch_lo, row + 1));
    }
}

static void put_image(MuseTrainBatch *b, Cursor *c, const MuseTrainPart *p)
{
    const uint32_t first = (uint32_t)b->n, end = first + (uint32_t)p->n, unit = c->r->config->image.unit;
    const size_t values = 3 * (size_t)unit * unit;
    const bool causal = c->r->config->image_mask == MUSE_MASK_CAUSAL;
    for (uint32_t y = 0; y < p->grid_height; y++)
        for (uint32_t x = 0; x < p->grid_width; x++) {
            float *to = b->patches + b->n_patches * values;
            if (p->rgb)
                for (uint32_t r = 0; r < unit; r++) {
                    const uint8_t *from = p->rgb + 3 * (((size_t)y * unit + r) * p->grid_width * unit + (size_t)x * unit);
                    for (uint32_t k = 0; k < 3 * unit; k++) *to++ = (float)from[k] * c->r->scale + c->r->offset;
                }
            else memcpy(to, p->features + ((size_t)y * p->grid_width + x) * values, values * sizeof *to);
            b->patch_row[b->n_patches++] = (uint32_t)b->n;
            put_row(b, -1, c->t, (int32_t)y, (int32_t)x, see(c, p->alone ? first : c->branch_lo, causal ? (uint32_t)b->n + 1 : end));
        }
    c->t++;
}

static void put_part(MuseTrainBatch *b, Cursor *c, const MuseTrainPart *p)
{
    if (p->modality == MUSE_TEXT) {
        put_text(b, c, p);
    } else if (p->modality == MUSE_IMAGE) {
        put_image(b, c, p);
    } else {
        const size_t width = c->r->config->audio.frame;
        if (p->n) memcpy(b->frames + b->n_frames * width, p->features, p->n * width * sizeof *b->frames);
        for (size_t i = 0; i < p->n; i++) {
            b->frame_row[b->n_frames++] = (uint32_t)b->n;
            put_row(b, -1, c->t++, 0, 0, see(c, c->branch_lo, (uint32_t)b->n + 1));
        }
    }
}

/* first row of a part of a sample that begins at row `start` */
static uint32_t row_of(const MuseTrainSample *s, uint32_t start, uint32_t branch, uint32_t part, uint32_t index)
{
    size_t row = start;
    const bool prefix = branch == UINT32_MAX;
    for (size_t i = 0; i < (prefix ? part : s->n_prefix); i++) row += s->prefix[i].n;
    for (uint32_t k = 0; !prefix && k <= branch; k++)
        for (size_t i = 0; i < (k == branch ? part : s->branches[k].n_parts); i++) row += s->branches[k].parts[i].n;
    return (uint32_t)row + index;
}

static void put_labels(MuseTrainBatch *b, const MuseTrainSample *s, uint32_t start)
{
    for (size_t i = 0; i < s->n_labels; i++) {
        const MuseTrainLabel *l = &s->labels[i];
        if (l->weight != 0) b->labels[b->n_labels++] = (MuseBatchLabel){ row_of(s, start, l->branch, l->part, l->index), l->value, (uint8_t)l->head, l->weight };
    }
    const size_t first = b->n_gazes;
    for (size_t i = 0; i < s->n_gazes; i++) {
        const MuseTrainGaze *g = &s->gazes[i];
        MuseBatchGaze new = { row_of(s, start, g->branch, g->part, g->index), (uint32_t)b->n_gaze_rows, (uint32_t)g->n_targets, g->weight };
        for (size_t k = 0; k < g->n_targets; k++) b->gaze_rows[b->n_gaze_rows++] = row_of(s, start, UINT32_MAX, g->target_part, g->targets[k]);
        size_t at = b->n_gazes++;
        for (; at > first && b->gazes[at - 1].row > new.row; at--) b->gazes[at] = b->gazes[at - 1];
        b->gazes[at] = new;
    }
}

int muse_batch_add(MuseTrainBatch *b, const MuseBatchRules *rules, const MuseTrainSample *s, MuseError *err)
{
    size_t rows, end;
    int rc = check_sample(rules, s, err);
    if (rc < 0) return rc;
    if (!muse_sample_rows(s, &rows) || !muse_add_size(rows, b->n, &end) || end > INT32_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "a sample has too many positions");
    if (!reserve(b, rules, s)) return MUSE_NOMEM(err, rows * sizeof *b->seen);
    const uint32_t start = (uint32_t)b->n;
    Cursor c = { .r = rules, .prefix_lo = start, .prefix_hi = start, .branch_lo = start, .in_prefix = true };
    for (size_t i = 0; i < s->n_prefix; i++) put_part(b, &c, &s->prefix[i]);
    c.prefix_hi = (uint32_t)b->n;
    c.in_prefix = false;
    const int32_t t = c.t;
    for (size_t k = 0; k < s->n_branches; k++) {
        c.branch = &s->branches[k];
        c.branch_lo = (uint32_t)b->n;
        c.t = t;
        for (size_t i = 0; i < c.branch->n_parts; i++) put_part(b, &c, &c.branch->parts[i]);
    }
    put_labels(b, s, start);
    b->sample_at[b->n_samples] = start;
    b->sample_at[++b->n_samples] = (uint32_t)b->n;
    return 0;
}

void muse_batch_reset(MuseTrainBatch *b) { b->n = b->n_samples = b->n_patches = b->n_frames = b->n_targets = b->n_labels = b->n_gazes = b->n_gaze_rows = 0; }

void muse_batch_clear(MuseTrainBatch *b)
{
    void *const blocks[] = { b->id, b->t, b->y, b->x, b->seen, b->sample_at, b->patches, b->patch_row, b->frames, b->frame_row, b->targets, b->labels, b->gazes, b->gaze_rows };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) muse_free(blocks[i]);
    *b = (MuseTrainBatch){ .alloc = b->alloc };
}

MuseSoftTarget muse_batch_soft(const MuseBatchRules *r, int32_t id, float *p)
{
    p[0] = 1;
    if (r->radius == 0 || (uint32_t)id < r->place_first || (uint32_t)id - r->place_first >= r->place_count) return (MuseSoftTarget){ (uint32_t)id, 1, p, 1 };
    const uint32_t at = (uint32_t)id - r->place_first, lo = at > r->radius ? at - r->radius : 0;
    const uint32_t hi = at + r->radius < r->place_count ? at + r->radius : r->place_count - 1;
    float sum = 0;
    for (uint32_t i = lo; i <= hi; i++) sum += r->bell[i + r->radius - at];
    for (uint32_t i = lo; i <= hi; i++) p[i - lo] = r->bell[i + r->radius - at] / sum;
    return (MuseSoftTarget){ r->place_first + lo, hi - lo + 1, p, 1 };
}
