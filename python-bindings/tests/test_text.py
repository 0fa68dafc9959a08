# SPDX-License-Identifier: Apache-2.0
"""The tokenizer, and training one."""
import json

import numpy as np
import pytest
from conftest import DATA, ROOT

import muse


@pytest.mark.parametrize("name", ["gemma4-a", "llama3", "qwen2", "qwen3"])
def test_golden(name):
    with muse.Tokenizer(DATA / "golden" / name / "hf") as tokenizer:
        for line in (DATA / "golden" / name / "tokens.jsonl").read_text("utf-8").splitlines():
            case = json.loads(line)
            ids = tokenizer.encode(case["text"], added=True)
            assert ids.dtype == np.int32 and ids.tolist() == case["ids"]
            decoder = tokenizer.decoder()
            assert "".join(map(decoder.push, ids.tolist())) + decoder.flush() == tokenizer.decode(ids)


@pytest.fixture(scope="module")
def nano():
    return muse.Tokenizer(ROOT / "models/muse-nano/tokenizer.json")


def test_texts_of_all_kinds(nano):
    for text in ("", "a", "a\0b", "x" * 10000, "é☕你好", "<think>"):
        assert nano.decode(nano.encode(text)) == text
    assert nano.decode_bytes(nano.encode(b"\xff\xfe a")) == b"\xff\xfe a"
    assert nano.decode(nano.encode(b"\xff")) == "\ufffd"
    with pytest.raises(UnicodeEncodeError):
        nano.encode("\ud800")
    with pytest.raises(TypeError):
        nano.encode(3)


def test_added_tokens(nano):
    think = nano.find("<think>")
    assert nano.encode("<think>", added=True).tolist() == [think] and len(nano.encode("<think>")) > 1
    assert nano.is_special(think) and nano.token_bytes(think) == b"<think>"
    assert nano.decode([think], skip_special=True) == ""
    assert nano.find("no such token") is None
    with pytest.raises(LookupError):
        nano.token_bytes(1 << 20)


@pytest.mark.parametrize("ids, error", [([1.5], TypeError), ([[1]], TypeError), (["a"], TypeError), ([1 << 40], ValueError), ([-1], muse.NotFoundError), ([99999], muse.NotFoundError)])
def test_refused_ids(nano, ids, error):
    with pytest.raises(error):
        nano.decode(ids)


def test_ids_of_any_integers(nano):
    for ids in ([65, 66], (65, 66), np.array([65, 66], np.uint8), np.array([65, 0, 66], np.int64)[::2], range(65, 67)):
        assert nano.decode(ids) == nano.decode([65, 66])
    assert nano.decode([]) == ""


def test_refused_files(tmp_path):
    for path in sorted((DATA / "bad").glob("text-*")):
        with pytest.raises(muse.MuseError):
            muse.Tokenizer(path.read_bytes())
    with pytest.raises(muse.FileError):
        muse.Tokenizer(tmp_path / "nothing.json")


def test_training():
    seen = []
    file = muse.train_tokenizer(["low lower lowest"] * 5, 270, added=["<end>"], progress=lambda done, wanted: seen.append((done, wanted)))
    with muse.Tokenizer(file) as tokenizer:
        assert tokenizer.find("<end>") == 0 and len(tokenizer.encode("lower")) < 5
    assert seen and seen[-1][1] == 270 - 257
    texts = [" ".join(f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx")] * 2   # progress comes every few hundred merges
    with pytest.raises(muse.Cancelled):
        muse.train_tokenizer(texts, 2000, progress=lambda done, wanted: True)
    with pytest.raises(ZeroDivisionError):
        muse.train_tokenizer(texts, 2000, progress=lambda done, wanted: 1 / 0)
