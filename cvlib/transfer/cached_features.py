"""Features of a frozen base, computed once per image and cached; only the head is trained on them.

The network is cut just before the first trainable or random layer of the head (`Network.cut`). The head shares its
variables with the whole network, so the saved network contains the trained head.
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
from cvlib.runs.identity import is_later_default
from cvlib.runtime import backend, store
from cvlib.runtime.clock import Announcement
from cvlib.runtime.live import Bar
from cvlib.transfer import freezing

Arrays = list[np.ndarray]  # float32 (n, …), one for each output tensor of the base

_BATCH = 32  # images per batch; independent of data.batch_size, so that all its values share the cached features
_NEUTRAL = {name: value for name, value in dataclasses.asdict(AugmentConfig()).items() if name != "name"}


def views(config: Config) -> int:
    """Return how many differently augmented views of each training image are cached, at most one per epoch."""
    assert isinstance(config.mode, FeatureExtractor)
    return min(config.mode.views, config.trainer.max_epochs) if changes(config.augment) else 1


class _FeatureProgress(keras.callbacks.Callback):
    """Announce how long computing the features takes, and show the progress on a terminal."""

    def __init__(self, images: int, views: int, say: Callable[[str], None]):
        super().__init__()
        self.images = images
        self.announcement = Announcement("computing them takes", views * math.ceil(images / _BATCH), say)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.progress = Bar("computing features", self.images)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.announcement.step()
        self.progress.show(min((batch + 1) * _BATCH, self.images))

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self.progress.clear()


def compute(base: keras.Model, feed: Feed, number: int, watch: keras.callbacks.Callback | None = None) -> Arrays:
    """Return the features of every image of the split, in the split's order, augmented as in epoch `number`."""
    in_order = make_feed(
        feed.split, feed.spec, feed.kind, _BATCH, feed.seed, augmentation=feed.augmentation, cache=feed.cache
    )
    in_order.epoch(number)
    found = base.predict(in_order.dataset, verbose=0, callbacks=[watch] if watch else None)
    arrays = found if isinstance(found, list) else [found]
    return [np.asarray(array, np.float32) for array in arrays]


def cached(config: Config, base: keras.Model, feed: Feed, split: str, fingerprint: str,
         say: Callable[[str], None]) -> list[Arrays]:  # fmt: skip
    """Return the features of a split, as a list of arrays for each view; compute features that are not cached."""
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
            say(f"computing the features of {len(feed.split)} {split} images ({which})")
            watch = watch or _FeatureProgress(len(feed.split), count - number, say)
            arrays = compute(base, feed, number, watch)
            dataset = Path(config.data.path or config.data.name).name
            description = (f"{split} features of {config.model.name}: {len(feed.split):,} images of {dataset} at "
                           f"{feed.size[0]} px" + (f", view {number + 1} of {count}" if count > 1 else ""))  # fmt: skip
            if store.put(folder, name, arrays, description, limit):
                arrays = store.get(folder, name) or arrays
        else:
            say(f"using the cached features of {len(feed.split)} {split} images")
        found.append(arrays)
    return found


def key(config: Config, base: keras.Model, feed: Feed, number: int, fingerprint: str) -> str:
    """Return the key of the features in the cache: a hash of everything that can change them."""
    strengths = dataclasses.asdict(feed.augmentation or AugmentConfig())
    drawn = (
        ("named streams", feed.seed, number)
        if any(strengths[name] != value for name, value in _NEUTRAL.items())
        else None
    )
    content = hashlib.sha256()
    known = {name: value for name, value in strengths.items() if not is_later_default(f"augment.{name}", value)}
    facts = [fingerprint, feed.split.names, dataclasses.astuple(feed.spec), {**known, "name": ""}, drawn,
             config.trainer.precision, _versions(), base.to_json()]  # fmt: skip
    content.update(json.dumps(facts, default=str).encode())
    freezing.add_weights(content, base)
    return content.hexdigest()[:24]


def _versions() -> list[str]:
    engine = "tensorflow" if backend.has_tensorflow() else backend.name()
    return [metadata.version(package) for package in ("keras", engine)]
