/* SPDX-License-Identifier: Apache-2.0 */
/* muse bench: how fast a model's prompt and steps are computed here. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/cli.h"

enum { RUNS_MAX = 101, LIMITS = 6 };

typedef struct Bench {
    const char *path, *mmproj;
    bool     config;            /* path is a configuration: weights are drawn */
    uint32_t prompt, n_new, batch, runs, compute, kv;
    MuseRuntime *rt;
    MuseModel *model;
    MuseSession **sessions;     /* [batch]; the first holds the prompt, the others are its forks */
    int32_t *ids;               /* [max(prompt, batch)] */
    double   load_s, first_token_s, prefill[RUNS_MAX], decode[RUNS_MAX];
    uint64_t kv_bytes, kv_own_bytes, peak_rss;
    bool     limits;
    double   limit[LIMITS][RUNS_MAX];
} Bench;

static const struct { const char *key, *name, *unit; size_t at; } limit_rows[LIMITS] = {
    { "read_bandwidth_gbs", "reading memory", "GB/s", offsetof(MuseLimits, read_gbs) },
    { "fma_f32_gflops", "f32 multiply-add", "Gflop/s", offsetof(MuseLimits, fma_f32_gflops) },
    { "dot_bf16_gflops", "bf16 dot product", "Gflop/s", offsetof(MuseLimits, dot_bf16_gflops) },
    { "dot_int8_gops", "int8 dot product", "Gop/s", offsetof(MuseLimits, dot_int8_gops) },
    { "amx_bf16_gflops", "AMX bf16", "Gflop/s", offsetof(MuseLimits, amx_bf16_gflops) },
    { "amx_int8_gops", "AMX int8", "Gop/s", offsetof(MuseLimits, amx_int8_gops) } };

static void help(FILE *to, const Cli *cli)
{
    fputs("usage: muse bench --model PATH [OPTION ...]\n"
          "       muse bench --config FILE [OPTION ...]\n"
          "Computes a prompt of pseudo-random tokens and steps after it, several times; tokens a second, medians.\n\n"
          "  --model PATH              a Hugging Face folder or a GGUF file\n"
          "  --mmproj FILE             the projector beside a text GGUF\n"
          "  --config FILE             instead: the shape of this config.json, with random weights in BF16\n"
          "  --prompt N                positions of the prompt; 512 unless told\n"
          "  --new N                   steps after it; 64 unless told\n"
          "  --batch N                 sequences that step together, forks of the prompt; 1 unless told\n"
          "  --runs N                  1 to 101; 5 unless told\n"
          "  --limits                  after each run, measure what the machine can do at most: reading memory, multiplying and\n"
          "                            adding on all threads; 0 where it lacks the instruction\n"
          "  --compute MODE            auto, f32, bf16 or int8\n"
          "  --kv TYPE                 auto, f32, bf16 or q8: how keys and values are kept\n", to);
    cli_common_help(to, cli);
}

static int ascending(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static int one_run(Bench *b, uint32_t run, MuseError *err)
{
    MuseSessionParams p;
    MuseSessionInfo info;
    muse_session_params_init(&p);
    p.compute = b->compute;
    p.kv = b->kv;
    p.max_positions = (uint64_t)b->prompt + b->n_new + 1;
    int rc = muse_session_open(&b->sessions[0], b->model, &p, err);
    if (rc == 0) rc = muse_sequence_append_ids(muse_session_sequence(b->sessions[0]), b->ids, b->prompt, err);
    double t = cli_now();
    if (rc == 0) rc = muse_session_prefill(b->sessions[0], err);
    b->prefill[run] = b->prompt / (cli_now() - t);
    for (uint32_t i = 1; rc == 0 && i < b->batch; i++) rc = muse_session_fork(&b->sessions[i], b->sessions[0], err);
    for (uint32_t i = 0; rc == 0 && i < b->batch; i++) rc = muse_session_reserve(b->sessions[i], b->n_new, err);
    t = cli_now();
    for (uint32_t n = 0; rc == 0 && n < b->n_new; n++) rc = muse_session_step_batch(b->sessions, b->ids, b->batch, err);
    b->decode[run] = b->n_new * (double)b->batch / (cli_now() - t);
    b->kv_bytes = b->kv_own_bytes = 0;
    for (uint32_t i = 0; rc == 0 && i < b->batch; i++) {
        muse_session_info(b->sessions[i], &info);
        b->kv_bytes = i ? b->kv_bytes + info.kv_own_bytes : info.kv_bytes;
    }
    for (uint32_t i = 0; i < b->batch; i++) muse_session_close(&b->sessions[i]);
    return rc;
}

/* opens the model and computes 16 positions: what a user waits for until the first token */
static int load(Bench *b, MuseError *err)
{
    MuseModelParams p;
    MuseModelInfo info;
    muse_model_params_init(&p);
    p.mmproj = b->mmproj;
    p.weights = b->config ? MUSE_WEIGHTS_RANDOM : MUSE_WEIGHTS_FILES;
    const double t = cli_now();
    int rc = muse_model_open(&b->model, b->rt, b->path, &p, err);
    b->load_s = cli_now() - t;
    if (rc < 0) return rc;
    muse_model_info(b->model, &info);
    const size_t n = b->prompt > b->batch ? b->prompt : b->batch;
    b->ids = malloc((n > 16 ? n : 16) * sizeof *b->ids);
    b->sessions = calloc(b->batch, sizeof(MuseSession *));
    if (!b->ids || !b->sessions) {
        *err = (MuseError){ MUSE_ERR_NOMEM, "no memory for ids and sessions" };
        return err->code;
    }
    uint64_t state = 1;
    for (size_t i = 0; i < (n > 16 ? n : 16); i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        b->ids[i] = (int32_t)((state >> 33) % info.vocab);
    }
    const uint32_t prompt = b->prompt, n_new = b->n_new, batch = b->batch;
    b->prompt = 16;
    b->n_new = 0;
    b->batch = 1;
    rc = one_run(b, 0, err);
    b->first_token_s = cli_now() - t;
    b->prompt = prompt;
    b->n_new = n_new;
    b->batch = batch;
    return rc;
}

static uint64_t peak_rss(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (uint64_t)u.ru_maxrss * 1024 : 0;
}

static int measure_limits(Bench *b, uint32_t run, MuseError *err)
{
    MuseLimits limits;
    if (run == 0) b->peak_rss = peak_rss();   /* of the model: measuring takes memory of its own */
    const int rc = muse_measure_limits(b->rt, &limits, err);
    for (size_t i = 0; rc == 0 && i < LIMITS; i++) memcpy(&b->limit[i][run], (const char *)&limits + limit_rows[i].at, sizeof(double));
    return rc;
}

/* Bytes that a step reads: all weights but an input embedding of its own, of which it reads a few rows; keys and values at the end. */
static uint64_t step_bytes(const Bench *b, const MuseModelInfo *info)
{
    static const char *const embeddings[] = { "token_embd.weight", "embed_tokens.weight", "word_embeddings.weight" };
    uint64_t bytes = info->weights_bytes + b->kv_bytes;
    MuseTensorInfo t;
    for (size_t i = 0; !info->tied && muse_model_tensor(b->model, i, &t) == 0; i++)
        for (size_t k = 0; k < sizeof embeddings / sizeof *embeddings; k++) {
            const char *found = strstr(t.name, embeddings[k]);
            if (found && strcmp(found, embeddings[k]) == 0 && t.shape[0] == info->vocab && bytes > t.bytes) bytes -= t.bytes;
        }
    return bytes;
}

/* the largest cache of a core; 0: the system does not tell. From Linux: what sysconf() says of AMD's is the sum over all chips. */
static uint64_t cache_bytes(void)
{
    uint64_t most = 0;
    for (int i = 0; i < 8; i++) {
        char path[80], unit = 0;
        unsigned long n = 0;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        FILE *f = fopen(path, "r");
        const int got = f ? fscanf(f, "%9lu%c", &n, &unit) : 0;
        if (f) fclose(f);
        const uint64_t bytes = got == 2 && (unit == 'K' || unit == 'M') ? (uint64_t)n << (unit == 'K' ? 10 : 20) : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Of a small model a step reads little from memory, and its share says nothing. */
static void print_share(double share, uint64_t bytes)
{
    const uint64_t cache = cache_bytes();
    printf("decode    %10.1f %% of the memory bandwidth (%.1f MiB a step)\n", 100 * share, (double)bytes / 1048576);
    if (bytes <= cache) printf("          a step's %.1f MiB fit into the cache (%.1f MiB), so the memory is no limit: compare models that are larger\n", (double)bytes / 1048576, (double)cache / 1048576);
}

/* medians; the share of the read bandwidth that decoding uses */
static double read_limits(Bench *b, const MuseModelInfo *info, double decode, double limit[LIMITS])
{
    for (size_t i = 0; i < LIMITS; i++) limit[i] = median(b->limit[i], b->runs);
    return limit[0] > 0 ? 1e-9 * decode / b->batch * (double)step_bytes(b, info) / limit[0] : 0;
}

static int report(Bench *b, const Cli *cli)
{
    MuseModelInfo info;
    muse_model_info(b->model, &info);
    const double prefill = median(b->prefill, b->runs), decode = b->n_new ? median(b->decode, b->runs) : 0;
    double limit[LIMITS] = { 0 };
    const double share = b->limits ? read_limits(b, &info, decode, limit) : 0;
    if (!b->limits) b->peak_rss = peak_rss();
    if (cli->json) {
        yajl_gen g = yajl_gen_alloc(NULL);
        if (!g) return EXIT_RESOURCE;
        yajl_gen_map_open(g);
        json_number(g, "prefill_tps", prefill);
        json_number(g, "decode_tps", decode);
        json_number(g, "load_s", b->load_s);
        json_number(g, "first_token_s", b->first_token_s);
        json_integer(g, "peak_rss_bytes", (long long)b->peak_rss);
        json_integer(g, "weights_bytes", (long long)info.weights_bytes);
        json_integer(g, "kv_bytes", (long long)b->kv_bytes);
        json_integer(g, "batch", b->batch);
        for (size_t i = 0; b->limits && i < LIMITS; i++) json_number(g, limit_rows[i].key, limit[i]);
        if (b->limits) json_number(g, "decode_read_share", share);
        if (b->limits) json_integer(g, "step_bytes", (long long)step_bytes(b, &info));
        if (b->limits) json_integer(g, "cache_bytes", (long long)cache_bytes());
        yajl_gen_map_close(g);
        const int code = json_print(g);
        yajl_gen_free(g);
        return code;
    }
    printf("prefill   %10.1f tokens/s   (%u positions, median of %u)\n", prefill, b->prompt, b->runs);
    if (b->n_new) printf("decode    %10.1f tokens/s   (%u step%s, %u sequence%s)\n", decode, b->n_new, b->n_new == 1 ? "" : "s", b->batch, b->batch == 1 ? "" : "s");
    printf("load      %10.3f s to open, %.3f s to the first token of 16\n", b->load_s, b->first_token_s);
    printf("memory    %10.1f MiB resident at most; weights %.1f MiB, keys and values %.1f MiB\n", (double)b->peak_rss / 1048576, (double)info.weights_bytes / 1048576, (double)b->kv_bytes / 1048576);
    for (size_t i = 0; b->limits && i < LIMITS; i++)
        if (limit[i] > 0) printf("limit     %10.1f %s %s\n", limit[i], limit_rows[i].unit, limit_rows[i].name);
    if (b->limits && b->n_new) print_share(share, step_bytes(b, &info));
    return EXIT_OK;
}

static int parse(Bench *b, Cli *cli)
{
    const struct { const char *name; uint32_t *to, least, most; } numbers[] = {
        { "--prompt", &b->prompt, 1, 1 << 24 }, { "--new", &b->n_new, 0, 1 << 24 }, { "--batch", &b->batch, 1, 4096 }, { "--runs", &b->runs, 1, RUNS_MAX } };
    int code = EXIT_OK;
    for (const char *o; (o = cli_next(cli, &code)) != NULL;) {
        if (strcmp(o, "--help") == 0) {
            help(stdout, cli);
            return -1;
        }
        if (strcmp(o, "--limits") == 0) {
            b->limits = true;
            continue;
        }
        const bool compute = strcmp(o, "--compute") == 0;
        if (compute || strcmp(o, "--kv") == 0) {
            if ((code = cli_choice(cli, o, compute ? cli_computes : cli_kvs, compute ? &b->compute : &b->kv)) != EXIT_OK) return code;
            continue;
        }
        size_t i = 0;
        while (i < sizeof numbers / sizeof *numbers && strcmp(o, numbers[i].name) != 0) i++;
        if (i < sizeof numbers / sizeof *numbers) {
            if ((code = cli_whole(cli, o, numbers[i].least, numbers[i].most, numbers[i].to)) != EXIT_OK) return code;
            continue;
        }
        const bool config = strcmp(o, "--config") == 0, mmproj = strcmp(o, "--mmproj") == 0;
        if (!config && !mmproj && strcmp(o, "--model") != 0) return cli_no_option(cli, o);
        const char *v = cli_value(cli, o, &code);
        if (!v) return code;
        if (!mmproj && b->path) return cli_usage("bench: one --model or --config");
        *(mmproj ? &b->mmproj : &b->path) = v;
        if (config) b->config = true;
    }
    if (code != EXIT_OK) return code;
    return b->path ? EXIT_OK : cli_usage("muse bench needs --model PATH or --config FILE");
}

static void warn_context(const Bench *b)
{
    MuseModelInfo info;
    muse_model_info(b->model, &info);
    if ((uint64_t)b->prompt + b->n_new > info.context_limit)
        fprintf(stderr, "muse: warning: %u positions and %u steps are more than the %" PRIu64 " positions that the model was made for\n", b->prompt, b->n_new, info.context_limit);
}

int cmd_bench(Cli *cli)
{
    Bench b = { .prompt = 512, .n_new = 64, .batch = 1, .runs = 5 };
    MuseError err;
    int code = parse(&b, cli);
    if (code != EXIT_OK) return code < 0 ? EXIT_OK : code;
    int rc = muse_runtime_open(&b.rt, &cli->runtime, &err);
    if (rc == 0) rc = load(&b, &err);
    if (rc == 0 && !cli->quiet) warn_context(&b);
    for (uint32_t run = 0; rc == 0 && run < b.runs; run++) {
        rc = one_run(&b, run, &err);
        if (rc == 0 && b.limits) rc = measure_limits(&b, run, &err);
    }
    code = rc < 0 ? cli_fail(&err, b.path) : report(&b, cli);
    free(b.ids);
    free(b.sessions);
    muse_model_close(&b.model);
    muse_runtime_close(&b.rt);
    return code;
}
