#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/image/resize/cases.bin: sources and the bytes that resampling must give.

Results with 22 bits are Pillow's own. Results in PyTorch's precision come from resample() below, a direct NumPy reading of
docs/ops/resize.md that must first agree with Pillow byte for byte at 22 bits. Cases from reference pictures (--golden DIR,
holding index.json, src*.png, dst*.png) are computed by others; without it those already stored are kept.

A case: one line "name src_w src_h dst_w dst_h channels filter precision form", then the source bytes, then the result bytes
(form "bytes") or, where that would be large, their 64-bit FNV-1a hash, little-endian (form "hash"). Four channels are not premultiplied: Pillow is given them as CMYK.
"""
import argparse
import json
import math
import os

import numpy as np
from PIL import Image

BOX, BILINEAR, BICUBIC = 1, 2, 3
TORCH, PILLOW = 0, 1
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, 'image', 'resize', 'cases.bin')
PIL_FILTER = {BOX: Image.Resampling.BOX, BILINEAR: Image.Resampling.BILINEAR, BICUBIC: Image.Resampling.BICUBIC}
SUPPORT = {BOX: 0.5, BILINEAR: 1.0, BICUBIC: 2.0}


def kernel(name, x):
    a = abs(x)
    if name == BOX:
        return 1.0 if -0.5 < x <= 0.5 else 0.0
    if name == BILINEAR:
        return max(0.0, 1.0 - a)
    if a < 1:
        return (1.5 * a - 2.5) * a * a + 1
    return (((a - 5) * a + 8) * a - 4) * -0.5 if a < 2 else 0.0


def axis_weights(n_in, n_out, name, precision):
    scale = n_in / n_out
    fs = max(scale, 1.0)
    rows = []
    for i in range(n_out):
        centre = (i + 0.5) * scale
        lo = max(0, int(centre - SUPPORT[name] * fs + 0.5))
        hi = min(n_in, int(centre + SUPPORT[name] * fs + 0.5))
        w = [kernel(name, (k - centre + 0.5) * (1.0 / fs)) for k in range(lo, hi)]
        total = sum(w)
        rows.append((lo, [v / total for v in w]))
    p = 22
    if precision == TORCH:
        largest = max(max(w) for _, w in rows)
        p = next(b for b in range(23) if b == 22 or int(0.5 + largest * 2 ** (b + 1)) >= 2 ** 15)
    dense = np.zeros((n_out, n_in), np.int64)
    for i, (lo, w) in enumerate(rows):
        dense[i, lo:lo + len(w)] = [math.trunc(v * 2 ** p + (-0.5 if v < 0 else 0.5)) for v in w]
    return dense, p


def resample(src, dst_w, dst_h, name, precision):
    """src: [h, w, channels] uint8"""
    x = src.astype(np.int64)
    if dst_w != src.shape[1]:
        w, p = axis_weights(src.shape[1], dst_w, name, precision)
        x = np.clip((np.einsum('oi,hic->hoc', w, x) + (1 << (p - 1))) >> p, 0, 255)
    if dst_h != src.shape[0]:
        w, p = axis_weights(src.shape[0], dst_h, name, precision)
        x = np.clip((np.einsum('oi,iwc->owc', w, x) + (1 << (p - 1))) >> p, 0, 255)
    return x.astype(np.uint8)


def pillow(src, dst_w, dst_h, name):
    mode = {1: 'L', 3: 'RGB', 4: 'CMYK'}[src.shape[2]]
    img = Image.frombytes(mode, (src.shape[1], src.shape[0]), src.tobytes()).resize((dst_w, dst_h), PIL_FILTER[name])
    return np.frombuffer(img.tobytes(), np.uint8).reshape(dst_h, dst_w, src.shape[2])


def picture(rng, w, h, channels, kind):
    if kind == 'noise':
        return rng.integers(0, 256, (h, w, channels), np.uint8)
    if kind == 'edges':                                # black and white blocks: overshoot that must be clamped
        cells = rng.integers(0, 2, (h // 5 + 1, w // 5 + 1, channels), np.uint8) * 255
        return np.repeat(np.repeat(cells, 5, 0), 5, 1)[:h, :w]
    y, x, c = np.mgrid[0:h, 0:w, 0:channels]
    return ((37 * x + 59 * y + 11 * x * y + 85 * c) % 256).astype(np.uint8)


SIZES = [  # src_w, src_h, dst_w, dst_h, channels, kind
    (6, 4, 9, 5, 1, 'ramp'), (6, 4, 3, 2, 1, 'ramp'),       # the two arrays of the definition
    (41, 33, 13, 9, 3, 'noise'), (37, 29, 10, 31, 3, 'edges'), (20, 14, 55, 40, 3, 'noise'), (64, 7, 5, 7, 3, 'noise'),
    (7, 64, 7, 5, 3, 'edges'), (90, 3, 31, 11, 3, 'ramp'), (1, 40, 9, 13, 3, 'noise'), (40, 1, 13, 9, 3, 'noise'),
    (53, 31, 17, 12, 1, 'noise'), (23, 9, 70, 21, 1, 'edges'), (300, 5, 7, 3, 1, 'noise'), (33, 35, 11, 14, 4, 'noise'),
    (19, 8, 44, 19, 4, 'edges'), (1200, 2, 3, 1, 3, 'noise'), (5, 900, 3, 2, 1, 'noise'), (2, 2, 33, 17, 3, 'noise'),
    (100, 26, 99, 25, 3, 'noise'), (26, 21, 27, 22, 4, 'edges'),
]


def computed_cases():
    rng = np.random.default_rng(20240)
    for w, h, dw, dh, c, kind in SIZES:
        src = picture(rng, w, h, c, kind)
        for name in (BICUBIC,) if w * h > 1500 else (BOX, BILINEAR, BICUBIC):
            theirs = pillow(src, dw, dh, name)
            assert (resample(src, dw, dh, name, PILLOW) == theirs).all(), (w, h, dw, dh, name)
            yield f'{kind}-{w}x{h}', src, theirs, name, PILLOW
            yield f'{kind}-{w}x{h}', src, resample(src, dw, dh, name, TORCH), name, TORCH


def golden_cases(folder):
    for entry in json.load(open(os.path.join(folder, 'index.json')))['images']:
        src, dst = (np.asarray(Image.open(os.path.join(folder, entry[k])).convert('RGB')) for k in ('src', 'dst'))
        assert (resample(src, dst.shape[1], dst.shape[0], BICUBIC, TORCH) == dst).all(), entry['src']
        if entry['src'] == entry['dst']:
            continue                                   # nothing is resampled
        yield 'golden-' + entry['src'][:-4], src, dst, BICUBIC, TORCH


def fnv1a(data):
    h = 0xcbf29ce484222325
    for b in data:
        h = (h ^ b) * 0x100000001b3 % 2 ** 64
    return h


def record(name, src, dst, kernel_name, precision):
    form = 'hash' if dst.size > 6000 else 'bytes'
    sizes = f'{src.shape[1]} {src.shape[0]} {dst.shape[1]} {dst.shape[0]} {src.shape[2]}'
    head = f'{name} {sizes} {kernel_name} {precision} {form}\n'.encode()
    body = dst.tobytes() if form == 'bytes' else fnv1a(dst.tobytes()).to_bytes(8, 'little')
    return head + src.tobytes() + body


def stored_golden():
    data, kept, pos = open(OUT, 'rb').read(), [], 0
    while pos < len(data):
        end = data.index(b'\n', pos)
        f = data[pos:end].split()
        sw, sh, dw, dh, c = map(int, f[1:6])
        size = end + 1 - pos + sw * sh * c + (8 if f[8] == b'hash' else dw * dh * c)
        if f[0].startswith(b'golden-'):
            kept.append(data[pos:pos + size])
        pos += size
    return kept


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ap.add_argument('--golden', help='folder of reference pictures with index.json')
    args = ap.parse_args()
    kept = [record(*c) for c in golden_cases(args.golden)] if args.golden else stored_golden()
    data = b''.join([record(*c) for c in computed_cases()] + kept)
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, 'wb') as f:
        f.write(data)
    print(OUT, len(data), 'bytes')


if __name__ == '__main__':
    main()
