"""Boxes around the objects of an image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cvlib.data import resize
from cvlib.data.images import Header
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import raw_boxes
from cvlib.data.labels.base import Form, LabelKind, Settled
from cvlib.data.labels.raw_boxes import Boxes, RawBoxes
from cvlib.data.split import Labels, Split, image_sizes
from cvlib.runtime.errors import UserError

__all__ = ["BOXES", "NO_OBJECT", "Boxes", "RawBoxes", "padded", "rarest_class"]

NO_OBJECT = -1  # the class of padding rows


class BoxLabels(LabelKind):
    """Boxes for each image: `Split.labels` is a sequence of `Boxes`."""

    name = "boxes"
    subfolder = "detection"
    form = Form.BOXES
    fewest_chosen = 1
    stratified_by = ", stratified by the rarest class in an image"
    unit = ("box", "boxes")
    counted_as = "boxes"
    counts_objects = True

    def settle(self, label: RawBoxes, header: Header, path: str) -> Settled:
        boxes, findings = raw_boxes.settle(label, header, path)
        classes, counts = np.unique(boxes.classes, return_counts=True)
        return Settled(boxes, findings, dict(zip(classes.tolist(), counts.tolist(), strict=True)))

    def strata(self, labels: Labels) -> np.ndarray:
        """Return the rarest class among each image's boxes, int (n,); −1 for an image without boxes."""
        return rarest_class([label.classes for label in labels])

    def renumbered(self, split: Split, table: np.ndarray) -> Split:
        """Return all images, with only the boxes of the kept classes."""
        return replace(split, labels=[self._chosen(label, table) for label in split.labels])

    @staticmethod
    def _chosen(label: Boxes, table: np.ndarray) -> Boxes:
        kept = table[label.classes] >= 0
        areas = None if label.areas is None else label.areas[kept]
        return Boxes(label.corners[kept], table[label.classes[kept]], label.crowd[kept], areas)

    def key(self, label: Boxes) -> str:
        return hashlib.sha256(b"".join(a.tobytes() for a in (label.corners, label.classes, label.crowd))).hexdigest()

    def occurring(self, split: Split) -> set[int]:
        """Return the classes of the boxes that are not crowds."""
        return {label for boxes in split.labels for label in boxes.classes[~boxes.crowd].tolist()}

    def check(self, name: str, splits: dict[str, Split], classes: list[str]) -> list[str]:
        trained = self.occurring(splits["train"])
        if not trained:
            raise UserError(f"data={name}: no training image has a box to learn from")
        notes = [f"no {split} image has a box, so the {split} mAP is always 0"
                 for split in ("val", "test") if not self.occurring(splits[split])]  # fmt: skip
        if untrained := sorted(set(range(len(classes))) - trained):
            notes.append(f"no training image has a box of {', '.join(classes[label] for label in untrained)}")
        return notes

    def arrays(self, split: Split, spec: InputSpec) -> tuple[np.ndarray, ...]:
        corners, classes = padded(split.labels)  # type: ignore[arg-type]
        if spec.tiled:
            return corners, classes
        return resize.placed(corners, image_sizes(split), spec.size, spec.resize), classes


def rarest_class(found: Sequence[np.ndarray]) -> np.ndarray:
    """Return each image's rarest class, int (n,), given its class ids, int `(k,)`; −1 where k is 0.

    The rarest class is the one that the fewest images have.
    """
    images_with = np.bincount(np.concatenate([np.empty(0, np.int64), *(np.unique(classes) for classes in found)]))
    return np.array([min(classes, key=lambda c: (images_with[c], c)) if len(classes) else -1 for classes in found],
                    np.int64)  # fmt: skip


def padded(labels: list[Boxes]) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes of n images as arrays: corners float32 `(n, max_boxes, 4)`, classes int32 `(n, max_boxes)`.

    Rows are padded with class −1. Crowds are left out, because they are not single objects to learn.
    """
    kept = [(label.corners[~label.crowd], label.classes[~label.crowd]) for label in labels]
    max_boxes = max([1, *(len(classes) for _, classes in kept)])
    corners = np.zeros((len(labels), max_boxes, 4), np.float32)
    classes = np.full((len(labels), max_boxes), NO_OBJECT, np.int32)
    for row, (own_corners, own_classes) in enumerate(kept):
        corners[row, : len(own_classes)], classes[row, : len(own_classes)] = own_corners, own_classes
    return corners, classes


BOXES = BoxLabels()
