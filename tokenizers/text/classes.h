/* SPDX-License-Identifier: Apache-2.0 */
/* The few character classes that added tokens ask for, and the GPT-2 byte alphabet. Users: the text tokenizer. */
#ifndef TOKENIZERS_TEXT_CLASSES_H
#define TOKENIZERS_TEXT_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"

bool muse_utf8_is_space(uint32_t cp);   /* Unicode White_Space */
bool muse_utf8_is_word(uint32_t cp);    /* Alphabetic, Mark, decimal digit, connector, joiner: \w of UTS #18 */

/* The GPT-2 byte alphabet: the code point that stands for a byte, and back (-1: stands for none).
 * Source: Radford et al. 2019, the released encoder; the rule is in docs/text.md. */
uint32_t muse_byte_alphabet(uint8_t byte);
int      muse_byte_of_alphabet(uint32_t cp);

#endif
