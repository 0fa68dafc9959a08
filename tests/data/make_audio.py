#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/audio, tests/data/bad/audio and the sound corpus of the fuzz targets. Needs numpy and, for FLAC, OGG
and MP3, libsndfile (through ctypes). Committed output; run again only to change it:

    python3 tests/data/make_audio.py [GOLDEN]

Log-mel values are computed here in float64 from the definition (Hann window, |rfft|^2, Slaney's filters), without looking
at the C code. GOLDEN is a folder of published reference values (cases audio-mono, audio-stereo); without it, the
golden-*.bin files stay as they are.
"""
import ctypes
import ctypes.util
import json
import os
import struct
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
AUDIO = os.path.join(HERE, "audio")
BAD = os.path.join(HERE, "bad", "audio")
CORPUS = os.path.join(HERE, "..", "fuzz", "corpus")


def save(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


# ---------------------------------------------------------------------------------------------------- log-mel, float64

def hz_to_mel(f):
    f = np.asarray(f, dtype=np.float64)
    return np.where(f >= 1000.0, 15.0 + np.log(np.maximum(f, 1e-9) / 1000.0) / (np.log(6.4) / 27.0), f / (200.0 / 3.0))


def mel_to_hz(m):
    m = np.asarray(m, dtype=np.float64)
    return np.where(m >= 15.0, 1000.0 * np.exp((np.log(6.4) / 27.0) * (m - 15.0)), m * (200.0 / 3.0))


def mel_filters(rate, n_fft, bins):
    freq = np.arange(n_fft // 2 + 1) * rate / n_fft
    edge = mel_to_hz(np.linspace(hz_to_mel(0.0), hz_to_mel(rate / 2.0), bins + 2))
    out = np.zeros((bins, len(freq)))
    for i in range(bins):
        up = (freq - edge[i]) / (edge[i + 1] - edge[i])
        down = (edge[i + 2] - freq) / (edge[i + 2] - edge[i + 1])
        out[i] = np.maximum(0.0, np.minimum(up, down)) * 2.0 / (edge[i + 2] - edge[i])
    return out


def log_mel(x, rate, window, hop, bins, floor_rule, floor_db):
    x = np.asarray(x, dtype=np.float64)
    n = len(x)
    pad = window // 2
    padded = np.pad(x, (pad, window), mode="reflect") if n > 1 else np.full(n + pad + window, x[0])
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)
    columns = max(1, n // hop)
    power = np.stack([np.abs(np.fft.rfft(padded[c * hop:c * hop + window] * hann)) ** 2 for c in range(columns)])
    y = np.log10(np.maximum(power @ mel_filters(rate, window, bins).T, 1e-10))
    low = y.max() - 8.0 if floor_rule == 1 else floor_db / 10.0
    return (np.maximum(y, low) + 4.0) / 4.0


def signals(n=2000, rate=16000):
    t = np.arange(n) / rate
    rng = np.random.default_rng(20240917)
    sweep = 0.6 * np.sin(2 * np.pi * (100.0 * t + (7000.0 - 100.0) / (2 * t[-1]) * t * t))
    noise = 0.2 * rng.standard_normal(n)
    pulses = np.zeros(n)
    pulses[::128] = 1.0                       # a voice at 125 Hz ...
    speech = np.zeros(n)
    for formant, width, gain in ((700.0, 90.0, 1.0), (1200.0, 110.0, 0.6), (2600.0, 160.0, 0.3)):
        k = np.arange(400) / rate             # ... through three resonances, rising and falling
        speech += gain * np.convolve(pulses, np.exp(-np.pi * width * k) * np.sin(2 * np.pi * formant * k))[:n]
    speech *= 0.4 * np.sin(np.pi * t / t[-1]) ** 2 / np.abs(speech).max()
    impulse = np.zeros(n)
    impulse[777] = 0.9
    return {"sweep": sweep, "noise": noise, "speech": speech, "silence": np.zeros(n), "impulse": impulse, "dc": np.full(n, 0.25)}


def make_logmel():
    """logmel.s16: all signals; logmel.f32: all expected values; logmel.csv: the cases."""
    pcm, values, rows, at = [], [], [], 0
    starts = {}
    for name, x in signals().items():
        q = np.clip(np.round(x * 32768.0), -32768, 32767).astype("<i2")
        starts[name] = at
        at += len(q)
        pcm.append(q)
    pcm = np.concatenate(pcm)
    count = 0

    def case(name, n, rate, window, hop, bins, rule, db):
        nonlocal count
        x = pcm[starts[name]:starts[name] + n] / 32768.0
        y = log_mel(x, rate, window, hop, bins, rule, db).astype("<f4")
        rows.append(f"{name},{starts[name]},{n},{rate},{window},{hop},{bins},{rule},{db:g},{count},{y.shape[0]}")
        values.append(y.ravel())
        count += y.size

    for name in starts:
        for bins in (80, 128):
            case(name, 2000, 16000, 400, 160, bins, 1, 0)
            case(name, 2000, 16000, 400, 160, bins, 0, -80)
    for n in (1, 2, 100, 159, 160, 161, 200, 201, 399, 400, 641):      # ends that reflect, some more than once
        case("noise", n, 16000, 400, 160, 40, 1, 0)
    case("speech", 1500, 22050, 512, 128, 64, 0, -100)
    case("speech", 1500, 8000, 201, 67, 23, 1, 0)                      # odd, prime-ish
    case("noise", 1000, 44100, 1024, 1024, 128, 0, -60)                # hop as long as the window
    case("noise", 500, 16000, 30, 1, 5, 0, -80)
    save(AUDIO, "logmel.s16", pcm.tobytes())
    save(AUDIO, "logmel.f32", np.concatenate(values).tobytes())
    save(AUDIO, "logmel.csv", ("# signal,first sample,samples,rate,window,hop,bins,floor rule,floor dB,first value,columns\n"
                               + "\n".join(rows) + "\n").encode())


# ---------------------------------------------------------------------------------------------------- golden frames

def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + n]), data[8 + n:]


def make_golden(root):
    for case in ("audio-mono", "audio-stereo"):
        folder = os.path.join(root, "gemma4-a", "cases", case)
        with open(os.path.join(folder, "audio0.wav"), "rb") as f:
            sound = f.read()
        save(AUDIO, f"golden-{case}.wav", sound)
        header, data = read_safetensors(os.path.join(folder, "expect.safetensors"))
        if "audio0.frames" in header:
            assert header["audio0.frames"]["dtype"] == "F32"
            begin, end = header["audio0.frames"]["data_offsets"]
            save(AUDIO, f"golden-{case}.f32", data[begin:end])
        else:      # the stereo case holds later stages only: its frames follow from the definition
            assert sound[36:40] == b"data" and sound[22] == 2
            x = np.frombuffer(sound[44:], "<i2").reshape(-1, 2).astype(np.float64).mean(axis=1) / 32768.0
            save(AUDIO, f"golden-{case}.f32", np.pad(x, (0, -len(x) % 640)).astype("<f4").tobytes())


# ---------------------------------------------------------------------------------------------------- sound files

def chunk(name, body, size=None):
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) & 1)


def wav(pcm, tag=1, channels=1, rate=16000, bits=16, data_size=None, riff_size=None, block=None, extra=b"", tail=b""):
    block = channels * bits // 8 if block is None else block
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block & 0xffffffff, block, bits)
    body = b"WAVE" + chunk(b"fmt ", fmt) + extra + chunk(b"data", pcm, data_size) + tail
    return b"RIFF" + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def extended(rate):
    """80-bit floating point, as AIFF stores its rate"""
    shift = rate.bit_length() - 1 if rate else 0
    return struct.pack(">HQ", 16383 + shift if rate else 0, rate << (63 - shift) if rate else 0)


def aiff(pcm, channels=1, n=None, bits=16, rate=16000, ssnd=None):
    n = len(pcm) // (channels * bits // 8) if n is None else n
    comm = b"COMM" + struct.pack(">IHIH", 18, channels, n, bits) + extended(rate)
    body = struct.pack(">II", 0, 0) + pcm
    sound = b"SSND" + struct.pack(">I", len(body) if ssnd is None else ssnd) + body
    return b"FORM" + struct.pack(">I", 4 + len(comm) + len(sound)) + b"AIFF" + comm + sound


class SfInfo(ctypes.Structure):
    _fields_ = [("frames", ctypes.c_int64), ("rate", ctypes.c_int), ("channels", ctypes.c_int), ("format", ctypes.c_int),
                ("sections", ctypes.c_int), ("seekable", ctypes.c_int)]


def encoded(fmt, x, rate=16000, channels=1):
    """x as a file of libsndfile's format number fmt"""
    import tempfile
    sf = ctypes.CDLL(ctypes.util.find_library("sndfile"))
    sf.sf_open.restype = ctypes.c_void_p
    with tempfile.NamedTemporaryFile() as f:
        info = SfInfo(0, rate, channels, fmt, 0, 0)
        handle = sf.sf_open(f.name.encode(), 0x20, ctypes.byref(info))
        assert handle, "libsndfile can not write this format"
        data = np.ascontiguousarray(x, dtype=np.float32)
        sf.sf_writef_float(ctypes.c_void_p(handle), data.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(data) // channels))
        sf.sf_close(ctypes.c_void_p(handle))
        return f.read()


FLAC16, VORBIS, OPUS, MP3, AIFF16, FLOAT_WAV, ALAW_WAV, IMA_WAV = (0x170002, 0x200060, 0x200064, 0x230082, 0x020002, 0x010006,
                                                                  0x010011, 0x010012)


def ogg_pages(data):
    out, at = [], 0
    while at < len(data):
        n = data[at + 26]
        size = 27 + n + sum(data[at + 27:at + 27 + n])
        out.append(bytearray(data[at:at + size]))
        at += size
    return out


def ogg_seal(page):
    """put the checksum right"""
    page[22:26] = bytes(4)
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = ((crc << 1) ^ (0x04c11db7 if crc & 0x80000000 else 0)) & 0xffffffff
    page[22:26] = struct.pack("<I", crc)
    return bytes(page)


def make_bad():
    """The refused files. tests/unit/test_sound.c holds the table of their codes."""
    pcm = (np.sin(np.arange(400) * 0.3) * 9000).astype("<i2").tobytes()
    ok = wav(pcm)
    flac, vorbis, opus, mp3, ima = (encoded(f, np.sin(np.arange(4000) * 0.1) * 0.3)
                                    for f in (FLAC16, VORBIS, OPUS, MP3, IMA_WAV))
    files = {
        "empty.wav": b"",
        "text.wav": b"This is no sound, whatever its name says.\n",
        "magic-only.wav": b"RIFF\0\0\0\0WAVE",
        "cut-in-fmt.wav": ok[:30],
        "cut-in-data.wav": ok[:-100],
        "no-data.wav": b"RIFF" + struct.pack("<I", 28) + b"WAVE" + ok[12:36],
        "data-first.wav": b"RIFF" + struct.pack("<I", 100) + b"WAVE" + chunk(b"data", pcm),
        "huge-data.wav": wav(pcm, data_size=0x70000000),
        "zero-size-data.wav": wav(b"\x7f" * 64, data_size=0),
        "odd-data.wav": wav(pcm[:-1] + b"\0", data_size=len(pcm) - 1),
        "zero-channels.wav": wav(pcm, channels=0, block=2),
        "channels-65.wav": wav(bytes(65 * 2 * 4), channels=65),
        "zero-rate.wav": wav(pcm, rate=0),
        "rate-999.wav": wav(pcm, rate=999),
        "rate-4g.wav": wav(pcm, rate=0xffffffff),
        "wrong-block.wav": wav(pcm, block=3),
        "bits-12.wav": wav(pcm, bits=12, block=2),
        "mp3-in.wav": wav(pcm, tag=0x55),
        "two-data.wav": wav(pcm, tail=chunk(b"data", pcm)),
        "nan.wav": wav(struct.pack("<5f", 0, 0.5, float("nan"), 0, 0), tag=3, bits=32),
        "infinite.wav": wav(struct.pack("<5f", 0, 0.5, 0, float("-inf"), 0), tag=3, bits=32),
        "beyond-f32.wav": wav(struct.pack("<3d", 0, 1e300, 0), tag=3, bits=64),
        "zero-channels.aiff": aiff(pcm, channels=0, n=4),
        "too-many.aiff": aiff(pcm, n=4000),
        "cut.aiff": aiff(pcm)[:-200],
        "huge.aiff": aiff(pcm, n=0xffffffff, ssnd=0xffffffff),
        "no-sound.aiff": aiff(pcm)[:38],
        "zero-rate.aiff": aiff(pcm, rate=0),
        "cut-in-streaminfo.flac": flac[:20],
        "cut.flac": flac[:len(flac) * 2 // 3],
        "flipped.flac": flac[:len(flac) // 2] + bytes([flac[len(flac) // 2] ^ 8]) + flac[len(flac) // 2 + 1:],
        "huge-count.flac": flac[:21] + bytes([flac[21] | 0xf]) + b"\xff" * 4 + flac[26:],
        "more-promised.flac": flac[:22] + struct.pack(">I", 4001) + flac[26:],
        "fewer-promised.flac": flac[:22] + struct.pack(">I", 3999) + flac[26:],
        "cut-in-page.ogg": vorbis[:-50],
        "cut-after-page.ogg": vorbis[:len(vorbis) - len(ogg_pages(vorbis)[-1])],
        "flipped.ogg": vorbis[:-50] + bytes([vorbis[-50] ^ 1]) + vorbis[-49:],
        "missing-page.ogg": b"".join(bytes(p) for i, p in enumerate(ogg_pages(vorbis)) if i != 1),
        "chained.ogg": vorbis + opus,
        "cut-in-page.opus": opus[:-10],
        "unknown-codec.ogg": ogg_seal(ogg_pages(vorbis)[0][:5] + b"\6" + ogg_pages(vorbis)[0][6:28] + b"\x7fxorbis" + ogg_pages(vorbis)[0][35:]),
        "cut.mp3": mp3[:-100],
        "gap.mp3": mp3[:len(mp3) // 2] + mp3[len(mp3) // 2 + 10:],
        "fewer-frames.mp3": mp3[:mp3.rindex(mp3[:2])],
        "cut-id3.mp3": b"ID3\4\0\0\0\0\x7f\x7f" + mp3[:200],
        "cut-block.wav": ima[:-30],
        "au.snd": b".snd" + struct.pack(">5I", 24, 8, 3, 16000, 1) + bytes(8),
        "m4a.m4a": b"\0\0\0\x20ftypM4A " + bytes(20),
        "caf.caf": b"caff\0\1\0\0" + bytes(40),
        "picture.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20),
    }
    # an end granule that promises more than the packets hold
    pages = ogg_pages(vorbis)
    pages[-1][6:14] = struct.pack("<Q", 1 << 40)
    files["huge-granule.ogg"] = b"".join(ogg_seal(p) for p in pages)
    pages = ogg_pages(vorbis)
    pages[-1][5] &= ~4
    files["no-end.ogg"] = b"".join(ogg_seal(p) for p in pages)
    os.makedirs(BAD, exist_ok=True)
    for old in os.listdir(BAD):
        os.remove(os.path.join(BAD, old))
    for name, data in files.items():
        save(BAD, name, data)


def make_corpus():
    x = np.sin(np.arange(1200) * 0.1) * 0.3
    files = {
        "u8.wav": wav(bytes(128 + np.round(x[:200] * 100).astype(int)), bits=8),
        "s16.wav": wav((x[:300] * 9000).astype("<i2").tobytes(), channels=2),
        "s24.wav": wav(bytes(300), bits=24, rate=8000),
        "float.wav": wav(x[:150].astype("<f4").tobytes(), tag=3, bits=32, rate=44100),
        "streamed.wav": wav((x[:300] * 9000).astype("<i2").tobytes(), data_size=0xffffffff, riff_size=0xffffffff),
        "alaw.wav": encoded(ALAW_WAV, x[:300]),
        "ima.wav": encoded(IMA_WAV, x),
        "s16.aiff": encoded(AIFF16, x[:200]),
        "s16.flac": encoded(FLAC16, x[:600], channels=2),
        "vorbis.ogg": encoded(VORBIS, x),
        "opus.ogg": encoded(OPUS, x),
        "cbr.mp3": encoded(MP3, x),
    }
    for name, data in files.items():
        save(os.path.join(CORPUS, "sound"), name, data)
    rng = np.random.default_rng(5)
    for i in range(4):
        save(os.path.join(CORPUS, "pcm_feed"), f"{i}.bin", bytes([i, 3 * i, 40 * i, i, 5, 200, 17, 1]) + rng.bytes(600 + 400 * i))


if __name__ == "__main__":
    make_logmel()
    if len(sys.argv) > 1:
        make_golden(sys.argv[1])
    make_bad()
    make_corpus()
