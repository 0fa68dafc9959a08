/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file feed.hpp
 * The part of muse.hpp, which includes it, about sound that is still arriving. The rules at the top of muse.hpp hold.
 *
 *   muse::AudioFeed feed(model, 16000);
 *   while (microphone.read(samples)) {       // std::vector<std::int16_t>, a few milliseconds
 *       feed.push(samples);
 *       use(feed.take());                    // frames as the model takes them
 *   }
 *   feed.finish();
 *   use(feed.take());
 *
 * Asked about is a whole sound: keep the samples and give them to Audio::pcm() when it ends (examples/live_audio.c).
 */
#ifndef MUSE_FEED_HPP
#define MUSE_FEED_HPP

#include "muse/muse.hpp"

#include <algorithm>

namespace muse {

/** audio.h: PCM in, frames out, in bounded memory; the same frames as of the whole sound. One thread. */
class AudioFeed : public detail::Handle<MuseAudioFeed, muse_audio_feed_close> {
public:
    AudioFeed() noexcept = default;
    /** rate: samples a second; type: MUSE_PCM_S16 or MUSE_PCM_F32, which is what push() takes then. */
    explicit AudioFeed(const MuseAudioRule &rule, std::uint32_t rate, std::uint32_t channels = 1, int type = MUSE_PCM_S16, MuseRuntime *rt = nullptr)
        : width_(plan(rule, rate).frame_width), channels_(channels), type_(type)
    {
        detail::call(muse_audio_feed_open, &raw_, rt, &rule, type, rate, channels);
    }
    /** By the rule of a model. MUSE_ERR_UNSUPPORTED: it takes no sound. */
    explicit AudioFeed(const Model &model, std::uint32_t rate, std::uint32_t channels = 1, int type = MUSE_PCM_S16, MuseRuntime *rt = nullptr)
        : AudioFeed(rule_of(model), rate, channels, type, rt)
    {
    }
    /** Samples as they arrive, interleaved. MUSE_ERR_ARG also: of another type than the feed's, or their number is no multiple of channels. */
    void push(view<const std::int16_t> samples) { push(samples.data(), samples.size(), MUSE_PCM_S16); }
    void push(view<const float> samples) { push(samples.data(), samples.size(), MUSE_PCM_F32); }
    /** No more comes: the last, partly padded frame becomes ready. */
    void finish()
    {
        detail::call(muse_audio_feed_finish, get());
        finished_ = true;
    }
    /** Frames that are ready. */
    std::size_t size() const noexcept { return muse_audio_feed_ready(get()); }
    /** Whether it is finished and all frames are taken. */
    bool done() const noexcept { return finished_ && size() == 0; }
    std::size_t frame_width() const noexcept { return width_; } ///< values a frame
    /** The next frames that are ready, `most` at most: [n, frame_width()]. Empty: none is ready now. */
    std::vector<float> take(std::size_t most = SIZE_MAX)
    {
        std::vector<float> out(std::min(most, size()) * width_);
        std::size_t n = 0;
        if (!out.empty()) detail::check(muse_audio_feed_take(get(), out.data(), out.size() / width_, &n));
        out.resize(n * width_);
        return out;
    }

private:
    static MuseAudioPlan plan(const MuseAudioRule &rule, std::uint32_t rate)
    {
        MuseAudioPlan out;
        detail::call(muse_audio_plan, &rule, std::uint64_t{ 1 }, rate, &out);
        return out;
    }
    static const MuseAudioRule &rule_of(const Model &model)
    {
        if (!model) throw error(MUSE_ERR_ARG, "AudioFeed: there is no model");
        return model.family()->audio;
    }
    void push(const void *samples, std::size_t n, int type)
    {
        if (type != type_ || channels_ == 0 || n % channels_ != 0) throw error(MUSE_ERR_ARG, "AudioFeed::push: not samples of the feed's type, or no multiple of its channels");
        detail::call(muse_audio_feed_push, get(), samples, n / channels_);
    }
    std::size_t width_ = 0;
    std::uint32_t channels_ = 0;
    int type_ = 0;
    bool finished_ = false;
};

} // namespace muse
#endif
