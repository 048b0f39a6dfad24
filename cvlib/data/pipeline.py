"""From a split to batches: decoded in parallel, resized as in the saved model, augmented, in a reproducible order."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.config import AugmentConfig
from cvlib.data import augment
from cvlib.data.dataset import Split
from cvlib.data.images import read_image

_IN_MEMORY = 2**29  # bytes of float32 up to which an array split is resized once and kept

_NEVER_REACHED = 2**20  # epochs; keeps the draws of an epoch's second pass apart from those of any other epoch


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
        steps: batches per epoch; None for all. More than the split has begin it again, in another order.
    """

    def __init__(
        self,
        split: Split,
        size: tuple[int, int],
        channels: int,
        batch_size: int,
        seed: int,
        augmentation: AugmentConfig | None = None,
        shuffle: bool = False,
        steps: int | None = None,
    ):
        self.split, self.size, self.channels = split, size, channels
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.augmentation = augmentation
        whole = math.ceil(len(split) / batch_size)
        self.steps = steps or whole
        self.images = self.steps * batch_size if self.steps != whole else len(split)
        with tf.device("cpu"):
            self._epoch = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.dataset = self._build()

    def epoch(self, number: int) -> None:
        """Let the next iteration be epoch `number` (from 0)."""
        self._epoch.assign(number)

    def _build(self) -> tf.data.Dataset:
        samples = tf.data.Dataset.from_tensors(0).map(self._epoch_drawer()).unbatch()
        if isinstance(self.split.images, np.ndarray):
            batches = samples.batch(self.batch_size).map(self._from_memory(self.split.images), tf.data.AUTOTUNE)
        else:
            batches = samples.map(self._from_files(self.split.images), tf.data.AUTOTUNE).batch(self.batch_size)
        labels = tf.constant(self.split.labels, tf.int32)

        def finish(images: Any, indices: Any, draws: Any) -> tuple[Any, Any]:
            return self._finished(images, draws), tf.gather(labels, indices)

        batches = batches.map(finish, tf.data.AUTOTUNE)
        return batches.apply(tf.data.experimental.assert_cardinality(self.steps)).prefetch(tf.data.AUTOTUNE)

    def _epoch_drawer(self) -> Any:
        """What gives an epoch's sample indices in their order `(images,)` and their random draws `(images, 12)`."""
        count, images, seed, shuffle = len(self.split), self.images, self.seed, self.shuffle
        config = self.augmentation or AugmentConfig()

        def draw(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            rng = np.random.default_rng([seed, int(epoch)])
            passes = range(math.ceil(images / count))
            orders = [rng.permutation(count) if shuffle else np.arange(count) for _ in passes]
            draws = [augment.draw(config, orders[k], seed, int(epoch) + k * _NEVER_REACHED) for k in passes]
            return np.concatenate(orders)[:images], np.concatenate(draws)[:images]

        def drawn(_: Any) -> tuple[Any, Any]:
            # Not Dataset.from_generator: its first use has malloc give all freed memory back at once (TensorFlow
            # 2.21), for the whole process. And TensorFlow never lets go of `draw`, so it holds no images.
            indices, draws = tf.numpy_function(draw, [self._epoch], (tf.int64, tf.float32))
            return tf.ensure_shape(indices, (None,)), tf.ensure_shape(draws, (None, augment.DRAWS))

        return drawn

    def _from_memory(self, images: np.ndarray) -> Any:
        pixels = tf.constant(images)
        result_bytes = len(images) * math.prod(self.size) * self.channels * 4
        if images.shape[1:3] != tuple(self.size) and result_bytes <= _IN_MEMORY:
            pixels = tf.concat([self._resized(pixels[i : i + 256]) for i in range(0, len(images), 256)], axis=0)

        def gather(indices: Any, draws: Any) -> tuple[Any, Any, Any]:
            return self._resized(tf.gather(pixels, indices)), indices, draws

        return gather

    def _from_files(self, files: list[Path]) -> Any:
        channels = self.channels

        def read(index: np.ndarray) -> np.ndarray:
            return read_image(files[int(index)], channels)

        def load(index: Any, draws: Any) -> tuple[Any, Any, Any]:
            # Were it said to be stateful, trainer.deterministic would have one image read at a time.
            image = tf.numpy_function(read, [index], tf.uint8, stateful=False)
            return self._resized(tf.ensure_shape(image, (None, None, self.channels))), index, draws

        return load

    def _resized(self, images: Any) -> Any:
        """Exactly what `keras.layers.Resizing(…, antialias=True)` does in the saved model."""
        if tuple(images.shape[-3:-1]) == tuple(self.size):
            return tf.cast(images, tf.float32)
        return tf.image.resize(images, self.size, antialias=True)

    def _finished(self, images: Any, draws: Any) -> Any:
        if self.augmentation is not None:
            images = augment.apply(images, draws, self.augmentation)
        return tf.ensure_shape(images, (None, *self.size, self.channels))


def preview(feed: Feed, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of the feed's present epoch as they are trained on: uint8, and their labels."""
    images, labels = [], []
    for batch, targets in feed.dataset.take(math.ceil(count / feed.batch_size)):
        images.append(batch.numpy())
        labels.append(targets.numpy())
    whole = np.concatenate(images)[:count]
    return np.rint(whole).astype(np.uint8), np.concatenate(labels)[:count]
