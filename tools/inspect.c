/* SPDX-License-Identifier: Apache-2.0 */
/* muse inspect: what is in a model's files, and what running it takes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"

typedef struct Inspect {
    const char *path, *mmproj;
    uint64_t context;
    bool tensors, config;       /* config: path is a configuration without weights */
    MuseRuntime *rt;
    MuseModel *model;
    MuseModelInfo info;
    MuseModelMemory memory;
} Inspect;

static void help(FILE *to)
{
    fputs("usage: muse inspect PATH [OPTION ...]\n"
          "       muse inspect --config FILE [OPTION ...]\n"
          "Shows what a model is: family, modalities, tensor types and sizes, parameters, memory. PATH is a Hugging Face folder or\n"
          "a GGUF file. Reads headers only.\n\n"
          "  --config FILE             what a model of this config.json would be, in BF16\n"
          "  --mmproj FILE             the projector file of a GGUF text model\n"
          "  --context N               memory for N positions; the model's own limit unless told\n"
          "  --tensors                 list every tensor\n"
          "  --json                    JSON on stdout\n"
          "  --quiet                   no warnings\n"
          "\nexit codes: 0 done, 2 usage, 3 bad input file, 4 unsupported, 5 memory or limit, 1 anything else\n", to);
}

/* "12.3 GiB", into one of a few static buffers of the caller */
static const char *size_text(uint64_t bytes, char *text, size_t cap)
{
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 1024 && u < 4) v /= 1024, u++;
    snprintf(text, cap, u ? "%.2f %s" : "%.0f %s", v, units[u]);
    return text;
}

static void print_shape(const MuseTensorInfo *t)
{
    putchar('[');
    for (uint32_t i = 0; i < t->rank; i++) printf(i ? ", %" PRIu64 : "%" PRIu64, t->shape[i]);
    putchar(']');
}

static void print_ids(const char *name, const int32_t *ids, size_t n)
{
    if (n == 0) return;
    printf("%-14s", name);
    for (size_t i = 0; i < n; i++) printf(i ? ", %d" : "%d", ids[i]);
    putchar('\n');
}

static void print_media(const MuseFamily *f)
{
    if (f->image.kind != MUSE_IMAGE_NONE) {
        printf("%-14spatches of %u x %u pixels", "pictures", f->image.unit, f->image.unit);
        for (size_t i = 0; i < MUSE_BUDGETS_MAX && f->image.budgets[i]; i++) printf(i ? ", %u" : "; budgets %u", f->image.budgets[i]);
        if (f->image.kind != MUSE_IMAGE_FIT) printf("; %u unless told", f->image.budget);
        putchar('\n');
    }
    if (f->audio.kind == MUSE_AUDIO_RAW) printf("%-14sframes of %u samples at %u Hz\n", "sound", f->audio.frame_samples, f->audio.rate);
    if (f->audio.kind == MUSE_AUDIO_LOGMEL) printf("%-14s%u log-mel columns of %u bins a frame\n", "sound", f->audio.stack, f->audio.mel_bins);
}

static void print_model(const Inspect *o)
{
    const MuseModelInfo *i = &o->info;
    char a[32], b[32];
    printf("%-14s%s (%s, %zu file%s)\n", "family", i->family, i->format, i->n_files, i->n_files == 1 ? "" : "s");
    printf("%-14stext%s%s\n", "takes", i->takes_images ? ", pictures" : "", i->takes_audio ? ", sound" : "");
    print_media(muse_model_family(o->model));
    printf("%-14s%" PRIu64 " in %zu tensors, %s", "parameters", i->n_parameters, i->n_tensors, size_text(i->weights_bytes, a, sizeof a));
    if (i->n_unused) printf(" (%zu tensors without a role are not used)", i->n_unused);
    printf("\n%-14s%u of width %u, MLP %u; %u query heads on %u key/value heads of %u%s\n", "layers", i->n_layers, i->width, i->ffn, i->heads, i->kv_heads, i->head_width,
           i->n_windowed && i->n_windowed < i->n_layers ? " in the first" : "");
    if (i->n_windowed) printf("%-14s%u positions in %u of %u layers\n", "window", i->window, i->n_windowed, i->n_layers);
    printf("%-14s%u tokens, head %s\n", "vocabulary", i->vocab, i->tied ? "tied to the embedding" : "of its own");
    print_ids("ends with", i->eos, i->n_eos);
    print_ids("never samples", i->suppressed, i->n_suppressed);
    MuseModelType t;
    for (size_t k = 0; muse_model_type(o->model, k, &t) == 0; k++)
        printf("%-14s%-6s %zu tensor%s, %" PRIu64 " values, %s\n", k ? "" : "types", t.name, t.n_tensors, t.n_tensors == 1 ? "" : "s", t.n_values, size_text(t.bytes, a, sizeof a));
    const MuseModelMemory *m = &o->memory;
    printf("%-14sfor %" PRIu64 " positions (limit %" PRIu64 "): weights %s", "memory", m->positions, i->context_limit, size_text(m->weights, a, sizeof a));
    printf(", keys and values %s (bf16) or %s (8 bit)", size_text(m->kv_16, a, sizeof a), size_text(m->kv_8, b, sizeof b));
    printf(", workspace %s; ", size_text(m->workspace, a, sizeof a));
    printf("together %s or %s\n", size_text(m->weights + m->kv_16 + m->workspace, a, sizeof a), size_text(m->weights + m->kv_8 + m->workspace, b, sizeof b));
    MuseTensorInfo tensor;
    for (size_t k = 0; o->tensors && muse_model_tensor(o->model, k, &tensor) == 0; k++) {
        printf("%-6s %12" PRIu64 "  %s ", tensor.type, tensor.bytes, tensor.name);
        print_shape(&tensor);
        putchar('\n');
    }
}

/* ---- JSON ---- */

static void gen_counts(yajl_gen g, const Inspect *o)
{
    const MuseModelInfo *i = &o->info;
    json_text(g, "family", i->family);
    json_text(g, "format", i->format);
    json_key(g, "modalities");
    yajl_gen_array_open(g);
    json_string(g, "text", 4);
    if (i->takes_images) json_string(g, "image", 5);
    if (i->takes_audio) json_string(g, "audio", 5);
    yajl_gen_array_close(g);
    json_integer(g, "parameters", (long long)i->n_parameters);
    json_integer(g, "tensors", (long long)i->n_tensors);
    json_integer(g, "unused_tensors", (long long)i->n_unused);
    json_integer(g, "weights_bytes", (long long)i->weights_bytes);
    json_integer(g, "file_bytes", (long long)i->file_bytes);
    json_integer(g, "files", (long long)i->n_files);
    json_integer(g, "layers", i->n_layers);
    json_integer(g, "width", i->width);
    json_integer(g, "mlp_width", i->ffn);
    json_integer(g, "heads", i->heads);
    json_integer(g, "kv_heads", i->kv_heads);
    json_integer(g, "head_width", i->head_width);
    json_integer(g, "windowed_layers", i->n_windowed);
    json_integer(g, "window", i->window);
    json_integer(g, "vocabulary", i->vocab);
    json_bool(g, "tied", i->tied);
    json_integer(g, "context_limit", (long long)i->context_limit);
    json_integer(g, "bos", i->bos);
    json_ids(g, "eos", i->eos, i->n_eos);
    json_ids(g, "suppressed", i->suppressed, i->n_suppressed);
}

static void gen_media(yajl_gen g, const MuseFamily *f)
{
    if (f->image.kind != MUSE_IMAGE_NONE) {
        json_key(g, "image");
        yajl_gen_map_open(g);
        json_integer(g, "patch", f->image.unit);
        json_key(g, "budgets");
        yajl_gen_array_open(g);
        for (size_t i = 0; i < MUSE_BUDGETS_MAX && f->image.budgets[i]; i++) yajl_gen_integer(g, f->image.budgets[i]);
        yajl_gen_array_close(g);
        json_integer(g, "budget", f->image.budget);
        yajl_gen_map_close(g);
    }
    if (f->audio.kind == MUSE_AUDIO_NONE) return;
    json_key(g, "audio");
    yajl_gen_map_open(g);
    json_integer(g, "rate", f->audio.rate);
    json_integer(g, "frame", f->audio.kind == MUSE_AUDIO_RAW ? f->audio.frame_samples : f->audio.mel_bins * f->audio.stack);
    yajl_gen_map_close(g);
}

static void gen_memory(yajl_gen g, const MuseModelMemory *m)
{
    json_key(g, "memory");
    yajl_gen_map_open(g);
    json_integer(g, "context", (long long)m->positions);
    json_integer(g, "weights", (long long)m->weights);
    json_integer(g, "kv_bf16", (long long)m->kv_16);
    json_integer(g, "kv_int8", (long long)m->kv_8);
    json_integer(g, "workspace", (long long)m->workspace);
    json_integer(g, "total_bf16", (long long)(m->weights + m->kv_16 + m->workspace));
    json_integer(g, "total_int8", (long long)(m->weights + m->kv_8 + m->workspace));
    yajl_gen_map_close(g);
}

static void gen_tensors(yajl_gen g, const MuseModel *model)
{
    MuseTensorInfo t;
    json_key(g, "tensor_list");
    yajl_gen_array_open(g);
    for (size_t k = 0; muse_model_tensor(model, k, &t) == 0; k++) {
        yajl_gen_map_open(g);
        json_text(g, "name", t.name);
        json_text(g, "type", t.type);
        json_key(g, "shape");
        yajl_gen_array_open(g);
        for (uint32_t i = 0; i < t.rank; i++) yajl_gen_integer(g, (long long)t.shape[i]);
        yajl_gen_array_close(g);
        json_integer(g, "bytes", (long long)t.bytes);
        json_text(g, "file", t.file);
        yajl_gen_map_close(g);
    }
    yajl_gen_array_close(g);
}

static int print_json(const Inspect *o)
{
    yajl_gen g = yajl_gen_alloc(NULL);
    MuseModelType t;
    yajl_gen_map_open(g);
    gen_counts(g, o);
    gen_media(g, muse_model_family(o->model));
    json_key(g, "types");
    yajl_gen_map_open(g);
    for (size_t k = 0; muse_model_type(o->model, k, &t) == 0; k++) {
        json_key(g, t.name);
        yajl_gen_map_open(g);
        json_integer(g, "tensors", (long long)t.n_tensors);
        json_integer(g, "values", (long long)t.n_values);
        json_integer(g, "bytes", (long long)t.bytes);
        yajl_gen_map_close(g);
    }
    yajl_gen_map_close(g);
    gen_memory(g, &o->memory);
    if (o->tensors) gen_tensors(g, o->model);
    yajl_gen_map_close(g);
    const int code = json_print(g);
    yajl_gen_free(g);
    return code;
}

/* ---- the command ---- */

static int read_options(Cli *cli, Inspect *o)
{
    int code = EXIT_OK;
    const char *option, *value;
    while ((option = cli_next(cli, &code))) {
        if (strcmp(option, "--tensors") == 0) {
            o->tensors = true;
        } else if (strcmp(option, "--mmproj") == 0) {
            o->mmproj = cli_value(cli, option, &code);
        } else if (strcmp(option, "--config") == 0) {
            if (o->path) return cli_usage("inspect: one path, not a configuration too");
            o->path = cli_value(cli, option, &code);
            o->config = true;
        } else if (strcmp(option, "--context") == 0) {
            char *end;
            if (!(value = cli_value(cli, option, &code))) break;
            o->context = strtoull(value, &end, 10);
            if (*value < '0' || *value > '9' || *end || o->context < 1 || o->context > 1 << 30) return cli_usage("--context %s: a number of positions, 1 to 2^30", value);
        } else if (option[0] == '-' && option[1]) {
            return cli_no_option(cli, option);
        } else if (o->path) {
            return cli_usage("inspect: one path, not %s too", option);
        } else {
            o->path = option;
        }
    }
    if (code != EXIT_OK) return code;
    return o->path ? EXIT_OK : cli_usage("inspect: which model? (try muse inspect --help)");
}

int cmd_inspect(Cli *cli)
{
    for (int i = 2; i < cli->argc; i++)
        if (strcmp(cli->argv[i], "--help") == 0 || strcmp(cli->argv[i], "-h") == 0) { help(stdout); return EXIT_OK; }
    Inspect o = { 0 };
    MuseError err;
    MuseModelParams params;
    int code = read_options(cli, &o);
    if (code != EXIT_OK) return code;
    if (muse_runtime_open(&o.rt, &cli->runtime, &err) < 0) return cli_fail(&err, NULL);
    muse_model_params_init(&params);
    params.mmproj = o.mmproj;
    params.weights = o.config ? MUSE_WEIGHTS_NONE : MUSE_WEIGHTS_FILES;
    if (muse_model_open(&o.model, o.rt, o.path, &params, &err) < 0) {
        code = cli_fail(&err, o.path);
    } else {
        muse_model_info(o.model, &o.info);
        muse_model_memory(o.model, o.context, &o.memory);
        if (cli->json) code = print_json(&o);
        else print_model(&o);
    }
    muse_model_close(&o.model);
    muse_runtime_close(&o.rt);
    return code;
}
