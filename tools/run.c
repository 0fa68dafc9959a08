/* SPDX-License-Identifier: Apache-2.0 */
/* muse run: a model goes on from parts. Text to stdout as it comes, status to stderr. Options: run_options.c. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/dump.h"
#include "tools/run.h"

enum { END_IDS_MAX = 64, SCHEMA_BYTES_MAX = 1 << 24 };

typedef struct Run {
    Cli          *cli;
    RunOptions    o;
    char         *path;        /* of the model */
    MuseRuntime  *rt;
    MuseModel    *model;
    MuseSession  *s;
    MuseGrammar  *grammar;
    const char   *format;      /* chat format in use, NULL: none */
    Dump          dump;
    int32_t      *prompt;      /* ids of the prompt's positions */
    size_t        n_prompt, restored;   /* positions; of these, those that were computed before */
    MuseGenerateResult result;
    MuseChatParser *parser;    /* tells thought from answer; NULL: no chat format, or a grammar holds for the whole text */
    FILE         *to[2];       /* answer, thought; NULL: not shown */
    char         *said[2];     /* with --json: what they hold */
    size_t        n_said[2];
    bool          thinks;      /* a thought stands on the terminal's last line */
    double        prompt_s, new_s;
    bool          progress;    /* a line of progress stands on the terminal */
} Run;

/* ---- interruption ---- */

static volatile sig_atomic_t interrupted;
static MuseSession *volatile running;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
    if (running) muse_session_cancel(running);   /* one atomic store */
}

static void catch_interrupts(void)
{
    struct sigaction a = { .sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND };   /* a second one ends the program */
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
}

static int stop_asked(void *user)
{
    (void)user;
    return interrupted;
}

/* ---- what is shown while it works ---- */

static int show_progress(void *user, uint64_t done, uint64_t total)
{
    Run *r = user;
    if (!r->cli->quiet && cli_columns() && done < total) {
        fprintf(stderr, "\rprompt: %llu of %llu positions", (unsigned long long)done, (unsigned long long)total);
        r->progress = true;
    }
    return r->dump.err.code;
}

static bool put(Run *r, bool thought, const char *text, size_t n)
{
    FILE *to = r->to[thought];
    if (!n || !to) return true;
    if (!r->cli->json && thought != r->thinks) fputs(thought ? "thought: " : "\n", stderr);
    r->thinks = thought;
    return fwrite(text, 1, n, to) == n && fflush(to) == 0;
}

/* what the parser knows by now; a call is shown as it is, since nobody is there to carry it out */
static bool put_items(Run *r)
{
    MuseChatItem i;
    bool ok = true;
    while (ok && muse_chat_parser_next(r->parser, &i) == 0) {
        if (i.kind == MUSE_CHAT_CALL) ok = put(r, false, i.name, strlen(i.name)) && put(r, false, i.arguments, i.n_arguments);
        else if (i.kind != MUSE_CHAT_END) ok = put(r, i.kind == MUSE_CHAT_THOUGHT || (i.kind == MUSE_CHAT_TOKEN && i.thought), i.text, i.n);
    }
    return ok;
}

static int show_token(void *user, const MuseGenerated *token)
{
    Run *r = user;
    if (!r->parser) return !put(r, false, token->text, token->n_text);
    return (token->n_text && muse_chat_parser_feed_text(r->parser, token->text, token->n_text, NULL, NULL) < 0) || !put_items(r);
}

/* nothing follows: what the parser held back */
static int end_text(Run *r)
{
    MuseError err;
    if (r->parser && muse_chat_parser_finish(r->parser, &err) < 0) return cli_fail(&err, NULL);
    if (r->parser && !put_items(r)) return EXIT_OTHER;
    if (r->thinks && !r->cli->json) fputc('\n', stderr);
    return EXIT_OK;
}

/* ---- opening ---- */

static int open_session(Run *r, MuseError *err)
{
    MuseSessionParams p;
    muse_session_params_init(&p);
    p.compute = r->o.compute;
    p.kv = r->o.kv;
    p.image_mask = r->o.image_mask;
    p.chunk = r->o.chunk;
    p.progress = show_progress;
    p.progress_user = r;
    int rc = 0;
    if (r->o.dump) {
        rc = dump_open(&r->dump, r->o.dump, err);
        p.stage = dump_stage;
        p.stage_user = &r->dump;
    }
    if (rc < 0) return rc;
    return r->o.restore ? muse_session_restore(&r->s, r->model, r->o.restore, &p, err) : muse_session_open(&r->s, r->model, &p, err);
}

static int open_all(Run *r)
{
    MuseError err;
    MuseModelParams p;
    muse_model_params_init(&p);
    p.mmproj = r->o.mmproj;
    int code = EXIT_OK;
    if (!(r->path = cli_model_path(r->o.model, &code))) return code;
    r->o.model = r->path;
    if (muse_runtime_open(&r->rt, &r->cli->runtime, &err) < 0) return cli_fail(&err, NULL);
    if (muse_model_open(&r->model, r->rt, r->o.model, &p, &err) < 0) return cli_fail(&err, r->o.model);
    cli_warn_budgets(r->cli, r->model);
    return open_session(r, &err) < 0 ? cli_fail(&err, r->o.restore ? r->o.restore : r->o.model) : EXIT_OK;
}

/* ---- grammar ---- */

/* a file's contents, terminated; free() them */
static char *read_text(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    char *text = f ? malloc(SCHEMA_BYTES_MAX + 1) : NULL;
    *n = text ? fread(text, 1, SCHEMA_BYTES_MAX + 1, f) : 0;
    const bool ok = text && !ferror(f) && *n <= SCHEMA_BYTES_MAX;
    if (!ok) fprintf(stderr, "muse: %s: can't read: %s\n", path, text && *n > SCHEMA_BYTES_MAX ? "over 16 MiB" : strerror(errno));
    if (f) fclose(f);
    if (ok) return text;
    free(text);
    return NULL;
}

/* what ends a text of this model, to end the grammar's text too */
static size_t end_ids(const Run *r, const MuseTextTokenizer *tok, int32_t *ids)
{
    MuseModelInfo info;
    MuseTextInfo text;
    size_t more = 0, n = 0;
    muse_model_info(r->model, &info);
    for (; n < info.n_eos && n < END_IDS_MAX / 2; n++) ids[n] = info.eos[n];
    if (n == 0 && muse_text_info(tok, &text) == 0 && text.eos >= 0) ids[n++] = text.eos;
    if (r->format && muse_chat_stop_ids(r->format, tok, ids + n, END_IDS_MAX - n, &more, NULL) == 0) n += more;
    return n;
}

static int open_grammar(Run *r)
{
    const MuseTextTokenizer *tok = muse_session_tokenizer(r->s);
    MuseGrammarParams p;
    MuseError err;
    int32_t ids[END_IDS_MAX];
    if (!r->o.schema && !r->o.regex) return EXIT_OK;
    if (!tok) {
        fprintf(stderr, "muse: %s: without a tokenizer there is no text that a grammar could be of\n", r->o.model);
        return EXIT_UNSUPPORTED;
    }
    muse_grammar_params_init(&p);
    p.n_end = end_ids(r, tok, ids);
    p.end_ids = p.n_end ? ids : NULL;
    int rc;
    if (r->o.regex) {
        rc = muse_grammar_open_regex(&r->grammar, r->rt, tok, r->o.regex, strlen(r->o.regex), &p, &err);
    } else {
        const char *inside = r->o.schema + strspn(r->o.schema, " \t\r\n");
        size_t n = strlen(r->o.schema);
        char *file = *inside == '{' ? NULL : read_text(r->o.schema, &n);
        if (*inside != '{' && !file) return EXIT_INPUT;
        rc = muse_grammar_open_schema(&r->grammar, r->rt, tok, file ? file : r->o.schema, n, &p, &err);
        free(file);
    }
    r->o.sample.grammar = r->grammar;
    return rc < 0 ? cli_fail(&err, r->o.regex ? "--regex" : "--json-schema") : EXIT_OK;
}

/* ---- prompt ---- */

static int append_raw(Run *r, unsigned text_flags)
{
    MuseError err;
    for (size_t i = 0; i < r->cli->n_parts; i++) {
        const Part *part = &r->cli->parts[i];
        if (cli_append_part(muse_session_sequence(r->s), r->rt, part, text_flags, &err) < 0) return cli_fail(&err, part->kind == PART_TEXT || part->kind == PART_IDS ? NULL : part->value);
    }
    return EXIT_OK;
}

static int add_part(MuseChat *chat, MuseRuntime *rt, const Part *part, MuseError *err)
{
    MuseImage *image = NULL;
    MuseAudio *audio = NULL;
    MuseImageOptions options;
    muse_image_options_init(&options);
    options.budget = part->budget;
    if (part->kind == PART_TEXT) return muse_chat_add_text(chat, part->value, strlen(part->value), err);
    int rc = part->kind == PART_IMAGE ? cli_open_image(&image, rt, part->value, err) : cli_open_audio(&audio, rt, part->value, err);
    if (rc == 0) rc = image ? muse_chat_add_image(chat, image, &options, err) : muse_chat_add_audio(chat, audio, err);
    muse_image_close(&image);
    muse_audio_close(&audio);
    return rc;
}

/* all parts in order inside one user message */
static int append_chat(Run *r)
{
    MuseError err;
    MuseChat *chat = NULL;
    MuseChatParams p;
    muse_chat_params_init(&p);
    p.format = r->format;
    p.thinking = (int)r->o.think;
    const char *what = NULL;
    int rc = muse_chat_open(&chat, r->rt, &p, &err);
    if (rc == 0 && r->o.system) {
        rc = muse_chat_add(chat, MUSE_ROLE_SYSTEM, &err);
        if (rc == 0) rc = muse_chat_add_text(chat, r->o.system, strlen(r->o.system), &err);
    }
    if (rc == 0) rc = muse_chat_add(chat, MUSE_ROLE_USER, &err);
    for (size_t i = 0; rc == 0 && i < r->cli->n_parts; i++) {
        what = r->cli->parts[i].kind == PART_TEXT ? NULL : r->cli->parts[i].value;
        rc = add_part(chat, r->rt, &r->cli->parts[i], &err);
    }
    if (rc == 0) {
        what = NULL;
        rc = muse_chat_append(chat, muse_session_sequence(r->s), 0, &err);
    }
    if (rc == 0 && !r->o.schema && !r->o.regex) rc = muse_chat_parser_open(&r->parser, chat, NULL, &err);
    muse_chat_close(&chat);
    return rc < 0 ? cli_fail(&err, what) : EXIT_OK;
}

static int append_prompt(Run *r)
{
    MuseModelInfo info;
    MuseError err;
    if (r->o.raw) return append_raw(r, MUSE_TEXT_ADDED);
    muse_model_info(r->model, &info);
    const MuseTextTokenizer *tok = muse_session_tokenizer(r->s);
    if (tok && muse_chat_format_of(info.family, tok, &r->format, &err) == 0) return append_chat(r);
    r->format = NULL;
    if (r->o.system || r->o.think) return cli_usage("run: this model has no chat format that --system and --think could be written in");
    if (!r->cli->quiet) fprintf(stderr, "muse: no chat format is known for this model (%s): the parts go in as they are, after BOS\n", info.family);
    return append_raw(r, MUSE_TEXT_BOS);
}

/* ---- running ---- */

static int keep_prompt_ids(Run *r)
{
    const MuseSequence *seq = muse_session_sequence(r->s);
    MusePosition p;
    r->n_prompt = muse_sequence_length(seq);
    r->prompt = malloc((r->n_prompt + 1) * sizeof *r->prompt);
    if (!r->prompt) return EXIT_RESOURCE;
    for (size_t i = 0; i < r->n_prompt; i++) r->prompt[i] = muse_sequence_position(seq, i, &p) == 0 ? p.id : -1;
    return EXIT_OK;
}

static int compute_prompt(Run *r)
{
    MuseError err;
    MuseModelInfo info;
    if (interrupted) muse_session_cancel(r->s);
    MuseSessionInfo before;
    if (muse_session_info(r->s, &before) == 0) r->restored = before.computed;
    const double t = cli_now();
    int rc = muse_session_prefill(r->s, &err);
    r->prompt_s = cli_now() - t;
    if (r->progress) fputs("\r\033[K", stderr);
    if (r->o.dump && rc == 0) {
        muse_model_info(r->model, &info);
        dump_ids(&r->dump, "input_ids", r->prompt, r->n_prompt);
        dump_row(&r->dump, "logits_last", muse_session_logits(r->s), info.vocab);
    }
    MuseError dump_err;
    if (r->o.dump && dump_close(&r->dump, &dump_err) < 0) return cli_fail(&dump_err, NULL);
    return rc < 0 ? cli_fail(&err, NULL) : EXIT_OK;
}

static int generate(Run *r)
{
    MuseError err;
    MuseGenerateParams p;
    muse_generate_params_init(&p);
    p.sample = &r->o.sample;
    p.max_tokens = r->o.max_tokens;
    p.chat_format = r->format;
    p.stop = r->o.stop;
    p.n_stop = r->o.n_stop;
    p.cancel = stop_asked;
    p.token = show_token;
    p.token_user = r;
    for (int i = 0; i < 2; i++) r->to[i] = r->cli->json ? open_memstream(&r->said[i], &r->n_said[i]) : i == 0 ? stdout : r->cli->quiet ? NULL : stderr;
    if (r->cli->json && (!r->to[0] || !r->to[1])) return EXIT_RESOURCE;
    const double t = cli_now();
    const int rc = muse_generate(r->s, &p, &r->result, &err);
    r->new_s = cli_now() - t;
    const int code = end_text(r);
    return rc < 0 ? cli_fail(&err, NULL) : code;
}

/* ---- results ---- */

static int print_json(const Run *r)
{
    yajl_gen g = yajl_gen_alloc(NULL);
    if (!g) return EXIT_RESOURCE;
    const MuseGenerateResult *x = &r->result;
    yajl_gen_map_open(g);
    json_ids(g, "ids", x->ids, x->n);
    json_key(g, "text");
    json_string(g, x->text ? x->text : "", x->n_text);
    if (r->parser && r->o.max_tokens) {
        json_key(g, "answer");
        json_string(g, r->said[0], r->n_said[0]);
        json_key(g, "thought");
        json_string(g, r->said[1], r->n_said[1]);
    }
    json_ids(g, "prompt_ids", r->prompt, r->n_prompt);
    json_text(g, "finish", muse_finish_name(r->o.max_tokens ? x->finish : MUSE_FINISH_LENGTH));
    if (x->finish == MUSE_FINISH_STRING) json_text(g, "stop", r->o.stop[x->stop]);
    json_number(g, "seconds", r->prompt_s + r->new_s);
    json_number(g, "prompt_seconds", r->prompt_s);
    if (r->o.logprobs) json_numbers(g, "logprobs", x->logprobs, x->n);
    yajl_gen_map_close(g);
    const int code = json_print(g);
    yajl_gen_free(g);
    return code;
}

static int save(Run *r)
{
    MuseError err;
    return muse_session_save(r->s, r->o.save, &err) < 0 ? cli_fail(&err, r->o.save) : EXIT_OK;
}

static int report(const Run *r)
{
    const MuseGenerateResult *x = &r->result;
    if (r->cli->json) return print_json(r);
    const bool person = isatty(STDOUT_FILENO);
    if ((person || !r->cli->quiet) && !r->thinks && x->n_text && x->text[x->n_text - 1] != '\n')   /* what reads a pipe gets the text as it is; who sees both gets two lines */
        fputc('\n', person ? stdout : stderr);
    if (!r->cli->quiet) {
        const size_t computed = r->n_prompt - r->restored;   /* rates are of what was computed: a first token needs no step */
        fprintf(stderr, "muse: prompt of %zu positions", r->n_prompt);
        if (r->restored) fprintf(stderr, ", %zu of them restored", r->restored);
        if (computed) fprintf(stderr, "%s in %.3f s (%.1f/s)", r->restored ? ", the others" : "", r->prompt_s, (double)computed / r->prompt_s);
        if (r->o.max_tokens) fprintf(stderr, "; %zu token%s in %.3f s", x->n, x->n == 1 ? "" : "s", r->new_s);
        if (r->o.max_tokens && x->n > 1) fprintf(stderr, " (%.1f/s)", (double)x->n / r->new_s);
        if (r->o.max_tokens) fprintf(stderr, "; ended by %s%s", muse_finish_name(x->finish), x->n_text ? "" : ": the model wrote no text");
        fputc('\n', stderr);
    }
    return ferror(stdout) ? EXIT_OTHER : EXIT_OK;
}

static int run(Run *r)
{
    int code = open_all(r);
    if (code == EXIT_OK) {
        running = r->s;
        code = append_prompt(r);
    }
    if (code == EXIT_OK) code = open_grammar(r);
    if (code == EXIT_OK) code = keep_prompt_ids(r);
    if (code == EXIT_OK) code = compute_prompt(r);
    if (code == EXIT_OK && r->o.max_tokens) code = generate(r);
    const bool computed = code == EXIT_OK;
    if (computed) code = report(r);
    if (computed && r->o.save) {   /* behind the text, which a full disk does not take away; and without it, if that can't be written */
        const int saved = save(r);
        if (code == EXIT_OK) code = saved;
    }
    return code == EXIT_OK && r->result.finish == MUSE_FINISH_CANCELLED ? EXIT_CANCELLED : code;
}

int cmd_run(Cli *cli)
{
    Run r = { .cli = cli };
    int code = run_read_options(&r.o, cli);
    if (code == EXIT_OK && !r.o.help) {
        catch_interrupts();
        code = run(&r);
        running = NULL;
    }
    MuseError ignored;
    if (r.o.dump) dump_close(&r.dump, &ignored);   /* an error before the prompt was computed has been said */
    muse_generate_result_clear(&r.result);
    muse_chat_parser_close(&r.parser);
    for (int i = 0; i < 2; i++) {
        if (cli->json && r.to[i]) fclose(r.to[i]);
        free(r.said[i]);
    }
    free(r.prompt);
    muse_session_close(&r.s);
    muse_grammar_close(&r.grammar);
    muse_model_close(&r.model);
    muse_runtime_close(&r.rt);
    free(r.path);
    free(r.o.stop);
    return code;
}
