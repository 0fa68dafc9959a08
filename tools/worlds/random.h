/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers by counting: number n of a stream is a mix of its key and n (SplitMix64, Steele et al. 2014, section 4), so
 * streams need no state but a counter and never depend on each other. Users: tools/worlds. */
#ifndef TOOLS_WORLDS_RANDOM_H
#define TOOLS_WORLDS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Rng { uint64_t key, n; } Rng;

static inline uint64_t rng_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline Rng rng_stream(uint64_t key, uint64_t label) { return (Rng){ rng_mix(rng_mix(key + 0x9e3779b97f4a7c15u) ^ (label * 0xd1342543de82ef95u)), 0 }; }
static inline uint64_t rng_next(Rng *r) { return rng_mix(r->key + ++r->n * 0x9e3779b97f4a7c15u); }
static inline uint32_t rng_below(Rng *r, uint32_t n) { return (uint32_t)(((rng_next(r) >> 32) * n) >> 32); }   /* n at least 1 */
static inline int rng_int(Rng *r, int low, int high) { return low + (int)rng_below(r, (uint32_t)(high - low + 1)); }
static inline double rng_unit(Rng *r) { return (double)(rng_next(r) >> 11) * 0x1p-53; }
static inline double rng_range(Rng *r, double low, double high) { return low + (high - low) * rng_unit(r); }
static inline bool rng_chance(Rng *r, double p) { return rng_unit(r) < p; }

#endif
