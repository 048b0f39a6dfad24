"""Boxes and masks match drawn shapes after every geometric augmentation."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmenting import geometry
from cvlib.data.augmenting.affine import GREY
from cvlib.data.dataset import IGNORE, Boxes, Split
from cvlib.data.labels import BOXES, MASK
from cvlib.data.labels.boxes import NO_OBJECT
from tests.data.feeds import a_feed

SIDE = 64
AUGMENTATIONS = {
    "flip": AugmentConfig(horizontal_flip=0.5, vertical_flip=0.5),
    "crop": AugmentConfig(crop=0.4),
    "zoom out": AugmentConfig(zoom_out=3.0),
    "rotation": AugmentConfig(rotation=30),
    "all": AugmentConfig(horizontal_flip=0.5, vertical_flip=0.5, crop=0.4, zoom_out=2.0, rotation=20),
}


def draw_rectangles(count: int, seed: int = 0) -> tuple[np.ndarray, list[Boxes]]:
    """Return images with one white rectangle each on black, and boxes of class 1 around them."""
    rng = np.random.default_rng(seed)
    images, labels = np.zeros((count, SIDE, SIDE, 1), np.uint8), []
    for image in images:
        x, y = rng.integers(4, 30, 2)
        width, height = rng.integers(10, 30, 2)
        image[y : y + height, x : x + width] = 255
        labels.append(Boxes(np.array([[x, y, x + width, y + height]], np.float32), np.array([1]), np.array([False])))
    return images, labels


def bounding_box(image: np.ndarray) -> tuple[float, float, float, float] | None:
    """Return the bounding box of the bright pixels, if there are any."""
    rows, columns = np.nonzero(image > 180)
    if len(rows) == 0:
        return None
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("augmentation", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_boxes_enclose_the_drawn_rectangles(augmentation: AugmentConfig) -> None:
    images, labels = draw_rectangles(60)
    split = Split([str(i) for i in range(60)], images, labels)
    feed = a_feed(split, (SIDE, SIDE), 1, 60, seed=1, augmentation=augmentation, kind=BOXES)
    ((seen, target),) = feed.batches()
    kept = 0
    for image, corners, classes in zip(seen[..., 0], target["boxes"], target["classes"], strict=True):
        found = bounding_box(image)
        if classes[0] == NO_OBJECT:
            assert found is None or (image > 180).sum() < 0.5 * 30 * 30
            continue
        kept += 1
        assert classes[0] == 1
        assert found is not None
        np.testing.assert_allclose(corners[0], found, atol=1.6)
        assert corners[0].min() >= 0
        assert corners[0].max() <= SIDE
    assert kept >= 30


@pytest.mark.parametrize("augmentation", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_masks_cover_the_drawn_rectangles(augmentation: AugmentConfig) -> None:
    images, _ = draw_rectangles(40)
    masks = (images[..., 0] > 0).astype(np.uint8) * 2
    split = Split([str(i) for i in range(40)], images, masks)
    feed = a_feed(split, (SIDE, SIDE), 1, 40, seed=1, augmentation=augmentation, kind=MASK)
    ((seen, ids),) = feed.batches()
    assert set(np.unique(ids)) <= {0, 2, IGNORE}
    known = ids != IGNORE
    agree = (seen[..., 0] > 127) == (ids == 2)
    assert agree[known].mean() > 0.985
    assert known.mean() > 0.3
    if augmentation is AUGMENTATIONS["flip"]:
        assert known.all()
        assert agree.all()


def test_pixels_outside_the_image_are_ignored() -> None:
    images = np.full((8, SIDE, SIDE, 1), 255, np.uint8)
    split = Split([str(i) for i in range(8)], images, np.ones((8, SIDE, SIDE), np.uint8))
    feed = a_feed(split, (SIDE, SIDE), 1, 8, 0, AugmentConfig(zoom_out=4.0, rotation=45), kind=MASK)
    ((seen, ids),) = feed.batches()
    assert (ids == IGNORE).any()
    assert np.median(seen[ids == IGNORE]) == GREY
    assert np.median(seen[ids == 1]) == 255


def test_boxes_that_are_mostly_clipped_or_too_narrow_are_dropped() -> None:
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 100, 10], [5, 5, 5.5, 30], [60, 60, 90, 90]]], np.float32)
    classes = np.array([[0, 1, 2, 3]], np.int32)
    corners, kept = geometry.clip(boxes, classes, np.array([[0, 0, 64, 64]], np.float32))
    # unchanged; clipped to 64 of 100 columns; only half a pixel wide; clipped to 4·4 of 30·30 pixels
    assert kept.tolist() == [[0, 1, -1, -1]]
    assert corners[0, :2].tolist() == [[0, 0, 10, 10], [0, 0, 64, 10]]
    assert corners[0, 2:].max() == 0


def test_boxes_are_placed_like_their_letterboxed_image() -> None:
    image = np.zeros((30, 90, 1), np.uint8)
    image[10:20, 30:60] = 255
    boxes = Boxes(np.array([[30, 10, 60, 20]], np.float32), np.array([0]), np.array([False]))
    split = Split(["a"], image[None], [boxes])
    feed = a_feed(split, (SIDE, SIDE), 1, 1, 0, kind=BOXES, resize="letterbox")
    ((seen, target),) = feed.batches()
    np.testing.assert_allclose(target["boxes"][0, 0], bounding_box(seen[0, ..., 0]), atol=1)


# Mosaic


def test_mosaic_boxes_match_the_drawn_rectangles_in_each_quarter() -> None:
    images, labels = draw_rectangles(40)
    split = Split([str(i) for i in range(40)], images, labels)
    feed = a_feed(split, (SIDE, SIDE), 1, 40, seed=2, augmentation=AugmentConfig(mosaic=1.0), kind=BOXES)
    ((seen, target),) = feed.batches()
    boxes = 0
    for image, corners, classes in zip(seen[..., 0], target["boxes"], target["classes"], strict=True):
        in_a_box = np.zeros((SIDE, SIDE), bool)
        for x_min, y_min, x_max, y_max in corners[classes >= 0]:
            inside = image[int(y_min + 1.5) : int(y_max - 0.5), int(x_min + 1.5) : int(x_max - 0.5)]
            assert inside.size == 0 or (inside > 200).mean() > 0.95
            in_a_box[max(0, int(y_min) - 1) : int(y_max) + 2, max(0, int(x_min) - 1) : int(x_max) + 2] = True
            boxes += 1
        # Bright pixels outside all boxes belong to objects of which too little is left.
        assert ((image > 200) & ~in_a_box).sum() < 0.3 * 30 * 30 * 2
    assert boxes > 60


def test_images_without_a_mosaic_are_unchanged() -> None:
    images, labels = draw_rectangles(6)
    split = Split([str(i) for i in range(6)], images, labels)
    feed = a_feed(split, (SIDE, SIDE), 1, 6, seed=2, augmentation=AugmentConfig(mosaic=1e-9), kind=BOXES)
    ((seen, target),) = feed.batches()
    np.testing.assert_array_equal(seen, images)
    np.testing.assert_allclose(target["boxes"][:, 0], [label.corners[0] for label in labels], atol=1e-3)
    assert target["classes"].shape[1] == 1


def test_a_batch_without_any_box_has_one_empty_row() -> None:
    corners, classes = geometry.compact(np.zeros((2, 5, 4), np.float32), np.full((2, 5), -1))
    assert corners.shape == (2, 1, 4)
    assert classes.tolist() == [[-1], [-1]]
