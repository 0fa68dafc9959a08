/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID says what the CPU has, XCR0 says whether the OS saves the registers; both must agree. Baseline flags only. */
#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "config.h"
#include "ops/cpu.h"

/* XCR0 bits: Intel SDM volume 1, table 13-1 */
enum { XCR0_SSE = 1 << 1, XCR0_AVX = 1 << 2, XCR0_AVX512 = 7 << 5, XCR0_TILES = 3 << 17 };

static uint64_t read_xcr0(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static bool has(unsigned reg, unsigned bits) { return (reg & bits) == bits; }

/* Tile registers are given to a process that asks: Linux, Documentation/arch/x86/xstate.rst. Asking again changes nothing. */
static bool may_use_tiles(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}

unsigned muse_cpu_detect(void)
{
    unsigned a, b, c, d, a7, b7, c7, d7;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, bit_OSXSAVE | bit_AVX)) return 0;
    const uint64_t xcr0 = read_xcr0();
    if ((xcr0 & (XCR0_SSE | XCR0_AVX)) != (XCR0_SSE | XCR0_AVX)) return 0;
    if (!__get_cpuid_count(7, 0, &a7, &b7, &c7, &d7)) return 0;

    unsigned bits = 0;
    if (MUSE_HAVE_AVX2 && has(c, bit_FMA | bit_F16C) && has(b7, bit_AVX2)) bits |= MUSE_X86_AVX2;
    const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    if (MUSE_HAVE_AVX512 && (bits & MUSE_X86_AVX2) && has(b7, avx512) && (xcr0 & XCR0_AVX512) == XCR0_AVX512) {
        bits |= MUSE_X86_AVX512;
        if (has(c7, 1u << 11)) bits |= MUSE_X86_VNNI;   /* AVX512_VNNI */
        unsigned a71, b71, c71, d71;
        if (__get_cpuid_count(7, 1, &a71, &b71, &c71, &d71) && has(a71, 1u << 5)) bits |= MUSE_X86_BF16;   /* AVX512_BF16 */
        const unsigned amx = 1u << 22 | 1u << 24 | 1u << 25;   /* AMX_BF16, AMX_TILE, AMX_INT8 */
        if (MUSE_HAVE_AMX && has(d7, amx) && (xcr0 & XCR0_TILES) == XCR0_TILES && may_use_tiles()) bits |= MUSE_X86_AMX;
    }
    return bits;
}
