/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a segment of text before it is cut: Unicode forms, replacements, a prefix.
 * Users: encode.c, json_parts.c, gguf_tokenizer.c. */
#ifndef TOKENIZERS_TEXT_NORMALIZE_H
#define TOKENIZERS_TEXT_NORMALIZE_H

#include "tokenizers/text/pattern.h"

enum { MUSE_NORM_STEPS_MAX = 16 };

typedef enum MuseNormKind { MUSE_NORM_FORM, MUSE_NORM_REPLACE, MUSE_NORM_PREPEND } MuseNormKind;

typedef struct MuseNormStep {
    MuseNormKind kind;
    bool         compose, compat;   /* FORM: NFC is compose, NFD neither, NFKC both, NFKD compat */
    MusePattern  pattern;           /* REPLACE */
    uint8_t     *text;              /* REPLACE: the new text; PREPEND: the prefix */
    size_t       n_text;
} MuseNormStep;

typedef struct MuseNorm {
    MuseNormStep steps[MUSE_NORM_STEPS_MAX];
    unsigned     n;
} MuseNorm;

/* Working memory of one thread; zeros and an allocator to start. */
typedef struct MuseNormWork {
    MuseBuf  a, b;       /* text before and after a step */
    int32_t *points;     /* code points of a stretch */
    size_t   n_points, cap_points;
} MuseNormWork;

/* Add a step; text (n > 0 but for REPLACE) is copied. 0; MUSE_ERR_UNSUPPORTED: too many; MUSE_ERR_NOMEM */
int  muse_norm_add(MuseNorm *norm, const MuseAllocator *a, MuseNormKind kind, const char *text, size_t n, MuseNormStep **step, MuseError *err);
void muse_norm_close(MuseNorm *norm);

/* Run all steps over s. *out is s itself when nothing changed, else lives in work until the next call. Bytes that are not
 * UTF-8 pass through. 0; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT: a pattern takes too many steps */
int  muse_norm_run(const MuseNorm *norm, MuseNormWork *work, MuseMatcher *m, const uint8_t *s, size_t n, const uint8_t **out, size_t *n_out);
void muse_norm_work_close(MuseNormWork *work);

#endif
