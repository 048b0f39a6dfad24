"""Any number of classes for each image, also none: `Split.labels` is a list of frozensets of class ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cvlib.data.findings import Finding
from cvlib.data.images import Header
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import co_occurrence
from cvlib.data.labels.base import Form, LabelKind, Settled
from cvlib.data.labels.boxes import BOXES, rarest_class
from cvlib.data.split import Labels, Split
from cvlib.runtime.errors import UserError

NO_CLASS = -1  # fills the rows of images with fewer classes than others


class ClassSet(LabelKind):
    """The classes that an image shows. Where a layout has boxes only, an image has the classes of its boxes."""

    name = "class_set"
    subfolder = "multilabel"
    form = Form.ROW
    fewest_chosen = 1
    stratified_by = ", stratified by the rarest class in an image"
    counted_as = "images that show it"
    made_from = BOXES

    def made_of(self, label: Any) -> frozenset[int]:
        return frozenset(label.classes.tolist())

    def classes_of(self, label: frozenset[int]) -> frozenset[int]:
        return label

    def is_left_out(self, label: Any, chosen: set[int]) -> bool:
        """Return False: an image without any of the chosen classes shows what they don't look like."""
        return False

    def settle(self, label: frozenset[int], header: Header, path: str) -> Settled:
        return Settled(label, [], dict.fromkeys(sorted(label), 1))

    def strata(self, labels: Labels) -> np.ndarray:
        """Return the rarest class of each image, int (n,); −1 is an image without a class."""
        return rarest_class([np.array(sorted(label), np.int64) for label in labels])

    def renumbered(self, split: Split, table: np.ndarray) -> Split:
        """Return every image, with those of its classes that are kept."""
        return replace(split, labels=[frozenset(table[sorted(label)].tolist()) - {-1} for label in split.labels])

    def key(self, label: frozenset[int]) -> str:
        return ",".join(map(str, sorted(label)))

    def occurring(self, split: Split) -> set[int]:
        return set().union(*split.labels)

    def check(self, name: str, splits: dict[str, Split], classes: list[str]) -> list[str]:
        """Require a class that some training images have and others don't have."""
        trained = self.occurring(splits["train"])
        if not trained:
            raise UserError(f"data={name}: no training image has a class to learn")
        everywhere = frozenset[int].intersection(*splits["train"].labels)
        if everywhere == trained:
            raise UserError(f"data={name}: every training image has the same classes ({_listed(everywhere, classes)}): "
                            "nothing to tell apart")  # fmt: skip
        lacking = {name: set(range(len(classes))) - self.occurring(one) for name, one in splits.items()}
        meanings = {
            "train": "it can't be learned", "val": "its threshold stays at 0.5",
            "test": "the test metrics say nothing of it",
        }  # fmt: skip
        notes = [f"no {'training' if name == 'train' else name} image for {_listed(missing, classes)}: {meanings[name]}"
                 for name, missing in lacking.items() if missing]  # fmt: skip
        if everywhere:
            notes.append(f"every training image has {_listed(everywhere, classes)}: nothing to tell it from")
        return notes

    def unmeasurable(self, split: Split) -> str | None:
        return None if self.occurring(split) else "no image of it has a class: there is nothing to measure by"

    def relations(self, labels: Sequence[Any], classes: list[str]) -> list[Finding]:
        return co_occurrence.findings(labels, classes)

    def arrays(self, split: Split, spec: InputSpec) -> tuple[np.ndarray, ...]:
        """Return the class ids of each image, int32 `(n, most)`, −1 for none."""
        ids = np.full((len(split), max([1, *map(len, split.labels)])), NO_CLASS, np.int32)
        for row, label in zip(ids, split.labels, strict=True):
            row[: len(label)] = sorted(label)
        return (ids,)


def _listed(ids: set[int] | frozenset[int], classes: list[str]) -> str:
    return ", ".join(classes[label] for label in sorted(ids))


CLASS_SET = ClassSet()
