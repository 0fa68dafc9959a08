/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever an agent writes becomes a trace: its places lie in pictures, its steps are in order, its words are all there, and JSON, drawing and page take it.
 * Runs agents of the tiny models of tests/data (MUSE_TEST_DATA says where they are), which write what the bytes say and then end their turn. Nothing is
 * computed for them: the linker puts __wrap_muse_decoder_forward() and _head() in the places of the decoder's own (meson.build here).
 *
 *   input: format, pictures, agents; thinking, looks, masks; shapes of the pictures, and whether it is drawn; then what is written: text, with control tokens, numbers and places
 *   as single bytes (write_text()) */
#include <math.h>

#include "fuzz.h"
#include "libmuse/reason/agent.h"
#include "muse/tools.h"
#include "tests/fuzz/fuzz_model.h"

enum { HEAD = 3, TEXT_MAX = 400, PICTURES = 3, SHAPES = 8 };

typedef struct Model {
    const char *path;
    const char *words[31];          /* bytes 1 .. 31 */
    MuseModel  *model;
    MuseTextTokenizer *tok;
} Model;

static Model models[] = {
    { .path = "reason/muse", .words = { "<look>", "<box>", "<point>", "<compare>", "<verify>", "</think>", "<think>", "<image 1>", "<image 2>", "<image 3>", "<image 9>", "<eos>",
                                        " red star", ";", "?", ". ", "<look> K<box>", "\xc3\xa4", "\xff", "<image 4294967298>" } },
    { .path = "golden/gemma4-a/hf", .words = { "<|tool_call>call:", "<tool_call|>", "<|tool_response>", "<|channel>thought\n", "<channel|>", "<|\"|>", "<turn|>",
                                               "<|tool_call>call:look{box:[", "],image:", "}<tool_call|><|tool_response>", "<|tool_call>call:draw{}<tool_call|>",
                                               "[{\"box_2d\":[", "]},{\"point_2d\":[", "],\"label\":\"", "\",\"image\":", "}]", "```json\n", "\n```", "1000", "500", "1e308", "-1", "\xc3\xa4", "\xff",
                                               "<image 2>", "<x3><y4>" } },
};

static const MuseModel *writes;     /* the one of this input */

static void open_model(Model *m)
{
    MuseError err = { 0 };
    m->model = fuzz_model(m->path);
    if (muse_model_open_tokenizer(m->model, &m->tok, &err) == 0) return;
    fprintf(stderr, "%s\n", err.text);
    exit(1);
}

/* of few colours and of every shape that a family takes; made once */
static MuseImage *picture_of(uint8_t shape)
{
    static const uint32_t sizes[SHAPES][2] = { { 64, 64 }, { 160, 80 }, { 1, 1 }, { 600, 4 }, { 3, 500 }, { 97, 31 }, { 8, 8 }, { 130, 257 } };
    static MuseImage *made[SHAPES];
    const uint32_t w = sizes[shape % SHAPES][0], h = sizes[shape % SHAPES][1];
    MuseImage **image = &made[shape % SHAPES];
    if (*image) return *image;
    uint8_t *rgb = malloc((size_t)w * h * 3);
    if (!rgb) exit(1);
    for (size_t i = 0; i < (size_t)w * h * 3; i++) rgb[i] = (uint8_t)(i * 5);
    FUZZ_CHECK(muse_image_open_pixels(image, NULL, rgb, w, h, 0, MUSE_PIXELS_RGB, NULL, NULL) == 0);
    free(rgb);
    return *image;
}

static int draw(void *user, const char *arguments, size_t n, MuseToolReply *reply, MuseError *err)
{
    (void)user, (void)arguments, (void)n;
    const int rc = muse_tool_reply_text(reply, "here", 4, err);
    return rc == 0 ? muse_tool_reply_image(reply, picture_of(5), err) : rc;
}

static MuseTools *tools(void)
{
    static MuseTools *t;
    MuseToolSpec s;
    if (t) return t;
    muse_tool_spec_init(&s);
    s.name = "draw";
    s.description = "draws";
    s.parameters = "{\"type\":\"object\"}";
    s.fn = draw;
    FUZZ_CHECK(muse_tools_open(&t, NULL, NULL) == 0 && muse_tools_add(t, &s, NULL) == 0);
    return t;
}

/* what is to be written. Bytes 1 .. 31 are the model's words, 0x80 .. 0xbf places <x0> .. <x63>, 0xc0 .. 0xff <y0> .. <y63>; the others as they are. */
static size_t write_text(const Model *m, const uint8_t *data, size_t n, char *out, size_t cap)
{
    size_t len = 0;
    for (size_t i = 0; i < n && len + 40 < cap; i++) {
        const uint8_t b = data[i];
        if (b >= 0x80) len += (size_t)snprintf(out + len, cap - len, "<%c%u>", "xy"[b >> 6 & 1], b & 63u);
        else if (b >= 32 || b == 0) out[len++] = (char)b;
        else if (m->words[b - 1]) len += (size_t)snprintf(out + len, cap - len, "%s", m->words[b - 1]);
    }
    return len;
}

static void script(const Model *m, MuseAgent *a, const uint8_t *data, size_t n)
{
    char text[TEXT_MAX * 40];
    int32_t *ids;
    size_t n_ids;
    const size_t len = write_text(m, data, n, text, sizeof text);
    if (len == 0 || muse_text_encode(m->tok, text, len, MUSE_TEXT_ADDED, &ids, &n_ids, NULL) < 0) return;
    FUZZ_CHECK(muse_agent_script(a, ids, n_ids) == 0);
    muse_free(ids);
}

/* ---- instead of computing ---- */

int  __wrap_muse_decoder_forward(const MuseDecoder *d, MuseWorkspace *ws, const MuseBatch *batch, MuseError *err);
void __wrap_muse_decoder_head(const MuseDecoder *d, MuseWorkspace *ws, size_t first, size_t n, float *logits);

int __wrap_muse_decoder_forward(const MuseDecoder *d, MuseWorkspace *ws, const MuseBatch *batch, MuseError *err)
{
    (void)d, (void)err;
    memset(muse_workspace_rows(ws), 0, batch->n_rows * sizeof(float));
    for (size_t i = 0; i < batch->n_slots; i++) muse_kv_advance(batch->slots[i].kv, batch->slots[i].n);
    return 0;
}

/* the end of the turn is the most probable token */
void __wrap_muse_decoder_head(const MuseDecoder *d, MuseWorkspace *ws, size_t first, size_t n, float *logits)
{
    const MuseConfig *c = &writes->config;
    (void)d, (void)ws, (void)first;
    memset(logits, 0, n * c->vocab * sizeof *logits);
    for (size_t i = 0; i < n; i++) logits[i * c->vocab + (size_t)c->eos.ids[c->eos.n - 1]] = 1;
}

/* ---- what must hold ---- */

static void check_mark(const MuseTrace *t, const MuseTraceMark *mark)
{
    MuseTraceImage in;
    const MuseRect r = mark->rect;
    FUZZ_CHECK(muse_trace_image(t, mark->image, &in) == 0);
    FUZZ_CHECK(isfinite(r.x0) && isfinite(r.y0) && isfinite(r.x1) && isfinite(r.y1) && r.x0 <= r.x1 && r.y0 <= r.y1);
    FUZZ_CHECK(r.x0 >= in.rect.x0 && r.y0 >= in.rect.y0 && r.x1 <= in.rect.x1 && r.y1 <= in.rect.y1);
}

static void check_step(const MuseTrace *t, uint32_t number, const MuseTraceStep *s, const MuseAgent *a)
{
    MuseTraceImage in;
    FUZZ_CHECK(s->kind < MUSE_STEP_KINDS && s->parent < number && s->done);
    FUZZ_CHECK(s->confidence <= 1 && s->end >= s->start && isfinite(s->start) && isfinite(s->end));
    FUZZ_CHECK(s->first_token + s->n_tokens <= muse_sequence_length(muse_session_sequence(a->s)) + 1);
    FUZZ_CHECK((s->kind != MUSE_STEP_POINT && s->kind != MUSE_STEP_BOX && s->kind != MUSE_STEP_LOOK && s->kind != MUSE_STEP_CLAIM) || s->n_marks == 1 || !a->shared->chains);
    FUZZ_CHECK(s->kind != MUSE_STEP_TRACK || s->n_marks >= 2);
    for (uint32_t i = 0; i < s->n_marks; i++) check_mark(t, &s->marks[i]);
    for (size_t i = 0; i < s->n_heats; i++) FUZZ_CHECK(muse_trace_image(t, s->heats[i].image, &in) == 0);
}

/* Capitals, which no text of ours has but in spelling none: those of the thought and the answer come in the steps, in their order */
static void check_words(const MuseTrace *t, const MuseAgent *a)
{
    MuseAgentInfo info;
    MuseTraceStep s;
    FUZZ_CHECK(muse_agent_info(a, &info) == 0);
    size_t step = 0, at = 0;
    s.n_text = 0;
    for (size_t i = 0; i < info.n_thought + info.n_answer; i++) {
        const char c = i < info.n_thought ? info.thought[i] : info.answer[i - info.n_thought];
        if (c < 'A' || c > 'Z') continue;
        for (;; at++) {
            while (at >= s.n_text) {
                FUZZ_CHECK(muse_trace_step(t, (uint32_t)++step, &s) == 0);   /* it is in no step */
                at = 0;
            }
            if (s.text[at] == c) break;
        }
        at++;
    }
}

static void check_json(const MuseTrace *t)
{
    MuseTrace *again = NULL;
    MuseError err;
    char *one, *two;
    size_t n;
    FUZZ_CHECK(muse_trace_json(t, &one, &n, NULL) == 0 && strlen(one) == n);
    FUZZ_CHECK(muse_trace_from_json(&again, NULL, one, n, NULL, &err) == 0);
    FUZZ_CHECK(muse_trace_json(again, &two, NULL, NULL) == 0 && strcmp(one, two) == 0);
    muse_free(one);
    muse_free(two);
    muse_trace_close(&again);
}

static void check_faces(const MuseTrace *t)
{
    MuseTraceDrawParams p;
    char *page;
    size_t n;
    uint8_t *rgb;
    uint32_t w, h;
    muse_trace_draw_params_init(&p);
    p.max_width = 300;
    const int rc = muse_trace_draw(t, &p, &rgb, &w, &h, NULL);
    FUZZ_CHECK(muse_trace_image_count(t) ? rc == 0 && w <= 300 && h > 0 : rc == MUSE_ERR_ARG);
    FUZZ_CHECK(muse_trace_html(t, NULL, &page, &n, NULL) == 0 && strlen(page) == n);
    if (rc == 0) muse_free(rgb);
    muse_free(page);
}

/* ---- a run ---- */

static void set_params(MuseAgentParams *p, uint8_t flags, bool chains, MuseTrace *trace)
{
    static const MuseWatchParams heat = { .struct_size = sizeof heat };
    muse_agent_params_init(p);
    p->trace = trace;
    p->thinking = flags & 1 ? MUSE_THINKING_OFF : MUSE_THINKING_ON;
    p->free_places = flags >> 1 & 1;
    p->thought_tokens = flags & 4 ? 24 : 200;
    p->answer_tokens = flags & 8 ? 4 : 120;
    p->looks = flags & 16 ? 1 : 3;
    p->look_positions = flags & 32 ? 20 : 0;
    p->heat = flags & 64 ? &heat : NULL;
    p->doubt = flags & 128 && flags & 1 && chains ? 0.5 : 0;
    p->tools = chains ? NULL : tools();
    p->calls = 2;
}

static MuseAgent *open_agent(MuseModel *m, const uint8_t *data, const MuseAgentParams *p)
{
    MuseReasonPart parts[PICTURES + 1] = { 0 };
    MuseAgent *a = NULL;
    MuseError err = { 0 };
    const size_t n = data[0] / 2 % (PICTURES + 1);
    for (size_t i = 0; i < n; i++) parts[i] = (MuseReasonPart){ .modality = MUSE_IMAGE, .image = picture_of((uint8_t)(data[2] >> (2 * i))) };
    parts[n] = (MuseReasonPart){ .modality = MUSE_TEXT, .text = "What?" };
    if (muse_agent_open(&a, m, parts, n + 1, p, &err) < 0) fprintf(stderr, "%s\n", err.text);
    FUZZ_CHECK(a);
    return a;
}

static void run(MuseAgent *a)
{
    MuseError err = { 0 };
    if (muse_agent_run(&a, 1, &err) < 0) fprintf(stderr, "%s\n", err.text);
    FUZZ_CHECK(a->finish);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD) return 0;
    const size_t n = size - HEAD < TEXT_MAX ? size - HEAD : TEXT_MAX, agents = 1 + data[0] / 8 % 2;
    Model *m = &models[data[0] & 1];
    MuseTrace *t = NULL;
    MuseAgentParams p;
    MuseTraceStep s;
    uint32_t from = 1;
    if (!m->model) open_model(m);
    writes = m->model;
    FUZZ_CHECK(muse_trace_open(&t, NULL, NULL, NULL) == 0);
    set_params(&p, data[1], !(data[0] & 1), t);
    for (size_t i = 0; i < agents; i++) {   /* each writes its share */
        MuseAgent *a = open_agent(m->model, data, &p);
        a->trace_first = (uint32_t)(agents > 1 ? i + 1 : 0);
        script(m, a, data + HEAD + i * (n / agents), n / agents);
        run(a);
        bool tracks = false;   /* a name that is the same again is in its track once */
        for (; muse_trace_step(t, from, &s) == 0; from++) {
            check_step(t, from, &s, a);
            tracks = tracks || s.kind == MUSE_STEP_TRACK;
        }
        if (i == 0 && !tracks && a->finish == MUSE_AGENT_ANSWERED && !a->doubted) check_words(t, a);
        muse_agent_close(&a);
    }
    check_json(t);
    if (data[2] >> 6 == 3) check_faces(t);   /* slow: for a quarter */
    muse_trace_close(&t);
    return 0;
}
