/* SPDX-License-Identifier: Apache-2.0 */
/* tools/worlds: every answer again, from the question's words and the true objects alone; no question fits two things. */
#include "worlds_util.h"

#include <math.h>

enum { SAMPLES = 250 };

static MuseWorlds *shared;

typedef struct Case { const MuseWorldsSample *s; const MuseWorldsBranch *b; char question[1024]; Said said[16]; size_t n_said; } Case;

static void wrong(const Case *c, const char *want)
{
    fail_msg("%s %llu, %s: \"%s\" was answered \"%s\", not \"%s\"", c->s->world, (unsigned long long)c->s->index, c->b->task, c->question, c->b->answer, want);
}

static void expect(const Case *c, const char *want)
{
    if (strcmp(c->b->answer, want) != 0) wrong(c, want);
}

static void expect_number(const Case *c, int want)
{
    char text[16];
    snprintf(text, sizeof text, "%d", want);
    expect(c, text);
}

static void expect_yes(const Case *c, bool yes) { expect(c, yes ? "yes" : "no"); }

/* the only thing that fits, or a failure */
static const MuseWorldsObject *the(const Case *c, size_t image, size_t which)
{
    size_t at = 0;
    if (which >= c->n_said || n_fit(c->s, image, c->said[which], &at) != 1) fail_msg("%s %llu, %s: \"%s\" fits %d things", c->s->world, (unsigned long long)c->s->index,
                                                                                   c->b->task, c->question, which < c->n_said ? n_fit(c->s, image, c->said[which], NULL) : -1);
    return &c->s->objects[at];
}

static void expect_name(const Case *c, const MuseWorldsObject *o, bool size)
{
    char text[64];
    const bool glyph = o->kind == MUSE_WORLDS_LETTER || o->kind == MUSE_WORLDS_DIGIT;
    snprintf(text, sizeof text, "%s%s%s %s%s%s", size ? muse_worlds_size_name(o->size) : "", size ? " " : "", muse_worlds_color_name(o->color), muse_worlds_kind_name(o->kind),
             glyph ? " " : "", glyph ? o->mark : "");
    expect(c, text);
}

static void expect_point(const Case *c, const MuseWorldsObject *o)
{
    char text[64];
    snprintf(text, sizeof text, "<point><x%d><y%d>", cell(o->x, c->s->images[o->image].width), cell(o->y, c->s->images[o->image].height));
    expect(c, text);
}

/* a chain as one text: drills cut it where what is given ends */
static void chain_of(const Case *c, char *to, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < c->b->n_parts; i++) {
        const MuseWorldsPart *p = &c->b->parts[i];
        if (p->role != MUSE_WORLDS_THOUGHT) continue;
        assert_true(n + p->size < cap);
        memcpy(to + n, p->text, p->size);
        n += p->size;
    }
    to[n] = 0;
}

/* ---- scenes ---- */

static void check_find(const Case *c)
{
    for (size_t i = 0; i + 1 < c->b->n_parts; i += 2) {
        Said d[2];
        size_t at = 0;
        char text[32] = " none";
        const size_t said = read_said(c->b->parts[i].text, d, 2);
        assert_int_equal(said, 1);
        const int n = n_fit(c->s, 0, d[0], &at);
        assert_true(n <= 1);
        if (n) snprintf(text, sizeof text, "<x%d><y%d>", cell(c->s->objects[at].x, c->s->images[0].width), cell(c->s->objects[at].y, c->s->images[0].height));
        assert_string_equal(c->b->parts[i + 1].text, text);
        assert_true(c->b->parts[i + 1].learn && !c->b->parts[i].learn);
    }
}

static void check_caption(const Case *c)
{
    Said d[16];
    assert_int_equal(read_said(c->b->answer, d, 16), c->s->n_objects);
    const char *at = c->b->answer;
    for (size_t i = 0; i < c->s->n_objects; i++) {
        int x, y;
        assert_int_equal(sscanf(at, "<x%d><y%d>", &x, &y), 2);
        size_t hits = 0;
        for (size_t k = 0; k < c->s->n_objects; k++)
            hits += fits(&c->s->objects[k], d[i]) && cell(c->s->objects[k].x, c->s->images[0].width) == x && cell(c->s->objects[k].y, c->s->images[0].height) == y;
        assert_int_equal(hits, 1);
        at = strchr(at, ';');
        at = at ? at + 1 : "";
    }
}

/* a above b and so on, by centres in pixels */
static bool holds(const char *word, const MuseWorldsObject *a, const MuseWorldsObject *b)
{
    if (strstr(word, "left")) return a->x < b->x;
    if (strstr(word, "right")) return a->x > b->x;
    if (strstr(word, "above") || strstr(word, "higher")) return a->y < b->y;
    return a->y > b->y;
}

static void check_where(const Case *c)
{
    /* "On which side of the B is the A", "Above or below the B: where is the A": the second thing said is the one asked for */
    const bool second = strstr(c->question, "n which side of") || strstr(c->question, "bove or below the") == c->question + 1;
    const MuseWorldsObject *a = the(c, 0, second), *b = the(c, 0, !second);
    if (!holds(c->b->answer, a, b)) wrong(c, "the other side");
    assert_true(fabs(a->x - b->x) > 2 || fabs(a->y - b->y) > 2);
}

static void check_nearest(const Case *c)
{
    const MuseWorldsObject *a = the(c, 0, c->n_said - 1), *best = NULL;
    double least = 1e9;
    for (size_t i = 0; i < c->s->n_objects; i++) {
        const MuseWorldsObject *o = &c->s->objects[i];
        const double d = hypot(o->x - a->x, o->y - a->y);
        if (o == a || d >= least) continue;
        least = d;
        best = o;
    }
    expect_name(c, best, false);
}

/* " red star<x3><y9> red star", or " red star none"; before it perhaps another place and what stands there instead, the place given */
static void check_found(const Case *c, const MuseWorldsObject *o)
{
    char chain[512], want[32] = " none";
    chain_of(c, chain, sizeof chain);
    chain[strcspn(chain + 1, "/")] = 0;   /* </think> */
    const char *last = strchr(chain, ';') ? strchr(chain, ';') + 1 : chain + strlen("<think>");
    const char *stop = o ? strchr(last, '<') : strstr(last, " none");
    assert_non_null(stop);
    const size_t name = (size_t)(stop - last);
    if (o) snprintf(want, sizeof want, "<x%d><y%d>", cell(o->x, c->s->images[0].width), cell(o->y, c->s->images[0].height));
    assert_int_equal(strncmp(stop, want, strlen(want)), 0);
    if (o) assert_true(strlen(last) == 2 * name + strlen(want) && strncmp(last, last + name + strlen(want), name) == 0);
    else assert_string_equal(stop, want);
    if (last == chain + strlen("<think>")) return;
    assert_true(strncmp(chain + strlen("<think>"), last, name) == 0 && strncmp(strrchr(chain, ';') - name, last, name) != 0);
    size_t given = 0;
    for (size_t i = 0; i < c->b->n_parts; i++) given += c->b->parts[i].role == MUSE_WORLDS_THOUGHT && !c->b->parts[i].learn;
    assert_int_equal(given, 1);
}

static void check_scene(const Case *c)
{
    const char *kind = c->b->task;
    size_t at = 0;
    if (strcmp(kind, "find") == 0) check_find(c);
    else if (strcmp(kind, "caption") == 0) check_caption(c);
    else if (strcmp(kind, "count") == 0) expect_number(c, n_fit(c->s, 0, c->said[0], NULL));
    else if (strcmp(kind, "exist") == 0) {
        const int n = n_fit(c->s, 0, c->said[0], &at);
        assert_true(n <= 1);
        expect_yes(c, n == 1);
        if (c->b->think) check_found(c, n ? &c->s->objects[at] : NULL);
    } else if (strcmp(kind, "color") == 0) expect(c, muse_worlds_color_name(the(c, 0, 0)->color));
    else if (strcmp(kind, "size") == 0) expect(c, muse_worlds_size_name(the(c, 0, 0)->size));
    else if (strcmp(kind, "shape") == 0) assert_true(strncmp(c->b->answer, muse_worlds_kind_name(the(c, 0, 0)->kind), strlen(muse_worlds_kind_name(the(c, 0, 0)->kind))) == 0);
    else if (strcmp(kind, "locate") == 0) {
        if (n_fit(c->s, 0, c->said[c->n_said - 1], NULL) == 0) expect(c, "none");
        else expect_point(c, the(c, 0, c->n_said - 1));
    } else if (strcmp(kind, "box") == 0) {
        const MuseWorldsObject *o = the(c, 0, c->n_said - 1);
        int x0, y0, x1, y1;
        const double w = c->s->images[0].width / 64.0, h = c->s->images[0].height / 64.0;
        assert_int_equal(sscanf(c->b->answer, "<box><x%d><y%d><x%d><y%d>", &x0, &y0, &x1, &y1), 4);
        assert_true(x0 * w <= o->box.x0 && (x0 + 1) * w > o->box.x0 && x1 * w < o->box.x1 && (x1 + 1) * w >= o->box.x1 - 1e-3);
        assert_true(y0 * h <= o->box.y0 && (y0 + 1) * h > o->box.y0 && y1 * h < o->box.y1 && (y1 + 1) * h >= o->box.y1 - 1e-3);
    } else if (strcmp(kind, "relation") == 0) {
        const char *word = c->question + c->said[0].at;   /* behind the first name */
        expect_yes(c, holds(word, the(c, 0, 0), the(c, 0, 1)));
    } else if (strcmp(kind, "where") == 0) check_where(c);
    else if (strcmp(kind, "nearest") == 0) check_nearest(c);
    else if (strcmp(kind, "compare") == 0) expect_yes(c, n_fit(c->s, 0, c->said[0], NULL) > n_fit(c->s, 0, c->said[1], NULL));
    else if (strcmp(kind, "at") == 0) {
        int x, y;
        assert_int_equal(sscanf(strchr(c->question, '<'), "<x%d><y%d>", &x, &y), 2);
        const double px = (x + 0.5) * c->s->images[0].width / 64, py = (y + 0.5) * c->s->images[0].height / 64;
        const MuseWorldsObject *best = NULL;
        for (size_t i = 0; i < c->s->n_objects; i++)
            if (!best || hypot(c->s->objects[i].x - px, c->s->objects[i].y - py) < hypot(best->x - px, best->y - py)) best = &c->s->objects[i];
        expect_name(c, best, false);
    } else fail_msg("no check for %s", kind);
}

/* ---- the other worlds ---- */

static void check_odd(const Case *c)
{
    const MuseWorldsObject *o = c->s->objects, *odd = NULL;
    const size_t n = c->s->n_objects;
    bool size = false;
    for (size_t i = 0; i < n; i++) {
        size_t unlike = 0;
        for (size_t k = 0; k < n; k++) unlike += o[i].color != o[k].color || o[i].kind != o[k].kind || o[i].size != o[k].size;
        if (unlike != n - 1) continue;
        assert_null(odd);
        odd = &o[i];
        size = o[i].color == o[(i + 1) % n].color && o[i].kind == o[(i + 1) % n].kind;
    }
    assert_non_null(odd);
    if (strcmp(c->b->task, "oddplace") == 0) expect_point(c, odd);
    else expect_name(c, odd, size);
}

static const MuseWorldsObject *with_id(const MuseWorldsSample *s, size_t image, int id)
{
    for (size_t i = 0; i < s->n_objects; i++)
        if (s->objects[i].image == image && s->objects[i].id == id) return &s->objects[i];
    return NULL;
}

static void check_pairs(const Case *c)
{
    char want[64] = "nothing";
    int changes = 0, asked = -1;
    for (size_t i = 0; i < c->s->n_objects; i++) {
        const MuseWorldsObject *o = &c->s->objects[i], *p = with_id(c->s, !o->image, o->id);
        const char *verb = !p ? (o->image ? "added" : "removed") : hypot(o->x - p->x, o->y - p->y) > 1 ? "moved" : o->color != p->color ? "recoloured" : NULL;
        if (!verb || (p && o->image)) continue;
        changes++;
        asked = o->id;
        snprintf(want, sizeof want, "%s %s%s%s %s", muse_worlds_color_name(o->color), muse_worlds_kind_name(o->kind), *o->mark ? " " : "", o->mark, verb);
    }
    assert_true(changes <= 1);
    if (strcmp(c->b->task, "change") == 0) expect(c, want);
    else if (strcmp(c->b->task, "second") == 0) expect_point(c, the(c, 1, c->n_said - 1));   /* "Point to" reads like a chart's point */
    else expect_yes(c, the(c, 0, 0)->id == asked);
}

static void check_print(const Case *c)
{
    if (strcmp(c->b->task, "color") == 0 || strcmp(c->b->task, "shape") == 0) {
        check_scene(c);
        return;
    }
    const size_t first = c->n_said - (strcmp(c->b->task, "read") == 0 ? 1 : 2);   /* "the digits on" comes before the names */
    const MuseWorldsObject *a = the(c, 0, first);
    if (strcmp(c->b->task, "read") == 0) expect(c, a->mark);
    else if (strcmp(c->b->task, "addprint") == 0) expect_number(c, a->mark[0] - '0' + the(c, 0, first + 1)->mark[0] - '0');
    else expect_yes(c, strcmp(a->mark, the(c, 0, first + 1)->mark) == 0);
    const MuseWorldsPart *last = NULL;
    for (size_t i = 0; i < c->b->n_parts; i++)
        if (c->b->parts[i].role == MUSE_WORLDS_VIEW) last = &c->b->parts[i];
    if (!c->b->think) return;
    assert_non_null(last);
    if (strcmp(c->b->task, "read") == 0) assert_true(last->rect.x0 <= a->x && last->rect.x1 >= a->x && last->rect.y0 <= a->y && last->rect.y1 >= a->y);
}

/* the slices in turn from the top: where each ends is the sum of the shares so far; the last is the one asked for, or ends at the top */
static void check_slices(const Case *c)
{
    char chain[512];
    const bool all = strcmp(c->b->task, "entries") == 0;
    int k = 0, n = 0, end = 0, share = 0, sum = 0, product = -1;
    chain_of(c, chain, sizeof chain);
    for (const char *at = all ? chain + strlen("<think>") : strchr(chain, ';') + 1; at; at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL) {
        if (sscanf(at, "%*d*5=%d", &product) == 1) break;
        assert_int_equal(sscanf(at, "%d<x%*d><y%*d> %*[A-Za-z ]<x%*d><y%*d>%d,%d", &k, &end, &share), 3);
        assert_int_equal(k, ++n);
        assert_int_equal(end, sum += share);
        assert_true(fabs(share * 5 - c->s->objects[n - 1].value) < 0.01);
    }
    if (all) assert_true(sum == 20 && n == (int)c->s->n_objects);
    else assert_true(product == 5 * share && c->s->objects[n - 1].value == the(c, 0, 0)->value);
}

static void check_charts(const Case *c)
{
    const MuseWorldsSample *s = c->s;
    const char *kind = c->b->task;
    if (c->b->think && s->objects[0].kind == MUSE_WORLDS_SLICE && (strcmp(kind, "entries") == 0 || strcmp(kind, "value") == 0)) check_slices(c);
    if (strcmp(kind, "entries") == 0) expect_number(c, (int)s->n_objects);
    else if (strcmp(kind, "value") == 0) expect_number(c, (int)(the(c, 0, 0)->value + 0.5));
    else if (strcmp(kind, "higher") == 0) expect_yes(c, the(c, 0, 0)->value > the(c, 0, 1)->value);
    else if (strcmp(kind, "difference") == 0) expect_number(c, (int)(the(c, 0, 0)->value - the(c, 0, 1)->value + 0.5));
    else {
        const bool low = strstr(c->question, "shortest") || strstr(c->question, "lowest") || strstr(c->question, "smallest") || strstr(c->question, "least");
        const MuseWorldsObject *best = &s->objects[0];
        for (size_t i = 1; i < s->n_objects; i++)
            if (low ? s->objects[i].value < best->value : s->objects[i].value > best->value) best = &s->objects[i];
        for (size_t i = 0; i < s->n_objects; i++) assert_true(&s->objects[i] == best || s->objects[i].value != best->value);
        expect(c, *best->mark ? best->mark : muse_worlds_color_name(best->color));
    }
}

/* what stands in the picture, left to right */
static void printed(const MuseWorldsSample *s, char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_objects; i++) {
        assert_true(i == 0 || s->objects[i].x > s->objects[i - 1].x);
        text[n++] = s->objects[i].mark[0];
    }
    text[n] = 0;
}

static void expect_result(const Case *c, const char *text)
{
    int a, b;
    char op;
    assert_int_equal(sscanf(text, "%d%c%d", &a, &op, &b), 3);
    expect_number(c, op == '+' ? a + b : a - b);
}

/* behind the look: the line's beginning in the view, then each sign and the column where it ends, counted where they are to be counted */
static void check_line(const Case *c, const char *text)
{
    char chain[512];
    int last, x = 0, said = 0, n = 0;
    MuseRect view = { 0 };
    const bool counted = strcmp(c->b->task, "length") == 0;
    chain_of(c, chain, sizeof chain);
    for (size_t i = 0; i < c->b->n_parts; i++)
        if (c->b->parts[i].role == MUSE_WORLDS_VIEW) view = c->b->parts[i].rect;
    const char *at = strstr(chain, "<box>");
    for (int i = 0; i < 5; i++) at = strchr(at, '>') + 1;
    assert_int_equal(sscanf(at, "<x%d>", &last), 1);
    assert_int_equal(last, cell(c->s->objects[0].box.x0 - view.x0, (int)(view.x1 - view.x0)));
    for (const char *s = text; *s; s++, last = x, n++) {
        at = strchr(at, counted && n ? ';' : '>') + 1;
        assert_int_equal(*at++, *s);
        assert_true(sscanf(at, "<x%d>%d", &x, &said) >= 1 + counted);
        assert_true(x >= last && x == cell(c->s->objects[n].box.x1 - view.x0, (int)(view.x1 - view.x0)));
        if (counted) assert_int_equal(said, n + 1);
    }
}

static void check_text(const Case *c)
{
    char text[64];
    printed(c->s, text);
    if (c->b->think && strcmp(c->b->task, "same") != 0) check_line(c, text);
    if (strcmp(c->b->task, "text") == 0) expect(c, text);
    else if (strcmp(c->b->task, "length") == 0) expect_number(c, (int)strlen(text));
    else if (strcmp(c->b->task, "same") == 0) expect_yes(c, text[0] == text[1]);
    else expect_result(c, text);
}

static void check_track(const Case *c)
{
    const MuseWorldsSample *s = c->s;
    const int id = s->objects[c->b->refs[0].object].id, last = (int)s->n_images - 1;
    const MuseWorldsObject *end = with_id(s, (size_t)last, id);
    int rank = 1, hidden = 0;
    for (size_t i = 0; i < s->n_objects; i++) {
        rank += s->objects[i].image == last && s->objects[i].kind != MUSE_WORLDS_COVER && s->objects[i].x < end->x;
        if (s->objects[i].id == id && s->objects[i].hidden) hidden = s->objects[i].image + 1;
    }
    assert_false(end->hidden || with_id(s, 0, id)->hidden);
    if (strcmp(c->b->task, "track") == 0) expect_point(c, end);
    else expect_number(c, strcmp(c->b->task, "which") == 0 ? rank : hidden);
}

static int row_value(const Case *c, const char *key)
{
    char row[64];
    int value;
    snprintf(row, sizeof row, "\n%s | ", key);
    const char *at = strstr(c->question, row);
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen(row), "%d", &value), 1);
    return value;
}

static int table_value(const Case *c, const MuseWorldsObject *o)
{
    return row_value(c, strncmp(c->question, "color", 5) == 0 ? muse_worlds_color_name(o->color) : muse_worlds_kind_name(o->kind));
}

/* "... red star<x3><y9> red" is given, " 12" is learned */
static void check_lookups(const Case *c)
{
    int value = -1, n = 0;
    for (size_t i = 1; i < c->b->n_parts; i++) {
        const MuseWorldsPart *p = &c->b->parts[i];
        if (p->role != MUSE_WORLDS_THOUGHT || !p->learn) continue;
        char given[256], key[16];
        snprintf(given, sizeof given, "%.*s", (int)p[-1].size, p[-1].text);
        assert_int_equal(sscanf(strrchr(given, '>') + 1, " %15s", key), 1);
        value = row_value(c, key);
        assert_int_equal(atoi(p->text), value);
        assert_false(p[-1].learn);
        n++;
    }
    assert_true(n >= 2);
    expect_number(c, value);
}

static void check_tables(const Case *c)
{
    size_t first = 0;   /* descriptions behind the table's rows */
    const size_t end = (size_t)(strrchr(c->question, '\n') - c->question);
    while (first < c->n_said && c->said[first].at <= end) first++;
    const int a = table_value(c, the(c, 0, first));
    expect_number(c, strcmp(c->b->task, "total") == 0 ? a + table_value(c, the(c, 0, first + 1)) : a);
}

static void check_svg(const Case *c)
{
    const char *at = c->b->answer;
    size_t n = 0;
    for (; *at; n++) {
        char kind[16], color[16];
        int x, y, scale, used = 0;
        assert_int_equal(sscanf(at, "<use href=\"#%15[a-z]\" fill=\"%15[a-z]\" transform=\"translate(%d,%d)scale(%d)\"/>%n", kind, color, &x, &y, &scale, &used), 5);
        assert_true(used > 0);
        at += used;
        size_t hits = 0;
        for (size_t i = 0; i < c->s->n_objects; i++) {
            const MuseWorldsObject *o = &c->s->objects[i];
            hits += strcmp(kind, muse_worlds_kind_name(o->kind)) == 0 && strcmp(color, muse_worlds_color_name(o->color)) == 0 && scale == 2 + 2 * o->size
                && cell(o->x, c->s->images[0].width) == x && cell(o->y, c->s->images[0].height) == y;
        }
        assert_int_equal(hits, 1);
        char id[32];
        snprintf(id, sizeof id, "id=\"%s\"", kind);
        assert_non_null(strstr(muse_worlds_svg_head(), id));
    }
    assert_int_equal(n, c->s->n_objects);
}

/* the signs of a chain without its places, up to `end` */
static void signs_of(const char *chain, char end, char *out)
{
    size_t n = 0;
    for (bool in = false; *chain && (*chain != end || in); chain++) {
        if (*chain == '<') in = true;
        else if (*chain == '>') in = false;
        else if (!in && *chain != ' ') out[n++] = *chain;
    }
    out[n] = 0;
}

/* "1<x3><y9> large red star;2..." is given, the drawing follows from it */
static void check_redrawn(const Case *c)
{
    char want[2048] = "";
    for (const char *at = c->b->parts[1].text + strlen("<think>"); at; at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL) {
        char size[8], color[8], kind[12];
        int x, y;
        assert_int_equal(sscanf(at, "%*d<x%d><y%d> %7[a-z] %7[a-z] %11[a-z]", &x, &y, size, color, kind), 5);
        sprintf(want + strlen(want), "<use href=\"#%s\" fill=\"%s\" transform=\"translate(%d,%d)scale(%d)\"/>", kind, color, x, y, *size == 's' ? 4 : *size == 'm' ? 6 : 8);
    }
    expect(c, want);
}

/* each of the list is said to be the same as the others if it has their name, and the last has not */
static void check_unlike(const Case *c)
{
    char chain[512], others[40] = "", name[40] = "", verdict[8] = "same";
    chain_of(c, chain, sizeof chain);
    assert_int_equal(sscanf(chain, "<think> others %39[a-z ]", others), 1);
    for (const char *at = strchr(chain, ';'); at; at = strchr(at + 1, ';')) {
        char size[8], color[8], kind[12];
        assert_string_equal(verdict, "same");
        assert_int_equal(sscanf(at, ";<x%*d><y%*d> %7[a-z] %7[a-z] %11[a-z] %7[a-z]", size, color, kind, verdict), 4);
        sprintf(name, "%s %s %s", size, color, kind);
        assert_int_equal(strcmp(verdict, "same") == 0, strcmp(name, others) == 0);
    }
    assert_string_equal(verdict, "odd");
    assert_non_null(strstr(name, c->b->answer));
}

/* the points of bars and lines stand higher the smaller y is; slices have their twentieths behind their end on the rim */
static void check_highest(const Case *c)
{
    const bool pie = strstr(c->question, "slice") != NULL;
    const bool low = strstr(c->question, "lowest") || strstr(c->question, "shortest") || strstr(c->question, "smallest") || strstr(c->question, "least");
    int best = -1000, leads = 0, n = 0, sum = 0;
    char want[16] = "", chain[512];
    chain_of(c, chain, sizeof chain);
    assert_int_equal(strncmp(chain, low ? "<think> lowest;" : "<think> highest;", strlen("<think> lowest;")), 0);
    for (const char *at = strchr(chain, ';') + 1; *at != '<'; at = strchr(at, ';') + 1) {   /* the last is a place alone */
        char label[16];
        int y, share = 0, end = 0, said = 0;
        if (pie) assert_int_equal(sscanf(at, "%*d<x%*d><y%d> %15[A-Za-z]<x%*d><y%*d>%d,%d>%d", &y, label, &end, &share, &said), 5);
        else assert_int_equal(sscanf(at, "%*d<x%*d><y%d> %15[A-Za-z]>%d", &y, label, &said), 3);
        n++;
        sum += share;
        assert_int_equal(sum, end);
        const int v = (low ? -1 : 1) * (pie ? share : -y);
        if (v > best + (pie ? 0 : 1)) best = v, leads = n, strcpy(want, label);   /* places of one tick may be one apart */
        assert_int_equal(said, leads);
    }
    assert_int_equal(sum, pie ? 20 : 0);
    expect(c, want);
}

/* the place behind "nearest" is the nearest of those listed, whose distances are right to half a place */
static void check_least(const Case *c)
{
    char chain[512], want[32] = "";
    int x0, y0, x, y, dx, dy, d;
    double least = 1e9;
    chain_of(c, chain, sizeof chain);
    assert_int_equal(sscanf(strstr(chain, "<x"), "<x%d><y%d>", &x0, &y0), 2);
    for (const char *at = strchr(chain, ';'); at; at = strchr(at + 1, ';')) {
        if (strncmp(at, "; nearest", 9) == 0) break;
        assert_int_equal(sscanf(at, ";<x%d><y%d><y%d><x%d><x%d>", &x, &y, &dy, &dx, &d), 5);
        const double far = sqrt((x - x0) * (x - x0) + (y - y0) * (y - y0));
        assert_true(dx == abs(x - x0) && dy == abs(y - y0) && (far >= 63 ? d == 63 : fabs(far - d) <= 0.5));
        if (far < least) least = far, snprintf(want, sizeof want, "; nearest<x%d><y%d> ", x, y);
    }
    const char *said = strstr(chain, want);
    assert_non_null(said);
    assert_int_equal(strncmp(said + strlen(want), c->b->answer, strlen(c->b->answer)), 0);
}

/* the number of the place where the path ends */
static void check_path_end(const Case *c)
{
    char chain[512], end[24], want[8] = "";
    int k, x, y, last_x, last_y;
    chain_of(c, chain, sizeof chain);
    for (const char *at = strstr(chain, "<image "); at; at = strstr(at + 1, "<image ")) assert_int_equal(sscanf(at, "<image %*d><x%d><y%d>", &last_x, &last_y), 2);
    for (const char *at = strchr(chain, ';'); at; at = strchr(at + 1, ';')) {
        assert_int_equal(sscanf(at, ";%d<x%d><y%d> %3[a-z]", &k, &x, &y, end), 4);
        assert_int_equal(strcmp(end, "yes") == 0, x == last_x && y == last_y);
        if (x == last_x && y == last_y) snprintf(want, sizeof want, "%d", k);
    }
    expect(c, want);
}

static void check_drills(const Case *c)
{
    char text[256];
    if (strcmp(c->b->task, "drill-facts") == 0) return;   /* by check_sums() */
    static const struct { const char *task; void (*check)(const Case *); } checks[] = { { "drill-lookup", check_lookups }, { "drill-odd", check_unlike },
        { "drill-tallest", check_highest }, { "drill-svg", check_redrawn }, { "drill-nearest", check_least }, { "drill-which", check_path_end } };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (strcmp(c->b->task, checks[i].task) == 0) {
            checks[i].check(c);
            return;
        }
    assert_int_equal(c->b->parts[1].role, MUSE_WORLDS_THOUGHT);
    assert_false(c->b->parts[1].learn);
    const char *given = c->b->parts[1].text;
    if (strcmp(c->b->task, "drill-sum") == 0) {
        signs_of(given, ';', text);
        expect_result(c, text);
    } else if (strcmp(c->b->task, "drill-same") == 0) {
        signs_of(given + strlen("<think>;"), 0, text);
        expect_yes(c, text[0] == text[1]);
    } else {
        int ax = 0, ay = 0, bx = 0, by = 0;
        const char *first = strstr(given, "<x"), *second = strstr(first + 1, "<x");
        assert_true(sscanf(first, "<x%d><y%d>", &ax, &ay) == 2 && sscanf(second, "<x%d><y%d>", &bx, &by) == 2);
        const MuseWorldsObject a = { .x = ax, .y = ay }, b = { .x = bx, .y = by };
        if (strcmp(c->b->task, "drill-relation") == 0) expect_yes(c, holds(c->question + c->said[0].at, &a, &b));
        else if (!holds(c->b->answer, &a, &b)) wrong(c, "the other side");
    }
}

static void check_tones(const Case *c)
{
    char text[256];
    int n = 0;
    if (!c->b->think) return;   /* no objects of sound: the chain lists what is played */
    const char *chain = c->b->parts[c->b->n_parts - 2].text;
    for (const char *s = chain; *s; s++) n += *s == ';';
    if (strcmp(c->b->task, "tones") == 0) expect_number(c, n + 1);
    if (strcmp(c->b->task, "dial") == 0) {
        size_t k = 0;
        for (const char *s = chain; (s = strchr(s, ' ')); s++) text[k++] = s[1];
        text[k] = 0;
        expect(c, text);
    }
}

static void check_solid(const Case *c)
{
    const MuseWorldsImage *p = &c->s->images[0];
    static const uint8_t base[][3] = { { 216, 40, 42 }, { 40, 158, 58 }, { 44, 78, 214 }, { 238, 214, 36 }, { 244, 138, 22 }, { 132, 48, 170 }, { 46, 200, 214 },
                                       { 246, 136, 186 }, { 128, 128, 128 }, { 18, 18, 18 }, { 245, 245, 245 } };
    const double fx = strstr(c->question, "left") ? 0.2 : strstr(c->question, "right") ? 0.8 : 0.5, fy = strstr(c->question, "upper") ? 0.2 : strstr(c->question, "lower") ? 0.8 : 0.5;
    double sum[3] = { 0 };
    for (int y = -4; y < 4; y++)
        for (int x = -4; x < 4; x++)
            for (int k = 0; k < 3; k++) sum[k] += p->rgb[((size_t)(fy * p->height + y) * p->width + (size_t)(fx * p->width + x)) * 3 + (size_t)k] / 64.0;
    int best = 0;
    double least = 1e9;
    for (int i = 0; i < 11; i++) {
        const double d = pow(sum[0] - base[i][0], 2) + pow(sum[1] - base[i][1], 2) + pow(sum[2] - base[i][2], 2);
        if (d < least) least = d, best = i + 1;
    }
    expect(c, muse_worlds_color_name(best));
}

/* every column "a+b+1=c,d" and product "a*b=c" of a text */
static size_t check_sums(const char *text, bool chained)
{
    size_t n = 0;
    int open = 0;   /* the carry of the column before */
    for (const char *s = text; (s = strchr(s, '=')); s++) {
        const char *from = s;
        while (from > text && strchr("0123456789+-*", from[-1])) from--;
        int a, b, one = 0, carry, digit, used = 0;
        char op;
        if (sscanf(from, "%d%c%d%n", &a, &op, &b, &used) != 3 || !strchr("+-*", op)) continue;
        if (op == '*') {
            assert_int_equal(sscanf(s, "=%d", &digit), 1);
            assert_int_equal(digit, a * b);
        } else {
            if (from[used] == op) one = 1;
            if (sscanf(s, "=%d,%d", &carry, &digit) != 2) fail_msg("no carry in %s", text);
            const int value = op == '+' ? a + abs(b) + one : a - abs(b) - one;
            if (op == '+') assert_int_equal(10 * carry + digit, value);
            else assert_true(digit == value && carry == (a > 9));   /* what is borrowed stands in a already */
            if (chained) assert_int_equal(one, open);
            open = s[4] == ';' && s[5] >= '0' && s[5] <= '9' && s[6] == op ? carry : 0;
        }
        n++;
    }
    return n;
}

/* ---- */

static void check_case(const MuseWorldsSample *s, const MuseWorldsBranch *b)
{
    static const struct { const char *world; void (*check)(const Case *); } worlds[] = {
        { "scenes", check_scene }, { "solid", check_solid }, { "odd", check_odd }, { "pairs", check_pairs }, { "print", check_print }, { "charts", check_charts },
        { "text", check_text }, { "track", check_track }, { "tables", check_tables }, { "svg", check_svg }, { "drills", check_drills }, { "tones", check_tones } };
    Case c = { .s = s, .b = b };
    char thought[4096] = "";
    for (size_t i = 0; i < b->n_parts; i++) {
        if (b->parts[i].role == MUSE_WORLDS_QUESTION) strcat(c.question, b->parts[i].text);
        else if (b->parts[i].role == MUSE_WORLDS_THOUGHT) strcat(thought, b->parts[i].text);
    }
    c.n_said = read_said(c.question, c.said, 16);
    check_sums(thought, true);
    for (size_t i = 0; i < sizeof worlds / sizeof *worlds; i++)
        if (strcmp(s->world, worlds[i].world) == 0) {
            worlds[i].check(&c);
            return;
        }
    fail_msg("no check for %s", s->world);
}

static void test_answers(void **state)
{
    (void)state;
    MuseWorldsMaker *m = open_maker(shared);
    for (size_t w = 0; muse_worlds_name(w); w++) {
        size_t n = 0;
        for (unsigned i = 0; i < SAMPLES; i++) {
            MuseWorldsOptions o;
            muse_worlds_options_init(&o);
            o.split = (int)(i % 5);
            const MuseWorldsSample *s = make(m, muse_worlds_name(w), i, &o);
            for (size_t k = 0; k < s->n_branches; k++) check_case(s, &s->branches[k]);
            n += s->n_branches;
        }
        print_message("%s: %zu questions\n", muse_worlds_name(w), n);
    }
    muse_worlds_maker_close(&m);
}

/* the facts that drills pack, and that answers are not all alike */
static void test_spread(void **state)
{
    (void)state;
    MuseWorldsMaker *m = open_maker(shared);
    MuseWorldsOptions o;
    muse_worlds_options_init(&o);
    o.only = "drill-facts";
    size_t facts = 0;
    for (unsigned i = 0; i < 50; i++) {
        const MuseWorldsSample *s = make(m, "drills", i, &o);
        for (size_t k = 0; k < s->n_branches; k++) {
            char all[512] = "";
            for (size_t p = 0; p < s->branches[k].n_parts; p++) strcat(all, s->branches[k].parts[p].text);
            facts += check_sums(all, false);
        }
    }
    assert_int_equal(facts, 50 * 10 * 6);
    static const char *const halves[] = { "exist", "relation", "compare", "changed", "higher", "same", "sameprint" };
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        size_t n = 0, yes = 0;
        for (unsigned k = 0; k < 150; k++) {
            MuseWorldsOptions any;
            muse_worlds_options_init(&any);
            const MuseWorldsSample *s = make(m, halves[i], k, &any);
            for (size_t b = 0; b < s->n_branches; b++, n++) yes += strcmp(s->branches[b].answer, "yes") == 0;
        }
        print_message("%s: %zu yes of %zu\n", halves[i], yes, n);
        assert_true(yes * 100 > n * 25 && yes * 100 < n * 75);
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_answers), cmocka_unit_test(test_spread) };
    return cmocka_run_group_tests(tests, opening, closing);
}
