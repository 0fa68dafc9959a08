/* SPDX-License-Identifier: Apache-2.0 */
/* See checkpoint.h. */
#include "libmuse/train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/dtype.h"
#include "base/json.h"
#include "base/outfile.h"
#include "libmuse/io/weights.h"
#include "libmuse/io/weights_write.h"

/* every file of a checkpoint; removing knows no others, so that nothing of the user's is lost */
static const char *const files[] = { "config.json", "model.safetensors", "tokenizer.json", "train.safetensors", "train.json", "document.json", "log.csv", "curve.png", "rl.json", "rl.csv" };
enum { FILES = sizeof files / sizeof *files };

static char *join(const MuseAllocator *a, const char *folder, const char *name)
{
    const size_t n = strlen(folder), m = strlen(name);
    char *path = muse_alloc(a, n + m + 2);
    if (path) snprintf(path, n + m + 2, "%s/%s", folder, name);
    return path;
}

/* "step-00000042" -> 42; anything else: false */
static bool step_of(const char *name, uint64_t *step)
{
    unsigned long long v;
    char again[40];
    if (sscanf(name, "step-%20llu", &v) != 1) return false;
    snprintf(again, sizeof again, "step-%08llu", v);
    *step = v;
    return strcmp(again, name) == 0;
}

static void remove_checkpoint(const MuseAllocator *a, const char *folder)
{
    for (size_t i = 0; i < FILES; i++) {
        char *path = join(a, folder, files[i]);
        if (path) unlink(path);
        muse_free(path);
    }
    rmdir(folder);   /* stays, with what the user put there */
}

/* an unfinished folder with all it holds: temporary files have names of their own */
static void remove_part(const MuseAllocator *a, const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir) return;
    for (const struct dirent *e; (e = readdir(dir));) {
        char *path = join(a, folder, e->d_name);
        if (path && e->d_name[0] != '.') unlink(path);
        muse_free(path);
    }
    closedir(dir);
    rmdir(folder);
}

/* false: it was removed, but for what the user put there */
static bool is_whole(int dir, uint64_t step)
{
    char path[64];
    snprintf(path, sizeof path, "step-%08" PRIu64 "/train.json", step);
    return faccessat(dir, path, F_OK, 0) == 0;
}

/* newest (or, keep > 0, the steps to remove: called until nothing is left to remove) */
static bool find_step(const char *out, uint32_t keep, uint64_t *found)
{
    DIR *dir = opendir(out);
    uint64_t newest = 0, oldest = UINT64_MAX, n = 0, step;
    if (!dir) return false;
    for (const struct dirent *e; (e = readdir(dir));) {
        if (!step_of(e->d_name, &step) || (keep && !is_whole(dirfd(dir), step))) continue;
        n++;
        if (step >= newest) newest = step;
        if (step < oldest) oldest = step;
    }
    closedir(dir);
    *found = keep ? oldest : newest;
    return keep ? n > keep : n > 0;
}

static char *step_folder(const MuseAllocator *a, const char *out, uint64_t step, const char *suffix)
{
    char name[64];
    snprintf(name, sizeof name, "step-%08" PRIu64 "%s", step, suffix);
    return join(a, out, name);
}

int muse_checkpoint_find(const MuseAllocator *a, const char *out, char **folder, MuseError *err)
{
    uint64_t step;
    *folder = NULL;
    if (!find_step(out, 0, &step)) return muse_fail(err, MUSE_ERR_NOT_FOUND, "%s: no checkpoint", out);
    *folder = step_folder(a, out, step, "");
    return *folder ? 0 : MUSE_NOMEM(err, strlen(out));
}

int muse_checkpoint_lock(const char *out, int *fd, MuseError *err)
{
    *fd = open(out, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || flock(*fd, LOCK_EX | LOCK_NB) == 0) return 0;
    const bool held = errno == EWOULDBLOCK;
    close(*fd);
    *fd = -1;
    return held ? muse_fail(err, MUSE_ERR_STATE, "%s: another run writes there, or one of this program that is not closed", out) : 0;
}

void muse_checkpoint_unlock(int *fd)
{
    if (*fd < 0) return;
    flock(*fd, LOCK_UN);   /* a process that was forked meanwhile holds the same lock */
    close(*fd);
    *fd = -1;
}

/* ---- writing ---- */

static int write_bytes(const MuseCheckpoint *c, const char *folder, const char *name, const void *data, size_t n, MuseError *err)
{
    char *path = join(c->alloc, folder, name);
    const int rc = path ? muse_file_write(path, data, n, err) : MUSE_NOMEM(err, strlen(folder));
    muse_free(path);
    return rc;
}

/* One file of f32 values, some rounded to bf16. The writer's own name for it is model.safetensors; `name` is what it becomes. */
typedef struct Saved { const char *name; uint32_t type, rank; uint64_t rows, cols; const float *values; } Saved;

static int write_values(MuseWeightWriter *w, const Saved *s, MuseError *err)
{
    const uint64_t n = s->rows * s->cols;
    MuseBf16 block[4096];
    int rc = 0;
    for (uint64_t at = 0, m; at < n && rc == 0; at += m) {
        m = n - at < 4096 ? n - at : 4096;
        for (uint64_t i = 0; s->type == MUSE_TENSOR_BF16 && i < m; i++) block[i] = muse_f32_bf16(s->values[at + i]);
        rc = s->type == MUSE_TENSOR_BF16 ? muse_writer_data(w, block, (size_t)m * 2, err) : muse_writer_data(w, s->values + at, (size_t)m * 4, err);
    }
    return rc;
}

static int write_tensors(const MuseCheckpoint *c, const char *folder, const char *name, const Saved *list, size_t n, MuseError *err)
{
    MuseTensors plan = { .alloc = c->alloc };
    MuseWeightWriter w = { 0 };
    int rc = muse_tensors_reserve(&plan, n, err);
    for (size_t i = 0; i < n && rc == 0; i++) {
        const bool flat = list[i].rank == 1;
        const MuseTensor t = { .type = list[i].type, .rank = list[i].rank, .shape = { flat ? list[i].cols : list[i].rows, flat ? 1 : list[i].cols, 1, 1 } };
        rc = muse_tensors_add(&plan, &t, list[i].name, strlen(list[i].name), err);
    }
    if (rc == 0) rc = muse_writer_safetensors(&w, c->alloc, folder, &plan, 0, err);
    for (size_t i = 0; i < n && rc == 0; i++) rc = write_values(&w, &list[i], err);
    if (rc == 0) rc = muse_writer_commit(&w, err);
    muse_writer_close(&w);
    muse_tensors_clear(&plan);
    char *from = join(c->alloc, folder, "model.safetensors"), *to = join(c->alloc, folder, name);
    if (rc == 0 && (!from || !to)) rc = MUSE_NOMEM(err, strlen(folder));
    if (rc == 0 && rename(from, to) != 0) rc = muse_fail(err, MUSE_ERR_IO, "%s: can't rename to %s: %s", from, to, strerror(errno));
    muse_free(from);
    muse_free(to);
    return rc;
}

/* linears and the token table in bf16, what is added or multiplied alone in f32. Room for layout.n; returns their number. */
static size_t plan_model(Saved *t, const MuseNet *net, const float *values)
{
    const MuseLayout *l = &net->layout;
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        const MuseParam *p = &l->items[i];
        const bool vector = p->kind == MUSE_PARAM_VECTOR, plain = vector || !net->bf16 || (net->c->image.live && (p->at == l->rows || p->at == l->cols));
        if (!p->extra) t[n++] = (Saved){ p->name, plain ? MUSE_TENSOR_F32 : MUSE_TENSOR_BF16, vector ? 1 : 2, p->rows, p->cols, values + p->at };
    }
    return n;
}

static int write_model(const MuseCheckpoint *c, const char *folder, MuseError *err)
{
    Saved *t = muse_zalloc_array(c->alloc, c->net->layout.n, sizeof *t);
    if (!t) return MUSE_NOMEM(err, c->net->layout.n * sizeof *t);
    const size_t n = plan_model(t, c->net, c->optim->ema ? c->optim->ema : c->net->master);
    const int rc = write_tensors(c, folder, "model.safetensors", t, n, err);
    muse_free(t);
    return rc;
}

int muse_checkpoint_model(MuseModel **out, MuseRuntime *rt, const MuseNet *net, const float *values, const MuseModelBytes *texts, MuseError *err)
{
    const MuseAllocator *a = &rt->alloc;
    MuseTensors tensors = { .alloc = a };
    Saved *list = muse_zalloc_array(a, net->layout.n, sizeof *list);
    uint8_t *bytes = muse_alloc_array(a, net->layout.n_model, sizeof(float)), *at = bytes;
    int rc = list && bytes ? 0 : MUSE_NOMEM(err, net->layout.n_model * sizeof(float));
    const size_t n = rc == 0 ? plan_model(list, net, values) : 0;
    *out = NULL;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const Saved *s = &list[i];
        const size_t count = s->rows * s->cols;
        MuseTensor t = { .type = s->type, .rank = s->rank, .shape = { s->rank == 1 ? s->cols : s->rows, s->rank == 1 ? 1 : s->cols, 1, 1 }, .data = at };
        rc = muse_tensor_measure(&t, s->name, strlen(s->name), err);
        if (rc == 0) rc = muse_tensors_add(&tensors, &t, s->name, strlen(s->name), err);
        if (s->type == MUSE_TENSOR_F32) memcpy(at, s->values, count * sizeof(float));
        for (size_t k = 0; s->type == MUSE_TENSOR_BF16 && k < count; k++) ((MuseBf16 *)(void *)at)[k] = muse_f32_bf16(s->values[k]);
        at += s->type == MUSE_TENSOR_BF16 ? 2 * count : 4 * count;
    }
    muse_free(list);
    MuseModelBytes b = *texts;
    b.tensors = &tensors, b.values = bytes;
    if (rc == 0) return muse_model_from_bytes(out, rt, &b, err);
    muse_tensors_clear(&tensors);
    muse_free(bytes);
    return rc;
}

static int write_arrays(const MuseCheckpoint *c, const char *folder, MuseError *err)
{
    const uint64_t n = c->net->layout.n_values;
    const Saved t[] = { { "master", MUSE_TENSOR_F32, 1, 1, n, c->net->master }, { "m", MUSE_TENSOR_F32, 1, 1, n, c->optim->m }, { "v", MUSE_TENSOR_F32, 1, 1, n, c->optim->v },
                        { "ema", MUSE_TENSOR_F32, 1, 1, n, c->optim->ema } };
    return write_tensors(c, folder, "train.safetensors", t, c->optim->ema ? 4 : 3, err);
}

/* to the disk, so that a power cut after the rename finds whole files; those of tensors are there already */
static int sync_files(const MuseCheckpoint *c, const char *folder, MuseError *err)
{
    int rc = 0;
    for (size_t i = 0; i < FILES && rc == 0; i++) {
        char *path = join(c->alloc, folder, files[i]);
        rc = !path ? MUSE_NOMEM(err, strlen(folder)) : access(path, F_OK) == 0 ? muse_sync_path(path, err) : 0;
        muse_free(path);
    }
    return rc < 0 ? rc : muse_sync_path(folder, err);
}

static int write_files(const MuseCheckpoint *c, const char *folder, MuseError *err)
{
    char text[320];
    int rc = write_arrays(c, folder, err);
    if (rc == 0) rc = write_model(c, folder, err);
    const int n = snprintf(text, sizeof text, "{\"muse_train\": 1, \"step\": %" PRIu64 ", \"number\": %" PRIu64 ", \"positions\": %" PRIu64 ", \"skipped\": %" PRIu64 ", \"rounding\": \"%s\"}\n",
                           c->state.step, c->state.number, c->state.positions, c->state.skipped, c->state.rounding);
    if (rc == 0) rc = write_bytes(c, folder, "train.json", text, (size_t)n, err);
    if (rc == 0) rc = write_bytes(c, folder, "config.json", c->config_json, c->config_bytes, err);
    if (rc == 0 && c->tokenizer_json) rc = write_bytes(c, folder, "tokenizer.json", c->tokenizer_json, c->tokenizer_bytes, err);
    if (rc == 0) rc = write_bytes(c, folder, "document.json", c->document, strlen(c->document), err);
    if (rc == 0) rc = write_bytes(c, folder, "log.csv", c->csv->data, c->csv->len, err);
    if (rc == 0 && c->rl_json) rc = write_bytes(c, folder, "rl.json", c->rl_json->data, c->rl_json->len, err);
    if (rc == 0 && c->rl_csv) rc = write_bytes(c, folder, "rl.csv", c->rl_csv->data, c->rl_csv->len, err);
    char *path = rc == 0 ? join(c->alloc, folder, "curve.png") : NULL;
    if (rc == 0) rc = path ? muse_curve_write(c->alloc, path, c->csv, err) : MUSE_NOMEM(err, strlen(folder));
    muse_free(path);
    return rc < 0 ? rc : sync_files(c, folder, err);
}

int muse_checkpoint_write(const MuseCheckpoint *c, char **folder, MuseError *err)
{
    char *making = step_folder(c->alloc, c->out, c->state.step, ".part"), *done = step_folder(c->alloc, c->out, c->state.step, "");
    int rc = making && done ? 0 : MUSE_NOMEM(err, strlen(c->out));
    if (rc == 0) remove_part(c->alloc, making);         /* of a run that was stopped while writing */
    if (rc == 0) rc = muse_folder_ready(c->alloc, making, err);
    if (rc == 0) rc = write_files(c, making, err);
    const bool whole = rc == 0;
    if (rc == 0) remove_checkpoint(c->alloc, done);     /* the same step, saved before */
    if (rc == 0 && rename(making, done) != 0) rc = muse_fail(err, MUSE_ERR_IO, "%s: can't rename to %s: %s", making, done, strerror(errno));
    if (rc == 0) rc = muse_sync_path(c->out, err);      /* before older ones go */
    uint64_t step;
    for (uint32_t i = 0; rc == 0 && i < 1000 && find_step(c->out, c->keep, &step) && step < c->state.step; i++) {
        char *old = step_folder(c->alloc, c->out, step, "");
        if (old) remove_checkpoint(c->alloc, old);
        muse_free(old);
    }
    if (!whole && making) remove_part(c->alloc, making);   /* on a full disk it would take the room that is left */
    muse_free(making);
    *folder = rc == 0 ? done : NULL;
    if (rc < 0) muse_free(done);
    return rc;
}

/* ---- reading ---- */

/* How many classes the label heads of a checkpoint with n values have; SIZE_MAX: it is of another model. Heads may have been added
 * behind them. Rows of fewer than 31 values would leave a choice, since sizes are rounded up to 32. */
static size_t classes_of(const MuseLayout *l, size_t n)
{
    const bool heads = l->n > 1 && l->items[l->n - 1].extra;
    const size_t now = heads ? l->items[l->n - 1].cols : 0, d = heads ? l->items[l->n - 2].cols : 0;
    if (n == l->n_values) return now;
    for (size_t k = 0; d >= 31 && k < now; k++)
        if ((l->n_model + k * (d + 1) + 31) / 32 * 32 == n) return k;   /* as layout.c lays them out */
    return SIZE_MAX;
}

/* Values of new label heads stay zero, as they begin. */
static int read_array(const MuseWeightFile *w, const char *name, float *to, const MuseLayout *l, size_t *classes, MuseError *err)
{
    const MuseTensor *t = muse_weights_find(w, name);
    *classes = t && t->type == MUSE_TENSOR_F32 && t->rank == 1 && t->shape[0] <= l->n_values ? classes_of(l, (size_t)t->shape[0]) : SIZE_MAX;
    if (*classes == SIZE_MAX) return muse_fail(err, MUSE_ERR_FORMAT, "\"%s\" is missing or not of %zu values: the checkpoint is of another model or other label heads", name, l->n_values);
    if (t->shape[0] == l->n_values) {
        memcpy(to, t->data, l->n_values * sizeof *to);
        return 0;
    }
    const size_t d = l->items[l->n - 2].cols, before = l->n_model + *classes * d;
    memcpy(to, t->data, before * sizeof *to);
    memcpy(to + l->labels_b, (const float *)(const void *)t->data + before, *classes * sizeof *to);
    return 0;
}

/* The average of a run that had none begins with what it has learned. */
static int read_average(const MuseWeightFile *w, const char *path, const MuseNet *net, float *ema, MuseError *err)
{
    size_t classes;
    if (muse_weights_find(w, "ema")) return read_array(w, "ema", ema, &net->layout, &classes, err);
    memcpy(ema, net->master, net->layout.n_values * sizeof *ema);
    muse_log(&net->rt->log, MUSE_LOG_WARN, "%s: has no average of the weights; \"ema\" begins with the weights themselves", path);
    return 0;
}

static int read_arrays(const char *folder, const MuseNet *net, MuseOptim *o, MuseError *err)
{
    const MuseAllocator *a = &net->rt->alloc;
    const MuseLayout *l = &net->layout;
    MuseWeightFile w = { 0 };
    size_t classes = 0;
    char *path = join(a, folder, "train.safetensors");
    if (!path) return MUSE_NOMEM(err, strlen(folder));
    int rc = muse_weights_open(&w, a, &net->rt->log, path, err);
    if (rc == 0) {
        rc = read_array(&w, "master", net->master, l, &classes, err);
        if (rc == 0) rc = read_array(&w, "m", o->m, l, &classes, err);
        if (rc == 0) rc = read_array(&w, "v", o->v, l, &classes, err);
        if (rc == 0 && o->ema) rc = read_average(&w, path, net, o->ema, err);
        if (rc < 0) muse_fail_prefix(err, rc, "%s", path);
        else if (classes_of(l, l->n_values) > classes) muse_log(&net->rt->log, MUSE_LOG_WARN, "%s: has %zu label classes of the %zu now; the others begin at zero", path, classes, classes_of(l, l->n_values));
        muse_weights_close(&w);
    }
    muse_free(path);
    return rc;
}

static int read_file(const MuseAllocator *a, const char *folder, const char *name, MuseFile *f, MuseError *err)
{
    char *path = join(a, folder, name);
    *f = (MuseFile){ .alloc = a };
    const int rc = path ? muse_file_open(f, path, UINT64_C(1) << 32, err) : MUSE_NOMEM(err, strlen(folder));
    muse_free(path);
    return rc;
}

static int read_state(const MuseAllocator *a, const char *folder, MuseTrainState *s, MuseError *err)
{
    static const char *const keys[] = { "step", "number", "positions", "skipped" };
    uint64_t *const to[] = { &s->step, &s->number, &s->positions, &s->skipped };
    MuseFile f;
    MuseJson doc = { 0 };
    int64_t version = 0;
    int rc = read_file(a, folder, "train.json", &f, err);
    if (rc < 0) return rc;   /* which says the path */
    rc = muse_json_parse(&doc, a, f.data, f.size, err);
    if (rc == 0 && (!muse_json_read_i64(muse_json_get(doc.root, "muse_train"), 0, &version) || version != 1)) rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "\"muse_train\" is not 1");
    for (int i = 0; i < 4 && rc == 0; i++) {
        int64_t v = -1;
        if (!muse_json_read_i64(muse_json_get(doc.root, keys[i]), -1, &v) || v < 0) rc = muse_fail(err, MUSE_ERR_FORMAT, "\"%s\" is not a count", keys[i]);
        *to[i] = (uint64_t)v;
    }
    const MuseJsonValue *by = rc == 0 ? muse_json_get(doc.root, "rounding") : NULL;   /* earlier versions wrote none */
    s->rounding[0] = 0;
    if (by && (by->type != MUSE_JSON_STRING || by->len >= sizeof s->rounding)) rc = muse_fail(err, MUSE_ERR_FORMAT, "\"rounding\" is not a short text");
    else if (by) snprintf(s->rounding, sizeof s->rounding, "%.*s", (int)by->len, by->u.string);
    if (rc < 0) muse_fail_prefix(err, rc, "%s/train.json", folder);
    muse_json_close(&doc);
    muse_file_close(&f);
    return rc;
}

int muse_checkpoint_read_file(const char *folder, const char *name, MuseBuf *out, MuseError *err)
{
    MuseFile f;
    int rc = read_file(out->alloc, folder, name, &f, err);
    if (rc < 0) return rc;
    if (muse_buf_append(out, f.data, f.size) < 0) rc = MUSE_NOMEM(err, f.size);
    muse_file_close(&f);
    return rc;
}

int muse_checkpoint_read(const char *folder, const MuseNet *net, MuseOptim *optim, MuseTrainState *state, MuseBuf *csv, char **document, MuseError *err)
{
    const MuseAllocator *a = &net->rt->alloc;
    MuseFile f;
    *document = NULL;
    int rc = read_state(a, folder, state, err);
    if (rc == 0) rc = read_arrays(folder, net, optim, err);
    csv->len = 0;
    if (rc == 0) rc = muse_checkpoint_read_file(folder, "log.csv", csv, err);
    if (rc == 0) rc = read_file(a, folder, "document.json", &f, err);
    if (rc < 0) return rc;
    *document = muse_zalloc(a, f.size + 1);
    if (*document && f.size) memcpy(*document, f.data, f.size);
    muse_file_close(&f);
    return *document ? 0 : MUSE_NOMEM(err, 1);
}

static int load_values(const MuseTensor *t, const MuseParam *p, float *to, MuseError *err)
{
    const size_t n = p->rows * p->cols;
    uint64_t have;
    const bool fits = t && muse_tensor_values(t, &have) && have == n && (p->kind == MUSE_PARAM_VECTOR || (t->rank == 2 && t->shape[0] == p->rows));
    if (!fits) return muse_fail(err, MUSE_ERR_FORMAT, "tensor %s is missing or not [%zu, %zu]", p->name, p->rows, p->cols);
    for (size_t i = 0; i < n; i++) {
        uint32_t w = 0;
        memcpy(&w, t->data + i * (t->bytes / n), (size_t)(t->bytes / n));
        if (t->type == MUSE_TENSOR_F32) to[i] = muse_bits_f32(w);
        else if (t->type == MUSE_TENSOR_BF16) to[i] = muse_bf16_f32((MuseBf16)w);
        else if (t->type == MUSE_TENSOR_F16) to[i] = muse_f16_f32((MuseF16)w);
        else return muse_fail(err, MUSE_ERR_UNSUPPORTED, "tensor %s is neither F32 nor F16 nor BF16", p->name);
    }
    return 0;
}

int muse_checkpoint_read_model(const char *folder, const MuseNet *net, MuseError *err)
{
    MuseWeightFile w = { 0 };
    int rc = muse_weights_open(&w, &net->rt->alloc, &net->rt->log, folder, err);
    if (rc < 0) return rc;
    for (size_t i = 0; i < net->layout.n && rc == 0; i++) {
        const MuseParam *p = &net->layout.items[i];
        if (!p->extra) rc = load_values(muse_weights_find(&w, p->name), p, net->master + p->at, err);
    }
    if (rc < 0) muse_fail_prefix(err, rc, "%s", folder);
    muse_weights_close(&w);
    return rc;
}
