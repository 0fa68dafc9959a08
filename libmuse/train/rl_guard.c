/* SPDX-License-Identifier: Apache-2.0 */
/* Trial and reward: where prompts come from, the measurements on held-out ones with their curve, and what a resumed run needs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/params.h"
#include "libmuse/train/rl.h"

/* ---- prompts ---- */

static int make_from_file(void *user, uint64_t number, int held_out, MuseTrainPrompt *out, MuseError *err)
{
    MuseRl *rl = user;
    return muse_jsonl_prompt(rl->files[held_out && rl->files[1]], number, out, err);
}

static void release_from_file(void *user, MuseTrainPrompt *p)
{
    (void)user;
    muse_jsonl_prompt_release(p);
}

static int open_files(MuseRl *rl, const MuseTextTokenizer *tokenizer, MuseError *err)
{
    const MuseTrainConfig *c = rl->c;
    rl->rules = (MuseJsonlRules){ .rt = rl->rt, .model = &c->model, .tokenizer = tokenizer, .tasks = (const char *const *)c->tasks, .n_tasks = c->n_tasks, .seed = c->seed, .shuffle = true };
    int rc = muse_jsonl_open(&rl->files[0], c->rl.jsonl, &rl->rules, err);
    rl->rules.shuffle = false;
    if (rc == 0 && c->rl.held_out) rc = muse_jsonl_open(&rl->files[1], c->rl.held_out, &rl->rules, err);
    rl->prompts = (MuseTrainPrompts){ .struct_size = sizeof rl->prompts, .make = make_from_file, .release = release_from_file, .user = rl };
    return rc;
}

static int open_quiet(MuseRl *rl, MuseError *err)
{
    MuseRuntimeParams p;
    MuseRuntimeInfo info;
    muse_runtime_params_init(&p);
    muse_runtime_info(rl->rt, &info);
    p.allocator = rl->rt->alloc;
    p.threads = info.threads, p.cpu_level = info.cpu_level;
    return muse_runtime_open(&rl->quiet, &p, err);
}

int muse_rl_open(MuseRl *rl, MuseRuntime *rt, const MuseTrainConfig *c, const MuseTextTokenizer *tokenizer, const MuseTrainPrompts *prompts, MuseError *err)
{
    static const char columns[] = "step,task,prompts,think_accuracy,think_tokens,free_accuracy,free_tokens,free_looks,free_thinks,direct_accuracy,direct_tokens,budget\n";
    memset(rl, 0, sizeof *rl);
    rl->rt = rt;
    rl->c = c;
    rl->csv.alloc = &rt->alloc;
    rl->measured_at = UINT64_MAX;
    rl->n_slots = c->n_tasks + 1;
    for (uint32_t i = 0; i < rl->n_slots; i++) {
        rl->tasks[i] = (MuseRlTask){ .budget = 1, .first = -1, .last = -1 };
        rl->guard[i].task = i < c->n_tasks ? c->tasks[i] : "";
    }
    int rc = open_quiet(rl, err);
    if (rc < 0) return rc;
    if (!tokenizer) return muse_fail(err, MUSE_ERR_FORMAT, "\"rl\" needs a \"tokenizer\"");
    if (muse_buf_append(&rl->csv, columns, sizeof columns - 1) < 0) return MUSE_NOMEM(err, sizeof columns);
    if (prompts) {
        rc = MUSE_PARAMS_IMPORT(&rl->prompts, prompts, "MuseTrainPrompts", err);
        if (rc == 0) MUSE_REQUIRE(err, rl->prompts.make);
        return rc;
    }
    if (c->rl.jsonl && c->rl.guard_prompts && !c->rl.held_out) return muse_fail(err, MUSE_ERR_FORMAT, "\"rl\": \"held_out\" is missing (or \"guard\": {\"prompts\": 0})");
    return c->rl.jsonl ? open_files(rl, tokenizer, err) : muse_fail(err, MUSE_ERR_UNSUPPORTED, "\"rl\": prompts are of \"jsonl\", or the caller's (\"worlds\": the muse program's)");
}

void muse_rl_close(MuseRl *rl)
{
    for (int i = 0; i < 2; i++) muse_jsonl_close(&rl->files[i]);
    muse_buf_clear(&rl->csv);
    muse_runtime_close(&rl->quiet);
    memset(rl, 0, sizeof *rl);
}

/* ---- measuring ---- */

bool muse_rl_due(const MuseRl *rl, uint64_t step, bool last)
{
    const MuseRlConfig *c = &rl->c->rl;
    return c->guard_prompts && rl->measured_at != step && (last || step % c->guard_every == 0);
}

/* sums until finish_guards() */
static void add_rollout(MuseTrainGuard *g, int way, const MuseTrainRollout *r)
{
    g->accuracy[way] += r->right;
    g->tokens[way] += r->tokens;
    g->looks[way] += r->looks;
    g->thinks += way == MUSE_GUARD_FREE ? r->thinks : 0;
    g->n += way == MUSE_GUARD_FREE;
}

static int measure_some(MuseRl *rl, MuseModel *model, size_t n, uint64_t *number, MuseError *err)
{
    static const int starts[MUSE_GUARDS] = { [MUSE_GUARD_THINK] = MUSE_START_THINK, [MUSE_GUARD_FREE] = MUSE_START_FREE, [MUSE_GUARD_DIRECT] = MUSE_START_DIRECT };
    MuseTrials t;
    int rc = muse_trials_open(&t, rl, model, n, MUSE_GUARDS, number, true, err);
    if (rc < 0) return rc;
    for (size_t i = 0; i < n * MUSE_GUARDS && rc == 0; i++) rc = muse_trials_fork(&t, i / MUSE_GUARDS, i % MUSE_GUARDS, starts[i % MUSE_GUARDS], 0, 0, err);
    if (rc == 0) rc = muse_trials_run(&t, err);
    for (size_t i = 0; i < n * MUSE_GUARDS && rc == 0; i++) add_rollout(&rl->guard[t.trials[i / MUSE_GUARDS].slot], (int)(i % MUSE_GUARDS), &t.rollouts[i]);
    muse_trials_close(&t);
    return rc;
}

static int add_row(MuseRl *rl, const MuseTrainGuard *g, MuseError *err)
{
    char text[480];
    size_t n = (size_t)snprintf(text, sizeof text, "%" PRIu64 ",%s", g->step, g->task);
    for (size_t i = 0; i < n; i++)   /* a task's name in a list of columns */
        if ((text[i] == ',' && i >= n - strlen(g->task)) || text[i] == '"' || (unsigned char)text[i] < ' ') text[i] = '_';
    n += (size_t)snprintf(text + n, sizeof text - n, ",%" PRIu64 ",%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g\n", g->n, g->accuracy[MUSE_GUARD_THINK], g->tokens[MUSE_GUARD_THINK],
                          g->accuracy[MUSE_GUARD_FREE], g->tokens[MUSE_GUARD_FREE], g->looks[MUSE_GUARD_FREE], g->thinks, g->accuracy[MUSE_GUARD_DIRECT], g->tokens[MUSE_GUARD_DIRECT], g->budget);
    return muse_buf_append(&rl->csv, text, n) < 0 ? MUSE_NOMEM(err, n) : 0;
}

static int finish_guards(MuseRl *rl, uint64_t step, MuseError *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < rl->n_slots && rc == 0; i++) {
        MuseTrainGuard *g = &rl->guard[i];
        if (g->n == 0) continue;
        for (int k = 0; k < MUSE_GUARDS; k++) {
            g->accuracy[k] /= (double)g->n;
            g->tokens[k] /= (double)g->n;
            g->looks[k] /= (double)g->n;
        }
        g->thinks /= (double)g->n;
        g->step = step;
        g->budget = rl->tasks[i].budget;
        rl->tasks[i].last = g->accuracy[MUSE_GUARD_THINK];
        if (rl->tasks[i].first < 0) rl->tasks[i].first = rl->tasks[i].last;
        rc = add_row(rl, g, err);
    }
    return rc;
}

int muse_rl_measure(MuseRl *rl, MuseModel *model, uint64_t step, MuseError *err)
{
    const size_t all = rl->c->rl.guard_prompts, chunk = rl->c->rl.prompts;
    uint64_t number = 0;
    int rc = 0;
    for (uint32_t i = 0; i < rl->n_slots; i++) rl->guard[i] = (MuseTrainGuard){ .task = rl->guard[i].task };
    for (size_t done = 0; done < all && rc == 0; done += chunk) rc = measure_some(rl, model, all - done < chunk ? all - done : chunk, &number, err);
    if (rc == 0) rc = finish_guards(rl, step, err);
    if (rc == 0) rl->measured_at = step;
    return rc;
}

/* ---- a stop and a resume ---- */

void muse_rl_mark(MuseRl *rl)
{
    rl->mark.number = rl->number, rl->mark.measured_at = rl->measured_at, rl->mark.csv_len = rl->csv.len;
    memcpy(rl->mark.tasks, rl->tasks, sizeof rl->tasks);
}

void muse_rl_back(MuseRl *rl)
{
    rl->number = rl->mark.number, rl->measured_at = rl->mark.measured_at, rl->csv.len = rl->mark.csv_len;
    memcpy(rl->tasks, rl->mark.tasks, sizeof rl->tasks);
}

enum { TASK_VALUES = 7 };

static void task_values(MuseRlTask *t, double *to[TASK_VALUES])
{
    double *const all[TASK_VALUES] = { &t->budget, &t->n[0], &t->n[1], &t->right[0], &t->right[1], &t->first, &t->last };
    memcpy(to, all, sizeof all);
}

int muse_rl_write(const MuseRl *rl, MuseBuf *json, MuseError *err)
{
    char text[128];
    int rc = muse_buf_append(json, text, (size_t)snprintf(text, sizeof text, "{\"number\": %" PRIu64 ", \"measured_at\": %" PRId64 ", \"names\": [", rl->number,
                                                          rl->measured_at == UINT64_MAX ? INT64_C(-1) : (int64_t)rl->measured_at));
    for (uint32_t i = 0; i + 1 < rl->n_slots && rc == 0; i++) {
        if (i) rc = muse_buf_append(json, ", ", 2);
        if (rc == 0) rc = muse_json_write_string(json, rl->guard[i].task, strlen(rl->guard[i].task));
    }
    if (rc == 0) rc = muse_buf_append(json, "], \"tasks\": [", 13);
    for (uint32_t i = 0; i < rl->n_slots && rc == 0; i++) {
        MuseRlTask t = rl->tasks[i];
        double *v[TASK_VALUES];
        task_values(&t, v);
        for (int k = 0; k < TASK_VALUES && rc == 0; k++)
            rc = muse_buf_append(json, text, (size_t)snprintf(text, sizeof text, "%s%.17g%s", k ? ", " : i ? ", [" : "[", *v[k], k + 1 == TASK_VALUES ? "]" : ""));
    }
    if (rc == 0) rc = muse_buf_append(json, "]}\n", 3);
    return rc < 0 ? MUSE_NOMEM(err, json->len) : 0;
}

/* Where the state of the i-th of n tasks goes; n_slots: nowhere. The last is of prompts without a task; without names (written by
 * earlier versions) the others are known by their places. */
static uint32_t slot_of(const MuseRl *rl, uint32_t i, size_t n, const MuseJsonValue *name)
{
    if (i + 1 == n) return rl->n_slots - 1;
    if (!name) return i;
    for (uint32_t k = 0; k + 1 < rl->n_slots; k++)
        if (muse_json_equal(name, rl->guard[k].task)) return k;
    muse_log(&rl->rt->log, MUSE_LOG_WARN, "task \"%.*s\" is no more: its budget is forgotten", (int)name->len, name->u.string);
    return rl->n_slots;
}

static bool good_names(const MuseJsonValue *names, size_t n)
{
    bool good = muse_json_is(names, MUSE_JSON_ARRAY) && names->len + 1 == n;
    for (const MuseJsonValue *v = good ? names->u.first : NULL; v && good; v = v->next) good = v->type == MUSE_JSON_STRING && v->len <= 64;
    return good;
}

int muse_rl_read(MuseRl *rl, const void *json, size_t n, MuseError *err)
{
    MuseJson doc = { 0 };
    int64_t number = -1, at = -1;
    int rc = muse_json_parse(&doc, &rl->rt->alloc, json, n, err);
    const MuseJsonValue *tasks = rc == 0 ? muse_json_get(doc.root, "tasks") : NULL, *names = rc == 0 ? muse_json_get(doc.root, "names") : NULL;
    if (rc == 0 && (!muse_json_read_i64(muse_json_get(doc.root, "number"), -1, &number) || number < 0 || !muse_json_read_i64(muse_json_get(doc.root, "measured_at"), -1, &at) || at < -1 ||
                    !muse_json_is(tasks, MUSE_JSON_ARRAY) || tasks->len == 0 || (names ? !good_names(names, tasks->len) : tasks->len > rl->n_slots)))
        rc = muse_fail(err, MUSE_ERR_FORMAT, "not the state of a run with at most %u tasks", rl->n_slots - 1);
    const MuseJsonValue *t = rc == 0 ? tasks->u.first : NULL, *name = t && names ? names->u.first : NULL;
    for (uint32_t i = 0; t && rc == 0; t = t->next, name = name ? name->next : NULL, i++) {
        MuseRlTask gone;
        const uint32_t slot = slot_of(rl, i, tasks->len, name);
        const MuseJsonValue *v = muse_json_is(t, MUSE_JSON_ARRAY) && t->len == TASK_VALUES ? t->u.first : NULL;
        double *to[TASK_VALUES];
        task_values(slot < rl->n_slots ? &rl->tasks[slot] : &gone, to);
        bool good = v != NULL;
        for (int k = 0; k < TASK_VALUES && good; k++, v = v->next) good = v->type != MUSE_JSON_NULL && muse_json_read_f64(v, 0, to[k]);
        if (!good) rc = muse_fail(err, MUSE_ERR_FORMAT, "the state of task %u is not %d numbers", i, TASK_VALUES);
    }
    if (rc == 0) rl->number = (uint64_t)number, rl->measured_at = at < 0 ? UINT64_MAX : (uint64_t)at;
    muse_json_close(&doc);
    return rc;
}
