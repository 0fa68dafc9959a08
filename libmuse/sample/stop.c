/* SPDX-License-Identifier: Apache-2.0 */
/* MuseStop: ids and strings that end a text. Each string is matched by its own prefix function (Knuth, Morris and Pratt 1977);
 * the longest prefix that is open anywhere says how much must be held back. Knows no tokens. Called by users and the driver. */
#include <string.h>

#include "base/status.h"
#include "muse/sample.h"
#include "ops/runtime.h"

enum { STRINGS_MAX = 256, STRING_BYTES_MAX = 4096, IDS_MAX = 1 << 16 };

typedef struct Pattern {
    const uint8_t *text;
    uint16_t *fallback;   /* [n] longest proper prefix that ends at byte i */
    uint32_t n, at;       /* at: bytes matched */
} Pattern;

struct MuseStop {
    MuseRuntime *rt;
    int32_t  *ids;
    size_t    n_ids;
    Pattern  *patterns;
    size_t    n_patterns;
    uint8_t  *texts;      /* of all patterns */
    uint16_t *fallbacks;
    MuseBuf   buf;        /* [0, given) was handed out and is dropped at the next call; then what is held back */
    size_t    given;
    bool      stopped;
};

static void prepare(Pattern *p)
{
    p->fallback[0] = 0;
    for (uint32_t i = 1, k = 0; i < p->n; i++) {
        while (k && p->text[i] != p->text[k]) k = p->fallback[k - 1];
        k += p->text[i] == p->text[k];
        p->fallback[i] = (uint16_t)k;
    }
}

static int copy_strings(MuseStop *s, const char *const *strings, const size_t *sizes, size_t n, MuseError *err)
{
    const MuseAllocator *a = &s->rt->alloc;
    size_t total = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        MUSE_REQUIRE(err, strings[i] && sizes[i]);
        if (sizes[i] > STRING_BYTES_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "stop string %zu has %zu bytes, at most %d", i, sizes[i], STRING_BYTES_MAX);
        total += sizes[i];
    }
    if (!n) return 0;
    s->patterns = muse_zalloc_array(a, n, sizeof *s->patterns);
    s->texts = muse_alloc(a, total);
    s->fallbacks = muse_alloc_array(a, total, sizeof *s->fallbacks);
    if (!s->patterns || !s->texts || !s->fallbacks) return MUSE_NOMEM(err, total);
    for (size_t i = 0; i < n; i++) {
        memcpy(s->texts + at, strings[i], sizes[i]);
        s->patterns[i] = (Pattern){ s->texts + at, s->fallbacks + at, (uint32_t)sizes[i], 0 };
        prepare(&s->patterns[i]);
        at += sizes[i];
    }
    s->n_patterns = n;
    return 0;
}

static int fill(MuseStop *s, const int32_t *ids, size_t n_ids, const char *const *strings, const size_t *sizes, size_t n_strings, MuseError *err)
{
    if (n_ids > IDS_MAX || n_strings > STRINGS_MAX)
        return muse_fail(err, MUSE_ERR_LIMIT, "%zu stop ids (at most %d) and %zu stop strings (at most %d)", n_ids, IDS_MAX, n_strings, STRINGS_MAX);
    s->buf.alloc = &s->rt->alloc;
    if (muse_buf_reserve(&s->buf, 256) < 0) return MUSE_NOMEM(err, 256);
    if (n_ids) {
        s->ids = muse_alloc_array(&s->rt->alloc, n_ids, sizeof *ids);
        if (!s->ids) return MUSE_NOMEM(err, n_ids * sizeof *ids);
        memcpy(s->ids, ids, n_ids * sizeof *ids);
        s->n_ids = n_ids;
    }
    return copy_strings(s, strings, sizes, n_strings, err);
}

int muse_stop_open(MuseStop **out, MuseRuntime *rt, const int32_t *ids, size_t n_ids, const char *const *strings, const size_t *sizes,
                   size_t n_strings, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, (ids || !n_ids) && ((strings && sizes) || !n_strings));
    rt = muse_runtime_ref(rt);
    if (!rt) return MUSE_NOMEM(err, sizeof *rt);
    MuseStop *s = muse_zalloc(&rt->alloc, sizeof *s);
    if (!s) {
        muse_runtime_close(&rt);
        return MUSE_NOMEM(err, sizeof *s);
    }
    s->rt = rt;
    int rc = fill(s, ids, n_ids, strings, sizes, n_strings, err);
    if (rc < 0) muse_stop_close(&s);
    *out = s;
    return rc;
}

void muse_stop_close(MuseStop **stop)
{
    if (!stop || !*stop) return;
    MuseStop *s = *stop;
    MuseRuntime *rt = s->rt;
    muse_free(s->ids);
    muse_free(s->patterns);
    muse_free(s->texts);
    muse_free(s->fallbacks);
    muse_buf_clear(&s->buf);
    muse_free(s);
    muse_runtime_close(&rt);
    *stop = NULL;
}

int muse_stop_is_id(const MuseStop *stop, int32_t id)
{
    for (size_t i = 0; stop && i < stop->n_ids; i++)
        if (stop->ids[i] == id) return 1;
    return 0;
}

/* one byte to every pattern: the index of the longest that ends with it, else n_patterns; *open is the longest prefix left open */
static size_t match(MuseStop *s, uint8_t byte, size_t *open)
{
    size_t hit = s->n_patterns;
    *open = 0;
    for (size_t i = 0; i < s->n_patterns; i++) {
        Pattern *p = &s->patterns[i];
        while (p->at && p->text[p->at] != byte) p->at = p->fallback[p->at - 1];
        p->at += p->text[p->at] == byte;
        if (p->at == p->n && (hit == s->n_patterns || p->n > s->patterns[hit].n)) hit = i;
        *open = p->at > *open ? p->at : *open;
    }
    return hit;
}

static void hand_out(MuseStop *s, size_t n, const char **text, size_t *n_text)
{
    s->given = n;
    *text = (const char *)s->buf.data;
    *n_text = n;
}

static void drop_given(MuseStop *s)
{
    s->buf.len -= s->given;
    memmove(s->buf.data, s->buf.data + s->given, s->buf.len);
    s->given = 0;
}

int muse_stop_push(MuseStop *stop, const char *bytes, size_t n, const char **text, size_t *n_text, MuseStopHit *hit, MuseError *err)
{
    MUSE_REQUIRE(err, stop && (bytes || !n) && text && n_text);
    size_t open = 0;
    if (stop->stopped) return muse_fail(err, MUSE_ERR_STATE, "the text has met a stop string; reset before giving more");
    if (muse_buf_reserve(&stop->buf, n) < 0) return MUSE_NOMEM(err, n);
    drop_given(stop);
    open = stop->buf.len;   /* what is held is what was open */
    for (size_t i = 0; i < n; i++) {
        stop->buf.data[stop->buf.len++] = (uint8_t)bytes[i];
        const size_t found = match(stop, (uint8_t)bytes[i], &open);
        if (found == stop->n_patterns) continue;
        stop->stopped = true;
        if (hit) *hit = (MuseStopHit){ found, i + 1 };
        hand_out(stop, stop->buf.len - stop->patterns[found].n, text, n_text);
        return MUSE_DONE;
    }
    hand_out(stop, stop->buf.len - open, text, n_text);
    return 0;
}

void muse_stop_reset(MuseStop *stop)
{
    if (!stop) return;
    for (size_t i = 0; i < stop->n_patterns; i++) stop->patterns[i].at = 0;
    stop->buf.len = stop->given = 0;
    stop->stopped = false;
}

int muse_stop_flush(MuseStop *stop, const char **text, size_t *n_text, MuseError *err)
{
    MUSE_REQUIRE(err, stop && text && n_text);
    const bool stopped = stop->stopped;
    drop_given(stop);
    const size_t left = stopped ? 0 : stop->buf.len;   /* behind a stop string nothing is left: it was held back itself */
    muse_stop_reset(stop);
    stop->buf.len = left;
    hand_out(stop, left, text, n_text);
    return 0;
}
