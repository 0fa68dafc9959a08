#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Gives a checkpoint that was trained without image_config "levels" (docs/FORMATS.md) levels of zero: the same model, ready to learn them.

usage: add_levels.py FROM TO        folders as muse train writes them; TO is made
How muse-nano's third run began (docs/TRAINING.md). Not for anything else: it knows only this one change."""
import json
import pathlib
import shutil
import struct
import sys

LEVELS = 4


def read(path):
    raw = path.read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + n])
    meta = header.pop("__metadata__", {})
    return meta, {name: (t["dtype"], t["shape"], raw[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]]) for name, t in header.items()}


def write(path, meta, tensors):
    header, at = {"__metadata__": meta}, 0
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    old, new = map(pathlib.Path, sys.argv[1:])
    config = json.loads((old / "config.json").read_text())
    width = config["image_config"]["mlp_size"]
    if config["image_config"].get("levels"):
        sys.exit(f"{old}: it has levels")
    shutil.copytree(old, new)
    config["image_config"]["levels"] = True
    (new / "config.json").write_text(json.dumps(config))

    meta, tensors = read(old / "model.safetensors")
    bias = tensors["model.image.hidden.bias"][2]   # F32, as trained: the levels stand behind it, in the optimiser's arrays too
    out = {}
    for name, t in tensors.items():
        out[name] = t
        if name == "model.image.hidden.bias":
            out["model.image.levels.weight"] = ("BF16", [LEVELS, width], bytes(2 * LEVELS * width))
    write(new / "model.safetensors", meta, out)

    meta, arrays = read(old / "train.safetensors")   # master weights and moments, one value a weight, in one order
    at = arrays["master"][2].find(bias)
    if at < 0 or arrays["master"][2].find(bias, at + 1) >= 0:
        sys.exit(f"{old}: the bias of the patch MLP is not found once among the weights (an average was saved?)")
    at += len(bias)
    write(new / "train.safetensors", meta, {name: (kind, [shape[0] + LEVELS * width], data[:at] + bytes(4 * LEVELS * width) + data[at:])
                                            for name, (kind, shape, data) in arrays.items()})


main()
