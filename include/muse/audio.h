/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file audio.h
 * The audio tokenizer: files, PCM or a live feed to frames.
 *
 * Sound is mixed down to one channel (mean), brought to the rule's rate (soxr) and cut into frames. Whole files and
 * live feeds run through the same code in the same blocks, so their frames are equal bit for bit.
 */
#ifndef MUSE_AUDIO_H
#define MUSE_AUDIO_H

#include "muse/family.h"
#include "muse/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A sound, opened. Read-only: any thread. Counted references: whoever opened it closes with muse_audio_close(). */
typedef struct MuseAudio MuseAudio;
/** What a rule made of a sound: frames. Read-only: any thread. Close with muse_frames_close(). */
typedef struct MuseFrames MuseFrames;
/** Sound that is still arriving. One thread at a time. Close with muse_audio_feed_close(). */
typedef struct MuseAudioFeed MuseAudioFeed;

/** How sounds are opened. */
typedef struct MuseAudioParams {
    size_t   struct_size;  ///< set by muse_audio_params_init()
    double   max_seconds;  ///< refuse longer sounds, from the header where it tells, else while decoding; 0 = 4 hours
    uint64_t max_bytes;    ///< refuse larger files; 0 = 2^31
    int      borrow;       ///< open_memory, open_pcm: 1 = the caller's bytes stay valid and unchanged until the last reference is closed (sequences hold some), no copy is made
    MuseReleaseFn *release;///< with borrow: told when the bytes are no longer needed, if open returned 0; NULL = nobody is told
    void    *release_user;
} MuseAudioParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_audio_params_init(MuseAudioParams *params);

/**
 * Open a sound file: WAV (also RF64), FLAC, OGG (Vorbis, Opus), MP3 (also layer II) or AIFF. Any thread. Other containers
 * are MUSE_ERR_UNSUPPORTED, as are chained Ogg streams. A file over 64 MiB must not be shortened by others while it is open (it is mapped).
 * The length is checked here where the container states it, and in muse_audio_frames(); rules: docs/audio.md.
 * @param out     Receives the handle, or NULL. Release with muse_audio_close().
 * @param rt      NULL = defaults.
 * @param params  NULL = defaults.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_IO; MUSE_ERR_FORMAT; MUSE_ERR_UNSUPPORTED; MUSE_ERR_LIMIT; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_audio_open_file(MuseAudio **out, MuseRuntime *rt, const char *path, const MuseAudioParams *params, MuseError *err);

/** The same from the bytes of such a file. Copied unless params->borrow. @return as muse_audio_open_file(), MUSE_ERR_IO excepted. */
MUSE_API int muse_audio_open_memory(MuseAudio **out, MuseRuntime *rt, const void *bytes, size_t size,
                                    const MuseAudioParams *params, MuseError *err);

/** Sample types of PCM. */
enum {
    MUSE_PCM_S16 = 1, ///< int16_t, -32768..32767
    MUSE_PCM_F32 = 2  ///< float, full scale -1..1
};

/**
 * Wrap PCM in native byte order. s16 is divided by 32768. Any thread.
 * @param pcm       n_samples * channels values, channels interleaved. Copied unless params->borrow.
 * @param n_samples Samples a channel.
 * @param rate      1000..768000 samples per second.
 * @param channels  1..64.
 * @return as muse_audio_open_file(); MUSE_ERR_FORMAT: a sample that is NaN, infinite or beyond 1e15 (its index is named).
 */
MUSE_API int muse_audio_open_pcm(MuseAudio **out, MuseRuntime *rt, const void *pcm, uint64_t n_samples, int type,
                                 uint32_t rate, uint32_t channels, const MuseAudioParams *params, MuseError *err);

/** Release one reference; *audio becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_audio_close(MuseAudio **audio);

/** One more reference to the same sound. Any thread. @return audio. */
MUSE_API MuseAudio *muse_audio_ref(MuseAudio *audio);

/** What is known of an open sound. */
typedef struct MuseAudioInfo {
    uint64_t    n_samples;  ///< samples a channel, as stored
    uint32_t    rate;       ///< samples per second, as stored
    uint32_t    channels;
    double      seconds;
    const char *format;     ///< "wav", "flac", "ogg", "mp3", "mp2", "aiff" or "pcm"; static
} MuseAudioInfo;

/** Any thread. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_audio_info(const MuseAudio *audio, MuseAudioInfo *out);

/** What a rule makes of a length. */
typedef struct MuseAudioPlan {
    uint64_t n_used;      ///< samples after resampling: round(n_samples * rule rate / rate)
    uint64_t n_frames;    ///< positions
    uint32_t frame_width; ///< values a frame
    double   ms_per_frame;///< milliseconds a frame stands for
    int      too_long;    ///< 1: longer than rule->max_seconds; taken whole all the same
} MuseAudioPlan;

/**
 * Frames for a sound of this length. No samples needed: this is how tokens are counted. Any thread.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_UNSUPPORTED: no sound in this family; MUSE_ERR_LIMIT: over 2^31 frames.
 * @source Gemma 4 spec 4.
 */
MUSE_API int muse_audio_plan(const MuseAudioRule *rule, uint64_t n_samples, uint32_t rate, MuseAudioPlan *out, MuseError *err);

/**
 * Decode, mix, resample and cut the whole sound. Any thread.
 * @param out     Receives the frames, or NULL. Release with muse_frames_close().
 * @param cancel  NULL = never.
 * @return as muse_audio_plan() and muse_audio_open_file(); MUSE_ERR_CANCELLED; MUSE_ERR_FORMAT also when the file ends
 *         before the length its header promises or goes on after it, or holds samples that are NaN, infinite or beyond 1e15.
 */
MUSE_API int muse_audio_frames(MuseFrames **out, const MuseAudio *audio, const MuseAudioRule *rule,
                               MuseCancelFn *cancel, void *cancel_user, MuseError *err);

/** Release; *frames becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_frames_close(MuseFrames **frames);

/** One more reference to the same frames. Any thread. @return frames. */
MUSE_API MuseFrames *muse_frames_ref(MuseFrames *frames);

/** The plan that was carried out. Lives as long as frames; NULL if frames is NULL. */
MUSE_API const MuseAudioPlan *muse_frames_plan(const MuseFrames *frames);

/** All values, f32, shape [n_frames, frame_width]. Lives as long as frames; NULL if frames is NULL or empty. */
MUSE_API const float *muse_frames_data(const MuseFrames *frames);

/** Content hash of the frames and the rule: equal hashes, equal features. BLAKE2b, 32 bytes. Any thread. */
MUSE_API void muse_frames_hash(const MuseFrames *frames, uint8_t hash[32]);

/**
 * Open a live feed. One thread per handle. Memory is bounded: the resampler's state, under a second of samples, and the
 * frames not yet taken. Resampled sound lags, by 40 ms from 44.1 or 48 kHz and 115 ms from 8 kHz, and
 * comes in steps of 960 samples of the feed; at the rule's own rate it does neither.
 * @param out     Receives the handle, or NULL. Release with muse_audio_feed_close().
 * @param rule    Copied; a model's is muse_model_family(model)->audio.
 * @param type,rate,channels As muse_audio_open_pcm().
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_UNSUPPORTED: no sound in this family, or MUSE_MEL_FLOOR_GLOBAL, which needs the end of
 *         the sound first; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_audio_feed_open(MuseAudioFeed **out, MuseRuntime *rt, const MuseAudioRule *rule, int type, uint32_t rate,
                                  uint32_t channels, MuseError *err);

/**
 * Give PCM as it arrives, any number of samples.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_FORMAT: a sample that is NaN, infinite or beyond 1e15 (the feed is unchanged);
 *         MUSE_ERR_STATE: after finish; MUSE_ERR_NOMEM (the feed is unchanged, unless it was the resampler's
 *         own memory: then only close is left).
 */
MUSE_API int muse_audio_feed_push(MuseAudioFeed *feed, const void *pcm, size_t n_samples, MuseError *err);

/** No more sound will come: the last, partly padded frame becomes available. A second call does nothing.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_STATE: an earlier call broke it. */
MUSE_API int muse_audio_feed_finish(MuseAudioFeed *feed, MuseError *err);

/** Frames that can be taken now. 0 if feed is NULL. */
MUSE_API size_t muse_audio_feed_ready(const MuseAudioFeed *feed);

/**
 * Take frames in order.
 * @param out   Shape [max_frames, frame_width].
 * @param n     Receives the number written, 0..max_frames.
 * @return 0; MUSE_AGAIN: none ready, more may come; MUSE_DONE: finished and all taken; MUSE_ERR_ARG.
 */
MUSE_API int muse_audio_feed_take(MuseAudioFeed *feed, float *out, size_t max_frames, size_t *n);

/** Release; *feed becomes NULL. NULL and a pointer to NULL are accepted. */
MUSE_API void muse_audio_feed_close(MuseAudioFeed **feed);

#ifdef __cplusplus
}
#endif
#endif
