"""Sets of classes are fed, chosen, made from boxes, and checked for classes that can't be learned."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.config.schema import AugmentConfig
from cvlib.data import splits
from cvlib.data.dataset import Boxes, Dataset, Split
from cvlib.data.fingerprint import fingerprint
from cvlib.data.labels import CLASS_SET
from cvlib.runtime.errors import UserError
from tests.data.feeds import a_feed

CLASSES = ["bird", "cat", "dog"]


def small_split(*labels: set[int], start: int = 0) -> Split:
    names = [f"image {start + number}" for number in range(len(labels))]
    return Split(names, np.zeros((len(labels), 6, 9, 3), np.uint8), [frozenset(label) for label in labels])


def test_ids_are_fed_in_rows_and_augmentation_does_not_change_them() -> None:
    config = AugmentConfig(horizontal_flip=0.5, rotation=20, hue=0.1)
    ((images, labels),) = a_feed(small_split({2, 0}, {1}, set()), (8, 12), 3, 3, 0, config, kind=CLASS_SET).batches()
    assert images.shape == (3, 8, 12, 3)
    assert labels.tolist() == [[0, 2], [1, -1], [-1, -1]]


def test_choosing_classes_keeps_every_image() -> None:
    whole = small_split({0, 2}, {1}, set())
    classes, (kept,) = splits.choose_classes(CLASSES, [whole], ["dog"], CLASS_SET)
    assert (classes, kept.labels) == (["dog"], [{0}, set(), set()])
    assert splits.renumber(whole, CLASSES, ["dog", "x", "cat", "bird"], CLASS_SET).labels == [{0, 3}, {2}, set()]
    assert not CLASS_SET.is_left_out(frozenset({0}), {2})


def test_images_are_stratified_by_their_rarest_class() -> None:
    assert CLASS_SET.strata(small_split({0}, {0, 1}, {0, 1, 2}, set()).labels).tolist() == [0, 1, 2, -1]


def test_an_image_has_the_classes_of_its_boxes() -> None:
    boxes = Boxes(np.zeros((3, 4), np.float32), np.array([2, 0, 2]), np.zeros(3, bool))
    assert CLASS_SET.made_of(boxes) == {0, 2}


def test_an_additional_class_changes_the_fingerprint() -> None:
    parts = [small_split({0, 2}, {1}), small_split({0}, start=2), small_split({1}, start=3)]
    dataset = Dataset("x", "multilabel", CLASSES, 3, (6, 9), *parts, [])
    other = Dataset("x", "multilabel", CLASSES, 3, (6, 9), small_split({0, 2}, {1, 2}), *parts[1:], [])
    assert dataset.kind == CLASS_SET
    assert fingerprint(dataset) != fingerprint(other)


def test_classes_that_cannot_be_learned_or_measured_are_reported() -> None:
    parts = {"train": small_split({0, 1}, {0}), "val": small_split({0}), "test": small_split({0, 1, 2})}
    assert CLASS_SET.check("some", parts, CLASSES) == [
        "no training image for dog: can't be learned",
        "no val image for cat, dog: the threshold stays at 0.5",
        "every training image has bird: there are no negative examples",
    ]
    with pytest.raises(UserError, match="data=some: no training image has a class to learn"):
        CLASS_SET.check("some", parts | {"train": small_split(set(), set())}, CLASSES)
    with pytest.raises(UserError, match=r"every training image has the same classes \(bird, dog\): there is nothing"):
        CLASS_SET.check("some", parts | {"train": small_split({0, 2}, {0, 2})}, CLASSES)
    assert CLASS_SET.unmeasurable(parts["val"]) is None
    assert CLASS_SET.unmeasurable(small_split(set())) is not None
