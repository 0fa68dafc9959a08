/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file convert.h
 * Model files from one container and number type into another: a Hugging Face folder into a folder or a GGUF file, a GGUF file
 * into a GGUF file or a folder. Nothing that the target can't say is dropped in silence: it is refused, or said in the log.
 */
#ifndef MUSE_CONVERT_H
#define MUSE_CONVERT_H

#include "muse/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Called from the calling thread after every few megabytes. tensor: the one being written, valid for the call. */
typedef void MuseConvertProgressFn(void *user, uint64_t bytes_done, uint64_t bytes_total, const char *tensor);

/** Into what a model is converted. */
typedef struct MuseConvertParams {
    size_t      struct_size;       ///< set by muse_convert_params_init()
    const char *type;              ///< "f32", "bf16", "f16"; into GGUF also "q8_0", "q4_0", "q4_k", "q5_k", "q6_k", "q5_0", "q5_1". Needed
    const char *mmproj;            ///< Gemma's projector file. Folder to GGUF: where to write it, NULL = beside the GGUF file, its name with
                                   ///< "mmproj-" before it. GGUF to folder: the file to read, NULL = a text model is made. Else: NULL
    uint64_t    shard_bytes;       ///< largest data of one safetensors file; 0 = one file
    MuseConvertProgressFn *progress; ///< NULL: none
    void       *progress_user;     ///< handed to progress unchanged
    MuseCancelFn *cancel;          ///< NULL: none
    void       *cancel_user;       ///< handed to cancel unchanged
} MuseConvertParams;

/** Fill with defaults (all 0 but struct_size). Any thread. */
MUSE_API void muse_convert_params_init(MuseConvertParams *params);

/** What was written. */
typedef struct MuseConvertInfo {
    uint64_t n_tensors;            ///< in all files written
    uint64_t n_kept;               ///< matrices whose rows are no whole number of blocks of the wanted type; the log names each at level info.
                                   ///< Tensors that are of another type by rule (see muse_convert()) are not counted
    uint64_t bytes_in;             ///< of the tensors read
    uint64_t bytes_out;            ///< of the weight files written
    uint64_t n_files;              ///< weight files written
} MuseConvertInfo;

/**
 * Convert a model. Any thread; matrices are quantised by the runtime's team. Memory: a few tens of megabytes, whatever the
 * model's size. Files appear whole or not at all, and are on the disk when it returns; after an error nothing of the output is left.
 *
 * Matrices get the wanted type. In GGUF, norms, biases, tables and Gemma's patch embedding are F32, Gemma's two projections
 * into the embedding space at least BF16. Rows that are no whole number of blocks stay F16 or BF16 (quantised ones as they
 * are). In a folder every floating-point tensor gets the type. A tensor that has the type already is copied bit by bit.
 *
 * @param rt      NULL = defaults.
 * @param in      A Hugging Face folder (or a weight file in it), or a GGUF file.
 * @param out     A name that ends in ".gguf": that file, replaced if it is there. Else a folder, which is made; it may be
 *                there if it is empty.
 * @param params  Borrowed for the call.
 * @param info    Optional; filled on success.
 * @param err     Optional; names the file, and the tensor or key.
 * @return 0; MUSE_ERR_ARG: no such type, out is a folder that is not empty, or a file to write is an input or both of the two files to write;
 *         MUSE_ERR_IO; MUSE_ERR_FORMAT;
 *         MUSE_ERR_UNSUPPORTED: what the target can't hold (a family without GGUF form: muse, fuyu; a quantised type in
 *         safetensors; a tokenizer or value with no counterpart); MUSE_ERR_CANCELLED; MUSE_ERR_NOMEM; MUSE_ERR_LIMIT.
 * @source docs/FORMATS.md, "What is written".
 */
MUSE_API int muse_convert(MuseRuntime *rt, const char *in, const char *out, const MuseConvertParams *params, MuseConvertInfo *info, MuseError *err);

#ifdef __cplusplus
}
#endif
#endif
