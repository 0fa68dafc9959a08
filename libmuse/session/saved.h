/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of a saved session, which docs/FORMATS.md describes. Users: save.c, load.c, tests. */
#ifndef LIBMUSE_SESSION_SAVED_H
#define LIBMUSE_SESSION_SAVED_H

#include "base/hash.h"
#include "libmuse/session/session.h"

#define MUSE_SAVED_MAGIC "MUSESESS"      /* 8 bytes, then the version, u32 */
enum { MUSE_SAVED_VERSION = 1 };

/* A section: tag, u64 bytes, bytes, hash of all that. In this order, each once. */
#define MUSE_SAVED_HEAD "HEAD"
#define MUSE_SAVED_KEPT "KEPT"
#define MUSE_SAVED_SPAN "SPAN"
#define MUSE_SAVED_PAGE "PAGE"
#define MUSE_SAVED_LAST "LAST"

enum { MUSE_KEPT_FILE = 1, MUSE_KEPT_PIXELS = 2, MUSE_KEPT_SOUND = 3, MUSE_KEPT_PCM_S16 = 4, MUSE_KEPT_PCM_F32 = 5 };   /* kinds of originals */
enum { MUSE_SPAN_FROM_TEXT = 1, MUSE_SPAN_GROWS = 2 };                                                                  /* flags of a text */

/* Restoring makes features again. A picture whose pixels fit beside those of the originals before it is decoded once and held while its spans
 * are read, others are decoded for each span; what all spans of a file ask for is limited, when saving and before anything is decoded. */
#define MUSE_SAVED_HELD_BYTES ((uint64_t)1 << 28)    /* 89 megapixels of RGB; all held pictures together */
#define MUSE_SAVED_PIXELS_MAX ((uint64_t)1 << 34)    /* one to two minutes of decoding */

/* Whether this root may be held. Asked once for each picture among the originals, in their order. *held: bytes of those that may; 0 before the first */
bool     muse_saved_holds(const MuseImage *root, uint64_t *held);
/* Pixels that a span's `cut` pixels of this root cost; first: no span before was of it. Below 2^30 */
uint64_t muse_saved_cost(const MuseImage *root, bool holds, uint64_t cut, bool first);

void muse_saved_hash_init(MuseHash *h);
/* Geometry, and sampled bytes of every tensor: equal for two models only if they compute the same, as far as samples tell. */
void muse_model_fingerprint(const MuseModel *m, uint8_t out[MUSE_HASH_BYTES]);
/* A file's numbers and words lie as this machine has them? */
bool muse_saved_byte_order(void);

/* muse_session_restore() from memory; name: for errors */
int  muse_session_read(MuseSession **out, MuseModel *model, const void *bytes, size_t size, const char *name, const MuseSessionParams *params, MuseError *err);

#endif
