/* SPDX-License-Identifier: Apache-2.0 */
/* The converter from the inside: a job, the plan of tensors to write, and what the files of this folder do for it. */
#ifndef LIBMUSE_CONVERT_CONVERT_H
#define LIBMUSE_CONVERT_CONVERT_H

#include "base/status.h"
#include "libmuse/io/weights_write.h"
#include "libmuse/model/model.h"
#include "muse/convert.h"
#include "ops/quant.h"

typedef struct MuseJob {
    MuseRuntime *rt;
    MuseModel   *model;
    const char  *in, *out;
    MuseConvertParams params;
    MuseWeightType type;
    bool         from_gguf, to_gguf;
    uint64_t     done, total;      /* bytes read */
    MuseConvertInfo info;
    MuseError   *err;
} MuseJob;

/* Where row r of the output lies in the input. */
typedef enum MuseRowMap {
    MUSE_ROWS_SAME,
    MUSE_ROWS_PERMUTE,             /* heads of `n` rows: row 2j + t is row t n/2 + j (Llama spec 3) */
    MUSE_ROWS_RESTORE,             /* the way back */
    MUSE_ROWS_SPLIT,               /* [n, 2, E] to [2, n, E] (Gemma spec 8.2) */
    MUSE_ROWS_JOIN                 /* the way back */
} MuseRowMap;

typedef struct MusePlanItem {
    const MuseTensor *from;
    MuseRowMap        rows;
    uint32_t          n;           /* see MuseRowMap */
    const uint32_t   *columns;     /* value i of a row is value columns[i] of the input's; NULL: the same */
} MusePlanItem;

/* What one file or folder gets: out.items[i] is made of items[i]. Start with zeros and an allocator in out.alloc. */
typedef struct MusePlan {
    MuseTensors   out;
    MusePlanItem *items;
    size_t        cap;
    uint32_t     *columns;         /* of patches; owned */
    MuseTensor    made;            /* rope_freqs, which no input holds; its values are owned */
} MusePlan;

void muse_plan_clear(MusePlan *p);
/* plan.c: tensors kept by name, for the same container; or renamed by role. media: NULL = all in one (a folder). */
int muse_plan_keep(MuseJob *job, MusePlan *p);
int muse_plan_by_role(MuseJob *job, MusePlan *p, MusePlan *media);
/* stream.c: all tensors of the plan through the writer */
int muse_plan_stream(MuseJob *job, const MusePlan *p, MuseWeightWriter *w);

/* convert.c: MUSE_ERR_ARG if path is a file that is read, since the input is mapped while the output is written */
int muse_job_check_output(const MuseJob *job, const char *path);
/* to_gguf.c, to_folder.c */
int muse_job_to_gguf(MuseJob *job);
int muse_job_to_folder(MuseJob *job);

/* gguf_meta.c: keys of a text model and of a projector file; gguf_vocab.c: keys of the tokenizer in the input's folder */
int muse_meta_model(MuseJob *job, MuseGgufMeta *m);
int muse_meta_mmproj(MuseJob *job, MuseGgufMeta *m);
int muse_meta_vocab(MuseJob *job, MuseGgufMeta *m);
uint32_t muse_gguf_file_type(MuseWeightType type);

/* JSON under construction: after the first failure the rest does nothing. */
typedef struct MuseText {
    MuseBuf b;
    int     rc;
} MuseText;

void muse_text_put(MuseText *t, const char *fmt, ...) MUSE_PRINTF(2, 3);   /* up to 500 bytes */
void muse_text_string(MuseText *t, const char *text, size_t n);   /* quoted */

/* folder_config.c, folder_vocab.c: the JSON files of a folder from a GGUF model */
int muse_folder_config(MuseJob *job, MuseText *config, MuseText *generation);
int muse_folder_vocab(MuseJob *job, MuseText *tokenizer, MuseText *config);

/* rope.c: divisors of the llama3 rule (Llama spec 3), n = half a head; and back: false if no published setting gives these. */
void muse_llama3_divisors(const MuseRope *rope, float *divisors, uint32_t n);
bool muse_llama3_find(MuseRope *rope, const float *divisors, uint32_t n);

#endif
