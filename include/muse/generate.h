/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file generate.h
 * Let a model write: compute what a session's sequence holds, then choose and append token after token until something ends
 * the text.
 *
 *   muse_generate_params_init(&p);
 *   p.max_tokens = 100;
 *   muse_generate(session, &p, &result, &err);
 *   printf("%s\n", result.text);
 *   muse_generate_result_clear(&result);
 *
 * Afterwards the session holds all tokens of the result (the last one not computed yet), so that more can be appended and
 * generation can go on.
 */
#ifndef MUSE_GENERATE_H
#define MUSE_GENERATE_H

#include "muse/sample.h"
#include "muse/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Why a text ended. */
enum {
    MUSE_FINISH_NONE      = 0, ///< it did not: the call failed in between
    MUSE_FINISH_ID        = 1, ///< a stop id, or an end id of the grammar, the last of ids; its text is not part of the text
    MUSE_FINISH_STRING    = 2, ///< a stop string; neither it nor what the last token had behind it is part of the text
    MUSE_FINISH_LENGTH    = 3, ///< max_tokens
    MUSE_FINISH_FULL      = 4, ///< the session's max_positions
    MUSE_FINISH_GRAMMAR   = 5, ///< the grammar allows nothing but the end
    MUSE_FINISH_CANCELLED = 6  ///< muse_session_cancel(), cancel, or the token function
};

/** A short name: "stop id", "stop string", "length", "full", "grammar", "cancelled", "error" for MUSE_FINISH_NONE. Static, never NULL. Any thread. */
MUSE_API const char *muse_finish_name(int finish);

/** One token, as the token function sees it. */
typedef struct MuseGenerated {
    size_t      index;    ///< its number in this call, from 0
    int32_t     id;       ///< -1: no token, only text that was held back until the end
    float       logprob;  ///< natural, under softmax of the model's logits; 0 with id -1
    const char *text;     ///< what became certain with it: whole characters, nothing of a stop string; may be empty. Not terminated, valid for the call
    size_t      n_text;   ///< bytes
} MuseGenerated;

/** Called after each token from the generating thread, and with id -1 for text that is left at the end. Non-zero = stop here: MUSE_FINISH_CANCELLED. */
typedef int MuseGenerateFn(void *user, const MuseGenerated *token);

/** How long to generate, from what distribution, and who hears of it. */
typedef struct MuseGenerateParams {
    size_t                  struct_size; ///< set by muse_generate_params_init()
    MuseSampler            *sampler;     ///< used as it stands: `sample` and `suppress` do not count then, nor does it see the prompt; made for at most as many tokens as the model has. NULL: one is made from `sample`
    const MuseSampleParams *sample;      ///< NULL = greedy. Its penalties see the text tokens of the session too
    const int32_t          *suppress;    ///< ids never picked, besides those of `sample`; NULL with 0 = the model's, not NULL with 0 = none
    size_t                  n_suppress;
    uint64_t                max_tokens;  ///< 0 = as many as the session has room for
    const int32_t          *stop_ids;    ///< NULL with 0 = the model's (the tokenizer's if it names none) and those of chat_format; not NULL with 0 = none
    size_t                  n_stop_ids;
    const char             *chat_format; ///< MuseChatParams.format; NULL = none
    const char *const      *stop;        ///< n_stop stop strings of stop_sizes[i] bytes; limits of muse_stop_open()
    const size_t           *stop_sizes;  ///< NULL: they are terminated
    size_t                  n_stop;
    MuseGenerateFn         *token;       ///< NULL: none
    void                   *token_user;
    MuseCancelFn           *cancel;      ///< polled before each token; NULL = never
    void                   *cancel_user;
} MuseGenerateParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_generate_params_init(MuseGenerateParams *params);

/** What was generated. Release with muse_generate_result_clear(). */
typedef struct MuseGenerateResult {
    int      finish;        ///< MUSE_FINISH_*
    size_t   stop;          ///< MUSE_FINISH_STRING: which one
    int32_t *ids;           ///< [n] new tokens
    float   *logprobs;      ///< [n] natural, under softmax of the model's logits
    size_t   n;
    char    *text;          ///< n_text bytes and one NUL; special tokens but the stop id by their text, so in a chat format that thinks also the thought and its end: MuseChatParser tells them apart. Empty without a tokenizer
    size_t   n_text;
    uint64_t prompt_tokens; ///< positions that the session held before
} MuseGenerateResult;

/** Release what the result holds and zero it. NULL is accepted. */
MUSE_API void muse_generate_result_clear(MuseGenerateResult *result);

/**
 * Generate. One thread per session. Room for steps is taken every 256 tokens; between those nothing is allocated.
 *
 * @param params Borrowed for the call; NULL = defaults.
 * @param out    Receives the result, also on error: what was written until then. Release with muse_generate_result_clear().
 * @return 0, also when it was cancelled (out->finish tells); MUSE_ERR_ARG; those of muse_session_prefill(), muse_session_step(),
 *         muse_sampler_open() and _pick(), muse_stop_open(); MUSE_ERR_UNSUPPORTED: stop strings without a tokenizer.
 */
MUSE_API int muse_generate(MuseSession *session, const MuseGenerateParams *params, MuseGenerateResult *out, MuseError *err);

/**
 * muse_generate() for several sessions of one model and mode that step together: weights are read once for all. A session that
 * is finished or cancelled leaves the batch, the others go on.
 * @param sessions n different ones, n at least 1. One thread for all of them.
 * @param params   [n] pointers; NULL, or NULL in it, = defaults. No two may share a sampler.
 * @param out      [n], as muse_generate().
 * @return as muse_generate(), for all; MUSE_ERR_ARG also as muse_session_step_batch().
 */
MUSE_API int muse_generate_batch(MuseSession *const *sessions, const MuseGenerateParams *const *params, size_t n, MuseGenerateResult *out, MuseError *err);

/** muse_generate() at the caller's pace: a token at each call. One thread, that of the session. */
typedef struct MuseStream MuseStream;

/**
 * Begin; nothing is computed yet.
 * @param out     Receives the handle, or NULL. Release with muse_stream_close().
 * @param session Until muse_stream_result() or close nobody else may change it or compute with it; it must not be closed before the stream.
 * @param params  As muse_generate(); `token` must be NULL. Borrowed for the call, but its sampler, the grammar of its `sample` and what `cancel` needs until close.
 * @return 0; MUSE_ERR_ARG; those of muse_generate().
 */
MUSE_API int muse_stream_open(MuseStream **out, MuseSession *session, const MuseGenerateParams *params, MuseError *err);

/**
 * The next token, as the token function would get it: what was written before it (at first the prompt) is computed now.
 * @param token Its text is valid until the next call on the stream.
 * @return 0; MUSE_DONE: the text has ended, token is unchanged; as muse_generate(), after which the text has ended.
 */
MUSE_API int muse_stream_next(MuseStream *stream, MuseGenerated *token, MuseError *err);

/**
 * What was written so far; a text that has not ended ends here, as if the token function had asked to stop. The session then holds all of it
 * and is free again. Only once: MUSE_ERR_STATE.
 * @param out Receives the result. Release with muse_generate_result_clear().
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_STATE; MUSE_ERR_NOMEM: out has the result all the same, but the session may lack the last token.
 */
MUSE_API int muse_stream_result(MuseStream *stream, MuseGenerateResult *out, MuseError *err);

/** Release; *stream becomes NULL. NULL and a pointer to NULL are accepted. Without a muse_stream_result() before, as with one whose result is thrown away. */
MUSE_API void muse_stream_close(MuseStream **stream);

#ifdef __cplusplus
}
#endif
#endif
