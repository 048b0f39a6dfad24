"""The contract that every kind of label must fulfil."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cvlib.data import cache, splits
from cvlib.data.dataset import IGNORE, Boxes, Dataset, Split
from cvlib.data.fingerprint import fingerprint
from cvlib.data.images import Header
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import BOXES, CLASS, CLASS_SET, KINDS, MASK, Form, LabelKind, named
from cvlib.data.labels.raw_boxes import raw
from cvlib.runtime.errors import UserError
from tests.data.feeds import a_feed

CLASSES = ["background", "cat", "dog"]


class _ProvidedMask:
    """A mask as a layout provides it."""

    def __call__(self) -> np.ndarray:
        return np.full((6, 9), 2, np.uint8)

    def examine(self, header: Header, path: str) -> tuple[np.ndarray, list]:
        return self(), []


# For each kind, a label of class 2 as a layout provides it, and how often the class occurs in it.
PROVIDED: dict[LabelKind, tuple[Any, int]] = {
    CLASS: (2, 1), CLASS_SET: (frozenset({2}), 1),
    BOXES: (raw([(1, 1, 5, 5)], [2], [False], ["object 1"]), 1), MASK: (_ProvidedMask(), 54),
}  # fmt: skip


def part(kind: LabelKind, names: str = "ab") -> Split:
    """Return images of 6 × 9 pixels with the settled labels of `PROVIDED`."""
    settled = [kind.settle(PROVIDED[kind][0], Header((6, 9), 1), "some")] * len(names)
    labels, ids = kind.collected(settled)
    if kind == MASK:  # the masks of images in an array are in an array too
        labels, ids = np.stack([label() for label in labels]), None
    return Split(list(names), np.zeros((len(names), 6, 9, 3), np.uint8), labels, ids=ids)


def test_every_kind_has_an_example() -> None:
    assert set(PROVIDED) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
class TestKind:
    """Tests that run for every kind of label."""

    def test_a_kind_is_found_by_both_names_and_can_be_pickled(self, kind: LabelKind) -> None:
        assert named(kind.name) is named(kind.subfolder) is kind
        assert pickle.loads(pickle.dumps(kind)) == kind
        assert [other for other in KINDS if other == kind] == [kind]

    def test_a_provided_label_is_settled_and_counted(self, kind: LabelKind) -> None:
        provided, times = PROVIDED[kind]
        found = kind.settle(provided, Header((6, 9), 1), "some")
        assert found.label is not None and found.findings == [] and found.counts == {2: times}
        assert kind.classes_of(provided) in (None, {2})

    def test_a_split_keeps_the_chosen_classes(self, kind: LabelKind) -> None:
        assert kind.occurring(part(kind)) == {2}
        classes, (kept,) = splits.choose_classes(CLASSES, [part(kind)], ["background", "dog"], kind)
        assert classes == ["background", "dog"] and kind.occurring(kept) == {1} and len(kept) == 2
        assert kind.occurring(splits.renumber(part(kind), CLASSES, [*CLASSES[::-1]], kind)) == {0}

    def test_samples_are_stratified_and_selected(self, kind: LabelKind) -> None:
        strata = kind.strata(part(kind, "abc").labels)
        assert strata.shape == (3,) and len(set(strata.tolist())) == 1
        assert part(kind, "abc").take([2, 0]).names == ["c", "a"]

    def test_another_label_changes_the_fingerprint(self, kind: LabelKind) -> None:
        def dataset(train: Split) -> Dataset:
            return Dataset("x", "a task", CLASSES, 3, (6, 9), train, part(kind, "c"), part(kind, "d"), [], kind=kind)

        other = kind.renumbered(part(kind), np.array([0, 2, 1, *range(3, IGNORE + 1)]))
        assert fingerprint(dataset(part(kind))) == fingerprint(dataset(part(kind))) != fingerprint(dataset(other))

    def test_labels_are_fed_in_the_declared_form(self, kind: LabelKind) -> None:
        spec = InputSpec(8, 12, 3)
        assert kind.stored_shape(spec) == (8, 12, 3 + (kind.form is Form.PIXELS))
        ((images, labels),) = a_feed(part(kind), (8, 12), 3, 2, 0, kind=kind).batches()
        assert images.shape == (2, 8, 12, 3)
        if kind.form is Form.PIXELS:
            assert labels.shape == (2, 8, 12) and (labels == 2).all()
        elif kind.form is Form.BOXES:
            assert labels["boxes"].shape == (2, 1, 4) and labels["classes"].tolist() == [[2], [2]]
        else:
            assert len(labels) == 2

    def test_labels_that_cannot_be_learned_are_reported(self, kind: LabelKind) -> None:
        parts = {name: part(kind) for name in splits.SPLITS}
        try:
            notes = kind.check("some", parts, CLASSES)
        except UserError as error:
            notes = [str(error)]
        assert notes and all("\n" not in note for note in notes)

    def test_the_words_for_messages_are_defined(self, kind: LabelKind) -> None:
        assert kind.unit[0] and kind.unit[1] and kind.counted_as and kind.fewest_chosen >= 1


def test_each_kind_has_its_own_cache() -> None:
    split = replace(part(CLASS), digests=["a", "b"])
    assert len({cache.key(split, InputSpec(8, 8, 3), kind) for kind in KINDS}) == len(KINDS)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of classification, multilabel, detection"):
        named("sleep")


def test_the_kind_of_a_dataset_follows_from_its_task_unless_given() -> None:
    parts = [part(BOXES, names) for names in ("a", "b", "c")]
    assert Dataset("x", "detection", CLASSES, 3, (6, 9), *parts, []).kind == BOXES
    assert Dataset("x", "tracking", CLASSES, 3, (6, 9), *parts, [], kind=BOXES).task == "tracking"
    assert isinstance(parts[0].labels[0], Boxes)
