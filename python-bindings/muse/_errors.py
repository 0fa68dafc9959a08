# SPDX-License-Identifier: Apache-2.0
"""Exceptions: one class for each negative status code of include/muse/status.h, all of them MuseError. Where Python has a class for
the same thing, ours is one of those too, so `except MemoryError` and the like work."""
from __future__ import annotations

from . import _native as n


class MuseError(Exception):
    """A call of the library failed. The text names what and where; `code` is the status code."""
    code: int = 0


class ArgumentError(MuseError, ValueError):
    """An argument is out of range or inconsistent."""
    code = n.MUSE_ERR_ARG


class OutOfMemoryError(MuseError, MemoryError):
    """The allocator gave no memory."""
    code = n.MUSE_ERR_NOMEM


class FileError(MuseError, OSError):
    """A file can't be opened, read or written."""
    code = n.MUSE_ERR_IO


class FormatError(MuseError, ValueError):
    """The bytes are not valid for their format: damaged, truncated, lying."""
    code = n.MUSE_ERR_FORMAT


class UnsupportedError(MuseError):
    """Valid, but not something this build or model can take."""
    code = n.MUSE_ERR_UNSUPPORTED


class LimitError(MuseError):
    """Over a stated limit (pixels, seconds, file size)."""
    code = n.MUSE_ERR_LIMIT


class Cancelled(MuseError):
    """The caller asked to stop."""
    code = n.MUSE_ERR_CANCELLED


class FullError(MuseError):
    """A buffer or capacity is too small."""
    code = n.MUSE_ERR_FULL


class StateError(MuseError, RuntimeError):
    """The object is not in a state that allows this call."""
    code = n.MUSE_ERR_STATE


class BusyError(StateError):
    """The object is in use: by another thread, by a generation that is not finished, or by the call that a callback is in."""


class NotFoundError(MuseError, LookupError):
    """No such name, id or member."""
    code = n.MUSE_ERR_NOT_FOUND


class LibraryError(MuseError, ImportError):
    """libmuse itself can't be loaded, or it is of another version than this package."""


BY_CODE: dict[int, type[MuseError]] = {kind.code: kind for kind in (
    ArgumentError, OutOfMemoryError, FileError, FormatError, UnsupportedError, LimitError, Cancelled, FullError, StateError, NotFoundError)}


def error_of(code: int, text: str) -> MuseError:
    """The exception for a status code. A code of a newer library is a plain MuseError."""
    error = BY_CODE.get(code, MuseError)(text)
    error.code = code
    return error
