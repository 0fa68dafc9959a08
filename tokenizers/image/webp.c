/* SPDX-License-Identifier: Apache-2.0 */
/* WebP through libwebp: lossy, lossless, alpha, and the first frame of an animation, drawn on its canvas as libwebp's own
 * animation decoder does. libwebp decodes whole frames: memory is 3 or 4 bytes a pixel. Called through its vtable. */
#include <webp/decode.h>
#include <webp/demux.h>

#include "tokenizers/image/decode.h"
#include "tokenizers/image/exif.h"

typedef struct WebpReader {
    const MuseDecodeJob *job;
    WebPDemuxer *demux;
    MusePictureHead head;
    MuseWindow window;
    uint32_t   next;     /* row of the window */
    uint8_t   *whole;    /* the canvas */
} WebpReader;

static bool probe(const uint8_t *b, size_t size)
{
    return size >= 12 && memcmp(b, "RIFF", 4) == 0 && memcmp(b + 8, "WEBP", 4) == 0;
}

static void find_orientation(const WebpReader *r, MusePictureHead *head)
{
    WebPChunkIterator chunk;
    if (WebPDemuxGetChunk(r->demux, "EXIF", 1, &chunk)) {
        const uint8_t *at = chunk.chunk.bytes;
        head->orientation = muse_exif_orientation(at, chunk.chunk.size, &r->job->rt->log, "webp: EXIF",
                                                  (size_t)(at - r->job->source->bytes));
    }
    WebPDemuxReleaseChunkIterator(&chunk);
}

/* Does frame 1 leave part of the canvas bare? Only in animations. */
static bool has_bare_canvas(const WebPIterator *frame, const MusePictureHead *head)
{
    return frame->x_offset || frame->y_offset || (uint32_t)frame->width < head->width || (uint32_t)frame->height < head->height;
}

static int open_webp(void *priv, const MuseDecodeJob *job, MusePictureHead *head, MuseError *err)
{
    WebpReader *r = priv;
    r->job = job;
    const WebPData data = { job->source->bytes, job->source->size };
    WebPDemuxState state;
    r->demux = WebPDemuxPartial(&data, &state);
    if (!r->demux || state != WEBP_DEMUX_DONE) {
        return muse_fail(err, MUSE_ERR_FORMAT, state == WEBP_DEMUX_PARSE_ERROR ? "damaged chunks in %zu bytes" :
                         "truncated: the file ends at byte %zu", job->source->size);
    }
    head->width = WebPDemuxGetI(r->demux, WEBP_FF_CANVAS_WIDTH);
    head->height = WebPDemuxGetI(r->demux, WEBP_FF_CANVAS_HEIGHT);
    WebPIterator frame;
    if (!WebPDemuxGetFrame(r->demux, 1, &frame)) return muse_fail(err, MUSE_ERR_FORMAT, "no frame");
    const uint32_t flags = WebPDemuxGetI(r->demux, WEBP_FF_FORMAT_FLAGS);
    head->bits = 8;
    head->has_alpha = (flags & ALPHA_FLAG) || frame.has_alpha || has_bare_canvas(&frame, head);
    head->channels = head->samples = head->has_alpha ? 4 : 3;
    if (frame.num_frames > 1)
        muse_log(&job->rt->log, MUSE_LOG_WARN, "webp: an animation of %d frames; the first is taken", frame.num_frames);
    WebPDemuxReleaseIterator(&frame);
    find_orientation(r, head);
    r->head = *head;
    return 0;
}

static int decode_frame(WebpReader *r, const WebPIterator *frame, MuseError *err)
{
    const uint32_t samples = r->head.samples;
    const size_t stride = (size_t)r->head.width * samples;
    if (frame->x_offset < 0 || frame->y_offset < 0 || (uint64_t)frame->x_offset + (uint32_t)frame->width > r->head.width ||
        (uint64_t)frame->y_offset + (uint32_t)frame->height > r->head.height)
        return muse_fail(err, MUSE_ERR_FORMAT, "the first frame passes the canvas");
    if (stride > INT32_MAX) return muse_fail(err, MUSE_ERR_LIMIT, "a row of %zu bytes", stride);
    uint8_t *at = r->whole + (size_t)frame->y_offset * stride + (size_t)frame->x_offset * samples;
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return muse_fail(err, MUSE_ERR_UNSUPPORTED, "libwebp of another version");
    config.output.colorspace = samples == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = at;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * (size_t)(frame->height - 1) + (size_t)frame->width * samples;
    const VP8StatusCode status = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    const size_t offset = (size_t)(frame->fragment.bytes - r->job->source->bytes);
    if (status == VP8_STATUS_OK) return 0;
    if (status == VP8_STATUS_OUT_OF_MEMORY) return muse_fail(err, MUSE_ERR_NOMEM, "libwebp got no memory");
    return muse_fail(err, MUSE_ERR_FORMAT, "%s (frame at byte %zu, status %d)",
                     status == VP8_STATUS_NOT_ENOUGH_DATA ? "truncated: the frame ends early" : "damaged frame", offset, (int)status);
}

static int start(void *priv, const MuseWindow *window, MuseError *err)
{
    WebpReader *r = priv;
    r->window = *window;
    const size_t stride = (size_t)r->head.width * r->head.samples;
    WebPIterator frame;
    if (!WebPDemuxGetFrame(r->demux, 1, &frame)) return muse_fail(err, MUSE_ERR_FORMAT, "no frame");
    /* zeros: what the first frame leaves bare is transparent black, as in libwebp's animation decoder */
    const MuseAllocator *a = &r->job->rt->alloc;
    r->whole = has_bare_canvas(&frame, &r->head) ? muse_zalloc_array(a, r->head.height, stride) : muse_alloc_array(a, r->head.height, stride);
    const int rc = r->whole ? decode_frame(r, &frame, err) : muse_fail(err, MUSE_ERR_NOMEM, "no memory for %ux%u pixels",
                                                                       r->head.width, r->head.height);
    WebPDemuxReleaseIterator(&frame);
    return rc;
}

static int rows(void *priv, uint8_t *dst, size_t stride, uint32_t n, MuseError *err)
{
    (void)err;
    WebpReader *r = priv;
    const size_t row_bytes = (size_t)r->head.width * r->head.samples;
    for (uint32_t i = 0; i < n; i++, r->next++)
        muse_copy_window(dst + i * stride, r->whole + (r->window.y + r->next) * row_bytes, &r->window, r->head.samples);
    return 0;
}

static void close_webp(void *priv)
{
    WebpReader *r = priv;
    WebPDemuxDelete(r->demux);
    muse_free(r->whole);
}

const MusePictureReader muse_webp_reader = { "webp", sizeof(WebpReader), probe, open_webp, start, rows, close_webp };
