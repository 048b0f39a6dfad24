"""A fingerprint that identifies a dataset by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from cvlib.data.dataset import Dataset
from cvlib.data.labels import LabelKind
from cvlib.data.split import Split


def fingerprint(dataset: Dataset) -> str:
    """Return a hash of 16 hex digits over the samples, and over the dataset's classes, channels and task.

    A sample contributes its name, label, content and split. The hash depends neither on the location of the files nor
    on the order in which the system lists them.
    """
    whole = hashlib.sha256(repr((dataset.task, dataset.classes, dataset.channels)).encode())
    for split_name, split in dataset.splits.items():
        for part in _parts(split, dataset.kind):
            whole.update(repr((split_name, *part)).encode())
    return whole.hexdigest()[:16]


def split_fingerprints(dataset: Dataset) -> dict[str, str]:
    """Return a hash of 16 hex digits over the samples of each split, by which `cvlib evaluate` finds a split again."""
    return {name: split_fingerprint(split, dataset.kind) for name, split in dataset.splits.items()}


def split_fingerprint(split: Split, kind: LabelKind) -> str:
    """Return a hash of 16 hex digits over names, labels and contents of the samples, in any order."""
    return hashlib.sha256(repr(list(_parts(split, kind))).encode()).hexdigest()[:16]


def _parts(split: Split, kind: LabelKind) -> Iterator[tuple[object, ...]]:
    """Yield the name, the label and the digest of each sample, by name."""
    digests = _digests(split, kind)
    for index in sorted(range(len(split)), key=split.names.__getitem__):
        yield split.names[index], kind.key(split.labels[index]), digests[index]


def _digests(split: Split, kind: LabelKind) -> Sequence[str]:
    if split.digests is not None:
        return split.digests
    if isinstance(split.images, np.ndarray):
        shape = repr(split.images.shape[1:]).encode()
        return [hashlib.sha256(shape + image.tobytes()).hexdigest() for image in split.images]
    return [hashlib.sha256(file.read_bytes() + kind.content(label)).hexdigest()
            for file, label in zip(split.images, split.labels, strict=True)]  # fmt: skip
