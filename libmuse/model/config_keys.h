/* SPDX-License-Identifier: Apache-2.0 */
/* What each key of a configuration means to this library: read, harmless, or only allowed at a value that changes nothing.
 * Users: the two readers of configurations. */
#ifndef LIBMUSE_MODEL_CONFIG_KEYS_H
#define LIBMUSE_MODEL_CONFIG_KEYS_H

#include "base/gguf.h"
#include "libmuse/model/config.h"

/* Check every key of an object of config.json; where: "config.json", "text_config" ... MUSE_ERR_UNSUPPORTED names the first key
 * that changes the computation and is not supported. Keys that are not known go to the log. */
int muse_keys_check_json(const MuseJsonValue *object, MuseArch arch, const char *where, const MuseLog *log, MuseError *err);
/* The same for the keys of a GGUF file that begin with prefix ("llama."). */
int muse_keys_check_gguf(const MuseGguf *g, const char *prefix, const MuseLog *log, MuseError *err);

#endif
