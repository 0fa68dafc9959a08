/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.json: what is read and refused, and that contemplating takes its confidence from it. */
#include <unistd.h>

#include "base/bytes.h"
#include "tests/unit/test_reason_data.h"

static int read_table(const char *text, MuseCalibration **rows, size_t *n) { return muse_calibration_read(rows, n, NULL, text, strlen(text), &err); }

static void read_well(void **state)
{
    (void)state;
    MuseCalibration *rows;
    size_t n;
    ok(read_table("{\"agents\":8,\"rows\":[{\"from\":0,\"confidence\":0.25,\"n\":9},{\"from\":0.75,\"confidence\":1}]}", &rows, &n));
    assert_int_equal(n, 2);
    assert_true(rows[0].from == 0 && rows[0].confidence == 0.25 && rows[1].from == 0.75 && rows[1].confidence == 1);
    muse_free(rows);
}

static void refused(void **state)
{
    (void)state;
    static const struct { const char *text, *says; } bad[] = {
        { "", "" }, { "{", "" }, { "[]", "rows" }, { "{}", "rows" }, { "{\"rows\":{}}", "rows" }, { "{\"rows\":[]}", "rows" }, { "{\"rows\":[3]}", "row 0" },
        { "{\"rows\":[{\"from\":0}]}", "row 0" }, { "{\"rows\":[{\"confidence\":0}]}", "row 0" }, { "{\"rows\":[{\"from\":null,\"confidence\":0}]}", "row 0" },
        { "{\"rows\":[{\"from\":\"0\",\"confidence\":0}]}", "row 0" }, { "{\"rows\":[{\"from\":0,\"confidence\":1.01}]}", "row 0" }, { "{\"rows\":[{\"from\":0,\"confidence\":-0.1}]}", "row 0" },
        { "{\"rows\":[{\"from\":0.5,\"confidence\":0.5}]}", "first row" }, { "{\"rows\":[{\"from\":0,\"confidence\":0},{\"from\":0,\"confidence\":1}]}", "row 1" },
        { "{\"rows\":[{\"from\":0,\"confidence\":0},{\"from\":2,\"confidence\":1}]}", "row 1" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        MuseCalibration *rows;
        size_t n;
        if (read_table(bad[i].text, &rows, &n) != MUSE_ERR_FORMAT || rows || n || !strstr(err.text, bad[i].says)) fail_msg("%s: %s", bad[i].text, err.text);
    }
}

/* a folder with the tiny model and this calibration */
static void make_folder(char *folder, const char *calibration)
{
    static const char *const names[] = { "config.json", "tokenizer.json", "model.safetensors" };
    char from[4096], to[4096];
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < 3; i++) {
        snprintf(from, sizeof from, "%s/reason/muse/%s", getenv("MUSE_TEST_DATA"), names[i]);
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        assert_int_equal(symlink(from, to), 0);
    }
    snprintf(to, sizeof to, "%s/calibration.json", folder);
    ok(muse_file_write(to, calibration, strlen(calibration), &err));
}

static void drop_folder(const char *folder)
{
    static const char *const names[] = { "config.json", "tokenizer.json", "model.safetensors", "calibration.json" };
    char path[4096];
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static double confidence(MuseModel *m, const MuseCalibration *own)
{
    const MuseReasonPart part = { .modality = MUSE_TEXT, .text = "How many?" };
    MuseAgentParams agent;
    MuseReasonParams p;
    MuseReasonResult r;
    muse_agent_params_init(&agent);
    muse_reason_params_init(&p);
    agent.thought_tokens = 2;
    agent.answer_tokens = 4;
    p.agent = &agent;
    p.mode = MUSE_MODE_CONTEMPLATING;
    p.agents = 1;
    p.calibration = own;
    p.n_calibration = own != NULL;
    ok(muse_reason(m, &part, 1, &p, &r, &err));
    assert_true(r.agreement == 1);
    const double c = r.confidence;
    muse_reason_result_clear(&r);
    return c;
}

static void used(void **state)
{
    (void)state;
    static const MuseCalibration own = { 0, 0.125 };
    char folder[] = "/tmp/muse-calibration-XXXXXX";
    MuseModel *m;
    make_folder(folder, "{\"rows\":[{\"from\":0,\"confidence\":0.25},{\"from\":0.9,\"confidence\":0.625}]}");
    ok(muse_model_open(&m, NULL, folder, NULL, &err));
    assert_true(confidence(m, NULL) == 0.625);
    assert_true(confidence(m, &own) == 0.125);   /* the caller's comes first */
    muse_model_close(&m);
    drop_folder(folder);
    m = muse_model();
    assert_true(confidence(m, NULL) == 0.948);   /* the built-in one */
    muse_model_close(&m);
}

static void malformed_is_named(void **state)
{
    (void)state;
    char folder[] = "/tmp/muse-calibration-XXXXXX";
    MuseModel *m;
    make_folder(folder, "{\"rows\":[{\"from\":0}]}");
    assert_int_equal(muse_model_open(&m, NULL, folder, NULL, &err), MUSE_ERR_FORMAT);
    assert_null(m);
    assert_non_null(strstr(err.text, "calibration.json"));
    drop_folder(folder);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(read_well), cmocka_unit_test(refused), cmocka_unit_test(used), cmocka_unit_test(malformed_is_named) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
