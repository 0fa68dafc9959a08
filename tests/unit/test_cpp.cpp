/* SPDX-License-Identifier: Apache-2.0 */
/* include/muse/muse.hpp: ownership, errors, callbacks that stop and throw, and every class against what C says. Not here: what the
 * calls behind it do, which the C tests hold. A case ends at its first failed CHECK. */
#include "muse/muse.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <type_traits>

namespace {

const std::string data = std::getenv("MUSE_TEST_DATA") ? std::getenv("MUSE_TEST_DATA") : "tests/data";
const std::string folder = data + "/reason/muse";

struct Failed : std::exception {};
struct Mine : std::exception {};   // what callbacks throw here

#define CHECK(what)                                                          \
    do {                                                                     \
        if (!(what)) {                                                       \
            std::printf("line %d: %s\n", __LINE__, #what);                   \
            throw Failed();                                                  \
        }                                                                    \
    } while (0)

template <class F> int code_of(F &&f)
{
    try {
        f();
    } catch (const muse::error &e) {
        return *e.what() ? e.code() : 1;   // an error always has a text
    }
    return 0;
}

template <class F> bool throws_mine(F &&f)
{
    try {
        f();
    } catch (const Mine &) {
        return true;
    }
    return false;
}

std::vector<std::int16_t> tone(std::size_t n)
{
    std::vector<std::int16_t> out(n);
    for (std::size_t i = 0; i < n; i++) out[i] = static_cast<std::int16_t>(8000 * std::sin(0.01 * static_cast<double>(i)));
    return out;
}

muse::Image picture(std::uint32_t width = 96, std::uint32_t height = 64)
{
    std::vector<std::uint8_t> rgb(std::size_t{ 3 } * width * height);
    for (std::size_t i = 0; i < rgb.size(); i++) rgb[i] = static_cast<std::uint8_t>(i * 7);
    return muse::Image::pixels(rgb, width, height);
}

muse::Sequence text_sequence(const muse::Model &model, const muse::Tokenizer &tok)
{
    MuseSequenceParams p = muse::defaults<MuseSequenceParams>();
    p.family = model.family();
    p.tokenizer = tok.get();
    return muse::Sequence(p);
}

template <class T> constexpr bool owns = !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> && std::is_nothrow_move_constructible_v<T> &&
                                         std::is_nothrow_move_assignable_v<T>;
static_assert(owns<muse::Model> && owns<muse::Image> && owns<muse::Audio> && owns<muse::Sequence> && owns<muse::Session> && owns<muse::Sampler>);
static_assert(owns<muse::Tokenizer> && owns<muse::Agent> && owns<muse::Result> && owns<muse::Generation> && owns<muse::Trace> && owns<muse::Runtime>);

static_assert(owns<muse::Grammar> && owns<muse::Chat> && owns<muse::ChatParser> && owns<muse::Tools> && owns<muse::ToolResult> && owns<muse::Stream> && owns<muse::AudioFeed> && owns<muse::PrefixCache>);
static_assert(!std::is_constructible_v<muse::ChatParser, muse::Chat &, muse::Tokenizer>);   // it must outlive the parser
static_assert(!std::is_constructible_v<muse::view<const std::int32_t>, std::nullptr_t, std::size_t>);   // decode({ 0, 5 })

void ownership()
{
    muse::Image a = picture(), none;
    CHECK(a && !none);
    MuseImage *const raw = a.get();
    muse::Image b = std::move(a);
    CHECK(!a && b.get() == raw);
    none = std::move(b);
    none = std::move(static_cast<muse::Image &>(none));   // to itself
    CHECK(none.get() == raw && none.info().width == 96);
    muse::Image second = none.share();
    none = muse::Image();
    CHECK(second.info().height == 64);
    muse_image_close(std::array<MuseImage *, 1>{ second.release() }.data());
    CHECK(!second);

    muse::Session session(muse::Model{ folder });   // keeps the model alive
    session.sequence().append_text("hi");
    session.prefill();
    CHECK(session.logits().size() == 405 && session.sequence().size() == 2);
    CHECK(session.hidden().size() == 40);
}

void errors()
{
    CHECK(code_of([] { muse::Model("/nowhere"); }) == MUSE_ERR_IO);
    CHECK(code_of([] { muse::Image::memory(std::vector<std::uint8_t>{ 1, 2, 3 }); }) == MUSE_ERR_FORMAT);
    CHECK(code_of([] { muse::Image::pixels(std::vector<std::uint8_t>(11), 2, 2); }) == MUSE_ERR_ARG);
    CHECK(code_of([] { muse::Image::pixels(std::vector<std::uint8_t>(13), 2, 2); }) == MUSE_ERR_ARG);
    CHECK(code_of([] { muse::Image::pixels(std::vector<std::uint8_t>(12), 2, 2, 2); }) == MUSE_ERR_ARG);
    CHECK(code_of([] { muse::Audio::pcm(std::vector<float>(3), 16000, 2); }) == MUSE_ERR_ARG);
    CHECK(code_of([] { muse::Audio("/nowhere"); }) == MUSE_ERR_IO);
    CHECK(code_of([] { muse::Tokenizer().info(); }) == MUSE_ERR_ARG);   // without a handle: an error, as in C
    CHECK(code_of([] { muse::Sequence(muse::defaults<MuseSequenceParams>()).append_rows(std::vector<float>(7), 2); }) == MUSE_ERR_ARG);
    CHECK(code_of([] { muse::Trace::from_json("{"); }) == MUSE_ERR_FORMAT);
    try {
        muse::Model("/nowhere");
    } catch (const std::runtime_error &e) {
        CHECK(std::string(e.what()).find("/nowhere") != std::string::npos);
    }
}

void tokenizer_and_sequence()
{
    const muse::Model model(folder);
    const muse::Tokenizer tok = model.tokenizer();
    const std::vector<std::int32_t> ids = tok.encode("<think>a b", MUSE_TEXT_ADDED);
    CHECK(ids.size() == 4 && tok.is_special(ids[0]) && tok.token(ids[1]) == "a");
    CHECK(tok.decode(ids) == "<think>a b" && tok.find("<think>") == ids[0] && tok.find("no such token") == -1);
    CHECK(tok.info().vocab_size == model.info().vocab && model.memory(10).positions == 10 && model.share().get() == model.get());

    muse::Sequence s = text_sequence(model, tok);
    s.append_text("ab");
    s.append_ids(ids);
    const std::array<std::uint8_t, 32> before = s.hash(s.size());
    s.append_image(picture());
    const std::size_t n = s.size();
    s.append_audio(muse::Audio::pcm(std::vector<std::int16_t>(1600), 16000));
    CHECK(s.span_count() == 4 && s.size() > n && s.span(2).modality == MUSE_IMAGE && s.position(0).bytes[0] == 'a');
    muse::Sequence copy = s.copy();
    s.truncate(6);
    CHECK(s.size() == 6 && copy.size() > n && s.hash(6) == before && copy.hash(6) == before);
    const muse::Picture drawn = copy.draw();
    CHECK(drawn.rgb.size() == std::size_t{ 3 } * drawn.width * drawn.height && drawn.width > 0);
}

void pictures()
{
    const muse::Image image = picture();
    const muse::Picture all = image.rgb(), cut = image.region({ 10, 20, 30, 40 }).rgb();
    CHECK(all.width == 96 && cut.width == 20 && cut.height == 20);
    CHECK(cut.rgb[0] == all.rgb[(20 * 96 + 10) * 3]);
    CHECK(muse::Audio::pcm(std::vector<float>(8000), 8000, 2).info().seconds == 0.5);
}

void sessions()
{
    const muse::Model model(folder);
    std::uint64_t seen = 0;
    int mode = 0;   // 1: stop, 2: throw
    MuseSessionParams p = muse::defaults<MuseSessionParams>();
    p.compute = MUSE_COMPUTE_F32;
    p.chunk = 4;
    muse::Session s(model, p, [&](std::uint64_t done, std::uint64_t) {
        seen = done;
        if (mode == 2) throw Mine();
        return mode == 0;
    });
    s.sequence().append_text("one two three");
    s.prefill();
    const std::size_t n = s.sequence().size();
    CHECK(seen == n && s.info().computed == n);
    const std::vector<std::int32_t> ids{ 70, 71 };
    const std::vector<double> logprobs = s.score(ids);
    CHECK(logprobs.size() == 2 && logprobs[0] < 0);

    muse::Session fork = s.fork();
    muse::Session::step({ &s, &fork }, ids);
    CHECK(s.sequence().size() == n + 1 && fork.sequence().size() == n + 1);
    CHECK(code_of([&] { muse::Session::step({ &s }, ids); }) == MUSE_ERR_ARG);
    fork.step(72);
    s.rewind(n);
    CHECK(s.sequence().size() == n && fork.sequence().size() == n + 2);

    fork.sequence().append_text("and then some more");
    mode = 2;
    CHECK(throws_mine([&] { fork.prefill(); }));   // the fork's prefill runs the same function
    mode = 1;
    CHECK(code_of([&] { fork.prefill(); }) == MUSE_ERR_CANCELLED);
    mode = 0;
    fork.prefill();
    CHECK(!fork.logits().empty());
    s.cancel();
    CHECK(code_of([&] { s.step(70); }) == MUSE_ERR_CANCELLED);
    s = std::move(fork);   // the function lives on with it
    s.sequence().append_text("end");
    s.prefill();
    CHECK(seen == s.sequence().size());
}

void generating()
{
    const muse::Model model(folder);
    muse::Session s(model);
    s.sequence().append_text("one");
    MuseGenerateParams p = muse::defaults<MuseGenerateParams>();
    const std::int32_t none = 0;
    p.max_tokens = 6;
    p.stop_ids = &none;   /* and their number 0: nothing stops it */
    std::string text;
    const muse::Generation all = s.generate(p, [&](const MuseGenerated &t) {
        text.append(t.text, t.n_text);
        return true;
    });
    CHECK(all.text() == text && all.ids().size() == 6 && all.logprobs().size() == 6 && all.finish() == MUSE_FINISH_LENGTH);
    int calls = 0;
    CHECK(throws_mine([&] { s.generate(p, [&](const MuseGenerated &) -> bool { calls++; throw Mine(); }); }));
    CHECK(calls == 1);
    muse::Generation two = s.generate(p, [&](const MuseGenerated &) { return ++calls < 3; });
    CHECK(two.finish() == MUSE_FINISH_CANCELLED && two.ids().size() == 2);
    const muse::Generation moved = std::move(two);
    CHECK(moved.ids().size() == 2 && two.ids().empty());
}

void streaming()
{
    const muse::Model model(folder);
    const muse::PrefixCache cache(model);
    int mode = 0;
    MuseSessionParams sp = muse::defaults<MuseSessionParams>();
    sp.cache = cache.get();
    muse::Session s(model, sp, [&](std::uint64_t, std::uint64_t) -> bool {
        if (mode) throw Mine();
        return true;
    });
    MuseGenerateParams p = muse::defaults<MuseGenerateParams>();
    const std::int32_t none = 0;
    p.max_tokens = 5;
    p.stop_ids = &none;
    s.sequence().append_text("one");
    mode = 1;
    {
        muse::Stream broken(s, p);
        MuseGenerated t;
        CHECK(throws_mine([&] { broken.next(t); }));   // by the prompt's progress function
    }
    mode = 0;
    muse::Session other = s.fork(), third = s.fork();
    muse::Stream stream(s, p);
    std::string text;
    MuseGenerated t;
    for (int i = 0; i < 3 && stream.next(t); i++) text.append(t.text, t.n_text);
    const muse::Generation part = stream.result();
    CHECK(part.ids().size() == 3 && part.finish() == MUSE_FINISH_CANCELLED && code_of([&] { stream.result(); }) == MUSE_ERR_STATE);
    muse::Stream whole(other, p);
    int n = 0;
    while (whole.next(t)) n += t.id >= 0;
    CHECK(n == 5 && whole.result().ids()[0] == part.ids()[0]);
    muse::Session fourth = third.fork();
    const std::vector<muse::Generation> both = muse::Session::generate({ &third, &fourth }, p);
    CHECK(both.size() == 2 && both[0].ids().size() == 5 && both[1].text() == both[0].text());
    CHECK(code_of([&] { muse::Session::generate({ &third, nullptr }, p); }) == MUSE_ERR_ARG);
    CHECK(cache.info().lookups > 0);
}

void watching()
{
    const muse::Model model(folder);
    muse::Session s(model);
    s.sequence().append_text("where");
    MuseWatchParams p = muse::defaults<MuseWatchParams>();
    p.n = 5;
    CHECK(code_of([&] { s.watched(); }) == MUSE_ERR_STATE);
    s.watch(p);
    CHECK(code_of([&] { s.watched(); }) == MUSE_ERR_STATE);   // nothing was computed yet
    s.prefill();
    CHECK(s.watched().n == 5 && s.watched().mean[0] > 0);
    s.unwatch();
    CHECK(code_of([&] { s.watched(); }) == MUSE_ERR_STATE);
}

void grammars()
{
    const muse::Model model(folder);
    const muse::Tokenizer tok = model.tokenizer();
    const muse::Grammar digits = muse::Grammar::regex(tok, "[0-9]{3}"), object = muse::Grammar::schema(tok, R"({"type":"object","properties":{"a":{"type":"boolean"}},"required":["a"]})"),
                        any = muse::Grammar::json(tok), colors = muse::Grammar::choices(tok, { "red", "green" });
    CHECK(digits.match("123") == 0 && digits.match("12") == MUSE_AGAIN && digits.match("x") == MUSE_ERR_NOT_FOUND);
    CHECK(object.match(R"({"a":true})") == 0 && object.match(R"({"b":1})") == MUSE_ERR_NOT_FOUND);
    CHECK(any.match("[1,2]") == 0 && colors.match("green") == 0 && colors.match("gr") == MUSE_AGAIN && digits.info().n_states > 3);
    CHECK(code_of([&] { muse::Grammar::regex(tok, "("); }) == MUSE_ERR_FORMAT && code_of([&] { muse::Grammar::choices(tok, {}); }) == MUSE_ERR_ARG);
    CHECK(code_of([] { muse::Grammar().match("x"); }) == MUSE_ERR_ARG);

    MuseSampleParams sample = muse::defaults<MuseSampleParams>();   // a session writes what it allows
    sample.grammar = colors.get();
    MuseGenerateParams p = muse::defaults<MuseGenerateParams>();
    p.sample = &sample;
    p.max_tokens = 20;
    muse::Session s(model);
    s.sequence().append_text("the color is ");
    const std::string said(s.generate(p).text());
    CHECK(said == "red" || said == "green");
}

void chats()
{
    const muse::Model model(folder);
    const muse::Tokenizer tok = model.tokenizer();
    muse::Chat chat(model);
    CHECK(chat.format() == "muse" && std::string(muse::Chat::format_of(model)) == "muse" && chat.size() == 0);
    CHECK(code_of([&] { chat.prompt(); }) == MUSE_ERR_STATE);
    chat.add(MUSE_ROLE_USER, { picture(), muse::Part("What is this?") });
    CHECK(code_of([&] { chat.add(MUSE_ROLE_USER, { "and", muse::Part(muse::Image()) }); }) == MUSE_ERR_ARG && chat.size() == 1);   // nothing of it is left
    {
        const muse::ChatSegments pieces = chat.render();
        std::size_t pictures = 0;
        std::string text;
        for (const MuseChatSegment &piece : pieces) {
            pictures += piece.kind == MUSE_SEGMENT_IMAGE;
            if (piece.text) text.append(piece.text, piece.n);
        }
        CHECK(pictures == 1 && text.find("What is this?") != std::string::npos && chat.prompt().find("What is this?") != std::string::npos);
    }
    muse::Session s(model);
    chat.append(s.sequence());
    const std::size_t n = s.sequence().size();
    muse::Sequence alone = text_sequence(model, tok);
    chat.append(alone);
    CHECK(alone.size() == n);

    muse::ChatParser parser(chat, tok);   // the prompt ends inside a thought
    const std::vector<std::int32_t> written = tok.encode("hm</think>yes", MUSE_TEXT_ADDED), stops = chat.stop_ids(tok);
    CHECK(!stops.empty() && parser.feed(written) == written.size() && parser.feed(stops) > 0);
    const muse::ChatReply reply = parser.reply();
    CHECK(reply.thought == "hm" && reply.answer == "yes" && reply.end == MUSE_CHAT_STOP && reply.calls.empty());
    chat.add(parser);
    CHECK(chat.size() == 2 && chat.prompt().find("hm</think>yes") != std::string::npos && !chat.close_thought(tok, "so").empty());
    CHECK(code_of([&] { parser.feed(written); }) == MUSE_ERR_STATE);
    muse::ChatParser pieces(chat);
    MuseChatItem item;
    CHECK(!pieces.next(item) && pieces.feed("a") == 1);

    MuseChatParams p = muse::defaults<MuseChatParams>();
    p.format = "qwen3";
    muse::Chat q(p);
    q.add_tool("add", "Two numbers", R"({"type":"object","properties":{"a":{"type":"integer"}}})");
    q.add(MUSE_ROLE_USER, { "2 and 3?" });
    muse::ChatParser calls(q);
    calls.feed("<think>\nadd\n</think>\n\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2}}\n</tool_call>\n<tool_call>\nnonsense\n</tool_call><|im_end|>");
    const muse::ChatReply asked = calls.reply();
    CHECK(asked.calls.size() == 1 && asked.calls[0].name == "add" && asked.calls[0].arguments == R"({"a": 2})" && asked.errors.size() == 1 && asked.end == MUSE_CHAT_TOOLS);
    CHECK(asked.answer.find("nonsense") != std::string::npos);
    q.add(MUSE_ROLE_ASSISTANT);
    q.add_thought("add");
    q.add_call(asked.calls[0], "c1");
    q.add_result("c1", "");
    q.add_json("5");
    CHECK(q.size() == 3 && q.prompt().find("<tool_response>\n5") != std::string::npos);
    q.drop_newest();
    CHECK(q.size() == 2 && code_of([&] { q.add_result("nobody", ""); }) == MUSE_ERR_NOT_FOUND);
    muse::Chat m(model);
    m.add(MUSE_ROLE_ASSISTANT);
    m.add_token("<look>", true);
    CHECK(code_of([&] { m.add_json("1"); }) == MUSE_ERR_STATE && code_of([] { muse::Chat(muse::defaults<MuseChatParams>()); }) == MUSE_ERR_ARG);
}

void tools()
{
    const auto witness = std::make_shared<std::atomic<int>>(0);
    muse::Tools t = muse::Tools::open();
    t.add("echo", "What it is given", R"({"type":"object"})", [witness](std::string_view arguments, muse::ToolReply &reply) {
        ++*witness;
        reply.text(arguments);
        reply.image(picture(8, 8));
    });
    t.add("mine", "", "", [](std::string_view, muse::ToolReply &reply) {
        reply.text("half");
        throw std::runtime_error("the disk is full");
    });
    t.add("ours", "", "", [](std::string_view, muse::ToolReply &) { muse::Image("/nowhere"); });
    t.add("odd", "", "", [](std::string_view, muse::ToolReply &) { throw 5; });
    t.add("long", "", "", [](std::string_view, muse::ToolReply &) {
        std::string words(MUSE_ERROR_TEXT - 2, 'x');
        throw std::runtime_error(words + "\xc3\xa4 and more");
    });
    t.add("memory", "", "", [](std::string_view, muse::ToolReply &) { throw std::bad_alloc(); });
    CHECK(t.size() == 6 && code_of([&] { t.add("echo", "", "", [witness](std::string_view, muse::ToolReply &) {}); }) == MUSE_ERR_ARG);
    CHECK(code_of([&] { t.add("empty", "", "", nullptr); }) == MUSE_ERR_ARG && witness.use_count() == 2);   // what was refused is gone
    std::vector<muse::ToolResult> r = t.run({ { "echo", "{\"a\":1}" }, { "mine", "{}" }, { "ours", "{}" }, { "odd", "{}" }, { "nobody", "{}" }, { "long", "{}" }, { "memory", "{}" } });
    CHECK(r[0].status() == 0 && r[0].text() == "{\"a\":1}" && r[0].parts().size() == 2 && r[0].parts()[1].image && *witness == 1);
    CHECK(r[1].status() == MUSE_ERR_STATE && r[1].text() == "the disk is full" && r[2].status() == MUSE_ERR_IO && r[2].text().find("/nowhere") != std::string::npos);
    CHECK(r[3].status() == MUSE_ERR_STATE && !r[3].text().empty() && r[4].status() == MUSE_ERR_NOT_FOUND);
    CHECK(r[5].text() == std::string(MUSE_ERROR_TEXT - 2, 'x') && r[6].status() == MUSE_ERR_NOMEM);   // no half character
    CHECK(!throws_mine([] { muse::rethrow(); }) && code_of([&] { t.run({}); }) == MUSE_ERR_ARG);

    const auto let_go = std::make_shared<std::atomic<bool>>(false);   // one that overstays its time, behind the set too
    t.add("slow", "", "", [witness, let_go](std::string_view, muse::ToolReply &reply) {
        while (!*let_go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (reply.abandoned()) ++*witness;
    }, 0.02);
    CHECK(t.run({ { "slow", "{}" } })[0].status() == MUSE_ERR_LIMIT && t.running() == 1);
    t = muse::Tools();
    CHECK(witness.use_count() == 3 && *witness == 1);
    *let_go = true;
    r.clear();   // results have their tools too
    while (witness.use_count() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(*witness == 2);

    muse::Chat chat(muse::Model(data + "/golden/gemma4-a/hf"));
    t = muse::Tools::open();
    t.add("now", "The time", "", [](std::string_view, muse::ToolReply &reply) { reply.text("noon"); });
    chat.add_tools(t.get());
    chat.add(MUSE_ROLE_USER, { "When?" });
    CHECK(chat.prompt().find("now") != std::string::npos);
    const muse::Model gemma(data + "/golden/gemma4-a/hf");   // offered to an agent, the prompt grows by it
    MuseAgentParams p = muse::defaults<MuseAgentParams>();
    const std::size_t without = muse::Agent(gemma, { "When?" }, p).info().prompt_tokens;
    p.tools = t.get();
    CHECK(muse::Agent(gemma, { "When?" }, p).info().prompt_tokens > without);
}

void sampling()
{
    MuseSampleParams p = muse::defaults<MuseSampleParams>();
    const std::int32_t never[] = { 2 };
    p.suppress = never;
    p.n_suppress = 1;
    muse::Sampler s(4, p);
    const std::vector<float> logits{ 0, 1, 5, 2 };
    CHECK(s.pick(logits).id == 3 && s.can_end() && !s.must_end());
    s.observe(std::vector<std::int32_t>{ 1 });
    s.accept(3);
    CHECK(s.copy(9).pick(logits).id == 3);
    s.reset();
    CHECK(code_of([&] { s.pick(std::vector<float>(3)); }) == MUSE_ERR_ARG);
    CHECK(code_of([&] { s.accept(4); }) == MUSE_ERR_ARG);
}

void agents()
{
    const muse::Model model(folder);
    const muse::Image image = picture(128, 96);
    int tokens = 0, mode = 0;
    MuseAgentParams p = muse::defaults<MuseAgentParams>();
    p.thought_tokens = 12;
    p.answer_tokens = 6;
    const auto witness = std::make_shared<int>();
    muse::Agent a(model, { image, std::string("Where?") }, p, [&, witness](const MuseReasonEvent &e) {
        tokens += e.kind == MUSE_EVENT_TOKEN;
        if (mode == 2) throw Mine();
        return mode == 0;
    });
    a.prefill();
    muse::Agent b = a.fork(1, 7, 1.0f), c = a.fork(2, 8, 1.0f);
    a.look(1, { 10, 10, 60, 60 });
    muse::Agent::run({ &a, &b });
    CHECK(a.info().finish != MUSE_AGENT_RUNNING && b.info().finish != MUSE_AGENT_RUNNING && tokens > 0);
    CHECK(a.steps().size() == a.info().n_steps && a.steps()[0].kind == MUSE_REASON_LOOK && a.steps()[0].forced);
    CHECK(a.ids().size() >= a.answer().size() / 8 && a.session() && !a.thought().empty());
    mode = 2;
    CHECK(throws_mine([&] { c.run(); }));
    mode = 1;
    CHECK(code_of([&] { c.run(); }) == MUSE_ERR_CANCELLED);
    mode = 0;
    c.run();   // goes on
    CHECK(c.info().finish != MUSE_AGENT_RUNNING);
    CHECK(code_of([&] { c.ask({}); }) == MUSE_ERR_ARG);
    c.ask({ "And now?", picture() });
    c.run();
    CHECK(c.info().finish != MUSE_AGENT_RUNNING && c.info().prompt_tokens > a.info().prompt_tokens);
    CHECK(code_of([&] { a.look(1, { 500, 500, 600, 600 }); }) != 0 && code_of([&] { muse::Agent::run({ &a, nullptr }); }) == MUSE_ERR_ARG);
    a = muse::Agent();
    b = muse::Agent();
    CHECK(witness.use_count() == 2);   // the last fork still has the function
    c = muse::Agent();
    CHECK(witness.use_count() == 1);
}

void reasoning()
{
    const muse::Model model(folder);
    const muse::Image image = picture();
    const muse::Audio audio = muse::Audio::pcm(std::vector<float>(4000, 0.1f), 16000);
    MuseAgentParams agent = muse::defaults<MuseAgentParams>();
    agent.answer_tokens = 8;
    agent.thought_tokens = 8;
    MuseReasonParams p = muse::defaults<MuseReasonParams>();
    p.agent = &agent;
    p.mode = MUSE_MODE_CONTEMPLATING;
    p.agents = 3;
    std::size_t done = 0;
    muse::Result r = muse::reason(model, { image, audio, "How many?" }, p, [&](const MuseReasonEvent &e) {
        done += e.kind == MUSE_EVENT_DONE;
        return true;
    });
    CHECK(done >= 3 && r.agent_count() >= 3 && r.get().n_forks == 3 && r.agent(2).info().number == 2 && r.agreement() >= 0 && r.confidence() <= 1);
    CHECK(r.answered() == !r.candidates().empty());
    muse::Result moved = std::move(r);
    CHECK(moved.agent_count() >= 3 && r.agent_count() == 0 && r.answer().empty());
    for (const int kind : { MUSE_EVENT_TOKEN, MUSE_EVENT_STAGE, MUSE_EVENT_DONE })
        CHECK(throws_mine([&] {
            muse::reason(model, { image, "How many?" }, p, [&](const MuseReasonEvent &e) -> bool {
                if (e.kind == kind) throw Mine();
                return true;
            });
        }));
    CHECK(code_of([&] { muse::reason(model, { "?" }, p, [](const MuseReasonEvent &) { return false; }); }) == MUSE_ERR_CANCELLED);
    CHECK(code_of([&] { muse::reason(model, {}); }) == MUSE_ERR_ARG);
    muse::Trace trace(muse::defaults<MuseTraceParams>(), [&](int, std::uint32_t, std::string_view) { throw Mine(); });
    p.mode = MUSE_MODE_THINKING;
    agent.thought_tokens = 200;
    agent.trace = trace.get();
    CHECK(throws_mine([&] { muse::reason(model, { image, "How many?" }, p); }) && trace.summary().thought_tokens < 200);   // it did not run on
    muse::Trace quiet(muse::defaults<MuseTraceParams>());
    agent.trace = quiet.get();
    CHECK(muse::reason(model, { image, "How many?" }, p).get().thought_tokens == 200 && quiet.step_count() > 0);
    const muse::Result merged = muse::coordinate(model, { image }, { "How many?", "Where?" }, "So?", p);
    CHECK(merged.agent_count() == 3 && merged.get().n_forks == 2);
    CHECK(throws_mine([&] { muse::coordinate(model, {}, { "a" }, "b", p, [](const MuseReasonEvent &) -> bool { throw Mine(); }); }));
    CHECK(code_of([&] { muse::coordinate(model, {}, {}, "b"); }) == MUSE_ERR_ARG);
    const muse::Result last = muse::reason(model, { std::string_view("How many?") });   // nothing is left of the throws before
    CHECK(last.agent_count() == 1);
}

void conversations()
{
    const muse::Model model(folder);
    MuseAgentParams p = muse::defaults<MuseAgentParams>();
    p.thought_tokens = 8;
    p.answer_tokens = 6;
    int heard = 0, stages = 0;
    const auto witness = std::make_shared<int>();
    muse::Agent agent(model, { picture(), muse::Part("What?") }, p, [&, witness](const MuseReasonEvent &) { return ++heard > 0; });
    agent.run();
    MuseReasonParams how = muse::defaults<MuseReasonParams>();
    how.mode = MUSE_MODE_CONTEMPLATING;
    how.agents = 3;
    how.agent = &p;
    for (int turn = 0; turn < 2; turn++) {
        const int before = heard;
        muse::Result r = muse::reason(agent, { "And now?" }, how, [&](const MuseReasonEvent &e) { return stages += e.kind == MUSE_EVENT_STAGE, true; });
        CHECK(heard > before && stages > turn && r.agent_count() == 3 && r.answered() && r.by() < 3);
        const std::string said(r.answer());
        agent = r.take(r.by());
        CHECK(agent.answer() == said && agent.info().number == 0);
        CHECK(code_of([&] { r.take(r.by()); }) == MUSE_ERR_NOT_FOUND && code_of([&] { r.agent(r.by()).info(); }) == MUSE_ERR_ARG);
    }
    CHECK(witness.use_count() == 2);   // it is heard as the first one was
    agent.ask({ "So?" });
    agent.run();
    CHECK(throws_mine([&] { muse::reason(agent, { "?" }, how, [](const MuseReasonEvent &) -> bool { throw Mine(); }); }));
    CHECK(agent.info().finish == MUSE_AGENT_STOPPED && code_of([] { muse::reason(muse::Agent(), { "?" }); }) == MUSE_ERR_ARG);
    muse::Result r = muse::reason(model, { "Hi" }, how);   // and from a result of its own
    agent = r.take(0);
    r = muse::Result();
    CHECK(witness.use_count() == 1 && muse::reason(agent, { "And?" }, how).agent_count() == 3);
}

void traces()
{
    const muse::Image image = picture();
    std::string heard;
    bool bad = false;
    MuseTraceParams p = muse::defaults<MuseTraceParams>();
    p.question = "Where?";
    muse::Trace t(p, [&](int event, std::uint32_t, std::string_view text) {
        if (bad) throw Mine();
        if (event == MUSE_TRACE_BEGUN || event == MUSE_TRACE_TEXT) heard += text;
    });
    CHECK(t.add_image(image, "a.png") == 1);
    MuseTraceStep step = muse::defaults<MuseTraceStep>();
    step.kind = MUSE_STEP_THOUGHT;
    const std::uint32_t first = t.begin(step);
    muse::rethrow();   // nothing is kept
    for (bool asked : { true, false }) {   // a C call of one's own, and whether it is asked what its callback threw
        bad = true;
        CHECK(muse_trace_text(t.get(), first, "x", 1, nullptr) == 0);
        bad = false;
        if (asked) CHECK(throws_mine([] { muse::rethrow(); }));
        CHECK(!throws_mine([&] { t.text(first, ""); }));   // not from another call
    }
    heard.clear();
    t.text(first, "there ");
    t.mark(first, { 1, 0, { 1, 2, 30, 40 } });
    const std::vector<float> values{ 0, 1 };
    t.heat(first, { 1, 2, 1, { 0, 0, 96, 64 }, values.data() });
    t.end(first, 3, 0.5);
    step.text = "then";
    step.n_text = 4;
    bad = true;
    CHECK(throws_mine([&] { t.add(step); }));
    bad = false;
    CHECK(t.step_count() == 2 && heard == "there ");   // the change stays
    CHECK(t.add(step) == 3 && t.step(1).n_marks == 1 && t.step(1).n_heats == 1 && t.step(1).done && heard == "there then");
    MuseTraceSummary sum = muse::defaults<MuseTraceSummary>();
    sum.answer = "here";
    sum.n_answer = 4;
    t.set_summary(sum);
    t.set_names(nullptr, "nano", nullptr);
    CHECK(std::string(muse_trace_model(t.get())) == "nano" && t.question() == "Where?");
    CHECK(t.summary().n_answer == 4 && t.question() == "Where?" && t.image_count() == 1 && std::string(t.image(1).name) == "a.png");

    muse::Trace back = muse::Trace::from_json(t.json());
    CHECK(back.json() == t.json() && !back.image(1).image);
    back.set_image(1, image);
    CHECK(back.html() == t.html() && t.copy().json() == t.json());
    const muse::Picture drawn = t.draw();
    CHECK(drawn.rgb.size() == std::size_t{ 3 } * drawn.width * drawn.height);
    CHECK(code_of([&] { t.step(4); }) == MUSE_ERR_ARG && code_of([&] { t.mark(3, { 1, 0, { -1, 0, 1, 1 } }); }) != 0);
}

/* in pieces as the whole sound, which C cuts */
void feeds()
{
    const muse::Model model(folder);
    const std::vector<std::int16_t> stereo = tone(2 * 12345);
    const muse::Audio audio = muse::Audio::pcm(stereo, 16000, 2);
    MuseFrames *whole = nullptr;
    MuseError err;
    CHECK(muse_audio_frames(&whole, audio.get(), &model.family()->audio, nullptr, nullptr, &err) == 0);
    const std::unique_ptr<MuseFrames, void (*)(MuseFrames *)> owner(whole, [](MuseFrames *f) { muse_frames_close(&f); });
    const MuseAudioPlan *plan = muse_frames_plan(whole);
    muse::AudioFeed first(model, 16000, 2);
    CHECK(first && first.frame_width() == plan->frame_width && first.size() == 0 && first.take().empty() && !first.done());
    std::vector<float> got;
    first.push(muse::view<const std::int16_t>(stereo.data(), 8000));
    muse::AudioFeed feed = std::move(first);
    CHECK(!first && first.size() == 0 && feed.size() > 1);
    const std::size_t ready = feed.size();
    got = feed.take(1);
    CHECK(got.size() == feed.frame_width() && feed.size() == ready - 1);
    for (std::size_t i = 8000; i < stereo.size(); i += 10) feed.push(muse::view<const std::int16_t>(stereo.data() + i, 10));
    CHECK(code_of([&] { feed.push(std::vector<std::int16_t>(3)); }) == MUSE_ERR_ARG && code_of([&] { feed.push(std::vector<float>(2)); }) == MUSE_ERR_ARG);
    feed.finish();
    CHECK(!feed.done() && code_of([&] { feed.push(std::vector<std::int16_t>(2)); }) == MUSE_ERR_STATE);
    const std::vector<float> rest = feed.take();
    got.insert(got.end(), rest.begin(), rest.end());
    CHECK(feed.done() && feed.take().empty());
    CHECK(got.size() == plan->n_frames * plan->frame_width && std::equal(got.begin(), got.end(), muse_frames_data(whole)));
    muse::AudioFeed floats(model.family()->audio, 44100, 1, MUSE_PCM_F32);
    floats.push(std::vector<float>(44100, 0.25f));
    CHECK(floats.size() > 20 && code_of([&] { floats.push(std::vector<float>{ NAN }); }) == MUSE_ERR_FORMAT);
    CHECK(code_of([&] { muse::AudioFeed none(model, 0); }) == MUSE_ERR_ARG && code_of([] { muse::AudioFeed none(muse::Model(), 16000); }) == MUSE_ERR_ARG);
    CHECK(code_of([] { muse::AudioFeed none(muse_family_find("llama")->audio, 16000); }) == MUSE_ERR_UNSUPPORTED);
    CHECK(code_of([] { muse::AudioFeed().push(std::vector<std::int16_t>(2)); }) == MUSE_ERR_ARG && code_of([] { muse::AudioFeed().finish(); }) == MUSE_ERR_ARG && muse::AudioFeed().take().empty());
}

void runtimes()
{
    MuseRuntimeParams p = muse::defaults<MuseRuntimeParams>();
    p.threads = 1;
    const muse::Runtime rt(p);
    CHECK(rt.info().threads == 1);
    const muse::Model model(folder, muse::defaults<MuseModelParams>(), rt.get());
    CHECK(std::string(model.info().family) == "muse");
    p.threads = 4000;
    CHECK(code_of([&] { muse::Runtime over(p); }) == MUSE_ERR_ARG);
}

} // namespace

int main()
{
    static const struct { const char *name; void (*run)(); } cases[] = {
        { "ownership", ownership }, { "errors", errors }, { "tokenizer and sequence", tokenizer_and_sequence }, { "pictures", pictures },
        { "sessions", sessions }, { "generating", generating }, { "streaming", streaming }, { "watching", watching }, { "grammars", grammars }, { "chats", chats }, { "tools", tools }, { "sampling", sampling }, { "agents", agents }, { "reasoning", reasoning },
        { "conversations", conversations }, { "traces", traces }, { "feeds", feeds }, { "runtimes", runtimes },
    };
    int passed = 0, failed = 0;
    for (const auto &c : cases) {
        try {
            c.run();
            passed++;
        } catch (const std::exception &e) {
            std::printf("FAILED %s: %s\n", c.name, e.what());
            failed++;
        }
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
