/* SPDX-License-Identifier: Apache-2.0 */
/* muse chat: a conversation with a model about pictures and sounds, several turns over one session; or, for models that were trained on single
 * questions, one question after the other about the same pictures. Answers to stdout as they come, chains of thought and everything else to
 * stderr. Works with piped lines too. Commands: talk_commands.c; several agents: talk_several.c. */
#include "tools/talk.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ask_report.h"
#include "tools/line_input.h"

static void failed(Talk *t, int code) { t->code = code; }

/* ---- the next message ---- */

void talk_queue(Talk *t, PartKind kind, const char *path, uint32_t budget)
{
    MuseReasonPart p = { .modality = kind == PART_IMAGE ? MUSE_IMAGE : MUSE_AUDIO, .budget = budget };
    MuseError err;
    if (t->n_queue == TALK_QUEUE) {
        fprintf(stderr, "muse: a message has at most %d pictures and sounds\n", TALK_QUEUE);
        failed(t, EXIT_RESOURCE);
        return;
    }
    const int rc = kind == PART_IMAGE ? cli_open_image(&p.image, t->rt, path, &err) : cli_open_audio(&p.audio, t->rt, path, &err);
    if (rc < 0) {
        failed(t, cli_fail(&err, path));
        return;
    }
    t->queue_names[t->n_queue] = strdup(base_name(path));
    t->queue[t->n_queue++] = p;
}

/* what was to go with the next message */
static void drop_queue(Talk *t)
{
    for (size_t i = 0; i < t->n_queue; i++) {
        muse_image_close(&t->queue[i].image);
        muse_audio_close(&t->queue[i].audio);
        free(t->queue_names[i]);
    }
    t->n_queue = t->n_looks = 0;
}

static bool queued(const Talk *t, int modality)
{
    for (size_t i = 0; i < t->n_queue; i++)
        if (t->queue[i].modality == modality) return true;
    return false;
}

bool talk_begins_anew(const Talk *t) { return t->history == HISTORY_NONE && queued(t, MUSE_IMAGE); }

static void drop_pictures(Talk *t)
{
    for (size_t i = 0; i < t->n_pictures; i++) {
        muse_image_close(&t->pictures[i].image);
        free(t->pictures[i].name);
    }
    t->n_pictures = 0;
}

/* as parts of a message; how many */
static size_t picture_parts(const Talk *t, MuseReasonPart *out)
{
    for (size_t i = 0; i < t->n_pictures; i++) out[i] = (MuseReasonPart){ .modality = MUSE_IMAGE, .image = t->pictures[i].image, .budget = t->pictures[i].budget };
    return t->n_pictures;
}

/* room for the queue's pictures among the conversation's, so that keeping them can't fail */
static bool make_room(Talk *t)
{
    const size_t want = t->n_pictures + t->n_queue;
    if (want <= t->room) return true;
    TalkPicture *pictures = realloc(t->pictures, want * 2 * sizeof *pictures);
    if (!pictures) return false;
    t->pictures = pictures;
    t->room = want * 2;
    return true;
}

/* the message was taken: its pictures are the conversation's */
static void keep_pictures(Talk *t)
{
    if (talk_begins_anew(t)) drop_pictures(t);
    for (size_t i = 0; i < t->n_queue; i++) {
        if (!t->queue[i].image) continue;
        t->pictures[t->n_pictures++] = (TalkPicture){ t->queue[i].image, t->queue_names[i], t->queue[i].budget };
        t->queue[i].image = NULL;
        t->queue_names[i] = NULL;
    }
    drop_queue(t);
}

/* a trace of this turn, with the pictures that it is about under their names */
static int open_trace(Talk *t, const char *text, MuseTrace **out, MuseError *err)
{
    MuseTraceParams p;
    muse_trace_params_init(&p);
    p.question = text;
    p.model = base_name(t->path);
    p.mode = ask_modes[t->o.mode];
    if (!t->cli->quiet && !t->cli->json) p.fn = show_step;
    p.user = &t->chain;
    t->chain.live = 0;
    int rc = muse_trace_open(out, t->rt, &p, err);
    for (size_t i = 0; rc == 0 && i < t->n_pictures && !talk_begins_anew(t); i++) rc = muse_trace_add_image(*out, t->pictures[i].image, t->pictures[i].name, NULL, err);
    for (size_t i = 0; rc == 0 && i < t->n_queue; i++)
        if (t->queue[i].image) rc = muse_trace_add_image(*out, t->queue[i].image, t->queue_names[i], NULL, err);
    return rc;
}

/* ---- a turn ---- */

/* bytes before the first place token: what comes then is shown in pixels once it is complete */
static size_t before_places(const char *text, size_t n)
{
    static const char *const words[] = { "<x", "<y", "<box>", "<point>", "<image " };
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; text[i] == '<' && k < sizeof words / sizeof *words; k++)
            if (strlen(words[k]) <= n - i && memcmp(text + i, words[k], strlen(words[k])) == 0) return i;
    return n;
}

/* what is new of the answer, as it comes */
static int show_answer(void *user, const MuseReasonEvent *event)
{
    Talk *t = user;
    MuseAgentInfo info;
    if (event->kind != MUSE_EVENT_TOKEN || t->cli->json || muse_agent_info(t->agent, &info) < 0) return 0;
    if (t->o.mode == MUSE_MODE_CONTEMPLATING || (t->o.mode == MUSE_MODE_AUTO && !info.doubted)) return 0;   /* others may win; it may be taken back */
    if (info.n_answer < t->shown) t->shown = 0;   /* behind a call of a tool it begins anew */
    const size_t from = t->shown, to = t->o.raw ? info.n_answer : before_places(info.answer, info.n_answer);
    if (to <= from) return 0;
    t->shown = to;
    return !show_answer_text(info.answer + from, to - from);
}

/* of the mode */
static double doubt_of(const Talk *t) { return t->o.mode != MUSE_MODE_AUTO ? 0 : t->o.doubt > 0 ? (double)t->o.doubt : MUSE_DOUBT; }

void talk_params(Talk *t, TalkParams *p)
{
    MuseAgentParams *a = &p->agent;
    muse_agent_params_init(a);
    muse_session_params_init(&p->session);
    muse_sample_params_init(&p->sample);
    p->session.compute = t->o.compute;
    p->session.cache = t->cache;
    p->sample.temperature = t->o.temperature;
    p->sample.seed = t->cli->seed;
    a->session = &p->session;
    a->sample = &p->sample;
    a->system = t->system;
    a->thought_tokens = t->o.budget;
    a->answer_tokens = t->o.answer_tokens;
    a->looks = t->o.looks;
    a->no_look = t->o.no_look;
    a->cancel = cli_interrupted;
    a->event = show_answer;
    a->event_user = t;
}

static int open_agent(Talk *t, const MuseReasonPart *parts, size_t n, MuseTrace *trace, int thinking, MuseError *err)
{
    TalkParams p;
    talk_params(t, &p);
    p.agent.thinking = thinking;
    p.agent.doubt = doubt_of(t);
    p.agent.trace = trace;
    return muse_agent_open(&t->agent, t->model, parts, n, &p.agent, err);
}

/* One of several goes on alone: with its own random numbers it would draw where one agent takes the most probable token */
static int settle_agent(Talk *t, MuseError *err)
{
    MuseAgent *plain;
    const int rc = muse_agent_fork(&plain, t->agent, 0, t->cli->seed, t->o.temperature, err);
    if (rc < 0) return rc;
    muse_agent_close(&t->agent);
    t->agent = plain;
    t->chosen = false;
    return 0;
}

static int begin_turn(Talk *t, const MuseReasonPart *parts, size_t n, MuseTrace *trace, MuseError *err)
{
    MuseTurnParams p;
    muse_turn_params_init(&p);
    p.trace = trace;
    p.thought_tokens = t->o.budget;
    p.thinking = t->o.mode == MUSE_MODE_THINKING ? MUSE_THINKING_ON : MUSE_THINKING_OFF;
    p.doubt = doubt_of(t);
    MuseAgent *before = t->agent;
    if (t->history == HISTORY_NONE) t->agent = NULL;
    const bool first = !t->agent;
    int rc = first ? open_agent(t, parts, n, trace, p.thinking, err) : muse_agent_ask(t->agent, parts, n, &p, err);
    if (rc == MUSE_ERR_UNSUPPORTED && p.thinking == MUSE_THINKING_ON) {   /* a format without thoughts: it thinks aloud, or not at all */
        MuseError second;
        p.thinking = MUSE_THINKING_DEFAULT;
        rc = first ? open_agent(t, parts, n, trace, p.thinking, &second) : muse_agent_ask(t->agent, parts, n, &p, &second);
        if (rc < 0) *err = second;
    }
    if (rc == 0 && t->n_looks && p.thinking == MUSE_THINKING_OFF) {
        fputs("muse: /look: not shown: an instant answer has no thought to look in\n", stderr);
        failed(t, EXIT_USAGE);
        t->n_looks = 0;
    }
    if (rc < 0) t->agent = before;
    else if (first) muse_agent_close(&before);
    if (rc == 0 && first) t->chosen = false;
    if (rc == 0 && t->chosen && settle_agent(t, err) < 0) failed(t, cli_fail(err, NULL));   /* it goes on as it is */
    for (size_t i = 0; rc == 0 && i < t->n_looks; i++)
        if (muse_look(t->agent, t->looks[i].image, t->looks[i].rect, err) < 0) failed(t, cli_fail(err, "/look"));   /* the question is asked all the same */
    return rc;
}

static void finish_trace(Talk *t, double seconds)
{
    MuseAgentInfo info;
    MuseTraceSummary s;
    MuseError err;
    muse_agent_info(t->agent, &info);
    muse_trace_summary_init(&s);
    s.answer = info.answer;
    s.n_answer = info.n_answer;
    if (info.n_answer) s.confidence = info.confidence < 1 ? info.confidence : 1;
    s.prompt_tokens = info.prompt_tokens;
    s.thought_tokens = info.thought_tokens;
    s.look_tokens = info.view_positions;
    s.answer_tokens = info.answer_tokens;
    s.seconds = seconds;
    if (muse_trace_set_summary(t->trace, &s, &err) < 0) failed(t, cli_fail(&err, NULL));
}

/* "pictures" are all of the conversation, as the trace's "images" are */
static int print_json(const Talk *t, const MuseReasonResult *several)
{
    MuseReasonPart *parts = calloc(t->n_pictures + 1, sizeof *parts);
    if (!parts) return EXIT_RESOURCE;
    picture_parts(t, parts);
    AskJson more = { .agents = &t->agent, .n = 1, .model = t->model, .parts = parts, .n_parts = t->n_pictures };
    if (several) more.agents = several->agents, more.n = several->n_agents, more.vote = several;
    const int code = ask_print_json(t->trace, &more);
    free(parts);
    return code;
}

/* why there is no whole answer; several: the vote tells of each */
static void say_how_it_ended(const MuseAgentInfo *info, bool answered, bool several)
{
    if (!several && info->finish == MUSE_AGENT_LENGTH) fputs("muse: cut off: the tokens of the answer are spent (--answer-tokens)\n", stderr);
    else if (!several && info->finish == MUSE_AGENT_FULL) fputs("muse: cut off: the conversation is full; /reset begins a new one\n", stderr);
    else if (!answered) fputs("muse: no answer\n", stderr);
}

static void report(Talk *t, int rc, const MuseError *err, const MuseReasonResult *several)
{
    MuseAgentInfo info = { 0 };
    muse_agent_info(t->agent, &info);
    size_t n = 0;
    const char *answer = trace_answer(t->trace, t->o.raw, &n);   /* none of a turn that was stopped within it */
    const bool answered = several ? several->answer != NULL : info.n_answer > 0;
    if (!t->cli->json && n > t->shown) show_answer_text(answer + t->shown, n - t->shown);
    if (t->shown || (!t->cli->json && answered)) putchar('\n');
    fflush(stdout);   /* what is said about the answer comes behind it */
    if (t->cli->json && rc == 0) {
        const int code = print_json(t, several);
        if (code) failed(t, code);
    }
    if (rc == MUSE_ERR_CANCELLED) fputs("muse: stopped\n", stderr);
    else if (rc < 0) failed(t, cli_fail(err, NULL));
    else say_how_it_ended(&info, answered, several != NULL);
    if (!t->cli->quiet && !t->cli->json) {
        if (t->o.raw) ask_print_written(several ? several->agents : &t->agent, several ? several->n_agents : 1);
        if (several && rc == 0) ask_print_vote(several, t->trace);
        show_summary(t->trace);
    }
    if (fflush(stdout) || ferror(stdout)) {   /* ferror: what failed before, above and as the answer came */
        failed(t, EXIT_OTHER);
        t->quit = true;   /* nobody gets more answers */
    }
}

/* without a history the pictures go in again, sounds don't: parts of a message or two of TALK_QUEUE at most */
static size_t collect(const Talk *t, const char *text, bool again, MuseReasonPart *parts)
{
    size_t n = again ? picture_parts(t, parts) : 0;
    memcpy(parts + n, t->queue, t->n_queue * sizeof *parts);
    n += t->n_queue;
    if (*text) parts[n++] = (MuseReasonPart){ .modality = MUSE_TEXT, .text = text };
    return n;
}

/* without a history a message is asked without something that was there before */
static void tell_what_is_left_out(Talk *t, bool sounds)
{
    if (t->agent && !t->told && !t->cli->quiet) {
        fputs("muse: each message is a question by itself, about the newest pictures, as models of this family are trained (--history keep: one conversation)\n", stderr);
        t->told = true;
    }
    if (t->history == HISTORY_NONE && t->sounds && !sounds && !t->cli->quiet)
        fputs("muse: the sound of the message before is not given again; /audio FILE does\n", stderr);
}

/* the agent to its end */
static int run_turn(Talk *t, MuseError *err)
{
    const double start = cli_now();
    const int rc = muse_agent_run(&t->agent, 1, err);
    if (rc == MUSE_ERR_CANCELLED) {   /* the turn is over: a stopped agent has its last words put into the trace by the next run */
        MuseError second;
        cli_take_interrupt();
        muse_agent_stop(t->agent);
        if (muse_agent_run(&t->agent, 1, &second) < 0 && second.code != MUSE_ERR_CANCELLED) failed(t, cli_fail(&second, NULL));
    }
    finish_trace(t, cli_now() - start);
    return rc;
}

/* the message was not taken: nothing of it is left */
static void forget_message(Talk *t, MuseTrace *trace, int rc, const MuseError *err)
{
    muse_trace_close(&trace);
    drop_queue(t);
    if (rc != MUSE_ERR_CANCELLED) failed(t, cli_fail(err, NULL));
    else fputs("muse: stopped before it began: the message is forgotten\n", stderr);
    cli_take_interrupt();
}

void talk_say(Talk *t, const char *text)
{
    MuseReasonPart parts[2 * TALK_QUEUE + 1];
    MuseReasonResult r = { 0 };
    MuseError err;
    MuseTrace *trace = NULL;
    if (!t->n_queue && !*text) return;
    const bool again = t->history == HISTORY_NONE && !talk_begins_anew(t), several = t->o.mode == MUSE_MODE_CONTEMPLATING;
    const size_t n = collect(t, text, again, parts);
    const bool sounds = queued(t, MUSE_AUDIO);
    bool taken = false;
    tell_what_is_left_out(t, sounds);
    if (!again) cli_warnings_end(&t->cli->warnings);   /* of the turn before: the same words about another picture are said again */
    int rc = MUSE_ERR_NOMEM;
    if (make_room(t)) rc = open_trace(t, text, &trace, &err);
    else err = (MuseError){ rc, "no memory for the pictures" };
    const CliWarnings before = t->cli->warnings;
    if (rc == 0) rc = several ? talk_contemplate(t, parts, n, trace, &r, &taken, &err) : begin_turn(t, parts, n, trace, &err);
    if (again) memcpy(t->cli->warnings.again, before.again, sizeof before.again);   /* this turn's are of the same pictures */
    if (several ? !taken : rc < 0) {
        muse_reason_result_clear(&r);
        forget_message(t, trace, rc, &err);
        return;
    }
    keep_pictures(t);
    t->sounds = sounds;
    muse_trace_close(&t->trace);
    t->trace = trace;
    t->shown = 0;
    if (!several) rc = run_turn(t, &err);
    report(t, rc, &err, several ? &r : NULL);
    if (several) talk_adopt(t, &r);
    muse_agent_stop(t->agent);   /* nothing, if it has ended */
    cli_take_interrupt();
}

void talk_reset(Talk *t)
{
    muse_agent_close(&t->agent);
    muse_trace_close(&t->trace);
    drop_queue(t);
    drop_pictures(t);
    t->sounds = t->chosen = false;
}

/* ---- the command ---- */

static void help(FILE *to, const Cli *cli)
{
    fputs("usage: muse chat [OPTION ...] [PARTS]\n"
          "Talks with a model about pictures and sounds. Lines come from standard input; answers go to stdout, chains of thought to stderr.\n"
          "Ctrl-C stops an answer, Ctrl-D ends the program.\n\n"
          "  --mode MODE               instant, thinking (unless told), auto or contemplating; auto thinks if the instant answer is in\n"
          "                            doubt, contemplating are several agents and a vote\n"
          "  --agents N                contemplating: how many, 1 to 256; 8 unless told\n"
          "  --views N                 contemplating: ways of seeing the pictures, 1 (all agents see them as they are) to 8; unless told\n"
          "                            8 where the model has place tokens. Always 1 in a conversation (--history keep) and with /look\n"
          "  --history auto|keep|none  keep: one conversation; none: each message is a question by itself, about the pictures that came\n"
          "                            last, without the sounds before it; auto, unless told: none in models of the family muse, else keep\n"
          "  --system STRING           the system message\n", to);
    ask_shared_help(to);
    fputs("  With --json: a line for each answer, as muse ask --json.\n"
          "  Pictures and sounds among the options belong to the first message.\n\n", to);
    talk_commands_help(to);
    cli_common_help(to, cli);
}

static int read_options(Talk *t)
{
    static const char *const histories[] = { "auto", "keep", "none", NULL };
    int code = EXIT_OK;
    t->o = (AskOptions){ .mode = MUSE_MODE_THINKING };
    for (const char *option; code == EXIT_OK && (option = cli_next(t->cli, &code)) != NULL;) {
        if (strcmp(option, "--help") == 0) {
            help(stdout, t->cli);
            t->o.help = true;
            return EXIT_OK;
        }
        if (strcmp(option, "--mode") == 0) code = cli_choice(t->cli, option, ask_modes, &t->o.mode);
        else if (strcmp(option, "--agents") == 0) code = cli_whole(t->cli, option, 1, MUSE_AGENTS_MAX, &t->o.agents);
        else if (strcmp(option, "--views") == 0) code = cli_whole(t->cli, option, 1, MUSE_VIEWS, &t->o.views);
        else if (strcmp(option, "--history") == 0) code = cli_choice(t->cli, option, histories, &t->history);
        else if (strcmp(option, "--system") == 0) t->system = cli_value(t->cli, option, &code);
        else if (!ask_take_option(&t->o, t->cli, option, &code)) code = cli_no_option(t->cli, option);
    }
    for (size_t i = 0; code == EXIT_OK && i < t->cli->n_parts; i++) {
        const Part *p = &t->cli->parts[i];
        if (strcmp(p->value, "-") == 0) code = cli_usage("chat: standard input is where the lines come from");
    }
    if (code == EXIT_OK && t->o.no_look && t->o.looks) code = cli_usage("chat: --looks or --no-look, not both");
    if (code == EXIT_OK && t->o.mode == MUSE_MODE_CONTEMPLATING && ask_all_alike(&t->o)) code = cli_usage("chat: with --temp 0 all agents would say the same");
    return code;
}

static int settle_history(Talk *t)
{
    MuseModelInfo info;
    MuseError err;
    muse_model_info(t->model, &info);
    t->told = t->history != HISTORY_AUTO || strcmp(info.family, "muse") != 0;
    if (t->history == HISTORY_AUTO) t->history = t->told ? HISTORY_KEEP : HISTORY_NONE;
    if (t->history == HISTORY_KEEP) return t->o.views > 1 ? cli_usage("chat: --views " TALK_ONE_VIEW) : EXIT_OK;
    return muse_prefix_cache_open(&t->cache, t->model, 0, &err) < 0 ? cli_fail(&err, NULL) : EXIT_OK;
}

static int open_all(Talk *t)
{
    MuseError err;
    MuseModelParams p;
    int code = EXIT_OK;
    if (!(t->path = cli_model_path(t->o.model, &code))) return code;
    muse_model_params_init(&p);
    p.mmproj = t->o.mmproj;
    if (muse_runtime_open(&t->rt, &t->cli->runtime, &err) < 0) return cli_fail(&err, NULL);
    for (size_t i = 0; i < t->cli->n_parts && t->code == EXIT_OK; i++) talk_queue(t, t->cli->parts[i].kind, t->cli->parts[i].value, t->cli->parts[i].budget);
    if (t->code != EXIT_OK) return t->code;
    if (muse_model_open(&t->model, t->rt, t->path, &p, &err) < 0) return cli_fail(&err, t->path);
    cli_warn_budgets(t->cli, t->model);
    return settle_history(t);
}

static void talk(Talk *t, LineInput *in)
{
    const bool person = line_input_is_person(in);
    if (person && !t->cli->quiet) fprintf(stderr, "muse chat with %s. /help lists the commands, /quit or Ctrl-D ends.\n", base_name(t->path));
    while (!t->quit && t->code != EXIT_CANCELLED) {
        bool interrupted;
        char *line = line_input_next(in, &interrupted);
        if (!line && interrupted && person) fputc('\n', stderr);
        else if (!line && interrupted) t->code = EXIT_CANCELLED;   /* between two lines of a script */
        else if (!line) break;
        else if (line[0] == '/' && line[1] != '/') talk_command(t, line + 1);
        else talk_say(t, line[0] == '/' ? line + 1 : line);
        if (person) t->code = t->code == EXIT_CANCELLED ? t->code : EXIT_OK;   /* a person has seen it; a script gets it as exit code */
    }
    if (person) fputc('\n', stderr);
}

int cmd_chat(Cli *cli)
{
    Talk t = { .cli = cli };
    t.code = read_options(&t);
    if (t.code == EXIT_OK && !t.o.help) t.code = open_all(&t);
    if (t.code == EXIT_OK && !t.o.help) {
        LineInput *in = line_input_open("> ");
        cli_catch_interrupts(false);
        if (in) talk(&t, in);
        else t.code = EXIT_RESOURCE;
        line_input_close(in);
    }
    talk_reset(&t);
    free(t.pictures);
    muse_prefix_cache_close(&t.cache);
    free(t.path);
    muse_model_close(&t.model);
    muse_runtime_close(&t.rt);
    return t.code;
}
