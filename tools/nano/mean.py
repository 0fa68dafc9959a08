#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The weighted mean of checkpoints of one training, weight by weight: what their steps have in common, without what the last ones learned by chance.

usage: mean.py TO WEIGHT=FOLDER WEIGHT=FOLDER ...        folders as muse train writes them, weights that sum to 1; TO is made, without optimiser
How the shipped muse-nano was made of its last checkpoints (docs/TRAINING.md). Needs numpy. Not for models of different trainings: their
weights have nothing in common."""
import json
import math
import pathlib
import shutil
import struct
import sys

import numpy as np


def read(folder):
    raw = (folder / "model.safetensors").read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    return raw[:8 + n], json.loads(raw[8:8 + n]), raw[8 + n:]


def values(kind, data):
    if kind == "F32":
        return np.frombuffer(data, "<f4").astype(np.float64)
    if kind == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    sys.exit(f"a tensor of type {kind}: only F32 and BF16 are averaged")


def stored(kind, v):
    if kind == "F32":
        return v.astype("<f4").tobytes()
    bits = v.astype(np.float32).view(np.uint32)
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()   # to nearest, ties to even


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    to, weights, folders = pathlib.Path(sys.argv[1]), [], []
    for item in sys.argv[2:]:
        weight, _, folder = item.partition("=")
        weights.append(float(weight))
        folders.append(pathlib.Path(folder))
    if not math.isclose(sum(weights), 1, rel_tol=1e-9):
        sys.exit(f"the weights sum to {sum(weights):g}, not to 1")
    files = [read(f) for f in folders]
    head, tensors, first = files[0]
    tensors.pop("__metadata__", None)
    out = bytearray(first)
    for folder, (_, other, _) in zip(folders, files):
        other.pop("__metadata__", None)
        if {k: (t["dtype"], t["shape"]) for k, t in other.items()} != {k: (t["dtype"], t["shape"]) for k, t in tensors.items()}:
            sys.exit(f"{folder}: other tensors than {folders[0]}")
    for name, t in tensors.items():
        total = 0
        for weight, (_, other, data) in zip(weights, files):
            begin, end = other[name]["data_offsets"]
            total = total + weight * values(t["dtype"], data[begin:end])
        begin, end = t["data_offsets"]
        out[begin:end] = stored(t["dtype"], total)
    to.mkdir(parents=True)
    (to / "model.safetensors").write_bytes(head + bytes(out))
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(folders[0] / name, to / name)


main()
