/* SPDX-License-Identifier: Apache-2.0 */
/* tools/nano: a branch of a world has the ids, positions and patches that the chat format and a sequence give it; what is
 * learned is what the world says; so with spoken questions; clips are read and refused; plans are read, refused, and tell the same sample always. */
#include "worlds_util.h"

#include <math.h>
#include <unistd.h>

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

/* A sound of as many frames as the branch has: what they hold, the chat can't know. */
static void add_spoken(MuseChat *chat, const MuseTrainSample *made, size_t number)
{
    static const int16_t silence[16000 * 4];
    MuseAudio *audio;
    const MuseTrainPart *p = made->branches[number].parts;
    while (p->modality != MUSE_AUDIO) p++;
    assert_int_equal(muse_audio_open_pcm(&audio, NULL, silence, 640 * p->n, MUSE_PCM_S16, 16000, 1, NULL, &err), 0);
    assert_int_equal(muse_chat_add_audio(chat, audio, &err), 0);
    muse_audio_close(&audio);
}

/* The prompt by the chat, all that follows by appending what is written and shown. Questions that name places have no chat form. */
static void check_branch(const MuseWorldsSample *s, size_t number, const MuseTrainSample *made, MuseImage *const *images, MuseAudio *audio, const char *heard, bool ends)
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
        if (!heard) add_question(chat, b->parts[i].text, b->parts[i].size);
    }
    if (heard) add_spoken(chat, made, number);
    if (!places) {
        assert_int_equal(muse_chat_append(chat, seq, 0, &err), 0);
        compare(seq, 0, &walk);
        at = muse_sequence_length(seq);
        char rest[8192];
        size_t n = 0, skip = b->think ? 7 : 0;   /* <think> stands already */
        if (heard && b->think) n = (size_t)sprintf(rest, " %s", heard);
        if (ends) assert_int_equal(muse_sequence_append_text(seq, rest, n, MUSE_TEXT_ADDED, &err), 0);
        for (; !ends && i < b->n_parts; i++, skip = 0) {
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
        if (!ends) assert_int_equal(muse_sequence_append_text(seq, "<eos>", 5, MUSE_TEXT_ADDED, &err), 0);
        compare(seq, at, &walk);
        if (here(&walk)) fail_msg("%s: the sample goes on", b->task);
    }
    muse_sequence_close(&seq);
    muse_chat_close(&chat);
}

/* ---- what is learned ---- */

static bool never(const char *task)
{
    static const char list[] = " find caption at locate box drill-facts hear ";
    char word[40];
    snprintf(word, sizeof word, " %s ", task);
    return strstr(list, word) != NULL;
}

/* the text of learned tokens is the learned text; it may hold a given byte or two where a token has both */
static void check_learned(const MuseWorldsBranch *b, const MuseTrainBranch *made, const char *heard, bool ends)
{
    char want[8192] = "", got[8192] = "";
    size_t n = 0, m = 0, first = heard && b->think ? (size_t)sprintf(want, " %s", heard) : 0;
    bool asked = false;
    n = first;
    for (size_t i = 0; !ends && i < b->n_parts; i++) {
        const MuseWorldsPart *p = &b->parts[i];
        if (!asked && p->role != MUSE_WORLDS_QUESTION) {
            asked = true;
            if (!b->think && never(b->task)) n += (size_t)sprintf(want + n, "</think>");
        }
        const size_t skip = p->learn && n == first && b->think && p->size >= 7 && memcmp(p->text, "<think>", 7) == 0 ? 7 : 0;
        if (p->learn) memcpy(want + n, p->text + skip, p->size - skip), n += p->size - skip;
    }
    n += (size_t)sprintf(want + n, "%s", ends ? "" : "<eos>");
    for (size_t k = 0; k < made->n_parts; k++)
        for (size_t i = 0; made->parts[k].modality == MUSE_TEXT && i < made->parts[k].n; i++) {
            const char *bytes;
            size_t n_bytes;
            if (!(made->parts[k].weights[i] > 0)) continue;
            assert_int_equal(muse_text_token_bytes(tok, made->parts[k].ids[i], &bytes, &n_bytes), 0);
            memcpy(got + m, bytes, n_bytes);
            m += n_bytes;
        }
    if (m < n || (!ends && memcmp(got + m - 5, "<eos>", 5) != 0)) fail_msg("%s: learned \"%s\", not \"%s\"", b->task, got, want);
    if (strncmp(b->task, "drill", 5) != 0 && (n != m || memcmp(want, got, n) != 0)) fail_msg("%s: learned \"%s\", not \"%s\"", b->task, got, want);
}

/* what the thought of branch i begins with: the sentence of its clip, or the question where that is given; NULL: it is typed */
static const char *heard_by(const MuseWorldsSample *s, const NanoSpoken *spoken, size_t i)
{
    static char question[1024];
    if (!spoken || spoken->clip[i] < 0) return NULL;
    snprintf(question, sizeof question, "%.*s", (int)s->branches[i].parts[0].size, s->branches[i].parts[0].text);
    return spoken->says[i] == NANO_SPOKEN_GIVEN ? question : source.clips.clips[spoken->clip[i]].text;
}

static void check_sample(const MuseWorldsSample *s, const NanoSpoken *spoken)
{
    MuseTrainSample made = { 0 };
    MuseImage *images[8] = { NULL };
    MuseAudio *audio = NULL;
    if (nano_sample_make(&source, s, spoken, 0, &made, &err) < 0) fail_msg("%s: %s", s->world, err.text);
    assert_int_equal(made.n_branches, s->n_branches);
    for (size_t i = 0; i < s->n_images; i++)
        assert_int_equal(muse_image_open_pixels(&images[i], NULL, s->images[i].rgb, s->images[i].width, s->images[i].height, 0, MUSE_PIXELS_RGB, NULL, &err), 0);
    if (s->n_pcm) assert_int_equal(muse_audio_open_pcm(&audio, NULL, s->pcm, s->n_pcm, MUSE_PCM_S16, s->rate, 1, NULL, &err), 0);
    for (size_t i = 0; i < s->n_branches; i++) {
        const char *heard = heard_by(s, spoken, i);
        const int says = heard ? spoken->says[i] : 0;
        check_branch(s, i, &made, images, audio, heard, says == NANO_SPOKEN_HEARD);
        check_learned(&s->branches[i], &made.branches[i], says == NANO_SPOKEN_GIVEN ? NULL : heard, says == NANO_SPOKEN_HEARD);
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
            check_sample(make(m, muse_worlds_name(w), i, &o), NULL);
        }
    muse_worlds_maker_close(&m);
}

/* ---- speech ---- */

/* as above, with the question spoken: pictures, sound, thought that begins with what was heard */
static void test_spoken(void **state)
{
    (void)state;
    static const char *const worlds[] = { "scenes", "print", "pairs", "track" };
    MuseWorldsMaker *m = open_maker(source.worlds);
    NanoSpoken spoken = { .rng = rng_stream(1, 2) };
    for (size_t w = 0; w < 4; w++)
        for (uint64_t i = 0; i < 4; i++) {
            MuseWorldsOptions o;
            muse_worlds_options_init(&o);
            o.max_side = w == 1 ? 256 : 64;
            const MuseWorldsSample *s = make(m, worlds[w], i, &o);
            for (size_t k = 0; k < s->n_branches; k++) {
                const bool one = *s->branches[k].answer && s->branches[k].parts[1].role != MUSE_WORLDS_QUESTION;
                spoken.clip[k] = one ? (int32_t)((k + i) % source.clips.n) : -1;
                spoken.says[k] = one && s->branches[k].think ? (uint8_t)((k + i) % 3) : NANO_SPOKEN_SAME;
            }
            check_sample(s, &spoken);
        }
    muse_worlds_maker_close(&m);
}

static int sounds_in(const MuseTrainBranch *b)
{
    int n = 0;
    for (size_t i = 0; i < b->n_parts; i++) n += b->parts[i].modality == MUSE_AUDIO;
    return n;
}

/* samples of a source: a question that is a clip is spoken, one that is none is typed; hear has a sound a branch, its sentence learned */
static void test_source_speaks(void **state)
{
    (void)state;
    MuseTrainSource s = nano_source(&source);
    NanoMix *mix = &source.plan.stages[0].mix[0];
    const NanoMix was = *mix;
    strcpy(mix->task, "count");
    mix->spoken = 1;
    int spoken = 0, typed = 0;
    for (uint64_t i = 0; i < 40; i++) {
        MuseTrainSample a = { 0 };
        assert_int_equal(s.make(s.user, i, &a, &err), 0);
        for (size_t b = 0; b < a.n_branches; b++) *(sounds_in(&a.branches[b]) == 1 ? &spoken : &typed) += 1;
        s.release(s.user, &a);
    }
    if (spoken == 0 || typed == 0) fail_msg("%d spoken, %d typed", spoken, typed);
    strcpy(mix->task, "hear");
    mix->options.branches = 5;
    for (uint64_t i = 0; i < 4; i++) {
        MuseTrainSample a = { 0 };
        assert_int_equal(s.make(s.user, i, &a, &err), 0);
        assert_int_equal(a.n_branches, 5);
        for (size_t b = 0; b < 5; b++) {
            const MuseTrainPart *last = &a.branches[b].parts[a.branches[b].n_parts - 1];
            assert_int_equal(sounds_in(&a.branches[b]), 1);
            assert_int_equal(a.branches[b].group, 2);
            float learned = 0;
            for (size_t k = 0; k < last->n; k++) learned += last->weights[k];
            assert_true(last->modality == MUSE_TEXT && learned >= 3);   /* </think>, a word, <eos> */
        }
        size_t phones = 0;
        for (size_t k = 0; k < a.n_labels; k++) phones += a.labels[k].head == 2;
        assert_true(phones > 0 && phones == a.n_labels);
        s.release(s.user, &a);
    }
    *mix = was;
}

/* a folder with a file of clips */
static char folder[] = "/tmp/muse-nano-XXXXXX", clips_path[64];

/* without variation: the tokenizer's frames, to half a step of what is stored (0.02 of log10, so 0.005) */
static void test_clip(void **state)
{
    (void)state;
    static int16_t pcm[16000];
    for (int i = 0; i < 16000; i++) pcm[i] = (int16_t)(9000 * sin(0.05 * i + 3 * sin(0.002 * i)));
    MuseAudio *audio;
    MuseFrames *frames;
    const MuseAudioRule *rule = &muse_family_find("muse")->audio;
    assert_int_equal(muse_audio_open_pcm(&audio, NULL, pcm, 15997, MUSE_PCM_S16, 16000, 1, NULL, &err), 0);
    assert_int_equal(muse_audio_frames(&frames, audio, rule, NULL, NULL, &err), 0);
    const size_t n = (size_t)muse_frames_plan(frames)->n_frames;
    static uint8_t columns[100 * NANO_CLIP_COLUMN];
    for (size_t t = 0; t < 99; t++)
        for (size_t b = 0; b < 80; b++) columns[t * NANO_CLIP_COLUMN + b] = (uint8_t)(lrintf((muse_frames_data(frames)[80 * t + b] + 1) * 100));
    const NanoClip clip = { "Hum.", columns, 99 };
    float *values;
    const uint8_t *phones;
    size_t got;
    assert_int_equal(nano_clip_render(&source.clips, &clip, NULL, &values, &phones, &got), 0);
    assert_int_equal(got, n);
    for (size_t i = 0; i < n * 320; i++)
        if (fabsf(values[i] - muse_frames_data(frames)[i]) > 0.00501f) fail_msg("value %zu: %f, the tokenizer has %f", i, values[i], muse_frames_data(frames)[i]);
    free(values);
    for (uint64_t k = 0; k < 50; k++) {   /* varied: in range, and the same again */
        Rng a = rng_stream(k, 0), b = a;
        float *again;
        size_t m;
        assert_int_equal(nano_clip_render(&source.clips, &clip, &a, &values, &phones, &got), 0);
        assert_int_equal(nano_clip_render(&source.clips, &clip, &b, &again, &phones, &m), 0);
        assert_int_equal(got, m);
        assert_true(got >= 20 && got <= 52);   /* 99 columns by 0.87 to 1.15, up to 90 of silence, 4 a frame */
        assert_memory_equal(values, again, got * 320 * sizeof *values);
        for (size_t i = 0; i < got * 320; i++) assert_true(values[i] >= -1 && values[i] < 2);
        free(values);
        free(again);
    }
    muse_frames_close(&frames);
    muse_audio_close(&audio);
}

static void test_clip_keys(void **state)
{
    (void)state;
    size_t first;
    assert_int_equal(nano_clips_find(&source.clips, "how many OBJECTS are there", 26, &first), 2);
    assert_string_equal(source.clips.clips[first].text, "How many objects are there?");
    assert_int_equal(nano_clips_find(&source.clips, "What is in the Picture.", 23, &first), 1);
    assert_int_equal(nano_clips_find(&source.clips, "Name the colour ?", 17, &first), 1);
    assert_int_equal(nano_clips_find(&source.clips, "How many objects", 16, &first), 0);
    assert_int_equal(nano_clips_find(&source.clips, "?", 1, &first), 0);
}

/* clips of one text, wherever they lie in memory: the same file */
static void test_clips_order(void **state)
{
    (void)state;
    enum { N = 4, MOST = 4 * NANO_CLIP_COLUMN };
    static const uint32_t lengths[N] = { 3, 2, 3, 2 };
    static uint8_t columns[2][N][MOST], bytes[2][4096];
    size_t n[2];
    char path[80];
    snprintf(path, sizeof path, "%s.order", clips_path);
    for (size_t turn = 0; turn < 2; turn++) {
        NanoClip clips[N];
        for (size_t i = 0; i < N; i++) {
            uint8_t *at = columns[turn][turn ? N - 1 - i : i];   /* the other way round */
            for (size_t k = 0; k < MOST; k++) at[k] = (uint8_t)(k % NANO_CLIP_COLUMN == NANO_CLIP_BINS ? 0 : (7 * k + 31 * i) % 200);
            clips[i] = (NanoClip){ i == 3 ? "Red Star" : "red star", at, lengths[i] };
        }
        assert_int_equal(nano_clips_write(path, clips, N, &err), 0);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        n[turn] = fread(bytes[turn], 1, sizeof bytes[turn], f);
        fclose(f);
    }
    unlink(path);
    assert_true(n[0] == n[1] && n[0] < sizeof bytes[0]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
}

/* every byte of the head and rows that is wrong is refused or harmless; cut files are refused */
static void test_clips_bad(void **state)
{
    (void)state;
    static uint8_t bytes[8192], copy[8192];
    NanoClips c;
    FILE *f = fopen(*state, "rb");
    assert_non_null(f);
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_true(n > 100 && n < sizeof bytes);
    assert_int_equal(nano_clips_open_memory(&c, bytes, n, &err), 0);
    nano_clips_close(&c);
    static const struct { size_t at; uint8_t value; const char *text; } bad[] = {
        { 0, 'X', "not a file of clips" }, { 8, 9, "another version" }, { 12, 40, "another version" }, { 16, 0, "no clips" }, { 17, 255, "fewer than it says" }, { 23, 1, "fewer than it says" },
        { 31, 1, "outside the file" }, { 32, 0, "outside the file" }, { 34, 1, "outside the file" }, { 37, 1, "outside the file" }, { 20, 0, "do not end" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(copy, bytes, n);
        copy[bad[i].at] = bad[i].value;
        const int rc = nano_clips_open_memory(&c, copy, n, &err);
        if (rc != MUSE_ERR_FORMAT || !strstr(err.text, bad[i].text)) fail_msg("byte %zu: %d, %s", bad[i].at, rc, err.text);
    }
    memcpy(copy, bytes, n);
    copy[n - 1] = NANO_PHONES;
    assert_int_equal(nano_clips_open_memory(&c, copy, n, &err), MUSE_ERR_FORMAT);
    for (size_t k = 0; k < n; k++) assert_int_equal(nano_clips_open_memory(&c, bytes, k, &err), MUSE_ERR_FORMAT);
    assert_int_equal(nano_clips_open(&c, "/nowhere/clips.bin", &err), MUSE_ERR_IO);
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
    assert_int_equal(read_plan(&plan, WORLDS("{\"speech\":\"said\",\"stages\":[{\"mix\":[{\"task\":\"hear\"},{\"task\":\"count\",\"spoken\":0.25}]}]}")), 1);
    assert_string_equal(plan.speech, "said");
    assert_string_equal(nano_plan_at(&plan, 0)->task, "hear");
    assert_true(nano_plan_at(&plan, 1)->spoken == 0.25);
    assert_int_equal(read_plan(&plan, "{\"data\":[{\"jsonl\":\"a\"}]}"), 0);
    assert_int_equal(read_plan(&plan, "{"), 0);
}

/* Pictures are shown as the model's runtime shows them, and say how many values a patch has: other patches are refused. */
static void test_budget(void **state)
{
    (void)state;
    static const char small[] = "{\"image_config\":{\"default_budget\":256}}", bad[] = "{\"image_config\":{\"default_budget\":0}}";
    static NanoPlan plan;
    char path[64];
    assert_int_equal(read_plan(&plan, STAGES("{\"mix\":[{\"task\":\"odd\"}]}")), 1);
    assert_int_equal(plan.budget, 0);
    assert_int_equal(read_plan(&plan, "{\"model\":{\"image_config\":{\"default_budget\":144}},\"data\":[{\"worlds\":{\"stages\":[{\"mix\":[{\"task\":\"odd\"}]}]}}]}"), 1);
    assert_int_equal(plan.budget, 144);
    assert_int_equal(nano_plan_model(&plan, small, sizeof small - 1, &err), 0);
    assert_int_equal(plan.budget, 256);
    assert_int_equal(nano_plan_model(&plan, bad, sizeof bad - 1, &err), MUSE_ERR_FORMAT);
    assert_int_equal(nano_model_path("{\"model\":\"a\"}", 13, path, sizeof path), 0);
    assert_string_equal(path, "a/config.json");
    assert_int_equal(nano_model_path("{\"model\":{}}", 12, path, sizeof path), MUSE_ERR_NOT_FOUND);
    for (uint32_t side = 8; side <= 12; side += 4) {
        MuseWorldsMaker *m = open_maker(source.worlds);
        MuseWorldsOptions o;
        MuseTrainSample made = { 0 };
        muse_worlds_options_init(&o);
        o.max_side = 64;
        source.plan.budget = side * side;
        assert_int_equal(nano_sample_make(&source, make(m, "solid", 0, &o), NULL, 0, &made, &err), 0);
        source.plan.budget = 0;
        const MuseTrainPart *p = &made.prefix[1];
        assert_true(p->modality == MUSE_IMAGE && p->grid_width == side && p->grid_height == side && p->values == p->n * 192);
        nano_sample_release(NULL, &made);
        muse_worlds_maker_close(&m);
    }
}

/* A model's own budgets and patches, the default and what a look at full detail gets, as muse_family_from_config() has them. */
static void test_budgets(void **state)
{
    (void)state;
    static const char *const bad[] = { "3", "[\"a\"]", "[64,64]", "[0]", "[65537]", "[1,2,3,4,5,6,7,8,9]" };
    static const char json[] = "{\"model\":{\"image_config\":{\"patch_size\":16,\"budgets\":[64,100],\"default_budget\":100}},\"data\":[{\"worlds\":{\"fonts\":\"builtin\",\"stages\":["
        "{\"mix\":[{\"task\":\"print\",\"max_side\":512,\"min_side\":448}]}]}}]}";
    static NanoSource s;
    assert_int_equal(read_plan(&s.plan, json), 1);
    s.plan.stages[0].mix[0].budget = 144;   /* the family has it, this model has not */
    assert_int_equal(nano_source_open(&s, tok, folder, &err), MUSE_ERR_FORMAT);
    assert_non_null(strstr(err.text, "\"print\" has a \"budget\" of 144"));
    nano_source_close(&s);
    memset(&s, 0, sizeof s);
    assert_int_equal(read_plan(&s.plan, json), 1);
    assert_int_equal(nano_source_open(&s, tok, folder, &err), 0);
    const MuseTrainSource from = nano_source(&s);
    size_t shown = 0;
    for (uint64_t i = 0; i < 4; i++) {
        MuseTrainSample made = { 0 };
        const int rc = from.make(from.user, i, &made, &err);
        if (rc == MUSE_AGAIN) continue;
        if (rc < 0) fail_msg("%s", err.text);
        for (size_t b = 0; b <= made.n_branches; b++) {
            const MuseTrainPart *p = b ? made.branches[b - 1].parts : made.prefix;
            for (size_t n = b ? made.branches[b - 1].n_parts : made.n_prefix; n; n--, p++) {
                if (p->modality != MUSE_IMAGE) continue;
                assert_true(p->n <= 100 && p->values == p->n * 3 * 16 * 16);
                shown++;
            }
        }
        from.release(from.user, &made);
    }
    assert_true(shown > 0);
    nano_source_close(&s);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char config[128];
        const int n = snprintf(config, sizeof config, "{\"image_config\":{\"budgets\":%s}}", bad[i]);
        assert_int_equal(nano_plan_model(&s.plan, config, (size_t)n, &err), MUSE_ERR_FORMAT);
        assert_non_null(strstr(err.text, "\"budgets\""));
    }
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
        { STAGES("{\"mix\":[{\"task\":\"hear\"}]}"), "need \"speech\"" },
        { STAGES("{\"mix\":[{\"task\":\"count\",\"spoken\":1}]}"), "need \"speech\"" },
        { STAGES("{\"mix\":[{\"task\":\"count\",\"spoken\":1.5}]}"), "\"spoken\" is not a number" },
        { WORLDS("{\"speech\":3,\"stages\":[{\"mix\":[{\"task\":\"count\"}]}]}"), "\"speech\" is not a name" },
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

/* ---- prompts ---- */

#define MIX(...) "{\"tasks\":[\"count\",\"read\"],\"rl\":{\"worlds\":{\"fonts\":\"builtin\",\"mix\":[" __VA_ARGS__ "]}}}"

static NanoPrompts trials;

static int read_prompts(const char *json) { return nano_prompts_read(&trials, json, strlen(json), &err); }

/* a prompt has the question, the answers and the views of its sample; the same number, the same prompt; held out: other pictures */
static void test_prompts(void **state)
{
    (void)state;
    assert_int_equal(read_prompts(MIX("{\"task\":\"count\",\"max_side\":64},{\"task\":\"read\",\"max_side\":256}")), 1);
    assert_int_equal(nano_prompts_open(&trials, NULL, &err), 0);
    const MuseTrainPrompts p = nano_prompts(&trials);
    MuseWorldsMaker *m = open_maker(trials.worlds);
    for (uint64_t i = 0; i < 8; i++)
        for (int held_out = 0; held_out < 2; held_out++) {
            MuseTrainPrompt prompt = { 0 };
            MuseWorldsOptions o;
            size_t n = 0, views = 0;
            muse_worlds_options_init(&o);
            o.max_side = i % 2 ? 256 : 64, o.form = MUSE_WORLDS_THINK, o.branches = 1, o.split = held_out ? MUSE_WORLDS_TEST : MUSE_WORLDS_TRAIN;
            const MuseWorldsSample *s;
            assert_int_equal(muse_worlds_make(m, i % 2 ? "read" : "count", 2, i, &o, &s, &err), 0);
            const MuseWorldsBranch *b = &s->branches[0];
            assert_int_equal(p.make(p.user, i, held_out, &prompt, &err), 0);
            assert_int_equal(prompt.task, i % 2);
            assert_int_equal(prompt.n_parts, s->n_images + 1);
            const MuseReasonPart *question = &prompt.parts[s->n_images];
            for (size_t k = 0; k < b->n_parts; k++) {
                if (b->parts[k].role == MUSE_WORLDS_VIEW) assert_memory_equal(&prompt.views[views++].rect, &b->parts[k].rect, sizeof(MuseRect));
                if (b->parts[k].role != MUSE_WORLDS_QUESTION) continue;
                assert_memory_equal(question->text + n, b->parts[k].text, b->parts[k].size);
                n += b->parts[k].size;
            }
            assert_true(question->n == n && prompt.n_views == views && (views > 0) == (i % 2));
            assert_int_equal(prompt.n_answers, 1 + b->n_accept);
            assert_string_equal(prompt.answers[0], b->answer);
            p.release(p.user, &prompt);
            assert_null(prompt.handle);
        }
    muse_worlds_maker_close(&m);
    nano_prompts_close(&trials);
}

/* what is no question is passed over: drills, dense branches, questions that name places */
static void test_no_prompts(void **state)
{
    (void)state;
    static const char *const tasks[] = { "drill-sum", "find", "at" };
    for (size_t i = 0; i < 3; i++) {
        char json[200];
        MuseTrainPrompt prompt = { 0 };
        snprintf(json, sizeof json, MIX("{\"task\":\"%s\",\"max_side\":64}"), tasks[i]);
        assert_int_equal(read_prompts(json), 1);
        assert_int_equal(nano_prompts_open(&trials, NULL, &err), 0);
        const MuseTrainPrompts p = nano_prompts(&trials);
        assert_int_equal(p.make(p.user, 0, 0, &prompt, &err), MUSE_AGAIN);
        assert_null(prompt.handle);
        nano_prompts_close(&trials);
    }
    assert_int_equal(read_prompts("{\"rl\":{}}"), 0);
    assert_int_equal(read_prompts("{"), 0);
    static const struct { const char *json, *text; } bad[] = { { MIX(""), "\"mix\" is not a list" }, { MIX("{\"task\":\"nothing\"}"), "nothing" }, { MIX("{\"task\":\"count\",\"budget\":64}"), "\"budget\" is for data" },
        { "{\"rl\":{\"worlds\":{\"stages\":[]}}}", "\"stages\" is not a key" }, { "{\"rl\":{\"worlds\":1}}", "rl.worlds is not an object" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_prompts(bad[i].json), MUSE_ERR_FORMAT);
        if (!strstr(err.text, bad[i].text)) fail_msg("%s: %s", bad[i].json, err.text);
    }
}

/* a file of clips: hums of a few columns */

static int make_clips(void)
{
    static const char *const texts[] = { "What is in the picture?", "How many objects are there?", "Name the color.", "How many objects do you see?", "How many objects are there?", "red star" };
    enum { N = sizeof texts / sizeof *texts };
    static uint8_t columns[N][12 * NANO_CLIP_COLUMN];
    NanoClip clips[N];
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < sizeof columns[i]; k++) columns[i][k] = (uint8_t)(k % NANO_CLIP_COLUMN == NANO_CLIP_BINS ? k % NANO_PHONES : (7 * k + 31 * i) % 200);
        clips[i] = (NanoClip){ texts[i], columns[i], (uint32_t)(7 + i) };
    }
    if (!mkdtemp(folder)) return -1;
    snprintf(clips_path, sizeof clips_path, "%s/clips.bin", folder);
    return nano_clips_write(clips_path, clips, N, &err);
}

static int begin(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/models/muse-nano", getenv("MUSE_SOURCE"));
    *state = clips_path;
    if (make_clips() < 0) return -1;
    static const char json[] = "{\"groups\":[1,0.7,0.3],\"labels\":{\"heads\":[{\"name\":\"kind\",\"classes\":16},{\"name\":\"dx\",\"classes\":41},{\"name\":\"phone\",\"classes\":48}]},\"gaze\":{},\"data\":[{\"worlds\":{\"fonts\":\"builtin\",\"speech\":\".\",\"stages\":["
        "{\"mix\":[{\"task\":\"scenes\",\"max_side\":64}]}]}}]}";
    if (nano_plan_read(&source.plan, json, sizeof json - 1, &err) != 1 || muse_text_open_file(&tok, NULL, path, &err) < 0) return -1;
    return nano_source_open(&source, tok, folder, &err);
}

static int end(void **state)
{
    (void)state;
    nano_source_close(&source);
    muse_text_close(&tok);
    unlink(clips_path);
    rmdir(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_branches), cmocka_unit_test(test_never_thinks), cmocka_unit_test(test_spoken),
                                        cmocka_unit_test(test_source_speaks), cmocka_unit_test(test_clip), cmocka_unit_test(test_clip_keys), cmocka_unit_test(test_clips_order), cmocka_unit_test(test_clips_bad), cmocka_unit_test(test_plan), cmocka_unit_test(test_budget), cmocka_unit_test(test_budgets), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_same_again), cmocka_unit_test(test_too_long), cmocka_unit_test(test_prompts), cmocka_unit_test(test_no_prompts) };
    return cmocka_run_group_tests(tests, begin, end);
}
