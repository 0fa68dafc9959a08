/* SPDX-License-Identifier: Apache-2.0 */
/* base/: memory, arenas, bytes, JSON, number types, status, threads. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/dtype.h"
#include "base/fence.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/params.h"
#include "base/slab.h"
#include "base/thread.h"
#include "muse/muse.h"
#include "tests/unit/meter.h"

static void test_alloc(void **state)
{
    (void)state;
    Meter c = { 0 };
    const MuseAllocator a = meter_allocator(&c);
    for (size_t size = 1; size < 300; size++) {
        uint8_t *p = muse_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % MUSE_ALIGN, 0);
        assert_int_equal(muse_alloc_size(p), size);
        memset(p, (int)size, size);
        p = muse_realloc(&a, p, size + 77);
        for (size_t i = 0; i < size; i++) assert_int_equal(p[i], (uint8_t)size);
        muse_free(p);
    }
    assert_int_equal(c.live, 0);
    assert_null(muse_alloc(&a, 0));
    assert_null(muse_alloc(&a, SIZE_MAX));
    assert_null(muse_alloc_array(&a, SIZE_MAX / 2, 3));
    assert_null(muse_alloc_array(&a, 1ull << 33, 1ull << 33));
    muse_free(NULL);
    c.fail_at = c.calls + 1;
    assert_null(muse_alloc(&a, 8));
}

static void test_buf(void **state)
{
    (void)state;
    Meter c = { 0 };
    const MuseAllocator a = meter_allocator(&c);
    MuseBuf b = { .alloc = &a };
    for (int i = 0; i < 10000; i++) assert_int_equal(muse_buf_append(&b, &i, sizeof i), 0);
    for (int i = 0; i < 10000; i++) assert_int_equal(((int *)(void *)b.data)[i], i);
    c.fail_at = c.calls + 1;
    const size_t len = b.len;
    assert_int_equal(muse_buf_reserve(&b, 1 << 20), MUSE_ERR_NOMEM);
    assert_int_equal(b.len, len);
    assert_int_equal(muse_buf_reserve(&b, SIZE_MAX), MUSE_ERR_NOMEM);
    muse_buf_clear(&b);
    assert_int_equal(c.live, 0);
}

static void test_arena(void **state)
{
    (void)state;
    MuseArenaPlan plan = { 0 };
    muse_arena_plan(&plan, 100, sizeof(float));
    muse_arena_plan(&plan, 3, 1);
    muse_arena_plan(&plan, 0, 8);
    MuseArena arena;
    assert_int_equal(muse_arena_open(&arena, NULL, &plan), 0);
    float *x = muse_arena_take(&arena, 100, sizeof(float));
    const size_t mark = muse_arena_mark(&arena);
    char *y = muse_arena_take(&arena, 3, 1);
    assert_int_equal((uintptr_t)x % MUSE_ALIGN, 0);
    assert_int_equal((uintptr_t)y % MUSE_ALIGN, 0);
    assert_true((uint8_t *)y >= (uint8_t *)(x + 100));
    memset(x, 1, 400);
    memset(y, 1, 3);
    assert_non_null(muse_arena_take(&arena, 0, 8));
    muse_arena_reset(&arena, mark);
    assert_ptr_equal(muse_arena_take(&arena, 3, 1), y);
    assert_true(arena.peak <= arena.cap);
    muse_arena_close(&arena);
    MuseArenaPlan huge = { 0 };
    muse_arena_plan(&huge, SIZE_MAX / 4, 8);
    assert_int_equal(muse_arena_open(&arena, NULL, &huge), MUSE_ERR_NOMEM);
    MuseArenaPlan sum = { 0 };
    muse_arena_plan(&sum, SIZE_MAX / 2, 1);
    muse_arena_plan(&sum, SIZE_MAX / 2, 1);
    muse_arena_plan(&sum, SIZE_MAX / 2, 1);
    assert_true(sum.overflow);
}

/* from a slab that is there, else from a new one */
static MuseSlabItem *slab_item(MuseSlabs *s, bool *fresh)
{
    MuseSlabItem *item = muse_slab_take(s, fresh);
    if (item) return item;
    MuseSlab *slab = muse_slab_new(s, muse_slabs_next(s));
    if (!slab) return NULL;
    muse_slabs_add(s, slab);
    return muse_slab_take(s, fresh);
}

/* free items, at least n of them, to the allocator */
static void release(MuseSlabs *s, size_t n)
{
    MuseSlab *gone = NULL;
    muse_slabs_release(s, n, &gone);
    muse_slab_free(gone);
}

/* items of 1 MiB: growth, contents left alone, the oldest slab first, what goes back when, memory that ends */
static void test_slabs(void **state)
{
    (void)state;
    enum { N = 150, ITEM = 1 << 20 };
    Meter c = { 0 };
    const MuseAllocator a = meter_allocator(&c);
    MuseSlabs s = { .alloc = &a, .item_bytes = ITEM };
    MuseSlabItem *item[N];
    bool fresh;
    for (size_t i = 0; i < N; i++) {
        const size_t before = s.items;
        item[i] = slab_item(&s, &fresh);
        assert_non_null(item[i]);
        assert_true(fresh);
        assert_int_equal((uintptr_t)item[i] % MUSE_ALIGN, 0);
        memset(item[i] + 1, (int)i, ITEM - sizeof *item[i]);
        assert_true(s.items - before <= 32 && s.items <= (i + 1) + (i + 1) / 2 + 1);   /* never half more than is used */
        if (i < 3) assert_int_equal(s.items, i + 1);
        assert_true(c.live < (s.items + 1) * ITEM);   /* and no more than that is asked for */
    }
    assert_true(c.calls < 20);
    for (size_t i = 0; i < N; i++)
        for (size_t at = sizeof *item[i]; at < ITEM; at += 4096) assert_int_equal(((uint8_t *)item[i])[at], (uint8_t)i);
    assert_int_equal(s.used, N);
    /* kept, given out again as it was; the oldest first */
    muse_slab_give(&s, item[140]);
    muse_slab_give(&s, item[2]);
    assert_ptr_equal(slab_item(&s, &fresh), item[2]);
    assert_false(fresh);
    assert_int_equal(((uint8_t *)item[2])[ITEM - 1], 2);
    assert_ptr_equal(slab_item(&s, &fresh), item[140]);
    /* empty slabs go back when they are told to, not more than are wanted, the youngest first */
    const size_t live = c.live, all = s.items;
    muse_slab_give(&s, item[N - 1]);
    release(&s, 5);
    assert_int_equal(c.live, live);
    for (size_t i = 0; i < 3; i++) muse_slab_give(&s, item[i]);
    release(&s, 0);
    assert_int_equal(s.items, all);
    release(&s, 1);
    assert_int_equal(s.items, all - 1);
    assert_true(c.live < live - ITEM && c.live > live - 2 * ITEM);
    assert_ptr_equal(slab_item(&s, &fresh), item[0]);   /* so it was the one of item[2] */
    muse_slab_give(&s, item[0]);
    release(&s, 100);
    assert_int_equal(s.items, all - 3);
    assert_int_equal(s.empty, 0);
    /* not even one; then only one */
    while (s.used < s.items) assert_non_null(slab_item(&s, &fresh));
    c.fail_from = c.calls + 1;
    assert_null(slab_item(&s, &fresh));
    c.fail_from = 0;
    c.fail_at = c.calls + 1;
    const size_t items = s.items;
    assert_non_null(slab_item(&s, &fresh));
    assert_int_equal(s.items, items + 1);
    muse_slabs_clear(&s);
    assert_int_equal(c.live, 0);
    assert_int_equal(s.items, 0);
}

/* under ASan what nobody has is fenced, and what lies behind an item; given out again it is not */
static void test_slab_fences(void **state)
{
    (void)state;
    enum { N = 20, ITEM = 192 };
    MuseSlabs s = { .item_bytes = ITEM };
    bool fresh;
    uint8_t *item[N];
    if (!MUSE_RED_ZONE) skip();
    for (size_t i = 0; i < N; i++) {
        item[i] = (uint8_t *)slab_item(&s, &fresh);
        for (size_t k = 0; k < ITEM; k++) assert_false(muse_fenced(item[i] + k));
        assert_true(muse_fenced(item[i] + ITEM) && muse_fenced(item[i] + ITEM + MUSE_RED_ZONE - 1));
    }
    while (s.used < s.items) slab_item(&s, &fresh);
    const uint8_t *first = (uint8_t *)slab_item(&s, &fresh);   /* of a new slab */
    assert_true(s.items > s.used && muse_fenced(first + ITEM + MUSE_RED_ZONE));
    for (size_t i = 0; i < N; i++) {
        muse_slab_give(&s, (MuseSlabItem *)(void *)item[i]);
        for (size_t k = 0; k < ITEM; k++) assert_true(muse_fenced(item[i] + k));
    }
    for (size_t i = 0; i < N; i++) {
        uint8_t *again = (uint8_t *)slab_item(&s, &fresh);
        assert_false(fresh);
        for (size_t k = 0; k < ITEM; k++) assert_false(muse_fenced(again + k));
    }
    muse_slabs_clear(&s);
}

static void test_bytes(void **state)
{
    (void)state;
    const uint8_t data[] = { 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x80, 0x3f };
    MuseBytes b = muse_bytes(data, sizeof data);
    assert_int_equal(muse_bytes_u16le(&b), 0x0201);
    assert_int_equal(muse_bytes_u16be(&b), 0x0304);
    assert_int_equal(muse_bytes_u32be(&b), 0x05060708);
    assert_true(muse_bytes_f32le(&b) == 1.0f);
    assert_false(b.failed);
    assert_int_equal(muse_bytes_u8(&b), 0);
    assert_true(b.failed);
    assert_int_equal(muse_bytes_left(&b), 0);
    b = muse_bytes(data, 8);
    assert_true(muse_bytes_u64le(&b) == 0x0807060504030201ull);
    b = muse_bytes(data, 8);
    assert_null(muse_bytes_take(&b, UINT64_MAX));
    assert_null(muse_bytes_take(&b, 1));
}

static void make_file(char *path)
{
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

static void test_files(void **state)
{
    (void)state;
    char path[] = "/tmp/muse-test-XXXXXX";
    make_file(path);
    MuseError err = { 0 };
    MuseFile f = { 0 };
    assert_int_equal(muse_file_open(&f, path, 10, &err), 0);
    assert_int_equal(f.size, 0);
    muse_file_close(&f);
    assert_int_equal(muse_file_write(path, "hello", 5, &err), 0);
    assert_int_equal(muse_file_open(&f, path, 5, &err), 0);
    assert_memory_equal(f.data, "hello", 5);
    muse_file_close(&f);
    muse_file_close(&f);
    assert_int_equal(muse_file_open(&f, path, 4, &err), MUSE_ERR_LIMIT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(muse_file_open(&f, "/tmp", 4, &err), MUSE_ERR_IO);
    assert_non_null(strstr(err.text, "folder"));
    assert_int_equal(muse_file_open(&f, "/nonexistent/x", 4, &err), MUSE_ERR_IO);
    assert_int_equal(muse_file_write("/nonexistent/x", "a", 1, &err), MUSE_ERR_IO);
    assert_non_null(strstr(err.text, "/nonexistent/x"));
    unlink(path);
}

/* what stands in a clone in place of a large file; a longer file that only begins so is a file */
static void test_lfs_pointer(void **state)
{
    (void)state;
    static char text[1100] = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 10744696\n";
    char path[] = "/tmp/muse-test-XXXXXX";
    make_file(path);
    MuseError err = { 0 };
    MuseFile f = { 0 };
    assert_int_equal(muse_file_write(path, text, strlen(text), &err), 0);
    assert_int_equal(muse_file_open(&f, path, 1 << 20, &err), MUSE_ERR_FORMAT);
    assert_null(f.data);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "Git LFS pointer of 73 bytes"));
    assert_int_equal(muse_file_write(path, text, 20, &err), 0);
    assert_int_equal(muse_file_open(&f, path, 1 << 20, &err), 0);
    muse_file_close(&f);
    assert_int_equal(muse_file_write(path, text, 1024, &err), 0);
    assert_int_equal(muse_file_open(&f, path, 1 << 20, &err), 0);
    muse_file_close(&f);
    unlink(path);
}

/* links stay links, modes stay, devices are written to, pipes and folders are refused at once */
static void test_special_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/muse-test-XXXXXX", real[64], name[64];
    assert_non_null(mkdtemp(folder));
    snprintf(real, sizeof real, "%s/real", folder);
    snprintf(name, sizeof name, "%s/link", folder);
    MuseError err = { 0 };
    struct stat st;
    assert_int_equal(muse_file_write(real, "one", 3, &err), 0);
    assert_int_equal(chmod(real, 0640), 0);
    assert_int_equal(symlink(real, name), 0);
    assert_int_equal(muse_file_write(name, "other", 5, &err), 0);
    assert_int_equal(lstat(name, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(real, &st), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(st.st_mode & 0777, 0640);
    unlink(name);
    assert_int_equal(mkfifo(name, 0600), 0);
    MuseFile f = { 0 };
    assert_int_equal(muse_file_open(&f, name, 10, &err), MUSE_ERR_IO);
    const int reader = open(name, O_RDWR | O_NONBLOCK);
    char byte = 0;
    assert_int_equal(muse_file_write(name, "x", 1, &err), 0);
    assert_true(read(reader, &byte, 1) == 1 && byte == 'x');
    close(reader);
    assert_int_equal(stat(name, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(muse_file_write(folder, "x", 1, &err), MUSE_ERR_IO);
    unlink(name);
    unlink(real);
    assert_int_equal(rmdir(folder), 0);   /* no temporary file was left behind */
}

/* given back before it is put in place; flushed; taken back */
static void test_outfile_steps(void **state)
{
    (void)state;
    char folder[] = "/tmp/muse-test-XXXXXX", path[64], link[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(link, sizeof link, "%s/null", folder);
    MuseError err = { 0 };
    MuseOutFile f;
    const int free_fd = open("/dev/null", O_RDONLY);
    close(free_fd);
    assert_int_equal(muse_outfile_open(&f, NULL, path, &err), 0);
    assert_int_equal(f.fd, free_fd);
    f.sync = true;
    assert_int_equal(muse_outfile_write(&f, "text", 4, &err), 0);
    assert_int_equal(muse_outfile_finish(&f, &err), 0);
    assert_int_equal(fcntl(free_fd, F_GETFD), -1);
    assert_int_equal(access(path, F_OK), -1);
    muse_outfile_take_back(&f);   /* nothing is there yet */
    assert_int_equal(muse_outfile_commit(&f, &err), 0);
    assert_int_equal(muse_outfile_sync_name(&f, &err), 0);
    assert_int_equal(access(path, F_OK), 0);
    muse_outfile_take_back(&f);
    assert_int_equal(access(path, F_OK), -1);
    muse_outfile_close(&f);
    assert_int_equal(symlink("/dev/null", link), 0);   /* has nothing to flush, and is not removed */
    assert_int_equal(muse_outfile_open(&f, NULL, link, &err), 0);
    f.sync = true;
    assert_int_equal(muse_outfile_commit(&f, &err), 0);
    assert_int_equal(muse_outfile_sync_name(&f, &err), 0);
    muse_outfile_take_back(&f);
    muse_outfile_close(&f);
    assert_int_equal(access(link, F_OK), 0);
    assert_int_equal(muse_sync_path(folder, &err), 0);
    unlink(link);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(muse_sync_path(folder, &err), MUSE_ERR_IO);
    assert_non_null(strstr(err.text, folder));
}

/* made with those above it, and tried; nothing is left of the try */
static void test_folder_ready(void **state)
{
    (void)state;
    char folder[] = "/tmp/muse-test-XXXXXX", path[64], file[64];
    MuseError err = { 0 };
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a/b//c/", folder);
    assert_int_equal(muse_folder_ready(NULL, path, &err), 0);
    assert_int_equal(muse_folder_ready(NULL, path, &err), 0);
    assert_int_equal(rmdir(path), 0);   /* empty */
    snprintf(file, sizeof file, "%s/file", folder);
    assert_int_equal(muse_file_write(file, "x", 1, &err), 0);
    snprintf(path, sizeof path, "%s/a/b", folder);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("nowhere", path), 0);
    const char *const bad[][2] = { { "/file", "/file" }, { "/file/below", "/file" }, { "/a/b", "/a/b" }, { "/a/b/c", "/a/b" } };
    for (int i = 0; i < 4; i++) {
        char want[128];
        snprintf(path, sizeof path, "%s%s", folder, bad[i][0]);
        snprintf(want, sizeof want, "%s%s: can't make the folder: Not a directory", folder, bad[i][1]);
        assert_int_equal(muse_folder_ready(NULL, path, &err), MUSE_ERR_IO);
        assert_string_equal(err.text, want);
    }
    assert_int_equal(muse_folder_ready(NULL, "", &err), MUSE_ERR_IO);
    assert_int_equal(muse_folder_ready(NULL, "/proc/self", &err), MUSE_ERR_IO);   /* there, but nothing can be written in it */
    assert_non_null(strstr(err.text, "/proc/self: can't write in this folder"));
    snprintf(path, sizeof path, "rm -r %s", folder);
    assert_int_equal(system(path), 0);
}

/* over 64 MiB a file is mapped */
static void test_mapped_file(void **state)
{
    (void)state;
    char path[] = "/tmp/muse-test-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && ftruncate(fd, 65 << 20) == 0 && pwrite(fd, "end", 3, (65 << 20) - 3) == 3);
    close(fd);
    MuseFile f = { 0 };
    assert_int_equal(muse_file_open(&f, path, 1 << 30, NULL), 0);
    assert_true(f.mapped);
    assert_memory_equal(f.data + f.size - 3, "end", 3);
    muse_file_close(&f);
    unlink(path);
}

/* Every f16 value against ldexp arithmetic, every rounding boundary against the nearest of two neighbours. */
static double f16_value(uint16_t h)
{
    const int e = (h >> 10) & 31, m = h & 1023;
    double v = e ? 1024 + m : m;
    for (int i = e ? e : 1; i < 25; i++) v /= 2;
    for (int i = 25; i < e; i++) v *= 2;
    return h & 0x8000 ? -v : v;
}

static void test_dtype(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        if (((h >> 10) & 31) == 31) continue;
        const float f = muse_f16_f32((MuseF16)h);
        assert_true((double)f == f16_value((uint16_t)h));
        assert_int_equal(muse_f32_f16(f), h);
        if (h & 0x8000 || h >= 0x7bff) continue;
        const double next = f16_value((uint16_t)(h + 1)), middle = ((double)f + next) / 2;
        const MuseF16 even = h & 1 ? (MuseF16)(h + 1) : (MuseF16)h;
        assert_int_equal(muse_f32_f16((float)middle), even);
        assert_int_equal(muse_f32_f16(muse_bits_f32(muse_f32_bits((float)middle) + 1)), h + 1);
        assert_int_equal(muse_f32_f16(muse_bits_f32(muse_f32_bits((float)middle) - 1)), h);
    }
    assert_int_equal(muse_f32_f16(65519.0f), 0x7bff);
    assert_int_equal(muse_f32_f16(65520.0f), 0x7c00);
    assert_int_equal(muse_f32_f16(-1e30f), 0xfc00);
    const float nan = muse_bits_f32(0x7fc00001u), inf = muse_bits_f32(0x7f800000u);
    assert_true(muse_f16_f32(muse_f32_f16(nan)) != muse_f16_f32(muse_f32_f16(nan)));
    assert_true(muse_f16_f32(muse_f32_f16(-inf)) == -inf);
    assert_true(muse_f16_f32(0x7c01) != muse_f16_f32(0x7c01));
    assert_int_equal(muse_f32_bf16(1.0f), 0x3f80);
    assert_int_equal(muse_f32_bf16(muse_bits_f32(0x3f808000u)), 0x3f80);   /* tie to even */
    assert_int_equal(muse_f32_bf16(muse_bits_f32(0x3f818000u)), 0x3f82);
    assert_int_equal(muse_f32_bf16(muse_bits_f32(0x3f808001u)), 0x3f81);
    assert_int_equal(muse_f32_bf16(muse_bits_f32(0x7f7fffffu)), 0x7f80);   /* overflow rounds to infinity */
    assert_true(muse_bf16_f32(muse_f32_bf16(muse_bits_f32(0x7f800001u))) != 0.0f);
    assert_int_equal(muse_f32_bf16(muse_bits_f32(0x7f800001u)) & 0x7f, 0x40);
}

static int parse(MuseJson *doc, const char *text, MuseError *err) { return muse_json_parse(doc, NULL, text, strlen(text), err); }

static void test_json(void **state)
{
    (void)state;
    MuseJson doc;
    MuseError err = { 0 };
    assert_int_equal(parse(&doc, "{\"a\": [1, -2.5, true, null, \"x\\u0000y\", 1e400, 99999999999999999999], \"b\": {\"c\": \"\xc3\xa9\"}, \"a\": 3.0}", &err), 0);
    assert_int_equal(doc.root->len, 3);
    int64_t i;
    assert_true(muse_json_read_i64(muse_json_get(doc.root, "a"), 0, &i));   /* the last one wins */
    assert_int_equal(i, 3);
    const MuseJsonValue *v = doc.root->u.first->u.first;
    assert_int_equal(doc.root->u.first->len, 7);
    assert_int_equal(v->u.integer, 1);
    double d;
    assert_true(muse_json_read_f64(v->next, 0, &d) && d == -2.5);
    assert_false(muse_json_read_i64(v->next, 0, &i));
    bool flag;
    assert_true(muse_json_read_bool(v->next->next, false, &flag) && flag);
    assert_true(muse_json_read_i64(v->next->next->next, 7, &i) && i == 7);
    const MuseJsonValue *s = v->next->next->next->next;
    assert_int_equal(s->len, 3);
    assert_memory_equal(s->u.string, "x\0y", 3);
    assert_int_equal(s->next->next->type, MUSE_JSON_DOUBLE);
    assert_true(muse_json_equal(muse_json_get(muse_json_get(doc.root, "b"), "c"), "\xc3\xa9"));
    assert_null(muse_json_get(v, "a"));
    assert_null(muse_json_get(NULL, "a"));
    muse_json_close(&doc);

    static const char *bad[] = { "", " ", "{", "[1,]", "{\"a\":}", "[1 2]", "nul", "\"\\ud800", "[\"\xff\"]", "1 2", "{1:2}", "\"a\nb\"" };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        const int rc = parse(&doc, bad[k], &err);
        if (rc != MUSE_ERR_FORMAT) print_message("case %zu: %d\n", k, rc);
        assert_int_equal(rc, MUSE_ERR_FORMAT);
        assert_non_null(strstr(err.text, "line"));
    }
    assert_int_equal(parse(&doc, "{\n \"a\": 1,\n x}", &err), MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "line 3"));

    assert_int_equal(muse_json_parse(&doc, NULL, NULL, 0, &err), MUSE_ERR_FORMAT);
    assert_int_equal(parse(&doc, "{\n \"a\": 1,\n \"b\": [1, 2,\n 3", &err), MUSE_ERR_FORMAT);   /* cut short: the end is the place */
    assert_non_null(strstr(err.text, "line 4"));
    char deep[2000];
    memset(deep, '[', sizeof deep);
    assert_int_equal(muse_json_parse(&doc, NULL, deep, sizeof deep, &err), MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "128"));
}

/* a program in a language with a decimal comma */
static void test_json_locale(void **state)
{
    (void)state;
    static const char *commas[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ru_RU.UTF-8" };
    const char *set = NULL;
    for (size_t i = 0; i < sizeof commas / sizeof *commas && !set; i++) set = setlocale(LC_ALL, commas[i]);
    if (!set) skip();   /* none is installed here */
    MuseJson doc;
    double d;
    assert_int_equal(parse(&doc, "[-2.5]", NULL), 0);
    assert_true(muse_json_read_f64(doc.root->u.first, 0, &d) && d == -2.5);
    muse_json_close(&doc);
    assert_string_equal(setlocale(LC_ALL, NULL), set);
    setlocale(LC_ALL, "C");
}

static void test_json_nomem(void **state)
{
    (void)state;
    int rc = MUSE_ERR_NOMEM;
    for (long n = 1; rc == MUSE_ERR_NOMEM; n++) {
        Meter c = { .fail_at = n };
        const MuseAllocator a = meter_allocator(&c);
        MuseJson doc;
        static const char text[] = "{\"a\": [1, \"b\\n\", {\"c\": [[[[2]]]]}]}";
        rc = muse_json_parse(&doc, &a, text, sizeof text - 1, NULL);
        muse_json_close(&doc);
        assert_int_equal(c.live, 0);
        assert_true(rc == 0 || rc == MUSE_ERR_NOMEM);
        assert_true(n < 1000);
    }
}

static void test_json_write(void **state)
{
    (void)state;
    MuseBuf b = { 0 };
    assert_int_equal(muse_json_write_string(&b, "a\"\\\n\x01\x7f\xc3\xa9\xff\xed\xa0\x80", 13 - 1), 0);
    muse_buf_append(&b, "", 1);
    assert_string_equal((char *)b.data, "\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    muse_buf_clear(&b);
}

static void test_hash(void **state)
{
    (void)state;
    /* BLAKE2b-256 of 8 bytes "4" (little-endian length), "test" and "abc": from Python's hashlib */
    static const char want[] = "6392dd08d4c38902";
    MuseHash h;
    uint8_t out[MUSE_HASH_BYTES], again[MUSE_HASH_BYTES];
    muse_hash_init(&h, "test");
    muse_hash_add(&h, "a", 1);
    muse_hash_add(&h, "bc", 2);
    muse_hash_done(&h, out);
    char hex[17];
    for (int i = 0; i < 8; i++) snprintf(hex + 2 * i, 3, "%02x", out[i]);
    assert_string_equal(hex, want);
    muse_hash_init(&h, "tes");
    muse_hash_add(&h, "tabc", 4);
    muse_hash_done(&h, again);
    assert_memory_not_equal(out, again, sizeof out);
}

static void test_status(void **state)
{
    (void)state;
    MuseError err;
    assert_int_equal(muse_fail(&err, MUSE_ERR_FORMAT, "%s:\n%d", "a\tb", 5), MUSE_ERR_FORMAT);
    assert_string_equal(err.text, "a?b:?5");
    assert_int_equal(muse_fail_prefix(&err, err.code, "%s", "file"), MUSE_ERR_FORMAT);
    assert_string_equal(err.text, "file: a?b:?5");
    assert_int_equal(muse_fail(NULL, MUSE_ERR_ARG, "x"), MUSE_ERR_ARG);
    for (int code = MUSE_ERR_NOT_FOUND; code <= MUSE_DONE; code++) assert_string_not_equal(muse_status_name(code), "unknown status");
    assert_string_equal(muse_status_name(MUSE_ERR_LIMIT), "MUSE_ERR_LIMIT");
    assert_string_equal(muse_status_name(-999), "unknown status");
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    muse_fail(&err, MUSE_ERR_ARG, "%s", big);
    assert_int_equal(strlen(err.text), MUSE_ERROR_TEXT - 1);
}

static void test_params(void **state)
{
    (void)state;
    typedef struct Old { size_t struct_size, a; } Old;
    typedef struct New { size_t struct_size, a, b; } New;
    MuseError err;
    New dst;
    const Old old = { sizeof old, 5 };
    assert_int_equal(MUSE_PARAMS_IMPORT(&dst, &old, "P", &err), 0);   /* an older caller */
    assert_int_equal(dst.a, 5);
    assert_int_equal(dst.b, 0);
    Old small;
    New src = { sizeof src, 7, 0 };
    const struct { size_t struct_size, a, b, c, d; } newer = { sizeof newer, 7, 0, 0, 1 }, same = { sizeof same, 7, 0, 0, 0 };
    assert_int_equal(MUSE_PARAMS_IMPORT(&small, &src, "P", &err), 0);
    assert_int_equal(MUSE_PARAMS_IMPORT(&dst, &same, "P", &err), 0);
    assert_int_equal(MUSE_PARAMS_IMPORT(&dst, &newer, "P", &err), MUSE_ERR_UNSUPPORTED);
    src.struct_size = 0;
    assert_int_equal(MUSE_PARAMS_IMPORT(&dst, &src, "P", &err), MUSE_ERR_ARG);
    assert_int_equal(MUSE_PARAMS_IMPORT(&dst, NULL, "P", &err), 0);
    assert_int_equal(dst.struct_size, sizeof dst);
}

typedef struct Marks { uint8_t *at; const MuseTeam *team; int depth; } Marks;

static void mark(void *user, size_t begin, size_t end)
{
    const Marks *m = user;
    if (m->depth) {   /* a region inside a region */
        Marks inner = { m->at + begin, m->team, m->depth - 1 };
        muse_parallel_for(m->team, end - begin, 1, mark, &inner);
        return;
    }
    for (size_t i = begin; i < end; i++) m->at[i]++;
}

static void check_team(const MuseTeam *team)
{
    uint8_t marks[1000];
    for (size_t n = 0; n <= 1000; n += 37) {
        memset(marks, 0, sizeof marks);
        muse_parallel_for(team, n, 1 + n % 7, mark, &(Marks){ marks, team, n % 3 == 0 });
        for (size_t i = 0; i < sizeof marks; i++)
            if (marks[i] != (i < n)) fail_msg("%u threads, n = %zu: %zu was done %u times", team->threads, n, i, marks[i]);
    }
}

static void *check_team_often(void *team)
{
    for (int i = 0; i < 50; i++) check_team(team);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    assert_true(muse_cpu_count() >= 1);
    for (uint32_t threads = 1; threads <= 5; threads++) {
        MuseTeam team = { threads, muse_pool_open(NULL, threads) };
        assert_int_equal(team.pool != NULL, threads > 1);
        check_team(&team);
        nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);   /* workers are asleep now, most likely */
        pthread_t other;
        assert_int_equal(pthread_create(&other, NULL, check_team_often, &team), 0);   /* two callers share a team */
        check_team_often(&team);
        pthread_join(other, NULL);
        muse_pool_close(&team.pool);
        check_team(&team);
    }
}

static void *read_mask(void *mask)
{
    pthread_sigmask(SIG_SETMASK, NULL, mask);
    return NULL;
}

/* what is sent to the process is held back from workers, what their own instructions raise is not */
static void test_worker_signals(void **state)
{
    (void)state;
    pthread_t thread;
    sigset_t in, before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(muse_thread_start(&thread, NULL, read_mask, &in), 0);
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_true(sigismember(&in, SIGINT) && sigismember(&in, SIGTERM) && sigismember(&in, SIGPIPE) && sigismember(&in, SIGCHLD));
    assert_false(sigismember(&in, SIGSEGV) || sigismember(&in, SIGBUS) || sigismember(&in, SIGFPE) || sigismember(&in, SIGILL));
    for (int s = 1; s < SIGRTMIN; s++) assert_int_equal(sigismember(&after, s), sigismember(&before, s));
}

static void remember(void *user, int level, const char *text)
{
    (void)level;
    snprintf(user, 200, "%s", text);
}

static void test_runtime(void **state)
{
    (void)state;
    Meter c = { 0 };
    char line[200] = "";
    MuseError err;
    MuseRuntimeParams p;
    muse_runtime_params_init(&p);
    p.allocator = meter_allocator(&c);
    p.log = remember;
    p.log_user = line;
    p.log_level = MUSE_LOG_INFO;
    p.threads = 3;
    p.cpu_level = MUSE_CPU_C;
    MuseRuntime *rt;
    assert_int_equal(muse_runtime_open(&rt, &p, &err), 0);
    assert_non_null(strstr(line, "3 threads"));
    MuseRuntimeInfo info;
    assert_int_equal(muse_runtime_info(rt, &info), 0);
    assert_int_equal(info.threads, 3);
    assert_string_equal(info.cpu_level_name, "c");
    muse_runtime_close(&rt);
    assert_null(rt);
    assert_int_equal(c.live, 0);
    muse_runtime_close(&rt);
    muse_runtime_close(NULL);
    p.cpu_level = 99;
    assert_int_equal(muse_runtime_open(&rt, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(c.live, 0);
    p.cpu_level = info.cpu_best + 1;
    if (p.cpu_level <= MUSE_CPU_AMX) assert_int_equal(muse_runtime_open(&rt, &p, &err), MUSE_ERR_UNSUPPORTED);
    p.cpu_level = 0;
    p.threads = 1025;
    assert_int_equal(muse_runtime_open(&rt, &p, &err), MUSE_ERR_ARG);
    assert_string_equal(err.text, "threads: 1025, and 1024 are the most");
    p.threads = 3;
    p.allocator.free = NULL;
    assert_int_equal(muse_runtime_open(&rt, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_runtime_open(NULL, NULL, &err), MUSE_ERR_ARG);
    assert_string_equal(muse_version(), "0.1.0");
    assert_int_equal(muse_abi_version(), MUSE_ABI_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc), cmocka_unit_test(test_buf), cmocka_unit_test(test_arena), cmocka_unit_test(test_slabs), cmocka_unit_test(test_slab_fences), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_files), cmocka_unit_test(test_lfs_pointer), cmocka_unit_test(test_special_files), cmocka_unit_test(test_outfile_steps), cmocka_unit_test(test_folder_ready), cmocka_unit_test(test_mapped_file), cmocka_unit_test(test_dtype), cmocka_unit_test(test_json), cmocka_unit_test(test_json_locale), cmocka_unit_test(test_json_nomem),
        cmocka_unit_test(test_json_write), cmocka_unit_test(test_hash), cmocka_unit_test(test_status), cmocka_unit_test(test_params),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_worker_signals), cmocka_unit_test(test_runtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
