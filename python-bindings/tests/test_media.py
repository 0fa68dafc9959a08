# SPDX-License-Identifier: Apache-2.0
"""Pictures, sounds and text in every form a caller may have them."""
import gc
import io
import pathlib
import wave
import weakref

import numpy as np
import pytest
from conftest import DATA, MEDIA

import muse

Pillow = pytest.importorskip("PIL.Image")


# ---- pictures ----

def gradient(height=5, width=7, channels=3):
    return np.arange(height * width * channels, dtype=np.uint8).reshape(height, width, channels)


def test_every_source_gives_the_same_picture():
    path = MEDIA / "coffee.jpg"
    data = path.read_bytes()
    want = muse.Image(path).rgb()
    with open(path, "rb") as file:
        sources = [str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), file]
        for source in sources:
            with muse.Image.open(source) as image:
                assert image.info.format == "jpeg" and image.size == (want.shape[1], want.shape[0])
                np.testing.assert_array_equal(image.rgb(), want)


def test_arrays_of_any_strides():
    rgb = gradient()
    for pixels in (rgb, rgb[::-1], rgb[:, ::2], np.asfortranarray(rgb), rgb.transpose(1, 0, 2)):
        np.testing.assert_array_equal(muse.Image.from_array(pixels).rgb(), pixels)
    frozen = rgb.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(muse.Image(frozen).rgb(), rgb)
    np.testing.assert_array_equal(muse.Image(rgb[:, :, 0]).rgb(), np.repeat(rgb[:, :, :1], 3, 2))
    np.testing.assert_array_equal(muse.Image(rgb[:, :, :1]).rgb(), np.repeat(rgb[:, :, :1], 3, 2))


def test_pixels_are_copied():
    rgb = gradient()
    image = muse.Image(rgb)
    before = rgb.copy()
    rgb[:] = 0
    np.testing.assert_array_equal(image.rgb(), before)


def test_pixels_read_in_place():
    """That there is no copy shows in what nobody should do: a change of the array is one of the picture."""
    whole = gradient(20, 30)
    for pixels in (whole, whole[5:15], whole[:, 3:20], whole[::2], whole[:, :, 0].copy(), np.full((9, 9, 4), 200, np.uint8), whole[3:4]):
        image = muse.Image(pixels, copy=False)
        want = image.rgb()
        np.testing.assert_array_equal(want, muse.Image(pixels).rgb())
        pixels[0, 0] = pixels[0, 0] // 2 + 90
        assert not np.array_equal(image.rgb(), want)
    frozen = gradient()
    frozen.flags.writeable = False
    assert muse.Image.from_array(frozen, copy=False).size == (7, 5)
    for pixels in (whole[::-1], whole[:, ::2], whole[:, ::-1], np.asfortranarray(whole), whole.transpose(1, 0, 2), whole[:, :, :1], np.broadcast_to(whole[0], (4, 30, 3))):
        with pytest.raises(ValueError, match="copy=False"):
            muse.Image(pixels, copy=False)
    for source in (MEDIA / "cat.jpg", b"bytes", Pillow.new("RGB", (4, 4)), [1]):
        with pytest.raises(TypeError, match="copy=False"):
            muse.Image(source, copy=False)


def held(make):
    """a weak reference to an array, what holds it"""
    array, thing = make()
    return weakref.ref(array), [thing]


@pytest.mark.parametrize("user", [
    lambda image: image, lambda image: image.region((1, 1, 4, 4)), lambda image: muse.Sequence("gemma4_unified").append(image).copy(),
    lambda image: traced(image), lambda image: muse.Chat("muse").user("x", image)],
    ids=["image", "region", "sequence", "trace", "chat"])
def test_an_array_in_place_lives_as_long_as_its_picture(user):
    def make():
        array = gradient(9, 9)
        return array, user(muse.Image(array, copy=False))
    array, thing = held(make)
    gc.collect()
    assert array() is not None
    thing.clear()
    gc.collect()
    assert array() is None


def traced(image):
    trace = muse.Trace("What?")
    trace.add_image(image)
    return trace.copy()


def test_a_refused_array_in_place_is_let_go():
    array = gradient(9, 9)
    seen = weakref.ref(array)
    with pytest.raises(muse.LimitError):
        muse.Image(array, copy=False, max_pixels=4)
    del array
    gc.collect()
    assert seen() is None


def test_alpha_lies_over_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = 0, 255, 51   # 51 / 255 = 1/5: 204 of white
    np.testing.assert_array_equal(muse.Image(rgba).rgb()[0, :, 0], [255, 0, 204])


@pytest.mark.parametrize("array, error", [
    (np.zeros((4, 4, 3), np.float32), TypeError), (np.zeros((4, 4, 3), np.int64), TypeError), (np.zeros((4, 4), bool), TypeError),
    (np.zeros((4, 4, 2), np.uint8), ValueError), (np.zeros(4, np.uint8), ValueError), (np.zeros((1, 4, 4, 3), np.uint8), ValueError),
    (np.zeros((0, 4, 3), np.uint8), ValueError), (np.zeros((4, 0), np.uint8), ValueError), (np.array(None), TypeError)])
def test_refused_arrays(array, error):
    with pytest.raises(error):
        muse.Image(array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_pillow_modes(mode):
    picture = Pillow.fromarray(gradient(6, 6)).convert("RGBA" if mode in ("PA",) else "RGB")
    picture = picture.convert("P").convert("PA") if mode == "PA" else picture.convert(mode)
    want = np.asarray(picture.convert("RGB")) if mode not in ("LA", "PA", "RGBA") else None
    image = muse.Image(picture)
    assert image.size == (6, 6)
    if want is not None:
        np.testing.assert_array_equal(image.rgb(), want)


def test_pillow_deep_modes():
    deep = Pillow.fromarray((np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4))
    assert deep.mode == "I;16"
    np.testing.assert_array_equal(muse.Image(deep).rgb()[:, :, 0], (np.arange(12) * 5000 // 256).reshape(3, 4))
    for mode in ("I", "F"):
        with pytest.raises(muse.UnsupportedError, match=mode):
            muse.Image(Pillow.new(mode, (4, 4)))


def test_pillow_transparency_and_orientation(tmp_path):
    palette = Pillow.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.info["transparency"] = 0
    np.testing.assert_array_equal(muse.Image(palette).rgb()[0], [[255, 255, 255], [40, 50, 60]])
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.fromarray(gradient(8, 16)).save(tmp_path / "turned.jpg", exif=exif)
    file, opened = muse.Image(tmp_path / "turned.jpg"), muse.Image(Pillow.open(tmp_path / "turned.jpg"))
    assert file.size == opened.size == (8, 16)


def test_regions_know_their_place():
    image = muse.Image(gradient(50, 60))
    region = image.region((10.5, 20, 30, 400))
    assert region.info.source == (10, 20, 30, 50) and region.size == (20, 30)
    np.testing.assert_array_equal(region.rgb(), image.rgb()[20:, 10:30])
    assert region.region((1, 1, 3, 3)).info.source == (11, 21, 13, 23)
    with pytest.raises(muse.ArgumentError):
        image.region((60, 0, 70, 10))
    image.close()
    assert region.rgb().shape == (30, 20, 3)


@pytest.mark.parametrize("source, error", [
    (b"", muse.FormatError), (b"nonsense", muse.FormatError), (io.StringIO("text"), TypeError), (None, TypeError), (3, TypeError), ([1, 2], TypeError),
    ("/nothing/here.png", muse.FileError), (pathlib.Path("/nothing/here.png"), OSError), ("null\0byte", ValueError)])
def test_refused_sources(source, error):
    with pytest.raises(error):
        muse.Image(source)


def test_damage_and_limits_are_errors():
    for path in sorted((DATA / "bad/image").iterdir())[:40]:
        with pytest.raises(muse.MuseError):
            muse.Image(path.read_bytes(), max_pixels=1 << 24).rgb()
    with pytest.raises(muse.LimitError):
        muse.Image(MEDIA / "cat.jpg", max_pixels=100)


def test_png(tmp_path):
    rgb = gradient()
    image = muse.Image(rgb)
    image.save_png(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(Pillow.open(tmp_path / "a.png")), rgb)
    np.testing.assert_array_equal(np.asarray(Pillow.open(io.BytesIO(image._repr_png_()))), rgb)
    np.testing.assert_array_equal(np.asarray(image), rgb)
    np.testing.assert_array_equal(image.__array__(None, copy=True), rgb)   # as NumPy 2 calls it
    with pytest.raises(ValueError, match="without a copy"):
        image.__array__(copy=False)


# ---- sounds ----

def test_every_source_gives_the_same_sound():
    path = MEDIA / "speech.flac"
    data = path.read_bytes()
    want = muse.Audio(path).info
    assert want.format == "flac" and want.seconds == pytest.approx(want.n_samples / want.rate)
    for source in (str(path), data, io.BytesIO(data)):
        assert muse.Audio.open(source).info == want


def frames(audio):
    sequence = muse.Sequence("gemma4_unified")
    sequence.append(audio)
    return sequence.features(0)


def test_pcm_forms():
    wave16 = (np.sin(np.arange(16000) / 20) * 20000).astype(np.int16)
    want = frames(muse.Audio.from_array(wave16, 16000))
    as_float = wave16 / 32768
    for pcm in (as_float, as_float.astype(np.float32), np.repeat(wave16, 2)[::2], wave16[:, None], np.stack([wave16, wave16], 1), np.asfortranarray(np.stack([wave16] * 2, 1))):
        np.testing.assert_array_equal(frames(muse.Audio.from_array(pcm, 16000)), want)
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(16000)
        file.writeframes(wave16.tobytes())
    np.testing.assert_array_equal(frames(muse.Audio(data.getvalue())), want)


@pytest.mark.parametrize("pcm, rate, error", [
    (np.zeros(100, np.int32), 16000, TypeError), (np.zeros(100, np.uint8), 16000, TypeError), (np.zeros((2, 3, 4), np.int16), 16000, ValueError),
    (np.zeros((2, 16000), np.int16), 16000, ValueError), (np.zeros(100, np.int16), 10, ValueError), (np.zeros(100, np.int16), None, TypeError),
    (np.full(100, np.nan, np.float32), 16000, muse.FormatError)])
def test_refused_pcm(pcm, rate, error):
    with pytest.raises(error):
        frames(muse.Audio(pcm, rate=rate))


def test_pcm_read_in_place():
    wave16 = (np.sin(np.arange(16000) / 20) * 20000).astype(np.int16)
    for pcm in (wave16, (wave16 / 32768).astype(np.float32), np.stack([wave16] * 2, 1), wave16[100:]):
        audio = muse.Audio(pcm, rate=16000, copy=False)
        want = frames(audio)
        np.testing.assert_array_equal(want, frames(muse.Audio(pcm, rate=16000)))
        pcm[:] = pcm[::-1].copy()
        assert not np.array_equal(frames(audio), want)
    for pcm in (wave16[::2], wave16[::-1], np.asfortranarray(np.stack([wave16] * 2, 1)), np.frombuffer(b"x" + bytes(64), np.uint8)[1:].view(np.float32)):
        with pytest.raises(ValueError, match="copy=False"):
            muse.Audio(pcm, rate=16000, copy=False)
    for source, rate in ((wave16 / 32768, 16000), (MEDIA / "speech.flac", None), (b"bytes", None)):
        with pytest.raises(TypeError, match="copy=False"):
            muse.Audio(source, rate=rate, copy=False)
    array = wave16.copy()
    seen, sequence = weakref.ref(array), muse.Sequence("gemma4_unified").append(muse.Audio(array, rate=16000, copy=False))
    del array
    gc.collect()
    assert seen() is not None
    sequence.close()
    gc.collect()
    assert seen() is None


def test_sound_edges():
    empty = muse.Audio.from_array(np.zeros(0, np.int16), 16000)
    assert empty.info.seconds == 0
    with pytest.raises(TypeError):
        muse.Audio(MEDIA / "speech.flac", rate=16000)
    with pytest.raises(muse.FormatError):
        muse.Audio((MEDIA / "speech.flac").read_bytes()[:20])
    with pytest.raises(muse.LimitError):
        frames(muse.Audio(MEDIA / "speech.flac", max_seconds=0.5))


# ---- sound that is still arriving ----

@pytest.mark.parametrize("rate, channels, floats", [(16000, 1, False), (44100, 2, False), (8000, 1, True)])
def test_a_feed_gives_the_frames_of_the_whole_sound(reasoner, rate, channels, floats):
    wave16 = (np.sin(np.arange(rate * channels) / 20) * 20000).astype(np.int16).reshape(-1, channels)
    pcm = wave16 / 32768 if floats else wave16
    sequence = reasoner.sequence(muse.Audio.from_array(pcm, rate))
    want = sequence.features(0)
    with reasoner.audio_feed(rate=rate, channels=channels, floats=floats) as feed:
        got = []
        for piece in np.array_split(pcm[:, 0] if channels == 1 else pcm, 7):
            feed.push(piece)
            got.append(feed.take())
            assert not feed.done and feed.ready == 0 and len(feed.take()) == 0
        feed.finish()
        assert feed.ready == len(want) - sum(map(len, got)) > 0 and not feed.done
        got += [feed.take(1), feed.take()]
        assert feed.done and feed.width == want.shape[1] and len(got[-2]) <= 1
    np.testing.assert_array_equal(np.concatenate(got), want)


def test_refused_feeds():
    for bad, error in (({"family": "nobody"}, muse.NotFoundError), ({"family": "llama"}, muse.UnsupportedError), ({"rate": 3}, ValueError), ({"channels": 0}, ValueError)):
        with pytest.raises(error):
            muse.AudioFeed(**{"rate": 16000, **bad})
    feed = muse.AudioFeed(rate=16000, channels=2)
    for pcm, error in ((np.zeros((4, 2), np.float32), TypeError), (np.zeros(4, np.int16), ValueError), (np.zeros((4, 3), np.int16), ValueError), (np.zeros((4, 2), np.int8), TypeError)):
        with pytest.raises(error):
            feed.push(pcm)
    with pytest.raises(muse.FormatError), muse.AudioFeed(rate=16000, floats=True) as floats:
        floats.push(np.full(10, np.nan))
    feed.finish()
    with pytest.raises(muse.StateError):
        feed.push(np.zeros((4, 2), np.int16))
    feed.close()
    assert "closed" in repr(feed)
    with pytest.raises(ValueError, match="is closed"):
        feed.take()


# ---- closing ----

def test_closed_things_say_so(cat):
    for thing, use in ((muse.Image(cat.rgb()), "info"), (muse.Audio(MEDIA / "speech.flac"), "info"), (muse.Tokenizer(DATA / "golden/llama3/hf"), "info")):
        with thing:
            assert getattr(thing, use)
        assert thing.closed and "closed" in repr(thing)
        thing.close()
        with pytest.raises(ValueError, match="is closed"):
            getattr(thing, use)
        with pytest.raises(ValueError), thing:
            pass
