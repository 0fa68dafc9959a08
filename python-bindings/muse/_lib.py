# SPDX-License-Identifier: Apache-2.0
"""The loaded library and what every other module stands on: calls with their errors, callbacks, owned handles, buffers.

Calls release the GIL (ctypes does). An exception in a callback is kept, the C call is told to stop, and the exception leaves from
the Python call that was under way; nothing is printed and forgotten. Not for users of the package."""
from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import itertools
import os
import pathlib
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence as List
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from . import _native as n
from ._errors import BusyError, LibraryError, error_of

VERSION = "0.1.0"
LIBRARY = f"libmuse.so.{n.MUSE_ABI_VERSION}"
# what libmuse is linked with, and the packages of Debian 12 that have it (docs/python.md)
NEEDED = {"libyajl.so.2": "libyajl2", "libb2.so.1": "libb2-1", "libpcre2-8.so.0": "libpcre2-8-0", "libutf8proc.so.2": "libutf8proc2", "libjpeg.so.62": "libjpeg62-turbo",
          "libpng16.so.16": "libpng16-16", "libwebp.so.7": "libwebp7", "libwebpdemux.so.2": "libwebpdemux2", "libsndfile.so.1": "libsndfile1", "libsoxr.so.0": "libsoxr0",
          "libfftw3f.so.3": "libfftw3-single3", "libdnnl.so.2": "libdnnl2", "libgomp.so.1": "libgomp1"}
Array = npt.NDArray[Any]
T = TypeVar("T", bound="Handle")


# ---- finding and loading ----

def places() -> list[tuple[str, str]]:
    """Where the library is looked for, in order: (why, path)."""
    out = []
    if os.environ.get("MUSE_LIBRARY"):
        return [("the environment variable MUSE_LIBRARY", os.environ["MUSE_LIBRARY"])]   # said on purpose: nothing else will do
    out.append(("beside this package", str(pathlib.Path(__file__).resolve().parent / LIBRARY)))
    out.append(("the system's libraries", LIBRARY))
    found = ctypes.util.find_library("muse")
    if found and found != LIBRARY:
        out.append(("the system's libraries", found))
    return out


def load() -> ctypes.CDLL:
    """Load the first library that there is. A library that is there but is of another version is an error: no other is tried."""
    tried = []
    for why, path in places():
        try:
            lib = ctypes.CDLL(path)
        except OSError as error:
            tried.append(f"  {path} ({why}): {error}")
            lacks = re.match(r"(\S+): cannot open shared object file", str(error))
            if lacks and lacks[1] != path:   # glibc names the first one that is missing, not libmuse
                tried.append(f"    it needs {lacks[1]} of the system. On Debian 12 it and the others come with: apt-get install {' '.join(NEEDED.values())}")
            continue
        check_version(lib, path)
        return lib
    raise LibraryError("libmuse can't be loaded. Tried:\n" + "\n".join(tried) + "\nSet MUSE_LIBRARY to the path of " + LIBRARY)


def check_version(lib: ctypes.CDLL, path: str) -> None:
    """The structs in _native.py are those of one version; with another they would read and write the wrong bytes."""
    try:
        abi = lib.muse_abi_version
        version = lib.muse_version
        version.restype = ctypes.c_char_p
        have, name = abi(), version().decode()
    except AttributeError:
        raise LibraryError(f"{path} is not libmuse") from None
    if have != n.MUSE_ABI_VERSION or (n.MUSE_ABI_VERSION == 0 and name != VERSION):   # ABI 0 promises nothing between versions
        raise LibraryError(f"{path} is libmuse {name} with ABI {have}; this package is for {VERSION} with ABI {n.MUSE_ABI_VERSION}")
    for symbol, (result, arguments) in n.PROTOTYPES.items():
        try:
            function = getattr(lib, symbol)
        except AttributeError:
            raise LibraryError(f"{path} is libmuse {name} but has no {symbol}: package and library are not of the same build") from None
        function.restype, function.argtypes = result, arguments


lib = load()


# ---- calls ----

class _Frames(threading.local):
    """For each call under way in this thread, the newest last: exceptions of its callbacks."""
    def __init__(self) -> None:
        self.stack: list[list[BaseException]] = []


_frames = _Frames()
_MAIN = threading.main_thread().ident
_orphans: list[BaseException] = []   # of callbacks in threads of the library's own; the next call raises them


def call(function: Any, *arguments: Any) -> int:
    """Call what takes a MuseError last. Returns 0 or a positive status; raises what a callback raised, or the status as exception."""
    return Call(function, *arguments)()


class Call:
    """call() that can be made again: what runs at each token is set up once. One thread at a time."""
    __slots__ = ("_function", "_arguments", "_error", "_frame", "_hook")

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._error = n.MuseError()
        self._function, self._arguments = function, (*arguments, ctypes.byref(self._error))
        self._frame: list[BaseException] = []
        self._hook: Callable[[Any], Any] = sys.unraisablehook

    def __call__(self) -> int:
        stack = _frames.stack
        stack.append(self._frame)
        main = threading.get_ident() == _MAIN
        if main:   # an interrupt may arrive on a callback's threshold, where no `try` of ours stands yet
            hook = self._hook = sys.unraisablehook
            sys.unraisablehook = self._catch
        try:
            status: int = self._function(*self._arguments)
        finally:
            if main:
                sys.unraisablehook = hook
            stack.pop()
        if status < 0 or self._frame or _orphans:
            self.fail(status)
        return status

    @property
    def bare(self) -> tuple[Callable[..., int], tuple[Any, ...], list[BaseException]]:
        """Function and arguments, to be called without what the other way does for callbacks: that takes longer than the call. For calls in which C
        calls back nothing but the log. If the status is negative, or the list (of what the log raised) not empty: fail(status)."""
        return self._function, self._arguments, _orphans

    def fail(self, status: int) -> None:
        """Raise what a call with this negative status, or its callbacks, ended with."""
        if self._frame:
            first = self._frame[0]
            self._frame.clear()
            raise first
        if _orphans:
            raise _orphans.pop(0)
        raise error_of(status, self._error.text.decode("utf-8", "replace"))

    def _catch(self, seen: Any) -> None:
        if seen.err_msg and "ctypes callback" in seen.err_msg and seen.exc_value is not None:
            self._frame.append(seen.exc_value)
        else:
            self._hook(seen)


def check(status: int, what: str) -> int:
    """The status of a call that takes no MuseError."""
    if status < 0:
        raise error_of(status, f"{what}: {(lib.muse_status_text(status) or b'').decode()}")
    return status


def callback(kind: Any, function: Callable[..., Any], stop: Any) -> Any:
    """A C callback of this type that runs `function`. When it raises, C gets `stop`, and so it does in later calls until C returns."""
    def run(*arguments: Any) -> Any:
        frame = _frames.stack[-1] if _frames.stack else _orphans
        if frame:
            return stop
        try:
            result = function(*arguments)
            return 0 if result is None and stop is not None else result
        except BaseException as error:
            frame.append(error)
            return stop
    return kind(run)


POLL = callback(n.MuseCancelFn, lambda user: 0, 1)
"""For C's `cancel`: Python comes to its senses in it, so that Ctrl-C reaches a long call of the main thread."""


def params(kind: Any, init: Any, /, **values: Any) -> Any:
    """A params struct with its defaults, then these values; None leaves the default."""
    out = kind()
    init(ctypes.byref(out))
    for name, value in values.items():
        if value is not None:
            setattr(out, name, value)
    return out


# ---- memory that C borrows ----

_lent: dict[int, Any] = {}   # what C uses in place until it says that it is done: arrays that sequences, regions, traces and more may hold, functions of tools that are closed
_lent_keys = itertools.count(1)


def lent_key() -> int:
    return next(_lent_keys)


def lend(things: dict[int, Any], lent: dict[int, Any] = _lent) -> None:
    """These stay until C calls RETURNED with their keys."""
    lent.update(things)


def _returned(key: int, lent: dict[int, Any] = _lent) -> None:
    lent.pop(key, None)


RETURNED = n.MuseReleaseFn(_returned)


@contextlib.contextmanager
def lending(settings: Any, array: Array | None) -> Iterator[None]:
    """Around the call that opens: C reads this array in place and keeps it alive. None: it copies."""
    if array is None:
        yield
        return
    key = lent_key()
    settings.borrow, settings.release, settings.release_user = 1, RETURNED, key
    _lent[key] = array
    try:
        yield
    except BaseException:   # C took nothing, or has given it back
        _lent.pop(key, None)
        raise


# ---- handles ----

# Held for the counting alone, and nothing is made or called meanwhile: a collection must not come in between. To close may mean to wait
# for threads of C that run Python, and those count too.
_counts = threading.RLock()


class Owner:
    """One reference to a C object, released when nobody holds the Owner any more: neither the Python object, nor a view of its
    memory, nor a call under way. What it must outlive stands in `keep`.

    Users are counted besides Python's own count: the cycle collector finalizes objects in any order, and so does the end of a process."""
    __slots__ = ("_as_parameter_", "_close", "_byref", "keep", "_users", "_dropped", "__weakref__")

    def __init__(self, pointer: Any, close: Any, keep: Iterable[Any]) -> None:
        self._as_parameter_ = pointer
        self._close, self._byref = close, ctypes.byref
        self.keep: list[Any] = []
        self._users, self._dropped = 0, False
        self.hold(*keep)

    def hold(self, *things: Any) -> None:
        """These must live as long as this one does."""
        for used in things:
            if isinstance(used, Owner):
                with _counts:
                    used._users += 1
        self.keep.extend(things)

    @property
    def pointer(self) -> Any:
        return self._as_parameter_

    def __del__(self, counts: Any = _counts) -> None:
        with counts:
            self._dropped = True
            free = not self._users
        if free:
            self._release(counts)

    def _release(self, counts: Any, returned: Any = RETURNED) -> None:   # what C may call back is named here, to be there at the end of a process
        self._close(self._byref(self._as_parameter_))
        for used in self.keep:
            if isinstance(used, type(self)):
                with counts:
                    used._users -= 1
                    free = used._dropped and not used._users
                if free:
                    used._release(counts)


class Handle:
    """Base of everything that wraps a C object: close(), `with`, and ValueError when used after that."""
    _owner: Owner | None = None

    def _open(self, kind: Any, close: Any, function: Any, *arguments: Any, keep: Iterable[Any] = ()) -> None:
        pointer = ctypes.POINTER(kind)()
        try:
            call(function, ctypes.byref(pointer), *arguments)
        except BaseException:
            close(ctypes.byref(pointer))   # C succeeded, but a callback raised
            raise
        self._owner = Owner(pointer, close, keep)

    @property
    def _own(self) -> Owner:
        if self._owner is None:
            raise ValueError(f"this {type(self).__name__} is closed")
        return self._owner

    @property
    def closed(self) -> bool:
        return self._owner is None

    def close(self) -> None:
        """Release it; again does nothing. Views of its memory stay valid and hold the memory until they go."""
        self._owner = None

    def __enter__(self: T) -> T:
        self._own
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Serial:
    """Says BusyError when two threads (or a callback and the call it is in) use an object that serves one at a time."""
    def __init__(self, name: str) -> None:
        self._name, self._lock, self._thread = name, threading.Lock(), 0

    @property
    def held_here(self) -> bool:
        """In use, by this thread: asked in a callback."""
        return self._lock.locked() and self._thread == threading.get_ident()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise BusyError(f"this {self._name} is in use: by another thread, by a generation that is not finished, or by the call that this callback is in")
        self._thread = threading.get_ident()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


# ---- text and numbers ----

def utf8(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"text is str or bytes, not {type(text).__name__}")
    return text.encode()


def path_bytes(path: str | bytes | os.PathLike[Any]) -> bytes:
    out = os.fsencode(path)
    if b"\0" in out:
        raise ValueError("a path can't hold a null byte")
    return out


def chars(text: str | bytes | None) -> Any:
    """For a struct's `const char *`: terminated, alive as long as the struct."""
    return None if text is None else ctypes.cast(ctypes.c_char_p(utf8(text)), ctypes.POINTER(ctypes.c_char))


def bytes_at(pointer: Any, size: int) -> bytes:
    return ctypes.string_at(pointer, size) if size else b""


def string(pointer: Any, size: int | None = None) -> str:
    """A C string as str: `size` bytes, or up to its terminator. Bytes that are no UTF-8 become U+FFFD."""
    if isinstance(pointer, bytes):
        return pointer.decode("utf-8", "replace")
    if not pointer:
        return ""
    return (ctypes.string_at(pointer) if size is None else bytes_at(pointer, size)).decode("utf-8", "replace")


def strings(texts: List[str | bytes]) -> tuple[Any, Any]:
    """[n] pointers and [n] sizes; both keep the bytes alive."""
    data = [utf8(text) for text in texts]
    return (ctypes.c_char_p * len(data))(*data), (ctypes.c_size_t * len(data))(*map(len, data))


def id_array(ids: Any) -> npt.NDArray[np.int32]:
    """Token ids from a list or an array of whole numbers."""
    array = np.asarray(ids)
    if array.size == 0:
        return np.zeros(0, np.int32)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise TypeError(f"ids are a list or one-dimensional array of whole numbers, not {array.dtype} of {array.ndim} dimensions")
    if array.min() < -(1 << 31) or array.max() >= 1 << 31:
        raise ValueError("an id is beyond 32 bits")
    return np.ascontiguousarray(array, np.int32)


def address(array: Array, kind: Any) -> Any:
    """A pointer to an array's values for the time of a call."""
    return array.ctypes.data_as(ctypes.POINTER(kind))


def view(owner: object, pointer: Any, kind: Any, shape: tuple[int, ...]) -> Array:
    """C memory as a read-only array without a copy; the array keeps `owner`."""
    count = int(np.prod(shape, dtype=np.int64))
    if not count:
        return np.zeros(shape, np.dtype(kind))
    block = (kind * count).from_address(ctypes.addressof(pointer.contents))
    block.owner = owner
    out = np.ctypeslib.as_array(block).reshape(shape)
    out.flags.writeable = False
    return out


def copied(pointer: Any, kind: Any, count: int) -> Array:
    """C memory as an array of its own."""
    return np.frombuffer(bytearray(bytes_at(pointer, count * ctypes.sizeof(kind))), kind)


class Block:
    """Memory that a call returned, released with muse_free()."""
    __slots__ = ("pointer", "_free")

    def __init__(self, pointer: Any) -> None:
        self.pointer, self._free = pointer, lib.muse_free

    def __del__(self) -> None:
        self._free(self.pointer)


def png(array: Array) -> bytes:
    """8-bit pixels, shape [height, width], [height, width, 3] or [height, width, 4], as a PNG file."""
    array = np.ascontiguousarray(array)
    layout = 1 if array.ndim == 2 else array.shape[2]
    out, size = ctypes.c_void_p(), ctypes.c_size_t()
    call(lib.muse_png_write_memory, None, ctypes.byref(out), ctypes.byref(size), address(array, ctypes.c_uint8), array.shape[1], array.shape[0], 0, layout)
    block = Block(out)
    return bytes_at(block.pointer, size.value)


def drawing(function: Any, *arguments: Any) -> Array:
    """What a drawing call returns: RGB, shape [height, width, 3]."""
    rgb, width, height = ctypes.POINTER(ctypes.c_uint8)(), ctypes.c_uint32(), ctypes.c_uint32()
    call(function, *arguments, ctypes.byref(rgb), ctypes.byref(width), ctypes.byref(height))
    return view(Block(rgb), rgb, ctypes.c_uint8, (height.value, width.value, 3))


def returned_text(function: Any, *arguments: Any) -> bytes:
    """What a call returns as text and size."""
    text, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
    call(function, *arguments, ctypes.byref(text), ctypes.byref(size))
    block = Block(text)   # a name, so that it lives until the copy is made
    return bytes_at(block.pointer, size.value)


def returned_ids(function: Any, *arguments: Any) -> npt.NDArray[np.int32]:
    """What a call returns as ids and their number; a copy."""
    ids, count = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
    call(function, *arguments, ctypes.byref(ids), ctypes.byref(count))
    block = Block(ids)   # a name, so that it lives until the copy is made
    return copied(ids, ctypes.c_int32, count.value)
