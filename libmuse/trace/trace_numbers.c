/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers on a picture of the page while all steps are shown: marks in the same place share one label, and labels keep off each other. A single
 * step has its own number, which trace_html.c puts at its mark. Called by it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libmuse/trace/trace_draw.h"
#include "libmuse/trace/trace_page.h"

enum {
    RUNS = 3,        /* "1-8, 10, 12" and how many more */
    RECENT = 256,    /* labels that a new one is compared with: a page of a million steps is made in linear time */
    SAME = 24,       /* CSS pixels between marks that share a label */
    TEXT = 64
};

typedef struct Label {
    MuseRect at, all, box;             /* the first of its marks; round all of them; where the label stands */
    size_t   run[RUNS][2], n_runs, more;
    size_t   step;                     /* the first, for its colour */
    uint32_t object;
    bool     look;                     /* what was shown, not what was named there */
    int      side;                     /* of the text that is at x: -1 its beginning, 0 its middle, 1 its end */
} Label;

static bool same_place(MuseRect a, MuseRect b, double near)
{
    return fabs(a.x0 - b.x0) < near && fabs(a.y0 - b.y0) < near && fabs(a.x1 - b.x1) < near && fabs(a.y1 - b.y1) < near;
}

static void count_in(Label *l, size_t step, MuseRect r)
{
    l->all = (MuseRect){ fmin(l->all.x0, r.x0), fmin(l->all.y0, r.y0), fmax(l->all.x1, r.x1), fmax(l->all.y1, r.y1) };
    size_t *last = l->n_runs ? l->run[l->n_runs - 1] : NULL;
    if (last && step <= last[1] + 1 && !l->more) last[1] = step > last[1] ? step : last[1];
    else if (l->n_runs < RUNS) {
        l->run[l->n_runs][0] = l->run[l->n_runs][1] = step;
        l->n_runs++;
    } else l->more++;
}

static int gather(const MuseTrace *t, uint32_t image, double near, MuseBuf *labels)
{
    for (size_t i = 0; i < muse_trace_n_steps(t); i++) {
        const MuseTraceStep *s = muse_trace_at(t, i);
        const bool look = s->kind == MUSE_STEP_LOOK;
        for (uint32_t m = 0; m < s->n_marks; m++) {
            Label *all = (Label *)(void *)labels->data;
            const size_t n = labels->len / sizeof *all;
            size_t k = n;
            if (s->marks[m].image != image) continue;
            while (k > 0 && n - k < RECENT && (all[k - 1].look != look || !same_place(all[k - 1].at, s->marks[m].rect, near))) k--;
            if (k > 0 && n - k < RECENT) count_in(&all[k - 1], i + 1, s->marks[m].rect);
            else {
                Label l = { .at = s->marks[m].rect, .all = s->marks[m].rect, .step = i, .object = s->marks[m].object, .look = look };
                count_in(&l, i + 1, l.at);
                if (muse_buf_append(labels, &l, sizeof l) < 0) return MUSE_ERR_NOMEM;
            }
        }
    }
    return 0;
}

/* to: the text, with en dashes as HTML wants them. @return letters, for its width */
static size_t spell(const Label *l, char to[TEXT * 4])
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < l->n_runs; i++) {
        const bool pair = l->run[i][1] > l->run[i][0];
        char plain[TEXT];
        n += (size_t)snprintf(plain, sizeof plain, pair ? "%s%zu-%zu" : "%s%zu", i ? "," : "", l->run[i][0], l->run[i][1]);
        at += (size_t)snprintf(to + at, TEXT * 4 - at, pair ? "%s%zu&#8211;%zu" : "%s%zu", i ? "," : "", l->run[i][0], l->run[i][1]);
    }
    if (l->more) n += (size_t)snprintf(to + at, TEXT * 4 - at, " +%zu", l->more);
    return n;
}

static double overlap(MuseRect a, MuseRect b)
{
    const double w = fmin(a.x1, b.x1) - fmax(a.x0, b.x0), h = fmin(a.y1, b.y1) - fmax(a.y0, b.y0);
    return w > 0 && h > 0 ? w * h : 0;
}

/* Beside its mark where it covers no other label and nothing is cut off; otherwise where least is covered. em: of the largest letters. */
static void settle(const Label *before, size_t n, Label *l, MuseRect frame, double em, double unit, double wide)
{
    static const double rows[] = { 0, -1.25, 1.25, -2.5, 2.5 };
    static const int sides[] = { -1, -1, -1, 1, 1, 0 };
    const bool point = muse_rect_is_point(l->at);
    const double gap = (point ? 8 : 4) * unit, tall = 1.1 * em;
    const MuseRect m = l->all;
    double best = INFINITY;
    for (int r = 0; r < 5 && best > 0; r++)
        for (int side = 0; side < 6 && best > 0; side++) {
            const double xs[] = { m.x1 + gap, m.x0, m.x0, m.x0 - gap - wide, m.x1 - wide, (m.x0 + m.x1 - wide) / 2 };
            const double ys[] = { point ? (m.y0 + m.y1 - tall) / 2 : m.y0, m.y0 - gap - tall, m.y1 + gap, point ? (m.y0 + m.y1 - tall) / 2 : m.y0, m.y0 - gap - tall, m.y1 + gap };
            const double x = xs[side], y = ys[side] + rows[r] * em;
            const MuseRect box = { x, y, x + wide, y + tall };
            double bad = 16 * (wide * tall - overlap(box, frame));
            for (size_t k = n > RECENT ? n - RECENT : 0; k < n; k++) bad += overlap(box, before[k].box);
            if (bad < 1e-9 * wide * tall) bad = 0;
            if (bad < best) best = bad, l->box = box, l->side = sides[side];
        }
}

int muse_trace_numbers(MuseOut *o, const MuseTrace *t, uint32_t image, double unit, double letter, double grows, MuseError *err)
{
    const MuseRect frame = muse_trace_picture(t, image - 1)->rect;
    const double em = letter * grows * unit;
    MuseBuf labels = { .alloc = &t->rt->alloc };
    if (gather(t, image, SAME * unit, &labels) < 0) {
        muse_buf_clear(&labels);
        return MUSE_NOMEM(err, labels.len);
    }
    Label *all = (Label *)(void *)labels.data;
    muse_out_put(o, "<g class=\"all\">");
    for (size_t i = 0; i < labels.len / sizeof *all; i++) {
        char text[TEXT * 4];
        const size_t n = spell(&all[i], text);
        settle(all, i, &all[i], frame, em, unit, (0.68 * (double)n + 0.2) * em);   /* 0.68: a bold digit and a share of the rim */
        const MuseRect b = all[i].box;
        const int side = all[i].side;   /* smaller letters shrink towards their mark */
        muse_out_put(o, "<text style=\"--c:#%06x\" text-anchor=\"%s\" x=\"", (unsigned)muse_trace_colour(all[i].object, all[i].step), side < 0 ? "start" : side > 0 ? "end" : "middle");
        muse_out_number(o, side < 0 ? b.x0 + 0.1 * em : side > 0 ? b.x1 - 0.1 * em : (b.x0 + b.x1) / 2);
        muse_out_put(o, "\" y=\"");
        muse_out_number(o, b.y1 - 0.25 * em);
        muse_out_put(o, "\" font-size=\"");
        muse_out_number(o, letter * unit);
        muse_out_put(o, "\">%s</text>", text);
    }
    muse_out_put(o, "</g>");
    muse_buf_clear(&labels);
    return 0;
}
