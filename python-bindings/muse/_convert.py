# SPDX-License-Identifier: Apache-2.0
"""Model files into another container and number type (docs/guide-weights.md, "Quantising")."""
from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import _native as n
from ._lib import call, callback, chars, lib, params, path_bytes, string
from ._runtime import Runtime, runtime_of


@dataclass(frozen=True)
class Converted:
    """What was written."""
    n_tensors: int  #: in all files
    n_kept: int     #: matrices whose rows are no whole number of blocks of the wanted type
    bytes_in: int   #: of the tensors read
    bytes_out: int  #: of the weight files written
    n_files: int    #: weight files


def convert(source: str | os.PathLike[str], out: str | os.PathLike[str], type: str, *, mmproj: str | os.PathLike[str] | None = None, shard_bytes: int = 0,
            progress: Callable[[int, int, str], object] | None = None, runtime: Runtime | None = None) -> Converted:
    """Convert a Hugging Face folder or a GGUF file. Files appear whole or not at all.

    out: a name that ends in ".gguf" is that file, replaced if it is there; else a folder, which is made, or is empty. type: "f32", "bf16", "f16"; into GGUF also
    "q8_0", "q4_0", "q4_k", "q5_k", "q6_k", "q5_0", "q5_1". mmproj: Gemma's projector file: where to write it (None = beside the GGUF file), or, from GGUF to a folder, the one to
    read. shard_bytes: largest data of one safetensors file, 0 = one file. progress(done, total, tensor): bytes, called every few megabytes; a true value
    stops with Cancelled, which leaves nothing, as Ctrl-C and what it raises do. UnsupportedError: what the target can't hold, such as the families muse and fuyu in GGUF."""
    stop = False

    def seen(user: Any, done: int, total: int, tensor: Any) -> None:
        nonlocal stop
        stop = bool(progress and progress(done, total, string(tensor))) or stop

    settings = params(n.MuseConvertParams, lib.muse_convert_params_init, type=chars(type), mmproj=None if mmproj is None else chars(path_bytes(mmproj)),
                      shard_bytes=shard_bytes, progress=callback(n.MuseConvertProgressFn, seen, None),
                      cancel=callback(n.MuseCancelFn, lambda user: 1 if stop else 0, 1))
    made = n.MuseConvertInfo()
    call(lib.muse_convert, runtime_of(runtime)._own, path_bytes(source), path_bytes(out), ctypes.byref(settings), ctypes.byref(made))
    return Converted(made.n_tensors, made.n_kept, made.bytes_in, made.bytes_out, made.n_files)
