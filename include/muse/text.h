/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file text.h
 * The text tokenizer: bytes to token ids and back, and a trainer for vocabularies of one's own.
 *
 * Reads a Hugging Face tokenizer.json (byte-level BPE; SentencePiece-style BPE with byte fallback; Unigram)
 * or the tokenizer in a GGUF file's metadata. A MuseTextTokenizer is read-only after open and may be used by any
 * number of threads at once; a MuseTextDecoder serves one thread.
 *
 * Text is UTF-8 by length, NUL allowed. Bytes that are not valid UTF-8 are defined: byte-level and byte-fallback
 * vocabularies encode each such byte as itself and decode it back; others give the unknown token.
 */
#ifndef MUSE_TEXT_H
#define MUSE_TEXT_H

#include "muse/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Text to ids and back. Read-only: any thread. Close with muse_text_close(). */
typedef struct MuseTextTokenizer MuseTextTokenizer;
/** Ids to text as they come, for a tokenizer that must outlive it. One thread at a time. Close with muse_text_decoder_close(). */
typedef struct MuseTextDecoder MuseTextDecoder;

/**
 * Open from a path: a tokenizer.json, a folder that holds one, or a GGUF file. Any thread.
 *
 * @param out   Receives the handle, or NULL on error. Release with muse_text_close().
 * @param rt    NULL = defaults. Kept alive by the tokenizer.
 * @param err   Optional; names the file and the place in it.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_IO; MUSE_ERR_FORMAT; MUSE_ERR_UNSUPPORTED: a component (named) that is not
 *         known; MUSE_ERR_LIMIT: JSON over 2 GiB, 2^24 tokens, an added token or Unigram piece over 1024 bytes;
 *         MUSE_ERR_NOT_FOUND: a GGUF file without a tokenizer; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_text_open_file(MuseTextTokenizer **out, MuseRuntime *rt, const char *path, MuseError *err);

/** The same from the bytes of a tokenizer.json or a GGUF file. Borrowed for the call. @return as muse_text_open_file(), MUSE_ERR_IO excepted. */
MUSE_API int muse_text_open_memory(MuseTextTokenizer **out, MuseRuntime *rt, const void *bytes, size_t size, MuseError *err);

/** Release; *tok becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_text_close(MuseTextTokenizer **tok);

/** What is known of a tokenizer. */
typedef struct MuseTextInfo {
    const char *algorithm;    ///< "bpe" (byte-level), "bpe-fallback" (SentencePiece-style) or "unigram"; static
    uint32_t    vocab_size;   ///< highest id + 1, added tokens included
    uint32_t    n_added;      ///< added (special and user-defined) tokens
    int32_t     bos, eos, unk, pad; ///< -1 where the file names none
    int         add_bos;      ///< 1 when the file's own post-processor or metadata puts bos first
    size_t      memory_bytes; ///< what the open tokenizer holds, a trie for grammars included once one was opened
} MuseTextInfo;

/** Any thread. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_text_info(const MuseTextTokenizer *tok, MuseTextInfo *out);

/** Flags of muse_text_encode(). */
enum {
    MUSE_TEXT_ADDED = 1, ///< added tokens in the text count as tokens (a rendered prompt); otherwise they are plain text
    MUSE_TEXT_BOS   = 2  ///< put bos first if MuseTextInfo.add_bos says so and the text does not begin with it already
};

/**
 * Text to ids. Any thread. Time is n log n in the length at worst with the patterns of the
 * published families; a pattern that a file brings along may cost more, up to MUSE_ERR_LIMIT.
 *
 * @param text  n bytes, UTF-8, NUL allowed; NULL only if n is 0.
 * @param flags MUSE_TEXT_*, or 0.
 * @param ids   Receives the ids, in order; release with muse_free(). NULL when there are none.
 * @param n_ids Receives their number.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT: over 1 GiB of text, or a pattern of the file takes too many
 *         steps on it; MUSE_ERR_NOT_FOUND: a character without token in a vocabulary without unknown token (named).
 *         Nothing is returned on error.
 */
MUSE_API int muse_text_encode(const MuseTextTokenizer *tok, const char *text, size_t n, unsigned flags,
                              int32_t **ids, size_t *n_ids, MuseError *err);

/** Flags of muse_text_decode() and of a decoder. */
enum {
    MUSE_TEXT_SKIP_SPECIAL = 1, ///< leave out added tokens marked special
    MUSE_TEXT_CONTINUE     = 2  ///< the ids go on with a text: no space that only begins a text is taken from the first of them
};

/**
 * Ids to text, all at once. Any thread. Equals what a MuseTextDecoder gives over the same ids, bytes that never
 * became a character included, as they are.
 *
 * @param flags MUSE_TEXT_SKIP_SPECIAL, MUSE_TEXT_CONTINUE, or 0.
 * @param text  Receives the bytes and one NUL after them; release with muse_free().
 * @param n     Receives their number without the NUL.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOT_FOUND: an id outside the vocabulary (named); MUSE_ERR_NOMEM.
 */
MUSE_API int muse_text_decode(const MuseTextTokenizer *tok, const int32_t *ids, size_t n_ids, unsigned flags,
                              char **text, size_t *n, MuseError *err);

/**
 * The bytes one id stands for inside a text. Any thread.
 * @param bytes  Receives a pointer that lives as long as tok; not terminated. A space is a space, a byte token one byte.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOT_FOUND: no such id (holes in a vocabulary count as such).
 */
MUSE_API int muse_text_token_bytes(const MuseTextTokenizer *tok, int32_t id, const char **bytes, size_t *n);

/** 1 if id is an added token marked special, 0 if not or if there is no such id. Any thread. */
MUSE_API int muse_text_is_special(const MuseTextTokenizer *tok, int32_t id);

/**
 * The id of a token by its exact text: added tokens first, then the vocabulary as written in the file. Any thread.
 * @return the id, 0 or more; MUSE_ERR_NOT_FOUND; MUSE_ERR_ARG.
 */
MUSE_API int32_t muse_text_find(const MuseTextTokenizer *tok, const char *text, size_t n);

/**
 * A streaming decoder: give ids one by one, get text that never ends inside a character. One thread. The tokenizer must
 * outlive it.
 * @param out   Receives the handle, or NULL. Release with muse_text_decoder_close().
 * @param flags MUSE_TEXT_SKIP_SPECIAL, MUSE_TEXT_CONTINUE, or 0.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_text_decoder_open(MuseTextDecoder **out, const MuseTextTokenizer *tok, unsigned flags, MuseError *err);

/**
 * Give one id, get what became complete.
 * @param text  Receives bytes that are whole characters (or bytes that can't become one), terminated; NULL never.
 *              Valid until the next call on this decoder.
 * @param n     Receives their number; 0 when a character is still open.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOT_FOUND; MUSE_ERR_NOMEM. On error the decoder is unchanged.
 */
MUSE_API int muse_text_decoder_push(MuseTextDecoder *dec, int32_t id, const char **text, size_t *n, MuseError *err);

/** End: get the bytes of a character that never became whole. The decoder starts anew.
 * @param text,n As muse_text_decoder_push(). @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_text_decoder_flush(MuseTextDecoder *dec, const char **text, size_t *n, MuseError *err);

/** Release; *dec becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_text_decoder_close(MuseTextDecoder **dec);

/** Settings of the trainer. */
typedef struct MuseTextTrainParams {
    size_t             struct_size;  ///< set by muse_text_train_params_init()
    uint32_t           vocab_size;   ///< wanted size, added tokens and the 256 bytes included; fewer if the text has no more pairs
    const char *const *added;        ///< special tokens, which get the ids 0, 1, ...; borrowed for the call
    size_t             n_added;
    uint32_t           min_count;    ///< a pair seen less often is not merged; 0 = 2
    const char        *pattern;      ///< pre-tokenizer: "gpt2", "llama3", "qwen2" or "smollm"; NULL = "llama3"
    int              (*progress)(void *user, uint32_t merges_done, uint32_t merges_wanted); ///< non-zero = stop; may be NULL
    void              *progress_user;
} MuseTextTrainParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_text_train_params_init(MuseTextTrainParams *params);

/**
 * Train a byte-level BPE vocabulary. Deterministic: equal counts are settled by the smaller ids. Any thread.
 *
 * @param texts   n_texts pointers; borrowed.
 * @param sizes   their lengths in bytes.
 * @param json    Receives a complete tokenizer.json, terminated; release with muse_free().
 * @param n_json  Receives its length.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_CANCELLED; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT: vocab_size over 2^20 or text over 4 GiB.
 * @source Sennrich et al. 2016, section 3.2; the file format is Hugging Face tokenizers'.
 */
MUSE_API int muse_text_train_bpe(MuseRuntime *rt, const char *const *texts, const size_t *sizes, size_t n_texts,
                                 const MuseTextTrainParams *params, char **json, size_t *n_json, MuseError *err);

#ifdef __cplusplus
}
#endif
#endif
