/* SPDX-License-Identifier: Apache-2.0 */
/* Training a byte-level BPE vocabulary (Sennrich et al. 2016, section 3.2). Distinct pre-tokens are counted once; every pair
 * keeps its count and the words it is in, so a merge touches only those; the most frequent pair comes from a heap whose
 * entries are corrected when they surface. The result is written by train_json.c. */
#include <stdlib.h>

#include "base/params.h"
#include "tokenizers/text/train.h"

enum { VOCAB_MAX = 1 << 20, MIN_COUNT_DEFAULT = 2, PROGRESS_EVERY = 64 };
static const uint64_t text_max = UINT64_C(1) << 32;

void muse_text_train_params_init(MuseTextTrainParams *params)
{
    if (params) *params = (MuseTextTrainParams){ .struct_size = sizeof *params };
}

/* ---- distinct words with counts ---- */

static int words_grow(Trainer *t)
{
    const size_t n_slots = t->n_word_slots ? t->n_word_slots * 2 : 1 << 14;
    uint32_t *slots = muse_alloc_array(t->alloc, n_slots, sizeof *slots);
    if (!slots) return MUSE_NOMEM(t->err, n_slots * sizeof *slots);
    memset(slots, 0xff, n_slots * sizeof *slots);
    for (size_t i = 0; i < t->n_words; i++) {
        size_t at = t->words[i].hash & (n_slots - 1);
        while (slots[at] != UINT32_MAX) at = (at + 1) & (n_slots - 1);
        slots[at] = (uint32_t)i;
    }
    muse_free(t->word_slots);
    t->word_slots = slots;
    t->n_word_slots = n_slots;
    return 0;
}

/* words of one symbol have no pairs, but are counted all the same: it costs nothing */
static int count_word(void *user, const uint8_t *s, size_t n)
{
    Trainer *t = user;
    if (n > UINT32_MAX) return muse_fail(t->err, MUSE_ERR_LIMIT, "a word of %zu bytes", n);
    if (t->n_words * 2 >= t->n_word_slots) {
        int rc = words_grow(t);
        if (rc < 0) return rc;
    }
    const uint64_t h = muse_hash_bytes(s, n);
    size_t at = h & (t->n_word_slots - 1);
    for (; t->word_slots[at] != UINT32_MAX; at = (at + 1) & (t->n_word_slots - 1)) {
        Word *w = &t->words[t->word_slots[at]];
        if (w->hash != h || w->len != n || memcmp(w->text, s, n) != 0) continue;
        w->count++;
        return 0;
    }
    if (t->n_words == t->cap_words) {
        const size_t cap = t->cap_words + t->cap_words / 2 + 4096;
        Word *words = cap < UINT32_MAX ? muse_realloc_array(t->alloc, t->words, cap, sizeof *words) : NULL;
        if (!words) return MUSE_NOMEM(t->err, cap * sizeof *words);
        t->words = words;
        t->cap_words = cap;
    }
    t->word_slots[at] = (uint32_t)t->n_words;
    t->words[t->n_words++] = (Word){ .text = s, .hash = h, .len = (uint32_t)n, .count = 1 };
    return 0;
}

/* bytes that are not UTF-8 belong to no word: they are encoded one by one, too */
static int count_text(Trainer *t, MuseMatcher *m, MuseBuf *bufs, const uint8_t *s, size_t n)
{
    MusePretokRun run = { m, bufs, true, false, count_word, t };
    for (size_t i = 0; i < n;) {
        const size_t valid = muse_utf8_valid(s + i, n - i);
        int rc = muse_pretok_run(&t->pretok, &run, s + i, valid);
        if (rc == MUSE_ERR_LIMIT && t->err && !t->err->code) rc = muse_fail(t->err, rc, "the pattern takes too many steps");
        if (rc < 0) return rc;
        i += valid + (i + valid < n);
    }
    return 0;
}

static int count_texts(Trainer *t, const char *const *texts, const size_t *sizes, size_t n)
{
    MuseMatcher m;
    MuseBuf bufs[MUSE_PRETOK_STEPS_MAX];
    int rc = muse_matcher_open(&m, t->err);
    if (rc < 0) return rc;
    for (unsigned i = 0; i < MUSE_PRETOK_STEPS_MAX; i++) bufs[i] = (MuseBuf){ .alloc = t->alloc };
    for (size_t i = 0; i < n && rc == 0; i++) {
        muse_matcher_limit(&m, sizes[i]);
        rc = count_text(t, &m, bufs, (const uint8_t *)texts[i], sizes[i]);
    }
    for (unsigned i = 0; i < MUSE_PRETOK_STEPS_MAX; i++) muse_buf_clear(&bufs[i]);
    muse_matcher_close(&m);
    return rc;
}

/* ---- pairs ---- */

static size_t pair_slot(const Trainer *t, uint32_t left, uint32_t right)
{
    size_t at = muse_mix((uint64_t)left << 32 | right) & (t->n_pair_slots - 1);
    while (t->pair_slots[at] != UINT32_MAX) {
        const Pair *p = &t->pairs[t->pair_slots[at]];
        if (p->left == left && p->right == right) break;
        at = (at + 1) & (t->n_pair_slots - 1);
    }
    return at;
}

static int pairs_grow(Trainer *t)
{
    const size_t n_slots = t->n_pair_slots ? t->n_pair_slots * 2 : 1 << 14;
    uint32_t *slots = muse_alloc_array(t->alloc, n_slots, sizeof *slots);
    Pair *pairs = muse_realloc_array(t->alloc, t->pairs, n_slots / 2, sizeof *pairs);
    if (pairs) t->pairs = pairs;
    if (!slots || !pairs) {
        muse_free(slots);
        return MUSE_NOMEM(t->err, n_slots * sizeof *pairs);
    }
    memset(slots, 0xff, n_slots * sizeof *slots);
    muse_free(t->pair_slots);
    t->pair_slots = slots;
    t->n_pair_slots = n_slots;
    for (size_t i = 0; i < t->n_pairs; i++) t->pair_slots[pair_slot(t, pairs[i].left, pairs[i].right)] = (uint32_t)i;
    return 0;
}

/* the pair's entry, made if needed; NULL: no memory */
static Pair *pair_of(Trainer *t, uint32_t left, uint32_t right)
{
    if (t->n_pairs * 2 >= t->n_pair_slots && pairs_grow(t) < 0) return NULL;
    const size_t at = pair_slot(t, left, right);
    if (t->pair_slots[at] == UINT32_MAX) {
        t->pair_slots[at] = (uint32_t)t->n_pairs;
        t->pairs[t->n_pairs++] = (Pair){ .left = left, .right = right };
    }
    return &t->pairs[t->pair_slots[at]];
}

/* `count` more occurrences of a pair in a word */
static int pair_add(Trainer *t, uint32_t left, uint32_t right, uint32_t word, uint64_t count)
{
    Pair *p = pair_of(t, left, right);
    if (!p) return MUSE_NOMEM(t->err, 0);
    p->count += count;
    if (!p->touched) {
        p->touched = true;
        const uint32_t index = (uint32_t)(p - t->pairs);
        if (muse_buf_append(&t->touched, &index, sizeof index) < 0) return MUSE_NOMEM(t->err, sizeof index);
    }
    if (p->n_words && p->words[p->n_words - 1] == word) return 0;
    if (p->n_words == p->cap_words) {
        const uint32_t cap = p->cap_words ? p->cap_words * 2 : 4;
        uint32_t *words = muse_realloc_array(t->alloc, p->words, cap, sizeof *words);
        if (!words) return MUSE_NOMEM(t->err, cap * sizeof *words);
        p->words = words;
        p->cap_words = cap;
    }
    p->words[p->n_words++] = word;
    return 0;
}

static void pair_take(Trainer *t, uint32_t left, uint32_t right, uint64_t count)
{
    const uint32_t index = t->pair_slots[pair_slot(t, left, right)];
    if (index != UINT32_MAX) t->pairs[index].count -= count;
}

/* ---- the heap: more occurrences first, then smaller ids ---- */

static bool goes_before(const Trainer *t, const HeapItem *a, const HeapItem *b)
{
    if (a->count != b->count) return a->count > b->count;
    const Pair *p = &t->pairs[a->pair], *q = &t->pairs[b->pair];
    return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static int heap_push(Trainer *t, HeapItem item)
{
    if (t->n_heap == t->cap_heap) {
        const size_t cap = t->cap_heap + t->cap_heap / 2 + 1024;
        HeapItem *heap = muse_realloc_array(t->alloc, t->heap, cap, sizeof *heap);
        if (!heap) return MUSE_NOMEM(t->err, cap * sizeof *heap);
        t->heap = heap;
        t->cap_heap = cap;
    }
    size_t at = t->n_heap++;
    while (at > 0 && goes_before(t, &item, &t->heap[(at - 1) / 2])) {
        t->heap[at] = t->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    t->heap[at] = item;
    return 0;
}

static HeapItem heap_pop(Trainer *t)
{
    const HeapItem top = t->heap[0], last = t->heap[--t->n_heap];
    size_t at = 0;
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= t->n_heap) break;
        if (child + 1 < t->n_heap && goes_before(t, &t->heap[child + 1], &t->heap[child])) child++;
        if (!goes_before(t, &t->heap[child], &last)) break;
        t->heap[at] = t->heap[child];
        at = child;
    }
    t->heap[at] = last;
    return top;
}

/* queue what gained occurrences since the last call */
static int queue_touched(Trainer *t)
{
    const uint32_t *touched = (const uint32_t *)(const void *)t->touched.data;
    int rc = 0;
    for (size_t i = 0; i < t->touched.len / sizeof *touched; i++) {
        Pair *p = &t->pairs[touched[i]];
        p->touched = false;
        if (p->count >= t->min_count && rc == 0) rc = heap_push(t, (HeapItem){ p->count, touched[i] });
    }
    t->touched.len = 0;
    return rc;
}

/* ---- symbols: ids and their texts ---- */

static int32_t symbol_find(const Trainer *t, const uint8_t *s, size_t n, size_t *slot)
{
    size_t at = muse_hash_bytes(s, n) & (t->n_symbol_slots - 1);
    for (; t->symbol_slots[at] != UINT32_MAX; at = (at + 1) & (t->n_symbol_slots - 1)) {
        const Symbol *y = &t->symbols[t->symbol_slots[at]];
        if (y->len == n && memcmp(t->pool.data + y->at, s, n) == 0) break;
    }
    *slot = at;
    return (int32_t)t->symbol_slots[at];
}

/* s lies outside the pool, which may move */
static int symbol_add(Trainer *t, const uint8_t *s, size_t n, uint32_t *id)
{
    size_t slot;
    const int32_t found = symbol_find(t, s, n, &slot);
    if (found >= 0) {
        *id = (uint32_t)found;
        return 0;
    }
    Symbol *y = &t->symbols[t->n_symbols];
    *y = (Symbol){ (uint32_t)t->pool.len, (uint32_t)n };
    if (t->pool.len + n > UINT32_MAX || muse_buf_append(&t->pool, s, n) < 0) return MUSE_NOMEM(t->err, n);
    t->symbol_slots[slot] = *id = t->n_symbols++;
    return 0;
}

/* the symbol that a pair becomes; an equal text has one id, however it was put together */
static int join(Trainer *t, uint32_t left, uint32_t right, uint32_t *id)
{
    const Symbol a = t->symbols[left], b = t->symbols[right];
    uint8_t *text = muse_alloc(t->alloc, (size_t)a.len + b.len);
    if (!text) return MUSE_NOMEM(t->err, a.len + b.len);
    memcpy(text, t->pool.data + a.at, a.len);
    memcpy(text + a.len, t->pool.data + b.at, b.len);
    int rc = symbol_add(t, text, (size_t)a.len + b.len, id);
    muse_free(text);
    return rc;
}

/* The bytes that an added token's text would stand for in the byte alphabet take its id, so that a pair which would get the
 * same text is seen (merge_pair): one text, one id. Most texts have none. */
static int reserve_text(Trainer *t, uint32_t id, const char *text)
{
    const size_t n = strlen(text), begin = t->pool.len;
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        i += muse_utf8_char((const uint8_t *)text + i, n - i, &cp);
        const int byte = muse_byte_of_alphabet(cp);
        const uint8_t b = (uint8_t)byte;
        if (byte < 0) {
            t->pool.len = begin;
            return 0;
        }
        if (muse_buf_append(&t->pool, &b, 1) < 0) return MUSE_NOMEM(t->err, n);
    }
    size_t slot;
    symbol_find(t, t->pool.data + begin, t->pool.len - begin, &slot);
    t->symbols[id] = (Symbol){ (uint32_t)begin, (uint32_t)(t->pool.len - begin) };
    t->symbol_slots[slot] = id;
    return 0;
}

/* ---- merging ---- */

static int first_pairs(Trainer *t)
{
    size_t total = 0;
    for (size_t i = 0; i < t->n_words; i++) total += t->words[i].len;
    t->ids = muse_alloc_array(t->alloc, total ? total : 1, sizeof *t->ids);
    if (!t->ids) return MUSE_NOMEM(t->err, total * sizeof *t->ids);
    size_t at = 0;
    for (size_t i = 0; i < t->n_words; i++) {
        Word *w = &t->words[i];
        w->at = at;
        for (uint32_t k = 0; k < w->len; k++) t->ids[at++] = t->byte_id[w->text[k]];
        for (uint32_t k = 1; k < w->len; k++) {
            int rc = pair_add(t, t->ids[w->at + k - 1], t->ids[w->at + k], (uint32_t)i, w->count);
            if (rc < 0) return rc;
        }
    }
    return queue_touched(t);
}

/* replace (left, right) by id in a word, from left to right */
static int merge_word(Trainer *t, uint32_t index, uint32_t left, uint32_t right, uint32_t id)
{
    Word *w = &t->words[index];
    uint32_t *s = t->ids + w->at;
    uint32_t to = 0;
    int rc = 0;
    for (uint32_t i = 0; i < w->len && rc == 0; to++) {
        if (i + 1 == w->len || s[i] != left || s[i + 1] != right) {
            s[to] = s[i++];
            continue;
        }
        if (to > 0) {
            pair_take(t, s[to - 1], left, w->count);
            rc = pair_add(t, s[to - 1], id, index, w->count);
        }
        if (i + 2 < w->len && rc == 0) {
            pair_take(t, right, s[i + 2], w->count);
            rc = pair_add(t, id, s[i + 2], index, w->count);
        }
        s[to] = id;
        i += 2;
    }
    if (rc == 0) w->len = to;
    return rc;
}

static int merge_pair(Trainer *t, uint32_t pair)
{
    const uint32_t left = t->pairs[pair].left, right = t->pairs[pair].right;
    uint32_t id;
    int rc = join(t, left, right, &id);
    if (rc < 0 || id < t->params.n_added) return rc;   /* the text of an added token: not to be merged */
    /* the list may move or grow while words change, so it is taken off the pair */
    uint32_t *words = t->pairs[pair].words;
    const uint32_t n = t->pairs[pair].n_words;
    t->pairs[pair].words = NULL;
    t->pairs[pair].n_words = t->pairs[pair].cap_words = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) rc = merge_word(t, words[i], left, right, id);
    muse_free(words);
    t->pairs[pair].count = 0;
    if (rc == 0) rc = queue_touched(t);
    const uint32_t both[2] = { left, right };
    if (rc == 0 && muse_buf_append(&t->merges, both, sizeof both) < 0) rc = MUSE_NOMEM(t->err, sizeof both);
    return rc;
}

static int merge_all(Trainer *t)
{
    const uint32_t begin = t->n_symbols, wanted = t->params.vocab_size - begin;
    uint32_t done = 0;
    while (t->n_symbols < t->params.vocab_size && t->n_heap) {
        const HeapItem top = heap_pop(t);
        const Pair *p = &t->pairs[top.pair];
        if (p->count != top.count) {   /* it has lost occurrences since, or is queued again */
            if (p->count < top.count && p->count >= t->min_count) {
                int rc = heap_push(t, (HeapItem){ p->count, top.pair });
                if (rc < 0) return rc;
            }
            continue;
        }
        int rc = merge_pair(t, top.pair);
        if (rc < 0) return rc;
        if (t->params.progress && ++done % PROGRESS_EVERY == 0 && t->params.progress(t->params.progress_user, t->n_symbols - begin, wanted))
            return muse_fail(t->err, MUSE_ERR_CANCELLED, "training was stopped after %u merges", t->n_symbols - begin);
    }
    if (t->params.progress) t->params.progress(t->params.progress_user, t->n_symbols - begin, wanted);
    return 0;
}

/* ---- opening and closing ---- */

static int add_split(Trainer *t, const char *regex)
{
    MusePretokStep *step;
    int rc = muse_pretok_add(&t->pretok, MUSE_PRETOK_SPLIT, &step, t->err);
    return rc < 0 ? rc : muse_pattern_open_regex(&step->pattern, t->alloc, regex, strlen(regex), t->err);
}

static int open_pattern(Trainer *t)
{
    const char *name = t->params.pattern ? t->params.pattern : "llama3";
    if (strcmp(name, "gpt2") != 0 && strcmp(name, "llama3") != 0 && strcmp(name, "qwen2") != 0 && strcmp(name, "smollm") != 0)
        return muse_fail(t->err, MUSE_ERR_ARG, "pattern \"%s\" is none of gpt2, llama3, qwen2, smollm", name);
    t->digits = strcmp(name, "smollm") == 0;
    t->pattern = muse_pattern_text(t->digits ? "gpt2" : name);
    int rc = t->digits ? add_split(t, "\\p{N}") : 0;
    return rc == 0 ? add_split(t, t->pattern) : rc;
}

static int open_symbols(Trainer *t)
{
    const uint32_t n = t->params.vocab_size;
    t->n_symbol_slots = 1024;
    while (t->n_symbol_slots < (size_t)n * 2) t->n_symbol_slots *= 2;
    t->symbols = muse_zalloc_array(t->alloc, n, sizeof *t->symbols);
    t->symbol_slots = muse_alloc_array(t->alloc, t->n_symbol_slots, sizeof *t->symbol_slots);
    if (!t->symbols || !t->symbol_slots) return MUSE_NOMEM(t->err, n * sizeof *t->symbols);
    memset(t->symbol_slots, 0xff, t->n_symbol_slots * sizeof *t->symbol_slots);
    int rc = 0;
    for (; t->n_symbols < t->params.n_added && rc == 0; t->n_symbols++) rc = reserve_text(t, t->n_symbols, t->params.added[t->n_symbols]);
    for (unsigned b = 0; b < 256 && rc == 0; b++) {
        const uint8_t byte = (uint8_t)b;
        rc = symbol_add(t, &byte, 1, &t->byte_id[b]);
    }
    return rc;
}

static int check_params(Trainer *t)
{
    const MuseTextTrainParams *p = &t->params;
    if (p->vocab_size > VOCAB_MAX) return muse_fail(t->err, MUSE_ERR_LIMIT, "vocab_size %u, limit %d", p->vocab_size, VOCAB_MAX);
    if (p->n_added > VOCAB_MAX || (p->n_added && !p->added)) return muse_fail(t->err, MUSE_ERR_ARG, "%zu added tokens", p->n_added);
    if (p->vocab_size < p->n_added + 256) return muse_fail(t->err, MUSE_ERR_ARG, "vocab_size %u is less than %zu added tokens and 256 bytes", p->vocab_size, p->n_added);
    for (size_t i = 0; i < p->n_added; i++) {
        const size_t n = p->added[i] ? strlen(p->added[i]) : 0;
        if (n == 0 || n > MUSE_MATCH_BYTES_MAX || muse_utf8_valid((const uint8_t *)p->added[i], n) != n)
            return muse_fail(t->err, MUSE_ERR_ARG, "added token %zu is not 1 to %d bytes of UTF-8", i, MUSE_MATCH_BYTES_MAX);
        uint32_t cp;
        const unsigned first = muse_utf8_char((const uint8_t *)p->added[i], n, &cp);
        if (first == n && muse_byte_of_alphabet(cp) >= 0) return muse_fail(t->err, MUSE_ERR_ARG, "added token %zu is written like a byte", i);
        for (size_t k = 0; k < i; k++)
            if (strcmp(p->added[k], p->added[i]) == 0) return muse_fail(t->err, MUSE_ERR_ARG, "added tokens %zu and %zu are equal", k, i);
    }
    t->min_count = p->min_count ? p->min_count : MIN_COUNT_DEFAULT;
    return 0;
}

static void trainer_close(Trainer *t)
{
    muse_pretok_close(&t->pretok);
    for (size_t i = 0; i < t->n_pairs; i++) muse_free(t->pairs[i].words);
    muse_free(t->words);
    muse_free(t->word_slots);
    muse_free(t->ids);
    muse_free(t->pairs);
    muse_free(t->pair_slots);
    muse_free(t->heap);
    muse_free(t->symbols);
    muse_free(t->symbol_slots);
    muse_buf_clear(&t->touched);
    muse_buf_clear(&t->pool);
    muse_buf_clear(&t->merges);
    *t = (Trainer){ 0 };
}

int muse_text_train_bpe(MuseRuntime *rt, const char *const *texts, const size_t *sizes, size_t n_texts,
                        const MuseTextTrainParams *params, char **json, size_t *n_json, MuseError *err)
{
    MuseError own;   /* count_word's caller must tell which errors have words already */
    MUSE_REQUIRE(err, json && n_json);
    *json = NULL;
    *n_json = 0;
    MUSE_REQUIRE(err, params && (n_texts == 0 || (texts && sizes)));
    MuseRuntime *held = muse_runtime_ref(rt);
    if (!held) return MUSE_NOMEM(err, sizeof(Trainer));
    uint64_t total = 0;
    Trainer t = { .alloc = &held->alloc, .err = err ? err : &own };
    *t.err = (MuseError){ 0 };
    t.touched.alloc = t.pool.alloc = t.merges.alloc = t.alloc;
    int rc = MUSE_PARAMS_IMPORT(&t.params, params, "MuseTextTrainParams", t.err);
    for (size_t i = 0; i < n_texts && rc == 0; i++) {
        if (!texts[i] && sizes[i]) rc = muse_fail(t.err, MUSE_ERR_ARG, "text %zu is null", i);
        else if (sizes[i] > text_max || (total += sizes[i]) > text_max) rc = muse_fail(t.err, MUSE_ERR_LIMIT, "over 4 GiB of text");
    }
    if (rc == 0) rc = check_params(&t);
    if (rc == 0) rc = open_pattern(&t);
    if (rc == 0) rc = open_symbols(&t);
    if (rc == 0) rc = count_texts(&t, texts, sizes, n_texts);
    if (rc == 0) rc = first_pairs(&t);
    if (rc == 0) rc = merge_all(&t);
    if (rc == 0) rc = muse_train_json(&t, json, n_json);
    trainer_close(&t);
    muse_runtime_close(&held);
    return rc;
}
