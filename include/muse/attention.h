/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file attention.h
 * Where a session looks: attention weights of each new token over a range of positions, such as a picture's patches, in chosen layers and heads.
 *
 *   MuseWatchParams p; muse_watch_params_init(&p); p.image = 1;
 *   muse_session_watch(session, &p, &err);             // from here on
 *   ... muse_session_prefill(), muse_session_step() ...
 *   muse_session_heat(session, 1, values, cap, &heat, &err);   // the mean of these tokens; for muse_trace_heat() or muse_heat_overlay()
 *
 * Results of the session stay the same to the bit. One thread per session.
 */
#ifndef MUSE_ATTENTION_H
#define MUSE_ATTENTION_H

#include "muse/session.h"
#include "muse/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is watched. */
typedef struct MuseWatchParams {
    size_t          struct_size; ///< set by muse_watch_params_init()
    uint32_t        image;       ///< watch this picture of the sequence (MuseSpanInfo.number); 0: first and n
    uint64_t        first, n;    ///< positions first .. first + n - 1, n at least 1; they need not be there yet
    const uint32_t *layers;      ///< [n_layers] different ones, from 0; copied
    size_t          n_layers;    ///< 0 = all
    const uint32_t *heads;       ///< [n_heads] different query heads, from 0, which every watched layer has; copied
    size_t          n_heads;     ///< 0 = all (of the watched layer with the fewest)
    float          *weights;     ///< where MuseWatched.weights are to lie: the caller's, valid until the watch ends, its session's close at the latest; NULL = the library's own
    size_t          n_weights;   ///< room in them: n_layers * n_heads * n at least. muse_session_watched() tells these numbers, also of a watch that saw nothing yet
} MuseWatchParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_watch_params_init(MuseWatchParams *params);

/**
 * Watch from the next computed token on, or stop. A new watch takes the place of the old one; forks, files and caches do not take it along.
 * @param params NULL = stop.
 * @return 0; MUSE_ERR_ARG: no such layer, head or picture, one given twice, an empty range; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT: over 2^26 weights a token; MUSE_ERR_FULL: n_weights is too small. On error the old watch stays.
 */
MUSE_API int muse_session_watch(MuseSession *session, const MuseWatchParams *params, MuseError *err);

/** What was seen. */
typedef struct MuseWatched {
    uint64_t     position;          ///< of the newest token; its weights are those with which it looked back
    uint64_t     tokens;            ///< in the mean
    uint64_t     first, n;          ///< what is watched
    size_t       n_layers, n_heads;
    const float *weights;           ///< [n_layers][n_heads][n] of the newest token, in the order of params; 0 where a window or mask hides the position.
                                    ///< Over all positions a head's weights sum to 1
    const double *mean;             ///< [n] over layers, heads and tokens since the watch began or was reset
} MuseWatched;

/**
 * What was seen. Pointers live until the next call that computes, watches or closes.
 * @return 0; MUSE_AGAIN: no token was computed yet, weights and mean say nothing; MUSE_ERR_ARG; MUSE_ERR_STATE: nobody watches.
 */
MUSE_API int muse_session_watched(const MuseSession *session, MuseWatched *out, MuseError *err);

/** Begin the mean anew, as for the next step of a trace. Does nothing when nobody watches. */
MUSE_API void muse_session_watch_reset(MuseSession *session);

/**
 * The mean as a heat map of one picture, in pixels of the original, relative to nothing: values are mean weights.
 * @param image  Number of the picture; the watch must cover its patches.
 * @param values cap floats; receives one for each patch, rows first.
 * @param out    out->values is values, out->image is image. Padding patches reach beyond the picture.
 * @return as muse_session_watched(), MUSE_AGAIN excepted (MUSE_ERR_STATE instead); MUSE_ERR_ARG: no such picture, or not watched; MUSE_ERR_FULL: cap is too small.
 */
MUSE_API int muse_session_heat(const MuseSession *session, uint32_t image, float *values, size_t cap, MuseTraceHeat *out, MuseError *err);

#ifdef __cplusplus
}
#endif
#endif
