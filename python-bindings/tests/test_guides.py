# SPDX-License-Identifier: Apache-2.0
"""Blocks of python below a line <!-- tested --> in the documents work: those of a document are the cells of one notebook, whose folder shows the source tree
as far as it is named below."""
import json
import os
import re
import subprocess
import sys

import pytest
from conftest import HERE, ROOT

SHOWN = "examples", "models", "tests", "tools"
BLOCK = re.compile(r"^<!-- tested -->\n+```python\n(.*?)^```$", re.M | re.S)
GUIDES = {path: BLOCK.findall(path.read_text("utf-8")) for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))}


@pytest.mark.parametrize("path", [path for path, blocks in GUIDES.items() if blocks], ids=lambda path: path.stem)
def test_blocks(path, tmp_path):
    for name in SHOWN:
        (tmp_path / name).symlink_to(ROOT / name)
    notebook = tmp_path / "guide.ipynb"
    notebook.write_text(json.dumps({"cells": [{"cell_type": "code", "source": [block]} for block in GUIDES[path]]}))
    out = subprocess.run([sys.executable, HERE / "run_notebook.py", notebook], env={**os.environ, "PYTHONPATH": str(HERE.parent)}, capture_output=True, text=True, timeout=600)
    assert out.returncode == 0, out.stdout[-2000:] + out.stderr[-2000:]


def test_there_are_some():
    assert len(GUIDES[ROOT / "docs/guide-notebooks.md"]) > 5
