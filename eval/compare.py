#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two runs of `muse eval --lines` over the same questions, compared question by question: a row a kind, then all.

usage: compare.py BEFORE.jsonl AFTER.jsonl
Intervals are of the paired difference, 95 %, by bootstrap (2,000 draws, seed 1). Needs numpy.
"""
import json
import sys

import numpy as np


def read(path):
    """(set's file name, line, question) -> what was counted; the report at the end is no question."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for text in lines:
            o = json.loads(text)
            if "line" in o:
                key = o["set"].split("/")[-1], o["line"], o["question"]
                if key in found:
                    sys.exit(f"compare.py: {path}: question {key[2]} of line {key[1]} of {key[0]} is there twice (two sets of one file name?)")
                found[key] = o
    return found


def row(name, pairs, random):
    a, b = (np.array([bool(p[i]["right"]) for p in pairs], float) for i in (0, 1))
    draws = (b - a)[random.integers(0, len(pairs), (2000, len(pairs)))].mean(axis=1) * 100
    low, high = np.percentile(draws, [2.5, 97.5])
    thought, looks = ([np.mean([of(p[i]) for p in pairs]) for i in (0, 1)] for of in (lambda o: o["tokens"]["thought"], lambda o: o["looks"]))
    print(f"{name:12s}{len(pairs):5d}{100 * a.mean():7.1f}{100 * b.mean():7.1f}{100 * (b - a).mean():+7.1f}  {low:+5.1f} to {high:+5.1f}"
          f"{int(((b - a) > 0).sum()):7d}{int(((b - a) < 0).sum()):6d}{thought[0]:9.1f}{thought[1]:6.1f}{looks[0]:8.2f}{looks[1]:6.2f}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    before, after = read(sys.argv[1]), read(sys.argv[2])
    if not before or before.keys() != after.keys():
        sys.exit("compare.py: the two runs do not hold the same questions")
    pairs = [(before[key], after[key]) for key in before]
    random = np.random.default_rng(1)
    print(f"{'kind':12s}{'n':>5s}{'before':>7s}{'after':>7s}{'diff':>7s}  {'95 %':14s}{'gained':>7s}{'lost':>6s}{'thought':>11s}    {'looks':>8s}")
    for kind in sorted({a["task"] for a, _ in pairs}):
        row(kind, [p for p in pairs if p[0]["task"] == kind], random)
    row("all", pairs, random)


if __name__ == "__main__":
    main()
