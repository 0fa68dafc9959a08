# SPDX-License-Identifier: Apache-2.0
"""Natively multimodal, encoder-free transformers: libmuse from Python. docs/python.md is the guide.

    import muse
    model = muse.load("models/muse-nano")
    answer = model.ask("How many red squares are there?", images=["picture.png"])
    print(answer, answer.confidence)

Objects that hold memory have close(), are context managers, and raise ValueError when they are used after that. Calls release the GIL."""
from ._errors import (ArgumentError, BusyError, Cancelled, FileError, FormatError, FullError, LibraryError, LimitError, MuseError, NotFoundError, OutOfMemoryError, StateError,
                      UnsupportedError)
from ._lib import VERSION as __version__
from ._runtime import Limits, Runtime, RuntimeInfo
from ._media import Audio, AudioFeed, AudioInfo, Heat, Image, ImageInfo, Rect
from ._text import TextDecoder, Tokenizer, TokenizerInfo, train_tokenizer
from ._sequence import MODALITIES, Position, Sequence, Span, families
from ._model import Model, ModelInfo, ModelMemory, Tensor, load
from ._session import PrefixCache, Session, SessionInfo, Watched
from ._sample import Grammar, Sampled, SampleParams, Sampler, logprobs, top
from ._generate import Generated, Generation, Token, generate
from ._chat import Call, Chat, ChatParser, Conversation, Reply
from ._trace import Coords, Mark, Summary, Trace, TraceStep
from ._reason import Agent, AgentInfo, Answer, Candidate, Event, Step, ToolError, Tools, ask, coordinate, look_view, vote
from ._train import Branch, Gaze, Guard, Label, Picture, Prompt, Report, Rollout, Sample, Sound, Task, Text, Trained, Trainer, TrainerInfo, Way, train
from ._scaling import Interval, ScalingFit, ScalingPoint
from ._convert import Converted, convert
