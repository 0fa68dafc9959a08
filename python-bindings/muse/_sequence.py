# SPDX-License-Identifier: Apache-2.0
"""The one list of positions that a model attends over."""
from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _native as n
from ._lib import POLL, Array, Handle, Owner, Serial, address, bytes_at, call, check, chars, drawing, id_array, lib, params, png, string, utf8
from ._media import Audio, Image, Rect, rect_of
from ._runtime import Runtime, runtime_of
from ._text import Ids, Tokenizer, text_flags
from ._trace import Coords

builtin_bytes = bytes   # Sequence.bytes hides the name inside the class
MODALITIES = ("text", "image", "audio", "rows")
REPR_WIDTH = 960   # pixels: a cell of a notebook shows about as many; what is wider is shrunk, and its text can no longer be read
BUDGETS = {"default": n.MUSE_BUDGET_DEFAULT, "auto": n.MUSE_BUDGET_AUTO}
# columns of Sequence.table: those of MusePosition that are numbers, at the same places in memory
_COLUMNS = {"modality": "<i4", "is_marker": "<i4", "id": "<i4", "span": "<u4", "index": "<u4", "t": "<i4", "y": "<i4", "x": "<i4",
            "source": "<f8", "start_ms": "<f8", "end_ms": "<f8"}
TABLE = np.dtype({"names": list(_COLUMNS), "formats": [(kind, 4) if name == "source" else kind for name, kind in _COLUMNS.items()],
                  "offsets": [getattr(n.MusePosition, name).offset for name in _COLUMNS], "itemsize": ctypes.sizeof(n.MusePosition)})


def families() -> list[str]:
    """Names of the built-in model families."""
    return [string(lib.muse_family_at(i).contents.name) for i in range(lib.muse_family_count())]


def budget_of(budget: int | str | None) -> int:
    if budget is None or isinstance(budget, str):
        if (budget or "default") not in BUDGETS:
            raise ValueError(f'a budget is a number of patches, "default" or "auto", not {budget!r}')
        return BUDGETS[budget or "default"]
    return budget


@dataclass(frozen=True)
class Position:
    """One position; fields that do not apply to its modality are 0, None or b""."""
    modality: str        #: "text", "image", "audio" or "rows"
    is_marker: bool      #: a token that the family wrote around or between media
    id: int              #: token id; at patches and frames the family's placeholder id, -1 if it has none
    span: int            #: which part it belongs to
    index: int           #: patch, frame or row number in its span; text: number of the token
    t: int               #: order in time; a picture's patches share one
    y: int               #: patch row
    x: int               #: patch column
    source: Rect | None  #: image: pixels of the original picture
    start_ms: float      #: audio, from the start of the sound
    end_ms: float
    bytes: bytes         #: text of the token; without a tokenizer only markers have it


@dataclass(frozen=True)
class Span:
    """One appended part."""
    modality: str
    is_placeholder: bool  #: appended by size only
    first: int            #: its positions, markers included: first .. first + count - 1
    count: int
    n_features: int       #: patches, frames or rows
    feature_width: int    #: values each; 0 for text
    hash: bytes           #: of the content and what was made of it, 32 bytes
    number: int           #: image, audio: its number among the pictures or sounds, from 1
    grid: tuple[int, int] | None      #: image: patches across and down
    size: tuple[int, int] | None      #: image: the original, pixels
    used_size: tuple[int, int] | None #: image: after resizing, pixels; smaller than size means that detail was lost
    region: Rect | None   #: image: the part of the original that was given
    ms_per_frame: float   #: audio
    too_long: bool        #: audio: longer than the model was made for; taken whole all the same


class Sequence(Handle):
    """Text tokens, image patches and audio frames in order. One thread at a time.

    family: a built-in family ("muse" unless told); tokenizer: for text and marker ids; without one media and ids only.
    A session has one of its own (Session.sequence), Model.sequence() makes one by the model's rules."""

    def __init__(self, family: str | None = None, tokenizer: Tokenizer | None = None, *, max_positions: int = 0, runtime: Runtime | None = None) -> None:
        self._make(runtime_of(runtime)._own, tokenizer._own if tokenizer else None, max_positions, family_name=chars(family))

    def _make(self, rt: Owner, tokenizer: Owner | None, max_positions: int, keep: tuple[Any, ...] = (), **family: Any) -> None:
        self._serial = Serial("Sequence")
        settings = params(n.MuseSequenceParams, lib.muse_sequence_params_init, max_positions=max_positions, **family)
        if tokenizer:
            settings.tokenizer = tokenizer.pointer
        self._open(n.MuseSequence, lib.muse_sequence_close, lib.muse_sequence_open, rt, ctypes.byref(settings), keep=(rt, tokenizer, *keep))

    def _call(self, function: Any, *arguments: Any) -> int:
        with self._serial:
            return call(function, self._own, *arguments)

    # ---- appending ----

    def append(self, *parts: Any) -> Sequence:
        """Append parts in order: str (text, in which added tokens are plain text), Image, Audio, two-dimensional float arrays (ready
        embeddings). Returns the sequence. On an error the parts before the refused one stay."""
        for part in parts:
            if isinstance(part, (str, bytes)):
                self.append_text(part)
            elif isinstance(part, Image):
                self.append_image(part)
            elif isinstance(part, Audio):
                self.append_audio(part)
            elif isinstance(part, np.ndarray) and part.dtype.kind == "f":
                self.append_rows(part)
            else:
                raise TypeError(f"a part is str, Image, Audio or an array of embeddings, not {type(part).__name__}; ids go through append_ids()")
        return self

    def append_text(self, text: str | bytes, *, added: bool = False, bos: bool = False) -> None:
        """added: added tokens in the text count as tokens. bos: write the beginning as the tokenizer's rules say."""
        data = utf8(text)
        self._call(lib.muse_sequence_append_text, data, len(data), text_flags(added, bos))

    def append_ids(self, ids: Any) -> None:
        array = id_array(ids)
        self._call(lib.muse_sequence_append_ids, address(array, ctypes.c_int32), len(array))

    def append_image(self, image: Image, *, budget: int | str | None = None) -> None:
        """budget: patches, "auto" (the smallest that does not shrink the picture) or "default"."""
        self._call(lib.muse_sequence_append_image, image._own, ctypes.byref(self._options(budget)))

    def append_image_size(self, width: int, height: int, *, budget: int | str | None = None) -> None:
        """A placeholder for a picture of this size: the same positions, no values."""
        self._call(lib.muse_sequence_append_image_size, width, height, ctypes.byref(self._options(budget)))

    def append_audio(self, audio: Audio) -> None:
        self._call(lib.muse_sequence_append_audio, audio._own, POLL, None)

    def append_audio_length(self, seconds: float, *, rate: int = 16000) -> None:
        """A placeholder for a sound of this length."""
        self._call(lib.muse_sequence_append_audio_length, round(seconds * rate), rate)

    def append_rows(self, rows: Array) -> None:
        """Ready embeddings, shape [n, width]; stored as float32."""
        rows = np.ascontiguousarray(rows, np.float32)
        if rows.ndim != 2:
            raise ValueError(f"embeddings have shape [n, width], not {list(rows.shape)}")
        self._call(lib.muse_sequence_append_rows, address(rows, ctypes.c_float), *rows.shape)

    @staticmethod
    def _options(budget: int | str | None) -> Any:
        return params(n.MuseImageOptions, lib.muse_image_options_init, budget=budget_of(budget), cancel=POLL)

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on. A cut through a picture, a sound or rows is an ArgumentError."""
        self._call(lib.muse_sequence_truncate, length)

    def copy(self) -> Sequence:
        """A sequence of the same content, to go on with by itself."""
        out = Sequence.__new__(Sequence)
        out._serial = Serial("Sequence")
        with self._serial:
            out._open(n.MuseSequence, lib.muse_sequence_close, lib.muse_sequence_copy, self._own, keep=self._own.keep)
        return out

    # ---- reading ----

    def __len__(self) -> int:
        return int(lib.muse_sequence_length(self._own))

    def __getitem__(self, i: int) -> Position:
        length = len(self)
        if not -length <= i < length:
            raise IndexError(f"position {i} of {length}")
        p = n.MusePosition()
        with self._serial:
            check(lib.muse_sequence_position(self._own, i % length, ctypes.byref(p)), "position")
            data = bytes_at(p.bytes, p.n_bytes)
        return Position(MODALITIES[p.modality], bool(p.is_marker), p.id, p.span, p.index, p.t, p.y, p.x, rect_of(p.source) if p.modality == n.MUSE_IMAGE else None,
                        p.start_ms, p.end_ms, data)

    @property
    def table(self) -> Array:
        """All positions as a structured array with the numbers of Position (modality by number, source as four): a snapshot. Its columns,
        such as table["x"], are views."""
        length = len(self)
        rows = (n.MusePosition * length)()
        with self._serial:
            for i, row in enumerate(rows):
                check(lib.muse_sequence_position(self._own, i, ctypes.byref(row)), "position")
        return np.frombuffer(memoryview(rows), TABLE) if length else np.zeros(0, TABLE)

    @property
    def ids(self) -> Ids:
        """Ids of all positions, int32 [positions]; patches and frames have their placeholder's, or -1."""
        return np.ascontiguousarray(self.table["id"])

    @property
    def rects(self) -> npt.NDArray[np.float64]:
        """Where patches come from: float64 [positions, 4], x0 y0 x1 y1 in pixels of the original; 0 elsewhere. A view of a snapshot."""
        out: npt.NDArray[np.float64] = self.table["source"]
        return out

    @property
    def bytes(self) -> list[bytes]:
        """The text of each position, b"" at patches and frames."""
        return [self[i].bytes for i in range(len(self))]

    @property
    def spans(self) -> list[Span]:
        out = []
        with self._serial:
            for k in range(lib.muse_sequence_span_count(self._own)):
                s = n.MuseSpanInfo()
                check(lib.muse_sequence_span(self._own, k, ctypes.byref(s)), "span")
                image = s.modality == n.MUSE_IMAGE
                plan = s.image
                out.append(Span(MODALITIES[s.modality], bool(s.is_placeholder), s.first, s.count, s.n_features, s.feature_width, builtin_bytes(s.hash), s.number,
                                (plan.grid_width, plan.grid_height) if image else None, (plan.width, plan.height) if image else None,
                                (plan.used_width, plan.used_height) if image else None, rect_of(s.region) if image else None,
                                s.audio.ms_per_frame, bool(s.audio.too_long)))
        return out

    def features(self, span: int) -> npt.NDArray[np.float32]:
        """What the model gets of a picture or sound: float32 [patches or frames, values]. A new array."""
        info = self.spans[span]
        out = np.empty((info.n_features, info.feature_width), np.float32)
        self._call(lib.muse_sequence_features, self._span_number(span), 0, info.n_features, address(out, ctypes.c_float))
        return out

    def coords(self, span: int) -> Coords:
        """How the patches of a picture are counted: numbers are patch columns and rows of the original's pixels."""
        s = n.MuseSpanInfo()
        with self._serial:
            check(lib.muse_sequence_span(self._own, self._span_number(span), ctypes.byref(s)), "span")
        if s.modality != n.MUSE_IMAGE:
            raise ValueError(f"span {span} is {MODALITIES[s.modality]}, not a picture")
        return Coords(lib.muse_coords_patches(ctypes.byref(s.image), s.region))

    def _span_number(self, span: int) -> int:
        return range(lib.muse_sequence_span_count(self._own))[span]

    def hash(self, length: int | None = None) -> builtin_bytes:
        """Of the first `length` positions (all), 32 bytes: equal exactly for equal content."""
        out = (ctypes.c_uint8 * 32)()
        with self._serial:
            check(lib.muse_sequence_hash(self._own, len(self) if length is None else length, out), "hash")
        return builtin_bytes(out)

    def draw(self, max_width: int = 0) -> Array:
        """What the model gets, drawn: RGB pixels. max_width: 0 = 1600."""
        settings = params(n.MuseDrawParams, lib.muse_draw_params_init, max_width=max_width)
        with self._serial:
            return drawing(lib.muse_sequence_draw, self._own, ctypes.byref(settings))

    def _repr_png_(self) -> builtin_bytes | None:
        return png(self.draw(REPR_WIDTH)) if not self.closed and len(self) else None

    def __repr__(self) -> str:
        return "<muse.Sequence, closed>" if self.closed else f"<muse.Sequence of {len(self)} positions>"
