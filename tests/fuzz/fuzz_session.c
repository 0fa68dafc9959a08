/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a saved session of a tiny model (MUSE_TEST_DATA says where it is). Checksums are made right first, so that what lies
 * behind them is reached; what was restored must be usable. */
#include "libmuse/session/saved.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_model.h"

static MuseModel *tiny(void)
{
    static MuseModel *model;
    if (!model) model = fuzz_model("tiny/muse/hf");
    return model;
}

/* the checksum of each section that is whole */
static void seal(uint8_t *data, size_t size)
{
    MuseHash h;
    uint64_t n;
    for (size_t at = 12; size >= 44 && at <= size - 44; at += 44 + (size_t)n) {
        memcpy(&n, data + at + 4, 8);
        if (n > size - 44 - at) return;
        muse_saved_hash_init(&h);
        muse_hash_add(&h, data + at, 12 + (size_t)n);
        muse_hash_done(&h, data + at + 12 + n);
    }
}

static void use(MuseSession *s)
{
    MuseSessionInfo info;
    MusePosition p;
    MuseSession *fork = NULL;
    FUZZ_CHECK(muse_session_info(s, &info) == 0 && info.computed <= info.positions);
    MuseSequence *seq = muse_session_sequence(s);
    FUZZ_CHECK(muse_sequence_length(seq) == info.positions);
    for (size_t i = 0; i < info.positions; i++) FUZZ_CHECK(muse_sequence_position(seq, i, &p) == 0);
    FUZZ_CHECK(muse_session_fork(&fork, s, NULL) == 0);
    muse_session_step(s, 1, NULL);
    muse_session_rewind(fork, (size_t)info.positions / 2, NULL);   /* may lie in a medium */
    muse_session_step(fork, 2, NULL);
    FUZZ_CHECK(muse_session_save(fork, "/dev/null", NULL) == 0);
    muse_session_close(&fork);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_copy(data, size);
    MuseError err = { 0 };
    MuseSession *s = NULL;
    seal(exact, size);
    const int rc = muse_session_read(&s, tiny(), exact, size, "session", NULL, &err);
    free(exact);
    if (rc < 0) FUZZ_CHECK(!s && err.text[0]);
    else use(s);
    muse_session_close(&s);
    return 0;
}
