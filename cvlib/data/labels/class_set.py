"""Zero or more classes for each image: `Split.labels` is a sequence of frozensets of class ids."""

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

NO_CLASS = -1  # pads the rows of images with fewer classes than others


class ClassSet(LabelKind):
    """The classes in an image. If a layout has only boxes, an image has the classes of its boxes."""

    name = "class_set"
    subfolder = "multilabel"
    form = Form.ROW
    fewest_chosen = 1
    stratified_by = ", stratified by the rarest class in an image"
    made_from = BOXES

    def made_of(self, label: Any) -> frozenset[int]:
        return frozenset(label.classes.tolist())

    def classes_of(self, label: frozenset[int]) -> frozenset[int]:
        return label

    def is_left_out(self, label: Any, chosen: set[int]) -> bool:
        """Return False: an image with none of the chosen classes is a negative example of each."""
        return False

    def settle(self, label: frozenset[int], header: Header, path: str) -> Settled:
        return Settled(label, [], dict.fromkeys(sorted(label), 1))

    def strata(self, labels: Labels) -> np.ndarray:
        """Return the rarest class of each image, int (n,); −1 for an image without a class."""
        return rarest_class([np.array(sorted(label), np.int64) for label in labels])

    def renumbered(self, split: Split, table: np.ndarray) -> Split:
        """Return all images, each with only its kept classes."""
        return replace(split, labels=[frozenset(table[sorted(label)].tolist()) - {-1} for label in split.labels])

    def key(self, label: frozenset[int]) -> str:
        return ",".join(map(str, sorted(label)))

    def occurring(self, split: Split) -> set[int]:
        return set().union(*split.labels)

    def check(self, name: str, splits: dict[str, Split], classes: list[str]) -> list[str]:
        """Require a class that some, but not all, training images have."""
        trained = self.occurring(splits["train"])
        if not trained:
            raise UserError(f"data={name}: no training image has a class to learn")
        everywhere = frozenset[int].intersection(*splits["train"].labels)
        if everywhere == trained:
            raise UserError(f"data={name}: every training image has the same classes ({_listed(everywhere, classes)}): "
                            "there is nothing to distinguish")  # fmt: skip
        absent = {split_name: set(range(len(classes))) - self.occurring(split) for split_name, split in splits.items()}
        consequences = {
            "train": "can't be learned", "val": "the threshold stays at 0.5", "test": "not covered by the test metrics",
        }  # fmt: skip
        notes = [f"no {'training' if split_name == 'train' else split_name} image for {_listed(missing, classes)}: "
                 f"{consequences[split_name]}" for split_name, missing in absent.items() if missing]  # fmt: skip
        if everywhere:
            notes.append(f"every training image has {_listed(everywhere, classes)}: there are no negative examples")
        return notes

    def unmeasurable(self, split: Split) -> str | None:
        return None if self.occurring(split) else "none of its images has a class, so no metric can be computed"

    def relations(self, labels: Sequence[Any], classes: list[str]) -> list[Finding]:
        return co_occurrence.findings(labels, classes)

    def arrays(self, split: Split, spec: InputSpec) -> tuple[np.ndarray, ...]:
        """Return the class ids of each image, int32 `(n, max_classes)`, padded with −1."""
        ids = np.full((len(split), max([1, *map(len, split.labels)])), NO_CLASS, np.int32)
        for row, label in zip(ids, split.labels, strict=True):
            row[: len(label)] = sorted(label)
        return (ids,)


def _listed(ids: set[int] | frozenset[int], classes: list[str]) -> str:
    return ", ".join(classes[label] for label in sorted(ids))


CLASS_SET = ClassSet()
