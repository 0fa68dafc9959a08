#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns typed questions of a data set (muse worlds) into spoken ones: the question's text part becomes a WAV file by espeak-ng.
Pictures, thoughts and answers stay. Questions that can't be said (places, tables, dense search) are left out and counted.

usage: speak.py IN.jsonl OUT.jsonl [--voices train|held-out] [--seed N] [--text]
--text keeps the words beside the sound, as "spoken". Files go beside OUT.jsonl, whose folder may be another than IN's.
Standard library and espeak-ng only; the same espeak-ng, input and seed give the same files."""
import argparse
import array
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import wave

ACCENTS = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp"]
VARIANTS = {"train": ["m1", "m2", "m3", "m4", "m5", "m6", "f1", "f2", "f3", "klatt2"], "held-out": ["m7", "f4", "klatt4"]}


def say(text, rng, variants):
    """16-bit samples and rate: any voice of the list, speed 120 to 210 words a minute, pitch 25 to 75 of 99"""
    voice = f"{rng.choice(ACCENTS)}+{rng.choice(variants)}"
    command = ["espeak-ng", "-v", voice, "-s", str(rng.randint(120, 210)), "-p", str(rng.randint(25, 75)), "--stdout", "--", text]
    made = subprocess.run(command, capture_output=True)
    if made.returncode != 0 or len(made.stdout) < 100:
        sys.exit(f"speak.py: espeak-ng can't say {text!r} as {voice}: {made.stderr.decode(errors='replace').strip()}")
    with wave.open(io.BytesIO(made.stdout)) as w:   # its header promises more than it writes; what is there counts
        return array.array("h", w.readframes(w.getnframes())), w.getframerate(), voice


def worsen(samples, rng):
    """loudness, silence around, noise"""
    gain, noise = rng.uniform(0.25, 0.95), rng.choice([0, 0, rng.uniform(5, 250)])
    before, after = [0] * rng.randint(0, 4000), [0] * rng.randint(0, 4000)
    peak = max(1, max(map(abs, samples)))
    scale = gain * 32000 / peak
    out = array.array("h", (max(-32768, min(32767, round(v * scale + (rng.gauss(0, noise) if noise else 0)))) for v in [*before, *samples, *after]))
    return out


def speakable(line):
    texts = [p["text"] for p in line["parts"] if "text" in p]
    return len(texts) == 1 and "answer" in line and "<" not in texts[0] and "|" not in texts[0]


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("input", type=pathlib.Path)
    args.add_argument("output", type=pathlib.Path)
    args.add_argument("--voices", choices=VARIANTS, default="train")
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--text", action="store_true")
    o = args.parse_args()
    folder = o.output.parent
    folder.mkdir(parents=True, exist_ok=True)
    spoken = left = 0
    with o.input.open() as lines, o.output.open("w") as out:
        for number, row in enumerate(lines):
            line = json.loads(row)
            if not speakable(line):
                left += 1
                continue
            rng = random.Random(f"{o.seed}/{number}/{o.voices}")
            parts = []
            for part in line["parts"]:
                if "text" in part:
                    samples, rate, line["voice"] = say(part["text"], rng, VARIANTS[o.voices])
                    name = f"{o.output.stem}-{number:06d}.wav"
                    with wave.open(str(folder / name), "wb") as w:
                        w.setparams((1, 2, rate, 0, "NONE", ""))
                        w.writeframes(worsen(samples, rng).tobytes())
                    if o.text:
                        line["spoken"] = part["text"]
                    part = {"audio": name}
                elif "image" in part:
                    part = {"image": os.path.relpath(o.input.parent / part["image"], folder)}
                parts.append(part)
            line["parts"] = parts
            out.write(json.dumps(line) + "\n")
            spoken += 1
    print(f"{spoken} spoken, {left} left out", file=sys.stderr)


if __name__ == "__main__":
    main()
