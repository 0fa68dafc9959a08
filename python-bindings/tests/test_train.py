# SPDX-License-Identifier: Apache-2.0
"""Training: documents, data from Python, stopping, resuming, errors."""
import ctypes
import json
import os
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
from conftest import DATA, HERE

import muse
from muse import _native

START = DATA / "train/start"


def document(**more):
    return {"model": str(START), "steps": 6, "batch": {"samples": 2, "positions": 64}, "compute": "f32", "data": [{"random": {"length": 12}}],
            "optimizer": {"name": "adamw", "adam_rate": 0.003}, "checkpoint": {"every": 2}, **more}


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def test_a_run_and_its_resumption(tmp_path):
    reports = []
    whole = muse.train(document(), out=tmp_path / "whole", threads=1, progress=lambda report: reports.append(report))
    assert whole.step == 6 and not whole.stopped and list(whole.reports) == reports and [r.step for r in reports] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(r.loss) and r.positions > 0 for r in reports) and reports[1].saved and not reports[0].saved
    part = muse.train(document(), out=tmp_path / "part", threads=1, progress=lambda report: report.step == 3)
    assert part.stopped and part.step == 3
    with pytest.raises(muse.StateError):
        muse.train(document(), out=tmp_path / "part", threads=1)
    rest = muse.train(document(), out=tmp_path / "part", threads=1, resume=True)
    assert [r.loss for r in rest.reports] == [r.loss for r in reports[3:]]
    assert weights(tmp_path / "part" / os.path.basename(rest.folder)) == weights(tmp_path / "whole" / os.path.basename(whole.folder))
    with muse.load(whole.folder) as model:
        assert model.family == "muse"


def test_documents_from_files(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(document(out="here")))
    assert muse.train(tmp_path / "run.json", steps=2, threads=1).folder == str(tmp_path / "here/step-00000002")
    for bad, error in (({"model": 3}, muse.FormatError), (document(nonsense=1), muse.FormatError), (tmp_path / "none.json", FileNotFoundError), ({**document(), "model": "/nothing"}, muse.MuseError)):
        with pytest.raises(error):
            muse.train(bad)


def sample(number):
    """ids from the number; every third sample is left out"""
    if number % 3 == 2:
        return None
    ids = np.arange(5) + number % 7
    return muse.Sample([muse.Text([1, 2])], [muse.Branch([muse.Text(ids, np.ones(5))], task=0), muse.Branch([muse.Text(ids[::-1], [0, 0, 1, 1, 1])], task=1)])


def test_documents_of_what_programs_have(tmp_path):
    """paths, NumPy's numbers, mappings that are no dict"""
    run = types.MappingProxyType(document(model=START, steps=np.int64(2), optimizer=types.MappingProxyType({"rate": np.float32(0.01)}), out=tmp_path / "run"))
    with muse.Trainer(run, threads=1) as trainer:
        assert trainer.info.steps == 2 and trainer.step().step == 1
    with pytest.raises(TypeError, match="a set can't stand in a training document"):
        muse.Trainer(document(tasks={"a"}))


@pytest.mark.parametrize("loaders", [0, 2])
def test_data_from_python(loaders):
    run = document(tasks=["up", "down"], loaders=loaders)
    del run["data"]
    losses = []
    for _ in range(2):
        with muse.Trainer(run, source=sample, threads=1) as trainer:
            assert trainer.info.step == 0 and trainer.info.n_parameters > 0
            losses.append([])
            while (report := trainer.step()) is not None:
                losses[-1].append(report.loss)
            assert set(trainer.tasks) == {"up", "down"} and trainer.tasks["up"].n > 0 and trainer.info.step == 6
            with pytest.raises(muse.StateError):
                trainer.save()
            with trainer.model() as model:
                assert model.info.vocab == 32
                with pytest.raises(muse.MuseError):
                    model.tokenizer   # the run has none
    assert losses[0] == losses[1] and losses[0][-1] < losses[0][0]


def test_a_source_that_raises():
    run = document(tasks=["up", "down"])
    del run["data"]

    def fail(number):
        if number == 3:
            raise KeyError("sample 3")
        return sample(number)
    with pytest.raises(KeyError, match="sample 3"):
        muse.train(run, source=fail, threads=1)
    for bad in (lambda number: 3, lambda number: muse.Sample([3], []), lambda number: muse.Sample([muse.Text([1], [1, 2])], []),
                lambda number: muse.Sample([muse.Picture(np.zeros((8, 8), np.uint8), (1, 1))], [])):
        with pytest.raises((TypeError, ValueError, AttributeError)):
            muse.train(run, source=bad, threads=1)


def test_errors_of_a_source_that_is_ahead():
    """A step raises what belongs to the sample it met, and only that: loaders are ahead of it."""
    run = document(tasks=["up", "down"], loaders=3)
    del run["data"]
    seen = threading.Event()

    def failing(number):
        if number == 0:
            seen.wait(10)
            return muse.Sample([], [muse.Branch([muse.Text([1, 99999], [0, 1])])])
        if number == 2:
            seen.set()
        raise KeyError(number)
    with muse.Trainer(run, source=failing, threads=1) as trainer:
        with pytest.raises(muse.ArgumentError, match="sample 0: id 99999"):
            trainer.step()

    def late(number):
        if number == 2:
            seen.wait(10)
        if number == 3:
            seen.set()
        if number >= 2:
            raise KeyError(number)
        return sample(number)
    seen.clear()
    with muse.Trainer(document(tasks=["up", "down"], loaders=3, batch={"samples": 4, "positions": 64}), source=late, threads=1) as trainer:
        with pytest.raises(KeyError, match="2"):
            trainer.step()
        with pytest.raises(muse.StateError, match="earlier step"):
            trainer.step()


def test_media_of_another_size_than_the_models():
    """C must not read past the arrays: patches of this model have a side of 2, frames 6 values"""
    run = document()
    del run["data"]

    def of(part):
        return lambda number: muse.Sample([muse.Text([1]), part], [muse.Branch([muse.Text([1, 2], [1, 1])])])
    for good in (muse.Picture(np.zeros((4, 6, 3), np.uint8), (3, 2)), muse.Sound(np.zeros((3, 6))), muse.Sound(np.zeros((0, 6)))):
        with muse.Trainer(run, source=of(good), threads=1) as trainer:
            assert trainer.step().positions > 0
    for bad in (muse.Picture(np.zeros((2, 3, 3), np.uint8), (3, 2)), muse.Picture(np.zeros((8, 12, 3), np.uint8), (3, 2)), muse.Sound(np.zeros((3, 5))),
                muse.Sound(np.zeros((3, 7))), muse.Sound(np.zeros((3, 0)))):
        with muse.Trainer(run, source=of(bad), threads=1) as trainer, pytest.raises(ValueError, match="values"):
            trainer.step()


def test_a_source_that_makes_objects_may_be_closed_early():
    """closing waits for the loaders, and what they run here makes and drops objects of its own"""
    code = f"""
import threading
import numpy as np
import muse
run = {document(loaders=2)!r}
del run["data"]
asked = threading.Semaphore(0)
def source(number):
    asked.release()
    for _ in range(50):
        image = muse.Image(np.zeros((8, 8, 3), np.uint8))
        image.region((0, 0, 4, 4))
    return muse.Sample([muse.Text([1, 2])], [muse.Branch([muse.Text([3, 4], [1, 1])])])
for _ in range(5):
    with muse.Trainer(run, threads=1, source=source) as trainer:
        trainer.step()
        asked.acquire()
"""
    out = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(HERE.parent)}, capture_output=True, text=True, timeout=60)
    assert (out.returncode, out.stderr) == (0, "")


def test_progress_that_raises_saves(tmp_path):
    def fail(report):
        if report.step == 3:
            raise KeyError("progress")
    with pytest.raises(KeyError):
        muse.train(document(), out=tmp_path / "run", threads=1, progress=fail)
    assert (tmp_path / "run/step-00000003").is_dir()


NET = {"model_type": "muse", "muse_version": 1, "vocab_size": 405, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
       "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "hidden_act": "relu2", "qk_norm": True, "rope_theta": 100,
       "rope_pairs": [4, 2, 2], "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
       "image_config": {"patch_size": 4, "budgets": [12], "default_budget": 12, "places": 12}}


def trials(**more):
    return {"model": NET, "tokenizer": str(DATA / "reason/muse/tokenizer.json"), "steps": 12, "compute": "f32", "batch": {"samples": 2, "positions": 96},
            "optimizer": {"name": "adamw", "adam_rate": 0.01}, "tasks": ["count"],
            "rl": {"stage": "grpo", "prompts": 3, "samples": 8, "thought_tokens": 6, "answer_tokens": 4, "supervised": {"weight": 0}, "guard": {"prompts": 2, "every": 4}}, **more}


def test_trial_and_reward():
    """prompts and a reward from Python: the share of even ids in what was written rises"""
    picture, asked, seen = muse.Image(np.full((4, 4, 3), 90, np.uint8)), [], []

    def prompts(number, held_out):
        asked.append((number, held_out))
        return None if number % 5 == 4 else muse.Prompt(("one?", "two?")[number % 2], ["x", "y"], images=[picture], task=0, views=[(1, (0, 0, 2, 2))])

    def reward(prompt, rollout):
        seen.append(rollout)
        assert prompt.answers == ["x", "y"] and rollout.tokens == len(rollout.agent.ids)
        return float((rollout.agent.ids % 2 == 0).mean())
    with muse.Trainer(trials(steps=40), prompts=prompts, reward=reward, threads=1) as trainer:
        reports = list(iter(trainer.step, None))
        guard = trainer.guards["count"]
        c, error = _native.MuseTrainPrompt(), _native.MuseError()   # what C is told of a prompt
        assert trainer._prompts._give(None, 3, 0, ctypes.pointer(c), ctypes.pointer(error)) == 0
        assert c.answers[:c.n_answers] == [b"x", b"y"] and c.n_parts == 2 and c.task == 0
        assert c.n_views == 1 and c.views[0].image == 1 and c.views[0].rect.x1 == 2
        trainer._prompts._release(None, ctypes.pointer(c))
        assert not trainer._prompts._kept
    assert [r.rollouts for r in reports] == [24] * 40 and len(seen) == 24 * 40
    assert reports[-1].reward > reports[0].reward + 0.1
    assert reports[0].reward == pytest.approx(np.mean([(r.agent.ids % 2 == 0).mean() for r in seen[:24]]))
    assert {held for _, held in asked} == {False, True} and guard.n == 2 and guard.step == 40 and 0 < guard.direct.tokens < guard.think.tokens and guard.budget == 1
    with muse.Trainer(document(), threads=1) as trainer:
        assert trainer.guards == {}


def test_trials_that_raise():
    def fail(*what):
        raise KeyError("mine")
    good = lambda number, held_out: muse.Prompt("one?", ["x"])   # noqa: E731
    for functions in ({"prompts": fail}, {"prompts": good, "reward": fail}):
        with pytest.raises(KeyError, match="mine"), muse.Trainer(trials(), threads=1, **functions) as trainer:
            trainer.step()
    with pytest.raises(muse.ArgumentError, match="finite"), muse.Trainer(trials(), prompts=good, reward=lambda *what: float("inf"), threads=1) as trainer:
        trainer.step()
    for bad in (lambda number, held_out: 3, lambda number, held_out: muse.Prompt("a", [3]), lambda number, held_out: muse.Prompt("a", "xy")):
        with pytest.raises((TypeError, AttributeError)), muse.Trainer(trials(), prompts=bad, threads=1) as trainer:
            trainer.step()
    with pytest.raises(ValueError, match="null byte"), muse.Trainer(trials(), prompts=lambda number, held_out: muse.Prompt("a", ["a\0b"]), threads=1) as trainer:
        trainer.step()
    with pytest.raises(TypeError):
        muse.Trainer(trials(), reward=fail)


def test_the_process_may_end_in_a_run():
    code = f"""
import muse
run = {document(loaders=2)!r}
del run["data"]
trainer = muse.Trainer(run, threads=1, source=lambda number: muse.Sample([muse.Text([1, 2])], [muse.Branch([muse.Text([3, 4], [1, 1])])]))
trainer.step()
"""
    out = subprocess.run([sys.executable, "-X", "dev", "-c", code], env={**os.environ, "PYTHONPATH": str(HERE.parent)}, capture_output=True, text=True, timeout=60)
    assert (out.returncode, out.stderr) == (0, "")
