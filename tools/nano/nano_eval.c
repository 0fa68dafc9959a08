/* SPDX-License-Identifier: Apache-2.0 */
/* How well a model of the muse family answers the questions of tools/worlds: fresh samples, greedy, through sessions as any
 * program would run it. A look is shown when the model has written its box. Dense kinds (find, drill-facts) are followed token by
 * token beside the true ones. With --voices the same questions are also spoken (espeak-ng), and written down. For people who train
 * muse-nano; `muse eval` is for data sets. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/nano/clips.h"
#include "tools/score.h"
#include "tools/worlds/worlds.h"

enum { TYPED, SPOKEN, HEARD };   /* a question in text, aloud, or aloud and only to be written down */
enum { TEXT_MAX = 4096, TOKENS_MAX = 400, LOOKS_MAX = 4, NEAR = 2 };

typedef struct Eval {
    MuseModel   *model;
    MuseSession *session;
    const MuseTextTokenizer *tok;
    uint32_t vocab;
    const MuseWorldsSample *s;
    MuseImage *images[8];
    char     text[TEXT_MAX];     /* written by the model */
    size_t   n, look_at;         /* look_at: where the latest <look> begins; SIZE_MAX: none open */
    unsigned looks, tokens;
    bool     verbose;
    uint32_t max_side;           /* of pictures; 0: the worlds' own */
    const char *voices;          /* of espeak-ng, with commas between; NULL: all is typed */
    uint64_t seed;
    MuseError err;
} Eval;

typedef struct Tally { unsigned n, right, tokens, looks, cut; } Tally;

static int append(Eval *e, const char *text, size_t n) { return muse_sequence_append_text(muse_session_sequence(e->session), text, n, MUSE_TEXT_ADDED, &e->err); }

static int32_t best(const Eval *e)
{
    const float *logits = muse_session_logits(e->session);
    int32_t at = 0;
    for (uint32_t i = 1; i < e->vocab; i++)
        if (logits[i] > logits[at]) at = (int32_t)i;
    return at;
}

/* ---- speech ---- */

/* all that a program writes, in a block to free(); NULL: it failed */
static uint8_t *run_program(char *const *argv, size_t *size)
{
    int ends[2], status = -1;
    uint8_t *out = NULL;
    size_t cap = 0;
    *size = 0;
    if (pipe(ends) != 0) return NULL;
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    for (ssize_t n = 1; child > 0 && n > 0; *size += n > 0 ? (size_t)n : 0) {
        uint8_t *more = *size == cap ? realloc(out, cap = 2 * cap + 65536) : out;
        if (!more) break;
        out = more;
        n = read(ends[0], out + *size, cap - *size);
    }
    close(ends[0]);
    if (child > 0 && waitpid(child, &status, 0) == child && status == 0 && *size > 0) return out;
    free(out);
    return NULL;
}

/* one of the voices, 120 to 210 words a minute, pitch 25 to 75 of 99, by the sample's number: as tools/worlds/speak.py */
static int say(Eval *e, const MuseWorldsPart *question, MuseAudio **out)
{
    Rng r = rng_stream(e->seed, e->s->index);
    char text[TEXT_MAX], pace[16], pitch[16], voice[64] = "";
    const char *at = e->voices;
    uint32_t n = 1;
    for (const char *p = at; *p; p++) n += *p == ',';
    for (uint32_t i = rng_below(&r, n); i; i--) at = strchr(at, ',') + 1;
    snprintf(voice, sizeof voice, "%.*s", (int)strcspn(at, ","), at);
    snprintf(text, sizeof text, "%.*s", (int)question->size, question->text);
    snprintf(pace, sizeof pace, "%d", rng_int(&r, 120, 210));
    snprintf(pitch, sizeof pitch, "%d", rng_int(&r, 25, 75));
    char program[] = "espeak-ng", v[] = "-v", s[] = "-s", p[] = "-p", o[] = "--stdout", end[] = "--";
    char *const argv[] = { program, v, voice, s, pace, p, pitch, o, end, text, NULL };
    size_t size;
    uint8_t *wav = run_program(argv, &size);
    const int rc = wav ? muse_audio_open_memory(out, NULL, wav, size, NULL, &e->err) : MUSE_ERR_IO;
    if (!wav) snprintf(e->err.text, sizeof e->err.text, "espeak-ng -v %s failed", voice);
    free(wav);
    return rc;
}

/* what make_speech.py and speak.py say: one part, no places, no tables */
static bool can_be_said(const MuseWorldsBranch *b)
{
    const MuseWorldsPart *p = &b->parts[0];
    return *b->answer && b->n_parts > 1 && b->parts[1].role != MUSE_WORLDS_QUESTION && !memchr(p->text, '<', p->size) && !memchr(p->text, '|', p->size);
}

/* ---- the prompt ---- */

static int begin(Eval *e, const MuseWorldsBranch *b, int way, bool think, bool closed, size_t *first)
{
    MuseSessionParams params;
    muse_session_params_init(&params);
    int rc = muse_session_open(&e->session, e->model, &params, &e->err);
    if (rc < 0) return rc;
    e->tok = muse_session_tokenizer(e->session);
    rc = append(e, "<bos>", 5);
    for (size_t i = 0; way != HEARD && i < e->s->n_images && rc == 0; i++) {
        const MuseWorldsImage *im = &e->s->images[i];
        rc = muse_image_open_pixels(&e->images[i], NULL, im->rgb, im->width, im->height, 0, MUSE_PIXELS_RGB, NULL, &e->err);
        if (rc == 0) rc = muse_sequence_append_image(muse_session_sequence(e->session), e->images[i], NULL, &e->err);
    }
    MuseAudio *audio = NULL;
    if (rc == 0 && way != TYPED) rc = say(e, &b->parts[0], &audio);
    else if (rc == 0 && e->s->n_pcm) rc = muse_audio_open_pcm(&audio, NULL, e->s->pcm, e->s->n_pcm, MUSE_PCM_S16, e->s->rate, 1, NULL, &e->err);
    if (rc == 0 && audio) rc = muse_sequence_append_audio(muse_session_sequence(e->session), audio, NULL, NULL, &e->err);
    muse_audio_close(&audio);
    char question[TEXT_MAX];
    size_t n = 0;
    for (*first = 0; b->parts[*first].role == MUSE_WORLDS_QUESTION; ++*first) {
        memcpy(question + n, b->parts[*first].text, b->parts[*first].size);
        n += b->parts[*first].size;
    }
    /* given words of a drill's thought stand in the prompt: they are nowhere else */
    const char *head = closed ? "<think></think>" : "<think>";
    if (way == HEARD) n = (size_t)snprintf(question, sizeof question, "Write down what is said.");
    if (rc == 0 && way != SPOKEN) rc = append(e, question, n);
    if (rc == 0) rc = append(e, head, strlen(head));
    for (bool opened = false; think && rc == 0 && strncmp(b->task, "drill-", 6) == 0 && b->parts[*first].role == MUSE_WORLDS_THOUGHT; ++*first) {
        const MuseWorldsPart *p = &b->parts[*first];
        const size_t skip = !opened && p->size >= 7 && memcmp(p->text, "<think>", 7) == 0 ? 7 : 0;
        opened = true;
        if (p->learn && p->size > skip) break;
        rc = append(e, p->text + skip, p->size - skip);
    }
    return rc == 0 ? muse_session_prefill(e->session, &e->err) : rc;
}

static void end(Eval *e)
{
    for (size_t i = 0; i < sizeof e->images / sizeof *e->images; i++) muse_image_close(&e->images[i]);
    muse_session_close(&e->session);
}

/* ---- writing ---- */

/* "<look> name<box><xA><yB><xC><yD>" has just become whole: show it. Box is of the first picture. */
static int look(Eval *e)
{
    unsigned x0, y0, x1, y1;
    const char *box = e->look_at == SIZE_MAX ? NULL : strstr(e->text + e->look_at, "<box>");
    if (!box || sscanf(box, "<box><x%u><y%u><x%u><y%u>", &x0, &y0, &x1, &y1) != 4 || e->text[e->n - 1] != '>') return 0;
    e->look_at = SIZE_MAX;
    const double w = e->s->images[0].width, h = e->s->images[0].height, n = MUSE_WORLDS_PLACES;
    if (x1 < x0 || y1 < y0 || e->looks == LOOKS_MAX || !e->images[0]) return 0;   /* nothing is shown to what is only heard */
    const MuseRect rect = muse_worlds_view_rect(e->s->images[0].width, e->s->images[0].height, (MuseRect){ x0 * w / n, y0 * h / n, (x1 + 1) * w / n, (y1 + 1) * h / n });
    MuseImage *view = NULL;
    MuseImageOptions o;
    muse_image_options_init(&o);
    o.budget = MUSE_BUDGET_AUTO;
    e->looks++;
    int rc = muse_image_region(&view, e->images[0], rect, &e->err);
    if (rc == 0) rc = muse_sequence_append_image(muse_session_sequence(e->session), view, &o, &e->err);
    if (rc == 0) rc = muse_session_prefill(e->session, &e->err);
    muse_image_close(&view);
    return rc;
}

/* Greedy until <eos>. 1: ended; 0: cut. */
static int write_all(Eval *e)
{
    e->n = e->looks = e->tokens = 0;
    e->look_at = SIZE_MAX;
    const int32_t eos = muse_text_find(e->tok, "<eos>", 5), looked = muse_text_find(e->tok, "<look>", 6);
    while (e->tokens < TOKENS_MAX) {
        const int32_t id = best(e);
        const char *bytes;
        size_t n;
        if (id == eos) return 1;
        if (muse_text_token_bytes(e->tok, id, &bytes, &n) < 0 || e->n + n >= TEXT_MAX) return 0;
        if (id == looked) e->look_at = e->n;
        memcpy(e->text + e->n, bytes, n);
        e->text[e->n += n] = 0;
        e->tokens++;
        int rc = muse_session_step(e->session, id, &e->err);
        if (rc == 0) rc = look(e);
        if (rc < 0) return rc;
    }
    return 0;
}

/* ---- scores ---- */

static bool right(const Eval *e, const MuseWorldsBranch *b, int way, bool closed)
{
    char want[NANO_CLIP_TEXT_MAX + 1], got[NANO_CLIP_TEXT_MAX + 1];
    const char *at = closed ? e->text : strstr(e->text, "</think>");
    if (!at) return false;
    if (!closed) at += 8;
    if (way == HEARD) return nano_clip_key(at, strlen(at), got) && nano_clip_key(b->parts[0].text, b->parts[0].size, want) && strcmp(got, want) == 0;
    bool good = score_same(at, strlen(at), b->answer);
    for (size_t i = 0; i < b->n_accept && !good; i++) good = score_same(at, strlen(at), b->accept[i]);
    return good;
}

/* true tokens are fed whatever the model says; a place may be two off */
static int follow(Eval *e, const MuseWorldsBranch *b, size_t first, Tally *score)
{
    int rc = 0;
    for (size_t i = first; i < b->n_parts && rc == 0; i++) {
        const MuseWorldsPart *p = &b->parts[i];
        if (!p->learn) {
            rc = append(e, p->text, p->size);
            if (rc == 0) rc = muse_session_prefill(e->session, &e->err);
            continue;
        }
        int32_t *ids = NULL;
        size_t n = 0;
        bool good = true;
        rc = muse_text_encode(e->tok, p->text, p->size, MUSE_TEXT_ADDED, &ids, &n, &e->err);
        const int32_t x0 = muse_text_find(e->tok, "<x0>", 4), end_of_y = muse_text_find(e->tok, "<y63>", 5);
        for (size_t k = 0; k < n && rc == 0; k++) {
            const int32_t id = best(e);
            good = good && (id == ids[k] || (ids[k] >= x0 && ids[k] <= end_of_y && abs(id - ids[k]) <= NEAR));
            rc = muse_session_step(e->session, ids[k], &e->err);
        }
        muse_free(ids);
        score->n++;
        score->right += good;
    }
    return rc;
}

static int one(Eval *e, const MuseWorldsBranch *b, int way, bool think, Tally *score)
{
    static const char never[] = " find caption at locate box drill-facts ";   /* they close the thought themselves */
    char name[48];
    snprintf(name, sizeof name, " %s ", b->task);
    const bool dense = !*b->answer, closed = dense || way == HEARD || (!think && !strstr(never, name));
    size_t first;
    int rc = begin(e, b, way, think, closed, &first);
    if (rc == 0 && dense) {
        rc = follow(e, b, first, score);
    } else if (rc == 0) {
        rc = write_all(e);
        const bool good = rc == 1 && right(e, b, way, closed);
        score->n++;
        score->right += good;
        score->cut += rc == 0;
        score->tokens += e->tokens;
        score->looks += e->looks;
        if (e->verbose) printf("%s %s%s %llu: \"%.*s\" -> \"%s\" (%s)%s\n", b->task, way == HEARD ? "heard" : way == SPOKEN ? "spoken, " : "", way == HEARD ? "" : think ? "think" : "direct", (unsigned long long)e->s->index, (int)b->parts[0].size, b->parts[0].text,
                               e->n ? e->text : "", b->answer, good ? "" : "  WRONG");
    }
    end(e);
    return rc < 0 ? rc : 0;
}

static int kind(Eval *e, MuseWorldsMaker *maker, const char *name, int way, int form, unsigned n, int split, uint64_t seed, Tally *score)
{
    MuseWorldsOptions o;
    muse_worlds_options_init(&o);
    o.split = split;
    o.form = form;
    o.branches = 1;
    o.max_side = e->max_side;
    int rc = 0;
    *score = (Tally){ 0 };
    for (uint64_t i = 0; score->n < n && i < 4 * n && rc == 0; i++) {
        rc = muse_worlds_make(maker, name, seed, i, &o, &e->s, &e->err);
        if (rc == MUSE_ERR_LIMIT) o.max_side = 256, rc = muse_worlds_make(maker, name, seed, i, &o, &e->s, &e->err);
        if (rc < 0) break;
        const MuseWorldsBranch *b = &e->s->branches[0];
        if (form == MUSE_WORLDS_THINK && !b->think) break;   /* no chain: the direct form has it */
        if (way != TYPED && (!can_be_said(b) || !e->s->n_images)) break;
        if (strcmp(b->task, name) == 0) rc = one(e, b, way, b->think, score);
    }
    return rc;
}

static int all(Eval *e, MuseWorldsMaker *maker, unsigned n, int split, uint64_t seed, char **kinds, int n_kinds)
{
    static const struct { const char *name; int way, form; } rows[] = { { "direct", TYPED, MUSE_WORLDS_DIRECT }, { "think", TYPED, MUSE_WORLDS_THINK },
        { "spoken direct", SPOKEN, MUSE_WORLDS_DIRECT }, { "spoken think", SPOKEN, MUSE_WORLDS_THINK }, { "heard", HEARD, MUSE_WORLDS_DIRECT } };
    int rc = 0;
    e->seed = seed;
    printf("kind            form            n  right   tokens  looks  cut\n");
    for (size_t w = 0; rc == 0 && muse_worlds_name(w); w++)
        for (size_t k = 0; rc == 0 && muse_worlds_kind_of(w, k); k++) {
            const char *name = muse_worlds_kind_of(w, k);
            bool wanted = n_kinds == 0;
            for (int i = 0; i < n_kinds; i++) wanted = wanted || strcmp(kinds[i], name) == 0 || strcmp(kinds[i], muse_worlds_name(w)) == 0;
            for (size_t i = 0; wanted && rc == 0 && i < sizeof rows / sizeof *rows; i++) {
                Tally s;
                if (rows[i].way != TYPED && !e->voices) continue;
                rc = kind(e, maker, name, rows[i].way, rows[i].form, n, split, seed, &s);
                if (rc == 0 && s.n) printf("%-15s %-13s %3u  %.3f  %7.1f  %5.2f  %3u\n", name, rows[i].name, s.n, (double)s.right / s.n, (double)s.tokens / s.n, (double)s.looks / s.n, s.cut);
                fflush(stdout);
            }
        }
    return rc;
}

int main(int argc, char **argv)
{
    static const char *const splits[] = { "train", "test", "pairs", "many", "fonts", "hard" };
    int split = -1;
    for (int i = 0; argc > 4 && i < (int)(sizeof splits / sizeof *splits); i++)
        if (strcmp(argv[3], splits[i]) == 0) split = i;
    if (argc < 5 || split < 0) {
        fprintf(stderr, "usage: %s MODEL N train|test|pairs|many|fonts|hard SEED [-v] [--max-side PIXELS] [--voices VOICE,VOICE...] [KIND|WORLD ...]\n", argv[0]);
        return 2;
    }
    static Eval e;
    MuseWorlds *worlds = NULL;
    MuseWorldsMaker *maker = NULL;
    MuseModelInfo info = { 0 };
    MuseRuntimeParams rp;
    MuseRuntime *rt = NULL;
    muse_runtime_params_init(&rp);
    rp.threads = 1;
    int at = 5;
    if (at < argc && strcmp(argv[at], "-v") == 0) e.verbose = at++ > 0;
    if (at + 1 < argc && strcmp(argv[at], "--max-side") == 0) e.max_side = (uint32_t)strtoul(argv[at + 1], NULL, 10), at += 2;
    if (at + 1 < argc && strcmp(argv[at], "--voices") == 0) e.voices = argv[at + 1], at += 2;
    int rc = muse_runtime_open(&rt, &rp, &e.err);
    if (rc == 0) rc = muse_model_open(&e.model, rt, argv[1], NULL, &e.err);
    if (rc == 0) rc = muse_model_info(e.model, &info);
    e.vocab = info.vocab;
    if (rc == 0) rc = muse_worlds_open(&worlds, NULL, &e.err);
    if (rc == 0) rc = muse_worlds_maker_open(&maker, worlds, &e.err);
    if (rc == 0) rc = all(&e, maker, (unsigned)strtoul(argv[2], NULL, 10), split, strtoull(argv[4], NULL, 10), argv + at, argc - at);
    if (rc < 0) fprintf(stderr, "%s: %s\n", argv[1], e.err.text);
    muse_worlds_maker_close(&maker);
    muse_worlds_close(&worlds);
    muse_model_close(&e.model);
    muse_runtime_close(&rt);
    return rc < 0;
}
