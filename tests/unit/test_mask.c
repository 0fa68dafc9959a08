/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of keys against the matrix of the Gemma spec, section 2.6, key by key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libmuse/decoder/mask.h"

enum { T = 96 };

/* as the spec writes it: block numbers, -1 for none; W 0: no window, so every earlier key is in it */
static bool sees(MuseImageMask rule, int w, int q, int k, const int *block)
{
    const bool causal = k <= q, inwin = w == 0 || k > q - w, same = block[q] >= 0 && block[q] == block[k];
    if (rule == MUSE_MASK_A) return w ? (causal || same) && inwin : causal;
    if (rule == MUSE_MASK_B) return w ? (causal && inwin) || same : causal || same;
    return causal && inwin;
}

static void check(MuseImageMask rule, int w, const int *block)
{
    for (int q = 0; q < T; q++) {
        int begin = q, end = q;
        if (block[q] >= 0) {
            while (begin > 0 && block[begin - 1] == block[q]) begin--;
            while (end < T && block[end] == block[q]) end++;
        }
        const MuseRange r = muse_mask_range(rule, (uint32_t)w, (uint32_t)q, (uint32_t)begin, (uint32_t)end);
        for (int k = 0; k < T; k++) {
            const bool got = (uint32_t)k >= r.lo && (uint32_t)k < r.hi;
            if (got != sees(rule, w, q, k, block)) fail_msg("rule %d, window %d: query %d, key %d, block %d..%d", (int)rule, w, q, k, begin, end);
        }
        assert_true(r.hi > r.lo && r.hi <= T);
    }
}

/* random blocks of any length, side by side or apart, longer than the window too */
static void test_ranges(void **state)
{
    (void)state;
    static const int windows[] = { 0, 1, 2, 5, 16, 32, 33, 95, 96, 1000 };
    uint32_t random = 12345;
    for (int round = 0; round < 200; round++) {
        int block[T], next = 0;
        for (int i = 0; i < T;) {
            random = random * 1664525 + 1013904223;
            int n = 1 + (int)(random >> 24) % (round % 4 == 0 ? 70 : 12);
            const bool text = random >> 16 & 1;
            while (n-- > 0 && i < T) block[i++] = text ? -1 : next;
            next++;
        }
        for (size_t w = 0; w < sizeof windows / sizeof *windows; w++)
            for (int rule = MUSE_MASK_CAUSAL; rule <= MUSE_MASK_B; rule++) check((MuseImageMask)rule, windows[w], block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_ranges) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
