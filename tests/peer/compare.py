#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare two tokenizations of the same lines: {"ids": [...], "decoded": "..."} a line in both files. Prints what differs and
the share that agrees; exits 1 unless all ids do. Decoded text is compared, too, but only counted (a normalising tokenizer
gives other text back).

usage: compare.py LINES OURS PEER [SHOW]"""
import json
import sys

lines = [l for l in open(sys.argv[1], encoding="utf-8", newline="\n").read().split("\n") if l]
ours = [json.loads(l) for l in open(sys.argv[2], encoding="utf-8", newline="\n").read().split("\n") if l]
peer = [json.loads(l) for l in open(sys.argv[3], encoding="utf-8", newline="\n").read().split("\n") if l]
show = int(sys.argv[4]) if len(sys.argv) > 4 else 10
if not len(lines) == len(ours) == len(peer):
    sys.exit(f"{len(lines)} lines, {len(ours)} of ours, {len(peer)} of the peer")
bad = [i for i in range(len(lines)) if ours[i]["ids"] != peer[i]["ids"]]
for i in bad[:show]:
    text = json.loads(lines[i]) if lines[i].startswith('"') else lines[i]
    a, b = ours[i]["ids"], peer[i]["ids"]
    k = next((k for k in range(min(len(a), len(b))) if a[k] != b[k]), min(len(a), len(b)))
    print(f"line {i + 1}: {ascii(text)[:300]}\n  from token {k}: ours {a[k:k + 8]} peer {b[k:k + 8]}")
texts = sum(o["decoded"] != p["decoded"] for o, p in zip(ours, peer))
tokens = sum(len(o["ids"]) for o in ours)
print(f"{len(lines)} lines, {tokens} tokens: {len(lines) - len(bad)} lines with equal ids ({100 * (1 - len(bad) / len(lines)):.3f} %), {texts} with another decoded text")
sys.exit(1 if bad else 0)
