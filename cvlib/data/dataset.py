"""`Dataset`: three splits of labelled images or image files, and the metadata they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np

from cvlib.data import labels
from cvlib.data.labels import IGNORE, Boxes, LabelKind, MaskReader
from cvlib.data.split import Labels, Split

_IMAGES_SHOWN = 12

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

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {len(split)}" for name, split in self.splits.items())
        return f"Dataset({self.name}, {self.task}: {len(self.classes)} classes; {counts} images)"

    def _repr_html_(self) -> str:
        """Return a view for notebooks: the splits, the classes, the notes and some training images."""
        from cvlib.viz import notebook

        rows = [{"split": name, "images": len(split)} for name, split in self.splits.items()]
        classes = f"<div>{escape(', '.join(self.classes[:50]))}{', …' * (len(self.classes) > 50)}</div>"
        notes = "".join(f"<div>note: {escape(note)}</div>" for note in self.notes)
        return notebook.view(repr(self), notebook.table(rows), classes, notes, self._some_images())

    def _some_images(self) -> str:
        from cvlib.data.images import read_image
        from cvlib.viz import notebook, pictures

        chosen = pictures.spread(np.arange(len(self.train)), _IMAGES_SHOWN)
        images = [self.train.images[index] for index in chosen]
        pixels = [read_image(image, self.channels, self.span) if isinstance(image, Path) else image for image in images]
        names = [self.train.names[index] for index in chosen]
        sheet = pictures.contact_sheet(pixels, pictures.with_names([""] * len(names), names))
        return notebook.picture(sheet, "training images")
