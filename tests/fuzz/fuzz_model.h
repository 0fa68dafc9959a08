/* SPDX-License-Identifier: Apache-2.0 */
/* A small model for the fuzz targets that need one. Users: fuzz_session.c, fuzz_record.c. */
#ifndef TESTS_FUZZ_MODEL_H
#define TESTS_FUZZ_MODEL_H

#include <stdio.h>
#include <stdlib.h>

#include "muse/model.h"

/* the model of that folder of the test data, one thread; never NULL */
static inline MuseModel *fuzz_model(const char *folder)
{
    const char *data = getenv("MUSE_TEST_DATA");
    char path[4096];
    MuseError err = { 0 };
    MuseModel *model = NULL;
    MuseRuntimeParams p;
    MuseRuntime *rt = NULL;
    muse_runtime_params_init(&p);
    p.threads = 1;
    snprintf(path, sizeof path, "%s/%s", data ? data : "tests/data", folder);
    if (muse_runtime_open(&rt, &p, &err) < 0 || muse_model_open(&model, rt, path, NULL, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    muse_runtime_close(&rt);
    return model;
}

#endif
