/* SPDX-License-Identifier: Apache-2.0 */
/* A model into a Hugging Face folder: weights as safetensors, and the files beside them, copied from a folder or made from GGUF
 * metadata. Called by convert.c. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "libmuse/convert/convert.h"

typedef struct Folder {
    MuseJob *job;
    char   **names;               /* paths of files put in place, to take back after an error */
    size_t   n, cap;
    bool     made;                /* the folder was made here */
} Folder;

/* ---- the folder ---- */

static int open_folder(Folder *f)
{
    const MuseJob *job = f->job;
    f->made = mkdir(job->out, 0777) == 0;
    if (f->made) return 0;
    if (errno != EEXIST) return muse_fail(job->err, MUSE_ERR_IO, "%s: can't make this folder: %s", job->out, strerror(errno));
    DIR *dir = opendir(job->out);
    if (!dir) return muse_fail(job->err, errno == ENOTDIR ? MUSE_ERR_ARG : MUSE_ERR_IO, "%s: can't be the folder to write: %s", job->out, strerror(errno));
    bool empty = true;
    for (const struct dirent *e; (e = readdir(dir));) empty &= strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(dir);
    return empty ? 0 : muse_fail(job->err, MUSE_ERR_ARG, "%s: this folder is not empty", job->out);
}

static int put_file(Folder *f, const char *name, const void *data, size_t size)
{
    const MuseAllocator *a = &f->job->rt->alloc;
    if (f->n == f->cap) {
        char **names = muse_realloc_array(a, f->names, f->cap + 16, sizeof *names);
        if (!names) return MUSE_NOMEM(f->job->err, (f->cap + 16) * sizeof *names);
        f->names = names;
        f->cap += 16;
    }
    char *path = muse_path_beside(a, f->job->out, name);
    if (!path) return MUSE_NOMEM(f->job->err, strlen(f->job->out) + strlen(name) + 2);
    const int rc = muse_file_write(path, data, size, f->job->err);
    if (rc == 0) f->names[f->n++] = path;
    else muse_free(path);
    return rc;
}

/* The files beside the weights, and the folder's own name: the writer of the weights does the rest. */
static int sync_beside(Folder *f)
{
    int rc = 0;
    for (size_t i = 0; i < f->n && rc == 0; i++) rc = muse_sync_path(f->names[i], f->job->err);
    char *parent = muse_path_beside(&f->job->rt->alloc, f->job->out, "..");
    if (rc == 0) rc = parent ? muse_sync_path(parent, f->job->err) : MUSE_NOMEM(f->job->err, strlen(f->job->out) + 4);
    muse_free(parent);
    return rc;
}

static void close_folder(Folder *f, bool keep)
{
    for (size_t i = 0; i < f->n; i++) {
        if (!keep) unlink(f->names[i]);
        muse_free(f->names[i]);
    }
    muse_free(f->names);
    if (f->made && !keep) rmdir(f->job->out);
}

/* ---- files beside the weights, from another folder ---- */

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), n_end = strlen(end);
    return n >= n_end && strcmp(s + n - n_end, end) == 0;
}

static bool is_copied(const char *name)
{
    static const char *const ends[] = { ".json", ".jinja", ".txt", ".model", ".md", "LICENSE", "NOTICE" };
    bool copied = false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) copied |= ends_with(name, ends[i]);
    return copied && name[0] != '.' && !ends_with(name, ".safetensors.index.json");
}

typedef struct Patch {
    MuseText    out;
    const char *at, *end;         /* input copied so far; its end */
    const char *type;
    bool        is_escaped;       /* a note that is no slice of the input */
} Patch;

/* every note of the number type, in whatever object, says the new one; the rest of the text stays */
static void patch_types(Patch *p, const MuseJsonValue *v)
{
    if (v->type != MUSE_JSON_OBJECT && v->type != MUSE_JSON_ARRAY) return;
    for (const MuseJsonValue *c = v->u.first; c; c = c->next) {
        const bool note = c->key && c->type == MUSE_JSON_STRING && ((c->key_len == 5 && memcmp(c->key, "dtype", 5) == 0) || (c->key_len == 11 && memcmp(c->key, "torch_dtype", 11) == 0));
        if (!note) {
            patch_types(p, c);
        } else if ((uintptr_t)c->u.string < (uintptr_t)p->at || (uintptr_t)c->u.string > (uintptr_t)p->end) {
            p->is_escaped = true;
        } else if (p->out.rc == 0) {
            p->out.rc = muse_buf_append(&p->out.b, p->at, (size_t)(c->u.string - p->at));
            muse_text_put(&p->out, "%s", p->type);
            p->at = c->u.string + c->len;
        }
    }
}

static const char *type_note(MuseWeightType type) { return type == MUSE_WEIGHT_F32 ? "float32" : type == MUSE_WEIGHT_F16 ? "float16" : "bfloat16"; }

static int put_config(Folder *f, const MuseFile *file)
{
    const MuseAllocator *a = &f->job->rt->alloc;
    MuseJson doc;
    int rc = muse_json_parse(&doc, a, file->data, file->size, f->job->err);
    if (rc < 0) return rc;
    const char *text = (const char *)file->data;
    Patch p = { .out = { .b = { .alloc = a } }, .at = text, .end = text + file->size, .type = type_note(f->job->type) };
    patch_types(&p, doc.root);
    if (p.out.rc == 0) p.out.rc = muse_buf_append(&p.out.b, p.at, (size_t)(p.end - p.at));
    if (p.is_escaped) rc = muse_fail(f->job->err, MUSE_ERR_UNSUPPORTED, "%s: config.json: a dtype that is written with escapes", f->job->in);
    else if (p.out.rc < 0) rc = MUSE_NOMEM(f->job->err, file->size);
    else rc = put_file(f, "config.json", p.out.b.data, p.out.b.len);
    muse_buf_clear(&p.out.b);
    muse_json_close(&doc);
    return rc;
}

static int copy_file(Folder *f, const char *name)
{
    const MuseAllocator *a = &f->job->rt->alloc;
    MuseFile file = { .alloc = a };
    char *path = muse_path_beside(a, f->job->in, name);
    if (!path) return MUSE_NOMEM(f->job->err, strlen(f->job->in) + strlen(name) + 2);
    int rc = muse_file_open(&file, path, UINT64_C(1) << 32, f->job->err);
    if (rc == 0) rc = strcmp(name, "config.json") == 0 ? put_config(f, &file) : put_file(f, name, file.data, file.size);
    muse_file_close(&file);
    muse_free(path);
    return rc;
}

static int copy_beside(Folder *f)
{
    const MuseJob *job = f->job;
    char *path = muse_path_beside(&job->rt->alloc, job->in, ".");
    if (!path) return MUSE_NOMEM(job->err, strlen(job->in) + 2);
    DIR *dir = opendir(path);
    int rc = dir ? 0 : muse_fail(job->err, MUSE_ERR_IO, "%s: can't list: %s", path, strerror(errno));
    for (const struct dirent *e; rc == 0 && (e = readdir(dir));) {
        if (is_copied(e->d_name)) rc = copy_file(f, e->d_name);
        else if (e->d_name[0] != '.' && !ends_with(e->d_name, ".safetensors") && !ends_with(e->d_name, ".index.json"))
            muse_log(&job->rt->log, MUSE_LOG_WARN, "%s: \"%.160s\" is not copied", job->in, e->d_name);
    }
    if (dir) closedir(dir);
    muse_free(path);
    return rc;
}

/* ---- files beside the weights, from GGUF metadata ---- */

static int make_beside(Folder *f)
{
    static const char *const names[] = { "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json" };
    MuseText text[4];
    for (size_t i = 0; i < 4; i++) text[i] = (MuseText){ .b = { .alloc = &f->job->rt->alloc } };
    int rc = muse_folder_config(f->job, &text[0], &text[1]);
    if (rc == 0) rc = muse_folder_vocab(f->job, &text[2], &text[3]);
    for (size_t i = 0; i < 4; i++) {
        if (rc == 0 && text[i].rc < 0) rc = MUSE_NOMEM(f->job->err, text[i].b.len);
        if (rc == 0) rc = put_file(f, names[i], text[i].b.data, text[i].b.len);
        muse_buf_clear(&text[i].b);
    }
    return rc;
}

int muse_job_to_folder(MuseJob *job)
{
    const MuseAllocator *a = &job->rt->alloc;
    Folder f = { .job = job };
    MusePlan plan = { .out = { .alloc = a } };
    MuseWeightWriter w = { 0 };
    int rc = job->from_gguf ? muse_plan_by_role(job, &plan, NULL) : muse_plan_keep(job, &plan);
    if (rc == 0) rc = open_folder(&f);
    if (rc == 0) rc = job->from_gguf ? make_beside(&f) : copy_beside(&f);   /* what may be refused comes before the long part */
    if (rc == 0) rc = muse_writer_safetensors(&w, a, job->out, &plan.out, job->params.shard_bytes, job->err);
    if (rc == 0) rc = muse_plan_stream(job, &plan, &w);
    if (rc == 0) rc = sync_beside(&f);
    if (rc == 0) rc = muse_writer_commit(&w, job->err);
    job->info.bytes_out = w.bytes;
    job->info.n_files = w.n_files;
    muse_writer_close(&w);
    close_folder(&f, rc == 0);
    muse_plan_clear(&plan);
    return rc;
}
