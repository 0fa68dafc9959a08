/* SPDX-License-Identifier: Apache-2.0 */
/* tools/nano: a branch of a world has the ids, positions and patches that the chat format and a sequence give it; what is
 * learned is what the world says; plans are read, refused, and tell the same sample always. */
#include "worlds_util.h"

#include "tools/nano/worlds_source.h"

static MuseTextTokenizer *tok;
static NanoSource source;
static MuseError err;

/* ---- positions ---- */

typedef struct Walk {     /* over the parts of prefix and branch, as the trainer lays them out */
    const MuseTrainSample *s;
    const MuseTrainBranch *b;
    size_t part, index;
    int t;
    uint32_t shown;
} Walk;

static const MuseTrainPart *here(Walk *w)
{
    for (;;) {
        const size_t n = w->s->n_prefix + w->b->n_parts;
        if (w->part == n) return NULL;
        const MuseTrainPart *p = w->part < w->s->n_prefix ? &w->s->prefix[w->part] : &w->b->parts[w->part - w->s->n_prefix];
        if (w->index < p->n) return p;
        w->t += p->modality == MUSE_IMAGE;
        w->part++;
        w->index = 0;
    }
}

static void same_patch(const MuseSequence *seq, const MusePosition *p, const MuseTrainPart *part, size_t index)
{
    float values[192];
    MuseSpanInfo info;
    assert_int_equal(muse_sequence_span(seq, p->span, &info), 0);
    assert_int_equal(info.image.grid_width, part->grid_width);
    assert_int_equal(info.image.grid_height, part->grid_height);
    assert_int_equal(part->alone, 0);   /* in a session a look sees all that stands before it */
    assert_int_equal(muse_sequence_features(seq, p->span, index, 1, values, &err), 0);
    const size_t gx = index % part->grid_width, gy = index / part->grid_width, stride = part->grid_width * 24;
    for (size_t i = 0; i < 192; i++)
        if (values[i] != (float)part->rgb[(gy * 8 + i / 24) * stride + gx * 24 + i % 24] * (1.0f / 255)) fail_msg("patch %zu differs", index);
}

/* every position of the sequence from `first` on is the walk's next one */
static void compare(const MuseSequence *seq, size_t first, Walk *w)
{
    for (size_t i = first; i < muse_sequence_length(seq); i++) {
        MusePosition p;
        const MuseTrainPart *part = here(w);
        assert_int_equal(muse_sequence_position(seq, i, &p), 0);
        if (!part) fail_msg("position %zu: the sample has ended", i);
        if (p.modality != part->modality || p.t != w->t) fail_msg("position %zu: modality %d, t %d; the sequence has %d, %d", i, part->modality, w->t, p.modality, p.t);
        if (p.modality == MUSE_TEXT && p.id != part->ids[w->index]) fail_msg("position %zu: id %d; the sequence has %d", i, part->ids[w->index], p.id);
        if (p.modality == MUSE_IMAGE) {
            assert_int_equal(p.y * (int)part->grid_width + p.x, w->index);
            same_patch(seq, &p, part, w->index);
        }
        w->t += p.modality != MUSE_IMAGE;
        w->index++;
    }
}

static void add_question(MuseChat *chat, const char *text, size_t n)
{
    assert_int_equal(muse_chat_add_text(chat, text, n, &err), 0);
}

/* The prompt by the chat, all that follows by appending what is written and shown. Questions that name places have no chat form. */
static void check_branch(const MuseWorldsSample *s, size_t number, const MuseTrainSample *made, MuseImage *const *images, MuseAudio *audio)
{
    const MuseWorldsBranch *b = &s->branches[number];
    MuseChat *chat;
    MuseChatParams cp;
    MuseSequence *seq;
    MuseSequenceParams sp;
    Walk walk = { made, &made->branches[number], 0, 0, 0, 0 };
    size_t i = 0, at = 0;
    muse_chat_params_init(&cp);
    cp.format = "muse";
    cp.thinking = b->think ? MUSE_THINKING_ON : MUSE_THINKING_OFF;
    muse_sequence_params_init(&sp);
    sp.tokenizer = tok;
    assert_int_equal(muse_chat_open(&chat, NULL, &cp, &err), 0);
    assert_int_equal(muse_sequence_open(&seq, NULL, &sp, &err), 0);
    assert_int_equal(muse_chat_add(chat, MUSE_ROLE_USER, &err), 0);
    for (size_t k = 0; k < s->n_images; k++) assert_int_equal(muse_chat_add_image(chat, images[k], NULL, &err), 0);
    if (audio) assert_int_equal(muse_chat_add_audio(chat, audio, &err), 0);
    bool places = false;
    for (; b->parts[i].role == MUSE_WORLDS_QUESTION; i++) {
        places = places || memchr(b->parts[i].text, '<', b->parts[i].size);
        add_question(chat, b->parts[i].text, b->parts[i].size);
    }
    if (!places) {
        assert_int_equal(muse_chat_append(chat, seq, 0, &err), 0);
        compare(seq, 0, &walk);
        at = muse_sequence_length(seq);
        char rest[8192];
        size_t n = 0, skip = b->think ? 7 : 0;   /* <think> stands already */
        for (; i < b->n_parts; i++, skip = 0) {
            const MuseWorldsPart *p = &b->parts[i];
            memcpy(rest + n, p->text + skip, p->size - skip);
            n += p->size - skip;
            if (p->role != MUSE_WORLDS_VIEW && i + 1 < b->n_parts) continue;
            if (n) assert_int_equal(muse_sequence_append_text(seq, rest, n, MUSE_TEXT_ADDED, &err), 0);
            n = 0;
            if (p->role != MUSE_WORLDS_VIEW) continue;
            MuseImage *view;
            MuseImageOptions o;
            muse_image_options_init(&o);
            o.budget = MUSE_BUDGET_AUTO;
            assert_int_equal(muse_image_region(&view, images[p->image], p->rect, &err), 0);
            assert_int_equal(muse_sequence_append_image(seq, view, &o, &err), 0);
            muse_image_close(&view);
        }
        assert_int_equal(muse_sequence_append_text(seq, "<eos>", 5, MUSE_TEXT_ADDED, &err), 0);
        compare(seq, at, &walk);
        if (here(&walk)) fail_msg("%s: the sample goes on", b->task);
    }
    muse_sequence_close(&seq);
    muse_chat_close(&chat);
}

/* ---- what is learned ---- */

static bool never(const char *task)
{
    static const char list[] = " find caption at locate box second drill-facts ";
    char word[40];
    snprintf(word, sizeof word, " %s ", task);
    return strstr(list, word) != NULL;
}

/* the text of learned tokens is the learned text; it may hold a given byte or two where a token has both */
static void check_learned(const MuseWorldsBranch *b, const MuseTrainBranch *made)
{
    char want[8192] = "", got[8192] = "";
    size_t n = 0, m = 0;
    bool asked = false;
    for (size_t i = 0; i < b->n_parts; i++) {
        const MuseWorldsPart *p = &b->parts[i];
        if (!asked && p->role != MUSE_WORLDS_QUESTION) {
            asked = true;
            if (!b->think && never(b->task)) n += (size_t)sprintf(want + n, "</think>");
        }
        const size_t skip = p->learn && n == 0 && b->think && p->size >= 7 && memcmp(p->text, "<think>", 7) == 0 ? 7 : 0;
        if (p->learn) memcpy(want + n, p->text + skip, p->size - skip), n += p->size - skip;
    }
    n += (size_t)sprintf(want + n, "<eos>");
    for (size_t k = 0; k < made->n_parts; k++)
        for (size_t i = 0; made->parts[k].modality == MUSE_TEXT && i < made->parts[k].n; i++) {
            const char *bytes;
            size_t n_bytes;
            if (!(made->parts[k].weights[i] > 0)) continue;
            assert_int_equal(muse_text_token_bytes(tok, made->parts[k].ids[i], &bytes, &n_bytes), 0);
            memcpy(got + m, bytes, n_bytes);
            m += n_bytes;
        }
    if (m < n || memcmp(got + m - 5, "<eos>", 5) != 0) fail_msg("%s: learned \"%s\", not \"%s\"", b->task, got, want);
    if (strncmp(b->task, "drill", 5) != 0 && (n != m || memcmp(want, got, n) != 0)) fail_msg("%s: learned \"%s\", not \"%s\"", b->task, got, want);
}

static void check_sample(const MuseWorldsSample *s)
{
    MuseTrainSample made = { 0 };
    MuseImage *images[8] = { NULL };
    MuseAudio *audio = NULL;
    if (nano_sample_make(&source, s, &made, &err) < 0) fail_msg("%s: %s", s->world, err.text);
    assert_int_equal(made.n_branches, s->n_branches);
    for (size_t i = 0; i < s->n_images; i++)
        assert_int_equal(muse_image_open_pixels(&images[i], NULL, s->images[i].rgb, s->images[i].width, s->images[i].height, 0, MUSE_PIXELS_RGB, NULL, &err), 0);
    if (s->n_pcm) assert_int_equal(muse_audio_open_pcm(&audio, NULL, s->pcm, s->n_pcm, MUSE_PCM_S16, s->rate, 1, NULL, &err), 0);
    for (size_t i = 0; i < s->n_branches; i++) {
        check_branch(s, i, &made, images, audio);
        check_learned(&s->branches[i], &made.branches[i]);
    }
    for (size_t i = 0; i < made.n_gazes; i++) {   /* a gaze stands at the last token of a name and meets its object */
        const MuseTrainGaze *g = &made.gazes[i];
        const MuseTrainPart *p = &made.branches[g->branch].parts[g->part];
        assert_true(p->modality == MUSE_TEXT && g->index < p->n && g->n_targets > 0);
        assert_int_equal(made.prefix[g->target_part].modality, MUSE_IMAGE);
        const char *bytes;
        size_t n;
        muse_text_token_bytes(tok, p->ids[g->index], &bytes, &n);
        if (bytes[0] == '<') fail_msg("a gaze at %.*s", (int)n, bytes);
    }
    for (size_t i = 0; i < 8; i++) muse_image_close(&images[i]);
    muse_audio_close(&audio);
    nano_sample_release(NULL, &made);
    assert_null(made.handle);
}

static void test_branches(void **state)
{
    (void)state;
    MuseWorldsMaker *m = open_maker(source.worlds);
    for (size_t w = 0; muse_worlds_name(w); w++)
        for (uint64_t i = 0; i < 6; i++) {
            MuseWorldsOptions o;
            muse_worlds_options_init(&o);
            o.max_side = strcmp(muse_worlds_name(w), "print") == 0 ? 256 : 128;
            check_sample(make(m, muse_worlds_name(w), i, &o));
        }
    muse_worlds_maker_close(&m);
}

/* the list of kinds that never think is the generator's */
static void test_never_thinks(void **state)
{
    (void)state;
    MuseWorldsMaker *m = open_maker(source.worlds);
    for (size_t w = 0; muse_worlds_name(w); w++)
        for (uint64_t i = 0; i < 20; i++) {
            MuseWorldsOptions o;
            muse_worlds_options_init(&o);
            o.max_side = strcmp(muse_worlds_name(w), "print") == 0 ? 256 : 64;
            o.form = MUSE_WORLDS_THINK;
            const MuseWorldsSample *s = make(m, muse_worlds_name(w), i, &o);
            for (size_t k = 0; k < s->n_branches; k++)
                if (s->branches[k].think == never(s->branches[k].task)) fail_msg("%s", s->branches[k].task);
        }
    muse_worlds_maker_close(&m);
}

/* ---- plans ---- */

#define WORLDS(...) "{\"data\":[{\"worlds\":" __VA_ARGS__ "}]}"
#define STAGES(...) WORLDS("{\"seed\":3,\"fonts\":\"builtin\",\"stages\":[" __VA_ARGS__ "]}")

static int read_plan(NanoPlan *plan, const char *json) { return nano_plan_read(plan, json, strlen(json), &err); }

static void test_plan(void **state)
{
    (void)state;
    static NanoPlan plan;
    assert_int_equal(read_plan(&plan, STAGES("{\"samples\":5,\"mix\":[{\"task\":\"scenes\",\"weight\":2},{\"task\":\"count\"}]},{\"mix\":[{\"task\":\"tones\"}]}")), 1);
    static const char *const want[] = { "scenes", "scenes", "count", "scenes", "scenes", "tones", "tones" };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) assert_string_equal(nano_plan_at(&plan, i)->task, want[i]);
    assert_string_equal(nano_plan_at(&plan, UINT64_MAX)->task, "tones");
    assert_int_equal(read_plan(&plan, "{\"data\":[{\"jsonl\":\"a\"}]}"), 0);
    assert_int_equal(read_plan(&plan, "{"), 0);
}

static void test_refused(void **state)
{
    (void)state;
    static NanoPlan plan;
    static const struct { const char *json, *text; } bad[] = {
        { WORLDS("1"), "worlds is not an object" },
        { WORLDS("{}"), "\"stages\" is not a list" },
        { WORLDS("{\"stages\":[],\"speed\":1}"), "\"speed\" is not a key" },
        { STAGES(""), "\"stages\" is not a list" },
        { STAGES("{\"mix\":[]}"), "\"mix\" is not a list" },
        { STAGES("{\"samples\":5,\"mix\":[{\"task\":\"scenes\"}]}"), "all but the last" },
        { STAGES("{\"mix\":[{\"task\":\"scenes\"}]},{\"mix\":[{\"task\":\"scenes\"}]}"), "all but the last" },
        { STAGES("{\"mix\":[{\"task\":\"nothing\"}]}"), "\"nothing\" is no world" },
        { STAGES("{\"mix\":[{}]}"), "is no world" },
        { STAGES("{\"mix\":[{\"task\":\"scenes\",\"task\":\"odd\"}]}"), "twice" },
        { STAGES("{\"mix\":[{\"task\":\"scenes\",\"weight\":0}]}"), "\"weight\" is not a whole number" },
        { STAGES("{\"mix\":[{\"task\":\"scenes\",\"min_side\":128,\"max_side\":64}]}"), "\"max_side\"" },
        { STAGES("{\"mix\":[{\"task\":\"scenes\",\"form\":\"loud\"}]}"), "\"form\" is not one of" },
        { "{\"data\":[{\"worlds\":{}},{\"jsonl\":\"a\"}]}", "stand alone" },
        { "{\"data\":[{\"worlds\":{},\"weight\":2}]}", "stand alone" },
        { "{\"labels\":{\"heads\":[{\"name\":\"taste\",\"classes\":3}]},\"data\":[{\"worlds\":{\"stages\":[{\"mix\":[{\"task\":\"odd\"}]}]}}]}", "labels.heads" },
        { "{\"labels\":{\"heads\":[{\"name\":\"size\",\"classes\":3}]},\"data\":[{\"worlds\":{\"stages\":[{\"mix\":[{\"task\":\"odd\"}]}]}}]}", "4 classes" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int rc = read_plan(&plan, bad[i].json);
        if (rc != MUSE_ERR_FORMAT || !strstr(err.text, bad[i].text)) fail_msg("%s: %d, %s", bad[i].json, rc, rc < 0 ? err.text : "");
    }
}

/* the same number, the same sample, whatever was made before */
static void test_same_again(void **state)
{
    (void)state;
    MuseTrainSource s = nano_source(&source);
    MuseTrainSample a = { 0 }, b = { 0 };
    assert_int_equal(s.make(s.user, 17, &a, &err), 0);
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(s.make(s.user, i, &b, &err), 0);
        s.release(s.user, &b);
    }
    assert_int_equal(s.make(s.user, 17, &b, &err), 0);
    assert_int_equal(a.n_branches, b.n_branches);
    for (size_t i = 0; i < a.n_branches; i++) {
        const MuseTrainPart *p = a.branches[i].parts, *q = b.branches[i].parts;
        assert_int_equal(p->n, q->n);
        assert_memory_equal(p->ids, q->ids, p->n * sizeof *p->ids);
    }
    assert_int_equal(a.n_labels, b.n_labels);
    assert_true(a.n_labels > 0 && a.n_gazes > 0);
    s.release(s.user, &a);
    s.release(s.user, &b);
}

/* a sample that no pass can hold is left out */
static void test_too_long(void **state)
{
    (void)state;
    MuseTrainSource s = nano_source(&source);
    MuseTrainSample a = { 0 };
    const uint64_t whole = source.plan.positions;
    source.plan.positions = 100;
    assert_int_equal(s.make(s.user, 17, &a, &err), MUSE_AGAIN);
    assert_null(a.handle);
    source.plan.positions = whole;
}

static int begin(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/models/muse-nano", getenv("MUSE_SOURCE"));
    static const char json[] = "{\"labels\":{\"heads\":[{\"name\":\"kind\",\"classes\":16},{\"name\":\"dx\",\"classes\":41}]},\"gaze\":{},\"data\":[{\"worlds\":{\"fonts\":\"builtin\",\"stages\":["
        "{\"mix\":[{\"task\":\"scenes\",\"max_side\":64}]}]}}]}";
    if (nano_plan_read(&source.plan, json, sizeof json - 1, &err) != 1 || muse_text_open_file(&tok, NULL, path, &err) < 0) return -1;
    return nano_source_open(&source, tok, &err);
}

static int end(void **state)
{
    (void)state;
    nano_source_close(&source);
    muse_text_close(&tok);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_branches), cmocka_unit_test(test_never_thinks), cmocka_unit_test(test_plan), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_same_again), cmocka_unit_test(test_too_long) };
    return cmocka_run_group_tests(tests, begin, end);
}
