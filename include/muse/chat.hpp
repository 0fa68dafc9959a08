/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file chat.hpp
 * The part of muse.hpp, which includes it, about what is said: grammars, conversations, tools. The rules at the top of muse.hpp hold.
 *
 *   muse::Chat chat(model);
 *   chat.add(MUSE_ROLE_USER, { image, "What is this?" });
 *   chat.append(session.sequence());
 *   MuseGenerateParams p = muse::defaults<MuseGenerateParams>();
 *   p.chat_format = chat.format().c_str();
 *   muse::ChatParser parser(chat, tokenizer);
 *   parser.feed(session.generate(p).ids());
 *   std::cout << parser.reply().answer << '\n';
 *   chat.add(parser);
 */
#ifndef MUSE_CHAT_HPP
#define MUSE_CHAT_HPP

#include "muse/muse.hpp"

#include <cstdio>
#include <cstring>
#include <new>

namespace muse {

/**
 * grammar.h: what a text may be. Read-only: any thread, any number of samplers, each of which it must outlive:
 *   MuseSampleParams p = muse::defaults<MuseSampleParams>();
 *   p.grammar = grammar.get();
 */
class Grammar : public detail::Handle<MuseGrammar, muse_grammar_close> {
public:
    using Handle::Handle;
    /** A regular expression, which the whole text matches. */
    static Grammar regex(const Tokenizer &tok, std::string_view pattern, const MuseGrammarParams &params = defaults<MuseGrammarParams>(), MuseRuntime *rt = nullptr)
    {
        Grammar out;
        detail::call(muse_grammar_open_regex, &out.raw_, rt, tok.get(), pattern.data(), pattern.size(), &params);
        return out;
    }
    /** A JSON schema. */
    static Grammar schema(const Tokenizer &tok, std::string_view schema, const MuseGrammarParams &params = defaults<MuseGrammarParams>(), MuseRuntime *rt = nullptr)
    {
        Grammar out;
        detail::call(muse_grammar_open_schema, &out.raw_, rt, tok.get(), schema.data(), schema.size(), &params);
        return out;
    }
    /** Any JSON value. */
    static Grammar json(const Tokenizer &tok, const MuseGrammarParams &params = defaults<MuseGrammarParams>(), MuseRuntime *rt = nullptr)
    {
        Grammar out;
        detail::call(muse_grammar_open_json, &out.raw_, rt, tok.get(), &params);
        return out;
    }
    /** One of these strings. */
    static Grammar choices(const Tokenizer &tok, const std::vector<std::string> &strings, const MuseGrammarParams &params = defaults<MuseGrammarParams>(),
                           MuseRuntime *rt = nullptr)
    {
        Grammar out;
        std::vector<const char *> text;
        std::vector<std::size_t> size;
        for (const std::string &s : strings) text.push_back(s.data()), size.push_back(s.size());
        detail::call(muse_grammar_open_choices, &out.raw_, rt, tok.get(), text.data(), size.data(), text.size(), &params);
        return out;
    }
    /** 0: the text is allowed, whole; MUSE_AGAIN: as a beginning; MUSE_ERR_NOT_FOUND: not. */
    int match(std::string_view text) const
    {
        const int rc = muse_grammar_match(get(), text.data(), text.size());
        return rc == MUSE_ERR_NOT_FOUND ? rc : detail::check(rc);
    }
    MuseGrammarInfo info() const { return detail::read<MuseGrammarInfo>(muse_grammar_info, get()); }
};

/** A call of a tool; arguments: a JSON object. */
struct ToolCall { std::string name, arguments; };

/* ---- conversations ---- */

class ChatParser;

/** The pieces of a prompt. Their texts live as long as this, their media as long as the chat. */
class ChatSegments : public view<const MuseChatSegment> {
public:
    ChatSegments(detail::Block<MuseChatSegment> owner, std::size_t n) : view(owner.get(), n), owner_(std::move(owner)) {}

private:
    detail::Block<MuseChatSegment> owner_;
};

/** chat.h: messages, and the prompts they make. One thread at a time. The calls that add say which message they belong to: the newest. */
class Chat : public detail::Handle<MuseChat, muse_chat_close> {
public:
    Chat() noexcept = default;
    explicit Chat(const MuseChatParams &params, MuseRuntime *rt = nullptr) { open(params, rt); }
    /** In the format that the model was made for, unless params name one. */
    explicit Chat(const Model &model, MuseChatParams params = defaults<MuseChatParams>(), MuseRuntime *rt = nullptr)
    {
        if (!params.format) params.format = format_of(model);
        open(params, rt);
    }
    /** A static string. */
    static const char *format_of(const Model &model)
    {
        const Tokenizer tok = model.tokenizer();
        const MuseModelInfo info = model.info();
        const char *out = nullptr;
        detail::call(muse_chat_format_of, info.family, tok.get(), &out);
        return out;
    }
    const std::string &format() const noexcept { return format_; }

    /** parameters: a JSON schema, an object; "": none. */
    void add_tool(const std::string &name, const std::string &description = std::string(), std::string_view parameters = std::string_view())
    {
        detail::call(muse_chat_add_tool, get(), name.c_str(), description.c_str(), parameters.empty() ? nullptr : parameters.data(), parameters.size());
    }
    /** Offer all tools of a set, as muse::Agent does by itself. */
    void add_tools(const MuseTools *tools)
    {
        MuseToolSpec t;
        for (std::size_t i = 0; muse_tools_at(tools, i, &t) == 0; i++) add_tool(t.name, t.description, t.parameters ? t.parameters : "");
    }
    void add(int role) { detail::call(muse_chat_add, get(), role); }
    /** A message and its parts; on error there is none of it. */
    void add(int role, const std::vector<Part> &parts)
    {
        add(role);
        try {
            for (const Part &p : parts) add_part(p);
        } catch (...) {
            drop_newest();
            throw;
        }
    }
    /** All that the parser has read, as an assistant message: thought, answer, calls. */
    void add(const ChatParser &parser);
    /** Begin the result of a call; its text, pictures or JSON follow. Either may be "". */
    void add_result(const std::string &id, const std::string &name)
    {
        detail::call(muse_chat_add_result, get(), id.empty() ? nullptr : id.c_str(), name.empty() ? nullptr : name.c_str());
    }
    void add_part(const Part &part)
    {
        const MuseReasonPart p = part.get();
        MuseImageOptions options = defaults<MuseImageOptions>();
        options.budget = p.budget;
        if (p.modality == MUSE_IMAGE) detail::call(muse_chat_add_image, get(), p.image, &options);
        else if (p.modality == MUSE_AUDIO) detail::call(muse_chat_add_audio, get(), p.audio);
        else detail::call(muse_chat_add_text, get(), p.text, p.n);
    }
    void add_json(std::string_view json) { detail::call(muse_chat_add_json, get(), json.data(), json.size()); }
    void add_thought(std::string_view text) { detail::call(muse_chat_add_thought, get(), text.data(), text.size()); }
    void add_token(const std::string &token, bool thought = false) { detail::call(muse_chat_add_token, get(), int{ thought }, token.c_str()); }
    /** id "": none. */
    void add_call(const ToolCall &call, const std::string &id = std::string())
    {
        detail::call(muse_chat_add_call, get(), id.empty() ? nullptr : id.c_str(), call.name.c_str(), call.arguments.data(), call.arguments.size());
    }
    std::size_t size() const noexcept { return muse_chat_length(get()); }
    void drop_newest() noexcept { muse_chat_drop_newest(get()); }

    ChatSegments render() const
    {
        detail::Error err;
        MuseChatSegment *segments = nullptr;
        std::size_t n = 0;
        const int rc = muse_chat_render(get(), &segments, &n, &err);
        auto owner = detail::block(segments);
        detail::check(rc, &err);
        return ChatSegments(std::move(owner), n);
    }
    /** To look at. */
    std::string prompt() const
    {
        detail::Error err;
        char *text = nullptr;
        std::size_t n = 0;
        const int rc = muse_chat_prompt(get(), &text, &n, &err);
        const auto owner = detail::block(text);
        detail::check(rc, &err);
        return std::string(text, n);
    }
    /** To a Sequence or a session's. from_message as muse_chat_append(). */
    template <class Base> void append(const SequenceOps<Base> &seq, std::size_t from_message = 0) const
    {
        detail::call(muse_chat_append, get(), seq.get(), from_message);
    }
    /** Ids that end the model's turn; Session::generate() takes them from MuseGenerateParams.chat_format. */
    std::vector<std::int32_t> stop_ids(const Tokenizer &tok) const
    {
        std::vector<std::int32_t> ids(64);
        std::size_t n = 0;
        detail::call(muse_chat_stop_ids, format_.c_str(), tok.get(), ids.data(), ids.size(), &n);
        ids.resize(n);
        return ids;
    }
    /** What to append to a running thought so that the answer comes next, said with these words. */
    std::vector<std::int32_t> close_thought(const Tokenizer &tok, const std::string &words = std::string()) const
    {
        detail::Error err;
        std::int32_t *ids = nullptr;
        std::size_t n = 0;
        const int rc = muse_chat_close_thought(format_.c_str(), tok.get(), words.empty() ? nullptr : words.c_str(), &ids, &n, &err);
        const auto owner = detail::block(ids);
        detail::check(rc, &err);
        return std::vector<std::int32_t>(ids, ids + n);
    }

private:
    void open(const MuseChatParams &params, MuseRuntime *rt)
    {
        detail::call(muse_chat_open, &raw_, rt, &params);
        format_ = params.format;
    }
    std::string format_;
};

/** What a model wrote, taken apart. Tokens inside a text stand there by their text. */
struct ChatReply {
    std::string thought, answer;
    std::vector<ToolCall> calls;
    std::vector<std::string> errors; ///< why a call can't be read, for each; the call itself is in answer
    int end = 0;                     ///< MUSE_CHAT_STOP .. MUSE_CHAT_CUT; 0: before the end
};

/** Reads what the model writes behind the prompt of a chat, which is needed to open only. One thread. */
class ChatParser : public detail::Handle<MuseChatParser, muse_chat_parser_close> {
public:
    ChatParser() noexcept = default;
    /** tok: to feed ids, and must outlive the parser, as a session's (muse_session_tokenizer()) does while the session lives. */
    explicit ChatParser(const Chat &chat, const MuseTextTokenizer *tok = nullptr) { detail::call(muse_chat_parser_open, &raw_, chat.get(), tok); }
    ChatParser(const Chat &chat, const Tokenizer &tok) : ChatParser(chat, tok.get()) {}
    ChatParser(const Chat &chat, Tokenizer &&tok) = delete;   // it would be gone
    /** How many bytes, or ids, were taken: all of them, unless the turn ended in between. */
    std::size_t feed(std::string_view text)
    {
        std::size_t used = 0;
        detail::call(muse_chat_parser_feed_text, get(), text.data(), text.size(), &used);
        return used;
    }
    std::size_t feed(view<const std::int32_t> ids)
    {
        std::size_t used = 0;
        detail::call(muse_chat_parser_feed_ids, get(), ids.data(), ids.size(), &used);
        return used;
    }
    void finish() { detail::call(muse_chat_parser_finish, get()); }
    /** false: nothing yet, or END was taken. The item lives as the C header says. */
    bool next(MuseChatItem &item) { return detail::check(muse_chat_parser_next(get(), &item)) == 0; }
    /** No more comes: all items that were not taken yet. */
    ChatReply reply()
    {
        ChatReply out;
        MuseChatItem item;
        finish();
        while (next(item)) {
            const std::string_view text = item.text ? std::string_view(item.text, item.n) : std::string_view();
            const bool thought = item.kind == MUSE_CHAT_THOUGHT || (item.kind == MUSE_CHAT_TOKEN && item.thought);
            if (item.kind == MUSE_CHAT_END) out.end = item.reason;
            else if (item.kind == MUSE_CHAT_CALL) out.calls.push_back({ item.name, std::string(item.arguments, item.n_arguments) });
            else (thought ? out.thought : out.answer) += text;
            if (item.kind == MUSE_CHAT_BAD_CALL) out.errors.emplace_back(item.error);
        }
        return out;
    }
};

inline void Chat::add(const ChatParser &parser) { detail::call(muse_chat_add_parsed, get(), parser.get()); }

/* ---- tools ---- */

/** Where a tool's function puts its result. Only while that function runs. */
class ToolReply {
public:
    explicit ToolReply(MuseToolReply *raw) noexcept : raw_(raw) {}
    void text(std::string_view text) { detail::call(muse_tool_reply_text, raw_, text.data(), text.size()); }
    void image(const Image &image) { detail::call(muse_tool_reply_image, raw_, image.get()); }
    /** Nobody waits any more: a long function should return. */
    bool abandoned() const noexcept { return muse_tool_reply_abandoned(raw_) != 0; }
    MuseToolReply *get() const noexcept { return raw_; }

private:
    MuseToolReply *raw_;
};

/**
 * A tool's work; arguments: a JSON object, not checked against the schema, valid for the call. It runs in threads of the library's, at the
 * same time as other calls and as itself. What it throws is an error that the model reads: what() (its first 511 bytes), and the code of a
 * muse::error. One that overstays its time goes on running, also behind the Tools object: what it needs belongs into its captures.
 */
using ToolFn = std::function<void(std::string_view arguments, ToolReply &reply)>;

namespace detail {

/* The text as an error of C's: cut where a character ends. */
inline int tool_failed(MuseError *err, int code, const char *text) noexcept
{
    std::size_t n = std::strlen(text);
    if (n >= sizeof err->text)
        for (n = sizeof err->text - 1; n > 0 && (static_cast<unsigned char>(text[n]) & 0xc0) == 0x80;) n--;
    std::memcpy(err->text, text, n);
    err->text[n] = '\0';
    return err->code = code < 0 ? code : MUSE_ERR_STATE;
}

inline int run_tool(void *user, const char *arguments, std::size_t n, MuseToolReply *raw, MuseError *err) noexcept
{
    try {
        ToolReply reply(raw);
        (*static_cast<ToolFn *>(user))(std::string_view(arguments, n), reply);
        return 0;
    } catch (const error &e) {
        return tool_failed(err, e.code(), e.what());
    } catch (const std::bad_alloc &e) {
        return tool_failed(err, MUSE_ERR_NOMEM, e.what());
    } catch (const std::exception &e) {
        return tool_failed(err, MUSE_ERR_STATE, e.what());
    } catch (...) {
        return tool_failed(err, MUSE_ERR_STATE, "the tool failed");
    }
}

} // namespace detail

/** What a call gave, or the error that the model reads. */
class ToolResult : public detail::Handle<MuseToolReply, muse_tool_reply_close> {
public:
    using Handle::Handle;
    int status() const noexcept { return muse_tool_reply_status(get()); } ///< 0, or why it failed
    /** They live as long as the result. */
    std::vector<MuseToolPart> parts() const
    {
        std::vector<MuseToolPart> out(muse_tool_reply_count(get()));
        for (std::size_t i = 0; i < out.size(); i++) detail::check(muse_tool_reply_part(get(), i, &out[i]));
        return out;
    }
    /** Its texts, one behind the other; of an error, the error. */
    std::string text() const
    {
        std::string out;
        for (const MuseToolPart &p : parts())
            if (p.text) out.append(p.text, p.n);
        return out;
    }
};

/**
 * tools.h: functions that a model may call, for MuseAgentParams.tools:
 *   muse::Tools tools = muse::Tools::open();
 *   tools.add("now", "The time", "", [](std::string_view, muse::ToolReply &reply) { reply.text("12:00"); });
 *   MuseAgentParams p = muse::defaults<MuseAgentParams>();
 *   p.tools = tools.get();
 * It must outlive agents and results that use it. Functions are kept until it and all results of its calls are gone and none of these
 * runs any more; the last of them may destroy the functions, in its own thread.
 */
class Tools : public detail::Handle<MuseTools, muse_tools_close> {
public:
    using Handle::Handle;
    static Tools open(MuseRuntime *rt = nullptr)
    {
        Tools out;
        detail::call(muse_tools_open, &out.raw_, rt);
        return out;
    }
    /** parameters: a JSON schema, an object; "": none. timeout: seconds, 0 = 30. Not while calls run. */
    void add(const std::string &name, const std::string &description, const std::string &parameters, ToolFn function, double timeout = 0)
    {
        if (!function) throw error(MUSE_ERR_ARG, "Tools::add: no function");
        auto kept = std::make_unique<ToolFn>(std::move(function));
        MuseToolSpec spec = defaults<MuseToolSpec>();
        spec.name = name.c_str();
        spec.description = description.c_str();
        spec.parameters = parameters.empty() ? nullptr : parameters.c_str();
        spec.fn = detail::run_tool;
        spec.user = kept.get();
        spec.release = [](void *user) { delete static_cast<ToolFn *>(user); };
        spec.timeout = timeout;
        detail::call(muse_tools_add, get(), &spec);
        kept.release();   // the tools' now
    }
    std::size_t size() const noexcept { return muse_tools_count(get()); }
    /** Calls whose function has not returned yet. Any thread. */
    std::size_t running() const noexcept { return muse_tools_running(get()); }
    /** All calls at once; waits for them, or their time-outs. Results in the order of calls. */
    std::vector<ToolResult> run(const std::vector<ToolCall> &calls)
    {
        std::vector<MuseToolCall> raw;
        for (const ToolCall &c : calls) raw.push_back({ c.name.c_str(), c.arguments.data(), c.arguments.size() });
        std::vector<MuseToolReply *> replies(calls.size());
        std::vector<ToolResult> out;
        out.reserve(calls.size());   // nothing throws once there are replies
        detail::call(muse_tools_run, get(), raw.data(), raw.size(), replies.data(), static_cast<MuseCancelFn *>(nullptr), static_cast<void *>(nullptr));
        for (MuseToolReply *r : replies) out.emplace_back(r);
        return out;
    }
};

} // namespace muse
#endif
