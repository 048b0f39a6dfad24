"""Several classes are merged into one, for every kind of label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvlib.data import merging
from cvlib.data.dataset import Boxes, Split
from cvlib.data.labels import BOXES, CLASS, CLASS_SET, IGNORE, MASK
from cvlib.runtime.errors import UserError
from tests.data.layouts.folders_on_disk import assert_refused, load, write_images

CLASSES = ["bus", "cat", "sedan", "van"]
VEHICLE = {"vehicle": ["van", "bus", "sedan"]}


def _split(labels: object, count: int) -> Split:
    return Split([str(i) for i in range(count)], np.zeros((count, 2, 2, 3), np.uint8), labels)  # type: ignore[arg-type]


def test_a_merged_class_takes_the_place_of_its_first_member() -> None:
    classes, (split,) = merging.merge(CLASSES, [_split(np.array([0, 1, 2, 3]), 4)], VEHICLE, CLASS)
    assert classes == ["vehicle", "cat"] and split.labels.tolist() == [0, 1, 0, 0]
    classes, (split,) = merging.merge(CLASSES, [_split(np.array([0, 1, 2, 3]), 4)], {"car": ["sedan", "van"]}, CLASS)
    assert classes == ["bus", "cat", "car"] and split.labels.tolist() == [0, 1, 2, 2]


def test_boxes_masks_and_class_sets_are_merged() -> None:
    boxes = Boxes(np.zeros((3, 4), np.float32), np.array([3, 1, 0]), np.zeros(3, bool))
    assert merging.merge(CLASSES, [_split([boxes], 1)], VEHICLE, BOXES)[1][0].labels[0].classes.tolist() == [0, 1, 0]
    masks = np.array([[[0, 1], [3, IGNORE]]], np.uint8)
    merged = merging.merge(CLASSES, [_split(masks, 1)], VEHICLE, MASK)[1][0].labels
    assert merged.tolist() == [[[0, 1], [0, IGNORE]]]
    sets = [frozenset({0, 3}), frozenset({1, 2}), frozenset[int]()]
    assert merging.merge(CLASSES, [_split(sets, 3)], VEHICLE, CLASS_SET)[1][0].labels == [{0}, {0, 1}, set()]


@pytest.mark.parametrize(("groups", "words"), [
    ({"car": ["sedan", "lorry"]}, "there is no class 'lorry'"),
    ({"car": ["sedan"], "auto": ["sedan", "van"]}, "sedan is merged into car and into auto"),
    ({"sedan": ["sedan", "van"], "auto": ["sedan", "bus"]}, "sedan is merged into sedan and into auto"),
    ({"cat": ["sedan", "van"]}, "cat is already a class"),
    ({"all": CLASSES}, "data.merge leaves only one class"),
])  # fmt: skip
def test_an_invalid_merge_is_refused(groups: dict[str, list[str]], words: str) -> None:
    with pytest.raises(UserError, match=words):
        merging.merge(CLASSES, [_split(np.array([0]), 1)], groups, CLASS)


def test_class_folders_are_merged_and_chosen_by_the_new_name(tmp_path: Path) -> None:
    for name, count in zip(CLASSES, (8, 9, 6, 7), strict=True):
        write_images(tmp_path / name, count)
    dataset = load(tmp_path, merge={"car": ["sedan", "van"]})
    assert dataset.classes == ["bus", "cat", "car"]
    counts = sum(np.bincount(np.asarray(split.labels), minlength=3) for split in dataset.splits.values())
    assert np.asarray(counts).tolist() == [8, 9, 13]
    chosen = load(tmp_path, merge={"car": ["sedan", "van"]}, classes=["car", "bus"])
    assert chosen.classes == ["car", "bus"] and sum(map(len, chosen.splits.values())) == 21
    assert_refused("unknown class 'sedan'", tmp_path, merge={"car": ["sedan", "van"]}, classes=["sedan", "bus"])
