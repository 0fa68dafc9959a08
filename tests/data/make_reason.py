#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/reason/muse: the tiny muse model with the tokens of chains of thought (<look> ... and 64 places a side), whose
embedding rows are random numbers of the same size as the others.
usage: make_reason.py SOURCE_ROOT"""
import json
import pathlib
import struct
import sys

import numpy

root = pathlib.Path(sys.argv[1]) / "tests/data"
source, target = root / "tiny/muse/hf", root / "reason/muse"
words = ["<look>", "<box>", "<point>", "<compare>", "<verify>"] + [f"<{axis}{i}>" for axis in "xy" for i in range(64)]

target.mkdir(parents=True, exist_ok=True)
tokenizer = json.loads((source / "tokenizer.json").read_text())
config = json.loads((source / "config.json").read_text())
first = config["vocab_size"]
for i, word in enumerate(words):
    token = dict(tokenizer["added_tokens"][-1], id=first + i, content=word)
    tokenizer["added_tokens"].append(token)
    tokenizer["model"]["vocab"][word] = first + i
config["vocab_size"] = first + len(words)
config["max_position_embeddings"] = 1024
(target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")))
(target / "config.json").write_text(json.dumps(config, indent=1) + "\n")

data = (source / "model.safetensors").read_bytes()
size = struct.unpack("<Q", data[:8])[0]
header, body = json.loads(data[8:8 + size]), data[8 + size:]
out, blob = {}, b""
for name, info in header.items():
    if name == "__metadata__":
        out[name] = info
        continue
    raw = body[info["data_offsets"][0]:info["data_offsets"][1]]
    if info["shape"][0] == first and info["dtype"] == "BF16":
        rows = numpy.frombuffer(raw, "<u2").reshape(info["shape"])
        values = (rows.astype("<u4") << 16).view("<f4")
        more = numpy.random.default_rng(5).normal(0, values.std(), (len(words), rows.shape[1])).astype("<f4")
        raw += (more.view("<u4") >> 16).astype("<u2").tobytes()
        info = dict(info, shape=[first + len(words), rows.shape[1]])
    out[name] = dict(info, data_offsets=[len(blob), len(blob) + len(raw)])
    blob += raw
text = json.dumps(out, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
(target / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + blob)
