/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the subcommands of muse: options, exit codes, parts in the order given, JSON out. Public API only. */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <yajl/yajl_gen.h>

#include "muse/muse.h"

/* Exit codes; scripts rely on them. */
enum { EXIT_OK = 0, EXIT_OTHER = 1, EXIT_USAGE = 2, EXIT_INPUT = 3, EXIT_UNSUPPORTED = 4, EXIT_RESOURCE = 5, EXIT_CANCELLED = 6 };

int cli_exit_code(int status);   /* of a MUSE_ERR_ value */

/* Prints "muse: what: text" to stderr; returns the exit code of err->code. what may be NULL. */
int cli_fail(const MuseError *err, const char *what);
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));   /* to stderr; returns EXIT_USAGE */

typedef enum PartKind { PART_TEXT, PART_IMAGE, PART_AUDIO, PART_IDS, PART_IMAGE_SIZE, PART_AUDIO_LENGTH } PartKind;

typedef struct Part {
    PartKind    kind;
    const char *value;
    uint32_t    budget;   /* pictures */
} Part;

/* Lines of the log that were shown, so that the same one is said once and counted. */
typedef struct CliWarnings {
    char   text[8][1024];   /* whole: base/log.c has no longer ones */
    int    level[8];
    unsigned long long again[8], others;
    bool   numbers[8];    /* they came again with other numbers */
    size_t n;
    bool   few;           /* of many pictures: lines about them that differ in numbers count as the same, and once the table is full, others are counted, not shown */
} CliWarnings;

/* warnings.c. Any thread; the end: of one thread. It says how often each came again, and forgets. */
bool cli_warning_is_new(CliWarnings *w, int level, const char *text);
void cli_warnings_end(CliWarnings *w);

/* What a command takes of the common options; all take --json and --quiet. CLI_TEAM: --threads and --cpu-level */
enum { CLI_TEXT = 1, CLI_MEDIA = 2, CLI_IDS = 4, CLI_SIZES = 8, CLI_SEED = 16, CLI_TEAM = 32 };

typedef struct Cli {
    int    argc, at;
    char **argv;
    const char *name, *without;   /* the command; why it has no use for the common options that it does not take */
    unsigned takes;
    MuseRuntimeParams runtime;
    bool   json, quiet;
    Part  *parts;
    size_t n_parts;
    uint32_t budget;      /* for the next pictures */
    uint32_t seed;
    CliWarnings warnings;
    atomic_bool drawn;    /* the last line of the terminal is one that is drawn anew: a warning goes in its place. Warnings come from any thread */
    int   joined;         /* where in argv the value of --option=value stands, cut off; 0: nowhere */
    const char *joined_to;
} Cli;

/* The next argument as an option (--option=value: both, one after the other); NULL at the end. Common options and parts are taken here, so a subcommand sees only its own and
 * --help (-h too); a common one that the command does not take is refused by name. *exit_code is set to a usage error, else left alone. */
const char *cli_next(Cli *cli, int *exit_code);
const char *cli_value(Cli *cli, const char *option, int *exit_code);   /* the value of the option just seen, empty only where it is text; NULL = usage error */
bool cli_is_file(const char *argument);                /* and so no text that is meant as one */
int  cli_no_option(const Cli *cli, const char *argument);   /* what the command does not know: a usage error */
bool cli_number(const char *text, uint32_t least, uint32_t most, uint32_t *out);   /* digits only */
/* the value of the option just seen, within its bounds; EXIT_OK, or the exit code of a usage error */
int  cli_whole(Cli *cli, const char *option, uint32_t least, uint32_t most, uint32_t *out);
int  cli_real(Cli *cli, const char *option, double least, double most, float *out);
/* The value of the option just seen as its place in names, which NULL ends; the first stands for what is done unless told. Exit code. */
int cli_choice(Cli *cli, const char *option, const char *const *names, uint32_t *out);
extern const char *const cli_computes[], *const cli_kvs[];   /* in the order of MUSE_COMPUTE_ and MUSE_KV_ */
#define CLI_DOUBT_MIN 0.001       /* --doubt takes from this to 1 */
extern const char *const cli_finishes[];                      /* in the order of MUSE_AGENT_ */
double cli_now(void);   /* seconds, from some moment on */
/* How wide the terminal is that stderr goes to; 0: none, or one (TERM=dumb) on which a line of progress can't be written over. */
unsigned cli_columns(void);
/* The end of the help of a command that computes: the parts that it takes, common options, exit codes. --seed is listed by the command. */
void cli_common_help(FILE *to, const Cli *cli);

/* A file, or standard input for "-", as an open picture or sound. */
int cli_open_image(MuseImage **out, MuseRuntime *rt, const char *path, MuseError *err);
int cli_open_audio(MuseAudio **out, MuseRuntime *rt, const char *path, MuseError *err);
/* Says if a picture is given more or fewer patches than the model was trained with, where that is known to matter. */
void cli_warn_budgets(const Cli *cli, const MuseModel *model);
int cli_append_part(MuseSequence *seq, MuseRuntime *rt, const Part *part, unsigned text_flags, MuseError *err);

/* Writes a file, replacing what was there. Exit code; a failure is said on stderr. */
int cli_write_file(const char *path, const void *bytes, size_t size);
/* What is about to be written is none of the pictures and sounds that are given, nor `other` (a path or NULL). path may be NULL. Exit code; said on stderr. */
int cli_check_apart(const Cli *cli, const char *option, const char *path, const char *other);
/* Whether that could be done, before long work; changes nothing. Exit code as above. */
int cli_check_writable(const char *path);
/* A PNG with another ending would mislead, or be another file by mistake: a usage error. */
int cli_check_png(const char *option, const char *path);
/* A folder, made with its parents where it is missing. false: errno says why not. */
bool cli_make_folder(const char *path);

/* A file that ships in models/: in the folder that MUSE_MODELS names, $MUSE_DATA/models, beside a build, or installed. Returns a path to free(), or NULL. */
char *cli_find_shipped(const char *name);
/* The model to run: told, else what MUSE_MODEL names, else the shipped muse-nano with its weights. A path to free(); NULL: said why, *exit_code is set. */
char *cli_model_path(const char *told, int *exit_code);

/* Ctrl-C sets a flag. second_ends: so do SIGTERM and, unless nohup has it ignored, SIGHUP, and the second one of a kind ends the program. */
void cli_catch_interrupts(bool second_ends);
int  cli_interrupted(void *user);    /* a MuseCancelFn; user: NULL */
bool cli_take_interrupt(void);       /* true once for each */

/* Bytes of the well-formed UTF-8 character at s; 0 if there is none. n is at least 1. */
size_t utf8_bytes(const char *s, size_t n);

/* JSON: strings are made valid UTF-8 first (bad bytes become U+FFFD). */
void json_string(yajl_gen g, const char *text, size_t n);
void json_key(yajl_gen g, const char *key);
void json_integer(yajl_gen g, const char *key, long long value);
void json_number(yajl_gen g, const char *key, double value);
void json_text(yajl_gen g, const char *key, const char *value);
void json_bool(yajl_gen g, const char *key, int value);
void json_hash(yajl_gen g, const char *key, const uint8_t hash[32]);
void json_rect(yajl_gen g, const char *key, MuseRect r);
void json_plan(yajl_gen g, const MuseImagePlan *p);   /* how a picture is reduced: the keys, into the open object */
void json_ids(yajl_gen g, const char *key, const int32_t *ids, size_t n);
void json_numbers(yajl_gen g, const char *key, const float *values, size_t n);
int  json_print(yajl_gen g);     /* one line to stdout, then clears; EXIT_OK or EXIT_OTHER */

int cmd_ask(Cli *cli);
int cmd_bench(Cli *cli);
int cmd_chat(Cli *cli);
int cmd_convert(Cli *cli);
int cmd_eval(Cli *cli);
int cmd_inspect(Cli *cli);
int cmd_run(Cli *cli);
int cmd_tokens(Cli *cli);
int cmd_worlds(Cli *cli);
int cmd_train(Cli *cli);
int cmd_scaling(Cli *cli);

#endif
