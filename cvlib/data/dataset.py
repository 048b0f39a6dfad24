"""What a loaded dataset is: three splits of images, or of image files, with what is known of each image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

IGNORE = 255  # the id of a mask's pixels that count neither in loss nor in metrics

MaskReader = Callable[[], np.ndarray]  # () → uint8 (height, width): class ids, IGNORE where undefined


@dataclass(frozen=True)
class Boxes:
    """The objects of one image; none at all is a negative image."""

    corners: np.ndarray  # float32 (n, 4): x_min, y_min, x_max, y_max in pixels of the upright image
    classes: np.ndarray  # int64 (n,), index into Dataset.classes
    crowd: np.ndarray  # bool (n,): a crowd or difficult one, neither learned nor scored (COCO's iscrowd)

    def __len__(self) -> int:
        return len(self.classes)


# By task: classification int64 (n,), index into Dataset.classes; detection a list of Boxes; segmentation uint8
# (n, height, width) beside images in an array, readers of masks beside files.
Labels = np.ndarray | list[Boxes] | list[MaskReader]


@dataclass(frozen=True)
class Split:
    """One part of a dataset: sample i is named names[i], looks like images[i] and is labelled labels[i]."""

    names: list[str]  # unique over the dataset: the path relative to the data's root, or "digits/0123"
    images: np.ndarray | list[Path]  # uint8 (n, height, width, channels), or files
    labels: Labels
    digests: list[str] | None = None  # sha256 of each sample's image file (and mask), where images are files
    sizes: np.ndarray | None = None  # int (n, 2): each upright image's height and width, where images are files
    ids: list[frozenset[int]] | None = None  # what each sample's mask holds, where masks are files

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits over the same classes."""

    name: str
    task: str  # classification | detection | segmentation
    classes: list[str]
    channels: int  # 1 (grey) or 3 (RGB)
    size: tuple[int, int]  # the images' own (median) height, width
    train: Split
    val: Split
    test: Split
    notes: list[str]  # one-line remarks the run prints and records
    layout: str | None = None  # how the files lay, where it is a collection of the user's
    colours: np.ndarray | None = None  # uint8 (classes, 3): the dataset's own colours for masks
    skipped: list[str] = field(default_factory=list)  # what errors were found in and data.on_error=skip left out
