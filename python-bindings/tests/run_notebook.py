#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a notebook's code cells in one namespace, without Jupyter; stops at the first exception. What a cell ends with is asked how it shows
itself. Environment: MUSE_MODEL, a model folder instead of the shipped muse-nano.
usage: run_notebook.py NOTEBOOK"""
import ast
import json
import os
import pathlib
import sys


def display(*things):
    """what a notebook would show: the richest form there is"""
    for thing in things:
        for face in ("_repr_html_", "_repr_png_"):
            shown = getattr(thing, face)() if hasattr(thing, face) else None
            if shown is not None:
                print(f"[{face[6:-1]}, {len(shown)} bytes]")
                break
        else:
            print(repr(thing)[:500])


def run_cell(source, namespace):
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)
        if value is not None:
            display(value)


def main(path):
    path = pathlib.Path(path).resolve()
    notebook = json.loads(path.read_text("utf-8"))
    os.chdir(path.parent)   # as Jupyter does
    namespace = {"__name__": "__main__", "display": display}
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, 1):
        print(f"--- cell {number} of {len(cells)}", flush=True)
        run_cell(cell, namespace)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
