/* SPDX-License-Identifier: Apache-2.0 */
/* What this CPU, its operating system and this build can run. Compiled with baseline flags only. */
#ifndef OPS_CPU_H
#define OPS_CPU_H

#include <stdint.h>

/* One bit a bundle. A level of muse/runtime.h is a set of these. */
enum {
    MUSE_X86_AVX2    = 1 << 0,   /* AVX2, FMA, F16C */
    MUSE_X86_AVX512  = 1 << 1,   /* F, BW, CD, DQ, VL */
    MUSE_X86_VNNI    = 1 << 2,   /* AVX512_VNNI */
    MUSE_X86_BF16    = 1 << 3,   /* AVX512_BF16 */
    MUSE_X86_AMX     = 1 << 4    /* AMX tiles, bf16 and int8, and the OS's permission */
};

unsigned muse_cpu_detect(void);              /* asks CPUID, XCR0 and, for AMX, the OS; bits this build has no code for are left out */
unsigned muse_cpu_bits_of_level(unsigned level);  /* all bits that a MUSE_CPU_ level may use */
unsigned muse_cpu_level_of_bits(unsigned bits);   /* the highest level these bits reach */
const char *muse_cpu_level_name(unsigned level);  /* "c", "avx2", ... ; "?" for others */

#endif
