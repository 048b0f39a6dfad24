"""Splits have exact sizes, are disjoint and are not empty; fractions are nested."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import splits
from cvlib.data.dataset import Boxes, Split
from cvlib.data.labels import BOXES, CLASS, MASK
from cvlib.runtime.errors import UserError

FRACTIONS = (0.7, 0.15, 0.15)


def _counts(labels, parts):
    return [np.bincount(np.asarray(labels)[part], minlength=max(labels) + 1).tolist() for part in parts]


def test_splits_are_disjoint_and_complete():
    labels = np.repeat([0, 1, 2], [50, 31, 7])
    parts = splits.split(labels, FRACTIONS, seed=3)
    assert sorted(np.concatenate(parts).tolist()) == list(range(88))
    assert all(np.all(np.diff(part) > 0) for part in parts)


def test_divisible_classes_are_divided_exactly():
    labels = np.repeat([0, 1], [100, 40])
    assert _counts(labels, splits.split(labels, FRACTIONS, seed=0)) == [[70, 28], [15, 6], [15, 6]]


def test_split_sizes_are_exact_and_each_class_is_rounded_up_or_down():
    # 20 images, half held out: quotas of 3.5, 1.5 and 5, so 10 in total, with each class rounded up or down.
    labels = np.repeat([0, 1, 2], [7, 3, 10])
    train, held = _counts(labels, splits.split(labels, (0.5, 0.5), seed=0))
    assert sum(train) == sum(held) == 10
    assert train[0] in (3, 4) and train[1] in (1, 2) and train[2] == 5


def test_small_equal_classes_share_the_held_out_splits():
    # 10 classes of 3 images, with quotas of 0.45 each: 5 classes give one to val, and 4 others give one to test.
    labels = np.repeat(np.arange(10), 3)
    train, val, test = _counts(labels, splits.split(labels, FRACTIONS, seed=0))
    assert sum(val) == 5 and sum(test) == 4
    assert max(v + t for v, t in zip(val, test, strict=True)) == 1
    assert min(train) == 2


@pytest.mark.parametrize("sizes", [[3], [2, 1], [1, 1, 1], [5, 5], [9, 1], [1] * 10, [4, 3, 2, 1], [2, 2]])
@pytest.mark.parametrize("seed", range(5))
def test_no_split_is_empty_with_at_least_three_images(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = splits.split(labels, FRACTIONS, seed)
    assert all(len(part) >= 1 for part in parts)
    assert sum(map(len, parts)) == sum(sizes)


@pytest.mark.parametrize("sizes", [[9, 1], [5, 5], [4, 3, 2, 1], [2, 2, 1]])
@pytest.mark.parametrize("seed", range(5))
def test_every_class_keeps_a_training_image_if_others_can_spare_one(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    train, *_ = _counts(labels, splits.split(labels, FRACTIONS, seed))
    assert min(train) >= 1


def test_a_held_out_split_shrinks_before_a_class_loses_its_last_training_sample():
    labels = np.repeat([0, 1, 2], [1, 1, 4])
    train, _ = _counts(labels, splits.split(labels, (0.2, 0.8), seed=0))
    assert train == [1, 1, 1]


def test_a_fraction_of_zero_gives_an_empty_split():
    train, val, test = splits.split(np.zeros(10, int), (0.8, 0, 0.2), seed=0)
    assert [len(train), len(val), len(test)] == [8, 0, 2]


def test_the_split_depends_on_the_seed():
    labels = np.repeat([0, 1], 50)
    one, again, other = (splits.split(labels, FRACTIONS, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[1], other[1])


def test_fractions_are_nested_stratified_and_exact_in_size():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [200, 100, 17]))
    kept = {share: splits.nested(labels, share, seed=5) for share in (0.001, 0.05, 0.1, 0.25, 0.5, 1.0)}
    for small, large in zip(list(kept.values())[:-1], list(kept.values())[1:], strict=True):
        assert set(small.tolist()) < set(large.tolist())
    for share, indices in kept.items():
        assert len(indices) == max(round(share * 317), 3)
        counts = np.bincount(labels[indices], minlength=3)
        assert np.all(counts >= 1)
        assert np.all(np.abs(counts - np.array([200, 100, 17]) * share) < 2)
    assert not np.array_equal(splits.nested(labels, 0.25, 5), splits.nested(labels, 0.25, 6))


def test_load_applies_the_fraction_to_training_only():
    whole, half = (data.load(DataConfig(fraction=share), seed=0) for share in (1.0, 0.5))
    assert len(half.train) == 629 and len(whole.train) == 1258
    assert set(half.train.names) < set(whole.train.names)
    assert half.val.names == whole.val.names and half.test.names == whole.test.names
    assert half.notes == ["data.fraction=0.5: 629 of 1258 training images are used"]


def test_load_keeps_the_chosen_classes_in_the_given_order():
    whole = data.load(DataConfig(), seed=0)
    some = data.load(DataConfig(classes=["7", "1"]), seed=0)
    assert some.classes == ["7", "1"]
    label_of = dict(zip(whole.train.names, whole.train.labels.tolist(), strict=True))
    assert [label_of[name] for name in some.train.names] == [(7, 1)[label] for label in some.train.labels]
    assert set(some.test.names) == {n for n, y in zip(whole.test.names, whole.test.labels, strict=True) if y in (1, 7)}


@pytest.mark.parametrize(("classes", "words"), [
    (["1", "sevn"], "unknown class 'sevn'"), (["1"], "at least two"), (["1", "1", "2"], "each once"),
    ([], "at least two"),
])  # fmt: skip
def test_invalid_classes_are_refused(classes, words):
    with pytest.raises(UserError, match=words):
        data.load(DataConfig(classes=classes), seed=0)


def test_similar_class_names_are_suggested():
    with pytest.raises(UserError, match="'ampersan'; similar names: ampersand"):
        data.load(DataConfig(name="letters", samples=200, classes=["A", "ampersan"]), seed=0)


def test_an_empty_held_out_split_is_refused():
    with pytest.raises(UserError, match=r"no images for val .*val 0.*set data.val_fraction"):
        data.load(DataConfig(val_fraction=0.0), seed=0)


def _boxes(*classes: int) -> Boxes:
    return Boxes(np.zeros((len(classes), 4), np.float32), np.array(classes, np.int64), np.zeros(len(classes), bool))


def test_images_with_boxes_are_stratified_by_their_rarest_class():
    # Class 0 is in four images, 1 in two, 2 in one; how often it occurs within an image doesn't count.
    labels = [_boxes(0), _boxes(0, 1), _boxes(0, 0, 1), _boxes(0, 2, 2, 2), _boxes()]
    assert BOXES.strata(labels).tolist() == [0, 1, 1, 2, -1]


def test_masks_share_one_stratum_and_each_class_has_its_own():
    assert MASK.strata([lambda: np.zeros((2, 2), np.uint8)] * 3).tolist() == [0, 0, 0]
    assert MASK.strata(np.zeros((4, 2, 2), np.uint8)).tolist() == [0, 0, 0, 0]
    assert CLASS.strata(np.array([3, 1])).tolist() == [3, 1]


def test_classes_can_be_chosen_from_more_than_256():
    classes = [f"c{i}" for i in range(300)]
    part = Split([f"{i}" for i in range(300)], np.zeros((300, 1, 1, 1), np.uint8), np.arange(300))
    chosen, (kept,) = splits.choose_classes(classes, [part], ["c299", "c255", "c0"])
    assert chosen == ["c299", "c255", "c0"]
    assert kept.names == ["0", "255", "299"] and kept.labels.tolist() == [2, 1, 0]


def test_a_single_class_can_be_chosen_for_boxes_but_not_for_masks():
    part = Split(["a", "b"], np.zeros((2, 1, 1, 1), np.uint8), [_boxes(0, 1, 2), _boxes(2)])
    _, (kept,) = splits.choose_classes(["x", "y", "z"], [part], ["y"], BOXES)
    assert [label.classes.tolist() for label in kept.labels] == [[0], []]
    with pytest.raises(UserError, match="name at least two classes"):
        splits.choose_classes(["x", "y", "z"], [part], ["y"], MASK)


def test_classes_can_be_chosen_for_masks_in_an_array():
    masks = np.array([[[0, 1], [2, 255]]], np.uint8)
    part = Split(["a"], np.zeros((1, 2, 2, 1), np.uint8), masks)
    _, (kept,) = splits.choose_classes(["background", "x", "y"], [part], ["background", "y"], MASK)
    assert kept.labels.tolist() == [[[0, 0], [1, 255]]]
    _, (kept,) = splits.choose_classes(["road", "x", "y"], [part], ["y", "x"], MASK)
    assert kept.labels.tolist() == [[[255, 1], [0, 255]]]
