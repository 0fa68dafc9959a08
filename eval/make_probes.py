#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes eval/probes: pictures that tools/worlds did not draw (ImageMagick did), with questions in the same plain English. They show
whether a model learned what the words mean or how the generator draws. Shapes have outlines, shadows or soft edges, stand
turned, on grounds of other kinds; charts have a grid instead of ticks; texts look like signs in a street.

usage: eval/make_probes.py [FOLDER]       FOLDER: a new one; unless told, eval/probes is made anew

Needs ImageMagick 6 (convert) and the fonts DejaVu Sans, Liberation Sans.
"""
import json
import math
import pathlib
import random
import shutil
import subprocess
import sys

COLORS = {"red": "#d8232a", "green": "#219a3c", "blue": "#2347c5", "yellow": "#f2d31b", "orange": "#f08a1d", "purple": "#7d2fa8", "cyan": "#25c3d6", "pink": "#f27fb5"}
SHAPES = ["circle", "square", "triangle", "star", "cross", "diamond", "hexagon", "heart"]
GROUNDS = [["xc:#f4f4ee"], ["gradient:#dfe8f2-#a9b8c9"], ["-seed", "{n}", "plasma:#e9e2d0-#d3c9b0", "-blur", "0x3"], ["xc:#20242b"], ["gradient:#39424e-#171a1f"], ["pattern:gray90"]]
WORDS = ["one", "two", "three", "four", "five", "six"]


class Sets:
    def __init__(self, out):
        self.out, self.n, self.lines = out, 0, []

    def draw(self, args, size, name):
        """a picture: ground, then drawing; returns its name"""
        self.n += 1
        file = f"{self.n:02}-{name}.jpg"
        command = ["convert", "-size", f"{size[0]}x{size[1]}", *args, "-strip", "-sampling-factor", "1x1", "-quality", "88", str(self.out / file)]
        subprocess.run(command, check=True)
        return file

    def ask(self, task, images, text, answer, accept=()):
        line = {"task": task, "parts": [*({"image": i} for i in images), {"text": text}], "answer": answer}
        if accept:
            line["accept"] = list(accept)
        self.lines.append(json.dumps(line, separators=(",", ":")))


def corners(n, r, turn, inner=None):
    """a polygon round 0,0; every second corner at inner"""
    k = n * 2 if inner else n
    return [((inner if inner and i % 2 else r) * math.sin(turn + 2 * math.pi * i / k), -(inner if inner and i % 2 else r) * math.cos(turn + 2 * math.pi * i / k)) for i in range(k)]


def outline(shape, r, turn):
    if shape == "square":
        return corners(4, r * 1.2, math.pi / 4 + turn)
    if shape == "triangle":
        return corners(3, r * 1.2, turn)
    if shape == "star":
        return corners(5, r * 1.2, turn, r * 0.5)
    if shape == "hexagon":
        return corners(6, r, turn)
    if shape == "diamond":
        return [(0, -r * 1.2), (r * 0.75, 0), (0, r * 1.2), (-r * 0.75, 0)]
    if shape == "cross":
        a, b = r, r * 0.35
        return [(-b, -a), (b, -a), (b, -b), (a, -b), (a, b), (b, b), (b, a), (-b, a), (-b, b), (-a, b), (-a, -b), (-b, -b)]
    t = [2 * math.pi * i / 40 for i in range(40)]   # heart
    return [(r * math.sin(x) ** 3, -r * (13 * math.cos(x) - 5 * math.cos(2 * x) - 2 * math.cos(3 * x) - math.cos(4 * x)) / 16) for x in t]


def shape_args(o, style):
    """-draw arguments of a thing {color, shape, x, y, r, turn}"""
    stroke = ["-stroke", ["none", "black", "white"][style], "-strokewidth", "1"]
    if o["shape"] == "circle":
        what = f"circle {o['x']:.1f},{o['y']:.1f} {o['x'] + o['r']:.1f},{o['y']:.1f}"
    else:
        what = "polygon " + " ".join(f"{o['x'] + x:.1f},{o['y'] + y:.1f}" for x, y in outline(o["shape"], o["r"], o["turn"]))
    return [*stroke, "-fill", COLORS[o["color"]], "-draw", what]


def things(rng, n, size):
    """n things of different names in different cells of a grid of three by three"""
    cells = rng.sample([(i, k) for i in range(3) for k in range(3)], n)
    names = rng.sample([(c, s) for c in COLORS for s in SHAPES], n)
    side = min(size)
    return [place({"color": c, "shape": s, "r": side * rng.uniform(0.08, 0.125), "turn": rng.uniform(-0.3, 0.3)},
                  size[0] * (2 * i + 1) / 6 + rng.uniform(-3, 3), size[1] * (2 * k + 1) / 6 + rng.uniform(-3, 3), size) for (i, k), (c, s) in zip(cells, names)]


def place(o, x, y, size):
    """there, and inside the picture"""
    edge = 1.25 * o["r"] + 1
    return {**o, "x": min(max(x, edge), size[0] - edge), "y": min(max(y, edge), size[1] - edge)}


def picture(sets, rng, objects, size, name, style=None, ground=None):
    style = rng.randrange(3) if style is None else style
    ground = rng.choice(GROUNDS) if ground is None else ground
    args = [a.replace("{n}", str(sets.n)) for a in ground]
    for o in objects:
        args += shape_args(o, style)
    return sets.draw(args + (["-blur", "0x0.6"] if style == 0 else []), size, name)


def name_of(o):
    return f"{o['color']} {o['shape']}"


def number(n):
    return str(n), WORDS[n - 1:n] if n else ["zero", "none"]


def with_article(name):
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"   # the rule of tools/worlds


def scenes(sets, rng):
    for i in range(24):
        size = rng.choice([(64, 64), (96, 96), (128, 96), (80, 112), (128, 128)])
        objects = things(rng, rng.randint(2, 6), size)
        image = [picture(sets, rng, objects, size, "scene")]
        sets.ask("count", image, "How many things are in the picture?", *number(len(objects)))
        color, shape = rng.choice(list(COLORS)), rng.choice(SHAPES)
        sets.ask("count", image, f"How many {color} things are there?", *number(sum(o["color"] == color for o in objects)))
        here = rng.choice(objects)
        sets.ask("exist", image, f"Is there {with_article(name_of(here))}?", "yes")
        if (color, shape) not in [(o["color"], o["shape"]) for o in objects]:
            sets.ask("exist", image, f"Is there {with_article(color + ' ' + shape)}?", "no")
        for o in objects:
            if [p["shape"] for p in objects].count(o["shape"]) == 1:
                sets.ask("color", image, f"What colour is the {o['shape']}?", o["color"])
                break
        for o in reversed(objects):
            if [p["color"] for p in objects].count(o["color"]) == 1:
                sets.ask("shape", image, f"What shape is the {o['color']} object?", o["shape"], [f"{w} {name_of(o)}" for w in ("the", "an" if o["color"] == "orange" else "a")])
                break
        a, b = rng.sample(objects, 2)
        if abs(a["x"] - b["x"]) > size[0] / 5:
            sets.ask("where", image, f"Is the {name_of(a)} left or right of the {name_of(b)}?", "left" if a["x"] < b["x"] else "right")
        elif abs(a["y"] - b["y"]) > size[1] / 5:
            sets.ask("where", image, f"Where is the {name_of(a)}, above or below the {name_of(b)}?", "above" if a["y"] < b["y"] else "below")


def pairs(sets, rng):
    for change in ["moved", "removed", "added", "recoloured", "nothing"] * 2:
        size = rng.choice([(64, 64), (96, 96), (96, 64)])
        before = things(rng, 4, size)
        after = [dict(o) for o in before]
        o = rng.choice(after)
        free = next(c for c in COLORS if c not in [p["color"] for p in before])
        what, said, also = name_of(o), f"{name_of(o)} {change}", []
        if change == "added":
            before.remove(next(p for p in before if p["x"] == o["x"] and p["y"] == o["y"]))
        elif change == "removed":
            after.remove(o)
        elif change == "recoloured":
            o["color"] = free
            also = [f"{name_of(o)} {change}"]
        elif change == "moved":
            cells = [(size[0] * (2 * i + 1) / 6, size[1] * (2 * k + 1) / 6) for i in range(3) for k in range(3)]
            o.update(place(o, *max(cells, key=lambda c: min(math.dist(c, (p["x"], p["y"])) for p in before)), size))
        else:
            said, also = "nothing", ["no change"]
        style, ground = rng.randrange(3), rng.choice(GROUNDS[:2])
        images = [picture(sets, rng, x, size, "pair", style, ground) for x in (before, after)]
        sets.ask("change", images, "Compare the two pictures: what changed?", said, also)
        if change != "added":
            sets.ask("changed", images, f"Has the {what} changed?", "no" if change == "nothing" else "yes")


def charts(sets, rng):
    for i in range(8):
        n, size = rng.randint(2, 4), (128, 96)
        colors, values = rng.sample(list(COLORS), n), rng.sample([10, 20, 30, 40, 50, 60, 70, 80, 90], n)
        args = ["xc:white", "-stroke", "#cccccc", "-strokewidth", "1"]
        y = lambda v: 86 - 0.78 * v
        for v in (0, 50, 100):
            args += ["-stroke", "#bbbbbb", "-draw", f"line 24,{y(v):.0f} 126,{y(v):.0f}", "-stroke", "none", "-fill", "black", "-font", "DejaVu-Sans", "-pointsize", "9", "-draw", f"text 2,{y(v) + 3:.0f} '{v}'"]
        wide = 98 / n
        for k in range(n):
            args += ["-stroke", "black", "-fill", COLORS[colors[k]], "-draw", f"rectangle {28 + k * wide:.0f},{y(values[k]):.0f} {28 + (k + 0.7) * wide:.0f},{y(0):.0f}"]
        image = [sets.draw(args, size, "chart")]
        sets.ask("entries", image, "How many bars are there?", *number(n))
        sets.ask("tallest", image, "Which bar is the tallest?", colors[values.index(max(values))])
        a, b = rng.sample(range(n), 2)
        sets.ask("higher", image, f"Is the {colors[a]} bar higher than the {colors[b]} bar?", "yes" if values[a] > values[b] else "no")
        sets.ask("value", image, f"What is the value of the {colors[a]} bar?", str(values[a]))


def texts(sets, rng):
    for i, text in enumerate(["7", "K", "42", "STOP", "EXIT", "305", "OPEN", "TAXI", "88", "M6"]):
        ground, ink = rng.choice([("white", "black"), ("#b01e23", "white"), ("#1d4e9e", "#ffe14a"), ("#f0e6c8", "#3b2a1a")])
        args = [f"xc:{ground}", "-gravity", "center", "-font", ["DejaVu-Sans-Bold", "Liberation-Sans-Bold"][i % 2], "-pointsize", "24", "-fill", ink, "-stroke", "none", "-annotate", f"{rng.randint(-6, 6)}", text]
        image = [sets.draw(args, (96, 64), "text")]
        sets.ask("text", image, "What is written here?", text)


def main():
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent / "probes"
    if len(sys.argv) > 1 and out.exists():
        sys.exit(f"{out} is there already")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    sets, rng = Sets(out), random.Random(7)
    for make in (scenes, pairs, charts, texts):
        make(sets, rng)
    (out / "probes.jsonl").write_text("\n".join(sets.lines) + "\n")
    print(f"{sets.n} pictures, {len(sets.lines)} questions")


if __name__ == "__main__":
    main()
