#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How much a model hangs on the words of a question: held-out questions of worlds, each asked in words that training has (*) and in others that
people might use. A row a wording: right of asked. The limits of wording in models/muse-nano/README.md are of this program.

usage: wordings.py MUSE [OPTION OF muse eval ...]
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

SAMPLES, MOST, SEED = 150, 100, 2029   # questions of each wording at most; another seed than the committed sets
OTHERWISE = {"above": "over", "below": "under"}
COUNT = r"(?:How many|Count the|What is the number of) {}(?: are there| do you see| are in the picture)?[.?]?$"
# kind of question in worlds, its words there, and wordings: {} is what the expression found
KINDS = [
    ("count", COUNT.format("(.+?)"), ["*How many {} are there?", "How many {} can you see?", "How many {} does the picture show?", "How many {} are there in total?", "Count all {}.", "Number of {}?"]),
    ("count", COUNT.format("(?:objects|things)"), ["*How many things are there?", "How many shapes are there?", "How many items are there?", "How many are there?", "Count everything."]),
    ("count", COUNT.format(r"(\w+) (?:objects|things)"), ["*How many {} things are there?", "How many {} shapes are there?", "How many {} ones are there?", "How many things are {}?"]),
    ("exist", r"(?:Is there|Does the picture show|Do you see|Can you see) (an? .+?)(?: here)?\??$",
     ["*Is there {}?", "Is there {} in the picture?", "Does the picture contain {}?", "Can you find {}?", "Is {} visible?"]),
    ("color", r"(?:What|Which) colou?r (?:is|does) the (.+?)(?: have)?\??$",
     ["*What color is the {}?", "What's the color of the {}?", "What is the color of the {}?", "Which color is the {}?", "What color does the {} have?"]),
    ("shape", r"(?:What shape is|What is|Which shape does) the (.+?) object(?: have)?\??$", ["*What shape is the {} object?", "What is the shape of the {} object?", "Which object is {}?"]),
    ("locate", r"(?:Where is|Point to|Show me|Find|At which place is) the (.+?)[.?]?$", ["*Where is the {}?", "Where's the {}?", "Locate the {}.", "Where can I find the {}?", "Where is the {} located?"]),
    ("relation", r"Is the (.+?) (?:to the )?(left of|right of) the (.+?)\??$", ["*Is the {} {} the {}?", "Is the {0} on the {side} side of the {2}?", "Would you say the {} is {} the {}?"]),
    ("relation", r"Is the (.+?) (above|below) the (.+?)\??$", ["*Is the {} {} the {}?", "Is the {0} {other} the {2}?", "Would you say the {} is {} the {}?"]),
    ("read", r"(?:What is printed on|What does|Read the sign on|What is written on) the (.+?)(?: say)?[.?]?$",
     ["*What is written on the {}?", "What is on the {}?", "Which letter is on the {}?", "What does it say on the {}?", "What can you read on the {}?", "Read the {}."]),
    ("text", "", ["*What does it say?", "What does the sign say?", "What can you read?", "What is the text?", "What is written in the picture?", "Read it."]),
]


def questions(folder, muse, kind):
    """(line, its question's words) of a kind"""
    if not (folder / f"{kind}.jsonl").exists():
        side = "256" if kind == "read" else "128"   # as in the committed sets
        subprocess.run([muse, "worlds", "--task", kind, "--n", str(SAMPLES), "--split", "test", "--max-side", side, "--seed", str(SEED), "--form", "direct", "--out", folder, "--quiet"], check=True)
    for line in (folder / f"{kind}.jsonl").read_text("utf-8").splitlines():
        o = json.loads(line)
        if o["task"] == kind:
            yield o, o["parts"][-1]["text"]


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    names = []
    with tempfile.TemporaryDirectory() as where:
        folder = pathlib.Path(where)
        with open(folder / "set.jsonl", "w", encoding="utf-8") as out:
            for kind, words, wordings in KINDS:
                found = [(o, m) for o, text in questions(folder, sys.argv[1], kind) if (m := re.match(words, text, re.I))][:MOST]
                for wording in wordings:
                    names.append((kind, wording, f"{len(names):02d}"))
                    for o, m in found:
                        relation = m[2].lower() if m.lastindex == 3 else ""
                        text = wording.lstrip("*").format(*m.groups(), side=relation.split(" ")[0], other=OTHERWISE.get(relation))
                        out.write(json.dumps({"task": names[-1][2], "parts": o["parts"][:-1] + [{"text": text}], "answer": o["answer"], "accept": o.get("accept", [])}) + "\n")
        run = subprocess.run([sys.argv[1], "eval", "--set", folder / "set.jsonl", "--json", "--quiet", *sys.argv[2:]], stdout=subprocess.PIPE, check=True)
    tasks = json.loads(run.stdout)["tasks"]
    for kind, wording, name in names:
        print(f"{kind:9s} {tasks[name]['correct']:4d} of {tasks[name]['n']:3d}  {wording}")


main()
