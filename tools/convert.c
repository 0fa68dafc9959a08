/* SPDX-License-Identifier: Apache-2.0 */
/* muse convert: model files into another container or number type. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/cli.h"

typedef struct Convert {
    const char *in, *out;
    MuseConvertParams params;
    bool bar;
    int  percent;                 /* shown last */
} Convert;

static void help(FILE *to)
{
    fputs("usage: muse convert IN OUT --type TYPE [OPTION ...]\n"
          "Writes a model in another container or number type. IN is a Hugging Face folder or a GGUF file. OUT is a GGUF file if its\n"
          "name ends in .gguf, else a folder, which is made.\n\n"
          "  --type TYPE               f32, bf16, f16, q8_0, q4_0, q4_k, q5_k, q6_k, q5_0 or q5_1; those with a q in GGUF only\n"
          "  --mmproj FILE             Gemma's projector file: where to write it (folder to GGUF; mmproj-OUT beside OUT unless told), or\n"
          "                            the one to read (GGUF to folder)\n"
          "  --shard SIZE              largest safetensors file, as 5G or 800M; one file unless told\n"
          "  --threads N               size of the thread team; all cores unless told\n"
          "  --cpu-level LEVEL         c, avx2, avx512 or amx; the best unless told\n"
          "  --json                    JSON on stdout\n"
          "  --quiet                   no warnings, no progress\n"
          "\nexit codes: 0 done, 2 usage, 3 bad input file, 4 unsupported, 5 memory or limit, 6 cancelled, 1 anything else\n", to);
}

static bool read_size(const char *text, uint64_t *out)
{
    char *end;
    uint64_t unit = 1;
    const unsigned long long v = strtoull(text, &end, 10);
    if (*end == 'K') unit = 1000;
    else if (*end == 'M') unit = 1000000;
    else if (*end == 'G') unit = 1000000000;
    if (*text < '0' || *text > '9' || (unit > 1 ? end[1] : *end) || v == 0 || v > UINT64_MAX / unit) return false;
    *out = v * unit;
    return true;
}

static int read_options(Cli *cli, Convert *o)
{
    int code = EXIT_OK;
    const char *option, *value;
    while ((option = cli_next(cli, &code))) {
        if (strcmp(option, "--type") == 0) {
            o->params.type = cli_value(cli, option, &code);
        } else if (strcmp(option, "--mmproj") == 0) {
            o->params.mmproj = cli_value(cli, option, &code);
        } else if (strcmp(option, "--shard") == 0) {
            if (!(value = cli_value(cli, option, &code))) break;
            if (!read_size(value, &o->params.shard_bytes)) return cli_usage("--shard %s: a number of bytes, or one with K, M or G", value);
        } else if (option[0] == '-' && option[1]) {
            return cli_no_option(cli, option);
        } else if (o->out) {
            return cli_usage("convert: one input and one output, not %s too", option);
        } else {
            *(o->in ? &o->out : &o->in) = option;
        }
    }
    if (code != EXIT_OK) return code;
    if (!o->out) return cli_usage("convert: from what into what? (try muse convert --help)");
    return o->params.type ? EXIT_OK : cli_usage("convert: which --type? (try muse convert --help)");
}

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static int is_stopped(void *user)
{
    (void)user;
    return stopped;
}

static void show_progress(void *user, uint64_t done, uint64_t total, const char *tensor)
{
    Convert *o = user;
    const int percent = total ? (int)(100.0 * (double)done / (double)total) : 100;
    if (!o->bar || percent == o->percent) return;
    o->percent = percent;
    fprintf(stderr, "\r\033[K");
    if (done < total && cli_columns() > 7) fprintf(stderr, "%3d%%  %.*s", percent, (int)cli_columns() - 7, tensor);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int print_result(const Cli *cli, const Convert *o, const MuseConvertInfo *info, double seconds)
{
    if (!cli->json) {
        printf("%s: %" PRIu64 " tensors, %" PRIu64 " bytes read, %" PRIu64 " bytes written in %" PRIu64 " file%s, %.1f s\n", o->out, info->n_tensors, info->bytes_in, info->bytes_out,
               info->n_files, info->n_files == 1 ? "" : "s", seconds);
        return EXIT_OK;
    }
    yajl_gen g = yajl_gen_alloc(NULL);
    yajl_gen_map_open(g);
    json_text(g, "out", o->out);
    json_text(g, "type", o->params.type);
    json_integer(g, "tensors", (long long)info->n_tensors);
    json_integer(g, "kept_tensors", (long long)info->n_kept);
    json_integer(g, "bytes_in", (long long)info->bytes_in);
    json_integer(g, "bytes_out", (long long)info->bytes_out);
    json_integer(g, "files", (long long)info->n_files);
    json_number(g, "seconds", seconds);
    yajl_gen_map_close(g);
    const int code = json_print(g);
    yajl_gen_free(g);
    return code;
}

int cmd_convert(Cli *cli)
{
    for (int i = 2; i < cli->argc; i++)
        if (strcmp(cli->argv[i], "--help") == 0 || strcmp(cli->argv[i], "-h") == 0) { help(stdout); return EXIT_OK; }
    Convert o = { .percent = -1 };
    MuseConvertInfo info;
    MuseRuntime *rt;
    MuseError err;
    muse_convert_params_init(&o.params);
    int code = read_options(cli, &o);
    if (code != EXIT_OK) return code;
    if (muse_runtime_open(&rt, &cli->runtime, &err) < 0) return cli_fail(&err, NULL);
    o.bar = !cli->quiet && cli_columns();
    o.params.progress = show_progress;
    o.params.progress_user = &o;
    o.params.cancel = is_stopped;
    signal(SIGINT, on_signal);    /* so that no temporary file stays behind */
    signal(SIGTERM, on_signal);
    const double start = now();
    const int rc = muse_convert(rt, o.in, o.out, &o.params, &info, &err);
    code = rc < 0 ? cli_fail(&err, NULL) : print_result(cli, &o, &info, now() - start);
    muse_runtime_close(&rt);
    return code;
}
