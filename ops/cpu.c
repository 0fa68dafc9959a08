/* SPDX-License-Identifier: Apache-2.0 */
/* Levels as sets of CPU bits. Detection itself is per architecture: ops/x86/cpu_x86.c. */
#include "ops/cpu.h"

#include "config.h"
#include "muse/runtime.h"

static const struct { unsigned level, bits; const char *name; } levels[] = {
    { MUSE_CPU_C, 0, "c" },
    { MUSE_CPU_AVX2, MUSE_X86_AVX2, "avx2" },
    { MUSE_CPU_AVX512, MUSE_X86_AVX2 | MUSE_X86_AVX512 | MUSE_X86_VNNI | MUSE_X86_BF16, "avx512" },
    { MUSE_CPU_AMX, MUSE_X86_AVX2 | MUSE_X86_AVX512 | MUSE_X86_VNNI | MUSE_X86_BF16 | MUSE_X86_AMX, "amx" },
};
/* what makes a level, beside those below it */
static const unsigned level_marks[] = { 0, MUSE_X86_AVX2, MUSE_X86_AVX512, MUSE_X86_AMX };

enum { LEVELS = sizeof levels / sizeof *levels };

unsigned muse_cpu_bits_of_level(unsigned level)
{
    for (int i = 0; i < LEVELS; i++)
        if (levels[i].level == level) return levels[i].bits;
    return 0;
}

unsigned muse_cpu_level_of_bits(unsigned bits)
{
    unsigned best = MUSE_CPU_C;
    for (int i = 0; i < LEVELS && (bits & level_marks[i]) == level_marks[i]; i++) best = levels[i].level;
    return best;
}

const char *muse_cpu_level_name(unsigned level)
{
    for (int i = 0; i < LEVELS; i++)
        if (levels[i].level == level) return levels[i].name;
    return "?";
}

#if !defined(__x86_64__)
unsigned muse_cpu_detect(void) { return 0; }
#endif
