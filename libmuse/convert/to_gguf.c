/* SPDX-License-Identifier: Apache-2.0 */
/* A model into a GGUF file, and Gemma's media into a projector file beside it. Called by convert.c. */
#include <string.h>
#include <sys/stat.h>

#include "libmuse/convert/convert.h"

static int written(MuseJob *job, MuseWeightWriter *w)
{
    const int rc = muse_writer_commit(w, job->err);
    job->info.bytes_out += w->bytes;
    job->info.n_files += w->n_files;
    return rc;
}

static bool is_named(const MuseGgufKey *key, const char *name) { return strlen(name) == key->name_len && memcmp(key->name, name, key->name_len) == 0; }

/* all keys but those that describe the file itself */
static void copy_meta(const MuseJob *job, MuseGgufMeta *m)
{
    static const char *const own[] = { "general.alignment", "general.file_type", "general.quantization_version" };
    const MuseGguf *g = &job->model->files[0].gguf;
    for (size_t i = 0; i < g->n_keys; i++) {
        bool ours = false;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++) ours |= is_named(&g->keys[i], own[k]);
        if (!ours) muse_meta_copy(m, &g->keys[i]);
    }
    muse_meta_u32(m, own[0], MUSE_GGUF_ALIGNMENT);
    muse_meta_u32(m, own[1], muse_gguf_file_type(job->type));
    muse_meta_u32(m, own[2], 2);
}

static int requantise(MuseJob *job)
{
    const MuseAllocator *a = &job->rt->alloc;
    MusePlan plan = { .out = { .alloc = a } };
    MuseGgufMeta meta = { .bytes = { .alloc = a } };
    MuseWeightWriter w = { 0 };
    copy_meta(job, &meta);
    int rc = muse_plan_keep(job, &plan);
    if (rc == 0) rc = muse_writer_gguf(&w, a, job->out, &meta, &plan.out, job->err);
    if (rc == 0) rc = muse_plan_stream(job, &plan, &w);
    if (rc == 0) rc = written(job, &w);
    muse_writer_close(&w);
    muse_meta_clear(&meta);
    muse_plan_clear(&plan);
    return rc;
}

/* what a projector file is called unless told: "mmproj-" before the name of the model's */
static char *projector_path(const MuseJob *job)
{
    const char *slash = strrchr(job->out, '/'), *base = slash ? slash + 1 : job->out;
    const size_t n = strlen(base) + 8, n_folder = (size_t)(base - job->out);
    char *path = muse_alloc(&job->rt->alloc, n_folder + n);
    if (!path) return NULL;
    memcpy(path, job->out, n_folder);
    memcpy(path + n_folder, "mmproj-", 7);
    memcpy(path + n_folder + 7, base, n - 7);
    return path;
}

/* The projector file is neither an input nor the model's file: same name in the same folder, wherever links lead. */
static int check_projector(const MuseJob *job, const char *projector)
{
    const MuseAllocator *a = &job->rt->alloc;
    const char *const paths[2] = { job->out, projector };
    const char *base[2];
    char *folder[2];
    struct stat st[2];
    for (size_t i = 0; i < 2; i++) {
        const char *slash = strrchr(paths[i], '/');
        base[i] = slash ? slash + 1 : paths[i];
        folder[i] = muse_path_beside(a, paths[i], ".");
    }
    int rc = folder[0] && folder[1] ? muse_job_check_output(job, projector) : MUSE_NOMEM(job->err, strlen(projector));
    const bool there = rc == 0 && stat(paths[0], &st[0]) == 0 && stat(paths[1], &st[1]) == 0;
    if (rc == 0 && (there || (strcmp(base[0], base[1]) == 0 && stat(folder[0], &st[0]) == 0 && stat(folder[1], &st[1]) == 0))
        && st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino)
        rc = muse_fail(job->err, MUSE_ERR_ARG, "%s: can't be both the model's file and the projector file", projector);
    muse_free(folder[0]);
    muse_free(folder[1]);
    return rc;
}

/* both files are put in place when both are complete */
static int write_both(MuseJob *job, MuseGgufMeta meta[2], MusePlan plan[2], const char *projector)
{
    const MuseAllocator *a = &job->rt->alloc;
    const size_t n = projector ? 2 : 1;
    MuseWeightWriter w[2] = { { 0 }, { 0 } };
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = muse_writer_gguf(&w[i], a, i ? projector : job->out, &meta[i], &plan[i].out, job->err);
        if (rc == 0) rc = muse_plan_stream(job, &plan[i], &w[i]);
    }
    for (size_t i = n; i > 0 && rc == 0; i--) rc = written(job, &w[i - 1]);
    if (rc < 0) muse_writer_take_back(&w[1]);   /* media without their model */
    muse_writer_close(&w[1]);
    muse_writer_close(&w[0]);
    return rc;
}

static int from_folder(MuseJob *job)
{
    const MuseAllocator *a = &job->rt->alloc;
    const MuseConfig *c = &job->model->config;
    const bool media = c->image.live || c->audio.live;
    MusePlan plan[2] = { { .out = { .alloc = a } }, { .out = { .alloc = a } } };
    MuseGgufMeta meta[2] = { { .bytes = { .alloc = a } }, { .bytes = { .alloc = a } } };
    char *projector = NULL;
    int rc = muse_meta_model(job, &meta[0]);
    if (rc == 0 && !media && job->params.mmproj) rc = muse_fail(job->err, MUSE_ERR_ARG, "%s: takes text only, so there is no projector file to write", job->in);
    if (rc == 0) rc = muse_meta_vocab(job, &meta[0]);
    if (rc == 0 && media) rc = muse_meta_mmproj(job, &meta[1]);
    if (rc == 0) rc = muse_plan_by_role(job, &plan[0], &plan[1]);
    if (rc == 0 && media && !job->params.mmproj && !(projector = projector_path(job))) rc = MUSE_NOMEM(job->err, strlen(job->out) + 8);
    const char *to = job->params.mmproj ? job->params.mmproj : projector;
    if (rc == 0 && to) rc = check_projector(job, to);
    if (rc == 0) rc = write_both(job, meta, plan, to);
    muse_free(projector);
    for (size_t i = 0; i < 2; i++) {
        muse_meta_clear(&meta[i]);
        muse_plan_clear(&plan[i]);
    }
    return rc;
}

int muse_job_to_gguf(MuseJob *job) { return job->from_gguf ? requantise(job) : from_folder(job); }
