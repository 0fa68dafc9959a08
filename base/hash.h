/* SPDX-License-Identifier: Apache-2.0 */
/* Content hashes: BLAKE2b with 32 bytes (libb2). Collision-resistant on purpose: caches are shared between users.
 * Users: tokenizers, sequence, session. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { MUSE_HASH_BYTES = 32 };

typedef struct MuseHash {
    _Alignas(64) unsigned char state[512];   /* blake2b_state, hidden from users of this header */
} MuseHash;

void muse_hash_init(MuseHash *h, const char *purpose);   /* purpose: a short name that separates kinds of hashes */
void muse_hash_add(MuseHash *h, const void *bytes, size_t n);
void muse_hash_add_u64(MuseHash *h, uint64_t v);         /* little-endian */
void muse_hash_add_f64(MuseHash *h, double v);
void muse_hash_done(MuseHash *h, uint8_t out[MUSE_HASH_BYTES]);

#endif
