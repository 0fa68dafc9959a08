/* SPDX-License-Identifier: Apache-2.0 */
/* What an evaluation found: a line a question, tables, JSON, the calibration file. Called by eval.c. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/eval.h"

enum { ROW_LEAST = 25, BLOCK = 32 };   /* answers of a row of the calibration: its interval is then at most 0.37 wide; of a block of questions */

const char *const eval_modes[] = { "instant", "thinking", "contemplating", "auto", NULL };

/* ---- a line a question ---- */

/* texts of both part lists, one after the other */
static void gen_question(yajl_gen g, const EvalQuestion *q)
{
    const yajl_val lists[] = { q->shared, q->own };
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    for (size_t k = 0; k < 2 && to; k++)
        for (size_t i = 0; lists[k] && i < lists[k]->u.array.len; i++) {
            const char *path[] = { "text", NULL };
            yajl_val v = yajl_tree_get(lists[k]->u.array.values[i], path, yajl_t_string);
            if (v) fputs(v->u.string, to);
        }
    if (to) fclose(to);
    json_key(g, "question");
    json_string(g, text ? text : "", text ? n : 0);
    free(text);
}

/* auto: which way was taken, and what was taken back */
static void gen_way(yajl_gen g, const EvalAnswer *a)
{
    json_bool(g, "at_once", !a->doubted);
    if (!a->doubted) return;
    json_key(g, "direct");
    json_string(g, a->direct ? a->direct : "", a->n_direct);
    json_number(g, "direct_probability", a->direct_probability);
}

static void gen_candidates(yajl_gen g, const EvalAnswer *a)
{
    json_key(g, "candidates");
    yajl_gen_array_open(g);
    for (size_t i = 0; i < a->n_candidates; i++) {
        yajl_gen_map_open(g);
        json_key(g, "answer");
        json_string(g, a->candidates[i].text ? a->candidates[i].text : "", a->candidates[i].n);
        json_integer(g, "votes", a->candidates[i].votes);
        json_bool(g, "right", a->candidates[i].right);
        yajl_gen_map_close(g);
    }
    yajl_gen_array_close(g);
}

static int print_line(const Eval *e, const EvalQuestion *q, const EvalAnswer *a)
{
    yajl_gen g = e->g;
    yajl_gen_map_open(g);
    json_text(g, "set", q->set);
    json_integer(g, "line", (long long)q->line);
    json_text(g, "task", q->task);
    gen_question(g, q);
    json_text(g, "expected", q->answer);
    json_key(g, "given");
    json_string(g, a->given ? a->given : "", a->n_given);
    json_bool(g, "right", a->right);
    json_number(g, "confidence", a->confidence);
    json_number(g, "agreement", a->agreement);
    if (e->o.mode == MUSE_MODE_AUTO) gen_way(g, a);
    if (e->o.mode == MUSE_MODE_CONTEMPLATING) gen_candidates(g, a);
    json_key(g, "tokens");
    yajl_gen_map_open(g);
    json_integer(g, "prompt", (long long)a->prompt_tokens);
    json_integer(g, "thought", (long long)a->thought_tokens);
    json_integer(g, "answer", (long long)a->answer_tokens);
    yajl_gen_map_close(g);
    json_integer(g, "positions", (long long)a->positions);
    json_integer(g, "looks", a->looks);
    if (a->needless >= 0) json_bool(g, "needless", a->needless);
    json_integer(g, "bad_steps", a->bad);
    json_bool(g, "cut", a->cut);
    json_text(g, "finish", cli_finishes[a->finish]);
    json_number(g, "seconds", a->seconds);
    if (a->thought) {
        json_key(g, "thought");
        json_string(g, a->thought, a->n_thought);
    }
    yajl_gen_map_close(g);
    return json_print(g);
}

/* ---- counting ---- */

static EvalTally *tally_of(Eval *e, const char *task)
{
    for (size_t i = 0; i < e->n_tasks; i++)
        if (strcmp(e->tasks[i].task, task) == 0) return &e->tasks[i];
    EvalTally *more = realloc(e->tasks, (e->n_tasks + 1) * sizeof *more);
    if (!more) return NULL;
    e->tasks = more;
    e->tasks[e->n_tasks] = (EvalTally){ .task = task };
    return &e->tasks[e->n_tasks++];
}

static void add(EvalTally *t, const EvalAnswer *a)
{
    t->n++;
    t->right += a->right;
    t->thought_tokens += a->thought_tokens;
    t->looks += a->looks;
    t->positions += a->positions;
}

static bool any_right(const EvalAnswer *a)
{
    for (size_t i = 0; i < a->n_candidates; i++)
        if (a->candidates[i].right) return true;
    return a->right;
}

int eval_count(Eval *e, const EvalQuestion *q, const EvalAnswer *a)
{
    EvalTally *task = tally_of(e, q->task);
    if (!task) return EXIT_RESOURCE;
    add(task, a);
    add(&e->all, a);
    e->answer_tokens += a->answer_tokens;
    e->doubted += a->doubted;
    e->any += any_right(a);
    e->bad += a->bad;
    e->cut += a->cut;
    e->unanswered += !a->given;
    if (a->needless >= 0) e->looked += a->looks;
    if (a->needless > 0) e->needless += a->looks;
    if (e->points && a->given) e->points[e->n_points++] = (ScorePoint){ a->agreement, a->right };
    return e->o.lines ? print_line(e, q, a) : EXIT_OK;
}

static double mean(uint64_t sum, uint64_t n) { return n ? (double)sum / (double)n : 0; }

/* ---- the report ---- */

static void gen_tally(yajl_gen g, const EvalTally *t)
{
    double low, high;
    score_wilson(t->right, t->n, &low, &high);
    yajl_gen_map_open(g);
    json_integer(g, "n", (long long)t->n);
    json_integer(g, "correct", (long long)t->right);
    json_number(g, "accuracy", mean(t->right, t->n));
    json_number(g, "low", low);
    json_number(g, "high", high);
    json_number(g, "thought_tokens", mean(t->thought_tokens, t->n));
    json_number(g, "looks", mean(t->looks, t->n));
    json_number(g, "positions", mean(t->positions, t->n));
    yajl_gen_map_close(g);
}

static int print_json(const Eval *e)
{
    yajl_gen g = e->g;
    const uint64_t n = e->all.n;
    yajl_gen_map_open(g);
    json_key(g, "tasks");
    yajl_gen_map_open(g);
    for (size_t i = 0; i < e->n_tasks; i++) {
        json_key(g, e->tasks[i].task);
        gen_tally(g, &e->tasks[i]);
    }
    yajl_gen_map_close(g);
    json_key(g, "all");
    gen_tally(g, &e->all);
    json_number(g, "thought_tokens", mean(e->all.thought_tokens, n));
    json_number(g, "answer_tokens", mean(e->answer_tokens, n));
    json_number(g, "looks", mean(e->all.looks, n));
    json_number(g, "positions", mean(e->all.positions, n));
    json_number(g, "needless_looks", mean(e->needless, e->looked));
    json_integer(g, "bad_steps", (long long)e->bad);
    json_integer(g, "cut_thoughts", (long long)e->cut);
    json_integer(g, "unanswered", (long long)e->unanswered);
    json_integer(g, "left_out", (long long)e->left_out);
    json_number(g, "seconds", e->seconds);
    json_text(g, "mode", eval_modes[e->o.mode]);
    if (e->o.mode == MUSE_MODE_CONTEMPLATING) json_integer(g, "agents", e->o.agents);
    if (e->o.mode == MUSE_MODE_CONTEMPLATING) json_number(g, "any", mean(e->any, n));
    if (e->o.mode == MUSE_MODE_AUTO) json_number(g, "at_once", mean(n - e->doubted, n));
    json_bool(g, "interrupted", e->interrupted);
    if (e->error.code) json_text(g, "error", e->error.text);
    yajl_gen_map_close(g);
    return json_print(g);
}

static void print_row(FILE *to, int width, const EvalTally *t)
{
    double low, high;
    score_wilson(t->right, t->n, &low, &high);
    fprintf(to, "%-*s %6" PRIu64 " %6" PRIu64 "     %.3f  %.3f to %.3f  %8.1f  %6.2f\n", width, t->task ? t->task : "all", t->n, t->right, mean(t->right, t->n), low, high,
            mean(t->thought_tokens, t->n), mean(t->looks, t->n));
}

static void print_table(const Eval *e, FILE *to)
{
    int width = 5;
    for (size_t i = 0; i < e->n_tasks; i++)
        if (strlen(e->tasks[i].task) > (size_t)width && strlen(e->tasks[i].task) < 60) width = (int)strlen(e->tasks[i].task);
    fprintf(to, "%-*s      n  right  accuracy  95 %%             thought   looks\n", width, "task");
    for (size_t i = 0; i < e->n_tasks; i++) print_row(to, width, &e->tasks[i]);
    print_row(to, width, &e->all);
    fprintf(to, "%s; %.1f s, %.3f a question; %.1f tokens an answer", eval_modes[e->o.mode], e->seconds, e->all.n ? e->seconds / (double)e->all.n : 0, mean(e->answer_tokens, e->all.n));
    if (e->o.mode == MUSE_MODE_AUTO) fprintf(to, "; %.0f %% answered at once", 100 * mean(e->all.n - e->doubted, e->all.n));
    if (e->o.mode == MUSE_MODE_CONTEMPLATING) fprintf(to, "; one of the answers right: %.3f", mean(e->any, e->all.n));
    if (e->looked) fprintf(to, "; %.0f %% of the looks needless", 100 * mean(e->needless, e->looked));
    if (e->bad) fprintf(to, "; bad steps %" PRIu64, e->bad);
    if (e->cut) fprintf(to, "; cut thoughts %" PRIu64, e->cut);
    if (e->unanswered) fprintf(to, "; without answer %" PRIu64, e->unanswered);
    if (e->left_out) fprintf(to, "; left out %" PRIu64, e->left_out);
    fprintf(to, "%s\n", e->interrupted ? "; interrupted" : e->error.code ? "; ended by an error" : "");
}

int eval_print(Eval *e)
{
    if (e->cli->json) return print_json(e);
    print_table(e, e->o.lines ? stderr : stdout);
    return EXIT_OK;
}

/* ---- calibration ---- */

static void gen_rows(const Eval *e, const ScoreRow *rows, size_t n, const char *which)
{
    yajl_gen g = e->g;
    json_key(g, "rows");
    yajl_gen_array_open(g);
    for (size_t i = 0; i < n; i++) {
        yajl_gen_map_open(g);
        json_number(g, "from", rows[i].from);
        json_number(g, "confidence", rows[i].confidence);
        json_integer(g, "n", (long long)rows[i].n);
        json_integer(g, "right", (long long)rows[i].right);
        json_number(g, "low", rows[i].low);
        json_number(g, "high", rows[i].high);
        yajl_gen_map_close(g);
        if (!e->cli->quiet) fprintf(stderr, "muse: %sagreement from %.3f: confidence %.3f (%" PRIu64 " of %" PRIu64 " right, 95 %%: %.3f to %.3f)\n", which, rows[i].from, rows[i].confidence, rows[i].right, rows[i].n, rows[i].low, rows[i].high);
    }
    yajl_gen_array_close(g);
}

/* How good such a table is: fitted to every second block, counted on the others. Before all are fitted, which puts them in order.
 * Blocks, not single questions: neighbours may share a picture. */
static int gen_held_out(const Eval *e, ScoreRow *rows)
{
    ScorePoint *half[2] = { malloc(e->n_points * sizeof *half[0]), malloc(e->n_points * sizeof *half[1]) };
    size_t n[2] = { 0 };
    const bool good = half[0] && half[1];
    for (size_t i = 0; good && i < e->n_points; i++) {
        const size_t which = i / BLOCK % 2;
        half[which][n[which]++] = e->points[i];
    }
    if (good && n[1]) {
        const size_t n_rows = score_fit(half[0], n[0], ROW_LEAST, rows);
        const double error = score_check(half[1], n[1], rows, n_rows);
        json_key(e->g, "held_out");
        yajl_gen_map_open(e->g);
        json_integer(e->g, "fitted", (long long)n[0]);
        json_integer(e->g, "questions", (long long)n[1]);
        json_number(e->g, "error", error);
        gen_rows(e, rows, n_rows, "other half: ");
        yajl_gen_map_close(e->g);
        if (!e->cli->quiet) fprintf(stderr, "muse: fitted to %zu questions, off by %.3f on %zu others\n", n[0], error, n[1]);
    }
    free(half[0]);
    free(half[1]);
    return good ? EXIT_OK : EXIT_RESOURCE;
}

int eval_write_calibration(const Eval *e)
{
    if (e->n_points == 0) {   /* a table without rows is none: the model could not be opened with it */
        fputs("muse: not calibrated: no answers to calibrate with\n", stderr);
        return EXIT_OTHER;
    }
    ScoreRow *rows = malloc((e->n_points + 1) * sizeof *rows);
    if (!rows) return EXIT_RESOURCE;
    yajl_gen g = e->g;
    const unsigned char *text;
    size_t size;
    yajl_gen_map_open(g);
    json_integer(g, "agents", e->o.agents);
    if (e->o.views) json_integer(g, "views", e->o.views);
    if (e->o.temperature > 0) json_number(g, "temperature", (double)e->o.temperature);
    json_integer(g, "questions", (long long)e->n_points);
    int code = gen_held_out(e, rows);
    gen_rows(e, rows, score_fit(e->points, e->n_points, ROW_LEAST, rows), "");
    yajl_gen_map_close(g);
    free(rows);
    yajl_gen_reset(g, "\n");   /* ends the line */
    yajl_gen_get_buf(g, &text, &size);
    if (code == EXIT_OK) code = cli_write_file(e->o.calibrate, text, size);
    yajl_gen_clear(g);
    return code;
}
