/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of libmuse/reason share: models, a picture with its own colour at every pixel, scripts from text. */
#ifndef TESTS_UNIT_TEST_REASON_DATA_H
#define TESTS_UNIT_TEST_REASON_DATA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libmuse/reason/agent.h"

static MuseError err;

#define ok(call) assert_true_text((call) == 0, #call, __LINE__)

static inline void assert_true_text(bool good, const char *what, int line)
{
    if (!good) print_error("line %d: %s: %s\n", line, what, err.text);
    assert_true(good);
}

static inline MuseModel *open_model(const char *name, MuseRuntime *rt)
{
    char path[1024];
    MuseModel *m;
    snprintf(path, sizeof path, "%s/%s", getenv("MUSE_TEST_DATA"), name);
    ok(muse_model_open(&m, rt, path, NULL, &err));
    return m;
}

static inline MuseModel *muse_model(void) { return open_model("reason/muse", NULL); }

/* red: x, green: y, blue: both, so that a cut tells where it is from */
static inline MuseImage *make_picture(uint32_t width, uint32_t height)
{
    uint8_t *rgb = malloc((size_t)width * height * 3);
    MuseImage *image;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t *p = rgb + ((size_t)y * width + x) * 3;
            p[0] = (uint8_t)x;
            p[1] = (uint8_t)y;
            p[2] = (uint8_t)((x >> 8) + 16 * (y >> 8));
        }
    ok(muse_image_open_pixels(&image, NULL, rgb, width, height, 0, MUSE_PIXELS_RGB, NULL, &err));
    free(rgb);
    return image;
}

static inline void script(MuseAgent *a, const char *text)
{
    int32_t *ids;
    size_t n;
    ok(muse_text_encode(muse_session_tokenizer(a->s), text, strlen(text), MUSE_TEXT_ADDED, &ids, &n, &err));
    ok(muse_agent_script(a, ids, n));
    muse_free(ids);
}

static inline MuseAgent *open_agent(MuseModel *m, MuseImage *const *pictures, size_t n, const MuseAgentParams *p)
{
    MuseReasonPart parts[8] = { 0 };
    MuseAgent *a;
    for (size_t i = 0; i < n; i++) parts[i] = (MuseReasonPart){ .modality = MUSE_IMAGE, .image = pictures[i] };
    parts[n] = (MuseReasonPart){ .modality = MUSE_TEXT, .text = "What?" };
    ok(muse_agent_open(&a, m, parts, n + 1, p, &err));
    return a;
}

static inline MuseReasonStep step_at(const MuseAgent *a, size_t i)
{
    MuseReasonStep s;
    ok(muse_agent_step(a, i, &s));
    return s;
}

static inline MuseAgentInfo info_of(const MuseAgent *a)
{
    MuseAgentInfo info;
    ok(muse_agent_info(a, &info));
    return info;
}

static inline void assert_rect(MuseRect r, double x0, double y0, double x1, double y1)
{
    if (r.x0 != x0 || r.y0 != y0 || r.x1 != x1 || r.y1 != y1) fail_msg("%g %g %g %g, wanted %g %g %g %g", r.x0, r.y0, r.x1, r.y1, x0, y0, x1, y1);
}

static inline int run_one(MuseAgent *a) { return muse_agent_run(&a, 1, &err); }

#endif
