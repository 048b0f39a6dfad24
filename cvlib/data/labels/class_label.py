"""One class for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cvlib.data.images import Header
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels.base import Form, LabelKind, Settled
from cvlib.data.split import Labels, Split


class ClassLabel(LabelKind):
    """A class id for each image: `Split.labels` is int64 (n,)."""

    name = "class"
    subfolder = "classification"
    form = Form.ROW
    stratified_by = ", stratified by class"

    def classes_of(self, label: int) -> frozenset[int]:
        return frozenset([label])

    def settle(self, label: int, header: Header, path: str) -> Settled:
        return Settled(label, [], {label: 1})

    def collected(self, settled: Sequence[Settled]) -> tuple[Labels, None]:
        return np.array([item.label for item in settled], np.int64), None

    def strata(self, labels: Labels) -> np.ndarray:
        return np.asarray(labels)

    def renumbered(self, split: Split, table: np.ndarray) -> Split:
        kept = split.take(np.flatnonzero(table[np.asarray(split.labels)] >= 0))
        return replace(kept, labels=table[np.asarray(kept.labels)].astype(np.int64))

    def key(self, label: Any) -> str:
        return str(int(label))

    def occurring(self, split: Split) -> set[int]:
        return set(np.asarray(split.labels).tolist())

    def check(self, name: str, splits: dict[str, Split], classes: list[str]) -> list[str]:
        notes = []
        everything = set(range(len(classes)))
        if untrained := sorted(everything - self.occurring(splits["train"])):
            listed = ", ".join(classes[label] for label in untrained)
            notes.append(f"no training image for {listed}: can't be learned")
        if untested := sorted(everything - self.occurring(splits["test"])):
            listed = ", ".join(classes[label] for label in untested)
            notes.append(f"no test image for {listed}: not covered by the test metrics")
        return notes

    def arrays(self, split: Split, spec: InputSpec) -> tuple[np.ndarray, ...]:
        return (np.asarray(split.labels, np.int32),)


CLASS = ClassLabel()
