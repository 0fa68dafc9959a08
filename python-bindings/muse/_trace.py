# SPDX-License-Identifier: Apache-2.0
"""Traces: the typed record of a reasoning run, shown as JSON, as an annotated picture, or as a page; and coordinates."""
from __future__ import annotations

import ctypes
import html as _html
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from . import _native as n
from ._lib import Array, Handle, Serial, call, callback, chars, check, drawing, lib, params, png, returned_text, string, utf8
from ._media import Heat, Image, Rect, c_rect, rect_of
from ._runtime import Runtime, runtime_of

KINDS = [string(lib.muse_step_name(kind)) for kind in range(n.MUSE_STEP_KINDS)]
EVENTS = {n.MUSE_TRACE_BEGUN: "begun", n.MUSE_TRACE_TEXT: "text", n.MUSE_TRACE_DONE: "done", n.MUSE_TRACE_END: "end"}


class Mark(NamedTuple):
    """A place in a picture; a point is a rectangle without width and height."""
    image: int   #: number of the picture, from 1
    rect: Rect   #: pixels of the original
    object: int = 0  #: equal numbers, the same thing; 0 = not said


@dataclass(frozen=True)
class TraceStep:
    number: int      #: from 1
    kind: str        #: "thought", "look", "box", "point", "claim", "compare", "track", "verify", "tool_call", "tool_result", "answer", "end"
    text: str
    marks: tuple[Mark, ...]
    heats: tuple[Heat, ...]
    agent: int       #: whose; 0 = the run's own
    parent: int      #: an earlier step that this one belongs to; 0 = none
    first_token: int #: its positions in the sequence
    n_tokens: int    #: 0 = not known
    confidence: float | None
    start: float     #: seconds from the beginning of the run
    end: float
    done: bool


@dataclass(frozen=True)
class Summary:
    """How a run ended. Tokens are positions of each phase, all agents; look: pictures shown while thinking."""
    answer: str = ""
    confidence: float | None = None
    prompt_tokens: int = 0
    thought_tokens: int = 0
    look_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0


class Trace(Handle):
    """The record of one run. In a notebook it shows itself as a page that steps through the chain beside the pictures.

    question, model, mode: what the page says of the run; "": ask() and Agent, which it may be given to, say it.
    Pictures, steps, objects and agents are numbered from 1; 0 means none. Coordinates are pixels of the original pictures.
    listener(event, number, text): called as the trace grows, with event "begun", "text", "done" or "end". One thread at a time."""

    def __init__(self, question: str = "", *, model: str = "", mode: str = "", listener: Callable[[str, int, str], object] | None = None,
                 runtime: Runtime | None = None) -> None:
        self._begin(listener, runtime, lib.muse_trace_open, question=chars(question), model=chars(model), mode=chars(mode))

    def _begin(self, listener: Any, runtime: Runtime | None, function: Any, *arguments: Any, **values: Any) -> None:
        self._serial, rt = Serial("Trace"), runtime_of(runtime)._own
        hear = callback(n.MuseTraceFn, lambda user, trace, event, number, text, size: listener(EVENTS[event], number, string(text, size)) and None, None) if listener else None
        settings = params(n.MuseTraceParams, lib.muse_trace_params_init, fn=hear, **values)
        self._open(n.MuseTrace, lib.muse_trace_close, function, rt, *arguments, ctypes.byref(settings), keep=(rt, hear))

    @classmethod
    def from_json(cls, text: str | bytes, *, listener: Callable[[str, int, str], object] | None = None, runtime: Runtime | None = None) -> Trace:
        """What json() wrote, without the pictures' pixels: set_image() gives them."""
        out, data = cls.__new__(cls), utf8(text)
        out._begin(listener, runtime, lib.muse_trace_from_json, data, len(data))
        return out

    def copy(self) -> Trace:
        """A second trace with the same contents, without the listener."""
        out, own = Trace.__new__(Trace), self._own
        out._serial = Serial("Trace")
        with self._serial:
            out._open(n.MuseTrace, lib.muse_trace_close, lib.muse_trace_copy, own, keep=own.keep)
        return out

    def _call(self, function: Any, *arguments: Any) -> int:
        own = self._own
        with self._serial:
            return call(function, own, *arguments)

    # ---- writing ----

    def add_image(self, image: Image, name: str = "") -> int:
        """One more picture; returns its number."""
        number = ctypes.c_uint32()
        self._call(lib.muse_trace_add_image, image._own, utf8(name), ctypes.byref(number))
        return number.value

    def set_image(self, number: int, image: Image) -> None:
        """Give pixels to a picture of a trace that came from JSON."""
        self._call(lib.muse_trace_set_image, number, image._own)

    def add(self, kind: str, text: str = "", marks: Iterable[Any] = (), *, heats: Iterable[Heat] = (), agent: int = 0, parent: int = 0, first_token: int = 0,
            n_tokens: int = 0, confidence: float | None = None, start: float = 0, end: float | None = None, open: bool = False) -> int:
        """A step; returns its number. marks: Mark, or (image, rect). open: it may still grow, until end()."""
        if kind not in KINDS:
            raise ValueError(f"a step is one of {', '.join(KINDS)}, not {kind!r}")
        heats = list(heats)   # they hold what c_heat() points to
        data, places, maps = utf8(text), [c_mark(mark) for mark in marks], [heat.c_heat() for heat in heats]
        step = params(n.MuseTraceStep, lib.muse_trace_step_init, kind=KINDS.index(kind), agent=agent, parent=parent, text=chars(data), n_text=len(data),
                      marks=(n.MuseTraceMark * len(places))(*places), n_marks=len(places), heats=(n.MuseTraceHeat * len(maps))(*maps), n_heats=len(maps),
                      first_token=first_token, n_tokens=n_tokens, confidence=confidence, start=start, end=start if end is None else end)
        number = ctypes.c_uint32()
        self._call(lib.muse_trace_begin if open else lib.muse_trace_add, ctypes.byref(step), ctypes.byref(number))
        return number.value

    def add_text(self, number: int, text: str) -> None:
        data = utf8(text)
        self._call(lib.muse_trace_text, number, data, len(data))

    def add_mark(self, number: int, mark: Any) -> None:
        self._call(lib.muse_trace_mark, number, ctypes.byref(c_mark(mark)))

    def add_heat(self, number: int, heat: Heat) -> None:
        """Also after the step was completed."""
        c_heat = heat.c_heat()
        self._call(lib.muse_trace_heat, number, ctypes.byref(c_heat))

    def end(self, number: int, *, n_tokens: int = 0, end: float = 0, confidence: float | None = None) -> None:
        """Complete a step."""
        self._call(lib.muse_trace_end, number, n_tokens, end, -1 if confidence is None else confidence)

    @property
    def summary(self) -> Summary:
        own, s = self._own, n.MuseTraceSummary()
        with self._serial:
            lib.muse_trace_summary(own, ctypes.byref(s))
            return Summary(string(s.answer, s.n_answer), known(s.confidence), s.prompt_tokens, s.thought_tokens, s.look_tokens, s.answer_tokens, s.seconds)

    @summary.setter
    def summary(self, value: Summary) -> None:
        data = utf8(value.answer)
        settings = params(n.MuseTraceSummary, lib.muse_trace_summary_init, answer=chars(data), n_answer=len(data), confidence=value.confidence,
                          prompt_tokens=value.prompt_tokens, thought_tokens=value.thought_tokens, look_tokens=value.look_tokens,
                          answer_tokens=value.answer_tokens, seconds=value.seconds)
        self._call(lib.muse_trace_set_summary, ctypes.byref(settings))

    # ---- reading ----

    @property
    def question(self) -> str:
        """The heading of its page. It, model and mode may be set at any time; ask() and Agent give those that are ""."""
        return string(lib.muse_trace_question(self._own))

    @question.setter
    def question(self, value: str) -> None:
        self._call(lib.muse_trace_set_names, utf8(value), None, None)

    @property
    def model(self) -> str:
        """Its name, shown behind the answer."""
        return string(lib.muse_trace_model(self._own))

    @model.setter
    def model(self, value: str) -> None:
        self._call(lib.muse_trace_set_names, None, utf8(value), None)

    @property
    def mode(self) -> str:
        return string(lib.muse_trace_mode(self._own))

    @mode.setter
    def mode(self, value: str) -> None:
        self._call(lib.muse_trace_set_names, None, None, utf8(value))

    def _name(self, question: str | None, model: str, mode: str = "") -> None:
        """What its owner left open."""
        self._call(lib.muse_trace_set_names, utf8(self.question or question or ""), utf8(self.model or model), utf8(self.mode or mode))

    def __len__(self) -> int:
        """Steps so far."""
        return int(lib.muse_trace_step_count(self._own))

    def __bool__(self) -> bool:
        return True

    @property
    def steps(self) -> list[TraceStep]:
        own, s, out = self._own, n.MuseTraceStep(), []
        with self._serial:
            for number in range(1, lib.muse_trace_step_count(own) + 1):
                check(lib.muse_trace_step(own, number, ctypes.byref(s)), "trace")
                marks = tuple(Mark(m.image, rect_of(m.rect), m.object) for m in s.marks[:s.n_marks]) if s.n_marks else ()
                heats = tuple(Heat(np.array(np.ctypeslib.as_array(h.values, (h.height, h.width))), rect_of(h.rect), h.image) for h in s.heats[:s.n_heats]) if s.n_heats else ()
                out.append(TraceStep(number, KINDS[s.kind], string(s.text, s.n_text), marks, heats, s.agent, s.parent, s.first_token, s.n_tokens,
                                     known(s.confidence), s.start, s.end, bool(s.done)))
        return out

    @property
    def images(self) -> list[tuple[str, Rect]]:
        """Names of the pictures, and what marks lie inside of."""
        own, image, out = self._own, n.MuseTraceImage(), []
        with self._serial:
            for number in range(1, lib.muse_trace_image_count(own) + 1):
                check(lib.muse_trace_image(own, number, ctypes.byref(image)), "trace")
                out.append((string(image.name), rect_of(image.rect)))
        return out

    # ---- faces ----

    def json(self) -> str:
        """One JSON object (docs/trace.md)."""
        own = self._own
        with self._serial:
            return returned_text(lib.muse_trace_json, own).decode()

    def to_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = json.loads(self.json())
        return out

    def draw(self, *, max_width: int = 0, step: int = 0, agent: int = 0, list: bool = True, heat: bool = False) -> Array:
        """The pictures with boxes, points and labels, and the steps in words: RGB pixels. step, agent: only these; heat: with heat maps."""
        own, settings = self._own, params(n.MuseTraceDrawParams, lib.muse_trace_draw_params_init, max_width=max_width, step=step, agent=agent, no_list=not list, heat=heat)
        with self._serial:
            return drawing(lib.muse_trace_draw, own, ctypes.byref(settings))

    def html(self, max_side: int = 0) -> str:
        """One page with everything in it: no network, no other files."""
        own, settings = self._own, params(n.MuseTraceHtmlParams, lib.muse_trace_html_params_init, max_side=max_side)
        with self._serial:
            return returned_text(lib.muse_trace_html, own, ctypes.byref(settings)).decode()

    def save_html(self, path: str | os.PathLike[str]) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.html())

    def save_png(self, path: str | os.PathLike[str], **settings: Any) -> None:
        """draw() into a file."""
        data = png(self.draw(**settings))
        with open(path, "wb") as file:
            file.write(data)

    def _repr_html_(self) -> str | None:
        """The page in a frame of its own, so that its style and script stay inside."""
        if self.closed:
            return None
        return f'<iframe srcdoc="{_html.escape(self.html(), quote=True)}" sandbox="allow-scripts" style="width:100%;height:42em;border:0"></iframe>'

    def __repr__(self) -> str:
        return "<muse.Trace, closed>" if self.closed else f"<muse.Trace of {len(self)} steps>"


def known(confidence: float) -> float | None:
    return None if confidence < 0 else confidence


def c_mark(mark: Any) -> n.MuseTraceMark:
    image, rect, *more = mark
    return n.MuseTraceMark(image, more[0] if more else 0, c_rect(rect))


class Coords:
    """How somebody writes places in a picture: conversions to and from pixels of the original. Nothing is clipped. Sequence.coords() gives that of a
    picture's patches."""

    def __init__(self, c_coords: Any) -> None:
        self._c = c_coords

    @classmethod
    def places(cls, frame: Any) -> Coords:
        """Place tokens: 64 cells a side, x first. frame: what the numbers span, (x0, y0, x1, y1) in pixels; so below."""
        return cls(lib.muse_coords_places(c_rect(frame)))

    @classmethod
    def thousand(cls, frame: Any, *, y_first: bool = False) -> Coords:
        """0..1000 from edge to edge. y_first: [y0, x0, y1, x1], as Gemma writes."""
        return cls(lib.muse_coords_thousand(c_rect(frame), y_first))

    def to_rect(self, numbers: Iterable[float]) -> Rect:
        """From 2 numbers (a point) or 4 (a box)."""
        values = list(numbers)
        out = n.MuseRect()
        call(lib.muse_coords_to_rect, ctypes.byref(self._c), (ctypes.c_double * len(values))(*values), len(values), ctypes.byref(out))
        return rect_of(out)

    def from_rect(self, rect: Any, count: int = 4) -> list[float]:
        """4 numbers of a box, or 2 of its middle."""
        out = (ctypes.c_double * max(count, 1))()
        call(lib.muse_coords_from_rect, ctypes.byref(self._c), c_rect(rect), out, count)
        return list(out)
