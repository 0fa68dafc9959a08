# SPDX-License-Identifier: Apache-2.0
"""Runtimes: threads, CPU level and log that everything else is opened with."""
from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import _native as n
from ._lib import Handle, call, callback, check, lib, params, string

CPU_LEVELS = {"auto": n.MUSE_CPU_AUTO, "c": n.MUSE_CPU_C, "avx2": n.MUSE_CPU_AVX2, "avx512": n.MUSE_CPU_AVX512, "amx": n.MUSE_CPU_AMX}
LOG_LEVELS = {"warn": n.MUSE_LOG_WARN, "info": n.MUSE_LOG_INFO, "debug": n.MUSE_LOG_DEBUG}
_PYTHON_LEVELS = {n.MUSE_LOG_WARN: logging.WARNING, n.MUSE_LOG_INFO: logging.INFO, n.MUSE_LOG_DEBUG: logging.DEBUG}
_log_callbacks: list[Any] = []   # kept for good: objects in C may hold a runtime longer than anything in Python does


def choice(names: dict[str, int], value: str | None, what: str) -> int:
    """The number of a name; None is 0, the default."""
    if value is None:
        return 0
    if value not in names:
        raise ValueError(f"{what} is one of {', '.join(names)}, not {value!r}")
    return names[value]


def _to_logging(level: int, text: str) -> None:
    logging.getLogger("muse").log(_PYTHON_LEVELS.get(level, logging.WARNING), "%s", text)


@dataclass(frozen=True)
class RuntimeInfo:
    threads: int
    cpu_level: str   #: in use
    cpu_best: str    #: the best of this machine and build
    onednn: str      #: version, "" without


@dataclass(frozen=True)
class Limits:
    """What a machine can do at most, all threads together; 0: this CPU or level lacks it. A multiply-add is two operations."""
    read_gbs: float         #: 10^9 bytes a second, read once: no token is written faster than all weights are read
    fma_f32_gflops: float   #: 10^9 operations a second
    dot_bf16_gflops: float
    dot_int8_gops: float
    amx_bf16_gflops: float
    amx_int8_gops: float


class Runtime(Handle):
    """Threads, CPU level and log. Any thread may use it; objects made with it keep it alive.

    threads: 1..1024, 0 = the cores this process may run on. cpu_level: "auto", "c", "avx2", "avx512", "amx"; UnsupportedError when
    this machine lacks it. log: called as log(level, text) with level 1 warn, 2 info, 3 debug, from any thread; None = Python's
    logging, logger "muse". What `log` raises leaves from the call under way."""

    def __init__(self, *, threads: int = 0, cpu_level: str = "auto", log: Callable[[int, str], None] | None = None, log_level: str = "warn") -> None:
        write = log or _to_logging
        function = callback(n.MuseLogFn, lambda user, level, text: write(level, string(text)), None)
        _log_callbacks.append(function)
        settings = params(n.MuseRuntimeParams, lib.muse_runtime_params_init, threads=threads, cpu_level=choice(CPU_LEVELS, cpu_level, "cpu_level"),
                          log=function, log_level=choice(LOG_LEVELS, log_level, "log_level"))
        self._open(n.MuseRuntime, lib.muse_runtime_close, lib.muse_runtime_open, ctypes.byref(settings))

    @property
    def info(self) -> RuntimeInfo:
        out = n.MuseRuntimeInfo()
        check(lib.muse_runtime_info(self._own, ctypes.byref(out)), "runtime")
        names = {number: name for name, number in CPU_LEVELS.items()}
        return RuntimeInfo(out.threads, names[out.cpu_level], names[out.cpu_best], string(out.onednn_version))

    def limits(self) -> Limits:
        """Measure this machine: some tenths of a second, 512 MiB. Nothing else should compute meanwhile."""
        out = n.MuseLimits()
        call(lib.muse_measure_limits, self._own, ctypes.byref(out))
        return Limits(**{name: getattr(out, name) for name, *_ in out._fields_})


_default: Runtime | None = None
_default_lock = threading.Lock()


def runtime_of(runtime: Runtime | None) -> Runtime:
    """The one given, or the one that all share: default threads and level, warnings to logging."""
    global _default
    if runtime is not None:
        return runtime
    with _default_lock:
        if _default is None or _default.closed:
            _default = Runtime()
        return _default
