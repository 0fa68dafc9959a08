/* SPDX-License-Identifier: Apache-2.0 */
/* muse eval: how often a model answers the questions of data sets right. Options and the order of things; an interrupt or an error
 * ends with a report of what was done until then. docs/eval.md. */
#include "tools/eval.h"

#include <stdlib.h>
#include <string.h>

enum { AGENTS = 8, BATCH = 32 };
static const uint64_t cache_bytes = UINT64_C(1) << 28;   /* pictures of a few batches; those of a set come together */

/* the same is said of every picture of a set */
static void print_some(void *user, int level, const char *text)
{
    Eval *e = user;
    if (!cli_warning_is_new(&e->cli->warnings, level, text)) return;
    eval_erase_progress(e);
    fprintf(stderr, level <= MUSE_LOG_WARN ? "muse: warning: %s\n" : "muse: %s\n", text);
}

static void help(FILE *to, const Cli *cli)
{
    fputs("usage: muse eval --set FILE.jsonl [--set FILE.jsonl ...] [OPTION ...]\n"
          "Asks a model the questions of data sets and counts right answers: accuracy a task with 95 % intervals, thought tokens,\n"
          "looks, seconds. docs/eval.md describes the sets and the numbers.\n\n"
          "  --set FILE.jsonl          questions, one object a line; pictures and sounds are found from its folder\n"
          "  --model PATH              a Hugging Face folder or a GGUF file; unless told what MUSE_MODEL names, else the shipped muse-nano\n"
          "  --mmproj FILE             the projector beside a text GGUF\n"
          "  --mode MODE               instant, thinking, auto or contemplating; thinking unless told. auto thinks if the instant answer\n"
          "                            is in doubt\n"
          "  --doubt P                 auto: the probability from which an answer given at once is taken, 0.001 to 1; 0.95 unless told\n"
          "  --agents N                contemplating: 1 to 256 agents a question; 8 unless told\n"
          "  --views N                 contemplating: ways of seeing the pictures, 1 (all agents see them as they are) to 8; unless told\n"
          "                            8 where the model has place tokens\n"
          "  --all-agents              contemplating: none is stopped where the others agree, so that all answers are known\n"
          "  --budget N                tokens a thought may have; 512 unless told\n"
          "  --no-look                 the model may not look again\n"
          "  --limit N                 the first N questions of each set\n"
          "  --temp T                  sample at this temperature; unless told the most probable token is taken (contemplating:\n"
          "                            by the first agent of each view, the others sample at 1)\n"
          "  --seed N                  of what is drawn; 0 unless told\n"
          "  --batch N                 questions that step together, 1 to 256; 32 unless told\n"
          "  --compute MODE            auto, f32 (the reference path), bf16 or int8\n"
          "  --lines                   one JSON object a question on stdout; the table then goes to stderr, and with --json the\n"
          "                            report is the last line\n"
          "  --skip-broken             leave out lines that can't be read and questions that can't be asked, and say so\n"
          "  --calibrate OUT.json      contemplating: write how often answers are right by agreement; put into the model's\n"
          "                            folder as calibration.json it gives the confidence of contemplating\n", to);
    cli_common_help(to, cli);
}

/* ---- options ---- */

static int take_set(EvalOptions *o, Cli *cli, int *code)
{
    const char *v = cli_value(cli, "--set", code);
    const char **more = v ? realloc(o->sets, (o->n_sets + 1) * sizeof *more) : NULL;
    if (!v) return *code;
    if (!more) return EXIT_RESOURCE;
    o->sets = more;
    o->sets[o->n_sets++] = v;
    return EXIT_OK;
}

/* the option's value into a number of its range; EXIT_OK, or -1: not such an option */
static int take_number(EvalOptions *o, Cli *cli, const char *option)
{
    const struct { const char *name; uint32_t *to, least, most; } numbers[] = { { "--agents", &o->agents, 1, MUSE_AGENTS_MAX }, { "--views", &o->views, 1, MUSE_VIEWS }, { "--budget", &o->budget, 1, 1 << 20 },
        { "--limit", &o->limit, 1, UINT32_MAX }, { "--batch", &o->batch, 1, EVAL_BATCH_MAX } };
    if (strcmp(option, "--doubt") == 0) return cli_real(cli, option, CLI_DOUBT_MIN, 1, &o->doubt);
    if (strcmp(option, "--temp") == 0) return cli_real(cli, option, 0, 1e6, &o->temperature);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(option, numbers[i].name) == 0) return cli_whole(cli, option, numbers[i].least, numbers[i].most, numbers[i].to);
    return -1;
}

static int take_option(EvalOptions *o, Cli *cli, const char *option)
{
    const struct { const char *name; bool *to; } flags[] = { { "--no-look", &o->no_look }, { "--lines", &o->lines }, { "--skip-broken", &o->skip_broken }, { "--all-agents", &o->all_agents }, { "--help", &o->help } };
    const struct { const char *name, **to; } texts[] = { { "--model", &o->model }, { "--mmproj", &o->mmproj }, { "--calibrate", &o->calibrate } };
    int code = EXIT_OK;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(option, flags[i].name) == 0) {
            *flags[i].to = true;
            return EXIT_OK;
        }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(option, texts[i].name) == 0) {
            *texts[i].to = cli_value(cli, option, &code);
            return code;
        }
    if (strcmp(option, "--set") == 0) return take_set(o, cli, &code);
    if (strcmp(option, "--mode") == 0) return cli_choice(cli, option, eval_modes, &o->mode);
    if (strcmp(option, "--compute") == 0) return cli_choice(cli, option, cli_computes, &o->compute);
    code = take_number(o, cli, option);
    return code >= 0 ? code : cli_no_option(cli, option);
}

static int read_options(EvalOptions *o, Cli *cli)
{
    int code = EXIT_OK;
    const char *option;
    bool agents = false, batch = false, temp = false;
    while (code == EXIT_OK && (option = cli_next(cli, &code))) {
        agents = agents || strcmp(option, "--agents") == 0;
        batch = batch || strcmp(option, "--batch") == 0;
        temp = temp || strcmp(option, "--temp") == 0;
        code = take_option(o, cli, option);
        if (o->help) return EXIT_OK;
    }
    if (code != EXIT_OK) return code;
    const bool many = o->mode == MUSE_MODE_CONTEMPLATING;
    if (o->n_sets == 0) return cli_usage("eval: which questions? (muse eval --set FILE.jsonl)");
    if (agents && !many) return cli_usage("--agents goes with --mode contemplating");
    if (o->views && !many) return cli_usage("--views goes with --mode contemplating");
    if (o->all_agents && !many) return cli_usage("--all-agents goes with --mode contemplating");
    if (o->all_agents && o->calibrate) return cli_usage("--calibrate is for agents that stop where they agree, as they do elsewhere");
    if (o->doubt > 0 && o->mode != MUSE_MODE_AUTO) return cli_usage("--doubt goes with --mode auto");
    if (batch && many) return cli_usage("--batch: contemplating, the agents of one question step together");
    if (temp && many && o->temperature <= 0) return cli_usage("eval: with --temp 0 all agents would say the same");
    if (o->calibrate && !many) return cli_usage("--calibrate goes with --mode contemplating");
    if (o->budget && o->mode == MUSE_MODE_INSTANT) return cli_usage("--budget is for thoughts, and instant has none");
    return EXIT_OK;
}

/* ---- the run ---- */

static int read_sets(Eval *e)
{
    MuseError err;
    e->sets.skip_broken = e->o.skip_broken;
    for (size_t i = 0; i < e->o.n_sets; i++)
        if (eval_sets_add(&e->sets, e->o.sets[i], e->o.limit, &err) < 0) return cli_fail(&err, NULL);
    e->left_out = e->sets.skipped;
    if (e->o.calibrate && !(e->points = calloc(e->sets.n + 1, sizeof *e->points))) return EXIT_RESOURCE;
    return (e->g = yajl_gen_alloc(NULL)) ? EXIT_OK : EXIT_RESOURCE;
}

static int open_model(Eval *e)
{
    MuseError err;
    MuseModelParams p;
    muse_model_params_init(&p);
    p.mmproj = e->o.mmproj;
    int code = EXIT_OK;
    if (!(e->path = cli_model_path(e->o.model, &code))) return code;
    e->o.model = e->path;
    if (!e->cli->quiet) {
        e->cli->warnings.few = true;
        e->cli->runtime.log = print_some;
        e->cli->runtime.log_user = e;
    }
    if (muse_runtime_open(&e->rt, &e->cli->runtime, &err) < 0) return cli_fail(&err, NULL);
    if (muse_model_open(&e->model, e->rt, e->o.model, &p, &err) < 0) return cli_fail(&err, e->o.model);
    return muse_prefix_cache_open(&e->cache, e->model, cache_bytes, &err) < 0 ? cli_fail(&err, NULL) : EXIT_OK;
}

static bool has_progress(const Eval *e) { return !e->cli->quiet && cli_columns(); }

void eval_erase_progress(const Eval *e)
{
    if (has_progress(e)) fputs("\r\033[K", stderr);
}

static void show_progress(const Eval *e, size_t done)
{
    eval_erase_progress(e);
    if (has_progress(e)) fprintf(stderr, "%zu of %zu questions, %.3f right", done, e->sets.n, e->all.n ? (double)e->all.right / (double)e->all.n : 0);
}

static int ask_all(Eval *e)
{
    EvalAnswer answers[EVAL_BATCH_MAX];
    const size_t batch = e->o.mode == MUSE_MODE_CONTEMPLATING ? 1 : e->o.batch;
    int code = EXIT_OK, rc = 0;
    for (size_t at = 0; at < e->sets.n && rc == 0 && code == EXIT_OK; at += batch) {
        const size_t n = e->sets.n - at < batch ? e->sets.n - at : batch;
        rc = eval_ask(e, &e->sets.questions[at], n, answers, &e->error);
        for (size_t i = 0; i < n; i++) {
            if (answers[i].asked && code == EXIT_OK) code = eval_count(e, &e->sets.questions[at + i], &answers[i]);
            eval_answer_clear(&answers[i]);
        }
        show_progress(e, at + n);
    }
    eval_erase_progress(e);
    e->interrupted = rc == MUSE_ERR_CANCELLED;
    if (rc == 0 || e->interrupted) e->error.code = 0;   /* that of a question that was left out */
    return code;
}

static int run(Eval *e)
{
    int code = e->o.calibrate ? cli_check_writable(e->o.calibrate) : EXIT_OK;   /* not hours later */
    if (code == EXIT_OK) code = read_sets(e);
    if (code == EXIT_OK) code = open_model(e);
    if (code == EXIT_OK) code = ask_all(e);
    cli_warnings_end(&e->cli->warnings);
    if (code == EXIT_OK && (!e->error.code || e->all.n)) code = eval_print(e);   /* hours of answers are not lost to a late error */
    if (e->o.calibrate && (e->interrupted || e->error.code)) fprintf(stderr, "muse: not calibrated: %s\n", e->interrupted ? "interrupted" : "ended by an error");
    if (e->error.code) return cli_fail(&e->error, NULL);
    if (code == EXIT_OK && e->o.calibrate && !e->interrupted) code = eval_write_calibration(e);
    return code == EXIT_OK && e->interrupted ? EXIT_CANCELLED : code;
}

int cmd_eval(Cli *cli)
{
    Eval e = { .cli = cli, .o = { .mode = MUSE_MODE_THINKING, .agents = AGENTS, .batch = BATCH } };
    int code = read_options(&e.o, cli);
    if (code == EXIT_OK && e.o.help) help(stdout, cli);
    else if (code == EXIT_OK) {
        cli_catch_interrupts(true);
        code = run(&e);
    }
    eval_sets_clear(&e.sets);
    muse_prefix_cache_close(&e.cache);
    muse_model_close(&e.model);
    muse_runtime_close(&e.rt);
    if (e.g) yajl_gen_free(e.g);
    free(e.points);
    free(e.tasks);
    free(e.o.sets);
    free(e.path);
    return code;
}
