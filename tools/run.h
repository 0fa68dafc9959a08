/* SPDX-License-Identifier: Apache-2.0 */
/* What muse run was asked for. Users: run.c, which does it, and run_options.c, which reads it. */
#ifndef TOOLS_RUN_H
#define TOOLS_RUN_H

#include "tools/cli.h"

typedef struct RunOptions {
    const char *model, *mmproj, *system, *schema, *regex, *dump, *save, *restore;
    bool        raw, logprobs, help;
    uint32_t    max_tokens, compute, kv, image_mask, chunk, think;
    MuseSampleParams sample;
    const char **stop;      /* [n_stop]; free() it */
    size_t      n_stop;
} RunOptions;

int run_read_options(RunOptions *o, Cli *cli);   /* exit code; usage errors are said */

#endif
