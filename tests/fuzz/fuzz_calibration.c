/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as calibration.json. */
#include "libmuse/model/model.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseCalibration *rows;
    size_t n;
    MuseError err = { 0 };
    if (muse_calibration_read(&rows, &n, NULL, exact, size, &err) == 0) {
        FUZZ_CHECK(rows && n > 0 && rows[0].from == 0);
        for (size_t i = 0; i < n; i++) FUZZ_CHECK(rows[i].confidence >= 0 && rows[i].confidence <= 1 && rows[i].from <= 1 && (i == 0 || rows[i].from > rows[i - 1].from));
        const double c = muse_calibrate(rows, n, 0.5);
        FUZZ_CHECK(c >= 0 && c <= 1);
    } else {
        FUZZ_CHECK(err.text[0] && !rows && !n);
    }
    muse_free(rows);
    free(exact);
    return 0;
}
