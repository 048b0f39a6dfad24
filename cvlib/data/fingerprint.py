"""A fingerprint that identifies a dataset by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

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
        digests = _digests(split, dataset.kind)
        for index in sorted(range(len(split)), key=split.names.__getitem__):
            key = dataset.kind.key(split.labels[index])
            whole.update(repr((split_name, split.names[index], key, digests[index])).encode())
    return whole.hexdigest()[:16]


def _digests(split: Split, kind: LabelKind) -> Sequence[str]:
    if split.digests is not None:
        return split.digests
    if isinstance(split.images, np.ndarray):
        shape = repr(split.images.shape[1:]).encode()
        return [hashlib.sha256(shape + image.tobytes()).hexdigest() for image in split.images]
    return [hashlib.sha256(file.read_bytes() + kind.content(label)).hexdigest()
            for file, label in zip(split.images, split.labels, strict=True)]  # fmt: skip
