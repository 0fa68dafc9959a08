/* SPDX-License-Identifier: Apache-2.0 */
/* muse train: a run that a JSON document describes, with progress on stderr; an interrupt saves and stops. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/nano/doc.h"
#include "tools/train_run.h"

typedef struct Train {
    const char *path, *out;
    bool resume;
    uint64_t steps;
    MuseRuntime *rt;
    TrainRun run;
    MuseTrainer *trainer;    /* of run */
    MuseTrainReport last;
    double *speeds;          /* positions/s of each step of this sitting */
    size_t n, cap;
    double began, said;
    uint64_t guarded;        /* step of the measurement that was shown */
    bool terminal, cancelled, has_guard;
} Train;

static void help(FILE *to)
{
    fputs("usage: muse train CONFIG.json [OPTION ...]\n"
          "Trains a model of the muse family as the document says (docs/train.md). Checkpoints are model folders. An interrupt\n"
          "(Ctrl-C, SIGTERM, SIGHUP) saves after the step and stops; a second one stops at once.\n\n"
          "  --resume                  go on from the newest checkpoint\n"
          "  --out DIR                 instead of the document's \"out\"\n"
          "  --steps N                 stop after step N; the schedule stays as in the document\n"
          "  --threads N               size of the thread team; all cores unless told\n"
          "  --cpu-level LEVEL         c, avx2, avx512 or amx; the best unless told\n"
          "  --json                    JSON on stdout at the end\n"
          "  --quiet                   no progress, no warnings\n"
          "\nexit codes: 0 done, 2 usage, 3 bad input file, 4 unsupported, 5 memory or limit, 6 interrupted, 1 anything else\n", to);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* median of the steps after two that warm up; what else is there if there are no more */
static double speed(const Train *o)
{
    const size_t skip = o->n > 4 ? 2 : 0, n = o->n - skip;
    double *sorted = malloc((n + 1) * sizeof *sorted), middle = 0;
    if (!sorted || n == 0) {
        free(sorted);
        return 0;
    }
    memcpy(sorted, o->speeds + skip, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_size);
    middle = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    free(sorted);
    return middle;
}

/* ---- progress ---- */

static void print_time(FILE *to, double seconds)
{
    const unsigned long s = seconds > 0 && seconds < 1e9 ? (unsigned long)seconds : 0;
    if (s >= 3600) fprintf(to, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else fprintf(to, "%lu:%02lu", s / 60, s % 60);
}

static void print_tasks(FILE *to, const Train *o)
{
    MuseTrainTask task;
    for (size_t i = 0; muse_trainer_task(o->trainer, i, &task) == 0; i++)
        if (task.n) fprintf(to, "  %s %.3f", task.name, task.loss);
}

/* a table when held-out prompts were measured */
static void print_guards(Train *o)
{
    static const char *const ways[] = { "think", "free", "direct" };
    MuseTrainGuard g;
    bool head = false;
    for (size_t i = 0; muse_trainer_guard(o->trainer, i, &g) == 0; i++) {
        if (g.n == 0 || (g.step == o->guarded && o->has_guard)) continue;
        if (!head) fprintf(stderr, "%sheld out, after step %" PRIu64 ": share of right answers / tokens written; made to think, free to choose, at once\n", o->terminal ? "\r\033[K" : "", g.step);
        head = true;
        fprintf(stderr, "  %-12s n %3" PRIu64, *g.task ? g.task : "(no task)", g.n);
        for (int k = 0; k < MUSE_GUARDS; k++) fprintf(stderr, "  %s %.3f / %.1f", ways[k], g.accuracy[k], g.tokens[k]);
        fprintf(stderr, "  thinks %.2f  looks %.2f  budget %.2f\n", g.thinks, g.looks[MUSE_GUARD_FREE], g.budget);
    }
    for (size_t i = 0; muse_trainer_guard(o->trainer, i, &g) == 0; i++)
        if (g.n) o->guarded = g.step, o->has_guard = true;
}

static void print_step(FILE *to, const Train *o, double left)
{
    enum { BAR = 24, WIDE = 100 };   /* without the bar the time that is left stands within 80 columns */
    const MuseTrainReport *r = &o->last;
    const int done = r->steps ? (int)(BAR * r->step / r->steps) : BAR;
    if (o->terminal && cli_columns() >= WIDE) fprintf(to, "[%.*s%.*s] ", done, "########################", BAR - done, "........................");
    fprintf(to, "%" PRIu64 "/%" PRIu64 "  loss %.4f", r->step, r->steps, r->loss);
    if (r->rollouts) fprintf(to, "  %" PRIu64 " answers: right %.1f %%, reward %.3f, %.1f tokens, thinks %.0f %%", r->rollouts, 100 * r->right, r->reward, r->tokens, 100 * r->thinks);
    if (!r->rollouts || r->text_loss > 0) fprintf(to, "  tokens right %.1f %%", 100 * r->accuracy);   /* with "rl" few steps have data, whose tokens they are */
    fprintf(to, "  %.0f positions/s  left ", (double)r->positions / r->seconds);
    print_time(to, left);
    print_tasks(to, o);
    if (r->saved) fputs("  saved", to);
}

/* of a text that is longer than the terminal is wide: a second row could not be drawn anew */
static size_t cut(const char *text, size_t n)
{
    const size_t columns = cli_columns(), wide = columns > 8 ? columns : 80;
    if (n < wide) return n;
    for (n = wide - 5; n && !(text[n] == ' ' && text[n + 1] == ' ');) n--;   /* whole entries: half a number would be another one */
    return n;
}

static void progress(Train *o, Cli *cli, bool last)
{
    const double t = cli_now(), wait = o->terminal ? 0.2 : 15;
    if (!last && o->n > 1 && t - o->said < wait) return;
    o->said = t;
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    if (!to) return;   /* another step will have memory */
    print_step(to, o, (double)(o->last.steps - o->last.step) * (t - o->began) / (o->n ? (double)o->n : 1));
    const bool whole = fclose(to) == 0, drawn = o->terminal && !last && !o->last.saved;
    const size_t fits = whole && drawn ? cut(text, n) : n;
    if (whole) fprintf(stderr, "%s%.*s%s%s", o->terminal ? "\r\033[K" : "", (int)fits, text, fits < n ? " ..." : "", drawn ? "" : "\n");
    atomic_store(&cli->drawn, whole && drawn);
    free(text);
}

/* ---- the run ---- */

static int note(Train *o)
{
    if (o->n == o->cap) {
        const size_t cap = o->cap ? 2 * o->cap : 1024;
        double *more = realloc(o->speeds, cap * sizeof *more);
        if (!more) return MUSE_ERR_NOMEM;
        o->speeds = more;
        o->cap = cap;
    }
    o->speeds[o->n++] = (double)o->last.positions / o->last.seconds;
    return 0;
}

static int run(Train *o, Cli *cli, MuseError *err)
{
    int rc;
    o->began = o->said = cli_now();
    while ((rc = muse_trainer_step(o->trainer, &o->last, err)) == 0) {
        if (note(o) < 0) {
            *err = (MuseError){ MUSE_ERR_NOMEM, "no memory for the speeds of the steps" };
            return err->code;
        }
        if (!cli->quiet) print_guards(o);
        if (!cli->quiet) progress(o, cli, o->last.step == o->last.steps);
        if (!cli_interrupted(NULL) || o->last.step == o->last.steps) continue;
        o->cancelled = true;
        MuseTrainerInfo info;
        muse_trainer_info(o->trainer, &info);
        rc = muse_trainer_save(o->trainer, err);
        if (rc == MUSE_ERR_STATE) fprintf(stderr, "\nmuse: interrupted; nothing is saved: the run has no \"out\"\n");
        if (rc == 0 && muse_trainer_info(o->trainer, &info) == 0) fprintf(stderr, "\nmuse: interrupted; saved %s: go on with --resume\n", info.folder);
        return rc == MUSE_ERR_STATE ? 0 : rc;
    }
    return rc == MUSE_DONE ? 0 : rc;
}

/* a run without a folder is for trying things out: said before the work, not behind it */
static void warn_unsaved(const Train *o, const char *json, size_t size)
{
    int code;
    yajl_val doc = nano_doc_parse(json, size, &code);
    if (doc && !o->out && !nano_doc_get(doc, "out")) fprintf(stderr, "muse: warning: %s has no \"out\": nothing will be saved (--out FOLDER)\n", o->path);
    yajl_tree_free(doc);
}

/* broken lines were named one by one; pictures of worlds that are too long are only counted */
static void tell_skipped(const Train *o)
{
    const uint64_t n = o->last.skipped;
    if (n) fprintf(stderr, "muse: %" PRIu64 " sample%s left out: broken, or longer than \"positions\" of \"batch\"\n", n, n == 1 ? " was" : "s were");
}

/* where the model is, and what to do with it */
static void tell_folder(const Train *o)
{
    MuseTrainerInfo info;
    if (muse_trainer_info(o->trainer, &info) < 0 || !info.folder) return;
    fprintf(stderr, "muse: the model of step %" PRIu64 " is in %s\n  ask it:       muse ask --model %s ...   (--mode instant if it saw no thoughts)\n  train it on:  %smuse train %s --resume", info.step, info.folder, info.folder,
            !o->steps && info.step >= info.steps ? "raise \"steps\" of the document, then " : "", o->path);
    if (o->out) fprintf(stderr, " --out %s", o->out);
    fputc('\n', stderr);
}

static void gen_guards(const Train *o, yajl_gen g)
{
    static const char *const names[] = { "think", "free", "direct" };
    MuseTrainGuard guard;
    if (muse_trainer_guard(o->trainer, 0, &guard) < 0) return;
    json_number(g, "reward", o->last.reward);
    json_key(g, "held_out");
    yajl_gen_map_open(g);
    for (size_t i = 0; muse_trainer_guard(o->trainer, i, &guard) == 0; i++) {
        if (!guard.n) continue;
        json_key(g, guard.task);   /* "": prompts without a task; no task has that name */
        yajl_gen_map_open(g);
        json_integer(g, "step", (long long)guard.step);
        json_integer(g, "n", (long long)guard.n);
        for (int k = 0; k < MUSE_GUARDS; k++) {
            json_key(g, names[k]);
            yajl_gen_map_open(g);
            json_number(g, "accuracy", guard.accuracy[k]);
            json_number(g, "tokens", guard.tokens[k]);
            json_number(g, "looks", guard.looks[k]);
            yajl_gen_map_close(g);
        }
        json_number(g, "thinks", guard.thinks);
        json_number(g, "budget", guard.budget);
        yajl_gen_map_close(g);
    }
    yajl_gen_map_close(g);
}

static int print_json(const Train *o)
{
    const MuseTrainReport *r = &o->last;
    MuseTrainerInfo info;
    MuseTrainTask task;
    muse_trainer_info(o->trainer, &info);
    yajl_gen g = yajl_gen_alloc(NULL);
    yajl_gen_map_open(g);
    json_integer(g, "step", (long long)info.step);
    json_integer(g, "steps", (long long)info.steps);
    json_number(g, "loss", o->n ? r->loss : NAN);   /* null: nothing was left to do */
    json_number(g, "text_loss", o->n ? r->text_loss : NAN);
    json_number(g, "accuracy", o->n ? r->accuracy : NAN);
    json_number(g, "positions_per_s", speed(o));
    json_number(g, "gflops_6n", 6e-9 * (double)info.n_parameters * speed(o));
    json_integer(g, "parameters", (long long)info.n_parameters);
    json_integer(g, "memory_bytes", (long long)info.memory_bytes);
    json_integer(g, "positions", (long long)r->total_positions);
    json_integer(g, "skipped", (long long)r->skipped);
    json_number(g, "seconds", cli_now() - o->began);
    json_text(g, "compute", info.compute);
    json_bool(g, "interrupted", o->cancelled);
    if (info.folder) json_text(g, "folder", info.folder);
    gen_guards(o, g);
    json_key(g, "tasks");
    yajl_gen_map_open(g);
    for (size_t i = 0; muse_trainer_task(o->trainer, i, &task) == 0; i++) {
        json_key(g, task.name);
        yajl_gen_map_open(g);
        json_number(g, "loss", task.n ? task.loss : NAN);
        json_number(g, "accuracy", task.n ? task.accuracy : NAN);
        json_integer(g, "tokens", (long long)task.n);
        yajl_gen_map_close(g);
    }
    yajl_gen_map_close(g);
    yajl_gen_map_close(g);
    const int code = json_print(g);
    yajl_gen_free(g);
    return code;
}

static int read_options(Cli *cli, Train *o)
{
    int code = EXIT_OK;
    const char *option, *value;
    while ((option = cli_next(cli, &code))) {
        if (strcmp(option, "--resume") == 0) {
            o->resume = true;
        } else if (strcmp(option, "--out") == 0) {
            o->out = cli_value(cli, option, &code);
        } else if (strcmp(option, "--steps") == 0) {
            char *end;
            value = cli_value(cli, option, &code);
            errno = 0;
            const unsigned long long n = value ? strtoull(value, &end, 10) : 1;
            if (value && (*value < '0' || *value > '9' || *end || errno || n == 0)) code = cli_usage("--steps %s: 1 or more", value);
            o->steps = n;
        } else if (strcmp(option, "--help") == 0) {
            help(stdout);
            return -1;
        } else if (option[0] == '-' && option[1]) {
            code = cli_no_option(cli, option);
        } else if (o->path) {
            code = cli_usage("train: one document, not %s and %s", o->path, option);
        } else {
            o->path = option;
        }
    }
    if (code == EXIT_OK && !o->path) code = cli_usage("train: which document? (muse train CONFIG.json)");
    return code;
}

int cmd_train(Cli *cli)
{
    Train o = { .terminal = cli_columns() > 0 };
    int code = read_options(cli, &o);
    if (code != EXIT_OK) return code < 0 ? EXIT_OK : code;
    size_t size;
    char *json = train_read(o.path, &size), *folder = json ? train_folder(o.path) : NULL;
    if (!json || !folder) {
        free(json);
        return json ? EXIT_RESOURCE : EXIT_INPUT;
    }
    MuseError err = { 0 };
    MuseTrainerParams p;
    muse_trainer_params_init(&p);
    p.folder = folder, p.out = o.out, p.resume = o.resume, p.steps = o.steps;
    if (!cli->quiet) warn_unsaved(&o, json, size);
    int rc = muse_runtime_open(&o.rt, &cli->runtime, &err);
    if (rc == 0) rc = train_run_open(&o.run, o.rt, json, size, p, &err);
    if (rc == 0) {
        o.trainer = o.run.trainer;
        cli_catch_interrupts(true);
        rc = run(&o, cli, &err);
    }
    if (atomic_exchange(&cli->drawn, false) && (rc < 0 || !o.cancelled)) fputc('\n', stderr);
    if (rc == 0 && !cli->quiet) tell_skipped(&o);
    if (rc == 0 && !o.cancelled && !cli->quiet) tell_folder(&o);
    if (rc < 0) code = cli_fail(&err, o.path);
    else if (cli->json) code = print_json(&o);
    if (rc == 0 && code == EXIT_OK && o.cancelled) code = EXIT_CANCELLED;
    train_run_close(&o.run);
    muse_runtime_close(&o.rt);
    free(o.speeds);
    free(json);
    free(folder);
    return code;
}
