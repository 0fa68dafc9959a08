/* SPDX-License-Identifier: Apache-2.0 */
/* Loops that show what a machine can do at most. Users: peak.c (muse_measure_limits()), the bench of matrix kernels. */
#ifndef OPS_PEAK_H
#define OPS_PEAK_H

#include <stddef.h>
#include <stdint.h>

/* Reads n bytes and returns the xor of their 8-byte words; a tail of less than 256 bytes may be left out. */
typedef uint64_t MuseReadBytes(const uint8_t *p, size_t n);
/* n rounds of one instruction on independent registers: nothing but the arithmetic units limits it. */
typedef void MuseMultiplyAdds(uint64_t n);

typedef struct MusePeak {
    MuseMultiplyAdds *fn;   /* NULL: this CPU has no such instruction */
    uint32_t ops;           /* operations in a round, a multiply-add counted as two */
} MusePeak;

typedef struct MusePeakOps {
    MuseReadBytes *read;
    MusePeak fma_f32, dot_bf16, dot_int8, amx_bf16, amx_int8;
} MusePeakOps;

void muse_peak_ops_init(MusePeakOps *ops, unsigned cpu);   /* cpu: detected bits, already masked */

uint64_t muse_read_bytes_c(const uint8_t *p, size_t n);

#endif
