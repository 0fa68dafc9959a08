/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer's state. Users: train.c, which fills it, and train_json.c, which writes it down. */
#ifndef TOKENIZERS_TEXT_TRAIN_H
#define TOKENIZERS_TEXT_TRAIN_H

#include "muse/text.h"
#include "ops/runtime.h"
#include "tokenizers/text/pretok.h"
#include "tokenizers/text/textcore.h"
#include "tokenizers/text/classes.h"

typedef struct Word {        /* a distinct pre-token */
    const uint8_t *text;     /* in the caller's texts */
    uint64_t hash, count;
    size_t   at;             /* its symbols in ids */
    uint32_t len;            /* bytes, then symbols */
} Word;

typedef struct Pair {
    uint64_t  count;
    uint32_t *words;         /* that held it at some time, perhaps no more; no word twice in a row */
    uint32_t  left, right, n_words, cap_words;
    bool      touched;       /* on the list of those to queue */
} Pair;

typedef struct HeapItem { uint64_t count; uint32_t pair; } HeapItem;
typedef struct Symbol { uint32_t at, len; } Symbol;   /* bytes in pool; none for added tokens */

typedef struct Trainer {
    const MuseAllocator *alloc;
    MuseError *err;
    MuseTextTrainParams params;
    uint64_t   min_count;
    MusePretok pretok;
    const char *pattern;     /* the regular expression */
    bool       digits;       /* smollm: each digit alone first */
    Word      *words;
    size_t     n_words, cap_words;
    uint32_t  *word_slots;
    size_t     n_word_slots;
    uint32_t  *ids;          /* symbols of all words */
    Pair      *pairs;
    size_t     n_pairs;
    uint32_t  *pair_slots;
    size_t     n_pair_slots;
    HeapItem  *heap;
    size_t     n_heap, cap_heap;
    Symbol    *symbols;      /* [vocab_size] by id */
    uint32_t   n_symbols;
    uint32_t  *symbol_slots;
    size_t     n_symbol_slots;
    uint32_t   byte_id[256];
    MuseBuf    touched, pool, merges;   /* merges: pairs of uint32_t */
} Trainer;

/* The complete tokenizer.json, terminated. 0 or MUSE_ERR_NOMEM */
int muse_train_json(Trainer *t, char **json, size_t *n_json);

#endif
