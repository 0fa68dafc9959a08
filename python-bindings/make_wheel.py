#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a wheel of the package with a built libmuse in it. Offline: needs setuptools, wheel and pip, downloads nothing.
usage: make_wheel.py LIBMUSE_SO OUT_FOLDER; prints the wheel's path"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def main(library, out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "source")
        shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("tests", "__pycache__", "*.so*", "build", "*.egg-info"))
        inside = source / "muse/libmuse.so.0"   # the name that muse/_lib.py looks for
        shutil.copy(os.path.realpath(library), inside)
        if shutil.which("strip"):
            subprocess.run(["strip", "--strip-unneeded", inside], check=True)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", folder, source]
        subprocess.run(command, check=True, stdout=sys.stderr)
        for wheel in pathlib.Path(folder).glob("*.whl"):
            print(shutil.copy(wheel, out / wheel.name))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
