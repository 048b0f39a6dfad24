"""One split of a dataset: names, images and labels of its samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.data.images import size_of

# As the split's `LabelKind` has them: an array with a row for each sample, or a list of Boxes or of mask readers.
Labels = np.ndarray | list[Any]


@dataclass(frozen=True)
class Split:
    """One split of a dataset: sample i is named names[i], looks like images[i] and is labelled labels[i]."""

    names: list[str]  # unique over the dataset: the path relative to the data's root, or "digits/0123"
    images: np.ndarray | list[Path]  # uint8 (n, height, width, channels), or files
    labels: Labels
    digests: list[str] | None = None  # sha256 of each sample's image file (and mask), where images are files
    sizes: np.ndarray | None = None  # int (n, 2): each upright image's height and width, where images are files
    ids: list[frozenset[int]] | None = None  # the class ids in each sample's mask, where masks are files
    groups: np.ndarray | None = None  # int (n,): samples with equal numbers stay in one split

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: np.ndarray | Sequence[int]) -> Split:
        """Return the samples at `indices`, in that order."""

        def chosen(values: Any) -> Any:
            if values is None:
                return None
            if isinstance(values, np.ndarray):
                return values[np.asarray(indices, np.int64)]
            return [values[i] for i in indices]

        return Split(*(chosen(getattr(self, field.name)) for field in fields(self)))


def joined(splits: Sequence[Split]) -> Split:
    """Return the samples of all splits, one split after the other; all have arrays, or all have files."""

    def together(name: str) -> Any:
        values = [getattr(split, name) for split in splits]
        if any(value is None for value in values):
            return None
        if all(isinstance(value, np.ndarray) for value in values):
            return np.concatenate(values)
        return [one for value in values for one in value]

    return Split(*(together(field.name) for field in fields(Split)))


def image_sizes(split: Split) -> np.ndarray:
    """Return each original image's height and width, int `(n, 2)`; files are opened where the split doesn't know it."""
    if split.sizes is not None:
        return split.sizes
    if isinstance(split.images, np.ndarray):
        return np.tile(split.images.shape[1:3], (len(split), 1))
    return np.array([size_of(file) for file in split.images])
