/* SPDX-License-Identifier: Apache-2.0 */
/* muse tokens: the sequence as a table, as JSON, as a drawing; or each line of a file tokenized by itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "tools/cli.h"

typedef struct Tokens {
    const MuseFamily *family;
    const char *tokenizer_path, *lines, *draw, *model_path, *mmproj;
    bool summary, help, family_budget;   /* a picture has the budget of the family's table */
    MuseRuntime *rt;
    MuseModel *model;
    MuseTextTokenizer *tokenizer;
    MuseSequence *seq;
} Tokens;

static void help(FILE *to, const Cli *cli)
{
    fputs("usage: muse tokens [OPTION ...] PARTS\n"
          "Shows the one sequence that the parts become: what each position is and where it comes from.\n\n"
          "  --family NAME             ", to);
    for (size_t i = 0; i < muse_family_count(); i++) fprintf(to, "%s%s", i ? ", " : "", muse_family_at(i)->name);
    fputs("; muse unless told\n"
          "  --model PATH              instead: what this model gets, by its own tokenizer and budget of patches\n"
          "  --mmproj FILE             the projector beside a text GGUF\n"
          "  --tokenizer FILE          a tokenizer.json, a folder with one, or a GGUF file; family muse has its own\n"
          "                            (in the folder that MUSE_MODELS names, else beside the program)\n"
          "  --summary                 spans only, not each position\n"
          "  --draw FILE.png           draw tokens, pictures with their patches, sounds with their frames\n"
          "  --lines FILE              tokenize each line by itself and print {\"ids\":[...],\"decoded\":\"...\"} a line;\n"
          "                            a line that starts with \" is a JSON string; - is standard input\n"
          "Added tokens in a text (such as <|turn>) count as tokens; no BOS is added.\n", to);
    cli_common_help(to, cli);
}

static const char *const modality_names[] = { "text", "image", "audio", "rows" };

/* ---- table ---- */

/* a token's bytes for a terminal: controls as escapes, bytes that are no character as <XX> */
static void print_bytes(const char *bytes, size_t n)
{
    putchar('"');
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        const size_t whole = utf8_bytes(bytes + i, n - i);
        if (c == '\n') fputs("\\n", stdout);
        else if (c == '\t') fputs("\\t", stdout);
        else if (c < 0x20 || c == 0x7f) printf("\\x%02x", c);
        else if (whole == 0) printf("<%02X>", c);
        else if (whole == 2 && c == 0xc2 && (unsigned char)bytes[i + 1] < 0xa0) printf("\\x%02x", (unsigned char)bytes[i + 1]);   /* C1 controls */
        else fwrite(bytes + i, 1, whole, stdout);
        if (whole > 1) i += whole - 1;
    }
    putchar('"');
}

static void print_position(size_t i, const MusePosition *p)
{
    char id[16] = "-";
    if (p->id >= 0) snprintf(id, sizeof id, "%d", p->id);
    printf("%7zu  %-6s %4u %7s %6d %4d %4d  ", i, p->is_marker ? "marker" : modality_names[p->modality], p->span, id, p->t, p->y, p->x);
    if (p->modality == MUSE_IMAGE)
        printf("patch %u, pixels (%.1f, %.1f)-(%.1f, %.1f)", p->index, p->source.x0, p->source.y0, p->source.x1, p->source.y1);
    else if (p->modality == MUSE_AUDIO) printf("frame %u, %.0f-%.0f ms", p->index, p->start_ms, p->end_ms);
    else if (p->modality == MUSE_ROWS) printf("row %u", p->index);
    else if (p->bytes) print_bytes(p->bytes, p->n_bytes);
    putchar('\n');
}

static void print_span(size_t k, const MuseSpanInfo *s)
{
    printf("span %zu: %s%s, %zu positions from %zu", k, modality_names[s->modality], s->is_placeholder ? " (counted by size)" : "", s->count, s->first);
    if (s->modality == MUSE_IMAGE) {
        const MuseImagePlan *p = &s->image;
        printf("; %u x %u -> %u x %u pixels, %u x %u = %u patches of %u x %u", p->width, p->height, p->used_width, p->used_height,
               p->grid_width, p->grid_height, p->n_patches, p->unit, p->unit);
        printf("; scale %.3f x %.3f%s", p->scale_x, p->scale_y, p->scale_x < 1 || p->scale_y < 1 ? ", detail is lost" : "");
    } else if (s->modality == MUSE_AUDIO) {
        printf("; %zu frames of %.0f ms, %u values each%s", s->n_features, s->audio.ms_per_frame, s->audio.frame_width,
               s->audio.too_long ? "; longer than the model was made for" : "");
    }
    putchar('\n');
}

static int print_table(const Tokens *o)
{
    MuseSpanInfo span;
    MusePosition p;
    if (!o->summary) {
        printf("    pos  kind   span      id      t    y    x  what\n");
        for (size_t i = 0; i < muse_sequence_length(o->seq); i++)
            if (muse_sequence_position(o->seq, i, &p) == 0) print_position(i, &p);
    }
    for (size_t k = 0; k < muse_sequence_span_count(o->seq); k++)
        if (muse_sequence_span(o->seq, k, &span) == 0) print_span(k, &span);
    printf("%zu positions, family %s", muse_sequence_length(o->seq), o->family->name);
    if (o->family_budget) printf("; pictures by its budget of %u patches: a model may have another (--model)", o->family->image.budget);
    putchar('\n');
    return EXIT_OK;
}

/* ---- JSON ---- */

static void gen_image_plan(yajl_gen g, const MuseSpanInfo *s)
{
    const MuseImagePlan *p = &s->image;
    json_plan(g, p);
    json_rect(g, "region", s->region);
    json_integer(g, "grid_width", p->grid_width);
    json_integer(g, "grid_height", p->grid_height);
    json_integer(g, "patch_size", p->unit);
    json_integer(g, "budget", p->budget);
}

static void gen_span(yajl_gen g, const MuseSpanInfo *s)
{
    yajl_gen_map_open(g);
    json_text(g, "kind", modality_names[s->modality]);
    json_integer(g, "first", (long long)s->first);
    json_integer(g, "count", (long long)s->count);
    json_bool(g, "placeholder", s->is_placeholder);
    json_hash(g, "hash", s->hash);
    if (s->number) json_integer(g, "number", s->number);
    if (s->modality == MUSE_IMAGE) gen_image_plan(g, s);
    if (s->modality == MUSE_AUDIO) {
        json_integer(g, "frames", (long long)s->n_features);
        json_integer(g, "frame_width", s->audio.frame_width);
        json_number(g, "ms_per_frame", s->audio.ms_per_frame);
        json_integer(g, "samples_used", (long long)s->audio.n_used);
        json_bool(g, "too_long", s->audio.too_long);
    }
    yajl_gen_map_close(g);
}

static void gen_position(yajl_gen g, const MusePosition *p)
{
    yajl_gen_map_open(g);
    json_text(g, "kind", p->is_marker ? "marker" : modality_names[p->modality]);
    json_integer(g, "id", p->id);
    json_integer(g, "span", p->span);
    json_integer(g, "index", p->index);
    json_integer(g, "t", p->t);
    json_integer(g, "y", p->y);
    json_integer(g, "x", p->x);
    if (p->modality == MUSE_IMAGE) json_rect(g, "source", p->source);
    if (p->modality == MUSE_AUDIO) {
        json_number(g, "start_ms", p->start_ms);
        json_number(g, "end_ms", p->end_ms);
    }
    if (p->bytes) {
        json_key(g, "text");
        json_string(g, p->bytes, p->n_bytes);
    }
    yajl_gen_map_close(g);
}

static int print_json(const Tokens *o)
{
    yajl_gen g = yajl_gen_alloc(NULL);
    if (!g) return EXIT_RESOURCE;
    uint8_t hash[32];
    MuseSpanInfo span;
    MusePosition p;
    const size_t length = muse_sequence_length(o->seq);
    muse_sequence_hash(o->seq, length, hash);
    yajl_gen_map_open(g);
    json_text(g, "family", o->family->name);
    if (o->model_path) json_text(g, "model", o->model_path);
    json_integer(g, "length", (long long)length);
    json_hash(g, "hash", hash);
    json_key(g, "spans");
    yajl_gen_array_open(g);
    for (size_t k = 0; k < muse_sequence_span_count(o->seq); k++)
        if (muse_sequence_span(o->seq, k, &span) == 0) gen_span(g, &span);
    yajl_gen_array_close(g);
    json_key(g, "ids");
    yajl_gen_array_open(g);
    for (size_t i = 0; i < length; i++)
        if (muse_sequence_position(o->seq, i, &p) == 0) yajl_gen_integer(g, p.id);
    yajl_gen_array_close(g);
    if (!o->summary) {
        json_key(g, "positions");
        yajl_gen_array_open(g);
        for (size_t i = 0; i < length; i++)
            if (muse_sequence_position(o->seq, i, &p) == 0) gen_position(g, &p);
        yajl_gen_array_close(g);
    }
    yajl_gen_map_close(g);
    const int code = json_print(g);
    yajl_gen_free(g);
    return code;
}

/* ---- drawing ---- */

static int draw(const Tokens *o)
{
    uint8_t *rgb;
    uint32_t width, height;
    MuseError err;
    int rc = muse_sequence_draw(o->seq, NULL, &rgb, &width, &height, &err);
    if (rc == 0) rc = muse_png_write_file(o->draw, rgb, width, height, 0, MUSE_PIXELS_RGB, &err);
    muse_free(rgb);
    return rc < 0 ? cli_fail(&err, o->draw) : EXIT_OK;
}

/* ---- lines ---- */

static int print_line(const Tokens *o, yajl_gen g, const char *text, size_t n, size_t number)
{
    char place[64];
    snprintf(place, sizeof place, "line %zu", number);
    MuseError err;
    int32_t *ids;
    size_t n_ids, n_decoded;
    char *decoded;
    int rc = muse_text_encode(o->tokenizer, text, n, MUSE_TEXT_ADDED, &ids, &n_ids, &err);
    if (rc < 0) return cli_fail(&err, place);
    rc = muse_text_decode(o->tokenizer, ids, n_ids, 0, &decoded, &n_decoded, &err);
    int code = EXIT_OK;
    if (rc < 0) {
        code = cli_fail(&err, place);
    } else {
        yajl_gen_map_open(g);
        json_ids(g, "ids", ids, n_ids);
        json_key(g, "decoded");
        json_string(g, decoded, n_decoded);
        yajl_gen_map_close(g);
        code = json_print(g);
        muse_free(decoded);
    }
    muse_free(ids);
    return code;
}

typedef struct Text { char *bytes; size_t n; bool found, failed; } Text;

static int keep_string(void *ctx, const unsigned char *bytes, size_t n)
{
    Text *t = ctx;
    t->bytes = malloc(n + 1);
    t->failed = !t->bytes;
    if (t->failed) return 0;
    memcpy(t->bytes, bytes, n);
    t->n = n;
    t->found = true;
    return 1;
}

static int print_json_line(const Tokens *o, yajl_gen g, const char *line, size_t n, size_t number)
{
    static const yajl_callbacks callbacks = { .yajl_string = keep_string };
    Text text = { 0 };
    yajl_handle parser = yajl_alloc(&callbacks, NULL, &text);
    if (!parser) return EXIT_RESOURCE;
    const bool whole = yajl_parse(parser, (const unsigned char *)line, n) == yajl_status_ok && yajl_complete_parse(parser) == yajl_status_ok;
    int code = EXIT_INPUT;
    if (whole && text.found) code = print_line(o, g, text.bytes, text.n, number);
    else fprintf(stderr, "muse: %s, line %zu: %s\n", o->lines, number, text.failed ? "no memory" : "starts with \" but is not a JSON string");
    yajl_free(parser);
    free(text.bytes);
    return code;
}

static int print_lines(const Tokens *o)
{
    if (!o->tokenizer) return cli_usage("--lines needs a --tokenizer");
    FILE *f = strcmp(o->lines, "-") == 0 ? stdin : fopen(o->lines, "rb");
    yajl_gen g = yajl_gen_alloc(NULL);
    char *line = NULL;
    size_t cap = 0;
    int code = f ? EXIT_OK : EXIT_INPUT;
    if (!f) fprintf(stderr, "muse: %s: can't open: %s\n", o->lines, strerror(errno));
    if (!g) code = EXIT_RESOURCE;
    ssize_t n;
    for (size_t number = 1; code == EXIT_OK && (n = getline(&line, &cap, f)) >= 0; number++) {
        if (n > 0 && line[n - 1] == '\n') line[--n] = 0;
        code = line[0] == '"' ? print_json_line(o, g, line, (size_t)n, number) : print_line(o, g, line, (size_t)n, number);
    }
    if (code == EXIT_OK && !feof(f)) {   /* a folder, a read error, a line that does not fit in memory */
        fprintf(stderr, "muse: %s: can't read: %s\n", o->lines, strerror(errno));
        code = EXIT_INPUT;
    }
    free(line);
    if (g) yajl_gen_free(g);
    if (f && f != stdin) fclose(f);
    return code;
}

/* ---- the command ---- */

static int read_options(Cli *cli, Tokens *o)
{
    const struct { const char *name, **to; } texts[] = {
        { "--model", &o->model_path }, { "--mmproj", &o->mmproj }, { "--tokenizer", &o->tokenizer_path }, { "--lines", &o->lines }, { "--draw", &o->draw } };
    const size_t n_texts = sizeof texts / sizeof *texts;
    int code = EXIT_OK;
    const char *option, *value;
    while ((option = cli_next(cli, &code))) {
        if (strcmp(option, "--help") == 0) { o->help = true; return EXIT_OK; }
        if (strcmp(option, "--summary") == 0) { o->summary = true; continue; }
        size_t i = 0;
        while (i < n_texts && strcmp(option, texts[i].name) != 0) i++;
        if (i == n_texts && strcmp(option, "--family") != 0) return cli_no_option(cli, option);
        if (!(value = cli_value(cli, option, &code))) break;
        if (i < n_texts) *texts[i].to = value;
        else if (!(o->family = muse_family_find(value))) return cli_usage("--family %s: no such family (see muse tokens --help)", value);
    }
    return code;
}

static int open_model(Tokens *o, MuseError *err)
{
    MuseModelParams p;
    muse_model_params_init(&p);
    p.mmproj = o->mmproj;
    if (muse_model_open(&o->model, o->rt, o->model_path, &p, err) < 0) return cli_fail(err, o->model_path);
    o->family = muse_model_family(o->model);
    return o->tokenizer_path || muse_model_open_tokenizer(o->model, &o->tokenizer, err) == 0 ? EXIT_OK : cli_fail(err, o->model_path);
}

static int open_tokenizer(Tokens *o, MuseError *err)
{
    if (o->tokenizer) return EXIT_OK;
    char *shipped = NULL;
    const char *path = o->tokenizer_path;
    if (!path && strcmp(o->family->name, "muse") == 0) path = shipped = cli_find_shipped("muse-nano/tokenizer.json");
    const int rc = path ? muse_text_open_file(&o->tokenizer, o->rt, path, err) : 0;
    const int code = rc < 0 ? cli_fail(err, path) : EXIT_OK;
    free(shipped);
    return code;
}

static int build(Cli *cli, Tokens *o)
{
    MuseError err;
    MuseSequenceParams params;
    muse_sequence_params_init(&params);
    params.family = o->family;
    params.tokenizer = o->tokenizer;
    if (muse_sequence_open(&o->seq, o->rt, &params, &err) < 0) return cli_fail(&err, NULL);
    for (size_t i = 0; i < cli->n_parts; i++) {
        const Part *part = &cli->parts[i];
        const bool picture = part->kind == PART_IMAGE || part->kind == PART_IMAGE_SIZE;
        if (picture && !o->model && part->budget == MUSE_BUDGET_DEFAULT && o->family->image.budgets[0]) o->family_budget = true;
        if (cli_append_part(o->seq, o->rt, part, MUSE_TEXT_ADDED, &err) >= 0) continue;
        if (part->kind == PART_TEXT && !o->tokenizer) {
            fprintf(stderr, "muse: --text needs a --tokenizer: there is none for family %s here\n", o->family->name);
            return EXIT_UNSUPPORTED;
        }
        return cli_fail(&err, part->kind == PART_IMAGE || part->kind == PART_AUDIO ? part->value : NULL);
    }
    return EXIT_OK;
}

int cmd_tokens(Cli *cli)
{
    Tokens o = { 0 };
    MuseError err;
    int code = read_options(cli, &o);
    if (code != EXIT_OK) return code;
    if (o.help) {
        help(stdout, cli);
        return EXIT_OK;
    }
    if (o.lines && (cli->n_parts > 0 || o.draw || o.summary)) return cli_usage("tokens: --lines goes with no parts, --draw or --summary");
    if (cli_check_apart(cli, "--draw", o.draw, NULL) != EXIT_OK) return EXIT_USAGE;
    if (o.model_path && o.family) return cli_usage("tokens: --model has a family, --family is for none");
    if (o.mmproj && !o.model_path) return cli_usage("tokens: --mmproj goes with --model");
    if (o.draw && (code = cli_check_png("--draw", o.draw)) != EXIT_OK) return code;
    if (!o.family) o.family = muse_family_find("muse");
    if (cli->n_parts == 0 && !o.lines) return cli_usage("tokens: nothing to show: give --text, --image, --audio, --ids or --lines");
    if (muse_runtime_open(&o.rt, &cli->runtime, &err) < 0) return cli_fail(&err, NULL);
    if (o.model_path) code = open_model(&o, &err);
    if (code == EXIT_OK) code = open_tokenizer(&o, &err);
    if (code == EXIT_OK && o.lines) {
        code = print_lines(&o);
    } else if (code == EXIT_OK) {
        code = build(cli, &o);
        if (code == EXIT_OK && o.draw) code = draw(&o);
        if (code == EXIT_OK) code = cli->json ? print_json(&o) : print_table(&o);
    }
    muse_sequence_close(&o.seq);
    muse_text_close(&o.tokenizer);
    muse_model_close(&o.model);
    muse_runtime_close(&o.rt);
    return code;
}
