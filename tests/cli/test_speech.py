#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_speech.py: a file of clips that can be read back, twice the same, from train voices, without pairs that are held out.
Skipped (77) without libespeak-ng or the fonts of worlds."""
import ctypes
import ctypes.util
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

program, source = sys.argv[1], pathlib.Path(sys.argv[2])
HELD_OUT = re.compile("red stars?|blue cross|green diamond|yellow triangle|purple heart|orange hexagon")


def make(folder, *options):
    run = subprocess.run([sys.executable, source / "tools/nano/make_speech.py", folder, "--nano-clips", program, "--questions", "4", "--samples", "10", *options], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return (folder / "clips.bin").read_bytes()


def read(data):
    magic, version, bins, n, text_bytes = struct.unpack_from("<8s4I", data)
    assert (magic, version, bins) == (b"MUSECLIP", 1, 80)
    rows = [struct.unpack_from("<QII", data, 24 + 16 * i) for i in range(n)]
    texts = data[24 + 16 * n:24 + 16 * n + text_bytes].decode().split("\0")
    assert len(texts) == n + 1 and texts[n] == ""
    for at, columns, _ in rows:
        clip = data[at:at + 81 * columns]
        assert len(clip) == 81 * columns and columns >= 10
        assert max(clip[80::81]) > 0, "no sound is named in a clip"
        assert max(max(clip[81 * t:81 * t + 80]) for t in range(columns)) > 120, "a clip without a loud sound"
    return texts[:n]


def main():
    if not ctypes.util.find_library("espeak-ng"):
        print("skipped: libespeak-ng is not installed")
        sys.exit(77)
    worlds = subprocess.run([program, "texts", "1", "1"], capture_output=True, text=True)
    if worlds.returncode:
        print(f"skipped: {worlds.stderr.strip()}")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        one, other = pathlib.Path(folder, "a"), pathlib.Path(folder, "b")
        first = make(one)
        texts = read(first)
        assert len({t for t in texts if " " in t}) >= 4 and "7" in texts, texts
        assert first == make(other), "the same seed, another file"
        assert first != make(other, "--voices", "held-out")
    asked = subprocess.run([program, "texts", "60", "1"], capture_output=True, text=True, check=True).stdout
    assert len(asked.splitlines()) > 1000 and not HELD_OUT.search(asked.lower()), HELD_OUT.search(asked.lower())
    bad = subprocess.run([program, "pack", "/nowhere/x"], input=b"22050 5 1 cut\n\0\0", capture_output=True)
    assert bad.returncode == 1 and b"cut" in bad.stderr, bad.stderr


main()
