#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a program that was linked against libmuse relies on is as the lists in tests/abi say: the exported symbols, the layout of
public structs, the values of public constants. A change is named; tests/abi/update.sh writes the lists anew. Function types are
not compared. A small C program, generated from the headers, tells sizes and offsets.
usage: check_abi.py [--update] LIBMUSE_SO SOURCE_ROOT CC [ARGUMENT ...]"""
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

update = sys.argv[1] == "--update"
library, root, cc = sys.argv[1 + update], pathlib.Path(sys.argv[2 + update]), sys.argv[3 + update:]
lists = root / "tests/abi"


def headers():
    for path in sorted((root / "include/muse").glob("*.h")):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.S)
        yield path.name, text


def members(body):
    """Names declared in a struct's body: the last word before an array, or the one in (*name)."""
    for declaration in filter(None, (d.strip() for d in body.split(";"))):
        called = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", declaration)
        for part in [declaration] if called else declaration.split(","):
            yield called.group(1) if called else re.search(r"(\w+)\s*(\[[^]]*\]\s*)*$", part).group(1)


def symbols():
    out = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    return {line.split()[2]: "" for line in out.splitlines() if len(line.split()) == 3}


def layout():
    """(structs, values): what the compiler says of each struct and member, and of each constant."""
    program = ["#include <stddef.h>", "#include <stdio.h>"]
    lines = []
    for name, text in headers():
        program.append(f'#include "muse/{name}"')
        for struct, body in re.findall(r"\bstruct\s+(\w+)\s*\{(.*?)\}", text, re.S):
            lines.append(f'printf("s {struct} size %zu align %zu\\n", sizeof({struct}), _Alignof({struct}));')
            lines += [f'printf("s {struct}.{m} offset %zu size %zu\\n", offsetof({struct}, {m}), sizeof((({struct} *)0)->{m}));' for m in members(body)]
        for body in re.findall(r"\benum\s*\w*\s*\{(.*?)\}", text, re.S):
            lines += [f'printf("v {m} %lld\\n", (long long){m});' for m in re.findall(r"\b(MUSE_\w+)\s*(?:=[^,]*)?(?:,|\s*$)", body)]
        lines += [f'printf("v {m} %lld\\n", (long long){m});' for m in re.findall(r"#\s*define\s+(MUSE_\w+)[ \t]+(?=[-\d])", text)]
    program += ["int main(void)", "{", *lines, "return 0;", "}"]
    with tempfile.TemporaryDirectory() as folder:
        source, binary = pathlib.Path(folder, "abi.c"), pathlib.Path(folder, "abi")
        source.write_text("\n".join(program))
        subprocess.run([*cc, "-I", str(root / "include"), str(source), "-o", str(binary)], check=True)
        out = subprocess.run([str(binary)], capture_output=True, text=True, check=True).stdout
    found = {"s": {}, "v": {}}
    for line in out.splitlines():
        kind, name, value = line.split(" ", 2)
        found[kind][name] = value
    return found["s"], found["v"]


def main():
    if platform.machine() != "x86_64":
        print(f"skipped: the lists are of x86-64, this is {platform.machine()}")
        return 77
    structs, values = layout()
    passed = failed = 0
    for name, now in ("symbols", dict(sorted(symbols().items()))), ("structs", structs), ("values", dict(sorted(values.items()))):
        path = lists / f"{name}.txt"
        if update:
            path.write_text("".join(f"{key} {value}".strip() + "\n" for key, value in now.items()))
            continue
        then = dict((line + " ").split(" ", 1) for line in path.read_text().splitlines())
        then = {key: value.strip() for key, value in then.items()}
        for key in sorted(now.keys() | then.keys()):
            same = now.get(key) == then.get(key)
            passed, failed = passed + same, failed + (not same)
            if key not in then:
                print(f"{name}: new: {key} {now[key]}")
            elif key not in now:
                print(f"{name}: gone: {key} {then[key]}")
            elif not same:
                print(f"{name}: changed: {key}: {then[key]} -> {now[key]}")
    for key in structs:   # what a program fills in may grow, so it says how much of it the program knows
        if re.fullmatch(r"Muse\w+(Params|Options)|MuseTrace(Step|Summary)", key) and not structs.get(f"{key}.struct_size", "").startswith("offset 0 "):
            print(f"structs: {key} does not begin with struct_size")
            failed += 1
    if update:
        return bool(failed)
    if failed:
        print("meant? then tests/abi/update.sh; what a released version had may neither go nor change without a new MUSE_ABI_VERSION")
    print(f"{passed} passed, {failed} failed")
    return bool(failed)


sys.exit(main())
