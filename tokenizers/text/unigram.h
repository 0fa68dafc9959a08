/* SPDX-License-Identifier: Apache-2.0 */
/* Unigram segmentation: the pieces with the highest sum of log-probabilities. Users: encode.c, tokenizer_json.c. */
#ifndef TOKENIZERS_TEXT_UNIGRAM_H
#define TOKENIZERS_TEXT_UNIGRAM_H

#include "base/alloc.h"
#include "tokenizers/text/trie.h"

typedef struct MuseUnigram {
    MuseTrie trie;          /* text as written -> id */
    double  *scores;        /* [vocab] */
    double   unk_score;     /* lowest score - 10 */
} MuseUnigram;

typedef struct MuseUnigramNode {
    double   score;         /* of the best path that ends here */
    uint32_t start;         /* where its last piece starts; UINT32_MAX = not reached */
    int32_t  id;            /* of that piece; -1 = a character no piece covers */
} MuseUnigramNode;

typedef struct MuseUnigramWork {
    const MuseAllocator *alloc;
    MuseUnigramNode *nodes;   /* [n + 1] by byte position; after a run, nodes[i].start lead from the end back */
    size_t cap;
} MuseUnigramWork;

/* Best path over s (n up to 2^32 - 2 bytes). The pieces are then read with muse_unigram_next. 0 or MUSE_ERR_NOMEM */
int muse_unigram_run(const MuseUnigram *u, MuseUnigramWork *w, const uint8_t *s, size_t n);
/* Pieces from left to right after a run: *at starts at 0; false when at the end. id -1: no piece covers these bytes. */
bool muse_unigram_next(const MuseUnigramWork *w, size_t n, size_t *at, size_t *len, int32_t *id);
void muse_unigram_close(MuseUnigram *u);

#endif
