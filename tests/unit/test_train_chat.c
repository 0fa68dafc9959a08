/* SPDX-License-Identifier: Apache-2.0 */
/* A line of a data set stands where the runtime puts the same conversation: position by position against muse_chat_append(), and
 * against what an agent has in its session after it wrote the same thought and was shown the same looks. */
#include <math.h>

#include "libmuse/train/data.h"
#include "tests/unit/temp_folder.h"
#include "tests/unit/test_reason_data.h"

static MuseModel *model;
static const MuseTextTokenizer *tok;
static MuseImage *picture;

static MuseTrainSample sample_of(const char *line)
{
    const MuseJsonlRules rules = { .rt = model->rt, .model = &model->config, .tokenizer = tok };
    MuseTrainSample s;
    if (muse_jsonl_sample(&rules, folder, line, strlen(line), &s, &err) < 0) fail_msg("%s: %s", line, err.text);
    return s;
}

/* the branch's ids and media, prefix first, against positions 0 .. n - 1 of a sequence; learned: text of the ids with weight */
static void same(const MuseTrainSample *s, size_t branch, const MuseSequence *seq, const char *learned)
{
    const MuseTrainBranch *b = &s->branches[branch];
    char got[512] = "";
    size_t at = 0, n_got = 0;
    int t = 0;
    for (size_t k = 0; k < s->n_prefix + b->n_parts; k++) {
        const MuseTrainPart *p = k < s->n_prefix ? &s->prefix[k] : &b->parts[k - s->n_prefix];
        for (size_t i = 0; i < p->n; i++, at++) {
            MusePosition here;
            if (muse_sequence_position(seq, at, &here) < 0) fail_msg("position %zu: the sequence has ended", at);
            if (here.modality != p->modality || here.t != t) fail_msg("position %zu: modality %d, t %d; the sequence has %d, %d", at, p->modality, t, here.modality, here.t);
            if (p->modality == MUSE_IMAGE) {
                float values[3 * 64];
                const size_t width = 3 * (size_t)model->config.image.unit * model->config.image.unit;
                assert_true(width <= 3 * 64 && p->alone == 0);
                ok(muse_sequence_features(seq, here.span, i, 1, values, &err));
                assert_memory_equal(values, p->features + i * width, width * sizeof *values);
                continue;
            }
            const char *bytes;
            size_t n;
            t++;
            if (here.id != p->ids[i]) fail_msg("position %zu: id %d; the sequence has %d", at, p->ids[i], here.id);
            if (!p->weights || p->weights[i] == 0) continue;
            assert_true(k >= s->n_prefix && p->weights[i] == 1);
            ok(muse_text_token_bytes(tok, p->ids[i], &bytes, &n));
            memcpy(got + n_got, bytes, n);
            n_got += n;
        }
        t += p->modality == MUSE_IMAGE;
    }
    assert_int_equal(at, muse_sequence_length(seq));
    assert_string_equal(got, learned);
}

/* ---- against the chat ---- */

typedef struct Turn { const char *before, *question, *thought, *answer; bool image; } Turn;

static MuseSequence *chat_of(const char *system, const Turn *turns, size_t n)
{
    MuseChat *chat;
    MuseChatParams cp;
    MuseSequence *seq;
    MuseSequenceParams sp;
    muse_chat_params_init(&cp);
    cp.format = "muse", cp.no_generation = 1;
    cp.thinking = turns[n - 1].thought ? MUSE_THINKING_ON : MUSE_THINKING_OFF;
    muse_sequence_params_init(&sp);
    sp.tokenizer = tok, sp.family = muse_model_family(model);
    ok(muse_chat_open(&chat, NULL, &cp, &err));
    if (system) {
        ok(muse_chat_add(chat, MUSE_ROLE_SYSTEM, &err));
        ok(muse_chat_add_text(chat, system, strlen(system), &err));
    }
    for (size_t i = 0; i < n; i++) {
        ok(muse_chat_add(chat, MUSE_ROLE_USER, &err));
        if (turns[i].before) ok(muse_chat_add_text(chat, turns[i].before, strlen(turns[i].before), &err));
        if (turns[i].image) ok(muse_chat_add_image(chat, picture, NULL, &err));
        ok(muse_chat_add_text(chat, turns[i].question, strlen(turns[i].question), &err));
        ok(muse_chat_add(chat, MUSE_ROLE_ASSISTANT, &err));
        if (turns[i].thought) ok(muse_chat_add_thought(chat, turns[i].thought, strlen(turns[i].thought), &err));
        ok(muse_chat_add_text(chat, turns[i].answer, strlen(turns[i].answer), &err));
    }
    ok(muse_sequence_open(&seq, NULL, &sp, &err));
    ok(muse_chat_append(chat, seq, 0, &err));
    muse_chat_close(&chat);
    return seq;
}

static void test_chat(void **state)
{
    (void)state;
    static const struct { const char *line, *system; Turn turns[2]; size_t n, branch; const char *learned; } cases[] = {
        { "{\"parts\":[{\"text\":\"see: \"},{\"image\":\"a.png\"},{\"text\":\"How ma\"},{\"text\":\"ny?\"}],\"thought\":\"1 2\",\"answer\":\"2\"}", NULL,
          { { "see: ", "How many?", "1 2", "2", true } }, 1, 0, "1 2</think>2<eos>" },
        { "{\"parts\":[{\"image\":\"a.png\"},{\"text\":\"How <think> many?\"}],\"answer\":\"2\"}", NULL, { { NULL, "How <think> many?", NULL, "2", true } }, 1, 0, "2<eos>" },
        { "{\"parts\":[{\"text\":\"2+2=\"}],\"answer\":\"4\"}", NULL, { { NULL, "2+2=", NULL, "4", false } }, 1, 0, "4<eos>" },
        { "{\"system\":\"Be short.\",\"turns\":[{\"parts\":[{\"image\":\"a.png\"},{\"text\":\"one?\"}],\"answer\":\"yes\"}],\"parts\":[{\"text\":\"and \"},{\"image\":\"a.png\"},{\"text\":\"?\"}],"
          "\"thought\":\"so\",\"answer\":\"no\"}", "Be short.", { { NULL, "one?", NULL, "yes", true }, { "and ", "?", "so", "no", true } }, 2, 0, "yes<eos>so</think>no<eos>" },
        { "{\"parts\":[{\"image\":\"a.png\"},{\"text\":\"How m\"}],\"branches\":[{\"parts\":[],\"answer\":\"1\"},{\"parts\":[{\"text\":\"any?\"}],\"thought\":\"b\",\"answer\":\"c\"}]}", NULL,
          { { NULL, "How many?", "b", "c", true } }, 1, 1, "b</think>c<eos>" },
        { "{\"parts\":[{\"text\":\"x\"}],\"branches\":[{\"parts\":[{\"image\":\"a.png\"},{\"text\":\"q\"}],\"answer\":\"1\"},{\"parts\":[{\"image\":\"a.png\"},{\"text\":\"r\"}],\"answer\":\"2\"}]}", NULL,
          { { "x", "r", NULL, "2", true } }, 1, 1, "2<eos>" },
        { "{\"parts\":[{\"text\":\"q\"}],\"thought\":[{\"text\":\"a b\"},{\"given\":\" c d\"},{\"text\":\" e\"}],\"answer\":\"f\"}", NULL, { { NULL, "q", "a b c d e", "f", false } }, 1, 0,
          "a b e</think>f<eos>" },
        { "{\"parts\":[{\"text\":\"q\"}],\"thought\":\"a b c d e\",\"given\":[[3,7]],\"answer\":\"f\"}", NULL, { { NULL, "q", "a b c d e", "f", false } }, 1, 0, "a b e</think>f<eos>" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseTrainSample s = sample_of(cases[i].line);
        MuseSequence *seq = chat_of(cases[i].system, cases[i].turns, cases[i].n);
        print_message("%s\n", cases[i].line);
        same(&s, cases[i].branch, seq, cases[i].learned);
        muse_sequence_close(&seq);
        muse_draft_release(&s);
    }
}

/* ---- against an agent ---- */

static void test_agent(void **state)
{
    (void)state;
    static const char first[] = "at<look> star<box><x1><y2><x3><y4>", rest[] = "it</think>7<eos>";
    MuseReasonPart parts[] = { { .modality = MUSE_IMAGE, .image = picture }, { .modality = MUSE_TEXT, .text = "What is on it?" } };
    MuseAgent *a;
    MuseAgentInfo info;
    MuseReasonStep step;
    char text[512], line[1024];
    ok(muse_agent_open(&a, model, parts, 2, NULL, &err));
    snprintf(text, sizeof text, "%s%s", first, rest);
    script(a, text);
    ok(muse_agent_run(&a, 1, &err));
    ok(muse_agent_info(a, &info));
    assert_int_equal(info.finish, MUSE_AGENT_ANSWERED);
    assert_int_equal(info.looks, 1);
    ok(muse_agent_step(a, 0, &step));
    assert_int_equal(step.kind, MUSE_REASON_LOOK);
    const MuseRect r = step.view;
    const int32_t eos = muse_text_find(tok, "<eos>", 5);
    MuseSequence *seq = muse_session_sequence(muse_agent_session(a));
    MusePosition last;   /* what ends the turn is not computed */
    ok(muse_sequence_position(seq, muse_sequence_length(seq) - 1, &last));
    if (last.id != eos) ok(muse_sequence_append_ids(seq, &eos, 1, &err));
    snprintf(line, sizeof line, "{\"parts\":[{\"image\":\"a.png\"},{\"text\":\"What is on it?\"}],\"thought\":[{\"text\":\"%s\"},{\"region\":{\"image\":1,\"box\":[%.17g,%.17g,%.17g,%.17g]}},"
             "{\"text\":\"it\"}],\"answer\":\"7\"}", first, r.x0, r.y0, r.x1, r.y1);
    MuseTrainSample s = sample_of(line);
    same(&s, 0, seq, text);
    muse_draft_release(&s);
    snprintf(line, sizeof line, "{\"parts\":[{\"image\":\"a.png\"},{\"text\":\"What is on it?\"}],\"thought\":\"%sit\",\"views\":[{\"at\":%zu,\"image\":0,\"box\":[%.17g,%.17g,%.17g,%.17g]}],"
             "\"answer\":\"7\"}", first, strlen(first), r.x0, r.y0, r.x1, r.y1);
    s = sample_of(line);
    same(&s, 0, seq, text);
    muse_draft_release(&s);
    muse_agent_close(&a);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct { const char *line; int code; const char *text; } cases[] = {
        { "{\"parts\":[],\"turns\":[],\"answer\":\"1\"}", MUSE_ERR_FORMAT, "turns" },
        { "{\"parts\":[],\"turns\":[1],\"answer\":\"1\"}", MUSE_ERR_FORMAT, "turn" },
        { "{\"parts\":[],\"turns\":[{\"parts\":[]}],\"answer\":\"1\"}", MUSE_ERR_FORMAT, "answer" },
        { "{\"parts\":[],\"turns\":[{\"parts\":[],\"answer\":\"1\"}],\"branches\":[{\"answer\":\"1\"}]}", MUSE_ERR_FORMAT, "turns" },
        { "{\"parts\":[],\"system\":1,\"answer\":\"1\"}", MUSE_ERR_FORMAT, "system" },
        { "{\"parts\":[{\"text\":\"a\",\"learn\":true}],\"answer\":\"1\"}", MUSE_ERR_UNSUPPORTED, "learn" },
        { "{\"parts\":[],\"thought\":\"abc\",\"given\":[[2,1]],\"answer\":\"1\"}", MUSE_ERR_FORMAT, "given" },
        { "{\"parts\":[],\"thought\":\"abc\",\"given\":1,\"answer\":\"1\"}", MUSE_ERR_FORMAT, "given" },
        { "{\"parts\":[],\"given\":[[0,1]],\"answer\":\"1\"}", MUSE_ERR_FORMAT, "given" },
        { "{\"parts\":[],\"thought\":\"abc\",\"views\":[{\"at\":4,\"image\":0,\"box\":[0,0,9,9]}],\"answer\":\"1\"}", MUSE_ERR_FORMAT, "views" },
        { "{\"parts\":[],\"thought\":\"abc\",\"views\":[{\"at\":1,\"image\":0,\"box\":[0,0,9,9]}],\"answer\":\"1\"}", MUSE_ERR_FORMAT, "view" },
        { "{\"parts\":[{\"image\":\"a.png\"}],\"thought\":\"abc\",\"views\":[{\"at\":2,\"image\":0,\"box\":[0,0,9,9]},{\"at\":1,\"image\":0,\"box\":[0,0,9,9]}],\"answer\":\"1\"}", MUSE_ERR_FORMAT, "ascending" },
        { "{\"parts\":[],\"branches\":[{\"parts\":[{\"image\":\"a.png\"}],\"answer\":\"1\"},{\"parts\":[{\"region\":{\"image\":1,\"box\":[0,0,9,9]}}],\"answer\":\"1\"}]}", MUSE_ERR_FORMAT, "region" },
    };
    const MuseJsonlRules rules = { .rt = model->rt, .model = &model->config, .tokenizer = tok };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseTrainSample s;
        const int rc = muse_jsonl_sample(&rules, folder, cases[i].line, strlen(cases[i].line), &s, &err);
        if (rc != cases[i].code || !strstr(err.text, cases[i].text)) fail_msg("%s: code %d, %s", cases[i].line, rc, rc < 0 ? err.text : "taken");
        assert_null(s.handle);
    }
}

static int begin(void **state)
{
    char path[128];
    if (enter_folder(state) < 0) return -1;
    model = muse_model();
    picture = make_picture(300, 200);
    ok(muse_model_tokenizer(model, &tok, &err));
    MuseImageInfo info;
    ok(muse_image_info(picture, &info));
    uint8_t *rgb = malloc((size_t)info.width * info.height * 3);
    ok(muse_image_read_rgb(picture, MUSE_ALPHA_DROP, NULL, rgb, 3 * (size_t)info.width, &err));
    snprintf(path, sizeof path, "%s/a.png", folder);
    ok(muse_png_write_file(path, rgb, info.width, info.height, 0, MUSE_PIXELS_RGB, &err));
    free(rgb);
    return 0;
}

static int end(void **state)
{
    muse_image_close(&picture);
    muse_model_close(&model);
    return leave_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_chat), cmocka_unit_test(test_agent), cmocka_unit_test(test_refused) };
    return cmocka_run_group_tests(tests, begin, end);
}
