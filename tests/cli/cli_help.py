# SPDX-License-Identifier: Apache-2.0
"""Shared by the tests of the muse program. sys.argv: PROGRAM MUSE SOURCE_ROOT"""
import pathlib
import subprocess
import sys
import unittest

MUSE, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
MEDIA, DATA = ROOT / "examples/media", ROOT / "tests/data"
OK, OTHER, USAGE, INPUT, UNSUPPORTED, RESOURCE, CANCELLED = range(7)


def muse(*args, code=OK, stdin=b""):   # code None: any
    run = subprocess.run([MUSE, *map(str, args)], input=stdin, capture_output=True, timeout=300)
    out, err = run.stdout.decode("utf-8", "replace"), run.stderr.decode("utf-8", "replace")
    if code is not None and run.returncode != code:
        raise AssertionError(f"muse {' '.join(map(str, args))}: exit code {run.returncode}, not {code}\n{out[-500:]}{err[-500:]}")
    return out, err


def main():
    result = unittest.main(module="__main__", argv=["test"], exit=False, verbosity=1).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(bool(bad) or result.testsRun == 0)
