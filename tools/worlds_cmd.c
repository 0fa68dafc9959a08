/* SPDX-License-Identifier: Apache-2.0 */
/* muse worlds: samples of the generator as a data set, JSONL with PNG and WAV beside it. The format: docs/worlds.md. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/worlds/worlds.h"

typedef struct Worlds {
    const char *task, *out;
    uint32_t n, first;
    bool list, draw, more, help;   /* more: options beside --list, which has no use for them */
    MuseWorldsParams params;
    MuseWorldsOptions options;
    FILE *lines;
    yajl_gen g;
    struct { unsigned long long samples, lines, pictures, sounds, boxes; } made;
} Worlds;

static const char *const splits[] = { "train", "test", "pairs", "many", "fonts", "hard" };
static const char *const forms[] = { "mix", "direct", "think" };
static const char *const fonts[] = { "system", "builtin" };

static void help(FILE *to)
{
    fputs("usage: muse worlds --task T --out FOLDER [OPTION ...]\n\n"
          "Draws pictures and sounds with questions, chains of thought, answers and true boxes: T.jsonl and the files it names.\n\n"
          "  --task T          a world or a kind of question; --list shows them\n"
          "  --n N             samples, 10 unless told\n"
          "  --first N         number of the first sample, 0 unless told\n"
          "  --seed S          0 unless told; the same seed, task and number give the same sample\n"
          "  --split S         train, test, pairs, many, fonts or hard (docs/worlds.md)\n"
          "  --form F          mix, direct (answers only) or think (chains of thought)\n"
          "  --min-side N, --max-side N   bounds on the pictures' sides, 64 to 1024\n"
          "  --branches N      most questions a sample, 1 to 32, 10 unless told\n"
          "  --aspect N        sides of up to N:1, 2 to 8; 2 unless told\n"
          "  --overview N      small print is unreadable in an overview of N x N pixels, 64 unless told\n"
          "  --only K          this kind of question only\n"
          "  --fonts F         system (DejaVu and Liberation) or builtin\n"
          "  --draw            pictures with the true boxes drawn in, beside the others\n"
          "  --list            instead: the worlds and their kinds of question\n"
          "  --json            JSON on stdout\n"
          "  --quiet           not what was written\n"
          "\nexit codes: 0 done, 2 usage, 3 bad input file, 4 unsupported, 5 memory or limit, 1 anything else\n", to);
}

static int list_worlds(const Cli *cli)
{
    for (size_t i = 0; muse_worlds_name(i); i++) {
        if (cli->json) printf("{\"world\":\"%s\",\"about\":\"%s\",\"kinds\":[", muse_worlds_name(i), muse_worlds_about(i));
        else printf("%-8s %s\n        ", muse_worlds_name(i), muse_worlds_about(i));
        for (size_t k = 0; muse_worlds_kind_of(i, k); k++) printf(cli->json ? "%s\"%s\"" : "%s %s", cli->json && k ? "," : "", muse_worlds_kind_of(i, k));
        printf(cli->json ? "]}\n" : "\n");
    }
    return EXIT_OK;
}

/* ---- files ---- */

static void media_name(const Worlds *o, const MuseWorldsSample *s, size_t image, const char *end, char *name, size_t size)
{
    snprintf(name, size, "%s-%06llu-%zu%s", o->task, (unsigned long long)s->index, image, end);
}

static int write_boxes(const Worlds *o, const MuseWorldsSample *s, size_t image, MuseError *err)
{
    const MuseWorldsImage *p = &s->images[image];
    const size_t bytes = (size_t)p->width * p->height * 3;
    uint8_t *rgb = malloc(bytes);
    char name[256], path[4096];
    if (!rgb) {
        *err = (MuseError){ MUSE_ERR_NOMEM, "no memory for a picture with boxes" };
        return err->code;
    }
    memcpy(rgb, p->rgb, bytes);
    for (size_t i = 0; i < s->n_objects; i++) {
        const MuseWorldsObject *b = &s->objects[i];
        if (b->image != image) continue;
        for (uint32_t y = 0; y < p->height; y++)
            for (uint32_t x = 0; x < p->width; x++) {
                const bool in = x + 1 > b->box.x0 && x < b->box.x1 && y + 1 > b->box.y0 && y < b->box.y1;
                const bool inner = x > b->box.x0 && x + 1 < b->box.x1 && y > b->box.y0 && y + 1 < b->box.y1;
                if (in && !inner) memcpy(rgb + ((size_t)y * p->width + x) * 3, (const uint8_t[]){ 255, 0, 255 }, 3);
            }
    }
    media_name(o, s, image, "-boxes.png", name, sizeof name);
    snprintf(path, sizeof path, "%s/%s", o->out, name);
    const int rc = muse_png_write_file(path, rgb, p->width, p->height, 0, MUSE_PIXELS_RGB, err);
    free(rgb);
    return rc;
}

static void put_le(uint8_t *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

/* RIFF, 16 bits, one channel */
static int write_wav(const char *path, const int16_t *pcm, size_t n, uint32_t rate, MuseError *err)
{
    uint8_t head[44] = "RIFF....WAVEfmt ";
    memcpy(head + 36, "data", 4);
    put_le(head + 4, (uint32_t)(36 + 2 * n), 4);
    put_le(head + 16, 16, 4);
    put_le(head + 20, 1, 2);
    put_le(head + 22, 1, 2);
    put_le(head + 24, rate, 4);
    put_le(head + 28, 2 * rate, 4);
    put_le(head + 32, 2, 2);
    put_le(head + 34, 16, 2);
    put_le(head + 40, (uint32_t)(2 * n), 4);
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(head, 1, sizeof head, f) == sizeof head;
    for (size_t i = 0; ok && i < n; i++) {
        uint8_t two[2];
        put_le(two, (uint16_t)pcm[i], 2);
        ok = fwrite(two, 1, 2, f) == 2;
    }
    if (f && fclose(f) != 0) ok = false;
    if (ok) return 0;
    err->code = MUSE_ERR_IO;
    snprintf(err->text, sizeof err->text, "%.400s: can't write: %.90s", path, strerror(errno));
    return err->code;
}

static int write_media(const Worlds *o, const MuseWorldsSample *s, MuseError *err)
{
    char name[256], path[4096];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->n_images; i++) {
        media_name(o, s, i, ".png", name, sizeof name);
        snprintf(path, sizeof path, "%s/%s", o->out, name);
        rc = muse_png_write_file(path, s->images[i].rgb, s->images[i].width, s->images[i].height, 0, MUSE_PIXELS_RGB, err);
        if (rc == 0 && o->draw) rc = write_boxes(o, s, i, err);
    }
    if (rc < 0 || s->n_pcm == 0) return rc;
    media_name(o, s, 0, ".wav", name, sizeof name);
    snprintf(path, sizeof path, "%s/%s", o->out, name);
    return write_wav(path, s->pcm, s->n_pcm, s->rate, err);
}

/* ---- lines ---- */

static void gen_parts(const Worlds *o, const MuseWorldsSample *s, const MuseWorldsBranch *b)
{
    char name[256];
    const bool dense = *b->answer == 0;
    json_key(o->g, "parts");
    yajl_gen_array_open(o->g);
    for (size_t i = 0; i < s->n_images; i++) {
        media_name(o, s, i, ".png", name, sizeof name);
        yajl_gen_map_open(o->g);
        json_text(o->g, "image", name);
        yajl_gen_map_close(o->g);
    }
    if (s->n_pcm) {
        media_name(o, s, 0, ".wav", name, sizeof name);
        yajl_gen_map_open(o->g);
        json_text(o->g, "audio", name);
        yajl_gen_map_close(o->g);
    }
    for (size_t i = 0; i < b->n_parts; i++) {
        const MuseWorldsPart *p = &b->parts[i];
        if (!dense && p->role != MUSE_WORLDS_QUESTION) continue;
        yajl_gen_map_open(o->g);
        json_text(o->g, "text", p->text);
        if (p->learn) json_bool(o->g, "learn", 1);
        yajl_gen_map_close(o->g);
    }
    yajl_gen_array_close(o->g);
}

/* thought, without its marks; what of it was given; the views in it. Offsets are bytes of the thought. */
static void gen_thought(const Worlds *o, const MuseWorldsBranch *b)
{
    const size_t open = strlen("<think>"), close = strlen("</think>");
    size_t n = 0, at = 0;
    for (size_t i = 0; i < b->n_parts; i++) n += b->parts[i].role == MUSE_WORLDS_THOUGHT ? b->parts[i].size : 0;
    char *text = malloc(n + 1);
    if (!text || n < open + close) {
        free(text);
        return;
    }
    for (size_t i = 0; i < b->n_parts; i++)
        if (b->parts[i].role == MUSE_WORLDS_THOUGHT) {
            memcpy(text + at, b->parts[i].text, b->parts[i].size);
            at += b->parts[i].size;
        }
    json_key(o->g, "thought");
    json_string(o->g, text + open, n - open - close);
    free(text);
    for (int views = 0; views < 2; views++) {
        bool any = false;
        at = 0;
        for (size_t i = 0; i < b->n_parts; i++) {
            const MuseWorldsPart *p = &b->parts[i];
            const bool given = p->role == MUSE_WORLDS_THOUGHT && !p->learn && p->size > 0;
            if (views ? p->role == MUSE_WORLDS_VIEW : given) {
                if (!any) {
                    json_key(o->g, views ? "views" : "given");
                    yajl_gen_array_open(o->g);
                }
                any = true;
                if (views) {
                    yajl_gen_map_open(o->g);
                    json_integer(o->g, "at", (long long)(at - open));
                    json_integer(o->g, "image", p->image);
                    json_rect(o->g, "box", p->rect);
                    yajl_gen_map_close(o->g);
                } else {
                    yajl_gen_array_open(o->g);
                    yajl_gen_integer(o->g, (long long)(at < open ? 0 : at - open));
                    yajl_gen_integer(o->g, (long long)(at + p->size - open));
                    yajl_gen_array_close(o->g);
                }
            }
            if (p->role == MUSE_WORLDS_THOUGHT) at += p->size;
        }
        if (any) yajl_gen_array_close(o->g);
    }
}

static void gen_objects(const Worlds *o, const MuseWorldsSample *s)
{
    json_key(o->g, "objects");
    yajl_gen_array_open(o->g);
    for (size_t i = 0; i < s->n_objects; i++) {
        const MuseWorldsObject *b = &s->objects[i];
        yajl_gen_map_open(o->g);
        json_integer(o->g, "image", b->image);
        json_integer(o->g, "id", b->id);
        json_text(o->g, "kind", muse_worlds_kind_name(b->kind));
        if (b->color) json_text(o->g, "color", muse_worlds_color_name(b->color));
        if (b->size) json_text(o->g, "size", muse_worlds_size_name(b->size));
        if (*b->mark) json_text(o->g, "mark", b->mark);
        if (b->hidden) json_bool(o->g, "hidden", 1);
        if (b->kind >= MUSE_WORLDS_BAR && b->kind <= MUSE_WORLDS_SLICE) json_number(o->g, "value", b->value);
        json_rect(o->g, "box", b->box);
        json_number(o->g, "x", b->x);
        json_number(o->g, "y", b->y);
        yajl_gen_map_close(o->g);
    }
    yajl_gen_array_close(o->g);
}

/* With the space before its first word, as it stands behind a thought or a question: training learns that space. */
static const char *written_answer(const MuseWorldsBranch *b)
{
    for (size_t i = b->n_parts; i-- > 0;)
        if (b->parts[i].role == MUSE_WORLDS_ANSWER) return b->parts[i].text;
    return b->answer;
}

static int write_line(const Worlds *o, const MuseWorldsSample *s, const MuseWorldsBranch *b)
{
    yajl_gen_map_open(o->g);
    json_text(o->g, "task", b->task);
    gen_parts(o, s, b);
    if (b->think) gen_thought(o, b);
    if (*b->answer) json_text(o->g, "answer", written_answer(b));
    if (b->n_accept) {
        json_key(o->g, "accept");
        yajl_gen_array_open(o->g);
        for (size_t i = 0; i < b->n_accept; i++) json_string(o->g, b->accept[i], strlen(b->accept[i]));
        yajl_gen_array_close(o->g);
    }
    json_text(o->g, "world", s->world);
    json_text(o->g, "split", splits[s->split]);
    json_integer(o->g, "seed", (long long)s->seed);
    json_integer(o->g, "index", (long long)s->index);
    gen_objects(o, s);
    yajl_gen_map_close(o->g);
    const unsigned char *text;
    size_t n;
    yajl_gen_get_buf(o->g, &text, &n);
    const bool ok = fwrite(text, 1, n, o->lines) == n && fputc('\n', o->lines) != EOF;
    yajl_gen_clear(o->g);
    yajl_gen_reset(o->g, NULL);
    return ok ? EXIT_OK : EXIT_OTHER;
}

/* ---- the command ---- */

static int choose(const char *option, const char *value, const char *const *names, size_t n, int *out)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(value, names[i]) == 0) {
            *out = (int)i;
            return EXIT_OK;
        }
    return cli_usage("worlds: %s %s: no such choice (see muse worlds --help)", option, value);
}

static int number(const char *option, const char *value, uint32_t *out)
{
    char *end;
    errno = 0;
    const unsigned long v = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno || v > UINT32_MAX) return cli_usage("worlds: %s %s: a number", option, value);
    *out = (uint32_t)v;
    return EXIT_OK;
}

static int read_options(Cli *cli, Worlds *o)
{
    const struct { const char *name; uint32_t *value; } numbers[] = { { "--n", &o->n }, { "--first", &o->first }, { "--min-side", &o->options.min_side },
        { "--max-side", &o->options.max_side }, { "--aspect", &o->options.aspect }, { "--branches", &o->options.branches }, { "--overview", &o->options.overview } };
    const struct { const char *name; const char **value; } texts[] = { { "--task", &o->task }, { "--out", &o->out }, { "--only", &o->options.only } };
    const struct { const char *name; const char *const *names; size_t n; int *value; } choices[] = { { "--split", splits, sizeof splits / sizeof *splits, &o->options.split },
        { "--form", forms, 3, &o->options.form }, { "--fonts", fonts, 2, &o->params.fonts } };
    int code = EXIT_OK;
    const char *option, *value;
    while (code == EXIT_OK && (option = cli_next(cli, &code))) {
        if (strcmp(option, "--help") == 0) { o->help = true; return EXIT_OK; }
        if (strcmp(option, "--list") == 0) { o->list = true; continue; }
        o->more = true;
        if (strcmp(option, "--draw") == 0) { o->draw = true; continue; }
        size_t i, k, c;
        for (i = 0; i < sizeof numbers / sizeof *numbers && strcmp(option, numbers[i].name) != 0; i++) { }
        for (k = 0; k < sizeof texts / sizeof *texts && strcmp(option, texts[k].name) != 0; k++) { }
        for (c = 0; c < sizeof choices / sizeof *choices && strcmp(option, choices[c].name) != 0; c++) { }
        if (i == sizeof numbers / sizeof *numbers && k == sizeof texts / sizeof *texts && c == sizeof choices / sizeof *choices)
            return cli_no_option(cli, option);
        if (!(value = cli_value(cli, option, &code))) break;
        if (i < sizeof numbers / sizeof *numbers) code = number(option, value, numbers[i].value);
        else if (k < sizeof texts / sizeof *texts) *texts[k].value = value;
        else code = choose(option, value, choices[c].names, choices[c].n, choices[c].value);
    }
    return code;
}

static int take(void *user, const MuseWorldsSample *s)
{
    Worlds *o = user;
    MuseError err;
    if (write_media(o, s, &err) < 0) return cli_fail(&err, o->out);
    int code = EXIT_OK;
    for (size_t i = 0; code == EXIT_OK && i < s->n_branches; i++) code = write_line(o, s, &s->branches[i]);
    o->made.samples++;
    o->made.lines += s->n_branches;
    o->made.pictures += s->n_images;
    o->made.sounds += s->n_pcm > 0;
    if (o->draw) o->made.boxes += s->n_images;
    return code;
}

static int report(const Cli *cli, const Worlds *o, const char *path)
{
    if (!cli->json) {
        if (cli->quiet) return EXIT_OK;
        fprintf(stderr, "muse: wrote %s: %llu lines about %llu samples", path, o->made.lines, o->made.samples);
        if (o->made.pictures) fprintf(stderr, "; %llu pictures", o->made.pictures);
        if (o->made.sounds) fprintf(stderr, "; %llu sounds", o->made.sounds);
        if (o->made.boxes) fprintf(stderr, "; %llu pictures with boxes", o->made.boxes);
        fputs(o->made.pictures || o->made.sounds ? " beside it\n" : "\n", stderr);
        return EXIT_OK;
    }
    yajl_gen_map_open(o->g);
    json_text(o->g, "file", path);
    json_integer(o->g, "samples", (long long)o->made.samples);
    json_integer(o->g, "lines", (long long)o->made.lines);
    json_integer(o->g, "pictures", (long long)o->made.pictures);
    json_integer(o->g, "sounds", (long long)o->made.sounds);
    json_integer(o->g, "pictures_with_boxes", (long long)o->made.boxes);
    yajl_gen_map_close(o->g);
    return json_print(o->g);
}

static int run(const Cli *cli, Worlds *o)
{
    MuseError err;
    MuseWorlds *worlds = NULL;
    MuseWorldsMaker *maker = NULL;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.jsonl", o->out, o->task);
    int code = EXIT_OK;
    int rc = muse_worlds_open(&worlds, &o->params, &err);
    if (rc == 0) rc = muse_worlds_maker_open(&maker, worlds, &err);
    const MuseWorldsSample *sample;   /* a wrong task is told before a file is made */
    if (rc == 0) rc = muse_worlds_make(maker, o->task, cli->seed, o->first, &o->options, &sample, &err);
    if (rc < 0) code = cli_fail(&err, NULL);
    if (code == EXIT_OK && !cli_make_folder(o->out)) {
        fprintf(stderr, "muse: %s: can't make the folder: %s\n", o->out, strerror(errno));
        code = EXIT_INPUT;
    }
    if (code == EXIT_OK && !(o->lines = fopen(path, "wb"))) {
        fprintf(stderr, "muse: %s: can't write: %s\n", path, strerror(errno));
        code = EXIT_INPUT;
    }
    if (code == EXIT_OK && !(o->g = yajl_gen_alloc(NULL))) code = EXIT_RESOURCE;
    if (code == EXIT_OK) {
        rc = muse_worlds_run(maker, o->task, cli->seed, o->first, o->n, &o->options, take, o, &err);
        code = rc < 0 ? cli_fail(&err, NULL) : rc;
    }
    if (o->lines && fclose(o->lines) != 0 && code == EXIT_OK) {
        fprintf(stderr, "muse: %s: can't write: %s\n", path, strerror(errno));
        code = EXIT_OTHER;
    }
    if (code == EXIT_OK) code = report(cli, o, path);
    if (o->g) yajl_gen_free(o->g);
    muse_worlds_maker_close(&maker);
    muse_worlds_close(&worlds);
    return code;
}

int cmd_worlds(Cli *cli)
{
    Worlds o = { .n = 10 };
    muse_worlds_params_init(&o.params);
    muse_worlds_options_init(&o.options);
    const int code = read_options(cli, &o);
    if (code != EXIT_OK) return code;
    if (o.help) {
        help(stdout);
        return EXIT_OK;
    }
    if (o.list && (o.more || cli->seed)) return cli_usage("worlds: --list shows all there is; no option but --json goes with it");
    if (o.list) return list_worlds(cli);
    if (!o.task || !o.out) return cli_usage("worlds: --task and --out are needed (try muse worlds --help)");
    return run(cli, &o);
}
