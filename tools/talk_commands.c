/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of muse chat that begin with a slash: a table of commands. Called by talk.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/talk.h"

enum { TOKENS_MAX = 1 << 20 };

#define WRONG(t, ...) ((t)->code = cli_usage(__VA_ARGS__))

static void image(Talk *t, char *rest)
{
    const bool before = talk_begins_anew(t);
    talk_queue(t, PART_IMAGE, rest, 0);
    if (before || !talk_begins_anew(t) || !t->n_looks) return;
    t->n_looks = 0;   /* what they are about is left behind; number 1 is now another picture */
    WRONG(t, "/look: not shown: the next message is about %s, not about the pictures before it; /look again looks there", base_name(rest));
}

static void audio(Talk *t, char *rest) { talk_queue(t, PART_AUDIO, rest, 0); }

static void mode(Talk *t, char *rest)
{
    uint32_t i = 0;
    while (ask_modes[i] && strcmp(rest, ask_modes[i]) != 0) i++;
    if (!ask_modes[i]) WRONG(t, "/mode instant, /mode thinking, /mode auto or /mode contemplating, not %s", rest);
    else if (i == MUSE_MODE_CONTEMPLATING && ask_all_alike(&t->o)) WRONG(t, "/mode contemplating: with --temp 0 all agents would say the same");
    else t->o.mode = i;
}

static void agents(Talk *t, char *rest)
{
    if (!cli_number(rest, 1, MUSE_AGENTS_MAX, &t->o.agents)) WRONG(t, "/agents takes a number from 1 to %d, not %s", MUSE_AGENTS_MAX, rest);
}

static void views(Talk *t, char *rest)
{
    uint32_t n;
    if (!cli_number(rest, 1, MUSE_VIEWS, &n)) WRONG(t, "/views takes a number from 1 to %d, not %s", MUSE_VIEWS, rest);
    else if (n > 1 && t->history == HISTORY_KEEP) WRONG(t, "/views " TALK_ONE_VIEW);
    else t->o.views = n;
}

static void budget(Talk *t, char *rest)
{
    if (cli_number(rest, 1, TOKENS_MAX, &t->o.budget)) return;
    if (t->o.budget) WRONG(t, "/budget takes a number of tokens from 1 to %d, not %s; it stays at %u", TOKENS_MAX, rest, t->o.budget);
    else WRONG(t, "/budget takes a number of tokens from 1 to %d, not %s; it stays as it is", TOKENS_MAX, rest);
}

static void trace(Talk *t, char *rest)
{
    const TraceFile kind = trace_file_kind(rest);
    if (!kind) WRONG(t, "/trace takes a file that ends in .png, .html or .json, not %s", rest);
    else if (!t->trace) WRONG(t, "/trace: nothing was answered yet");
    else {
        const int code = trace_write(t->trace, kind, rest, false, t->cli->quiet);
        if (code) t->code = code;
    }
}

/* picture number k of the conversation, those that wait for the next message behind the others or, history none, in their place;
 * NULL: *n are all there are */
static MuseImage *picture(const Talk *t, double k, size_t *n)
{
    *n = talk_begins_anew(t) ? 0 : t->n_pictures;
    if (k <= (double)*n) return t->pictures[(size_t)k - 1].image;
    for (size_t i = 0; i < t->n_queue; i++)
        if (t->queue[i].image && (double)++*n == k) return t->queue[i].image;
    return NULL;
}

/* v: number, x0, y0, x1, y1. What muse_look() would refuse later is said now. */
static void add_look(Talk *t, const double *v)
{
    MuseImageInfo info;
    size_t n;
    MuseImage *image = picture(t, v[0], &n);
    if (t->o.no_look) WRONG(t, "/look: looks are off (--no-look)");
    else if (t->o.mode != MUSE_MODE_THINKING && t->o.mode != MUSE_MODE_CONTEMPLATING) WRONG(t, "/look is for thinking: an instant answer has no thought to look in; /mode thinking turns it on");
    else if (n == 0) WRONG(t, "/look: there is no picture yet; /image FILE gives one");
    else if (!image) WRONG(t, "/look: there is no picture %.0f, the last is %zu", v[0], n);
    else if (muse_image_info(image, &info), !(fmax(v[1], 0) < fmin(v[3], info.width) && fmax(v[2], 0) < fmin(v[4], info.height)))
        WRONG(t, "/look: nothing of [%g, %g, %g, %g] lies in picture %.0f, which has %u x %u pixels", v[1], v[2], v[3], v[4], v[0], info.width, info.height);
    else if (t->n_looks == TALK_LOOKS) WRONG(t, "/look: %d wait already for the next message", TALK_LOOKS);
    else t->looks[t->n_looks++] = (MuseFocus){ (uint32_t)v[0], { v[1], v[2], v[3], v[4] } };
}

static void look(Talk *t, char *rest)
{
    double v[5];
    char *at = rest, *end;
    int n = 0;
    for (; n < 5; n++, at = end) {
        v[n] = strtod(at, &end);
        if (end == at || !isfinite(v[n])) break;
    }
    if (n == 5 && !at[strspn(at, " ")] && v[0] == floor(v[0]) && v[0] >= 1 && v[0] <= 1e6) add_look(t, v);
    else WRONG(t, "/look takes a picture's number and four pixels, K X0 Y0 X1 Y1, not %s", rest);
}

static void reset(Talk *t, char *rest)
{
    (void)rest;
    talk_reset(t);
}

static void save(Talk *t, char *rest)
{
    MuseError err;
    if (!t->agent) WRONG(t, "/save: nothing was said yet");
    else if (muse_session_save(muse_agent_session(t->agent), rest, &err) < 0) t->code = cli_fail(&err, rest);
    else if (!t->cli->quiet) fprintf(stderr, "muse: wrote %s\n", rest);
}

static void help(Talk *t, char *rest)
{
    (void)t, (void)rest;
    talk_commands_help(stderr);
}

static void quit(Talk *t, char *rest)
{
    (void)rest;
    t->quit = true;
}

static const struct { const char *name, *arguments, *help; void (*run)(Talk *t, char *rest); } commands[] = {
    { "image", "FILE", "a picture for the next message", image },
    { "audio", "FILE", "a sound for the next message; an empty line asks without text", audio },
    { "mode", "M", "instant, thinking, auto or contemplating, from the next answer on", mode },
    { "agents", "N", "how many contemplate", agents },
    { "views", "N", "in how many ways they see the pictures", views },
    { "budget", "N", "tokens that a thought may have", budget },
    { "look", "K X0 Y0 X1 Y1", "show this part of picture K (pixels) when the model thinks next; of several agents to all but the first", look },
    { "trace", "FILE", "the newest answer's chain as .png, .html or .json", trace },
    { "save", "FILE", "the session; muse run --raw --restore FILE goes on from it", save },
    { "reset", "", "forget the conversation", reset },
    { "help", "", "this list", help },
    { "quit", "", "end", quit },
};

void talk_commands_help(FILE *to)
{
    char left[32];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        snprintf(left, sizeof left, "/%s %s", commands[i].name, commands[i].arguments);
        fprintf(to, "  %-25s %s\n", left, commands[i].help);
    }
    fputs("  //TEXT                    a message that begins with a slash\n", to);
}

/* A file as people write it for a shell: in quotes, or from their home folder on. A file that is called so goes first. free() the result. */
static char *shell_name(const char *name)
{
    const size_t n = strlen(name);
    const char *home = getenv("HOME");
    if (access(name, F_OK) == 0) return strdup(name);
    if (n > 2 && (*name == '"' || *name == '\'') && name[n - 1] == *name) return strndup(name + 1, n - 2);
    if (strncmp(name, "~/", 2) != 0 || !home) return strdup(name);
    const size_t size = strlen(home) + n;   /* without the ~, with the end */
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s%s", home, name + 1);
    return path;
}

static void run_command(Talk *t, size_t i, char *rest)
{
    if (strcmp(commands[i].arguments, "FILE") != 0) {
        commands[i].run(t, rest);
        return;
    }
    char *path = shell_name(rest);
    if (path) commands[i].run(t, path);
    else t->code = EXIT_RESOURCE;
    free(path);
}

void talk_command(Talk *t, char *line)
{
    const size_t n = strcspn(line, " \t");
    char *rest = line + n + strspn(line + n, " \t");
    for (size_t k = strlen(rest); k > 0 && (rest[k - 1] == ' ' || rest[k - 1] == '\t'); k--) rest[k - 1] = 0;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strlen(commands[i].name) != n || memcmp(line, commands[i].name, n) != 0) continue;
        if (!*commands[i].arguments == !*rest) run_command(t, i, rest);
        else if (*rest) WRONG(t, "/%s takes nothing behind it", commands[i].name);
        else WRONG(t, "/%s lacks what belongs behind it: /%s %s: %s", commands[i].name, commands[i].name, commands[i].arguments, commands[i].help);
        return;
    }
    WRONG(t, "there is no command /%.*s; /help lists them", (int)n, line);
}
