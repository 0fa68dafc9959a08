#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write a checkpoint of a published shape with random weights, for tests of size and speed. It says nothing sensible, but its
activations stay finite. Streams: memory stays small. Needs numpy.

usage: random_model.py SHAPE TYPE FOLDER TOKENIZER.gguf [SEED]
  SHAPE           gemma4-12b (the published numbers), or gemma4-12b/N with N layers
  TYPE            q4_0, q4_k, q8_0 or bf16: the matrices of the text model
  TOKENIZER.gguf  a small Gemma file, whose tokenizer is kept and padded with made-up names to the full vocabulary

Writes FOLDER/text-TYPE.gguf and FOLDER/mmproj-bf16.gguf. Weights of one type are one random block of 4 MiB, repeated; each tensor
starts at another place of it and rows are no whole number of repeats, so no two matrices or rows are alike.
"""
import os
import struct
import sys

import numpy as np

ALIGN = 32
F32, Q4_0, Q8_0, Q4_K, BF16 = 0, 2, 8, 12, 30
BLOCKS = {F32: (1, 4), Q4_0: (32, 18), Q8_0: (32, 34), Q4_K: (256, 144), BF16: (1, 2)}   # values, bytes
TYPES = {"q4_0": Q4_0, "q4_k": Q4_K, "q8_0": Q8_0, "bf16": BF16}
VOCAB, WIDTH, FFN, HEADS, WINDOW, UNIT, PLACES, FRAME = 262144, 3840, 15360, 16, 1024, 48, 1120, 640
ROPE_PAIRS, ROPE_LIST = 64, 256


# ---- metadata ----

def string(s):
    b = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(b)) + b


def read_metadata(path):
    """Key -> raw bytes (type and value), and the texts of tokenizer.ggml.tokens."""
    data = open(path, "rb").read()
    magic, _, _, n_keys = struct.unpack_from("<4sIQQ", data)
    if magic != b"GGUF":
        sys.exit(f"{path}: not a GGUF file")
    sizes, at, keys, tokens = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}, 24, {}, []
    for _ in range(n_keys):
        n, = struct.unpack_from("<Q", data, at)
        name = data[at + 8:at + 8 + n].decode()
        start = at = at + 8 + n
        kind, = struct.unpack_from("<I", data, at)
        at += 4
        count, elem = 1, kind
        if kind == 9:
            elem, count = struct.unpack_from("<IQ", data, at)
            at += 12
        for _ in range(count if elem == 8 else 0):
            n, = struct.unpack_from("<Q", data, at)
            if name == "tokenizer.ggml.tokens":
                tokens.append(data[at + 8:at + 8 + n])
            at += 8 + n
        if elem != 8:
            at += sizes[elem] * count
        keys[name] = data[start:at]
    return keys, tokens


def u32(v):
    return struct.pack("<II", 4, v)


def f32(v):
    return struct.pack("<If", 6, v)


def text(s):
    return struct.pack("<I", 8) + string(s)


def numbers(code, fmt, values):
    return struct.pack("<IIQ", 9, code, len(values)) + np.array(values, fmt).tobytes()


def tokenizer(path):
    """The small file's tokenizer, with names that no text holds for the rest of the ids."""
    keys, tokens = read_metadata(path)
    kept = {k: v for k, v in keys.items() if k.startswith("tokenizer.")}
    if b"gemma4" not in kept.get("tokenizer.ggml.model", b""):
        sys.exit(f"{path}: holds no Gemma tokenizer")
    n = len(tokens)
    types = np.frombuffer(kept["tokenizer.ggml.token_type"], "<i4", offset=16).tolist()
    tokens += [b"<unused%d>" % i for i in range(n, VOCAB)]
    kept["tokenizer.ggml.tokens"] = struct.pack("<IIQ", 9, 8, VOCAB) + b"".join(map(string, tokens))
    kept["tokenizer.ggml.token_type"] = numbers(5, "<i4", types + [5] * (VOCAB - n))
    kept["tokenizer.ggml.scores"] = numbers(6, "<f4", [-1000.0] * VOCAB)
    return kept


# ---- values ----

def blocks_of(rng, kind, n_bytes, scale):
    """About n_bytes of random whole blocks whose values have this standard deviation."""
    values, size = BLOCKS[kind]
    n = n_bytes // size
    if kind == F32:
        return rng.normal(0, scale, n).astype("<f4").tobytes()
    if kind == BF16:
        return (rng.normal(0, scale, n).astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    out = rng.integers(0, 256, (n, size), np.uint8)
    if kind == Q4_K:   # d, dmin, 12 bytes of scales: value = d s q - dmin m; s = m = 32, dmin = 7.5 d gives a mean of zero
        d = (scale / (32 * 4.61) * rng.uniform(0.7, 1.3, n)).astype("<f2")
        out[:, 0:2] = d.view(np.uint8).reshape(n, 2)
        out[:, 2:4] = (d * np.float16(7.5)).astype("<f2").view(np.uint8).reshape(n, 2)
        out[:, 4:12] = 32          # scales and minimums 0..3: 32, no high bits
        out[:, 12:16] = 0          # 4..7: low nibbles of 32
        out[:, 4:12] |= 0x80       # ... whose upper two bits (binary 10) lie here
        return out.tobytes()
    spread = 4.61 if kind == Q4_0 else 73.9   # of uniform integers -8..7, -128..127
    out[:, 0:2] = (scale / spread * rng.uniform(0.7, 1.3, n)).astype("<f2").view(np.uint8).reshape(n, 2)
    return out.tobytes()


class Source:
    def __init__(self, seed):
        self.rng, self.pools = np.random.default_rng(seed), {}

    def chunks(self, kind, n_bytes, scale):
        pool = self.pools.setdefault((kind, scale), None) or blocks_of(self.rng, kind, 4 << 20, scale)
        self.pools[kind, scale] = pool
        size = BLOCKS[kind][1]
        at = int(self.rng.integers(0, len(pool) // size)) * size
        while n_bytes:
            n = min(n_bytes, len(pool) - at)
            yield pool[at:at + n]
            n_bytes, at = n_bytes - n, 0


# ---- files ----

def write(path, meta, tensors, source):
    """tensors: name, shape (outermost first), type, and a scale or an array of values"""
    def size(shape, kind):
        return int(np.prod(shape)) // BLOCKS[kind][0] * BLOCKS[kind][1]

    part = path + ".part"
    with open(part, "wb") as f:
        f.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(meta)))
        for k, v in meta.items():
            f.write(string(k) + v)
        offset = 0
        for name, shape, kind, _ in tensors:
            f.write(string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", kind, offset))
            offset += -(-size(shape, kind) // ALIGN) * ALIGN
        f.write(b"\0" * (-f.tell() % ALIGN))
        for name, shape, kind, values in tensors:
            if isinstance(values, float):
                for chunk in source.chunks(kind, size(shape, kind), values):
                    f.write(chunk)
            else:
                f.write(np.broadcast_to(np.asarray(values, "<f4"), shape).tobytes())
            f.write(b"\0" * (-f.tell() % ALIGN))
    os.replace(part, path)
    print(f"{path}: {os.path.getsize(path)} bytes, {len(tensors)} tensors")


def norm(source, n):
    return (1 + 0.1 * source.rng.standard_normal(n)).astype("<f4")


def text_model(folder, kind_name, layers, tokens, source):
    kind, full = TYPES[kind_name], [n % 6 == 5 for n in range(layers)]
    a = "gemma4."
    meta = {
        "general.architecture": text("gemma4"), "general.name": text("random-gemma4-12b"), "general.alignment": u32(ALIGN),
        "general.quantization_version": u32(2), "general.sampling.temp": f32(1), "general.sampling.top_k": struct.pack("<Ii", 5, 64), "general.sampling.top_p": f32(0.95),
        a + "block_count": u32(layers), a + "context_length": u32(262144), a + "embedding_length": u32(WIDTH), a + "feed_forward_length": u32(FFN),
        a + "attention.head_count": u32(HEADS), a + "attention.head_count_kv": numbers(5, "<i4", [1 if x else 8 for x in full]),
        a + "attention.sliding_window": u32(WINDOW), a + "attention.sliding_window_pattern": numbers(7, "u1", [not x for x in full]),
        a + "attention.key_length": u32(512), a + "attention.value_length": u32(512), a + "attention.key_length_swa": u32(256), a + "attention.value_length_swa": u32(256),
        a + "rope.dimension_count": u32(512), a + "rope.dimension_count_swa": u32(256), a + "rope.freq_base": f32(1e6), a + "rope.freq_base_swa": f32(1e4),
        a + "attention.layer_norm_rms_epsilon": f32(1e-6), a + "final_logit_softcapping": f32(30), a + "attention.shared_kv_layers": u32(0),
        a + "embedding_length_per_layer_input": u32(0), **tokens,
    }
    tensors = [("token_embd.weight", (VOCAB, WIDTH), kind, WIDTH ** -0.5), ("output_norm.weight", (WIDTH,), F32, norm(source, WIDTH)),
               ("rope_freqs.weight", (ROPE_LIST,), F32, [1.0] * ROPE_PAIRS + [1e30] * (ROPE_LIST - ROPE_PAIRS))]
    for n in range(layers):
        k, kv = (512, 1) if full[n] else (256, 8)
        p = f"blk.{n}."
        matrices = [("attn_q", HEADS * k, WIDTH), ("attn_k", kv * k, WIDTH)] + ([] if full[n] else [("attn_v", kv * k, WIDTH)])
        matrices += [("attn_output", WIDTH, HEADS * k), ("ffn_gate", FFN, WIDTH), ("ffn_up", FFN, WIDTH), ("ffn_down", WIDTH, FFN)]
        tensors += [(p + m + ".weight", (rows, cols), kind, cols ** -0.5) for m, rows, cols in matrices]
        tensors += [(p + m + ".weight", (WIDTH,), F32, norm(source, WIDTH)) for m in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")]
        tensors += [(p + m + ".weight", (k,), F32, 0.3 * norm(source, k)) for m in ("attn_q_norm", "attn_k_norm")]   # scores of a size that softmax likes
        tensors += [(p + "layer_output_scale.weight", (1,), F32, [0.3])]
    write(os.path.join(folder, f"text-{kind_name}.gguf"), meta, tensors, source)


def projector(folder, source):
    v, a, pixels = "clip.vision.", "clip.audio.", UNIT * UNIT * 3
    yes = struct.pack("<I?", 7, True)
    meta = {
        "general.architecture": text("clip"), "general.alignment": u32(ALIGN), "clip.has_vision_encoder": yes, "clip.has_audio_encoder": yes, "clip.use_gelu": yes,
        v + "projector_type": text("gemma4uv"), a + "projector_type": text("gemma4ua"), v + "patch_size": u32(UNIT // 3), v + "image_size": u32(224),
        v + "embedding_length": u32(WIDTH), v + "projection_dim": u32(WIDTH), v + "block_count": u32(0), v + "attention.head_count": u32(0), v + "feed_forward_length": u32(0),
        v + "attention.layer_norm_epsilon": f32(1e-6), v + "image_mean": numbers(6, "<f4", [0, 0, 0]), v + "image_std": numbers(6, "<f4", [1, 1, 1]),
        a + "embedding_length": u32(FRAME), a + "projection_dim": u32(WIDTH), a + "block_count": u32(0), a + "attention.head_count": u32(0), a + "feed_forward_length": u32(0),
        a + "attention.layer_norm_epsilon": f32(1e-6), a + "num_mel_bins": u32(128),
    }
    tensors = [("v.patch_embd.weight", (WIDTH, pixels), F32, pixels ** -0.5), ("v.patch_embd.bias", (WIDTH,), F32, 0.0)]
    for i, n in ((1, pixels), (2, WIDTH), (3, WIDTH)):
        tensors += [(f"v.patch_norm.{i}.weight", (n,), F32, norm(source, n)), (f"v.patch_norm.{i}.bias", (n,), F32, 0.01)]
    tensors += [("v.position_embd.weight", (2, PLACES, WIDTH), F32, 0.3), ("mm.input_projection.weight", (WIDTH, WIDTH), BF16, WIDTH ** -0.5),
                ("mm.a.input_projection.weight", (WIDTH, FRAME), BF16, FRAME ** -0.5)]
    write(os.path.join(folder, "mmproj-bf16.gguf"), meta, tensors, source)


def main():
    if len(sys.argv) not in (5, 6) or sys.argv[1].split("/")[0] != "gemma4-12b" or sys.argv[2] not in TYPES:
        sys.exit(__doc__)
    shape, kind, folder, vocabulary = sys.argv[1:5]
    source = Source(int(sys.argv[5]) if len(sys.argv) > 5 else 0)
    os.makedirs(folder, exist_ok=True)
    text_model(folder, kind, int(shape.split("/")[1]) if "/" in shape else 48, tokenizer(vocabulary), source)
    projector(folder, source)


if __name__ == "__main__":
    main()
