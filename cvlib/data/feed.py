"""`Feed`: batches of one split, as a network receives them. Create feeds with `cvlib.data.make_feed` only.

    order                the order of samples and their random numbers              cvlib.data.order
    plan                 which images form a sample: one, or four for a mosaic      cvlib.data.order
    reader               reads a sample's pixels                                    cvlib.data.tensorflow.reader
    geometry and colour  augment images and labels                                  cvlib.data.tensorflow
    batch                images and labels together, prefetched                     cvlib.data.tensorflow.pipeline
    shard                every n-th sample of an epoch, for one of n devices        cvlib.data.order

This module declares the interface; `cvlib.data.tensorflow` implements it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.cache import Cache
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import LabelKind
from cvlib.data.split import Split
from cvlib.data.tiles import Windows

# Maps images uint8 `(n, height, width, channels)` and their indices `(n,)` to changed images of the same shape.
PixelChange = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Feed(ABC):
    """Batches of one split; `epoch(number)` selects the epoch's order and augmentation.

    `dataset` yields images, float32 `(batch, height, width, channels)` in the range of `spec`, and their labels. Labels
    are one row per sample, such as classes int32 `(batch,)`; boxes `{"boxes": (batch, n, 4) in pixels of these images,
    "classes": (batch, n), −1 for padding}`; or masks int32 `(batch, height, width)`. With mixup or CutMix, they are
    `{"labels": (batch, 2, …) of both images, "shares": (batch, 2)}`.
    """

    split: Split
    spec: InputSpec
    kind: LabelKind
    batch_size: int  # the last batch of an epoch may be smaller; no sample is dropped
    seed: int
    augmentation: AugmentConfig | None
    shuffle: bool
    cache: Cache | None
    steps: int  # batches per epoch
    images: int  # samples per epoch
    windows: Windows | None = None  # the samples of a feed that covers large images; None: whole images, random tiles
    dataset: Any  # iterable over the batches of the selected epoch, suitable for Keras

    @abstractmethod
    def epoch(self, number: int, start: int = 0) -> None:
        """Select epoch `number` (from 0) for the next iteration, beginning at step `start`."""

    @abstractmethod
    def rows(self) -> Any:
        """Return an iterable over the (sample index, random numbers) pairs of the selected epoch, in order."""

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
