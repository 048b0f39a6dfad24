"""The tf.data pipeline of a feed: decode in parallel, resize as in the saved model, augment, and batch in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.config.schema import AugmentConfig
from cvlib.data.cache import Cache
from cvlib.data.feed import Feed, PixelChange
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import LabelKind
from cvlib.data.order import Order
from cvlib.data.split import Split
from cvlib.data.streams import TILE_STREAMS
from cvlib.data.tensorflow import reader, targets, tiles
from cvlib.data.tensorflow.augment import Draws
from cvlib.data.tiles import Windows
from cvlib.runtime import backend

_PREFETCHED = 4  # batches
# The mapped functions don't branch on tensors in Python; converting them with AutoGraph would cost a second per start.
as_it_is = tf.autograph.experimental.do_not_convert


class TensorFlowFeed(Feed):
    """A `Feed` whose pipeline is traced only once; `make_feed` describes the arguments."""

    def __init__(
        self, split: Split, spec: InputSpec, kind: LabelKind, batch_size: int, order: Order,
        augmentation: AugmentConfig | None, cache: Cache | None, change: PixelChange | None = None,
        windows: Windows | None = None,
    ):  # fmt: skip
        self.split, self.spec, self.kind, self.order = split, spec, kind, order
        self.batch_size, self.seed, self.shuffle = batch_size, order.seed, order.shuffle
        self.augmentation, self.cache, self._change, self.windows = augmentation, cache, change, windows
        index, shards = order.shard
        self.images = len(range(index, order.images, shards))
        self.steps = math.ceil(self.images / batch_size)
        with tf.device("cpu"):
            self.number = tf.Variable(0, trainable=False, dtype=tf.int64)  # number of the selected epoch
            self._first = tf.Variable(0, trainable=False, dtype=tf.int64)  # index of the first row to use
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

    def with_targets(self, targets: Callable[[Any], Any]) -> Iterable[Any]:
        return with_targets(self.dataset, targets)

    def _build(self) -> tf.data.Dataset:
        rows = self.rows().batch(self.batch_size * self.order.tiles)
        if self.spec.tiled:
            return self._of_tiles(rows)
        arguments = self.split, self.spec, self.kind
        if isinstance(self.split.images, np.ndarray):
            read = reader.from_memory(*arguments)
        elif self._cache_is_source:
            assert self.cache is not None
            read = reader.from_whole_cache(self.cache, *arguments[1:])
        else:
            read = reader.from_files(*arguments, self.cache)
        if self._change is not None:
            read = reader.changed(read, self._change, self.spec)
        # One call reads a batch, and several calls run in parallel: a call for each file would take a third longer.
        batches = self._read(rows, read)
        return batches.map(as_it_is(self._finisher()), tf.data.AUTOTUNE)

    @staticmethod
    def _read(rows: tf.data.Dataset, read: reader.Reader) -> tf.data.Dataset:
        """Return a dataset of (pixels, sample indices, draws)."""
        return rows.map(as_it_is(lambda indices, draws: (read(indices), indices, draws)), tf.data.AUTOTUNE)

    def _finisher(self) -> Any:
        """Return the function that converts a batch from `_read` to augmented images and targets."""
        labels = targets.of(self.split, self.spec, self.kind)

        def finish(pixels: Any, indices: Any, draws: Any) -> tuple[Any, Any]:
            return self._augmented(pixels, labels.look_up(indices, pixels), draws, labels)

        return finish

    def _augmented(self, pixels: Any, target: Any, draws: Any, labels: targets.Targets) -> tuple[Any, Any]:
        images = tf.cast(pixels[..., : self.spec.channels], tf.float32)
        if self.augmentation is not None:
            drawn = Draws.of(self.order.streams, draws)
            images, target = targets.augmented(images, target, drawn, self.augmentation, labels)
        return tf.ensure_shape(images, (None, *self.spec.shape)), labels.fed(target)

    def _of_tiles(self, rows: tf.data.Dataset) -> tf.data.Dataset:
        """Return a dataset of batches of tiles, augmented, with their targets."""
        place = tiles.at_random(self.split, self.spec) if self.windows is None else tiles.in_order(self.windows)
        read = tiles.reader(self.split, self.spec, self.kind, self._change)
        labels, names = targets.of(self.split, self.spec, self.kind), self.order.streams
        if isinstance(labels, targets.Boxes):
            labels.keeps_padding = self.windows is not None

        def taken(indices: Any, draws: Any) -> tuple[Any, Any]:
            drawn = Draws.of(names, draws)
            images, corners = place(indices, tf.stack([drawn[name] for name in TILE_STREAMS], axis=1))
            pixels = read(images, corners)
            return self._augmented(pixels, tiles.look_up(labels, images, corners, pixels), draws, labels)

        return rows.map(as_it_is(taken), tf.data.AUTOTUNE)


def with_targets(batches: tf.data.Dataset, targets: Callable[[Any], Any]) -> Iterable[Any]:
    """Return the batches with converted labels: a dataset for TensorFlow; for another backend, a generator."""
    if backend.name() == "tensorflow":
        mapped: Iterable[Any] = batches.map(lambda images, labels: (images, targets(labels)))
        return mapped
    return ((images, targets(labels)) for images, labels in batches.as_numpy_iterator())


def counted(batches: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    """Set the number of batches, which Keras requires, and prefetch them."""
    options = tf.data.Options()
    # With autotuning, deleting an iterator can block for up to a minute (TensorFlow 2.21: the tuning thread checks
    # whether to end before it is notified). Every epoch creates an iterator.
    options.autotune.enabled = False
    return batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(_PREFETCHED).with_options(options)


def _drawer(order: Order, number: tf.Variable, first: tf.Variable) -> Any:
    """Return the function that yields the rows of epoch `number`, beginning with row `first`."""
    width = max(1, len(order.streams))  # TensorFlow 2.21 crashes when unbatching rows without columns

    def plan(epoch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        indices, draws = order.epoch(int(epoch))
        return indices, draws if order.streams else np.zeros((len(indices), width), np.float32)

    def drawn(_: Any) -> tuple[Any, Any]:
        # Dataset.from_generator is avoided: its first use makes malloc return all freed memory immediately, for the
        # whole process (TensorFlow 2.21). TensorFlow never releases `plan`, so `plan` must not reference images.
        indices, draws = tf.numpy_function(plan, [number], (tf.int64, tf.float32))
        indices, draws = indices[first:], draws[first:]
        return tf.ensure_shape(indices, (None,)), tf.ensure_shape(draws, (None, width))

    return drawn
