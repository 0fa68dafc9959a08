# SPDX-License-Identifier: Apache-2.0
"""Sessions: one sequence and what a model has computed of it. Attention watches; the store of prefixes."""
from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterable, Iterator, Sequence as List
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _native as n
from ._errors import StateError
from ._lib import Handle, Owner, Serial, address, call, callback, check, copied, id_array, lib, params, path_bytes, string, view
from ._media import Heat, Image, rect_of
from ._model import Model
from ._runtime import choice
from ._sequence import Sequence

if TYPE_CHECKING:
    from ._generate import Generation

COMPUTE = {"auto": n.MUSE_COMPUTE_AUTO, "f32": n.MUSE_COMPUTE_F32, "bf16": n.MUSE_COMPUTE_BF16, "int8": n.MUSE_COMPUTE_INT8}
KV = {"auto": n.MUSE_KV_AUTO, "f32": n.MUSE_KV_F32, "bf16": n.MUSE_KV_BF16, "q8": n.MUSE_KV_Q8}
IMAGE_MASKS = {"default": n.MUSE_IMAGE_MASK_DEFAULT, "a": n.MUSE_IMAGE_MASK_A, "b": n.MUSE_IMAGE_MASK_B, "causal": n.MUSE_IMAGE_MASK_CAUSAL}
Progress = Callable[[int, int], object]
Stage = Callable[[str, int, npt.NDArray[np.float32]], object]


class PrefixCache(Handle):
    """A store of computed prefixes, shared by sessions of one model. Any thread. max_bytes: of keys and values kept; 0 = 1 GiB."""

    def __init__(self, model: Model, max_bytes: int = 0) -> None:
        own = model._own
        self._open(n.MusePrefixCache, lib.muse_prefix_cache_close, lib.muse_prefix_cache_open, own, max_bytes, keep=(own,))

    @property
    def info(self) -> dict[str, int]:
        """entries, bytes: kept; lookups, hits, positions (reused): since it was opened."""
        out = n.MusePrefixCacheInfo()
        check(lib.muse_prefix_cache_info(self._own, ctypes.byref(out)), "prefix cache")
        return {name: getattr(out, name) for name, *_ in out._fields_}


@dataclass(frozen=True)
class SessionInfo:
    positions: int      #: in the sequence
    computed: int       #: of these
    reused: int         #: of these, taken from the prefix cache
    kv_bytes: int       #: keys and values it holds
    kv_own_bytes: int   #: of these, what nothing else holds too
    workspace_bytes: int
    compute: str        #: as asked for
    kv: str             #: in use


@dataclass(frozen=True)
class Watched:
    position: int       #: of the newest token
    tokens: int         #: in the mean
    first: int          #: what is watched: positions first .. first + len(mean) - 1
    weights: npt.NDArray[np.float32]  #: of the newest token, [layers, heads, positions]; a read-only view: the next token changes its contents
    mean: npt.NDArray[np.float64]     #: [positions], over layers, heads and tokens since the watch began or was reset


def session_params(compute: str | None, kv: str | None, image_mask: str | None, chunk: int, max_positions: int, cache: PrefixCache | None,
                   progress: Progress | None, stage: Stage | None) -> tuple[Any, tuple[Any, ...]]:
    """The struct, and what must live as long as the session."""
    def seen(user: Any, name: Any, first: int, data: Any, rows: int, width: int) -> None:
        if stage:
            stage(string(name), first, np.array(np.ctypeslib.as_array(data, (rows, width))))

    ahead = callback(n.MuseProgressFn, lambda user, done, total: 1 if progress and progress(done, total) else 0, 1)
    look = callback(n.MuseStageSeenFn, seen, None) if stage else n.MuseStageSeenFn(0)
    settings = params(n.MuseSessionParams, lib.muse_session_params_init, compute=choice(COMPUTE, compute, "compute"), kv=choice(KV, kv, "kv"),
                      image_mask=choice(IMAGE_MASKS, image_mask, "image_mask"), chunk=chunk, max_positions=max_positions,
                      cache=cache._own.pointer if cache else None, progress=ahead, stage=look)
    return settings, (ahead, look, cache._own if cache else None)


class Session(Handle):
    """One sequence and what the model has computed of it. One thread at a time; any number of sessions of one model at once.

    compute: "auto", "f32" (the reference), "bf16", "int8"; kv, how keys and values are kept: "auto", "f32", "bf16", "q8"; image_mask:
    "default", "a", "b", "causal"; chunk: positions computed at a time, 0 = 512; max_positions: 0 = the model's limit.
    progress(done, total): called behind each chunk of a prompt; a true value stops with Cancelled. stage(name, first, values): called with
    what each stage of a prompt gave, see MuseStageSeenFn in session.h. What they raise leaves from the call that computes."""

    def __init__(self, model: Model, *, compute: str | None = None, kv: str | None = None, image_mask: str | None = None, chunk: int = 0, max_positions: int = 0,
                 cache: PrefixCache | None = None, progress: Progress | None = None, stage: Stage | None = None) -> None:
        settings, keep = session_params(compute, kv, image_mask, chunk, max_positions, cache, progress, stage)
        own = model._own
        self._begin(model, lib.muse_session_open, own, ctypes.byref(settings), keep=(own, *keep))

    def _begin(self, model: Model, function: Any, *arguments: Any, keep: Iterable[Any]) -> None:
        self.model, self._serial = model, Serial("Session")
        self._weights: list[npt.NDArray[np.float32]] = []   # where C writes what is watched; the owner keeps the list
        self._open(n.MuseSession, lib.muse_session_close, function, *arguments, keep=(*keep, self._weights))
        own = self._own
        info = n.MuseModelInfo()
        check(lib.muse_model_info(lib.muse_session_model(own), ctypes.byref(info)), "model")
        self._vocab, self._width = int(info.vocab), int(info.width)
        self.sequence = Sequence.__new__(Sequence)   #: its positions: append to it, read it
        self.sequence._serial = self._serial
        self.sequence._owner = Owner(lib.muse_session_sequence(own), lambda pointer: None, (own, *keep))

    @classmethod
    def restore(cls, model: Model, path: str | os.PathLike[str], *, compute: str | None = None, kv: str | None = None, image_mask: str | None = None, chunk: int = 0,
                max_positions: int = 0, cache: PrefixCache | None = None, progress: Progress | None = None, stage: Stage | None = None) -> Session:
        """Open a session from a file of save(), with the model it was saved with."""
        settings, keep = session_params(compute, kv, image_mask, chunk, max_positions, cache, progress, stage)
        out, own = cls.__new__(cls), model._own
        out._begin(model, lib.muse_session_restore, own, path_bytes(path), ctypes.byref(settings), keep=(own, *keep))
        return out

    def _call(self, function: Any, *arguments: Any) -> int:
        own = self._own
        with self._serial:
            return call(function, own, *arguments)

    # ---- computing ----

    def append(self, *parts: Any) -> Session:
        """Append parts to the sequence, as Sequence.append(); nothing is computed yet."""
        self.sequence.append(*parts)
        return self

    def prefill(self) -> None:
        """Compute all positions that were appended since."""
        self._call(lib.muse_session_prefill)

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """Of the token that follows: float32 [vocab], before suppression and sampling. A view without a copy: the next step or prefill changes
        its contents. StateError: the last position is not computed yet."""
        own = self._own
        with self._serial:
            pointer = lib.muse_session_logits(own)
        if not pointer:
            raise StateError("the last position is not computed yet: prefill() or step()")
        out: npt.NDArray[np.float32] = view(own, pointer, ctypes.c_float, (self._vocab,))
        return out

    @property
    def hidden(self) -> npt.NDArray[np.float32]:
        """Hidden state of the last position, behind the last layer and the final norm: float32 [width], what the head makes logits of. A view like
        logits. StateError also: a restored session that has computed nothing yet."""
        own = self._own
        with self._serial:
            pointer = lib.muse_session_hidden(own)
        if not pointer:
            raise StateError("the last position is not computed yet, or came from a file: prefill() or step()")
        out: npt.NDArray[np.float32] = view(own, pointer, ctypes.c_float, (self._width,))
        return out

    def step(self, id: int) -> None:
        """Append one id and compute it."""
        self._call(lib.muse_session_step, id)

    @staticmethod
    def step_batch(sessions: List[Session], ids: Any) -> None:
        """step() for several sessions of one model through the same products. For all or none."""
        array = id_array(ids)
        if len(array) != len(sessions):
            raise ValueError(f"{len(sessions)} sessions and {len(array)} ids")
        if len(set(sessions)) != len(sessions):
            raise ValueError("a session is given twice")
        owners = [s._own for s in sessions]
        pointers = (ctypes.POINTER(n.MuseSession) * len(sessions))(*(o.pointer for o in owners))
        with contextlib.ExitStack() as stack:
            for s in sessions:
                stack.enter_context(s._serial)
            call(lib.muse_session_step_batch, pointers, address(array, ctypes.c_int32), len(array))

    def reserve(self, steps: int) -> None:
        """Make room, so that the next steps allocate nothing."""
        self._call(lib.muse_session_reserve, steps)

    def fork(self) -> Session:
        """A second session in the same state; memory is shared until one of the two writes. It may be used in another thread."""
        out, own = Session.__new__(Session), self._own
        with self._serial:
            out._begin(self.model, lib.muse_session_fork, own, keep=[held for held in own.keep if held is not self._weights])
        return out

    def rewind(self, length: int) -> None:
        """Forget all positions from `length` on."""
        self._call(lib.muse_session_rewind, length)

    def score(self, ids: Any) -> npt.NDArray[np.float64]:
        """Natural log-probabilities of ids as the continuation, each given those before it; the session stays as it is."""
        array = id_array(ids)
        out = np.empty(len(array), np.float64)
        self._call(lib.muse_session_score, address(array, ctypes.c_int32), len(array), address(out, ctypes.c_double))
        return out

    def cancel(self) -> None:
        """Make the call that computes stop soon; without one, the next. Any thread."""
        lib.muse_session_cancel(self._own)

    def generate(self, **settings: Any) -> Generation:
        """Go on writing behind what the session holds (see muse.generate)."""
        from ._generate import Generation
        return Generation(self, **settings)

    # ---- looking ----

    @property
    def info(self) -> SessionInfo:
        own, out = self._own, n.MuseSessionInfo()
        with self._serial:
            check(lib.muse_session_info(own, ctypes.byref(out)), "session")
        return SessionInfo(out.positions, out.computed, out.reused, out.kv_bytes, out.kv_own_bytes, out.workspace_bytes, list(COMPUTE)[out.compute], list(KV)[out.kv])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write positions, pictures, sounds, keys and values to a file, whole or not at all, unencrypted."""
        self._call(lib.muse_session_save, path_bytes(path))

    @contextlib.contextmanager
    def watching(self, image: int = 0, **what: Any) -> Iterator[Session]:
        """watch() for the time of a `with`."""
        self.watch(image, **what)
        try:
            yield self
        finally:
            if not self.closed:
                self.unwatch()

    def watch(self, image: int = 0, *, first: int = 0, count: int = 0, layers: List[int] = (), heads: List[int] = ()) -> None:
        """From the next computed token on, note how much it attends to a picture (its number, from 1) or to positions first .. first + count - 1.
        layers, heads: none given = all."""
        deep, wide = (ctypes.c_uint32 * len(layers))(*layers), (ctypes.c_uint32 * len(heads))(*heads)
        settings = params(n.MuseWatchParams, lib.muse_watch_params_init, image=image, first=first, n=count, layers=deep, n_layers=len(deep), heads=wide, n_heads=len(wide))
        own, seen = self._own, n.MuseWatched()
        with self._serial:
            call(lib.muse_session_watch, own, ctypes.byref(settings))   # what is refused leaves the old watch as it is
            try:
                call(lib.muse_session_watched, own, ctypes.byref(seen))   # how much it is
                weights = np.zeros((seen.n_layers, seen.n_heads, seen.n), np.float32)
                settings.weights, settings.n_weights = address(weights, ctypes.c_float), weights.size
                self._weights.append(weights)   # before C has it
                call(lib.muse_session_watch, own, ctypes.byref(settings))
            except BaseException:   # the old watch is gone, so nothing is watched
                lib.muse_session_watch(own, None, None)
                self._weights.clear()
                raise
            del self._weights[:-1]

    def unwatch(self) -> None:
        """Stop. What `watched` has given stays as it is."""
        self._call(lib.muse_session_watch, None)
        self._weights.clear()

    def watch_reset(self) -> None:
        """Begin the mean anew."""
        with self._serial:
            lib.muse_session_watch_reset(self._own)

    @property
    def watched(self) -> Watched | None:
        """What was seen; its weights are a view. None: no token was computed yet. StateError: nobody watches."""
        own, out = self._own, n.MuseWatched()
        with self._serial:
            if call(lib.muse_session_watched, own, ctypes.byref(out)) == n.MUSE_AGAIN:
                return None
            weights = self._weights[-1].view()
            weights.flags.writeable = False
            return Watched(out.position, out.tokens, out.first, weights, copied(out.mean, ctypes.c_double, out.n))

    def heat(self, image: int = 1, picture: Image | None = None) -> Heat:
        """The mean as a heat map of one picture, which the watch must cover. picture: to show it over."""
        spans = [s for s in self.sequence.spans if s.modality == "image" and s.number == image]
        values = np.zeros(max(1, spans[0].n_features if spans else 1), np.float32)
        out = n.MuseTraceHeat()
        self._call(lib.muse_session_heat, image, address(values, ctypes.c_float), len(values), ctypes.byref(out))
        return Heat(values[:out.width * out.height].reshape(out.height, out.width), rect_of(out.rect), out.image, picture)

    def close(self) -> None:
        """Release it, with its sequence."""
        if self._owner is not None:
            self.sequence.close()
        super().close()

    def __repr__(self) -> str:
        return "<muse.Session, closed>" if self.closed else f"<muse.Session of {len(self.sequence)} positions>"
