/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and multiply-adds at full speed, compiled once for each instruction set: what its flags add.
 * In assembly, so that no compiler finds a way to do less. Contracts: ops/peak.h. */
#include "ops/peak.h"

/* twelve independent sums: enough for two instructions a cycle with a latency of six */
#define ONE(ins, reg, i) ins " %%" reg "15, %%" reg "15, %%" reg #i "\n\t"
#define PEAK(name, ins, reg) \
    MuseMultiplyAdds name; \
    void name(uint64_t n) \
    { \
        if (n == 0) return; \
        __asm__ volatile("1:\n\t" ONE(ins, reg, 0) ONE(ins, reg, 1) ONE(ins, reg, 2) ONE(ins, reg, 3) ONE(ins, reg, 4) ONE(ins, reg, 5) \
            ONE(ins, reg, 6) ONE(ins, reg, 7) ONE(ins, reg, 8) ONE(ins, reg, 9) ONE(ins, reg, 10) ONE(ins, reg, 11) "dec %0\n\tjnz 1b" \
            : "+r"(n) : : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm15", "cc"); \
    }

/* a line (or two) a step and register, the lines of the step after the next page asked for */
#define LINE(xor, reg, i, at) "prefetcht0 8192+" #at "(%0)\n\t" xor " " #at "(%0), %%" reg #i ", %%" reg #i "\n\t"
#define READ(name, xor, reg, wide) \
    MuseReadBytes name; \
    uint64_t name(const uint8_t *p, size_t n) \
    { \
        uint64_t words[wide / 8] = { 0 }, sum = 0; \
        size_t steps = n / (4 * wide); \
        if (steps == 0) return 0; \
        __asm__ volatile("vpxor %%xmm0, %%xmm0, %%xmm0\n\tvpxor %%xmm1, %%xmm1, %%xmm1\n\tvpxor %%xmm2, %%xmm2, %%xmm2\n\t" \
            "vpxor %%xmm3, %%xmm3, %%xmm3\n\t1:\n\t" LINE(xor, reg, 0, 0) LINE(xor, reg, 1, wide) LINE(xor, reg, 2, 2 * wide) LINE(xor, reg, 3, 3 * wide) \
            "add %3, %0\n\tdec %1\n\tjnz 1b\n\t" xor " %%" reg "1, %%" reg "0, %%" reg "0\n\t" xor " %%" reg "2, %%" reg "3, %%" reg "3\n\t" \
            xor " %%" reg "3, %%" reg "0, %%" reg "0\n\tvmovdqu" STORE " %%" reg "0, %2\n\tvzeroupper" \
            : "+r"(p), "+r"(steps), "=m"(words) : "i"(4 * wide) : "xmm0", "xmm1", "xmm2", "xmm3", "memory", "cc"); \
        for (size_t i = 0; i < wide / 8; i++) sum ^= words[i]; \
        return sum; \
    }

/* Six tiles of sums: a product takes 52 cycles, one may begin every 16 (Intel's optimization manual, chapter on AMX). The configuration
 * is an operand of the assembly, so it is written before it is read. */
#define TILE(ins, i) ins " %%tmm7, %%tmm6, %%tmm" #i "\n\t"
#define TILES(name, ins) \
    MuseMultiplyAdds name; \
    void name(uint64_t n) \
    { \
        const struct { uint8_t palette, start, unused[14]; uint16_t bytes[16]; uint8_t rows[16]; } all = { .palette = 1, \
            .bytes = { 64, 64, 64, 64, 64, 64, 64, 64 }, .rows = { 16, 16, 16, 16, 16, 16, 16, 16 } }; \
        if (n == 0) return; \
        __asm__ volatile("ldtilecfg %1\n\ttilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3\n\ttilezero %%tmm4\n\t" \
            "tilezero %%tmm5\n\ttilezero %%tmm6\n\ttilezero %%tmm7\n\t1:\n\t" TILE(ins, 0) TILE(ins, 1) TILE(ins, 2) TILE(ins, 3) TILE(ins, 4) \
            TILE(ins, 5) "dec %0\n\tjnz 1b\n\ttilerelease" : "+r"(n) : "m"(all) : "cc"); \
    }

#if defined(__AMX_TILE__) || defined(__AMXTILE__)   /* gcc, clang 14 */
TILES(muse_tiles_bf16_amx, "tdpbf16ps")
TILES(muse_tiles_int8_amx, "tdpbssd")
#elif defined(__AVX512BF16__)
PEAK(muse_dot_bf16_avx512, "vdpbf16ps", "zmm")
#elif defined(__AVX512VNNI__)
PEAK(muse_dot_int8_avx512, "vpdpbusd", "zmm")
#elif defined(__AVX512F__)
#define STORE "64"
PEAK(muse_fma_f32_avx512, "vfmadd231ps", "zmm")
READ(muse_read_bytes_avx512, "vpxorq", "zmm", 64)
#else
#define STORE ""
PEAK(muse_fma_f32_avx2, "vfmadd231ps", "ymm")
READ(muse_read_bytes_avx2, "vpxor", "ymm", 32)
#endif
