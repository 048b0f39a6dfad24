"""`Dataset`: three splits of labelled images or image files, and the metadata they share."""

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
    task: str  # name of the task in messages and records
    classes: list[str]
    channels: int  # 1 (grey), 3 (RGB), or as many bands as the images have
    size: tuple[int, int]  # median height and width of the original images
    train: Split
    val: Split
    test: Split
    notes: list[str]  # one-line remarks that the run prints and records
    layout: str | None = None  # layout of the files, for a user's collection
    colours: np.ndarray | None = None  # uint8 (classes, 3): mask colours that the dataset defines
    span: tuple[float, float] | None = None  # pixel values of images with more than 8 bits that map to 0 and 255
    read_as: str = ""  # one-line reason why this layout was chosen
    skipped: list[str] = field(default_factory=list)  # items with errors that data.on_error=skip left out
    kind: LabelKind = None  # type: ignore[assignment]  # kind of the labels; default: the kind that has the task's name

    def __post_init__(self) -> None:
        if self.kind is None:
            object.__setattr__(self, "kind", labels.named(self.task))

    @property
    def splits(self) -> dict[str, Split]:
        """Map "train", "val" and "test" to the splits."""
        return {"train": self.train, "val": self.val, "test": self.test}
