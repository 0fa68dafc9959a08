/* SPDX-License-Identifier: Apache-2.0 */
/* MuseTextTokenizer from the inside. Users: the files of the text tokenizer; libmuse/sample, which reads the vocabulary. */
#ifndef TOKENIZERS_TEXT_TEXTCORE_H
#define TOKENIZERS_TEXT_TEXTCORE_H

#include <stdatomic.h>

#include "muse/text.h"
#include "ops/runtime.h"
#include "tokenizers/text/bpe.h"
#include "tokenizers/text/normalize.h"
#include "tokenizers/text/pretok.h"
#include "tokenizers/text/trie.h"
#include "tokenizers/text/unigram.h"
#include "tokenizers/text/vocab.h"

/* An added token or Unigram piece longer than this is refused: matching walks this far at most from every byte. */
enum { MUSE_MATCH_BYTES_MAX = 1024 };
enum { MUSE_TEXT_POOL = 8 };

typedef enum MuseTextKind { MUSE_KIND_BYTE_BPE, MUSE_KIND_CHAR_BPE, MUSE_KIND_UNIGRAM } MuseTextKind;

typedef struct MuseAdded {
    uint32_t id;
    uint32_t at, len;        /* in added_text */
    bool     special, normalized, lstrip, rstrip, single_word;
} MuseAdded;

typedef struct MuseTextScratch MuseTextScratch;   /* encode.c */

/* What another module makes of the vocabulary when it is first wanted, and keeps with the tokenizer. */
typedef struct MuseTextDerived MuseTextDerived;
struct MuseTextDerived {
    void (*close)(MuseTextDerived *it);   /* the tokenizer's reference ends */
    size_t bytes;
};

struct MuseTextTokenizer {
    MuseRuntime  *rt;
    MuseTextKind  kind;
    MuseVocab     vocab;
    MuseMerges    merges;         /* BPE kinds */
    MuseUnigram   unigram;        /* UNIGRAM */
    bool          ignore_merges;  /* a piece that is a token is taken whole */
    bool          fuse_unk;       /* unknowns in a row are one token */
    bool          byte_fallback;  /* a character without token becomes its bytes */
    bool          cut_at_mark;    /* CHAR_BPE: pieces may be cut before U+2581 where no merge reaches across */
    int32_t       unk, bos, eos, pad;
    bool          add_bos;
    MuseNorm      norm;
    MusePretok    pretok;
    MuseAdded    *added;          /* [n_added] */
    uint32_t      n_added;
    MuseBuf       added_text;
    MuseTrie      added_raw;      /* matched in the text as it is; value: index in added. No nodes: none */
    MuseTrie      added_norm;     /* matched after normalisation */
    uint32_t      strip;          /* decoding leaves out this many spaces at the start of a text */
    _Atomic(MuseTextScratch *) pool[MUSE_TEXT_POOL];
    _Atomic(MuseTextDerived *) derived;   /* libmuse/sample/tokens.c; NULL: not wanted yet. Set once, also in a tokenizer that is const */
};

/* What both loaders do last: added tokens into tries, derived tables, checks. added_text holds the added tokens' texts. */
int muse_text_finish(MuseTextTokenizer *tok, MuseError *err);

/* Fill a zeroed tokenizer (rt set) from bytes; on error the caller closes it. */
int muse_text_load_json(MuseTextTokenizer *tok, const void *bytes, size_t size, MuseError *err);
int muse_text_load_gguf(MuseTextTokenizer *tok, const void *bytes, size_t size, MuseError *err);
/* bos, eos, pad, unk and add_bos of a tokenizer_config.json */
int muse_text_load_config(MuseTextTokenizer *tok, const void *bytes, size_t size, MuseError *err);

void muse_text_scratch_close(MuseTextScratch *scratch);

/* Longest added token at the first place one matches, at or after `from`; false if none. */
typedef struct MuseAddedMatch { size_t begin, end; uint32_t index; } MuseAddedMatch;
bool muse_added_next(const MuseTextTokenizer *tok, const MuseTrie *trie, const uint8_t *s, size_t n, size_t from, size_t taken, MuseAddedMatch *out);

#endif
