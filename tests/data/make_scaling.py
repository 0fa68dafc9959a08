#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs of a law that is known, for tests/unit/test_scaling.c: parameters, positions, loss without noise, loss with 1 % noise.
float64; usage: make_scaling.py > train/scaling.txt"""
import numpy as np

E, A, ALPHA, B, BETA = 1.7, 406.4, 0.34, 410.7, 0.28
rng = np.random.default_rng(7)
for n in (1e5, 3e5, 1e6, 3e6):
    for d in (1e6, 4e6, 1.6e7, 6.4e7, 2.56e8):
        loss = E + A / n ** ALPHA + B / d ** BETA
        print(f"{n:.17g} {d:.17g} {loss:.17g} {loss * np.exp(0.01 * rng.standard_normal()):.17g}")
