"""Frozen features computed once: a frozen base's features of every image are cached, and the head alone trains on them.

The network is cut just before the first trainable or random layer of the head (`Network.cut`). Head and whole network
share their variables, so that the saved network holds what the head has learned.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import weakref
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cvlib.config.schema import AugmentConfig, Config, FeatureExtractor
from cvlib.data.augmentation import changes
from cvlib.data.feed import Feed
from cvlib.data.make_feed import make_feed
from cvlib.data.tensorflow.pipeline import TensorFlowFeed, as_it_is, counted
from cvlib.runtime import store

Arrays = list[np.ndarray]  # float32 (n, …), one for each tensor at the cut

_BATCH = 32  # images that go through the base at once, whatever data.batch_size is: its features serve any
_NEUTRAL = {name: value for name, value in dataclasses.asdict(AugmentConfig()).items() if name != "name"}


class FeatureFeed(Feed):
    """As the `Feed` that it is made from, order and all, but of kept features; epochs go through the views in turn."""

    def __init__(self, feed: Feed, views: list[Arrays]):
        assert isinstance(feed, TensorFlowFeed)
        self.split, self.spec, self.kind, self.cache = feed.split, feed.spec, feed.kind, None
        self.batch_size, self.seed, self.shuffle, self.augmentation = feed.batch_size, feed.seed, feed.shuffle, None
        self.steps, self.images, self.feed = feed.steps, feed.images, feed
        self.views = views
        self._batches = self._build(views)
        self.dataset = counted(self._batches, self.steps)

    def epoch(self, number: int, start: int = 0) -> None:
        """Let the next iteration be epoch `number` (from 0), from step `start` on."""
        self.feed.epoch(number, start)
        self.dataset = counted(self._batches, self.steps - start)

    def rows(self) -> tf.data.Dataset:
        """Return the stream of (sample index, random draws) of the next epoch."""
        return self.feed.rows()

    def batches(self) -> Iterable[tuple[np.ndarray, Any]]:
        """Yield features and labels of the epoch that was set, as NumPy arrays."""
        return self.dataset.as_numpy_iterator()

    def _build(self, views: list[Arrays]) -> tf.data.Dataset:
        me, number = weakref.ref(self), self.feed.number  # TensorFlow never lets go of `take`
        labels = tf.constant(np.asarray(self.split.labels), tf.int32)
        shapes = [array.shape[1:] for array in views[0]]

        def take(indices: np.ndarray, epoch: np.ndarray) -> list[np.ndarray]:
            kept = me()
            assert kept is not None
            return [np.asarray(array[indices], np.float32) for array in kept.views[int(epoch) % len(kept.views)]]

        def gather(indices: Any, draws: Any) -> tuple[Any, Any]:
            found = tf.numpy_function(take, [indices, number], [tf.float32] * len(shapes), stateful=False)
            features = [tf.ensure_shape(one, (None, *shape)) for one, shape in zip(found, shapes, strict=True)]
            return tuple(features) if len(features) > 1 else features[0], tf.gather(labels, indices)

        return self.feed.rows().batch(self.feed.batch_size).map(as_it_is(gather), tf.data.AUTOTUNE)


def views(config: Config) -> int:
    """How many differently augmented views of every training image are kept; no more than there are epochs."""
    assert isinstance(config.mode, FeatureExtractor)
    return min(config.mode.views, config.trainer.epochs) if changes(config.augment) else 1


def compute(base: keras.Model, feed: Feed, number: int) -> Arrays:
    """The features of every image of the split, in the split's order, augmented as in epoch `number`."""
    in_order = make_feed(
        feed.split, feed.spec, feed.kind, _BATCH, feed.seed, augmentation=feed.augmentation, cache=feed.cache
    )
    in_order.epoch(number)
    found = base.predict(in_order.dataset.map(lambda images, labels: images), verbose=0)
    arrays = found if isinstance(found, list) else [found]
    return [np.asarray(array, np.float32) for array in arrays]


def cached(config: Config, base: keras.Model, feed: Feed, part: str, fingerprint: str,
         say: Callable[[str], None]) -> list[Arrays]:  # fmt: skip
    """The features of a split, a list of arrays for each view: from the store, or computed and put there."""
    folder = store.root(config.output_root) / "features"
    count = views(config) if feed.augmentation is not None else 1
    assert isinstance(config.mode, FeatureExtractor)
    limit = config.mode.cache_gb * store.GIGABYTE
    found = []
    for number in range(count):
        name = key(config, base, feed, number, fingerprint)
        arrays = store.get(folder, name)
        if arrays is None:
            which = f"view {number + 1} of {count}" if count > 1 else "once"
            say(f"features of {len(feed.split)} {part} images are computed ({which})")
            arrays = compute(base, feed, number)
            of = Path(config.data.path or config.data.name).name
            about = (f"{part} features of {config.model.name}: {len(feed.split):,} images of {of} at {feed.size[0]} px"
                     + (f", view {number + 1} of {count}" if count > 1 else ""))  # fmt: skip
            if store.put(folder, name, arrays, about, limit):
                arrays = store.get(folder, name) or arrays
        else:
            say(f"features of {len(feed.split)} {part} images: kept from an earlier run")
        found.append(arrays)
    return found


def key(config: Config, base: keras.Model, feed: Feed, number: int, fingerprint: str) -> str:
    """Names the features: whatever could change one number of them changes it."""
    strengths = dataclasses.asdict(feed.augmentation or AugmentConfig())
    drawn = (
        ("named streams", feed.seed, number)
        if any(strengths[name] != value for name, value in _NEUTRAL.items())
        else None
    )
    content = hashlib.sha256()
    facts = [fingerprint, feed.split.names, dataclasses.astuple(feed.spec), {**strengths, "name": ""}, drawn,
             config.trainer.precision, _versions(), base.to_json()]  # fmt: skip
    content.update(json.dumps(facts, default=str).encode())
    for weight in base.weights:
        content.update(keras.ops.convert_to_numpy(weight).tobytes())
    return content.hexdigest()[:24]


def _versions() -> list[str]:
    return [metadata.version(package) for package in ("keras", "tensorflow")]
