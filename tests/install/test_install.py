#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs into a temporary folder, then builds and runs README's C program and the examples against it, as a user would.
usage: test_install.py BUILD_FOLDER SOURCE_ROOT CC"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

build, root, cc = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
passed = failed = 0


def check(name, ok, detail=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED {name}: {detail}")


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=300, **kw)


with tempfile.TemporaryDirectory() as folder:
    top = pathlib.Path(folder)
    done = run("meson", "install", "-C", build, "--no-rebuild", "--destdir", top)
    check("meson install", done.returncode == 0, done.stdout + done.stderr)
    pc = next(top.rglob("muse.pc"), None)
    check("muse.pc", pc)
    if pc:
        libdir = pc.parent.parent
        check("soname", run("readlink", libdir / "libmuse.so").stdout.startswith("libmuse.so."), sorted(libdir.iterdir()))
        check("static library", (libdir / "libmuse.a").exists())
        env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(top), "LD_LIBRARY_PATH": str(libdir)}
        flags = run("pkg-config", "--cflags", "--libs", "muse", env=env)
        check("pkg-config", flags.returncode == 0, flags.stderr)
        sources = {"README": re.search(r"```c\n(.*?)```", (root / "README.md").read_text(), re.S).group(1)}
        sources.update({p.name: p.read_text() for p in sorted((root / "examples").glob("*.c"))})
        for name, text in sources.items():
            (top / "program.c").write_text(text)
            made = run(*cc, "-Wall", "-Wextra", "-Werror", top / "program.c", "-o", top / "program", *flags.stdout.split())
            check(f"{name} compiles", made.returncode == 0, made.stderr)
        (top / "program.c").write_text(sources["README"])
        if run(*cc, top / "program.c", "-o", top / "program", *flags.stdout.split()).returncode == 0:
            ran = run(top / "program", env=env, cwd=root)
            check("README's program runs", ran.returncode == 0 and ran.stdout == "262 positions\n", ran.stdout + ran.stderr)
        tool = next(top.rglob("bin/muse"), None)
        if tool:
            ran = run(tool, "tokens", "--summary", "--text", "hello", env={k: v for k, v in os.environ.items() if k != "MUSE_MODELS"})
            check("the installed muse finds its tokenizer", ran.returncode == 0 and "family muse" in ran.stdout, ran.stdout + ran.stderr)

print(f"{passed} passed, {failed} failed")
sys.exit(bool(failed))
