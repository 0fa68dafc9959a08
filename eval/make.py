#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the held-out sets eval/nano from `muse worlds`: questions of the splits that training never shows (docs/worlds.md).

usage: eval/make.py [--seed N] MUSE [FOLDER [SET ...]]   MUSE: the program, built with FreeType; FOLDER: a new one; unless told, eval/nano is made anew.
                                              With SETs (splits/hard ...) only these are made anew, and the others in FOLDER stay

Needs Pillow (python3-pil), flac, and the fonts of docs/worlds.md. Pictures become JPEG (quality 80, colours at full
resolution), sounds FLAC, so that the sets stay small. The same seeds give the same questions; the bytes of pictures depend on libjpeg.
"""
import collections
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from PIL import Image

SEED = 2027
A_SAMPLE = 3   # questions of one kind over one sample: more of them would say the same
A_HARD_SAMPLE = 1   # of the split hard: modes are compared on it, and dependent questions make an interval too narrow

# set, split, samples, task, questions a kind, largest side, kinds that are wanted (None: all)
SETS = [
    ("scenes", "test", 200, "scenes", 200, 128, "count exist color shape size at locate box relation where nearest compare"),
    ("solid", "test", 100, "solid", 100, 64, None),
    ("odd", "test", 120, "odd", 120, 128, None),
    ("pairs", "test", 130, "pairs", 200, 128, None),
    ("print", "test", 60, "print", 200, 256, "read"),
    ("print", "test", 40, "addprint", 100, 256, None),
    ("print", "test", 40, "sameprint", 100, 256, None),
    ("charts", "test", 150, "charts", 200, 128, "value tallest higher entries"),
    ("charts", "test", 75, "difference", 150, 128, None),
    ("text", "test", 150, "text", 150, 128, "text"),
    ("text", "test", 75, "length", 75, 128, None),
    ("text", "test", 75, "sum", 75, 128, None),
    ("text", "test", 75, "same", 75, 128, None),
    ("track", "test", 80, "track", 100, 96, None),
    ("track", "test", 28, "which", 100, 96, None),
    ("track", "test", 28, "hidden", 100, 96, None),
    ("tables", "test", 100, "tables", 200, 128, None),
    ("svg", "test", 200, "svg", 200, 128, None),
    ("tones", "test", 36, "tones", 100, 0, None),
    ("splits/pairs", "pairs", 60, "scenes", 60, 128, "count exist color shape relation where"),
    ("splits/pairs", "pairs", 40, "pairs", 60, 128, None),
    ("splits/many", "many", 60, "scenes", 60, 128, "count exist color shape relation where"),
    ("splits/many", "many", 40, "charts", 60, 128, "value tallest"),
    ("splits/fonts", "fonts", 60, "text", 60, 128, "text"),
    ("splits/fonts", "fonts", 25, "print", 60, 256, "read"),
    ("splits/hard", "hard", 60, "scenes", 25, 96, "count exist color shape size locate relation where nearest compare"),
    ("splits/hard", "hard", 45, "pairs", 40, 96, "changed change"),
    ("splits/hard", "hard", 45, "odd", 35, 96, None),
]


def samples(muse, dir, task, split, n, side):
    """the lines of each sample, in order"""
    size = ["--max-side", side] if side else []
    command = [muse, "worlds", "--task", task, "--out", dir, "--n", n, "--seed", SEED, "--split", split, "--form", "direct", "--branches", 32, *size]
    subprocess.run([str(c) for c in command], check=True)
    of = collections.defaultdict(list)
    for line in open(dir / (task + ".jsonl"), encoding="utf-8"):
        line = json.loads(line)
        of[line["index"]].append(line)
    return [of[i] for i in sorted(of)]


def media(part, dir, out, folder, name):
    """the part with its file in the set's folder, smaller"""
    (kind, file), = part.items()
    if kind == "text":
        return part
    new = folder / (name + {"image": file.rsplit("-", 1)[1].replace(".png", ".jpg"), "audio": "0.flac"}[kind])
    if not (out / new).exists():
        (out / new).parent.mkdir(parents=True, exist_ok=True)
        if kind == "image":
            Image.open(dir / file).save(out / new, quality=80, subsampling=0, optimize=True)
        else:
            subprocess.run(["flac", "-8", "-s", "--no-padding", "-o", out / new, dir / file], check=True)
    return {kind: str(new.relative_to(folder.parent))}


def choose(muse, out, set, split, n, task, most, side, kinds):
    """the lines of one row of SETS"""
    taken, lines = collections.Counter(), []
    with tempfile.TemporaryDirectory() as dir:
        dir = pathlib.Path(dir)
        for sample in samples(muse, dir, task, split, n, side):
            here = collections.Counter()
            for q in sample:
                kind = q["task"]
                if not q.get("answer") or (kinds and kind not in kinds.split()) or taken[kind] >= most or here[kind] >= (A_HARD_SAMPLE if split == "hard" else A_SAMPLE):
                    continue
                taken[kind] += 1
                here[kind] += 1
                line = {"task": kind, "parts": [media(p, dir, out, pathlib.Path(set), f"{task}-{q['index']:03}-") for p in q["parts"]], "answer": q["answer"].strip()}
                if q.get("accept"):
                    line["accept"] = q["accept"]
                lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    print(set, dict(taken))
    return lines


def main():
    global SEED
    if sys.argv[1:2] == ["--seed"] and len(sys.argv) > 3:   # other questions of the same kinds
        SEED = int(sys.argv[2])
        del sys.argv[1:3]
    if len(sys.argv) < 2 or any(name not in [row[0] for row in SETS] for name in sys.argv[3:]):
        sys.exit(__doc__)
    muse = pathlib.Path(sys.argv[1]).resolve()
    out = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else pathlib.Path(__file__).resolve().parent / "nano"
    sets = collections.defaultdict(list)
    only = sys.argv[3:]
    if len(sys.argv) == 3 and out.exists():
        sys.exit(f"{out} is there already")
    for folder in [out / name for name in only] or [out]:
        shutil.rmtree(folder, ignore_errors=True)
    for row in SETS:
        if not only or row[0] in only:
            sets[row[0]] += choose(muse, out, *row)
    for name, lines in sets.items():
        (out / (name + ".jsonl")).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
