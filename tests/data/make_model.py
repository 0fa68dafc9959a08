#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the smallest models (tests/data/model), refused ones (tests/data/bad/model) and the seeds of the model fuzzers
(tests/fuzz/corpus). Standard library only. usage: make_model.py, from anywhere. The expected code of each refused one stands in
tests/unit/test_model_bad.c."""
import json
import pathlib
import shutil
import struct

HERE = pathlib.Path(__file__).resolve().parent
GOOD, BAD, CORPUS = HERE / "model", HERE / "bad/model", HERE.parent / "fuzz/corpus"
V, D, F, H, G, K = 6, 4, 8, 2, 1, 2

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": D, "intermediate_size": F, "num_hidden_layers": 1, "num_attention_heads": H,
         "num_key_value_heads": G, "head_dim": K, "vocab_size": V, "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": True, "eos_token_id": 2}
SHAPES = {"model.embed_tokens.weight": [V, D], "model.norm.weight": [D], **{"model.layers.0." + k: v for k, v in {
    "input_layernorm.weight": [D], "post_attention_layernorm.weight": [D], "self_attn.q_proj.weight": [H * K, D], "self_attn.k_proj.weight": [G * K, D],
    "self_attn.v_proj.weight": [G * K, D], "self_attn.o_proj.weight": [D, H * K], "mlp.gate_proj.weight": [F, D], "mlp.up_proj.weight": [F, D], "mlp.down_proj.weight": [D, F]}.items()}}


def size(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def values(shape):
    return b"".join(struct.pack("<f", (i % 7 - 3) / 8) for i in range(size(shape)))


def safetensors(shapes, header_edit=None, data_edit=None, length=None):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, shape in shapes.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * size(shape)]}
        data += values(shape)
    if header_edit:
        header_edit(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if data_edit:
        data = data_edit(data)
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def folder(name, weights=None, config=LLAMA, files=None, root=BAD):
    path = root / name
    path.mkdir(parents=True)
    if config is not None:
        (path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    for file, data in (files or {"model.safetensors": weights if weights is not None else safetensors(SHAPES)}).items():
        (path / file).write_bytes(data)


# ---- GGUF ----

def string(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def value(v):
    if isinstance(v, bool):
        return struct.pack("<IB", 7, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + string(v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v[0], str):
        return struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(string, v))
    if isinstance(v[0], bool):
        return struct.pack("<IIQ", 9, 7, len(v)) + bytes(v)
    return struct.pack("<IIQ", 9, 6 if isinstance(v[0], float) else 5, len(v)) + b"".join(struct.pack("<f" if isinstance(v[0], float) else "<i", x) for x in v)


def gguf(meta, tensors, rows_edit=None, n_tensors=None, n_keys=None, align=32, tail=b""):
    """tensors: name -> (shape outermost first, f32 values or None)"""
    rows, data = [], b""
    for name, shape in tensors.items():
        rows.append([name, list(reversed(shape)), 0, len(data)])
        data += values(shape)
        data += bytes(-len(data) % align)
    if rows_edit:
        rows_edit(rows)
    out = b"GGUF" + struct.pack("<IQQ", 3, len(rows) if n_tensors is None else n_tensors, len(meta) if n_keys is None else n_keys)
    out += b"".join(string(k) + value(v) for k, v in meta.items())
    for name, dims, kind, offset in rows:
        out += string(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims) + struct.pack("<IQ", kind, offset)
    return out + bytes(-len(out) % align) + data + tail


TOKENS = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.tokens": ["a", "b", "<|eot_id|>", "c", "ab", "d"],
          "tokenizer.ggml.token_type": [1, 1, 3, 1, 1, 1], "tokenizer.ggml.merges": ["a b"], "tokenizer.ggml.eos_token_id": 2}
LLAMA_META = {"general.architecture": "llama", "llama.block_count": 1, "llama.context_length": 32, "llama.embedding_length": D, "llama.feed_forward_length": F, "llama.attention.head_count": H,
              "llama.attention.head_count_kv": G, "llama.attention.key_length": K, "llama.attention.value_length": K, "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.freq_base": 1e4,
              "llama.rope.dimension_count": K, "llama.vocab_size": V, **TOKENS}
LLAMA_GGUF = {"token_embd.weight": [V, D], "output_norm.weight": [D], **{"blk.0." + k: v for k, v in {
    "attn_norm.weight": [D], "ffn_norm.weight": [D], "attn_q.weight": [H * K, D], "attn_k.weight": [G * K, D], "attn_v.weight": [G * K, D], "attn_output.weight": [D, H * K],
    "ffn_gate.weight": [F, D], "ffn_up.weight": [F, D], "ffn_down.weight": [D, F]}.items()}}
GEMMA_META = {"general.architecture": "gemma4", "gemma4.block_count": 2, "gemma4.context_length": 32, "gemma4.embedding_length": D, "gemma4.feed_forward_length": F, "gemma4.attention.head_count": H,
              "gemma4.attention.head_count_kv": [1, 1], "gemma4.attention.sliding_window": 8, "gemma4.attention.sliding_window_pattern": [True, False], "gemma4.attention.key_length": 4,
              "gemma4.attention.value_length": 4, "gemma4.attention.key_length_swa": 2, "gemma4.attention.value_length_swa": 2, "gemma4.rope.dimension_count": 4, "gemma4.rope.dimension_count_swa": 2,
              "gemma4.rope.freq_base": 1e6, "gemma4.rope.freq_base_swa": 1e4, "gemma4.attention.layer_norm_rms_epsilon": 1e-6, "gemma4.final_logit_softcapping": 30.0,
              "gemma4.attention.shared_kv_layers": 0, "gemma4.embedding_length_per_layer_input": 0, "tokenizer.ggml.model": "gemma4", "tokenizer.ggml.tokens": ["<pad>", "<eos>", "<bos>", "<unk>", "<|image>", "<image|>"],
              "tokenizer.ggml.suppress_tokens": [5]}


def gemma_tensors():
    out = {"token_embd.weight": [V, D], "output_norm.weight": [D], "rope_freqs.weight": [2]}
    for n, k in ((0, 2), (1, 4)):
        p = f"blk.{n}."
        out |= {p + "attn_norm.weight": [D], p + "attn_q.weight": [H * k, D], p + "attn_k.weight": [k, D], p + "attn_output.weight": [D, H * k], p + "attn_q_norm.weight": [k],
                p + "attn_k_norm.weight": [k], p + "post_attention_norm.weight": [D], p + "ffn_norm.weight": [D], p + "ffn_gate.weight": [F, D], p + "ffn_up.weight": [F, D],
                p + "ffn_down.weight": [D, F], p + "post_ffw_norm.weight": [D], p + "layer_output_scale.weight": [1]}
        if n == 0:
            out[p + "attn_v.weight"] = [k, D]
    return out


def gemma_gguf():
    """with divisors 1 and 1e30: one of two pairs rotates"""
    data = gguf(GEMMA_META, gemma_tensors())
    padded = [4 * size(s) + -4 * size(s) % 32 for s in gemma_tensors().values()]
    at = len(data) - sum(padded[2:])   # rope_freqs is the third
    return data[:at] + struct.pack("<ff", 1, 1e30) + data[at + 8:]


def shards(index, second=None):
    names = list(SHAPES)
    return {"model.safetensors.index.json": json.dumps({"metadata": {}, "weight_map": index}).encode(),
            "model-1.safetensors": safetensors({n: SHAPES[n] for n in names[:5]}), "model-2.safetensors": safetensors(second or {n: SHAPES[n] for n in names[5:]})}


def main():
    for path in (GOOD, BAD):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    Q = "model.layers.0.self_attn.q_proj.weight"
    folder("tiny-llama", root=GOOD)
    (GOOD / "tiny-llama.gguf").write_bytes(gguf(LLAMA_META, LLAMA_GGUF))
    (GOOD / "tiny-gemma4.gguf").write_bytes(gemma_gguf())

    whole = safetensors(SHAPES)
    folder("st-truncated", whole[:-100])
    folder("st-cut-in-header", whole[:200])
    folder("st-empty", b"")
    folder("st-header-huge", safetensors(SHAPES, length=2**63 + 5))
    folder("st-header-100mb", safetensors(SHAPES, length=100_000_001))
    folder("st-shape-overflow", safetensors(SHAPES, lambda h: h[Q].update(shape=[2**62, 4])))
    folder("st-shape-wraps", safetensors(SHAPES, lambda h: h[Q].update(shape=[2**62, 2**2, 2**2, 1])))
    folder("st-inflated", safetensors(SHAPES, lambda h: h[Q].update(shape=[4000, 4])))
    folder("st-overlap", safetensors(SHAPES, lambda h: h[Q].update(data_offsets=[0, 4 * size(SHAPES[Q])])))
    folder("st-gap", safetensors({**SHAPES, "x": [4]}, lambda h: h.pop("x")))
    folder("st-bit-flip", bytes(b ^ (8 if i == 20 else 0) for i, b in enumerate(whole)))
    folder("st-fp8", safetensors(SHAPES, lambda h: h[Q].update(dtype="F8_E4M3")))
    folder("st-int-weight", safetensors(SHAPES, lambda h: h[Q].update(dtype="I32")))
    folder("st-missing", safetensors({k: v for k, v in SHAPES.items() if k != Q}))
    folder("st-misshapen", safetensors({**SHAPES, Q: [D, D + 1]}))
    folder("st-transposed", safetensors({**SHAPES, "model.layers.0.mlp.down_proj.weight": [F, D]}))
    folder("st-no-config", config=None)
    folder("st-config-bad", config="{\"model_type\": \"llama\"")
    folder("st-moe", config={**LLAMA, "num_local_experts": 8})
    names = list(SHAPES)
    good = {n: "model-1.safetensors" if i < 5 else "model-2.safetensors" for i, n in enumerate(names)}
    folder("shards", files=shards(good), root=GOOD)
    folder("shards-missing", files={k: v for k, v in shards(good).items() if k != "model-2.safetensors"})
    folder("shards-escape", files=shards({**good, Q: "../tiny/model.safetensors"}))
    folder("shards-self", files=shards({**good, Q: "model.safetensors.index.json"}))
    folder("shards-twice", files=shards(good, SHAPES))
    folder("shards-elsewhere", files=shards({**good, names[0]: "model-2.safetensors"}))

    def gguf_file(name, **kw):
        (BAD / (name + ".gguf")).write_bytes(gguf(kw.pop("meta", LLAMA_META), kw.pop("tensors", LLAMA_GGUF), **kw))
    plain = gguf(LLAMA_META, LLAMA_GGUF)
    (BAD / "gguf-truncated.gguf").write_bytes(plain[:-200])
    (BAD / "gguf-cut-in-directory.gguf").write_bytes(plain[:900])
    gguf_file("gguf-many-tensors", n_tensors=2**60)
    gguf_file("gguf-many-keys", n_keys=2**60)
    gguf_file("gguf-one-tensor-more", n_tensors=len(LLAMA_GGUF) + 1)
    gguf_file("gguf-shape-overflow", rows_edit=lambda r: r[4].__setitem__(1, [2**40, 2**40]))
    gguf_file("gguf-shape-inflated", rows_edit=lambda r: r[4].__setitem__(1, [4, 2**40]))
    gguf_file("gguf-overlap", rows_edit=lambda r: r[4].__setitem__(3, 0))
    gguf_file("gguf-offset-huge", rows_edit=lambda r: r[4].__setitem__(3, 2**63))
    gguf_file("gguf-offset-unaligned", rows_edit=lambda r: r[4].__setitem__(3, r[4][3] + 4))
    gguf_file("gguf-type-iq2", rows_edit=lambda r: r[4].__setitem__(2, 16))
    gguf_file("gguf-type-flip", rows_edit=lambda r: r[4].__setitem__(2, 0x40000000))
    gguf_file("gguf-twice", rows_edit=lambda r: r[4].__setitem__(0, r[3][0]))
    gguf_file("gguf-misshapen", tensors={**LLAMA_GGUF, "blk.0.attn_k.weight": [D, D]})
    gguf_file("gguf-missing", tensors={k: v for k, v in LLAMA_GGUF.items() if k != "blk.0.ffn_up.weight"})
    gguf_file("gguf-bias", tensors={**LLAMA_GGUF, "blk.0.attn_q.bias": [H * K]})
    gguf_file("gguf-heads-zero", meta={**LLAMA_META, "llama.attention.head_count": 0})
    gguf_file("gguf-heads-odd", meta={**LLAMA_META, "llama.attention.head_count_kv": 3})
    gguf_file("gguf-layers-huge", meta={**LLAMA_META, "llama.block_count": 2**32 - 1})
    gguf_file("gguf-no-base", meta={k: v for k, v in LLAMA_META.items() if k != "llama.rope.freq_base"})
    gguf_file("gguf-experts", meta={**LLAMA_META, "llama.expert_count": 8})
    gguf_file("gguf-yarn", meta={**LLAMA_META, "llama.rope.scaling.type": "yarn"})
    gguf_file("gguf-linear", meta={**LLAMA_META, "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0})
    gguf_file("gguf-gemma3", meta={**LLAMA_META, "general.architecture": "gemma3"})
    gguf_file("gguf-split", meta={**LLAMA_META, "split.count": 3})
    gguf_file("gguf-eos", meta={**LLAMA_META, "tokenizer.ggml.eos_token_id": 77})
    gguf_file("gguf-freqs-nan", tensors={**LLAMA_GGUF, "rope_freqs.weight": [1]})   # its value is negative
    gguf_file("gguf-shared-kv", meta={**GEMMA_META, "gemma4.attention.shared_kv_layers": 1}, tensors=gemma_tensors())
    gguf_file("gguf-per-layer", meta={**GEMMA_META, "gemma4.embedding_length_per_layer_input": 2}, tensors=gemma_tensors())
    gguf_file("gguf-pattern", meta={**GEMMA_META, "gemma4.attention.sliding_window_pattern": [True]}, tensors=gemma_tensors())

    for name, files in {
        "safetensors": {"tiny.safetensors": whole, "cut.safetensors": whole[:200], "index.json": shards(good)["model.safetensors.index.json"],
                        "types.safetensors": safetensors({"a": [2, 2], "b": [], "c": [0, 3]}, lambda h: h["a"].update(dtype="BF16", shape=[2, 4]))},
        "gguf_model": {"llama.gguf": plain, "gemma4.gguf": gemma_gguf()},
        "config": {"llama.json": json.dumps({**LLAMA, "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}}).encode(),
                   "generation.json": b'{"eos_token_id":[1,2],"suppress_tokens":[3],"do_sample":true,"temperature":0.5,"top_k":4,"top_p":0.9}',
                   "gemma4.json": (HERE / "golden/gemma4-a/hf/config.json").read_bytes(), "processor.json": (HERE / "golden/gemma4-a/hf/processor_config.json").read_bytes(),
                   "qwen3.json": (HERE / "golden/qwen3/hf/config.json").read_bytes(),
                   "muse.json": json.dumps({**LLAMA, "model_type": "muse", "muse_version": 1, "qk_norm": True, "rope_pairs": [1, 0, 0], "image_config": {"patch_size": 8, "places": 32, "budgets": [64, 144],
                                            "default_budget": 64}, "audio_config": {"mel_bins": 80, "stack": 4}}).encode(),
                   "fuyu.json": json.dumps({"model_type": "fuyu", "text_config": {"model_type": "persimmon", "hidden_act": "relu2", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
                                            "num_attention_heads": 2, "vocab_size": 9, "max_position_embeddings": 64, "layer_norm_eps": 1e-5, "rope_parameters": {"rope_theta": 25000, "rope_type": "default",
                                            "partial_rotary_factor": 0.5}, "qk_layernorm": True}, "patch_size": 30, "num_channels": 3, "image_token_id": 3}).encode()},
    }.items():
        path = CORPUS / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        for file, data in files.items():
            (path / file).write_bytes(data)


if __name__ == "__main__":
    main()
