/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a session: open, fork, rewind, room, information. What it computes: run.c. */
#include "libmuse/session/session.h"

#include <string.h>

#include "base/log.h"
#include "base/params.h"

enum { CHUNK_MAX = 65536 };

void muse_session_params_init(MuseSessionParams *params) { MUSE_PARAMS_INIT(params); }

static void close_decoder(void *decoder)
{
    MuseDecoder *d = decoder;
    muse_decoder_close(&d);
}

/* the model's decoder in this mode, made at the first call */
static int decoder_of(MuseModel *m, uint32_t compute, const MuseDecoder **out, MuseError *err)
{
    int rc = 0;
    pthread_mutex_lock(&m->lock);
    if (!m->decoders[compute]) {
        MuseDecoder *d;
        rc = muse_decoder_open(&d, m, (MuseCompute)compute, err);
        m->decoders[compute] = d;
        m->close_decoder = close_decoder;
    }
    *out = m->decoders[compute];
    pthread_mutex_unlock(&m->lock);
    return rc;
}

static MuseImageMask mask_of(const MuseModel *m, uint32_t image_mask)
{
    static const MuseImageMask masks[] = { MUSE_MASK_CAUSAL, MUSE_MASK_A, MUSE_MASK_B, MUSE_MASK_CAUSAL };
    return image_mask == MUSE_IMAGE_MASK_DEFAULT ? m->config.image_mask : masks[image_mask];
}

static MuseKvType kv_type(uint32_t kv) { return kv == MUSE_KV_F32 ? MUSE_KV_TYPE_F32 : kv == MUSE_KV_BF16 ? MUSE_KV_TYPE_BF16 : MUSE_KV_TYPE_Q8; }

/* rc: what opening the tokenizer gave. None that came with the model is fine, which is not the same as one that can't be read */
static int check_tokenizer(const MuseModel *m, int rc, const MuseError *why, MuseError *err)
{
    if (rc == 0 || rc == MUSE_ERR_NOT_FOUND) return 0;
    if (rc != MUSE_ERR_IO) return muse_fail_copy(err, why);
    char *path = muse_path_beside(&m->rt->alloc, m->path, "tokenizer.json");
    if (!path) return MUSE_NOMEM(err, strlen(m->path));
    const bool lacks = !muse_path_exists(path);
    muse_free(path);
    return lacks ? 0 : muse_fail_copy(err, why);
}

static int open_sequence(MuseSession *s, MuseError *err)
{
    MuseSequenceParams p;
    muse_sequence_params_init(&p);
    p.family = &s->model->family;
    p.max_positions = s->params.max_positions;
    MuseError why = { 0 };   /* err is left alone where the call succeeds */
    const int rc = check_tokenizer(s->model, muse_model_tokenizer(s->model, &p.tokenizer, &why), &why, err);
    if (rc < 0) return rc;
    return muse_sequence_open(&s->seq, s->model->rt, &p, err);
}

static int open_kv(MuseSession *s, MuseError *err)
{
    MuseKvPool *pool = NULL;
    const MuseKvType type = kv_type(s->params.kv);
    int rc;
    if (s->params.cache) {
        s->cache = muse_prefix_cache_ref(s->params.cache);
        rc = muse_prefix_cache_pool(s->cache, s->model, type, &pool, err);
        if (rc == 0) muse_kv_open(&s->kv, pool);
        return rc;
    }
    rc = muse_kv_pool_open(&pool, s->model, type, err);
    if (rc < 0) return rc;
    muse_kv_open(&s->kv, pool);
    muse_kv_pool_close(&pool);
    return 0;
}

/* memory of an empty handle; the model's reference is taken */
static MuseSession *new_session(MuseModel *model, const MuseSessionParams *p)
{
    MuseSession *s = muse_zalloc(&model->rt->alloc, sizeof *s);
    if (!s) return NULL;
    s->model = muse_model_ref(model);
    s->params = *p;
    atomic_init(&s->cancel, 0);
    s->stop = &s->cancel;
    s->logits = muse_alloc_array(&model->rt->alloc, (size_t)model->config.vocab + model->config.width, sizeof *s->logits);
    if (s->logits) s->hidden = s->logits + model->config.vocab;
    else muse_session_close(&s);
    return s;
}

int muse_session_open(MuseSession **out, MuseModel *model, const MuseSessionParams *params, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, model);
    MuseSessionParams p;
    int rc = MUSE_PARAMS_IMPORT(&p, params, "MuseSessionParams", err);
    if (rc < 0) return rc;
    MUSE_REQUIRE(err, p.compute <= MUSE_COMPUTE_INT8 && p.kv <= MUSE_KV_Q8 && p.image_mask <= MUSE_IMAGE_MASK_CAUSAL);
    MUSE_REQUIRE(err, p.chunk <= CHUNK_MAX && p.max_positions <= INT32_MAX);
    if (model->no_weights) return muse_fail(err, MUSE_ERR_STATE, "%s: a configuration without weights", model->path);
    if (!p.chunk) p.chunk = MUSE_CHUNK_POSITIONS;
    if (!p.max_positions) p.max_positions = model->config.context;
    if (!p.kv) p.kv = p.compute == MUSE_COMPUTE_F32 ? MUSE_KV_F32 : MUSE_KV_BF16;
    MuseSession *s = new_session(model, &p);
    if (!s) return MUSE_NOMEM(err, sizeof *s + model->config.vocab * sizeof(float));
    s->mask = mask_of(model, p.image_mask);
    rc = decoder_of(model, p.compute, &s->decoder, err);
    if (rc == 0) rc = open_sequence(s, err);
    if (rc == 0) rc = open_kv(s, err);
    if (rc < 0) muse_session_close(&s);
    *out = s;
    return rc;
}

void muse_session_close(MuseSession **session)
{
    if (!session || !*session) return;
    MuseSession *s = *session;
    *session = NULL;
    muse_session_watch_close(s);
    muse_kv_close(&s->kv);
    muse_prefix_cache_close(&s->cache);
    muse_sequence_close(&s->seq);
    muse_free(s->logits);
    MuseModel *model = s->model;
    muse_free(s);
    muse_model_close(&model);
}

MuseSequence *muse_session_sequence(MuseSession *s) { return s ? s->seq : NULL; }
MuseModel *muse_session_model(const MuseSession *s) { return s ? s->model : NULL; }
const MuseTextTokenizer *muse_session_tokenizer(const MuseSession *s) { return s ? s->seq->tokenizer : NULL; }
const float *muse_session_logits(const MuseSession *s) { return s && s->has_logits && s->kv.length == s->seq->length && s->seq->low >= s->kv.length ? s->logits : NULL; }
const float *muse_session_hidden(const MuseSession *s) { return muse_session_logits(s) && s->has_hidden ? s->hidden : NULL; }

void muse_session_cancel(MuseSession *s)
{
    if (s) atomic_store(&s->cancel, 1);
}

int muse_session_asks_to_stop(void *session) { return atomic_load_explicit(((MuseSession *)session)->stop, memory_order_relaxed); }

/* positions of the sequence that have not changed since the last sync */
static size_t unchanged(const MuseSession *s) { return s->seq->low < s->seq->length ? s->seq->low : s->seq->length; }

void muse_session_sync(MuseSession *s)
{
    const size_t low = unchanged(s);
    s->seq->low = SIZE_MAX;
    if (low >= s->kv.length) return;
    s->has_logits = false;
    if (s->reused > low) s->reused = low;
    if (muse_kv_rewind(&s->kv, low)) return;
    muse_log(&s->model->rt->log, MUSE_LOG_INFO, "rewound to position %zu behind what the windows keep: %zu positions will be computed again", low, low);
    muse_kv_clear(&s->kv);
}

int muse_session_fork(MuseSession **out, const MuseSession *from, MuseError *err)
{
    MUSE_REQUIRE(err, out);
    *out = NULL;
    MUSE_REQUIRE(err, from);
    MuseSession *s = new_session(from->model, &from->params);
    if (!s) return MUSE_NOMEM(err, sizeof *s + from->model->config.vocab * sizeof(float));
    s->decoder = from->decoder;
    s->mask = from->mask;
    s->reused = from->reused;
    s->foreign = from->foreign;
    s->workspace_bytes = from->workspace_bytes;
    if (from->cache) s->cache = muse_prefix_cache_ref(from->cache);
    int rc = muse_sequence_copy(&s->seq, from->seq, err);
    if (rc == 0) rc = muse_kv_fork(&s->kv, &from->kv, err);
    if (rc < 0) {
        muse_session_close(&s);
        return rc;
    }
    s->seq->low = from->seq->low;
    s->has_logits = from->has_logits;
    s->has_hidden = from->has_hidden;
    if (from->has_logits) memcpy(s->logits, from->logits, from->model->config.vocab * sizeof *s->logits);
    if (from->has_hidden) memcpy(s->hidden, from->hidden, from->model->config.width * sizeof *s->hidden);
    *out = s;
    return 0;
}

int muse_session_rewind(MuseSession *s, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, s);
    const int rc = muse_sequence_truncate(s->seq, n, err);
    if (rc == 0) muse_session_sync(s);
    return rc;
}

int muse_session_reserve(MuseSession *s, size_t n, MuseError *err)
{
    MUSE_REQUIRE(err, s);
    muse_session_sync(s);
    if (n > s->params.max_positions - s->seq->length)
        return muse_fail(err, MUSE_ERR_LIMIT, "%zu more positions after %zu are over the limit of %llu", n, s->seq->length, (unsigned long long)s->params.max_positions);
    int rc = muse_sequence_reserve_ids(s->seq, n, err);
    if (rc == 0) rc = muse_kv_reserve(&s->kv, s->seq->length - s->kv.length + n, false, err);
    if (rc < 0) return rc;
    MuseWorkspace *ws;   /* one that is kept from here on */
    rc = muse_workspace_take(&ws, s->decoder, 1, err);
    if (rc == 0) muse_workspace_give(s->decoder, &ws);
    return rc;
}

int muse_session_info(const MuseSession *s, MuseSessionInfo *out)
{
    if (!s || !out) return MUSE_ERR_ARG;
    const size_t low = unchanged(s);   /* the caller may have truncated the sequence just now */
    *out = (MuseSessionInfo){ .positions = s->seq->length, .computed = low < s->kv.length ? low : s->kv.length, .reused = low < s->reused ? low : s->reused,
                              .workspace_bytes = s->workspace_bytes, .compute = s->params.compute, .kv = s->params.kv };
    muse_kv_bytes(&s->kv, &out->kv_bytes, &out->kv_own_bytes);
    return 0;
}
