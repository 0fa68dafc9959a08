#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the include rules of tests/layers.txt, that includes are written from the root, that intrinsics stay in ops/x86 and
ops/arm, that oneDNN headers stay in ops/onednn, and that library code neither prints nor ends the process.
usage: check_layers.py SOURCE_ROOT"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
rules = {}
for line in (root / "tests/layers.txt").read_text().splitlines():
    line = line.split("#")[0].strip()
    if line:
        folder, allowed = line.split("|")
        rules[folder.strip()] = {folder.strip(), *allowed.split()}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
INTRINSICS = {"immintrin.h", "x86intrin.h", "cpuid.h", "arm_neon.h", "emmintrin.h", "tmmintrin.h", "smmintrin.h"}
FORBIDDEN = re.compile(r'(?<![\w.>])(abort|exit|_exit|quick_exit|raise|printf|vprintf|fprintf|vfprintf|puts|fputs|putchar|perror|system|umask|setlocale|setenv)\s*\(')
LIBRARY = {"base", "ops", "tokenizers", "libmuse"}
errors, files = [], 0

for folder, allowed in rules.items():
    for path in sorted((root / folder).rglob("*")):
        if path.suffix not in {".c", ".h", ".inc", ".hpp"}:
            continue
        files += 1
        name = path.relative_to(root).as_posix()
        text = path.read_text()
        for kind, target in INCLUDE.findall(text):
            def wrong(why):
                errors.append(f"{name}: #include {target}: {why}")
            if kind == '"' and target != "config.h":
                top = "include" if target.startswith("muse/") else target.split("/")[0]
                where = root / "include" / target if top == "include" else root / target
                if not where.exists():
                    wrong("is not written from the root, or does not exist")
                elif top not in allowed:
                    wrong(f"{folder} may include only {', '.join(sorted(allowed))}")
            if target in INTRINSICS and not name.startswith(("ops/x86/", "ops/arm/")):
                wrong("intrinsics belong in ops/x86 or ops/arm")
            if target.startswith("dnnl") and not name.startswith("ops/onednn/"):
                wrong("oneDNN headers stop at ops/onednn")
        if folder in LIBRARY:
            code = re.sub(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"', lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
            for match in FORBIDDEN.finditer(code):
                errors.append(f"{name}:{code[:match.start()].count(chr(10)) + 1}: {match.group(1)}() has no place in the library")
        if text.count("\n") > 1000:
            errors.append(f"{name}: over 1,000 lines")

for line in errors:
    print(line)
print(f"{files} files")
print(f"{files - len({e.split(':')[0] for e in errors})} passed, {len({e.split(':')[0] for e in errors})} failed")
sys.exit(bool(errors) or files == 0)
