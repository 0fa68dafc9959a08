/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as calibration.json. */
#include "libmuse/model/model.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseCalibrationFile c;
    MuseError err = { 0 };
    if (muse_calibration_read(&c, NULL, exact, size, &err) == 0) {
        FUZZ_CHECK(c.rows && c.n > 0 && c.rows[0].from == 0 && c.agents <= MUSE_AGENTS_MAX && c.views <= MUSE_VIEWS && c.temperature >= 0);
        for (size_t i = 0; i < c.n; i++) FUZZ_CHECK(c.rows[i].confidence >= 0 && c.rows[i].confidence <= 1 && c.rows[i].from <= 1 && (i == 0 || c.rows[i].from > c.rows[i - 1].from));
        const double half = muse_calibrate(c.rows, c.n, 0.5);
        FUZZ_CHECK(half >= 0 && half <= 1);
    } else {
        FUZZ_CHECK(err.text[0] && !c.rows && !c.n);
    }
    muse_free(c.rows);
    free(exact);
    return 0;
}
