/* SPDX-License-Identifier: Apache-2.0 */
/* The file of clips: reading, finding, writing. Their sound: clips_render.c. See clips.h. */
#include "tools/nano/clips.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* little-endian: magic, version, values a column, clips, bytes of texts; a row a clip; texts; columns */
static const char magic[8] = "MUSECLIP";
enum { VERSION = 1, HEAD = 24, ROW = 16 };

static int fail(MuseError *err, int code, const char *what, const char *path)
{
    if (err) {
        err->code = code;
        snprintf(err->text, sizeof err->text, "%s: %s", path, what);
    }
    return code;
}

static uint32_t u32(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint64_t u64(const uint8_t *p) { return u32(p) | (uint64_t)u32(p + 4) << 32; }

/* ---- keys ---- */

static size_t replace(char *key, size_t n, const char *what, const char *by)
{
    const size_t a = strlen(what), b = strlen(by);   /* never longer */
    for (char *at = key; (at = strstr(at, what)); at += b) {
        memcpy(at, by, b);
        memmove(at + b, at + a, strlen(at + a) + 1);
        n -= a - b;
    }
    return n;
}

int nano_clip_key(const char *text, size_t n, char *key)
{
    while (n && *text == ' ') text++, n--;
    while (n && strchr(" .?!", text[n - 1])) n--;
    if (n == 0 || n > NANO_CLIP_TEXT_MAX || memchr(text, 0, n)) return 0;
    for (size_t i = 0; i < n; i++) key[i] = (char)tolower((unsigned char)text[i]);
    key[n] = 0;
    replace(key, replace(key, n, "grey", "gray"), "colour", "color");
    return 1;
}

static int order(const NanoClip *c, const char *key)
{
    char own[NANO_CLIP_TEXT_MAX + 1];
    return nano_clip_key(c->text, strlen(c->text), own) ? strcmp(own, key) : -1;
}

static size_t first_from(const NanoClips *c, const char *key, int above)
{
    size_t low = 0, high = c->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (order(&c->clips[middle], key) < above) low = middle + 1;
        else high = middle;
    }
    return low;
}

size_t nano_clips_find(const NanoClips *c, const char *text, size_t n_text, size_t *first)
{
    char key[NANO_CLIP_TEXT_MAX + 1];
    *first = 0;
    if (!nano_clip_key(text, n_text, key)) return 0;
    *first = first_from(c, key, 0);
    return first_from(c, key, 1) - *first;
}

/* ---- reading ---- */

static const char *check_clip(const NanoClip *c)
{
    char key[NANO_CLIP_TEXT_MAX + 1];
    if (!nano_clip_key(c->text, strlen(c->text), key)) return "a text that can't be said";
    for (uint32_t i = 0; i < c->n; i++)
        if (c->columns[(size_t)i * NANO_CLIP_COLUMN + NANO_CLIP_BINS] >= NANO_PHONES) return "a class of sound that there is not";
    return NULL;
}

/* every row lies inside the file, and the keys ascend */
static const char *read_rows(NanoClips *c, uint32_t text_bytes)
{
    const uint8_t *rows = c->map + HEAD;
    const char *texts = (const char *)rows + c->n * ROW, *bad = NULL;
    for (size_t i = 0; i < c->n && !bad; i++, rows += ROW) {
        const uint64_t at = u64(rows);
        const uint32_t n = u32(rows + 8), text = u32(rows + 12);
        if (n == 0 || n > NANO_CLIP_COLUMNS_MAX || at > c->size || c->size - at < (uint64_t)n * NANO_CLIP_COLUMN) return "a clip outside the file";
        if (text >= text_bytes) return "a text outside the file";
        c->clips[i] = (NanoClip){ texts + text, c->map + at, n };
        char key[NANO_CLIP_TEXT_MAX + 1];
        bad = check_clip(&c->clips[i]);
        if (!bad && i && nano_clip_key(c->clips[i].text, strlen(c->clips[i].text), key) && order(&c->clips[i - 1], key) > 0) bad = "texts that are not in order";
    }
    return bad;
}

static int read_file(NanoClips *c, const char *path, MuseError *err)
{
    const uint8_t *p = c->map;
    if (c->size < HEAD || memcmp(p, magic, sizeof magic) != 0) return fail(err, MUSE_ERR_FORMAT, "not a file of clips", path);
    if (u32(p + 8) != VERSION || u32(p + 12) != NANO_CLIP_BINS) return fail(err, MUSE_ERR_FORMAT, "clips of another version, or of other columns", path);
    const uint64_t n = u32(p + 16), text_bytes = u32(p + 20), before = HEAD + n * ROW + text_bytes;
    if (n == 0 || before > c->size) return fail(err, MUSE_ERR_FORMAT, "no clips, or fewer than it says", path);
    if (text_bytes == 0 || p[before - 1] != 0) return fail(err, MUSE_ERR_FORMAT, "texts that do not end", path);
    c->n = (size_t)n;
    c->clips = calloc(c->n, sizeof *c->clips);
    if (!c->clips) return fail(err, MUSE_ERR_NOMEM, "no memory for its clips", path);
    const char *bad = read_rows(c, (uint32_t)text_bytes);
    for (int i = 0; i < 256; i++) c->chance[i] = -logf(1 - ((float)i + 0.5f) / 256);
    return bad ? fail(err, MUSE_ERR_FORMAT, bad, path) : 0;
}

int nano_clips_open_memory(NanoClips *c, const void *bytes, size_t size, MuseError *err)
{
    *c = (NanoClips){ .map = bytes, .size = size };
    const int rc = read_file(c, "clips", err);
    c->map = NULL;   /* not ours to unmap */
    if (rc < 0) nano_clips_close(c);
    return rc;
}

int nano_clips_open(NanoClips *c, const char *path, MuseError *err)
{
    struct stat st;
    *c = (NanoClips){ 0 };
    const int fd = open(path, O_RDONLY);
    const int good = fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0;
    void *map = good ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (map == MAP_FAILED) fail(err, MUSE_ERR_IO, good || fd < 0 ? strerror(errno) : "empty, or no file", path);
    if (fd >= 0) close(fd);
    if (map == MAP_FAILED) return MUSE_ERR_IO;
    c->map = map;
    c->size = (size_t)st.st_size;
    const int rc = read_file(c, path, err);
    if (rc < 0) nano_clips_close(c);
    return rc;
}

void nano_clips_close(NanoClips *c)
{
    void *map;
    memcpy(&map, &c->map, sizeof map);
    if (map) munmap(map, c->size);
    free(c->clips);
    *c = (NanoClips){ 0 };
}

/* ---- writing ---- */

static int by_key(const void *a, const void *b)
{
    const NanoClip *x = a, *y = b;
    char key[NANO_CLIP_TEXT_MAX + 1] = "";
    nano_clip_key(y->text, strlen(y->text), key);
    const int by_text = order(x, key);
    if (by_text) return by_text;
    if (x->n != y->n) return (x->n > y->n) - (x->n < y->n);   /* of contents alone, so that the file is the same wherever they lie */
    const int by_sound = memcmp(x->columns, y->columns, (size_t)x->n * NANO_CLIP_COLUMN);
    return by_sound ? by_sound : strcmp(x->text, y->text);
}

static void put(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(v >> 8 * i);
}

static int write_all(FILE *f, const NanoClip *clips, size_t n, size_t text_bytes)
{
    uint8_t head[HEAD];
    uint64_t at = HEAD + (uint64_t)n * ROW + text_bytes, text = 0;
    memcpy(head, magic, sizeof magic);
    put(head + 8, VERSION, 4), put(head + 12, NANO_CLIP_BINS, 4), put(head + 16, n, 4), put(head + 20, text_bytes, 4);
    int good = fwrite(head, sizeof head, 1, f) == 1;
    for (size_t i = 0; i < n && good; i++) {
        uint8_t row[ROW];
        put(row, at, 8), put(row + 8, clips[i].n, 4), put(row + 12, text, 4);
        at += (uint64_t)clips[i].n * NANO_CLIP_COLUMN, text += strlen(clips[i].text) + 1;
        good = fwrite(row, sizeof row, 1, f) == 1;
    }
    for (size_t i = 0; i < n && good; i++) good = fwrite(clips[i].text, strlen(clips[i].text) + 1, 1, f) == 1;
    for (size_t i = 0; i < n && good; i++) good = fwrite(clips[i].columns, NANO_CLIP_COLUMN, clips[i].n, f) == clips[i].n;
    return good;
}

int nano_clips_write(const char *path, NanoClip *clips, size_t n, MuseError *err)
{
    size_t text_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (clips[i].n == 0 || clips[i].n > NANO_CLIP_COLUMNS_MAX || check_clip(&clips[i])) return fail(err, MUSE_ERR_LIMIT, "a clip that is empty, too long, or says nothing", clips[i].text);
        text_bytes += strlen(clips[i].text) + 1;
    }
    if (n == 0 || n > UINT32_MAX || text_bytes > UINT32_MAX) return fail(err, MUSE_ERR_LIMIT, "no clips, or too many", path);
    qsort(clips, n, sizeof *clips, by_key);
    FILE *f = fopen(path, "wb");
    if (!f) return fail(err, MUSE_ERR_IO, strerror(errno), path);
    int good = write_all(f, clips, n, text_bytes);
    good = fclose(f) == 0 && good;
    return good ? 0 : fail(err, MUSE_ERR_IO, "can't write", path);
}
