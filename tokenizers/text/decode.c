/* SPDX-License-Identifier: Apache-2.0 */
/* Ids to text, whole and as a stream. A token's bytes are a slice of the vocabulary's pool, so decoding is copying; the
 * stream holds back up to three bytes that may still become a character. */
#include "tokenizers/text/textcore.h"
#include "tokenizers/text/classes.h"

/* What both ways share: where in the text we are. */
typedef struct Progress {
    uint32_t strip;   /* spaces still left out; 0 after the first other byte */
} Progress;

static const unsigned DECODE_FLAGS = MUSE_TEXT_SKIP_SPECIAL | MUSE_TEXT_CONTINUE;

static uint32_t first_strip(const MuseTextTokenizer *tok, unsigned flags) { return flags & MUSE_TEXT_CONTINUE ? 0 : tok->strip; }

static int token(const MuseTextTokenizer *tok, int32_t id, const uint8_t **bytes, size_t *n, MuseError *err)
{
    if (id < 0 || (uint32_t)id >= tok->vocab.n || !(tok->vocab.flags[id] & MUSE_TOKEN_PRESENT))
        return muse_fail(err, MUSE_ERR_NOT_FOUND, "token id %d is not in the vocabulary (0 to %u)", id, tok->vocab.n ? tok->vocab.n - 1 : 0);
    *bytes = muse_vocab_bytes(&tok->vocab, (uint32_t)id, n);
    return 0;
}

static void strip(Progress *p, const uint8_t **bytes, size_t *n)
{
    while (p->strip && *n && **bytes == ' ') {
        ++*bytes;
        --*n;
        p->strip--;
    }
    if (*n) p->strip = 0;
}

static int append(const MuseTextTokenizer *tok, Progress *p, unsigned flags, int32_t id, MuseBuf *out, MuseError *err)
{
    const uint8_t *bytes = NULL;
    size_t n = 0;
    int rc = token(tok, id, &bytes, &n, err);
    if (rc < 0) return rc;
    if ((flags & MUSE_TEXT_SKIP_SPECIAL) && (tok->vocab.flags[id] & MUSE_TOKEN_SPECIAL)) return 0;
    if (p->strip) strip(p, &bytes, &n);
    return n && muse_buf_append(out, bytes, n) < 0 ? MUSE_NOMEM(err, n) : 0;
}

int muse_text_decode(const MuseTextTokenizer *tok, const int32_t *ids, size_t n_ids, unsigned flags, char **text, size_t *n, MuseError *err)
{
    MUSE_REQUIRE(err, text && n);
    *text = NULL;
    *n = 0;
    MUSE_REQUIRE(err, tok && (ids || n_ids == 0) && !(flags & ~DECODE_FLAGS));
    MuseBuf out = { .alloc = &tok->rt->alloc };
    Progress progress = { first_strip(tok, flags) };
    int rc = 0;
    for (size_t i = 0; i < n_ids && rc == 0; i++) rc = append(tok, &progress, flags, ids[i], &out, err);
    if (rc == 0 && muse_buf_append(&out, "", 1) < 0) rc = MUSE_NOMEM(err, 1);
    if (rc < 0) {
        muse_buf_clear(&out);
        return rc;
    }
    *text = (char *)out.data;
    *n = out.len - 1;
    return 0;
}

int muse_text_token_bytes(const MuseTextTokenizer *tok, int32_t id, const char **bytes, size_t *n)
{
    if (!tok || !bytes || !n) return MUSE_ERR_ARG;
    const uint8_t *b = NULL;
    int rc = token(tok, id, &b, n, NULL);
    if (rc < 0) return rc;
    *bytes = (const char *)b;
    return 0;
}

int muse_text_is_special(const MuseTextTokenizer *tok, int32_t id)
{
    return tok && id >= 0 && (uint32_t)id < tok->vocab.n && (tok->vocab.flags[id] & MUSE_TOKEN_SPECIAL) != 0;
}

int32_t muse_text_find(const MuseTextTokenizer *tok, const char *text, size_t n)
{
    if (!tok || (!text && n)) return MUSE_ERR_ARG;
    for (uint32_t i = 0; i < tok->n_added; i++)
        if (tok->added[i].len == n && memcmp(tok->added_text.data + tok->added[i].at, text, n) == 0) return (int32_t)tok->added[i].id;
    const int32_t id = n ? muse_vocab_find_text(&tok->vocab, text, n) : MUSE_NO_ID;
    return id >= 0 ? id : MUSE_ERR_NOT_FOUND;
}

struct MuseTextDecoder {
    const MuseTextTokenizer *tok;
    unsigned flags;
    Progress progress;
    MuseBuf  buf;        /* [0, given) was returned last and is dropped at the next call; then the bytes held back */
    size_t   given;
    uint8_t  held[4];    /* the byte that a terminator lies on, kept beside */
};

int muse_text_decoder_open(MuseTextDecoder **out, const MuseTextTokenizer *tok, unsigned flags, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, tok && !(flags & ~DECODE_FLAGS));
    MuseTextDecoder *dec = muse_zalloc(&tok->rt->alloc, sizeof *dec);
    if (!dec) return MUSE_NOMEM(err, sizeof *dec);
    dec->tok = tok;
    dec->flags = flags;
    dec->progress.strip = first_strip(tok, flags);
    dec->buf.alloc = &tok->rt->alloc;
    if (muse_buf_reserve(&dec->buf, 64) < 0) {   /* so that flush never needs memory */
        muse_text_decoder_close(&dec);
        return MUSE_NOMEM(err, 64);
    }
    *out = dec;
    return 0;
}

void muse_text_decoder_close(MuseTextDecoder **dec)
{
    if (!dec || !*dec) return;
    muse_buf_clear(&(*dec)->buf);
    muse_free(*dec);
    *dec = NULL;
}

/* Hand out all but `hold` bytes at the end. The terminator lies over the first byte held, which `held` remembers. */
static void hand_out(MuseTextDecoder *dec, unsigned hold, const char **text, size_t *n)
{
    dec->given = dec->buf.len - hold;
    memcpy(dec->held, dec->buf.data + dec->given, hold);
    dec->buf.data[dec->given] = 0;
    *text = (const char *)dec->buf.data;
    *n = dec->given;
}

int muse_text_decoder_push(MuseTextDecoder *dec, int32_t id, const char **text, size_t *n, MuseError *err)
{
    MUSE_REQUIRE(err, dec && text && n);
    const uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = token(dec->tok, id, &bytes, &size, err);
    if (rc < 0) return rc;
    const unsigned hold = (unsigned)(dec->buf.len - dec->given);
    /* room first, so that nothing has changed when there is none: old bytes stay until after it */
    if (muse_buf_reserve(&dec->buf, size + 8) < 0) return MUSE_NOMEM(err, size + 8);
    memcpy(dec->buf.data, dec->held, hold);
    dec->buf.len = hold;
    dec->given = 0;
    rc = append(dec->tok, &dec->progress, dec->flags, id, &dec->buf, err);   /* has room */
    hand_out(dec, muse_utf8_open_tail(dec->buf.data, dec->buf.len), text, n);
    return rc;
}

int muse_text_decoder_flush(MuseTextDecoder *dec, const char **text, size_t *n, MuseError *err)
{
    MUSE_REQUIRE(err, dec && text && n);
    const unsigned hold = (unsigned)(dec->buf.len - dec->given);
    memcpy(dec->buf.data, dec->held, hold);
    dec->buf.len = hold;
    hand_out(dec, 0, text, n);
    dec->progress.strip = first_strip(dec->tok, dec->flags);
    return 0;
}
