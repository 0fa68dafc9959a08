#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains and measures the small models of docs/ABLATIONS.md, one after the other.

usage: run.py PROGRAMS OUT NAME ...        PROGRAMS: a folder with muse, nano_eval (and bench_stitch); OUT: where the runs are kept
       run.py --table OUT NAME ...         what was measured

NAME.json beside this file holds changes to base.json (RFC 7396: objects merge, null removes). Keys that are not of a training
document: "measure", kinds of questions and the sides of their pictures; "start", a run whose last weights are begun from;
"start_model", changes to that one's config.json; "data_seed", of the worlds; "vision", a run whose model's rows are the pictures
(bench_stitch trains then). Each run becomes OUT/NAME; called again, it goes on where it stopped. OUT/NAME/result.json has the answers,
times.json how long it was trained, all sittings together but for one that was killed.
"""
import json
import math
import pathlib
import resource
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
N, SEED = 400, 77   # questions of a kind and form, of the split "test"; training has other random numbers


def merge(a, b):
    if not isinstance(b, dict):
        return b
    out = dict(a) if isinstance(a, dict) else {}
    for key, value in b.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key), value)
    return out


def copy_of(model, to, changes):
    """a model's files, with changes to its config.json"""
    to.mkdir(parents=True, exist_ok=True)
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(model / name, to / name)
    (to / "config.json").write_text(json.dumps(merge(json.loads((model / "config.json").read_text()), changes)))
    return str(to)


def document(name, out):
    base = json.loads((HERE / "base.json").read_text())
    doc = base if name == "base" else merge(base, json.loads((HERE / (name + ".json")).read_text()))
    measure = doc.pop("measure")
    start, changes = doc.pop("start", None), doc.pop("start_model", None)
    seed = doc.pop("data_seed", None)
    if seed is not None:
        doc["data"][0]["worlds"]["seed"] = seed
    doc["tokenizer"] = str((HERE / doc["tokenizer"]).resolve())
    if start:                                             # the weights that another run ended with
        doc["model"] = str(max((out / start).glob("step-*[0-9]")))
    if changes:
        doc["model"] = copy_of(pathlib.Path(doc["model"]), out / (name + "-start"), changes)
    return doc, measure


def seconds():
    """by the clock, and of this process's children that have ended"""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.time(), used.ru_utime + used.ru_stime


def train(programs, doc, folder, vision):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(doc, indent=1))
    resume = ["--resume"] if list(folder.glob("step-*[0-9]")) else []
    times = folder / "times.json"
    if resume and not times.exists():
        print(f"{folder.name}: an earlier sitting was not timed", file=sys.stderr)
    wall, cpu = json.loads(times.read_text()) if times.exists() else (0, 0)
    command = [programs / "bench_stitch", folder / "run.json", vision, folder] if vision else [programs / "muse", "train", folder / "run.json", "--threads", "1", "--out", folder]
    began = seconds()
    try:
        with open(folder / "log.txt", "a") as log:
            subprocess.run([*command, *resume], stderr=log, check=True)
    finally:   # interrupted, it is trained on in another sitting
        ended = seconds()
        wall, cpu = wall + ended[0] - began[0], cpu + ended[1] - began[1]
        times.write_text(json.dumps([wall, cpu]) + "\n")
    return wall, cpu


def parameters(muse, model):
    done = subprocess.run([muse, "inspect", model, "--json"], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["parameters"]


def answers(evaluate, model, measure):
    """rows of nano_eval: kind, form, n, right, tokens"""
    rows = []
    for wanted in measure:
        done = subprocess.run([evaluate, model, str(wanted.get("n", N)), "test", str(SEED), "--max-side", str(wanted["max_side"]), *wanted["kinds"]], stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines()[1:]:
            kind, form, n, right, tokens, looks = line.split()[:6]
            rows.append({"kind": kind, "form": form, "n": int(n), "right": round(int(n) * float(right)), "tokens": float(tokens), "looks": float(looks)})
    return rows


def run(programs, out, name):
    folder = out / name
    if (folder / "result.json").exists():
        return
    doc, measure = document(name, out)
    vision = doc.pop("vision", None)
    wall, cpu = train(programs, doc, folder, vision and max((out / vision).glob("step-*[0-9]")))
    model = max(folder.glob("step-*[0-9]"))
    result = {"name": name, "seed": doc["seed"], "steps": doc["steps"], "positions": json.loads((model / "train.json").read_text())["positions"],
              "parameters": parameters(programs / "muse", model), "wall_s": round(wall), "cpu_s": round(cpu), "rows": answers(programs / "nano_eval", model, measure)}
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")


def wilson(right, n):
    z = 1.959964
    p, d = right / n, 1 + z * z / n
    middle, half = (p + z * z / (2 * n)) / d, z / d * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return 100 * (middle - half), 100 * (middle + half)


def text_loss(folder):
    """nats a written token, mean of the last tenth of the steps: samples that were never seen before, the same ones in each run"""
    lines = [line.split(",") for line in (max(folder.glob("step-*[0-9]")) / "log.csv").read_text().splitlines() if line[0] != "s"]
    last = lines[-(len(lines) // 10):]
    return sum(float(line[3]) for line in last) / len(last)


def table(out, names):
    results = [json.loads((out / name / "result.json").read_text()) for name in names]
    print("| | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for what in ("seed", "steps", "positions", "parameters", "wall_s", "cpu_s"):
        print(f"| {what} | " + " | ".join(f"{r[what]:,}" for r in results) + " |")
    print("| text loss, nats | " + " | ".join("%.3f" % text_loss(out / name) for name in names) + " |")
    for kind, form in dict.fromkeys((row["kind"], row["form"]) for r in results for row in r["rows"]):
        cells = []
        for r in results:
            row = next((row for row in r["rows"] if row["kind"] == kind and row["form"] == form), None)
            cells.append("" if row is None else "%.1f (%.0f to %.0f)" % (100 * row["right"] / row["n"], *wilson(row["right"], row["n"])))
        print(f"| {kind}, {form} | " + " | ".join(cells) + " |")
    whole = [(sum(row["right"] for row in r["rows"]), sum(row["n"] for row in r["rows"])) for r in results]
    if all(n for a, n in whole):
        print("| all | " + " | ".join("%.1f (%.1f to %.1f)" % (100 * a / n, *wilson(a, n)) for a, n in whole) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    if sys.argv[1] == "--table":
        table(pathlib.Path(sys.argv[2]), sys.argv[3:])
    else:
        for each in sys.argv[3:]:
            run(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), each)
