/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file muse.h
 * The whole public API of libmuse in one include.
 *
 * Start with sequence.h: it turns text, pictures and sounds into the one list of positions that a model
 * attends over. text.h, image.h and audio.h are the tokenizers behind it, usable alone. reason.h asks a model; muse.hpp has
 * these nouns for C++.
 *
 * What holds where a comment says nothing else:
 *
 * - A call that makes a handle puts it into *out, NULL on error; muse_NOUN_close(&handle) releases it, and accepts NULL.
 * - Params structs are filled by their _init call, then changed; 0 is the default, a NULL params all defaults. A size of 0 in front
 *   (no _init call) is MUSE_ERR_ARG, something set that only a newer library knows MUSE_ERR_UNSUPPORTED. They grow at the end; structs
 *   that a call fills (infos, results, events) have no size, and change with MUSE_ABI_VERSION only.
 * - What a pointer points to is borrowed for the call: the library copies what it needs, takes references to handles that it keeps.
 *   Pointers inside what a call gives back live as long as the handle they came from.
 * - A null pointer where something is needed is MUSE_ERR_ARG; any call that allocates may give MUSE_ERR_NOMEM. Calls that return a
 *   count or a pointer give 0 or NULL for a null handle.
 * - err is optional, receives code and text when the call returns a negative code, and is left alone otherwise. On error
 *   nothing has changed, unless the call says what has.
 * - Text is UTF-8 by length in bytes, times are seconds, rectangles are pixels of the original picture.
 * - A handle serves one thread at a time; runtimes, models, tokenizers, pictures, sounds and grammars serve any number.
 */
#ifndef MUSE_MUSE_H
#define MUSE_MUSE_H

#include "muse/status.h"
#include "muse/runtime.h"
#include "muse/family.h"
#include "muse/text.h"
#include "muse/image.h"
#include "muse/audio.h"
#include "muse/sequence.h"
#include "muse/model.h"
#include "muse/session.h"
#include "muse/chat.h"
#include "muse/convert.h"
#include "muse/grammar.h"
#include "muse/sample.h"
#include "muse/generate.h"
#include "muse/limits.h"
#include "muse/train.h"
#include "muse/scaling.h"
#include "muse/trace.h"
#include "muse/attention.h"
#include "muse/reason.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the API these headers describe; gives the soname. Grows when a released call or struct changes. */
#define MUSE_ABI_VERSION 0

/** MUSE_ABI_VERSION of the library that is loaded. Any thread. */
MUSE_API int muse_abi_version(void);

/** Package version of the library that is loaded, such as "0.1.0". Static. Any thread. */
MUSE_API const char *muse_version(void);

#ifdef __cplusplus
}
#endif
#endif
