/* SPDX-License-Identifier: Apache-2.0 */
/* BLAKE2b through libb2, hidden behind an opaque state so that its header stays here. */
#include "base/hash.h"

#include <blake2.h>
#include <string.h>

_Static_assert(sizeof(blake2b_state) <= sizeof(MuseHash), "MuseHash is too small for blake2b_state");

static blake2b_state *state_of(MuseHash *h) { return (blake2b_state *)(void *)h->state; }

void muse_hash_init(MuseHash *h, const char *purpose)
{
    blake2b_init(state_of(h), MUSE_HASH_BYTES);
    const size_t n = strlen(purpose);
    muse_hash_add_u64(h, n);
    muse_hash_add(h, purpose, n);
}

void muse_hash_add(MuseHash *h, const void *bytes, size_t n)
{
    if (n) blake2b_update(state_of(h), bytes, n);
}

void muse_hash_add_u64(MuseHash *h, uint64_t v)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(v >> (8 * i));
    muse_hash_add(h, bytes, sizeof bytes);
}

void muse_hash_add_f64(MuseHash *h, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    muse_hash_add_u64(h, bits);
}

void muse_hash_done(MuseHash *h, uint8_t out[MUSE_HASH_BYTES])
{
    blake2b_final(state_of(h), out, MUSE_HASH_BYTES);
}
