"""The feeds of a run: batches of its splits for the network, with an optional cache of resized images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cvlib.config.schema import Config
from cvlib.data import cache
from cvlib.data.augmentation import changes, described
from cvlib.data.cache import Cache
from cvlib.data.dataset import Dataset
from cvlib.data.feed import Feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.make_feed import make_feed
from cvlib.data.split import Split
from cvlib.runtime import store
from cvlib.training import data_parallel

Say = Callable[[str], None]

_SMALL = 1.0  # gigabytes; data.cache=auto keeps a smaller split in memory


def training_feed(config: Config, dataset: Dataset, spec: InputSpec, say: Say) -> Feed:
    """Return the feed of shuffled training images, augmented unless the regime turns augmentation off."""
    augmentation = config.augmentation
    if augmentation is None and changes(config.augment):
        say("mode.views=0: the frozen base sees the training images without augmentation")
    elif augmentation is not None and changes(augmentation):
        say(f"training images are augmented (augment={augmentation.name}): {described(augmentation)}")
    return make_feed(
        dataset.train, spec, dataset.kind, config.data.batch_size, config.seed, augmentation=augmentation,
        shuffle=True, balanced=config.data.sampling == "balanced", steps=config.trainer.steps_per_epoch,
        cache=_cache(config, dataset, dataset.train, spec, say), share=data_parallel.share(config),
    )  # fmt: skip


def validation_feed(config: Config, dataset: Dataset, spec: InputSpec, say: Say) -> Feed:
    """Return the feed of validation images, in order and without augmentation."""
    image_cache = _cache(config, dataset, dataset.val, spec, say)
    return make_feed(dataset.val, spec, dataset.kind, config.data.batch_size, config.seed, cache=image_cache)


def _cache(config: Config, dataset: Dataset, split: Split, spec: InputSpec, say: Say) -> Cache | None:
    """Return the cache for the resized images of a split; None without a cache.

    Images in memory and tiled images are not cached.
    """
    chosen, shape = config.data.cache, dataset.kind.stored_shape(spec)
    if isinstance(split.images, np.ndarray):
        return None
    if chosen == "auto":
        fits = len(split) * np.prod(shape, dtype=float) <= _SMALL * store.GIGABYTE
        chosen = "memory" if fits and not spec.tiled else None
    if chosen is None:
        return None
    if spec.tiled:
        if split is dataset.train:
            say(f"data.cache={config.data.cache} has no effect with data.tiles: whole images are read in every epoch")
        return None
    file = None
    if chosen == "disk":
        file = store.root(config.output_root) / "images" / f"{cache.key(split, spec, dataset.kind)}.npy"
    image_cache = Cache(len(split), shape, config.data.cache_gb * store.GIGABYTE, file)
    if image_cache.held < len(split):
        say(f"data.cache_gb={config.data.cache_gb:g} holds {image_cache.held} of {len(split)} images; the others are "
            "read from their files in every epoch")  # fmt: skip
    return image_cache
