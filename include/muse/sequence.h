/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file sequence.h
 * The one list of positions that a model attends over: text tokens, image patches and audio frames in order.
 *
 * Append parts; every position then tells what it is and where it comes from. Counting, caching, masking, drawing and
 * debugging all read this list. A part may be appended by its size alone ("placeholder"): the positions are the same,
 * only the values are missing. One thread per handle; read-only calls may run at once when nobody appends.
 */
#ifndef MUSE_SEQUENCE_H
#define MUSE_SEQUENCE_H

#include "muse/audio.h"
#include "muse/family.h"
#include "muse/image.h"
#include "muse/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Positions of text, pictures and sounds in order. One thread at a time. Close with muse_sequence_close(), but for a session's, which goes with it. */
typedef struct MuseSequence MuseSequence;

/** What a position holds. */
enum {
    MUSE_TEXT  = 0, ///< a token id
    MUSE_IMAGE = 1, ///< a patch
    MUSE_AUDIO = 2, ///< an audio frame
    MUSE_ROWS  = 3  ///< a ready embedding
};

/** What a sequence is for. */
typedef struct MuseSequenceParams {
    size_t                   struct_size; ///< set by muse_sequence_params_init()
    const char              *family_name; ///< a built-in family; NULL = "muse", unless family is given
    const MuseFamily        *family;      ///< rules of one's own (a changed copy, a model's); goes before family_name. Copied; its strings must live until close
    const MuseTextTokenizer *tokenizer;   ///< for text and marker ids; NULL: media and ids only, markers take their published ids. Borrowed until close
    uint64_t                 max_positions; ///< refuse to grow over this; at most 2^31 - 1; 0 = 2^24
} MuseSequenceParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_sequence_params_init(MuseSequenceParams *params);

/**
 * Make an empty sequence. Any thread.
 * @param out Receives the handle, or NULL. Release with muse_sequence_close().
 * @param rt  NULL = defaults.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOT_FOUND: no family of that name; MUSE_ERR_NOMEM. A family whose tokenizer lacks its media markers still opens: appending that
 *         medium then gives MUSE_ERR_NOT_FOUND.
 */
MUSE_API int muse_sequence_open(MuseSequence **out, MuseRuntime *rt, const MuseSequenceParams *params, MuseError *err);

/** Release; *seq becomes NULL. NULL and a pointer to NULL are accepted. Pictures and sounds are released with it. */
MUSE_API void muse_sequence_close(MuseSequence **seq);

/*
 * Appending. Each call adds one span (with the family's markers around it) or, on error, nothing.
 * Common errors: MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT: over max_positions; MUSE_ERR_UNSUPPORTED: the family takes
 * no such medium, or text without a tokenizer; MUSE_ERR_NOT_FOUND: a marker without id; and those of muse_text_encode(),
 * muse_image_patches() and muse_audio_frames(), for placeholders of muse_image_plan() and muse_audio_plan().
 */

/**
 * Text, n bytes of UTF-8.
 * @param flags MUSE_TEXT_ADDED, MUSE_TEXT_BOS. The beginning is written once, before the first text, and where the family has a
 *              text_begin marker of its own it stands for it.
 */
MUSE_API int muse_sequence_append_text(MuseSequence *seq, const char *text, size_t n, unsigned flags, MuseError *err);

/** Token ids as they are; ids >= 0, checked against the tokenizer if there is one. */
MUSE_API int muse_sequence_append_ids(MuseSequence *seq, const int32_t *ids, size_t n, MuseError *err);

/** How one picture is appended. */
typedef struct MuseImageOptions {
    size_t        struct_size; ///< set by muse_image_options_init()
    uint32_t      budget;      ///< MUSE_BUDGET_DEFAULT, MUSE_BUDGET_AUTO or one of the family's budgets
    MuseCancelFn *cancel;      ///< NULL = never
    void         *cancel_user;
} MuseImageOptions;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_image_options_init(MuseImageOptions *options);

/** A picture, or a region of one. The sequence keeps a reference to it, for later looks. @param options NULL = defaults. */
MUSE_API int muse_sequence_append_image(MuseSequence *seq, MuseImage *image, const MuseImageOptions *options, MuseError *err);

/** A placeholder for a picture of this size in pixels, as seen (orientation applied). @param options NULL = defaults. */
MUSE_API int muse_sequence_append_image_size(MuseSequence *seq, uint32_t width, uint32_t height, const MuseImageOptions *options, MuseError *err);

/** A sound. The sequence keeps a reference to it. @param cancel NULL = never. */
MUSE_API int muse_sequence_append_audio(MuseSequence *seq, MuseAudio *audio, MuseCancelFn *cancel, void *cancel_user, MuseError *err);

/** A placeholder for a sound of n_samples a channel at this rate, samples per second. */
MUSE_API int muse_sequence_append_audio_length(MuseSequence *seq, uint64_t n_samples, uint32_t rate, MuseError *err);

/** Ready embeddings. @param rows Shape [n, width], f32, finite. Copied. */
MUSE_API int muse_sequence_append_rows(MuseSequence *seq, const float *rows, size_t n, size_t width, MuseError *err);

/**
 * A sequence of the same content, to go on with by itself. Pictures, sounds and their features are shared, not copied. The
 * tokenizer is borrowed as before.
 * @param out Receives the copy, or NULL. Release with muse_sequence_close().
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_sequence_copy(MuseSequence **out, const MuseSequence *seq, MuseError *err);

/**
 * Forget all positions from n on.
 * @return 0; MUSE_ERR_ARG: more than there are, or a cut through a picture, a sound or rows. On error nothing changes.
 */
MUSE_API int muse_sequence_truncate(MuseSequence *seq, size_t n, MuseError *err);

/* Reading: any number of threads while nobody appends. */

/** Number of positions, T. 0 if seq is NULL. */
MUSE_API size_t muse_sequence_length(const MuseSequence *seq);

/** One position. Fields that do not apply to its modality are 0. */
typedef struct MusePosition {
    int      modality;     ///< MUSE_TEXT .. MUSE_ROWS
    int      is_marker;    ///< 1: a token that the family wrote around or between media
    int32_t  id;           ///< token id; at patches and frames the family's placeholder id, -1 if it has none
    uint32_t span;         ///< which span it belongs to
    uint32_t index;        ///< patch, frame or row number in its span; text: number of the token in its span
    int32_t  t, y, x;      ///< t: order in time (a picture's patches share one t); y, x: patch row and column (a row-end marker has those after its row)
    MuseRect source;       ///< MUSE_IMAGE: pixels of the original picture
    double   start_ms, end_ms; ///< MUSE_AUDIO: from the start of the sound; end_ms is clipped to its length
    const char *bytes;     ///< MUSE_TEXT: the text bytes of the token, not terminated; lives as long as tokenizer and sequence. Without a tokenizer only markers have them
    size_t   n_bytes;
} MusePosition;

/** Read position i. @return 0; MUSE_ERR_ARG: no such position. */
MUSE_API int muse_sequence_position(const MuseSequence *seq, size_t i, MusePosition *out);

/** Number of spans (appended parts). 0 if seq is NULL. */
MUSE_API size_t muse_sequence_span_count(const MuseSequence *seq);

/** What is known of one appended part. */
typedef struct MuseSpanInfo {
    int      modality;        ///< MUSE_TEXT .. MUSE_ROWS
    int      is_placeholder;  ///< 1: appended by size only; no features, hash of the size
    size_t   first, count;    ///< its positions, markers included
    size_t   n_features;      ///< patches, frames or rows
    size_t   feature_width;   ///< values each; 0 for text
    uint8_t  hash[32];        ///< of the content and what was made of it: equal hashes, equal ids and features (a region's place in its original is not content). BLAKE2b
    MuseImagePlan image;      ///< MUSE_IMAGE
    MuseRect      region;     ///< MUSE_IMAGE: the part of the original that was given
    uint32_t      number;     ///< MUSE_IMAGE, MUSE_AUDIO: its number among the pictures or sounds, from 1; what "<image 2>" means
    MuseAudioPlan audio;      ///< MUSE_AUDIO
} MuseSpanInfo;

/** Read span k. @return 0; MUSE_ERR_ARG: no such span. */
MUSE_API int muse_sequence_span(const MuseSequence *seq, size_t k, MuseSpanInfo *out);

/**
 * Features of a span.
 * @param out Shape [n, feature_width], f32, of features first .. first + n - 1.
 * @return 0; MUSE_ERR_ARG: out of range, or a text span; MUSE_ERR_STATE: a placeholder.
 */
MUSE_API int muse_sequence_features(const MuseSequence *seq, size_t k, size_t first, size_t n, float *out, MuseError *err);

/**
 * Hash of the first n positions: equal for two sequences exactly when those hold the same content in the same order. How text
 * and rows were split into parts does not matter. Read-only.
 * @return 0; MUSE_ERR_ARG.
 */
MUSE_API int muse_sequence_hash(const MuseSequence *seq, size_t n, uint8_t hash[32]);

/** How a sequence is drawn. */
typedef struct MuseDrawParams {
    size_t   struct_size;  ///< set by muse_draw_params_init()
    uint32_t max_width;    ///< widest picture to make, pixels; 0 = 1600
} MuseDrawParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_draw_params_init(MuseDrawParams *params);

/**
 * Draw what the model gets: tokens, each picture with its patch grid, each sound with its frames. Any thread.
 * @param rgb     Receives height rows of width * 3 bytes, no gaps; release with muse_free().
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT: over 2^26 pixels.
 */
MUSE_API int muse_sequence_draw(const MuseSequence *seq, const MuseDrawParams *params, uint8_t **rgb, uint32_t *width,
                                uint32_t *height, MuseError *err);

#ifdef __cplusplus
}
#endif
#endif
