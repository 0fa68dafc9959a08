/* SPDX-License-Identifier: Apache-2.0 */
/* Options and parts, exit codes, and opening what parts name. */
#include "tools/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int cli_exit_code(int status)
{
    switch (status) {
    case MUSE_ERR_ARG: return EXIT_USAGE;
    case MUSE_ERR_IO: case MUSE_ERR_FORMAT: return EXIT_INPUT;
    case MUSE_ERR_UNSUPPORTED: case MUSE_ERR_NOT_FOUND: return EXIT_UNSUPPORTED;
    case MUSE_ERR_NOMEM: case MUSE_ERR_LIMIT: case MUSE_ERR_FULL: return EXIT_RESOURCE;
    case MUSE_ERR_CANCELLED: return EXIT_CANCELLED;
    default: return status < 0 ? EXIT_OTHER : EXIT_OK;
    }
}

int cli_fail(const MuseError *err, const char *what)
{
    /* a library message that names the file already is not given the name twice */
    if (what && strncmp(err->text, what, strlen(what)) != 0) fprintf(stderr, "muse: %s: %s\n", what, err->text);
    else fprintf(stderr, "muse: %s\n", err->text);
    return cli_exit_code(err->code);
}

int cli_usage(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("muse: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return EXIT_USAGE;
}

void cli_common_help(FILE *to, const Cli *cli)
{
    static const struct { unsigned of; const char *line; } lines[] = {
        { CLI_TEXT, "  --text STRING             text\n" },
        { CLI_MEDIA, "  --image FILE              a picture (JPEG, PNG, WebP, PPM, PGM); - is standard input\n"
                     "  --audio FILE              a sound (WAV, FLAC, OGG, MP3, AIFF); - is standard input\n" },
        { CLI_IDS, "  --ids N,N,...             token ids as they are\n" },
        { CLI_SIZES, "  --image-size WxH          a picture of this size, counted without one\n"
                     "  --audio-length S[@RATE]   a sound of S seconds, counted without one (rate 16000 unless told)\n" },
        { CLI_MEDIA, "  --image-budget N|auto     patches for the pictures after it (after the last: for all)\n" },
    };
    if (cli->takes & (CLI_TEXT | CLI_MEDIA | CLI_IDS | CLI_SIZES)) fputs("\nparts, in the order given:\n", to);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (cli->takes & lines[i].of) fputs(lines[i].line, to);
    fputs("\ncommon:\n"
          "  --json                    JSON on stdout\n"
          "  --quiet                   no warnings\n"
          "  --threads N               size of the thread team; all cores unless told\n"
          "  --cpu-level LEVEL         c, avx2, avx512 or amx; the best unless told\n"
          "\nexit codes: 0 done, 2 usage, 3 bad input file, 4 unsupported, 5 memory or limit, 6 cancelled, 1 anything else\n", to);
}

static void print_log(void *user, int level, const char *text)
{
    Cli *cli = user;
    if (cli_warning_is_new(&cli->warnings, level, text))
        fprintf(stderr, "%s%s%s\n", atomic_exchange(&cli->drawn, false) ? "\r\033[K" : "", level <= MUSE_LOG_WARN ? "muse: warning: " : "muse: ", text);
}

const char *cli_value(Cli *cli, const char *option, int *exit_code)
{
    const bool text = strcmp(option, "--text") == 0 || strcmp(option, "--system") == 0;
    const char *value = cli->at < cli->argc ? cli->argv[cli->at++] : NULL;
    if (value && (*value || text)) return value;
    *exit_code = cli_usage(value ? "%s needs a value, and what stands there is empty" : "%s needs a value", option);
    return NULL;
}

bool cli_is_file(const char *argument)
{
    struct stat st;
    return stat(argument, &st) == 0 && S_ISREG(st.st_mode);
}

int cli_no_option(const Cli *cli, const char *argument)
{
    const char *command = cli->name;
    if (*argument == '-') return cli_usage("muse %s has no option %s (muse %s --help lists them)", command, argument, command);
    if (cli_is_file(argument)) return cli_usage("muse %s: %s is a file: the option that says what it is goes before it, such as --image (muse %s --help)", command, argument, command);
    return cli_usage("muse %s: %s stands without an option before it that says what it is (muse %s --help)", command, argument, command);
}

/* digits up to `stop` (NULL: the end), nothing else */
static bool read_u32(const char *text, const char *stop, uint32_t *out)
{
    char *end;
    errno = 0;
    const unsigned long v = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || (stop ? end != stop : *end != 0) || errno || v > UINT32_MAX) return false;
    *out = (uint32_t)v;
    return true;
}

bool cli_number(const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
    uint32_t v;
    if (!read_u32(text, NULL, &v) || v < least || v > most) return false;
    *out = v;
    return true;
}

int cli_whole(Cli *cli, const char *option, uint32_t least, uint32_t most, uint32_t *out)
{
    int code = EXIT_OK;
    const char *v = cli_value(cli, option, &code);
    return !v || cli_number(v, least, most, out) ? code : cli_usage("%s takes a number from %u to %u, not %s", option, least, most, v);
}

int cli_real(Cli *cli, const char *option, double least, double most, float *out)
{
    int code = EXIT_OK;
    char *end;
    const char *v = cli_value(cli, option, &code);
    const double x = v ? strtod(v, &end) : 0;
    if (!v) return code;
    if (end == v || *end || !(x >= least && x <= most)) return cli_usage("%s takes a number from %g to %g, not %s", option, least, most, v);
    *out = (float)x;
    return EXIT_OK;
}

const char *const cli_computes[] = { "auto", "f32", "bf16", "int8", NULL }, *const cli_kvs[] = { "auto", "f32", "bf16", "q8", NULL };

const char *const cli_finishes[] = { "running", "answered", "length", "full", "calls", "stopped" };

int cli_choice(Cli *cli, const char *option, const char *const *names, uint32_t *out)
{
    int code = EXIT_OK;
    const char *v = cli_value(cli, option, &code);
    if (!v) return code;
    for (uint32_t i = 0; names[i]; i++)
        if (strcmp(names[i], v) == 0) {
            *out = i;
            return EXIT_OK;
        }
    fprintf(stderr, "muse: %s %s: one of", option, v);
    for (uint32_t i = 0; names[i]; i++) fprintf(stderr, "%s %s", i ? "," : "", names[i]);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

double cli_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

unsigned cli_columns(void)
{
    struct winsize size;
    const char *term = getenv("TERM");
    if (!isatty(STDERR_FILENO) || (term && strcmp(term, "dumb") == 0)) return 0;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static int take_budget(Cli *cli, const char *value)
{
    if (strcmp(value, "auto") == 0) cli->budget = MUSE_BUDGET_AUTO;
    else if (!read_u32(value, NULL, &cli->budget) || cli->budget == 0) return cli_usage("--image-budget %s: a number of patches, or auto", value);
    return EXIT_OK;
}

static int take_level(Cli *cli, const char *value)
{
    static const char *names[] = { "auto", "c", "avx2", "avx512", "amx" };
    for (uint32_t i = 0; i < 5; i++)
        if (strcmp(value, names[i]) == 0) {
            cli->runtime.cpu_level = i;
            return EXIT_OK;
        }
    return cli_usage("--cpu-level %s: c, avx2, avx512 or amx", value);
}

/* whether the command takes this common option, which is one of its kind `of`; else it is refused in *exit_code */
static bool is_taken(const Cli *cli, unsigned of, const char *option, int *exit_code)
{
    if (cli->takes & of) return true;
    *exit_code = cli_usage("%s takes no %s: %s (try muse %s --help)", cli->name, option, cli->without, cli->name);
    return false;
}

/* 1: option was a common one and is taken; 0: not ours; the exit code of a usage error is left in *exit_code */
static bool take_common(Cli *cli, const char *option, int *exit_code)
{
    static const struct { const char *name; PartKind kind; unsigned of; } parts[] = {
        { "--text", PART_TEXT, CLI_TEXT }, { "--image", PART_IMAGE, CLI_MEDIA }, { "--audio", PART_AUDIO, CLI_MEDIA }, { "--ids", PART_IDS, CLI_IDS },
        { "--image-size", PART_IMAGE_SIZE, CLI_SIZES }, { "--audio-length", PART_AUDIO_LENGTH, CLI_SIZES },
    };
    if (strcmp(option, "--json") == 0) return cli->json = true;
    if (strcmp(option, "--quiet") == 0) return cli->quiet = true;
    const char *value;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(option, parts[i].name) != 0) continue;
        if (is_taken(cli, parts[i].of, option, exit_code) && (value = cli_value(cli, option, exit_code))) cli->parts[cli->n_parts++] = (Part){ parts[i].kind, value, cli->budget };
        return true;
    }
    const bool budget = strcmp(option, "--image-budget") == 0, level = strcmp(option, "--cpu-level") == 0, threads = strcmp(option, "--threads") == 0;
    const bool seed = strcmp(option, "--seed") == 0;
    if (!budget && !level && !threads && !seed) return false;
    if (!is_taken(cli, budget ? CLI_MEDIA : seed ? CLI_SEED : CLI_TEAM, option, exit_code) || !(value = cli_value(cli, option, exit_code))) return true;
    int code = EXIT_OK;
    if (budget) code = take_budget(cli, value);
    else if (level) code = take_level(cli, value);
    else if (seed) code = read_u32(value, NULL, &cli->seed) ? EXIT_OK : cli_usage("--seed %s: 0 to 4294967295", value);
    else if (!read_u32(value, NULL, &cli->runtime.threads) || cli->runtime.threads < 1 || cli->runtime.threads > 1024)
        code = cli_usage("--threads %s: 1 to 1024", value);
    if (code != EXIT_OK) *exit_code = code;
    return true;
}

static bool is_picture(const Part *p) { return p->kind == PART_IMAGE || p->kind == PART_IMAGE_SIZE; }

/* what only shows when all parts are known */
static int check_parts(Cli *cli)
{
    size_t pipes = 0, pictures = 0, pictures_after_budget = 0;
    for (size_t i = 0; i < cli->n_parts; i++) {
        const Part *p = &cli->parts[i];
        pipes += (p->kind == PART_IMAGE || p->kind == PART_AUDIO) && strcmp(p->value, "-") == 0;
        pictures += is_picture(p);
        pictures_after_budget += is_picture(p) && p->budget == cli->budget;
    }
    if (pipes > 1) return cli_usage("only one part can come from standard input (-)");
    if (cli->budget && pictures == 0) return cli_usage("--image-budget is for pictures, and there is none");
    for (size_t i = 0; i < cli->n_parts && pictures_after_budget == 0; i++) {   /* after the last picture: for those before it */
        if (!is_picture(&cli->parts[i])) continue;
        if (cli->parts[i].budget) return cli_usage("--image-budget is for the pictures after it, and none follows");
        cli->parts[i].budget = cli->budget;
    }
    return EXIT_OK;
}

/* --option=value becomes the two arguments that it stands for */
static void part_joined(Cli *cli, char *option)
{
    char *equals = strchr(option, '=');
    if (!equals) return;
    *equals = 0;
    cli->joined_to = option;
    cli->joined = --cli->at;
    cli->argv[cli->at] = equals + 1;
}

const char *cli_next(Cli *cli, int *exit_code)
{
    while (cli->at < cli->argc && *exit_code == EXIT_OK) {
        if (cli->joined && cli->at == cli->joined) {
            *exit_code = cli_usage("%s takes no value, and here is %s", cli->joined_to, cli->argv[cli->at]);
            return NULL;
        }
        char *option = cli->argv[cli->at++];
        if (!*option) {
            *exit_code = cli_usage("muse %s: an argument is empty: a variable that is not set?", cli->name);
            return NULL;
        }
        if (strcmp(option, "-h") == 0) return "--help";
        if (strncmp(option, "--", 2) == 0) part_joined(cli, option);
        if (!take_common(cli, option, exit_code)) return option;
    }
    cli->runtime.log = cli->quiet ? NULL : print_log;
    cli->runtime.log_user = cli;
    if (*exit_code == EXIT_OK) *exit_code = check_parts(cli);
    return NULL;
}

/* all of standard input; free() the result. NULL: *err says why */
static void *read_stdin(size_t *size, MuseError *err)
{
    size_t cap = 1 << 16;
    char *data = malloc(cap);
    *size = 0;
    while (data) {
        const size_t n = fread(data + *size, 1, cap - *size, stdin);
        *size += n;
        if (n == 0 && !ferror(stdin)) return data;
        if (n == 0) {
            err->code = MUSE_ERR_IO;
            snprintf(err->text, sizeof err->text, "standard input: can't read: %s", strerror(errno));
            free(data);
            return NULL;
        }
        if (*size < cap) continue;
        char *larger = cap < SIZE_MAX / 2 ? realloc(data, cap *= 2) : NULL;
        if (!larger) free(data);
        data = larger;
    }
    *err = (MuseError){ MUSE_ERR_NOMEM, "standard input does not fit in memory" };
    return NULL;
}

int cli_open_image(MuseImage **out, MuseRuntime *rt, const char *path, MuseError *err)
{
    *out = NULL;
    if (strcmp(path, "-") != 0) return muse_image_open_file(out, rt, path, NULL, err);
    size_t size;
    void *data = read_stdin(&size, err);
    const int rc = data ? muse_image_open_memory(out, rt, data, size, NULL, err) : err->code;
    free(data);
    return rc;
}

int cli_open_audio(MuseAudio **out, MuseRuntime *rt, const char *path, MuseError *err)
{
    *out = NULL;
    if (strcmp(path, "-") != 0) return muse_audio_open_file(out, rt, path, NULL, err);
    size_t size;
    void *data = read_stdin(&size, err);
    const int rc = data ? muse_audio_open_memory(out, rt, data, size, NULL, err) : err->code;
    free(data);
    return rc;
}

static int bad_value(MuseError *err, const char *option, const char *value, const char *want)
{
    err->code = MUSE_ERR_ARG;
    snprintf(err->text, sizeof err->text, "%s %s: %s", option, value, want);
    return err->code;
}

static int append_ids(MuseSequence *seq, const char *list, MuseError *err)
{
    size_t n = 0, cap = 1;
    for (const char *c = list; *c; c++) cap += *c == ',';
    int32_t *ids = malloc(cap * sizeof *ids);
    if (!ids) {
        *err = (MuseError){ MUSE_ERR_NOMEM, "--ids: no memory for the list" };
        return err->code;
    }
    int rc = 0;
    for (const char *at = list; rc == 0;) {
        char *end;
        errno = 0;
        const long v = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || errno || v < 0 || v > INT32_MAX) rc = bad_value(err, "--ids", list, "numbers with commas between them");
        else ids[n++] = (int32_t)v;
        if (!*end) break;
        at = end + 1;
    }
    if (rc == 0) rc = muse_sequence_append_ids(seq, ids, n, err);
    free(ids);
    return rc;
}

static int append_image(MuseSequence *seq, MuseRuntime *rt, const Part *part, MuseError *err)
{
    MuseImageOptions options;
    muse_image_options_init(&options);
    options.budget = part->budget;
    if (part->kind == PART_IMAGE_SIZE) {
        uint32_t w, h;
        const char *x = strchr(part->value, 'x');
        if (!x || !read_u32(part->value, x, &w) || !read_u32(x + 1, NULL, &h)) return bad_value(err, "--image-size", part->value, "WIDTHxHEIGHT in pixels");
        return muse_sequence_append_image_size(seq, w, h, &options, err);
    }
    MuseImage *image;
    int rc = cli_open_image(&image, rt, part->value, err);
    if (rc == 0) rc = muse_sequence_append_image(seq, image, &options, err);
    muse_image_close(&image);
    return rc;
}

static int append_audio(MuseSequence *seq, MuseRuntime *rt, const Part *part, MuseError *err)
{
    if (part->kind == PART_AUDIO_LENGTH) {
        uint32_t rate = 16000;
        char *end;
        const double seconds = strtod(part->value, &end);
        const bool read = end != part->value && (*end == 0 || (*end == '@' && read_u32(end + 1, NULL, &rate)));
        if (!read || !(seconds >= 0 && seconds < 1e9)) return bad_value(err, "--audio-length", part->value, "SECONDS or SECONDS@RATE");
        return muse_sequence_append_audio_length(seq, (uint64_t)(seconds * rate + 0.5), rate, err);
    }
    MuseAudio *audio;
    int rc = cli_open_audio(&audio, rt, part->value, err);
    if (rc == 0) rc = muse_sequence_append_audio(seq, audio, NULL, NULL, err);
    muse_audio_close(&audio);
    return rc;
}

int cli_append_part(MuseSequence *seq, MuseRuntime *rt, const Part *part, unsigned text_flags, MuseError *err)
{
    switch (part->kind) {
    case PART_TEXT: return muse_sequence_append_text(seq, part->value, strlen(part->value), text_flags, err);
    case PART_IDS: return append_ids(seq, part->value, err);
    case PART_IMAGE: case PART_IMAGE_SIZE: return append_image(seq, rt, part, err);
    default: return append_audio(seq, rt, part, err);
    }
}

/* ---- budgets ---- */

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
    if (cli->quiet || strcmp(family->name, "muse") != 0 || family->image.kind == MUSE_IMAGE_NONE) return;
    for (size_t i = 0; i < cli->n_parts; i++) {
        const Part *p = &cli->parts[i];
        if (p->kind != PART_IMAGE || p->budget == MUSE_BUDGET_DEFAULT || p->budget == family->image.budget || !has_budget(&family->image, p->budget)) continue;
        fprintf(stderr, "muse: warning: --image-budget: the model's default is %u patches a picture; with others answers may be worse\n", family->image.budget);
        return;
    }
}

/* ---- files out ---- */

static int cannot_write(const char *path, int why)
{
    fprintf(stderr, "muse: %s: can't write: %s\n", path, strerror(why));
    return EXIT_INPUT;
}

/* Beside it and renamed, so that a full disk neither takes what was there nor leaves a half. Links, pipes and devices, protected
 * files, and those whose folder takes no new one, are written as they are. */
int cli_write_file(const char *path, const void *bytes, size_t size)
{
    struct stat st;
    const bool exists = lstat(path, &st) == 0;
    char part[4096];
    const int n = snprintf(part, sizeof part, "%s.%ld", path, (long)getpid());
    FILE *f = (!exists || (S_ISREG(st.st_mode) && st.st_nlink == 1 && access(path, W_OK) == 0)) && n > 0 && (size_t)n < sizeof part ? fopen(part, "wbx") : NULL;
    const bool beside = f != NULL;
    if (!f) f = fopen(path, "wb");
    if (!f) return cannot_write(path, errno);
    bool ok = fwrite(bytes, 1, size, f) == size && (!beside || !exists || fchmod(fileno(f), st.st_mode & 07777) == 0);
    int why = errno;
    if (fclose(f) != 0 && ok) ok = false, why = errno;
    if (ok && beside && rename(part, path) != 0) ok = false, why = errno;
    if (!ok && (beside || !exists)) remove(beside ? part : path);
    return ok ? EXIT_OK : cannot_write(path, why);
}

int cli_check_png(const char *option, const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    return !dot || strcasecmp(dot, ".png") == 0 ? EXIT_OK : cli_usage("%s writes PNG: a name that ends in .png, not %s", option, path);
}

/* the same text, or two names of one file; devices may be read and written */
static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (stat(a, &x) < 0 || stat(b, &y) < 0) return strcmp(a, b) == 0;
    return S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int cli_check_apart(const Cli *cli, const char *option, const char *path, const char *other)
{
    if (!path) return EXIT_OK;
    if (other && is_same_file(path, other)) return cli_usage("%s %s: another file is to be written there", option, path);
    for (size_t i = 0; i < cli->n_parts; i++) {
        const Part *p = &cli->parts[i];
        if ((p->kind == PART_IMAGE || p->kind == PART_AUDIO) && is_same_file(path, p->value)) return cli_usage("%s %s: that is the input itself", option, path);
    }
    return EXIT_OK;
}

/* Folders as base/outfile.c makes them: programs are built on the public headers alone (tests/layers.txt), which have none. */
static bool make_one(const char *path)
{
    struct stat st;
    if (mkdir(path, 0777) == 0) return true;
    const int why = errno;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return true;
    errno = why == EEXIST ? ENOTDIR : why;
    return false;
}

bool cli_make_folder(const char *path)
{
    char *text = strdup(path);
    bool made = text != NULL;
    for (char *slash = made && *text ? strchr(text + 1, '/') : NULL; made && slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        made = make_one(text);
        *slash = '/';
    }
    if (made) made = make_one(text);
    const int why = errno;
    free(text);
    errno = why;
    return made;
}

int cli_check_writable(const char *path)
{
    const bool there = access(path, F_OK) == 0;
    FILE *f = fopen(path, "ab");
    if (!f) return cannot_write(path, errno);
    fclose(f);
    if (!there) remove(path);
    return EXIT_OK;
}
