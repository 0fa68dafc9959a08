/* SPDX-License-Identifier: Apache-2.0 */
/* Stages of a computation as .npy files, for comparison with a reference. Users: run.c. */
#ifndef TOOLS_DUMP_H
#define TOOLS_DUMP_H

#include "tools/cli.h"

typedef struct DumpFile {
    char   name[64];
    FILE  *file;
    size_t rows, width;
} DumpFile;

typedef struct Dump {
    const char *folder;
    DumpFile   *files;
    size_t      n;
    MuseError   err;      /* code 0: nothing went wrong so far */
} Dump;

int  dump_open(Dump *d, const char *folder, MuseError *err);   /* makes the folder if it is missing */
/* A MuseStageSeenFn with a Dump as user: rows that come in chunks are joined. What fails shows in dump_close(). */
void dump_stage(void *dump, const char *stage, size_t first, const float *data, size_t rows, size_t width);
void dump_ids(Dump *d, const char *name, const int32_t *ids, size_t n);    /* [n] i32 */
void dump_row(Dump *d, const char *name, const float *row, size_t width);  /* [width] f32 */
int  dump_close(Dump *d, MuseError *err);                      /* the first error, also of writing; d is empty then */

#endif
