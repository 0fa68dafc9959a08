#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shared library exports exactly what the public headers declare; the static one defines only muse_ names.
usage: check_symbols.py LIBMUSE_SO LIBMUSE_A INCLUDE_DIR"""
import pathlib
import re
import subprocess
import sys

shared, static, include = sys.argv[1:4]


def defined(path, *options):
    out = subprocess.run(["nm", "--defined-only", *options, path], capture_output=True, text=True, check=True).stdout
    return {line.split()[2] for line in out.splitlines() if len(line.split()) == 3 and line.split()[1] in "TDBRVW"}


declared = set()
for header in pathlib.Path(include, "muse").glob("*.h"):
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
    declared |= set(re.findall(r"MUSE_API[^;]*?\b(muse_\w+)\s*\(", text))
exported = defined(shared, "-D")
stray = {name for name in defined(static, "-g") if not name.startswith("muse_") and not name.startswith(("__asan", "__odr_asan", "__ubsan"))}
for name in sorted(declared - exported):
    print(f"declared but not exported: {name}")
for name in sorted(exported - declared):
    print(f"exported but not declared: {name}")
for name in sorted(stray):
    print(f"without the muse_ prefix: {name}")
failed = len(declared ^ exported) + len(stray)
print(f"{len(declared & exported)} passed, {failed} failed")
sys.exit(bool(failed) or not declared)
