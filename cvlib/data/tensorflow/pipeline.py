"""From a split to batches in tf.data: decoded in parallel, resized as in the saved model, augmented, in order."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.config.schema import AugmentConfig
from cvlib.data.cache import Cache
from cvlib.data.feed import Feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import LabelKind
from cvlib.data.order import Order
from cvlib.data.split import Split
from cvlib.data.tensorflow import reader, targets
from cvlib.data.tensorflow.augment import Draws

_AHEAD = 4  # batches made before they are asked for
# What is mapped has no Python branch on a tensor, and rewriting it for one would take a second of every start.
as_it_is = tf.autograph.experimental.do_not_convert


class TensorFlowFeed(Feed):
    """A feed whose stream is traced once; see `Feed`, and `make_feed` for the arguments."""

    def __init__(
        self, split: Split, spec: InputSpec, kind: LabelKind, batch_size: int, order: Order,
        augmentation: AugmentConfig | None, cache: Cache | None,
    ):  # fmt: skip
        self.split, self.spec, self.kind, self.order = split, spec, kind, order
        self.batch_size, self.seed, self.shuffle = batch_size, order.seed, order.shuffle
        self.augmentation, self.cache = augmentation, cache
        index, shards = order.shard
        self.images = len(range(index, order.images, shards))
        self.steps = math.ceil(self.images / batch_size)
        with tf.device("cpu"):
            self.number = tf.Variable(0, trainable=False, dtype=tf.int64)  # of the epoch that comes next
            self._first = tf.Variable(0, trainable=False, dtype=tf.int64)  # of its rows
        self._cache_is_source = False
        self._batches = self._build()
        self.dataset = counted(self._batches, self.steps)

    def epoch(self, number: int, start: int = 0) -> None:
        self.number.assign(number)
        self._first.assign(start * self.batch_size * self.order.tiles)
        whole = self.cache is not None and self.cache.complete and self.cache.held == len(self.split)
        if whole and not self._cache_is_source:
            self._cache_is_source = True
            self._batches = self._build()
        self.dataset = counted(self._batches, self.steps - start)

    def rows(self) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(0).map(as_it_is(_drawer(self.order, self.number, self._first))).unbatch()

    def batches(self) -> Iterable[tuple[np.ndarray, Any]]:
        batches: Iterable[tuple[np.ndarray, Any]] = self.dataset.as_numpy_iterator()
        return batches

    def _build(self) -> tf.data.Dataset:
        in_batch = self.batch_size * self.order.tiles
        arguments = self.split, self.spec, self.kind
        if isinstance(self.split.images, np.ndarray):
            batches = self._read(self.rows().batch(in_batch), reader.from_memory(*arguments))
        elif self._cache_is_source:
            assert self.cache is not None
            batches = self._read(self.rows().batch(in_batch), reader.from_whole_cache(self.cache, *arguments[1:]))
        else:
            batches = self._read(self.rows(), reader.from_files(*arguments, self.cache)).batch(in_batch)
        return batches.map(as_it_is(self._finisher()), tf.data.AUTOTUNE)

    @staticmethod
    def _read(rows: tf.data.Dataset, read: reader.Reader) -> tf.data.Dataset:
        """The stream of (pixels, sample indices, draws)."""
        return rows.map(as_it_is(lambda indices, draws: (read(indices), indices, draws)), tf.data.AUTOTUNE)

    def _finisher(self) -> Any:
        """What makes of a batch of these what the network gets."""
        config, spec, names, tiles = self.augmentation, self.spec, self.order.streams, self.order.tiles
        labels = targets.of(self.split, spec, self.kind)

        def finish(pixels: Any, indices: Any, draws: Any) -> tuple[Any, Any]:
            images, target = tf.cast(pixels[..., : spec.channels], tf.float32), labels.look_up(indices, pixels)
            if config is not None:
                images, target = targets.augmented(images, target, Draws.of(names, draws), config, labels, tiles)
            return tf.ensure_shape(images, (None, *spec.shape)), labels.fed(target)

        return finish


def counted(batches: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    """Return the stream with its length, which Keras asks for, and with the next batches made while one is used."""
    options = tf.data.Options()
    # An iterator that is tuned waits up to a minute, idle, when it is let go of (TensorFlow 2.21: the thread that tunes
    # it looks whether it should end before it is told so), and every epoch has an iterator of its own.
    options.autotune.enabled = False
    return batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(_AHEAD).with_options(options)


def _drawer(order: Order, number: tf.Variable, first: tf.Variable) -> Any:
    """What gives the rows of the epoch of this number, from the `first` one on."""
    width = max(1, len(order.streams))  # TensorFlow 2.21 crashes where it unbatches rows without any column

    def plan(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        indices, draws = order.epoch(int(epoch))
        return indices, draws if order.streams else np.zeros((len(indices), width), np.float32)

    def drawn(_: Any) -> tuple[Any, Any]:
        # Not Dataset.from_generator: its first use has malloc give all freed memory back at once (TensorFlow
        # 2.21), for the whole process. And TensorFlow never lets go of `plan`, so it holds no images.
        indices, draws = tf.numpy_function(plan, [number], (tf.int64, tf.float32))
        indices, draws = indices[first:], draws[first:]
        return tf.ensure_shape(indices, (None,)), tf.ensure_shape(draws, (None, width))

    return drawn
