/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file family.h
 * How a model family turns pictures and sounds into positions: tables, not code.
 *
 * A family gives the rules; a model's own configuration may change numbers in a copy of them
 * (a tiny test checkpoint has patches of 12 pixels, say). Everything here is plain data.
 */
#ifndef MUSE_FAMILY_H
#define MUSE_FAMILY_H

#include "muse/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How the size a picture is resized to follows from its own. */
enum {
    MUSE_IMAGE_NONE = 0, ///< the family takes no pictures
    MUSE_IMAGE_FILL = 1, ///< scale up or down to fill a budget of patches, both sides whole patches, aspect nearly kept
    MUSE_IMAGE_FIT  = 2, ///< scale down only, into a largest size, then pad right and bottom to whole patches
    MUSE_IMAGE_FILL_EXACT = 3 ///< as FILL, in whole numbers: a square picture is a square of patches whatever its side, where FILL loses a row and a column to rounding
};

/** Resampling filters, all antialiased (support grows with the downscale), as Pillow and torchvision define them. */
enum {
    MUSE_FILTER_BOX      = 1, ///< mean of what a pixel covers; half-width 0.5 of the larger pixel
    MUSE_FILTER_BILINEAR = 2, ///< triangle, half-width 1
    MUSE_FILTER_BICUBIC  = 3  ///< a = -0.5, half-width 2
};

/** Fixed-point precision of the filter weights; results differ in under 2 % of bytes, by 1 level (by 2 in a few of 100,000). */
enum {
    MUSE_PRECISION_TORCH  = 0, ///< int16 weights, precision chosen per axis; what the reference processors compute
    MUSE_PRECISION_PILLOW = 1  ///< 22 bits
};

/** What becomes of an alpha channel. */
enum {
    MUSE_ALPHA_OVER = 0, ///< composited over MuseImageRule.background
    MUSE_ALPHA_DROP = 1  ///< ignored, the stored colours are used; what the Gemma and Fuyu processors do
};

#define MUSE_BUDGET_DEFAULT 0u         ///< the family's own
#define MUSE_BUDGET_AUTO    0xffffffffu ///< the smallest allowed budget that does not shrink the picture; else the largest
/** Bounds of a rule. */
enum {
    MUSE_BUDGETS_MAX = 8 ///< most numbers of patches that MuseImageRule.budgets lists
};

/** From pixels to patches. @source Gemma 4: spec 3.1 to 3.3; Fuyu: spec 3. */
typedef struct MuseImageRule {
    size_t   struct_size;               ///< sizeof(MuseImageRule)
    uint32_t kind;                      ///< MUSE_IMAGE_*
    uint32_t unit;                      ///< side of a patch, pixels of the resized picture, 1..256
    uint32_t budgets[MUSE_BUDGETS_MAX]; ///< FILL: allowed numbers of patches, ascending, then 0; first 0: any from 1 to 65536
    uint32_t budget;                    ///< FILL: the default
    uint32_t max_width, max_height;     ///< largest size of the resized picture, pixels. FIT: multiples of unit or not; FILL: from a patch on, a longer side is cut to it and the other follows; 0 = no limit but the budget
    uint32_t filter;                    ///< MUSE_FILTER_*
    uint32_t precision;                 ///< MUSE_PRECISION_*
    uint32_t alpha;                     ///< MUSE_ALPHA_*
    uint8_t  background[3];             ///< RGB under MUSE_ALPHA_OVER
    uint8_t  pad;                       ///< FIT: value of padded samples, 0..255
    float    scale, offset;             ///< a patch value is sample * scale + offset, sample in 0..255
} MuseImageRule;

/** How a sound becomes frames. */
enum {
    MUSE_AUDIO_NONE   = 0, ///< the family takes no sound
    MUSE_AUDIO_RAW    = 1, ///< consecutive blocks of samples, the last padded with zeros
    MUSE_AUDIO_LOGMEL = 2  ///< log-mel spectrum columns, `stack` of them side by side, the last padded with the silence value
};

/** Lower end of the log-mel range. */
enum {
    MUSE_MEL_FLOOR_FIXED = 0, ///< log10 power is cut at `floor_db / 10`: causal, so a live feed equals the whole file
    MUSE_MEL_FLOOR_GLOBAL = 1 ///< 8 below the loudest value of the whole sound: Whisper's rule; needs the end of the sound
};

/** From sound to frames. @source Gemma 4: spec 4; log-mel: Radford et al. 2022, section 2.2. */
typedef struct MuseAudioRule {
    size_t   struct_size;   ///< sizeof(MuseAudioRule)
    uint32_t kind;          ///< MUSE_AUDIO_*
    uint32_t rate;          ///< samples per second the frames are cut from; 16000
    uint32_t frame_samples; ///< RAW: samples a frame, 1..16384
    uint32_t window, hop;   ///< LOGMEL: samples; 400 (25 ms) and 160 (10 ms) at 16 kHz
    uint32_t mel_bins;      ///< LOGMEL: 1..256, 80 or 128 as a rule
    uint32_t stack;         ///< LOGMEL: columns a frame, 1..64
    uint32_t floor_rule;    ///< LOGMEL: MUSE_MEL_FLOOR_*
    float    floor_db;      ///< LOGMEL, fixed floor: decibels of power, such as -80
    float    max_seconds;   ///< what the model was made for; longer sound is taken whole and reported; 0 = no statement
} MuseAudioRule;

/** A token that a family writes around or between media positions. */
typedef struct MuseMarker {
    const char *text; ///< the added token's exact text, looked up in the tokenizer; NULL = none. May hold one %u: the number of the picture, from 1
    int32_t     id;   ///< published id, used when no tokenizer is given; -1 = unknown
} MuseMarker;

/** How a family of models wants its pictures, sounds and texts. */
typedef struct MuseFamily {
    const char   *name;                            ///< "gemma4_unified", "fuyu", "muse", "llama", "qwen2", "qwen3", "smollm2", "gpt2"
    MuseImageRule image;
    MuseMarker    image_begin, image_soft, image_end; ///< before, at each patch, after
    MuseMarker    image_row_end;                   ///< after each row of patches
    MuseAudioRule audio;
    MuseMarker    audio_begin, audio_soft, audio_end;
    MuseMarker    text_begin;                      ///< written once, before the first text (Fuyu's `<s>`, which follows the picture)
} MuseFamily;

/** Number of built-in families. Any thread. */
MUSE_API size_t muse_family_count(void);

/** Family number i, or NULL. Static, read-only. Any thread. */
MUSE_API const MuseFamily *muse_family_at(size_t i);

/** A family by name, or NULL if there is none of that name. Static, read-only. Any thread. */
MUSE_API const MuseFamily *muse_family_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
