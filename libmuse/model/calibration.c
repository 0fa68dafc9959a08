/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.json of a model folder: from a share of equal answers to how often those are right, and of what agents that is true (docs/eval.md). Fitting and
 * writing one is the business of muse eval. Called by model.c. */
#include <math.h>

#include "base/json.h"
#include "libmuse/model/model.h"

enum { ROWS_MAX = 256 };   /* more levels of agreement than agents there are not */

static int read_row(const MuseJsonValue *v, size_t i, MuseCalibration *row, const MuseCalibration *before, MuseError *err)
{
    const MuseJsonValue *from = muse_json_get(v, "from"), *confidence = muse_json_get(v, "confidence");
    const bool there = muse_json_is(v, MUSE_JSON_OBJECT) && from && confidence && from->type != MUSE_JSON_NULL && confidence->type != MUSE_JSON_NULL;
    if (!there || !muse_json_read_f64(from, 0, &row->from) || !muse_json_read_f64(confidence, 0, &row->confidence))
        return muse_fail(err, MUSE_ERR_FORMAT, "row %zu is not an object with the numbers \"from\" and \"confidence\"", i);
    if (!(row->from >= 0 && row->from <= 1 && row->confidence >= 0 && row->confidence <= 1))
        return muse_fail(err, MUSE_ERR_FORMAT, "row %zu: \"from\" and \"confidence\" lie between 0 and 1", i);
    if (before && !(row->from > before->from)) return muse_fail(err, MUSE_ERR_FORMAT, "row %zu: \"from\" does not ascend", i);
    return 0;
}

/* a whole number of 1 to most; 0: not said */
static int read_count(const MuseJsonValue *doc, const char *name, int64_t most, uint32_t *out, MuseError *err)
{
    const MuseJsonValue *v = muse_json_get(doc, name);
    int64_t n = 0;
    if (v && (!muse_json_read_i64(v, 0, &n) || n < 1 || n > most)) return muse_fail(err, MUSE_ERR_FORMAT, "\"%s\" is no number of 1 to %d", name, (int)most);
    *out = (uint32_t)n;
    return 0;
}

/* what the agents were */
static int read_how(const MuseJsonValue *doc, MuseCalibrationFile *out, MuseError *err)
{
    const MuseJsonValue *v = muse_json_get(doc, "temperature");
    int rc = read_count(doc, "agents", MUSE_AGENTS_MAX, &out->agents, err);
    if (rc == 0) rc = read_count(doc, "views", MUSE_VIEWS, &out->views, err);
    if (rc == 0 && v && (!muse_json_read_f64(v, 0, &out->temperature) || !isfinite(out->temperature) || out->temperature < 0))
        rc = muse_fail(err, MUSE_ERR_FORMAT, "\"temperature\" is no number of 0 or above");
    return rc;
}

int muse_calibration_read(MuseCalibrationFile *out, const MuseAllocator *a, const void *bytes, size_t size, MuseError *err)
{
    MuseJson doc = { 0 };
    *out = (MuseCalibrationFile){ 0 };
    int rc = muse_json_parse(&doc, a, bytes, size, err);
    const MuseJsonValue *rows = rc == 0 ? muse_json_get(doc.root, "rows") : NULL;
    if (rc == 0 && (!muse_json_is(rows, MUSE_JSON_ARRAY) || rows->len < 1 || rows->len > ROWS_MAX)) rc = muse_fail(err, MUSE_ERR_FORMAT, "\"rows\" is not a list of 1 to %d", ROWS_MAX);
    if (rc == 0) rc = read_how(doc.root, out, err);
    MuseCalibration *table = rc == 0 ? muse_alloc_array(a, rows->len, sizeof *table) : NULL;
    if (rc == 0 && !table) rc = MUSE_NOMEM(err, rows->len * sizeof *table);
    size_t i = 0;
    for (const MuseJsonValue *v = rc == 0 ? rows->u.first : NULL; v && rc == 0; v = v->next, i++) rc = read_row(v, i, &table[i], i ? &table[i - 1] : NULL, err);
    if (rc == 0 && table[0].from != 0) rc = muse_fail(err, MUSE_ERR_FORMAT, "the first row's \"from\" is not 0");
    muse_json_close(&doc);
    if (rc < 0) {
        muse_free(table);
        *out = (MuseCalibrationFile){ 0 };
        return rc;
    }
    out->rows = table;
    out->n = i;
    return 0;
}
