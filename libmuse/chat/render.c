/* SPDX-License-Identifier: Apache-2.0 */
/* The list that formats write prompts to, and its three uses: segments, one string, positions of a sequence. What is written
 * where is the formats' business. */
#include <string.h>

#include "base/utf8.h"
#include "libmuse/chat/chat.h"
#include "libmuse/sequence.h"

/* ---- writing ---- */

static void put(MuseRender *r, int kind, const char *text, size_t n, const MusePart *part)
{
    if (r->rc < 0 || (kind == MUSE_SEGMENT_TEXT && n == 0)) return;
    MuseRenderItem *last = r->items.len ? (MuseRenderItem *)(void *)(r->items.data + r->items.len) - 1 : NULL;
    const MuseRenderItem item = { .kind = kind, .generated = r->generated, .message = r->message, .at = r->text.len, .n = n, .part = part };
    if (n > 0 && muse_buf_append(&r->text, text, n) < 0) goto fail;
    if (last && kind == MUSE_SEGMENT_TEXT && last->kind == kind && last->message == item.message && last->generated == item.generated) last->n += n;
    else if (muse_buf_append(&r->items, &item, sizeof item) < 0) goto fail;
    return;
fail:
    muse_render_fail(r, MUSE_ERR_NOMEM, "no memory for the prompt");
}

void muse_render_plain(MuseRender *r, const char *text, size_t n) { put(r, MUSE_SEGMENT_TEXT, text, n, NULL); }
void muse_render_control(MuseRender *r, const char *text, size_t n) { put(r, MUSE_SEGMENT_CONTROL, text, n, NULL); }

void muse_render_media(MuseRender *r, const MusePart *part)
{
    put(r, part->kind == MUSE_PART_IMAGE ? MUSE_SEGMENT_IMAGE : MUSE_SEGMENT_AUDIO, NULL, 0, part);
}

/* bytes of the longest control token that text begins with; 0: none */
static size_t control_at(const MuseChatFormat *f, const char *text)
{
    size_t longest = 0;
    for (size_t i = 0; i < f->n_controls; i++) {
        const size_t n = strlen(f->controls[i].text);
        if (n > longest && strncmp(text, f->controls[i].text, n) == 0) longest = n;
    }
    return longest;
}

void muse_render_fixed(MuseRender *r, const char *text)
{
    const char *from = text;
    while (*text) {
        const size_t n = control_at(r->chat->format, text);
        if (n > 0) {
            muse_render_plain(r, from, (size_t)(text - from));
            muse_render_control(r, text, n);
            from = text + n;
        }
        text += n ? n : 1;
    }
    muse_render_plain(r, from, (size_t)(text - from));
}

int muse_render_fail(MuseRender *r, int code, const char *what)
{
    if (r->rc == 0) r->rc = muse_fail(r->err, code, "message %zu in chat format %s: %s", r->message, r->chat->format->name, what);
    return r->rc;
}

/* bytes of the place token that text begins with; 0: none. A place says where, and controls nothing: anybody may write one */
static size_t place_at(const char *text, size_t n)
{
    size_t k = 2;
    if (n < 4 || text[0] != '<' || (text[1] != 'x' && text[1] != 'y')) return 0;
    while (k < n && k < 5 && text[k] >= '0' && text[k] <= '9') k++;
    return k > 2 && k < n && text[k] == '>' ? k + 1 : 0;
}

static void render_text(MuseRender *r, const char *text, size_t n)
{
    size_t from = 0;
    for (size_t i = 0; r->chat->format->places && i < n;) {
        const size_t k = place_at(text + i, n - i);
        if (k > 0) {
            muse_render_plain(r, text + from, i - from);
            muse_render_control(r, text + i, k);
            from = i + k;
        }
        i += k ? k : 1;
    }
    muse_render_plain(r, text + from, n - from);
}

void muse_render_parts(MuseRender *r, const MuseMessage *m, bool thought)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        const MusePart *part = &m->parts[i];
        if (part->thought != thought) continue;
        if (part->kind == MUSE_PART_TEXT) render_text(r, part->text, part->n);
        else if (part->kind == MUSE_PART_TOKEN) muse_render_control(r, part->text, part->n);
        else muse_render_media(r, part);
    }
}

static bool is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || (cp >= 28 && cp <= 32) || cp == 0x85 || cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a)
        || cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

void muse_trim(const char **text, size_t *n)
{
    const uint8_t *s = (const uint8_t *)*text;
    size_t from = 0, to = *n;
    uint32_t cp;
    for (unsigned k; (k = muse_utf8_char(s + from, to - from, &cp)) > 0 && is_space(cp);) from += k;
    while (to > from) {
        size_t k = 1;   /* back to the start of a character */
        while (k < 4 && k < to - from && (s[to - k] & 0xc0) == 0x80) k++;
        if (muse_utf8_char(s + to - k, k, &cp) != k || !is_space(cp)) break;
        to -= k;
    }
    *text += from;
    *n = to - from;
}

void muse_render_trimmed(MuseRender *r, const MuseMessage *m)
{
    MuseBuf all = { .alloc = &r->chat->rt->alloc };
    for (size_t i = 0; i < m->n_parts; i++)
        if (!m->parts[i].thought && muse_buf_append(&all, m->parts[i].text, m->parts[i].n) < 0) muse_render_fail(r, MUSE_ERR_NOMEM, "no memory for its text");
    if (r->rc == 0 && all.len > 0) {
        const char *text = (const char *)all.data;
        size_t n = all.len;
        muse_trim(&text, &n);
        muse_render_plain(r, text, n);
    }
    muse_buf_clear(&all);
}

int muse_chat_run(const MuseChat *chat, MuseRender *r, MuseError *err)
{
    *r = (MuseRender){ .chat = chat, .text = { .alloc = &chat->rt->alloc }, .items = { .alloc = &chat->rt->alloc }, .err = err };
    if (chat->n_messages == 0) return r->rc = muse_fail(err, MUSE_ERR_STATE, "the chat has no message");
    chat->format->render(r);
    return r->rc;
}

void muse_render_clear(MuseRender *r)
{
    muse_buf_clear(&r->text);
    muse_buf_clear(&r->items);
}

/* ---- segments, string ---- */

static const MuseRenderItem *items_of(const MuseRender *r, size_t *n)
{
    *n = r->items.len / sizeof(MuseRenderItem);
    return (const MuseRenderItem *)(const void *)r->items.data;
}

int muse_chat_render(const MuseChat *chat, MuseChatSegment **segments, size_t *n, MuseError *err)
{
    MUSE_REQUIRE(err, chat && segments && n);
    *segments = NULL;
    *n = 0;
    MuseRender r;
    int rc = muse_chat_run(chat, &r, err);
    size_t count, head, size;
    const MuseRenderItem *items = items_of(&r, &count);
    MuseChatSegment *list = NULL;
    if (rc == 0 && (!muse_mul_size(count, sizeof *list, &head) || !muse_add_size(head, r.text.len + 1, &size) || !(list = muse_alloc(&chat->rt->alloc, size))))
        rc = MUSE_NOMEM(err, r.text.len);
    if (rc == 0) {
        char *text = (char *)(list + count);
        if (r.text.len) memcpy(text, r.text.data, r.text.len);
        for (size_t i = 0; i < count; i++) {
            const MusePart *part = items[i].part;
            list[i] = (MuseChatSegment){ .kind = items[i].kind, .generated = items[i].generated, .message = items[i].message, .n = items[i].n,
                                         .text = part ? NULL : text + items[i].at, .image = part ? part->image : NULL,
                                         .budget = part ? part->budget : 0, .audio = part ? part->audio : NULL };
        }
        *segments = list;
        *n = count;
    }
    muse_render_clear(&r);
    return rc;
}

int muse_chat_prompt(const MuseChat *chat, char **text, size_t *n, MuseError *err)
{
    MUSE_REQUIRE(err, chat && text && n);
    *text = NULL;
    *n = 0;
    MuseRender r;
    MuseBuf out = { .alloc = &chat->rt->alloc };
    int rc = muse_chat_run(chat, &r, err);
    size_t count;
    const MuseRenderItem *items = items_of(&r, &count);
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (items[i].kind == MUSE_SEGMENT_IMAGE) rc = muse_buf_append(&out, "<|image|>", 9);
        else if (items[i].kind == MUSE_SEGMENT_AUDIO) rc = muse_buf_append(&out, "<|audio|>", 9);
        else rc = muse_buf_append(&out, r.text.data + items[i].at, items[i].n);
        if (rc < 0) MUSE_NOMEM(err, items[i].n);
    }
    if (rc == 0 && (rc = muse_buf_append(&out, "", 1)) < 0) MUSE_NOMEM(err, 1);
    muse_render_clear(&r);
    if (rc < 0) {
        muse_buf_clear(&out);
        return rc;
    }
    *text = (char *)out.data;
    *n = out.len - 1;
    return 0;
}

/* ---- positions ---- */

typedef struct Appender {
    const MuseChat *chat;
    MuseSequence *seq;
    MuseBuf text;             /* since the last control token or medium */
    MuseBuf ids;              /* since the last medium */
    MuseError *err;
} Appender;

static int add_ids(Appender *a, const int32_t *ids, size_t n)
{
    return muse_buf_append(&a->ids, ids, n * sizeof *ids) < 0 ? MUSE_NOMEM(a->err, n * sizeof *ids) : 0;
}

static int end_text(Appender *a)
{
    if (a->text.len == 0) return 0;
    int32_t *ids;
    size_t n;
    int rc = muse_text_encode(a->seq->tokenizer, (const char *)a->text.data, a->text.len, 0, &ids, &n, a->err);
    if (rc < 0) return rc;
    rc = add_ids(a, ids, n);
    muse_free(ids);
    a->text.len = 0;
    return rc;
}

static int end_run(Appender *a)
{
    MuseSequence *seq = a->seq;
    int rc;
    if (seq->family.text_begin.text && a->ids.len == 0) {   /* the family begins text itself (Fuyu), in append_text only */
        rc = a->text.len ? muse_sequence_append_text(seq, (const char *)a->text.data, a->text.len, 0, a->err) : 0;
        a->text.len = 0;
        return rc;
    }
    if ((rc = end_text(a)) < 0 || a->ids.len == 0) return rc;
    rc = muse_sequence_append_ids(seq, (const int32_t *)(const void *)a->ids.data, a->ids.len / sizeof(int32_t), a->err);
    if (rc == 0) seq->text_begun = seq->spans[seq->n_spans - 1].from_text = true;   /* the beginning is the format's */
    a->ids.len = 0;
    return rc;
}

static bool is_optional(const MuseChatFormat *f, const char *text, size_t n)
{
    for (size_t i = 0; i < f->n_controls; i++)
        if (strlen(f->controls[i].text) == n && memcmp(f->controls[i].text, text, n) == 0) return f->controls[i].optional;
    return f->places && place_at(text, n) == n;
}

static int add_control(Appender *a, const char *text, size_t n)
{
    int32_t *ids;
    size_t n_ids;
    int rc = muse_text_encode(a->seq->tokenizer, text, n, MUSE_TEXT_ADDED, &ids, &n_ids, a->err);
    if (rc < 0) return rc;
    if (n_ids == 1) {
        rc = a->seq->family.text_begin.text ? end_run(a) : end_text(a);
        if (rc == 0) rc = add_ids(a, ids, 1);
    } else if (!is_optional(a->chat->format, text, n))
        rc = muse_fail(a->err, MUSE_ERR_NOT_FOUND, "the tokenizer has no token %.*s, which chat format %s needs", (int)n, text, a->chat->format->name);
    else if (muse_buf_append(&a->text, text, n) < 0) rc = MUSE_NOMEM(a->err, n);
    muse_free(ids);
    return rc;
}

static int add_item(Appender *a, const MuseRender *r, const MuseRenderItem *item)
{
    const char *text = (const char *)r->text.data + item->at;
    if (item->kind == MUSE_SEGMENT_CONTROL) return add_control(a, text, item->n);
    if (item->kind == MUSE_SEGMENT_TEXT) return muse_buf_append(&a->text, text, item->n) < 0 ? MUSE_NOMEM(a->err, item->n) : 0;
    const int rc = end_run(a);
    if (rc < 0) return rc;
    if (item->kind == MUSE_SEGMENT_AUDIO) return muse_sequence_append_audio(a->seq, item->part->audio, NULL, NULL, a->err);
    MuseImageOptions o;
    muse_image_options_init(&o);
    o.budget = item->part->budget;
    return muse_sequence_append_image(a->seq, item->part->image, &o, a->err);
}

/* the first item behind message from - 1; fails if something of an earlier message stands after it */
static int find_cut(const MuseRender *r, size_t from, size_t *cut, MuseError *err)
{
    size_t n;
    const MuseRenderItem *items = items_of(r, &n);
    for (*cut = 0; *cut < n && items[*cut].message < from;) ++*cut;
    for (size_t i = *cut; i < n; i++)
        if (items[i].message < from)
            return muse_fail(err, MUSE_ERR_STATE, "message %zu reads otherwise now that message %zu is there: append the whole chat to a new sequence",
                             items[i].message, from);
    return 0;
}

int muse_chat_append(const MuseChat *chat, MuseSequence *seq, size_t from_message, MuseError *err)
{
    MUSE_REQUIRE(err, chat && seq && from_message <= chat->n_messages);
    if (!seq->tokenizer) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "a chat needs a tokenizer, and this sequence was opened without one");
    const size_t length = seq->length;
    MuseRender r;
    const MuseAllocator *alloc = &chat->rt->alloc;
    Appender a = { .chat = chat, .seq = seq, .text = { .alloc = alloc }, .ids = { .alloc = alloc }, .err = err };
    size_t cut = 0, n;
    int rc = muse_chat_run(chat, &r, err);
    const MuseRenderItem *items = items_of(&r, &n);
    if (rc == 0) rc = find_cut(&r, from_message, &cut, err);
    for (size_t i = cut; i < n && rc == 0; i++) rc = add_item(&a, &r, &items[i]);
    if (rc == 0) rc = end_run(&a);
    if (rc < 0) {
        muse_sequence_truncate(seq, length, NULL);
    }
    muse_buf_clear(&a.text);
    muse_buf_clear(&a.ids);
    muse_render_clear(&r);
    return rc;
}
