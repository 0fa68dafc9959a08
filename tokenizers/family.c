/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in families, as one table. Sources: Gemma 4 spec sections 1.3, 3, 4 and 5.2; Fuyu spec sections 3 and 4;
 * muse: docs/ARCHITECTURE.md, "The muse family". */
#include "muse/family.h"

#include <string.h>

#define NO_MARKER { NULL, -1 }
#define NO_IMAGE { .struct_size = sizeof(MuseImageRule), .kind = MUSE_IMAGE_NONE }
#define NO_AUDIO { .struct_size = sizeof(MuseAudioRule), .kind = MUSE_AUDIO_NONE }
#define TEXT_ONLY(family) { .name = family, .image = NO_IMAGE, .image_begin = NO_MARKER, .image_soft = NO_MARKER, .image_end = NO_MARKER, \
    .image_row_end = NO_MARKER, .audio = NO_AUDIO, .audio_begin = NO_MARKER, .audio_soft = NO_MARKER, .audio_end = NO_MARKER, .text_begin = NO_MARKER }

static const MuseFamily families[] = {
    {
        .name = "muse",
        .image = {
            .struct_size = sizeof(MuseImageRule), .kind = MUSE_IMAGE_FILL_EXACT, .unit = 8,
            .budgets = { 64, 144, 256, 576, 1024 }, .budget = 64, .max_width = 512, .max_height = 512,   /* 64 places a side */
            .filter = MUSE_FILTER_BICUBIC, .precision = MUSE_PRECISION_TORCH,
            .alpha = MUSE_ALPHA_OVER, .background = { 255, 255, 255 }, .scale = 1.0f / 255,
        },
        .image_begin = { "<image %u>", -1 }, .image_soft = NO_MARKER, .image_end = { "</image>", -1 }, .image_row_end = NO_MARKER,
        .audio = {
            .struct_size = sizeof(MuseAudioRule), .kind = MUSE_AUDIO_LOGMEL, .rate = 16000, .window = 400, .hop = 160,
            .mel_bins = 80, .stack = 4, .floor_rule = MUSE_MEL_FLOOR_FIXED, .floor_db = -80, .max_seconds = 30,
        },
        .audio_begin = { "<audio>", -1 }, .audio_soft = NO_MARKER, .audio_end = { "</audio>", -1 },
        .text_begin = NO_MARKER,
    },
    {
        .name = "gemma4_unified",
        .image = {
            .struct_size = sizeof(MuseImageRule), .kind = MUSE_IMAGE_FILL, .unit = 48,
            .budgets = { 70, 140, 280, 560, 1120 }, .budget = 280,
            .filter = MUSE_FILTER_BICUBIC, .precision = MUSE_PRECISION_TORCH,
            .alpha = MUSE_ALPHA_DROP, .scale = 0.00392156862745098f,
        },
        .image_begin = { "<|image>", 255999 }, .image_soft = { "<|image|>", 258880 }, .image_end = { "<image|>", 258882 }, .image_row_end = NO_MARKER,
        .audio = {
            .struct_size = sizeof(MuseAudioRule), .kind = MUSE_AUDIO_RAW, .rate = 16000, .frame_samples = 640, .max_seconds = 30,
        },
        .audio_begin = { "<|audio>", 256000 }, .audio_soft = { "<|audio|>", 258881 }, .audio_end = { "<audio|>", 258883 },
        .text_begin = NO_MARKER,
    },
    {
        .name = "fuyu",
        .image = {
            .struct_size = sizeof(MuseImageRule), .kind = MUSE_IMAGE_FIT, .unit = 30, .max_width = 1920, .max_height = 1080,
            .filter = MUSE_FILTER_BILINEAR, .precision = MUSE_PRECISION_TORCH,
            .alpha = MUSE_ALPHA_DROP, .pad = 1, .scale = 1.0f / 127.5f, .offset = -1,
        },
        .image_begin = NO_MARKER, .image_soft = { "|SPEAKER|", 71011 }, .image_end = NO_MARKER, .image_row_end = { "|NEWLINE|", 71019 },
        .audio = NO_AUDIO,
        .audio_begin = NO_MARKER, .audio_soft = NO_MARKER, .audio_end = NO_MARKER,
        .text_begin = { "<s>", 1 },
    },
    TEXT_ONLY("llama"), TEXT_ONLY("qwen2"), TEXT_ONLY("qwen3"), TEXT_ONLY("smollm2"), TEXT_ONLY("gpt2"),
};

enum { FAMILIES = sizeof families / sizeof *families };

size_t muse_family_count(void) { return FAMILIES; }

const MuseFamily *muse_family_at(size_t i) { return i < FAMILIES ? &families[i] : NULL; }

const MuseFamily *muse_family_find(const char *name)
{
    for (size_t i = 0; name && i < FAMILIES; i++)
        if (strcmp(families[i].name, name) == 0) return &families[i];
    return NULL;
}
