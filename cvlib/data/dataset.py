"""What a loaded dataset is: three splits of images, or of image files, with what is known of each image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cvlib.data import labels
from cvlib.data.labels import IGNORE, Boxes, LabelKind, MaskReader
from cvlib.data.split import Labels, Split

__all__ = ["IGNORE", "Boxes", "Dataset", "Labels", "MaskReader", "Split"]


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits over the same classes."""

    name: str
    task: str  # what it is used for, as people and records call it
    classes: list[str]
    channels: int  # 1 (grey), 3 (RGB), or as many bands as the images have
    size: tuple[int, int]  # the images' own (median) height, width
    train: Split
    val: Split
    test: Split
    notes: list[str]  # one-line remarks the run prints and records
    layout: str | None = None  # how the files lay, where it is a collection of the user's
    colours: np.ndarray | None = None  # uint8 (classes, 3): the dataset's own colours for masks
    span: tuple[float, float] | None = None  # values in files of more than 8 bits that become 0 and 255
    read_as: str = ""  # why this layout was chosen, as a line for people
    skipped: list[str] = field(default_factory=list)  # what errors were found in and data.on_error=skip left out
    kind: LabelKind = None  # type: ignore[assignment]  # of its labels; by default the one that is called as the task

    def __post_init__(self) -> None:
        if self.kind is None:
            object.__setattr__(self, "kind", labels.named(self.task))

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "val": self.val, "test": self.test}
