/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file session.h
 * A session: one sequence and what a model has computed of it. Append parts to its sequence, compute them, read the logits of the
 * next token, take one, step; fork it, rewind it, save it.
 *
 *   muse_session_open(&s, model, NULL, &err);
 *   muse_sequence_append_text(muse_session_sequence(s), "Hello", 5, MUSE_TEXT_BOS, &err);
 *   muse_session_prefill(s, &err);
 *   const float *logits = muse_session_logits(s);      // [vocab]
 *   muse_session_step(s, id, &err);                    // append id, compute it, new logits
 *
 * One thread per session; any number of sessions of one model at once, each in its own thread. Forks are sessions of their own.
 */
#ifndef MUSE_SESSION_H
#define MUSE_SESSION_H

#include "muse/model.h"
#include "muse/sequence.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A sequence and what a model has computed of it. One thread at a time. Close with muse_session_close(). */
typedef struct MuseSession MuseSession;
/** Computed prefixes of one model, for sessions to share, which keep it alive. Any thread. Close with muse_prefix_cache_close(). */
typedef struct MusePrefixCache MusePrefixCache;

/** How keys and values are kept. */
enum {
    MUSE_KV_AUTO = 0, ///< F32 with MUSE_COMPUTE_F32, else BF16
    MUSE_KV_F32  = 1, ///< 4 bytes a value
    MUSE_KV_BF16 = 2, ///< 2 bytes a value
    MUSE_KV_Q8   = 3  ///< 8 bit in blocks of 32 with a 16-bit scale: half the memory of BF16
};

/** How the positions of one picture see each other. @source Gemma 4 spec 2.6. */
enum {
    MUSE_IMAGE_MASK_DEFAULT = 0, ///< as the family says: Gemma 4 A, muse B, others causal
    MUSE_IMAGE_MASK_A       = 1, ///< both ways in layers with a window only
    MUSE_IMAGE_MASK_B       = 2, ///< both ways in all layers
    MUSE_IMAGE_MASK_CAUSAL  = 3  ///< one way: no patch sees a later one
};

/** Called behind each chunk of a prompt from the computing thread; a fork calls it from its own. done, total: positions. Non-zero = stop: MUSE_ERR_CANCELLED. */
typedef int MuseProgressFn(void *user, uint64_t done, uint64_t total);

/**
 * Called with what a stage of the computation gave, for positions first .. first + rows - 1 (media stages: for features of one picture or sound).
 * Stages, as in a chunk's order: "imageN.patches", "imageN.patch_dense", "imageN.pos_norm", "imageN.rows", "audioN.frames", "audioN.rows"
 * (N from 0), "embeddings", "layers.K", "final_norm", "logits".
 * From the computing thread; a fork calls it from its own.
 * @param data Shape [rows, width], valid for the call.
 */
typedef void MuseStageSeenFn(void *user, const char *stage, size_t first, const float *data, size_t rows, size_t width);

/** How a session computes. */
typedef struct MuseSessionParams {
    size_t           struct_size;   ///< set by muse_session_params_init()
    uint32_t         compute;       ///< MUSE_COMPUTE_*
    uint32_t         kv;            ///< MUSE_KV_*
    uint32_t         image_mask;    ///< MUSE_IMAGE_MASK_*
    uint32_t         chunk;         ///< positions of a prompt that are computed at a time, 1..65536; 0 = 512. A picture is never split where its positions see each other
    uint64_t         max_positions; ///< refuse to grow over this; 0 = the model's context limit
    MusePrefixCache *cache;         ///< where prefixes are looked for and kept; of the same model; NULL: none. Kept alive by the session
    MuseProgressFn  *progress;      ///< NULL: none
    void            *progress_user;
    MuseStageSeenFn *stage;         ///< NULL: nobody looks. With it a prefill computes every position and its logits, whatever a cache knows; steps do not call it
    void            *stage_user;
} MuseSessionParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_session_params_init(MuseSessionParams *params);

/**
 * An empty session. Any thread.
 * @param out    Receives the handle, or NULL. Release with muse_session_close().
 * @param model  Kept alive by the session.
 * @param params Borrowed for the call; NULL = defaults.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT; MUSE_ERR_STATE: MUSE_WEIGHTS_NONE; MUSE_ERR_UNSUPPORTED: params of a newer library, or a model with more kinds of windows or
 *         rotations than are kept apart; those of muse_model_open_tokenizer() but where there is no tokenizer: such a model
 *         takes ids and media.
 */
MUSE_API int muse_session_open(MuseSession **out, MuseModel *model, const MuseSessionParams *params, MuseError *err);

/** Release; *session becomes NULL. NULL and a pointer to NULL are accepted. Nothing else may use the session, muse_session_cancel() neither. */
MUSE_API void muse_session_close(MuseSession **session);

/**
 * Its sequence, to append parts to and to read. Lives as long as the session. Truncating it directly is allowed; what was
 * computed of the removed positions is forgotten at the next call. NULL if session is NULL.
 */
MUSE_API MuseSequence *muse_session_sequence(MuseSession *session);

/** Its model; lives as long as the session. NULL if session is NULL. */
MUSE_API MuseModel *muse_session_model(const MuseSession *session);

/** The model's tokenizer, NULL if it has none; lives as long as the model. */
MUSE_API const MuseTextTokenizer *muse_session_tokenizer(const MuseSession *session);

/**
 * Compute all positions that were appended since. Then muse_session_logits() has the next token's.
 * @return 0 (also if there was nothing to do); MUSE_ERR_ARG; MUSE_ERR_STATE: an empty sequence, or a placeholder in it; MUSE_ERR_ARG also: an id beyond the
 *         vocabulary, rows of another width; MUSE_ERR_LIMIT: over max_positions, a picture larger than the position table; MUSE_ERR_NOMEM;
 *         MUSE_ERR_CANCELLED. After an error whole chunks may be computed; calling again goes on from there.
 */
MUSE_API int muse_session_prefill(MuseSession *session, MuseError *err);

/**
 * Logits of the token that follows the computed positions: [vocab], f32, before suppression and sampling. Valid until the next
 * call on this session.
 * @return NULL if the last position is not computed yet.
 */
MUSE_API const float *muse_session_logits(const MuseSession *session);

/**
 * Hidden state of the last computed position: [width], f32, behind the last layer and the final norm, what the head makes logits of
 * ("final_norm" of the stages). Valid until the next call on this session.
 * @return NULL if the last position is not computed yet, or came from a file that was not computed on since.
 */
MUSE_API const float *muse_session_hidden(const MuseSession *session);

/** Append one id and compute it (and what was still to be computed). @return as muse_session_prefill(); on error the id is not appended. */
MUSE_API int muse_session_step(MuseSession *session, int32_t id, MuseError *err);

/**
 * muse_session_step() for several sessions of one model, through the same products: weights are read once for all. Sessions
 * may have any lengths; forks share the work over their common prefix. All were opened with the same compute and kv.
 * @param sessions  n different ones, n at least 1. One thread for all of them.
 * @param ids       [n].
 * @return as muse_session_step(), for all or none; MUSE_ERR_ARG also: sessions of different models or modes, or one given twice.
 */
MUSE_API int muse_session_step_batch(MuseSession *const *sessions, const int32_t *ids, size_t n, MuseError *err);

/**
 * Make room, so that the next n steps of this session allocate nothing, whatever other sessions do with pages and however much is
 * prefilled before them. A fork of this session, a rewind and a step that failed end the promise; scratch is made anew when more
 * threads compute with the model at once than before, or for the first batch of a size.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT.
 */
MUSE_API int muse_session_reserve(MuseSession *session, size_t n, MuseError *err);

/**
 * A second session in the same state, with the same params, callbacks included. Memory: pages of keys and values are shared until
 * one of the two writes to them.
 * May be used in another thread than the original from here on; what the callbacks' user pointers lead to must live as long as both.
 * @param out Receives the handle, or NULL. Release with muse_session_close().
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_session_fork(MuseSession **out, const MuseSession *session, MuseError *err);

/**
 * Forget all positions from n on. Where a window's keys behind n were given back already (never within the last 32 positions),
 * everything is forgotten and computed again at the next prefill or step (said in the log at info level).
 * @return 0; as muse_sequence_truncate().
 */
MUSE_API int muse_session_rewind(MuseSession *session, size_t n, MuseError *err);

/**
 * Log-probabilities of given ids as the continuation of what the session holds, each given those before it. What was still to be
 * computed is computed; otherwise the session stays as it is. Progress sees the ids as positions too, the stages do not.
 * @param logprobs [n], natural logarithm, as exact as muse_logprobs(); not defined on error.
 * @return as muse_session_prefill(); MUSE_ERR_STATE: the model's logits are not all numbers.
 */
MUSE_API int muse_session_score(MuseSession *session, const int32_t *ids, size_t n, double *logprobs, MuseError *err);

/** Make the call that computes return MUSE_ERR_CANCELLED soon (after the layer it is in); without one, the next. Any thread. */
MUSE_API void muse_session_cancel(MuseSession *session);

/** Where a session stands, and what it takes. */
typedef struct MuseSessionInfo {
    uint64_t positions;    ///< in the sequence
    uint64_t computed;     ///< of these
    uint64_t reused;       ///< of these, taken from the prefix cache instead of being computed
    uint64_t kv_bytes;     ///< keys and values it holds, reserved room included
    uint64_t kv_own_bytes; ///< of these, what no other session or cache holds too
    uint64_t workspace_bytes; ///< scratch of the largest step so far; shared with other sessions of the model
    uint32_t compute;      ///< as asked for; MUSE_COMPUTE_AUTO is decided for each matrix by its type
    uint32_t kv;           ///< in use, never MUSE_KV_AUTO
} MuseSessionInfo;

/** One thread per handle. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_session_info(const MuseSession *session, MuseSessionInfo *out);

/**
 * Write the session to a file: positions, pictures and sounds with their originals, keys and values. Versioned, with
 * checksums; whole or not at all, and on the disk when it returns. The file holds what the session was given, unencrypted. docs/FORMATS.md has the layout.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_IO; MUSE_ERR_NOMEM; MUSE_ERR_STATE: placeholders can't be saved; MUSE_ERR_LIMIT: an original that is larger than
 *         the defaults of MuseImageParams and MuseAudioParams allow, or so many parts of pictures that restoring would decode over 2^34 pixels; MUSE_ERR_UNSUPPORTED: a big-endian machine.
 */
MUSE_API int muse_session_save(MuseSession *session, const char *path, MuseError *err);

/**
 * Open a session from a file of muse_session_save(). The file is treated as hostile. Any thread.
 * @param out    Receives the handle, or NULL. Release with muse_session_close().
 * @param model  The model it was saved with: name, geometry and sampled weights are compared.
 * @param params As muse_session_open(); compute, kv and image_mask must be 0 or what it was saved with.
 *               With a cache: what was restored is not put into it.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_IO; MUSE_ERR_FORMAT: damaged; MUSE_ERR_UNSUPPORTED: another model, mode or version, or an original that gives other
 *         features on this machine; MUSE_ERR_LIMIT; MUSE_ERR_NOMEM; those of opening its pictures and sounds.
 */
MUSE_API int muse_session_restore(MuseSession **out, MuseModel *model, const char *path, const MuseSessionParams *params, MuseError *err);

/**
 * A store of computed prefixes, shared by sessions of one model: a prompt that begins like an earlier one, pictures included
 * (by content), starts where they part. Any thread.
 * With windowed layers a prompt can be gone on from where an earlier one ended, or at the end of its last medium, not anywhere between.
 * @param out   Receives the handle, or NULL. Release with muse_prefix_cache_close().
 * @param model Kept alive by the cache.
 * @param max_bytes Of keys and values kept, shared ones once; the least recently used go first. 0 = 1 GiB.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_prefix_cache_open(MusePrefixCache **out, MuseModel *model, uint64_t max_bytes, MuseError *err);

/** Release; *cache becomes NULL. Sessions that use it keep it alive. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_prefix_cache_close(MusePrefixCache **cache);

/** What a cache keeps and how it served. */
typedef struct MusePrefixCacheInfo {
    uint64_t entries, bytes;            ///< kept
    uint64_t lookups, hits, positions;  ///< since open; positions: reused
} MusePrefixCacheInfo;

/** Any thread. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_prefix_cache_info(MusePrefixCache *cache, MusePrefixCacheInfo *out);

#ifdef __cplusplus
}
#endif
#endif
