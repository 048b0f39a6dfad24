"""What a loaded dataset is: three splits of images, or of image files, with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Split:
    """One part of a dataset: sample i is named names[i], looks like images[i] and is of class labels[i]."""

    names: list[str]  # unique over the dataset: the path relative to the data's root, or "digits/0123"
    images: np.ndarray | list[Path]  # uint8 (n, height, width, channels), or files
    labels: np.ndarray  # int64 (n,), index into Dataset.classes
    digests: list[str] | None = None  # sha256 of each file's content, where images are files

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Dataset:
    """Three disjoint splits over the same classes."""

    name: str
    classes: list[str]
    channels: int  # 1 (grey) or 3 (RGB)
    size: tuple[int, int]  # the images' own (median) height, width
    train: Split
    val: Split
    test: Split
    notes: list[str]  # one-line remarks the run prints and records
