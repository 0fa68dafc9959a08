/* SPDX-License-Identifier: Apache-2.0 */
/* Reading lines: libedit on a terminal, getline otherwise. Knows no commands. Called by talk.c. */
#include "tools/line_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "tools/cli.h"

#if MUSE_HAVE_LIBEDIT
#include <histedit.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <wchar.h>
#endif

enum { HISTORY_LINES = 1000 };

struct LineInput {
    const char *prompt;
    bool        person;
    char       *line;      /* getline's, or a copy of libedit's */
    size_t      cap;
#if MUSE_HAVE_LIBEDIT
    EditLine   *edit;
    History    *history;
    int         keys;      /* the terminal opened once more: reads from it don't wait, and nobody else's do the same */
#endif
};

#if MUSE_HAVE_LIBEDIT
static char *prompt_of(EditLine *edit)
{
    LineInput *in = NULL;
    el_get(edit, EL_CLIENTDATA, &in);
    return (char *)(size_t)in->prompt;   /* libedit reads it */
}

/* SIGINT is let in only while this waits in ppoll: one that came elsewhere would be noticed at the next key only. Ctrl-C also throws
 * away what was typed, after ppoll has seen it: so read must not wait. */
static int read_key(EditLine *edit, wchar_t *key)
{
    LineInput *in = NULL;
    mbstate_t state = { 0 };
    sigset_t waiting;
    el_get(edit, EL_CLIENTDATA, &in);
    sigprocmask(SIG_BLOCK, NULL, &waiting);
    sigdelset(&waiting, SIGINT);
    if (cli_interrupted(NULL)) return -1;   /* it came before it was blocked */
    for (int i = 0; i < MB_LEN_MAX;) {
        struct pollfd from = { .fd = in->keys, .events = POLLIN };
        char byte;
        if (ppoll(&from, 1, NULL, &waiting) < 0 && (cli_interrupted(NULL) || errno != EINTR)) return -1;
        const ssize_t n = read(in->keys, &byte, 1);
        if (n < 0 && errno == EAGAIN) continue;
        if (n <= 0) return (int)n;
        i++;
        const size_t used = mbrtowc(key, &byte, 1, &state);
        if (used == (size_t)-2) continue;
        if (used == (size_t)-1) *key = (unsigned char)byte;
        return 1;
    }
    return -1;
}

/* In a container or a chroot the terminal has no name there, or one of another: as the controlling one it can be opened all the same. */
static int open_terminal(void)
{
    const int how = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    const char *name = ttyname(STDIN_FILENO);
    const int keys = name ? open(name, how) : -1;
    return keys < 0 && tcgetsid(STDIN_FILENO) == getsid(0) ? open("/dev/tty", how) : keys;
}

static void open_editor(LineInput *in)
{
    HistEvent event;
    if ((in->keys = open_terminal()) < 0) return;
    setlocale(LC_CTYPE, "");   /* characters of several bytes are one step of the cursor */
    if (!(in->edit = el_init("muse", stdin, stderr, stderr))) return;
    el_set(in->edit, EL_CLIENTDATA, in);
    el_set(in->edit, EL_PROMPT, prompt_of);
    el_set(in->edit, EL_EDITOR, "emacs");
    el_set(in->edit, EL_GETCFN, read_key);
    if (!(in->history = history_init())) return;
    history(in->history, &event, H_SETSIZE, HISTORY_LINES);
    el_set(in->edit, EL_HIST, history, in->history);
}

/* bytes read, -1: nothing */
static long edited_line(LineInput *in)
{
    HistEvent event;
    int n = 0;
    sigset_t interrupt, before;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    const char *line = el_gets(in->edit, &n);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (!line || n <= 0) return -1;
    if (line[0] != '\n') history(in->history, &event, H_ENTER, line);
    free(in->line);
    in->line = strdup(line);
    return in->line ? n : -1;
}
#endif

LineInput *line_input_open(const char *prompt)
{
    LineInput *in = calloc(1, sizeof *in);
    if (!in) return NULL;
    in->prompt = prompt;
    in->person = isatty(STDIN_FILENO);
#if MUSE_HAVE_LIBEDIT
    in->keys = -1;
    if (in->person) open_editor(in);
#endif
    return in;
}

void line_input_close(LineInput *in)
{
    if (!in) return;
#if MUSE_HAVE_LIBEDIT
    if (in->history) history_end(in->history);
    if (in->edit) el_end(in->edit);
    if (in->keys >= 0) close(in->keys);
#endif
    free(in->line);
    free(in);
}

bool line_input_is_person(const LineInput *in) { return in->person; }

static long plain_line(LineInput *in)
{
    if (in->person) fputs(in->prompt, stderr);
    return getline(&in->line, &in->cap, stdin);
}

char *line_input_next(LineInput *in, bool *interrupted)
{
    long n;
#if MUSE_HAVE_LIBEDIT
    n = in->edit && in->history ? edited_line(in) : plain_line(in);
#else
    n = plain_line(in);
#endif
    *interrupted = cli_take_interrupt();
    if (n < 0 || *interrupted) {
        clearerr(stdin);
        return NULL;
    }
    while (n > 0 && (in->line[n - 1] == '\n' || in->line[n - 1] == '\r')) in->line[--n] = 0;
    return in->line;
}
