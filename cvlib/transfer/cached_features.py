"""Frozen features computed once: a frozen base's features of every image are cached, and the head alone trains on them.

The network is cut just before the first trainable or random layer of the head (`Network.cut`). Head and whole network
share their variables, so that the saved network holds what the head has learned.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cvlib.config.schema import AugmentConfig, Config, FeatureExtractor
from cvlib.data.augmentation import changes
from cvlib.data.feed import Feed
from cvlib.data.make_feed import make_feed
from cvlib.data.tensorflow.features import Arrays, FeatureFeed
from cvlib.runtime import store
from cvlib.runtime.clock import Announcement, Progress

__all__ = ["Arrays", "FeatureFeed", "cached", "compute", "key", "views"]

_BATCH = 32  # images that go through the base at once, whatever data.batch_size is: its features serve any
_NEUTRAL = {name: value for name, value in dataclasses.asdict(AugmentConfig()).items() if name != "name"}


def views(config: Config) -> int:
    """How many differently augmented views of every training image are kept; no more than there are epochs."""
    assert isinstance(config.mode, FeatureExtractor)
    return min(config.mode.views, config.trainer.epochs) if changes(config.augment) else 1


class _Watch(keras.callbacks.Callback):
    """Announces how long features take, and shows on a terminal how far they are."""

    def __init__(self, images: int, views: int, say: Callable[[str], None]):
        super().__init__()
        self.images = images
        self.announcement = Announcement("computing them takes", views * math.ceil(images / _BATCH), say)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.progress = Progress("computing features", self.images)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.announcement.step()
        self.progress.show(min((batch + 1) * _BATCH, self.images))

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self.progress.clear()


def compute(base: keras.Model, feed: Feed, number: int, watch: keras.callbacks.Callback | None = None) -> Arrays:
    """The features of every image of the split, in the split's order, augmented as in epoch `number`."""
    in_order = make_feed(
        feed.split, feed.spec, feed.kind, _BATCH, feed.seed, augmentation=feed.augmentation, cache=feed.cache
    )
    in_order.epoch(number)
    found = base.predict(in_order.dataset.map(lambda images, labels: images), verbose=0,
                         callbacks=[watch] if watch else None)  # fmt: skip
    arrays = found if isinstance(found, list) else [found]
    return [np.asarray(array, np.float32) for array in arrays]


def cached(config: Config, base: keras.Model, feed: Feed, split: str, fingerprint: str,
         say: Callable[[str], None]) -> list[Arrays]:  # fmt: skip
    """The features of a split, a list of arrays for each view: from the store, or computed and put there."""
    folder = store.root(config.output_root) / "features"
    count = views(config) if feed.augmentation is not None else 1
    assert isinstance(config.mode, FeatureExtractor)
    limit = config.mode.cache_gb * store.GIGABYTE
    found, watch = [], None
    for number in range(count):
        name = key(config, base, feed, number, fingerprint)
        arrays = store.get(folder, name)
        if arrays is None:
            which = f"view {number + 1} of {count}" if count > 1 else "once"
            say(f"features of {len(feed.split)} {split} images are computed ({which})")
            watch = watch or _Watch(len(feed.split), count - number, say)
            arrays = compute(base, feed, number, watch)
            of = Path(config.data.path or config.data.name).name
            about = (f"{split} features of {config.model.name}: {len(feed.split):,} images of {of} at {feed.size[0]} px"
                     + (f", view {number + 1} of {count}" if count > 1 else ""))  # fmt: skip
            if store.put(folder, name, arrays, about, limit):
                arrays = store.get(folder, name) or arrays
        else:
            say(f"features of {len(feed.split)} {split} images: kept from an earlier run")
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
