# SPDX-License-Identifier: Apache-2.0
"""Let a model write: a generator of text, one token of C's stream at each step."""
from __future__ import annotations

import contextlib
import ctypes
import struct
from collections.abc import Iterator, Mapping, Sequence as List
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _native as n
from ._errors import MuseError, StateError, UnsupportedError
from ._lib import Call, Handle, address, call, chars, copied, id_array, lib, params, string, strings, utf8
from ._model import Model
from ._sample import Grammar, SampleParams, Sampler
from ._session import Session
from ._text import Ids

if TYPE_CHECKING:
    from ._chat import ChatParser

FINISHES = {number: string(lib.muse_finish_name(number)) for number in range(n.MUSE_FINISH_CANCELLED + 1)}

# MuseGenerated read at once: what ctypes calls its types, struct does too; a pointer is a number
_KINDS: list[Any] = [kind for _, kind, *_ in n.MuseGenerated._fields_]
_TOKEN = struct.Struct("@" + "".join(kind._type_ if isinstance(kind._type_, str) else "P" for kind in _KINDS))


class Token(NamedTuple):
    """One token as it is written."""
    id: int         #: -1: no token, only text that was held back until the end
    text: str       #: what became certain with it: whole characters, nothing of a stop string; may be ""
    logprob: float  #: natural, under softmax of the model's logits


@dataclass(frozen=True)
class Generated:
    """What was written."""
    text: str
    ids: Ids                            #: new tokens, int32
    logprobs: npt.NDArray[np.float32]   #: natural, under softmax of the model's logits
    finish: str         #: "stop id", "stop string", "length", "full", "grammar", "cancelled"; "error" if the call failed in between
    stop: str | None    #: the stop string that ended it
    prompt_tokens: int  #: positions that the session held before
    answer: str = ""    #: of muse.generate() in a chat format: without the thought; otherwise the text
    thought: str = ""   #: of muse.generate() in a chat format


class _Stream(Handle):
    """muse_stream_*(): the session, and a sampler that is given, are in use from open to close, also when this is simply dropped."""

    def __init__(self, session: Session, settings: Any, keep: tuple[Any, ...], sampler: Sampler | None) -> None:
        self._busy = contextlib.ExitStack()
        own = session._own
        try:
            for used in (session, sampler):
                if used is not None:
                    self._busy.enter_context(used._serial)
            self._open(n.MuseStream, lib.muse_stream_close, lib.muse_stream_open, own, ctypes.byref(settings), keep=(own, *keep))
        except BaseException:
            self._busy.close()
            raise
        self.token = n.MuseGenerated()   #: the newest, after each call of `next`
        self.next, self.begun = Call(lib.muse_stream_next, self._own.pointer, ctypes.byref(self.token)), False

    def result(self, stops: list[str | bytes]) -> tuple[Generated, BaseException | None]:
        """Once; ends the text. Also what went wrong with that."""
        out, failed = n.MuseGenerateResult(), None
        try:
            call(lib.muse_stream_result, self._own, ctypes.byref(out))
        except BaseException as error:
            failed = error
        stop = string(utf8(stops[out.stop])) if out.finish == n.MUSE_FINISH_STRING else None
        ids, logprobs = copied(out.ids, ctypes.c_int32, out.n), copied(out.logprobs, ctypes.c_float, out.n)
        result = Generated(string(out.text, out.n_text), ids, logprobs, FINISHES[out.finish], stop, out.prompt_tokens)
        lib.muse_generate_result_clear(ctypes.byref(out))
        return result, failed

    def close(self) -> None:
        super().close()
        self._busy.close()

    def __del__(self) -> None:
        if self._owner is not None:
            self.close()


class Generation:
    """A text being written: iterate over its pieces (str), or over tokens(), or take all of it with run(). `with` and close() end it early.

    Nothing is computed before the first piece is asked for. While it goes on, its session is in use; afterwards, however it ended, the
    session holds exactly the tokens that were handed out, and can go on. result: what was written (None while it goes on), also after an
    early end or an error. One thread at a time. For settings see muse.generate."""

    def __init__(self, session: Session, *, max_tokens: int = 0, stop: List[str | bytes] = (), stop_ids: Any = None, sample: SampleParams | None = None,
                 sampler: Sampler | None = None, chat_format: str | None = None, suppress: Any = None, grammar: Grammar | None = None, regex: str | None = None,
                 schema: str | Mapping[str, Any] | None = None, choices: List[str | bytes] | None = None, **sampling: Any) -> None:
        session._own
        self.session, self._stops = session, texts_of(stop)
        self.result: Generated | None = None
        self._stream: _Stream | None = None
        self._parser: ChatParser | None = None   # of muse.generate(): tells thought from answer
        if sampler is not None and (sample or sampling or grammar or regex or schema or choices or suppress is not None):
            raise TypeError("a sampler is used as it stands: its settings, grammar and suppressed ids are its own")
        sample = replace(sample or SampleParams(), **sampling)
        grammars = [g for g in (sample.grammar, grammar, _grammar(session.model, chat_format, regex, schema, choices)) if g is not None]
        if len(grammars) > 1:
            raise TypeError("give one grammar")
        self._held = bool(grammars) or (sampler is not None and sampler.has_grammar)   # to a grammar: no thought
        c_sample, keep = replace(sample, grammar=grammars[0] if grammars else None).c_params()
        pointers, sizes = strings(self._stops)
        settings = params(n.MuseGenerateParams, lib.muse_generate_params_init, max_tokens=max_tokens, chat_format=chars(chat_format), stop=pointers,
                          stop_sizes=sizes, n_stop=len(pointers), sample=ctypes.pointer(c_sample), sampler=sampler._own.pointer if sampler else None)
        arrays = []
        for name, ids in (("stop_ids", stop_ids), ("suppress", suppress)):
            if ids is not None:   # an empty list is none at all, not the model's
                count = len(id_array(ids))
                arrays.append(id_array(ids) if count else np.zeros(1, np.int32))
                setattr(settings, name, address(arrays[-1], ctypes.c_int32))
                setattr(settings, "n_" + name, count)
        self._settings, self._keep, self._sampler = settings, (keep, arrays, sampler._own if sampler else None), sampler

    def tokens(self) -> Iterator[Token]:
        """The tokens one by one; goes on where an earlier iteration stopped."""
        return self._write(True)

    def _write(self, wanted: bool) -> Iterator[Any]:
        """A Token for each, or None if they are not wanted. Its loop stands here by itself, without calls of Python's own: between two tokens the weights
        go through the caches, so that each function and object that is touched is fetched anew (docs/python.md)."""
        if self._stream is None and self.result is None:
            self._stream = _Stream(self.session, self._settings, self._keep, self._sampler)
        stream = self._stream
        if stream is None:
            return
        token, (step, arguments, raised), made = stream.token, stream.next.bare, None
        while stream is self._stream:   # it is not once it was closed
            try:
                if stream.begun:
                    status = step(*arguments)
                    if status < 0 or raised:
                        stream.next.fail(status)
                else:   # only while the prompt is computed C calls back
                    status, stream.begun = stream.next(), True
                if wanted and not status:
                    _, id, logprob, text, size = _TOKEN.unpack_from(token)
                    made = tuple.__new__(Token, (id, ctypes.string_at(text, size).decode("utf-8", "replace") if size else "", logprob))
            except BaseException:
                with contextlib.suppress(MuseError):   # the first error is the one to know of
                    self.close()
                raise
            if status:
                self.close()
                return
            yield made

    def __iter__(self) -> Iterator[str]:
        for token in self._write(True):
            if token.text:
                yield token.text

    def run(self) -> Generated:
        """Write to the end and return the result; also after some pieces were taken. Ctrl-C stops it; `result` then has what was written."""
        try:
            for _ in self._write(False):
                pass
        finally:
            self.close()
        if self.result is None:
            raise StateError("this generation was closed before it began")
        return self.result

    def close(self) -> None:
        """End it here."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with stream:
                self.result, failed = stream.result(self._stops)
            self.result = replace(self.result, answer=self.result.text)
            if self._parser is not None:
                with self._parser as parser:
                    parser.feed(self.result.text)
                    reply = parser.finish()
                self.result, self._parser = replace(self.result, answer=reply.answer, thought=reply.thought), None
            if failed is not None:
                raise failed

    def __enter__(self) -> Generation:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _grammar(model: Model, chat_format: str | None, regex: str | None, schema: str | Mapping[str, Any] | None, choices: List[str | bytes] | None) -> Grammar | None:
    """from the one of the three that is given, if any; it ends with what ends the model's text"""
    if (regex is not None) + (schema is not None) + (choices is not None) > 1:
        raise TypeError("give one of regex, schema and choices")
    if regex is None and schema is None and choices is None:
        return None
    tokenizer = model.tokenizer
    ends = [*model.info.eos, *stop_ids_of(chat_format, tokenizer)] or None
    if regex is not None:
        return Grammar.regex(tokenizer, regex, end_ids=ends)
    return Grammar.schema(tokenizer, schema, end_ids=ends) if schema is not None else Grammar.choices(tokenizer, choices or [], end_ids=ends)


def texts_of(texts: str | bytes | List[str | bytes]) -> list[str | bytes]:
    """one text, or several"""
    return [texts] if isinstance(texts, (str, bytes)) else list(texts)


def stop_ids_of(chat_format: str | None, tokenizer: Any) -> list[int]:
    """Ids that end the model's turn in a chat format; [] without one."""
    if chat_format is None:
        return []
    ids, count = (ctypes.c_int32 * 16)(), ctypes.c_size_t()
    status = lib.muse_chat_stop_ids(chat_format.encode(), tokenizer._own, ids, 16, ctypes.byref(count), None)
    return list(ids[:count.value]) if status == 0 else []


def generate(model: Model, *parts: Any, system: str | None = None, thinking: bool | None = None, raw: bool = False, session: Mapping[str, Any] | None = None,
             **settings: Any) -> Generation:
    """Let a model write behind a prompt: a Generation, to iterate over or to run().

    parts: str, Image, Audio, in order; one user's message in the model's chat format. system: a system text. thinking: None = as the
    format does; its thought is part of what is written, `result.answer` is without it. Under a grammar, also of sample or sampler, nothing is
    a thought: it holds for all of the text. raw: no chat format: parts as they are, added tokens in texts count. A model without a known
    format gets the parts as they are, after its beginning token. session: settings of the Session that is made (compute, kv, max_positions, ...).

    Settings of the generation: max_tokens (0 = as many as there is room for); stop: strings; stop_ids: None = the model's; sample: a SampleParams,
    or its members by name (temperature, top_p, seed, ...); sampler: one that is used as it stands; one of grammar, regex, schema (dict or
    JSON text), choices; suppress: ids never picked, None = the model's."""
    from ._chat import Chat
    chat_format = None if raw else model.chat_format
    if chat_format is None and (system is not None or thinking is not None):
        raise UnsupportedError("system and thinking need a chat format; none is known for this model, or raw is set")
    out = Session(model, **(session or {}))
    if chat_format is not None:
        with Chat(chat_format, thinking=thinking) as chat:
            if system is not None:
                chat.system(system)
            chat.user(*parts).append_to(out.sequence)
            generation = Generation(out, chat_format=chat_format, **settings)
            if not generation._held:
                generation._parser = chat.parser(None)
        return generation
    for part in parts:
        if isinstance(part, (str, bytes)):
            out.sequence.append_text(part, added=raw, bos=not raw)
        else:
            out.sequence.append(part)
    return Generation(out, chat_format=None, **settings)
