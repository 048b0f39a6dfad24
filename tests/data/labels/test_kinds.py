"""What every kind of label must do, whichever there are."""

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


class _Written:
    """A mask as a layout gives it."""

    def __call__(self) -> np.ndarray:
        return np.full((6, 9), 2, np.uint8)

    def examine(self, header: Header, path: str) -> tuple[np.ndarray, list]:
        return self(), []


# By kind: a label of class 2 as a layout writes it, and how often the class is in it.
WRITTEN: dict[LabelKind, tuple[Any, int]] = {
    CLASS: (2, 1), CLASS_SET: (frozenset({2}), 1),
    BOXES: (raw([(1, 1, 5, 5)], [2], [False], ["object 1"]), 1), MASK: (_Written(), 54),
}  # fmt: skip


def part(kind: LabelKind, names: str = "ab") -> Split:
    """Images of 6 × 9 pixels, labelled by what `WRITTEN` settles to."""
    settled = [kind.settle(WRITTEN[kind][0], Header((6, 9), 1), "some")] * len(names)
    labels, ids = kind.collected(settled)
    if kind == MASK:  # in an array, as masks beside images in an array are
        labels, ids = np.stack([label() for label in labels]), None
    return Split(list(names), np.zeros((len(names), 6, 9, 3), np.uint8), labels, ids=ids)


def test_every_kind_has_an_example_here() -> None:
    assert set(WRITTEN) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
class TestKind:
    """The contract."""

    def test_it_is_found_by_both_its_names_and_is_the_same_in_another_process(self, kind: LabelKind) -> None:
        assert named(kind.name) is named(kind.subfolder) is kind
        assert pickle.loads(pickle.dumps(kind)) == kind
        assert [other for other in KINDS if other == kind] == [kind]

    def test_a_written_label_is_settled_and_counted(self, kind: LabelKind) -> None:
        written, times = WRITTEN[kind]
        found = kind.settle(written, Header((6, 9), 1), "some")
        assert found.label is not None and found.findings == [] and found.counts == {2: times}
        assert kind.classes_of(written) in (None, {2})

    def test_a_split_keeps_the_classes_that_are_chosen(self, kind: LabelKind) -> None:
        assert kind.occurring(part(kind)) == {2}
        classes, (kept,) = splits.choose_classes(CLASSES, [part(kind)], ["background", "dog"], kind)
        assert classes == ["background", "dog"] and kind.occurring(kept) == {1} and len(kept) == 2
        assert kind.occurring(splits.renumber(part(kind), CLASSES, [*CLASSES[::-1]], kind)) == {0}

    def test_its_samples_are_stratified_and_taken(self, kind: LabelKind) -> None:
        strata = kind.strata(part(kind, "abc").labels)
        assert strata.shape == (3,) and len(set(strata.tolist())) == 1
        assert part(kind, "abc").take([2, 0]).names == ["c", "a"]

    def test_the_fingerprint_sees_another_label(self, kind: LabelKind) -> None:
        def dataset(train: Split) -> Dataset:
            return Dataset("x", "a task", CLASSES, 3, (6, 9), train, part(kind, "c"), part(kind, "d"), [], kind=kind)

        other = kind.renumbered(part(kind), np.array([0, 2, 1, *range(3, IGNORE + 1)]))
        assert fingerprint(dataset(part(kind))) == fingerprint(dataset(part(kind))) != fingerprint(dataset(other))

    def test_it_is_fed_in_its_form(self, kind: LabelKind) -> None:
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

    def test_what_can_not_be_learned_is_said(self, kind: LabelKind) -> None:
        parts = {name: part(kind) for name in splits.SPLITS}
        try:
            notes = kind.check("some", parts, CLASSES)
        except UserError as error:
            notes = [str(error)]
        assert notes and all("\n" not in note for note in notes)

    def test_it_has_words_for_people(self, kind: LabelKind) -> None:
        assert kind.unit[0] and kind.unit[1] and kind.counted_as and kind.fewest_chosen >= 1


def test_kinds_have_caches_of_their_own() -> None:
    split = replace(part(CLASS), digests=["a", "b"])
    assert len({cache.key(split, InputSpec(8, 8, 3), kind) for kind in KINDS}) == len(KINDS)


def test_what_no_kind_is_called_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of classification, multilabel, detection"):
        named("sleep")


def test_a_dataset_knows_its_kind_by_its_task_unless_it_is_told() -> None:
    parts = [part(BOXES, names) for names in ("a", "b", "c")]
    assert Dataset("x", "detection", CLASSES, 3, (6, 9), *parts, []).kind == BOXES
    assert Dataset("x", "tracking", CLASSES, 3, (6, 9), *parts, [], kind=BOXES).task == "tracking"
    assert isinstance(parts[0].labels[0], Boxes)
