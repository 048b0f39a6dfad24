"""`Feed`: batches of one split as a network receives them. `cvlib.data.make_feed` is the only place that makes one.

    order                which sample comes when, and what it draws at random       cvlib.data.order
    plan                 which images make a sample: one, or four for a mosaic      cvlib.data.order
    reader               from a sample's index to its pixels                        cvlib.data.tensorflow.reader
    geometry and colour  what augmentation does to images and labels                cvlib.data.tensorflow
    batch                images and labels together, made ahead                     cvlib.data.tensorflow.pipeline
    shard                every n-th sample of an epoch, for one of n devices        cvlib.data.order

This file declares what a feed is; `cvlib.data.tensorflow` is one implementation of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.cache import Cache
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import LabelKind
from cvlib.data.split import Split


class Feed(ABC):
    """Batches of one split; `epoch(number)` sets which order and augmentation come next.

    `dataset` gives images, float32 `(batch, height, width, channels)` in the range of `spec`, and their labels: a row
    for each sample, such as classes int32 `(batch,)`; boxes `{"boxes": (batch, n, 4) in pixels of these images,
    "classes": (batch, n), −1 for none}`; or masks int32 `(batch, height, width)`.
    """

    split: Split
    spec: InputSpec
    kind: LabelKind
    batch_size: int  # the last batch of an epoch may be smaller; no sample is dropped
    seed: int
    augmentation: AugmentConfig | None
    shuffle: bool
    cache: Cache | None
    steps: int  # batches in an epoch
    images: int  # samples in an epoch
    dataset: Any  # iterable of batches of the epoch that was set, as Keras takes it

    @abstractmethod
    def epoch(self, number: int, start: int = 0) -> None:
        """Let the next iteration be epoch `number` (from 0), from step `start` on."""

    @abstractmethod
    def rows(self) -> Any:
        """Return the stream of (sample index, random draws) of the next epoch, one by one, in its order."""

    @abstractmethod
    def batches(self) -> Iterable[tuple[np.ndarray, Any]]:
        """Yield the batches of the epoch that was set, as NumPy arrays."""

    def preview(self, count: int) -> tuple[np.ndarray, Any]:
        """Return the epoch's first `count` images as they are trained on, uint8, and their labels as the feed's.

        Labels of several splits, such as boxes, come as a list with a dictionary for each image.
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
            return shown, [{key: value[i] for key, value in one.items()}
                           for one in labels for i in range(len(next(iter(one.values()))))][:count]  # fmt: skip
        return shown, np.concatenate(labels)[:count]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.spec.size

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.spec.channels
