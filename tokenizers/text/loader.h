/* SPDX-License-Identifier: Apache-2.0 */
/* What the two loaders share while they work. Users: tokenizer_json.c, json_parts.c, gguf_tokenizer.c, finish.c. */
#ifndef TOKENIZERS_TEXT_LOADER_H
#define TOKENIZERS_TEXT_LOADER_H

#include "base/json.h"
#include "tokenizers/text/textcore.h"

enum { MUSE_LOADER_REPLACES = 8 };

typedef struct MuseLoader {
    MuseTextTokenizer *tok;
    MuseVocabItem *items;        /* [n_items] by id */
    uint32_t n_items;
    MuseVocabRule rule;
    struct MuseReplace replaces[MUSE_LOADER_REPLACES];
    bool pre_byte_level, decoder_byte_level, fused;
    MuseError *err;
} MuseLoader;

/* json_parts.c: each takes the member's value, which may be NULL or JSON null */
int muse_load_normalizer(MuseLoader *l, const MuseJsonValue *v);
int muse_load_pre_tokenizer(MuseLoader *l, const MuseJsonValue *v);
int muse_load_decoder(MuseLoader *l, const MuseJsonValue *v);
int muse_load_post_processor(MuseLoader *l, const MuseJsonValue *v);

/* finish.c */
int  muse_loader_items(MuseLoader *l, size_t n);                          /* make room for ids 0..n-1 */
int  muse_loader_put(MuseLoader *l, uint32_t id, const char *text, size_t n, unsigned flags);   /* a vocabulary entry */
int  muse_loader_add(MuseLoader *l, const MuseAdded *added, const char *text, size_t n);         /* an added token */
int  muse_loader_vocab(MuseLoader *l, bool doubles);                      /* items to tok->vocab */
/* the merge of two tokens given by their text; index in file order; what: for messages */
int  muse_loader_merge(MuseLoader *l, size_t index, const char *left, size_t n_left, const char *right, size_t n_right);
/* "left right" */
int  muse_loader_merge_text(MuseLoader *l, size_t index, const char *text, size_t n);
void muse_loader_close(MuseLoader *l);

#endif
