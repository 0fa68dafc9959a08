/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file model.h
 * Open a model as it is published, and read what it is: a Hugging Face folder (config.json, safetensors in one file or in
 * shards, tokenizer.json) or a GGUF file, with the projector file ("mmproj") beside it where the publisher split it.
 *
 * Files are mapped, not copied. They are treated as hostile: the whole header is checked before anything is sized by it, and a
 * tensor or key that does not fit is an error that names it. A MuseModel is read-only after open and shared by any number
 * of threads.
 */
#ifndef MUSE_MODEL_H
#define MUSE_MODEL_H

#include "muse/family.h"
#include "muse/runtime.h"
#include "muse/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A model: configuration and mapped weights. Read-only: any thread, any number of sessions, which keep it alive. Close with muse_model_close(). */
typedef struct MuseModel MuseModel;

/** Where the weights come from. */
enum {
    MUSE_WEIGHTS_FILES  = 0, ///< path is a folder or a weight file: mapped
    MUSE_WEIGHTS_RANDOM = 1, ///< path is a config.json: drawn, BF16, always the same: to measure a shape that nobody has trained
    MUSE_WEIGHTS_NONE   = 2  ///< path is a config.json: none; muse_model_info(), _type(), _tensor() and _memory() tell what there would be, sessions are MUSE_ERR_STATE
};

/** How a model is opened. */
typedef struct MuseModelParams {
    size_t      struct_size; ///< set by muse_model_params_init()
    const char *mmproj;      ///< the projector file of a GGUF text model; NULL: none, the model then takes text only. Borrowed for the call
    uint32_t    weights;     ///< MUSE_WEIGHTS_*
} MuseModelParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_model_params_init(MuseModelParams *params);

/**
 * Open a model. Any thread.
 *
 * Families: muse, gemma4_unified, llama (3.x, SmolLM2), qwen2, qwen3, fuyu. Tensor types: F32, F16, BF16, and in GGUF also
 * Q8_0, Q4_0, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K.
 *
 * @param out     Receives the handle, or NULL on error. Release with muse_model_close().
 * @param rt      NULL = defaults. Kept alive by the model.
 * @param path    A folder, a .safetensors file or index inside one, or a GGUF file; params->weights may make it a config.json.
 * @param params  Borrowed for the call; NULL = defaults.
 * @param err     Optional; names the file and the key or tensor.
 * @return 0; MUSE_ERR_ARG; MUSE_ERR_IO: a file is missing (a shard, config.json); MUSE_ERR_FORMAT: damaged, or a tensor or key
 *         is missing, twice, or contradicts another; MUSE_ERR_UNSUPPORTED: a family, number type or configuration key (experts,
 *         per-layer inputs, other RoPE scaling ...) that is not supported; MUSE_ERR_LIMIT; MUSE_ERR_NOMEM.
 */
MUSE_API int muse_model_open(MuseModel **out, MuseRuntime *rt, const char *path, const MuseModelParams *params, MuseError *err);

/** One more reference to the same model, for another owner to close. Any thread. @return model. */
MUSE_API MuseModel *muse_model_ref(MuseModel *model);

/** Release one reference; *model becomes NULL. NULL and a pointer to NULL are accepted. Any thread. */
MUSE_API void muse_model_close(MuseModel **model);

/** What a model is. */
typedef struct MuseModelInfo {
    const char *family;         ///< "gemma4_unified", ...; static
    const char *format;         ///< "safetensors" or "gguf"; static
    int         takes_images;   ///< 1: pictures may be parts of a sequence of this model
    int         takes_audio;    ///< 1: sounds may
    uint32_t    n_layers;
    uint32_t    n_windowed;     ///< layers whose attention has a window
    uint32_t    window;         ///< its size, positions; 0 if there is none
    uint32_t    width;          ///< of the embedding space, D
    uint32_t    ffn;            ///< of the MLP, F
    uint32_t    vocab;          ///< ids 0 .. vocab - 1
    uint32_t    heads;          ///< query heads of the first layer, H
    uint32_t    kv_heads;       ///< key/value heads of the first layer, G
    uint32_t    head_width;     ///< of the first layer, K
    int         tied;           ///< 1: the head is the embedding
    uint64_t    context_limit;  ///< positions the model was made for
    uint64_t    n_parameters;   ///< values of all tensors in use, tied ones once
    uint64_t    weights_bytes;  ///< their bytes in the files
    uint64_t    file_bytes;     ///< all weight files
    size_t      n_tensors;      ///< tensors in use
    size_t      n_unused;       ///< tensors in the files that have no role
    size_t      n_files;        ///< weight files: 1, shards, or text and projector
    int32_t     bos, pad;       ///< token ids; -1: none
    const int32_t *eos;         ///< ids that end generation; lives as long as the model
    size_t      n_eos;
    const int32_t *suppressed;  ///< ids that must never be sampled
    size_t      n_suppressed;
    float       temperature, top_p; ///< what the publisher suggests, as MuseSampleParams has it; 0: nothing
    uint32_t    top_k;
    float       min_p, repetition; ///< as above
} MuseModelInfo;

/** Any thread. @return 0; MUSE_ERR_ARG: a null pointer. */
MUSE_API int muse_model_info(const MuseModel *model, MuseModelInfo *out);

/** How much of the weights is of one number type. */
typedef struct MuseModelType {
    const char *name;           ///< "BF16", "Q4_K", ...; static
    size_t      n_tensors;
    uint64_t    n_values, bytes;
} MuseModelType;

/** Type number i of those that occur in the files, by bytes, largest first. Any thread. @return 0; MUSE_ERR_ARG; MUSE_ERR_NOT_FOUND: no more. */
MUSE_API int muse_model_type(const MuseModel *model, size_t i, MuseModelType *out);

/** One tensor of a model's files. */
typedef struct MuseTensorInfo {
    const char *name;           ///< as the file has it; lives as long as the model
    const char *type;           ///< static
    const char *file;           ///< path of the file it lies in; lives as long as the model
    uint32_t    rank;           ///< 0 to 4
    uint64_t    shape[4];       ///< outermost first, as Hugging Face writes it, for GGUF too; unused ones are 1
    uint64_t    bytes;
} MuseTensorInfo;

/** Tensors in all files, those without a role included. 0 if model is NULL. Any thread. */
MUSE_API size_t muse_model_tensor_count(const MuseModel *model);

/** Tensor number i, by file, then by name. Any thread. @return 0; MUSE_ERR_ARG: no such tensor. */
MUSE_API int muse_model_tensor(const MuseModel *model, size_t i, MuseTensorInfo *out);

/** What running the model with one sequence of n positions takes, in bytes. */
typedef struct MuseModelMemory {
    uint64_t positions;
    uint64_t weights;           ///< mapped
    uint64_t kv_16, kv_8;       ///< keys and values in bf16; in 8 bit with a 16-bit scale for every 32 values
    uint64_t workspace;         ///< scratch of one step and one chunk of a prompt; docs/ARCHITECTURE.md states the sum
} MuseModelMemory;

/** Any thread. @param positions 1 .. 2^30; 0 = the model's context limit. @return 0; MUSE_ERR_ARG. */
MUSE_API int muse_model_memory(const MuseModel *model, uint64_t positions, MuseModelMemory *out);

/**
 * The rules that turn parts into this model's positions: the family's table with the model's own numbers (size of a patch,
 * budgets, ids of markers). Pass it to muse_sequence_open(). A medium that the model does not take has kind NONE there, so
 * appending it is an error. Any thread.
 * @return lives as long as the model; NULL if model is NULL.
 */
MUSE_API const MuseFamily *muse_model_family(const MuseModel *model);

/**
 * Open the tokenizer that came with the model: tokenizer.json of the folder, or the metadata of the GGUF file. Any thread.
 * @param out Receives the handle, or NULL. Release with muse_text_close(); may outlive the model.
 * @return as muse_text_open_file(); MUSE_ERR_FORMAT also: it has more tokens than the model.
 */
MUSE_API int muse_model_open_tokenizer(const MuseModel *model, MuseTextTokenizer **out, MuseError *err);

#ifdef __cplusplus
}
#endif
#endif
