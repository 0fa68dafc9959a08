/* SPDX-License-Identifier: Apache-2.0 */
/* The public entry of the converter: arguments, the input, which way it goes. Public header: muse/convert.h. */
#include "libmuse/convert/convert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/params.h"

void muse_convert_params_init(MuseConvertParams *params) { MUSE_PARAMS_INIT(params); }

void muse_text_put(MuseText *t, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (t->rc == 0) t->rc = n >= 0 && (size_t)n < sizeof text ? muse_buf_append(&t->b, text, (size_t)n) : MUSE_ERR_LIMIT;
}

void muse_text_string(MuseText *t, const char *text, size_t n)
{
    if (t->rc == 0) t->rc = muse_json_write_string(&t->b, text, n);
}

static int find_type(MuseJob *job)
{
    const char *name = job->params.type;
    if (!name) return muse_fail(job->err, MUSE_ERR_ARG, "MuseConvertParams: a type is needed");
    for (unsigned t = 0; t < MUSE_WEIGHT_TYPES; t++)
        if (strcasecmp(name, muse_weight_type_info(t)->name) == 0) {
            job->type = t;
            return 0;
        }
    return muse_fail(job->err, MUSE_ERR_ARG, "type \"%.60s\": f32, bf16, f16, q8_0, q4_0, q4_k, q5_k, q6_k, q5_0 or q5_1", name);
}

int muse_job_check_output(const MuseJob *job, const char *path)
{
    const MuseModel *m = job->model;
    struct stat in, out;
    const bool is_there = stat(path, &out) == 0;
    for (size_t f = 0; is_there && f < m->n_files; f++)
        for (size_t i = 0; i < m->files[f].n_parts; i++)
            if (stat(m->files[f].parts[i].path, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino) return muse_fail(job->err, MUSE_ERR_ARG, "%s: is the input itself", path);
    return 0;
}

static int run(MuseJob *job)
{
    const MuseArch arch = job->model->config.arch;
    if (job->to_gguf && (arch == MUSE_ARCH_MUSE || arch == MUSE_ARCH_FUYU)) return muse_fail(job->err, MUSE_ERR_UNSUPPORTED, "%s: family %s has no GGUF form", job->in, muse_arch_name(arch));
    if (!job->to_gguf && muse_weight_type_info(job->type)->block > 1)
        return muse_fail(job->err, MUSE_ERR_UNSUPPORTED, "%s: a folder of safetensors can't hold %s (f32, bf16 or f16; a name that ends in .gguf makes a GGUF file)", job->out, muse_weight_type_info(job->type)->name);
    const int rc = muse_job_check_output(job, job->out);
    if (rc < 0) return rc;
    return job->to_gguf ? muse_job_to_gguf(job) : muse_job_to_folder(job);
}

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), n_end = strlen(end);
    return n > n_end && strcasecmp(s + n - n_end, end) == 0;
}

/* What the projector file is depends on what the input turns out to be: see muse/convert.h. */
static int open_input(MuseJob *job)
{
    MuseModelParams p;
    int rc = muse_model_open(&job->model, job->rt, job->in, NULL, job->err);
    if (rc < 0) return rc;
    job->from_gguf = job->model->files[0].format == MUSE_WEIGHTS_GGUF;
    if (!job->params.mmproj || (!job->from_gguf && job->to_gguf)) return 0;
    if (!job->from_gguf) return muse_fail(job->err, MUSE_ERR_ARG, "%s: a folder holds all tensors of a model; no projector file is written beside it", job->params.mmproj);
    if (job->to_gguf) return muse_fail(job->err, MUSE_ERR_ARG, "%s: a projector file serves the new GGUF file as it is; none is written", job->params.mmproj);
    muse_model_close(&job->model);
    muse_model_params_init(&p);
    p.mmproj = job->params.mmproj;
    return muse_model_open(&job->model, job->rt, job->in, &p, job->err);
}

int muse_convert(MuseRuntime *rt, const char *in, const char *out, const MuseConvertParams *params, MuseConvertInfo *info, MuseError *err)
{
    MUSE_REQUIRE(err, in && out && params);
    MuseJob job = { .in = in, .out = out, .err = err, .to_gguf = ends_with(out, ".gguf") };
    int rc = MUSE_PARAMS_IMPORT(&job.params, params, "MuseConvertParams", err);
    if (rc == 0) rc = find_type(&job);
    if (rc == 0 && job.params.shard_bytes && job.to_gguf) rc = muse_fail(err, MUSE_ERR_ARG, "%s: a GGUF file is written in one piece", out);
    if (rc < 0) return rc;
    job.rt = muse_runtime_ref(rt);
    if (!job.rt) return MUSE_NOMEM(err, sizeof *job.rt);
    rc = open_input(&job);
    if (rc == 0) rc = run(&job);
    if (rc == 0 && job.info.n_kept)
        muse_log(&job.rt->log, MUSE_LOG_WARN, "%s: %llu matrices are not %s, because their rows are not whole blocks of it (the log names them at level info)", out,
                 (unsigned long long)job.info.n_kept, muse_weight_type_info(job.type)->name);
    if (rc == 0 && info) {
        job.info.bytes_in = job.done;
        *info = job.info;
    }
    muse_model_close(&job.model);
    muse_runtime_close(&job.rt);
    return rc;
}
