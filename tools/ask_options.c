/* SPDX-License-Identifier: Apache-2.0 */
/* The options of muse ask. */
#include <stdlib.h>
#include <string.h>

#include "tools/ask.h"

const char *const ask_modes[] = { "instant", "thinking", "contemplating", "auto", NULL };

enum { TOKENS_MAX = 1 << 20, LOOKS_MAX = 1024 };

void ask_shared_help(FILE *to)
{
    fputs("  --model PATH              a Hugging Face folder or a GGUF file; unless told what MUSE_MODEL names, else the shipped muse-nano\n"
          "  --mmproj FILE             the projector beside a text GGUF\n"
          "  --budget N                tokens that a thought may have; 512 unless told. Then it is closed, and the answer follows\n"
          "  --doubt P                 auto: the probability from which an answer given at once is taken, 0.001 to 1; 0.95 unless told\n"
          "  --answer-tokens N         tokens of the answer; 256 unless told\n"
          "  --looks N                 how often an agent may look again; 8 unless told\n"
          "  --no-look                 never\n"
          "  --raw                     the answer as the model wrote it, places as tokens (<x39><y26>), and behind the chain all that it wrote\n"
          "  --temp T                  sample at this temperature; unless told the most probable token is taken (contemplating:\n"
          "                            by the first agent of each view, docs/reason.md; the others sample at 1)\n"
          "  --seed N                  of what is drawn; 0 unless told\n"
          "  --compute MODE            auto, f32 (the reference path), bf16 or int8\n", to);
}

static void help(FILE *to, const Cli *cli)
{
    fputs("usage: muse ask [OPTION ...] [PARTS] \"question\"\n"
          "Answers a question about pictures and sounds. The answer goes to stdout, the chain of thought to stderr as it grows.\n\n"
          "  --mode MODE               instant, thinking (unless told), auto or contemplating; auto thinks if the instant answer is in\n"
          "                            doubt, contemplating are several agents and a vote\n"
          "  --agents N                contemplating: how many, 1 to 256; 8 unless told\n"
          "  --views N                 contemplating: ways of seeing the pictures, 1 (all agents see them as they are) to 8; unless told\n"
          "                            8 where the model has place tokens\n", to);
    ask_shared_help(to);
    fputs("  --annotate FILE.png       the pictures with boxes, points and the steps\n"
          "  --html FILE.html          one page that steps through the chain\n"
          "  --heat                    with --annotate, --html or --json: where the model looked, as heat maps\n"
          "  --heat-at LAYER,HEAD      of this head; unless told 4,0 in models of the family muse that have it, else the mean of all\n"
          "  With --json: answer, confidence, trace (steps; boxes in pixels of the original), images, tokens, seconds (docs/trace.md),\n"
          "  agents (what each wrote, as it was written, and how it ended) and, with several, vote.\n"
          "  A question may be spoken: --audio FILE without any text.\n", to);
    cli_common_help(to, cli);
}

static bool take_text(AskOptions *o, Cli *cli, const char *option, int *code)
{
    const struct { const char *name, **to; } texts[] = { { "--model", &o->model }, { "--mmproj", &o->mmproj } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(option, texts[i].name) != 0) continue;
        *texts[i].to = cli_value(cli, option, code);
        return true;
    }
    return false;
}

static bool take_number(AskOptions *o, Cli *cli, const char *option, int *code)
{
    const struct { const char *name; uint32_t *to, least, most; } whole[] = {
        { "--budget", &o->budget, 1, TOKENS_MAX }, { "--answer-tokens", &o->answer_tokens, 1, TOKENS_MAX },
        { "--looks", &o->looks, 1, LOOKS_MAX } };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        if (strcmp(option, whole[i].name) != 0) continue;
        *code = cli_whole(cli, option, whole[i].least, whole[i].most, whole[i].to);
        return true;
    }
    if (strcmp(option, "--doubt") == 0) {
        *code = cli_real(cli, option, CLI_DOUBT_MIN, 1, &o->doubt);
        return true;
    }
    if (strcmp(option, "--temp") != 0) return false;
    *code = cli_real(cli, option, 0, 1e6, &o->temperature);
    o->temp_named = true;
    return true;
}

bool ask_take_option(AskOptions *o, Cli *cli, const char *option, int *code)
{
    if (strcmp(option, "--no-look") == 0) return o->no_look = true;
    if (strcmp(option, "--raw") == 0) return o->raw = true;
    if (strcmp(option, "--compute") != 0) return take_text(o, cli, option, code) || take_number(o, cli, option, code);
    const int failed = cli_choice(cli, option, cli_computes, &o->compute);
    if (failed) *code = failed;
    return true;
}

bool ask_all_alike(const AskOptions *o) { return o->temp_named && o->temperature <= 0; }

static int take_heat_at(AskOptions *o, Cli *cli)
{
    char layer[16] = "";
    int code = EXIT_OK;
    const char *v = cli_value(cli, "--heat-at", &code), *comma = v ? strchr(v, ',') : NULL;
    if (!v) return code;
    if (comma && (size_t)(comma - v) < sizeof layer) memcpy(layer, v, (size_t)(comma - v));
    if (!comma || !cli_number(layer, 0, UINT32_MAX, &o->heat_layer) || !cli_number(comma + 1, 0, UINT32_MAX, &o->heat_head)) return cli_usage("--heat-at takes LAYER,HEAD, counted from 0, not %s", v);
    o->heat = o->heat_named = true;
    return EXIT_OK;
}

/* what only shows when all options are known */
static int check(const AskOptions *o, const Cli *cli)
{
    bool asked = false;
    for (size_t i = 0; i < cli->n_parts; i++) {
        const PartKind kind = cli->parts[i].kind;
        if (kind == PART_TEXT && !cli->parts[i].value[strspn(cli->parts[i].value, " \t\r\n")]) return cli_usage("ask: an empty text asks nothing");
        asked = asked || kind == PART_TEXT || kind == PART_AUDIO;
    }
    if (!asked) return cli_usage("ask: nothing is asked: give a question, --text or --audio");
    if (o->agents && o->mode != MUSE_MODE_CONTEMPLATING) return cli_usage("ask: --agents goes with --mode contemplating");
    if (o->doubt > 0 && o->mode != MUSE_MODE_AUTO) return cli_usage("ask: --doubt goes with --mode auto");
    if (o->views && o->mode != MUSE_MODE_CONTEMPLATING) return cli_usage("ask: --views goes with --mode contemplating");
    if (o->budget && o->mode == MUSE_MODE_INSTANT) return cli_usage("ask: an instant answer has no thought that --budget could limit");
    if (o->looks && o->mode == MUSE_MODE_INSTANT) return cli_usage("ask: an instant answer has no thought to look in: --looks goes with another --mode");
    if (o->no_look && o->looks) return cli_usage("ask: --looks or --no-look, not both");
    if (o->mode == MUSE_MODE_CONTEMPLATING && ask_all_alike(o)) return cli_usage("ask: with --temp 0 all agents would say the same");
    if (o->heat && !o->annotate && !o->html && !cli->json) return cli_usage("ask: --heat goes with --annotate, --html or --json");
    if (o->annotate) {
        size_t pictures = 0;
        for (size_t i = 0; i < cli->n_parts; i++) pictures += cli->parts[i].kind == PART_IMAGE;
        if (!pictures) return cli_usage("ask: --annotate draws on pictures, and there is none");
        if (cli_check_png("--annotate", o->annotate) != EXIT_OK) return EXIT_USAGE;
    }
    const int code = cli_check_apart(cli, "--annotate", o->annotate, NULL);
    return code == EXIT_OK ? cli_check_apart(cli, "--html", o->html, o->annotate) : code;
}

int ask_read_options(AskOptions *o, Cli *cli)
{
    *o = (AskOptions){ .mode = MUSE_MODE_THINKING };
    const char *question = NULL;
    int code = EXIT_OK;
    for (const char *option; code == EXIT_OK && (option = cli_next(cli, &code)) != NULL;) {
        if (strcmp(option, "--help") == 0) {
            help(stdout, cli);
            o->help = true;
            return EXIT_OK;
        }
        if (strcmp(option, "--heat") == 0) o->heat = true;
        else if (strcmp(option, "--heat-at") == 0) code = take_heat_at(o, cli);
        else if (strcmp(option, "--mode") == 0) code = cli_choice(cli, option, ask_modes, &o->mode);
        else if (strcmp(option, "--agents") == 0) code = cli_whole(cli, option, 1, MUSE_AGENTS_MAX, &o->agents);
        else if (strcmp(option, "--views") == 0) code = cli_whole(cli, option, 1, MUSE_VIEWS, &o->views);
        else if (strcmp(option, "--annotate") == 0) o->annotate = cli_value(cli, option, &code);
        else if (strcmp(option, "--html") == 0) o->html = cli_value(cli, option, &code);
        else if (ask_take_option(o, cli, option, &code)) continue;
        else if (option[0] == '-' || cli_is_file(option)) code = cli_no_option(cli, option);   /* a question that is called like a file: --text */
        else if (question) code = cli_usage("ask: two questions, %s and %s: one in quotes", question, option);
        else question = option;
    }
    if (code == EXIT_OK && question) cli->parts[cli->n_parts++] = (Part){ PART_TEXT, question, 0 };   /* argc parts at most: there is room */
    return code == EXIT_OK ? check(o, cli) : code;
}

bool ask_heat_at(const MuseModel *model, const AskOptions *o, uint32_t *layer, uint32_t *head)
{
    MuseModelInfo info;
    *layer = 4;   /* the head that tools/nano teaches to look, "gaze" in its run's document */
    *head = 0;
    if (o->heat_named) {
        *layer = o->heat_layer;
        *head = o->heat_head;
        return true;
    }
    muse_model_info(model, &info);
    return strcmp(info.family, "muse") == 0 && info.n_layers > *layer;
}
