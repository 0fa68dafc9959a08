/* SPDX-License-Identifier: Apache-2.0 */
/* The text tokenizer: opening, encoding, decoding, a word without spaces, training. Medians and best of the CPU time of this
 * thread, so that other load shows less. usage: bench_text [TOKENIZER [TEXT]]; without them words are made here, a vocabulary
 * of 8192 is trained on them and used. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "muse/muse.h"

enum { RUNS = 9, MADE = 8 << 20, WORD = 4 << 20, N_WORDS = 30000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int rc, const MuseError *err)
{
    if (rc >= 0) return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *what, double *seconds, size_t runs, size_t bytes)
{
    qsort(seconds, runs, sizeof *seconds, by_value);
    printf("%-28s median %8.2f ms, best %8.2f ms, %7.1f MB/s\n", what, seconds[runs / 2] * 1e3, seconds[0] * 1e3, (double)bytes / seconds[runs / 2] / 1e6);
}

static uint32_t random_next(uint64_t *s)
{
    *s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*s >> 33);
}

/* words of random syllables, the frequent ones first (Zipf), with punctuation and numbers */
static char *make_text(size_t n)
{
    static char words[N_WORDS][16];
    uint64_t seed = 1;
    char *text = malloc(n + 32);
    if (!text) exit(1);
    for (size_t i = 0; i < N_WORDS; i++)
        for (size_t k = 0, len = 1 + random_next(&seed) % 5; k < len; k++) {
            const char syllable[3] = { "btrsnlmdkp"[random_next(&seed) % 10], "aeiou"[random_next(&seed) % 5], 0 };
            strcat(words[i], syllable);
        }
    for (size_t at = 0; at < n;) {
        const uint32_t r = random_next(&seed);
        const uint32_t word = (uint32_t)((double)N_WORDS / (1.0 + (double)(r % 0xffff) / 3.0)) % N_WORDS;
        if (r % 97 == 0) at += (size_t)sprintf(text + at, "%u ", r % 10000);
        else at += (size_t)sprintf(text + at, "%s%s", words[word], r % 13 == 0 ? ", " : " ");
    }
    return text;
}

static double encode_once(const MuseTextTokenizer *tok, const char *text, size_t n, int32_t **ids, size_t *n_ids)
{
    MuseError err;
    const double start = now();
    check(muse_text_encode(tok, text, n, 0, ids, n_ids, &err), &err);
    return now() - start;
}

static void bench_encode(const MuseTextTokenizer *tok, const char *what, const char *text, size_t n, size_t runs)
{
    double encode[RUNS], decode[RUNS];
    size_t n_ids = 0, n_back;
    for (size_t i = 0; i < runs; i++) {
        int32_t *ids;
        char *back;
        MuseError err;
        encode[i] = encode_once(tok, text, n, &ids, &n_ids);
        const double start = now();
        check(muse_text_decode(tok, ids, n_ids, 0, &back, &n_back, &err), &err);
        decode[i] = now() - start;
        muse_free(back);
        muse_free(ids);
    }
    char name[64];
    snprintf(name, sizeof name, "encode %s", what);
    report(name, encode, runs, n);
    snprintf(name, sizeof name, "decode %s", what);
    report(name, decode, runs, n);
    printf("%-28s %zu bytes, %zu ids\n", what, n, n_ids);
}

static MuseTextTokenizer *train(const char *text, size_t n)
{
    MuseTextTrainParams p;
    MuseTextTokenizer *tok;
    MuseError err;
    char *json;
    size_t n_json;
    muse_text_train_params_init(&p);
    p.vocab_size = 8192;
    double start = now();
    check(muse_text_train_bpe(NULL, &text, &n, 1, &p, &json, &n_json, &err), &err);
    start = now() - start;
    report("train 8192 tokens", &start, 1, n);
    check(muse_text_open_memory(&tok, NULL, json, n_json, &err), &err);
    muse_free(json);
    return tok;
}

static MuseTextTokenizer *open_timed(const char *path)
{
    MuseTextTokenizer *tok = NULL;
    MuseError err;
    double open[5];
    MuseTextInfo info;
    for (size_t i = 0; i < 5; i++) {
        muse_text_close(&tok);
        const double start = now();
        check(muse_text_open_file(&tok, NULL, path, &err), &err);
        open[i] = now() - start;
    }
    muse_text_info(tok, &info);
    report("open", open, 5, info.memory_bytes);
    printf("%-28s %u tokens, %zu bytes held\n", path, info.vocab_size, info.memory_bytes);
    return tok;
}

int main(int argc, char **argv)
{
    MuseFile file = { 0 };
    MuseError err;
    char *made = NULL, *word = malloc(WORD);
    const char *text;
    size_t n = MADE;
    uint64_t seed = 4;
    if (!word) return 1;
    if (argc > 2) {
        check(muse_file_open(&file, argv[2], UINT64_C(1) << 30, &err), &err);
        text = (const char *)file.data;
        n = file.size;
    } else {
        text = made = make_text(MADE);
    }
    MuseTextTokenizer *tok = argc > 1 ? open_timed(argv[1]) : train(text, n);
    bench_encode(tok, "text", text, n, RUNS);
    for (size_t i = 0; i < WORD; i++) word[i] = "etaoinshrdlu"[random_next(&seed) % 12];
    bench_encode(tok, "one word of 4 MB", word, WORD, 3);
    muse_text_close(&tok);
    muse_file_close(&file);
    free(made);
    free(word);
    return 0;
}
