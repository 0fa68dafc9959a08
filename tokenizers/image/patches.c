/* SPDX-License-Identifier: Apache-2.0 */
/* From a picture to patches: rows are decoded, resized as they come, turned upright, padded and cut.
 *
 *   decoder -> 16 rows -> alpha rule -> resizer (in stored orientation) -> mirror, transpose, grey to RGB -> padding
 *
 * Turning the small result instead of the large original gives the same bytes: see docs/image.md. Knows no model.
 * Called through the public API. */
#include "base/hash.h"
#include "tokenizers/image/picture.h"
#include "tokenizers/image/resize.h"

struct MusePatches {
    atomic_int    refs;
    MuseRuntime  *rt;
    MuseImagePlan plan;
    MuseImageRule rule;
    uint8_t      *rgb;      /* [grid_height * unit, grid_width * unit, 3] */
    size_t        stride;
};

/* Where decoded rows go. */
typedef struct PatchJob {
    MusePatches *out;
    MuseOrient   orient;
    MuseWindow   window;    /* stored */
    uint32_t     samples;
    MuseResizer *resizer;   /* NULL: the size stays */
    uint8_t     *small;     /* resized, but grey or not upright; NULL: resized rows go straight to rgb */
    uint32_t     small_width, small_height;
} PatchJob;

static int take_rows(void *user, const uint8_t *rows, uint32_t first, uint32_t n, MuseError *err)
{
    const PatchJob *job = user;
    const size_t stride = (size_t)job->window.width * job->samples;
    if (job->resizer) return muse_resizer_push(job->resizer, rows, stride, n, err);
    muse_orient_rows(job->orient, job->window.width, job->window.height, job->out->rgb, job->out->stride, rows, stride, first, n);
    return 0;
}

static bool upright(MuseOrient o) { return !o.mirror_x && !o.mirror_y && !o.transpose; }

static int open_resizer(PatchJob *job, MuseError *err)
{
    MusePatches *p = job->out;
    job->small_width = job->orient.transpose ? p->plan.used_height : p->plan.used_width;
    job->small_height = job->orient.transpose ? p->plan.used_width : p->plan.used_height;
    const MuseResizeSpec spec = {
        .src_width = job->window.width, .src_height = job->window.height, .dst_width = job->small_width, .dst_height = job->small_height,
        .channels = (int)job->samples, .filter = p->rule.filter, .precision = p->rule.precision,
        .turn = (job->orient.transpose ? MUSE_TURN_TRANSPOSE : 0) | (job->orient.mirror_x ? MUSE_TURN_MIRROR_X : 0) |
                (job->orient.mirror_y ? MUSE_TURN_MIRROR_Y : 0),
    };
    uint8_t *dst = p->rgb;
    size_t stride = p->stride;
    if (!upright(job->orient) || job->samples == 1) {
        stride = (size_t)job->small_width * job->samples;
        dst = job->small = muse_alloc_array(&p->rt->alloc, job->small_height, stride);
        if (!dst) return muse_fail(err, MUSE_ERR_NOMEM, "no memory for %ux%u resized pixels", job->small_width, job->small_height);
    }
    const int rc = muse_resizer_open(&job->resizer, p->rt, &spec, dst, stride, err);
    /* rows come a few at a time: too little for the team, whose threads would mostly wait for each other */
    if (rc == 0) muse_resizer_alone(job->resizer);
    return rc;
}

/* The small picture to its place in rgb. */
static int turn(const PatchJob *job, MuseError *err)
{
    MusePatches *p = job->out;
    if (!job->small) return 0;
    const size_t row = (size_t)job->small_width * 3;
    uint8_t *grey = NULL;
    if (job->samples == 1) {
        grey = muse_alloc(&p->rt->alloc, row);
        if (!grey) return MUSE_NOMEM(err, row);
    }
    for (uint32_t y = 0; y < job->small_height; y++) {
        const uint8_t *from = job->small + (size_t)y * job->small_width * job->samples;
        if (grey) p->rt->ops.pixel.grey_to_rgb_u8(grey, from, job->small_width);
        muse_orient_rows(job->orient, job->small_width, job->small_height, p->rgb, p->stride, grey ? grey : from, row, y, 1);
    }
    muse_free(grey);
    return 0;
}

static void pad(MusePatches *p)
{
    const size_t used = (size_t)p->plan.used_width * 3, height = (size_t)p->plan.grid_height * p->plan.unit;
    for (size_t y = 0; y < height; y++) {
        const size_t from = y < p->plan.used_height ? used : 0;
        memset(p->rgb + y * p->stride + from, p->rule.pad, p->stride - from);
    }
}

static int make(MusePatches *p, const MuseImage *img, MuseCancelFn *cancel, void *cancel_user, MuseError *err)
{
    const MuseImagePlan *plan = &p->plan;
    p->stride = (size_t)plan->grid_width * plan->unit * 3;
    p->rgb = muse_alloc_array(&p->rt->alloc, (size_t)plan->grid_height * plan->unit, p->stride);
    if (!p->rgb) return muse_fail(err, MUSE_ERR_NOMEM, "no memory for %u patches of %u pixels", plan->n_patches, plan->unit);
    MuseRowsSpec spec = { .keep_grey = plan->resized, .overlap = plan->resized, .alpha = p->rule.alpha, .cancel = cancel, .cancel_user = cancel_user };
    memcpy(spec.background, p->rule.background, sizeof spec.background);
    PatchJob job = { .out = p, .orient = muse_picture_root(img)->orient, .window = muse_picture_window(img),
                     .samples = muse_picture_samples(img, &spec) };
    int rc = plan->resized ? open_resizer(&job, err) : 0;
    if (rc == 0) rc = muse_picture_rows(img, &spec, take_rows, &job, err);
    if (rc == 0) rc = turn(&job, err);
    if (rc == 0) pad(p);
    muse_resizer_close(&job.resizer);
    muse_free(job.small);
    return rc;
}

int muse_image_patches(MusePatches **out, const MuseImage *img, const MuseImageRule *rule, uint32_t budget, MuseCancelFn *cancel,
                       void *cancel_user, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, img && rule);
    MuseImagePlan plan;
    int rc = muse_image_plan(rule, img->seen.width, img->seen.height, budget, &plan, err);
    if (rc < 0) return rc;
    MusePatches *p = muse_zalloc(&img->rt->alloc, sizeof *p);
    if (!p) return MUSE_NOMEM(err, sizeof *p);
    atomic_init(&p->refs, 1);
    p->rt = muse_runtime_ref(img->rt);
    p->plan = plan;
    p->rule = *rule;
    rc = make(p, img, cancel, cancel_user, err);
    if (rc < 0) muse_patches_close(&p);
    *out = p;
    return rc;
}

MusePatches *muse_patches_ref(MusePatches *patches)
{
    if (patches) atomic_fetch_add_explicit(&patches->refs, 1, memory_order_relaxed);
    return patches;
}

void muse_patches_close(MusePatches **patches)
{
    if (!patches || !*patches) return;
    MusePatches *p = *patches;
    *patches = NULL;
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) return;
    MuseRuntime *rt = p->rt;
    muse_free(p->rgb);
    muse_free(p);
    muse_runtime_close(&rt);
}

const MuseImagePlan *muse_patches_plan(const MusePatches *patches) { return patches ? &patches->plan : NULL; }

const uint8_t *muse_patches_rgb(const MusePatches *patches) { return patches ? patches->rgb : NULL; }

int muse_patches_read(const MusePatches *p, size_t first, size_t n, float *out)
{
    if (!p || first > p->plan.n_patches || n > p->plan.n_patches - first || (n && !out)) return MUSE_ERR_ARG;
    const MusePatchCut cut = { p->rgb, p->stride, p->plan.unit, p->plan.grid_width, first, p->rule.scale, p->rule.offset };
    if (n) p->rt->ops.pixel.cut_patches_f32(out, &cut, n);
    return 0;
}

void muse_patches_hash(const MusePatches *p, uint8_t hash[32])
{
    MuseHash h;
    muse_hash_init(&h, "image patches");
    if (p) {
        const uint64_t geometry[] = { p->plan.unit, p->plan.grid_width, p->plan.grid_height, p->plan.used_width, p->plan.used_height };
        for (size_t i = 0; i < sizeof geometry / sizeof *geometry; i++) muse_hash_add_u64(&h, geometry[i]);
        /* of the rule, what decides values; filter and alpha have already become pixels */
        muse_hash_add_u64(&h, p->rule.kind);
        muse_hash_add_f64(&h, p->rule.scale);
        muse_hash_add_f64(&h, p->rule.offset);
        muse_hash_add(&h, p->rgb, p->stride * p->plan.grid_height * p->plan.unit);
    }
    muse_hash_done(&h, hash);
}

int muse_image_resize(MuseRuntime *rt, const uint8_t *src, uint32_t width, uint32_t height, size_t stride, int channels, uint32_t filter,
                      uint32_t precision, uint8_t *dst, uint32_t dst_width, uint32_t dst_height, MuseError *err)
{
    MUSE_REQUIRE(err, src && dst);
    const MuseResizeSpec spec = { .src_width = width, .src_height = height, .dst_width = dst_width, .dst_height = dst_height,
                                  .channels = channels, .filter = filter, .precision = precision };
    rt = muse_runtime_ref(rt);
    if (!rt) return MUSE_NOMEM(err, sizeof *rt);
    MuseResizer *r = NULL;
    int rc = muse_resizer_open(&r, rt, &spec, dst, 0, err);
    if (rc == 0) {
        muse_resizer_alone(r);   /* some milliseconds of work, in rounds too short to share where other programs run */
        rc = muse_resizer_push(r, src, stride, height, err);
    }
    muse_resizer_close(&r);
    muse_runtime_close(&rt);
    return rc;
}
