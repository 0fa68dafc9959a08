/* SPDX-License-Identifier: Apache-2.0 */
/* What generating asks of a sampler beside muse/sample.h. Users: libmuse/generate. */
#ifndef LIBMUSE_SAMPLE_SAMPLER_H
#define LIBMUSE_SAMPLE_SAMPLER_H

#include <stdbool.h>

#include "muse/sample.h"

/* V: how many logits it reads */
uint32_t muse_sampler_vocab(const MuseSampler *s);
/* Was the id that was accepted last an end of its grammar? */
bool muse_sampler_ended(const MuseSampler *s);

#endif
