/* SPDX-License-Identifier: Apache-2.0 */
/* A file that is written piece by piece and appears whole or not at all. Folders to put them in. Users: muse_file_write(), writers of weights, training. */
#ifndef BASE_OUTFILE_H
#define BASE_OUTFILE_H

#include "base/alloc.h"
#include "base/status.h"

/* Start with zeros. */
typedef struct MuseOutFile {
    const MuseAllocator *alloc;
    char    *path;      /* as given */
    char    *target;    /* what is replaced: path, or where a link leads */
    char    *temp;      /* the temporary file beside target; NULL: a device or pipe, written to as it comes */
    int      fd;
    bool     open, placed;   /* placed: target is this file */
    bool     sync;      /* set after open: finish waits for the disk, so that a power cut after commit leaves the old file or all of this one */
    uint64_t size;      /* bytes written */
} MuseOutFile;

/* Begin. The mode of a file that is replaced is kept, and links stay links. 0; MUSE_ERR_IO; MUSE_ERR_NOMEM. */
int muse_outfile_open(MuseOutFile *f, const MuseAllocator *a, const char *path, MuseError *err);
/* 0; MUSE_ERR_IO with path, byte and cause (a full disk) */
int muse_outfile_write(MuseOutFile *f, const void *data, size_t n, MuseError *err);
/* All is written: gives the descriptor back; only commit or close may follow. 0; MUSE_ERR_IO. */
int muse_outfile_finish(MuseOutFile *f, MuseError *err);
/* Put it in place, finished or not. 0; MUSE_ERR_IO. Close after it, whatever it returned. */
int muse_outfile_commit(MuseOutFile *f, MuseError *err);
/* After a commit: the name is on the disk too. 0; MUSE_ERR_IO: the file is in place all the same. */
int muse_outfile_sync_name(MuseOutFile *f, MuseError *err);
/* A folder to write in: made where it is missing, its parents too, and tried, so that nobody learns after hours of work that it
 * can't be. 0; MUSE_ERR_IO with the path and what is wrong; MUSE_ERR_NOMEM. */
int muse_folder_ready(const MuseAllocator *a, const char *path, MuseError *err);
/* What was written to this file, or made, renamed and removed in this folder, is on the disk. Does nothing where the file system
 * knows no such thing or the folder may not be read. */
int muse_sync_path(const char *path, MuseError *err);
/* Removes what was committed, if anything was: the file belongs to others that could not be written. What it replaced is lost. */
void muse_outfile_take_back(MuseOutFile *f);
/* Without a commit before, nothing is left of it. Accepts a zeroed or closed one. */
void muse_outfile_close(MuseOutFile *f);

#endif
