#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/train: a tiny muse model (start/), and the losses of 20 training steps from it in float64.

Written from docs/FORMATS.md and docs/train.md, not from the C code: gradients come from a small tape of its own, every branch is
computed alone behind its own copy of the prefix, with a full mask. tests/unit/test_train.c makes the same samples by the same
formulas. usage: make_train.py OUT_FOLDER (needs numpy)"""
import json
import pathlib
import struct
import sys

import numpy as np

V, D, F, L, H, K, PATCH, MLP, PLACES, MEL = 32, 16, 24, 2, 2, 8, 2, 8, 8, 6
PAIRS, BASE, EPS = (2, 1, 1), 100.0, 1e-5
STEPS, SAMPLES, CLASSES, TAP, GAZE_LAYER, GAZE_HEAD = 20, 2, 4, 1, 1, 0
LABEL_WEIGHT, GAZE_WEIGHT, GROUPS = 0.5, 0.3, (1.0, 0.7)
PLACE_FIRST, PLACE_COUNT, SIGMA = 20, 10, 0.8


class T:
    """A float64 array on a tape."""
    def __init__(self, v, parents=()):
        self.v, self.g, self.parents = np.asarray(v, float), None, parents

    def _wrap(self, o):
        return o if isinstance(o, T) else T(o)

    def __add__(self, o):
        o = self._wrap(o)
        return T(self.v + o.v, ((self, lambda g: fold(g, self.v.shape)), (o, lambda g: fold(g, o.v.shape))))

    def __mul__(self, o):
        o = self._wrap(o)
        return T(self.v * o.v, ((self, lambda g: fold(g * o.v, self.v.shape)), (o, lambda g: fold(g * self.v, o.v.shape))))

    def __sub__(self, o):
        return self + self._wrap(o) * -1.0

    def __matmul__(self, o):
        return T(self.v @ o.v, ((self, lambda g: g @ np.swapaxes(o.v, -1, -2)), (o, lambda g: np.swapaxes(self.v, -1, -2) @ g)))

    def __getitem__(self, key):
        def back(g):
            z = np.zeros_like(self.v)
            np.add.at(z, key, g)
            return z
        return T(self.v[key], ((self, back),))

    def t(self):
        return T(self.v.T, ((self, lambda g: g.T),))

    def power(self, p):
        return T(self.v ** p, ((self, lambda g: g * p * self.v ** (p - 1)),))

    def exp(self):
        e = np.exp(self.v)
        return T(e, ((self, lambda g: g * e),))

    def log(self):
        return T(np.log(self.v), ((self, lambda g: g / self.v),))

    def relu(self):
        return T(np.maximum(self.v, 0), ((self, lambda g: g * (self.v > 0)),))

    def sum(self, axis=-1):
        return T(self.v.sum(axis, keepdims=True), ((self, lambda g: np.broadcast_to(g, self.v.shape)),))


def fold(g, shape):
    while g.ndim > len(shape):
        g = g.sum(0)
    for i, n in enumerate(shape):
        if n == 1 and g.shape[i] != 1:
            g = g.sum(i, keepdims=True)
    return g


def concat(parts, axis=0):
    ends = np.cumsum([p.v.shape[axis] for p in parts])
    def back(i):
        return lambda g: np.take(g, range(ends[i] - parts[i].v.shape[axis], ends[i]), axis)
    return T(np.concatenate([p.v for p in parts], axis), tuple((p, back(i)) for i, p in enumerate(parts)))


def backward(loss):
    order, seen = [], set()
    def visit(t):
        if id(t) not in seen:
            seen.add(id(t))
            for p, _ in t.parents:
                visit(p)
            order.append(t)
    visit(loss)
    loss.g = np.ones_like(loss.v)
    for t in reversed(order):
        for p, f in t.parents:
            g = f(t.g)
            p.g = g if p.g is None else p.g + g


# ---- the model ----

def shapes():
    s = {"model.embed_tokens.weight": (V, D), "model.norm.weight": (D,)}
    for n in range(L):
        p = f"model.layers.{n}."
        s |= {p + "input_layernorm.weight": (D,), p + "post_attention_layernorm.weight": (D,), p + "self_attn.q_norm.weight": (K,), p + "self_attn.k_norm.weight": (K,),
              p + "mlp.up_proj.weight": (F, D), p + "mlp.down_proj.weight": (D, F)}
        s |= {p + f"self_attn.{x}_proj.weight": (H * K, D) for x in "qkv"} | {p + "self_attn.o_proj.weight": (D, H * K)}
    p = 3 * PATCH * PATCH
    s |= {"model.image.norm.weight": (p,), "model.image.norm.bias": (p,), "model.image.hidden.weight": (MLP, p), "model.image.hidden.bias": (MLP,),
          "model.image.proj.weight": (D, MLP), "model.image.proj.bias": (D,), "model.image.place_rows": (PLACES, D), "model.image.place_cols": (PLACES, D),
          "model.audio.proj.weight": (D, MEL), "model.audio.proj.bias": (D,)}
    return s


def begin():
    rng = np.random.default_rng(7)
    w = {}
    for name, shape in shapes().items():
        x = rng.normal(size=shape) * (0.3 if len(shape) == 2 else 0.1) + (1.0 if "norm.weight" in name else 0.0)
        w[name] = x.astype(np.float32).astype(float)
    w["train.labels.weight"] = np.zeros((CLASSES, D))
    w["train.labels.bias"] = np.zeros(CLASSES)
    return w


def unit(x):
    return x * ((x * x).sum() * (1.0 / x.v.shape[-1]) + EPS).power(-0.5)


def angles(places):
    f = [places[:, a:a + 1] * BASE ** (-np.arange(n) / n) for a, n in enumerate(PAIRS)]
    return np.concatenate(f, 1)


def turn(x, a):
    h = K // 2
    left, right, c, s = x[:, :h], x[:, h:], np.cos(a), np.sin(a)
    return concat([left * c - right * s, right * c + left * s], 1)


def media(w, part):
    kind = part["kind"]
    if kind == "text":
        return w["model.embed_tokens.weight"][np.array(part["ids"], int)]
    if kind == "frames":
        return T(part["x"]) @ w["model.audio.proj.weight"].t() + w["model.audio.proj.bias"]
    x = part["x"]
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    n = T(x) * w["model.image.norm.weight"] + w["model.image.norm.bias"]
    u = (n @ w["model.image.hidden.weight"].t() + w["model.image.hidden.bias"]).relu()
    y = np.arange(part["gw"] * part["gh"]) // part["gw"]
    xs = np.arange(part["gw"] * part["gh"]) % part["gw"]
    return (u * u) @ w["model.image.proj.weight"].t() + w["model.image.proj.bias"] + w["model.image.place_rows"][y] + w["model.image.place_cols"][xs]


def forward(w, prefix, branch):
    """Rows after TAP and at the end, the weights of the gaze head, and where parts begin."""
    parts, places, sees, starts, t, n_prefix = prefix + branch, [], [], [], 0, sum(len(p) for p in map(rows_of, prefix))
    for p in parts:
        first, n = len(places), len(rows_of(p))
        starts.append(first)
        for i in range(n):
            if p["kind"] == "patches":
                places.append((t, i // p["gw"], i % p["gw"]))
                mask = [j < first + n and not (p.get("alone") and n_prefix <= j < first) for j in range(2000)]
            else:
                places.append((t + i, 0, 0))
                mask = [j <= first + i for j in range(2000)]
            sees.append(mask)
        t += 1 if p["kind"] == "patches" else n
    n = len(places)
    mask = np.array([m[:n] for m in sees])
    a = angles(np.array(places, float))
    x = concat([media(w, p) for p in parts])
    tap = gaze = None
    for l in range(L + 1):
        if l == TAP:
            tap = unit(x)
        if l == L:
            break
        p = f"model.layers.{l}."
        h = unit(x) * w[p + "input_layernorm.weight"]
        q, k, v = (h @ w[p + f"self_attn.{c}_proj.weight"].t() for c in "qkv")
        heads = []
        for i in range(H):
            cut = (slice(None), slice(i * K, i * K + K))
            qi, ki = turn(unit(q[cut]) * w[p + "self_attn.q_norm.weight"], a), turn(unit(k[cut]) * w[p + "self_attn.k_norm.weight"], a)
            e = (qi @ ki.t() * K ** -0.5).exp() * mask.astype(float)
            e = e * e.sum().power(-1.0)
            if l == GAZE_LAYER and i == GAZE_HEAD:
                gaze = e
            heads.append(e @ v[cut])
        x = x + concat(heads, 1) @ w[p + "self_attn.o_proj.weight"].t()
        u = (unit(x) * w[p + "post_attention_layernorm.weight"] @ w[p + "mlp.up_proj.weight"].t()).relu()
        x = x + (u * u) @ w[p + "mlp.down_proj.weight"].t()
    return tap, unit(x) * w["model.norm.weight"], gaze, starts


def rows_of(p):
    return p["ids"] if p["kind"] == "text" else p["x"]


def soft(i):
    p = np.zeros(V)
    if not PLACE_FIRST <= i < PLACE_FIRST + PLACE_COUNT:
        p[i] = 1
        return p
    r = int(np.ceil(3 * SIGMA))
    for j in range(max(PLACE_FIRST, i - r), min(PLACE_FIRST + PLACE_COUNT, i + r + 1)):
        p[j] = np.exp(-0.5 * ((j - i) / SIGMA) ** 2)
    return p / p.sum()


def cross(logits, p):
    return (logits.exp().sum().log() - (logits * p).sum())


# ---- samples: the formulas of tests/unit/test_train.c ----

def text(n, a, b):
    return {"kind": "text", "ids": [(a * i + b) % V for i in range(n)], "weight": [0.0] * n}


def picture(gw, gh, seed, alone=False):
    size = gw * PATCH
    rgb = np.array([(i * 37 + i * i * 5 + seed * 11) % 256 for i in range(gh * PATCH * size * 3)], float).reshape(gh * PATCH, size, 3) / 255
    x = np.array([rgb[y * PATCH:y * PATCH + PATCH, x * PATCH:x * PATCH + PATCH].reshape(-1) for y in range(gh) for x in range(gw)])
    return {"kind": "patches", "x": x, "gw": gw, "gh": gh, "alone": alone}


def sample(number):
    s = number % 6
    prefix = [text(2, 3, s), picture(3, 2, s)]
    if s % 2:
        prefix.append({"kind": "frames", "x": np.array([((i * 13 + s * 5) % 17) / 8 - 1 for i in range(4 * MEL)]).reshape(4, MEL)})
    one = text(7, 5, s)
    one["weight"] = [0.0, 0.0, 1.0, 1.0, 1.0, 0.5, 1.0]
    start, rest = text(3, 7, s + 1), text(5, 11, s + 3)
    start["weight"], rest["weight"] = [0.5, 0.0, 1.0], [0.0, 1.0, 1.0, 2.0, 1.0]
    branches = [{"parts": [one], "group": 0}, {"parts": [start, picture(2, 2, s + 9, True), rest], "group": 1}]
    labels = [(1, i, (i + s) % CLASSES, 1.0 + 0.25 * i) for i in range(6)]           # prefix part, index, class, weight
    gazes = [(1, 2, 1, [1, 4], 1.0)]                                                 # branch, part, index, patches, weight
    return prefix, branches, labels, gazes


def step_loss(w, first):
    terms = []   # (kind, group, weight, loss)
    for prefix, branches, labels, gazes in map(sample, range(first, first + SAMPLES)):
        for b, branch in enumerate(branches):
            tap, h, gaze, starts = forward(w, prefix, branch["parts"])
            for k, p in enumerate(branch["parts"]):
                for i, weight in enumerate(p.get("weight", [])):
                    if weight:
                        row = starts[len(prefix) + k] + i - 1
                        terms.append(("text", branch["group"], weight, cross(h[row:row + 1] @ w["model.embed_tokens.weight"].t(), soft(p["ids"][i]))))
            if b == 0:
                for part, i, c, weight in labels:
                    z = tap[starts[part] + i:starts[part] + i + 1] @ w["train.labels.weight"].t() + w["train.labels.bias"]
                    terms.append(("label", 0, weight, cross(z, np.eye(CLASSES)[c])))
            for gb, part, i, patches, weight in gazes:
                if gb == b:
                    row = gaze[starts[len(prefix) + part] + i]
                    terms.append(("gaze", 0, weight, row[np.array(patches) + starts[1]].sum().log() * -1.0))
    total = T(0.0)
    factors = {("text", 0): GROUPS[0], ("text", 1): GROUPS[1], ("label", 0): LABEL_WEIGHT, ("gaze", 0): GAZE_WEIGHT}
    for kind, factor in factors.items():
        mine = [(weight, loss) for k, g, weight, loss in terms if (k, g) == kind]
        for weight, loss in mine:
            total = total + (loss * (factor * weight / sum(m[0] for m in mine))).sum(None if loss.v.ndim == 0 else (0, 1) if loss.v.ndim == 2 else 0)
    return total


def schedule(step):
    warmup, stable, last = 3, 0.5, 0.1
    at, flat = step + 1, STEPS * stable
    if step < warmup:
        return at / (warmup + 1)
    return 1 if at <= flat else last if at >= STEPS else 1 - (1 - last) * (at - flat) / (STEPS - flat)


def orthogonal(x):
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(5):
        if x.shape[0] <= x.shape[1]:
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        else:
            a = x.T @ x
            x = 3.4445 * x + x @ (-4.7750 * a + 2.0315 * a @ a)
    return x


def train(muon):
    """20 steps; muon 0.02 with adam 0.003, or adamw 0.002; decay 0.1; clip 1."""
    w, m, v, losses = begin(), {}, {}, []
    for step in range(STEPS):
        params = {k: T(x) for k, x in w.items()}
        loss = step_loss(params, step * SAMPLES)
        backward(loss)
        losses.append(float(np.squeeze(loss.v)))
        grads = {k: (p.g if p.g is not None else np.zeros_like(p.v)).reshape(p.v.shape) for k, p in params.items()}
        norm = np.sqrt(sum((g ** 2).sum() for g in grads.values()))
        factor = schedule(step)
        for k, g in grads.items():
            g = g / max(norm, 1.0)
            table = k.startswith("train.") or "embed" in k or "place" in k
            m.setdefault(k, np.zeros_like(g))
            v.setdefault(k, np.zeros_like(g))
            if muon and g.ndim == 2 and not table:
                rate = 0.02 * factor
                m[k] = 0.95 * m[k] + g
                w[k] = w[k] * (1 - rate * 0.1) - rate * max(1, g.shape[0] / g.shape[1]) ** 0.5 * orthogonal(0.95 * m[k] + g)
            else:
                rate = (0.003 if muon else 0.002) * factor
                m[k] = 0.9 * m[k] + 0.1 * g
                v[k] = 0.98 * v[k] + 0.02 * g * g
                w[k] = w[k] * (1 - (rate * 0.1 if g.ndim == 2 else 0)) - rate * (m[k] / (1 - 0.9 ** (step + 1))) / (np.sqrt(v[k] / (1 - 0.98 ** (step + 1))) + 1e-8)
    return losses


def save(path, tensors):
    header, at, data = {}, 0, b""
    for name, x in tensors.items():
        raw = x.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [at, at + len(raw)]}
        at, data = at + len(raw), data + raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    out = pathlib.Path(sys.argv[1])
    (out / "start").mkdir(parents=True, exist_ok=True)
    config = {"model_type": "muse", "muse_version": 1, "vocab_size": V, "hidden_size": D, "intermediate_size": F, "num_hidden_layers": L, "num_attention_heads": H,
              "num_key_value_heads": H, "head_dim": K, "max_position_embeddings": 128, "rms_norm_eps": EPS, "hidden_act": "relu2", "qk_norm": True, "rope_theta": BASE,
              "rope_pairs": list(PAIRS), "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
              "image_config": {"patch_size": PATCH, "places": PLACES, "budgets": [4, 16], "default_budget": 4, "mlp_size": MLP}, "audio_config": {"mel_bins": 3, "stack": 2}}
    (out / "start/config.json").write_text(json.dumps(config, indent=1) + "\n")
    save(out / "start/model.safetensors", {k: x for k, x in begin().items() if not k.startswith("train.")})
    lines = [f"{a:.12g} {b:.12g}" for a, b in zip(train(True), train(False))]
    (out / "losses.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
