"""The tf.data pipeline of a feed: read in parallel, augment, and batch in order."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.data.feed import Feed
from cvlib.data.order import Order
from cvlib.data.samples import BOXES, Arrays, Samples
from cvlib.data.tensorflow import pixels
from cvlib.runtime import backend

_PREFETCHED = 4  # batches
# The mapped functions don't branch on tensors in Python; converting them with AutoGraph would cost a second per start.
as_it_is = tf.autograph.experimental.do_not_convert


class TensorFlowFeed(Feed):
    """A `Feed` whose pipeline is traced only once."""

    def __init__(self, samples: Samples, batch_size: int, order: Order):
        super().__init__(samples, batch_size, order)
        with tf.device("cpu"):
            self._number = tf.Variable(0, trainable=False, dtype=tf.int64)  # number of the selected epoch
            self._mosaics = tf.Variable(True, trainable=False)
            self._first = tf.Variable(0, trainable=False, dtype=tf.int64)  # index of the first row to use
        self._batches = self._build()
        self.dataset = _counted(self._batches, self.steps)

    def epoch(self, number: int, start: int = 0, mosaics: bool = True) -> None:
        self._number.assign(number)
        self._mosaics.assign(mosaics)
        self._first.assign(start * self.rows * self.order.tiles)
        self.dataset = _counted(self._batches, self.steps - start)

    def batches(self) -> Iterable[tuple[np.ndarray, Any]]:
        batches: Iterable[tuple[np.ndarray, Any]] = self.dataset.as_numpy_iterator()
        return batches

    def with_targets(self, targets: Callable[[Any], Any]) -> Iterable[Any]:
        """Return a dataset for TensorFlow; for another backend, a generator."""
        if backend.name() == "tensorflow":
            mapped: Iterable[Any] = self.dataset.map(lambda images, labels: (images, targets(labels)))
            return mapped
        return ((images, targets(labels)) for images, labels in self.dataset.as_numpy_iterator())

    def _build(self) -> tf.data.Dataset:
        drawer = _drawer(self.order, self._number, self._first, self._mosaics)
        rows = tf.data.Dataset.from_tensors(0).map(as_it_is(drawer)).unbatch()
        # One call reads a batch, and several calls run in parallel: a call for each file would take a third longer.
        read = rows.batch(self.rows * self.order.tiles).map(
            as_it_is(_reader(self.samples, self.order, self._number)), tf.data.AUTOTUNE
        )
        finish = self.samples.finish
        return read.map(as_it_is(lambda arrays: finish(arrays, pixels)), tf.data.AUTOTUNE)


def _counted(batches: tf.data.Dataset, steps: int) -> tf.data.Dataset:
    """Set the number of batches, which Keras requires, and prefetch them."""
    options = tf.data.Options()
    # With autotuning, deleting an iterator can block for up to a minute (TensorFlow 2.21: the tuning thread checks
    # whether to end before it is notified). Every epoch creates an iterator.
    options.autotune.enabled = False
    return batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(_PREFETCHED).with_options(options)


def _drawer(order: Order, number: tf.Variable, first: tf.Variable, mosaics: tf.Variable) -> Any:
    """Return the function that yields the rows of epoch `number`, beginning with row `first`."""
    width = max(1, len(order.streams))  # TensorFlow 2.21 crashes when unbatching rows without columns

    def plan(epoch: np.ndarray, mosaics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        indices, draws = order.epoch(int(epoch), bool(mosaics))
        return indices, draws if order.streams else np.zeros((len(indices), width), np.float32)

    def drawn(_: Any) -> tuple[Any, Any]:
        # Dataset.from_generator is avoided: its first use makes malloc return all freed memory immediately, for the
        # whole process (TensorFlow 2.21). TensorFlow never releases `plan`, so `plan` must not reference images.
        indices, draws = tf.numpy_function(plan, [number, mosaics], (tf.int64, tf.float32))
        indices, draws = indices[first:], draws[first:]
        return tf.ensure_shape(indices, (None,)), tf.ensure_shape(draws, (None, width))

    return drawn


def _reader(samples: Samples, order: Order, number: tf.Variable) -> Any:
    """Return the function that reads the arrays of a batch, given its rows."""
    form = samples.read(np.empty(0, np.int64), np.empty((0, len(order.streams)), np.float32), 0)
    types = [array.dtype for array in form.values()]
    samples_ref = weakref.ref(samples)  # TensorFlow never releases `take`

    def take(indices: np.ndarray, draws: np.ndarray, epoch: np.ndarray) -> list[np.ndarray]:
        known = samples_ref()
        assert known is not None
        return list(known.read(indices, draws, int(epoch)).values())

    def read(indices: Any, draws: Any) -> Arrays:
        # With stateful=True, trainer.deterministic would not read in parallel.
        found = tf.numpy_function(take, [indices, draws, number], types, stateful=False)
        return {name: tf.ensure_shape(array, _shape(name, known))
                for (name, known), array in zip(form.items(), found, strict=True)}  # fmt: skip

    return read


def _shape(name: str, array: np.ndarray) -> tuple[int | None, ...]:
    return (None, None, *array.shape[2:]) if name in BOXES else (None, *array.shape[1:])
