/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a run behind its chain. Users: ask.c, talk.c. */
#ifndef TOOLS_ASK_REPORT_H
#define TOOLS_ASK_REPORT_H

#include "tools/cli.h"

/* Lines on stderr: the candidates with their votes, how many agents answered, which did not and why */
void ask_print_vote(const MuseReasonResult *r, const MuseTrace *trace);
/* --raw: thought and answer of each agent as the model wrote them, on stderr */
void ask_print_written(MuseAgent *const *agents, size_t n);
/* What --json has beyond the trace */
typedef struct AskJson {
    MuseAgent *const *agents;         /* "agents": what they wrote, how they ended */
    size_t            n;
    const MuseReasonResult *vote;     /* "vote"; NULL: there was none */
    const MuseModel  *model;          /* "pictures": how far the model's rule reduces those among parts; NULL: not told */
    const MuseReasonPart *parts;
    size_t            n_parts;
} AskJson;

/* The trace and this: one line on stdout. Exit code */
int  ask_print_json(const MuseTrace *trace, const AskJson *more);

#endif
