/* SPDX-License-Identifier: Apache-2.0 */
/* The options of muse run. */
#include <stdlib.h>
#include <string.h>

#include "tools/run.h"

enum { MAX_TOKENS = 512 };   /* unless told; reaching it is said */

static void help(FILE *to, const Cli *cli)
{
    fputs("usage: muse run [--model PATH] [OPTION ...] PARTS\n"
          "Lets a model go on from text, pictures and sounds. The text goes to stdout as it comes; in a chat format that is the\n"
          "answer, and a thought before it goes to stderr.\n\n"
          "  --model PATH              a Hugging Face folder or a GGUF file; the shipped muse-nano unless told\n"
          "  --mmproj FILE             the projector beside a text GGUF\n"
          "  --raw                     no chat format, no BOS; added tokens in --text (such as <|turn>) count as tokens.\n"
          "                            Without it the parts are one user message in the chat format of the family\n"
          "  --system STRING           the system message before it\n"
          "  --think on|off            let the model think first; as the format does unless told\n"
          "  --max-tokens N            512 unless told; 0 computes the prompt only\n"
          "  --stop STRING             end before this text; may be repeated\n"
          "  --temp T                  sample at this temperature; unless told the most probable token is taken\n"
          "  --seed N                  of what is drawn; 0 unless told\n"
          "  --top-k K, --top-p P, --min-p P    of the most probable tokens only\n"
          "  --repeat-penalty R        divide logits of tokens seen by R\n"
          "  --presence P              subtract P from logits of tokens seen\n"
          "  --json-schema FILE|TEXT   the text is JSON valid under this schema\n"
          "  --regex R                 the whole text matches R\n"
          "  --compute MODE            auto, f32 (the reference path), bf16 or int8\n"
          "  --kv TYPE                 auto, f32, bf16 or q8: how keys and values are kept\n"
          "  --image-mask A|B          a picture's patches see each other in layers with a window (A) or in all (B)\n"
          "  --chunk N                 positions of the prompt computed at a time; 512 unless told\n"
          "  --logprobs                with --json: the logarithm of each token's probability\n"
          "  --save FILE               the session afterwards: positions, pictures, sounds, keys and values\n"
          "  --restore FILE            go on from a saved session; with --raw, and parts may be missing\n"
          "  --dump DIR                stages of the prompt's computation as .npy files: embeddings, layers.K, final_norm,\n"
          "                            logits, imageN.*, audioN.*\n"
          "  With --json: ids (new ones), text (all that was written), answer and thought (in a chat format, without a grammar),\n"
          "  prompt_ids, finish, seconds. --ids goes with --raw.\n", to);
    cli_common_help(to, cli);
}

/* 1: taken, 0: not one of these; the exit code of a usage error is left in *code */
static bool take_text(RunOptions *o, Cli *cli, const char *option, int *code)
{
    const struct { const char *name, **to; } texts[] = {
        { "--model", &o->model }, { "--mmproj", &o->mmproj }, { "--system", &o->system }, { "--json-schema", &o->schema }, { "--regex", &o->regex },
        { "--dump", &o->dump },
        { "--save", &o->save }, { "--restore", &o->restore } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(option, texts[i].name) != 0) continue;
        *texts[i].to = cli_value(cli, option, code);
        return true;
    }
    return false;
}

static bool take_number(RunOptions *o, Cli *cli, const char *option, int *code)
{
    const struct { const char *name; uint32_t *to, least, most; } whole[] = {
        { "--max-tokens", &o->max_tokens, 0, 1 << 30 }, { "--top-k", &o->sample.top_k, 0, 1 << 24 }, { "--chunk", &o->chunk, 1, 65536 } };
    const struct { const char *name; float *to; double least, most; } real[] = {
        { "--temp", &o->sample.temperature, 0, 1e6 }, { "--top-p", &o->sample.top_p, 0, 1 }, { "--min-p", &o->sample.min_p, 0, 1 },
        { "--repeat-penalty", &o->sample.repetition, 0, 1e6 }, { "--presence", &o->sample.presence, -1e6, 1e6 } };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        if (strcmp(option, whole[i].name) != 0) continue;
        *code = cli_whole(cli, option, whole[i].least, whole[i].most, whole[i].to);
        return true;
    }
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
        if (strcmp(option, real[i].name) != 0) continue;
        *code = cli_real(cli, option, real[i].least, real[i].most, real[i].to);
        return true;
    }
    return false;
}

static bool take_choice(RunOptions *o, Cli *cli, const char *option, int *code)
{
    static const char *const masks[] = { "default", "A", "B", NULL }, *const thinks[] = { "default", "on", "off", NULL };
    const struct { const char *name; const char *const *names; uint32_t *to; } choices[] = {
        { "--compute", cli_computes, &o->compute }, { "--kv", cli_kvs, &o->kv }, { "--image-mask", masks, &o->image_mask }, { "--think", thinks, &o->think } };
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (strcmp(option, choices[i].name) != 0) continue;
        const int failed = cli_choice(cli, option, choices[i].names, choices[i].to);
        if (failed) *code = failed;
        return true;
    }
    return false;
}

static int take_stop(RunOptions *o, Cli *cli, int *code)
{
    const char *v = cli_value(cli, "--stop", code);
    if (!v) return *code;
    const char **more = realloc(o->stop, (o->n_stop + 1) * sizeof *more);
    if (!more) return EXIT_RESOURCE;
    o->stop = more;
    o->stop[o->n_stop++] = v;
    return EXIT_OK;
}

/* what only shows when all options are known */
static int check(const RunOptions *o, const Cli *cli)
{
    if (o->restore && !o->raw) return cli_usage("run: with --restore the parts go in as they are: say --raw");
    if (o->restore && o->dump) return cli_usage("run: --dump shows the computation of a whole prompt, --restore has computed most of it");
    if (cli->n_parts == 0 && !o->restore) return cli_usage("run: nothing to go on from: give --text, --image, --audio or --ids");
    for (size_t i = 0; i < cli->n_parts; i++) {
        const PartKind kind = cli->parts[i].kind;
        if (kind == PART_IDS && !o->raw) return cli_usage("run: --ids goes with --raw");
    }
    if (o->schema && o->regex) return cli_usage("run: --json-schema or --regex, not both");
    if (o->logprobs && !cli->json) return cli_usage("run: --logprobs goes with --json");
    if (o->raw && (o->system || o->think)) return cli_usage("run: --raw has no chat format that --system and --think could be written in");
    const bool narrow = o->sample.top_k || o->sample.top_p > 0 || o->sample.min_p > 0;
    if (narrow && o->sample.temperature <= 0 && !cli->quiet) fprintf(stderr, "muse: warning: --top-k, --top-p and --min-p change nothing without --temp\n");
    return cli_check_apart(cli, "--save", o->save, NULL);
}

int run_read_options(RunOptions *o, Cli *cli)
{
    *o = (RunOptions){ .max_tokens = MAX_TOKENS };
    muse_sample_params_init(&o->sample);
    int code = EXIT_OK;
    for (const char *option; code == EXIT_OK && (option = cli_next(cli, &code)) != NULL;) {
        if (strcmp(option, "--help") == 0) {
            help(stdout, cli);
            o->help = true;
            return EXIT_OK;
        }
        if (strcmp(option, "--raw") == 0) o->raw = true;
        else if (strcmp(option, "--logprobs") == 0) o->logprobs = true;
        else if (strcmp(option, "--stop") == 0) code = take_stop(o, cli, &code);
        else if (!take_text(o, cli, option, &code) && !take_number(o, cli, option, &code) && !take_choice(o, cli, option, &code))
            code = cli_no_option(cli, option);
    }
    o->sample.seed = cli->seed;
    return code == EXIT_OK ? check(o, cli) : code;
}
