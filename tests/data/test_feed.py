"""Feeds of every kind of label with non-square input match hand calculations and NumPy; shards divide batches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config.schema import AugmentConfig
from cvlib.data.cache import Cache
from cvlib.data.dataset import IGNORE, Boxes, Split
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import BOXES, CLASS, MASK
from cvlib.data.make_feed import make_feed
from cvlib.data.order import Share
from cvlib.data.threaded.pipeline import ThreadedFeed
from tests.data.feeds import a_feed

SIZE = (64, 96)
METHODS = ("stretch", "letterbox")


def nearest(mask: np.ndarray, method: str) -> np.ndarray:
    """Return a mask resized to SIZE by nearest neighbour in NumPy, with IGNORE in the letterbox padding."""
    height, width = mask.shape
    rows = columns = 0
    if method == "letterbox":
        rows = (max(height, width * SIZE[0] // SIZE[1]) - height) // 2
        columns = (max(width, height * SIZE[1] // SIZE[0]) - width) // 2
    padded = np.pad(mask, ((rows, rows), (columns, columns)), constant_values=IGNORE)
    row_indices = ((np.arange(SIZE[0]) + 0.5) * padded.shape[0] / SIZE[0]).astype(int)
    column_indices = ((np.arange(SIZE[1]) + 0.5) * padded.shape[1] / SIZE[1]).astype(int)
    return padded[row_indices[:, None], column_indices]


def draw_rectangle(shape: tuple[int, int], corners: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros((*shape, 3), np.uint8)
    x_min, y_min, x_max, y_max = corners
    image[y_min:y_max, x_min:x_max] = 255
    return image


@pytest.mark.parametrize("method", METHODS)
def test_images_with_class_labels_are_resized_to_64_by_96(method: str) -> None:
    images = np.stack([draw_rectangle((30, 30), (10, 5, 20, 25))] * 3)
    split = Split(["a", "b", "c"], images, np.array([2, 0, 1]))
    feed = a_feed(split, SIZE, 3, 2, 0, resize=method)
    (first, labels), (second, _) = feed.batches()
    assert first.shape == (2, 64, 96, 3) and second.shape == (1, 64, 96, 3) and labels.tolist() == [2, 0]
    bright = np.argwhere(first[0, ..., 0] > 127)
    # Letterbox: 7 columns on either side pad 30 × 30 to 30 × 44, which is scaled by 64 / 30 in y and 96 / 44 in x.
    x = (10 * 96 / 30, 20 * 96 / 30) if method == "stretch" else (17 * 96 / 44, 27 * 96 / 44)
    np.testing.assert_allclose(bright.min(axis=0), [5 * 64 / 30, x[0]], atol=1)
    np.testing.assert_allclose(bright.max(axis=0) + 1, [25 * 64 / 30, x[1]], atol=1)


def test_boxes_at_64_by_96_match_the_hand_calculation() -> None:
    boxes = Boxes(np.array([[30, 10, 60, 20], [0, 0, 90, 30]], np.float32), np.array([1, 0]), np.array([False, False]))
    split = Split(["a"], draw_rectangle((30, 90), (30, 10, 60, 20))[None], [boxes])
    found = {}
    for method in METHODS:
        ((image, target),) = a_feed(split, SIZE, 3, 1, 0, kind=BOXES, resize=method).batches()
        found[method] = target["boxes"][0]
        bright = np.argwhere(image[0, ..., 0] > 127)[:, ::-1]
        np.testing.assert_allclose(bright.min(axis=0), found[method][0, :2], atol=1)
        np.testing.assert_allclose(bright.max(axis=0) + 1, found[method][0, 2:], atol=1)
        assert target["classes"].tolist() == [[1, 0]]
    scale_x, scale_y = 96 / 90, 64 / 30
    stretched = [[30 * scale_x, 10 * scale_y, 60 * scale_x, 20 * scale_y], [0, 0, 96, 64]]
    np.testing.assert_allclose(found["stretch"], stretched, rtol=1e-6)
    # Letterbox: at a width of 90, the height becomes 90 · 64 / 96 = 60, so 15 rows are added above and below.
    # Both directions are then scaled by 96 / 90.
    letterboxed = np.array([[30, 25, 60, 35], [0, 15, 90, 45]]) * (96 / 90)
    np.testing.assert_allclose(found["letterbox"], letterboxed, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(32, 48), (30, 90), (80, 40), (128, 192)])
def test_masks_at_64_by_96_match_nearest_neighbour_resizing_in_numpy(method: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 4, (3, *shape), np.uint8)
    split = Split(["a", "b", "c"], rng.integers(0, 256, (3, *shape, 3), np.uint8), masks)
    ((images, found),) = a_feed(split, SIZE, 3, 3, 0, kind=MASK, resize=method).batches()
    assert images.shape == (3, 64, 96, 3) and found.shape == (3, 64, 96)
    np.testing.assert_array_equal(found, [nearest(mask, method) for mask in masks])


def test_a_flip_at_64_by_96_mirrors_the_image_the_boxes_and_the_mask() -> None:
    flip = AugmentConfig(horizontal_flip=1.0)
    image = draw_rectangle(SIZE, (10, 20, 40, 30))[None]
    boxes = Boxes(np.array([[10, 20, 40, 30]], np.float32), np.array([0]), np.array([False]))
    ((seen, target),) = a_feed(Split(["a"], image, [boxes]), SIZE, 3, 1, 0, flip, kind=BOXES).batches()
    np.testing.assert_array_equal(seen, image[:, :, ::-1])
    np.testing.assert_allclose(target["boxes"][0], [[56, 20, 86, 30]], atol=1e-4)
    mask = (image[..., 0] > 0).astype(np.uint8)
    ((_, ids),) = a_feed(Split(["a"], image, mask), SIZE, 3, 1, 0, flip, kind=MASK).batches()
    np.testing.assert_array_equal(ids, mask[:, :, ::-1])


@pytest.mark.parametrize(("mosaic", "least"), [(1.0, 50), (0.5, 35)])
@pytest.mark.parametrize("threaded", [False, True])
def test_mosaic_boxes_at_64_by_96_match_the_drawn_rectangles(mosaic: float, least: int, threaded: bool) -> None:
    rng = np.random.default_rng(1)
    corners = [(x, y, x + 20, y + 15) for x, y in zip(rng.integers(2, 70, 30), rng.integers(2, 45, 30), strict=True)]
    labels = [Boxes(np.array([box], np.float32), np.array([0]), np.array([False])) for box in corners]
    split = Split([str(i) for i in range(30)], np.stack([draw_rectangle(SIZE, box) for box in corners]), labels)
    feed = a_feed(split, SIZE, 3, 30, 2, AugmentConfig(mosaic=mosaic), kind=BOXES)
    feed = ThreadedFeed(feed.samples, feed.batch_size, feed.order) if threaded else feed
    ((seen, target),) = feed.batches()
    assert seen.shape == (30, *SIZE, 3)
    count = 0
    for image, boxes, classes in zip(seen[..., 0], target["boxes"], target["classes"], strict=True):
        for x_min, y_min, x_max, y_max in boxes[classes >= 0]:
            inside = image[int(y_min + 1.5) : int(y_max - 0.5), int(x_min + 1.5) : int(x_max - 0.5)]
            assert inside.size == 0 or (inside > 200).mean() > 0.95
            assert x_max <= 96 and y_max <= 64
            count += 1
    assert count > least


@pytest.mark.parametrize("threaded", [False, True])
def test_an_epoch_without_mosaics_has_the_images_and_boxes_of_the_split(threaded: bool) -> None:
    corners = [(10 * i, 5 * i, 10 * i + 20, 5 * i + 15) for i in range(6)]
    labels = [Boxes(np.array([box], np.float32), np.array([0]), np.array([False])) for box in corners]
    split = Split([str(i) for i in range(6)], np.stack([draw_rectangle(SIZE, box) for box in corners]), labels)
    feed = a_feed(split, SIZE, 3, 6, 2, AugmentConfig(mosaic=1.0), kind=BOXES)
    feed = ThreadedFeed(feed.samples, feed.batch_size, feed.order) if threaded else feed
    assert not np.array_equal(next(iter(feed.batches()))[0], split.images)
    feed.epoch(1, mosaics=False)
    ((images, target),) = feed.batches()
    np.testing.assert_array_equal(images, split.images)
    np.testing.assert_allclose([boxes[classes >= 0][0] for boxes, classes in
                                zip(target["boxes"], target["classes"], strict=True)], corners)  # fmt: skip
    feed.epoch(1)
    assert not np.array_equal(next(iter(feed.batches()))[0], split.images)


@pytest.mark.parametrize("threaded", [False, True])
def test_only_the_images_that_a_sample_shows_are_read(threaded: bool) -> None:
    read: list[int] = []

    def note(pixels: np.ndarray, indices: np.ndarray) -> np.ndarray:
        read.extend(indices.tolist())
        return pixels

    boxes = [Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))] * 40
    split = Split([str(i) for i in range(40)], np.zeros((40, 8, 8, 3), np.uint8), boxes)
    feed = make_feed(split, InputSpec(8, 8, 3), BOXES, 8, 0, augmentation=AugmentConfig(mosaic=0.5), change=note)
    feed = ThreadedFeed(feed.samples, feed.batch_size, feed.order) if threaded else feed
    list(feed.batches())
    assert 70 < len(read) < 130 and len(read) % 3 == 1  # 40 and three more for each mosaic
    read.clear()
    feed.epoch(1, mosaics=False)
    list(feed.batches())
    assert sorted(read) == list(range(40))


def test_the_cache_stores_an_image_and_its_mask_at_64_by_96(tmp_path: Path) -> None:
    rng, files, masks = np.random.default_rng(0), [], []
    for i in range(4):
        pixels = rng.integers(0, 256, (40 + i, 50, 3), np.uint8)
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(files[-1])
        masks.append(rng.integers(0, 3, (40 + i, 50)).astype(np.uint8))
    split = Split([file.name for file in files], files, [lambda mask=mask: mask for mask in masks])
    spec = InputSpec(*SIZE, 3)
    assert MASK.stored_shape(spec) == (64, 96, 4) and BOXES.stored_shape(spec) == (64, 96, 3)
    image_cache = Cache(4, MASK.stored_shape(spec), 1e9)
    feed = make_feed(split, spec, MASK, 2, 0, cache=image_cache)
    first = list(feed.batches())
    assert image_cache.complete
    feed.epoch(1)
    for (images, ids), (images_again, ids_again) in zip(first, feed.batches(), strict=True):
        assert np.array_equal(images, images_again) and np.array_equal(ids, ids_again)
    np.testing.assert_array_equal(np.concatenate([ids for _, ids in first]), [nearest(m, "stretch") for m in masks])


def test_shares_divide_every_batch_of_a_feed() -> None:
    split = Split([str(i) for i in range(21)], np.zeros((21, 4, 4, 1), np.uint8), np.arange(21))
    whole = a_feed(split, (4, 4), 1, 6, 3, shuffle=True)
    shares = [a_feed(split, (4, 4), 1, 6, 3, shuffle=True, share=Share(index, 2, 6, 2)) for index in range(2)]
    for feed in (whole, *shares):
        feed.epoch(2, 1)
    assert [feed.images for feed in shares] == [21, 21] and [feed.rows for feed in shares] == [3, 3]
    for (_, labels), *parts in zip(whole.batches(), *(feed.batches() for feed in shares), strict=True):
        assert labels.tolist() == np.concatenate([part for _, part in parts])[: len(labels)].tolist()
    with pytest.raises(ValueError, match="batch_size=5"):
        Share(0, 2, 5, 2)


def test_a_mosaic_requires_boxes() -> None:
    split = Split(["a"], np.zeros((1, 4, 4, 1), np.uint8), np.array([0]))
    with pytest.raises(ValueError, match="mosaic"):
        a_feed(split, (4, 4), 1, 1, 0, AugmentConfig(mosaic=0.5), kind=CLASS)


def test_an_invalid_input_spec_is_refused() -> None:
    assert InputSpec(64, 96, 3).shape == (64, 96, 3)
    with pytest.raises(ValueError, match="expected one of stretch, letterbox"):
        InputSpec(64, 96, 3, "crop")


def test_only_the_folders_of_engines_import_tensorflow_or_keras() -> None:
    folder = Path(data.__file__).parent
    files = [file for file in sorted(folder.rglob("*.py")) if file.parent.name not in ("tensorflow", "threaded")]
    modules = [".".join(["cvlib.data", *file.relative_to(folder).with_suffix("").parts]) for file in files]
    code = f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
    code += "print({'tensorflow', 'keras'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
