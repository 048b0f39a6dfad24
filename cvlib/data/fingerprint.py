"""What tells a dataset apart from another one, in 16 hex digits."""

from __future__ import annotations

import hashlib

import numpy as np

from cvlib.data.dataset import Dataset
from cvlib.data.labels import LabelKind
from cvlib.data.split import Split


def fingerprint(dataset: Dataset) -> str:
    """16 hex digits that change with any sample's name, label, content or split, or with the channels or the task.

    They don't depend on where the files lie nor in which order a system lists them.
    """
    whole = hashlib.sha256(repr((dataset.task, dataset.classes, dataset.channels)).encode())
    for part_name, part in dataset.parts.items():
        keys = [dataset.kind.key(label) for label in part.labels]
        for name, key, digest in sorted(zip(part.names, keys, _digests(part, dataset.kind), strict=True)):
            whole.update(repr((part_name, name, key, digest)).encode())
    return whole.hexdigest()[:16]


def _digests(part: Split, kind: LabelKind) -> list[str]:
    if part.digests is not None:
        return part.digests
    if isinstance(part.images, np.ndarray):
        shape = repr(part.images.shape[1:]).encode()
        return [hashlib.sha256(shape + image.tobytes()).hexdigest() for image in part.images]
    return [hashlib.sha256(file.read_bytes() + kind.content(label)).hexdigest()
            for file, label in zip(part.images, part.labels, strict=True)]  # fmt: skip
