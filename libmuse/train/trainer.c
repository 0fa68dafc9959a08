/* SPDX-License-Identifier: Apache-2.0 */
/* The public trainer: opens what a document names, does steps, saves. The network is net.c, the optimiser optim.c, data data.c. */
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/outfile.h"
#include "base/params.h"
#include "libmuse/io/weights.h"
#include "libmuse/model/model.h"
#include "libmuse/train/checkpoint.h"
#include "libmuse/train/rl.h"

struct MuseTrainer {
    MuseRuntime *rt;
    MuseTrainConfig config;
    MuseBatchRules rules;
    MuseNet   net;
    MuseOptim optim;
    MuseTextTokenizer *tokenizer;
    MuseFile  tokenizer_file;
    MuseData *data;
    MuseTrainSource source;
    MuseTrainLoader *loader;
    MuseTrainBatch *batches;          /* micro-batches of the step */
    size_t n_batches, cap_batches;
    MuseTaskSums last[MUSE_TASKS_MAX], step_tasks[MUSE_TASKS_MAX];
    uint64_t task_tokens[MUSE_TASKS_MAX];
    MuseTrainState state;
    uint64_t limit, saved_at;    /* stop after; step of the newest checkpoint, UINT64_MAX: none */
    MuseBuf  csv;
    char    *out, *folder;
    int      lock;               /* of out; -1: none */
    MuseRl   rl;
    bool     has_net, has_optim, has_rl, failed, told_long;
};

void muse_trainer_params_init(MuseTrainerParams *params) { MUSE_PARAMS_INIT(params); }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What a run writes and reads again has a point in its numbers, whatever the program's locale writes: around each public call. */
typedef struct Plain { locale_t plain, own; } Plain;

static Plain plain_begin(void)
{
    Plain p = { .plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0) };
    if (p.plain) p.own = uselocale(p.plain);
    return p;
}

static int plain_end(Plain p, int rc)
{
    if (p.plain) {
        uselocale(p.own);
        freelocale(p.plain);
    }
    return rc;
}

void muse_trainer_close(MuseTrainer **trainer)
{
    if (!trainer || !*trainer) return;
    MuseTrainer *t = *trainer;
    *trainer = NULL;
    muse_train_loader_close(&t->loader);
    muse_data_close(&t->data);
    if (t->has_rl) muse_rl_close(&t->rl);
    for (size_t i = 0; i < t->cap_batches; i++) muse_batch_clear(&t->batches[i]);
    muse_free(t->batches);
    if (t->has_optim) muse_optim_close(&t->optim, &t->net);
    if (t->has_net) muse_net_close(&t->net);
    muse_text_close(&t->tokenizer);
    muse_file_close(&t->tokenizer_file);
    muse_train_config_clear(&t->config);
    muse_buf_clear(&t->csv);
    muse_checkpoint_unlock(&t->lock);
    muse_free(t->out);
    muse_free(t->folder);
    MuseRuntime *rt = t->rt;
    muse_free(t);
    muse_runtime_close(&rt);
}

/* ---- opening ---- */

/* "model" is a folder: its config.json is the model's, its weights the start */
static int read_start_config(MuseTrainer *t, MuseError *err)
{
    const MuseAllocator *a = &t->rt->alloc;
    MuseFile f = { .alloc = a };
    char *path = muse_train_path(a, t->config.start, "config.json", 11);
    if (!path) return MUSE_NOMEM(err, strlen(t->config.start));
    int rc = muse_file_open(&f, path, 1 << 24, err);
    t->config.model_json.alloc = a;
    if (rc == 0 && muse_buf_append(&t->config.model_json, f.data, f.size) < 0) rc = MUSE_NOMEM(err, f.size);
    if (rc == 0 && (rc = muse_config_from_json(&t->config.model, a, &t->rt->log, f.data, f.size, err)) < 0) muse_fail_prefix(err, rc, "%s", path);
    if (rc == 0 && t->config.model.arch != MUSE_ARCH_MUSE) rc = muse_fail(err, MUSE_ERR_UNSUPPORTED, "%s: not of family muse, the only one that is trained", path);
    t->config.has_model = rc == 0;
    muse_file_close(&f);
    muse_free(path);
    return rc < 0 ? rc : muse_train_config_check(&t->config, err);
}

/* What lines begin and end with is what the model's configuration says, or answers would not end where the trained model writes them. */
static int check_ids(const MuseTrainer *t, const char *path, MuseError *err)
{
    const MuseConfig *c = &t->config.model;
    const int32_t bos = muse_text_find(t->tokenizer, "<bos>", 5), eos = muse_text_find(t->tokenizer, "<eos>", 5);
    bool ends = eos < 0 || c->eos.n == 0;
    for (uint32_t i = 0; i < c->eos.n; i++) ends = ends || c->eos.ids[i] == eos;
    if (!ends) return muse_fail(err, MUSE_ERR_FORMAT, "%s: <eos> has number %d, \"eos_token_id\" of the model is %d", path, eos, c->eos.ids[0]);
    if (bos >= 0 && c->bos >= 0 && bos != c->bos) return muse_fail(err, MUSE_ERR_FORMAT, "%s: <bos> has number %d, \"bos_token_id\" of the model is %d", path, bos, c->bos);
    return 0;
}

static int open_tokenizer(MuseTrainer *t, MuseError *err)
{
    const MuseAllocator *a = &t->rt->alloc;
    char *path = NULL;
    if (t->config.tokenizer) path = muse_train_path(a, NULL, t->config.tokenizer, strlen(t->config.tokenizer));
    else if (t->config.start) path = muse_train_path(a, t->config.start, "tokenizer.json", 14);
    if (!path) return t->config.tokenizer || t->config.start ? MUSE_NOMEM(err, 1) : 0;
    int rc = 0;
    t->tokenizer_file.alloc = a;
    if (t->config.tokenizer || muse_path_exists(path)) {
        rc = muse_file_open(&t->tokenizer_file, path, UINT64_C(1) << 31, err);
        if (rc == 0 && (rc = muse_text_open_memory(&t->tokenizer, t->rt, t->tokenizer_file.data, t->tokenizer_file.size, err)) < 0) muse_fail_prefix(err, rc, "%s", path);
    }
    MuseTextInfo info;
    if (rc == 0 && t->tokenizer && muse_text_info(t->tokenizer, &info) == 0 && info.vocab_size > t->config.model.vocab)
        rc = muse_fail(err, MUSE_ERR_FORMAT, "%s: %u tokens, but the model has %u", path, info.vocab_size, t->config.model.vocab);
    if (rc == 0 && t->tokenizer) rc = check_ids(t, path, err);
    muse_free(path);
    return rc;
}

static void make_rules(MuseTrainer *t)
{
    const MuseTrainConfig *c = &t->config;
    MuseFamily family;
    muse_family_from_config(&family, &c->model);
    t->rules = (MuseBatchRules){ .config = &c->model, .scale = family.image.scale, .offset = family.image.offset, .n_tasks = c->n_tasks, .n_groups = c->n_groups,
                                 .n_heads = c->n_heads, .gaze = c->gaze_weight > 0 };
    memcpy(t->rules.classes, c->classes, sizeof t->rules.classes);
    if (c->place_sigma <= 0) return;
    t->rules.place_first = c->place_first, t->rules.place_count = c->place_count;
    t->rules.radius = (uint32_t)ceil(3 * c->place_sigma);
    if (t->rules.radius > MUSE_SOFT_RADIUS_MAX) t->rules.radius = MUSE_SOFT_RADIUS_MAX;
    for (uint32_t i = 0; i <= 2 * t->rules.radius; i++) {
        const double x = ((double)i - t->rules.radius) / c->place_sigma;
        t->rules.bell[i] = (float)exp(-0.5 * x * x);
    }
}

static int open_net(MuseTrainer *t, MuseError *err)
{
    const MuseTrainConfig *c = &t->config;
    bool bf16 = c->compute == 2;
    for (uint32_t n = 1; n < c->model.n_layers; n++)   /* one table of angles serves all layers; the family's configuration has them all alike */
        if (c->model.layers[n].head_width != c->model.layers[0].head_width) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "layers of different head widths");
    if (c->compute == 0) {
        MuseGemm *probe;
        const int rc = muse_gemm_open(&probe, t->rt, err);
        if (rc < 0) return rc;
        bf16 = muse_gemm_has_bf16(probe);
        muse_gemm_close(&probe);
    }
    int rc = muse_net_open(&t->net, t->rt, &c->model, &t->rules, bf16, c->positions, err);
    if (rc < 0) return rc;
    t->has_net = true;
    t->net.tap = c->tap, t->net.gaze_layer = c->gaze_layer, t->net.gaze_head = c->gaze_head;
    rc = muse_optim_open(&t->optim, &t->net, &c->optim, err);
    if (rc < 0) return rc;
    t->has_optim = true;
    muse_log(&t->rt->log, MUSE_LOG_INFO, "training in %s, %u threads, %zu parameters", bf16 ? "bf16" : "f32", t->rt->team.threads, t->net.layout.n_model);
    return 0;
}

/* the line of the log that names its columns, one a task */
static int begin_csv(MuseTrainer *t, MuseError *err)
{
    static const char columns[] = "step,positions,loss,text_loss,label_loss,gaze_loss,accuracy,grad_norm,rate,seconds", trial[] = ",reward,right,tokens,thinks";
    int rc = muse_buf_append(&t->csv, columns, sizeof columns - 1);
    for (uint32_t i = 0; i < t->config.n_tasks && rc == 0; i++) {
        char name[80];
        size_t n = (size_t)snprintf(name, sizeof name, ",task %s", t->config.tasks[i]);
        for (size_t k = 1; k < n; k++) name[k] = name[k] == ',' || name[k] == '"' || (unsigned char)name[k] < ' ' ? '_' : name[k];
        rc = muse_buf_append(&t->csv, name, n);
    }
    if (rc == 0 && t->config.rl.stage) rc = muse_buf_append(&t->csv, trial, sizeof trial - 1);
    if (rc == 0) rc = muse_buf_append(&t->csv, "\n", 1);
    return rc < 0 ? MUSE_NOMEM(err, t->csv.len) : 0;
}

/* columns of the last line that names them, if other tasks were added since, are named anew */
static int resume_csv(MuseTrainer *t, MuseError *err)
{
    const size_t n = t->csv.len;
    const char *all = (const char *)t->csv.data;
    size_t at = n;
    for (size_t i = 0; i + 5 <= n; i++)
        if ((i == 0 || all[i - 1] == '\n') && memcmp(all + i, "step,", 5) == 0) at = i;
    int rc = begin_csv(t, err);
    all = (const char *)t->csv.data;
    if (rc == 0 && at < n && n - at >= t->csv.len - n && memcmp(all + at, all + n, t->csv.len - n) == 0) t->csv.len = n;
    return rc;
}

/* Moments of one optimiser are nothing to another: Muon's of a matrix has no second one, so Adam's first steps would be a hundred times too long. */
static int same_optimizer(const MuseTrainer *t, const char *document, MuseError *err)
{
    static const char *const names[] = { "adamw", "muon" };
    MuseJson doc = { 0 };
    const int rc = muse_json_parse(&doc, &t->rt->alloc, document, strlen(document), err);
    const bool muon = rc == 0 && !muse_json_equal(muse_json_get(muse_json_get(doc.root, "optimizer"), "name"), "adamw");
    muse_json_close(&doc);
    if (rc < 0) return muse_fail_prefix(err, rc, "%s/document.json", t->folder);
    if (muon == t->config.optim.muon) return 0;
    return muse_fail(err, MUSE_ERR_FORMAT, "%s was trained by \"%s\", the document has \"%s\": another optimizer begins anew, with this folder as its \"model\"", t->folder, names[muon], names[!muon]);
}

static void tell_rounding(const MuseTrainer *t, char *to, size_t cap)
{
    MuseRuntimeInfo info;
    muse_runtime_info(t->rt, &info);
    snprintf(to, cap, "%s, %s, threads: %u", t->net.bf16 ? "bf16" : "f32", info.cpu_level_name, info.threads);
}

static int resume(MuseTrainer *t, MuseError *err)
{
    char own[sizeof t->state.rounding];
    char *document = NULL;
    if (!t->out) return muse_fail(err, MUSE_ERR_ARG, "nothing to resume: the run has no \"out\"");
    int rc = muse_checkpoint_find(&t->rt->alloc, t->out, &t->folder, err);
    if (rc == 0) rc = muse_checkpoint_read(t->folder, &t->net, &t->optim, &t->state, &t->csv, &document, err);
    if (rc == 0) rc = same_optimizer(t, document, err);
    if (rc == 0 && strcmp(document, t->config.json) != 0)
        muse_log(&t->rt->log, MUSE_LOG_WARN, "%s: the training document has changed since; the run goes on under the new one", t->folder);
    tell_rounding(t, own, sizeof own);
    if (rc == 0 && t->state.rounding[0] && strcmp(t->state.rounding, own) != 0)
        muse_log(&t->rt->log, MUSE_LOG_WARN, "%s was computed by other roundings (%s) than this run is (%s): it goes on, but not bit for bit as without a stop", t->folder, t->state.rounding, own);
    memcpy(t->state.rounding, own, sizeof own);
    if (rc == 0) t->saved_at = t->state.step;
    if (rc == 0) rc = resume_csv(t, err);
    muse_free(document);
    return rc;
}

static int refuse_used(const MuseTrainer *t, MuseError *err)
{
    char *found;
    if (muse_checkpoint_find(&t->rt->alloc, t->out, &found, NULL) < 0) return 0;
    const int rc = muse_fail(err, MUSE_ERR_STATE, "%s: there is a checkpoint already: resume it, or choose another folder", found);
    muse_free(found);
    return rc;
}

static int begin_weights(MuseTrainer *t, const MuseTrainerParams *p, MuseError *err)
{
    int rc;
    t->csv.alloc = &t->rt->alloc;
    tell_rounding(t, t->state.rounding, sizeof t->state.rounding);
    if (p->resume) {
        rc = resume(t, err);
    } else {
        if (t->out && (rc = refuse_used(t, err)) < 0) return rc;
        muse_layout_begin(&t->net.layout, &t->config.model, t->config.seed, t->net.master);
        if (!t->config.start) muse_share_begin(&t->config.shared, &t->net.layout, &t->config.model, t->config.seed, t->net.master);
        rc = t->config.start ? muse_checkpoint_read_model(t->config.start, &t->net, err) : 0;
        muse_share_put(&t->config.shared, &t->net.layout, &t->config.model, t->net.master);
        if (rc == 0) rc = begin_csv(t, err);
    }
    if (rc == 0) muse_net_refresh(&t->net);
    return rc;
}

static int open_data(MuseTrainer *t, const MuseTrainerParams *p, MuseError *err)
{
    int rc = 0;
    if (t->config.rl.stage && t->config.rl.supervised == 0) return 0;   /* rollouts are all there is */
    if (p->source) {
        MUSE_REQUIRE(err, p->source->struct_size >= sizeof(MuseTrainSource) && p->source->make);
        t->source = *p->source;
    } else {
        rc = muse_data_open(&t->data, t->rt, &t->config, &t->config.model, t->tokenizer, err);
        if (rc == 0) t->source = muse_data_source(t->data);
    }
    if (rc < 0) return rc;
    return muse_train_loader_open(&t->loader, &t->rt->alloc, &t->source, t->config.loaders, 2 * (size_t)t->config.samples, t->state.number, err);
}

static int open_rl(MuseTrainer *t, const MuseTrainerParams *p, MuseError *err)
{
    MuseBuf json = { .alloc = &t->rt->alloc };
    if (!t->config.rl.stage) return 0;
    t->has_rl = true;
    int rc = muse_rl_open(&t->rl, t->rt, &t->config, t->tokenizer, p->prompts, err);
    if (rc < 0 || !p->resume) return rc;
    rc = muse_checkpoint_read_file(t->folder, "rl.json", &json, err);
    if (rc == 0 && (rc = muse_rl_read(&t->rl, json.data, json.len, err)) < 0) muse_fail_prefix(err, rc, "%s/rl.json", t->folder);
    t->rl.csv.len = 0;
    if (rc == 0) rc = muse_checkpoint_read_file(t->folder, "rl.csv", &t->rl.csv, err);
    muse_buf_clear(&json);
    return rc;
}

/* last: a run that can't be opened leaves no folder. What is there is looked at again under the lock: another run may have ended meanwhile. */
static int hold_folder(MuseTrainer *t, bool resumes, MuseError *err)
{
    char *newest = NULL;
    int rc = muse_folder_ready(&t->rt->alloc, t->out, err);
    if (rc == 0) rc = muse_checkpoint_lock(t->out, &t->lock, err);
    if (rc < 0 || !resumes) return rc < 0 ? rc : refuse_used(t, err);
    rc = muse_checkpoint_find(&t->rt->alloc, t->out, &newest, err);
    if (rc == 0 && strcmp(newest, t->folder) != 0) rc = muse_fail(err, MUSE_ERR_STATE, "%s: another run has written it meanwhile: resume again", newest);
    muse_free(newest);
    return rc;
}

static int open_all(MuseTrainer *t, const char *json, size_t size, const MuseTrainerParams *p, MuseError *err)
{
    const MuseAllocator *a = &t->rt->alloc;
    int rc = muse_train_config_read(&t->config, a, &t->rt->log, json, size, p->folder, err);
    if (rc < 0) return rc;
    const char *out = p->out ? p->out : t->config.out;
    if (out && !(t->out = muse_train_path(a, NULL, out, strlen(out)))) return MUSE_NOMEM(err, strlen(out));
    if (t->config.start && (rc = read_start_config(t, err)) < 0) return rc;
    if ((rc = open_tokenizer(t, err)) < 0) return rc;
    make_rules(t);
    if ((rc = open_net(t, err)) < 0) return rc;
    if ((rc = begin_weights(t, p, err)) < 0) return rc;
    t->limit = p->steps && p->steps < t->config.optim.steps ? p->steps : t->config.optim.steps;
    rc = open_data(t, p, err);
    if (rc == 0) rc = open_rl(t, p, err);
    return rc == 0 && t->out ? hold_folder(t, p->resume, err) : rc;
}

int muse_trainer_open(MuseTrainer **out, MuseRuntime *rt, const char *json, size_t size, const MuseTrainerParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, json);
    MuseTrainerParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseTrainerParams", err);
    if (rc < 0) return rc;
    MuseRuntime *held = muse_runtime_ref(rt);
    MuseTrainer *t = held ? muse_zalloc(&held->alloc, sizeof *t) : NULL;
    if (!t) {
        muse_runtime_close(&held);
        return MUSE_NOMEM(err, sizeof *t);
    }
    t->rt = held;
    t->saved_at = UINT64_MAX;
    t->lock = -1;
    const Plain plain = plain_begin();
    rc = plain_end(plain, open_all(t, json, size, &p, err));
    if (rc < 0) muse_trainer_close(&t);
    *out = t;
    return rc;
}

/* ---- a step ---- */

static MuseTrainBatch *next_batch(MuseTrainer *t, MuseError *err)
{
    if (t->n_batches == t->cap_batches) {
        MuseTrainBatch *more = muse_realloc_array(&t->rt->alloc, t->batches, t->cap_batches + 1, sizeof *more);
        if (!more) {
            MUSE_NOMEM(err, (t->cap_batches + 1) * sizeof *more);
            return NULL;
        }
        t->batches = more;
        more[t->cap_batches++] = (MuseTrainBatch){ .alloc = &t->rt->alloc };
    }
    muse_batch_reset(&t->batches[t->n_batches]);
    return &t->batches[t->n_batches++];
}

/* A conversation that no session of the model can hold is learned all the same, since positions are angles; but hardly meant. */
static void tell_long(MuseTrainer *t, const MuseTrainSample *s)
{
    size_t prefix = 0, longest = 0;
    for (size_t i = 0; i < s->n_prefix; i++) prefix += s->prefix[i].n;   /* muse_sample_rows() has checked the sums */
    for (size_t b = 0; b < s->n_branches; b++) {
        size_t n = prefix;
        for (size_t i = 0; i < s->branches[b].n_parts; i++) n += s->branches[b].parts[i].n;
        longest = n > longest ? n : longest;
    }
    if (t->told_long || longest <= t->config.model.context) return;
    t->told_long = true;
    muse_log(&t->rt->log, MUSE_LOG_WARN, "a sample has %zu positions in one conversation, the model (\"max_position_embeddings\") %u: it is learned, but can't be asked; said once", longest,
             t->config.model.context);
}

static int add_sample(MuseTrainer *t, const MuseBatchRules *rules, const MuseTrainSample *s, MuseError *err)
{
    size_t rows = 0;
    if (!muse_sample_rows(s, &rows) || rows > t->config.positions)
        return muse_fail(err, MUSE_ERR_LIMIT, "a sample of %zu positions; \"batch\" allows %u", rows, t->config.positions);
    tell_long(t, s);
    MuseTrainBatch *b = t->n_batches ? &t->batches[t->n_batches - 1] : NULL;
    if (!b || b->n + rows > t->config.positions) b = next_batch(t, err);
    return b ? muse_batch_add(b, rules, s, err) : MUSE_ERR_NOMEM;
}

/* The sample that was handed out last is refused with rc: 0, said in the log, where its source may have broken ones. */
static int leave_out(MuseTrainer *t, int rc, MuseError *err)
{
    const uint64_t number = muse_train_loader_number(t->loader) - 1;
    char name[300];
    bool skips = false;
    snprintf(name, sizeof name, "sample %" PRIu64, number);
    if (t->data && muse_data_where(t->data, number, name, sizeof name, &skips, NULL) < 0) rc = MUSE_ERR_NOMEM;
    if (rc == MUSE_ERR_NOMEM || !skips) return muse_fail_prefix(err, rc, "%s", name);
    t->state.skipped++;
    muse_log(&t->rt->log, MUSE_LOG_WARN, "left out: %s: %s", name, err ? err->text : "");
    return t->state.skipped > 1000000 ? muse_fail(err, MUSE_ERR_FORMAT, "over a million samples were left out") : 0;
}

static int model_of(const MuseTrainer *t, MuseRuntime *rt, const float *values, MuseModel **out, MuseError *err)
{
    const MuseModelBytes texts = { .name = "the model in training", .config = t->config.model_json.data, .config_bytes = t->config.model_json.len,
                                   .tokenizer = t->tokenizer_file.data, .tokenizer_bytes = t->tokenizer_file.size };
    return muse_checkpoint_model(out, rt, &t->net, values, &texts, err);
}

static int take_rollouts(void *user, const MuseTrainSample *s, MuseError *err)
{
    MuseTrainer *t = user;
    return add_sample(t, &t->rules, s, err);
}

/* Measures if it is time, and (roll) has the step's rollouts made. The weights are the master's, not their average: what is learned
 * from must be what wrote. */
static int try_out(MuseTrainer *t, bool roll, MuseError *err)
{
    const bool due = muse_rl_due(&t->rl, t->state.step, !roll);
    MuseModel *model = NULL;
    if (!due && !roll) return 0;
    int rc = model_of(t, t->rl.quiet, t->net.master, &model, err);
    if (rc == 0 && due) rc = muse_rl_measure(&t->rl, model, t->state.step, err);
    if (rc == 0 && roll) rc = muse_rl_step(&t->rl, model, t->state.step, take_rollouts, t, err);
    muse_model_close(&model);
    return rc;
}

static int fetch(MuseTrainer *t, MuseError *err)
{
    MuseBatchRules rules = t->rules;
    t->n_batches = 0;
    if (t->has_rl) {
        rules.n_groups--;   /* the last is the rollouts' */
        const int rc = try_out(t, true, err);
        if (rc < 0 || !t->loader || t->state.step % t->config.rl.every) return rc;
    }
    for (uint32_t taken = 0; taken < t->config.samples;) {
        MuseTrainSample s;
        int rc = muse_train_loader_next(t->loader, &s, &t->state.skipped, err);
        if (rc < 0) return rc;
        rc = rc == MUSE_DONE ? muse_fail(err, MUSE_ERR_STATE, "the source has no more samples") : add_sample(t, &rules, &s, err);
        muse_train_loader_release(t->loader, &s);
        if (rc == 0) taken++;
        else if ((rc = leave_out(t, rc, err)) < 0) return rc;
    }
    t->state.number = muse_train_loader_number(t->loader);
    return 0;
}

/* sums of weights -> what a weight is multiplied by */
static MuseNetScale scales(const MuseTrainer *t)
{
    MuseNetScale s = { 0 };
    for (size_t i = 0; i < t->n_batches; i++) muse_net_scale_add(&s, &t->batches[i]);
    if (t->has_rl) s.group[t->config.n_groups - 1] = t->rl.divisor;   /* all that was written: what nothing is learned from counts too */
    for (uint32_t i = 0; i < t->config.n_groups; i++) s.group[i] = s.group[i] > 0 ? t->config.group_weight[i] / s.group[i] : 0;
    for (uint32_t i = 0; i < t->config.n_heads; i++) s.head[i] = s.head[i] > 0 ? t->config.head_weight[i] / s.head[i] : 0;
    s.gaze = s.gaze > 0 ? t->config.gaze_weight / s.gaze : 0;
    return s;
}

static int write_csv(MuseTrainer *t, const MuseTrainReport *r, MuseError *err)
{
    char text[320];
    const size_t before = t->csv.len;
    int n = snprintf(text, sizeof text, "%" PRIu64 ",%" PRIu64 ",%.9g,%.9g,%.9g,%.9g,%.6g,%.6g,%.6g,%.3f", r->step, r->total_positions, r->loss, r->text_loss, r->label_loss,
                     r->gaze_loss, r->accuracy, r->grad_norm, r->rate, r->seconds);
    int rc = muse_buf_append(&t->csv, text, (size_t)n);
    for (uint32_t i = 0; i < t->config.n_tasks && rc == 0; i++) {
        const MuseTaskSums *s = &t->step_tasks[i];
        n = s->n ? snprintf(text, sizeof text, ",%.6g", s->loss / (double)s->n) : snprintf(text, sizeof text, ",");
        rc = muse_buf_append(&t->csv, text, (size_t)n);
    }
    if (rc == 0 && t->has_rl) rc = muse_buf_append(&t->csv, text, (size_t)snprintf(text, sizeof text, ",%.6g,%.6g,%.6g,%.6g", r->reward, r->right, r->tokens, r->thinks));
    if (rc == 0) rc = muse_buf_append(&t->csv, "\n", 1);
    if (rc == 0) return 0;
    t->csv.len = before;   /* no half row, which a later save would keep */
    return MUSE_NOMEM(err, before);
}

static void report_rl(const MuseTrainer *t, MuseTrainReport *r)
{
    const double n = t->rl.n ? (double)t->rl.n : 1;
    r->rollouts = t->rl.n;
    r->reward = t->rl.reward / n, r->right = t->rl.right / n, r->tokens = t->rl.tokens / n, r->thinks = t->rl.thinks / n;
}

/* forward, backward, update; nothing is changed unless loss and gradients are finite */
static int compute(MuseTrainer *t, MuseTrainReport *r, MuseError *err)
{
    const MuseNetScale scale = scales(t);
    MuseNetTerms terms = { 0 };
    memset(t->net.grad, 0, t->net.layout.n_values * sizeof *t->net.grad);
    memset(t->step_tasks, 0, sizeof t->step_tasks);
    for (size_t i = 0; i < t->n_batches; i++) {
        muse_net_pass(&t->net, &t->batches[i], &scale, &terms, t->step_tasks);
        r->positions += t->batches[i].n;
    }
    muse_share_back(&t->config.shared, &t->net.layout, &t->config.model, t->net.grad);
    r->text_loss = terms.text, r->label_loss = terms.labels, r->gaze_loss = terms.gaze;
    r->loss = terms.text + terms.labels + terms.gaze;
    r->accuracy = terms.n_targets ? (double)terms.n_hits / (double)terms.n_targets : 0;
    r->grad_norm = muse_optim_norm(&t->optim, &t->net);
    r->rate = muse_optim_factor(&t->config.optim, t->state.step);
    if (!isfinite(r->loss) || !isfinite(r->grad_norm)) {
        t->failed = true;
        return muse_fail(err, MUSE_ERR_STATE, "step %" PRIu64 ": loss %g, gradient norm %g: not finite; weights are as before this step. A lower rate, or a checkpoint before it, may help",
                         t->state.step + 1, r->loss, r->grad_norm);
    }
    if (t->n_batches || !t->has_rl) muse_optim_step(&t->optim, &t->net, t->state.step, r->grad_norm);   /* rollouts that are all alike teach nothing */
    muse_share_put(&t->config.shared, &t->net.layout, &t->config.model, t->net.master);
    if (t->optim.ema) muse_share_put(&t->config.shared, &t->net.layout, &t->config.model, t->optim.ema);
    t->state.step++;
    t->state.positions += r->positions;
    for (uint32_t i = 0; i < t->config.n_tasks; i++) {
        if (t->step_tasks[i].n) t->last[i] = t->step_tasks[i];
        t->task_tokens[i] += t->step_tasks[i].n;
    }
    return 0;
}

static int save(MuseTrainer *t, MuseError *err)
{
    if (!t->out) return muse_fail(err, MUSE_ERR_STATE, "the run has no \"out\"");
    if (t->saved_at == t->state.step) return 0;
    MuseBuf rl = { .alloc = &t->rt->alloc };
    int rc = t->has_rl ? muse_rl_write(&t->rl, &rl, err) : 0;
    const MuseCheckpoint c = { .alloc = &t->rt->alloc, .out = t->out, .net = &t->net, .optim = &t->optim, .state = t->state, .config_json = t->config.model_json.data,
                               .config_bytes = t->config.model_json.len, .tokenizer_json = t->tokenizer_file.data, .tokenizer_bytes = t->tokenizer_file.size,
                               .document = t->config.json, .csv = &t->csv, .rl_json = t->has_rl ? &rl : NULL, .rl_csv = t->has_rl ? &t->rl.csv : NULL,
                               .keep = t->config.keep };
    char *folder;
    if (rc == 0) rc = muse_checkpoint_write(&c, &folder, err);
    muse_buf_clear(&rl);
    if (rc < 0) return rc;
    muse_free(t->folder);
    t->folder = folder;
    t->saved_at = t->state.step;
    return 0;
}

static int do_step(MuseTrainer *t, MuseTrainReport *out, MuseError *err)
{
    if (t->failed) return muse_fail(err, MUSE_ERR_STATE, "an earlier step failed: open the run again");
    if (t->state.step >= t->limit) return MUSE_DONE;
    MuseError own = { 0 };
    const double start = now();
    MuseTrainReport r = { .steps = t->limit };
    const MuseTrainState before = t->state;
    if (t->has_rl) muse_rl_mark(&t->rl);
    int rc = fetch(t, &own);
    r.wait_seconds = now() - start;
    if (rc == 0) rc = compute(t, &r, &own);
    if (rc < 0) {   /* what may be saved now is the run as before this step, data and questions too */
        t->state = before;
        if (t->has_rl) muse_rl_back(&t->rl);
    }
    r.seconds = now() - start;
    r.step = t->state.step, r.total_positions = t->state.positions, r.skipped = t->state.skipped;
    if (t->has_rl) report_rl(t, &r);
    if (rc == 0) rc = write_csv(t, &r, &own);
    if (rc == 0 && t->has_rl && t->state.step == t->config.optim.steps) rc = try_out(t, false, &own);   /* not where "steps" of the params stops: a resume would know of it */
    const bool due = t->state.step == t->limit || t->state.step % t->config.every == 0;
    if (rc == 0 && t->out && due) {
        rc = save(t, &own);
        r.saved = rc == 0;
    }
    if (rc < 0) {
        t->failed = true;
        return muse_fail_copy(err, &own);
    }
    if (out) *out = r;
    return 0;
}

int muse_trainer_step(MuseTrainer *t, MuseTrainReport *out, MuseError *err)
{
    MUSE_REQUIRE(err, t);
    const Plain plain = plain_begin();
    return plain_end(plain, do_step(t, out, err));
}

int muse_trainer_save(MuseTrainer *t, MuseError *err)
{
    MUSE_REQUIRE(err, t);
    const Plain plain = plain_begin();
    return plain_end(plain, save(t, err));
}

/* ---- reading ---- */

int muse_trainer_model(const MuseTrainer *t, MuseModel **out, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, t);
    return model_of(t, t->rt, t->optim.ema ? t->optim.ema : t->net.master, out, err);
}

int muse_trainer_info(const MuseTrainer *t, MuseTrainerInfo *out)
{
    if (!t || !out) return MUSE_ERR_ARG;
    const uint64_t n = t->net.layout.n_values;
    *out = (MuseTrainerInfo){ t->state.step, t->limit, t->net.layout.n_model, n * (16 + t->net.act + (t->optim.ema ? 4 : 0)) + t->net.arena.cap, t->net.bf16 ? "bf16" : "f32", t->folder,
                              t->config.n_tasks };
    return 0;
}

int muse_trainer_task(const MuseTrainer *t, size_t i, MuseTrainTask *out)
{
    if (!t || !out) return MUSE_ERR_ARG;
    if (i >= t->config.n_tasks) return MUSE_ERR_NOT_FOUND;
    const MuseTaskSums *s = &t->last[i];
    const double n = s->n ? (double)s->n : 1;
    *out = (MuseTrainTask){ t->config.tasks[i], s->loss / n, (double)s->hits / n, t->task_tokens[i] };
    return 0;
}

int muse_trainer_guard(const MuseTrainer *t, size_t i, MuseTrainGuard *out)
{
    if (!t || !out) return MUSE_ERR_ARG;
    if (!t->has_rl || i >= t->rl.n_slots) return MUSE_ERR_NOT_FOUND;
    *out = t->rl.guard[i];
    return 0;
}
