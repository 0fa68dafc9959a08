# SPDX-License-Identifier: Apache-2.0
"""The text tokenizer."""
from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _native as n
from ._lib import Handle, Owner, Serial, address, bytes_at, call, callback, chars, check, id_array, lib, params, path_bytes, returned_ids, returned_text, string, strings, utf8
from ._runtime import Runtime, runtime_of

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TokenizerInfo:
    algorithm: str   #: "bpe", "bpe-fallback" or "unigram"
    vocab_size: int  #: highest id + 1, added tokens included
    n_added: int     #: added (special and user-defined) tokens
    bos: int         #: -1 where the file names none; so the next three
    eos: int
    unk: int
    pad: int
    add_bos: bool    #: the file's own rules put bos first
    memory_bytes: int


class Tokenizer(Handle):
    """Text to ids and back. Read-only, any thread. source: a tokenizer.json, a folder that holds one, a GGUF file, or such a file's bytes."""

    def __init__(self, source: str | os.PathLike[str] | bytes, *, runtime: Runtime | None = None) -> None:
        rt = runtime_of(runtime)._own
        if isinstance(source, bytes):
            self._open(n.MuseTextTokenizer, lib.muse_text_close, lib.muse_text_open_memory, rt, source, len(source), keep=(rt,))
        else:
            self._open(n.MuseTextTokenizer, lib.muse_text_close, lib.muse_text_open_file, rt, path_bytes(source), keep=(rt,))

    def _open_from(self, model: Owner) -> None:
        """the tokenizer of a model's files"""
        pointer = ctypes.POINTER(n.MuseTextTokenizer)()
        call(lib.muse_model_open_tokenizer, model, ctypes.byref(pointer))
        self._owner = Owner(pointer, lib.muse_text_close, model.keep)

    @property
    def info(self) -> TokenizerInfo:
        out = n.MuseTextInfo()
        check(lib.muse_text_info(self._own, ctypes.byref(out)), "tokenizer")
        return TokenizerInfo(string(out.algorithm), out.vocab_size, out.n_added, out.bos, out.eos, out.unk, out.pad, bool(out.add_bos), out.memory_bytes)

    def encode(self, text: str | bytes, *, added: bool = False, bos: bool = False) -> Ids:
        """Ids, int32. added: added tokens in the text count as tokens, else they are plain text. bos: begin as the file's rules say."""
        data = utf8(text)
        return returned_ids(lib.muse_text_encode, self._own, data, len(data), text_flags(added, bos))

    def decode_bytes(self, ids: Any, *, skip_special: bool = False, continued: bool = False) -> bytes:
        """The bytes of ids, exactly. continued: the ids go on with a text, so their first space stays."""
        array = id_array(ids)
        flags = n.MUSE_TEXT_SKIP_SPECIAL * skip_special | n.MUSE_TEXT_CONTINUE * continued
        return returned_text(lib.muse_text_decode, self._own, address(array, ctypes.c_int32), len(array), flags)

    def decode(self, ids: Any, *, skip_special: bool = False, continued: bool = False) -> str:
        """The text of ids. Bytes that are no UTF-8 become U+FFFD; decode_bytes() has them as they are."""
        return self.decode_bytes(ids, skip_special=skip_special, continued=continued).decode("utf-8", "replace")

    def token_bytes(self, id: int) -> bytes:
        """The bytes one id stands for inside a text. NotFoundError: no such id."""
        out, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        check(lib.muse_text_token_bytes(self._own, id, ctypes.byref(out), ctypes.byref(size)), f"token {id}")
        return bytes_at(out, size.value)

    def is_special(self, id: int) -> bool:
        return bool(lib.muse_text_is_special(self._own, id))

    def find(self, token: str | bytes) -> int | None:
        """The id of a token by its exact text, None if there is none."""
        data = utf8(token)
        id = int(lib.muse_text_find(self._own, data, len(data)))
        return None if id == n.MUSE_ERR_NOT_FOUND else check(id, "find")

    def decoder(self, *, skip_special: bool = False, continued: bool = False) -> TextDecoder:
        """For ids that come one by one."""
        return TextDecoder(self, n.MUSE_TEXT_SKIP_SPECIAL * skip_special | n.MUSE_TEXT_CONTINUE * continued)

    def __len__(self) -> int:
        return self.info.vocab_size

    def __repr__(self) -> str:
        return "<muse.Tokenizer, closed>" if self.closed else f"<muse.Tokenizer {self.info.algorithm}, {self.info.vocab_size} ids>"


def text_flags(added: bool, bos: bool) -> int:
    return n.MUSE_TEXT_ADDED * added | n.MUSE_TEXT_BOS * bos


class TextDecoder(Handle):
    """Give ids one by one, get text that never ends inside a character. One thread at a time."""

    def __init__(self, tokenizer: Tokenizer, flags: int) -> None:
        self._serial = Serial("TextDecoder")
        self._open(n.MuseTextDecoder, lib.muse_text_decoder_close, lib.muse_text_decoder_open, tokenizer._own, flags, keep=(tokenizer._own,))

    def push(self, id: int) -> str:
        """What became complete with this id, maybe ""."""
        return self._take(lib.muse_text_decoder_push, id)

    def flush(self) -> str:
        """The end: what never became whole, as U+FFFD. Starts anew."""
        return self._take(lib.muse_text_decoder_flush)

    def _take(self, function: Any, *arguments: Any) -> str:
        text, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        with self._serial:
            call(function, self._own, *arguments, ctypes.byref(text), ctypes.byref(size))
            return string(text, size.value)


def train_tokenizer(texts: Iterable[str | bytes], vocab_size: int, *, added: Iterable[str] = (), min_count: int = 0, pattern: str | None = None,
                    progress: Callable[[int, int], object] | None = None, runtime: Runtime | None = None) -> bytes:
    """Train a byte-level BPE vocabulary; returns a tokenizer.json, for Tokenizer() or a file.

    added: special tokens, ids 0, 1, ... min_count: pairs seen less often are not merged, 0 = 2. pattern: "gpt2", "llama3", "qwen2" or
    "smollm". progress(done, wanted): merges; a true value stops with Cancelled."""
    pointers, sizes = strings(list(texts))
    names, _ = strings(list(added))
    rt = runtime_of(runtime)._own
    settings = params(n.MuseTextTrainParams, lib.muse_text_train_params_init, vocab_size=vocab_size, added=names, n_added=len(names), min_count=min_count,
                      pattern=chars(pattern))
    kind = dict(n.MuseTextTrainParams._fields_)["progress"]
    settings.progress = callback(kind, lambda user, done, wanted: 1 if progress and progress(done, wanted) else 0, 1)
    return returned_text(lib.muse_text_train_bpe, rt, pointers, sizes, len(pointers), ctypes.byref(settings))
