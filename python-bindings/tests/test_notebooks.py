# SPDX-License-Identifier: Apache-2.0
"""Every notebook in examples/notebooks runs from its first cell to its last, and is committed without outputs."""
import json
import os
import subprocess
import sys

import pytest
from conftest import HERE, ROOT

NOTEBOOKS = sorted((ROOT / "examples/notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path):
    env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    out = subprocess.run([sys.executable, HERE / "run_notebook.py", path], env=env, capture_output=True, text=True, timeout=600)
    assert out.returncode == 0, out.stdout[-2000:] + out.stderr[-2000:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_clean(path):
    notebook = json.loads(path.read_text("utf-8"))
    assert notebook["nbformat"] == 4
    assert all(cell["cell_type"] == "markdown" or not cell["outputs"] and cell["execution_count"] is None for cell in notebook["cells"])
