# SPDX-License-Identifier: Apache-2.0
"""Model files into other files."""
import os

import numpy as np
import pytest
from conftest import DATA

import muse

LLAMA = DATA / "golden/llama3/hf"


def logits(path):
    with muse.load(path) as model, model.session(compute="f32") as session:
        session.append("Some words").prefill()
        return session.logits.copy()


def test_there_and_back(tmp_path):
    seen = []
    made = muse.convert(LLAMA, tmp_path / "a.gguf", "f32", progress=lambda *what: seen.append(what))
    assert made.n_files == 1 and made.n_tensors > 5 and made.n_kept == 0 and 0 < made.bytes_out
    done, total, tensors = zip(*seen)
    assert list(done) == sorted(done) and done[-1] == total[-1] and all(tensors)
    back = muse.convert(tmp_path / "a.gguf", tmp_path / "back", "f32", shard_bytes=50000)
    assert back.n_files > 1
    for path in (tmp_path / "a.gguf", tmp_path / "back"):
        np.testing.assert_allclose(logits(path), logits(LLAMA), atol=1e-4)   # GGUF has the divisors of rope as a tensor, in f32
    assert muse.convert(LLAMA, tmp_path / "b.gguf", "q8_0").bytes_out < made.bytes_out / 3


def test_stopped_and_refused(tmp_path):
    def fail(done, total, tensor):
        raise KeyError(tensor)
    for progress, error in ((fail, KeyError), (lambda *what: True, muse.Cancelled)):
        with pytest.raises(error):
            muse.convert(LLAMA, tmp_path / "a.gguf", "f32", progress=progress)
    for source, out, kind, error in ((LLAMA, "a.gguf", "q3", muse.ArgumentError), (DATA / "reason/muse", "a.gguf", "f32", muse.UnsupportedError),
                                     (tmp_path / "none", "a.gguf", "f32", muse.MuseError), (LLAMA, "folder", "q8_0", muse.UnsupportedError)):
        with pytest.raises(error):
            muse.convert(source, tmp_path / out, kind)
    assert os.listdir(tmp_path) == []
