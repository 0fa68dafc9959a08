#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the pictures of docs/how-it-works.md, docs/images/how-*.svg: boxes, rows of tokens and arrows, in colours for light and dark.
Standard library only. usage: draw.py [OUT_FOLDER]"""
import pathlib
import sys

STYLE = """text{font:14px system-ui,sans-serif;fill:#1b2230}.s{font-size:12px;fill:#566071}.m{text-anchor:middle}.b{font-weight:600}
.page{fill:#fbfcfe}.box{fill:#fff;stroke:#8a94a6;stroke-width:1.5}.frame{fill:none;stroke:#8a94a6;stroke-width:1.5;stroke-dasharray:5 4}
.line{fill:none;stroke:#566071;stroke-width:1.7}.head{fill:#566071}.off{fill:#e9edf3}
.text{fill:#cfe0fb;stroke:#3b74c9}.image{fill:#c9ecd9;stroke:#2b8a60}.audio{fill:#fbe2bf;stroke:#b8731a}.think{fill:#e6d9f8;stroke:#7b52b8}.gray{fill:#e9edf3;stroke:#8a94a6}
@media(prefers-color-scheme:dark){.page{fill:#12171e}text{fill:#e8ebf0}.s{fill:#a9b3c1}.box{fill:#1b2129;stroke:#697586}.line{stroke:#a9b3c1}.head{fill:#a9b3c1}.off{fill:#232a34}
.text{fill:#1f3a63;stroke:#7db0ff}.image{fill:#17442f;stroke:#5fcf9b}.audio{fill:#54390f;stroke:#f0b45c}.think{fill:#3d2a5e;stroke:#b996f0}.gray{fill:#2b333e;stroke:#697586}}"""


class Drawing:
    def __init__(self, width, height, about):
        self.size, self.about, self.parts = (width, height), about, []

    def text(self, x, y, words, kind="m"):
        for i, line in enumerate(words.split("\n")):
            line = line.replace("&", "&amp;").replace("<", "&lt;")
            self.parts.append(f'<text class="{kind}" x="{x}" y="{y + 17 * i}">{line}</text>')

    def box(self, x, y, w, h, words="", kind="box", small=""):
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="5"/>')
        lines = words.count("\n") + 1 if words else 0
        top = y + h / 2 + 5 - 8.5 * (lines - 1) - (8 if small else 0)
        if words:
            self.text(x + w / 2, top, words)
        if small:
            self.text(x + w / 2, top + 17 * lines, small, "m s")

    def cells(self, x, y, kinds, side=22, words=()):
        """a row of tokens, a letter for each: t, i, a, v (a view), k (a thought), g; x behind it"""
        names = {"t": "text", "i": "image", "a": "audio", "v": "image", "k": "think", "g": "gray"}
        for n, kind in enumerate(kinds):
            if kind != " ":
                dash = ' stroke-dasharray="4 2"' if kind == "v" else ""
                self.parts.append(f'<rect class="{names[kind]}"{dash} x="{x}" y="{y}" width="{side - 3}" height="{side}" rx="3" stroke-width="1.3"/>')
                if n < len(words) and words[n]:
                    self.text(x + (side - 3) / 2, y + side - 6, words[n], "m s")
            x += side if kind != " " else side / 2
        return x

    def arrow(self, *points):
        (x0, y0), (x1, y1) = points[-2:]
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        bx, by = x1 - 9 * dx, y1 - 9 * dy
        path = " L".join(f"{x:g} {y:g}" for x, y in [*points[:-1], (bx, by)])
        self.parts.append(f'<path class="line" d="M{path}"/><path class="head" d="M{x1:g} {y1:g} L{bx - 5 * dy:g} {by + 5 * dx:g} L{bx + 5 * dy:g} {by - 5 * dx:g} Z"/>')

    def save(self, path):
        w, h = self.size
        path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" aria-label="{self.about}">\n'
                        f'<style>{STYLE}</style>\n<rect class="page" width="{w}" height="{h}" rx="8"/>\n' + "\n".join(self.parts) + "\n</svg>\n", encoding="utf-8")


def flow():
    d = Drawing(820, 430, "From pixels, text and sound to one sequence, through the decoder to an answer, with a look in between")
    for i, (name, how, kind) in enumerate((("a picture", "patches of 8 x 8 pixels", "image"), ("a question", "pieces of text", "text"), ("a sound", "frames of 40 ms", "audio"))):
        y = 20 + 62 * i
        d.box(10, y, 110, 44, name)
        d.box(160, y, 170, 44, how, kind)
        d.arrow((120, y + 22), (160, y + 22))
        d.arrow((330, y + 22), (352, y + 22), (372, 104))
    d.text(590, 40, "one sequence of positions", "m b")
    d.cells(376, 92, "iiiii tttt aaa", 20)
    end = d.cells(660, 92, "kk", 20, ("A", "B"))
    end = d.cells(end + 4, 92, "vv", 20)
    d.cells(end + 4, 92, "kt", 20)
    d.text(376, 80, "what it was given", "s")
    d.text(660, 80, "what it writes, and sees", "s")
    d.box(376, 160, 420, 56, "one decoder: every layer attends over all of it", small="patches of one picture see each other, all else looks back")
    d.arrow((500, 114), (500, 160))
    d.box(376, 252, 200, 44, "the likeliest next token")
    d.arrow((476, 216), (476, 252))
    d.box(376, 330, 120, 44, "a word", "think")
    d.box(516, 330, 130, 44, "a look: <look>\nand a box", "think")
    d.box(666, 330, 130, 44, "end: the answer", "text")
    for x in (436, 581, 731):
        d.arrow((476, 296), (476, 314), (x, 314), (x, 330))
    d.text(436, 392, "appended (A)", "m s")
    d.text(590, 392, "appended (B), then", "s")
    d.box(160, 330, 180, 44, "the original picture,\nthis rectangle of it", "image")
    d.arrow((581, 374), (581, 410), (250, 410), (250, 374))
    d.arrow((250, 330), (250, 236), (350, 236), (350, 138), (722, 138), (722, 114))
    d.text(262, 264, "cut at full\ndetail, then\nappended", "s")
    return d


def mask():
    d = Drawing(820, 330, "Who sees whom: patches of one picture see each other and what stands before them, everything else sees what stands before it")
    kinds = "iiiittkkvvvvk"
    names = {"i": "patch", "t": "question", "k": "thought", "v": "view"}
    side, x0, y0 = 20, 150, 50
    d.cells(x0, 22, kinds, side)
    for row, kind in enumerate(kinds):
        d.cells(x0 - 26, y0 + side * row, kind, side)
        d.parts.append(f'<text class="s" text-anchor="end" x="{x0 - 34}" y="{y0 + side * row + 14}">{names[kind]}</text>')
        for col, other in enumerate(kinds):
            sees = col <= row or (kind == other and kind in "iv")
            fill = {"i": "image", "v": "image", "t": "text", "k": "think"}[other] if sees else "off"
            d.parts.append(f'<rect class="{fill}" stroke-width="{1 if sees else 0}" x="{x0 + side * col}" y="{y0 + side * row}" width="{side - 3}" height="{side - 3}" rx="2"/>')
    for i, line in enumerate(("A row is a position, a column is what it may look at.", "", "Patches of one picture look at each other in both", "directions: a picture is seen at once.",
                              "Everything else looks back only, so that the next", "token can be predicted.", "", "A view is one more picture in the same sequence:", "it sees the question and the thought before it,", "and all that is written later sees it.")):
        d.text(450, 80 + 19 * i, line, "")
    return d


def modes():
    d = Drawing(820, 330, "Three modes: instant, thinking, contemplating")
    for y, name, what in ((30, "instant", "answers at once"), (100, "thinking", "thinks first, looks where\nit needs to, up to a budget"), (190, "contemplating", "several agents think, here over\none computed prompt, and vote")):
        d.text(10, y + 16, name, "b")
        d.text(10, y + 34, what, "s")
    x = d.cells(230, 30, "iiiitt")
    d.cells(x + 8, 30, "t")
    x = d.cells(230, 100, "iiiitt")
    x = d.cells(x + 8, 100, "kkkvvvkk")
    d.cells(x + 8, 100, "t")
    x = d.cells(230, 222, "iiiitt")
    d.text(296, 264, "computed once, shared", "m s")
    for i, chain in enumerate(("kkkvvvk", "kkkkk", "kkvvvkk", "kkkkkk")):
        y = 170 + 36 * i
        d.arrow((x, 233), (x + 14, 233), (x + 28, y + 11))
        end = d.cells(x + 32, y, chain)
        end = d.cells(end + 6, y, "t", 22, ("ABAA"[i],))
        d.arrow((end, y + 11), (616, y + 11), (636, 233))
    d.box(636, 205, 174, 56, "vote: A", "text", small="3 of 4 agree: confidence")
    d.text(230, 20, "given", "s")
    d.text(370, 20, "written", "s")
    return d


def pages():
    d = Drawing(820, 270, "A fork shares pages of keys and values, and copies one only when it writes to it")
    d.text(10, 30, "A session: keys and values of what is computed, in pages of 32 positions", "b")
    for i, (words, kind) in enumerate((("picture", "image"), ("picture", "image"), ("question", "text"))):
        d.box(190 + 130 * i, 60, 120, 40, words, kind)
    d.text(10, 85, "the prompt", "")
    rows = ((140, "agent 1 writes", "thought 1"), (200, "agent 2 writes", "thought 2"))
    for y, name, thought in rows:
        d.text(10, y + 25, name, "")
        for i in range(2):
            d.box(190 + 130 * i, y, 120, 40, "shared", "frame")
        d.box(450, y, 120, 40, "question", "text", small=thought + " begins")
        d.box(580, y, 120, 40, thought, "think")
    for x in (250, 380):
        d.arrow((x, 100), (x, 140))
    d.arrow((510, 100), (510, 140))
    d.text(582, 85, "full pages are shared by all;", "s")
    d.text(582, 102, "the last, half full one is copied", "s")
    d.text(582, 119, "by whoever writes to it", "s")
    return d


def training():
    d = Drawing(820, 330, "Training: data, one packed sample, the same decoder forward and backward, the optimiser; later its own tries as data")
    d.box(10, 30, 150, 50, "your JSONL,", small="pictures and sounds")
    d.box(10, 100, 150, 50, "worlds", small="drawn from a seed")
    d.text(370, 24, "a sample: one picture, several questions that do not see each other", "m s")
    x = d.cells(220, 78, "iiiii", 20)
    for i, row in enumerate(("ttkkt", "tttt", "ttkkkt")):
        y = 42 + 36 * i
        d.arrow((x, 89), (x + 22, y + 11))
        d.cells(x + 26, y, row, 20)
    d.arrow((160, 55), (212, 82))
    d.arrow((160, 125), (212, 98))
    d.text(330, 170, "learned: thoughts, answers", "m s")
    d.box(560, 40, 110, 40, "decoder", small="forward")
    d.box(560, 100, 110, 40, "decoder", small="backward")
    d.box(706, 62, 104, 56, "loss", small="of each token")
    d.arrow((478, 89), (520, 89), (540, 60), (560, 60))
    d.arrow((670, 60), (690, 60), (706, 78))
    d.arrow((706, 102), (690, 120), (670, 120))
    d.box(560, 190, 250, 50, "Muon and AdamW: new weights", small="a checkpoint is a model folder")
    d.arrow((615, 140), (615, 190))
    d.box(220, 220, 250, 50, "agents answer by themselves", "think", small="several tries at each question")
    d.box(10, 220, 150, 50, "reward", "think", small="right? short?")
    d.arrow((560, 225), (520, 225), (470, 240))
    d.arrow((220, 245), (160, 245))
    d.arrow((85, 270), (85, 312), (500, 312), (500, 116), (478, 100))
    d.text(294, 302, "trial and reward: its own tries, weighted by how good they were", "m s")
    return d


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent / "images"
    for make in (flow, mask, modes, pages, training):
        make().save(out / f"how-{make.__name__}.svg")


if __name__ == "__main__":
    main()
