/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a trace: what is read is written, and what was written reads back to the same text; drawing and the page take it too. */
#include "fuzz.h"
#include "muse/trace.h"

static void faces(const MuseTrace *t)
{
    uint8_t *rgb = NULL;
    uint32_t w, h;
    char *page = NULL;
    MuseTraceDrawParams p;
    muse_trace_draw_params_init(&p);
    p.max_width = 400;
    p.heat = 1;
    if (muse_trace_draw(t, &p, &rgb, &w, &h, NULL) == 0) FUZZ_CHECK(w <= 400 && h > 0);
    muse_free(rgb);
    FUZZ_CHECK(muse_trace_html(t, NULL, &page, NULL, NULL) == 0);
    muse_free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseTrace *t = NULL, *again = NULL;
    MuseError err;
    if (muse_trace_from_json(&t, NULL, (const char *)exact, size, NULL, &err) == 0) {
        char *one, *two;
        size_t n;
        FUZZ_CHECK(muse_trace_json(t, &one, &n, NULL) == 0);
        FUZZ_CHECK(muse_trace_from_json(&again, NULL, one, n, NULL, &err) == 0);
        FUZZ_CHECK(muse_trace_json(again, &two, NULL, NULL) == 0);
        FUZZ_CHECK(strcmp(one, two) == 0);
        muse_free(one);
        muse_free(two);
        if (size < 4096) faces(t);
    } else FUZZ_CHECK(err.text[0]);
    muse_trace_close(&t);
    muse_trace_close(&again);
    free(exact);
    return 0;
}
