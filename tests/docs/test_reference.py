#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""doxygen makes the API reference (docs/Doxyfile) without a warning. Nothing is written into the source. Exit 77 where it is not installed.
usage: test_reference.py SOURCE_ROOT"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

root = pathlib.Path(sys.argv[1])
if not shutil.which("doxygen"):
    print("skipped: doxygen is not installed")
    sys.exit(77)
with tempfile.TemporaryDirectory() as folder:
    settings = (root / "docs/Doxyfile").read_text() + f"\nOUTPUT_DIRECTORY = {folder}\n"
    done = subprocess.run(["doxygen", "-"], cwd=root, input=settings, capture_output=True, text=True, errors="replace")
    page = pathlib.Path(folder, "index.html").exists()
print(done.stdout + done.stderr, "index.html is there" if page else "there is no index.html")
sys.exit(done.returncode or not page)
