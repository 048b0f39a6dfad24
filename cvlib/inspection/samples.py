"""The images for visualizing a run's network: the given images, or some images of its test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvlib import tasks
from cvlib.data import tiles
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.data.dataset import Dataset, Split
    from cvlib.models.restore import SavedRun

_IMAGES = 6  # number of test images if no images are given


@dataclass(frozen=True)
class Sample:
    """One image as the network sees it, with its name and, if known, its classes."""

    name: str
    pixels: np.ndarray  # float32 (height, width, channels), 0–255, resized by the network itself
    truth: frozenset[str] | None


def data_of(opened: SavedRun, needed: bool) -> tuple[Dataset | None, str]:
    """Return the run's data and an empty text.

    If the data is not available, return None and the reason, or raise `UserError` if it is `needed`.
    """
    from cvlib.tasks import saved

    dataset, reason = saved.dataset_or_reason(opened)
    if dataset is None and needed:
        raise UserError(f"{reason}; pass images with --image to continue without the run's data")
    return dataset, reason


def choose(model: keras.Model, opened: SavedRun, dataset: Dataset | None, files: Sequence[Path]) -> list[Sample]:
    """Return the given images, or some test images, of different classes if every image has a single class."""
    from cvlib.data.images import read_image

    if files:
        return [
            Sample(file.name, resized(model, read_image(file, opened.channels, opened.spec.span)), None)
            for file in files
        ]
    assert dataset is not None
    split = dataset.test
    labels = tasks.of_config(opened.config).image_classes(split)
    if labels is not None:
        firsts = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]
        chosen = [firsts[i] for i in np.unique(np.linspace(0, len(firsts) - 1, _IMAGES).astype(int))]
    else:
        chosen = [int(i) for i in np.unique(np.linspace(0, len(split) - 1, _IMAGES).astype(int))]
    images = (resized(model, pixels(split, index, dataset.channels, dataset.span)) for index in chosen)
    return [Sample(split.names[index], image, _truth(dataset, index))
            for index, image in zip(chosen, images, strict=True)]  # fmt: skip


def _truth(dataset: Dataset, index: int) -> frozenset[str] | None:
    """Return the names of a test image's classes, or None if its label doesn't determine them."""
    labels = dataset.kind.classes_of(dataset.test.labels[index])
    return None if labels is None else frozenset(dataset.classes[label] for label in labels)


def pixels(split: Split, index: int, channels: int, span: tuple[float, float] | None = None) -> np.ndarray:
    """Return the pixels of an image of the split."""
    from cvlib.data.images import read_image

    found = split.images[index]
    return read_image(found, channels, span) if isinstance(found, Path) else found


def resized(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """Return the image resized by the network itself; the middle of the image if the network takes tiles."""
    from cvlib.inspection import graph

    height, width = model.input_shape[1:3]
    if height and width:
        image = tiles.centre(np.asarray(image), (height, width))
    seen: np.ndarray = graph.as_seen(model, np.asarray(image)[np.newaxis])[0]
    return seen
