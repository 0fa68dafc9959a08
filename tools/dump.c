/* SPDX-License-Identifier: Apache-2.0 */
/* .npy files, version 1.0 (NumPy Enhancement Proposal 1): a header of fixed length is written first, its shape when all rows
 * are known. */
#include "tools/dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 128 };   /* a multiple of 64, as the format asks for; its longest contents have 100 */

static void failed(Dump *d, const char *name)
{
    if (d->err.code) return;
    d->err.code = MUSE_ERR_IO;
    snprintf(d->err.text, sizeof d->err.text, "%s/%s.npy: can't write: %s", d->folder, name, strerror(errno));
}

int dump_open(Dump *d, const char *folder, MuseError *err)
{
    *d = (Dump){ .folder = folder };
    if (cli_make_folder(folder)) return 0;
    err->code = MUSE_ERR_IO;
    snprintf(err->text, sizeof err->text, "%s: can't make the folder: %s", folder, strerror(errno));
    return err->code;
}

/* shape: such as "3, 5" or "3," */
static bool write_header(FILE *f, const char *type, const char *shape)
{
    const uint16_t one = 1;
    const char order = *(const uint8_t *)&one ? '<' : '>';
    char head[HEADER];
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);   /* 0x76 = 128 - 10 */
    const int n = snprintf(head + 10, sizeof head - 10, "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }", order, type, shape);
    head[10 + n] = ' ';
    head[HEADER - 1] = '\n';
    return fwrite(head, 1, sizeof head, f) == sizeof head;
}

static FILE *create(Dump *d, const char *name)
{
    char path[4352];
    const int n = snprintf(path, sizeof path, "%s/%s.npy", d->folder, name);
    errno = ENAMETOOLONG;
    FILE *f = n < (int)sizeof path ? fopen(path, "wb") : NULL;
    if (!f) failed(d, name);
    return f;
}

static DumpFile *file_of(Dump *d, const char *stage, size_t width)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->files[i].name, stage) == 0) return &d->files[i];
    DumpFile *more = realloc(d->files, (d->n + 1) * sizeof *more);
    if (!more) {
        failed(d, stage);
        return NULL;
    }
    d->files = more;
    DumpFile *f = &d->files[d->n];
    *f = (DumpFile){ .width = width, .file = create(d, stage) };
    snprintf(f->name, sizeof f->name, "%s", stage);
    if (!f->file) return NULL;
    d->n++;
    if (!write_header(f->file, "f4", "0, 0")) failed(d, stage);
    return f;
}

void dump_stage(void *dump, const char *stage, size_t first, const float *data, size_t rows, size_t width)
{
    Dump *d = dump;
    DumpFile *f = d->err.code ? NULL : file_of(d, stage, width);
    if (!f) return;
    if (first < f->rows) {   /* computed a second time: the end of a picture that a chunk went through */
        if (fseek(f->file, (long)(HEADER + first * width * sizeof *data), SEEK_SET) != 0) failed(d, stage);
        f->rows = first;
    }
    if (fwrite(data, sizeof *data, rows * width, f->file) != rows * width) failed(d, stage);
    f->rows += rows;
}

static void dump_1d(Dump *d, const char *name, const char *type, const void *data, size_t n)
{
    char shape[32];
    snprintf(shape, sizeof shape, "%zu,", n);
    FILE *f = d->err.code ? NULL : create(d, name);
    if (!f) return;
    if (!write_header(f, type, shape) || fwrite(data, 4, n, f) != n) failed(d, name);
    if (fclose(f) != 0) failed(d, name);
}

void dump_ids(Dump *d, const char *name, const int32_t *ids, size_t n) { dump_1d(d, name, "i4", ids, n); }
void dump_row(Dump *d, const char *name, const float *row, size_t width) { dump_1d(d, name, "f4", row, width); }

int dump_close(Dump *d, MuseError *err)
{
    for (size_t i = 0; i < d->n; i++) {
        DumpFile *f = &d->files[i];
        char shape[64];
        snprintf(shape, sizeof shape, "%zu, %zu", f->rows, f->width);
        if (fseek(f->file, 0, SEEK_SET) != 0 || !write_header(f->file, "f4", shape)) failed(d, f->name);
        if (fclose(f->file) != 0) failed(d, f->name);
    }
    free(d->files);
    if (d->err.code) *err = d->err;
    const int rc = d->err.code;
    *d = (Dump){ 0 };
    return rc;
}
