# SPDX-License-Identifier: Apache-2.0
"""Traces: written, read back, shown; coordinates."""
import io
import itertools
import json
import re

import numpy as np
import pytest

import muse


@pytest.fixture
def trace(cat):
    trace = muse.Trace("Where is the eye?", model="none", mode="thinking")
    trace.add_image(cat, "cat.jpg")
    look = trace.add("look", "the head", [(1, (10, 20, 100, 90))], n_tokens=5, confidence=0.5, end=0.25)
    heat = muse.Heat(np.arange(6).reshape(2, 3), (0, 0, *cat.size))
    trace.add("claim", "an <b>eye</b>", [muse.Mark(1, muse.Rect(30, 30, 40, 40), object=2)], parent=look, heats=[heat])
    trace.summary = muse.Summary("in the head", 0.75, prompt_tokens=9, seconds=1.5)
    return trace


def test_labels_keep_apart():
    """Eight agents on a crowded picture: each step is in one label of the page, and no two of them meet, in wide and narrow windows."""
    things, rng = [(20, 20), (60, 22), (100, 30), (30, 60), (75, 62), (110, 64), (8, 100), (50, 98), (92, 104), (118, 118)], np.random.default_rng(3)
    crowd = muse.Trace("How many?")
    crowd.add_image(muse.Image(np.zeros((128, 128, 3), np.uint8)))
    for x, y in things:
        for agent in range(1, 9):
            crowd.add("claim", "a thing", [(1, (*(x, y) + rng.uniform(-1, 1, 2),) * 2)], agent=agent)
    for agent in range(1, 9):
        crowd.add("look", "all", [(1, (1, 1, 127, 127))], agent=agent)
        crowd.add("box", "all", [(1, (3, 3, 125, 125))], agent=agent)
    labels = re.findall(r'text-anchor="(\w+)" x="([^"]+)" y="([^"]+)" font-size="([^"]+)">([^<]+)</text>', crowd.html().split('<g class="all">')[1].split("</g>")[0])
    steps = [n for *_, text in labels for run in text.split(" +")[0].replace("&#8211;", "-").split(",") for n in range(int(run.split("-")[0]), int(run.split("-")[-1]) + 1)]
    more = sum(int(text.split(" +")[1]) for *_, text in labels if "+" in text)
    assert len(labels) == len(things) + 2 and len(steps) == len(set(steps)) and set(steps) >= set(range(1, 81)) and len(steps) + more == 96
    for grows in (1, 1.8):
        boxes = []
        for anchor, x, y, size, text in labels:
            em, letters = float(size) * grows, len(text.replace("&#8211;", "-"))
            left = float(x) - {"start": 0, "middle": 0.5, "end": 1}[anchor] * 0.66 * letters * em
            boxes.append((left, float(y) - 0.75 * em, left + 0.66 * letters * em, float(y)))
        for a, b in itertools.combinations(boxes, 2):
            assert min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1]), (grows, a, b)
        assert all(0 <= a[0] and 0 <= a[1] and a[2] <= 128 and a[3] <= 128 for a in boxes)


def test_reading_back(trace, cat):
    look, claim = trace.steps
    assert (look.kind, look.text, look.marks, look.confidence, look.end, look.done) == ("look", "the head", (muse.Mark(1, (10, 20, 100, 90)),), 0.5, 0.25, True)
    assert claim.parent == 1 and claim.confidence is None and claim.marks[0].object == 2
    np.testing.assert_array_equal(claim.heats[0].values, np.arange(6).reshape(2, 3))
    assert trace.question == "Where is the eye?" and trace.images == [("cat.jpg", (0, 0, *cat.size))] and len(trace) == 2
    assert trace.summary == muse.Summary("in the head", 0.75, prompt_tokens=9, seconds=1.5)
    data = trace.to_dict()
    assert data["answer"] == "in the head" and data["trace"][0]["box"] == [10, 20, 100, 90]
    other = muse.Trace.from_json(trace.json())
    assert other.json() == trace.json() == trace.copy().json()
    other.set_image(1, cat)
    assert other.draw(list=False).shape == trace.draw(list=False).shape
    for bad, error in (("{", muse.FormatError), (json.dumps({**data, "version": 99}), muse.UnsupportedError)):
        with pytest.raises(error):
            muse.Trace.from_json(bad)


def test_names(trace):
    page = trace.html()
    assert (trace.question, trace.model, trace.mode) == ("Where is the eye?", "none", "thinking") and "Where is the eye?</h1>" in page
    trace.question, trace.model, trace.mode = "Where is <it>?", "muse-nano", "by hand"
    assert (trace.question, trace.model, trace.mode) == ("Where is <it>?", "muse-nano", "by hand")
    page = trace.html()
    assert "<title>Where is &lt;it&gt;?</title>" in page and "Where is &lt;it&gt;?</h1>" in page and "&middot; muse-nano &middot; by hand" in page
    assert {name: trace.to_dict()[name] for name in ("question", "model", "mode")} == {"question": "Where is <it>?", "model": "muse-nano", "mode": "by hand"}
    trace.model = ""
    assert trace.mode == "by hand" and "muse-nano" not in trace.html() and trace.copy().mode == "by hand"


def test_faces(trace, tmp_path):
    page = trace.html()
    assert page.startswith("<!doctype html>") or page.lower().startswith("<!doctype html")
    assert "<b>eye</b>" not in page and "an &lt;b&gt;eye" in page
    frame = trace._repr_html_()
    assert frame.startswith("<iframe srcdoc=") and "<script" not in frame and "<body" not in frame
    trace.save_html(tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text("utf-8") == page
    trace.save_png(tmp_path / "a.png", heat=True)
    Pillow = pytest.importorskip("PIL.Image")
    assert Pillow.open(io.BytesIO((tmp_path / "a.png").read_bytes())).size[::-1] == trace.draw(heat=True).shape[:2]
    trace.close()
    assert trace._repr_html_() is None
    with pytest.raises(ValueError, match="closed"):
        trace.json()


def test_growing(cat):
    heard = []
    trace = muse.Trace(listener=lambda *event: heard.append(event))
    trace.add_image(cat)
    number = trace.add("thought", "so", open=True)
    trace.add_text(number, " on")
    trace.add_mark(number, (1, (1, 1, 2, 2)))
    assert not trace.steps[0].done
    trace.end(number, end=1, confidence=0.5)
    assert trace.steps[0].text == "so on" and trace.steps[0].done
    with pytest.raises(muse.StateError):
        trace.add_text(number, "late")
    assert [(e, t) for e, _, t in heard] == [("begun", "so"), ("text", " on"), ("done", "")]

    def fail(*event):
        raise KeyError("listener")
    with pytest.raises(KeyError, match="listener"):
        muse.Trace(listener=fail).add("thought", "x")


def test_refused(trace):
    for bad, error in (({"kind": "guess"}, ValueError), ({"kind": "look", "marks": [(2, (0, 0, 1, 1))]}, muse.ArgumentError),
                       ({"kind": "look", "marks": [(1, (0, 0, 9999, 1))]}, muse.ArgumentError), ({"kind": "look", "marks": [(1, (0, 0))]}, ValueError),
                       ({"kind": "look", "confidence": 2}, muse.ArgumentError), ({"kind": "look", "parent": 9}, muse.ArgumentError)):
        with pytest.raises(error):
            trace.add(**bad)
    assert len(trace) == 2
    for values in (np.zeros(3), np.zeros((0, 2))):
        with pytest.raises(ValueError):
            muse.Heat(values, (0, 0, 1, 1))


def test_coordinates():
    places = muse.Coords.places((0, 0, 640, 320))
    assert places.to_rect([16, 32, 17, 33]) == (160, 160, 180, 170)
    assert places.from_rect((160, 160, 180, 170)) == [16, 32, 17, 33]
    assert places.to_rect([0, 0]) == (5, 2.5, 5, 2.5)
    gemma = muse.Coords.thousand((0, 0, 640, 320), y_first=True)
    assert gemma.to_rect([500, 250, 1000, 500]) == (160, 160, 320, 320) and gemma.from_rect((160, 160, 320, 320)) == [500, 250, 1000, 500]
    for numbers in ([1], [1, 2, 3], [64, 0], [2, 0, 1, 1]):
        with pytest.raises(muse.ArgumentError):
            places.to_rect(numbers)


def test_heats_made_as_they_are_added(cat):
    """nobody but add() holds them"""
    trace = muse.Trace()
    trace.add_image(cat)
    trace.add("claim", heats=(muse.Heat(np.full((2, 3), k, float), (0, 0, *cat.size)) for k in range(4)))
    assert [heat.values.tolist() for heat in trace.steps[0].heats] == [np.full((2, 3), k).tolist() for k in range(4)]


def test_heat_overlay(cat):
    heat = muse.Heat(np.array([[0, 1]]), (0, 0, *cat.size))
    assert repr(heat) == "<muse.Heat 2 x 1 cells over picture 1, largest 1 at (338, 150)>"
    with pytest.raises(ValueError):
        heat.overlay()
    assert heat._repr_png_() is None
    pixels, plain = heat.overlay(cat).astype(int), cat.rgb().astype(int)
    assert abs(pixels - plain)[:, -50:].mean() > abs(pixels - plain)[:, :50].mean()
