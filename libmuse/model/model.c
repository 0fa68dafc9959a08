/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model: files, configuration, binding, family. Runs nothing. */
#include "libmuse/model/model.h"

#include <string.h>

#include "base/params.h"

/* what a configuration file may hold; published ones have a few KB */
static const uint64_t config_bytes_max = UINT64_C(1) << 24;

void muse_model_params_init(MuseModelParams *params) { MUSE_PARAMS_INIT(params); }

typedef int ReadConfig(MuseModel *m, const void *bytes, size_t size, MuseError *err);

static int read_main(MuseModel *m, const void *bytes, size_t size, MuseError *err) { return muse_config_from_json(&m->config, &m->rt->alloc, &m->rt->log, bytes, size, err); }
static int read_generation(MuseModel *m, const void *bytes, size_t size, MuseError *err) { return muse_config_add_generation(&m->config, &m->rt->alloc, bytes, size, err); }
static int read_processor(MuseModel *m, const void *bytes, size_t size, MuseError *err) { return muse_config_add_processor(&m->config, &m->rt->alloc, bytes, size, err); }

static int read_calibration(MuseModel *m, const void *bytes, size_t size, MuseError *err)
{
    const int rc = muse_calibration_read(&m->calibration, &m->rt->alloc, bytes, size, err);
    return rc < 0 ? muse_fail_prefix(err, rc, "calibration.json") : 0;
}

static int read_beside(MuseModel *m, const char *name, bool needed, ReadConfig *read, MuseError *err)
{
    char *path = muse_path_beside(&m->rt->alloc, m->path, name);
    MuseFile file = { 0 };
    int rc = 0;
    if (!path) return MUSE_NOMEM(err, strlen(m->path) + strlen(name) + 2);
    if (needed || muse_path_exists(path)) {
        rc = muse_file_open(&file, path, config_bytes_max, err);
        if (rc == 0 && (rc = read(m, file.data, file.size, err)) < 0) rc = muse_fail_prefix(err, rc, "%s", m->path);
        muse_file_close(&file);
    }
    muse_free(path);
    return rc;
}

static int read_folder(MuseModel *m, MuseError *err)
{
    int rc = read_beside(m, "config.json", true, read_main, err);
    if (rc == 0) rc = read_beside(m, "generation_config.json", false, read_generation, err);
    if (rc == 0) rc = read_beside(m, "processor_config.json", false, read_processor, err);
    return rc < 0 ? rc : read_beside(m, "calibration.json", false, read_calibration, err);
}

static int add_mmproj(MuseModel *m, const char *path, MuseError *err)
{
    int rc = muse_weights_open(&m->files[1], &m->rt->alloc, &m->rt->log, path, err);
    if (rc < 0) return rc;
    m->n_files = 2;
    if (m->files[1].format != MUSE_WEIGHTS_GGUF) rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "%s: not a GGUF projector file", path);
    else if ((rc = muse_config_add_mmproj(&m->config, &m->files[1].gguf, err)) < 0) rc = muse_fail_prefix(err, rc, "%s", path);
    return rc;
}

static int bind(MuseModel *m, MuseError *err)
{
    const int rc = muse_weights_bind(&m->weights, &m->config, &m->rt->alloc, &m->rt->log, &m->files[0], m->n_files > 1 ? &m->files[1] : NULL, err);
    if (rc < 0) return muse_fail_prefix(err, rc, "%s", m->path);
    muse_family_from_config(&m->family, &m->config);
    return 0;
}

/* path is a config.json */
static int load_config(MuseModel *m, const MuseModelParams *p, MuseError *err)
{
    MuseFile file = { 0 };
    if (p->mmproj) return muse_fail(err, MUSE_ERR_ARG, "%s: a configuration takes no projector file", m->path);
    int rc = muse_file_open(&file, m->path, config_bytes_max, err);
    if (rc == 0 && (rc = read_main(m, file.data, file.size, err)) < 0) rc = muse_fail_prefix(err, rc, "%s", m->path);
    muse_file_close(&file);
    if (rc == 0 && (rc = muse_model_draw(m, p->weights == MUSE_WEIGHTS_NONE, err)) < 0) rc = muse_fail_prefix(err, rc, "%s", m->path);
    return rc == 0 ? bind(m, err) : rc;
}

static int load(MuseModel *m, const MuseModelParams *p, MuseError *err)
{
    if (p->weights) return load_config(m, p, err);
    int rc = muse_weights_open(&m->files[0], &m->rt->alloc, &m->rt->log, m->path, err);
    if (rc < 0) return rc;
    m->n_files = 1;
    if (m->files[0].format == MUSE_WEIGHTS_GGUF) {
        rc = muse_config_from_gguf(&m->config, &m->rt->alloc, &m->rt->log, &m->files[0].gguf, err);
        if (rc < 0) return muse_fail_prefix(err, rc, "%s", m->path);
        if (p->mmproj) rc = add_mmproj(m, p->mmproj, err);
    } else if (p->mmproj) {
        rc = muse_fail(err, MUSE_ERR_ARG, "%s: a projector file (%s) goes with a GGUF text model only", m->path, p->mmproj);
    } else {
        rc = read_folder(m, err);
    }
    if (rc < 0) return rc;
    if ((rc = bind(m, err)) < 0) return rc;
    muse_log(&m->rt->log, MUSE_LOG_INFO, "%s: family %s, %u layers of width %u, %.3f billion parameters, pictures %s, sound %s", m->path, muse_arch_name(m->config.arch),
             m->config.n_layers, m->config.width, (double)m->weights.n_parameters / 1e9, m->config.image.live ? "yes" : "no", m->config.audio.live ? "yes" : "no");
    return 0;
}

/* one reference, no contents; NULL: no memory */
static MuseModel *new_model(MuseRuntime *rt, const char *path, MuseError *err)
{
    MuseRuntime *held = muse_runtime_ref(rt);
    MuseModel *m = held ? muse_zalloc(&held->alloc, sizeof *m) : NULL;
    if (!m) {
        muse_runtime_close(&held);
        MUSE_NOMEM(err, sizeof *m);
        return NULL;
    }
    m->rt = held;
    m->tokenizer_json.alloc = &held->alloc;
    atomic_init(&m->refs, 1);
    pthread_mutex_init(&m->lock, NULL);
    const size_t n = strlen(path) + 1;
    m->path = muse_alloc(&held->alloc, n);
    if (m->path) memcpy(m->path, path, n);
    else muse_model_close(&m);
    if (!m) MUSE_NOMEM(err, n);
    return m;
}

int muse_model_from_bytes(MuseModel **out, MuseRuntime *rt, MuseModelBytes *b, MuseError *err)
{
    MuseModel *m = *out = new_model(rt, b->name, err);
    if (!m) {
        muse_tensors_clear(b->tensors);
        muse_free(b->values);
        return MUSE_ERR_NOMEM;
    }
    m->files[0] = (MuseWeightFile){ .alloc = &m->rt->alloc, .format = MUSE_WEIGHTS_SAFETENSORS, .tensors = *b->tensors };
    m->n_files = 1;
    m->values = b->values;
    m->in_memory = true;
    *b->tensors = (MuseTensors){ 0 };
    int rc = read_main(m, b->config, b->config_bytes, err);
    if (rc == 0) rc = muse_tensors_sort(&m->files[0].tensors, err);
    if (rc == 0) rc = bind(m, err);
    if (rc == 0 && b->tokenizer && muse_buf_append(&m->tokenizer_json, b->tokenizer, b->tokenizer_bytes) < 0) rc = MUSE_NOMEM(err, b->tokenizer_bytes);
    if (rc < 0) muse_model_close(out);
    return rc;
}

int muse_model_open(MuseModel **out, MuseRuntime *rt, const char *path, const MuseModelParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, path);
    MuseModelParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseModelParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, p.weights <= MUSE_WEIGHTS_NONE);
    MuseModel *m = new_model(rt, path, err);
    if (!m) return MUSE_ERR_NOMEM;
    rc = load(m, &p, err);
    if (rc < 0) {
        muse_model_close(&m);
        return rc;
    }
    *out = m;
    return 0;
}

MuseModel *muse_model_ref(MuseModel *model)
{
    if (model) atomic_fetch_add_explicit(&model->refs, 1, memory_order_relaxed);
    return model;
}

void muse_model_close(MuseModel **model)
{
    if (!model || !*model) return;
    MuseModel *m = *model;
    *model = NULL;
    if (atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < sizeof m->decoders / sizeof *m->decoders; i++)
        if (m->decoders[i]) m->close_decoder(m->decoders[i]);
    muse_text_close(&m->tokenizer);
    muse_weights_clear(&m->weights);
    muse_config_clear(&m->config);
    muse_free(m->calibration.rows);
    muse_weights_close(&m->files[1]);
    muse_weights_close(&m->files[0]);
    muse_buf_clear(&m->tokenizer_json);
    muse_free(m->values);
    muse_free(m->path);
    pthread_mutex_destroy(&m->lock);
    MuseRuntime *rt = m->rt;
    muse_free(m);
    muse_runtime_close(&rt);
}

const MuseFamily *muse_model_family(const MuseModel *model) { return model ? &model->family : NULL; }

int muse_model_open_tokenizer(const MuseModel *model, MuseTextTokenizer **out, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, model);
    int rc;
    if (model->files[0].format == MUSE_WEIGHTS_GGUF) {
        const MuseFile *file = &model->files[0].parts[0].file;
        rc = muse_text_open_memory(out, model->rt, file->data, file->size, err);
        if (rc < 0) return muse_fail_prefix(err, rc, "%s", model->path);
    } else if (model->in_memory) {
        if (!model->tokenizer_json.len) return muse_fail(err, MUSE_ERR_NOT_FOUND, "%s: has no tokenizer", model->path);
        rc = muse_text_open_memory(out, model->rt, model->tokenizer_json.data, model->tokenizer_json.len, err);
        if (rc < 0) return muse_fail_prefix(err, rc, "%s", model->path);
    } else {
        char *path = muse_path_beside(&model->rt->alloc, model->path, "tokenizer.json");
        if (!path) return MUSE_NOMEM(err, strlen(model->path) + 16);
        rc = muse_text_open_file(out, model->rt, path, err);
        muse_free(path);
        if (rc < 0) return rc;
    }
    MuseTextInfo info;
    muse_text_info(*out, &info);
    if (info.vocab_size <= model->config.vocab) return 0;
    muse_text_close(out);
    return muse_fail(err, MUSE_ERR_FORMAT, "%s: the tokenizer has %u tokens, but the model %u", model->path, info.vocab_size, model->config.vocab);
}

int muse_model_tokenizer(MuseModel *model, const MuseTextTokenizer **out, MuseError *err)
{
    pthread_mutex_lock(&model->lock);
    const int rc = model->tokenizer ? 0 : muse_model_open_tokenizer(model, &model->tokenizer, err);
    *out = model->tokenizer;
    pthread_mutex_unlock(&model->lock);
    return rc;
}
