/* SPDX-License-Identifier: Apache-2.0 */
/* The table of tokens: text by id and id by text. Users: the text tokenizer's loaders, encoder and decoder. */
#ifndef TOKENIZERS_TEXT_VOCAB_H
#define TOKENIZERS_TEXT_VOCAB_H

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

enum { MUSE_VOCAB_IDS_MAX = 1 << 24 };
enum { MUSE_NO_ID = -1 };

enum {
    MUSE_TOKEN_PRESENT = 1,   /* the id exists */
    MUSE_TOKEN_ADDED   = 2,   /* an added token: matched in the text, never built from pieces */
    MUSE_TOKEN_SPECIAL = 4,   /* an added token that SKIP_SPECIAL leaves out */
    MUSE_TOKEN_BYTE    = 8,   /* <0xHH>: one byte, used only for characters without a token */
    MUSE_TOKEN_LITERAL = 16   /* byte-level: text outside the byte alphabet, stands for itself */
};

/* One entry while loading: text as in the file, borrowed. */
typedef struct MuseVocabItem {
    const char *text;
    uint32_t    len;
    uint8_t     flags;
} MuseVocabItem;

typedef struct MuseVocab {
    const MuseAllocator *alloc;
    uint32_t  n;               /* highest id + 1 */
    uint8_t  *flags;           /* [n] MUSE_TOKEN_ */
    uint8_t  *text;            /* pool: text as written, in id order; NULL in a byte-level vocabulary */
    uint32_t *text_at;         /* [n + 1] */
    uint8_t  *bytes;           /* pool: what a token stands for; may be the same pool */
    uint32_t *bytes_at;        /* [n + 1] */
    uint64_t *slots;           /* open addressing: hash tag << 32 | id + 1; 0 = empty */
    size_t    n_slots;
    int32_t   byte_id[256];    /* the token of one byte, or MUSE_NO_ID */
    int32_t   char_id[128];    /* by-text vocabularies: the token of one ASCII character */
    uint32_t  n_doubles;       /* texts that more than one id has */
} MuseVocab;

/* How a token's text becomes bytes. */
typedef struct MuseVocabRule {
    bool byte_level;           /* the text is in the byte alphabet */
    bool byte_fallback;        /* <0xHH> stands for a byte */
    const struct MuseReplace { const char *from, *to; uint32_t n_from, n_to; } *replace;   /* then these, in order */
    unsigned n_replace;
} MuseVocabRule;

/* items[n] by id. doubles: what a text that two ids have means: refused, or found as the lowest id.
 * 0; MUSE_ERR_FORMAT: a text twice; MUSE_ERR_LIMIT: over 4 GiB of text; MUSE_ERR_NOMEM. Close accepts zeros. */
int  muse_vocab_open(MuseVocab *v, const MuseAllocator *a, const MuseVocabItem *items, uint32_t n, const MuseVocabRule *rule, bool doubles, MuseError *err);
void muse_vocab_close(MuseVocab *v);
size_t muse_vocab_memory(const MuseVocab *v);

/* The id whose encodable text this is, bytes in a byte-level vocabulary, else text as written; MUSE_NO_ID if none. */
int32_t muse_vocab_find(const MuseVocab *v, const uint8_t *key, size_t n);
/* The id of a text as written in the file: one that can be built from pieces, or of whatever kind. */
int32_t muse_vocab_find_piece(const MuseVocab *v, const char *text, size_t n);
int32_t muse_vocab_find_text(const MuseVocab *v, const char *text, size_t n);

static inline const uint8_t *muse_vocab_bytes(const MuseVocab *v, uint32_t id, size_t *n)
{
    *n = v->bytes_at[id + 1] - v->bytes_at[id];
    return v->bytes + v->bytes_at[id];
}

/* what encodable tokens are compared by */
static inline const uint8_t *muse_vocab_key(const MuseVocab *v, uint32_t id, size_t *n)
{
    if (!v->text) return muse_vocab_bytes(v, id, n);
    *n = v->text_at[id + 1] - v->text_at[id];
    return v->text + v->text_at[id];
}

/* A hash of bytes for tables in memory: fast, not for content (base/hash.h). */
static inline uint64_t muse_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);   /* a multiplier for 64-bit mixing: odd, no short patterns */
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

static inline uint64_t muse_hash_bytes(const uint8_t *s, size_t n)
{
    uint64_t h = n * UINT64_C(0x9e3779b97f4a7c15), w = 0;
    for (; n > 8; s += 8, n -= 8) {
        memcpy(&w, s, 8);
        h = (h ^ w) * UINT64_C(0x9fb21c651e98df25);
        h ^= h >> 29;
    }
    w = 0;
    memcpy(&w, s, n);
    return muse_mix(h ^ w * UINT64_C(0x9fb21c651e98df25));
}

#endif
