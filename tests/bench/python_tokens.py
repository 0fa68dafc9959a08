#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What writing from Python costs beside the same loop in C: muse_generate(), in the same process, turn by turn in changing order.
One thread, CPU time of the process, a prompt that is computed before, greedy, no stop ids. Prints medians over the rounds for each way
of the package to write. usage: MUSE_LIBRARY=LIBRARY python_tokens.py [MODEL [TOKENS [ROUNDS]]]

Exit 77 where numpy is not installed."""
import ctypes
import pathlib
import random
import statistics
import sys
import time

try:
    import numpy as np
except ImportError as e:
    print("skipped:", e)
    sys.exit(77)
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python-bindings"))
import muse  # noqa: E402
from muse import _native as n  # noqa: E402
from muse._lib import address, call, lib, params  # noqa: E402

folder, tokens, rounds = (sys.argv[1:] + [ROOT / "models/muse-nano", "250", "60"][len(sys.argv) - 1:])[:3]
tokens, rounds = int(tokens), int(rounds)
model = muse.load(folder, threads=1)
session = model.session().append("How many squares are there in the picture, and which of them is red?")
session.prefill()
length = len(session.sequence)
NO_IDS = np.zeros(1, np.int32)


def in_c():
    settings, out = params(n.MuseGenerateParams, lib.muse_generate_params_init, max_tokens=tokens, stop_ids=address(NO_IDS, ctypes.c_int32)), n.MuseGenerateResult()
    yield
    call(lib.muse_generate, session._own, ctypes.byref(settings), ctypes.byref(out))
    yield
    lib.muse_generate_result_clear(ctypes.byref(out))


def all_of(loop):
    def way():
        generation = session.generate(max_tokens=tokens, stop_ids=[])
        yield
        loop(generation)
        yield
        assert len(generation.result.ids) == tokens
    return way


def each(items):
    for _ in items:
        pass


WAYS = {"muse_generate() in C": in_c, "run()": all_of(lambda g: g.run()), "for token in tokens()": all_of(lambda g: each(g.tokens())), "for piece in generation": all_of(each)}


def measure(way):
    """us a token"""
    session.rewind(length - 1)   # what was written goes
    session.sequence.append_ids([LAST])
    session.prefill()
    steps = way()
    next(steps)
    begin = time.process_time_ns()
    next(steps)
    end = time.process_time_ns()
    list(steps)
    return (end - begin) / 1000 / tokens


LAST = int(session.sequence.ids[-1])
times = {name: [] for name in WAYS}
for turn in range(rounds + 1):
    for name in random.sample(list(WAYS), len(WAYS)):
        seen = measure(WAYS[name])
        if turn:   # the first one warms up
            times[name].append(seen)
c = times["muse_generate() in C"]
print(f"{folder}, {tokens} tokens, {rounds} rounds: CPU time a token, medians; differences of pairs with their middle halves")
for name, seen in times.items():
    low, middle, high = statistics.quantiles([a - b for a, b in zip(seen, c)], n=4)
    print(f"{name:24} {statistics.median(seen):7.2f} us" + (f"  + {middle:.2f} us ({low:.2f}..{high:.2f}), {100 * statistics.median(a / b - 1 for a, b in zip(seen, c)):.1f} %" if name in list(WAYS)[1:] else ""))
