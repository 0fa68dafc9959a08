# SPDX-License-Identifier: Apache-2.0
"""Paths and small models. MUSE_TEST_DATA and MUSE_LIBRARY come from the build; by hand, set MUSE_LIBRARY."""
import gc
import json
import os
import pathlib
import struct
import sys

import numpy as np
import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATA = pathlib.Path(os.environ.get("MUSE_TEST_DATA", ROOT / "tests/data"))
MEDIA = ROOT / "examples/media"
sys.path.insert(0, str(HERE.parent))

import muse  # noqa: E402


def safetensors(path):
    """name -> array, f32 and i32"""
    data = path.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    return {name: np.frombuffer(data[8 + size:][t["data_offsets"][0]:t["data_offsets"][1]], {"F32": "<f4", "I32": "<i4"}[t["dtype"]]).reshape(t["shape"])
            for name, t in json.loads(data[8:8 + size]).items() if name != "__metadata__" and t["dtype"] in ("F32", "I32")}


def rss():
    """bytes of memory in use, what nobody holds any more given back first"""
    gc.collect()
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def llama():
    with muse.load(DATA / "golden/llama3/hf") as model:
        yield model


@pytest.fixture(scope="session")
def gemma():
    with muse.load(DATA / "golden/gemma4-a/hf") as model:
        yield model


@pytest.fixture(scope="session")
def reasoner():
    """a random model of family muse with the tokens of chains: what it says means nothing"""
    with muse.load(DATA / "reason/muse") as model:
        yield model


@pytest.fixture(scope="session")
def cat():
    with muse.Image(MEDIA / "cat.jpg") as image:
        yield image
