/* SPDX-License-Identifier: Apache-2.0 */
/* muse: dispatch to a subcommand. Text goes to stdout, status to stderr. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"

enum { ASKS = CLI_TEXT | CLI_MEDIA | CLI_SEED | CLI_TEAM };

/* takes: common options; without: why not the others */
static const struct { const char *name; int (*run)(Cli *); unsigned takes; const char *help, *without; } commands[] = {
    { "ask", cmd_ask, ASKS, "answer a question about pictures and sounds, and show the chain of thought",
      "ids go to muse run --raw, and sizes are counted by muse tokens" },
    { "bench", cmd_bench, CLI_TEAM, "measure how fast a model runs here",
      "its prompt is always the same" },
    { "chat", cmd_chat, CLI_MEDIA | CLI_SEED | CLI_TEAM, "talk with a model about pictures and sounds",
      "what is said comes from standard input" },
    { "convert", cmd_convert, CLI_TEAM, "write a model in another container or number type",
      "it changes files only" },
    { "eval", cmd_eval, CLI_SEED | CLI_TEAM, "count a model's right answers to the questions of data sets",
      "its questions are in the sets" },
    { "inspect", cmd_inspect, 0, "show what a model file is, and what running it takes",
      "it reads headers and computes nothing" },
    { "run", cmd_run, ASKS | CLI_IDS, "let a model go on from text, pictures and sounds",
      "a size alone is counted by muse tokens, not computed" },
    { "tokens", cmd_tokens, CLI_TEXT | CLI_MEDIA | CLI_IDS | CLI_SIZES | CLI_TEAM, "show the sequence that text, pictures and sounds become",
      "nothing is drawn by lot" },
    { "worlds", cmd_worlds, CLI_SEED, "draw pictures and sounds with questions and answers, as a data set",
      "a sample depends on --seed and its number only, and one thread draws it" },
    { "train", cmd_train, CLI_TEAM, "train a small model from zero or from weights",
      "its data and its seed are in the document" },
    { "scaling", cmd_scaling, CLI_TEAM, "train a ladder of models and predict the next",
      "its data and its seeds are in the document" },
};

static void help(FILE *to)
{
    fprintf(to, "usage: muse COMMAND [OPTION ...]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\n`muse COMMAND --help` or `muse help COMMAND` explains one; `muse --version` tells the version. --option=VALUE is --option VALUE.\n");
}

static int version(void)
{
    MuseRuntime *rt;
    MuseRuntimeInfo info;
    MuseError err;
    if (muse_runtime_open(&rt, NULL, &err) < 0) return cli_fail(&err, NULL);
    muse_runtime_info(rt, &info);
    printf("muse %s, %u threads, kernels %s, oneDNN %s\n", muse_version(), info.threads, info.cpu_level_name,
           *info.onednn_version ? info.onednn_version : "not built in");
    muse_runtime_close(&rt);
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (argc > 2 && strcmp(argv[1], "help") == 0) {   /* muse help COMMAND */
        static char option[] = "--help";
        argv[1] = argv[2], argv[2] = option, argc = 3;
    }
    if (strcmp(argv[1], "--version") == 0) return version();
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return EXIT_OK;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        Cli cli = { .argc = argc, .argv = argv, .at = 2, .name = commands[i].name, .without = commands[i].without, .takes = commands[i].takes };
        muse_runtime_params_init(&cli.runtime);
        cli.parts = calloc((size_t)argc, sizeof *cli.parts);
        if (!cli.parts) return EXIT_RESOURCE;
        int code = commands[i].run(&cli);
        free(cli.parts);
        cli_warnings_end(&cli.warnings);
        errno = 0;
        if ((fflush(stdout) != 0 || ferror(stdout)) && code <= EXIT_OTHER) {
            fprintf(stderr, "muse: can't write to standard output%s%s\n", errno ? ": " : "", errno ? strerror(errno) : "");
            code = EXIT_OTHER;
        }
        return code;
    }
    return cli_usage("no such command: %s (try muse --help)", argv[1]);
}
