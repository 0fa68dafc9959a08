#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/nano/mean.py: two tiny folders become the mean that NumPy computes in double, rounded once; what can't be averaged is refused
and leaves nothing. Skipped (77) without NumPy.
usage: test_mean.py SOURCE_ROOT"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: needs NumPy")
    sys.exit(77)

MEAN = pathlib.Path(sys.argv[1]) / "tools/nano/mean.py"
F32 = np.array([[1, -2, 3.25], [1e-30, 7, -5]], "<f4")
VALUES = [1.015625, 1, 1.0234375, 1.0078125, -3, 0.33203125, 256, 1e-3, 65280, -1e20]   # the first and the third mean lie halfway: to the even neighbour, 1 and 1.015625


def bf16_bits(values):
    """of values in double: to nearest in 8 bits of fraction, halfway to the even neighbour; none here is subnormal"""
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    return (np.ldexp(np.rint(mantissa * 256), exponent - 8).astype(np.float32).view(np.uint32) >> 16).astype("<u2")


def bf16_values(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def write(folder, tensors):
    """tensors: name -> (type, array); data in reverse order of names"""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name in sorted(tensors, reverse=True):
        kind, array = tensors[name]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text(f'{{"of": "{folder.name}"}}')


def read(folder):
    raw = (folder / "model.safetensors").read_bytes()
    size, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + size])
    return {name: (t["dtype"], np.frombuffer(raw[8 + size:][slice(*t["data_offsets"])], {"F32": "<f4", "BF16": "<u2"}[t["dtype"]]).reshape(t["shape"]))
            for name, t in header.items() if name != "__metadata__"}


def mean(*arguments):
    return subprocess.run([sys.executable, MEAN, *map(str, arguments)], capture_output=True, text=True)


with tempfile.TemporaryDirectory() as where:
    at = pathlib.Path(where)
    first = {"a": ("F32", F32), "b": ("BF16", bf16_bits(VALUES))}
    second = {"a": ("F32", F32[::-1].copy() * np.float32(1.1)), "b": ("BF16", bf16_bits(VALUES[1:] + VALUES[:1]))}
    write(at / "one", first)
    write(at / "two", second)
    run = mean(at / "to/here", f"0.25={at}/one", f"0.75={at}/two")
    assert run.returncode == 0, run.stderr
    got = read(at / "to/here")
    assert {name: kind for name, (kind, _) in got.items()} == {"a": "F32", "b": "BF16"}
    want = 0.25 * F32.astype(np.float64) + 0.75 * second["a"][1].astype(np.float64)
    assert np.array_equal(got["a"][1], want.astype(np.float32)), (got["a"], want)
    want = 0.25 * bf16_values(first["b"][1]) + 0.75 * bf16_values(second["b"][1])
    assert np.array_equal(got["b"][1], bf16_bits(want)), (got["b"], want)
    assert sorted(p.name for p in (at / "to/here").iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert json.loads((at / "to/here/config.json").read_text()) == {"of": "one"}
    assert mean(at / "same", f"0.25={at}/one", f"0.75={at}/one").returncode == 0
    assert (at / "same/model.safetensors").read_bytes() == (at / "one/model.safetensors").read_bytes()

    write(at / "narrow", {"a": ("F32", F32[:1]), "b": first["b"]})
    write(at / "whole", {"a": ("I32", F32.astype("<i4"))})
    for arguments, words in (([f"0.5={at}/one", f"0.4={at}/two"], "sum to 0.9, not to 1"), ([f"0.5={at}/one", f"0.5={at}/narrow"], "narrow: other tensors"),
                             ([f"0.5={at}/whole", f"0.5={at}/whole"], "type I32"), ([f"1={at}/one"], "usage: mean.py")):
        run = mean(at / "no", *arguments)
        assert run.returncode == 1 and words in run.stderr and not (at / "no").exists(), (arguments, run)
    assert mean(at / "one", f"0.25={at}/one", f"0.75={at}/two").returncode == 1   # it is there already
    assert np.array_equal(read(at / "one")["a"][1], F32)
print("passed")
