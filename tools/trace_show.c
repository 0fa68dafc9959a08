/* SPDX-License-Identifier: Apache-2.0 */
/* A trace for people: lines while it grows, PNG, page and JSON files. Decides nothing about the run. Called by ask.c and talk.c. */
#include "tools/trace_show.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* ---- lines ---- */

void show_words(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) fputc((unsigned char)text[i] < ' ' || text[i] == 127 ? ' ' : text[i], stderr);
}

static void put_place(const MuseTraceMark *m)
{
    const MuseRect r = m->rect;
    if (r.x1 > r.x0 || r.y1 > r.y0) fprintf(stderr, "picture %u [%.0f, %.0f, %.0f, %.0f]", m->image, r.x0, r.y0, r.x1, r.y1);
    else fprintf(stderr, "picture %u (%.0f, %.0f)", m->image, r.x0, r.y0);
}

static void put_kind(const char *name)
{
    char word[16];
    size_t n = 0;
    for (; name[n] && n + 1 < sizeof word; n++) word[n] = name[n] == '_' ? ' ' : name[n];
    word[n] = 0;
    fprintf(stderr, "%-11s ", word);
}

static void put_head(const MuseTraceStep *s, uint32_t number)
{
    fprintf(stderr, "%4u ", number);
    if (s->agent) fprintf(stderr, "agent %-3u ", s->agent);
    put_kind(muse_step_name(s->kind));
    show_words(s->text, s->n_text);
}

/* another line comes, or this one is complete */
static void end_line(Shown *shown)
{
    if (shown->live) fputc('\n', stderr);
    shown->live = 0;
}

void show_step(void *user, const MuseTrace *trace, int event, uint32_t number, const char *text, size_t n_text)
{
    Shown *shown = user;
    MuseTraceStep s;
    if (muse_trace_step(trace, number, &s) < 0 || (s.kind == MUSE_STEP_ANSWER && !s.agent)) return;   /* stdout has it */
    if (number == shown->live) {
        if (event == MUSE_TRACE_TEXT) show_words(text, n_text);
        if (event == MUSE_TRACE_DONE) end_line(shown);
    } else if (event == MUSE_TRACE_BEGUN && !s.done && s.kind == MUSE_STEP_THOUGHT && !s.agent) {
        end_line(shown);
        put_head(&s, number);
        shown->live = number;
    } else if (event == MUSE_TRACE_DONE) {
        end_line(shown);
        put_head(&s, number);
        for (uint32_t i = 0; i < s.n_marks && s.kind != MUSE_STEP_ANSWER; i++) {   /* an answer's stand in its words */
            fputs(i ? ", " : s.n_text ? "  " : "", stderr);
            put_place(&s.marks[i]);
        }
        fputc('\n', stderr);
    }
}

bool show_answer_text(const char *text, size_t n)
{
    if (!isatty(STDOUT_FILENO)) return fwrite(text, 1, n, stdout) == n && fflush(stdout) == 0;
    for (size_t i = 0; i < n; i++) putchar(((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] == 127 ? '?' : text[i]);
    return fflush(stdout) == 0;
}

const char *trace_answer(const MuseTrace *trace, bool raw, size_t *n)
{
    MuseTraceStep s;
    MuseTraceSummary sum;
    muse_trace_summary(trace, &sum);
    const bool step = !raw && muse_trace_step(trace, (uint32_t)muse_trace_step_count(trace), &s) == 0 && s.kind == MUSE_STEP_ANSWER && !s.agent;
    *n = step ? s.n_text : sum.n_answer;
    return step ? s.text : sum.answer;
}

void show_summary(const MuseTrace *trace)
{
    MuseTraceSummary s;
    muse_trace_summary(trace, &s);
    fputs("muse: ", stderr);
    if (s.confidence >= 0) fprintf(stderr, "confidence %.0f %%; ", 100 * s.confidence);
    fprintf(stderr, "tokens: prompt %llu, thought %llu, looks %llu, answer %llu; %.2f s\n", (unsigned long long)s.prompt_tokens, (unsigned long long)s.thought_tokens,
            (unsigned long long)s.look_tokens, (unsigned long long)s.answer_tokens, s.seconds);
}

/* ---- files ---- */

TraceFile trace_file_kind(const char *path)
{
    static const char *const ends[] = { [TRACE_PNG] = ".png", [TRACE_HTML] = ".html", [TRACE_JSON] = ".json" };
    const size_t n = strlen(path);
    for (int k = TRACE_PNG; k <= TRACE_JSON; k++)
        if (n > strlen(ends[k]) && strcmp(path + n - strlen(ends[k]), ends[k]) == 0) return (TraceFile)k;
    return TRACE_NONE;
}

static int write_png(const MuseTrace *trace, const char *path, bool heat, MuseError *err)
{
    MuseTraceDrawParams p;
    uint8_t *rgb;
    uint32_t width, height;
    muse_trace_draw_params_init(&p);
    p.heat = heat;
    int rc = muse_trace_draw(trace, &p, &rgb, &width, &height, err);
    if (rc == 0) rc = muse_png_write_file(path, rgb, width, height, 0, MUSE_PIXELS_RGB, err);
    muse_free(rgb);
    return rc;
}

int trace_write(const MuseTrace *trace, TraceFile kind, const char *path, bool heat, bool quiet)
{
    MuseError err;
    char *text = NULL;
    size_t size = 0;
    int rc = kind == TRACE_PNG ? write_png(trace, path, heat, &err) : kind == TRACE_HTML ? muse_trace_html(trace, NULL, &text, &size, &err) : muse_trace_json(trace, &text, &size, &err);
    int code = rc < 0 ? cli_fail(&err, path) : kind == TRACE_PNG ? EXIT_OK : cli_write_file(path, text, size);
    muse_free(text);
    if (code == EXIT_OK && !quiet) fprintf(stderr, "muse: wrote %s\n", path);
    return code;
}

int trace_print_json(const MuseTrace *trace, const char *more, size_t n_more)
{
    MuseError err;
    char *text;
    size_t size;
    if (muse_trace_json(trace, &text, &size, &err) < 0) return cli_fail(&err, NULL);
    for (size_t i = 0; i < size; i++)   /* line ends stand between steps only: one object, one line */
        if (text[i] == '\n') text[i] = ' ';
    while (size && text[size - 1] != '}') size--;
    const bool ok = size && fwrite(text, 1, size - 1, stdout) == size - 1 && fputs(", ", stdout) >= 0 && fwrite(more + 1, 1, n_more - 1, stdout) == n_more - 1 && fputc('\n', stdout) != EOF;
    muse_free(text);
    return ok ? EXIT_OK : EXIT_OTHER;
}
