# SPDX-License-Identifier: Apache-2.0
"""Memory given back, processes that end with everything open."""
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import numpy as np
import pytest
from conftest import DATA, HERE, MEDIA, rss

import muse


def grows(work, rounds):
    """bytes of memory that so many rounds add, after some to warm up"""
    for _ in range(rounds):
        work()
    before = rss()
    for _ in range(rounds):
        work()
    return rss() - before


def test_opens_and_closes_leave_nothing(llama, cat):
    data, pixels, pcm = (MEDIA / "cat.jpg").read_bytes(), cat.rgb(), np.zeros(16000, np.int16)

    def media():
        muse.Image(data).rgb()
        muse.Image(pixels).close()
        muse.Sequence("gemma4_unified").append(muse.Image(pixels.copy(), copy=False), muse.Audio(pcm.copy(), rate=16000, copy=False))
        with muse.Sequence("gemma4_unified") as sequence:
            sequence.append(muse.Audio(pcm, rate=16000))
            sequence.draw()
        with pytest.raises(muse.FormatError):
            muse.Image(b"nonsense")

    def sessions():
        session = llama.session()
        session.append("Some words")
        for _ in session.generate(max_tokens=5, regex="[a-z]*"):
            break
        session.fork().close()
        llama.tokenizer.decode(llama.tokenizer.encode("Some words"))

    def models():
        with muse.load(DATA / "golden/llama3/hf") as model:
            model.session().append("x").prefill()
    for work, rounds in ((media, 60), (sessions, 60), (models, 20)):
        assert grows(work, rounds) < 4 << 20, work.__name__


def test_functions_of_tools_go_with_what_uses_them(gemma):
    class Thing:
        def __init__(self, wait=None):
            self.wait = wait

        def look_up(self):
            started.set()
            return self.wait.wait(30) if self.wait else 1
    started, go_on = threading.Event(), threading.Event()

    def gone(thing):   # the thread of a call may still be at its end
        until = time.monotonic() + 10
        while thing() and time.monotonic() < until:
            time.sleep(0.001)
        return thing() is None

    def tools_of(thing, **settings):
        tools = muse.Tools().add(thing.look_up, **settings)
        with pytest.raises(muse.ArgumentError):
            tools.add(thing.look_up)   # refused: its name is taken
        return tools, weakref.ref(thing)
    gc.disable()
    try:
        tools, thing = tools_of(Thing())
        assert tools.run([("look_up", {})]) == [["1"]] and thing()
        tools.close()
        assert gone(thing)
        tools, thing = tools_of(Thing())
        agent = muse.Agent(gemma, "What?", tools=tools)
        del tools
        fork = agent.fork(1)
        agent.close()
        assert thing()   # a fork may call it
        fork.close()
        del agent, fork
        assert thing() is None
        started.clear()
        tools, thing = tools_of(Thing(go_on), timeout=0.05)
        assert "no result" in tools.run([("look_up", {})])[0][0] and started.wait(10)
        del tools
        assert thing()       # the call hangs
        go_on.set()
        assert gone(thing)
    finally:
        gc.enable()
    owner = Thing()
    owner.tools, thing = tools_of(owner)   # a cycle
    del owner
    gc.collect()
    assert thing() is None


def test_nothing_waits_for_the_cycle_collector(llama):
    gc.disable()
    try:
        session = llama.session(progress=lambda done, total: 0)
        session.append("Some words")
        generation = session.generate(max_tokens=3)
        next(generation.tokens())
        owner = weakref.ref(session._own)
        del session, generation
        assert owner() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("last", [
    "generation = session.generate(stop_ids=[]); next(generation.tokens())",
    "tokens = session.generate(stop_ids=[]).tokens(); next(tokens)",
    "view = session.logits; session.close(); model.close()",
    "import threading; threading.Thread(target=lambda: session.generate(stop_ids=[], max_tokens=200).run()).start()",
    "import threading; threading.Thread(target=lambda: session.generate(stop_ids=[], max_tokens=100000).run(), daemon=True).start()",
    "session.cycle = session; sequence = session.sequence",
    "session.watch(count=2); session.step(5); weights = session.watched.weights; hidden = session.hidden; session.cycle = session",
    "import numpy; image = muse.Image(numpy.zeros((9, 9, 3), numpy.uint8), copy=False); sequence = muse.Sequence('gemma4_unified').append(image); sequence.cycle = sequence; del image",
    "raise SystemExit(0)",
])
def test_the_process_may_end_at_any_time(last):
    code = textwrap.dedent(f"""
        import muse
        model = muse.load({str(DATA / 'golden/llama3/hf')!r})
        session = model.session(progress=lambda done, total: 0)
        session.append("Some words")
        session.prefill()
        chat = muse.Chat("llama3").user("x")
        """) + last
    env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    out = subprocess.run([sys.executable, "-X", "dev", "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert (out.returncode, out.stderr) == (0, "")
