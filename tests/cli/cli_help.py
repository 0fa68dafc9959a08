# SPDX-License-Identifier: Apache-2.0
"""Shared by the tests of the muse program. sys.argv: PROGRAM MUSE SOURCE_ROOT"""
import fcntl
import os
import pathlib
import pty
import struct
import subprocess
import sys
import termios
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


def needs_terminal(test):
    """Skips the test where no terminal can be opened: a container may be without devpts."""
    try:
        for end in pty.openpty():
            os.close(end)
    except OSError as error:
        return unittest.skip(f"no terminal can be opened: {error}")(test)
    return test


def on_terminal(*args, columns=80, term="xterm", code=None):
    """What the program shows on a terminal of this width on stderr, line ends as it wrote them. code: with which it must end."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    run = subprocess.Popen([MUSE, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=end, env={**os.environ, "TERM": term})
    os.close(end)
    shown = b""
    try:
        while more := os.read(terminal, 4096):
            shown += more
    except OSError:   # Linux: all ends of it are closed
        pass
    os.close(terminal)
    if run.wait(timeout=300) < 0:
        raise AssertionError(f"muse {args}: ended by signal {-run.returncode}")
    if code is not None and run.returncode != code:
        raise AssertionError(f"muse {args}: exit code {run.returncode}, not {code}")
    return shown.replace(b"\r\n", b"\n").decode("utf-8", "replace")


def main():
    result = unittest.main(module="__main__", argv=["test"], exit=False, verbosity=1).result
    bad = len(result.failures) + len(result.errors)
    for test, reason in result.skipped:
        print(f"skipped {test.id()}: {reason}")
    skipped = len(result.skipped)
    print(f"{result.testsRun - bad - skipped} passed, {bad} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(bool(bad) or result.testsRun == 0)
