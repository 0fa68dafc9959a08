# SPDX-License-Identifier: Apache-2.0
"""The scaling law: runs of a known one (tests/data/make_scaling.py, float64) give its values back."""
import numpy as np
import pytest
from conftest import DATA

import muse

LAW = {"E": 1.7, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28}


def loss(parameters, positions):
    return LAW["E"] + LAW["A"] / parameters ** LAW["alpha"] + LAW["B"] / positions ** LAW["beta"]


def test_a_known_law(tmp_path):
    runs = np.loadtxt(DATA / "train/scaling.txt")
    fit = muse.ScalingFit(runs[:, :3])
    for name, want in LAW.items():
        value = getattr(fit, name)
        assert value.value == pytest.approx(want, rel=1e-4) and value.low <= value.value * 1.0001 and value.high >= value.value * 0.9999
    assert fit.error < 1e-6 and fit.points[3].positions == runs[3, 1] and "20 runs" in repr(fit)
    assert fit.predict(1e8, 1e10).value == pytest.approx(loss(1e8, 1e10), rel=1e-4)
    noisy = muse.ScalingFit(runs[:, [0, 1, 3]], seed=1)
    low, high = noisy.predict(1e8, 1e10)[1:]
    width = high - low
    assert width > 1e-3 and low - width < loss(1e8, 1e10) < high + width
    noisy.save_png(tmp_path / "fit.png", next=(1e8, 1e10, 2.5))
    noisy.save_png(tmp_path / "plain.png")
    with muse.Image(tmp_path / "fit.png") as ringed, muse.Image(tmp_path / "plain.png") as plain:
        assert ringed.rgb().shape != plain.rgb().shape or (ringed.rgb() != plain.rgb()).any()


def test_refused_runs():
    good = [(10.0 ** a, 10.0 ** b, 3.0) for a in (5, 6) for b in (6, 7, 8)]
    for bad in (good[:5], [(1e5, b, l) for _, b, l in good], [(0, b, l) for _, b, l in good], [(a, b, float("nan")) for a, b, _ in good]):
        with pytest.raises(muse.ArgumentError):
            muse.ScalingFit(bad)
    with pytest.raises(TypeError):
        muse.ScalingFit([(1, 2)] * 6)
    with pytest.raises(ValueError):
        muse.ScalingFit(good).predict(0, 1e6)
