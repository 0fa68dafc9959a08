#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Resampling beside Pillow: the same pixels, one core, turn by turn. usage: pillow_resize.py BENCH_RESIZE [RUNS]

Prints medians, their ratio, and how far the results are apart. Exit 77 where Pillow is not installed.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import numpy as np
    import PIL
    from PIL import Image
except ImportError as e:
    print('skipped:', e)
    sys.exit(77)

SHAPES = [  # src, dst, channels
    ((4000, 3000), (912, 672), 3), ((4000, 3000), (912, 672), 1), ((4000, 3000), (224, 168), 3),
    ((1920, 1080), (1056, 576), 3), ((640, 480), (912, 672), 3),
]


def picture(w, h, channels):
    """smooth colours, edges and noise"""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    planes = [128 + 90 * np.sin(x / (17 + 9 * c)) * np.cos(y / (23 - 5 * c)) + 30 * ((x // 64 + y // 48) % 2) for c in range(channels)]
    p = np.stack(planes, -1) + rng.normal(0, 6, (h, w, channels)).astype(np.float32)
    return np.ascontiguousarray(np.clip(p, 0, 255).astype(np.uint8))


def compare(bench, src, dst, channels, precision, level, runs, folder):
    pixels = picture(*src, channels)
    raw, out = os.path.join(folder, 'src.raw'), os.path.join(folder, 'out.raw')
    pixels.tofile(raw)
    img = Image.fromarray(pixels if channels > 1 else pixels[..., 0])
    args = [bench, '--serve', raw, *map(str, src), *map(str, dst), str(channels), str(precision), level, out]
    ours, theirs = [], []
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        for _ in range(runs):
            t = time.perf_counter()
            result = img.resize(dst, Image.Resampling.BICUBIC)
            theirs.append(time.perf_counter() - t)
            p.stdin.write('\n')
            p.stdin.flush()
            ours.append(float(p.stdout.readline()) / 1e9)
        p.stdin.close()
    if p.returncode:
        sys.exit(f'{bench} failed')
    got = np.fromfile(out, np.uint8).astype(int)
    apart = np.abs(got - np.asarray(result).reshape(-1))
    a, b = statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3
    kind = 'Pillow ' if precision else 'PyTorch'
    print(f'{src[0]}x{src[1]} -> {dst[0]}x{dst[1]}, {channels} channels, {kind} precision, {level:6}: ours {a:7.2f} ms, Pillow {b:7.2f} ms, '
          f'{b / a:5.1f} times; {100 * (apart > 0).mean():.2f} % of bytes differ, by at most {apart.max()}', flush=True)


def main():
    bench, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 9
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f'Pillow {PIL.__version__}, one core, medians of {runs}')
    with tempfile.TemporaryDirectory() as folder:
        for src, dst, channels in SHAPES:
            for precision in 0, 1:
                compare(bench, src, dst, channels, precision, 'auto', runs, folder)
        for level in 'c', 'avx2':
            compare(bench, *SHAPES[0], 0, level, runs, folder)


if __name__ == '__main__':
    main()
