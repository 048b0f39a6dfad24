"""The cache of resized images returns the same pixels as the files and stays within its size limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.data import cache, images, reader
from cvlib.data.cache import Cache
from cvlib.data.dataset import Split
from cvlib.data.feed import Feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import BOXES, CLASS
from tests.data.feeds import a_feed

SHAPE = (8, 8, 3)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    files = []
    for i in range(7):
        pixels = np.random.default_rng(i).integers(0, 256, (20 + i, 15, 3), np.uint8)
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(files[-1])
    return Split([file.name for file in files], files, np.arange(7), digests=[f"digest{i}" for i in range(7)])


def images_by_label(feed: Feed, number: int) -> dict[int, np.ndarray]:
    feed.epoch(number)
    return {int(label): image for batch, labels in feed.dataset.as_numpy_iterator()
            for image, label in zip(batch, labels, strict=True)}  # fmt: skip


@pytest.mark.parametrize("on_disk", [False, True])
def test_later_epochs_read_no_files_and_return_the_same_pixels(split: Split, tmp_path: Path, on_disk: bool,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    plain = images_by_label(a_feed(split, SHAPE[:2], 3, 3, 0, shuffle=True), 0)
    file = tmp_path / "cache/images.npy" if on_disk else None
    image_cache = Cache(7, SHAPE, 1e9, file)
    feed = a_feed(split, SHAPE[:2], 3, 3, 0, shuffle=True, cache=image_cache)
    first = images_by_label(feed, 0)
    assert image_cache.complete
    monkeypatch.setattr(reader, "read_image", lambda *_: pytest.fail("a file was read"))
    second = images_by_label(feed, 1)
    for found in (first, second):
        assert all(np.array_equal(found[label], plain[label]) for label in plain)
    if on_disk:
        assert [path.name for path in (tmp_path / "cache").iterdir()] == ["images.npy"]
        another = a_feed(split, SHAPE[:2], 3, 3, 5, shuffle=True, cache=Cache(7, SHAPE, 1e9, file))
        assert all(np.array_equal(image, plain[label]) for label, image in images_by_label(another, 0).items())


def test_images_that_do_not_fit_in_the_cache_are_read_in_every_epoch(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = images_by_label(a_feed(split, SHAPE[:2], 3, 3, 0), 0)
    image_cache = Cache(7, SHAPE, 3.5 * np.prod(SHAPE))
    assert image_cache.held == 3
    assert image_cache.pixels.nbytes == 3 * np.prod(SHAPE)
    feed = a_feed(split, SHAPE[:2], 3, 3, 0, cache=image_cache)
    images_by_label(feed, 0)
    read = []
    monkeypatch.setattr(reader, "read_image", lambda file, *how: read.append(file) or images.read_image(file, *how))
    found = images_by_label(feed, 1)
    assert all(np.array_equal(found[label], plain[label]) for label in plain)
    assert len(read) == 4


def test_an_incomplete_cache_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "images.npy"
    image_cache = Cache(2, SHAPE, 1e9, file)
    image_cache.put(0, np.ones(SHAPE, np.uint8))
    assert not file.exists()
    assert image_cache.get(1) is None
    del image_cache
    assert list(tmp_path.iterdir()) == []


def test_the_key_depends_on_content_size_channels_resizing_and_kind_of_label(split: Split) -> None:
    other = Split(split.names, split.images, split.labels, [*(split.digests or [])[:-1], "changed"])
    spec = InputSpec(8, 8, 3)
    keys = [
        cache.key(split, spec, CLASS), cache.key(other, spec, CLASS), cache.key(split, InputSpec(8, 9, 3), CLASS),
        cache.key(split, InputSpec(9, 8, 3), CLASS), cache.key(split, InputSpec(8, 8, 1), CLASS),
        cache.key(split, InputSpec(8, 8, 3, "letterbox"), CLASS), cache.key(split, spec, BOXES),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert cache.key(split, InputSpec(8, 8, 3), CLASS) == keys[0]
