/* SPDX-License-Identifier: Apache-2.0 */
/* The options of muse ask. Users: ask.c, talk.c. */
#ifndef TOOLS_ASK_H
#define TOOLS_ASK_H

#include "tools/cli.h"

typedef struct AskOptions {
    const char *model, *mmproj, *annotate, *html;
    uint32_t    mode, compute;
    uint32_t    agents, views, budget, answer_tokens, looks;   /* 0: the library's own */
    uint32_t    heat_layer, heat_head;
    float       temperature, doubt;
    bool        no_look, raw, heat, heat_named, help;
    bool        temp_named;
} AskOptions;

extern const char *const ask_modes[];   /* in the order of MUSE_MODE_ */
/* options that muse chat has too: 1: taken, 0: not one of these; a usage error is left in *code */
bool ask_take_option(AskOptions *o, Cli *cli, const char *option, int *code);
void ask_shared_help(FILE *to);
bool ask_all_alike(const AskOptions *o);   /* --temp 0 was asked for: agents of contemplating would not differ */
int ask_read_options(AskOptions *o, Cli *cli);   /* exit code; the question becomes the last part */
/* Which head to show: named, or the one that is taught to look in models of the family muse. false: the mean of all */
bool ask_heat_at(const MuseModel *model, const AskOptions *o, uint32_t *layer, uint32_t *head);

#endif
