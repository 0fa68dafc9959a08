# SPDX-License-Identifier: Apache-2.0
"""Models: opening, what they are, and the short ways to use them."""
from __future__ import annotations

import ctypes
import html as _html
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _native as n
from ._errors import MuseError, UnsupportedError
from ._lib import Handle, Owner, call, chars, check, lib, params, path_bytes, string
from ._media import AudioFeed
from ._runtime import Runtime, choice, runtime_of
from ._sequence import Sequence
from ._text import Tokenizer

if TYPE_CHECKING:
    from ._generate import Generation
    from ._reason import Answer
    from ._session import Session


WEIGHTS = {"files": n.MUSE_WEIGHTS_FILES, "random": n.MUSE_WEIGHTS_RANDOM, "none": n.MUSE_WEIGHTS_NONE}


REPR_POSITIONS = 8192   # whose memory a cell of a notebook shows; less where the model's context is shorter


def size_text(size: int) -> str:
    """Bytes for people: 12.3 MiB."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


@dataclass(frozen=True)
class ModelInfo:
    family: str          #: "muse", "gemma4_unified", ...
    format: str          #: "safetensors" or "gguf"
    modalities: tuple[str, ...]  #: "text", and "image", "audio" where it takes them
    n_layers: int
    width: int           #: of the embedding space
    ffn: int
    vocab: int           #: ids 0 .. vocab - 1
    heads: int
    kv_heads: int
    head_width: int
    window: int          #: of layers whose attention has one, positions; 0 if none
    context_limit: int   #: positions the model was made for
    n_parameters: int
    weights_bytes: int
    file_bytes: int
    bos: int             #: -1: none
    pad: int
    eos: tuple[int, ...]         #: ids that end generation
    suppressed: tuple[int, ...]  #: ids that must never be sampled
    temperature: float   #: what the publisher suggests, as SampleParams has it; 0: nothing. So the next four
    top_p: float
    top_k: int
    min_p: float
    repetition: float
    types: dict[str, int]        #: bytes of the weights by number type


@dataclass(frozen=True)
class ModelMemory:
    """Bytes that running with one sequence of so many positions takes."""
    positions: int
    weights: int    #: mapped
    kv_16: int      #: keys and values in bf16
    kv_8: int       #: in 8 bit
    workspace: int


@dataclass(frozen=True)
class Tensor:
    name: str
    type: str
    file: str
    shape: tuple[int, ...]  #: outermost first
    bytes: int


class Model(Handle):
    """A model: configuration and weights, mapped and read-only. Any number of threads share it. Open with muse.load()."""

    def __init__(self, path: str | os.PathLike[str], *, mmproj: str | os.PathLike[str] | None = None, weights: str = "files",
                 runtime: Runtime | None = None) -> None:
        rt = runtime_of(runtime)._own
        self._runtime = rt
        settings = params(n.MuseModelParams, lib.muse_model_params_init, mmproj=chars(path_bytes(mmproj) if mmproj is not None else None),
                          weights=choice(WEIGHTS, weights, "weights"))
        self._open(n.MuseModel, lib.muse_model_close, lib.muse_model_open, rt, path_bytes(path), ctypes.byref(settings), keep=(rt,))
        self._tokenizer: Tokenizer | None = None
        self._name = os.path.basename(os.path.normpath(os.fspath(path)))

    @classmethod
    def adopt(cls, owner: Owner, name: str) -> Model:
        """A model that C made without files."""
        out = cls.__new__(cls)
        out._owner, out._runtime, out._tokenizer, out._name = owner, owner.keep[0], None, name
        return out

    @property
    def info(self) -> ModelInfo:
        m = n.MuseModelInfo()
        check(lib.muse_model_info(self._own, ctypes.byref(m)), "model")
        types: dict[str, int] = {}
        row = n.MuseModelType()
        while lib.muse_model_type(self._own, len(types), ctypes.byref(row)) == 0:
            types[string(row.name)] = int(row.bytes)
        modalities = ("text",) + ("image",) * bool(m.takes_images) + ("audio",) * bool(m.takes_audio)
        return ModelInfo(string(m.family), string(m.format), modalities, m.n_layers, m.width, m.ffn, m.vocab, m.heads, m.kv_heads, m.head_width, m.window,
                         m.context_limit, m.n_parameters, m.weights_bytes, m.file_bytes, m.bos, m.pad, tuple(m.eos[:m.n_eos]),
                         tuple(m.suppressed[:m.n_suppressed]), m.temperature, m.top_p, m.top_k, m.min_p, m.repetition, types)

    @property
    def family(self) -> str:
        return self.info.family

    @property
    def modalities(self) -> tuple[str, ...]:
        """What may be part of a sequence: "text", "image", "audio"."""
        return self.info.modalities

    def memory(self, positions: int = 0) -> ModelMemory:
        """What running takes; positions 0 = the model's context limit."""
        m = n.MuseModelMemory()
        check(lib.muse_model_memory(self._own, positions, ctypes.byref(m)), f"memory for {positions} positions")
        return ModelMemory(m.positions, m.weights, m.kv_16, m.kv_8, m.workspace)

    @property
    def tensors(self) -> list[Tensor]:
        out, t = [], n.MuseTensorInfo()
        for i in range(lib.muse_model_tensor_count(self._own)):
            check(lib.muse_model_tensor(self._own, i, ctypes.byref(t)), "tensor")
            out.append(Tensor(string(t.name), string(t.type), string(t.file), tuple(t.shape[:t.rank]), t.bytes))
        return out

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that came with the model; opened at first use. FileError or NotFoundError: it has none."""
        own = self._own
        if self._tokenizer is None or self._tokenizer.closed:
            out = Tokenizer.__new__(Tokenizer)
            out._open_from(own)
            self._tokenizer = out
        return self._tokenizer

    @property
    def chat_format(self) -> str | None:
        """The chat format the model was made for, None if none is known: then prompts are raw text."""
        try:
            tokenizer = self.tokenizer._own
        except MuseError:
            return None
        out = ctypes.POINTER(ctypes.c_char)()
        try:
            call(lib.muse_chat_format_of, self.family.encode(), tokenizer, ctypes.byref(out))
        except UnsupportedError:
            return None
        return string(out)

    def sequence(self, *parts: Any, max_positions: int = 0) -> Sequence:
        """A sequence by this model's rules, to count and look at; parts as for Sequence.append()."""
        out = Sequence.__new__(Sequence)
        out._make(self._runtime, self.tokenizer._own, max_positions, (self._own,), family=lib.muse_model_family(self._own))
        return out.append(*parts)

    def audio_feed(self, *, rate: int, channels: int = 1, floats: bool = False) -> AudioFeed:
        """Sound that is still arriving, to frames by this model's rules (see AudioFeed)."""
        out, own = AudioFeed.__new__(AudioFeed), self._own
        out._make(lib.muse_model_family(own), rate, channels, floats, self._runtime)
        return out

    def session(self, **settings: Any) -> Session:
        """Session(self, ...)."""
        from ._session import Session
        return Session(self, **settings)

    def generate(self, *parts: Any, **settings: Any) -> Generation:
        """Let the model write behind a prompt: parts are str, Image, Audio (see muse.generate). A generator of text."""
        from ._generate import generate
        return generate(self, *parts, **settings)

    def ask(self, question: str | None = None, **settings: Any) -> Answer:
        """Answer a question about pictures and sounds, with a chain of thought that looks again (see muse.ask)."""
        from ._reason import ask
        return ask(self, question, **settings)

    def close(self) -> None:
        """Release it. Sessions and sequences made with it go on."""
        super().close()
        self._tokenizer = None

    def _repr_html_(self) -> str | None:
        """What it is, and the memory that running takes, as a table."""
        if self.closed:
            return None
        info, positions = self.info, min(self.info.context_limit, REPR_POSITIONS)
        memory = self.memory(positions)
        need = {kind: size_text(memory.weights + kv + memory.workspace) for kind, kv in (("bf16", memory.kv_16), ("8 bit", memory.kv_8))}
        rows = [("family", f"{info.family} ({info.format})"), ("takes", ", ".join(info.modalities)), ("parameters", f"{info.n_parameters:,}"),
                ("layers", f"{info.n_layers} of width {info.width:,}, MLP {info.ffn:,}; {info.heads} query heads on {info.kv_heads} of {info.head_width}"
                 + (f"; window {info.window:,}" if info.window else "")),
                ("vocabulary", f"{info.vocab:,} ids"), ("context", f"{info.context_limit:,} positions"),
                ("types", ", ".join(f"{name} {size_text(size)}" for name, size in info.types.items())),
                (f"memory for {positions:,} positions", f"{need['bf16']} with keys and values in bf16, {need['8 bit']} in 8 bit; of these {size_text(memory.weights)} are weights, mapped")]
        cells = "".join(f'<tr><th style="text-align:left">{_html.escape(name)}</th><td style="text-align:left">{_html.escape(text)}</td></tr>' for name, text in rows)
        return f"<table><caption>{_html.escape(self._name)}</caption>{cells}</table>"

    def __repr__(self) -> str:
        if self.closed:
            return "<muse.Model, closed>"
        info = self.info
        return f"<muse.Model {self._name}: {info.family}, {info.n_parameters:,} parameters, {', '.join(info.modalities)}>"


def load(path: str | os.PathLike[str], *, mmproj: str | os.PathLike[str] | None = None, weights: str = "files", threads: int | None = None, cpu_level: str | None = None,
         runtime: Runtime | None = None) -> Model:
    """Open a model: a Hugging Face folder or a GGUF file (mmproj: the projector file beside it).

    weights: "files"; of a config.json alone: "random", always the same ones, to measure a shape that nobody has trained, or "none", to read info and memory.
    threads, cpu_level: a runtime of its own with these (see Runtime); otherwise the given runtime, or the one that all share."""
    if threads is not None or cpu_level is not None:
        if runtime is not None:
            raise TypeError("threads and cpu_level belong to a runtime: give either them or a runtime")
        runtime = Runtime(threads=threads or 0, cpu_level=cpu_level or "auto")
    return Model(path, mmproj=mmproj, weights=weights, runtime=runtime)
