"""`Feed`: batches of one split, as a network receives them. Create feeds with `cvlib.data.make_feed` only.

    order                the order of samples and their random numbers              cvlib.data.order
    plan                 which images form a sample: one, or four for a mosaic      cvlib.data.order
    share                the part of each batch that one of several processes reads cvlib.data.order
    samples              the arrays of a batch: pixels, changes and labels          cvlib.data.samples
    reader               reads a sample's pixels                                    cvlib.data.reader
    geometry and colour  random numbers become changes; boxes are moved             cvlib.data.augmenting
    pixels               an engine applies the changes to the pixels                ENGINE.pixels
    batch                images and labels together, prefetched                     ENGINE

This module declares the interface. Two engines implement it: `cvlib.data.tensorflow`, and without TensorFlow
`cvlib.data.threaded`. Order and random numbers are the same, and so are the pixels up to float32 rounding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.cache import Cache
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import LabelKind
from cvlib.data.order import Order
from cvlib.data.samples import FeatureSamples, ImageSamples, Samples
from cvlib.data.split import Split
from cvlib.data.tiles import Windows


class Feed(ABC):
    """Batches of one split; `epoch(number)` selects the epoch's order and augmentation.

    `dataset` yields images, float32 `(batch, height, width, channels)` in the range of `spec`, and their labels. Labels
    are one row per sample, such as classes int32 `(batch,)`; boxes `{"boxes": (batch, n, 4) in pixels of these images,
    "classes": (batch, n), −1 for padding}`; or masks int32 `(batch, height, width)`. With mixup or CutMix, they are
    `{"labels": (batch, 2, …) of both images, "shares": (batch, 2)}`.
    """

    dataset: Any  # iterable over the batches of the selected epoch, suitable for Keras

    def __init__(self, samples: Samples, batch_size: int, order: Order):
        self.samples, self.order = samples, order
        self.batch_size = batch_size  # the last batch of an epoch may be smaller; no sample is dropped
        self.rows = batch_size // (order.share.count if order.share else 1)  # of a batch, that this feed yields
        self.split: Split = samples.split
        self.spec: InputSpec = samples.spec
        self.kind: LabelKind = samples.kind
        self.augmentation: AugmentConfig | None = samples.config
        self.cache: Cache | None = samples.cache
        self.windows: Windows | None = samples.windows
        self.seed, self.shuffle = order.seed, order.shuffle
        self.images = order.images  # samples per epoch, over all processes
        self.steps = math.ceil(self.images / batch_size)  # batches per epoch

    def of_features(self, views: list[list[np.ndarray]]) -> Feed:
        """Return a feed of cached features in the order of this one; see `FeatureSamples` for `views`."""
        assert isinstance(self.samples, ImageSamples)
        return type(self)(FeatureSamples(self.samples, views), self.batch_size, self.order)

    @abstractmethod
    def epoch(self, number: int, start: int = 0, mosaics: bool = True) -> None:
        """Select epoch `number` (from 0) for the next iteration, beginning at step `start`, with or without mosaics."""

    @abstractmethod
    def batches(self) -> Iterable[tuple[np.ndarray, Any]]:
        """Yield the batches of the selected epoch as NumPy arrays."""

    @abstractmethod
    def with_targets(self, targets: Callable[[Any], Any]) -> Iterable[Any]:
        """Return the batches of the selected epoch for `fit`; `targets` converts their labels, as arrays or tensors."""

    def preview(self, count: int) -> tuple[np.ndarray, Any]:
        """Return the epoch's first `count` augmented images, uint8, and their labels.

        Labels that are dictionaries of arrays, such as boxes, become a list with one dictionary per image.
        """
        images: list[np.ndarray] = []
        labels: list[Any] = []
        for batch, targets in self.batches():
            images.append(np.rint(batch).astype(np.uint8))
            labels.append(targets)
            if sum(map(len, images)) >= count:
                break
        shown = np.concatenate(images)[:count]
        if isinstance(labels[0], dict):
            return shown, [{key: value[i] for key, value in batch.items()}
                           for batch in labels for i in range(len(next(iter(batch.values()))))][:count]  # fmt: skip
        return shown, np.concatenate(labels)[:count]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.spec.size

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.spec.channels
