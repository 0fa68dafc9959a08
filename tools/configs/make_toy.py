#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A data set of coloured squares for toy.json: what colour, and on which side. Standard library only, the same files from the
same seed. usage: make_toy.py OUT_FOLDER [PICTURES] [SEED]"""
import json
import pathlib
import random
import struct
import sys
import zlib

COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (40, 80, 220), "yellow": (230, 210, 40), "purple": (150, 50, 180), "orange": (240, 140, 30),
           "white": (250, 250, 250), "black": (15, 15, 15)}
SIDE = 64


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows):
    raw = b"".join(b"\0" + bytes(v for pixel in row for v in pixel) for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(raw, 6)) + chunk(b"IEND", b"")


def main():
    if not 2 <= len(sys.argv) <= 4 or sys.argv[1].startswith("-") or not all(a.isdigit() for a in sys.argv[2:]):
        sys.exit(__doc__)
    out, n = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 600
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for i in range(n):
        name, size = rng.choice(sorted(COLOURS)), rng.randrange(12, 28)
        left = rng.random() < 0.5
        x, y = rng.randrange(0, SIDE // 2 - size // 2 - 4) if left else rng.randrange(SIDE // 2 - size // 2 + 4, SIDE - size), rng.randrange(SIDE - size)
        grey = rng.randrange(90, 170)
        rows = [[COLOURS[name] if x <= c < x + size and y <= r < y + size else (grey,) * 3 for c in range(SIDE)] for r in range(SIDE)]
        (out / f"{i:05d}.png").write_bytes(png(rows))
        lines.append({"parts": [{"image": f"{i:05d}.png"}], "branches": [
            {"task": "colour", "parts": [{"text": rng.choice(["What colour is the square?", "Which colour do you see?"])}], "answer": name},
            {"task": "side", "parts": [{"text": rng.choice(["On which side is it?", "Left or right?"])}], "answer": "left" if left else "right"}]})
    (out / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
