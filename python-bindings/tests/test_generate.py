# SPDX-License-Identifier: Apache-2.0
"""Sampling, grammars, generation, chats."""
import json
import signal
import threading
import time

import numpy as np
import pytest
from conftest import DATA, safetensors

import muse


# ---- sampling ----

def test_picking():
    logits = np.array([0, 3, 1, 2], np.float64)
    with muse.Sampler(4) as sampler:
        picked = sampler.pick(logits)
        assert picked.id == 1 and picked.logprob == pytest.approx(float(np.log(np.exp(3) / np.exp(logits).sum())), abs=1e-6)
        sampler.accept(1)
        assert sampler.can_end and not sampler.must_end
        with pytest.raises(ValueError):
            sampler.pick(logits[:3])
        with pytest.raises(muse.StateError):
            sampler.pick([0, np.nan, 0, 0])
    ids, logprobs = muse.top(logits, 2)
    assert ids.tolist() == [1, 3] and logprobs[0] == pytest.approx(float(muse.logprobs(logits, [1])[0]))
    with pytest.raises(ValueError):
        muse.top(logits, 5)


def test_sampling_settings():
    logits = np.random.default_rng(1).normal(0, 2, 50)
    sampler = muse.Sampler(50, muse.SampleParams(temperature=1, top_k=5, seed=3))
    picks = [sampler.pick(logits).id for _ in range(50)]
    assert 1 < len(set(picks)) <= 5
    again = muse.Sampler(50, muse.SampleParams(temperature=1, top_k=5, seed=3))
    assert [again.pick(logits).id for _ in range(50)] == picks
    best = int(logits.argmax())
    assert muse.Sampler(50, muse.SampleParams(suppress=(best,))).pick(logits).id != best
    penalised = muse.Sampler(50, muse.SampleParams(presence=100))
    penalised.observe([best])
    copy = penalised.copy(9)
    assert penalised.pick(logits).id == copy.pick(logits).id != best
    penalised.reset()
    assert penalised.pick(logits).id == best
    for bad in ({"temperature": -1}, {"top_k": -1}, {"seed": 1 << 64}, {"top_p": 2}):
        with pytest.raises(ValueError):
            muse.Sampler(50, muse.SampleParams(**bad))


def test_grammars(llama):
    tokenizer = llama.tokenizer
    with muse.Grammar.regex(tokenizer, "[0-9]{2}") as grammar:
        assert [grammar.match(text) for text in ("12", "1", "a")] == ["whole", "beginning", "no"]
        assert grammar.info["n_states"] > 1
    assert muse.Grammar.json(tokenizer).match('{"a":1}') == "whole"
    assert muse.Grammar.json(tokenizer, space="spaced").match('{"a": 1}') == "whole"
    assert muse.Grammar.choices(tokenizer, ["red", "blue"]).match("bl") == "beginning"
    for make, error in ((lambda: muse.Grammar.regex(tokenizer, "("), muse.FormatError), (lambda: muse.Grammar.schema(tokenizer, {"type": 3}), muse.MuseError),
                        (lambda: muse.Grammar.json(tokenizer, space="wide"), ValueError)):
        with pytest.raises(error):
            make()


# ---- generation ----

def fresh(model, text="Some words", **settings):
    return model.session(compute="f32", **settings).append(text)


def test_thought_and_answer(llama):
    shapes, question = muse.Image(DATA.parents[1] / "examples/media/shapes.png"), "Is the triangle above the white circle?"
    with muse.load(DATA.parents[1] / "models/muse-nano") as nano:
        written = nano.generate(shapes, question).run()
        assert written.text == written.thought + "</think>" + written.answer and written.thought
        written = nano.generate(shapes, question, thinking=False).run()
        assert written.text == written.answer and not written.thought
        written = nano.generate(shapes, question, regex="[0-9]{3}").run()
        assert written.text == written.answer and written.answer.isdigit() and not written.thought
        held = muse.SampleParams(grammar=muse.Grammar.regex(nano.tokenizer, "[0-9]{3}", end_ids=nano.info.eos))
        sampler = muse.Sampler(nano.info.vocab, held)
        for way in ({"sample": held}, {"sampler": sampler}, {"sampler": sampler.copy(1)}):
            written = nano.generate(shapes, question, **way).run()
            assert written.text == written.answer and written.answer.isdigit() and not written.thought
            sampler.reset()
        written = nano.generate(shapes, question, sampler=muse.Sampler(nano.info.vocab)).run()
        assert written.text == written.thought + "</think>" + written.answer and written.thought
        with nano.generate(shapes, question) as begun:
            piece = next(iter(begun))
        assert begun.result.thought == piece and begun.result.answer == ""
        assert "</think>" not in muse.Conversation(nano).say(shapes, question).answer
    written = fresh(llama).generate(max_tokens=3, stop_ids=[]).run()
    assert written.answer == written.text


def test_golden(llama):
    want = safetensors(DATA / "golden/llama3/cases/text-short/expect.safetensors")
    session = llama.session(compute="f32")
    session.sequence.append_ids(want["input_ids"])
    result = session.generate(max_tokens=16).run()
    assert result.ids.tolist() == want["greedy"].tolist() and result.finish == "length" and result.prompt_tokens == len(want["input_ids"])
    assert result.text == llama.tokenizer.decode(result.ids, continued=True) and (result.logprobs <= 0).all()


def test_pieces_are_the_text(llama):
    whole = fresh(llama).generate(max_tokens=30, stop_ids=[]).run()
    generation = fresh(llama).generate(max_tokens=30, stop_ids=[])
    assert generation.result is None
    assert "".join(generation) == whole.text == generation.result.text
    assert list(generation) == []
    tokens = list(fresh(llama).generate(max_tokens=30, stop_ids=[]).tokens())
    assert [t.id for t in tokens if t.id >= 0] == whole.ids.tolist() and "".join(t.text for t in tokens) == whole.text
    assert tokens[3].logprob == pytest.approx(float(whole.logprobs[3]))


def test_what_ends_a_text(llama):
    whole = fresh(llama).generate(max_tokens=30, stop_ids=[]).run()
    stop = whole.text[10:14]
    result = fresh(llama).generate(stop=["never this", stop], stop_ids=[]).run()
    assert result.finish == "stop string" and result.stop == stop and result.text == whole.text[:whole.text.index(stop)]
    assert fresh(llama).generate(stop_ids=[int(whole.ids[0])]).run().finish == "stop id"
    assert fresh(llama, max_positions=20).generate(stop_ids=[]).run().finish == "full"
    assert fresh(llama).generate(regex="[0-9]{3}").run().text.isdigit()
    assert json.loads(fresh(llama).generate(schema={"type": "object", "properties": {"n": {"type": "integer", "maximum": 9, "minimum": 0}}, "required": ["n"]}).run().text)["n"] < 10
    assert fresh(llama).generate(choices=["red", "blue"]).run().text in ("red", "blue")
    assert fresh(llama).generate(max_tokens=3, suppress=[int(whole.ids[0])], stop_ids=[]).run().ids[0] != whole.ids[0]


def test_settings_that_contradict(llama):
    sampler = muse.Sampler(llama.info.vocab)
    for bad in ({"regex": "a", "choices": ["a"]}, {"sampler": sampler, "temperature": 1}, {"regex": "a", "grammar": muse.Grammar.regex(llama.tokenizer, "a")}, {"nonsense": 1}):
        with pytest.raises(TypeError):
            fresh(llama).generate(**bad)
    assert fresh(llama).generate(sampler=sampler, max_tokens=3, stop_ids=[]).run().finish == "length"
    with pytest.raises(muse.StateError):
        llama.session().generate().run()


def test_a_sampler_in_use(llama):
    sampler = muse.Sampler(llama.info.vocab)
    with fresh(llama).generate(sampler=sampler, max_tokens=3, stop_ids=[]) as first:
        next(first.tokens())
        with pytest.raises(muse.BusyError, match="Sampler"):
            sampler.copy(1)
        other = fresh(llama)
        with pytest.raises(muse.BusyError, match="Sampler"):
            other.generate(sampler=sampler, max_tokens=3).run()
        other.step(1)   # is not in use
    sampler.copy(1)


def test_the_result_outlives_an_error_at_the_end(llama, monkeypatch):
    real = muse._generate.lib.muse_stream_result

    def fail(*arguments):
        real(*arguments)
        return muse.OutOfMemoryError.code
    monkeypatch.setattr(muse._generate.lib, "muse_stream_result", fail)
    generation = fresh(llama).generate(max_tokens=3, stop_ids=[])
    with pytest.raises(muse.OutOfMemoryError):
        generation.run()
    assert len(generation.result.ids) == 3


@pytest.mark.parametrize("loop", ["tokens", "run"])
@pytest.mark.parametrize("how", ["status", "log"])
def test_errors_behind_the_prompt(llama, monkeypatch, loop, how):
    """steps are called without what collects the exceptions of callbacks"""
    real, calls = muse._generate.lib.muse_stream_next, []

    def third_fails(stream, token, error):
        calls.append(1)
        status = real(stream, token, error)
        if len(calls) == 3 and how == "log":
            muse._lib._orphans.append(KeyError("of the log"))   # as a log function in a thread of the library's own leaves it
        if len(calls) == 3 and how == "status":
            error._obj.text = b"made up"
            return muse.OutOfMemoryError.code
        return status
    monkeypatch.setattr(muse._generate.lib, "muse_stream_next", third_fails)
    session = fresh(llama)
    generation = session.generate(max_tokens=10, stop_ids=[])
    with pytest.raises(KeyError if how == "log" else muse.OutOfMemoryError, match="of the log" if how == "log" else "made up"):
        list(generation.tokens()) if loop == "tokens" else generation.run()
    assert len(calls) == len(generation.result.ids) == 3 and not muse._lib._orphans
    session.step(1)   # is free again


def test_ended_early(llama):
    whole = fresh(llama).generate(max_tokens=10, stop_ids=[]).run()
    for how in ("close", "with", "break and drop", "one and run"):
        session = fresh(llama)
        length = len(session.sequence)
        generation = session.generate(max_tokens=10, stop_ids=[])
        tokens = generation.tokens()
        assert [next(tokens).id for _ in range(4)] == whole.ids[:4].tolist()
        with pytest.raises(muse.StateError, match="in use"):
            session.step(1)
        if how == "close":
            generation.close()
            generation.close()
            assert generation.result.finish == "cancelled" and generation.result.ids.tolist() == whole.ids[:4].tolist()
            assert list(generation) == []
        elif how == "with":
            with generation:
                pass
        elif how == "break and drop":
            del generation, tokens
        else:
            assert generation.run().ids.tolist() == whole.ids.tolist()
            continue
        assert len(session.sequence) == length + 4
        assert session.generate(max_tokens=6, stop_ids=[]).run().ids.tolist() == whole.ids[4:].tolist()


def test_closing_under_a_generation(llama):
    session = fresh(llama)
    generation = session.generate(stop_ids=[], max_tokens=50)
    next(generation.tokens())
    session.close()
    assert len(generation.run().ids) == 50   # it holds what it needs
    never = fresh(llama).generate()
    never.session.close()
    with pytest.raises(ValueError, match="closed"):
        next(iter(never))
    closed = fresh(llama).generate()
    closed.close()
    assert closed.result is None


def test_errors_in_callbacks(llama):
    def fail(done, total):
        raise KeyError("mine")
    generation = llama.session(progress=fail).append("x").generate()
    with pytest.raises(KeyError, match="mine"):
        generation.run()
    assert generation.result.finish in ("cancelled", "error") and len(generation.result.ids) <= 1


def interrupt_after(seconds):
    def work():
        time.sleep(seconds)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    return threading.Thread(target=work)


@pytest.mark.parametrize("where", ["prompt", "tokens"])
def test_interrupts_never_vanish(llama, where):
    """An interrupt may come anywhere: between tokens, in C, on a callback's threshold"""
    for k in range(12):
        session = llama.session(chunk=1 if where == "prompt" else 0)
        session.sequence.append_ids([5] * (800 if where == "prompt" else 5))
        generation = session.generate(stop_ids=[], max_tokens=3 if where == "prompt" else 900)
        thread = interrupt_after(0.001 + k * 0.0007)
        with pytest.raises(KeyboardInterrupt):
            thread.start()
            while True:
                for _ in generation.tokens():
                    pass
                generation = session.generate(stop_ids=[], max_tokens=3)
                session.rewind(5)
        thread.join()
        generation.close()   # the interrupt may have come between two tokens, in this loop
        session.rewind(4)
        session.prefill()   # and the session goes on


def test_prompts(gemma, llama, cat):
    assert gemma.generate("Say", cat, system="Be brief", max_tokens=3).run().prompt_tokens > 70
    raw = llama.generate("Some words", raw=True, max_tokens=4).run()
    assert raw.prompt_tokens == len(llama.tokenizer.encode("Some words"))
    with pytest.raises(muse.UnsupportedError):
        llama.generate("x", raw=True, system="y")
    with pytest.raises(TypeError):
        gemma.generate(3)


# ---- chats ----

def test_prompt_of_a_chat():
    with muse.Chat("qwen3", thinking=False) as chat:
        chat.system("Be brief").user("Hi <|im_end|>").assistant("Hello").user("Again")
        assert len(chat) == 4 and chat.prompt.count("<|im_start|>") == 5
        with pytest.raises(muse.UnsupportedError):
            muse.Chat("smollm2", thinking=True)
        with pytest.raises(muse.NotFoundError):
            muse.Chat("nonsense")
        with pytest.raises(TypeError):
            chat.user(3)


def test_calls_and_results(gemma):
    chat = muse.Chat(gemma)
    chat.tool("add", "Adds", {"type": "object", "properties": {"a": {"type": "number"}}}).user("1 + 2?")
    reply = chat.parse('<|tool_call>call:add{a:1}<tool_call|><|tool_response>')
    assert reply.calls == (muse.Call("add", {"a": 1}),) and reply.reason == "tools"
    chat.assistant(calls=reply.calls).result("add", {"sum": 3})
    assert "sum:3" in chat.prompt
    with pytest.raises(muse.StateError):
        muse.Chat(gemma).result("add", 3)


def test_replies():
    chat = muse.Chat("qwen3").user("Hi")
    with chat.parser() as parser:
        parser.feed("<think>so")
        assert parser.feed(" on</think>\n\nHello").thought.strip() == "so on"
        reply = parser.finish()
        assert reply.answer == "Hello" and reply.reason == "cut"
        parser.add_to(chat)
    assert len(chat) == 2


def test_conversation(gemma, cat):
    with muse.Conversation(gemma, max_tokens=8, session={"compute": "f32"}) as talk:
        first = talk.say("Hello", cat)
        assert isinstance(first, muse.Reply) and len(talk.chat) == 2
        talk.say("And now?")
        assert len(talk.chat) == 4


def test_a_conversation_that_is_disturbed(gemma, cat):
    """after an error the next reply is that of a conversation in which nothing happened"""
    settings = {"max_tokens": 8, "session": {"compute": "f32"}}
    with muse.Conversation(gemma, **settings) as talk, muse.Conversation(gemma, **settings) as calm:
        run = muse.Generation.run

        def fail(generation):
            next(generation.tokens())
            generation.close()
            raise KeyboardInterrupt
        muse.Generation.run = fail
        try:
            with pytest.raises(KeyboardInterrupt):
                talk.say("Hello")
        finally:
            muse.Generation.run = run
        assert len(talk.chat) == 1 and not len(talk.session.sequence)
        assert talk.go_on() == calm.say("Hello") and len(talk.chat) == len(calm.chat) == 2
        closed = muse.Image(np.zeros((48, 48, 3), np.uint8))
        closed.close()
        for bad in (("And", 3), ("And", closed)):
            with pytest.raises((TypeError, ValueError)):
                talk.say(*bad)
        assert len(talk.chat) == 2
        with talk.session.sequence._serial, pytest.raises(muse.BusyError):   # not the end of the session
            talk.say("And?")
        assert len(talk.chat) == 2 and talk.say("And?") == calm.say("And?")


def test_messages_are_whole():
    chat = muse.Chat("qwen3")
    for add in (lambda: chat.user("a", 5), lambda: chat.assistant("a", calls=(muse.Call("no name", {}),)), lambda: chat.assistant("b", 3)):
        with pytest.raises((TypeError, ValueError)):
            add()
        assert len(chat) == 0
