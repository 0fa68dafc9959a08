/* SPDX-License-Identifier: Apache-2.0 */
/* Little- and big-endian reads that stop at the end, and whole files in and out. */
#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dtype.h"
#include "base/outfile.h"

static uint64_t read_le(MuseBytes *b, unsigned n)
{
    const uint8_t *p = muse_bytes_take(b, n);
    uint64_t v = 0;
    for (unsigned i = 0; p && i < n; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static uint32_t read_be(MuseBytes *b, unsigned n)
{
    const uint8_t *p = muse_bytes_take(b, n);
    uint32_t v = 0;
    for (unsigned i = 0; p && i < n; i++) v = v << 8 | p[i];
    return v;
}

uint8_t  muse_bytes_u8(MuseBytes *b) { return (uint8_t)read_le(b, 1); }
uint16_t muse_bytes_u16le(MuseBytes *b) { return (uint16_t)read_le(b, 2); }
uint32_t muse_bytes_u32le(MuseBytes *b) { return (uint32_t)read_le(b, 4); }
uint64_t muse_bytes_u64le(MuseBytes *b) { return read_le(b, 8); }
uint16_t muse_bytes_u16be(MuseBytes *b) { return (uint16_t)read_be(b, 2); }
uint32_t muse_bytes_u32be(MuseBytes *b) { return read_be(b, 4); }
float    muse_bytes_f32le(MuseBytes *b) { return muse_bits_f32(muse_bytes_u32le(b)); }

double muse_bytes_f64le(MuseBytes *b)
{
    const uint64_t bits = muse_bytes_u64le(b);
    double d;
    memcpy(&d, &bits, 8);
    return d;
}

/* A mapped file that someone shortens raises SIGBUS at the next read, so only what is too large to copy is mapped. */
enum { MAP_FROM = 64 << 20 };

static int map_file(MuseFile *f, int fd, size_t size, const char *path, MuseError *err)
{
    void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) return muse_fail(err, MUSE_ERR_IO, "%s: can't map: %s", path, strerror(errno));
    f->data = at;
    f->size = size;
    f->mapped = true;
    return 0;
}

static int read_file(MuseFile *f, int fd, size_t size, const char *path, MuseError *err)
{
    uint8_t *data = muse_alloc(f->alloc, size);
    if (!data) return MUSE_NOMEM(err, size);
    for (size_t done = 0; done < size;) {
        const ssize_t n = read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            muse_free(data);
            return muse_fail(err, MUSE_ERR_IO, "%s: can't read byte %zu: %s", path, done, n < 0 ? strerror(errno) : "the file became shorter");
        }
        done += (size_t)n;
    }
    f->data = data;
    f->size = size;
    return 0;
}

/* What a clone without Git LFS has in the place of a large file. Source: git-lfs, docs/spec.md: under 1,024 bytes, this line first. */
static bool is_lfs_pointer(const MuseFile *f)
{
    static const char first[] = "version https://git-lfs.github.com/spec/";
    return f->size < 1024 && f->size >= sizeof first - 1 && memcmp(f->data, first, sizeof first - 1) == 0;
}

int muse_file_open(MuseFile *f, const char *path, uint64_t max_bytes, MuseError *err)
{
    *f = (MuseFile){ .alloc = f->alloc };
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);   /* a pipe without a writer must not hold us up */
    if (fd < 0) return muse_fail(err, MUSE_ERR_IO, "%s: can't open: %s", path, strerror(errno));
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) != 0) {
        rc = muse_fail(err, MUSE_ERR_IO, "%s: can't read its size: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        rc = muse_fail(err, MUSE_ERR_IO, "%s: %s", path, S_ISDIR(st.st_mode) ? "is a folder, not a file" : "is not a regular file");
    } else if ((uint64_t)st.st_size > max_bytes || (uint64_t)st.st_size > SIZE_MAX) {
        rc = muse_fail(err, MUSE_ERR_LIMIT, "%s: %lld bytes, the limit is %llu", path, (long long)st.st_size, (unsigned long long)max_bytes);
    } else if (st.st_size > 0) {
        rc = st.st_size <= MAP_FROM ? read_file(f, fd, (size_t)st.st_size, path, err) : map_file(f, fd, (size_t)st.st_size, path, err);
    }
    close(fd);
    if (rc == 0 && is_lfs_pointer(f)) {
        rc = muse_fail(err, MUSE_ERR_FORMAT, "%s: a Git LFS pointer of %zu bytes, not the file itself: fetch it with `git lfs pull`, or download it", path, f->size);
        muse_file_close(f);
    }
    return rc;
}

void muse_file_close(MuseFile *f)
{
    if (f->mapped) munmap((void *)(uintptr_t)f->data, f->size);
    else muse_free((void *)(uintptr_t)f->data);
    *f = (MuseFile){ .alloc = f->alloc };
}

int muse_file_write(const char *path, const void *data, size_t size, MuseError *err)
{
    MuseOutFile f;
    int rc = muse_outfile_open(&f, NULL, path, err);
    if (rc == 0) rc = muse_outfile_write(&f, data, size, err);
    if (rc == 0) rc = muse_outfile_commit(&f, err);
    muse_outfile_close(&f);
    return rc;
}
