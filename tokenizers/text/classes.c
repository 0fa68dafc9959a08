/* SPDX-License-Identifier: Apache-2.0 */
/* Character classes and the GPT-2 byte alphabet. UTF-8 itself is in base/utf8.c, normalisation in normalize.c.
 * Called by all of the text tokenizer. */
#include "tokenizers/text/classes.h"

#include <utf8proc.h>

bool muse_utf8_is_space(uint32_t cp)
{
    if ((cp >= 0x09 && cp <= 0x0d) || cp == 0x20 || cp == 0x85) return true;
    if (cp < 0x80) return false;
    const utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c == UTF8PROC_CATEGORY_ZS || c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP;
}

bool muse_utf8_is_word(uint32_t cp)
{
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT: case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        /* joiners, and the symbols with the property Other_Alphabetic (circled and squared letters) */
        return cp == 0x200c || cp == 0x200d || (cp >= 0x24b6 && cp <= 0x24e9) || (cp >= 0x1f130 && cp <= 0x1f149) ||
               (cp >= 0x1f150 && cp <= 0x1f169) || (cp >= 0x1f170 && cp <= 0x1f189);
    }
}

/* Printable Latin-1 stands for itself, the other 68 bytes, in order, for U+0100 and up. */
uint32_t muse_byte_alphabet(uint8_t byte)
{
    if (byte <= 0x20) return 0x100u + byte;
    if (byte <= 0x7e) return byte;
    if (byte <= 0xa0) return 0x100u + 0x21u + (byte - 0x7fu);
    return byte == 0xad ? 0x143u : byte;
}

int muse_byte_of_alphabet(uint32_t cp)
{
    if ((cp > 0x20 && cp <= 0x7e) || (cp > 0xa0 && cp <= 0xff && cp != 0xad)) return (int)cp;
    if (cp >= 0x100 && cp <= 0x120) return (int)(cp - 0x100);
    if (cp >= 0x121 && cp <= 0x142) return (int)(cp - 0x121 + 0x7f);
    return cp == 0x143 ? 0xad : -1;
}
