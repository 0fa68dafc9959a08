/* SPDX-License-Identifier: Apache-2.0 */
/* Saved sessions: restored in a new process they go on bit for bit; damage, other models and modes, full disks and missing memory
 * are errors, and so is a file that asks for endless work; originals are there for another look; nothing of them reaches a shared cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libmuse/session/saved.h"
#include "tests/unit/session_util.h"
#include "tokenizers/image/picture.h"

enum { NEW = 12 };
static char folder[64], file[96], other[96];

/* picture file, text, sound file, region of kept pixels, rows, written ids */
static void add_parts(MuseSession *s, const char *media)
{
    MuseSequence *seq = muse_session_sequence(s);
    MuseRuntime *rt = s->model->rt;
    MuseImage *img = NULL, *region = NULL, *pixels = noise_image(rt, 40, 24, 3);
    MuseAudio *audio = NULL, *pcm = NULL;
    int16_t samples[4000];
    for (size_t i = 0; i < COUNT_OF(samples); i++) samples[i] = (int16_t)some_id(9, i, 20000);
    assert_int_equal(muse_image_open_file(&img, rt, path_of(media, "image0.png"), NULL, &err), 0);
    assert_int_equal(muse_audio_open_file(&audio, rt, path_of(media, "audio0.wav"), NULL, &err), 0);
    assert_int_equal(muse_audio_open_pcm(&pcm, rt, samples, COUNT_OF(samples), MUSE_PCM_S16, 16000, 1, NULL, &err), 0);
    assert_int_equal(muse_image_region(&region, img, (MuseRect){ 2, 3, 20, 15 }, &err), 0);
    add_ids(s, 1, 7);
    if (s->seq->tokenizer) assert_int_equal(muse_sequence_append_text(seq, "Hello", 5, 0, &err), 0);
    assert_int_equal(muse_sequence_append_image(seq, img, NULL, &err), 0);
    assert_int_equal(muse_sequence_append_audio(seq, audio, NULL, NULL, &err), 0);
    assert_int_equal(muse_sequence_append_image(seq, region, NULL, &err), 0);
    assert_int_equal(muse_sequence_append_image(seq, pixels, NULL, &err), 0);
    assert_int_equal(muse_sequence_append_audio(seq, pcm, NULL, NULL, &err), 0);
    const size_t width = s->model->config.width;
    float *rows = calloc(3 * width, sizeof *rows);
    for (size_t i = 0; i < 3 * width; i++) rows[i] = (float)some_id(5, i, 100) / 100;
    assert_int_equal(muse_sequence_append_rows(seq, rows, 3, width, &err), 0);
    free(rows);
    add_ids(s, 2, 5);
    prefill(s);
    for (size_t i = 0; i < 9; i++) step(s, greedy(s));
    muse_image_close(&img);
    muse_image_close(&region);
    muse_image_close(&pixels);
    muse_audio_close(&audio);
    muse_audio_close(&pcm);
}

/* what both processes do: the logits, a continuation, another question, its logits */
static void go_on(MuseSession *s, int fd)
{
    const size_t bytes = s->model->config.vocab * sizeof(float);
    assert_int_equal(write(fd, muse_session_logits(s), bytes), bytes);
    for (size_t i = 0; i < NEW; i++) {
        const int32_t id = greedy(s);
        assert_int_equal(write(fd, &id, sizeof id), sizeof id);
        step(s, id);
    }
    add_ids(s, 77, 40);
    prefill(s);
    assert_int_equal(write(fd, muse_session_logits(s), bytes), bytes);
}

static int out_file(const char *path)
{
    const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static MuseSession *restore(MuseModel *m, const char *path)
{
    MuseSession *s = NULL;
    if (muse_session_restore(&s, m, path, NULL, &err) < 0) fail_msg("%s", err.text);
    return s;
}

static const char *child_model, *program;
static void child(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, child_model);
    MuseSession *s = restore(t.model, file);
    const int fd = out_file(other);
    go_on(s, fd);
    close(fd);
    muse_session_close(&s);
    setup_close(&t);
}

static void in_new_process(const char *model)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl(program, program, model, folder, (char *)NULL);
        _exit(99);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_new_process(void **state)
{
    (void)state;
    static const struct { const char *model, *media; } cases[] = { { "tiny/muse/hf", "tiny/muse/cases/image-audio-text/" },
        { "golden/gemma4-a/hf", "golden/gemma4-a/cases/image-audio-text/" } };
    for (size_t c = 0; c < COUNT_OF(cases); c++)
        for (uint32_t kv = MUSE_KV_F32; kv <= MUSE_KV_Q8; kv++) {
            Setup t;
            setup_open(&t, cases[c].model);
            MuseSessionParams p = params_of(kv == MUSE_KV_F32 ? MUSE_COMPUTE_F32 : MUSE_COMPUTE_AUTO, kv, 0);
            p.image_mask = kv == MUSE_KV_F32 ? MUSE_IMAGE_MASK_B : 0;
            MuseSession *s = session_open(t.model, &p);
            add_parts(s, cases[c].media);
            if (muse_session_save(s, file, &err) < 0) fail_msg("%s", err.text);
            in_new_process(cases[c].model);
            char mine[128];
            snprintf(mine, sizeof mine, "%s/mine", folder);
            const int fd = out_file(mine);
            go_on(s, fd);
            close(fd);
            MuseFile a = { 0 }, b = { 0 };
            assert_int_equal(muse_file_open(&a, mine, 1 << 30, &err), 0);
            assert_int_equal(muse_file_open(&b, other, 1 << 30, &err), 0);
            assert_int_equal(a.size, b.size);
            assert_memory_equal(a.data, b.data, a.size);
            muse_file_close(&a);
            muse_file_close(&b);
            unlink(mine);
            muse_session_close(&s);
            setup_close(&t);
        }
}

/* positions, spans and originals are the same; saved again, it is the same file */
static void test_same_sequence(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "tiny/muse/hf");
    MuseSession *s = session_open(t.model, NULL);
    add_parts(s, "tiny/muse/cases/image-audio-text/");
    assert_int_equal(muse_session_save(s, file, &err), 0);
    MuseSession *r = restore(t.model, file);
    assert_int_equal(muse_sequence_length(r->seq), muse_sequence_length(s->seq));
    assert_int_equal(info_of(r).computed, info_of(s).computed);
    assert_true(muse_session_hidden(s) && !muse_session_hidden(r));   /* not in the file */
    for (size_t i = 0; i < s->seq->length; i++) {
        MusePosition a, b;
        muse_sequence_position(s->seq, i, &a);
        muse_sequence_position(r->seq, i, &b);
        assert_true(a.modality == b.modality && a.is_marker == b.is_marker && a.id == b.id && a.span == b.span && a.index == b.index && a.t == b.t && a.y == b.y && a.x == b.x);
        assert_memory_equal(&a.source, &b.source, sizeof a.source);
        assert_true(a.end_ms >= b.end_ms && a.end_ms <= b.end_ms && a.n_bytes == b.n_bytes);
    }
    const MuseSpan *first = NULL;
    for (size_t k = 0; k < s->seq->n_spans; k++) {
        MuseSpanInfo a, b;
        muse_sequence_span(s->seq, k, &a);
        muse_sequence_span(r->seq, k, &b);
        assert_memory_equal(a.hash, b.hash, sizeof a.hash);
        if (!r->seq->spans[k].image) continue;
        if (!first) first = &r->seq->spans[k];
        else if (a.number == 2) assert_ptr_equal(r->seq->spans[k].image->root, first->image->root);   /* kept once */
        MuseImage *look[2];
        MusePatches *patches[2];
        uint8_t hash[2][32];
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(muse_image_region(&look[i], (i ? s : r)->seq->spans[k].image, (MuseRect){ 1, 1, 9, 8 }, &err), 0);
            assert_int_equal(muse_image_patches(&patches[i], look[i], &t.model->family.image, 0, NULL, NULL, &err), 0);
            muse_patches_hash(patches[i], hash[i]);
            muse_patches_close(&patches[i]);
            muse_image_close(&look[i]);
        }
        assert_memory_equal(hash[0], hash[1], 32);
    }
    assert_int_equal(muse_session_save(r, other, &err), 0);
    MuseFile a = { 0 }, b = { 0 };
    assert_int_equal(muse_file_open(&a, file, 1 << 30, &err), 0);
    assert_int_equal(muse_file_open(&b, other, 1 << 30, &err), 0);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    muse_file_close(&a);
    muse_file_close(&b);
    muse_session_close(&s);
    muse_session_close(&r);
    setup_close(&t);
}

/* nothing computed, half computed, cut, empty; reserved pages are not saved */
static void test_states(void **state)
{
    (void)state;
    Setup t;
    setup_open(&t, "golden/gemma4-a/hf");
    MuseSession *s = session_open(t.model, NULL);
    for (size_t i = 0; i < 5; i++) {
        if (i == 1) add_ids(s, 1, 50);
        if (i == 2) prefill(s);
        if (i == 2) assert_int_equal(muse_session_reserve(s, 300, &err), 0);
        if (i == 3) add_ids(s, 2, 50);
        if (i == 4) assert_int_equal(muse_sequence_truncate(s->seq, 33, &err), 0);
        assert_int_equal(muse_session_save(s, file, &err), 0);
        struct stat st;
        assert_int_equal(stat(file, &st), 0);
        assert_true(st.st_size < 400000);
        MuseSession *r = restore(t.model, file);
        assert_int_equal(r->seq->length, s->seq->length);
        assert_int_equal(r->kv.length, s->kv.length);
        assert_int_equal(r->has_logits, s->has_logits);
        if (i > 0) {
            MuseSession *f;
            assert_int_equal(muse_session_fork(&f, s, &err), 0);
            add_ids(f, 9, 3);
            add_ids(r, 9, 3);
            prefill(f);
            prefill(r);
            assert_true(logits_off(r, logits_copy(f)) <= 0);
            muse_session_close(&f);
        }
        muse_session_close(&r);
    }
    assert_int_equal(muse_sequence_append_image_size(s->seq, 30, 30, NULL, &err), 0);
    assert_int_equal(muse_session_save(s, other, &err), MUSE_ERR_STATE);
    muse_session_close(&s);
    setup_close(&t);
}

/* ---- damage ---- */

typedef struct Saved { uint8_t *data; size_t size, at[6]; } Saved;   /* at: of the five sections, and the end */

static Saved load_saved(void)
{
    MuseFile f = { 0 };
    assert_int_equal(muse_file_open(&f, file, 1 << 30, &err), 0);
    Saved s = { malloc(f.size + 64), f.size, { 12 } };
    memcpy(s.data, f.data, f.size);
    memset(s.data + f.size, 0, 64);
    muse_file_close(&f);
    for (size_t i = 0; i < 5; i++) {
        uint64_t n;
        memcpy(&n, s.data + s.at[i] + 4, 8);
        s.at[i + 1] = s.at[i] + 12 + (size_t)n + 32;
    }
    assert_int_equal(s.at[5], s.size);
    return s;
}

static void seal(Saved *s, size_t section)
{
    MuseHash h;
    muse_saved_hash_init(&h);
    muse_hash_add(&h, s->data + s->at[section], s->at[section + 1] - 32 - s->at[section]);
    muse_hash_done(&h, s->data + s->at[section + 1] - 32);
}

static int try_bytes(MuseModel *m, const void *data, size_t size)
{
    MuseSession *s = (MuseSession *)(uintptr_t)1;
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    err.text[0] = 0;
    const int rc = muse_session_read(&s, m, exact, size, "file", NULL, &err);
    free(exact);
    if (rc < 0) assert_true(s == NULL && strncmp(err.text, "file: ", 6) == 0);
    muse_session_close(&s);
    return rc;
}

static Saved small_saved(Setup *t)
{
    setup_open(t, "tiny/muse/hf");
    MuseSession *s = session_open(t->model, NULL);
    add_parts(s, "tiny/muse/cases/image-audio-text/");
    assert_int_equal(muse_session_save(s, file, &err), 0);
    muse_session_close(&s);
    return load_saved();
}

static void test_damaged(void **state)
{
    (void)state;
    Setup t;
    Saved s = small_saved(&t);
    assert_int_equal(try_bytes(t.model, s.data, s.size), 0);
    assert_int_equal(try_bytes(t.model, s.data, s.size + 1), MUSE_ERR_FORMAT);
    for (size_t i = 0; i <= 5; i++)
        for (size_t k = 0; k < 48; k++)
            if (s.at[i] + k < s.size) assert_int_equal(try_bytes(t.model, s.data, s.at[i] + k), MUSE_ERR_FORMAT);
    for (size_t i = 0; i < 12; i++) assert_int_equal(try_bytes(t.model, s.data, i), MUSE_ERR_FORMAT);
    for (size_t i = 0; i < s.size; i += i < 1000 ? 1 : 997) {
        s.data[i] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(try_bytes(t.model, s.data, s.size), i >= 8 && i < 12 ? MUSE_ERR_UNSUPPORTED : MUSE_ERR_FORMAT);
        s.data[i] ^= (uint8_t)(1u << i % 8);
    }
    free(s.data);
    setup_close(&t);
}

/* Right checksums over wrong numbers: offsets in the payload of a section, behind "muse" and the fingerprint in HEAD */
static void test_lies(void **state)
{
    (void)state;
    enum { HEAD, KEPT, SPAN, PAGE, LAST, H = 4 + 4 + 32 };
    static const struct { size_t section, offset; uint32_t value; int code; } lies[] = {
        { HEAD, 0, 5, MUSE_ERR_UNSUPPORTED }, { HEAD, 0, UINT32_MAX, MUSE_ERR_FORMAT }, { HEAD, 4, 'x', MUSE_ERR_UNSUPPORTED }, { HEAD, 8, 1, MUSE_ERR_UNSUPPORTED },
        { HEAD, H, 4, MUSE_ERR_FORMAT }, { HEAD, H + 4, 0, MUSE_ERR_FORMAT }, { HEAD, H + 4, MUSE_KV_F32, MUSE_ERR_FORMAT }, { HEAD, H + 8, 0, MUSE_ERR_FORMAT },
        { HEAD, H + 12, 2, MUSE_ERR_FORMAT }, { HEAD, H + 12, 0, MUSE_ERR_FORMAT },   /* logits without being announced */
        { HEAD, H + 16, 3, MUSE_ERR_FORMAT }, { HEAD, H + 16, 400, MUSE_ERR_FORMAT }, { HEAD, H + 16, 1000, MUSE_ERR_LIMIT }, { HEAD, H + 20, UINT32_MAX, MUSE_ERR_FORMAT },
        { HEAD, H + 24, 1, MUSE_ERR_FORMAT }, { HEAD, H + 24, 10000, MUSE_ERR_FORMAT }, { HEAD, H + 32, 1, MUSE_ERR_FORMAT }, { HEAD, H + 32, 1000, MUSE_ERR_FORMAT },
        { HEAD, H + 36, UINT32_MAX, MUSE_ERR_FORMAT }, { HEAD, H + 40, 2, MUSE_ERR_FORMAT }, { HEAD, H + 44, UINT32_MAX, MUSE_ERR_FORMAT }, { HEAD, H + 48, 7, MUSE_ERR_FORMAT },
        { KEPT, 0, 9, MUSE_ERR_FORMAT }, { KEPT, 0, MUSE_KEPT_SOUND, MUSE_ERR_FORMAT }, { KEPT, 0, MUSE_KEPT_PIXELS, MUSE_ERR_FORMAT }, { KEPT, 4, 1 << 30, MUSE_ERR_FORMAT },
        { KEPT, 12, 9, MUSE_ERR_FORMAT }, { KEPT, 12, 6, MUSE_ERR_FORMAT }, { KEPT, 40, UINT32_MAX, MUSE_ERR_FORMAT }, { KEPT, 44, UINT32_MAX, MUSE_ERR_FORMAT },
        { SPAN, 0, 7, MUSE_ERR_FORMAT }, { SPAN, 0, MUSE_IMAGE, MUSE_ERR_FORMAT }, { SPAN, 36, 70000, MUSE_ERR_FORMAT }, { SPAN, 40, 4, MUSE_ERR_FORMAT },
        { SPAN, 44, 8, MUSE_ERR_FORMAT }, { SPAN, 48, UINT32_MAX, MUSE_ERR_FORMAT }, { SPAN, 52, 1 << 20, MUSE_ERR_FORMAT },
        { SPAN, 52, 1, MUSE_ERR_FORMAT },   /* another id: not the sequence that was hashed */
        { PAGE, 0, 2, MUSE_ERR_FORMAT }, { PAGE, 4, 16, MUSE_ERR_FORMAT }, { PAGE, 8, 64, MUSE_ERR_FORMAT }, { PAGE, 12, 1, MUSE_ERR_FORMAT }, { PAGE, 16, 1, MUSE_ERR_FORMAT },
        { PAGE, 20, UINT32_MAX, MUSE_ERR_FORMAT }, { PAGE, 24, 0x7fc00000, 0 }, { LAST, 0, 0x7fc00000, 0 } };   /* values are not judged */
    Setup t;
    Saved s = small_saved(&t);
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        uint8_t *at = s.data + s.at[lies[i].section] + 12 + lies[i].offset, old[4], hash[32];
        memcpy(old, at, 4);
        memcpy(hash, s.data + s.at[lies[i].section + 1] - 32, 32);
        memcpy(at, &lies[i].value, 4);
        seal(&s, lies[i].section);
        const int rc = try_bytes(t.model, s.data, s.size);
        if (rc != lies[i].code) fail_msg("lie %zu: %d, expected %d (%s)", i, rc, lies[i].code, err.text);
        memcpy(at, old, 4);
        memcpy(s.data + s.at[lies[i].section + 1] - 32, hash, 32);
    }
    assert_int_equal(try_bytes(t.model, s.data, s.size), 0);
    free(s.data);
    setup_close(&t);
}

static void test_refused(void **state)
{
    (void)state;
    Setup t, u;
    Saved saved = small_saved(&t);
    free(saved.data);
    MuseSession *s = NULL;
    static const char *const models[] = { "tiny/muse-b/hf", "golden/gemma4-a/hf", "golden/qwen2/hf" };
    for (size_t i = 0; i < COUNT_OF(models); i++) {
        setup_open(&u, models[i]);
        assert_int_equal(muse_session_restore(&s, u.model, file, NULL, &err), MUSE_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, "model"));
        setup_close(&u);
    }
    MuseSessionParams p = params_of(MUSE_COMPUTE_F32, 0, 0);
    assert_int_equal(muse_session_restore(&s, t.model, file, &p, &err), MUSE_ERR_UNSUPPORTED);
    p = params_of(0, MUSE_KV_Q8, 0);
    assert_int_equal(muse_session_restore(&s, t.model, file, &p, &err), MUSE_ERR_UNSUPPORTED);
    p = params_of(0, 0, 0);
    p.image_mask = MUSE_IMAGE_MASK_A;
    assert_int_equal(muse_session_restore(&s, t.model, file, &p, &err), MUSE_ERR_UNSUPPORTED);
    p.image_mask = MUSE_IMAGE_MASK_B;   /* as saved */
    p.max_positions = 30;
    assert_int_equal(muse_session_restore(&s, t.model, file, &p, &err), MUSE_ERR_LIMIT);
    p.struct_size = 3;
    assert_int_equal(muse_session_restore(&s, t.model, file, &p, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_session_restore(&s, t.model, "/nonexistent/x", NULL, &err), MUSE_ERR_IO);
    assert_int_equal(muse_session_restore(&s, t.model, folder, NULL, &err), MUSE_ERR_IO);
    assert_int_equal(muse_session_restore(NULL, t.model, file, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_session_restore(&s, NULL, file, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_session_restore(&s, t.model, NULL, NULL, &err), MUSE_ERR_ARG);
    assert_int_equal(muse_session_save(NULL, file, &err), MUSE_ERR_ARG);
    s = session_open(t.model, NULL);
    assert_int_equal(muse_session_save(s, NULL, &err), MUSE_ERR_ARG);
    muse_session_close(&s);
    setup_close(&t);
}

/* ---- what restoring may cost ---- */

static void put(MuseBuf *b, const void *bytes, size_t n) { assert_int_equal(muse_buf_append(b, bytes, n), 0); }

/* a section of its own contents, sealed */
static void put_section(MuseBuf *b, const char *tag, const void *bytes, size_t n)
{
    const uint64_t size = n;
    uint8_t hash[32];
    MuseHash h;
    const size_t at = b->len;
    put(b, tag, 4);
    put(b, &size, 8);
    put(b, bytes, n);
    muse_saved_hash_init(&h);
    muse_hash_add(&h, b->data + at, 12 + n);
    muse_hash_done(&h, hash);
    put(b, hash, 32);
}

static uint32_t crc32_of(const uint8_t *p, size_t n)   /* of PNG chunks */
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void put_be(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* A file of n_kept originals, 1 or 2, that say they have side x side pixels, and n parts: of one, all of it; of two, the first part and the last
 * one all of the first original, and 8 x 8 pixels of the second between. */
static int try_parts(MuseModel *m, const Saved *s, uint32_t side, uint64_t n_kept, uint64_t n)
{
    enum { H = 4 + 4 + 32, KEPT_BYTES = 48, IHDR = KEPT_BYTES + 12, ORIGINAL = 4 + 32, WINDOW = ORIGINAL + 4 + 12 };
    MuseBuf b = { .alloc = NULL }, sections[5] = { 0 };
    uint8_t *kept = s->data + s->at[1] + 12, *span = s->data + s->at[2] + 12;
    memcpy(s->data + s->at[0] + 12 + H + 32, &n_kept, 8);
    memcpy(s->data + s->at[0] + 12 + H + 40, &n, 8);
    for (size_t i = 0; i < 2; i++) {
        memcpy(kept + 4 + 4 * i, &side, 4);
        put_be(kept + IHDR + 4 + 4 * i, side);
    }
    put_be(kept + IHDR + 4 + 13, crc32_of(kept + IHDR, 4 + 13));
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t original = n_kept == 2 && i > 0 && i < n - 1, width = original ? 8 : side;
        memcpy(span + ORIGINAL, &original, 4);
        for (size_t k = 0; k < 2; k++) memcpy(span + WINDOW + 4 * k, &width, 4);
        put(&sections[2], span, s->at[3] - s->at[2] - 12 - 32);
    }
    for (size_t i = 0; i < 5; i++)
        for (uint64_t k = 0; i != 2 && k < (i == 1 ? n_kept : 1); k++) put(&sections[i], s->data + s->at[i] + 12, s->at[i + 1] - s->at[i] - 12 - 32);
    put(&b, s->data, 12);
    for (size_t i = 0; i < 5; i++) {
        put_section(&b, (const char *)s->data + s->at[i], sections[i].data, sections[i].len);
        muse_buf_clear(&sections[i]);
    }
    const int rc = try_bytes(m, b.data, b.len);
    muse_buf_clear(&b);
    return rc;
}

/* Refused before anything is decoded: the picture's data is a few bytes, so that decoding it would be MUSE_ERR_FORMAT. */
static void test_costly(void **state)
{
    (void)state;
    Setup t;
    MuseImage *img = NULL;
    setup_open(&t, "tiny/muse/hf");
    MuseSession *s = session_open(t.model, NULL);
    assert_int_equal(muse_image_open_file(&img, t.rt, path_of("tiny/muse/cases/image-audio-text/", "image0.png"), NULL, &err), 0);
    assert_int_equal(muse_sequence_append_image(s->seq, img, NULL, &err), 0);
    muse_image_close(&img);
    assert_int_equal(muse_session_save(s, file, &err), 0);
    Saved saved = load_saved();
    assert_int_equal(try_parts(t.model, &saved, 16384, 1, 65), MUSE_ERR_LIMIT);   /* 2^28 pixels each, too many to hold */
    assert_int_equal(try_parts(t.model, &saved, 16384, 1, 64), MUSE_ERR_FORMAT);
    assert_int_equal(try_parts(t.model, &saved, 8192, 1, 256), MUSE_ERR_LIMIT);   /* held: 2^26 once and for each part */
    assert_int_equal(try_parts(t.model, &saved, 8192, 1, 255), MUSE_ERR_FORMAT);
    assert_int_equal(try_parts(t.model, &saved, 8192, 2, 256), MUSE_ERR_LIMIT);   /* only the first is held: 3 * 2^26, and 2^26 for each part of the second */
    assert_int_equal(try_parts(t.model, &saved, 8192, 2, 255), MUSE_ERR_FORMAT);
    free(saved.data);
    muse_session_close(&s);
    setup_close(&t);
}

/* A picture file is decoded once for all parts that are cut from it, and its pixels are not kept. */
static void test_decoded_once(void **state)
{
    (void)state;
    Setup t;
    MuseImage *img = NULL, *cut;
    setup_open(&t, "tiny/muse/hf");
    MuseSession *s = session_open(t.model, NULL);
    assert_int_equal(muse_image_open_file(&img, t.rt, path_of("tiny/muse/cases/image-audio-text/", "image0.png"), NULL, &err), 0);
    t.meter.watch = 16 * 12 * 3 + 128;   /* all pixels, as the allocator is asked for them */
    assert_int_equal(muse_sequence_append_image(s->seq, img, NULL, &err), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(muse_image_region(&cut, img, (MuseRect){ (double)i, 1, 9, 8 }, &err), 0);
        assert_int_equal(muse_sequence_append_image(s->seq, cut, NULL, &err), 0);
        muse_image_close(&cut);
    }
    muse_image_close(&img);
    const size_t others = t.meter.watched;   /* of the same size by chance */
    prefill(s);
    assert_int_equal(muse_session_save(s, file, &err), 0);
    t.meter.watched = 0;
    MuseSession *r = restore(t.model, file);
    assert_int_equal(t.meter.watched, others + 1);
    assert_string_equal(muse_picture_root(r->seq->spans[0].image)->source.reader->name, "png");
    assert_true(logits_off(r, logits_copy(s)) <= 0);
    muse_session_close(&s);
    muse_session_close(&r);
    setup_close(&t);
}

/* ---- disk and memory ---- */

static void test_disk(void **state)
{
    (void)state;
    Setup t;
    Saved before = small_saved(&t);
    MuseSession *s = restore(t.model, file);
    if (access("/dev/full", W_OK) == 0) assert_int_equal(muse_session_save(s, "/dev/full", &err), MUSE_ERR_IO);
    assert_int_equal(muse_session_save(s, "/nonexistent/x", &err), MUSE_ERR_IO);
    add_ids(s, 4, 20);
    prefill(s);
    struct rlimit old, small = { 20000, 20000 };
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const int rc = muse_session_save(s, file, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(rc, MUSE_ERR_IO);
    Saved after = load_saved();   /* the file of before, and nothing beside it */
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    unlink(file);
    unlink(other);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    free(before.data);
    free(after.data);
    muse_session_close(&s);
    setup_close(&t);
}

static void test_no_memory(void **state)
{
    (void)state;
    Setup t;
    Saved saved = small_saved(&t);
    free(saved.data);
    MuseSession *s = restore(t.model, file), *r = NULL;
    float *want = logits_copy(s);
    long n = 0;
    for (int rc = MUSE_ERR_NOMEM; rc == MUSE_ERR_NOMEM; n++) {
        t.meter.fail_at = t.meter.calls + n + 1;
        rc = muse_session_save(s, other, &err);
        if (rc < 0) assert_int_equal(rc, MUSE_ERR_NOMEM);
    }
    assert_true(n > 3);
    t.meter.fail_at = 0;
    const size_t live = t.meter.live;
    n = 0;
    for (int rc = MUSE_ERR_NOMEM; rc == MUSE_ERR_NOMEM; n++) {
        t.meter.fail_at = t.meter.calls + n + 1;
        rc = muse_session_restore(&r, t.model, other, NULL, &err);
        if (rc == 0) break;
        assert_int_equal(rc, MUSE_ERR_NOMEM);
        assert_null(r);
        assert_int_equal(t.meter.live, live);
    }
    assert_true(n > 30);
    t.meter.fail_at = 0;
    assert_true(logits_off(r, want) <= 0);
    muse_session_close(&r);
    muse_session_close(&s);
    setup_close(&t);
}

/* pages out of a file are for their own session alone */
static void test_cache(void **state)
{
    (void)state;
    Setup t;
    Saved saved = small_saved(&t);
    free(saved.data);
    MusePrefixCache *cache = NULL;
    assert_int_equal(muse_prefix_cache_open(&cache, t.model, 0, &err), 0);
    MuseSessionParams p = params_of(0, 0, 0);
    p.cache = cache;
    MuseSession *s = NULL, *f = NULL;
    assert_int_equal(muse_session_restore(&s, t.model, file, &p, &err), 0);
    add_ids(s, 3, 40);
    prefill(s);
    assert_int_equal(muse_session_fork(&f, s, &err), 0);
    add_ids(f, 4, 40);
    prefill(f);
    MusePrefixCacheInfo info;
    muse_prefix_cache_info(cache, &info);
    assert_int_equal(info.entries, 0);
    assert_int_equal(muse_session_rewind(s, 0, &err), 0);   /* all computed here: it may be kept */
    add_ids(s, 5, 64);
    prefill(s);
    muse_prefix_cache_info(cache, &info);
    assert_int_equal(info.entries, 1);
    muse_session_close(&f);
    muse_session_close(&s);
    muse_prefix_cache_close(&cache);
    setup_close(&t);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc == 3) {   /* the new process */
        snprintf(folder, sizeof folder, "%s", argv[2]);
        child_model = argv[1];
    } else {
        snprintf(folder, sizeof folder, "/tmp/muse-test-XXXXXX");
        if (!mkdtemp(folder)) return 1;
    }
    snprintf(file, sizeof file, "%s/session", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    const struct CMUnitTest one[] = { cmocka_unit_test(child) };
    if (argc == 3) return cmocka_run_group_tests(one, NULL, NULL);
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_new_process), cmocka_unit_test(test_same_sequence), cmocka_unit_test(test_states), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_lies), cmocka_unit_test(test_refused), cmocka_unit_test(test_costly), cmocka_unit_test(test_decoded_once), cmocka_unit_test(test_disk), cmocka_unit_test(test_no_memory), cmocka_unit_test(test_cache) };
    const int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file);
    unlink(other);
    rmdir(folder);
    return rc;
}
