#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a question costs: an overview with looks against the whole picture at full detail. Counts, no timing.

usage: bench/look_cost.py MUSE [--model DIR] [--limit N] SET.jsonl ...

Asks the sets four ways (muse eval) and prints a table, a row a kind: right answers, positions, cache and floating-point operations a question.
Full detail is the smallest budget of the model that does not shrink the picture.

Operations of a question with T positions, p of them patches, w written by the model (products only, a multiply-add is two):

    2 T L (2 D H K + 2 D G K + 2 D F)     linears of the layers
  + 2 p (P M + M D)                       patches on their way in (M 0: P D)
  + 2 w V D                               logits
  + 4 L H K keys                          scores and sums over values; keys: of all positions together, T (T + 1) / 2
                                          and n (n - 1) / 2 more for a picture of n patches that see each other

Each question is counted as if it were asked alone: a picture that several questions share is computed once by muse eval.
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile


def out(*args):
    return subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, check=True, text=True).stdout


def wilson(right, n):
    z = 1.959964
    p, d = right / n, 1 + z * z / n
    middle, half = (p + z * z / (2 * n)) / d, z / d * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return 100 * (middle - half), 100 * (middle + half)


class Counts:
    """sizes of a model, and what a question costs with them"""

    def __init__(self, config):
        c, image = config, config["image_config"]
        self.layers, self.d, self.vocabulary = c["num_hidden_layers"], c["hidden_size"], c["vocab_size"]
        self.hk, self.gk, self.f = c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"], c["intermediate_size"]
        self.p, self.m = 3 * image["patch_size"] ** 2, image.get("mlp_size", 0)
        self.both_ways = image.get("image_mask") != "causal"
        assert c["hidden_act"] == "relu2"   # a gate would be a third matrix

    def flops(self, t, pictures, written):
        n = sum(pictures)
        keys = t * (t + 1) / 2 + (sum(k * (k - 1) / 2 for k in pictures) if self.both_ways else 0)
        linears = 2 * t * self.layers * (2 * self.d * self.hk + 2 * self.d * self.gk + 2 * self.d * self.f)
        stem = 2 * n * (self.p * self.m + self.m * self.d if self.m else self.p * self.d)
        return linears + stem + 2 * written * self.vocabulary * self.d, 4 * self.layers * self.hk * keys

    def cache(self, t):
        return 2 * 2 * self.layers * self.gk * t   # bf16


def question_sets(muse, model, sets, folder):
    """pictures of each line in patches, and copies of the sets that show them at full detail"""
    seen, patches, copies = {}, {}, []
    for which, path in enumerate(sets):
        lines = []
        for number, text in enumerate(path.read_bytes().decode("utf-8").split("\n"), 1):   # as muse eval counts them
            if not text.strip(" \t\r"):
                lines.append("")
                continue
            line = json.loads(text)
            of = patches[str(path), number] = {"overview": [], "full": []}
            for part in line["parts"]:
                if "image" not in part:
                    continue
                part["image"] = str((path.parent / part["image"]).resolve())
                if part["image"] not in seen:
                    seen[part["image"]] = [json.loads(out(muse, "tokens", "--tokenizer", model, "--quiet", "--json", "--summary", "--image", part["image"], *more))["spans"][0] for more in ([], ["--image-budget", "auto"])]
                plain, full = seen[part["image"]]
                part["budget"] = full["budget"]
                of["overview"].append(plain["patches"])
                of["full"].append(full["patches"])
            lines.append(json.dumps(line))
        copies.append(folder / f"{which}-{path.name}")
        copies[-1].write_text("\n".join(lines) + "\n", "utf-8")
    return patches, copies


def row(counts, patches, original, shown, way, kind, lines):
    linear = attention = cache = 0
    for q in lines:
        of = patches[original.get(q["set"], q["set"]), q["line"]][shown]
        written = q["tokens"]["thought"] + q["tokens"]["answer"]
        views = q["positions"] - q["tokens"]["prompt"] - written if q["looks"] else 0
        a, b = counts.flops(q["positions"], of + [views / max(1, q["looks"])] * q["looks"], written)
        linear, attention, cache = linear + a, attention + b, cache + counts.cache(q["positions"])
    n, right = len(lines), sum(q["right"] for q in lines)
    return "| %s | %s | %s | %d | %.1f (%.0f to %.0f) | %.2f | %.0f | %.0f | %.0f | %.0f |" % (
        shown, way, kind or "**all**", n, 100 * right / n, *wilson(right, n), sum(q["looks"] for q in lines) / n, sum(q["positions"] for q in lines) / n,
        cache / n / 1000, (linear + attention) / n / 1e6, 100 * attention / (linear + attention))


def main(argv):
    muse, model, limit, sets = argv[0], pathlib.Path(__file__).resolve().parent.parent / "models/muse-nano", [], []
    rest = iter(argv[1:])
    for a in rest:
        if a == "--model":
            model = pathlib.Path(next(rest))
        elif a == "--limit":
            limit = ["--limit", next(rest)]
        else:
            sets.append(pathlib.Path(a))
    counts = Counts(json.loads((model / "config.json").read_text()))
    print("| shown | way | kind | n | right, % (95 %) | looks | positions | cache, KB | MFLOP | of it attention, % |\n|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        patches, copies = question_sets(muse, model, sets, pathlib.Path(folder))
        original = dict(zip(map(str, copies), map(str, sets)))
        for shown, files in ("overview", sets), ("full", copies):
            for way, options in ("thinking, looks" if shown == "overview" else "thinking", [] if shown == "overview" else ["--no-look"]), ("instant", ["--mode", "instant"]):
                asked = [x for f in files for x in ("--set", f)]
                lines = [json.loads(x) for x in out(muse, "eval", "--model", model, "--threads", 1, "--lines", "--json", "--quiet", *limit, *options, *asked).split("\n")[:-2]]   # the last is of all
                for kind in [*dict.fromkeys(q["task"] for q in lines), None]:
                    print(row(counts, patches, original, shown, way, kind, [q for q in lines if kind in (None, q["task"])]), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:])
