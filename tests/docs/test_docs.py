#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the documents say holds: files they link to or name in `backticks` exist, so do headings that links (FILE#anchor) and words (FILE,
"Heading"; in code too) lead to, and blocks below a line <!-- tested --> work. Such
a block of sh runs, line by line until one fails; a block of C is saved under the name in its first comment, for a block of sh that
compiles it; blocks of python are run by python-bindings/tests/test_guides.py. A document's blocks share a folder, which shows the
source tree as far as it has been named below; what blocks leave in it is in .gitignore. Drawings are what their script draws. Public calls, types, enums and
their values have a comment.
usage: test_docs.py MUSE BUILD_ROOT SOURCE_ROOT CC"""
import fnmatch
import functools
import os
import pathlib
import re
import subprocess
import sys
import tempfile

muse, build, root, cc = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), " ".join(sys.argv[4:])
SHOWN = "docs", "eval", "examples", "models", "tests", "tools"
CODE = "base", "eval", "examples", "include", "libmuse", "ops", "python-bindings", "tests", "tokenizers", "tools"
IGNORED = [line.strip("/") for line in (root / ".gitignore").read_text().split()]
BLOCK = re.compile(r"^<!-- tested -->\n+```(sh|c|python)\n(.*?)^```$", re.M | re.S)
passed = failed = 0


def check(ok, *what):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAILED", *what)


def exists(name, document):
    """A file of the source, from its root or beside the document; a public header by the name in its #include; a pattern."""
    return any(list(folder.glob(name)) if "*" in name else (folder / name).exists() for folder in (root, document.parent, root / "include"))


def without_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


@functools.lru_cache(None)
def headings(path):
    """Those of a document, and the bold words that begin a paragraph or item."""
    prose = without_blocks(path.read_text())
    return re.findall(r"^#+ +(.*?) *$", prose, re.M), re.findall(r"^(?:[*-] |\d+\. )?\*\*(.+?)[.:]?\*\*", prose, re.M)


@functools.lru_cache(None)
def anchors(path):
    """Of a document's headings, as GitHub makes them: lower case, hyphens for spaces, no other signs; equal ones are numbered."""
    out = []
    for heading in headings(path)[0]:
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)).lower().replace(" ", "-")
        same = sum(re.fullmatch(re.escape(name) + r"(-\d+)?", other) is not None for other in out)
        out.append(f"{name}-{same}" if same else name)
    return out


def check_sections(path, text):
    """Words such as docs/train.md, "Data"; in code they may be wrapped, with the sign of the comment between."""
    for name, title in re.findall(r"([\w/-]+\.md)`?,[\s*#/]+\"([^\"\n]+)\"", text):
        target = next((t for t in (root / name, path.parent / name) if t.exists()), None)
        check(target and title in sum(headings(target), []), f'{path.relative_to(root)}: {name} has no heading "{title}"')


def check_names(path, text):
    prose = without_blocks(text)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            name, _, anchor = target.partition("#")
            file = path.parent / name if name else path
            check(file.exists(), f"{path.relative_to(root)} links to {target}, which is not there")
            if anchor and file.exists():
                check(anchor in anchors(file), f"{path.relative_to(root)} links to {target}, which is no heading there")
    for name in re.findall(r"`([\w.*-]+/[\w./*-]*)`", prose):
        top = name.split("/")[0]
        if (root / top).is_dir() and not top.startswith("build") and (name.endswith("/") or re.search(r"\.[a-z]\w*$", name)):
            check(exists(name, path), f"{path.relative_to(root)} names {name}, which is not there")


def run_blocks(path, blocks):
    with tempfile.TemporaryDirectory() as folder:
        top = pathlib.Path(folder)
        for name in SHOWN:
            (top / name).symlink_to(root / name)
        (top / "muse.pc").write_text(f"Name: muse\nDescription: of this build\nVersion: 0\nLibs: -L{build}/libmuse -lmuse\nCflags: -I{root}/include\n")
        (top / "build/tools").mkdir(parents=True)
        (top / "build/tools/muse").symlink_to(muse)
        env = {**os.environ, "PKG_CONFIG_PATH": folder, "LD_LIBRARY_PATH": f"{build}/libmuse", "MUSE_MODELS": str(root / "models")}
        script = ["set -euo pipefail", f"cc() {{ command {cc} -Wall -Wextra -Werror \"$@\"; }}", "muse() { build/tools/muse \"$@\"; }"]
        for language, block in blocks:
            if language == "python":
                continue
            if language == "c":
                name = re.match(r"/\* (\w+\.c)", block)
                check(name, f"{path.relative_to(root)}: a tested block of C begins with /* NAME.c")
                if name:
                    (top / name.group(1)).write_text(block)
                continue
            done = subprocess.run(["bash", "-c", "\n".join(script + ["set -x", block])], cwd=top, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=600)
            commands = [line for line in done.stderr.splitlines() if line.startswith("+ ")]
            check(done.returncode == 0, f"{path.relative_to(root)}: {commands[-1:]}: {done.stderr[-1500:]}")
            script += re.findall(r"^\w+=\S*$", block, re.M)   # variables set in a block hold in those after it
        made = {p.name for p in top.iterdir()} - {*SHOWN, "muse.pc", "build"}
        for name in sorted(made):
            check(any(fnmatch.fnmatch(name, rule) for rule in IGNORED), f"{path.relative_to(root)}: its blocks make {name}, which .gitignore does not name")


def check_header(path):
    """Calls, structs, handles and types of callbacks have words of their own; doxygen does not ask for them, since members may do without."""
    lines = path.read_text().split("\n")
    for number, line in enumerate(lines[1:], 1):
        if re.match(r"(MUSE_API|typedef)\b", line):
            check(lines[number - 1].endswith("*/") or "///<" in line, f"{path.relative_to(root)}:{number + 1}: no comment says what this is: {line}")


def check_enums(path):
    """So have enums, and each of their values, whose place in a line tells nothing."""
    text = path.read_text()
    for found in re.finditer(r"^(?:typedef )?enum[^{;]*\{(.*?)\}", text, re.M | re.S):
        line = text.count("\n", 0, found.start()) + 1
        check(text[:found.start()].rstrip().endswith("*/"), f"{path.relative_to(root)}:{line}: no comment says what this enum is about")
        for value in re.finditer(r"^\s*(MUSE_\w+)(.*)$", found.group(1), re.M):
            check("///<" in value.group(2), f"{path.relative_to(root)}: no comment says what {value.group(1)} means")
        check(not found.group(1).strip() or found.group(1).startswith("\n"), f"{path.relative_to(root)}:{line}: a value a line, each with a comment")


def check_drawings():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, root / "docs/draw.py", folder], check=True)
        for path in pathlib.Path(folder).iterdir():
            check(path.read_bytes() == (root / "docs/images" / path.name).read_bytes(), f"docs/images/{path.name} is not what docs/draw.py draws")


check_drawings()
for header in sorted((root / "include/muse").glob("*.h")):
    check_header(header)
    check_enums(header)
documents = [p for p in sorted(root.rglob("*.md")) if not p.relative_to(root).parts[0].startswith(("build", ".", "demo"))]
tested = 0
for path in documents:
    text = path.read_text()
    check_names(path, text)
    check_sections(path, text)
    blocks = BLOCK.findall(text)
    check(len(re.findall(r"^<!-- tested -->$", text, re.M)) == len(blocks), f"{path.relative_to(root)}: <!-- tested --> stands above a block of sh, c or python")
    tested += len(blocks)
    if blocks:
        run_blocks(path, blocks)
for folder in CODE:
    for path in sorted(p for p in (root / folder).rglob("*") if p.suffix in (".c", ".h", ".hpp", ".py") and not p.is_symlink()):
        check_sections(path, path.read_text())
print(f"{len(documents)} documents, {tested} tested blocks")
print(f"{passed} passed, {failed} failed")
sys.exit(bool(failed) or not tested)
