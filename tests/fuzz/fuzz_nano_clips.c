/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of clips: refused with a text, or every clip can be found by what it says, and gives finite frames. */
#include <math.h>

#include "tests/fuzz/fuzz.h"
#include "tools/nano/clips.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    NanoClips c;
    MuseError err = { 0 };
    const int rc = nano_clips_open_memory(&c, exact, size, &err);
    FUZZ_CHECK(rc == 0 || err.text[0]);
    for (size_t i = 0; rc == 0 && i < c.n && i < 4; i++) {
        Rng rng = rng_stream(size, i);
        size_t first, n;
        float *frames = NULL;
        const uint8_t *phones;
        FUZZ_CHECK(nano_clips_find(&c, c.clips[i].text, strlen(c.clips[i].text), &first) > 0 && first <= i);
        if (nano_clip_render(&c, &c.clips[i], i % 2 ? &rng : NULL, &frames, &phones, &n) == 0)
            for (size_t k = 0; k < n * NANO_CLIP_STACK * NANO_CLIP_BINS; k++) FUZZ_CHECK(isfinite(frames[k]));
        free(frames);
    }
    if (rc == 0) nano_clips_close(&c);
    free(exact);
    return 0;
}
