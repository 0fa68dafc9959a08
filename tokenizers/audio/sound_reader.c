/* SPDX-License-Identifier: Apache-2.0 */
/* libsndfile behind bounds: it sees a virtual file of head and body only, and every block it gives is checked. It does not
 * judge lengths; audio.c and frames.c compare what was promised with what came. */
#include "tokenizers/audio/sound_reader.h"

#include <pthread.h>
#include <sndfile.h>
#include <stdio.h>

#include "base/status.h"
#include "tokenizers/audio/pipe.h"

enum {
    BLOCK_VALUES = 16384,   /* 4096 samples in stereo: within L2, and few calls */
    /* libsndfile 1.2 writes a whole FLAC frame sample even if its channels are more than STREAMINFO's, 8 at most */
    BLOCK_SLACK = 64
};

/* sf_open_virtual() keeps its last error in one place for the whole process. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

static sf_count_t vio_size(void *user)
{
    const MuseSound *s = ((MuseSoundReader *)user)->sound;
    return (sf_count_t)(s->head_len + s->body_len);
}

static sf_count_t vio_seek(sf_count_t offset, int whence, void *user)
{
    MuseSoundReader *r = user;
    const sf_count_t size = vio_size(user), base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (sf_count_t)r->at : size;
    if (offset < -base) return -1;
    r->at = offset > size - base ? (size_t)size : (size_t)(base + offset);   /* the end is as far as it goes */
    return (sf_count_t)r->at;
}

static sf_count_t vio_read(void *to, sf_count_t count, void *user)
{
    MuseSoundReader *r = user;
    const MuseSound *s = r->sound;
    size_t done = 0;
    if (count <= 0) return 0;
    if (r->at < s->head_len) {
        done = s->head_len - r->at < (size_t)count ? s->head_len - r->at : (size_t)count;
        memcpy(to, s->head + r->at, done);
        r->at += done;
    }
    if (r->at >= s->head_len && done < (size_t)count) {
        const size_t left = s->head_len + s->body_len - r->at, take = left < (size_t)count - done ? left : (size_t)count - done;
        if (take) memcpy((uint8_t *)to + done, s->body + (r->at - s->head_len), take);
        r->at += take;
        done += take;
    }
    return (sf_count_t)done;
}

static sf_count_t vio_tell(void *user) { return (sf_count_t)((MuseSoundReader *)user)->at; }

static int failure(const MuseSoundReader *r, int error, const char *text, MuseError *err)
{
    const int code = error == SF_ERR_UNSUPPORTED_ENCODING ? MUSE_ERR_UNSUPPORTED : MUSE_ERR_FORMAT;
    return muse_fail(err, code, "%s: decoder at sample %llu: %s", r->sound->format, (unsigned long long)r->pos, text);
}

int muse_sound_reader_open(MuseSoundReader *r, const MuseRuntime *rt, const MuseSound *s, MuseError *err)
{
    memset(r, 0, sizeof *r);
    r->sound = s;
    r->block_samples = BLOCK_VALUES / s->channels;
    r->block = muse_alloc_array(&rt->alloc, r->block_samples * s->channels + BLOCK_SLACK, sizeof(float));
    if (!r->block) return MUSE_NOMEM(err, (BLOCK_VALUES + BLOCK_SLACK) * sizeof(float));
    SF_VIRTUAL_IO vio = { vio_size, vio_seek, vio_read, NULL, vio_tell };
    SF_INFO info = { 0 };
    int rc = 0;
    pthread_mutex_lock(&opening);
    r->sf = sf_open_virtual(&vio, SFM_READ, &info, r);
    if (!r->sf) rc = failure(r, sf_error(NULL), sf_strerror(NULL), err);
    pthread_mutex_unlock(&opening);
    if (rc < 0) goto fail;
    const int major = info.format & SF_FORMAT_TYPEMASK;
    const bool same = major == s->container || (major == SF_FORMAT_WAVEX && s->container == SF_FORMAT_WAV);
    const bool rate = info.samplerate == (int)s->rate || s->container == SF_FORMAT_OGG;
    if (!same || info.channels != (int)s->channels || !rate || info.samplerate <= 0) {
        rc = muse_fail(err, MUSE_ERR_FORMAT, "%s: the header says %u channels at %u Hz, the decoder %d at %d",
                       s->format, s->channels, s->rate,
                       info.channels, info.samplerate);
        goto fail;
    }
    r->rate = (uint32_t)info.samplerate;
    r->n_samples = info.frames > 0 && info.frames < SF_COUNT_MAX ? (uint64_t)info.frames : UINT64_MAX;
    return 0;
fail:
    muse_sound_reader_close(r);
    return rc;
}

void muse_sound_reader_close(MuseSoundReader *r)
{
    if (r->sf) sf_close(r->sf);
    muse_free(r->block);
    memset(r, 0, sizeof *r);
}

int muse_sound_reader_next(MuseSoundReader *r, size_t *n, MuseError *err)
{
    const uint32_t channels = r->sound->channels;
    *n = 0;
    while (*n < r->block_samples) {
        const sf_count_t got = sf_readf_float(r->sf, r->block + *n * channels, (sf_count_t)(r->block_samples - *n));
        if (sf_error(r->sf)) return failure(r, sf_error(r->sf), sf_strerror(r->sf), err);
        if (got <= 0) break;
        *n += (size_t)got;
    }
    const size_t values = *n * channels, bad = muse_pcm_bad(r->block, values);
    if (bad < values)
        return muse_fail(err, MUSE_ERR_FORMAT, "%s: sample %llu of channel %zu is %g", r->sound->format,
                         (unsigned long long)(r->pos + bad / channels), bad % channels, (double)r->block[bad]);
    r->pos += *n;
    return 0;
}
