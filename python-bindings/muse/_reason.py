# SPDX-License-Identifier: Apache-2.0
"""Answers to questions about pictures and sounds: chains of thought that look again, in three modes; tools; the stages by themselves."""
from __future__ import annotations

import contextlib
import ctypes
import functools
import inspect
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence as List
from dataclasses import dataclass, field, replace
from typing import Any

from . import _native as n
from ._errors import ArgumentError, MuseError
from ._lib import POLL, RETURNED, Handle, Owner, Serial, call, callback, chars, check, copied, lend, lent_key, lib, params, string, utf8
from ._media import Audio, Image, Rect, c_rect, rect_of
from ._model import Model
from ._runtime import choice
from ._sample import SampleParams
from ._sequence import budget_of
from ._session import session_params
from ._text import Ids
from ._trace import Trace

MODES = {"instant": n.MUSE_MODE_INSTANT, "thinking": n.MUSE_MODE_THINKING, "contemplating": n.MUSE_MODE_CONTEMPLATING, "auto": n.MUSE_MODE_AUTO}
KINDS = {n.MUSE_REASON_POINT: "point", n.MUSE_REASON_BOX: "box", n.MUSE_REASON_LOOK: "look", n.MUSE_REASON_COMPARE: "compare", n.MUSE_REASON_VERIFY: "verify",
         n.MUSE_REASON_IMAGE: "image", n.MUSE_REASON_CALL: "call", n.MUSE_REASON_CLOSED: "closed", n.MUSE_REASON_BAD: "bad",
         n.MUSE_REASON_DOUBT: "doubt"}
FINISHES = {n.MUSE_AGENT_RUNNING: "running", n.MUSE_AGENT_ANSWERED: "answered", n.MUSE_AGENT_LENGTH: "length", n.MUSE_AGENT_FULL: "full", n.MUSE_AGENT_CALLS: "calls",
            n.MUSE_AGENT_STOPPED: "stopped"}
EVENTS = {n.MUSE_EVENT_TOKEN: "token", n.MUSE_EVENT_STEP: "step", n.MUSE_EVENT_DONE: "done", n.MUSE_EVENT_STAGE: "stage"}
STAGES = {0: "", n.MUSE_STAGE_PREFILL: "prefill", n.MUSE_STAGE_THINK: "think", n.MUSE_STAGE_VERIFY: "verify", n.MUSE_STAGE_SCORE: "score",
          n.MUSE_STAGE_SYNTHESIS: "synthesis"}


@dataclass(frozen=True)
class Step:
    """What happened in a chain."""
    kind: str            #: "point", "box", "look", "compare", "verify", "image", "call", "closed" (a budget was spent), "bad" (written without meaning), "doubt" (an answer was taken back)
    text: str            #: what was written since the step before
    image: int           #: number of the picture among those given, from 1; 0: none
    rect: Rect | None    #: what was named, pixels of the original
    view: Rect | None    #: "look": what was shown
    shown: int           #: "look": number that the cut has in the sequence
    group: int | None    #: index of the "compare" or "verify" step that it belongs to
    refused: str         #: why nothing was shown; "" otherwise
    forced: bool         #: the caller asked for it
    token: int           #: tokens written by then
    position: int        #: positions of the sequence by then


@dataclass(frozen=True)
class AgentInfo:
    """One chain."""
    number: int
    finish: str          #: "answered", "length", "full", "calls", "stopped" (the others agreed), "running"
    thought: str
    answer: str
    confidence: float    #: geometric mean of the probabilities of the answer's tokens
    steps: tuple[Step, ...]
    prompt_tokens: int
    thought_tokens: int  #: written by the model in thoughts
    answer_tokens: int   #: written by the model outside of them
    forced_tokens: int   #: written for it
    view_positions: int  #: of looks
    looks: int
    refused: int
    bad: int
    calls: int
    seed: int
    temperature: float
    doubted: bool        #: it answered at once, took that back (`doubt`) and thought; the next three are of what it took back
    direct: str          #: as far as it was written
    direct_probability: float  #: the product of its tokens' probabilities
    direct_tokens: int   #: of answer_tokens
    ids: Ids             #: what it wrote, forced ones included


@dataclass(frozen=True)
class Event:
    """What the event function is told."""
    kind: str      #: "token", "step", "done" (an agent ended), "stage"
    stage: str     #: "prefill", "think", "verify", "score", "synthesis"; "" outside ask()
    agent: int
    id: int        #: "token"
    step: Step | None
    tokens: int    #: of all agents of this run, so far
    done: int      #: agents that have ended
    agents: int


@dataclass(frozen=True)
class Candidate:
    """One answer in a vote."""
    answer: str
    count: int     #: agents that gave it
    weight: float  #: their share of all weights
    cross: float   #: mean probability under the other agents; 0 if nobody was asked
    score: float


@dataclass(frozen=True)
class Answer:
    """What ask() returns. str() is the answer; a notebook shows the trace."""
    text: str | None     #: None: no agent came to an answer
    confidence: float    #: contemplating: calibrated agreement, or the share of the agents that gave the answer (see calibrated); else the agent's own
    agreement: float     #: share of equal answers
    agents: tuple[AgentInfo, ...]   #: the forks, then checks, then the one that merged
    n_forks: int
    candidates: tuple[Candidate, ...]  #: the winner first
    prompt_tokens: int
    thought_tokens: int  #: of all agents
    answer_tokens: int
    seconds: float
    stopped_early: bool
    n_unbegun: int       #: agents that were not begun, because those that had settled it
    calibrated: bool     #: contemplating: the confidence is how often such agreement was right; False: nothing was measured with such agents
    trace: Trace
    agent: Agent | None = field(default=None, repr=False, compare=False)  #: with keep or after: the one whose answer it is; its ask() goes on. None: nobody answered

    @property
    def steps(self) -> tuple[Step, ...]:
        """Of the first agent; the others' are in agents."""
        return self.agents[0].steps if self.agents else ()

    def __str__(self) -> str:
        return self.text or ""

    def _repr_html_(self) -> str | None:
        return self.trace._repr_html_()


class ToolError(Exception):
    """Raised by a tool's function: the model reads the text as the result. Any other exception stops the run and leaves from it."""


class Tools(Handle):
    """Python functions that a model may call, each in a thread of its own. The function gets the arguments as keywords, and returns str, an
    Image, a list of those, or anything that JSON can say. Arguments that it does not take are told to the model."""

    def __init__(self) -> None:
        self._functions: dict[int, Any] = {}
        self._open(n.MuseTools, functools.partial(_close_tools, self._functions), lib.muse_tools_open, None)
        self.errors: list[BaseException] = []

    def add(self, function: Callable[..., Any], *, name: str | None = None, description: str | None = None, parameters: Mapping[str, Any] | None = None,
            timeout: float = 0) -> Tools:
        """Offer a function. description: None = its docstring. parameters: a JSON schema, an object. timeout: seconds, 0 = 30."""
        errors = self.errors
        try:
            signature = inspect.signature(function)
        except ValueError:   # of one written in C, which has none
            signature = None

        def run(user: Any, arguments: Any, size: int, reply: Any, error: Any) -> int:
            try:
                given = json.loads(string(arguments, size))
                _check_arguments(signature, given)
                _give(reply, function(**given))
                return 0
            except ToolError as why:
                error.contents.code, error.contents.text = n.MUSE_ERR_STATE, str(why).encode()[:n.MUSE_ERROR_TEXT - 1]
            except BaseException as why:   # leaves from the call that runs the agents
                errors.append(why)
                error.contents.code, error.contents.text = n.MUSE_ERR_CANCELLED, b"the program ended the run"
            return int(error.contents.code)

        schema = chars(json.dumps(parameters)) if parameters is not None else None
        own, key, c_function = self._own, lent_key(), n.MuseToolFn(run)
        spec = params(n.MuseToolSpec, lib.muse_tool_spec_init, name=chars(name or function.__name__),
                      description=chars(function.__doc__ or "" if description is None else description), parameters=schema, fn=c_function, timeout=timeout,
                      user=key, release=RETURNED)
        self._functions[key] = c_function
        try:
            call(lib.muse_tools_add, own, ctypes.byref(spec))
        except MuseError:   # refused; after an interrupt C may have it
            del self._functions[key]
            raise
        return self

    def close(self) -> None:
        """Release it. Its functions are let go when nothing uses them any more: no agent, and no call that hangs."""
        super().close()
        self._functions = {}

    def run(self, calls: List[tuple[str, Mapping[str, Any]]]) -> list[list[str | Image]]:
        """Carry out calls at once: (name, arguments) each. Returns the parts of each result; of one that failed, its error text."""
        data = [(utf8(name), json.dumps(arguments).encode()) for name, arguments in calls]
        made = (n.MuseToolCall * len(data))(*(n.MuseToolCall(chars(name), chars(arguments), len(arguments)) for name, arguments in data))
        replies = (ctypes.POINTER(n.MuseToolReply) * len(data))()
        self.errors.clear()
        try:
            call(lib.muse_tools_run, self._own, made, len(data), replies, POLL, None)
            _raise_first(self.errors)
            return [_reply_parts(reply) for reply in replies]
        finally:
            for reply in replies:
                lib.muse_tool_reply_close(ctypes.byref(reply))


def _close_tools(functions: dict[int, Any], tools: Any, close: Any = lib.muse_tools_close, lend: Any = lend) -> None:
    """A call that hangs may return long after its tools were closed: until then C keeps their functions."""
    lend(functions)
    close(tools)


def _raise_first(errors: list[BaseException]) -> None:
    """what a tool raised; the others of the same run go with it"""
    if errors:
        first = errors[0]
        errors.clear()
        raise first


def _check_arguments(signature: inspect.Signature | None, given: Any) -> None:
    """before the function runs, so that a TypeError of its own stays one"""
    try:
        if signature:
            signature.bind(**given)
    except TypeError as why:
        raise ToolError(str(why)) from None


def _give(reply: Any, result: Any) -> None:
    for part in result if isinstance(result, list) and result and all(isinstance(p, (str, Image)) for p in result) else [result]:
        if isinstance(part, Image):
            call(lib.muse_tool_reply_image, reply, part._own)
        else:
            data = utf8(part) if isinstance(part, str) else json.dumps(part).encode()
            call(lib.muse_tool_reply_text, reply, data, len(data))


def _reply_parts(reply: Any) -> list[str | Image]:
    out: list[str | Image] = []
    part = n.MuseToolPart()
    for i in range(lib.muse_tool_reply_count(reply)):
        check(lib.muse_tool_reply_part(reply, i, ctypes.byref(part)), "tool reply")
        if part.image:
            image = Image.__new__(Image)
            image.name = ""
            image._owner = Owner(lib.muse_image_ref(part.image), lib.muse_image_close, ())
            out.append(image)
        else:
            out.append(string(part.text, part.n))
    return out


# ---- in and out ----

def parts_of(question: str | None, images: Iterable[Any], audio: Any, budget: int | str | None) -> tuple[Any, list[Image], list[Any]]:
    """The struct array: pictures, sounds, question; the pictures; what must live meanwhile."""
    if question is not None and not isinstance(question, (str, bytes)):
        raise TypeError(f"a question is str, not {type(question).__name__}: pictures are given as images=, sounds as audio=")
    one = isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike, Image)) or hasattr(images, "read") or hasattr(images, "__array_interface__")
    pictures = [Image.open(image) for image in ([images] if one else images)]
    sounds = [Audio.open(sound) for sound in ([] if audio is None else audio if isinstance(audio, (list, tuple)) else [audio])]
    out = [n.MuseReasonPart(modality=n.MUSE_IMAGE, image=picture._own.pointer, budget=budget_of(budget)) for picture in pictures]
    out += [n.MuseReasonPart(modality=n.MUSE_AUDIO, audio=sound._own.pointer) for sound in sounds]
    data = utf8(question or "")
    if data:
        out.append(n.MuseReasonPart(modality=n.MUSE_TEXT, text=chars(data), n=len(data)))
    return (n.MuseReasonPart * len(out))(*out), pictures, [sound._own for sound in sounds] + [picture._own for picture in pictures]


def _step(s: Any) -> Step:
    kind = KINDS.get(s.kind, "bad")
    named = kind in ("point", "box", "look")
    return Step(kind, string(s.text, s.n_text), s.image, rect_of(s.rect) if named else None, rect_of(s.view) if kind == "look" and not s.refused else None, s.shown,
                None if s.group == n.MUSE_REASON_NONE else s.group, string(s.reason), bool(s.forced), s.token, s.position)


def agent_info(agent: Any) -> AgentInfo:
    a, step, ids = n.MuseAgentInfo(), n.MuseReasonStep(), ctypes.POINTER(ctypes.c_int32)()
    check(lib.muse_agent_info(agent, ctypes.byref(a)), "agent")
    thought, answer, direct = string(a.thought, a.n_thought), string(a.answer, a.n_answer), string(a.direct, a.n_direct)
    steps = []
    for i in range(a.n_steps):
        check(lib.muse_agent_step(agent, i, ctypes.byref(step)), "agent")
        steps.append(_step(step))
    count = lib.muse_agent_ids(agent, ctypes.byref(ids))
    return AgentInfo(a.number, FINISHES[a.finish], thought, answer, a.confidence, tuple(steps), a.prompt_tokens, a.thought_tokens, a.answer_tokens, a.forced_tokens,
                     a.view_positions, a.looks, a.refused, a.bad, a.calls, a.seed, a.temperature, bool(a.doubted), direct, a.direct_probability, a.direct_tokens, copied(ids, ctypes.c_int32, count))


def _agent_params(settings: dict[str, Any]) -> tuple[Any, tuple[Any, ...], list[BaseException]]:
    """MuseAgentParams from keywords, which are taken out of `settings`; what must live as long as the agent; where its tools' exceptions go."""
    take = settings.pop
    trace: Trace | None = take("trace", None)
    heat = _heat_params(take("heat", False))
    event: Any = take("event", None)
    tools: Any = take("tools", None)
    if tools is not None and not isinstance(tools, Tools):
        made = Tools()
        for function in tools:
            made.add(function)
        tools = made
    errors = tools.errors if tools else []

    def poll(user: Any) -> int:
        _raise_first(errors)
        return 0

    def hear(user: Any, c_event: Any) -> int:
        e = c_event.contents
        step = _step(e.step.contents) if e.kind == n.MUSE_EVENT_STEP else None
        assert event is not None
        return 1 if event(Event(EVENTS[e.kind], STAGES.get(e.stage, ""), e.agent, e.id, step, e.tokens, e.done, e.agents)) else 0

    sample = replace(take("sample", None) or SampleParams(), **{name: take(name) for name in ("top_k", "top_p", "min_p", "grammar") if name in settings})
    session: dict[str, Any] = {"compute": None, "kv": None, "image_mask": None, "chunk": 0, "max_positions": 0, "cache": None, "progress": None, "stage": None}
    unknown = set(given := dict(take("session", None) or {})) - set(session)
    if unknown:
        raise TypeError(f"no setting of a session: {', '.join(sorted(unknown))}")
    c_sample, keep_sample = sample.c_params()
    c_session, keep_session = session_params(**{**session, **given})
    cancel = callback(n.MuseCancelFn, poll, 1)
    notify = callback(n.MuseReasonEventFn, hear, 1) if event else None
    thinking = take("thinking", None)
    out = params(n.MuseAgentParams, lib.muse_agent_params_init, format=chars(take("format", None)), system=chars(take("system", None)),
                 thinking=n.MUSE_THINKING_DEFAULT if thinking is None else n.MUSE_THINKING_ON if thinking else n.MUSE_THINKING_OFF,
                 thought_tokens=take("thought_tokens", 0), answer_tokens=take("answer_tokens", 0), close_words=chars(take("close_words", None)),
                 no_look=not take("look", True), looks=take("looks", 0), look_positions=take("look_positions", 0), look_budget=take("look_budget", 0),
                 free_places=take("free_places", False), calls=take("calls", 0), tools=tools._own.pointer if tools else None, sample=ctypes.pointer(c_sample),
                 session=ctypes.pointer(c_session), event=notify, cancel=cancel, trace=trace._own.pointer if trace else None,
                 heat=ctypes.pointer(heat) if heat else None, doubt=take("doubt", 0))
    return out, (keep_sample, keep_session, cancel, notify, heat, tools._own if tools else None, trace._own if trace else None), errors


def _heat_params(heat: Any) -> Any:
    """False: no maps; True: the mean of all layers and heads; or {"layers": [...], "heads": [...]}."""
    if not heat:
        return None
    what = {} if heat is True else dict(heat)
    layers, heads = list(what.pop("layers", ())), list(what.pop("heads", ()))
    if what:
        raise TypeError(f"heat has no {', '.join(what)}")
    return params(n.MuseWatchParams, lib.muse_watch_params_init, layers=(ctypes.c_uint32 * len(layers))(*layers), n_layers=len(layers),
                  heads=(ctypes.c_uint32 * len(heads))(*heads), n_heads=len(heads))


# ---- asking ----

def ask(model: Model, question: str | None = None, *, images: Iterable[Any] = (), audio: Any = None, mode: str = "thinking", agents: int = 0, seed: int = 0,
        temperature: float = 0, spread: float = 0, focus: Iterable[tuple[int, Any]] = (), agree: int = 0, stop_early: bool = True, cross: bool = True, verify: int = 0,
        views: int = 0, synthesis: bool = False, budget: int | str | None = None, doubt: float = 0, after: Agent | None = None, keep: bool = False, **settings: Any) -> Answer:
    """Answer a question about pictures and sounds.

    images, audio: whatever Image.open() and Audio.open() take, one or several; a question may be spoken (question=None). mode: "instant", "thinking",
    "contemplating" (several agents, default 8, that vote), "auto" (as "instant", then as "thinking" if the answer's probability falls under `doubt`, 0 = 0.95; what was taken back is
    agents[0].direct). budget: patches of a picture, as Sequence.append_image().

    Contemplating: views: ways of seeing the pictures (0 = 8 if the model has place tokens, else 1), temperature (0 = agents 0 to views - 1 are greedy, the
    others have 1; with a spread all have 1), spread of temperatures, focus: (picture number, rect) that agents begin with, agree: stop when so many have answered alike, and with
    several views begin no other before (0 = 3 with 3 views or more and without temperature and spread; 1 = only when the rest can't change the count), stop_early,
    cross: answers are scored under other agents, verify: check so many leading candidates, synthesis: one more agent merges.

    Conversations: keep: the answer's `agent` is the one that gave it, to go on with (agent.ask(), or after=agent here); it keeps its sampler, and sees the pictures as it saw them
    (views=1: as they were given). after: an Agent that has ended, of this model: the question is its next turn, in any mode, over what was said so far; the answer's `agent` goes on, while
    `after` stays behind the question, and can be asked again. Pictures are then those that are new; all that is said above holds but views and synthesis, of the settings below
    only thought_tokens, trace (it gets all pictures so far) and event (told of stages only). The others are those that `after` was opened with.

    Settings of each agent: system; thought_tokens (0 = 512) and answer_tokens (0 = 256); look=False: no looks; looks (0 = 8), look_positions, look_budget; calls;
    tools: Tools, or functions; sample: SampleParams, or top_k, top_p, min_p, grammar (of the answer); session: settings of a Session (compute, ...);
    trace: one of your own to fill (with a listener, say); heat: attention maps in the trace, True or {"layers": [...], "heads": [...]};
    event(Event): called as it goes, a true value stops with Cancelled. MuseAgentParams in reason.h says more. Ctrl-C stops between two tokens."""
    places = [n.MuseFocus(image, c_rect(rect)) for image, rect in focus]
    given = parts_of(question, images, audio, budget)
    if not len(given[0]):
        raise ArgumentError("nothing is asked: give a question, ask(\"What is this?\", images=[...]), or a spoken one as audio=")
    several = [name for name, value in (("agents", agents), ("spread", spread), ("focus", places), ("agree", agree), ("verify", verify), ("views", views), ("synthesis", synthesis)) if value]
    if mode != "contemplating" and several:
        raise ArgumentError(f"{', '.join(several)}: only with mode=\"contemplating\"")
    if after is not None:
        _check_after(after, [*(name for name in settings if name not in ("thought_tokens", "trace", "event")), *(name for name, value in (("views", views > 1), ("synthesis", synthesis)) if value)])
    return _reason(model, lib.muse_reason, (), given, question or "", mode, settings, after, keep or after is not None, agents=agents, seed=seed, temperature=temperature,
                   spread=spread, focus=(n.MuseFocus * len(places))(*places), n_focus=len(places), agree=agree, no_stop=not stop_early, no_cross=not cross, verify=verify, views=views, doubt=doubt,
                   synthesis=n.MUSE_SYNTHESIS_GENERATE if synthesis else n.MUSE_SYNTHESIS_VOTE)


def coordinate(model: Model, questions: List[str], question: str, *, images: Iterable[Any] = (), audio: Any = None, mode: str = "thinking", seed: int = 0, temperature: float = 0,
               budget: int | str | None = None, **settings: Any) -> Answer:
    """An agent for each of these sub-questions, all over the same pictures and sounds and at once, then one more that gets what each answered and answers the question.

    mode: "instant", "thinking" or "auto", of all of them. Other settings: those of each agent, as in ask(). The Answer's agents are those of the sub-questions in order, then the one that merged."""
    if isinstance(questions, str):
        raise TypeError("questions are a list: of a text each letter would be one")
    data = [utf8(text) for text in (*questions, question)]
    if any(b"\0" in text for text in data):
        raise ValueError("a question can't hold a null byte")
    middle = ((ctypes.c_char_p * (len(data) - 1))(*data[:-1]), len(data) - 1, data[-1])
    return _reason(model, lib.muse_coordinate, middle, parts_of(None, images, audio, budget), question, mode, settings, seed=seed, temperature=temperature)


def _check_after(after: Agent, others: List[str]) -> None:
    if not isinstance(after, Agent):
        raise TypeError(f"after is an Agent, such as Answer.agent, not {type(after).__name__}")
    if others:
        raise ArgumentError(f"{', '.join(others)}: not with after=, whose agents are as it was opened, over what was said so far")


def _reason(model: Model, function: Any, middle: tuple[Any, ...], given: tuple[Any, list[Image], list[Any]], question: str, mode: str, settings: dict[str, Any],
            after: Agent | None = None, take: bool = False, **how: Any) -> Answer:
    """middle: arguments between the parts and the params; given: of parts_of()"""
    parts, pictures, keep_parts = given
    trace: Trace = settings.get("trace") or Trace()
    trace._name(question, model._name, mode)
    settings["trace"] = trace
    if not trace.images and not after:   # a conversation's are known to its agent
        for picture in pictures:
            trace.add_image(picture, picture.name)
    agent_params, keep, errors = _agent_params(settings)
    if settings:
        raise TypeError(f"there is no setting {', '.join(sorted(settings))}: help(muse.ask) names them")
    own = model._own
    if after:
        how["from"], errors = after._own.pointer, after._errors
        keep = (*after._own.keep, *keep)
    run = params(n.MuseReasonParams, lib.muse_reason_params_init, mode=choice(MODES, mode, "mode"), agent=ctypes.pointer(agent_params), **how)
    out = n.MuseReasonResult()
    serial = after._serial if after else Serial("Agent")
    with serial:
        errors.clear()
        try:
            call(function, own, parts, len(parts), *middle, ctypes.byref(run), ctypes.byref(out))
            answer = _answer(out, trace)
            if not take or out.by == out.n_agents:
                return answer
            agent = Agent.__new__(Agent)
            agent._serial, agent._errors, agent._model_name = serial, errors, model._name
            agent._owner = Owner(lib.muse_reason_take(ctypes.byref(out), out.by), lib.muse_agent_close, (own, *_flat(keep)))
            return replace(answer, agent=agent)
        finally:
            lib.muse_reason_result_clear(ctypes.byref(out))
            del keep, keep_parts


def _answer(out: Any, trace: Trace) -> Answer:
    agents = tuple(agent_info(out.agents[i]) for i in range(out.n_agents))
    candidates = tuple(Candidate(agents[c.vote].answer, c.count, c.weight, c.cross, c.score) for c in (out.candidates[i] for i in range(out.n_candidates)))
    text = string(out.answer, out.n_answer) if out.answer else None
    return Answer(text, out.confidence, out.agreement, agents, out.n_forks, candidates, out.prompt_tokens, out.thought_tokens, out.answer_tokens, out.seconds,
                  bool(out.stopped_early), out.n_unbegun, bool(out.calibrated), trace)


class Agent(Handle):
    """One chain in progress: its stages by themselves. Agents that are forks of each other belong to one thread together.

    Settings are those of ask() that belong to an agent, and thinking, format, doubt (with thinking=False: an answer whose probability falls under it is taken back for a thought);
    `trace`, if given, is filled as it writes. What they hold lives as long as the agent and its forks."""

    def __init__(self, model: Model, question: str | None = None, *, images: Iterable[Any] = (), audio: Any = None, budget: int | str | None = None, **settings: Any) -> None:
        parts, _, _ = parts_of(question, images, audio, budget)
        trace: Trace | None = settings.get("trace")
        settings_c, keep, self._errors = _agent_params(settings)
        if settings:
            raise TypeError(f"an agent has no setting {', '.join(sorted(settings))}")
        self._serial, own = Serial("Agent"), model._own
        self._open(n.MuseAgent, lib.muse_agent_close, lib.muse_agent_open, own, parts, len(parts), ctypes.byref(settings_c), keep=(own, *_flat(keep)))
        self._model_name = model._name
        if trace:
            trace._name(question, self._model_name)

    def _call(self, function: Any, *arguments: Any) -> int:
        own = self._own
        with self._serial:
            return call(function, own, *arguments)

    def _made(self, function: Any, *arguments: Any) -> Agent:
        out, own = Agent.__new__(Agent), self._own
        out._serial, out._errors, out._model_name = self._serial, self._errors, self._model_name   # forks share pages and pictures
        with self._serial:
            out._open(n.MuseAgent, lib.muse_agent_close, function, own, *arguments, keep=own.keep)
        return out

    def prefill(self) -> None:
        """Compute the prompt, so that forks share it."""
        self._call(lib.muse_agent_prefill)

    def fork(self, number: int, *, seed: int = 0, temperature: float = 1) -> Agent:
        """A second agent at the same place, before anything was written."""
        return self._made(lib.muse_agent_fork, number, seed, temperature)

    def ask(self, question: str | None = None, *, images: Iterable[Any] = (), audio: Any = None, budget: int | str | None = None, thinking: bool | None = None,
            thought_tokens: int = 0, trace: Trace | None = None, doubt: float = 0) -> Agent:
        """The next turn of the conversation, for an agent that has ended: run() then answers it. Budgets begin anew; pictures are numbered on.
        thinking, thought_tokens: None and 0 = as before. trace: of this turn; its pictures are all that were given so far. doubt: with thinking=False,
        an answer whose probability falls under it is taken back for a thought."""
        parts, _, _ = parts_of(question, images, audio, budget)
        how = n.MUSE_THINKING_DEFAULT if thinking is None else n.MUSE_THINKING_ON if thinking else n.MUSE_THINKING_OFF
        turn = params(n.MuseTurnParams, lib.muse_turn_params_init, thinking=how, thought_tokens=thought_tokens, trace=trace._own.pointer if trace else None, doubt=doubt)
        self._call(lib.muse_agent_ask, parts, len(parts), ctypes.byref(turn))
        if trace:
            trace._name(question, self._model_name)
            self._own.hold(trace._own)
        return self

    def look(self, image: int, rect: Any) -> None:
        """Make it look at a rectangle of a picture (its number, from 1); shown at the next run."""
        self._call(lib.muse_look, image, c_rect(rect))

    def compare(self, image_a: int, a: Any, image_b: int, b: Any) -> None:
        """Two looks side by side."""
        self._call(lib.muse_compare, image_a, c_rect(a), image_b, c_rect(b))

    def verify(self, number: int, *, extra: int = 0) -> Agent:
        """An agent that checks the answer of this one, which has ended: run it, and the same answer confirms."""
        return self._made(lib.muse_agent_verify, number, extra)

    def score(self, other: Agent) -> float:
        """How probable this agent finds the other's answer: a natural log-probability."""
        out = ctypes.c_double()
        own, theirs = self._own, other._own
        with _in_use([self, other]):
            call(lib.muse_agent_score, own, theirs, ctypes.byref(out))
        return out.value

    def run(self) -> AgentInfo:
        """Write until it has ended."""
        Agent.run_all([self])
        return self.info

    @staticmethod
    def run_all(agents: List[Agent]) -> None:
        """Let several agents of one model write as one batch until all have ended."""
        owners = [agent._own for agent in agents]
        pointers = (ctypes.POINTER(n.MuseAgent) * len(agents))(*(owner.pointer for owner in owners))
        with _in_use(agents):
            for agent in agents:
                agent._errors.clear()
            call(lib.muse_agent_run, pointers, len(agents))

    def stop(self) -> None:
        """End it where it is: between runs, or from its event function."""
        own = self._own
        with contextlib.ExitStack() as stack:
            if not self._serial.held_here:
                stack.enter_context(self._serial)
            lib.muse_agent_stop(own)

    @property
    def info(self) -> AgentInfo:
        with self._serial:
            return agent_info(self._own)

    def __repr__(self) -> str:
        return "<muse.Agent, closed>" if self.closed else f"<muse.Agent {self.info.number}, {self.info.finish}>"


@contextlib.contextmanager
def _in_use(agents: Iterable[Agent]) -> Iterator[None]:
    """each lock once: forks share theirs"""
    with contextlib.ExitStack() as stack:
        for serial in dict.fromkeys(agent._serial for agent in agents):
            stack.enter_context(serial)
        yield


def _flat(keep: tuple[Any, ...]) -> tuple[Any, ...]:
    """owners inside tuples too, so that Owner counts them"""
    return tuple(x for k in keep for x in (_flat(k) if isinstance(k, tuple) else (k,)))


def look_view(width: int, height: int, rect: Any) -> Rect:
    """What is shown for a look at a rectangle of a picture of this size."""
    return rect_of(lib.muse_look_view(width, height, c_rect(rect)))


def vote(answers: List[str], weights: List[float]) -> list[Candidate]:
    """Count answers with their weights, the winner first; equal after trimming and ASCII lower case, places (`<x12>`) at most 2 apart, is one candidate."""
    if len(answers) != len(weights):
        raise ValueError(f"{len(answers)} answers and {len(weights)} weights")
    data = [utf8(answer) for answer in answers]
    votes = (n.MuseVote * len(data))(*(n.MuseVote(answer=chars(d), n=len(d), weight=w) for d, w in zip(data, weights)))
    out, count = (n.MuseCandidate * max(1, len(data)))(), ctypes.c_size_t()
    call(lib.muse_vote, votes, len(data), out, ctypes.byref(count))
    return [Candidate(answers[c.vote], c.count, c.weight, c.cross, c.score) for c in out[:count.value]]
