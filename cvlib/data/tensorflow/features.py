"""A feed of kept features instead of images: what a frozen base has made of every image of a split."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.data.feed import Feed
from cvlib.data.tensorflow.pipeline import TensorFlowFeed, as_it_is, counted

Arrays = list[np.ndarray]  # float32 (n, …), one for each tensor that the base gives


class FeatureFeed:
    """As the `Feed` that it is made from, order and all, but of kept features; epochs go through the views in turn."""

    def __init__(self, feed: Feed, views: list[Arrays]):
        assert isinstance(feed, TensorFlowFeed)
        self.split, self.steps, self.images, self.feed = feed.split, feed.steps, feed.images, feed
        self.views = views
        self._batches = self._build(feed, views)
        self.dataset = counted(self._batches, self.steps)

    def epoch(self, number: int, start: int = 0) -> None:
        """Let the next iteration be epoch `number` (from 0), from step `start` on."""
        self.feed.epoch(number, start)
        self.dataset = counted(self._batches, self.steps - start)

    def _build(self, feed: TensorFlowFeed, views: list[Arrays]) -> tf.data.Dataset:
        me, number = weakref.ref(self), feed.number  # TensorFlow never lets go of `take`
        labels = tf.constant(feed.kind.arrays(feed.split, feed.spec)[0])
        shapes = [array.shape[1:] for array in views[0]]

        def take(indices: np.ndarray, epoch: np.ndarray) -> list[np.ndarray]:
            kept = me()
            assert kept is not None
            return [np.asarray(array[indices], np.float32) for array in kept.views[int(epoch) % len(kept.views)]]

        def gather(indices: Any, draws: Any) -> tuple[Any, Any]:
            found = tf.numpy_function(take, [indices, number], [tf.float32] * len(shapes), stateful=False)
            features = [tf.ensure_shape(one, (None, *shape)) for one, shape in zip(found, shapes, strict=True)]
            return tuple(features) if len(features) > 1 else features[0], tf.gather(labels, indices)

        return feed.rows().batch(feed.batch_size).map(as_it_is(gather), tf.data.AUTOTUNE)
