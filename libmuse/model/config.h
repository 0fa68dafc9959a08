/* SPDX-License-Identifier: Apache-2.0 */
/* What a model is, in numbers: one decoder, configured per layer. Filled from a Hugging Face config.json or from GGUF metadata;
 * geometry is never defaulted, and a key that would change the computation and is not supported is refused by name.
 * Users: bind, model, embed, decoder, session, convert, train. */
#ifndef LIBMUSE_MODEL_CONFIG_H
#define LIBMUSE_MODEL_CONFIG_H

#include "base/alloc.h"
#include "base/gguf.h"
#include "base/json.h"
#include "base/log.h"
#include "muse/family.h"

typedef enum MuseArch { MUSE_ARCH_MUSE, MUSE_ARCH_GEMMA4, MUSE_ARCH_LLAMA, MUSE_ARCH_QWEN2, MUSE_ARCH_QWEN3, MUSE_ARCH_FUYU, MUSE_ARCH_COUNT } MuseArch;

typedef enum MuseNormKind { MUSE_RMSNORM, MUSE_LAYERNORM } MuseNormKind;
typedef enum MuseActKind {
    MUSE_ACT_SILU_GATED,       /* down( silu(gate x) * up x ) */
    MUSE_ACT_GELU_TANH_GATED,  /* the same with the tanh form of GELU */
    MUSE_ACT_RELU2             /* down( relu(up x)^2 ) */
} MuseActKind;
typedef enum MuseQkNorm { MUSE_QKNORM_NONE, MUSE_QKNORM_RMS, MUSE_QKNORM_LAYER } MuseQkNorm;

/* How positions of a picture see each other; the variants of the Gemma spec, section 2.6. */
typedef enum MuseImageMask { MUSE_MASK_CAUSAL, MUSE_MASK_A, MUSE_MASK_B } MuseImageMask;

enum { MUSE_NO = 0, MUSE_YES = 1, MUSE_BY_TENSOR = 2 };   /* BY_TENSOR: the file's tensors decide; bind.c settles it */

/* Rotary positions of a layer. Pair i is (i, i + width/2) of a head's first `width` values; the rest does not rotate.
 * Angle: p * f_i, f_i = base^(-2i/width) for i < pairs, 0 beyond; then the llama3 rule or the divisors, if any. */
typedef struct MuseRope {
    double   base;
    uint32_t width;            /* even, at most the head width */
    uint32_t pairs;            /* rotating ones, at most width/2 */
    uint32_t axes[3];          /* muse: pairs that follow time, row, column, in this order; their sum is `pairs`. Each axis starts at
                                * base^0 and uses its own share as width. Else 0: all follow the position's number in the sequence
                                * (not its t, which a picture's patches share) */
    double   factor, low_freq, high_freq;   /* llama3 rule; factor 0: none. Llama spec, section 2 */
    uint32_t original_positions;
    const float *divisors;     /* [width/2], f_i is divided by these; NULL: none. From GGUF's rope_freqs; of the model */
} MuseRope;

typedef struct MuseLayerConfig {
    uint32_t heads, kv_heads, head_width;   /* H, G, K */
    uint32_t window;           /* keys that a query sees, itself included; 0: all */
    uint8_t  k_eq_v;           /* MUSE_NO..MUSE_BY_TENSOR: the value is the raw key projection, there is no v_proj */
    float    scale;            /* of the scores */
    MuseRope rope;
} MuseLayerConfig;

typedef struct MuseImageConfig {
    bool     live;
    uint32_t unit;             /* side of a patch, pixels */
    uint32_t embed;            /* width after the first linear (E) */
    uint32_t mlp;              /* muse: width of a hidden layer on patches; 0: none */
    bool     levels;           /* muse: that layer also takes the patch's brightness and contrast (levels.h) */
    uint32_t positions;        /* entries of the position table; grid coordinates are below it */
    uint32_t budgets[MUSE_BUDGETS_MAX], budget;
    float    norm_eps;         /* of the LayerNorms */
    float    rms_eps;          /* of the weightless norm before the projection; 0: there is none */
} MuseImageConfig;

typedef struct MuseAudioConfig {
    bool     live;
    uint32_t frame;            /* values a frame (A) */
    uint32_t mel_bins, stack;  /* muse: frame = mel_bins * stack; else 0 */
    float    rms_eps;
} MuseAudioConfig;

enum { MUSE_IDS_MAX = 64 };    /* stop or suppressed ids a file may list */

typedef struct MuseIds {
    int32_t  ids[MUSE_IDS_MAX];
    uint32_t n;
} MuseIds;

typedef struct MuseConfig {
    MuseArch arch;
    uint32_t width, ffn, vocab, n_layers;   /* D, F, V, L */
    uint32_t context;          /* positions it was made for */
    MuseLayerConfig *layers;   /* [n_layers] */

    MuseNormKind norm;
    float    norm_eps;
    MuseActKind act;
    MuseQkNorm qk_norm;
    bool     v_norm;           /* values are RMS-normalised without weight */
    bool     sandwich;         /* norms also after attention and MLP, before the sums */
    bool     layer_scalar;     /* each layer's output is multiplied by one stored number */
    bool     fused_qkv;        /* one tensor, laid out per head: q, k, v */
    bool     qkv_bias, bias;   /* on q, k, v; on all linears but the head */
    float    embed_scale;      /* of token rows; media rows are never scaled */
    float    softcap;          /* cap * tanh(z / cap) on logits; 0: none */
    uint8_t  tied;             /* MUSE_NO..MUSE_BY_TENSOR */
    MuseImageMask image_mask;  /* the family's default */

    int32_t  bos, pad;         /* -1: none */
    MuseIds  eos, suppress;
    int32_t  image_begin, image_soft, image_end, image_row_end, video_soft;   /* -1: the file names none */
    int32_t  audio_begin, audio_soft, audio_end;
    MuseImageConfig image;
    MuseAudioConfig audio;

    bool     has_sampling;     /* what the publisher suggests; fields it leaves out are 0 */
    float    temperature, top_p, min_p, repetition;
    uint32_t top_k;
} MuseConfig;

/* Do they turn alike? */
bool muse_rope_equal(const MuseRope *a, const MuseRope *b);

/* "gemma4_unified" and so on; the names of muse_family_find() */
const char *muse_arch_name(MuseArch arch);

/* Fill from the bytes of config.json. Start with zeros; clear after use, also after errors. 0; MUSE_ERR_FORMAT: not JSON, a key
 * missing, of the wrong kind or out of range; MUSE_ERR_UNSUPPORTED: a model type, or a key that changes the computation (named);
 * MUSE_ERR_NOMEM. Keys that are not known are said in the log. */
int  muse_config_from_json(MuseConfig *c, const MuseAllocator *a, const MuseLog *log, const void *bytes, size_t size, MuseError *err);
/* Add generation_config.json, then processor_config.json, where a folder has them. */
int  muse_config_add_generation(MuseConfig *c, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err);
int  muse_config_add_processor(MuseConfig *c, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err);
/* Fill from GGUF metadata; then, where there is one, add a projector file ("mmproj"). */
int  muse_config_from_gguf(MuseConfig *c, const MuseAllocator *a, const MuseLog *log, const MuseGguf *g, MuseError *err);
int  muse_config_add_mmproj(MuseConfig *c, const MuseGguf *g, MuseError *err);
void muse_config_clear(MuseConfig *c);

/* A published end token by its text: GGUF names one, readers find the others so. */
bool muse_config_is_stop(const char *text, size_t n);

/* ---- shared by the two readers ---- */

/* largest numbers that are taken; far above published models, low enough that products fit */
enum { MUSE_WIDTH_MAX = 1 << 17, MUSE_FFN_MAX = 1 << 20, MUSE_VOCAB_MAX = 1 << 24, MUSE_LAYERS_MAX = 1024, MUSE_HEADS_MAX = 1024, MUSE_HEAD_WIDTH_MAX = 2048 };

/* What a family fixes by code; sets ids to -1. */
void muse_config_start(MuseConfig *c, MuseArch arch);
int  muse_config_alloc_layers(MuseConfig *c, const MuseAllocator *a, MuseError *err);
/* The last checks, which hold for either source. */
int  muse_config_finish(MuseConfig *c, MuseError *err);
int  muse_ids_add(MuseIds *list, int64_t id, uint32_t vocab, const char *what, MuseError *err);   /* once each, in order */

#endif
