/* SPDX-License-Identifier: Apache-2.0 */
/* See train_run.h. */
#include "tools/train_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/nano/doc.h"
#include "tools/score.h"

char *train_read(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    *size = 0;
    for (size_t cap = 0; f;) {
        if (*size == cap) {
            char *more = cap < (1u << 26) ? realloc(text, cap = cap ? 2 * cap : 1 << 16) : NULL;
            if (!more) {
                errno = ENOMEM;
                break;
            }
            text = more;
        }
        const size_t n = fread(text + *size, 1, cap - *size, f);
        *size += n;
        if (n) continue;
        if (ferror(f)) break;
        fclose(f);
        return text;
    }
    fprintf(stderr, "muse: %s: can't read: %s\n", path, strerror(errno));
    if (f) fclose(f);
    free(text);
    return NULL;
}

/* paths of a document start where it lies */
char *train_folder(const char *path)
{
    char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash) slash[slash == folder] = 0;
    else if (folder) {
        free(folder);
        folder = strdup(".");
    }
    return folder;
}

/* A model that is begun from says what it shows of a picture. One that can't be read is refused by the trainer. */
static int read_model(NanoSource *s, const char *json, size_t size, const char *folder, MuseError *err)
{
    char path[4096], name[2048];
    size_t n = 0;
    if (nano_model_path(json, size, name, sizeof name) < 0 || nano_doc_path(path, sizeof path, folder, name) < 0 || access(path, R_OK) != 0) return 0;
    char *config = train_read(path, &n);
    const int rc = config ? nano_plan_model(&s->plan, config, n, err) : 0;
    free(config);
    return rc;
}

/* Data that the program makes itself. The tokenizer is the document's: the trainer reads it again. */
static int open_worlds(NanoSource *s, MuseTextTokenizer **tok, const char *json, size_t size, const char *folder, MuseError *err)
{
    char path[4096], name[2048];
    int rc = nano_plan_read(&s->plan, json, size, err);
    if (rc <= 0) return rc;
    if (nano_tokenizer_path(json, size, name, sizeof name) < 0 || nano_doc_path(path, sizeof path, folder, name) < 0) {
        *err = (MuseError){ MUSE_ERR_FORMAT, "\"data\": worlds need a \"tokenizer\", or a \"model\" that is a folder" };
        return err->code;
    }
    rc = muse_text_open_file(tok, NULL, path, err);
    if (rc == 0) rc = read_model(s, json, size, folder, err);
    if (rc == 0) rc = nano_source_open(s, *tok, folder, err);
    return rc < 0 ? rc : 1;
}

/* as muse eval counts: a drawing has many right answers, a box nearly as many */
static int same_answer(void *user, const char *given, size_t n, const char *answer)
{
    (void)user;
    return score_same(given, n, answer);
}

int train_run_open(TrainRun *r, MuseRuntime *rt, const char *json, size_t size, MuseTrainerParams p, MuseError *err)
{
    r->source = nano_source(&r->worlds);
    r->prompts = nano_prompts(&r->trials);
    r->prompts.same = same_answer;
    int rc = open_worlds(&r->worlds, &r->tokenizer, json, size, p.folder, err);
    if (rc > 0) p.source = &r->source;
    if (rc >= 0) rc = nano_prompts_read(&r->trials, json, size, err);
    if (rc > 0) {
        p.prompts = &r->prompts;
        rc = nano_prompts_open(&r->trials, rt, err);
    }
    return rc < 0 ? rc : muse_trainer_open(&r->trainer, rt, json, size, &p, err);
}

void train_run_close(TrainRun *r)
{
    muse_trainer_close(&r->trainer);
    nano_prompts_close(&r->trials);
    nano_source_close(&r->worlds);
    muse_text_close(&r->tokenizer);
}
