/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file grammar.h
 * What a text may be: a regular expression, a JSON schema, any JSON, one of some strings. A sampler that is given a
 * grammar picks only tokens after which the text can still be completed.
 *
 * A grammar is an automaton over bytes, with a stack where a schema is recursive. Which tokens it allows is worked out
 * per state, when a state is first met, and kept. A MuseGrammar is read-only to its users after open and may be used by
 * any number of threads and samplers at once. Added tokens are never allowed inside a text, except the end ids where
 * the text may end. docs/sample.md says what is accepted of the two languages.
 */
#ifndef MUSE_GRAMMAR_H
#define MUSE_GRAMMAR_H

#include "muse/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a text may be, for one vocabulary. Read-only: any thread, any number of samplers. Close with muse_grammar_close(). */
typedef struct MuseGrammar MuseGrammar;

/** White space between the tokens of JSON. */
enum {
    MUSE_GRAMMAR_COMPACT = 0, ///< none: {"a":1,"b":[2,3]}
    MUSE_GRAMMAR_SPACED  = 1, ///< one space after ',' and ':'
    MUSE_GRAMMAR_FREE    = 2  ///< any, wherever JSON allows it inside the outermost value
};

/** Bounds of a grammar. */
enum {
    MUSE_GRAMMAR_STATES_MAX = 1 << 16, ///< states of the automaton
    MUSE_GRAMMAR_DEPTH_MAX  = 256      ///< nested uses of recursive definitions; deeper nesting is never allowed by the mask
};

/** Limits on a grammar, and how it writes JSON. */
typedef struct MuseGrammarParams {
    size_t   struct_size;   ///< set by muse_grammar_params_init()
    const int32_t *end_ids; ///< ids that end the text where it may end; copied. NULL with n_end 0: the tokenizer's eos
    size_t   n_end;
    uint32_t space;         ///< MUSE_GRAMMAR_COMPACT .. FREE; JSON only
    size_t   mask_bytes;    ///< memory for the token masks of states, taken at open; 0 = 32 MiB. States beyond it are worked out anew at each step
} MuseGrammarParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_grammar_params_init(MuseGrammarParams *params);

/**
 * From a regular expression, which the whole text must match. Any thread.
 *
 * @param out      Receives the handle, or NULL. Release with muse_grammar_close().
 * @param rt       NULL = defaults. Kept alive by the grammar.
 * @param tok      The vocabulary; needed during the call only.
 * @param pattern  n bytes of UTF-8.
 * @param params   Borrowed for the call; NULL = defaults.
 * @param err      Optional; names the place in the pattern.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_FORMAT: not an expression; MUSE_ERR_UNSUPPORTED: look-around, back references, flags
 *         and the like (named); MUSE_ERR_LIMIT: over 2^20 nodes, MUSE_GRAMMAR_STATES_MAX states, 64 MiB of table or 2^27 steps of
 *         compiling (about a second), repeats over 65535, groups nested deeper than 64; MUSE_ERR_STATE: nothing matches, or no text of this vocabulary's; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_grammar_open_regex(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, const char *pattern,
                                     size_t n, const MuseGrammarParams *params, MuseError *err);

/**
 * From a JSON schema (the subset of draft 2020-12 in docs/sample.md); every text allowed is valid under it. Any thread.
 * @param schema  n bytes of JSON. Borrowed for the call.
 * @return as muse_grammar_open_regex(); MUSE_ERR_UNSUPPORTED names the keyword and its place.
 */
MUSE_API int muse_grammar_open_schema(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, const char *schema,
                                      size_t n, const MuseGrammarParams *params, MuseError *err);

/** Any JSON value. Any thread. @return as muse_grammar_open_regex(). */
MUSE_API int muse_grammar_open_json(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok,
                                    const MuseGrammarParams *params, MuseError *err);

/** One of n strings of sizes[i] bytes, n at least 1; borrowed for the call. Any thread. @return as muse_grammar_open_regex(). */
MUSE_API int muse_grammar_open_choices(MuseGrammar **out, MuseRuntime *rt, const MuseTextTokenizer *tok, const char *const *strings,
                                       const size_t *sizes, size_t n, const MuseGrammarParams *params, MuseError *err);

/** Release; *g becomes NULL. NULL and a pointer to NULL are accepted. Samplers that use it must be closed before. */
MUSE_API void muse_grammar_close(MuseGrammar **g);

/**
 * Is this text allowed? Any thread.
 * @return 0: yes, whole; MUSE_AGAIN: as a beginning; MUSE_ERR_NOT_FOUND: no; MUSE_ERR_ARG.
 */
MUSE_API int muse_grammar_match(const MuseGrammar *g, const char *text, size_t n);

/** The size of a compiled grammar. */
typedef struct MuseGrammarInfo {
    uint32_t n_states;     ///< of the automaton
    uint32_t n_rules;      ///< recursive definitions, 0 for a finite automaton
    uint32_t n_masks;      ///< states whose tokens are kept by now
    uint32_t masks_max;    ///< states that there is room for
    size_t   memory_bytes; ///< what the grammar holds alone; a trie of the vocabulary belongs to the tokenizer and all its grammars: MuseTextInfo
} MuseGrammarInfo;

/** Any thread. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_grammar_info(const MuseGrammar *g, MuseGrammarInfo *out);

#ifdef __cplusplus
}
#endif
#endif
