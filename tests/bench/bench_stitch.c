/* SPDX-License-Identifier: Apache-2.0 */
/* The baseline that encoder-free models are compared with: a vision stack trained by itself, frozen, whose rows become the pictures
 * of a decoder that is trained on top by way of an adapter (its patch MLP). Both are muse models, of the same blocks. Trains the
 * decoder; the losses of each task are in log.csv of its checkpoint. Not a product: nothing else can run what it makes.
 * docs/ABLATIONS.md; called by tools/configs/ablations/run.py. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "libmuse/train/checkpoint.h"
#include "tools/nano/doc.h"
#include "tools/nano/worlds_source.h"

enum { ROWS = 2048 };   /* of a prefix, in the vision stack */

typedef struct Vision {
    MuseConfig config;
    MuseBatchRules rules;
    MuseNet net;
    MuseTrainBatch batch;
    pthread_mutex_t lock;
} Vision;

typedef struct Stitch {
    MuseRuntime *rt;
    NanoSource worlds;
    MuseTrainSource inner;
    Vision vision;
} Stitch;

/* What a sample of the worlds becomes: its pictures as rows of the vision stack. */
typedef struct Stitched {
    MuseTrainSample from;
    MuseTrainPart *prefix;
    float *rows;
} Stitched;

static int open_vision(Vision *v, MuseRuntime *rt, const char *folder, MuseError *err)
{
    char path[4096];
    MuseFile f = { .alloc = &rt->alloc };
    MuseFamily family;
    snprintf(path, sizeof path, "%s/config.json", folder);
    int rc = muse_file_open(&f, path, 1 << 20, err);
    if (rc == 0) rc = muse_config_from_json(&v->config, &rt->alloc, &rt->log, f.data, f.size, err);
    muse_file_close(&f);
    if (rc < 0) return rc;
    muse_family_from_config(&family, &v->config);
    v->rules = (MuseBatchRules){ .config = &v->config, .scale = family.image.scale, .offset = family.image.offset, .n_groups = 1 };
    v->batch.alloc = &rt->alloc;
    pthread_mutex_init(&v->lock, NULL);
    rc = muse_net_open(&v->net, rt, &v->config, &v->rules, false, ROWS, err);
    if (rc == 0) rc = muse_checkpoint_read_model(folder, &v->net, err);
    if (rc == 0) muse_net_refresh(&v->net);
    return rc;
}

/* The rows of the prefix behind the last layer. A pass without losses has no gradient either. */
static int see(Vision *v, const MuseTrainSample *s, MuseError *err)
{
    static const int32_t end = 0;
    const MuseTrainPart last = { .modality = MUSE_TEXT, .n = 1, .ids = &end };
    const MuseTrainBranch branch = { .parts = &last, .n_parts = 1, .task = UINT32_MAX };
    const MuseTrainSample alone = { .prefix = s->prefix, .n_prefix = s->n_prefix, .branches = &branch, .n_branches = 1 };
    const MuseNetScale none = { { 0 }, { 0 }, 0 };
    MuseNetTerms terms = { 0 };
    muse_batch_reset(&v->batch);
    const int rc = muse_batch_add(&v->batch, &v->rules, &alone, err);
    if (rc == 0) muse_net_pass(&v->net, &v->batch, &none, &terms, NULL);
    return rc;
}

static void release(void *user, MuseTrainSample *sample)
{
    Stitch *st = user;
    Stitched *s = sample->handle;
    if (!s) return;
    st->inner.release(st->inner.user, &s->from);
    free(s->prefix);
    free(s->rows);
    free(s);
    *sample = (MuseTrainSample){ 0 };
}

static int make(void *user, uint64_t number, MuseTrainSample *out, MuseError *err)
{
    Stitch *st = user;
    const size_t d = st->vision.config.width;
    Stitched *s = calloc(1, sizeof *s);
    int rc = s ? st->inner.make(st->inner.user, number, &s->from, err) : MUSE_NOMEM(err, sizeof *s);
    if (rc != 0) {
        free(s);
        return rc;
    }
    *out = s->from;
    out->handle = s;
    size_t n = 0, row = 0;
    for (size_t i = 0; i < out->n_prefix; i++) n += out->prefix[i].n;
    s->prefix = calloc(out->n_prefix, sizeof *s->prefix);
    s->rows = calloc(n, d * sizeof *s->rows);
    if (!s->prefix || !s->rows) {
        release(st, out);
        return MUSE_NOMEM(err, n * d * sizeof *s->rows);
    }
    pthread_mutex_lock(&st->vision.lock);
    rc = see(&st->vision, &s->from, err);
    if (rc == 0) memcpy(s->rows, st->vision.net.x, n * d * sizeof *s->rows);
    pthread_mutex_unlock(&st->vision.lock);
    for (size_t i = 0; i < out->n_prefix; row += out->prefix[i++].n) {
        s->prefix[i] = out->prefix[i];
        if (out->prefix[i].modality == MUSE_IMAGE) s->prefix[i].rgb = NULL, s->prefix[i].features = s->rows + row * d, s->prefix[i].values = s->prefix[i].n * d;
    }
    out->prefix = s->prefix;
    if (rc < 0) release(st, out);
    return rc;
}

static int open_worlds(Stitch *st, const MuseFile *doc, MuseTextTokenizer **tok, MuseError *err)
{
    char path[4096];
    int rc = nano_plan_read(&st->worlds.plan, (const char *)doc->data, doc->size, err);
    if (rc != 1 || nano_tokenizer_path((const char *)doc->data, doc->size, path, sizeof path) < 0) return rc < 0 ? rc : muse_fail(err, MUSE_ERR_FORMAT, "no worlds, or no tokenizer");
    rc = muse_text_open_file(tok, NULL, path, err);
    return rc < 0 ? rc : nano_source_open(&st->worlds, *tok, ".", err);
}

static int train(Stitch *st, const MuseFile *doc, const char *out, int resume, MuseError *err)
{
    const MuseTrainSource source = { sizeof source, make, release, st };
    MuseTrainer *t = NULL;
    MuseTrainerParams p;
    MuseTrainReport r = { 0 };
    muse_trainer_params_init(&p);
    p.source = &source;
    p.out = out;
    p.resume = resume;
    int rc = muse_trainer_open(&t, st->rt, (const char *)doc->data, doc->size, &p, err);
    while (rc == 0 && (rc = muse_trainer_step(t, &r, err)) == 0)
        if (r.step % 50 == 0) fprintf(stderr, "%u/%u  loss %.4f  right %.1f %%\n", (unsigned)r.step, (unsigned)r.steps, r.loss, 100 * r.accuracy);
    muse_trainer_close(&t);
    return rc == MUSE_DONE ? 0 : rc;
}

int main(int argc, char **argv)
{
    static Stitch st;
    MuseError err = { 0 };
    MuseRuntimeParams p;
    MuseTextTokenizer *tok = NULL;
    MuseFile doc = { 0 };
    if (argc < 4) {
        fprintf(stderr, "usage: %s DOCUMENT.json VISION-MODEL OUT [--resume]\nPaths in the document start in the working directory.\n", argv[0]);
        return 2;
    }
    muse_runtime_params_init(&p);
    p.threads = 1;
    int rc = muse_runtime_open(&st.rt, &p, &err);
    if (rc == 0) rc = muse_file_open(&doc, argv[1], 1 << 24, &err);
    if (rc == 0) rc = open_worlds(&st, &doc, &tok, &err);
    st.inner = nano_source(&st.worlds);
    if (rc == 0) rc = open_vision(&st.vision, st.rt, argv[2], &err);
    if (rc == 0) rc = train(&st, &doc, argv[3], argc > 4, &err);
    if (rc < 0) fprintf(stderr, "%s: %s\n", argv[0], err.text);
    muse_net_close(&st.vision.net);
    muse_batch_clear(&st.vision.batch);
    muse_config_clear(&st.vision.config);
    nano_source_close(&st.worlds);
    muse_text_close(&tok);
    muse_file_close(&doc);
    muse_runtime_close(&st.rt);
    return rc < 0;
}
