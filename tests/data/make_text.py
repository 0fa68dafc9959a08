#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test data of the text tokenizer. usage: make_text.py [GOLDEN]

With GOLDEN, the folder of reference checkpoints: copies their tokenizers and vectors to text/ and cuts their GGUF files down to
the metadata (no tensors). Without: makes the small vocabularies, the expected ids (computed here, independently of the
library: greedy merging by definition, and Viterbi by trying every segmentation) and the refused files in bad/."""
import json
import os
import random
import shutil
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT, BAD = os.path.join(HERE, "text"), os.path.join(HERE, "bad")
MARK = "\u2581"


# ---- GGUF ----
def gguf_end_of_keys(d):
    """position after the metadata, and where the tensor count stands"""
    p = 24
    (n_keys,) = struct.unpack_from("<Q", d, 16)
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def value(p, t):
        if t == 8:
            return p + 8 + struct.unpack_from("<Q", d, p)[0]
        if t == 9:
            e, n = struct.unpack_from("<IQ", d, p)
            p += 12
            if e in sizes:
                return p + n * sizes[e]
            for _ in range(n):
                p = value(p, e)
            return p
        return p + sizes[t]

    for _ in range(n_keys):
        p += 8 + struct.unpack_from("<Q", d, p)[0]
        (t,) = struct.unpack_from("<I", d, p)
        p = value(p + 4, t)
    return p


def cut_gguf(src, dst):
    d = open(src, "rb").read()
    end = gguf_end_of_keys(d)
    open(dst, "wb").write(d[:8] + struct.pack("<Q", 0) + d[16:end] + bytes(-end % 32))


def gstr(s):
    b = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(b)) + b


def gkey(name, t, v):
    head = gstr(name) + struct.pack("<I", t)
    if t == 8:
        return head + gstr(v)
    if t == 9:
        e, items = v
        body = b"".join(gstr(x) for x in items) if e == 8 else struct.pack(f"<{len(items)}{ {4: 'I', 5: 'i', 6: 'f'}[e]}", *items)
        return head + struct.pack("<IQ", e, len(items)) + body
    return head + struct.pack("<" + {4: "I", 7: "B", 10: "Q"}[t], v)


def gguf(keys, version=3, n_tensors=0, n_keys=None):
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, len(keys) if n_keys is None else n_keys) + b"".join(keys)


# ---- byte-fallback BPE in the layout of Gemma's tokenizer.json ----
def pieces_of(words):
    """every prefix chain that builds these words, as merges in order"""
    merges, vocab = [], []
    for w in words:
        for k in range(2, len(w) + 1):
            if w[:k] not in vocab:
                vocab.append(w[:k])
                merges.append((w[:k - 1], w[k - 1]))
    return vocab, merges


def spec_like():
    added = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|tool>", "<tool|>", '<|"|>', "<|turn>", "<turn|>"]
    vocab = {}
    for a in added:
        vocab[a] = len(vocab)
    for n in (1, 2, 3):
        vocab["\n" * n] = len(vocab)
    vocab[MARK * 2] = len(vocab)
    for b in range(256):
        vocab[f"<0x{b:02X}>"] = len(vocab)
    chars = MARK + "\tabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'\"(){}<>|:-_" + "éï☕你好नमस्ते…—"
    for c in chars:
        vocab.setdefault(c, len(vocab))
    words, merges = pieces_of(["hi", MARK + "there", "user", MARK + "caf", "na", "ïve", "the", MARK + "qu", "ick", "on't", MARK + "we", "नमस्ते", MARK + "dost", "-" + "-"])
    merges = [("\n", "\n"), ("\n\n", "\n"), (MARK, MARK)] + merges
    for w in words:
        vocab.setdefault(w, len(vocab))
    joined = [("caf", "é"), ("na", "ïve")]   # accents by merges of two longer pieces
    vocab, merges = add_words(vocab, merges, ["caf"])
    for a, b in joined:
        vocab.setdefault(a + b, len(vocab))
        merges.append((a, b))
    doc = {"version": "1.0", "truncation": None, "padding": None,
           "added_tokens": [{"id": vocab[a], "content": a, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                             "special": a != '<|"|>'} for a in added],
           "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": MARK},
           "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
           "post_processor": None,
           "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
           "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                     "byte_fallback": True, "ignore_merges": False, "vocab": vocab, "merges": [list(m) for m in merges]}}
    return doc, added


def add_words(vocab, merges, words):
    for w in words:
        for k in range(2, len(w) + 1):
            if w[:k] not in vocab:
                vocab[w[:k]] = len(vocab)
            if (w[:k - 1], w[k - 1]) not in merges:
                merges.append((w[:k - 1], w[k - 1]))
    return vocab, merges


def bpe(symbols, rank):
    """by definition: while some neighbours have a rank, join the first of the lowest"""
    symbols = list(symbols)
    while True:
        best = min(((rank[(a, b)], i) for i, (a, b) in enumerate(zip(symbols, symbols[1:])) if (a, b) in rank), default=None)
        if best is None:
            return symbols
        i = best[1]
        symbols[i:i + 2] = [symbols[i] + symbols[i + 1]]


def split_added(text, added):
    i, out, plain = 0, [], ""
    while i < len(text):
        hit = max((a for a in added if text.startswith(a, i)), key=len, default=None)
        if hit:
            if plain:
                out.append((plain, False))
            out.append((hit, True))
            plain, i = "", i + len(hit)
        else:
            plain, i = plain + text[i], i + 1
    return out + ([(plain, False)] if plain else [])


def spec_ids(doc, added, text):
    vocab, rank = doc["model"]["vocab"], {tuple(m): i for i, m in enumerate(doc["model"]["merges"])}
    ids = []
    for part, is_added in split_added(text, added):
        if is_added:
            ids.append(vocab[part])
            continue
        symbols = []
        for c in part.replace(" ", MARK):
            symbols += [c] if c in vocab else [f"<0x{b:02X}>" for b in c.encode()]
        ids += [vocab[s] for s in bpe(symbols, rank)]
    return ids


SPEC_TEXTS = ["hi", "a the of a the", "Hello, World! 123 café ☕ 你好", "  leading and trailing  ", "don't we'll", "a  b\n\nc\td ", "café naïve", "नमस्ते dost",
              "x… —dash", "<|turn>user\nhi there<turn|>\n", "\n", "\n\n", "\n\n\n", "\n\n\n\n", "\n\n\n\n\n\n\n", "   ", "\t\t", " \n ", "🙂 emoji 👍🏽",
              '<|tool>declaration:bash{description:<|"|>Run a command<|"|>}<tool|>', "func main() { fmt.Println(\"hello\") }", "▁▁literal▁mark", "",
              "the quick", " there there", "--- -", "<|turn", "<bos><bos> <eos>", "é\u0301", "ß"]


# ---- Unigram ----
def unigram_doc(rng):
    pieces = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0]]
    for b in range(256):
        pieces.append([f"<0x{b:02X}>", -20.0])
    words = [MARK, "a", "b", "c", "d", "e", "é", "n", "t", "你", "ab", "abc", "bc", "cd", "de", MARK + "a", MARK + "ab", MARK + "the", "the", "h", "at", "cat",
             MARK + "cat", MARK + MARK, "nn", "ene", "abcde", "1", "12", "123", ".", "t."]
    for w in words:
        pieces.append([w, round(-rng.uniform(1.0, 14.0), 4)])
    added = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for i, t in enumerate(["<unk>", "<s>", "</s>"])]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": MARK}, {"type": "Replace", "pattern": {"String": " "}, "content": MARK}]},
            "pre_tokenizer": None,
            "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
                               "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
            "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                         {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": True}}


def unigram_ids(doc, text):
    """try every segmentation of every stretch; ties do not occur with these scores"""
    pieces = {p: (i, s) for i, (p, s) in enumerate(doc["model"]["vocab"]) if i > 2}
    unk = min(s for _, s in doc["model"]["vocab"]) - 10.0
    if not text:
        return []
    text = (MARK + text).replace(" ", MARK)
    best = [None] * (len(text) + 1)
    best[len(text)] = (0.0, [])
    for i in range(len(text) - 1, -1, -1):      # exact: suffixes, all cuts
        options = []
        for k in range(i + 1, len(text) + 1):
            if text[i:k] in pieces and best[k]:
                options.append((pieces[text[i:k]][1] + best[k][0], [pieces[text[i:k]][0]] + best[k][1]))
        if text[i] not in pieces:
            byte_ids = [pieces[f"<0x{b:02X}>"][0] for b in text[i].encode()]
            options.append((unk + best[i + 1][0], byte_ids + best[i + 1][1]))
        best[i] = max(options, key=lambda o: o[0]) if options else None
    return best[0][1]


# ---- kind llama: BPE by score ----
def llama_gguf(rng):
    tokens, scores, types = ["<unk>", "<s>", "</s>"], [0.0, 0.0, 0.0], [2, 3, 3]
    for b in range(256):
        tokens.append(f"<0x{b:02X}>"); scores.append(0.0); types.append(6)
    words = ["th", "the", MARK + "the", MARK + "t", "he", "er", "in", MARK + "in", "ing", "an", "and", MARK + "and", "ab", "ba", "abab", "aa", "aaa", "aaaa", MARK * 2, MARK * 4, "\n\n"]
    for k, w in enumerate(words):
        tokens.append(w); scores.append(float(-(k // 2))); types.append(1)   # pairs of equal scores: ties go to the left
    for c in MARK + "abcdefghijklmnopqrstuvwxyz.,'é\n":
        tokens.append(c); scores.append(-1000.0); types.append(1)
    tokens.append("<|user|>"); scores.append(0.0); types.append(4)
    keys = [gkey("general.architecture", 8, "llama"), gkey("tokenizer.ggml.model", 8, "llama"), gkey("tokenizer.ggml.tokens", 9, (8, tokens)),
            gkey("tokenizer.ggml.scores", 9, (6, scores)), gkey("tokenizer.ggml.token_type", 9, (5, types)), gkey("tokenizer.ggml.bos_token_id", 4, 1),
            gkey("tokenizer.ggml.eos_token_id", 4, 2), gkey("tokenizer.ggml.unknown_token_id", 4, 0)]
    return gguf(keys), tokens, scores, types


def llama_ids(tokens, scores, types, text):
    index = {t: i for i, t in enumerate(tokens)}
    ids = []
    for part, is_added in split_added(text, ["<unk>", "<s>", "</s>", "<|user|>"]):
        if is_added:
            ids.append(index[part])
            continue
        symbols = list((" " + part).replace(" ", MARK))
        while True:
            best = None
            for i in range(len(symbols) - 1):
                t = index.get(symbols[i] + symbols[i + 1])
                if t is not None and types[t] == 1 and (best is None or scores[t] > best[0]):
                    best = (scores[t], i)
            if best is None:
                break
            symbols[best[1]:best[1] + 2] = ["".join(symbols[best[1]:best[1] + 2])]
        for s in symbols:
            ids += [index[s]] if s in index else [index[f"<0x{b:02X}>"] for b in s.encode()]
    return ids


def write_cases(name, texts, ids):
    with open(os.path.join(TEXT, name), "w", encoding="utf-8") as f:
        for t in texts:
            f.write(json.dumps({"text": t, "ids": ids(t)}) + "\n")


def small():
    rng = random.Random(7)
    doc, added = spec_like()
    json.dump(doc, open(os.path.join(TEXT, "spec.json"), "w", encoding="utf-8"), ensure_ascii=False, indent=1)
    write_cases("spec.jsonl", SPEC_TEXTS, lambda t: spec_ids(doc, added, t))
    doc = unigram_doc(rng)
    json.dump(doc, open(os.path.join(TEXT, "unigram.json"), "w", encoding="utf-8"), ensure_ascii=False, indent=1)
    texts = ["", "a", "the cat", "abcde", "abcabc", "de  the", "你好", "z", "é123.", "cat.ene", "   ", "<unk", "t.t.t"]
    texts += ["".join(rng.choice("abcdent é你123.hx") for _ in range(rng.randint(1, 40))) for _ in range(120)]
    write_cases("unigram.jsonl", texts, lambda t: unigram_ids(doc, t))
    data, tokens, scores, types = llama_gguf(rng)
    open(os.path.join(TEXT, "llama.gguf"), "wb").write(data)
    texts = ["", "the", "the thing and the other", "aaaaaaa", "abababab", "a    b", "ünïcode 🙂", "\n\n\n", "<s>the<|user|> in", " the", "<s", "x"]
    texts += ["".join(rng.choice("abthern  g\nié") for _ in range(rng.randint(1, 90))) for _ in range(120)]
    T = "tokenizer.ggml."
    keys = [gkey(T + "model", 8, "gpt2"), gkey(T + "pre", 8, "llama-bpe"), gkey(T + "tokens", 9, (8, ["a", "b", "c", "abc", "\u0120"])), gkey(T + "merges", 9, (8, []))]
    open(os.path.join(TEXT, "ignore.gguf"), "wb").write(gguf(keys))
    write_cases("llama.jsonl", texts, lambda t: llama_ids(tokens, scores, types, t))


# ---- refused files: name, bytes. The expected codes stand in tests/unit/test_text_bad.c ----
def bad_json(**change):
    d = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}, "post_processor": None,
         "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}
    for path, v in change.items():
        at = d
        *way, last = path.split("__")
        for k in way:
            at = at[k]
        at[last] = v
    return json.dumps(d).encode()


def refused():
    good = bad_json()
    tok = {"content": "<x>", "id": 3, "special": True}
    files = {
        "text-empty.json": b"", "text-truncated.json": good[:-20], "text-array.json": b"[]", "text-no-model.json": bad_json(model=None),
        "text-vocab-list.json": bad_json(model__vocab=["a", "b"]), "text-id-string.json": bad_json(model__vocab={"a": "0"}),
        "text-id-negative.json": bad_json(model__vocab={"a": -1}), "text-id-huge.json": bad_json(model__vocab={"a": 99999999999}),
        "text-id-sparse.json": bad_json(model__vocab={"a": 0, "b": 16000000}, model__merges=[]), "text-id-twice.json": bad_json(model__vocab={"a": 0, "b": 0}, model__merges=[]),
        "text-key-twice.json": good.replace(b'"ab": 2', b'"ab": 2, "a": 3'), "text-id-fraction.json": bad_json(model__vocab={"a": 1.5}),
        "text-merge-unknown.json": bad_json(model__merges=["a c"]), "text-merge-no-result.json": bad_json(model__merges=["b a"]),
        "text-merge-one.json": bad_json(model__merges=["ab"]), "text-merge-three.json": bad_json(model__merges=["a b ab"]),
        "text-merge-number.json": bad_json(model__merges=[7]), "text-merge-triple.json": bad_json(model__merges=[["a", "b", "ab"]]),
        "text-merges-object.json": bad_json(model__merges={}), "text-type-unknown.json": bad_json(model__type="WordPiece"),
        "text-dropout.json": bad_json(model__dropout=0.1), "text-prefix.json": bad_json(model__continuing_subword_prefix="##"),
        "text-suffix.json": bad_json(model__end_of_word_suffix="</w>"), "text-model-member.json": bad_json(model__surprise=1),
        "text-root-member.json": bad_json(surprise=1), "text-unk-unknown.json": bad_json(model__unk_token="<unk>"), "text-flag.json": bad_json(model__fuse_unk="yes"),
        "text-normalizer.json": bad_json(normalizer={"type": "Lowercase"}), "text-normalizer-none.json": bad_json(normalizer={"kind": "NFC"}),
        "text-normalizer-deep.json": bad_json(normalizer={"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [
            {"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": []}]}]}]}]}),
        "text-pre.json": bad_json(pre_tokenizer={"type": "Whitespace"}), "text-pre-after.json": bad_json(pre_tokenizer={"type": "Sequence", "pretokenizers": [
            {"type": "ByteLevel", "add_prefix_space": False}, {"type": "Digits"}]}),
        "text-decoder-none.json": bad_json(decoder=None), "text-decoder.json": bad_json(decoder={"type": "WordPiece"}), "text-decoder-other.json": bad_json(decoder={"type": "Fuse"}),
        "text-post.json": bad_json(post_processor={"type": "BertProcessing"}), "text-post-eos.json": bad_json(post_processor={"type": "TemplateProcessing", "single": [
            {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "a", "type_id": 0}}], "special_tokens": {"a": {"id": "a", "ids": [0], "tokens": ["a"]}}}),
        "text-post-id.json": bad_json(post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                                                       "special_tokens": {"a": {"id": "a", "ids": [77], "tokens": ["a"]}}}),
        "text-added-other.json": bad_json(added_tokens=[{**tok, "id": 1}]), "text-added-text-twice.json": bad_json(added_tokens=[{**tok, "content": "ab", "id": 9}]),
        "text-added-id-twice.json": bad_json(added_tokens=[tok, {**tok, "content": "<y>"}]), "text-added-empty.json": bad_json(added_tokens=[{**tok, "content": ""}]),
        "text-added-long.json": bad_json(added_tokens=[{**tok, "content": "x" * 1025}]), "text-added-member.json": bad_json(added_tokens=[{**tok, "surprise": 1}]),
        "text-added-object.json": bad_json(added_tokens={}),
    }
    for name, regex in {"verb": "(*UTF)a", "class-in-class": "[a[b]]", "and": "[a&&b]", "backreference": "(a)\\1", "empty": "a*", "open": "(a", "brace": "a{,3}",
                        "possessive-count": "a{1,3}+", "word-edge": "\\bword", "reset": "a\\Kb", "script": "\\p{Klingon}", "option": "a(?i)b", "end": "a\\", "hex": "\\x{zz}"}.items():
        files[f"text-regex-{name}.json"] = bad_json(pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated",
                                                                                                          "invert": False}, {"type": "ByteLevel", "add_prefix_space": False}]})
    uni = {"type": "Unigram", "unk_id": 0, "vocab": [["a", -1.0], ["b", -2.0]]}
    fuse = dict(pre_tokenizer=None, decoder={"type": "Fuse"})
    files["text-uni-score.json"] = bad_json(model={**uni, "vocab": [["a", "x"]]}, **fuse)
    files["text-uni-infinite.json"] = bad_json(model={**uni, "vocab": [["a", 7.5]]}, **fuse).replace(b"7.5", b"1e999")
    files["text-uni-shape.json"] = bad_json(model={**uni, "vocab": [["a"]]}, **fuse)
    files["text-uni-unk.json"] = bad_json(model={**uni, "unk_id": 2}, **fuse)
    files["text-uni-twice.json"] = bad_json(model={**uni, "vocab": [["a", -1.0], ["a", -2.0]]}, **fuse)
    files["text-uni-long.json"] = bad_json(model={**uni, "vocab": [["a" * 1025, -1.0]]}, **fuse)

    T = "tokenizer.ggml."
    base = [gkey(T + "model", 8, "gpt2"), gkey(T + "pre", 8, "gpt-2"), gkey(T + "tokens", 9, (8, ["a", "b", "ab"])), gkey(T + "token_type", 9, (5, [1, 1, 1])), gkey(T + "merges", 9, (8, ["a b"]))]
    whole = gguf(base)

    def swap(i, k):
        return gguf([k if j == i else b for j, b in enumerate(base)])
    files.update({
        "text-magic.gguf": b"GGUF", "text-version.gguf": gguf(base, version=1), "text-big-endian.gguf": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
        "text-truncated.gguf": whole[:-7], "text-many-keys.gguf": gguf(base, n_keys=1 << 60), "text-many-tensors.gguf": gguf(base, n_tensors=1 << 40),
        "text-key-length.gguf": whole[:24] + struct.pack("<Q", 1 << 63) + whole[32:], "text-value-type.gguf": swap(0, gstr("k") + struct.pack("<I", 99)),
        "text-array-length.gguf": swap(0, gstr("k") + struct.pack("<IIQ", 9, 6, 1 << 62)), "text-array-nested.gguf": swap(0, gstr("k") + struct.pack("<IIQ", 9, 9, 1)),
        "text-string-length.gguf": swap(0, gstr("k") + struct.pack("<IQ", 8, (1 << 64) - 1)), "text-no-model.gguf": gguf(base[1:]), "text-no-tokens.gguf": gguf(base[:2] + base[3:]),
        "text-model.gguf": swap(0, gkey(T + "model", 8, "bert")), "text-pre.gguf": swap(1, gkey(T + "pre", 8, "unheard-of")), "text-no-pre.gguf": gguf(base[:1] + base[2:]),
        "text-types-short.gguf": swap(3, gkey(T + "token_type", 9, (5, [1, 1]))), "text-types-range.gguf": swap(3, gkey(T + "token_type", 9, (5, [1, 1, 9]))),
        "text-merge.gguf": swap(4, gkey(T + "merges", 9, (8, ["a c"]))), "text-no-merges.gguf": gguf(base[:4]), "text-merges-type.gguf": swap(4, gkey(T + "merges", 9, (5, [1]))),
        "text-bos.gguf": gguf(base + [gkey(T + "bos_token_id", 4, 3)]), "text-bos-type.gguf": gguf(base + [gkey(T + "bos_token_id", 8, "a")]),
        "text-alignment.gguf": gguf(base + [gkey("general.alignment", 4, 3)]), "text-no-scores.gguf": swap(0, gkey(T + "model", 8, "llama")),
        "text-score.gguf": gguf([gkey(T + "model", 8, "llama"), base[2], gkey(T + "scores", 9, (6, [0.0, float("nan"), 0.0]))]),
        "text-utf8.gguf": swap(2, gkey(T + "tokens", 9, (8, ["a", b"\xff", "ab"]))),
        "text-dims.gguf": gguf(base, n_tensors=1) + gstr("t") + struct.pack("<IQIQ", 9, 1, 0, 0) + bytes(64),
        "text-offset.gguf": gguf(base, n_tensors=1) + gstr("t") + struct.pack("<IQIQ", 1, 1, 0, 1 << 50) + bytes(64),
    })
    for name, data in files.items():
        open(os.path.join(BAD, name), "wb").write(data)
    print(len(files), "refused files")


# ---- seeds for the fuzz targets ----
def corpus():
    def put(target, name, data):
        folder = os.path.join(HERE, "..", "fuzz", "corpus", target)
        os.makedirs(folder, exist_ok=True)
        open(os.path.join(folder, name), "wb").write(data)

    llama3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
    tok = {"content": "<s>", "id": 3, "special": True, "lstrip": True, "rstrip": False, "single_word": True, "normalized": True}
    split = {"type": "Split", "pattern": {"Regex": llama3}, "behavior": "Isolated", "invert": False}
    put("tokenizer_json", "bytes.json", bad_json(added_tokens=[tok], normalizer={"type": "NFC"}, model__ignore_merges=True, model__unk_token="a",
                                                 pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, split,
                                                                                                    {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}]}))
    put("tokenizer_json", "fallback.json", bad_json(normalizer={"type": "Replace", "pattern": {"String": " "}, "content": MARK}, pre_tokenizer={**split, "behavior": "MergedWithNext"},
                                                    decoder={"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"},
                                                                                              {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
                                                    model={"type": "BPE", "byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>", "merges": [["a", "b"], [MARK, "ab"]],
                                                           "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, MARK: 4, MARK + "ab": 5, "<0x0A>": 6, "<0xFF>": 7}}))
    put("tokenizer_json", "unigram.json", bad_json(pre_tokenizer={"type": "Metaspace", "replacement": MARK, "prepend_scheme": "first", "split": True},
                                                   decoder={"type": "Metaspace", "replacement": MARK, "prepend_scheme": "first"}, normalizer={"type": "NFKC"},
                                                   post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                                                                   "special_tokens": {"a": {"id": "a", "ids": [1], "tokens": ["a"]}}},
                                                   model={"type": "Unigram", "unk_id": 0, "vocab": [["?", 0.0], ["a", -1.5], [MARK + "a", -1], ["e", -2.25]], "byte_fallback": False}))
    T = "tokenizer.ggml."
    put("gguf_tokenizer", "gpt2.gguf", gguf([gkey(T + "model", 8, "gpt2"), gkey(T + "pre", 8, "qwen2"), gkey(T + "tokens", 9, (8, ["a", "b", "ab", "<s>"])), gkey(T + "token_type", 9, (5, [1, 1, 1, 3])),
                                             gkey(T + "merges", 9, (8, ["a b"])), gkey(T + "bos_token_id", 4, 3), gkey(T + "add_bos_token", 7, 1)]))
    llama = [gkey(T + "model", 8, "llama"), gkey(T + "tokens", 9, (8, ["<unk>", "<s>", "<0xFF>", "a", "b", "ab", MARK, MARK + "a"])), gkey(T + "token_type", 9, (5, [2, 3, 6, 1, 1, 1, 1, 4])),
             gkey(T + "scores", 9, (6, [0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -3.0, -4.0]))]
    put("gguf_tokenizer", "llama.gguf", gguf(llama))
    put("gguf_tokenizer", "tensor.gguf", gguf(llama[:1], n_tensors=1) + gstr("t") + struct.pack("<IQQIQ", 2, 4, 4, 0, 0) + bytes(96))
    put("gguf_tokenizer", "gemma4.gguf", gguf([gkey(T + "model", 8, "gemma4"), llama[1], llama[2], gkey(T + "merges", 9, (8, ["a b", MARK + " a"])), gkey(T + "add_space_prefix", 7, 0)]))
    texts = ["The cat's 1234 hats\n\n  don't  \t end ", "é\u0301你好🙂 <|x|><|x|><|\n\n", "a▁b  aaaa bababab<s>"]
    for kind in range(4):
        for flags in (0, 4):
            put("text_encode", f"{kind}{flags}", bytes([kind | flags]) + texts[kind % 3].encode() + b"\xff\xf0\x9f\0")


def golden(root):
    for name, gg in {"gemma4-a": "text-bf16.gguf", "gemma4-b": None, "llama3": "model-bf16.gguf", "qwen2": "model-f32.gguf"}.items():
        to = os.path.join(TEXT, name)
        os.makedirs(to, exist_ok=True)
        for f in ("hf/tokenizer.json", "hf/tokenizer_config.json", "tokens.jsonl"):
            shutil.copyfile(os.path.join(root, name, f), os.path.join(to, os.path.basename(f)))
        if gg:
            cut_gguf(os.path.join(root, name, "gguf", gg), os.path.join(to, "tokenizer.gguf"))


os.makedirs(TEXT, exist_ok=True)
os.makedirs(BAD, exist_ok=True)
if len(sys.argv) > 1:
    golden(sys.argv[1])
else:
    small()
    refused()
    corpus()
