/* SPDX-License-Identifier: Apache-2.0 */
/* Train a byte-level BPE vocabulary on text files and write a tokenizer.json.
 *   cc train_tokenizer.c -o train_tokenizer $(pkg-config --cflags --libs muse)
 *   ./train_tokenizer out.json 4096 special.txt book1.txt book2.txt      (special.txt: one special token a line) */
#include <muse/muse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* the whole file, terminated; NULL after a message */
static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *data = NULL;
    long end = -1;
    if (f && fseek(f, 0, SEEK_END) == 0 && (end = ftell(f)) >= 0 && (data = malloc((size_t)end + 1))) {
        rewind(f);
        *size = fread(data, 1, (size_t)end, f);
        data[*size] = 0;
        if (*size != (size_t)end) free(data), data = NULL;
    }
    if (f) fclose(f);
    if (!data) fprintf(stderr, "%s: can't read\n", path);
    return data;
}

static int show(void *user, uint32_t done, uint32_t wanted)
{
    (void)user;
    if (done % 256 == 0) fprintf(stderr, "\r%u of %u merges", done, wanted);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: %s OUT.json VOCABULARY_SIZE SPECIAL.txt TEXT ...\n", argv[0]);
        return 2;
    }
    const size_t n = (size_t)argc - 4;
    size_t size, json_size, n_added = 0;
    size = 0;
    char *special = read_file(argv[3], &size), **texts = calloc(n, sizeof *texts), *json = NULL;
    size_t *sizes = calloc(n, sizeof *sizes);
    const char **added = calloc(size + 1, sizeof *added);
    if (!special || !texts || !sizes || !added) return 3;
    for (char *line = strtok(special, "\n"); line; line = strtok(NULL, "\n")) added[n_added++] = line;
    for (size_t i = 0; i < n; i++)
        if (!(texts[i] = read_file(argv[4 + i], &sizes[i]))) return 3;

    MuseError err;
    MuseTextTrainParams params;
    muse_text_train_params_init(&params);
    params.vocab_size = (uint32_t)strtoul(argv[2], NULL, 10);
    params.added = added;
    params.n_added = n_added;
    params.progress = show;
    int rc = muse_text_train_bpe(NULL, (const char *const *)texts, sizes, n, &params, &json, &json_size, &err);
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    FILE *out = fopen(argv[1], "wb");
    if (!out || fwrite(json, 1, json_size, out) != json_size || fclose(out) != 0) rc = 1;
    fprintf(stderr, rc ? "\n%s: can't write\n" : "\nwrote %s\n", argv[1]);
    muse_free(json);
    for (size_t i = 0; i < n; i++) free(texts[i]);
    free(texts), free(sizes), free(added), free(special);
    return rc;
}
