/* SPDX-License-Identifier: Apache-2.0 */
/* Where what ships in models/ lies, and which model a command runs. Opens nothing. Called by the subcommands. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli.h"

enum { PATH_BYTES = 8300, PLACES = 4 };

/* Place i to look in, in order; false: it does not exist here. Where the program lies: DIR/muse -> DIR/../../models in a build,
 * PREFIX/bin/muse -> PREFIX/share/muse/models installed. */
static bool place(int i, const char *name, char path[PATH_BYTES])
{
    static const char *const beside[] = { "../../models", "../share/muse/models" };
    const char *data = getenv("MUSE_DATA"), *models = getenv("MUSE_MODELS");
    char self[4096];
    if (i == 0 && models) return snprintf(path, PATH_BYTES, "%s/%s", models, name) < PATH_BYTES;
    if (i == 1 && data) return snprintf(path, PATH_BYTES, "%s/models/%s", data, name) < PATH_BYTES;
    if (i < 2) return false;
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return false;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    if (slash) *slash = 0;
    return slash && snprintf(path, PATH_BYTES, "%s/%s/%s", self, beside[i - 2], name) < PATH_BYTES;
}

char *cli_find_shipped(const char *name)
{
    char path[PATH_BYTES];
    for (int i = 0; i < PLACES; i++)
        if (place(i, name, path) && access(path, R_OK) == 0) return strdup(path);
    return NULL;
}

char *cli_model_path(const char *told, int *exit_code)
{
    char path[PATH_BYTES];
    if (!told) told = getenv("MUSE_MODEL");
    char *found = told ? strdup(told) : NULL;
    if (!told && (found = cli_find_shipped("muse-nano/model.safetensors")) != NULL) *strrchr(found, '/') = 0;
    if (found) return found;
    *exit_code = told ? EXIT_RESOURCE : EXIT_INPUT;
    if (told) return NULL;
    if ((found = cli_find_shipped("muse-nano")) != NULL) fprintf(stderr, "muse: %s has no weights (model.safetensors): name a --model, or train one (docs/train.md)\n", found);
    else {
        fputs("muse: no model: name one with --model or in MUSE_MODEL. muse-nano was looked for in", stderr);
        for (int i = 0, n = 0; i < PLACES; i++)
            if (place(i, "muse-nano", path)) fprintf(stderr, "%s %s", n++ ? "," : "", path);
        fputc('\n', stderr);
    }
    free(found);
    return NULL;
}
