/* SPDX-License-Identifier: Apache-2.0 */
/* Runs every file of the given folders, and each cut and flipped in a few places, through a fuzz target. */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static size_t runs;

static void run(const uint8_t *data, size_t size)
{
    LLVMFuzzerTestOneInput(data, size);
    runs++;
}

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) { fprintf(stderr, "%s: can't open\n", path); exit(1); }
    fseek(f, 0, SEEK_END);
    const long end = ftell(f);
    rewind(f);
    const size_t size = end > 0 ? (size_t)end : 0;
    uint8_t *data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, f) != size) { fprintf(stderr, "%s: can't read\n", path); exit(1); }
    fclose(f);
    run(data, size);
    for (size_t i = 1; i <= 8; i++) run(data, size * i / 9);
    for (size_t i = 0; i < 24 && size; i++) {
        const size_t at = (i * 2654435761u + i * i * 97u) % size;
        data[at] ^= (uint8_t)(1u << (i % 8));
        run(data, size);
        data[at] ^= (uint8_t)(1u << (i % 8));
    }
    free(data);
}

int main(int argc, char **argv)
{
    for (int a = 1; a < argc; a++) {
        DIR *dir = opendir(argv[a]);
        if (!dir) { run_file(argv[a]); continue; }
        const struct dirent *entry;
        while ((entry = readdir(dir))) {
            char path[4096];
            struct stat st;
            snprintf(path, sizeof path, "%s/%s", argv[a], entry->d_name);
            if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) run_file(path);
        }
        closedir(dir);
    }
    printf("%zu inputs\n", runs);
    return runs ? 0 : 1;
}
