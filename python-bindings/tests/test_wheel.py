# SPDX-License-Identifier: Apache-2.0
"""The wheel: made offline from the library under test, installed into a fresh environment, used there."""
import importlib.util
import os
import subprocess
import sys
import zipfile

import pytest
from conftest import DATA, HERE

from muse import _lib

NEEDED = ("setuptools", "wheel", "pip", "venv")
pytestmark = pytest.mark.skipif(not all(map(importlib.util.find_spec, NEEDED)), reason=f"needs {', '.join(NEEDED)}")


def test_wheel(tmp_path):
    env = {k: v for k, v in os.environ.items() if k not in ("MUSE_LIBRARY", "PYTHONPATH", "LD_LIBRARY_PATH")}
    made = subprocess.run([sys.executable, HERE.parent / "make_wheel.py", _lib.lib._name, tmp_path], check=True, capture_output=True, text=True, env=env, cwd=tmp_path)
    wheel = made.stdout.strip()
    name = os.path.basename(wheel)
    assert name.startswith("muse-0.1.0-py3-none-linux_") and not name.endswith("any.whl")
    files = zipfile.ZipFile(wheel).namelist()
    assert {"muse/__init__.py", "muse/_native.py", "muse/py.typed", "muse/libmuse.so.0"} <= set(files) and not any("test" in f for f in files)
    # numpy comes from the system, pip would fetch it
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", venv], check=True)
    python = venv / "bin/python"
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", wheel], check=True, env=env)
    code = f"import muse; from muse import _lib; print(muse.__file__, _lib.lib._name); print(muse.load({str(DATA / 'golden/llama3/hf')!r}).generate('Hi', max_tokens=3).run().finish)"
    out = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, env=env, cwd=tmp_path).stdout.split()
    assert all(path.startswith(str(venv)) for path in out[:2]) and out[2] == "length"
