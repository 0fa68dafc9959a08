/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 by the table of well-formed sequences (The Unicode Standard, 3.9, table 3-7), and the few character classes that
 * added tokens ask for. Users: the text tokenizer. */
#ifndef TOKENIZERS_TEXT_UTF8_H
#define TOKENIZERS_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes of the well-formed character at s, 1..4, and its code point; 0 if there is none. cp may be NULL */
unsigned muse_utf8_char(const uint8_t *s, size_t n, uint32_t *cp);

/* the longest prefix that is well-formed, in bytes */
size_t muse_utf8_valid(const uint8_t *s, size_t n);

/* bytes at the end, 0..3, that more bytes could still turn into one character */
unsigned muse_utf8_open_tail(const uint8_t *s, size_t n);

/* cp at most 0x10ffff and no surrogate; @return bytes written, 1..4 */
unsigned muse_utf8_put(uint32_t cp, uint8_t out[4]);

bool muse_utf8_is_space(uint32_t cp);   /* Unicode White_Space */
bool muse_utf8_is_word(uint32_t cp);    /* Alphabetic, Mark, decimal digit, connector, joiner: \w of UTS #18 */

/* The GPT-2 byte alphabet: the code point that stands for a byte, and back (-1: stands for none).
 * Source: Radford et al. 2019, the released encoder; the rule is in docs/text.md. */
uint32_t muse_byte_alphabet(uint8_t byte);
int      muse_byte_of_alphabet(uint32_t cp);

#endif
