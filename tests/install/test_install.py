#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs into a temporary folder, then builds and runs README's programs and the examples against it as a user would: with
pkg-config and with CMake, from C and C++, shared and static. Then uninstalls: nothing may be left, or lie outside the prefix.
usage: test_install.py BUILD_FOLDER SOURCE_ROOT PREFIX CC"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

build, root, prefix, cc = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4:]
passed = failed = 0
skipped = []
WANT = re.compile(r"white( \(\d+ %\))?\n")   # what README says its programs print


def check(name, ok, detail=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED {name}: {detail}")


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=300, **kw)


def compiles(name, compiler, source, program, *flags):
    made = run(*compiler, "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags)
    check(f"{name} compiles", made.returncode == 0, made.stderr)
    return made.returncode == 0


def prints(name, program, env, static):
    ran = run(program, env=env, cwd=root)
    check(f"{name} runs", ran.returncode == 0 and WANT.fullmatch(ran.stdout), ran.stdout + ran.stderr)
    needs = "libmuse" in run("readelf", "-d", program).stdout
    check(f"{name} is linked {'statically' if static else 'to the shared library'}", needs != static)


def with_pkg_config(top, examples, env):
    flags = run("pkg-config", "--cflags", "--libs", "muse", env=env)
    check("pkg-config", flags.returncode == 0, flags.stderr)
    models = run("pkg-config", "--variable=modelsdir", "muse", env=env).stdout.strip()
    check("pkg-config: modelsdir", (top / models.removeprefix(str(top)).lstrip("/") / "muse-nano/tokenizer.json").exists(), models)
    cxx = shutil.which("c++")
    if not cxx:
        skipped.append("C++: there is no c++")
    for path in examples:
        compiler = cc if path.suffix == ".c" else [cxx, "-std=c++17"]
        if compiler[0]:
            compiles(path.name, compiler, path, top / "example", *flags.stdout.split())
    static = run("pkg-config", "--static", "--cflags", "--libs", "muse", env=env).stdout.replace("-lmuse", "-l:libmuse.a")
    for language, compiler in ("c", cc), ("cpp", [cxx]):
        for kind, options in ("shared", flags.stdout), ("static", static):
            name, program = f"pkg-config, {language}, {kind}", top / f"{language}_{kind}"
            if compiler[0] and compiles(name, compiler, top / f"program.{language}", program, *options.split()):
                prints(name, program, env, kind == "static")


def with_cmake(top, libdir, env):
    if not shutil.which("cmake") or not shutil.which("c++"):
        skipped.append("CMake: there is no cmake, or no c++")
        return
    shutil.copy(root / "tests/install/CMakeLists.txt", top)
    made = run("cmake", "-S", top, "-B", top / "cmake", f"-Dmuse_DIR={libdir}/cmake/muse", "-DCMAKE_C_COMPILER=" + cc[-1])
    check("find_package(muse)", made.returncode == 0, made.stdout + made.stderr)
    if made.returncode == 0:
        made = run("cmake", "--build", top / "cmake")
        check("CMake builds", made.returncode == 0, made.stdout + made.stderr)
        for name in "c_muse", "c_static", "cpp_muse", "cpp_static":
            if made.returncode == 0:
                prints(f"CMake, {name}", top / "cmake" / name, env, name.endswith("static"))


def installed_tree(top, tree):
    for path in (p for p in tree.rglob("*") if not p.is_dir()):
        check("only the prefix is written to", path.is_relative_to(tree / prefix.lstrip("/")), path)
    pc = next(tree.rglob("muse.pc"), None)
    check("muse.pc", pc)
    if not pc:
        return
    libdir = pc.parent.parent
    check("soname", os.readlink(libdir / "libmuse.so").startswith("libmuse.so."), sorted(libdir.iterdir()))
    headers = {p.name for p in (root / "include/muse").iterdir()}
    missing = headers - {p.name for p in tree.rglob("include/muse/*")}
    check("all public headers are installed", not missing, missing)
    # the user's build takes what a plain shell has; only the place of the tree is told
    env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(tree), "LD_LIBRARY_PATH": str(libdir)}
    for language in "c", "cpp":
        (top / f"program.{language}").write_text(re.search(rf"```{language}\n(.*?)```", (root / "README.md").read_text(), re.S).group(1))
    with_pkg_config(top, sorted(p for p in (root / "examples").iterdir() if p.suffix in {".c", ".cpp"}), env)
    with_cmake(top, libdir, env)
    tool = next(tree.rglob("bin/muse"), None)
    if tool:
        for page in "man/man1/muse.1", "bash-completion/completions/muse", "zsh/site-functions/_muse", "fish/vendor_completions.d/muse.fish":
            check("a page beside the tool", next(tree.rglob(page), None), page)
        ran = run(tool, "tokens", "--summary", "--text", "hello", env={k: v for k, v in os.environ.items() if k != "MUSE_MODELS"})
        check("the installed muse finds its tokenizer", ran.returncode == 0 and "family muse" in ran.stdout, ran.stdout + ran.stderr)


with tempfile.TemporaryDirectory() as folder:
    top, log = pathlib.Path(folder), build / "meson-logs/install-log.txt"
    tree = top / "tree"
    before = log.read_bytes() if log.exists() else None   # of an installation by hand, which its uninstall needs
    done = run("meson", "install", "-C", build, "--no-rebuild", "--destdir", tree)
    check("meson install", done.returncode == 0, done.stdout + done.stderr)
    if done.returncode == 0:
        installed_tree(top, tree)
        done = run("ninja", "-C", build, "uninstall")
        check("ninja uninstall", done.returncode == 0, done.stdout + done.stderr)
        left = [str(p.relative_to(tree)) for p in tree.rglob("*")]
        check("uninstall leaves nothing", not left, left)
    if before is None:
        log.unlink(missing_ok=True)
    else:
        log.write_bytes(before)

for why in skipped:
    print(f"skipped: {why}")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 77 if skipped else 0)
