/* SPDX-License-Identifier: Apache-2.0 */
/* MuseRecord from the inside: the words and places of one agent that are on their way into a trace, and the ways in. Users: record.c, record_steps.c, record_name.c, record_spell.c. */
#ifndef LIBMUSE_REASON_RECORD_STEPS_H
#define LIBMUSE_REASON_RECORD_STEPS_H

#include "libmuse/reason/record.h"

enum { SKIP_BYTES = 16, NO_STEP = -1 };

/* A point between two tokens: sums over everything before it */
typedef struct MuseCut {
    uint64_t position, n;
    double   logprob, time;
} MuseCut;

/* A step that may still get words */
typedef struct MuseWaiting {
    int       kind;        /* MUSE_STEP_*; NO_STEP */
    bool      turned;      /* the place stands behind <image k> */
    MuseTraceMark marks[2];
    uint32_t  n_marks;
    uint32_t  parent, view;/* view: picture of the sequence to which attention is read at the end; 0 */
    MuseCut   from;
} MuseWaiting;

struct MuseRecord {
    MuseTrace  *trace;
    MuseCut     at, last;          /* behind the newest token, and before it */
    MuseCut     from;              /* what stands behind it is in no step yet */
    MuseCut     spoken;            /* behind the newest words */
    MuseBuf     words;             /* written since then: text without places and control tokens */
    bool        behind;            /* words began right behind a place of a thought */
    bool        ends;              /* the end of a clause is among them */
    size_t      end_at[2];         /* bytes of words up to and with the first and the last one */
    MuseCut     end_cut[2];
    char        skip[SKIP_BYTES];  /* the text of the newest place: no words */
    MuseWaiting waits;
    MuseBuf     before;            /* words that stood before the waiting place, spelled: names are compared with those of the trace */
    uint32_t    group;             /* step of the comparison or check that is open */
    uint32_t    turn;              /* <image k> was written last; 0 */
    uint32_t    live;              /* step whose words go into the trace as they come; 0 */
    uint32_t    thread;            /* object of places without a name behind <image k>; 0: none yet */
    MuseTraceMark views[2];        /* looks right before, newest last */
    uint32_t    n_views;
    MuseBuf     answer_marks;      /* MuseTraceMark: places in the answer */
    uint32_t    answer_step;
    float      *values;            /* a heat map: room for n_values */
    size_t      n_values;
    MuseTraceHeat heat;            /* of the waiting place; image 0: none */
    bool        watches, ended;
};

typedef struct MuseRecord Record;

double muse_record_seconds(const MuseAgent *a);      /* since the run began */

/* ---- attention, with MuseAgentParams.heat ---- */
int  muse_record_watch(MuseAgent *a, MuseError *err);             /* the pictures that are there now */
bool muse_record_see(MuseAgent *a, uint32_t number);              /* where the model looked since the last time, in this picture of the sequence: r->heat. false: nobody knows */
void muse_record_see_anew(MuseAgent *a);

/* ---- steps ---- */
void muse_record_trim(const char **text, size_t *n);              /* spaces and semicolons at both ends */
MuseTraceStep muse_record_step_of(const MuseAgent *a, int kind);  /* in the group that is open */
/* text: spelled here if it is not yet */
int  muse_record_add(MuseAgent *a, MuseTraceStep *s, const char *text, size_t n, const MuseCut *from, const MuseCut *to, uint32_t *number, MuseError *err);
int  muse_record_words(MuseAgent *a, const char *text, size_t n, const MuseCut *from, const MuseCut *to, MuseError *err);   /* that belong to no place */
/* Text with its place tokens as pixels, appended. marks: those of its whole places, in order (if it has more or fewer, no mark is used); an x or a y alone is a number, x 12/64. Of a format without places, or spelled
 * already: as it is. 0; MUSE_ERR_NOMEM */
int  muse_record_spell(const MuseAgent *a, const char *text, size_t n, const MuseTraceMark *marks, uint32_t n_marks, MuseBuf *out);
int  muse_record_note(MuseAgent *a, int kind, const char *what, const char *text, MuseError *err);
int  muse_record_stream(MuseAgent *a, const char *text, size_t n, MuseError *err);   /* a thought in a format without places: one step that grows as it is written */
int  muse_record_end_stream(MuseAgent *a, const MuseCut *to, MuseError *err);

/* Boxes of an answer in JSON: a step each, and marks of the answer. What is written wrongly is a step without a mark. Nothing with place tokens */
int  muse_record_boxes(MuseAgent *a, const char *answer, size_t n, MuseError *err);

/* ---- names: record_name.c ---- */
bool muse_record_has_name(const char *text, size_t n);            /* more than a number */
bool muse_record_names(const char *text, size_t n);               /* more than numbers of the model's own at the beginning */
bool muse_record_only_numbers(const char *text, size_t n, bool digits);   /* of the model's own, and nothing else; digits: or in digits, with what is done with them */
size_t muse_record_name_end(const char *text, size_t n);          /* bytes of a name without the count at its end: of "red star 2" 8, of "A>1" 1; all of "digit 8" and "K7" */
void muse_record_strip_counts(const char **text, size_t *n);      /* at both ends, also those that a step has in brackets */

/* ---- objects and tracks ---- */
MuseTraceMark muse_record_mark(const Record *r, uint32_t image, MuseRect rect);      /* in the trace's picture; what rounding puts beyond the edge is put on it */
/* The number of what has this name, counts aside, at this place; a new one if nothing has. Other agents may be up to two places of 64 a side off. So things of one name at several places are several things */
uint32_t muse_record_thing(const MuseAgent *a, const char *name, size_t n, const MuseTraceMark *at);
uint32_t muse_record_new_object(const MuseTrace *t);
uint32_t muse_record_object(const MuseTrace *t, const char *name, size_t n);         /* the number of what has this name, spelled; a new one for a new name */
/* text is spelled. The place is one more of an object that was named in another picture: it goes into the track. *joined: it did */
int  muse_record_join_track(MuseAgent *a, MuseTraceStep *s, const char *text, size_t n, const MuseCut *from, const MuseCut *to, bool *joined, MuseError *err);
int  muse_record_end_tracks(MuseAgent *a, MuseError *err);        /* they get no more places */

#endif
