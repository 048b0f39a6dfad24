"""A feed of cached features: the outputs of a frozen base for every image of a split."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.data.feed import Feed
from cvlib.data.tensorflow.pipeline import TensorFlowFeed, as_it_is, counted, with_targets

Arrays = list[np.ndarray]  # float32 (n, …), one for each output tensor of the base


class FeatureFeed(Feed):
    """A feed of cached features in the order of the image feed that it is built from.

    Args:
        feed: the image feed.
        views: features of the whole split, one entry per augmented view; epochs cycle through the views.
    """

    def __init__(self, feed: Feed, views: list[Arrays]):
        assert isinstance(feed, TensorFlowFeed)
        self.split, self.spec, self.kind, self.cache = feed.split, feed.spec, feed.kind, None
        self.batch_size, self.seed, self.shuffle, self.augmentation = feed.batch_size, feed.seed, feed.shuffle, None
        self.steps, self.images, self.feed = feed.steps, feed.images, feed
        self.views = views
        self._batches = self._build(feed, views)
        self.dataset = counted(self._batches, self.steps)

    def epoch(self, number: int, start: int = 0) -> None:
        """Select epoch `number` (from 0) for the next iteration, beginning at step `start`."""
        self.feed.epoch(number, start)
        self.dataset = counted(self._batches, self.steps - start)

    def rows(self) -> tf.data.Dataset:
        """Return a dataset of the (sample index, random numbers) pairs of the selected epoch."""
        return self.feed.rows()

    def batches(self) -> Iterable[tuple[np.ndarray, Any]]:
        """Yield features and labels of the selected epoch as NumPy arrays."""
        batches: Iterable[tuple[np.ndarray, Any]] = self.dataset.as_numpy_iterator()
        return batches

    def with_targets(self, targets: Callable[[Any], Any]) -> Iterable[Any]:
        """Return the batches for `fit`; see `Feed`."""
        return with_targets(self.dataset, targets)

    def _build(self, feed: TensorFlowFeed, views: list[Arrays]) -> tf.data.Dataset:
        self_ref, number = weakref.ref(self), feed.number  # a weak reference: TensorFlow never releases `take`
        labels = tf.constant(feed.kind.arrays(feed.split, feed.spec)[0])
        shapes = [array.shape[1:] for array in views[0]]

        def take(indices: np.ndarray, epoch: np.ndarray) -> list[np.ndarray]:
            this = self_ref()
            assert this is not None
            return [np.asarray(array[indices], np.float32) for array in this.views[int(epoch) % len(this.views)]]

        def gather(indices: Any, draws: Any) -> tuple[Any, Any]:
            found = tf.numpy_function(take, [indices, number], [tf.float32] * len(shapes), stateful=False)
            features = [tf.ensure_shape(array, (None, *shape)) for array, shape in zip(found, shapes, strict=True)]
            return tuple(features) if len(features) > 1 else features[0], tf.gather(labels, indices)

        return feed.rows().batch(feed.batch_size).map(as_it_is(gather), tf.data.AUTOTUNE)
