#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/quant/blocks.bin: random blocks of every GGUF weight type with their values, decoded here with numpy
(integers by whole-array arithmetic, one f32 rounding where the format rounds), and rows with their Q8_0, Q4_0, Q5_0 and Q5_1 blocks.

Layout, little-endian, per type in the order F16 BF16 Q8_0 Q4_0 Q4_K Q5_K Q6_K Q5_0 Q5_1: u32 blocks, the blocks, then f32 values.
Then four times (Q8_0, Q4_0, Q5_0, Q5_1): u32 n, f32 x[n], the blocks of x. usage: make_quant.py"""
import pathlib
import struct

import numpy as np

rng = np.random.default_rng(20240711)
f32 = np.float32


def halves(n, scale):
    return (rng.standard_normal(n) * scale).astype("<f2")


def k_scales(raw):
    """[n, 12] bytes -> scale [n, 8], min [n, 8]; the 6-bit fields gathered from the 96-bit little-endian view"""
    low, mid, top = raw[:, 0:4], raw[:, 4:8], raw[:, 8:12]
    scale = np.concatenate([low & 63, (top & 15) | ((low >> 6) << 4)], 1)
    least = np.concatenate([mid & 63, (top >> 4) | ((mid >> 6) << 4)], 1)
    return scale, least


def f16(n):
    h = halves(n, 1.0)
    h[:4] = [0.0, -0.0, 6e-8, 65504]
    return h.view(np.uint8).reshape(n, 2), h.astype(f32)


def bf16(n):
    bits = rng.integers(0, 0x7F80, n).astype("<u2") | (rng.integers(0, 2, n).astype("<u2") << 15)
    return bits.view(np.uint8).reshape(n, 2), (bits.astype("<u4") << 16).view("<f4")


def q8_0(n):
    d, q = halves(n, 0.01), rng.integers(-128, 128, (n, 32)).astype(np.int8)
    return np.concatenate([d.view(np.uint8).reshape(n, 2), q.view(np.uint8)], 1), q.astype(f32) * d.astype(f32)[:, None]


def q4_0(n):
    d, raw = halves(n, 0.01), rng.integers(0, 256, (n, 16)).astype(np.uint8)
    q = np.concatenate([raw & 15, raw >> 4], 1).astype(np.int32) - 8
    return np.concatenate([d.view(np.uint8).reshape(n, 2), raw], 1), q.astype(f32) * d.astype(f32)[:, None]


def q45_k(n, bits):
    d, least = abs(halves(n, 0.01)), abs(halves(n, 0.01))
    packed, qs = rng.integers(0, 256, (n, 12)).astype(np.uint8), rng.integers(0, 256, (n, 4, 32)).astype(np.uint8)
    q = np.stack([qs & 15, qs >> 4], 2).reshape(n, 8, 32)
    parts = [d.view(np.uint8).reshape(n, 2), least.view(np.uint8).reshape(n, 2), packed]
    if bits == 5:
        high = rng.integers(0, 256, (n, 32)).astype(np.uint8)
        q = q + 16 * np.stack([high >> j & 1 for j in range(8)], 1)
        parts.append(high)
    scale, low = k_scales(packed)
    step, down = d.astype(f32)[:, None] * scale.astype(f32), least.astype(f32)[:, None] * low.astype(f32)
    return np.concatenate(parts + [qs.reshape(n, 128)], 1), step[:, :, None] * q.astype(f32) - down[:, :, None]


def q6_k(n):
    q = rng.integers(0, 64, (n, 2, 4, 32))          # half, quarter, weight
    low, top = q & 15, q >> 4
    ql = np.stack([low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4], 2)
    qh = top[:, :, 0] | top[:, :, 1] << 2 | top[:, :, 2] << 4 | top[:, :, 3] << 6
    scale, d = rng.integers(-128, 128, (n, 16)).astype(np.int8), halves(n, 0.001)
    raw = np.concatenate([ql.reshape(n, 128).astype(np.uint8), qh.reshape(n, 64).astype(np.uint8),
                          scale.view(np.uint8), d.view(np.uint8).reshape(n, 2)], 1)
    step = d.astype(f32)[:, None] * scale.astype(f32)
    return raw, step[:, :, None] * (q.reshape(n, 16, 16) - 32).astype(f32)


def pack_q5(q):
    """[n, 32] of 0..31 -> fifth bits as little-endian words, nibbles"""
    words = ((q >> 4).astype(np.uint32) << np.arange(32, dtype=np.uint32)).sum(1).astype("<u4")
    return words.view(np.uint8).reshape(-1, 4), (q[:, :16] & 15 | (q[:, 16:] & 15) << 4).astype(np.uint8)


def q5_0(n):
    d, q = halves(n, 0.01), rng.integers(0, 32, (n, 32))
    return np.concatenate([d.view(np.uint8).reshape(n, 2), *pack_q5(q)], 1), (q - 16).astype(f32) * d.astype(f32)[:, None]


def q5_1(n):
    d, m, q = halves(n, 0.01), halves(n, 0.1), rng.integers(0, 32, (n, 32))
    heads = [h.view(np.uint8).reshape(n, 2) for h in (d, m)]
    return np.concatenate([*heads, *pack_q5(q)], 1), q.astype(f32) * d.astype(f32)[:, None] + m.astype(f32)[:, None]


def half_away(x):
    return np.trunc(x + np.copysign(f32(0.5), x))   # exact here: |x| < 2^22


def encode_q8_0(x):
    d = (abs(x).max(1) / f32(127)).astype(f32)
    inverse = np.where(d > 0, f32(1) / np.where(d > 0, d, f32(1)), f32(0)).astype(f32)
    q = half_away((x * inverse[:, None]).astype(f32)).astype(np.int8)
    return np.concatenate([d.astype("<f2").view(np.uint8).reshape(-1, 2), q.view(np.uint8)], 1)


def encode_q4_0(x):
    far = x[np.arange(len(x)), abs(x).argmax(1)]
    d = (far / f32(-8)).astype(f32)
    inverse = np.where(d != 0, f32(1) / np.where(d != 0, d, f32(1)), f32(0)).astype(f32)
    q = np.clip(((x * inverse[:, None]).astype(f32) + f32(8.5)).astype(f32).astype(np.int32), 0, 15).astype(np.uint8)
    return np.concatenate([d.astype("<f2").view(np.uint8).reshape(-1, 2), q[:, :16] | q[:, 16:] << 4], 1)


def inverse_of(d):
    return np.where(d != 0, f32(1) / np.where(d != 0, d, f32(1)), f32(0)).astype(f32)


def encode_q5_0(x):
    d = (x[np.arange(len(x)), abs(x).argmax(1)] / f32(-16)).astype(f32)
    q = np.clip(((x * inverse_of(d)[:, None]).astype(f32) + f32(16.5)).astype(f32).astype(np.int32), 0, 31)
    return np.concatenate([d.astype("<f2").view(np.uint8).reshape(-1, 2), *pack_q5(q)], 1)


def encode_q5_1(x):
    low, high = x.min(1), x.max(1)
    d = ((high - low).astype(f32) / f32(31)).astype(f32)
    q = np.clip((((x - low[:, None]).astype(f32) * inverse_of(d)[:, None]).astype(f32) + f32(0.5)).astype(f32).astype(np.int32), 0, 31)
    heads = [v.astype("<f2").view(np.uint8).reshape(-1, 2) for v in (d, low)]
    return np.concatenate([*heads, *pack_q5(q)], 1)


out = pathlib.Path(__file__).parent / "quant"
out.mkdir(exist_ok=True)
with open(out / "blocks.bin", "wb") as f:
    for raw, values in [f16(64), bf16(64), q8_0(6), q4_0(6), q45_k(3, 4), q45_k(3, 5), q6_k(3), q5_0(6), q5_1(6)]:
        f.write(struct.pack("<I", len(raw)) + raw.astype(np.uint8).tobytes() + values.astype("<f4").tobytes())
    x = rng.standard_normal((8, 32)).astype(f32)
    x[1] = 0
    x[2] *= f32(1e-3)
    x[3, :] = f32(-0.75)
    x[4, 5] = f32(40)
    for encode in encode_q8_0, encode_q4_0, encode_q5_0, encode_q5_1:
        f.write(struct.pack("<I", x.size) + x.tobytes() + encode(x).tobytes())
