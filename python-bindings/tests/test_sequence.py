# SPDX-License-Identifier: Apache-2.0
"""Sequences: what was appended, counted, read as arrays and drawn."""
import io

import numpy as np
import pytest
from conftest import MEDIA, ROOT

import muse


@pytest.fixture
def tokenizer():
    return muse.Tokenizer(ROOT / "models/muse-nano/tokenizer.json")


@pytest.fixture
def sequence(tokenizer, cat):
    return muse.Sequence(tokenizer=tokenizer).append("What is it?", cat, muse.Audio(MEDIA / "speech.flac"))


def test_parts_become_positions(sequence, cat):
    text, image, sound = sequence.spans
    assert [s.modality for s in sequence.spans] == ["text", "image", "audio"]
    assert len(sequence) == text.count + image.count + sound.count == sound.first + sound.count
    assert image.count == image.grid[0] * image.grid[1] + 2 and image.number == sound.number == 1
    assert image.size == cat.size and image.region == (0, 0, *cat.size)
    begin, patch = sequence[image.first], sequence[image.first + 1]
    assert begin.is_marker and begin.bytes == b"<image 1>" and begin.source is None
    assert patch.modality == "image" and patch.source[:2] == (0, 0) and (patch.y, patch.x) == (0, 0)
    assert b"".join(sequence.bytes[:text.count]) == b"What is it?"
    frame = sequence[sound.first + 2]
    assert frame.modality == "audio" and frame.end_ms - frame.start_ms == pytest.approx(sound.ms_per_frame)
    assert sequence[-1] == sequence[len(sequence) - 1]
    for i in (len(sequence), -len(sequence) - 1):
        with pytest.raises(IndexError):
            sequence[i]


def test_table_holds_what_positions_hold(sequence):
    table = sequence.table
    for i, row in enumerate(table):
        p = sequence[i]
        assert (muse.MODALITIES[row["modality"]], bool(row["is_marker"]), row["id"], row["span"], row["index"], row["t"], row["y"], row["x"]) == \
            (p.modality, p.is_marker, p.id, p.span, p.index, p.t, p.y, p.x)
        assert tuple(row["source"]) == (p.source or (0, 0, 0, 0)) and row["end_ms"] == p.end_ms
    assert table["x"].base is not None and np.shares_memory(table["x"], table)   # columns are views
    np.testing.assert_array_equal(sequence.ids, table["id"])
    assert sequence.rects.shape == (len(sequence), 4) and np.isfinite(sequence.rects).all()
    assert len(muse.Sequence().table) == 0 and muse.Sequence().ids.tolist() == []


def test_placeholders_count_the_same(tokenizer, sequence, cat):
    other = muse.Sequence(tokenizer=tokenizer).append("What is it?")
    other.append_image_size(*cat.size)
    other.append_audio_length(muse.Audio(MEDIA / "speech.flac").info.seconds, rate=22050)
    assert len(other) == len(sequence)
    assert other.spans[1].is_placeholder and other.spans[1].grid == sequence.spans[1].grid
    with pytest.raises(muse.StateError):
        other.features(1)


def test_features(sequence, cat):
    patches = sequence.features(1)
    assert patches.shape == (sequence.spans[1].n_features, 192) and patches.dtype == np.float32 and 0 <= patches.min() < patches.max() <= 1
    np.testing.assert_array_equal(sequence.features(-1), sequence.features(2))
    with pytest.raises(muse.ArgumentError):
        sequence.features(0)
    with pytest.raises(IndexError):
        sequence.features(3)


def test_embeddings_and_ids():
    sequence = muse.Sequence("llama")
    sequence.append_ids([1, 2, 3])
    sequence.append(np.ones((2, 8)))
    assert sequence.ids.tolist()[:3] == [1, 2, 3] and sequence[4].modality == "rows"
    np.testing.assert_array_equal(sequence.features(1), np.ones((2, 8)))
    for rows, error in ((np.ones(8), ValueError), (np.full((1, 8), np.nan), muse.ArgumentError)):
        with pytest.raises(error):
            sequence.append_rows(rows)
    with pytest.raises(TypeError):
        sequence.append(np.array([1, 2]))
    with pytest.raises(muse.UnsupportedError):
        sequence.append_text("no tokenizer")
    with pytest.raises(muse.UnsupportedError):
        sequence.append_image_size(10, 10)
    assert len(sequence) == 5


def test_copy_truncate_hash(sequence):
    copy = sequence.copy()
    assert copy.hash() == sequence.hash() and len(copy.hash()) == 32
    copy.truncate(2)
    assert len(copy) == 2 and copy.hash() == sequence.hash(2) != sequence.hash()
    with pytest.raises(muse.ArgumentError):
        sequence.truncate(sequence.spans[1].first + 3)
    sequence.close()
    assert copy[0].bytes == b"What"
    with pytest.raises(ValueError, match="closed"):
        len(sequence)


def test_drawing(sequence):
    pixels = sequence.draw(max_width=400)
    assert pixels.dtype == np.uint8 and pixels.shape[1:] == (400, 3) and not pixels.flags.writeable
    sequence.close()
    assert pixels.std() > 0
    Pillow = pytest.importorskip("PIL.Image")
    sequence = muse.Sequence("gemma4_unified")
    assert sequence._repr_png_() is None
    sequence.append_image_size(100, 100)
    assert Pillow.open(io.BytesIO(sequence._repr_png_())).size[0] > 100


def test_families_and_budgets():
    assert {"muse", "gemma4_unified", "llama", "qwen2", "qwen3", "fuyu"} <= set(muse.families())
    with pytest.raises(LookupError):
        muse.Sequence("nonsense")
    with pytest.raises(muse.LimitError):
        muse.Sequence("llama", max_positions=2).append_ids([1, 2, 3])
    sequence = muse.Sequence("muse")
    with pytest.raises(ValueError, match="budget"):
        sequence.append_image_size(64, 64, budget="large")
    with pytest.raises(muse.ArgumentError):
        sequence.append_image_size(64, 64, budget=7)


def test_pictures_outlive_their_objects(tokenizer):
    sequence = muse.Sequence(tokenizer=tokenizer)
    with muse.Image(np.full((16, 16, 3), 51, np.uint8)) as image:
        sequence.append(image)
    np.testing.assert_allclose(sequence.features(0), 0.2)


def test_patches_of_the_original(reasoner, cat):
    part = cat.region((40, 20, 200, 180))
    sequence = reasoner.sequence("What is it?", part)
    coords, rects, first = sequence.coords(1), sequence.rects, sequence.spans[1].first
    patches = [(k, sequence[k]) for k in range(first, len(sequence)) if sequence[k].modality == "image" and not sequence[k].is_marker]
    assert len(patches) == sequence.spans[1].n_features
    for k, p in patches:
        box = coords.to_rect([p.x, p.y, p.x, p.y])
        assert box == pytest.approx(rects[k]) and coords.from_rect(box) == [p.x, p.y, p.x, p.y]
    with pytest.raises(ValueError, match="not a picture"):
        sequence.coords(0)
    with pytest.raises(IndexError):
        sequence.coords(9)
