# SPDX-License-Identifier: Apache-2.0
"""From logits to the next token; grammars, which say what a text may be."""
from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence as List
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _native as n
from ._lib import Array, Handle, Serial, address, call, check, id_array, lib, params, strings, utf8
from ._runtime import Runtime, choice, runtime_of
from ._text import Ids, Tokenizer

SPACES = {"compact": n.MUSE_GRAMMAR_COMPACT, "spaced": n.MUSE_GRAMMAR_SPACED, "free": n.MUSE_GRAMMAR_FREE}


class Grammar(Handle):
    """What a text may be. Made by regex(), schema(), json() or choices(); any thread, any number of samplers.

    end_ids: ids that end the text where it may end; None = the tokenizer's eos. space, between tokens of JSON: "compact", "spaced", "free"."""

    @classmethod
    def _make(cls, function: Any, tokenizer: Tokenizer, arguments: tuple[Any, ...], end_ids: Any, space: str) -> Grammar:
        out, tok, ends = cls.__new__(cls), tokenizer._own, id_array([] if end_ids is None else end_ids)
        settings = params(n.MuseGrammarParams, lib.muse_grammar_params_init, end_ids=address(ends, ctypes.c_int32) if len(ends) else None, n_end=len(ends),
                          space=choice(SPACES, space, "space"))
        out._open(n.MuseGrammar, lib.muse_grammar_close, function, None, tok, *arguments, ctypes.byref(settings), keep=(tok,))
        return out

    @classmethod
    def regex(cls, tokenizer: Tokenizer, pattern: str | bytes, *, end_ids: Any = None) -> Grammar:
        """The whole text matches a regular expression (docs/sample.md)."""
        data = utf8(pattern)
        return cls._make(lib.muse_grammar_open_regex, tokenizer, (data, len(data)), end_ids, "compact")

    @classmethod
    def schema(cls, tokenizer: Tokenizer, schema: str | bytes | Mapping[str, Any], *, end_ids: Any = None, space: str = "compact") -> Grammar:
        """JSON that is valid under a schema, given as dict or JSON text (docs/sample.md says which keywords)."""
        data = json.dumps(schema).encode() if isinstance(schema, Mapping) else utf8(schema)
        return cls._make(lib.muse_grammar_open_schema, tokenizer, (data, len(data)), end_ids, space)

    @classmethod
    def json(cls, tokenizer: Tokenizer, *, end_ids: Any = None, space: str = "compact") -> Grammar:
        """Any JSON value."""
        return cls._make(lib.muse_grammar_open_json, tokenizer, (), end_ids, space)

    @classmethod
    def choices(cls, tokenizer: Tokenizer, texts: List[str | bytes], *, end_ids: Any = None) -> Grammar:
        """One of these texts."""
        pointers, sizes = strings(texts)
        return cls._make(lib.muse_grammar_open_choices, tokenizer, (pointers, sizes, len(pointers)), end_ids, "compact")

    def match(self, text: str | bytes) -> str:
        """"whole": allowed; "beginning": allowed as a beginning; "no"."""
        data = utf8(text)
        status = lib.muse_grammar_match(self._own, data, len(data))
        return "no" if status == n.MUSE_ERR_NOT_FOUND else "beginning" if check(status, "match") == n.MUSE_AGAIN else "whole"

    @property
    def info(self) -> dict[str, int]:
        """n_states, n_rules, n_masks, masks_max, memory_bytes: see MuseGrammarInfo in grammar.h."""
        out = n.MuseGrammarInfo()
        check(lib.muse_grammar_info(self._own, ctypes.byref(out)), "grammar")
        return {name: getattr(out, name) for name, *_ in out._fields_}


@dataclass(frozen=True)
class SampleParams:
    """How the next token is chosen. As it stands: greedy, without penalties. Ranges and order: sample.h."""
    temperature: float = 0   #: 0 = greedy
    top_k: int = 0           #: 0 = off
    top_p: float = 0         #: 0 or 1 = off
    min_p: float = 0         #: 0 = off
    repetition: float = 0    #: 0 or 1 = off
    presence: float = 0
    frequency: float = 0
    penalty_last: int = 0    #: penalties look at so many last ids; 0 = all
    seed: int = 0
    suppress: tuple[int, ...] = ()  #: ids never picked
    grammar: Grammar | None = None

    def c_params(self) -> tuple[Any, tuple[Any, ...]]:
        """The struct, and what must live as long as it is used."""
        suppress = id_array(list(self.suppress))
        numbers = {name: getattr(self, name) for name in ("temperature", "top_k", "top_p", "min_p", "repetition", "presence", "frequency", "penalty_last", "seed")}
        for name in ("top_k", "penalty_last", "seed"):
            if not 0 <= numbers[name] < 1 << (64 if name == "seed" else 32):
                raise ValueError(f"{name} is {numbers[name]}")
        grammar = self.grammar._own if self.grammar else None
        settings = params(n.MuseSampleParams, lib.muse_sample_params_init, suppress=address(suppress, ctypes.c_int32), n_suppress=len(suppress),
                          grammar=grammar.pointer if grammar else None, **numbers)
        return settings, (suppress, grammar)


@dataclass(frozen=True)
class Sampled:
    id: int
    logprob: float          #: natural, under softmax of the logits as given
    sampled_logprob: float  #: under the distribution that the choice was made from; 0 when greedy


class Sampler(Handle):
    """Chooses tokens from logits. One thread at a time. vocab: length of a row of logits. has_grammar: its settings hold the text to one."""

    def __init__(self, vocab: int, sample: SampleParams = SampleParams(), *, runtime: Runtime | None = None) -> None:
        self.vocab, self.has_grammar, self._serial = vocab, sample.grammar is not None, Serial("Sampler")
        settings, keep = sample.c_params()
        rt = runtime_of(runtime)._own
        self._open(n.MuseSampler, lib.muse_sampler_close, lib.muse_sampler_open, rt, vocab, ctypes.byref(settings), keep=(rt, *keep))

    def copy(self, seed: int) -> Sampler:
        """A second sampler in the same state with a seed of its own."""
        out, own = Sampler.__new__(Sampler), self._own
        out.vocab, out.has_grammar, out._serial = self.vocab, self.has_grammar, Serial("Sampler")
        with self._serial:
            out._open(n.MuseSampler, lib.muse_sampler_close, lib.muse_sampler_copy, own, seed, keep=own.keep)
        return out

    def _call(self, function: Any, *arguments: Any) -> int:
        own = self._own
        with self._serial:
            return call(function, own, *arguments)

    def observe(self, ids: Any) -> None:
        """Show ids of a prompt to the penalties."""
        array = id_array(ids)
        self._call(lib.muse_sampler_observe, address(array, ctypes.c_int32), len(array))

    def pick(self, logits: Array) -> Sampled:
        """Choose the next token; accept() it if it becomes part of the text."""
        row, out = row_of(logits, self.vocab), n.MuseSampled()
        self._call(lib.muse_sampler_pick, address(row, ctypes.c_float), ctypes.byref(out))
        return Sampled(out.id, out.logprob, out.sampled_logprob)

    def accept(self, id: int) -> None:
        """An id becomes part of the text."""
        self._call(lib.muse_sampler_accept, id)

    def reset(self) -> None:
        with self._serial:
            lib.muse_sampler_reset(self._own)

    @property
    def can_end(self) -> bool:
        """The text may end here."""
        return bool(lib.muse_sampler_can_end(self._own))

    @property
    def must_end(self) -> bool:
        """The grammar allows nothing but the end."""
        return bool(lib.muse_sampler_must_end(self._own))


def row_of(logits: Any, vocab: int | None = None) -> npt.NDArray[np.float32]:
    """One row of logits as float32."""
    row = np.ascontiguousarray(logits, np.float32)
    if row.ndim != 1 or not row.size or (vocab is not None and len(row) != vocab):
        raise ValueError(f"logits have shape [{vocab or 'vocab'}], not {list(np.shape(logits))}")
    return row


def logprobs(logits: Array, ids: Any) -> npt.NDArray[np.float32]:
    """Natural log softmax at chosen ids."""
    row, array = row_of(logits), id_array(ids)
    out = np.empty(len(array), np.float32)
    check(lib.muse_logprobs(address(row, ctypes.c_float), len(row), address(array, ctypes.c_int32), len(array), address(out, ctypes.c_float)), "logprobs")
    return out


def top(logits: Array, k: int) -> tuple[Ids, npt.NDArray[np.float32]]:
    """The k most probable ids, the most probable first, and their natural log-probabilities."""
    row = row_of(logits)
    if not 1 <= k <= len(row):
        raise ValueError(f"k is {k}, of {len(row)} logits")
    ids, out = np.empty(k, np.int32), np.empty(k, np.float32)
    check(lib.muse_top(address(row, ctypes.c_float), len(row), k, address(ids, ctypes.c_int32), address(out, ctypes.c_float)), "top")
    return ids, out
