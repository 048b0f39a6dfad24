"""The cache of resized images: what comes out is what came from the files, and never more than there is room for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.data import cache, images
from cvlib.data.cache import Cache
from cvlib.data.dataset import Split
from cvlib.data.feed import Feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import BOXES, CLASS
from cvlib.data.tensorflow import reader
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


def an_epoch(feed: Feed, number: int) -> dict[int, np.ndarray]:
    feed.epoch(number)
    return {int(label): image for batch, labels in feed.dataset.as_numpy_iterator()
            for image, label in zip(batch, labels, strict=True)}  # fmt: skip


@pytest.mark.parametrize("on_disk", [False, True])
def test_later_epochs_read_no_file_and_get_the_same_pixels(split: Split, tmp_path: Path, on_disk: bool,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    plain = an_epoch(a_feed(split, SHAPE[:2], 3, 3, 0, shuffle=True), 0)
    file = tmp_path / "kept/images.npy" if on_disk else None
    kept = Cache(7, SHAPE, 1e9, file)
    feed = a_feed(split, SHAPE[:2], 3, 3, 0, shuffle=True, cache=kept)
    first = an_epoch(feed, 0)
    assert kept.complete
    monkeypatch.setattr(reader, "read_image", lambda *_: pytest.fail("a file was read"))
    second = an_epoch(feed, 1)
    for found in (first, second):
        assert all(np.array_equal(found[label], plain[label]) for label in plain)
    if on_disk:
        assert [path.name for path in (tmp_path / "kept").iterdir()] == ["images.npy"]
        another = a_feed(split, SHAPE[:2], 3, 3, 5, shuffle=True, cache=Cache(7, SHAPE, 1e9, file))
        assert all(np.array_equal(image, plain[label]) for label, image in an_epoch(another, 0).items())


def test_what_has_no_room_is_read_each_time(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = an_epoch(a_feed(split, SHAPE[:2], 3, 3, 0), 0)
    kept = Cache(7, SHAPE, 3.5 * np.prod(SHAPE))
    assert kept.held == 3
    assert kept.pixels.nbytes == 3 * np.prod(SHAPE)
    feed = a_feed(split, SHAPE[:2], 3, 3, 0, cache=kept)
    an_epoch(feed, 0)
    read = []
    monkeypatch.setattr(reader, "read_image", lambda file, *how: read.append(file) or images.read_image(file, *how))
    found = an_epoch(feed, 1)
    assert all(np.array_equal(found[label], plain[label]) for label in plain)
    assert len(read) == 4


def test_an_unfinished_file_never_takes_its_name(tmp_path: Path) -> None:
    file = tmp_path / "images.npy"
    kept = Cache(2, SHAPE, 1e9, file)
    kept.put(0, np.ones(SHAPE, np.uint8))
    assert not file.exists()
    assert kept.get(1) is None
    del kept
    assert list(tmp_path.iterdir()) == []


def test_the_key_knows_content_size_channels_and_way_of_resizing(split: Split) -> None:
    other = Split(split.names, split.images, split.labels, [*(split.digests or [])[:-1], "changed"])
    spec = InputSpec(8, 8, 3)
    keys = [
        cache.key(split, spec, CLASS), cache.key(other, spec, CLASS), cache.key(split, InputSpec(8, 9, 3), CLASS),
        cache.key(split, InputSpec(9, 8, 3), CLASS), cache.key(split, InputSpec(8, 8, 1), CLASS),
        cache.key(split, InputSpec(8, 8, 3, "letterbox"), CLASS), cache.key(split, spec, BOXES),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert cache.key(split, InputSpec(8, 8, 3), CLASS) == keys[0]
