/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and mapping the files of a model, and joining their directories. Knows names of files, not of tensors.
 * Called by libmuse/model/model.c. */
#include "libmuse/io/weights.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "libmuse/io/gguf_tensors.h"
#include "libmuse/io/safetensors.h"

static const uint64_t file_bytes_max = UINT64_C(1) << 44;   /* 16 TiB; the largest published files have 1 */
static const char single_name[] = "model.safetensors", index_name[] = "model.safetensors.index.json";

bool muse_path_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* a broken link or a forbidden file exists: opening it then says what is wrong */
bool muse_path_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

char *muse_path_beside(const MuseAllocator *a, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    const bool folder = muse_path_is_folder(path);
    const size_t n = folder ? strlen(path) : slash ? (size_t)(slash - path) + 1 : 0;
    const size_t n_name = strlen(name), bar = folder && n > 0 && path[n - 1] != '/';
    char *joined = muse_alloc(a, n + bar + n_name + 1);
    if (!joined) return NULL;
    memcpy(joined, path, n);
    if (bar) joined[n] = '/';
    memcpy(joined + n + bar, name, n_name + 1);
    return joined;
}

/* map one more file; takes path over, also on error */
static int add_part(MuseWeightFile *w, char *path, MuseError *err)
{
    MuseWeightPart *parts = path ? muse_realloc_array(w->alloc, w->parts, w->n_parts + 1, sizeof *parts) : NULL;
    if (!parts) {
        muse_free(path);
        return MUSE_NOMEM(err, (w->n_parts + 1) * sizeof *parts);
    }
    w->parts = parts;
    MuseWeightPart *part = &parts[w->n_parts++];
    *part = (MuseWeightPart){ .path = path };
    const int rc = muse_file_open(&part->file, path, file_bytes_max, err);
    if (rc == 0) w->file_bytes += part->file.size;
    return rc;
}

static int add_safetensors(MuseWeightFile *w, char *path, MuseError *err)
{
    int rc = add_part(w, path, err);
    if (rc < 0) return rc;
    const uint32_t part = (uint32_t)w->n_parts - 1;
    const MuseFile *file = &w->parts[part].file;
    rc = muse_safetensors_read(&w->tensors, file->data, file->size, part, err);
    return rc < 0 ? muse_fail_prefix(err, rc, "%s", w->parts[part].path) : 0;
}

/* every tensor of the index is where it says; tensors that the index leaves out are kept all the same */
static int check_index(const MuseWeightFile *w, const MuseShardIndex *index, const char *path, MuseError *err)
{
    for (size_t i = 0; i < index->n_entries; i++) {
        const MuseShardEntry *entry = &index->entries[i];
        const MuseTensor *t = muse_weights_find(w, entry->name);
        if (!t || t->part != entry->shard)
            return muse_fail(err, MUSE_ERR_FORMAT, "%s: tensor \"%.200s\" is not in %s", path, entry->name, index->files[entry->shard]);
    }
    return 0;
}

static int open_sharded(MuseWeightFile *w, const char *path, MuseError *err)
{
    MuseFile file = { 0 };
    MuseShardIndex index = { 0 };
    int rc = muse_file_open(&file, path, file_bytes_max, err);
    if (rc < 0) return rc;
    rc = muse_shard_index_read(&index, w->alloc, file.data, file.size, err);
    if (rc < 0) rc = muse_fail_prefix(err, rc, "%s", path);
    for (size_t i = 0; i < index.n_files && rc == 0; i++) rc = add_safetensors(w, muse_path_beside(w->alloc, path, index.files[i]), err);
    if (rc == 0) rc = check_index(w, &index, path, err);
    muse_shard_index_clear(&index);
    muse_file_close(&file);
    return rc;
}

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), n_end = strlen(end);
    return n >= n_end && strcmp(s + n - n_end, end) == 0;
}

/* a folder without weights, or with GGUF files, which are models by themselves */
static int no_weights(const char *path, MuseError *err)
{
    DIR *folder = opendir(path);
    const struct dirent *e = NULL;
    while (folder && (e = readdir(folder)) != NULL && !ends_with(e->d_name, ".gguf")) {}
    const int rc = e ? muse_fail(err, MUSE_ERR_IO, "%s: holds no %s, but a GGUF file, which is to be named itself: %s%s%.200s", path, single_name, path, ends_with(path, "/") ? "" : "/", e->d_name)
                     : muse_fail(err, MUSE_ERR_IO, "%s: holds neither %s nor %s", path, single_name, index_name);
    if (folder) closedir(folder);
    return rc;
}

/* like the publisher's own loader: one file if there is one, else the index */
static int open_folder(MuseWeightFile *w, const MuseLog *log, const char *path, MuseError *err)
{
    char *single = muse_path_beside(w->alloc, path, single_name), *index = muse_path_beside(w->alloc, path, index_name);
    int rc;
    if (!single || !index) rc = MUSE_NOMEM(err, strlen(path));
    else if (muse_path_exists(single)) {
        if (muse_path_exists(index)) muse_log(log, MUSE_LOG_WARN, "%s is read, and %s beside it is not", single, index_name);
        rc = add_safetensors(w, single, err);
        single = NULL;
    } else if (muse_path_exists(index)) rc = open_sharded(w, index, err);
    else rc = no_weights(path, err);
    muse_free(single);
    muse_free(index);
    return rc;
}

static int open_gguf(MuseWeightFile *w, const MuseLog *log, MuseError *err)
{
    const MuseFile *file = &w->parts[0].file;
    w->format = MUSE_WEIGHTS_GGUF;
    int rc = muse_gguf_open(&w->gguf, w->alloc, file->data, file->size, err);
    if (rc == 0) rc = muse_gguf_tensors_read(&w->tensors, &w->gguf, 0, log, err);
    return rc < 0 ? muse_fail_prefix(err, rc, "%s", w->parts[0].path) : 0;
}

static int open_file(MuseWeightFile *w, const MuseLog *log, const char *path, MuseError *err)
{
    const size_t n = strlen(path);
    char *copy = muse_alloc(w->alloc, n + 1);
    if (copy) memcpy(copy, path, n + 1);
    int rc = add_part(w, copy, err);
    if (rc < 0) return rc;
    const MuseFile *file = &w->parts[0].file;
    if (muse_gguf_is(file->data, file->size)) return open_gguf(w, log, err);
    rc = muse_safetensors_read(&w->tensors, file->data, file->size, 0, err);
    return rc < 0 ? muse_fail_prefix(err, rc, "%s", path) : 0;
}

int muse_weights_open(MuseWeightFile *w, const MuseAllocator *a, const MuseLog *log, const char *path, MuseError *err)
{
    *w = (MuseWeightFile){ .alloc = a, .tensors = { .alloc = a } };
    int rc;
    if (muse_path_is_folder(path)) rc = open_folder(w, log, path, err);
    else if (ends_with(path, ".index.json")) rc = open_sharded(w, path, err);
    else rc = open_file(w, log, path, err);
    if (rc < 0) muse_weights_close(w);
    return rc;
}

void muse_weights_close(MuseWeightFile *w)
{
    muse_tensors_clear(&w->tensors);
    if (w->gguf.bytes) muse_gguf_close(&w->gguf);
    for (size_t i = 0; i < w->n_parts; i++) {
        muse_file_close(&w->parts[i].file);
        muse_free(w->parts[i].path);
    }
    muse_free(w->parts);
    *w = (MuseWeightFile){ 0 };
}

const MuseTensor *muse_weights_find(const MuseWeightFile *w, const char *name) { return muse_tensors_find(&w->tensors, name); }
