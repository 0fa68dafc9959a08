/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the one space, forward and backward: token rows from the table, patches through LayerNorm (hidden layer) and one
 * linear with their place vectors, frames through one linear. docs/FORMATS.md has the formulas. Pixels get no gradient. */
#include <string.h>

#include "libmuse/model/levels.h"
#include "libmuse/train/net.h"

typedef struct Media {
    const MuseTrainBatch *b;
    const uint32_t *rows;
    size_t n, width;       /* patches or frames; values each */
    const float *from, *bias;
    bool places;
} Media;

static void text_rows(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const MuseTrainBatch *b = job;
    const size_t d = net->c->width;
    for (size_t r = begin; r < end; r++) {
        if (r >= b->n) memset(net->x + r * d, 0, d * sizeof *net->x);   /* rows that only round up */
        else if (b->id[r] >= 0) net->ops->load(net->x + r * d, muse_act_at(net, net->work, net->layout.embed + (size_t)b->id[r] * d), d);
    }
}

static void media_rows(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Media *m = job;
    const size_t d = net->c->width;
    for (size_t i = begin; i < end && i < m->n; i++) {
        const uint32_t r = m->rows[i];
        float *to = net->x + r * d;
        const float *from = net->media + i * d;
        const float *row = m->places ? net->master + net->layout.rows + (size_t)m->b->y[r] * d : NULL, *col = m->places ? net->master + net->layout.cols + (size_t)m->b->x[r] * d : NULL;
        for (size_t k = 0; k < d; k++) to[k] = from[k] + m->bias[k] + (m->places ? row[k] + col[k] : 0);
    }
}

static void patch_in(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Media *m = job;
    if (end > m->n) end = m->n;
    if (begin < end)
        net->ops->layernorm(muse_act_at(net, net->patch_n, begin * m->width), muse_act_at(net, net->patch_unit, begin * m->width), m->from + begin * m->width,
                            net->master + net->layout.image_norm, net->master + net->layout.image_norm_b, end - begin, m->width, net->c->image.norm_eps);
}

enum { PIECE = 64 };   /* values on the stack at a time */

static void add_levels(MuseNet *net, const float *patch, size_t n, size_t row)
{
    const size_t w = net->c->image.mlp;
    const float *table = net->master + net->layout.levels;
    float level[MUSE_LEVELS], sum[PIECE];
    muse_patch_levels(patch, n, level);
    for (size_t i = 0; i < w; i += PIECE) {
        const size_t m = w - i < PIECE ? w - i : PIECE;
        for (size_t k = 0; k < m; k++) {
            sum[k] = 0;
            for (size_t j = 0; j < MUSE_LEVELS; j++) sum[k] += level[j] * table[j * w + i + k];
        }
        net->ops->bias(muse_act_at(net, net->patch_u, row * w + i), sum, 1, m);
    }
}

static void hidden(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Media *m = job;
    const size_t w = net->c->image.mlp;
    void *u = muse_act_at(net, net->patch_u, begin * w);
    net->ops->bias(u, net->master + net->layout.hidden_b, end - begin, w);
    for (size_t i = begin; net->c->image.levels && i < end && i < m->n; i++) add_levels(net, m->from + i * m->width, m->width, i);
    net->ops->relu2(muse_act_at(net, net->patch_a, begin * w), u, (end - begin) * w);
}

static size_t patch_values(const MuseNet *net) { return 3 * (size_t)net->c->image.unit * net->c->image.unit; }

/* rows n .. up to the next multiple, so that products over whole chunks add nothing */
static void clear_tail(const MuseNet *net, void *p, size_t n, size_t width) { memset(muse_act_at(net, p, n * width), 0, (muse_round_rows(n) - n) * width * net->act); }

static void embed_patches(MuseNet *net, const MuseTrainBatch *b)
{
    const MuseLayout *l = &net->layout;
    const size_t d = net->c->width, p = patch_values(net), n = muse_round_rows(b->n_patches), mlp = net->c->image.mlp;
    const Media m = { b, b->patch_row, b->n_patches, p, b->patches, net->master + l->image_proj_b, true };
    clear_tail(net, net->patch_n, b->n_patches, p);
    clear_tail(net, net->patch_unit, b->n_patches, p);
    muse_net_rows(net, n, p, patch_in, &m);
    if (mlp) {
        muse_linear(net, &(MuseLinear){ l->hidden, n, mlp, p }, net->patch_n, net->patch_u);
        muse_net_rows(net, n, mlp, hidden, &m);
        clear_tail(net, net->patch_a, b->n_patches, mlp);
    }
    muse_linear_f32(net, &(MuseLinear){ l->image_proj, n, d, mlp ? mlp : p }, mlp ? net->patch_a : net->patch_n, net->media, false);
    muse_net_rows(net, n, net->c->width, media_rows, &m);
}

static void embed_frames(MuseNet *net, const MuseTrainBatch *b)
{
    const MuseLayout *l = &net->layout;
    const size_t d = net->c->width, w = net->c->audio.frame, n = muse_round_rows(b->n_frames);
    const Media m = { b, b->frame_row, b->n_frames, w, b->frames, net->master + l->audio_b, false };
    clear_tail(net, net->frame, b->n_frames, w);
    net->ops->store(net->frame, b->frames, b->n_frames * w);
    muse_linear_f32(net, &(MuseLinear){ l->audio, n, d, w }, net->frame, net->media, false);
    muse_net_rows(net, n, net->c->width, media_rows, &m);
}

void muse_embed(MuseNet *net, const MuseTrainBatch *b, size_t n)
{
    muse_net_rows(net, n, net->c->width, text_rows, b);
    if (b->n_patches) embed_patches(net, b);
    if (b->n_frames) embed_frames(net, b);
}

/* ---- backward: net->dx holds the gradient of the rows ---- */

/* One thread takes some columns of all rows: sums keep their order whatever the number of threads. */
static void tables_back(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const MuseTrainBatch *b = job;
    const size_t d = net->c->width;
    for (size_t r = 0; r < b->n; r++) {
        const float *dx = net->dx + r * d;
        if (b->id[r] < 0) continue;
        float *to = net->grad + net->layout.embed + (size_t)b->id[r] * d;
        for (size_t k = begin; k < end; k++) to[k] += dx[k];
    }
    for (size_t i = 0; i < b->n_patches; i++) {
        const uint32_t r = b->patch_row[i];
        const float *dx = net->dx + r * d;
        float *row = net->grad + net->layout.rows + (size_t)b->y[r] * d, *col = net->grad + net->layout.cols + (size_t)b->x[r] * d;
        for (size_t k = begin; k < end; k++) {
            row[k] += dx[k];
            col[k] += dx[k];
        }
    }
}

/* gradient rows of a medium into dxa, in its own order */
static void collect(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)worker;
    const Media *m = job;
    const size_t d = net->c->width;
    for (size_t i = begin; i < end; i++) {
        if (i < m->n) net->ops->store(muse_act_at(net, net->dxa, i * d), net->dx + m->rows[i] * d, d);
        else memset(muse_act_at(net, net->dxa, i * d), 0, d * net->act);
    }
}

typedef struct Sum { const void *d; size_t width; bool layernorm; } Sum;

static void column_sums(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    const Sum *s = job;
    float *to = muse_net_partial(net, worker);
    if (s->layernorm)
        net->ops->layernorm_back(to, to + s->width, muse_act_at(net, s->d, begin * s->width), muse_act_at(net, net->patch_unit, begin * s->width), end - begin, s->width);
    else net->ops->bias_back(to, muse_act_at(net, s->d, begin * s->width), end - begin, s->width);
}

static void bias_back(MuseNet *net, size_t at, const void *d, size_t n, size_t width)
{
    const Sum s = { d, width, false };
    muse_net_rows(net, n, s.width, column_sums, &s);
    muse_net_gather_partial(net, net->grad + at, width);
}

static void hidden_back(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    (void)job;
    (void)worker;
    const size_t w = net->c->image.mlp;
    net->ops->relu2_back(muse_act_at(net, net->dbig, begin * w), muse_act_at(net, net->dbig, begin * w), muse_act_at(net, net->patch_u, begin * w), (end - begin) * w);
}

static void level_sums(MuseNet *net, const void *job, size_t worker, size_t begin, size_t end)
{
    const MuseTrainBatch *b = job;
    const size_t w = net->c->image.mlp, p = patch_values(net);
    float *to = muse_net_partial(net, worker), level[MUSE_LEVELS], du[PIECE];
    for (size_t i = begin; i < end && i < b->n_patches; i++) {
        muse_patch_levels(b->patches + i * p, p, level);
        for (size_t k = 0; k < w; k += PIECE) {
            const size_t m = w - k < PIECE ? w - k : PIECE;
            net->ops->load(du, muse_act_at(net, net->dbig, i * w + k), m);
            for (size_t l = 0; l < MUSE_LEVELS; l++)
                for (size_t j = 0; j < m; j++) to[l * w + k + j] += level[l] * du[j];
        }
    }
}

static void patches_back(MuseNet *net, const MuseTrainBatch *b)
{
    const MuseLayout *l = &net->layout;
    const size_t d = net->c->width, p = patch_values(net), n = muse_round_rows(b->n_patches), mlp = net->c->image.mlp;
    const Media m = { .b = b, .rows = b->patch_row, .n = b->n_patches };
    const MuseLinear proj = { l->image_proj, n, d, mlp ? mlp : p }, first = { l->hidden, n, mlp, p };
    muse_net_rows(net, n, net->c->width, collect, &m);
    bias_back(net, l->image_proj_b, net->dxa, n, d);
    muse_linear_back_w(net, &proj, net->dxa, mlp ? net->patch_a : net->patch_n);
    void *dn = net->dmid;
    muse_linear_back_x(net, &proj, net->dxa, mlp ? net->dbig : dn);
    if (mlp) {
        muse_net_rows(net, n, mlp, hidden_back, NULL);
        bias_back(net, l->hidden_b, net->dbig, n, mlp);
        if (net->c->image.levels) {
            muse_net_rows(net, n, mlp, level_sums, b);
            muse_net_gather_partial(net, net->grad + l->levels, MUSE_LEVELS * mlp);
        }
        muse_linear_back_w(net, &first, net->dbig, net->patch_n);
        muse_linear_back_x(net, &first, net->dbig, dn);
    }
    const Sum s = { dn, p, true };
    muse_net_rows(net, n, s.width, column_sums, &s);
    muse_net_gather_partial(net, net->grad + l->image_norm, 2 * p);   /* the bias lies behind the weight */
}

void muse_embed_back(MuseNet *net, const MuseTrainBatch *b)
{
    muse_net_rows(net, net->c->width, b->n, tables_back, b);
    if (b->n_patches) patches_back(net, b);
    if (!b->n_frames) return;
    const size_t n = muse_round_rows(b->n_frames);
    const Media m = { .b = b, .rows = b->frame_row, .n = b->n_frames };
    muse_net_rows(net, n, net->c->width, collect, &m);
    bias_back(net, net->layout.audio_b, net->dxa, n, net->c->width);
    muse_linear_back_w(net, &(MuseLinear){ net->layout.audio, n, net->c->width, net->c->audio.frame }, net->dxa, net->frame);
}
