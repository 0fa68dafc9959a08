#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/image/good/ with expect.csv, and tests/data/bad/image/ with codes.csv.

Good pictures: pixels by Pillow where Pillow reads the kind as we do; by the definition of the format (NumPy) where a PNG or
PNM is written by this script, which must then agree with Pillow too unless said otherwise. Hashes are BLAKE2b-256 with the
purpose "test" in front, as base/hash.h writes it, of the RGB bytes as seen (EXIF orientation applied).

expect.csv: file, format, width, height, orientation, bits, channels, alpha, cmyk, hash with alpha dropped, hash over (10,200,60)

--golden DIR copies a few cases of reference pictures (FOLDER/cases/NAME) to tests/data/image/golden/ and takes the patch
values out of expect.safetensors; without it those already stored are kept.
"""
import argparse
import hashlib
import io
import json
import os
import shutil
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
GOOD = os.path.join(HERE, 'image', 'good')
BAD = os.path.join(HERE, 'bad', 'image')
GOLDEN = os.path.join(HERE, 'image', 'golden')
BACKGROUND = np.array([10, 200, 60], np.float64)
rows = []


def digest(rgb):
    purpose = b'test'
    return hashlib.blake2b(struct.pack('<Q', len(purpose)) + purpose + rgb.tobytes(), digest_size=32).hexdigest()


def photo(width, height, seed=1):
    """Smooth shapes, some texture, all channels different."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [127 + 90 * np.sin(x / (7 + 3 * c) + seed) * np.cos(y / (9 - 2 * c)) + 30 * np.sin(x * y / (40 + 11 * c)) for c in range(3)]
    noise = rng.normal(0, 6, (height, width, 3))
    return np.clip(np.stack(planes, 2) + noise, 0, 255).astype(np.uint8)


def oriented(rgb, orientation):
    """The picture as seen, from the picture as stored; EXIF 2.32, orientation."""
    return {1: rgb, 2: rgb[:, ::-1], 3: rgb[::-1, ::-1], 4: rgb[::-1], 5: rgb.transpose(1, 0, 2), 6: rgb[::-1].transpose(1, 0, 2),
            7: rgb[::-1, ::-1].transpose(1, 0, 2), 8: rgb[:, ::-1].transpose(1, 0, 2)}[orientation]


def over(rgba):
    rgba = rgba.astype(np.float64)
    a = rgba[..., 3:]
    return np.floor((rgba[..., :3] * a + BACKGROUND * (255 - a)) / 255 + 0.5).astype(np.uint8)


def add(name, data, kind, bits, channels, rgba, orientation=1, cmyk=0):
    """rgba: the stored pixels, [h, w, 3 or 4]"""
    with open(os.path.join(GOOD, name), 'wb') as f:
        f.write(data)
    alpha = rgba.shape[2] == 4
    drop = np.ascontiguousarray(oriented(rgba[..., :3], orientation))
    flat = np.ascontiguousarray(oriented(over(rgba), orientation)) if alpha else drop
    rows.append([name, kind, drop.shape[1], drop.shape[0], orientation, bits, channels, int(alpha), cmyk, digest(drop), digest(flat)])


def pillow_rgb(data):
    """stored pixels, no orientation"""
    return np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))


def check_seen(data, orientation):
    """our own table of orientations against Pillow's"""
    im = Image.open(io.BytesIO(data))
    assert np.array_equal(np.asarray(ImageOps.exif_transpose(im).convert('RGB')), oriented(np.asarray(im.convert('RGB')), orientation))


def encode(im, kind, **options):
    out = io.BytesIO()
    im.save(out, kind, **options)
    return out.getvalue()


def tiff(orientation, big=False, count=1, extra=0, type_=3):
    e = '>' if big else '<'
    entries = [(0x010f, 2, 4, b'abc\0')] * extra
    value = struct.pack(e + ('I' if type_ == 4 else 'HH'), *((orientation,) if type_ == 4 else (orientation, 0)))
    entries.append((0x0112, type_, count, value))
    out = (b'MM\0*' if big else b'II*\0') + struct.pack(e + 'IH', 8, len(entries))
    for tag, kind, n, data in entries:
        out += struct.pack(e + 'HHI', tag, kind, n) + data
    return out + struct.pack(e + 'I', 0)


# ---- JPEG

def with_app1(jpeg, payload):
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(payload) + 2) + payload + jpeg[2:]


def make_jpeg():
    rgb = photo(61, 47)
    im = Image.fromarray(rgb)
    for name, options in {'444': dict(subsampling=0), '422': dict(subsampling=1), '420': dict(subsampling=2),
                          'progressive-420': dict(subsampling=2, progressive=True), 'progressive-444': dict(subsampling=0, progressive=True),
                          'optimized': dict(optimize=True, quality=30)}.items():
        data = encode(im, 'JPEG', **{'quality': 85, **options})
        add(f'jpeg-{name}.jpg', data, 'jpeg', 8, 3, pillow_rgb(data))
    grey = encode(im.convert('L'), 'JPEG', quality=85)
    add('jpeg-grey.jpg', grey, 'jpeg', 8, 1, pillow_rgb(grey))
    grey = encode(im.convert('L'), 'JPEG', quality=85, progressive=True)
    add('jpeg-progressive-grey.jpg', grey, 'jpeg', 8, 1, pillow_rgb(grey))
    cmyk = encode(im.convert('CMYK'), 'JPEG', quality=90)
    add('jpeg-cmyk.jpg', cmyk, 'jpeg', 8, 4, pillow_rgb(cmyk), cmyk=1)
    # Adobe's transform code 2: the same bytes read as YCCK
    at = cmyk.index(b'Adobe') + 11
    ycck = cmyk[:at] + b'\2' + cmyk[at + 1:]
    add('jpeg-ycck.jpg', ycck, 'jpeg', 8, 4, pillow_rgb(ycck), cmyk=1)
    for size in ((1, 1), (1, 50), (50, 1), (8, 8), (17, 16)):
        data = encode(Image.fromarray(photo(*size)), 'JPEG', quality=85)
        add(f'jpeg-{size[0]}x{size[1]}.jpg', data, 'jpeg', 8, 3, pillow_rgb(data))
    plain = encode(Image.fromarray(photo(37, 23)), 'JPEG', quality=85)
    stored = pillow_rgb(plain)
    for o in range(1, 9):
        data = with_app1(plain, b'Exif\0\0' + tiff(o, big=o % 2 == 0, extra=o % 3))
        check_seen(data, o)
        add(f'jpeg-exif{o}.jpg', data, 'jpeg', 8, 3, stored, o)
    add('jpeg-exif-long.jpg', with_app1(plain, b'Exif\0\0' + tiff(6, type_=4)), 'jpeg', 8, 3, stored, 6)
    # broken EXIF: the picture is taken as stored
    for name, payload in {'zero': tiff(0), 'nine': tiff(9), 'count': tiff(6, count=2), 'type': tiff(6, type_=2), 'cut': tiff(6)[:15],
                          'order': b'IM' + tiff(6)[2:], 'magic': b'II+\0' + tiff(6)[4:], 'far': b'II*\0\xff\xff\xff\x7f', 'none': b''}.items():
        add(f'jpeg-badexif-{name}.jpg', with_app1(plain, b'Exif\0\0' + payload), 'jpeg', 8, 3, stored, 1)


# ---- PNG

def png_chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def pack(samples, depth):
    """[h, w, channels] to filter-0 scanlines"""
    h = samples.shape[0]
    flat = samples.reshape(h, -1)
    if depth == 16:
        raw = flat.astype('>u2').tobytes()
        n = len(raw) // h if h else 0
        return b''.join(b'\0' + raw[i * n:(i + 1) * n] for i in range(h))
    out = b''
    for line in flat:
        if depth < 8:
            per = 8 // depth
            line = np.concatenate([line, np.zeros(-len(line) % per, line.dtype)]).reshape(-1, per)
            line = sum(line[:, i].astype(np.uint16) << (8 - depth * (i + 1)) for i in range(per)).astype(np.uint8)
        out += b'\0' + line.astype(np.uint8).tobytes()
    return out


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(samples, depth, colour, before=(), after=(), interlace=False):
    h, w = samples.shape[:2]
    parts = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlace else [samples]
    data = zlib.compress(b''.join(pack(p, depth) for p in parts if p.size), 9)
    cut = len(data) // 2
    return (b'\x89PNG\r\n\x1a\n' + png_chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, depth, colour, 0, 0, int(interlace)))
            + b''.join(png_chunk(*c) for c in before) + png_chunk(b'IDAT', data[:cut]) + png_chunk(b'IDAT', data[cut:])
            + b''.join(png_chunk(*c) for c in after) + png_chunk(b'IEND', b''))


def make_png():
    rng = np.random.default_rng(7)
    w, h = 23, 17

    def grey_rgba(values, depth, alpha=None):
        top = (1 << depth) - 1
        v = (values >> 8 if depth == 16 else values * 255 // top).astype(np.uint8)
        a = [] if alpha is None else [alpha]
        return np.concatenate([v] * 3 + a, 2)

    for interlace in (False, True):
        tail = '-interlaced' if interlace else ''
        for depth in (1, 2, 4, 8, 16):
            v = rng.integers(0, 1 << depth, (h, w, 1))
            data = png(v, depth, 0, interlace=interlace)
            stored = grey_rgba(v, depth)
            if depth < 16:   # Pillow turns 16-bit grey into 32-bit integers and clips these at 255
                assert np.array_equal(pillow_rgb(data), stored)
            add(f'png-grey{depth}{tail}.png', data, 'png', depth, 1, stored)
            key = int(v[3, 5, 0])
            data = png(v, depth, 0, [(b'tRNS', struct.pack('>H', key))], interlace=interlace)
            add(f'png-grey{depth}-trns{tail}.png', data, 'png', depth, 2, grey_rgba(v, depth, np.where(v == key, 0, 255).astype(np.uint8)))
        for depth in (1, 2, 4, 8):
            n = min(1 << depth, 200)
            palette = rng.integers(0, 256, (n, 3)).astype(np.uint8)
            alphas = rng.integers(0, 256, max(1, n // 2)).astype(np.uint8)
            v = rng.integers(0, n, (h, w, 1))
            plte = (b'PLTE', palette.tobytes())
            data = png(v, depth, 3, [plte], interlace=interlace)
            stored = palette[v[..., 0]]
            assert np.array_equal(pillow_rgb(data), stored)
            # PNG counts a palette as 8-bit colour; the file's own depth is stated
            add(f'png-palette{depth}{tail}.png', data, 'png', depth, 3, stored)
            full = np.concatenate([alphas, np.full(n - len(alphas), 255, np.uint8)])
            data = png(v, depth, 3, [plte, (b'tRNS', alphas.tobytes())], interlace=interlace)
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(data)).convert('RGBA')), np.dstack([stored, full[v[..., 0]]]))
            add(f'png-palette{depth}-trns{tail}.png', data, 'png', depth, 4, np.dstack([stored, full[v[..., 0]]]))
        for depth in (8, 16):
            for colour, n in ((2, 3), (4, 2), (6, 4)):
                v = rng.integers(0, 1 << depth, (h, w, n))
                data = png(v, depth, colour, interlace=interlace)
                high = (v >> (depth - 8)).astype(np.uint8)
                stored = high if n != 2 else np.concatenate([high[..., :1]] * 3 + [high[..., 1:]], 2)
                assert np.array_equal(pillow_rgb(data), stored[..., :3]), (depth, colour)
                add(f'png-{ {2: "rgb", 4: "la", 6: "rgba"}[colour] }{depth}{tail}.png', data, 'png', depth, n, stored)
            v = rng.integers(0, 1 << depth, (h, w, 3))
            key = v[2, 2]
            alpha = np.where((v == key).all(2), 0, 255).astype(np.uint8)
            data = png(v, depth, 2, [(b'tRNS', struct.pack('>HHH', *(int(k) for k in key)))], interlace=interlace)
            add(f'png-rgb{depth}-trns{tail}.png', data, 'png', depth, 4, np.dstack([(v >> (depth - 8)).astype(np.uint8), alpha]))
    for size in ((1, 1), (1, 40), (40, 1)):
        v = photo(*size)
        add(f'png-{size[0]}x{size[1]}.png', png(v, 8, 2), 'png', 8, 3, v)
        add(f'png-{size[0]}x{size[1]}-interlaced.png', png(v, 8, 2, interlace=True), 'png', 8, 3, v)
    v = photo(37, 23, 2)
    for o in range(1, 9):
        data = png(v, 8, 2, [(b'eXIf', tiff(o, big=o % 2 == 1))])
        check_seen(data, o)
        add(f'png-exif{o}.png', data, 'png', 8, 3, v, o)
    add('png-exif6-after.png', png(v, 8, 2, after=[(b'eXIf', tiff(6))]), 'png', 8, 3, v, 6)
    add('png-badexif.png', png(v, 8, 2, [(b'eXIf', b'II*\0')]), 'png', 8, 3, v)
    # chunks that say how to show the pixels, or what they are about, change none of them
    chunks = [(b'gAMA', struct.pack('>I', 100000)), (b'pHYs', struct.pack('>IIB', 1, 2, 0)), (b'tEXt', b'Comment\0hello'),
              (b'bKGD', struct.pack('>HHH', 1, 2, 3)), (b'zTXt', b'Note\0\0' + zlib.compress(b'a' * 100000))]
    data = png(v, 8, 2, chunks)
    add('png-chunks.png', data, 'png', 8, 3, v)


# ---- WebP

def riff(*chunks):
    body = b'WEBP' + b''.join(k + struct.pack('<I', len(d)) + d + b'\0' * (len(d) % 2) for k, d in chunks)
    return b'RIFF' + struct.pack('<I', len(body)) + body


def u24(v):
    return struct.pack('<I', v)[:3]


def webp_chunks(data):
    at, out = 12, []
    while at + 8 <= len(data):
        size = struct.unpack('<I', data[at + 4:at + 8])[0]
        out.append((data[at:at + 4], data[at + 8:at + 8 + size]))
        at += 8 + size + size % 2
    return out


def make_webp():
    rgb = photo(61, 47, 3)
    im = Image.fromarray(rgb)
    alpha = (np.add.outer(np.arange(47) * 5, np.arange(61) * 3) % 256).astype(np.uint8)
    rgba = Image.fromarray(np.dstack([rgb, alpha]))
    for name, options in {'lossy': dict(quality=80), 'lossless': dict(lossless=True)}.items():
        data = encode(im, 'WEBP', **options)
        add(f'webp-{name}.webp', data, 'webp', 8, 3, pillow_rgb(data))
        data = encode(rgba, 'WEBP', **options)
        add(f'webp-{name}-alpha.webp', data, 'webp', 8, 4, np.asarray(Image.open(io.BytesIO(data)).convert('RGBA')))
    frames = [Image.fromarray(photo(40, 30, s)) for s in (4, 5, 6)]
    data = encode(frames[0], 'WEBP', save_all=True, append_images=frames[1:], duration=100, lossless=True)
    add('webp-animated.webp', data, 'webp', 8, 3, pillow_rgb(data))
    for size in ((1, 1), (1, 40), (40, 1)):
        data = encode(Image.fromarray(photo(*size)), 'WEBP', quality=80)
        add(f'webp-{size[0]}x{size[1]}.webp', data, 'webp', 8, 3, pillow_rgb(data))
    # an animation whose first frame leaves part of the canvas bare
    small = webp_chunks(encode(Image.fromarray(photo(20, 16, 8)), 'WEBP', lossless=True))
    frame = u24(4 // 2) + u24(6 // 2) + u24(19) + u24(15) + u24(100) + b'\0' + b''.join(
        k + struct.pack('<I', len(d)) + d + b'\0' * (len(d) % 2) for k, d in small)
    data = riff((b'VP8X', struct.pack('<I', 0x02 | 0x10) + u24(29) + u24(25)), (b'ANIM', b'\0' * 6), (b'ANMF', frame), (b'ANMF', frame))
    canvas = np.asarray(Image.open(io.BytesIO(data)).convert('RGBA'))
    expect = np.zeros((26, 30, 4), np.uint8)
    expect[6:22, 4:24, :3] = photo(20, 16, 8)
    expect[6:22, 4:24, 3] = 255
    assert np.array_equal(canvas, expect)
    add('webp-animated-bare.webp', data, 'webp', 8, 4, expect)
    stored = Image.fromarray(photo(37, 23, 9))
    for o in range(1, 9):
        data = encode(stored, 'WEBP', lossless=True, exif=tiff(o) if o % 2 else b'Exif\0\0' + tiff(o, big=True))
        check_seen(data, o)
        add(f'webp-exif{o}.webp', data, 'webp', 8, 3, np.asarray(stored), o)


# ---- PNM

def make_pnm():
    rng = np.random.default_rng(11)
    w, h = 13, 9

    def levels(v, maxval):   # half to even, as Python's round(), which Pillow uses
        return np.array([round(int(x) / maxval * 255) for x in v.ravel()], np.uint8).reshape(v.shape)

    for magic, channels in (('P2', 1), ('P3', 3), ('P5', 1), ('P6', 3)):
        for maxval in (1, 2, 100, 255, 256, 1023, 65535):
            v = rng.integers(0, maxval + 1, (h, w, channels))
            head = f'{magic}\n# a comment\n{w} {h} # another\n{maxval}\n'.encode()
            if magic in ('P2', 'P3'):
                words = [str(x) for x in v.ravel()]
                body = '\n'.join(' '.join(words[i:i + 11]) + ('\t# note 7' if i == 22 else '') for i in range(0, len(words), 11)).encode()
            else:
                body = v.astype('>u2' if maxval > 255 else np.uint8).tobytes()
            stored = levels(v, maxval)
            if channels == 1:
                stored = np.concatenate([stored] * 3, 2)
            if channels == 3 or maxval < 256:   # Pillow clips 16-bit grey at 255
                assert np.array_equal(pillow_rgb(head + body), stored), (magic, maxval)
            add(f'pnm-{magic.lower()}-{maxval}.{"pgm" if channels == 1 else "ppm"}', head + body, 'pnm', maxval.bit_length(), channels, stored)
    add('pnm-1x1.ppm', b'P6 1 1 255\n\1\2\3', 'pnm', 8, 3, np.array([[[1, 2, 3]]], np.uint8))
    v = photo(1, 40)
    add('pnm-1x40.ppm', b'P6 1 40 255\n' + v.tobytes(), 'pnm', 8, 3, v)


# ---- refused

def make_bad():
    table = []

    def bad(name, data, at_open, at_read=None):
        """at_read None: open already refuses"""
        with open(os.path.join(BAD, name), 'wb') as f:
            f.write(data)
        table.append((name, at_open, at_read if at_read is not None else at_open))

    ok, form, unsup, limit = 0, -4, -5, -6
    jpeg = encode(Image.fromarray(photo(61, 47)), 'JPEG', quality=85)
    sof = jpeg.index(b'\xff\xc0')

    def sized(data, at, w, h):
        return data[:at + 5] + struct.pack('>HH', h, w) + data[at + 9:]

    bad('empty.jpg', b'', form)
    bad('text.jpg', b'This is a text file, not a picture.\n', form)
    bad('short.png', b'\x89PN', form)
    bad('gif.png', b'GIF89a' + b'\0' * 20, unsup)
    bad('bmp.jpg', b'BM' + b'\0' * 60, unsup)
    bad('tiff.png', tiff(1), unsup)
    bad('bitmap.pbm', b'P1\n2 2\n0 1 1 0\n', unsup)
    bad('bitmap4.pbm', b'P4\n8 1\n\x55', unsup)
    bad('pam.pnm', b'P7\nWIDTH 1\n', unsup)
    bad('jpeg-65535.jpg', sized(jpeg, sof, 65535, 65535), limit)
    bad('jpeg-65500.jpg', sized(jpeg, sof, 65500, 65500), limit)
    bad('jpeg-16000.jpg', sized(jpeg, sof, 16000, 16000), ok, form)
    bad('jpeg-zero-width.jpg', sized(jpeg, sof, 0, 47), form)
    bad('jpeg-zero-height.jpg', sized(jpeg, sof, 61, 0), form)
    bad('jpeg-soi.jpg', jpeg[:4], form)
    bad('jpeg-no-scan.jpg', jpeg[:sof + 19], form)
    bad('jpeg-half.jpg', jpeg[:len(jpeg) // 2], ok, form)
    bad('jpeg-no-eoi.jpg', jpeg[:-2], ok, form)
    bad('jpeg-tail.jpg', jpeg[:-2] + b'\xff\xe2\0\x20cut', ok, form)
    bad('jpeg-half-eoi.jpg', jpeg[:len(jpeg) // 2] + b'\xff\xd9', ok, form)
    bad('jpeg-12bit.jpg', jpeg[:sof + 4] + b'\x0c' + jpeg[sof + 5:], unsup)
    bad('jpeg-lossless.jpg', jpeg[:sof + 1] + b'\xc3' + jpeg[sof + 2:], unsup)
    big = encode(Image.fromarray(photo(61, 47)), 'JPEG', quality=85, progressive=True)
    bad('jpeg-progressive-16000.jpg', sized(big, big.index(b'\xff\xc2'), 16000, 16000), ok, form)
    # one scan again and again: legal bytes, endless work
    grey = encode(Image.fromarray(photo(16, 16)[..., 0]), 'JPEG', progressive=True)
    last = grey.rindex(b'\xff\xda')
    bad('jpeg-scans.jpg', grey[:last] + grey[last:-2] * 150 + b'\xff\xd9', ok, form)
    v = photo(23, 17)
    good = png(v, 8, 2)

    def ihdr(w, h, depth=8, colour=2, interlace=0):
        return good[:8] + png_chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, depth, colour, 0, 0, interlace)) + good[33:]

    bad('png-signature.png', good[:8], form)
    bad('png-no-ihdr.png', good[:8] + good[33:], form)
    bad('png-zero.png', ihdr(0, 17), form)
    bad('png-zero-height.png', ihdr(23, 0), form)
    bad('png-huge.png', ihdr(0x7fffffff, 0x7fffffff), limit)
    bad('png-over31.png', ihdr(0xffffffff, 1), limit)
    bad('png-wide.png', ihdr(16000, 16000), ok, form)
    bad('png-wide-interlaced.png', ihdr(16000, 16000, interlace=1), ok, form)
    bad('png-depth.png', ihdr(23, 17, 3), form)
    bad('png-colour.png', ihdr(23, 17, 8, 5), form)
    bad('png-no-palette.png', ihdr(23, 17, 8, 3), form)
    bad('png-taller.png', ihdr(23, 18), ok, form)
    bad('png-half.png', good[:len(good) // 2], ok, form)
    bad('png-no-iend.png', good[:-12], ok, form)
    at = good.index(b'IDAT') + 40
    bad('png-crc.png', good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], ok, form)
    text = png(v, 8, 2, [(b'tEXt', b'Comment\0hello')])
    at = text.index(b'hello')
    bad('png-text-crc.png', text[:at] + b'j' + text[at + 1:], form)
    webp = encode(Image.fromarray(photo(61, 47)), 'WEBP', quality=80)
    lossless = encode(Image.fromarray(photo(61, 47)), 'WEBP', lossless=True)
    bad('webp-riff.webp', webp[:12], form)
    bad('webp-half.webp', webp[:len(webp) // 2], form)
    bad('webp-half-size.webp', riff((b'VP8 ', webp[20:len(webp) // 2])), ok, form)
    bad('webp-chunk.webp', riff((b'VP8Z', webp[20:])), form)
    frame = webp.index(b'\x9d\x01\x2a')
    bad('webp-16383.webp', webp[:frame + 3] + struct.pack('<HH', 16383, 16383) + webp[frame + 7:], ok, form)
    bad('webp-zero.webp', webp[:frame + 3] + struct.pack('<HH', 0, 47) + webp[frame + 7:], form)
    bits = struct.unpack('<I', lossless[21:25])[0] | 0x0fffffff
    bad('webp-lossless-16384.webp', lossless[:21] + struct.pack('<I', bits) + lossless[25:], ok, form)
    bad('pnm-head.ppm', b'P6\n3', form)
    bad('pnm-zero.ppm', b'P6\n0 3\n255\n', form)
    bad('pnm-maxval0.pgm', b'P5\n1 1\n0\n\0', form)
    bad('pnm-maxval.pgm', b'P5\n1 1\n65536\n\0\0', form)
    bad('pnm-word.pgm', b'P2\n1 x\n255\n1\n', form)
    bad('pnm-minus.pgm', b'P2\n1 1\n255\n-1\n', ok, form)
    bad('pnm-huge.ppm', b'P6\n4294967295 4294967295\n255\n', limit)
    bad('pnm-overflow.ppm', b'P6\n99999999999999999999 1\n255\n', form)
    bad('pnm-wide.ppm', b'P6\n16000 16000\n255\n' + b'\0' * 99, ok, form)
    bad('pnm-short.ppm', b'P6\n3 3\n255\n' + b'\0' * 26, ok, form)
    bad('pnm-short-text.pgm', b'P2\n3 3\n255\n1 2 3 4 5 6 7 8888', ok, form)
    bad('pnm-above.pgm', b'P5\n2 1\n100\n\x64\x65', ok, form)
    with open(os.path.join(BAD, 'codes.csv'), 'w') as f:
        f.write('file,open,read\n')
        for entry in table:
            f.write('%s,%d,%d\n' % entry)


def make_golden(folder):
    os.makedirs(GOLDEN, exist_ok=True)
    with open(os.path.join(GOLDEN, 'cases.csv'), 'w') as f:
        f.write('name,unit,width,height,used_width,used_height,patches\n')
        for case, full in (('image-down-rgba', False), ('image-tall-grey', False), ('image-square', True), ('image-exact', False), ('image-sliver', False)):
            at = os.path.join(folder, 'gemma4-a', 'cases', case)
            with open(os.path.join(at, 'case.json')) as j:
                span = [s for s in json.load(j)['spans'] if s['kind'] == 'image'][0]
            shutil.copy(os.path.join(at, 'image0.png'), os.path.join(GOLDEN, case + '.png'))
            if os.path.exists(os.path.join(at, 'image0.resized.png')):
                shutil.copy(os.path.join(at, 'image0.resized.png'), os.path.join(GOLDEN, case + '.resized.png'))
            if full:
                with open(os.path.join(at, 'expect.safetensors'), 'rb') as t:
                    size = struct.unpack('<Q', t.read(8))[0]
                    entry = json.loads(t.read(size))['image0.patches']
                    assert entry['dtype'] == 'F32'
                    t.seek(8 + size + entry['data_offsets'][0])
                    values = t.read(entry['data_offsets'][1] - entry['data_offsets'][0])
                with open(os.path.join(GOLDEN, case + '.patches.f32'), 'wb') as o:
                    o.write(values)
            f.write('%s,12,%d,%d,%d,%d,%d\n' % (case, *span['source'], *span['resized'], int(full)))
        for name in ('sizes.csv',):
            shutil.copy(os.path.join(folder, 'resize', name), os.path.join(GOLDEN, name))
    for root, _, names in os.walk(GOLDEN):
        for name in names:
            os.chmod(os.path.join(root, name), 0o644)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--golden')
    args = parser.parse_args()
    for folder in (GOOD, BAD):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    make_jpeg()
    make_png()
    make_webp()
    make_pnm()
    with open(os.path.join(GOOD, 'expect.csv'), 'w') as f:
        f.write('file,format,width,height,orientation,bits,channels,alpha,cmyk,drop,over\n')
        for row in rows:
            f.write(','.join(str(v) for v in row) + '\n')
    make_bad()
    if args.golden:
        make_golden(args.golden)


if __name__ == '__main__':
    main()
