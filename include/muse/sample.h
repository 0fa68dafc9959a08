/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file sample.h
 * From a row of logits to the next token: penalties, grammar, temperature, filters, random choice; and the
 * end of a text: stop ids and stop strings.
 *
 * A MuseSampler and a MuseStop serve one thread each; a MuseGrammar (grammar.h) is shared. No decoder is needed:
 * any row of V numbers will do. After open, picking and accepting never allocate.
 *
 * The order of things, each on the result of the one before:
 *   1. repetition, then presence and frequency, on the ids seen
 *   2. `suppress` and the grammar: what they forbid has probability 0
 *   3. temperature: x / temperature; 0 takes the highest logit (of equal ones the lowest id) and ends here
 *   4. top_k: the k most probable; of equal ones the lower ids
 *   5. top_p: of these, renormalised, the fewest most probable whose sum reaches top_p
 *   6. min_p: of these, the ones at least min_p times as probable as the most probable
 *   7. a choice by chance among what is left, renormalised
 */
#ifndef MUSE_SAMPLE_H
#define MUSE_SAMPLE_H

#include "muse/grammar.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Chooses tokens from logits. One thread at a time. Close with muse_sampler_close(). */
typedef struct MuseSampler MuseSampler;
/** Ids and strings that end a text. One thread at a time. Close with muse_stop_close(). */
typedef struct MuseStop MuseStop;

/** Settings of a sampler. All 0 (but struct_size) is greedy without penalties. */
typedef struct MuseSampleParams {
    size_t   struct_size;    ///< set by muse_sample_params_init()
    float    temperature;    ///< 0 = greedy; otherwise 1e-6 .. 1e6
    uint32_t top_k;          ///< 0 = off
    float    top_p;          ///< above 0, below 1; 0 or 1 = off
    float    min_p;          ///< 0 .. 1; 0 = off
    float    repetition;     ///< above 0: logits of ids seen are divided by it if positive, multiplied if not; 0 or 1 = off
    float    presence;       ///< subtracted once from the logit of an id seen; 0 = off; may be negative
    float    frequency;      ///< subtracted for each time it was seen; 0 = off; may be negative
    uint32_t penalty_last;   ///< penalties look at so many last ids, at most 2^24; 0 = all
    uint64_t seed;           ///< same seed, params, logits and ids accepted: same tokens, on every platform
    const int32_t *suppress; ///< ids that are never picked; copied
    size_t   n_suppress;
    const MuseGrammar *grammar; ///< NULL = none; must outlive the sampler
} MuseSampleParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_sample_params_init(MuseSampleParams *params);

/** What was picked. Logarithms are natural. */
typedef struct MuseSampled {
    int32_t id;
    float   logprob;         ///< under softmax of the logits as given
    float   sampled_logprob; ///< under the distribution that the choice was made from; 0 when greedy
} MuseSampled;

/**
 * Make a sampler. Any thread.
 *
 * @param out     Receives the handle, or NULL on error. Release with muse_sampler_close().
 * @param rt      NULL = defaults. Kept alive by the sampler.
 * @param vocab   V, the length of a row of logits: 1 .. 2^24. Ids of the grammar beyond it can't be picked.
 * @param params  Borrowed for the call; NULL = defaults.
 * @return 0; MUSE_ERR_ARG: out of range (named); MUSE_ERR_NOMEM; MUSE_ERR_UNSUPPORTED: params of a newer library.
 */
MUSE_API int muse_sampler_open(MuseSampler **out, MuseRuntime *rt, uint32_t vocab, const MuseSampleParams *params, MuseError *err);

/**
 * A second sampler in the same state (ids seen, place in the grammar, choices made) with a seed of its own. One thread.
 * @param out Receives the handle, or NULL. Release with muse_sampler_close().
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM. s is unchanged.
 */
MUSE_API int muse_sampler_copy(MuseSampler **out, const MuseSampler *s, uint64_t seed, MuseError *err);

/** Release; *s becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_sampler_close(MuseSampler **s);

/** As after open: nothing seen, grammar at its start, first choice. */
MUSE_API void muse_sampler_reset(MuseSampler *s);

/**
 * Show ids of a prompt to the penalties. The grammar does not see them.
 * @param ids  n ids; those outside 0 .. V-1 (placeholders of media) count only towards penalty_last. Borrowed.
 * @return 0; MUSE_ERR_ARG.
 */
MUSE_API int muse_sampler_observe(MuseSampler *s, const int32_t *ids, size_t n, MuseError *err);

/**
 * Choose the next token. Does not accept it: give the id to muse_sampler_accept() if it becomes part of the text.
 *
 * @param logits  [V] f32. -inf is a token of probability 0; NaN and +inf are refused. Borrowed, not changed.
 * @param out     Receives the choice. An id whose probability is below e^-87 of the highest is never chosen by chance.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_STATE: a logit is NaN or +inf (the first is named), all are -inf, none is left by
 *         suppress and grammar, or the grammar's text has ended. On error nothing is changed.
 * @source top_k: Fan et al. 2018; top_p: Holtzman et al. 2020; min_p: Nguyen et al. 2024; repetition: Keskar et al. 2019,
 *         section 4.1; random numbers: Salmon et al. 2011 (Philox4x32-10; key seed, counter the number of picks before).
 */
MUSE_API int muse_sampler_pick(MuseSampler *s, const float *logits, MuseSampled *out, MuseError *err);

/**
 * An id becomes part of the text: penalties and grammar go on.
 * @return 0; MUSE_ERR_ARG: not in 0 .. V-1; MUSE_ERR_STATE: the grammar does not allow it here. On error nothing is changed.
 */
MUSE_API int muse_sampler_accept(MuseSampler *s, int32_t id, MuseError *err);

/** 1: the text may end here (always, without a grammar); 0: the grammar wants more. */
MUSE_API int muse_sampler_can_end(const MuseSampler *s);

/** 1: the grammar allows nothing but the end here, or the end was accepted; else 0. */
MUSE_API int muse_sampler_must_end(const MuseSampler *s);

/**
 * log softmax at chosen ids, summed in double. Any thread.
 * @param logits  [V] f32, V at least 1. -inf is allowed, NaN and +inf are not.
 * @param ids     n ids, each in 0 .. V-1.
 * @param out     [n] receives log p(id); -inf where the logit is. Error below 2e-7 + 2^-24 |out|.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_STATE: NaN, +inf, or all are -inf; out is then untouched.
 */
MUSE_API int muse_logprobs(const float *logits, size_t V, const int32_t *ids, size_t n, float *out);

/**
 * The k most probable ids, the most probable first, equal ones by id. Any thread.
 * @param ids       [k], 1 <= k <= V.
 * @param logprobs  [k] receives log softmax; may be NULL.
 * @return as muse_logprobs().
 */
MUSE_API int muse_top(const float *logits, size_t V, size_t k, int32_t *ids, float *logprobs);

/**
 * Ids and strings that end a text. One thread per handle.
 *
 * @param out      Receives the handle, or NULL. Release with muse_stop_close().
 * @param rt       NULL = defaults. Kept alive by the handle.
 * @param ids      n_ids ids. NULL only if n_ids is 0. Copied.
 * @param strings  n_strings strings of sizes[i] bytes each, 1 .. 4096, at most 256; any bytes. Copied.
 * @return 0; MUSE_ERR_ARG: an empty string; MUSE_ERR_LIMIT: over 65536 ids, or the strings' limits; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_stop_open(MuseStop **out, MuseRuntime *rt, const int32_t *ids, size_t n_ids,
                            const char *const *strings, const size_t *sizes, size_t n_strings, MuseError *err);

/** Release; *stop becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_stop_close(MuseStop **stop);

/** 1 if id ends a text. */
MUSE_API int muse_stop_is_id(const MuseStop *stop, int32_t id);

/** What muse_stop_push() found. */
typedef struct MuseStopHit {
    size_t string;  ///< index of the stop string
    size_t used;    ///< bytes of this push up to its end, it included; the rest of the push came after the stop
} MuseStopHit;

/**
 * Give decoded bytes, get those that can no longer become part of a stop string. All bytes given come out once, in
 * order, over the calls of push and flush; but the stop string and what follows it. The match that ends first counts,
 * of those that end there the longest.
 *
 * @param text  Receives bytes, valid until the next call on this handle; not terminated, never NULL.
 * @param n_text Receives their number.
 * @param hit   Filled with MUSE_DONE; may be NULL.
 * @return 0; MUSE_DONE: a stop string; text is what came before it; MUSE_ERR_ARG; MUSE_ERR_STATE: stopped already (reset
 *         first); MUSE_ERR_NOMEM: nothing is changed.
 */
MUSE_API int muse_stop_push(MuseStop *stop, const char *bytes, size_t n, const char **text, size_t *n_text,
                            MuseStopHit *hit, MuseError *err);

/** The text has ended without a stop string: get what was held back. Starts anew. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_stop_flush(MuseStop *stop, const char **text, size_t *n_text, MuseError *err);

/** Start anew; bytes held back are forgotten. */
MUSE_API void muse_stop_reset(MuseStop *stop);

#ifdef __cplusplus
}
#endif
#endif
