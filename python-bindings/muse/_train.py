# SPDX-License-Identifier: Apache-2.0
"""Training a model of the muse family (docs/train.md): runs described by one JSON document, with data from files or from Python."""
from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import pathlib
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence as List
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import _native as n
from ._errors import Cancelled, StateError
from ._lib import Array, Handle, Owner, Serial, address, call, chars, check, id_array, lib, params, path_bytes, string, utf8
from ._media import c_rect
from ._model import Model
from ._reason import AgentInfo, agent_info, parts_of
from ._runtime import Runtime, runtime_of

NO_TASK = 0xffffffff   # UINT32_MAX: also "the prefix" as a label's branch


@dataclass(frozen=True)
class Report:
    """One step's numbers."""
    step: int             #: steps done, this one included
    steps: int            #: of the whole run
    loss: float           #: all terms with their weights
    text_loss: float      #: mean cross-entropy of what was to be written, nats
    label_loss: float
    gaze_loss: float
    accuracy: float       #: share of written tokens whose likeliest id was right
    grad_norm: float      #: before clipping
    rate: float           #: factor of the schedule, 0..1
    seconds: float        #: wall time of the step
    wait_seconds: float   #: of these, waiting for data
    positions: int        #: of the step
    total_positions: int
    skipped: int          #: samples left out so far as broken
    rollouts: int         #: trial and reward only; so the next four
    reward: float
    right: float
    tokens: float
    thinks: float
    saved: bool           #: a checkpoint was written after this step


@dataclass(frozen=True)
class Text:
    """Tokens of a sample. weights: of the loss on writing each id at its place; None = 0, given text."""
    ids: Any
    weights: Any = None


@dataclass(frozen=True)
class Picture:
    """A picture of a sample: uint8 RGB [patches down * patch, patches across * patch, 3], with grid = (across, down). alone: a look, which does
    not see the branch before it."""
    rgb: Array
    grid: tuple[int, int]
    alone: bool = False


@dataclass(frozen=True)
class Sound:
    """Frames of a sample: float32 [frames, values]."""
    frames: Array


@dataclass(frozen=True)
class Branch:
    """One continuation of the prefix. task: number in the document's "tasks"; group: number in "groups"."""
    parts: List[Any]
    task: int | None = None
    group: int = 0


@dataclass(frozen=True)
class Label:
    """What a label head shall say at a position; branch None = the prefix."""
    branch: int | None
    part: int
    index: int
    head: int
    value: int
    weight: float = 1


@dataclass(frozen=True)
class Gaze:
    """Where the supervised attention head shall look: positions `targets` of a part of the prefix."""
    branch: int | None
    part: int
    index: int
    target_part: int
    targets: List[int]
    weight: float = 1


@dataclass(frozen=True)
class Sample:
    """What one sample is: parts that all branches share, and the branches."""
    prefix: List[Any]
    branches: List[Branch]
    labels: List[Label] = field(default=())
    gazes: List[Gaze] = field(default=())


class _Source:
    """Samples of a Python function for C's loaders. What a sample points to is kept until C releases it."""

    def __init__(self, make: Callable[[int], Sample | None]) -> None:
        self._errors, self._lock = dict[int, BaseException](), threading.Lock()   # by sample: loaders are ahead of the step, and several
        self._make, self._kept = make, dict[int, Any]()
        kinds: dict[str, Any] = {name: kind for name, kind, *_ in n.MuseTrainSource._fields_}
        self.struct = n.MuseTrainSource(ctypes.sizeof(n.MuseTrainSource), kinds["make"](self._give), kinds["release"](self._release), None)

    def _give(self, user: Any, number: int, out: Any, error: Any) -> int:
        """From any thread of the library's."""
        try:
            sample = self._make(number)
            if sample is None:
                return n.MUSE_AGAIN
            keep: list[Any] = []
            _fill(out.contents, sample, keep)
            handle = id(keep)
            self._kept[handle] = keep
            out.contents.handle = handle
            return 0
        except BaseException as why:   # leaves from the step
            with self._lock:
                self._errors[number] = why
            error.contents.code, error.contents.text = n.MUSE_ERR_CANCELLED, b"the source raised an exception"
            return n.MUSE_ERR_CANCELLED

    def taken(self) -> BaseException | None:
        """What it raised for the first sample that it raised for: the one that a step met, since steps take them in order. Once."""
        with self._lock:
            return self._errors.pop(min(self._errors)) if self._errors else None

    def _release(self, user: Any, sample: Any) -> None:
        self._kept.pop(sample.contents.handle, None)


# ---- trial and reward (docs/train.md) ----

@dataclass(frozen=True)
class Prompt:
    """A question that the model tries several times. answers: one that equals any of them (trimmed, ASCII lower case) is right. task: number in the document's
    "tasks". views: (picture number, rect) worth a look, as look_view() gives them. images, audio, budget: as ask()."""
    question: str | None
    answers: List[str]
    images: Iterable[Any] = ()
    audio: Any = None
    task: int | None = None
    views: List[tuple[int, Any]] = ()
    budget: int | str | None = None


@dataclass(frozen=True)
class Rollout:
    """What came of one trial."""
    agent: AgentInfo  #: what it wrote
    right: bool       #: its answer is one of the prompt's
    clean: bool       #: it ended its turn by itself and wrote nothing that has no meaning
    thinks: bool      #: its thought has a token, or it looked
    tokens: int       #: written, thought and answer and what ends them
    looks: int
    iou: float        #: mean over its looks: of the view shown with the best of the prompt's; 0 without looks


class _Prompts:
    """Prompts and rewards of Python functions, called in the thread that trains."""

    def __init__(self, make: Callable[[int, bool], Prompt | None] | None, reward: Callable[[Prompt, Rollout], float] | None) -> None:
        self.errors: list[BaseException] = []
        self._make, self._value, self._kept = make, reward, dict[int, Any]()
        kinds: dict[str, Any] = {name: kind for name, kind, *_ in n.MuseTrainPrompts._fields_}
        value = kinds["reward"](self._reward) if reward else kinds["reward"](0)
        self.struct = n.MuseTrainPrompts(ctypes.sizeof(n.MuseTrainPrompts), kinds["make"](self._give), kinds["release"](self._release), value, None)

    def _give(self, user: Any, number: int, held_out: int, out: Any, error: Any) -> int:
        try:
            prompt = self._make(number, bool(held_out)) if self._make else None
            if prompt is None:
                return n.MUSE_AGAIN
            keep: list[Any] = [prompt]
            parts, pictures, owners = parts_of(prompt.question, prompt.images, prompt.audio, prompt.budget)
            if isinstance(prompt.answers, str):
                raise TypeError("answers are a list: of a text each letter would be one")
            texts = [utf8(answer) for answer in prompt.answers]
            if any(b"\0" in text for text in texts):
                raise ValueError("an answer can't hold a null byte")
            answers = _array(ctypes.c_char_p, texts, keep)
            views = _array(n.MuseFocus, (n.MuseFocus(image, c_rect(rect)) for image, rect in prompt.views), keep)
            keep += [parts, pictures, owners]
            c, handle = out.contents, id(keep)
            c.parts, c.n_parts, c.task = parts, len(parts), NO_TASK if prompt.task is None else prompt.task
            c.answers, c.n_answers, c.views, c.n_views, c.handle = answers, len(answers), views, len(views), handle
            self._kept[handle] = keep
            return 0
        except BaseException as why:   # leaves from the step
            self.errors.append(why)
            error.contents.code, error.contents.text = n.MUSE_ERR_CANCELLED, b"the prompts raised an exception"
            return n.MUSE_ERR_CANCELLED

    def taken(self) -> BaseException | None:
        """What it raised first. Once."""
        return self.errors.pop(0) if self.errors else None

    def _reward(self, user: Any, prompt: Any, rollout: Any) -> float:
        try:
            r = rollout.contents
            seen = Rollout(agent_info(r.agent), bool(r.right), bool(r.clean), bool(r.thinks), r.tokens, r.looks, r.iou)
            return float(self._value(self._kept[prompt.contents.handle][0], seen)) if self._value else 0
        except BaseException as why:
            self.errors.append(why)
            return float("nan")   # which C refuses

    def _release(self, user: Any, prompt: Any) -> None:
        self._kept.pop(prompt.contents.handle, None)


@dataclass(frozen=True)
class Way:
    """Of held-out prompts answered in one way."""
    accuracy: float   #: share right
    tokens: float     #: mean
    looks: float


@dataclass(frozen=True)
class Guard:
    """Held-out prompts of one task, answered greedily in three ways."""
    step: int         #: after this one
    n: int            #: prompts; 0: not measured yet
    think: Way        #: made to think
    free: Way
    direct: Way       #: made to answer at once
    thinks: float     #: share of the free ones that thought
    budget: float     #: 1 down to 0: thoughts longer than this share of a group's longest lose reward


def _plain(value: object) -> Any:
    """What a program has for text and numbers, for JSON."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, (np.integer, np.floating, np.bool_, np.ndarray)):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} can't stand in a training document")


# ---- samples for C ----

def _array(kind: Any, items: Iterable[Any], keep: list[Any]) -> Any:
    values = list(items)
    out = (kind * len(values))(*values)
    keep.append(out)
    return out


def _part(part: Any, keep: list[Any]) -> n.MuseTrainPart:
    if isinstance(part, Text):
        ids = id_array(part.ids)
        weights = None if part.weights is None else np.ascontiguousarray(part.weights, np.float32)
        if weights is not None and weights.shape != ids.shape:
            raise ValueError(f"{len(ids)} ids and weights of shape {list(weights.shape)}")
        keep += [ids, weights]
        return n.MuseTrainPart(modality=n.MUSE_TEXT, n=len(ids), ids=address(ids, ctypes.c_int32), weights=None if weights is None else address(weights, ctypes.c_float))
    if isinstance(part, Picture):
        rgb, (across, down) = np.ascontiguousarray(part.rgb), part.grid
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or across < 1 or down < 1 or rgb.shape[0] % down or rgb.shape[1] % across or rgb.shape[0] // down != rgb.shape[1] // across:
            raise ValueError(f"a picture of {across} x {down} square patches has uint8 pixels [down * patch, across * patch, 3], not {rgb.dtype} {list(rgb.shape)}")
        keep.append(rgb)
        return n.MuseTrainPart(modality=n.MUSE_IMAGE, grid_width=across, grid_height=down, alone=part.alone, n=across * down, rgb=address(rgb, ctypes.c_uint8), values=rgb.size)
    if isinstance(part, Sound):
        frames = np.ascontiguousarray(part.frames, np.float32)
        if frames.ndim != 2 or (len(frames) and not frames.size):
            raise ValueError(f"frames have shape [frames, values], not {list(frames.shape)}")
        keep.append(frames)
        return n.MuseTrainPart(modality=n.MUSE_AUDIO, n=len(frames), features=address(frames, ctypes.c_float), values=frames.size)
    raise TypeError(f"a part of a sample is Text, Picture or Sound, not {type(part).__name__}")


def _fill(out: Any, sample: Sample, keep: list[Any]) -> None:
    branches = []
    for branch in sample.branches:
        parts = _array(n.MuseTrainPart, (_part(p, keep) for p in branch.parts), keep)
        branches.append(n.MuseTrainBranch(parts, len(parts), NO_TASK if branch.task is None else branch.task, branch.group))
    labels = [n.MuseTrainLabel(NO_TASK if x.branch is None else x.branch, x.part, x.index, x.head, x.value, x.weight) for x in sample.labels]
    gazes = [n.MuseTrainGaze(NO_TASK if x.branch is None else x.branch, x.part, x.index, x.target_part, _array(ctypes.c_uint32, x.targets, keep), len(x.targets), x.weight)
             for x in sample.gazes]
    prefix = [_part(p, keep) for p in sample.prefix]
    table: list[tuple[str, str, Any, list[Any]]] = [
        ("prefix", "n_prefix", n.MuseTrainPart, prefix), ("branches", "n_branches", n.MuseTrainBranch, branches), ("labels", "n_labels", n.MuseTrainLabel, labels), ("gazes", "n_gazes", n.MuseTrainGaze, gazes)]
    for name, count, kind, items in table:
        setattr(out, name, _array(kind, items, keep))
        setattr(out, count, len(items))


@dataclass(frozen=True)
class TrainerInfo:
    step: int
    steps: int
    n_parameters: int  #: of the model, without label heads
    memory_bytes: int
    compute: str       #: "bf16" or "f32"
    folder: str | None #: the newest checkpoint, a model folder


@dataclass(frozen=True)
class Task:
    """Over the last step that had it."""
    loss: float
    accuracy: float
    n: int             #: written tokens, all steps


_open_trainers: weakref.WeakSet[Trainer] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """C's loaders must not ask for samples while the interpreter goes."""
    for trainer in list(_open_trainers):
        trainer.close()


class Trainer(Handle):
    """A training run, step by step. One thread at a time.

    config: the document (docs/train.md) as dict (paths and NumPy's numbers in it too), or the path of its file; relative paths in it start in `folder`: for a file where it lies, else the
    working directory. out: goes before the document's "out". resume: go on from the newest checkpoint. steps: stop after so many, under the
    document's schedule. threads: 0 = the cores there are; results are the same bits for the same number only.
    source(number): samples from Python instead of the document's "data": a Sample, or None (left out). The same number, the same sample. Called from other
    threads, several at once; what it raises leaves from step(). prompts(number, held_out): of a document with "rl", instead of those that it names: a Prompt, or
    None (left out); the same number, the same prompt. reward(Prompt, Rollout): with prompts, instead of the document's reward."""

    def __init__(self, config: Mapping[str, Any] | str | os.PathLike[str], *, out: str | os.PathLike[str] | None = None, folder: str | os.PathLike[str] | None = None,
                 resume: bool = False, steps: int = 0, source: Callable[[int], Sample | None] | None = None,
                 prompts: Callable[[int, bool], Prompt | None] | None = None, reward: Callable[[Prompt, Rollout], float] | None = None, threads: int | None = None,
                 runtime: Runtime | None = None) -> None:
        if reward is not None and prompts is None:
            raise TypeError("a reward is for prompts from Python")
        if threads is not None:
            if runtime is not None:
                raise TypeError("threads belong to a runtime: give either")
            runtime = Runtime(threads=threads)
        if isinstance(config, Mapping):
            document = json.dumps(dict(config), default=_plain).encode()
        else:
            document = pathlib.Path(config).read_bytes()
            folder = os.path.dirname(os.path.abspath(config)) if folder is None else folder
        self._serial, self._source = Serial("Trainer"), _Source(source) if source else None
        self._prompts = _Prompts(prompts, reward) if prompts else None
        settings = params(n.MuseTrainerParams, lib.muse_trainer_params_init, folder=None if folder is None else chars(path_bytes(folder)),
                          out=None if out is None else chars(path_bytes(out)), resume=resume, steps=steps,
                          source=ctypes.pointer(self._source.struct) if self._source else None, prompts=ctypes.pointer(self._prompts.struct) if self._prompts else None)
        rt = runtime_of(runtime)._own
        self._raising(lambda: self._open(n.MuseTrainer, lib.muse_trainer_close, lib.muse_trainer_open, rt, document, len(document), ctypes.byref(settings),
                                         keep=(rt, self._source, self._prompts)))
        _open_trainers.add(self)

    def _raising(self, run: Callable[[], Any]) -> Any:
        """what the source, the prompts or the reward raised goes before what C says about it"""
        try:
            return run()
        except Exception as error:
            raised = self._prompts.taken() if self._prompts else None
            if raised is None and self._source and isinstance(error, Cancelled):   # any other end is not of the source, which may be ahead
                raised = self._source.taken()
            if raised is not None:
                raise raised from None
            raise

    def step(self) -> Report | None:
        """One step; None: all were done before. StateError: the loss is not finite, or an earlier step failed."""
        own, r = self._own, n.MuseTrainReport()
        with self._serial:
            if self._raising(lambda: call(lib.muse_trainer_step, own, ctypes.byref(r))) == n.MUSE_DONE:
                return None
        values = {name: getattr(r, name) for name, *_ in r._fields_}
        return Report(**{**values, "saved": bool(values["saved"])})

    def save(self) -> None:
        """Write a checkpoint now. StateError: the run has no "out"."""
        own = self._own
        with self._serial:
            call(lib.muse_trainer_save, own)

    def model(self) -> Model:
        """The model as it is now, a copy. It takes text where the run has a tokenizer: the document's, or that of the folder it begins from."""
        own, pointer = self._own, ctypes.POINTER(n.MuseModel)()
        with self._serial:
            call(lib.muse_trainer_model, own, ctypes.byref(pointer))
        return Model.adopt(Owner(pointer, lib.muse_model_close, (own.keep[0],)), "in training")

    @property
    def info(self) -> TrainerInfo:
        own, i = self._own, n.MuseTrainerInfo()
        with self._serial:
            check(lib.muse_trainer_info(own, ctypes.byref(i)), "trainer")
            return TrainerInfo(i.step, i.steps, i.n_parameters, i.memory_bytes, string(i.compute), string(i.folder) if i.folder else None)

    @property
    def tasks(self) -> dict[str, Task]:
        """By name."""
        own, t, out = self._own, n.MuseTrainTask(), dict[str, Task]()
        with self._serial:
            while lib.muse_trainer_task(own, len(out), ctypes.byref(t)) == 0:
                out[string(t.name)] = Task(t.loss, t.accuracy, t.n)
        return out

    @property
    def guards(self) -> dict[str, Guard]:
        """The newest measurements of a run with "rl", by task ("" for prompts without one)."""
        own, g, out = self._own, n.MuseTrainGuard(), dict[str, Guard]()
        with self._serial:
            while lib.muse_trainer_guard(own, len(out), ctypes.byref(g)) == 0:
                think, free, direct = (Way(g.accuracy[k], g.tokens[k], g.looks[k]) for k in (n.MUSE_GUARD_THINK, n.MUSE_GUARD_FREE, n.MUSE_GUARD_DIRECT))
                out[string(g.task)] = Guard(g.step, g.n, think, free, direct, g.thinks, g.budget)
        return out


@dataclass(frozen=True)
class Trained:
    """What train() returns."""
    step: int
    folder: str | None       #: the newest checkpoint: a model folder for load(); None without "out"
    reports: tuple[Report, ...]
    stopped: bool            #: progress asked to stop


def train(config: Mapping[str, Any] | str | os.PathLike[str], *, progress: Callable[[Report], object] | None = None, **settings: Any) -> Trained:
    """Train to the end. config and settings as Trainer. progress(report): after each step; a true value saves and stops. Ctrl-C, or an
    exception in progress, saves what is done (where the run has an "out") and leaves."""
    with Trainer(config, **settings) as trainer:
        reports: list[Report] = []
        stopped = False
        try:
            while not stopped and (report := trainer.step()) is not None:
                reports.append(report)
                stopped = bool(progress and progress(report))
        finally:
            if reports and not reports[-1].saved:   # ended early
                with contextlib.suppress(StateError):   # no "out": nothing is to be saved
                    trainer.save()
        info = trainer.info
        return Trained(info.step, info.folder, tuple(reports), stopped)
