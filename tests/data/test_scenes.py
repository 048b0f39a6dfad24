"""Digit scenes: boxes and masks match the drawn digits."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import scenes
from cvlib.data.dataset import Split
from cvlib.data.labels import BOXES, CLASS_SET, MASK
from cvlib.runtime.errors import UserError

SMALL = DataConfig(samples=120)


def test_scenes_have_the_documented_properties():
    classes, splits, _ = scenes.digit_scenes(SMALL, BOXES)
    assert classes == list("0123456789") and [len(split) for split in splits] == [84, 18, 18]
    assert all(split.images.shape == (len(split), 96, 96, 3) and split.images.dtype == np.uint8 for split in splits)
    boxes = [boxes for split in splits for boxes in split.labels]
    assert set(np.bincount([len(image_boxes) for image_boxes in boxes]).nonzero()[0]) == {1, 2, 3, 4}
    corners = np.concatenate([image_boxes.corners for image_boxes in boxes])
    assert corners.min() >= 0 and corners.max() <= 96 and np.all(corners[:, 2:] > corners[:, :2])
    assert len({name for split in splits for name in split.names}) == 120
    assert set(np.concatenate([image_boxes.classes for image_boxes in boxes])) == set(range(10))


def test_boxes_are_the_bounds_of_the_digits_in_the_masks():
    _, detection, _ = scenes.digit_scenes(SMALL, BOXES)
    classes, segmentation, _ = scenes.digit_scenes(SMALL, MASK)
    assert classes == ["background", *"0123456789"]
    compared = 0
    for split, masked in zip(detection, segmentation, strict=True):
        assert np.array_equal(split.images, masked.images)
        for boxes, mask in zip(split.labels, masked.labels, strict=True):
            for corners, label in zip(boxes.corners, boxes.classes, strict=True):
                if (boxes.classes == label).sum() == 1:
                    rows, columns = np.nonzero(mask == label + 1)
                    assert corners.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                    compared += 1
            assert set(np.unique(mask)) == {0, *(boxes.classes + 1)}
    assert compared > 200


def test_digits_differ_in_colour_from_their_background():
    _, (train, _, _), _ = scenes.digit_scenes(SMALL, MASK)
    for image, mask in zip(train.images, train.labels, strict=True):
        background = np.median(image[mask == 0], axis=0)
        for label in set(np.unique(mask)) - {0}:
            assert np.linalg.norm(np.median(image[mask == label], axis=0) - background) > 50


def test_scenes_depend_only_on_the_split_seed():
    one, same, other = (scenes.digit_scenes(DataConfig(samples=30, split_seed=seed), BOXES)[1] for seed in (3, 3, 4))
    assert np.array_equal(one[0].images, same[0].images)
    assert not np.array_equal(one[0].images, other[0].images)


def test_each_split_is_drawn_from_its_own_scans(monkeypatch):
    scans = np.full((4, 8, 8, 1), 255, np.uint8)
    pools = [Split([f"{k}{i}" for i in range(4)], scans, np.full(4, k)) for k in range(3)]
    monkeypatch.setattr(scenes, "digits", lambda config: (list("0123456789"), pools, []))
    _, splits, _ = scenes.digit_scenes(SMALL, BOXES)
    for number, split in enumerate(splits):
        assert {int(label) for boxes in split.labels for label in boxes.classes} == {number}


def test_enough_of_every_digit_is_visible(monkeypatch):
    """At least half of the pixels of a filled square remain visible."""
    square = np.ones((20, 20), np.float32)
    rng = np.random.default_rng(0)
    monkeypatch.setattr(scenes, "SIDE", 48)
    overlaps = 0
    for _ in range(50):
        places = scenes._places([square] * 4, rng)
        if places is None:
            continue
        seen = np.full((48, 48), -1)
        for number, (top, left) in enumerate(places):
            seen[top : top + 20, left : left + 20] = number
        areas = np.bincount(seen[seen >= 0], minlength=4)
        assert areas.min() >= 200
        overlaps += areas.sum() < 1600
    assert overlaps > 20


def test_too_few_scenes_are_refused():
    with pytest.raises(UserError, match=r"data\.samples=3 is too small"):
        scenes.digit_scenes(DataConfig(samples=3), BOXES)


def test_a_scene_has_the_classes_of_its_boxes():
    config = DataConfig(samples=40)
    boxes, sets = (data.load(config, 0, kind) for kind in (BOXES, CLASS_SET))
    assert sets.task == "multilabel" and sets.classes == boxes.classes
    assert sets.test.labels == [frozenset(label.classes.tolist()) for label in boxes.test.labels]
    narrowed = data.load(DataConfig(samples=40, classes=["3", "7"]), 0, CLASS_SET)
    assert len(narrowed.train) == len(sets.train)
    for whole, kept in zip(sets.train.labels, narrowed.train.labels, strict=True):
        assert kept == {number for number, digit in enumerate((3, 7)) if digit in whole}
