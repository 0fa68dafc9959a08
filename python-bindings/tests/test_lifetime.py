# SPDX-License-Identifier: Apache-2.0
"""Memory given back, processes that end with everything open."""
import gc
import os
import subprocess
import sys
import textwrap
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
