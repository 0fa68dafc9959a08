/* SPDX-License-Identifier: Apache-2.0 */
/* muse ask: a question about pictures and sounds, answered with a chain of thought. Answer to stdout, the chain to stderr as it grows. Options: ask_options.c. */
#include <stdlib.h>
#include <string.h>

#include "tools/ask.h"
#include "tools/ask_report.h"
#include "tools/trace_show.h"

typedef struct Ask {
    Cli            *cli;
    AskOptions      o;
    char           *path;        /* of the model */
    char           *question;    /* all texts, for the trace */
    MuseRuntime    *rt;
    MuseModel      *model;
    MuseTrace      *trace;
    Shown           shown;
    MuseReasonPart *parts;
    size_t          n_parts;
    MuseReasonResult result;
} Ask;

/* ---- what is asked ---- */

/* texts of the parts with spaces between them; a sound without one by its name */
static char *join_question(const Cli *cli)
{
    size_t n = 1, at = 0, texts = 0;
    for (size_t i = 0; i < cli->n_parts; i++) {
        n += strlen(cli->parts[i].value) + sizeof " (spoken: )";
        texts += cli->parts[i].kind == PART_TEXT;
    }
    char *out = malloc(n);
    if (!out) return NULL;
    out[0] = 0;
    for (size_t i = 0; i < cli->n_parts; i++) {
        const Part *p = &cli->parts[i];
        if (p->kind == PART_TEXT) at += (size_t)snprintf(out + at, n - at, "%s%s", at ? " " : "", p->value);
        else if (p->kind == PART_AUDIO && !texts) at += (size_t)snprintf(out + at, n - at, "%s(spoken: %s)", at ? " " : "", base_name(p->value));
    }
    return out;
}

static int open_part(Ask *a, const Part *part, MuseError *err)
{
    MuseReasonPart *p = &a->parts[a->n_parts];
    *p = (MuseReasonPart){ .modality = MUSE_TEXT, .text = part->value, .budget = part->budget };
    int rc = 0;
    if (part->kind == PART_IMAGE) {
        p->modality = MUSE_IMAGE;
        rc = cli_open_image(&p->image, a->rt, part->value, err);
        if (rc == 0) a->n_parts++;
        return rc == 0 ? muse_trace_add_image(a->trace, p->image, base_name(part->value), NULL, err) : rc;
    }
    if (part->kind == PART_AUDIO) {
        p->modality = MUSE_AUDIO;
        rc = cli_open_audio(&p->audio, a->rt, part->value, err);
    }
    if (rc == 0) a->n_parts++;
    return rc;
}

static int open_all(Ask *a)
{
    Cli *cli = a->cli;
    MuseError err;
    MuseModelParams mp;
    MuseTraceParams tp;
    int code = EXIT_OK;
    if (!(a->path = cli_model_path(a->o.model, &code))) return code;
    a->question = join_question(cli);
    a->parts = calloc(cli->n_parts + 1, sizeof *a->parts);
    if (!a->question || !a->parts) return EXIT_RESOURCE;
    muse_model_params_init(&mp);
    mp.mmproj = a->o.mmproj;
    if (muse_runtime_open(&a->rt, &cli->runtime, &err) < 0) return cli_fail(&err, NULL);
    muse_trace_params_init(&tp);
    tp.question = a->question;
    tp.model = base_name(a->path);
    tp.mode = ask_modes[a->o.mode];
    if (!cli->quiet && !cli->json) tp.fn = show_step;
    tp.user = &a->shown;
    if (muse_trace_open(&a->trace, a->rt, &tp, &err) < 0) return cli_fail(&err, NULL);
    for (size_t i = 0; i < cli->n_parts; i++)   /* before the model: a file that can't be read is said at once */
        if (open_part(a, &cli->parts[i], &err) < 0) return cli_fail(&err, cli->parts[i].kind == PART_TEXT ? NULL : cli->parts[i].value);
    if (muse_model_open(&a->model, a->rt, a->path, &mp, &err) < 0) return cli_fail(&err, a->path);
    cli_warn_budgets(cli, a->model);
    return EXIT_OK;
}

/* ---- running ---- */

static int reason(Ask *a)
{
    MuseError err;
    MuseAgentParams agent;
    MuseReasonParams p;
    MuseSessionParams session;
    MuseWatchParams heat;
    uint32_t layer, head;
    muse_agent_params_init(&agent);
    muse_reason_params_init(&p);
    muse_session_params_init(&session);
    session.compute = a->o.compute;
    agent.session = &session;
    agent.thought_tokens = a->o.budget;
    agent.answer_tokens = a->o.answer_tokens;
    agent.looks = a->o.looks;
    agent.no_look = a->o.no_look;
    agent.cancel = cli_interrupted;
    agent.trace = a->trace;
    muse_watch_params_init(&heat);
    if (a->o.heat) {
        if (ask_heat_at(a->model, &a->o, &layer, &head)) {
            heat.layers = &layer;
            heat.heads = &head;
            heat.n_layers = heat.n_heads = 1;
        }
        agent.heat = &heat;
    }
    p.agent = &agent;
    p.mode = (int)a->o.mode;
    p.agents = a->o.agents;
    p.views = a->o.views;
    p.doubt = (double)a->o.doubt;
    p.seed = a->cli->seed;
    p.temperature = a->o.temperature;
    const int rc = muse_reason(a->model, a->parts, a->n_parts, &p, &a->result, &err);
    return rc < 0 ? cli_fail(&err, NULL) : EXIT_OK;
}

/* The answer first: a file that can't be written takes neither it nor the other file away. The first failure is the exit code. */
static int report(Ask *a)
{
    const MuseReasonResult *r = &a->result;
    const Cli *cli = a->cli;
    const bool several = a->o.mode == MUSE_MODE_CONTEMPLATING;
    size_t n;
    const char *answer = trace_answer(a->trace, a->o.raw, &n);
    int code = EXIT_OK;
    if (cli->json) code = ask_print_json(a->trace, &(AskJson){ r->agents, r->n_agents, several ? r : NULL, a->model, a->parts, a->n_parts });
    else if (r->answer && (!show_answer_text(answer, n) || !show_answer_text("\n", 1))) code = EXIT_OTHER;
    if (!cli->json && !cli->quiet) {
        if (a->o.raw) ask_print_written(r->agents, r->n_agents);
        if (several) ask_print_vote(r, a->trace);
        show_summary(a->trace);
    }
    const int png = a->o.annotate ? trace_write(a->trace, TRACE_PNG, a->o.annotate, a->o.heat, cli->quiet) : EXIT_OK;
    const int html = a->o.html ? trace_write(a->trace, TRACE_HTML, a->o.html, a->o.heat, cli->quiet) : EXIT_OK;
    if (!r->answer) fputs("muse: the model ended without an answer\n", stderr);
    if (code == EXIT_OK) code = png != EXIT_OK ? png : html;
    return code == EXIT_OK && !r->answer ? EXIT_OTHER : code;
}

int cmd_ask(Cli *cli)
{
    Ask a = { .cli = cli };
    int code = ask_read_options(&a.o, cli);
    if (code == EXIT_OK && !a.o.help) {
        cli_catch_interrupts(true);
        code = open_all(&a);
        if (code == EXIT_OK) code = reason(&a);
        if (code == EXIT_OK) code = report(&a);
    }
    muse_reason_result_clear(&a.result);
    for (size_t i = 0; i < a.n_parts; i++) {
        muse_image_close(&a.parts[i].image);
        muse_audio_close(&a.parts[i].audio);
    }
    free(a.parts);
    free(a.question);
    free(a.path);
    muse_trace_close(&a.trace);
    muse_model_close(&a.model);
    muse_runtime_close(&a.rt);
    return code;
}
