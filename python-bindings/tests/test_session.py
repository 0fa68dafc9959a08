# SPDX-License-Identifier: Apache-2.0
"""Models and sessions: golden logits, steps, forks, files, watches, callbacks, closing."""
import re
import threading

import numpy as np
import pytest
from conftest import DATA, MEDIA, safetensors

import muse


def case(checkpoint, name):
    return safetensors(DATA / "golden" / checkpoint / "cases" / name / "expect.safetensors")


def test_model(gemma, llama):
    info = gemma.info
    assert (info.family, info.format, info.modalities) == ("gemma4_unified", "safetensors", ("text", "image", "audio"))
    assert sum(info.types.values()) == pytest.approx(info.weights_bytes, rel=0.01) and info.eos and gemma.chat_format == "gemma4_unified"
    assert llama.modalities == ("text",) and llama.family == "llama" and "llama" in repr(llama)
    assert sum(t.bytes for t in llama.tensors) == llama.info.file_bytes - 8 - header_bytes(llama.tensors[0].file)
    assert llama.memory(100).kv_16 < llama.memory(1000).kv_16
    assert llama.tokenizer is llama.tokenizer
    with muse.load(DATA / "golden/llama3/gguf/model-bf16.gguf", threads=1, cpu_level="c") as other:
        assert other.info.format == "gguf"
    with pytest.raises(muse.FileError, match="nothing"):
        muse.load("/nothing")
    for path in sorted((DATA / "bad/model").iterdir())[:20]:
        with pytest.raises(muse.MuseError):
            muse.load(path)


def test_a_model_shows_itself(gemma, tmp_path):
    page = gemma._repr_html_()
    rows = dict(re.findall(r"<th[^>]*>([^<]*)</th><td[^>]*>([^<]*)</td>", page))
    info, memory = gemma.info, gemma.memory(gemma.info.context_limit)
    assert rows["family"] == "gemma4_unified (safetensors)" and rows["takes"] == "text, image, audio" and rows["parameters"] == f"{info.n_parameters:,}"
    assert "window 16" in rows["layers"] and rows["vocabulary"] == "512 ids" and rows["types"] == "BF16 910.8 KiB"
    need = rows["memory for 4,096 positions"]   # what C says of them
    assert need.startswith(f"{(memory.weights + memory.kv_16 + memory.workspace) / 2**20:.1f} MiB with keys and values in bf16, {(memory.weights + memory.kv_8 + memory.workspace) / 2**20:.1f} MiB in 8 bit")
    (tmp_path / "<b>").write_bytes((DATA / "golden/llama3/hf/config.json").read_bytes())
    with muse.load(tmp_path / "<b>", weights="none") as shape:
        assert "<b>" not in shape._repr_html_() and "&lt;b&gt;" in shape._repr_html_()
    assert shape._repr_html_() is None


def test_models_without_weights(llama):
    config = DATA / "golden/llama3/hf/config.json"
    with muse.load(config, weights="none") as shape, muse.load(config, weights="random", threads=1) as drawn:
        assert shape.info.n_parameters == drawn.info.n_parameters == llama.info.n_parameters
        session = drawn.session()
        session.sequence.append_ids([1, 2])
        session.prefill()
        assert np.isfinite(session.logits).all()
    with pytest.raises(ValueError):
        muse.load(config, weights="good")


def header_bytes(path):
    with open(path, "rb") as file:
        return int.from_bytes(file.read(8), "little")


@pytest.mark.parametrize("checkpoint", ["llama3", "gemma4-a"])
def test_golden_logits(checkpoint, llama, gemma):
    want = case(checkpoint, "text-short")
    with (llama if checkpoint == "llama3" else gemma).session(compute="f32") as session:
        session.sequence.append_ids(want["input_ids"])
        session.prefill()
        logits = session.logits
        expected = want.get("logits", want.get("logits.A"))[-1]
        np.testing.assert_allclose(logits, expected, atol=2e-3 * np.abs(expected).max())
        for id in want["greedy"][:4].tolist():
            logits = session.logits.copy()
            logits[list(session.model.info.suppressed)] = -np.inf
            assert int(logits.argmax()) == id
            session.step(id)


def test_logits_are_a_view(llama):
    session = llama.session()
    with pytest.raises(muse.StateError):
        session.logits
    session.append("Hello")
    session.prefill()
    one, two = session.logits, session.logits
    assert np.shares_memory(one, two) and not one.flags.writeable and one.shape == (llama.info.vocab,)
    before = one.copy()
    session.step(5)
    assert not np.array_equal(before, session.logits)
    last = session.logits
    session.close()
    assert np.isfinite(last).all()   # the view holds the memory
    with pytest.raises(ValueError, match="closed"):
        session.logits
    with pytest.raises(ValueError, match="closed"):
        session.sequence.append("more")


def test_hidden_states_are_views(llama, tmp_path):
    want, states = case("llama3", "text-short"), []
    session = llama.session(compute="f32", stage=lambda name, first, rows: states.append(rows) if name == "final_norm" else None)
    session.sequence.append_ids(want["input_ids"])
    with pytest.raises(muse.StateError):
        session.hidden
    session.prefill()
    one = session.hidden
    np.testing.assert_allclose(one, want["final_norm"][-1], atol=2e-3 * np.abs(want["final_norm"]).max())
    np.testing.assert_array_equal(one, states[-1][-1])
    assert np.shares_memory(one, session.hidden) and not one.flags.writeable and one.shape == (llama.info.width,)
    np.testing.assert_array_equal(session.fork().hidden, one)
    session.save(tmp_path / "saved")
    before = one.copy()
    session.step(5)
    assert not np.array_equal(one, before)   # a view: the step changed it
    session.close()
    assert np.isfinite(one).all()            # and it holds the memory
    with muse.Session.restore(llama, tmp_path / "saved", compute="f32") as again:
        with pytest.raises(muse.StateError, match="file"):
            again.hidden
        again.step(5)
        np.testing.assert_allclose(again.hidden, one, atol=1e-5)


def test_steps_forks_rewinds(llama):
    session = llama.session(compute="f32")
    session.append("Some words")
    session.prefill()
    length, logits = len(session.sequence), session.logits.copy()
    fork = session.fork()
    fork.step(7)
    assert len(session.sequence) == length and len(fork.sequence) == length + 1
    np.testing.assert_array_equal(session.logits, logits)
    session.step(7)
    np.testing.assert_allclose(session.logits, fork.logits, rtol=1e-5, atol=1e-5)
    session.rewind(length)
    session.prefill()
    np.testing.assert_allclose(session.logits, logits, rtol=1e-5, atol=1e-5)
    assert session.info.positions == session.info.computed == length and session.info.compute == "f32"


def test_batches_and_scores(llama):
    sessions = []
    for text in ("One", "Two words", "And three words"):
        session = llama.session(compute="f32")
        session.append(text)
        session.prefill()
        sessions.append(session)
    alone = sessions[1].fork()
    score = alone.score([5, 6])
    assert score[0] == pytest.approx(float(muse.logprobs(alone.logits, [5])[0]), abs=1e-4)
    muse.Session.step_batch(sessions, [4, 5, 6])
    alone.step(5)
    np.testing.assert_allclose(sessions[1].logits, alone.logits, rtol=1e-4, atol=1e-4)
    assert score[1] == pytest.approx(float(muse.logprobs(alone.logits, [6])[0]), abs=1e-4)
    for bad, ids in ((sessions, [1]), ([sessions[0], sessions[0]], [1, 2])):
        with pytest.raises(ValueError):
            muse.Session.step_batch(bad, ids)
    with pytest.raises(muse.ArgumentError):
        alone.step(1 << 20)


def test_saving(llama, tmp_path):
    session = llama.session()
    session.append("Remember this")
    session.prefill()
    session.save(tmp_path / "saved")
    with muse.Session.restore(llama, tmp_path / "saved") as other:
        np.testing.assert_array_equal(other.logits, session.logits)
        assert other.sequence.hash() == session.sequence.hash()
    (tmp_path / "bad").write_bytes((tmp_path / "saved").read_bytes()[:-9])
    with pytest.raises(muse.FormatError):
        muse.Session.restore(llama, tmp_path / "bad")


def test_prefix_cache(llama):
    with muse.PrefixCache(llama) as cache:
        for _ in range(2):
            session = llama.session(cache=cache)
            session.append("The same words again and again, " * 4)
            session.prefill()
        assert session.info.reused > 0 and cache.info["hits"] == 1


def test_watching(gemma, cat):
    session = gemma.session(compute="f32")
    session.append(cat, "What?")
    session.prefill()
    span = session.sequence.spans[0]
    with pytest.raises(muse.StateError):
        session.watched
    with session.watching(1, layers=[0, 1]):
        assert session.watched is None
        session.step(5)
        seen = session.watched
        assert seen.weights.shape[0] == 2 and seen.weights.shape[2] == len(seen.mean) == span.count and seen.tokens == 1
        np.testing.assert_allclose(seen.weights.mean((0, 1)), seen.mean, atol=1e-6)
        heat = session.heat(1, cat)
        assert heat.values.shape == (span.grid[1], span.grid[0]) and heat.rect[:2] == (0, 0)
        np.testing.assert_allclose(heat.values.ravel(), seen.mean[1:-1], atol=1e-6)
        assert heat.overlay().shape == cat.rgb().shape and heat._repr_png_().startswith(b"\x89PNG")
        with pytest.raises(muse.ArgumentError):
            session.heat(2)
    with pytest.raises(muse.StateError):
        session.watched
    with pytest.raises(muse.ArgumentError):
        session.watch(1, layers=[99])


def test_watched_weights_are_a_view(gemma):
    session = gemma.session(compute="f32")
    session.append("Some words of a prompt")
    session.prefill()
    session.watch(count=4)
    session.step(5)
    one, two = session.watched.weights, session.watched.weights
    assert np.shares_memory(one, two) and not one.flags.writeable
    before = one.copy()
    with pytest.raises(muse.ArgumentError):
        session.watch(count=4, layers=[99])   # the old watch goes on
    session.step(6)
    assert not np.array_equal(one, before) and np.shares_memory(one, session.watched.weights)
    copy = one.copy()
    session.watch(count=3)
    session.step(7)
    other = session.watched.weights
    np.testing.assert_array_equal(one, copy)   # another watch writes elsewhere
    assert not np.shares_memory(one, other) and other.shape[2] == 3
    copy = other.copy()
    session.unwatch()
    session.step(8)
    np.testing.assert_array_equal(other, copy)
    session.watch(count=4)
    generation = session.generate(max_tokens=3, stop_ids=[])
    next(generation.tokens())
    session.close()   # the generation has the session, and so the memory that C writes to
    generation.run()
    del session, generation
    assert np.isfinite(one).all() and np.isfinite(other).all()


def test_a_watch_that_fails_half_way_watches_nothing(gemma, monkeypatch):
    session = gemma.session(compute="f32")
    session.append("Some words of a prompt")
    session.prefill()
    session.watch(count=4)
    session.step(5)
    old = session.watched.weights
    copy = old.copy()

    def no_memory(*arguments):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(np, "zeros", no_memory)
        with pytest.raises(MemoryError):
            session.watch(count=3)
    with pytest.raises(muse.StateError):
        session.watched
    session.step(6)
    np.testing.assert_array_equal(old, copy)
    session.watch(count=3)
    session.step(7)
    assert session.watched.weights.shape[2] == 3


# ---- callbacks ----

def long_prompt(model, **settings):
    session = model.session(chunk=16, **settings)
    session.sequence.append_ids([5] * 100)
    return session


def test_progress_and_stages(llama):
    steps, stages = [], {}
    long_prompt(llama, progress=lambda done, total: steps.append((done, total))).prefill()
    assert steps[-1] == (100, 100) and len(steps) == 7
    long_prompt(llama, stage=lambda name, first, values: stages.setdefault(name, []).append((first, values.copy()))).prefill()
    assert np.concatenate([v for _, v in stages["logits"]]).shape == (100, llama.info.vocab) and "layers.0" in stages


def test_callbacks_that_stop_or_raise(llama):
    session = long_prompt(llama, progress=lambda done, total: done >= 32)
    with pytest.raises(muse.Cancelled):
        session.prefill()
    assert session.info.computed == 32

    def fail(*_):
        raise KeyError("mine")
    for settings in ({"progress": fail}, {"stage": fail}):
        with pytest.raises(KeyError, match="mine"):
            long_prompt(llama, **settings).prefill()
    fork = long_prompt(llama, progress=fail).fork()
    with pytest.raises(KeyError):
        fork.prefill()


def test_a_log_that_raises(tmp_path):
    lines = []
    with muse.Runtime(threads=1, log=lambda level, text: lines.append((level, text)), log_level="debug") as runtime:
        muse.load(DATA / "golden/llama3/hf", runtime=runtime).session().close()
    assert lines and runtime.closed

    def fail(level, text):
        raise KeyError("log")
    with muse.Runtime(threads=1, log=fail) as runtime, muse.Image(np.zeros((1500, 1500, 3), np.uint8), runtime=runtime) as image:
        sequence = muse.Sequence("gemma4_unified", runtime=runtime)
        with pytest.raises(KeyError, match="log"):
            sequence.append_image(image, budget=70)   # it is reduced, which is logged


def test_runtimes():
    with muse.Runtime(threads=2, cpu_level="c") as runtime:
        assert runtime.info.threads == 2 and runtime.info.cpu_level == "c"
        limits = runtime.limits()
        assert limits.read_gbs > 0 and limits.amx_int8_gops == limits.dot_int8_gops == 0
    for settings in ({"cpu_level": "z80"}, {"log_level": "loud"}, {"threads": 5000}):
        with pytest.raises(ValueError):
            muse.Runtime(**settings)
    with pytest.raises(TypeError):
        muse.load("x", threads=1, runtime=runtime)


def test_cancel_from_another_thread(llama):
    session = long_prompt(llama, progress=lambda done, total: timer.start() if done == 16 else timer.join())
    timer = threading.Thread(target=session.cancel)
    with pytest.raises(muse.Cancelled):
        session.prefill()
    session.prefill()
    assert session.info.computed == 100


def test_two_threads_are_told_apart(llama):
    seen = []

    def use(done, total):
        try:
            session.step(1)
        except muse.StateError as error:
            seen.append(str(error))
    session = long_prompt(llama, progress=use)
    session.prefill()
    assert seen and "in use" in seen[0]


def test_many_sessions_in_threads(llama):
    def work():
        try:
            session = llama.session(compute="f32")
            session.append("The same")
            session.prefill()
            for _ in range(20):
                session.step(int(session.logits.argmax()))
            out.append(session.sequence.ids.tolist())
        except BaseException as error:
            out.append(error)
    out = []
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(out) == 6 and all(ids == out[0] for ids in out)


def test_sessions_outlive_their_model():
    model = muse.load(DATA / "golden/llama3/hf")
    session = model.session()
    model.close()
    session.append("still here")
    session.prefill()
    with pytest.raises(ValueError, match="closed"):
        model.session()
    with pytest.raises(ValueError, match="closed"):
        muse.Session(model)
