/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file muse.h
 * The whole public API of libmuse in one include.
 *
 * Start with sequence.h: it turns text, pictures and sounds into the one list of positions that a model
 * attends over. text.h, image.h and audio.h are the tokenizers behind it, usable alone.
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
