/* SPDX-License-Identifier: Apache-2.0 */
/* Files written through a temporary one beside them: guards against readers and failures of this process, and against a power cut where
 * the caller asks for that (sync). Called by base/bytes.c and the writers of libmuse. */
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *copy_text(const MuseAllocator *a, const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = muse_alloc(a, n);
    if (copy) memcpy(copy, text, n);
    return copy;
}

/* A new file beside target; its name goes to f->temp. The kernel applies the umask. */
static int create_beside(MuseOutFile *f, MuseError *err)
{
    const size_t cap = strlen(f->target) + 64;
    f->temp = muse_alloc(f->alloc, cap);
    if (!f->temp) return MUSE_NOMEM(err, cap);
    for (unsigned i = 0; i < 100; i++) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        snprintf(f->temp, cap, "%s.%lx%x", f->target, (unsigned long)now.tv_nsec ^ (unsigned long)getpid() << 20, i);
        f->fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        f->open = f->fd >= 0;
        if (f->open || errno != EEXIST) break;
    }
    if (f->open) return 0;
    const int rc = muse_fail(err, MUSE_ERR_IO, "%s: can't make a file in its folder: %s", f->path, strerror(errno));
    muse_free(f->temp);
    f->temp = NULL;
    return rc;
}

static int start(MuseOutFile *f, MuseError *err)
{
    struct stat st;
    const bool exists = stat(f->path, &st) == 0;
    if (exists && !S_ISREG(st.st_mode)) {   /* there is nothing to replace */
        f->fd = open(f->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        f->open = f->fd >= 0;
        return f->open ? 0 : muse_fail(err, MUSE_ERR_IO, "%s: can't write: %s", f->path, strerror(errno));
    }
    char *real = exists ? realpath(f->path, NULL) : NULL;   /* through links, so that they stay links */
    f->target = copy_text(f->alloc, real ? real : f->path);
    free(real);
    if (!f->target) return MUSE_NOMEM(err, strlen(f->path) + 1);
    const int rc = create_beside(f, err);
    if (rc == 0 && exists && fchmod(f->fd, st.st_mode & 07777) != 0) return muse_fail(err, MUSE_ERR_IO, "%s: can't write: %s", f->path, strerror(errno));
    return rc;
}

int muse_outfile_open(MuseOutFile *f, const MuseAllocator *a, const char *path, MuseError *err)
{
    *f = (MuseOutFile){ .alloc = a, .path = copy_text(a, path) };
    const int rc = f->path ? start(f, err) : MUSE_NOMEM(err, strlen(path) + 1);
    if (rc < 0) muse_outfile_close(f);
    return rc;
}

int muse_outfile_write(MuseOutFile *f, const void *data, size_t n, MuseError *err)
{
    const uint8_t *at = data;
    while (n > 0) {
        const ssize_t got = write(f->fd, at, n < 1 << 30 ? n : 1 << 30);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return muse_fail(err, MUSE_ERR_IO, "%s: can't write byte %" PRIu64 ": %s", f->path, f->size, strerror(got < 0 ? errno : ENOSPC));
        at += got;
        n -= (size_t)got;
        f->size += (uint64_t)got;
    }
    return 0;
}

static bool make_folder(const char *path)
{
    struct stat st;
    if (mkdir(path, 0777) == 0) return true;
    const int why = errno;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return true;
    errno = why == EEXIST ? ENOTDIR : why;
    return false;
}

/* with those above it; where it fails, text ends with the one that can't be made */
static bool make_folders(char *text)
{
    for (char *slash = strchr(text + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (!make_folder(text)) return false;
        *slash = '/';
    }
    return make_folder(text);
}

int muse_folder_ready(const MuseAllocator *a, const char *path, MuseError *err)
{
    static const char probe[] = "/muse-probe-XXXXXX";
    const size_t n = strlen(path);
    char *text = muse_alloc(a, n + sizeof probe);
    if (!text) return MUSE_NOMEM(err, n + sizeof probe);
    memcpy(text, path, n + 1);
    int rc = 0;
    if (!n || !make_folders(text)) rc = muse_fail(err, MUSE_ERR_IO, "%s: can't make the folder: %s", text, strerror(n ? errno : ENOENT));
    if (rc == 0) memcpy(text + n, probe, sizeof probe);
    if (rc == 0 && (!mkdtemp(text) || rmdir(text) != 0)) rc = muse_fail(err, MUSE_ERR_IO, "%s: can't write in this folder: %s", path, strerror(errno));
    muse_free(text);
    return rc;
}

/* EINVAL, ENOTSUP: this kind of file can't be flushed */
static bool flushed(int fd) { return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP; }

int muse_sync_path(const char *path, MuseError *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const int rc = (fd < 0 && errno == EACCES) || (fd >= 0 && flushed(fd)) ? 0 : muse_fail(err, MUSE_ERR_IO, "%s: can't flush to the disk: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return rc;
}

int muse_outfile_sync_name(MuseOutFile *f, MuseError *err)
{
    if (!f->placed) return 0;
    char *slash = strrchr(f->target, '/');
    if (!slash) return muse_sync_path(".", err);
    if (slash == f->target) return muse_sync_path("/", err);
    *slash = 0;
    const int rc = muse_sync_path(f->target, err);
    *slash = '/';
    return rc;
}

int muse_outfile_finish(MuseOutFile *f, MuseError *err)
{
    const bool kept = !f->sync || !f->temp || flushed(f->fd);
    const int why = errno;
    f->open = false;
    if (close(f->fd) == 0 && kept) return 0;
    return muse_fail(err, MUSE_ERR_IO, "%s: can't write: %s", f->path, strerror(kept ? errno : why));
}

int muse_outfile_commit(MuseOutFile *f, MuseError *err)
{
    const int rc = f->open ? muse_outfile_finish(f, err) : 0;
    if (rc < 0) return rc;
    if (f->temp && rename(f->temp, f->target) != 0) return muse_fail(err, MUSE_ERR_IO, "%s: can't write: %s", f->path, strerror(errno));
    f->placed = f->temp != NULL;
    muse_free(f->temp);
    f->temp = NULL;
    return 0;
}

void muse_outfile_take_back(MuseOutFile *f)
{
    if (f->placed) unlink(f->target);
    f->placed = false;
}

void muse_outfile_close(MuseOutFile *f)
{
    if (f->open) close(f->fd);
    if (f->temp) unlink(f->temp);
    muse_free(f->temp);
    muse_free(f->target);
    muse_free(f->path);
    *f = (MuseOutFile){ 0 };
}
