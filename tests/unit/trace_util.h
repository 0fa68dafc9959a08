/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the trace tests: pictures, a trace with every kind of step, counted random numbers. */
#ifndef TESTS_UNIT_TRACE_UTIL_H
#define TESTS_UNIT_TRACE_UTIL_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "muse/muse.h"
#include "tests/unit/image_help.h"

static MuseError err;

static inline void ok(int rc)
{
    if (rc < 0) fail_msg("%s: %s", muse_status_name(rc), err.text);
}

static inline uint32_t hash32(uint32_t x)   /* splitmix's finaliser, 32 bits: a counted random number */
{
    x = (x ^ x >> 16) * 0x21f0aaad;
    x = (x ^ x >> 15) * 0x735a2d97;
    return x ^ x >> 15;
}

static inline double real(uint32_t *n, double low, double high) { return low + (high - low) * hash32(++*n) / 4294967296.0; }

static inline MuseImage *picture(MuseRuntime *rt, uint32_t w, uint32_t h, int seed)
{
    uint8_t *rgb = malloc((size_t)w * h * 3);
    assert_non_null(rgb);
    for (size_t i = 0; i < (size_t)w * h; i++) {
        rgb[3 * i] = (uint8_t)(60 + i % w * 120 / w);
        rgb[3 * i + 1] = (uint8_t)(90 + i / w * 100 / h);
        rgb[3 * i + 2] = (uint8_t)(seed * 50);
    }
    MuseImage *image = NULL;
    ok(muse_image_open_pixels(&image, rt, rgb, w, h, 0, MUSE_PIXELS_RGB, NULL, &err));
    free(rgb);
    return image;
}

static const float heat_values[12] = { 0, 0.1f, 0.2f, 0.05f, 0.3f, 1, 0.5f, 0, 0, 0.125f, 0.25f, 1e-30f };
static const char hostile[] = "</script><img src=x onerror=alert(1)> \"quoted\" & 'so' \xff\xe2\x80\xae tab\there";

/* One or more errors are returned, not asserted, so that allocations may fail. */
static inline int build_trace(MuseTrace **out, MuseRuntime *rt, MuseImage *a, MuseImage *b, const MuseTraceParams *params)
{
    MuseTrace *t;
    int rc = muse_trace_open(&t, rt, params, &err);
    if (rc == 0) rc = muse_trace_add_image(t, a, "left.png", NULL, &err);
    if (rc == 0) rc = muse_trace_add_image(t, b, "right <b>.png", NULL, &err);
    const MuseTraceMark marks[] = { { 1, 0, { 10, 20, 110.5, 90 } }, { 1, 7, { 150, 40, 200, 100 } }, { 2, 7, { 30, 10.25, 80, 60 } }, { 1, 7, { 40, 130, 90, 170 } }, { 2, 0, { 60, 33, 60, 33 } } };
    const MuseTraceHeat heat = { 1, 4, 3, { 0, 0, 300, 200 }, heat_values };
    for (uint32_t k = 0; rc == 0 && k < MUSE_STEP_KINDS; k++) {
        MuseTraceStep s;
        muse_trace_step_init(&s);
        s.kind = k;
        s.text = k == MUSE_STEP_TOOL_RESULT ? hostile : "a red square \xc3\xa9";
        s.n_text = strlen(s.text);
        s.agent = k % 3;
        s.parent = k > 4 ? 2 : 0;
        s.start = 0.1 * k;
        s.end = 0.1 * k + 1.0 / 3;
        s.first_token = 10 * k;
        s.n_tokens = 10;
        s.confidence = k % 2 ? 0.08 * k : -1;
        if (k == MUSE_STEP_LOOK || k == MUSE_STEP_BOX || k == MUSE_STEP_CLAIM) s.marks = marks, s.n_marks = 1;
        if (k == MUSE_STEP_POINT) s.marks = marks + 4, s.n_marks = 1;
        if (k == MUSE_STEP_COMPARE) s.marks = marks + 1, s.n_marks = 2;
        if (k == MUSE_STEP_TRACK) s.marks = marks + 1, s.n_marks = 3;
        if (k == MUSE_STEP_LOOK) s.heats = &heat, s.n_heats = 1;
        rc = muse_trace_add(t, &s, NULL, &err);
    }
    MuseTraceSummary sum;
    muse_trace_summary_init(&sum);
    sum.answer = "7 & <more>";
    sum.n_answer = strlen(sum.answer);
    sum.confidence = 0.875;
    sum.prompt_tokens = 300;
    sum.thought_tokens = 41;
    sum.look_tokens = 64;
    sum.answer_tokens = 2;
    sum.seconds = 1.7;
    if (rc == 0) rc = muse_trace_set_summary(t, &sum, &err);
    if (rc < 0) muse_trace_close(&t);
    *out = t;
    return rc;
}

#endif
