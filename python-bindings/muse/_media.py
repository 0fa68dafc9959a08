# SPDX-License-Identifier: Apache-2.0
"""Pictures and sounds: what a caller has, in whatever form, to the library's. Files are judged by their contents, not their names."""
from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _native as n
from ._errors import NotFoundError, UnsupportedError
from ._lib import POLL, Array, Handle, Serial, address, call, check, lending, lib, params, path_bytes, png, string, utf8
from ._runtime import Runtime, runtime_of


class Rect(NamedTuple):
    """x0 <= x < x1, y0 <= y < y1, in pixels of the original picture: x right, y down, the left and top edge 0."""
    x0: float
    y0: float
    x1: float
    y1: float


def rect_of(r: Any) -> Rect:
    return Rect(r.x0, r.y0, r.x1, r.y1)


def c_rect(rect: Any) -> n.MuseRect:
    """From four numbers."""
    x0, y0, x1, y1 = map(float, rect)
    return n.MuseRect(x0, y0, x1, y1)


def read_all(source: Any, what: str) -> bytes | None:
    """The bytes of a bytes-like or a file-like object; None for anything else."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if hasattr(source, "read"):
        data = source.read()
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"{what}: the file is open as text; open it in binary mode")
        return bytes(data)
    return None


@dataclass(frozen=True)
class ImageInfo:
    width: int       #: as seen, pixels
    height: int
    format: str      #: "jpeg", "png", "webp", "pnm" or "pixels"
    orientation: int #: EXIF value that was applied, 1..8
    bits: int        #: bits a sample in the file
    channels: int    #: in the file
    has_alpha: bool
    is_cmyk: bool
    source: Rect     #: place in the original: all of it, or a region's rectangle


class Image(Handle):
    """A picture. Read-only, any thread. The library keeps the original, so that regions can be cut from it at full detail.

    Image(source) and Image.open(source) take a path, the bytes of a JPEG, PNG, WebP or PPM/PGM file, a file open in binary mode, a
    NumPy array (see from_array) or a Pillow image. copy=False, for an array: read it in place; it lives as long as anything needs the picture,
    and must not be changed meanwhile. max_pixels: refuse larger pictures; 0 = 2^28."""

    def __init__(self, source: Any, *, copy: bool = True, max_pixels: int = 0, runtime: Runtime | None = None) -> None:
        rt = runtime_of(runtime)._own
        settings = params(n.MuseImageParams, lib.muse_image_params_init, max_pixels=max_pixels, cancel=POLL)
        in_place(copy, source)
        self.name = os.path.basename(source) if isinstance(source, (str, os.PathLike)) else ""   #: of the file, to be shown to people
        if isinstance(source, (str, os.PathLike)):
            self._open(n.MuseImage, lib.muse_image_close, lib.muse_image_open_file, rt, path_bytes(source), ctypes.byref(settings), keep=(rt,))
            return
        if type(source).__module__.split(".")[0] == "PIL":
            source, copy = _from_pillow(source), False   # a copy that nobody else has
        if hasattr(source, "__array_interface__"):
            self._open_pixels(np.asarray(source), copy, rt, settings)
            return
        data = read_all(source, "image")
        if data is None:
            raise TypeError(f"an image is a path, bytes, a binary file, a NumPy array or a Pillow image, not {type(source).__name__}")
        self._open(n.MuseImage, lib.muse_image_close, lib.muse_image_open_memory, rt, data, len(data), ctypes.byref(settings), keep=(rt,))

    def _open_pixels(self, array: Array, copy: bool, rt: Any, settings: Any) -> None:
        if array.dtype != np.uint8:
            raise TypeError(f"pixels are uint8 in 0..255, not {array.dtype}; convert them (values in 0..1: (a * 255).round().astype('uint8'))")
        if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
            raise ValueError(f"pixels have shape [height, width], or [height, width, 1, 3 or 4], not {list(array.shape)}")
        if 0 in array.shape:
            raise ValueError(f"a picture of shape {list(array.shape)} has no pixels")
        if max(array.shape[:2]) >= 1 << 32:
            raise ValueError("a side is beyond 32 bits")
        layout = 1 if array.ndim == 2 else array.shape[2]
        if copy:
            array = np.ascontiguousarray(array)
        elif not array[0].flags.c_contiguous or (len(array) > 1 and array.strides[0] < array[0].nbytes):
            raise ValueError(f"copy=False takes rows from the top down, without gaps inside a row; these strides are {list(array.strides)}: copy, or np.ascontiguousarray()")
        stride = array.strides[0] if len(array) > 1 else 0   # rows may be apart, as in a part of a larger picture
        with lending(settings, None if copy else array):
            self._open(n.MuseImage, lib.muse_image_close, lib.muse_image_open_pixels, rt, array.ctypes.data, array.shape[1], array.shape[0], stride, layout,
                       ctypes.byref(settings), keep=(rt,))

    @classmethod
    def open(cls, source: Any, *, max_pixels: int = 0, runtime: Runtime | None = None) -> Image:
        """The same as Image(source); an Image is given back as it is."""
        return source if isinstance(source, Image) else cls(source, max_pixels=max_pixels, runtime=runtime)

    @classmethod
    def from_array(cls, pixels: Array, *, copy: bool = True, runtime: Runtime | None = None) -> Image:
        """From uint8 pixels, shape [height, width] (grey), [height, width, 3] (RGB) or [height, width, 4] (RGBA); any strides. Copied, unless copy=False
        (see Image): then rows may be apart, but go from the top down and have no gaps inside."""
        return cls(np.asarray(pixels), copy=copy, runtime=runtime)

    @property
    def info(self) -> ImageInfo:
        out = n.MuseImageInfo()
        check(lib.muse_image_info(self._own, ctypes.byref(out)), "image")
        return ImageInfo(out.width, out.height, string(out.format), out.orientation, out.bits, out.channels, bool(out.has_alpha), bool(out.is_cmyk), rect_of(out.source))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        info = self.info
        return info.width, info.height

    def region(self, rect: Any) -> Image:
        """A part as a picture of its own, at full detail. rect: (x0, y0, x1, y1) in this picture's pixels, rounded outwards and clipped;
        info.source has the result."""
        out = Image.__new__(Image)
        out.name = self.name
        out._open(n.MuseImage, lib.muse_image_close, lib.muse_image_region, self._own, c_rect(rect), keep=self._own.keep)
        return out

    def rgb(self) -> Array:
        """All pixels, uint8, shape [height, width, 3]; alpha over white. A new array."""
        width, height = self.size
        out = np.empty((height, width, 3), np.uint8)
        call(lib.muse_image_read_rgb, self._own, n.MUSE_ALPHA_OVER, None, address(out, ctypes.c_uint8), 0)
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """copy: NumPy 2 asks; the pixels are always an array of their own."""
        if copy is False:
            raise ValueError("a picture's pixels can't be had without a copy")
        return self.rgb() if dtype is None else self.rgb().astype(dtype)

    def save_png(self, path: str | os.PathLike[str]) -> None:
        """Write the pixels as a PNG file, whole or not at all."""
        rgb = self.rgb()
        call(lib.muse_png_write_file, path_bytes(path), address(rgb, ctypes.c_uint8), rgb.shape[1], rgb.shape[0], 0, n.MUSE_PIXELS_RGB)

    def _repr_png_(self) -> bytes:
        return png(self.rgb())

    def __repr__(self) -> str:
        if self.closed:
            return "<muse.Image, closed>"
        info = self.info
        return f"<muse.Image {info.width} x {info.height}, {info.format}>"


def in_place(copy: bool, source: Any) -> None:
    """Refuses copy=False for what is no array, rather than copying all the same."""
    if not copy and not isinstance(source, np.ndarray):
        raise TypeError(f"copy=False is for NumPy arrays, whose memory is read in place, not for {type(source).__name__}")


def _from_pillow(picture: Any) -> Array:
    """Pixels of a Pillow image as a person sees it: EXIF orientation applied, as for files."""
    from PIL import ImageOps   # type: ignore[import]
    picture = ImageOps.exif_transpose(picture)
    mode = picture.mode
    if mode in ("I;16", "I;16L", "I;16B", "I;16N"):   # the high 8 bits, as of a PNG file
        return (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
    if mode in ("I", "F"):   # Pillow's own conversion would cut values off at 255 without a word
        raise UnsupportedError(f"a Pillow image of mode {mode} has no known range: scale it to 8 bits first")
    if mode not in ("L", "RGB", "RGBA"):
        alpha = mode in ("LA", "La", "PA", "RGBa") or "transparency" in picture.info
        picture = picture.convert("RGBA" if alpha else "L" if mode == "1" else "RGB")
    return np.asarray(picture)


def pcm_of(array: Array) -> tuple[Array, int]:
    """Samples as C takes them, and of which type."""
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    kind = {np.dtype(np.int16): n.MUSE_PCM_S16, np.dtype(np.float32): n.MUSE_PCM_F32}.get(array.dtype)
    if kind is None:
        raise TypeError(f"PCM is int16, or float32 or float64 in -1..1, not {array.dtype}")
    return array, kind


@dataclass(frozen=True)
class AudioInfo:
    n_samples: int   #: samples a channel, as stored
    rate: int        #: samples per second, as stored
    channels: int
    seconds: float
    format: str      #: "wav", "flac", "ogg", "mp3", "mp2", "aiff" or "pcm"


class Audio(Handle):
    """A sound. Read-only, any thread.

    Audio(source) and Audio.open(source) take a path, the bytes of a WAV, FLAC, OGG, MP3 or AIFF file, a file open in binary mode, or
    a NumPy array of PCM together with rate=. copy=False, for an array: read it in place, as for Image. max_seconds: refuse longer sounds;
    0 = 4 hours."""

    def __init__(self, source: Any, *, rate: int | None = None, copy: bool = True, max_seconds: float = 0, runtime: Runtime | None = None) -> None:
        rt = runtime_of(runtime)._own
        settings = params(n.MuseAudioParams, lib.muse_audio_params_init, max_seconds=max_seconds)
        in_place(copy, source)
        if hasattr(source, "__array_interface__"):
            if rate is None:
                raise TypeError("PCM needs rate=, samples per second")
            self._open_pcm(np.asarray(source), rate, copy, rt, settings)
            return
        if rate is not None:
            raise TypeError("a sound file says its own rate; rate= is for arrays of PCM")
        if isinstance(source, (str, os.PathLike)):
            self._open(n.MuseAudio, lib.muse_audio_close, lib.muse_audio_open_file, rt, path_bytes(source), ctypes.byref(settings), keep=(rt,))
            return
        data = read_all(source, "audio")
        if data is None:
            raise TypeError(f"a sound is a path, bytes, a binary file or a NumPy array with rate=, not {type(source).__name__}")
        self._open(n.MuseAudio, lib.muse_audio_close, lib.muse_audio_open_memory, rt, data, len(data), ctypes.byref(settings), keep=(rt,))

    def _open_pcm(self, array: Array, rate: int, copy: bool, rt: Any, settings: Any) -> None:
        given = array
        array, kind = pcm_of(array)
        if not copy and array is not given:
            raise TypeError(f"copy=False takes int16 or float32; {given.dtype} has to be converted: copy, or astype('float32')")
        if array.ndim not in (1, 2):
            raise ValueError(f"PCM has shape [samples] or [samples, channels], not {list(array.shape)}")
        channels = 1 if array.ndim == 1 else array.shape[1]
        if not 1 <= channels <= 64:   # most often the axes are swapped
            raise ValueError(f"{channels} channels: PCM has shape [samples, channels], at most 64 of them")
        if not 1000 <= rate <= 768000:
            raise ValueError(f"a rate of {rate}: 1000..768000 samples per second")
        if copy:
            array = np.ascontiguousarray(array)
        elif not (array.flags.c_contiguous and array.flags.aligned):
            raise ValueError(f"copy=False takes samples without gaps, channels side by side; these strides are {list(array.strides)}: copy, or np.ascontiguousarray()")
        with lending(settings, None if copy else array):
            self._open(n.MuseAudio, lib.muse_audio_close, lib.muse_audio_open_pcm, rt, array.ctypes.data, array.shape[0], kind, rate, channels,
                       ctypes.byref(settings), keep=(rt,))

    @classmethod
    def open(cls, source: Any, *, rate: int | None = None, max_seconds: float = 0, runtime: Runtime | None = None) -> Audio:
        """The same as Audio(source); an Audio is given back as it is."""
        return source if isinstance(source, Audio) else cls(source, rate=rate, max_seconds=max_seconds, runtime=runtime)

    @classmethod
    def from_array(cls, pcm: Array, rate: int, *, copy: bool = True, runtime: Runtime | None = None) -> Audio:
        """From PCM: int16, or floats in -1..1; shape [samples] or [samples, channels]; any strides. Copied, unless copy=False (see Image): then int16 or
        float32 without gaps."""
        return cls(np.asarray(pcm), rate=rate, copy=copy, runtime=runtime)

    @property
    def info(self) -> AudioInfo:
        out = n.MuseAudioInfo()
        check(lib.muse_audio_info(self._own, ctypes.byref(out)), "audio")
        return AudioInfo(out.n_samples, out.rate, out.channels, out.seconds, string(out.format))

    def __repr__(self) -> str:
        if self.closed:
            return "<muse.Audio, closed>"
        info = self.info
        return f"<muse.Audio {info.seconds:.2f} s, {info.rate} Hz, {info.format}>"


class AudioFeed(Handle):
    """Sound that is still arriving, to frames as a model takes them: push() PCM in pieces of any length, take() what is ready. Equal bit for bit to the frames of
    the whole sound. Memory is bounded. One thread at a time.

    family: by whose rules, see families(); Model.audio_feed() takes a model's own. rate: samples per second; floats: PCM is float32 or float64 in -1..1, else int16."""

    def __init__(self, family: str = "muse", *, rate: int, channels: int = 1, floats: bool = False, runtime: Runtime | None = None) -> None:
        rules = lib.muse_family_find(utf8(family))
        if not rules:
            raise NotFoundError(f"there is no family {family!r}")
        self._make(rules, rate, channels, floats, runtime_of(runtime)._own)

    def _make(self, family: Any, rate: int, channels: int, floats: bool, rt: Any) -> None:
        if not (1000 <= rate <= 768000 and 1 <= channels <= 64):
            raise ValueError(f"{channels} channels of {rate} samples per second: 1..64 of 1000..768000")
        self._serial, self._channels, self._kind, self._finished = Serial("AudioFeed"), channels, n.MUSE_PCM_F32 if floats else n.MUSE_PCM_S16, False
        rule, plan = ctypes.byref(family.contents.audio), n.MuseAudioPlan()
        call(lib.muse_audio_plan, rule, rate, rate, ctypes.byref(plan))
        self.width: int = plan.frame_width            #: values a frame
        self.ms_per_frame: float = plan.ms_per_frame  #: milliseconds that a frame stands for
        self._open(n.MuseAudioFeed, lib.muse_audio_feed_close, lib.muse_audio_feed_open, rt, rule, self._kind, rate, channels, keep=(rt,))

    def push(self, pcm: Array) -> None:
        """Give samples: shape [samples], or [samples, channels]. StateError: after finish()."""
        array, kind = pcm_of(np.asarray(pcm))
        if kind != self._kind:
            raise TypeError(f"this feed takes {'floats' if self._kind == n.MUSE_PCM_F32 else 'int16'}, not {array.dtype}")
        if array.shape[1:] != ((self._channels,) if self._channels > 1 or array.ndim > 1 else ()):
            raise ValueError(f"PCM of shape {list(array.shape)}, in a feed of {self._channels} channels")
        array, own = np.ascontiguousarray(array), self._own
        with self._serial:
            call(lib.muse_audio_feed_push, own, array.ctypes.data, array.shape[0])

    def finish(self) -> None:
        """No more sound will come: the last, partly padded frame becomes ready."""
        own = self._own
        with self._serial:
            call(lib.muse_audio_feed_finish, own)
            self._finished = True

    @property
    def ready(self) -> int:
        """Frames that can be taken now."""
        own = self._own
        with self._serial:
            return int(lib.muse_audio_feed_ready(own))

    @property
    def done(self) -> bool:
        """Finished, and all frames are taken."""
        return self._finished and not self.ready

    def take(self, most: int | None = None) -> npt.NDArray[np.float32]:
        """Frames in order: float32 [frames, width], as many as are ready, or `most` of them; maybe none. A new array."""
        own = self._own
        with self._serial:
            count = int(lib.muse_audio_feed_ready(own))
            out, taken = np.empty((count if most is None else min(count, max(0, most)), self.width), np.float32), ctypes.c_size_t()
            if len(out):
                check(lib.muse_audio_feed_take(own, address(out, ctypes.c_float), len(out), ctypes.byref(taken)), "feed")
            return out

    def __repr__(self) -> str:
        return "<muse.AudioFeed, closed>" if self.closed else f"<muse.AudioFeed, {self.ready} frames ready>"


class Heat:
    """Weights over a grid of cells of a picture, such as attention over its patches.

    values: float32, shape [cells down, cells across]; rect: what the cells cover, in pixels of the original; image: the picture's
    number, from 1. Shows itself over `picture` in a notebook, if it was given one."""

    def __init__(self, values: Array, rect: Rect, image: int = 1, picture: Image | None = None) -> None:
        self.values = np.ascontiguousarray(values, np.float32)
        if self.values.ndim != 2 or not self.values.size:
            raise ValueError(f"a heat map has shape [down, across], not {list(self.values.shape)}")
        self.rect, self.image, self.picture = Rect(*rect), image, picture

    def __repr__(self) -> str:
        down, across = self.values.shape
        y, x = np.unravel_index(self.values.argmax(), self.values.shape)
        r = self.rect
        at = r.x0 + (x + 0.5) * (r.x1 - r.x0) / across, r.y0 + (y + 0.5) * (r.y1 - r.y0) / down
        return f"<muse.Heat {across} x {down} cells over picture {self.image}, largest {self.values.max():.3g} at ({at[0]:.0f}, {at[1]:.0f})>"

    def c_heat(self) -> n.MuseTraceHeat:
        """For C; valid as long as this object."""
        down, across = self.values.shape
        return n.MuseTraceHeat(self.image, across, down, c_rect(self.rect), address(self.values, ctypes.c_float))

    def overlay(self, picture: Image | None = None, opacity: float = 0.6) -> Array:
        """RGB pixels of the picture with the map over it; opacity 0..1 of the largest value."""
        picture = picture or self.picture
        if picture is None:
            raise ValueError("over which picture?")
        rgb, heat = picture.rgb(), self.c_heat()
        call(lib.muse_heat_overlay, ctypes.byref(heat), c_rect(picture.info.source), address(rgb, ctypes.c_uint8), rgb.shape[1], rgb.shape[0], opacity)
        return rgb

    def _repr_png_(self) -> bytes | None:
        return png(self.overlay()) if self.picture is not None else None
