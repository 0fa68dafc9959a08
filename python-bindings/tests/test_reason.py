# SPDX-License-Identifier: Apache-2.0
"""Asking, agents and tools. The model's weights are random: what is checked is what surrounds its words."""
import signal
import threading
import time

import numpy as np
import pytest
from conftest import MEDIA

import muse

SHORT = {"thought_tokens": 24, "answer_tokens": 8}


def test_an_answer(reasoner, cat):
    answer = reasoner.ask("What is it?", images=[cat], **SHORT)
    agent, = answer.agents
    assert answer.text == agent.answer == str(answer) and answer.confidence == agent.confidence and answer.agreement == 1
    assert agent.thought_tokens <= 24 and agent.answer_tokens <= 8 and agent.finish in ("answered", "length") and agent.ids.dtype == np.int32
    assert answer.steps == agent.steps and answer.seconds > 0 and not answer.candidates
    trace = answer.trace
    assert trace.question == "What is it?" and trace.images[0][1] == (0, 0, *cat.size) and trace.steps[-1].kind == "answer"
    assert trace.summary.answer == answer.text and trace.to_dict()["mode"] == "thinking"
    assert "iframe" in answer._repr_html_()
    again = reasoner.ask("What is it?", images=cat, **SHORT)
    assert again.text == answer.text and again.agents[0].ids.tolist() == agent.ids.tolist()


def test_every_kind_of_part(reasoner, cat):
    one = reasoner.ask("What?", images=[MEDIA / "cat.jpg"], **SHORT)
    assert one.text == reasoner.ask("What?", images=[(MEDIA / "cat.jpg").read_bytes()], **SHORT).text
    for alone in (MEDIA / "cat.jpg", open(MEDIA / "cat.jpg", "rb"), bytearray((MEDIA / "cat.jpg").read_bytes()), cat.rgb(), cat):
        assert reasoner.ask("What?", images=alone, **SHORT).prompt_tokens == one.prompt_tokens
    assert reasoner.ask(images=[cat.rgb(), cat], audio=MEDIA / "speech.flac", **SHORT).prompt_tokens > one.prompt_tokens
    assert reasoner.ask("No picture", mode="instant", **SHORT).agents[0].thought_tokens == 0


def test_auto(reasoner, cat):
    exact = dict(images=[cat], session={"compute": "f32"}, **SHORT)
    auto, thinking, instant = (reasoner.ask("What is it?", mode=mode, **exact) for mode in ("auto", "thinking", "instant"))
    agent, = auto.agents
    assert agent.doubted and instant.text.startswith(agent.direct.rstrip("\ufffd")) and agent.direct_probability < 0.95 and agent.direct_tokens <= instant.answer_tokens
    assert auto.text == thinking.text and agent.thought == thinking.agents[0].thought and auto.answer_tokens == thinking.answer_tokens + agent.direct_tokens
    assert [s.kind for s in agent.steps].count("doubt") == 1 and not instant.agents[0].doubted and auto.trace.to_dict()["mode"] == "auto"
    one = muse.Agent(reasoner, "What is it?", images=[cat], thinking=False, doubt=0.9, **SHORT)
    assert one.run().doubted and one.ask("And?").run().doubted and not one.ask("So?", thinking=False).run().doubted and one.ask("So?", thinking=False, doubt=1).run().doubted
    for bad in ({"mode": "auto", "doubt": 2}, {"mode": "auto", "doubt": -1}):
        with pytest.raises(muse.ArgumentError):
            reasoner.ask("What?", images=[cat], **bad)
    with pytest.raises(muse.ArgumentError):
        muse.Agent(reasoner, "What?", doubt=0.5)


def test_contemplating(reasoner, cat):
    events = []
    answer = reasoner.ask("What?", images=[cat], mode="contemplating", agents=3, seed=5, stop_early=False, event=events.append, **SHORT)
    assert answer.n_forks == len(answer.agents) == 3 and [a.number for a in answer.agents] == [0, 1, 2]
    assert len({a.seed for a in answer.agents}) == 3 and sum(c.count for c in answer.candidates) <= 3
    assert {e.stage for e in events if e.kind == "stage"} >= {"prefill", "think"} and sum(e.kind == "done" for e in events) == 3
    assert max(e.tokens for e in events) == answer.thought_tokens + answer.answer_tokens + sum(a.forced_tokens for a in answer.agents)
    focused = reasoner.ask("What?", images=[cat], mode="contemplating", agents=2, focus=[(1, (0, 0, 50, 50))], **SHORT)
    assert not focused.calibrated and focused.confidence == focused.agreement
    assert focused.agents[1].steps[0].forced and focused.agents[1].steps[0].kind == "look"


def test_refused(reasoner, cat):
    for settings, error in (({"mode": "guessing"}, ValueError), ({"nonsense": 1}, TypeError), ({"session": {"nonsense": 1}}, TypeError), ({"mode": "contemplating", "agents": 999}, muse.ArgumentError),
                            ({"images": ["/nothing.png"]}, muse.FileError), ({"format": "nonsense"}, muse.NotFoundError)):
        with pytest.raises(error):
            reasoner.ask("What?", **settings)
    for name, value in (("agents", 8), ("spread", 0.5), ("views", 2), ("verify", 1), ("agree", 2), ("synthesis", True), ("focus", [(1, (0, 0, 9, 9))])):
        with pytest.raises(muse.ArgumentError, match=f"{name}: only with mode"):
            reasoner.ask("What is it?", images=[cat], **{name: value})
    for question in (None, ""):
        with pytest.raises(muse.ArgumentError, match="give a question"):
            reasoner.ask(question)
    with pytest.raises(TypeError, match="images="):
        reasoner.ask(cat)
    with pytest.raises(TypeError, match="image: help"):
        reasoner.ask("What?", image=cat)


def test_callbacks_that_stop_or_raise(reasoner, cat):
    def fail(event):
        raise KeyError("event")
    with pytest.raises(KeyError, match="event"):
        reasoner.ask("What?", images=[cat], event=fail, **SHORT)
    with pytest.raises(muse.Cancelled):
        reasoner.ask("What?", images=[cat], event=lambda event: True, **SHORT)
    with pytest.raises(KeyError, match="progress"):
        reasoner.ask("What?", session={"progress": lambda done, total: {}["progress"]}, **SHORT)


def test_interrupts_never_vanish(reasoner):
    for k in range(8):
        def work():
            time.sleep(0.002 + 0.001 * k)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        thread = threading.Thread(target=work)
        with pytest.raises(KeyboardInterrupt):
            thread.start()
            while True:
                reasoner.ask("What?", event=lambda event: None, thought_tokens=200, answer_tokens=200)
        thread.join()


# ---- agents ----

def test_stages(reasoner, cat):
    with muse.Agent(reasoner, "What?", images=[cat], **SHORT) as agent:
        agent.prefill()
        fork = agent.fork(1, seed=3)
        agent.look(1, (100, 100, 140, 120))
        with pytest.raises(muse.ArgumentError):
            agent.look(2, (0, 0, 1, 1))
        muse.Agent.run_all([agent, fork])
        info = agent.info
        look = info.steps[0]
        assert look.kind == "look" and look.forced and look.image == 1 and look.shown == 2
        assert look.view == muse.look_view(*cat.size, look.rect) and info.view_positions > 0
        assert fork.info.number == 1 and fork.info.finish != "running"
        assert agent.score(fork) < 0
        with pytest.raises(muse.StateError, match="check"):   # these random words have no thought with an answer
            agent.verify(2)
        with pytest.raises(muse.StateError):
            agent.fork(9)
    assert "closed" in repr(agent)


def test_agents_in_use(reasoner, cat):
    """forks are one thing with what they are forks of; an event function may stop its agent"""
    seen = []

    def hear(event):
        try:
            fork.info
        except muse.BusyError:
            seen.append("busy")
        agent.stop()
    agent = muse.Agent(reasoner, "What?", images=[cat], event=hear, thought_tokens=100)
    agent.prefill()
    fork = agent.fork(1, seed=3)
    assert agent.run().finish == "stopped" and seen and fork.info.finish == "running"
    fork.stop()
    assert fork.info.finish == "stopped"


def test_turns(reasoner, cat):
    agent = muse.Agent(reasoner, "What?", images=[cat], **SHORT)
    with pytest.raises(muse.StateError):
        agent.ask("And?")
    first = agent.run()
    trace = muse.Trace("And?")
    second = agent.ask("And?", thought_tokens=10, trace=trace).run()
    assert len(second.ids) > len(first.ids) and second.thought_tokens <= 10 and trace.steps[-1].kind == "answer" and len(trace.images) == 1


def test_own_traces_say_what_they_are_of(reasoner, cat):
    """what was left open, and nothing else"""
    bare, named = muse.Trace(), muse.Trace("mine", model="a model", mode="a mode")
    for trace, names in ((bare, ("What?", "muse", "thinking")), (named, ("mine", "a model", "a mode"))):
        reasoner.ask("What?", images=[cat], trace=trace, **SHORT)
        assert (trace.question, trace.model, trace.mode) == names
        assert f"<h1 dir=\"auto\">{names[0]}</h1>" in trace.html() and all(name in trace.html() for name in names)
    trace, next_trace, fork_trace = muse.Trace(), muse.Trace(), muse.Trace()
    agent = muse.Agent(reasoner, "What?", trace=trace, **SHORT)
    fork = agent.fork(1)
    agent.run()
    agent.ask("And?", trace=next_trace)
    fork.run()
    fork.ask("And then?", trace=fork_trace)
    assert [(t.question, t.model, t.mode) for t in (trace, next_trace, fork_trace)] == [("What?", "muse", ""), ("And?", "muse", ""), ("And then?", "muse", "")]
    spoken = muse.Trace()
    reasoner.ask(images=[cat], audio=muse.Audio(np.zeros(8000, np.float32), rate=16000), trace=spoken, **SHORT)
    assert spoken.question == ""


def test_traces_while_they_grow(reasoner, cat):
    heard = []
    trace = muse.Trace("mine", listener=lambda event, number, text: heard.append(event))
    answer = reasoner.ask("What?", images=[cat], trace=trace, heat={"layers": [0]}, **SHORT)
    assert answer.trace is trace and trace.question == "mine" and heard[-1] == "end" and heard.count("done") == len(trace)
    heats = [heat for step in trace.steps for heat in step.heats]
    assert heats and heats[-1].values.ndim == 2 and heats[-1].image == 1
    with pytest.raises(TypeError):
        reasoner.ask("What?", heat={"rows": [1]})

    def fail(*event):
        raise KeyError("listener")
    with pytest.raises(KeyError, match="listener"):
        reasoner.ask("What?", images=[cat], trace=muse.Trace(listener=fail), **SHORT)


def test_coordinated_agents(reasoner, cat):
    answer = muse.coordinate(reasoner, ["Which colour?", "Which shape?"], "What is it?", images=[cat], temperature=1, **SHORT)
    assert len(answer.agents) == 3 and answer.text == answer.agents[2].answer and answer.trace.question == "What is it?"
    again = muse.coordinate(reasoner, ["Which colour?", "Which shape?"], "What is it?", images=[cat], temperature=1, **SHORT)
    assert [a.ids.tolist() for a in again.agents] == [a.ids.tolist() for a in answer.agents]
    other = muse.coordinate(reasoner, ["Which colour?", "Which shape?"], "What is it?", images=[cat], temperature=1, seed=7, **SHORT)
    assert [a.ids.tolist() for a in other.agents] != [a.ids.tolist() for a in answer.agents]
    for bad, error in (({"mode": "contemplating"}, muse.ArgumentError), ({"nonsense": 1}, TypeError)):
        with pytest.raises(error):
            muse.coordinate(reasoner, ["a"], "b", images=[cat], **bad)
    with pytest.raises(muse.ArgumentError):
        muse.coordinate(reasoner, [], "b", images=[cat])
    with pytest.raises(TypeError, match="a list"):
        muse.coordinate(reasoner, "ab", "b", images=[cat])
    with pytest.raises(ValueError, match="null byte"):
        muse.coordinate(reasoner, ["a\0b"], "b")


def test_vote():
    first, second = muse.vote(["2", "two", " 2 "], [0.5, 0.9, 0.6])
    assert (first.count, first.answer) == (2, " 2 ") and second.answer == "two"
    assert first.weight == pytest.approx(1.1 / 2)
    with pytest.raises(ValueError):
        muse.vote(["a"], [])
    with pytest.raises(muse.ArgumentError):
        muse.vote(["a"], [-1])


# ---- tools ----

def test_a_conversation(reasoner, cat):
    """going on from an answer, and asking in the midst of a conversation, alone or with several"""
    exact = dict(session={"compute": "f32"}, **SHORT)
    assert reasoner.ask("What is it?", images=[cat], **exact).agent is None
    first = reasoner.ask("What is it?", images=[cat], keep=True, **exact)
    alone = muse.Agent(reasoner, "What is it?", images=[cat], thinking=True, **exact)
    assert first.agent.info.answer == first.text == alone.run().answer and "agent=" not in repr(first)
    thought = first.agent.ask("And now?", thinking=True).run()
    assert thought.ids.tolist() == alone.ask("And now?", thinking=True).run().ids.tolist()
    events = []
    second = reasoner.ask("Sure?", after=first.agent, mode="contemplating", agents=3, stop_early=False, thought_tokens=11, event=events.append)
    assert second.n_forks == 3 and second.agents[0].ids.tolist()[:11] == alone.ask("Sure?", thinking=True, thought_tokens=11).run().ids.tolist()[:11]
    assert second.agents[0].thought_tokens <= 11 and second.prompt_tokens > thought.prompt_tokens and {e.kind for e in events} == {"stage"}
    assert len(second.trace.images) == 1 and second.trace.to_dict()["mode"] == "contemplating" and {s.agent for s in second.trace.steps} == {0, 1, 2, 3}
    assert first.agent.info.finish == "stopped" and second.agent.info.answer == second.text
    third = reasoner.ask("So?", after=second.agent, mode="instant", images=[cat])
    assert third.agents[0].thought_tokens == 0 and third.prompt_tokens > second.prompt_tokens and len(third.trace.images) == 2
    first.agent.close()   # the others go on
    assert third.agent.ask("And?").run().answer_tokens and reasoner.ask("Once more?", after=second.agent, mode="instant").text is not None
    for wrong, error in (({"system": "x"}, muse.ArgumentError), ({"views": 2, "mode": "contemplating"}, muse.ArgumentError), ({"tools": [print]}, muse.ArgumentError), ({"nonsense": 1}, muse.ArgumentError)):
        with pytest.raises(error, match=f"{next(iter(wrong))}: not with after="):
            reasoner.ask("Why?", after=third.agent, **wrong)
    with pytest.raises(TypeError, match="after is an Agent"):
        reasoner.ask("Why?", after=third)
    busy = []

    def ask_inside(event):
        with pytest.raises(muse.BusyError):
            reasoner.ask("Why?", after=third.agent)
        busy.append(event)
    assert reasoner.ask("Why?", after=third.agent, mode="instant", event=ask_inside).agent.info.finish != "running" and busy
    with pytest.raises(muse.Cancelled):
        reasoner.ask("Why?", after=third.agent, mode="instant", event=lambda event: True)
    assert reasoner.ask("Why?", after=third.agent, mode="instant").text is not None   # it can still be asked


def test_tools(cat):
    def add(a, b):
        """Adds."""
        return {"sum": a + b}

    def show():
        return ["a cat", cat]

    def refuse():
        raise muse.ToolError("not today")
    tools = muse.Tools().add(add).add(show).add(refuse).add(lambda: time.sleep(30), name="slow", timeout=0.05)
    text, pictures, refused, slow, unknown = tools.run([("add", {"a": 1, "b": 2}), ("show", {}), ("refuse", {}), ("slow", {}), ("none", {})])
    assert text == ['{"sum": 3}'] and pictures[0] == "a cat" and pictures[1].size == cat.size
    assert refused == ["not today"] and "no tool" in unknown[0] and slow
    for bad in ("", "with space"):
        with pytest.raises(muse.ArgumentError):
            tools.add(add, name=bad)
    assert "'c'" in tools.run([("add", {"a": 1, "b": 2, "c": 3})])[0][0] and "'b'" in tools.run([("add", {"a": 1})])[0][0]   # for the model to read
    with pytest.raises(TypeError):   # the function's own error
        tools.run([("add", {"a": 1, "b": "2"}), ("add", {"a": "1", "b": 2})])
    assert tools.run([("add", {"a": 1, "b": 1})]) == [['{"sum": 2}']]   # the second one of before is forgotten
    assert tools.add(lambda: [], name="nothing").run([("nothing", {})]) == [["[]"]]


def test_tools_of_a_model(gemma, cat):
    tools = muse.Tools().add(lambda: "x", name="look_up", description="Looks up", parameters={"type": "object", "properties": {}})
    with_tools = gemma.ask("What?", images=[cat], tools=tools, **SHORT)
    assert with_tools.prompt_tokens > gemma.ask("What?", images=[cat], **SHORT).prompt_tokens
