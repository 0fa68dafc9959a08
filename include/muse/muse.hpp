/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file muse.hpp
 * The C API as C++17 objects, in this header and those it includes, chat.hpp and feed.hpp: link libmuse and nothing else.
 *
 *   muse::Model model("models/muse-nano");
 *   muse::Image image("street.jpg");
 *   muse::Result result = muse::reason(model, { image, "How many cars are there?" });
 *   std::cout << result.answer() << '\n';
 *
 * Each class owns one handle and can be moved, not copied; moved-from and default-made objects hold none and may only be assigned
 * to or destroyed. get() lends the handle to C calls that have no method here, release() gives it up. What a C call says of its
 * arguments, units, lifetimes and threads holds for the method of the same name; one thing is added: a failed call throws
 * muse::error, after which the object is as the C call leaves it.
 *
 * Params are the C structs, filled by muse::defaults<MuseReasonParams>() and the like. What they point to must live as long as the
 * C header says: an object is no owner of the grammar or the tools in its params.
 *
 * Callbacks are std::functions that return true to go on and false to stop. What they throw stops the run, is kept, and is thrown
 * again by the call that ran them. After a C call of your own that may have run one, muse::rethrow() throws it. No exception passes
 * through C. Tools are different: what they throw is an error that the model reads (chat.hpp).
 *
 * Left to the C API, with get(): conversion, training, the tensors of a model, votes by themselves, training tokenizers, stop strings and
 * text by the token outside of generation, patches and frames without a sequence (but for those of a live sound: feed.hpp), limits of the machine, scaling laws.
 */
#ifndef MUSE_MUSE_HPP
#define MUSE_MUSE_HPP

#include "muse/muse.h"
#include "muse/tools.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace muse {

/** A call failed: code() is one of MUSE_ERR_*, what() the text of its MuseError. */
class error : public std::runtime_error {
public:
    error(int code, const std::string &text) : std::runtime_error(text), code_(code) {}
    int code() const noexcept { return code_; }

private:
    int code_;
};

/** Pointer and size, from anything that has data() and size(). Borrowed: lives no longer than what it was made from. */
template <class T> class view {
public:
    constexpr view() noexcept = default;
    constexpr view(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    view(std::nullptr_t, std::size_t) = delete;   // ids given as { 0, 5 }
    template <class C, class = std::enable_if_t<std::is_convertible_v<decltype(std::declval<C &>().data()), T *>>>
    constexpr view(C &&c) : data_(c.data()), size_(c.size()) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t i) const noexcept { return data_[i]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

namespace detail {

/* What a callback threw. Callbacks run in the thread of the call that is to throw it again. */
inline std::exception_ptr &thrown() noexcept
{
    thread_local std::exception_ptr kept;
    return kept;
}

/* For one call. What a C call of the caller's own left behind is not thrown by this one. */
struct Error : MuseError {
    Error() noexcept
    {
        code = 0, text[0] = '\0';
        thrown() = nullptr;
    }
};

/* Calls without a MuseError run no callbacks. */
inline int check(int rc, const MuseError *err = nullptr)
{
    if (err && thrown()) std::rethrow_exception(std::exchange(thrown(), nullptr));
    if (rc < 0) throw error(rc, err && err->text[0] ? err->text : muse_status_text(rc));
    return rc;
}

/* A call with a MuseError at its end. */
template <class F, class... Args> int call(F f, Args... args)
{
    Error err;
    return check(f(args..., &err), &err);
}

/* A call that fills a struct. */
template <class Out, class F, class... Args> Out read(F f, Args... args)
{
    Out out;
    check(f(args..., &out));
    return out;
}

/* Runs a callback that C called: 0 = go on. Not again once one has thrown: some calls still tell of what is left at the end. */
template <class F> int guard(F &&f) noexcept
{
    if (thrown()) return 1;
    try {
        return f() ? 0 : 1;
    } catch (...) {
        thrown() = std::current_exception();
        return 1;
    }
}

template <class T, void (*Close)(T **)> class Handle {
public:
    Handle() noexcept = default;
    explicit Handle(T *raw) noexcept : raw_(raw) {}   // takes it
    Handle(Handle &&o) noexcept : raw_(std::exchange(o.raw_, nullptr)) {}
    Handle &operator=(Handle &&o) noexcept
    {
        if (this != &o) {
            Close(&raw_);
            raw_ = std::exchange(o.raw_, nullptr);
        }
        return *this;
    }
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
    ~Handle() { Close(&raw_); }

    T *get() const noexcept { return raw_; }
    T *release() noexcept { return std::exchange(raw_, nullptr); }
    explicit operator bool() const noexcept { return raw_ != nullptr; }

protected:
    T *raw_ = nullptr;
};

/* The same methods on a handle that another object owns. */
template <class T> class Borrowed {
public:
    explicit Borrowed(T *raw) noexcept : raw_(raw) {}
    T *get() const noexcept { return raw_; }

private:
    T *raw_;
};

inline void init(MuseChatParams *p) { muse_chat_params_init(p); }
inline void init(MuseGrammarParams *p) { muse_grammar_params_init(p); }
inline void init(MuseToolSpec *p) { muse_tool_spec_init(p); }
inline void init(MuseRuntimeParams *p) { muse_runtime_params_init(p); }
inline void init(MuseModelParams *p) { muse_model_params_init(p); }
inline void init(MuseImageParams *p) { muse_image_params_init(p); }
inline void init(MuseImageOptions *p) { muse_image_options_init(p); }
inline void init(MuseAudioParams *p) { muse_audio_params_init(p); }
inline void init(MuseSequenceParams *p) { muse_sequence_params_init(p); }
inline void init(MuseDrawParams *p) { muse_draw_params_init(p); }
inline void init(MuseSessionParams *p) { muse_session_params_init(p); }
inline void init(MuseSampleParams *p) { muse_sample_params_init(p); }
inline void init(MuseGenerateParams *p) { muse_generate_params_init(p); }
inline void init(MuseAgentParams *p) { muse_agent_params_init(p); }
inline void init(MuseTurnParams *p) { muse_turn_params_init(p); }
inline void init(MuseReasonParams *p) { muse_reason_params_init(p); }
inline void init(MuseWatchParams *p) { muse_watch_params_init(p); }
inline void init(MuseTraceParams *p) { muse_trace_params_init(p); }
inline void init(MuseTraceStep *p) { muse_trace_step_init(p); }
inline void init(MuseTraceSummary *p) { muse_trace_summary_init(p); }
inline void init(MuseTraceDrawParams *p) { muse_trace_draw_params_init(p); }
inline void init(MuseTraceHtmlParams *p) { muse_trace_html_params_init(p); }

/* A block that a call returned, released also when copying it throws. */
template <class T> using Block = std::unique_ptr<T, void (*)(void *)>;
template <class T> Block<T> block(T *raw) { return Block<T>(raw, muse_free); }

} // namespace detail

/** Throw what a callback of this thread threw in a C call that has no method here; nothing if none did. */
inline void rethrow()
{
    if (detail::thrown()) std::rethrow_exception(std::exchange(detail::thrown(), nullptr));
}

/** A params struct as its _init call fills it. */
template <class Params> Params defaults()
{
    Params p;
    detail::init(&p);
    return p;
}

/** Pixels that a call drew: height rows of width * 3 bytes, RGB. */
struct Picture {
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint8_t> rgb;

    /** Write them as PNG. */
    void save(const std::string &path) const
    {
        detail::call(muse_png_write_file, path.c_str(), rgb.data(), width, height, std::size_t{ 0 }, MUSE_PIXELS_RGB);
    }
};

/** Memory, log, threads, CPU level. Others keep what they need of it alive. */
class Runtime : public detail::Handle<MuseRuntime, muse_runtime_close> {
public:
    using Handle::Handle;
    explicit Runtime(const MuseRuntimeParams &params) { detail::call(muse_runtime_open, &raw_, &params); }
    MuseRuntimeInfo info() const { return detail::read<MuseRuntimeInfo>(muse_runtime_info, get()); }
};

/** text.h: bytes to token ids and back. Any thread. */
class Tokenizer : public detail::Handle<MuseTextTokenizer, muse_text_close> {
public:
    using Handle::Handle;
    explicit Tokenizer(const std::string &path, MuseRuntime *rt = nullptr) { detail::call(muse_text_open_file, &raw_, rt, path.c_str()); }
    std::vector<std::int32_t> encode(std::string_view text, unsigned flags = 0) const
    {
        detail::Error err;
        std::int32_t *ids = nullptr;
        std::size_t n = 0;
        const int rc = muse_text_encode(get(), text.data(), text.size(), flags, &ids, &n, &err);
        const auto owner = detail::block(ids);
        detail::check(rc, &err);
        return std::vector<std::int32_t>(ids, ids + n);
    }
    std::string decode(view<const std::int32_t> ids, unsigned flags = 0) const
    {
        detail::Error err;
        char *text = nullptr;
        std::size_t n = 0;
        const int rc = muse_text_decode(get(), ids.data(), ids.size(), flags, &text, &n, &err);
        const auto owner = detail::block(text);
        detail::check(rc, &err);
        return std::string(text, n);
    }
    /** The bytes of one token; they live as long as the tokenizer. */
    std::string_view token(std::int32_t id) const
    {
        const char *bytes = nullptr;
        std::size_t n = 0;
        detail::check(muse_text_token_bytes(get(), id, &bytes, &n));
        return { bytes, n };
    }
    /** The id of a token by its exact text; -1: there is none. */
    std::int32_t find(std::string_view text) const
    {
        const std::int32_t id = muse_text_find(get(), text.data(), text.size());
        return id == MUSE_ERR_NOT_FOUND ? -1 : detail::check(id);
    }
    bool is_special(std::int32_t id) const { return muse_text_is_special(get(), id) != 0; }
    MuseTextInfo info() const { return detail::read<MuseTextInfo>(muse_text_info, get()); }
};

/** image.h: a picture. Any thread. */
class Image : public detail::Handle<MuseImage, muse_image_close> {
public:
    using Handle::Handle;
    explicit Image(const std::string &path, const MuseImageParams &params = defaults<MuseImageParams>(), MuseRuntime *rt = nullptr)
    {
        detail::call(muse_image_open_file, &raw_, rt, path.c_str(), &params);
    }
    /** From the bytes of a picture file. */
    static Image memory(view<const std::uint8_t> bytes, const MuseImageParams &params = defaults<MuseImageParams>(), MuseRuntime *rt = nullptr)
    {
        Image out;
        detail::call(muse_image_open_memory, &out.raw_, rt, bytes.data(), bytes.size(), &params);
        return out;
    }
    /** From pixels without gaps, MUSE_PIXELS_*; MUSE_ERR_ARG: bytes is not width * height * layout long. */
    static Image pixels(view<const std::uint8_t> bytes, std::uint32_t width, std::uint32_t height, int layout = MUSE_PIXELS_RGB,
                        const MuseImageParams &params = defaults<MuseImageParams>(), MuseRuntime *rt = nullptr)
    {
        Image out;
        if (layout < 1 || width == 0 || height == 0 || bytes.size() / width / height != static_cast<std::size_t>(layout) ||
            bytes.size() % (static_cast<std::size_t>(width) * height) != 0)
            throw error(MUSE_ERR_ARG, "Image::pixels: the bytes are not width * height * layout");
        detail::call(muse_image_open_pixels, &out.raw_, rt, bytes.data(), width, height, std::size_t{ 0 }, layout, &params);
        return out;
    }
    Image region(MuseRect rect) const
    {
        Image out;
        detail::call(muse_image_region, &out.raw_, get(), rect);
        return out;
    }
    /** One more owner of the same picture. */
    Image share() const { return Image(muse_image_ref(get())); }
    MuseImageInfo info() const { return detail::read<MuseImageInfo>(muse_image_info, get()); }
    Picture rgb(int alpha = MUSE_ALPHA_OVER) const
    {
        const MuseImageInfo i = info();
        Picture out{ i.width, i.height, std::vector<std::uint8_t>(std::size_t{ 3 } * i.width * i.height) };
        detail::call(muse_image_read_rgb, get(), alpha, nullptr, out.rgb.data(), std::size_t{ 0 });
        return out;
    }
};

/** audio.h: a sound. Any thread. */
class Audio : public detail::Handle<MuseAudio, muse_audio_close> {
public:
    using Handle::Handle;
    explicit Audio(const std::string &path, const MuseAudioParams &params = defaults<MuseAudioParams>(), MuseRuntime *rt = nullptr)
    {
        detail::call(muse_audio_open_file, &raw_, rt, path.c_str(), &params);
    }
    /** From the bytes of a sound file. */
    static Audio memory(view<const std::uint8_t> bytes, const MuseAudioParams &params = defaults<MuseAudioParams>(), MuseRuntime *rt = nullptr)
    {
        Audio out;
        detail::call(muse_audio_open_memory, &out.raw_, rt, bytes.data(), bytes.size(), &params);
        return out;
    }
    /** From samples, interleaved; MUSE_ERR_ARG also: their number is no multiple of channels. */
    static Audio pcm(view<const float> samples, std::uint32_t rate, std::uint32_t channels = 1, MuseRuntime *rt = nullptr)
    {
        return wrap(samples.data(), samples.size(), MUSE_PCM_F32, rate, channels, rt);
    }
    static Audio pcm(view<const std::int16_t> samples, std::uint32_t rate, std::uint32_t channels = 1, MuseRuntime *rt = nullptr)
    {
        return wrap(samples.data(), samples.size(), MUSE_PCM_S16, rate, channels, rt);
    }
    /** One more owner of the same sound. */
    Audio share() const { return Audio(muse_audio_ref(get())); }
    MuseAudioInfo info() const { return detail::read<MuseAudioInfo>(muse_audio_info, get()); }

private:
    static Audio wrap(const void *samples, std::size_t n, int type, std::uint32_t rate, std::uint32_t channels, MuseRuntime *rt)
    {
        Audio out;
        if (channels == 0 || n % channels != 0) throw error(MUSE_ERR_ARG, "Audio::pcm: the samples are no multiple of the channels");
        detail::call(muse_audio_open_pcm, &out.raw_, rt, samples, n / channels, type, rate, channels, nullptr);
        return out;
    }
};

/** model.h: weights and configuration. Any thread. */
class Model : public detail::Handle<MuseModel, muse_model_close> {
public:
    using Handle::Handle;
    explicit Model(const std::string &path, const MuseModelParams &params = defaults<MuseModelParams>(), MuseRuntime *rt = nullptr)
    {
        detail::call(muse_model_open, &raw_, rt, path.c_str(), &params);
    }
    /** One more owner of the same model. */
    Model share() const { return Model(muse_model_ref(get())); }
    MuseModelInfo info() const { return detail::read<MuseModelInfo>(muse_model_info, get()); }
    MuseModelMemory memory(std::uint64_t positions = 0) const { return detail::read<MuseModelMemory>(muse_model_memory, get(), positions); }
    const MuseFamily *family() const noexcept { return muse_model_family(get()); }
    Tokenizer tokenizer() const
    {
        MuseTextTokenizer *out = nullptr;
        detail::call(muse_model_open_tokenizer, get(), &out);
        return Tokenizer(out);
    }
};

/** session.h: a store of computed prefixes, for MuseSessionParams.cache; sessions that use it keep it alive. Any thread. */
class PrefixCache : public detail::Handle<MusePrefixCache, muse_prefix_cache_close> {
public:
    using Handle::Handle;
    explicit PrefixCache(const Model &model, std::uint64_t max_bytes = 0) { detail::call(muse_prefix_cache_open, &raw_, model.get(), max_bytes); }
    MusePrefixCacheInfo info() const { return detail::read<MusePrefixCacheInfo>(muse_prefix_cache_info, get()); }
};

/** What a sequence can do, its own (Sequence) or a session's (SequenceRef). */
template <class Base> class SequenceOps : public Base {
public:
    using Base::Base;
    std::size_t size() const noexcept { return muse_sequence_length(this->get()); }
    void append_text(std::string_view text, unsigned flags = 0)
    {
        detail::call(muse_sequence_append_text, this->get(), text.data(), text.size(), flags);
    }
    void append_ids(view<const std::int32_t> ids) { detail::call(muse_sequence_append_ids, this->get(), ids.data(), ids.size()); }
    void append_image(const Image &image, const MuseImageOptions &options = defaults<MuseImageOptions>())
    {
        detail::call(muse_sequence_append_image, this->get(), image.get(), &options);
    }
    void append_audio(const Audio &audio) { detail::call(muse_sequence_append_audio, this->get(), audio.get(), nullptr, nullptr); }
    /** Ready embeddings, [n, width]; MUSE_ERR_ARG also: rows is no multiple of width. */
    void append_rows(view<const float> rows, std::size_t width)
    {
        if (width == 0 || rows.size() % width != 0) throw error(MUSE_ERR_ARG, "append_rows: the values are no multiple of the width");
        detail::call(muse_sequence_append_rows, this->get(), rows.data(), rows.size() / width, width);
    }
    void truncate(std::size_t n) { detail::call(muse_sequence_truncate, this->get(), n); }
    MusePosition position(std::size_t i) const { return detail::read<MusePosition>(muse_sequence_position, this->get(), i); }
    std::size_t span_count() const noexcept { return muse_sequence_span_count(this->get()); }
    MuseSpanInfo span(std::size_t k) const { return detail::read<MuseSpanInfo>(muse_sequence_span, this->get(), k); }
    std::array<std::uint8_t, 32> hash(std::size_t n) const
    {
        std::array<std::uint8_t, 32> out{};
        detail::check(muse_sequence_hash(this->get(), n, out.data()));
        return out;
    }
    Picture draw(const MuseDrawParams &params = defaults<MuseDrawParams>()) const
    {
        detail::Error err;
        Picture out;
        std::uint8_t *rgb = nullptr;
        const int rc = muse_sequence_draw(this->get(), &params, &rgb, &out.width, &out.height, &err);
        const auto owner = detail::block(rgb);
        detail::check(rc, &err);
        out.rgb.assign(rgb, rgb + std::size_t{ 3 } * out.width * out.height);
        return out;
    }
};

using SequenceRef = SequenceOps<detail::Borrowed<MuseSequence>>;

/** sequence.h: positions by themselves, without a model. One thread. */
class Sequence : public SequenceOps<detail::Handle<MuseSequence, muse_sequence_close>> {
public:
    using SequenceOps::SequenceOps;
    explicit Sequence(const MuseSequenceParams &params, MuseRuntime *rt = nullptr) { detail::call(muse_sequence_open, &raw_, rt, &params); }
    /** A sequence of the same content. */
    Sequence copy() const
    {
        Sequence out;
        detail::call(muse_sequence_copy, &out.raw_, get());
        return out;
    }
};

/** sample.h: from logits to the next token. One thread. */
class Sampler : public detail::Handle<MuseSampler, muse_sampler_close> {
public:
    Sampler() noexcept = default;
    explicit Sampler(std::uint32_t vocab, const MuseSampleParams &params = defaults<MuseSampleParams>(), MuseRuntime *rt = nullptr) : vocab_(vocab)
    {
        detail::call(muse_sampler_open, &raw_, rt, vocab, &params);
    }
    Sampler copy(std::uint64_t seed) const
    {
        Sampler out;
        detail::call(muse_sampler_copy, &out.raw_, get(), seed);
        out.vocab_ = vocab_;
        return out;
    }
    void reset() noexcept { muse_sampler_reset(get()); }
    void observe(view<const std::int32_t> ids) { detail::call(muse_sampler_observe, get(), ids.data(), ids.size()); }
    /** MUSE_ERR_ARG also: not as many logits as the vocabulary has tokens. */
    MuseSampled pick(view<const float> logits)
    {
        MuseSampled out;
        if (logits.size() != vocab_) throw error(MUSE_ERR_ARG, "Sampler::pick: not as many logits as the vocabulary has tokens");
        detail::call(muse_sampler_pick, get(), logits.data(), &out);
        return out;
    }
    void accept(std::int32_t id) { detail::call(muse_sampler_accept, get(), id); }
    bool can_end() const noexcept { return muse_sampler_can_end(get()) != 0; }
    bool must_end() const noexcept { return muse_sampler_must_end(get()) != 0; }

private:
    std::uint32_t vocab_ = 0;
};

using TokenFn = std::function<bool(const MuseGenerated &token)>;               ///< false: stop here
using ProgressFn = std::function<bool(std::uint64_t done, std::uint64_t total)>; ///< false: MUSE_ERR_CANCELLED
using EventFn = std::function<bool(const MuseReasonEvent &event)>;             ///< false: MUSE_ERR_CANCELLED

/** What Session::generate() wrote. */
class Generation {
public:
    Generation() noexcept : raw_() {}
    Generation(Generation &&o) noexcept : raw_(std::exchange(o.raw_, MuseGenerateResult())) {}
    Generation &operator=(Generation &&o) noexcept
    {
        std::swap(raw_, o.raw_);
        return *this;
    }
    ~Generation() { muse_generate_result_clear(&raw_); }

    std::string_view text() const noexcept { return raw_.text ? std::string_view(raw_.text, raw_.n_text) : std::string_view(); }
    view<const std::int32_t> ids() const noexcept { return { raw_.ids, raw_.n }; }
    view<const float> logprobs() const noexcept { return { raw_.logprobs, raw_.n }; }
    int finish() const noexcept { return raw_.finish; } ///< MUSE_FINISH_*
    const MuseGenerateResult &get() const noexcept { return raw_; }

private:
    friend class Session;
    friend class Stream;
    MuseGenerateResult raw_;
};

/** session.h and generate.h: a sequence and what a model computed of it. One thread per session. */
class Session : public detail::Handle<MuseSession, muse_session_close> {
public:
    Session() noexcept = default;
    explicit Session(const Model &model, MuseSessionParams params = defaults<MuseSessionParams>(), ProgressFn progress = nullptr)
    {
        keep(params, std::move(progress));
        detail::call(muse_session_open, &raw_, model.get(), &params);
    }
    static Session restore(const Model &model, const std::string &path, MuseSessionParams params = defaults<MuseSessionParams>(),
                           ProgressFn progress = nullptr)
    {
        Session out;
        out.keep(params, std::move(progress));
        detail::call(muse_session_restore, &out.raw_, model.get(), path.c_str(), &params);
        return out;
    }
    void save(const std::string &path) { detail::call(muse_session_save, get(), path.c_str()); }
    /** Its sequence; lives as long as the session. */
    SequenceRef sequence() const noexcept { return SequenceRef(muse_session_sequence(get())); }
    void prefill() { detail::call(muse_session_prefill, get()); }
    /** Logits of the next token; empty if the last position is not computed. Valid until the next call. */
    view<const float> logits() const
    {
        MuseModelInfo info;
        const float *row = muse_session_logits(get());
        return row && muse_model_info(muse_session_model(get()), &info) == 0 ? view<const float>(row, info.vocab) : view<const float>();
    }
    /** Hidden state of the last position, as muse_session_hidden(); empty as logits() is. Valid until the next call. */
    view<const float> hidden() const
    {
        MuseModelInfo info;
        const float *row = muse_session_hidden(get());
        return row && muse_model_info(muse_session_model(get()), &info) == 0 ? view<const float>(row, info.width) : view<const float>();
    }
    void step(std::int32_t id) { detail::call(muse_session_step, get(), id); }
    /** One step of several sessions. MUSE_ERR_ARG also: not as many ids as sessions. */
    static void step(const std::vector<Session *> &sessions, view<const std::int32_t> ids)
    {
        std::vector<MuseSession *> raw;
        for (const Session *s : sessions) raw.push_back(s ? s->get() : nullptr);
        if (raw.size() != ids.size()) throw error(MUSE_ERR_ARG, "Session::step: not as many ids as sessions");
        detail::call(muse_session_step_batch, raw.data(), ids.data(), raw.size());
    }
    void reserve(std::size_t n) { detail::call(muse_session_reserve, get(), n); }
    /** Also shares the progress function. */
    Session fork() const
    {
        Session out;
        out.progress_ = progress_;
        detail::call(muse_session_fork, &out.raw_, get());
        return out;
    }
    void rewind(std::size_t n) { detail::call(muse_session_rewind, get(), n); }
    std::vector<double> score(view<const std::int32_t> ids)
    {
        std::vector<double> out(ids.size());
        detail::call(muse_session_score, get(), ids.data(), ids.size(), out.data());
        return out;
    }
    void cancel() noexcept { muse_session_cancel(get()); }
    MuseSessionInfo info() const { return detail::read<MuseSessionInfo>(muse_session_info, get()); }
    /** token takes the place of the params' own token function. */
    Generation generate(MuseGenerateParams params = defaults<MuseGenerateParams>(), TokenFn token = nullptr)
    {
        Generation out;
        if (token) {
            params.token = [](void *user, const MuseGenerated *t) { return detail::guard([&] { return (*static_cast<TokenFn *>(user))(*t); }); };
            params.token_user = &token;
        }
        detail::call(muse_generate, get(), &params, &out.raw_);
        return out;
    }
    /** Several that step together, all with these params; they may not name a sampler, which nobody shares. */
    static std::vector<Generation> generate(const std::vector<Session *> &sessions, const MuseGenerateParams &params = defaults<MuseGenerateParams>())
    {
        std::vector<MuseSession *> raw;
        for (const Session *s : sessions) raw.push_back(s ? s->get() : nullptr);
        const std::vector<const MuseGenerateParams *> each(raw.size(), &params);
        std::vector<MuseGenerateResult> results(raw.size());
        std::vector<Generation> out(raw.size());
        detail::Error err;
        const int rc = muse_generate_batch(raw.data(), each.data(), raw.size(), results.data(), &err);
        for (std::size_t i = 0; i < out.size(); i++) out[i].raw_ = results[i];
        detail::check(rc, &err);
        return out;
    }
    /** Watch where it looks, from the next computed token on: attention.h. */
    void watch(const MuseWatchParams &params) { detail::call(muse_session_watch, get(), &params); }
    void unwatch() { detail::call(muse_session_watch, get(), static_cast<const MuseWatchParams *>(nullptr)); }
    /** What was seen; its weights lie until the next call that computes. MUSE_ERR_STATE also: nothing was computed since. */
    MuseWatched watched() const
    {
        MuseWatched out;
        if (detail::call(muse_session_watched, get(), &out) == MUSE_AGAIN) throw error(MUSE_ERR_STATE, "Session::watched: no token was computed yet");
        return out;
    }

private:
    void keep(MuseSessionParams &params, ProgressFn progress)
    {
        if (!progress) return;
        progress_ = std::make_shared<ProgressFn>(std::move(progress));
        params.progress = [](void *user, std::uint64_t done, std::uint64_t total) {
            return detail::guard([&] { return (*static_cast<ProgressFn *>(user))(done, total); });
        };
        params.progress_user = progress_.get();
    }
    std::shared_ptr<ProgressFn> progress_;   // of the session and its forks
};

/** generate.h: a text at the caller's pace. Until result() or its end the session is the stream's, and must outlive it. */
class Stream : public detail::Handle<MuseStream, muse_stream_close> {
public:
    Stream() noexcept = default;
    explicit Stream(Session &session, const MuseGenerateParams &params = defaults<MuseGenerateParams>()) { detail::call(muse_stream_open, &raw_, session.get(), &params); }
    /** false: the text has ended. The token's text lives until the next call. */
    bool next(MuseGenerated &token) { return detail::call(muse_stream_next, get(), &token) != MUSE_DONE; }
    /** What was written; a text that has not ended ends here. Once. */
    Generation result()
    {
        Generation out;
        detail::call(muse_stream_result, get(), &out.raw_);
        return out;
    }
};

/** One part of a question. Pictures and sounds are borrowed until the call that gets the part returns. */
class Part {
public:
    Part(std::string text) : text_(std::move(text)), raw_() { raw_.modality = MUSE_TEXT; }
    Part(const char *text) : Part(std::string(text)) {}
    Part(std::string_view text) : Part(std::string(text)) {}
    Part(const Image &image, std::uint32_t budget = MUSE_BUDGET_DEFAULT) : raw_()
    {
        raw_.modality = MUSE_IMAGE;
        raw_.image = image.get();
        raw_.budget = budget;
    }
    Part(const Audio &audio) : raw_()
    {
        raw_.modality = MUSE_AUDIO;
        raw_.audio = audio.get();
    }
    /** As C wants it; its text lives as long as this part. */
    MuseReasonPart get() const noexcept
    {
        MuseReasonPart out = raw_;
        if (raw_.modality == MUSE_TEXT) out.text = text_.c_str(), out.n = text_.size();
        return out;
    }
    static std::vector<MuseReasonPart> all(const std::vector<Part> &parts)
    {
        std::vector<MuseReasonPart> out;
        for (const Part &p : parts) out.push_back(p.get());
        return out;
    }

private:
    std::string text_;
    MuseReasonPart raw_;
};

/** What can be read of an agent, one's own (Agent) or a result's (AgentRef). Texts and ids live as the C calls say. */
template <class Base> class AgentOps : public Base {
public:
    using Base::Base;
    MuseAgentInfo info() const { return detail::read<MuseAgentInfo>(muse_agent_info, this->get()); }
    std::string thought() const
    {
        const MuseAgentInfo i = info();
        return std::string(i.thought, i.n_thought);
    }
    std::string answer() const
    {
        const MuseAgentInfo i = info();
        return std::string(i.answer, i.n_answer);
    }
    std::vector<MuseReasonStep> steps() const
    {
        std::vector<MuseReasonStep> out(info().n_steps);
        for (std::size_t i = 0; i < out.size(); i++) detail::check(muse_agent_step(this->get(), i, &out[i]));
        return out;
    }
    view<const std::int32_t> ids() const noexcept
    {
        const std::int32_t *ids = nullptr;
        const std::size_t n = muse_agent_ids(this->get(), &ids);
        return { ids, n };
    }
    MuseSession *session() const noexcept { return muse_agent_session(this->get()); }
};

using AgentRef = AgentOps<detail::Borrowed<MuseAgent>>;

namespace detail {

inline std::shared_ptr<EventFn> listen(MuseAgentParams &params, EventFn event)
{
    if (!event && params.trace && !params.event) event = [](const MuseReasonEvent &) { return true; };   // stops when a trace's listener has thrown
    if (!event) return nullptr;
    auto kept = std::make_shared<EventFn>(std::move(event));
    params.event = [](void *user, const MuseReasonEvent *e) { return guard([&] { return (*static_cast<EventFn *>(user))(*e); }); };
    params.event_user = kept.get();
    return kept;
}

} // namespace detail

class Result;

/** reason.h: one chain in progress. An agent and its forks belong to one thread. */
class Agent : public AgentOps<detail::Handle<MuseAgent, muse_agent_close>> {
public:
    Agent() noexcept = default;
    Agent(const Model &model, const std::vector<Part> &parts, MuseAgentParams params = defaults<MuseAgentParams>(), EventFn event = nullptr)
        : event_(detail::listen(params, std::move(event)))
    {
        const std::vector<MuseReasonPart> raw = Part::all(parts);
        detail::call(muse_agent_open, &raw_, model.get(), raw.data(), raw.size(), &params);
    }
    void prefill() { detail::call(muse_agent_prefill, get()); }
    Agent fork(std::uint32_t number, std::uint64_t seed, float temperature) const
    {
        Agent out;
        out.event_ = event_;
        detail::call(muse_agent_fork, &out.raw_, get(), number, seed, temperature);
        return out;
    }
    void look(std::uint32_t image, MuseRect rect) { detail::call(muse_look, get(), image, rect); }
    void compare(std::uint32_t image_a, MuseRect a, std::uint32_t image_b, MuseRect b) { detail::call(muse_compare, get(), image_a, a, image_b, b); }
    /** The next turn, for an agent that has ended; then run() again. */
    void ask(const std::vector<Part> &parts, const MuseTurnParams &params = defaults<MuseTurnParams>())
    {
        const std::vector<MuseReasonPart> raw = Part::all(parts);
        detail::call(muse_agent_ask, get(), raw.data(), raw.size(), &params);
    }
    /** Let it write until it ends. */
    void run() { run({ this }); }
    /** Several at once, as one batch. */
    static void run(const std::vector<Agent *> &agents)
    {
        std::vector<MuseAgent *> raw;
        for (const Agent *a : agents) raw.push_back(a ? a->get() : nullptr);
        detail::call(muse_agent_run, raw.data(), raw.size());
    }
    void stop() noexcept { muse_agent_stop(get()); }
    Agent verify(std::uint32_t number, std::uint32_t extra = 0) const
    {
        Agent out;
        out.event_ = event_;
        detail::call(muse_agent_verify, &out.raw_, get(), number, extra);
        return out;
    }
    /** Log-probability of another agent's answer as this one's. */
    double score(const Agent &answer) const
    {
        double out = 0;
        detail::call(muse_agent_score, get(), answer.get(), &out);
        return out;
    }

private:
    friend class Result;
    friend Result reason(const Agent &, const std::vector<Part> &, MuseReasonParams, EventFn);
    std::shared_ptr<EventFn> event_;   // of the agent, its forks and checks
};

/** What reason() gave. */
class Result {
public:
    Result() noexcept : raw_() {}
    Result(Result &&o) noexcept : event_(std::move(o.event_)), led_(std::move(o.led_)), raw_(std::exchange(o.raw_, MuseReasonResult())) {}
    Result &operator=(Result &&o) noexcept
    {
        std::swap(event_, o.event_);
        std::swap(led_, o.led_);
        std::swap(raw_, o.raw_);
        return *this;
    }
    ~Result() { muse_reason_result_clear(&raw_); }

    bool answered() const noexcept { return raw_.answer != nullptr; }
    /** Empty if none was given. */
    std::string_view answer() const noexcept { return raw_.answer ? std::string_view(raw_.answer, raw_.n_answer) : std::string_view(); }
    double confidence() const noexcept { return raw_.confidence; }
    double agreement() const noexcept { return raw_.agreement; }
    std::size_t agent_count() const noexcept { return raw_.n_agents; }
    /** Agent i, below agent_count(); lives as long as the result. */
    AgentRef agent(std::size_t i) const noexcept { return AgentRef(raw_.agents[i]); }
    /** Whose answer it is; agent_count(): nobody's. */
    std::size_t by() const noexcept { return raw_.by; }
    /** Take agent i out, to go on with what it was asked: agent(i) is gone then. MUSE_ERR_NOT_FOUND: it is not there. */
    Agent take(std::size_t i)
    {
        Agent out;
        out.raw_ = muse_reason_take(&raw_, i);
        if (!out.raw_) throw error(MUSE_ERR_NOT_FOUND, "Result::take: there is no such agent");
        out.event_ = led_ ? led_ : event_;
        return out;
    }
    view<const MuseCandidate> candidates() const noexcept { return { raw_.candidates, raw_.n_candidates }; }
    const MuseReasonResult &get() const noexcept { return raw_; }

private:
    friend Result reason(const Model &, const std::vector<Part> &, MuseReasonParams, EventFn);
    friend Result reason(const Agent &, const std::vector<Part> &, MuseReasonParams, EventFn);
    friend Result coordinate(const Model &, const std::vector<Part> &, const std::vector<std::string> &, const std::string &, MuseReasonParams, EventFn);
    template <class F> static Result run(MuseReasonParams &params, EventFn event, F &&f)
    {
        Result out;
        MuseAgentParams agent = params.agent ? *params.agent : defaults<MuseAgentParams>();
        out.event_ = detail::listen(agent, std::move(event));
        params.agent = &agent;
        f(&params, &out.raw_);
        return out;
    }
    std::shared_ptr<EventFn> event_, led_;   // led_: of the agent that led a conversation, and so of all its forks
    MuseReasonResult raw_;
};

/** muse_reason(). event takes the place of the event function in params.agent. What params.agent points to (a trace, tools, a grammar)
 * must outlive the result, whose agents use it. */
inline Result reason(const Model &model, const std::vector<Part> &parts, MuseReasonParams params = defaults<MuseReasonParams>(), EventFn event = nullptr)
{
    const std::vector<MuseReasonPart> raw = Part::all(parts);
    return Result::run(params, std::move(event), [&](const MuseReasonParams *p, MuseReasonResult *out) {
        detail::call(muse_reason, model.get(), raw.data(), raw.size(), p, out);
    });
}

/** The next turn of the conversation that `from` led: MuseReasonParams.from. event hears of the stages, the agents are heard as `from` is.
 *   muse::Result r = muse::reason(agent, { "And now?" }, params);
 *   if (r.answered()) agent = r.take(r.by()); */
inline Result reason(const Agent &from, const std::vector<Part> &parts, MuseReasonParams params = defaults<MuseReasonParams>(), EventFn event = nullptr)
{
    const std::vector<MuseReasonPart> raw = Part::all(parts);
    params.from = from.get();
    Result out = Result::run(params, std::move(event), [&](const MuseReasonParams *p, MuseReasonResult *result) {
        detail::call(muse_reason, muse_session_model(muse_agent_session(from.get())), raw.data(), raw.size(), p, result);
    });
    out.led_ = from.event_;
    return out;
}

/** muse_coordinate(): an agent for each of the questions, all over the same parts, then one that answers `question`. As reason(). */
inline Result coordinate(const Model &model, const std::vector<Part> &parts, const std::vector<std::string> &questions, const std::string &question,
                         MuseReasonParams params = defaults<MuseReasonParams>(), EventFn event = nullptr)
{
    const std::vector<MuseReasonPart> raw = Part::all(parts);
    std::vector<const char *> each;
    for (const std::string &q : questions) each.push_back(q.c_str());
    return Result::run(params, std::move(event), [&](const MuseReasonParams *p, MuseReasonResult *out) {
        detail::call(muse_coordinate, model.get(), raw.data(), raw.size(), each.data(), each.size(), question.c_str(), p, out);
    });
}

/** Told of a trace's growth: MUSE_TRACE_*, the step's number, what is new of its text. What it throws comes out of the call that
 * changed the trace; the change stays. */
using TraceFn = std::function<void(int event, std::uint32_t number, std::string_view text)>;

/** trace.h: the record of a run. One thread; a finished one may be read by several. */
class Trace : public detail::Handle<MuseTrace, muse_trace_close> {
public:
    Trace() noexcept = default;
    explicit Trace(MuseTraceParams params, TraceFn listener = nullptr, MuseRuntime *rt = nullptr)
    {
        listen(params, std::move(listener));
        detail::call(muse_trace_open, &raw_, rt, &params);
    }
    static Trace from_json(std::string_view text, TraceFn listener = nullptr, MuseRuntime *rt = nullptr)
    {
        Trace out;
        MuseTraceParams params = defaults<MuseTraceParams>();
        out.listen(params, std::move(listener));
        detail::call(muse_trace_from_json, &out.raw_, rt, text.data(), text.size(), &params);
        return out;
    }
    /** The same contents, without the listener. */
    Trace copy() const
    {
        Trace out;
        detail::call(muse_trace_copy, &out.raw_, get());
        return out;
    }
    std::uint32_t add_image(const Image &image, const std::string &name = std::string())
    {
        std::uint32_t number = 0;
        detail::call(muse_trace_add_image, get(), image.get(), name.c_str(), &number);
        return number;
    }
    void set_image(std::uint32_t number, const Image &image) { detail::call(muse_trace_set_image, get(), number, image.get()); }
    std::uint32_t add(const MuseTraceStep &step)
    {
        std::uint32_t number = 0;
        detail::call(muse_trace_add, get(), &step, &number);
        return number;
    }
    std::uint32_t begin(const MuseTraceStep &step)
    {
        std::uint32_t number = 0;
        detail::call(muse_trace_begin, get(), &step, &number);
        return number;
    }
    void text(std::uint32_t number, std::string_view more) { detail::call(muse_trace_text, get(), number, more.data(), more.size()); }
    void mark(std::uint32_t number, const MuseTraceMark &mark) { detail::call(muse_trace_mark, get(), number, &mark); }
    void heat(std::uint32_t number, const MuseTraceHeat &heat) { detail::call(muse_trace_heat, get(), number, &heat); }
    void end(std::uint32_t number, std::uint64_t n_tokens, double seconds, double confidence = -1)
    {
        detail::call(muse_trace_end, get(), number, n_tokens, seconds, confidence);
    }
    void set_summary(const MuseTraceSummary &summary) { detail::call(muse_trace_set_summary, get(), &summary); }
    MuseTraceSummary summary() const
    {
        MuseTraceSummary out = defaults<MuseTraceSummary>();
        muse_trace_summary(get(), &out);
        return out;
    }
    std::string_view question() const
    {
        const char *text = muse_trace_question(get());
        return text ? text : "";
    }
    /** nullptr: as it is. */
    void set_names(const char *question, const char *model, const char *mode) { detail::call(muse_trace_set_names, get(), question, model, mode); }
    std::size_t step_count() const noexcept { return muse_trace_step_count(get()); }
    /** From 1. Its pointers live until the trace changes. */
    MuseTraceStep step(std::uint32_t number) const
    {
        MuseTraceStep out = defaults<MuseTraceStep>();
        detail::check(muse_trace_step(get(), number, &out));
        return out;
    }
    std::size_t image_count() const noexcept { return muse_trace_image_count(get()); }
    MuseTraceImage image(std::uint32_t number) const { return detail::read<MuseTraceImage>(muse_trace_image, get(), number); }
    std::string json() const { return text_of([&](char **text, std::size_t *n, MuseError *err) { return muse_trace_json(get(), text, n, err); }); }
    std::string html(const MuseTraceHtmlParams &params = defaults<MuseTraceHtmlParams>()) const
    {
        return text_of([&](char **text, std::size_t *n, MuseError *err) { return muse_trace_html(get(), &params, text, n, err); });
    }
    Picture draw(const MuseTraceDrawParams &params = defaults<MuseTraceDrawParams>()) const
    {
        detail::Error err;
        Picture out;
        std::uint8_t *rgb = nullptr;
        const int rc = muse_trace_draw(get(), &params, &rgb, &out.width, &out.height, &err);
        const auto owner = detail::block(rgb);
        detail::check(rc, &err);
        out.rgb.assign(rgb, rgb + std::size_t{ 3 } * out.width * out.height);
        return out;
    }

private:
    template <class F> static std::string text_of(F &&make)
    {
        detail::Error err;
        char *text = nullptr;
        std::size_t n = 0;
        const int rc = make(&text, &n, &err);
        const auto owner = detail::block(text);
        detail::check(rc, &err);
        return std::string(text, n);
    }
    void listen(MuseTraceParams &params, TraceFn listener)
    {
        if (!listener) return;
        listener_ = std::make_unique<TraceFn>(std::move(listener));
        params.fn = [](void *user, const MuseTrace *, int event, std::uint32_t number, const char *text, std::size_t n) {
            detail::guard([&] { return (*static_cast<TraceFn *>(user))(event, number, text ? std::string_view(text, n) : std::string_view()), true; });
        };
        params.user = listener_.get();
    }
    std::unique_ptr<TraceFn> listener_;
};

} // namespace muse

#include "muse/chat.hpp"
#include "muse/feed.hpp"
#endif
