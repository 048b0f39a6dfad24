"""Datasets: from a name or a folder to three checked splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from cvlib.config import DataConfig
from cvlib.data import embedded, folder, images, keras_datasets, splits
from cvlib.data.dataset import Dataset, Split
from cvlib.errors import UserError

Reader = Callable[[DataConfig], tuple[list[str], list[Split], list[str]]]

READERS: dict[str, Reader] = {
    "digits": embedded.digits,
    "letters": embedded.letters,
    **dict.fromkeys(keras_datasets.SOURCES, keras_datasets.read),
}


def load(config: DataConfig, seed: int, task: str = "classification") -> Dataset:
    """The dataset of `config`: read, split, narrowed to the classes and fraction asked for, every file checked.

    `config.split_seed` decides which images there are and what holds them, `seed` which ones a fraction of the
    training split keeps. Raises `UserError` for a dataset that can't be had, read or split.
    """
    classes, parts, notes = _reader(config)(config)
    if config.classes is not None:
        classes, parts = splits.choose_classes(classes, parts, config.classes)
    _check_parts(config, classes, parts, notes)
    if isinstance(parts[0].images, np.ndarray):
        channels, size = config.channels or parts[0].images.shape[-1], parts[0].images.shape[1:3]
        parts = [replace(part, images=images.to_channels(np.asarray(part.images), channels)) for part in parts]
    else:
        facts = folder.preflight(parts)
        channels, size = config.channels or facts.channels, facts.size
        parts = [replace(part, digests=[facts.digests[Path(file)] for file in part.images]) for part in parts]
        _note_leaks(parts, notes)
    if config.fraction < 1:
        whole = len(parts[0])
        parts[0] = splits.take(parts[0], splits.nested(parts[0].labels, config.fraction, seed))
        notes.append(f"data.fraction={config.fraction:g}: {len(parts[0])} of {whole} training images are used")
    return Dataset(
        config.name, "classification", classes, channels, (size[0], size[1]), parts[0], parts[1], parts[2], notes
    )


def fingerprint(dataset: Dataset) -> str:
    """16 hex digits that change with any sample's name, class, content or split, or with the channels.

    They don't depend on where the files lie nor in which order a system lists them.
    """
    whole = hashlib.sha256(repr((dataset.classes, dataset.channels)).encode())
    for part_name in splits.PARTS:
        part: Split = getattr(dataset, part_name)
        for name, label, digest in sorted(zip(part.names, part.labels.tolist(), _digests(part), strict=True)):
            whole.update(repr((part_name, name, label, digest)).encode())
    return whole.hexdigest()[:16]


def _digests(part: Split) -> list[str]:
    if part.digests is not None:
        return part.digests
    if isinstance(part.images, np.ndarray):
        shape = repr(part.images.shape[1:]).encode()
        return [hashlib.sha256(shape + image.tobytes()).hexdigest() for image in part.images]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in part.images]


def _reader(config: DataConfig) -> Reader:
    if config.name in READERS:
        if config.path is not None:
            raise UserError(f"data.path={config.path} doesn't go with data={config.name}: use data=folder")
        return READERS[config.name]
    if config.path is None:
        known = ", ".join([*READERS, "folder"])
        raise UserError(f"data={config.name} is unknown without data.path=…: known are {known}")
    return folder.read


def _check_parts(config: DataConfig, classes: list[str], parts: list[Split], notes: list[str]) -> None:
    """No part is empty, no sample in two; classes that can't be learned are noted."""
    for name, part in zip(splits.PARTS, parts, strict=True):
        if len(part) == 0:
            counts = ", ".join(f"{n} {len(p)}" for n, p in zip(splits.PARTS, parts, strict=True))
            raise UserError(f"data={config.name}: no images for {name} ({counts}): add images, or raise "
                            "data.val_fraction and data.test_fraction above 0")  # fmt: skip
    names = [name for part in parts for name in part.names]
    assert len(set(names)) == len(names), "a sample is in two splits"
    untrained = sorted(set(range(len(classes))) - set(parts[0].labels.tolist()))
    if untrained:
        listed = ", ".join(classes[label] for label in untrained)
        notes.append(f"no training image for {listed}: so few images that their only one is held out")


def _note_leaks(parts: list[Split], notes: list[str]) -> None:
    trained = set(parts[0].digests or [])
    for name, part in zip(splits.PARTS[1:], parts[1:], strict=True):
        twins = [sample for sample, digest in zip(part.names, part.digests or [], strict=True) if digest in trained]
        if twins:
            notes.append(f"{len(twins)} of {len(part)} {name} images are in train too, byte for byte: {twins[0]}")
