"""`Split`: names, images and labels of one split of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.data.images import size_of
from cvlib.data.packed import Packed

# The format depends on the split's `LabelKind`: an array with one row per sample, or sets, Boxes or mask readers.
Labels = np.ndarray | Sequence[Any]


@dataclass(frozen=True)
class Split:
    """One split of a dataset: sample i has the name names[i], the image images[i] and the label labels[i]."""

    names: list[str]  # unique in the dataset: the path relative to the data's root, or a name like "digits/0123"
    images: np.ndarray | Sequence[Path]  # uint8 (n, height, width, channels), or files
    labels: Labels
    digests: Sequence[str] | None = None  # sha256 of each sample's image file (and mask), if images are files
    sizes: np.ndarray | None = None  # int (n, 2): height and width of each upright image, if images are files
    ids: Sequence[frozenset[int]] | None = None  # class ids in each sample's mask, if masks are files
    groups: np.ndarray | None = None  # int (n,): samples with equal numbers stay in one split
    image_digests: Sequence[str] | None = None  # sha256 of each sample's image file alone, if images are files

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Split({len(self)} samples)"

    def take(self, indices: np.ndarray | Sequence[int]) -> Split:
        """Return the samples at `indices`, in that order."""

        def chosen(values: Any) -> Any:
            if values is None:
                return None
            if isinstance(values, np.ndarray):
                return values[np.asarray(indices, np.int64)]
            if isinstance(values, Packed):
                return values.take(indices)
            return [values[i] for i in indices]

        return Split(*(chosen(getattr(self, field.name)) for field in fields(self)))


def joined(splits: Sequence[Split]) -> Split:
    """Concatenate splits; their images must be all arrays or all files."""

    def concatenated(name: str) -> Any:
        values = [getattr(split, name) for split in splits]
        if any(value is None for value in values):
            return None
        if all(isinstance(value, np.ndarray) for value in values):
            return np.concatenate(values)
        if all(isinstance(value, Packed) and value.codec == values[0].codec for value in values):
            return Packed.joined(values)
        return [item for value in values for item in value]

    return Split(*(concatenated(field.name) for field in fields(Split)))


def image_sizes(split: Split) -> np.ndarray:
    """Return height and width of each original image, int `(n, 2)`; read from the files if the split lacks sizes."""
    if split.sizes is not None:
        return split.sizes
    if isinstance(split.images, np.ndarray):
        return np.tile(split.images.shape[1:3], (len(split), 1))
    return np.array([size_of(file) for file in split.images])
