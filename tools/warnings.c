/* SPDX-License-Identifier: Apache-2.0 */
/* What the library has to say, on stderr: a text once, and at the end how often it came again. Called by cli.c (the log of all commands),
 * eval.c and talk.c. */
#include <pthread.h>
#include <string.h>

#include "tools/cli.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* the log may be called from any thread */

/* "picture 1: 100 x 90 pixels are reduced to 72 x 64 ..." and the same with other numbers */
static bool same_but_numbers(const char *a, const char *b)
{
    static const char digits[] = "0123456789.";
    if (strncmp(a, "picture ", 8) != 0) return false;
    for (;; a++, b++) {
        const size_t n = strspn(a, digits), k = strspn(b, digits);
        if (!n != !k || a[n] != b[k]) return false;
        a += n, b += k;
        if (!*a) return true;
    }
}

static bool is_same(CliWarnings *w, size_t i, int level, const char *text)
{
    if (w->level[i] != level) return false;
    if (strncmp(w->text[i], text, sizeof w->text[i] - 1) == 0) return true;
    const bool numbers = w->few && same_but_numbers(w->text[i], text);
    w->numbers[i] = w->numbers[i] || numbers;
    return numbers;
}

bool cli_warning_is_new(CliWarnings *w, int level, const char *text)
{
    bool is_new = true;
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (i < w->n && !is_same(w, i, level, text)) i++;
    if (i < w->n) {
        w->again[i]++;
        is_new = false;
    } else if (w->n < sizeof w->text / sizeof *w->text) {
        w->level[w->n] = level;
        snprintf(w->text[w->n++], sizeof *w->text, "%s", text);
    } else if (w->few) {
        w->others++;
        is_new = false;
    }
    pthread_mutex_unlock(&lock);
    return is_new;
}

void cli_warnings_end(CliWarnings *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->again[i])
            fprintf(stderr, "muse: %s%llu %s more%s: %s\n", w->level[i] <= MUSE_LOG_WARN ? "warning, " : "", w->again[i], w->again[i] == 1 ? "time" : "times", w->numbers[i] ? ", with other numbers" : "", w->text[i]);
    if (w->others) fprintf(stderr, "muse: %llu other warnings are not shown\n", w->others);
    *w = (CliWarnings){ .few = w->few };
}
