"""Feeds of tiles: random ones for training, and all windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvlib.config.schema import AugmentConfig
from cvlib.data.dataset import Boxes, Split
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import BOXES, IGNORE, MASK
from cvlib.data.make_feed import make_feed
from tests.data import engines


@pytest.fixture(params=engines.ENGINES, autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    engines.use(request.param, monkeypatch)


SPEC = InputSpec(16, 16, 1, overlap=0.25)
IMAGE = np.random.default_rng(0).integers(0, 256, (2, 40, 24, 1)).astype(np.uint8)


def place_of(tile: np.ndarray, image: np.ndarray) -> tuple[int, int]:
    """Return where a tile is in an image, (top, left)."""
    views = np.lib.stride_tricks.sliding_window_view(image[..., 0], (16, 16))
    (found,) = np.argwhere((views == tile[..., 0]).all(axis=(2, 3)))
    return int(found[0]), int(found[1])


def boxes(*corners: tuple[int, int, int, int]) -> Boxes:
    return Boxes(np.array(corners, np.float32).reshape(-1, 4), np.arange(len(corners)), np.zeros(len(corners), bool))


def split(images: Any, labels: Any) -> Split:
    return Split([f"{number}" for number in range(len(labels))], images, labels)


def test_random_tiles_keep_boxes_and_masks_in_place() -> None:
    # Box 0 lies in the lower right corner, box 1 covers everything: less than 0.3 of it is in any tile.
    labels = [boxes((14, 30, 24, 40), (0, 0, 24, 40))] * 2
    feed = make_feed(split(IMAGE, labels), SPEC, BOXES, 2, 0, shuffle=True, steps=8)
    seen = set()
    for tiles, targets in feed.batches():
        for tile, found, classes in zip(tiles, targets["boxes"], targets["classes"], strict=True):
            index = int(place_of_either(tile))
            top, left = place_of(tile, IMAGE[index])
            whole = np.array([14 - left, 30 - top, 24 - left, 40 - top])
            clipped = np.clip(whole, 0, 16)
            share = np.prod(np.maximum(clipped[2:] - clipped[:2], 0)) / 100
            seen.add((index, top, left))
            assert classes.tolist()[0] == (0 if share >= 0.3 else -1)
            if share >= 0.3:
                assert found[0].tolist() == clipped.tolist()
    assert len(seen) > 8
    masks = (IMAGE[..., 0] // 64).astype(np.uint8)
    for tiles, targets in make_feed(split(IMAGE, masks), SPEC, MASK, 2, 0, shuffle=True).batches():
        np.testing.assert_array_equal(targets, tiles[..., 0].astype(int) // 64)


def place_of_either(tile: np.ndarray) -> int:
    """Return which of the two images a tile was cut from."""
    views = np.lib.stride_tricks.sliding_window_view(IMAGE[..., 0], (1, 16, 16))[:, :, :, 0]
    return int(np.argwhere((views == tile[..., 0]).all(axis=(3, 4)))[0][0])


def test_tiles_depend_on_seed_and_epoch_alone() -> None:
    first, same, other = (make_feed(split(IMAGE, [boxes()] * 2), SPEC, BOXES, 2, seed, shuffle=True)
                          for seed in (1, 1, 2))  # fmt: skip

    def tiles(feed: Any, epoch: int) -> np.ndarray:
        feed.epoch(epoch)
        return np.concatenate([images for images, _ in feed.batches()])

    np.testing.assert_array_equal(tiles(first, 3), tiles(same, 3))
    assert (tiles(first, 0) != tiles(first, 1)).any() and (tiles(first, 0) != tiles(other, 0)).any()


@pytest.mark.parametrize("from_files", [False, True])
def test_windows_cover_each_image_and_pad_small_ones(from_files: bool, tmp_path: Path) -> None:
    small = IMAGE[0, :12, :20]
    images: Any = IMAGE
    masks: Any = (IMAGE[..., 0] // 64).astype(np.uint8)
    if from_files:
        images = [tmp_path / "a.png", tmp_path / "b.png"]
        for path, pixels in zip(images, (IMAGE[0], small), strict=True):
            Image.fromarray(pixels[..., 0]).save(path)
        masks = [lambda: IMAGE[0, ..., 0] // 64, lambda: small[..., 0] // 64]
    feed = make_feed(split(images, masks), SPEC, MASK, 4, 0)
    # Rows at 0, 12 and 24, columns at 0 and 8; the small image has one row and the columns 0 and 4.
    assert feed.windows is not None
    expected = [(0, top, left) for top in (0, 12, 24) for left in (0, 8)]
    expected += [(1, 0, 0), (1, 0, 4)] if from_files else [(1, *place) for _, *place in expected]
    assert [(i, *place) for i, place in zip(feed.windows.images.tolist(), feed.windows.corners.tolist(), strict=True)
            ] == expected  # fmt: skip
    found = [np.concatenate(parts) for parts in zip(*feed.batches(), strict=True)]
    for (index, top, left), tile, mask in zip(expected, *found, strict=True):
        whole = small if from_files and index else IMAGE[index]
        part = whole[top : top + 16, left : left + 16]
        np.testing.assert_array_equal(tile[: len(part), : part.shape[1]], part)
        np.testing.assert_array_equal(mask[: len(part), : part.shape[1]], part[..., 0] // 64)
        assert (tile[len(part) :] == 0).all() and (mask[len(part) :] == IGNORE).all()


def test_a_change_sees_whole_images() -> None:
    shapes = []

    def inverted(images: np.ndarray, indices: np.ndarray) -> np.ndarray:
        shapes.append(images.shape)
        return 255 - images

    feed = make_feed(split(IMAGE, [boxes()] * 2), SPEC, BOXES, 12, 0, change=inverted)
    tiles = next(iter(feed.batches()))[0]
    np.testing.assert_array_equal(tiles[0], 255 - IMAGE[0, :16, :16])
    assert set(shapes) == {(1, 40, 24, 1)}


def test_a_mosaic_of_tiles_joins_four_of_them() -> None:
    mosaic = AugmentConfig(mosaic=1.0)
    labels = [boxes((0, 0, 24, 40)), boxes((4, 4, 20, 36))]
    feed = make_feed(split(IMAGE, labels), SPEC, BOXES, 2, 0, augmentation=mosaic, shuffle=True)
    ((images, targets),) = list(feed.batches())
    assert images.shape == (2, 16, 16, 1) and targets["boxes"].shape[0] == 2
    inside = targets["boxes"][targets["classes"] >= 0]
    assert ((inside >= 0) & (inside <= 16)).all()
