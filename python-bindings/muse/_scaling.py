# SPDX-License-Identifier: Apache-2.0
"""How the loss falls with parameters and data: L(N, D) = E + A / N^a + B / D^b, fitted to finished runs (docs/train.md, "Scaling")."""
from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from . import _native as n
from ._lib import call, lib, path_bytes
from ._runtime import Runtime, runtime_of

NAMES = ("E", "A", "alpha", "B", "beta")


class ScalingPoint(NamedTuple):
    """One finished run."""
    parameters: float  #: N
    positions: float   #: D: seen in training
    loss: float        #: L at its end, nats


class Interval(NamedTuple):
    """A value with the 5th and 95th percentile of the bootstrap."""
    value: float
    low: float
    high: float


class ScalingFit:
    """The law, fitted to at least 6 runs of two or more different N and D each: (parameters, positions, loss), in any order. The same runs and seed, the same
    result. E, A, alpha, B, beta: Intervals; error: root mean square of ln(loss / fit)."""

    def __init__(self, points: Iterable[tuple[float, float, float]], *, seed: int = 0) -> None:
        self.points = [ScalingPoint(*map(float, point)) for point in points]
        self._fit = n.MuseScalingFit()
        call(lib.muse_scaling_fit, self._rows(), len(self.points), seed, ctypes.byref(self._fit))
        self.E, self.A, self.alpha, self.B, self.beta = (Interval(*values) for values in zip(self._fit.value, self._fit.low, self._fit.high))
        self.error: float = self._fit.error

    def _rows(self) -> Any:
        return (n.MuseScalingPoint * len(self.points))(*(n.MuseScalingPoint(*point) for point in self.points))

    def predict(self, parameters: float, positions: float) -> Interval:
        """The loss that the fit expects; the interval is that of the fit, without the noise of a single run."""
        if not (parameters > 0 and positions > 0):
            raise ValueError(f"{parameters} parameters and {positions} positions: both are above 0")
        low, high = ctypes.c_double(), ctypes.c_double()
        value = lib.muse_scaling_predict(ctypes.byref(self._fit), parameters, positions, ctypes.byref(low), ctypes.byref(high))
        return Interval(value, low.value, high.value)

    def save_png(self, path: str | os.PathLike[str], *, next: tuple[float, float, float] | None = None, runtime: Runtime | None = None) -> None:
        """Draw loss against positions, a colour for each N, with the fit's curves. next: one more run, a ring with its interval."""
        ring = None if next is None else ctypes.byref(n.MuseScalingPoint(*map(float, next)))
        call(lib.muse_scaling_draw, runtime_of(runtime)._own, path_bytes(path), ctypes.byref(self._fit), self._rows(), len(self.points), ring)

    def __repr__(self) -> str:
        law = ", ".join(f"{name} = {getattr(self, name).value:.4g}" for name in NAMES)
        return f"<muse.ScalingFit of {len(self.points)} runs: {law}>"
