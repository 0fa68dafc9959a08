/* SPDX-License-Identifier: Apache-2.0 */
/* What the library has to say, on stderr: a text once, and at the end how often it came again. Called by cli.c (the log of all commands),
 * eval.c and talk.c. And a warning of ours, for ask.c, run.c and talk.c. */
#include <pthread.h>
#include <string.h>

#include "tools/cli.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;   /* the log may be called from any thread */

bool cli_warning_is_new(CliWarnings *w, int level, const char *text)
{
    bool is_new = true;
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (i < w->n && (w->level[i] != level || strncmp(w->text[i], text, sizeof w->text[i] - 1) != 0)) i++;
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
        if (w->again[i]) fprintf(stderr, "muse: %s%llu times more: %s\n", w->level[i] <= MUSE_LOG_WARN ? "warning, " : "", w->again[i], w->text[i]);
    if (w->others) fprintf(stderr, "muse: %llu other warnings are not shown\n", w->others);
    *w = (CliWarnings){ .few = w->few };
}

/* others are refused when the picture goes in */
static bool has_budget(const MuseImageRule *rule, uint32_t budget)
{
    for (size_t i = 0; i < MUSE_BUDGETS_MAX && rule->budgets[i]; i++)
        if (rule->budgets[i] == budget) return true;
    return budget == MUSE_BUDGET_AUTO || !rule->budgets[0];
}

/* Published models are trained with all the budgets that their family has; one of the family muse with its default, unless its maker chose others,
 * which its files don't tell. */
void cli_warn_budgets(const Cli *cli, const MuseModel *model)
{
    const MuseFamily *family = muse_model_family(model);
    if (cli->quiet || strcmp(family->name, "muse") != 0) return;
    for (size_t i = 0; i < cli->n_parts; i++) {
        const Part *p = &cli->parts[i];
        if (p->kind != PART_IMAGE || p->budget == MUSE_BUDGET_DEFAULT || p->budget == family->image.budget || !has_budget(&family->image, p->budget)) continue;
        fprintf(stderr, "muse: warning: --image-budget: the model's default is %u patches a picture; with others answers may be worse\n", family->image.budget);
        return;
    }
}
