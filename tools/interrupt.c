/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C, and an end that the system asks for, as a flag that long work polls. Users: ask.c, eval.c, scaling.c, talk.c, train.c (run.c
 * stops its session at once). */
#include <signal.h>

#include "tools/cli.h"

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

void cli_catch_interrupts(bool second_ends)
{
    struct sigaction a = { .sa_handler = interrupt, .sa_flags = second_ends ? (int)SA_RESETHAND : 0 };   /* no SA_RESTART: a line that is being read ends */
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    static const int ends[] = { SIGTERM, SIGHUP };   /* of a job's time, of a terminal; nohup has the latter ignored, and so it stays */
    for (size_t i = 0; second_ends && i < sizeof ends / sizeof *ends; i++) {
        struct sigaction old;
        if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) sigaction(ends[i], &a, NULL);
    }
}

int cli_interrupted(void *user)
{
    (void)user;
    return interrupted;
}

bool cli_take_interrupt(void)
{
    const bool was = interrupted;
    interrupted = 0;
    return was;
}
