#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does a training run that is killed ten times (SIGKILL, at random moments) end where an undisturbed one ends?

Trains tools/configs/toy.json twice with one thread: through, and killed and resumed. The curves and the last weights must be the
same, byte for byte (seconds apart). usage: kill_resume.py MUSE [KILLS] [SEED]; `./run kill` calls it. Not part of the tests: how far
a run has come when it is killed depends on the machine."""
import csv
import hashlib
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS, EVERY = 240, 10


def config(folder):
    document = json.loads((ROOT / "tools/configs/toy.json").read_text())
    document.update(tokenizer=str(ROOT / "models/muse-nano/tokenizer.json"), steps=STEPS, checkpoint={"every": EVERY, "keep": 2},
                    data=[{"jsonl": str(folder / "toy/train.jsonl")}])
    path = folder / "toy.json"
    path.write_text(json.dumps(document))
    return path


def last(out):
    steps = sorted(p for p in out.glob("step-*") if p.suffix != ".part")   # a .part was being written
    return steps[-1] if steps else None


def curve(out):
    with open(last(out) / "log.csv") as f:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(f)]


def weights(out):
    return {name: hashlib.sha256((last(out) / name).read_bytes()).hexdigest() for name in ("model.safetensors", "train.safetensors")}


def main():
    muse, kills = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([sys.executable, str(ROOT / "tools/configs/make_toy.py"), str(folder / "toy")], check=True)
        command = [muse, "train", str(config(folder)), "--threads", "1", "--quiet", "--out"]
        begin = time.monotonic()
        subprocess.run([*command, str(folder / "through")], check=True, stderr=subprocess.DEVNULL)
        whole = time.monotonic() - begin
        broken, done = folder / "broken", 0
        while done < kills:
            resume = ["--resume"] if last(broken) else []
            run = subprocess.Popen([*command, str(broken), *resume], stderr=subprocess.DEVNULL)
            try:
                run.wait(timeout=rng.uniform(0.05, 1.5) * whole / kills)
                print("it ended before it was killed; the kills so far:", done)
                break
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
            done += 1
            print(f"killed {done}: resumes from {last(broken).name if last(broken) else 'nothing'}", flush=True)
        subprocess.run([*command, str(broken), *(["--resume"] if last(broken) else [])], check=True, stderr=subprocess.DEVNULL)
        same_curve, same_weights = curve(folder / "through") == curve(broken), weights(folder / "through") == weights(broken)
        print(f"{len(curve(broken))} steps, {done} kills: curves {'equal' if same_curve else 'DIFFER'}, weights and optimiser {'equal' if same_weights else 'DIFFER'}")
        return 0 if same_curve and same_weights and done == kills else 1


if __name__ == "__main__":
    sys.exit(main())
