/* SPDX-License-Identifier: Apache-2.0 */
/* tools/worlds: the same sample whatever the order and the threads; well-formed branches; boxes; splits; labels; refusals. */
#include "worlds_util.h"

#include <math.h>
#include <pthread.h>

enum { FULL = 12 };   /* samples a world */

static MuseWorlds *shared;

static uint64_t mix(uint64_t h, const void *data, size_t n)   /* FNV-1a */
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static uint64_t hash_sample(const MuseWorldsSample *s)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < s->n_images; i++) h = mix(h, s->images[i].rgb, (size_t)s->images[i].width * s->images[i].height * 3);
    h = mix(h, s->pcm, s->n_pcm * sizeof *s->pcm);
    for (size_t i = 0; i < s->n_objects; i++) {
        h = mix(h, &s->objects[i].kind, 1);
        h = mix(h, s->objects[i].mark, strlen(s->objects[i].mark));
        h = mix(h, &s->objects[i].box, sizeof s->objects[i].box);
    }
    for (size_t i = 0; i < s->n_branches; i++)
        for (size_t k = 0; k < s->branches[i].n_parts; k++) {
            h = mix(h, s->branches[i].parts[k].text, s->branches[i].parts[k].size);
            h = mix(h, &s->branches[i].parts[k].learn, 1);
        }
    return h;
}

static MuseWorldsOptions small(int split)
{
    MuseWorldsOptions o;
    muse_worlds_options_init(&o);
    o.split = split;
    return o;
}

/* ---- the same sample ---- */

typedef struct Job { uint64_t *hashes; unsigned first, step; } Job;

static void *make_some(void *arg)
{
    const Job *j = arg;
    MuseWorldsMaker *m = NULL;
    if (muse_worlds_maker_open(&m, shared, NULL) < 0) return NULL;
    for (size_t w = 0; muse_worlds_name(w); w++)
        for (unsigned i = j->first; i < FULL; i += j->step) {
            const MuseWorldsSample *s;
            j->hashes[w * FULL + i] = muse_worlds_make(m, muse_worlds_name(w), 77, i, NULL, &s, NULL) == 0 ? hash_sample(s) : 0;
        }
    muse_worlds_maker_close(&m);
    return NULL;
}

static void test_same(void **state)
{
    (void)state;
    static uint64_t one[16 * FULL], many[16 * FULL];
    make_some(&(Job){ one, 0, 1 });
    pthread_t threads[3];
    Job jobs[3];
    for (unsigned t = 0; t < 3; t++) {
        jobs[t] = (Job){ many, t, 3 };
        assert_int_equal(pthread_create(&threads[t], NULL, make_some, &jobs[t]), 0);
    }
    for (unsigned t = 0; t < 3; t++) pthread_join(threads[t], NULL);
    MuseWorldsMaker *m = open_maker(shared);
    size_t w = 0;
    for (; muse_worlds_name(w); w++)
        for (int i = FULL - 1; i >= 0; i--) {
            const size_t at = w * FULL + (size_t)i;
            if (one[at] == 0 || one[at] != many[at]) fail_msg("%s %d: not the same", muse_worlds_name(w), i);
            assert_true(hash_sample(make(m, muse_worlds_name(w), (uint64_t)i, NULL)) == one[at]);   /* backwards */
            assert_true(i == FULL - 1 || one[at] != one[at + 1]);
        }
    assert_int_equal(w, 12);
    const MuseWorldsOptions o = small(MUSE_WORLDS_TEST);
    assert_true(hash_sample(make(m, "scenes", 0, &o)) != one[0]);
    const MuseWorldsSample *s;
    assert_int_equal(muse_worlds_make(m, "scenes", 78, 0, NULL, &s, NULL), 0);
    assert_true(hash_sample(s) != one[0]);
    muse_worlds_maker_close(&m);
}

/* ---- form ---- */

static void check_places(const char *text)
{
    for (const char *s = text; (s = strchr(s, '<')); s++) {
        if ((s[1] != 'x' && s[1] != 'y') || s[2] < '0' || s[2] > '9') continue;
        char *end;
        const long v = strtol(s + 2, &end, 10);
        assert_true(*end == '>' && v >= 0 && v < MUSE_WORLDS_PLACES);
    }
}

static void check_branch(const MuseWorldsSample *s, const MuseWorldsBranch *b)
{
    char all[8192] = "";
    size_t n = 0, thought = 0, learned = 0;
    for (size_t i = 0; i < b->n_parts; i++) {
        const MuseWorldsPart *p = &b->parts[i];
        assert_int_equal(strlen(p->text), p->size);
        assert_true(n + p->size < sizeof all);
        check_places(p->text);
        learned += p->learn ? p->size : 0;
        assert_false(p->learn && p->role == MUSE_WORLDS_QUESTION);
        if (p->role == MUSE_WORLDS_THOUGHT) {
            memcpy(all + n, p->text, p->size + 1);
            n += p->size;
            thought++;
        }
        if (p->role == MUSE_WORLDS_VIEW) {
            const MuseRect r = p->rect;
            assert_true(r.x0 >= 0 && r.y0 >= 0 && r.x1 <= s->images[p->image].width && r.y1 <= s->images[p->image].height && r.x1 - r.x0 >= 64 && r.y1 - r.y0 >= 64);
            assert_non_null(strstr(b->parts[i - 1].text, "<look>"));
        }
    }
    assert_true(learned > 0);
    assert_int_equal(thought > 0, b->think);
    if (b->think) {
        assert_memory_equal(all, "<think>", 7);
        assert_string_equal(all + n - 8, "</think>");
    }
    const MuseWorldsPart *last = &b->parts[b->n_parts - 1];
    if (*b->answer) assert_true(last->role == MUSE_WORLDS_ANSWER && strstr(last->text, b->answer) && b->answer[0] != ' ');
    for (size_t i = 0; i < b->n_refs; i++) {   /* a name has just ended, and it is the object's */
        assert_true(b->refs[i].part < b->n_parts && b->refs[i].object < s->n_objects && b->refs[i].end <= b->parts[b->refs[i].part].size);
        char head[4096];
        assert_true(b->refs[i].end < sizeof head);
        memcpy(head, b->parts[b->refs[i].part].text, b->refs[i].end);
        head[b->refs[i].end] = 0;
        Said said[64];
        const size_t k = read_said(head, said, 64);
        assert_true(k > 0);
        if (!fits(&s->objects[b->refs[i].object], said[k - 1])) fail_msg("%s: \"%s\" is not object %u", b->task, head, b->refs[i].object);
    }
}

static void test_form(void **state)
{
    (void)state;
    MuseWorldsMaker *m = open_maker(shared);
    for (size_t w = 0; muse_worlds_name(w); w++)
        for (unsigned i = 0; i < 100; i++) {
            MuseWorldsOptions o = small(MUSE_WORLDS_TRAIN);
            o.form = (int)(i % 3);
            const MuseWorldsSample *s = make(m, muse_worlds_name(w), i, &o);
            assert_true(s->n_branches >= 1 && s->n_branches <= 10);
            for (size_t k = 0; k < s->n_branches; k++) {
                check_branch(s, &s->branches[k]);
                if (o.form == MUSE_WORLDS_DIRECT && strcmp(s->world, "drills") != 0) assert_false(s->branches[k].think);
            }
        }
    muse_worlds_maker_close(&m);
}

/* ---- pictures ---- */

static int apart(const uint8_t *a, const uint8_t *b) { return abs(a[0] - b[0]) + abs(a[1] - b[1]) + abs(a[2] - b[2]); }

/* boxes lie inside; something is drawn at an object's middle that is not there just outside its box */
static void test_boxes(void **state)
{
    (void)state;
    MuseWorldsMaker *m = open_maker(shared);
    size_t seen = 0, drawn = 0;
    for (size_t w = 0; muse_worlds_name(w); w++)
        for (unsigned i = 0; i < 80; i++) {
            const MuseWorldsOptions options = small(MUSE_WORLDS_TRAIN);
            const MuseWorldsSample *s = make(m, muse_worlds_name(w), i, &options);
            for (size_t k = 0; k < s->n_objects; k++) {
                const MuseWorldsObject *o = &s->objects[k];
                const MuseWorldsImage *p = &s->images[o->image];
                assert_true(o->image < s->n_images && o->kind > 0 && o->kind < MUSE_WORLDS_KINDS);
                if (!(o->box.x0 >= 0 && o->box.y0 >= 0 && o->box.x1 <= p->width && o->box.y1 <= p->height && o->box.x1 > o->box.x0 && o->box.y1 > o->box.y0)) fail_msg("%s %u: box outside", s->world, i);
                assert_true(o->x >= o->box.x0 - 1 && o->x <= o->box.x1 + 1 && o->y >= o->box.y0 - 1 && o->y <= o->box.y1 + 1);
                if (o->kind > MUSE_WORLDS_HEART || o->hidden || o->mark[0]) continue;
                const int side = (int)o->box.x0 - 3 >= 0 ? (int)o->box.x0 - 3 : (int)o->box.x1 + 3;
                if (side >= (int)p->width || strcmp(s->world, "track") == 0) continue;   /* dots and covers lie over things */
                const uint8_t *middle = p->rgb + ((size_t)o->y * p->width + (size_t)o->x) * 3, *outside = p->rgb + ((size_t)o->y * p->width + (size_t)side) * 3;
                seen++;
                drawn += apart(middle, outside) > 40;
            }
        }
    if (drawn < seen * 98 / 100) fail_msg("%zu of %zu objects are seen", drawn, seen);   /* a neighbour of the same colour may be beside one */
    muse_worlds_maker_close(&m);
}

/* no two things of a scene lie over each other */
static void test_apart(void **state)
{
    (void)state;
    static const char *const worlds[] = { "scenes", "odd", "pairs", "print", "svg", "tables" };
    MuseWorldsMaker *m = open_maker(shared);
    for (size_t w = 0; w < sizeof worlds / sizeof *worlds; w++)
        for (unsigned i = 0; i < 80; i++) {
            const MuseWorldsOptions o = small(MUSE_WORLDS_TRAIN);
            const MuseWorldsSample *s = make(m, worlds[w], i, &o);
            for (size_t a = 0; a < s->n_objects; a++)
                for (size_t b = 0; b < a; b++) {
                    const MuseWorldsObject *p = &s->objects[a], *q = &s->objects[b];
                    if (p->image != q->image) continue;
                    const double wide = fmin(p->box.x1, q->box.x1) - fmax(p->box.x0, q->box.x0), high = fmin(p->box.y1, q->box.y1) - fmax(p->box.y0, q->box.y0);
                    const double least = fmin(fmin(p->box.x1 - p->box.x0, p->box.y1 - p->box.y0), fmin(q->box.x1 - q->box.x0, q->box.y1 - q->box.y0));
                    assert_true(fmin(wide, high) < 0.35 * least);   /* corners of boxes of round things may meet */
                }
        }
    muse_worlds_maker_close(&m);
}

/* ---- splits ---- */

static bool names_pair(const char *text)
{
    static const char *const pairs[] = { "red star", "blue cross", "green diamond", "yellow triangle", "purple heart", "orange hexagon", "blue plus sign" };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strstr(text, pairs[i])) return true;
    return false;
}

static void test_splits(void **state)
{
    (void)state;
    MuseWorldsMaker *m = open_maker(shared);
    for (size_t w = 0; muse_worlds_name(w); w++) {
        size_t most = 0;
        for (unsigned i = 0; i < 300; i++) {
            const MuseWorldsOptions o = small(i & 1 ? MUSE_WORLDS_TRAIN : MUSE_WORLDS_TEST);
            const MuseWorldsSample *s = make(m, muse_worlds_name(w), i, &o);
            size_t n = 0;
            for (size_t k = 0; k < s->n_objects; k++) {
                assert_false(muse_worlds_held_out(s->objects[k].color, s->objects[k].kind));
                n += s->objects[k].image == 0 && s->objects[k].kind <= MUSE_WORLDS_DIGIT;
            }
            most = n > most ? n : most;
            for (size_t k = 0; k < s->n_branches; k++)
                for (size_t p = 0; p < s->branches[k].n_parts; p++)
                    if (names_pair(s->branches[k].parts[p].text)) fail_msg("%s %u names a held-out pair: %s", s->world, i, s->branches[k].parts[p].text);
        }
        assert_true(most <= 8);
    }
    static const char *const worlds[] = { "scenes", "odd", "pairs", "print", "svg", "track" };
    for (size_t w = 0; w < sizeof worlds / sizeof *worlds; w++)
        for (unsigned i = 0; i < 40; i++) {
            const MuseWorldsOptions pairs = small(MUSE_WORLDS_PAIRS), many = small(MUSE_WORLDS_MANY);
            const MuseWorldsSample *s = make(m, worlds[w], i, &pairs);
            size_t held = 0, n = 0;
            for (size_t k = 0; k < s->n_objects; k++) held += (size_t)muse_worlds_held_out(s->objects[k].color, s->objects[k].kind);
            if (strcmp(worlds[w], "svg") != 0 || held) assert_true(held > 0);
            if (strcmp(worlds[w], "track") == 0) continue;
            s = make(m, worlds[w], i, &many);
            for (size_t k = 0; k < s->n_objects; k++) n += s->objects[k].image == 0;
            assert_true(n > 8);
        }
    size_t n = 0, little = 0;
    for (unsigned i = 0; i < 40; i++) {
        const MuseWorldsOptions hard = small(MUSE_WORLDS_HARD);
        const MuseWorldsSample *s = make(m, "scenes", i, &hard);
        n += s->n_objects;
        for (size_t k = 0; k < s->n_objects; k++) little += s->objects[k].size == MUSE_WORLDS_SMALL;
    }
    assert_true(n >= 6 * 40 && n <= 8 * 40 && 2 * little > n);
    muse_worlds_maker_close(&m);
}

/* unseen fonts draw other pixels of the same kind of thing; needs the system's fonts */
static void test_fonts(void **state)
{
    (void)state;
    MuseWorlds *w = open_worlds(MUSE_WORLDS_FONTS_SYSTEM);
    if (!w) {
        print_message("skipped: no FreeType, or DejaVu and Liberation are not installed\n");
        skip();
    }
    MuseWorldsMaker *m = open_maker(w);
    for (unsigned i = 0; i < 30; i++) {
        const MuseWorldsOptions o = small(MUSE_WORLDS_FONTS);
        const MuseWorldsSample *s = make(m, "text", i, &o);
        assert_true(s->n_objects > 0);
    }
    muse_worlds_maker_close(&m);
    muse_worlds_close(&w);
    MuseWorldsParams p;
    MuseError err;
    muse_worlds_params_init(&p);
    p.font_dir = "/no-such-folder";
    assert_int_equal(muse_worlds_open(&w, &p, &err), MUSE_ERR_IO);
    assert_non_null(strstr(err.text, "fonts-dejavu"));
    assert_null(w);
}

/* ---- labels ---- */

static void test_labels(void **state)
{
    (void)state;
    MuseWorldsMaker *m = open_maker(shared);
    MuseWorldsLabel labels[16 * 16];
    for (unsigned i = 0; i < 60; i++) {
        const MuseWorldsOptions options = small(MUSE_WORLDS_TRAIN);
        const MuseWorldsSample *s = make(m, i & 1 ? "scenes" : "print", i, &options);
        const double w = s->images[0].width, h = s->images[0].height;
        muse_worlds_labels(s, 0, (MuseRect){ 0, 0, w, h }, 16, 16, labels);
        for (size_t k = 0; k < s->n_objects; k++) {
            const MuseWorldsObject *o = &s->objects[k];
            const double cx = (o->box.x0 + o->box.x1) / 2, cy = (o->box.y0 + o->box.y1) / 2;
            const int gx = (int)(cx / w * 16), gy = (int)(cy / h * 16);
            const MuseWorldsLabel *l = &labels[gy * 16 + gx];
            assert_true(l->kind != 0);   /* the patch of a middle is somebody's */
            const double x = (gx + 0.5 + l->dx) / 16 * w, y = (gy + 0.5 + l->dy) / 16 * h;
            bool found = false;   /* and points to a thing of that kind */
            for (size_t q = 0; q < s->n_objects; q++) {
                const MuseRect b = s->objects[q].box;
                found = found || (fabs((b.x0 + b.x1) / 2 - x) < 0.01 && fabs((b.y0 + b.y1) / 2 - y) < 0.01 && s->objects[q].kind == l->kind && s->objects[q].color == l->color
                    && fabs(l->radius - fmax((b.x1 - b.x0) / w, (b.y1 - b.y0) / h) * 8) < 1e-3);
            }
            assert_true(found);
        }
        size_t none = 0;
        for (size_t k = 0; k < 256; k++) none += labels[k].kind == 0;
        assert_true(none > 64);
    }
    muse_worlds_maker_close(&m);
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
    (void)state;
    MuseWorldsMaker *m = open_maker(shared);
    const struct { const char *task; uint32_t min, max, branches; int split, form; const char *only; int code; } cases[] = {
        { "nonsense", 0, 0, 0, 0, 0, NULL, MUSE_ERR_NOT_FOUND }, { "", 0, 0, 0, 0, 0, NULL, MUSE_ERR_NOT_FOUND }, { "scenes", 0, 0, 0, 0, 0, "value", MUSE_ERR_NOT_FOUND },
        { "scenes", 32, 0, 0, 0, 0, NULL, MUSE_ERR_ARG }, { "scenes", 0, 2000, 0, 0, 0, NULL, MUSE_ERR_ARG }, { "scenes", 128, 64, 0, 0, 0, NULL, MUSE_ERR_ARG },
        { "scenes", 0, 0, 33, 0, 0, NULL, MUSE_ERR_ARG }, { "scenes", 0, 0, 0, 6, 0, NULL, MUSE_ERR_ARG }, { "scenes", 0, 0, 0, -1, 0, NULL, MUSE_ERR_ARG },
        { "scenes", 0, 0, 0, 0, 3, NULL, MUSE_ERR_ARG }, { "print", 64, 128, 0, 0, 0, NULL, MUSE_ERR_LIMIT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MuseWorldsOptions o = small(cases[i].split);
        const MuseWorldsSample *s = (const void *)m;
        MuseError err = { 0, "" };
        o.min_side = cases[i].min;
        o.max_side = cases[i].max;
        o.branches = cases[i].branches;
        o.form = cases[i].form;
        o.only = cases[i].only;
        assert_int_equal(muse_worlds_make(m, cases[i].task, 1, 1, &o, &s, &err), cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_null(s);
    }
    MuseWorldsOptions o = small(0);
    const MuseWorldsSample *s;
    o.struct_size = 1;
    assert_int_equal(muse_worlds_make(m, "scenes", 1, 1, &o, &s, NULL), MUSE_ERR_ARG);
    assert_int_equal(muse_worlds_make(NULL, "scenes", 1, 1, NULL, &s, NULL), MUSE_ERR_ARG);
    assert_int_equal(muse_worlds_make(m, NULL, 1, 1, NULL, &s, NULL), MUSE_ERR_ARG);
    assert_int_equal(muse_worlds_open(NULL, NULL, NULL), MUSE_ERR_ARG);
    muse_worlds_maker_close(&m);
    muse_worlds_maker_close(&m);
    muse_worlds_maker_close(NULL);
    muse_worlds_close(NULL);
}

/* every kind of every world can be asked for by itself, in every split */
static void test_kinds(void **state)
{
    (void)state;
    MuseWorldsMaker *m = open_maker(shared);
    for (size_t w = 0; muse_worlds_name(w); w++)
        for (size_t k = 0; muse_worlds_kind_of(w, k); k++)
            for (int split = MUSE_WORLDS_TRAIN; split <= MUSE_WORLDS_HARD; split++) {
                MuseWorldsOptions o = small(split);
                o.only = muse_worlds_kind_of(w, k);
                const MuseWorldsSample *s = make(m, muse_worlds_name(w), 5, &o);
                for (size_t i = 0; i < s->n_branches; i++) assert_string_equal(s->branches[i].task, o.only);
            }
    muse_worlds_maker_close(&m);
}

static int opening(void **state)
{
    (void)state;
    return (shared = open_worlds(MUSE_WORLDS_FONTS_BUILTIN)) ? 0 : -1;
}

static int closing(void **state)
{
    (void)state;
    muse_worlds_close(&shared);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same), cmocka_unit_test(test_form), cmocka_unit_test(test_boxes), cmocka_unit_test(test_apart), cmocka_unit_test(test_splits),
        cmocka_unit_test(test_fonts), cmocka_unit_test(test_labels), cmocka_unit_test(test_refusals), cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, opening, closing);
}
