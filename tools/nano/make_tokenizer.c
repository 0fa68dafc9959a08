/* SPDX-License-Identifier: Apache-2.0 */
/* Makes muse-nano's tokenizer.json: byte-level BPE over what tools/worlds says, special tokens and places first. The words come
 * from the generator with its built-in font, so the file is the same wherever it is made. No command of the muse program: it is
 * run once (docs/train.md has the line), and tests run it small. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/worlds/worlds.h"

enum { SEED = 1, SPECIAL_MAX = 64 };

typedef struct Corpus {
    char  *text;
    size_t n, cap;
} Corpus;

static int add(Corpus *c, const char *text, size_t n)
{
    if (c->n + n > c->cap) {
        const size_t cap = 2 * (c->n + n) + 4096;
        char *more = realloc(c->text, cap);
        if (!more) return -1;
        c->text = more;
        c->cap = cap;
    }
    memcpy(c->text + c->n, text, n);
    c->n += n;
    return 0;
}

/* Text without <tokens>: a digit stands for each, since nothing is merged over digits. A '<' that opens none stays. */
static int add_words(Corpus *c, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *end = text[i] == '<' ? memchr(text + i, '>', n - i < 12 ? n - i : 12) : NULL;
        if (add(c, end ? "0" : text + i, 1) < 0) return -1;
        if (end) i = (size_t)(end - text);
    }
    return 0;
}

static int take(void *user, const MuseWorldsSample *s)
{
    for (size_t b = 0; b < s->n_branches; b++) {
        const MuseWorldsBranch *branch = &s->branches[b];
        for (size_t i = 0; i < branch->n_parts; i++) {
            /* signs in any order are no words, and must not become tokens: each stands alone */
            const int signs = branch->parts[i].role == MUSE_WORLDS_ANSWER && (strcmp(branch->task, "text") == 0 || strcmp(branch->task, "read") == 0);
            if (!signs && add_words(user, branch->parts[i].text, branch->parts[i].size) < 0) return MUSE_ERR_NOMEM;
        }
        if (add(user, "0", 1) < 0) return MUSE_ERR_NOMEM;
    }
    return 0;
}

static int gather(Corpus *c, uint64_t samples, MuseError *err)
{
    MuseWorldsParams params;
    muse_worlds_params_init(&params);
    params.fonts = MUSE_WORLDS_FONTS_BUILTIN;
    MuseWorlds *worlds = NULL;
    MuseWorldsMaker *maker = NULL;
    int rc = muse_worlds_open(&worlds, &params, err);
    if (rc == 0) rc = muse_worlds_maker_open(&maker, worlds, err);
    for (size_t i = 0; rc == 0 && muse_worlds_name(i); i++) {
        rc = muse_worlds_run(maker, muse_worlds_name(i), SEED, 0, samples, NULL, take, c, err);
    }
    muse_worlds_maker_close(&maker);
    muse_worlds_close(&worlds);
    return rc;
}

/* one special token a line, then the places */
static size_t read_special(const char *path, char text[][16])
{
    FILE *f = fopen(path, "r");
    size_t n = 0;
    while (f && n < SPECIAL_MAX && fscanf(f, " %15[^\n]", text[n]) == 1) n++;
    if (f) fclose(f);
    for (int axis = 0; n && axis < 2; axis++)
        for (int i = 0; i < MUSE_WORLDS_PLACES; i++) snprintf(text[n++], sizeof *text, "<%c%d>", "xy"[axis], i);
    return n;
}

int main(int argc, char **argv)
{
    static char special[SPECIAL_MAX + 2 * MUSE_WORLDS_PLACES][16];
    const char *added[SPECIAL_MAX + 2 * MUSE_WORLDS_PLACES];
    if (argc != 5) {
        fprintf(stderr, "usage: %s OUT.json VOCABULARY_SIZE SAMPLES_A_WORLD SPECIAL.txt\n", argv[0]);
        return 2;
    }
    MuseError err = { 0 };
    MuseTextTrainParams params;
    muse_text_train_params_init(&params);
    params.vocab_size = (uint32_t)strtoul(argv[2], NULL, 10);
    params.pattern = "qwen2";   /* a digit is a token of its own */
    params.added = added;
    params.n_added = read_special(argv[4], special);
    for (size_t i = 0; i < params.n_added; i++) added[i] = special[i];
    Corpus c = { 0 };
    char *json = NULL;
    size_t n = 0;
    int rc = params.n_added ? gather(&c, strtoull(argv[3], NULL, 10), &err) : MUSE_ERR_IO;
    if (rc == 0) rc = muse_text_train_bpe(NULL, (const char *const[]){ c.text }, &c.n, 1, &params, &json, &n, &err);
    FILE *out = rc == 0 ? fopen(argv[1], "wb") : NULL;
    const size_t written = out ? fwrite(json, 1, n, out) : 0;
    if (out && (fclose(out) != 0 || written != n)) rc = MUSE_ERR_IO;
    if (rc < 0 || !out) fprintf(stderr, "%s: %s\n", argv[1], err.text[0] ? err.text : "can't read the special tokens, or can't write");
    muse_free(json);
    free(c.text);
    return rc < 0 || !out;
}
