# SPDX-License-Identifier: Apache-2.0
"""Conversations in the words of each model: messages to a prompt, and what the model wrote back to a message."""
from __future__ import annotations

import contextlib
import ctypes
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import _native as n
from ._errors import BusyError, StateError, UnsupportedError
from ._lib import Handle, Serial, address, call, chars, check, id_array, lib, params, returned_ids, returned_text, string, utf8
from ._media import Audio, Image
from ._model import Model
from ._sequence import Sequence, budget_of
from ._session import Session
from ._text import Ids, Tokenizer

REASONS = {n.MUSE_CHAT_STOP: "stop", n.MUSE_CHAT_TOOLS: "tools", n.MUSE_CHAT_CUT: "cut"}


def as_json(value: Any) -> bytes:
    return utf8(value) if isinstance(value, (str, bytes)) else json.dumps(value).encode()


@dataclass(frozen=True)
class Call:
    """A call of a tool that the model wrote."""
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """A message of the model."""
    answer: str
    thought: str
    calls: tuple[Call, ...]
    bad_calls: tuple[tuple[str, str], ...]  #: calls that can't be read: (text, why)
    reason: str   #: "stop": the model ended its turn; "tools": it waits for results; "cut": the text is not at its end; "": not ended yet


class Chat(Handle):
    """A conversation in a format: "gemma4_unified", "llama3", "llama3.1", "chatml", "smollm2", "qwen2.5", "qwen3", "muse", "fuyu", or
    that of a Model. One thread at a time.

    thinking: None = the format's own, True, False. The others: see MuseChatParams in chat.h. What the caller says is plain text: a control token
    spelled out in it stays text."""

    def __init__(self, format: str | Model, *, thinking: bool | None = None, preserve_thinking: bool = False, generation: bool = True, default_system: bool = True,
                 date: str | None = None) -> None:
        name = format.chat_format if isinstance(format, Model) else format
        if name is None:
            raise UnsupportedError("no chat format is known for this model")
        self.format, self._serial = name, Serial("Chat")
        how = n.MUSE_THINKING_DEFAULT if thinking is None else n.MUSE_THINKING_ON if thinking else n.MUSE_THINKING_OFF
        settings = params(n.MuseChatParams, lib.muse_chat_params_init, format=chars(name), thinking=how, preserve_thinking=preserve_thinking,
                          no_generation=not generation, no_default_system=not default_system, date=chars(date))
        self._open(n.MuseChat, lib.muse_chat_close, lib.muse_chat_open, None, ctypes.byref(settings))

    def _call(self, function: Any, *arguments: Any) -> int:
        own = self._own
        with self._serial:
            return call(function, own, *arguments)

    # ---- building ----

    def tool(self, name: str, description: str = "", parameters: Any = None) -> Chat:
        """Offer a tool; parameters: a JSON schema as dict or text."""
        data = as_json(parameters) if parameters is not None else None
        self._call(lib.muse_chat_add_tool, utf8(name), utf8(description), data, len(data or b""))
        return self

    def system(self, *parts: Any) -> Chat:
        return self._message(n.MUSE_ROLE_SYSTEM, parts)

    def user(self, *parts: Any) -> Chat:
        """A message of str, Image and Audio parts."""
        return self._message(n.MUSE_ROLE_USER, parts)

    def assistant(self, *parts: Any, thought: str | None = None, calls: tuple[Call, ...] = ()) -> Chat:
        with self._whole():
            self._call(lib.muse_chat_add, n.MUSE_ROLE_ASSISTANT)
            if thought is not None:
                data = utf8(thought)
                self._call(lib.muse_chat_add_thought, data, len(data))
            self._parts(parts)
            for made in calls:
                data = as_json(made.arguments)
                self._call(lib.muse_chat_add_call, None, utf8(made.name), data, len(data))
        return self

    def result(self, name: str, *parts: Any) -> Chat:
        """The result of a call: str, Image and Audio parts, or one dict, list, number, bool or None as JSON."""
        with self._whole():
            self._call(lib.muse_chat_add_result, None, utf8(name))
            for part in parts:
                if isinstance(part, (str, bytes, Image, Audio)):
                    self._parts((part,))
                else:
                    data = json.dumps(part).encode()
                    self._call(lib.muse_chat_add_json, data, len(data))
        return self

    def _message(self, role: int, parts: tuple[Any, ...]) -> Chat:
        with self._whole():
            self._call(lib.muse_chat_add, role)
            self._parts(parts)
        return self

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """a message that can't be completed is taken back"""
        length = len(self)
        try:
            yield
        except BaseException:
            self._cut(length)
            raise

    def _cut(self, length: int) -> None:
        own = self._own
        with self._serial:
            while lib.muse_chat_length(own) > length:
                lib.muse_chat_drop_newest(own)

    def _parts(self, parts: tuple[Any, ...]) -> None:
        for part in parts:
            if isinstance(part, Image):
                options = params(n.MuseImageOptions, lib.muse_image_options_init, budget=budget_of(None))
                self._call(lib.muse_chat_add_image, part._own, ctypes.byref(options))
            elif isinstance(part, Audio):
                self._call(lib.muse_chat_add_audio, part._own)
            elif isinstance(part, (str, bytes)):
                data = utf8(part)
                self._call(lib.muse_chat_add_text, data, len(data))
            else:
                raise TypeError(f"a part of a message is str, Image or Audio, not {type(part).__name__}")

    # ---- using ----

    def __len__(self) -> int:
        """Messages so far."""
        return int(lib.muse_chat_length(self._own))

    def __bool__(self) -> bool:
        return True

    @property
    def prompt(self) -> str:
        """The prompt as one string, to look at: pictures as <|image|>, sounds as <|audio|>."""
        own = self._own
        with self._serial:
            return returned_text(lib.muse_chat_prompt, own).decode("utf-8", "replace")

    def append_to(self, sequence: Sequence, from_message: int = 0) -> None:
        """Append the prompt to a sequence of the same model. from_message k: what comes behind message k - 1."""
        with sequence._serial:
            self._call(lib.muse_chat_append, sequence._own, from_message)

    def stop_ids(self, tokenizer: Tokenizer) -> list[int]:
        """Ids that end the model's turn."""
        from ._generate import stop_ids_of
        return stop_ids_of(self.format, tokenizer)

    def close_thought(self, tokenizer: Tokenizer, words: str | None = None) -> Ids:
        """Ids to append to a running thought so that the answer comes next."""
        return returned_ids(lib.muse_chat_close_thought, self.format.encode(), tokenizer._own, utf8(words) if words is not None else None)

    def parser(self, tokenizer: Tokenizer | None = None) -> ChatParser:
        """Reads what the model writes behind this prompt; with a tokenizer it takes ids, else text."""
        return ChatParser(self, tokenizer)

    def parse(self, written: Any, tokenizer: Tokenizer | None = None) -> Reply:
        """Read all of what the model wrote: a text, or ids (with their tokenizer)."""
        with self.parser(tokenizer) as parser:
            parser.feed(written)
            return parser.finish()


class ChatParser(Handle):
    """Reads what a model writes, piece by piece. One thread at a time."""

    def __init__(self, chat: Chat, tokenizer: Tokenizer | None) -> None:
        self._serial, self._ended = Serial("ChatParser"), ""
        self._parts: dict[int, list[str]] = {n.MUSE_CHAT_THOUGHT: [], n.MUSE_CHAT_ANSWER: []}
        self._calls: list[Call] = []
        self._bad: list[tuple[str, str]] = []
        own, tok = chat._own, tokenizer._own if tokenizer else None
        with chat._serial:
            self._open(n.MuseChatParser, lib.muse_chat_parser_close, lib.muse_chat_parser_open, own, tok, keep=(tok,))

    def feed(self, written: Any) -> Reply:
        """Give text or ids. Returns what was read so far."""
        used = ctypes.c_size_t()
        with self._serial:
            if isinstance(written, (str, bytes)):
                data = utf8(written)
                call(lib.muse_chat_parser_feed_text, self._own, data, len(data), ctypes.byref(used))
            else:
                array = id_array(written)
                call(lib.muse_chat_parser_feed_ids, self._own, address(array, ctypes.c_int32), len(array), ctypes.byref(used))
            return self._take()

    def finish(self) -> Reply:
        """No more comes."""
        with self._serial:
            call(lib.muse_chat_parser_finish, self._own)
            return self._take()

    def add_to(self, chat: Chat) -> None:
        """Add all that was read as an assistant's message."""
        with self._serial:
            chat._call(lib.muse_chat_add_parsed, self._own)

    def _take(self) -> Reply:
        item = n.MuseChatItem()
        while check(lib.muse_chat_parser_next(self._own, ctypes.byref(item)), "chat parser") == 0:
            text = string(item.text, item.n)
            if item.kind == n.MUSE_CHAT_CALL:
                self._calls.append(Call(string(item.name), json.loads(string(item.arguments, item.n_arguments))))
            elif item.kind == n.MUSE_CHAT_BAD_CALL:
                self._bad.append((text, string(item.error)))
            elif item.kind == n.MUSE_CHAT_END:
                self._ended = REASONS[item.reason]
            elif item.kind == n.MUSE_CHAT_TOKEN:
                self._parts[n.MUSE_CHAT_THOUGHT if item.thought else n.MUSE_CHAT_ANSWER].append(text)
            else:
                self._parts[item.kind].append(text)
        thought, answer = ("".join(self._parts[kind]) for kind in (n.MUSE_CHAT_THOUGHT, n.MUSE_CHAT_ANSWER))
        return Reply(answer, thought, tuple(self._calls), tuple(self._bad), self._ended)


class Conversation:
    """A chat with a model that goes on: each say() computes only what is new. `chat` and `session` are there to look at.

    What the model can't be shown is taken back from the chat. After an interrupt or an error in the midst of a reply the chat ends with the user's
    message: go_on() answers it, from the beginning.

    system, thinking: as Chat; tools: (name, description, schema) each; session: settings of the Session; other settings as muse.generate."""

    def __init__(self, model: Model, *, system: str | None = None, thinking: bool | None = None, tools: tuple[tuple[str, str, Any], ...] = (),
                 session: Mapping[str, Any] | None = None, **settings: Any) -> None:
        self.model, self._settings, self._session_settings = model, settings, dict(session or {})
        self.chat = Chat(model, thinking=thinking)
        for name, description, parameters in tools:
            self.chat.tool(name, description, parameters)
        if system is not None:
            self.chat.system(system)
        self.session: Session = Session(model, **self._session_settings)
        self._held = 0   # messages that the session holds

    def say(self, *parts: Any) -> Reply:
        """A user's message; returns the model's."""
        length = len(self.chat)
        self.chat.user(*parts)
        return self._reply(length)

    def result(self, name: str, *parts: Any) -> Conversation:
        """The result of a call in the newest reply; go_on() when all are there."""
        self.chat.result(name, *parts)
        return self

    def go_on(self) -> Reply:
        """The model's next message."""
        return self._reply(len(self.chat))

    def _append(self) -> None:
        try:
            self.chat.append_to(self.session.sequence, self._held)
        except BusyError:
            raise
        except StateError:   # the format writes earlier messages otherwise now: all of it anew
            self._begin()
            self.chat.append_to(self.session.sequence)

    def _begin(self) -> None:
        """with an empty session"""
        self.session.close()
        self.session, self._held = Session(self.model, **self._session_settings), 0

    def _reply(self, before: int) -> Reply:
        """before: messages that stay if the prompt can't be appended"""
        appended = False
        try:
            self._append()
            appended = True
            written = self.session.generate(chat_format=self.chat.format, **self._settings).run()
            with self.chat.parser(self.model.tokenizer) as parser:
                parser.feed(written.ids)
                reply = parser.finish()
                parser.add_to(self.chat)
            self._held = len(self.chat)
        except BaseException as error:
            if not appended:
                self.chat._cut(before)
            if appended or not isinstance(error, BusyError):   # else the sequence may end anywhere, in a reply too
                self._begin()
            raise
        if reply.reason == "cut":   # no ending token stands in the sequence, so the chat can't go on behind it
            self._begin()
        return reply

    def close(self) -> None:
        self.chat.close()
        self.session.close()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
