#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one example and compares what it prints with its records in expected.txt (which explains them). Its source has under 100 lines.
The form is checked with a tiny model of random weights, always; the answer with the shipped model.
usage: test_examples.py NAME PROGRAM SOURCE_ROOT"""
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

name, program, root = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3])
TINY, SHIPPED = "tests/data/reason/muse", "models/muse-nano"
counts = {"passed": 0, "failed": 0}


def records():
    text = (root / "tests/examples/expected.txt").read_text()
    for block in re.split(r"\n\s*\n", text):
        lines = [line.split(None, 1) for line in block.splitlines() if line.strip() and not line.startswith("#")]
        record = {key: value[0].strip() if value else "" for key, *value in lines}
        if unknown := record.keys() - {"example", "run", "stdin", "form", "answer"}:
            sys.exit(f"expected.txt: unknown keys {sorted(unknown)}")
        if record.get("answer") == "":
            sys.exit(f"expected.txt: an empty answer of {record['example']}")
        if record.get("example") == name:
            yield record


def run(record, model, folder):
    args = [a.replace("MODEL", model).replace("TMP", folder) for a in shlex.split(record.get("run", ""))]
    data = b""
    if "stdin" in record:
        path, skip = record["stdin"].split()
        data = (root / path).read_bytes()[int(skip):]
    return subprocess.run([program, *args], cwd=root, input=data, capture_output=True, timeout=280)


def check(record, model, pattern, match):
    with tempfile.TemporaryDirectory() as folder:
        done = run(record, model, folder)
    out = done.stdout.decode(errors="replace")
    good = done.returncode == 0 and match(pattern, out, re.S)
    counts["passed" if good else "failed"] += 1
    if not good:
        print(f"FAILED {name} {record.get('run', '')} with {model}: exit {done.returncode}, expected {pattern!r}\n{out}\n{done.stderr.decode(errors='replace')}")


sources = [path for path in (root / "examples").glob(f"{name}.*") if path.suffix in (".c", ".cpp")]
lines = [len(path.read_text().splitlines()) for path in sources]
if len(lines) != 1 or lines[0] >= 100:
    sys.exit(f"examples/{name}: one source of under 100 lines is wanted, there are {lines}")
found = 0
for record in records():
    found += 1
    check(record, TINY, record["form"], re.fullmatch)
    if "answer" not in record:
        continue
    check(record, SHIPPED, record["answer"], re.search)
if not found:
    sys.exit(f"expected.txt has no record of {name}")
print("{passed} passed, {failed} failed".format(**counts))
sys.exit(bool(counts["failed"]))
