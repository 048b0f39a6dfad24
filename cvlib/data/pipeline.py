"""From a split to batches: decoded in parallel, resized as in the saved model, augmented, in a reproducible order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.config import AugmentConfig
from cvlib.data import augment
from cvlib.data.dataset import Split
from cvlib.data.images import read_image

_IN_MEMORY = 2**29  # bytes of float32 up to which an array split is resized once and kept


class Feed:
    """Batches of one split, traced once; `epoch(number)` sets which order and augmentation come next.

    Args:
        split: images as an array or as files.
        size: height and width that every image is resized to (bilinear with antialiasing).
        channels: 1 or 3.
        batch_size: the last batch of an epoch may be smaller; no sample is dropped.
        seed: with the epoch's number decides the order, and with the sample's index its augmentation.
        augmentation: None leaves the images as they are.
        shuffle: a new order every epoch.
        steps: batches per epoch; None for all.
    """

    def __init__(self, split: Split, size: tuple[int, int], channels: int, batch_size: int, seed: int,
                 augmentation: AugmentConfig | None = None, shuffle: bool = False, steps: int | None = None):  # fmt: skip
        self.split, self.size, self.channels = split, size, channels
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.augmentation = augmentation
        whole = math.ceil(len(split) / batch_size)
        self.steps = min(steps, whole) if steps else whole
        self.images = min(self.steps * batch_size, len(split))
        self._epoch = 0
        self.dataset = self._build()

    def epoch(self, number: int) -> None:
        """Let the next iteration be epoch `number` (from 0)."""
        self._epoch = number

    def _batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices `(batch,)` and random draws `(batch, 12)`, batch by batch."""
        order = np.arange(len(self.split))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self._epoch]).permutation(order)
        config = self.augmentation or AugmentConfig()
        for start in range(0, self.images, self.batch_size):
            indices = order[start : start + self.batch_size][: self.images - start]
            yield indices, augment.draw(config, indices, self.seed, self._epoch)

    def _build(self) -> tf.data.Dataset:
        signature = (tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None, augment._DRAWS), tf.float32))
        batches = tf.data.Dataset.from_generator(self._batches, output_signature=signature)
        if isinstance(self.split.images, np.ndarray):
            stream = batches.map(self._from_memory(self.split.images), tf.data.AUTOTUNE)
        else:
            stream = self._from_files(batches, self.split.images)
        labels = tf.constant(self.split.labels, tf.int32)
        stream = stream.map(lambda images, indices, draws: self._finish(images, indices, draws, labels), tf.data.AUTOTUNE)
        return stream.apply(tf.data.experimental.assert_cardinality(self.steps)).prefetch(tf.data.AUTOTUNE)

    def _from_memory(self, images: np.ndarray) -> Any:
        pixels = tf.constant(images)
        once = images.shape[0] * math.prod(self.size) * self.channels * 4 <= _IN_MEMORY
        if once:
            pixels = tf.concat([self._resized(pixels[i : i + 256]) for i in range(0, len(images), 256)], axis=0)

        def gather(indices: Any, draws: Any) -> tuple[Any, Any, Any]:
            batch = tf.gather(pixels, indices)
            return (batch if once else self._resized(batch)), indices, draws

        return gather

    def _from_files(self, batches: tf.data.Dataset, files: list[Path]) -> tf.data.Dataset:
        def read(index: np.ndarray) -> np.ndarray:
            return read_image(files[int(index)], self.channels)

        def load(index: Any, draws: Any) -> tuple[Any, Any, Any]:
            image = tf.numpy_function(read, [index], tf.uint8, stateful=False)
            image.set_shape((None, None, self.channels))
            return self._resized(image), index, draws

        return batches.unbatch().map(load, tf.data.AUTOTUNE).batch(self.batch_size)

    def _resized(self, images: Any) -> Any:
        images = tf.cast(images, tf.float32)
        if tuple(images.shape[-3:-1]) == tuple(self.size):
            return images
        return tf.image.resize(images, self.size, antialias=True)

    def _finish(self, images: Any, indices: Any, draws: Any, labels: Any) -> tuple[Any, Any]:
        if self.augmentation is not None:
            images = augment.apply(images, draws, self.augmentation)
        images.set_shape((None, *self.size, self.channels))
        return images, tf.gather(labels, indices)


def preview(feed: Feed, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of the feed's present epoch as they are trained on: uint8, and their labels."""
    images, labels = [], []
    for batch, targets in feed.dataset.take(math.ceil(count / feed.batch_size)):
        images.append(batch.numpy())
        labels.append(targets.numpy())
    whole = np.concatenate(images)[:count]
    return np.rint(whole).astype(np.uint8), np.concatenate(labels)[:count]
